"""The one client that matters: a real Prometheus server, and its own checker of metrics."""

import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Header

from authority import Authority
from documented import MONITOR_PAGE, SYNCHRONIZER_PAGE, blocks
from exporter import TOPIC, Exporter, StartExporter
from monitor import StartMonitor
from program import Program
from prometheus import Prometheus, needs_prometheus
from robot import RELIABLE, Robot, Talker, now, repeatedly
from synchronizer import REFERENCE_TOPIC, TWIN_TOPIC, Motion, StartSynchronizer
from waiting import wait_until

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


def wait_for_values(prometheus: Prometheus, expression: str, label: str, expected: dict[str, float]) -> None:
    wait_until(
        lambda: prometheus.values(expression, label) == expected,
        f"{expression} is {expected}",
        details=lambda: f"{prometheus.query(expression)}\n{prometheus.last_error()}\n{prometheus.log()[-2000:]}",
    )


def scrape_config(program: Program) -> dict[str, object]:
    return {"static_configs": [{"targets": [str(program.address)]}]}


@needs_prometheus
def test_prometheus_sees_joints_come_and_go(start_exporter: StartExporter, robot: Robot, tmp_path: Path) -> None:
    exporter = start_exporter(parameters={"stale_after": 0.5, "forget_after": 1.0})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    names = ["elbow", 'a "quoted"\nname \\', "relaxed"]

    with Prometheus(tmp_path, scrape_config(exporter)) as prometheus:
        with repeatedly(lambda: talker.publish(names, [1.5, math.inf, math.nan], [0.25]), interval_s=0.05):
            wait_for_values(prometheus, "ros_joint_position", "joint_name", {names[0]: 1.5, names[1]: math.inf})
            wait_for_values(prometheus, "ros_joint_velocity", "joint_name", {names[0]: 0.25})
            wait_for_values(prometheus, "count(ros_joint_age_seconds) by (topic_name)", "topic_name", {TOPIC: 3})
            wait_for_values(prometheus, "ros_topic_status == 1", "status", {"ok": 1})
            wait_for_values(prometheus, "up", "job", {"robot": 1})
        # Far sooner than the 5 minutes after which Prometheus gives a series up: each scrape must say that it is gone.
        wait_for_values(prometheus, "ros_joint_position", "joint_name", {})
        wait_for_values(prometheus, "ros_joint_age_seconds", "joint_name", {})
        wait_for_values(prometheus, "ros_topic_status == 1", "status", {"stale": 1})


@needs_prometheus
def test_prometheus_scrapes_over_tls_as_a_user(start_exporter: StartExporter, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server")
    password_hash = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    config = tmp_path / "web.yml"
    config.write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
        f"basic_auth_users: {{prometheus: {password_hash}}}\n"
    )
    exporter = start_exporter(f"--web.config.file={config}", wait=False)
    secured = {
        **scrape_config(exporter),
        "scheme": "https",
        "tls_config": {"ca_file": str(authority.certificate)},
        "basic_auth": {"username": "prometheus", "password": "secret"},
    }

    with Prometheus(tmp_path, secured) as prometheus:
        wait_for_values(prometheus, "up", "job", {"robot": 1})
        wait_for_values(prometheus, "ros_topic_status == 1", "status", {"no_publisher": 1})


@needs_prometheus
def test_the_alerts_of_the_example_fire_and_end(
    start_monitor: StartMonitor, start_robot: Callable[[], Robot], tmp_path: Path
) -> None:
    parameters, rules = blocks(MONITOR_PAGE, "From an expectation to an alert", "yaml")
    file = tmp_path / "parameters.yaml"
    file.write_text(parameters)
    monitor = start_monitor(ros=["--params-file", str(file)])

    @contextmanager
    def driver() -> Iterator[None]:
        robot = start_robot()
        publisher = robot.another_node("driver", "/lidar").create_publisher(LaserScan, "/scan", RELIABLE)
        with repeatedly(lambda: publisher.publish(LaserScan(header=Header(stamp=now()))), interval_s=0.1):
            yield
        robot.close()

    def wait_for_alerts(*names: str) -> None:
        wait_for_values(prometheus, 'ALERTS{alertstate="firing"}', "alertname", dict.fromkeys(names, 1.0))

    with Prometheus(tmp_path, scrape_config(monitor), rules) as prometheus:
        with driver():
            wait_for_values(prometheus, 'ros_topic_status{topic_name="/scan"} == 1', "status", {"ok": 1})
            wait_for_alerts()
        wait_for_alerts("TopicNotOk", "NodeMissing")
        with driver():
            wait_for_alerts()


@needs_prometheus
def test_the_alerts_of_a_twin_fire_and_end(
    start_synchronizer: StartSynchronizer, robot: Robot, tmp_path: Path
) -> None:
    synchronizer = start_synchronizer()
    (rules,) = blocks(SYNCHRONIZER_PAGE, "Questions and alerts", "yaml")
    motion = Motion(robot.talker(REFERENCE_TOPIC), robot.talker(TWIN_TOPIC), ["elbow"])

    def wait_for_alerts(*names: str) -> None:
        wait_for_values(prometheus, 'ALERTS{alertstate="firing"}', "alertname", dict.fromkeys(names, 1.0))

    with Prometheus(tmp_path, scrape_config(synchronizer), rules) as prometheus:
        with motion.running():
            wait_for_values(prometheus, "ros_twin_state == 1", "state", {"SYNCED": 1})
            wait_for_alerts()
            motion.offset = 0.3
            wait_for_alerts("TwinDiverged")
            motion.offset = 0.0
            wait_for_alerts()
            ask_what_the_page_asks(prometheus, SYNCHRONIZER_PAGE, "Questions and alerts")
        wait_for_alerts("TwinLost")


def ask_what_the_page_asks(prometheus: Prometheus, page: Path, heading: str) -> None:
    """Each question can be asked, and is of metrics that there are."""
    (questions,) = blocks(page, heading, "promql")
    for line in questions.splitlines():
        question = line.partition("#")[0].strip()
        prometheus.query(question)
        for family in set(re.findall(r"ros_\w+", question)):
            assert prometheus.query(f'{{__name__="{family}"}}') or "transitions" in family, f"{family} of: {question}"


def assert_promtool_is_content(text: str) -> None:
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


@needs_promtool
def test_promtool_finds_no_fault_with_an_idle_exporter(exporter: Exporter) -> None:
    exporter.scrape()
    assert_promtool_is_content(exporter.scrape().text)


@needs_promtool
def test_promtool_finds_no_fault_with_a_busy_one(
    start_exporter: StartExporter, start_robot: Callable[[], Robot]
) -> None:
    exporter = start_exporter(parameters={"topics": [TOPIC, "/robot1/joint_states"]})
    talkers: list[Talker] = [start_robot().talker(TOPIC), start_robot().talker("/robot1/joint_states")]
    exporter.wait_until_matched(*talkers)
    for talker in talkers:
        talker.publish(['a "quoted"\nname \\', "é", "twin", "twin", ""], [math.inf, math.nan], [1.0], [1e300, 5e-324])
        exporter.wait_for_messages(1, talker.topic)

    assert_promtool_is_content(exporter.scrape().text)


@needs_promtool
def test_promtool_would_find_a_fault() -> None:
    with pytest.raises(AssertionError):
        assert_promtool_is_content("# HELP x_total Words.\n# TYPE x_total gauge\nx_total 1\n")


@needs_promtool
def test_promtool_finds_no_fault_with_the_other_nodes(
    start_monitor: StartMonitor, start_synchronizer: StartSynchronizer, robot: Robot
) -> None:
    monitor, synchronizer = start_monitor(), start_synchronizer()
    motion = Motion(robot.talker(REFERENCE_TOPIC), robot.talker(TWIN_TOPIC), ["elbow"])
    with motion.running():
        scrape = synchronizer.wait_for_state("SYNCED")
        assert_promtool_is_content(scrape.text)
        assert_promtool_is_content(monitor.wait_for_status("ok", REFERENCE_TOPIC).text)
