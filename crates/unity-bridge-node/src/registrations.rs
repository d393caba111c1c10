//! What one client has in ROS: topics and services, by the names that it uses for them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use ros_observer::{Gid, MessageType, Qos, SerializedPublisher};
use tokio::sync::mpsc;
use unity_protocol::{Command, QosRequest};

use crate::blocking::{blocking, end_blocking};
use crate::bridge::Bridge;
use crate::called_service::CalledService;
use crate::faults::{Operation, Refusal};
use crate::followed_topic::{FollowedTopic, OwnPublishers, Recipient, Wish};
use crate::metrics::PublishedMetrics;
use crate::offered_service::{Asked, OfferedService};
use crate::outbox::Outbox;
use crate::parameters::publisher_depth;
use crate::teller::Teller;
use crate::topic_queue::TopicQueue;

/// What a client has registered. It goes from ROS when this is dropped.
pub(crate) struct Registrations {
    bridge: Arc<Bridge>,
    outbox: Arc<Outbox>,
    teller: Arc<Teller>,
    publishers: HashMap<String, Published>,
    topics: HashMap<String, Arc<FollowedTopic>>,
    called: HashMap<String, Arc<CalledService>>,
    offered: HashMap<String, Arc<OfferedService>>,
    own: OwnPublishers,
    /// Where requests to the client go.
    asked: mpsc::Sender<Asked>,
}

/// A topic that the client publishes.
struct Published {
    full_name: String,
    message_type: String,
    qos: Qos,
    gid: Gid,
    publisher: SerializedPublisher,
    metrics: PublishedMetrics,
}

impl Registrations {
    /// None yet. Requests to the services that the client will offer go into `asked`.
    pub(crate) fn new(
        bridge: Arc<Bridge>,
        outbox: Arc<Outbox>,
        teller: Arc<Teller>,
        asked: mpsc::Sender<Asked>,
    ) -> Self {
        Self {
            publishers: HashMap::new(),
            topics: HashMap::new(),
            called: HashMap::new(),
            offered: HashMap::new(),
            own: OwnPublishers::default(),
            bridge,
            outbox,
            teller,
            asked,
        }
    }

    /// Whether the client has registered that it publishes a topic.
    pub(crate) fn publishes(&self, topic: &str) -> bool {
        self.publishers.contains_key(topic)
    }

    /// A service that the client calls.
    pub(crate) fn called(&self, service: &str) -> Option<&Arc<CalledService>> {
        self.called.get(service)
    }

    /// A service that the client offers.
    pub(crate) fn offered(&self, service: &str) -> Option<&Arc<OfferedService>> {
        self.offered.get(service)
    }

    /// Publishes a message.
    pub(crate) fn publish(&self, topic: &str, message: &[u8]) {
        let Some(published) = self.publishers.get(topic) else {
            self.bridge.metrics.unregistered_messages.inc();
            // Escaped: the name may be anything.
            return self.teller.error(format!(
                "publish {}: {}",
                topic.escape_debug(),
                Refusal::Unregistered("__publish")
            ));
        };
        match published.publisher.publish(message) {
            Ok(()) => published.metrics.published.inc(),
            Err(error) => {
                published.metrics.unpublished.inc();
                self.teller.error(format!("publish {topic}: {error}"));
            }
        }
    }

    /// Does what the client wants of ROS, and tells it what went wrong.
    pub(crate) async fn obey(&mut self, command: Command) {
        match command {
            Command::Subscribe { topic, message_type, queue_size, qos } => {
                let done = self.subscribe(&topic, message_type, queue_size, qos).await;
                self.tell(Operation::Subscribe, &topic, done);
            }
            Command::Publish { topic, message_type, queue_size, latch } => {
                let done = self.advertise(&topic, message_type, queue_size, latch).await;
                self.tell(Operation::Publish, &topic, done);
            }
            Command::RosService { service, service_type } => {
                let done = self.prepare_calls(&service, service_type).await;
                self.tell(Operation::Call, &service, done);
            }
            Command::UnityService { service, service_type } => {
                let done = self.offer(&service, service_type).await;
                self.tell(Operation::Offer, &service, done);
            }
            Command::TopicList => {
                let bridge = Arc::clone(&self.bridge);
                match blocking(move || bridge.topic_list()).await {
                    Ok(list) => self.outbox.push_control(list),
                    Err(error) => self.teller.error(error),
                }
            }
            Command::RemoveSubscriber { topic } => self.stop_following(&topic).await,
            Command::RemovePublisher { topic } => self.stop_publishing(&topic).await,
            Command::RemoveRosService { service } => end_blocking(self.called.remove(&service)).await,
            Command::RemoveUnityService { service } => self.stop_offering(&service).await,
        }
    }

    fn tell(&self, operation: Operation, name: &str, done: Result<(), Refusal>) {
        match done {
            Ok(()) => tracing::debug!(client = %self.teller.peer(), operation = operation.label(), name, "registered"),
            Err(refusal) => {
                self.bridge.metrics.refused(operation, &refusal);
                self.teller.error(format!("{} {name}: {refusal}", operation.label()));
            }
        }
    }

    /// Whether one more of something may be had.
    fn check_room(&self) -> Result<(), Refusal> {
        let all = self.publishers.len() + self.topics.len() + self.called.len() + self.offered.len();
        let max = self.bridge.settings.max_registrations;
        if all < max { Ok(()) } else { Err(Refusal::TooMany(max)) }
    }

    /// The full name of a topic or a service that the client may have.
    async fn allowed(&self, operation: Operation, name: &str) -> Result<String, Refusal> {
        let (bridge, name) = (Arc::clone(&self.bridge), name.to_owned());
        blocking(move || bridge.allowed(operation, &name)).await
    }

    async fn subscribe(
        &mut self,
        topic: &str,
        message_type: String,
        queue_size: Option<u32>,
        qos: QosRequest,
    ) -> Result<(), Refusal> {
        let full_name = self.allowed(Operation::Subscribe, topic).await?;
        let queue_size = self.bridge.settings.queue_size(queue_size, &full_name, &message_type);
        let wish = Wish { full_name, message_type, queue_size, qos };
        if self.topics.get(topic).is_some_and(|known| *known.wish() == wish) {
            return Ok(());
        }
        self.stop_following(topic).await;
        self.check_room()?;
        let found = find(&wish.message_type).await?;
        let metrics = self.bridge.metrics.followed(&wish.full_name);
        let queue = Arc::new(TopicQueue::new(topic.to_owned(), queue_size, metrics));
        // Before the first message comes.
        self.outbox.add(Arc::clone(&queue));
        let recipient = Recipient {
            outbox: Arc::clone(&self.outbox),
            queue: Arc::clone(&queue),
            own: self.bridge.settings.suppress_echo.then(|| Arc::clone(&self.own)),
            teller: Arc::clone(&self.teller),
        };
        let bridge = Arc::clone(&self.bridge);
        let made = blocking(move || {
            let followed = Arc::new(FollowedTopic::new(wish, found, recipient));
            // Before its publishers are looked at: of those that come in between the graph tells.
            bridge.follow(&followed);
            followed.look(&bridge).map(|()| followed)
        });
        let followed = made.await.inspect_err(|_| self.outbox.remove(&queue))?;
        self.topics.insert(topic.to_owned(), followed);
        Ok(())
    }

    async fn stop_following(&mut self, topic: &str) {
        if let Some(followed) = self.topics.remove(topic) {
            self.outbox.remove(followed.queue());
            end_blocking(followed).await;
        }
    }

    async fn advertise(
        &mut self,
        topic: &str,
        message_type: String,
        queue_size: u32,
        is_latched: bool,
    ) -> Result<(), Refusal> {
        let full_name = self.allowed(Operation::Publish, topic).await?;
        // What is latched the middleware keeps for good: the last message, as ROS 1 did.
        let qos = if is_latched { Qos::latched(1) } else { Qos::reliable(publisher_depth(queue_size)) };
        let is_same =
            |known: &Published| (&known.full_name, &known.message_type, known.qos) == (&full_name, &message_type, qos);
        if self.publishers.get(topic).is_some_and(is_same) {
            return Ok(());
        }
        self.stop_publishing(topic).await;
        self.check_room()?;
        let found = find(&message_type).await?;
        let metrics = self.bridge.metrics.published(&full_name);
        let bridge = Arc::clone(&self.bridge);
        let published = blocking(move || {
            let publisher = SerializedPublisher::new(found, &bridge.node, &full_name, qos)?;
            let gid = publisher.gid()?;
            Ok::<_, ros_observer::Error>(Published { full_name, message_type, qos, gid, publisher, metrics })
        });
        self.publishers.insert(topic.to_owned(), published.await?);
        self.know_own_publishers();
        Ok(())
    }

    async fn stop_publishing(&mut self, topic: &str) {
        if let Some(published) = self.publishers.remove(topic) {
            self.know_own_publishers();
            end_blocking(published).await;
        }
    }

    fn know_own_publishers(&self) {
        let gids = self.publishers.values().map(|published| published.gid).collect();
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = gids;
    }

    async fn prepare_calls(&mut self, service: &str, service_type: String) -> Result<(), Refusal> {
        let full_name = self.allowed(Operation::Call, service).await?;
        if self.called.get(service).is_some_and(|known| known.is(&full_name, &service_type)) {
            return Ok(());
        }
        end_blocking(self.called.remove(service)).await;
        self.check_room()?;
        let bridge = Arc::clone(&self.bridge);
        let called = blocking(move || CalledService::new(&bridge, full_name, service_type)).await?;
        self.called.insert(service.to_owned(), Arc::new(called));
        Ok(())
    }

    async fn offer(&mut self, service: &str, service_type: String) -> Result<(), Refusal> {
        let full_name = self.allowed(Operation::Offer, service).await?;
        let is_same = |known: &Arc<OfferedService>| known.is(&full_name, &service_type) && !known.is_withdrawn();
        if self.offered.get(service).is_some_and(is_same) {
            return Ok(());
        }
        self.stop_offering(service).await;
        self.check_room()?;
        let (bridge, teller, asked) = (Arc::clone(&self.bridge), Arc::clone(&self.teller), self.asked.clone());
        let name = service.to_owned();
        let offered_as = full_name.clone();
        let offered = blocking(move || OfferedService::new(&bridge, name, offered_as, service_type, asked, teller));
        let offered = Arc::new(offered.await?);
        // Not before: had the client gone meanwhile, nobody would offer it.
        let (bridge, newest) = (Arc::clone(&self.bridge), Arc::clone(&offered));
        blocking(move || bridge.take_over(&full_name, &newest)).await;
        self.offered.insert(service.to_owned(), offered);
        Ok(())
    }

    async fn stop_offering(&mut self, service: &str) {
        if let Some(offered) = self.offered.remove(service) {
            // At once, though requests that wait for their responses still know it.
            blocking(move || offered.end()).await;
        }
    }
}

/// A type by its name; to load its library takes a while.
async fn find(message_type: &str) -> Result<MessageType, ros_observer::Error> {
    let name = message_type.to_owned();
    blocking(move || MessageType::find(&name)).await
}
