"""The ROS 2 package: what `ros2 run` finds of it, and its nodes from the install tree with the files that they come with."""

import os
import subprocess
from pathlib import Path

import pytest

from package import EXECUTABLES, INSTALL, NAME, NODES, SHARE, SourcedArguments, kind_of, sourced
from parameters import Parameters
from program import parameter_arguments, starter
from robot import Robot

# The default may be taken, by a bridge of somebody else.
PORTS = {"unity_bridge_node": {"tcp_port": 0}}


def test_ros_finds_the_package_and_its_programs() -> None:
    ask = f"from ament_index_python.packages import get_package_prefix; print(get_package_prefix('{NAME}'))"
    prefix = subprocess.run(sourced("python3", "-c", ask), check=True, capture_output=True, text=True).stdout.strip()
    assert Path(prefix) == INSTALL
    programs = {path.name for path in EXECUTABLES.iterdir() if os.access(path, os.X_OK)}
    assert programs == {*NODES, "start_simulation.sh", "discovery_server_probe", "health_check", "twin_top"}


@pytest.mark.parametrize("node", NODES)
def test_a_node_starts_from_the_install_tree_with_its_file(
    node: str, domain_id: int, robot: Robot, tmp_path: Path
) -> None:
    file = ["--params-file", str(SHARE / "config" / f"{node}.yaml"), *parameter_arguments(PORTS.get(node, {}))]
    with starter(kind_of(node), EXECUTABLES / node, domain_id, tmp_path, SourcedArguments) as start:
        start(ros=[*file, "-r", f"__node:={node}"])
        assert Parameters(robot, node).get("use_sim_time") == [False]
