//! What the twin is told to do, from where the reference is.
//!
//! Invariant: a joint is told nothing that is no number and nothing that a URDF does not allow, but to stay where it is, or
//! on the way back from where it should not be; and no joint whose limits are unknown is led anywhere.
//! Not for: the safety of people or machines; this is no certified safety function.

mod follower;
#[cfg(test)]
mod tests;

use follower::{Follower, are_known, clamped};

use crate::joints::{JointId, JointLimits};
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::state::State;

/// A tick that comes later than this after the one before moves no joint any farther.
const STEP_SECONDS_MAX: f64 = 0.1;

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

/// What there is to know of both sources as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) is_stopped: bool,
    pub(crate) is_lost: bool,
    pub(crate) is_stale: bool,
    /// Whether somebody else says where the twin is to go.
    pub(crate) is_led_by_others: bool,
}

/// What there is to know of one joint at one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) limits: Option<&'a JointLimits>,
    /// `None` where it is not known, or not any more: a joint is told nothing that is not brought from where it is.
    pub(crate) reference: Option<f64>,
    pub(crate) twin: Option<f64>,
    /// Whether a source has brought nothing new of it for a while: a twin that is not heard may be anywhere by now.
    pub(crate) is_reference_stale: bool,
    pub(crate) is_twin_stale: bool,
}

impl Situation<'_> {
    /// Where the twin is to stay at a stop: where it is, whatever its limits are, since it must not leap. `None` where that is
    /// not known.
    fn place(&self) -> Option<f64> {
        self.twin.filter(|_| !self.is_twin_stale)
    }
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

/// One joint, and what it was told.
#[derive(Clone, Copy, Debug, Default)]
struct Commanded {
    follower: Follower,
    /// Whether it was ever told anything, whoever wanted it.
    is_told: bool,
    /// Whether a stop has not reached it yet.
    is_hold_due: bool,
}

/// Decides what the twin is told.
#[derive(Clone, Debug)]
pub(crate) struct Commander {
    is_allowed: bool,
    is_enabled: bool,
    ramp_velocity: f64,
    joints: Vec<Commanded>,
    last_tick_ns: Option<i64>,
}

impl Commander {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            is_allowed: settings.commands,
            is_enabled: true,
            ramp_velocity: settings.max_joint_velocity,
            joints: Vec::new(),
            last_tick_ns: None,
        }
    }

    /// Makes room for a joint.
    pub(crate) fn admit(&mut self, joints: usize) {
        self.joints.resize(joints, Commanded::default());
    }

    pub(crate) fn enable(&mut self, is_enabled: bool) {
        self.is_enabled = is_enabled;
    }

    pub(crate) fn is_commanding(&self) -> bool {
        self.is_allowed && self.is_enabled
    }

    /// Every joint that was told anything, whoever wanted it, is told once to stay where it is, as soon as that is known and
    /// even while commands are off: what was passed on before may still be under way. A joint that was told nothing stays so.
    pub(crate) fn stop(&mut self) {
        self.joints.iter_mut().for_each(|joint| joint.is_hold_due = joint.is_told);
    }

    /// A hold did not reach the joint: it is due again.
    pub(crate) fn hold_failed(&mut self, joint: JointId) {
        if let Some(joint) = self.joints.get_mut(joint.index()) {
            joint.is_hold_due = joint.is_told;
        }
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

    /// Somebody else has told these joints where to go: what was due of a stop before is over.
    pub(crate) fn forwarded(&mut self, joints: &[JointId]) {
        self.resume();
        for joint in joints {
            if let Some(joint) = self.joints.get_mut(joint.index()) {
                joint.is_told = true;
            }
        }
    }

    /// Every joint is to be brought to the reference from where the twin is.
    pub(crate) fn release(&mut self) {
        self.joints.iter_mut().for_each(|joint| joint.follower = Follower::default());
    }

    /// Whether every joint that is told anything is where the reference is.
    pub(crate) fn has_arrived(&self) -> bool {
        let mut followers = self.joints.iter().map(|joint| joint.follower);
        followers.clone().all(|follower| follower.has_arrived() || !follower.is_led())
            && followers.any(|follower| follower.has_arrived())
    }

    /// How much time a tick at `now_ns` has to move joints.
    pub(crate) fn step_seconds(&mut self, now_ns: i64) -> f64 {
        let since_ns = self.last_tick_ns.replace(now_ns).unwrap_or(now_ns);
        (now_ns.saturating_sub(since_ns) as f64 / 1e9).clamp(0.0, STEP_SECONDS_MAX)
    }

    /// What the joints in these situations are told; to be asked once in a tick, before [`Self::order`]. The hold of a stop
    /// comes first, even of one that is cleared by now, and all joints are held anew when one more can be: a controller may
    /// take none without the others. It stays due of a joint that is nowhere until commands resume.
    pub(crate) fn mode<'a>(&mut self, inputs: Inputs, situations: impl Iterator<Item = Situation<'a>>) -> Mode {
        let mut joints = self.joints.iter().zip(situations);
        if joints.any(|(joint, situation)| joint.is_hold_due && situation.place().is_some()) {
            return Mode::HoldOnce;
        }
        let Inputs { is_stopped, is_lost, is_stale, is_led_by_others } = inputs;
        if !self.is_commanding() || is_stopped || is_lost || is_led_by_others {
            return Mode::Silent;
        }
        self.resume();
        if is_stale { Mode::Hold } else { Mode::Follow }
    }

    /// A stop that has not reached every joint is over.
    fn resume(&mut self) {
        self.joints.iter_mut().for_each(|joint| joint.is_hold_due = false);
    }

    /// What the joint at `index` is told.
    pub(crate) fn order(&mut self, index: usize, mode: Mode, situation: Situation, step_seconds: f64) -> Order {
        let ramp_velocity = self.ramp_velocity;
        let Some(joint) = self.joints.get_mut(index) else { return Order::Nothing };
        let order = match mode {
            Mode::Follow | Mode::Hold => {
                let order = joint.follower.lead(mode, situation, step_seconds, ramp_velocity);
                if order == Order::Refused {
                    // Whatever moves the twin meanwhile: it is brought to the reference from where it is then.
                    joint.follower = Follower::default();
                }
                order
            }
            Mode::HoldOnce | Mode::Silent => {
                joint.follower = Follower::default();
                if mode == Mode::HoldOnce { joint.hold(situation) } else { Order::Nothing }
            }
        };
        joint.is_told |= matches!(order, Order::Position { .. });
        order
    }
}

impl Commanded {
    /// To stay where it is, where it was told anything before.
    fn hold(&mut self, situation: Situation) -> Order {
        let Some(position) = situation.place().filter(|_| self.is_told) else { return Order::Nothing };
        self.is_hold_due = false;
        Order::Position { position, is_clamped: false }
    }
}

impl Follower {
    /// To follow the reference, or to stay where it was told to be.
    fn lead(&mut self, mode: Mode, situation: Situation, step_seconds: f64, ramp_velocity: f64) -> Order {
        let (Some(reference), Some(twin)) = (situation.reference, situation.twin) else {
            *self = Self::default();
            return Order::Nothing;
        };
        let Some(limits) = situation.limits.filter(|limits| are_known(limits)) else { return Order::Refused };
        if mode == Mode::Hold || situation.is_reference_stale || situation.is_twin_stale {
            return self.stay();
        }
        self.follow(reference, twin, limits, step_seconds, ramp_velocity)
    }
}

/// A position that somebody else wants a joint of these limits to take, kept within them, and whether they changed it.
pub(crate) fn allowed(limits: Option<&JointLimits>, position: f64) -> Result<(f64, bool), Refusal> {
    if !position.is_finite() {
        return Err(Refusal::NotFinite);
    }
    limits.and_then(|limits| clamped(position, limits)).ok_or(Refusal::NoLimits)
}
