//! What every node shares, so that a node crate holds wiring only: arguments, parameters, clocks, the ROS thread,
//! telemetry, the web server and the order in which all of it starts and ends.
//!
//! Invariant: configuration is read and checked as a whole before anything is bound or an endpoint is made. Not for:
//! anything that one node alone needs.

mod arguments;
mod clock;
mod deadline;
mod diagnostics;
mod discovery_servers;
mod failure;
mod parameters;
mod process;
mod ros_clock;
mod ros_thread;
mod serve;
mod start;
mod telemetry;
mod vital_thread;

pub use arguments::NodeInfo;
pub use clock::MonotonicClock;
pub use diagnostics::{Diagnostics, level};
pub use failure::Failure;
pub use parameters::{Constraint, Declaration, Parameters, nanoseconds};
pub use ros_clock::{RosClock, system_time, system_time_ns};
pub use ros_name::{Patterns, is_full_name, is_name_token, is_topic_name};
pub use ros_thread::{Heartbeat, RosThread};
pub use serve::{Check, Page, serve};
pub use start::{Startup, run};
pub use vital_thread::EndWithThread;
