"""A mock of ROS 2's `launch` and `launch_ros`, which PyPI has not: enough of them to run the launch files of this project
and to tell what they would start. What they really start was seen with the real `ros2 launch`.
"""

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

Context = dict[str, str]


def text(value: Any, context: Context) -> str:
    """A substitution, or several in a row, in this context."""
    if isinstance(value, str):
        return value
    if isinstance(value, Substitution):
        return value.perform(context)
    return "".join(text(part, context) for part in value)


class Substitution:
    def __init__(self, perform: Callable[[Context], str]) -> None:
        self.perform = perform


def launch_configuration(name: str) -> Substitution:
    return Substitution(lambda context: context[name])


def environment_variable(name: str, *, default_value: str) -> Substitution:
    return Substitution(lambda _: os.environ.get(name, default_value))


def python_expression(parts: Any) -> Substitution:
    return Substitution(lambda context: str(eval(text(parts, context), {})))


def path_join(parts: Sequence[Any]) -> Substitution:
    return Substitution(lambda context: "/".join(text(part, context) for part in parts))


def find_package_share(package: str) -> Substitution:
    return Substitution(lambda _: f"/nowhere/share/{package}")


def command(parts: Any) -> Substitution:
    def run(context: Context) -> str:
        return subprocess.run(shlex.split(text(parts, context)), check=True, capture_output=True, text=True).stdout

    return Substitution(run)


def parameter_value(value: Substitution, *, value_type: type) -> Substitution:
    assert value_type is str
    return value


class Action:
    """What a launch file asks for: its kind, and the arguments that it was made with."""

    # The keywords that we use of those that the real one takes.
    KEYWORDS: frozenset[str] = frozenset()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        assert options.keys() <= self.KEYWORDS, f"{type(self).__name__} takes none of {options.keys() - self.KEYWORDS}"
        self.arguments = arguments
        self.options = options


class LaunchDescription(Action): ...


class DeclareLaunchArgument(Action):
    KEYWORDS = frozenset(("default_value", "description", "choices"))


class OpaqueFunction(Action):
    KEYWORDS = frozenset(("function",))


class GroupAction(Action): ...


class IncludeLaunchDescription(Action):
    KEYWORDS = frozenset(("launch_arguments",))


class SetEnvironmentVariable(Action): ...


class LogInfo(Action):
    KEYWORDS = frozenset(("msg",))


class Shutdown(Action):
    KEYWORDS = frozenset(("reason",))


class RegisterEventHandler(Action): ...


class OnProcessExit(Action):
    KEYWORDS = frozenset(("target_action", "on_exit"))


class ExecuteProcess(Action):
    KEYWORDS = frozenset(("cmd", "name", "output", "on_exit"))


class Node(Action):
    KEYWORDS = ExecuteProcess.KEYWORDS - {"cmd", "on_exit"} | {
        *("package", "executable", "namespace", "parameters", "remappings"),
        *("arguments", "ros_arguments", "respawn", "respawn_delay"),
    }


MODULES = {
    "launch": {"Action": Action, "Event": SimpleNamespace, "LaunchContext": dict, "LaunchDescription": LaunchDescription},
    "launch.actions": {
        kind.__name__: kind
        for kind in (
            DeclareLaunchArgument,
            ExecuteProcess,
            GroupAction,
            IncludeLaunchDescription,
            LogInfo,
            OpaqueFunction,
            RegisterEventHandler,
            SetEnvironmentVariable,
            Shutdown,
        )
    },
    "launch.event_handlers": {"OnProcessExit": OnProcessExit},
    "launch.substitutions": {
        "Command": command,
        "EnvironmentVariable": environment_variable,
        "LaunchConfiguration": launch_configuration,
        "PathJoinSubstitution": path_join,
        "PythonExpression": python_expression,
    },
    "launch_ros": {},
    "launch_ros.actions": {"Node": Node},
    "launch_ros.parameter_descriptions": {"ParameterValue": parameter_value},
    "launch_ros.substitutions": {"FindPackageShare": find_package_share},
}


@contextmanager
def mocked_modules() -> Iterator[None]:
    saved = {name: sys.modules.get(name) for name in MODULES}
    for name, members in MODULES.items():
        module = ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module in saved.items():
            del sys.modules[name]
            if module:
                sys.modules[name] = module


def load(launch_file: Path) -> list[Action]:
    """What the launch file describes."""
    spec = importlib.util.spec_from_file_location("launch_file", launch_file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with mocked_modules():
        spec.loader.exec_module(module)
        description = module.generate_launch_description()
    return list(description.arguments[0])


def launched(launch_file: Path, arguments: Mapping[str, str]) -> list[Action]:
    """All that is done when the file is launched with these arguments, in order; other packages' files are left as they are."""
    return list(_visit(load(launch_file), dict(arguments)))


def _visit(actions: Sequence[Action], context: Context) -> Iterator[Action]:
    for action in actions:
        if isinstance(action, DeclareLaunchArgument):
            _declare(action, context)
        elif isinstance(action, OpaqueFunction):
            with mocked_modules():
                described = action.options["function"](context)
            yield from _visit(described, context)
        elif isinstance(action, GroupAction):
            yield from _visit(action.arguments[0], dict(context))
        elif isinstance(action, IncludeLaunchDescription) and (path := Path(text(action.arguments[0], context))).is_file():
            # As in the real one: into the same context, where a default changes nothing that has a value.
            context.update({name: text(value, context) for name, value in action.options["launch_arguments"]})
            yield from _visit(load(path), context)
        else:
            yield action


def _declare(argument: DeclareLaunchArgument, context: Context) -> None:
    name = argument.arguments[0]
    if name not in context:
        assert "default_value" in argument.options, f"{name} has no value"
        context[name] = text(argument.options["default_value"], context)
    choices = argument.options.get("choices")
    assert not choices or context[name] in choices, f"{name}:={context[name]} is none of {choices}"
