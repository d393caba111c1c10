"""The tables of README.md say what the program says: no flag, parameter or metric is missing, invented or outdated."""

import re

import pytest

from documented import (
    README,
    assert_metrics_are_documented,
    assert_parameters_are_documented,
    code,
    parameters_of_help,
    table,
)
from exporter import TOPIC, Exporter, RunExporter, StartExporter
from parameters import Parameters
from robot import Robot


@pytest.fixture
def help_text(run_to_the_end: RunExporter) -> str:
    return run_to_the_end("--help").stdout


def flags_of(help_text: str) -> dict[str, str]:
    """The default of each flag by its name, empty where there is none."""
    of_flags = help_text.partition("Arguments after --ros-args")[0]
    entries = re.split(r"^ +(?:-\w, +|)(?=--)", of_flags, flags=re.MULTILINE)[1:]
    found: dict[str, str] = {}
    for entry in entries:
        name = re.match(r"--[\w.-]+", entry)
        default = re.search(r"\[default: ([^\]]*)\]", entry)
        assert name
        found[name[0]] = default[1] if default else ""
    return found


def test_the_flags_are_those_of_help(help_text: str) -> None:
    rows = {code(row[0])[0].split("=")[0].split(" ")[0]: row for row in table(README, "flag", "default", "meaning")}

    flags = flags_of(help_text)

    # The part that goes to ROS has a row, but is not for the program's own parser.
    assert rows.keys() - {"--ros-args"} == flags.keys()
    for name, default in flags.items():
        assert "".join(code(rows[name][1])) == default, name
        assert rows[name][2], name


def test_help_has_every_parameter(help_text: str, exporter: Exporter, robot: Robot) -> None:
    assert parameters_of_help(help_text) == Parameters(robot).names()


def test_the_parameters_are_those_of_the_node(exporter: Exporter, robot: Robot) -> None:
    assert_parameters_are_documented(README, Parameters(robot))


def test_the_metrics_are_those_of_a_scrape(start_exporter: StartExporter, robot: Robot) -> None:
    exporter = start_exporter()
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    talker.publish(["elbow", "twin", "twin"], [float("inf")] * 3, [1.0] * 3, [1.0] * 3)
    scrape = exporter.wait_for_messages(1)
    assert_metrics_are_documented(README, scrape)
