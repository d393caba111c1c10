"""Topics, services and nodes as monitoring_node sees them, with the reason where something is missing."""

from .frame import Frame, Section, Variable
from .panels import Column, Query, lines, number, rows, timeline
from .promql import MONITOR, greatest, number_of_state, per_second, recorded, select, topics_not_ok, total
from .states import DIAGNOSTIC_LEVELS, EXPECTED, TOPIC_STATUSES, UP

OF_TOPIC = 'topic_name=~"$topic"'
TOPIC = "{{robot}} {{topic_name}}"
NODE = "{{robot}} {{node_name}}"
SERVICE = "{{robot}} {{service_name}}"
# One node may watch several ROS domains.
TOPIC_LABELS = ("domain", "topic_name")
TITLES = {"region": "Region", "robot": "Robot", "domain": "Domain"}


def of_topic(metric: str, where: str = OF_TOPIC) -> str:
    return select(metric, MONITOR, where=where)


def of_all(metric: str, where: str = "") -> str:
    return select(metric, MONITOR, where=where)


RATE = of_topic("ros_topic_rate_hertz")
LOST = per_second(of_topic("ros_messages_lost_total"))
STATUS = of_topic("ros_topic_status")
LATENCY = greatest(of_topic("robot_topic:ros_transport_latency_seconds:p99_5m"), *TOPIC_LABELS)
AGE_ON_ARRIVAL = greatest(of_topic("robot_topic:ros_message_age_seconds:p99_5m"), *TOPIC_LABELS)
ROUND_TRIP = greatest(recorded("robot_service:ros_service_round_trip_seconds:p95_5m"), "domain", "service_name")
BYTES = per_second(of_topic("ros_message_bytes_total"))
WITH_MESSAGES = of_all("ros_topics", 'seen="messages"')
LEFT_OUT = of_all("ros_topics_left_out")
NODE_UP = of_all("ros_node_up")
SERVICE_UP = of_all("ros_service_up")
NOT_OK = topics_not_ok(OF_TOPIC)

NOW = Section(
    "Now",
    [
        number(
            "Topics seen",
            "none",
            "Topics that are watched and of which messages are seen.",
            Query(f"sum({WITH_MESSAGES})"),
        ),
        number(
            "Topics not ok",
            "none",
            "Topics without data that they should have, or whose data is too slow, too fast or late.",
            Query(f"sum({NOT_OK})"),
            bad_from=1,
        ),
        number("Lost", "mps", "Messages missing in sequence numbers.", Query(f"sum({LOST})"), bad_from=0.001),
        number("Nodes missing", "none", "ROS nodes that are missed.", Query(f"count({NODE_UP}) - sum({NODE_UP})"), bad_from=1),
        number(
            "Services missing",
            "none",
            "Services that are asked and that nobody offers.",
            Query(f"count({SERVICE_UP}) - sum({SERVICE_UP})"),
            bad_from=1,
        ),
        number(
            "Topics left out",
            "none",
            "Topics that are not watched now, because there are max_topics already.",
            Query(f"sum({LEFT_OUT})"),
            bad_from=1,
        ),
        rows(
            "Topics",
            "Why each topic has data or has none: docs/monitoring_node.md tells what each status means and where to look. The "
            "usual rate is the median over the last hour. What is expected is in the node's parameters: other topics may be "
            "without a publisher.",
            [
                Column("", f"{greatest(STATUS, *TOPIC_LABELS, 'status')} == 1"),
                Column("Expected", greatest(of_topic("ros_topic_expected"), *TOPIC_LABELS)),
                Column("Rate", greatest(RATE, *TOPIC_LABELS), "hertz"),
                Column("Usual rate", greatest(f"quantile_over_time(0.5, {RATE}[1h])", *TOPIC_LABELS), "hertz"),
                Column("Age", greatest(of_topic("ros_topic_age_seconds"), *TOPIC_LABELS), "s"),
                Column("Lost", total(LOST, *TOPIC_LABELS), "mps", fault=0.001),
                Column("Latency, 99 %", LATENCY, "s"),
                Column("Publishers", greatest(of_topic("ros_topic_publishers"), *TOPIC_LABELS)),
                Column("Subscriptions", greatest(of_topic("ros_topic_subscriptions"), *TOPIC_LABELS)),
            ],
            labels={**TITLES, "topic_name": "Topic", "status": "Status"},
            states={"Status": TOPIC_STATUSES},
            numbers={"Expected": EXPECTED},
            sort_by="Age",
            height=14,
        ),
        timeline(
            "Status of topics",
            "The reason at each moment. Choose topics above where there are many.",
            Query(number_of_state(TOPIC_STATUSES, "ros_topic_status", MONITOR, "status", *TOPIC_LABELS, where=OF_TOPIC), TOPIC),
            TOPIC_STATUSES,
            height=12,
        ),
    ],
)

FLOW = Section(
    "Messages",
    [
        lines("Rate", "hertz", "Messages per second.", Query(greatest(RATE, *TOPIC_LABELS), TOPIC), minimum=0),
        lines(
            "Age",
            "s",
            "Time since the last message. It grows while nothing comes.",
            Query(greatest(of_topic("ros_topic_age_seconds"), *TOPIC_LABELS), TOPIC),
            minimum=0,
        ),
        lines("Bytes", "Bps", "Bytes per second, as serialized.", Query(total(BYTES, *TOPIC_LABELS), TOPIC), minimum=0),
        lines(
            "Jitter",
            "s",
            "Mean deviation of an interval between messages from the one before.",
            Query(greatest(of_topic("ros_topic_jitter_seconds"), *TOPIC_LABELS), TOPIC),
            minimum=0,
        ),
        lines(
            "Latency",
            "s",
            "From publishing to receiving, by the clocks of both hosts: 99 of 100 messages of 5 minutes took no longer.",
            Query(LATENCY, TOPIC),
            minimum=0,
        ),
        lines(
            "Age on arrival",
            "s",
            "By the stamps of messages and the clock that made them: 99 of 100 of 5 minutes were no older.",
            Query(AGE_ON_ARRIVAL, TOPIC),
            minimum=0,
        ),
        lines(
            "Lost and late",
            "mps",
            "Missing in the sequence numbers of publishers; older than max_age on arrival; stamped ahead of their clock.",
            Query(total(LOST, *TOPIC_LABELS), f"{TOPIC} lost"),
            Query(total(per_second(of_topic("ros_message_late_total")), *TOPIC_LABELS), f"{TOPIC} late"),
            Query(total(per_second(of_topic("ros_message_from_future_total")), *TOPIC_LABELS), f"{TOPIC} from the future"),
            minimum=0,
        ),
        lines(
            "Stamps against their clock",
            "s",
            "The last stamp less the time of its clock: below zero is age, above zero are clocks that disagree.",
            Query(greatest(of_topic("ros_message_stamp_skew_seconds"), *TOPIC_LABELS), TOPIC),
            threshold="clock_offset_seconds",
        ),
        lines(
            "Subscriptions that are not served",
            "none",
            "Subscriptions that some publisher does not serve, by the QoS policy that keeps it from that.",
            Query(total(of_topic("ros_topic_incompatible_subscriptions"), *TOPIC_LABELS, "policy"), f"{TOPIC} {{{{policy}}}}"),
            minimum=0,
        ),
        lines(
            "Publishers of shared topics",
            "hertz",
            "Messages per second of each node, on topics that several publishers share.",
            Query(greatest(of_topic("ros_publisher_rate_hertz"), *TOPIC_LABELS, "node_name"), f"{TOPIC} {{{{node_name}}}}"),
            minimum=0,
        ),
    ],
)

NODES_AND_SERVICES = Section(
    "Nodes and services",
    [
        timeline(
            "ROS nodes",
            "Nodes in the graph, and those that are missed.",
            Query(greatest(NODE_UP, "domain", "node_name"), NODE),
            UP,
            width=12,
            height=10,
        ),
        timeline(
            "Services",
            "Services that are asked: whether somebody offers them.",
            Query(greatest(SERVICE_UP, "domain", "service_name"), SERVICE),
            UP,
            width=12,
            height=10,
        ),
        lines(
            "Restarts of nodes",
            "none",
            "Times in the last five minutes that the process of a node was replaced by another.",
            Query(total(f"increase({of_all('ros_node_restarts_total')}[5m])", "domain", "node_name"), NODE),
            minimum=0,
        ),
        lines(
            "Nodes of one name",
            "none",
            "How many nodes have this name: more than one is a fault.",
            Query(greatest(of_all("ros_node_instances"), "domain", "node_name"), NODE),
            minimum=0,
        ),
        lines(
            "Round trip of services",
            "s",
            "From a request to its response: 19 of 20 in 5 minutes took no longer.",
            Query(ROUND_TRIP, SERVICE),
            minimum=0,
            threshold="service_round_trip_seconds",
        ),
        lines(
            "Services that fail",
            "reqps",
            "Requests that were not answered in time; responses that told of no success.",
            Query(total(per_second(of_all("ros_service_timeouts_total")), "domain", "service_name"), f"{SERVICE} timeout"),
            Query(
                total(per_second(of_all("ros_service_unsuccessful_total")), "domain", "service_name"),
                f"{SERVICE} unsuccessful",
            ),
            minimum=0,
        ),
        rows(
            "Diagnostics",
            "What nodes tell of themselves on /diagnostics.",
            [
                Column("Level", greatest(of_all("ros_diagnostic_level"), "topic_name", "name", "hardware_id")),
                Column("Age", greatest(of_all("ros_diagnostic_age_seconds"), "topic_name", "name", "hardware_id"), "s"),
            ],
            labels={**TITLES, "topic_name": "Topic", "name": "Name", "hardware_id": "Hardware"},
            numbers={"Level": DIAGNOSTIC_LEVELS},
            sort_by="Level",
        ),
    ],
)

FRAME = Frame(
    uid="digital-twin-topics",
    title="Digital Twin Topics",
    description="Topics with the reason why data is missing, too slow, too fast or late; nodes, services, diagnostics.",
    sections=[NOW, FLOW, NODES_AND_SERVICES],
    variables=[Variable("topic", "Topic", of_all("ros_topic_publishers"), "topic_name")],
)
