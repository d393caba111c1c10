//! The series of joints, rendered from snapshots.
//!
//! A robot has thousands of them and they are most of a scrape, so the text of a joint's labels is made once and kept;
//! a scrape appends values to it. The names of joints come from outside: they are escaped as the text format asks.

use std::sync::Arc;

use joint_state::{Board, Names, Sample, Snapshot};

/// Name, help and value of each family, in the order in which they are shown.
const FAMILIES: [Family; 4] = [
    Family {
        name: "ros_joint_position",
        help: "Position of the joint, in radians or metres.",
        value: |joint| joint.position,
    },
    Family {
        name: "ros_joint_velocity",
        help: "Velocity of the joint, in radians or metres per second.",
        value: |joint| joint.velocity,
    },
    Family {
        name: "ros_joint_effort",
        help: "Effort applied in the joint, in newton metres or newtons.",
        value: |joint| joint.effort,
    },
    Family {
        name: "ros_joint_age_seconds",
        help: "Time since a message last named the joint.",
        value: |joint| joint.age_ns as f64 / 1e9,
    },
];

struct Family {
    name: &'static str,
    help: &'static str,
    value: fn(&Sample) -> f64,
}

/// The age outlives the values, which are not shown when stale.
const AGE: usize = 3;

/// The joints of one topic, as they were at the last snapshot.
pub(crate) struct TopicSeries {
    board: Arc<Board>,
    topic_label: String,
    snapshot: Snapshot,
    generation: u64,
    /// By slot: the joint that the text was made for, and the text.
    labels: Vec<Option<(Arc<str>, Box<str>)>>,
}

impl TopicSeries {
    pub(crate) fn new(topic: &str, board: Arc<Board>) -> Self {
        let mut topic_label = String::from("{topic_name=\"");
        escape_into(topic, &mut topic_label);
        topic_label.push_str("\",joint_name=\"");
        Self { board, topic_label, snapshot: Snapshot::default(), generation: 0, labels: Vec::new() }
    }

    /// Takes a snapshot; false when it is of more than one moment.
    pub(crate) fn refresh(&mut self, now_ns: u64) -> bool {
        self.board.snapshot(now_ns, &mut self.snapshot);
        if self.snapshot.names.generation != self.generation {
            self.generation = self.snapshot.names.generation;
            let names = Arc::clone(&self.snapshot.names);
            self.relabel(&names);
        }
        !self.snapshot.torn
    }

    fn relabel(&mut self, names: &Names) {
        self.labels.resize(names.of_slot.len(), None);
        for (label, name) in self.labels.iter_mut().zip(&names.of_slot) {
            match (&label, name) {
                (Some((labelled, _)), Some(name)) if Arc::ptr_eq(labelled, name) => {}
                (_, Some(name)) => *label = Some((Arc::clone(name), label_text(&self.topic_label, name))),
                (_, None) => *label = None,
            }
        }
    }

    fn append(&self, family: &Family, age_max_ns: u64, out: &mut Vec<u8>) -> u64 {
        let mut number = ryu::Buffer::new();
        let mut series = 0;
        for joint in self.snapshot.samples.iter().filter(|joint| joint.age_ns <= age_max_ns) {
            let value = (family.value)(joint);
            let Some(Some((_, label))) = self.labels.get(joint.slot as usize) else { continue };
            if value.is_nan() {
                continue;
            }
            out.extend_from_slice(family.name.as_bytes());
            out.extend_from_slice(label.as_bytes());
            out.extend_from_slice(value_text(value, &mut number).as_bytes());
            out.push(b'\n');
            series += 1;
        }
        series
    }
}

/// Appends the joints of all topics, whose snapshots are fresh; returns how many series.
pub(crate) fn append(topics: &[TopicSeries], stale_after_ns: u64, out: &mut Vec<u8>) -> u64 {
    let mut series = 0;
    for (index, family) in FAMILIES.iter().enumerate() {
        let header = format!("# HELP {0} {1}\n# TYPE {0} gauge\n", family.name, family.help);
        out.extend_from_slice(header.as_bytes());
        let age_max_ns = if index == AGE { u64::MAX } else { stale_after_ns };
        series += topics.iter().map(|topic| topic.append(family, age_max_ns, out)).sum::<u64>();
    }
    series
}

fn label_text(topic_label: &str, joint: &str) -> Box<str> {
    let mut text = String::from(topic_label);
    escape_into(joint, &mut text);
    text.push_str("\"} ");
    text.into_boxed_str()
}

/// Label values escape backslash, quote and line feed (Prometheus text format 0.0.4).
fn escape_into(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

fn value_text(value: f64, buffer: &mut ryu::Buffer) -> &str {
    if value.is_finite() {
        buffer.format_finite(value)
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

#[cfg(test)]
mod tests {
    use joint_state::Recorder;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn message(joints: &[(&str, f64)]) -> Vec<u8> {
        let mut bytes = vec![0; 8 + 4 + 1 + 3];
        bytes[8] = 1;
        let align = |bytes: &mut Vec<u8>, to: usize| bytes.resize(bytes.len().next_multiple_of(to), 0);
        bytes.extend((joints.len() as u32).to_le_bytes());
        for (name, _) in joints {
            align(&mut bytes, 4);
            bytes.extend((name.len() as u32 + 1).to_le_bytes());
            bytes.extend(name.bytes().chain([0]));
        }
        align(&mut bytes, 4);
        bytes.extend((joints.len() as u32).to_le_bytes());
        align(&mut bytes, 8);
        joints.iter().for_each(|(_, position)| bytes.extend(position.to_le_bytes()));
        bytes.extend([0; 8]);
        [&[0, 1, 0, 0], &bytes[..]].concat()
    }

    fn render(series: &mut TopicSeries, now_ns: u64) -> String {
        assert!(series.refresh(now_ns));
        let mut out = Vec::new();
        append(std::slice::from_ref(series), 5 * SECOND_NS, &mut out);
        String::from_utf8(out).unwrap().lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn names_are_escaped_and_values_are_as_prometheus_reads_them() {
        let mut recorder = Recorder::new(10, 300 * SECOND_NS);
        let joints = [("a\"b\\c\nd", 1.5), ("inf", f64::INFINITY), ("nan", f64::NAN), ("big", -1e300)];
        recorder.record(&message(&joints), SECOND_NS).unwrap();
        let text = render(&mut TopicSeries::new("/joint_states", recorder.board()), SECOND_NS);
        let expected = "ros_joint_position{topic_name=\"/joint_states\",joint_name=\"a\\\"b\\\\c\\nd\"} 1.5\n\
             ros_joint_position{topic_name=\"/joint_states\",joint_name=\"inf\"} +Inf\n\
             ros_joint_position{topic_name=\"/joint_states\",joint_name=\"big\"} -1e300\n";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.matches("ros_joint_age_seconds").count(), 4);
    }

    #[test]
    fn a_stale_joint_keeps_its_age_alone_and_a_forgotten_one_nothing() {
        let mut recorder = Recorder::new(10, 10 * SECOND_NS);
        recorder.record(&message(&[("a", 1.0)]), SECOND_NS).unwrap();
        let mut series = TopicSeries::new("/t", recorder.board());
        assert_eq!(render(&mut series, 6 * SECOND_NS).lines().count(), 2);
        let stale = render(&mut series, 7 * SECOND_NS);
        assert_eq!(stale, "ros_joint_age_seconds{topic_name=\"/t\",joint_name=\"a\"} 6.0");
        assert_eq!(render(&mut series, 12 * SECOND_NS), "");
    }

    #[test]
    fn joints_that_come_later_are_labelled_too() {
        let mut recorder = Recorder::new(10, 10 * SECOND_NS);
        recorder.record(&message(&[("a", 1.0)]), SECOND_NS).unwrap();
        let mut series = TopicSeries::new("/t", recorder.board());
        render(&mut series, SECOND_NS);
        recorder.record(&message(&[("b", 2.0), ("a", 3.0)]), SECOND_NS).unwrap();
        let text = render(&mut series, SECOND_NS);
        assert!(text.contains("joint_name=\"a\"} 3.0") && text.contains("joint_name=\"b\"} 2.0"), "{text}");
    }
}
