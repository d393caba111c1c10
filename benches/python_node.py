"""What the nodes in Python that the benchmark compares with have in common: how they end."""

import rclpy
from rclpy.executors import ExternalShutdownException


def spin_to_the_end(node):
    """Turns the node until somebody asks it to end, and takes it out of the graph."""
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
