"""synchronization_node: how far robot and twin are apart, on port 8001."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription


def generate_launch_description() -> LaunchDescription:
    node = str(Path(__file__).with_name('node.launch.py'))
    return LaunchDescription([IncludeLaunchDescription(node, launch_arguments={'executable': 'synchronization_node'}.items())])
