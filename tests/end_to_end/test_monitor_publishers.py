"""Publishers that share a topic are told apart by their nodes."""

import signal
from collections.abc import Callable

import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from monitor import Monitor, StartMonitor
from robot import Robot, Talker, repeatedly
from scrape import Scrape

BEST_EFFORT = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
TOPIC = "/words"
FIRST, SECOND = "/robot0", "/second"


@pytest.fixture
def monitor(start_monitor: StartMonitor) -> Monitor:
    return start_monitor()


@pytest.fixture
def first(monitor: Monitor, robot: Robot) -> Talker:
    talker = robot.talker(TOPIC, BEST_EFFORT, String)
    robot.spin_until(talker.is_matched, "the monitor's subscription")
    wait_for_publishers(monitor, 1)
    return talker


@pytest.fixture
def second(monitor: Monitor, start_robot: Callable[..., Robot], first: Talker) -> Talker:
    other = start_robot()
    talker = Talker(TOPIC, other.another_node(SECOND.removeprefix("/")).create_publisher(String, TOPIC, BEST_EFFORT))
    other.spin_until(talker.is_matched, "the monitor's subscription")
    wait_for_publishers(monitor, 2)
    return talker


def wait_for_publishers(monitor: Monitor, count: int, topic: str = TOPIC) -> None:
    """What is sent best effort to a reader that does not know the writer yet is lost, and counted by nobody."""
    monitor.scrape_until(
        lambda scrape: monitor.knows(scrape, topic) and scrape.publishers(topic) == count,
        f"{count} publishers on {topic}",
    )


def by_node(scrape: Scrape, metric: str, domain_id: int) -> dict[str, float]:
    return scrape.by("node_name", f"ros_publisher_{metric}", domain=str(domain_id), robot="", topic_name=TOPIC)


def publish(talker: Talker, count: int, text: str = "word") -> None:
    for _ in range(count):
        talker.publisher.publish(String(data=text))


def test_a_publisher_that_is_alone_has_no_series_of_its_own(monitor: Monitor, first: Talker, domain_id: int) -> None:
    publish(first, 3)
    scrape = monitor.scrape_until(lambda scrape: scrape.messages(TOPIC) == 3, "three messages")
    assert by_node(scrape, "message_count_total", domain_id) == {}


def test_those_who_share_a_topic_are_counted_each(
    monitor: Monitor, robot: Robot, first: Talker, second: Talker, domain_id: int
) -> None:
    publish(first, 3)
    publish(second, 5, "longer word")
    scrape = monitor.scrape_until(
        lambda scrape: by_node(scrape, "message_count_total", domain_id) == {FIRST: 3, SECOND: 5}, "all messages"
    )
    # A message of four characters takes 4 bytes of encapsulation, 4 of length, 5 of text and padding up to 16.
    assert by_node(scrape, "message_bytes_total", domain_id) == {FIRST: 3 * 16, SECOND: 5 * 20}
    robot.silence(first)
    monitor.scrape_until(
        lambda scrape: by_node(scrape, "message_count_total", domain_id) == {SECOND: 5}, "the one that is left"
    )


def test_the_rate_of_each_is_told(
    monitor: Monitor, robot: Robot, first: Talker, second: Talker, domain_id: int
) -> None:
    with repeatedly(lambda: publish(first, 1), 0.01), repeatedly(lambda: publish(second, 1), 0.1):
        monitor.scrape_until(
            lambda scrape: (rates := by_node(scrape, "rate_hertz", domain_id)).keys() == {FIRST, SECOND}
            and 0 < rates[SECOND] < rates[FIRST],
            "the rates",
        )


def test_names_that_run_together_alike_are_publishers_of_their_own(
    monitor: Monitor, robot: Robot, domain_id: int
) -> None:
    left, driver = robot.another_node("driver", "left"), robot.another_node("driver")
    counts = {("/camera", "/left/driver"): 2, ("/camera/left", "/driver"): 3}
    talkers = {}
    for (topic, node), own in zip(counts, (left, driver), strict=True):
        # So that the topic is shared.
        robot.talker(topic, BEST_EFFORT, String)
        talkers[topic, node] = Talker(topic, own.create_publisher(String, topic, BEST_EFFORT))
    for key, talker in talkers.items():
        robot.spin_until(talker.is_matched, "the monitor's subscription")
        wait_for_publishers(monitor, 2, talker.topic)
        publish(talker, counts[key])

    def count(scrape: Scrape, topic: str, node: str) -> float | None:
        labels = {"domain": str(domain_id), "robot": "", "topic_name": topic, "node_name": node}
        return scrape.get("ros_publisher_message_count_total", **labels)

    monitor.scrape_until(
        lambda scrape: {key: count(scrape, *key) for key in counts} == counts, "the messages of both publishers"
    )


@pytest.mark.usefixtures("without_shared_memory")
def test_what_is_lost_is_the_loss_of_its_publisher(
    monitor: Monitor, first: Talker, second: Talker, domain_id: int
) -> None:
    publish(first, 1)
    publish(second, 1)
    monitor.scrape_until(
        lambda scrape: by_node(scrape, "message_count_total", domain_id) == {FIRST: 1, SECOND: 1}, "the first messages"
    )
    monitor.process.send_signal(signal.SIGSTOP)
    publish(first, 1500, "x" * 1000)
    monitor.process.send_signal(signal.SIGCONT)
    published = {FIRST: 1501, SECOND: 1}

    def is_accounted_for(scrape: Scrape) -> bool:
        # What is lost shows with the next message that is not.
        publish(first, 1)
        published[FIRST] += 1
        return by_node(scrape, "messages_lost_total", domain_id)[FIRST] > 0

    monitor.scrape_until(is_accounted_for, "a loss")

    def is_all(scrape: Scrape) -> bool:
        messages, lost = (by_node(scrape, metric, domain_id) for metric in ("message_count_total", "messages_lost_total"))
        return {node: messages[node] + lost[node] for node in messages} == published and lost[SECOND] == 0

    monitor.scrape_until(is_all, "every message received or lost, each by its publisher")
