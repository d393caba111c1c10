//! How topics, nodes, services and joints are, by the metrics of our nodes.

use std::collections::BTreeSet;

use metrics_client::{Page, Sample};

use crate::report::{Finding, Status};

/// Of one kind, for each node; the others are counted.
const LINES_MAX: usize = 10;

/// What is wrong, and one line of all topics where nothing is.
pub(crate) fn judge(object: &str, page: &Page<'_>) -> Vec<Finding> {
    let mut findings = topics(object, page);
    for rule in &RULES {
        let wrong = page.samples.of(rule.metric).filter(|sample| (rule.is_wrong)(sample.value));
        findings.extend(limited(object, rule.check, wrong.map(|sample| rule.finding(object, sample)).collect()));
    }
    findings
}

/// One series for each thing, whose value tells.
struct Rule {
    metric: &'static str,
    is_wrong: fn(f64) -> bool,
    status: Status,
    check: &'static str,
    label: &'static str,
    meaning: &'static str,
}

const RULES: [Rule; 4] = [
    Rule {
        metric: "ros_node_up",
        is_wrong: |value| value == 0.0,
        status: Status::Unhealthy,
        check: "ros_node",
        label: "node_name",
        meaning: "the node is missed: start it again, or leave it out by ignore_nodes of monitoring_node",
    },
    Rule {
        metric: "ros_service_up",
        is_wrong: |value| value == 0.0,
        status: Status::Unhealthy,
        check: "ros_service",
        label: "service_name",
        meaning: "nobody offers the service any more: is its node up?",
    },
    Rule {
        metric: "ros_joint_frozen",
        is_wrong: |value| value == 1.0,
        status: Status::Warning,
        check: "joint",
        label: "joint_name",
        meaning: "it stands still while it should move: look at its drive",
    },
    Rule {
        metric: "ros_joint_limit_margin",
        is_wrong: |value| value < 0.0,
        status: Status::Warning,
        check: "joint",
        label: "joint_name",
        meaning: "it is beyond a limit of its description",
    },
];

impl Rule {
    fn finding(&self, object: &str, sample: &Sample<'_>) -> Finding {
        let quantity = sample.label("quantity");
        let of_quantity = if quantity.is_empty() { String::new() } else { format!(" ({quantity})") };
        let name = format!("{object} {}", sample.label(self.label));
        Finding::new(self.status, self.check, &name, &format!("{}{of_quantity}", self.meaning))
    }
}

fn topics(object: &str, page: &Page<'_>) -> Vec<Finding> {
    const CHECK: &str = "topic";
    let holding: Vec<_> = page.samples.holding("ros_topic_status").collect();
    let expected: BTreeSet<_> = page.samples.holding("ros_topic_expected").map(topic).collect();
    let expects_all = page.expects_topics();
    let wrong = holding.iter().filter(|sample| sample.label("status") != "ok").map(|sample| {
        let is_expected = expects_all || expected.contains(&topic(sample));
        let (status, meaning) = Status::of_topic(sample.label("status"), is_expected);
        let detail = format!("{}: {meaning}", sample.label("status"));
        Finding::new(status, CHECK, &format!("{object} {}", sample.label("topic_name")), &detail)
    });
    let findings = limited(object, CHECK, wrong.collect());
    if findings.is_empty() && !holding.is_empty() {
        return vec![Finding::new(
            Status::Ok,
            CHECK,
            object,
            &match holding.len() {
                1 => "1 topic has what it should".to_owned(),
                topics => format!("{topics} topics have what they should"),
            },
        )];
    }
    findings
}

/// Which of all ROS domains and robots.
fn topic<'s>(sample: &'s Sample<'_>) -> [&'s str; 3] {
    ["domain", "robot", "topic_name"].map(|label| sample.label(label))
}

/// The worst first.
fn limited(object: &str, check: &'static str, mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.status));
    if findings.len() > LINES_MAX {
        let rest = findings.split_off(LINES_MAX);
        findings.push(Finding::new(rest[0].status, check, object, &format!("and {} more like these", rest.len())));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(page: &str) -> Vec<Finding> {
        judge("node", &Page::parse(&format!("{page}digital_twin_build_info 1\n")).unwrap())
    }

    #[test]
    fn what_is_watched_because_it_is_there_may_be_without_publisher_unless_it_is_expected() {
        let topic = "ros_topic_status{topic_name=\"/cmd\",status=\"no_publisher\"} 1\n";
        assert_eq!(judged(topic)[0].status, Status::Unhealthy);
        let monitored = format!("{topic}ros_topics{{seen=\"graph\"}} 1\nros_topic_expected{{topic_name=\"/cmd\"}} ");
        for (expected, status) in [("0", Status::Warning), ("1", Status::Unhealthy)] {
            assert_eq!(judged(&format!("{monitored}{expected}\n"))[0].status, status);
        }
    }

    #[test]
    fn a_robot_without_a_twin_is_no_fault_and_one_without_publisher_is() {
        let topic = "ros_topic_status{topic_name=\"/twin/joint_states\",status=\"no_publisher\"} 1\n";
        let status = |state: &str| judged(&format!("{topic}ros_twin_state{{state=\"{state}\"}} 1\n"))[0].status;
        assert_eq!((status("MIRRORING"), status("WAITING")), (Status::Warning, Status::Unhealthy));
    }

    #[test]
    fn topics_that_are_well_have_one_line() {
        let findings = judged(
            "ros_topic_status{topic_name=\"/a\",status=\"ok\"} 1\nros_topic_status{topic_name=\"/a\",status=\"stale\"} 0\n\
             ros_topic_status{topic_name=\"/b\",status=\"ok\"} 1\n",
        );
        assert_eq!(findings, [Finding::new(Status::Ok, "topic", "node", "2 topics have what they should")]);
    }

    #[test]
    fn of_many_the_worst_are_told_and_the_others_counted() {
        let slow: String =
            (0..20).map(|n| format!("ros_topic_status{{topic_name=\"/t{n}\",status=\"too_slow\"}} 1\n")).collect();
        let findings = judged(&format!("{slow}ros_topic_status{{topic_name=\"/bad\",status=\"type_mismatch\"}} 1\n"));
        assert_eq!(findings.len(), LINES_MAX + 1);
        assert_eq!((findings[0].status, findings[0].object.as_str()), (Status::Unhealthy, "node /bad"));
        assert_eq!(findings[LINES_MAX].detail, "and 11 more like these");
    }

    #[test]
    fn nodes_services_and_joints_are_told_by_name() {
        let findings = judged(
            "ros_node_up{node_name=\"/gone\"} 0\nros_node_up{node_name=\"/here\"} 1\nros_service_up{service_name=\"/s\"} 0\n\
             ros_joint_frozen{joint_name=\"elbow\"} 1\nros_joint_limit_margin{joint_name=\"knee\",quantity=\"position\"} -0.1\n",
        );
        let told: Vec<_> = findings.iter().map(|f| (f.check, f.object.as_str(), f.status)).collect();
        assert_eq!(
            told,
            [
                ("ros_node", "node /gone", Status::Unhealthy),
                ("ros_service", "node /s", Status::Unhealthy),
                ("joint", "node elbow", Status::Warning),
                ("joint", "node knee", Status::Warning)
            ]
        );
        assert!(findings[3].detail.ends_with("(position)"));
    }
}
