//! One joint, brought to the reference and kept there within its limits.

use std::ops::RangeInclusive;

use super::Order;
use crate::angle::Turning;
use crate::joints::JointLimits;

/// Brings one joint to the reference and keeps it there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Follower {
    /// What it was last told.
    last: Option<f64>,
    has_arrived: bool,
    /// Whether it was told to stay: then it is brought to the reference anew, from where the twin is.
    is_held: bool,
}

impl Follower {
    pub(super) fn has_arrived(&self) -> bool {
        self.has_arrived
    }

    /// Whether it was told anything since it began.
    pub(super) fn is_led(&self) -> bool {
        self.last.is_some()
    }

    /// To stay where it was told to be; nothing where it was told nothing.
    pub(super) fn stay(&mut self) -> Order {
        (self.has_arrived, self.is_held) = (false, true);
        self.last.map_or(Order::Nothing, |position| Order::Position { position, is_clamped: false })
    }

    /// From where the twin is, at the lesser of both velocities until the reference is met; then at the joint's own. A twin
    /// that is beyond its limits is brought back like any other.
    pub(super) fn follow(
        &mut self,
        reference: f64,
        twin: f64,
        limits: &JointLimits,
        step_seconds: f64,
        ramp_velocity: f64,
    ) -> Order {
        if self.is_held {
            *self = Self::default();
        }
        let Some((target, is_clamped)) = clamped(reference, limits) else { return Order::Refused };
        let turning = if limits.is_continuous { Turning::Endless } else { Turning::Bounded };
        let from = self.last.unwrap_or(twin);
        let own_velocity = limits.velocity.filter(|velocity| !velocity.is_nan()).unwrap_or(f64::INFINITY);
        let velocity = if self.has_arrived { own_velocity } else { own_velocity.min(ramp_velocity) };
        // A description may give a velocity below zero: then the joint stays.
        let (step, step_max) = (turning.difference(target, from), velocity.max(0.0) * step_seconds);
        self.has_arrived |= step.abs() <= step_max;
        let position = if step_max.is_finite() { from + step.clamp(-step_max, step_max) } else { from + step };
        if !position.is_finite() {
            // Two positions may be too far apart for a number.
            return Order::Refused;
        }
        // Rounding must not leave what is allowed either.
        let position = if limits.is_continuous { position } else { position.clamp(from.min(target), from.max(target)) };
        self.last = Some(position);
        Order::Position { position, is_clamped }
    }
}

/// A continuous joint may be anywhere; of any other it must be known.
pub(super) fn are_known(limits: &JointLimits) -> bool {
    let is_range = |range: &RangeInclusive<f64>| range.start() <= range.end();
    limits.is_continuous || limits.position.as_ref().is_some_and(is_range)
}

/// The nearest position that is allowed, and whether it is another one; `None` where there is none that is a number.
pub(super) fn clamped(position: f64, limits: &JointLimits) -> Option<(f64, bool)> {
    let allowed = match &limits.position {
        _ if limits.is_continuous => position,
        Some(range) if range.start() <= range.end() => position.clamp(*range.start(), *range.end()),
        _ => return None,
    };
    (position.is_finite() && allowed.is_finite()).then_some((allowed, allowed != position))
}
