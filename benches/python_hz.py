"""What `ros2 topic hz` does, for several topics: raw subscriptions, a window of intervals for each, statistics a second.

What the benchmark compares with. Idiomatic and not slowed down: rclpy's default executor, the QoS of sensor data. Reports
the messages so far on its standard output, as take_loop does: one line of JSON at the start and on each SIGUSR1.
"""

import argparse
import functools
import json
import math
import signal
import sys
import time
from collections import deque

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

from python_node import spin_to_the_end

WINDOW_MESSAGES = 10_000
PRINT_SECONDS = 1.0


class Intervals:
    """The last intervals between the messages of one topic."""

    def __init__(self):
        self.received = 0
        self.last = None
        self.seconds = deque(maxlen=WINDOW_MESSAGES)

    def add(self, arrival):
        self.received += 1
        if self.last is not None:
            self.seconds.append(arrival - self.last)
        self.last = arrival

    def __str__(self):
        count = len(self.seconds)
        mean = sum(self.seconds) / count
        deviation = math.sqrt(sum((seconds - mean) ** 2 for seconds in self.seconds) / count)
        return (
            f"rate: {1 / mean:.3f}, min: {min(self.seconds):.3f}s, max: {max(self.seconds):.3f}s, "
            f"std dev: {deviation:.5f}s, window: {count}"
        )


class Hz(Node):
    """Measures the rates of some topics and prints them."""

    def __init__(self, topics):
        super().__init__("python_hz")
        self.intervals = {topic: Intervals() for topic in topics}
        for topic, intervals in self.intervals.items():
            on_message = functools.partial(self.on_message, intervals)
            self.create_subscription(CompressedImage, topic, on_message, qos_profile_sensor_data, raw=True)
        self.create_timer(PRINT_SECONDS, self.print_rates)

    def on_message(self, intervals, _):
        intervals.add(time.monotonic())

    def print_rates(self):
        for topic, intervals in self.intervals.items():
            if intervals.seconds:
                print(f"{topic}: {intervals}", file=sys.stderr)

    def report(self, *_):
        taken = sum(intervals.received for intervals in self.intervals.values())
        print(json.dumps({"taken": taken, "lost": None}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("topics", nargs="+")
    arguments, ros_arguments = parser.parse_known_args()
    rclpy.init(args=ros_arguments)
    node = Hz(arguments.topics)
    signal.signal(signal.SIGUSR1, node.report)
    node.report()
    spin_to_the_end(node)


if __name__ == "__main__":
    main()
