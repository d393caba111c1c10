//! What a node tells on `/diagnostics`: when, where and in which levels is the same for all.

use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use r2r::std_msgs::msg::Header;
use ros_observer::{Error, Node, Publisher, Qos};

use crate::system_time;

const TOPIC: &str = "/diagnostics";

/// As REP 107 asks, beside each change.
const EVERY: Duration = Duration::from_secs(1);

const DEPTH: usize = 10;

/// The levels of diagnostic_msgs/msg/DiagnosticStatus.
pub mod level {
    #![allow(missing_docs, reason = "their names say it")]
    pub const OK: u8 = 0;
    pub const WARN: u8 = 1;
    pub const ERROR: u8 = 2;
    pub const STALE: u8 = 3;
}

/// Tells others how the node and what it watches are.
pub struct Diagnostics {
    publisher: Publisher<DiagnosticArray>,
    node: String,
    told_at: Option<Instant>,
}

impl Diagnostics {
    /// Advertises the topic.
    ///
    /// # Errors
    /// When the middleware refuses.
    pub fn new(node: &Node) -> Result<Self, Error> {
        let publisher = Publisher::new(node, TOPIC, Qos::reliable(DEPTH))?;
        Ok(Self { publisher, node: node.fully_qualified_name(), told_at: None })
    }

    /// Each second, and when something has changed, tells what `statuses` makes of the node's full name.
    pub fn tell(&mut self, has_changed: bool, now: Instant, statuses: impl FnOnce(&str) -> Vec<DiagnosticStatus>) {
        let is_due = self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= EVERY);
        if !(is_due || has_changed) {
            return;
        }
        self.told_at = Some(now);
        let header = Header { stamp: system_time(), ..Header::default() };
        if let Err(error) = self.publisher.publish(&DiagnosticArray { header, status: statuses(&self.node) }) {
            tracing::warn!(%error, "nobody was told of the diagnostics");
        }
    }
}
