//! The thread that ticks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder, JoinHandle, Thread};
use std::time::{Duration, Instant};

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
    /// Ticks from now on, a period apart.
    pub(crate) fn spawn(
        mut work: Work,
        period: Duration,
        after_answers: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = Builder::new().name("ticker".into()).spawn(move || {
            let _end = EndWithThread;
            let mut deadlines = Deadlines::new(Instant::now(), period);
            while !stop.load(Ordering::Acquire) {
                // A stop comes first, then a tick that is due, then one command: a flood of commands delays neither.
                if work.take_requests() {
                    after_answers();
                }
                let early = deadlines.next().saturating_duration_since(Instant::now());
                if early.is_zero() {
                    work.tick();
                    deadlines.advance(Instant::now());
                    work.metrics.set_overruns(deadlines.missed());
                } else {
                    if !work.take_command() {
                        thread::park_timeout(early.min(TAKE_IN_EVERY));
                    }
                    work.take_messages();
                }
            }
        })?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    /// What wakes it.
    pub(crate) fn waker(&self) -> Option<TickerWaker> {
        self.thread.as_ref().map(|thread| TickerWaker(thread.thread().clone()))
    }
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

/// A node that does not tick is worth nothing: a panic of the thread ends the process, with exit code 1.
struct EndWithThread;

impl Drop for EndWithThread {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the ticking thread has panicked: the process ends");
            ros_observer::end_process(1);
        }
    }
}
