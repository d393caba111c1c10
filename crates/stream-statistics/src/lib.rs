//! What a stream of messages tells about itself beyond its content, in memory that does not grow: how many messages were lost on the way,
//! and how far apart they arrive.
//!
//! No ROS and no clock here: publishers are keys, times are arguments.

mod interval;
mod sequence;

pub use interval::IntervalTracker;
pub use sequence::{SequenceTracker, UNNUMBERED};
