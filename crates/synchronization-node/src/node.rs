//! The wiring: parameters to inputs, inputs to ticks, ticks to outputs and metrics, metrics to the web.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use exposition::{Scrape, encode_registry};
use node_runtime::{Check, Failure, Heartbeat, MonotonicClock, Page, RosClock, RosThread, Startup, nanoseconds, serve};
use prometheus::Registry;
use ros_observer::{Spinner, TakeIn};
use rtrb::RingBuffer;
use topic_watch::{STATUSES, TopicView};
use twin_sync::{Settings, Source, Synchronizer};

use crate::command_output::CommandOutput;
use crate::diagnostics::Diagnostics;
use crate::gauges::Gauges;
use crate::heard::Heard;
use crate::inputs::Making;
use crate::known::Known;
use crate::outputs::Outputs;
use crate::parameters::{OutputMode, settings};
use crate::report::SharedReport;
use crate::shown::Shown;
use crate::tables::tables;
use crate::tick_metrics::TickMetrics;
use crate::ticker::{Ticker, TickerWaker};
use crate::topics::Topics;
use crate::transitions::TransitionLog;
use crate::work::Work;

/// A thread has not turned, or messages of a topic were not taken, for this long: not ready.
const NOT_READY_AFTER: Duration = Duration::from_secs(5);

/// And for this long: only a restart will help.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// Transitions that the log may be behind: it looks every 250 ms, in which ticks bring 250 at most.
const TRANSITIONS_MAX: usize = 1024;

/// Runs the node until it is asked to stop.
pub(crate) fn run(startup: Startup) -> Result<(), Failure> {
    let (settings, topics) = checked(&startup)?;
    let update_rate = startup.parameters.get::<f64>("update_rate");
    if let Some(warning) = short_buffer(&settings, update_rate) {
        tracing::warn!("{warning}");
    }
    let registry = Registry::new();
    let gauges = Gauges::register(&registry)?;
    let metrics = TickMetrics::register(&registry)?;
    let families = topic_watch::Families::register(&registry, &[], STATUSES)?;
    let clock = MonotonicClock::new();
    let mut spinner = Spinner::new(&startup.node)?;
    let ros_clock = RosClock::as_configured(&startup, &mut spinner, TakeIn::auto())?;
    let with = Making { node: &startup.node, families: &families, clock, ros_clock: &ros_clock };
    let waker = Arc::new(OnceLock::new());
    let (heard, inbox) = Heard::listen(&with, &mut spinner, &settings, &topics, &metrics, waking(&waker))?;
    startup.parameters.offer(&startup.node, &mut spinner, |_, _| {})?;

    let diagnostics = Diagnostics::new(&startup.node, &topics, metrics.descriptions_rejected.clone())?;
    let report = SharedReport::default();
    let last_tick_ns = Arc::new(AtomicU64::new(clock.now_ns()));
    let (told, transitions) = RingBuffer::new(TRANSITIONS_MAX);
    let period = Duration::from_secs_f64(1.0 / update_rate);
    let work = Work {
        outputs: Outputs::new(&startup.node)?,
        command_output: CommandOutput::new(&startup.node, &topics, &settings.joints, period)?,
        synchronizer: Synchronizer::new(settings),
        metrics,
        inbox,
        shown: Shown::new(report.clone(), told, Arc::clone(&last_tick_ns)),
        clock,
        ros_clock,
        known: Known::new(),
        resync: None,
        has_answered: false,
        is_urgent: false,
        analysed_ns: 0,
    };
    work.outputs.tell_state(work.synchronizer.state())?;
    let views = heard.views();
    let answered = spinner.waker();
    let log = TransitionLog::new(transitions);
    let mut threads = [ros_thread(spinner, clock, heard, log, diagnostics, report.clone())?];
    let heartbeat = threads[0].heartbeat();
    // Ends before the thread above, whose spinner it wakes: what is bound later is dropped first.
    let priority = startup.parameters.get::<i64>("thread_priority") as u8;
    let ticker = Ticker::spawn(work, period, priority, move || drop(answered.trigger()))?;
    ticker.waker().into_iter().for_each(|ticker| drop(waker.set(ticker)));
    let pulse = Pulse { clock, heartbeat, last_tick_ns, views: views.clone() };
    let stale_after_ns = nanoseconds(startup.parameters.get("stale_timeout"));
    let page = Page {
        readiness: pulse.check(NOT_READY_AFTER),
        liveness: pulse.check(DEAD_AFTER),
        tables: tables(report.clone(), views.clone(), clock, stale_after_ns),
        scrape: Arc::new(TwinScrape { registry: registry.clone(), gauges, report, views, clock, stale_after_ns }),
        live: None,
    };
    serve(startup, &registry, TakeIn::auto(), page, &mut threads)
}

/// What can be checked of the parameters only all together, or with a node.
fn checked(startup: &Startup) -> Result<(Settings, Topics), Failure> {
    match (settings(&startup.parameters), Topics::resolve(startup)) {
        (Ok(settings), Ok(topics)) if topics.output_mode == OutputMode::Forward && settings.joints.is_empty() => {
            let fault = "parameter joints: is empty, must name the controller's joints in its order, since output_mode \
                         is forward";
            Err(Failure::Configuration(vec![fault.to_owned()]))
        }
        (Ok(settings), Ok(topics)) => Ok((settings, topics)),
        (settings, topics) => {
            let faults = settings.err().into_iter().chain(topics.err()).flatten();
            Err(Failure::Configuration(faults.collect()))
        }
    }
}

/// What is to be said where statistics would be of less than they are taken over, if messages came as often as ticks.
fn short_buffer(settings: &Settings, update_rate: f64) -> Option<String> {
    let wanted = settings.metrics_window_seconds * update_rate;
    (wanted > settings.buffer_size as f64).then(|| {
        format!(
            "parameter buffer_size: {} samples do not cover metrics_window of {} s where messages come as often as \
             ticks, {update_rate} a second: {wanted:.0} would; the statistics are of a shorter time",
            settings.buffer_size, settings.metrics_window_seconds
        )
    })
}

/// Wakes the ticking thread, once there is one.
fn waking(ticker: &Arc<OnceLock<TickerWaker>>) -> impl Fn() + Clone + Send + 'static {
    let ticker = Arc::clone(ticker);
    move || {
        if let Some(ticker) = ticker.get() {
            ticker.wake();
        }
    }
}

/// The thread of services and of what is looked at several times a second.
fn ros_thread(
    spinner: Spinner,
    clock: MonotonicClock,
    mut heard: Heard,
    mut log: TransitionLog,
    mut diagnostics: Diagnostics,
    report: SharedReport,
) -> Result<RosThread, Failure> {
    Ok(RosThread::spawn(spinner, clock, move |_, graph_changed, now| {
        heard.look(graph_changed, now);
        log.tell();
        diagnostics.tell(&report.read(), now);
    })?)
}

/// All that a scrape shows.
struct TwinScrape {
    registry: Registry,
    gauges: Gauges,
    report: SharedReport,
    views: [Arc<TopicView>; 2],
    clock: MonotonicClock,
    stale_after_ns: u64,
}

impl Scrape for TwinScrape {
    fn scrape(&self, out: &mut Vec<u8>) -> u64 {
        let now_ns = self.clock.now_ns();
        self.views.iter().for_each(|view| view.set_gauges(now_ns, self.stale_after_ns));
        self.gauges.show(&self.report.read());
        encode_registry(&self.registry, out)
    }
}

/// Whether the threads still turn.
struct Pulse {
    clock: MonotonicClock,
    heartbeat: Heartbeat,
    last_tick_ns: Arc<AtomicU64>,
    views: [Arc<TopicView>; Source::ALL.len()],
}

impl Pulse {
    /// Tells whether a thread has stood still, or a topic's handler has hung, for this long.
    fn check(&self, patience: Duration) -> Check {
        let (clock, heartbeat, views) = (self.clock, self.heartbeat.clone(), self.views.clone());
        let last_tick_ns = Arc::clone(&self.last_tick_ns);
        Box::new(move || {
            if heartbeat.silent_for() > patience {
                return Err("the ROS thread has stopped turning".to_owned());
            }
            let now_ns = clock.now_ns();
            let since_tick_ns = now_ns.saturating_sub(last_tick_ns.load(Ordering::Relaxed));
            if Duration::from_nanos(since_tick_ns) > patience {
                return Err("the ticking thread has stopped".to_owned());
            }
            match views.iter().find(|view| view.stuck_for(now_ns) > patience) {
                Some(view) => Err(format!("messages of {} are announced and not taken", view.name)),
                None => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_too_short_for_the_statistics_is_told_of() {
        let settings = |buffer_size| Settings { buffer_size, metrics_window_seconds: 5.0, ..Settings::default() };
        assert_eq!(short_buffer(&settings(500), 100.0), None);
        let warning = short_buffer(&settings(499), 100.0).expect("one sample less");
        assert!(warning.contains("499 samples") && warning.contains("500 would"), "{warning}");
    }
}
