//! The state of a joint between and beyond its samples.
//!
//! Times are of the source's own clock, as are velocities, so that both fit together whatever a simulator's real-time factor.

use crate::angle::Turning;
use crate::history::{History, Sample};

/// How positions are found between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The cubic through both positions with both velocities (Hermite form: Fritsch and Carlson, "Monotone Piecewise Cubic
    /// Interpolation", SIAM J. Numer. Anal. 17(2), 1980, equation 2, without their limits on the slopes). Linear where
    /// either sample has no velocity: slopes from differences would need the sample after the next.
    #[default]
    Hermite,
    /// The straight line.
    Linear,
    /// The older of the two.
    Hold,
}

/// What a position rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A sample at or before it and one at or after it.
    Between,
    /// The newest sample and its velocity.
    Extrapolated,
    /// A sample before it that is too old for either.
    Held,
}

/// A joint at the time that was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// rad or m.
    pub position: f64,
    /// rad/s or m/s by the source's clock; NaN where it can neither be read nor derived.
    pub velocity: f64,
    /// How far to trust it.
    pub basis: Basis,
}

/// How a joint is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub(crate) interpolation: Interpolation,
    pub(crate) extrapolation_ns_max: i64,
    /// What lies between samples further apart is not known: the older is held.
    pub(crate) gap_ns_max: i64,
    pub(crate) turning: Turning,
}

impl Reader {
    /// The joint at `time_ns`; `None` before its oldest sample.
    pub(crate) fn read(&self, history: &History, time_ns: i64) -> Option<Reading> {
        self.read_after(history, history.count_until(time_ns), time_ns)
    }

    /// The same, where `count` samples are known to be at `time_ns` or before.
    pub(crate) fn read_after(&self, history: &History, count: usize, time_ns: i64) -> Option<Reading> {
        let before = history.get(count.checked_sub(1)?)?;
        if before.time_ns == time_ns {
            let velocity = self.velocity_at(history, count - 1);
            return Some(Reading { position: before.position, velocity, basis: Basis::Between });
        }
        Some(match history.get(count) {
            Some(after) if after.time_ns.saturating_sub(before.time_ns) <= self.gap_ns_max => {
                self.between(before, after, time_ns)
            }
            Some(_) => held(before),
            None => self.beyond(before, self.velocity_at(history, count - 1), time_ns),
        })
    }

    fn between(&self, before: Sample, after: Sample, time_ns: i64) -> Reading {
        let span_seconds = seconds(after.time_ns - before.time_ns);
        let share = seconds(time_ns - before.time_ns) / span_seconds;
        let step = self.turning.difference(after.position, before.position);
        let has_velocities = before.velocity.is_finite() && after.velocity.is_finite();
        let moved = match self.interpolation {
            Interpolation::Hold => 0.0,
            Interpolation::Hermite if has_velocities => {
                hermite(step, before.velocity * span_seconds, after.velocity * span_seconds, share)
            }
            Interpolation::Hermite | Interpolation::Linear => step * share,
        };
        let velocity = if has_velocities {
            before.velocity + (after.velocity - before.velocity) * share
        } else {
            step / span_seconds
        };
        Reading { position: before.position + moved, velocity, basis: Basis::Between }
    }

    fn beyond(&self, newest: Sample, velocity: f64, time_ns: i64) -> Reading {
        let ahead_ns = time_ns.saturating_sub(newest.time_ns);
        let moved = match self.interpolation {
            Interpolation::Hold => 0.0,
            _ if velocity.is_nan() => 0.0,
            _ => velocity * seconds(ahead_ns.min(self.extrapolation_ns_max)),
        };
        // The next sample is due: until it must be thought missing, the joint goes on as it did.
        let velocity = if ahead_ns <= self.gap_ns_max { velocity } else { 0.0 };
        let basis = if ahead_ns <= self.extrapolation_ns_max { Basis::Extrapolated } else { Basis::Held };
        Reading { position: newest.position + moved, velocity, basis }
    }

    /// The velocity of a sample: its own, or by the step from the sample before.
    fn velocity_at(&self, history: &History, index: usize) -> f64 {
        let Some(sample) = history.get(index) else { return f64::NAN };
        let before = index.checked_sub(1).and_then(|index| history.get(index));
        match before {
            _ if sample.velocity.is_finite() => sample.velocity,
            Some(before) if sample.time_ns.saturating_sub(before.time_ns) <= self.gap_ns_max => {
                let step = self.turning.difference(sample.position, before.position);
                step / seconds(sample.time_ns - before.time_ns)
            }
            _ => f64::NAN,
        }
    }
}

/// What is held does not move.
fn held(sample: Sample) -> Reading {
    Reading { position: sample.position, velocity: 0.0, basis: Basis::Held }
}

/// How far the cubic has gone from 0 towards `step` at `share` of the way, with the given slopes at both ends.
fn hermite(step: f64, slope_before: f64, slope_after: f64, share: f64) -> f64 {
    let rest = 1.0 - share;
    step * share * share * (3.0 - 2.0 * share) + slope_before * share * rest * rest - slope_after * share * share * rest
}

fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const MS_NS: i64 = 1_000_000;

    fn reader(interpolation: Interpolation) -> Reader {
        Reader { interpolation, extrapolation_ns_max: 10 * MS_NS, gap_ns_max: 250 * MS_NS, turning: Turning::Bounded }
    }

    fn history(samples: &[(i64, f64, f64)]) -> History {
        let mut history = History::new(100);
        for &(time_ms, position, velocity) in samples {
            history.insert(Sample { time_ns: time_ms * MS_NS, position, velocity }, 0);
        }
        history
    }

    fn position(reader: &Reader, history: &History, time_ms: i64) -> f64 {
        reader.read(history, time_ms * MS_NS).expect("a reading").position
    }

    #[test]
    fn a_cubic_is_met_by_its_own_samples() {
        let cubic = |t: f64| 2.0 - t + 3.0 * t * t - 4.0 * t * t * t;
        let slope = |t: f64| -1.0 + 6.0 * t - 12.0 * t * t;
        let history = history(&[(0, cubic(0.0), slope(0.0)), (200, cubic(0.2), slope(0.2))]);
        for time_ms in [0, 30, 100, 199, 200] {
            let found = position(&reader(Interpolation::Hermite), &history, time_ms);
            assert!((found - cubic(time_ms as f64 / 1e3)).abs() < 1e-12, "{time_ms}: {found}");
        }
    }

    #[test]
    fn without_velocities_the_line_and_with_hold_the_older() {
        let history = history(&[(0, 1.0, f64::NAN), (100, 3.0, 7.0)]);
        assert_eq!(position(&reader(Interpolation::Hermite), &history, 25), 1.5);
        assert_eq!(position(&reader(Interpolation::Linear), &history, 25), 1.5);
        assert_eq!(position(&reader(Interpolation::Hold), &history, 99), 1.0);
        assert_eq!(reader(Interpolation::Linear).read(&history, 25 * MS_NS).expect("a reading").velocity, 20.0);
        assert_eq!(reader(Interpolation::Linear).read(&history, -1), None);
    }

    #[test]
    fn beyond_the_newest_it_goes_on_for_a_while_and_is_held_then() {
        let history = history(&[(0, 1.0, f64::NAN), (100, 3.0, f64::NAN)]);
        let read = |time_ms| reader(Interpolation::Linear).read(&history, time_ms * MS_NS).expect("a reading");
        assert_eq!(read(100).basis, Basis::Between);
        assert_eq!((read(105).position, read(105).basis), (3.1, Basis::Extrapolated));
        assert_eq!((read(150).position, read(150).basis, read(150).velocity), (3.2, Basis::Held, 20.0));
        assert_eq!((read(500).position, read(500).basis, read(500).velocity), (3.2, Basis::Held, 0.0));
        assert_eq!(position(&reader(Interpolation::Hold), &history, 105), 3.0);
    }

    #[test]
    fn what_was_in_a_gap_is_not_made_up() {
        let history = history(&[(0, 1.0, 1.0), (251, 3.0, 1.0)]);
        let found = reader(Interpolation::Hermite).read(&history, 250 * MS_NS).expect("a reading");
        assert_eq!((found.position, found.basis), (1.0, Basis::Held));
    }

    #[test]
    fn an_endless_joint_is_followed_across_half_a_turn() {
        let history = history(&[(0, 3.1, f64::NAN), (100, -3.1, f64::NAN)]);
        let reader = Reader { turning: Turning::Endless, ..reader(Interpolation::Linear) };
        assert!((position(&reader, &history, 50) - std::f64::consts::PI).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn agrees_with_a_search_through_all_samples(
            steps in vec((1..300_i64, -3.0..3.0_f64, prop_oneof![Just(f64::NAN), -3.0..3.0_f64]), 1..40),
            asked_ms in -10..4000_i64,
        ) {
            let mut time_ms = 0;
            let samples: Vec<_> = steps
                .into_iter()
                .map(|(step_ms, position, velocity)| {
                    time_ms += step_ms;
                    (time_ms, position, velocity)
                })
                .collect();
            let found = reader(Interpolation::Hermite).read(&history(&samples), asked_ms * MS_NS);
            let expected = model(&samples, asked_ms);
            prop_assert_eq!(found.is_some(), expected.is_some());
            let distance = found.map_or(0.0, |found| found.position) - expected.unwrap_or(0.0);
            prop_assert!(distance.abs() < 1e-9, "{:?} and {:?}", found, expected);
        }
    }

    /// The position by the textbook's basis functions.
    fn model(samples: &[(i64, f64, f64)], asked_ms: i64) -> Option<f64> {
        let last = samples.iter().rposition(|sample| sample.0 <= asked_ms)?;
        let (t0, p0, v0) = samples[last];
        let ahead = (asked_ms - t0) as f64 / 1e3;
        Some(match samples.get(last + 1) {
            Some(&(t1, ..)) if t1 - t0 > 250 => p0,
            Some(&(t1, p1, v1)) => {
                let (h, v0, v1) = ((t1 - t0) as f64 / 1e3, v0, v1);
                let u = ahead / h;
                if v0.is_nan() || v1.is_nan() {
                    p0 + (p1 - p0) * u
                } else {
                    (2.0 * u.powi(3) - 3.0 * u.powi(2) + 1.0) * p0
                        + (u.powi(3) - 2.0 * u.powi(2) + u) * h * v0
                        + (-2.0 * u.powi(3) + 3.0 * u.powi(2)) * p1
                        + (u.powi(3) - u.powi(2)) * h * v1
                }
            }
            None => {
                let before = last.checked_sub(1).map(|before| samples[before]).filter(|before| t0 - before.0 <= 250);
                let slope = before.map_or(f64::NAN, |before| (p0 - before.1) / ((t0 - before.0) as f64 / 1e3));
                let velocity = if v0.is_nan() { slope } else { v0 };
                p0 + if velocity.is_nan() { 0.0 } else { velocity * ahead.min(0.01) }
            }
        })
    }
}
