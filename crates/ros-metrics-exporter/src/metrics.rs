//! The families of metrics that are about joints, but for their values, which [`crate::joint_series`] renders from a
//! snapshot; and a topic's share of all families.

use joint_state::Fault;
use prometheus::{IntCounter, IntCounterVec, Registry, Result};
use topic_watch::{Registrar, STATUSES, TopicMetrics};

/// Every family, for all topics.
pub(crate) struct Families {
    topic: topic_watch::Families,
    nonfinite: IntCounterVec,
    torn: IntCounterVec,
}

/// The children of one topic, found once so that counting needs no look-up.
#[derive(Clone)]
pub(crate) struct JointTopicMetrics {
    pub(crate) topic: TopicMetrics,
    /// In the order of [`Fault::ALL`].
    pub(crate) rejected: [IntCounter; Fault::ALL.len()],
    /// Position, velocity, effort.
    pub(crate) nonfinite: [IntCounter; 3],
    pub(crate) torn: IntCounter,
}

impl Families {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let registrar = Registrar::new(registry, &["topic_name"]);
        Ok(Self {
            topic: topic_watch::Families::register(registry, &[], STATUSES)?,
            nonfinite: registrar.counter(
                "ros_joint_nonfinite_total",
                "Values that were NaN, which stands for no value, or infinite.",
                &["field"],
            )?,
            torn: registrar.counter(
                "ros_joint_torn_snapshots_total",
                "Scrapes that show joint values of more than one moment, since messages left no gap to read in.",
                &[],
            )?,
        })
    }

    /// The children of a topic; from now on all of them show.
    pub(crate) fn of_topic(&self, topic: &str) -> JointTopicMetrics {
        JointTopicMetrics {
            topic: self.topic.of_topic(&[], topic),
            rejected: Fault::ALL.map(|fault| self.topic.rejected(&[], topic, fault.reason())),
            nonfinite: ["position", "velocity", "effort"]
                .map(|field| self.nonfinite.with_label_values(&[topic, field])),
            torn: self.torn.with_label_values(&[topic]),
        }
    }
}
