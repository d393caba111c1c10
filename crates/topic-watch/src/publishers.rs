//! The publishers of a topic that is asked for by its name and type, and what they make of it.

use ros_observer::Gid;

use crate::TopicStatus;

/// The states that are told apart of such a topic.
pub const STATUSES: &[TopicStatus] = &[
    TopicStatus::NoPublisher,
    TopicStatus::TypeMismatch,
    TopicStatus::QosIncompatible,
    TopicStatus::Silent,
    TopicStatus::Stale,
    TopicStatus::Ok,
];

/// A publisher of the topic that does not reach us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The publisher.
    pub publisher: Gid,
    /// `None` where it is not a ROS node, or discovery has not come to it yet.
    pub node: Option<String>,
    /// Why.
    pub cause: Cause,
}

/// Why a publisher does not reach us; the one farthest from what is wanted comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It publishes this other type.
    Type(String),
    /// Its QoS does not offer what we ask for, in the middleware's words.
    Qos(String),
}

/// What is known of a topic's publishers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publishers {
    /// How many match.
    pub matched: usize,
    /// The nodes of those that could, by type and QoS, as in [`Mismatch::node`]; more than match for a moment, or where
    /// something else keeps them from us.
    pub compatible: Vec<Option<String>>,
    /// Those that cannot.
    pub mismatches: Vec<Mismatch>,
}

/// Judges a topic by its publishers and the nanoseconds since its last message, if there was one.
pub(crate) fn judge(publishers: &Publishers, last_message_age_ns: Option<u64>, stale_after_ns: u64) -> TopicStatus {
    if publishers.matched.max(publishers.compatible.len()) == 0 {
        return match publishers.mismatches.iter().map(|mismatch| &mismatch.cause).max() {
            None => TopicStatus::NoPublisher,
            Some(Cause::Type(_)) => TopicStatus::TypeMismatch,
            Some(Cause::Qos(_)) => TopicStatus::QosIncompatible,
        };
    }
    match last_message_age_ns {
        None => TopicStatus::Silent,
        Some(age_ns) if age_ns > stale_after_ns => TopicStatus::Stale,
        Some(_) => TopicStatus::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_that_matches_outweighs_those_that_do_not() {
        let mismatch = |cause| Mismatch { publisher: Gid::default(), node: Some("/a".into()), cause };
        let wrong_type = mismatch(Cause::Type("std_msgs/msg/String".into()));
        let wrong_qos = mismatch(Cause::Qos("reliability".into()));
        let publishers = |matched, mismatches: &[&Mismatch]| Publishers {
            matched,
            compatible: vec![None; matched],
            mismatches: mismatches.iter().copied().cloned().collect(),
        };
        for (publishers, age_ns, expected) in [
            (publishers(0, &[]), None, TopicStatus::NoPublisher),
            (publishers(0, &[]), Some(1), TopicStatus::NoPublisher),
            (publishers(0, &[&wrong_type]), None, TopicStatus::TypeMismatch),
            (publishers(0, &[&wrong_qos]), Some(1), TopicStatus::QosIncompatible),
            (publishers(0, &[&wrong_qos, &wrong_type]), None, TopicStatus::QosIncompatible),
            (publishers(0, &[&wrong_type, &wrong_qos]), None, TopicStatus::QosIncompatible),
            (publishers(1, &[&wrong_type]), None, TopicStatus::Silent),
            (publishers(1, &[]), Some(11), TopicStatus::Stale),
            (publishers(2, &[&wrong_qos]), Some(10), TopicStatus::Ok),
            (Publishers { compatible: vec![None], ..publishers(0, &[&wrong_type]) }, None, TopicStatus::Silent),
            (Publishers { compatible: vec![None], ..publishers(0, &[]) }, Some(11), TopicStatus::Stale),
        ] {
            assert_eq!(judge(&publishers, age_ns, 10), expected, "{publishers:?} {age_ns:?}");
        }
    }
}
