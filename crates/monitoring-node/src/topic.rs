//! One topic: its endpoints, its messages where they can be seen, and what is made of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use joint_state::Board;
use node_runtime::MonotonicClock;
use ros_observer::{
    Endpoint, Error, Gid, MessageInfo, MessageType, Node, Qos, QosEvents, QosPolicy, Spinner, Subscription, TakeIn,
};
use stream_statistics::{JitterTracker, RateWindow, StampTracker};
use topic_watch::{Arrivals, Progress, TopicStatus};

use crate::expectation::{Expectation, Seen};
use crate::intake::{DomainClocks, Intake, Latest};
use crate::live::{Audience, JointValues};
use crate::metrics::WatchedMetrics;
use crate::publishers::Publishers;

/// Messages kept for us by the middleware: they are taken as they come.
const DEPTH: usize = 100;

/// The middleware is asked for its events at most this often.
const EVENTS_EVERY: Duration = Duration::from_secs(2);

/// Publishers of a topic, and subscriptions, whose QoS is compared, each with each.
const COMPARED_MAX: usize = 100;

/// Where a simulation publishes its time.
pub(crate) const CLOCK: &str = "/clock";

/// What all topics of a domain are watched with.
pub(crate) struct Watch {
    pub(crate) node: Node,
    pub(crate) clock: MonotonicClock,
    pub(crate) clocks: Arc<DomainClocks>,
    pub(crate) take_in: TakeIn,
    pub(crate) audience: Arc<Audience>,
}

/// Publishers and subscriptions of a topic, but for this node's own and those of nodes that are ignored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endpoints {
    pub(crate) publishers: Vec<Endpoint>,
    pub(crate) subscriptions: Vec<Endpoint>,
}

/// A publisher that does not serve a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unserved {
    publisher: Option<String>,
    subscription: Option<String>,
    /// Of the subscription.
    gid: Gid,
    policy: QosPolicy,
}

/// The subscription to a topic's messages.
struct Watched {
    message_type: String,
    subscription: Subscription,
    /// The values of joints, where messages have joints.
    joints: Option<Arc<Board>>,
    /// What the middleware has said of it.
    events: QosEvents,
    events_at: Option<Instant>,
}

pub(crate) struct Topic {
    name: String,
    metrics: WatchedMetrics,
    endpoints: Endpoints,
    unserved: Vec<Unserved>,
    /// What the endpoints say of these, worked out when they change.
    types: Vec<String>,
    incompatible: Vec<QosPolicy>,
    watched: Option<Watched>,
    /// Why messages of the type cannot be seen, and of which type.
    unseen: Option<(String, String)>,
    latest: Arc<Latest>,
    publishers: Publishers,
    rate: RateWindow,
    /// By the messages' own stamps.
    stamp_rate: RateWindow,
    usual_rate_hz: Option<f64>,
    /// The messages and the late ones of them, as of the last look.
    counted: (u64, u64),
    late_share: f64,
    /// Messages before rates began anew.
    count_before: u64,
    /// Messages of publishers before those that there are now.
    count_gone: u64,
    /// Messages that earlier subscriptions were not handed out.
    failed_before: u64,
    /// As of the last reset.
    lost_before: u64,
    progress: Progress,
    since: Instant,
    published_since: Option<Instant>,
    gone_since: Option<Instant>,
    pub(crate) report: Report,
}

/// What of a topic is there as its messages come, whenever it is looked at.
pub(crate) struct Arriving {
    latest: Arc<Latest>,
    count_gone: u64,
    /// The values of joints, where messages have joints.
    pub(crate) joints: Option<Arc<Board>>,
}

impl Arriving {
    /// How long ago the last message came, of the publishers that there are.
    pub(crate) fn age_ns(&self, now_ns: u64) -> Option<u64> {
        let (count, arrival_ns) = self.latest.messages.read();
        (count > self.count_gone).then(|| now_ns.saturating_sub(arrival_ns))
    }
}

/// What is told of a topic: on the page, in the diagnostics and in the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) status: TopicStatus,
    /// The reason in words, for a person.
    pub(crate) reason: String,
    pub(crate) is_in_grace: bool,
    pub(crate) message_type: String,
    pub(crate) publishers: usize,
    pub(crate) subscriptions: usize,
    pub(crate) rate_hz: Option<f64>,
    pub(crate) stamp_rate_hz: Option<f64>,
    pub(crate) skew_seconds: Option<f64>,
    pub(crate) lost: u64,
    pub(crate) expectation: Expectation,
    /// For how long messages have been waiting and none was taken.
    pub(crate) stuck_for: Duration,
}

impl Report {
    /// Whether the state is one to be told of as wrong.
    pub(crate) fn is_alarm(&self) -> bool {
        self.status != TopicStatus::Ok && !self.is_in_grace
    }

    /// Whether nobody publishes a topic of which nothing is expected: whoever subscribes to `/goal` has such a one.
    pub(crate) fn is_idle(&self) -> bool {
        self.status == TopicStatus::NoPublisher && !self.expectation.is_required
    }
}

impl Endpoints {
    /// The endpoints of a topic, but for those of nodes that are `ignored`.
    pub(crate) fn find(node: &Node, topic: &str, ignored: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let counts = |endpoint: &Endpoint| !endpoint.node.as_deref().is_some_and(&ignored);
        let mut found = Self { publishers: node.publishers(topic)?, subscriptions: node.subscriptions(topic)? };
        found.publishers.retain(counts);
        found.subscriptions.retain(counts);
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.publishers.is_empty() && self.subscriptions.is_empty()
    }

    /// Whether the nodes are not known (yet), so that they may be ones to be ignored.
    pub(crate) fn are_nameless(&self) -> bool {
        self.publishers.iter().chain(&self.subscriptions).all(|endpoint| endpoint.node.is_none())
    }

    fn types(&self) -> Vec<String> {
        let all = self.publishers.iter().chain(&self.subscriptions);
        let mut types: Vec<_> = all.map(|endpoint| endpoint.topic_type.clone()).collect();
        types.sort();
        types.dedup();
        types
    }

    /// The type that most publishers have, or subscriptions where there is no publisher.
    fn main_type(&self) -> Option<&str> {
        let of = if self.publishers.is_empty() { &self.subscriptions } else { &self.publishers };
        let mut counts = BTreeMap::<&str, usize>::new();
        of.iter().for_each(|endpoint| *counts.entry(&endpoint.topic_type).or_default() += 1);
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(topic_type, _)| topic_type)
    }

    /// How many are left out where QoS is compared.
    fn uncompared(&self) -> usize {
        [&self.publishers, &self.subscriptions].map(|all| all.len().saturating_sub(COMPARED_MAX)).iter().sum()
    }

    fn unserved(&self) -> Vec<Unserved> {
        let subscriptions = || self.subscriptions.iter().take(COMPARED_MAX);
        let publishers = self.publishers.iter().take(COMPARED_MAX);
        let pairs = publishers.flat_map(|publisher| subscriptions().map(move |subscription| (publisher, subscription)));
        let of_one_type = pairs.filter(|(publisher, subscription)| publisher.topic_type == subscription.topic_type);
        let unserved = of_one_type.flat_map(|(publisher, subscription)| {
            let policies = publisher.incompatible_policies(subscription).into_iter();
            policies.map(|policy| Unserved {
                publisher: publisher.node.clone(),
                subscription: subscription.node.clone(),
                gid: subscription.gid,
                policy,
            })
        });
        unserved.collect()
    }
}

impl Topic {
    /// A topic in this state, of which nothing is known yet but that it is there.
    pub(crate) fn new(
        name: &str,
        metrics: WatchedMetrics,
        publishers: Publishers,
        expectation: Expectation,
        status: TopicStatus,
        now: Instant,
    ) -> Self {
        let mut topic = Self {
            name: name.to_owned(),
            metrics,
            endpoints: Endpoints::default(),
            unserved: Vec::new(),
            types: Vec::new(),
            incompatible: Vec::new(),
            watched: None,
            unseen: None,
            latest: Arc::new(Latest::new()),
            publishers,
            rate: RateWindow::default(),
            stamp_rate: RateWindow::default(),
            usual_rate_hz: None,
            counted: (0, 0),
            late_share: 0.0,
            count_before: 0,
            count_gone: 0,
            failed_before: 0,
            lost_before: 0,
            progress: Progress::default(),
            since: now,
            published_since: None,
            gone_since: Some(now),
            report: Report {
                name: name.to_owned(),
                status,
                reason: String::new(),
                is_in_grace: true,
                message_type: String::new(),
                publishers: 0,
                subscriptions: 0,
                rate_hz: None,
                stamp_rate_hz: None,
                skew_seconds: None,
                lost: 0,
                expectation,
                stuck_for: Duration::ZERO,
            },
        };
        topic.expect(expectation);
        topic
    }

    /// Takes what is expected now.
    pub(crate) fn expect(&mut self, expectation: Expectation) {
        self.report.expectation = expectation;
        self.metrics.expected.set(i64::from(expectation.is_required));
        self.latest.age_max_ns.store(expectation.max_age_ns.unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Takes the endpoints that there are now, and subscribes if that has become possible.
    pub(crate) fn update(&mut self, endpoints: Endpoints, with: &Watch, spinner: &mut Spinner, now: Instant) {
        // Messages come without a publisher too: of nodes that are ignored, or before the graph tells of theirs.
        let has_more = self.published_since.is_some() || self.latest.messages.read().0 > self.count_gone;
        self.published_since = match self.published_since {
            _ if endpoints.publishers.is_empty() => None,
            None => Some(now),
            since => since,
        };
        if self.published_since.is_none() && has_more {
            self.forget_publishers(with);
        }
        self.gone_since = if endpoints.is_empty() { self.gone_since.or(Some(now)) } else { None };
        self.unserved = endpoints.unserved();
        self.types = endpoints.types();
        self.incompatible = self.unserved.iter().map(|unserved| unserved.policy).collect();
        self.incompatible.sort();
        self.incompatible.dedup();
        self.endpoints = endpoints;
        self.subscribe(with, spinner);
        self.read_events(now);
    }

    /// Takes what the middleware itself says of the subscription. The endpoints tell of all pairs, and of which nodes, where
    /// the middleware lets everyone know their QoS; this tells of our own in any case.
    fn read_events(&mut self, now: Instant) {
        let Some(watched) = &mut self.watched else { return };
        if watched.events_at.is_some_and(|at| now.saturating_duration_since(at) < EVENTS_EVERY) {
            return;
        }
        watched.events_at = Some(now);
        match watched.subscription.qos_events() {
            Ok(events) => {
                self.metrics.count_events(watched.events, events);
                if events.incompatible > watched.events.incompatible {
                    let policy = events.last_policy.map_or("another policy", QosPolicy::name);
                    tracing::warn!(topic = self.name, policy, "a publisher does not serve this node");
                }
                watched.events = events;
            }
            Err(error) => tracing::debug!(topic = self.name, %error, "the events of a topic are not known"),
        }
    }

    /// Begins anew: rates, jitter, and the losses that are told in the diagnostics. Counters of metrics only rise. What rate
    /// is usual stays known: a topic that is stale does not become a good one.
    pub(crate) fn reset(&mut self) {
        self.measure_anew();
        self.lost_before = self.metrics.shared.lost.get();
    }

    /// What was published says nothing of those who publish next: until they do, the topic is silent.
    fn forget_publishers(&mut self, with: &Watch) {
        self.measure_anew();
        self.usual_rate_hz = None;
        self.count_gone = self.count_before;
        self.latest.forget_stamp();
        if self.is_clock() {
            with.clocks.set_simulated_ns(None);
        }
    }

    /// Takes rates, jitter and ages from the next message on.
    fn measure_anew(&mut self) {
        self.rate.clear();
        self.stamp_rate.clear();
        self.publishers.begin_anew();
        self.late_share = 0.0;
        self.count_before = self.latest.messages.read().0;
        self.latest.is_reset.store(true, Ordering::Relaxed);
    }

    /// Whether nobody has had the topic for that long.
    pub(crate) fn is_gone_for(&self, patience: Duration, now: Instant) -> bool {
        self.gone_since.is_some_and(|since| now.saturating_duration_since(since) >= patience)
    }

    /// Whether its messages are seen, not its endpoints alone.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// What of it can be read at any time.
    pub(crate) fn arriving(&self) -> Arriving {
        Arriving {
            latest: Arc::clone(&self.latest),
            count_gone: self.count_gone,
            joints: self.watched.as_ref().and_then(|watched| watched.joints.clone()),
        }
    }

    fn is_clock(&self) -> bool {
        self.name == CLOCK
    }

    fn subscribe(&mut self, with: &Watch, spinner: &mut Spinner) {
        let Some(wanted) = self.endpoints.main_type() else { return };
        let is_current = self.watched.as_ref().is_some_and(|watched| watched.message_type == wanted);
        let is_refused = self.unseen.as_ref().is_some_and(|(refused, _)| refused == wanted);
        if is_current || is_refused {
            return;
        }
        let wanted = wanted.to_owned();
        // The one before goes first: there is one writer of what is known.
        self.failed_before += self.watched.take().map_or(0, |watched| watched.subscription.probe().failed());
        match self.subscribe_to(&wanted, with) {
            Ok((subscription, joints)) => {
                spinner.add_subscription(&subscription);
                self.unseen = None;
                let events = QosEvents::default();
                self.watched = Some(Watched { message_type: wanted, subscription, joints, events, events_at: None });
            }
            Err(error) => {
                tracing::warn!(topic = self.name, message_type = wanted, %error, "watched through the graph alone");
                self.unseen = Some((wanted, error.message));
            }
        }
    }

    fn subscribe_to(&self, message_type: &str, with: &Watch) -> Result<(Subscription, Option<Arc<Board>>), Error> {
        let joints = JointValues::of_type(message_type, &with.audience);
        let board = joints.as_ref().map(JointValues::board);
        let support = MessageType::find(message_type)?;
        let mut intake = Intake {
            arrivals: Arrivals::new(self.metrics.shared.clone()),
            metrics: self.metrics.clone(),
            clock: with.clock,
            clocks: Arc::clone(&with.clocks),
            latest: Arc::clone(&self.latest),
            jitter: JitterTracker::default(),
            stamps: StampTracker::default(),
            publishers: self.publishers.counter(),
            joints,
            is_stamped: MessageType::begins_with_stamp(message_type)?,
            is_clock: self.is_clock(),
        };
        let take = move |message: &[u8], info: &MessageInfo| intake.take(message, info);
        let qos = Qos::best_effort(DEPTH);
        Ok((Subscription::of_type(support, &with.node, &self.name, qos, with.take_in, take)?, board))
    }

    /// Looks at what has come since the last time, and judges.
    pub(crate) fn look(&mut self, now: Instant, now_ns: u64) {
        let seen = self.see(now, now_ns);
        let expectation = self.report.expectation;
        let status = expectation.judge(&seen);
        self.report.is_in_grace = expectation.is_in_grace(&seen, nanoseconds_since(self.since, now));
        self.report.reason = self.reason(status, &seen);
        self.report.status = status;
        self.report.message_type = seen.types.join(", ");
        self.report.publishers = seen.publishers;
        self.report.subscriptions = self.endpoints.subscriptions.len();
        self.report.rate_hz = seen.rate_hz;
        // What the last messages were like is not told of messages that do not come.
        let comes = !matches!(status, TopicStatus::Stale | TopicStatus::Silent);
        self.report.stamp_rate_hz = self.stamp_rate.rate_hz(0).filter(|_| comes);
        self.report.skew_seconds = self.latest.skew_seconds().filter(|_| comes);
        self.report.lost = self.metrics.shared.lost.get().saturating_sub(self.lost_before);
        self.show(&seen, comes, now, now_ns);
    }

    fn see(&mut self, now: Instant, now_ns: u64) -> Seen {
        let (count, arrival_ns) = self.latest.messages.read();
        if count > self.count_before {
            self.rate.read(count, arrival_ns);
            if let Some(stamp_ns) = self.latest.stamp_ns().and_then(|stamp_ns| u64::try_from(stamp_ns).ok()) {
                self.stamp_rate.read(count, stamp_ns);
            }
        }
        let late = self.latest.late.load(Ordering::Relaxed);
        if count > self.counted.0 {
            self.late_share = (late - self.counted.1) as f64 / (count - self.counted.0) as f64;
            self.counted = (count, late);
        }
        let is_settled = self.rate.is_settled();
        if is_settled {
            self.usual_rate_hz = self.rate.rate_hz(arrival_ns);
        }
        Seen {
            publishers: self.endpoints.publishers.len(),
            types: self.types.clone(),
            incompatible: self.incompatible.clone(),
            is_watched: self.watched.is_some(),
            is_latched: self.endpoints.publishers.iter().all(Endpoint::is_latched),
            published_for_ns: self.published_since.map_or(0, |since| nanoseconds_since(since, now)),
            last_message_age_ns: (count > self.count_gone).then(|| now_ns.saturating_sub(arrival_ns)),
            rate_hz: self.rate.rate_hz(now_ns),
            is_rate_settled: is_settled,
            usual_rate_hz: self.usual_rate_hz,
            deadline_ns: self
                .endpoints
                .publishers
                .iter()
                .filter_map(Endpoint::deadline)
                .min()
                .map(|d| d.as_nanos() as u64),
            late_share: self.late_share,
        }
    }

    fn reason(&self, status: TopicStatus, seen: &Seen) -> String {
        let expected = self.report.expectation;
        match status {
            TopicStatus::NoPublisher => "nobody publishes it".to_owned(),
            TopicStatus::TypeMismatch => format!("its endpoints disagree on the type: {}", seen.types.join(", ")),
            TopicStatus::QosIncompatible => self.unserved_in_words(),
            TopicStatus::GraphOnly => self
                .unseen
                .as_ref()
                .map_or_else(String::new, |(_, reason)| format!("messages cannot be seen: {reason}")),
            TopicStatus::Silent => "its publishers have sent nothing since this node watches them".to_owned(),
            TopicStatus::Stale => {
                let seconds = |ns: Option<u64>| ns.unwrap_or_default() as f64 / 1e9;
                let (age, limit) = (seconds(seen.last_message_age_ns), seconds(expected.stale_after_ns(seen)));
                format!("no message for {age:.1} s, which is more than {limit:.1} s")
            }
            TopicStatus::TooSlow | TopicStatus::TooFast => {
                let (rate, tolerance) = (seen.rate_hz.unwrap_or_default(), expected.rate_tolerance * 100.0);
                format!("{rate:.2} Hz, expected {:.2} Hz within {tolerance:.0} %", expected.rate_hz.unwrap_or_default())
            }
            TopicStatus::Late => format!(
                "messages are {:.3} s old when they come, expected at most {:.3} s",
                -self.latest.skew_seconds().unwrap_or_default(),
                expected.max_age_ns.unwrap_or_default() as f64 / 1e9
            ),
            TopicStatus::Ok => "OK".to_owned(),
        }
    }

    /// The first pair that is not served, for a start.
    fn unserved_in_words(&self) -> String {
        let name = |node: &Option<String>| node.clone().unwrap_or_else(|| "a peer without a node".to_owned());
        let Some(first) = self.unserved.first() else { return String::new() };
        let others = match self.unserved.len() - 1 {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        let (policy, from, to) = (first.policy.name(), name(&first.publisher), name(&first.subscription));
        format!("{policy}: what {from} offers does not serve {to}{others}")
    }

    fn show(&mut self, seen: &Seen, comes: bool, now: Instant, now_ns: u64) {
        let report = &self.report;
        let _together = self.metrics.together();
        let left_out = self.publishers.look(&self.endpoints.publishers, now, now_ns);
        self.metrics.shared.count_untracked(left_out);
        self.metrics.shared.set_status(report.status);
        self.metrics.rate.set(report.rate_hz);
        self.metrics.age.set(seen.last_message_age_ns.map(|age_ns| age_ns as f64 / 1e9));
        self.metrics.jitter.set(report.rate_hz.filter(|_| comes).map(|_| self.latest.jitter_seconds()));
        self.metrics.stamp_skew.set(report.skew_seconds);
        self.metrics.set_stamp_clock(self.latest.stamp_clock().filter(|_| comes));
        self.metrics.subscriptions.set(report.subscriptions as i64);
        self.metrics.uncompared.set(self.endpoints.uncompared() as i64);
        self.metrics.shared.set_publishers(report.publishers);
        let count_by = |policy| {
            let of_policy = self.unserved.iter().filter(|unserved| unserved.policy == policy);
            of_policy.map(|unserved| unserved.gid).collect::<BTreeSet<_>>().len()
        };
        self.metrics.set_incompatible(count_by);
    }

    /// Looks whether the messages are still being taken.
    pub(crate) fn look_at_progress(&mut self, now_ns: u64) {
        let Some(watched) = &self.watched else {
            self.report.stuck_for = Duration::ZERO;
            return;
        };
        let probe = watched.subscription.probe();
        self.metrics.shared.set_take_failed(self.failed_before + probe.failed());
        let stuck_for_ns = self.progress.stuck_for_ns(probe.taken(), probe.pending(), now_ns);
        self.report.stuck_for = Duration::from_nanos(stuck_for_ns);
    }
}

fn nanoseconds_since(since: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(since).as_nanos() as u64
}
