//! How often messages come.

use std::collections::VecDeque;

/// The shortest stretch of time that a rate is taken over.
const WINDOW_NS: u64 = 1_000_000_000;

/// The fewest intervals between messages that a rate is taken over, however long they take.
const INTERVALS_MIN: u64 = 4;

/// Readings with arrivals closer than this are kept as one.
const CLOSE_NS: u64 = WINDOW_NS / 8;

/// Readings that are kept: the oldest of them is far beyond what a rate is taken over.
const READINGS_MAX: usize = 16;

/// The rate of a stream, from readings of how many messages have come and when the last of them did.
///
/// A rate is the messages between two readings by the time between the last message of each: it is exact for a regular
/// stream, whenever the readings are taken. It is taken over the last second, or over the last five messages where those
/// took longer, so that a slow stream has a steady rate too. Allocates when created and never again.
#[derive(Clone, Debug)]
pub struct RateWindow {
    /// Of different counts, the oldest first.
    readings: VecDeque<Reading>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    count: u64,
    last_arrival_ns: u64,
}

impl Default for RateWindow {
    fn default() -> Self {
        Self { readings: VecDeque::with_capacity(READINGS_MAX) }
    }
}

impl RateWindow {
    /// Takes a reading: `count` messages have come since the start, the last at `last_arrival_ns` of a monotonic clock.
    pub fn read(&mut self, count: u64, last_arrival_ns: u64) {
        if count == 0 || self.readings.back().is_some_and(|last| last.count >= count) {
            return;
        }
        let reading = Reading { count, last_arrival_ns };
        self.drop_last_if_close_to_the_one_before();
        self.readings.push_back(reading);
        // The second goes once it alone is far enough back.
        while self.readings.get(1).is_some_and(|second| reading.is_far_enough_from(second))
            || self.readings.len() == READINGS_MAX
        {
            self.readings.pop_front();
        }
    }

    /// Readings that are taken more often than needed would push out those that are far enough back.
    fn drop_last_if_close_to_the_one_before(&mut self) {
        if let [.., before, last] = *self.readings.make_contiguous()
            && last.last_arrival_ns.saturating_sub(before.last_arrival_ns) < CLOSE_NS
        {
            self.readings.pop_back();
        }
    }

    /// Messages per second at `now_ns`; `None` before the second message. A stream that pauses for longer than its interval slows down with
    /// every moment; once it has paused for as long as a rate is taken over, the pause alone counts.
    #[must_use]
    pub fn rate_hz(&self, now_ns: u64) -> Option<f64> {
        let (first, last) = (self.readings.front()?, self.readings.back()?);
        let messages = last.count - first.count;
        let span_ns = last.last_arrival_ns.checked_sub(first.last_arrival_ns).filter(|span_ns| *span_ns > 0)?;
        let pause_ns = now_ns.saturating_sub(last.last_arrival_ns);
        let interval_ns = span_ns as f64 / messages as f64;
        if pause_ns >= WINDOW_NS && pause_ns as f64 >= interval_ns * INTERVALS_MIN as f64 {
            return Some(1e9 / pause_ns as f64);
        }
        // One more message is due an interval after the last: as long as it may still come in time, it does not count.
        let slowed_ns = (span_ns + pause_ns) as f64 / (messages + 1) as f64;
        Some(1e9 / interval_ns.max(slowed_ns))
    }

    /// Whether there are enough messages to say that the rate is not what it should be.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match (self.readings.front(), self.readings.back()) {
            (Some(first), Some(last)) => last.is_far_enough_from(first),
            _ => false,
        }
    }

    /// Forgets all readings, for a stream that begins anew.
    pub fn clear(&mut self) {
        self.readings.clear();
    }
}

impl Reading {
    fn is_far_enough_from(&self, earlier: &Reading) -> bool {
        self.count - earlier.count >= INTERVALS_MIN
            && self.last_arrival_ns.saturating_sub(earlier.last_arrival_ns) >= WINDOW_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// Reads every 250 ms a stream whose message `n` comes at `n * interval_ns`, up to `until_ns`.
    fn watch(window: &mut RateWindow, interval_ns: u64, from_ns: u64, until_ns: u64, mut count: u64) -> u64 {
        let mut last_ns = from_ns;
        let mut now_ns = from_ns;
        while now_ns < until_ns {
            now_ns += 250_000_000;
            while last_ns + interval_ns <= now_ns {
                last_ns += interval_ns;
                count += 1;
            }
            window.read(count, last_ns);
        }
        count
    }

    fn rate(window: &RateWindow, now_ns: u64) -> f64 {
        window.rate_hz(now_ns).expect("a rate")
    }

    #[test]
    fn the_rate_of_a_regular_stream_is_exact_whenever_it_is_read() {
        for hertz in [0.1, 0.5, 1.0, 3.0, 30.0, 1000.0] {
            let mut window = RateWindow::default();
            let interval_ns = (1e9 / hertz) as u64;
            watch(&mut window, interval_ns, 0, 100 * SECOND_NS, 0);
            let found = rate(&window, 100 * SECOND_NS);
            assert!((found / hertz - 1.0).abs() < 1e-6, "{hertz} Hz: {found}");
            assert!(window.is_settled());
        }
    }

    #[test]
    fn readings_may_be_taken_at_any_moment() {
        let mut window = RateWindow::default();
        for message in 1..=3000 {
            window.read(message, message * 1_000_000);
        }
        assert!(window.is_settled());
        let found = rate(&window, 3 * SECOND_NS);
        assert!((found - 1000.0).abs() < 1e-6, "{found}");
        let oldest = window.readings[0].last_arrival_ns;
        assert!(3 * SECOND_NS - oldest < 3 * SECOND_NS / 2, "{oldest}");
    }

    #[test]
    fn a_change_of_rate_shows_within_a_window() {
        let mut window = RateWindow::default();
        let count = watch(&mut window, SECOND_NS / 50, 0, 10 * SECOND_NS, 0);
        let count = watch(&mut window, SECOND_NS / 10, 10 * SECOND_NS, 11_500_000_000, count);
        let slow = rate(&window, 11_500_000_000);
        assert!((slow - 10.0).abs() < 0.5, "{slow}");
        watch(&mut window, SECOND_NS / 50, 11_500_000_000, 13 * SECOND_NS, count);
        let fast = rate(&window, 13 * SECOND_NS);
        assert!((fast - 50.0).abs() < 2.0, "{fast}");
    }

    #[test]
    fn a_stream_that_stops_slows_down_and_one_that_is_in_time_does_not() {
        let mut window = RateWindow::default();
        watch(&mut window, SECOND_NS / 10, 0, 10 * SECOND_NS, 0);
        let in_time = rate(&window, 10 * SECOND_NS + 99_000_000);
        assert!((in_time - 10.0).abs() < 1e-6, "{in_time}");
        let pausing = rate(&window, 10_900_000_000);
        assert!((5.0..9.0).contains(&pausing), "{pausing}");
        assert_eq!([12, 20, 110].map(|second| rate(&window, second * SECOND_NS)), [0.5, 0.1, 0.01]);
    }

    #[test]
    fn one_message_has_no_rate_and_two_have_one_that_is_not_settled() {
        let mut window = RateWindow::default();
        assert_eq!(window.rate_hz(0), None);
        window.read(0, 0);
        window.read(1, SECOND_NS);
        assert_eq!(window.rate_hz(2 * SECOND_NS), None);
        window.read(2, 2 * SECOND_NS);
        assert_eq!(window.rate_hz(2 * SECOND_NS), Some(1.0));
        assert!(!window.is_settled());
        window.clear();
        assert_eq!(window.rate_hz(2 * SECOND_NS), None);
    }
}
