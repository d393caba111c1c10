//! What others tell on their `/diagnostics` and `/diagnostics_agg`, as metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{IntCounterVec, Registry, Result};
use r2r::diagnostic_msgs::msg::DiagnosticArray;
use ros_observer::{Error, MessageInfo, NamesAndTypes, Node, Qos, Spinner, Subscription, TakeIn};
use topic_watch::{Forget, OpenFamily, Registrar};

use crate::diagnostic_array::{Status, statuses};
use crate::live::{Synchronizer, Synchronizers};
use crate::losses::Losses;
use crate::metrics::{SCOPE, Scope, Together, lock};
use crate::parameters::Settings;
use crate::refusals::{RefusalFamilies, Refusals};

/// The one type of such topics.
const TYPE: &str = "diagnostic_msgs/msg/DiagnosticArray";

const DEPTH: usize = 100;

/// Where diagnostics mostly are: these topics come before all others.
const FIRST: [&str; 2] = ["/diagnostics", "/diagnostics_agg"];

/// Publishers of one topic whose sequence numbers are followed at a time: every node of a robot can be one.
const TRACKED_PUBLISHERS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The most bytes of a status's name and hardware: they are labels, and a scrape repeats them for every value.
const LABEL_BYTES_MAX: usize = 1024;

/// A status that was not told again for so long is not shown any more; REP 107 asks for one each second.
const STALE_AFTER: Duration = Duration::from_secs(10);

/// Every family of metrics of diagnostics.
pub(crate) struct DiagnosticFamilies {
    together: Together,
    level: OpenFamily,
    value: OpenFamily,
    age: OpenFamily,
    refused: IntCounterVec,
    rejected: IntCounterVec,
    /// For [`Losses`].
    lost: IntCounterVec,
    topics_refused: RefusalFamilies,
}

impl DiagnosticFamilies {
    pub(crate) fn register(registry: &Registry, together: &Together) -> Result<Self> {
        let labels = [&SCOPE[..], &["topic_name"]].concat();
        let of_topic = Registrar::new(registry, &labels);
        let counter = |name: &str, help: &str, more: &[&str]| of_topic.counter(name, help, more);
        let gauge = |name: &str, help: &str, more: &[&str]| {
            of_topic.add(OpenFamily::gauge(name, help, &of_topic.labels(&[&["name", "hardware_id"], more].concat()))?)
        };
        Ok(Self {
            together: Arc::clone(together),
            level: gauge("ros_diagnostic_level", "Level of a diagnostic status: 0 OK, 1 WARN, 2 ERROR, 3 STALE.", &[])?,
            value: gauge(
                "ros_diagnostic_value",
                "A numeric value of a diagnostic status, of the keys that diagnostic_keys allows.",
                &["key"],
            )?,
            age: gauge("ros_diagnostic_age_seconds", "Time since the diagnostic status was last told.", &[])?,
            refused: counter(
                "ros_diagnostics_refused_total",
                "Diagnostic statuses that are not shown, since there are too many, or their names too long.",
                &[],
            )?,
            rejected: counter(
                "ros_diagnostics_rejected_total",
                "Messages that are no DiagnosticArray, by what is wrong with them.",
                &["reason"],
            )?,
            lost: counter(
                "ros_diagnostics_lost_total",
                "Messages of diagnostics missing in the sequence numbers of a publisher.",
                &[],
            )?,
            topics_refused: RefusalFamilies::register(
                registry,
                "ros_diagnostics_topics",
                "Topics of diagnostics that are not read, since there are too many.",
            )?,
        })
    }
}

impl DiagnosticFamilies {
    /// Takes away the counters of a topic that nobody tells anything on; its statuses go by their age.
    fn forget(&self, scope: &Scope, topic: &str) {
        let scope = scope.labels();
        let labels = &[&scope[..], &[topic]].concat()[..];
        self.refused.forget(labels);
        for reason in cdr::Fault::ALL.map(cdr::Fault::reason) {
            self.rejected.forget(&[labels, &[reason]].concat());
        }
    }
}

/// What a status is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    topic: String,
    name: String,
    hardware_id: String,
}

#[derive(Debug)]
struct Told {
    level: u8,
    values: BTreeMap<String, f64>,
    at: Instant,
    /// Keys of the values that have a series.
    shown: BTreeSet<String>,
}

/// What has been told in a domain.
#[derive(Default)]
struct Board {
    told: BTreeMap<Key, Told>,
    keys: BTreeSet<String>,
    statuses_max: usize,
    /// Statuses whose hardware is this node are its own.
    own_name: String,
    /// For the live page.
    synchronizers: Synchronizers,
}

/// The diagnostics of one domain.
pub(crate) struct ForeignDiagnostics {
    families: Arc<DiagnosticFamilies>,
    board: Arc<Mutex<Board>>,
    subscriptions: BTreeMap<String, Subscription>,
    /// Topics beyond the limit.
    refused: Refusals,
    /// Topics that could not be read, so that each is told of once.
    failed: BTreeSet<String>,
}

impl ForeignDiagnostics {
    pub(crate) fn new(families: Arc<DiagnosticFamilies>, domain: &str, own_name: &str) -> Self {
        let told = "diagnostics are not read, nor any more: there are max_topics topics of them already";
        let refused = Refusals::new(&families.topics_refused, domain, told);
        let board = Board { own_name: own_name.to_owned(), ..Board::default() };
        Self {
            families,
            board: Arc::new(Mutex::new(board)),
            subscriptions: BTreeMap::new(),
            refused,
            failed: BTreeSet::new(),
        }
    }

    /// Takes the topics that there are now. One that fails does not stop the others.
    pub(crate) fn read(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        settings: &Settings,
        graph: &NamesAndTypes,
        scope_of: impl Fn(&str) -> Scope,
    ) {
        self.board().take_settings(settings);
        self.failed.retain(|topic| graph.contains_key(topic));
        let of_diagnostics = graph.iter().filter(|(_, types)| types.iter().any(|known| known == TYPE));
        let topics = of_diagnostics.map(|(topic, _)| topic).filter(|topic| settings.diagnostics.matches(topic));
        let told: Vec<_> = topics.filter(|topic| self.is_told(node, topic)).cloned().collect();
        let mut wanted = in_order(told, |topic| self.subscriptions.contains_key(topic));
        let refused = wanted.split_off(settings.max_topics.min(wanted.len()));
        self.refused.refuse_only(&refused.into_iter().collect());
        self.leave_all_but(&wanted, &scope_of);
        for topic in wanted {
            self.follow(node, spinner, topic, &scope_of);
        }
    }

    /// Whether somebody else tells something on the topic: the graph has what we publish and subscribe to as well.
    fn is_told(&mut self, node: &Node, topic: &str) -> bool {
        match node.publishers(topic) {
            Ok(publishers) => publishers.iter().any(|endpoint| !node.owns(endpoint)),
            Err(error) => {
                self.warn_once(topic, &error);
                self.subscriptions.contains_key(topic)
            }
        }
    }

    fn leave_all_but(&mut self, wanted: &[String], scope_of: impl Fn(&str) -> Scope) {
        let gone: Vec<_> = self.subscriptions.keys().filter(|topic| !wanted.contains(topic)).cloned().collect();
        for topic in gone {
            self.subscriptions.remove(&topic);
            self.families.forget(&scope_of(&topic), &topic);
        }
    }

    fn follow(&mut self, node: &Node, spinner: &mut Spinner, topic: String, scope_of: impl Fn(&str) -> Scope) {
        if self.subscriptions.contains_key(&topic) {
            return;
        }
        match self.subscribe(node, &topic, &scope_of(&topic)) {
            Ok(subscription) => {
                spinner.add_subscription(&subscription);
                self.subscriptions.insert(topic, subscription);
            }
            Err(error) => self.warn_once(&topic, &error),
        }
    }

    fn warn_once(&mut self, topic: &str, error: &Error) {
        if self.failed.insert(topic.to_owned()) {
            tracing::warn!(topic, %error, "diagnostics cannot be read");
        }
    }

    /// In the spinner's thread: what is told is read there, where nobody waits for it.
    fn subscribe(&self, node: &Node, topic: &str, scope: &Scope) -> std::result::Result<Subscription, Error> {
        let mut listener = Listener {
            families: Arc::clone(&self.families),
            board: Arc::clone(&self.board),
            scope: scope.clone(),
            topic: topic.to_owned(),
            losses: Losses::new(&self.families.lost, scope, topic, TRACKED_PUBLISHERS),
        };
        let take = move |message: &[u8], info: &MessageInfo| listener.take(message, info);
        Subscription::new::<DiagnosticArray>(node, topic, Qos::best_effort(DEPTH), TakeIn::WaitSet, take)
    }

    /// Shows what was told last, and forgets what is told no more, or is beyond the limit.
    pub(crate) fn look(&mut self, forget_after: Duration, scope_of: impl Fn(&str) -> Scope, now: Instant) {
        let families = Arc::clone(&self.families);
        let mut board = self.board();
        let _together = lock(&families.together);
        for (key, mut told) in board.take_excess() {
            told.show(&families, &key.labels(&scope_of(&key.topic)), forget_after, forget_after);
        }
        board.told.retain(|key, told| {
            let scope = scope_of(&key.topic);
            let age = now.saturating_duration_since(told.at);
            told.show(&families, &key.labels(&scope), age, forget_after);
            age < forget_after
        });
    }

    /// What synchronizers say.
    pub(crate) fn synchronizers(&self, now: Instant) -> Vec<Synchronizer> {
        self.board().synchronizers.look(now)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the messages of one topic.
struct Listener {
    families: Arc<DiagnosticFamilies>,
    board: Arc<Mutex<Board>>,
    scope: Scope,
    topic: String,
    losses: Losses,
}

impl Listener {
    fn take(&mut self, message: &[u8], info: &MessageInfo) {
        let scope = self.scope.labels();
        let labels = [&scope[..], &[self.topic.as_str()]].concat();
        self.losses.observe(info);
        match statuses(message) {
            Ok(statuses) => {
                let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
                board.synchronizers.take(&statuses, Instant::now());
                let refused = board.take(&self.topic, statuses, Instant::now());
                self.families.refused.with_label_values(&labels).inc_by(refused);
            }
            Err(fault) => {
                self.families.rejected.with_label_values(&[&labels[..], &[fault.reason()]].concat()).inc();
            }
        }
    }
}

/// The topics in the order in which they have their places: those of [`FIRST`], then those that are read already.
fn in_order(mut topics: Vec<String>, is_read: impl Fn(&str) -> bool) -> Vec<String> {
    topics.sort_by_cached_key(|topic| (!FIRST.contains(&&**topic), !is_read(topic)));
    topics
}

impl Board {
    fn take_settings(&mut self, settings: &Settings) {
        self.keys = settings.diagnostic_keys.iter().cloned().collect();
        self.statuses_max = settings.max_diagnostics;
    }

    /// Takes out the statuses beyond the limit, which may have become lower: those that were not told for longest.
    fn take_excess(&mut self) -> Vec<(Key, Told)> {
        let excess = self.told.len().saturating_sub(self.statuses_max);
        if excess == 0 {
            return Vec::new();
        }
        let mut by_age: Vec<_> = self.told.iter().map(|(key, told)| (told.at, key.clone())).collect();
        by_age.sort();
        by_age.into_iter().take(excess).filter_map(|(_, key)| self.told.remove_entry(&key)).collect()
    }

    /// Takes the statuses of a message; returns how many were refused.
    fn take(&mut self, topic: &str, statuses: Vec<Status<'_>>, now: Instant) -> u64 {
        let mut refused = 0;
        for status in statuses.into_iter().filter(|status| status.hardware_id != self.own_name) {
            if status.name.len() + status.hardware_id.len() > LABEL_BYTES_MAX {
                refused += 1;
                continue;
            }
            let (name, hardware_id) = (status.name.into_owned(), status.hardware_id.into_owned());
            let key = Key { topic: topic.to_owned(), name, hardware_id };
            if self.told.len() >= self.statuses_max && !self.told.contains_key(&key) {
                refused += 1;
                continue;
            }
            let numbers = status.values.into_iter().filter(|(key, _)| self.keys.contains(&**key));
            let values =
                numbers.filter_map(|(key, value)| Some((key.into_owned(), value.trim().parse().ok()?))).collect();
            let told = self.told.entry(key).or_insert_with(|| Told::new(now));
            (told.level, told.values, told.at) = (status.level, values, now);
        }
        refused
    }
}

impl Key {
    fn labels<'a>(&'a self, scope: &'a Scope) -> [&'a str; 5] {
        let [domain, robot] = scope.labels();
        [domain, robot, &self.topic, &self.name, &self.hardware_id]
    }
}

impl Told {
    fn new(now: Instant) -> Self {
        Self { level: 0, values: BTreeMap::new(), at: now, shown: BTreeSet::new() }
    }

    /// Shows the status as it is at this age, or takes it away: its values first, then its age too.
    fn show(&mut self, families: &DiagnosticFamilies, labels: &[&str], age: Duration, forget_after: Duration) {
        let is_stale = age >= STALE_AFTER.min(forget_after);
        let gone: Vec<_> =
            self.shown.iter().filter(|key| is_stale || !self.values.contains_key(*key)).cloned().collect();
        for key in gone {
            families.value.forget(&[labels, &[&key]].concat());
            self.shown.remove(&key);
        }
        if age < forget_after {
            families.age.set(labels, age.as_secs_f64());
        } else {
            families.age.forget(labels);
        }
        if is_stale {
            families.level.forget(labels);
            return;
        }
        families.level.set(labels, f64::from(self.level));
        for (key, value) in &self.values {
            families.value.set(&[labels, &[key]].concat(), *value);
            self.shown.insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(name: &'static str, level: u8, value: &'static str) -> Status<'static> {
        let values = vec![("temperature".into(), value.into()), ("other".into(), "1".into())];
        Status { level, name: name.into(), message: "".into(), hardware_id: "arm".into(), values }
    }

    #[test]
    fn the_usual_topics_come_first_and_then_those_that_are_read_already() {
        let topics = ["/arm/diagnostics", "/base/diagnostics", "/diagnostics", "/diagnostics_agg"].map(str::to_owned);
        let ordered = in_order(topics.to_vec(), |topic| topic == "/base/diagnostics");
        assert_eq!(ordered, ["/diagnostics", "/diagnostics_agg", "/base/diagnostics", "/arm/diagnostics"]);
    }

    #[test]
    fn statuses_are_taken_up_to_a_limit_with_the_numbers_that_are_allowed() {
        let mut board = Board { statuses_max: 2, keys: ["temperature".to_owned()].into(), ..Board::default() };
        let now = Instant::now();
        assert_eq!(board.take("/diagnostics", vec![status("a", 0, "71.5"), status("b", 2, "warm")], now), 0);
        assert_eq!(board.take("/diagnostics", vec![status("c", 0, "1"), status("a", 1, " -2e3 ")], now), 1);
        let told: Vec<_> = board.told.iter().map(|(key, told)| (&*key.name, told.level, told.values.clone())).collect();
        assert_eq!(told, [("a", 1, [("temperature".to_owned(), -2000.0)].into()), ("b", 2, BTreeMap::new())]);
    }

    #[test]
    fn a_limit_that_becomes_lower_leaves_those_told_last() {
        let mut board = Board { statuses_max: 3, ..Board::default() };
        let now = Instant::now();
        for (seconds, name) in ["a", "b", "c"].into_iter().enumerate() {
            board.take("/diagnostics", vec![status(name, 0, "1")], now + Duration::from_secs(seconds as u64));
        }
        board.take("/diagnostics", vec![status("a", 0, "1")], now + Duration::from_secs(9));
        board.statuses_max = 1;
        let names = |told: Vec<(Key, Told)>| told.into_iter().map(|(key, _)| key.name).collect::<Vec<_>>();
        assert_eq!(names(board.take_excess()), ["b", "c"]);
        assert_eq!(names(board.take_excess()), Vec::<String>::new());
    }

    #[test]
    fn a_status_whose_name_is_no_label_is_refused() {
        let mut board = Board { statuses_max: 3, ..Board::default() };
        let name = "n".repeat(LABEL_BYTES_MAX);
        let long = Status { name: name.into(), ..status("", 0, "1") };
        assert_eq!(board.take("/diagnostics", vec![long, status("a", 0, "1")], Instant::now()), 1);
        assert_eq!(board.told.len(), 1);
    }

    #[test]
    fn what_this_node_tells_itself_is_left_out() {
        let mut board = Board { statuses_max: 2, own_name: "arm".into(), ..Board::default() };
        assert_eq!(board.take("/diagnostics", vec![status("a", 0, "1")], Instant::now()), 0);
        assert!(board.told.is_empty());
    }
}
