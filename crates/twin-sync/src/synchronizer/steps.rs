//! The steps of a tick, in the order in which they are taken.

use super::Synchronizer;
use crate::alignment::{Alignment, Clock, Pairing, ROUNDING_NS};
use crate::analysis::Subject;
use crate::commander::{Inputs, Mode, Order, Situation};
use crate::comparison::Comparison;
use crate::ingest::Stream;
use crate::interpolation::Reader;
use crate::joints::{Joint, JointId, Source};
use crate::lags::measured;
use crate::settings::{Settings, nanoseconds};
use crate::state::State;
use crate::state_machine::Evidence;
use crate::tick::{JointTick, Moment, ResyncProgress};

/// How often one joint is analysed at most.
const ANALYSIS_INTERVAL_NS: i64 = 200_000_000;

/// A resynchronization that takes longer has failed.
const RESYNC_NS_MAX: i64 = 5_000_000_000;

impl Synchronizer {
    pub(super) fn align(&mut self, now_ns: i64) {
        let [reference, twin] = &self.streams;
        self.aligner.update(clock(reference), clock(twin), now_ns);
        self.tick.alignment = self.aligner.current();
    }

    /// Analyses the joint whose turn it is: its statistics and its lag, which ticks then judge by. `None` where none is due,
    /// which each is five times a second. A multiple of what a tick takes: to be called while there is time until the next one.
    pub fn analyse_next(&mut self, now_ns: i64) -> Option<JointId> {
        let joints = self.joints.len();
        let is_due = |joint: &Joint| {
            let has_both = joint.histories.iter().all(|history| history.len() > 0);
            let is_time = joint.analysed_ns.is_none_or(|at_ns| now_ns.saturating_sub(at_ns) >= ANALYSIS_INTERVAL_NS);
            has_both && is_time
        };
        let candidates = (self.next_analysis..joints).chain(0..self.next_analysis.min(joints));
        let due = candidates.map(|index| JointId(index as u16)).find(|id| self.joints.get(*id).is_some_and(is_due));
        if let Some(id) = due {
            self.next_analysis = id.index() + 1;
            self.analyse(id, now_ns);
            self.robot_lag.update(&self.joints, now_ns);
        }
        due
    }

    fn analyse(&mut self, id: JointId, now_ns: i64) {
        let pairing = pairing(&self.streams, self.aligner.current());
        let Some(joint) = self.joints.get_mut(id) else { return };
        joint.analysed_ns = Some(now_ns);
        if pairing.is_off_clock(joint) {
            joint.analysis = None;
            return;
        }
        let silence_ns = Source::ALL.into_iter().filter_map(|source| joint.silence_ns(source, now_ns)).max();
        if silence_ns > Some(nanoseconds(self.settings.stale_timeout_seconds)) {
            // The same samples again would tell the same, as if it were so now.
            let is_lost = silence_ns > Some(nanoseconds(self.settings.lost_timeout_seconds));
            joint.analysis = joint.analysis.filter(|_| !is_lost);
            return;
        }
        let since_ns = self.statistics_since_ns.and_then(|since_ns| pairing.reference.to_source_ns(since_ns));
        let analysis = self.analyst.analyse(Subject {
            reference: joint.history(Source::Reference),
            twin: joint.history(Source::Twin),
            turning: joint.turning(),
            pairing,
            since_ns: since_ns.unwrap_or(i64::MIN),
            known_lag_seconds: self.robot_lag.of(joint, now_ns),
        });
        joint.lag = analysis.and_then(|analysis| measured(&analysis, now_ns)).or(joint.lag);
        if let Some(analysis) = analysis {
            let since_ns = *joint.comparable_since_ns.get_or_insert(now_ns);
            let is_lag_known = self.robot_lag.of(joint, now_ns).is_some();
            // Of a joint that moves, an error may be lag alone until the longest lag would have shown.
            let would_lag_show = now_ns.saturating_sub(since_ns) >= longest_lag_shows_ns(&self.settings);
            joint.is_judged |= is_lag_known || !analysis.shows_motion() || would_lag_show;
        }
        joint.analysis = analysis;
    }

    /// Where the reference is, and how far the twin is from it.
    pub(super) fn read(&mut self, now_ns: i64) {
        let settings = &self.settings;
        let reference = &self.streams[Source::Reference as usize];
        let time_ns = played_out_ns(reference, settings, now_ns);
        self.tick.refers_to =
            time_ns.map(|time_ns| if reference.is_stamped { Moment::Stamp(time_ns) } else { Moment::Arrival(time_ns) });
        let pairing = pairing(&self.streams, self.aligner.current());
        let comparison = Comparison { pairing, stale_ns: nanoseconds(settings.stale_timeout_seconds), now_ns };
        for (joint, tick) in self.joints.iter().zip(&mut self.tick.joints) {
            let silence_ns = joint.silence_ns(Source::Reference, now_ns);
            let is_there = silence_ns.is_some_and(|ns| ns <= nanoseconds(settings.lost_timeout_seconds));
            let history = joint.history(Source::Reference);
            let reading =
                time_ns.filter(|_| is_there).and_then(|time_ns| reader(settings, joint).read(history, time_ns));
            *tick = JointTick {
                reference: reading,
                effort: if is_there { joint.efforts[Source::Reference as usize] } else { f64::NAN },
                error: comparison.error(joint, self.robot_lag.of(joint, now_ns)),
                command: None,
            };
        }
    }

    /// The state, from the errors and the silence of the sources.
    pub(super) fn judge(&mut self, now_ns: i64) {
        let (mut count, mut sum, mut worst) = (0_u32, 0.0, None);
        for (joint, tick) in self.joints.iter().zip(&self.tick.joints) {
            let Some(error) = tick.error.map(|error| error.judged().abs()) else { continue };
            count += 1;
            sum += error;
            if joint.is_judged {
                worst = Some(worst.map_or(error, |worst: f64| worst.max(error)));
            }
        }
        let lost_ns = nanoseconds(self.settings.lost_timeout_seconds);
        self.tick.compared = count;
        self.tick.missing = self.joints.missing(now_ns, lost_ns);
        self.tick.mean_error = (count > 0).then(|| sum / f64::from(count));
        self.tick.worst_error = worst;
        let quality = |mean_error: f64| (1.0 - mean_error / self.settings.state_threshold).clamp(0.0, 1.0);
        self.tick.quality = self.tick.mean_error.map(quality);
        let pairing = pairing(&self.streams, self.aligner.current());
        let [reference, twin] = &self.streams;
        let is_compared = |joint: &Joint| {
            let silences = Source::ALL.map(|source| joint.silence_ns(source, now_ns));
            silences.iter().all(|silence| silence.is_some_and(|silence_ns| silence_ns <= lost_ns))
        };
        let delay_ns = reference.map.delay_ns().max(twin.map.delay_ns());
        let evidence = Evidence {
            reference_silence_ns: reference.silence_ns(now_ns),
            twin_silence_ns: twin.silence_ns(now_ns),
            lag_seconds: self.robot_lag.seconds(),
            delay_seconds: Some(delay_ns as f64 / 1e9),
            mean_error: self.tick.mean_error,
            worst_error: worst,
            are_joints_missing: self.tick.missing > 0,
            do_clocks_differ: self.joints.iter().any(|joint| is_compared(joint) && pairing.is_off_clock(joint)),
        };
        self.tick.transition = self.machine.update(evidence, now_ns);
        self.tick.state = self.machine.state();
        let has_stopped = self.tick.transition.is_some_and(|transition| transition.to == State::Stopped);
        if has_stopped && self.commander.is_commanding() {
            self.commander.stop();
        }
    }

    pub(super) fn command(&mut self, now_ns: i64) {
        let patience = Patience::new(&self.settings, now_ns);
        let is_stale = self.streams.iter().any(|stream| patience.is_stale(stream.silence_ns(now_ns)));
        let inputs = Inputs {
            is_stopped: self.tick.state == State::Stopped,
            is_lost: matches!(self.tick.state, State::Lost | State::Waiting),
            is_stale,
            is_led_by_others: self.settings.forward_commands && self.resync_since_ns.is_none(),
        };
        let situations = self.joints.iter().zip(&self.tick.joints).map(|(joint, tick)| patience.situation(joint, tick));
        let mode = self.commander.mode(inputs, situations);
        self.tick.is_hold = mode == Mode::HoldOnce;
        let step_seconds = self.commander.step_seconds(now_ns);
        (self.tick.clamped, self.tick.refused) = (0, 0);
        for (index, (joint, tick)) in self.joints.iter().zip(&mut self.tick.joints).enumerate() {
            match self.commander.order(index, mode, patience.situation(joint, tick), step_seconds) {
                Order::Nothing => {}
                Order::Refused => self.tick.refused += 1,
                Order::Position { position, is_clamped } => {
                    tick.command = Some(joint.sign.apply(position));
                    self.tick.clamped += u32::from(is_clamped);
                }
            }
        }
    }

    pub(super) fn resync_progress(&mut self, now_ns: i64) -> Option<ResyncProgress> {
        let since_ns = self.resync_since_ns?;
        let has_arrived = !self.commander.is_commanding() || self.commander.has_arrived();
        let progress = if self.is_resync_stopped || self.tick.state == State::Stopped {
            ResyncProgress::Stopped
        } else if self.are_all_near() && has_arrived {
            ResyncProgress::Converged
        } else if now_ns.saturating_sub(since_ns) >= RESYNC_NS_MAX {
            ResyncProgress::TimedOut
        } else {
            return Some(ResyncProgress::Running);
        };
        self.resync_since_ns = None;
        Some(progress)
    }

    /// Whether there are errors, of every joint that is expected, and none of a joint of which too little is known or which
    /// is near a divergence.
    fn are_all_near(&self) -> bool {
        let is_known = |joint: &Joint| joint.comparable_since_ns.is_some();
        let is_near = |joint: &Joint, error: f64| is_known(joint) && self.machine.is_far_from_divergence(error);
        let mut joints = self.joints.iter().zip(&self.tick.joints);
        let are_all_near = joints.all(|(joint, tick)| match tick.error {
            Some(error) => is_near(joint, error.judged().abs()),
            None => !joint.is_expected,
        });
        self.tick.mean_error.is_some() && self.joints.unheard_of() == 0 && are_all_near
    }
}

/// How long a source may be silent at a time.
struct Patience {
    stale_ns: i64,
    lost_ns: i64,
    now_ns: i64,
}

impl Patience {
    fn new(settings: &Settings, now_ns: i64) -> Self {
        Self {
            stale_ns: nanoseconds(settings.stale_timeout_seconds),
            lost_ns: nanoseconds(settings.lost_timeout_seconds),
            now_ns,
        }
    }

    fn is_stale(&self, silence_ns: Option<i64>) -> bool {
        silence_ns.is_none_or(|silence_ns| silence_ns > self.stale_ns)
    }

    fn situation<'a>(&self, joint: &'a Joint, tick: &JointTick) -> Situation<'a> {
        let [reference_ns, twin_ns] = Source::ALL.map(|source| joint.silence_ns(source, self.now_ns));
        let twin = joint.history(Source::Twin).newest().map(|sample| sample.position);
        Situation {
            limits: joint.limits.as_ref(),
            reference: tick.reference.map(|reading| reading.position),
            twin: twin.filter(|_| twin_ns.is_some_and(|silence_ns| silence_ns <= self.lost_ns)),
            is_reference_stale: self.is_stale(reference_ns),
            is_twin_stale: self.is_stale(twin_ns),
        }
    }
}

/// A lag is looked for up to a quarter of the time that both are known.
fn longest_lag_shows_ns(settings: &Settings) -> i64 {
    nanoseconds(4.0 * settings.max_lag_seconds)
}

fn clock(stream: &Stream) -> Clock<'_> {
    Clock { map: &stream.map, is_stamped: stream.is_stamped, newest_ns: stream.newest_ns }
}

fn pairing([reference, twin]: &[Stream; 2], alignment: Alignment) -> Pairing<'_> {
    Pairing { alignment, reference: &reference.map, twin: &twin.map }
}

/// How the state is read that is given out.
fn reader(settings: &Settings, joint: &Joint) -> Reader {
    Reader {
        interpolation: settings.interpolation,
        extrapolation_ns_max: nanoseconds(settings.max_extrapolation_seconds),
        gap_ns_max: nanoseconds(settings.stale_timeout_seconds),
        turning: joint.turning(),
    }
}

/// The time of the reference's that is given out: as long ago as is set, and no farther ahead of the newest sample.
fn played_out_ns(reference: &Stream, settings: &Settings, now_ns: i64) -> Option<i64> {
    let due_ns = reference.map.to_source_ns(now_ns.saturating_sub(nanoseconds(settings.playout_delay_seconds)))?;
    let newest_ns = reference.newest_ns?;
    // What is to be held must not fall back to the sample before for the rounding of a time.
    let due_ns = if due_ns.abs_diff(newest_ns) <= ROUNDING_NS.unsigned_abs() { newest_ns } else { due_ns };
    Some(due_ns.min(newest_ns.saturating_add(nanoseconds(settings.max_extrapolation_seconds))))
}
