//! The families of metrics that this node has beside those that all nodes share for a topic.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Atomic, GenericCounter};
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result};
use ros_observer::{QosEvents, QosPolicy};
use stream_statistics::StampClock;
use topic_watch::{Forget, Registrar, TopicMetrics, TopicStatus};

use crate::refusals::RefusalFamilies;

/// The labels that come before `topic_name` or `node_name`.
pub(crate) const SCOPE: [&str; 2] = ["domain", "robot"];

/// The states that this node tells apart.
const STATUSES: &[TopicStatus] = &[
    TopicStatus::NoPublisher,
    TopicStatus::TypeMismatch,
    TopicStatus::QosIncompatible,
    TopicStatus::GraphOnly,
    TopicStatus::Silent,
    TopicStatus::Stale,
    TopicStatus::TooSlow,
    TopicStatus::TooFast,
    TopicStatus::Late,
    TopicStatus::Ok,
];

/// The ROS domain and the robot that something belongs to; the robot is empty where none is told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) domain: String,
    pub(crate) robot: String,
}

impl Scope {
    pub(crate) fn labels(&self) -> [&str; 2] {
        [&self.domain, &self.robot]
    }
}

/// Held while series that belong together are set, and while a scrape is written: it shows all of them or none.
pub(crate) type Together = Arc<Mutex<()>>;

/// Every family, for all topics.
pub(crate) struct Families {
    together: Together,
    shared: topic_watch::Families,
    bytes: IntCounterVec,
    late: IntCounterVec,
    stamp_backward: IntCounterVec,
    stamp_clock: IntGaugeVec,
    stamp_skew: GaugeVec,
    rate: GaugeVec,
    age: GaugeVec,
    jitter: GaugeVec,
    subscriptions: IntGaugeVec,
    expected: IntGaugeVec,
    incompatible: IntGaugeVec,
    uncompared: IntGaugeVec,
    events: IntCounterVec,
    /// Topics that are watched, by what is seen of them.
    pub(crate) topics: IntGaugeVec,
    /// Topics that are not watched because there are too many.
    pub(crate) refused: RefusalFamilies,
}

/// The children of one topic. Cheap to clone; clones count into the same.
#[derive(Clone)]
pub(crate) struct WatchedMetrics {
    together: Together,
    pub(crate) shared: TopicMetrics,
    pub(crate) rejected: [IntCounter; 2],
    pub(crate) bytes: IntCounter,
    pub(crate) late: IntCounter,
    pub(crate) stamp_backward: IntCounter,
    pub(crate) stamp_skew: OptionalGauge,
    pub(crate) rate: OptionalGauge,
    /// Seconds since the last message.
    pub(crate) age: OptionalGauge,
    pub(crate) jitter: OptionalGauge,
    pub(crate) subscriptions: IntGauge,
    /// Whether something is expected of the topic.
    pub(crate) expected: IntGauge,
    /// Endpoints whose QoS is not compared because there are too many.
    pub(crate) uncompared: IntGauge,
    stamp_clock: Vec<(StampClock, IntGauge)>,
    incompatible: Vec<(QosPolicy, IntGauge)>,
    /// In the order of [`EVENTS`].
    events: [IntCounter; 2],
}

impl Families {
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub(crate) fn register(registry: &Registry, together: &Together) -> Result<Self> {
        let labels = [&SCOPE[..], &["topic_name"]].concat();
        let (of_topic, of_domain) = (Registrar::new(registry, &labels), Registrar::new(registry, &["domain"]));
        let counter = |name: &str, help: &str, more: &[&str]| of_topic.counter(name, help, more);
        let state = |name: &str, help: &str, more: &[&str]| of_topic.integer_gauge(name, help, more);
        let gauge = |name: &str, help: &str| of_topic.gauge(name, help, &[]);
        Ok(Self {
            together: Arc::clone(together),
            shared: topic_watch::Families::register(registry, &SCOPE, STATUSES)?,
            bytes: counter("ros_message_bytes_total", "Bytes of serialized messages received.", &[])?,
            late: counter("ros_message_late_total", "Messages older than expected when received.", &[])?,
            stamp_backward: counter(
                "ros_message_stamp_backward_total",
                "Messages with a stamp before the last of their publisher; on /clock, of anybody: resets of the simulation.",
                &[],
            )?,
            stamp_clock: state(
                "ros_message_stamp_clock",
                "The clock that the last message was stamped by: 1 for the one that it is.",
                &["clock"],
            )?,
            stamp_skew: gauge(
                "ros_message_stamp_skew_seconds",
                "The last stamp less the time of its own clock here when it was received; below zero is age.",
            )?,
            rate: gauge(
                "ros_topic_rate_hertz",
                "Messages per second, over the last second or the last five messages.",
            )?,
            age: gauge("ros_topic_age_seconds", "Time since the last message of the publishers that there are.")?,
            jitter: gauge(
                "ros_topic_jitter_seconds",
                "Mean deviation of an interval between messages from the one before.",
            )?,
            subscriptions: state("ros_topic_subscriptions", "Subscriptions but for this node's own.", &[])?,
            expected: state(
                "ros_topic_expected",
                "1 where something is expected of the topic, by a parameter: then it is missed when nobody publishes it.",
                &[],
            )?,
            incompatible: state(
                "ros_topic_incompatible_subscriptions",
                "Subscriptions that some publisher of the topic does not serve, by the QoS policy that keeps it from that.",
                &["policy"],
            )?,
            uncompared: state(
                "ros_topic_uncompared_endpoints",
                "Publishers and subscriptions whose QoS is not compared, since the topic has too many.",
                &[],
            )?,
            events: counter(
                "ros_topic_qos_events_total",
                "What the middleware itself says of this node's subscription: publishers that do not serve it, messages lost.",
                &["event"],
            )?,
            topics: of_domain.integer_gauge(
                "ros_topics",
                "Topics, by what is seen of them: messages, or the graph alone.",
                &["seen"],
            )?,
            refused: RefusalFamilies::register(
                registry,
                "ros_topics",
                "Topics that are not watched, since there are too many.",
            )?,
        })
    }

    /// The children of a topic in this state; from now on all of them show.
    pub(crate) fn of_topic(&self, scope: &Scope, topic: &str, status: TopicStatus) -> WatchedMetrics {
        let _together = lock(&self.together);
        let metrics = self.children(scope, topic);
        metrics.shared.set_status(status);
        metrics
    }

    fn children(&self, scope: &Scope, topic: &str) -> WatchedMetrics {
        let scope = scope.labels();
        let labels = &[&scope[..], &[topic]].concat()[..];
        let with = |more| [labels, &[more]].concat();
        let of_clock = |clock: StampClock| (clock, self.stamp_clock.with_label_values(&with(clock.name())));
        let of_policy = |policy: QosPolicy| (policy, self.incompatible.with_label_values(&with(policy.name())));
        WatchedMetrics {
            together: Arc::clone(&self.together),
            shared: self.shared.of_topic(&scope, topic),
            rejected: REASONS.map(|reason| self.shared.rejected(&scope, topic, reason)),
            bytes: self.bytes.with_label_values(labels),
            late: self.late.with_label_values(labels),
            stamp_backward: self.stamp_backward.with_label_values(labels),
            stamp_clock: StampClock::ALL.into_iter().map(of_clock).collect(),
            stamp_skew: OptionalGauge::new(&self.stamp_skew, labels),
            rate: OptionalGauge::new(&self.rate, labels),
            age: OptionalGauge::new(&self.age, labels),
            jitter: OptionalGauge::new(&self.jitter, labels),
            subscriptions: self.subscriptions.with_label_values(labels),
            expected: self.expected.with_label_values(labels),
            uncompared: self.uncompared.with_label_values(labels),
            incompatible: QosPolicy::ALL.into_iter().map(of_policy).collect(),
            events: EVENTS.map(|event| self.events.with_label_values(&with(event))),
        }
    }

    /// Takes away every series of a topic.
    pub(crate) fn forget(&self, scope: &Scope, topic: &str) {
        let _together = lock(&self.together);
        let scope = scope.labels();
        self.shared.forget(&scope, topic);
        REASONS.iter().for_each(|reason| self.shared.forget_rejected(&scope, topic, reason));
        let labels = &[&scope[..], &[topic]].concat()[..];
        let with = |more| [labels, &[more]].concat();
        for family in [&self.bytes, &self.late, &self.stamp_backward] {
            family.forget(labels);
        }
        for family in [&self.stamp_skew, &self.rate, &self.age, &self.jitter] {
            family.forget(labels);
        }
        self.subscriptions.forget(labels);
        self.expected.forget(labels);
        self.uncompared.forget(labels);
        for clock in StampClock::ALL {
            self.stamp_clock.forget(&with(clock.name()));
        }
        for policy in QosPolicy::ALL {
            self.incompatible.forget(&with(policy.name()));
        }
        for event in EVENTS {
            self.events.forget(&with(event));
        }
    }
}

/// What the middleware says of a subscription.
const EVENTS: [&str; 2] = ["incompatible_qos", "message_lost"];

/// Why the stamp of a message cannot be read.
const REASONS: [&str; 2] = [cdr::Fault::WrongEncoding.reason(), cdr::Fault::Truncated.reason()];

impl WatchedMetrics {
    /// To be held while several series are set.
    pub(crate) fn together(&self) -> MutexGuard<'_, ()> {
        lock(&self.together)
    }

    /// Counts a message whose stamp cannot be read.
    pub(crate) fn count_fault(&self, fault: cdr::Fault) {
        self.rejected[usize::from(fault != cdr::Fault::WrongEncoding)].inc();
    }

    /// Counts what the middleware said of a subscription since it had said no more than `before`.
    pub(crate) fn count_events(&self, before: QosEvents, now: QosEvents) {
        self.events[0].inc_by(now.incompatible.saturating_sub(before.incompatible));
        self.events[1].inc_by(now.lost.saturating_sub(before.lost));
    }

    /// Shows the clock that the last message was stamped by.
    pub(crate) fn set_stamp_clock(&self, clock: Option<StampClock>) {
        self.stamp_clock.iter().for_each(|(known, gauge)| gauge.set(i64::from(Some(*known) == clock)));
    }

    /// Shows how many subscriptions are not served, by policy.
    pub(crate) fn set_incompatible(&self, count_by: impl Fn(QosPolicy) -> usize) {
        self.incompatible.iter().for_each(|(policy, gauge)| gauge.set(count_by(*policy) as i64));
    }
}

/// A gauge that has no sample while there is no value.
#[derive(Clone)]
pub(crate) struct OptionalGauge {
    family: GaugeVec,
    labels: Vec<String>,
}

impl OptionalGauge {
    pub(crate) fn new(family: &GaugeVec, labels: &[&str]) -> Self {
        Self { family: family.clone(), labels: labels.iter().map(|label| (*label).to_owned()).collect() }
    }

    pub(crate) fn set(&self, value: Option<f64>) {
        match value {
            Some(value) => self.family.with_label_values(&self.labels).set(value),
            // There may have been none before.
            None => self.family.forget(&self.labels),
        }
    }
}

/// Brings a counter up to what was counted elsewhere.
pub(crate) fn raise_to<P: Atomic>(counter: &GenericCounter<P>, total: P::T) {
    let mut missing = total;
    let before = counter.get();
    if total > before {
        missing -= before;
        counter.inc_by(missing);
    }
}

pub(crate) fn lock(together: &Together) -> MutexGuard<'_, ()> {
    together.lock().unwrap_or_else(PoisonError::into_inner)
}
