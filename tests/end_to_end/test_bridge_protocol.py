"""What goes over the wire between the Unity bridge and its clients: in which order, in which pieces, and what is no good."""

import json
import time
from collections.abc import Callable

import pytest
from std_msgs.msg import Empty, String
from std_srvs.srv import SetBool

from bridge import Bridge, Connect, StartBridge, publish_until_heard, publishers
from robot import Listener, Robot, repeatedly
from unity import KEEPALIVE, Speech, Unity, encode
from waiting import wait_until

# A client is told so many errors at once, and then as many in a second.
TOLD_AT_ONCE = 10

Deliver = Callable[..., None]


def connect_order(say: Speech) -> list[bytes]:
    """What Unity sends on connecting: publishers that were registered before come twice."""
    return [
        KEEPALIVE,
        say.publish("/chatter", String),
        say.subscribe("/chatter", String),
        say.ros_service("/ask", SetBool),
        say.unity_service("/answer", SetBool),
        say.publish("/chatter", String),
        say.subscribe("/chatter", String),
        say.command("__topic_list"),
    ]


@pytest.mark.parametrize("deliver", [Unity.send, Unity.send_byte_by_byte], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("ends_with_nul", [True, False], ids=["NUL", "no NUL"])
def test_a_client_connects_as_unity_does(
    bridge: Bridge, connect: Connect, robot: Robot, deliver: Deliver, ends_with_nul: bool
) -> None:
    unity = connect(bridge, ends_with_nul=ends_with_nul)

    deliver(unity, *connect_order(unity.say))

    handshake, topic_list = unity.next(), unity.next()
    assert handshake.destination == "__handshake"
    assert handshake.fields["version"].startswith("v0.7.")
    assert json.loads(handshake.fields["metadata"]) == {"protocol": "ROS2"}
    assert topic_list.destination == "__topic_list"
    topics = dict(zip(topic_list.fields["topics"], topic_list.fields["types"], strict=True))
    assert topics["/chatter"] == "std_msgs/String"
    wait_until(lambda: len(publishers(robot, "/chatter")) == 1, "one publisher, registered twice")
    deliver(unity, unity.say.message("/chatter", String(data="grün")), KEEPALIVE)
    assert unity.receive_message("/chatter", String).data == "grün"
    assert unity.has_come("__error") == []


def test_frames_that_come_in_one_write_are_all_taken(bridge: Bridge, robot: Robot, unity: Unity) -> None:
    heard = Listener(robot, String, "/chatter")
    unity.send(unity.say.publish("/chatter", String))
    publish_until_heard(robot, heard, unity, "/chatter", String(data="first"))

    texts = [str(number) for number in range(50)]
    unity.send(*(unity.say.message("/chatter", String(data=text)) for text in texts))

    heard.wait_for(lambda message: message.data == texts[-1], "the last message")
    assert [message.data for message in heard.messages if message.data != "first"] == texts


def test_a_topic_goes_by_the_name_that_its_client_gave_it(bridge: Bridge, connect: Connect) -> None:
    """Unity looks topics up by the exact text."""
    relative, absolute = connect(bridge), connect(bridge)
    absolute.send(absolute.say.publish("/chatter", String), absolute.say.subscribe("/chatter", String))
    absolute.synchronize()
    relative.send(relative.say.subscribe("chatter", String))
    relative.synchronize()

    absolute.send(absolute.say.message("/chatter", String(data="hello")))

    assert relative.receive_message("chatter", String).data == "hello"
    assert absolute.receive_message("/chatter", String).data == "hello"


# What is sent, what the text has to say of it, and how it is counted.
FAULTS = [
    (encode(b"__tf\0", b"{}\0"), 'unknown command "__tf"', "unknown_command"),
    (encode(b"____init__", b"{}"), 'unknown command "____init__"', "unknown_command"),
    (encode(b"__subscribe", b'{"topic":'), "no JSON", "bad_json"),
    (encode(b"__subscribe", b"\xff\xfe\x00"), "no JSON", "bad_json"),
    (encode(b"__subscribe", b'{"topic":"/a"}'), "message_name", "bad_field"),
    (encode(b"__subscribe", b'{"topic":"/a b","message_name":"std_msgs/String"}'), '"/a b"', "bad_name"),
    (encode(b"__publish", b'{"topic":"/a","message_name":"String"}'), '"String"', "bad_type"),
    (encode(b"__response", b'{"srv_id":1001}'), "1001", "unknown_response"),
    (encode(b"", b"lost"), "without a destination", "no_destination"),
]


@pytest.mark.parametrize(("sent", "words", "kind"), FAULTS, ids=[kind for _, _, kind in FAULTS])
def test_a_frame_that_is_not_understood_is_told_and_the_connection_lives(
    bridge: Bridge, unity: Unity, sent: bytes, words: str, kind: str
) -> None:
    unity.send(sent)

    assert words in unity.error()
    unity.synchronize()
    assert bridge.scrape().value("unity_bridge_protocol_errors_total", kind=kind) == 1


def test_a_type_that_is_not_installed_is_told_and_the_connection_lives(bridge: Bridge, unity: Unity) -> None:
    for command in ("__subscribe", "__publish", "__ros_service", "__unity_service"):
        unity.send(unity.say.command(command, topic="/a", message_name="nowhere/Thing"))
        assert "nowhere" in unity.error()
    unity.send(unity.say.command("__subscribe", topic="/a", message_name="std_msgs/Thing"))
    assert "Thing" in unity.error()
    unity.synchronize()
    refusals = bridge.scrape().by("operation", "unity_bridge_refusals_total", reason="ros")
    assert refusals == {"subscribe": 2, "publish": 1, "call": 1, "offer": 1}


def test_a_message_to_a_topic_that_was_not_registered_is_told_and_counted(bridge: Bridge, unity: Unity) -> None:
    unity.send(unity.say.message("/chatter", String()))

    told = unity.error()

    assert "/chatter" in told
    assert "__publish" in told
    unity.synchronize()
    assert bridge.scrape().value("unity_bridge_unregistered_messages_total") == 1


def test_a_message_that_is_no_message_is_told_and_the_connection_lives(bridge: Bridge, unity: Unity) -> None:
    unity.send(unity.say.publish("/chatter", String), unity.say.frame("/chatter", b""))

    assert "/chatter" in unity.error()
    unity.synchronize()
    assert bridge.scrape().value("unity_bridge_messages_unpublished_total", topic_name="/chatter") == 1


def test_a_client_that_is_wrong_with_every_frame_is_told_so_now_and_then(bridge: Bridge, unity: Unity) -> None:
    count = 1000
    unity.send(*[unity.say.command("__nonsense")] * count)
    unity.synchronize()

    told = len(unity.has_come("__error"))

    scrape = bridge.scrape()
    assert TOLD_AT_ONCE <= told < count / 10
    assert scrape.value("unity_bridge_protocol_errors_total", kind="unknown_command") == count
    assert scrape.value("unity_bridge_untold_errors_total") == count - told
    # In the log they are as few.
    assert bridge.stderr.count("__nonsense") == told


# What cannot be a frame, or may not be one, and what the text has to say of it.
BAD_FRAMES = {
    "garbage": (b"GET / HTTP/1.1\r\n\r\n", "is this a client of ROS-TCP?", "destination_too_long"),
    "a name too long": (encode(b"/" + b"a" * 1024, b""), "1025 bytes, at most 1024", "destination_too_long"),
    "a message too long": (encode(b"/a", bytes(5001))[:20], "5001 bytes", "payload_too_long"),
    "not UTF-8": (encode(b"\xff\xfe", b""), "UTF-8", "destination_not_utf8"),
}


@pytest.mark.parametrize(("sent", "words", "kind"), BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_client_whose_frames_are_none_is_told_and_closed_and_others_live(
    start_bridge: StartBridge, connect: Connect, sent: bytes, words: str, kind: str
) -> None:
    bridge = start_bridge(parameters={"max_payload_bytes": 5000})
    bad, good = connect(bridge), connect(bridge)

    bad.send(bad.say.command("__topic_list"), sent, bad.say.command("__topic_list"))
    bad.wait_until_closed()

    assert words in bad.error()
    assert len(bad.has_come("__topic_list")) == 1
    good.synchronize()
    bad.close()
    bridge.wait_for_clients(1)
    scrape = bridge.scrape()
    assert scrape.value("unity_bridge_protocol_errors_total", kind=kind) == 1
    assert scrape.value("unity_bridge_disconnections_total", reason="frame") == 1


def test_a_message_may_be_as_long_as_the_limit(start_bridge: StartBridge, connect: Connect) -> None:
    unity = connect(start_bridge(parameters={"max_payload_bytes": 5000}))
    unity.send(unity.say.publish("/chatter", String), unity.say.subscribe("/chatter", String))
    # 4 bytes of encapsulation, 4 of length, and the NUL at the end.
    text = "a" * (5000 - 9)

    unity.send(unity.say.message("/chatter", String(data=text)))

    assert unity.receive_message("/chatter", String).data == text


def test_a_client_that_is_silent_is_told_and_closed(start_bridge: StartBridge, connect: Connect) -> None:
    bridge = start_bridge(parameters={"silence_timeout": 0.5})
    silent, alive = connect(bridge), connect(bridge)

    with repeatedly(lambda: alive.send(KEEPALIVE), 0.1):
        silent.wait_until_closed()
        bridge.wait_for_count(1, "unity_bridge_disconnections_total", reason="silent")
        alive.synchronize()

    assert "keepalive" in silent.error()


def test_a_client_that_is_too_fast_is_slowed_down_and_loses_nothing(
    start_bridge: StartBridge, connect: Connect, robot: Robot
) -> None:
    rate = 100
    # Shorter than what comes at once takes: a client that has to wait is not silent.
    unity = connect(start_bridge(parameters={"max_frame_rate": float(rate), "silence_timeout": 0.5}))
    heard = Listener(robot, String, "/chatter")
    unity.send(unity.say.publish("/chatter", String))
    publish_until_heard(robot, heard, unity, "/chatter", String(data="first"))

    # Those of one second may come at once.
    texts = [str(number) for number in range(2 * rate)]
    started_at = time.monotonic()
    unity.send(*(unity.say.message("/chatter", String(data=text)) for text in texts))
    with repeatedly(lambda: unity.send(KEEPALIVE), 0.1):
        heard.wait_for(lambda message: message.data == texts[-1], "the last message")
        took_s = time.monotonic() - started_at
        unity.synchronize()

    assert [message.data for message in heard.messages if message.data != "first"] == texts
    assert took_s > 0.9


def test_a_client_that_asks_and_does_not_read_is_closed(bridge: Bridge, connect: Connect) -> None:
    stalled = connect(bridge, receive_buffer_bytes=4096)
    names = [f"/{'a' * 200}{number}" for number in range(50)]
    stalled.send(*(stalled.say.publish(name, Empty) for name in names))
    stalled.synchronize()

    with pytest.raises(ConnectionError):
        # Each is answered with 10 KB.
        while True:
            stalled.send(*[stalled.say.command("__topic_list")] * 100)

    bridge.wait_for_count(1, "unity_bridge_disconnections_total", reason="stalled")
