//! How many messages have come, and when the last of them did: counted by one thread, read by others.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts messages. There is one writer, so no read-modify-write is needed.
#[derive(Debug, Default)]
pub(crate) struct ArrivalCount {
    count: AtomicU64,
    /// The arrival of the last message and of the one before, each in the place that its number's lowest bit says: what is
    /// written next is never what belongs to the count.
    arrivals_ns: [AtomicU64; 2],
}

impl ArrivalCount {
    /// Adds a message.
    pub(crate) fn add(&self, arrival_ns: u64) {
        let count = self.count.load(Ordering::Relaxed) + 1;
        self.arrivals_ns[(count % 2) as usize].store(arrival_ns, Ordering::Release);
        self.count.store(count, Ordering::Release);
    }

    /// The number of messages and the arrival of the last one, of one moment.
    pub(crate) fn read(&self) -> (u64, u64) {
        let mut count = self.count.load(Ordering::Acquire);
        loop {
            let arrival_ns = self.arrivals_ns[(count % 2) as usize].load(Ordering::Acquire);
            // Whoever sees the arrival of a later message sees that the count has gone on, too.
            let again = self.count.load(Ordering::Acquire);
            if again == count {
                return (count, arrival_ns);
            }
            count = again;
        }
    }

    /// Counts from zero again. For the writer, while nobody reads.
    pub(crate) fn restart(&self) {
        self.count.store(0, Ordering::Relaxed);
    }
}
