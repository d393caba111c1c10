//! Differences of positions, the short way round for joints that turn without end.

use std::f64::consts::{PI, TAU};

/// How a joint's positions are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turning {
    /// Positions are what they are.
    Bounded,
    /// Positions a whole turn apart are the same (`continuous` in a URDF).
    Endless,
}

impl Turning {
    /// `to - from`; for an endless joint the shortest arc, in (-pi, pi].
    pub(crate) fn difference(self, to: f64, from: f64) -> f64 {
        match self {
            Self::Bounded => to - from,
            Self::Endless => wrapped(to - from),
        }
    }
}

fn wrapped(angle: f64) -> f64 {
    if angle.abs() < PI {
        return angle;
    }
    let turned = angle.rem_euclid(TAU);
    if turned > PI { turned - TAU } else { turned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_joint_goes_the_short_way() {
        for (to, from, expected) in
            [(0.1, -0.1, 0.2), (3.1, -3.1, 6.2 - TAU), (-3.1, 3.1, TAU - 6.2), (50.0 * TAU + 1.0, 0.0, 1.0)]
        {
            let found = Turning::Endless.difference(to, from);
            assert!((found - expected).abs() < 1e-9, "{to} - {from}: {found}");
        }
        assert_eq!(Turning::Endless.difference(-PI, 0.0), PI);
        assert_eq!(Turning::Bounded.difference(3.1, -3.1), 6.2);
        assert!(Turning::Endless.difference(f64::NAN, 0.0).is_nan());
    }
}
