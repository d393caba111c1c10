//! A topic that is asked for by its name and type: its subscription, what is known of its publishers, and what has gone
//! wrong with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ros_observer::{Endpoint, Error, Gid, Node, Subscription, SubscriptionProbe};

use crate::publishers::{Cause, Mismatch, Publishers, judge};
use crate::{NEVER, Progress, TopicMetrics, TopicStatus};

/// Publishers that the log warns of one by one within [`TELL_AGAIN_AFTER`].
const WARNINGS_MAX: u32 = 10;

/// How long the log keeps quiet about publishers when there have been too many.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How long a warning of a publisher waits for its node's name, which discovery tells after the publisher itself.
const NAME_WITHIN: Duration = Duration::from_secs(1);

/// A topic as the ROS thread sees it.
pub struct FollowedTopic {
    node: Node,
    topic_type: &'static str,
    subscription: Subscription,
    view: Arc<TopicView>,
    /// Publishers that do not reach us: when each was first seen, and whether the log has told of it.
    mismatched: HashMap<Gid, (Instant, bool)>,
    warnings: Warnings,
    /// Whether the publishers are known as of the last change of the graph.
    is_looked_at: bool,
}

/// How many publishers the log was warned of lately: one that restarts every second is another one every time.
#[derive(Default)]
struct Warnings {
    since: Option<Instant>,
    told: u32,
}

impl Warnings {
    /// Warns, unless there have been too many; says when the others are not named.
    fn tell(&mut self, now: Instant, warn: impl FnOnce()) {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= TELL_AGAIN_AFTER) {
            *self = Self { since: Some(now), told: 0 };
        }
        self.told += 1;
        if self.told <= WARNINGS_MAX {
            warn();
        }
        if self.told == WARNINGS_MAX {
            tracing::warn!("so many publishers do not match that the next are not named, for up to a minute");
        }
    }
}

/// A topic as other threads see it.
pub struct TopicView {
    /// The topic's full name, after remapping.
    pub name: String,
    /// What is counted of it.
    pub metrics: TopicMetrics,
    probe: SubscriptionProbe,
    last_recorded_ns: Arc<AtomicU64>,
    publishers: Mutex<Publishers>,
    progress: Mutex<Progress>,
}

impl FollowedTopic {
    /// Follows the topic of this full name and type, for which there is a subscription.
    /// `last_recorded_ns` is that of the [`Arrivals`](crate::Arrivals) that counts its messages into `metrics`.
    pub fn new(
        node: &Node,
        name: String,
        topic_type: &'static str,
        subscription: Subscription,
        metrics: TopicMetrics,
        last_recorded_ns: Arc<AtomicU64>,
    ) -> Self {
        let view = Arc::new(TopicView {
            name,
            metrics,
            probe: subscription.probe(),
            last_recorded_ns,
            publishers: Mutex::default(),
            progress: Mutex::default(),
        });
        Self {
            node: node.clone(),
            topic_type,
            subscription,
            view,
            mismatched: HashMap::new(),
            warnings: Warnings::default(),
            is_looked_at: false,
        }
    }

    /// The subscription.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// What other threads may see of it.
    pub fn view(&self) -> Arc<TopicView> {
        Arc::clone(&self.view)
    }

    /// Looks at the publishers again: at their number always, at each of them when the graph or their number changed.
    ///
    /// # Errors
    /// When the middleware does not tell of them.
    pub fn look(&mut self, graph_changed: bool, now: Instant) -> Result<(), Error> {
        self.is_looked_at &= !graph_changed;
        let matched = self.subscription.publisher_count()?;
        let all_told = self.mismatched.values().all(|(_, told)| *told);
        let known = self.view.publishers().matched;
        if self.is_looked_at && all_told && matched == known {
            return Ok(());
        }
        let endpoints = self.node.publishers(&self.view.name)?;
        let (mismatches, compatible) = self.sort_out(endpoints);
        self.tell_mismatches(&mismatches, now);
        if matched != known {
            tracing::info!(topic = self.view.name, publishers = matched, "publishers changed");
        }
        let publishers = Publishers { matched, compatible, mismatches };
        *self.view.publishers.lock().unwrap_or_else(PoisonError::into_inner) = publishers;
        self.is_looked_at = true;
        Ok(())
    }

    /// The publishers that cannot reach us, and the nodes of those that can.
    fn sort_out(&self, endpoints: Vec<Endpoint>) -> (Vec<Mismatch>, Vec<Option<String>>) {
        let (mut mismatches, mut compatible) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            match self.cause(&endpoint) {
                Some(cause) => mismatches.push(Mismatch { publisher: endpoint.gid, node: endpoint.node, cause }),
                None => compatible.push(endpoint.node),
            }
        }
        (mismatches, compatible)
    }

    fn cause(&self, endpoint: &Endpoint) -> Option<Cause> {
        if endpoint.topic_type == self.topic_type {
            endpoint.incompatibility(self.subscription.requested_qos()).map(Cause::Qos)
        } else {
            Some(Cause::Type(endpoint.topic_type.clone()))
        }
    }

    /// Warns of each publisher once, with its node's name if that comes in time.
    fn tell_mismatches(&mut self, mismatches: &[Mismatch], now: Instant) {
        self.mismatched.retain(|publisher, _| mismatches.iter().any(|mismatch| mismatch.publisher == *publisher));
        for mismatch in mismatches {
            let (since, told) = self.mismatched.entry(mismatch.publisher).or_insert((now, false));
            if !*told && (mismatch.node.is_some() || now.saturating_duration_since(*since) >= NAME_WITHIN) {
                let (topic, topic_type) = (&self.view.name, self.topic_type);
                self.warnings.tell(now, || warn_of(topic, topic_type, mismatch));
                *told = true;
            }
        }
    }
}

fn warn_of(topic: &str, wanted: &str, mismatch: &Mismatch) {
    let node = mismatch.node.as_deref().unwrap_or("unknown");
    match &mismatch.cause {
        Cause::Type(topic_type) => tracing::warn!(
            topic,
            node,
            "publishes {topic_type:?}, which is not {wanted}: give that topic another name, or this node another topic"
        ),
        Cause::Qos(reason) => tracing::warn!(
            topic,
            node,
            "its QoS does not serve ours: {reason}: run this node with qos:=auto, or change the publisher"
        ),
    }
}

impl TopicView {
    /// What is known of the publishers.
    pub fn publishers(&self) -> Publishers {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why there is data or none.
    pub fn status(&self, now_ns: u64, stale_after_ns: u64) -> TopicStatus {
        let age_ns = match self.last_recorded_ns.load(Ordering::Relaxed) {
            NEVER => None,
            last_ns => Some(now_ns.saturating_sub(last_ns)),
        };
        judge(&self.publishers(), age_ns, stale_after_ns)
    }

    /// For how long messages have been waiting and none was taken, as far as those who ask have seen.
    pub fn stuck_for(&self, now_ns: u64) -> Duration {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_nanos(progress.stuck_for_ns(self.probe.taken(), self.probe.pending(), now_ns))
    }

    /// Brings the gauges that depend on the moment up to date.
    pub fn set_gauges(&self, now_ns: u64, stale_after_ns: u64) {
        self.metrics.set_status(self.status(now_ns, stale_after_ns));
        self.metrics.set_publishers(self.publishers().matched);
        self.metrics.set_take_failed(self.probe.failed());
    }
}
