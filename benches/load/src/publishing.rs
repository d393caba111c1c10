//! A load while it runs: waits for who listens, publishes at its pace, and says what it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use r2r::{Node, PublisherUntyped, QosProfile};

use crate::pace::Pace;
use crate::signals::{self, Termination};
use crate::{Reliability, cost};

/// How often the number of matched subscribers is looked up.
const MATCH_POLL: Duration = Duration::from_millis(5);
/// Between the match and the first message: we know the subscriber, it may still have to hear of us.
const MATCH_SETTLE: Duration = Duration::from_millis(500);
/// Between the last message and the end: subscribers read it from memory that ends with this process.
const LINGER: Duration = Duration::from_millis(200);

/// What every load is told on its command line.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArguments {
    /// Messages per second of each publisher; 0: as fast as possible
    #[arg(long, default_value_t = 100.0, value_parser = rate)]
    rate: f64,
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
}

impl LoadArguments {
    /// The QoS that publishers are to offer.
    pub fn qos(&self) -> QosProfile {
        self.qos.profile(self.depth)
    }
}

/// Reads a rate from a command line.
///
/// # Errors
/// Where it is none, in words for the user.
pub fn rate(text: &str) -> Result<f64, String> {
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

/// Publishers that share a thread, and what they send.
pub trait Source: Send + 'static {
    /// All of them, at least one.
    fn publishers(&self) -> &[PublisherUntyped];

    /// Publishes one message, of the publisher whose turn it is.
    ///
    /// # Errors
    /// When the middleware does not take it.
    fn publish_next(&mut self) -> Result<()>;
}

/// Makes a node and runs its sources, each in a thread of its own, until the duration is over, SIGTERM or SIGINT. Prints
/// what they did as one line of JSON.
///
/// The messages of a source are evenly spread: its publishers take turns.
///
/// # Errors
/// When there is no node, when `sources` fails, and when the middleware does not take a message.
pub fn run<S: Source>(
    node_name: &str,
    arguments: &LoadArguments,
    sources: impl FnOnce(&mut Node) -> Result<Vec<S>>,
) -> Result<()> {
    let runtime = signals::runtime()?;
    let mut termination = runtime.block_on(async { Termination::new() })?;
    let mut node = Node::create(r2r::Context::create()?, node_name, "")?;
    let stop = Arc::new(AtomicBool::new(false));
    let workers = start_workers(arguments, sources(&mut node)?, &stop)?;
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

fn start_workers<S: Source>(
    arguments: &LoadArguments,
    sources: Vec<S>,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<JoinHandle<Result<Done>>>> {
    let mut workers = Vec::new();
    for (index, source) in sources.into_iter().enumerate() {
        let work = Work { arguments: arguments.clone(), source, stop: Arc::clone(stop) };
        workers.push(thread::Builder::new().name(format!("source_{index}")).spawn(|| work.run())?);
    }
    Ok(workers)
}

fn join_all(workers: Vec<JoinHandle<Result<Done>>>) -> Result<Vec<Done>> {
    let results = workers.into_iter().map(JoinHandle::join).collect::<Vec<_>>();
    results.into_iter().map(|result| result.map_err(|_| anyhow!("a source's thread panicked"))?).collect()
}

/// One source's thread while it runs.
struct Work<S> {
    arguments: LoadArguments,
    source: S,
    stop: Arc<AtomicBool>,
}

/// What one source did.
struct Done {
    sent: u64,
    seconds: f64,
    late_seconds_max: f64,
    passed: u64,
}

impl<S: Source> Work<S> {
    fn run(mut self) -> Result<Done> {
        self.wait_for_subscribers()?;
        let start = Instant::now();
        let messages_per_second = self.arguments.rate * self.source.publishers().len() as f64;
        let mut pace = Pace::new(start, messages_per_second, self.arguments.duration);
        let mut sent = 0;
        while pace.wait(&self.stop) {
            self.source.publish_next()?;
            sent += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        thread::sleep(LINGER);
        Ok(Done { sent, seconds, late_seconds_max: pace.late_max().as_secs_f64(), passed: pace.passed() })
    }

    fn wait_for_subscribers(&self) -> Result<()> {
        let wanted = self.arguments.wait_for_subscribers;
        if wanted == 0 {
            return Ok(());
        }
        for publisher in self.source.publishers() {
            while publisher.get_inter_process_subscription_count()? < wanted && !self.is_stopping() {
                thread::park_timeout(MATCH_POLL);
            }
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
}

fn print_summary(done: &[Done]) -> Result<()> {
    let sent: u64 = done.iter().map(|done| done.sent).sum();
    let seconds = done.iter().map(|done| done.seconds).fold(0.0, f64::max);
    let late_seconds_max = done.iter().map(|done| done.late_seconds_max).fold(0.0, f64::max);
    let passed: u64 = done.iter().map(|done| done.passed).sum();
    let cpu_seconds = cost::cpu_seconds()?;
    println!(
        r#"{{"sent": {sent}, "seconds": {seconds:.6}, "late_seconds_max": {late_seconds_max:.6}, "passed": {passed}, "cpu_seconds": {cpu_seconds}}}"#
    );
    Ok(())
}
