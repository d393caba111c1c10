"""The ROS 2 package as scripts/colcon.sh has installed it."""

from dataclasses import dataclass

from bridge import Bridge
from program import RELEASE, Arguments, Program

NAME = "digital_twin_simulation"
WORKSPACE = RELEASE.parent / "colcon"
INSTALL = WORKSPACE / "install" / NAME
EXECUTABLES = INSTALL / "lib" / NAME
SHARE = INSTALL / "share" / NAME
NODES = ("ros_metrics_exporter", "synchronization_node", "monitoring_node", "unity_bridge_node")


def kind_of(node: str) -> type[Program]:
    """What a test handles its process with."""
    return Bridge if node == "unity_bridge_node" else Program


def sourced(*command: str) -> list[str]:
    """The command in a shell in which the workspace is sourced."""
    assert WORKSPACE.is_dir(), f"{WORKSPACE} is missing: scripts/colcon.sh makes it"
    return ["bash", "-c", f'source "{WORKSPACE}/install/setup.bash" && exec "$@"', "bash", *command]


@dataclass(frozen=True)
class SourcedArguments(Arguments):
    """A command line that is run so."""

    def command(self) -> list[str]:
        return sourced(*super().command())
