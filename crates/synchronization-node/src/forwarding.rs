//! Commands that the robot gets, passed on to the twin in its own names and senses, within the limits of its joints.
//!
//! A trajectory goes on as a whole or not at all: without the joints that may not be told anything it would be another one.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use prometheus::IntCounter;
use r2r::WrappedTypesupport;
use r2r::builtin_interfaces::msg::{Duration, Time};
use r2r::trajectory_msgs::msg::{JointTrajectory, JointTrajectoryPoint};
use ros_observer::{Error, Node, Qos, Spinner, Subscription, TakeIn};
use thiserror::Error;
use twin_sync::{JointId, Refusal, Synchronizer};

use crate::known::Known;

/// Commands that may wait for the ticking thread, which takes one at a time: few, for each replaces the ones before it.
const WAITING_MAX: usize = 8;

const DEPTH: usize = 10;

/// A longer message is no trajectory that a robot follows, and to translate it would hold up a tick for too long.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What rounding may make of a velocity that is just the limit, as a factor and, from positions, in rad or m.
const ROUNDING: (f64, f64) = (1.0 + 1e-6, 1e-9);

/// Why a trajectory does not go on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Fault {
    #[error("it is no trajectory, or longer than 1 MiB")]
    Unreadable,
    #[error("a point has not as many values as there are joints")]
    LengthMismatch,
    #[error("it names no joint, or has no point")]
    Empty,
    #[error("it names a joint of which the robot has told nothing, or more joints than it has")]
    UnknownJoint,
    #[error("it names a joint that the twin has not named yet")]
    TwinUnnamed,
    #[error("from where the twin is, or from one point to the next, a joint would have to be faster than its limit")]
    TooFast,
    #[error("commands come faster than they are passed on")]
    Backlog,
    #[error("{0}")]
    Refused(Refusal),
}

impl Fault {
    /// Every reason.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let own = [
            Self::Unreadable,
            Self::LengthMismatch,
            Self::Empty,
            Self::UnknownJoint,
            Self::TwinUnnamed,
            Self::TooFast,
            Self::Backlog,
        ];
        own.into_iter().chain(Refusal::ALL.map(Self::Refused))
    }

    /// The reason as the value of a metric's label.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::LengthMismatch => "length_mismatch",
            Self::Empty => "empty",
            Self::UnknownJoint => "unknown_joint",
            Self::TwinUnnamed => "twin_unnamed",
            Self::TooFast => "too_fast",
            Self::Backlog => "backlog",
            Self::Refused(refusal) => refusal.reason(),
        }
    }
}

/// Commands that wait for the ticking thread.
#[derive(Clone)]
pub(crate) struct Waiting {
    messages: Arc<ArrayQueue<Vec<u8>>>,
    /// Counts those that had no room.
    backlog: IntCounter,
}

impl Waiting {
    fn new(backlog: IntCounter) -> Self {
        Self { messages: Arc::new(ArrayQueue::new(WAITING_MAX)), backlog }
    }

    /// Where there is no room, the oldest goes: what comes after it would replace it anyway. Waits for nobody.
    fn push(&self, message: Vec<u8>) {
        if self.messages.force_push(message).is_some() {
            self.backlog.inc();
        }
    }

    /// The oldest.
    pub(crate) fn pop(&self) -> Option<Vec<u8>> {
        self.messages.pop()
    }
}

/// Subscribes to the robot's commands; `wake` is called when there is one. `not_forwarded` counts those that do not go on.
pub(crate) fn follow(
    node: &Node,
    spinner: &mut Spinner,
    topic: &str,
    not_forwarded: impl Fn(Fault) -> IntCounter,
    wake: impl Fn() + Send + 'static,
) -> Result<(Subscription, Waiting), Error> {
    let [backlog, unreadable] = [Fault::Backlog, Fault::Unreadable].map(not_forwarded);
    let waiting = Waiting::new(backlog);
    let incoming = waiting.clone();
    let take = move |message: &[u8], _: &_| {
        if message.len() > MESSAGE_BYTES_MAX {
            return unreadable.inc();
        }
        incoming.push(message.to_vec());
        wake();
    };
    // Reliable, as a controller listens: a command that is lost is not made up for by the next one.
    let subscription = Subscription::new::<JointTrajectory>(node, topic, Qos::reliable(DEPTH), TakeIn::WaitSet, take)?;
    spinner.add_subscription(&subscription);
    Ok((subscription, waiting))
}

/// What the twin is to be told.
pub(crate) struct Translated {
    pub(crate) trajectory: JointTrajectory,
    pub(crate) joints: Vec<JointId>,
    /// How many positions were changed to keep limits.
    pub(crate) clamped: u32,
}

/// Translates a message for a twin that is to do it from `now_ns` on.
pub(crate) fn translated(
    message: &[u8],
    synchronizer: &Synchronizer,
    known: &Known,
    now_ns: i64,
) -> Result<Translated, Fault> {
    let mut trajectory = JointTrajectory::from_serialized_bytes(message).map_err(|_| Fault::Unreadable)?;
    // No rule would be asked whether it may go on: and a controller takes it as the end of the one before.
    if trajectory.joint_names.is_empty() || trajectory.points.is_empty() {
        return Err(Fault::Empty);
    }
    // Each name is looked for among all of them: as many as a message can hold would take too long.
    if trajectory.joint_names.len() > known.names.len() {
        return Err(Fault::UnknownJoint);
    }
    let joints = trajectory.joint_names.iter().map(|name| known.joint(name).ok_or(Fault::UnknownJoint));
    let joints: Vec<JointId> = joints.collect::<Result<_, _>>()?;
    let mut clamped = 0;
    for point in &mut trajectory.points {
        clamped += translate_point(point, &joints, synchronizer)?;
    }
    check_velocities(&trajectory.points, &joints, synchronizer)?;
    // At once: the robot's clock need not be the twin's, and a time that has passed would be refused there.
    trajectory.header.stamp = Time { sec: 0, nanosec: 0 };
    let names = joints.iter().map(|joint| known.twin_name(*joint).map(str::to_owned).ok_or(Fault::TwinUnnamed));
    trajectory.joint_names = names.collect::<Result<_, _>>()?;
    check_start(&trajectory.points[0], &joints, synchronizer, now_ns)?;
    Ok(Translated { trajectory, joints, clamped })
}

/// Refuses what a joint could not do from where the twin is: a controller leaps where it has no time to move.
fn check_start(
    first: &JointTrajectoryPoint,
    joints: &[JointId],
    synchronizer: &Synchronizer,
    now_ns: i64,
) -> Result<(), Fault> {
    let within = seconds(&first.time_from_start);
    for (joint, position) in joints.iter().zip(&first.positions) {
        if !synchronizer.is_in_reach(*joint, *position, within, now_ns).map_err(Fault::Refused)? {
            return Err(Fault::TooFast);
        }
    }
    Ok(())
}

/// Refuses what a joint that has a limit of velocity could not do between two points.
fn check_velocities(
    points: &[JointTrajectoryPoint],
    joints: &[JointId],
    synchronizer: &Synchronizer,
) -> Result<(), Fault> {
    for (index, joint) in joints.iter().enumerate() {
        // Becomes the limit, where there is one.
        let limit = synchronizer.forward_velocity(*joint, f64::MAX).map_err(Fault::Refused)?.abs();
        let is_beyond = |pair: &[JointTrajectoryPoint]| {
            let [from, to] = pair else { return false };
            let lasts = (seconds(&to.time_from_start) - seconds(&from.time_from_start)).max(0.0);
            let distance = (to.positions[index] - from.positions[index]).abs();
            distance > limit * lasts * ROUNDING.0 + ROUNDING.1
        };
        if limit < f64::MAX && points.windows(2).any(is_beyond) {
            return Err(Fault::TooFast);
        }
    }
    Ok(())
}

fn seconds(duration: &Duration) -> f64 {
    f64::from(duration.sec) + f64::from(duration.nanosec) / 1e9
}

fn translate_point(
    point: &mut JointTrajectoryPoint,
    joints: &[JointId],
    synchronizer: &Synchronizer,
) -> Result<u32, Fault> {
    let rest = [&point.velocities, &point.accelerations, &point.effort];
    if point.positions.len() != joints.len() || rest.iter().any(|row| !row.is_empty() && row.len() != joints.len()) {
        return Err(Fault::LengthMismatch);
    }
    let mut clamped = 0;
    for (joint, position) in joints.iter().zip(&mut point.positions) {
        let (allowed, is_clamped) = synchronizer.forward(*joint, *position).map_err(Fault::Refused)?;
        *position = allowed;
        clamped += u32::from(is_clamped);
    }
    for (joint, velocity) in joints.iter().zip(&mut point.velocities) {
        *velocity = synchronizer.forward_velocity(*joint, *velocity).map_err(Fault::Refused)?;
    }
    // Those of the robot's masses and motors are not the twin's.
    point.accelerations.clear();
    point.effort.clear();
    Ok(clamped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_commands_the_oldest_go() {
        let backlog = IntCounter::new("backlog", "Help.").expect("a legal name");
        let waiting = Waiting::new(backlog.clone());
        let messages = 0..WAITING_MAX as u8 + 2;
        messages.clone().for_each(|message| waiting.push(vec![message]));
        assert_eq!(backlog.get(), 2);
        let left: Vec<_> = std::iter::from_fn(|| waiting.pop()).flatten().collect();
        assert!(left.iter().copied().eq(messages.skip(2)), "{left:?}");
    }
}
