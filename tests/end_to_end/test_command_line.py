"""Flags: what they say, what they refuse, and how the program writes its log."""

import json
import re

import pytest

from exporter import PROGRAM, RunExporter, StartExporter
from program import EXIT_USAGE, Arguments, run_program

FLAGS = [
    "--web.listen-address",
    "--web.telemetry-path",
    "--web.config.file",
    "--web.max-requests",
    "--web.live-clients",
    "--web.live-url",
    "--log.level",
    "--log.format",
    "--version",
]


def test_help_names_every_flag(run_to_the_end: RunExporter) -> None:
    ended = run_to_the_end("--help")

    assert ended.exit_code == 0
    assert [flag for flag in FLAGS if flag not in ended.stdout] == []
    assert ended.stderr == ""


def test_the_version_is_told(run_to_the_end: RunExporter) -> None:
    ended = run_to_the_end("--version")

    assert ended.exit_code == 0
    assert re.search(rf"^{PROGRAM.name}\b.*\d+\.\d+\.\d+", ended.stdout)


@pytest.mark.parametrize(
    "flag",
    [
        "--no-such-flag",
        "stray",
        "--web.listen-address=nonsense",
        "--web.listen-address=127.0.0.1:65536",
        "--web.telemetry-path=metrics",
        "--web.config.file=/nowhere/web.yml",
        "--web.max-requests=-1",
        "--web.max-requests=many",
        "--web.live-clients=-1",
        "--web.live-url=robot1:8002",
        "--web.telemetry-path=/live",
        "--log.level=loud",
        "--log.format=xml",
        pytest.param("--web.telemetry-path=/\udcff", id="a byte that is not UTF-8"),
    ],
)
def test_a_bad_flag_stops_the_start(run_to_the_end: RunExporter, flag: str) -> None:
    ended = run_to_the_end(flag)

    assert ended.exit_code == EXIT_USAGE, ended
    # What was wrong is named, by the flag or by its value.
    assert any(part in ended.stderr for part in flag.split("="))
    assert "panicked" not in ended.stderr


def test_faults_of_flags_and_of_parameters_do_not_hide_each_other(domain_id: int) -> None:
    arguments = Arguments(PROGRAM, ["--web.config.file=/nowhere/web.yml"], {"qos": "sometimes"})

    ended = run_program(arguments, domain_id)

    assert ended.exit_code == EXIT_USAGE
    assert "/nowhere/web.yml" in ended.stderr
    assert "sometimes" in ended.stderr


def test_a_log_in_json_tells_of_faults_in_json(run_to_the_end: RunExporter) -> None:
    ended = run_to_the_end("--log.format=json", parameters={"qos": "sometimes", "max_joints": -5})

    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.exit_code == EXIT_USAGE
    assert [event["level"] for event in events] == ["ERROR", "ERROR"]
    assert {"qos", "max_joints"} == {event["message"].split()[1].rstrip(":") for event in events}


def test_a_log_in_json_is_json_line_by_line(start_exporter: StartExporter) -> None:
    exporter = start_exporter("--log.format=json", "--log.level=debug")
    exporter.end()

    lines = exporter.stderr.splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_the_log_level_holds_back_what_is_below_it(start_exporter: StartExporter) -> None:
    talkative, taciturn = start_exporter("--log.level=info"), start_exporter("--log.level=error")
    talkative.end()
    taciturn.end()

    assert talkative.stderr
    assert taciturn.stderr == ""


def test_arguments_may_follow_those_of_ros(start_exporter: StartExporter) -> None:
    """ROS's part ends with `--`, and launch files put it first."""
    exporter = start_exporter(ros=["-p", "stale_after:=1.5", "--", "--web.telemetry-path=/other"])

    assert exporter.get("/other").status == 200
