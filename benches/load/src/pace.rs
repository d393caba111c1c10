//! When the next message is due: absolute deadlines, so that a late wake-up delays one message and not the rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How far a publisher may fall behind and still catch up. What it owes beyond that is dropped: a burst of any size
/// would measure the receiver's queue instead of its speed.
const DEBT_MAX: Duration = Duration::from_millis(20);

/// The deadlines of one publisher.
pub struct Pace {
    period: Duration,
    due: Instant,
    end: Option<Instant>,
}

impl Pace {
    /// `messages_per_second` of 0 means no waiting at all; a `duration` of zero means no end.
    pub fn new(start: Instant, messages_per_second: f64, duration: Duration) -> Self {
        let period =
            if messages_per_second > 0.0 { Duration::from_secs_f64(1.0 / messages_per_second) } else { Duration::ZERO };
        Self { period, due: start, end: (!duration.is_zero()).then(|| start + duration) }
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
        let due = self.due.max(now.checked_sub(DEBT_MAX).unwrap_or(now));
        self.due = due + self.period;
        if self.period.is_zero() { now } else { due }
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
        assert_eq!(sent_in(5_000.0, Duration::from_secs(2), Duration::from_millis(7)), 10_000);
    }

    #[test]
    fn a_publisher_that_was_held_up_does_not_send_all_it_owes() {
        let sent = sent_in(1_000.0, Duration::from_secs(1), Duration::from_millis(250));
        assert!(sent < 200, "{sent} messages");
    }

    #[test]
    fn a_message_that_is_far_away_is_given_up_when_asked_to_stop() {
        let mut pace = Pace::new(Instant::now() + Duration::from_secs(3600), 1.0, Duration::ZERO);
        assert!(!pace.wait(&AtomicBool::new(true)));
    }
}
