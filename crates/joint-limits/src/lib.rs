//! What a robot's description (URDF) allows of each joint, and how a joint keeps to it.
//!
//! Invariant: whatever the text of a description, it is read or refused. No ROS and no clock here: values and times are
//! arguments. Not for: reading joint states, safety (a monitor comes too late for that).

mod description;
mod joint;
mod limits;

pub use description::{BadDescription, Description};
pub use joint::{Joint, JointValues, frozen};
pub use limits::{Limits, Margin, Motion, Quantity};
