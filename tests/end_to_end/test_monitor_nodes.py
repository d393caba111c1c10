"""The nodes of a graph: there, gone, started anew, missed."""

import os
from collections.abc import Callable

import psutil
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import String
from std_srvs.srv import Trigger

from monitor import NODE_NAME, Diagnostics, Monitor, StartMonitor
from robot import Robot
from scrape import Scrape

NODE = "/driver"


def of_node(scrape: Scrape, metric: str, domain_id: int, name: str = NODE, **labels: str) -> float | None:
    return scrape.get(metric, domain=str(domain_id), robot="", node_name=name, **labels)


def wait_for_node(monitor: Monitor, domain_id: int, up: float | None) -> Scrape:
    return monitor.scrape_until(
        lambda scrape: of_node(scrape, "ros_node_up", domain_id) == up, f"ros_node_up of {NODE} is {up}"
    )


def wait_until_all_is_told(robot: Robot, driver: Robot) -> None:
    """News of a node that come after its farewell would stay in the graph for ever (rmw_dds_common)."""

    def services(of: Robot) -> object:
        is_known = driver.node.get_name() in of.node.get_node_names()
        return is_known and of.node.get_service_names_and_types_by_node(driver.node.get_name(), "/")

    robot.spin_until(lambda: services(robot) == services(driver), "all services of the driver")


def test_a_node_that_is_missed(
    start_monitor: StartMonitor, robot: Robot, start_named: Callable[[str], Robot], domain_id: int
) -> None:
    monitor = start_monitor(parameters={"mandatory_nodes": [NODE], "forget_after": 0.001})
    diagnostics = Diagnostics(robot)
    wait_for_node(monitor, domain_id, 0)
    assert diagnostics.wait_for_level(NODE, DiagnosticStatus.ERROR).message == "the node is not there"
    for restarts in range(3):
        driver = start_named("driver")
        wait_for_node(monitor, domain_id, 1)
        diagnostics.wait_for_level(NODE, DiagnosticStatus.OK)
        monitor.scrape_until(
            lambda scrape, count=restarts: of_node(scrape, "ros_node_restarts_total", domain_id) == count,
            f"{restarts} restarts",
        )
        wait_until_all_is_told(robot, driver)
        driver.close()
        wait_for_node(monitor, domain_id, 0)
        diagnostics.wait_for_level(NODE, DiagnosticStatus.ERROR)


def test_a_node_that_nobody_misses_is_forgotten(
    start_monitor: StartMonitor, start_named: Callable[[str], Robot], domain_id: int
) -> None:
    monitor = start_monitor(parameters={"forget_after": 0.001})
    driver = start_named("driver")
    wait_for_node(monitor, domain_id, 1)
    driver.close()
    scrape = wait_for_node(monitor, domain_id, None)
    assert NODE not in scrape.text


def test_two_nodes_of_one_name(
    start_monitor: StartMonitor, robot: Robot, start_named: Callable[[str], Robot], domain_id: int
) -> None:
    monitor = start_monitor(parameters={"mandatory_nodes": [NODE]})
    diagnostics = Diagnostics(robot)
    start_named("driver")
    # Seen before the other one: of two that come at once and one that stays nobody knows which was there first.
    wait_for_node(monitor, domain_id, 1)
    other = start_named("driver")
    monitor.scrape_until(
        lambda scrape: of_node(scrape, "ros_node_instances", domain_id) == 2, "two nodes of one name"
    )
    diagnostics.wait_for_level(NODE, DiagnosticStatus.WARN)
    other.close()
    scrape = monitor.scrape_until(
        lambda scrape: of_node(scrape, "ros_node_instances", domain_id) == 1, "one node of the name"
    )
    assert of_node(scrape, "ros_node_restarts_total", domain_id) == 0


def test_what_a_node_has_and_what_its_process_uses(
    start_monitor: StartMonitor, start_named: Callable[[str], Robot], domain_id: int
) -> None:
    monitor = start_monitor()
    driver = start_named("driver")
    driver.talker("/words", message_type=String)
    driver.listen(String, "/other", lambda _: None)
    driver.node.create_service(Trigger, "~/reset", lambda _, response: response)
    # rclpy adds services of its own, more or fewer by version.
    services = driver.node.get_service_names_and_types_by_node("driver", "/")
    roles = {"publisher": 2, "subscription": 1, "service": len(services)}
    monitor.scrape_until(
        lambda scrape: all(
            of_node(scrape, "ros_node_topics", domain_id, role=role) == count for role, count in roles.items()
        ),
        f"the endpoints {roles}",
    )

    def memory(scrape: Scrape, name: str) -> float | None:
        return of_node(scrape, "ros_node_process_resident_memory_bytes", domain_id, name)

    scrape = monitor.scrape_until(lambda scrape: memory(scrape, NODE), "the memory of the node's process")
    for name, process_id in ((NODE, os.getpid()), (f"/{NODE_NAME}", monitor.process.pid)):
        expected = psutil.Process(process_id)
        assert abs((memory(scrape, name) or 0) / expected.memory_info().rss - 1) < 0.2
        cpu_seconds = of_node(scrape, "ros_node_process_cpu_seconds_total", domain_id, name)
        # Sums of hundredths of a second, which differ in the last place.
        assert cpu_seconds is not None and 0 <= cpu_seconds <= sum(expected.cpu_times()[:2]) + 0.001
