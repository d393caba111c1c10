//! The families that are counted as messages arrive: name, labels, help and buckets of each stand here alone.
//!
//! The values of joints are not here: [`crate::joint_series`] renders them from a snapshot.

use joint_state::Fault;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

use crate::status::TopicStatus;

const PROCESSING_BUCKETS_SECONDS: &[f64] = &[1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1];
const INTERVAL_BUCKETS_SECONDS: &[f64] =
    &[1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const AGE_BUCKETS_SECONDS: &[f64] =
    &[1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const LATENCY_BUCKETS_SECONDS: &[f64] =
    &[2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0];

const TOPIC: &str = "topic_name";

/// Every family, for all topics.
pub(crate) struct Families {
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
    nonfinite: IntCounterVec,
    publishers: IntGaugeVec,
    status: IntGaugeVec,
    torn: IntCounterVec,
}

/// The children of one topic, found once so that counting needs no look-up.
#[derive(Clone)]
pub(crate) struct TopicMetrics {
    pub(crate) messages: IntCounter,
    pub(crate) processing: Histogram,
    pub(crate) interval: Histogram,
    pub(crate) age: Histogram,
    pub(crate) latency: Histogram,
    pub(crate) unstamped: IntCounter,
    pub(crate) undated: IntCounter,
    pub(crate) stamp_from_future: IntCounter,
    pub(crate) source_from_future: IntCounter,
    pub(crate) lost: IntCounter,
    pub(crate) untracked: IntCounter,
    /// In the order of [`Fault::ALL`].
    pub(crate) rejected: [IntCounter; Fault::ALL.len()],
    pub(crate) take_failed: IntCounter,
    /// Position, velocity, effort.
    pub(crate) nonfinite: [IntCounter; 3],
    pub(crate) publishers: IntGauge,
    /// In the order of [`TopicStatus::ALL`].
    pub(crate) status: [IntGauge; TopicStatus::ALL.len()],
    pub(crate) torn: IntCounter,
}

impl Families {
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec> {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec> {
            let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| -> Result<HistogramVec> {
            let family = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &[TOPIC])?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        Ok(Self {
            messages: counter("ros_message_count_total", "Messages recorded, in whole or in part.", &[TOPIC])?,
            processing: register_processing(registry)?,
            interval: histogram(
                "ros_message_interval_seconds",
                "Time between one message and the next of the topic, by arrival.",
                INTERVAL_BUCKETS_SECONDS,
            )?,
            age: histogram(
                "ros_message_age_seconds",
                "Age of a message when it was received: ROS time less the stamp in its header.",
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
                &[TOPIC],
            )?,
            undated: counter(
                "ros_message_undated_total",
                "Messages of no known age, since /clock has told no ROS time yet (use_sim_time).",
                &[TOPIC],
            )?,
            stamp_from_future: counter(
                "ros_message_from_future_total",
                "Messages with a stamp ahead of ROS time here, of no known age.",
                &[TOPIC],
            )?,
            source_from_future: counter(
                "ros_transport_from_future_total",
                "Messages published, by their sender's clock, after they were received: the hosts' clocks disagree.",
                &[TOPIC],
            )?,
            lost: counter(
                "ros_messages_lost_total",
                "Messages missing in the sequence numbers of a publisher.",
                &[TOPIC],
            )?,
            untracked: counter(
                "ros_publishers_untracked_total",
                "Publishers whose sequence numbers were given up for those of others, of which there are too many.",
                &[TOPIC],
            )?,
            rejected: counter(
                "ros_messages_rejected_total",
                "Messages refused, or recorded without some of their joints, by reason.",
                &[TOPIC, "reason"],
            )?,
            nonfinite: counter(
                "ros_joint_nonfinite_total",
                "Values that were NaN, which stands for no value, or infinite.",
                &[TOPIC, "field"],
            )?,
            publishers: gauge("ros_topic_publishers", "Publishers of the right type and compatible QoS.", &[TOPIC])?,
            status: gauge(
                "ros_topic_status",
                "Why the topic has data or has none: 1 for the one state that holds.",
                &[TOPIC, "status"],
            )?,
            torn: counter(
                "ros_joint_torn_snapshots_total",
                "Scrapes that show joint values of more than one moment, since messages left no gap to read in.",
                &[TOPIC],
            )?,
        })
    }

    /// The children of a topic; from now on all of them show.
    pub(crate) fn of_topic(&self, topic: &str) -> TopicMetrics {
        let rejected = |reason| self.rejected.with_label_values(&[topic, reason]);
        TopicMetrics {
            messages: self.messages.with_label_values(&[topic]),
            processing: self.processing.clone(),
            interval: self.interval.with_label_values(&[topic]),
            age: self.age.with_label_values(&[topic]),
            latency: self.latency.with_label_values(&[topic]),
            unstamped: self.unstamped.with_label_values(&[topic]),
            undated: self.undated.with_label_values(&[topic]),
            stamp_from_future: self.stamp_from_future.with_label_values(&[topic]),
            source_from_future: self.source_from_future.with_label_values(&[topic]),
            lost: self.lost.with_label_values(&[topic]),
            untracked: self.untracked.with_label_values(&[topic]),
            rejected: Fault::ALL.map(|fault| rejected(fault.reason())),
            take_failed: rejected("take_failed"),
            nonfinite: ["position", "velocity", "effort"]
                .map(|field| self.nonfinite.with_label_values(&[topic, field])),
            publishers: self.publishers.with_label_values(&[topic]),
            status: TopicStatus::ALL.map(|status| self.status.with_label_values(&[topic, status.name()])),
            torn: self.torn.with_label_values(&[topic]),
        }
    }
}

fn register_processing(registry: &Registry) -> Result<Histogram> {
    let options = HistogramOpts::new("ros_processing_time_seconds", "Time that we spent on a message.")
        .buckets(PROCESSING_BUCKETS_SECONDS.to_vec());
    let family = Histogram::with_opts(options)?;
    registry.register(Box::new(family.clone())).map(|()| family)
}
