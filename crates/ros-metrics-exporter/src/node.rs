//! The wiring: parameters to subscriptions, subscriptions to metrics, metrics to the web.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exposition::{Scrape, Table, encode_registry};
use node_runtime::{Check, Failure, Heartbeat, MonotonicClock, Page, RosClock, RosThread, Startup, nanoseconds, serve};
use prometheus::Registry;
use r2r::ParameterValue;
use ros_observer::{Spinner, TakeIn};

use crate::joint_series::{self, TopicSeries};
use crate::metrics::Families;
use crate::parameters::{FORGET_AFTER, STALE_AFTER, qos};
use crate::topic::{Topic, TopicView, Watch};

/// Nothing was taken, or the ROS thread has not turned, for this long: not ready.
const NOT_READY_AFTER: Duration = Duration::from_secs(5);

/// And for this long: only a restart will help.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// A topic that the node itself publishes, with another type.
const OWN_TOPIC: &str = "/parameter_events";

/// How long `/clock` may be silent before the log says so.
const CLOCK_WITHIN: Duration = Duration::from_secs(5);

/// Runs the node until it is asked to stop.
pub(crate) fn run(startup: Startup) -> Result<(), Failure> {
    let clock = MonotonicClock::new();
    let registry = Registry::new();
    let (names, take_in) = checked(&startup)?;
    let mut spinner = Spinner::new(&startup.node)?;
    let ros_clock = RosClock::as_configured(&startup, &mut spinner, take_in)?;
    let mut topics = watch(&startup, &mut spinner, &registry, clock, &ros_clock, names, take_in)?;
    let exporter = Arc::new(JointExporter {
        clock,
        stale_after_ns: AtomicU64::new(nanoseconds(startup.parameters.get(STALE_AFTER))),
        series: Mutex::new(
            topics.iter().map(|topic| TopicSeries::new(topic.view().name(), topic.view().board.clone())).collect(),
        ),
        topics: topics.iter().map(Topic::view).collect(),
        registry: registry.clone(),
    });
    let settings = Arc::clone(&exporter);
    startup.parameters.offer(&startup.node, &mut spinner, move |name, value| settings.set(name, value))?;

    let mut silence = ClockSilence { ros_clock, since: Instant::now(), told: false };
    let thread = RosThread::spawn(spinner, clock, move |_, graph_changed, now| {
        silence.look(now);
        for topic in &mut topics {
            if let Err(error) = topic.look(graph_changed, now) {
                tracing::warn!(%error, "the publishers of a topic are not known");
            }
        }
    })?;
    let page = Page {
        scrape: exporter.clone(),
        readiness: works(&exporter, thread.heartbeat(), NOT_READY_AFTER),
        liveness: works(&exporter, thread.heartbeat(), DEAD_AFTER),
        tables: tables(&exporter),
        live: None,
    };
    serve(startup, &registry, take_in, page, &mut [thread])
}

/// What can be checked of the parameters only with a node: the full names of the topics, and where messages are taken.
fn checked(startup: &Startup) -> Result<(Vec<String>, TakeIn), Failure> {
    let mut faults = Vec::new();
    let names = resolved_topics(startup, &mut faults);
    let take_in = match startup.parameters.get::<String>("take_in").as_str() {
        "callback" => TakeIn::Callback,
        "wait_set" => TakeIn::WaitSet,
        _ => TakeIn::auto(),
    };
    if let Err(error) = take_in.check() {
        faults.push(format!("parameter take_in: {error}"));
    }
    if faults.is_empty() { Ok((names, take_in)) } else { Err(Failure::Configuration(faults)) }
}

/// Says once that messages have no age because `/clock` is silent.
struct ClockSilence {
    ros_clock: RosClock,
    since: Instant,
    told: bool,
}

impl ClockSilence {
    fn look(&mut self, now: Instant) {
        if !self.told && self.ros_clock.is_waiting() && now.saturating_duration_since(self.since) >= CLOCK_WITHIN {
            tracing::warn!("nothing on /clock yet: with use_sim_time, messages have no age before it");
            self.told = true;
        }
    }
}

fn watch(
    startup: &Startup,
    spinner: &mut Spinner,
    registry: &Registry,
    clock: MonotonicClock,
    ros_clock: &RosClock,
    names: Vec<String>,
    take_in: TakeIn,
) -> Result<Vec<Topic>, Failure> {
    let parameters = &startup.parameters;
    let with = Watch {
        node: &startup.node,
        families: &Families::register(registry)?,
        clock,
        ros_clock,
        qos: qos(parameters),
        take_in,
        max_joints: parameters.get::<i64>("max_joints") as u32,
        forget_after_ns: nanoseconds(parameters.get(FORGET_AFTER)),
    };
    let mut topics = Vec::new();
    for name in names {
        let topic = Topic::watch(&with, name)?;
        spinner.add_subscription(topic.subscription());
        topics.push(topic);
    }
    Ok(topics)
}

/// The full names of the parameter `topics`: the middleware knows those after remapping, and the metrics carry them.
fn resolved_topics(startup: &Startup, faults: &mut Vec<String>) -> Vec<String> {
    let mut resolved: Vec<String> = Vec::new();
    for topic in startup.parameters.get::<Vec<String>>("topics") {
        match startup.node.resolve_topic(&topic) {
            Ok(name) if startup.node.resolve_topic(OWN_TOPIC).is_ok_and(|own| own == name) => {
                faults.push(format!("parameter topics: {topic:?}: every node publishes its parameters there"));
            }
            Ok(name) if !resolved.contains(&name) => resolved.push(name),
            Ok(name) => {
                faults.push(format!("parameter topics: {topic:?} is {name} in full, which stands there already"));
            }
            Err(error) => faults.push(format!("parameter topics: {topic:?}: {error}")),
        }
    }
    resolved
}

/// What a scrape shows.
struct JointExporter {
    clock: MonotonicClock,
    stale_after_ns: AtomicU64,
    topics: Vec<Arc<TopicView>>,
    series: Mutex<Vec<TopicSeries>>,
    registry: Registry,
}

impl JointExporter {
    fn set(&self, name: &str, value: &ParameterValue) {
        let ParameterValue::Double(seconds) = value else { return };
        match name {
            STALE_AFTER => self.stale_after_ns.store(nanoseconds(*seconds), Ordering::Relaxed),
            FORGET_AFTER => self.topics.iter().for_each(|topic| topic.board.set_forget_after_ns(nanoseconds(*seconds))),
            _ => {}
        }
    }
}

impl Scrape for JointExporter {
    /// The counters are read before the joints: a scrape shows every message that it counts. The time is read once, so
    /// that the topic's status and its joints agree on what is stale.
    fn scrape(&self, out: &mut Vec<u8>) -> u64 {
        let stale_after_ns = self.stale_after_ns.load(Ordering::Relaxed);
        let now_ns = self.clock.now_ns();
        for topic in &self.topics {
            topic.set_gauges(now_ns, stale_after_ns);
        }
        let counted = encode_registry(&self.registry, out);
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, series) in self.topics.iter().zip(all.iter_mut()) {
            if !series.refresh(now_ns) {
                topic.metrics.torn.inc();
            }
        }
        counted + joint_series::append(&all, stale_after_ns, out)
    }
}

/// Tells whether the ROS thread has stood still, or a topic's handler has hung, for this long. The subscriptions exist
/// before anybody can ask.
fn works(exporter: &Arc<JointExporter>, heartbeat: Heartbeat, patience: Duration) -> Check {
    let exporter = Arc::clone(exporter);
    Box::new(move || {
        if heartbeat.silent_for() > patience {
            return Err("the ROS thread has stopped turning".to_owned());
        }
        match exporter.topics.iter().find(|topic| topic.stuck_for(exporter.clock.now_ns()) > patience) {
            Some(topic) => Err(format!("messages of {} are announced and not taken", topic.name())),
            None => Ok(()),
        }
    })
}

fn tables(exporter: &Arc<JointExporter>) -> Arc<dyn Fn() -> Vec<Table> + Send + Sync> {
    let exporter = Arc::clone(exporter);
    Arc::new(move || {
        let stale_after_ns = exporter.stale_after_ns.load(Ordering::Relaxed);
        let now_ns = exporter.clock.now_ns();
        let row = |topic: &Arc<TopicView>| {
            let status = topic.status(now_ns, stale_after_ns).name().to_owned();
            let publishers = topic.publishers().matched.to_string();
            vec![topic.name().to_owned(), status, publishers, topic.metrics.topic.messages.get().to_string()]
        };
        vec![Table {
            heading: "Topics".to_owned(),
            columns: ["Topic", "Status", "Publishers", "Messages"].map(str::to_owned).to_vec(),
            rows: exporter.topics.iter().map(row).collect(),
        }]
    })
}
