//! The thread that turns the spinner, and how others know that it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use ros_observer::{Error, GuardCondition, Spinner};
use tokio::sync::oneshot;

use crate::MonotonicClock;
use crate::deadline::Deadline;

/// How often the thread looks at what changes without an event: matched publishers.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Many times what a turn takes, and less than a node has.
const END_WITHIN: Duration = Duration::from_secs(4);

/// The running thread. Ends it and waits for it when dropped: a process whose ROS thread still runs when `main`
/// returns crashes in the middleware's destructors. One that is stuck in the middleware takes the process with it, with
/// exit code 1.
pub struct RosThread {
    stopping: Arc<AtomicBool>,
    wake: GuardCondition,
    thread: Option<JoinHandle<()>>,
    heartbeat: Heartbeat,
    end: oneshot::Receiver<Error>,
}

/// When the thread last turned. Cheap to clone.
#[derive(Clone)]
pub struct Heartbeat {
    clock: MonotonicClock,
    last_turn_ns: Arc<AtomicU64>,
}

impl RosThread {
    /// Starts turning. `look` runs in the thread after the first turn, after each that saw the graph change, and every
    /// 250 ms; it is given the spinner, and told whether the graph has changed. Where a wait set takes the messages, every
    /// one ends a turn.
    pub fn spawn(
        mut spinner: Spinner,
        clock: MonotonicClock,
        mut look: impl FnMut(&mut Spinner, bool, Instant) + Send + 'static,
    ) -> Result<Self, std::io::Error> {
        let stopping = Arc::new(AtomicBool::new(false));
        let wake = spinner.waker();
        let heartbeat = Heartbeat { clock, last_turn_ns: Arc::new(AtomicU64::new(clock.now_ns())) };
        let (stop, beat) = (Arc::clone(&stopping), heartbeat.clone());
        let (ended, end) = oneshot::channel();
        let thread = Builder::new().name("ros".into()).spawn(move || {
            let mut look_at = Instant::now();
            while !stop.load(Ordering::Acquire) {
                let turn = match spinner.turn(look_at.saturating_duration_since(Instant::now())) {
                    Ok(turn) => turn,
                    // Nobody waits for it any more: then the process is ending.
                    Err(error) => return drop(ended.send(error)),
                };
                if turn.unanswered > 0 {
                    tracing::warn!(
                        services = turn.unanswered,
                        "a client was not answered, most likely because it has gone"
                    );
                }
                let now = Instant::now();
                if turn.graph_changed || now >= look_at {
                    look(&mut spinner, turn.graph_changed, now);
                    look_at = now + LOOK_EVERY;
                }
                beat.last_turn_ns.store(clock.now_ns(), Ordering::Relaxed);
            }
        })?;
        Ok(Self { stopping, wake, thread: Some(thread), heartbeat, end })
    }

    /// Waits until the thread ends unasked, and says why.
    ///
    /// # Panics
    /// When it is asked again after it has answered.
    pub async fn failure(&mut self) -> anyhow::Error {
        match (&mut self.end).await {
            Ok(error) => anyhow::Error::new(error).context("the ROS thread has ended"),
            Err(_) => anyhow::anyhow!("the ROS thread has panicked"),
        }
    }

    /// Tells others whether the thread still turns.
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }
}

impl Drop for RosThread {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Err(error) = self.wake.trigger() {
            tracing::warn!(%error, "the ROS thread ends only at its next turn");
        }
        let _deadline = Deadline::start("the ROS thread", END_WITHIN);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the ROS thread has panicked");
        }
    }
}

impl Heartbeat {
    /// Since when the thread has not turned.
    pub fn silent_for(&self) -> Duration {
        Duration::from_nanos(self.clock.now_ns().saturating_sub(self.last_turn_ns.load(Ordering::Relaxed)))
    }
}
