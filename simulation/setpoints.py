"""Where each joint should be at a time: along commands, or along a motion of the robot's own.

Time is an argument, in seconds of the simulation. All arrays are in the order of the joints.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Of a joint state that is followed, the velocity holds for so long; without a new one the joint then stands.
FOLLOWED_S_MAX = 0.05
# Of trajectories that begin later, so many are kept.
WAITING_MAX = 16

GOLDEN_RATIO = (1.0 + math.sqrt(5.0)) / 2.0
RAMP_S = 2.0
# Of the range: the centre as a share of its middle, since limbs that hang down are close to one another, and the swing.
WAVE_SHARE_OF_RANGE = 0.09
WAVE_CENTRE = 0.3
WAVE_AMPLITUDE_RAD_MAX = 0.25
WAVE_HZ = (0.15, 0.45)
STRIDE_HZ = 0.6


class Setpoint(NamedTuple):
    """Positions, velocities and accelerations of all joints."""

    position: Array
    velocity: Array
    acceleration: Array


class Source(Protocol):
    """What the joints follow."""

    def at(self, time_s: float) -> Setpoint: ...


@dataclass(frozen=True)
class Trajectory:
    """Points for some joints. Without velocities they are joined by straight lines, with them by cubic curves."""

    joints: NDArray[np.intp]
    begin_s: float
    after_s: Array
    positions: Array
    velocities: Array | None = None


class Commands:
    """Follows commands: each joint the newest that names it, and after its end it stays where that ended."""

    def __init__(self, home: Array) -> None:
        count = len(home)
        # One cubic polynomial for each joint, from its begin for its duration.
        self._begin_s = np.zeros(count)
        self._duration_s = np.zeros(count)
        self._coefficients = np.zeros((4, count))
        self._coefficients[0] = home
        self._owner = np.full(count, -1)
        self._running: dict[int, tuple[Trajectory, int]] = {}
        self._waiting: list[Trajectory] = []
        self._number = 0
        self._next_change_s = math.inf

    def jump(self, joints: NDArray[np.intp], position: Array) -> None:
        """From now on these joints should be there."""
        self._own(joints, -1)
        self._set_piece(joints, 0.0, 0.0, position, 0.0)

    def follow(self, joints: NDArray[np.intp], time_s: float, position: Array, velocity: Array) -> None:
        """Another robot's joints are there, and move so fast."""
        self._own(joints, -1)
        self._set_piece(joints, time_s, FOLLOWED_S_MAX, position, velocity)

    def start(self, trajectory: Trajectory, time_s: float) -> bool:
        """Starts a trajectory, now or when its time has come; false where too many are waiting."""
        if trajectory.begin_s > time_s:
            if len(self._waiting) >= WAITING_MAX:
                return False
            self._waiting = sorted([*self._waiting, trajectory], key=lambda waiting: waiting.begin_s)
        else:
            self._begin(trajectory, time_s)
        self._plan_next_change()
        return True

    def at(self, time_s: float) -> Setpoint:
        while time_s >= self._next_change_s:
            self._change(time_s)
        return self._evaluate(time_s)

    def _evaluate(self, time_s: float) -> Setpoint:
        since_s = time_s - self._begin_s
        is_moving = since_s < self._duration_s
        since_s = np.minimum(since_s, self._duration_s)
        c0, c1, c2, c3 = self._coefficients
        position = c0 + since_s * (c1 + since_s * (c2 + since_s * c3))
        velocity = is_moving * (c1 + since_s * (2.0 * c2 + since_s * (3.0 * c3)))
        return Setpoint(position, velocity, is_moving * (2.0 * c2 + 6.0 * c3 * since_s))

    def _change(self, time_s: float) -> None:
        while self._waiting and self._waiting[0].begin_s <= time_s:
            self._begin(self._waiting.pop(0), time_s)
        for number, (trajectory, point) in list(self._running.items()):
            if trajectory.begin_s + trajectory.after_s[point] <= time_s:
                self._go_on(number, trajectory, point + 1, time_s)
        self._plan_next_change()

    def _begin(self, trajectory: Trajectory, time_s: float) -> None:
        self._number += 1
        present = self._evaluate(time_s)
        self._own(trajectory.joints, self._number)
        # The way to the first point that is still to come begins where the setpoint is.
        first = int(np.searchsorted(trajectory.after_s, time_s - trajectory.begin_s, side="right"))
        self._go_on(self._number, trajectory, first, time_s, present)

    def _go_on(
        self, number: int, trajectory: Trajectory, point: int, time_s: float, present: Setpoint | None = None
    ) -> None:
        """Takes the way to a point of a trajectory, with those joints that no newer one has taken over."""
        mine = self._owner[trajectory.joints] == number
        joints = trajectory.joints[mine]
        if point >= len(trajectory.after_s) or not len(joints):
            self._running.pop(number, None)
            if len(joints):
                self._set_piece(joints, 0.0, 0.0, trajectory.positions[-1][mine], 0.0)
            return
        self._running[number] = (trajectory, point)
        end_s = trajectory.begin_s + trajectory.after_s[point]
        if present is not None:
            begin_s, start, start_velocity = time_s, present.position[joints], present.velocity[joints]
        else:
            begin_s, start = trajectory.begin_s + trajectory.after_s[point - 1], trajectory.positions[point - 1][mine]
            start_velocity = None if trajectory.velocities is None else trajectory.velocities[point - 1][mine]
        duration_s, way = end_s - begin_s, trajectory.positions[point][mine] - start
        if trajectory.velocities is None:
            self._set_piece(joints, begin_s, duration_s, start, way / duration_s)
            return
        # The cubic that has these positions and velocities at its ends.
        end_velocity = trajectory.velocities[point][mine]
        square = (3.0 * way / duration_s - 2.0 * start_velocity - end_velocity) / duration_s
        cube = (start_velocity + end_velocity - 2.0 * way / duration_s) / duration_s**2
        self._set_piece(joints, begin_s, duration_s, start, start_velocity, square, cube)

    def _plan_next_change(self) -> None:
        ends = [trajectory.begin_s + trajectory.after_s[point] for trajectory, point in self._running.values()]
        self._next_change_s = min([*ends, *(waiting.begin_s for waiting in self._waiting)], default=math.inf)

    def _own(self, joints: NDArray[np.intp], number: int) -> None:
        self._owner[joints] = number
        if self._running:
            owners = set(self._owner.tolist())
            self._running = {one: running for one, running in self._running.items() if one in owners}

    def _set_piece(
        self, joints: NDArray[np.intp], begin_s: float, duration_s: float, *coefficients: Array | float
    ) -> None:
        self._begin_s[joints] = begin_s
        self._duration_s[joints] = duration_s
        for power in range(4):
            self._coefficients[power, joints] = coefficients[power] if power < len(coefficients) else 0.0


@dataclass(frozen=True)
class Motion:
    """A motion without end: for each joint a centre and sines around it, which begin gently. Rows are sines."""

    centre: Array
    amplitude: Array
    frequency_hz: Array
    phase: Array

    def at(self, time_s: float) -> Setpoint:
        omega = 2.0 * math.pi * self.frequency_hz
        angle = omega * time_s + self.phase
        swing, cosine = self.amplitude * np.sin(angle), omega * self.amplitude * np.cos(angle)
        position, velocity = self.centre + swing.sum(axis=0), cosine.sum(axis=0)
        acceleration = -(omega * omega * swing).sum(axis=0)
        if time_s >= RAMP_S:
            return Setpoint(position, velocity, acceleration)
        share = time_s / RAMP_S
        ramp, slope = share * share * (3.0 - 2.0 * share), 6.0 * share * (1.0 - share) / RAMP_S
        return Setpoint(ramp * position, ramp * velocity + slope * position, ramp * acceleration)


def wave(lower: Array, upper: Array) -> Motion:
    """Every joint swings within its range, no two in a common rhythm: what lags is told by when, not only by where."""
    lower, upper = np.maximum(lower, -math.pi), np.minimum(upper, math.pi)
    numbers = np.arange(len(lower))
    shares = np.modf(numbers * GOLDEN_RATIO)[0]
    return Motion(
        centre=WAVE_CENTRE * (lower + upper) / 2.0,
        amplitude=np.minimum(WAVE_SHARE_OF_RANGE * (upper - lower), WAVE_AMPLITUDE_RAD_MAX)[np.newaxis],
        frequency_hz=(WAVE_HZ[0] + (WAVE_HZ[1] - WAVE_HZ[0]) * shares)[np.newaxis],
        phase=np.zeros((1, len(lower))),
    )


@dataclass(frozen=True)
class Stride:
    """How a joint takes part in walking: its centre, its swing and when in the stride, in turns."""

    centre_rad: float
    swing_rad: float
    turn: float


# Of the left side; the right is half a stride later.
STRIDES = {
    "hip_pitch": Stride(-0.20, 0.35, 0.0),
    "knee": Stride(0.45, 0.35, 0.20),
    "ankle_pitch": Stride(-0.15, 0.15, 0.55),
    "shoulder_pitch": Stride(0.0, 0.30, 0.5),
    "elbow": Stride(-0.5, 0.15, 0.5),
    "waist_yaw": Stride(0.0, 0.10, 0.25),
}


def walk(names: Sequence[str], lower: Array, upper: Array) -> Motion | None:
    """Legs and arms swing as in walking; None where the joints have not a humanoid's names."""
    strides = [stride_of(name) for name in names]
    if not any(stride.swing_rad for stride in strides):
        return None
    centre = np.array([stride.centre_rad for stride in strides])
    swing = np.array([stride.swing_rad for stride in strides])
    turn = np.array([stride.turn for stride in strides])
    room = np.minimum(upper - centre, centre - lower)
    # Every stride is a little different from the one before, or a lag of a whole one would look like none.
    amplitude = np.minimum(swing, room) * np.array([[0.8], [0.2]])
    frequency_hz = np.full_like(amplitude, STRIDE_HZ) * np.array([[1.0], [1.0 / GOLDEN_RATIO]])
    return Motion(centre, amplitude, frequency_hz, 2.0 * math.pi * np.vstack([turn, turn]))


def stride_of(name: str) -> Stride:
    for part, stride in STRIDES.items():
        if f"{part}_joint" in name:
            turn = stride.turn + (0.5 if "right_" in name else 0.0)
            return Stride(stride.centre_rad, stride.swing_rad, turn)
    return Stride(0.0, 0.0, 0.0)
