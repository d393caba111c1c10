"""unity_bridge_node: what Unity connects to, on port 10000; its metrics on port 8003."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription


def generate_launch_description() -> LaunchDescription:
    node = str(Path(__file__).with_name('node.launch.py'))
    return LaunchDescription([IncludeLaunchDescription(node, launch_arguments={'executable': 'unity_bridge_node'}.items())])
