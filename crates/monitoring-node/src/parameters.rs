//! The node's parameters: facts about the robot and what is expected of it.

use std::collections::BTreeMap;
use std::time::Duration;

use node_runtime::{Constraint, Declaration, NodeInfo, Parameters, Patterns, is_full_name, nanoseconds};
use r2r::ParameterValue;

use crate::expectation::{Class, Expectation};
use crate::robot_pattern::RobotPattern;

pub(crate) const NODE: NodeInfo = NodeInfo {
    name: "monitoring_node",
    about: "Watches every topic of a ROS graph and says why data is missing.",
    listen_address: "0.0.0.0:8002",
};

/// The longest time that can be asked for: a year.
const SECONDS_MAX: f64 = 31_536_000.0;

/// The domains for which DDS has ports (DDSI-RTPS 2.5 §9.6.2.3).
const DOMAIN_IDS: std::ops::RangeInclusive<i64> = 0..=232;

const SECONDS: Constraint = Constraint::Double { min: 0.001, max: SECONDS_MAX };

/// What this node and the tools of ROS bring into a graph, which is nobody's data.
const DENIED: [&str; 4] = ["/rosout", "/parameter_events", "/**/diagnostics", "/**/diagnostics_agg"];
const DIAGNOSTICS: [&str; 2] = ["/**/diagnostics", "/**/diagnostics_agg"];
/// As joint_trajectory_controller, this package, Isaac Sim and topic_based_ros2_control name them.
const JOINT_COMMANDS: [&str; 4] =
    ["/**/joint_trajectory", "/**/joint_trajectory_commands", "/**/*joint_command", "/**/*joint_commands"];
const IGNORED_NODES: [&str; 8] = [
    "/**/_ros2cli_*",
    "/**/rviz*",
    "/**/rosbag2_*",
    "/**/rosbridge_*",
    "/**/domain_bridge*",
    "/**/ros_bridge",
    "/**/foxglove*",
    "/**/launch_ros_*",
];

pub(crate) fn declarations() -> Vec<Declaration> {
    let texts = |texts: &[&str]| ParameterValue::StringArray(texts.iter().map(|text| (*text).to_owned()).collect());
    let mut all = vec![
        Declaration {
            name: "domains",
            default: ParameterValue::IntegerArray(Vec::new()),
            description: "ROS domains that are watched; empty: the one of ROS_DOMAIN_ID.",
            settable: false,
            constraint: Constraint::Checked("different numbers from 0 to 232", check_domains),
        },
        Declaration {
            name: "allow",
            default: texts(&["/**"]),
            description: "Topics that are watched: full names, in which * stands for any part and ** for any parts.",
            settable: true,
            constraint: Constraint::NamePatterns,
        },
        Declaration {
            name: "deny",
            default: texts(&DENIED),
            description: "Topics that are not watched, also if allowed.",
            settable: true,
            constraint: Constraint::NamePatterns,
        },
        Declaration {
            name: "ignore_nodes",
            default: texts(&IGNORED_NODES),
            description: "Nodes that come and go as people look: they do not count as publishers and subscriptions.",
            settable: true,
            constraint: Constraint::NamePatterns,
        },
        Declaration {
            name: "mandatory_nodes",
            default: texts(&[]),
            description: "Nodes that are missed when they are not there, by their full names.",
            settable: true,
            constraint: Constraint::Checked("full names", check_full_names),
        },
        Declaration {
            name: "services",
            default: texts(&[]),
            description: "Services that are asked, by their full names or patterns: std_srvs/srv/Trigger, SetBool (with \
                          false), Empty, rcl_interfaces/srv/GetParameters, DescribeParameters.",
            settable: true,
            constraint: Constraint::Checked("full names, or patterns of them", check_services),
        },
        Declaration {
            name: "service_period",
            default: ParameterValue::Double(10.0),
            description: "Seconds from one request to a service to the next.",
            settable: true,
            // Services are looked at this often.
            constraint: Constraint::Double { min: 0.25, max: SECONDS_MAX },
        },
        Declaration {
            name: "service_timeout",
            default: ParameterValue::Double(1.0),
            description: "Seconds within which a service has to answer.",
            settable: true,
            constraint: SECONDS,
        },
        Declaration {
            name: "diagnostics",
            default: texts(&DIAGNOSTICS),
            description: "Topics of type diagnostic_msgs/msg/DiagnosticArray whose statuses become metrics.",
            settable: true,
            constraint: Constraint::NamePatterns,
        },
        Declaration {
            name: "diagnostic_keys",
            default: texts(&[]),
            description: "Keys of diagnostic statuses whose values become metrics where they are numbers.",
            settable: true,
            constraint: Constraint::Any,
        },
        Declaration {
            name: "max_diagnostics",
            default: ParameterValue::Integer(1024),
            description: "Diagnostic statuses shown; more are refused and counted.",
            settable: true,
            constraint: Constraint::Integer { min: 0, max: 100_000 },
        },
        Declaration {
            name: "joint_commands",
            default: texts(&JOINT_COMMANDS),
            description: "Topics of type trajectory_msgs/msg/JointTrajectory or sensor_msgs/msg/JointState that ask something \
                          of a robot's joints.",
            settable: true,
            constraint: Constraint::NamePatterns,
        },
        Declaration {
            name: "max_topics",
            default: ParameterValue::Integer(512),
            description: "Topics watched, and topics of diagnostics read; more are refused and counted.",
            settable: false,
            constraint: Constraint::Integer { min: 1, max: 10_000 },
        },
        Declaration {
            name: "forget_after",
            default: ParameterValue::Double(300.0),
            description: "Seconds after which what nobody has any more is forgotten, unless it is expected or mandatory.",
            settable: true,
            constraint: SECONDS,
        },
        Declaration {
            name: "robot",
            default: ParameterValue::String(String::new()),
            description: "Where the robot stands in a name, as in /{robot} or /fleet/{robot}; empty: robots are not told apart.",
            settable: false,
            constraint: Constraint::Checked("a pattern with {robot}", check_robot),
        },
        Declaration {
            name: "grace",
            default: ParameterValue::Double(5.0),
            description: "Seconds for which what is wrong with a topic that is new or published anew is no alarm.",
            settable: true,
            constraint: Constraint::Double { min: 0.0, max: SECONDS_MAX },
        },
        Declaration {
            name: "use_sim_time",
            default: ParameterValue::Bool(false),
            description: "Taken as every node takes it, and of no effect: the clock of each stamp is told by the stamp.",
            settable: false,
            constraint: Constraint::Any,
        },
    ];
    all.extend(expectations());
    all
}

const RATE: &str = "topics./*.rate";
const RATE_TOLERANCE: &str = "topics./*.rate_tolerance";
const MAX_AGE: &str = "topics./*.max_age";
const STALE_AFTER: &str = "topics./*.stale_after";
const CLASS: &str = "topics./*.class";
const GRACE: &str = "topics./*.grace";

const RATE_TOLERANCE_DEFAULT: f64 = 0.2;

fn expectations() -> Vec<Declaration> {
    vec![
        Declaration {
            name: RATE,
            default: ParameterValue::Double(0.0),
            description: "Messages per second that are expected.",
            settable: true,
            constraint: Constraint::Double { min: 1e-6, max: 1e6 },
        },
        Declaration {
            name: RATE_TOLERANCE,
            default: ParameterValue::Double(RATE_TOLERANCE_DEFAULT),
            description: "Share of the rate by which it may differ.",
            settable: true,
            constraint: Constraint::Double { min: 0.0, max: 1.0 },
        },
        Declaration {
            name: MAX_AGE,
            default: ParameterValue::Double(0.0),
            description: "Seconds that a message may be old, by its stamp, when it comes.",
            settable: true,
            constraint: SECONDS,
        },
        Declaration {
            name: STALE_AFTER,
            default: ParameterValue::Double(0.0),
            description: "Seconds without a message after which the topic is stale; unless given, the shortest deadline \
                          that a publisher offers, else five intervals of the usual rate.",
            settable: true,
            constraint: SECONDS,
        },
        Declaration {
            name: CLASS,
            default: ParameterValue::String("stream".into()),
            description: "stream: messages keep coming; event: they come when something happens, and never time out.",
            settable: true,
            constraint: Constraint::OneOf(&["stream", "event"]),
        },
        Declaration {
            name: GRACE,
            default: ParameterValue::Double(5.0),
            description: "As grace, for this topic.",
            settable: true,
            constraint: Constraint::Double { min: 0.0, max: SECONDS_MAX },
        },
    ]
}

/// Which part of the graph is watched, and what is expected of it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    allow: Patterns,
    deny: Patterns,
    ignore_nodes: Patterns,
    pub(crate) mandatory_nodes: Vec<String>,
    /// Services that are missed when nobody offers them.
    pub(crate) services: Vec<String>,
    pub(crate) service_patterns: Patterns,
    pub(crate) service_period: Duration,
    pub(crate) service_timeout: Duration,
    pub(crate) diagnostics: Patterns,
    pub(crate) diagnostic_keys: Vec<String>,
    pub(crate) max_diagnostics: usize,
    pub(crate) joint_commands: Patterns,
    pub(crate) max_topics: usize,
    pub(crate) forget_after: Duration,
    pub(crate) robot: Option<RobotPattern>,
    grace_ns: u64,
    expectations: BTreeMap<String, Expectation>,
}

impl Settings {
    /// Reads them from the parameters.
    ///
    /// # Panics
    /// When a value does not pass the check that it is declared with: a fault of the code.
    pub(crate) fn read(parameters: &Parameters) -> Self {
        let patterns = |name| Patterns::parse(&parameters.get::<Vec<String>>(name)).expect("the patterns were checked");
        let seconds = |name| Duration::from_nanos(nanoseconds(parameters.get(name)));
        let (services, service_patterns): (Vec<_>, Vec<_>) =
            parameters.get::<Vec<String>>("services").into_iter().partition(|service| is_full_name(service));
        let mut settings = Self {
            allow: patterns("allow"),
            deny: patterns("deny"),
            ignore_nodes: patterns("ignore_nodes"),
            mandatory_nodes: parameters.get("mandatory_nodes"),
            services,
            service_patterns: Patterns::parse(&service_patterns).expect("the patterns were checked"),
            service_period: seconds("service_period"),
            service_timeout: seconds("service_timeout"),
            diagnostics: patterns("diagnostics"),
            diagnostic_keys: parameters.get("diagnostic_keys"),
            max_diagnostics: parameters.get::<i64>("max_diagnostics") as usize,
            joint_commands: patterns("joint_commands"),
            max_topics: parameters.get::<i64>("max_topics") as usize,
            forget_after: seconds("forget_after"),
            robot: RobotPattern::parse(&parameters.get::<String>("robot")).expect("the pattern was checked"),
            grace_ns: nanoseconds(parameters.get("grace")),
            expectations: BTreeMap::new(),
        };
        settings.read_expectations(parameters);
        settings
    }

    fn read_expectations(&mut self, parameters: &Parameters) {
        for (topic, hertz) in parameters.all(RATE) {
            self.expected(&topic).rate_hz = Some(hertz);
        }
        for (topic, share) in parameters.all(RATE_TOLERANCE) {
            self.expected(&topic).rate_tolerance = share;
        }
        for (topic, seconds) in parameters.all(MAX_AGE) {
            self.expected(&topic).max_age_ns = i64::try_from(nanoseconds(seconds)).ok();
        }
        for (topic, seconds) in parameters.all(STALE_AFTER) {
            self.expected(&topic).stale_after_ns = Some(nanoseconds(seconds));
        }
        for (topic, class) in parameters.all::<String>(CLASS) {
            self.expected(&topic).class = if class == "event" { Class::Event } else { Class::Stream };
        }
        for (topic, seconds) in parameters.all(GRACE) {
            self.expected(&topic).grace_ns = nanoseconds(seconds);
        }
    }

    /// What is expected of a topic of which something is.
    fn expected(&mut self, topic: &str) -> &mut Expectation {
        let required = Expectation { is_required: true, ..self.expectation_of_others() };
        self.expectations.entry(topic.to_owned()).or_insert(required)
    }

    fn expectation_of_others(&self) -> Expectation {
        Expectation {
            class: Class::Stream,
            rate_hz: None,
            rate_tolerance: RATE_TOLERANCE_DEFAULT,
            max_age_ns: None,
            stale_after_ns: None,
            grace_ns: self.grace_ns,
            is_required: false,
        }
    }

    /// What is expected of a topic.
    pub(crate) fn expectation(&self, topic: &str) -> Expectation {
        self.expectations.get(topic).copied().unwrap_or_else(|| self.expectation_of_others())
    }

    /// The topics of which something is expected.
    pub(crate) fn expected_topics(&self) -> impl Iterator<Item = &String> {
        self.expectations.keys()
    }

    /// Whether a topic is watched: one of which something is expected always.
    pub(crate) fn watches(&self, topic: &str) -> bool {
        self.expectations.contains_key(topic) || (self.allow.matches(topic) && !self.deny.matches(topic))
    }

    /// Whether any service may have to be asked.
    pub(crate) fn asks_services(&self) -> bool {
        !(self.services.is_empty() && self.service_patterns.is_empty())
    }

    pub(crate) fn ignores_node(&self, node: &str) -> bool {
        self.ignore_nodes.matches(node)
    }
}

fn check_domains(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::IntegerArray(domains) = value else { return Ok(()) };
    let is_good = |index: usize, id: &i64| DOMAIN_IDS.contains(id) && !domains[..index].contains(id);
    match domains.iter().enumerate().find(|(index, id)| !is_good(*index, id)) {
        None => Ok(()),
        Some((_, id)) if DOMAIN_IDS.contains(id) => Err(format!("{id} stands there twice")),
        Some((_, id)) => Err(format!("has {id}, must be from 0 to 232")),
    }
}

fn check_full_names(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::StringArray(names) = value else { return Ok(()) };
    let bad: Vec<_> = names.iter().filter(|name| !is_full_name(name)).map(|name| format!("{name:?}")).collect();
    if bad.is_empty() { Ok(()) } else { Err(format!("{}: no full name, as in /robot1/driver", bad.join(", "))) }
}

fn check_services(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::StringArray(services) = value else { return Ok(()) };
    if let Some(all) = services.iter().find(|service| !names_anything(service)) {
        return Err(format!("{all:?}: would call every service that there is, those that move the robot too"));
    }
    let is_bad = |service: &&String| !is_full_name(service) && !service.contains('*');
    match services.iter().find(is_bad) {
        Some(bad) => Err(format!("{bad:?}: no full name, as in /driver/get_parameters, and no pattern")),
        None => Patterns::parse(services).map(drop),
    }
}

/// Whether something of a pattern is a name, or part of one: two letters that stand for themselves.
fn names_anything(pattern: &str) -> bool {
    let mut is_in_brackets = false;
    let literal = pattern.chars().filter(|c| {
        is_in_brackets = match c {
            '[' => true,
            ']' => false,
            _ => is_in_brackets,
        };
        !is_in_brackets && (c.is_ascii_alphanumeric() || *c == '_')
    });
    literal.count() >= 2
}

fn check_robot(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::String(pattern) = value else { return Ok(()) };
    RobotPattern::parse(pattern).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, ParameterValue)]) -> Result<Settings, Vec<String>> {
        let overrides = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Parameters::load(declarations(), overrides).map(|parameters| Settings::read(&parameters))
    }

    #[test]
    fn the_defaults_watch_what_is_data() {
        let settings = settings(&[]).expect("good defaults");
        assert!(settings.watches("/scan") && settings.watches("/robot1/front/scan"));
        assert!(!settings.watches("/rosout") && !settings.watches("/parameter_events"));
        assert!(settings.ignores_node("/_ros2cli_123") && settings.ignores_node("/rviz2"));
        assert!(settings.ignores_node("/robot1/rosbag2_recorder") && !settings.ignores_node("/driver"));
    }

    #[test]
    fn expectations_are_put_together_from_their_parts() {
        let settings = settings(&[
            ("deny", ParameterValue::StringArray(vec!["/**".into()])),
            ("grace", ParameterValue::Double(1.0)),
            ("topics./scan.rate", ParameterValue::Integer(10)),
            ("topics./scan.max_age", ParameterValue::Double(0.2)),
            ("topics./events.class", ParameterValue::String("event".into())),
        ])
        .expect("good values");
        let scan = settings.expectation("/scan");
        assert_eq!((scan.rate_hz, scan.max_age_ns, scan.grace_ns), (Some(10.0), Some(200_000_000), 1_000_000_000));
        assert!(scan.is_required && settings.watches("/scan"), "expected, so watched");
        assert_eq!(settings.expectation("/events").class, Class::Event);
        assert!(!settings.expectation("/odom").is_required && !settings.watches("/odom"));
        assert_eq!(settings.expected_topics().collect::<Vec<_>>(), ["/events", "/scan"]);
    }

    #[test]
    fn not_every_service_there_is_can_be_called() {
        let services = |pattern: &str| settings(&[("services", ParameterValue::StringArray(vec![pattern.into()]))]);
        for pattern in ["/**", "/*", "**", "/*/**", "/**/?*", "/**/[a-z]*", "/**/*e"] {
            let told = services(pattern).map(drop).unwrap_err();
            assert!(told[0].contains("would call every service"), "{told:?}");
        }
        assert!(services("/**/get_parameters").is_ok() && services("/arm/*").is_ok());
    }

    #[test]
    fn faults_name_the_parameter() {
        let told = settings(&[("topics.scan.rate", ParameterValue::Double(1.0))]).unwrap_err();
        assert!(told[0].contains("topics.scan.rate") && told[0].contains("topics./*.rate"), "{told:?}");
        let told = settings(&[
            ("allow", ParameterValue::StringArray(vec!["scan".into()])),
            ("robot", ParameterValue::String("/robot".into())),
            ("topics./scan.class", ParameterValue::String("steam".into())),
        ])
        .unwrap_err();
        assert_eq!(told.len(), 3, "{told:?}");
    }
}
