"""The tables of the documentation, to be compared with what a program says of itself."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rcl_interfaces.msg import ParameterType

from parameters import Parameters
from program import REPOSITORY, ParameterValue
from scrape import Scrape

README = REPOSITORY / "README.md"
MONITOR_PAGE = REPOSITORY / "docs" / "monitoring_node.md"
SYNCHRONIZER_PAGE = REPOSITORY / "docs" / "synchronization_node.md"
BRIDGE_PAGE = REPOSITORY / "docs" / "unity_bridge_node.md"
LAUNCH_PAGE = REPOSITORY / "docs" / "launch.md"
NETWORKS_PAGE = REPOSITORY / "docs" / "networking.md"

# What every node has, and README.md tells of once.
OF_EVERY_NODE = ("digital_twin_", "process_")

# As the table of parameters names types.
TYPE_NAMES = {
    ParameterType.PARAMETER_BOOL: "bool",
    ParameterType.PARAMETER_INTEGER: "integer",
    ParameterType.PARAMETER_DOUBLE: "double",
    ParameterType.PARAMETER_STRING: "string",
    ParameterType.PARAMETER_INTEGER_ARRAY: "integer array",
    ParameterType.PARAMETER_STRING_ARRAY: "string array",
}

Row = Sequence[str]


def table(page: Path, *header: str) -> list[Row]:
    """The cells of the one table of the page with this header, without its first two lines."""
    lines = page.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if cells(line) == list(header)]
    assert len(starts) == 1, f"{page.name} has {len(starts)} tables with the columns {header}"
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


def blocks(page: Path, heading: str, language: str) -> list[str]:
    """The blocks of code in this language below the heading."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def code(cell: str) -> list[str]:
    """What a cell has in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def assert_parameters_are_documented(
    page: Path, parameters: Parameters, defaults: Mapping[str, ParameterValue] | None = None
) -> None:
    """The table of parameters has those of the node, each with its type, its default and whether it can be set.

    The node has its defaults, but for those parameters whose defaults are given.
    """
    rows = {code(row[0])[0]: row for row in table(page, "parameter", "type, default", "settable", "meaning")}
    names = sorted(parameters.names())
    assert sorted(rows) == names
    for descriptor, value in zip(parameters.describe(*names), parameters.get(*names), strict=True):
        _, type_and_default, settable, meaning = rows[descriptor.name]
        default = (defaults or {}).get(descriptor.name, value)
        assert type_and_default == f"{TYPE_NAMES[descriptor.type]}, `{default_text(default)}`", descriptor.name
        assert settable == ("no" if descriptor.read_only else "yes"), descriptor.name
        assert meaning, descriptor.name


def assert_file_has_every_parameter(file: Path, names: Iterable[str]) -> None:
    """Each parameter of the node stands in its configuration file; one of which ROS cannot read the default, in a comment."""
    text = file.read_text()
    for name in names:
        assert re.search(rf"^    (# )?{name}:", text, re.MULTILINE), f"{name} is not in {file.name}"


def parameters_of_help(help_text: str) -> set[str]:
    """The names of the parameters that `--help` lists."""
    return set(re.findall(r"^  (\S+)$", help_text.partition("\nParameters:\n")[2], re.MULTILINE))


def default_text(value: ParameterValue | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return str(value)


def assert_metrics_are_documented(page: Path, scrape: Scrape) -> None:
    """The table of metrics has those of the scrape, each with its type and its labels."""
    rows = metric_rows(page)
    rows |= {name: row for name, row in metric_rows(README).items() if name.startswith(OF_EVERY_NODE)}
    families = scrape.families()
    assert [name for name in rows if not fnmatch.filter(families, name)] == []
    assert [family for family in families if not any(fnmatch.fnmatch(family, name) for name in rows)] == []
    for name, row in rows.items():
        for family in fnmatch.filter(families, name):
            assert_row_tells(row[1], families[family], scrape.label_names(family))
            assert row[2], name


def metric_rows(page: Path) -> dict[str, Row]:
    return {name: row for row in table(page, "metric", "type, labels", "meaning") for name in code(row[0])}


def assert_row_tells(type_and_labels: str, family_type: str, labels: set[str]) -> None:
    """The cell is `type`, or `type; label, label`; that of a wildcard may leave its types to the scrape."""
    type_names, _, label_text = type_and_labels.partition(";")
    assert family_type in re.findall(r"\w+", type_names), type_and_labels
    assert set(re.findall(r"\w+", label_text)) == labels, type_and_labels
