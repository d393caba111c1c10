//! The last state of every joint of one topic, from serialized `sensor_msgs/msg/JointState` messages.
//!
//! A [`Recorder`] takes messages as the middleware hands them over (CDR with its encapsulation header) and stores their values into a
//! [`Board`] of atomics. Any number of readers take a [`Snapshot`] of the board at any time; neither side waits for the other.
//!
//! Who keeps the values elsewhere takes the messages apart with a [`Decoder`], under the same rules.
//!
//! What holds:
//! - **Absent is not zero.** A message replaces position, velocity and effort of every joint that it names; what it does not carry is
//!   absent ([`f64::NAN`]) from then on. A joint that is no longer named has an age that grows, and is forgotten in the end.
//! - **All or nothing.** A message that contradicts itself is refused with a [`Fault`] before anything is stored. A fault that concerns one
//!   joint costs that joint only, and is told in [`Recorded::faults`].
//! - **A familiar message is cheap.** Messages repeat their names thousands of times a second: a block of names seen before is recognised by
//!   one comparison of bytes, and its values go to their slots with no allocation, no hashing and no lock.
//!
//! No ROS and no clock here: times are arguments, in nanoseconds of a monotonic clock of the caller's.
//!
//! ```
//! use joint_state::{Recorder, Snapshot};
//!
//! let mut recorder = Recorder::new(10_000, 300_000_000_000);
//! let board = recorder.board();
//!
//! let message = [
//!     &[0, 1, 0, 0][..],                                     // CDR, little endian
//!     &[5, 0, 0, 0, 0, 0, 0, 0],                             // stamp: 5 s
//!     &[1, 0, 0, 0, 0, 0, 0, 0],                             // frame_id: "", padding
//!     &[1, 0, 0, 0, 6, 0, 0, 0], b"elbow\0", &[0, 0],        // name: ["elbow"], padding
//!     &[1, 0, 0, 0], &[0; 4], &1.5_f64.to_le_bytes(),        // position: [1.5]
//!     &[0, 0, 0, 0, 0, 0, 0, 0],                             // velocity: [], effort: []
//! ]
//! .concat();
//! let recorded = recorder.record(&message, 1_000)?;
//! assert_eq!(recorded.stamp.sec, 5);
//!
//! let mut snapshot = Snapshot::default();
//! board.snapshot(1_250, &mut snapshot);
//! let (name, sample) = snapshot.joints().next().expect("one joint");
//! assert_eq!((name, sample.position, sample.age_ns), ("elbow", 1.5, 250));
//! assert!(sample.velocity.is_nan());
//! # Ok::<(), joint_state::Fault>(())
//! ```

mod board;
mod decoder;
mod directory;
mod fault;
mod layout;
mod message;
mod outgoing;
mod recorder;

pub use board::{Board, Names, Sample, Snapshot};
pub use decoder::{Decoded, Decoder, Slots};
pub use fault::{Fault, FaultSet};
pub use outgoing::{Field, JointStateMessage};
pub use recorder::{NonFinite, Recorded, Recorder};
