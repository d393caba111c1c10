"""Publishers of every quality of service, and the one word that says how a topic is."""

from collections.abc import Callable
from itertools import product

import pytest
from rclpy.duration import Duration
from rclpy.qos import HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from std_msgs.msg import String

from exporter import NODE_NAME, TOPIC, Exporter, StartExporter
from robot import DEPTH, Robot, qos, repeatedly
from waiting import wait_until

PUBLISHER_QOS = list(product(["reliable", "best_effort"], ["volatile", "transient_local"]))

# Of a publisher that promises a sign of life within this time.
LEASE = Duration(seconds=1)

# How old a message must be for its topic to be stale; short, because a test waits for it.
STALE_AFTER_S = 0.5


@pytest.mark.parametrize(("reliability", "durability"), PUBLISHER_QOS)
@pytest.mark.parametrize("exporter_qos", ["auto", "best_effort", "reliable"])
def test_a_publisher_of_any_qos_is_heard_or_named(
    start_exporter: StartExporter, robot: Robot, exporter_qos: str, reliability: str, durability: str
) -> None:
    exporter = start_exporter(parameters={"qos": exporter_qos})
    talker = robot.talker(TOPIC, qos(reliability, durability))

    if (exporter_qos, reliability) == ("reliable", "best_effort"):
        exporter.wait_for_status("qos_incompatible")
        assert exporter.scrape().publishers(TOPIC) == 0
        return
    exporter.wait_until_matched(talker)
    talker.publish(["elbow"], [1.0])
    scrape = exporter.wait_for_messages(1)
    assert scrape.positions(TOPIC) == {"elbow": 1.0}
    exporter.wait_for_status("ok")


@pytest.mark.parametrize(
    "policies",
    [
        pytest.param({"history": HistoryPolicy.KEEP_ALL}, id="keep all"),
        pytest.param({"depth": 1}, id="depth 1"),
        pytest.param({"deadline": Duration(seconds=0.1)}, id="deadline"),
        pytest.param({"lifespan": Duration(seconds=10)}, id="lifespan"),
        pytest.param({"liveliness": LivelinessPolicy.AUTOMATIC, "liveliness_lease_duration": LEASE}, id="automatic"),
        pytest.param({"liveliness": LivelinessPolicy.MANUAL_BY_TOPIC, "liveliness_lease_duration": LEASE}, id="manual"),
    ],
)
def test_a_publisher_of_any_other_policy_is_heard(
    exporter: Exporter, robot: Robot, policies: dict[str, object]
) -> None:
    talker = robot.talker(TOPIC, QoSProfile(**{"depth": DEPTH, **policies}))
    exporter.wait_until_matched(talker)
    talker.publish(["elbow"], [1.0])
    exporter.wait_for_status("ok")


@pytest.mark.parametrize(
    ("exporter_qos", "heard"),
    [
        ("auto", {"reliable", "best_effort"}),
        ("best_effort", {"reliable", "best_effort"}),
        ("reliable", {"reliable"}),
    ],
)
def test_publishers_of_every_qos_are_heard_on_one_topic(
    start_exporter: StartExporter, start_robot: Callable[[], Robot], exporter_qos: str, heard: set[str]
) -> None:
    exporter = start_exporter(parameters={"qos": exporter_qos})
    talkers = {
        (reliability, durability): start_robot().talker(TOPIC, qos(reliability, durability))
        for reliability, durability in PUBLISHER_QOS
    }
    exporter.wait_until_matched(*(talker for key, talker in talkers.items() if key[0] in heard))

    for key, talker in talkers.items():
        talker.publish(["_".join(key)], [1.0])

    expected = {"_".join(key): 1.0 for key in talkers if key[0] in heard}
    scrape = exporter.wait_for_messages(len(expected))
    assert scrape.positions(TOPIC) == expected
    assert scrape.publishers(TOPIC) == len(expected)
    assert scrape.lost(TOPIC) == 0


@pytest.mark.parametrize(
    ("exporter_qos", "reliability"),
    [("auto", "best_effort"), ("best_effort", "best_effort"), ("reliable", "reliable")],
)
def test_the_exporter_subscribes_as_it_was_told(
    start_exporter: StartExporter, robot: Robot, exporter_qos: str, reliability: str
) -> None:
    """In auto it must not be reliable even beside reliable publishers: these would wait for its acknowledgements."""
    talker = robot.talker(TOPIC, qos("reliable", "transient_local"))
    exporter = start_exporter(parameters={"qos": exporter_qos})
    exporter.wait_until_matched(talker)

    def subscription() -> TopicEndpointInfo | None:
        """Which node an endpoint belongs to arrives a little later than the endpoint."""
        subscriptions = robot.node.get_subscriptions_info_by_topic(TOPIC)
        return next((subscription for subscription in subscriptions if subscription.node_name == NODE_NAME), None)

    found = robot.spin_until(subscription, "the exporter's subscription in the graph")
    assert found.qos_profile.reliability == ReliabilityPolicy[reliability.upper()]
    assert robot.node.count_subscribers(TOPIC) == 1


def test_a_topic_goes_through_its_states(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"stale_after": STALE_AFTER_S})
    exporter.wait_for_status("no_publisher")

    talker = robot.talker(TOPIC)
    exporter.wait_for_status("silent")
    exporter.wait_until_matched(talker)

    for _ in range(2):
        with repeatedly(lambda: talker.publish(["elbow"], [1.0])):
            exporter.wait_for_status("ok")
        exporter.wait_for_status("stale")

    robot.silence(talker)
    exporter.wait_for_status("no_publisher")


def test_a_silent_topic_does_not_become_stale(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"topics": [TOPIC, "/other"], "stale_after": STALE_AFTER_S})
    silent, other = robot.talker(TOPIC), robot.talker("/other")
    exporter.wait_until_matched(silent, other)

    other.publish(["elbow"], [1.0])

    scrape = exporter.scrape_until(lambda scrape: scrape.status("/other") == "stale", "the other topic is stale")
    assert scrape.status(TOPIC) == "silent"


def test_a_publisher_that_leaves_takes_the_status_ok_with_it(
    exporter: Exporter, start_robot: Callable[[], Robot]
) -> None:
    staying, leaving = start_robot(), start_robot()
    talkers = [staying.talker(TOPIC), leaving.talker(TOPIC)]
    exporter.wait_until_matched(*talkers)
    talkers[0].publish(["elbow"], [1.0])
    exporter.wait_for_status("ok")

    leaving.close()
    exporter.scrape_until(lambda scrape: scrape.publishers(TOPIC) == 1, "one publisher left")
    assert exporter.scrape().status(TOPIC) == "ok"

    staying.close()
    exporter.wait_for_status("no_publisher")
    assert exporter.scrape().publishers(TOPIC) == 0


def test_a_mismatch_is_over_when_its_publisher_has_left(exporter: Exporter, robot: Robot) -> None:
    strings = robot.talker(TOPIC, message_type=String)
    exporter.wait_for_status("type_mismatch")

    robot.silence(strings)

    exporter.wait_for_status("no_publisher")


def test_the_log_tells_of_each_mismatched_publisher_once_by_name(
    start_exporter: StartExporter, start_robot: Callable[[], Robot]
) -> None:
    exporter = start_exporter(parameters={"qos": "reliable"})

    def warnings() -> list[str]:
        return [line for line in exporter.stderr.splitlines() if "WARN" in line and TOPIC in line]

    for told in (1, 2):
        start_robot().talker(TOPIC, qos("best_effort", "volatile"))
        wait_until(lambda: len(warnings()) >= told, f"{told} warnings", details=lambda: exporter.stderr)
    # The graph has changed for another reason, and has been looked at since: no warning comes again.
    exporter.wait_until_matched(start_robot().talker(TOPIC))

    assert len(warnings()) == 2, exporter.stderr
    for line in warnings():
        assert "unknown" not in line.lower() and "ERROR" not in line, line
        assert "reliab" in line.lower() or "best effort" in line.lower(), line


def test_an_incompatible_publisher_replaced_by_a_compatible_one(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"qos": "reliable"})
    deaf = robot.talker(TOPIC, qos("best_effort", "volatile"))
    exporter.wait_for_status("qos_incompatible")

    robot.silence(deaf)
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    talker.publish(["elbow"], [1.0])

    exporter.wait_for_status("ok")


def test_every_topic_has_a_status_of_its_own(start_exporter: StartExporter, robot: Robot) -> None:
    topics = ["/talking", "/silent", "/strings", "/nobody"]
    exporter = start_exporter(parameters={"topics": topics})
    talking, silent = robot.talker("/talking"), robot.talker("/silent")
    robot.talker("/strings", message_type=String)
    exporter.wait_until_matched(talking, silent)

    talking.publish(["elbow"], [1.0])

    expected = {"/talking": "ok", "/silent": "silent", "/strings": "type_mismatch", "/nobody": "no_publisher"}
    exporter.scrape_until(
        lambda scrape: {topic: scrape.status(topic) for topic in topics} == expected, f"the states {expected}"
    )
