//! How the twin is told where its joints are to be: one message for all of them, or one for each.
//!
//! Messages are encoded once for a set of joints and changed in place.

use std::ops::Range;
use std::time::Duration;

use cdr::{Stamp, Writer, set_doubles};
use r2r::std_msgs::msg::{Float64, Float64MultiArray};
use r2r::trajectory_msgs::msg::JointTrajectory;
use ros_observer::{Error, Node, Publisher, Qos};
use twin_sync::JointId;

use crate::parameters::{JOINT, OutputMode};
use crate::topics::Topics;

const DEPTH: usize = 10;

/// Sets of joints that are told apart at a hold, the last ones; those of others are held together.
const SETS_MAX: usize = 8;

/// However far apart ticks are, whoever is to stay is not to take longer.
const HOLD_NS_MAX: i64 = 100_000_000;

/// What one joint is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JointCommand<'a> {
    pub(crate) id: JointId,
    /// Its name in the reference, by which joints are selected.
    pub(crate) joint: &'a str,
    /// Its name in the twin.
    pub(crate) name: &'a str,
    /// rad or m, in the twin's sense.
    pub(crate) position: f64,
}

/// Where commands go.
pub(crate) enum CommandOutput {
    None,
    Trajectory(TrajectoryOutput),
    Forward { publisher: Publisher<Float64MultiArray>, order: Vec<String>, image: ArrayImage },
    Gz(JointTopics),
}

/// What became of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of them were sent, but for those of so many joints that cannot have a topic.
    Without(u32),
    /// None: a joint of the controller's was missing.
    Incomplete,
}

impl CommandOutput {
    /// `joints`, by the reference's names, is the order in which a forward command controller takes its values; `period` is
    /// how far apart commands are.
    pub(crate) fn new(node: &Node, topics: &Topics, joints: &[String], period: Duration) -> Result<Self, Error> {
        let (qos, topic) = (Qos::reliable(DEPTH), &topics.command);
        Ok(match topics.output_mode {
            OutputMode::None => Self::None,
            OutputMode::Trajectory => Self::Trajectory(TrajectoryOutput {
                publisher: Publisher::new(node, topic, qos)?,
                image: TrajectoryImage::default(),
                period_ns: period.as_nanos() as i64,
                passed_on: PassedOn::default(),
            }),
            OutputMode::Forward => Self::Forward {
                publisher: Publisher::new(node, topic, qos)?,
                order: joints.to_vec(),
                image: ArrayImage::new(joints.len()),
            },
            OutputMode::Gz => Self::Gz(JointTopics::new(node.clone(), topic.clone())),
        })
    }

    /// Passes on a whole trajectory, where those are what the twin takes.
    pub(crate) fn forward(&mut self, trajectory: &JointTrajectory) -> Result<(), Error> {
        match self {
            Self::Trajectory(output) => output.forward(trajectory),
            Self::None | Self::Forward { .. } | Self::Gz(_) => Ok(()),
        }
    }

    /// Sends these commands, to joints that were told something before, to stay. One that cannot be sent keeps none of the
    /// others from it; `failed` is told of each such joint, and the first error is returned.
    pub(crate) fn hold(
        &mut self,
        commands: &[JointCommand<'_>],
        mut failed: impl FnMut(JointId),
    ) -> Result<Sent, Error> {
        match self {
            Self::Trajectory(output) => output.hold(commands, failed).map(|()| Sent::Without(0)),
            Self::Gz(topics) => topics.send(commands, failed).map(Sent::Without),
            Self::None | Self::Forward { .. } => {
                let sent = self.send(commands);
                if sent.is_err() {
                    commands.iter().for_each(|command| failed(command.id));
                }
                sent
            }
        }
    }

    /// Sends these commands. Allocates only when the joints are others than the last time.
    pub(crate) fn send(&mut self, commands: &[JointCommand<'_>]) -> Result<Sent, Error> {
        let all = |()| Sent::Without(0);
        match self {
            Self::None => Ok(Sent::Incomplete),
            Self::Trajectory(output) => output.send(commands).map(all),
            // The controller knows its joints by their order alone: one that is missing would move the others.
            Self::Forward { publisher, order, image } => match image.fill(order, commands) {
                true => publisher.publish_serialized(&image.bytes).map(all),
                false => Ok(Sent::Incomplete),
            },
            // The next tick tells every joint anew.
            Self::Gz(topics) => topics.send(commands, |_| ()).map(Sent::Without),
        }
    }
}

/// Trajectories, to one controller or several.
pub(crate) struct TrajectoryOutput {
    publisher: Publisher<JointTrajectory>,
    image: TrajectoryImage,
    period_ns: i64,
    passed_on: PassedOn,
}

impl TrajectoryOutput {
    fn forward(&mut self, trajectory: &JointTrajectory) -> Result<(), Error> {
        self.passed_on.note(&trajectory.joint_names);
        self.publisher.publish(trajectory)
    }

    fn hold(&mut self, commands: &[JointCommand<'_>], mut failed: impl FnMut(JointId)) -> Result<(), Error> {
        let parts = self.passed_on.parts(commands);
        let within_ns = self.period_ns.min(HOLD_NS_MAX);
        try_each(parts, |part| {
            let sent = self.send_within(&part, within_ns);
            if sent.is_err() {
                part.iter().for_each(|command| failed(command.id));
            }
            sent
        })
    }

    fn send(&mut self, commands: &[JointCommand<'_>]) -> Result<(), Error> {
        self.send_within(commands, self.period_ns)
    }

    fn send_within(&mut self, commands: &[JointCommand<'_>], within_ns: i64) -> Result<(), Error> {
        self.image.fill(commands, within_ns);
        self.publisher.publish_serialized(&self.image.bytes)
    }
}

/// Does all of them, whatever becomes of the others, and tells the first error.
fn try_each<T>(all: impl IntoIterator<Item = T>, attempt: impl FnMut(T) -> Result<(), Error>) -> Result<(), Error> {
    all.into_iter().map(attempt).fold(Ok(()), Result::and)
}

/// The joints of the trajectories that were passed on, by the twin's names: those of one trajectory are told together.
#[derive(Default)]
struct PassedOn {
    /// Each once, the last one last.
    sets: Vec<Vec<String>>,
}

impl PassedOn {
    fn note(&mut self, names: &[String]) {
        self.sets.retain(|set| set != names);
        if self.sets.len() == SETS_MAX {
            self.sets.remove(0);
        }
        self.sets.push(names.to_vec());
    }

    /// The commands of each set, and of the joints that are in none: a controller that took the joints of one trajectory
    /// refuses a message of others.
    fn parts<'a>(&self, commands: &[JointCommand<'a>]) -> Vec<Vec<JointCommand<'a>>> {
        let has = |set: &[String], command: &JointCommand<'_>| set.iter().any(|name| name == command.name);
        let those = |is_of: &dyn Fn(&JointCommand<'_>) -> bool| -> Vec<_> {
            commands.iter().copied().filter(|command| is_of(command)).collect()
        };
        let rest = those(&|command| !self.sets.iter().any(|set| has(set, command)));
        let of_sets = self.sets.iter().map(|set| those(&|command| has(set, command)));
        of_sets.chain([rest]).filter(|part| !part.is_empty()).collect()
    }
}

/// A topic for each joint.
pub(crate) struct JointTopics {
    node: Node,
    /// With a place for the joint's name.
    topic: String,
    /// By the joint's name; none where it cannot stand in the name of a topic: the others go on without it.
    publishers: Vec<(String, Option<Publisher<Float64>>)>,
    image: FloatImage,
}

impl JointTopics {
    fn new(node: Node, topic: String) -> Self {
        Self { node, topic, publishers: Vec::new(), image: FloatImage::new() }
    }

    /// Sends commands, but to so many joints that have no topic.
    fn send(&mut self, commands: &[JointCommand<'_>], mut failed: impl FnMut(JointId)) -> Result<u32, Error> {
        let mut without = 0;
        let sent = try_each(commands, |command| {
            let sent = self.place(command.name).and_then(|place| match &self.publishers[place].1 {
                Some(publisher) => publisher.publish_serialized(self.image.of(command.position)),
                None => {
                    without += 1;
                    Ok(())
                }
            });
            if sent.is_err() {
                failed(command.id);
            }
            sent
        });
        sent.map(|()| without)
    }

    /// Of the joint among the publishers. A publisher that cannot be made is tried again at the next command.
    fn place(&mut self, joint: &str) -> Result<usize, Error> {
        if let Some(place) = self.publishers.iter().position(|(name, _)| name == joint) {
            return Ok(place);
        }
        let topic = self.topic.replace(JOINT, joint);
        let is_name = self.node.resolve_topic(&topic).is_ok();
        let publisher = is_name.then(|| Publisher::new(&self.node, &topic, Qos::reliable(DEPTH))).transpose()?;
        self.publishers.push((joint.to_owned(), publisher));
        Ok(self.publishers.len() - 1)
    }
}

/// A trajectory of one point, to be followed at once.
#[derive(Default)]
pub(crate) struct TrajectoryImage {
    names: Vec<String>,
    bytes: Vec<u8>,
    positions: Range<usize>,
    time_from_start: Range<usize>,
}

impl TrajectoryImage {
    fn fill(&mut self, commands: &[JointCommand<'_>], within_ns: i64) {
        let names = || commands.iter().map(|command| command.name);
        if self.bytes.is_empty() || !self.names.iter().map(String::as_str).eq(names()) {
            self.names = names().map(str::to_owned).collect();
            self.encode();
        }
        let within = Stamp::of_nanoseconds(within_ns).to_le_bytes();
        self.bytes[self.time_from_start.clone()].copy_from_slice(&within);
        set_doubles(&mut self.bytes[self.positions.clone()], commands.iter().map(|command| command.position));
    }

    fn encode(&mut self) {
        let mut writer = Writer::default();
        // A stamp of zero: now.
        writer.header();
        writer.length(self.names.len());
        self.names.iter().for_each(|name| writer.string(name));
        writer.length(1);
        self.positions = writer.doubles(self.names.len());
        let _no_velocities_accelerations_efforts = [writer.doubles(0), writer.doubles(0), writer.doubles(0)];
        self.time_from_start = writer.time();
        self.bytes = writer.into_bytes();
    }
}

/// Values in the order of a controller's joints.
pub(crate) struct ArrayImage {
    bytes: Vec<u8>,
    data: Range<usize>,
}

impl ArrayImage {
    fn new(joints: usize) -> Self {
        let mut writer = Writer::default();
        // The layout: no dimensions, no offset.
        writer.length(0);
        writer.u32(0);
        let data = writer.doubles(joints);
        Self { bytes: writer.into_bytes(), data }
    }

    /// False when a joint has no command.
    fn fill(&mut self, order: &[String], commands: &[JointCommand<'_>]) -> bool {
        let command = |name: &String| commands.iter().find(|command| command.joint == name);
        let positions = order.iter().map_while(|name| Some(command(name)?.position));
        set_doubles(&mut self.bytes[self.data.clone()], positions) == order.len()
    }
}

/// A std_msgs/msg/Float64.
pub(crate) struct FloatImage {
    bytes: Vec<u8>,
    data: Range<usize>,
}

impl FloatImage {
    pub(crate) fn new() -> Self {
        let mut writer = Writer::default();
        let data = writer.f64(0.0);
        Self { bytes: writer.into_bytes(), data }
    }

    /// The message of this value.
    pub(crate) fn of(&mut self, value: f64) -> &[u8] {
        set_doubles(&mut self.bytes[self.data.clone()], [value]);
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;
    use r2r::std_msgs::msg::String as Text;
    use ros_observer::Context;
    use twin_sync::{Settings, Source, Synchronizer};

    use super::*;

    fn ids() -> [JointId; 2] {
        let mut synchronizer = Synchronizer::new(Settings::default());
        ["elbow", "wrist"].map(|name| synchronizer.joint(Source::Reference, name).expect("room").expect("followed"))
    }

    fn commands() -> [JointCommand<'static>; 2] {
        let [elbow, wrist] = ids();
        [
            JointCommand { id: elbow, joint: "elbow", name: "elbow", position: 0.5 },
            JointCommand { id: wrist, joint: "wrist", name: "sim_wrist", position: -1.0 },
        ]
    }

    #[test]
    fn the_middleware_reads_a_trajectory_of_one_point() {
        let mut image = TrajectoryImage::default();
        image.fill(&commands()[..1], 10_000_000);
        image.fill(&commands(), 2_000_000_000);
        image.fill(&commands(), 10_000_000);
        let read = JointTrajectory::from_serialized_bytes(&image.bytes).expect("a trajectory");
        assert_eq!(read.joint_names, ["elbow", "sim_wrist"]);
        assert_eq!((read.header.stamp.sec, read.header.stamp.nanosec), (0, 0));
        assert_eq!(read.points.len(), 1);
        assert_eq!(read.points[0].positions, [0.5, -1.0]);
        assert_eq!((read.points[0].time_from_start.sec, read.points[0].time_from_start.nanosec), (0, 10_000_000));
    }

    #[test]
    fn an_array_has_the_controllers_order_and_every_joint_whatever_the_twin_calls_it() {
        let order = ["wrist".to_owned(), "elbow".to_owned()];
        let mut image = ArrayImage::new(2);
        assert!(image.fill(&order, &commands()));
        let read = Float64MultiArray::from_serialized_bytes(&image.bytes).expect("an array");
        assert_eq!(read.data, [-1.0, 0.5]);
        for one in commands() {
            assert!(!image.fill(&order, &[one]), "without the other");
        }
    }

    #[test]
    fn a_hold_is_told_to_each_set_of_joints_that_was_told_together_and_to_the_others() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let parts = |passed_on: &PassedOn| -> Vec<Vec<&str>> {
            let parts = passed_on.parts(&commands());
            parts.into_iter().map(|part| part.into_iter().map(|command| command.name).collect()).collect()
        };
        let mut passed_on = PassedOn::default();
        assert_eq!(parts(&passed_on), [["elbow", "sim_wrist"]], "what the node itself told, in one");
        passed_on.note(&names(&["sim_wrist"]));
        assert_eq!(parts(&passed_on), [["sim_wrist"], ["elbow"]]);
        passed_on.note(&names(&["sim_wrist", "elbow", "gone"]));
        passed_on.note(&names(&["gone"]));
        assert_eq!(parts(&passed_on), [vec!["sim_wrist"], vec!["elbow", "sim_wrist"]]);
        passed_on.note(&names(&["sim_wrist"]));
        assert_eq!(parts(&passed_on), [vec!["elbow", "sim_wrist"], vec!["sim_wrist"]], "the last one last");
        (0..SETS_MAX).for_each(|number| passed_on.note(&[number.to_string()]));
        assert_eq!(parts(&passed_on), [["elbow", "sim_wrist"]], "of too many sets, the joints are not forgotten");
    }

    #[test]
    fn one_topic_that_cannot_be_made_keeps_no_other_joint_from_its_command_and_is_tried_again() {
        let context = Context::new(&[], Some(1 + std::process::id() as usize % 100)).expect("a context");
        let node = Node::new(&context, "command_output", "/test").expect("a node");
        let topic = format!("/twin/{JOINT}/cmd_pos");
        let mut topics = JointTopics::new(node.clone(), topic);
        let mut send = |position| {
            let mut failed = Vec::new();
            let [elbow, wrist] = commands();
            let commands = [elbow, JointCommand { name: "no topic", ..wrist }, JointCommand { position, ..wrist }];
            let sent = topics.send(&commands, |id| failed.push(id)).ok();
            (sent, failed, topics.publishers.iter().filter(|(_, publisher)| publisher.is_some()).count())
        };
        // The middleware knows no topic of two types.
        let in_the_way = Publisher::<Text>::new(&node, "/twin/elbow/cmd_pos", Qos::reliable(1)).expect("a publisher");
        assert_eq!(send(0.5), (None, vec![ids()[0]], 1));
        drop(in_the_way);
        assert_eq!(send(0.5), (Some(1), vec![], 2));
    }

    #[test]
    fn the_middleware_reads_a_number() {
        assert_eq!(Float64::from_serialized_bytes(FloatImage::new().of(-2.5)).expect("a number").data, -2.5);
    }
}
