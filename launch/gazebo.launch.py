"""A robot in Gazebo, driven by the controllers of gz_ros2_control: world, clock, robot, then one controller after another.

The robot is made from robot_description in its namespace, which robot_state_publisher publishes.
"""

import shlex
from collections.abc import Callable
from pathlib import Path

from launch import Action, Event, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler, Shutdown
from launch.actions import SetEnvironmentVariable
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

SHARE = Path(__file__).resolve().parents[1]

CLOCK = '/clock@rosgraph_msgs/msg/Clock[gz.msgs.Clock'
CONTROLLERS = ('joint_state_broadcaster', 'humanoid_joint_trajectory_controller')
# A large world is loaded for minutes where it comes over a network.
CONTROLLER_MANAGER_TIMEOUT_S = 120
RESPAWN_DELAY_S = 2.0


def start(context: LaunchContext) -> list[Action]:
    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    namespace = argument('namespace')
    # In order: each is started when the one before has exited well.
    steps = [
        Node(package='ros_gz_sim', executable='create', namespace=namespace, output='screen',
             arguments=['-name', argument('entity_name'), '-topic', 'robot_description', '-allow_renaming', 'false']),
        *(spawner(controller, namespace) for controller in CONTROLLERS),
    ]
    software_rendering = [SetEnvironmentVariable('LIBGL_ALWAYS_SOFTWARE', '1')] if argument('gpu') == 'false' else []
    return [
        *software_rendering,
        gazebo(argument('world'), is_headless=argument('headless') == 'true'),
        Node(package='ros_gz_bridge', executable='parameter_bridge', name='clock_bridge', namespace=namespace,
             arguments=[CLOCK], respawn=True, respawn_delay=RESPAWN_DELAY_S, output='screen'),
        steps[0],
        *(RegisterEventHandler(OnProcessExit(target_action=step, on_exit=go_on_with(following)))
          for step, following in zip(steps, steps[1:])),
        RegisterEventHandler(OnProcessExit(target_action=steps[-1], on_exit=go_on_with(None))),
    ]


def gazebo(world: str, *, is_headless: bool) -> IncludeLaunchDescription:
    """The simulator, running; with its end everything ends."""
    # Without a window sensors draw through EGL.
    flags = '-r -s --headless-rendering' if is_headless else '-r'
    launch_file = PathJoinSubstitution([FindPackageShare('ros_gz_sim'), 'launch', 'gz_sim.launch.py'])
    arguments = {'gz_args': f'{flags} {shlex.quote(world)}', 'on_exit_shutdown': 'true'}
    return IncludeLaunchDescription(launch_file, launch_arguments=arguments.items())


def spawner(controller: str, namespace: str) -> Node:
    return Node(package='controller_manager', executable='spawner', namespace=namespace, output='screen',
                arguments=[controller, '--controller-manager', f'/{namespace}/controller_manager'.replace('//', '/'),
                           '--controller-manager-timeout', str(CONTROLLER_MANAGER_TIMEOUT_S)])


def go_on_with(following: Node | None) -> Callable[[Event, LaunchContext], list[Action]]:
    """What comes after a step: the next one, or the end of everything where it has failed."""
    def on_exit(event: Event, _: LaunchContext) -> list[Action]:
        if event.returncode != 0:
            return [Shutdown(reason=f'{event.process_name} failed with exit code {event.returncode}')]
        return [following] if following else []

    return on_exit


def generate_launch_description() -> LaunchDescription:
    yes_or_no = ['true', 'false']
    return LaunchDescription([
        DeclareLaunchArgument('namespace', default_value='twin', description='The namespace of the robot in Gazebo.'),
        DeclareLaunchArgument('entity_name', default_value='digital_twin', description='Its name in Gazebo.'),
        DeclareLaunchArgument('world', default_value=str(SHARE / 'worlds' / 'digital_twin_world.sdf'),
                              description='The world: an SDF file.'),
        DeclareLaunchArgument('headless', default_value='false', choices=yes_or_no, description='Whether there is no window.'),
        DeclareLaunchArgument('gpu', default_value='true', choices=yes_or_no,
                              description='false: everything is drawn by the processor.'),
        OpaqueFunction(function=start),
    ])
