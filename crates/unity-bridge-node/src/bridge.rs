//! What all clients share.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use bytes::Bytes;
use ros_observer::{Error, Node, SpinnerHandle, TakeIn};
use tokio::sync::watch;
use unity_protocol::encode;

use crate::access::Access;
use crate::faults::{Operation, Refusal};
use crate::followed_topic::FollowedTopic;
use crate::lock::lock;
use crate::metrics::Metrics;
use crate::offered_service::OfferedService;
use crate::outbox::Outbox;
use crate::parameters::Settings;

/// ROS, the limits, the counts, and who is connected.
pub(crate) struct Bridge {
    pub(crate) node: Node,
    pub(crate) spinner: SpinnerHandle,
    pub(crate) take_in: TakeIn,
    pub(crate) settings: Settings,
    pub(crate) access: Access,
    pub(crate) metrics: Metrics,
    /// What is to be looked at when publishers come and go.
    followed: Mutex<Vec<Weak<FollowedTopic>>>,
    /// By the full names of the services.
    offered: Mutex<HashMap<String, Weak<OfferedService>>>,
    clients: Mutex<BTreeMap<SocketAddr, Connected>>,
    /// Counts the changes of the graph.
    changes: watch::Sender<u64>,
}

/// A client that is there.
pub(crate) struct Connected {
    pub(crate) since: Instant,
    pub(crate) outbox: Arc<Outbox>,
}

impl Bridge {
    pub(crate) fn new(
        node: Node,
        spinner: SpinnerHandle,
        settings: Settings,
        access: Access,
        metrics: Metrics,
    ) -> Self {
        Self {
            node,
            spinner,
            take_in: TakeIn::auto(),
            settings,
            access,
            metrics,
            followed: Mutex::default(),
            offered: Mutex::default(),
            clients: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// The full name of a topic or a service that a client may have. Waits for the middleware.
    pub(crate) fn allowed(&self, operation: Operation, name: &str) -> Result<String, Refusal> {
        let full_name = match operation {
            Operation::Subscribe | Operation::Publish => self.node.resolve_topic(name)?,
            Operation::Call | Operation::Offer => self.node.resolve_service(name)?,
        };
        self.access.check(operation, &full_name).map(|()| full_name)
    }

    /// From now on, the topic is subscribed to anew when its publishers ask for it.
    pub(crate) fn follow(&self, topic: &Arc<FollowedTopic>) {
        let mut followed = lock(&self.followed);
        followed.retain(|known| known.strong_count() > 0);
        followed.push(Arc::downgrade(topic));
    }

    /// Looks at the publishers of all topics that clients follow, when the graph has changed; else at those alone that could not
    /// be subscribed to. Whoever waits for a change is told.
    pub(crate) fn look(&self, graph_changed: bool, now: Instant) {
        let followed: Vec<_> = lock(&self.followed).iter().filter_map(Weak::upgrade).collect();
        followed.iter().for_each(|topic| topic.end_retired(now));
        for topic in followed.iter().filter(|topic| graph_changed || !topic.is_subscribed()) {
            if let Err(error) = topic.look(self) {
                topic.tell(&error);
            }
        }
        if graph_changed {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Tells of changes of the graph.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whoever offered this service before does so no longer: the newest client is there most likely, and two servers of one
    /// service would both answer.
    pub(crate) fn take_over(&self, full_name: &str, service: &Arc<OfferedService>) {
        let mut offered = lock(&self.offered);
        offered.retain(|_, known| known.strong_count() > 0);
        let before = offered.insert(full_name.to_owned(), Arc::downgrade(service));
        drop(offered);
        if let Some(before) = before.and_then(|before| before.upgrade()) {
            before.withdraw();
        }
    }

    /// All topics that clients may subscribe to, as the command `__topic_list` is answered. Waits for the middleware.
    pub(crate) fn topic_list(&self) -> Result<Bytes, Error> {
        let topics = self.node.topics()?;
        let allowed = topics.iter().filter(|(topic, _)| self.access.check(Operation::Subscribe, topic).is_ok());
        Ok(encode::topic_list(allowed.filter_map(|(topic, types)| Some((topic.as_str(), types.first()?.as_str())))))
    }

    /// Who is connected.
    pub(crate) fn clients(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Connected>> {
        lock(&self.clients)
    }
}
