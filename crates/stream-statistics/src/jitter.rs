//! How regular a stream is.

/// The mean deviation of one interval from the one before, in which each counts for a sixteenth (RFC 3550 §6.4.1, with arrival times in the
/// place of transit times).
#[derive(Clone, Copy, Debug, Default)]
pub struct JitterTracker {
    last_interval_seconds: Option<f64>,
    jitter_seconds: f64,
}

impl JitterTracker {
    /// Takes the seconds between a message and the one before; returns the jitter in seconds.
    pub fn observe(&mut self, interval_seconds: f64) -> f64 {
        if let Some(last_seconds) = self.last_interval_seconds.replace(interval_seconds) {
            let deviation_seconds = (interval_seconds - last_seconds).abs();
            self.jitter_seconds += (deviation_seconds - self.jitter_seconds) / 16.0;
        }
        self.jitter_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_stream_has_none_and_an_irregular_one_its_mean_deviation() {
        let mut tracker = JitterTracker::default();
        assert!((0..100).all(|_| tracker.observe(0.1) == 0.0));
        for interval_seconds in [0.08, 0.12].repeat(100) {
            tracker.observe(interval_seconds);
        }
        assert!((tracker.observe(0.08) - 0.04).abs() < 1e-3);
    }
}
