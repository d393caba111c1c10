"""What the launch files start, by a mock of launch, and that the nodes take what they are told by it."""

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from documented import LAUNCH_PAGE, code, table
from mock_launch import (
    Action,
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    Node,
    OnProcessExit,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
    launched,
    load,
    text,
)
from package import EXECUTABLES, NAME, NODES, SHARE, kind_of
from ports import free_ports
from parameters import Parameters
from program import ParameterValue, parameter_arguments, starter
from robot import Robot
from twin import JointStates, Twin, TwinArguments

LAUNCH = SHARE / "launch"
COMPLETE = LAUNCH / "digital_twin_complete.launch.py"
INTEGRATION_TEST = "integration_test.launch.py"
PHYSICS = {"simulator": "physics", "robot": "physics"}
TWIN_COMMANDS = "humanoid_joint_trajectory_controller/joint_trajectory"


def started(kind: type[Action], arguments: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Of the actions of this kind that the whole system begins with, what each is made of."""
    return [action.options for action in launched(COMPLETE, arguments or {}) if type(action) is kind]


def our_nodes(**arguments: str) -> dict[str, dict[str, Any]]:
    """By their names."""
    nodes = [node for node in started(Node, arguments) if node["package"] == NAME]
    assert all(node["name"] == node["executable"] for node in nodes)
    return {node["name"]: node for node in nodes}


def told(node: Mapping[str, Any]) -> dict[str, ParameterValue]:
    """The parameters that go before those of the file."""
    file, parameters = node["parameters"]
    assert file == str(SHARE / "config" / f"{node['executable']}.yaml")
    assert Path(file).is_file()
    return parameters


def declared(launch_file: Path) -> dict[str, dict[str, Any]]:
    return {
        action.arguments[0]: action.options for action in load(launch_file) if isinstance(action, DeclareLaunchArgument)
    }


def test_the_whole_system_has_these_arguments() -> None:
    arguments = declared(COMPLETE)
    choices = {name: options["choices"] for name, options in arguments.items() if options.get("choices")}
    truths = ("use_sim_time", "headless", "gpu", "unity", "record", "monitoring", "synchronization")
    assert choices == {
        "simulator": ["gazebo", "physics", "none"],
        "robot": ["external", "physics"],
        "sync_mode": ["measure", "follow", "commands"],
        "log_level": ["debug", "info", "warn", "error"],
        **{name: ["true", "false"] for name in truths},
    }
    assert {"robot_description_path", "world", "namespace"} <= set(arguments)


@pytest.mark.parametrize("file", sorted(path.name for path in LAUNCH.glob("*.py") if path.name != INTEGRATION_TEST))
def test_every_argument_is_described(file: str) -> None:
    assert all(options["description"] for options in declared(LAUNCH / file).values())


@pytest.mark.parametrize(
    ("file", "what"), [("digital_twin_complete.launch.py", "argument of the system"), ("node.launch.py", "argument of a node")]
)
def test_the_arguments_are_documented(file: str, what: str) -> None:
    rows = {code(name)[0]: code(choices) for name, choices, _ in table(LAUNCH_PAGE, what, "choices", "meaning")}
    # What the launch files of the nodes say themselves.
    arguments = {name: options for name, options in declared(LAUNCH / file).items() if name != "executable"}
    assert rows == {name: list(options.get("choices") or []) for name, options in arguments.items()}


@pytest.mark.parametrize("node", NODES)
def test_each_node_has_a_launch_file(node: str) -> None:
    (action,) = launched(LAUNCH / f"{node}.launch.py", {})
    assert isinstance(action, Node)
    assert (action.options["package"], action.options["executable"]) == (NAME, node)
    assert told(action.options) == {"use_sim_time": False}
    assert action.options["arguments"] == []
    assert action.options["respawn"] and action.options["respawn_delay"] > 0.0


def test_parameters_by_hand_go_before_those_of_the_file() -> None:
    (action,) = launched(LAUNCH / "synchronization_node.launch.py", {"parameters": "{update_rate: 200.0}"})
    assert told(action.options) == {"use_sim_time": False, "update_rate": 200.0}
    with pytest.raises(ValueError, match="is no mapping"):
        launched(LAUNCH / "synchronization_node.launch.py", {"parameters": "update_rate"})


def test_ports_go_up_from_the_first() -> None:
    nodes = our_nodes(first_port="9000", unity_port="9999")
    addresses = {name: node["arguments"] for name, node in nodes.items()}
    assert addresses == {name: ["--web.listen-address", f":{9000 + index}"] for index, name in enumerate(NODES)}
    assert told(nodes["unity_bridge_node"])["tcp_port"] == 9999


@pytest.mark.parametrize(
    ("arguments", "left_out"),
    [
        ({"monitoring": "false"}, {"monitoring_node", "ros_metrics_exporter"}),
        ({"unity": "false"}, {"unity_bridge_node"}),
        ({"synchronization": "false"}, {"synchronization_node"}),
    ],
)
def test_nodes_that_are_not_wanted_are_left_out(arguments: dict[str, str], left_out: set[str]) -> None:
    assert set(our_nodes(**arguments)) == set(NODES) - left_out


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({}, {"output_mode": "trajectory", "command_topic": f"twin/{TWIN_COMMANDS}"}),
        ({"simulator": "physics"}, {"output_mode": "trajectory", "command_topic": "twin/joint_trajectory_commands"}),
        ({"simulator": "none"}, {"output_mode": "none"}),
        (
            {"simulator": "physics", "sync_mode": "measure"},
            {"output_mode": "none", "command_topic": "twin/joint_trajectory_commands"},
        ),
        ({"simulator": "none", "sync_mode": "commands"}, {"output_mode": "trajectory", "forward_commands": True}),
    ],
)
def test_sync_mode_says_what_the_twin_is_told(
    arguments: dict[str, str], parameters: dict[str, ParameterValue]
) -> None:
    parameters["use_sim_time"] = False
    assert told(our_nodes(**arguments)["synchronization_node"]) == parameters


def test_gazebo_comes_first_then_the_twin_then_its_controllers() -> None:
    actions = launched(COMPLETE, {"headless": "true", "gpu": "false", "world": "/a/world.sdf"})
    (gazebo,) = [action for action in actions if isinstance(action, IncludeLaunchDescription)]
    assert text(gazebo.arguments[0], {}).endswith("/ros_gz_sim/launch/gz_sim.launch.py")
    assert dict(gazebo.options["launch_arguments"]) == {
        "gz_args": "-r -s --headless-rendering /a/world.sdf",
        "on_exit_shutdown": "true",
    }
    assert [action.arguments for action in actions if isinstance(action, SetEnvironmentVariable)] == [
        ("LIBGL_ALWAYS_SOFTWARE", "1")
    ]
    (create,) = [action for action in actions if isinstance(action, Node) and action.options["executable"] == "create"]
    assert create.options["namespace"] == "twin"
    followed_by = {
        event.options["target_action"]: event.options["on_exit"]
        for action in actions
        if isinstance(action, RegisterEventHandler) and isinstance(event := action.arguments[0], OnProcessExit)
    }
    step: Node = create
    for controller in ("joint_state_broadcaster", "humanoid_joint_trajectory_controller"):
        assert step in followed_by
        (step,) = followed_by[step](exit_with(0), {})
        assert step.options["arguments"][:3] == [controller, "--controller-manager", "/twin/controller_manager"]
    assert followed_by[step](exit_with(0), {}) == []
    for on_exit in followed_by.values():
        (end,) = on_exit(exit_with(1), {})
        assert isinstance(end, Shutdown)


def exit_with(code: int) -> SimpleNamespace:
    return SimpleNamespace(returncode=code, process_name="create-1")


def test_the_twins_description_is_the_output_of_xacro() -> None:
    (publisher,) = [node for node in started(Node) if node["package"] == "robot_state_publisher"]
    (parameters,) = publisher["parameters"]
    robot = ElementTree.fromstring(text(parameters["robot_description"], {}))
    plugin = robot.find("gazebo/plugin")
    assert plugin is not None
    assert plugin.findtext("parameters") == str(SHARE / "config" / "digital_twin_controllers.yaml")
    assert plugin.findtext("ros/namespace") == "/twin"
    assert publisher["remappings"] == [("/tf", "tf"), ("/tf_static", "tf_static")]


@pytest.mark.parametrize("simulator", ["gazebo", "physics", "none"])
@pytest.mark.parametrize("use_sim_time", ["true", "false"])
def test_clock_has_one_publisher_at_most(simulator: str, use_sim_time: str) -> None:
    arguments = {"simulator": simulator, "robot": "physics", "use_sim_time": use_sim_time}
    bridges = [node for node in started(Node, arguments) if node["executable"] == "parameter_bridge"]
    clocks = [process for process in started(ExecuteProcess, arguments) if "--clock" in process["cmd"]]
    expected = {"gazebo": 1, "physics": int(use_sim_time == "true"), "none": 0}
    assert len(bridges) + len(clocks) == expected[simulator]


def test_a_robot_that_is_commanded_does_not_move_by_itself() -> None:
    def motions(**arguments: str) -> list[str]:
        commands = [process["cmd"] for process in started(ExecuteProcess, {**PHYSICS, **arguments})]
        return [command[command.index("--motion") + 1] for command in commands]

    assert motions() == ["none", "wave"]
    assert motions(sync_mode="commands") == ["none", "none"]


def test_paths_may_have_spaces(tmp_path: Path) -> None:
    config = tmp_path / "my config"
    shutil.copytree(SHARE / "config", config)
    actions = launched(COMPLETE, {"config_path": str(config), "world": "/my worlds/world.sdf"})
    (gazebo,) = [action for action in actions if isinstance(action, IncludeLaunchDescription)]
    assert dict(gazebo.options["launch_arguments"])["gz_args"] == "-r '/my worlds/world.sdf'"
    (publisher,) = [action for action in actions if action.options.get("package") == "robot_state_publisher"]
    robot = ElementTree.fromstring(text(publisher.options["parameters"][0]["robot_description"], {}))
    assert robot.findtext("gazebo/plugin/parameters") == str(config / "digital_twin_controllers.yaml")


def test_each_description_has_one_publisher() -> None:
    processes = started(ExecuteProcess, PHYSICS)
    namespaces = [process["cmd"][process["cmd"].index("--namespace") + 1] for process in processes]
    assert Counter(namespaces) == Counter({"": 1, "twin": 1})
    publishing = {
        namespace for namespace, process in zip(namespaces, processes, strict=True) if "--publish-description" in process["cmd"]
    }
    # The twin's is robot_state_publisher's.
    assert publishing == {""}


@pytest.mark.parametrize("arguments", [{}, PHYSICS], ids=["gazebo", "physics"])
def test_everything_ends_with_the_simulator(arguments: dict[str, str]) -> None:
    processes = started(ExecuteProcess, arguments)
    assert all(isinstance(process["on_exit"], Shutdown) for process in processes)
    included = started(IncludeLaunchDescription, arguments)
    assert all(dict(options["launch_arguments"])["on_exit_shutdown"] == "true" for options in included)
    assert len(processes) + len(included) == (2 if arguments else 1)


def test_recordings_go_to_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIMULATION_DATA", str(tmp_path))
    (recorder,) = started(ExecuteProcess, {"simulator": "none", "record": "true"})
    *command, folder = recorder["cmd"]
    assert command == ["ros2", "bag", "record", "-s", "mcap", "-a", "-o"]
    assert Path(folder).parent == tmp_path


@pytest.mark.parametrize("node", NODES)
def test_a_node_takes_what_launch_tells_it(node: str, domain_id: int, robot: Robot, tmp_path: Path) -> None:
    *ports, unity_port = free_ports(len(NODES) + 1)
    options = our_nodes(**PHYSICS, namespace="robot1", first_port=str(ports[0]), unity_port=str(unity_port))[node]
    parameters = told(options)
    # In the order of launch: what comes later holds.
    ros = ["--params-file", options["parameters"][0], *parameter_arguments(parameters), *options["ros_arguments"]]
    for source, target in [("__ns", f"/{options['namespace']}"), ("__node", node), *options["remappings"]]:
        ros += ["-r", f"{source}:={target}"]
    with starter(kind_of(node), EXECUTABLES / node, domain_id, tmp_path) as start:
        program = start(*options["arguments"], ros=ros)
        assert program.address.port == ports[NODES.index(node)]
        values = Parameters(robot, f"/robot1/{node}").get(*parameters)
        assert values == list(parameters.values())
        if node == "ros_metrics_exporter":
            topics = program.scrape().by("topic_name", "ros_topic_publishers")
            assert set(topics) == {"/robot1/joint_states", "/robot1/twin/joint_states"}


def test_the_robots_start_as_launched(domain_id: int, robot: Robot, tmp_path: Path) -> None:
    arguments = {**PHYSICS, "namespace": "robot1"}
    for process in started(ExecuteProcess, arguments):
        python, path, *flags = process["cmd"]
        assert python == "python3"
        split = flags.index("--ros-args")
        with starter(Twin, Path(path), domain_id, tmp_path, TwinArguments) as start:
            start(*flags[:split], ros=flags[split + 1 :])
            namespace = flags[flags.index("--namespace") + 1]
            JointStates(robot, f"/{namespace}/joint_states").wait_for(1)
