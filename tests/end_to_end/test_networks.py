"""What to set where programs do not find each other by themselves, as docs/networking.md tells it.

Pods are in networks without multicast. Containers may share their host's network; neither shares /dev/shm.
"""

import inspect
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rclpy.utilities import get_rmw_implementation_identifier

from documented import code, table
from exporter import TOPIC, Exporter
from hosted import DISCOVERY_SERVER_PROGRAM, SETTINGS, Programs, discovery_server_at
from monitor import Monitor
from network import NOBODY, Host, container, pods, skip_where_not_allowed
from program import REPOSITORY, end_all
from scrape import Scrape
from waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.skipif(
    get_rmw_implementation_identifier() != "rmw_fastrtps_cpp" or os.environ["ROS_DISTRO"] != "jazzy",
    reason="the page tells of Fast DDS as Jazzy has it",
)

PAGE = REPOSITORY / "docs" / "networking.md"

JOINTS = {f"fr3_joint{number}" for number in range(1, 8)}

# Joint states, which come at 100 Hz. More than can have been on their way:
SOME = 50
# So many that whoever can be found is found before, and that participants have missed a server that is away (20 s).
UNTIL_THE_SERVER_IS_MISSED = 2200


@pytest.fixture(scope="module")
def networks_are_allowed() -> None:
    skip_where_not_allowed()


@pytest.fixture
def three_pods(networks_are_allowed: None) -> Iterator[list[Host]]:
    with pods(3) as hosts:
        yield hosts


@pytest.fixture
def host(networks_are_allowed: None) -> Iterator[Host]:
    with pods(1) as [host]:
        yield host


@pytest.fixture
def other_container(host: Host) -> Iterator[Host]:
    """In the network of the host."""
    with container(host) as other:
        yield other


@pytest.fixture
def programs(domain_id: int, tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(domain_id, tmp_path)
    yield programs
    end_all(programs.started)


needs_discovery_server = pytest.mark.skipif(
    shutil.which(DISCOVERY_SERVER_PROGRAM) is None, reason=f"no {DISCOVERY_SERVER_PROGRAM} here"
)


def wait_for_more(exporter: Exporter, count: int = SOME) -> None:
    """Waits for so many more joint states, and looks whether they have all joints."""
    before = exporter.scrape().messages(TOPIC)
    scrape = exporter.scrape_until(
        lambda scrape: scrape.messages(TOPIC) >= before + count, "more joint states", timeout_s=TIMEOUT_S + 0.02 * count
    )
    assert scrape.positions(TOPIC).keys() == JOINTS


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

    def nodes(scrape: Scrape) -> set[str]:
        return set(scrape.by("node_name", "ros_node_up", domain=str(domain_id), robot=""))

    def wait_for_nodes(monitor: Monitor) -> Scrape:
        return monitor.scrape_until(lambda scrape: nodes(scrape) == {"/demo_robot", "/monitoring_node"}, "the nodes")

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
    for _, settings, _, shown_by in table(PAGE, "where they run", "what to set", "why", "shown by"):
        tests = [globals()[name] for name in code(shown_by)]
        if tests:
            source = "".join(inspect.getsource(test) for test in tests)
            names = {setting.partition("=")[0] for setting in code(settings)}
            assert names == {name for name in SETTINGS if name in source}, settings
            told |= names
    assert told == set(SETTINGS) - {"ROS_LOCALHOST_ONLY"}
