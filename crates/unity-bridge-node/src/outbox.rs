//! All that waits for one client: what the endpoint itself has to say first and whole, then messages, one of each topic in turn.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::AtomicWaker;

use crate::budget::Budget;
use crate::lock::lock;
use crate::topic_queue::{TopicQueue, Waiting};

/// What the endpoint says of itself: a command, or the frames of a service call in a row.
const CONTROLS_MAX: usize = 1024;

/// Filled from any thread, emptied by the one that writes. Whoever brings a message waits for nobody, and takes a lock only where
/// there is no room for it.
pub(crate) struct Outbox {
    /// What messages may take.
    budget: Arc<Budget>,
    controls: Mutex<Controls>,
    topics: Mutex<Topics>,
    /// Wakes whoever writes to the client.
    waker: AtomicWaker,
    is_closed: AtomicBool,
    is_stalled: AtomicBool,
}

/// For what has to be said, which is little. As many bytes as of messages may wait, and anything if nothing else does.
#[derive(Default)]
struct Controls {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

#[derive(Default)]
struct Topics {
    queues: Vec<Arc<TopicQueue>>,
    /// Counts the changes, so that the writer sees them.
    edition: u64,
}

/// What is to be written next.
pub(crate) enum Outgoing {
    /// Whole frames.
    Control(Bytes),
    /// A message of a topic.
    Message(Arc<TopicQueue>, Waiting),
    /// Nothing will come any more.
    End,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            budget: Arc::new(Budget::new(bytes_max)),
            controls: Mutex::default(),
            topics: Mutex::default(),
            waker: AtomicWaker::new(),
            is_closed: AtomicBool::new(false),
            is_stalled: AtomicBool::new(false),
        }
    }

    /// The bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.budget.taken() + lock(&self.controls).bytes
    }

    /// Has frames written, in a row and before all messages. Where too much of this waits, the client does not read, and
    /// what it was promised cannot be kept: it is stalled from then on.
    pub(crate) fn push_control(&self, frames: Bytes) {
        let mut controls = lock(&self.controls);
        let bytes = controls.bytes.saturating_add(frames.len());
        let has_room = controls.frames.len() < CONTROLS_MAX && bytes <= self.budget.bytes_max();
        if has_room || controls.frames.is_empty() {
            controls.bytes = bytes;
            controls.frames.push_back(frames);
        } else {
            self.is_stalled.store(true, Ordering::Relaxed);
        }
        drop(controls);
        self.waker.wake();
    }

    /// Has a message written. Where too many bytes wait, the topic that has the most of them loses its oldest messages.
    pub(crate) fn push(&self, queue: &TopicQueue, message: &[u8]) {
        let is_too_large = message.len() > self.budget.bytes_max();
        let share = loop {
            match self.budget.take(message.len()) {
                Some(share) => break share,
                None if !is_too_large && self.make_room() => {}
                None => return queue.metrics.dropped_for_bytes.inc(),
            }
        };
        queue.push(message, share);
        self.waker.wake();
    }

    /// Whether a message could be dropped for another.
    fn make_room(&self) -> bool {
        let topics = lock(&self.topics);
        let Some(largest) = topics.queues.iter().max_by_key(|queue| queue.bytes()) else { return false };
        let has_dropped = largest.pop().is_some();
        largest.metrics.dropped_for_bytes.inc_by(u64::from(has_dropped));
        has_dropped
    }

    /// Whether something could not be said that has to be.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed)
    }

    /// From now on messages of this topic are written.
    pub(crate) fn add(&self, queue: Arc<TopicQueue>) {
        self.change(|queues| queues.push(queue));
    }

    /// From now on messages of this topic are not written any more.
    pub(crate) fn remove(&self, queue: &Arc<TopicQueue>) {
        self.change(|queues| queues.retain(|known| !Arc::ptr_eq(known, queue)));
    }

    /// Ends the writing as soon as the commands that wait are written.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<TopicQueue>>)) {
        let mut topics = lock(&self.topics);
        change(&mut topics.queues);
        topics.edition += 1;
    }

    fn pop_control(&self) -> Option<Bytes> {
        let mut controls = lock(&self.controls);
        let frames = controls.frames.pop_front()?;
        controls.bytes -= frames.len();
        Some(frames)
    }
}

/// Takes out what is to be written. There is one for each outbox.
pub(crate) struct Outgoings {
    outbox: Arc<Outbox>,
    queues: Vec<Arc<TopicQueue>>,
    edition: u64,
    /// Whose turn it is.
    next: usize,
}

impl Outgoings {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, queues: Vec::new(), edition: 0, next: 0 }
    }

    /// Waits for what is to be written next.
    pub(crate) async fn next(&mut self) -> Outgoing {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Outgoing> {
        if let Some(outgoing) = self.take() {
            return Poll::Ready(outgoing);
        }
        self.outbox.waker.register(context.waker());
        // What came before the waker was there has not woken it.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    fn take(&mut self) -> Option<Outgoing> {
        if let Some(frames) = self.outbox.pop_control() {
            return Some(Outgoing::Control(frames));
        }
        if self.outbox.is_closed.load(Ordering::Relaxed) {
            return Some(Outgoing::End);
        }
        self.look_for_changes();
        let turns = (self.next..self.queues.len()).chain(0..self.next.min(self.queues.len()));
        let (index, waiting) = turns.into_iter().find_map(|index| Some((index, self.queues[index].pop()?)))?;
        self.next = index + 1;
        Some(Outgoing::Message(Arc::clone(&self.queues[index]), waiting))
    }

    fn look_for_changes(&mut self) {
        let topics = lock(&self.outbox.topics);
        if topics.edition != self.edition {
            self.queues.clone_from(&topics.queues);
            self.edition = topics.edition;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::metrics::FollowedMetrics;

    fn queue(outbox: &Outbox, topic: &str) -> Arc<TopicQueue> {
        let queue = Arc::new(TopicQueue::new(topic.to_owned(), 4, FollowedMetrics::unregistered()));
        outbox.add(Arc::clone(&queue));
        queue
    }

    /// All that can be written now, without waiting.
    fn written(outgoings: &mut Outgoings) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(outgoing) = outgoings.next().now_or_never() {
            texts.push(match outgoing {
                Outgoing::Control(frames) => String::from_utf8_lossy(&frames).into_owned(),
                Outgoing::Message(queue, waiting) => {
                    format!("{} {}", queue.topic, String::from_utf8_lossy(&waiting.payload))
                }
                Outgoing::End => return texts,
            });
        }
        texts
    }

    #[test]
    fn commands_come_first_and_topics_take_turns() {
        let outbox = Arc::new(Outbox::new(1000));
        let mut outgoings = Outgoings::new(Arc::clone(&outbox));
        let (images, states) = (queue(&outbox, "/images"), queue(&outbox, "/states"));
        for message in [b"1", b"2", b"3"] {
            outbox.push(&images, message);
        }
        outbox.push(&states, b"1");
        outbox.push_control(Bytes::from_static(b"command"));
        assert_eq!(written(&mut outgoings), ["command", "/images 1", "/states 1", "/images 2", "/images 3"]);
        outbox.remove(&images);
        outbox.push(&images, b"4");
        outbox.push(&states, b"2");
        assert_eq!(written(&mut outgoings), ["/states 2"]);
    }

    #[test]
    fn messages_that_wait_leave_room_for_what_has_to_be_said() {
        let outbox = Outbox::new(10);
        outbox.push(&queue(&outbox, "/states"), b"1234567890");
        outbox.push_control(Bytes::from_static(b"1234567890"));
        assert_eq!((outbox.is_stalled(), outbox.bytes()), (false, 20));
    }

    #[test]
    fn where_too_many_bytes_wait_the_topic_that_has_most_makes_room() {
        let outbox = Arc::new(Outbox::new(10));
        let (images, states, clouds) =
            (queue(&outbox, "/images"), queue(&outbox, "/states"), queue(&outbox, "/clouds"));
        outbox.push(&images, b"1234567");
        outbox.push(&states, b"1");
        outbox.push(&clouds, b"23456789");
        outbox.push(&states, b"2");
        // More than there may ever be.
        outbox.push(&images, b"12345678901");
        assert_eq!(written(&mut Outgoings::new(Arc::clone(&outbox))), ["/states 1", "/clouds 23456789", "/states 2"]);
        let dropped = [images, states, clouds].map(|queue| queue.metrics.dropped_for_bytes.get());
        assert_eq!((dropped, outbox.bytes()), ([2, 0, 0], 0));
    }

    #[test]
    fn a_client_that_does_not_read_its_commands_is_stalled() {
        let outbox = Outbox::new(10);
        // Alone it may be of any length: whoever asked for it waits for it.
        outbox.push_control(Bytes::from_static(b"12345678901"));
        assert!(!outbox.is_stalled());
        outbox.push_control(Bytes::from_static(b"1"));
        assert!(outbox.is_stalled());
    }

    #[test]
    fn the_last_word_is_written_before_the_end_and_no_message() {
        let outbox = Arc::new(Outbox::new(1000));
        outbox.push(&queue(&outbox, "/states"), b"1");
        outbox.push_control(Bytes::from_static(b"why"));
        outbox.close();
        assert_eq!(written(&mut Outgoings::new(outbox)), ["why"]);
    }
}
