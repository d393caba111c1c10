"""Nodes for the tests of what deploys and looks after them, and nothing left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import StartExporter
from fixtures import domain_id as domain_id
from fixtures import ros_environment as ros_environment
from fixtures import start_bridge as start_bridge
from fixtures import start_exporter as start_exporter
from fixtures import start_monitor as start_monitor
from fixtures import start_synchronizer as start_synchronizer
from looked_at import Secured, secure
from mock_kubernetes import NODES, PODS, MockKubernetes, node


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
