//! Why a topic has data, or has none.

/// The state of a topic: exactly one holds, the first in this order that applies. Not every node tells all of them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicStatus {
    /// Nobody publishes it.
    NoPublisher,
    /// Only other types are published; or, to a node that watches all, peers disagree on the type.
    TypeMismatch,
    /// Publishers offer a QoS that does not serve what is asked of them.
    QosIncompatible,
    /// There is a publisher, and messages of its type cannot be seen here.
    GraphOnly,
    /// There is a publisher and no message has come yet.
    Silent,
    /// The last message came too long ago.
    Stale,
    /// Messages come less often than they should.
    TooSlow,
    /// Messages come more often than they should.
    TooFast,
    /// Messages are too old when they come.
    Late,
    /// None of these.
    Ok,
}

impl TopicStatus {
    /// The value of the label `status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoPublisher => "no_publisher",
            Self::TypeMismatch => "type_mismatch",
            Self::QosIncompatible => "qos_incompatible",
            Self::GraphOnly => "graph_only",
            Self::Silent => "silent",
            Self::Stale => "stale",
            Self::TooSlow => "too_slow",
            Self::TooFast => "too_fast",
            Self::Late => "late",
            Self::Ok => "ok",
        }
    }
}
