//! The part of the hot path that is the same for every message, whatever it holds.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::IntCounter;
use ros_observer::{Gid, MessageInfo};
use stream_statistics::{IntervalTracker, SequenceTracker};

use crate::metrics::TopicMetrics;

/// What [`Arrivals::last_recorded_ns`] tells before the first message.
pub const NEVER: u64 = 0;

/// Publishers of one topic whose sequence numbers are followed at a time.
const TRACKED_PUBLISHERS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// What is seen of a message before anybody has looked into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Seconds since the message before, none for the first.
    pub interval_seconds: Option<f64>,
    /// Messages of its publisher that are missing before it.
    pub lost: u64,
}

/// Counts the messages of one topic as they arrive.
pub struct Arrivals {
    metrics: TopicMetrics,
    sequences: SequenceTracker<Gid>,
    intervals: IntervalTracker,
    last_recorded_ns: Arc<AtomicU64>,
}

impl Arrivals {
    /// Counts into these metrics.
    pub fn new(metrics: TopicMetrics) -> Self {
        Self {
            metrics,
            sequences: SequenceTracker::with_capacity(TRACKED_PUBLISHERS),
            intervals: IntervalTracker::default(),
            last_recorded_ns: Arc::new(AtomicU64::new(NEVER)),
        }
    }

    /// When a message was last recorded, in nanoseconds of a monotonic clock, for those who ask from other threads;
    /// [`NEVER`] before the first.
    pub fn last_recorded_ns(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.last_recorded_ns)
    }

    /// Counts a message that arrived at `arrival_ns` of a monotonic clock, before anybody has looked into it.
    pub fn count(&mut self, arrival_ns: u64, info: &MessageInfo) -> Arrival {
        let interval_seconds = self.intervals.observe(arrival_ns);
        if let Some(interval_seconds) = interval_seconds {
            self.metrics.interval.observe(interval_seconds);
        }
        let evicted_before = self.sequences.evicted();
        let lost = self.sequences.observe(info.publisher, info.publication_sequence, arrival_ns);
        add(&self.metrics.lost, lost);
        add(&self.metrics.untracked, self.sequences.evicted() - evicted_before);
        if info.source_timestamp_ns > 0 && info.received_timestamp_ns > 0 {
            match info.received_timestamp_ns - info.source_timestamp_ns {
                latency_ns @ 0.. => self.metrics.latency.observe(latency_ns as f64 / 1e9),
                _ => self.metrics.source_from_future.inc(),
            }
        }
        Arrival { interval_seconds, lost }
    }

    /// Counts that the message that arrived then could be used.
    pub fn count_recorded(&self, arrival_ns: u64) {
        self.last_recorded_ns.store(arrival_ns.max(NEVER + 1), Ordering::Relaxed);
        self.metrics.messages.inc();
    }

    /// Counts the age of a message: `stamp_ns` is the stamp in its header, `ros_time_ns` the ROS time at which it was received,
    /// both in nanoseconds since the epoch, `None` where there is none.
    pub fn count_stamp(&self, stamp_ns: Option<i64>, ros_time_ns: Option<i64>) {
        let Some(stamp_ns) = stamp_ns else { return self.metrics.unstamped.inc() };
        let Some(ros_time_ns) = ros_time_ns else { return self.metrics.undated.inc() };
        match ros_time_ns.saturating_sub(stamp_ns) {
            age_ns @ 0.. => self.metrics.age.observe(age_ns as f64 / 1e9),
            _ => self.metrics.stamp_from_future.inc(),
        }
    }
}

/// Adding nothing costs an atomic operation too.
fn add(counter: &IntCounter, count: u64) {
    if count > 0 {
        counter.inc_by(count);
    }
}
