//! When the next message is due: absolute deadlines, so that a late wake-up delays one message and not the rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How far a publisher may fall behind and still catch up. What it owes beyond that is dropped: Fast DDS's shared
/// memory holds half a megabyte, and a burst that is larger measures that instead of the receiver.
const DEBT_MAX: Duration = Duration::from_millis(2);

/// The deadlines of one publisher.
pub struct Pace {
    period: Duration,
    due: Instant,
    end: Option<Instant>,
    late_max: Duration,
    /// The next deadline of somebody who leaves out those that passed while he was held up, and how many these were.
    kept: Instant,
    passed: u64,
}

impl Pace {
    /// `messages_per_second` of 0 means no waiting at all; a `duration` of zero means no end.
    pub fn new(start: Instant, messages_per_second: f64, duration: Duration) -> Self {
        let period =
            if messages_per_second > 0.0 { Duration::from_secs_f64(1.0 / messages_per_second) } else { Duration::ZERO };
        let end = (!duration.is_zero()).then(|| start + duration);
        Self { period, due: start, end, late_max: Duration::ZERO, kept: start, passed: 0 }
    }

    /// How late the latest message was: what the machine, or a publish that blocked, held this publisher up.
    pub fn late_max(&self) -> Duration {
        self.late_max
    }

    /// Deadlines that were over before this thread woke for the one before: what a loop that does nothing at them would have
    /// left out.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Waits until the next message is due. False when it will not be sent: the duration is over, or `stop` is set
    /// (whoever sets it unparks this thread).
    ///
    /// Where the timer is coarser than the period, several messages are due after one wait and go out as a burst.
    pub fn wait(&mut self, stop: &AtomicBool) -> bool {
        let mut now = Instant::now();
        while self.due > now && self.is_before_end(self.due) && !stop.load(Ordering::Relaxed) {
            thread::park_timeout(self.due - now);
            now = Instant::now();
        }
        let due = self.advance(now);
        self.is_before_end(due) && !stop.load(Ordering::Relaxed)
    }

    /// Moves on to the next deadline and returns the one that has come.
    fn advance(&mut self, now: Instant) -> Instant {
        if self.period.is_zero() {
            return now;
        }
        self.late_max = self.late_max.max(now.saturating_duration_since(self.due));
        if now >= self.kept {
            let passed = ((now - self.kept).as_nanos() / self.period.as_nanos()) as u32;
            self.passed += u64::from(passed);
            self.kept += self.period * (passed + 1);
        }
        let due = self.due.max(now.checked_sub(DEBT_MAX).unwrap_or(now));
        self.due = due + self.period;
        due
    }

    fn is_before_end(&self, instant: Instant) -> bool {
        self.end.is_none_or(|end| instant < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_in(rate: f64, duration: Duration, step: Duration) -> usize {
        let start = Instant::now();
        let mut pace = Pace::new(start, rate, duration);
        let mut sent = 0;
        let mut now = start;
        loop {
            while pace.due <= now {
                let due = pace.advance(now);
                if !pace.is_before_end(due) {
                    return sent;
                }
                sent += 1;
            }
            now += step;
        }
    }

    #[test]
    fn late_wake_ups_do_not_change_the_number_of_messages() {
        assert_eq!(sent_in(5_000.0, Duration::from_secs(2), Duration::from_micros(1_900)), 10_000);
    }

    #[test]
    fn a_publisher_that_was_held_up_does_not_send_all_it_owes() {
        let sent = sent_in(1_000.0, Duration::from_secs(1), Duration::from_millis(250));
        assert!(sent < 200, "{sent} messages");
    }

    #[test]
    fn the_longest_hold_up_is_remembered() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 1_000.0, Duration::ZERO);
        pace.advance(start + Duration::from_millis(40));
        pace.advance(start + Duration::from_millis(41));
        assert_eq!(pace.late_max(), Duration::from_millis(40));
    }

    #[test]
    fn deadlines_that_pass_in_a_hold_up_are_counted_once() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 1_000.0, Duration::ZERO);
        for micros in [100, 1_900, 5_500, 5_501, 5_502, 6_100] {
            pace.advance(start + Duration::from_micros(micros));
        }
        // At 5.5 ms that of 2 ms is met, and those of 3, 4 and 5 ms are over.
        assert_eq!(pace.passed(), 3);
    }

    #[test]
    fn a_message_that_is_far_away_is_given_up_when_asked_to_stop() {
        let mut pace = Pace::new(Instant::now() + Duration::from_secs(3600), 1.0, Duration::ZERO);
        assert!(!pace.wait(&AtomicBool::new(true)));
    }
}
