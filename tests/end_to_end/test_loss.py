"""What was lost on the way is counted, and nothing else is taken for a loss."""

import signal
from collections.abc import Callable

import psutil
import pytest

from exporter import TOPIC, Exporter, StartExporter
from robot import Robot, Talker, qos
from scrape import Scrape

# More than any queue on the way can hold: a socket takes a few hundred.
BURST = 3000


@pytest.fixture
def hasty_talker(exporter: Exporter, robot: Robot) -> Talker:
    """A publisher that waits for nobody."""
    talker = robot.talker(TOPIC, qos("best_effort", "volatile"))
    exporter.wait_until_matched(talker)
    return talker


@pytest.mark.usefixtures("without_shared_memory")
def test_nodes_that_are_to_be_stopped_share_no_memory(exporter: Exporter, hasty_talker: Talker) -> None:
    mapped = [map.path for map in psutil.Process(exporter.process.pid).memory_maps()]
    assert not [path for path in mapped if path.startswith("/dev/shm/fast")]


@pytest.mark.usefixtures("without_shared_memory")
def test_every_message_is_either_recorded_or_counted_as_lost(exporter: Exporter, hasty_talker: Talker) -> None:
    published = 0

    def publish(position: float) -> None:
        nonlocal published
        hasty_talker.publish(["elbow"], [position])
        published += 1

    def last_is_shown(scrape: Scrape) -> bool:
        """A gap shows when a message follows it."""
        publish(2.0)
        return scrape.positions(TOPIC) == {"elbow": 2.0}

    publish(0.0)
    exporter.wait_for_messages(1)
    exporter.process.send_signal(signal.SIGSTOP)
    for _ in range(BURST):
        publish(1.0)
    exporter.process.send_signal(signal.SIGCONT)
    exporter.scrape_until(last_is_shown, "the last message")

    scrape = exporter.scrape_until(
        lambda scrape: scrape.messages(TOPIC) + scrape.lost(TOPIC) == published, f"all {published} accounted for"
    )
    assert scrape.lost(TOPIC) > 0
    assert scrape.rejected(TOPIC) == {}


def test_a_publisher_that_restarts_has_lost_nothing(exporter: Exporter, start_robot: Callable[[], Robot]) -> None:
    recorded = 0
    for _ in range(3):
        robot = start_robot()
        talker = robot.talker(TOPIC)
        exporter.wait_until_matched(talker)
        for _ in range(5):
            talker.publish(["elbow"], [1.0])
        recorded += 5
        exporter.wait_for_messages(recorded)
        robot.close()
        exporter.scrape_until(lambda scrape: scrape.publishers(TOPIC) == 0, "no publisher")

    assert exporter.scrape().lost(TOPIC) == 0


def test_what_was_sent_before_the_exporter_came_is_no_loss(start_exporter: StartExporter, robot: Robot) -> None:
    talker = robot.talker(TOPIC)
    for _ in range(10):
        talker.publish(["elbow"], [1.0])

    exporter = start_exporter()
    exporter.wait_until_matched(talker)
    talker.publish(["elbow"], [2.0])

    assert exporter.wait_for_messages(1).lost(TOPIC) == 0


def test_each_publisher_has_its_own_sequence(exporter: Exporter, start_robot: Callable[[], Robot]) -> None:
    one, other = start_robot().talker(TOPIC), start_robot().talker(TOPIC)
    exporter.wait_until_matched(one, other)

    for count in range(1, 11):
        (other if count % 3 else one).publish(["elbow"], [1.0])
        exporter.wait_for_messages(count)

    assert exporter.scrape().lost(TOPIC) == 0


def test_two_publishers_of_one_node_have_their_own_sequences(exporter: Exporter, robot: Robot) -> None:
    one, other = robot.talker(TOPIC), robot.talker(TOPIC)
    exporter.wait_until_matched(one, other)

    for count in range(1, 11):
        (other if count % 3 else one).publish(["elbow"], [1.0])
        exporter.wait_for_messages(count)

    assert exporter.scrape().lost(TOPIC) == 0
