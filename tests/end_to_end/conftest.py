"""What the tests run on: a ROS domain of their own, exporters and robots in it, and nothing left behind."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge import PROGRAM as BRIDGE_PROGRAM
from bridge import Bridge, BridgeArguments, Connect, StartBridge
from domain import keep_to_this_host, reserved_domain_id
from exporter import PROGRAM, TOPIC, Exporter, RunExporter, StartExporter
from hosted import Programs
from monitor import PROGRAM as MONITOR_PROGRAM
from monitor import NVML, Monitor, StartMonitor
from network import skip_where_not_allowed
from program import Arguments, Ended, ParameterValue, end_all, run_program, starter
from robot import Robot, Talker
from synchronizer import PROGRAM as SYNCHRONIZER_PROGRAM
from synchronizer import StartSynchronizer, Synchronizer, Unprivileged
from twin import PROGRAM as TWIN_PROGRAM
from twin import StartTwin, Twin, TwinArguments
from unity import Unity


def pytest_sessionstart() -> None:
    for program in (PROGRAM, MONITOR_PROGRAM, SYNCHRONIZER_PROGRAM, BRIDGE_PROGRAM):
        if not program.is_file():
            pytest.exit(f"{program} is missing: run 'make build'", returncode=4)


@pytest.fixture(scope="session", autouse=True)
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    keep_to_this_host(tmp_path_factory.mktemp("ros-log"))


@pytest.fixture
def domain_id() -> Iterator[int]:
    with reserved_domain_id() as domain_id:
        yield domain_id


@pytest.fixture
def start_exporter(domain_id: int, tmp_path: Path) -> Iterator[StartExporter]:
    """Starts exporters, and ends those that still run after the test: each has to end well."""
    with starter(Exporter, PROGRAM, domain_id, tmp_path) as start:
        yield start


@pytest.fixture
def start_monitor(domain_id: int, tmp_path: Path) -> Iterator[StartMonitor]:
    """The same for monitors."""
    with starter(Monitor, MONITOR_PROGRAM, domain_id, tmp_path) as start:
        yield start


@pytest.fixture
def start_synchronizer(domain_id: int, tmp_path: Path) -> Iterator[StartSynchronizer]:
    """The same for synchronizers."""
    with starter(Synchronizer, SYNCHRONIZER_PROGRAM, domain_id, tmp_path) as start:
        yield start


@pytest.fixture
def start_unprivileged(domain_id: int, tmp_path: Path) -> Iterator[StartSynchronizer]:
    """The same for synchronizers that may have no real-time priority."""
    with starter(Synchronizer, SYNCHRONIZER_PROGRAM, domain_id, tmp_path, Unprivileged) as start:
        yield start


@pytest.fixture
def start_bridge(domain_id: int, tmp_path: Path) -> Iterator[StartBridge]:
    """The same for bridges."""
    with starter(Bridge, BRIDGE_PROGRAM, domain_id, tmp_path, BridgeArguments) as start:
        yield start


@pytest.fixture
def start_twin(domain_id: int, tmp_path: Path) -> Iterator[StartTwin]:
    """The same for robots in the physics."""
    with starter(Twin, TWIN_PROGRAM, domain_id, tmp_path, TwinArguments) as start:
        yield start


@pytest.fixture
def mock_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that the test starts find two GPUs, those of mock_nvml.c."""
    library = tmp_path / "mock" / NVML
    library.parent.mkdir()
    source = Path(__file__).with_name("mock_nvml.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent), prepend=os.pathsep)


@pytest.fixture(scope="session")
def networks_are_allowed() -> None:
    skip_where_not_allowed()


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
