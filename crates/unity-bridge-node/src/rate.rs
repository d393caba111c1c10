//! How many of something a client may have in a second.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of tokens that holds those of one second, told by when it would be full again (the generic cell rate algorithm of
/// ITU-T I.371).
pub(crate) struct Rate {
    between: Duration,
    full_at: Instant,
}

const BURST: Duration = Duration::from_secs(1);

impl Rate {
    /// So many in a second, at least 1.
    pub(crate) fn new(per_second: f64, now: Instant) -> Self {
        Self { between: Duration::from_secs_f64(1.0 / per_second.max(1.0)), full_at: now }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there is none: when there will be one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let full_at = self.full_at.max(now) + self.between;
        match full_at - BURST {
            due if due > now => Err(due),
            _ => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_come_at_once_and_then_each_in_its_time() {
        let (now, tenth) = (Instant::now(), Duration::from_millis(100));
        let mut rate = Rate::new(10.0, now);
        for frame in 0..10 {
            assert_eq!(rate.take(now), Ok(()), "{frame}");
        }
        // However often it is asked.
        for _ in 0..100 {
            assert_eq!(rate.take(now), Err(now + tenth));
        }
        assert_eq!(rate.take(now + tenth), Ok(()));
        assert_eq!(rate.take(now + tenth), Err(now + 2 * tenth));
        assert_eq!(rate.take(now + 90 * tenth), Ok(()));
    }
}
