"""Nodes for the tests of what deploys and looks after them, and nothing left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain import keep_to_this_host, reserved_domain_id
from exporter import PROGRAM as EXPORTER_PROGRAM
from exporter import Exporter, StartExporter
from looked_at import Secured, secure
from mock_kubernetes import NODES, PODS, MockKubernetes, node
from program import starter


@pytest.fixture(scope="session", autouse=True)
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    keep_to_this_host(tmp_path_factory.mktemp("ros-log"))


@pytest.fixture
def domain_id() -> Iterator[int]:
    with reserved_domain_id() as domain_id:
        yield domain_id


@pytest.fixture
def start_exporter(domain_id: int, tmp_path: Path) -> Iterator[StartExporter]:
    with starter(Exporter, EXPORTER_PROGRAM, domain_id, tmp_path) as start:
        yield start


@pytest.fixture
def secured(start_exporter: StartExporter, tmp_path: Path) -> Secured:
    return secure(start_exporter, tmp_path)


@pytest.fixture
def kubernetes() -> Iterator[MockKubernetes]:
    """A cluster with one node and nothing else."""
    with MockKubernetes() as kubernetes:
        kubernetes.add(NODES, node("worker"))
        kubernetes.add(PODS)
        yield kubernetes
