//! Counts the messages of some topics as a user of r2r would: `subscribe_raw`, a task for each stream, one thread.
//!
//! Prints a report, one line of JSON, when it has subscribed, on each SIGUSR1, and when SIGTERM or SIGINT ends it. It
//! cannot tell what was lost: r2r hands out no sequence numbers.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use futures::StreamExt;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use load::message::ImageMessage;
use load::{Reliability, signals};

/// Longest wait for a message; nothing else ends it.
const TURN: Duration = Duration::from_millis(100);

/// Subscribes to sensor_msgs/msg/CompressedImage by r2r and only counts.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Arguments {
    /// Topics to subscribe to
    #[arg(required = true)]
    topics: Vec<String>,
    /// Reliability requested
    #[arg(long, value_enum, default_value_t = Reliability::BestEffort)]
    qos: Reliability,
    /// History depth
    #[arg(long, default_value_t = 100)]
    depth: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut node = r2r::Node::create(r2r::Context::create()?, "r2r_loop", "")?;
    let taken = Arc::new(AtomicU64::new(0));
    let mut pool = LocalPool::new();
    for topic in &arguments.topics {
        let messages = node
            .subscribe_raw(topic, ImageMessage::COMPRESSED_TYPE, arguments.qos.profile(arguments.depth))
            .with_context(|| format!("cannot subscribe to {topic:?}"))?;
        let taken = Arc::clone(&taken);
        let count = move |_: Vec<u8>| {
            // One thread writes.
            taken.store(taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            future::ready(())
        };
        pool.spawner().spawn_local(messages.for_each(count))?;
    }

    let stop = Arc::new(AtomicBool::new(false));
    let signals = {
        let (taken, stop) = (Arc::clone(&taken), Arc::clone(&stop));
        thread::Builder::new().name("signals".to_owned()).spawn(move || serve_signals(&taken, &stop))?
    };
    while !stop.load(Ordering::Relaxed) {
        node.spin_once(TURN);
        pool.run_until_stalled();
    }
    signals.join().expect("the signal thread does not panic")?;
    report(&taken);
    Ok(())
}

/// Reports when asked; returns, with the loop told to stop, when that is asked.
fn serve_signals(taken: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    let result = signals::report_until_terminated(|| report(taken));
    stop.store(true, Ordering::Relaxed);
    result
}

fn report(taken: &AtomicU64) {
    println!(r#"{{"taken": {}, "lost": null}}"#, taken.load(Ordering::Relaxed));
}
