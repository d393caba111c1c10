"""A ROS domain of the test's own, and programs in it that end with it. What tests/deploy has too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import PROGRAM as BRIDGE_PROGRAM
from bridge import Bridge, BridgeArguments, StartBridge
from domain import keep_to_this_host, reserved_domain_id
from exporter import PROGRAM as EXPORTER_PROGRAM
from exporter import Exporter, StartExporter
from monitor import PROGRAM as MONITOR_PROGRAM
from monitor import Monitor, StartMonitor
from program import starter
from synchronizer import PROGRAM as SYNCHRONIZER_PROGRAM
from synchronizer import StartSynchronizer, Synchronizer, Unprivileged
from twin import PROGRAM as TWIN_PROGRAM
from twin import StartTwin, Twin, TwinArguments


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
    with starter(Exporter, EXPORTER_PROGRAM, domain_id, tmp_path) as start:
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
