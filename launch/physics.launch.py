"""A robot in MuJoCo, the stand-in for Gazebo without GPU and display: simulation/physics_twin.py."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration

SHARE = Path(__file__).resolve().parents[1]


def start(context: LaunchContext) -> list[ExecuteProcess]:
    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    flags = ['--namespace', argument('namespace'), '--model', argument('robot_description_path'), '--motion', argument('motion')]
    flags += [f'--{flag.replace("_", "-")}' for flag in ('clock', 'publish_description') if argument(flag) == 'true']
    program = ['python3', str(SHARE / 'simulation' / 'physics_twin.py')]
    return [ExecuteProcess(cmd=[*program, *flags, '--ros-args', '--log-level', argument('log_level')],
                           name='physics_twin', output='screen',
                           on_exit=Shutdown(reason='the physics has ended'))]


def generate_launch_description() -> LaunchDescription:
    yes_or_no = ['true', 'false']
    return LaunchDescription([
        DeclareLaunchArgument('namespace', default_value='', description='The namespace of this robot.'),
        DeclareLaunchArgument('robot_description_path', default_value=str(SHARE / 'models' / 'digital_twin_humanoid.urdf.xacro'),
                              description='Its model: URDF, or xacro if the name ends in .xacro.'),
        DeclareLaunchArgument('motion', default_value='none', choices=['none', 'wave', 'walk'],
                              description='What it does by itself; none: it takes commands.'),
        DeclareLaunchArgument('clock', default_value='false', choices=yes_or_no,
                              description='Whether it publishes /clock, and stamps by it.'),
        DeclareLaunchArgument('publish_description', default_value='false', choices=yes_or_no,
                              description='Whether it publishes robot_description.'),
        DeclareLaunchArgument('log_level', default_value='info', choices=['debug', 'info', 'warn', 'error'],
                              description='What is logged.'),
        OpaqueFunction(function=start),
    ])
