"""Simulated time: it dates messages, and nothing else depends on it."""

import time

import pytest
from rosgraph_msgs.msg import Clock

from exporter import TOPIC, Exporter, StartExporter
from robot import Robot, Talker, repeatedly, time_of
from waiting import wait_until

SECOND_NS = 10**9


class SimulatedClock:
    def __init__(self, robot: Robot) -> None:
        self._talker = robot.talker("/clock", message_type=Clock)

    def is_heard(self) -> bool:
        return self._talker.is_matched()

    def tell(self, nanoseconds: int) -> None:
        self._talker.publisher.publish(Clock(clock=time_of(nanoseconds)))


@pytest.fixture
def exporter(start_exporter: StartExporter) -> Exporter:
    return start_exporter(parameters={"use_sim_time": True, "stale_after": 0.5})


@pytest.fixture
def clock(exporter: Exporter, robot: Robot) -> SimulatedClock:
    clock = SimulatedClock(robot)
    robot.spin_until(clock.is_heard, "a subscription to /clock")
    return clock


def see_age(exporter: Exporter, clock: SimulatedClock, talker: Talker, clock_ns: int, stamp_ns: int) -> float:
    """Tells the time until a message's age is measured by it, and returns that age."""
    topic = {"topic_name": TOPIC}
    before = exporter.scrape()
    count = before.value("ros_message_age_seconds_count", **topic)

    def is_dated() -> bool:
        clock.tell(clock_ns)
        talker.publish(["elbow"], [1.0], stamp=time_of(stamp_ns))
        return exporter.scrape().value("ros_message_age_seconds_count", **topic) > count

    exporter.scrape_until(lambda _: is_dated(), "a dated message")
    after = exporter.scrape()
    total_s = after.value("ros_message_age_seconds_sum", **topic) - before.value("ros_message_age_seconds_sum", **topic)
    return total_s / (after.value("ros_message_age_seconds_count", **topic) - count)


def test_ages_of_messages_are_in_simulated_time(exporter: Exporter, clock: SimulatedClock, talker: Talker) -> None:
    age_s = see_age(exporter, clock, talker, clock_ns=100 * SECOND_NS, stamp_ns=97 * SECOND_NS)

    assert age_s == pytest.approx(3.0)


def test_a_simulation_may_start_anew(exporter: Exporter, clock: SimulatedClock, talker: Talker) -> None:
    see_age(exporter, clock, talker, clock_ns=1000 * SECOND_NS, stamp_ns=999 * SECOND_NS)

    age_s = see_age(exporter, clock, talker, clock_ns=10 * SECOND_NS, stamp_ns=8 * SECOND_NS)

    assert age_s == pytest.approx(2.0)
    assert exporter.scrape().positions(TOPIC) == {"elbow": 1.0}


def test_a_stamp_ahead_of_the_simulated_clock_is_from_the_future(
    exporter: Exporter, clock: SimulatedClock, talker: Talker
) -> None:
    see_age(exporter, clock, talker, clock_ns=100 * SECOND_NS, stamp_ns=100 * SECOND_NS)
    before = exporter.scrape()

    # In the past by the wall clock.
    talker.publish(["elbow"], [1.0], stamp=time_of(200 * SECOND_NS))

    scrape = exporter.wait_for_messages(int(before.messages(TOPIC)) + 1)
    assert scrape.value("ros_message_from_future_total", topic_name=TOPIC) == 1 + before.value(
        "ros_message_from_future_total", topic_name=TOPIC
    )
    assert scrape.value("ros_message_age_seconds_count", topic_name=TOPIC) == before.value(
        "ros_message_age_seconds_count", topic_name=TOPIC
    )


def test_a_frozen_clock_stops_nothing_else(exporter: Exporter, clock: SimulatedClock, talker: Talker) -> None:
    see_age(exporter, clock, talker, clock_ns=100 * SECOND_NS, stamp_ns=99 * SECOND_NS)

    # Nobody tells the time any more; joints and topics grow old all the same.
    exporter.wait_for_status("stale")
    exporter.scrape_until(lambda scrape: not scrape.positions(TOPIC), "a stale joint")
    assert exporter.scrape().ages(TOPIC)["elbow"] > 0.5

    with repeatedly(lambda: talker.publish(["elbow"], [2.0], stamp=time_of(100 * SECOND_NS))):
        exporter.wait_for_status("ok")
        exporter.scrape_until(lambda scrape: scrape.positions(TOPIC) == {"elbow": 2.0}, "the elbow again")
    assert exporter.get("/readyz").status == 200


def test_without_a_clock_messages_are_shown_and_not_dated(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["elbow"], [1.0])

    scrape = exporter.wait_for_messages(1)

    assert scrape.positions(TOPIC) == {"elbow": 1.0}
    exporter.wait_for_status("ok")
    assert scrape.value("ros_message_age_seconds_count", topic_name=TOPIC) == 0


def test_the_clock_is_nobodys_business_unless_asked_for(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter()
    talker = robot.talker(TOPIC)
    clock = SimulatedClock(robot)
    exporter.wait_until_matched(talker)
    clock.tell(100 * SECOND_NS)
    stamped_ns = time.time_ns()

    talker.publish(["elbow"], [1.0], stamp=time_of(stamped_ns))

    scrape = exporter.wait_for_messages(1)
    assert (
        0 < scrape.value("ros_message_age_seconds_sum", topic_name=TOPIC) <= (time.time_ns() - stamped_ns) / SECOND_NS
    )
    assert not clock.is_heard()


def test_before_the_first_clock_messages_are_undated_and_the_log_says_why(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["elbow"], [1.0])

    scrape = exporter.wait_for_messages(1)
    assert scrape.value("ros_message_undated_total", topic_name=TOPIC) == 1
    assert scrape.value("ros_message_age_seconds_count", topic_name=TOPIC) == 0
    wait_until(lambda: "/clock" in exporter.stderr, "a word on the silence of /clock")
