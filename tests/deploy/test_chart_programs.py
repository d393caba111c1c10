"""The programs of the pods: they take what the chart tells them, and are told what the launch files tell them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import network
from chart import REPOSITORY, Object, named, pod, pods, render, values_of
from hosted import fast_dds_of_jazzy, needs_discovery_server
from kubelet import Container, Running, service_variable
from mock_launch import Node, launched
from program import end_all
from waiting import wait_until

LAUNCH = REPOSITORY / "launch" / "digital_twin_complete.launch.py"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

# All that runs without Gazebo; in a namespace, so that a topic that is not put into it shows.
DOMAIN_ID = 42
VALUES: Mapping[str, Any] = {
    "robots": [
        {
            "name": "arm",
            "domainId": DOMAIN_ID,
            "rosNamespace": "cell1/arm",
            "robot": "physics",
            "simulator": {"type": "physics"},
            # Of busy machines: what is to be seen is that it follows, not how well.
            "synchronization": {"parameters": {"max_latency": 1.0, "state_threshold": 0.5, "update_rate": 50}},
        }
    ]
}


@pytest.fixture
def hosts() -> Iterator[list[network.Host]]:
    """One for each pod of VALUES."""
    network.skip_where_not_allowed()
    with network.pods(len(list(pods(render(VALUES))))) as hosts:
        yield hosts


@pytest.fixture
def running(hosts: Sequence[network.Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Running]]:
    """Every container of VALUES, by pod and name, started at once as a cluster does."""
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "ros-log"))
    found = render(VALUES)
    placed = list(zip(pods(found), hosts, strict=True))
    addresses = {service_variable(one.owner["metadata"]["name"]): host.address for one, host in placed}
    started: dict[str, Running] = {}
    try:
        for one, host in placed:
            for spec in one.containers:
                folder = tmp_path / one.owner["metadata"]["name"] / spec["name"]
                container = Container(one, spec["name"], host, folder, addresses)
                container.mount(found)
                started[f"{one.owner['metadata']['name']}/{spec['name']}"] = Running(container, DOMAIN_ID)
        yield started
    finally:
        end_all(list(started.values()))


@fast_dds_of_jazzy
@needs_discovery_server
def test_a_whole_robot_becomes_ready_and_its_twin_follows(running: dict[str, Running]) -> None:
    for name, one in running.items():
        for probe in PROBES:
            wait_until(lambda: one.passes(probe), f"{probe} of {name}", details=lambda: one.stderr)
    running["digital-twin-core-arm/ros-metrics-exporter"].wait_until_told(TOPICS_OF_ROBOT_AND_TWIN)
    running["digital-twin-core-arm/synchronization-node"].wait_until_told([("ros_twin_state", {"state": "SYNCED"})])
    # It is told of everybody's topics, and of the names of their nodes.
    running["digital-twin-core-arm/monitoring-node"].wait_until_told(SEEN_BY_WHO_WATCHES)
    running["unity-bridge-arm/unity-bridge-node"].container.host.connect(10000).close()


TOPICS_OF_ROBOT_AND_TWIN = [
    ("ros_topic_status", {"topic_name": f"/cell1/arm/{topic}", "status": "ok"})
    for topic in ("joint_states", "twin/joint_states")
]
OF_THE_DOMAIN = {"domain": str(DOMAIN_ID), "robot": ""}
SEEN_BY_WHO_WATCHES = [
    ("ros_topic_status", {"topic_name": "/cell1/arm/joint_states", "status": "ok", **OF_THE_DOMAIN}),
    *(
        ("ros_node_up", {"node_name": f"/cell1/arm/{node}", **OF_THE_DOMAIN})
        for node in ("physics_twin", "twin/physics_twin", "unity_bridge_node")
    ),
]


# --- What the nodes are told -----------------------------------------------------------------------------------------

NODES = ("ros_metrics_exporter", "synchronization_node", "monitoring_node")
MODES = ("", "measure", "follow", "commands")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("simulator", ["gazebo", "physics", "none"])
def test_a_node_is_told_what_the_launch_file_tells_it(simulator: str, mode: str) -> None:
    arguments = {"simulator": simulator, "namespace": "cell1", **({"sync_mode": mode} if mode else {})}
    robot = {"name": "a", "rosNamespace": "cell1", "simulator": {"type": simulator}, "synchronization": {"mode": mode}}
    found = render({"robots": [robot]})
    nodes = {action.options["executable"]: action.options for action in launched(LAUNCH, arguments) if type(action) is Node}
    for name in NODES:
        _, parameters = nodes[name]["parameters"]
        assert parameters_of(name, found) == parameters, name
        core = pod("digital-twin-core-a", found)
        container = core.container(name.replace("_", "-"))
        given = pairs(container["args"])
        remappings = [f"{old}:={new}" for old, new in nodes[name]["remappings"]]
        assert given["-r"] == [f"__node:={name}", "__ns:=/cell1", *remappings]
        # The last one goes before the others.
        assert [Path(file).parent.name for file in given["--params-file"]] == ["config", "digital-twin"]


def parameters_of(node: str, found: Sequence[Object]) -> Any:
    text = named("ConfigMap", "digital-twin-config-a", found)["data"][f"{node}.yaml"]
    (file,) = yaml.safe_load(text).values()
    return file["ros__parameters"]


def pairs(arguments: Sequence[str]) -> dict[str, list[str]]:
    """The words after each option of ROS."""
    after: dict[str, list[str]] = {}
    for option, word in zip(arguments, arguments[1:], strict=False):
        after.setdefault(option, []).append(word)
    return after


@pytest.mark.parametrize(("mode", "motion"), [("follow", "wave"), ("measure", "wave"), ("commands", "none")])
def test_a_robot_that_takes_commands_does_not_move_by_itself(mode: str, motion: str) -> None:
    found = render({"robots": [{"name": "a", "robot": "physics", "synchronization": {"mode": mode}}]})
    assert f"--motion={motion}" in pod("digital-twin-robot-a", found).containers[0]["args"]


def test_only_the_twin_tells_the_time() -> None:
    robot = {"name": "a", "robot": "physics", "simulator": {"type": "physics"}, "useSimTime": True}
    found = render({"robots": [robot]})
    flags = {name: pod(f"digital-twin-{name}-a", found).containers[0]["args"] for name in ("robot", "simulation")}
    tells = {name for name, its in flags.items() if "--clock" in its}
    assert tells == {"simulation"}
    assert parameters_of("monitoring_node", found)["use_sim_time"] is True


def test_differences_are_flags_of_the_physics() -> None:
    differences = {"frictionScale": 2, "commandDelay": 0.08, "rate": 200, "seed": 12_345_678}
    found = render({"robots": [{"name": "a", "simulator": {"type": "physics", "physics": differences}}]})
    arguments = pod("digital-twin-simulation-a", found).containers[0]["args"]
    assert {"--friction-scale=2", "--command-delay=0.08", "--rate=200", "--seed=12345678", "--namespace=twin"} <= set(arguments)


@pytest.mark.parametrize("namespace", ["", "cell1"])
def test_ros2_launch_takes_every_argument_of_gazebo(namespace: str) -> None:
    """It refuses one without a value."""
    found = render({"robots": [{"name": "a", "rosNamespace": namespace}]})
    for argument in pod("digital-twin-simulation-a", found).containers[0]["args"]:
        assert re.fullmatch(r"\w+:=.+", argument), argument


def test_gazebos_image_finds_the_libraries_that_gke_mounts() -> None:
    """No runtime is asked for on GKE that would make them known."""
    robot = values_of("gke")["robotDefaults"]
    assert robot["simulator"]["gpu"]["runtimeClassName"] == ""
    stage = (REPOSITORY / "docker" / "Dockerfile").read_text().partition(" AS simulation\n")[2]
    assert re.search(r"\bLD_LIBRARY_PATH=\$\{LD_LIBRARY_PATH\}:/usr/local/nvidia/lib64\b", stage)


def test_gazebo_is_launched_without_what_is_in_other_pods() -> None:
    container = pod("digital-twin-simulation-a", render({"robots": [{"name": "a", "rosNamespace": "cell1"}]})).containers[0]
    assert container["command"] == ["ros2", "launch", "digital_twin_simulation", "digital_twin_complete.launch.py"]
    arguments = dict(argument.split(":=") for argument in container["args"])
    actions = launched(LAUNCH, arguments)
    nodes = {action.options["package"]: action.options for action in actions if type(action) is Node}
    assert "digital_twin_simulation" not in nodes
    assert nodes["robot_state_publisher"]["namespace"] == "cell1/twin"
