//! How a part of a twin is, in four words, by what the nodes say of it.

use serde::Serialize;

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Well.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It could not be told.
    Unknown,
    /// It does not do what it is there for.
    Unhealthy,
}

impl Status {
    /// The worst last.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Unknown, Self::Unhealthy];

    /// In programs' output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Of a topic, by the label `status` of `ros_topic_status`, with what it means and what to look at.
    ///
    /// What is wrong with a topic that is expected is a fault. Of others, which are watched because they are there, only
    /// what cannot work is one: somebody may publish them later.
    #[must_use]
    pub fn of_topic(status: &str, is_expected: bool) -> (Self, &'static str) {
        let unless_expected = if is_expected { Self::Unhealthy } else { Self::Warning };
        match status {
            "ok" => (Self::Ok, ""),
            "no_publisher" => (unless_expected, "nobody publishes it: is its publisher up, in the same ROS domain?"),
            "type_mismatch" => {
                (Self::Unhealthy, "publishers and subscriptions disagree on its type: one has the wrong name")
            }
            "qos_incompatible" => {
                (Self::Unhealthy, "a publisher does not serve a subscription: the node's log names the policy")
            }
            "silent" => (
                unless_expected,
                "somebody publishes it, and no message comes: look at the publisher, then at docs/networking.md",
            ),
            "stale" => (unless_expected, "its messages have stopped: look at the publisher"),
            "graph_only" => (unless_expected, "its type is not installed at monitoring_node"),
            "too_slow" => (Self::Warning, "fewer messages than are expected"),
            "too_fast" => (Self::Warning, "more messages than are expected"),
            "late" => (Self::Warning, "messages are older than they may be when they come"),
            _ => (Self::Unknown, "this status is not known here: the node is newer"),
        }
    }

    /// Of a twin, by the label `state` of `ros_twin_state`. docs/synchronization_node.md has the states.
    #[must_use]
    pub fn of_twin(state: &str) -> Self {
        match state {
            "SYNCED" | "MIRRORING" => Self::Ok,
            "DEGRADED" => Self::Warning,
            "DIVERGED" | "LOST" | "STOPPED" | "WAITING" => Self::Unhealthy,
            _ => Self::Unknown,
        }
    }
}
