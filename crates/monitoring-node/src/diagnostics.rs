//! What is told on `/diagnostics`, as diagnostic_msgs/msg/DiagnosticArray.

use node_runtime::level::{ERROR, OK, STALE, WARN};
use r2r::diagnostic_msgs::msg::{DiagnosticStatus, KeyValue};
use topic_watch::TopicStatus;

use crate::nodes::NodeReport;
use crate::topic::Report;
use crate::watch::Known;

/// What the node of this name tells of all topics, and of the nodes that have to be there.
pub(crate) fn statuses(known: &Known, node: &str) -> Vec<DiagnosticStatus> {
    let topics = known.topics.iter().map(|report| status(report, node));
    let required = known.nodes.iter().filter(|report| report.is_required);
    topics.chain(required.map(|report| node_status(report, node))).collect()
}

fn status(report: &Report, node: &str) -> DiagnosticStatus {
    let level = level(report.status);
    let is_excused = level != OK && !report.is_alarm();
    let message = match (is_excused, report.status) {
        (false, TopicStatus::Ok) => report.reason.clone(),
        (false, status) => format!("{}: {}", status.name(), report.reason),
        (true, status) => format!("starting ({}: {})", status.name(), report.reason),
    };
    DiagnosticStatus {
        level: if is_excused { OK } else { level },
        name: report.name.clone(),
        message,
        hardware_id: node.to_owned(),
        values: values(report),
    }
}

fn node_status(report: &NodeReport, node: &str) -> DiagnosticStatus {
    let (level, message) = match report.instances {
        0 => (ERROR, "the node is not there".to_owned()),
        1 => (OK, "OK".to_owned()),
        count => (WARN, format!("{count} nodes have this name")),
    };
    DiagnosticStatus {
        level,
        name: report.name.clone(),
        message,
        hardware_id: node.to_owned(),
        values: vec![KeyValue { key: "restarts".to_owned(), value: report.restarts.to_string() }],
    }
}

fn level(status: TopicStatus) -> u8 {
    match status {
        TopicStatus::Ok => OK,
        TopicStatus::GraphOnly | TopicStatus::TooSlow | TopicStatus::TooFast | TopicStatus::Late => WARN,
        TopicStatus::NoPublisher | TopicStatus::TypeMismatch | TopicStatus::QosIncompatible => ERROR,
        TopicStatus::Silent | TopicStatus::Stale => STALE,
    }
}

/// The first six are what greenwave's dashboard reads.
fn values(report: &Report) -> Vec<KeyValue> {
    let number = |value: Option<f64>| value.map_or_else(|| "N/A".to_owned(), |value| format!("{value:.3}"));
    let expected = report.expectation;
    let tolerance = expected.rate_hz.map(|_| expected.rate_tolerance * 100.0);
    [
        ("frame_rate_node", number(report.rate_hz)),
        ("frame_rate_msg", number(report.stamp_rate_hz)),
        ("current_delay_from_realtime_ms", number(report.skew_seconds.map(|seconds| -seconds * 1e3))),
        ("total_dropped_frames", report.lost.to_string()),
        ("expected_frequency", number(expected.rate_hz)),
        ("tolerance", number(tolerance)),
        ("status", report.status.name().to_owned()),
        ("type", report.message_type.clone()),
        ("publishers", report.publishers.to_string()),
        ("subscriptions", report.subscriptions.to_string()),
    ]
    .map(|(key, value)| KeyValue { key: key.to_owned(), value })
    .into()
}
