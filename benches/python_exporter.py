"""The joint-state exporter that a textbook would write: rclpy and prometheus_client, nothing else.

What the benchmark compares with. Idiomatic and not slowed down: the QoS is rclpy's default (reliable, depth 10), the
HTTP server is prometheus_client's own.
"""

import argparse

import rclpy
from prometheus_client import Counter, Gauge, Histogram, start_http_server
from rclpy.node import Node
from sensor_msgs.msg import JointState

from python_node import spin_to_the_end

POSITION = Gauge("ros_joint_position", "Last position of a joint", ["topic_name", "joint_name"])
VELOCITY = Gauge("ros_joint_velocity", "Last velocity of a joint", ["topic_name", "joint_name"])
EFFORT = Gauge("ros_joint_effort", "Last effort of a joint", ["topic_name", "joint_name"])
MESSAGES = Counter("ros_message_count", "Messages processed", ["topic_name"])
PROCESSING = Histogram("ros_processing_time_seconds", "Time spent on a message")

QOS_DEPTH = 10


class JointStateExporter(Node):
    """Keeps the last value of every joint of one topic."""

    def __init__(self, topic):
        super().__init__("python_exporter")
        self.topic = topic
        self.create_subscription(JointState, topic, self.on_joint_state, QOS_DEPTH)

    @PROCESSING.time()
    def on_joint_state(self, message):
        for name, position in zip(message.name, message.position):
            POSITION.labels(self.topic, name).set(position)
        for name, velocity in zip(message.name, message.velocity):
            VELOCITY.labels(self.topic, name).set(velocity)
        for name, effort in zip(message.name, message.effort):
            EFFORT.labels(self.topic, name).set(effort)
        MESSAGES.labels(self.topic).inc()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--topic", default="/joint_states")
    arguments, ros_arguments = parser.parse_known_args()
    start_http_server(arguments.port, addr="127.0.0.1")
    rclpy.init(args=ros_arguments)
    node = JointStateExporter(arguments.topic)
    spin_to_the_end(node)


if __name__ == "__main__":
    main()
