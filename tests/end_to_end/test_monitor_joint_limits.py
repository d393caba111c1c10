"""Joints held against the limits of their robot's description."""

from collections.abc import Callable, Mapping

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from monitor import Monitor, StartMonitor
from robot import Robot, Talker, repeatedly
from scrape import Scrape

NAMESPACE = "/robot1"
STATES = f"{NAMESPACE}/joint_states"
DESCRIPTION = f"{NAMESPACE}/robot_description"

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

LIMIT = '<limit lower="-1" upper="2" velocity="3" effort="4"/>'


def joint(name: str, kind: str, inside: str) -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="a"/><child link="b"/>{inside}</joint>'


URDF = "".join(
    [
        '<robot name="arm"><link name="a"/><link name="b"/>',
        joint("hinge", "revolute", LIMIT),
        joint("slide", "prismatic", LIMIT),
        joint("wheel", "continuous", '<limit velocity="3" effort="4"/>'),
        joint("mirror", "revolute", '<mimic joint="hinge" multiplier="2"/>'),
        joint("weld", "fixed", ""),
        "</robot>",
    ]
)


@pytest.fixture
def monitor(start_monitor: StartMonitor, robot: Robot) -> Monitor:
    """One that comes after the description, which is latched."""
    describe(robot, URDF)
    return start_monitor()


def describe(robot: Robot, text: str) -> Talker:
    talker = robot.talker(DESCRIPTION, LATCHED, String)
    talker.publisher.publish(String(data=text))
    return talker


@pytest.fixture
def of_joint(domain_id: int) -> Callable[..., float | None]:
    def value(scrape: Scrape, metric: str, name: str, **labels: str) -> float | None:
        scope = {"domain": str(domain_id), "robot": "", "topic_name": STATES}
        return scrape.get(metric, joint_name=name, **scope, **labels)

    return value


def states(talker: Talker, positions: Mapping[str, float], velocity: float = 0.0) -> Callable[[], None]:
    def publish() -> None:
        names = list(positions)
        talker.publish(names, list(positions.values()), [velocity] * len(names), [1.0] * len(names))

    return publish


def test_margins_have_the_units_of_their_joints(
    monitor: Monitor, robot: Robot, of_joint: Callable[..., float | None]
) -> None:
    talker = robot.talker(STATES)
    expected = {
        ("hinge", "position", "radians"): 0.5,
        ("hinge", "velocity", "radians_per_second"): 3.0,
        ("hinge", "effort", "newton_metres"): 3.0,
        ("slide", "position", "metres"): 0.5,
        ("slide", "effort", "newtons"): 3.0,
        ("mirror", "position", "radians"): 2.5,
        ("wheel", "velocity", "radians_per_second"): 3.0,
        ("wheel", "position", "radians"): None,
        ("weld", "position", "radians"): None,
    }
    with repeatedly(states(talker, dict.fromkeys(["hinge", "slide", "mirror", "wheel", "weld"], 1.5)), 0.02):
        monitor.scrape_until(
            lambda scrape: of_joint(scrape, "ros_joint_limit_margin", "hinge", quantity="position", unit="radians"),
            "a margin",
        )
        scrape = monitor.scrape()
    for (name, quantity, unit), value in expected.items():
        found = of_joint(scrape, "ros_joint_limit_margin", name, quantity=quantity, unit=unit)
        assert found == value, (name, quantity, unit)
    assert of_joint(scrape, "ros_joint_limit_margin_ratio", "hinge", quantity="position") == pytest.approx(1 / 3)
    monitor.scrape_until(
        lambda scrape: of_joint(scrape, "ros_joint_limit_margin_ratio", "hinge", quantity="position") is None,
        "no margin of a joint that is silent",
    )


def test_every_violation_is_counted(monitor: Monitor, robot: Robot, of_joint: Callable[..., float | None]) -> None:
    """Also one of a single message: each is looked at."""
    talker = robot.talker(STATES)
    good = states(talker, {"hinge": 0.0, "wheel": 0.0})
    with repeatedly(good, 0.02):
        monitor.scrape_until(
            lambda scrape: of_joint(scrape, "ros_joint_limit_violations_total", "hinge", quantity="position") == 0,
            "no violation",
        )
    for _ in range(3):
        states(talker, {"hinge": 2.5, "wheel": 100.0}, velocity=-3.5)()
        good()
    for name, quantity, count in (("hinge", "position", 3), ("hinge", "velocity", 3), ("wheel", "velocity", 3)):
        scrape = monitor.scrape_until(
            lambda scrape, name=name, quantity=quantity, count=count: of_joint(
                scrape, "ros_joint_limit_violations_total", name, quantity=quantity
            )
            == count,
            f"{count} violations of {name}",
        )
    assert of_joint(scrape, "ros_joint_limit_violations_total", "hinge", quantity="effort") == 0
    assert of_joint(scrape, "ros_joint_limit_violations_total", "wheel", quantity="position") is None
    with repeatedly(states(talker, {"hinge": 2.5}), 0.02):
        monitor.scrape_until(
            lambda scrape: (
                of_joint(scrape, "ros_joint_limit_violation_seconds_total", "hinge", quantity="position") or 0
            )
            > 0.5,
            "half a second beyond the limit",
        )


def test_a_joint_that_stands_still_among_moving_ones_is_frozen(
    monitor: Monitor, robot: Robot, of_joint: Callable[..., float | None]
) -> None:
    talker = robot.talker(STATES)
    position = 0.0

    def move() -> None:
        nonlocal position
        position += 0.002
        talker.publish(["hinge", "wheel"], [0.5, position])

    with repeatedly(move, 0.02):
        scrape = monitor.scrape_until(
            lambda scrape: of_joint(scrape, "ros_joint_frozen", "hinge") == 1, "a frozen joint"
        )
        assert of_joint(scrape, "ros_joint_frozen", "wheel") == 0
    with repeatedly(lambda: talker.publish(["hinge", "wheel"], [0.5, position]), 0.02):
        monitor.scrape_until(lambda scrape: of_joint(scrape, "ros_joint_frozen", "hinge") == 0, "all stand still")


def test_another_description_takes_the_place_of_the_first(
    monitor: Monitor, robot: Robot, of_joint: Callable[..., float | None]
) -> None:
    talker = robot.talker(STATES)

    def violations(scrape: Scrape, name: str) -> float | None:
        return of_joint(scrape, "ros_joint_limit_violations_total", name, quantity="position")

    with repeatedly(states(talker, {"hinge": 2.5, "slide": 2.5}), 0.02):
        monitor.scrape_until(lambda scrape: violations(scrape, "hinge") == violations(scrape, "slide") == 1, "violations")
        describe(robot, URDF.replace('name="slide"', 'name="other"').replace('upper="2"', 'upper="3"', 1))
        monitor.scrape_until(lambda scrape: violations(scrape, "slide") is None, "the joint that is no more")
        monitor.scrape_until(lambda scrape: violations(scrape, "hinge") == 0, "the joint with other limits")


def test_a_robot_that_has_left_leaves_nothing_behind(
    start_monitor: StartMonitor, start_robot: Callable[[], Robot]
) -> None:
    robot = start_robot()
    describe(robot, URDF)
    talker = robot.talker(STATES)
    monitor = start_monitor(parameters={"forget_after": 0.001})
    with repeatedly(states(talker, {"hinge": 0.0}), 0.02):
        monitor.scrape_until(lambda scrape: "ros_joint_limit_margin_ratio{" in scrape.text, "a margin")
    robot.close()
    monitor.scrape_until(lambda scrape: NAMESPACE not in scrape.text, "nothing of the robot")


def test_garbage_in_a_description_is_counted(
    start_monitor: StartMonitor, robot: Robot, domain_id: int, of_joint: Callable[..., float | None]
) -> None:
    talker = describe(robot, "<robot")
    monitor = start_monitor()
    labels = {"domain": str(domain_id), "robot": "", "topic_name": DESCRIPTION}
    monitor.scrape_until(
        lambda scrape: scrape.get("ros_robot_descriptions_rejected_total", **labels) == 1, "a description refused"
    )
    assert any("WARN" in line and DESCRIPTION in line for line in monitor.stderr.splitlines()), monitor.stderr
    talker.publish_bytes(b"\0\1\0\0garbage")
    monitor.scrape_until(
        lambda scrape: scrape.get("ros_robot_descriptions_rejected_total", **labels) == 2, "garbage refused"
    )
    talker.publisher.publish(String(data=URDF))
    monitor.scrape_until(
        lambda scrape: scrape.get("ros_robot_description_joints", **labels) == 4, "a good description"
    )
    joints = robot.talker(STATES)
    with repeatedly(states(joints, {"hinge": 0.0}), 0.02):
        monitor.scrape_until(
            lambda scrape: of_joint(scrape, "ros_joint_limit_margin_ratio", "hinge", quantity="position"), "a margin"
        )
