//! Why a client does not get what it wants, and why it is sent away.

use std::io;
use std::time::Duration;

use thiserror::Error;
use unity_protocol::FrameError;

/// What a client can want of ROS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Subscribe,
    Publish,
    Call,
    Offer,
}

impl Operation {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::Call => "call",
            Self::Offer => "offer",
        }
    }

    /// The parameter that says which names are allowed.
    pub(crate) fn allow_list(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe_allow",
            Self::Publish => "publish_allow",
            Self::Call => "call_allow",
            Self::Offer => "offer_allow",
        }
    }
}

/// Why a client does not get it. The connection lives on.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("the parameter {0} of the bridge does not allow it")]
    NotAllowed(&'static str),
    #[error("there are {0} registrations already, as many as max_registrations allows")]
    TooMany(usize),
    /// The type is not installed, the name is none, or the middleware refuses.
    #[error("{0}")]
    Ros(#[from] ros_observer::Error),
    #[error("it is not registered: send {0} first")]
    Unregistered(&'static str),
    #[error("{0} calls wait for their responses already, as many as max_pending_calls allows")]
    TooManyCalls(usize),
    #[error("requests of {0} bytes wait for their responses already, as many as max_queued_bytes allows")]
    TooManyBytes(usize),
    #[error("it is not offered any more by this client")]
    NotOfferedAnyMore,
    #[error("nobody has offered the service as {0} within {1:?}")]
    NotOffered(String, Duration),
    #[error("it was not answered within {0:?}")]
    TimedOut(Duration),
}

impl Refusal {
    /// As the value of a metric's label.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "not_allowed",
            Self::TooMany(_) => "too_many_registrations",
            Self::Ros(_) => "ros",
            Self::Unregistered(_) => "unregistered",
            Self::TooManyCalls(_) => "too_many_calls",
            Self::TooManyBytes(_) => "too_many_bytes",
            Self::NotOfferedAnyMore => "not_offered_any_more",
            Self::NotOffered(..) => "not_offered",
            Self::TimedOut(_) => "timed_out",
        }
    }
}

/// Why a connection ends.
#[derive(Debug, Error)]
pub(crate) enum Closing {
    #[error("the client has gone")]
    Gone,
    #[error("the node stops")]
    Stopping,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("nothing has come from the client for {0:?}, not even the keepalive that Unity sends every second")]
    Silent(Duration),
    #[error("the client does not read what it is told")]
    Stalled,
    #[error("{0}")]
    Io(io::Error),
    #[error("the client does not speak TLS: {0}")]
    Tls(io::Error),
}

impl From<io::Error> for Closing {
    /// How a client goes is its own affair: with TLS's farewell or without, with the last of what was sent to it or without.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

impl Closing {
    /// One of each kind.
    pub(crate) const REASONS: [&'static str; 7] = ["gone", "stopping", "frame", "silent", "stalled", "io", "tls"];

    /// Whether it is the client's fault, and the client can be told.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Silent(_))
    }

    /// As the value of a metric's label.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Stopping => "stopping",
            Self::Frame(_) => "frame",
            Self::Silent(_) => "silent",
            Self::Stalled => "stalled",
            Self::Io(_) => "io",
            Self::Tls(_) => "tls",
        }
    }
}
