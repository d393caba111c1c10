"""scripts/start_simulation.sh: ready when all are, and nothing left of what it started."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from package import EXECUTABLES
from ports import free_ports
from waiting import TIMEOUT_S, wait_until

SCRIPT = EXECUTABLES / "start_simulation.sh"


class Start:
    """The script, with a mock of ros2."""

    def __init__(self, folder: Path, *arguments: str, serving: list[int], timeout_s: int = int(TIMEOUT_S)) -> None:
        self.folder = folder
        (folder / "ros2").symlink_to(Path(__file__).with_name("mock_ros2.py"))
        (folder / "ports").write_text(" ".join(map(str, serving)))
        self._output = folder / "output"
        environment = {
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "MOCK_ROS2": str(folder),
            "START_TIMEOUT_S": str(timeout_s),
            "END_TIMEOUT_S": "1",
        }
        # A shell that was started with SIGINT ignored, as what runs in the background of another is, cannot trap it.
        command = ["env", "--default-signal=INT", SCRIPT, *arguments]
        with open(self._output, "wb") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for_file(self, name: str) -> None:
        wait_until((self.folder / name).exists, name, details=lambda: self.output)

    def is_child_alive(self) -> bool:
        try:
            child = psutil.Process(int((self.folder / "child").read_text()))
            # Its parent is gone, and nobody may have asked for its exit code.
            return child.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, psutil.NoSuchProcess):
            # Ended before it had a child, or after.
            return False

    def wait_for_end(self) -> int:
        exit_code = self.process.wait(TIMEOUT_S)
        assert not (self.folder / "asked_again").exists()
        return exit_code

    def clean_up(self) -> None:
        """Ends it for sure, the child too, whatever the script has done."""
        self.process.kill()
        self.process.wait()
        for name in ("launch", "child"):
            if (path := self.folder / name).exists() and psutil.pid_exists(pid := int(path.read_text())):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def ports() -> list[int]:
    return free_ports(4)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Start]]:
    with ExitStack() as started:

        def start(*arguments: str, serving: list[int], timeout_s: int = int(TIMEOUT_S)) -> Start:
            one = Start(tmp_path, *arguments, serving=serving, timeout_s=timeout_s)
            started.callback(one.clean_up)
            return one

        yield start


def test_it_is_ready_when_all_are_and_ends_all_when_asked_to(start: Callable[..., Start], ports: list[int]) -> None:
    simulation = start("simulator:=physics", f"first_port:={ports[0]}", serving=ports)
    simulation.wait_for_file("child")
    assert "ready" not in simulation.output
    (simulation.folder / "ready").touch()
    wait_until(lambda: f"ready: metrics on ports {' '.join(map(str, ports))}" in simulation.output, "it says so")
    launched = (simulation.folder / "arguments").read_text().splitlines()
    assert launched[:3] == ["launch", "digital_twin_simulation", "digital_twin_complete.launch.py"]
    assert launched[3:] == ["simulator:=physics", f"first_port:={ports[0]}"]

    simulation.process.send_signal(signal.SIGTERM)

    assert simulation.wait_for_end() == 0
    assert (simulation.folder / "asked_to_end").exists()
    assert not simulation.is_child_alive()


@pytest.mark.parametrize(
    ("arguments", "started"),
    [(["monitoring:=false", "unity:=false"], [1]), (["synchronization:=false", "monitoring:=false"], [3])],
)
def test_it_waits_only_for_nodes_that_are_started(
    start: Callable[..., Start], ports: list[int], arguments: list[str], started: list[int]
) -> None:
    serving = [ports[index] for index in started]
    simulation = start(f"first_port:={ports[0]}", *arguments, serving=serving)
    simulation.wait_for_file("child")
    (simulation.folder / "ready").touch()
    wait_until(lambda: f"ready: metrics on ports {' '.join(map(str, serving))}\n" in simulation.output, "it says so")


def test_it_gives_up_on_what_is_never_ready(start: Callable[..., Start], ports: list[int]) -> None:
    simulation = start(f"first_port:={ports[0]}", serving=ports, timeout_s=1)
    assert simulation.wait_for_end() == 1
    assert f"error: not ready after 1 s on port {', '.join(map(str, ports))}" in simulation.output
    assert not simulation.is_child_alive()


def test_an_end_before_it_is_ready_is_a_failure(start: Callable[..., Start], ports: list[int], tmp_path: Path) -> None:
    (tmp_path / "exit_code").write_text("0")
    simulation = start(f"first_port:={ports[0]}", serving=ports)
    assert simulation.wait_for_end() == 1
    assert "error: it ended before it was ready" in simulation.output


def test_an_end_that_nobody_asked_for_is_a_failure(start: Callable[..., Start], ports: list[int]) -> None:
    simulation = start(f"first_port:={ports[0]}", serving=ports)
    simulation.wait_for_file("child")
    (simulation.folder / "ready").touch()
    wait_until(lambda: "ready: metrics" in simulation.output, "it says so")
    os.kill(int((simulation.folder / "launch").read_text()), signal.SIGINT)
    assert simulation.wait_for_end() == 1
    assert "error: it ended unasked" in simulation.output
    assert not simulation.is_child_alive()


def test_asked_twice_it_still_leaves_nothing_behind(start: Callable[..., Start], ports: list[int]) -> None:
    simulation = start(f"first_port:={ports[0]}", serving=ports)
    simulation.wait_for_file("child")
    simulation.process.send_signal(signal.SIGINT)
    simulation.wait_for_file("asked_to_end")
    simulation.process.send_signal(signal.SIGINT)
    assert simulation.wait_for_end() == 0
    assert not simulation.is_child_alive()


def test_nodes_that_are_there_already_are_not_taken_for_its_own(
    start: Callable[..., Start], ports: list[int], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with ExitStack() as others:
        other = Start(tmp_path / "other", f"first_port:={ports[0]}", serving=ports)
        others.callback(other.clean_up)
        other.wait_for_file("child")
        (other.folder / "ready").touch()
        wait_until(lambda: "ready: metrics" in other.output, "the other one is ready")
        simulation = start(f"first_port:={ports[0]}", serving=[])
        assert simulation.wait_for_end() == 1
        assert f"error: a node is there already, on port {ports[0]}" in simulation.output
        assert not (tmp_path / "launch").exists()


def test_options_of_launch_are_for_launch_alone(start: Callable[..., Start], tmp_path: Path) -> None:
    (tmp_path / "exit_code").write_text("0")
    simulation = start("--show-args", serving=[])
    assert simulation.wait_for_end() == 0
    assert (tmp_path / "arguments").read_text().splitlines()[-1] == "--show-args"


@pytest.mark.parametrize("port", ["abc", "65533"])
def test_a_port_that_is_none_is_refused(start: Callable[..., Start], tmp_path: Path, port: str) -> None:
    simulation = start(f"first_port:={port}", serving=[])
    assert simulation.wait_for_end() == 1
    assert f"error: first_port:={port} is no port" in simulation.output
    assert not (tmp_path / "launch").exists()


def test_without_ros2_it_says_what_to_source(tmp_path: Path) -> None:
    (tmp_path / "bash").symlink_to("/bin/bash")
    ended = subprocess.run(["/bin/bash", SCRIPT], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ros2 is missing: source")
