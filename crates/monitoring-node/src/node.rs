//! The wiring: parameters to what is watched, what is watched to metrics and diagnostics, metrics to the web.

use std::sync::Arc;
use std::time::Duration;

use exposition::{Scrape, Table, encode_registry};
use node_runtime::{Check, Failure, Heartbeat, MonotonicClock, Page, RosThread, Startup, serve};
use prometheus::Registry;
use r2r::std_srvs::srv::Trigger;
use ros_observer::{Context, Node, Service, Spinner, TakeIn};

use crate::gpu::Gpus;
use crate::host::Host;
use crate::live::{Audience, live};
use crate::metrics::{Together, lock};
use crate::nodes::NodeReport;
use crate::topic::Report;
use crate::watch::{AllFamilies, Domain, Orders, Reports};

/// A ROS thread has not turned, or messages of a topic were not taken, for this long: not ready.
const NOT_READY_AFTER: Duration = Duration::from_secs(5);

/// And for this long: only a restart will help.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// Runs the node until it is asked to stop.
pub(crate) fn run(startup: Startup) -> Result<(), Failure> {
    let clock = MonotonicClock::new();
    let registry = Registry::new();
    let machine = Registry::new();
    machine.register(Box::new(Host::new()?))?;
    machine.register(Box::new(Gpus::new()?))?;
    let families = AllFamilies::register(&registry)?;
    let mut spinner = Spinner::new(&startup.node)?;
    let audience = Arc::<Audience>::default();
    let mut domains = domains(&startup, &families, clock, &audience)?;
    let reports: Vec<_> = domains.iter().map(Domain::reports).collect();
    let orders: Vec<_> = domains.iter().map(Domain::orders).collect();
    offer_reset(&startup.node, &mut spinner, orders.clone())?;
    startup.parameters.offer(&startup.node, &mut spinner, move |_, _| orders.iter().for_each(|orders| orders.set()))?;

    let own = domains.iter().position(|domain| domain.is_of(&startup.node)).map(|own| domains.swap_remove(own));
    let mut threads = vec![turn(spinner, clock, own)?];
    for domain in domains {
        threads.push(turn(Spinner::new(domain.node())?, clock, Some(domain))?);
    }
    let heartbeats: Vec<_> = threads.iter().map(RosThread::heartbeat).collect();
    let page = Page {
        scrape: Arc::new(RegistryScrape { registry: registry.clone(), machine, together: families.together }),
        readiness: works(&reports, &heartbeats, NOT_READY_AFTER),
        liveness: works(&reports, &heartbeats, DEAD_AFTER),
        tables: tables(reports.clone()),
        live: Some(live(reports, heartbeats, audience, clock)),
    };
    serve(startup, &registry, TakeIn::auto(), page, &mut threads)
}

/// Offers the service `~/reset_statistics`.
fn offer_reset(node: &Node, spinner: &mut Spinner, orders: Vec<Arc<Orders>>) -> Result<(), Failure> {
    let reset = move |_: Trigger::Request| {
        orders.iter().for_each(|orders| orders.reset());
        Trigger::Response { success: true, message: "rates, jitter and losses are counted anew".to_owned() }
    };
    let service = Service::<Trigger::Service>::new(node, "~/reset_statistics", reset)?;
    Ok(spinner.add_service(service)?)
}

/// Starts the thread of a domain; one that is not watched has the parameter services alone.
fn turn(spinner: Spinner, clock: MonotonicClock, domain: Option<Domain>) -> Result<RosThread, Failure> {
    let mut domain = domain;
    Ok(RosThread::spawn(spinner, clock, move |spinner, graph_changed, now| {
        if let Some(domain) = &mut domain {
            domain.look(spinner, graph_changed, now);
        }
    })?)
}

/// The domains that are watched: those of the parameter, else this node's own.
fn domains(
    startup: &Startup,
    families: &AllFamilies,
    clock: MonotonicClock,
    audience: &Arc<Audience>,
) -> Result<Vec<Domain>, Failure> {
    let own_id = startup.node.context().domain_id();
    let mut ids: Vec<_> = startup.parameters.get::<Vec<i64>>("domains").into_iter().map(|id| id as usize).collect();
    if ids.is_empty() {
        ids.push(own_id);
    }
    let full_name = startup.node.fully_qualified_name();
    let (namespace, name) = full_name.rsplit_once('/').unwrap_or_default();
    let namespace = if namespace.is_empty() { "/" } else { namespace };
    let mut domains = Vec::new();
    for id in ids {
        let node = if id == own_id {
            startup.node.clone()
        } else {
            Node::new(&Context::new(&[], Some(id))?, name, namespace)?
        };
        domains.push(Domain::new(node, families, &startup.parameters, clock, audience)?);
    }
    Ok(domains)
}

/// All that a scrape shows is in one of the registries.
struct RegistryScrape {
    registry: Registry,
    /// What is read when a scrape asks for it, for which the ROS threads do not wait.
    machine: Registry,
    together: Together,
}

impl Scrape for RegistryScrape {
    fn scrape(&self, out: &mut Vec<u8>) -> u64 {
        let of_machine = encode_registry(&self.machine, out);
        let _together = lock(&self.together);
        of_machine + encode_registry(&self.registry, out)
    }
}

/// Tells whether a ROS thread has stood still, or a topic's handler has hung, for this long.
fn works(reports: &[Reports], heartbeats: &[Heartbeat], patience: Duration) -> Check {
    let (reports, heartbeats) = (reports.to_vec(), heartbeats.to_vec());
    Box::new(move || {
        if heartbeats.iter().any(|heartbeat| heartbeat.silent_for() > patience) {
            return Err("a ROS thread has stopped turning".to_owned());
        }
        for reports in &reports {
            if let Some(report) = reports.read().topics.iter().find(|report| report.stuck_for > patience) {
                return Err(format!("messages of {} are announced and not taken", report.name));
            }
        }
        Ok(())
    })
}

fn tables(reports: Vec<Reports>) -> Arc<dyn Fn() -> Vec<Table> + Send + Sync> {
    Arc::new(move || reports.iter().flat_map(tables_of).collect())
}

fn tables_of(reports: &Reports) -> [Table; 2] {
    let known = reports.read();
    let topics = Table {
        heading: format!("Topics of domain {}", known.domain),
        columns: ["Topic", "Type", "Status", "Reason", "Publishers", "Rate (Hz)"].map(str::to_owned).to_vec(),
        rows: known.topics.iter().map(row).collect(),
    };
    let nodes = Table {
        heading: format!("Nodes of domain {}", known.domain),
        columns: ["Node", "Status", "Restarts"].map(str::to_owned).to_vec(),
        rows: known.nodes.iter().map(node_row).collect(),
    };
    [topics, nodes]
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
