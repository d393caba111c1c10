"""A robot in the physics, as a process, and what it says of its joints."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from program import REPOSITORY, Arguments, ParameterValue, Program
from robot import Robot

PROGRAM = REPOSITORY / "simulation" / "physics_twin.py"
NODE_NAME = "physics_twin"
TOPIC = "/joint_states"
TWIN_TOPIC = "/twin/joint_states"


class StartTwin(Protocol):
    """The fixture `start_twin`."""

    def __call__(
        self, *flags: str, parameters: Mapping[str, ParameterValue] = ..., ros: Sequence[str] = ...
    ) -> "Twin": ...


@dataclass(frozen=True)
class TwinArguments(Arguments):
    """A command line of the program in Python."""

    def command(self) -> list[str]:
        return [sys.executable, str(self.program), *self.flags, *self.ros_arguments()]


class Twin(Program):
    """A running program. It is ready when its joint states come, for which tests wait where they need it."""

    def wait_until_ready(self) -> None:
        pass


class JointStates:
    """All that comes on a topic of joint states, while the robot's node turns."""

    def __init__(self, robot: Robot, topic: str = TOPIC) -> None:
        self._robot = robot
        self.topic = topic
        self.messages: list[JointState] = []
        self.ages_s: list[float] = []
        robot.listen(JointState, topic, self._take)

    def _take(self, message: JointState) -> None:
        self.messages.append(message)
        self.ages_s.append(self._robot.node.get_clock().now().nanoseconds / 1e9 - stamp_ns(message) / 1e9)

    def forget(self) -> None:
        self.messages.clear()
        self.ages_s.clear()

    def wait_for(self, count: int) -> None:
        self._robot.spin_until(lambda: len(self.messages) >= count, f"{count} joint states on {self.topic}")

    def position(self, joint: str) -> float:
        """In the newest message."""
        return self.messages[-1].position[self.messages[-1].name.index(joint)]

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Once there are joint states."""
        self._robot.spin_until(lambda: bool(self.messages) and bool(condition()), f"{what}, on {self.topic}")

    def positions_by_stamp(self) -> dict[int, NDArray[np.float64]]:
        return {stamp_ns(message): np.array(message.position) for message in self.messages}


def stamp_ns(message: JointState) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
