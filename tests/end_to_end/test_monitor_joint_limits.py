"""Joints held against the limits of their robot's description."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from cdr import Encoding, joint_state
from monitor import NODE_NAME, Monitor, StartMonitor
from parameters import Parameters
from robot import RELIABLE, Robot, Talker, repeatedly
from scrape import Scrape

NAMESPACE = "/robot1"
STATES = f"{NAMESPACE}/joint_states"
DESCRIPTION = f"{NAMESPACE}/robot_description"
COMMANDS = f"{NAMESPACE}/joint_command"
TRAJECTORIES = f"{NAMESPACE}/arm_controller/joint_trajectory"

# A joint has to stand still for so long to be frozen.
FROZEN_AFTER_S = 2.0

# Joints may come so long after their description.
JOINTS_WITHIN_S = 5.0

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

GARBAGE = b"\0\1\0\0garbage"

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


def describe(robot: Robot, text: str, topic: str = DESCRIPTION) -> Talker:
    talker = robot.talker(topic, LATCHED, String)
    talker.publisher.publish(String(data=text))
    return talker


@pytest.fixture
def of_joint(domain_id: int) -> Callable[..., float | None]:
    def value(scrape: Scrape, metric: str, name: str, topic: str = STATES, **labels: str) -> float | None:
        scope = {"domain": str(domain_id), "robot": "", "topic_name": topic}
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
    commands = robot.talker(COMMANDS)

    def publish() -> None:
        talker.publish(["hinge"], [0.0])
        talker.publish_bytes(GARBAGE)
        commands.publish_bytes(GARBAGE)

    families = ("ros_joint_limit_margin", "ros_joint_states_rejected_total", "ros_joint_commands_rejected_total")
    with repeatedly(publish, 0.02):
        monitor.scrape_until(lambda scrape: all(f"{family}{{" in scrape.text for family in families), "the robot")
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
    talker.publish_bytes(GARBAGE)
    monitor.scrape_until(
        lambda scrape: scrape.get("ros_robot_descriptions_rejected_total", **labels) == 2, "garbage refused"
    )
    warnings = [line for line in monitor.stderr.splitlines() if "WARN" in line and DESCRIPTION in line]
    assert len(warnings) == 1, monitor.stderr
    talker.publisher.publish(String(data=URDF))
    monitor.scrape_until(
        lambda scrape: scrape.get("ros_robot_description_joints", **labels) == 4, "a good description"
    )
    joints = robot.talker(STATES)
    with repeatedly(states(joints, {"hinge": 0.0}), 0.02):
        monitor.scrape_until(
            lambda scrape: of_joint(scrape, "ros_joint_limit_margin_ratio", "hinge", quantity="position"), "a margin"
        )


def test_joints_in_another_namespace_than_their_description_are_told_of_once(
    monitor: Monitor, robot: Robot, of_joint: Callable[..., float | None]
) -> None:
    # As robot_state_publisher, which waits for joint states where it publishes the description.
    robot.listen(JointState, STATES, lambda _: None)
    stray, later = "/arm/joint_states", "/base/joint_states"

    def warnings() -> list[str]:
        return [line for line in monitor.stderr.splitlines() if "its joints are not found" in line]

    with repeatedly(states(robot.talker(stray), {"hinge": 0.0}), 0.02):
        robot.spin_until(warnings, "a warning")
        robot.talker(later)
        monitor.wait_for_topic(later)
    assert len(warnings()) == 1, monitor.stderr
    assert all(name in warnings()[0] for name in (DESCRIPTION, STATES, stray)), warnings()
    assert " WARN " in warnings()[0]


def test_joints_that_are_found_are_not_said_to_be_elsewhere(
    monitor: Monitor, robot: Robot, of_joint: Callable[..., float | None]
) -> None:
    """Also where another robot has joints and no description, for longer than joints may come late."""
    robot.talker("/arm/joint_states")
    with repeatedly(states(robot.talker(STATES), {"hinge": 2.5}), 0.02):
        monitor.scrape_until(
            lambda scrape: (
                of_joint(scrape, "ros_joint_limit_violation_seconds_total", "hinge", quantity="position") or 0
            )
            > JOINTS_WITHIN_S + 3,
            "the joints beyond their limit for longer than that",
        )
    assert "its joints are not found" not in monitor.stderr


@pytest.mark.parametrize(("topic", "family"), [(STATES, "ros_joint_states"), (COMMANDS, "ros_joint_commands")])
@pytest.mark.usefixtures("without_shared_memory")
def test_what_is_lost_of_what_is_held_against_limits_is_counted(
    monitor: Monitor, robot: Robot, domain_id: int, topic: str, family: str
) -> None:
    joints = robot.talker(STATES)
    talker = robot.talker(topic, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    labels = {"domain": str(domain_id), "robot": "", "topic_name": topic}

    def lost(scrape: Scrape) -> float | None:
        return scrape.get(f"{family}_lost_total", **labels)

    message = JointState(header=Header(frame_id="x" * 1000), name=["hinge"], position=[0.0])

    def publish() -> None:
        joints.publish(["hinge"], [0.0])
        talker.publisher.publish(message)

    with repeatedly(publish, 0.02):
        monitor.scrape_until(lambda scrape: lost(scrape) == 0, f"{topic} is followed")
        robot.spin_until(lambda: talker.publisher.get_subscription_count() == 2, f"the subscriptions to {topic}")
    monitor.process.send_signal(signal.SIGSTOP)
    for _ in range(1500):
        talker.publisher.publish(message)
    monitor.process.send_signal(signal.SIGCONT)
    with repeatedly(publish, 0.02):
        monitor.scrape_until(lambda scrape: (lost(scrape) or 0) > 0, f"losses of {topic}")


def command(positions: Mapping[str, float], *more: float) -> JointState:
    return JointState(name=list(positions), position=[*positions.values(), *more])


def trajectory(positions: Mapping[str, float], *more: float, seconds: int = 0) -> JointTrajectory:
    """One that begins where the joints of these tests stand; `more` are positions of no joint."""
    points = [
        JointTrajectoryPoint(positions=[0.0] * len(positions)),
        JointTrajectoryPoint(positions=[*positions.values(), *more], time_from_start=Duration(sec=seconds)),
    ]
    return JointTrajectory(joint_names=list(positions), points=points)


KINDS = pytest.mark.parametrize(
    ("topic", "message_type", "asking"),
    [
        pytest.param(COMMANDS, JointState, command, id="joint state"),
        pytest.param(TRAJECTORIES, JointTrajectory, trajectory, id="trajectory"),
    ],
)

Asking = Callable[..., Any]


def commander(robot: Robot, topic: str, message_type: Any = JointState) -> Talker:
    """A publisher whose first command is heard: by what watches every topic, and by what follows commands."""
    talker = robot.talker(topic, RELIABLE, message_type)
    robot.spin_until(lambda: talker.publisher.get_subscription_count() == 2, f"the subscriptions to {topic}")
    return talker


@pytest.fixture
def wait_for_frozen(monitor: Monitor, of_joint: Callable[..., float | None]) -> Callable[..., Scrape]:
    def wait(expected: int, name: str = "hinge", topic: str = STATES) -> Scrape:
        return monitor.scrape_until(
            lambda scrape: of_joint(scrape, "ros_joint_frozen", name, topic) == expected,
            f"{name} of {topic} is frozen: {expected}",
        )

    return wait


class Arm:
    """Joints that are where one puts them."""

    def __init__(self, talker: Talker) -> None:
        self._talker = talker
        self.positions = {"hinge": 0.0, "slide": 0.0}
        self.velocities = {"hinge": 0.0}

    def publish(self) -> None:
        for name, velocity in self.velocities.items():
            self.positions[name] += velocity
        states(self._talker, self.positions)()


@pytest.fixture
def arm(robot: Robot, wait_for_frozen: Callable[..., Scrape]) -> Iterator[Arm]:
    """One whose joints are told of over and over, and are seen."""
    arm = Arm(robot.talker(STATES))
    with repeatedly(arm.publish, 0.02):
        wait_for_frozen(0)
        yield arm


@KINDS
def test_a_joint_that_does_not_do_what_it_is_asked_to_is_frozen(
    arm: Arm,
    robot: Robot,
    wait_for_frozen: Callable[..., Scrape],
    of_joint: Callable[..., float | None],
    topic: str,
    message_type: Any,
    asking: Asking,
) -> None:
    commands = commander(robot, topic, message_type)
    asked_at = time.monotonic()
    commands.publisher.publish(asking({"hinge": 0.5, "slide": 0.0, "nobody": 1.0}))
    scrape = wait_for_frozen(1)
    assert time.monotonic() - asked_at > FROZEN_AFTER_S
    assert of_joint(scrape, "ros_joint_frozen", "slide") == 0, "it is where it should be"

    # The other way: it is not there by the time that it counts as moving.
    arm.velocities["hinge"] = -0.002
    wait_for_frozen(0)

    # There at last. The other one shows when it has been there for long.
    arm.velocities["hinge"], arm.positions["hinge"] = 0.0, 0.5
    wait_for_frozen(0, "slide")
    commands.publisher.publish(asking({"slide": 0.5}))
    scrape = wait_for_frozen(1, "slide")
    assert of_joint(scrape, "ros_joint_frozen", "hinge") == 0

    commands.publisher.publish(asking({"slide": 0.0}))
    wait_for_frozen(0, "slide")


@pytest.mark.usefixtures("arm")
def test_a_joint_may_wait_until_the_end_of_its_trajectory(
    robot: Robot, wait_for_frozen: Callable[..., Scrape], of_joint: Callable[..., float | None]
) -> None:
    commands = commander(robot, TRAJECTORIES, JointTrajectory)
    asked_at = time.monotonic()
    commands.publisher.publish(trajectory({"hinge": 0.5}, seconds=3))
    commands.publisher.publish(trajectory({"slide": 0.5}))
    assert of_joint(wait_for_frozen(1, "slide"), "ros_joint_frozen", "hinge") == 0
    wait_for_frozen(1)
    assert time.monotonic() - asked_at > 3 + FROZEN_AFTER_S


@pytest.mark.usefixtures("arm")
def test_a_joint_that_is_asked_to_move_on_is_frozen_while_somebody_asks(
    robot: Robot, wait_for_frozen: Callable[..., Scrape]
) -> None:
    commands = commander(robot, COMMANDS)
    with repeatedly(lambda: commands.publish(["hinge"], velocity=[-0.5]), 0.05):
        wait_for_frozen(1)
    robot.silence(commands)
    wait_for_frozen(0)


def test_a_robot_is_commanded_within_its_namespace(
    robot: Robot, wait_for_frozen: Callable[..., Scrape], of_joint: Callable[..., float | None]
) -> None:
    describe(robot, URDF, "/robot_description")
    here, there = Arm(robot.talker(STATES)), Arm(robot.talker("/joint_states"))
    with repeatedly(here.publish, 0.02), repeatedly(there.publish, 0.02):
        wait_for_frozen(0, topic="/joint_states")
        wait_for_frozen(0)
        commander(robot, COMMANDS).publish(["hinge"], [0.5])
        commander(robot, "/joint_command").publish(["slide"], [0.5])
        wait_for_frozen(1, "slide", "/joint_states")
        scrape = wait_for_frozen(1, "hinge")
    assert of_joint(scrape, "ros_joint_frozen", "slide") == 0
    assert of_joint(scrape, "ros_joint_frozen", "hinge", "/joint_states") == 0


@pytest.fixture
def rejected(domain_id: int) -> Callable[..., dict[str, float]]:
    def reasons(scrape: Scrape, metric: str, topic: str) -> dict[str, float]:
        return scrape.by("reason", metric, domain=str(domain_id), robot="", topic_name=topic)

    return reasons


@KINDS
@pytest.mark.usefixtures("arm")
def test_a_command_that_cannot_be_read_is_counted_and_harms_nothing(
    monitor: Monitor,
    robot: Robot,
    wait_for_frozen: Callable[..., Scrape],
    rejected: Callable[..., dict[str, float]],
    topic: str,
    message_type: Any,
    asking: Asking,
) -> None:
    commands = commander(robot, topic, message_type)
    for garbage in (GARBAGE, b"\7\7\0\0", b"\0\1\0\0" + b"\xff" * 64):
        commands.publish_bytes(garbage)
    commands.publisher.publish(asking({"hinge": 0.5}, 0.5))
    reasons = {"truncated": 1, "wrong_encoding": 1, "bad_length": 1, "length_mismatch": 1}
    monitor.scrape_until(
        lambda scrape: rejected(scrape, "ros_joint_commands_rejected_total", topic) == reasons, "four rejected"
    )
    commands.publisher.publish(asking({"hinge": 0.5}))
    wait_for_frozen(1)


def test_joint_states_that_cannot_be_read_are_counted(
    monitor: Monitor,
    robot: Robot,
    of_joint: Callable[..., float | None],
    rejected: Callable[..., dict[str, float]],
) -> None:
    talker = robot.talker(STATES)

    def margin(scrape: Scrape) -> float | None:
        return of_joint(scrape, "ros_joint_limit_margin", "hinge", quantity="position", unit="radians")

    with repeatedly(states(talker, {"hinge": 0.0}), 0.02):
        monitor.scrape_until(lambda scrape: margin(scrape) == 1.0, "a margin")
        for message in (
            GARBAGE,
            joint_state(["hinge"], [9.0], encoding=Encoding(encapsulation=b"\0\7\0\0")),
            joint_state(["hinge"], [9.0], encoding=Encoding(terminator=b"x")),
            joint_state(["hinge"], [9.0, 9.0]),
            joint_state(["wheel", "hinge", "hinge"], [9.0] * 3),
        ):
            talker.publish_bytes(message)
        reasons = ("truncated", "wrong_encoding", "bad_length", "length_mismatch", "duplicate_joint")
        scrape = monitor.scrape_until(
            lambda scrape: rejected(scrape, "ros_joint_states_rejected_total", STATES) == dict.fromkeys(reasons, 1),
            "five rejected",
        )
    assert of_joint(scrape, "ros_joint_limit_violations_total", "hinge", quantity="position") == 0
    monitor.scrape_until(lambda scrape: margin(scrape) == 1.0, "the margin from before")


def test_commands_of_a_type_that_is_not_installed_are_told_of_once(
    start_monitor: StartMonitor, robot: Robot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    describe(robot, URDF)
    monitor = start_monitor()
    robot.talker(TRAJECTORIES, RELIABLE, JointTrajectory)
    with repeatedly(states(robot.talker(STATES), {"hinge": 0.0}), 0.02):
        monitor.scrape_until(lambda scrape: "ros_joint_limit_margin_ratio{" in scrape.text, "a margin")
        monitor.wait_for_status("graph_only", TRAJECTORIES)

    def warnings() -> list[str]:
        lines = [line for line in monitor.stderr.splitlines() if "commands to joints are not followed" in line]
        return [line for line in lines if TRAJECTORIES in line and "trajectory_msgs" in line]

    robot.spin_until(warnings, "a warning")
    # The graph is read again, for this.
    robot.talker("/later")
    monitor.wait_for_topic("/later")
    assert len(warnings()) == 1, monitor.stderr


def test_a_description_that_is_not_latched_is_counted(
    start_monitor: StartMonitor, robot: Robot, domain_id: int
) -> None:
    robot.talker(DESCRIPTION, RELIABLE, String)
    monitor = start_monitor()
    labels = {"domain": str(domain_id), "robot": "", "topic_name": DESCRIPTION}

    def rejects(count: int) -> Callable[[Scrape], bool]:
        return lambda scrape: scrape.get("ros_robot_descriptions_rejected_total", **labels) == count

    monitor.scrape_until(rejects(1), "a publisher that does not serve")
    robot.talker(DESCRIPTION, RELIABLE, String)
    monitor.scrape_until(rejects(2), "another one")
    warnings = [line for line in monitor.stderr.splitlines() if "a robot's description cannot be used" in line]
    assert len(warnings) == 1 and DESCRIPTION in warnings[0] and "durability" in warnings[0], monitor.stderr
    describe(robot, URDF)
    monitor.scrape_until(lambda scrape: scrape.get("ros_robot_description_joints", **labels) == 4, "a latched one")


def test_what_is_denied_is_not_followed(
    start_monitor: StartMonitor, robot: Robot, of_joint: Callable[..., float | None]
) -> None:
    """Neither from the start nor later on: a description, joint states and commands."""
    description = describe(robot, URDF)
    joints, commands = robot.talker(STATES), robot.talker(COMMANDS)
    monitor = start_monitor(parameters={"deny": [f"{NAMESPACE}/**"]})
    robot.talker("/later")
    monitor.wait_for_topic("/later")
    assert not any(talker.is_matched() for talker in (description, joints, commands))

    parameters = Parameters(robot, NODE_NAME)

    def counts() -> list[int]:
        return [talker.publisher.get_subscription_count() for talker in (description, joints, commands)]

    def violations(scrape: Scrape) -> float | None:
        return of_joint(scrape, "ros_joint_limit_violations_total", "hinge", quantity="position")

    with repeatedly(states(joints, {"hinge": 0.0}), 0.02):
        for denied, followed in (
            (["/nothing"], [2, 2, 2]),
            ([STATES], [2, 0, 2]),
            ([COMMANDS], [2, 2, 0]),
            ([DESCRIPTION], [0, 1, 1]),
        ):
            assert parameters.set(deny=denied)[0].successful
            robot.spin_until(lambda followed=followed: counts() == followed, f"the subscriptions without {denied}")
            known = 0 if followed[1] == 2 else None
            monitor.scrape_until(
                lambda scrape, known=known: violations(scrape) == known, f"violations without {denied}: {known}"
            )


def test_topics_of_commands_beyond_the_limit_are_counted(monitor: Monitor, robot: Robot, domain_id: int) -> None:
    for number in range(34):
        robot.talker(f"{NAMESPACE}/arm{number}/joint_command")
    monitor.scrape_until(
        lambda scrape: scrape.get("ros_robot_topics_refused_total", domain=str(domain_id)) == 2, "two topics refused"
    )
    assert sum("too many descriptions" in line for line in monitor.stderr.splitlines()) == 1, monitor.stderr


def test_robots_beyond_the_limit_are_counted(monitor: Monitor, robot: Robot, domain_id: int) -> None:
    # One more than are followed: the robot that is there already is one of them.
    for number in range(257):
        robot.talker(f"/robot{number}/robot_description", LATCHED, String)
    monitor.scrape_until(
        lambda scrape: scrape.get("ros_robot_topics_refused_total", domain=str(domain_id)) == 1, "a robot refused"
    )
