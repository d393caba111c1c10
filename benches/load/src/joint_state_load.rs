//! Publishes joint states at a given rate, cheaply enough that whoever receives them is what limits a measurement.
//!
//! Ends after `--duration`, or on SIGTERM or SIGINT, and prints what it did as one line of JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use clap::{Parser, ValueEnum};
use load::message::{Fields, JointStateMessage};
use load::pace::Pace;
use load::signals::{self, Termination};
use load::{Reliability, cost};
use r2r::{PublisherUntyped, QosProfile};

/// How often the number of matched subscribers is looked up.
const MATCH_POLL: Duration = Duration::from_millis(5);
/// Between the match and the first message: we know the subscriber, it may still have to hear of us.
const MATCH_SETTLE: Duration = Duration::from_millis(500);
/// Between the last message and the end: subscribers read it from memory that ends with this process.
const LINGER: Duration = Duration::from_millis(200);

/// Publishes sensor_msgs/msg/JointState at a given rate.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Arguments {
    /// Topic to publish on
    #[arg(long, default_value = "/joint_states")]
    topic: String,
    /// Messages per second of each publisher; 0: as fast as possible
    #[arg(long, default_value_t = 100.0, value_parser = rate)]
    rate: f64,
    /// Joints in each message
    #[arg(long, default_value_t = 7)]
    joints: usize,
    /// Publishers, each with joints of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    publishers: u16,
    /// Reliability offered
    #[arg(long, value_enum, default_value_t = Reliability::Reliable)]
    qos: Reliability,
    /// History depth offered
    #[arg(long, default_value_t = 10, value_parser = depth)]
    depth: usize,
    /// Seconds of publishing; 0: until SIGTERM
    #[arg(long, default_value = "0", value_parser = seconds)]
    duration: Duration,
    /// Start when every publisher has this many matched subscribers
    #[arg(long, default_value_t = 0)]
    wait_for_subscribers: usize,
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

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1e9).contains(&rate) => Ok(rate),
        _ => Err("not a number from 0 to 1e9".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number from 0 to 1e6".to_owned()),
    }
}

fn depth(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|depth| *depth > 0).ok_or_else(|| "not a number from 1".to_owned())
}

/// One publisher's thread while it runs.
struct Work {
    arguments: Arguments,
    publisher: PublisherUntyped,
    message: JointStateMessage,
    stop: Arc<AtomicBool>,
}

/// What one publisher did.
struct Done {
    sent: u64,
    seconds: f64,
    late_seconds_max: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = signals::runtime()?;
    let mut termination = runtime.block_on(async { Termination::new() })?;
    let mut node = r2r::Node::create(r2r::Context::create()?, "joint_state_load", "")?;
    let stop = Arc::new(AtomicBool::new(false));
    let workers = start_workers(&arguments, &mut node, &stop)?;
    let threads: Vec<Thread> = workers.iter().map(|worker| worker.thread().clone()).collect();
    let done = runtime.block_on(async {
        let mut ended = tokio::task::spawn_blocking(move || join_all(workers));
        tokio::select! {
            done = &mut ended => done?,
            () = termination.requested() => {
                stop.store(true, Ordering::Relaxed);
                threads.iter().for_each(Thread::unpark);
                ended.await?
            }
        }
    })?;
    print_summary(&done)
}

fn start_workers(
    arguments: &Arguments,
    node: &mut r2r::Node,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<JoinHandle<Result<Done>>>> {
    let mut workers = Vec::new();
    for index in 0..usize::from(arguments.publishers) {
        let publisher = node
            .create_publisher_untyped(&arguments.topic, "sensor_msgs/msg/JointState", qos(arguments))
            .with_context(|| format!("cannot publish on {:?}", arguments.topic))?;
        let message = first_message(arguments, index);
        let work = Work { arguments: arguments.clone(), publisher, message, stop: Arc::clone(stop) };
        workers.push(thread::Builder::new().name(format!("publisher_{index}")).spawn(|| work.run())?);
    }
    Ok(workers)
}

fn qos(arguments: &Arguments) -> QosProfile {
    let profile = QosProfile::default().keep_last(arguments.depth);
    match arguments.qos {
        Reliability::Reliable => profile.reliable(),
        Reliability::BestEffort => profile.best_effort(),
    }
}

fn first_message(arguments: &Arguments, publisher: usize) -> JointStateMessage {
    let first = publisher * arguments.joints;
    let names: Vec<String> =
        (first..first + arguments.joints).map(|joint| format!("{}{joint}", arguments.name_prefix)).collect();
    let fields = if arguments.positions_only { Fields::PositionOnly } else { Fields::All };
    JointStateMessage::new(&names, fields)
}

fn join_all(workers: Vec<JoinHandle<Result<Done>>>) -> Result<Vec<Done>> {
    let results = workers.into_iter().map(JoinHandle::join).collect::<Vec<_>>();
    results.into_iter().map(|result| result.map_err(|_| anyhow!("a publisher's thread panicked"))?).collect()
}

impl Work {
    fn run(mut self) -> Result<Done> {
        self.wait_for_subscribers()?;
        let start = Instant::now();
        let mut pace = Pace::new(start, self.arguments.rate, self.arguments.duration);
        let mut sent = 0;
        while pace.wait(&self.stop) {
            self.publish_next()?;
            sent += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        thread::sleep(LINGER);
        Ok(Done { sent, seconds, late_seconds_max: pace.late_max().as_secs_f64() })
    }

    fn wait_for_subscribers(&self) -> Result<()> {
        let wanted = self.arguments.wait_for_subscribers;
        if wanted == 0 {
            return Ok(());
        }
        while self.publisher.get_inter_process_subscription_count()? < wanted && !self.is_stopping() {
            thread::park_timeout(MATCH_POLL);
        }
        let settled = Instant::now() + MATCH_SETTLE;
        while Instant::now() < settled && !self.is_stopping() {
            thread::park_timeout(settled.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn publish_next(&mut self) -> Result<()> {
        self.message.advance();
        if self.arguments.stamp == Stamp::Now || self.arguments.time_as_first_position {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            if self.arguments.stamp == Stamp::Now {
                self.message.set_stamp(now);
            }
            if self.arguments.time_as_first_position {
                self.message.set_first_position(now.as_secs_f64());
            }
        }
        self.publisher.publish_raw(self.message.as_bytes()).context("the middleware did not take a message")
    }
}

fn print_summary(done: &[Done]) -> Result<()> {
    let sent: u64 = done.iter().map(|done| done.sent).sum();
    let seconds = done.iter().map(|done| done.seconds).fold(0.0, f64::max);
    let late_seconds_max = done.iter().map(|done| done.late_seconds_max).fold(0.0, f64::max);
    let cpu_seconds = cost::cpu_seconds()?;
    println!(
        r#"{{"sent": {sent}, "seconds": {seconds:.6}, "late_seconds_max": {late_seconds_max:.6}, "cpu_seconds": {cpu_seconds}}}"#
    );
    Ok(())
}
