//! The values of joints, of every topic that carries them, while somebody looks.

use std::sync::Arc;

use joint_limits::STALE_AFTER_NS;
use joint_state::{Board, Recorder};

use super::audience::Audience;
use super::event::JOINTS_MAX;

/// The type whose messages have joints.
const TYPE: &str = "sensor_msgs/msg/JointState";

/// Of one topic: one more than an event tells of, from which it is known that there are more.
const JOINTS_OF_TOPIC_MAX: u32 = JOINTS_MAX as u32 + 1;

/// Takes the joints out of the messages of one topic.
#[derive(Debug)]
pub(crate) struct JointValues {
    recorder: Recorder,
    audience: Arc<Audience>,
}

impl JointValues {
    /// None where messages of the type have no joints.
    pub(crate) fn of_type(message_type: &str, audience: &Arc<Audience>) -> Option<Self> {
        let recorder = || Recorder::new(JOINTS_OF_TOPIC_MAX, STALE_AFTER_NS);
        (message_type == TYPE).then(|| Self { recorder: recorder(), audience: Arc::clone(audience) })
    }

    /// Where the values can be read.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.recorder.board()
    }

    /// Runs where messages are received: takes no lock, and allocates nothing for names that are known.
    pub(crate) fn take(&mut self, message: &[u8], arrival_ns: u64) {
        if self.audience.is_there(arrival_ns) {
            // What cannot be read shows no joint. The message itself was counted, and its faults are for ros_metrics_exporter to tell.
            let _ = self.recorder.record(message, arrival_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use joint_state::Snapshot;
    use r2r::WrappedTypesupport;
    use r2r::sensor_msgs::msg::JointState;

    use super::*;

    fn message(joint: &str) -> Vec<u8> {
        let state = JointState { name: vec![joint.into()], position: vec![0.5], ..Default::default() };
        state.to_serialized_bytes().expect("a serialized message")
    }

    #[test]
    fn values_are_taken_while_somebody_looks_and_nothing_is_allocated_for_them() {
        let audience = Arc::<Audience>::default();
        let mut joints = JointValues::of_type(TYPE, &audience).expect("a type with joints");
        let board = joints.board();
        let known = |now_ns| {
            let mut snapshot = Snapshot::default();
            board.snapshot(now_ns, &mut snapshot);
            snapshot.joints().map(|(name, sample)| (name.to_owned(), sample.position)).collect::<Vec<_>>()
        };
        let [elbow, wrist] = ["elbow", "wrist"].map(message);
        joints.take(&elbow, 1);
        assert_eq!(known(1), []);
        audience.look(1);
        joints.take(&elbow, 2);
        assert_eq!(known(2), [("elbow".to_owned(), 0.5)]);
        let allocated = measure(|| (3..10).for_each(|now_ns| joints.take(&elbow, now_ns)));
        assert_eq!(allocated.count_total, 0);
        let later_ns = 1_000_000_000_000;
        joints.take(&wrist, later_ns);
        assert_eq!(known(later_ns), [], "nobody looks any more, and what was known is too old");
    }

    #[test]
    fn other_types_have_no_joints() {
        assert!(JointValues::of_type("sensor_msgs/msg/Imu", &Arc::default()).is_none());
    }
}
