"""Every state of a topic, from its cause to the metric and to /diagnostics, and back to ok."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from monitor import NODE_NAME, Diagnostics, Monitor, StartMonitor, value_of
from program import ParameterValue
from robot import RELIABLE, Robot, Talker, now, qos, repeatedly, time_of
from waiting import TIMEOUT_S

TOPIC = "/robot1/joint_states"

# What the cause of a state may take to be seen in the metrics and on /diagnostics. It takes less than 2 s, and does so with
# SEEN_WITHIN_S=2; on a machine that is busy otherwise only that it is seen is tested.
SEEN_WITHIN_S = float(os.environ.get("SEEN_WITHIN_S", TIMEOUT_S))

# Between messages, unless a test says otherwise: fifty times a second at most.
INTERVAL_S = 0.02

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)


@pytest.fixture
def diagnostics(robot: Robot) -> Diagnostics:
    return Diagnostics(robot)


@pytest.fixture
def expecting(start_monitor: StartMonitor) -> Callable[..., Monitor]:
    """Starts a monitor that expects something of the topic, and has no grace with it."""

    def start(**expected: ParameterValue) -> Monitor:
        parameters = {f"topics.{TOPIC}.{name}": value for name, value in {"grace": 0.0, **expected}.items()}
        return start_monitor(parameters=parameters)

    return start


@pytest.fixture
def monitor(start_monitor: StartMonitor) -> Monitor:
    """One that expects nothing."""
    return start_monitor()


@pytest.fixture
def stale(monitor: Monitor, robot: Robot) -> Talker:
    """A publisher that has talked at its usual rate, and then has fallen silent."""
    talker = robot.talker(TOPIC)
    with talking(talker):
        wait_for_usual_rate(monitor, TOPIC)
        monitor.wait_for_status("ok", TOPIC)
    monitor.wait_for_status("stale", TOPIC)
    return talker


@contextmanager
def talking(talker: Talker, interval_s: float = INTERVAL_S, age_s: float = 0.0) -> Iterator[None]:
    """Publishes over and over, with stamps of that age."""

    def publish() -> None:
        talker.publish(["elbow"], [1.0], stamp=time_of(time.time_ns() - int(age_s * 1e9)))

    with repeatedly(publish, interval_s):
        yield


def wait_for_usual_rate(monitor: Monitor, topic: str) -> None:
    """Waits until messages have come for two seconds: a rate is usual once it was seen for one."""
    monitor.scrape_until(lambda scrape: scrape.messages(topic) > 2 / INTERVAL_S, f"two seconds of {topic}")


def expect(monitor: Monitor, diagnostics: Diagnostics, status: str, level: bytes, *, within_s: float) -> DiagnosticStatus:
    """Waits for the state in the metrics and on /diagnostics, both within the time."""
    deadline = time.monotonic() + within_s
    monitor.wait_for_status(status, TOPIC, timeout_s=within_s)
    told = diagnostics.wait_for(TOPIC, status, timeout_s=max(0.1, deadline - time.monotonic()))
    assert told.level == level, told
    return told


def test_nobody_publishes(expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics) -> None:
    monitor = expecting()
    expect(monitor, diagnostics, "no_publisher", ERROR, within_s=15)
    for _ in range(2):
        talker = robot.talker(TOPIC)
        with talking(talker):
            expect(monitor, diagnostics, "ok", OK, within_s=SEEN_WITHIN_S)
        robot.silence(talker)
        expect(monitor, diagnostics, "no_publisher", ERROR, within_s=SEEN_WITHIN_S)


def test_a_publisher_is_silent_then_heard_then_stale(
    expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics
) -> None:
    monitor = expecting(stale_after=0.5)
    monitor.wait_for_topic(TOPIC)
    talker = robot.talker(TOPIC)
    expect(monitor, diagnostics, "silent", STALE, within_s=SEEN_WITHIN_S)
    for _ in range(2):
        with talking(talker):
            expect(monitor, diagnostics, "ok", OK, within_s=SEEN_WITHIN_S)
        told = expect(monitor, diagnostics, "stale", STALE, within_s=SEEN_WITHIN_S)
        assert "0.5 s" in told.message


def test_a_topic_is_stale_by_the_deadline_of_its_publisher(
    expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics
) -> None:
    monitor = expecting()
    talker = robot.talker(TOPIC, QoSProfile(depth=10, deadline=Duration(seconds=0.6)))
    with talking(talker):
        monitor.wait_for_status("ok", TOPIC)
    told = expect(monitor, diagnostics, "stale", STALE, within_s=SEEN_WITHIN_S)
    assert "0.6 s" in told.message


def test_a_topic_is_stale_by_its_usual_rate(
    expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics
) -> None:
    monitor = expecting()
    talker = robot.talker(TOPIC)
    with talking(talker):
        wait_for_usual_rate(monitor, TOPIC)
    expect(monitor, diagnostics, "stale", STALE, within_s=SEEN_WITHIN_S)


def test_an_event_topic_never_times_out(
    expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics
) -> None:
    monitor = expecting(**{"class": "event", "stale_after": 0.1, "rate": 10.0})
    talker = robot.talker(TOPIC)
    expect(monitor, diagnostics, "ok", OK, within_s=15)
    with talking(talker):
        monitor.wait_for_status("too_fast", TOPIC)
    other = robot.talker("/other")
    # Long after what would be stale: the other topic's whole life has passed since.
    with talking(other):
        wait_for_usual_rate(monitor, "/other")
    monitor.wait_for_status("stale", "/other")
    expect(monitor, diagnostics, "ok", OK, within_s=SEEN_WITHIN_S)


@pytest.mark.parametrize(
    ("interval_s", "status"), [pytest.param(0.1, "too_slow", id="slow"), pytest.param(0.005, "too_fast", id="fast")]
)
def test_a_rate_that_is_not_the_expected_one(
    expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics, interval_s: float, status: str
) -> None:
    monitor = expecting(rate=40.0, rate_tolerance=0.5)
    talker = robot.talker(TOPIC)
    with talking(talker):
        monitor.wait_for_status("ok", TOPIC)
    for _ in range(2):
        with talking(talker, interval_s):
            told = expect(monitor, diagnostics, status, WARN, within_s=SEEN_WITHIN_S)
            assert "40.00 Hz" in told.message and value_of(told, "expected_frequency") == "40.000"
        with talking(talker):
            expect(monitor, diagnostics, "ok", OK, within_s=SEEN_WITHIN_S)


def test_messages_that_are_late(expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics) -> None:
    monitor = expecting(max_age=0.2)
    talker = robot.talker(TOPIC)
    with talking(talker):
        monitor.wait_for_status("ok", TOPIC)
    for _ in range(2):
        with talking(talker, age_s=0.5):
            told = expect(monitor, diagnostics, "late", WARN, within_s=SEEN_WITHIN_S)
            assert float(value_of(told, "current_delay_from_realtime_ms") or 0) >= 500
        with talking(talker):
            expect(monitor, diagnostics, "ok", OK, within_s=SEEN_WITHIN_S)
    late = monitor.scrape().of_topic("ros_message_late_total", TOPIC)
    assert late and late >= 2


def test_endpoints_of_different_types(
    expecting: Callable[..., Monitor], robot: Robot, start_robot: Callable[[], Robot], diagnostics: Diagnostics
) -> None:
    monitor = expecting()
    talker, other = robot.talker(TOPIC), start_robot()
    with talking(talker):
        monitor.wait_for_status("ok", TOPIC)
        for endpoint in ("publisher", "subscription"):
            if endpoint == "publisher":
                made: Any = other.talker(TOPIC, message_type=String)
            else:
                made = other.listen(String, TOPIC, lambda _: None)
            told = expect(monitor, diagnostics, "type_mismatch", ERROR, within_s=SEEN_WITHIN_S)
            assert "std_msgs/msg/String" in told.message and "sensor_msgs/msg/JointState" in told.message
            if endpoint == "publisher":
                other.silence(made)
            else:
                other.node.destroy_subscription(made)
            expect(monitor, diagnostics, "ok", OK, within_s=SEEN_WITHIN_S)


@pytest.mark.parametrize(
    ("policy", "offered", "requested"),
    [
        ("reliability", qos("best_effort", "volatile"), qos("reliable", "volatile")),
        ("durability", qos("reliable", "volatile"), qos("reliable", "transient_local")),
        ("deadline", RELIABLE, QoSProfile(depth=1, deadline=Duration(seconds=1))),
        (
            "liveliness",
            RELIABLE,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, liveliness_lease_duration=Duration(seconds=1)),
        ),
    ],
)
def test_a_subscription_that_a_publisher_does_not_serve(
    expecting: Callable[..., Monitor],
    robot: Robot,
    start_robot: Callable[[], Robot],
    diagnostics: Diagnostics,
    policy: str,
    offered: QoSProfile,
    requested: QoSProfile,
) -> None:
    monitor = expecting()
    talker, listener = robot.talker(TOPIC, offered), start_robot()
    with talking(talker):
        monitor.wait_for_status("ok", TOPIC)
        subscription = listener.node.create_subscription(JointState, TOPIC, lambda _: None, requested)
        told = expect(monitor, diagnostics, "qos_incompatible", ERROR, within_s=SEEN_WITHIN_S)
        assert policy in told.message, told
        scrape = monitor.scrape()
        count = scrape.of_topic("ros_topic_incompatible_subscriptions", TOPIC, policy=policy)
        assert count == 1, scrape.asked_lines()
        listener.node.destroy_subscription(subscription)
        expect(monitor, diagnostics, "ok", OK, within_s=SEEN_WITHIN_S)


def test_what_is_wrong_with_a_new_topic_is_no_alarm_yet(
    expecting: Callable[..., Monitor], robot: Robot, diagnostics: Diagnostics
) -> None:
    monitor = expecting(grace=3600.0)
    told = expect(monitor, diagnostics, "no_publisher", OK, within_s=15)
    assert told.message.startswith("starting")
    robot.talker(TOPIC)
    expect(monitor, diagnostics, "silent", OK, within_s=SEEN_WITHIN_S)


def test_the_log_warns_of_what_is_wrong_and_only_then(expecting: Callable[..., Monitor], robot: Robot) -> None:
    monitor = expecting(grace=0.5, stale_after=0.5)

    def told(level: str, what: str) -> bool:
        return any(f" {level} " in line and what in line and TOPIC in line for line in monitor.stderr.splitlines())

    robot.spin_until(lambda: told("WARN", "the grace is over"), "nobody publishes what is expected")
    talker = robot.talker(TOPIC)
    with talking(talker):
        robot.spin_until(lambda: told("INFO", 'to="ok"'), "that it is well again")
    robot.spin_until(lambda: told("WARN", 'to="stale"'), "that nothing comes")
    assert not told("WARN", 'to="ok"') and not told("INFO", 'to="stale"')


def test_slow_topics_do_not_flap(start_monitor: StartMonitor, robot: Robot) -> None:
    """Below 1 Hz, which is slow enough for most looks to see no message: no state but ok after the first."""
    expected = {"rate": 0.8, "rate_tolerance": 0.5, "grace": 0.0}
    parameters = {f"topics.{TOPIC}.{name}": value for name, value in expected.items()}
    monitor = start_monitor(parameters=parameters)
    talker = robot.talker(TOPIC)
    with talking(talker, 1.25):
        monitor.wait_for_status("ok", TOPIC)
        changes = len([line for line in monitor.stderr.splitlines() if "the state has changed" in line])
        messages = monitor.scrape().messages(TOPIC)
        monitor.scrape_until(lambda scrape: scrape.messages(TOPIC) >= messages + 6, "six messages more")
        after = [line for line in monitor.stderr.splitlines() if "the state has changed" in line]
        assert len(after) == changes, "\n".join(after)


def test_stamps_tell_their_clock(start_monitor: StartMonitor, robot: Robot) -> None:
    monitor = start_monitor()
    boot_ns = int(float(open("/proc/uptime").read().split()[0]) * 1e9)
    stamps = {
        "wall": now(),
        "boot": time_of(boot_ns),
        "simulated": time_of(10**9 * 86_400 * 365),
        "zero": time_of(0),
    }
    talker = robot.talker(TOPIC)
    monitor.wait_for_topic(TOPIC)
    for clock, stamp in stamps.items():

        def publish(stamp: Any = stamp) -> None:
            talker.publish(["elbow"], [1.0], stamp=stamp)

        with repeatedly(publish):
            monitor.scrape_until(
                lambda scrape, clock=clock: scrape.of_topic("ros_message_stamp_clock", TOPIC, clock=clock) == 1,
                f"stamps of the {clock} clock",
            )


@pytest.mark.parametrize("use_sim_time", [False, True])
def test_simulated_stamps_have_an_age_while_somebody_tells_the_time(
    start_monitor: StartMonitor, robot: Robot, tmp_path: Path, use_sim_time: bool
) -> None:
    """With a parameter file for all nodes alike, too."""
    for_all = tmp_path / "for_all.yaml"
    for_all.write_text(f"/**: {{ros__parameters: {{use_sim_time: {str(use_sim_time).lower()}}}}}")
    monitor = start_monitor(ros=["--params-file", str(for_all)])
    talker, clock = robot.talker(TOPIC), robot.talker("/clock", message_type=Clock)
    time_ns = 5 * 10**9

    def publish() -> None:
        talker.publish(["elbow"], [1.0], stamp=time_of(time_ns))

    def count(metric: str) -> float:
        return monitor.scrape().of_topic(metric, TOPIC) or 0

    with repeatedly(publish, INTERVAL_S):
        with repeatedly(lambda: clock.publisher.publish(Clock(clock=time_of(time_ns + 10**9))), INTERVAL_S):
            monitor.scrape_until(
                lambda scrape: scrape.of_topic("ros_message_stamp_skew_seconds", TOPIC) == -1.0, "an age of a second"
            )
        robot.silence(clock)
        undated = count("ros_message_undated_total")
        monitor.scrape_until(
            lambda scrape: scrape.of_topic("ros_message_stamp_skew_seconds", TOPIC) is None
            and (scrape.of_topic("ros_message_undated_total", TOPIC) or 0) > undated,
            "messages of no known age",
        )
    robot.silence(talker)
    monitor.scrape_until(
        lambda scrape: scrape.of_topic("ros_message_stamp_clock", TOPIC, clock="simulated") == 0, "no stamp any more"
    )


def test_what_was_published_says_nothing_of_the_next_publisher(
    monitor: Monitor, robot: Robot, stale: Talker
) -> None:
    """A driver that is started anew and hangs before its first message is not ok, though its predecessor was."""
    scrape = monitor.scrape()
    assert (scrape.of_topic("ros_topic_age_seconds", TOPIC) or 0) > 0.5
    assert scrape.of_topic("ros_topic_jitter_seconds", TOPIC) is None
    assert scrape.of_topic("ros_message_stamp_skew_seconds", TOPIC) is None
    robot.silence(stale)
    monitor.wait_for_status("no_publisher", TOPIC)
    second = robot.talker(TOPIC)
    monitor.wait_for_status("silent", TOPIC)
    assert monitor.scrape().of_topic("ros_topic_age_seconds", TOPIC) is None
    with talking(second):
        monitor.wait_for_status("ok", TOPIC)


def test_a_latched_topic_needs_no_messages_unless_a_rate_is_expected(
    start_monitor: StartMonitor, robot: Robot
) -> None:
    """What was published before this node came, once and for all, is there for who needs it."""
    latched = robot.talker("/map", qos("reliable", "transient_local"), String)
    latched.publisher.publish(String(data="a map"))
    robot.talker(TOPIC, qos("reliable", "transient_local"))
    monitor = start_monitor(parameters={f"topics.{TOPIC}.rate": 10.0})
    monitor.wait_for_status("ok", "/map")
    monitor.wait_for_status("silent", TOPIC)
    assert monitor.scrape().status("/map") == "ok"


@pytest.mark.usefixtures("stale")
def test_statistics_that_begin_anew_leave_a_stale_topic_stale(monitor: Monitor, robot: Robot) -> None:
    client = robot.node.create_client(Trigger, f"/{NODE_NAME}/reset_statistics")
    assert client.wait_for_service(TIMEOUT_S)
    assert robot.result_of(client.call_async(Trigger.Request())).success
    age_s = monitor.scrape().of_topic("ros_topic_age_seconds", TOPIC) or 0
    # A look at the topic later, it would have changed.
    scrape = monitor.scrape_until(
        lambda scrape: (scrape.of_topic("ros_topic_age_seconds", TOPIC) or 0) > age_s + 0.5, "half a second more"
    )
    assert scrape.status(TOPIC) == "stale"


def test_a_stamp_that_goes_back_is_counted(start_monitor: StartMonitor, robot: Robot) -> None:
    monitor = start_monitor()
    talker = robot.talker(TOPIC)
    monitor.wait_for_status("silent", TOPIC)
    robot.spin_until(talker.is_matched, "the monitor's subscription")
    for seconds in (100, 101, 50, 51, 51, 7):
        talker.publish(["elbow"], [1.0], stamp=time_of(seconds * 10**9))
    # Both, since a scrape is not one moment: in the one that shows the last message, other counts may be from before it.
    monitor.scrape_until(
        lambda scrape: (
            scrape.messages(TOPIC) == 6 and scrape.of_topic("ros_message_stamp_backward_total", TOPIC) == 2
        ),
        "six messages, two of them with a stamp that went back",
    )


def test_a_type_without_a_stamp_has_no_age(start_monitor: StartMonitor, robot: Robot) -> None:
    monitor = start_monitor()
    talker = robot.talker("/words", message_type=String)
    header = robot.talker("/headers", message_type=Header)
    with ExitStack() as stack:
        stack.enter_context(repeatedly(lambda: talker.publisher.publish(String(data="word")), INTERVAL_S))
        stack.enter_context(repeatedly(lambda: header.publisher.publish(Header(stamp=now())), INTERVAL_S))
        monitor.wait_for_status("ok", "/words")
        monitor.wait_for_status("ok", "/headers")
    scrape = monitor.scrape()
    assert scrape.of_topic("ros_message_age_seconds_count", "/words") == 0
    assert scrape.of_topic("ros_message_unstamped_total", "/words") == 0
    assert scrape.of_topic("ros_message_stamp_skew_seconds", "/words") is None
    assert (scrape.of_topic("ros_message_age_seconds_count", "/headers") or 0) > 0
