"""Parameters: from the command line and files, and through the standard services, as `ros2 param` uses them."""

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import yaml
from rcl_interfaces.msg import ParameterEvent, ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.utilities import get_rmw_implementation_identifier

from exporter import NODE_NAME, TOPIC, Exporter, RunExporter, StartExporter
from parameters import Parameters
from program import EXIT_USAGE, REPOSITORY, ParameterValue
from robot import Robot, repeatedly
from waiting import wait_until

DEFAULTS: dict[str, ParameterValue] = {
    "topics": [TOPIC],
    "max_joints": 10_000,
    "stale_after": 5.0,
    "forget_after": 300.0,
    "qos": "auto",
    "use_sim_time": False,
}
SETTABLE = {"stale_after", "forget_after"}

CONFIGURATION = REPOSITORY / "config" / "ros_metrics_exporter.yaml"


@pytest.fixture
def parameters(exporter: Exporter, robot: Robot) -> Parameters:
    """The parameters of an exporter that was started with none."""
    return Parameters(robot)


class Announced:
    """What the exporter tells on /parameter_events."""

    def __init__(self, parameters: Parameters, robot: Robot) -> None:
        self._robot = robot
        self._events: list[ParameterEvent] = []
        robot.listen(ParameterEvent, "/parameter_events", self._events.append)
        self._find_each_other(parameters)

    def _find_each_other(self, parameters: Parameters) -> None:
        """Each end finds the other on its own, and that the exporter has found this one shows by what it tells alone."""
        values = count(100)

        def is_heard() -> bool:
            parameters.set(forget_after=float(next(values)))
            return bool(self._events)

        self._robot.spin_until(is_heard, "a change of forget_after")

    def changes(self) -> list[tuple[str, float]]:
        """Of all others, by name; 0 for what is no number."""
        told = [change for event in self._events for change in event.changed_parameters]
        return [(change.name, change.value.double_value) for change in told if change.name != "forget_after"]

    def nodes(self) -> set[str]:
        return {event.node for event in self._events}

    def wait_for_one(self) -> None:
        self._robot.spin_until(self.changes, "a change")


@pytest.fixture
def announced(parameters: Parameters, robot: Robot) -> Announced:
    return Announced(parameters, robot)


def test_every_parameter_is_there_with_its_default(parameters: Parameters) -> None:
    assert parameters.names() >= DEFAULTS.keys()
    assert parameters.get(*DEFAULTS) == list(DEFAULTS.values())


def test_every_parameter_is_described(parameters: Parameters) -> None:
    descriptors = parameters.describe(*parameters.names())

    assert all(descriptor.description for descriptor in descriptors)
    assert {descriptor.name for descriptor in descriptors if not descriptor.read_only} == SETTABLE
    assert [descriptor.type for descriptor in parameters.describe(*DEFAULTS)] == parameters.types(*DEFAULTS)


def test_types_are_told(parameters: Parameters) -> None:
    assert parameters.types(*DEFAULTS) == [
        ParameterType.PARAMETER_STRING_ARRAY,
        ParameterType.PARAMETER_INTEGER,
        ParameterType.PARAMETER_DOUBLE,
        ParameterType.PARAMETER_DOUBLE,
        ParameterType.PARAMETER_STRING,
        ParameterType.PARAMETER_BOOL,
    ]


def test_values_of_the_command_line_arrive(start_exporter: StartExporter, robot: Robot) -> None:
    values: dict[str, ParameterValue] = {
        "topics": ["/a", "/robot1/joint_states"],
        "max_joints": 7,
        "stale_after": 0.5,
        "forget_after": 60.0,
        "qos": "reliable",
        "use_sim_time": True,
    }
    start_exporter(parameters=values)

    assert Parameters(robot).get(*values) == list(values.values())


def test_the_file_has_the_defaults(exporter: Exporter, parameters: Parameters) -> None:
    # That it can be read shows where the package is tested.
    in_file = yaml.safe_load(CONFIGURATION.read_text())[f"/**/{NODE_NAME}"]["ros__parameters"]
    names = sorted(parameters.names())
    assert in_file == dict(zip(names, parameters.get(*names), strict=True))


def test_values_of_a_file_arrive(start_exporter: StartExporter, robot: Robot, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(
        f"/**:\n  ros__parameters:\n    stale_after: 0.25\n{NODE_NAME}:\n  ros__parameters:\n    qos: reliable\n"
    )

    start_exporter(ros=["--params-file", str(file)])

    assert Parameters(robot).get("stale_after", "qos") == [0.25, "reliable"]


def test_a_file_for_another_node_is_told_of(start_exporter: StartExporter, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("/someone_else:\n  ros__parameters:\n    qos: reliable\n")

    exporter = start_exporter(ros=["--params-file", str(file)])

    (warning,) = [line for line in exporter.stderr.splitlines() if " WARN " in line]
    assert "the parameters that were given are for nodes of other names" in warning
    assert "/someone_else" in warning and f"/{NODE_NAME}" in warning


def test_a_new_stale_after_is_acted_on(exporter: Exporter, parameters: Parameters, robot: Robot) -> None:
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    talker.publish(["elbow"], [1.0])
    exporter.wait_for_messages(1)

    (result,) = parameters.set(stale_after=0.2)

    assert result.successful, result.reason
    assert parameters.get("stale_after") == [0.2]
    scrape = exporter.scrape_until(lambda scrape: not scrape.positions(TOPIC), "a stale joint")
    assert scrape.status(TOPIC) == "stale"
    # Within the 5 s that were the limit at the start.
    assert 0.2 < scrape.ages(TOPIC)["elbow"] < 4.0


def test_a_new_forget_after_is_acted_on(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"stale_after": 0.1})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    talker.publish(["elbow"], [1.0])
    exporter.wait_for_messages(1)

    (result,) = Parameters(robot).set(forget_after=0.3)

    assert result.successful, result.reason
    exporter.scrape_until(lambda scrape: not scrape.ages(TOPIC), "a forgotten joint")


def test_a_change_is_announced(parameters: Parameters, announced: Announced) -> None:
    parameters.set(stale_after=2.5)

    announced.wait_for_one()

    assert announced.changes() == [("stale_after", 2.5)]
    assert announced.nodes() == {f"/{NODE_NAME}"}


def test_a_refused_change_is_not_announced(parameters: Parameters, announced: Announced) -> None:
    parameters.set(stale_after=-1.0)
    parameters.set(qos="reliable")
    parameters.set(stale_after=2.5)

    announced.wait_for_one()

    assert announced.changes() == [("stale_after", 2.5)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("topics", ["/other"], id="topics at run time"),
        pytest.param("max_joints", 5, id="max_joints at run time"),
        pytest.param("qos", "reliable", id="qos at run time"),
        pytest.param("use_sim_time", True, id="use_sim_time at run time"),
        pytest.param("no_such_parameter", 1.0, id="an unknown name"),
        pytest.param("stale_after", -1.0, id="a negative time"),
        pytest.param("stale_after", float("nan"), id="not a time"),
        pytest.param("stale_after", float("inf"), id="an infinite time"),
        pytest.param("stale_after", "soon", id="a word for a time"),
        pytest.param("forget_after", -1.0, id="forgetting in the past"),
        pytest.param("forget_after", True, id="a truth for a time"),
    ],
)
def test_a_bad_change_is_refused_with_a_reason(parameters: Parameters, name: str, value: ParameterValue) -> None:
    before = parameters.get(*DEFAULTS)

    (result,) = parameters.set(**{name: value})

    assert not result.successful
    assert result.reason
    assert parameters.get(*DEFAULTS) == before
    assert parameters.names() >= DEFAULTS.keys()
    assert "no_such_parameter" not in parameters.names()


def test_a_bad_change_does_not_hold_back_the_others(parameters: Parameters) -> None:
    results = parameters.set(stale_after=2.5, qos="reliable", forget_after=30.0)

    assert [result.successful for result in results] == [True, False, True]
    assert parameters.get("stale_after", "qos", "forget_after") == [2.5, "auto", 30.0]


def test_atomically_means_all_or_none(parameters: Parameters) -> None:
    result = parameters.set_atomically(stale_after=2.5, qos="reliable")

    assert not result.successful
    assert result.reason
    assert parameters.get("stale_after", "qos") == [5.0, "auto"]

    assert parameters.set_atomically(stale_after=2.5, forget_after=30.0).successful
    assert parameters.get("stale_after", "forget_after") == [2.5, 30.0]


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        pytest.param("no_such_parameter:=1", "no_such_parameter", id="an unknown name"),
        pytest.param("qos:=sometimes", "sometimes", id="an unknown quality of service"),
        pytest.param("stale_after:=-1.0", "stale_after", id="a negative time"),
        pytest.param("stale_after:=.nan", "stale_after", id="not a time"),
        pytest.param("stale_after:=soon", "stale_after", id="a word for a time"),
        pytest.param("forget_after:=-1.0", "forget_after", id="forgetting in the past"),
        pytest.param("max_joints:=-5", "max_joints", id="less than no joints"),
        pytest.param("max_joints:=many", "max_joints", id="a word for a number"),
        pytest.param("use_sim_time:=perhaps", "use_sim_time", id="a word for a truth"),
        pytest.param("topics:=['not a topic']", "not a topic", id="a bad topic name"),
        pytest.param("topics:=['/joint_states/']", "/joint_states/", id="a topic name with a slash at its end"),
        pytest.param("topics:=/joint_states", "topics", id="one topic that is no list"),
        pytest.param("topics:=[/joint_states, joint_states]", "joint_states", id="two names of one topic"),
    ],
)
def test_a_bad_parameter_stops_the_start(run_to_the_end: RunExporter, parameter: str, complaint: str) -> None:
    ended = run_to_the_end(ros=["-p", parameter])

    assert ended.exit_code == EXIT_USAGE, ended
    assert complaint in ended.stderr
    assert "panicked" not in ended.stderr


def test_topics_that_become_one_by_remapping_stop_the_start(run_to_the_end: RunExporter) -> None:
    ended = run_to_the_end(parameters={"topics": ["/left", "/right"]}, ros=["-r", "/left:=/right"])

    assert ended.exit_code == EXIT_USAGE, ended
    assert "/right" in ended.stderr


def test_a_topic_that_the_node_publishes_itself_stops_the_start(run_to_the_end: RunExporter) -> None:
    """Of one topic, the middleware takes endpoints of one type."""
    ended = run_to_the_end(parameters={"topics": ["/parameter_events"]})

    assert ended.exit_code == EXIT_USAGE, ended
    assert "/parameter_events" in ended.stderr
    assert "panicked" not in ended.stderr


def test_all_faults_are_told_at_once(run_to_the_end: RunExporter) -> None:
    faults = [
        "no_such_parameter:=1",
        "qos:=sometimes",
        "stale_after:=-1.0",
        "max_joints:=-5",
        "topics:=['not a topic']",
    ]

    ended = run_to_the_end(ros=[part for fault in faults for part in ("-p", fault)])

    assert ended.exit_code == EXIT_USAGE
    for name in ("no_such_parameter", "qos", "stale_after", "max_joints", "topics"):
        assert name in ended.stderr


def test_a_fault_in_a_file_stops_the_start(run_to_the_end: RunExporter, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("/**:\n  ros__parameters:\n    qos: sometimes\n")

    ended = run_to_the_end(ros=["--params-file", str(file)])

    assert ended.exit_code == EXIT_USAGE
    assert "qos" in ended.stderr


@pytest.mark.parametrize(
    "ros",
    [
        pytest.param(["--params-file", "/nowhere/parameters.yaml"], id="a file that is not there"),
        pytest.param(["-p", "stale_after"], id="a parameter without a value"),
        pytest.param(["--no-such-argument"], id="an unknown argument"),
        pytest.param(["-r", "__node:=not a name"], id="a bad node name"),
    ],
)
def test_bad_ros_arguments_stop_the_start(run_to_the_end: RunExporter, ros: list[str]) -> None:
    ended = run_to_the_end(ros=ros)

    assert ended.exit_code == EXIT_USAGE, ended
    assert ended.stderr.strip()
    assert "panicked" not in ended.stderr


def test_what_ros_refuses_hides_no_fault_of_a_flag(run_to_the_end: RunExporter) -> None:
    ended = run_to_the_end("--web.telemetry-path=metrics", ros=["--params-file", "/nowhere/parameters.yaml"])

    assert ended.exit_code == EXIT_USAGE, ended
    assert "/nowhere/parameters.yaml" in ended.stderr
    assert "--web.telemetry-path" in ended.stderr


def test_the_node_may_be_renamed(start_exporter: StartExporter, robot: Robot) -> None:
    start_exporter(ros=["-r", "__ns:=/robot1", "-r", "__node:=watcher"], parameters={"stale_after": 0.5})

    assert Parameters(robot, "/robot1/watcher").get("stale_after") == [0.5]
    watcher = ("watcher", "/robot1")
    robot.spin_until(lambda: watcher in robot.node.get_node_names_and_namespaces(), f"{watcher} in the graph")


def test_a_relative_topic_is_in_the_namespace_of_the_node(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(ros=["-r", "__ns:=/robot1"], parameters={"topics": ["joint_states"]})
    talker = robot.talker("/robot1/joint_states")
    exporter.wait_until_matched(talker)

    talker.publish(["elbow"], [1.0])

    assert exporter.wait_for_messages(1, talker.topic).positions(talker.topic) == {"elbow": 1.0}


def test_a_topic_may_be_remapped(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(ros=["-r", f"{TOPIC}:=/robot7/joint_states"])
    talker = robot.talker("/robot7/joint_states")
    exporter.wait_until_matched(talker)

    talker.publish(["elbow"], [1.0])

    assert exporter.wait_for_messages(1, talker.topic).positions(talker.topic) == {"elbow": 1.0}


def test_parameters_are_served_while_messages_flow(
    exporter: Exporter, parameters: Parameters, start_robot: Callable[[], Robot]
) -> None:
    talker = start_robot().talker(TOPIC)
    exporter.wait_until_matched(talker)
    with repeatedly(lambda: talker.publish(["elbow"], [1.0]), interval_s=0.001):
        for stale_after_s in (1.0, 2.0, 3.0):
            assert parameters.set(stale_after=stale_after_s)[0].successful
            assert parameters.get("stale_after") == [stale_after_s]


@pytest.mark.skipif(
    get_rmw_implementation_identifier() != "rmw_fastrtps_cpp", reason="another middleware waits for nobody"
)
def test_a_client_that_cannot_be_answered_does_no_harm(
    exporter: Exporter, parameters: Parameters, start_robot: Callable[[], Robot]
) -> None:
    # It wants answers to be kept for it, which no service offers: its requests arrive, and no answer can reach it.
    never_served = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client = start_robot().node.create_client(GetParameters, f"/{NODE_NAME}/get_parameters", qos_profile=never_served)
    delayed = 0

    def others_were_delayed() -> bool:
        """The sign that its requests arrive: for each one the middleware waits 0.1 s for the client to show up."""
        nonlocal delayed
        asked_at = time.monotonic()
        assert parameters.get("qos") == ["auto"]
        delayed += time.monotonic() - asked_at > 0.08
        return delayed >= 3

    with repeatedly(lambda: client.call_async(GetParameters.Request(names=["qos"])), interval_s=0.05):
        wait_until(others_were_delayed, "requests that cannot be answered")

    assert exporter.get("/readyz").status == 200
