//! What a stream of messages tells about itself beyond its content, in memory that does not grow: how many messages were lost on the way,
//! how far apart they arrive, how often, how regularly, and by which clock they are stamped.
//!
//! No ROS and no clock here: publishers are keys, times are arguments.

mod interval;
mod jitter;
mod rate;
mod sequence;
mod stamp_clock;

pub use interval::IntervalTracker;
pub use jitter::JitterTracker;
pub use rate::RateWindow;
pub use sequence::{SequenceTracker, UNNUMBERED};
pub use stamp_clock::{Clocks, StampClock, StampTracker, Stamped};
