"""The recorder's script, with a recorder that only says what it was asked to do."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chart import CHART, named, objects, pod
from waiting import wait_until

SCRIPT = CHART / "files" / "record.sh"

# Writes metadata.yaml when it is interrupted, as `ros2 bag record` does.
RECORDER = """#!/usr/bin/env bash
[ "$1 $2" = "bag record" ] || exit 64
[ ! -e "$RECORDER_FAILS" ] || exit 3
folder="${!#}"
trap 'touch "$folder/metadata.yaml"; exit 0' INT
mkdir -p "$folder"
while :; do sleep 0.02; done
"""

Record = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """Starts the script; what still runs after the test is ended."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ros2").write_text(RECORDER)
    (programs / "ros2").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("RECORDER_FAILS", str(tmp_path / "fails"))
    started: list[subprocess.Popen[bytes]] = []

    def start(seconds: str = "60") -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(["bash", SCRIPT, tmp_path / "data", seconds]))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            end(process, tmp_path / "recorder.pid")


def end(script: "subprocess.Popen[bytes]", recorder: Path) -> None:
    """Ends what still runs: the script, and a recorder that it has left, which is in a process group of its own."""
    script.kill()
    script.wait()
    with suppress(FileNotFoundError, ProcessLookupError):
        os.killpg(int(recorder.read_text()), signal.SIGKILL)


def recordings(folder: Path) -> list[Path]:
    return sorted((folder / "data").glob("*")) if (folder / "data").is_dir() else []


def is_whole(recording: Path) -> bool:
    return (recording / "metadata.yaml").is_file()


def is_alive() -> bool:
    return subprocess.run(["bash", SCRIPT, "--alive"], timeout=10).returncode == 0


def test_a_recording_is_whole_when_the_recorder_is_asked_to_end(record: Record, tmp_path: Path) -> None:
    assert not is_alive()
    process = record()
    wait_until(lambda: recordings(tmp_path), "a recording")
    assert is_alive()
    process.terminate()
    assert process.wait(10) == 0
    assert [is_whole(one) for one in recordings(tmp_path)] == [True]
    assert not is_alive()


def test_a_recording_ends_in_time_and_the_next_one_begins(record: Record, tmp_path: Path) -> None:
    process = record("1.2")
    wait_until(lambda: len(recordings(tmp_path)) >= 2, "the next recording")
    assert is_whole(recordings(tmp_path)[0])
    process.terminate()
    assert process.wait(10) == 0
    assert all(map(is_whole, recordings(tmp_path)))


def test_a_recorder_that_fails_is_told(record: Record, tmp_path: Path) -> None:
    (tmp_path / "fails").touch()
    assert record().wait(10) == 3


def test_the_chart_runs_this_script() -> None:
    assert named("ConfigMap", "digital-twin-recorder", objects("kubernetes"))["data"]["record.sh"] == SCRIPT.read_text()
    (container,) = pod("digital-twin-recorder-robot1", objects("kubernetes")).containers
    assert container["command"] == ["bash", "/etc/recorder/record.sh"]
    assert container["args"] == ["/opt/simulation_data/robot1", "3600"]
    assert [one["name"] for one in pod("digital-twin-recorder-robot1", objects("kubernetes")).spec["volumes"]] == [
        "script", "simulation-data", "tmp"
    ]  # fmt: skip
