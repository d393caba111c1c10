"""Joint states that well-behaved and less well-behaved robots publish, and what a scrape then shows."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from builtin_interfaces.msg import Time

from exporter import TOPIC, Exporter, StartExporter
from robot import Robot, Talker, repeatedly, time_of
from scrape import Scrape

ROBOT_TOPIC = "/robot1/joint_states"


def test_a_full_joint_state_is_shown(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["shoulder", "elbow"], [0.5, -1.25], [2.0, 3.0], [10.0, -20.0])

    scrape = exporter.wait_for_messages(1)

    assert scrape.positions(TOPIC) == {"shoulder": 0.5, "elbow": -1.25}
    assert scrape.velocities(TOPIC) == {"shoulder": 2.0, "elbow": 3.0}
    assert scrape.efforts(TOPIC) == {"shoulder": 10.0, "elbow": -20.0}
    assert scrape.ages(TOPIC).keys() == {"shoulder", "elbow"}
    assert scrape.rejected(TOPIC) == {}
    exporter.wait_for_status("ok")


@pytest.mark.parametrize("take_in", ["callback", "wait_set"])
@pytest.mark.parametrize("exporter_qos", ["best_effort", "reliable"])
def test_messages_arrive_whichever_way_they_are_taken(
    start_exporter: StartExporter, robot: Robot, take_in: str, exporter_qos: str
) -> None:
    exporter = start_exporter(parameters={"take_in": take_in, "qos": exporter_qos})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)

    for count in range(1, 51):
        # A name of its own in every fifth message, so that both ways through the reader are taken.
        talker.publish(["elbow", f"joint_{count // 5}"], [float(count), 0.0])

    scrape = exporter.wait_for_messages(50)
    assert scrape.positions(TOPIC) == {"elbow": 50.0, **{f"joint_{index}": 0.0 for index in range(11)}}
    assert scrape.lost(TOPIC) == 0


@dataclass(frozen=True)
class Shape:
    """A message for the joints a, b and c, whose arrays are not all as long as its names."""

    position: Sequence[float] = ()
    velocity: Sequence[float] = ()
    effort: Sequence[float] = ()


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Shape(position=[1, 2, 3]), id="position only"),
        pytest.param(Shape(velocity=[1, 2, 3]), id="velocity only"),
        pytest.param(Shape(effort=[1, 2, 3]), id="effort only"),
        pytest.param(Shape([1, 2, 3], [4, 5], [6]), id="velocity and effort shorter"),
        pytest.param(Shape([1, 2], [3, 4, 5], [6, 7, 8]), id="position shorter"),
        pytest.param(Shape(), id="names only"),
    ],
)
def test_what_an_array_does_not_hold_is_absent(exporter: Exporter, talker: Talker, shape: Shape) -> None:
    names = ["a", "b", "c"]

    talker.publish(names, shape.position, shape.velocity, shape.effort)

    scrape = exporter.wait_for_messages(1)
    assert scrape.positions(TOPIC) == dict(zip(names, shape.position, strict=False))
    assert scrape.velocities(TOPIC) == dict(zip(names, shape.velocity, strict=False))
    assert scrape.efforts(TOPIC) == dict(zip(names, shape.effort, strict=False))
    assert scrape.ages(TOPIC).keys() == set(names)
    assert scrape.rejected(TOPIC) == {}


def test_a_message_replaces_all_three_values(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["elbow"], [1.0], [2.0], [3.0])
    exporter.wait_for_messages(1)

    talker.publish(["elbow"], velocity=[20.0])

    scrape = exporter.wait_for_messages(2)
    assert scrape.positions(TOPIC) == {}
    assert scrape.velocities(TOPIC) == {"elbow": 20.0}
    assert scrape.efforts(TOPIC) == {}


def test_values_follow_their_names_when_the_order_changes(exporter: Exporter, talker: Talker) -> None:
    orders = [["a", "b", "c"], ["c", "a", "b"], ["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]
    for count, names in enumerate(orders, start=1):
        # Values that no earlier message had, so that none can be left over.
        position_of = {name: count + offset for name, offset in {"a": 0.1, "b": 0.2, "c": 0.3}.items()}
        talker.publish(names, [position_of[name] for name in names])

        assert exporter.wait_for_messages(count).positions(TOPIC) == position_of


def test_a_name_replaced_by_one_of_the_same_length_is_another_joint(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["left", "arm"], [1.0, 2.0])
    exporter.wait_for_messages(1)

    talker.publish(["rest", "arm"], [3.0, 4.0])

    assert exporter.wait_for_messages(2).positions(TOPIC) == {"left": 1.0, "rest": 3.0, "arm": 4.0}


def test_publishers_of_parts_make_one_robot(exporter: Exporter, start_robot: Callable[[], Robot]) -> None:
    arm, gripper = start_robot().talker(TOPIC), start_robot().talker(TOPIC)
    exporter.wait_until_matched(arm, gripper)

    arm.publish(["shoulder", "elbow"], [1.0, 2.0], [0.1, 0.2])
    exporter.wait_for_messages(1)
    gripper.publish(["finger"], [3.0])
    exporter.wait_for_messages(2)
    arm.publish(["shoulder", "elbow"], [4.0, 5.0])

    scrape = exporter.wait_for_messages(3)
    assert scrape.positions(TOPIC) == {"shoulder": 4.0, "elbow": 5.0, "finger": 3.0}
    assert scrape.velocities(TOPIC) == {}
    assert scrape.ages(TOPIC)["finger"] > scrape.ages(TOPIC)["elbow"]
    assert scrape.lost(TOPIC) == 0


def test_publishers_that_share_a_joint_take_turns(exporter: Exporter, start_robot: Callable[[], Robot]) -> None:
    first, second = start_robot().talker(TOPIC), start_robot().talker(TOPIC)
    exporter.wait_until_matched(first, second)

    for count, talker in enumerate([first, second, first, second], start=1):
        talker.publish(["elbow"], [float(count)])

        assert exporter.wait_for_messages(count).positions(TOPIC) == {"elbow": float(count)}


def test_no_joints_are_a_message_too(exporter: Exporter, talker: Talker) -> None:
    talker.publish([])

    scrape = exporter.wait_for_messages(1)
    assert scrape.ages(TOPIC) == scrape.positions(TOPIC) == {}
    assert scrape.rejected(TOPIC) == {}
    exporter.wait_for_status("ok")


def test_ten_thousand_joints_are_shown(exporter: Exporter, talker: Talker) -> None:
    position_of = {f"joint_{index}": index / 8 for index in range(10_000)}
    names, values = list(position_of), list(position_of.values())

    # More than once, as half a megabyte with nobody to acknowledge it may well be lost.
    with repeatedly(lambda: talker.publish(names, values, values, values), interval_s=0.2):
        scrape = exporter.scrape_until(lambda scrape: scrape.messages(TOPIC), "the large message")

    assert scrape.positions(TOPIC) == scrape.velocities(TOPIC) == scrape.efforts(TOPIC) == position_of
    assert scrape.ages(TOPIC).keys() == position_of.keys()
    assert scrape.rejected(TOPIC) == {}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param('with "quotes"', id="quotes"),
        pytest.param("two\nlines", id="newline"),
        pytest.param("carriage\rreturn", id="carriage return"),
        pytest.param("back\\slash", id="backslash"),
        pytest.param("\\n is no newline \\\\", id="escape sequences"),
        pytest.param('"} 1\nros_joint_position{joint_name="forged', id="a forged series"),
        pytest.param(" ", id="space"),
        pytest.param("a,b={c}#d", id="punctuation"),
        pytest.param("关节_é_🦾", id="beyond ASCII"),
        pytest.param("n" * 256, id="256 bytes"),
    ],
)
def test_a_name_is_passed_on_as_it_is(exporter: Exporter, talker: Talker, name: str) -> None:
    talker.publish([name, "elbow"], [1.0, 2.0])

    scrape = exporter.wait_for_messages(1)

    assert scrape.positions(TOPIC) == {name: 1.0, "elbow": 2.0}
    assert scrape.ages(TOPIC).keys() == {name, "elbow"}
    assert scrape.rejected(TOPIC) == {}


def test_values_lose_no_bits(exporter: Exporter, talker: Talker) -> None:
    values = [0.1, 1 / 3, -math.pi, 5e-324, 1.7976931348623157e308, 1e16, 123456789.123456789, 1e-7]
    position_of = {f"joint_{index}": value for index, value in enumerate(values)}

    talker.publish(list(position_of), values)

    assert exporter.wait_for_messages(1).positions(TOPIC) == position_of


def test_minus_zero_keeps_its_sign(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["elbow"], [-0.0])

    position = exporter.wait_for_messages(1).positions(TOPIC)["elbow"]

    assert math.copysign(1.0, position) == -1.0


def test_infinity_is_passed_on_and_nan_is_absent(exporter: Exporter, talker: Talker) -> None:
    talker.publish(["a", "b", "c", "d"], [math.inf, -math.inf, math.nan, 1.0], [math.nan] * 4, [1.0, math.inf, 2.0])

    scrape = exporter.wait_for_messages(1)

    assert scrape.positions(TOPIC) == {"a": math.inf, "b": -math.inf, "d": 1.0}
    assert scrape.velocities(TOPIC) == {}
    assert scrape.efforts(TOPIC) == {"a": 1.0, "b": math.inf, "c": 2.0}
    assert scrape.ages(TOPIC).keys() == {"a", "b", "c", "d"}
    assert scrape.by("field", "ros_joint_nonfinite_total", topic_name=TOPIC) == {
        "position": 3.0,
        "velocity": 4.0,
        "effort": 1.0,
    }
    assert scrape.rejected(TOPIC) == {}


def test_a_number_after_nan_is_shown_again(exporter: Exporter, talker: Talker) -> None:
    for count, position in enumerate([1.0, math.nan, 2.0], start=1):
        talker.publish(["elbow"], [position])

        expected = {} if math.isnan(position) else {"elbow": position}
        assert exporter.wait_for_messages(count).positions(TOPIC) == expected


def is_consistent(scrape: Scrape, stale_after_s: float) -> bool:
    """A joint has values exactly while its age, in the same scrape, is not over `stale_after`."""
    fresh = {name for name, age_s in scrape.ages(TOPIC).items() if age_s <= stale_after_s}
    return scrape.positions(TOPIC).keys() == scrape.velocities(TOPIC).keys() == scrape.efforts(TOPIC).keys() == fresh


def test_a_joint_that_vanishes_leaves_its_age_and_then_nothing(start_exporter: StartExporter, robot: Robot) -> None:
    stale_after_s, forget_after_s = 0.4, 1.2
    exporter = start_exporter(parameters={"stale_after": stale_after_s, "forget_after": forget_after_s})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    seen: list[Scrape] = []

    def see(scrape: Scrape) -> Scrape:
        seen.append(scrape)
        return scrape

    talker.publish(["elbow", "wrist"], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0])
    with repeatedly(lambda: talker.publish(["elbow"], [3.0], [4.0], [5.0])):
        exporter.scrape_until(lambda scrape: see(scrape).positions(TOPIC) == {"elbow": 3.0}, "no position of the wrist")
        exporter.scrape_until(lambda scrape: see(scrape).ages(TOPIC).keys() == {"elbow"}, "no age of the wrist")

    assert all(is_consistent(scrape, stale_after_s) for scrape in seen)
    wrist_ages = [scrape.ages(TOPIC)["wrist"] for scrape in seen if "wrist" in scrape.ages(TOPIC)]
    assert wrist_ages == sorted(wrist_ages)
    assert stale_after_s < wrist_ages[-1] <= forget_after_s
    # That the time in between was seen, and not only its ends.
    assert any(stale_after_s < age_s for age_s in wrist_ages[:-1])
    assert seen[-1].positions(TOPIC) == {"elbow": 3.0}


def test_a_joint_comes_back_from_stale_and_from_forgotten(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"stale_after": 0.1, "forget_after": 0.5})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)

    def publish_and_see(position: float) -> None:
        with repeatedly(lambda: talker.publish(["elbow"], [position])):
            exporter.scrape_until(lambda scrape: scrape.positions(TOPIC) == {"elbow": position}, "the elbow")

    publish_and_see(1.0)
    exporter.scrape_until(lambda scrape: not scrape.positions(TOPIC) and scrape.ages(TOPIC), "a stale elbow")
    publish_and_see(2.0)
    exporter.scrape_until(lambda scrape: not scrape.ages(TOPIC), "a forgotten elbow")
    publish_and_see(3.0)


def test_an_age_grows_from_one_scrape_to_the_next(exporter: Exporter, talker: Talker) -> None:
    published_at = time.monotonic()
    talker.publish(["elbow"], [1.0])
    first_age_s = exporter.wait_for_messages(1).ages(TOPIC)["elbow"]

    scrape = exporter.scrape_until(lambda scrape: scrape.ages(TOPIC)["elbow"] > first_age_s + 0.2, "a growing age")

    assert 0.2 < scrape.ages(TOPIC)["elbow"] <= time.monotonic() - published_at


def test_two_topics_are_kept_apart(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"topics": [TOPIC, ROBOT_TOPIC]})
    one, other = robot.talker(TOPIC), robot.talker(ROBOT_TOPIC)
    exporter.wait_until_matched(one, other)

    one.publish(["elbow"], [1.0])
    other.publish(["elbow", "wrist"], [2.0, 3.0])
    other.publish(["elbow", "wrist"], [4.0, 5.0])

    exporter.wait_for_messages(1, TOPIC)
    scrape = exporter.wait_for_messages(2, ROBOT_TOPIC)
    assert scrape.positions(TOPIC) == {"elbow": 1.0}
    assert scrape.positions(ROBOT_TOPIC) == {"elbow": 4.0, "wrist": 5.0}
    assert scrape.publishers(TOPIC) == scrape.publishers(ROBOT_TOPIC) == 1


def test_only_the_topics_that_were_asked_for_are_there(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter(parameters={"topics": [ROBOT_TOPIC]})
    watched, unwatched = robot.talker(ROBOT_TOPIC), robot.talker(TOPIC)
    exporter.wait_until_matched(watched)

    unwatched.publish(["elbow"], [1.0])
    watched.publish(["elbow"], [2.0])

    exporter.wait_for_messages(1, ROBOT_TOPIC)
    assert f'"{TOPIC}"' not in exporter.scrape().text


def test_stamps_sort_messages(exporter: Exporter, talker: Talker) -> None:
    """A stamp of the past makes an age; one of the future and those that tell no time are counted."""
    past_ns = time.time_ns() - 10 * 10**9
    talker.publish(["elbow"], stamp=time_of(past_ns))
    talker.publish(["elbow"], stamp=time_of(0))
    talker.publish(["elbow"], stamp=time_of(time.time_ns() + 3600 * 10**9))
    talker.publish(["elbow"], stamp=Time(sec=-1, nanosec=0))
    talker.publish(["elbow"], stamp=Time(sec=1, nanosec=10**9))

    scrape = exporter.wait_for_messages(5)

    assert scrape.value("ros_message_age_seconds_count", topic_name=TOPIC) == 1
    assert 10 <= scrape.value("ros_message_age_seconds_sum", topic_name=TOPIC) < (time.time_ns() - past_ns) / 10**9
    assert scrape.value("ros_message_unstamped_total", topic_name=TOPIC) == 3
    assert scrape.value("ros_message_from_future_total", topic_name=TOPIC) == 1


def test_each_message_enters_the_histograms(exporter: Exporter, talker: Talker) -> None:
    first_at = time.monotonic()
    for count in range(1, 4):
        talker.publish(["elbow"], [1.0])
        exporter.wait_for_messages(count)
    seconds = time.monotonic() - first_at

    scrape = exporter.scrape()

    assert scrape.value("ros_message_interval_seconds_count", topic_name=TOPIC) == 2
    assert 0 < scrape.value("ros_message_interval_seconds_sum", topic_name=TOPIC) <= seconds
    assert scrape.value("ros_message_age_seconds_count", topic_name=TOPIC) == 3
    assert 0 < scrape.value("ros_message_age_seconds_sum", topic_name=TOPIC) <= 3 * seconds
    assert scrape.value("ros_transport_latency_seconds_count", topic_name=TOPIC) == 3
    assert 0 < scrape.value("ros_transport_latency_seconds_sum", topic_name=TOPIC) <= 3 * seconds
    assert scrape.value("ros_processing_time_seconds_count") == 3
    assert 0 < scrape.value("ros_processing_time_seconds_sum") <= seconds


@pytest.mark.parametrize(
    ("histogram", "labels"),
    [
        ("ros_processing_time_seconds", {}),
        ("ros_message_interval_seconds", {"topic_name": TOPIC}),
        ("ros_message_age_seconds", {"topic_name": TOPIC}),
        ("ros_transport_latency_seconds", {"topic_name": TOPIC}),
    ],
)
def test_the_buckets_of_a_histogram_add_up(
    exporter: Exporter, talker: Talker, histogram: str, labels: dict[str, str]
) -> None:
    for count in range(1, 4):
        talker.publish(["elbow"], [1.0])
        exporter.wait_for_messages(count)

    scrape = exporter.scrape()

    buckets = scrape.by("le", f"{histogram}_bucket", **labels)
    counts = [count for _, count in sorted(buckets.items(), key=lambda bucket: float(bucket[0]))]
    assert counts == sorted(counts)
    assert buckets["+Inf"] == scrape.value(f"{histogram}_count", **labels)
    assert len(counts) > 5


def test_processing_time_is_measured_from_a_microsecond(exporter: Exporter) -> None:
    edges = exporter.scrape().by("le", "ros_processing_time_seconds_bucket")

    assert min(float(edge) for edge in edges) == 1e-6
