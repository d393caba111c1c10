//! The hot path: what happens to a message in the thread that received it.
//!
//! Invariant: no lock, no channel, no logging, and, once the joints of a publisher are known, no allocation.

use std::time::Instant;

use joint_state::{Fault, FaultSet, NonFinite, Recorder};
use node_runtime::{MonotonicClock, RosClock};
use ros_observer::MessageInfo;
use topic_watch::Arrivals;

use crate::metrics::JointTopicMetrics;

/// Takes the messages of one topic.
pub(crate) struct Intake {
    pub(crate) recorder: Recorder,
    pub(crate) arrivals: Arrivals,
    pub(crate) metrics: JointTopicMetrics,
    pub(crate) clock: MonotonicClock,
    pub(crate) ros_clock: RosClock,
}

impl Intake {
    /// Records one serialized message and counts all that is to be known of it.
    pub(crate) fn take(&mut self, message: &[u8], info: &MessageInfo) {
        let arrival = Instant::now();
        let arrival_ns = self.clock.nanoseconds(arrival);
        self.arrivals.count(arrival_ns, info);
        match self.recorder.record(message, arrival_ns) {
            Ok(recorded) => {
                let ros_time_ns = self.ros_clock.at_reception_ns(info.received_timestamp_ns);
                self.arrivals.count_recorded(arrival_ns);
                self.arrivals.count_stamp(recorded.stamp.nanoseconds(), ros_time_ns);
                self.count_faults(recorded.faults);
                self.count_non_finite(recorded.non_finite);
            }
            Err(fault) => self.count_fault(fault),
        }
        self.metrics.topic.processing.observe(arrival.elapsed().as_secs_f64());
    }

    fn count_faults(&self, faults: FaultSet) {
        if !faults.is_empty() {
            faults.iter().for_each(|fault| self.count_fault(fault));
        }
    }

    fn count_fault(&self, fault: Fault) {
        if let Some(index) = Fault::ALL.iter().position(|known| *known == fault) {
            self.metrics.rejected[index].inc();
        }
    }

    fn count_non_finite(&self, seen: NonFinite) {
        for (counter, count) in self.metrics.nonfinite.iter().zip([seen.position, seen.velocity, seen.effort]) {
            // Adding nothing costs an atomic operation too.
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use joint_state::Recorder;
    use prometheus::Registry;
    use r2r::WrappedTypesupport;
    use r2r::builtin_interfaces::msg::Time;
    use r2r::sensor_msgs::msg::JointState;
    use r2r::std_msgs::msg::Header;
    use ros_observer::Gid;

    use super::*;
    use crate::metrics::Families;

    fn intake() -> Intake {
        let families = Families::register(&Registry::new()).expect("names that do not clash");
        let metrics = families.of_topic("/joint_states");
        Intake {
            recorder: Recorder::new(10_000, u64::MAX),
            arrivals: Arrivals::new(metrics.topic.clone()),
            metrics,
            clock: MonotonicClock::new(),
            ros_clock: RosClock::system(),
        }
    }

    fn message(joints: usize, position: f64) -> Vec<u8> {
        let stamp = Time { sec: 1, nanosec: 0 };
        JointState {
            header: Header { stamp, ..Header::default() },
            name: (0..joints).map(|joint| format!("joint_{joint}")).collect(),
            position: vec![position; joints],
            velocity: vec![0.5; joints],
            effort: vec![0.5; joints],
        }
        .to_serialized_bytes()
        .expect("a serialized message")
    }

    fn info(publication_sequence: u64) -> MessageInfo {
        MessageInfo {
            publisher: Gid::default(),
            publication_sequence,
            source_timestamp_ns: 2_000_000_000,
            received_timestamp_ns: 2_000_000_500,
        }
    }

    #[test]
    fn what_has_been_seen_before_allocates_nothing() {
        for joints in [0, 7, 50, 500] {
            let mut intake = intake();
            // Good, with NaN, and cut off in the middle; with a gap in the sequence before each.
            let (good, nan) = (message(joints, 1.0), message(joints, f64::NAN));
            let messages = [&good[..], &nan, &good[..good.len() / 2]];
            let mut sequence = 0;
            let mut take_all = || {
                for message in messages {
                    sequence += 2;
                    intake.take(message, &info(sequence));
                }
            };
            let first = measure(&mut take_all);
            assert_ne!(first.count_total, 0, "the counter counts");
            let allocated = measure(|| (0..10).for_each(|_| take_all()));
            assert_eq!(allocated.count_total, 0, "{joints} joints");
            let metrics = &intake.metrics;
            let rejected: u64 = metrics.rejected.iter().map(|counter| counter.get()).sum();
            assert_eq!((metrics.topic.messages.get(), rejected), (22, 11), "{joints} joints");
            assert_eq!((metrics.topic.lost.get(), metrics.topic.age.get_sample_count()), (32, 22), "{joints} joints");
        }
    }
}
