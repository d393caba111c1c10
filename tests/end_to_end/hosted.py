"""Programs on the hosts of network.py, each with middleware settings of its own."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

from exporter import PROGRAM as EXPORTER_PROGRAM
from exporter import Exporter
from monitor import PROGRAM as MONITOR_PROGRAM
from monitor import Monitor
from network import Host
from program import LISTEN_FLAG, REPOSITORY, Arguments, CommandLine, Program
from web import Address, Response, request

ROBOT_PROGRAM = REPOSITORY / "simulation" / "demo_robot.py"
DISCOVERY_SERVER_PROGRAM = "fast-discovery-server"

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


def discovery_server_at(host: Host) -> str:
    """How its clients name it."""
    return f"{host.address}:11811"


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


P = TypeVar("P", bound=OnHost)


class Programs:
    """Starts programs, and knows all that it has started."""

    def __init__(self, domain_id: int, directory: Path) -> None:
        self.started: list[Program] = []
        self._domain_id = domain_id
        self._directory = directory
        # Hosts may share a network.
        self._ports = count(8000)

    def exporter(self, host: Host, user_id: int | None = None, **settings: str) -> Exporter:
        return self._start_node(ExporterOnHost, EXPORTER_PROGRAM, host, settings, user_id)

    def monitor(self, host: Host, **settings: str) -> Monitor:
        return self._start_node(MonitorOnHost, MONITOR_PROGRAM, host, settings)

    def robot(self, host: Host, **settings: str) -> Program:
        """The robot of the demo: 100 joint states a second."""
        return self._start(Placed(host, [sys.executable, str(ROBOT_PROGRAM)], settings))

    def discovery_server(self, host: Host, server_id: int = 0) -> Program:
        """The id is its place in the clients' setting."""
        address, port = discovery_server_at(host).split(":")
        flags = ["-i", str(server_id), "-l", address, "-p", port]
        return self._start(Placed(host, [DISCOVERY_SERVER_PROGRAM, *flags], {}))

    def _start(self, placed: Placed) -> Program:
        self.started.append(Program(placed, self._domain_id, self._stderr_path()))
        return self.started[-1]

    def _start_node(
        self, kind: type[P], program: Path, host: Host, settings: Settings, user_id: int | None = None
    ) -> P:
        port = next(self._ports)
        command = Arguments(program, [f"{LISTEN_FLAG}=127.0.0.1:{port}"]).command()
        node = kind(Placed(host, command, settings, user_id), self._domain_id, self._stderr_path(), port)
        self.started.append(node)
        node.wait_until_ready()
        return node

    def _stderr_path(self) -> Path:
        return self._directory / f"{len(self.started)}.stderr"
