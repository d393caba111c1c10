"""Messages that no honest robot would send: each is counted with its reason, and none does harm."""

import random
from collections.abc import Callable

import pytest
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from cdr import ByteOrder, Encoding, joint_state
from exporter import TOPIC, Exporter, StartExporter
from robot import Robot, Talker
from scrape import Scrape

NAMES = ["shoulder", "elbow"]
GOOD = joint_state(NAMES, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0], stamp=(12, 34), frame_id=b"base")


def wait_until_rejected(exporter: Exporter, reason: str, count: int = 1) -> Scrape:
    """A scrape from after so many rejections: in the one that shows the last, other counts may be from before it."""
    exporter.scrape_until(
        lambda scrape: scrape.rejected(TOPIC) == {reason: count}, f"{count} messages rejected as {reason}"
    )
    return exporter.scrape()


def assert_shows_the_good_message(scrape: Scrape) -> None:
    assert scrape.positions(TOPIC) == {"shoulder": 1.0, "elbow": 2.0}
    assert scrape.velocities(TOPIC) == {"shoulder": 3.0, "elbow": 4.0}
    assert scrape.efforts(TOPIC) == {"shoulder": 5.0, "elbow": 6.0}


@pytest.mark.parametrize("padding_byte", [b"\0", b"\xff"], ids=["zero padding", "padding of ones"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_both_byte_orders_are_read_whatever_is_in_the_padding(
    exporter: Exporter, talker: Talker, order: ByteOrder, padding_byte: bytes
) -> None:
    encoding = Encoding(order=order, padding_byte=padding_byte)
    talker.publish_bytes(joint_state(NAMES, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0], frame_id=b"base", encoding=encoding))

    scrape = exporter.wait_for_messages(1)

    assert_shows_the_good_message(scrape)
    assert scrape.rejected(TOPIC) == {}


def test_byte_orders_may_change_from_one_message_to_the_next(exporter: Exporter, talker: Talker) -> None:
    orders: list[ByteOrder] = ["little", "big", "little", "big"]
    for count, order in enumerate(orders, start=1):
        talker.publish_bytes(joint_state(NAMES, [count, -count], encoding=Encoding(order=order)))

        assert exporter.wait_for_messages(count).positions(TOPIC) == {"shoulder": count, "elbow": -count}


def test_padding_may_change_from_one_message_to_the_next(exporter: Exporter, talker: Talker) -> None:
    for count, padding_byte in enumerate([b"\0", b"\xff", b"\7", b"\0"], start=1):
        talker.publish_bytes(joint_state(NAMES, [count, -count], encoding=Encoding(padding_byte=padding_byte)))

        assert exporter.wait_for_messages(count).positions(TOPIC) == {"shoulder": count, "elbow": -count}
    assert exporter.scrape().rejected(TOPIC) == {}


def test_a_message_cut_off_anywhere_is_refused(exporter: Exporter, talker: Talker) -> None:
    talker.publish_bytes(GOOD)
    exporter.wait_for_messages(1)
    # On the wire a message fills a multiple of 4 bytes, so that up to 3 missing ones cannot be told. One of no bytes at
    # all is not delivered.
    for length in range(1, len(GOOD) - 3):
        talker.publish_bytes(GOOD[:length])
        # One at a time, as a burst could overflow a queue on the way.
        wait_until_rejected(exporter, "truncated", length)

    scrape = exporter.scrape()

    assert scrape.messages(TOPIC) == 1
    assert_shows_the_good_message(scrape)


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        pytest.param(Encoding(announced={"names": 3}), "bad_length", id="one name too many, read from the positions"),
        pytest.param(Encoding(announced={"effort": 3}), "truncated", id="one effort too many"),
        pytest.param(Encoding(announced={"position": 8_000_000}), "truncated", id="64 MB of positions"),
        pytest.param(Encoding(announced={"names": 100_000_000}), "bad_length", id="100 million names"),
        pytest.param(Encoding(announced={"position": 0xFFFFFFFF}), "bad_length", id="4 billion positions"),
        pytest.param(Encoding(announced={"names": 0xFFFFFFFF}), "bad_length", id="4 billion names"),
        pytest.param(Encoding(announced={"name": 0xFFFFFFFF}), "bad_length", id="a name of 4 GiB"),
        pytest.param(Encoding(announced={"frame_id": 0xFFFFFFFF}), "bad_length", id="a frame of 4 GiB"),
        pytest.param(Encoding(terminator=b"x"), "bad_length", id="strings without their NUL"),
        pytest.param(Encoding(trailing=bytes(64)), "bad_length", id="something after the end"),
        pytest.param(Encoding(announced={"effort": 0}), "bad_length", id="fewer efforts than there are"),
        pytest.param(Encoding(encapsulation=b"\0\2\0\0"), "wrong_encoding", id="a parameter list"),
        pytest.param(Encoding(encapsulation=b"\0\7\0\0"), "wrong_encoding", id="XCDR2"),
        pytest.param(Encoding(encapsulation=b"\xff\xff\0\0"), "wrong_encoding", id="an unknown encapsulation"),
    ],
)
def test_a_message_that_lies_is_refused_whole(
    exporter: Exporter, talker: Talker, encoding: Encoding, reason: str
) -> None:
    talker.publish_bytes(GOOD)
    exporter.wait_for_messages(1)

    talker.publish_bytes(joint_state(NAMES, [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], encoding=encoding))

    scrape = wait_until_rejected(exporter, reason)
    assert scrape.messages(TOPIC) == 1
    assert_shows_the_good_message(scrape)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(JointState(name=["a", "elbow"], position=[1.0, 2.0]), id="two empty arrays"),
        pytest.param(JointState(name=["a", "elbow"], velocity=[1.0, 2.0], effort=[1.0, 2.0]), id="an empty array"),
        pytest.param(JointState(name=["a", "elbow"]), id="names only"),
    ],
)
def test_what_ros_serialized_beforehand_is_read(exporter: Exporter, talker: Talker, message: JointState) -> None:
    """The middleware estimates the length that it needs, and leaves what it needed not at the end of the message."""
    talker.publish_bytes(serialize_message(message))

    scrape = exporter.scrape_until(
        lambda scrape: scrape.messages(TOPIC) or scrape.rejected(TOPIC), "the message accounted for"
    )
    assert scrape.rejected(TOPIC) == {}
    assert scrape.positions(TOPIC) == dict(zip(message.name, message.position, strict=False))
    assert scrape.efforts(TOPIC) == dict(zip(message.name, message.effort, strict=False))
    assert scrape.ages(TOPIC).keys() == set(message.name)


@pytest.mark.parametrize("too_long", ["position", "velocity", "effort"])
def test_more_values_than_names_refuse_the_message(exporter: Exporter, talker: Talker, too_long: str) -> None:
    talker.publish(NAMES, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0])
    exporter.wait_for_messages(1)

    talker.publish(NAMES, **{too_long: [7.0, 7.0, 7.0]})

    scrape = wait_until_rejected(exporter, "length_mismatch")
    assert scrape.messages(TOPIC) == 1
    assert_shows_the_good_message(scrape)


def test_values_without_any_name_refuse_the_message(exporter: Exporter, talker: Talker) -> None:
    talker.publish([], [1.0])

    scrape = wait_until_rejected(exporter, "length_mismatch")
    assert scrape.messages(TOPIC) == 0
    assert scrape.ages(TOPIC) == {}
    exporter.wait_for_status("silent")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"n" * 257, id="257 bytes"),
        pytest.param(b"n" * 65536, id="64 KiB"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"\xed\xa0\x80", id="half a surrogate pair"),
        pytest.param(b"\xc0\x80", id="an overlong NUL"),
        pytest.param("é".encode()[:1], id="half a character"),
        pytest.param(b"el\0bow", id="a NUL inside"),
    ],
)
def test_a_bad_name_costs_that_joint_only(exporter: Exporter, talker: Talker, name: bytes) -> None:
    talker.publish_bytes(joint_state([b"before", name, b"after"], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]))

    scrape = wait_until_rejected(exporter, "bad_name")

    assert scrape.messages(TOPIC) == 1
    assert scrape.positions(TOPIC) == {"before": 1.0, "after": 3.0}
    assert scrape.velocities(TOPIC) == {"before": 4.0, "after": 6.0}
    assert scrape.ages(TOPIC).keys() == {"before", "after"}


def test_bad_names_count_once_in_each_message(exporter: Exporter, talker: Talker) -> None:
    for count in range(1, 4):
        talker.publish_bytes(joint_state([b"", b"\xff", b"elbow"], [1.0, 2.0, count]))

        scrape = wait_until_rejected(exporter, "bad_name", count)
        assert scrape.positions(TOPIC) == {"elbow": count}
        assert scrape.messages(TOPIC) == count


@pytest.mark.parametrize("names", [["a", "twin", "b", "twin"], ["twin", "a", "twin", "twin", "b"]])
def test_a_duplicate_name_costs_all_joints_of_that_name(exporter: Exporter, talker: Talker, names: list[str]) -> None:
    positions = {name: float(index) for index, name in enumerate(names)}
    talker.publish(names, range(len(names)))

    scrape = wait_until_rejected(exporter, "duplicate_joint")

    assert scrape.messages(TOPIC) == 1
    assert scrape.positions(TOPIC) == {"a": positions["a"], "b": positions["b"]}
    assert scrape.ages(TOPIC).keys() == {"a", "b"}


def test_a_duplicate_name_leaves_an_earlier_value_alone(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["twin", "a"], [1.0, 2.0])
    exporter.wait_for_messages(1)

    talker.publish(["twin", "twin", "a"], [3.0, 4.0, 5.0])

    scrape = wait_until_rejected(exporter, "duplicate_joint")
    assert scrape.positions(TOPIC) == {"twin": 1.0, "a": 5.0}
    assert scrape.ages(TOPIC)["twin"] > scrape.ages(TOPIC)["a"]


def test_a_message_counts_once_for_each_of_its_reasons(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["", "twin", "twin", "a"], [1.0, 2.0, 3.0, 4.0])

    scrape = exporter.wait_for_messages(1)

    assert scrape.rejected(TOPIC) == {"bad_name": 1, "duplicate_joint": 1}
    assert scrape.positions(TOPIC) == {"a": 4.0}


def test_joints_over_the_limit_are_left_out(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"max_joints": 3})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    position_of = {f"joint_{index}": float(index) for index in range(5)}

    talker.publish(list(position_of), list(position_of.values()))

    scrape = wait_until_rejected(exporter, "too_many_joints")
    shown = scrape.positions(TOPIC)
    assert len(shown) == len(scrape.ages(TOPIC)) == 3
    assert shown.items() <= position_of.items()
    assert scrape.messages(TOPIC) == 1


def test_known_joints_are_updated_when_there_is_no_room_for_others(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"max_joints": 2})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    talker.publish(["a", "b"], [1.0, 2.0])
    exporter.wait_for_messages(1)

    talker.publish(["new", "b", "a"], [3.0, 4.0, 5.0])

    scrape = wait_until_rejected(exporter, "too_many_joints")
    assert scrape.positions(TOPIC) == {"a": 5.0, "b": 4.0}


def test_a_forgotten_joint_makes_room(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"max_joints": 1, "stale_after": 0.1, "forget_after": 0.3})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    talker.publish(["old"], [1.0])
    exporter.wait_for_messages(1)

    def new_is_shown(scrape: Scrape) -> bool:
        talker.publish(["new"], [2.0])
        return scrape.positions(TOPIC) == {"new": 2.0}

    scrape = exporter.scrape_until(new_is_shown, "the new joint in place of the old one")
    assert scrape.ages(TOPIC).keys() == {"new"}


def wait_until_accounted_for(exporter: Exporter, count: int) -> None:
    """Waits until so many messages were recorded or rejected; one that was recorded in part counts as both."""
    exporter.scrape_until(
        lambda scrape: scrape.messages(TOPIC) + sum(scrape.rejected(TOPIC).values()) >= count,
        f"{count} messages accounted for",
    )


def test_noise_is_counted_and_does_no_harm(exporter: Exporter, talker: Talker) -> None:
    noise = random.Random(20)
    # The encapsulation of every other one is right, so that the reader goes on.
    messages = [GOOD[: index % 2 * 4] + noise.randbytes(noise.randrange(1, 200)) for index in range(200)]

    for count, message in enumerate(messages, start=1):
        talker.publish_bytes(message)
        wait_until_accounted_for(exporter, count)

    before = exporter.scrape().messages(TOPIC)
    talker.publish_bytes(GOOD)
    scrape = exporter.scrape_until(lambda scrape: scrape.messages(TOPIC) == before + 1, "the good message")
    assert scrape.positions(TOPIC).items() >= {"shoulder": 1.0, "elbow": 2.0}.items()


def test_mutations_of_a_good_message_are_counted_and_do_no_harm(exporter: Exporter, talker: Talker) -> None:
    changes = random.Random(21)
    total = 200
    for count in range(1, total + 1):
        mutated = bytearray(GOOD)
        mutated[changes.randrange(len(mutated))] ^= 1 << changes.randrange(8)
        talker.publish_bytes(bytes(mutated))
        wait_until_accounted_for(exporter, count)

    assert exporter.get("/readyz").status == 200


@pytest.fixture
def string_publisher(start_robot: Callable[[], Robot]) -> Publisher:
    """A publisher of another type on the topic; in a participant of its own, as one cannot have two types."""
    return start_robot().talker(TOPIC, message_type=String).publisher


def test_another_type_on_the_topic_is_told(exporter: Exporter, string_publisher: Publisher) -> None:
    string_publisher.publish(String(data="no joint state"))

    scrape = exporter.wait_for_status("type_mismatch")

    assert scrape.publishers(TOPIC) == 0
    assert scrape.messages(TOPIC) == 0


def test_another_type_on_the_topic_does_not_disturb_the_right_one(
    exporter: Exporter, string_publisher: Publisher, robot: Robot
) -> None:
    exporter.wait_for_status("type_mismatch")
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)

    string_publisher.publish(String(data="no joint state"))
    talker.publish(["elbow"], [1.0])

    scrape = exporter.wait_for_messages(1)
    assert scrape.positions(TOPIC) == {"elbow": 1.0}
    assert scrape.rejected(TOPIC) == {}
    exporter.wait_for_status("ok")
