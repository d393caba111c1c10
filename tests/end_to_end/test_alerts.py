"""Our rules and our routes, in a real Prometheus and a real Alertmanager, with real causes: what is raised ends again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Header

from alertmanager import CONFIGURATION, Alertmanager, needs_alertmanager
from monitor import Monitor, StartMonitor
from notified import Receivers
from ports import free_ports
from program import REPOSITORY
from prometheus import Prometheus, needs_prometheus
from robot import RELIABLE, Robot, now, repeatedly
from synchronizer import REFERENCE_TOPIC, TWIN_TOPIC, Motion, StartSynchronizer
from waiting import wait_until

pytestmark = [needs_prometheus, needs_alertmanager]

RULES = REPOSITORY / "deploy" / "monitoring" / "prometheus" / "rules"
ROBOT = {"robot": "arm", "region": "eu"}

# What there is to know where a test fails.
STATES = '{__name__=~"ros_topic_status|ros_twin_state|up"} == 1'


def hasty_rules() -> str:
    """All of our rules, in whose `for` a minute is a second: what fires before something else still does."""
    groups = [group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
    for rule in (rule for group in groups for rule in group["rules"] if "for" in rule):
        count, unit = int(rule["for"][:-1]), rule["for"][-1]
        rule["for"] = f"{count * {'m': 1000, 's': 17}[unit]}ms"
    return yaml.safe_dump({"groups": groups})


@dataclass
class Watched:
    """A robot, its twin and a lidar that all is well with, and those who watch them."""

    robot: Robot
    motion: Motion
    prometheus: Prometheus
    alertmanager: Alertmanager
    receivers: Receivers

    def __post_init__(self) -> None:
        self._scans = self.robot.node.create_publisher(LaserScan, "/scan", RELIABLE)

    @contextmanager
    def scanning(self) -> Iterator[None]:
        with repeatedly(lambda: self._scans.publish(LaserScan(header=Header(stamp=now()))), interval_s=0.1):
            yield

    def wait_for_value(self, value: float, expression: str) -> None:
        wait_until(
            lambda: [float(one["value"][1]) for one in self.prometheus.query(expression)] == [value],
            f"{expression} is {value}",
            details=lambda: f"{self.prometheus.query(STATES)}\n{self.prometheus.last_error()}",
        )

    def wait_until_well(self) -> None:
        self.wait_for_value(1, 'ros_twin_state{state="SYNCED"}')
        self.wait_for_value(1, 'ros_topic_status{job="monitoring-node", topic_name="/scan", status="ok"}')

    def wait_until_silent(self, alert: str, by: str) -> None:
        """Until the alert fires and another one keeps it from being told."""

        def is_silent() -> bool:
            found = {one["fingerprint"]: one for one in self.alertmanager.alerts()}
            silenced = [one for one in found.values() if one["labels"]["alertname"] == alert]
            causes = [found[cause]["labels"]["alertname"] for one in silenced for cause in one["status"]["inhibitedBy"]]
            return by in causes

        wait_until(is_silent, f"{by} silences {alert}", details=lambda: f"{self.alertmanager.alerts()}")


def test_what_goes_wrong_is_told_and_that_it_is_well_again(
    start_monitor: StartMonitor, start_synchronizer: StartSynchronizer, robot: Robot, tmp_path: Path
) -> None:
    flag = f"--web.listen-address=127.0.0.1:{free_ports(1)[0]}"
    expected = {"topics./scan.rate": 10.0, "topics./scan.stale_after": 0.5, f"topics.{REFERENCE_TOPIC}.stale_after": 0.5}

    def start() -> Monitor:
        return start_monitor(flag, parameters=expected)

    monitor, synchronizer = start(), start_synchronizer()
    jobs = {
        job: {"static_configs": [{"targets": [str(node.address)], "labels": ROBOT}]}
        for job, node in {"monitoring-node": monitor, "synchronization-node": synchronizer}.items()
    }
    motion = Motion(robot.talker(REFERENCE_TOPIC), robot.talker(TWIN_TOPIC), ["elbow"])
    with ExitStack() as stack:
        receivers = stack.enter_context(Receivers())
        configuration = receivers.configured(CONFIGURATION.read_text())
        alertmanager = stack.enter_context(Alertmanager(tmp_path, configuration))
        prometheus = stack.enter_context(
            Prometheus(tmp_path, rules=hasty_rules(), jobs=jobs, alertmanagers=[alertmanager.address])
        )
        watched = Watched(robot, motion, prometheus, alertmanager, receivers)
        with motion.running():
            with watched.scanning():
                watched.wait_until_well()
                a_node_that_is_killed(watched, monitor, start)
            a_topic_that_stops(watched)
            a_twin_that_is_pushed_away(watched)
        a_robot_that_falls_silent(watched)


def a_node_that_is_killed(watched: Watched, monitor: Monitor, start: StartMonitor) -> None:
    labels = {**ROBOT, "alertname": "DigitalTwinNodeDown", "job": "monitoring-node"}
    monitor.kill()
    told = watched.receivers.wait_for("critical", "firing", labels)
    assert told["annotations"]["summary"] == "monitoring-node of arm does not answer"
    watched.wait_until_silent("DigitalTwinNotMonitored", by="DigitalTwinNodeDown")
    start()
    watched.receivers.wait_for("critical", "resolved", labels)
    watched.wait_until_well()
    assert "DigitalTwinNotMonitored" not in watched.receivers.names()


def a_topic_that_stops(watched: Watched) -> None:
    labels = {**ROBOT, "alertname": "TopicWithoutData", "topic_name": "/scan", "status": "stale"}
    told = watched.receivers.wait_for("warning", "firing", labels)
    assert told["annotations"]["summary"] == "/scan of arm has no data: stale"
    assert told["annotations"]["description"].endswith("its messages have stopped.")
    with watched.scanning():
        watched.receivers.wait_for("warning", "resolved", labels)


def a_twin_that_is_pushed_away(watched: Watched) -> None:
    labels = {**ROBOT, "alertname": "TwinDiverged"}
    watched.motion.offset = 0.3
    told = watched.receivers.wait_for("critical", "firing", labels)
    assert "The farthest is elbow, by 0." in told["annotations"]["description"]
    watched.motion.offset = 0.0
    watched.receivers.wait_for("critical", "resolved", labels)


def a_robot_that_falls_silent(watched: Watched) -> None:
    labels = {**ROBOT, "alertname": "TwinLost"}
    told = watched.receivers.wait_for("critical", "firing", labels)
    assert f"{REFERENCE_TOPIC}: stale." in told["annotations"]["description"]
    watched.wait_until_silent("TopicWithoutData", by="TwinLost")
    with watched.motion.running():
        watched.receivers.wait_for("critical", "resolved", labels)
