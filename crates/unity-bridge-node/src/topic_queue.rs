//! The messages of one topic that wait for one client: the newest of them, within the client's bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;
use futures::task::AtomicWaker;

use crate::metrics::FollowedMetrics;

/// What waits for one client altogether.
pub(crate) struct Backlog {
    /// The bytes of all messages that wait.
    bytes: AtomicUsize,
    bytes_max: usize,
    /// Wakes whoever writes to the client.
    pub(crate) waker: AtomicWaker,
}

impl Backlog {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max, waker: AtomicWaker::new() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether there was room for so many more, which are counted from now on.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let more = |waiting: usize| waiting.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A message that waits.
pub(crate) struct Waiting {
    pub(crate) payload: Bytes,
    pub(crate) since: Instant,
}

/// The queue of one topic. Whoever brings a message waits for nobody and takes no lock: where there is no room, the oldest
/// message of the topic goes.
pub(crate) struct TopicQueue {
    /// The topic, as the client calls it.
    pub(crate) topic: String,
    pub(crate) metrics: FollowedMetrics,
    waiting: ArrayQueue<Waiting>,
    backlog: Arc<Backlog>,
}

impl TopicQueue {
    pub(crate) fn new(topic: String, depth: usize, backlog: Arc<Backlog>, metrics: FollowedMetrics) -> Self {
        Self { topic, metrics, waiting: ArrayQueue::new(depth.max(1)), backlog }
    }

    /// Takes a message in; its bytes are copied.
    pub(crate) fn push(&self, message: &[u8]) {
        while !self.backlog.reserve(message.len()) {
            if self.pop().is_none() {
                return self.metrics.dropped_for_bytes.inc();
            }
            self.metrics.dropped_for_bytes.inc();
        }
        let payload = Bytes::copy_from_slice(message);
        if let Some(oldest) = self.waiting.force_push(Waiting { payload, since: Instant::now() }) {
            self.backlog.release(oldest.payload.len());
            self.metrics.dropped_for_depth.inc();
        }
        self.backlog.waker.wake();
    }

    /// Takes the oldest message out.
    pub(crate) fn pop(&self) -> Option<Waiting> {
        let oldest = self.waiting.pop()?;
        self.backlog.release(oldest.payload.len());
        Some(oldest)
    }

    pub(crate) fn depth(&self) -> usize {
        self.waiting.capacity()
    }
}

impl Drop for TopicQueue {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(depth: usize, backlog: &Arc<Backlog>) -> TopicQueue {
        TopicQueue::new("/chatter".to_owned(), depth, Arc::clone(backlog), FollowedMetrics::unregistered())
    }

    fn waiting(queue: &TopicQueue) -> Vec<Bytes> {
        std::iter::from_fn(|| queue.pop()).map(|waiting| waiting.payload).collect()
    }

    #[test]
    fn the_oldest_goes_where_the_queue_is_full() {
        let backlog = Arc::new(Backlog::new(100));
        let queue = queue(2, &backlog);
        for message in [b"first ", b"second", b"third "] {
            queue.push(message);
        }
        assert_eq!(backlog.bytes(), 12);
        assert_eq!(waiting(&queue), [&b"second"[..], b"third "]);
        assert_eq!((backlog.bytes(), queue.metrics.dropped_for_depth.get()), (0, 1));
    }

    #[test]
    fn the_bytes_of_all_topics_together_are_limited_and_each_makes_room_at_its_own_cost() {
        let backlog = Arc::new(Backlog::new(10));
        let (images, states) = (queue(10, &backlog), queue(10, &backlog));
        states.push(b"1234");
        images.push(b"123456");
        // Of its own there is one to go.
        images.push(b"12345");
        // Four remain, of which none is this topic's.
        images.push(b"1234567");
        assert_eq!(waiting(&states), [&b"1234"[..]]);
        assert_eq!(waiting(&images), [] as [&[u8]; 0]);
        assert_eq!((images.metrics.dropped_for_bytes.get(), states.metrics.dropped_for_bytes.get()), (3, 0));
    }

    #[test]
    fn what_waits_is_no_backlog_any_more_when_its_queue_goes() {
        let backlog = Arc::new(Backlog::new(10));
        queue(2, &backlog).push(b"12345");
        assert_eq!(backlog.bytes(), 0);
    }
}
