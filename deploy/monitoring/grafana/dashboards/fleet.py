"""All robots, a row for each: where to look next. It asks for no more than federation.yml takes."""

from .alerts import firing, runbook
from .frame import Frame, Section
from .panels import Column, Query, lines, number, rows, timeline
from .promql import (
    MONITOR,
    NODES,
    SYNCHRONIZER,
    counted,
    greatest,
    number_of_state,
    placed,
    recorded,
    select,
    total,
)
from .robot import UID as ROBOT_UID
from .states import TWIN_STATES

UP = select("up", *NODES)
STATE = select("ros_twin_state", SYNCHRONIZER)
IN_STEP = select("ros_twin_state", SYNCHRONIZER, where='state="SYNCED"')
AT_FAULT = select("ros_twin_state", SYNCHRONIZER, where='state=~"DEGRADED|DIVERGED|LOST|STOPPED"')
IN_STEP_SHARE = recorded("robot:ros_twin_synced:ratio_1h")
NODES_UP = recorded("robot:digital_twin_nodes_up:ratio")
TOPICS_NOT_OK = recorded("robot_status:ros_topics:count", 'status!="ok"')
MESSAGES = select("robot_topic:ros_messages:rate1m", MONITOR)
LOST = recorded("robot:ros_messages_lost:rate1m")
WORST_ERROR = select("ros_twin_worst_error", SYNCHRONIZER)
LAG = select("ros_twin_lag_seconds", SYNCHRONIZER)

THIS_ROBOT = (
    f"/d/{ROBOT_UID}?${{datasource:queryparam}}&${{region:queryparam}}&var-robot=${{__value.raw}}&${{__url_time_range}}"
)
WHAT_TO_DO = runbook("${__value.raw}")

NOW = Section(
    "Now",
    [
        number("Robots", "none", "Robots of which Prometheus scrapes a node.", Query(f"count({total(UP)})")),
        number(
            "Nodes without answer",
            "none",
            "Nodes that Prometheus scrapes and that do not answer.",
            Query(f"count({UP}) - sum({UP})"),
            bad_from=1,
        ),
        number("Twins in step", "none", "Robots whose twin is SYNCED.", Query(f"sum({IN_STEP})")),
        number(
            "Twins at fault",
            "none",
            "Robots whose twin is DEGRADED, DIVERGED, LOST or STOPPED.",
            Query(f"sum({AT_FAULT})"),
            bad_from=1,
        ),
        number(
            "Topics not ok",
            "none",
            "Topics without data that they should have, or whose data is too slow, too fast or late.",
            Query(f"sum({TOPICS_NOT_OK})"),
            bad_from=1,
        ),
        number(
            "Alerts",
            "none",
            "Alerts of this project that are firing.",
            # Prometheus has no series of what does not fire.
            Query(f"count({firing()}) or vector(0)"),
            bad_from=1,
        ),
        rows(
            "Robots",
            "A row for each robot, which leads to its dashboard. What is empty was not told: a robot without "
            "synchronization_node has no twin here. A dash stands for a label that is missing.",
            [
                Column("", placed(f"{greatest(STATE, 'state')} == 1")),
                Column("Nodes up", placed(total(UP))),
                Column("Without answer", placed(f"{counted(UP)} - {total(UP)}"), fault=1),
                Column("In step, last hour", placed(greatest(IN_STEP_SHARE)), "percentunit"),
                Column("Topics not ok", placed(total(TOPICS_NOT_OK)), fault=1),
                Column("Lost", placed(total(LOST)), "mps"),
                Column("Joint farthest off", placed(greatest(WORST_ERROR)), "suffix: rad or m"),
                Column("Lag", placed(greatest(LAG)), "s"),
                Column("Alerts", placed(counted(firing())), fault=1),
            ],
            labels={"region": "Region", "robot": "Robot", "state": "Twin"},
            states={"Twin": TWIN_STATES},
            links={"Robot": ("This robot", THIS_ROBOT)},
            sort_by="Alerts",
        ),
        rows(
            "Alerts",
            "What is firing, with all that it tells of itself; the name leads to the page that says what to do.",
            [Column("", firing())],
            labels={"alertname": "Alert", "severity": "Severity", "region": "Region", "robot": "Robot"},
            hidden=["__name__", "alertstate"],
            links={"Alert": ("What to do", WHAT_TO_DO)},
            height=8,
        ),
    ],
)

OVER_TIME = Section(
    "Over time",
    [
        timeline(
            "Twins",
            "The state of each robot and its twin.",
            Query(number_of_state(TWIN_STATES, "ros_twin_state", SYNCHRONIZER, "state"), "{{region}} {{robot}}"),
            TWIN_STATES,
        ),
        lines(
            "Nodes up",
            "percentunit",
            "Share of the nodes of a robot that answer Prometheus.",
            Query(greatest(NODES_UP), "{{region}} {{robot}}"),
            minimum=0,
        ),
        lines(
            "Topics not ok",
            "none",
            "Topics of each robot without data that they should have, or whose data is too slow, too fast or late.",
            Query(total(TOPICS_NOT_OK), "{{region}} {{robot}}"),
            minimum=0,
        ),
        lines(
            "Joint farthest off",
            "suffix: rad or m",
            "The greatest error among the joints of each twin, with the lag taken out where it is known.",
            Query(greatest(WORST_ERROR), "{{region}} {{robot}}"),
            minimum=0,
        ),
        lines(
            "Lag of the twin",
            "s",
            "By how much each twin is behind its robot. No line where no motion shows it.",
            Query(greatest(LAG), "{{region}} {{robot}}"),
            threshold="twin_lag_seconds",
        ),
        lines(
            "Messages",
            "mps",
            "Messages that monitoring_node receives, on all topics of a robot.",
            Query(total(MESSAGES), "{{region}} {{robot}}"),
            minimum=0,
        ),
        lines(
            "Messages lost",
            "mps",
            "Messages missing in the sequence numbers of publishers, on all topics of a robot.",
            Query(total(LOST), "{{region}} {{robot}}"),
            minimum=0,
        ),
        lines(
            "Alerts",
            "none",
            "Alerts that were firing, by region. No line where none was.",
            Query(f"count by (region, alertname) ({firing()})", "{{region}} {{alertname}}"),
            minimum=0,
        ),
    ],
)

FRAME = Frame(
    uid="digital-twin-fleet",
    title="Digital Twin Fleet",
    description="All robots and their twins, by region: nodes that answer, topics, errors, lag, alerts.",
    sections=[NOW, OVER_TIME],
)
