//! The ROS-TCP protocol, which Unity's ROS-TCP-Connector (v0.7, ROS 2 mode) and its like speak to an endpoint: frames, commands,
//! and the service calls whose two frames belong together.
//!
//! Bytes go through a [`Decoder`] into [`Frame`]s, frames through a [`Session`] into [`Event`]s; [`encode`] makes what goes back.
//!
//! What holds:
//! - Whatever the bytes, nothing panics, and memory is taken for what has come, not for what is announced.
//! - A frame's payload is never copied, looked into or changed.
//! - What cannot be understood is a [`Fault`] that says what to do, and the conversation goes on. Only when it is not known where the
//!   next frame begins, or nobody wants to wait for so much, there is a [`FrameError`], and the connection has to end.
//! - Nothing that a client can fill has no limit.
//!
//! No sockets, no ROS and no clock here: who waits for the second frame of a call counts the time and says [`Session::forget`].
//!
//! ```
//! use bytes::BytesMut;
//! use unity_protocol::{Command, Decoder, Event, Limits, Session, SessionLimits, encode};
//!
//! let mut received = BytesMut::new();
//! received.extend(encode::frame("__subscribe\0", br#"{"topic":"/chatter","message_name":"std_msgs/String"}"#));
//!
//! let mut decoder = Decoder::new(Limits::default());
//! let mut session = Session::new(SessionLimits::default());
//! let frame = decoder.decode(&mut received)?.expect("it has come whole");
//! match session.receive(frame) {
//!     Event::Command(Command::Subscribe { topic, message_type, .. }) => {
//!         assert_eq!((&*topic, &*message_type), ("/chatter", "std_msgs/msg/String"));
//!     }
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), unity_protocol::FrameError>(())
//! ```

mod command;
mod decoder;
pub mod encode;
mod excerpt;
mod fault;
mod frame;
mod qos_request;
mod session;
mod type_name;

pub use command::Command;
pub use decoder::{Decoder, FrameError, Limits};
pub use fault::Fault;
pub use frame::{Frame, Name};
pub use qos_request::{Durability, QosRequest, Reliability};
pub use session::{Call, Event, Session, SessionLimits};
