//! How one joint keeps to its limits, and to what it is asked to do, over time.

use crate::command::Asked;
use crate::{Command, Limits, Margin, Quantity};

/// A change of position up to this is standing still: rad or m.
const STILL: f64 = 1e-6;

/// A change of position from this on is moving: rad or m.
const MOVING: f64 = 1e-3;

/// A joint moves as long as it has moved within this time.
const MOVING_FOR_NS: u64 = 500_000_000;

/// Between two messages no more time than this counts as spent beyond a limit: what was in a longer gap is not known.
const GAP_NS_MAX: u64 = 1_000_000_000;

/// Of a joint without messages for this long nothing is known, not even whether a command still holds.
pub const STALE_AFTER_NS: u64 = 5_000_000_000;

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
    asked: Option<Asked>,
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
        Self {
            limits,
            seen_ns: None,
            margins: [None; 3],
            violations: [0; 3],
            seconds_beyond: [0.0; 3],
            travel: None,
            asked: None,
        }
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes what a message that arrived at `now_ns` of a monotonic clock says of the joint.
    pub fn observe(&mut self, values: JointValues, now_ns: u64) {
        if !self.is_fresh(now_ns) {
            self.asked = None;
        }
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

    /// Takes a command that arrived at `now_ns`. One that comes while the joint still owes the one before, since when it has
    /// not moved, gives it no new time: commands may come fifty times a second.
    pub fn command(&mut self, command: Command, now_ns: u64) {
        let owed = self.asked.filter(|asked| {
            let has_moved = self.travel.is_some_and(|travel| travel.still_since_ns > asked.since_ns);
            !has_moved && self.owes(&asked.command)
        });
        self.asked = Some(Asked { command, since_ns: owed.map_or(now_ns, |asked| asked.since_ns) });
    }

    /// Forgets a command that would have to be repeated to hold: one to move on, and not to a position.
    pub fn forget_velocity_command(&mut self) {
        self.asked = self.asked.filter(|asked| asked.command.position.is_finite());
    }

    /// Whether the joint would have to move to do what this command asks of it.
    fn owes(&self, command: &Command) -> bool {
        self.travel.is_some_and(|travel| command.is_unmet(&self.limits, travel.still_at))
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

    /// Whether it was seen lately, by the clock of [`Joint::observe`]: of one that was not, nothing is known.
    #[must_use]
    pub fn is_fresh(&self, now_ns: u64) -> bool {
        self.seen_ns.is_some_and(|seen_ns| now_ns.saturating_sub(seen_ns) < STALE_AFTER_NS)
    }

    fn has_been_still_for(&self, window_ns: u64, now_ns: u64) -> bool {
        self.travel.is_some_and(|travel| now_ns.saturating_sub(travel.still_since_ns) >= window_ns)
    }

    fn has_been_asked_for(&self, window_ns: u64, now_ns: u64) -> bool {
        self.asked.is_some_and(|asked| asked.is_overdue(window_ns, now_ns) && self.owes(&asked.command))
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

/// Which of the joints of one robot stand still while another moves, or while they are asked to be elsewhere or to move,
/// both for `window_ns` at least: a stuck encoder, a drive that is off, something in the way, or, while another moves, a
/// joint that simply has nothing to do.
pub fn frozen<'a>(joints: &'a [&'a Joint], window_ns: u64, now_ns: u64) -> impl Iterator<Item = bool> + 'a {
    let is_robot_moving = joints.iter().any(|joint| joint.has_been_moving_for(window_ns, now_ns));
    joints.iter().map(move |joint| {
        let should_move = is_robot_moving || joint.has_been_asked_for(window_ns, now_ns);
        should_move && joint.has_been_still_for(window_ns, now_ns)
    })
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

    /// A joint that is seen ten times a second, at the positions and with the commands of each tenth; in which tenths it is
    /// frozen, when that takes a second.
    fn frozen_tenths(tenths: u64, position: impl Fn(u64) -> f64, command: impl Fn(u64) -> Option<Command>) -> Vec<u64> {
        let mut joint = joint();
        let is_frozen_in = |tenth: &u64| {
            let now_ns = tenth * SECOND_NS / 10;
            joint.observe(at(position(*tenth)), now_ns);
            if let Some(command) = command(*tenth) {
                joint.command(command, now_ns);
            }
            frozen(&[&joint], SECOND_NS, now_ns).any(|is_frozen| is_frozen)
        };
        (0..tenths).filter(is_frozen_in).collect()
    }

    fn to(position: f64) -> Command {
        Command { position, velocity: f64::NAN, allowed_ns: 0 }
    }

    fn once(at: u64, command: Command) -> impl Fn(u64) -> Option<Command> {
        move |tenth| (tenth == at).then_some(command)
    }

    #[test]
    fn a_joint_is_frozen_that_does_not_go_where_it_is_asked_to() {
        assert_eq!(frozen_tenths(40, |_| 0.0, once(5, to(0.5))), (15..40).collect::<Vec<_>>());
        let velocity = Command { position: f64::NAN, velocity: 0.2, allowed_ns: 0 };
        assert_eq!(frozen_tenths(40, |_| 0.0, once(5, velocity)), (15..40).collect::<Vec<_>>());
        let stuck_on_the_way = |tenth: u64| 0.01 * tenth.saturating_sub(5).min(20) as f64;
        assert_eq!(frozen_tenths(40, stuck_on_the_way, once(5, to(0.5))), (35..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_joint_that_moves_or_is_there_is_not_frozen() {
        let on_its_way = |tenth: u64| 0.01 * tenth as f64;
        assert_eq!(frozen_tenths(40, on_its_way, once(5, to(0.5))), []);
        let there_soon = |tenth: u64| 0.1 * tenth.saturating_sub(5).min(5) as f64;
        assert_eq!(frozen_tenths(40, there_soon, once(5, to(0.5))), []);
        assert_eq!(frozen_tenths(40, |_| 0.495, once(5, to(0.5))), []);
        let back_again = |tenth: u64| (tenth % 20 == 5).then(|| to(if tenth == 5 { 0.5 } else { 0.0 }));
        assert_eq!(frozen_tenths(60, |_| 0.0, back_again), (15..25).collect::<Vec<_>>());
    }

    #[test]
    fn a_joint_may_stand_still_until_the_end_of_its_trajectory() {
        let slow = Command { allowed_ns: 2 * SECOND_NS, ..to(0.5) };
        assert_eq!(frozen_tenths(40, |_| 0.0, once(5, slow)), (35..40).collect::<Vec<_>>());
        let never = Command { allowed_ns: u64::MAX, ..to(0.5) };
        assert_eq!(frozen_tenths(40, |_| 0.0, once(5, never)), []);
    }

    #[test]
    fn commands_that_follow_each_other_give_no_new_time() {
        let stream = |tenth: u64| Some(Command { allowed_ns: SECOND_NS / 2, ..to(0.5 + 0.001 * tenth as f64) });
        assert_eq!(frozen_tenths(40, |_| 0.0, stream), (15..40).collect::<Vec<_>>());
        let stuck_at_last = |tenth: u64| 0.01 * tenth.min(20) as f64;
        let ahead = |tenth: u64| Some(to(0.3 + 0.01 * tenth as f64));
        assert_eq!(frozen_tenths(40, stuck_at_last, ahead), (30..40).collect::<Vec<_>>());
        let there_in_between = |tenth: u64| Some(to(if tenth.is_multiple_of(8) { 0.0 } else { 0.5 }));
        assert_eq!(frozen_tenths(40, |_| 0.0, there_in_between), []);
    }

    #[test]
    fn a_command_does_not_outlive_what_is_known_of_the_joint() {
        let mut joint = joint();
        joint.observe(at(0.0), 0);
        joint.command(to(0.5), 0);
        let is_frozen = |joint: &Joint, now_ns| frozen(&[joint], SECOND_NS, now_ns).any(|is_frozen| is_frozen);
        joint.observe(at(0.0), 4 * SECOND_NS);
        assert!(is_frozen(&joint, 4 * SECOND_NS));
        joint.observe(at(0.0), 9 * SECOND_NS);
        assert!(!is_frozen(&joint, 9 * SECOND_NS), "five seconds without a message");
    }

    #[test]
    fn only_a_command_to_a_position_holds_without_whoever_gave_it() {
        for (position, expected) in [(0.5, true), (f64::NAN, false)] {
            let mut joint = joint();
            joint.observe(at(0.0), 0);
            joint.command(Command { velocity: 0.2, ..to(position) }, 0);
            joint.forget_velocity_command();
            assert_eq!(frozen(&[&joint], SECOND_NS, SECOND_NS).collect::<Vec<_>>(), [expected], "{position}");
        }
    }
}
