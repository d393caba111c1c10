//! What a metrics page tells of topics, joints, a twin and Unity's clients.
//!
//! What the page does not have is none, never zero. Of counters the rates are none here: those take two pages (`rates.rs`).

use std::collections::BTreeMap;

use metrics_client::{Node, Page, Sample, Samples, Status, one_line};
use serde::Serialize;

/// Longer than any name in ROS.
const NAME_CHARACTERS_MAX: usize = 256;

/// A counter.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Counter {
    pub(crate) total: Option<f64>,
    pub(crate) per_second: Option<f64>,
}

/// A topic, as one node sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Topic {
    #[serde(flatten)]
    pub(crate) scope: Scope,
    pub(crate) topic: String,
    /// As the label of `ros_topic_status`.
    pub(crate) status: Option<String>,
    /// Of monitoring_node: whether somebody has said so. The other nodes expect all that they watch.
    pub(crate) is_expected: Option<bool>,
    pub(crate) severity: Status,
    pub(crate) reason: &'static str,
    /// The node's own, or of its counter.
    pub(crate) rate_hertz: Option<f64>,
    pub(crate) jitter_seconds: Option<f64>,
    pub(crate) age_seconds: Option<f64>,
    pub(crate) publishers: Option<f64>,
    pub(crate) subscriptions: Option<f64>,
    pub(crate) messages: Counter,
    pub(crate) lost: Counter,
}

/// Of which monitoring_node alone tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Scope {
    pub(crate) domain: Option<String>,
    pub(crate) robot: Option<String>,
}

/// A joint of a topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Joint {
    pub(crate) topic: String,
    pub(crate) joint: String,
    pub(crate) position: Option<f64>,
    pub(crate) velocity: Option<f64>,
    pub(crate) effort: Option<f64>,
    pub(crate) age_seconds: Option<f64>,
}

/// A robot and its twin.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Twin {
    /// As the label of `ros_twin_state`.
    pub(crate) state: Option<String>,
    pub(crate) quality_ratio: Option<f64>,
    pub(crate) lag_seconds: Option<f64>,
    pub(crate) mean_error: Option<f64>,
    pub(crate) worst_error: Option<f64>,
    pub(crate) compared_joints: Option<f64>,
    pub(crate) missing_joints: Option<f64>,
    pub(crate) robot_age_seconds: Option<f64>,
    pub(crate) twin_age_seconds: Option<f64>,
    pub(crate) joints: Vec<TwinJoint>,
}

impl Twin {
    pub(crate) fn severity(&self) -> Status {
        self.state.as_deref().map_or(Status::Unknown, Status::of_twin)
    }
}

/// The robot's joint minus the twin's.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct TwinJoint {
    pub(crate) joint: String,
    pub(crate) error: Option<f64>,
    pub(crate) error_without_lag: Option<f64>,
    pub(crate) lag_seconds: Option<f64>,
}

/// A bridge to Unity.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Bridge {
    pub(crate) clients: Option<f64>,
    pub(crate) refused_connections: Option<f64>,
    pub(crate) sent_bytes: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) topics: Vec<BridgeTopic>,
}

/// A topic of a bridge, all clients together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct BridgeTopic {
    pub(crate) topic: String,
    pub(crate) sent: Counter,
    pub(crate) published: Counter,
    pub(crate) dropped: Counter,
    pub(crate) lost: Counter,
}

/// All of a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measures {
    pub(crate) node: Node,
    pub(crate) version: String,
    /// By which a process is told from the one after it.
    pub(crate) started_at_seconds: Option<f64>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) joints: Vec<Joint>,
    pub(crate) twin: Option<Twin>,
    pub(crate) bridge: Option<Bridge>,
}

impl Measures {
    pub(crate) fn of(page: &Page<'_>) -> Self {
        let samples = &page.samples;
        let joints = joints(samples);
        Self {
            node: page.node,
            version: name(page.build("version")),
            started_at_seconds: samples.value("process_start_time_seconds"),
            topics: topics(page, &joints),
            joints,
            twin: (page.node == Node::Synchronizer).then(|| twin(page)),
            bridge: (page.node == Node::Bridge).then(|| bridge(samples)),
        }
    }

    /// Each counter, with a name that no other has.
    pub(crate) fn counters(&mut self) -> Vec<(String, &mut Counter)> {
        let mut counters = Vec::new();
        for Topic { scope: Scope { domain, robot }, topic, messages, lost, .. } in &mut self.topics {
            let named = |metric| format!("{metric} {domain:?} {robot:?} {topic}");
            counters.extend([(named("messages"), messages), (named("lost"), lost)]);
        }
        if let Some(Bridge { sent_bytes, received_bytes, topics, .. }) = &mut self.bridge {
            counters.extend([("sent bytes".to_owned(), sent_bytes), ("received bytes".to_owned(), received_bytes)]);
            for BridgeTopic { topic, sent, published, dropped, lost } in topics {
                let of_topic = [("sent", sent), ("published", published), ("dropped", dropped), ("bridge lost", lost)];
                counters.extend(of_topic.map(|(metric, counter)| (format!("{metric} {topic}"), counter)));
            }
        }
        counters
    }
}

/// What the value of a sample is of a thing.
type Set<T> = fn(&mut T, &Sample<'_>);

/// The things that samples of these metrics are of, in the order of their keys.
fn gather<K: Ord, T>(
    samples: &Samples<'_>,
    metrics: &[(&str, Set<T>)],
    key: fn(&Sample<'_>) -> Option<K>,
    new: fn(&Sample<'_>) -> T,
) -> Vec<T> {
    let mut things = BTreeMap::new();
    for (metric, set) in metrics {
        for sample in samples.of(metric) {
            if let Some(key) = key(sample) {
                set(things.entry(key).or_insert_with(|| new(sample)), sample);
            }
        }
    }
    things.into_values().collect()
}

const OF_TOPICS: [(&str, Set<Topic>); 9] = [
    ("ros_topic_status", |topic, sample| {
        if sample.value == 1.0 {
            topic.status = Some(name(sample.label("status")));
        }
    }),
    ("ros_topic_expected", |topic, sample| topic.is_expected = Some(sample.value == 1.0)),
    ("ros_topic_rate_hertz", |topic, sample| topic.rate_hertz = Some(sample.value)),
    ("ros_topic_jitter_seconds", |topic, sample| topic.jitter_seconds = Some(sample.value)),
    ("ros_topic_age_seconds", |topic, sample| topic.age_seconds = Some(sample.value)),
    ("ros_topic_publishers", |topic, sample| topic.publishers = Some(sample.value)),
    ("ros_topic_subscriptions", |topic, sample| topic.subscriptions = Some(sample.value)),
    ("ros_message_count_total", |topic, sample| topic.messages.total = Some(sample.value)),
    ("ros_messages_lost_total", |topic, sample| topic.lost.total = Some(sample.value)),
];

fn topics(page: &Page<'_>, joints: &[Joint]) -> Vec<Topic> {
    let key = |sample: &Sample<'_>| named(sample, "topic_name").map(|topic| (topic, scope(sample)));
    let new = |sample: &Sample<'_>| Topic {
        scope: scope(sample),
        topic: name(sample.label("topic_name")),
        status: None,
        is_expected: None,
        severity: Status::Unknown,
        reason: "",
        rate_hertz: None,
        jitter_seconds: None,
        age_seconds: None,
        publishers: None,
        subscriptions: None,
        messages: Counter::default(),
        lost: Counter::default(),
    };
    let mut topics = gather(&page.samples, &OF_TOPICS, key, new);
    let expects_all = page.expects_topics();
    for topic in &mut topics {
        if let Some(status) = &topic.status {
            (topic.severity, topic.reason) = Status::of_topic(status, expects_all || topic.is_expected == Some(true));
        }
        // ros_metrics_exporter has the age of each joint: a message is as old as the joint that it named last.
        if topic.age_seconds.is_none() {
            let of_topic = joints.iter().filter(|joint| joint.topic == topic.topic);
            topic.age_seconds = of_topic.filter_map(|joint| joint.age_seconds).min_by(f64::total_cmp);
        }
    }
    topics
}

const OF_JOINTS: [(&str, Set<Joint>); 4] = [
    ("ros_joint_position", |joint, sample| joint.position = Some(sample.value)),
    ("ros_joint_velocity", |joint, sample| joint.velocity = Some(sample.value)),
    ("ros_joint_effort", |joint, sample| joint.effort = Some(sample.value)),
    ("ros_joint_age_seconds", |joint, sample| joint.age_seconds = Some(sample.value)),
];

fn joints(samples: &Samples<'_>) -> Vec<Joint> {
    let key = |sample: &Sample<'_>| Some((named(sample, "joint_name")?, named(sample, "topic_name")?));
    let new = |sample: &Sample<'_>| Joint {
        topic: name(sample.label("topic_name")),
        joint: name(sample.label("joint_name")),
        position: None,
        velocity: None,
        effort: None,
        age_seconds: None,
    };
    gather(samples, &OF_JOINTS, key, new)
}

const OF_TWIN_JOINTS: [(&str, Set<TwinJoint>); 2] = [
    ("ros_twin_joint_error", |joint, sample| match sample.label("compensation") {
        "none" => joint.error = Some(sample.value),
        "lag" => joint.error_without_lag = Some(sample.value),
        _ => {}
    }),
    ("ros_twin_joint_lag_seconds", |joint, sample| joint.lag_seconds = Some(sample.value)),
];

fn twin(page: &Page<'_>) -> Twin {
    let samples = &page.samples;
    let of_source = |metric, source| samples.of(metric).find(|sample| sample.label("source") == source);
    let age = |source| of_source("ros_twin_source_age_seconds", source).map(|sample| sample.value);
    let key = |sample: &Sample<'_>| named(sample, "joint_name");
    let new = |sample: &Sample<'_>| TwinJoint { joint: name(sample.label("joint_name")), ..TwinJoint::default() };
    Twin {
        state: page.twin_state().map(name),
        quality_ratio: samples.value("ros_twin_quality_ratio"),
        lag_seconds: samples.value("ros_twin_lag_seconds"),
        mean_error: samples.value("ros_twin_mean_error"),
        worst_error: samples.value("ros_twin_worst_error"),
        compared_joints: samples.value("ros_twin_compared_joints"),
        missing_joints: samples.value("ros_twin_missing_joints"),
        robot_age_seconds: age("reference"),
        twin_age_seconds: age("twin"),
        joints: gather(samples, &OF_TWIN_JOINTS, key, new),
    }
}

const OF_BRIDGE_TOPICS: [(&str, Set<BridgeTopic>); 4] = [
    ("unity_bridge_messages_sent_total", |topic, sample| topic.sent.add(sample.value)),
    ("unity_bridge_messages_published_total", |topic, sample| topic.published.add(sample.value)),
    ("unity_bridge_messages_dropped_total", |topic, sample| topic.dropped.add(sample.value)),
    ("unity_bridge_messages_lost_total", |topic, sample| topic.lost.add(sample.value)),
];

impl Counter {
    fn of(samples: &Samples<'_>, metric: &str) -> Self {
        Self { total: samples.value(metric), per_second: None }
    }

    /// One more series of the same thing, as for another reason.
    fn add(&mut self, value: f64) {
        self.total = Some(self.total.unwrap_or(0.0) + value);
    }
}

fn bridge(samples: &Samples<'_>) -> Bridge {
    let key = |sample: &Sample<'_>| named(sample, "topic_name");
    let new = |sample: &Sample<'_>| BridgeTopic { topic: name(sample.label("topic_name")), ..BridgeTopic::default() };
    Bridge {
        clients: samples.value("unity_bridge_clients"),
        refused_connections: samples.value("unity_bridge_refused_connections_total"),
        sent_bytes: Counter::of(samples, "unity_bridge_sent_bytes_total"),
        received_bytes: Counter::of(samples, "unity_bridge_received_bytes_total"),
        topics: gather(samples, &OF_BRIDGE_TOPICS, key, new),
    }
}

fn scope(sample: &Sample<'_>) -> Scope {
    Scope { domain: named(sample, "domain"), robot: named(sample, "robot") }
}

/// The label's value, unless there is none.
fn named(sample: &Sample<'_>, label: &str) -> Option<String> {
    Some(name(sample.label(label))).filter(|name| !name.is_empty())
}

/// Fit for a terminal, whoever has sent it.
fn name(text: &str) -> String {
    one_line(text, NAME_CHARACTERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(lines: &str) -> Measures {
        Measures::of(&Page::parse(&format!("{lines}\ndigital_twin_build_info{{version=\"1.2\"}} 1\n")).unwrap())
    }

    #[test]
    fn what_is_absent_is_none_and_what_is_zero_is_zero() {
        let topics = measured(
            "ros_topic_publishers{topic_name=\"/a\"} 0\nros_messages_lost_total{topic_name=\"/b\"} 2\n\
             ros_topic_status{topic_name=\"/a\",status=\"ok\"} 0\nros_topic_status{topic_name=\"/a\",status=\"stale\"} 1\n\
             ros_topic_status{topic_name=\"/a\",status=\"silent\"} 0\n",
        )
        .topics;
        assert_eq!(topics.iter().map(|topic| topic.topic.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!((topics[0].publishers, topics[0].lost.total, topics[0].age_seconds), (Some(0.0), None, None));
        assert_eq!((topics[0].status.as_deref(), topics[0].severity), (Some("stale"), Status::Unhealthy));
        assert!(topics[0].reason.contains("have stopped"));
        assert_eq!((topics[1].status.as_deref(), topics[1].severity), (None, Status::Unknown));
    }

    #[test]
    fn of_all_that_is_watched_what_is_expected_is_a_fault() {
        let topic = "ros_topics{seen=\"graph\"} 1\nros_topic_status{topic_name=\"/a\",status=\"stale\"} 1";
        for (expected, severity) in [(0, Status::Warning), (1, Status::Unhealthy)] {
            let topics = measured(&format!("{topic}\nros_topic_expected{{topic_name=\"/a\"}} {expected}")).topics;
            assert_eq!((topics[0].is_expected, topics[0].severity), (Some(expected == 1), severity));
        }
    }

    #[test]
    fn a_topic_of_two_domains_is_two() {
        let topics = measured(
            "ros_topics{seen=\"graph\"} 2\nros_topic_rate_hertz{domain=\"1\",robot=\"\",topic_name=\"/a\"} 10\n\
             ros_topic_rate_hertz{domain=\"2\",robot=\"r\",topic_name=\"/a\"} 20\n",
        )
        .topics;
        let told: Vec<_> =
            topics.iter().map(|t| (t.scope.domain.as_deref(), t.scope.robot.as_deref(), t.rate_hertz)).collect();
        assert_eq!(told, [(Some("1"), None, Some(10.0)), (Some("2"), Some("r"), Some(20.0))]);
    }

    #[test]
    fn a_topic_is_as_old_as_its_newest_joint() {
        let measures = measured(
            "ros_topic_publishers{topic_name=\"/a\"} 1\nros_joint_position{topic_name=\"/a\",joint_name=\"j\"} NaN\n\
             ros_joint_age_seconds{topic_name=\"/a\",joint_name=\"j\"} 2\n\
             ros_joint_age_seconds{topic_name=\"/a\",joint_name=\"k\"} 0.5\n\
             ros_joint_age_seconds{topic_name=\"/b\",joint_name=\"j\"} 0.1\n",
        );
        assert_eq!(measures.topics[0].age_seconds, Some(0.5));
        assert_eq!(measures.joints.len(), 3);
        assert!(measures.joints[0].position.unwrap().is_nan());
        assert_eq!(measures.joints[1].velocity, None);
    }

    #[test]
    fn a_twin_has_its_state_its_sources_and_its_joints() {
        let twin = measured(
            "ros_twin_state{state=\"SYNCED\"} 0\nros_twin_state{state=\"DIVERGED\"} 1\nros_twin_lag_seconds 0.08\n\
             ros_twin_source_age_seconds{source=\"twin\"} 0.2\n\
             ros_twin_joint_error{joint_name=\"j\",compensation=\"none\"} 0.3\n\
             ros_twin_joint_error{joint_name=\"j\",compensation=\"lag\"} -0.1\n",
        )
        .twin
        .unwrap();
        assert_eq!((twin.state.as_deref(), twin.severity()), (Some("DIVERGED"), Status::Unhealthy));
        assert_eq!((twin.lag_seconds, twin.mean_error), (Some(0.08), None));
        assert_eq!((twin.robot_age_seconds, twin.twin_age_seconds), (None, Some(0.2)));
        let joint = TwinJoint { joint: "j".into(), error: Some(0.3), error_without_lag: Some(-0.1), lag_seconds: None };
        assert_eq!(twin.joints, [joint]);
    }

    #[test]
    fn what_a_bridge_has_dropped_is_of_all_reasons() {
        let bridge = measured(
            "unity_bridge_clients 2\nunity_bridge_messages_dropped_total{topic_name=\"/a\",reason=\"queue_size\"} 3\n\
             unity_bridge_messages_dropped_total{topic_name=\"/a\",reason=\"max_queued_bytes\"} 4\n",
        )
        .bridge
        .unwrap();
        assert_eq!((bridge.clients, bridge.topics[0].dropped.total), (Some(2.0), Some(7.0)));
        assert_eq!(bridge.topics[0].sent.total, None);
    }

    #[test]
    fn each_counter_has_a_name_of_its_own() {
        let mut measures = measured(
            "unity_bridge_clients 0\nunity_bridge_messages_sent_total{topic_name=\"/a\"} 1\n\
             ros_message_count_total{topic_name=\"/a\"} 1\nros_message_count_total{topic_name=\"/a\",domain=\"1\"} 1\n",
        );
        let names: std::collections::BTreeSet<String> = measures.counters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 2 * 2 + 2 + 4);
    }

    #[test]
    fn names_are_fit_for_a_terminal() {
        let joints = measured("ros_joint_position{topic_name=\"/a\\n\",joint_name=\"j\x1b[2J\"} 1\n").joints;
        assert_eq!((joints[0].topic.as_str(), joints[0].joint.as_str()), ("/a", "j [2J"));
    }
}
