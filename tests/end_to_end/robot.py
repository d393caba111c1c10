"""The other side: robots that publish joint states, and whoever else is in the ROS graph."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from builtin_interfaces.msg import Time
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.task import Future
from sensor_msgs.msg import JointState

from waiting import TIMEOUT_S, wait_until

DEPTH = 100
# Messages that are taken before a condition is looked at again: enough for a thousand a second.
TURNS = 20
RELIABLE = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)

T = TypeVar("T")


def qos(reliability: str, durability: str) -> QoSProfile:
    return QoSProfile(
        depth=DEPTH, reliability=ReliabilityPolicy[reliability.upper()], durability=DurabilityPolicy[durability.upper()]
    )


def now() -> Time:
    """The wall clock's time, which is also ROS time where nobody simulates."""
    return time_of(time.time_ns())


def time_of(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


@dataclass(frozen=True)
class Talker:
    """A publisher on one topic."""

    topic: str
    publisher: Publisher

    def publish(
        self,
        names: Sequence[str],
        position: Sequence[float] = (),
        velocity: Sequence[float] = (),
        effort: Sequence[float] = (),
        *,
        stamp: Time | None = None,
    ) -> None:
        """Publishes a joint state, stamped with the present time unless told otherwise."""
        message = JointState(name=list(names), position=list(position), velocity=list(velocity), effort=list(effort))
        message.header.stamp = stamp or now()
        self.publisher.publish(message)

    def publish_bytes(self, serialized: bytes) -> None:
        """Publishes a message that is serialized already; nobody looks whether it is well formed."""
        self.publisher.publish(serialized)

    def is_matched(self) -> bool:
        return self.publisher.get_subscription_count() > 0


class Robot:
    """A ROS participant of its own in this process."""

    def __init__(self, domain_id: int, name: str = "robot") -> None:
        self._context = Context()
        # Not this process's arguments: those are pytest's.
        self._context.init(args=[], domain_id=domain_id)
        self.node: Node = Node(name, context=self._context, enable_rosout=False, start_parameter_services=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._others: list[Node] = []

    def talker(self, topic: str, profile: QoSProfile = RELIABLE, message_type: Any = JointState) -> Talker:
        return Talker(topic, self.node.create_publisher(message_type, topic, profile))

    def another_node(self, name: str, namespace: str = "") -> Node:
        """One more node of this participant."""
        node = Node(
            name,
            context=self._context,
            namespace=namespace,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._others.append(node)
        return node

    def silence(self, talker: Talker) -> None:
        """Takes the publisher out of the graph."""
        self.node.destroy_publisher(talker.publisher)

    def listen(self, message_type: Any, topic: str, received: Callable[[Any], None]) -> Subscription:
        return self.node.create_subscription(message_type, topic, received, RELIABLE)

    def result_of(self, request: Future, *, timeout_s: float = TIMEOUT_S) -> Any:
        """Turns the node until the answer of a service is there; None where none has come."""
        self._executor.spin_until_future_complete(request, timeout_sec=timeout_s)
        return request.result() if request.done() else None

    def spin_until(self, condition: Callable[[], T | None], what: str, *, timeout_s: float = TIMEOUT_S) -> T:
        """Turns the node until `condition` is true."""

        def look() -> T | None:
            self.turn()
            return condition()

        return wait_until(look, what, timeout_s=timeout_s)

    def turn(self) -> None:
        """Does what there is to do."""
        for _ in range(TURNS):
            self._executor.spin_once(timeout_sec=0)

    def close(self) -> None:
        if not self._context.ok():
            return
        self._executor.shutdown()
        for node in (self.node, *self._others):
            node.destroy_node()
        self._context.shutdown()


class Listener:
    """Keeps what came on a topic."""

    def __init__(self, robot: Robot, message_type: Any, topic: str, profile: Any = None) -> None:
        self._robot = robot
        self.messages: list[Any] = []
        if profile is None:
            robot.listen(message_type, topic, self.messages.append)
        else:
            robot.node.create_subscription(message_type, topic, self.messages.append, profile)

    def wait_for(self, condition: Callable[[Any], object], what: str) -> Any:
        """The first message of which the condition is true, of those that came and those to come."""
        return self._robot.spin_until(lambda: next((m for m in self.messages if condition(m)), None), what)


@contextmanager
def repeatedly(action: Callable[[], object], interval_s: float = 0.005) -> Iterator[None]:
    """Does something over and over in a thread, until the end of the block."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(interval_s):
            action()

    thread = threading.Thread(target=work, name="repeatedly")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
