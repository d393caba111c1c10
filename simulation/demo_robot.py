"""A 7-joint arm that waves: publishes /joint_states at 100 Hz, as a Franka Research 3's driver does.

Each joint swings as a sine around the arm's ready pose. Velocities are the exact derivative of the positions; efforts
are those of a plain model (gravity, inertia, friction), so that graphs of them look like an arm's.
"""

import math
import sys
import time
from dataclasses import dataclass

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import JointState

from command_line import Parser

RATE_HZ = 100.0


@dataclass(frozen=True)
class Joint:
    """One revolute joint and how it swings."""

    name: str
    centre_rad: float
    amplitude_rad: float
    period_s: float
    gravity_nm: float
    inertia_kg_m2: float
    friction_nm_s: float

    def state(self, time_s: float) -> tuple[float, float, float]:
        """Position (rad), velocity (rad/s) and effort (N m)."""
        omega = 2.0 * math.pi / self.period_s
        swing, speed = self.amplitude_rad * math.sin(omega * time_s), self.amplitude_rad * omega * math.cos(omega * time_s)
        position = self.centre_rad + swing
        acceleration = -omega * omega * swing
        effort = self.gravity_nm * math.sin(position) + self.inertia_kg_m2 * acceleration + self.friction_nm_s * speed
        return position, speed, effort


# The ready pose and the name scheme of the real arm. The periods have no common multiple worth waiting for.
ARM = (
    Joint("fr3_joint1", 0.0, 0.60, 8.0, 0.0, 1.20, 0.9),
    Joint("fr3_joint2", -math.pi / 4, 0.35, 6.3, 38.0, 1.10, 0.9),
    Joint("fr3_joint3", 0.0, 0.50, 7.1, 6.0, 0.70, 0.8),
    Joint("fr3_joint4", -3 * math.pi / 4, 0.40, 5.7, 22.0, 0.60, 0.8),
    Joint("fr3_joint5", 0.0, 0.70, 4.9, 1.5, 0.12, 0.3),
    Joint("fr3_joint6", math.pi / 2, 0.45, 4.3, 2.2, 0.10, 0.3),
    Joint("fr3_joint7", math.pi / 4, 0.90, 3.7, 0.1, 0.03, 0.2),
)


class DemoRobot(Node):
    """Publishes the state of ARM on /joint_states."""

    def __init__(self) -> None:
        super().__init__("demo_robot")
        self._publisher = self.create_publisher(JointState, "/joint_states", 10)
        self._started_s = time.monotonic()
        self._message = JointState(name=[joint.name for joint in ARM])
        self.create_timer(1.0 / RATE_HZ, self._publish)
        self.get_logger().info(f"{self._publisher.topic_name}: {len(ARM)} joints at {RATE_HZ:.0f} Hz")

    def _publish(self) -> None:
        states = [joint.state(time.monotonic() - self._started_s) for joint in ARM]
        self._message.position, self._message.velocity, self._message.effort = map(list, zip(*states))
        self._message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(self._message)


def main() -> None:
    Parser(__doc__).parse(sys.argv)
    rclpy.init()
    try:
        rclpy.spin(DemoRobot())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to stop
    except RCLError:
        # Asked to stop between two lines of what it was at.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
