//! The model as tables: the same for the screen and for `--once`.

use clap::ValueEnum;
use metrics_client::Status;

use crate::measures::{Bridge, Joint, Measures, Topic, Twin, TwinJoint};
use crate::model::{Model, State};
use crate::quantity::{duration, fine, percent, plain, whole};

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// Topics with status, rate, age, losses
    Topics,
    /// Joints, and how far those of the twin are
    Joints,
    /// Robots and their twins
    Twins,
    /// Unity's clients, and what they are sent
    Bridges,
    /// The metrics pages
    Endpoints,
}

impl View {
    pub(crate) const ALL: [Self; 5] = [Self::Topics, Self::Joints, Self::Twins, Self::Bridges, Self::Endpoints];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Topics => "Topics",
            Self::Joints => "Joints",
            Self::Twins => "Twins",
            Self::Bridges => "Bridges",
            Self::Endpoints => "Endpoints",
        }
    }

    /// What to look for where it has no rows.
    pub(crate) fn when_empty(self) -> &'static str {
        match self {
            Self::Topics => "no topics: each node tells of those it follows, monitoring_node of all",
            Self::Joints => "no joints: those that ros_metrics_exporter follows have rows here",
            Self::Twins => "no twins: each synchronization_node has a row here",
            Self::Bridges => "no bridges: each unity_bridge_node has rows here",
            Self::Endpoints => "no endpoints",
        }
    }

    /// Those that are of use least come last: where there is no room they are left out.
    pub(crate) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Topics => &[
                "STATUS", "TOPIC", "HZ", "AGE", "LOST", "LOST/S", "AT", "PUBS", "SUBS", "JITTER", "DOMAIN", "ROBOT",
                "WHY",
            ],
            Self::Joints => {
                &["JOINT", "TOPIC", "POSITION", "VELOCITY", "ERROR", "NO LAG", "LAG", "AGE", "EFFORT", "AT"]
            }
            Self::Twins => {
                &["STATE", "AT", "QUALITY", "LAG", "MEAN", "WORST", "COMPARED", "MISSING", "ROBOT AGE", "TWIN AGE"]
            }
            Self::Bridges => &[
                "TOPIC",
                "CLIENTS",
                "SENT/S",
                "DROPPED",
                "LOST",
                "PUBLISHED/S",
                "BYTES OUT/S",
                "BYTES IN/S",
                "REFUSED",
                "AT",
            ],
            Self::Endpoints => &["STATUS", "AT", "NODE", "VERSION", "WHY"],
        }
    }

    /// As many rows as there are things.
    pub(crate) fn rows(self, model: &Model) -> Vec<Row> {
        match self {
            Self::Topics => {
                each(model, |at, measures| measures.topics.iter().map(|topic| of_topic(at, topic)).collect())
            }
            Self::Joints => joints(model),
            Self::Twins => each(model, |at, measures| measures.twin.iter().map(|twin| of_twin(at, twin)).collect()),
            Self::Bridges => {
                each(model, |at, measures| measures.bridge.iter().flat_map(|one| of_bridge(at, one)).collect())
            }
            Self::Endpoints => endpoints(model),
        }
    }
}

/// A line of a table, with as many cells as the view has columns.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) status: Status,
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    fn new(status: Status, cells: Vec<Cell>) -> Self {
        Self { status, cells }
    }

    /// Whether a text of it has this in it, in lower case.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.cells.iter().any(|cell| match cell {
            Cell::Status(_, text) | Cell::Text(text) => text.to_lowercase().contains(part),
            Cell::Number(..) => false,
        })
    }
}

/// What a cell shows.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// With the node's word for it.
    Status(Status, String),
    Text(String),
    Number(Option<f64>, fn(f64) -> String),
}

impl Cell {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Number(..))
    }

    /// As it is shown.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Status(status, word) => format!("{} {word}", sign(*status)),
            Self::Text(text) if !text.is_empty() => text.clone(),
            Self::Number(Some(value), format) => format(*value),
            Self::Text(_) | Self::Number(None, _) => "-".to_owned(),
        }
    }
}

/// Beside the word, so that nobody has to tell colours apart.
fn sign(status: Status) -> char {
    match status {
        Status::Ok => '+',
        Status::Warning => '!',
        Status::Unknown => '?',
        Status::Unhealthy => 'x',
    }
}

fn each(model: &Model, rows: impl Fn(&str, &Measures) -> Vec<Row>) -> Vec<Row> {
    model.measures().flat_map(|(at, measures)| rows(at, measures)).collect()
}

fn told(word: &Option<String>) -> String {
    word.clone().unwrap_or_else(|| "not told".to_owned())
}

fn of_topic(at: &str, topic: &Topic) -> Row {
    let cells = vec![
        Cell::Status(topic.severity, told(&topic.status)),
        Cell::text(&topic.topic),
        Cell::Number(topic.rate_hertz, plain),
        Cell::Number(topic.age_seconds, duration),
        Cell::Number(topic.lost.total, whole),
        Cell::Number(topic.lost.per_second, plain),
        Cell::text(at),
        Cell::Number(topic.publishers, whole),
        Cell::Number(topic.subscriptions, whole),
        Cell::Number(topic.jitter_seconds, duration),
        Cell::text(topic.scope.domain.as_deref().unwrap_or_default()),
        Cell::text(topic.scope.robot.as_deref().unwrap_or_default()),
        Cell::text(topic.reason),
    ];
    Row::new(topic.severity, cells)
}

/// The joints of all topics, each with what is measured of it and its twin where one synchronization_node alone beside it
/// could mean it.
fn joints(model: &Model) -> Vec<Row> {
    each(model, |at, measures| {
        measures.joints.iter().map(|joint| of_joint(at, joint, of_both(model, at, joint))).collect()
    })
}

/// That of the only synchronization_node on this host or in this pod that follows the topic.
fn of_both<'m>(model: &'m Model, at: &str, joint: &Joint) -> Option<&'m TwinJoint> {
    let follows = |measures: &&Measures| measures.topics.iter().any(|topic| topic.topic == joint.topic);
    let beside = model.measures().filter(|(other, _)| host(other) == host(at)).map(|(_, measures)| measures);
    let mut twins = beside.filter(|measures| measures.twin.is_some()).filter(follows);
    let only = twins.next().filter(|_| twins.next().is_none())?;
    only.twin.as_ref()?.joints.iter().find(|of_both| of_both.joint == joint.joint)
}

fn host(endpoint: &str) -> &str {
    endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host)
}

fn of_joint(at: &str, joint: &Joint, of_both: Option<&TwinJoint>) -> Row {
    let cells = vec![
        Cell::text(&joint.joint),
        Cell::text(&joint.topic),
        Cell::Number(joint.position, fine),
        Cell::Number(joint.velocity, fine),
        Cell::Number(of_both.and_then(|both| both.error), fine),
        Cell::Number(of_both.and_then(|both| both.error_without_lag), fine),
        Cell::Number(of_both.and_then(|both| both.lag_seconds), duration),
        Cell::Number(joint.age_seconds, duration),
        Cell::Number(joint.effort, fine),
        Cell::text(at),
    ];
    Row::new(Status::Ok, cells)
}

fn of_twin(at: &str, twin: &Twin) -> Row {
    let cells = vec![
        Cell::Status(twin.severity(), told(&twin.state)),
        Cell::text(at),
        Cell::Number(twin.quality_ratio, percent),
        Cell::Number(twin.lag_seconds, duration),
        Cell::Number(twin.mean_error, fine),
        Cell::Number(twin.worst_error, fine),
        Cell::Number(twin.compared_joints, whole),
        Cell::Number(twin.missing_joints, whole),
        Cell::Number(twin.robot_age_seconds, duration),
        Cell::Number(twin.twin_age_seconds, duration),
    ];
    Row::new(twin.severity(), cells)
}

/// A line of the bridge as a whole, and one of each topic.
fn of_bridge(at: &str, bridge: &Bridge) -> Vec<Row> {
    let none = || Cell::Number(None, whole);
    let of_all = vec![
        Cell::text("(all)"),
        Cell::Number(bridge.clients, whole),
        none(),
        none(),
        none(),
        none(),
        Cell::Number(bridge.sent_bytes.per_second, whole),
        Cell::Number(bridge.received_bytes.per_second, whole),
        Cell::Number(bridge.refused_connections, whole),
        Cell::text(at),
    ];
    let of_topics = bridge.topics.iter().map(|topic| {
        let cells = vec![
            Cell::text(&topic.topic),
            none(),
            Cell::Number(topic.sent.per_second, plain),
            Cell::Number(topic.dropped.total, whole),
            Cell::Number(topic.lost.total, whole),
            Cell::Number(topic.published.per_second, plain),
            none(),
            none(),
            none(),
            Cell::text(at),
        ];
        Row::new(Status::Ok, cells)
    });
    std::iter::once(Row::new(Status::Ok, of_all)).chain(of_topics).collect()
}

fn endpoints(model: &Model) -> Vec<Row> {
    let row = |status, word: &str, at: &str, node, version: &str, why: &str| {
        let cells = vec![
            Cell::Status(status, word.to_owned()),
            Cell::text(at),
            Cell::text(node),
            Cell::text(version),
            Cell::text(why),
        ];
        Row::new(status, cells)
    };
    let of_endpoint = |observed: &crate::model::Observed| match &observed.state {
        State::Awaited => row(Status::Unknown, "awaited", &observed.name, "", "", "it has not answered yet"),
        State::Up(measures) => row(Status::Ok, "up", &observed.name, measures.node.name(), &measures.version, ""),
        State::Down(why) => row(Status::Unhealthy, "down", &observed.name, "", "", why),
    };
    model.endpoints.iter().map(of_endpoint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::model;

    fn shown(view: View, model: &Model) -> Vec<Vec<String>> {
        view.rows(model).iter().map(|row| row.cells.iter().map(Cell::shown).collect()).collect()
    }

    const JOINTS: &str = "ros_joint_position{topic_name=\"/joint_states\",joint_name=\"elbow\"} 0.5\n\
                          ros_joint_position{topic_name=\"/twin/joint_states\",joint_name=\"elbow\"} 0.4";
    const TWIN: &str = "ros_twin_state{state=\"SYNCED\"} 1\nros_topic_publishers{topic_name=\"/joint_states\"} 1\n\
                        ros_topic_publishers{topic_name=\"/twin/joint_states\"} 1\n\
                        ros_twin_joint_error{joint_name=\"elbow\",compensation=\"none\"} 0.1\n\
                        ros_twin_joint_lag_seconds{joint_name=\"elbow\"} 0.08";

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        let page =
            "ros_topic_publishers{topic_name=\"/a\"} 1\nros_joint_position{topic_name=\"/a\",joint_name=\"j\"} 1";
        let bridge = "unity_bridge_clients 1\nunity_bridge_messages_sent_total{topic_name=\"/a\"} 1";
        let model = model(&[("a:1", &[page]), ("a:2", &[TWIN]), ("a:3", &[bridge]), ("a:4", &[""])]);
        for view in View::ALL {
            let rows = view.rows(&model);
            assert!(!rows.is_empty(), "{view:?}");
            assert!(rows.iter().all(|row| row.cells.len() == view.columns().len()), "{view:?}");
        }
    }

    #[test]
    fn a_topic_tells_its_status_by_sign_and_word_and_why() {
        let page =
            "ros_topic_status{topic_name=\"/a\",status=\"stale\"} 1\nros_messages_lost_total{topic_name=\"/a\"} 3";
        let rows = shown(View::Topics, &model(&[("a:1", &[page])]));
        assert_eq!(rows[0][..7], ["x stale", "/a", "-", "-", "3", "-", "a:1"]);
        assert_eq!(rows[0][12], "its messages have stopped: look at the publisher");
        let monitored = "ros_topics 1\nros_topic_rate_hertz{domain=\"5\",topic_name=\"/a\"} 20";
        assert_eq!(shown(View::Topics, &model(&[("a:1", &[monitored])]))[0][10], "5");
    }

    #[test]
    fn a_joint_has_what_is_measured_of_it_and_its_twin() {
        let rows = shown(View::Joints, &model(&[("a:1", &[JOINTS]), ("a:2", &[TWIN])]));
        assert_eq!(rows[0][..7], ["elbow", "/joint_states", "+0.500", "-", "+0.100", "-", "80 ms"]);
        assert_eq!(rows[1][..5], ["elbow", "/twin/joint_states", "+0.400", "-", "+0.100"]);
    }

    #[test]
    fn of_another_robot_or_of_two_it_has_nothing() {
        for twins in [vec!["b:2"], vec!["a:2", "a:3"]] {
            let twins = twins.into_iter().map(|place| (place, &[TWIN] as &[&str]));
            let endpoints: Vec<_> = std::iter::once(("a:1", &[JOINTS] as &[&str])).chain(twins).collect();
            assert_eq!(shown(View::Joints, &model(&endpoints))[0][4], "-");
        }
    }

    #[test]
    fn an_endpoint_that_is_down_says_why() {
        let rows = shown(View::Endpoints, &model(&[("a:1", &["up 1"]), ("a:2", &[""]), ("a:3", &[])]));
        assert_eq!(rows[0], ["+ up", "a:1", "ros_metrics_exporter", "1.2", "-"]);
        assert_eq!(rows[1], ["x down", "a:2", "-", "-", "refused"]);
        assert_eq!(rows[2][0], "? awaited");
    }
}
