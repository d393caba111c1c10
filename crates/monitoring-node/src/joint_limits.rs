//! How joints keep to the limits of their robot's description, for every robot of a domain: `robot_description` says what
//! the joints of `joint_states` in the same namespace may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cdr::Reader;
use joint_limits::{Description, Joint, JointValues, Limits, Quantity, frozen};
use joint_state::{Recorder, Snapshot};
use node_runtime::MonotonicClock;
use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};
use r2r::sensor_msgs::msg::JointState;
use r2r::std_msgs::msg::String as Text;
use ros_observer::{Error, NamesAndTypes, Node, Qos, Spinner, Subscription, TakeIn};

use crate::metrics::{SCOPE, Scope, Together, lock, raise_to, registered};

const DESCRIPTION: &str = "robot_description";
const DESCRIPTION_TYPE: &str = "std_msgs/msg/String";
const STATES: &str = "joint_states";
const STATES_TYPE: &str = "sensor_msgs/msg/JointState";

/// Joint states kept for us by the middleware between two turns of the ROS thread.
const DEPTH: usize = 1000;

/// Joints of one robot that are followed.
const JOINTS_MAX: u32 = 10_000;

/// A joint without messages for this long has no margins and is not frozen: nothing is known of it.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// How long a joint has to stand still, and another to move, for it to be frozen.
const FROZEN_AFTER: Duration = Duration::from_secs(2);

/// Every family of metrics of joint limits.
pub(crate) struct LimitFamilies {
    together: Together,
    margin: GaugeVec,
    ratio: GaugeVec,
    violations: IntCounterVec,
    beyond: CounterVec,
    frozen: IntGaugeVec,
    described: IntGaugeVec,
    rejected: IntCounterVec,
}

impl LimitFamilies {
    pub(crate) fn register(registry: &Registry, together: &Together) -> Result<Self> {
        let labels = |more: &[&'static str]| [&SCOPE[..], &["topic_name"], more].concat();
        let of_joint = |name: &str, help: &str, more: &[&'static str]| {
            let labels = [labels(&["joint_name"]), more.to_vec()].concat();
            registered(registry, GaugeVec::new(Opts::new(name, help), &labels)?)
        };
        let quantity = labels(&["joint_name", "quantity"]);
        Ok(Self {
            together: Arc::clone(together),
            margin: of_joint(
                "ros_joint_limit_margin",
                "How far the joint is from a limit of its description; below zero it is beyond it.",
                &["quantity", "unit"],
            )?,
            ratio: of_joint(
                "ros_joint_limit_margin_ratio",
                "The margin as a share of what is allowed: of half the range of positions, of the velocity or effort.",
                &["quantity"],
            )?,
            violations: registered(
                registry,
                IntCounterVec::new(
                    Opts::new("ros_joint_limit_violations_total", "Times that the joint went beyond a limit."),
                    &quantity,
                )?,
            )?,
            beyond: registered(
                registry,
                CounterVec::new(
                    Opts::new("ros_joint_limit_violation_seconds_total", "Time that the joint was beyond a limit."),
                    &quantity,
                )?,
            )?,
            frozen: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new("ros_joint_frozen", "1 while the joint stands still and another of its robot moves."),
                    &labels(&["joint_name"]),
                )?,
            )?,
            described: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new("ros_robot_description_joints", "Joints that the robot's description says may move."),
                    &labels(&[]),
                )?,
            )?,
            rejected: registered(
                registry,
                IntCounterVec::new(
                    Opts::new("ros_robot_descriptions_rejected_total", "Descriptions that could not be read."),
                    &labels(&[]),
                )?,
            )?,
        })
    }
}

/// One robot: the namespace of its description.
struct Robot {
    _description: Subscription,
    /// Once there is a description, if that is possible.
    states: Option<Subscription>,
    is_subscribed: bool,
    model: Arc<Mutex<Model>>,
    scope: Scope,
    description_topic: String,
    states_topic: String,
}

/// What is known of a robot's joints. Written and read on the ROS thread alone.
#[derive(Default)]
struct Model {
    description: Option<Description>,
    joints: BTreeMap<String, Joint>,
    /// Joints that the description says something else of now, whose series have to go.
    dropped: Vec<(String, Joint)>,
    rejected: u64,
}

/// The robots of one domain.
pub(crate) struct JointLimits {
    families: Arc<LimitFamilies>,
    clock: MonotonicClock,
    robots: BTreeMap<String, Robot>,
    /// Descriptions that cannot be subscribed to, so that each is told of once.
    refused: BTreeSet<String>,
}

impl JointLimits {
    pub(crate) fn new(families: Arc<LimitFamilies>, clock: MonotonicClock) -> Self {
        Self { families, clock, robots: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// Takes the topics that there are now.
    pub(crate) fn read(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        graph: &NamesAndTypes,
        scope_of: impl Fn(&str) -> Scope,
    ) -> std::result::Result<(), Error> {
        let is_of =
            |topic: &str, wanted: &str| graph.get(topic).is_some_and(|types| types.iter().any(|known| known == wanted));
        let mut described = BTreeSet::new();
        for topic in graph.keys().filter(|topic| topic.rsplit('/').next() == Some(DESCRIPTION)) {
            // The graph has our own subscription too: a robot is there as long as somebody publishes its description.
            if is_of(topic, DESCRIPTION_TYPE) && !node.publishers(topic)?.is_empty() {
                described.insert(topic.clone());
            }
        }
        let gone: Vec<_> = self.robots.keys().filter(|topic| !described.contains(*topic)).cloned().collect();
        for robot in gone.iter().filter_map(|topic| self.robots.remove(topic)) {
            robot.forget(&self.families);
        }
        self.refused.retain(|topic| described.contains(topic));
        for topic in described {
            if !self.robots.contains_key(&topic) && !self.refused.contains(&topic) {
                match Robot::follow(node, spinner, &topic, scope_of(&topic)) {
                    Ok(robot) => drop(self.robots.insert(topic, robot)),
                    Err(error) => {
                        tracing::warn!(topic, %error, "a robot's description cannot be read");
                        self.refused.insert(topic);
                    }
                }
            }
        }
        for robot in self.robots.values_mut() {
            let is_published = is_of(&robot.states_topic, STATES_TYPE);
            if is_published && !robot.is_subscribed && robot.model().description.is_some() {
                robot.is_subscribed = true;
                match robot.subscribe(node, spinner, self.clock) {
                    Ok(states) => robot.states = Some(states),
                    Err(error) => tracing::warn!(topic = robot.states_topic, %error, "joints are not followed"),
                }
            }
        }
        Ok(())
    }

    /// Shows how the joints are now.
    pub(crate) fn look(&mut self, now_ns: u64) {
        let _together = lock(&self.families.together);
        self.robots.values().for_each(|robot| robot.show(&self.families, now_ns));
    }
}

impl Robot {
    fn follow(node: &Node, spinner: &mut Spinner, topic: &str, scope: Scope) -> std::result::Result<Self, Error> {
        let model = Arc::<Mutex<Model>>::default();
        let (reader, name) = (Arc::clone(&model), topic.to_owned());
        let description =
            Subscription::new::<Text>(node, topic, Qos::latched(1), TakeIn::WaitSet, move |message, _| {
                reader.lock().unwrap_or_else(PoisonError::into_inner).take_description(&name, message);
            })?;
        spinner.add_subscription(&description);
        let states_topic = format!("{}{STATES}", topic.strip_suffix(DESCRIPTION).unwrap_or("/"));
        let description_topic = topic.to_owned();
        let (states, is_subscribed) = (None, false);
        Ok(Self { _description: description, states, is_subscribed, model, scope, description_topic, states_topic })
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the ROS thread, since every message counts and the middleware's own must not be held up.
    fn subscribe(
        &self,
        node: &Node,
        spinner: &mut Spinner,
        clock: MonotonicClock,
    ) -> std::result::Result<Subscription, Error> {
        let model = Arc::clone(&self.model);
        let mut recorder = Recorder::new(JOINTS_MAX, STALE_AFTER.as_nanos() as u64);
        let (board, mut snapshot) = (recorder.board(), Snapshot::default());
        let subscription = Subscription::new::<JointState>(
            node,
            &self.states_topic,
            Qos::best_effort(DEPTH),
            TakeIn::WaitSet,
            move |message, _| {
                let now_ns = clock.now_ns();
                // What cannot be read says nothing of limits.
                if recorder.record(message, now_ns).is_ok() {
                    board.snapshot(now_ns, &mut snapshot);
                    model.lock().unwrap_or_else(PoisonError::into_inner).take_states(&snapshot, now_ns);
                }
            },
        )?;
        spinner.add_subscription(&subscription);
        Ok(subscription)
    }

    fn show(&self, families: &LimitFamilies, now_ns: u64) {
        let mut model = self.model();
        for (name, joint) in model.dropped.drain(..) {
            self.forget_joint(families, &name, &joint);
        }
        let scope = self.scope.labels();
        let of_description = [&scope[..], &[&self.description_topic]].concat();
        raise_to(&families.rejected.with_label_values(&of_description), model.rejected);
        let Some(description) = &model.description else { return };
        families.described.with_label_values(&of_description).set(description.len() as i64);
        let fresh = |joint: &&Joint| {
            joint.seen_ns().is_some_and(|seen_ns| now_ns.saturating_sub(seen_ns) < STALE_AFTER.as_nanos() as u64)
        };
        let joints: Vec<&Joint> = model.joints.values().collect();
        let frozen = frozen(&joints, FROZEN_AFTER.as_nanos() as u64, now_ns);
        for ((name, joint), is_frozen) in model.joints.iter().zip(frozen) {
            let labels = [&scope[..], &[&self.states_topic, name]].concat();
            show_joint(families, &labels, joint, fresh(&joint));
            if fresh(&joint) {
                families.frozen.with_label_values(&labels).set(i64::from(is_frozen));
            } else {
                // There may be none.
                let _ = families.frozen.remove_label_values(&labels);
            }
        }
    }

    fn forget(&self, families: &LimitFamilies) {
        let _together = lock(&families.together);
        let scope = self.scope.labels();
        let of_description = [&scope[..], &[&self.description_topic]].concat();
        // What is not there need not go: the results say no more.
        let _ = families.described.remove_label_values(&of_description);
        let _ = families.rejected.remove_label_values(&of_description);
        let model = self.model();
        let dropped = model.dropped.iter().map(|(name, joint)| (name, joint));
        model.joints.iter().chain(dropped).for_each(|(name, joint)| self.forget_joint(families, name, joint));
    }

    fn forget_joint(&self, families: &LimitFamilies, name: &str, joint: &Joint) {
        let scope = self.scope.labels();
        let labels = [&scope[..], &[&self.states_topic, name]].concat();
        // What is not there need not go: the results say no more.
        let _ = families.frozen.remove_label_values(&labels);
        for quantity in Quantity::ALL {
            let labels = [&labels[..], &[quantity.name()]].concat();
            let with_unit = [&labels[..], &[quantity.unit(joint.limits().motion)]].concat();
            let _ = families.margin.remove_label_values(&with_unit);
            let _ = families.ratio.remove_label_values(&labels);
            let _ = families.violations.remove_label_values(&labels);
            let _ = families.beyond.remove_label_values(&labels);
        }
    }
}

/// Shows the margins of a joint that was seen lately, and the counters of those that have a limit.
fn show_joint(families: &LimitFamilies, labels: &[&str], joint: &Joint, is_fresh: bool) {
    for quantity in Quantity::ALL {
        let labels = [labels, &[quantity.name()]].concat();
        let with_unit = [&labels[..], &[quantity.unit(joint.limits().motion)]].concat();
        match joint.margin(quantity).filter(|_| is_fresh) {
            Some(margin) => {
                families.margin.with_label_values(&with_unit).set(margin.absolute);
                families.ratio.with_label_values(&labels).set(margin.ratio);
            }
            None => {
                // There may be none.
                let _ = families.margin.remove_label_values(&with_unit);
                let _ = families.ratio.remove_label_values(&labels);
            }
        }
        if has_limit(joint.limits(), quantity) {
            raise_to(&families.violations.with_label_values(&labels), joint.violations(quantity));
            raise_to(&families.beyond.with_label_values(&labels), joint.seconds_beyond(quantity));
        }
    }
}

fn has_limit(limits: &Limits, quantity: Quantity) -> bool {
    match quantity {
        Quantity::Position => limits.position.is_some(),
        Quantity::Velocity => limits.velocity.is_some(),
        Quantity::Effort => limits.effort.is_some(),
    }
}

impl Model {
    /// Takes a description; a faulty one leaves the one before in use.
    fn take_description(&mut self, topic: &str, message: &[u8]) {
        let text = Reader::open(message).and_then(|mut reader| reader.string());
        let read = match text {
            Ok(text) => Description::read(&String::from_utf8_lossy(text)).map_err(|error| error.to_string()),
            Err(fault) => Err(fault.to_string()),
        };
        match read {
            Ok(description) => {
                let (kept, dropped) = std::mem::take(&mut self.joints)
                    .into_iter()
                    .partition(|(name, joint)| description.limits(name) == Some(joint.limits()));
                self.joints = kept;
                self.dropped.extend::<BTreeMap<_, _>>(dropped);
                self.description = Some(description);
            }
            Err(error) => {
                self.rejected += 1;
                tracing::warn!(topic, error, "a robot's description cannot be used");
            }
        }
    }

    /// Takes the joints that the last message named.
    fn take_states(&mut self, snapshot: &Snapshot, now_ns: u64) {
        let Some(description) = &self.description else { return };
        for (name, sample) in snapshot.joints().filter(|(_, sample)| sample.age_ns == 0) {
            let values = JointValues { position: sample.position, velocity: sample.velocity, effort: sample.effort };
            match self.joints.get_mut(name) {
                Some(joint) => joint.observe(values, now_ns),
                None => {
                    let Some(limits) = description.limits(name) else { continue };
                    let mut joint = Joint::new(limits.clone());
                    joint.observe(values, now_ns);
                    self.joints.insert(name.to_owned(), joint);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;

    use super::*;

    fn serialized(text: &str) -> Vec<u8> {
        Text { data: text.into() }.to_serialized_bytes().expect("a serialized message")
    }

    #[test]
    fn a_faulty_description_leaves_the_one_before_in_use() {
        let urdf = r#"<robot name="a"><link name="a"/><link name="b"/><joint name="hinge" type="continuous">
            <parent link="a"/><child link="b"/></joint></robot>"#;
        let mut model = Model::default();
        model.take_description("/robot_description", &serialized(urdf));
        for garbage in [&serialized("garbage")[..], b"\x00\x01\x00\x00garbage", b""] {
            model.take_description("/robot_description", garbage);
        }
        assert_eq!(model.rejected, 3);
        assert!(model.description.expect("the good one").limits("hinge").is_some());
    }
}
