#!/usr/bin/env python3
"""A robot in MuJoCo that talks ROS: the embedded stand-in for Gazebo, without GPU and display.

It can be the robot, moving by itself (--motion), or the twin of another, which follows its joint states (--follow) or
commands. The base is fixed to the world. Physics goes on in steps of 1 ms that keep up with real time.

In the namespace it publishes joint_states and takes, unless it moves by itself or follows,
  joint_trajectory_commands            trajectory_msgs/JointTrajectory: any joints, stamp 0 is now; no velocities or all
  forward_command_controller/commands  std_msgs/Float64MultiArray: every joint, in the order of joint_states
Positions beyond a limit are held at it. Commands that make no sense are refused, told once and counted.

Stamps are ROS time: the system's, or that of /clock with --ros-args -p use_sim_time:=true. With --clock this program is
who publishes /clock, at the rate of joint_states, and its stamps are simulated time. One program in a domain may do so.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

for module in ("mujoco", "xacro"):
    if find_spec(module) is None:
        sys.exit(f"error: this Python has no {module}: pip install -r {Path(__file__).with_name('requirements.txt')}")

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from command_line import USAGE_ERROR, Parser
from physics import STEP_S, Physics, Unstable
from real_time import Pace
from robot_model import ModelError, load
from setpoints import Commands, Motion, Source, walk, wave
from twin_node import DELAY_S_MAX, DIFFERENCES, Differences, TwinNode
from twin_state import Delayed, StateLog

MODEL = Path(__file__).resolve().parent.parent / "models" / "digital_twin_humanoid.urdf.xacro"
STEPS_PER_SECOND = round(1.0 / STEP_S)
# Between two looks at the clock and at commands.
STEPS_PER_TICK_MAX = 5
STIFFNESS_MAX = 100.0
FACTOR_MAX = 100.0
ALIVE_EVERY_NS = 1_000_000_000


class BadUsage(Exception):
    """What the ROS arguments or names are at fault for."""


class NotShown(Exception):
    """The file that shows that physics goes on cannot be touched."""


def up_to(most: float, *, is_zero_good: bool = True) -> Callable[[str], float]:
    """Reads a number from or above zero."""

    def number(text: str) -> float:
        value = float(text)
        if not 0.0 <= value <= most or (value == 0.0 and not is_zero_good):
            raise argparse.ArgumentTypeError(f"{text} is not {'from' if is_zero_good else 'above'} 0 up to {most:g}")
        return value

    return number


def rate(text: str) -> int:
    value = int(text)
    if value < 1 or STEPS_PER_SECOND % value:
        raise argparse.ArgumentTypeError(f"{text} does not divide {STEPS_PER_SECOND}")
    return value


def seed(text: str) -> int:
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def assignment(text: str) -> tuple[str, str]:
    # With :=, as xacro has it, ROS would take it for a name to remap.
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(__doc__)
    add_robot(parser)
    add_time(parser.add_argument_group("time"))
    title = "what tells robot and twin apart, from the start"
    note = (
        "While it runs ROS parameters change them, of the same names with _ for -, as friction_scale for --friction-scale: "
        "all but seed and stiffness. One that is given at the start too, with --ros-args -p, goes before its flag."
    )
    add_differences(parser.add_argument_group(title, note))
    return parser.parse(arguments)


def add_robot(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--namespace", default="", help="ROS namespace of the node and its topics, for example twin")
    add("--model", type=Path, default=MODEL, metavar="FILE", help="URDF, or xacro if it ends in .xacro (the humanoid)")
    add("--model-argument", type=assignment, action="append", default=[], metavar="NAME=VALUE", help="for xacro")
    add("--publish-description", action="store_true", help="publish the URDF on robot_description, latched")
    alive = "touch this file once a second while physics goes on, for who asks for its age"
    add("--alive-file", type=Path, metavar="FILE", help=alive)
    moves = parser.add_mutually_exclusive_group()
    moves.add_argument("--motion", choices=("none", "wave", "walk"), default="none", help="move by itself (none)")
    moves.add_argument("--follow", metavar="TOPIC", help="take the joint states of this topic as commands")


def add_time(group: argparse._ArgumentGroup) -> None:
    def add(name: str, kind: Callable[[str], float], default: float, metavar: str, meaning: str) -> None:
        group.add_argument(name, type=kind, default=default, metavar=metavar, help=f"{meaning} ({default:g})")

    add("--rate", rate, 100, "HZ", "joint states per simulated second; divides 1000")
    add("--real-time-factor", up_to(FACTOR_MAX, is_zero_good=False), 1.0, "X", "simulated seconds per second")
    group.add_argument("--clock", action="store_true", help="publish /clock, and stamp with simulated time")


def add_differences(group: argparse._ArgumentGroup) -> None:
    for name, (default, most, unit, meaning) in DIFFERENCES.items():
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(flag, type=up_to(most), default=default, metavar=unit, help=f"{meaning} ({default:g})")
    group.add_argument("--seed", type=seed, default=0, help="of the noise (0)")
    stiffness = "times the stiffness of the servos, which use their whole effort at an error of 0.25 rad (1)"
    kind = up_to(STIFFNESS_MAX, is_zero_good=False)
    group.add_argument("--stiffness", type=kind, default=1.0, metavar="X", help=stiffness)


class AliveFile:
    """Its age says how long ago physics went on."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._touch_at_ns = 0

    def show(self, now_ns: int) -> None:
        if self._path is None or now_ns < self._touch_at_ns:
            return
        try:
            self._path.touch()
        except OSError as error:
            raise NotShown(f"--alive-file: {error}") from None
        self._touch_at_ns = now_ns + ALIVE_EVERY_NS


class Twin:
    """Physics, what moves it and the node, tick by tick."""

    def __init__(self, physics: Physics, source: Source, node: TwinNode, arguments: argparse.Namespace) -> None:
        self._physics = physics
        self._source = source
        self._node = node
        self._steps_per_state = STEPS_PER_SECOND // arguments.rate
        # As many steps as go into the time between two joint states without a rest.
        self._steps_per_tick = max(n for n in range(1, STEPS_PER_TICK_MAX + 1) if self._steps_per_state % n == 0)
        factor = arguments.real_time_factor
        self.pace = Pace(round(self._steps_per_tick * STEP_S * 1e9 / factor))
        self._alive_file = AliveFile(arguments.alive_file)
        self._stamps_are_system_time = not arguments.clock and not node.get_parameter("use_sim_time").value
        self._stamp_seconds_per_step = STEP_S / factor if self._stamps_are_system_time else STEP_S
        self._setpoints = Delayed(DELAY_S_MAX, STEP_S, source.at(0.0))
        self._log = StateLog(DELAY_S_MAX, STEP_S, physics.position, physics.velocity, physics.effort)
        self._differences: Differences | None = None
        self._step = 0
        self._published_step = -1

    @property
    def step(self) -> int:
        return self._step

    def run(self, stop: threading.Event) -> None:
        self.pace.start(time.monotonic_ns())
        while not stop.is_set():
            rest_ns = self.pace.rest_ns(time.monotonic_ns())
            if rest_ns > 0:
                time.sleep(rest_ns / 1e9)
                continue
            if told := self.pace.begin(time.monotonic_ns()):
                self._node.get_logger().warning(told)
            self._tick()
            self._alive_file.show(time.monotonic_ns())

    def _tick(self) -> None:
        if isinstance(self._source, Commands):
            age_s = self._age_s(self._steps_per_tick) if self._stamps_are_system_time else 0.0
            self._node.hand_over(self._source, self._step * STEP_S, age_s)
        differences = self._take_differences()
        delay_steps = round(differences.command_delay / STEP_S)
        for _ in range(self._steps_per_tick):
            self._setpoints.push(self._source.at(self._step * STEP_S))
            self._physics.step(self._setpoints.delayed(delay_steps))
            self._step += 1
            self._log.push(self._physics.position, self._physics.velocity, self._physics.effort)
        self._physics.check()
        if self._step % self._steps_per_state == 0:
            self._publish(differences)

    def _take_differences(self) -> Differences:
        differences = self._node.differences
        if differences is not self._differences:
            self._physics.set_friction_scale(differences.friction_scale)
            self._physics.set_damping_scale(differences.damping_scale)
            self._differences = differences
        return differences

    def _publish(self, differences: Differences) -> None:
        self._node.publish_clock(self._step * STEP_S)
        delay_steps = round(differences.state_delay / STEP_S)
        # None before the first that is so old, and none twice when the delay has become longer.
        if self._step - delay_steps > self._published_step:
            self._published_step = self._step - delay_steps
            self._node.publish_state(self._step * STEP_S, self._age_s(delay_steps), *self._log.delayed(delay_steps))

    def _age_s(self, steps: int) -> float:
        """Of the state so many steps before the end of this tick, by the clock that stamps are of."""
        # Of when the state was due, so that a late tick does not look like a slow joint.
        late_s = (time.monotonic_ns() - self.pace.due_ns) / 1e9 if self._stamps_are_system_time else 0.0
        return steps * self._stamp_seconds_per_step + late_s


def source_of(arguments: argparse.Namespace, physics: Physics) -> Source:
    if arguments.motion == "none":
        return Commands(physics.home)
    motion: Motion | None = wave(physics.lower, physics.upper)
    if arguments.motion == "walk":
        motion = walk(physics.names, physics.lower, physics.upper)
    if motion is None:
        raise ModelError("--motion walk needs joints with a humanoid's names, as left_hip_pitch_joint")
    return motion


def start_node(physics: Physics, arguments: argparse.Namespace) -> TwinNode:
    try:
        rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # of the same kind: a file with parameters that is missing, for example
        raise BadUsage(f"ROS: {error}") from None
    try:
        return TwinNode(physics, arguments)
    except (NameValidationException, ParameterException) as error:
        rclpy.try_shutdown()
        raise BadUsage(" ".join(str(error).split())) from None


def spin(node: TwinNode) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except ExternalShutdownException:
        pass  # asked to end


def run(arguments: argparse.Namespace, stop: threading.Event) -> None:
    robot = load(arguments.model, dict(arguments.model_argument))
    physics = Physics(robot, arguments.stiffness)
    source = source_of(arguments, physics)
    node = start_node(physics, arguments)
    twin = Twin(physics, source, node, arguments)
    log = node.get_logger()
    with ThreadPoolExecutor(1, thread_name_prefix="ros") as threads:
        ros: Future[None] = threads.submit(spin, node)
        ros.add_done_callback(lambda _: stop.set())
        try:
            log.info(f"{len(physics.names)} joints, {arguments.rate} joint states per simulated second")
            twin.run(stop)
        finally:
            log.info(f"{twin.step * STEP_S:.3f} s simulated, {twin.pace.summary()}; {node.summary()}")
            rclpy.try_shutdown()
            # Before the node goes: the middleware's destructors crash under a thread that still runs.
            ros.result()
            node.destroy_node()


def main() -> int:
    arguments = read_arguments(sys.argv)
    stop = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stop.set())
    try:
        run(arguments, stop)
    except (ModelError, BadUsage, Unstable, NotShown) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_ERROR if isinstance(error, (ModelError, BadUsage)) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
