"""What Gazebo is given: the world, the parameters of the controllers, and the model, held against each other."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from rclpy.context import Context

from humanoid import CONTROLLERS, JOINTS, MODEL, WORLD, attributes, expand, joint_names, moving_joints, total_mass
from physics import STEP_S, compile_model
from robot_model import load
from sdformat import Invalid, Sdformat, Unusable, find

MANAGER = "controller_manager"
BROADCASTER = "joint_state_broadcaster"
# Launch files and the topics of others go by these names.
TRAJECTORIES, POSITIONS = "humanoid_joint_trajectory_controller", "forward_command_controller"
TYPES = {
    BROADCASTER: "joint_state_broadcaster/JointStateBroadcaster",
    TRAJECTORIES: "joint_trajectory_controller/JointTrajectoryController",
    POSITIONS: "forward_command_controller/ForwardCommandController",
}
# Without them nothing moves, nothing can be spawned, and nobody sees it.
SYSTEMS = {"Physics", "UserCommands", "SceneBroadcaster"}
LIMITS, DYNAMICS = ("lower", "upper", "velocity", "effort"), ("damping", "friction")


def parameters_of(node: str) -> dict[str, Any]:
    parameters = yaml.safe_load(CONTROLLERS.read_text())[f"/**/{node}"]["ros__parameters"]
    assert isinstance(parameters, dict)
    return parameters


def world() -> ElementTree.Element:
    [world] = ElementTree.parse(WORLD).getroot()
    return world


def numbers(element: ElementTree.Element, *paths: str) -> list[float]:
    return [float(element.find(path).text) for path in paths]


# --- The controllers --------------------------------------------------------------------------------------------------


def test_every_controller_has_its_type_and_its_parameters_in_any_namespace() -> None:
    declared = {name: value["type"] for name, value in parameters_of(MANAGER).items() if isinstance(value, dict)}
    assert declared == TYPES
    assert yaml.safe_load(CONTROLLERS.read_text()).keys() == {f"/**/{node}" for node in (MANAGER, *TYPES)}


@pytest.mark.parametrize("controller", [TRAJECTORIES, POSITIONS])
def test_the_controllers_have_the_joints_of_the_model_each_once_and_in_its_order(controller: str) -> None:
    joints = parameters_of(controller)["joints"]
    assert joints == joint_names(expand())
    assert len(set(joints)) == JOINTS


def test_the_controllers_use_what_every_joint_of_the_model_has() -> None:
    trajectories = parameters_of(TRAJECTORIES)
    commands = {*trajectories["command_interfaces"], parameters_of(POSITIONS)["interface_name"]}
    states = set(trajectories["state_interfaces"])
    assert commands and states
    for joint in expand().findall("ros2_control/joint"):
        assert commands <= {one.attrib["name"] for one in joint.findall("command_interface")}
        assert states <= {one.attrib["name"] for one in joint.findall("state_interface")}


def test_ros_reads_the_parameters() -> None:
    context = Context()
    # It raises where it cannot: it knows less of YAML than others do.
    context.init(["--ros-args", "--params-file", str(CONTROLLERS)], initialize_logging=False)
    context.shutdown()


# --- The world --------------------------------------------------------------------------------------------------------


def test_the_world_steps_like_the_physics_and_in_real_time() -> None:
    [physics] = world().findall("physics")
    step_s, factor, steps_per_second = numbers(physics, "max_step_size", "real_time_factor", "real_time_update_rate")
    assert step_s == STEP_S
    assert factor == 1.0
    assert steps_per_second * step_s == pytest.approx(factor)


def test_the_rates_of_the_controllers_divide_that_of_the_world() -> None:
    steps_per_second = round(1.0 / numbers(world(), "physics/max_step_size")[0])
    updates_per_second = parameters_of(MANAGER)["update_rate"]
    assert steps_per_second % updates_per_second == 0
    assert updates_per_second % parameters_of(BROADCASTER)["update_rate"] == 0


def test_gravity_is_that_of_the_physics() -> None:
    gravity = [float(number) for number in world().find("gravity").text.split()]
    assert gravity == compile_model(load(MODEL, {})).opt.gravity.tolist()


def test_the_world_has_the_systems_that_it_needs_and_a_ground_with_friction() -> None:
    assert world().attrib["name"] == "digital_twin_world"
    assert {plugin.attrib["name"] for plugin in world().findall("plugin")} == {
        f"gz::sim::systems::{system}" for system in SYSTEMS
    }
    # One would need a system that is not there.
    assert not list(expand().iter("sensor"))
    [ground] = world().findall("model")
    assert ground.find("static").text == "true"
    assert numbers(ground.find("link/collision/surface/friction/ode"), "mu", "mu2") == [1.0, 1.0]


# --- By libsdformat, as Gazebo reads them -----------------------------------------------------------------------------


@pytest.fixture
def sdformat(tmp_path: Path) -> Sdformat:
    empty = tmp_path / "empty.sdf"
    empty.write_text('<sdf version="1.6"/>')
    try:
        found = find()
        found.check(empty)
    except Unusable as error:
        pytest.skip(str(error))
    return found


def test_libsdformat_accepts_the_world(sdformat: Sdformat, tmp_path: Path) -> None:
    text = WORLD.read_text()
    copy = tmp_path / "world.sdf"
    copy.write_text(text)
    sdformat.check(copy)
    copy.write_text(text.replace("<max_step_size>0.001<", "<max_step_size>short<"))
    with pytest.raises(Invalid, match="max_step_size|short"):
        sdformat.check(copy)


@pytest.mark.parametrize("fixed_base", ["true", "false"])
def test_libsdformat_makes_the_same_robot_of_the_model(sdformat: Sdformat, tmp_path: Path, fixed_base: str) -> None:
    urdf = tmp_path / "humanoid.urdf"
    model = expand(fixed_base=fixed_base, namespace="twin", controllers="/controllers.yaml")
    urdf.write_bytes(ElementTree.tostring(model))
    sdformat.check(urdf)
    [converted] = sdformat.convert(urdf)

    joints = {joint.attrib["name"]: joint for joint in converted.findall("joint")}
    for joint in moving_joints(model):
        axis = joints.pop(joint.attrib["name"]).find("axis")
        for tag, names in (("limit", LIMITS), ("dynamics", DYNAMICS)):
            assert numbers(axis.find(tag), *names) == attributes(joint.find(tag), *names)
    assert [(joint.attrib["type"], joint.find("parent").text) for joint in joints.values()] == (
        [("fixed", "world")] if fixed_base == "true" else []
    )
    masses = [float(mass.text) for mass in converted.findall("link/inertial/mass")]
    assert len(masses) == len(converted.findall("link")) == JOINTS + 1
    assert sum(masses) == pytest.approx(total_mass(model.findall("link")))
    plugins = [converted.find("plugin"), model.find("gazebo/plugin")]
    assert len({ElementTree.canonicalize(ElementTree.tostring(one), strip_text=True) for one in plugins}) == 1
