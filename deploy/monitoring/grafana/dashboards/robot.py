"""One robot: its joints, how its joint states come, its limits."""

from . import processes
from .alerts import threshold
from .frame import Frame, Section, Variable
from .panels import Query, bars, lines, number, timeline
from .promql import EXPORTER, MONITOR, greatest, number_of_state, per_second, quantile, select, total
from .states import FROZEN, TOPIC_STATUSES

UID = "digital-twin-simulation"

OF_TOPIC = 'topic_name=~"$topic"'
OF_JOINT = f'{OF_TOPIC}, joint_name=~"$joint"'
JOINT = "{{robot}} {{topic_name}} {{joint_name}}"
TOPIC = "{{robot}} {{topic_name}}"

AGE = select("ros_joint_age_seconds", EXPORTER, where=OF_TOPIC)
MESSAGES = per_second(select("ros_message_count_total", EXPORTER, where=OF_TOPIC))
LOST = per_second(select("ros_messages_lost_total", EXPORTER, where=OF_TOPIC))
REJECTED = per_second(select("ros_messages_rejected_total", EXPORTER, where=OF_TOPIC))
MARGIN = select("ros_joint_limit_margin_ratio", MONITOR, where=OF_JOINT)
BEYOND = per_second(select("ros_joint_limit_violation_seconds_total", MONITOR, where=OF_JOINT))
MARGIN_MIN = threshold("joint_limit_margin_ratio")
IS_FROZEN = select("ros_joint_frozen", MONITOR, where=OF_JOINT)


def of_joints(metric: str) -> Query:
    return Query(select(metric, EXPORTER, where=OF_JOINT), JOINT)


NOW = Section(
    "Now",
    [
        number("Joints", "none", "Joints that messages name, of robot and twin.", Query(f"count({AGE})")),
        number("Oldest joint", "s", "Time since a message last named the joint that is oldest.", Query(f"max({AGE})")),
        number("Throughput", "mps", "Joint states per second, of all topics.", Query(f"sum({MESSAGES})")),
        number("Lost", "mps", "Joint states missing in sequence numbers.", Query(f"sum({LOST})"), bad_from=0.001),
        number(
            "Smallest margin",
            "percentunit",
            "Of all joints and limits, how much is left as a share of what is allowed: below zero, a limit is passed.",
            Query(f"min({MARGIN})"),
            bad_below=MARGIN_MIN,
        ),
        number("Frozen joints", "none", "Joints that stand still and should not.", Query(f"sum({IS_FROZEN})"), bad_from=1),
    ],
)

JOINTS = Section(
    "Joints",
    [
        lines(
            "Joint positions",
            "suffix: rad or m",
            "Last position of each joint of robot and twin.",
            of_joints("ros_joint_position"),
            height=10,
            legend_beside=True,
        ),
        lines(
            "Joint velocities",
            "suffix: rad/s or m/s",
            "Last velocity of each joint of robot and twin.",
            of_joints("ros_joint_velocity"),
            height=10,
            legend_beside=True,
        ),
        lines(
            "Joint efforts",
            "suffix: N m or N",
            "Last effort of each joint of robot and twin, where their messages carry efforts.",
            of_joints("ros_joint_effort"),
            height=10,
            legend_beside=True,
        ),
        lines(
            "Age of joints",
            "s",
            "Time since a message last named the joint. A joint that is forgotten has no line any more.",
            of_joints("ros_joint_age_seconds"),
            height=10,
            minimum=0,
            legend_beside=True,
        ),
    ],
)

MESSAGE_FLOW = Section(
    "Messages",
    [
        timeline(
            "Status of joint states",
            "Why the exporter has joint states of a topic, or has none: README.md tells what each status means.",
            Query(number_of_state(TOPIC_STATUSES, "ros_topic_status", EXPORTER, "status", "topic_name", where=OF_TOPIC), TOPIC),
            TOPIC_STATUSES,
            height=4,
        ),
        lines("Message throughput", "mps", "Joint states per second.", Query(MESSAGES, TOPIC), minimum=0),
        lines(
            "Messages lost and refused",
            "mps",
            "Missing in the sequence numbers of their publishers; refused, or recorded without some joints, by reason.",
            Query(LOST, f"{TOPIC} lost"),
            Query(REJECTED, f"{TOPIC} {{{{reason}}}}"),
            minimum=0,
        ),
        lines(
            "Longest pauses between messages",
            "s",
            "One interval in a hundred is longer than this.",
            Query(quantile(0.99, select("ros_message_interval_seconds_bucket", EXPORTER, where=OF_TOPIC), "topic_name"), TOPIC),
            minimum=0,
        ),
        lines(
            "Age of messages on arrival",
            "s",
            "By the stamps in their headers: half of the messages now, and 99 of 100 of 5 minutes, are no older than this.",
            Query(
                quantile(0.5, select("ros_message_age_seconds_bucket", EXPORTER, where=OF_TOPIC), "topic_name"),
                f"{TOPIC} median",
            ),
            Query(
                greatest(select("robot_topic:ros_message_age_seconds:p99_5m", EXPORTER, where=OF_TOPIC), "topic_name"),
                f"{TOPIC} 99 %",
            ),
            minimum=0,
        ),
    ],
)

LIMITS = Section(
    "Limits of the robot's description",
    [
        bars(
            "Margins now",
            "percentunit",
            "How far each joint is from a limit, as a share of what is allowed: half the range of positions, or the greatest "
            "velocity or effort.",
            Query(f"min by (region, robot, joint_name, quantity) ({MARGIN})", "{{robot}} {{joint_name}} {{quantity}}"),
            fault_below=0,
            warn_below=MARGIN_MIN,
        ),
        lines(
            "Margins",
            "percentunit",
            "The same over time. Below zero a joint is beyond its limit.",
            Query(MARGIN, "{{robot}} {{topic_name}} {{joint_name}} {{quantity}}"),
            height=10,
            legend_beside=True,
            threshold="joint_limit_margin_ratio",
        ),
        lines(
            "Beyond a limit",
            "percentunit",
            "Share of the time that a joint is beyond a limit, seen in every message, of robot or twin: the greater.",
            Query(greatest(BEYOND, "joint_name", "quantity"), "{{robot}} {{joint_name}} {{quantity}}"),
            minimum=0,
        ),
        timeline(
            "Frozen joints",
            "Joints that stood still for 2 s while others of the robot moved, or against a command.",
            Query(greatest(IS_FROZEN, "joint_name"), "{{robot}} {{joint_name}}"),
            FROZEN,
            width=12,
        ),
    ],
)

RESOURCES = Section("System resources", [processes.processor(), processes.memory()])

FRAME = Frame(
    uid=UID,
    title="Digital Twin Simulation",
    description="The joints of a robot and of its twin: positions, velocities, efforts, limits, and how their messages come.",
    sections=[NOW, JOINTS, MESSAGE_FLOW, LIMITS, RESOURCES],
    variables=[
        Variable("topic", "Topic", select("ros_joint_age_seconds", EXPORTER), "topic_name"),
        Variable("joint", "Joint", AGE, "joint_name"),
    ],
    tags=["robotics", "ros2", "simulation"],
)
