//! The node's parameters: facts about the robot and its twin.

use std::collections::BTreeMap;

use node_runtime::{Constraint, Declaration, NodeInfo, Parameters, is_topic_name};
use r2r::ParameterValue;
use twin_sync::{Interpolation, JOINTS_MAX, Settings, Sign, TimeAlignment};

pub(crate) const NODE: NodeInfo = NodeInfo {
    name: "synchronization_node",
    about: "Mirrors a robot's joint states into its twin and measures how far they diverge, and how late.",
    listen_address: "0.0.0.0:8001",
};

/// The longest time that can be asked for, in seconds.
const SECONDS_MAX: f64 = 3600.0;

/// Stands for a joint's name in `command_topic`.
pub(crate) const JOINT: &str = "{joint}";

/// The longest name of a joint, in bytes.
const NAME_BYTES_MAX: usize = 256;

#[allow(clippy::too_many_lines, reason = "a list of parameters, each told in full")]
pub(crate) fn declarations() -> Vec<Declaration> {
    let fixed = Declaration::fixed;
    let seconds = |name, default, min, max, description| {
        fixed(name, ParameterValue::Double(default), description, Constraint::Double { min, max })
    };
    let word = |name, default: &str, words, description| {
        fixed(name, ParameterValue::String(default.into()), description, Constraint::OneOf(words))
    };
    let flag = |name, description| fixed(name, ParameterValue::Bool(false), description, Constraint::Any);
    let text = |name, default: &str, description, constraint| {
        fixed(name, ParameterValue::String(default.into()), description, constraint)
    };
    let list =
        |name, description, constraint| fixed(name, ParameterValue::StringArray(Vec::new()), description, constraint);
    vec![
        text("reference_topic", "/joint_states", "The robot's joint states, sensor_msgs/msg/JointState.", NAME),
        text("twin_topic", "/twin/joint_states", "The twin's joint states, sensor_msgs/msg/JointState.", NAME),
        text(
            "robot_description_topic",
            "/robot_description",
            "The robot's URDF, std_msgs/msg/String, latched: which joints are continuous, and the limits of commands.",
            NAME,
        ),
        fixed(
            "update_rate",
            ParameterValue::Double(100.0),
            "Ticks per second: states given out and errors measured.",
            Constraint::Double { min: 1.0, max: 1000.0 },
        ),
        fixed(
            "thread_priority",
            ParameterValue::Integer(50),
            "Real-time priority of the thread that ticks (SCHED_FIFO), where the system permits one; 0 asks for none.",
            Constraint::Integer { min: 0, max: 99 },
        ),
        fixed(
            "buffer_size",
            ParameterValue::Integer(10_000),
            "Samples kept of each joint and source, 24 bytes each; has to cover metrics_window.",
            Constraint::Integer { min: 2, max: 1_000_000 },
        ),
        seconds(
            "max_latency",
            0.05,
            0.001,
            10.0,
            "Seconds of lag of the twin, or of delay of a message beyond the least, from which the state is DEGRADED.",
        ),
        fixed(
            "state_threshold",
            ParameterValue::Double(0.01),
            "Mean error, in rad or m, at which the quality is 0 and from which the state is DEGRADED.",
            Constraint::Double { min: 1e-9, max: 1e9 },
        ),
        list(
            "joints",
            "The joints to follow, by the reference's names; none is all, at most 256. With output_mode forward or \
             trajectory: those of the controller.",
            JOINTS,
        ),
        list("name_map", "Joints that have another name in the twin: twin_name=reference_name.", NAME_MAP),
        list("sign_map", "Joints that turn the other way in the twin, by the reference's name: name=-1.", SIGN_MAP),
        word(
            "interpolation",
            "hermite",
            &["hermite", "linear", "hold"],
            "Between two samples, for the states that are given out.",
        ),
        seconds("playout_delay", 0.0, 0.0, 10.0, "Seconds that the given state lies back, to be interpolated."),
        seconds("max_extrapolation", 0.0, 0.0, 1.0, "Seconds beyond the newest sample before a state is held."),
        word(
            "time_alignment",
            "auto",
            &["auto", "stamp", "arrival", "min_offset"],
            "How the times of robot and twin are brought together: by stamps of one clock, by arrival, by stamps of \
             clocks whose offset is the least difference to arrival; auto finds out.",
        ),
        seconds("stale_timeout", 0.25, 0.001, 60.0, "Seconds without news after which an input is stale: held."),
        seconds("lost_timeout", 2.0, 0.001, SECONDS_MAX, "Seconds without news after which an input is LOST."),
        fixed(
            "divergence_threshold",
            ParameterValue::Double(0.1),
            "Error of a joint with the lag taken out, in rad or m, beyond which robot and twin diverge.",
            Constraint::Double { min: 1e-9, max: 1e9 },
        ),
        seconds(
            "divergence_hold",
            0.5,
            0.0,
            60.0,
            "Seconds beyond the threshold until DIVERGED, and below to be over.",
        ),
        seconds("metrics_window", 5.0, 1.0, 60.0, "Seconds that the statistics of a joint are taken over."),
        seconds("max_lag", 0.5, 0.01, 5.0, "Longest lag looked for, in seconds; at most a quarter of metrics_window."),
        word(
            "output_mode",
            "none",
            &["none", "trajectory", "forward", "gz"],
            "What commands the twin: nothing, trajectory_msgs/msg/JointTrajectory, std_msgs/msg/Float64MultiArray for a \
             forward command controller, or std_msgs/msg/Float64 for each joint, as ros_gz_bridge takes it.",
        ),
        text(
            "command_topic",
            "",
            "Where commands go; for gz with {joint} in it. Empty is, in the twin's namespace, joint_trajectory_commands, \
             forward_command_controller/commands or {joint}/cmd_pos.",
            COMMAND_TOPIC,
        ),
        flag(
            "forward_commands",
            "Give the twin what the robot is told on forwarded_topic, in place of where the robot is; output_mode has to \
             be trajectory.",
        ),
        text(
            "forwarded_topic",
            "/joint_trajectory_commands",
            "What the robot is told, trajectory_msgs/msg/JointTrajectory; read with forward_commands.",
            NAME,
        ),
        flag("stop_on_divergence", "Stop commanding when robot and twin diverge, until ~/clear_fault."),
        seconds(
            "max_joint_velocity",
            1.0,
            1e-6,
            1e6,
            "Fastest approach whenever the twin is brought to the robot, rad/s or m/s.",
        ),
        flag("use_sim_time", "Compare stamps with /clock for their age; everything else goes by the stamps alone."),
    ]
}

const NAME: Constraint = Constraint::Checked("a topic name", check_topic);
const JOINTS: Constraint = Constraint::Checked("at most 256 different names of joints", check_joints);
const NAME_MAP: Constraint =
    Constraint::Checked("twin_name=reference_name, each name once on its side", check_name_map);
const SIGN_MAP: Constraint = Constraint::Checked("name=-1 or name=1, each name once", check_sign_map);
const COMMAND_TOPIC: Constraint = Constraint::Checked("a topic name, perhaps with {joint}", check_command_topic);

fn check_topic(value: &ParameterValue) -> Result<(), String> {
    match value {
        ParameterValue::String(name) => check_topic_name(name),
        _ => Ok(()),
    }
}

fn check_topic_name(name: &str) -> Result<(), String> {
    if is_topic_name(name) {
        return Ok(());
    }
    Err(format!("is {name:?}, no topic name: letters, digits, _ and /, as in /robot1/joint_states"))
}

fn check_command_topic(value: &ParameterValue) -> Result<(), String> {
    match value {
        ParameterValue::String(name) if name.matches(['{', '}']).count() != 2 * name.matches(JOINT).count() => {
            Err(format!("is {name:?}: nothing but {{joint}} may stand in braces"))
        }
        // A name of a joint that is legal in a topic stands for all of them.
        ParameterValue::String(name) if !name.is_empty() => check_topic_name(&name.replace(JOINT, "joint")),
        _ => Ok(()),
    }
}

fn check_joints(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::StringArray(joints) = value else { return Ok(()) };
    if joints.len() > JOINTS_MAX {
        return Err(format!("has {} joints, must have at most {JOINTS_MAX}", joints.len()));
    }
    let mut seen = BTreeMap::new();
    for joint in joints {
        check_joint(joint)?;
        if seen.insert(joint, ()).is_some() {
            return Err(format!("{joint:?} stands there twice"));
        }
    }
    Ok(())
}

fn check_joint(name: &str) -> Result<(), String> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("has a joint's name of {} bytes, must be 1 to {NAME_BYTES_MAX}", name.len()))
}

fn check_name_map(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::StringArray(entries) = value else { return Ok(()) };
    name_map(entries).map(drop)
}

fn check_sign_map(value: &ParameterValue) -> Result<(), String> {
    let ParameterValue::StringArray(entries) = value else { return Ok(()) };
    sign_map(entries).map(drop)
}

fn name_map(entries: &[String]) -> Result<BTreeMap<String, String>, String> {
    let mut map = BTreeMap::new();
    for entry in entries {
        let (twin, reference) = entry.split_once('=').ok_or_else(|| format!("{entry:?} has no \"=\""))?;
        check_joint(twin)?;
        check_joint(reference)?;
        if map.values().any(|mapped| mapped == reference) {
            return Err(format!("{reference:?} has two names in the twin"));
        }
        if map.insert(twin.to_owned(), reference.to_owned()).is_some() {
            return Err(format!("{twin:?} stands there twice"));
        }
    }
    Ok(map)
}

fn sign_map(entries: &[String]) -> Result<BTreeMap<String, Sign>, String> {
    let mut map = BTreeMap::new();
    for entry in entries {
        let sign = match entry.split_once('=') {
            Some((_, "1" | "+1")) => Sign::Same,
            Some((_, "-1")) => Sign::Opposite,
            _ => return Err(format!("{entry:?} is not a name with =-1 or =1")),
        };
        let name = entry.split('=').next().unwrap_or_default();
        check_joint(name)?;
        if map.insert(name.to_owned(), sign).is_some() {
            return Err(format!("{name:?} stands there twice"));
        }
    }
    Ok(map)
}

/// What commands the twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputMode {
    None,
    Trajectory,
    Forward,
    Gz,
}

impl OutputMode {
    pub(crate) fn read(parameters: &Parameters) -> Self {
        match parameters.get::<String>("output_mode").as_str() {
            "trajectory" => Self::Trajectory,
            "forward" => Self::Forward,
            "gz" => Self::Gz,
            _ => Self::None,
        }
    }
}

/// The settings of the synchronization, or what in them contradicts itself.
pub(crate) fn settings(parameters: &Parameters) -> Result<Settings, Vec<String>> {
    let double = |name| parameters.get::<f64>(name);
    let settings = Settings {
        buffer_size: parameters.get::<i64>("buffer_size") as usize,
        max_latency_seconds: double("max_latency"),
        state_threshold: double("state_threshold"),
        joints: parameters.get("joints"),
        name_map: name_map(&parameters.get::<Vec<String>>("name_map")).unwrap_or_default(),
        sign_map: sign_map(&parameters.get::<Vec<String>>("sign_map")).unwrap_or_default(),
        interpolation: match parameters.get::<String>("interpolation").as_str() {
            "linear" => Interpolation::Linear,
            "hold" => Interpolation::Hold,
            _ => Interpolation::Hermite,
        },
        playout_delay_seconds: double("playout_delay"),
        max_extrapolation_seconds: double("max_extrapolation"),
        time_alignment: match parameters.get::<String>("time_alignment").as_str() {
            "stamp" => TimeAlignment::Stamp,
            "arrival" => TimeAlignment::Arrival,
            "min_offset" => TimeAlignment::MinOffset,
            _ => TimeAlignment::Auto,
        },
        stale_timeout_seconds: double("stale_timeout"),
        lost_timeout_seconds: double("lost_timeout"),
        divergence_threshold: double("divergence_threshold"),
        divergence_hold_seconds: double("divergence_hold"),
        metrics_window_seconds: double("metrics_window"),
        max_lag_seconds: double("max_lag"),
        commands: OutputMode::read(parameters) != OutputMode::None,
        forward_commands: parameters.get("forward_commands"),
        stop_on_divergence: parameters.get("stop_on_divergence"),
        max_joint_velocity: double("max_joint_velocity"),
    };
    let faults = contradictions(&settings);
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

fn contradictions(settings: &Settings) -> Vec<String> {
    let mut faults = Vec::new();
    if settings.lost_timeout_seconds < settings.stale_timeout_seconds {
        faults.push(format!(
            "parameter lost_timeout: is {}, must be at least stale_timeout, which is {}",
            settings.lost_timeout_seconds, settings.stale_timeout_seconds
        ));
    }
    if settings.max_lag_seconds * 4.0 > settings.metrics_window_seconds {
        faults.push(format!(
            "parameter max_lag: is {}, must be at most a quarter of metrics_window, which is {}",
            settings.max_lag_seconds, settings.metrics_window_seconds
        ));
    }
    faults
}

/// The command topic, `{joint}` still in it, where none is given: in the namespace of the twin's topic of this full name.
pub(crate) fn default_command_topic(twin: &str, mode: OutputMode) -> String {
    let namespace = namespace(twin);
    let name = match mode {
        OutputMode::Forward => "forward_command_controller/commands",
        OutputMode::Gz => "{joint}/cmd_pos",
        OutputMode::Trajectory | OutputMode::None => "joint_trajectory_commands",
    };
    format!("{namespace}/{name}")
}

/// Of a full name; empty for the root.
pub(crate) fn namespace(topic: &str) -> &str {
    topic.rsplit_once('/').map_or("", |(namespace, _)| namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn the_defaults_are_those_of_the_algorithms() {
        let parameters = Parameters::load(declarations(), Vec::new()).expect("the defaults");
        assert_eq!(settings(&parameters), Ok(Settings::default()));
    }

    #[test]
    fn maps_are_read_from_lists() {
        let names = name_map(&list(&["elbow_link=elbow", "a=b=c"])).expect("two entries");
        assert_eq!(names["elbow_link"], "elbow");
        assert_eq!(names["a"], "b=c");
        let signs = sign_map(&list(&["elbow=-1", "knee=1"])).expect("two entries");
        assert_eq!((signs["elbow"], signs["knee"]), (Sign::Opposite, Sign::Same));
        assert!(name_map(&list(&["elbow"])).unwrap_err().contains("elbow"));
        assert!(name_map(&list(&["a=b", "a=c"])).unwrap_err().contains("twice"));
        assert!(name_map(&list(&["a=c", "b=c"])).unwrap_err().contains("two names"));
        assert!(name_map(&list(&["a=b", "b=a"])).is_ok(), "names that are exchanged");
        assert!(sign_map(&list(&["elbow=0"])).unwrap_err().contains("elbow=0"));
        assert!(sign_map(&list(&["=-1"])).unwrap_err().contains("0 bytes"));
    }

    #[test]
    fn what_contradicts_itself_is_told_together() {
        let overrides = vec![
            ("stale_timeout".to_owned(), ParameterValue::Double(3.0)),
            ("max_lag".to_owned(), ParameterValue::Double(2.0)),
        ];
        let parameters = Parameters::load(declarations(), overrides).expect("each by itself is fine");
        let faults = settings(&parameters).unwrap_err();
        assert!(faults[0].contains("lost_timeout") && faults[1].contains("max_lag"), "{faults:?}");
    }

    #[test]
    fn commands_go_to_the_twins_namespace() {
        let topic = |mode| default_command_topic("/sim/arm/joint_states", mode);
        assert_eq!(topic(OutputMode::Trajectory), "/sim/arm/joint_trajectory_commands");
        assert_eq!(topic(OutputMode::Gz), "/sim/arm/{joint}/cmd_pos");
        assert_eq!(default_command_topic("/states", OutputMode::Trajectory), "/joint_trajectory_commands");
    }
}
