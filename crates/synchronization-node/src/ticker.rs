//! The thread that ticks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder, JoinHandle, Thread};
use std::time::{Duration, Instant};

use node_runtime::EndWithThread;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::deadline::Deadlines;
use crate::work::Work;

/// How long messages lie ready at most, however far apart ticks are: only so many may.
const TAKE_IN_EVERY: Duration = Duration::from_millis(50);

/// The running thread. Ends it and waits for it when dropped.
pub(crate) struct Ticker {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Wakes the thread before its time, for it to look for requests and commands.
#[derive(Clone)]
pub(crate) struct TickerWaker(Thread);

impl Ticker {
    /// Ticks from now on, a period apart, with that priority as far as it is permitted.
    pub(crate) fn spawn(
        mut work: Work,
        period: Duration,
        priority: u8,
        after_answers: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = Builder::new().name("ticker".into()).spawn(move || {
            let _end = EndWithThread;
            go_before_others(priority);
            let mut deadlines = Deadlines::new(Instant::now(), period);
            while !stop.load(Ordering::Acquire) {
                turn(&mut work, &mut deadlines, &after_answers);
            }
        })?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    /// What wakes it.
    pub(crate) fn waker(&self) -> Option<TickerWaker> {
        self.thread.as_ref().map(|thread| TickerWaker(thread.thread().clone()))
    }
}

/// Has this thread scheduled before all that is not real time, by SCHED_FIFO from 1 to 99, as ros2_control's controller
/// manager has its own. Where that is not permitted the thread goes on as it is, which is no fault.
fn go_before_others(priority: u8) {
    let value = match ThreadPriorityValue::try_from(priority) {
        Ok(value) if value > ThreadPriorityValue::MIN => value,
        _ => return,
    };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    match set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), policy) {
        Ok(()) => tracing::info!(priority, "the ticking thread has real-time priority"),
        Err(error) => tracing::info!(
            priority,
            ?error,
            "the ticking thread has no real-time priority: the system does not permit it (CAP_SYS_NICE, or ulimit -r)"
        ),
    }
}

/// A stop comes first, then a tick that is due, then an analysis that has waited for long, then one command, then an analysis: a
/// flood of commands delays neither stop nor tick, and keeps no joint from being analysed.
fn turn(work: &mut Work, deadlines: &mut Deadlines, after_answers: impl Fn()) {
    if work.take_requests() {
        after_answers();
    }
    let early = deadlines.next().saturating_duration_since(Instant::now());
    if early.is_zero() {
        work.tick();
        deadlines.advance(Instant::now());
        work.metrics.set_overruns(deadlines.missed());
    } else if work.is_urgent {
        // One more, which moves no deadline.
        work.tick();
    } else {
        let has_analysed = work.is_analysis_late() && work.analyse();
        if !has_analysed && !work.take_command() && !analyse_in_time(work, deadlines) {
            thread::park_timeout(early.min(TAKE_IN_EVERY));
        }
        work.take_messages();
    }
}

/// An analysis takes ten times as long as a tick, and had better not make the next one late. Tells whether one was done.
fn analyse_in_time(work: &mut Work, deadlines: &Deadlines) -> bool {
    deadlines.is_first_half(Instant::now()) && work.analyse()
}

impl TickerWaker {
    pub(crate) fn wake(&self) {
        self.0.unpark();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic was told of when it happened.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::Bench;

    #[test]
    fn a_stop_is_told_at_once_however_far_away_the_next_tick_is() {
        let mut bench = Bench::new();
        // Until both are heard, and the twin was told where to go.
        while bench.work.metrics.commands.get() == 0 {
            bench.step();
        }
        let far = Instant::now() + Duration::from_secs(3_600);
        let mut deadlines = Deadlines::new(far, Duration::from_secs(1));
        let counts = |work: &Work| (work.metrics.ticks.get(), work.metrics.commands.get());
        let (ticks, commands) = counts(&bench.work);
        bench.stop();
        turn(&mut bench.work, &mut deadlines, || ());
        assert_eq!(counts(&bench.work), (ticks + 1, commands + 1), "the hold");
        turn(&mut bench.work, &mut deadlines, || ());
        assert_eq!(counts(&bench.work), (ticks + 1, commands + 1), "and no tick more before its time");
        assert_eq!(deadlines.next(), far + Duration::from_secs(1));
    }

    #[test]
    fn an_analysis_waits_for_the_first_half_of_a_period_but_not_for_long() {
        let mut bench = Bench::new();
        bench.step();
        let ten = Duration::from_secs(10);
        let first_half = Deadlines::new(Instant::now(), ten);
        let mut second_half = Deadlines::new(Instant::now() - Duration::from_secs(6), ten);
        assert!(analyse_in_time(&mut bench.work, &first_half));
        assert!(!analyse_in_time(&mut bench.work, &second_half));
        while !bench.work.is_analysis_late() {
            thread::sleep(Duration::from_millis(1));
        }
        turn(&mut bench.work, &mut second_half, || ());
        assert!(!bench.work.is_analysis_late());
    }
}
