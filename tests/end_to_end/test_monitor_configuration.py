"""What the monitoring node is told: its documentation says it, good values are taken, bad ones refused."""

import re
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import String

from documented import MONITOR_PAGE as PAGE
from documented import (
    assert_file_has_every_parameter,
    assert_metrics_are_documented,
    assert_parameters_are_documented,
    code,
    table,
)
from monitor import NODE_NAME, PROGRAM, Monitor, StartMonitor
from parameters import Parameters
from program import REPOSITORY, assert_every_fault_is_told
from robot import Robot, qos, repeatedly

CONFIGURATION = REPOSITORY / "config" / "monitoring_node.yaml"

KIND = re.compile(r"topics\./\*\.(\w+)")


@pytest.fixture
def monitor(start_monitor: StartMonitor) -> Monitor:
    return start_monitor()


def test_the_parameters_are_those_of_the_node(monitor: Monitor, robot: Robot) -> None:
    assert_parameters_are_documented(PAGE, Parameters(robot, NODE_NAME))


def test_the_parameters_of_a_topic_are_those_of_the_node(monitor: Monitor, robot: Robot) -> None:
    refused = Parameters(robot, NODE_NAME).set(unknown=1)[0]
    rows = table(PAGE, "parameter of a topic", "type", "meaning")
    documented = [code(row[0])[0].removeprefix("topics.NAME.") for row in rows]
    assert sorted(documented) == sorted(KIND.findall(refused.reason))


@pytest.mark.usefixtures("mock_nvml")
def test_the_metrics_are_those_of_a_scrape(start_monitor: StartMonitor, robot: Robot) -> None:
    parameters = {"max_topics": 1, "services": ["/nobody/asks"], "max_diagnostics": 1, "diagnostic_keys": ["number"]}
    monitor = start_monitor(parameters=parameters)
    talker = robot.talker("/joint_states")
    monitor.wait_for_status("silent", "/joint_states")
    robot.spin_until(talker.is_matched, "the monitor's subscription")
    with repeatedly(lambda: talker.publish(["elbow"])):
        monitor.scrape_until(
            lambda scrape: scrape.of_topic("ros_topic_rate_hertz", "/joint_states") is not None, "a rate of messages"
        )
    # A family without a sample is not there at all: those of publishers are for topics that several share.
    other = robot.talker("/joint_states")
    robot.talker("/words", message_type=String)
    diagnostics = robot.talker("/diagnostics", message_type=DiagnosticArray)
    # One more than is read: the other comes first.
    robot.talker("/arm/diagnostics", message_type=DiagnosticArray)
    statuses = [DiagnosticStatus(name=name, values=[KeyValue(key="number", value="1")]) for name in "ab"]

    urdf = '<robot name="a"><link name="a"/><link name="b"/><joint name="elbow" type="revolute"><parent link="a"/>'
    urdf += '<child link="b"/><limit lower="-1" upper="1" velocity="1" effort="1"/></joint></robot>'
    description = robot.talker("/robot_description", qos("reliable", "transient_local"), String)
    # One more than are followed.
    commands = [robot.talker(f"/arm{number}/joint_command") for number in range(33)]

    def tell() -> None:
        description.publisher.publish(String(data=urdf))
        talker.publish(["elbow"], [0.0])
        other.publish(["elbow"], [0.0])
        diagnostics.publisher.publish(DiagnosticArray(status=statuses))
        for one in (diagnostics, talker, commands[0]):
            one.publish_bytes(b"\0\1\0\0")

    with repeatedly(tell, 0.05):
        # In one scrape: what is silent for long has no rate and no margin.
        scrape = monitor.scrape_until(
            lambda scrape: all(
                f"{family}{{" in scrape.text
                for family in (
                    "ros_diagnostic_value",
                    "ros_diagnostics_rejected_total",
                    "ros_diagnostics_topics_refused_total",
                    "ros_joint_limit_margin",
                    "ros_publisher_rate_hertz",
                    "ros_joint_states_rejected_total",
                    "ros_joint_commands_rejected_total",
                    "ros_robot_topics_refused_total",
                    "ros_topics_refused_total",
                    "gpu_power_watts",
                )
            ),
            "a sample of every family",
        )
    assert_metrics_are_documented(PAGE, scrape)


def test_the_configuration_file_has_every_parameter_with_its_default(
    start_monitor: StartMonitor, robot: Robot
) -> None:
    start_monitor(ros=["--params-file", str(CONFIGURATION), "-r", "__node:=monitoring_node"])
    parameters = Parameters(robot, NODE_NAME)
    names = parameters.names()
    from_file = dict(zip(names, parameters.get(*names), strict=True))
    assert_file_has_every_parameter(CONFIGURATION, names)
    text = CONFIGURATION.read_text()
    rows = table(PAGE, "parameter", "type, default", "settable", "meaning")
    assert from_file.keys() == {code(row[0])[0] for row in rows}
    rows_of_topics = table(PAGE, "parameter of a topic", "type", "meaning")
    for row in rows_of_topics:
        key = code(row[0])[0].rsplit(".", 1)[1]
        assert re.search(rf"^    #     {key}: ", text, re.MULTILINE), f"{key} is not in {CONFIGURATION.name}"


def test_every_fault_is_told_at_once(domain_id: int, tmp_path: Path) -> None:
    bad = {
        "allow": ["scan"],
        "robot": "/robot",
        "max_topics": 0,
        "topics./scan.rate": -1.0,
        "topics./scan.class": "steam",
        "topics.scan.rate": 1.0,
        "mandatory_nodes": [],
        "use_sim_time": 1,
        "unknown": 1,
    }
    in_file = "{topics: {/a b: {rate: 1.0}}, services: []}"
    faults_in_file = ["topics./a b.rate", "services"]
    told = assert_every_fault_is_told(PROGRAM, bad, in_file, faults_in_file, domain_id, tmp_path)
    assert sum("empty list" in line and "leave it out" in line for line in told.splitlines()) == 2, told


def test_expectations_have_names_of_topics_and_a_limit(monitor: Monitor, robot: Robot) -> None:
    parameters = Parameters(robot, NODE_NAME)
    refused = parameters.set(**{"topics./a b.rate": 1.0})[0]
    assert not refused.successful and '"/a b" is no full name' in refused.reason, refused

    def rates(count: int) -> dict[str, float]:
        return {f"topics./t{number}.rate": 1.0 for number in range(count)}

    refused = parameters.set_atomically(**rates(4096))
    assert not refused.successful and "4096 parameters" in refused.reason, refused
    assert not any(name.startswith("topics.") for name in parameters.names())
    assert parameters.set_atomically(**rates(4000)).successful
    monitor.wait_for_status("no_publisher", "/t0")
