//! Monotonic time, for ages, rates and liveness.

use std::time::Instant;

/// Nanoseconds since the process began to measure; never goes back, whatever happens to the system's date.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    origin: Instant,
}

impl MonotonicClock {
    /// A clock that begins now. Copies of it agree.
    #[allow(clippy::new_without_default, reason = "a clock begins at a moment, which a default would hide")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// Nanoseconds from the beginning to `moment`, 0 before it.
    pub fn nanoseconds(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.origin).as_nanos() as u64
    }

    /// Nanoseconds from the beginning to now.
    pub fn now_ns(&self) -> u64 {
        self.nanoseconds(Instant::now())
    }
}
