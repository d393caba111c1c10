//! How one joint keeps to its limits over time.

use crate::{Limits, Margin, Quantity};

/// A change of position up to this is standing still: rad or m.
const STILL: f64 = 1e-6;

/// A change of position from this on is moving: rad or m.
const MOVING: f64 = 1e-3;

/// A joint moves as long as it has moved within this time.
const MOVING_FOR_NS: u64 = 500_000_000;

/// Between two messages no more time than this counts as spent beyond a limit: what was in a longer gap is not known.
const GAP_NS_MAX: u64 = 1_000_000_000;

/// The values of a joint in one message; NaN where it has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointValues {
    /// In rad or m.
    pub position: f64,
    /// In rad/s or m/s.
    pub velocity: f64,
    /// In N m or N.
    pub effort: f64,
}

/// One joint with its limits, and what has become of them.
#[derive(Clone, Debug)]
pub struct Joint {
    limits: Limits,
    seen_ns: Option<u64>,
    margins: [Option<Margin>; 3],
    violations: [u64; 3],
    seconds_beyond: [f64; 3],
    travel: Option<Travel>,
}

/// Where and when a joint last stood still or moved.
#[derive(Clone, Copy, Debug)]
struct Travel {
    /// Of which every position since `still_since_ns` has been the same.
    still_at: f64,
    still_since_ns: u64,
    /// From which it has not yet moved.
    anchor: f64,
    moved_ns: Option<u64>,
    moving_since_ns: u64,
}

impl Joint {
    /// A joint that was not seen yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, seen_ns: None, margins: [None; 3], violations: [0; 3], seconds_beyond: [0.0; 3], travel: None }
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes what a message that arrived at `now_ns` of a monotonic clock says of the joint.
    pub fn observe(&mut self, values: JointValues, now_ns: u64) {
        let gap_ns = self.seen_ns.map_or(0, |seen_ns| now_ns.saturating_sub(seen_ns)).min(GAP_NS_MAX);
        self.seen_ns = Some(now_ns);
        let all = [values.position, values.velocity, values.effort];
        for (index, (quantity, value)) in Quantity::ALL.into_iter().zip(all).enumerate() {
            let was_beyond = self.is_beyond(index);
            if was_beyond {
                self.seconds_beyond[index] += gap_ns as f64 / 1e9;
            }
            self.margins[index] = self.limits.margin(quantity, value);
            self.violations[index] += u64::from(self.is_beyond(index) && !was_beyond);
        }
        if !values.position.is_nan() {
            self.travel = Some(self.travel.map_or_else(
                || Travel::at(values.position, now_ns),
                |travel| travel.continued(values.position, now_ns),
            ));
        }
    }

    fn is_beyond(&self, index: usize) -> bool {
        self.margins[index].is_some_and(|margin| margin.absolute < 0.0)
    }

    /// How far it was from a limit in the last message.
    #[must_use]
    pub fn margin(&self, quantity: Quantity) -> Option<Margin> {
        self.margins[quantity as usize]
    }

    /// How often it has gone beyond a limit.
    #[must_use]
    pub fn violations(&self, quantity: Quantity) -> u64 {
        self.violations[quantity as usize]
    }

    /// How long it was beyond a limit, in seconds.
    #[must_use]
    pub fn seconds_beyond(&self, quantity: Quantity) -> f64 {
        self.seconds_beyond[quantity as usize]
    }

    /// When it was last seen, in nanoseconds of the clock of [`Joint::observe`].
    #[must_use]
    pub fn seen_ns(&self) -> Option<u64> {
        self.seen_ns
    }

    fn has_been_still_for(&self, window_ns: u64, now_ns: u64) -> bool {
        self.travel.is_some_and(|travel| now_ns.saturating_sub(travel.still_since_ns) >= window_ns)
    }

    fn has_been_moving_for(&self, window_ns: u64, now_ns: u64) -> bool {
        self.travel.is_some_and(|travel| {
            let is_moving = travel.moved_ns.is_some_and(|moved_ns| now_ns.saturating_sub(moved_ns) <= MOVING_FOR_NS);
            is_moving && now_ns.saturating_sub(travel.moving_since_ns) >= window_ns
        })
    }
}

impl Travel {
    fn at(position: f64, now_ns: u64) -> Self {
        Self { still_at: position, still_since_ns: now_ns, anchor: position, moved_ns: None, moving_since_ns: now_ns }
    }

    fn continued(mut self, position: f64, now_ns: u64) -> Self {
        if (position - self.still_at).abs() > STILL {
            (self.still_at, self.still_since_ns) = (position, now_ns);
        }
        if (position - self.anchor).abs() >= MOVING {
            let was_moving = self.moved_ns.is_some_and(|moved_ns| now_ns.saturating_sub(moved_ns) <= MOVING_FOR_NS);
            if !was_moving {
                self.moving_since_ns = now_ns;
            }
            (self.anchor, self.moved_ns) = (position, Some(now_ns));
        }
        self
    }
}

/// Which of the joints of one robot stand still while another moves, both for `window_ns` at least: a stuck encoder, a
/// drive that is off, or a joint that simply has nothing to do.
pub fn frozen<'a>(joints: &'a [&'a Joint], window_ns: u64, now_ns: u64) -> impl Iterator<Item = bool> + 'a {
    let is_robot_moving = joints.iter().any(|joint| joint.has_been_moving_for(window_ns, now_ns));
    joints.iter().map(move |joint| is_robot_moving && joint.has_been_still_for(window_ns, now_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Motion;

    const SECOND_NS: u64 = 1_000_000_000;

    fn joint() -> Joint {
        let position = Some(-1.0..=1.0);
        Joint::new(Limits { motion: Motion::Rotation, position, velocity: Some(2.0), effort: None })
    }

    fn at(position: f64) -> JointValues {
        JointValues { position, velocity: 0.0, effort: f64::NAN }
    }

    #[test]
    fn a_violation_counts_once_and_its_time_is_measured() {
        let mut joint = joint();
        for (tenth, position) in [0.0, 1.5, 1.6, 1.7, 0.0, -1.5, 0.0].into_iter().enumerate() {
            joint.observe(at(position), tenth as u64 * SECOND_NS / 10);
        }
        assert_eq!(joint.violations(Quantity::Position), 2);
        assert!((joint.seconds_beyond(Quantity::Position) - 0.4).abs() < 1e-9);
        assert_eq!((joint.violations(Quantity::Velocity), joint.violations(Quantity::Effort)), (0, 0));
    }

    #[test]
    fn a_gap_in_the_messages_is_not_time_beyond_a_limit() {
        let mut joint = joint();
        joint.observe(at(1.5), 0);
        joint.observe(at(1.5), 100 * SECOND_NS);
        assert_eq!(joint.seconds_beyond(Quantity::Position), 1.0);
    }

    #[test]
    fn a_value_that_is_not_there_has_no_margin_and_ends_a_violation() {
        let mut joint = joint();
        joint.observe(at(1.5), 0);
        joint.observe(at(f64::NAN), 1);
        assert_eq!(joint.margin(Quantity::Position), None);
        joint.observe(at(1.5), 2);
        assert_eq!(joint.violations(Quantity::Position), 2);
    }

    #[test]
    fn a_joint_is_frozen_that_stands_still_among_moving_ones() {
        let (mut still, mut moving, mut noisy) = (joint(), joint(), joint());
        let mut found = Vec::new();
        for tenth in 0..60 {
            let now_ns = tenth * SECOND_NS / 10;
            still.observe(at(0.5), now_ns);
            noisy.observe(at(if tenth % 2 == 0 { 1e-5 } else { 0.0 }), now_ns);
            // Moves from the second second to the fourth.
            let position = 0.01 * (tenth.clamp(20, 40) as f64);
            moving.observe(at(position), now_ns);
            found.push(frozen(&[&still, &moving, &noisy], SECOND_NS, now_ns).collect::<Vec<_>>());
        }
        assert_eq!(found[19], [false, false, false], "nobody moves");
        assert_eq!(found[25], [false, false, false], "not for long");
        assert_eq!(found[35], [true, false, false]);
        assert_eq!(found[59], [false, false, false], "nobody moves any more");
    }
}
