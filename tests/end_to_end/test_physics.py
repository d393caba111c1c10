"""The program that moves the humanoid in MuJoCo. Its model is tested in tests/models."""

import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from parameters import Parameters
from program import END_WITHIN_S, REPOSITORY, run_program
from robot import Robot, Talker, repeatedly, time_of
from robot_model import load
from twin import NODE_NAME, PROGRAM, TOPIC, TWIN_TOPIC, JointStates, StartTwin, TwinArguments, stamp_ns
from waiting import wait_until

MODEL = REPOSITORY / "models" / "digital_twin_humanoid.urdf.xacro"
JOINTS = load(MODEL, {}).joints

TRAJECTORIES = "/joint_trajectory_commands"
POSITIONS = "/forward_command_controller/commands"
ELBOW, KNEE, HEAD = "left_elbow_joint", "right_knee_joint", "head_pitch_joint"
NOD_RAD = 0.2

# As simulated time: what is compared at equal stamps is then the same on a busy machine.
SIMULATED = ("--clock", "--rate", "200")
BESIDE = ("--namespace", "twin", *SIMULATED)
OTHER_CLOCK = ("-r", "/clock:=/twin/clock")
WITHIN_RAD = 0.02


# --- What it publishes ------------------------------------------------------------------------------------------------


def test_joint_states_and_the_clock_come_at_the_rate_with_every_joint(start_twin: StartTwin, robot: Robot) -> None:
    states, clocks = JointStates(robot), []
    robot.listen(Clock, "/clock", clocks.append)
    start_twin(*SIMULATED)
    states.wait_for(50)

    for message in states.messages:
        assert set(message.name) == set(JOINTS)
        assert len(message.position) == len(message.velocity) == len(message.effort) == len(JOINTS)
        assert np.abs(message.position).max() < WITHIN_RAD, "nobody moves it"
    stamps_ns = [stamp_ns(message) for message in states.messages]
    assert set(np.diff(stamps_ns)) == {5_000_000}
    assert {clock.clock.sec * 10**9 + clock.clock.nanosec for clock in clocks} & set(stamps_ns)


def test_a_motion_stays_within_the_limits_whatever_time_it_has(start_twin: StartTwin, robot: Robot) -> None:
    states = JointStates(robot)
    start_twin("--motion", "wave", "--real-time-factor", "5", *SIMULATED)
    # The slowest joint swings in 7 seconds.
    states.wait_until(
        lambda: stamp_ns(states.messages[-1]) - stamp_ns(states.messages[0]) > 15 * 10**9, "15 simulated seconds"
    )

    joints = [JOINTS[name] for name in states.messages[0].name]
    lower, upper, velocity, effort = np.array(
        [(joint.lower, joint.upper, joint.velocity, joint.effort) for joint in joints]
    ).T
    positions = np.array([message.position for message in states.messages])
    assert (lower <= positions).all() and (positions <= upper).all()
    assert (np.ptp(positions, axis=0) > 0.05).all(), "every joint moves"
    assert (np.abs([message.velocity for message in states.messages]) <= velocity).all()
    assert (np.abs([message.effort for message in states.messages]) <= effort * (1.0 + 1e-9)).all()


def test_a_state_delay_makes_joint_states_old_and_no_stamp_comes_twice(start_twin: StartTwin, robot: Robot) -> None:
    states = JointStates(robot)
    start_twin()
    states.wait_until(lambda: states.ages_s[-1] < 0.1, "a fresh joint state")

    assert Parameters(robot, NODE_NAME).set(state_delay=0.3)[0].successful

    states.wait_until(lambda: states.ages_s[-1] >= 0.3, "a joint state of 0.3 s ago")
    count = len(states.messages)
    states.wait_for(count + 20)
    assert min(states.ages_s[count:]) >= 0.3
    stamps_ns = [stamp_ns(message) for message in states.messages]
    assert stamps_ns == sorted(set(stamps_ns))


# --- What tells robot and twin apart ----------------------------------------------------------------------------------


def largest_difference(robot: JointStates, twin: JointStates, shift_ns: int = 0) -> float:
    """Between the robot's positions and those of the twin so much later, by their stamps."""
    ours, theirs = robot.positions_by_stamp(), twin.positions_by_stamp()
    common = [stamp for stamp in ours if stamp + shift_ns in theirs]
    assert len(common) > 20, "they were watched at the same simulated time"
    return max(np.abs(ours[stamp] - theirs[stamp + shift_ns]).max() for stamp in common)


def watch_both(robot: Robot, *sources: JointStates) -> None:
    """Until two seconds of the same simulated time were seen of both."""
    for states in sources:
        states.forget()
    begin_ns: list[int] = []

    def both_have_come_far() -> bool:
        if not all(states.messages for states in sources):
            return False
        begin_ns[:] = begin_ns or [max(stamp_ns(states.messages[-1]) for states in sources)]
        return all(stamp_ns(states.messages[-1]) > begin_ns[0] + 2 * 10**9 for states in sources)

    robot.spin_until(both_have_come_far, "two seconds of both")


@pytest.mark.parametrize(("delay", "shift_ns"), [("--command-delay", 80_000_000), ("--state-delay", 0)])
def test_stamps_tell_a_command_delay_and_are_true_under_a_state_delay(
    start_twin: StartTwin, robot: Robot, delay: str, shift_ns: int
) -> None:
    first, second = JointStates(robot), JointStates(robot, TWIN_TOPIC)
    start_twin("--motion", "wave", *SIMULATED)
    start_twin("--motion", "wave", delay, "0.08", *BESIDE, ros=OTHER_CLOCK)
    watch_both(robot, first, second)

    assert largest_difference(first, second, shift_ns) < 1e-6
    assert largest_difference(first, second, 80_000_000 - shift_ns) > 0.01


def test_friction_that_doubles_makes_an_error(start_twin: StartTwin, robot: Robot) -> None:
    first, second = JointStates(robot), JointStates(robot, TWIN_TOPIC)
    start_twin("--motion", "wave", *SIMULATED)
    start_twin("--motion", "wave", *BESIDE, ros=OTHER_CLOCK)
    watch_both(robot, first, second)
    assert largest_difference(first, second) < 1e-6

    twin = Parameters(robot, f"twin/{NODE_NAME}")
    assert twin.set(friction_scale=2.0)[0].successful
    watch_both(robot, first, second)

    assert largest_difference(first, second) > 0.005
    refused = twin.set(friction_scale=-1.0)[0]
    assert not refused.successful and twin.get("friction_scale") == [2.0]


def test_a_parameter_goes_before_its_flag(start_twin: StartTwin, robot: Robot) -> None:
    start_twin("--friction-scale", "2", "--damping-scale", "3", ros=["-p", "friction_scale:=4.0"])
    assert Parameters(robot, NODE_NAME).get("friction_scale", "damping_scale") == [4.0, 3.0]


def test_noise_is_on_positions_and_the_same_for_the_same_seed(start_twin: StartTwin, robot: Robot) -> None:
    first, second = JointStates(robot), JointStates(robot, TWIN_TOPIC)
    start_twin("--position-noise", "0.01", "--seed", "5", *SIMULATED)
    start_twin("--position-noise", "0.01", "--seed", "5", *BESIDE, ros=OTHER_CLOCK)
    watch_both(robot, first, second)

    assert largest_difference(first, second) < 1e-6
    values = np.array([message.position for message in first.messages])
    assert 0.008 < np.std(np.diff(values, axis=0)) / math.sqrt(2.0) < 0.012
    assert np.abs([message.velocity for message in first.messages]).max() < 1e-3


# --- Commands ---------------------------------------------------------------------------------------------------------


def trajectory(joints: list[str], *points: tuple[float, list[float]], **fields: Any) -> JointTrajectory:
    """Points are seconds from the start and positions."""
    message = JointTrajectory(joint_names=joints, **fields)
    for after_s, positions in points:
        after = Duration(sec=math.floor(after_s), nanosec=round(after_s % 1.0 * 1e9))
        message.points.append(JointTrajectoryPoint(positions=positions, time_from_start=after))
    return message


def heard_talker(robot: Robot, states: JointStates, topic: str) -> Talker:
    """A publisher of commands that the program has found: what was published earlier would reach nobody.

    The head has nodded then, and stays there.
    """
    states.wait_for(1)
    is_trajectory = topic == TRAJECTORIES
    talker = robot.talker(topic, message_type=JointTrajectory if is_trajectory else Float64MultiArray)
    nod = trajectory([HEAD], (0.0, [NOD_RAD])) if is_trajectory else all_at_zero_but(states)
    with repeatedly(lambda: talker.publisher.publish(nod), interval_s=0.05):
        states.wait_until(lambda: abs(states.position(HEAD) - NOD_RAD) < WITHIN_RAD, "a nod")
    return talker


def all_at_zero_but(states: JointStates, **positions: float) -> Float64MultiArray:
    positions = {HEAD: NOD_RAD, **positions}
    return Float64MultiArray(data=[positions.get(name, 0.0) for name in states.messages[0].name])


@pytest.mark.parametrize("topic", [TRAJECTORIES, POSITIONS])
def test_a_command_moves_the_joint_and_no_other(start_twin: StartTwin, robot: Robot, topic: str) -> None:
    states = JointStates(robot)
    start_twin()
    talker = heard_talker(robot, states, topic)
    command = trajectory([ELBOW], (0.2, [-1.0])) if topic == TRAJECTORIES else all_at_zero_but(states, **{ELBOW: -1.0})
    talker.publisher.publish(command)

    states.wait_until(lambda: abs(states.position(ELBOW) + 1.0) < WITHIN_RAD, f"{ELBOW} at -1")
    states.forget()
    states.wait_for(20)
    others = set(states.messages[-1].name) - {ELBOW, HEAD}
    assert abs(states.position(ELBOW) + 1.0) < WITHIN_RAD
    assert max(abs(states.position(name)) for name in others) < WITHIN_RAD


def test_a_trajectory_begins_at_its_stamp_and_passes_its_points(start_twin: StartTwin, robot: Robot) -> None:
    states = JointStates(robot)
    start_twin(*SIMULATED)
    talker = heard_talker(robot, states, TRAJECTORIES)
    # Late enough to arrive in time on a busy machine.
    begin_ns = stamp_ns(states.messages[-1]) + 10**9
    message = trajectory([KNEE, ELBOW], (0.5, [0.5, -1.0]), (1.0, [1.0, -1.0]))
    message.header.stamp = time_of(begin_ns)
    talker.publisher.publish(message)
    states.wait_until(lambda: stamp_ns(states.messages[-1]) > begin_ns + 1_500_000_000, "what comes after the end")

    knee, elbow = (states.messages[0].name.index(joint) for joint in (KNEE, ELBOW))
    positions = states.positions_by_stamp()

    def at(after_s: float) -> tuple[float, float]:
        nearest = min(positions, key=lambda stamp: abs(stamp - begin_ns - after_s * 1e9))
        return positions[nearest][knee], positions[nearest][elbow]

    expected = {0.0: (0.0, 0.0), 0.25: (0.25, -0.5), 0.5: (0.5, -1.0), 0.75: (0.75, -1.0), 1.2: (1.0, -1.0)}
    for after_s, place in expected.items():
        assert at(after_s) == pytest.approx(place, abs=0.05), after_s


def test_it_follows_the_joint_states_of_another(start_twin: StartTwin, robot: Robot) -> None:
    states = JointStates(robot, TWIN_TOPIC)
    start_twin("--namespace", "twin", "--follow", TOPIC)
    talker = robot.talker(TOPIC)
    with repeatedly(lambda: talker.publish(["finger", KNEE], [9.0, 0.7])):
        states.wait_until(lambda: abs(states.position(KNEE) - 0.7) < WITHIN_RAD, f"{KNEE} at 0.7")
    assert abs(states.position(ELBOW)) < WITHIN_RAD


def bad_commands(states: JointStates) -> dict[str, list[JointTrajectory | Float64MultiArray]]:
    """By the reason for which they are refused; each asks for the knee, which therefore stays."""
    there = (0.1, [1.0])
    backward = trajectory([KNEE], there, there)
    ended_long_ago = trajectory([KNEE], there)
    ended_long_ago.header.stamp.sec = 1
    return {
        "no joint": [
            trajectory([KNEE, "finger"], (0.1, [1.0, 1.0])),
            trajectory([KNEE, KNEE], (0.1, [1.0, 1.0])),
            trajectory([]),
        ],
        "points": [trajectory([KNEE])],
        "positions for": [trajectory([KNEE], (0.1, [1.0, 1.0])), Float64MultiArray(data=[1.0] * (len(JOINTS) - 1))],
        "not finite": [
            trajectory([KNEE], (0.1, [math.nan])),
            all_at_zero_but(states, **{KNEE: math.nan}),
            all_at_zero_but(states, **{KNEE: math.inf}),
        ],
        "time_from_start": [backward, trajectory([KNEE], (-1.0, [1.0]))],
        "begins in": [ended_long_ago],
    }


def test_bad_commands_are_refused_and_told_once(start_twin: StartTwin, robot: Robot) -> None:
    states = JointStates(robot)
    twin = start_twin()
    trajectories, positions = heard_talker(robot, states, TRAJECTORIES), heard_talker(robot, states, POSITIONS)
    bad = bad_commands(states)
    for message in [one for messages in bad.values() for one in messages * 2]:
        (trajectories if isinstance(message, JointTrajectory) else positions).publisher.publish(message)
    # Of each kind a last one that is good: it arrives after the others. Beyond the limit it is held at it.
    limit = JOINTS[ELBOW].lower
    positions.publisher.publish(all_at_zero_but(states, **{HEAD: 0.5}))
    states.wait_until(lambda: abs(states.position(HEAD) - 0.5) < WITHIN_RAD, "the good positions")
    trajectories.publisher.publish(trajectory([ELBOW], (0.1, [-9.0])))
    states.wait_until(lambda: abs(states.position(ELBOW) - limit) < WITHIN_RAD, "the good trajectory")

    assert max(abs(message.position[message.name.index(KNEE)]) for message in states.messages) < WITHIN_RAD
    twin.end()
    told = [line for line in twin.stderr.splitlines() if "command refused" in line]
    assert len(told) == len(bad), told
    for reason in bad:
        assert any(reason in line for line in told), reason
    assert f"1 of them held to limits, {2 * sum(map(len, bad.values()))} refused" in twin.stderr


# --- Beginning and ending ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it(start_twin: StartTwin, robot: Robot, signal_number: signal.Signals) -> None:
    states = JointStates(robot)
    twin = start_twin("--motion", "walk", "--rate", "1000")
    states.wait_for(10)
    assert twin.end(signal_number) < END_WITHIN_S


def test_the_alive_file_is_touched_once_a_second(start_twin: StartTwin, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    start_twin("--alive-file", str(file))

    def touched_after(earlier_ns: int) -> int:
        wait_until(lambda: file.exists() and file.stat().st_mtime_ns > earlier_ns, "the file is touched")
        return file.stat().st_mtime_ns

    first_ns = touched_after(0)
    second_ns = touched_after(first_ns)
    assert touched_after(second_ns) - second_ns >= 900_000_000


def test_an_alive_file_that_cannot_be_touched_is_told(domain_id: int) -> None:
    ended = run_program(TwinArguments(PROGRAM, ["--alive-file", "/nowhere/alive"]), domain_id)
    assert ended.exit_code == 1 and "error: --alive-file: " in ended.stderr and "Traceback" not in ended.stderr, ended


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--model", "/nowhere.urdf"], "/nowhere.urdf: No such file"),
        (["--model", __file__], "no XML"),
        (["--model-argument", "prefixx=a"], "no argument prefixx"),
        (["--model-argument", "fixed_base=perhaps"], "boolean"),
        (["--rate", "300"], "300 does not divide 1000"),
        (["--friction-scale", "nan"], "nan is not from 0"),
        (["--ros-args", "-p", "state_delay:=-1.0"], "state_delay out of range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_is_told(domain_id: int, flags: list[str], told: str) -> None:
    ended = run_program(TwinArguments(PROGRAM, flags), domain_id)
    assert ended.exit_code == 64, ended
    assert told in ended.stderr and "Traceback" not in ended.stderr
