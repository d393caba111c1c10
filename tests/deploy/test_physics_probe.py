"""physics_probe.sh, by which compose and the chart know whether physics goes on."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from chart import objects, pod
from compose import services
from program import EXIT_USAGE, REPOSITORY

PROBE = REPOSITORY / "simulation" / "physics_probe.sh"
FLAG = "--alive-file"


def probe(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([PROBE, *arguments], capture_output=True, text=True, timeout=10)


def test_physics_that_stands_still_is_told_from_physics_that_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    not_begun = probe(str(file))
    assert not_begun.returncode == 1 and str(file) in not_begun.stderr
    file.touch()
    assert probe(str(file)).returncode == 0
    minute_ago = time.time() - 60
    os.utime(file, (minute_ago, minute_ago))
    stands = probe(str(file))
    assert stands.returncode == 1 and "physics stands still" in stands.stderr


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_bad_usage_is_told(arguments: list[str]) -> None:
    refused = probe(*arguments)
    assert (refused.returncode, refused.stderr) == (EXIT_USAGE, "usage: physics_probe.sh FILE\n")


def test_compose_asks_for_the_file_that_is_touched() -> None:
    for name in ("robot", "twin"):
        service = services()[name]
        command = service["command"]
        assert service["healthcheck"]["test"] == ["CMD", PROBE.name, command[command.index(FLAG) + 1]]


def test_the_chart_asks_for_the_file_that_is_touched() -> None:
    for name in ("robot", "simulation"):
        (container,) = pod(f"digital-twin-{name}-robot1", objects("minimal")).containers
        (flag,) = [word for word in container["args"] if word.startswith(FLAG)]
        asked = [container[kind]["exec"]["command"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
        assert asked == [[PROBE.name, flag.removeprefix(f"{FLAG}=")]] * 3
