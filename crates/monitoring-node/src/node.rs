//! The wiring: parameters to what is watched, what is watched to metrics and diagnostics, metrics to the web.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use exposition::{Scrape, Table, encode_registry};
use node_runtime::{Check, Failure, Heartbeat, MonotonicClock, Page, RosThread, Startup, serve};
use prometheus::Registry;
use ros_observer::{Spinner, TakeIn};

use crate::diagnostics::Diagnostics;
use crate::intake::DomainClocks;
use crate::metrics::{Families, Together, lock};
use crate::nodes::{NodeFamilies, NodeReport, Nodes};
use crate::parameters::Settings;
use crate::services::{ServiceFamilies, Services};
use crate::topic::{Report, Watch};
use crate::watch::{Changed, Domain, Reports};

/// The ROS thread has not turned, or messages of a topic were not taken, for this long: not ready.
const NOT_READY_AFTER: Duration = Duration::from_secs(5);

/// And for this long: only a restart will help.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// Runs the node until it is asked to stop.
pub(crate) fn run(startup: Startup) -> Result<(), Failure> {
    let clock = MonotonicClock::new();
    let registry = Registry::new();
    let mut spinner = Spinner::new(&startup.node)?;
    let (changed, reports) = (Changed::default(), Reports::default());
    let together = Together::default();
    let families = Arc::new(Families::register(&registry, &together)?);
    let nodes = Arc::new(NodeFamilies::register(&registry, &together)?);
    let services = Arc::new(ServiceFamilies::register(&registry)?);
    let mut domain = domain(&startup, clock, families, &changed, &reports, nodes, services)?;

    let parameters = startup.parameters.clone();
    startup.parameters.offer(&startup.node, &mut spinner, move |_, _| {
        *changed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Settings::read(&parameters));
    })?;
    let mut thread = RosThread::spawn(spinner, clock, move |spinner, changed, now| domain.look(spinner, changed, now))?;
    let page = Page {
        scrape: Arc::new(RegistryScrape { registry: registry.clone(), together }),
        readiness: works(&reports, thread.heartbeat(), NOT_READY_AFTER),
        liveness: works(&reports, thread.heartbeat(), DEAD_AFTER),
        tables: tables(reports),
    };
    serve(startup, &registry, TakeIn::auto(), page, &mut thread)
}

fn domain(
    startup: &Startup,
    clock: MonotonicClock,
    families: Arc<Families>,
    changed: &Changed,
    reports: &Reports,
    nodes: Arc<NodeFamilies>,
    services: Arc<ServiceFamilies>,
) -> Result<Domain, Failure> {
    let own_name = startup.node.fully_qualified_name();
    Ok(Domain {
        watch: Watch {
            node: startup.node.clone(),
            clock,
            clocks: Arc::new(DomainClocks::new()),
            take_in: TakeIn::auto(),
        },
        name: startup.node.context().domain_id().to_string(),
        own_name: own_name.clone(),
        settings: Settings::read(&startup.parameters),
        changed: Arc::clone(changed),
        families,
        diagnostics: Diagnostics::new(&startup.node)?,
        reports: reports.clone(),
        topics: BTreeMap::new(),
        nodes: Nodes::new(nodes, &own_name),
        services: Services::new(services),
        refused: BTreeSet::new(),
        read_at: None,
        is_changed: true,
    })
}

/// All that a scrape shows is in the registry.
struct RegistryScrape {
    registry: Registry,
    together: Together,
}

impl Scrape for RegistryScrape {
    fn scrape(&self, out: &mut Vec<u8>) -> u64 {
        let _together = lock(&self.together);
        encode_registry(&self.registry, out)
    }
}

/// Tells whether the ROS thread has stood still, or a topic's handler has hung, for this long.
fn works(reports: &Reports, heartbeat: Heartbeat, patience: Duration) -> Check {
    let reports = reports.clone();
    Box::new(move || {
        if heartbeat.silent_for() > patience {
            return Err("the ROS thread has stopped turning".to_owned());
        }
        match reports.read().topics.iter().find(|report| report.stuck_for > patience) {
            Some(report) => Err(format!("messages of {} are announced and not taken", report.name)),
            None => Ok(()),
        }
    })
}

fn tables(reports: Reports) -> Arc<dyn Fn() -> Vec<Table> + Send + Sync> {
    Arc::new(move || {
        let known = reports.read();
        let topics = Table {
            heading: "Topics".to_owned(),
            columns: ["Topic", "Type", "Status", "Reason", "Publishers", "Rate (Hz)"].map(str::to_owned).to_vec(),
            rows: known.topics.iter().map(row).collect(),
        };
        let nodes = Table {
            heading: "Nodes".to_owned(),
            columns: ["Node", "Status", "Restarts"].map(str::to_owned).to_vec(),
            rows: known.nodes.iter().map(node_row).collect(),
        };
        vec![topics, nodes]
    })
}

fn node_row(report: &NodeReport) -> Vec<String> {
    let status = match report.instances {
        0 => "gone".to_owned(),
        1 => "up".to_owned(),
        count => format!("{count} of this name"),
    };
    vec![report.name.clone(), status, report.restarts.to_string()]
}

fn row(report: &Report) -> Vec<String> {
    vec![
        report.name.clone(),
        report.message_type.clone(),
        report.status.name().to_owned(),
        report.reason.clone(),
        report.publishers.to_string(),
        report.rate_hz.map_or_else(String::new, |rate_hz| format!("{rate_hz:.2}")),
    ]
}
