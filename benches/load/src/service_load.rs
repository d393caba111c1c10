//! Asks a service at a given rate, one request at a time, and measures how long each answer takes to come.
//!
//! Prints a report, one line of JSON, when the service is there, on each SIGUSR1, and when SIGTERM or SIGINT ends it: of the
//! requests that ended since the report before. The times are those of a client that waits for its answer and does nothing else.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use load::pace::Pace;
use load::publishing::rate;
use load::{percentiles, signals};
use r2r::std_srvs::srv::Trigger;
use ros_observer::{Client, Context, GuardCondition, Node, ResponseInfo, Spinner};

/// How often the service is looked for, beside when the graph changes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An answer that takes longer is not waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The number of no request.
const NONE: i64 = -1;

/// Asks a std_srvs/srv/Trigger at a given rate.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Arguments {
    /// Service to ask
    service: String,
    /// Requests per second, fewer where answers take longer; 0: each as soon as the one before is answered
    #[arg(long, default_value_t = 100.0, value_parser = rate)]
    rate: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let context = Context::new(&std::env::args().collect::<Vec<_>>(), None)?;
    let node = Node::new(&context, "service_load", "")?;
    let mut asker = Asker::new(&node, &arguments.service)?;
    asker.wait_for_service()?;

    let outcomes = Arc::new(Mutex::new(Outcomes::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let signals = {
        let (outcomes, stop) = (Arc::clone(&outcomes), Arc::clone(&stop));
        let (asking, wake) = (thread::current(), asker.spinner.waker());
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || serve_signals(&outcomes, &stop, &asking, &wake))?
    };
    let mut pace = Pace::new(Instant::now(), arguments.rate, Duration::ZERO);
    while pace.wait(&stop) {
        let round_trip = asker.ask(&stop)?;
        // The one request that the end cuts short is none.
        if round_trip.is_some() || !stop.load(Ordering::Relaxed) {
            lock(&outcomes).add(round_trip);
        }
    }
    signals.join().expect("the signal thread does not panic")?;
    report(&outcomes);
    Ok(())
}

/// A client, and the thread that it is on.
struct Asker {
    spinner: Spinner,
    client: Client<Trigger::Service>,
    /// The number of the request that was answered last.
    answered: Arc<AtomicI64>,
}

impl Asker {
    fn new(node: &Node, service: &str) -> Result<Self> {
        let answered = Arc::new(AtomicI64::new(NONE));
        let note = {
            let answered = Arc::clone(&answered);
            move |info: ResponseInfo, _| answered.store(info.number, Ordering::Relaxed)
        };
        let client = Client::new(node, service, note).with_context(|| format!("cannot ask {service:?}"))?;
        let mut spinner = Spinner::new(node)?;
        spinner.add_client(&client)?;
        Ok(Self { spinner, client, answered })
    }

    fn wait_for_service(&mut self) -> Result<()> {
        while !self.client.is_offered()? {
            self.spinner.turn(LOOK_EVERY)?;
        }
        Ok(())
    }

    /// Asks once. How long the answer took, if it came.
    fn ask(&mut self, stop: &AtomicBool) -> Result<Option<Duration>> {
        let asked = Instant::now();
        let number = self.client.send(&Trigger::Request {})?;
        while !stop.load(Ordering::Relaxed) {
            let Some(patience) = ANSWER_WITHIN.checked_sub(asked.elapsed()) else { break };
            self.spinner.turn(patience)?;
            if self.answered.load(Ordering::Relaxed) == number {
                return Ok(Some(asked.elapsed()));
            }
        }
        Ok(None)
    }
}

/// What became of the requests since the last report.
#[derive(Debug, Default, PartialEq)]
struct Outcomes {
    asked: usize,
    round_trips: Vec<Duration>,
}

impl Outcomes {
    fn add(&mut self, round_trip: Option<Duration>) {
        self.asked += 1;
        self.round_trips.extend(round_trip);
    }

    fn into_json(self) -> String {
        let (asked, answered) = (self.asked, self.round_trips.len());
        let times = percentiles::json_fields(self.round_trips);
        format!(r#"{{"asked": {asked}, "answered": {answered}, {times}}}"#)
    }
}

fn lock(outcomes: &Mutex<Outcomes>) -> MutexGuard<'_, Outcomes> {
    outcomes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(outcomes: &Mutex<Outcomes>) {
    // Sorted after the lock is given back: the next request does not wait for it.
    let outcomes = mem::take(&mut *lock(outcomes));
    println!("{}", outcomes.into_json());
}

/// Reports when asked; returns, with whoever asks told to stop, when that is asked.
fn serve_signals(outcomes: &Mutex<Outcomes>, stop: &AtomicBool, asking: &Thread, wake: &GuardCondition) -> Result<()> {
    let result = signals::report_until_terminated(|| report(outcomes));
    stop.store(true, Ordering::Relaxed);
    asking.unpark();
    wake.trigger()?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_single_requests_in_their_order() {
        let mut outcomes = Outcomes::default();
        (1..=200).rev().for_each(|ms| outcomes.add(Some(Duration::from_millis(ms))));
        outcomes.add(None);
        let expected = r#"{"asked": 201, "answered": 200, "p50_seconds": 0.100000000, "p99_seconds": 0.198000000, "max_seconds": 0.200000000}"#;
        assert_eq!(outcomes.into_json(), expected);
    }
}
