//! The node's parameters: facts about the robot.

use node_runtime::{Constraint, Declaration, NodeInfo, Parameters, is_topic_name};
use r2r::ParameterValue;
use ros_observer::{Qos, Reliability};

pub(crate) const NODE: NodeInfo = NodeInfo {
    name: "ros_metrics_exporter",
    about: "Turns sensor_msgs/msg/JointState topics into Prometheus metrics.",
    listen_address: "0.0.0.0:8000",
};

pub(crate) const STALE_AFTER: &str = "stale_after";
pub(crate) const FORGET_AFTER: &str = "forget_after";

/// Messages kept for us by the middleware. Deep enough for a burst while a new layout is worked out; never the depth
/// that a publisher reports, which Fast DDS does not share.
const DEPTH: usize = 1000;

/// Topics watched by one process; each costs a subscription and, at worst, `max_joints` joints.
const TOPICS_MAX: usize = 64;

/// The longest age that can be asked for: a year.
const SECONDS_MAX: f64 = 31_536_000.0;

pub(crate) fn declarations() -> Vec<Declaration> {
    vec![
        Declaration {
            name: "topics",
            default: ParameterValue::StringArray(vec!["/joint_states".into()]),
            description: "Topics of type sensor_msgs/msg/JointState.",
            settable: false,
            constraint: Constraint::Checked("1 to 64 different topic names", check_topics),
        },
        Declaration {
            name: "max_joints",
            default: ParameterValue::Integer(10_000),
            description: "Joints followed per topic; more are left out and counted.",
            settable: false,
            constraint: Constraint::Integer { min: 1, max: 1_000_000 },
        },
        Declaration {
            name: STALE_AFTER,
            default: ParameterValue::Double(5.0),
            description: "Seconds after which a joint or a topic without messages is stale: its values are not shown.",
            settable: true,
            constraint: Constraint::Double { min: 0.001, max: SECONDS_MAX },
        },
        Declaration {
            name: FORGET_AFTER,
            default: ParameterValue::Double(300.0),
            description: "Seconds after which a joint without messages is forgotten: its age is not shown either.",
            settable: true,
            constraint: Constraint::Double { min: 0.001, max: SECONDS_MAX },
        },
        Declaration {
            name: "qos",
            default: ParameterValue::String("auto".into()),
            description: "Reliability asked of publishers; auto is best_effort, which matches all and delays none.",
            settable: false,
            constraint: Constraint::OneOf(&["auto", "reliable", "best_effort"]),
        },
        Declaration {
            name: "take_in",
            default: ParameterValue::String("auto".into()),
            description: "Where messages are taken: in the middleware's callback, where that is known to be safe, or \
                          through a wait set.",
            settable: false,
            constraint: Constraint::OneOf(&["auto", "callback", "wait_set"]),
        },
        Declaration {
            name: "use_sim_time",
            default: ParameterValue::Bool(false),
            description: "Compare stamps with /clock instead of the system's clock.",
            settable: false,
            constraint: Constraint::Any,
        },
    ]
}

fn check_topics(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::StringArray(topics) = value else { return Ok(()) };
    if topics.is_empty() || topics.len() > TOPICS_MAX {
        return Err(format!("has {} topics, must have 1 to {TOPICS_MAX}", topics.len()));
    }
    let bad: Vec<_> = topics.iter().filter(|topic| !is_topic_name(topic)).map(|topic| format!("{topic:?}")).collect();
    let mut faults = Vec::new();
    if !bad.is_empty() {
        let names = bad.join(", ");
        faults.push(format!("{names}: no topic name: letters, digits, _ and /, as in /robot1/joint_states"));
    }
    let repeated = topics.iter().enumerate().filter(|(index, topic)| topics[..*index].contains(topic));
    faults.extend(repeated.map(|(_, topic)| format!("{topic:?} stands there twice")));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// The QoS that the parameter `qos` asks for.
pub(crate) fn qos(parameters: &Parameters) -> Qos {
    let reliability = match parameters.get::<String>("qos").as_str() {
        "reliable" => Reliability::Reliable,
        _ => Reliability::BestEffort,
    };
    Qos { reliability, ..Qos::best_effort(DEPTH) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> ParameterValue {
        ParameterValue::StringArray(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn faulty_lists_of_topics_are_refused_with_the_fault() {
        assert!(check_topics(&topics(&["/a", "/b"])).is_ok());
        assert!(check_topics(&topics(&[])).unwrap_err().contains("has 0 topics"));
        assert!(check_topics(&topics(&["/a", "/a"])).unwrap_err().contains("twice"));
        let told = check_topics(&topics(&["/a b", "/c", "/d e"])).unwrap_err();
        assert!(told.contains("/a b") && told.contains("/d e") && !told.contains("/c"), "{told}");
    }

    #[test]
    fn the_defaults_pass_their_own_checks() {
        assert!(Parameters::load(declarations(), Vec::new()).is_ok());
        let defaults =
            declarations().into_iter().map(|declared| (declared.name.to_owned(), declared.default)).collect();
        assert!(Parameters::load(declarations(), defaults).is_ok());
    }
}
