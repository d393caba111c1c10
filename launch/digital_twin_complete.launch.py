"""The whole system: a twin in a simulator, the nodes that mirror, measure and watch it, and a robot where there is none.

The robot's topics are in `namespace`, the twin's in `twin` below it. When the simulator ends, everything ends.
"""

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, GroupAction, IncludeLaunchDescription, LogInfo, OpaqueFunction
from launch.substitutions import Command, EnvironmentVariable, LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

LAUNCH = Path(__file__).resolve().parent
SHARE = LAUNCH.parent
TWIN = 'twin'
RESPAWN_DELAY_S = 2.0

# What sync_mode is to synchronization_node.
SYNC_MODES = {
    'measure': {'output_mode': 'none'},
    'follow': {'output_mode': 'trajectory'},
    'commands': {'output_mode': 'trajectory', 'forward_commands': True},
}
# Where the twin takes trajectories, in its namespace.
COMMAND_TOPICS = {'gazebo': 'humanoid_joint_trajectory_controller/joint_trajectory', 'physics': 'joint_trajectory_commands'}
# In the order of their ports, from first_port on.
NODES = ('ros_metrics_exporter', 'synchronization_node', 'monitoring_node', 'unity_bridge_node')


class System:
    """What the launch arguments ask for, as actions."""

    def __init__(self, context: LaunchContext) -> None:
        self._context = context
        self._namespace = self._argument('namespace').strip('/')
        self._twin_namespace = f'{self._namespace}/{TWIN}'.lstrip('/')
        self._simulator = self._argument('simulator')
        self._model = self._argument('robot_description_path')

    def actions(self) -> list[Action]:
        actions = [*self._twin(), *self._robot()]
        if self._is('synchronization'):
            actions += [self._node('synchronization_node', self._synchronization())]
        if self._is('monitoring'):
            topics = ['joint_states', f'{TWIN}/joint_states']
            actions += [self._node('ros_metrics_exporter', {'topics': topics}), self._node('monitoring_node', {})]
        if self._is('unity'):
            actions += [self._node('unity_bridge_node', {'tcp_port': int(self._argument('unity_port'))})]
        if self._is('record'):
            actions += [self._recorder()]
        return actions

    def _argument(self, name: str) -> str:
        return LaunchConfiguration(name).perform(self._context)

    def _is(self, name: str) -> bool:
        return self._argument(name) == 'true'

    def _twin(self) -> list[Action]:
        if self._simulator == 'none':
            return []
        if self._simulator == 'gazebo':
            passed_on = {name: self._argument(name) for name in ('world', 'headless', 'gpu')}
            return [self._twin_state_publisher(), include('gazebo', {'namespace': self._twin_namespace, **passed_on})]
        clock = {'clock': self._argument('use_sim_time')}
        return [self._twin_state_publisher(), self._physics({'namespace': self._twin_namespace, **clock})]

    def _robot(self) -> list[Action]:
        if self._argument('robot') == 'external':
            return []
        # One that moves by itself takes no commands.
        motion = 'none' if self._argument('sync_mode') == 'commands' else 'wave'
        return [self._physics({'namespace': self._namespace, 'motion': motion, 'publish_description': 'true'})]

    def _physics(self, arguments: Mapping[str, str]) -> Action:
        return include('physics', {'robot_description_path': self._model, 'log_level': self._argument('log_level'), **arguments})

    def _twin_state_publisher(self) -> Node:
        """The twin's frames have the robot's names, so they are on a /tf of its own."""
        controllers = Path(self._argument('config_path')) / 'digital_twin_controllers.yaml'
        mappings = [f'namespace:=/{self._twin_namespace}', f'controllers:={controllers}']
        xacro = shlex.join(['xacro', self._model, *mappings])
        return Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            namespace=self._twin_namespace,
            parameters=[{
                'robot_description': ParameterValue(Command([xacro]), value_type=str),
                # The twin's own time, whatever that of the nodes is.
                'use_sim_time': self._simulator == 'gazebo' or self._is('use_sim_time'),
            }],
            remappings=[('/tf', 'tf'), ('/tf_static', 'tf_static')],
            ros_arguments=['--log-level', self._argument('log_level')],
            respawn=True,
            respawn_delay=RESPAWN_DELAY_S,
            output='screen',
        )

    def _synchronization(self) -> dict[str, object]:
        parameters = dict(SYNC_MODES[self._argument('sync_mode')])
        if self._simulator in COMMAND_TOPICS:
            parameters['command_topic'] = f'{TWIN}/{COMMAND_TOPICS[self._simulator]}'
        return parameters

    def _node(self, name: str, parameters: Mapping[str, object]) -> Action:
        port = int(self._argument('first_port')) + NODES.index(name)
        return include(name, {
            'namespace': self._namespace,
            'params_file': str(Path(self._argument('config_path')) / f'{name}.yaml'),
            'parameters': str(parameters),
            'listen_address': f'{self._argument("listen_host")}:{port}',
            'web_config_file': self._argument('web_config_file'),
            'use_sim_time': self._argument('use_sim_time'),
            'log_level': self._argument('log_level'),
        })

    def _recorder(self) -> Action:
        folder = Path(self._argument('data_path')).expanduser() / f'{datetime.now():%Y-%m-%d_%H-%M-%S}'
        return ExecuteProcess(cmd=['ros2', 'bag', 'record', '-s', 'mcap', '-a', '-o', str(folder)], name='recorder', output='screen',
                              on_exit=[LogInfo(msg=f'the recording has ended: {folder}')])


def include(name: str, arguments: Mapping[str, str]) -> Action:
    """Another launch file of this folder. A group of its own: else its arguments would be those of the next one too."""
    path = str(LAUNCH / f'{name}.launch.py')
    return GroupAction([IncludeLaunchDescription(path, launch_arguments=arguments.items())])


def yes_or_no(name: str, default: object, description: str) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value=default, choices=['true', 'false'], description=description)


def arguments() -> list[DeclareLaunchArgument]:
    def argument(name: str, default: object, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)

    return [
        argument('simulator', 'gazebo', 'What the twin is in; none: it is there already.', ['gazebo', 'physics', 'none']),
        argument('robot', 'external', 'physics: there is none, one in physics stands in: it waves, or takes commands.',
                 ['external', 'physics']),
        argument('sync_mode', PythonExpression(['"measure" if "', LaunchConfiguration('simulator'), '" == "none" else "follow"']),
                 'What the twin is told. measure: nothing; follow: where the robot is; commands: what the robot is told.',
                 list(SYNC_MODES)),
        argument('namespace', '', 'The namespace of the robot; the twin is in "twin" below it.'),
        argument('robot_description_path', str(SHARE / 'models' / 'digital_twin_humanoid.urdf.xacro'),
                 'The model of the twin: xacro or URDF.'),
        argument('world', str(SHARE / 'worlds' / 'digital_twin_world.sdf'), 'The world of Gazebo: an SDF file.'),
        yes_or_no('headless', 'false', 'Gazebo without a window.'),
        yes_or_no('gpu', 'true', 'false: Gazebo draws with the processor.'),
        yes_or_no('use_sim_time', 'false', 'Whether the ROS time of the nodes is that of /clock; not where the robot has its own.'),
        yes_or_no('synchronization', 'true', 'Start synchronization_node; false where it runs elsewhere, as in a pod of its own.'),
        yes_or_no('monitoring', 'true', 'Start monitoring_node and ros_metrics_exporter.'),
        yes_or_no('unity', 'true', 'Start unity_bridge_node.'),
        yes_or_no('record', 'false', 'Record all topics, as MCAP, into data_path.'),
        argument('data_path', EnvironmentVariable('SIMULATION_DATA', default_value='~/simulation_data'),
                 'Folder of recordings; each has one of its own in it, named by the time.'),
        argument('config_path', str(SHARE / 'config'), 'Folder with the YAML files of the nodes and of the controllers.'),
        argument('listen_host', '', 'Address on which metrics are served; empty: every interface.'),
        argument('web_config_file', '', 'File with TLS, users and headers of the metrics ports; empty: none.'),
        argument('first_port', '8000', 'Port of the metrics of ros_metrics_exporter; the three after it are those of '
                 'synchronization_node, monitoring_node and unity_bridge_node.'),
        argument('unity_port', '10000', 'Port that Unity connects to.'),
        argument('log_level', 'info', 'What is logged.', ['debug', 'info', 'warn', 'error']),
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*arguments(), OpaqueFunction(function=lambda context: System(context).actions())])
