//! The values of joints, of every topic that carries them, while somebody looks.

use std::sync::Arc;

use joint_state::{Board, Recorder};

use super::audience::Audience;

/// The type whose messages have joints.
const TYPE: &str = "sensor_msgs/msg/JointState";

/// Joints of one topic that are kept.
const JOINTS_MAX: u32 = 1000;

/// A joint that no message has named for so long is not shown any more.
const FORGET_AFTER_NS: u64 = 5_000_000_000;

/// Takes the joints out of the messages of one topic.
#[derive(Debug)]
pub(crate) struct JointValues {
    recorder: Recorder,
    audience: Arc<Audience>,
}

impl JointValues {
    /// None where messages of the type have no joints.
    pub(crate) fn of_type(message_type: &str, audience: &Arc<Audience>) -> Option<Self> {
        let recorder = || Recorder::new(JOINTS_MAX, FORGET_AFTER_NS);
        (message_type == TYPE).then(|| Self { recorder: recorder(), audience: Arc::clone(audience) })
    }

    /// Where the values can be read.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.recorder.board()
    }

    /// Runs where messages are received: takes no lock, and allocates nothing for names that are known.
    pub(crate) fn take(&mut self, message: &[u8], arrival_ns: u64) {
        if self.audience.is_there(arrival_ns) {
            // What cannot be read shows no joint. It is counted where it is the page's business: at the robots' own topics.
            let _ = self.recorder.record(message, arrival_ns);
        }
    }
}
