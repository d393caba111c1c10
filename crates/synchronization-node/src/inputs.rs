//! The two topics that joint states come from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use joint_state::Fault;
use node_runtime::{MonotonicClock, RosClock};
use r2r::sensor_msgs::msg::JointState;
use ros_observer::{Error, Node, Qos, Spinner, Subscription, TakeIn};
use topic_watch::{Families, FollowedTopic, Rejections, TopicView};

use crate::intake::{Counters, Intake, Outlet};

const TYPE: &str = "sensor_msgs/msg/JointState";

/// Messages kept for us by the middleware, beside those that lie ready for the ticks.
const DEPTH: usize = 1000;

/// The reason of messages that came while too many lay ready.
const BACKLOG: &str = "backlog";

/// How long a warning of several publishers waits for their nodes' names, which discovery tells after the publishers.
const NAMES_WITHIN: Duration = Duration::from_secs(1);

/// What inputs are made with.
pub(crate) struct Making<'a> {
    pub(crate) node: &'a Node,
    pub(crate) families: &'a Families,
    pub(crate) clock: MonotonicClock,
    pub(crate) ros_clock: &'a RosClock,
}

/// One of the topics, as the ROS thread sees it.
pub(crate) struct Input {
    followed: FollowedTopic,
    rejections: Rejections,
    /// Who should be one publisher alone, where that is so.
    single: Option<Single>,
}

/// What the log was told of the publishers of a topic that should have one.
#[derive(Default)]
struct Single {
    told: usize,
    /// Since when there are others than it was told of, some without a name.
    unnamed_since: Option<Instant>,
}

impl Input {
    /// Subscribes to the topic of this full name. The joints of these names are taken in, all if there are none.
    pub(crate) fn follow(
        with: &Making<'_>,
        spinner: &mut Spinner,
        name: String,
        joints: &[String],
        is_single: bool,
    ) -> Result<(Self, Outlet), Error> {
        let metrics = with.families.of_topic(&[], &name);
        let counters = Counters {
            faults: Fault::ALL.map(|fault| with.families.rejected(&[], &name, fault.reason())),
            backlog: with.families.rejected(&[], &name, BACKLOG),
        };
        let rejections = rejections(&counters);
        let (mut intake, outlet) = Intake::new(joints, &metrics, counters, with.clock, with.ros_clock.clone());
        let last_recorded_ns = intake.last_recorded_ns();
        // Best effort: it matches every publisher, and holds none back.
        let subscription = Subscription::new::<JointState>(
            with.node,
            &name,
            Qos::best_effort(DEPTH),
            TakeIn::auto(),
            move |message, info| intake.take(message, info),
        )?;
        spinner.add_subscription(&subscription);
        let followed = FollowedTopic::new(with.node, name, TYPE, subscription, metrics, last_recorded_ns);
        Ok((Self { followed, rejections, single: is_single.then(Single::default) }, outlet))
    }

    pub(crate) fn view(&self) -> Arc<TopicView> {
        self.followed.view()
    }

    /// Looks at the publishers again, and tells what was rejected.
    pub(crate) fn look(&mut self, graph_changed: bool, now: Instant) {
        let view = self.followed.view();
        self.rejections.tell(&view.name, now);
        if let Err(error) = self.followed.look(graph_changed, now) {
            tracing::warn!(topic = view.name, %error, "the publishers of a topic are not known");
        }
        let Some(single) = &mut self.single else { return };
        if let Some(nodes) = single.several(&view.publishers().compatible, now) {
            tracing::warn!(
                topic = view.name,
                nodes,
                "more than one publisher: if they tell of the same joints, the reference is a mixture of them"
            );
        }
    }
}

impl Single {
    /// The nodes of several publishers, where the log is to be told of them now: a reference that two robots publish is
    /// none.
    fn several(&mut self, nodes: &[Option<String>], now: Instant) -> Option<String> {
        if nodes.len() == self.told {
            self.unnamed_since = None;
            return None;
        }
        if nodes.iter().any(Option::is_none) {
            let since = *self.unnamed_since.get_or_insert(now);
            if now.saturating_duration_since(since) < NAMES_WITHIN {
                return None;
            }
        }
        *self = Self { told: nodes.len(), unnamed_since: None };
        let names: Vec<_> = nodes.iter().map(|node| node.as_deref().unwrap_or("unknown")).collect();
        (names.len() > 1).then(|| names.join(", "))
    }
}

fn rejections(counters: &Counters) -> Rejections {
    let of_faults = counters.faults.iter().cloned().zip(Fault::ALL);
    let of_faults = of_faults.map(|(counter, fault)| (counter, fault.reason(), fault.to_string()));
    let backlog = (counters.backlog.clone(), BACKLOG, "messages come faster than they are taken".to_owned());
    Rejections::new(of_faults.chain([backlog]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_publishers_are_told_of_once_with_their_names_or_without_after_a_while() {
        let named = |name: &str| Some(name.to_owned());
        let (mut single, start) = (Single::default(), Instant::now());
        assert_eq!(single.several(&[named("/a")], start), None, "one");
        assert_eq!(single.several(&[named("/a"), None], start), None, "its name may come");
        assert_eq!(single.several(&[named("/a"), named("/b")], start), named("/a, /b"));
        assert_eq!(single.several(&[named("/a"), named("/b")], start), None, "told already");
        let three = [named("/a"), named("/b"), None];
        assert_eq!(single.several(&three, start), None);
        assert_eq!(single.several(&three, start + NAMES_WITHIN), named("/a, /b, unknown"));
        assert_eq!(single.several(&three, start + NAMES_WITHIN * 2), None, "told already");
    }
}
