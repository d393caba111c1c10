"""Which topics are watched: they come and go, some are asked for, some are too many."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from monitor import NODE_NAME, Diagnostics, Monitor, StartMonitor
from parameters import Parameters
from robot import Robot, Talker, repeatedly
from scrape import Scrape
from waiting import TIMEOUT_S, wait_until

BEST_EFFORT = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)

# Seconds after which a topic that nobody has any more is forgotten; short, because tests wait for it.
FORGET_AFTER_S = 0.3


def word_talker(robot: Robot, topic: str) -> Talker:
    return robot.talker(topic, BEST_EFFORT, String)


def topics_of(scrape: Scrape, domain_id: int) -> set[str]:
    return set(scrape.by("topic_name", "ros_topic_publishers", domain=str(domain_id), robot=""))


def wait_for_topics(monitor: Monitor, domain_id: int, expected: set[str]) -> Scrape:
    return monitor.scrape_until(
        lambda scrape: topics_of(scrape, domain_id) == expected,
        f"the topics {sorted(expected)}",
    )


def test_topics_come_and_go(start_monitor: StartMonitor, robot: Robot, domain_id: int) -> None:
    monitor = start_monitor(parameters={"forget_after": FORGET_AFTER_S})
    wait_for_topics(monitor, domain_id, set())
    first, second = word_talker(robot, "/first"), word_talker(robot, "/second")
    wait_for_topics(monitor, domain_id, {"/first", "/second"})
    monitor.scrape_until(
        lambda scrape: scrape.value("ros_topics", domain=str(domain_id), seen="messages") == 2, "two that are heard"
    )
    robot.silence(first)
    wait_for_topics(monitor, domain_id, {"/second"})
    robot.silence(second)
    scrape = wait_for_topics(monitor, domain_id, set())
    assert "/second" not in scrape.text


def test_a_topic_that_lost_its_publisher_is_missed_before_it_is_forgotten(
    start_monitor: StartMonitor, robot: Robot
) -> None:
    monitor = start_monitor()
    talker = word_talker(robot, "/words")
    with repeatedly(lambda: talker.publisher.publish(String())):
        monitor.wait_for_status("ok", "/words")
    robot.silence(talker)
    monitor.wait_for_status("no_publisher", "/words")
    word_talker(robot, "/words")
    monitor.scrape_until(lambda scrape: scrape.publishers("/words") == 1, "the publisher is back")


def test_what_is_allowed_and_denied_can_be_set_while_it_runs(
    start_monitor: StartMonitor, robot: Robot, domain_id: int
) -> None:
    monitor = start_monitor(parameters={"allow": ["/robot1/**"]})
    for topic in ("/robot1/words", "/robot1/camera/words", "/robot2/words"):
        word_talker(robot, topic)
    wait_for_topics(monitor, domain_id, {"/robot1/words", "/robot1/camera/words"})
    parameters = Parameters(robot, NODE_NAME)
    results = parameters.set(allow=["/**"], deny=["/robot1/camera/**", "/parameter_events"])
    assert all(result.successful for result in results), results
    wait_for_topics(monitor, domain_id, {"/robot1/words", "/robot2/words"})
    refused = parameters.set(allow=["robot1"])[0]
    assert not refused.successful and "robot1" in refused.reason


def test_what_is_expected_can_be_set_and_unset_while_it_runs(
    start_monitor: StartMonitor, robot: Robot, domain_id: int
) -> None:
    monitor = start_monitor(parameters={"deny": ["/**"]})
    talker = word_talker(robot, "/words")
    parameters = Parameters(robot, NODE_NAME)
    name = "topics./words.rate"
    assert name not in parameters.names()
    with repeatedly(lambda: talker.publisher.publish(String()), 0.02):
        for rate, status in ((1000.0, "too_slow"), (1.0, "too_fast")):
            assert parameters.set(**{name: rate, "topics./words.grace": 0.0})[0].successful
            monitor.wait_for_status(status, "/words")
    assert name in parameters.names()
    assert parameters.get(name) == [1.0]
    assert all(result.successful for result in parameters.unset(name, "topics./words.grace"))
    assert name not in parameters.names()
    wait_for_topics(monitor, domain_id, set())
    refused = parameters.unset("grace")[0]
    assert not refused.successful and "grace" in refused.reason


def test_it_is_told_of_which_topics_something_is_expected(start_monitor: StartMonitor, robot: Robot) -> None:
    monitor = start_monitor(parameters={"topics./odom.rate": 10.0})
    word_talker(robot, "/words")
    parameters = Parameters(robot, NODE_NAME)

    def wait_for_expected(odom: float, words: float) -> None:
        monitor.scrape_until(
            lambda scrape: [scrape.of_topic("ros_topic_expected", topic) for topic in ("/odom", "/words")] == [odom, words],
            f"what is expected of /odom is {odom}, of /words {words}",
        )

    wait_for_expected(1, 0)
    assert parameters.set(**{"topics./words.grace": 0.0})[0].successful
    wait_for_expected(1, 1)
    assert parameters.unset("topics./words.grace")[0].successful
    wait_for_expected(1, 0)


def test_more_topics_than_allowed_are_counted(
    start_monitor: StartMonitor, robot: Robot, domain_id: int
) -> None:
    monitor = start_monitor(parameters={"max_topics": 2, "forget_after": FORGET_AFTER_S})
    talkers = [word_talker(robot, f"/words{number}") for number in range(4)]

    def refused(scrape: Scrape) -> float | None:
        return scrape.get("ros_topics_refused_total", domain=str(domain_id))

    scrape = monitor.scrape_until(lambda scrape: refused(scrape) == 2, "two topics refused")
    assert scrape.value("ros_topics_left_out", domain=str(domain_id)) == 2
    watched = topics_of(scrape, domain_id)
    assert len(watched) == 2
    for talker in talkers:
        if talker.topic in watched:
            robot.silence(talker)
    wait_for_topics(monitor, domain_id, {talker.topic for talker in talkers} - watched)
    # Those of now: nothing is left out any more, and what was is counted.
    scrape = monitor.scrape_until(
        lambda scrape: scrape.get("ros_topics_left_out", domain=str(domain_id)) == 0, "nothing is left out"
    )
    assert refused(scrape) == 2


def test_a_topic_of_which_something_is_expected_takes_the_place_of_another(
    start_monitor: StartMonitor, robot: Robot, domain_id: int
) -> None:
    monitor = start_monitor(parameters={"max_topics": 1})
    word_talker(robot, "/words")
    wait_for_topics(monitor, domain_id, {"/words"})
    assert Parameters(robot, NODE_NAME).set(**{"topics./odom.rate": 10.0})[0].successful
    wait_for_topics(monitor, domain_id, {"/odom"})


def test_a_topic_of_a_type_that_is_not_installed_is_watched_through_the_graph(
    start_monitor: StartMonitor, robot: Robot, domain_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monitor = start_monitor()
    word_talker(robot, "/words")
    scrape = monitor.wait_for_status("graph_only", "/words")
    assert scrape.publishers("/words") == 1
    assert scrape.value("ros_topics", domain=str(domain_id), seen="graph") == 1
    warnings = [line for line in monitor.stderr.splitlines() if "WARN" in line and "/words" in line]
    assert len(warnings) == 1 and "std_msgs" in warnings[0], monitor.stderr


def test_endpoints_whose_qos_is_not_compared_are_counted(start_monitor: StartMonitor, robot: Robot) -> None:
    monitor = start_monitor()

    def uncompared(count: int) -> Callable[[Scrape], bool]:
        return lambda scrape: scrape.of_topic("ros_topic_uncompared_endpoints", "/words") == count

    talkers = [word_talker(robot, "/words") for _ in range(102)]
    monitor.scrape_until(uncompared(2), "two publishers more than are compared")
    robot.silence(talkers[0])
    monitor.scrape_until(uncompared(1), "one of them")


def test_robots_are_told_apart_by_namespace(start_monitor: StartMonitor, robot: Robot) -> None:
    monitor = start_monitor(parameters={"robot": "/fleet/{robot}"})
    word_talker(robot, "/fleet/robot1/words")
    word_talker(robot, "/words")
    monitor.wait_for_topic("/words")

    def is_robots(scrape: Scrape) -> bool:
        robots_own = monitor.read(scrape.text, robot="robot1")
        return robots_own.publishers("/fleet/robot1/words") == 1

    monitor.scrape_until(is_robots, "the robot's topic")


@pytest.mark.usefixtures("without_shared_memory")
def test_what_is_lost_while_the_reader_stands_still_is_counted_exactly(
    start_monitor: StartMonitor, robot: Robot
) -> None:
    monitor = start_monitor()
    talker = word_talker(robot, "/words")
    monitor.wait_for_status("silent", "/words")
    robot.spin_until(talker.is_matched, "the monitor's subscription")
    message = String(data="x" * 1000)
    published = 0

    def publish(count: int) -> None:
        nonlocal published
        for _ in range(count):
            talker.publisher.publish(message)
        published += count

    publish(1)
    monitor.scrape_until(lambda scrape: scrape.messages("/words") == 1, "the first message")
    monitor.process.send_signal(signal.SIGSTOP)
    publish(1500)
    monitor.process.send_signal(signal.SIGCONT)

    def is_accounted_for(scrape: Scrape) -> bool:
        # What is lost shows with the next message that is not.
        publish(1)
        return scrape.lost("/words") > 0

    monitor.scrape_until(is_accounted_for, "a loss")

    def is_all() -> bool:
        scrape = monitor.scrape()
        return scrape.messages("/words") + scrape.lost("/words") == published

    wait_until(is_all, f"{published} messages received or lost", details=lambda: monitor.scrape().asked_lines())


@pytest.mark.usefixtures("without_shared_memory")
def test_statistics_begin_anew_when_asked(start_monitor: StartMonitor, robot: Robot) -> None:
    monitor = start_monitor()
    diagnostics = Diagnostics(robot)
    talker = word_talker(robot, "/words")
    # A loss is one after a message that has come.
    with repeatedly(lambda: talker.publisher.publish(String()), 0.02):
        monitor.wait_for_status("ok", "/words")
    monitor.process.send_signal(signal.SIGSTOP)
    for _ in range(1500):
        talker.publisher.publish(String(data="x" * 1000))
    monitor.process.send_signal(signal.SIGCONT)

    def has_lost(scrape: Scrape) -> bool:
        talker.publisher.publish(String())
        return scrape.lost("/words") > 0

    lost = monitor.scrape_until(has_lost, "a loss").lost("/words")
    diagnostics.wait_until_told("/words", "total_dropped_frames", lambda told: int(told) > 0)
    client = robot.node.create_client(Trigger, f"/{NODE_NAME}/reset_statistics")
    assert client.wait_for_service(TIMEOUT_S)
    assert robot.result_of(client.call_async(Trigger.Request())).success
    diagnostics.wait_until_told("/words", "total_dropped_frames", lambda told: int(told) == 0)
    assert monitor.scrape().lost("/words") >= lost


CHURN_NODES = 1000
CHURN_BATCH = 50
# Of each batch, those that publish on one topic beside somebody who stays.
CHURN_SHARING = 5
SHARED = "/shared/words"


def test_a_thousand_nodes_with_topics_leave_nothing_behind(
    start_monitor: StartMonitor, start_robot: Callable[[], Robot], domain_id: int
) -> None:
    """Each with a publisher on a topic of its own, some on a shared one too, one batch after the other."""
    monitor = start_monitor(parameters={"forget_after": 0.001})
    process = psutil.Process(monitor.process.pid)
    word_talker(start_robot(), SHARED)

    def told_apart(scrape: Scrape) -> set[str]:
        labels = {"domain": str(domain_id), "robot": "", "topic_name": SHARED}
        return {node for node, count in scrape.by("node_name", "ros_publisher_message_count_total", **labels).items() if count}

    def one_batch(number: int) -> None:
        robot = start_robot()
        names = [f"churn{number}_{index}" for index in range(CHURN_BATCH)]
        nodes = {f"/{name}": robot.another_node(name) for name in names}
        for name, node in nodes.items():
            node.create_publisher(String, f"{name}/words", BEST_EFFORT)
        sharing = list(nodes)[:CHURN_SHARING]
        publishers = [nodes[name].create_publisher(String, SHARED, BEST_EFFORT) for name in sharing]

        def are_told_apart(scrape: Scrape) -> bool:
            for publisher in publishers:
                publisher.publish(String())
            return told_apart(scrape).issuperset(sharing)

        wait_for_topics(monitor, domain_id, {SHARED, *(f"{name}/words" for name in nodes)})
        monitor.scrape_until(lambda scrape: all(f'node_name="{name}"' in scrape.text for name in nodes), "all nodes")
        monitor.scrape_until(are_told_apart, "the publishers of the shared topic")
        robot.close()
        wait_for_topics(monitor, domain_id, {SHARED})
        monitor.scrape_until(lambda scrape: "churn" not in scrape.text, "no node left")

    def use() -> tuple[set[str], int, int, int]:
        names = {line.rpartition(" ")[0] for line in monitor.scrape().text.splitlines()}
        # Of the shared topic these are there only while messages come.
        series = {name for name in names if not name.startswith(("#", "ros_topic_rate_", "ros_topic_age_", "ros_topic_jitter_"))}
        return series, process.num_threads(), process.num_fds(), process.memory_info().rss

    batches = CHURN_NODES // CHURN_BATCH
    warm_up = batches // 4
    for number in range(warm_up):
        one_batch(number)
    series, threads, fds, rss = use()
    for number in range(warm_up, batches):
        one_batch(number)
    series_after, threads_after, fds_after, rss_after = use()
    assert (series_after, threads_after) == (series, threads)
    assert fds_after <= fds + 2
    assert rss_after <= rss * 1.05, f"{rss / 1e6:.1f} MB, then {rss_after / 1e6:.1f} MB"
