"""The tables of README.md say what the program says: no flag, parameter or metric is missing, invented or outdated."""

import fnmatch
import re
from collections.abc import Sequence

import pytest
from rcl_interfaces.msg import ParameterType

from exporter import REPOSITORY, TOPIC, Exporter, ParameterValue, RunExporter, StartExporter
from parameters import Parameters
from robot import Robot

README = REPOSITORY / "README.md"

# As the table of parameters names types.
TYPE_NAMES = {
    ParameterType.PARAMETER_BOOL: "bool",
    ParameterType.PARAMETER_INTEGER: "integer",
    ParameterType.PARAMETER_DOUBLE: "double",
    ParameterType.PARAMETER_STRING: "string",
    ParameterType.PARAMETER_STRING_ARRAY: "string array",
}

Row = Sequence[str]


def table(*header: str) -> list[Row]:
    """The cells of the one table of README.md with this header, without its first two lines."""
    lines = README.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if cells(line) == list(header)]
    assert len(starts) == 1, f"README.md has {len(starts)} tables with the columns {header}"
    rows: list[Row] = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    assert rows, f"the table with the columns {header} is empty"
    return rows


def cells(line: str) -> list[str]:
    """The cells of a line of a table; `\\|` is no border."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def code(cell: str) -> list[str]:
    """What a cell has in backticks."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def help_text(run_to_the_end: RunExporter) -> str:
    return run_to_the_end("--help").stdout


def flags_of(help_text: str) -> dict[str, str]:
    """The default of each flag by its name, empty where there is none."""
    entries = re.split(r"^ +(?:-\w, +|)(?=--)", help_text, flags=re.MULTILINE)[1:]
    found: dict[str, str] = {}
    for entry in entries:
        name = re.match(r"--[\w.-]+", entry)
        default = re.search(r"\[default: ([^\]]*)\]", entry)
        assert name
        found[name[0]] = default[1] if default else ""
    return found


def test_the_flags_are_those_of_help(help_text: str) -> None:
    rows = {code(row[0])[0].split("=")[0].split(" ")[0]: row for row in table("flag", "default", "meaning")}

    flags = flags_of(help_text)

    # The part that goes to ROS has a row, but is not for the program's own parser.
    assert rows.keys() - {"--ros-args"} == flags.keys()
    for name, default in flags.items():
        assert "".join(code(rows[name][1])) == default, name
        assert rows[name][2], name


def test_the_parameters_are_those_of_the_node(exporter: Exporter, robot: Robot) -> None:
    rows = {code(row[0])[0]: row for row in table("parameter", "type, default", "settable", "meaning")}
    parameters = Parameters(robot)
    names = sorted(parameters.names())

    assert sorted(rows) == names
    for descriptor, value in zip(parameters.describe(*names), parameters.get(*names), strict=True):
        _, type_and_default, settable, meaning = rows[descriptor.name]
        assert type_and_default == f"{TYPE_NAMES[descriptor.type]}, `{default_text(value)}`", descriptor.name
        assert settable == ("no" if descriptor.read_only else "yes"), descriptor.name
        assert meaning, descriptor.name


def default_text(value: ParameterValue | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return str(value)


def test_the_metrics_are_those_of_a_scrape(start_exporter: StartExporter, robot: Robot) -> None:
    rows = {name: row for row in table("metric", "type, labels", "meaning") for name in code(row[0])}
    exporter = start_exporter()
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    talker.publish(["elbow", "twin", "twin"], [float("inf")] * 3, [1.0] * 3, [1.0] * 3)
    scrape = exporter.wait_for_messages(1)

    families = scrape.families()

    assert [name for name in rows if not fnmatch.filter(families, name)] == []
    assert [family for family in families if not any(fnmatch.fnmatch(family, name) for name in rows)] == []
    for name, row in rows.items():
        for family in fnmatch.filter(families, name):
            assert_row_tells(row[1], families[family], scrape.label_names(family))
            assert row[2], name


def assert_row_tells(type_and_labels: str, family_type: str, labels: set[str]) -> None:
    """The cell is `type`, or `type; label, label`; that of a wildcard may leave its types to the scrape."""
    type_names, _, label_text = type_and_labels.partition(";")
    assert family_type in re.findall(r"\w+", type_names), type_and_labels
    assert set(re.findall(r"\w+", label_text)) == labels, type_and_labels
