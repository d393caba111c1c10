"""The ROS side of the physics: joint states out, commands in, and the parameters that change at run time."""

import argparse
import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from physics import Physics
from setpoints import FOLLOWED_S_MAX, Array, Commands, Trajectory

DELAY_S_MAX = 2.0
# The parameters, which are arguments too: default, the most that is allowed, unit, meaning.
DIFFERENCES = {
    "friction_scale": (1.0, 100.0, "X", "times the model's friction"),
    "damping_scale": (1.0, 100.0, "X", "times the model's damping"),
    "command_delay": (0.0, DELAY_S_MAX, "S", "the joints do everything so many seconds later; stamps are true"),
    "state_delay": (0.0, DELAY_S_MAX, "S", "joint states come so many seconds later than their stamps say"),
    "position_noise": (0.0, 1.0, "RAD", "standard deviation of noise on published positions"),
}
NAMES_TOLD_MAX = 5
NAMES_LENGTH_MAX = 200
POINTS_MAX = 10_000
DURATION_S_MAX = 3600.0
# Commands that wait for this node, and for the physics, which takes them every few milliseconds.
WAITING_MAX = 100

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Who is followed is never held up for it.
FOLLOWER = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True)
class Differences:
    """Values of all of these. They are replaced, never changed: the physics reads them from another thread."""

    friction_scale: float
    damping_scale: float
    command_delay: float
    state_delay: float
    position_noise: float


class Refused(Exception):
    """Why a command is not carried out."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(details)
        self.reason = reason


def listed(names: Sequence[str]) -> str:
    """For people; a peer chooses how many there are and how long."""
    text = ", ".join(names[:NAMES_TOLD_MAX])[:NAMES_LENGTH_MAX]
    return text or "none"


@dataclass(frozen=True)
class Jump:
    """Positions that hold from now on."""

    joints: NDArray[np.intp]
    position: Array


@dataclass(frozen=True)
class Followed:
    """Where another robot's joints were at a time of the clock that stamps are of; 0 where nobody says."""

    stamp_ns: int
    joints: NDArray[np.intp]
    position: Array
    velocity: Array


@dataclass(frozen=True)
class Planned:
    """A trajectory that begins so many seconds of ROS time from its arrival."""

    trajectory: Trajectory
    in_s: float


class TwinNode(Node):
    """Its callbacks run in the thread `ros`; what the physics calls says so."""

    def __init__(self, physics: Physics, arguments: argparse.Namespace) -> None:
        super().__init__("physics_twin", namespace=arguments.namespace)
        self._names = physics.names
        self._index = {name: index for index, name in enumerate(physics.names)}
        self._lower, self._upper = physics.lower, physics.upper
        self._all = np.arange(len(physics.names))
        # Simulated seconds in one of the clock that stamps are of.
        self._clock_factor = 1.0 if arguments.clock else arguments.real_time_factor
        self._time_s = 0.0
        self._random = np.random.default_rng(arguments.seed)
        self._commands: SimpleQueue[Jump | Followed | Planned] = SimpleQueue()
        self._last_names: Sequence[str] = ()
        self._last_joints: tuple[NDArray[np.intp], NDArray[np.intp]] = (self._all, self._all)
        self._refused: Counter[str] = Counter()
        self._taken = self._states = self._clamped = 0
        self._declare(arguments)
        self._publish_and_listen(physics, arguments)

    # --- Parameters -------------------------------------------------------------------------------------------------

    def _declare(self, arguments: argparse.Namespace) -> None:
        self.add_on_set_parameters_callback(self._set)
        self.differences = Differences(*(float(getattr(arguments, field.name)) for field in fields(Differences)))
        for name, (_, most, _, meaning) in DIFFERENCES.items():
            limits = [FloatingPointRange(from_value=0.0, to_value=most)]
            descriptor = ParameterDescriptor(description=meaning, floating_point_range=limits)
            self.declare_parameter(name, getattr(self.differences, name), descriptor)

    def _set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        ours = {parameter.name: parameter.value for parameter in parameters if parameter.name in DIFFERENCES}
        # The ranges do not keep out what no comparison does.
        if any(not isinstance(value, float) or math.isnan(value) for value in ours.values()):
            return SetParametersResult(successful=False, reason=f"not a number: {', '.join(ours)}")
        self.differences = replace(self.differences, **ours)
        return SetParametersResult(successful=True)

    # --- Out, from the thread of the physics ------------------------------------------------------------------------

    def _publish_and_listen(self, physics: Physics, arguments: argparse.Namespace) -> None:
        self._message = JointState(name=self._names)
        self._state_publisher = self.create_publisher(JointState, "joint_states", 10)
        self._clock_publisher = self.create_publisher(Clock, "/clock", 10) if arguments.clock else None
        if arguments.publish_description:
            self._description_publisher = self.create_publisher(String, "robot_description", LATCHED)
            self._description_publisher.publish(String(data=physics.urdf))
        if arguments.follow:
            self.create_subscription(JointState, arguments.follow, self._take_joint_state, FOLLOWER)
        elif arguments.motion == "none":
            self.create_subscription(JointTrajectory, "joint_trajectory_commands", self._take_trajectory, WAITING_MAX)
            topic = "forward_command_controller/commands"
            self.create_subscription(Float64MultiArray, topic, self._take_positions, WAITING_MAX)

    def publish_clock(self, time_s: float) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=Time(nanoseconds=round(time_s * 1e9)).to_msg()))

    def publish_state(self, time_s: float, age_s: float, position: Array, velocity: Array, effort: Array) -> None:
        """Publishes the state of `age_s` ago."""
        if noise := self.differences.position_noise:
            position = position + self._random.normal(0.0, noise, len(position))
        self._time_s = time_s
        self._message.header.stamp = Time(nanoseconds=max(self._now_ns() - round(age_s * 1e9), 0)).to_msg()
        # Arrays of this type pass unchecked; of a list, every value would be looked at.
        self._message.position = array("d", position.tobytes())
        self._message.velocity = array("d", velocity.tobytes())
        self._message.effort = array("d", effort.tobytes())
        self._state_publisher.publish(self._message)
        self._states += 1

    def _now_ns(self) -> int:
        """Of the clock that stamps are of."""
        if self._clock_publisher is not None:
            return round(self._time_s * 1e9)
        return self.get_clock().now().nanoseconds

    def hand_over(self, commands: Commands, time_s: float, age_s: float) -> None:
        """Gives the commands that have come in to what follows them, at a simulated time that was `age_s` ago."""
        self._time_s = time_s
        try:
            while True:
                match self._commands.get_nowait():
                    case Jump(joints, position):
                        commands.jump(joints, position)
                    case Followed(stamp_ns, joints, position, velocity):
                        begin_s = time_s - self._behind_s(stamp_ns, age_s) * self._clock_factor
                        commands.follow(joints, begin_s, position, velocity)
                    case Planned(trajectory, in_s):
                        begin_s = time_s + in_s * self._clock_factor
                        if not commands.start(replace(trajectory, begin_s=begin_s), time_s):
                            self._refuse(Refused("waiting", "too many trajectories wait for their time to begin"))
        except Empty:
            pass

    def _behind_s(self, stamp_ns: int, age_s: float) -> float:
        """How long before the time of `age_s` ago a stamp is, so that transport does not add to the delay that is asked for.

        What is stamped by another clock, or is older than it would be followed for, is taken to be of now.
        """
        behind_s = (self._now_ns() - stamp_ns) / 1e9 - age_s
        return behind_s if abs(behind_s) < FOLLOWED_S_MAX else 0.0

    def summary(self) -> str:
        reasons = "".join(f", {count} {reason}" for reason, count in sorted(self._refused.items()))
        return (
            f"{self._states} joint states published; {self._taken} commands taken, "
            f"{self._clamped} of them held to limits, {self._refused.total()} refused{reasons}"
        )

    # --- In, from the thread `ros` ----------------------------------------------------------------------------------

    def _take_joint_state(self, message: JointState) -> None:
        try:
            joints, present = self._known_joints(message.name)
            position = self._values("positions", message.position, len(message.name))[present]
            has_velocity = len(message.velocity) == len(message.name)
            velocity = np.array(message.velocity)[present] if has_velocity else np.zeros(len(joints))
            velocity[~np.isfinite(velocity)] = 0.0
            stamp_ns = Time.from_msg(message.header.stamp).nanoseconds
            self._give(Followed(stamp_ns, joints, self._within_limits(joints, position), velocity))
        except Refused as refused:
            self._refuse(refused)

    def _take_positions(self, message: Float64MultiArray) -> None:
        try:
            position = self._values("positions", message.data, len(self._names))
            self._give(Jump(self._all, self._within_limits(self._all, position)))
        except Refused as refused:
            self._refuse(refused)

    def _take_trajectory(self, message: JointTrajectory) -> None:
        try:
            self._give(self._planned(message))
        except Refused as refused:
            self._refuse(refused)

    def _planned(self, message: JointTrajectory) -> Planned:
        count = len(message.joint_names)
        unknown = [name for name in message.joint_names if name not in self._index]
        if unknown or len(set(message.joint_names)) < count or not count:
            raise Refused("joints", f"no joint here, or named twice: {listed(unknown or message.joint_names)}")
        if not 0 < len(message.points) <= POINTS_MAX:
            raise Refused("points", f"{len(message.points)} points; there have to be 1 to {POINTS_MAX}")
        joints = np.array([self._index[name] for name in message.joint_names])
        times = [point.time_from_start for point in message.points]
        after_s = np.array([time.sec + time.nanosec * 1e-9 for time in times])
        if after_s[0] < 0.0 or after_s[-1] > DURATION_S_MAX or not (np.diff(after_s) > 0.0).all():
            raise Refused("times", f"time_from_start has to rise from point to point, 0 to {DURATION_S_MAX:g} s")
        rows = [self._values("positions", point.positions, count) for point in message.points]
        positions = self._within_limits(joints, np.array(rows))
        velocities = None
        if any(len(point.velocities) for point in message.points):
            velocities = np.array([self._values("velocities", point.velocities, count) for point in message.points])
        stamp_ns = Time.from_msg(message.header.stamp).nanoseconds
        in_s = (stamp_ns - self._now_ns()) / 1e9 if stamp_ns else 0.0
        if in_s > DURATION_S_MAX or in_s + after_s[-1] < 0.0:
            raise Refused("stamp", f"it begins in {in_s:.3f} s and takes {after_s[-1]:.3f} s")
        return Planned(Trajectory(joints, 0.0, after_s, positions, velocities), in_s)

    def _known_joints(self, names: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Of those joints that this robot has too, their index here and in the message."""
        if names != self._last_names:
            present = [index for index, name in enumerate(names) if name in self._index]
            joints = [self._index[names[index]] for index in present]
            if not joints or len(set(joints)) < len(joints):
                raise Refused("joints", f"no joint of this robot, or one twice: {listed(names)}")
            self._last_names, self._last_joints = list(names), (np.array(joints), np.array(present))
            if len(present) < len(names):
                self.get_logger().warning(f"{len(names) - len(present)} joints of who is followed do not exist here")
        return self._last_joints

    def _values(self, what: str, values: Sequence[float], count: int) -> Array:
        if len(values) != count:
            raise Refused("length", f"{len(values)} {what} for {count} joints")
        found = np.array(values, dtype=np.float64)
        if not np.isfinite(found).all():
            raise Refused("numbers", f"{what} that are not finite")
        return found

    def _within_limits(self, joints: NDArray[np.intp], position: Array) -> Array:
        held = np.clip(position, self._lower[joints], self._upper[joints])
        if (held != position).any():
            if not self._clamped:
                self.get_logger().warning("a command beyond a position limit is held at it; further ones are counted")
            self._clamped += 1
        return held

    def _give(self, command: Jump | Followed | Planned) -> None:
        if self._commands.qsize() >= WAITING_MAX:
            raise Refused("waiting", "more commands than the physics keeps up with")
        self._commands.put(command)
        self._taken += 1

    def _refuse(self, refused: Refused) -> None:
        if not self._refused[refused.reason]:
            self.get_logger().warning(f"command refused: {refused}; further ones for this reason are only counted")
        self._refused[refused.reason] += 1
