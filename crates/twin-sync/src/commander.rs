//! What the twin is told to do, from where the reference is.
//!
//! Invariant: a joint is told nothing that a URDF does not allow and nothing that is no number, and no joint whose limits are
//! unknown is told anything.
//! Not for: the safety of people or machines; this is no certified safety function.

use thiserror::Error;

use crate::angle::Turning;
use crate::joints::JointLimits;
use crate::settings::Settings;
use crate::state::State;

/// A tick that comes later than this after the one before moves no joint any farther.
const STEP_SECONDS_MAX: f64 = 0.1;

/// Why a command is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The joint is not known, or the robot's description gives it no limits of position.
    #[error("the joint has no known limits")]
    NoLimits,
    /// A stop lasts until the fault is cleared.
    #[error("stopped: clear the fault first")]
    Stopped,
    /// The twin is not commanded, or not at present.
    #[error("commands are off")]
    Off,
    /// The position, or another value that goes with it, is no number.
    #[error("a value is not finite")]
    NotFinite,
    /// An input is lost, or the reference has brought nothing yet: it is not known what the twin would do.
    #[error("inputs are lost")]
    Lost,
}

impl Refusal {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 5] = [Self::NoLimits, Self::Stopped, Self::Off, Self::NotFinite, Self::Lost];

    /// The reason as the value of a metric's label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoLimits => "no_limits",
            Self::Stopped => "stopped",
            Self::Off => "off",
            Self::NotFinite => "not_finite",
            Self::Lost => "lost",
        }
    }
}

/// What the twin is told at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To follow the reference.
    Follow,
    /// To stay where it is told to be: an input is stale.
    Hold,
    /// To stay where it is, once: it was stopped.
    HoldOnce,
    /// Nothing.
    Silent,
}

/// What there is to know of one joint at one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) limits: Option<&'a JointLimits>,
    /// `None` where it is not known, or not any more: a joint is told nothing that is not brought from where it is.
    pub(crate) reference: Option<f64>,
    pub(crate) twin: Option<f64>,
    /// Whether either source has brought nothing new of it for a while: a twin that is not heard may be anywhere by now.
    pub(crate) is_stale: bool,
}

/// What a joint of the twin is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Nothing,
    /// Whether limits of position changed it.
    Position {
        position: f64,
        is_clamped: bool,
    },
    Refused,
}

/// Brings one joint to the reference and keeps it there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Follower {
    /// What it was last told.
    last: Option<f64>,
    has_arrived: bool,
    /// Whether it was told to stay: then it is brought to the reference anew, from where the twin is.
    is_held: bool,
}

/// Decides what the twin is told.
#[derive(Clone, Debug)]
pub(crate) struct Commander {
    is_allowed: bool,
    is_enabled: bool,
    ramp_velocity: f64,
    followers: Vec<Follower>,
    last_tick_ns: Option<i64>,
    /// Whether a stop has not been told to the twin yet.
    is_hold_due: bool,
}

impl Commander {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            is_allowed: settings.commands,
            is_enabled: true,
            ramp_velocity: settings.max_joint_velocity,
            followers: Vec::new(),
            last_tick_ns: None,
            is_hold_due: false,
        }
    }

    /// Makes room for a joint.
    pub(crate) fn admit(&mut self, joints: usize) {
        self.followers.resize(joints, Follower::default());
    }

    pub(crate) fn enable(&mut self, is_enabled: bool) {
        self.is_enabled = is_enabled;
    }

    pub(crate) fn is_commanding(&self) -> bool {
        self.is_allowed && self.is_enabled
    }

    /// At the next tick every joint whose place is known is told to stay there, whoever told it what before, even while
    /// commands are off: a trajectory that was passed on before may still be under way.
    pub(crate) fn stop(&mut self) {
        self.is_hold_due = self.is_allowed;
    }

    /// Whether anything may be told that comes from anywhere.
    pub(crate) fn may_forward(&self, state: State) -> Result<(), Refusal> {
        match state {
            _ if !self.is_commanding() => Err(Refusal::Off),
            State::Stopped => Err(Refusal::Stopped),
            State::Lost | State::Waiting => Err(Refusal::Lost),
            State::Mirroring | State::Synced | State::Degraded | State::Diverged => Ok(()),
        }
    }

    /// Every joint is to be brought to the reference from where the twin is.
    pub(crate) fn release(&mut self) {
        self.followers.fill(Follower::default());
    }

    /// Whether every joint that is told anything is where the reference is.
    pub(crate) fn has_arrived(&self) -> bool {
        self.followers.iter().all(|follower| follower.has_arrived || follower.last.is_none())
            && self.followers.iter().any(|follower| follower.has_arrived)
    }

    /// How much time a tick at `now_ns` has to move joints.
    pub(crate) fn step_seconds(&mut self, now_ns: i64) -> f64 {
        let since_ns = self.last_tick_ns.replace(now_ns).unwrap_or(now_ns);
        (now_ns.saturating_sub(since_ns) as f64 / 1e9).clamp(0.0, STEP_SECONDS_MAX)
    }

    /// What a stopped twin, or one whose inputs are lost or stale, is told.
    pub(crate) fn mode(&mut self, is_stopped: bool, is_lost: bool, is_stale: bool) -> Mode {
        if std::mem::take(&mut self.is_hold_due) {
            return Mode::HoldOnce;
        }
        match (!self.is_commanding() || is_stopped || is_lost, is_stale) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Hold,
            (false, false) => Mode::Follow,
        }
    }

    /// What the joint at `index` is told.
    pub(crate) fn order(&mut self, index: usize, mode: Mode, situation: Situation, step_seconds: f64) -> Order {
        let Some(follower) = self.followers.get_mut(index) else { return Order::Nothing };
        let is_told = matches!(mode, Mode::Follow | Mode::Hold);
        let (Some(reference), Some(twin), true) = (situation.reference, situation.twin, is_told) else {
            *follower = Follower::default();
            return match (situation.twin, situation.limits.filter(|limits| is_known(limits)), mode) {
                (Some(twin), Some(limits), Mode::HoldOnce) => clamped(twin, limits),
                _ => Order::Nothing,
            };
        };
        let Some(limits) = situation.limits.filter(|limits| is_known(limits)) else { return Order::Refused };
        if mode == Mode::Hold || situation.is_stale {
            (follower.has_arrived, follower.is_held) = (false, true);
            return follower.last.map_or(Order::Nothing, |last| clamped(last, limits));
        }
        if follower.is_held {
            *follower = Follower::default();
        }
        follower.follow(reference, twin, limits, step_seconds, self.ramp_velocity)
    }

    /// A position that somebody else wants the joint to take, kept within its limits, and whether they changed it.
    pub(crate) fn forward(
        &self,
        limits: Option<&JointLimits>,
        position: f64,
        state: State,
    ) -> Result<(f64, bool), Refusal> {
        self.may_forward(state)?;
        if !position.is_finite() {
            return Err(Refusal::NotFinite);
        }
        let limits = limits.filter(|limits| is_known(limits)).ok_or(Refusal::NoLimits)?;
        match clamped(position, limits) {
            Order::Position { position, is_clamped } => Ok((position, is_clamped)),
            Order::Nothing | Order::Refused => Err(Refusal::NoLimits),
        }
    }
}

impl Follower {
    /// From where the twin is, at the lesser of both velocities until the reference is met; then at the joint's own.
    fn follow(
        &mut self,
        reference: f64,
        twin: f64,
        limits: &JointLimits,
        step_seconds: f64,
        ramp_velocity: f64,
    ) -> Order {
        let Order::Position { position: target, is_clamped } = clamped(reference, limits) else {
            return Order::Refused;
        };
        let turning = if limits.is_continuous { Turning::Endless } else { Turning::Bounded };
        let from = self.last.unwrap_or(twin);
        let own_velocity = limits.velocity.filter(|velocity| !velocity.is_nan()).unwrap_or(f64::INFINITY);
        let velocity = if self.has_arrived { own_velocity } else { own_velocity.min(ramp_velocity) };
        // A description may give a velocity below zero: then the joint stays.
        let (step, step_max) = (turning.difference(target, from), velocity.max(0.0) * step_seconds);
        self.has_arrived |= step.abs() <= step_max;
        let position = if step_max.is_finite() { from + step.clamp(-step_max, step_max) } else { from + step };
        let Order::Position { position, .. } = clamped(position, limits) else {
            // Two positions may be too far apart for a number: begin anew where the twin is next.
            *self = Self::default();
            return Order::Refused;
        };
        self.last = Some(position);
        Order::Position { position, is_clamped }
    }
}

/// A continuous joint may be anywhere; of any other it must be known.
fn is_known(limits: &JointLimits) -> bool {
    let is_range = |range: &std::ops::RangeInclusive<f64>| range.start() <= range.end();
    limits.is_continuous || limits.position.as_ref().is_some_and(is_range)
}

/// The nearest position that is allowed; refused where there is none that is a number.
fn clamped(position: f64, limits: &JointLimits) -> Order {
    let allowed = match &limits.position {
        _ if limits.is_continuous => position,
        Some(range) if range.start() <= range.end() => position.clamp(*range.start(), *range.end()),
        _ => return Order::Refused,
    };
    if !position.is_finite() || !allowed.is_finite() {
        return Order::Refused;
    }
    Order::Position { position: allowed, is_clamped: allowed != position }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_SECONDS: f64 = 0.01;

    fn hinge() -> JointLimits {
        JointLimits { is_continuous: false, position: Some(-1.0..=1.0), velocity: Some(5.0) }
    }

    fn commander() -> Commander {
        let mut commander = Commander::new(&Settings { commands: true, ..Settings::default() });
        commander.admit(1);
        commander
    }

    fn situation(limits: &JointLimits, reference: f64, twin: f64) -> Situation<'_> {
        Situation { limits: Some(limits), reference: Some(reference), twin: Some(twin), is_stale: false }
    }

    fn position(order: Order) -> Option<f64> {
        match order {
            Order::Position { position, .. } => Some(position),
            Order::Nothing | Order::Refused => None,
        }
    }

    /// What is told over so many ticks of [`STEP_SECONDS`].
    fn follow(commander: &mut Commander, situation: Situation, ticks: usize) -> Vec<f64> {
        (0..ticks).filter_map(|_| position(commander.order(0, Mode::Follow, situation, STEP_SECONDS))).collect()
    }

    #[test]
    fn a_joint_is_brought_to_the_reference_and_then_follows_at_its_own_velocity() {
        let (mut commander, limits) = (commander(), hinge());
        let told = follow(&mut commander, situation(&limits, 0.5, 0.3), 21);
        assert!((told[0] - 0.31).abs() < 1e-9 && (told[9] - 0.4).abs() < 1e-9, "{told:?}");
        assert!(commander.has_arrived() && told[20] == 0.5, "{told:?}");
        let told = follow(&mut commander, situation(&limits, 0.0, 0.3), 1);
        assert!((told[0] - 0.45).abs() < 1e-9, "5 rad/s: {told:?}");
    }

    #[test]
    fn no_joint_is_told_to_leave_its_limits_or_moved_with_none_known() {
        let (mut commander, limits) = (commander(), hinge());
        follow(&mut commander, situation(&limits, 9.0, 0.9), 100);
        let order = commander.order(0, Mode::Follow, situation(&limits, 9.0, 0.9), STEP_SECONDS);
        assert_eq!(order, Order::Position { position: 1.0, is_clamped: true });
        let unknown = JointLimits { position: None, ..hinge() };
        let inverted = JointLimits { position: Some(std::ops::RangeInclusive::new(1.0, -1.0)), ..hinge() };
        for limits in [None, Some(&unknown), Some(&inverted)] {
            let situation = Situation { limits, ..situation(&unknown, 0.0, 0.0) };
            assert_eq!(commander.order(0, Mode::Follow, situation, STEP_SECONDS), Order::Refused);
        }
    }

    #[test]
    fn a_joint_whose_twin_is_nowhere_is_told_nothing() {
        let (mut commander, limits) = (commander(), hinge());
        let unknown = Situation { twin: None, ..situation(&limits, 0.5, 0.0) };
        assert_eq!(commander.order(0, Mode::Follow, unknown, STEP_SECONDS), Order::Nothing);
    }

    #[test]
    fn a_joint_whose_description_makes_no_sense_stays() {
        for velocity in [0.0, -1.0] {
            let (mut commander, limits) = (commander(), JointLimits { velocity: Some(velocity), ..hinge() });
            assert_eq!(follow(&mut commander, situation(&limits, 0.5, 0.1), 2), [0.1, 0.1]);
        }
    }

    #[test]
    fn an_endless_joint_is_brought_the_short_way_without_a_leap() {
        let limits = JointLimits { is_continuous: true, position: None, velocity: None };
        let mut commander = commander();
        let told = follow(&mut commander, situation(&limits, -3.1, 3.1), 20);
        assert!(told.iter().all(|position| (3.1..3.2).contains(position)), "{told:?}");
        let told = follow(&mut commander, situation(&limits, 3.1, 3.1), 1);
        assert!((told[0] - 3.1).abs() < 1e-9, "{told:?}");
    }

    #[test]
    fn what_is_no_number_is_refused_and_not_kept() {
        let endless = JointLimits { is_continuous: true, position: None, velocity: None };
        for limits in [&endless, &hinge()] {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut commander = commander();
                for (reference, twin) in [(bad, 0.0), (0.5, 0.0), (bad, 0.0)] {
                    let order = commander.order(0, Mode::Follow, situation(limits, reference, twin), STEP_SECONDS);
                    assert_eq!(order == Order::Refused, !reference.is_finite(), "{order:?}");
                }
                let told = follow(&mut commander, situation(limits, 0.5, 0.0), 1);
                assert!(told[0].is_finite(), "{told:?}");
            }
        }
        let mut commander = commander();
        let order = commander.order(0, Mode::Follow, situation(&endless, 1e308, -1e308), STEP_SECONDS);
        assert_eq!(order, Order::Refused, "their difference is no number");
        assert_eq!(follow(&mut commander, situation(&endless, 0.5, 0.3), 1), [0.31]);
    }

    #[test]
    fn a_stop_is_one_hold_where_the_twin_is_and_silence() {
        let (mut commander, limits) = (commander(), hinge());
        follow(&mut commander, situation(&limits, 0.5, 0.5), 1);
        let moving = situation(&limits, 0.9, 0.6);
        commander.stop();
        let mut told = || {
            let mode = commander.mode(true, false, false);
            commander.order(0, mode, moving, STEP_SECONDS)
        };
        assert_eq!(told(), Order::Position { position: 0.6, is_clamped: false });
        assert_eq!((told(), told()), (Order::Nothing, Order::Nothing));
        assert_eq!(commander.mode(false, false, false), Mode::Follow);
        assert_eq!(follow(&mut commander, moving, 1), [0.61], "from where it is");
    }

    #[test]
    fn a_stop_holds_what_others_told_too_even_while_commands_are_off() {
        for is_enabled in [true, false] {
            let (mut commander, limits) = (commander(), hinge());
            commander.enable(is_enabled);
            commander.stop();
            let alone = Situation { reference: None, ..situation(&limits, 0.0, 0.3) };
            let mode = commander.mode(true, true, true);
            let held = Order::Position { position: 0.3, is_clamped: false };
            assert_eq!(commander.order(0, mode, alone, STEP_SECONDS), held);
            for unknown in [Situation { twin: None, ..alone }, Situation { limits: None, ..alone }] {
                assert_eq!(commander.order(0, mode, unknown, STEP_SECONDS), Order::Nothing);
            }
        }
    }

    #[test]
    fn a_stop_that_is_cleared_at_once_holds_and_then_brings_to_the_reference() {
        let (mut commander, limits) = (commander(), hinge());
        follow(&mut commander, situation(&limits, 0.5, 0.5), 1);
        commander.stop();
        assert_eq!(commander.mode(false, false, false), Mode::HoldOnce);
        let moving = situation(&limits, 0.9, 0.25);
        assert_eq!(position(commander.order(0, Mode::HoldOnce, moving, STEP_SECONDS)), Some(0.25));
        assert_eq!(commander.mode(false, false, false), Mode::Follow);
        assert_eq!(follow(&mut commander, moving, 1), [0.26]);
    }

    #[test]
    fn stale_input_holds_and_lost_input_is_silent() {
        let (mut commander, limits) = (commander(), hinge());
        follow(&mut commander, situation(&limits, 0.5, 0.5), 1);
        assert_eq!(commander.mode(false, false, true), Mode::Hold);
        let later = situation(&limits, 0.9, 0.5);
        assert_eq!(position(commander.order(0, Mode::Hold, later, STEP_SECONDS)), Some(0.5));
        let stale = Situation { is_stale: true, ..later };
        assert_eq!(position(commander.order(0, Mode::Follow, stale, STEP_SECONDS)), Some(0.5));
        assert!(!commander.has_arrived());
        let elsewhere = situation(&limits, 0.9, 0.25);
        assert_eq!(follow(&mut commander, elsewhere, 1), [0.26], "brought to it from where the twin is");
        assert_eq!(commander.mode(false, true, true), Mode::Silent);
        assert_eq!(commander.order(0, Mode::Silent, later, STEP_SECONDS), Order::Nothing);
        assert_eq!(follow(&mut commander, later, 1), [0.51], "brought to it again");
    }

    #[test]
    fn nobody_is_commanded_by_default_or_when_disabled() {
        let mut shadow = Commander::new(&Settings::default());
        shadow.stop();
        assert_eq!(shadow.mode(false, false, false), Mode::Silent);
        assert_eq!(shadow.mode(true, false, false), Mode::Silent);
        let mut commander = commander();
        commander.enable(false);
        assert_eq!(commander.mode(false, false, false), Mode::Silent);
        assert_eq!(commander.forward(Some(&hinge()), 0.0, State::Synced), Err(Refusal::Off));
    }

    #[test]
    fn what_others_want_is_held_to_the_same_limits() {
        let commander = commander();
        assert_eq!(commander.forward(Some(&hinge()), 3.0, State::Synced), Ok((1.0, true)));
        assert_eq!(commander.forward(Some(&hinge()), 0.3, State::Synced), Ok((0.3, false)));
        assert_eq!(commander.forward(None, 0.0, State::Synced), Err(Refusal::NoLimits));
        assert_eq!(commander.forward(Some(&hinge()), f64::NAN, State::Synced), Err(Refusal::NotFinite));
        let refusals =
            [(State::Stopped, Refusal::Stopped), (State::Lost, Refusal::Lost), (State::Waiting, Refusal::Lost)];
        for (state, refusal) in refusals {
            assert_eq!(commander.may_forward(state), Err(refusal));
            assert_eq!(commander.forward(Some(&hinge()), 0.0, state), Err(refusal));
        }
    }

    #[test]
    fn a_tick_that_was_late_does_not_make_joints_leap() {
        let mut commander = commander();
        assert_eq!([0, 10_000_000, 60_000_000_000].map(|now_ns| commander.step_seconds(now_ns)), [0.0, 0.01, 0.1]);
    }
}
