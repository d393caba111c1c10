"""What the synchronization node is told and what it tells: its documentation says it, bad values are refused."""

import math
import os
import resource
from pathlib import Path

import pytest
import yaml
from std_msgs.msg import Float64, String

from documented import SYNCHRONIZER_PAGE as PAGE
from documented import (
    assert_file_has_every_parameter,
    assert_metrics_are_documented,
    assert_parameters_are_documented,
    code,
    parameters_of_help,
    table,
)
from parameters import Parameters
from program import EXIT_USAGE, REPOSITORY, Arguments, assert_every_fault_is_told, run_program
from robot import Listener, Robot, repeatedly
from synchronizer import (
    LATCHED,
    NODE_NAME,
    PROGRAM,
    REFERENCE_TOPIC,
    STATES,
    TWIN_TOPIC,
    Motion,
    Services,
    StartSynchronizer,
    Synchronizer,
)
from waiting import wait_until

CONFIGURATION = REPOSITORY / "config" / "synchronization_node.yaml"


@pytest.fixture
def synchronizer(start_synchronizer: StartSynchronizer) -> Synchronizer:
    return start_synchronizer()


@pytest.fixture
def motion(robot: Robot) -> Motion:
    return Motion(robot.talker(REFERENCE_TOPIC), robot.talker(TWIN_TOPIC), ["elbow"])


def test_the_parameters_are_those_of_the_node(synchronizer: Synchronizer, robot: Robot) -> None:
    assert_parameters_are_documented(PAGE, Parameters(robot, NODE_NAME))


def test_help_has_every_parameter(synchronizer: Synchronizer, robot: Robot, domain_id: int) -> None:
    ended = run_program(Arguments(PROGRAM, ["--help"]), domain_id)
    assert ended.exit_code == 0
    assert parameters_of_help(ended.stdout) == Parameters(robot, NODE_NAME).names()


def test_the_configuration_file_has_every_parameter_with_its_default(
    start_synchronizer: StartSynchronizer, robot: Robot
) -> None:
    # That it can be read, and under which node's name, shows only in a node that reads it.
    start_synchronizer(ros=["--params-file", str(CONFIGURATION), "-r", f"__node:={NODE_NAME}"])
    parameters = Parameters(robot, NODE_NAME)
    names = sorted(parameters.names())
    assert_file_has_every_parameter(CONFIGURATION, names)
    assert_parameters_are_documented(PAGE, parameters)

    in_file = yaml.safe_load(CONFIGURATION.read_text())[f"/**/{NODE_NAME}"]["ros__parameters"]
    in_node = dict(zip(names, parameters.get(*names), strict=True))
    assert in_file == {name: value for name, value in in_node.items() if value != []}


def test_the_metrics_are_those_of_a_scrape(start_synchronizer: StartSynchronizer, motion: Motion) -> None:
    synchronizer = start_synchronizer(parameters={"output_mode": "trajectory", "forward_commands": True})
    with motion.running():
        # The last to be there: a second of motion has to have been seen.
        scrape = synchronizer.scrape_until(
            lambda scrape: scrape.get("ros_twin_joint_lag_seconds", joint_name="elbow") is not None
            and scrape.get("ros_twin_joint_error_rms", joint_name="elbow", compensation="lag") is not None
            and scrape.get("ros_twin_real_time_factor", source="twin") is not None
            and scrape.get("ros_twin_worst_error") is not None,
            "a lag",
        )
    assert_metrics_are_documented(PAGE, scrape)


def test_the_states_and_causes_are_those_of_the_node(synchronizer: Synchronizer) -> None:
    rows = table(PAGE, "state", "means", "entered", "left", "what to do")
    assert {code(row[0])[0] for row in rows} == set(STATES)
    assert set(synchronizer.scrape().by("state", "ros_twin_state")) == set(STATES)


def test_the_services_are_those_of_the_node(synchronizer: Synchronizer, robot: Robot) -> None:
    rows = table(PAGE, "service", "type", "does", "answers")
    documented = {code(row[0])[0].replace("~", f"/{NODE_NAME}"): row[1] for row in rows}

    robot.spin_until(lambda: NODE_NAME in robot.node.get_node_names(), "the node")

    def offered() -> dict[str, str]:
        services = robot.node.get_service_names_and_types_by_node(NODE_NAME, "/")
        return {name: types[0] for name, types in services if types[0].startswith("std_srvs/")}

    robot.spin_until(lambda: len(offered()) >= len(documented), "the services")
    assert offered() == documented


def test_the_topics_are_those_of_the_node(start_synchronizer: StartSynchronizer, robot: Robot) -> None:
    start_synchronizer(parameters={"output_mode": "trajectory", "forward_commands": True, "use_sim_time": True})

    def documented(column: str) -> dict[str, str]:
        rows = table(PAGE, column, "type", "QoS", "what for" if column == "hears on" else "meaning")
        defaults = {
            "reference_topic": REFERENCE_TOPIC,
            "twin_topic": TWIN_TOPIC,
            "robot_description_topic": "/robot_description",
            "forwarded_topic": "/joint_trajectory_commands",
            "command_topic": "/twin/joint_trajectory_commands",
        }
        names = {code(row[0])[0]: row[1] for row in rows}
        return {
            defaults.get(name, name.replace("~", f"/{NODE_NAME}")): "trajectory_msgs/msg/JointTrajectory"
            if name == "command_topic"
            else kind
            for name, kind in names.items()
        }

    def in_graph(topics: list[tuple[str, list[str]]]) -> dict[str, str]:
        return {name: types[0] for name, types in topics if name not in ("/rosout", "/parameter_events")}

    robot.spin_until(lambda: NODE_NAME in robot.node.get_node_names(), "the node")

    def heard() -> dict[str, str]:
        return in_graph(robot.node.get_subscriber_names_and_types_by_node(NODE_NAME, "/"))

    def told() -> dict[str, str]:
        return in_graph(robot.node.get_publisher_names_and_types_by_node(NODE_NAME, "/"))

    robot.spin_until(lambda: len(heard()) >= len(documented("hears on")), "what it listens to")
    robot.spin_until(lambda: len(told()) >= len(documented("tells on")), "what it publishes")
    assert heard() == documented("hears on")
    assert told() == documented("tells on")


def ticker_of(synchronizer: Synchronizer) -> int:
    """The thread that ticks."""

    def tickers() -> list[int]:
        tasks = Path(f"/proc/{synchronizer.process.pid}/task").iterdir()
        return [int(task.name) for task in tasks if (task / "comm").read_text().strip() == "ticker"]

    wait_until(tickers, "there is a thread that ticks")
    return tickers()[0]


def may_have_priority() -> bool:
    own = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    return os.geteuid() == 0 or own >= 99


@pytest.mark.skipif(not may_have_priority(), reason="no real-time priority is permitted here: run as root")
@pytest.mark.parametrize(("parameters", "priority"), [({}, 50), ({"thread_priority": 7}, 7)])
def test_the_thread_that_ticks_has_real_time_priority(
    start_synchronizer: StartSynchronizer, parameters: dict[str, int], priority: int
) -> None:
    synchronizer = start_synchronizer(parameters=parameters)
    wait_until(lambda: f"has real-time priority priority={priority}" in synchronizer.stderr, "it says so")
    ticker = ticker_of(synchronizer)
    assert os.sched_getscheduler(ticker) == os.SCHED_FIFO
    assert os.sched_getparam(ticker).sched_priority == priority
    assert os.sched_getscheduler(synchronizer.process.pid) == os.SCHED_OTHER, "of the other threads"


def test_no_priority_is_asked_for(start_synchronizer: StartSynchronizer) -> None:
    synchronizer = start_synchronizer(parameters={"thread_priority": 0})
    assert os.sched_getscheduler(ticker_of(synchronizer)) == os.SCHED_OTHER
    assert "real-time" not in synchronizer.stderr


def test_without_the_right_to_priority_it_ticks_all_the_same(start_unprivileged: StartSynchronizer) -> None:
    synchronizer = start_unprivileged()
    synchronizer.scrape_until(lambda scrape: scrape.value("ros_twin_ticks_total") > 0, "a tick")
    assert os.sched_getscheduler(ticker_of(synchronizer)) == os.SCHED_OTHER
    assert "does not permit it" in synchronizer.stderr


def test_every_fault_is_told_at_once(domain_id: int, tmp_path: Path) -> None:
    bad = {
        "update_rate": 0.5,
        "buffer_size": 1,
        "interpolation": "cubic",
        "joints": ["elbow", "elbow"],
        "name_map": ["elbow"],
        "command_topic": "/{robot}/cmd",
        "reference_topic": "/a b",
        "use_sim_time": 1,
        "unknown": 1,
    }
    assert_every_fault_is_told(PROGRAM, bad, "{sign_map: []}", ["sign_map"], domain_id, tmp_path)


def test_the_robots_own_commands_are_no_default(domain_id: int) -> None:
    parameters = {"twin_topic": "/twin_joint_states", "output_mode": "trajectory"}
    ended = run_program(Arguments(PROGRAM, parameters=parameters), domain_id)
    assert (ended.exit_code, "command_topic: is empty" in ended.stderr) == (EXIT_USAGE, True), ended.stderr


def test_what_is_not_commanded_cannot_be_enabled(synchronizer: Synchronizer, robot: Robot) -> None:
    services = Services(robot)
    refused = services.enable(True)
    assert (refused.success, "output_mode is none" in refused.message) == (False, True)
    assert services.enable(False).success


def test_a_joint_that_can_have_no_topic_keeps_no_other_from_its_own(
    start_synchronizer: StartSynchronizer, robot: Robot
) -> None:
    synchronizer = start_synchronizer(parameters={"output_mode": "gz"})
    commands = Listener(robot, Float64, "/twin/elbow/cmd_pos")
    joint = '<joint name="{}" type="continuous"><parent link="base"/><child link="{}"/></joint><link name="{}"/>'
    joints = "".join(joint.format(name, link, link) for name, link in (("left arm", "left"), ("elbow", "arm")))
    urdf = f'<robot name="arm"><link name="base"/>{joints}</robot>'
    robot.talker("/robot_description", LATCHED, String).publisher.publish(String(data=urdf))
    talkers = [robot.talker(topic) for topic in (REFERENCE_TOPIC, TWIN_TOPIC)]
    with repeatedly(lambda: [talker.publish(["left arm", "elbow"], [0.25, 0.25]) for talker in talkers]):
        commands.wait_for(lambda message: math.isclose(message.data, 0.25), "the command of the elbow")
        synchronizer.scrape_until(
            lambda scrape: scrape.get("ros_twin_commands_refused_total", reason="no_topic"), "the one that has none"
        )
    assert synchronizer.scrape().value("ros_twin_publish_failed_total") == 0


def test_joints_of_both_sources_beyond_the_limit_are_counted(synchronizer: Synchronizer, robot: Robot) -> None:
    for source, topic in (("reference", REFERENCE_TOPIC), ("twin", TWIN_TOPIC)):
        talker = robot.talker(topic)
        names = [f"{source}_{number}" for number in range(200)]
        with repeatedly(lambda talker=talker, names=names: talker.publish(names, [0.0] * 200)):
            synchronizer.scrape_until(lambda scrape, topic=talker.topic: scrape.messages(topic) > 0, "its joints")
    scrape = synchronizer.scrape_until(
        lambda scrape: scrape.get("ros_twin_joints_refused_total", source="twin"), "joints are refused"
    )
    assert scrape.value("ros_twin_joints_refused_total", source="twin") == 144
    assert scrape.value("ros_twin_joints_refused_total", source="reference") == 0
