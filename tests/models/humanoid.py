"""The humanoid as xacro makes it, and where the files lie that have to agree with it."""

from pathlib import Path
from xml.etree import ElementTree

import robot_model

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "models" / "digital_twin_humanoid.urdf.xacro"
WORLD = REPOSITORY / "worlds" / "digital_twin_world.sdf"
CONTROLLERS = REPOSITORY / "config" / "digital_twin_controllers.yaml"

JOINTS = 23


def expand(**arguments: str) -> ElementTree.Element:
    return ElementTree.fromstring(robot_model.expand(MODEL, arguments))


def moving_joints(model: ElementTree.Element) -> list[ElementTree.Element]:
    return [joint for joint in model.findall("joint") if joint.attrib["type"] != "fixed"]


def joint_names(model: ElementTree.Element) -> list[str]:
    return [joint.attrib["name"] for joint in moving_joints(model)]


def attributes(element: ElementTree.Element, *names: str) -> list[float]:
    return [float(element.attrib[name]) for name in names]


def ranges_of(model: ElementTree.Element) -> dict[str, tuple[float, ...]]:
    return {
        joint.attrib["name"]: tuple(attributes(joint.find("limit"), "lower", "upper")) for joint in moving_joints(model)
    }


def total_mass(links: list[ElementTree.Element]) -> float:
    """Of links in URDF."""
    return sum(float(mass.attrib["value"]) for link in links for mass in link.findall("inertial/mass"))
