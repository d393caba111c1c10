//! All that the node listens to, as the ROS thread keeps it; what comes goes to the ticking thread.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use ros_observer::{Error, Spinner, Subscription};
use topic_watch::{Rejections, TopicView};
use twin_sync::Settings;

use crate::description::RobotDescription;
use crate::inputs::{Input, Making};
use crate::tick_metrics::TickMetrics;
use crate::topics::Topics;
use crate::work::Inbox;
use crate::{description, forwarding, requests};

/// Ends what is listened to when dropped.
pub(crate) struct Heard {
    inputs: [Input; 2],
    description: RobotDescription,
    forwarded: Option<Forwarded>,
}

/// The robot's commands.
struct Forwarded {
    topic: String,
    _subscription: Subscription,
    rejections: Rejections,
}

impl Heard {
    /// Listens to everything; `wake` is called when there is something that the ticking thread is to look at at once.
    pub(crate) fn listen(
        with: &Making<'_>,
        spinner: &mut Spinner,
        settings: &Settings,
        topics: &Topics,
        metrics: &TickMetrics,
        wake: impl Fn() + Clone + Send + 'static,
    ) -> Result<(Self, Inbox), Error> {
        let (reference, from_reference) =
            Input::follow(with, spinner, topics.reference.clone(), &settings.joints, true)?;
        let (twin, from_twin) = Input::follow(with, spinner, topics.twin.clone(), &twin_joints(settings), false)?;
        let (send_limits, limits) = sync_channel(description::WAITING_MAX);
        let rejected = metrics.descriptions_rejected.clone();
        let description = RobotDescription::follow(with.node, spinner, &topics.description, send_limits, rejected)?;
        let (forwarded, commands) = match &topics.forwarded {
            Some(topic) => {
                let not_forwarded = |fault: forwarding::Fault| metrics.not_forwarded(fault.reason());
                let (subscription, commands) =
                    forwarding::follow(with.node, spinner, topic, not_forwarded, wake.clone())?;
                let rejections = rejections(metrics);
                (Some(Forwarded { topic: topic.clone(), _subscription: subscription, rejections }), Some(commands))
            }
            None => (None, None),
        };
        let (requests, stops) = requests::offer(with.node, spinner, wake)?;
        let inbox = Inbox { outlets: [from_reference, from_twin], requests, stops, limits, commands };
        Ok((Self { inputs: [reference, twin], description, forwarded }, inbox))
    }

    /// What others may see of the inputs.
    pub(crate) fn views(&self) -> [Arc<TopicView>; 2] {
        [self.inputs[0].view(), self.inputs[1].view()]
    }

    /// Looks at who publishes, and tells what was rejected.
    pub(crate) fn look(&mut self, graph_changed: bool, now: Instant) {
        self.inputs.iter_mut().for_each(|input| input.look(graph_changed, now));
        self.description.look();
        if let Some(forwarded) = &mut self.forwarded {
            forwarded.rejections.tell(&forwarded.topic, now);
        }
    }
}

/// The names by which the twin may call the joints that are selected; none where all are.
fn twin_joints(settings: &Settings) -> Vec<String> {
    let mapped = settings.name_map.iter().filter(|(_, reference)| settings.joints.contains(reference));
    settings.joints.iter().chain(mapped.map(|(twin, _)| twin)).cloned().collect()
}

fn rejections(metrics: &TickMetrics) -> Rejections {
    let of_fault =
        |fault: forwarding::Fault| (metrics.not_forwarded(fault.reason()), fault.reason(), fault.to_string());
    Rejections::new(forwarding::Fault::all().map(of_fault))
}
