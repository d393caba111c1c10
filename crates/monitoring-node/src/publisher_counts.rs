//! The hot path: what each publisher of a topic sends, counted where messages are received.
//!
//! Invariant: no lock, no channel, no logging, no allocation. What becomes of the counts: [`crate::publishers`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ros_observer::Gid;
use stream_statistics::StampTracker;

use crate::arrival_count::ArrivalCount;

/// Publishers of one topic that are told apart at a time.
pub(crate) const SLOTS: usize = 64;

const GID_WORDS: usize = size_of::<Gid>() / size_of::<u64>();

/// The identity of a publisher, as it fits into atomics.
pub(crate) type GidWords = [u64; GID_WORDS];

/// What was received of each publisher of one topic. Written where messages are received, by one [`PublisherCounter`], and
/// read on the ROS thread.
///
/// A slot belongs to the writer until it is taken, and to the publisher that it then names until the reader gives it back.
pub(crate) struct PublisherCounts {
    slots: [Slot; SLOTS],
}

/// What was received of one publisher.
#[derive(Default)]
pub(crate) struct Slot {
    /// Set by the writer once the rest is in place, cleared by the reader.
    is_taken: AtomicBool,
    publisher: [AtomicU64; GID_WORDS],
    messages: ArrivalCount,
    bytes: AtomicU64,
    lost: AtomicU64,
}

/// Counts of one publisher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) messages: u64,
    pub(crate) last_arrival_ns: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
}

impl PublisherCounts {
    pub(crate) fn new() -> Self {
        Self { slots: std::array::from_fn(|_| Slot::default()) }
    }

    /// The slots that are taken. For the reader.
    pub(crate) fn taken(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.is_taken())
    }
}

impl Slot {
    fn is_taken(&self) -> bool {
        self.is_taken.load(Ordering::Acquire)
    }

    /// For the reader: from now on the slot is the writer's.
    pub(crate) fn give_back(&self) {
        self.is_taken.store(false, Ordering::Release);
    }

    /// Whether it is this publisher's, or was the last time that it was taken. For the writer.
    fn names(&self, publisher: &GidWords) -> bool {
        self.publisher.iter().zip(publisher).all(|(stored, word)| stored.load(Ordering::Relaxed) == *word)
    }

    fn take(&self, publisher: &GidWords) {
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

    pub(crate) fn publisher(&self) -> GidWords {
        self.publisher.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    pub(crate) fn totals(&self) -> Totals {
        let (messages, last_arrival_ns) = self.messages.read();
        let (bytes, lost) = (self.bytes.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        Totals { messages, last_arrival_ns, bytes, lost }
    }
}

pub(crate) fn words(gid: &Gid) -> GidWords {
    let (words, _) = gid.as_chunks::<{ size_of::<u64>() }>();
    std::array::from_fn(|index| u64::from_ne_bytes(words[index]))
}

/// Counts the messages of one topic by publisher, and follows the stamps of each. Takes no lock and allocates nothing.
pub(crate) struct PublisherCounter {
    counts: Arc<PublisherCounts>,
    /// Of the last message, which the next mostly has too; none where its publisher is beyond those that are told apart.
    last: Option<usize>,
    /// In the order of the slots, each of the publisher that its slot names.
    stamps: [StampTracker; SLOTS],
}

impl PublisherCounter {
    pub(crate) fn new(counts: Arc<PublisherCounts>) -> Self {
        Self { counts, last: None, stamps: std::array::from_fn(|_| StampTracker::default()) }
    }

    /// Counts a message, and those lost before it. One of a publisher beyond those that are told apart is left out.
    pub(crate) fn count(&mut self, publisher: &Gid, arrival_ns: u64, bytes: usize, lost: u64) {
        self.last = self.slot_of(&words(publisher));
        if let Some(slot) = self.last {
            self.counts.slots[slot].count(arrival_ns, bytes, lost);
        }
    }

    /// The stamps of the publisher whose message came last, where it is told apart.
    pub(crate) fn stamps(&mut self) -> Option<&mut StampTracker> {
        self.last.map(|slot| &mut self.stamps[slot])
    }

    /// The slot of a publisher; it takes one where it has none, if there is one. Its last comes first, so that one that the
    /// graph never has, and whose slot is given back time and again, has one line of stamps all the same.
    fn slot_of(&mut self, publisher: &GidWords) -> Option<usize> {
        let slots = &self.counts.slots;
        let last = self.last.filter(|slot| slots[*slot].names(publisher));
        let own = last.or_else(|| slots.iter().position(|slot| slot.names(publisher)));
        let found = own.or_else(|| slots.iter().position(|slot| !slot.is_taken()))?;
        if own.is_none() {
            self.stamps[found] = StampTracker::default();
        }
        if !slots[found].is_taken() {
            slots[found].take(publisher);
        }
        Some(found)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use stream_statistics::Clocks;

    use super::*;

    pub(crate) fn gid(number: u8) -> Gid {
        let mut gid = Gid::default();
        gid[0] = number;
        gid
    }

    /// The publishers that have slots, each with its messages, bytes and losses.
    pub(crate) fn totals(counts: &PublisherCounts) -> Vec<(u8, u64, u64, u64)> {
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
        counts.slots[7].give_back();
        counter.count(&gid(200), 6, 1, 0);
        assert_eq!(totals(&counts)[7], (200, 1, 1, 0));
        counter.count(&gid(200), 7, 1, 0);
        assert_eq!(totals(&counts)[7], (200, 2, 2, 0));
    }

    #[test]
    fn a_publisher_takes_its_stamps_back_with_its_slot_and_leaves_none_to_another() {
        const NOW: Clocks = Clocks { wall_ns: 0, boot_ns: 0, simulated_ns: None };
        let counts = Arc::new(PublisherCounts::new());
        let mut counter = PublisherCounter::new(Arc::clone(&counts));
        let mut is_backward = |publisher, stamp_ns| {
            counter.count(&gid(publisher), 5, 10, 0);
            counter.stamps().expect("a slot").observe(Some(stamp_ns), NOW).is_backward
        };
        assert_eq!([is_backward(1, 9), is_backward(2, 5)], [false, false]);
        counts.slots.iter().for_each(Slot::give_back);
        assert_eq!([is_backward(2, 4), is_backward(1, 10)], [true, false]);
        counts.slots.iter().for_each(Slot::give_back);
        assert_eq!([is_backward(3, 1), is_backward(1, 2)], [false, false], "of another");
    }
}
