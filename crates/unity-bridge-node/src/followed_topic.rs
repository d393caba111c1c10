//! A topic that a client follows: one subscription of its own, so that it gets what is latched, and goes when the client goes.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use node_runtime::MonotonicClock;
use ros_observer::{Endpoint, Error, Gid, MessageInfo, MessageType, Qos, Subscription};
use stream_statistics::SequenceTracker;
use unity_protocol::QosRequest;

use crate::bridge::Bridge;
use crate::lock::lock;
use crate::outbox::Outbox;
use crate::subscription_qos::{Offer, subscription_qos};
use crate::teller::Teller;
use crate::topic_queue::TopicQueue;

/// Publishers of one topic whose sequence numbers are followed at a time.
const PUBLISHERS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// How long publishers take to find a subscription, so that the one before it is not missed.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

/// What a client's own publishers are known by. Written when the client registers one, and read for each message, where echoes are
/// suppressed.
pub(crate) type OwnPublishers = Arc<RwLock<Vec<Gid>>>;

/// What the client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) full_name: String,
    pub(crate) message_type: String,
    pub(crate) queue_size: usize,
    pub(crate) qos: QosRequest,
}

/// Who gets the messages.
pub(crate) struct Recipient {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) queue: Arc<TopicQueue>,
    /// Where echoes are suppressed.
    pub(crate) own: Option<OwnPublishers>,
    pub(crate) teller: Arc<Teller>,
}

pub(crate) struct FollowedTopic {
    wish: Wish,
    message_type: MessageType,
    queue: Arc<TopicQueue>,
    teller: Arc<Teller>,
    /// Nobody waits for it, but while one subscription takes the place of another: then both bring the same messages.
    intake: Arc<Mutex<Intake>>,
    state: Mutex<Following>,
}

#[derive(Default)]
struct Following {
    /// None until it is made, or where that failed.
    subscription: Option<Subscription>,
    /// Those before, and when they can end.
    retired: Vec<(Subscription, Instant)>,
    /// Publishers of which the client was told that their messages do not come.
    told: Vec<Gid>,
}

impl FollowedTopic {
    /// Begins with the first [`Self::look`]. `message_type` is what the wish names.
    pub(crate) fn new(wish: Wish, message_type: MessageType, recipient: Recipient) -> Self {
        let Recipient { outbox, queue, own, teller } = recipient;
        let sequences = SequenceTracker::with_capacity(PUBLISHERS_MAX);
        let intake = Intake { outbox, queue: Arc::clone(&queue), own, sequences, clock: MonotonicClock::new() };
        Self { wish, message_type, queue, teller, intake: Arc::new(Mutex::new(intake)), state: Mutex::default() }
    }

    pub(crate) fn wish(&self) -> &Wish {
        &self.wish
    }

    pub(crate) fn queue(&self) -> &Arc<TopicQueue> {
        &self.queue
    }

    /// Tells the client why it gets no messages.
    pub(crate) fn tell(&self, error: &Error) {
        self.teller.error(format!("subscribe {}: {error}", self.wish.full_name));
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.state().subscription.is_some()
    }

    /// Ends the subscriptions in whose places others are by now.
    pub(crate) fn end_retired(&self, now: Instant) {
        self.state().retired.retain(|(_, ends_at)| *ends_at > now);
    }

    /// Looks at the publishers, and subscribes anew where they offer something better or nothing as good.
    ///
    /// # Errors
    /// When the middleware refuses.
    pub(crate) fn look(&self, bridge: &Bridge) -> Result<(), Error> {
        // Held meanwhile: what another thread has seen before must not undo this.
        let mut state = self.state();
        let publishers = bridge.node.publishers(&self.wish.full_name)?;
        let is_of_type = |publisher: &&Endpoint| publisher.topic_type == self.wish.message_type;
        let offers: Vec<Offer> = publishers.iter().filter(is_of_type).map(Offer::from).collect();
        let qos = subscription_qos(&self.wish.full_name, &offers, self.wish.qos, self.queue.depth());
        let is_as_good = |known: &Subscription| known.requested_qos() == qos || offers.is_empty();
        if !state.subscription.as_ref().is_some_and(is_as_good) {
            let newest = self.subscribe(bridge, qos)?;
            let before = state.subscription.replace(newest);
            // Ended later: publishers have to find the new one first.
            state.retired.extend(before.map(|before| (before, Instant::now() + FOUND_WITHIN)));
        }
        state.told.retain(|gid| publishers.iter().any(|publisher| publisher.gid == *gid));
        for publisher in &publishers {
            if let Some(fault) = self.fault(publisher, qos).filter(|_| !state.told.contains(&publisher.gid)) {
                self.teller.warn(fault);
                state.told.push(publisher.gid);
            }
        }
        Ok(())
    }

    /// Why the messages of a publisher do not come.
    fn fault(&self, publisher: &Endpoint, qos: Qos) -> Option<String> {
        let Wish { full_name, message_type, .. } = &self.wish;
        let (other, node) = (&publisher.topic_type, publisher.node.as_deref().unwrap_or("a node"));
        if other != message_type {
            return Some(format!(
                "{full_name}: {node} publishes {other}, whose messages do not come as {message_type}"
            ));
        }
        let why = publisher.incompatibility(qos)?;
        Some(format!("{full_name}: the messages of {node} do not come: {why}; ask for another qos"))
    }

    fn state(&self) -> MutexGuard<'_, Following> {
        lock(&self.state)
    }

    fn subscribe(&self, bridge: &Bridge, qos: Qos) -> Result<Subscription, Error> {
        let intake = Arc::clone(&self.intake);
        let take = move |message: &[u8], info: &MessageInfo| {
            lock(&intake).take(message, info);
        };
        let (node, topic) = (&bridge.node, &self.wish.full_name);
        let subscription = Subscription::of_type(self.message_type, node, topic, qos, bridge.take_in, take)?;
        bridge.spinner.add_subscription(&subscription)?;
        Ok(subscription)
    }
}

/// What happens to a message, in the middleware's receive thread where that is allowed.
struct Intake {
    outbox: Arc<Outbox>,
    queue: Arc<TopicQueue>,
    own: Option<OwnPublishers>,
    sequences: SequenceTracker<Gid>,
    clock: MonotonicClock,
}

impl Intake {
    fn take(&mut self, message: &[u8], info: &MessageInfo) {
        let (publisher, sequence) = (info.publisher, info.publication_sequence);
        // From the subscription before, or from the one that takes its place.
        if self.sequences.has_seen(publisher, sequence) {
            return;
        }
        self.queue.metrics.lost.inc_by(self.sequences.observe(publisher, sequence, self.clock.now_ns()));
        if self.is_echo(info) {
            self.queue.metrics.suppressed_echoes.inc();
        } else {
            self.outbox.push(&self.queue, message);
        }
    }

    fn is_echo(&self, info: &MessageInfo) -> bool {
        let is_of = |own: &OwnPublishers| own.read().unwrap_or_else(PoisonError::into_inner).contains(&info.publisher);
        self.own.as_ref().is_some_and(is_of)
    }
}
