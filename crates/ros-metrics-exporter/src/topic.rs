//! One watched topic: its subscription, and where its joints and rejections show.

use std::sync::Arc;
use std::time::{Duration, Instant};

use joint_state::{Board, Fault, Recorder};
use node_runtime::{MonotonicClock, RosClock};
use r2r::sensor_msgs::msg::JointState;
use ros_observer::{Error, Node, Qos, Subscription, TakeIn};
use topic_watch::{Arrivals, FollowedTopic, Publishers, Rejections, TopicStatus};

use crate::intake::Intake;
use crate::metrics::{Families, JointTopicMetrics};

const TYPE: &str = "sensor_msgs/msg/JointState";

/// What all topics are watched with.
pub(crate) struct Watch<'a> {
    pub(crate) node: &'a Node,
    pub(crate) families: &'a Families,
    pub(crate) clock: MonotonicClock,
    pub(crate) ros_clock: &'a RosClock,
    pub(crate) qos: Qos,
    pub(crate) take_in: TakeIn,
    pub(crate) max_joints: u32,
    pub(crate) forget_after_ns: u64,
}

/// A topic as the ROS thread sees it.
pub(crate) struct Topic {
    followed: FollowedTopic,
    rejections: Rejections,
    view: Arc<TopicView>,
}

/// A topic as the web server sees it.
pub(crate) struct TopicView {
    pub(crate) metrics: JointTopicMetrics,
    pub(crate) board: Arc<Board>,
    followed: Arc<topic_watch::TopicView>,
}

impl Topic {
    /// Subscribes to the topic of this full name.
    pub(crate) fn watch(with: &Watch<'_>, name: String) -> Result<Self, Error> {
        let metrics = with.families.of_topic(&name);
        let recorder = Recorder::new(with.max_joints, with.forget_after_ns);
        let arrivals = Arrivals::new(metrics.topic.clone());
        let (board, last_recorded_ns) = (recorder.board(), arrivals.last_recorded_ns());
        let mut intake = Intake {
            recorder,
            arrivals,
            metrics: metrics.clone(),
            clock: with.clock,
            ros_clock: with.ros_clock.clone(),
        };
        let subscription =
            Subscription::new::<JointState>(with.node, &name, with.qos, with.take_in, move |message, info| {
                intake.take(message, info);
            })?;
        let followed = FollowedTopic::new(with.node, name, TYPE, subscription, metrics.topic.clone(), last_recorded_ns);
        let rejected = metrics.rejected.iter().cloned().zip(Fault::ALL);
        Ok(Self {
            rejections: Rejections::new(rejected.map(|(counter, fault)| (counter, fault.reason(), fault.to_string()))),
            view: Arc::new(TopicView { metrics, board, followed: followed.view() }),
            followed,
        })
    }

    pub(crate) fn subscription(&self) -> &Subscription {
        self.followed.subscription()
    }

    pub(crate) fn view(&self) -> Arc<TopicView> {
        Arc::clone(&self.view)
    }

    /// Looks at the publishers again, and tells what was rejected.
    pub(crate) fn look(&mut self, graph_changed: bool, now: Instant) -> Result<(), Error> {
        self.rejections.tell(self.view.name(), now);
        self.followed.look(graph_changed, now)
    }
}

impl TopicView {
    /// The topic's full name, after remapping.
    pub(crate) fn name(&self) -> &str {
        &self.followed.name
    }

    pub(crate) fn publishers(&self) -> Publishers {
        self.followed.publishers()
    }

    pub(crate) fn status(&self, now_ns: u64, stale_after_ns: u64) -> TopicStatus {
        self.followed.status(now_ns, stale_after_ns)
    }

    /// For how long messages have been waiting and none was taken, as far as those who ask have seen.
    pub(crate) fn stuck_for(&self, now_ns: u64) -> Duration {
        self.followed.stuck_for(now_ns)
    }

    /// Brings the gauges that depend on the moment up to date.
    pub(crate) fn set_gauges(&self, now_ns: u64, stale_after_ns: u64) {
        self.followed.set_gauges(now_ns, stale_after_ns);
    }
}
