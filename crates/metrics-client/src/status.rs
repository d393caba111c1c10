//! How a part of a twin is, in four words, by what the nodes say of it.

use serde::Serialize;

use crate::page::{Node, Page};

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
    /// `ros_metrics_exporter` and `synchronization_node` watch what they were told to: whatever is wrong with that is a
    /// fault, but for a twin that there is none of. `monitoring_node` watches all there is, also what nobody publishes
    /// for now: only what cannot work is one.
    #[must_use]
    pub fn of_topic(status: &str, page: &Page<'_>) -> (Self, &'static str) {
        let unless_expected = if page.node == Node::Monitor { Self::Warning } else { Self::Unhealthy };
        match status {
            "ok" => (Self::Ok, ""),
            "no_publisher" if page.node == Node::Synchronizer && page.twin_state() == Some("MIRRORING") => {
                (Self::Warning, "there is a robot and no twin: start one, if there is to be one")
            }
            "no_publisher" => (unless_expected, "nobody publishes it: is the robot up, in the same ROS domain?"),
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
            "graph_only" => (Self::Warning, "its type is not installed at monitoring_node"),
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
