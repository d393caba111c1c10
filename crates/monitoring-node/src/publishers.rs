//! What each publisher of a topic sends, where several share it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::{Registry, Result};
use ros_observer::{Endpoint, Gid};
use stream_statistics::RateWindow;

use crate::arrival_count::ArrivalCount;
use crate::metrics::{SCOPE, Scope, registered};
use crate::open_family::OpenFamily;

/// Publishers of one topic that are told apart at a time.
const SLOTS: usize = 64;

/// A publisher that the graph does not have for this long has left: messages can come before the graph tells of it.
const LEFT_AFTER: Duration = Duration::from_secs(10);

const GID_WORDS: usize = size_of::<Gid>() / size_of::<u64>();

/// What was received of each publisher of one topic. Written where messages are received, by one [`PublisherCounter`], and
/// read on the ROS thread.
///
/// A slot belongs to the writer until it is taken, and to the publisher that it then names until the reader gives it back.
pub(crate) struct PublisherCounts {
    slots: [Slot; SLOTS],
}

#[derive(Default)]
struct Slot {
    /// Set by the writer once the rest is in place, cleared by the reader.
    is_taken: AtomicBool,
    publisher: [AtomicU64; GID_WORDS],
    messages: ArrivalCount,
    bytes: AtomicU64,
    lost: AtomicU64,
}

/// Counts of one publisher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    messages: u64,
    last_arrival_ns: u64,
    bytes: u64,
    lost: u64,
}

impl PublisherCounts {
    pub(crate) fn new() -> Self {
        Self { slots: std::array::from_fn(|_| Slot::default()) }
    }

    fn taken(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.is_taken.load(Ordering::Acquire))
    }
}

impl Slot {
    fn names(&self, publisher: &[u64; GID_WORDS]) -> bool {
        self.is_taken.load(Ordering::Acquire)
            && self.publisher.iter().zip(publisher).all(|(stored, word)| stored.load(Ordering::Relaxed) == *word)
    }

    fn take(&self, publisher: &[u64; GID_WORDS]) {
        self.publisher.iter().zip(publisher).for_each(|(stored, word)| stored.store(*word, Ordering::Relaxed));
        self.messages.restart();
        self.bytes.store(0, Ordering::Relaxed);
        self.lost.store(0, Ordering::Relaxed);
        self.is_taken.store(true, Ordering::Release);
    }

    /// Counts a message. There is one writer, so no read-modify-write is needed.
    fn count(&self, arrival_ns: u64, bytes: usize, lost: u64) {
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
        self.lost.store(self.lost.load(Ordering::Relaxed) + lost, Ordering::Relaxed);
        self.messages.add(arrival_ns);
    }

    fn publisher(&self) -> [u64; GID_WORDS] {
        self.publisher.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    fn totals(&self) -> Totals {
        let (messages, last_arrival_ns) = self.messages.read();
        let (bytes, lost) = (self.bytes.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        Totals { messages, last_arrival_ns, bytes, lost }
    }
}

fn words(gid: &Gid) -> [u64; GID_WORDS] {
    let (words, _) = gid.as_chunks::<{ size_of::<u64>() }>();
    std::array::from_fn(|index| u64::from_ne_bytes(words[index]))
}

/// Counts the messages of one topic by publisher. Takes no lock and allocates nothing.
pub(crate) struct PublisherCounter {
    counts: Arc<PublisherCounts>,
    /// Of the last message, which the next mostly has too.
    last: usize,
}

impl PublisherCounter {
    pub(crate) fn new(counts: Arc<PublisherCounts>) -> Self {
        Self { counts, last: 0 }
    }

    /// Counts a message, and those lost before it. One of a publisher beyond those that are told apart is left out.
    pub(crate) fn count(&mut self, publisher: &Gid, arrival_ns: u64, bytes: usize, lost: u64) {
        let publisher = words(publisher);
        let slots = &self.counts.slots;
        if !slots[self.last].names(&publisher) {
            let known = slots.iter().position(|slot| slot.names(&publisher));
            let free = || slots.iter().position(|slot| !slot.is_taken.load(Ordering::Acquire));
            let Some(found) = known.or_else(|| free().inspect(|index| slots[*index].take(&publisher))) else { return };
            self.last = found;
        }
        slots[self.last].count(arrival_ns, bytes, lost);
    }
}

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
        let counter = |name: &str, help: &str| registered(registry, OpenFamily::counter(name, help, &labels)?);
        Ok(Self {
            messages: counter(
                "ros_publisher_message_count_total",
                "Messages received of the node, on a shared topic.",
            )?,
            bytes: counter("ros_publisher_message_bytes_total", "Bytes of them, as serialized.")?,
            lost: counter("ros_publisher_messages_lost_total", "Messages missing in the node's sequence numbers.")?,
            rate: registered(
                registry,
                OpenFamily::gauge("ros_publisher_rate_hertz", "Messages per second of the node.", &labels)?,
            )?,
        })
    }
}

/// The publishers of one topic, shown from the moment that several share it.
pub(crate) struct Publishers {
    families: Arc<PublisherFamilies>,
    labels: [String; 3],
    counts: Arc<PublisherCounts>,
    is_shared: bool,
    followed: BTreeMap<[u64; GID_WORDS], Followed>,
    /// By the name of the node; of one that is not known (yet) it is empty.
    shown: BTreeMap<String, NodeSeries>,
}

struct Followed {
    node: String,
    /// What of it is shown.
    told: Totals,
    rate: RateWindow,
    seen_at: Instant,
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
            shown: BTreeMap::new(),
        }
    }

    /// One that counts for these; the one before has to be gone.
    pub(crate) fn counter(&self) -> PublisherCounter {
        PublisherCounter::new(Arc::clone(&self.counts))
    }

    /// Begins anew with rates.
    pub(crate) fn begin_anew(&mut self) {
        self.followed.values_mut().for_each(|followed| followed.rate.clear());
    }

    /// Shows what has come since the last time of these publishers, which are all that there are now.
    pub(crate) fn look(&mut self, endpoints: &[Endpoint], now: Instant, now_ns: u64) {
        self.is_shared |= endpoints.len() > 1;
        for slot in self.counts.taken() {
            let publisher = slot.publisher();
            let endpoint = endpoints.iter().find(|endpoint| words(&endpoint.gid) == publisher);
            let followed = self.followed.entry(publisher).or_insert_with(|| Followed::new(now));
            if let Some(endpoint) = endpoint {
                followed.seen_at = now;
                followed.take_name(endpoint.node.as_deref().unwrap_or_default());
            } else if now.saturating_duration_since(followed.seen_at) >= LEFT_AFTER {
                self.followed.remove(&publisher);
                slot.is_taken.store(false, Ordering::Release);
            }
            if let (true, Some(_), Some(followed)) = (self.is_shared, endpoint, self.followed.get_mut(&publisher)) {
                let totals = slot.totals();
                followed.rate.read(totals.messages, totals.last_arrival_ns);
                let new = || NodeSeries::new(&self.families, &self.labels, &followed.node);
                self.shown.entry(followed.node.clone()).or_insert_with(new).add(followed.told, totals);
                followed.told = totals;
            }
        }
        self.shown.retain(|node, _| endpoints.iter().any(|peer| peer.node.as_deref().unwrap_or_default() == node));
        for (node, series) in &self.shown {
            let of_node = self.followed.values().filter(|followed| followed.node == *node);
            series.set_rate(of_node.filter_map(|followed| followed.rate.rate_hz(now_ns)).reduce(|sum, hz| sum + hz));
        }
    }
}

impl Followed {
    fn new(now: Instant) -> Self {
        Self { node: String::new(), told: Totals::default(), rate: RateWindow::default(), seen_at: now }
    }

    /// The name can come after the first messages: they count under it all the same.
    fn take_name(&mut self, node: &str) {
        if self.node != node {
            node.clone_into(&mut self.node);
            self.told = Totals::default();
        }
    }
}

impl NodeSeries {
    fn new(families: &Arc<PublisherFamilies>, of_topic: &[String], node: &str) -> Self {
        Self { families: Arc::clone(families), labels: [of_topic, &[node.to_owned()]].concat() }
    }

    /// Adds what one publisher of the node has sent since it was `told`.
    fn add(&self, told: Totals, totals: Totals) {
        self.families.messages.add(&self.labels, (totals.messages - told.messages) as f64);
        self.families.bytes.add(&self.labels, (totals.bytes - told.bytes) as f64);
        self.families.lost.add(&self.labels, (totals.lost - told.lost) as f64);
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
    use super::*;

    fn gid(number: u8) -> Gid {
        let mut gid = Gid::default();
        gid[0] = number;
        gid
    }

    fn totals(counts: &PublisherCounts) -> Vec<(u8, u64, u64, u64)> {
        let of_slot = |slot: &Slot| {
            let Totals { messages, bytes, lost, .. } = slot.totals();
            (slot.publisher()[0].to_ne_bytes()[0], messages, bytes, lost)
        };
        counts.taken().map(of_slot).collect()
    }

    #[test]
    fn each_publisher_has_its_own_counts() {
        let counts = Arc::new(PublisherCounts::new());
        let mut counter = PublisherCounter::new(Arc::clone(&counts));
        for (publisher, lost) in [(1, 0), (2, 0), (1, 3), (1, 0), (2, 1)] {
            counter.count(&gid(publisher), 5, 10, lost);
        }
        assert_eq!(totals(&counts), [(1, 3, 30, 3), (2, 2, 20, 1)]);
    }

    #[test]
    fn a_slot_that_is_given_back_serves_another() {
        let counts = Arc::new(PublisherCounts::new());
        let mut counter = PublisherCounter::new(Arc::clone(&counts));
        (1..=SLOTS as u8 + 1).for_each(|publisher| counter.count(&gid(publisher), 5, 10, 0));
        assert_eq!(totals(&counts).len(), SLOTS, "the last one is left out");
        counts.slots[7].is_taken.store(false, Ordering::Release);
        counter.count(&gid(200), 6, 1, 0);
        assert_eq!(totals(&counts)[7], (200, 1, 1, 0));
        counter.count(&gid(200), 7, 1, 0);
        assert_eq!(totals(&counts)[7], (200, 2, 2, 0));
    }
}
