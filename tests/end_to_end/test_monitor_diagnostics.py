"""Diagnostics that others tell, as metrics; and several domains at once."""

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from domain import reserved_domain_id
from monitor import Diagnostics, Monitor, StartMonitor
from robot import RELIABLE, Robot, Talker, repeatedly
from scrape import Scrape

TOPIC = "/diagnostics"


def status(
    name: str, level: bytes = DiagnosticStatus.OK, hardware_id: str = "arm", **values: str
) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message="a message", hardware_id=hardware_id, values=pairs)


@pytest.fixture
def told_by(robot: Robot) -> Callable[..., Talker]:
    def talker(topic: str = TOPIC) -> Talker:
        return robot.talker(topic, RELIABLE, DiagnosticArray)

    return talker


@pytest.fixture
def labels(domain_id: int) -> dict[str, str]:
    return {"domain": str(domain_id), "robot": "", "topic_name": TOPIC, "hardware_id": "arm"}


def tell(monitor: Monitor, talker: Talker, statuses: Sequence[DiagnosticStatus], until: Callable[[Scrape], object]) -> Scrape:
    """Tells the statuses over and over, until a scrape is as it should be."""
    message = DiagnosticArray(status=list(statuses))
    with repeatedly(lambda: talker.publisher.publish(message), 0.05):
        return monitor.scrape_until(until, "what is told in a scrape")


def test_levels_and_allowed_values_are_shown(
    start_monitor: StartMonitor, told_by: Callable[..., Talker], labels: dict[str, str]
) -> None:
    monitor = start_monitor(parameters={"diagnostic_keys": ["temperature", "state"]})
    talker = told_by()
    motor = status("motor: 1", DiagnosticStatus.WARN, temperature="71.5", state="warm", voltage="24")
    scrape = tell(
        monitor, talker, [motor], lambda scrape: scrape.get("ros_diagnostic_level", name="motor: 1", **labels) == 1
    )
    assert scrape.by("key", "ros_diagnostic_value", name="motor: 1", **labels) == {"temperature": 71.5}
    assert scrape.value("ros_diagnostic_age_seconds", name="motor: 1", **labels) < 10
    cooler = status("motor: 1", DiagnosticStatus.OK, state="cool")
    scrape = tell(
        monitor, talker, [cooler], lambda scrape: scrape.get("ros_diagnostic_level", name="motor: 1", **labels) == 0
    )
    assert scrape.by("key", "ros_diagnostic_value", name="motor: 1", **labels) == {}


def test_names_that_run_together_alike_are_statuses_of_their_own(
    start_monitor: StartMonitor, told_by: Callable[..., Talker], labels: dict[str, str]
) -> None:
    monitor = start_monitor()

    def level(scrape: Scrape, name: str, hardware_id: str) -> float | None:
        return scrape.get("ros_diagnostic_level", **{**labels, "name": name, "hardware_id": hardware_id})

    statuses = [status("motor1", DiagnosticStatus.ERROR, "2"), status("motor", DiagnosticStatus.WARN, "12")]
    tell(
        monitor,
        told_by(),
        statuses,
        lambda scrape: (level(scrape, "motor1", "2"), level(scrape, "motor", "12")) == (2, 1),
    )


def test_what_the_monitor_tells_itself_is_not_repeated(
    start_monitor: StartMonitor, robot: Robot, told_by: Callable[..., Talker], labels: dict[str, str]
) -> None:
    monitor = start_monitor()
    robot.talker("/words", message_type=String)
    Diagnostics(robot).wait_for("/words", "silent")
    scrape = tell(
        monitor, told_by(), [status("a")], lambda scrape: scrape.get("ros_diagnostic_level", name="a", **labels) == 0
    )
    assert scrape.text.count("ros_diagnostic_level{") == 1


def test_aggregated_and_namespaced_diagnostics_are_read(
    start_monitor: StartMonitor, told_by: Callable[..., Talker], labels: dict[str, str]
) -> None:
    monitor = start_monitor()
    for topic in ("/diagnostics_agg", "/robot1/diagnostics"):
        of_topic = {**labels, "topic_name": topic}
        tell(
            monitor,
            told_by(topic),
            [status("a", DiagnosticStatus.ERROR)],
            lambda scrape, of_topic=of_topic: scrape.get("ros_diagnostic_level", name="a", **of_topic) == 2,
        )


def test_a_status_that_is_told_no_more_goes(
    start_monitor: StartMonitor, told_by: Callable[..., Talker], labels: dict[str, str]
) -> None:
    monitor = start_monitor(parameters={"forget_after": 0.5})
    tell(monitor, told_by(), [status("a")], lambda scrape: scrape.get("ros_diagnostic_level", name="a", **labels) == 0)
    monitor.scrape_until(lambda scrape: 'name="a"' not in scrape.text, "the status is forgotten")


def test_too_many_statuses_are_counted(
    start_monitor: StartMonitor, told_by: Callable[..., Talker], labels: dict[str, str]
) -> None:
    monitor = start_monitor(parameters={"max_diagnostics": 2})
    of_topic = {name: labels[name] for name in ("domain", "robot", "topic_name")}
    scrape = tell(
        monitor,
        told_by(),
        [status(name) for name in "abc"],
        lambda scrape: (scrape.get("ros_diagnostics_refused_total", **of_topic) or 0) > 0,
    )
    assert scrape.text.count("ros_diagnostic_level{") <= 2


def test_topics_beyond_the_limit_are_counted_once_and_the_usual_ones_come_first(
    start_monitor: StartMonitor, told_by: Callable[..., Talker], labels: dict[str, str]
) -> None:
    monitor = start_monitor(parameters={"max_topics": 2})

    def refused(scrape: Scrape) -> float | None:
        return scrape.get("ros_diagnostics_topics_refused_total", domain=labels["domain"])

    def is_shown(scrape: Scrape, topic: str) -> bool:
        return scrape.get("ros_diagnostic_level", name="a", **{**labels, "topic_name": topic}) == 0

    first = {topic: told_by(topic) for topic in ("/arm/diagnostics", "/base/diagnostics")}
    for topic, talker in first.items():
        tell(monitor, talker, [status("a")], lambda scrape, topic=topic: is_shown(scrape, topic))
    tell(monitor, told_by(), [status("a")], lambda scrape: is_shown(scrape, TOPIC) and refused(scrape) == 1)


@pytest.mark.usefixtures("without_shared_memory")
def test_what_is_lost_of_diagnostics_is_counted(
    start_monitor: StartMonitor, robot: Robot, labels: dict[str, str]
) -> None:
    monitor = start_monitor()
    talker = robot.talker(TOPIC, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT), DiagnosticArray)
    of_topic = {name: labels[name] for name in ("domain", "robot", "topic_name")}
    tell(monitor, talker, [status("a")], lambda scrape: scrape.get("ros_diagnostics_lost_total", **of_topic) == 0)
    monitor.process.send_signal(signal.SIGSTOP)
    for _ in range(1500):
        talker.publisher.publish(DiagnosticArray(status=[status("x" * 1000)]))
    monitor.process.send_signal(signal.SIGCONT)
    tell(
        monitor, talker, [status("a")], lambda scrape: (scrape.get("ros_diagnostics_lost_total", **of_topic) or 0) > 0
    )


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [(b"\0\1\0\0garbage", "truncated"), (b"\7\7\0\0", "wrong_encoding"), (b"\0\1\0\0" + b"\xff" * 64, "bad_length")],
)
def test_garbage_is_counted_and_nothing_else_suffers(
    start_monitor: StartMonitor,
    told_by: Callable[..., Talker],
    labels: dict[str, str],
    garbage: bytes,
    reason: str,
) -> None:
    monitor = start_monitor()
    talker = told_by()
    of_topic = {name: labels[name] for name in ("domain", "robot", "topic_name")}
    with repeatedly(lambda: talker.publish_bytes(garbage), 0.05):
        monitor.scrape_until(
            lambda scrape: (scrape.get("ros_diagnostics_rejected_total", reason=reason, **of_topic) or 0) > 0,
            f"garbage that is {reason}",
        )
    tell(monitor, talker, [status("a")], lambda scrape: scrape.get("ros_diagnostic_level", name="a", **labels) == 0)


@pytest.fixture
def other_domain_id() -> Iterator[int]:
    with reserved_domain_id() as domain_id:
        yield domain_id


def test_several_domains_are_watched_at_once(
    start_monitor: StartMonitor, start_robot: Callable[[], Robot], domain_id: int, other_domain_id: int
) -> None:
    monitor = start_monitor(parameters={"domains": [domain_id, other_domain_id]})
    here, there = start_robot(), Robot(other_domain_id)
    try:
        here.talker("/words", message_type=String)
        there.talker("/words", message_type=String)
        there.talker("/elsewhere", message_type=String)

        def publishers(scrape: Scrape, domain: int, topic: str) -> float | None:
            return scrape.get("ros_topic_publishers", domain=str(domain), robot="", topic_name=topic)

        monitor.scrape_until(
            lambda scrape: publishers(scrape, domain_id, "/words") == 1
            and publishers(scrape, other_domain_id, "/words") == 1
            and publishers(scrape, other_domain_id, "/elsewhere") == 1,
            "the topics of both domains",
        )
        assert publishers(monitor.scrape(), domain_id, "/elsewhere") is None
    finally:
        there.close()
