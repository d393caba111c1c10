"""What the Unity bridge is told and what it tells: its documentation says it."""

import yaml
from std_msgs.msg import String
from std_srvs.srv import SetBool

from bridge import NODE_NAME, PROGRAM, Connect, StartBridge
from documented import BRIDGE_PAGE as PAGE
from documented import (
    assert_file_has_every_parameter,
    assert_metrics_are_documented,
    assert_parameters_are_documented,
    parameters_of_help,
)
from parameters import Parameters
from program import REPOSITORY, Arguments, run_program
from robot import Robot

NOT_GIVEN = -1

CONFIGURATION = REPOSITORY / "config" / "unity_bridge_node.yaml"


def in_file() -> dict[str, object]:
    parameters = yaml.safe_load(CONFIGURATION.read_text())[f"/**/{NODE_NAME}"]["ros__parameters"]
    assert isinstance(parameters, dict)
    return parameters


def test_help_has_every_parameter_and_so_has_the_file(start_bridge: StartBridge, robot: Robot, domain_id: int) -> None:
    start_bridge()
    ended = run_program(Arguments(PROGRAM, ["--help"]), domain_id)
    assert ended.exit_code == 0
    names = Parameters(robot, NODE_NAME).names()
    assert parameters_of_help(ended.stdout) == names
    assert_file_has_every_parameter(CONFIGURATION, sorted(names))


def test_the_parameters_are_documented_and_the_file_has_their_defaults(start_bridge: StartBridge, robot: Robot) -> None:
    # That it can be read, and under which node's name, shows only in a node that reads it; the port is the test's own.
    file = ["--params-file", str(CONFIGURATION), "-r", f"__node:={NODE_NAME}"]
    start_bridge(ros=file, parameters={"ROS_TCP_PORT": 0})
    parameters = Parameters(robot, NODE_NAME)
    assert_parameters_are_documented(PAGE, parameters, {"ROS_TCP_PORT": NOT_GIVEN})

    names = sorted(parameters.names())
    in_node = dict(zip(names, parameters.get(*names), strict=True))
    assert in_file() == {**in_node, "ROS_TCP_PORT": NOT_GIVEN}


def test_the_metrics_are_those_of_a_scrape(start_bridge: StartBridge, connect: Connect) -> None:
    bridge = start_bridge()
    unity = connect(bridge)
    unity.send(
        unity.say.subscribe("/heard", String),
        unity.say.publish("/said", String),
        unity.say.ros_service("/asked", SetBool),
        unity.say.unity_service("/offered", SetBool),
        # Refused, so that what counts that has a series.
        unity.say.command("__subscribe", topic="/heard", message_name="nobody/Has"),
    )
    scrape = bridge.wait_for_count(1, "unity_bridge_refusals_total", operation="subscribe", reason="ros")
    assert_metrics_are_documented(PAGE, scrape)
