//! The time between messages.

/// Measures how far apart the messages of one stream arrive.
#[derive(Clone, Debug, Default)]
pub struct IntervalTracker {
    last_arrival_ns: Option<u64>,
}

impl IntervalTracker {
    /// Takes a message that arrived at `arrival_ns` of a monotonic clock. Returns the seconds since the one before, none for the first.
    pub fn observe(&mut self, arrival_ns: u64) -> Option<f64> {
        let last_arrival_ns = self.last_arrival_ns.replace(arrival_ns)?;
        Some(arrival_ns.saturating_sub(last_arrival_ns) as f64 * 1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_takes_two_messages() {
        let mut tracker = IntervalTracker::default();
        assert_eq!(tracker.observe(0), None);
        assert_eq!(tracker.observe(2_000_000_000), Some(2.0));
        assert_eq!(tracker.observe(2_500_000_000), Some(0.5));
    }

    #[test]
    fn messages_that_were_stamped_out_of_order_have_no_negative_interval() {
        let mut tracker = IntervalTracker::default();
        tracker.observe(2_000_000_000);
        assert_eq!(tracker.observe(1_000_000_000), Some(0.0));
        assert_eq!(tracker.observe(2_000_000_000), Some(1.0));
    }
}
