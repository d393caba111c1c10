//! The services of the configuration: whether they are offered, and how long they take to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result};
use r2r::WrappedServiceTypeSupport;
use r2r::rcl_interfaces::srv::{DescribeParameters, GetParameters};
use r2r::std_srvs::srv::{Empty, SetBool, Trigger};
use ros_observer::{Client, Error, Node, ResponseInfo, Spinner};
use topic_watch::{Forget, Registrar};

use crate::metrics::{SCOPE, Scope};
use crate::parameters::Settings;
use crate::refusals::{RefusalFamilies, Refusals};

const ROUND_TRIP_BUCKETS_SECONDS: &[f64] =
    &[2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

const SERVICE: &str = "service_name";

/// Services that are asked: whoever invents names must not fill the memory.
const SERVICES_MAX: usize = 1024;

/// Every family of metrics of services.
pub(crate) struct ServiceFamilies {
    up: IntGaugeVec,
    round_trip: HistogramVec,
    timeouts: IntCounterVec,
    unsuccessful: IntCounterVec,
    refused: RefusalFamilies,
}

/// The children of one service.
#[derive(Clone)]
struct ServiceMetrics {
    up: IntGauge,
    round_trip: Histogram,
    timeouts: IntCounter,
    unsuccessful: IntCounter,
}

impl ServiceFamilies {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let labels = [&SCOPE[..], &[SERVICE]].concat();
        let of_service = Registrar::new(registry, &labels);
        let counter = |name: &str, help: &str| of_service.counter(name, help, &[]);
        Ok(Self {
            up: of_service.integer_gauge("ros_service_up", "1 while somebody offers the service.", &[])?,
            round_trip: of_service.histogram(
                "ros_service_round_trip_seconds",
                "Time from a request to its response, of the requests that were answered in time.",
                ROUND_TRIP_BUCKETS_SECONDS,
            )?,
            timeouts: counter("ros_service_timeouts_total", "Requests that were not answered in time.")?,
            unsuccessful: counter("ros_service_unsuccessful_total", "Responses that told of no success.")?,
            refused: RefusalFamilies::register(
                registry,
                "ros_services",
                "Services that are not asked, since there are too many.",
            )?,
        })
    }

    fn of_service(&self, scope: &Scope, service: &str) -> ServiceMetrics {
        let scope = scope.labels();
        let labels = &[&scope[..], &[service]].concat()[..];
        ServiceMetrics {
            up: self.up.with_label_values(labels),
            round_trip: self.round_trip.with_label_values(labels),
            timeouts: self.timeouts.with_label_values(labels),
            unsuccessful: self.unsuccessful.with_label_values(labels),
        }
    }

    fn forget(&self, scope: &Scope, service: &str) {
        let scope = scope.labels();
        let labels = &[&scope[..], &[service]].concat()[..];
        self.up.forget(labels);
        self.round_trip.forget(labels);
        self.timeouts.forget(labels);
        self.unsuccessful.forget(labels);
    }
}

/// A kind of service that can be asked: with which request, and how its response tells of success.
trait Askable: WrappedServiceTypeSupport + 'static {
    fn request() -> Self::Request;
    fn is_success(response: &Self::Response) -> bool;
}

impl Askable for Trigger::Service {
    fn request() -> Self::Request {
        Self::Request::default()
    }

    fn is_success(response: &Self::Response) -> bool {
        response.success
    }
}

impl Askable for SetBool::Service {
    fn request() -> Self::Request {
        Self::Request { data: false }
    }

    fn is_success(response: &Self::Response) -> bool {
        response.success
    }
}

impl Askable for Empty::Service {
    fn request() -> Self::Request {
        Self::Request::default()
    }

    fn is_success(_: &Self::Response) -> bool {
        true
    }
}

impl Askable for GetParameters::Service {
    fn request() -> Self::Request {
        Self::Request::default()
    }

    fn is_success(_: &Self::Response) -> bool {
        true
    }
}

impl Askable for DescribeParameters::Service {
    fn request() -> Self::Request {
        Self::Request::default()
    }

    fn is_success(_: &Self::Response) -> bool {
        true
    }
}

/// A request that was sent and not yet answered.
#[derive(Clone, Copy)]
struct Request {
    number: i64,
    at: Instant,
    timeout: Duration,
}

/// The request that an answer is waited for.
type Sent = Arc<Mutex<Option<Request>>>;

/// A client, whatever its type.
trait Ask: Send {
    fn is_offered(&self) -> std::result::Result<bool, Error>;
    fn send(&self) -> std::result::Result<i64, Error>;
}

impl<S: Askable> Ask for Client<S> {
    fn is_offered(&self) -> std::result::Result<bool, Error> {
        Client::is_offered(self)
    }

    fn send(&self) -> std::result::Result<i64, Error> {
        Client::send(self, &S::request())
    }
}

/// The requests to one service.
struct Asking {
    client: Box<dyn Ask>,
    service_type: String,
    sent: Sent,
    asked_at: Option<Instant>,
}

/// A service that is shown.
struct Known {
    metrics: ServiceMetrics,
    /// None while it cannot be asked.
    asking: Option<Asking>,
    gone_since: Option<Instant>,
    /// Why it cannot be asked, so that it is told of once.
    told: Option<String>,
}

/// The services of one domain.
pub(crate) struct Services {
    families: Arc<ServiceFamilies>,
    known: BTreeMap<String, Known>,
    /// Services beyond the limit.
    beyond: Refusals,
}

impl Services {
    pub(crate) fn new(families: Arc<ServiceFamilies>, domain: &str) -> Self {
        let told = format!("a service is not asked, nor any more: there are {SERVICES_MAX} already");
        let beyond = Refusals::new(&families.refused, domain, told);
        Self { families, known: BTreeMap::new(), beyond }
    }

    /// Takes the services that there are now.
    pub(crate) fn read(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        settings: &Settings,
        scope_of: impl Fn(&str) -> Scope,
        now: Instant,
    ) -> std::result::Result<(), Error> {
        let is_named = |name: &str| settings.services.iter().any(|named| named == name);
        let offered = if settings.asks_services() { offered(node, settings)? } else { Offered::new() };
        self.forget_unless(&scope_of, |name, known| {
            let is_gone =
                known.gone_since.is_some_and(|since| now.saturating_duration_since(since) >= settings.forget_after);
            is_named(name) || (settings.service_patterns.matches(name) && !is_gone)
        });
        let matched = offered.keys().filter(|name| settings.service_patterns.matches(name));
        let wanted: BTreeSet<&String> = settings.services.iter().chain(matched).chain(self.known.keys()).collect();
        // Those that are named come first: the others must not take their places.
        let (named, others): (Vec<_>, Vec<_>) = wanted.into_iter().cloned().partition(|name| is_named(name));
        let mut beyond = BTreeSet::new();
        for name in named.into_iter().chain(others) {
            let types = offered.get(&name).map(|types| types.iter().collect::<Vec<_>>()).unwrap_or_default();
            match self.admitted(&name, &scope_of(&name)) {
                Some(known) => known.update(node, spinner, &name, &types, now),
                None => _ = beyond.insert(name),
            }
        }
        self.beyond.refuse_only(&beyond);
        Ok(())
    }

    fn forget_unless(&mut self, scope_of: impl Fn(&str) -> Scope, is_kept: impl Fn(&str, &Known) -> bool) {
        let families = &self.families;
        self.known.retain(|name, known| {
            let is_kept = is_kept(name, known);
            if !is_kept {
                families.forget(&scope_of(name), name);
            }
            is_kept
        });
    }

    /// The service, which is shown from now on, unless there are too many.
    fn admitted(&mut self, name: &str, scope: &Scope) -> Option<&mut Known> {
        if !self.known.contains_key(name) {
            if self.known.len() >= SERVICES_MAX {
                return None;
            }
            let metrics = self.families.of_service(scope, name);
            self.known.insert(name.to_owned(), Known { metrics, asking: None, gone_since: None, told: None });
        }
        self.known.get_mut(name)
    }

    /// Asks the services whose turn it is, and gives up those that do not answer.
    pub(crate) fn look(&mut self, period: Duration, timeout: Duration, now: Instant) {
        for (name, known) in &mut self.known {
            if let Err(error) = known.look(period, timeout, now) {
                known.tell_once(name, &error.to_string());
            }
        }
    }
}

impl Known {
    /// Takes the types that the service is offered with now.
    fn update(&mut self, node: &Node, spinner: &mut Spinner, name: &str, types: &[&String], now: Instant) {
        self.metrics.up.set(i64::from(!types.is_empty()));
        self.gone_since = if types.is_empty() { self.gone_since.or(Some(now)) } else { None };
        match types {
            [] => {}
            [only] if self.asking.as_ref().is_some_and(|asking| asking.service_type == **only) => {}
            [only] => {
                // The one before goes first: a node has one type for a service.
                self.asking = None;
                match Asking::new(node, spinner, name, only, &self.metrics) {
                    Ok(asking) => self.asking = Some(asking),
                    Err(reason) => self.tell_once(name, &reason),
                }
            }
            several => self.tell_once(name, &format!("it is offered with several types: {several:?}")),
        }
    }

    fn look(&mut self, period: Duration, timeout: Duration, now: Instant) -> std::result::Result<(), Error> {
        let Some(asking) = &mut self.asking else { return Ok(()) };
        let mut sent = asking.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.is_some_and(|request| now.saturating_duration_since(request.at) >= request.timeout) {
            *sent = None;
            self.metrics.timeouts.inc();
        }
        let is_due = asking.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= period);
        if is_due && sent.is_none() && asking.client.is_offered()? {
            let at = Instant::now();
            *sent = Some(Request { number: asking.client.send()?, at, timeout });
            asking.asked_at = Some(at);
        }
        Ok(())
    }

    fn tell_once(&mut self, name: &str, reason: &str) {
        if self.told.as_deref() != Some(reason) {
            self.told = Some(reason.to_owned());
            tracing::warn!(service = name, reason, "a service cannot be asked");
        }
    }
}

impl Asking {
    /// Begins to ask a service of this type; else the reason why that cannot be done.
    fn new(
        node: &Node,
        spinner: &mut Spinner,
        name: &str,
        service_type: &str,
        metrics: &ServiceMetrics,
    ) -> std::result::Result<Self, String> {
        let sent = Sent::default();
        let client = match service_type {
            "std_srvs/srv/Trigger" => ask::<Trigger::Service>(node, spinner, name, metrics, &sent),
            "std_srvs/srv/SetBool" => ask::<SetBool::Service>(node, spinner, name, metrics, &sent),
            "std_srvs/srv/Empty" => ask::<Empty::Service>(node, spinner, name, metrics, &sent),
            "rcl_interfaces/srv/GetParameters" => ask::<GetParameters::Service>(node, spinner, name, metrics, &sent),
            "rcl_interfaces/srv/DescribeParameters" => {
                ask::<DescribeParameters::Service>(node, spinner, name, metrics, &sent)
            }
            other => return Err(format!("its type is {other}: only its presence is told")),
        };
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, service_type: service_type.to_owned(), sent, asked_at: None })
    }
}

impl Request {
    /// How long the response took to come, however long it then waited for this thread. The middleware tells by the system's
    /// clock when it came, which may have been set meanwhile: then it is the time until now.
    fn round_trip(&self, response: ResponseInfo) -> Duration {
        let elapsed = self.at.elapsed();
        let waited_ns = match response.received_timestamp_ns {
            0 => 0,
            received_ns => node_runtime::system_time_ns().saturating_sub(received_ns),
        };
        u64::try_from(waited_ns).ok().and_then(|ns| elapsed.checked_sub(Duration::from_nanos(ns))).unwrap_or(elapsed)
    }
}

/// A client whose responses count into the metrics.
fn ask<S: Askable>(
    node: &Node,
    spinner: &mut Spinner,
    name: &str,
    metrics: &ServiceMetrics,
    sent: &Sent,
) -> std::result::Result<Box<dyn Ask>, Error> {
    let (metrics, sent) = (metrics.clone(), Arc::clone(sent));
    let client = Client::<S>::new(node, name, move |info, response| {
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was given up has been counted as such.
        let Some(request) = sent.take_if(|request| request.number == info.number) else { return };
        let round_trip = request.round_trip(info);
        if round_trip > request.timeout {
            metrics.timeouts.inc();
            return;
        }
        metrics.round_trip.observe(round_trip.as_secs_f64());
        if !S::is_success(&response) {
            metrics.unsuccessful.inc();
        }
    })?;
    spinner.add_client(&client)?;
    Ok(Box::new(client))
}

/// Services by name, with the types that they are offered with.
type Offered = BTreeMap<String, BTreeSet<String>>;

/// What the nodes offer, but for this one, which would reset its own statistics, and those that are ignored. The graph's own
/// list of services has the types of clients too, this node's among them.
fn offered(node: &Node, settings: &Settings) -> std::result::Result<Offered, Error> {
    let mut offered = Offered::new();
    for peer in node.nodes()?.into_iter().filter(|peer| !node.is_named(peer) && !settings.ignores_node(peer)) {
        // One that has gone meanwhile offers nothing.
        for (name, types) in node.services_of(&peer).unwrap_or_default() {
            offered.entry(name).or_default().extend(types);
        }
    }
    Ok(offered)
}
