//! All that waits for one client: what the endpoint itself has to say first and whole, then messages, one of each topic in turn.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::topic_queue::{Backlog, TopicQueue, Waiting};

/// What the endpoint says of itself: a command, or the frames of a service call in a row.
const CONTROLS_MAX: usize = 1024;

/// Filled from any thread, emptied by the one that writes.
pub(crate) struct Outbox {
    backlog: Arc<Backlog>,
    /// For the commands, which are few; messages do not pass it.
    controls: Mutex<VecDeque<Bytes>>,
    topics: Mutex<Topics>,
    is_closed: AtomicBool,
    is_stalled: AtomicBool,
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
            backlog: Arc::new(Backlog::new(bytes_max)),
            controls: Mutex::default(),
            topics: Mutex::default(),
            is_closed: AtomicBool::new(false),
            is_stalled: AtomicBool::new(false),
        }
    }

    pub(crate) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Has frames written, in a row and before all messages. Where too much of this waits, the client does not read, and
    /// what it was promised cannot be kept: it is stalled from then on.
    pub(crate) fn push_control(&self, frames: Bytes) {
        let mut controls = self.controls();
        if controls.len() >= CONTROLS_MAX || !self.backlog.reserve(frames.len()) {
            self.is_stalled.store(true, Ordering::Relaxed);
        } else {
            controls.push_back(frames);
        }
        drop(controls);
        self.backlog.waker.wake();
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
        self.backlog.waker.wake();
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<TopicQueue>>)) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut topics.queues);
        topics.edition += 1;
    }

    fn controls(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop_control(&self) -> Option<Bytes> {
        let frames = self.controls().pop_front()?;
        self.backlog.release(frames.len());
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
        self.outbox.backlog.waker.register(context.waker());
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
        let topics = self.outbox.topics.lock().unwrap_or_else(PoisonError::into_inner);
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
        let metrics = FollowedMetrics::unregistered();
        let queue = Arc::new(TopicQueue::new(topic.to_owned(), 4, Arc::clone(outbox.backlog()), metrics));
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
            images.push(message);
        }
        states.push(b"1");
        outbox.push_control(Bytes::from_static(b"command"));
        assert_eq!(written(&mut outgoings), ["command", "/images 1", "/states 1", "/images 2", "/images 3"]);
        outbox.remove(&images);
        images.push(b"4");
        states.push(b"2");
        assert_eq!(written(&mut outgoings), ["/states 2"]);
    }

    #[test]
    fn a_client_that_does_not_read_its_commands_is_stalled() {
        let outbox = Outbox::new(10);
        outbox.push_control(Bytes::from_static(b"12345"));
        assert!(!outbox.is_stalled());
        outbox.push_control(Bytes::from_static(b"123456"));
        assert!(outbox.is_stalled());
    }

    #[test]
    fn the_last_word_is_written_before_the_end_and_no_message() {
        let outbox = Arc::new(Outbox::new(1000));
        queue(&outbox, "/states").push(b"1");
        outbox.push_control(Bytes::from_static(b"why"));
        outbox.close();
        assert_eq!(written(&mut Outgoings::new(outbox)), ["why"]);
    }
}
