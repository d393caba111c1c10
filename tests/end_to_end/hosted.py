"""Programs on the hosts of network.py, each with middleware settings of its own."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from rclpy.utilities import get_rmw_implementation_identifier

from bridge import PROGRAM as BRIDGE_PROGRAM
from bridge import Bridge
from exporter import PROGRAM as EXPORTER_PROGRAM
from exporter import TOPIC, Exporter
from monitor import PROGRAM as MONITOR_PROGRAM
from monitor import Monitor
from network import Host
from program import LISTEN_FLAG, REPOSITORY, Arguments, CommandLine, Program
from scrape import Scrape
from synchronizer import PROGRAM as SYNCHRONIZER_PROGRAM
from synchronizer import Synchronizer
from waiting import TIMEOUT_S
from web import Address, Response, request

ROBOT_PROGRAM = REPOSITORY / "simulation" / "demo_robot.py"
DISCOVERY_SERVER_PROGRAM = "fast-discovery-server"
DISCOVERY_PORT = 11811

# What decides who is found and how messages travel. A program has those that a test gives it, and no other.
SETTINGS = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_DISCOVERY_SERVER",
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
    "ROS_SUPER_CLIENT",
)

Settings = Mapping[str, str]

fast_dds_of_jazzy = pytest.mark.skipif(
    get_rmw_implementation_identifier() != "rmw_fastrtps_cpp" or os.environ["ROS_DISTRO"] != "jazzy",
    reason="docs/networking.md tells of Fast DDS as Jazzy has it",
)
needs_discovery_server = pytest.mark.skipif(
    shutil.which(DISCOVERY_SERVER_PROGRAM) is None, reason=f"no {DISCOVERY_SERVER_PROGRAM} here"
)

JOINTS = {f"fr3_joint{number}" for number in range(1, 8)}
# Joint states, which come at 100 Hz. More than can have been on their way:
SOME = 50


def wait_for_more(exporter: Exporter, count: int = SOME) -> None:
    """Waits for so many more joint states, and looks whether they have all joints."""
    before = exporter.scrape().messages(TOPIC)
    scrape = exporter.scrape_until(
        lambda scrape: scrape.messages(TOPIC) >= before + count, "more joint states", timeout_s=TIMEOUT_S + 0.02 * count
    )
    assert scrape.positions(TOPIC).keys() == JOINTS


def node_names(scrape: Scrape, domain_id: int) -> set[str]:
    """The nodes that a monitoring node sees."""
    return set(scrape.by("node_name", "ros_node_up", domain=str(domain_id), robot=""))


def discovery_server_at(host: Host) -> str:
    """How its clients name it."""
    return f"{host.address}:{DISCOVERY_PORT}"


@dataclass(frozen=True)
class Placed:
    """The command line of a program on a host."""

    host: Host
    program: Sequence[str]
    settings: Settings
    user_id: int | None = None

    def command(self) -> list[str]:
        assert self.settings.keys() <= set(SETTINGS), self.settings
        return self.host.command(self.program, {**dict.fromkeys(SETTINGS), **self.settings}, self.user_id)


class PlacedCommand(CommandLine, Protocol):
    """A command line that has a host."""

    @property
    def host(self) -> Host: ...


class OnHost(Program):
    """A program that is asked through the network of its host."""

    def __init__(self, placed: PlacedCommand, domain_id: int, stderr_path: Path, port: int) -> None:
        super().__init__(placed, domain_id, stderr_path)
        self._host = placed.host
        self._port = port

    def get(self, path: str, *, headers: Mapping[str, str] | None = None, tls: None = None) -> Response:
        return request(self.address, path, headers=headers, via=self._host.connect(self._port))

    def _find_addresses(self, count: int) -> bool:
        self.assert_runs()
        try:
            self._host.connect(self._port).close()
        except ConnectionRefusedError:
            return False
        self._addresses = [Address("127.0.0.1", self._port)]
        return True


class ExporterOnHost(OnHost, Exporter):
    """An exporter on a host."""


class MonitorOnHost(OnHost, Monitor):
    """A monitoring node on a host."""


class SynchronizerOnHost(OnHost, Synchronizer):
    """A synchronization node on a host."""


class BridgeOnHost(OnHost, Bridge):
    """A Unity bridge on a host. Clients find it at the port that it has by default."""

    address = Program.address


P = TypeVar("P", bound=OnHost)


class Programs:
    """Starts programs, and knows all that it has started."""

    def __init__(self, domain_id: int, directory: Path) -> None:
        self.started: list[Program] = []
        self.domain_id = domain_id
        self._directory = directory
        # Hosts may share a network.
        self._ports = count(8000)

    def exporter(self, host: Host, user_id: int | None = None, **settings: str) -> Exporter:
        return self._start_node(ExporterOnHost, EXPORTER_PROGRAM, host, settings, user_id)

    def monitor(self, host: Host, **settings: str) -> Monitor:
        return self._start_node(MonitorOnHost, MONITOR_PROGRAM, host, settings)

    def synchronizer(self, host: Host, **settings: str) -> Synchronizer:
        return self._start_node(SynchronizerOnHost, SYNCHRONIZER_PROGRAM, host, settings)

    def bridge(self, host: Host, **settings: str) -> Bridge:
        return self._start_node(BridgeOnHost, BRIDGE_PROGRAM, host, settings)

    def robot(self, host: Host, **settings: str) -> Program:
        """The robot of the demo: 100 joint states a second."""
        return self._start(Placed(host, [sys.executable, str(ROBOT_PROGRAM)], settings))

    def discovery_server(self, host: Host, server_id: int = 0, announced: str | None = None) -> Program:
        """The id is its place in the clients' setting. It tells them where it is: on its host, or as announced."""
        flags = ["-i", str(server_id), "-l", announced or host.address, "-p", str(DISCOVERY_PORT)]
        return self._start(Placed(host, [DISCOVERY_SERVER_PROGRAM, *flags], {}))

    def _start(self, placed: Placed) -> Program:
        self.started.append(Program(placed, self.domain_id, self._stderr_path()))
        return self.started[-1]

    def _start_node(
        self, kind: type[P], program: Path, host: Host, settings: Settings, user_id: int | None = None
    ) -> P:
        port = next(self._ports)
        command = Arguments(program, [f"{LISTEN_FLAG}=127.0.0.1:{port}"]).command()
        node = kind(Placed(host, command, settings, user_id), self.domain_id, self._stderr_path(), port)
        self.started.append(node)
        node.wait_until_ready()
        return node

    def _stderr_path(self) -> Path:
        return self._directory / f"{len(self.started)}.stderr"
