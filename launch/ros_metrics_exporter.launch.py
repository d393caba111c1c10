"""ros_metrics_exporter: joint states as metrics, on port 8000."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription


def generate_launch_description() -> LaunchDescription:
    node = str(Path(__file__).with_name('node.launch.py'))
    return LaunchDescription([IncludeLaunchDescription(node, launch_arguments={'executable': 'ros_metrics_exporter'}.items())])
