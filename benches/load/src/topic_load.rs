//! Publishes on many topics at a given rate, from one thread: their messages are staggered over the period, as those of
//! independent sensors are. (Sent all at once, they would measure the half megabyte that Fast DDS has for them.)
//!
//! Ends after `--duration`, or on SIGTERM or SIGINT, and prints what it did as one line of JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use cdr::Stamp;
use clap::Parser;
use load::message::{ImageMessage, ImageSize};
use load::publishing::{self, LoadArguments, Source};
use r2r::{Node, PublisherUntyped};

/// Publishes images, with stamps, at a given rate.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Arguments {
    /// Topics to publish on, in turn
    #[arg(required = true)]
    topics: Vec<String>,
    #[command(flatten)]
    load: LoadArguments,
    /// Size of a sensor_msgs/msg/CompressedImage as it travels
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..=64 << 20))]
    bytes: u32,
    /// Publish sensor_msgs/msg/Image of this size in rgb8 instead
    #[arg(long, value_name = "WIDTHxHEIGHT", conflicts_with = "bytes")]
    raw_image: Option<ImageSize>,
}

/// All topics, which share one message.
struct Topics {
    publishers: Vec<PublisherUntyped>,
    message: ImageMessage,
    next: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    publishing::run("topic_load", &arguments.load, |node| Ok(vec![Topics::new(node, &arguments)?]))
}

impl Topics {
    fn new(node: &mut Node, arguments: &Arguments) -> Result<Self> {
        let message = match arguments.raw_image {
            Some(size) => ImageMessage::raw(size),
            None => ImageMessage::compressed(arguments.bytes as usize),
        };
        let publisher = |topic: &String| {
            node.create_publisher_untyped(topic, message.type_name(), arguments.load.qos())
                .with_context(|| format!("cannot publish on {topic:?}"))
        };
        let publishers = arguments.topics.iter().map(publisher).collect::<Result<_>>()?;
        Ok(Self { publishers, message, next: 0 })
    }
}

impl Source for Topics {
    fn publishers(&self) -> &[PublisherUntyped] {
        &self.publishers
    }

    fn publish_next(&mut self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        self.message.set_stamp(Stamp::of_nanoseconds(now.as_nanos() as i64));
        let publisher = &self.publishers[self.next];
        self.next = (self.next + 1) % self.publishers.len();
        publisher.publish_raw(self.message.as_bytes()).context("the middleware did not take a message")
    }
}
