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
use twin_sync::{JointId, JointLimits, Refusal, Segment, Synchronizer};

use crate::known::Known;

/// Commands that may wait for the ticking thread, which takes one at a time: few, for each replaces the ones before it.
const WAITING_MAX: usize = 8;

const DEPTH: usize = 10;

/// A longer message is no trajectory that a robot follows, and to translate it would hold up a tick for too long.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What rounding may make of a velocity that is just the limit, as a factor and, from positions, in rad or m.
const ROUNDING: (f64, f64) = (1.0 + 1e-6, 1e-9);

/// What is let pass between two points: as a factor of the limit of velocity, and the seconds for which a joint may go beyond a
/// limit of position at that velocity. A motion that keeps just to its limits, as MoveIt plans it and tells by points 0.1 s
/// apart, is not quite that of the cubic through these points: where the joint needs 0.1 s for its velocity, or longer, the
/// cubic is faster by up to 4.4 %, and turns beyond a position at which the joint rests by up to 1.6 ms.
const BETWEEN: (f64, f64) = (1.05, 2e-3);

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
    #[error("from one point to the next a joint would leave its limits, by the velocities that it has there")]
    Overshoot,
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
            Self::Overshoot,
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
            Self::Overshoot => "overshoot",
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
    check_segments(&trajectory.points, &joints, synchronizer)?;
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

/// Refuses what a joint would have to do between two points beyond its limits.
fn check_segments(
    points: &[JointTrajectoryPoint],
    joints: &[JointId],
    synchronizer: &Synchronizer,
) -> Result<(), Fault> {
    for (index, joint) in joints.iter().enumerate() {
        let limits = synchronizer.twin_limits(*joint).map_err(Fault::Refused)?;
        points.windows(2).try_for_each(|pair| check_segment(segment(pair, index), &limits))?;
    }
    Ok(())
}

fn segment(pair: &[JointTrajectoryPoint], index: usize) -> Segment {
    let [from, to] = [&pair[0], &pair[1]];
    let velocity = |point: &JointTrajectoryPoint| point.velocities.get(index).copied();
    Segment {
        positions: [from.positions[index], to.positions[index]],
        velocities: velocity(from).zip(velocity(to)).map(|(from, to)| [from, to]),
        seconds: (seconds(&to.time_from_start) - seconds(&from.time_from_start)).max(0.0),
    }
}

fn check_segment(segment: Segment, limits: &JointLimits) -> Result<(), Fault> {
    if let Some(limit) = limits.velocity {
        let distance = (segment.positions[1] - segment.positions[0]).abs();
        let is_beyond = distance > limit * segment.seconds * ROUNDING.0 + ROUNDING.1;
        if is_beyond || segment.velocity_max().is_some_and(|velocity| velocity > limit * BETWEEN.0) {
            return Err(Fault::TooFast);
        }
    }
    let Some(allowed) = limits.position.as_ref().filter(|_| !limits.is_continuous) else { return Ok(()) };
    let range = segment.position_range();
    let beyond = (allowed.start() - range.start()).max(range.end() - allowed.end());
    let beyond_max = limits.velocity.map_or(0.0, |limit| limit * BETWEEN.1) + ROUNDING.1;
    if beyond > beyond_max { Err(Fault::Overshoot) } else { Ok(()) }
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
    for (index, joint) in joints.iter().enumerate() {
        let (position, is_clamped) = synchronizer.forward(*joint, point.positions[index]).map_err(Fault::Refused)?;
        point.positions[index] = position;
        clamped += u32::from(is_clamped);
        if let Some(velocity) = point.velocities.get_mut(index) {
            let allowed = synchronizer.forward_velocity(*joint, *velocity).map_err(Fault::Refused)?;
            // At its limit the joint must not be told to go on.
            *velocity = if is_clamped { 0.0 } else { allowed };
        }
    }
    // Those of the robot's masses and motors are not the twin's.
    point.accelerations.clear();
    point.effort.clear();
    Ok(clamped)
}

#[cfg(test)]
mod tests {
    use twin_sync::{JointValue, Settings, Sign, Source};

    use super::*;

    const LIMIT: f64 = 2.0;

    /// A twin whose elbow turns the other way, and both know it at 0.
    fn elbow() -> (Synchronizer, JointId) {
        let mut synchronizer = Synchronizer::new(Settings {
            commands: true,
            sign_map: [("elbow".to_owned(), Sign::Opposite)].into(),
            ..Settings::default()
        });
        let limits = JointLimits { is_continuous: false, position: Some(-0.5..=1.0), velocity: Some(LIMIT) };
        synchronizer.set_limits([("elbow".to_owned(), limits)].into());
        let [_, joint] = Source::ALL.map(|source| {
            let joint = synchronizer.joint(source, "elbow").expect("room").expect("followed");
            let value = JointValue { joint, position: 0.0, velocity: f64::NAN, effort: f64::NAN };
            synchronizer.ingest(source, None, 0, &[value]);
            joint
        });
        synchronizer.tick(0);
        (synchronizer, joint)
    }

    /// By time, position and velocity, in the reference's sense; what goes on, in the twin's.
    fn passed_on(points: &[(f64, f64, Option<f64>)]) -> Result<Vec<(f64, f64)>, Fault> {
        let (synchronizer, joint) = elbow();
        let mut points: Vec<_> = points
            .iter()
            .map(|(seconds, position, velocity)| JointTrajectoryPoint {
                positions: vec![*position],
                velocities: velocity.iter().copied().collect(),
                time_from_start: Duration { sec: 0, nanosec: (seconds * 1e9).round() as u32 },
                ..JointTrajectoryPoint::default()
            })
            .collect();
        points.iter_mut().try_for_each(|point| translate_point(point, &[joint], &synchronizer).map(drop))?;
        check_segments(&points, &[joint], &synchronizer)?;
        Ok(points.iter().map(|p| (p.positions[0], p.velocities.first().copied().unwrap_or(f64::NAN))).collect())
    }

    #[test]
    fn what_leaves_the_limits_between_points_does_not_go_on() {
        for (points, expected) in [
            // Up to the limit, and on: the curve would turn beyond.
            ([(0.0, 0.9, Some(1.5)), (0.4, 0.9, Some(-1.5))], Some(Fault::Overshoot)),
            ([(0.0, -0.4, Some(-1.5)), (0.4, -0.4, Some(1.5))], Some(Fault::Overshoot)),
            ([(0.0, 0.5, Some(1.5)), (0.4, 0.5, Some(-1.5))], None),
            // 1.5 times its mean velocity.
            ([(0.0, 0.0, Some(0.0)), (0.5, 0.75, Some(0.0))], Some(Fault::TooFast)),
            ([(0.0, 0.0, Some(0.0)), (0.5, 0.66, Some(0.0))], None),
            ([(0.0, 0.0, None), (0.5, 0.75, None)], None),
            ([(0.0, 0.0, Some(0.0)), (0.5, 0.75, None)], None),
            ([(0.0, 0.0, None), (0.2, 0.75, None)], Some(Fault::TooFast)),
        ] {
            assert_eq!(passed_on(&points).err(), expected, "{points:?}");
        }
    }

    #[test]
    fn a_joint_that_is_clamped_is_not_told_to_go_on() {
        let found = passed_on(&[(0.0, 0.6, Some(1.0)), (0.5, 1.1, Some(1.0)), (0.9, 1.2, Some(0.5))]);
        assert_eq!(found, Ok(vec![(-0.6, -1.0), (-1.0, 0.0), (-1.0, 0.0)]));
    }

    /// Where a joint is that goes from one limit of position to the other and back, as fast as it may, and how fast.
    fn profile(seconds: f64, acceleration: f64) -> (f64, f64) {
        let (distance, speeding) = (1.5, LIMIT / acceleration);
        let lasts = distance / LIMIT + speeding;
        let half = |since: f64| {
            let (up, on) = (since.min(speeding), (since - speeding).max(0.0));
            (0.5 * acceleration * up * up + LIMIT * on, acceleration * up)
        };
        match seconds {
            _ if seconds >= lasts => (1.0, 0.0),
            _ if seconds <= lasts / 2.0 => (half(seconds).0 - 0.5, half(seconds).1),
            _ => (1.0 - half(lasts - seconds).0, half(lasts - seconds).1),
        }
    }

    #[test]
    fn what_a_planner_makes_of_the_limits_goes_on_wherever_its_points_are() {
        for acceleration in [4.0, 10.0, 20.0] {
            for begin in 0..20 {
                let points = (0..10).map(|point| {
                    let seconds = f64::from(point) * 0.1;
                    let (position, velocity) = profile((seconds - f64::from(begin) * 0.005).max(0.0), acceleration);
                    (seconds, position, Some(velocity))
                });
                let points: Vec<_> = points.collect();
                let found = passed_on(&points);
                assert!(found.is_ok(), "{acceleration} {begin} {found:?} {points:?}");
            }
        }
    }

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
