"""The Unity bridge under test, as a process with a web address and one for clients of ROS-TCP."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rclpy.qos import ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from program import RELEASE, Arguments, ParameterValue, Program
from robot import Listener, Robot, Talker
from scrape import Scrape
from unity import Unity
from waiting import wait_until
from web import Address

NODE_NAME = "unity_bridge_node"
PROGRAM = RELEASE / NODE_NAME

PORT_PARAMETERS = {"tcp_port", "ROS_TCP_PORT"}


class StartBridge(Protocol):
    """The fixture `start_bridge`."""

    def __call__(
        self,
        *flags: str,
        parameters: Mapping[str, ParameterValue] = ...,
        ros: Sequence[str] = ...,
        wait: bool = ...,
    ) -> "Bridge": ...


# The fixture `connect`: a client of the bridge, which is closed after the test. Takes what `Unity` takes.
Connect = Callable[..., Unity]


class BridgeArguments(Arguments):
    """A command line in which the kernel chooses the port for clients, unless it names one."""

    def ros_arguments(self) -> list[str]:
        free_port: dict[str, ParameterValue] = {} if PORT_PARAMETERS & self.parameters.keys() else {"tcp_port": 0}
        return Arguments(self.program, self.flags, {**free_port, **self.parameters}, self.ros).ros_arguments()


class Bridge(Program):
    """A running bridge."""

    @property
    def address(self) -> Address:
        return next(address for address in self.addresses(2) if address != self.ros_tcp)

    @property
    def ros_tcp(self) -> Address:
        """Where clients are listened for, as the log says."""
        line = wait_until(
            lambda: re.search(r"listening for ROS-TCP.* address=(\S+):(\d+)", self.stderr),
            "the line of the log that tells the port",
            details=lambda: self.stderr,
        )
        return Address(line[1], int(line[2]))

    def wait_for_count(self, count: float, metric: str, **labels: str) -> Scrape:
        """A scrape in which the metric is as high as that; where it is higher, it never was that."""
        scrape = self.scrape_until(lambda scrape: (scrape.get(metric, **labels) or 0) >= count, f"{count} {metric}")
        assert scrape.value(metric, **labels) == count
        return scrape

    def wait_for_clients(self, count: int) -> None:
        self.scrape_until(lambda scrape: scrape.value("unity_bridge_clients") == count, f"{count} clients")


def publishers(robot: Robot, topic: str) -> list[TopicEndpointInfo]:
    """Those of the bridge, as another node sees them."""
    return [found for found in robot.node.get_publishers_info_by_topic(topic) if found.node_name == NODE_NAME]


def subscriptions(robot: Robot, topic: str) -> list[TopicEndpointInfo]:
    """Those of the bridge, as another node sees them."""
    return [found for found in robot.node.get_subscriptions_info_by_topic(topic) if found.node_name == NODE_NAME]


def wait_until_followed(robot: Robot, *talkers: Talker, clients: int = 1) -> None:
    """Waits until nothing of what these reliable publishers publish is lost on its way to the bridge's clients.

    The bridge asks for reliability when it has found the publisher, so both know each other then.
    """

    def is_followed(talker: Talker) -> bool:
        found = subscriptions(robot, talker.topic)
        are_reliable = all(one.qos_profile.reliability == ReliabilityPolicy.RELIABLE for one in found)
        return len(found) == clients == talker.publisher.get_subscription_count() and are_reliable

    for talker in talkers:
        wait_until(lambda talker=talker: is_followed(talker), f"{clients} reliable subscriptions of {talker.topic}")


def publish_until_heard(robot: Robot, listener: Listener, unity: Unity, topic: str, message: Any) -> None:
    """Has a client publish until the listener hears: by then the bridge's publisher has found it."""

    def publish() -> bool:
        unity.send(unity.say.message(topic, message))
        return bool(listener.messages)

    robot.spin_until(publish, f"a message of the client's on {topic}")
