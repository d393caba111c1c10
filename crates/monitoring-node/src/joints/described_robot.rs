//! One robot: its description, its joints' states, and what is asked of them.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cdr::Reader;
use joint_limits::{Command, Description, JOINTS_MAX, Joint, JointValues, STALE_AFTER_NS, frozen};
use joint_state::{Recorder, Snapshot};
use node_runtime::{MonotonicClock, system_time_ns};
use r2r::sensor_msgs::msg::JointState;
use r2r::std_msgs::msg::String as Text;
use ros_observer::{Error, MessageType, Node, Qos, Spinner, Subscription, TakeIn};
use topic_watch::{Forget, Unserving};

use super::joint_command::{CommandType, JointCommands};
use super::limit_families::{LimitFamilies, Rejections};
use super::warning::Warning;
use crate::losses::Losses;
use crate::metrics::{Scope, lock, raise_to};

/// The last part of the name of every description.
pub(crate) const DESCRIPTION: &str = "robot_description";
/// And of every topic of joint states.
pub(crate) const STATES: &str = "joint_states";

/// Messages kept for us by the middleware between two turns of the ROS thread.
const DEPTH: usize = 1000;

/// Publishers of one topic whose sequence numbers are followed at a time.
const TRACKED_PUBLISHERS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// How long a joint has to stand still, and another to move or a command to hold, for it to be frozen.
const FROZEN_AFTER: Duration = Duration::from_secs(2);

/// How long joints may come after their description before it is asked whether they are elsewhere.
const JOINTS_WITHIN: Duration = Duration::from_secs(5);

/// Faulty descriptions are told of at most this often; every one counts.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What all robots of a domain are followed with.
pub(crate) struct Following {
    pub(crate) families: Arc<LimitFamilies>,
    pub(crate) clock: MonotonicClock,
}

/// One robot: the namespace of its description.
pub(crate) struct Robot {
    description: Subscription,
    unserving: Unserving,
    /// Once there is a description, and as soon as that is possible.
    states: Option<Subscription>,
    states_warning: Warning,
    /// Since when the joints that are described are nowhere, and such as may be meant are elsewhere.
    missed_since_ns: Option<u64>,
    /// Whether it was told that the joints seem to be elsewhere.
    is_stray_told: bool,
    commands: BTreeMap<String, Followed>,
    model: Arc<Mutex<Model>>,
    scope: Scope,
    description_topic: String,
    states_topic: String,
}

/// A topic of commands.
struct Followed {
    command_type: &'static CommandType,
    is_published: bool,
    /// As soon as that is possible.
    subscription: Option<Subscription>,
    warning: Warning,
}

/// A topic of commands in the graph.
pub(crate) struct CommandTopic {
    /// The robot whose it is, by the topic of its description.
    pub(crate) robot: String,
    pub(crate) command_type: &'static CommandType,
    pub(crate) is_published: bool,
}

/// What is known of a robot's joints. Written and read on the ROS thread alone.
#[derive(Default)]
struct Model {
    description: Option<Description>,
    /// The hash of the message that it came in: whoever sends it anew all the time is not read anew.
    description_hash: Option<u64>,
    hashing: RandomState,
    /// Those of the description that were seen: no more than that has, whatever else somebody publishes.
    joints: BTreeMap<String, Joint>,
    /// Joints that the description says something else of now, whose series have to go.
    dropped: Vec<(String, Joint)>,
    rejected: u64,
    warned_ns: Option<u64>,
}

impl Robot {
    pub(crate) fn follow(
        node: &Node,
        spinner: &mut Spinner,
        topic: &str,
        scope: Scope,
        clock: MonotonicClock,
    ) -> Result<Self, Error> {
        let model = Arc::<Mutex<Model>>::default();
        let (reader, name) = (Arc::clone(&model), topic.to_owned());
        let description =
            Subscription::new::<Text>(node, topic, Qos::latched(1), TakeIn::WaitSet, move |message, _| {
                locked(&reader).take_description(&name, message, clock.now_ns());
            })?;
        spinner.add_subscription(&description);
        Ok(Self {
            description,
            unserving: Unserving::default(),
            states: None,
            states_warning: Warning::default(),
            missed_since_ns: None,
            is_stray_told: false,
            commands: BTreeMap::new(),
            model,
            scope,
            description_topic: topic.to_owned(),
            states_topic: format!("{}{STATES}", namespace(topic)),
        })
    }

    pub(crate) fn states_topic(&self) -> &str {
        &self.states_topic
    }

    /// Counts descriptions that do not come at all: the subscription is latched, and a publisher may not be.
    pub(crate) fn look_at_description(&mut self, now_ns: u64) -> Result<(), Error> {
        let (found, reason) = self.unserving.found(&self.description)?;
        (0..found).for_each(|_| locked(&self.model).reject(&self.description_topic, &reason, now_ns));
        Ok(())
    }

    /// Tells once where joint states are that may be meant for the description, when it has none.
    pub(crate) fn look_for_joints(&mut self, stray: Option<&str>, now_ns: u64) {
        let is_described = locked(&self.model).description.as_ref().is_some_and(|described| !described.is_empty());
        let Some(stray) = stray.filter(|_| is_described && !self.is_stray_told) else {
            self.missed_since_ns = None;
            return;
        };
        let since_ns = *self.missed_since_ns.get_or_insert(now_ns);
        if Duration::from_nanos(now_ns.saturating_sub(since_ns)) < JOINTS_WITHIN {
            return;
        }
        self.is_stray_told = true;
        tracing::warn!(
            description = self.description_topic,
            expected = self.states_topic,
            found = stray,
            "a robot is described, and its joints are not found: joint states have to be in the namespace of the description"
        );
    }

    /// Follows the joints' states, unless it is not known yet what they may do.
    pub(crate) fn follow_states(&mut self, node: &Node, spinner: &mut Spinner, with: &Following) {
        if self.states.is_some() || locked(&self.model).description.is_none() {
            return;
        }
        match self.subscribe_to_states(node, with) {
            Ok(states) => {
                spinner.add_subscription(&states);
                self.states = Some(states);
                self.states_warning.clear();
            }
            Err(error) => self.states_warning.give("joints", &self.states_topic, &error),
        }
    }

    /// Ends to follow the joints' states, and forgets the joints.
    pub(crate) fn release_states(&mut self) {
        if self.states.take().is_some() {
            locked(&self.model).drop_joints(|_, _| true);
        }
    }

    /// On the ROS thread, since every message counts and the middleware's own must not be held up.
    fn subscribe_to_states(&self, node: &Node, with: &Following) -> Result<Subscription, Error> {
        let (model, clock) = (Arc::clone(&self.model), with.clock);
        let rejections = Rejections::new(&with.families.states_rejected, &self.scope, &self.states_topic);
        let mut losses = Losses::new(&with.families.states_lost, &self.scope, &self.states_topic, TRACKED_PUBLISHERS);
        let mut recorder = Recorder::new(JOINTS_MAX, STALE_AFTER_NS);
        let (board, mut snapshot) = (recorder.board(), Snapshot::default());
        Subscription::new::<JointState>(
            node,
            &self.states_topic,
            Qos::best_effort(DEPTH),
            TakeIn::WaitSet,
            move |message, info| {
                let now_ns = clock.now_ns();
                losses.observe(info);
                match recorder.record(message, now_ns) {
                    Ok(recorded) => {
                        recorded.faults.iter().for_each(|fault| rejections.count(fault));
                        board.snapshot(now_ns, &mut snapshot);
                        locked(&model).take_states(&snapshot, now_ns);
                    }
                    Err(fault) => rejections.count(fault),
                }
            },
        )
    }

    /// Ends to follow commands on topics that are this robot's no more.
    pub(crate) fn release_commands(&mut self, found: &BTreeMap<String, CommandTopic>) {
        let mut is_anybody_silent = false;
        self.commands.retain(|topic, followed| {
            let found = found.get(topic).filter(|found| found.robot == self.description_topic);
            let is_published = found.is_some_and(|found| found.is_published);
            is_anybody_silent |= followed.is_published && !is_published;
            followed.is_published = is_published;
            found.is_some_and(|found| found.command_type.name == followed.command_type.name)
        });
        if is_anybody_silent {
            locked(&self.model).joints.values_mut().for_each(Joint::forget_velocity_command);
        }
    }

    /// How many topics of commands it has.
    pub(crate) fn command_topics(&self) -> usize {
        self.commands.len()
    }

    /// Whether a topic is one of its commands, even if it could not be subscribed to yet.
    pub(crate) fn has_commands(&self, topic: &str) -> bool {
        self.commands.contains_key(topic)
    }

    pub(crate) fn follow_commands(
        &mut self,
        node: &Node,
        spinner: &mut Spinner,
        topic: String,
        found: &CommandTopic,
        with: &Following,
    ) {
        let CommandTopic { command_type, is_published, .. } = *found;
        let new = || Followed { command_type, is_published, subscription: None, warning: Warning::default() };
        let mut followed = self.commands.remove(&topic).unwrap_or_else(new);
        if followed.subscription.is_none() {
            match self.subscribe_to_commands(node, &topic, command_type, with) {
                Ok(subscription) => {
                    spinner.add_subscription(&subscription);
                    followed.subscription = Some(subscription);
                }
                Err(error) => followed.warning.give("commands to joints", &topic, &error),
            }
        }
        self.commands.insert(topic, followed);
    }

    fn subscribe_to_commands(
        &self,
        node: &Node,
        topic: &str,
        command_type: &'static CommandType,
        with: &Following,
    ) -> Result<Subscription, Error> {
        let (model, clock) = (Arc::clone(&self.model), with.clock);
        let rejections = Rejections::new(&with.families.commands_rejected, &self.scope, topic);
        let mut losses = Losses::new(&with.families.commands_lost, &self.scope, topic, TRACKED_PUBLISHERS);
        Subscription::of_type(
            MessageType::find(command_type.name)?,
            node,
            topic,
            Qos::best_effort(DEPTH),
            TakeIn::WaitSet,
            move |message, info| {
                losses.observe(info);
                match (command_type.read)(message) {
                    Ok(commands) => locked(&model).take_commands(&commands, system_time_ns(), clock.now_ns()),
                    Err(fault) => rejections.count(fault),
                }
            },
        )
    }

    pub(crate) fn show(&self, families: &LimitFamilies, now_ns: u64) {
        let mut model = locked(&self.model);
        for (name, joint) in model.dropped.drain(..) {
            families.forget_joint(&self.labels(&[&self.states_topic, &name]), &joint);
        }
        let of_description = self.labels(&[&self.description_topic]);
        raise_to(&families.rejected.with_label_values(&of_description), model.rejected);
        let Some(description) = &model.description else { return };
        families.described.with_label_values(&of_description).set(description.len() as i64);
        let joints: Vec<&Joint> = model.joints.values().collect();
        let frozen = frozen(&joints, FROZEN_AFTER.as_nanos() as u64, now_ns);
        for ((name, joint), is_frozen) in model.joints.iter().zip(frozen) {
            let labels = self.labels(&[&self.states_topic, name]);
            families.show_joint(&labels, joint, is_frozen, joint.is_fresh(now_ns));
        }
    }

    pub(crate) fn forget(&self, families: &LimitFamilies) {
        let _together = lock(&families.together);
        let of_description = self.labels(&[&self.description_topic]);
        families.described.forget(&of_description);
        families.rejected.forget(&of_description);
        let model = locked(&self.model);
        let dropped = model.dropped.iter().map(|(name, joint)| (name, joint));
        for (name, joint) in model.joints.iter().chain(dropped) {
            families.forget_joint(&self.labels(&[&self.states_topic, name]), joint);
        }
    }

    fn labels<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&self.scope.labels()[..], more].concat()
    }
}

/// The namespace of a description's topic, with the `/` at its end.
pub(crate) fn namespace(description_topic: &str) -> &str {
    description_topic.strip_suffix(DESCRIPTION).unwrap_or("/")
}

fn locked(model: &Mutex<Model>) -> MutexGuard<'_, Model> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_description(message: &[u8]) -> Result<Description, String> {
    let text = Reader::open(message).and_then(|mut reader| reader.string()).map_err(|fault| fault.to_string())?;
    Description::read(&String::from_utf8_lossy(text)).map_err(|error| error.to_string())
}

impl Model {
    /// Takes a description; a faulty one leaves the one before in use.
    fn take_description(&mut self, topic: &str, message: &[u8], now_ns: u64) {
        let hash = Some(self.hashing.hash_one(message));
        if self.description_hash == hash {
            return;
        }
        match read_description(message) {
            Ok(description) => {
                self.drop_joints(|name, joint| description.limits(name) != Some(joint.limits()));
                (self.description, self.description_hash) = (Some(description), hash);
            }
            Err(error) => self.reject(topic, &error, now_ns),
        }
    }

    /// Ends to know joints; their series go at the next look.
    fn drop_joints(&mut self, is_dropped: impl Fn(&str, &Joint) -> bool) {
        let (dropped, kept): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.joints).into_iter().partition(|(name, joint)| is_dropped(name, joint));
        self.joints = kept;
        self.dropped.extend(dropped);
    }

    fn reject(&mut self, topic: &str, error: &str, now_ns: u64) {
        self.rejected += 1;
        let is_told = |warned_ns: u64| Duration::from_nanos(now_ns.saturating_sub(warned_ns)) < WARN_EVERY;
        if !self.warned_ns.is_some_and(is_told) {
            self.warned_ns = Some(now_ns);
            tracing::warn!(topic, error, "a robot's description cannot be used");
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

    /// Takes what is asked of joints that were seen: of others it is not known where they stand.
    fn take_commands(&mut self, commands: &JointCommands<'_>, system_time_ns: i64, now_ns: u64) {
        let ahead_ns = commands.ahead_ns(system_time_ns);
        for (name, command) in commands.joints() {
            if let Some(joint) = self.joints.get_mut(name) {
                let allowed_ns = command.allowed_ns.saturating_add(ahead_ns);
                joint.command(Command { allowed_ns, ..command }, now_ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;

    use super::*;

    const URDF: &str = r#"<robot name="a"><link name="a"/><link name="b"/><joint name="hinge" type="continuous">
        <parent link="a"/><child link="b"/></joint></robot>"#;

    fn serialized(text: &str) -> Vec<u8> {
        Text { data: text.into() }.to_serialized_bytes().expect("a serialized message")
    }

    #[test]
    fn a_faulty_description_leaves_the_one_before_in_use() {
        let mut model = Model::default();
        model.take_description("/robot_description", &serialized(URDF), 0);
        for garbage in [&serialized("garbage")[..], b"\x00\x01\x00\x00garbage", b""] {
            model.take_description("/robot_description", garbage, 0);
        }
        assert_eq!(model.rejected, 3);
        assert!(model.description.expect("the good one").limits("hinge").is_some());
    }

    #[test]
    fn a_description_that_is_in_use_is_not_read_again() {
        let mut model = Model::default();
        let mut described = |text: &str| {
            model.take_description("/robot_description", &serialized(text), 0);
            // So that it shows when it is read.
            model.description.replace(Description::default()).map(|description| description.len())
        };
        let other = URDF.replace("hinge", "other");
        assert_eq!([URDF, URDF, &other, URDF, "garbage", URDF].map(&mut described), [1, 0, 1, 1, 0, 0].map(Some));
    }

    #[test]
    fn a_faulty_description_is_told_of_once_a_minute() {
        let mut model = Model::default();
        let mut warned_seconds = |second: u64| {
            model.take_description("/robot_description", b"", second * 1_000_000_000);
            model.warned_ns.expect("a warning") / 1_000_000_000
        };
        assert_eq!([5, 6, 64, 65, 66].map(&mut warned_seconds), [5, 5, 5, 65, 65]);
    }
}
