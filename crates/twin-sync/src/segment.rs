//! What a controller does between two points of a trajectory.
//!
//! As joint_trajectory_controller does it: with velocities at both points the cubic in Hermite form (Fritsch and Carlson,
//! "Monotone Piecewise Cubic Interpolation", 1980), else the straight line. Its extremes are where its derivatives vanish, in
//! closed form.

use std::ops::RangeInclusive;

/// One joint between two points that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// At both points: rad or m.
    pub positions: [f64; 2],
    /// At both points: rad/s or m/s; `None` where a point has none.
    pub velocities: Option<[f64; 2]>,
    /// From one point to the next.
    pub seconds: f64,
}

impl Segment {
    /// The least and the greatest position.
    #[must_use]
    pub fn position_range(&self) -> RangeInclusive<f64> {
        let [from, to] = self.positions;
        let turns =
            self.curve().map_or([None; 2], |curve| curve.velocity_roots().map(|share| share.map(|s| curve.at(s))));
        let all = || [from, to].into_iter().chain(turns.into_iter().flatten());
        all().fold(from, f64::min)..=all().fold(from, f64::max)
    }

    /// The greatest velocity either way; `None` for a straight line or a leap.
    #[must_use]
    pub fn velocity_max(&self) -> Option<f64> {
        let (curve, velocities) = self.curve().zip(self.velocities)?;
        let between = curve.velocity_extreme().map(|velocity| velocity / self.seconds);
        Some(velocities.into_iter().chain(between).map(f64::abs).fold(0.0, f64::max))
    }

    fn curve(&self) -> Option<Curve> {
        let [v0, v1] = self.velocities.filter(|_| self.seconds > 0.0)?.map(|velocity| velocity * self.seconds);
        let [p0, p1] = self.positions;
        let rise = p1 - p0;
        Some(Curve { coefficients: [p0, v0, 3.0 * rise - 2.0 * v0 - v1, v0 + v1 - 2.0 * rise] })
    }
}

/// Beginning with the constant, by the share of the time that has passed.
#[derive(Clone, Copy)]
struct Curve {
    coefficients: [f64; 4],
}

impl Curve {
    fn at(&self, share: f64) -> f64 {
        let [c0, c1, c2, c3] = self.coefficients;
        c0 + share * (c1 + share * (c2 + share * c3))
    }

    /// Where between both points it turns.
    fn velocity_roots(&self) -> [Option<f64>; 2] {
        let [_, c1, c2, c3] = self.coefficients;
        let (a, half_b, c) = (3.0 * c3, c2, c1);
        let discriminant = half_b * half_b - a * c;
        // Neither root is lost to rounding where the cubic is almost a parabola; what does not exist is NaN or infinite.
        let q = -(half_b + discriminant.sqrt().copysign(half_b));
        [q / a, c / q].map(|share| Some(share).filter(|share| (0.0..1.0).contains(share)))
    }

    /// The velocity, by the share, where between both points it is greatest or least.
    fn velocity_extreme(&self) -> Option<f64> {
        let [_, c1, c2, c3] = self.coefficients;
        let share = -c2 / (3.0 * c3);
        (0.0..1.0).contains(&share).then_some(c1 + share * (2.0 * c2 + share * 3.0 * c3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: [([f64; 2], [f64; 2], f64); 9] = [
        ([0.0, 1.0], [0.0, 0.0], 1.0),
        ([0.0, 1.0], [0.0, 0.0], 0.5),
        ([0.0, 0.0], [1.0, -1.0], 2.0),
        ([0.0, 0.0], [1.0, 1.0], 1.0),
        ([0.9, 1.0], [2.0, 0.0], 0.4),
        ([0.0, 1.0], [1.0, 1.0], 1.0),
        ([1.0, 0.5], [-3.0, 0.2], 0.7),
        ([0.2, 0.2], [0.0, 0.0], 1.0),
        // Almost a parabola.
        ([0.0, 0.5 + 1e-12], [1.0, 0.0], 1.0),
    ];

    /// Positions and velocities of the Hermite form, closely.
    fn sampled(positions: [f64; 2], velocities: [f64; 2], seconds: f64) -> impl Iterator<Item = (f64, f64)> {
        let ([p0, p1], [m0, m1]) = (positions, velocities.map(|velocity| velocity * seconds));
        (0..=100_000).map(move |step| {
            let s = f64::from(step) / 1e5;
            let position = (1.0 + 2.0 * s) * (1.0 - s).powi(2) * p0
                + s * (1.0 - s).powi(2) * m0
                + s * s * (3.0 - 2.0 * s) * p1
                + s * s * (s - 1.0) * m1;
            let velocity =
                6.0 * s * (1.0 - s) * (p1 - p0) + (1.0 - s) * (1.0 - 3.0 * s) * m0 + s * (3.0 * s - 2.0) * m1;
            (position, velocity / seconds)
        })
    }

    #[test]
    fn extremes_are_those_of_a_curve_that_is_sampled_closely() {
        for (positions, velocities, seconds) in POINTS {
            let segment = Segment { positions, velocities: Some(velocities), seconds };
            let samples = || sampled(positions, velocities, seconds);
            let least = samples().map(|(position, _)| position).fold(f64::INFINITY, f64::min);
            let greatest = samples().map(|(position, _)| position).fold(f64::NEG_INFINITY, f64::max);
            let fastest = samples().map(|(_, velocity)| velocity.abs()).fold(0.0, f64::max);
            let range = segment.position_range();
            let found =
                [*range.start() - least, *range.end() - greatest, segment.velocity_max().expect("a curve") - fastest];
            assert!(found.iter().all(|off| off.abs() < 1e-8), "{segment:?} {found:?}");
        }
    }

    #[test]
    fn without_velocities_it_is_the_straight_line() {
        let segment = |to, seconds| Segment { positions: [0.5, to], velocities: None, seconds };
        assert_eq!((segment(-0.5, 0.5).velocity_max(), segment(-0.5, 0.5).position_range()), (None, -0.5..=0.5));
        for seconds in [0.0, -1.0] {
            let leap = Segment { velocities: Some([1.0, 1.0]), ..segment(0.6, seconds) };
            assert_eq!((leap.velocity_max(), leap.position_range()), (None, 0.5..=0.6));
        }
    }
}
