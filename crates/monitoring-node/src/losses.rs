//! Messages that are missing on what is followed beside the topics that are watched: diagnostics, joint states, commands.

use std::num::NonZeroUsize;

use node_runtime::MonotonicClock;
use prometheus::{IntCounter, IntCounterVec};
use ros_observer::{Gid, MessageInfo};
use stream_statistics::SequenceTracker;
use topic_watch::Forget;

use crate::metrics::Scope;

/// Counts the messages missing on one topic, in the sequence numbers of its publishers. The series shows from the start and
/// goes when this goes, with the subscription that holds it.
pub(crate) struct Losses {
    sequences: SequenceTracker<Gid>,
    clock: MonotonicClock,
    lost: IntCounter,
    family: IntCounterVec,
    labels: [String; 3],
}

impl Losses {
    /// For a family with the labels domain, robot and topic_name; so many publishers are followed at a time.
    pub(crate) fn new(family: &IntCounterVec, scope: &Scope, topic: &str, publishers_max: NonZeroUsize) -> Self {
        let [domain, robot] = scope.labels();
        let labels = [domain, robot, topic].map(str::to_owned);
        Self {
            sequences: SequenceTracker::with_capacity(publishers_max),
            clock: MonotonicClock::new(),
            lost: family.with_label_values(&labels),
            family: family.clone(),
            labels,
        }
    }

    /// Takes where a message came from.
    pub(crate) fn observe(&mut self, info: &MessageInfo) {
        self.lost.inc_by(self.sequences.observe(info.publisher, info.publication_sequence, self.clock.now_ns()));
    }
}

impl Drop for Losses {
    fn drop(&mut self) {
        self.family.forget(&self.labels);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;
    use prometheus::core::Collector;

    use super::*;

    #[test]
    fn gaps_are_counted_by_publisher_and_the_series_goes_with_the_subscription() {
        let family = IntCounterVec::new(Opts::new("lost_total", "Help."), &["domain", "robot", "topic_name"]);
        let family = family.expect("a legal family");
        let scope = Scope { domain: "0".into(), robot: String::new() };
        let mut losses = Losses::new(&family, &scope, "/joint_states", NonZeroUsize::MIN.saturating_add(1));
        for (publisher, publication_sequence) in [(1, 5), (1, 6), (2, 9), (1, 9), (2, 10)] {
            let publisher = [publisher; size_of::<Gid>()];
            losses.observe(&MessageInfo {
                publisher,
                publication_sequence,
                source_timestamp_ns: 0,
                received_timestamp_ns: 0,
            });
        }
        assert_eq!(family.with_label_values(&["0", "", "/joint_states"]).get(), 2);
        drop(losses);
        assert!(family.collect().iter().all(|family| family.get_metric().is_empty()));
    }
}
