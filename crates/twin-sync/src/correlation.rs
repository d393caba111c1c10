//! The lag between two signals, by their normalised cross-correlation.
//!
//! For a shift of `k` samples, Pearson's coefficient of what of `reference[i]` and `twin[i + k]` overlaps: each overlap has
//! its own mean and its own energy, so that a large shift is neither punished for being short nor rewarded for a quiet end
//! (J. P. Lewis, "Fast Normalized Cross-Correlation", Vision Interface 1995: the products by FFT, sums and energies by
//! running sums). Between samples the peak is that of the parabola through the highest and its neighbours.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A peak below this is no likeness.
pub(crate) const PEAK_MIN: f64 = 0.7;

/// Peaks within this of the highest are as high: of the many of a periodic motion the one with the least lag is meant.
const PEAK_MARGIN: f64 = 0.05;

/// What is left of both signals when they are shifted is at least this share of them.
const OVERLAP_MIN: f64 = 0.75;

/// How far one signal is behind another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Above zero where the twin is behind the reference.
    pub seconds: f64,
    /// How alike both are when it is taken out, up to 1.
    pub peak: f64,
}

/// Finds lags; its memory is fixed when created.
pub(crate) struct Correlator {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    scratch: Vec<Complex<f64>>,
    padded: Vec<f64>,
    spectra: [Vec<Complex<f64>>; 2],
    sums: [RunningSums; 2],
    /// Pearson's coefficient for shifts from `-shift_max - 1` to `shift_max + 1`.
    coefficients: Vec<f64>,
}

/// Sums over the first samples of a signal and over their squares.
#[derive(Clone, Debug)]
struct RunningSums {
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl RunningSums {
    fn new(points_max: usize) -> Self {
        Self { values: Vec::with_capacity(points_max + 1), squares: Vec::with_capacity(points_max + 1) }
    }

    fn fill(&mut self, signal: &[f64]) {
        self.values.clear();
        self.squares.clear();
        let (mut value, mut square) = (0.0, 0.0);
        self.values.push(value);
        self.squares.push(square);
        for sample in signal {
            value += sample;
            square += sample * sample;
            self.values.push(value);
            self.squares.push(square);
        }
    }

    /// Sum and sum of squares from `start` on, `length` samples.
    fn over(&self, start: usize, length: usize) -> (f64, f64) {
        let end = start + length;
        (self.values[end] - self.values[start], self.squares[end] - self.squares[start])
    }
}

impl Correlator {
    /// For signals of up to `points_max` samples.
    pub(crate) fn new(points_max: usize) -> Self {
        let size = (points_max + shift_max(points_max) + 2).next_power_of_two();
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let scratch = vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())];
        Self {
            scratch,
            padded: vec![0.0; size],
            spectra: [forward.make_output_vec(), forward.make_output_vec()],
            sums: [RunningSums::new(points_max), RunningSums::new(points_max)],
            coefficients: Vec::with_capacity(2 * shift_max(points_max) + 3),
            forward,
            inverse,
        }
    }

    /// The lag of `twin` behind `reference`, both sampled every `step_seconds`; `None` where they are not alike at any lag
    /// up to `lag_seconds_max` either way, and to a quarter of their length. The mean of each signal has to be near zero.
    pub(crate) fn lag(
        &mut self,
        [reference, twin]: [&[f64]; 2],
        step_seconds: f64,
        lag_seconds_max: f64,
    ) -> Option<Lag> {
        let points = reference.len().min(twin.len());
        let shift_max = ((lag_seconds_max / step_seconds).ceil() as usize).min(shift_max(points));
        if shift_max == 0 {
            return None;
        }
        self.correlate([&reference[..points], &twin[..points]], shift_max + 1);
        let peak = self.peak()?;
        let [before, at, after] = [peak - 1, peak, peak + 1].map(|index| self.coefficients[index]);
        let curvature = before - 2.0 * at + after;
        let part = if curvature < 0.0 { 0.5 * (before - after) / curvature } else { 0.0 };
        let shift = peak as f64 - (shift_max + 1) as f64 + part;
        let seconds = shift * step_seconds;
        (seconds.abs() <= lag_seconds_max + step_seconds).then_some(Lag { seconds, peak: at.min(1.0) })
    }

    /// The index of the peak with the least lag of those that are nearly the highest. What only rises towards the longest
    /// lag is none.
    fn peak(&self) -> Option<usize> {
        let middle = self.coefficients.len() / 2;
        let is_peak = |window: &[f64]| window[1] >= window[0] && window[1] > window[2];
        let peaks = || self.coefficients.windows(3).enumerate().filter(|(_, window)| is_peak(window));
        let highest = peaks().map(|(_, window)| window[1]).reduce(f64::max).filter(|highest| *highest >= PEAK_MIN)?;
        let high = peaks().filter(|(_, window)| window[1] >= highest - PEAK_MARGIN);
        high.map(|(index, _)| index + 1).min_by_key(|index| index.abs_diff(middle))
    }

    /// Fills `coefficients` for shifts up to `shift_max` either way.
    fn correlate(&mut self, signals: [&[f64]; 2], shift_max: usize) {
        self.multiply(signals);
        for (sums, signal) in self.sums.iter_mut().zip(signals) {
            sums.fill(signal);
        }
        self.coefficients.clear();
        for shift in -(shift_max as isize)..=shift_max as isize {
            self.coefficients.push(self.coefficient(signals[0].len(), shift));
        }
    }

    /// `padded[k]` becomes the sum of `reference[i] * twin[i + k]`, negative `k` from the end.
    fn multiply(&mut self, signals: [&[f64]; 2]) {
        for (signal, spectrum) in signals.into_iter().zip(&mut self.spectra) {
            self.padded.fill(0.0);
            self.padded[..signal.len()].copy_from_slice(signal);
            // The lengths are those that it was planned for, the only thing that can be wrong.
            let _ = self.forward.process_with_scratch(&mut self.padded, spectrum, &mut self.scratch);
        }
        let [reference, twin] = &mut self.spectra;
        for (product, reference) in twin.iter_mut().zip(reference) {
            *product *= reference.conj();
        }
        let _ = self.inverse.process_with_scratch(twin, &mut self.padded, &mut self.scratch);
    }

    fn coefficient(&self, points: usize, shift: isize) -> f64 {
        let length = points - shift.unsigned_abs();
        let (start, twin_start) = if shift < 0 { (shift.unsigned_abs(), 0) } else { (0, shift.unsigned_abs()) };
        let size = self.padded.len();
        let product = self.padded[shift.rem_euclid(size as isize) as usize] / size as f64;
        let (sum, squares) = self.sums[0].over(start, length);
        let (twin_sum, twin_squares) = self.sums[1].over(twin_start, length);
        let count = length as f64;
        let energy = (squares - sum * sum / count).max(0.0) * (twin_squares - twin_sum * twin_sum / count).max(0.0);
        if energy > 0.0 { (product - sum * twin_sum / count) / energy.sqrt() } else { 0.0 }
    }
}

/// The farthest that signals of this length are shifted.
fn shift_max(points: usize) -> usize {
    ((points as f64 * (1.0 - OVERLAP_MIN)) as usize).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const STEP_SECONDS: f64 = 0.005;

    fn signal(points: usize, lag_seconds: f64, motion: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..points).map(|point| motion(point as f64 * STEP_SECONDS - lag_seconds)).collect()
    }

    fn lag(motion: impl Fn(f64) -> f64, lag_seconds: f64) -> Option<Lag> {
        let (reference, twin) = (signal(1000, 0.0, &motion), signal(1000, lag_seconds, &motion));
        Correlator::new(1000).lag([&reference, &twin], STEP_SECONDS, 0.5)
    }

    #[test]
    fn the_lag_of_sines_is_found_between_samples() {
        for hertz in [0.3, 0.5, 1.0, 1.7] {
            for lag_seconds in [0.0, 0.08, -0.08, 0.0013, 0.2371, -0.1999] {
                let found = lag(|t| (std::f64::consts::TAU * hertz * t).sin(), lag_seconds).expect("a lag");
                assert!((found.seconds - lag_seconds).abs() < 2e-4, "{hertz} Hz {lag_seconds}: {found:?}");
                assert!(found.peak > 0.999, "{found:?}");
            }
        }
    }

    #[test]
    fn of_a_periodic_motion_the_least_lag_is_meant() {
        let found = lag(|t| (std::f64::consts::TAU * 5.0 * t).sin(), 0.04).expect("a lag");
        assert!((found.seconds - 0.04).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn what_is_not_alike_has_no_lag() {
        assert_eq!(lag(|_| 0.0, 0.0), None);
        let (rising, noise) = (signal(1000, 0.0, |t| t), signal(1000, 0.0, |t| (t * 1e5).sin()));
        assert_eq!(Correlator::new(1000).lag([&rising, &noise], STEP_SECONDS, 0.5), None);
        assert_eq!(Correlator::new(1000).lag([&[], &[]], STEP_SECONDS, 0.5), None);
        let opposite: Vec<_> = signal(1000, 0.0, f64::sin).into_iter().map(|value| -value).collect();
        assert_eq!(Correlator::new(1000).lag([&signal(1000, 0.0, f64::sin), &opposite], STEP_SECONDS, 0.5), None);
    }

    #[test]
    fn a_lag_beyond_the_range_is_not_taken_for_its_end() {
        let pulse = |t: f64| (-((t - 2.0) / 0.1).powi(2)).exp();
        let found = lag(pulse, 0.3).expect("a lag");
        assert!((found.seconds - 0.3).abs() < 1e-3, "{found:?}");
        assert_eq!(lag(pulse, 0.7), None);
    }

    /// Pearson's coefficient of the overlap, sum by sum.
    fn naive(reference: &[f64], twin: &[f64], shift: isize) -> f64 {
        let pairs: Vec<_> = (0..reference.len() as isize)
            .filter(|index| (0..twin.len() as isize).contains(&(index + shift)))
            .map(|index| (reference[index as usize], twin[(index + shift) as usize]))
            .collect();
        let count = pairs.len() as f64;
        let means = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0 / count, sum.1 + pair.1 / count));
        let sum =
            |of: fn(f64, f64) -> f64| pairs.iter().map(|pair| of(pair.0 - means.0, pair.1 - means.1)).sum::<f64>();
        sum(|a, b| a * b) / (sum(|a, _| a * a) * sum(|_, b| b * b)).sqrt()
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_correlation(pairs in vec((-3.0..3.0_f64, -3.0..3.0_f64), 8..90)) {
            let (reference, twin): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let shift_max = shift_max(reference.len());
            let mut correlator = Correlator::new(90);
            correlator.correlate([&reference, &twin], shift_max);
            for (index, found) in correlator.coefficients.iter().enumerate() {
                let expected = naive(&reference, &twin, index as isize - shift_max as isize);
                prop_assert!((found - expected).abs() < 1e-9, "{} {}", found, expected);
            }
        }
    }
}
