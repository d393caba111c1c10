//! What a window of errors amounts to.

/// Errors over a window: the reference minus the twin at equal times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorStatistics {
    /// How many points of the window both sources had.
    pub points: usize,
    /// The mean: rad or m.
    pub bias: f64,
    /// The mean of the absolute values.
    pub mae: f64,
    /// The root of the mean square.
    pub rmse: f64,
    /// The greatest absolute value.
    pub max: f64,
    /// The absolute value that 95 % do not exceed (nearest rank: Hyndman and Fan, "Sample Quantiles in Statistical
    /// Packages", The American Statistician 50(4), 1996, definition 1).
    pub p95: f64,
    /// The slope of the line of least squares through the errors: rad/s or m/s.
    pub drift_per_second: f64,
    /// The root of the mean square of the errors of velocity: rad/s or m/s.
    pub velocity_rmse: f64,
}

/// The error at one point of a window; NaN where either source has no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ErrorPoint {
    pub(crate) position: f64,
    pub(crate) velocity: f64,
}

impl ErrorStatistics {
    /// Of points `step_seconds` apart; `None` where no point has an error. `scratch` is overwritten and has room for them.
    pub(crate) fn of(points: &[ErrorPoint], step_seconds: f64, scratch: &mut Vec<f64>) -> Option<Self> {
        scratch.clear();
        scratch.extend(points.iter().map(|point| point.position.abs()).filter(|size| size.is_finite()));
        if scratch.is_empty() {
            return None;
        }
        let sizes = &mut scratch[..];
        let rank = (sizes.len() * 95).div_ceil(100) - 1;
        let p95 = *sizes.select_nth_unstable_by(rank, f64::total_cmp).1;
        let count = sizes.len() as f64;
        let fit = Fit::of(points, step_seconds);
        Some(Self {
            points: sizes.len(),
            bias: fit.mean,
            mae: sizes.iter().sum::<f64>() / count,
            rmse: root_mean_square(sizes.iter().copied()),
            max: sizes.iter().copied().fold(0.0, f64::max),
            p95,
            drift_per_second: fit.slope,
            velocity_rmse: root_mean_square(
                points.iter().map(|point| point.velocity).filter(|error| error.is_finite()),
            ),
        })
    }
}

/// The line of least squares through the errors of position.
struct Fit {
    mean: f64,
    slope: f64,
}

impl Fit {
    fn of(points: &[ErrorPoint], step_seconds: f64) -> Self {
        let known = || {
            let timed = points.iter().enumerate().map(|(index, point)| (index as f64 * step_seconds, point.position));
            timed.filter(|(_, error)| error.is_finite())
        };
        let count = known().count() as f64;
        let mean_time = known().map(|(time, _)| time).sum::<f64>() / count;
        let mean = known().map(|(_, error)| error).sum::<f64>() / count;
        let spread = known().map(|(time, _)| (time - mean_time).powi(2)).sum::<f64>();
        let slope = known().map(|(time, error)| (time - mean_time) * (error - mean)).sum::<f64>() / spread;
        Self { mean, slope: if spread > 0.0 { slope } else { 0.0 } }
    }
}

fn root_mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value * value));
    if count > 0.0 { (sum / count).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errors: &[f64]) -> Option<ErrorStatistics> {
        let points: Vec<_> = errors.iter().map(|&position| ErrorPoint { position, velocity: 2.0 * position }).collect();
        ErrorStatistics::of(&points, 0.5, &mut Vec::new())
    }

    #[test]
    fn errors_are_summed_up() {
        let found = of(&[-3.0, 1.0, f64::NAN, 5.0]).expect("errors");
        assert_eq!((found.points, found.bias, found.mae, found.max), (3, 1.0, 3.0, 5.0));
        assert!((found.rmse - (35.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((found.velocity_rmse - 2.0 * found.rmse).abs() < 1e-12);
        assert_eq!((of(&[]), of(&[f64::NAN])), (None, None));
    }

    #[test]
    fn a_drift_is_the_slope_and_gaps_are_of_no_account() {
        let mut errors: Vec<_> = (0..50).map(|point| 0.2 - 0.03 * 0.5 * f64::from(point)).collect();
        errors[7..13].fill(f64::NAN);
        let found = of(&errors).expect("errors").drift_per_second;
        assert!((found + 0.03).abs() < 1e-12, "{found}");
        assert_eq!(of(&[0.7]).expect("an error").drift_per_second, 0.0);
    }

    #[test]
    fn p95_is_exceeded_by_five_in_a_hundred() {
        let errors: Vec<_> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(of(&errors).expect("errors").p95, 95.0);
        assert_eq!(of(&errors[..10]).expect("errors").p95, 100.0);
    }
}
