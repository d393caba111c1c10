//! What the live page is told: all that it shows, each time, so that nothing is missing to who skipped an event.

use std::collections::BTreeMap;
use std::time::Instant;

use joint_state::Snapshot;
use serde::Serialize;

use super::synchronizer::Synchronizer;
use crate::topic::{Arriving, Report};
use crate::watch::Known;

/// Joints that one event tells of.
pub(super) const JOINTS_MAX: usize = 2000;

#[derive(Debug, Serialize)]
pub(crate) struct Event<'a> {
    /// Since when a ROS thread has not turned, and so nothing of a topic's status is news.
    pub(crate) silent_seconds: f64,
    pub(crate) domains: Vec<DomainEvent<'a>>,
    /// Joints beyond the limit, at least.
    pub(crate) joints_left_out: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct DomainEvent<'a> {
    domain: &'a str,
    topics: Vec<TopicEvent<'a>>,
    joints: Vec<JointsEvent<'a>>,
    synchronizers: Vec<SynchronizerEvent<'a>>,
}

/// What is not known is null.
#[derive(Debug, Serialize)]
struct TopicEvent<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    message_type: &'a str,
    status: &'static str,
    reason: &'a str,
    /// Whether it is shown as wrong.
    is_alarm: bool,
    publishers: usize,
    subscriptions: usize,
    rate_hz: Option<f64>,
    age_seconds: Option<f64>,
    lost: u64,
}

/// The joints of one topic: a value of each in every list, null where the last message had none.
#[derive(Debug, Default, Serialize)]
struct JointsEvent<'a> {
    topic: &'a str,
    names: Vec<String>,
    positions: Vec<Option<f64>>,
    velocities: Vec<Option<f64>>,
    ages_seconds: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct SynchronizerEvent<'a> {
    node: &'a str,
    level: u8,
    message: &'a str,
    age_seconds: Option<f64>,
    #[serde(flatten)]
    texts: &'a BTreeMap<&'static str, String>,
    #[serde(flatten)]
    numbers: &'a BTreeMap<&'static str, f64>,
}

impl<'a> Event<'a> {
    /// `snapshot` is one that is filled anew for each topic.
    pub(crate) fn new(
        known: impl Iterator<Item = &'a Known>,
        snapshot: &mut Snapshot,
        silent_seconds: f64,
        now: Instant,
        now_ns: u64,
    ) -> Self {
        let mut event = Self { silent_seconds, domains: Vec::new(), joints_left_out: 0 };
        let mut room = JOINTS_MAX;
        for known in known {
            let (mut topics, mut joints) = (Vec::new(), Vec::new());
            for (report, arriving) in known.topics.iter().zip(&known.arriving) {
                topics.push(TopicEvent::new(report, arriving, now_ns));
                let Some(board) = &arriving.joints else { continue };
                board.snapshot(now_ns, snapshot);
                let of_topic = JointsEvent::new(&report.name, snapshot, room);
                room -= of_topic.names.len();
                event.joints_left_out += snapshot.samples.len() - of_topic.names.len();
                joints.push(of_topic);
            }
            event.domains.push(DomainEvent {
                domain: &known.domain,
                topics,
                joints,
                synchronizers: known.synchronizers.iter().map(|told| SynchronizerEvent::new(told, now)).collect(),
            });
        }
        event
    }
}

impl<'a> TopicEvent<'a> {
    fn new(report: &'a Report, arriving: &Arriving, now_ns: u64) -> Self {
        Self {
            name: &report.name,
            message_type: &report.message_type,
            status: report.status.name(),
            reason: &report.reason,
            is_alarm: report.is_alarm() && !report.is_idle(),
            publishers: report.publishers,
            subscriptions: report.subscriptions,
            rate_hz: report.rate_hz.and_then(rounded),
            age_seconds: arriving.age_ns(now_ns).and_then(seconds),
            lost: report.lost,
        }
    }
}

impl<'a> JointsEvent<'a> {
    /// The joints for which there is room.
    fn new(topic: &'a str, snapshot: &Snapshot, room: usize) -> Self {
        let mut event = Self { topic, ..Self::default() };
        for (name, sample) in snapshot.joints().take(room) {
            event.names.push(name.to_owned());
            event.positions.push(rounded(sample.position));
            event.velocities.push(rounded(sample.velocity));
            event.ages_seconds.push(seconds(sample.age_ns));
        }
        event
    }
}

impl<'a> SynchronizerEvent<'a> {
    fn new(told: &'a Synchronizer, now: Instant) -> Self {
        Self {
            node: &told.node,
            level: told.level,
            message: &told.message,
            age_seconds: rounded(now.saturating_duration_since(told.at).as_secs_f64()),
            texts: &told.texts,
            numbers: &told.numbers,
        }
    }
}

fn seconds(ns: u64) -> Option<f64> {
    rounded(ns as f64 / 1e9)
}

/// To what a page can show, so that events are short; nothing for NaN and infinity, which JSON does not have.
fn rounded(value: f64) -> Option<f64> {
    value.is_finite().then(|| (value * 1e5).round() / 1e5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_not_told_as_one() {
        assert_eq!([0.0, 1.234_567_8, f64::NAN, f64::INFINITY].map(rounded), [Some(0.0), Some(1.23457), None, None]);
    }
}
