//! Reads serialized ROS 2 messages, without copying and without trusting a length, and writes them.
//!
//! Plain CDR: OMG DDSI-RTPS 2.5 §10.2 for the encapsulation header, OMG CDR (formal/02-06-51 §15.3) for the rest. Every primitive is
//! aligned to its size, counted from after the encapsulation header; padding is never looked at, since Fast CDR, for one, leaves there what
//! the buffer held before.
//!
//! Invariant: reading neither panics nor allocates, whatever the bytes. Not for: what the fields of a message mean.

mod reader;
mod stamp;
mod writer;

pub use reader::{ByteOrder, Doubles, Fault, Reader};
pub use stamp::Stamp;
pub use writer::{Writer, set_doubles};
