"""What the tests run on besides fixtures.py: robots, clients and networks, and nothing left behind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge import PROGRAM as BRIDGE_PROGRAM
from bridge import Bridge, Connect, StartBridge
from domain import by_udp_alone
from exporter import PROGRAM, TOPIC, Exporter, RunExporter, StartExporter
from fixtures import domain_id as domain_id
from fixtures import ros_environment as ros_environment
from fixtures import start_bridge as start_bridge
from fixtures import start_exporter as start_exporter
from fixtures import start_monitor as start_monitor
from fixtures import start_synchronizer as start_synchronizer
from fixtures import start_twin as start_twin
from fixtures import start_unprivileged as start_unprivileged
from hosted import Programs
from monitor import PROGRAM as MONITOR_PROGRAM
from monitor import install_mock_nvml
from network import Host, pods, skip_where_not_allowed
from program import THEIR_ENVIRONMENT, Arguments, Ended, ParameterValue, end_all, run_program
from robot import Robot, Talker
from synchronizer import PROGRAM as SYNCHRONIZER_PROGRAM
from unity import Unity


def pytest_sessionstart() -> None:
    for program in (PROGRAM, MONITOR_PROGRAM, SYNCHRONIZER_PROGRAM, BRIDGE_PROGRAM):
        if not program.is_file():
            pytest.exit(f"{program} is missing: run 'make build'", returncode=4)


@pytest.fixture
def mock_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that the test starts find two GPUs, those of mock_nvml.c."""
    install_mock_nvml(tmp_path, monkeypatch)


@pytest.fixture
def without_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that the test starts are sent messages by UDP alone.

    Whoever is stopped while it holds a lock in the shared memory keeps publishers waiting for it, and is taken for dead by
    Fast DDS after 2 s, and sent nothing from then on.
    """
    for name, value in by_udp_alone().items():
        monkeypatch.setitem(THEIR_ENVIRONMENT, name, value)


@pytest.fixture(scope="session")
def networks_are_allowed() -> None:
    skip_where_not_allowed()


@pytest.fixture
def host(networks_are_allowed: None) -> Iterator[Host]:
    """A host on a network of its own."""
    with pods(1) as [host]:
        yield host


@pytest.fixture
def programs(domain_id: int, tmp_path: Path) -> Iterator[Programs]:
    """Programs on hosts of a network."""
    programs = Programs(domain_id, tmp_path)
    yield programs
    end_all(programs.started)


@pytest.fixture
def run_to_the_end(domain_id: int) -> RunExporter:
    """Runs exporters that are expected to end by themselves."""

    def run(*flags: str, parameters: Mapping[str, ParameterValue] | None = None, ros: Sequence[str] = ()) -> Ended:
        return run_program(Arguments(PROGRAM, flags, parameters or {}, ros), domain_id)

    return run


@pytest.fixture
def start_named(domain_id: int) -> Iterator[Callable[[str], Robot]]:
    """Starts robots whose nodes have these names."""
    robots: list[Robot] = []

    def start(name: str) -> Robot:
        robots.append(Robot(domain_id, name))
        return robots[-1]

    yield start
    for robot in robots:
        robot.close()


@pytest.fixture
def start_robot(start_named: Callable[[str], Robot]) -> Callable[[], Robot]:
    """Starts robots, each with a name of its own."""
    numbers = count()
    return lambda: start_named(f"robot{next(numbers)}")


@pytest.fixture
def robot(start_robot: Callable[[], Robot]) -> Robot:
    return start_robot()


@pytest.fixture
def exporter(start_exporter: StartExporter) -> Exporter:
    """An exporter with default parameters."""
    return start_exporter()


@pytest.fixture
def talker(exporter: Exporter, robot: Robot) -> Talker:
    """A publisher on the default topic that the exporter has found."""
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    return talker


@pytest.fixture
def bridge(start_bridge: StartBridge) -> Bridge:
    """A bridge with default parameters."""
    return start_bridge()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects clients to bridges, and closes them after the test."""
    clients: list[Unity] = []

    def connect(bridge: Bridge, **more: Any) -> Unity:
        clients.append(Unity(bridge.ros_tcp, **more))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def unity(bridge: Bridge, connect: Connect) -> Unity:
    """A client of the bridge."""
    return connect(bridge)
