//! Takes joint states through ros-observer and does nothing with them: the floor that a node's cost is compared with.
//!
//! Prints a report, one line of JSON, when it has subscribed, on each SIGUSR1, and when SIGTERM or SIGINT ends it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use load::{Reliability, signals};
use r2r::sensor_msgs::msg::JointState;
use ros_observer::{Context, GuardCondition, MessageInfo, Node, Qos, Spinner, Subscription, TakeIn};
use stream_statistics::SequenceTracker;

/// Longest wait of the spinner; a signal ends it early.
const TURN: Duration = Duration::from_secs(1);

/// Publishers whose losses are counted at a time.
const PUBLISHERS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Takes sensor_msgs/msg/JointState and only counts.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Arguments {
    /// Topic to subscribe to
    #[arg(long, default_value = "/joint_states")]
    topic: String,
    /// Reliability requested
    #[arg(long, value_enum, default_value_t = Reliability::BestEffort)]
    qos: Reliability,
    /// History depth
    #[arg(long, default_value_t = 1000)]
    depth: usize,
    /// Where messages are taken
    #[arg(long, value_enum, default_value_t = Take::Auto)]
    take_in: Take,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Take {
    Callback,
    WaitSet,
    Auto,
}

impl Take {
    fn resolve(self) -> TakeIn {
        match self {
            Self::Callback => TakeIn::Callback,
            Self::WaitSet => TakeIn::WaitSet,
            Self::Auto => TakeIn::auto(),
        }
    }
}

/// What has arrived, readable while messages arrive. Written by the one thread that takes.
#[derive(Default)]
struct Arrived {
    taken: AtomicU64,
    lost: AtomicU64,
}

impl Arrived {
    fn add(&self, lost: u64) {
        self.taken.store(self.taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if lost > 0 {
            self.lost.store(self.lost.load(Ordering::Relaxed) + lost, Ordering::Relaxed);
        }
    }

    fn report(&self) {
        let (taken, lost) = (self.taken.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        println!(r#"{{"taken": {taken}, "lost": {lost}}}"#);
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let context = Context::new(&std::env::args().collect::<Vec<_>>(), None)?;
    let node = Node::new(&context, "take_loop", "")?;
    let arrived = Arc::new(Arrived::default());
    let subscription = subscribe(&node, &arguments, Arc::clone(&arrived))?;
    let mut spinner = Spinner::new(&node)?;
    spinner.add_subscription(&subscription);

    let stop = Arc::new(AtomicBool::new(false));
    let signals = {
        let (arrived, stop, wake) = (Arc::clone(&arrived), Arc::clone(&stop), spinner.waker());
        thread::Builder::new().name("signals".to_owned()).spawn(move || serve_signals(&arrived, &stop, &wake))?
    };
    while !stop.load(Ordering::Relaxed) {
        spinner.turn(TURN)?;
    }
    signals.join().expect("the signal thread does not panic")?;
    arrived.report();
    Ok(())
}

fn subscribe(node: &Node, arguments: &Arguments, arrived: Arc<Arrived>) -> Result<Subscription> {
    let qos = match arguments.qos {
        Reliability::Reliable => Qos::reliable(arguments.depth),
        Reliability::BestEffort => Qos::best_effort(arguments.depth),
    };
    let mut sequences = SequenceTracker::with_capacity(PUBLISHERS_MAX);
    // No time: only how publishers are given up depends on it, and to read a clock would make the floor dearer.
    let count = move |_: &[u8], info: &MessageInfo| {
        arrived.add(sequences.observe(info.publisher, info.publication_sequence, 0));
    };
    Subscription::new::<JointState>(node, &arguments.topic, qos, arguments.take_in.resolve(), count)
        .with_context(|| format!("cannot subscribe to {:?}", arguments.topic))
}

/// Reports when asked; returns, with the spinner told to stop, when that is asked.
fn serve_signals(arrived: &Arrived, stop: &AtomicBool, wake: &GuardCondition) -> Result<()> {
    let result = signals::report_until_terminated(|| arrived.report());
    stop.store(true, Ordering::Relaxed);
    wake.trigger()?;
    result
}
