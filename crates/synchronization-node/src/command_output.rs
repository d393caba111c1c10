//! How the twin is told where its joints are to be: one message for all of them, or one for each.
//!
//! Messages are encoded once for a set of joints and changed in place.

use std::ops::Range;
use std::time::Duration;

use cdr::{Stamp, Writer};
use r2r::std_msgs::msg::{Float64, Float64MultiArray};
use r2r::trajectory_msgs::msg::JointTrajectory;
use ros_observer::{Error, Node, Publisher, Qos};

use crate::parameters::{JOINT, OutputMode};
use crate::topics::Topics;

const DEPTH: usize = 10;

/// What one joint is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JointCommand<'a> {
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
    Trajectory { publisher: Publisher<JointTrajectory>, image: TrajectoryImage, period_ns: i64 },
    Forward { publisher: Publisher<Float64MultiArray>, order: Vec<String>, image: ArrayImage },
    Gz { node: Node, topic: String, publishers: Vec<(String, Option<Publisher<Float64>>)> },
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
    /// `joints`, by the reference's names, is the order in which a forward command controller takes its values; `period` is how far apart commands are.
    pub(crate) fn new(node: &Node, topics: &Topics, joints: &[String], period: Duration) -> Result<Self, Error> {
        let (qos, topic) = (Qos::reliable(DEPTH), &topics.command);
        Ok(match topics.output_mode {
            OutputMode::None => Self::None,
            OutputMode::Trajectory => Self::Trajectory {
                publisher: Publisher::new(node, topic, qos)?,
                image: TrajectoryImage::default(),
                period_ns: period.as_nanos() as i64,
            },
            OutputMode::Forward => Self::Forward {
                publisher: Publisher::new(node, topic, qos)?,
                order: joints.to_vec(),
                image: ArrayImage::new(joints.len()),
            },
            OutputMode::Gz => Self::Gz { node: node.clone(), topic: topic.clone(), publishers: Vec::new() },
        })
    }

    /// Sends a whole trajectory, where those are what the twin takes.
    pub(crate) fn forward(&self, trajectory: &JointTrajectory) -> Result<(), Error> {
        match self {
            Self::Trajectory { publisher, .. } => publisher.publish(trajectory),
            Self::None | Self::Forward { .. } | Self::Gz { .. } => Ok(()),
        }
    }

    /// Sends these commands. Allocates only when the joints are others than the last time.
    pub(crate) fn send(&mut self, commands: &[JointCommand<'_>]) -> Result<Sent, Error> {
        let all = |()| Sent::Without(0);
        match self {
            Self::None => Ok(Sent::Incomplete),
            Self::Trajectory { publisher, image, period_ns } => {
                image.fill(commands, *period_ns);
                publisher.publish_serialized(&image.bytes).map(all)
            }
            // The controller knows its joints by their order alone: one that is missing would move the others.
            Self::Forward { publisher, order, image } => match image.fill(order, commands) {
                true => publisher.publish_serialized(&image.bytes).map(all),
                false => Ok(Sent::Incomplete),
            },
            Self::Gz { node, topic, publishers } => {
                let mut without = 0;
                for command in commands {
                    let known = publishers.iter().position(|(name, _)| name == command.name);
                    let index = match known {
                        Some(index) => index,
                        None => {
                            let topic = topic.replace(JOINT, command.name);
                            // Not every name of a joint can stand in that of a topic: the others go on without it.
                            let publisher = Publisher::new(node, &topic, Qos::reliable(DEPTH)).ok();
                            publishers.push((command.name.to_owned(), publisher));
                            publishers.len() - 1
                        }
                    };
                    match &publishers[index].1 {
                        Some(publisher) => publisher.publish_serialized(&float_bytes(command.position))?,
                        None => without += 1,
                    }
                }
                Ok(Sent::Without(without))
            }
        }
    }
}

/// A trajectory of one point, to be followed at once.
#[derive(Default)]
pub(crate) struct TrajectoryImage {
    names: Vec<String>,
    bytes: Vec<u8>,
    positions: Range<usize>,
}

impl TrajectoryImage {
    fn fill(&mut self, commands: &[JointCommand<'_>], period_ns: i64) {
        let names = || commands.iter().map(|command| command.name);
        if self.bytes.is_empty() || !self.names.iter().map(String::as_str).eq(names()) {
            self.names = names().map(str::to_owned).collect();
            self.encode(period_ns);
        }
        set(&mut self.bytes[self.positions.clone()], commands.iter().map(|command| command.position));
    }

    fn encode(&mut self, period_ns: i64) {
        let mut writer = Writer::default();
        // A stamp of zero: now.
        writer.header();
        writer.length(self.names.len());
        self.names.iter().for_each(|name| writer.string(name));
        writer.length(1);
        self.positions = writer.doubles(self.names.len());
        let _no_velocities_accelerations_efforts = [writer.doubles(0), writer.doubles(0), writer.doubles(0)];
        let time_from_start = writer.time();
        self.bytes = writer.into_bytes();
        self.bytes[time_from_start].copy_from_slice(&Stamp::of_nanoseconds(period_ns).to_le_bytes());
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
        let cells = self.bytes[self.data.clone()].chunks_exact_mut(size_of::<f64>());
        order.iter().zip(cells).all(|(name, cell)| {
            let command = commands.iter().find(|command| command.joint == name);
            command.is_some_and(|command| {
                cell.copy_from_slice(&command.position.to_le_bytes());
                true
            })
        })
    }
}

fn set(cells: &mut [u8], values: impl Iterator<Item = f64>) {
    let cells = cells.chunks_exact_mut(size_of::<f64>());
    cells.zip(values).for_each(|(cell, value)| cell.copy_from_slice(&value.to_le_bytes()));
}

/// A std_msgs/msg/Float64.
pub(crate) fn float_bytes(value: f64) -> [u8; 12] {
    let mut bytes = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;

    use super::*;

    fn commands() -> [JointCommand<'static>; 2] {
        let command = |joint, name, position| JointCommand { joint, name, position };
        [command("elbow", "elbow", 0.5), command("wrist", "sim_wrist", -1.0)]
    }

    #[test]
    fn the_middleware_reads_a_trajectory_of_one_point() {
        let mut image = TrajectoryImage::default();
        image.fill(&commands()[..1], 10_000_000);
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
        assert!(!image.fill(&order, &commands()[..1]));
    }

    #[test]
    fn the_middleware_reads_a_number() {
        assert_eq!(Float64::from_serialized_bytes(&float_bytes(-2.5)).expect("a number").data, -2.5);
    }
}
