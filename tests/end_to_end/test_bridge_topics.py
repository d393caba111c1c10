"""Messages across the Unity bridge: to whom, how reliably, what is latched, and what is dropped for whom."""

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import String, UInt8MultiArray

from bridge import (
    Bridge,
    Connect,
    StartBridge,
    publish_until_heard,
    publishers,
    subscriptions,
    wait_until_followed,
)
from robot import DEPTH, Listener, Robot, Talker, qos
from unity import Frame, Unity, unity_name
from waiting import wait_until

TOPIC = "/chatter"
LATCHED = qos("reliable", "transient_local")
BEST_EFFORT = qos("best_effort", "volatile")

# A client that does not read: what the kernel holds for it is little beside what it is sent.
SMALL_BUFFER_BYTES = 4096

# As large as a frame of compressed video.
BLOCK_BYTES = 64 << 10

# Fewer than a robot keeps for whom it has not reached yet.
ON_THEIR_WAY_MAX = DEPTH // 2


def follow(unity: Unity, message_type: Any = String, topic: str = TOPIC, **more: Any) -> None:
    unity.send(unity.say.subscribe(topic, message_type, **more))
    unity.synchronize()


def say(talker: Talker, text: str) -> None:
    talker.publisher.publish(String(data=text))


@pytest.fixture
def talker(robot: Robot) -> Talker:
    return robot.talker(TOPIC, message_type=String)


def test_messages_go_both_ways(bridge: Bridge, unity: Unity, robot: Robot, talker: Talker) -> None:
    heard = Listener(robot, String, "/answers")
    follow(unity)
    unity.send(unity.say.publish("/answers", String))
    wait_until_followed(robot, talker)
    publish_until_heard(robot, heard, unity, "/answers", String(data="first"))

    for text in ("one", "grün", ""):
        say(talker, text)
        assert unity.receive_message(TOPIC, String).data == text
        unity.send(unity.say.message("/answers", String(data=text)))
        heard.wait_for(lambda message, text=text: message.data == text, text)

    scrape = bridge.scrape()
    assert scrape.value("unity_bridge_messages_sent_total", topic_name=TOPIC) == 3
    assert scrape.value("unity_bridge_messages_published_total", topic_name="/answers") >= 4
    assert scrape.value("unity_bridge_queue_age_seconds_count", topic_name=TOPIC) == 3


def test_clients_that_follow_the_same_topic_all_get_it(
    bridge: Bridge, connect: Connect, robot: Robot, talker: Talker
) -> None:
    first, second = connect(bridge), connect(bridge)
    follow(first)
    follow(second)
    wait_until_followed(robot, talker, clients=2)

    say(talker, "for both")

    assert first.receive_message(TOPIC, String).data == "for both"
    assert second.receive_message(TOPIC, String).data == "for both"

    # One that goes takes nothing from the other.
    second.close()
    wait_until_followed(robot, talker)
    say(talker, "for one")
    assert first.receive_message(TOPIC, String).data == "for one"


def publish_blocks(talker: Talker, healthy: Unity, numbers: range) -> None:
    """Publishes numbered messages, each as soon as the one before has come to the client that reads."""
    for number in numbers:
        talker.publisher.publish(UInt8MultiArray(data=number.to_bytes(4, "little") + bytes(BLOCK_BYTES)))
        assert number_of(healthy.receive(TOPIC).payload) == number


def number_of(payload: bytes) -> int:
    return int.from_bytes(bytes(deserialize_message(payload, UInt8MultiArray).data[:4]), "little")


def test_a_client_that_does_not_read_costs_others_nothing_and_little_memory(
    start_bridge: StartBridge, connect: Connect, robot: Robot
) -> None:
    bytes_max, warm_up, count = 2 << 20, 100, 400
    bridge = start_bridge(parameters={"max_queued_bytes": bytes_max})
    healthy, stalled = connect(bridge), connect(bridge, receive_buffer_bytes=SMALL_BUFFER_BYTES)
    talker = robot.talker(TOPIC, message_type=UInt8MultiArray)
    follow(healthy, UInt8MultiArray)
    wait_until_followed(robot, talker)
    publish_blocks(talker, healthy, range(warm_up))
    process = psutil.Process(bridge.process.pid)
    before = process.memory_info().rss

    follow(stalled, UInt8MultiArray, queue_size=count)
    wait_until_followed(robot, talker, clients=2)
    publish_blocks(talker, healthy, range(warm_up, warm_up + count))

    # All the blocks together have 25 MiB. What is beside the queue is the second subscription.
    assert process.memory_info().rss - before < bytes_max + (6 << 20)
    scrape = bridge.scrape()
    dropped = scrape.value("unity_bridge_messages_dropped_total", topic_name=TOPIC, reason="max_queued_bytes")
    assert dropped > count / 2
    assert scrape.value("unity_bridge_messages_dropped_total", topic_name=TOPIC, reason="queue_size") == 0
    # Once it reads, it gets all that was not dropped: the newest, in order.
    numbers = [number_of(stalled.receive(TOPIC).payload) for _ in range(count - int(dropped))]
    assert numbers == sorted(numbers)
    assert numbers[-1] == warm_up + count - 1


@pytest.mark.parametrize(("asked", "depth"), [({}, 10), ({"queue_size": 3}, 3)], ids=["by default", "as it asks"])
def test_the_newest_messages_wait_for_a_client_that_does_not_read(
    bridge: Bridge, connect: Connect, robot: Robot, asked: dict[str, int], depth: int
) -> None:
    healthy, stalled = connect(bridge), connect(bridge, receive_buffer_bytes=SMALL_BUFFER_BYTES)
    talker = robot.talker(TOPIC, message_type=UInt8MultiArray)
    follow(healthy, UInt8MultiArray)
    follow(stalled, UInt8MultiArray, **asked)
    wait_until_followed(robot, talker, clients=2)

    count = 150
    publish_blocks(talker, healthy, range(count))

    scrape = bridge.scrape()
    dropped = int(scrape.value("unity_bridge_messages_dropped_total", topic_name=TOPIC, reason="queue_size"))
    assert dropped > 0
    assert scrape.value("unity_bridge_messages_dropped_total", topic_name=TOPIC, reason="max_queued_bytes") == 0
    numbers = [number_of(stalled.receive(TOPIC).payload) for _ in range(count - dropped)]
    # What the kernel had taken, each once, and then the queue.
    assert numbers == sorted(set(numbers))
    assert len(numbers) > depth
    assert numbers[-depth:] == [*range(count - depth, count)]


def test_who_comes_late_gets_what_is_latched(bridge: Bridge, connect: Connect, robot: Robot) -> None:
    talker = robot.talker(TOPIC, LATCHED, String)
    say(talker, "latched")
    first = connect(bridge)
    first.send(first.say.subscribe(TOPIC, String))
    assert first.receive_message(TOPIC, String).data == "latched"

    second = connect(bridge)
    second.send(second.say.subscribe(TOPIC, String))

    assert second.receive_message(TOPIC, String).data == "latched"
    assert first.has_come(TOPIC) == []


@pytest.mark.parametrize("topic", ["/tf_static", "/robot1/robot_description"])
def test_what_is_latched_by_convention_is_asked_for_before_its_publisher_is_there(
    bridge: Bridge, unity: Unity, robot: Robot, topic: str
) -> None:
    follow(unity, topic=topic)

    wait_until(lambda: subscriptions(robot, topic), "the subscription")

    profile = subscriptions(robot, topic)[0].qos_profile
    assert profile.reliability == ReliabilityPolicy.RELIABLE
    assert profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    say(robot.talker(topic, LATCHED, String), "latched")
    assert unity.receive_message(topic, String).data == "latched"


def test_a_client_may_latch(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    unity.send(unity.say.publish(TOPIC, String, latch=True), unity.say.message(TOPIC, String(data="latched")))
    unity.synchronize()

    late = Listener(robot, String, TOPIC, LATCHED)

    late.wait_for(lambda message: message.data == "latched", "the latched message")


def test_a_client_latches_nothing_unless_it_says_so(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    unity.send(unity.say.publish(TOPIC, String))

    wait_until(lambda: publishers(robot, TOPIC), "the publisher")

    profile = publishers(robot, TOPIC)[0].qos_profile
    assert profile.durability == DurabilityPolicy.VOLATILE
    assert profile.reliability == ReliabilityPolicy.RELIABLE


def hear(unity: Unity, talker: Talker, text: str) -> None:
    """Publishes until the client hears it: nobody can see when a best-effort subscription has found its publisher."""

    def is_heard() -> bool:
        say(talker, text)
        return text in [deserialize_message(frame.payload, String).data for frame in unity.has_come(TOPIC)]

    wait_until(is_heard, f"the client hears: {text}")


def test_a_publisher_that_is_best_effort_is_heard(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    talker = robot.talker(TOPIC, BEST_EFFORT, String)
    follow(unity)
    hear(unity, talker, "best effort")


def test_a_subscription_follows_the_publishers_that_come(
    bridge: Bridge, unity: Unity, robot: Robot, start_robot: Callable[[], Robot]
) -> None:
    follow(unity)
    reliable = robot.talker(TOPIC, message_type=String)
    wait_until_followed(robot, reliable)
    texts = [str(number) for number in range(200)]
    for text in texts:
        say(reliable, text)
        assert unity.receive_message(TOPIC, String).data == text

    best_effort = start_robot().talker(TOPIC, BEST_EFFORT, String)

    hear(unity, best_effort, "best effort")
    hear(unity, reliable, "reliable")


def test_nothing_is_lost_and_nothing_comes_twice_where_a_subscription_takes_the_place_of_another(
    bridge: Bridge, unity: Unity, robot: Robot, start_robot: Callable[[], Robot]
) -> None:
    reliable = robot.talker(TOPIC, message_type=String)
    follow(unity, queue_size=1000)
    wait_until_followed(robot, reliable)
    start_robot().talker(TOPIC, BEST_EFFORT, String)

    # As fast as they come, so that some of them meet the moment; few on their way, since of more than a queue holds the oldest go.
    read: list[Frame] = []
    for number in count():
        reliabilities = [found.qos_profile.reliability for found in subscriptions(robot, TOPIC)]
        say(reliable, str(number))
        read += unity.has_come(TOPIC)
        while number - len(read) >= ON_THEIR_WAY_MAX:
            read.append(unity.receive(TOPIC))
        if reliabilities == [ReliabilityPolicy.BEST_EFFORT]:
            break

    received = [int(deserialize_message(frame.payload, String).data) for frame in read]
    while received[-1] < number:
        received.append(int(unity.receive_message(TOPIC, String).data))
    assert received == list(range(number + 1))


QOS_REQUESTS = [
    ("best_effort", ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
    ("reliable", ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
    ({"durability": "transient_local"}, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
    (
        {"reliability": "best_effort", "durability": "transient_local"},
        ReliabilityPolicy.BEST_EFFORT,
        DurabilityPolicy.TRANSIENT_LOCAL,
    ),
]


def test_a_client_may_ask_for_a_quality_of_service(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    for number, (asked, reliability, durability) in enumerate(QOS_REQUESTS):
        topic = f"{TOPIC}{number}"
        follow(unity, topic=topic, qos=asked)
        wait_until(lambda topic=topic: subscriptions(robot, topic), f"the subscription of {asked}")
        profile = subscriptions(robot, topic)[0].qos_profile
        assert (profile.reliability, profile.durability) == (reliability, durability), asked


def test_what_a_client_asks_for_stays_whatever_publishers_offer(
    bridge: Bridge, unity: Unity, robot: Robot, talker: Talker
) -> None:
    follow(unity, qos="best_effort")

    hear(unity, talker, "reliable")

    found = wait_until(lambda: subscriptions(robot, TOPIC), "the subscription")
    assert [one.qos_profile.reliability for one in found] == [ReliabilityPolicy.BEST_EFFORT]


def test_a_publisher_of_another_type_is_told_once(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    follow(unity)
    robot.talker(TOPIC, message_type=JointState)

    told = unity.warning()

    assert TOPIC in told
    assert "sensor_msgs/msg/JointState" in told
    # Of the graph that changes again it has nothing new to say.
    other = robot.talker("/other", message_type=String)
    follow(unity, topic="/other")
    wait_until_followed(robot, other)
    assert unity.has_come("__warn") == []


def test_a_client_may_take_back_a_subscription(bridge: Bridge, connect: Connect, robot: Robot, talker: Talker) -> None:
    leaver, stayer = connect(bridge), connect(bridge)
    follow(leaver)
    follow(stayer)
    wait_until_followed(robot, talker, clients=2)

    leaver.send(leaver.say.command("__remove_subscriber", topic=TOPIC))
    leaver.synchronize()

    wait_until_followed(robot, talker)
    say(talker, "for one")
    assert stayer.receive_message(TOPIC, String).data == "for one"
    leaver.synchronize()
    assert leaver.has_come(TOPIC) == []
    follow(leaver)
    wait_until_followed(robot, talker, clients=2)
    say(talker, "for both")
    assert leaver.receive_message(TOPIC, String).data == "for both"


def test_a_registration_with_another_type_takes_the_place_of_the_first(
    bridge: Bridge, unity: Unity, robot: Robot
) -> None:
    for message_type in (String, JointState):
        unity.send(unity.say.publish("/said", message_type), unity.say.subscribe("/heard", message_type))
    unity.synchronize()

    def types() -> list[str]:
        return [found.topic_type for found in publishers(robot, "/said") + subscriptions(robot, "/heard")]

    wait_until(lambda: types() == ["sensor_msgs/msg/JointState"] * 2, "endpoints of the new type")
    assert unity.has_come("__error") == []


def test_what_is_registered_twice_is_had_once(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    """Unity does so on connecting: what was latched stays, and what was heard does not come again."""
    talker = robot.talker(TOPIC, LATCHED, String)
    say(talker, "heard")
    follow(unity)
    assert unity.receive_message(TOPIC, String).data == "heard"
    advertise = unity.say.publish("/state", String, latch=True)
    unity.send(advertise, unity.say.message("/state", String(data="latched")))

    unity.send(advertise)
    follow(unity)

    say(talker, "new")
    assert unity.receive_message(TOPIC, String).data == "new"
    late = Listener(robot, String, "/state", LATCHED)
    late.wait_for(lambda message: message.data == "latched", "the latched message")


def test_echoes_may_be_suppressed(start_bridge: StartBridge, connect: Connect, robot: Robot) -> None:
    bridge = start_bridge(parameters={"suppress_echo": True})
    speaker, hearer = connect(bridge), connect(bridge)
    talker = robot.talker(TOPIC, message_type=String)
    follow(speaker)
    follow(hearer)
    speaker.send(speaker.say.publish(TOPIC, String))
    wait_until_followed(robot, talker, clients=2)

    speaker.send(speaker.say.message(TOPIC, String(data="of the client")))

    assert hearer.receive_message(TOPIC, String).data == "of the client"
    bridge.wait_for_count(1, "unity_bridge_suppressed_echoes_total", topic_name=TOPIC)
    say(talker, "of the robot")
    assert speaker.receive_message(TOPIC, String).data == "of the robot"


def installed_message_types() -> Iterator[Any]:
    """Those of every interface package that is installed, as Python classes."""
    for prefix in os.environ["AMENT_PREFIX_PATH"].split(os.pathsep):
        for package in sorted(Path(prefix).glob("share/ament_index/resource_index/rosidl_interfaces/*")):
            for name in package.read_text().split():
                if name.startswith("msg/") and name.endswith(".msg"):
                    yield getattr(import_module(f"{package.name}.msg"), Path(name).stem)


def test_messages_of_every_installed_type_go_both_ways(
    start_bridge: StartBridge, connect: Connect, robot: Robot
) -> None:
    types = {f"/{unity_name(one).lower()}": one for one in installed_message_types()}
    assert {String, JointState, UInt8MultiArray} <= set(types.values())
    # Two registrations of each. In one read more may come than would wait.
    unity = connect(start_bridge(parameters={"max_registrations": 2 * len(types), "max_frame_rate": 1e6}))
    heard = {topic: Listener(robot, one, f"/from_unity{topic}", LATCHED) for topic, one in types.items()}

    for topic, one in types.items():
        robot.talker(f"/from_ros{topic}", LATCHED, one).publisher.publish(one())
        unity.send(unity.say.subscribe(f"/from_ros{topic}", one, qos={"durability": "transient_local"}))
        unity.send(unity.say.publish(f"/from_unity{topic}", one, latch=True))
        unity.send(unity.say.message(f"/from_unity{topic}", one()))

    for topic, one in types.items():
        assert unity.receive_message(f"/from_ros{topic}", one) == one()
    robot.spin_until(lambda: all(listener.messages for listener in heard.values()), "a message of each type")
    for topic, one in types.items():
        assert heard[topic].messages == [one()]
    assert unity.has_come("__error") == []
