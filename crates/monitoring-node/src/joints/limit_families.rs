//! The families of metrics of joint limits, and what goes into them.

use std::sync::Arc;

use joint_limits::{Joint, Limits, Quantity};
use joint_state::Fault;
use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};
use topic_watch::Forget;

use crate::metrics::{SCOPE, Scope, Together, raise_to, registered};

/// Every family of metrics of joint limits.
pub(crate) struct LimitFamilies {
    pub(crate) together: Together,
    margin: GaugeVec,
    ratio: GaugeVec,
    violations: IntCounterVec,
    beyond: CounterVec,
    frozen: IntGaugeVec,
    /// Joints of a description.
    pub(crate) described: IntGaugeVec,
    /// Descriptions that could not be read, or do not come at all.
    pub(crate) rejected: IntCounterVec,
    /// For [`Rejections`].
    pub(crate) states_rejected: IntCounterVec,
    /// For [`Rejections`].
    pub(crate) commands_rejected: IntCounterVec,
    /// Topics that are not followed because there are too many.
    pub(crate) refused: IntCounterVec,
}

impl LimitFamilies {
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub(crate) fn register(registry: &Registry, together: &Together) -> Result<Self> {
        let labels = |more: &[&'static str]| [&SCOPE[..], &["topic_name"], more].concat();
        let gauge = |name: &str, help: &str, more: &[&'static str]| {
            registered(registry, GaugeVec::new(Opts::new(name, help), &labels(more))?)
        };
        let state = |name: &str, help: &str, more: &[&'static str]| {
            registered(registry, IntGaugeVec::new(Opts::new(name, help), &labels(more))?)
        };
        let counter = |name: &str, help: &str, more: &[&'static str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &labels(more))?)
        };
        Ok(Self {
            together: Arc::clone(together),
            margin: gauge(
                "ros_joint_limit_margin",
                "How far the joint is from a limit of its description; below zero it is beyond it.",
                &["joint_name", "quantity", "unit"],
            )?,
            ratio: gauge(
                "ros_joint_limit_margin_ratio",
                "The margin as a share of what is allowed: of half the range of positions, of the velocity or effort.",
                &["joint_name", "quantity"],
            )?,
            violations: counter(
                "ros_joint_limit_violations_total",
                "Times that the joint went beyond a limit.",
                &["joint_name", "quantity"],
            )?,
            beyond: registered(
                registry,
                CounterVec::new(
                    Opts::new("ros_joint_limit_violation_seconds_total", "Time that the joint was beyond a limit."),
                    &labels(&["joint_name", "quantity"]),
                )?,
            )?,
            frozen: state(
                "ros_joint_frozen",
                "1 while the joint stands still and another of its robot moves, or a command asks it to move.",
                &["joint_name"],
            )?,
            described: state(
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
            refused: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "ros_robot_topics_refused_total",
                        "Descriptions and topics of commands that are not followed, since there are too many.",
                    ),
                    &["domain"],
                )?,
            )?,
        })
    }

    /// Shows the margins of a joint and whether it is frozen, where it was seen lately, and the counters of its limits.
    pub(crate) fn show_joint(&self, labels: &[&str], joint: &Joint, is_frozen: bool, is_fresh: bool) {
        if is_fresh {
            self.frozen.with_label_values(labels).set(i64::from(is_frozen));
        } else {
            self.frozen.forget(labels);
        }
        for quantity in Quantity::ALL {
            let labels = [labels, &[quantity.name()]].concat();
            let with_unit = [&labels[..], &[quantity.unit(joint.limits().motion)]].concat();
            match joint.margin(quantity).filter(|_| is_fresh) {
                Some(margin) => {
                    self.margin.with_label_values(&with_unit).set(margin.absolute);
                    self.ratio.with_label_values(&labels).set(margin.ratio);
                }
                None => {
                    self.margin.forget(&with_unit);
                    self.ratio.forget(&labels);
                }
            }
            if has_limit(joint.limits(), quantity) {
                raise_to(&self.violations.with_label_values(&labels), joint.violations(quantity));
                raise_to(&self.beyond.with_label_values(&labels), joint.seconds_beyond(quantity));
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
