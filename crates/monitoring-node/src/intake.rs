//! The hot path: what happens to a message in the thread that received it.
//!
//! Invariant: no lock, no channel, no logging, no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use cdr::Reader;
use node_runtime::MonotonicClock;
use ros_observer::MessageInfo;
use stream_statistics::{Clocks, JitterTracker, StampClock, StampTracker};
use topic_watch::Arrivals;

use crate::arrival_count::ArrivalCount;
use crate::live::JointValues;
use crate::metrics::WatchedMetrics;
use crate::publisher_counts::PublisherCounter;

/// No time is known.
const UNKNOWN: i64 = i64::MIN;

/// The clocks of a domain beside the system's, for those who receive messages.
pub(crate) struct DomainClocks {
    /// The system's clock less the time since the machine was started.
    started_at_ns: AtomicI64,
    /// The time on `/clock`.
    simulated_ns: AtomicI64,
}

impl DomainClocks {
    pub(crate) fn new() -> Self {
        Self { started_at_ns: AtomicI64::new(0), simulated_ns: AtomicI64::new(UNKNOWN) }
    }

    /// Sets when the machine was started, on the system's clock: that clock may be set anew.
    pub(crate) fn set_started_at_ns(&self, started_at_ns: i64) {
        self.started_at_ns.store(started_at_ns, Ordering::Relaxed);
    }

    /// Takes the simulation's time; none once nobody tells it any more.
    pub(crate) fn set_simulated_ns(&self, simulated_ns: Option<i64>) {
        self.simulated_ns.store(simulated_ns.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    fn at(&self, wall_ns: i64) -> Clocks {
        let simulated_ns = Some(self.simulated_ns.load(Ordering::Relaxed)).filter(|ns| *ns != UNKNOWN);
        Clocks { wall_ns, boot_ns: wall_ns.saturating_sub(self.started_at_ns.load(Ordering::Relaxed)), simulated_ns }
    }
}

/// The time of a clock, where it is known.
fn time_ns(clock: StampClock, now: Clocks) -> Option<i64> {
    match clock {
        StampClock::Wall => Some(now.wall_ns),
        StampClock::Boot => Some(now.boot_ns),
        StampClock::Simulated => now.simulated_ns,
        StampClock::Zero => None,
    }
}

/// What is known of the last messages of a topic, for those who ask from other threads.
pub(crate) struct Latest {
    pub(crate) messages: ArrivalCount,
    pub(crate) late: AtomicU64,
    /// The stamp, its clock as an index into [`StampClock::ALL`], and the stamp less the time of that clock.
    stamp_ns: AtomicI64,
    stamp_clock: AtomicU64,
    skew_ns: AtomicI64,
    jitter_seconds: AtomicU64,
    /// Whether the jitter is to begin anew.
    pub(crate) is_reset: AtomicBool,
    /// Beyond this age a message is late.
    pub(crate) age_max_ns: AtomicI64,
}

const NO_CLOCK: u64 = u64::MAX;

impl Latest {
    pub(crate) fn new() -> Self {
        Self {
            messages: ArrivalCount::default(),
            late: AtomicU64::new(0),
            stamp_ns: AtomicI64::new(UNKNOWN),
            stamp_clock: AtomicU64::new(NO_CLOCK),
            skew_ns: AtomicI64::new(UNKNOWN),
            jitter_seconds: AtomicU64::new(0),
            is_reset: AtomicBool::new(false),
            age_max_ns: AtomicI64::new(i64::MAX),
        }
    }

    /// Forgets the last stamp: whoever made it has gone.
    pub(crate) fn forget_stamp(&self) {
        self.stamp_ns.store(UNKNOWN, Ordering::Relaxed);
        self.skew_ns.store(UNKNOWN, Ordering::Relaxed);
        self.stamp_clock.store(NO_CLOCK, Ordering::Relaxed);
    }

    pub(crate) fn stamp_clock(&self) -> Option<StampClock> {
        StampClock::ALL.get(self.stamp_clock.load(Ordering::Relaxed) as usize).copied()
    }

    pub(crate) fn stamp_ns(&self) -> Option<i64> {
        Some(self.stamp_ns.load(Ordering::Relaxed)).filter(|ns| *ns != UNKNOWN)
    }

    pub(crate) fn skew_seconds(&self) -> Option<f64> {
        Some(self.skew_ns.load(Ordering::Relaxed)).filter(|ns| *ns != UNKNOWN).map(|ns| ns as f64 / 1e9)
    }

    pub(crate) fn jitter_seconds(&self) -> f64 {
        f64::from_bits(self.jitter_seconds.load(Ordering::Relaxed))
    }
}

/// Takes the messages of one topic.
pub(crate) struct Intake {
    pub(crate) arrivals: Arrivals,
    pub(crate) metrics: WatchedMetrics,
    pub(crate) clock: MonotonicClock,
    pub(crate) clocks: Arc<DomainClocks>,
    pub(crate) latest: Arc<Latest>,
    pub(crate) jitter: JitterTracker,
    /// Of publishers that are not told apart; and of all on `/clock`, where the time of a simulation that is started again is
    /// a reset, though its publisher is another.
    pub(crate) stamps: StampTracker,
    pub(crate) publishers: PublisherCounter,
    /// For the live page, where messages have joints.
    pub(crate) joints: Option<JointValues>,
    /// Whether the type's messages begin with a stamp.
    pub(crate) is_stamped: bool,
    /// Whether this is the simulation's clock itself.
    pub(crate) is_clock: bool,
}

impl Intake {
    /// Counts all that is to be known of a serialized message.
    pub(crate) fn take(&mut self, message: &[u8], info: &MessageInfo) {
        let arrival = Instant::now();
        self.take_at(arrival, message, info);
        self.metrics.shared.processing.observe(arrival.elapsed().as_secs_f64());
    }

    fn take_at(&mut self, arrival: Instant, message: &[u8], info: &MessageInfo) {
        let arrival_ns = self.clock.nanoseconds(arrival);
        let arrived = self.arrivals.count(arrival_ns, info);
        if let Some(interval_seconds) = arrived.interval_seconds {
            let mut jitter_seconds = 0.0;
            if self.latest.is_reset.load(Ordering::Relaxed) {
                self.latest.is_reset.store(false, Ordering::Relaxed);
                // This interval goes with the rest: it may be a pause in which nobody published.
                self.jitter = JitterTracker::default();
            } else {
                jitter_seconds = self.jitter.observe(interval_seconds);
            }
            self.latest.jitter_seconds.store(jitter_seconds.to_bits(), Ordering::Relaxed);
        }
        self.metrics.bytes.inc_by(message.len() as u64);
        self.publishers.count(&info.publisher, arrival_ns, message.len(), arrived.lost);
        self.arrivals.count_recorded(arrival_ns);
        if self.is_stamped {
            self.read_stamp(message, info);
        }
        if let Some(joints) = &mut self.joints {
            joints.take(message, arrival_ns);
        }
        self.latest.messages.add(arrival_ns);
    }

    fn read_stamp(&mut self, message: &[u8], info: &MessageInfo) {
        let stamp = match Reader::open(message).and_then(|mut reader| reader.stamp()) {
            Ok(stamp) => stamp,
            Err(fault) => return self.metrics.count_fault(fault),
        };
        if self.is_clock {
            self.clocks.set_simulated_ns(Some(stamp.clock_nanoseconds()));
        }
        let stamp_ns = stamp.nanoseconds();
        let now = self.clocks.at(wall_ns(info));
        let of_publisher = self.publishers.stamps().filter(|_| !self.is_clock);
        let stamped = of_publisher.unwrap_or(&mut self.stamps).observe(stamp_ns, now);
        if stamped.is_backward {
            self.metrics.stamp_backward.inc();
        }
        let ros_time_ns = time_ns(stamped.clock, now);
        self.arrivals.count_stamp(stamp_ns, ros_time_ns);
        let skew_ns = stamp_ns.zip(ros_time_ns).map(|(stamp_ns, time_ns)| stamp_ns.saturating_sub(time_ns));
        if skew_ns.is_some_and(|skew_ns| skew_ns.saturating_neg() > self.latest.age_max_ns.load(Ordering::Relaxed)) {
            self.metrics.late.inc();
            self.latest.late.store(self.latest.late.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        self.latest.stamp_ns.store(stamp_ns.unwrap_or(UNKNOWN), Ordering::Relaxed);
        self.latest.skew_ns.store(skew_ns.unwrap_or(UNKNOWN), Ordering::Relaxed);
        self.latest.stamp_clock.store(stamped.clock as u64, Ordering::Relaxed);
    }
}

/// The system's clock when a message was received.
fn wall_ns(info: &MessageInfo) -> i64 {
    if info.received_timestamp_ns > 0 { info.received_timestamp_ns } else { node_runtime::system_time_ns() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use allocation_counter::measure;
    use prometheus::Registry;
    use ros_observer::Gid;
    use topic_watch::TopicStatus;

    use super::*;
    use crate::metrics::{Families, Scope, Together};
    use crate::publisher_counts::PublisherCounts;

    fn intake(is_clock: bool) -> Intake {
        let families = Families::register(&Registry::new(), &Together::default()).expect("names that do not clash");
        let scope = Scope { domain: "0".into(), robot: String::new() };
        let metrics = families.of_topic(&scope, "/scan", TopicStatus::Silent);
        Intake {
            arrivals: Arrivals::new(metrics.shared.clone()),
            metrics,
            clock: MonotonicClock::new(),
            clocks: Arc::new(DomainClocks::new()),
            latest: Arc::new(Latest::new()),
            jitter: JitterTracker::default(),
            stamps: StampTracker::default(),
            publishers: PublisherCounter::new(Arc::new(PublisherCounts::new())),
            joints: None,
            is_stamped: true,
            is_clock,
        }
    }

    fn message(sec: u32) -> Vec<u8> {
        [&[0, 1, 0, 0], &sec.to_le_bytes()[..], &[0; 4]].concat()
    }

    fn info(publication_sequence: u64) -> MessageInfo {
        MessageInfo {
            publisher: Gid::default(),
            publication_sequence,
            source_timestamp_ns: 2_000_000_000_000_000_000,
            received_timestamp_ns: 2_000_000_000_000_000_500,
        }
    }

    #[test]
    fn a_publisher_that_is_known_allocates_nothing() {
        let mut intake = intake(false);
        let messages = [message(2_000_000_000), message(5), message(0), vec![0, 1], vec![9; 12]];
        let mut sequence = 0;
        let mut take_all = || {
            for message in &messages {
                sequence += 2;
                intake.take(message, &info(sequence));
            }
        };
        take_all();
        let allocated = measure(|| (0..10).for_each(|_| take_all()));
        assert_eq!(allocated.count_total, 0);
        let rejected = intake.metrics.rejected.each_ref().map(|counter| counter.get());
        assert_eq!((intake.latest.messages.read().0, rejected), (55, [11, 11]));
        assert_eq!(intake.metrics.shared.lost.get(), 54);
        assert_eq!(intake.metrics.shared.age.get_sample_count(), 11, "the simulation's time is not known");
    }

    #[test]
    fn the_simulations_clock_gives_its_own_stamps_an_age() {
        let mut clock = intake(true);
        clock.take(&message(7), &info(1));
        let mut intake = Intake { clocks: Arc::clone(&clock.clocks), ..intake(false) };
        intake.take(&message(5), &info(1));
        assert_eq!(intake.latest.stamp_clock(), Some(StampClock::Simulated));
        assert_eq!(intake.latest.skew_seconds(), Some(-2.0));
        clock.take(&message(6), &info(2));
        assert_eq!(clock.metrics.stamp_backward.get(), 1, "a reset");
        clock.take(&message(2), &MessageInfo { publisher: [1; size_of::<Gid>()], ..info(1) });
        assert_eq!(clock.metrics.stamp_backward.get(), 2, "a simulation that is started again");
    }

    #[test]
    fn publishers_that_take_turns_have_stamps_of_their_own() {
        let mut intake = intake(false);
        for sec in 0..100 {
            for (publisher, behind) in [(1, 0), (2, 5)] {
                let info = MessageInfo { publisher: [publisher; size_of::<Gid>()], ..info(1) };
                intake.take(&message(2_000_000_000 + sec - behind), &info);
            }
        }
        assert_eq!(intake.metrics.stamp_backward.get(), 0);
        intake.take(&message(2_000_000_000), &MessageInfo { publisher: [2; size_of::<Gid>()], ..info(1) });
        assert_eq!(intake.metrics.stamp_backward.get(), 1);
    }

    #[test]
    fn jitter_begins_anew_without_the_pause_before() {
        let mut intake = intake(false);
        let began = Instant::now();
        let latest = Arc::clone(&intake.latest);
        let mut take = |at_ms| intake.take_at(began + Duration::from_millis(at_ms), &message(1), &info(at_ms));
        [10, 20, 30].into_iter().for_each(&mut take);
        latest.is_reset.store(true, Ordering::Relaxed);
        [230, 240, 250].into_iter().for_each(take);
        assert!(latest.jitter_seconds() < 1e-9, "{}", latest.jitter_seconds());
    }

    #[test]
    fn a_message_beyond_its_age_is_late() {
        let mut intake = intake(false);
        intake.latest.age_max_ns.store(1_000_000_000, Ordering::Relaxed);
        for sec in [1_999_999_998, 1_999_999_999, 2_000_000_000, 2_000_000_005] {
            intake.take(&message(sec), &info(1));
        }
        assert_eq!(intake.latest.late.load(Ordering::Relaxed), 2);
    }
}
