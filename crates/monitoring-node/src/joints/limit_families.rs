//! The families of metrics of joint limits, and what goes into them.

use std::sync::Arc;

use joint_limits::{Joint, Limits, Quantity};
use joint_state::Fault;
use prometheus::{IntCounterVec, IntGaugeVec, Registry, Result};
use topic_watch::{Forget, OpenFamily, Registrar};

use crate::metrics::{SCOPE, Scope, Together};
use crate::refusals::RefusalFamilies;

/// Every family of metrics of joint limits.
pub(crate) struct LimitFamilies {
    pub(crate) together: Together,
    margin: OpenFamily,
    ratio: OpenFamily,
    violations: OpenFamily,
    beyond: OpenFamily,
    frozen: OpenFamily,
    /// Joints of a description.
    pub(crate) described: IntGaugeVec,
    /// Descriptions that could not be read, or do not come at all.
    pub(crate) rejected: IntCounterVec,
    /// For [`Rejections`].
    pub(crate) states_rejected: IntCounterVec,
    /// For [`Rejections`].
    pub(crate) commands_rejected: IntCounterVec,
    /// For [`crate::losses::Losses`].
    pub(crate) states_lost: IntCounterVec,
    /// For [`crate::losses::Losses`].
    pub(crate) commands_lost: IntCounterVec,
    /// Topics that are not followed because there are too many.
    pub(crate) refused: RefusalFamilies,
}

impl LimitFamilies {
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub(crate) fn register(registry: &Registry, together: &Together) -> Result<Self> {
        let labels = [&SCOPE[..], &["topic_name"]].concat();
        let of_topic = Registrar::new(registry, &labels);
        let counter = |name: &str, help: &str, more: &[&str]| of_topic.counter(name, help, more);
        let gauge = |name: &str, help: &str, more: &[&str]| {
            of_topic.add(OpenFamily::gauge(name, help, &of_topic.labels(&[&["joint_name"], more].concat()))?)
        };
        let joint_counter = |name: &str, help: &str| {
            of_topic.add(OpenFamily::counter(name, help, &of_topic.labels(&["joint_name", "quantity"]))?)
        };
        Ok(Self {
            together: Arc::clone(together),
            margin: gauge(
                "ros_joint_limit_margin",
                "How far the joint is from a limit of its description; below zero it is beyond it.",
                &["quantity", "unit"],
            )?,
            ratio: gauge(
                "ros_joint_limit_margin_ratio",
                "The margin as a share of what is allowed: of half the range of positions, of the velocity or effort.",
                &["quantity"],
            )?,
            violations: joint_counter("ros_joint_limit_violations_total", "Times that the joint went beyond a limit.")?,
            beyond: joint_counter(
                "ros_joint_limit_violation_seconds_total",
                "Time that the joint was beyond a limit.",
            )?,
            frozen: gauge(
                "ros_joint_frozen",
                "1 while the joint stands still and another of its robot moves, or a command asks it to move.",
                &[],
            )?,
            described: of_topic.integer_gauge(
                "ros_robot_description_joints",
                "Joints that the robot's description says may move.",
                &[],
            )?,
            rejected: counter(
                "ros_robot_descriptions_rejected_total",
                "Descriptions that could not be read, and publishers whose QoS keeps theirs from being received.",
                &[],
            )?,
            states_rejected: counter(
                "ros_joint_states_rejected_total",
                "Joint states that could not be held against limits, as a whole or some joints of them, by reason.",
                &["reason"],
            )?,
            commands_rejected: counter(
                "ros_joint_commands_rejected_total",
                "Commands to joints that could not be read, by reason.",
                &["reason"],
            )?,
            states_lost: counter(
                "ros_joint_states_lost_total",
                "Joint states, of those held against limits, missing in the sequence numbers of a publisher.",
                &[],
            )?,
            commands_lost: counter(
                "ros_joint_commands_lost_total",
                "Commands to joints missing in the sequence numbers of a publisher.",
                &[],
            )?,
            refused: RefusalFamilies::register(
                registry,
                "ros_robot_topics",
                "Descriptions and topics of commands that are not followed, since there are too many.",
            )?,
        })
    }

    /// Shows the margins of a joint and whether it is frozen, where it was seen lately, and the counters of its limits.
    pub(crate) fn show_joint(&self, labels: &[&str], joint: &Joint, is_frozen: bool, is_fresh: bool) {
        if is_fresh {
            self.frozen.set(labels, f64::from(u8::from(is_frozen)));
        } else {
            self.frozen.forget(labels);
        }
        for quantity in Quantity::ALL {
            let labels = [labels, &[quantity.name()]].concat();
            let with_unit = [&labels[..], &[quantity.unit(joint.limits().motion)]].concat();
            match joint.margin(quantity).filter(|_| is_fresh) {
                Some(margin) => {
                    self.margin.set(&with_unit, margin.absolute);
                    self.ratio.set(&labels, margin.ratio);
                }
                None => {
                    self.margin.forget(&with_unit);
                    self.ratio.forget(&labels);
                }
            }
            if has_limit(joint.limits(), quantity) {
                self.violations.raise_to(&labels, joint.violations(quantity) as f64);
                self.beyond.raise_to(&labels, joint.seconds_beyond(quantity));
            }
        }
    }

    pub(crate) fn forget_joint(&self, labels: &[&str], joint: &Joint) {
        self.frozen.forget(labels);
        for quantity in Quantity::ALL {
            let labels = [labels, &[quantity.name()]].concat();
            let with_unit = [&labels[..], &[quantity.unit(joint.limits().motion)]].concat();
            self.margin.forget(&with_unit);
            self.ratio.forget(&labels);
            self.violations.forget(&labels);
            self.beyond.forget(&labels);
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

/// Counts what cannot be read of one topic, by reason. Its series go when it goes, with the subscription that holds it.
pub(crate) struct Rejections {
    family: IntCounterVec,
    labels: [String; 3],
}

impl Rejections {
    pub(crate) fn new(family: &IntCounterVec, scope: &Scope, topic: &str) -> Self {
        let [domain, robot] = scope.labels();
        Self { family: family.clone(), labels: [domain, robot, topic].map(str::to_owned) }
    }

    pub(crate) fn count(&self, fault: Fault) {
        self.family.with_label_values(&self.with(fault)).inc();
    }

    fn with(&self, fault: Fault) -> [&str; 4] {
        let [domain, robot, topic] = &self.labels;
        [domain, robot, topic, fault.reason()]
    }
}

impl Drop for Rejections {
    fn drop(&mut self) {
        for fault in Fault::ALL {
            self.family.forget(&self.with(fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use joint_limits::{Description, JointValues};

    use super::*;

    const URDF: &str = r#"<robot name="a"><link name="a"/><link name="b"/><joint name="hinge" type="revolute">
        <parent link="a"/><child link="b"/><limit lower="-1" upper="1" velocity="1" effort="1"/></joint></robot>"#;

    #[test]
    fn joints_whose_names_run_together_with_their_topics_alike_are_told_apart() {
        let registry = Registry::new();
        let families = LimitFamilies::register(&registry, &Together::default()).expect("names that do not clash");
        let description = Description::read(URDF).expect("a good description");
        let mut joint = Joint::new(description.limits("hinge").expect("a joint").clone());
        joint.observe(JointValues { position: 2.0, velocity: 0.0, effort: 0.0 }, 1);
        let labels = [["0", "", "/joint_states", "/b/joint_states"], ["0", "", "/joint_states/b/joint_states", ""]];
        let series = || registry.gather().iter().map(|family| family.get_metric().len()).collect::<Vec<_>>();
        families.show_joint(&labels[0], &joint, true, true);
        let of_one = series();
        families.show_joint(&labels[1], &joint, false, true);
        assert_eq!((of_one.len(), series()), (5, of_one.iter().map(|count| 2 * count).collect()));
        families.forget_joint(&labels[0], &joint);
        assert_eq!(series(), of_one);
    }
}
