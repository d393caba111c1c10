//! What the log says of messages that were rejected. The hot path only counts.

use std::time::{Duration, Instant};

use prometheus::IntCounter;

/// How long the log keeps quiet about a reason that it has named.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What the log has said of one topic, by reason.
pub struct Rejections {
    told: Vec<Told>,
}

struct Told {
    counter: IntCounter,
    reason: &'static str,
    /// The reason in words.
    text: String,
    count: u64,
    at: Option<Instant>,
}

impl Rejections {
    /// Tells of what these counters count: each with its reason, as a label and in words.
    pub fn new(counters: impl IntoIterator<Item = (IntCounter, &'static str, String)>) -> Self {
        let told = |(counter, reason, text)| Told { counter, reason, text, count: 0, at: None };
        Self { told: counters.into_iter().map(told).collect() }
    }

    /// Says what was rejected since the last time, at most once a minute for each reason.
    pub fn tell(&mut self, topic: &str, now: Instant) {
        for told in &mut self.told {
            let count = told.counter.get();
            let too_early = told.at.is_some_and(|at| now.saturating_duration_since(at) < TELL_AGAIN_AFTER);
            if count > told.count && !too_early {
                let messages = count - told.count;
                tracing::warn!(topic, reason = told.reason, messages, "rejected: {}", told.text);
                (told.count, told.at) = (count, Some(now));
            }
        }
    }
}
