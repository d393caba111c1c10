//! What is told on `/diagnostics`, as diagnostic_msgs/msg/DiagnosticArray.

use std::time::Instant;

use node_runtime::level::{ERROR, OK, STALE, WARN};
use prometheus::IntCounter;
use r2r::diagnostic_msgs::msg::{DiagnosticStatus, KeyValue};
use ros_observer::{Error, Node};
use twin_sync::State;

use crate::report::Report;
use crate::topics::Topics;

/// Tells others of the synchronization.
pub(crate) struct Diagnostics {
    diagnostics: node_runtime::Diagnostics,
    told: Option<State>,
    descriptions_rejected: IntCounter,
    reference_topic: String,
    twin_topic: String,
}

impl Diagnostics {
    pub(crate) fn new(node: &Node, topics: &Topics, descriptions_rejected: IntCounter) -> Result<Self, Error> {
        Ok(Self {
            diagnostics: node_runtime::Diagnostics::new(node)?,
            told: None,
            descriptions_rejected,
            reference_topic: topics.reference.clone(),
            twin_topic: topics.twin.clone(),
        })
    }

    /// Each second, and when the state has changed.
    pub(crate) fn tell(&mut self, report: &Report, now: Instant) {
        let has_changed = self.told.replace(report.state) != Some(report.state);
        let values = self.values(report);
        self.diagnostics.tell(has_changed, now, |node| vec![status(report, values, node)]);
    }

    fn values(&self, report: &Report) -> Vec<KeyValue> {
        let number = |value: Option<f64>| value.map_or_else(|| "N/A".to_owned(), |value| format!("{value:.6}"));
        let [reference, twin] = report.clocks;
        [
            ("state", report.state.name().to_owned()),
            ("cause", report.cause.name().to_owned()),
            ("reference_topic", self.reference_topic.clone()),
            ("twin_topic", self.twin_topic.clone()),
            ("quality", number(report.quality)),
            ("mean_error", number(report.mean_error)),
            ("worst_error", number(report.worst_error)),
            ("lag_seconds", number(report.lag_seconds)),
            ("time_alignment", report.alignment.map_or("N/A", |alignment| alignment.name()).to_owned()),
            ("reference_age_seconds", number(reference.map(|clock| clock.age_seconds))),
            ("twin_age_seconds", number(twin.map(|clock| clock.age_seconds))),
            ("joints", report.names.len().to_string()),
            ("missing_joints", report.missing.to_string()),
            ("robot_descriptions_rejected", self.descriptions_rejected.get().to_string()),
        ]
        .map(|(key, value)| KeyValue { key: key.to_owned(), value })
        .into()
    }
}

fn status(report: &Report, values: Vec<KeyValue>, node: &str) -> DiagnosticStatus {
    DiagnosticStatus {
        level: level(report.state),
        name: format!("{}: synchronization", node.trim_start_matches('/')),
        message: format!("{}: {}", report.state.name(), report.cause.text()),
        hardware_id: node.to_owned(),
        values,
    }
}

fn level(state: State) -> u8 {
    match state {
        State::Synced | State::Mirroring => OK,
        State::Waiting | State::Degraded => WARN,
        State::Diverged | State::Stopped => ERROR,
        State::Lost => STALE,
    }
}
