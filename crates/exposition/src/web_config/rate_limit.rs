//! `rate_limit`: a token bucket over all requests but probes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::duration;
use super::fault::Faults;
use super::yaml::Section;

/// A token bucket of `burst` tokens, of which one comes back every `interval`.
#[derive(Debug)]
pub(crate) struct RateLimit {
    interval: Duration,
    /// How far ahead of the steady rate requests may come: `interval` for each token after the first.
    tolerance: Duration,
    /// When the request after the last admitted one is due at the steady rate (the generic cell rate algorithm, ITU-T I.371).
    due: Mutex<Option<Instant>>,
}

impl RateLimit {
    fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, tolerance: interval.saturating_mul(burst.saturating_sub(1)), due: Mutex::new(None) }
    }

    /// Takes a token; false when there is none.
    pub(crate) fn admit(&self, now: Instant) -> bool {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let at = due.map_or(now, |at| at.max(now));
        let admitted = at - now <= self.tolerance;
        if admitted {
            // Past the end of time only with an interval of centuries: then this was the last request.
            *due = Some(at.checked_add(self.interval).unwrap_or(at));
        }
        admitted
    }
}

/// An interval of 0, the default, means no limit.
pub(super) fn read(mut section: Section, faults: &mut Faults) -> Option<RateLimit> {
    let interval = section.text("interval", faults).and_then(|text| {
        let interval = duration::parse(&text);
        if interval.is_none() {
            faults.add(section.path_of("interval"), "must be a duration such as 1s, 500ms or 1m30s, or 0 for no limit");
        }
        interval
    });
    let burst = section.text("burst", faults).and_then(|text| {
        let burst = text.parse::<u32>().ok();
        if burst.is_none() {
            faults.add(section.path_of("burst"), "must be a whole number");
        }
        burst
    });
    let limit = interval.filter(|interval| !interval.is_zero()).and_then(|interval| match burst {
        Some(burst @ 1..) => Some(RateLimit::new(interval, burst)),
        _ => {
            faults.add(section.path_of("burst"), "must be 1 or more, or no request is ever answered");
            None
        }
    });
    section.refuse_unknown_keys(faults);
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_a_burst_and_then_one_per_interval() {
        let limit = RateLimit::new(Duration::from_secs(1), 3);
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let admitted: Vec<bool> = (0..5).map(|_| limit.admit(start)).collect();
        assert_eq!(admitted, [true, true, true, false, false]);
        assert!(!limit.admit(after(999)));
        assert!(limit.admit(after(1000)));
        assert!(!limit.admit(after(1000)));
        // Idle time fills the bucket, and no further than full.
        let admitted: Vec<bool> = (0..4).map(|_| limit.admit(after(60_000))).collect();
        assert_eq!(admitted, [true, true, true, false]);
    }
}
