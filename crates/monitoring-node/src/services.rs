//! The services named in the configuration: whether they are offered, and how long they take to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};
use r2r::WrappedServiceTypeSupport;
use r2r::rcl_interfaces::srv::{DescribeParameters, GetParameters};
use r2r::std_srvs::srv::{Empty, SetBool, Trigger};
use ros_observer::{Client, Error, NamesAndTypes, Node, ResponseInfo, Spinner};
use topic_watch::Forget;

use crate::metrics::{SCOPE, Scope, registered};
use crate::parameters::Settings;

const ROUND_TRIP_BUCKETS_SECONDS: &[f64] =
    &[2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

const SERVICE: &str = "service_name";

/// Every family of metrics of services.
pub(crate) struct ServiceFamilies {
    up: IntGaugeVec,
    round_trip: HistogramVec,
    timeouts: IntCounterVec,
    unsuccessful: IntCounterVec,
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
        let counter =
            |name: &str, help: &str| registered(registry, IntCounterVec::new(Opts::new(name, help), &labels)?);
        let buckets = ROUND_TRIP_BUCKETS_SECONDS.to_vec();
        let round_trip = HistogramOpts::new(
            "ros_service_round_trip_seconds",
            "Time from a request to its response, of the requests that were answered in time.",
        );
        Ok(Self {
            up: registered(
                registry,
                IntGaugeVec::new(Opts::new("ros_service_up", "1 while somebody offers the service."), &labels)?,
            )?,
            round_trip: registered(registry, HistogramVec::new(round_trip.buckets(buckets), &labels)?)?,
            timeouts: counter("ros_service_timeouts_total", "Requests that were not answered in time.")?,
            unsuccessful: counter("ros_service_unsuccessful_total", "Responses that told of no success.")?,
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

struct Watched {
    client: Box<dyn Ask>,
    service_type: String,
    metrics: ServiceMetrics,
    sent: Sent,
    asked_at: Option<Instant>,
}

/// The services of one domain.
pub(crate) struct Services {
    families: Arc<ServiceFamilies>,
    watched: BTreeMap<String, Watched>,
    /// Those that have series.
    shown: BTreeSet<String>,
    /// Why services cannot be asked, so that each is told of once.
    refused: BTreeMap<String, String>,
}

impl Services {
    pub(crate) fn new(families: Arc<ServiceFamilies>) -> Self {
        Self { families, watched: BTreeMap::new(), shown: BTreeSet::new(), refused: BTreeMap::new() }
    }

    /// Takes the services that there are now.
    pub(crate) fn read(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        settings: &Settings,
        scope_of: impl Fn(&str) -> Scope,
    ) -> std::result::Result<(), Error> {
        for name in self.shown.iter().filter(|name| !settings.services.contains(name)).cloned().collect::<Vec<_>>() {
            self.shown.remove(&name);
            self.watched.remove(&name);
            self.refused.remove(&name);
            self.families.forget(&scope_of(&name), &name);
        }
        if settings.services.is_empty() {
            return Ok(());
        }
        let graph = node.services()?;
        for name in &settings.services {
            let offered_type = offered_type(node, &graph, name)?;
            let is_current = match (self.watched.get(name), &offered_type) {
                (Some(watched), Some(offered)) => watched.service_type == *offered,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if is_current {
                continue;
            }
            let metrics = self.families.of_service(&scope_of(name), name);
            self.shown.insert(name.clone());
            match offered_type {
                Some(offered) => {
                    // The one before goes first: a node has one type for a service.
                    self.watched.remove(name);
                    if let Err(error) = self.watch(node, spinner, name, &offered, metrics) {
                        self.tell_once(name, &error.to_string());
                    }
                }
                None => metrics.up.set(0),
            }
        }
        Ok(())
    }

    fn watch(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        name: &str,
        service_type: &str,
        metrics: ServiceMetrics,
    ) -> std::result::Result<(), Error> {
        let sent = Sent::default();
        let made = match service_type {
            "std_srvs/srv/Trigger" => ask::<Trigger::Service>(node, spinner, name, &metrics, &sent),
            "std_srvs/srv/SetBool" => ask::<SetBool::Service>(node, spinner, name, &metrics, &sent),
            "std_srvs/srv/Empty" => ask::<Empty::Service>(node, spinner, name, &metrics, &sent),
            "rcl_interfaces/srv/GetParameters" => ask::<GetParameters::Service>(node, spinner, name, &metrics, &sent),
            "rcl_interfaces/srv/DescribeParameters" => {
                ask::<DescribeParameters::Service>(node, spinner, name, &metrics, &sent)
            }
            other => {
                self.tell_once(name, &format!("its type is {other}: only its presence is told"));
                metrics.up.set(1);
                return Ok(());
            }
        };
        let service_type = service_type.to_owned();
        self.watched.insert(name.to_owned(), Watched { client: made?, service_type, metrics, sent, asked_at: None });
        Ok(())
    }

    fn tell_once(&mut self, name: &str, reason: &str) {
        if self.refused.insert(name.to_owned(), reason.to_owned()).as_deref() != Some(reason) {
            tracing::warn!(service = name, reason, "a service cannot be asked");
        }
    }

    /// Asks the services whose turn it is, and gives up those that do not answer.
    pub(crate) fn look(&mut self, period: Duration, timeout: Duration, now: Instant) {
        for (name, watched) in &mut self.watched {
            if let Err(error) = watched.look(period, timeout, now) {
                tracing::warn!(service = name, %error, "a service cannot be asked");
            }
        }
    }
}

impl Watched {
    fn look(&mut self, period: Duration, timeout: Duration, now: Instant) -> std::result::Result<(), Error> {
        let is_offered = self.client.is_offered()?;
        self.metrics.up.set(i64::from(is_offered));
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.is_some_and(|request| now.saturating_duration_since(request.at) >= request.timeout) {
            *sent = None;
            self.metrics.timeouts.inc();
        }
        let is_due = self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= period);
        if is_offered && is_due && sent.is_none() {
            let at = Instant::now();
            *sent = Some(Request { number: self.client.send()?, at, timeout });
            self.asked_at = Some(at);
        }
        Ok(())
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

/// The type that a service is offered with; none where nobody offers it, or servers disagree.
///
/// The graph has the types of clients too, this node's own among them: where it knows several, the nodes are asked for what
/// they offer.
fn offered_type(node: &Node, graph: &NamesAndTypes, name: &str) -> std::result::Result<Option<String>, Error> {
    let mut types: BTreeSet<String> = graph.get(name).into_iter().flatten().cloned().collect();
    if types.len() > 1 {
        types.clear();
        for peer in node.nodes()? {
            // One that has gone meanwhile offers nothing.
            let offered = node.services_of(&peer).unwrap_or_default();
            types.extend(offered.get(name).into_iter().flatten().cloned());
        }
    }
    Ok(types.pop_first().filter(|_| types.is_empty()))
}
