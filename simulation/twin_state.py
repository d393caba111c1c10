"""What was a while ago: rings that go back by whole steps."""

import numpy as np

from setpoints import Array, Setpoint


class Delayed:
    """Setpoints of the last seconds; those before the first are like it, but at rest."""

    def __init__(self, seconds_max: float, step_s: float, first: Setpoint) -> None:
        rest = np.zeros_like(first.position)
        self._ring = [Setpoint(first.position, rest, rest)] * (round(seconds_max / step_s) + 1)
        self._newest = 0

    def push(self, setpoint: Setpoint) -> None:
        self._newest = (self._newest + 1) % len(self._ring)
        self._ring[self._newest] = setpoint

    def delayed(self, steps: int) -> Setpoint:
        return self._ring[self._newest - steps]


class StateLog:
    """Positions, velocities and efforts of the last seconds."""

    def __init__(self, seconds_max: float, step_s: float, *first: Array) -> None:
        self._ring = np.tile(np.array(first), (round(seconds_max / step_s) + 1, 1, 1))
        self._newest = 0

    def push(self, *state: Array) -> None:
        self._newest = (self._newest + 1) % len(self._ring)
        for row, values in zip(self._ring[self._newest], state):
            row[:] = values

    def delayed(self, steps: int) -> Array:
        """One row each."""
        return self._ring[self._newest - steps]
