//! The families of metrics of topics, but for what their messages say: their names, helps and buckets stand here alone.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result,
};

use crate::{Forget, Registrar, TopicStatus};

const PROCESSING_BUCKETS_SECONDS: &[f64] = &[1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1];
const INTERVAL_BUCKETS_SECONDS: &[f64] =
    &[1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const AGE_BUCKETS_SECONDS: &[f64] =
    &[1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const LATENCY_BUCKETS_SECONDS: &[f64] =
    &[2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0];

const TOPIC: &str = "topic_name";

/// The reason of messages that the middleware announced and did not hand out.
const TAKE_FAILED: &str = "take_failed";

/// Every family, for all topics.
///
/// A node that watches topics of one name in several places tells them apart by labels of its own, its scope, which come
/// before `topic_name`.
pub struct Families {
    messages: IntCounterVec,
    processing: Histogram,
    interval: HistogramVec,
    age: HistogramVec,
    latency: HistogramVec,
    unstamped: IntCounterVec,
    undated: IntCounterVec,
    stamp_from_future: IntCounterVec,
    source_from_future: IntCounterVec,
    lost: IntCounterVec,
    untracked: IntCounterVec,
    rejected: IntCounterVec,
    publishers: IntGaugeVec,
    status: IntGaugeVec,
    statuses: &'static [TopicStatus],
}

/// The children of one topic, found once so that counting needs no look-up. Cheap to clone; clones count into the same.
#[derive(Clone)]
pub struct TopicMetrics {
    /// Messages recorded.
    pub messages: IntCounter,
    /// Seconds that a message took us, of all topics.
    pub processing: Histogram,
    pub(crate) interval: Histogram,
    /// Seconds between a message's stamp and its reception.
    pub age: Histogram,
    pub(crate) latency: Histogram,
    pub(crate) unstamped: IntCounter,
    pub(crate) undated: IntCounter,
    pub(crate) stamp_from_future: IntCounter,
    pub(crate) source_from_future: IntCounter,
    /// Messages missing in the sequence numbers of a publisher.
    pub lost: IntCounter,
    pub(crate) untracked: IntCounter,
    take_failed: IntCounter,
    publishers: IntGauge,
    status: Vec<(TopicStatus, IntGauge)>,
}

impl Families {
    /// Registers every family; `scope` are the names of the node's own labels, `statuses` the states that it tells apart.
    ///
    /// # Errors
    /// When a family of one of these names is registered already.
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub fn register(registry: &Registry, scope: &[&str], statuses: &'static [TopicStatus]) -> Result<Self> {
        let labels = [scope, &[TOPIC]].concat();
        let registrar = Registrar::new(registry, &labels);
        let counter = |name: &str, help: &str, more: &[&str]| registrar.counter(name, help, more);
        let gauge = |name: &str, help: &str, more: &[&str]| registrar.integer_gauge(name, help, more);
        let histogram = |name: &str, help: &str, buckets: &[f64]| registrar.histogram(name, help, buckets);
        Ok(Self {
            messages: counter("ros_message_count_total", "Messages recorded, in whole or in part.", &[])?,
            processing: register_processing(registry)?,
            interval: histogram(
                "ros_message_interval_seconds",
                "Time between one message and the next of the topic, by arrival.",
                INTERVAL_BUCKETS_SECONDS,
            )?,
            age: histogram(
                "ros_message_age_seconds",
                "Age of a message when it was received: the time of its clock less the stamp in its header.",
                AGE_BUCKETS_SECONDS,
            )?,
            latency: histogram(
                "ros_transport_latency_seconds",
                "Time from publishing to receiving, by the system clocks of both hosts.",
                LATENCY_BUCKETS_SECONDS,
            )?,
            unstamped: counter(
                "ros_message_unstamped_total",
                "Messages with no valid stamp (zero, negative, or with 10^9 nanoseconds or more), of no known age.",
                &[],
            )?,
            undated: counter(
                "ros_message_undated_total",
                "Messages of no known age, since nothing on /clock has told the time of their stamps yet.",
                &[],
            )?,
            stamp_from_future: counter(
                "ros_message_from_future_total",
                "Messages with a stamp ahead of the time of its clock here, of no known age.",
                &[],
            )?,
            source_from_future: counter(
                "ros_transport_from_future_total",
                "Messages published, by their sender's clock, after they were received: the hosts' clocks disagree.",
                &[],
            )?,
            lost: counter("ros_messages_lost_total", "Messages missing in the sequence numbers of a publisher.", &[])?,
            untracked: counter(
                "ros_publishers_untracked_total",
                "Publishers that were not, or no longer, followed by themselves, since the topic has too many.",
                &[],
            )?,
            rejected: counter(
                "ros_messages_rejected_total",
                "Messages refused, or recorded in part, by reason.",
                &["reason"],
            )?,
            publishers: gauge("ros_topic_publishers", "Publishers that this node counts for the topic.", &[])?,
            status: gauge(
                "ros_topic_status",
                "Why the topic has data or has none: 1 for the one state that holds.",
                &["status"],
            )?,
            statuses,
        })
    }

    /// The children of a topic, by the values of the scope's labels and its name; from now on all of them show.
    pub fn of_topic(&self, scope: &[&str], topic: &str) -> TopicMetrics {
        let labels = &[scope, &[topic]].concat()[..];
        let of_status =
            |status: &TopicStatus| (*status, self.status.with_label_values(&[labels, &[status.name()]].concat()));
        TopicMetrics {
            messages: self.messages.with_label_values(labels),
            processing: self.processing.clone(),
            interval: self.interval.with_label_values(labels),
            age: self.age.with_label_values(labels),
            latency: self.latency.with_label_values(labels),
            unstamped: self.unstamped.with_label_values(labels),
            undated: self.undated.with_label_values(labels),
            stamp_from_future: self.stamp_from_future.with_label_values(labels),
            source_from_future: self.source_from_future.with_label_values(labels),
            lost: self.lost.with_label_values(labels),
            untracked: self.untracked.with_label_values(labels),
            take_failed: self.rejected(scope, topic, TAKE_FAILED),
            publishers: self.publishers.with_label_values(labels),
            status: self.statuses.iter().map(of_status).collect(),
        }
    }

    /// Takes away the children of a topic, but for those of [`Families::rejected`].
    pub fn forget(&self, scope: &[&str], topic: &str) {
        let labels = &[scope, &[topic]].concat()[..];
        for family in [&self.interval, &self.age, &self.latency] {
            family.forget(labels);
        }
        let counters = [
            &self.messages,
            &self.unstamped,
            &self.undated,
            &self.stamp_from_future,
            &self.source_from_future,
            &self.lost,
            &self.untracked,
        ];
        for family in counters {
            family.forget(labels);
        }
        self.publishers.forget(labels);
        for status in self.statuses {
            self.status.forget(&[labels, &[status.name()]].concat());
        }
        self.forget_rejected(scope, topic, TAKE_FAILED);
    }

    /// Takes away the counter of [`Families::rejected`].
    pub fn forget_rejected(&self, scope: &[&str], topic: &str, reason: &str) {
        self.rejected.forget(&[scope, &[topic, reason]].concat());
    }

    /// The counter of a topic's messages that were rejected for a reason; from now on it shows.
    pub fn rejected(&self, scope: &[&str], topic: &str, reason: &str) -> IntCounter {
        self.rejected.with_label_values(&[scope, &[topic, reason]].concat())
    }
}

impl TopicMetrics {
    /// Shows the state that holds, and no other.
    pub fn set_status(&self, status: TopicStatus) {
        self.status.iter().for_each(|(state, gauge)| gauge.set(i64::from(*state == status)));
    }

    /// Shows how many publishers match.
    pub fn set_publishers(&self, matched: usize) {
        self.publishers.set(matched as i64);
    }

    /// Counts publishers that are not told apart, since there are too many.
    pub fn count_untracked(&self, publishers: usize) {
        self.untracked.inc_by(publishers as u64);
    }

    /// Shows how many messages were announced since the start and then not handed out.
    pub fn set_take_failed(&self, failed: u64) {
        self.take_failed.inc_by(failed.saturating_sub(self.take_failed.get()));
    }
}

fn register_processing(registry: &Registry) -> Result<Histogram> {
    let options = HistogramOpts::new("ros_processing_time_seconds", "Time that we spent on a message.")
        .buckets(PROCESSING_BUCKETS_SECONDS.to_vec());
    let family = Histogram::with_opts(options)?;
    registry.register(Box::new(family.clone())).map(|()| family)
}
