"""One of the nodes of this package, with its parameters from config/; the launch files of the nodes include it."""

from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PACKAGE = 'digital_twin_simulation'
CONFIG = Path(__file__).resolve().parents[1] / 'config'
NODES = ('monitoring_node', 'ros_metrics_exporter', 'synchronization_node', 'unity_bridge_node')

# Topics that the parameters name from the root are those of this robot: in its namespace. /diagnostics is everybody's.
OF_THE_ROBOT = ('joint_states', 'twin/joint_states', 'sync_joint_states', 'robot_description', 'joint_trajectory_commands')

RESPAWN_DELAY_S = 2.0


def start(context: LaunchContext) -> list[Node]:
    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    executable = argument('executable')
    node = Node(
        package=PACKAGE,
        executable=executable,
        name=executable,
        namespace=argument('namespace'),
        parameters=[
            argument('params_file') or str(CONFIG / f'{executable}.yaml'),
            {'use_sim_time': argument('use_sim_time') == 'true', **parameters(argument('parameters'))},
        ],
        remappings=[(f'/{topic}', topic) for topic in OF_THE_ROBOT],
        arguments=[*flag('--web.listen-address', argument('listen_address')), *flag('--web.config.file', argument('web_config_file'))],
        ros_arguments=['--log-level', argument('log_level')],
        respawn=argument('respawn') == 'true',
        respawn_delay=RESPAWN_DELAY_S,
        output='screen',
    )
    return [node]


def flag(name: str, value: str) -> list[str]:
    return [name, value] if value else []


def parameters(text: str) -> dict:
    values = yaml.safe_load(text) or {}
    if not isinstance(values, dict):
        raise ValueError(f'parameters:={text} is no mapping, as {{update_rate: 200.0}} is')
    return values


def generate_launch_description() -> LaunchDescription:
    yes_or_no = ['true', 'false']
    return LaunchDescription([
        DeclareLaunchArgument('executable', choices=NODES, description='The node.'),
        DeclareLaunchArgument('namespace', default_value='', description='The namespace of the robot, and of the node.'),
        DeclareLaunchArgument('params_file', default_value='',
                              description='File with the parameters; empty: the one of the node in config/.'),
        DeclareLaunchArgument('parameters', default_value='{}',
                              description='Parameters that go before those of the file, as "{update_rate: 200.0}".'),
        DeclareLaunchArgument('listen_address', default_value='',
                              description='Where metrics are served, HOST:PORT; empty: every interface, the port of the node.'),
        DeclareLaunchArgument('web_config_file', default_value='',
                              description='File with TLS, users and headers of that address; empty: none.'),
        DeclareLaunchArgument('use_sim_time', default_value='false', choices=yes_or_no,
                              description='Whether ROS time is that of /clock.'),
        DeclareLaunchArgument('log_level', default_value='info', choices=['debug', 'info', 'warn', 'error'],
                              description='What is logged.'),
        DeclareLaunchArgument('respawn', default_value='true', choices=yes_or_no,
                              description=f'Whether the node is started again, {RESPAWN_DELAY_S:g} s after it ended.'),
        OpaqueFunction(function=start),
    ])
