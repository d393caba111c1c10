//! How joints keep to the limits of their robot's description, for every robot of a domain: `robot_description` says what
//! the joints of `joint_states` in the same namespace may do; topics of commands below it, what they are asked to do.

mod described_robot;
mod joint_command;
mod limit_families;
mod warning;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node_runtime::MonotonicClock;
use ros_observer::{Endpoint, Error, NamesAndTypes, Node, Spinner};

pub(crate) use limit_families::LimitFamilies;

use self::described_robot::{CommandTopic, DESCRIPTION, Following, Robot, STATES, namespace};
use self::warning::Warning;
use crate::metrics::{Scope, lock};
use crate::parameters::Settings;
use crate::refusals::Refusals;

const DESCRIPTION_TYPE: &str = "std_msgs/msg/String";
const STATES_TYPE: &str = "sensor_msgs/msg/JointState";

/// Robots of a domain that are followed, and topics of commands of each: whoever invents names must not fill the memory.
const ROBOTS_MAX: usize = 256;
const COMMAND_TOPICS_MAX: usize = 32;

/// The robots of one domain, by the topics of their descriptions.
pub(crate) struct JointLimits {
    with: Following,
    robots: BTreeMap<String, Robot>,
    /// Descriptions that could not be subscribed to.
    warnings: BTreeMap<String, Warning>,
    /// Topics beyond a limit.
    beyond: Refusals,
}

impl JointLimits {
    pub(crate) fn new(families: Arc<LimitFamilies>, domain: &str, clock: MonotonicClock) -> Self {
        let told = format!(
            "too many descriptions or topics of commands to follow: {ROBOTS_MAX} robots, {COMMAND_TOPICS_MAX} topics of each"
        );
        let beyond = Refusals::new(&families.refused, domain, told);
        let with = Following { families, clock };
        Self { with, robots: BTreeMap::new(), warnings: BTreeMap::new(), beyond }
    }

    /// Takes the topics that there are now. One that fails does not stop the others.
    pub(crate) fn read(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        settings: &Settings,
        graph: &NamesAndTypes,
        scope_of: impl Fn(&str) -> Scope,
    ) -> Result<(), Error> {
        let mut failed = Ok(());
        let described = self.described(node, settings, graph, &mut failed);
        self.release_robots(&described);
        let mut beyond = self.follow_robots(node, spinner, described, &scope_of);
        self.look_at_robots(node, spinner, settings, graph, &mut failed);
        let commands = self.command_topics(node, settings, graph, &mut failed);
        // First, since a topic may have another robot now, and its series have the same names.
        self.robots.values_mut().for_each(|robot| robot.release_commands(&commands));
        beyond.extend(self.follow_commands(node, spinner, commands));
        self.beyond.refuse_only(&beyond);
        failed
    }

    /// The descriptions that there are. The graph has our own subscription too: a robot is there as long as somebody
    /// publishes its description, or while it is not known whether somebody does.
    fn described(
        &self,
        node: &Node,
        settings: &Settings,
        graph: &NamesAndTypes,
        failed: &mut Result<(), Error>,
    ) -> BTreeSet<String> {
        let is_named = |topic: &&String| topic.rsplit('/').next() == Some(DESCRIPTION) && settings.watches(topic);
        let is_published = |topic: &&String| match node.publishers(topic) {
            Ok(publishers) => !publishers.is_empty(),
            Err(error) => {
                *failed = Err(error);
                self.robots.contains_key(*topic)
            }
        };
        let named = graph.keys().filter(is_named).filter(|topic| has_type(graph, topic, DESCRIPTION_TYPE));
        named.filter(is_published).cloned().collect()
    }

    fn release_robots(&mut self, described: &BTreeSet<String>) {
        let gone: Vec<_> = self.robots.keys().filter(|topic| !described.contains(*topic)).cloned().collect();
        for robot in gone.iter().filter_map(|topic| self.robots.remove(topic)) {
            robot.forget(&self.with.families);
        }
        self.warnings.retain(|topic, _| described.contains(topic));
    }

    /// Returns those that are too many.
    fn follow_robots(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        described: BTreeSet<String>,
        scope_of: impl Fn(&str) -> Scope,
    ) -> BTreeSet<String> {
        let mut beyond = BTreeSet::new();
        for topic in described {
            if self.robots.contains_key(&topic) {
                continue;
            }
            if self.robots.len() >= ROBOTS_MAX {
                beyond.insert(topic);
                continue;
            }
            match Robot::follow(node, spinner, &topic, scope_of(&topic), self.with.clock) {
                Ok(robot) => {
                    self.warnings.remove(&topic);
                    self.robots.insert(topic, robot);
                }
                Err(error) => {
                    self.warnings.entry(topic.clone()).or_default().give("a robot's descriptions", &topic, &error);
                }
            }
        }
        beyond
    }

    /// Looks for what keeps descriptions away, and follows the joints of those that are there.
    fn look_at_robots(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        settings: &Settings,
        graph: &NamesAndTypes,
        failed: &mut Result<(), Error>,
    ) {
        let now_ns = self.with.clock.now_ns();
        let stray = self.stray_states(node, settings, graph);
        for robot in self.robots.values_mut() {
            if let Err(error) = robot.look_at_description(now_ns) {
                *failed = Err(error);
            }
            if !settings.watches(robot.states_topic()) {
                robot.release_states();
                continue;
            }
            if has_type(graph, robot.states_topic(), STATES_TYPE) {
                robot.follow_states(node, spinner, &self.with);
            }
            let is_published = node.publishers(robot.states_topic()).map_or(true, |found| !found.is_empty());
            robot.look_for_joints(stray.as_deref().filter(|_| !is_published), now_ns);
        }
    }

    /// A topic of joint states that somebody publishes and that is no robot's.
    fn stray_states(&self, node: &Node, settings: &Settings, graph: &NamesAndTypes) -> Option<String> {
        let is_stray = |topic: &&String| {
            let is_robots = self.robots.values().any(|robot| robot.states_topic() == *topic);
            topic.rsplit('/').next() == Some(STATES) && !is_robots && settings.watches(topic)
        };
        let is_published = |topic: &&String| node.publishers(topic).is_ok_and(|publishers| !publishers.is_empty());
        let mut named = graph.keys().filter(is_stray).filter(|topic| has_type(graph, topic, STATES_TYPE));
        named.find(is_published).cloned()
    }

    /// The topics that commands may come on. They are followed as soon as anybody waits for commands there: who gives them
    /// may give a single one and go.
    fn command_topics(
        &self,
        node: &Node,
        settings: &Settings,
        graph: &NamesAndTypes,
        failed: &mut Result<(), Error>,
    ) -> BTreeMap<String, CommandTopic> {
        let is_named = |topic: &&String| settings.joint_commands.matches(topic) && settings.watches(topic);
        let mut found = BTreeMap::new();
        for topic in graph.keys().filter(is_named) {
            match self.command_topic(node, topic) {
                Ok(Some(command)) => drop(found.insert(topic.clone(), command)),
                Ok(None) => {}
                Err(error) => *failed = Err(error),
            }
        }
        found
    }

    /// A topic as one of commands, if it has their type and belongs to a robot.
    fn command_topic(&self, node: &Node, topic: &str) -> Result<Option<CommandTopic>, Error> {
        let Some(robot) = self.robot_of(topic) else { return Ok(None) };
        let is_foreign = |endpoint: &&Endpoint| !node.owns(endpoint);
        let (publishers, subscriptions) = (node.publishers(topic)?, node.subscriptions(topic)?);
        let types = publishers.iter().chain(&subscriptions).filter(is_foreign).map(|endpoint| &*endpoint.topic_type);
        Ok(joint_command::find_type(types).map(|command_type| CommandTopic {
            robot: robot.to_owned(),
            command_type,
            is_published: !publishers.is_empty(),
        }))
    }

    /// The robot that a topic belongs to: the one with the longest namespace that the topic is in.
    fn robot_of(&self, topic: &str) -> Option<&str> {
        let robots = self.robots.keys().filter(|description| topic.starts_with(namespace(description)));
        robots.max_by_key(|description| description.len()).map(String::as_str)
    }

    /// Returns those that are too many.
    fn follow_commands(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        found: BTreeMap<String, CommandTopic>,
    ) -> BTreeSet<String> {
        let mut beyond = BTreeSet::new();
        for (topic, found) in found {
            let Some(robot) = self.robots.get_mut(&found.robot) else { continue };
            if robot.has_commands(&topic) || robot.command_topics() < COMMAND_TOPICS_MAX {
                robot.follow_commands(node, spinner, topic, &found, &self.with);
            } else {
                beyond.insert(topic);
            }
        }
        beyond
    }

    /// Shows how the joints are now.
    pub(crate) fn look(&mut self, now_ns: u64) {
        let _together = lock(&self.with.families.together);
        self.robots.values().for_each(|robot| robot.show(&self.with.families, now_ns));
    }
}

fn has_type(graph: &NamesAndTypes, topic: &str, wanted: &str) -> bool {
    graph.get(topic).is_some_and(|types| types.iter().any(|known| known == wanted))
}
