"""The synchronization node: what it mirrors, how far it says that robot and twin diverge, and what it does about it."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from monitor import Diagnostics
from program import Arguments, run_program
from robot import Listener, Robot, Talker, repeatedly, time_of
from scrape import Scrape
from synchronizer import (
    LATCHED,
    NODE_NAME,
    PROGRAM,
    REFERENCE_TOPIC,
    STATES_TOPIC,
    TWIN_TOPIC,
    Motion,
    Services,
    StartSynchronizer,
    Synchronizer,
    state_listener,
    states_listener,
)
from waiting import wait_until

JOINTS = ("hip", "knee", "elbow")
ELBOW = {"joint_name": "elbow"}

# 100 times what it takes here: no measurement, but more than that is no mirror.
MIRROR_WITHIN_S = 0.1

# A trajectory of 192 kB; and how long a stop may take while nothing but those come, on a machine that sends them too.
FLOOD_POINTS = 4800
STOP_WITHIN_S = 5.0

LIMITED_ROBOT = """
<robot name="arm"><link name="base"/><link name="arm"/>
<joint name="elbow" type="revolute"><parent link="base"/><child link="arm"/>
<limit lower="-1" upper="1" velocity="2" effort="10"/></joint></robot>
"""

TWO_JOINTS = LIMITED_ROBOT.replace(
    "</robot>",
    '<link name="hand"/><joint name="wrist" type="revolute"><parent link="arm"/><child link="hand"/>'
    '<limit lower="-1" upper="1" velocity="2" effort="10"/></joint></robot>',
)


@pytest.fixture
def synchronizer(start_synchronizer: StartSynchronizer) -> Synchronizer:
    return start_synchronizer()


@pytest.fixture
def reference(robot: Robot) -> Talker:
    return robot.talker(REFERENCE_TOPIC)


@pytest.fixture
def twin(robot: Robot) -> Talker:
    return robot.talker(TWIN_TOPIC)


def error(compensation: str = "none") -> dict[str, str]:
    return {**ELBOW, "compensation": compensation}


def test_a_state_without_stamp_and_velocity_is_mirrored_at_once(
    synchronizer: Synchronizer, robot: Robot, reference: Talker
) -> None:
    states = states_listener(robot)
    synchronizer.wait_until_matched(reference)
    robot.spin_until(lambda: robot.node.count_publishers(STATES_TOPIC), "the mirror is announced")
    # Until the mirror has found its listener too: what is told before goes nowhere.
    with repeatedly(lambda: reference.publish(["warm_up"], [0.0], stamp=time_of(0))):
        states.wait_for(lambda message: message.name == ["warm_up"], "the mirror has found its listener")

    published_at = time.monotonic()
    reference.publish(["test_joint"], [1.5], stamp=time_of(0))
    mirrored = states.wait_for(lambda message: "test_joint" in message.name, "test_joint in the mirror")

    assert time.monotonic() - published_at < MIRROR_WITHIN_S
    assert mirrored.position[list(mirrored.name).index("test_joint")] == 1.5
    assert not mirrored.effort
    age_s = time.time() - (mirrored.header.stamp.sec + mirrored.header.stamp.nanosec / 1e9)
    assert 0.0 <= age_s < 5.0, "stamped with the time of its arrival"


def test_ticks_that_are_far_apart_lose_no_messages(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker
) -> None:
    synchronizer = start_synchronizer(parameters={"update_rate": 1.0})
    synchronizer.wait_until_matched(reference)

    def publish() -> None:
        # Together more than 1,000 a second, of which the ring between two ticks holds 256.
        for _ in range(5):
            reference.publish(["elbow"], [0.5])

    with repeatedly(publish):
        scrape = synchronizer.scrape_until(lambda scrape: scrape.value("ros_twin_ticks_total") >= 3, "some ticks")
    assert (scrape.get("ros_message_count_total", topic_name=REFERENCE_TOPIC) or 0.0) > 600.0
    assert not scrape.get("ros_messages_rejected_total", topic_name=REFERENCE_TOPIC, reason="backlog")
    assert scrape.value("ros_twin_added_latency_seconds_count") > 600.0


def test_without_a_twin_there_is_no_quality(synchronizer: Synchronizer, robot: Robot, reference: Talker) -> None:
    states = state_listener(robot)
    assert states.wait_for(lambda message: message.data, "a first state").data == "WAITING"

    with repeatedly(lambda: reference.publish(["elbow"], [0.5])):
        scrape = synchronizer.wait_for_state("MIRRORING")
        states.wait_for(lambda message: message.data == "MIRRORING", "the new state")

    assert scrape.get("ros_twin_quality_ratio") is None
    assert scrape.get("ros_twin_joint_error", **error()) is None


def test_a_mirror_is_stamped_with_the_time_that_it_refers_to(
    synchronizer: Synchronizer, robot: Robot, reference: Talker
) -> None:
    states = states_listener(robot)
    stamp = time_of(1_700_000_000_250_000_000)
    with repeatedly(lambda: reference.publish(["elbow"], [0.5], [0.25], [3.0], stamp=stamp)):
        mirrored = states.wait_for(lambda message: message.name, "a mirror")

    assert mirrored.header.stamp == stamp
    assert (list(mirrored.position), list(mirrored.effort)) == ([0.5], [3.0])


def test_a_twin_that_agrees_is_synced_and_one_that_does_not_diverges(
    synchronizer: Synchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    motion = Motion(reference, twin, JOINTS)
    diagnostics = Diagnostics(robot)
    name = f"{NODE_NAME}: synchronization"
    with motion.running():
        scrape = synchronizer.wait_for_state("SYNCED")
        assert scrape.value("ros_twin_quality_ratio") > 0.9
        diagnostics.wait_for_level(name, DiagnosticStatus.OK)

        motion.offset = 0.3
        scrape = synchronizer.wait_for_state("DIVERGED")
        assert scrape.value("ros_twin_joint_error", **error()) == pytest.approx(0.3, abs=0.05)
        assert scrape.value("ros_twin_quality_ratio") == 0.0
        diagnostics.wait_for_level(name, DiagnosticStatus.ERROR)
        scrape = synchronizer.scrape_until(
            lambda scrape: abs(scrape.get("ros_twin_joint_error_bias", **error()) or 0.0) > 0.29, "the bias"
        )
        assert scrape.value("ros_twin_joint_error_bias", **error()) == pytest.approx(0.3, abs=0.01)

        motion.offset = 0.0
        synchronizer.wait_for_state("SYNCED")
    scrape = synchronizer.wait_for_state("LOST")
    assert scrape.get("ros_twin_quality_ratio") is None
    assert scrape.value("ros_twin_state_transitions_total", **{"from": "DEGRADED", "to": "DIVERGED", "cause": "divergence"})
    assert "more than one publisher" not in synchronizer.stderr


def test_a_lag_is_found_and_taken_out(
    synchronizer: Synchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    motion = Motion(reference, twin, JOINTS)
    motion.lag_s = 0.08
    with motion.running():
        scrape = synchronizer.scrape_until(
            # A joint whose own lag is not known yet has the robot's taken out.
            lambda scrape: scrape.by("joint_name", "ros_twin_joint_lag_seconds").keys() == set(JOINTS)
            and (scrape.get("ros_twin_joint_error_rms", **error()) or 0.0) > 0.05
            and (scrape.get("ros_twin_joint_error_rms", **error("lag")) or math.inf) < 0.005,
            "a large error, and a small one without the lag",
        )
        synchronizer.wait_for_state("DEGRADED")

    for joint in JOINTS:
        assert scrape.value("ros_twin_joint_lag_seconds", joint_name=joint) == pytest.approx(0.08, abs=0.005)
    assert scrape.value("ros_twin_lag_seconds") == pytest.approx(0.08, abs=0.005)


def test_two_robots_on_one_reference_are_named(
    synchronizer: Synchronizer, robot: Robot, start_named, reference: Talker
) -> None:
    other = start_named("second_robot").talker(REFERENCE_TOPIC)
    synchronizer.scrape_until(lambda scrape: scrape.publishers(REFERENCE_TOPIC) == 2, "two publishers")
    robot.spin_until(lambda: "more than one publisher" in synchronizer.stderr, "a warning")
    assert "/second_robot" in synchronizer.stderr and "/robot0" in synchronizer.stderr
    assert other


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"reference_topic": STATES_TOPIC}, f"reference_topic: is {STATES_TOPIC}, which this node publishes itself"),
        ({"twin_topic": STATES_TOPIC}, f"twin_topic: is {STATES_TOPIC}, which this node publishes itself"),
        ({"twin_topic": f"/{NODE_NAME}/error"}, f"twin_topic: is /{NODE_NAME}/error, which this node publishes itself"),
        ({"reference_topic": f"/{NODE_NAME}/compensated_error"}, "compensated_error, which this node publishes itself"),
        ({"twin_topic": REFERENCE_TOPIC}, f"twin_topic: is {REFERENCE_TOPIC}, as reference_topic is"),
        ({"output_mode": "trajectory", "command_topic": TWIN_TOPIC}, f"command_topic: is {TWIN_TOPIC}, as twin_topic is"),
        ({"output_mode": "forward"}, "parameter joints: is empty"),
        ({"output_mode": "gz", "command_topic": "/cmd"}, "must have {joint} in it"),
        ({"lost_timeout": 0.1}, "lost_timeout: is 0.1, must be at least stale_timeout"),
        ({"max_lag": 2.0}, "max_lag: is 2, must be at most a quarter of metrics_window"),
        ({"update_rate": 2000.0}, "update_rate: is 2000, must be from 1 to 1000"),
        ({"name_map": ["elbow"]}, "name_map"),
        ({"name_map": ["a=elbow", "b=elbow"]}, "two names in the twin"),
        ({"sign_map": ["elbow=2"]}, "sign_map"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(parameters: dict, told: str, domain_id: int) -> None:
    ended = run_program(Arguments(PROGRAM, parameters=parameters), domain_id)
    assert (ended.exit_code, told in ended.stderr) == (64, True), ended.stderr


def test_joints_have_other_names_and_signs_in_the_twin(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    synchronizer = start_synchronizer(
        parameters={"joints": ["elbow"], "name_map": ["sim_elbow=elbow"], "sign_map": ["elbow=-1"]}
    )

    def publish() -> None:
        reference.publish(["knee", "elbow"], [9.0, 0.5])
        twin.publish(["sim_elbow", "knee"], [-0.5, 9.0])

    with repeatedly(publish):
        scrape = synchronizer.scrape_until(
            lambda scrape: scrape.get("ros_twin_joint_error", **error()) == 0.0, "no error of the elbow"
        )
    assert scrape.by("joint_name", "ros_twin_joint_error", compensation="none") == {"elbow": 0.0}


def describe(robot: Robot) -> None:
    """Publishes the description of a robot whose elbow has limits."""
    robot.talker("/robot_description", LATCHED, String).publisher.publish(String(data=LIMITED_ROBOT))


def test_the_twin_is_commanded_within_its_limits(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    synchronizer = start_synchronizer(parameters={"output_mode": "trajectory", "update_rate": 50.0})
    commands = Listener(robot, JointTrajectory, "/twin/joint_trajectory_commands")

    def publish() -> None:
        reference.publish(["elbow", "loose"], [3.0, 0.5])
        twin.publish(["elbow", "loose"], [0.5, 0.5])

    with repeatedly(publish):
        synchronizer.scrape_until(
            lambda scrape: (scrape.get("ros_twin_commands_refused_total", reason="no_limits") or 0) > 0,
            "commands are refused while no limits are known",
        )
        assert not commands.messages
        describe(robot)
        command = commands.wait_for(lambda message: message.points[0].positions[0] == 1.0, "the limit")

    assert list(command.joint_names) == ["elbow"]
    assert (command.header.stamp.sec, command.header.stamp.nanosec) == (0, 0)
    assert command.points[0].time_from_start.nanosec == 20_000_000
    assert synchronizer.scrape().value("ros_twin_commands_clamped_total") > 0


def test_commands_for_a_forward_controller_have_its_order(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    synchronizer = start_synchronizer(parameters={"output_mode": "forward", "joints": ["wrist", "elbow"]})
    commands = Listener(robot, Float64MultiArray, "/twin/forward_command_controller/commands")
    robot.talker("/robot_description", LATCHED, String).publisher.publish(String(data=TWO_JOINTS))
    synchronizer.wait_until_matched(reference, twin)

    def publish() -> None:
        reference.publish(["elbow", "wrist"], [0.25, -0.5])
        twin.publish(["elbow", "wrist"], [0.0, 0.0])

    with repeatedly(publish):
        command = commands.wait_for(lambda message: list(message.data) == [-0.5, 0.25], "both joints")
    assert not command.layout.dim


def test_each_joint_has_a_topic_for_gazebo(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    start_synchronizer(parameters={"output_mode": "gz"})
    commands = Listener(robot, Float64, "/twin/elbow/cmd_pos")
    describe(robot)

    def publish() -> None:
        reference.publish(["elbow"], [0.25])
        twin.publish(["elbow"], [0.0])

    with repeatedly(publish):
        commands.wait_for(lambda message: message.data == 0.25, "the command of the elbow")


def test_a_stop_holds_once_and_lasts_until_it_is_cleared(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    synchronizer = start_synchronizer(parameters={"output_mode": "trajectory"})
    commands = Listener(robot, JointTrajectory, "/twin/joint_trajectory_commands")
    services = Services(robot)
    describe(robot)

    def publish() -> None:
        reference.publish(["elbow"], [0.25])
        twin.publish(["elbow"], [0.125])

    with repeatedly(publish):
        commands.wait_for(lambda message: message.points[0].positions[0] == 0.25, "the command of the elbow")
        assert services.trigger("safety_stop").success
        synchronizer.wait_for_state("STOPPED")
        hold = commands.wait_for(lambda message: message.points[0].positions[0] == 0.125, "to stay where it is")
        assert commands.messages[-1] is hold, "and nothing after"
        refused = services.trigger("resync")
        assert (refused.success, "clear the fault" in refused.message) == (False, True)
        before = synchronizer.scrape().value("ros_twin_commands_total")
        ticks = synchronizer.scrape().value("ros_twin_ticks_total")
        scrape = synchronizer.scrape_until(lambda s: s.value("ros_twin_ticks_total") > ticks + 20, "20 ticks more")
        assert scrape.value("ros_twin_commands_total") == before

        assert services.trigger("clear_fault").success
        synchronizer.scrape_until(lambda s: s.value("ros_twin_commands_total") > before, "commands again")
        assert services.enable(False).success
        before = synchronizer.scrape().value("ros_twin_commands_total")
        ticks = synchronizer.scrape().value("ros_twin_ticks_total")
        scrape = synchronizer.scrape_until(lambda s: s.value("ros_twin_ticks_total") > ticks + 20, "20 ticks more")
        assert scrape.value("ros_twin_commands_total") == before


def test_a_resynchronization_is_answered_when_both_agree(
    synchronizer: Synchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    services = Services(robot)
    motion = Motion(reference, twin, JOINTS)
    with motion.running():
        synchronizer.wait_for_state("SYNCED")
        answer = services.trigger("resync")
        assert answer.success, answer.message
        synchronizer.wait_for_state("SYNCED")
        assert services.trigger("reset_statistics").success
        motion.offset = 0.3
        synchronizer.wait_for_state("DIVERGED")
        answer = services.trigger("resync")
        assert (answer.success, "within 5 s" in answer.message) == (False, True)
    assert "ros_twin_state_transitions_total" in synchronizer.scrape().text


def test_a_simulator_that_starts_anew_is_followed(
    synchronizer: Synchronizer, robot: Robot, reference: Talker
) -> None:
    states = states_listener(robot)
    later, earlier = time_of(50_000_000_000), time_of(1_000_000_000)
    with repeatedly(lambda: reference.publish(["elbow"], [0.5], stamp=later)):
        states.wait_for(lambda message: message.header.stamp == later, "the mirror")
    with repeatedly(lambda: reference.publish(["elbow"], [0.75], stamp=earlier)):
        states.wait_for(lambda message: list(message.position) == [0.75], "the mirror after the reset")
    scrape = synchronizer.scrape()
    assert scrape.value("ros_twin_flushes_total", source="reference", reason="backward_jump") == 1


def test_the_robots_commands_go_on_to_the_twin(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker
) -> None:
    synchronizer = start_synchronizer(
        parameters={
            "output_mode": "trajectory",
            "forward_commands": True,
            "name_map": ["sim_elbow=elbow"],
            "sign_map": ["elbow=-1"],
        }
    )
    commands = Listener(robot, JointTrajectory, "/twin/joint_trajectory_commands")
    orders = robot.talker("/joint_trajectory_commands", message_type=JointTrajectory)
    twin = robot.talker(TWIN_TOPIC)
    describe(robot)

    def refusals(scrape: Scrape, reason: str) -> float:
        return scrape.get("ros_twin_forwarded_commands_refused_total", reason=reason) or 0.0

    def publish() -> None:
        reference.publish(["elbow", "loose"], [0.0, 0.0])
        twin.publish(["sim_elbow"], [0.0])

    with repeatedly(publish):
        synchronizer.scrape_until(lambda scrape: scrape.get("ros_twin_joint_error", **error()) == 0.0, "both are known")
        order = trajectory(["elbow"], [0.5], [3.0])
        order.header.stamp = time_of(1_000_000_000)
        with repeatedly(lambda: orders.publisher.publish(order), 0.05):
            passed_on = commands.wait_for(lambda message: len(message.points) == 2, "the trajectory")
        for names, reason in ((["elbow", "loose"], "no_limits"), (["nobody"], "unknown_joint")):
            # The first may have come before the limits.
            before = refusals(synchronizer.scrape(), reason)
            orders.publisher.publish(trajectory(names, [0.25] * len(names)))
            synchronizer.scrape_until(
                lambda scrape, reason=reason, before=before: refusals(scrape, reason) == before + 1, reason
            )
        # As fast as it may, then a little faster.
        fast = trajectory(["elbow"], [-1.0], [1.0], [-1.0])
        passed_before = synchronizer.scrape().value("ros_twin_commands_total")
        orders.publisher.publish(fast)
        synchronizer.scrape_until(lambda scrape: scrape.value("ros_twin_commands_total") > passed_before, "passed on")
        fast.points[2].time_from_start = Duration(sec=2, nanosec=990_000_000)
        orders.publisher.publish(fast)
        synchronizer.scrape_until(lambda scrape: refusals(scrape, "too_fast") == 1, "too_fast")
        # It would have to leap; but where the twin is already it may begin.
        leap = trajectory(["elbow"], [0.5])
        leap.points[0].time_from_start = Duration()
        orders.publisher.publish(leap)
        synchronizer.scrape_until(lambda scrape: refusals(scrape, "too_fast") == 2, "too_fast")
        leap.points[0].positions = [0.05]
        with repeatedly(lambda: orders.publisher.publish(leap), 0.05):
            commands.wait_for(lambda message: list(message.points[0].positions) == [-0.05], "a start at once")
        orders.publish_bytes(b"\0\1\0\0\1")
        synchronizer.scrape_until(lambda scrape: refusals(scrape, "unreadable") == 1, "unreadable")

    assert list(passed_on.joint_names) == ["sim_elbow"]
    assert (passed_on.header.stamp.sec, passed_on.header.stamp.nanosec) == (0, 0), "now"
    assert [list(point.positions) for point in passed_on.points] == [[-0.5], [-1.0]], "within the limit"
    assert [point.time_from_start.sec for point in passed_on.points] == [1, 2]
    told = {message.points[0].positions[0] for message in commands.messages}
    assert told <= {-0.5, -0.05, 1.0}, "where the robot is goes nowhere"


FORWARDING = {"output_mode": "trajectory", "forward_commands": True}


class Forwarding:
    """A robot whose commands go on to its twin; both have an elbow, with limits."""

    def __init__(self, robot: Robot, reference: Talker, twin: Talker, synchronizer: Synchronizer) -> None:
        self._reference, self._twin, self._synchronizer = reference, twin, synchronizer
        self.passed_on = Listener(robot, JointTrajectory, "/twin/joint_trajectory_commands")
        self.orders = robot.talker("/joint_trajectory_commands", message_type=JointTrajectory)
        describe(robot)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Both stand still, the twin a little beside; what the robot is told reaches the twin."""
        order = trajectory(["elbow"], [0.25])
        with repeatedly(self._publish):
            with repeatedly(lambda: self.orders.publisher.publish(order), 0.05):
                self.passed_on.wait_for(lambda message: message.points[0].positions[0] == 0.25, "a first trajectory")
            yield

    def _publish(self) -> None:
        self._reference.publish(["elbow"], [0.25])
        self._twin.publish(["elbow"], [0.125])

    def refusals(self, reason: str) -> float:
        scrape = self._synchronizer.scrape()
        return scrape.get("ros_twin_forwarded_commands_refused_total", reason=reason) or 0.0


@pytest.fixture
def forwarding(start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker) -> Forwarding:
    return Forwarding(robot, reference, twin, start_synchronizer(parameters=FORWARDING))


def test_a_flood_of_commands_delays_neither_ticks_nor_a_stop(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    synchronizer = start_synchronizer(parameters=FORWARDING)
    forwarding = Forwarding(robot, reference, twin, synchronizer)
    services = Services(robot)
    flood = serialize_message(trajectory(["elbow"], *[[0.25]] * FLOOD_POINTS))
    with forwarding.running(), repeatedly(lambda: forwarding.orders.publish_bytes(flood), 0.0):
        passed_on = synchronizer.scrape().value("ros_twin_commands_total")
        synchronizer.scrape_until(lambda s: s.value("ros_twin_commands_total") > passed_on + 20, "the flood")
        before = synchronizer.scrape().value("ros_twin_ticks_total")
        synchronizer.scrape_until(lambda s: s.value("ros_twin_ticks_total") > before + 20, "20 ticks")
        asked_at = time.monotonic()
        assert services.trigger("safety_stop").success
        took_s = time.monotonic() - asked_at
    assert took_s < STOP_WITHIN_S


def test_a_stop_ends_a_trajectory_that_was_passed_on(forwarding: Forwarding, robot: Robot) -> None:
    services = Services(robot)
    with forwarding.running():
        forwarding.orders.publisher.publish(trajectory(["elbow"], *[[0.25 + second / 20] for second in range(10)]))
        forwarding.passed_on.wait_for(lambda message: len(message.points) == 10, "a trajectory of 10 s")
        assert services.trigger("safety_stop").success
        hold = forwarding.passed_on.wait_for(lambda message: message.points[0].positions[0] == 0.125, "to stay")
        forwarding.orders.publisher.publish(trajectory(["elbow"], [0.25]))
        wait_until(lambda: forwarding.refusals("stopped") > 0, "no more is passed on")
    assert list(hold.joint_names) == ["elbow"]
    assert forwarding.passed_on.messages[-1] is hold, "and nothing after"


def test_a_stop_holds_the_joints_that_were_told_and_no_others(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    synchronizer = start_synchronizer(parameters={**FORWARDING, "update_rate": 1.0})
    services = Services(robot)
    commands = Listener(robot, JointTrajectory, "/twin/joint_trajectory_commands")
    orders = robot.talker("/joint_trajectory_commands", message_type=JointTrajectory)
    robot.talker("/robot_description", LATCHED, String).publisher.publish(String(data=TWO_JOINTS))

    def publish() -> None:
        for talker in (reference, twin):
            talker.publish(["wrist", "elbow", "loose"], [0.125, 0.125, 0.125])

    def holds() -> list[list[str]]:
        held = [message for message in commands.messages if message.points[0].positions[0] == 0.125]
        assert all(message.points[0].time_from_start == Duration(nanosec=100_000_000) for message in held)
        return [list(message.joint_names) for message in held]

    with repeatedly(publish):
        for joint in ("elbow", "wrist"):
            order = trajectory([joint], [0.25])
            with repeatedly(lambda order=order: orders.publisher.publish(order), 0.05):
                commands.wait_for(lambda message, joint=joint: message.joint_names == [joint], f"that of the {joint}")
        assert services.trigger("safety_stop").success
        robot.spin_until(lambda: len(holds()) == 2, "to stay, to each of what may be two controllers")
        assert services.trigger("safety_stop").success
        robot.spin_until(lambda: len(holds()) == 4, "to stay, again")
    assert holds() == [["elbow"], ["wrist"]] * 2
    assert synchronizer.state(synchronizer.scrape()) == "STOPPED"


def test_a_stopped_twin_gets_no_trajectory_without_points_or_joints(forwarding: Forwarding, robot: Robot) -> None:
    services = Services(robot)
    empties = (trajectory(["elbow"]), trajectory([], []), trajectory([]))

    def each_is_refused_as(reason: str) -> None:
        for empty in empties:
            before = forwarding.refusals(reason)
            forwarding.orders.publisher.publish(empty)
            wait_until(lambda before=before: forwarding.refusals(reason) == before + 1, f"it is refused: {reason}")

    with forwarding.running():
        each_is_refused_as("empty")
        assert services.trigger("safety_stop").success
        hold = forwarding.passed_on.wait_for(lambda message: message.points[0].positions[0] == 0.125, "to stay")
        each_is_refused_as("stopped")
    assert forwarding.passed_on.messages[-1] is hold, "and nothing after"


def test_no_joint_is_commanded_before_the_twin_has_named_it(
    start_synchronizer: StartSynchronizer, robot: Robot, reference: Talker, twin: Talker
) -> None:
    synchronizer = start_synchronizer(parameters={**FORWARDING, "name_map": ["knee=elbow", "elbow=knee"]})
    forwarding = Forwarding(robot, reference, twin, synchronizer)
    order = trajectory(["elbow"], [0.5])
    with repeatedly(lambda: reference.publish(["elbow", "knee"], [0.5, 0.0])):
        with repeatedly(lambda: forwarding.orders.publisher.publish(order), 0.05):
            wait_until(lambda: forwarding.refusals("twin_unnamed") > 0, "its name in the twin is not known")
            assert not forwarding.passed_on.messages
            with repeatedly(lambda: twin.publish(["elbow", "knee"], [0.0, 0.5])):
                forwarding.passed_on.wait_for(lambda message: message.points[0].positions[0] == 0.5, "the trajectory")
    assert all(list(message.joint_names) == ["knee"] for message in forwarding.passed_on.messages)


def trajectory(names: Sequence[str], *points: Sequence[float]) -> JointTrajectory:
    """A point a second."""
    of_point = enumerate(points, start=1)
    return JointTrajectory(
        joint_names=list(names),
        points=[
            JointTrajectoryPoint(positions=list(positions), time_from_start=Duration(sec=seconds))
            for seconds, positions in of_point
        ],
    )
