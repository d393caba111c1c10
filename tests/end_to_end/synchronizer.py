"""The synchronization node under test, as a process with a web address."""

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from program import RELEASE, Arguments, ParameterValue, Program
from robot import Listener, Robot, Talker, qos, repeatedly, time_of
from scrape import Scrape
from waiting import wait_until

NODE_NAME = "synchronization_node"
PROGRAM = RELEASE / NODE_NAME

REFERENCE_TOPIC = "/joint_states"
TWIN_TOPIC = "/twin/joint_states"
STATES_TOPIC = "/sync_joint_states"
LATCHED = qos("reliable", "transient_local")

STATES = ("WAITING", "MIRRORING", "SYNCED", "DEGRADED", "DIVERGED", "LOST", "STOPPED")


class StartSynchronizer(Protocol):
    """The fixture `start_synchronizer`."""

    def __call__(
        self,
        *flags: str,
        parameters: Mapping[str, ParameterValue] = ...,
        ros: Sequence[str] = ...,
        wait: bool = ...,
    ) -> "Synchronizer": ...


@dataclass(frozen=True)
class Unprivileged(Arguments):
    """Started without the right to real-time priority, also by root."""

    def command(self) -> list[str]:
        privileges = ["--bounding-set=-sys_nice", "--inh-caps=-sys_nice"] if os.geteuid() == 0 else []
        return ["prlimit", "--rtprio=0:0", "setpriv", *privileges, *super().command()]


class Synchronizer(Program):
    """A running synchronization node."""

    def state(self, scrape: Scrape) -> str:
        return one_of(scrape, "ros_twin_state", "state")

    def wait_for_state(self, state: str) -> Scrape:
        return self.scrape_until(lambda scrape: self.state(scrape) == state, f"state {state}")

    def wait_until_matched(self, *talkers: Talker) -> None:
        """Waits until this node and all publishers of its topics know each other."""
        for talker in talkers:
            topic = talker.topic
            self.scrape_until(lambda scrape: scrape.publishers(topic), f"a publisher on {topic}")
        wait_until(lambda: all(talker.is_matched() for talker in talkers), "the publishers have found the node")


def one_of(scrape: Scrape, family: str, label: str) -> str:
    """The value of the label whose series is 1; exactly one is."""
    holding = [name for name, value in scrape.by(label, family).items() if value == 1]
    assert len(holding) == 1, holding
    return holding[0]


class Services:
    """The services of the node."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot

    def trigger(self, name: str) -> Trigger.Response:
        return self._call(Trigger, name, Trigger.Request())

    def enable(self, data: bool) -> SetBool.Response:
        return self._call(SetBool, "enable", SetBool.Request(data=data))

    def _call(self, service_type: Any, name: str, request: Any) -> Any:
        client = self._robot.node.create_client(service_type, f"/{NODE_NAME}/{name}")
        assert client.wait_for_service(30.0), name
        answer: Future | None = None
        # A client can find a service before the service has found the client: the answer to an early request is lost.
        for _ in range(15):
            answer = client.call_async(request)
            if (response := self._robot.result_of(answer, timeout_s=8.0)) is not None:
                return response
        raise AssertionError(f"no answer of {name}")


class Motion:
    """A robot and its twin that move as sines, the twin some time later; every message is stamped when it is sent."""

    def __init__(self, reference: Talker, twin: Talker, joints: Sequence[str]) -> None:
        self.lag_s = 0.0
        self.offset = 0.0
        self._reference, self._twin, self._joints = reference, twin, joints
        self._started_ns = time.time_ns()

    def position(self, joint: int, time_s: float) -> float:
        # Periods without a common multiple, of more than twice the longest lag that is looked for.
        period_s = 1.7 + 0.31 * joint
        return 0.5 * math.sin(math.tau * time_s / period_s)

    def publish(self) -> None:
        now_ns = time.time_ns()
        time_s = (now_ns - self._started_ns) / 1e9
        stamp = time_of(now_ns)
        count = range(len(self._joints))
        self._reference.publish(self._joints, [self.position(joint, time_s) for joint in count], stamp=stamp)
        behind = [self.position(joint, time_s - self.lag_s) - self.offset for joint in count]
        self._twin.publish(self._joints, behind, stamp=stamp)

    @contextmanager
    def running(self) -> Iterator[None]:
        with repeatedly(self.publish, 0.01):
            yield


def state_listener(robot: Robot) -> Listener:
    return Listener(robot, String, f"/{NODE_NAME}/state", LATCHED)


def states_listener(robot: Robot) -> Listener:
    return Listener(robot, JointState, STATES_TOPIC)
