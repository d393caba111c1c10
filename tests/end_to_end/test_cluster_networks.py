"""A robot's pods in a cluster of Kubernetes, as docs/networking.md tells of them: services, policies, pods that die.

Two discovery servers are behind services, whose addresses outlive the servers' pods.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sensor_msgs.msg import JointState

import test_networks
from cluster import NODE_NAMES_PORTS, Policy, Services, domain_ports, server_policy, skip_without_packet_filter
from documented import NETWORKS_PAGE
from domain import reserved_domain_id
from exporter import PROGRAM as EXPORTER_PROGRAM
from exporter import TOPIC, Exporter
from hosted import (
    DISCOVERY_PORT,
    Placed,
    Programs,
    discovery_server_at,
    fast_dds_of_jazzy,
    needs_discovery_server,
    node_names,
    wait_for_more,
)
from monitor import Monitor
from network import Host, Network, network
from program import Program, end_all, run_program
from unity import RECEIVE_BYTES, Speech
from waiting import wait_until

pytestmark = [fast_dds_of_jazzy, needs_discovery_server]

# Of the range that Kubernetes mostly takes for services. The place of an address is the id of its server.
SERVICE_ADDRESSES = ("10.96.0.1", "10.96.0.2")


def settings(*discovery_servers: str) -> dict[str, str]:
    return {"ROS_DISCOVERY_SERVER": ";".join(discovery_servers), "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}


SETTINGS = settings(*(f"{address}:{DISCOVERY_PORT}" for address in SERVICE_ADDRESSES))
OF_A_MONITOR = {"ROS_SUPER_CLIENT": "TRUE"}

UNITY_PORT = 10_000

# So many joint states, at 100 Hz, that programs have announced themselves twice meanwhile (each 3 s).
UNTIL_A_NEW_SERVER_KNOWS_ALL = 800


class Servers:
    """The discovery servers of a robot, each in a pod of its own that may be replaced."""

    def __init__(self, pods: Network, programs: Programs) -> None:
        self._pods = pods
        self._programs = programs
        self._services = Services(pods)
        self._running: dict[int, Program] = {}

    def start(self, server_id: int) -> None:
        """Starts a server in a new pod, at an address that none had before."""
        pod = self._pods.pod()
        address = SERVICE_ADDRESSES[server_id]
        self._running[server_id] = self._programs.discovery_server(pod, server_id, announced=address)
        self._services.lead(address, pod)

    def end(self, server_id: int) -> None:
        """As the pods of a deployment are ended."""
        self._without_pod(server_id).end()

    def kill(self, server_id: int) -> None:
        self._without_pod(server_id).kill()

    def _without_pod(self, server_id: int) -> Program:
        self._services.lead(SERVICE_ADDRESSES[server_id], None)
        return self._running.pop(server_id)


@pytest.fixture
def pods(networks_are_allowed: None) -> Iterator[Network]:
    with network() as pods:
        yield pods


@pytest.fixture
def packet_filter(pods: Network) -> None:
    skip_without_packet_filter(pods)


@pytest.fixture
def servers(pods: Network, packet_filter: None, programs: Programs) -> Servers:
    return Servers(pods, programs)


@pytest.fixture
def programs_of_another_robot(tmp_path: Path) -> Iterator[Programs]:
    """In a ROS domain of their own."""
    directory = tmp_path / "another"
    directory.mkdir()
    with reserved_domain_id() as domain_id:
        programs = Programs(domain_id, directory)
        yield programs
        end_all(programs.started)


def test_a_discovery_server_is_replaced_behind_its_service(
    pods: Network, servers: Servers, programs: Programs
) -> None:
    servers.start(0)
    servers.start(1)
    robot_pod = pods.pod()
    exporter = programs.exporter(pods.pod(), **SETTINGS)
    programs.robot(robot_pod, **SETTINGS)
    wait_for_more(exporter)

    servers.kill(0)
    servers.start(0)
    wait_for_more(exporter, UNTIL_A_NEW_SERVER_KNOWS_ALL)
    servers.end(1)
    programs.robot(robot_pod, **SETTINGS)
    exporter.wait_for_publishers(2)
    wait_for_more(exporter)


def test_names_of_discovery_servers(pods: Network, servers: Servers, programs: Programs, tmp_path: Path) -> None:
    servers.start(0)
    pod = pods.pod()
    names = tmp_path / "hosts"
    names.write_text(f"{SERVICE_ADDRESSES[0]} server0\n")
    # Without a server of names no answer is waited for.
    pod.run(f"mount --bind '{names}' /etc/hosts && mount --bind /dev/null /etc/resolv.conf")
    exporter = programs.exporter(pod, **settings(f"server0:{DISCOVERY_PORT}"))
    misleading = settings(f"server0:{DISCOVERY_PORT}", f"nowhere.invalid:{DISCOVERY_PORT}")
    misled = programs.robot(pod, **misleading)
    wait_until(lambda: "Wrong domain name" in misled.stderr, "what Fast DDS says of it")
    programs.robot(pods.pod(), **SETTINGS)
    wait_for_more(exporter)
    assert exporter.scrape().publishers(TOPIC) == 1

    ended = run_program(Placed(pod, [str(EXPORTER_PROGRAM)], misleading), programs.domain_id)
    assert ended.exit_code == 1
    assert 'no host "nowhere.invalid"' in ended.stderr


def wait_for_nodes(monitor: Monitor, domain_id: int, *others: str) -> None:
    """Waits until joint states come, and these nodes and its own are known by their names, and no other."""
    names = {f"/{name}" for name in (*others, "monitoring_node")}
    monitor.wait_for_status("ok", TOPIC)
    monitor.scrape_until(lambda scrape: node_names(scrape, domain_id) == names, f"the nodes {names}")


def test_policies_by_port(pods: Network, packet_filter: None, programs: Programs, domain_id: int) -> None:
    """The three nodes of a pod hear their robot through policies, which drop nothing of what they need."""
    server_pod, robot_pod, nodes_pod, nameless_pod, misled_pod = (pods.pod() for _ in range(5))
    ports = domain_ports(domain_id)
    policies = [server_policy(server_pod), *(Policy(pod, ports, NODE_NAMES_PORTS) for pod in (robot_pod, nodes_pod))]
    nameless_policy = Policy(nameless_pod, ports)
    Policy(misled_pod, domain_ports(domain_id + 1), NODE_NAMES_PORTS)

    setting = settings(discovery_server_at(server_pod))
    programs.discovery_server(server_pod)
    exporter = programs.exporter(pods.container(nodes_pod), **setting)
    synchronizer = programs.synchronizer(pods.container(nodes_pod), **setting)
    monitor = programs.monitor(pods.container(nodes_pod), **setting, **OF_A_MONITOR)
    nameless = programs.monitor(nameless_pod, **setting, **OF_A_MONITOR)
    misled = programs.exporter(misled_pod, **setting)
    programs.robot(robot_pod, **setting)

    wait_for_more(exporter)
    synchronizer.scrape_until(lambda scrape: scrape.messages(TOPIC), "joint states")
    wait_for_nodes(monitor, domain_id, "demo_robot", "ros_metrics_exporter", "synchronization_node")
    assert [policy.dropped_packets() for policy in policies] == [0, 0, 0]

    nameless.wait_for_status("ok", TOPIC)
    assert node_names(nameless.scrape(), domain_id) == {"/monitoring_node"}
    assert nameless_policy.dropped_packets() > 0
    assert misled.scrape().status(TOPIC) == "no_publisher"


def start_robot_and_watchers(pods: Network, programs: Programs, server_pod: Host) -> tuple[Exporter, Monitor]:
    setting = settings(discovery_server_at(server_pod))
    programs.robot(pods.pod(), **setting)
    nodes_pod = pods.pod()
    exporter = programs.exporter(nodes_pod, **setting)
    return exporter, programs.monitor(nodes_pod, **setting, **OF_A_MONITOR)


def test_two_robots_do_not_see_each_other(
    pods: Network, programs: Programs, programs_of_another_robot: Programs
) -> None:
    """In one network, with other domains and discovery servers of their own."""
    both = (programs, programs_of_another_robot)
    watchers = []
    for of_one_robot in both:
        server_pod = pods.pod()
        of_one_robot.discovery_server(server_pod)
        watchers.append(start_robot_and_watchers(pods, of_one_robot, server_pod))
    for of_one_robot, (exporter, monitor) in zip(both, watchers, strict=True):
        wait_for_nodes(monitor, of_one_robot.domain_id, "demo_robot", "ros_metrics_exporter")
        wait_for_more(exporter)
    for exporter, monitor in watchers:
        assert exporter.scrape().publishers(TOPIC) == 1
        assert monitor.scrape().publishers(TOPIC) == 1


def test_a_shared_discovery_server_joins_domains(
    pods: Network, programs: Programs, programs_of_another_robot: Programs
) -> None:
    """Not the domain keeps robots apart that ask the same server."""
    server_pod = pods.pod()
    setting = settings(discovery_server_at(server_pod))
    programs.discovery_server(server_pod)
    exporter = programs.exporter(pods.pod(), **setting)
    programs_of_another_robot.robot(pods.pod(), **setting)
    wait_for_more(exporter)


def wait_until_unity_hears(bridge_pod: Host) -> None:
    with bridge_pod.connect(UNITY_PORT) as unity:
        unity.sendall(Speech().subscribe(TOPIC, JointState))
        received = b""
        while b"fr3_joint7" not in received:
            more = unity.recv(RECEIVE_BYTES)
            assert more, f"the bridge has ended the connection after {received!r}"
            received += more


def test_whatever_of_a_robot_is_killed_comes_back(pods: Network, servers: Servers, programs: Programs) -> None:
    """Nodes where they were, as containers that are started again; the robot in a new pod, without its server."""
    servers.start(0)
    servers.start(1)
    nodes_pod, bridge_pod = pods.pod(), pods.pod()
    start_nodes: tuple[Callable[[], Program], ...] = (
        lambda: programs.exporter(pods.container(nodes_pod), **SETTINGS),
        lambda: programs.synchronizer(pods.container(nodes_pod), **SETTINGS),
        lambda: programs.monitor(pods.container(nodes_pod), **SETTINGS, **OF_A_MONITOR),
        lambda: programs.bridge(bridge_pod, **SETTINGS),
    )
    nodes = [start() for start in start_nodes]
    robot = programs.robot(pods.pod(), **SETTINGS)

    def wait_until_all_hear() -> None:
        wait_until_unity_hears(bridge_pod)
        for node in nodes[:3]:
            before = node.scrape().messages(TOPIC)
            node.scrape_until(lambda scrape: scrape.messages(TOPIC) > before, "joint states")

    wait_until_all_hear()
    for number, start in enumerate(start_nodes):
        nodes[number].kill()
        nodes[number] = start()
        wait_until_all_hear()
    servers.kill(0)
    robot.kill()
    programs.robot(pods.pod(), **SETTINGS)
    wait_until_all_hear()


def test_the_tests_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", NETWORKS_PAGE.read_text()))
    assert named
    assert named <= globals().keys() | vars(test_networks).keys()
