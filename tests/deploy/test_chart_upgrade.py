"""An upgrade that changes both discovery servers of a robot replaces one after the other, and nobody notices."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chart import Object, pod, render, sleep_before_the_end_s
from cluster import Services, skip_without_packet_filter
from exporter import TOPIC
from hosted import SOME, fast_dds_of_jazzy, needs_discovery_server
from kubelet import Container, Running, service_variable
from network import Network, network, skip_where_not_allowed
from program import end_all
from scrape import Scrape
from waiting import wait_until

pytestmark = [fast_dds_of_jazzy, needs_discovery_server]

DOMAIN_ID = 42
VALUES: Mapping[str, Any] = {
    "robots": [{"name": "arm", "domainId": DOMAIN_ID, "robot": "physics", "simulator": {"type": "none"}}]
}
SERVERS = ("digital-twin-discovery-arm-0", "digital-twin-discovery-arm-1")
# Of the range that Kubernetes mostly takes for services.
ADDRESSES = dict(zip(SERVERS, ("10.96.0.1", "10.96.0.2"), strict=True))
VARIABLES = {service_variable(name): address for name, address in ADDRESSES.items()}

ROBOT = ("digital-twin-robot-arm", "physics")
EXPORTER = ("digital-twin-core-arm", "ros-metrics-exporter")
MONITOR = ("digital-twin-core-arm", "monitoring-node")
OF_THE_DOMAIN = {"domain": str(DOMAIN_ID), "robot": ""}

# Clients announce themselves each 3 s, and one of these may be lost.
UNTIL_ALL_ARE_KNOWN_S = 6.0


class Cluster:
    """Containers of the chart in pods of their own; behind a Service, if one leads to them."""

    def __init__(self, pods: Network, directory: Path) -> None:
        self.running: list[Running] = []
        self._pods = pods
        self._services = Services(pods)
        self._directory = directory
        self._objects: Sequence[Object] = render(VALUES)

    def start(self, owner: str, name: str) -> Running:
        """In a new pod, at an address that none had before."""
        host = self._pods.pod()
        folder = self._directory / str(len(self.running))
        container = Container(pod(owner, self._objects), name, host, folder, VARIABLES)
        container.mount(self._objects)
        if address := ADDRESSES.get(owner):
            self._services.lead(address, host)
        one = Running(container, DOMAIN_ID)
        self.running.append(one)
        wait_until(lambda: one.passes("readinessProbe"), f"{name} is ready", details=lambda: one.stderr)
        return one

    def replace(self, server: Running) -> tuple[float, float]:
        """As a Deployment that recreates; since when the old one is no more, and since when the new one is ready."""
        owner = server.container.pod.owner["metadata"]["name"]
        time.sleep(sleep_before_the_end_s(server.container.spec))
        server.end()
        ended_s = time.monotonic()
        self.start(owner, "discovery-server")
        return ended_s, time.monotonic()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    skip_where_not_allowed()
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "ros-log"))
    with network() as pods:
        skip_without_packet_filter(pods)
        cluster = Cluster(pods, tmp_path)
        try:
            yield cluster
        finally:
            end_all(cluster.running)


def test_both_discovery_servers_are_replaced_and_nobody_notices(cluster: Cluster) -> None:
    servers = [cluster.start(name, "discovery-server") for name in SERVERS]
    cluster.start(*ROBOT)
    exporter = cluster.start(*EXPORTER)
    wait_for_more(exporter)

    # Helm changes both Deployments at once.
    with ThreadPoolExecutor(len(servers)) as controllers:
        (_, first_is_back_s), (second_ended_s, _) = controllers.map(cluster.replace, servers)
    assert second_ended_s - first_is_back_s > UNTIL_ALL_ARE_KNOWN_S
    assert wait_for_more(exporter).publishers(TOPIC) == 1

    newcomer = cluster.start(*MONITOR)
    newcomer.wait_until_told(
        [
            ("ros_node_up", {"node_name": "/physics_twin", **OF_THE_DOMAIN}),
            ("ros_node_up", {"node_name": "/ros_metrics_exporter", **OF_THE_DOMAIN}),
            ("ros_topic_status", {"topic_name": TOPIC, "status": "ok", **OF_THE_DOMAIN}),
        ]
    )


def wait_for_more(exporter: Running) -> Scrape:
    """Until so many joint states have come that they cannot all have been on their way."""
    before = exporter.scrape().messages(TOPIC)
    return exporter.scrape_until(lambda scrape: scrape.messages(TOPIC) > before + SOME, "more joint states")
