//! Publishes joint states at a given rate, cheaply enough that whoever receives them is what limits a measurement.
//!
//! Ends after `--duration`, or on SIGTERM or SIGINT, and prints what it did as one line of JSON.

use std::slice;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use joint_state::Field;
use load::message::SwingingJoints;
use load::publishing::{self, LoadArguments, Source};
use r2r::{Node, PublisherUntyped};

/// Publishes sensor_msgs/msg/JointState at a given rate.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Arguments {
    /// Topic to publish on
    #[arg(long, default_value = "/joint_states")]
    topic: String,
    #[command(flatten)]
    load: LoadArguments,
    /// Joints in each message
    #[arg(long, default_value_t = 7)]
    joints: usize,
    /// Publishers, each with joints of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    publishers: u16,
    /// What joint names begin with; a number follows
    #[arg(long, default_value = "joint_")]
    name_prefix: String,
    /// The header's stamp
    #[arg(long, value_enum, default_value_t = Stamp::Now)]
    stamp: Stamp,
    /// Leave velocity and effort empty
    #[arg(long)]
    positions_only: bool,
    /// Send the time of publishing (seconds since the Unix epoch) as the first joint's position
    #[arg(long)]
    time_as_first_position: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stamp {
    Now,
    Zero,
}

/// One publisher and the joints that it moves.
struct Joints {
    arguments: Arguments,
    publisher: PublisherUntyped,
    message: SwingingJoints,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    publishing::run("joint_state_load", &arguments.load, |node| sources(node, &arguments))
}

fn sources(node: &mut Node, arguments: &Arguments) -> Result<Vec<Joints>> {
    let of = |index| {
        let publisher = node
            .create_publisher_untyped(&arguments.topic, SwingingJoints::TYPE, arguments.load.qos())
            .with_context(|| format!("cannot publish on {:?}", arguments.topic))?;
        Ok(Joints { arguments: arguments.clone(), publisher, message: first_message(arguments, index) })
    };
    (0..usize::from(arguments.publishers)).map(of).collect()
}

fn first_message(arguments: &Arguments, publisher: usize) -> SwingingJoints {
    let first = publisher * arguments.joints;
    let names: Vec<String> =
        (first..first + arguments.joints).map(|joint| format!("{}{joint}", arguments.name_prefix)).collect();
    let fields = if arguments.positions_only { &[Field::Position][..] } else { &Field::ALL };
    SwingingJoints::new(&names, fields)
}

impl Source for Joints {
    fn publishers(&self) -> &[PublisherUntyped] {
        slice::from_ref(&self.publisher)
    }

    fn publish_next(&mut self) -> Result<()> {
        self.message.advance();
        if self.arguments.stamp == Stamp::Now || self.arguments.time_as_first_position {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            if self.arguments.stamp == Stamp::Now {
                self.message.set_stamp(cdr::Stamp::of_nanoseconds(now.as_nanos() as i64));
            }
            if self.arguments.time_as_first_position {
                self.message.set_first_position(now.as_secs_f64());
            }
        }
        self.publisher.publish_raw(self.message.as_bytes()).context("the middleware did not take a message")
    }
}
