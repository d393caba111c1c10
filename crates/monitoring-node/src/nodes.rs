//! The nodes of a domain: which are there, which were started anew, which are missed, and what their processes use.
//!
//! A node is known by its name alone. Whether it is still the same is told by the participants (one for each process)
//! that its endpoints belong to: every ordinary node publishes on one of [`ROSTERS`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec, Registry, Result};
use ros_observer::{Error, Node};
use topic_watch::{Forget, Registrar};

use crate::metrics::{OptionalGauge, SCOPE, Scope, Together, lock, raise_to};
use crate::parameters::Settings;
use crate::processes::{Participant, Processes, Use};
use crate::refusals::{RefusalFamilies, Refusals};

/// Topics that every node publishes to: one of them at least, unless it was told not to.
const ROSTERS: [&str; 2] = ["/parameter_events", "/rosout"];

/// A topic that this node publishes in every domain.
const OWN_TOPIC: &str = "/diagnostics";

/// Nodes that are known by name: whoever invents names must not fill the memory.
const NODES_MAX: usize = 1024;

/// Every family of metrics of nodes.
pub(crate) struct NodeFamilies {
    together: Together,
    up: IntGaugeVec,
    instances: IntGaugeVec,
    restarts: IntCounterVec,
    topics: IntGaugeVec,
    cpu: CounterVec,
    memory: GaugeVec,
    refused: RefusalFamilies,
}

impl NodeFamilies {
    pub(crate) fn register(registry: &Registry, together: &Together) -> Result<Self> {
        let labels = [&SCOPE[..], &["node_name"]].concat();
        let of_node = Registrar::new(registry, &labels);
        let gauge = |name: &str, help: &str, more: &[&str]| of_node.integer_gauge(name, help, more);
        Ok(Self {
            together: Arc::clone(together),
            up: gauge("ros_node_up", "1 while the node is in the graph, 0 while it is missed.", &[])?,
            instances: gauge("ros_node_instances", "Nodes of this name; more than one is a fault.", &[])?,
            restarts: of_node.counter(
                "ros_node_restarts_total",
                "Times that the node's process was replaced by another.",
                &[],
            )?,
            topics: gauge(
                "ros_node_topics",
                "Topics that the node publishes and subscribes to, services that it offers.",
                &["role"],
            )?,
            cpu: of_node.fractional_counter(
                "ros_node_process_cpu_seconds_total",
                "CPU time of the node's process, where it runs on this host; nodes of one process share it.",
                &[],
            )?,
            memory: of_node.gauge(
                "ros_node_process_resident_memory_bytes",
                "Resident memory of the node's process, where it runs on this host.",
                &[],
            )?,
            refused: RefusalFamilies::register(
                registry,
                "ros_nodes",
                "Nodes that are not shown, since there are too many.",
            )?,
        })
    }
}

/// What is known of one name.
struct Known {
    /// As of when it was last here, in the order in which they came.
    participants: Vec<Participant>,
    instances: usize,
    restarts: u64,
    was_here: bool,
    roles: [usize; ROLES.len()],
    gone_since: Option<Instant>,
    is_required: bool,
}

/// The values of the label `role`.
const ROLES: [&str; 3] = ["publisher", "subscription", "service"];

/// What is told of a node: on the page and in the diagnostics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeReport {
    pub(crate) name: String,
    pub(crate) instances: usize,
    pub(crate) restarts: u64,
    pub(crate) is_required: bool,
}

/// The nodes of one domain.
pub(crate) struct Nodes {
    families: Arc<NodeFamilies>,
    known: BTreeMap<String, Known>,
    /// Nodes beyond the limit.
    beyond: Refusals,
    processes: Processes,
    /// This process.
    own: Option<Participant>,
}

impl Nodes {
    pub(crate) fn new(families: Arc<NodeFamilies>, domain: &str) -> Self {
        let told = format!("a node is not shown, nor any more: there are {NODES_MAX} already");
        let beyond = Refusals::new(&families.refused, domain, told);
        Self { families, known: BTreeMap::new(), beyond, processes: Processes::default(), own: None }
    }

    pub(crate) fn reports(&self) -> Vec<NodeReport> {
        let report = |(name, known): (&String, &Known)| NodeReport {
            name: name.clone(),
            instances: known.instances,
            restarts: known.restarts,
            is_required: known.is_required,
        };
        self.known.iter().map(report).collect()
    }

    /// Takes the nodes that there are now.
    pub(crate) fn read(
        &mut self,
        node: &Node,
        settings: &Settings,
        scope_of: impl Fn(&str) -> Scope,
        now: Instant,
    ) -> std::result::Result<(), Error> {
        let mut instances = BTreeMap::<String, usize>::new();
        let is_shown = |name: &String| settings.mandatory_nodes.contains(name) || !settings.ignores_node(name);
        for name in node.nodes()?.into_iter().filter(is_shown) {
            *instances.entry(name).or_default() += 1;
        }
        let participants = participants(node)?;
        let own = node.publishers(OWN_TOPIC)?;
        let own = own.iter().find(|endpoint| node.owns(endpoint));
        self.own = own.and_then(|own| own.gid.first_chunk().copied());
        self.processes.keep(|process| participants.values().flatten().any(|participant| participant == process));
        let required: BTreeSet<&String> = settings.mandatory_nodes.iter().collect();
        let names: BTreeSet<String> =
            instances.keys().chain(self.known.keys()).chain(required.iter().copied()).cloned().collect();
        // Those that are missed come first: the others must not take their places.
        let (missed, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| required.contains(name));
        let mut beyond = BTreeSet::new();
        for name in missed.into_iter().chain(others) {
            if !self.known.contains_key(&name) && self.known.len() >= NODES_MAX {
                beyond.insert(name);
                continue;
            }
            let count = instances.get(&name).copied().unwrap_or(0);
            let present = participants.get(&name).map(Vec::as_slice).unwrap_or_default();
            let known = self.known.entry(name.clone()).or_insert_with(|| Known::new(now));
            known.is_required = required.contains(&name);
            known.update(count, present, now);
            known.roles = if count == 0 { [0; ROLES.len()] } else { roles(node, &name) };
            self.show(&name, &scope_of(&name));
        }
        self.beyond.refuse_only(&beyond);
        Ok(())
    }

    /// Forgets those that nobody misses and that have been gone for that long.
    pub(crate) fn forget_those_gone_for(&mut self, patience: Duration, scope_of: impl Fn(&str) -> Scope, now: Instant) {
        let gone = self.known.iter().filter(|(_, known)| known.is_forgotten(patience, now));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.forget(&name, &scope_of(&name));
        }
    }

    fn show(&self, name: &str, scope: &Scope) {
        let Some(known) = self.known.get(name) else { return };
        let scope = scope.labels();
        let labels = &[&scope[..], &[name]].concat()[..];
        let _together = lock(&self.families.together);
        self.families.up.with_label_values(labels).set(i64::from(known.instances > 0));
        self.families.instances.with_label_values(labels).set(known.instances as i64);
        raise_to(&self.families.restarts.with_label_values(labels), known.restarts);
        for (role, count) in ROLES.into_iter().zip(known.roles) {
            self.families.topics.with_label_values(&[labels, &[role]].concat()).set(count as i64);
        }
    }

    fn forget(&mut self, name: &str, scope: &Scope) {
        self.known.remove(name);
        let scope = scope.labels();
        let labels = &[&scope[..], &[name]].concat()[..];
        let _together = lock(&self.families.together);
        for family in [&self.families.up, &self.families.instances] {
            family.forget(labels);
        }
        self.families.restarts.forget(labels);
        for role in ROLES {
            self.families.topics.forget(&[labels, &[role]].concat());
        }
        self.families.cpu.forget(labels);
        self.families.memory.forget(labels);
    }

    /// Looks what the processes on this host use.
    pub(crate) fn look_at_processes(&mut self, scope_of: impl Fn(&str) -> Scope) {
        let Some(own) = self.own else { return };
        for (name, known) in &self.known {
            let scope = scope_of(name);
            let scope = scope.labels();
            let labels = &[&scope[..], &[name]].concat()[..];
            let participant = known.participants.last().filter(|_| known.instances > 0);
            let used = participant.and_then(|participant| self.processes.use_of(participant, &own));
            let _together = lock(&self.families.together);
            OptionalGauge::new(&self.families.memory, labels).set(used.map(|used: Use| used.resident_bytes as f64));
            match used {
                Some(used) => {
                    let cpu = self.families.cpu.with_label_values(labels);
                    // A process that took the place of another begins anew, as a counter may.
                    if used.cpu_seconds < cpu.get() {
                        cpu.reset();
                    }
                    raise_to(&cpu, used.cpu_seconds);
                }
                None => self.families.cpu.forget(labels),
            }
        }
    }
}

impl Known {
    fn new(now: Instant) -> Self {
        Self {
            participants: Vec::new(),
            instances: 0,
            restarts: 0,
            was_here: false,
            roles: [0; ROLES.len()],
            gone_since: Some(now),
            is_required: false,
        }
    }

    fn update(&mut self, instances: usize, present: &[Participant], now: Instant) {
        // Of a node without participants all that is known is that it was away.
        let is_back = self.instances == 0 && instances > 0 && self.was_here;
        let is_replaced =
            if present.is_empty() { is_back && self.participants.is_empty() } else { self.replace(present) };
        self.restarts += u64::from(is_replaced);
        self.instances = instances;
        self.was_here |= instances > 0;
        self.gone_since = if instances > 0 { None } else { self.gone_since.or(Some(now)) };
    }

    /// Takes the participants that are there now, in the order in which they came. Returns whether one has gone that is
    /// older than the newest: one that was killed is there for a while beside its successor.
    fn replace(&mut self, present: &[Participant]) -> bool {
        let newest = self.participants.last().copied();
        let before = self.participants.len();
        self.participants.retain(|participant| present.contains(participant));
        let has_departed = self.participants.len() < before;
        let arrived: Vec<_> = present.iter().filter(|one| !self.participants.contains(one)).copied().collect();
        let is_newest_here = self.participants.last().copied() == newest;
        self.participants.extend(&arrived);
        has_departed && (is_newest_here || !arrived.is_empty())
    }

    fn is_forgotten(&self, patience: Duration, now: Instant) -> bool {
        !self.is_required && self.gone_since.is_some_and(|since| now.saturating_duration_since(since) >= patience)
    }
}

/// The participants of each node, as far as its endpoints tell, in no particular order.
fn participants(node: &Node) -> std::result::Result<BTreeMap<String, Vec<Participant>>, Error> {
    let mut found = BTreeMap::<String, Vec<Participant>>::new();
    for roster in ROSTERS {
        for endpoint in node.publishers(roster)? {
            let (Some(name), Some(prefix)) = (endpoint.node, endpoint.gid.first_chunk()) else { continue };
            let participants = found.entry(name).or_default();
            if !participants.contains(prefix) {
                participants.push(*prefix);
            }
        }
    }
    Ok(found)
}

/// How many topics a node publishes and subscribes to, and how many services it offers; none if it has just gone.
fn roles(node: &Node, name: &str) -> [usize; ROLES.len()] {
    let count =
        |found: std::result::Result<_, Error>| found.map_or(0, |names: BTreeMap<String, Vec<String>>| names.len());
    [count(node.topics_published_by(name)), count(node.topics_subscribed_by(name)), count(node.services_of(name))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::PREFIX_BYTES;

    const A: Participant = [1; PREFIX_BYTES];
    const B: Participant = [2; PREFIX_BYTES];

    fn restarts(steps: &[(usize, &[Participant])]) -> u64 {
        let mut known = Known::new(Instant::now());
        steps.iter().for_each(|(instances, present)| known.update(*instances, present, Instant::now()));
        known.restarts
    }

    #[test]
    fn another_participant_in_the_place_of_one_is_a_restart() {
        assert_eq!(restarts(&[(1, &[A]), (1, &[A])]), 0);
        assert_eq!(restarts(&[(1, &[A]), (1, &[B])]), 1, "at once");
        assert_eq!(restarts(&[(1, &[A]), (0, &[]), (1, &[B])]), 1, "one after the other");
        assert_eq!(restarts(&[(1, &[A]), (2, &[A, B]), (1, &[B])]), 1, "killed, so that it leaves late");
        assert_eq!(restarts(&[(1, &[A]), (0, &[])]), 0, "gone");
        assert_eq!(restarts(&[(1, &[A]), (0, &[]), (1, &[A])]), 0, "only out of sight");
        assert_eq!(restarts(&[(1, &[A]), (2, &[A, B]), (1, &[A])]), 0, "a second one that has left again");
        assert_eq!(restarts(&[(1, &[A]), (0, &[]), (0, &[]), (1, &[B]), (0, &[]), (1, &[A])]), 2);
    }

    #[test]
    fn endpoints_that_come_after_their_node_are_no_restart() {
        assert_eq!(restarts(&[(1, &[]), (1, &[A]), (1, &[A])]), 0);
    }

    #[test]
    fn a_node_without_a_roster_is_restarted_when_it_was_away() {
        assert_eq!(restarts(&[(1, &[]), (1, &[]), (0, &[]), (1, &[])]), 1);
    }
}
