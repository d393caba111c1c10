//! The limits of one joint.

use std::ops::RangeInclusive;

/// How a joint moves, which tells the units of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// About an axis: rad, rad/s, N m.
    Rotation,
    /// About an axis, round and round: positions a whole turn apart are the same.
    EndlessRotation,
    /// Along an axis: m, m/s, N.
    Translation,
}

/// What of a joint has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Quantity {
    Position,
    Velocity,
    Effort,
}

impl Quantity {
    /// Every quantity, in the order in which sensor_msgs/msg/JointState has them.
    pub const ALL: [Self; 3] = [Self::Position, Self::Velocity, Self::Effort];

    /// The name as the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Velocity => "velocity",
            Self::Effort => "effort",
        }
    }

    /// The unit as the value of a metric's label.
    #[must_use]
    pub const fn unit(self, motion: Motion) -> &'static str {
        match (self, motion) {
            (Self::Position, Motion::Rotation | Motion::EndlessRotation) => "radians",
            (Self::Position, Motion::Translation) => "metres",
            (Self::Velocity, Motion::Rotation | Motion::EndlessRotation) => "radians_per_second",
            (Self::Velocity, Motion::Translation) => "metres_per_second",
            (Self::Effort, Motion::Rotation | Motion::EndlessRotation) => "newton_metres",
            (Self::Effort, Motion::Translation) => "newtons",
        }
    }
}

/// What a joint may do; `None` where nothing is said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// How it moves.
    pub motion: Motion,
    /// Where it may be, in rad or m; a continuous joint may be anywhere.
    pub position: Option<RangeInclusive<f64>>,
    /// How fast it may be either way, in rad/s or m/s.
    pub velocity: Option<f64>,
    /// How strong it may be either way, in N m or N.
    pub effort: Option<f64>,
}

/// How far a value is from its limit; below zero it is beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// In the unit of the value.
    pub absolute: f64,
    /// As a share of what is allowed: of half the range of positions, of the velocity or effort.
    pub ratio: f64,
}

impl Limits {
    /// The margin of a value; `None` where there is no limit or the value is no number.
    #[must_use]
    pub fn margin(&self, quantity: Quantity, value: f64) -> Option<Margin> {
        if value.is_nan() {
            return None;
        }
        let (absolute, allowed) = match quantity {
            // From the ends, so that a joint at its end has a margin of zero and not of what rounding makes of it.
            Quantity::Position => {
                let range = self.position.as_ref()?;
                ((value - range.start()).min(range.end() - value), (range.end() - range.start()) / 2.0)
            }
            Quantity::Velocity => (self.velocity? - value.abs(), self.velocity?),
            Quantity::Effort => (self.effort? - value.abs(), self.effort?),
        };
        (!absolute.is_nan()).then(|| Margin { absolute, ratio: absolute / allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_zero_at_the_limit_and_one_far_from_it() {
        let limits = Limits { motion: Motion::Rotation, position: Some(-1.0..=3.0), velocity: Some(2.0), effort: None };
        let margin = |quantity, value| limits.margin(quantity, value).map(|margin| (margin.absolute, margin.ratio));
        assert_eq!(margin(Quantity::Position, 1.0), Some((2.0, 1.0)));
        assert_eq!(margin(Quantity::Position, 3.0), Some((0.0, 0.0)));
        let odd = Limits { position: Some(-0.0698..=3.7525), ..limits.clone() };
        assert_eq!(odd.margin(Quantity::Position, -0.0698).expect("a limit").absolute, 0.0);
        assert_eq!(margin(Quantity::Position, -2.0), Some((-1.0, -0.5)));
        assert_eq!(margin(Quantity::Velocity, -1.0), Some((1.0, 0.5)));
        assert_eq!(margin(Quantity::Velocity, f64::NEG_INFINITY), Some((f64::NEG_INFINITY, f64::NEG_INFINITY)));
        assert_eq!(margin(Quantity::Position, f64::NAN), None);
        assert_eq!(margin(Quantity::Effort, 1.0), None);
    }
}
