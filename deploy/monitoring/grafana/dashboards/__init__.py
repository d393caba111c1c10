"""Grafana's dashboards, written with grafana-foundation-sdk: `make render` makes the JSON that Grafana reads.

A dashboard is a file here; what they share is in the modules that it imports. docs/dashboards.md tells people what is in them.
"""

from . import fleet, resources, robot, topics, twin
from .frame import Frame

ALL: tuple[Frame, ...] = (fleet.FRAME, robot.FRAME, topics.FRAME, twin.FRAME, resources.FRAME)

__all__ = ["ALL", "Frame"]
