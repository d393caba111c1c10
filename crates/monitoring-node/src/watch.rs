//! One ROS domain: which topics there are, and who looks at them when.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use node_runtime::{Diagnostics, MonotonicClock, Parameters};
use prometheus::Registry;
use ros_observer::{Error, Node, Spinner, TakeIn};
use topic_watch::TopicStatus;

use crate::diagnostics::statuses;
use crate::foreign_diagnostics::{DiagnosticFamilies, ForeignDiagnostics};
use crate::intake::DomainClocks;
use crate::joints::{JointLimits, LimitFamilies};
use crate::live::{Audience, Synchronizer};
use crate::metrics::{Families, Scope, Together};
use crate::nodes::{NodeFamilies, NodeReport, Nodes};
use crate::parameters::Settings;
use crate::publishers::{PublisherFamilies, Publishers};
use crate::refusals::Refusals;
use crate::services::{ServiceFamilies, Services};
use crate::topic::{Arriving, CLOCK, Endpoints, Report, Topic, Watch};

/// The graph is read at most this often, however much it changes: reading it costs something for every topic.
const READ_EVERY: Duration = Duration::from_millis(250);

/// And at least this often: names of nodes come after their endpoints, and tell of no change.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How long the node of an endpoint may come after it.
const NAMED_WITHIN: Duration = Duration::from_secs(1);

/// What is known of a domain.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) domain: String,
    pub(crate) topics: Vec<Report>,
    /// Of each of the topics.
    pub(crate) arriving: Vec<Arriving>,
    pub(crate) nodes: Vec<NodeReport>,
    pub(crate) synchronizers: Vec<Synchronizer>,
}

/// What is known of a domain, for those who ask from other threads: whoever reads it, for however long, keeps nobody waiting.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Arc<Known>>>);

impl Reports {
    /// As of the last look.
    pub(crate) fn read(&self) -> Arc<Known> {
        Arc::clone(&self.lock())
    }

    fn write(&self, known: Known) {
        let known = Arc::new(known);
        // What was known before is dropped when the lock is free again.
        let _before = mem::replace(&mut *self.lock(), known);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What other threads ask of a domain's own.
#[derive(Default)]
pub(crate) struct Orders {
    is_set: AtomicBool,
    is_reset: AtomicBool,
}

impl Orders {
    /// From the next look on, the parameters hold as they are then: many can be set at once.
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
    }

    /// With the next look, statistics begin anew.
    pub(crate) fn reset(&self) {
        self.is_reset.store(true, Ordering::Relaxed);
    }
}

/// Every family of metrics, for all domains.
pub(crate) struct AllFamilies {
    pub(crate) together: Together,
    topics: Arc<Families>,
    publishers: Arc<PublisherFamilies>,
    nodes: Arc<NodeFamilies>,
    services: Arc<ServiceFamilies>,
    diagnostics: Arc<DiagnosticFamilies>,
    limits: Arc<LimitFamilies>,
}

impl AllFamilies {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let together = Together::default();
        Ok(Self {
            topics: Arc::new(Families::register(registry, &together)?),
            publishers: Arc::new(PublisherFamilies::register(registry)?),
            nodes: Arc::new(NodeFamilies::register(registry, &together)?),
            services: Arc::new(ServiceFamilies::register(registry)?),
            diagnostics: Arc::new(DiagnosticFamilies::register(registry, &together)?),
            limits: Arc::new(LimitFamilies::register(registry, &together)?),
            together,
        })
    }
}

/// A domain as its ROS thread sees it.
pub(crate) struct Domain {
    watch: Watch,
    name: String,
    parameters: Parameters,
    settings: Settings,
    orders: Arc<Orders>,
    families: Arc<Families>,
    publishers: Arc<PublisherFamilies>,
    diagnostics: Diagnostics,
    reports: Reports,
    topics: BTreeMap<String, Topic>,
    nodes: Nodes,
    services: Services,
    foreign_diagnostics: ForeignDiagnostics,
    joint_limits: JointLimits,
    /// Topics beyond the limit.
    refused: Refusals,
    /// Topics whose nodes are not known yet, since when.
    nameless: BTreeMap<String, Instant>,
    read_at: Option<Instant>,
    is_changed: bool,
}

impl Domain {
    /// The domain of this node.
    pub(crate) fn new(
        node: Node,
        families: &AllFamilies,
        parameters: &Parameters,
        clock: MonotonicClock,
        audience: &Arc<Audience>,
    ) -> Result<Self, Error> {
        let own_name = node.fully_qualified_name();
        let name = node.context().domain_id().to_string();
        let told = "a topic is not watched, nor any more: there are max_topics already";
        Ok(Self {
            parameters: parameters.clone(),
            settings: Settings::read(parameters),
            orders: Arc::default(),
            families: Arc::clone(&families.topics),
            publishers: Arc::clone(&families.publishers),
            diagnostics: Diagnostics::new(&node)?,
            reports: Reports::default(),
            topics: BTreeMap::new(),
            nodes: Nodes::new(Arc::clone(&families.nodes), &name),
            services: Services::new(Arc::clone(&families.services), &name),
            foreign_diagnostics: ForeignDiagnostics::new(Arc::clone(&families.diagnostics), &name, &own_name),
            joint_limits: JointLimits::new(Arc::clone(&families.limits), &name, clock),
            refused: Refusals::new(&families.topics.refused, &name, told),
            nameless: BTreeMap::new(),
            read_at: None,
            is_changed: true,
            watch: Watch {
                node,
                clock,
                clocks: Arc::new(DomainClocks::new()),
                take_in: TakeIn::auto(),
                audience: Arc::clone(audience),
            },
            name,
        })
    }

    pub(crate) fn node(&self) -> &Node {
        &self.watch.node
    }

    /// Whether it is the domain of this node.
    pub(crate) fn is_of(&self, node: &Node) -> bool {
        self.watch.node.context().domain_id() == node.context().domain_id()
    }

    /// What is known of it, for other threads.
    pub(crate) fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// Where other threads ask something of it.
    pub(crate) fn orders(&self) -> Arc<Orders> {
        Arc::clone(&self.orders)
    }

    /// Looks at everything. Runs on the ROS thread, several times a second.
    pub(crate) fn look(&mut self, spinner: &mut Spinner, graph_changed: bool, now: Instant) {
        self.take_orders();
        self.is_changed |= graph_changed;
        if self.is_due(now) {
            if let Err(error) = self.read_graph(spinner, now) {
                tracing::warn!(%error, "the graph cannot be read");
            }
            (self.read_at, self.is_changed) = (Some(now), false);
        }
        self.forget_what_is_gone(now);
        self.joint_limits.look(self.watch.clock.nanoseconds(now));
        let has_changed = self.look_at_topics(now);
        let known = self.known(now);
        self.diagnostics.tell(has_changed, now, |node| statuses(&known, node));
        self.reports.write(known);
        // Last, so that the thread waits for the answers next.
        self.services.look(self.settings.service_period, self.settings.service_timeout, now);
    }

    fn known(&self, now: Instant) -> Known {
        Known {
            domain: self.name.clone(),
            topics: self.topics.values().map(|topic| topic.report.clone()).collect(),
            arriving: self.topics.values().map(Topic::arriving).collect(),
            nodes: self.nodes.reports(),
            synchronizers: self.foreign_diagnostics.synchronizers(now),
        }
    }

    /// Judges every topic; returns whether the state of one has changed.
    fn look_at_topics(&mut self, now: Instant) -> bool {
        let now_ns = self.watch.clock.nanoseconds(now);
        let mut has_changed = false;
        for topic in self.topics.values_mut() {
            topic.look_at_progress(now_ns);
            let (status, was_alarm) = (topic.report.status, topic.report.is_alarm());
            topic.look(now, now_ns);
            has_changed |= status != topic.report.status;
            log(status, was_alarm, &topic.report);
        }
        has_changed
    }

    fn forget_what_is_gone(&mut self, now: Instant) {
        let patience = self.settings.forget_after;
        let is_gone = |topic: &Topic| !topic.report.expectation.is_required && topic.is_gone_for(patience, now);
        let gone: Vec<_> =
            self.topics.iter().filter(|(_, topic)| is_gone(topic)).map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| self.forget(name));
        let scope_of = |name: &str| scope(&self.settings, &self.name, name);
        self.nodes.forget_those_gone_for(patience, scope_of, now);
        self.foreign_diagnostics.look(patience, scope_of, now);
    }

    fn take_orders(&mut self) {
        if self.orders.is_reset.swap(false, Ordering::Relaxed) {
            self.topics.values_mut().for_each(Topic::reset);
        }
        if !self.orders.is_set.swap(false, Ordering::Relaxed) {
            return;
        }
        self.settings = Settings::read(&self.parameters);
        for (name, topic) in &mut self.topics {
            topic.expect(self.settings.expectation(name));
        }
        self.is_changed = true;
    }

    fn is_due(&self, now: Instant) -> bool {
        let since = self.read_at.map(|at| now.saturating_duration_since(at));
        since.is_none_or(|since| since >= READ_AGAIN_AFTER || (self.is_changed && since >= READ_EVERY))
    }

    fn read_graph(&mut self, spinner: &mut Spinner, now: Instant) -> Result<(), Error> {
        self.watch.clocks.set_started_at_ns(started_at_ns());
        let graph = self.watch.node.topics()?;
        let mut names: BTreeSet<&str> = graph.keys().map(String::as_str).collect();
        names.extend(self.settings.expected_topics().map(String::as_str));
        names.extend(self.topics.keys().map(String::as_str));
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        self.refused.keep(|name| names.binary_search_by(|known| known.as_str().cmp(name)).is_ok());
        self.nameless.retain(|name, _| names.binary_search(name).is_ok());
        // Those of which something is expected come first, and the clock that others are held against: the rest must not take
        // their places.
        let (first, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| self.comes_first(name));
        // One that fails does not stop the others, here and below.
        let mut topics = Ok(());
        for name in first.into_iter().chain(others) {
            topics = topics.and(self.read_topic(spinner, name, now));
        }
        self.count_topics();
        let (node, scope_of) = (&self.watch.node, |name: &str| scope(&self.settings, &self.name, name));
        let nodes = self.nodes.read(node, &self.settings, scope_of, now);
        self.nodes.look_at_processes(scope_of);
        let services = self.services.read(node, spinner, &self.settings, scope_of, now);
        self.foreign_diagnostics.read(node, spinner, &self.settings, &graph, scope_of);
        let limits = self.joint_limits.read(node, spinner, &self.settings, &graph, scope_of);
        topics.and(nodes).and(services).and(limits)
    }

    fn read_topic(&mut self, spinner: &mut Spinner, name: String, now: Instant) -> Result<(), Error> {
        if !self.settings.watches(&name) {
            self.forget(&name);
            return Ok(());
        }
        let is_new = !self.topics.contains_key(&name);
        if is_new && self.is_full() && self.refused.contains(&name) && !self.comes_first(&name) {
            return Ok(());
        }
        let ignored = |node: &str| self.watch.node.is_named(node) || self.settings.ignores_node(node);
        let endpoints = Endpoints::find(&self.watch.node, &name, ignored)?;
        let is_there = !endpoints.is_empty() || self.settings.expectation(&name).is_required;
        if is_new && is_there && !self.awaits_a_name(&name, &endpoints, now) {
            self.admit(&name, &endpoints, now);
        }
        if let Some(topic) = self.topics.get_mut(&name) {
            topic.update(endpoints, &self.watch, spinner, now);
        }
        Ok(())
    }

    /// Whether a topic takes the place of another when there are too many.
    fn comes_first(&self, name: &str) -> bool {
        name == CLOCK || self.settings.expectation(name).is_required
    }

    fn is_full(&self) -> bool {
        self.topics.len() >= self.settings.max_topics
    }

    /// Whether the topic's only nodes are not known yet, for a moment: they may be ones that are ignored.
    fn awaits_a_name(&mut self, name: &str, endpoints: &Endpoints, now: Instant) -> bool {
        if self.comes_first(name) || !endpoints.are_nameless() {
            return false;
        }
        let since = *self.nameless.entry(name.to_owned()).or_insert(now);
        now.saturating_duration_since(since) < NAMED_WITHIN
    }

    /// Begins to watch a topic, unless there are too many: one that comes first takes the place of one that does not.
    fn admit(&mut self, name: &str, endpoints: &Endpoints, now: Instant) {
        if self.is_full() {
            let last = self.topics.keys().rev().find(|watched| !self.comes_first(watched)).cloned();
            let Some(last) = last.filter(|_| self.comes_first(name)) else { return self.refused.refuse(name) };
            self.forget(&last);
            self.refused.refuse(&last);
        }
        let status = if endpoints.publishers.is_empty() { TopicStatus::NoPublisher } else { TopicStatus::Silent };
        let scope = self.scope(name);
        let metrics = self.families.of_topic(&scope, name, status);
        let publishers = Publishers::new(Arc::clone(&self.publishers), &scope, name);
        let topic = Topic::new(name, metrics, publishers, self.settings.expectation(name), status, now);
        self.topics.insert(name.to_owned(), topic);
        self.refused.admit(name);
        self.nameless.remove(name);
    }

    fn forget(&mut self, name: &str) {
        // The subscription goes first: what is received no longer counts into series that are gone.
        if self.topics.remove(name).is_some() {
            self.families.forget(&self.scope(name), name);
        }
        if name == CLOCK {
            self.watch.clocks.set_simulated_ns(None);
        }
    }

    fn scope(&self, name: &str) -> Scope {
        scope(&self.settings, &self.name, name)
    }

    fn count_topics(&self) {
        let watched = self.topics.values().filter(|topic| topic.is_watched()).count();
        for (seen, count) in [("messages", watched), ("graph", self.topics.len() - watched)] {
            self.families.topics.with_label_values(&[&self.name, seen]).set(count as i64);
        }
    }
}

/// Tells of a topic's state when it is another one than before, or an alarm now: of what is wrong as a warning, of the rest as
/// news. That nobody publishes a new topic of which nothing is expected is neither.
fn log(before: TopicStatus, was_alarm: bool, report: &Report) {
    let Report { name, status, reason, .. } = report;
    let (from, to) = (before.name(), status.name());
    match (before != *status, report.is_alarm()) {
        (true, true) => tracing::warn!(topic = name, from, to, reason, "the state has changed"),
        (true, false) => tracing::info!(topic = name, from, to, reason, "the state has changed"),
        (false, true) if !(was_alarm || report.is_idle()) => {
            tracing::warn!(topic = name, status = to, reason, "the grace is over");
        }
        (false, _) => {}
    }
}

/// Where a topic or a node of this name belongs.
fn scope(settings: &Settings, domain: &str, name: &str) -> Scope {
    let robot = settings.robot.as_ref().and_then(|pattern| pattern.robot(name)).unwrap_or_default();
    Scope { domain: domain.to_owned(), robot: robot.to_owned() }
}

/// When this machine was started, in nanoseconds of the system's clock; 0 where the system does not tell.
fn started_at_ns() -> i64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
    seconds.map_or(0, |seconds| node_runtime::system_time_ns() - (seconds * 1e9) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_what_is_known_keeps_nobody_waiting() {
        let reports = Reports::default();
        let known = reports.read();
        reports.write(Known { domain: "7".to_owned(), ..Known::default() });
        assert_eq!((&*known.domain, &*reports.read().domain), ("", "7"));
    }
}
