//! What is expected of a topic, and the judgement of what is seen of it.

use ros_observer::QosPolicy;
use topic_watch::TopicStatus;

/// Whether messages of a topic are expected to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Messages keep coming.
    Stream,
    /// They come when something happens: such a topic is never stale, silent or too slow.
    Event,
}

/// What is expected of one topic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expectation {
    pub(crate) class: Class,
    pub(crate) rate_hz: Option<f64>,
    /// As a share of the rate.
    pub(crate) rate_tolerance: f64,
    pub(crate) max_age_ns: Option<i64>,
    pub(crate) stale_after_ns: Option<u64>,
    pub(crate) grace_ns: u64,
    /// Whether the topic is to be there: it is shown also when nobody has it.
    pub(crate) is_required: bool,
}

/// Intervals without a message after which a topic is stale whose rate alone is known.
const STALE_INTERVALS: f64 = 5.0;

/// The soonest that a topic is stale by its rate: a pause that no subscriber of a fast topic would notice is no fault.
const STALE_BY_RATE_NS_MIN: f64 = 5e8;

/// The share of late messages, among those since the last look, from which a topic is late.
const LATE_SHARE: f64 = 0.5;

/// What is seen of a topic at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) publishers: usize,
    /// The types that its endpoints name, in order, when there are several.
    pub(crate) types: Vec<String>,
    /// Every policy by which some publisher does not serve some subscription.
    pub(crate) incompatible: Vec<QosPolicy>,
    /// Whether its messages are seen; else it is watched through the graph alone.
    pub(crate) is_watched: bool,
    /// Whether all publishers keep their messages for subscriptions that come later: then these may come once and for all.
    pub(crate) is_latched: bool,
    /// Since there have been publishers.
    pub(crate) published_for_ns: u64,
    pub(crate) last_message_age_ns: Option<u64>,
    pub(crate) rate_hz: Option<f64>,
    pub(crate) is_rate_settled: bool,
    /// The rate when messages last came in time.
    pub(crate) usual_rate_hz: Option<f64>,
    /// The shortest deadline that a publisher offers.
    pub(crate) deadline_ns: Option<u64>,
    /// Of the messages since the last look.
    pub(crate) late_share: f64,
}

impl Expectation {
    /// The state of the topic.
    pub(crate) fn judge(&self, seen: &Seen) -> TopicStatus {
        self.judge_endpoints(seen).or_else(|| self.judge_flow(seen)).unwrap_or(TopicStatus::Ok)
    }

    /// Whether the topic may still be starting, so that what is wrong with it is no alarm yet.
    pub(crate) fn is_in_grace(&self, seen: &Seen, watched_for_ns: u64) -> bool {
        watched_for_ns < self.grace_ns || (seen.publishers > 0 && seen.published_for_ns < self.grace_ns)
    }

    fn judge_endpoints(&self, seen: &Seen) -> Option<TopicStatus> {
        if seen.publishers == 0 {
            return Some(TopicStatus::NoPublisher);
        }
        if seen.types.len() > 1 {
            return Some(TopicStatus::TypeMismatch);
        }
        if !seen.incompatible.is_empty() {
            return Some(TopicStatus::QosIncompatible);
        }
        (!seen.is_watched).then_some(TopicStatus::GraphOnly)
    }

    fn judge_flow(&self, seen: &Seen) -> Option<TopicStatus> {
        if self.goes_on(seen) {
            let Some(age_ns) = seen.last_message_age_ns else { return Some(TopicStatus::Silent) };
            if self.stale_after_ns(seen).is_some_and(|limit_ns| age_ns > limit_ns) {
                return Some(TopicStatus::Stale);
            }
        }
        self.judge_rate(seen).or_else(|| (seen.late_share > LATE_SHARE).then_some(TopicStatus::Late))
    }

    /// Whether messages have to keep coming: not on a latched topic, unless it is said how often.
    fn goes_on(&self, seen: &Seen) -> bool {
        let is_timed = self.rate_hz.is_some() || self.stale_after_ns.is_some();
        self.class == Class::Stream && (is_timed || !seen.is_latched)
    }

    fn judge_rate(&self, seen: &Seen) -> Option<TopicStatus> {
        let (expected_hz, rate_hz) = (self.rate_hz?, seen.rate_hz?);
        if !seen.is_rate_settled {
            return None;
        }
        if rate_hz < expected_hz * (1.0 - self.rate_tolerance) && self.class == Class::Stream {
            return Some(TopicStatus::TooSlow);
        }
        (rate_hz > expected_hz * (1.0 + self.rate_tolerance)).then_some(TopicStatus::TooFast)
    }

    /// How old the last message may be: as configured, else as the publisher itself promises, else several of the usual
    /// intervals. `None` while nothing is known to go by.
    pub(crate) fn stale_after_ns(&self, seen: &Seen) -> Option<u64> {
        let by_rate = || {
            let interval_seconds = self.rate_hz.or(seen.usual_rate_hz)?.recip();
            Some((STALE_INTERVALS * interval_seconds * 1e9).max(STALE_BY_RATE_NS_MIN) as u64)
        };
        self.stale_after_ns.or(seen.deadline_ns).or_else(by_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expectation = Expectation {
        class: Class::Stream,
        rate_hz: Some(10.0),
        rate_tolerance: 0.1,
        max_age_ns: Some(1),
        stale_after_ns: None,
        grace_ns: 0,
        is_required: true,
    };

    fn good() -> Seen {
        Seen {
            publishers: 1,
            is_watched: true,
            last_message_age_ns: Some(50_000_000),
            rate_hz: Some(10.0),
            is_rate_settled: true,
            usual_rate_hz: Some(10.0),
            ..Seen::default()
        }
    }

    #[test]
    fn the_first_reason_that_holds_is_the_state() {
        let types = vec!["a/msg/A".to_owned(), "b/msg/B".to_owned()];
        let incompatible = vec![QosPolicy::Reliability];
        let silent = Seen { last_message_age_ns: None, rate_hz: None, ..good() };
        for (seen, expected) in [
            (good(), TopicStatus::Ok),
            (Seen { publishers: 0, ..good() }, TopicStatus::NoPublisher),
            (Seen { types, incompatible: incompatible.clone(), ..good() }, TopicStatus::TypeMismatch),
            (Seen { incompatible, ..silent.clone() }, TopicStatus::QosIncompatible),
            (Seen { is_watched: false, ..silent.clone() }, TopicStatus::GraphOnly),
            (silent, TopicStatus::Silent),
            (Seen { last_message_age_ns: Some(500_000_001), rate_hz: Some(1.0), ..good() }, TopicStatus::Stale),
            (Seen { last_message_age_ns: Some(500_000_000), rate_hz: Some(8.9), ..good() }, TopicStatus::TooSlow),
            (Seen { rate_hz: Some(11.1), ..good() }, TopicStatus::TooFast),
            (Seen { rate_hz: Some(11.1), is_rate_settled: false, ..good() }, TopicStatus::Ok),
            (Seen { late_share: 0.51, ..good() }, TopicStatus::Late),
            (Seen { late_share: 0.5, ..good() }, TopicStatus::Ok),
        ] {
            assert_eq!(EXPECTED.judge(&seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn an_event_topic_never_times_out() {
        let event = Expectation { class: Class::Event, ..EXPECTED };
        for age_ns in [None, Some(u64::MAX)] {
            let seen = Seen { last_message_age_ns: age_ns, rate_hz: Some(0.001), ..good() };
            assert_eq!(event.judge(&seen), TopicStatus::Ok);
        }
        assert_eq!(event.judge(&Seen { rate_hz: Some(100.0), ..good() }), TopicStatus::TooFast);
    }

    #[test]
    fn what_is_stale_follows_the_configuration_then_the_deadline_then_the_rate() {
        let none = Expectation { rate_hz: None, ..EXPECTED };
        let deadline = Seen { deadline_ns: Some(7), ..good() };
        assert_eq!(Expectation { stale_after_ns: Some(3), ..EXPECTED }.stale_after_ns(&deadline), Some(3));
        assert_eq!(none.stale_after_ns(&deadline), Some(7));
        assert_eq!(none.stale_after_ns(&good()), Some(500_000_000));
        let slow = Seen { usual_rate_hz: Some(0.5), ..good() };
        assert_eq!(none.stale_after_ns(&slow), Some(10_000_000_000), "a topic under 1 Hz has its own measure");
        let unknown = Seen { usual_rate_hz: None, last_message_age_ns: Some(u64::MAX), ..good() };
        assert_eq!(none.stale_after_ns(&unknown), None);
        assert_eq!(none.judge(&unknown), TopicStatus::Ok, "one message, perhaps latched, tells no rate");
    }

    #[test]
    fn grace_is_for_topics_that_are_new_or_published_anew() {
        let expected = Expectation { grace_ns: 10, ..EXPECTED };
        assert!(expected.is_in_grace(&Seen { publishers: 0, ..good() }, 9));
        assert!(!expected.is_in_grace(&Seen { publishers: 0, ..good() }, 10));
        assert!(expected.is_in_grace(&Seen { published_for_ns: 9, ..good() }, 100));
        assert!(!expected.is_in_grace(&Seen { published_for_ns: 10, ..good() }, 100));
    }
}
