"""The whole system comes up, and does what it is for. To run it: launch_test integration_test.launch.py [simulator:=gazebo]

A robot in physics waves, its twin follows; in a ROS domain and on ports of its own, on this host only.
"""

import os
import socket
import time
import unittest
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import launch_testing
import rclpy
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration
from launch_testing import ProcInfoHandler
from launch_testing.actions import ReadyToTest
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState

# Before anything of ROS starts, here or in a process that is launched.
os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
for setting in ('ROS_DISCOVERY_SERVER', 'ROS_STATIC_PEERS'):
    os.environ.pop(setting, None)
if os.environ.get('ROS_DISTRO') == 'humble':
    os.environ['ROS_LOCALHOST_ONLY'] = '1'  # what Humble has instead

NODES = ('ros_metrics_exporter', 'synchronization_node', 'monitoring_node', 'unity_bridge_node')
# The series that tell that a node has what it is for: family and labels of each; their value is 1.
SIGNS_OF_LIFE = {
    'ros_metrics_exporter': [('ros_topic_status', 'status="ok"', 'topic_name="/joint_states"'),
                             ('ros_topic_status', 'status="ok"', 'topic_name="/twin/joint_states"')],
    'synchronization_node': [('ros_twin_state', 'state="SYNCED"')],
    'monitoring_node': [('ros_topic_status', 'status="ok"', 'topic_name="/sync_joint_states"')],
    'unity_bridge_node': [('digital_twin_build_info', 'middleware=')],
}
# Gazebo takes its time to load; the physics is there after two or three seconds.
TIMEOUT_S = 60.0
POLL_S = 0.2


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for first in range(20000, 30000, count):
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError('no free ports')


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True


# The last one is Unity's.
FIRST_PORT = free_ports(len(NODES) + 1)
UNITY_PORT = FIRST_PORT + len(NODES)


def generate_test_description() -> LaunchDescription:
    if not find_spec('mujoco'):
        raise unittest.SkipTest('this Python has no mujoco: pip install -r simulation/requirements.txt')
    arguments = {
        'simulator': LaunchConfiguration('simulator'), 'robot': 'physics', 'headless': 'true', 'gpu': 'false',
        'first_port': str(FIRST_PORT), 'unity_port': str(UNITY_PORT),
    }
    complete = str(Path(__file__).with_name('digital_twin_complete.launch.py'))
    return LaunchDescription([
        DeclareLaunchArgument('simulator', default_value='physics', choices=['physics', 'gazebo'], description='Of the twin.'),
        IncludeLaunchDescription(complete, launch_arguments=arguments.items()),
        ReadyToTest(),
    ])


def metrics(node: str) -> str:
    """What the node tells now; nothing where it does not answer."""
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{FIRST_PORT + NODES.index(node)}/metrics', timeout=5.0) as answer:
            return answer.read().decode()
    except OSError:
        return ''


def of_value_1(node: str) -> list[str]:
    """The series whose value is 1."""
    return [line.removesuffix(' 1') for line in metrics(node).splitlines() if line.endswith(' 1')]


class WholeSystem(unittest.TestCase):
    def wait_until(self, condition: Callable[[], bool], what_was_missing: Callable[[], str]) -> None:
        give_up = time.monotonic() + TIMEOUT_S
        while not condition():
            if time.monotonic() > give_up:
                self.fail(f'{what_was_missing()} after {TIMEOUT_S:g} s')
            time.sleep(POLL_S)

    def test_every_node_serves_its_metrics(self) -> None:
        def missing() -> list[str]:
            return [node for node in NODES if 'digital_twin_build_info' not in metrics(node)]

        self.wait_until(lambda: not missing(), lambda: f'no metrics of {", ".join(missing())}')

    def test_every_node_has_what_it_is_for(self) -> None:
        for node, signs in SIGNS_OF_LIFE.items():
            for sign in signs:
                self.wait_until(lambda: any(all(part in series for part in sign) for series in of_value_1(node)),
                                lambda: f'{node} does not tell {sign}, but {self.told_instead(node, sign[0])}')

    def told_instead(self, node: str, family: str) -> str:
        return ', '.join(series for series in of_value_1(node) if series.startswith(family)) or 'nothing of it'

    def test_unity_can_connect(self) -> None:
        def connects() -> bool:
            with socket.socket() as client:
                return client.connect_ex(('127.0.0.1', UNITY_PORT)) == 0

        self.wait_until(connects, lambda: f'nobody listens on port {UNITY_PORT}')

    def test_states_of_the_robot_are_given_out(self) -> None:
        heard: list[JointState] = []
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node('integration_test', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            node.create_subscription(JointState, '/sync_joint_states', heard.append, 10)

            def hears_enough() -> bool:
                executor.spin_once(timeout_sec=POLL_S)
                return len(heard) >= 10

            self.wait_until(hears_enough, lambda: f'only {len(heard)} messages on /sync_joint_states')
            self.assertEqual(len(heard[-1].name), len(heard[-1].position))
            self.assertIn('left_knee_joint', heard[-1].name)
        finally:
            executor.shutdown()
            node.destroy_node()
            rclpy.shutdown(context=context)


@launch_testing.post_shutdown_test()
class AfterTheEnd(unittest.TestCase):
    def test_every_node_ended_well(self, proc_info: ProcInfoHandler) -> None:
        ended = {name: proc_info[name].returncode for name in proc_info.process_names() if name.startswith(NODES)}
        self.assertEqual(len(ended), len(NODES), ended)
        self.assertEqual(set(ended.values()), {0}, ended)
