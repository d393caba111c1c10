//! One joint over a window of time: both sources on one grid, their lag, and their errors with and without it.
//!
//! Invariant: memory is fixed when created; the work for one joint is bounded by [`POINTS_MAX`] and what a window holds.

use crate::alignment::Pairing;
use crate::angle::Turning;
use crate::correlation::{Correlator, Lag};
use crate::history::History;
use crate::interpolation::{Interpolation, Reader};
use crate::settings::{Settings, nanoseconds};
use crate::statistics::{ErrorPoint, ErrorStatistics};
use crate::trace::{Grid, Trace};

/// The finest grid: 200 points a second.
const STEP_NS_MIN: i64 = 5_000_000;

/// A long window has a coarser grid.
const POINTS_MAX: usize = 2000;

/// Less than this says nothing of a joint.
const POINTS_MIN: usize = 20;
const SPAN_NS_MIN: i64 = 500_000_000;

/// In less than this, pieces of smooth motions are alike by chance.
const LAG_SPAN_NS_MIN: i64 = 1_000_000_000;

/// A joint moves whose velocity varies by this (standard deviation): rad/s or m/s. At a steady velocity no lag shows.
const MOTION_MIN: f64 = 0.01;

/// A joint over the window before the newest time that both sources know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    /// How much of the window there was without a gap.
    pub span_seconds: f64,
    /// By the reference's clock; `None` without motion, or where both are not alike.
    pub lag: Option<Lag>,
    /// At equal times.
    pub raw: ErrorStatistics,
    /// With the lag taken out that was found, or the last or the robot's where none was; `None` where none is known.
    pub compensated: Option<ErrorStatistics>,
    /// How much the joint moved: the standard deviation of its velocity, of the source that moved less.
    pub motion: f64,
}

impl Analysis {
    /// Whether reference and twin moved so that a lag could show.
    pub(crate) fn shows_motion(&self) -> bool {
        self.motion >= MOTION_MIN
    }
}

/// What is analysed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) reference: &'a History,
    pub(crate) twin: &'a History,
    pub(crate) turning: Turning,
    pub(crate) pairing: Pairing<'a>,
    /// Nothing before this is looked at, by the reference's clock.
    pub(crate) since_ns: i64,
    /// To be taken out where none is found.
    pub(crate) known_lag_seconds: Option<f64>,
}

/// Analyses one joint after the other.
pub(crate) struct Analyst {
    window_ns: i64,
    step_ns: i64,
    lag_seconds_max: f64,
    gap_ns_max: i64,
    reference: Trace,
    twin: Trace,
    errors: Vec<ErrorPoint>,
    scratch: Vec<f64>,
    centred: [Vec<f64>; 2],
    correlator: Correlator,
}

impl Analyst {
    pub(crate) fn new(settings: &Settings) -> Self {
        let window_ns = nanoseconds(settings.metrics_window_seconds).max(0);
        let step_ns = STEP_NS_MIN.max(window_ns / (POINTS_MAX as i64 - 1) + 1);
        let points_max = (window_ns / step_ns) as usize + 1;
        let signal = || Vec::with_capacity(points_max);
        let trace = || Trace { positions: signal(), velocities: signal() };
        Self {
            window_ns,
            step_ns,
            lag_seconds_max: settings.max_lag_seconds,
            gap_ns_max: nanoseconds(settings.stale_timeout_seconds),
            reference: trace(),
            twin: trace(),
            errors: Vec::with_capacity(points_max),
            scratch: signal(),
            centred: [signal(), signal()],
            correlator: Correlator::new(points_max),
        }
    }

    /// `None` where the sources have too little in common.
    pub(crate) fn analyse(&mut self, subject: Subject) -> Option<Analysis> {
        let grid = self.grid(subject)?;
        self.trace(subject, grid);
        let grid = self.cut_after_last_gap(grid)?;
        let raw = self.errors(subject.turning, grid)?;
        let motion = self.centre();
        let lag = if motion >= MOTION_MIN && grid.span_ns() >= LAG_SPAN_NS_MIN { self.lag(grid) } else { None };
        let taken_out = lag.map(|lag| lag.seconds).or(subject.known_lag_seconds);
        let compensated = taken_out.and_then(|seconds| {
            let earlier = Grid { start_ns: grid.start_ns.saturating_sub(nanoseconds(seconds)), ..grid };
            let reader = self.reader(subject.turning);
            self.reference.fill(reader, subject.reference, earlier, 1.0, Some);
            self.errors(subject.turning, grid)
        });
        Some(Analysis { span_seconds: grid.span_ns() as f64 / 1e9, lag, raw, compensated, motion })
    }

    /// The grid of the times that both sources know, back to the window's length.
    fn grid(&self, subject: Subject) -> Option<Grid> {
        let end_ns = subject.pairing.newest_common_ns(subject.reference, subject.twin, 0)?;
        let twin_start_ns = subject.pairing.reference_ns(subject.twin.oldest()?.time_ns)?;
        let start_ns = subject.reference.oldest()?.time_ns.max(twin_start_ns).max(subject.since_ns);
        let start_ns = start_ns.max(subject.pairing.steady_since_ns().unwrap_or(start_ns));
        let span_ns = end_ns.saturating_sub(start_ns).min(self.window_ns);
        let points = usize::try_from(span_ns / self.step_ns).ok()? + 1;
        Some(Grid { start_ns: end_ns - (points as i64 - 1) * self.step_ns, step_ns: self.step_ns, points })
    }

    fn reader(&self, turning: Turning) -> Reader {
        Reader { interpolation: Interpolation::Hermite, extrapolation_ns_max: 0, gap_ns_max: self.gap_ns_max, turning }
    }

    fn trace(&mut self, subject: Subject, grid: Grid) {
        let (reader, pairing) = (self.reader(subject.turning), subject.pairing);
        self.reference.fill(reader, subject.reference, grid, 1.0, Some);
        let rate = pairing.twin_rate();
        self.twin.fill(reader, subject.twin, grid, rate, |time_ns| pairing.twin_ns(time_ns));
    }

    /// Leaves what is after the last time that either source does not know.
    fn cut_after_last_gap(&mut self, grid: Grid) -> Option<Grid> {
        let both = self.reference.positions.iter().zip(&self.twin.positions);
        let start = both.rev().position(|(reference, twin)| (reference - twin).is_nan());
        let points = start.unwrap_or(grid.points);
        let left = Grid { start_ns: grid.end_ns() - (points as i64 - 1) * grid.step_ns, points, ..grid };
        if points < POINTS_MIN || left.span_ns() < SPAN_NS_MIN {
            return None;
        }
        self.reference.keep_last(points);
        self.twin.keep_last(points);
        Some(left)
    }

    fn errors(&mut self, turning: Turning, grid: Grid) -> Option<ErrorStatistics> {
        let (reference, twin) = (&self.reference, &self.twin);
        let positions = reference.positions.iter().zip(&twin.positions);
        let velocities = reference.velocities.iter().zip(&twin.velocities);
        self.errors.clear();
        self.errors.extend(positions.zip(velocities).map(|(position, velocity)| ErrorPoint {
            position: turning.difference(*position.0, *position.1),
            velocity: velocity.0 - velocity.1,
        }));
        ErrorStatistics::of(&self.errors, grid.step_seconds(), &mut self.scratch)
    }

    /// Takes the means out of the velocities, for the correlation; the standard deviation of the lesser.
    fn centre(&mut self) -> f64 {
        let sources = [&self.reference.velocities, &self.twin.velocities];
        let deviation = |(centred, velocities): (&mut Vec<f64>, &Vec<f64>)| {
            let count = velocities.len() as f64;
            let mean = velocities.iter().sum::<f64>() / count;
            centred.clear();
            centred.extend(velocities.iter().map(|velocity| velocity - mean));
            (centred.iter().map(|velocity| velocity * velocity).sum::<f64>() / count).sqrt()
        };
        self.centred.iter_mut().zip(sources).map(deviation).fold(f64::INFINITY, f64::min)
    }

    fn lag(&mut self, grid: Grid) -> Option<Lag> {
        let [reference, twin] = &self.centred;
        self.correlator.lag([reference, twin], grid.step_seconds(), self.lag_seconds_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Alignment;
    use crate::history::Sample;
    use crate::time_map::TimeMap;

    const TAU: f64 = std::f64::consts::TAU;
    const SECOND_NS: f64 = 1e9;

    /// Samples of a motion at `hertz` up to 10 s, those that are not lost.
    fn history(hertz: f64, has_velocity: bool, is_lost: impl Fn(u32) -> bool, motion: impl Fn(f64) -> f64) -> History {
        let mut history = History::new(10_000);
        for message in (0..=(10.0 * hertz) as u32).filter(|message| !is_lost(*message)) {
            let time = f64::from(message) / hertz;
            let velocity = if has_velocity { (motion(time + 1e-6) - motion(time - 1e-6)) / 2e-6 } else { f64::NAN };
            let sample = Sample { time_ns: (time * SECOND_NS) as i64, position: motion(time), velocity };
            history.insert(sample, 0);
        }
        history
    }

    fn analyse(reference: &History, twin: &History, turning: Turning) -> Option<Analysis> {
        let map = TimeMap::new();
        let pairing = Pairing { alignment: Alignment::Stamp, reference: &map, twin: &map };
        let (since_ns, known_lag_seconds) = (0, None);
        Analyst::new(&Settings::default()).analyse(Subject {
            reference,
            twin,
            turning,
            pairing,
            since_ns,
            known_lag_seconds,
        })
    }

    fn sine(hertz: f64) -> impl Fn(f64) -> f64 {
        move |t| 0.5 * (TAU * hertz * t).sin()
    }

    /// Loses one in twenty, in no pattern.
    fn is_lost(message: u32) -> bool {
        message.wrapping_mul(2_654_435_761) >> 16 & 0xffff < 0xffff / 20
    }

    #[test]
    fn a_known_lag_is_found_within_two_milliseconds() {
        for (hertz, twin_hertz) in [(100.0, 100.0), (100.0, 60.0), (1000.0, 50.0), (60.0, 1000.0)] {
            for lag in [0.0, 0.08, -0.08, 0.0333, 0.2] {
                for motion_hertz in [0.3, 0.5, 1.1] {
                    for has_velocity in [true, false] {
                        let motion = sine(motion_hertz);
                        let reference = history(hertz, has_velocity, is_lost, &motion);
                        let twin = history(twin_hertz, has_velocity, |m| is_lost(m + 1000), |t| motion(t - lag));
                        let found = analyse(&reference, &twin, Turning::Bounded).expect("an analysis");
                        let seconds = found.lag.expect("a lag").seconds;
                        let case = format!("{hertz} {twin_hertz} Hz, {lag} s, motion {motion_hertz} {has_velocity}");
                        assert!((seconds - lag).abs() < 0.002, "{case}: {seconds}");
                        let compensated = found.compensated.expect("with the lag taken out");
                        assert!(compensated.max < 0.005, "{case}: {compensated:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn bias_and_drift_are_found_beside_a_lag() {
        let motion = sine(0.4);
        let reference = history(100.0, true, |_| false, &motion);
        let twin = history(100.0, true, |_| false, |t| motion(t - 0.08) - 0.2 + 0.01 * t);
        let found = analyse(&reference, &twin, Turning::Bounded).expect("an analysis");
        let compensated = found.compensated.expect("with the lag taken out");
        assert!((compensated.drift_per_second + 0.01).abs() < 1e-3, "{compensated:?}");
        assert!((compensated.bias - (0.2 - 0.01 * 7.5)).abs() < 2e-3, "{compensated:?}");
        assert!((compensated.velocity_rmse - 0.01).abs() < 2e-3, "{compensated:?}");
        assert!(found.raw.max - found.raw.bias > 0.08, "{found:?}");
    }

    #[test]
    fn without_motion_or_likeness_there_is_no_lag() {
        let still = history(100.0, true, |_| false, |_| 1.0);
        let found = analyse(&still, &history(100.0, true, |_| false, |_| 0.5), Turning::Bounded).expect("an analysis");
        assert_eq!((found.lag, found.compensated, found.raw.bias), (None, None, 0.5));
        let (slow, fast) = (history(100.0, true, |_| false, sine(0.5)), history(100.0, true, |_| false, sine(3.0)));
        assert_eq!(analyse(&slow, &fast, Turning::Bounded).expect("an analysis").lag, None);
        let steady = history(100.0, true, |_| false, |t| 0.3 * t);
        assert_eq!(analyse(&steady, &steady, Turning::Bounded).expect("an analysis").lag, None);
    }

    #[test]
    fn zeros_for_velocities_are_not_believed() {
        let motion = sine(0.5);
        let stamped = |lag: f64| {
            let mut history = History::new(10_000);
            for message in 0..1000 {
                let position = motion(f64::from(message) * 0.01 - lag);
                history.insert(Sample { time_ns: i64::from(message) * 10_000_000, position, velocity: 0.0 }, 0);
            }
            history
        };
        let found = analyse(&stamped(0.0), &stamped(0.05), Turning::Bounded).expect("an analysis").lag;
        assert!((found.expect("a lag").seconds - 0.05).abs() < 0.002, "{found:?}");
    }

    #[test]
    fn an_endless_joint_has_no_error_of_a_turn() {
        let turn = |t: f64| (2.0 * t + (TAU * 0.5 * t).sin()).rem_euclid(TAU);
        let reference = history(100.0, false, |_| false, turn);
        let twin = history(100.0, false, |_| false, |t| turn(t - 0.1) - TAU);
        let found = analyse(&reference, &twin, Turning::Endless).expect("an analysis");
        assert!((found.lag.expect("a lag").seconds - 0.1).abs() < 0.002, "{found:?}");
        assert!(found.compensated.expect("with the lag taken out").max < 0.005, "{found:?}");
        assert!(found.raw.max < 0.6, "{found:?}");
    }

    #[test]
    fn what_was_before_a_gap_is_left_out() {
        let in_gap = |message| (700..750).contains(&message);
        let reference = history(100.0, true, in_gap, sine(0.5));
        let twin = history(100.0, true, |_| false, |t| if t < 7.0 { 9.0 } else { sine(0.5)(t) });
        let found = analyse(&reference, &twin, Turning::Bounded).expect("an analysis");
        assert!((2.49..2.51).contains(&found.span_seconds), "{found:?}");
        assert!(found.raw.max < 1e-6, "{found:?}");
        let short = history(100.0, true, |message| message > 40, sine(0.5));
        assert_eq!(analyse(&short, &short, Turning::Bounded), None);
    }
}
