//! What is to be thought of the twin as a whole.
//!
//! In the order in which they go before each other:
//!
//! | state | means |
//! |---|---|
//! | STOPPED | a stop was asked for, or a divergence brought it about; until the fault is cleared |
//! | WAITING | the reference has brought nothing yet |
//! | LOST | reference or twin have brought nothing new for the lost timeout, after they had; until both are fresh again |
//! | DEGRADED | the reference is stale |
//! | MIRRORING | there is a reference, the twin has brought nothing yet, or nothing to compare for 0.2 s at most |
//! | DIVERGED | the error of a joint was beyond its threshold for the hold; until all were below 80 % of it for as long |
//! | DEGRADED | the twin is stale, a joint is missing, or one of the reasons below was there for 0.2 s; until none was for as long |
//! | SYNCED | none of these |
//!
//! A joint is missing that is expected of both sources and that one does not tell of. The other reasons: both have no joint in
//! common; lag, delay or mean error are beyond their thresholds, until below 80 %; joints of one source are stamped by
//! different clocks.
//!
//! Errors are those with the lag taken out, where it is known.

use crate::settings::{Settings, nanoseconds};
use crate::state::{Cause, State, Transition};

/// What has gone beyond a threshold is back when it is below this share of it.
const BACK_RATIO: f64 = 0.8;

/// How long a lag, a delay or a mean error must be beyond, so that one late message is no event.
const DEGRADED_HOLD_NS: i64 = 200_000_000;

/// What a state is told from; `None` where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// Since something new came, by source.
    pub(crate) reference_silence_ns: Option<i64>,
    pub(crate) twin_silence_ns: Option<i64>,
    /// Either way.
    pub(crate) lag_seconds: Option<f64>,
    /// Of the last message, over the least seen.
    pub(crate) delay_seconds: Option<f64>,
    pub(crate) mean_error: Option<f64>,
    /// The greatest error, of joints of which enough is known to judge them.
    pub(crate) worst_error: Option<f64>,
    /// Whether one source tells nothing of a joint that is expected of both.
    pub(crate) are_joints_missing: bool,
    /// Whether joints of one source are stamped by clocks that differ.
    pub(crate) do_clocks_differ: bool,
}

/// On when a value was beyond a threshold for some time, off when it was below a share of it for as long.
#[derive(Clone, Debug)]
struct Latch {
    threshold: f64,
    hold_ns: i64,
    /// A value that is back for less than this, before it is on, is one that passes through zero.
    dip_ns_max: i64,
    is_on: bool,
    /// Since when it should be the other way.
    otherwise_since_ns: Option<i64>,
    /// Since when that is interrupted.
    dip_since_ns: Option<i64>,
}

impl Latch {
    fn new(threshold: f64, hold_ns: i64) -> Self {
        Self { threshold, hold_ns, dip_ns_max: 0, is_on: false, otherwise_since_ns: None, dip_since_ns: None }
    }

    /// Without a value it stays as it is, and the time begins anew.
    fn update(&mut self, value: Option<f64>, now_ns: i64) {
        let is_otherwise = value.is_some_and(|value| match self.is_on {
            true => value < self.threshold * BACK_RATIO,
            false => value > self.threshold,
        });
        if value.is_none() || self.has_dipped(is_otherwise, now_ns) {
            self.otherwise_since_ns = None;
        }
        if !is_otherwise {
            return;
        }
        let since_ns = *self.otherwise_since_ns.get_or_insert(now_ns);
        if now_ns.saturating_sub(since_ns) >= self.hold_ns {
            (self.is_on, self.otherwise_since_ns) = (!self.is_on, None);
        }
    }

    /// Whether what should be the other way was not so for too long. What is on lasts: of its end nothing is forgiven.
    fn has_dipped(&mut self, is_otherwise: bool, now_ns: i64) -> bool {
        let since_ns =
            if is_otherwise { self.dip_since_ns.take() } else { Some(*self.dip_since_ns.get_or_insert(now_ns)) };
        let dip_ns_max = if self.is_on { 0 } else { self.dip_ns_max };
        since_ns.is_some_and(|since_ns| now_ns.saturating_sub(since_ns) >= dip_ns_max)
    }

    fn clear(&mut self) {
        (self.is_on, self.otherwise_since_ns, self.dip_since_ns) = (false, None, None);
    }
}

/// Tells the state from evidence.
#[derive(Clone, Debug)]
pub(crate) struct StateMachine {
    stale_ns: i64,
    lost_ns: i64,
    stops_on_divergence: bool,
    state: State,
    divergence: Latch,
    lag: Latch,
    delay: Latch,
    mean_error: Latch,
    /// 1 while clocks differ.
    clocks: Latch,
    /// 1 while there is no error to judge.
    nothing_common: Latch,
}

impl StateMachine {
    pub(crate) fn new(settings: &Settings) -> Self {
        let latency = Latch::new(settings.max_latency_seconds, DEGRADED_HOLD_NS);
        let divergence_hold_ns = nanoseconds(settings.divergence_hold_seconds);
        // The error of a twin that stands passes through zero whenever the robot comes by.
        let dip_ns_max = divergence_hold_ns / 2;
        Self {
            stale_ns: nanoseconds(settings.stale_timeout_seconds),
            lost_ns: nanoseconds(settings.lost_timeout_seconds),
            stops_on_divergence: settings.stop_on_divergence,
            state: State::Waiting,
            divergence: Latch { dip_ns_max, ..Latch::new(settings.divergence_threshold, divergence_hold_ns) },
            lag: latency.clone(),
            delay: latency,
            mean_error: Latch::new(settings.state_threshold, DEGRADED_HOLD_NS),
            clocks: Latch::new(0.5, DEGRADED_HOLD_NS),
            nothing_common: Latch::new(0.5, DEGRADED_HOLD_NS),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Stops until [`Self::clear_fault`]; `None` where it is stopped.
    pub(crate) fn stop(&mut self) -> Option<Transition> {
        self.enter(State::Stopped, Cause::StopRequested)
    }

    /// Begins anew after a stop; `None` where it is not stopped.
    pub(crate) fn clear_fault(&mut self) -> Option<Transition> {
        if self.state != State::Stopped {
            return None;
        }
        self.clear_latches();
        self.enter(State::Waiting, Cause::FaultCleared)
    }

    /// Begins anew, but for a stop.
    pub(crate) fn restart(&mut self) -> Option<Transition> {
        self.clear_latches();
        if self.state == State::Stopped { None } else { self.enter(State::Waiting, Cause::Resync) }
    }

    fn clear_latches(&mut self) {
        for latch in [&mut self.divergence, &mut self.lag, &mut self.delay, &mut self.mean_error] {
            latch.clear();
        }
        self.clocks.clear();
        self.nothing_common.clear();
    }

    /// Whether a joint has an error by which it has not diverged.
    pub(crate) fn is_far_from_divergence(&self, error: f64) -> bool {
        error < self.divergence.threshold * BACK_RATIO
    }

    pub(crate) fn update(&mut self, evidence: Evidence, now_ns: i64) -> Option<Transition> {
        if self.state == State::Stopped {
            return None;
        }
        if self.state == State::Diverged && self.stops_on_divergence {
            return self.enter(State::Stopped, Cause::StoppedOnDivergence);
        }
        self.divergence.update(evidence.worst_error, now_ns);
        self.lag.update(evidence.lag_seconds.map(f64::abs), now_ns);
        self.delay.update(evidence.delay_seconds, now_ns);
        self.mean_error.update(evidence.mean_error, now_ns);
        self.clocks.update(Some(f64::from(u8::from(evidence.do_clocks_differ))), now_ns);
        let has_nothing = if evidence.mean_error.is_none() { 1.0 } else { 0.0 };
        self.nothing_common.update(self.are_both_fresh(evidence).then_some(has_nothing), now_ns);
        let (state, cause) = self.inputs(evidence).unwrap_or_else(|| self.verdict(evidence));
        self.enter(state, cause)
    }

    fn are_both_fresh(&self, evidence: Evidence) -> bool {
        let silences = [evidence.reference_silence_ns, evidence.twin_silence_ns];
        silences.iter().all(|silence| silence.is_some_and(|silence_ns| silence_ns <= self.stale_ns))
    }

    /// What there is to say of the inputs before any error is looked at.
    fn inputs(&self, evidence: Evidence) -> Option<(State, Cause)> {
        let Some(reference_ns) = evidence.reference_silence_ns else {
            return Some((State::Waiting, Cause::NoReference));
        };
        // What was lost has to be fresh to be there again.
        let lost_ns = if self.state == State::Lost { self.stale_ns } else { self.lost_ns };
        if reference_ns > lost_ns {
            return Some((State::Lost, Cause::ReferenceLost));
        }
        if evidence.twin_silence_ns.is_some_and(|twin_ns| twin_ns > lost_ns) {
            return Some((State::Lost, Cause::TwinLost));
        }
        if reference_ns > self.stale_ns {
            return Some((State::Degraded, Cause::ReferenceStale));
        }
        evidence.twin_silence_ns.is_none().then_some((State::Mirroring, Cause::NoTwin))
    }

    /// What there is to say of a twin that is there.
    fn verdict(&self, evidence: Evidence) -> (State, Cause) {
        let is_twin_stale = evidence.twin_silence_ns.is_some_and(|twin_ns| twin_ns > self.stale_ns);
        let causes = [
            (self.divergence.is_on, State::Diverged, Cause::Divergence),
            (is_twin_stale, State::Degraded, Cause::TwinStale),
            (evidence.are_joints_missing, State::Degraded, Cause::JointsMissing),
            (self.delay.is_on, State::Degraded, Cause::Delay),
            (self.clocks.is_on, State::Degraded, Cause::ClocksDiffer),
            (self.nothing_common.is_on, State::Degraded, Cause::NoCommonJoint),
            (self.lag.is_on, State::Degraded, Cause::Lag),
            (self.mean_error.is_on, State::Degraded, Cause::MeanError),
        ];
        match causes.into_iter().find(|(is_so, ..)| *is_so) {
            Some((_, state, cause)) => (state, cause),
            // Not good before a first error says so.
            None if evidence.mean_error.is_none() && self.state == State::Waiting => {
                (State::Mirroring, Cause::NoCommonJoint)
            }
            None if evidence.mean_error.is_none() => (self.state, Cause::WithinLimits),
            None => (State::Synced, Cause::WithinLimits),
        }
    }

    fn enter(&mut self, to: State, cause: Cause) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, to);
        (from != to).then_some(Transition { from, to, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS_NS: i64 = 1_000_000;

    /// Fresh inputs that agree.
    const GOOD: Evidence = Evidence {
        reference_silence_ns: Some(0),
        twin_silence_ns: Some(0),
        lag_seconds: Some(0.0),
        delay_seconds: Some(0.0),
        mean_error: Some(0.0),
        worst_error: Some(0.0),
        are_joints_missing: false,
        do_clocks_differ: false,
    };

    struct Course {
        machine: StateMachine,
        now_ms: i64,
    }

    impl Course {
        fn new(settings: &Settings) -> Self {
            Self { machine: StateMachine::new(settings), now_ms: 0 }
        }

        /// Shows the same evidence every 10 ms for so long; the transitions, with their times since.
        fn show(&mut self, evidence: Evidence, for_ms: i64) -> Vec<(i64, State, Cause)> {
            let start_ms = self.now_ms;
            self.now_ms += for_ms;
            let steps = (start_ms..self.now_ms).step_by(10);
            let transitions = steps.filter_map(|now_ms| {
                let transition = self.machine.update(evidence, now_ms * MS_NS)?;
                Some((now_ms - start_ms, transition.to, transition.cause))
            });
            transitions.collect()
        }
    }

    fn synced() -> Course {
        let mut course = Course::new(&Settings::default());
        assert_eq!(course.show(GOOD, 10), [(0, State::Synced, Cause::WithinLimits)]);
        course
    }

    #[test]
    fn inputs_come_one_after_the_other() {
        let mut course = Course::new(&Settings::default());
        assert_eq!(course.show(Evidence::default(), 1_000), []);
        let alone = Evidence { reference_silence_ns: Some(0), ..Evidence::default() };
        assert_eq!(course.show(alone, 1_000), [(0, State::Mirroring, Cause::NoTwin)]);
        let unjudged = Evidence { twin_silence_ns: Some(0), ..alone };
        assert_eq!(course.show(unjudged, 100), []);
        assert_eq!(course.show(GOOD, 1_000), [(0, State::Synced, Cause::WithinLimits)]);
        assert_eq!(course.show(unjudged, 1_000), [(200, State::Degraded, Cause::NoCommonJoint)]);
    }

    #[test]
    fn a_twin_that_is_there_and_not_compared_yet_is_not_called_absent() {
        let mut course = Course::new(&Settings::default());
        let unjudged = Evidence { reference_silence_ns: Some(0), twin_silence_ns: Some(0), ..Evidence::default() };
        assert_eq!(course.show(unjudged, 100), [(0, State::Mirroring, Cause::NoCommonJoint)]);
    }

    #[test]
    fn an_input_grows_stale_is_lost_and_comes_back() {
        let twin = |silence_ms: i64| Evidence { twin_silence_ns: Some(silence_ms * MS_NS), ..GOOD };
        let mut course = synced();
        assert_eq!(course.show(twin(250), 100), []);
        assert_eq!(course.show(twin(251), 100), [(0, State::Degraded, Cause::TwinStale)]);
        assert_eq!(course.show(twin(2_001), 100), [(0, State::Lost, Cause::TwinLost)]);
        assert_eq!(course.show(twin(300), 100), [], "not fresh yet");
        assert_eq!(course.show(GOOD, 100), [(0, State::Synced, Cause::WithinLimits)]);
        let reference = |silence_ms: i64| Evidence { reference_silence_ns: Some(silence_ms * MS_NS), ..GOOD };
        assert_eq!(course.show(reference(251), 100), [(0, State::Degraded, Cause::ReferenceStale)]);
        assert_eq!(course.show(reference(2_001), 100), [(0, State::Lost, Cause::ReferenceLost)]);
    }

    #[test]
    fn a_divergence_has_to_last_and_so_has_its_end() {
        let worst = |error| Evidence { worst_error: Some(error), ..GOOD };
        let mut course = synced();
        assert_eq!(course.show(worst(0.11), 500), []);
        assert_eq!(course.show(GOOD, 250), []);
        assert_eq!(course.show(worst(0.11), 600), [(500, State::Diverged, Cause::Divergence)]);
        assert_eq!(course.show(worst(0.09), 2_000), [], "not far enough below");
        assert_eq!(course.show(worst(0.07), 490), []);
        assert_eq!(course.show(worst(0.09), 10), []);
        assert_eq!(course.show(worst(0.07), 600), [(500, State::Synced, Cause::WithinLimits)]);
    }

    #[test]
    fn an_error_that_passes_through_zero_goes_on() {
        let worst = |error| Evidence { worst_error: Some(error), ..GOOD };
        let mut course = synced();
        assert_eq!(course.show(worst(0.11), 300), []);
        assert_eq!(course.show(worst(0.1), 240), [], "not beyond, and not for half the hold");
        assert_eq!(course.show(worst(0.11), 10), [(0, State::Diverged, Cause::Divergence)]);
        course = synced();
        assert_eq!(course.show(worst(0.11), 300), []);
        assert_eq!(course.show(Evidence { worst_error: None, ..GOOD }, 10), []);
        assert_eq!(course.show(worst(0.11), 510), [(500, State::Diverged, Cause::Divergence)], "nothing was known");
    }

    #[test]
    fn a_twin_that_stands_has_diverged_from_a_robot_that_swings() {
        for hertz in [0.3, 1.0, 3.0] {
            let mut course = synced();
            let mut found = Vec::new();
            for tick in 0..300 {
                let error = 0.5 * (f64::from(tick) * 0.01 * hertz * std::f64::consts::TAU).sin();
                found.extend(course.show(Evidence { worst_error: Some(error.abs()), ..GOOD }, 10));
            }
            let causes: Vec<_> = found.iter().map(|(_, state, cause)| (*state, *cause)).collect();
            assert_eq!(causes, [(State::Diverged, Cause::Divergence)], "{hertz} Hz, and it stays so");
        }
    }

    #[test]
    fn lag_delay_and_mean_error_degrade() {
        let mut course = synced();
        for (evidence, cause) in [
            (Evidence { lag_seconds: Some(-0.06), ..GOOD }, Cause::Lag),
            (Evidence { delay_seconds: Some(0.06), ..GOOD }, Cause::Delay),
            (Evidence { do_clocks_differ: true, ..GOOD }, Cause::ClocksDiffer),
            (Evidence { mean_error: Some(0.011), ..GOOD }, Cause::MeanError),
        ] {
            assert_eq!(course.show(evidence, 300), [(200, State::Degraded, cause)]);
            assert_eq!(course.show(GOOD, 300), [(200, State::Synced, Cause::WithinLimits)]);
        }
    }

    #[test]
    fn a_stop_lasts_until_it_is_cleared() {
        let mut course = synced();
        let stop = Transition { from: State::Synced, to: State::Stopped, cause: Cause::StopRequested };
        assert_eq!((course.machine.stop(), course.machine.stop()), (Some(stop), None));
        assert_eq!(course.show(GOOD, 10_000), []);
        assert_eq!(course.machine.restart(), None);
        assert_eq!(course.machine.state(), State::Stopped);
        assert_eq!(course.machine.clear_fault().map(|transition| transition.to), Some(State::Waiting));
        assert_eq!(course.machine.clear_fault(), None);
        assert_eq!(course.show(GOOD, 100), [(0, State::Synced, Cause::WithinLimits)]);
    }

    #[test]
    fn a_divergence_stops_where_that_is_asked_for() {
        let mut course = Course::new(&Settings { stop_on_divergence: true, ..Settings::default() });
        course.show(GOOD, 10);
        let found = course.show(Evidence { worst_error: Some(1.0), ..GOOD }, 1_000);
        let expected = [(500, State::Diverged, Cause::Divergence), (510, State::Stopped, Cause::StoppedOnDivergence)];
        assert_eq!(found, expected);
    }
}
