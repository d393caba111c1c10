//! The messages of one topic that wait for one client: the newest of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;

use crate::budget::Share;
use crate::metrics::FollowedMetrics;

/// A message that waits.
pub(crate) struct Waiting {
    pub(crate) payload: Bytes,
    pub(crate) since: Instant,
    /// Of what may wait for the client.
    _share: Share,
}

/// The queue of one topic. Where there is no room for a message, the oldest goes.
pub(crate) struct TopicQueue {
    /// The topic, as the client calls it.
    pub(crate) topic: String,
    pub(crate) metrics: FollowedMetrics,
    waiting: ArrayQueue<Waiting>,
    bytes: AtomicUsize,
}

impl TopicQueue {
    pub(crate) fn new(topic: String, depth: usize, metrics: FollowedMetrics) -> Self {
        Self { topic, metrics, waiting: ArrayQueue::new(depth.max(1)), bytes: AtomicUsize::new(0) }
    }

    /// Takes a message in, for which there is a share of the client's budget; its bytes are copied.
    pub(crate) fn push(&self, message: &[u8], share: Share) {
        let waiting = Waiting { payload: Bytes::copy_from_slice(message), since: Instant::now(), _share: share };
        self.bytes.fetch_add(message.len(), Ordering::Relaxed);
        if let Some(oldest) = self.waiting.force_push(waiting) {
            self.bytes.fetch_sub(oldest.payload.len(), Ordering::Relaxed);
            self.metrics.dropped_for_depth.inc();
        }
    }

    /// Takes the oldest message out.
    pub(crate) fn pop(&self) -> Option<Waiting> {
        let oldest = self.waiting.pop()?;
        self.bytes.fetch_sub(oldest.payload.len(), Ordering::Relaxed);
        Some(oldest)
    }

    /// The bytes of all messages that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn depth(&self) -> usize {
        self.waiting.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::Budget;

    #[test]
    fn the_oldest_goes_where_the_queue_is_full() {
        let budget = Arc::new(Budget::new(100));
        let queue = TopicQueue::new("/chatter".to_owned(), 2, FollowedMetrics::unregistered());
        for message in [b"first ", b"second", b"third "] {
            queue.push(message, budget.take(message.len()).expect("as much"));
        }
        assert_eq!((budget.taken(), queue.bytes()), (12, 12));
        let waiting: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|waiting| waiting.payload).collect();
        assert_eq!(waiting, [&b"second"[..], b"third "]);
        assert_eq!((budget.taken(), queue.bytes(), queue.metrics.dropped_for_depth.get()), (0, 0, 1));
    }
}
