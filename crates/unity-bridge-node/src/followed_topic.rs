//! A topic that a client follows: one subscription of its own, so that it gets what is latched, and goes when the client goes.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use node_runtime::MonotonicClock;
use ros_observer::{Endpoint, Error, Gid, MessageInfo, MessageType, Qos, Subscription};
use stream_statistics::SequenceTracker;
use unity_protocol::QosRequest;

use crate::bridge::Bridge;
use crate::subscription_qos::{Offer, subscription_qos};
use crate::teller::Teller;
use crate::topic_queue::TopicQueue;

/// Publishers of one topic whose sequence numbers are followed at a time.
const PUBLISHERS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

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

pub(crate) struct FollowedTopic {
    wish: Wish,
    message_type: MessageType,
    pub(crate) queue: Arc<TopicQueue>,
    /// Where echoes are suppressed.
    own: Option<OwnPublishers>,
    /// None only while it is made anew, or where that failed.
    subscription: Mutex<Option<Subscription>>,
    teller: Arc<Teller>,
    /// The type of publishers that the client was told of, since their messages cannot come.
    told_type: Mutex<Option<String>>,
}

impl FollowedTopic {
    /// `message_type` is what the wish names.
    ///
    /// # Errors
    /// When the middleware refuses.
    pub(crate) fn new(
        bridge: &Bridge,
        wish: Wish,
        message_type: MessageType,
        queue: Arc<TopicQueue>,
        own: Option<OwnPublishers>,
        teller: Arc<Teller>,
    ) -> Result<Self, Error> {
        let topic = Self {
            wish,
            message_type,
            queue,
            own,
            subscription: Mutex::default(),
            teller,
            told_type: Mutex::default(),
        };
        topic.look(bridge)?;
        Ok(topic)
    }

    pub(crate) fn full_name(&self) -> &str {
        &self.wish.full_name
    }

    pub(crate) fn wish(&self) -> &Wish {
        &self.wish
    }

    /// Looks at the publishers, and subscribes anew where they offer something better or nothing as good.
    pub(crate) fn look(&self, bridge: &Bridge) -> Result<(), Error> {
        let publishers = bridge.node.publishers(&self.wish.full_name)?;
        self.tell_of_another_type(&publishers);
        let offers: Vec<Offer> = publishers.iter().map(Offer::from).collect();
        let qos = subscription_qos(&self.wish.full_name, &offers, self.wish.qos, self.queue.depth());
        let mut subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner);
        let is_as_good = |known: &Subscription| known.requested_qos() == qos || offers.is_empty();
        if subscription.as_ref().is_some_and(is_as_good) {
            return Ok(());
        }
        // The old one ends first: with both, messages would come twice.
        subscription.take();
        *subscription = Some(self.subscribe(bridge, qos)?);
        Ok(())
    }

    fn subscribe(&self, bridge: &Bridge, qos: Qos) -> Result<Subscription, Error> {
        let mut intake = Intake {
            queue: Arc::clone(&self.queue),
            own: self.own.clone(),
            sequences: SequenceTracker::with_capacity(PUBLISHERS_MAX),
            clock: MonotonicClock::new(),
        };
        let (node, topic) = (&bridge.node, &self.wish.full_name);
        let take = move |message: &[u8], info: &MessageInfo| intake.take(message, info);
        let subscription = Subscription::of_type(self.message_type, node, topic, qos, bridge.take_in, take)?;
        bridge.spinner.add_subscription(&subscription)?;
        Ok(subscription)
    }

    /// Tells the client, once for each type, of publishers whose messages it cannot get.
    fn tell_of_another_type(&self, publishers: &[Endpoint]) {
        let other =
            publishers.iter().map(|publisher| &publisher.topic_type).find(|found| **found != self.wish.message_type);
        let mut told = self.told_type.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = other.filter(|other| told.as_ref() != Some(other)) {
            let (topic, wanted) = (&self.wish.full_name, &self.wish.message_type);
            self.teller
                .warn(format!("{topic}: there is a publisher of {other}, whose messages do not come as {wanted}"));
            *told = Some(other.clone());
        }
    }
}

/// What happens to a message, in the middleware's receive thread where that is allowed.
struct Intake {
    queue: Arc<TopicQueue>,
    own: Option<OwnPublishers>,
    sequences: SequenceTracker<Gid>,
    clock: MonotonicClock,
}

impl Intake {
    fn take(&mut self, message: &[u8], info: &MessageInfo) {
        let lost = self.sequences.observe(info.publisher, info.publication_sequence, self.clock.now_ns());
        self.queue.metrics.lost.inc_by(lost);
        if self.is_echo(info) {
            self.queue.metrics.suppressed_echoes.inc();
        } else {
            self.queue.push(message);
        }
    }

    fn is_echo(&self, info: &MessageInfo) -> bool {
        let is_of = |own: &OwnPublishers| own.read().unwrap_or_else(PoisonError::into_inner).contains(&info.publisher);
        self.own.as_ref().is_some_and(is_of)
    }
}
