"""What to set where programs do not find each other by themselves, as docs/networking.md tells it.

Pods are in networks without multicast. Containers may share their host's network; neither shares /dev/shm.
"""

import inspect
import os
from collections.abc import Iterator

import pytest

from documented import NETWORKS_PAGE, code, table
from exporter import TOPIC, Exporter
from hosted import (
    SETTINGS,
    Programs,
    discovery_server_at,
    fast_dds_of_jazzy,
    needs_discovery_server,
    node_names,
    wait_for_more,
)
from monitor import Monitor
from network import NOBODY, Host, container, pods
from scrape import Scrape
from waiting import wait_until

pytestmark = fast_dds_of_jazzy

# So many that whoever can be found is found before, and that participants have missed a server that is away (20 s).
UNTIL_THE_SERVER_IS_MISSED = 2200


@pytest.fixture
def three_pods(networks_are_allowed: None) -> Iterator[list[Host]]:
    with pods(3) as hosts:
        yield hosts


@pytest.fixture
def other_container(host: Host) -> Iterator[Host]:
    """In the network of the host."""
    with container(host) as other:
        yield other


def wait_for_multicast(host: Host) -> None:
    """Waits until programs there have called for others once more."""
    before = host.multicast_sent()
    wait_until(lambda: host.multicast_sent() > before, "programs call by multicast")


def test_without_a_setting_pods_do_not_find_each_other(three_pods: list[Host], programs: Programs) -> None:
    robot_pod, exporter_pod, _ = three_pods
    exporter = programs.exporter(exporter_pod)
    programs.robot(robot_pod)
    wait_for_multicast(robot_pod)
    for pod in (robot_pod, exporter_pod, robot_pod):
        wait_for_multicast(pod)
    assert exporter.scrape().status(TOPIC) == "no_publisher"
    programs.robot(exporter_pod)
    wait_for_more(exporter)


def test_an_exporter_that_names_its_robot(three_pods: list[Host], programs: Programs) -> None:
    robot_pod, exporter_pod, _ = three_pods
    exporter = programs.exporter(exporter_pod, ROS_STATIC_PEERS=robot_pod.address)
    programs.robot(robot_pod)
    wait_for_more(exporter)


def test_a_robot_that_names_its_exporter(three_pods: list[Host], programs: Programs) -> None:
    robot_pod, exporter_pod, _ = three_pods
    exporter = programs.exporter(exporter_pod, ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET")
    programs.robot(robot_pod, ROS_STATIC_PEERS=exporter_pod.address, ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET")
    wait_for_more(exporter)


def test_more_programs_than_four_at_one_static_peer(three_pods: list[Host], programs: Programs) -> None:
    robot_pod, exporter_pod, _ = three_pods
    for _ in range(5):
        programs.robot(robot_pod)
    exporter = programs.exporter(
        exporter_pod, ROS_STATIC_PEERS=robot_pod.address, ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST"
    )
    exporter.wait_for_publishers(5)


@needs_discovery_server
def test_discovery_server(three_pods: list[Host], programs: Programs) -> None:
    robot_pod, exporter_pod, server_pod = three_pods
    server = discovery_server_at(server_pod)
    exporter = programs.exporter(exporter_pod, ROS_DISCOVERY_SERVER=server)
    programs.robot(robot_pod, ROS_DISCOVERY_SERVER=server)
    programs.discovery_server(server_pod)
    wait_for_more(exporter)


@needs_discovery_server
def test_who_watches_the_graph_is_a_super_client(
    three_pods: list[Host], programs: Programs, domain_id: int
) -> None:
    robot_pod, monitor_pod, server_pod = three_pods
    server = discovery_server_at(server_pod)
    programs.discovery_server(server_pod)
    programs.robot(robot_pod, ROS_DISCOVERY_SERVER=server)
    client = programs.monitor(monitor_pod, ROS_DISCOVERY_SERVER=server)
    super_client = programs.monitor(monitor_pod, ROS_DISCOVERY_SERVER=server, ROS_SUPER_CLIENT="TRUE")

    def wait_for_nodes(monitor: Monitor) -> Scrape:
        nodes = {"/demo_robot", "/monitoring_node"}
        return monitor.scrape_until(lambda scrape: node_names(scrape, domain_id) == nodes, "the nodes")

    super_client.wait_for_status("ok", TOPIC)
    wait_for_nodes(super_client)
    assert not client.knows(wait_for_nodes(client), TOPIC)


@needs_discovery_server
def test_the_discovery_server_dies_and_returns(three_pods: list[Host], programs: Programs) -> None:
    robot_pod, exporter_pod, server_pod = three_pods
    server = discovery_server_at(server_pod)
    first_server = programs.discovery_server(server_pod)
    programs.robot(robot_pod, ROS_DISCOVERY_SERVER=server)
    leaver = programs.robot(robot_pod, ROS_DISCOVERY_SERVER=server)
    exporter = programs.exporter(exporter_pod, ROS_DISCOVERY_SERVER=server)
    exporter.wait_for_publishers(2)

    first_server.kill()
    leaver.end()
    newcomer = programs.exporter(server_pod, ROS_DISCOVERY_SERVER=server)
    wait_for_more(exporter, UNTIL_THE_SERVER_IS_MISSED)
    assert newcomer.scrape().status(TOPIC) == "no_publisher"
    assert exporter.scrape().publishers(TOPIC) == 2

    programs.discovery_server(server_pod)
    wait_for_more(newcomer)
    assert newcomer.scrape().publishers(TOPIC) == 1
    programs.robot(robot_pod, ROS_DISCOVERY_SERVER=server)
    exporter.wait_for_publishers(3)
    assert exporter.scrape().lost(TOPIC) == 0


@needs_discovery_server
def test_one_of_two_discovery_servers_dies(three_pods: list[Host], programs: Programs) -> None:
    robot_pod, exporter_pod, server_pod = three_pods
    servers = f"{discovery_server_at(server_pod)};{discovery_server_at(exporter_pod)}"
    first_server = programs.discovery_server(server_pod)
    programs.discovery_server(exporter_pod, server_id=1)
    programs.robot(robot_pod, ROS_DISCOVERY_SERVER=servers)
    exporter = programs.exporter(exporter_pod, ROS_DISCOVERY_SERVER=servers)
    wait_for_more(exporter)

    first_server.kill()
    leaver = programs.robot(robot_pod, ROS_DISCOVERY_SERVER=servers)
    exporter.wait_for_publishers(2)
    leaver.end()
    exporter.wait_for_publishers(1)
    wait_for_more(exporter)


def assert_found_but_not_heard(exporter: Exporter, neighbour: Exporter) -> None:
    """The exporter knows the publisher, and has nothing of what its neighbour gets meanwhile."""
    exporter.wait_for_publishers(1)
    wait_for_more(neighbour)
    assert exporter.scrape().status(TOPIC) == "silent"


def test_a_container_in_the_network_of_another(host: Host, other_container: Host, programs: Programs) -> None:
    neighbour = programs.exporter(host)
    exporter = programs.exporter(other_container)
    udp_exporter = programs.exporter(other_container, FASTDDS_BUILTIN_TRANSPORTS="UDPv4")
    programs.robot(host)
    assert_found_but_not_heard(exporter, neighbour)
    wait_for_more(udp_exporter)


def test_a_robot_without_shared_memory(host: Host, other_container: Host, programs: Programs) -> None:
    exporter = programs.exporter(other_container)
    programs.robot(host, FASTDDS_BUILTIN_TRANSPORTS="UDPv4")
    wait_for_more(exporter)


def test_the_range_localhost_overrides_the_choice_of_transports(
    host: Host, other_container: Host, programs: Programs
) -> None:
    settings = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
    neighbour = programs.exporter(host, **settings)
    exporter = programs.exporter(other_container, **settings)
    programs.robot(host, **settings)
    assert_found_but_not_heard(exporter, neighbour)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start programs as another user")
def test_programs_of_two_users(host: Host, programs: Programs) -> None:
    neighbour = programs.exporter(host)
    exporter = programs.exporter(host, NOBODY)
    udp_exporter = programs.exporter(host, NOBODY, FASTDDS_BUILTIN_TRANSPORTS="UDPv4")
    programs.robot(host)
    assert_found_but_not_heard(exporter, neighbour)
    wait_for_more(udp_exporter)


def test_the_page_tells_what_the_tests_set() -> None:
    """Each row that names tests has settings that these tests give, and there is no other setting."""
    told: set[str] = set()
    for _, settings, _, shown_by in table(NETWORKS_PAGE, "where they run", "what to set", "why", "shown by"):
        tests = [globals()[name] for name in code(shown_by)]
        if tests:
            source = "".join(inspect.getsource(test) for test in tests)
            names = {setting.partition("=")[0] for setting in code(settings)}
            assert names == {name for name in SETTINGS if name in source}, settings
            told |= names
    assert told == set(SETTINGS) - {"ROS_LOCALHOST_ONLY"}
