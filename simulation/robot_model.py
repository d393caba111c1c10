"""A robot's URDF, written out or made by xacro, and what has to be known of its joints to move them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

import xacro

MOVING = ("revolute", "continuous", "prismatic")


class ModelError(Exception):
    """What is wrong with a model, for whoever gave it."""


@dataclass(frozen=True)
class Joint:
    """A joint that moves, in rad or m; a continuous one has infinite ends."""

    name: str
    lower: float
    upper: float
    velocity: float
    effort: float
    friction: float
    damping: float


@dataclass(frozen=True)
class Robot:
    """A robot whose joints all have limits."""

    urdf: str
    joints: Mapping[str, Joint]


class Mappings(dict[str, str]):
    """Arguments for xacro; remembers for which names it looks, which are those that the file declares."""

    def __init__(self, arguments: Mapping[str, str]) -> None:
        super().__init__(arguments)
        self.declared: set[object] = set()

    def __contains__(self, name: object) -> bool:
        self.declared.add(name)
        return super().__contains__(name)


def load(path: Path, arguments: Mapping[str, str]) -> Robot:
    """Reads a URDF, or has xacro make it with these arguments where the file's name ends in .xacro."""
    try:
        urdf = expand(path, arguments) if path.suffix == ".xacro" else path.read_text(encoding="utf-8")
        return Robot(urdf, read_joints(urdf))
    except (OSError, UnicodeError) as error:
        raise ModelError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def expand(path: Path, arguments: Mapping[str, str]) -> str:
    """The URDF that xacro makes. An argument that the file does not have is an error: xacro itself passes it over."""
    path.read_bytes()  # says better what is wrong with it than xacro does
    mappings = Mappings(arguments)
    try:
        document = xacro.process_file(str(path), mappings=mappings)
    except (xacro.XacroException, ExpatError, OSError, ValueError) as error:
        # Its messages span lines; the log's do not.
        raise ModelError(f"xacro: {' '.join(str(error).split())}") from None
    if unknown := set(arguments) - mappings.declared:
        raise ModelError(f"xacro: no argument {', '.join(sorted(unknown))}")
    return document.toxml()


def read_joints(urdf: str) -> dict[str, Joint]:
    """The joints that move, in the order of the file (https://wiki.ros.org/urdf/XML/joint)."""
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise ModelError(f"no XML: {error}") from None
    if root.tag != "robot":
        raise ModelError(f"no URDF: it begins with <{root.tag}> and not with <robot>")
    joints = [read_joint(element) for element in root.findall("joint") if element.get("type") != "fixed"]
    if not joints:
        raise ModelError("no joint that moves")
    by_name = {joint.name: joint for joint in joints}
    if len(by_name) < len(joints):
        raise ModelError("two joints have the same name")
    return by_name


def read_joint(element: ElementTree.Element) -> Joint:
    name, kind = element.get("name") or "", element.get("type") or ""
    if not name:
        raise ModelError("a joint has no name")
    if kind not in MOVING:
        raise ModelError(f"joint {name}: type {kind or 'missing'}; those that can be moved are {', '.join(MOVING)}")
    if element.find("mimic") is not None:
        raise ModelError(f"joint {name}: joints that mimic others are not supported")

    def number(tag: str, attribute: str, default: float) -> float:
        found = element.find(tag)
        text = None if found is None else found.get(attribute)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            raise ModelError(f"joint {name}: {attribute} is not a number: {text}")
        return value

    is_endless = kind == "continuous"
    joint = Joint(
        name,
        lower=-math.inf if is_endless else number("limit", "lower", 0.0),
        upper=math.inf if is_endless else number("limit", "upper", 0.0),
        velocity=number("limit", "velocity", 0.0),
        effort=number("limit", "effort", 0.0),
        friction=number("dynamics", "friction", 0.0),
        damping=number("dynamics", "damping", 0.0),
    )
    if not joint.lower < joint.upper:
        raise ModelError(f"joint {name}: lower has to be less than upper")
    if not (0.0 < joint.velocity < math.inf and 0.0 < joint.effort < math.inf):
        raise ModelError(f"joint {name}: the limits of velocity and effort have to be above zero")
    if not (0.0 <= joint.friction < math.inf and 0.0 <= joint.damping < math.inf):
        raise ModelError(f"joint {name}: friction and damping have to be zero or more")
    return joint
