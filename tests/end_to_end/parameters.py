"""The parameters of a node, seen by another one through the standard services."""

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from exporter import NODE_NAME
from program import ParameterValue
from robot import Robot
from waiting import TIMEOUT_S, wait_until

FIRST_ANSWER_TIMEOUT_S = 2.0


class Parameters:
    def __init__(self, robot: Robot, node_name: str = NODE_NAME) -> None:
        self._robot = robot
        self._client = AsyncParameterClient(robot.node, node_name)
        assert self._client.wait_for_services(TIMEOUT_S), f"{node_name} has no parameter services"
        self._wait_until_found()

    def names(self) -> set[str]:
        return set(self._answer(self._client.list_parameters()).result.names)

    def get(self, *names: str) -> list[ParameterValue | None]:
        response = self._answer(self._client.get_parameters(list(names)))
        values = [parameter_value_to_python(value) for value in response.values]
        return [list(value) if is_array(value) else value for value in values]

    def types(self, *names: str) -> list[int]:
        return list(self._answer(self._client.get_parameter_types(list(names))).types)

    def describe(self, *names: str) -> list[ParameterDescriptor]:
        return list(self._answer(self._client.describe_parameters(list(names))).descriptors)

    def set(self, **values: ParameterValue) -> list[SetParametersResult]:
        return list(self._answer(self._client.set_parameters(_parameters(values))).results)

    def unset(self, *names: str) -> list[SetParametersResult]:
        """What `ros2 param delete` does."""
        return list(self._answer(self._client.set_parameters([Parameter(name) for name in names])).results)

    def set_atomically(self, **values: ParameterValue) -> SetParametersResult:
        return self._answer(self._client.set_parameters_atomically(_parameters(values))).result

    def _wait_until_found(self) -> None:
        """Waits until every service knows where to send its answers.

        A client can find a service before the service has found the client: the answer to an early request is lost.
        """
        client = self._client
        harmless_requests: list[Callable[[], Future]] = [
            client.list_parameters,
            lambda: client.get_parameters([]),
            lambda: client.get_parameter_types([]),
            lambda: client.describe_parameters([]),
            lambda: client.set_parameters([]),
            lambda: client.set_parameters_atomically([]),
        ]
        for request in harmless_requests:
            self._repeat_until_answered(request)

    def _repeat_until_answered(self, request: Callable[[], Future]) -> None:
        wait_until(
            lambda: self._robot.result_of(request(), timeout_s=FIRST_ANSWER_TIMEOUT_S), "a parameter service answers"
        )

    def _answer(self, request: Future) -> Any:
        answer = self._robot.result_of(request)
        assert answer is not None, "a parameter service does not answer"
        return answer


def is_array(value: object) -> bool:
    """Arrays of numbers come as `array.array`."""
    return not isinstance(value, (bool, int, float, str, type(None)))


def _parameters(values: dict[str, ParameterValue]) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]
