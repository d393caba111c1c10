//! The wiring: parameters to subscriptions, subscriptions to metrics, metrics to the web.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use exposition::{Scrape, Table, encode_registry};
use node_runtime::{Failure, Heartbeat, MonotonicClock, Page, RosClock, RosThread, Startup, serve};
use prometheus::Registry;
use r2r::ParameterValue;
use ros_observer::{Spinner, TakeIn};

use crate::joint_series::{self, TopicSeries};
use crate::metrics::Families;
use crate::parameters::{FORGET_AFTER, STALE_AFTER, nanoseconds, qos};
use crate::topic::{Topic, TopicView, Watch};

/// Runs the node until it is asked to stop.
pub(crate) fn run(startup: Startup) -> Result<(), Failure> {
    let clock = MonotonicClock::new();
    let registry = Registry::new();
    let take_in = take_in(&startup);
    let mut spinner = Spinner::new(&startup.node)?;
    let mut topics = watch(&startup, &mut spinner, &registry, clock, take_in)?;
    let exporter = Arc::new(JointExporter {
        clock,
        stale_after_ns: AtomicU64::new(nanoseconds(startup.parameters.get(STALE_AFTER))),
        series: Mutex::new(
            topics.iter().map(|topic| TopicSeries::new(&topic.view().name, topic.view().board.clone())).collect(),
        ),
        topics: topics.iter().map(Topic::view).collect(),
        registry: registry.clone(),
    });
    let settings = Arc::clone(&exporter);
    startup.parameters.offer(&startup.node, &mut spinner, move |name, value| settings.set(name, value))?;

    let mut thread = RosThread::spawn(spinner, clock, move |graph_changed, now| {
        for topic in &mut topics {
            if let Err(error) = topic.look(graph_changed, now) {
                tracing::warn!(%error, "the publishers of a topic are not known");
            }
            topic.tell_faults(now);
        }
    })?;
    let page = Page {
        scrape: exporter.clone(),
        readiness: readiness(&exporter, thread.heartbeat()),
        tables: tables(&exporter),
    };
    serve(startup, &registry, take_in, page, &mut thread)
}

fn take_in(startup: &Startup) -> TakeIn {
    match startup.parameters.get::<String>("take_in").as_str() {
        "callback" => TakeIn::Callback,
        "wait_set" => TakeIn::WaitSet,
        _ => TakeIn::auto(),
    }
}

fn watch(
    startup: &Startup,
    spinner: &mut Spinner,
    registry: &Registry,
    clock: MonotonicClock,
    take_in: TakeIn,
) -> Result<Vec<Topic>, Failure> {
    let parameters = &startup.parameters;
    let simulated = parameters.get::<bool>("use_sim_time");
    let ros_clock = if simulated { RosClock::simulated(&startup.node, spinner, take_in)? } else { RosClock::system() };
    let with = Watch {
        node: &startup.node,
        families: &Families::register(registry)?,
        clock,
        ros_clock: &ros_clock,
        qos: qos(parameters),
        take_in,
        max_joints: parameters.get::<i64>("max_joints") as u32,
        forget_after_ns: nanoseconds(parameters.get(FORGET_AFTER)),
    };
    let mut topics = Vec::new();
    for name in resolved_topics(startup)? {
        let topic = Topic::watch(&with, name)?;
        spinner.add_subscription(topic.subscription());
        topics.push(topic);
    }
    Ok(topics)
}

/// The full names of the parameter `topics`: the middleware knows those after remapping, and the metrics carry them.
fn resolved_topics(startup: &Startup) -> Result<Vec<String>, Failure> {
    let mut resolved: Vec<String> = Vec::new();
    for topic in startup.parameters.get::<Vec<String>>("topics") {
        let fault = match startup.node.resolve_topic(&topic) {
            Ok(name) if !resolved.contains(&name) => {
                resolved.push(name);
                continue;
            }
            Ok(name) => format!("{topic:?} is {name} in full, which stands there already"),
            Err(error) => format!("{topic:?}: {error}"),
        };
        return Err(Failure::Configuration(vec![format!("parameter topics: {fault}")]));
    }
    Ok(resolved)
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

/// Ready while the ROS thread turns and no topic's handler hangs. The subscriptions exist before anybody can ask.
fn readiness(exporter: &Arc<JointExporter>, heartbeat: Heartbeat) -> Box<dyn Fn() -> Result<(), String> + Send + Sync> {
    let exporter = Arc::clone(exporter);
    Box::new(move || {
        if !heartbeat.is_turning() {
            return Err("the ROS thread has stopped turning".to_owned());
        }
        match exporter.topics.iter().find(|topic| topic.is_stuck(exporter.clock.now_ns())) {
            Some(topic) => Err(format!("messages of {} are announced and not taken", topic.name)),
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
            vec![topic.name.clone(), status, publishers, topic.metrics.messages.get().to_string()]
        };
        vec![Table {
            heading: "Topics".to_owned(),
            columns: ["Topic", "Status", "Publishers", "Messages"].map(str::to_owned).to_vec(),
            rows: exporter.topics.iter().map(row).collect(),
        }]
    })
}
