//! Whether anybody looks: what is for the live page alone is not done for nobody.

use std::sync::atomic::{AtomicU64, Ordering};

/// Whoever looked is taken to look on for so long: many times the time from one event to the next.
const LOOKS_FOR_NS: u64 = 2_000_000_000;

/// Those who look at the live page.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// Until when somebody looks, by the monotonic clock.
    until_ns: AtomicU64,
}

impl Audience {
    /// Somebody looks now.
    pub(crate) fn look(&self, now_ns: u64) {
        self.until_ns.store(now_ns.saturating_add(LOOKS_FOR_NS), Ordering::Relaxed);
    }

    /// Whether somebody looks.
    pub(crate) fn is_there(&self, now_ns: u64) -> bool {
        now_ns < self.until_ns.load(Ordering::Relaxed)
    }
}
