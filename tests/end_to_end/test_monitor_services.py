"""Services that are asked: how long they take, that they do not answer, that nobody offers them."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from std_srvs.srv import Empty, SetBool, Trigger

from monitor import Monitor, StartMonitor
from robot import Robot
from scrape import Scrape

SERVICE = "/driver/asked"


@pytest.fixture
def start_asking(start_monitor: StartMonitor) -> Callable[..., Monitor]:
    def start(*services: str, timeout: float = 5.0) -> Monitor:
        parameters = {"services": list(services), "service_period": 0.25, "service_timeout": timeout}
        return start_monitor(parameters=parameters)

    return start


@pytest.fixture
def of_service(domain_id: int) -> Callable[..., float | None]:
    def value(scrape: Scrape, metric: str, service: str = SERVICE) -> float | None:
        return scrape.get(metric, domain=str(domain_id), robot="", service_name=service)

    return value


@pytest.mark.parametrize("service_type", [Trigger, SetBool, Empty, GetParameters, DescribeParameters])
def test_a_service_is_asked_over_and_over(
    start_asking: Callable[..., Monitor], robot: Robot, of_service: Callable[..., float | None], service_type: Any
) -> None:
    monitor = start_asking(SERVICE)
    monitor.scrape_until(lambda scrape: of_service(scrape, "ros_service_up") == 0, "a service that is not there")
    requests: list[Any] = []

    def answer(request: Any, response: Any) -> Any:
        requests.append(request)
        if hasattr(response, "success"):
            response.success = len(requests) % 2 == 0
        return response

    service = robot.node.create_service(service_type, SERVICE, answer)
    robot.spin_until(lambda: len(requests) >= 4, "four requests")
    unsuccessful = 2 if service_type in (Trigger, SetBool) else 0
    # Both, since a scrape is not one moment.
    scrape = monitor.scrape_until(
        lambda scrape: (
            (of_service(scrape, "ros_service_round_trip_seconds_count") or 0) >= 3
            and of_service(scrape, "ros_service_unsuccessful_total") == unsuccessful
        ),
        f"three round trips, {unsuccessful} of them without success",
    )
    assert of_service(scrape, "ros_service_up") == 1
    assert of_service(scrape, "ros_service_timeouts_total") == 0
    if service_type is SetBool:
        assert not any(request.data for request in requests)
    robot.node.destroy_service(service)
    monitor.scrape_until(lambda scrape: of_service(scrape, "ros_service_up") == 0, "the service has gone")


def test_a_service_that_does_not_answer(
    start_asking: Callable[..., Monitor], robot: Robot, of_service: Callable[..., float | None]
) -> None:
    monitor = start_asking(SERVICE, timeout=0.3)
    robot.node.create_service(Trigger, SERVICE, lambda _, response: response)
    # Nobody turns the robot's node, so nobody answers.
    scrape = monitor.scrape_until(
        lambda scrape: (of_service(scrape, "ros_service_timeouts_total") or 0) >= 2, "two time-outs"
    )
    assert of_service(scrape, "ros_service_round_trip_seconds_count") == 0
    robot.spin_until(
        lambda: of_service(monitor.scrape(), "ros_service_round_trip_seconds_count"), "an answer at last"
    )


def test_a_service_that_cannot_be_asked_is_seen(
    start_asking: Callable[..., Monitor], robot: Robot, of_service: Callable[..., float | None]
) -> None:
    monitor = start_asking(SERVICE)
    robot.node.create_service(ListParameters, SERVICE, lambda _, response: response)
    monitor.scrape_until(lambda scrape: of_service(scrape, "ros_service_up") == 1, "the service")
    warnings = [line for line in monitor.stderr.splitlines() if "WARN" in line and SERVICE in line]
    assert len(warnings) == 1 and "ListParameters" in warnings[0], monitor.stderr


def test_a_service_that_comes_back_as_another_type_is_asked_as_that(
    start_asking: Callable[..., Monitor], robot: Robot, of_service: Callable[..., float | None]
) -> None:
    monitor = start_asking(SERVICE)
    for service_type in (Trigger, SetBool):
        asked: list[Any] = []

        def answer(request: Any, response: Any, asked: list[Any] = asked) -> Any:
            asked.append(request)
            return response

        service = robot.node.create_service(service_type, SERVICE, answer)
        robot.spin_until(lambda asked=asked: len(asked) >= 2, f"requests of type {service_type.__name__}")
        robot.node.destroy_service(service)


def test_services_are_found_by_patterns(
    start_monitor: StartMonitor, robot: Robot, of_service: Callable[..., float | None]
) -> None:
    parameters = {"services": ["/*/asked", "/*/reset_statistics"], "service_period": 0.25, "forget_after": 0.3}
    monitor = start_monitor(parameters=parameters)
    services = [robot.node.create_service(Trigger, name, lambda _, response: response) for name in ("/a/asked", "/b/asked")]
    robot.node.create_service(Trigger, "/c/not_asked", lambda _, response: response)

    def answered(service: str) -> float:
        return of_service(monitor.scrape(), "ros_service_round_trip_seconds_count", service) or 0

    robot.spin_until(lambda: answered("/a/asked") and answered("/b/asked"), "both answered")
    robot.node.destroy_service(services[0])
    monitor.scrape_until(lambda scrape: of_service(scrape, "ros_service_up", "/a/asked") is None, "it is forgotten")
    scrape = monitor.scrape()
    assert of_service(scrape, "ros_service_up", "/b/asked") == 1
    assert "/c/not_asked" not in scrape.text
    assert "/reset_statistics" not in scrape.text, "it would blind itself"


def test_an_answer_that_comes_too_late_is_a_time_out(
    start_asking: Callable[..., Monitor], robot: Robot, of_service: Callable[..., float | None]
) -> None:
    """Later than the time-out, and long before the node next looks for such."""
    monitor = start_asking(SERVICE, timeout=0.01)

    def answer_late(_: Any, response: Any) -> Any:
        time.sleep(0.02)
        return response

    robot.node.create_service(Trigger, SERVICE, answer_late)
    robot.spin_until(
        lambda: (of_service(monitor.scrape(), "ros_service_timeouts_total") or 0) >= 3, "three answers that were late"
    )
    assert of_service(monitor.scrape(), "ros_service_round_trip_seconds_count") == 0
