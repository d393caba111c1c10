"""What docker/compose.yaml starts, without containers: a robot, its twin, the nodes; and a client of the bridge."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import JointState

from bridge import Bridge
from compose import services
from exporter import Exporter
from monitor import Monitor
from program import RELEASE, REPOSITORY, Arguments, Program, starter
from robot import repeatedly
from synchronizer import Synchronizer
from twin import PROGRAM as PHYSICS
from twin import TOPIC, Twin, TwinArguments
from unity import FIRST_REQUEST, Unity

# Where an image has what this repository has.
INSTALLED = "/opt/digital_twin_simulation/share/digital_twin_simulation"

NODES: dict[str, type[Program]] = {
    "ros-metrics-exporter": Exporter,
    "synchronization-node": Synchronizer,
    "monitoring-node": Monitor,
    "unity-bridge-node": Bridge,
}

# Beyond what compose asks for: services are called, a topic of several publishers is watched, and any port will do.
MORE = {
    "monitoring-node": [
        *("-p", "services:=['/**/get_parameters']", "-p", "service_period:=0.5"),
        *("-p", "topics./rosout.class:=event"),
    ],
    "unity-bridge-node": ["-p", "tcp_port:=0"],
}

UNITY_TOPIC = "/unity/joint_states"
SERVICE = "/physics_twin/get_parameters"


@contextmanager
def running_demo(domain_id: int, directory: Path) -> Iterator[dict[str, Program]]:
    """The nodes by the names of their containers. All that was started ends with the block, and has to end well."""
    with ExitStack() as stack:

        def start(name: str, kind: type[Program], program: Path, arguments: type[Arguments]) -> Program:
            flags, ros = of_compose(name, directory)
            starting = starter(kind, program, domain_id, directory, arguments)
            return stack.enter_context(starting)(*flags, ros=[*ros, *MORE.get(name, [])])

        for name in ("robot", "twin"):
            start(name, Twin, PHYSICS, TwinArguments)
        nodes = {name: start(name, kind, program_of(name), Arguments) for name, kind in NODES.items()}
        bridge = nodes["unity-bridge-node"]
        assert isinstance(bridge, Bridge)
        stack.enter_context(talking_client(bridge))
        yield nodes


@contextmanager
def talking_client(bridge: Bridge) -> Iterator[None]:
    """It subscribes, publishes and calls, and asks for what it does not get."""
    client = Unity(bridge.ros_tcp)
    say = client.say
    client.send(say.subscribe(TOPIC, JointState), say.publish(UNITY_TOPIC, JointState))
    client.send(say.ros_service(SERVICE, GetParameters))
    client.send(say.command("__subscribe", topic="/unknown", message_name="unknown_msgs/Unknown"))

    def talk() -> None:
        call = say.request(FIRST_REQUEST, SERVICE, GetParameters.Request(names=["friction_scale"]))
        client.send(say.message(UNITY_TOPIC, JointState()), *call)
        # Read, or the bridge would have to drop messages for this client.
        client.has_come(TOPIC)

    try:
        with repeatedly(talk, interval_s=0.2):
            yield
    finally:
        client.close()


def program_of(container: str) -> Path:
    return RELEASE / container.replace("-", "_")


def of_compose(service: str, directory: Path) -> tuple[Sequence[str], Sequence[str]]:
    """Its flags, and what it tells ROS."""
    _, *arguments = services()[service]["command"]
    here = [part.replace("/tmp/", f"{directory}/").replace(INSTALLED, str(REPOSITORY)) for part in arguments]
    split = here.index("--ros-args") if "--ros-args" in here else len(here)
    return here[:split], here[split + 1 :]
