"""make demo: what scripts/demo.py starts, shows and ends."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from network import Host
from program import EXIT_USAGE, REPOSITORY
from waiting import TIMEOUT_S, wait_until

DEMO = REPOSITORY / "scripts" / "demo.py"
ROBOT = REPOSITORY / "simulation" / "demo_robot.py"


class Demo:
    """The script on a host of its own, since it chooses its ROS domain by itself."""

    def __init__(self, host: Host, output: Path, **settings: str) -> None:
        self._output = output
        command = [sys.executable, str(DEMO)]
        with open(output, "wb") as file:
            self.process = subprocess.Popen(host.command(command, settings), stdout=file, stderr=file)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, pattern: str) -> None:
        wait_until(lambda: re.search(pattern, self.output), pattern, details=lambda: self.output)

    def programs(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def demo(host: Host, output: Path, **settings: str) -> Iterator[Demo]:
    one = Demo(host, output, **settings)
    try:
        yield one
    finally:
        # What it has started ends with it.
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_it_shows_a_twin_that_follows_and_leaves_nothing(
    host: Host, tmp_path: Path, signal_number: signal.Signals
) -> None:
    with demo(host, tmp_path / "output", DEMO_PORT="8100") as shown:
        shown.wait_for("http://localhost:8100/metrics")
        # Of the robot and of the twin.
        shown.wait_for("messages/s +46 joints.*SYNCED +lag ")
        programs = shown.programs()
        assert len(programs) == 4, programs
        shown.process.send_signal(signal_number)
        assert shown.process.wait(TIMEOUT_S) == 0, shown.output
    assert shown.output.endswith("ended\n")
    assert not [program for program in programs if program.is_running()]


def test_it_ends_by_itself(host: Host, tmp_path: Path) -> None:
    with demo(host, tmp_path / "output", DEMO_SECONDS="10") as shown:
        assert shown.process.wait(TIMEOUT_S) == 0, shown.output
    assert shown.output.endswith("ended\n")


def test_a_port_that_is_taken_is_told(host: Host, tmp_path: Path) -> None:
    with demo(host, tmp_path / "first") as first:
        first.wait_for("to end")
        with demo(host, tmp_path / "second") as second:
            assert second.process.wait(TIMEOUT_S) == 1
    assert second.output.startswith("error: port 8000: Address already in use; choose another")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("DEMO_PORT=web", "DEMO_PORT is not a number: web"),
        ("DEMO_PORT=65535", "DEMO_PORT is not a port from 1 to 65534: 65535"),
        ("DEMO_PORT=80.5", "DEMO_PORT is not a port from 1 to 65534: 80.5"),
        ("DEMO_SECONDS=long", "DEMO_SECONDS is not a number: long"),
        ("DEMO_SECONDS=0", "DEMO_SECONDS is not above 0: 0"),
        ("DEMO_SECONDS=-1", "DEMO_SECONDS is not above 0: -1"),
        ("DEMO_SECONDS=nan", "DEMO_SECONDS is not above 0: nan"),
    ],
)
def test_a_setting_that_makes_no_sense_is_told(setting: str, told: str) -> None:
    run = subprocess.run(["env", setting, sys.executable, DEMO], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (run.returncode, run.stdout, run.stderr) == (1, "", f"error: {told}\n")


def test_the_robot_alone_takes_no_arguments() -> None:
    run = subprocess.run([sys.executable, ROBOT, "fast"], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert run.returncode == EXIT_USAGE
    assert run.stderr.endswith("error: unrecognized arguments: fast\n")
