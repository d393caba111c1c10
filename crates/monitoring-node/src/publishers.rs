//! The publishers of a topic, each by its node, where several share the topic: what was counted of them, as metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{Registry, Result};
use ros_observer::Endpoint;
use stream_statistics::RateWindow;
use topic_watch::{OpenFamily, Registrar};

use crate::metrics::{SCOPE, Scope};
use crate::publisher_counts::{GidWords, PublisherCounter, PublisherCounts, SLOTS, Totals, words};

/// A publisher that the graph does not have for this long has left, and one that has no name for this long has none:
/// messages can come before the graph tells of their publisher, and the name of its node after that.
const PATIENCE: Duration = Duration::from_secs(10);

/// The publishers that there are now, each with the name of its node where that is known.
type Present<'a> = BTreeMap<GidWords, Option<&'a str>>;

/// The families of metrics of single publishers.
pub(crate) struct PublisherFamilies {
    messages: OpenFamily,
    bytes: OpenFamily,
    lost: OpenFamily,
    rate: OpenFamily,
}

impl PublisherFamilies {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let labels = [&SCOPE[..], &["topic_name", "node_name"]].concat();
        let registrar = Registrar::new(registry, &labels);
        let counter = |name: &str, help: &str| registrar.add(OpenFamily::counter(name, help, &labels)?);
        let rate = OpenFamily::gauge("ros_publisher_rate_hertz", "Messages per second of the node.", &labels)?;
        Ok(Self {
            messages: counter(
                "ros_publisher_message_count_total",
                "Messages received of the node, on a shared topic.",
            )?,
            bytes: counter("ros_publisher_message_bytes_total", "Bytes of them, as serialized.")?,
            lost: counter("ros_publisher_messages_lost_total", "Messages missing in the node's sequence numbers.")?,
            rate: registrar.add(rate)?,
        })
    }
}

/// The publishers of one topic, shown from the moment that several share it.
///
/// Each message counts for one node, once: for the one that its publisher is known to belong to when it is first shown.
pub(crate) struct Publishers {
    families: Arc<PublisherFamilies>,
    labels: [String; 3],
    counts: Arc<PublisherCounts>,
    is_shared: bool,
    followed: BTreeMap<GidWords, Followed>,
    /// Those that are there and found no slot, so that each is counted once.
    left_out: BTreeSet<GidWords>,
    /// By the name of the node; of one that has none it is empty.
    shown: BTreeMap<String, NodeSeries>,
}

/// A publisher of which messages have come.
struct Followed {
    /// As it was last known: the graph can lose it for a while.
    node: Option<String>,
    is_present: bool,
    since: Instant,
    seen_at: Instant,
    totals: Totals,
    /// What of it is shown.
    told: Totals,
    rate: RateWindow,
    /// Messages before rates began anew.
    messages_before: u64,
}

/// The series of one node; they go with it.
struct NodeSeries {
    families: Arc<PublisherFamilies>,
    labels: Vec<String>,
}

impl Publishers {
    pub(crate) fn new(families: Arc<PublisherFamilies>, scope: &Scope, topic: &str) -> Self {
        let [domain, robot] = scope.labels();
        Self {
            families,
            labels: [domain, robot, topic].map(str::to_owned),
            counts: Arc::new(PublisherCounts::new()),
            is_shared: false,
            followed: BTreeMap::new(),
            left_out: BTreeSet::new(),
            shown: BTreeMap::new(),
        }
    }

    /// One that counts for these; the one before has to be gone.
    pub(crate) fn counter(&self) -> PublisherCounter {
        PublisherCounter::new(Arc::clone(&self.counts))
    }

    /// Begins anew with rates, from the next messages on.
    pub(crate) fn begin_anew(&mut self) {
        for slot in self.counts.taken() {
            if let Some(followed) = self.followed.get_mut(&slot.publisher()) {
                followed.rate.clear();
                followed.messages_before = slot.totals().messages;
            }
        }
    }

    /// Shows what has come since the last time of these publishers, which are all that there are now. Returns how many of
    /// them cannot be told apart any more, since there are too many.
    pub(crate) fn look(&mut self, endpoints: &[Endpoint], now: Instant, now_ns: u64) -> usize {
        let present = endpoints.iter().map(|endpoint| (words(&endpoint.gid), endpoint.node.as_deref())).collect();
        self.look_at(&present, now, now_ns)
    }

    fn look_at(&mut self, present: &Present<'_>, now: Instant, now_ns: u64) -> usize {
        self.is_shared |= present.len() > 1;
        self.follow(present, now);
        let left_out = self.leave_out(present);
        if self.is_shared {
            self.show(present, now);
            self.show_rates(now, now_ns);
        }
        self.let_go(now);
        left_out
    }

    fn follow(&mut self, present: &Present<'_>, now: Instant) {
        for slot in self.counts.taken() {
            let publisher = slot.publisher();
            let followed = self.followed.entry(publisher).or_insert_with(|| Followed::new(now));
            followed.take(slot.totals());
            followed.take_presence(present.get(&publisher).copied(), now);
        }
    }

    /// Returns how many are new of those that have no slot while none is free.
    fn leave_out(&mut self, present: &Present<'_>) -> usize {
        let is_full = self.followed.len() >= SLOTS;
        let without_slot = present.keys().filter(|publisher| is_full && !self.followed.contains_key(*publisher));
        let left_out: BTreeSet<_> = without_slot.copied().collect();
        let before = std::mem::replace(&mut self.left_out, left_out);
        self.left_out.difference(&before).count()
    }

    fn show(&mut self, present: &Present<'_>, now: Instant) {
        let of_present = self.followed.values().filter(|followed| followed.is_present);
        let named = of_present.filter_map(|followed| followed.shown_as(now));
        let there: BTreeSet<&str> = named.chain(present.values().copied().flatten()).collect();
        self.shown.retain(|node, _| there.contains(&**node));
        for followed in self.followed.values_mut() {
            let Some(node) = followed.shown_as(now).map(str::to_owned) else { continue };
            if followed.is_present {
                let new = || NodeSeries::new(&self.families, &self.labels, &node);
                self.shown.entry(node.clone()).or_insert_with(new);
            }
            // Of one that has left, for as long as another of its node is there.
            if let Some(series) = self.shown.get(&node) {
                series.add(followed.told, followed.totals);
                followed.told = followed.totals;
            }
        }
    }

    fn show_rates(&self, now: Instant, now_ns: u64) {
        for (node, series) in &self.shown {
            let is_of_node = |followed: &&Followed| followed.is_present && followed.shown_as(now) == Some(node);
            let of_node = self.followed.values().filter(is_of_node);
            let rates_hz = of_node.filter_map(|followed| followed.rate.rate_hz(now_ns));
            series.set_rate(rates_hz.reduce(|sum_hz, rate_hz| sum_hz + rate_hz));
        }
    }

    /// Gives back the slots of those who have left.
    fn let_go(&mut self, now: Instant) {
        for slot in self.counts.taken() {
            let publisher = slot.publisher();
            if self.followed.get(&publisher).is_some_and(|followed| followed.has_left(now)) {
                self.followed.remove(&publisher);
                slot.give_back();
            }
        }
    }
}

impl Followed {
    fn new(now: Instant) -> Self {
        Self {
            node: None,
            is_present: false,
            since: now,
            seen_at: now,
            totals: Totals::default(),
            told: Totals::default(),
            rate: RateWindow::default(),
            messages_before: 0,
        }
    }

    fn take(&mut self, totals: Totals) {
        self.totals = totals;
        if totals.messages > self.messages_before {
            self.rate.read(totals.messages, totals.last_arrival_ns);
        }
    }

    /// Takes what the graph says: nothing where it does not have the publisher.
    fn take_presence(&mut self, found: Option<Option<&str>>, now: Instant) {
        self.is_present = found.is_some();
        if self.is_present {
            self.seen_at = now;
        }
        if let Some(node) = found.flatten()
            && self.node.as_deref() != Some(node)
        {
            self.node = Some(node.to_owned());
        }
    }

    /// The name of the node that its messages count for, once that can be said; empty for one that is there and has none.
    fn shown_as(&self, now: Instant) -> Option<&str> {
        let is_nameless = self.is_present && now.saturating_duration_since(self.since) >= PATIENCE;
        self.node.as_deref().or(is_nameless.then_some(""))
    }

    fn has_left(&self, now: Instant) -> bool {
        !self.is_present && now.saturating_duration_since(self.seen_at) >= PATIENCE
    }
}

impl NodeSeries {
    fn new(families: &Arc<PublisherFamilies>, of_topic: &[String], node: &str) -> Self {
        Self { families: Arc::clone(families), labels: [of_topic, &[node.to_owned()]].concat() }
    }

    /// Adds what one publisher of the node has sent since it was `told`.
    fn add(&self, told: Totals, totals: Totals) {
        self.families.messages.add(&self.labels, totals.messages.saturating_sub(told.messages) as f64);
        self.families.bytes.add(&self.labels, totals.bytes.saturating_sub(told.bytes) as f64);
        self.families.lost.add(&self.labels, totals.lost.saturating_sub(told.lost) as f64);
    }

    fn set_rate(&self, rate_hz: Option<f64>) {
        match rate_hz {
            Some(rate_hz) => self.families.rate.set(&self.labels, rate_hz),
            None => self.families.rate.forget(&self.labels),
        }
    }
}

impl Drop for NodeSeries {
    fn drop(&mut self) {
        let families = &self.families;
        for family in [&families.messages, &families.bytes, &families.lost, &families.rate] {
            family.forget(&self.labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto::Metric;

    use super::*;
    use crate::publisher_counts::tests::{gid, totals};

    /// The publishers of a topic as a test has them: seconds for times, and no graph.
    struct Topic {
        registry: Registry,
        publishers: Publishers,
        counter: PublisherCounter,
        began: Instant,
    }

    impl Topic {
        fn new() -> Self {
            let registry = Registry::new();
            let families = Arc::new(PublisherFamilies::register(&registry).expect("names that do not clash"));
            let scope = Scope { domain: "0".into(), robot: String::new() };
            let publishers = Publishers::new(families, &scope, "/words");
            Self { registry, counter: publishers.counter(), publishers, began: Instant::now() }
        }

        /// So many messages of the publisher, of 10 bytes each, by the moment.
        fn send(&mut self, publisher: u8, messages: u64, at_seconds: f64) {
            (0..messages).for_each(|_| self.counter.count(&gid(publisher), (at_seconds * 1e9) as u64, 10, 0));
        }

        fn look(&mut self, present: &[(u8, Option<&str>)], at_seconds: f64) -> usize {
            let present = present.iter().map(|(publisher, node)| (words(&gid(*publisher)), *node)).collect();
            let now = self.began + Duration::from_secs_f64(at_seconds);
            self.publishers.look_at(&present, now, (at_seconds * 1e9) as u64)
        }

        /// The samples of a family, by node.
        fn shown(&self, family: &str) -> Vec<(String, f64)> {
            let families = self.registry.gather();
            let found = families.iter().find(|found| found.name() == family);
            let of_metric = |metric: &Metric| {
                let node = metric.get_label().iter().find(|label| label.name() == "node_name").expect("a node");
                (node.value().to_owned(), metric.get_counter().get_value() + metric.get_gauge().get_value())
            };
            found.map_or_else(Vec::new, |found| found.get_metric().iter().map(of_metric).collect())
        }

        fn assert_counts(&self, expected: &[(&str, f64)]) {
            let expected: Vec<_> = expected.iter().map(|(node, count)| ((*node).to_owned(), *count)).collect();
            assert_eq!(self.shown("ros_publisher_message_count_total"), expected);
        }
    }

    #[test]
    fn publishers_are_shown_from_the_moment_that_they_share_the_topic() {
        let mut topic = Topic::new();
        topic.send(1, 3, 0.0);
        topic.look(&[(1, Some("/a"))], 0.0);
        topic.assert_counts(&[]);
        topic.send(2, 1, 1.0);
        topic.look(&[(1, Some("/a")), (2, Some("/b"))], 1.0);
        topic.assert_counts(&[("/a", 3.0), ("/b", 1.0)]);
        topic.send(1, 1, 2.0);
        topic.look(&[(1, Some("/a"))], 2.0);
        topic.assert_counts(&[("/a", 4.0)]);
    }

    #[test]
    fn a_name_that_comes_late_gets_all_messages_and_one_that_goes_keeps_them() {
        let mut topic = Topic::new();
        topic.send(1, 3, 0.0);
        topic.look(&[(1, None), (2, None)], 0.0);
        topic.assert_counts(&[]);
        for (at_seconds, name) in [(2.0, Some("/a")), (3.0, None), (15.0, None), (16.0, Some("/a"))] {
            topic.look(&[(1, name), (2, None), (3, Some("/a"))], at_seconds);
            topic.assert_counts(&[("/a", 3.0)]);
        }
    }

    #[test]
    fn a_publisher_without_a_name_is_shown_after_a_while_and_its_messages_count_once() {
        let mut topic = Topic::new();
        topic.send(1, 3, 0.0);
        topic.look(&[(1, None), (2, None)], 0.0);
        topic.look(&[(1, None), (2, None)], 10.0);
        topic.assert_counts(&[("", 3.0)]);
        topic.send(1, 2, 11.0);
        topic.look(&[(1, Some("/a")), (2, None)], 11.0);
        topic.assert_counts(&[("/a", 2.0)]);
    }

    #[test]
    fn what_comes_while_the_graph_has_lost_a_publisher_counts_when_it_returns() {
        let mut topic = Topic::new();
        let (first, second) = ((1, Some("/a")), (2, Some("/b")));
        topic.send(1, 3, 0.0);
        topic.send(2, 1, 0.0);
        topic.look(&[first, second], 0.0);
        topic.send(1, 2, 5.0);
        topic.look(&[second], 5.0);
        topic.assert_counts(&[("/b", 1.0)]);
        topic.look(&[first, second], 9.0);
        topic.assert_counts(&[("/a", 2.0), ("/b", 1.0)]);
        topic.look(&[second, (3, Some("/a"))], 12.0);
        topic.send(1, 1, 13.0);
        topic.look(&[second, (3, Some("/a"))], 13.0);
        topic.assert_counts(&[("/a", 3.0), ("/b", 1.0)]);
    }

    #[test]
    fn the_slot_of_a_publisher_that_has_left_is_given_back() {
        let mut topic = Topic::new();
        topic.send(1, 3, 0.0);
        topic.send(2, 1, 0.0);
        let second = (2, Some("/b"));
        topic.look(&[(1, Some("/a")), second], 0.0);
        topic.look(&[second], 9.9);
        assert_eq!(totals(&topic.publishers.counts), [(1, 3, 30, 0), (2, 1, 10, 0)]);
        topic.look(&[second], 10.0);
        assert_eq!(totals(&topic.publishers.counts), [(2, 1, 10, 0)]);
        topic.send(3, 4, 11.0);
        assert_eq!(totals(&topic.publishers.counts), [(3, 4, 40, 0), (2, 1, 10, 0)]);
        topic.look(&[second, (3, Some("/a"))], 11.0);
        topic.assert_counts(&[("/a", 4.0), ("/b", 1.0)]);
    }

    #[test]
    fn the_rate_of_a_node_is_that_of_its_publishers_that_are_there() {
        let mut topic = Topic::new();
        let all = [(1, Some("/a")), (2, Some("/a"))];
        for at_seconds in [0.0, 1.0, 2.0] {
            topic.send(1, 1, at_seconds);
            topic.send(2, 1, at_seconds);
            topic.look(&all, at_seconds);
        }
        assert_eq!(topic.shown("ros_publisher_rate_hertz"), [("/a".to_owned(), 2.0)]);
        topic.look(&all[..1], 2.5);
        assert_eq!(topic.shown("ros_publisher_rate_hertz"), [("/a".to_owned(), 1.0)]);
    }

    #[test]
    fn a_rate_that_begins_anew_begins_with_the_next_message() {
        let mut topic = Topic::new();
        let all = [(1, Some("/a")), (2, Some("/b"))];
        topic.send(1, 1, 0.0);
        topic.look(&all, 0.0);
        topic.publishers.begin_anew();
        topic.look(&all, 1.0);
        topic.send(1, 1, 100.0);
        topic.look(&all, 100.0);
        assert_eq!(topic.shown("ros_publisher_rate_hertz"), []);
        topic.send(1, 1, 101.0);
        topic.look(&all, 101.0);
        assert_eq!(topic.shown("ros_publisher_rate_hertz"), [("/a".to_owned(), 1.0)]);
    }

    #[test]
    fn each_publisher_beyond_the_slots_is_counted_once() {
        let mut topic = Topic::new();
        let all: Vec<_> = (1..=SLOTS as u8 + 2).map(|publisher| (publisher, Some("/a"))).collect();
        assert_eq!(topic.look(&all, 0.0), 0, "nobody has sent anything");
        (1..=SLOTS as u8).for_each(|publisher| topic.send(publisher, 1, 0.0));
        assert_eq!([topic.look(&all[..=SLOTS], 0.0), topic.look(&all, 1.0), topic.look(&all, 2.0)], [1, 1, 0]);
        topic.look(&all[1..], 3.0);
        topic.look(&all[1..], 13.0);
        topic.send(SLOTS as u8 + 1, 1, 14.0);
        assert_eq!(topic.look(&all[1..], 14.0), 0, "the one that has left made room");
        topic.assert_counts(&[("/a", SLOTS as f64 + 1.0)]);
    }
}
