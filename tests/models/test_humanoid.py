"""The humanoid's URDF, whatever the arguments that its xacro is given."""

import math
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from humanoid import JOINTS, MODEL, attributes, expand, joint_names, moving_joints, ranges_of, total_mass
from robot_model import load

REP_120_FRAMES = {"base_link", "torso", "gaze"} | {
    f"{side}_{name}" for side in "lr" for name in ("wrist", "gripper", "ankle", "sole", "toe")
}
# They lie inside others, which touch first.
INSIDE = {"neck", "l_ankle", "r_ankle"} | {
    f"{side}_{name}_link"
    for side in ("left", "right")
    for name in ("hip_pitch", "hip_roll", "shoulder_pitch", "shoulder_roll")
}
# No link has its mass farther from its centre.
WIDEST_M = 0.2
PRIMITIVES = {"box", "cylinder", "sphere"}

CHECK_WITHIN_S = 30

# Every argument with a value that is not its default.
ARGUMENTS = {
    "prefix": "robot1_",
    "fixed_base": "false",
    "base_height": "0.9",
    "gazebo": "false",
    "namespace": "twin",
    "controllers": "/controllers.yaml",
}
VARIANTS = [{}, *({name: value} for name, value in ARGUMENTS.items()), {**ARGUMENTS, "gazebo": "true"}]


def by_arguments(arguments: dict[str, str]) -> str:
    return " ".join(f"{name}:={value}" for name, value in arguments.items()) or "defaults"


def test_every_argument_of_the_model_is_described_and_changes_it() -> None:
    builder = ElementTree.TreeBuilder(insert_comments=True)
    source = list(ElementTree.parse(MODEL, ElementTree.XMLParser(target=builder)).getroot())
    declared = {}
    for before, element in pairwise(source):
        if element.tag == "{http://www.ros.org/wiki/xacro}arg":
            assert before.tag is ElementTree.Comment, f"{element.attrib['name']} has no description"
            declared[element.attrib["name"]] = element.attrib["default"]
    assert declared.keys() == ARGUMENTS.keys()

    plain = ElementTree.tostring(expand())
    assert ElementTree.tostring(expand(**declared)) == plain
    for name, value in ARGUMENTS.items():
        assert ElementTree.tostring(expand(**{name: value})) != plain, name


@pytest.mark.parametrize("arguments", VARIANTS, ids=by_arguments)
def test_the_model_is_one_tree_of_links(arguments: dict[str, str]) -> None:
    model = expand(**arguments)
    links = Counter(link.attrib["name"] for link in model.findall("link"))
    children = Counter(child.attrib["link"] for child in model.findall("joint/child"))
    parents = {parent.attrib["link"] for parent in model.findall("joint/parent")}
    assert set(links.values()) == set(children.values()) == {1}
    assert parents <= set(links)
    prefix = arguments.get("prefix", "")
    root = prefix + "base_link" if arguments.get("fixed_base") == "false" else "world"
    assert set(links) - set(children) == {root}
    assert {prefix + frame for frame in REP_120_FRAMES} <= set(links)
    assert all(name.startswith(prefix) for name in [*links, *joint_names(model)] if name != "world")
    assert len(moving_joints(model)) == JOINTS


def test_the_base_hangs_where_it_is_told_to() -> None:
    joints = expand(base_height="0.9").findall("joint")
    [joint] = [joint for joint in joints if joint.find("parent").attrib["link"] == "world"]
    assert joint.attrib["type"] == "fixed"
    assert joint.find("origin").attrib == {"xyz": "0 0 0.9", "rpy": "0 0 0"}


def test_every_joint_of_the_model_has_limits() -> None:
    joints = moving_joints(expand())
    assert {joint.attrib["type"] for joint in joints} == {"revolute"}
    for joint in joints:
        lower, upper, velocity, effort = attributes(joint.find("limit"), "lower", "upper", "velocity", "effort")
        assert -math.pi < lower < 0.0 < upper < math.pi, joint.attrib
        assert 0.0 < velocity < 50.0 and 0.0 < effort < 200.0, joint.attrib
        friction, damping = attributes(joint.find("dynamics"), "friction", "damping")
        assert 0.0 < friction < effort and 0.0 < damping * velocity < effort, joint.attrib


def test_the_right_side_of_the_model_is_the_mirror_image_of_the_left() -> None:
    ranges = ranges_of(expand())
    pairs = [(name, name.replace("left_", "right_")) for name in ranges if name.startswith("left_")]
    assert len(pairs) == 10
    for left, right in pairs:
        lower, upper = ranges[left]
        turns_across = "roll" in left or "yaw" in left
        assert ranges[right] == ((-upper, -lower) if turns_across else (lower, upper))


def test_the_masses_of_the_model_are_those_of_bodies() -> None:
    model = expand()
    assert 35.0 < total_mass(model.findall("link")) < 45.0
    for inertial in model.findall("link/inertial"):
        ixx, iyy, izz, ixy, ixz, iyz = attributes(inertial.find("inertia"), "ixx", "iyy", "izz", "ixy", "ixz", "iyz")
        moments = np.linalg.eigvalsh([[ixx, ixy, ixz], [ixy, iyy, iyz], [ixz, iyz, izz]])
        assert moments[0] > 0.0 and moments[2] <= moments[0] + moments[1]
        [mass] = attributes(inertial.find("mass"), "value")
        assert moments[2] < mass * WIDEST_M**2


def test_every_link_that_moves_has_mass_and_collides_unless_it_is_inside_others() -> None:
    model = expand()
    links = {link.attrib["name"]: link for link in model.findall("link")}
    moved = {joint.find("child").attrib["link"] for joint in moving_joints(model)}
    assert {name for name, link in links.items() if link.find("inertial") is not None} == moved | {"pelvis"}
    assert {name for name, link in links.items() if link.find("collision") is not None} == moved - INSIDE | {"pelvis"}


def test_the_physics_reads_the_limits_that_the_model_has() -> None:
    joints = load(MODEL, {}).joints
    assert {name: (joint.lower, joint.upper) for name, joint in joints.items()} == ranges_of(expand())


def test_the_model_needs_no_other_file_and_no_transmission() -> None:
    model = expand()
    shapes = {shape.tag for geometry in model.iter("geometry") for shape in geometry}
    assert shapes == PRIMITIVES
    assert not list(model.iter("transmission"))


@pytest.mark.parametrize("prefix", ["", "robot1_"])
def test_ros2_control_drives_every_joint_of_the_model_within_its_limits(prefix: str) -> None:
    model = expand(prefix=prefix)
    driven = model.findall("ros2_control/joint")
    for joint in driven:
        commands, states = joint.findall("command_interface"), joint.findall("state_interface")
        assert [one.attrib["name"] for one in commands] == ["position"]
        assert [one.attrib["name"] for one in commands[0]] == ["min", "max"]
        assert [one.attrib["name"] for one in states] == ["position", "velocity", "effort"]
    assert [joint.attrib["name"] for joint in driven] == joint_names(model)
    limits = {
        joint.attrib["name"]: tuple(float(param.text) for param in joint.findall("command_interface/param"))
        for joint in driven
    }
    assert limits == ranges_of(model)


def test_gazebo_is_told_what_runs_the_controllers_or_nothing() -> None:
    model = expand(namespace="twin", controllers="/controllers.yaml")
    assert model.find("ros2_control/hardware/plugin").text == "gz_ros2_control/GazeboSimSystem"
    plugin = model.find("gazebo/plugin")
    assert plugin.attrib["filename"] == "gz_ros2_control-system"
    assert plugin.attrib["name"] == "gz_ros2_control::GazeboSimROS2ControlPlugin"
    assert plugin.find("parameters").text == "/controllers.yaml"
    assert plugin.find("ros/namespace").text == "twin"

    without = expand(gazebo="false")
    assert without.find("ros2_control/hardware/plugin").text == "mock_components/GenericSystem"
    assert without.find("gazebo") is None


@pytest.mark.skipif(shutil.which("check_urdf") is None, reason="no check_urdf here: apt install liburdfdom-tools")
@pytest.mark.parametrize("arguments", VARIANTS, ids=by_arguments)
def test_check_urdf_accepts_the_model(tmp_path: Path, arguments: dict[str, str]) -> None:
    path = tmp_path / "humanoid.urdf"
    path.write_bytes(ElementTree.tostring(expand(**arguments)))
    # Of links in a circle it would print for ever.
    ended = subprocess.run(
        ["check_urdf", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=CHECK_WITHIN_S
    )
    assert (ended.returncode, ended.stderr) == (0, "")
