//! The moments at which the node ticks: evenly spaced on the steady clock, whatever a tick takes.

use std::time::{Duration, Instant};

/// Deadlines one period apart. One that was missed is counted and left out: ticks never come in a burst.
pub(crate) struct Deadlines {
    period: Duration,
    next: Instant,
    missed: u64,
}

impl Deadlines {
    /// The first one is a period after `start`.
    pub(crate) fn new(start: Instant, period: Duration) -> Self {
        Self { period, next: start + period, missed: 0 }
    }

    /// When the next tick is due.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Whether half of the time until the next one is still to come.
    pub(crate) fn is_first_half(&self, now: Instant) -> bool {
        self.next.saturating_duration_since(now) >= self.period / 2
    }

    /// Goes on to the next deadline that is still to come at `now`, which is when the tick that was due has been done.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.next += self.period;
        let late = now.saturating_duration_since(self.next);
        if !late.is_zero() {
            let passed = late.as_nanos() / self.period.as_nanos() + 1;
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            self.next += self.period * passed;
            self.missed += u64::from(passed);
        }
    }

    /// How many deadlines passed with no tick.
    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn deadlines_do_not_drift_when_ticks_take_time() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 10 * MS);
        for tick in 1..=100 {
            assert_eq!(deadlines.next(), start + 10 * MS * tick);
            deadlines.advance(deadlines.next() + 9 * MS);
        }
        assert_eq!(deadlines.missed(), 0);
    }

    #[test]
    fn the_first_half_of_a_period_ends_in_its_middle() {
        let start = Instant::now();
        let deadlines = Deadlines::new(start, 10 * MS);
        let halves = [0, 5, 6, 10, 11].map(|ms| deadlines.is_first_half(start + ms * MS));
        assert_eq!(halves, [true, true, false, false, false]);
    }

    #[test]
    fn what_was_missed_is_counted_and_not_made_up_for() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 10 * MS);
        deadlines.advance(start + 10 * MS + 35 * MS);
        assert_eq!((deadlines.next(), deadlines.missed()), (start + 50 * MS, 3));
        deadlines.advance(start + 50 * MS);
        assert_eq!((deadlines.next(), deadlines.missed()), (start + 60 * MS, 3));
    }
}
