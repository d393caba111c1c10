//! What a robot's description (URDF) allows of each joint, and how a joint keeps to it and to what it is asked to do.
//!
//! Invariant: whatever the text of a description, it is read or refused. No ROS and no clock here: values and times are
//! arguments. Not for: reading joint states and commands, safety (a monitor comes too late for that).

mod command;
mod description;
mod joint;
mod limits;
mod plain_xml;

pub use command::Command;
pub use description::{BadDescription, Description, JOINTS_MAX};
pub use joint::{Joint, JointValues, STALE_AFTER_NS, frozen};
pub use limits::{Limits, Margin, Motion, Quantity};
