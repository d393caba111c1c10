//! The node's own metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, Result};
use topic_watch::Registrar;
use unity_protocol::{Fault, FrameError};

use crate::faults::{Closing, Operation, Refusal};
use crate::lock::lock;

/// Names that clients choose and that have series of their own; those of all others are summed up.
const NAMES_MAX: usize = 1000;

/// What the sum goes by. No name in ROS is like this.
const OTHERS: &str = "(others)";

/// The kind of error that only time tells of: the second frame of a call did not come.
pub(crate) const INCOMPLETE_CALL: &str = "incomplete_call";

/// From what a write takes to what a person takes for a stop.
const AGE_BUCKETS: [f64; 10] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

/// Up to the longest time-out that makes sense.
const DURATION_BUCKETS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// In which direction a service call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// A client asks a service of ROS.
    FromClient,
    /// ROS asks a service that a client offers.
    ToClient,
}

impl Direction {
    fn label(self) -> &'static str {
        match self {
            Self::FromClient => "from_client",
            Self::ToClient => "to_client",
        }
    }
}

/// Every family. Cheap to clone; clones count into the same series.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) clients: IntGauge,
    pub(crate) connections: IntCounter,
    pub(crate) refused_connections: IntCounter,
    disconnections: IntCounterVec,
    pub(crate) frames_received: IntCounter,
    frames_sent: IntCounter,
    pub(crate) bytes_received: IntCounter,
    bytes_sent: IntCounter,
    protocol_errors: IntCounterVec,
    refusals: IntCounterVec,
    pub(crate) untold_errors: IntCounter,
    pub(crate) unregistered_messages: IntCounter,
    messages_sent: IntCounterVec,
    dropped: IntCounterVec,
    lost: IntCounterVec,
    queue_age: HistogramVec,
    published: IntCounterVec,
    unpublished: IntCounterVec,
    suppressed_echoes: IntCounterVec,
    requests: IntCounterVec,
    timeouts: IntCounterVec,
    durations: HistogramVec,
    topics: Names,
    services: Names,
}

/// What is counted of a topic that clients subscribe to, all clients together.
#[derive(Clone)]
pub(crate) struct FollowedMetrics {
    pub(crate) sent: IntCounter,
    pub(crate) dropped_for_depth: IntCounter,
    pub(crate) dropped_for_bytes: IntCounter,
    pub(crate) lost: IntCounter,
    pub(crate) queue_age: Histogram,
    pub(crate) suppressed_echoes: IntCounter,
}

/// What is counted of a topic that clients publish, all clients together.
#[derive(Clone)]
pub(crate) struct PublishedMetrics {
    pub(crate) published: IntCounter,
    pub(crate) unpublished: IntCounter,
}

/// What is counted of a service, all clients together.
#[derive(Clone)]
pub(crate) struct ServiceMetrics {
    pub(crate) requests: IntCounter,
    pub(crate) timeouts: IntCounter,
    pub(crate) duration: Histogram,
}

/// Names that have series of their own, as they came.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeSet<String>>>);

impl Names {
    fn label<'a>(&self, name: &'a str) -> &'a str {
        let mut known = lock(&self.0);
        if known.contains(name) || (known.len() < NAMES_MAX && known.insert(name.to_owned())) { name } else { OTHERS }
    }
}

impl Metrics {
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let all = Registrar::new(registry, &[]);
        let counter = |name: &str, help: &str| all.add(IntCounter::new(name, help)?);
        let by_topic = Registrar::new(registry, &["topic_name"]);
        let by_service = Registrar::new(registry, &["service_name", "direction"]);
        let metrics = Self {
            clients: all.add(IntGauge::new("unity_bridge_clients", "Clients that are connected.")?)?,
            connections: counter("unity_bridge_connections_total", "Clients that have connected.")?,
            refused_connections: counter(
                "unity_bridge_refused_connections_total",
                "Connections that were closed at once, since max_clients were there.",
            )?,
            disconnections: all.counter(
                "unity_bridge_disconnections_total",
                "Clients that have gone or were sent away.",
                &["reason"],
            )?,
            frames_received: counter("unity_bridge_frames_received_total", "Frames from clients, keepalives too.")?,
            frames_sent: counter("unity_bridge_frames_sent_total", "Writes to clients: a frame, or those of a call.")?,
            bytes_received: counter("unity_bridge_received_bytes_total", "Bytes from clients.")?,
            bytes_sent: counter("unity_bridge_sent_bytes_total", "Bytes to clients.")?,
            protocol_errors: all.counter(
                "unity_bridge_protocol_errors_total",
                "Frames of clients that were not understood.",
                &["kind"],
            )?,
            refusals: all.counter(
                "unity_bridge_refusals_total",
                "What clients wanted and did not get.",
                &["operation", "reason"],
            )?,
            untold_errors: counter(
                "unity_bridge_untold_errors_total",
                "Errors that their client was not told of, since there were too many.",
            )?,
            unregistered_messages: counter(
                "unity_bridge_unregistered_messages_total",
                "Messages to topics that their client has not registered, which were dropped.",
            )?,
            messages_sent: by_topic.counter("unity_bridge_messages_sent_total", "Messages written to clients.", &[])?,
            dropped: by_topic.counter(
                "unity_bridge_messages_dropped_total",
                "Messages for clients that did not read them in time.",
                &["reason"],
            )?,
            lost: by_topic.counter(
                "unity_bridge_messages_lost_total",
                "Messages missing in the sequence numbers of publishers, for each client since it subscribed.",
                &[],
            )?,
            queue_age: by_topic.histogram(
                "unity_bridge_queue_age_seconds",
                "Time that messages waited to be written.",
                &AGE_BUCKETS,
            )?,
            published: by_topic.counter("unity_bridge_messages_published_total", "Messages of clients to ROS.", &[])?,
            unpublished: by_topic.counter(
                "unity_bridge_messages_unpublished_total",
                "Messages of clients that the middleware did not take.",
                &[],
            )?,
            suppressed_echoes: by_topic.counter(
                "unity_bridge_suppressed_echoes_total",
                "Messages not sent to the client that they came from.",
                &[],
            )?,
            requests: by_service.counter("unity_bridge_service_requests_total", "Requests passed on.", &[])?,
            timeouts: by_service.counter(
                "unity_bridge_service_timeouts_total",
                "Requests without a response within service_timeout.",
                &[],
            )?,
            durations: by_service.histogram(
                "unity_bridge_service_duration_seconds",
                "From a request to its response.",
                &DURATION_BUCKETS,
            )?,
            topics: Names::default(),
            services: Names::default(),
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// What has not happened yet shows as 0.
    fn show_zeros(&self) {
        for kind in Fault::KINDS.into_iter().chain(FrameError::KINDS).chain([INCOMPLETE_CALL]) {
            drop(self.protocol_errors.with_label_values(&[kind]));
        }
        for reason in Closing::REASONS {
            drop(self.disconnections.with_label_values(&[reason]));
        }
    }

    pub(crate) fn followed(&self, topic: &str) -> FollowedMetrics {
        let topic = self.topics.label(topic);
        FollowedMetrics {
            sent: self.messages_sent.with_label_values(&[topic]),
            dropped_for_depth: self.dropped.with_label_values(&[topic, "queue_size"]),
            dropped_for_bytes: self.dropped.with_label_values(&[topic, "max_queued_bytes"]),
            lost: self.lost.with_label_values(&[topic]),
            queue_age: self.queue_age.with_label_values(&[topic]),
            suppressed_echoes: self.suppressed_echoes.with_label_values(&[topic]),
        }
    }

    pub(crate) fn published(&self, topic: &str) -> PublishedMetrics {
        let topic = self.topics.label(topic);
        PublishedMetrics {
            published: self.published.with_label_values(&[topic]),
            unpublished: self.unpublished.with_label_values(&[topic]),
        }
    }

    pub(crate) fn service(&self, service: &str, direction: Direction) -> ServiceMetrics {
        let labels = [self.services.label(service), direction.label()];
        ServiceMetrics {
            requests: self.requests.with_label_values(&labels),
            timeouts: self.timeouts.with_label_values(&labels),
            duration: self.durations.with_label_values(&labels),
        }
    }

    /// Counts a write.
    pub(crate) fn sent(&self, bytes: usize) {
        self.frames_sent.inc();
        self.bytes_sent.inc_by(bytes as u64);
    }

    pub(crate) fn protocol_error(&self, kind: &str) {
        self.protocol_errors.with_label_values(&[kind]).inc();
    }

    pub(crate) fn refused(&self, operation: Operation, refusal: &Refusal) {
        self.refusals.with_label_values(&[operation.label(), refusal.reason()]).inc();
    }

    pub(crate) fn disconnected(&self, closing: &Closing) {
        self.disconnections.with_label_values(&[closing.reason()]).inc();
    }

    /// Counts the end of a connection, if it ends for what was not understood.
    pub(crate) fn protocol_error_of(&self, closing: &Closing) {
        if let Closing::Frame(error) = closing {
            self.protocol_error(error.kind());
        }
    }
}

#[cfg(test)]
impl FollowedMetrics {
    /// For tests of what counts.
    pub(crate) fn unregistered() -> Self {
        Metrics::register(&Registry::new()).expect("new names").followed("/chatter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_are_summed_up() {
        let metrics = Metrics::register(&Registry::new()).expect("new names");
        for index in 0..NAMES_MAX {
            metrics.followed(&format!("/topic{index}")).sent.inc();
        }
        for topic in ["/one", "/more", "/topic0"] {
            metrics.followed(topic).sent.inc();
        }
        assert_eq!([metrics.followed("/any").sent.get(), metrics.followed("/topic0").sent.get()], [2, 2]);
    }
}
