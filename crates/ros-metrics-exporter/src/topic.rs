//! One watched topic: its subscription, what is known of its publishers, and what has gone wrong with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use joint_state::{Board, Fault, Recorder};
use node_runtime::{MonotonicClock, RosClock};
use r2r::sensor_msgs::msg::JointState;
use ros_observer::{Endpoint, Error, Gid, Node, Qos, Subscription, SubscriptionProbe, TakeIn};
use topic_watch::{Arrivals, NEVER, Progress, TopicStatus};

use crate::intake::Intake;
use crate::metrics::{Families, JointTopicMetrics};
use crate::publishers::{Cause, Mismatch, Publishers, judge};

/// How long the log keeps quiet about a reason to reject that it has named.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Publishers that the log warns of one by one within [`TELL_AGAIN_AFTER`].
const WARNINGS_MAX: u32 = 10;

/// How long a warning of a publisher waits for its node's name, which discovery tells after the publisher itself.
const NAME_WITHIN: Duration = Duration::from_secs(1);

const TYPE: &str = "sensor_msgs/msg/JointState";

/// What all topics are watched with.
pub(crate) struct Watch<'a> {
    pub(crate) node: &'a Node,
    pub(crate) families: &'a Families,
    pub(crate) clock: MonotonicClock,
    pub(crate) ros_clock: &'a RosClock,
    pub(crate) qos: Qos,
    pub(crate) take_in: TakeIn,
    pub(crate) max_joints: u32,
    pub(crate) forget_after_ns: u64,
}

/// A topic as the ROS thread sees it.
pub(crate) struct Topic {
    node: Node,
    subscription: Subscription,
    view: Arc<TopicView>,
    told: [Told; Fault::ALL.len()],
    /// Publishers that do not reach us: when each was first seen, and whether the log has told of it.
    mismatched: HashMap<Gid, (Instant, bool)>,
    warnings: Warnings,
    /// Whether the publishers are known as of the last change of the graph.
    is_looked_at: bool,
}

/// What the log has said of rejections for one reason.
#[derive(Clone, Copy, Default)]
struct Told {
    count: u64,
    at: Option<Instant>,
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

/// A topic as the web server sees it.
pub(crate) struct TopicView {
    /// The topic's full name, after remapping.
    pub(crate) name: String,
    pub(crate) metrics: JointTopicMetrics,
    pub(crate) board: Arc<Board>,
    pub(crate) probe: SubscriptionProbe,
    last_recorded_ns: Arc<AtomicU64>,
    publishers: Mutex<Publishers>,
    progress: Mutex<Progress>,
}

impl Topic {
    /// Subscribes to the topic of this full name.
    pub(crate) fn watch(with: &Watch<'_>, name: String) -> Result<Self, Error> {
        let metrics = with.families.of_topic(&name);
        let recorder = Recorder::new(with.max_joints, with.forget_after_ns);
        let arrivals = Arrivals::new(metrics.topic.clone());
        let (board, last_recorded_ns) = (recorder.board(), arrivals.last_recorded_ns());
        let mut intake = Intake {
            recorder,
            arrivals,
            metrics: metrics.clone(),
            clock: with.clock,
            ros_clock: with.ros_clock.clone(),
        };
        let subscription =
            Subscription::new::<JointState>(with.node, &name, with.qos, with.take_in, move |message, info| {
                intake.take(message, info);
            })?;
        let view = Arc::new(TopicView {
            name,
            metrics,
            board,
            probe: subscription.probe(),
            last_recorded_ns,
            publishers: Mutex::default(),
            progress: Mutex::default(),
        });
        Ok(Self {
            node: with.node.clone(),
            subscription,
            view,
            told: Default::default(),
            mismatched: HashMap::new(),
            warnings: Warnings::default(),
            is_looked_at: false,
        })
    }

    pub(crate) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    pub(crate) fn view(&self) -> Arc<TopicView> {
        Arc::clone(&self.view)
    }

    /// Looks at the publishers again: at their number always, at each of them when the graph or their number changed.
    pub(crate) fn look(&mut self, graph_changed: bool, now: Instant) -> Result<(), Error> {
        self.is_looked_at &= !graph_changed;
        let matched = self.subscription.publisher_count()?;
        let all_told = self.mismatched.values().all(|(_, told)| *told);
        let known = self.view.publishers().matched;
        if self.is_looked_at && all_told && matched == known {
            return Ok(());
        }
        let endpoints = self.node.publishers(&self.view.name)?;
        let found = endpoints.len();
        let mismatches: Vec<_> = endpoints.into_iter().filter_map(|endpoint| self.mismatch(endpoint)).collect();
        let compatible = found - mismatches.len();
        self.tell_mismatches(&mismatches, now);
        if matched != known {
            tracing::info!(topic = self.view.name, publishers = matched, "publishers changed");
        }
        let publishers = Publishers { matched, compatible, mismatches };
        *self.view.publishers.lock().unwrap_or_else(PoisonError::into_inner) = publishers;
        self.is_looked_at = true;
        Ok(())
    }

    fn mismatch(&self, endpoint: Endpoint) -> Option<Mismatch> {
        let cause = if endpoint.topic_type == TYPE {
            Cause::Qos(endpoint.incompatibility(self.subscription.requested_qos())?)
        } else {
            Cause::Type(endpoint.topic_type)
        };
        Some(Mismatch { publisher: endpoint.gid, node: endpoint.node, cause })
    }

    /// Warns of each publisher once, with its node's name if that comes in time.
    fn tell_mismatches(&mut self, mismatches: &[Mismatch], now: Instant) {
        self.mismatched.retain(|publisher, _| mismatches.iter().any(|mismatch| mismatch.publisher == *publisher));
        for mismatch in mismatches {
            let (since, told) = self.mismatched.entry(mismatch.publisher).or_insert((now, false));
            if !*told && (mismatch.node.is_some() || now.saturating_duration_since(*since) >= NAME_WITHIN) {
                self.warnings.tell(now, || warn_of(&self.view.name, mismatch));
                *told = true;
            }
        }
    }

    /// Says what was rejected since the last time, at most once a minute per reason. The hot path only counts.
    pub(crate) fn tell_faults(&mut self, now: Instant) {
        for ((told, counter), fault) in self.told.iter_mut().zip(&self.view.metrics.rejected).zip(Fault::ALL) {
            let count = counter.get();
            let too_early = told.at.is_some_and(|at| now.saturating_duration_since(at) < TELL_AGAIN_AFTER);
            if count > told.count && !too_early {
                let messages = count - told.count;
                tracing::warn!(topic = self.view.name, reason = fault.reason(), messages, "rejected: {fault}");
                *told = Told { count, at: Some(now) };
            }
        }
    }
}

fn warn_of(topic: &str, mismatch: &Mismatch) {
    let node = mismatch.node.as_deref().unwrap_or("unknown");
    match &mismatch.cause {
        Cause::Type(topic_type) => tracing::warn!(
            topic,
            node,
            "publishes {topic_type:?}, which is not {TYPE}: give that topic another name, or the exporter another topic"
        ),
        Cause::Qos(reason) => tracing::warn!(
            topic,
            node,
            "its QoS does not serve ours: {reason}: run the exporter with qos:=auto, or change the publisher"
        ),
    }
}

impl TopicView {
    pub(crate) fn publishers(&self) -> Publishers {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn status(&self, now_ns: u64, stale_after_ns: u64) -> TopicStatus {
        let age_ns = match self.last_recorded_ns.load(Ordering::Relaxed) {
            NEVER => None,
            last_ns => Some(now_ns.saturating_sub(last_ns)),
        };
        judge(&self.publishers(), age_ns, stale_after_ns)
    }

    /// For how long messages have been waiting and none was taken, as far as those who ask have seen.
    pub(crate) fn stuck_for(&self, now_ns: u64) -> Duration {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_nanos(progress.stuck_for_ns(self.probe.taken(), self.probe.pending(), now_ns))
    }

    /// Brings the gauges that depend on the moment up to date.
    pub(crate) fn set_gauges(&self, now_ns: u64, stale_after_ns: u64) {
        let metrics = &self.metrics.topic;
        metrics.set_status(self.status(now_ns, stale_after_ns));
        metrics.set_publishers(self.publishers().matched);
        metrics.set_take_failed(self.probe.failed());
    }
}
