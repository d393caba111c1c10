//! What a joint is asked to do, and since when.

use crate::{Limits, Motion};

/// A joint this near to where it should be is there: rad or m. It is what MoveIt takes for the same place too
/// (`allowed_start_tolerance`): a joint that its controller, gravity or friction keeps farther away is at fault, one that
/// stands nearer is not.
const THERE: f64 = 0.01;

/// Asked to be slower than this, a joint may as well stand still: rad/s or m/s. Drives do not follow the noise of a
/// joystick at rest.
const SLOW: f64 = 1e-3;

/// What a command asks of one joint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// Where it should be, in rad or m; NaN where that is not said.
    pub position: f64,
    /// How fast it should move, in rad/s or m/s; NaN where that is not said. With a position it is only said in passing.
    pub velocity: f64,
    /// How long the joint may take: a trajectory says when it should be at its last point. It may stand still until then,
    /// as its earlier points may ask it to; so it is not judged by those. If it is stuck all the same while its robot
    /// moves, the others of the robot tell.
    pub allowed_ns: u64,
}

/// A command, and the time from which on the joint has had the chance to do something about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) since_ns: u64,
}

impl Command {
    /// Whether a joint of these limits that stands still at `position` does not do what it is asked to.
    pub(crate) fn is_unmet(&self, limits: &Limits, position: f64) -> bool {
        if self.position.is_finite() {
            distance(limits, position, self.position) > THERE
        } else {
            self.velocity.abs() > SLOW
        }
    }
}

impl Asked {
    pub(crate) fn is_overdue(&self, window_ns: u64, now_ns: u64) -> bool {
        let due_ns = self.since_ns.saturating_add(self.command.allowed_ns);
        now_ns.saturating_sub(due_ns) >= window_ns
    }
}

/// How far a joint is from where it should be. Beyond its range it cannot go; without one, a turn more is the same place.
fn distance(limits: &Limits, from: f64, to: f64) -> f64 {
    match (&limits.position, limits.motion) {
        (Some(range), _) => (to.clamp(*range.start(), *range.end()) - from).abs(),
        (None, Motion::Rotation | Motion::EndlessRotation) => {
            let part = (to - from).rem_euclid(std::f64::consts::TAU);
            part.min(std::f64::consts::TAU - part)
        }
        (None, Motion::Translation) => (to - from).abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(motion: Motion, position: Option<std::ops::RangeInclusive<f64>>) -> Limits {
        Limits { motion, position, velocity: None, effort: None }
    }

    #[test]
    fn a_command_is_met_where_it_asks_for_nothing_more() {
        let hinge = limits(Motion::Rotation, Some(-1.0..=2.0));
        let is_unmet = |position, velocity| Command { position, velocity, allowed_ns: 0 }.is_unmet(&hinge, 0.5);
        for (position, velocity, expected) in [
            (0.5, f64::NAN, false),
            (0.509, f64::NAN, false),
            (0.52, f64::NAN, true),
            (0.5, 3.0, false),
            (f64::NAN, 0.0, false),
            (f64::NAN, -1e-6, false),
            (f64::NAN, -0.1, true),
            (f64::NAN, f64::NAN, false),
            (f64::INFINITY, f64::NAN, false),
        ] {
            assert_eq!(is_unmet(position, velocity), expected, "{position} {velocity}");
        }
    }

    #[test]
    fn a_place_is_what_the_joint_can_reach_and_tell() {
        let hinge = limits(Motion::Rotation, Some(-1.0..=2.0));
        assert_eq!(distance(&hinge, 2.0, 5.0), 0.0, "it cannot go farther");
        assert_eq!(distance(&hinge, 0.0, 5.0), 2.0);
        let wheel = limits(Motion::EndlessRotation, None);
        assert!((distance(&wheel, 3.1, -3.1) - 0.083).abs() < 1e-3, "past half a turn");
        assert!(distance(&wheel, 0.0, 4.0 * std::f64::consts::TAU) < 1e-9);
        assert_eq!(distance(&limits(Motion::Translation, None), 0.0, 7.0), 7.0);
    }
}
