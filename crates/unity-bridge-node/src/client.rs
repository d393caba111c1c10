//! What one client has in ROS, and what it says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ros_observer::{Gid, MessageType, Qos, RequestId, SerializedPublisher};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use unity_protocol::{Call, Command, Event, Frame, QosRequest, Session, SessionLimits, encode};

use crate::bridge::Bridge;
use crate::called_service::CalledService;
use crate::deadlines::Deadlines;
use crate::faults::{Operation, Refusal};
use crate::followed_topic::{FollowedTopic, OwnPublishers, Wish};
use crate::metrics::{INCOMPLETE_CALL, PublishedMetrics};
use crate::offered_service::{Asked, OfferedService};
use crate::outbox::Outbox;
use crate::teller::Teller;
use crate::topic_queue::TopicQueue;

/// How long the second frame of a call may take to follow. Unity sends both at once, as far as its queue lets it.
const INCOMPLETE_WITHIN: Duration = Duration::from_secs(5);

/// The first id of a request to a client, as of the Python endpoint.
const FIRST_ID: i64 = 1001;

/// Images are large, and only the newest is of use.
const IMAGE_TYPES: [&str; 2] = ["sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"];

/// One client. What it has in ROS goes when it is dropped.
pub(crate) struct Client {
    bridge: Arc<Bridge>,
    outbox: Arc<Outbox>,
    teller: Arc<Teller>,
    session: Session,
    /// All of these by the names that the client uses.
    publishers: HashMap<String, Published>,
    topics: HashMap<String, Arc<FollowedTopic>>,
    called: HashMap<String, Arc<CalledService>>,
    offered: HashMap<String, Arc<OfferedService>>,
    own: OwnPublishers,
    /// The client's calls that wait for their responses.
    calls: JoinSet<()>,
    /// Halves of calls.
    incomplete: Deadlines<Call>,
    /// What the client was asked, by id.
    requests: HashMap<i64, (Arc<OfferedService>, RequestId, Instant)>,
    due: Deadlines<i64>,
    next_id: i64,
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

impl Client {
    /// Requests for it go into `asked`, of which the other end belongs to whoever calls [`Self::ask`].
    pub(crate) fn new(bridge: Arc<Bridge>, outbox: Arc<Outbox>, peer: SocketAddr, asked: mpsc::Sender<Asked>) -> Self {
        let settings = &bridge.settings;
        let limits =
            SessionLimits { pending_max: settings.max_pending_calls, services_max: settings.max_registrations };
        Self {
            teller: Arc::new(Teller::new(peer, Arc::clone(&outbox), bridge.metrics.clone())),
            session: Session::new(limits),
            publishers: HashMap::new(),
            topics: HashMap::new(),
            called: HashMap::new(),
            offered: HashMap::new(),
            own: OwnPublishers::default(),
            calls: JoinSet::new(),
            incomplete: Deadlines::new(INCOMPLETE_WITHIN),
            requests: HashMap::new(),
            due: Deadlines::new(settings.service_timeout),
            next_id: FIRST_ID,
            asked,
            bridge,
            outbox,
        }
    }

    /// Does what a frame says. Waits for what takes time in ROS, which holds up this client alone.
    pub(crate) async fn receive(&mut self, frame: Frame) {
        match self.session.receive(frame) {
            Event::Keepalive => {}
            Event::Message { topic, payload } => self.publish(&topic, &payload),
            Event::Command(command) => self.obey(command).await,
            Event::Incomplete(call) => self.incomplete.add(call, Instant::now()),
            Event::ServiceRequest { id, service, payload } => {
                self.incomplete.remove(&Call::FromClient(id));
                self.call(id, service.to_string(), payload);
            }
            Event::ServiceResponse { id, payload, .. } => {
                self.incomplete.remove(&Call::ToClient(id));
                self.respond(id, &payload);
            }
            Event::Fault(fault) => {
                self.bridge.metrics.protocol_error(fault.kind());
                self.teller.error(fault);
            }
        }
    }

    async fn obey(&mut self, command: Command) {
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
            Command::TopicList => match self.bridge.topic_list() {
                Ok(list) => self.outbox.push_control(list),
                Err(error) => self.teller.error(error),
            },
            Command::RemoveSubscriber { topic } => self.stop_following(&topic).await,
            Command::RemovePublisher { topic } => self.stop_publishing(&topic).await,
            Command::RemoveRosService { service } => in_background(self.called.remove(&service)).await,
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

    async fn subscribe(
        &mut self,
        topic: &str,
        message_type: String,
        queue_size: Option<u32>,
        qos: QosRequest,
    ) -> Result<(), Refusal> {
        let full_name = self.bridge.allowed(Operation::Subscribe, topic)?;
        let queue_size = self.bridge.settings.queue_size(queue_size, IMAGE_TYPES.contains(&message_type.as_str()));
        let wish = Wish { full_name, message_type, queue_size, qos };
        if self.topics.get(topic).is_some_and(|known| *known.wish() == wish) {
            return Ok(());
        }
        self.stop_following(topic).await;
        self.check_room()?;
        let found = find(&wish.message_type).await?;
        let metrics = self.bridge.metrics.followed(&wish.full_name);
        let backlog = Arc::clone(self.outbox.backlog());
        let queue = Arc::new(TopicQueue::new(topic.to_owned(), queue_size, backlog, metrics));
        // Before the first message comes.
        self.outbox.add(Arc::clone(&queue));
        let (bridge, teller, waiting) = (Arc::clone(&self.bridge), Arc::clone(&self.teller), Arc::clone(&queue));
        let own = self.bridge.settings.suppress_echo.then(|| Arc::clone(&self.own));
        let made = blocking(move || FollowedTopic::new(&bridge, wish, found, waiting, own, teller)).await;
        let followed = Arc::new(made.inspect_err(|_| self.outbox.remove(&queue))?);
        self.bridge.follow(&followed);
        self.topics.insert(topic.to_owned(), followed);
        Ok(())
    }

    async fn stop_following(&mut self, topic: &str) {
        if let Some(followed) = self.topics.remove(topic) {
            self.outbox.remove(&followed.queue);
            in_background(followed).await;
        }
    }

    async fn advertise(
        &mut self,
        topic: &str,
        message_type: String,
        queue_size: u32,
        is_latched: bool,
    ) -> Result<(), Refusal> {
        let full_name = self.bridge.allowed(Operation::Publish, topic)?;
        let depth = self.bridge.settings.queue_size(Some(queue_size), false);
        let qos = if is_latched { Qos::latched(depth) } else { Qos::reliable(depth) };
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
            in_background(published).await;
        }
    }

    fn know_own_publishers(&self) {
        let gids = self.publishers.values().map(|published| published.gid).collect();
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = gids;
    }

    async fn prepare_calls(&mut self, service: &str, service_type: String) -> Result<(), Refusal> {
        let full_name = self.bridge.allowed(Operation::Call, service)?;
        if self.called.get(service).is_some_and(|known| known.is(&full_name, &service_type)) {
            return Ok(());
        }
        in_background(self.called.remove(service)).await;
        self.check_room()?;
        let bridge = Arc::clone(&self.bridge);
        let called = blocking(move || CalledService::new(&bridge, full_name, service_type)).await?;
        self.called.insert(service.to_owned(), Arc::new(called));
        Ok(())
    }

    async fn offer(&mut self, service: &str, service_type: String) -> Result<(), Refusal> {
        let full_name = self.bridge.allowed(Operation::Offer, service)?;
        let is_same = |known: &Arc<OfferedService>| known.is(&full_name, &service_type) && !known.is_withdrawn();
        if self.offered.get(service).is_some_and(is_same) {
            return Ok(());
        }
        self.stop_offering(service).await;
        self.check_room()?;
        let (bridge, teller, asked) = (Arc::clone(&self.bridge), Arc::clone(&self.teller), self.asked.clone());
        let name = service.to_owned();
        let offered = blocking(move || {
            let service = OfferedService::new(&bridge, name, full_name.clone(), service_type, asked, teller)?;
            let service = Arc::new(service);
            bridge.take_over(&full_name, &service);
            Ok::<_, ros_observer::Error>(service)
        });
        self.offered.insert(service.to_owned(), offered.await?);
        Ok(())
    }

    async fn stop_offering(&mut self, service: &str) {
        if let Some(offered) = self.offered.remove(service) {
            // At once, though requests that wait for their responses still know it.
            blocking(move || offered.end()).await;
        }
    }

    fn publish(&self, topic: &str, message: &[u8]) {
        let Some(published) = self.publishers.get(topic) else {
            self.bridge.metrics.unregistered_messages.inc();
            return self.teller.error(format!("publish {topic}: {}", Refusal::Unregistered("__publish")));
        };
        match published.publisher.publish(message) {
            Ok(()) => published.metrics.published.inc(),
            Err(error) => {
                published.metrics.unpublished.inc();
                self.teller.error(format!("publish {topic}: {error}"));
            }
        }
    }

    /// Asks a service of ROS for the client, beside whatever else it does.
    fn call(&mut self, id: i64, service: String, request: Bytes) {
        while self.calls.try_join_next().is_some() {}
        let max = self.bridge.settings.max_pending_calls;
        let refusal = match self.called.get(&service) {
            _ if self.calls.len() >= max => Refusal::TooManyCalls(max),
            None => Refusal::Unregistered("__ros_service"),
            Some(called) => {
                let (called, bridge) = (Arc::clone(called), Arc::clone(&self.bridge));
                let (outbox, teller) = (Arc::clone(&self.outbox), Arc::clone(&self.teller));
                self.calls.spawn(async move {
                    let response = match called.call(&request, bridge.settings.service_timeout).await {
                        Ok(response) => Some(response),
                        Err(refusal) => {
                            bridge.metrics.refused(Operation::Call, &refusal);
                            teller.error(format!("request {id} to {service}: {refusal}"));
                            let is_answered = bridge.settings.answers_failures;
                            is_answered.then(|| called.default_response().ok()).flatten()
                        }
                    };
                    if let Some(response) = response {
                        outbox.push_control(pair(&encode::response_header(id), &service, &response));
                    }
                });
                return;
            }
        };
        self.bridge.metrics.refused(Operation::Call, &refusal);
        self.teller.error(format!("request {id} to {service}: {refusal}"));
    }

    /// Asks the client for ROS.
    pub(crate) fn ask(&mut self, asked: Asked) {
        let Some(offered) = self.offered.get(&asked.service) else { return };
        let max = self.bridge.settings.max_pending_calls;
        if self.requests.len() >= max {
            let refusal = Refusal::TooManyCalls(max);
            self.bridge.metrics.refused(Operation::Offer, &refusal);
            return self.teller.error(format!("a request to {} was dropped: {refusal}", asked.service));
        }
        let (id, now) = (self.next_id, Instant::now());
        self.next_id += 1;
        self.session.request_sent(id, &asked.service);
        self.requests.insert(id, (Arc::clone(offered), asked.id, now));
        self.due.add(id, now);
        offered.metrics.requests.inc();
        self.outbox.push_control(pair(&encode::request_header(id), &asked.service, &asked.request));
    }

    fn respond(&mut self, id: i64, response: &[u8]) {
        self.due.remove(&id);
        let Some((offered, request, since)) = self.requests.remove(&id) else { return };
        offered.metrics.duration.observe(since.elapsed().as_secs_f64());
        if let Err(error) = offered.respond(request, response) {
            self.teller.error(format!("response {id} of {}: {error}", offered.name));
        }
    }

    /// When [`Self::expire`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.incomplete.next().into_iter().chain(self.due.next()).min()
    }

    /// Ends the wait for what has not come in time.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(call) = self.incomplete.expired(now) {
            self.session.forget(call);
            self.bridge.metrics.protocol_error(INCOMPLETE_CALL);
            self.teller.error(format!("{call}: no frame for the service has followed within {INCOMPLETE_WITHIN:?}"));
        }
        while let Some(id) = self.due.expired(now) {
            self.session.forget(Call::ToClient(id));
            let Some((offered, ..)) = self.requests.remove(&id) else { continue };
            offered.metrics.timeouts.inc();
            let refusal = Refusal::TimedOut(self.bridge.settings.service_timeout);
            self.bridge.metrics.refused(Operation::Offer, &refusal);
            self.teller.error(format!("request {id} to {} of Unity: {refusal}", offered.name));
        }
    }
}

/// The two frames of a call, to be written in a row.
fn pair(header: &[u8], service: &str, payload: &[u8]) -> Bytes {
    let mut frames = BytesMut::from(header);
    frames.extend_from_slice(&encode::frame(service, payload));
    frames.freeze()
}

/// A type by its name; to load its library takes a while.
async fn find(message_type: &str) -> Result<MessageType, ros_observer::Error> {
    let name = message_type.to_owned();
    blocking(move || MessageType::find(&name)).await
}

/// Lets the middleware take its time.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Ends something that the middleware has to be told of.
pub(crate) async fn in_background<T: Send + 'static>(ended: T) {
    blocking(move || drop(ended)).await;
}
