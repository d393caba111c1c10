//! The full names of all topics, and whether they can go together.

use node_runtime::{Parameters, Startup};
use ros_observer::Node;

use crate::outputs::JOINT_STATE_TOPICS;
use crate::parameters::{JOINT, OutputMode, default_command_topic, namespace};

/// After remapping.
#[derive(Debug)]
pub(crate) struct Topics {
    pub(crate) reference: String,
    pub(crate) twin: String,
    pub(crate) description: String,
    pub(crate) output_mode: OutputMode,
    /// Where commands go, `{joint}` perhaps still in it.
    pub(crate) command: String,
    /// Where commands that are passed on come from, if any are.
    pub(crate) forwarded: Option<String>,
}

impl Topics {
    /// Every fault of them, if there are some.
    pub(crate) fn resolve(startup: &Startup) -> Result<Self, Vec<String>> {
        let (node, parameters) = (&startup.node, &startup.parameters);
        let mut faults = Vec::new();
        let mut resolved = |parameter: &str| resolve(node, parameters, parameter, &mut faults);
        let (reference, twin) = (resolved("reference_topic"), resolved("twin_topic"));
        let description = resolved("robot_description_topic");
        let forwarded = parameters.get::<bool>("forward_commands").then(|| resolved("forwarded_topic"));
        let output_mode = OutputMode::read(parameters);
        let given = parameters.get::<String>("command_topic");
        let is_given = !given.is_empty();
        let command = if is_given { given } else { default_command_topic(&twin, output_mode) };
        let topics = Self { reference, twin, description, output_mode, command, forwarded };
        topics.check(node, is_given, &mut faults);
        if faults.is_empty() { Ok(topics) } else { Err(faults) }
    }

    /// What is told must not come back as what is heard.
    fn check(&self, node: &Node, is_command_given: bool, faults: &mut Vec<String>) {
        if self.reference == self.twin {
            faults.push(format!("parameter twin_topic: is {}, as reference_topic is", self.twin));
        }
        let inputs = [("reference_topic", &self.reference), ("twin_topic", &self.twin)];
        for told in JOINT_STATE_TOPICS.map(|topic| node.resolve_topic(topic).unwrap_or_default()) {
            for (parameter, _) in inputs.iter().filter(|(_, input)| **input == told) {
                faults.push(format!("parameter {parameter}: is {told}, which this node publishes itself"));
            }
        }
        // A name of a joint that is legal in a topic stands for all of them.
        let command = match node.resolve_topic(&self.command.replace(JOINT, "joint")) {
            Ok(command) => command,
            Err(error) => return faults.push(format!("parameter command_topic: {:?}: {error}", self.command)),
        };
        let is_used = self.output_mode != OutputMode::None;
        let namespace = namespace(&self.twin);
        if is_used && !is_command_given && namespace == self::namespace(&self.reference) {
            faults.push(format!(
                "parameter command_topic: is empty, must be given where twin_topic and reference_topic are in one \
                 namespace, {namespace:?}: what commands the twin there may command the robot"
            ));
        }
        for (parameter, _) in inputs.iter().filter(|(_, input)| is_used && **input == command) {
            faults.push(format!("parameter command_topic: is {command}, as {parameter} is"));
        }
        if let Some(forwarded) = &self.forwarded {
            if self.output_mode != OutputMode::Trajectory {
                faults.push("parameter forward_commands: is true, and output_mode is not trajectory".to_owned());
            }
            if *forwarded == command {
                faults.push(format!("parameter command_topic: is {command}, as forwarded_topic is"));
            }
        }
        if self.output_mode == OutputMode::Gz && !self.command.contains(JOINT) {
            let fault = format!("parameter command_topic: is {:?}, must have {JOINT} in it for gz", self.command);
            faults.push(fault);
        }
    }
}

fn resolve(node: &Node, parameters: &Parameters, parameter: &str, faults: &mut Vec<String>) -> String {
    let topic = parameters.get::<String>(parameter);
    node.resolve_topic(&topic).unwrap_or_else(|error| {
        faults.push(format!("parameter {parameter}: {topic:?}: {error}"));
        // No name at all equals another's.
        format!("{parameter}:{topic}")
    })
}
