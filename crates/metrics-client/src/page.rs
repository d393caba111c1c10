//! A metrics page of one of our nodes, or why it is none.

use crate::samples::Samples;

const BUILD_INFO: &str = "digital_twin_build_info";

/// Which of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// `ros_metrics_exporter`
    Exporter,
    /// `synchronization_node`
    Synchronizer,
    /// `monitoring_node`
    Monitor,
    /// `unity_bridge_node`
    Bridge,
}

impl Node {
    /// By what none of the others has.
    fn of(samples: &Samples<'_>) -> Self {
        if samples.has("ros_twin_state") {
            Self::Synchronizer
        } else if samples.has("ros_topics") {
            Self::Monitor
        } else if samples.has("unity_bridge_clients") {
            Self::Bridge
        } else {
            Self::Exporter
        }
    }

    /// As ROS has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exporter => "ros_metrics_exporter",
            Self::Synchronizer => "synchronization_node",
            Self::Monitor => "monitoring_node",
            Self::Bridge => "unity_bridge_node",
        }
    }
}

/// The page of a node.
#[derive(Debug)]
pub struct Page<'a> {
    /// Whose.
    pub node: Node,
    /// What stands in it.
    pub samples: Samples<'a>,
}

impl<'a> Page<'a> {
    /// # Errors
    /// Why it is none of our nodes'.
    pub fn parse(text: &'a str) -> Result<Self, NotOurs> {
        let samples = Samples::parse(text).map_err(NotOurs::NoMetric)?;
        if !samples.has(BUILD_INFO) {
            return Err(NotOurs::AnotherProgram);
        }
        Ok(Self { node: Node::of(&samples), samples })
    }

    /// A label of the build: `version`, `ros_distro`, `middleware`.
    #[must_use]
    pub fn build(&self, label: &str) -> &str {
        self.samples.of(BUILD_INFO).next().map_or("", |sample| sample.label(label))
    }

    /// Whether the node was told to watch its topics. `monitoring_node` watches all there is, and marks those that are
    /// expected by `ros_topic_expected`; that of a twin is not, where the robot is mirrored without one.
    #[must_use]
    pub fn expects_topics(&self) -> bool {
        match self.node {
            Node::Monitor => false,
            Node::Synchronizer => self.twin_state() != Some("MIRRORING"),
            Node::Exporter | Node::Bridge => true,
        }
    }

    /// The one state of `synchronization_node` that holds.
    #[must_use]
    pub fn twin_state(&self) -> Option<&str> {
        self.samples.holding("ros_twin_state").next().map(|sample| sample.label("state"))
    }
}

/// Why a page is none of our nodes'.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// The line with this number is not of the format.
    #[error("line {0} of the page is no metric: is it one of our nodes?")]
    NoMetric(usize),
    /// It has metrics, and none by which our nodes are known.
    #[error("there is no {BUILD_INFO}: another program listens here")]
    AnotherProgram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_is_known_by_its_own_metrics() {
        for (own, name) in [
            ("ros_twin_state{state=\"LOST\"} 1", "synchronization_node"),
            ("ros_topics{seen=\"graph\"} 0", "monitoring_node"),
            ("unity_bridge_clients 0", "unity_bridge_node"),
            ("ros_processing_time_seconds_count 0", "ros_metrics_exporter"),
        ] {
            let text = format!("{own}\ndigital_twin_build_info{{version=\"1.2\"}} 1\n");
            let page = Page::parse(&text).unwrap();
            assert_eq!((page.node.name(), page.build("version"), page.build("none")), (name, "1.2", ""));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_refused() {
        assert_eq!(Page::parse("up 1\n").unwrap_err(), NotOurs::AnotherProgram);
        assert_eq!(Page::parse("up 1\n<html>\n").unwrap_err(), NotOurs::NoMetric(2));
    }
}
