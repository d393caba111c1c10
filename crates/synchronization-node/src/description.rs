//! The robot's description: which joints turn endlessly, and what they may be told.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;

use cdr::Reader;
use joint_limits::{BadDescription, Description, Motion};
use prometheus::IntCounter;
use r2r::std_msgs::msg::String as Text;
use ros_observer::{Error, Node, Qos, Spinner, Subscription, TakeIn};
use topic_watch::Unserving;
use twin_sync::JointLimits;

/// Descriptions that may wait for the ticking thread, which takes them all at each tick.
pub(crate) const WAITING_MAX: usize = 16;

/// By the joint's name.
pub(crate) type LimitsOfJoints = HashMap<String, JointLimits>;

/// The topic of the description, and who on it does not serve this node.
pub(crate) struct RobotDescription {
    topic: String,
    subscription: Subscription,
    rejected: IntCounter,
    unserving: Unserving,
    /// Whether the log was told of one that does not serve.
    is_told: bool,
}

impl RobotDescription {
    /// Follows the description. What is read goes to `limits`; what cannot be is counted.
    pub(crate) fn follow(
        node: &Node,
        spinner: &mut Spinner,
        topic: &str,
        limits: SyncSender<LimitsOfJoints>,
        rejected: IntCounter,
    ) -> Result<Self, Error> {
        let (name, counter) = (topic.to_owned(), rejected.clone());
        let take = move |message: &[u8], _: &_| take(message, &name, &limits, &counter);
        let subscription = Subscription::new::<Text>(node, topic, Qos::latched(1), TakeIn::WaitSet, take)?;
        spinner.add_subscription(&subscription);
        let unserving = Unserving::default();
        Ok(Self { topic: topic.to_owned(), subscription, rejected, unserving, is_told: false })
    }

    /// Counts publishers whose descriptions do not come at all, as those that are not latched, and tells of the first.
    pub(crate) fn look(&mut self) {
        let (found, reason) = match self.unserving.found(&self.subscription) {
            Ok(found) => found,
            Err(error) => return tracing::warn!(topic = self.topic, %error, "who describes the robot is not known"),
        };
        self.rejected.inc_by(found);
        if found > 0 && !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                topic = self.topic,
                error = reason,
                "a robot's description does not come; others are counted"
            );
        }
    }
}

fn take(message: &[u8], topic: &str, limits: &SyncSender<LimitsOfJoints>, rejected: &IntCounter) {
    match read(message) {
        Ok(found) => {
            tracing::info!(topic, joints = found.len(), "a robot's description");
            if limits.try_send(found).is_err() {
                rejected.inc();
                tracing::warn!(topic, "descriptions come faster than they are taken: one before it stays");
            }
        }
        Err(error) => {
            rejected.inc();
            tracing::warn!(topic, %error, "a robot's description cannot be read: the one before stays");
        }
    }
}

fn read(message: &[u8]) -> Result<LimitsOfJoints, String> {
    let mut reader = Reader::open(message).map_err(|fault| fault.to_string())?;
    let text = reader.string().map_err(|fault| fault.to_string())?;
    let urdf = str::from_utf8(text).map_err(|error| error.to_string())?;
    let description = Description::read(urdf).map_err(|error: BadDescription| error.to_string())?;
    let of_joint = |(name, limits): (&str, &joint_limits::Limits)| {
        let limits = JointLimits {
            is_continuous: limits.motion == Motion::EndlessRotation,
            position: limits.position.clone(),
            velocity: limits.velocity,
        };
        (name.to_owned(), limits)
    };
    Ok(description.joints().map(of_joint).collect())
}
