"""The monitoring node under test, as a process with a web address, and what it tells on /diagnostics."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from program import RELEASE, CommandLine, ParameterValue, Program, build_library
from robot import Robot
from scrape import TOPIC_STATUSES, Scrape
from waiting import TIMEOUT_S

NODE_NAME = "monitoring_node"
PROGRAM = RELEASE / NODE_NAME

# The library of NVIDIA's driver that it asks for GPUs.
NVML = "libnvidia-ml.so.1"

MOCK_NVML = Path(__file__).with_name("mock_nvml.c")

STATUSES = TOPIC_STATUSES | {"graph_only", "too_slow", "too_fast", "late"}


class StartMonitor(Protocol):
    """The fixture `start_monitor`."""

    def __call__(
        self,
        *flags: str,
        parameters: Mapping[str, ParameterValue] = ...,
        ros: Sequence[str] = ...,
        wait: bool = ...,
    ) -> "Monitor": ...


class Monitor(Program):
    """A running monitoring node."""

    def __init__(self, arguments: CommandLine, domain_id: int, stderr_path: Path) -> None:
        super().__init__(arguments, domain_id, stderr_path)
        self._domain = str(domain_id)

    def read(self, text: str, robot: str = "") -> Scrape:
        return Scrape(text, scope={"domain": self._domain, "robot": robot}, statuses=STATUSES)

    def knows(self, scrape: Scrape, topic: str) -> bool:
        return scrape.of_topic("ros_topic_publishers", topic) is not None

    def wait_for_topic(self, topic: str) -> Scrape:
        return self.scrape_until(lambda scrape: self.knows(scrape, topic), f"{topic} is known")

    def wait_for_status(self, status: str, topic: str, *, timeout_s: float = TIMEOUT_S) -> Scrape:
        return self.scrape_until(
            lambda scrape: self.knows(scrape, topic) and scrape.status(topic) == status,
            f"status {status} of {topic}",
            timeout_s=timeout_s,
        )


def install_mock_nvml(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that are started from now on find two GPUs, those of mock_nvml.c."""
    library = directory / "mock" / NVML
    library.parent.mkdir()
    build_library(MOCK_NVML, library)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent), prepend=os.pathsep)


class Diagnostics:
    """What is told on /diagnostics: the last status of each name."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._last: dict[str, DiagnosticStatus] = {}
        self._subscription = robot.listen(DiagnosticArray, "/diagnostics", self._receive)

    def _receive(self, message: DiagnosticArray) -> None:
        self._last.update({status.name: status for status in message.status})

    def wait_for(self, name: str, status: str, *, timeout_s: float = TIMEOUT_S) -> DiagnosticStatus:
        """The diagnostics of a topic, once they tell of this state."""

        def told() -> DiagnosticStatus | None:
            last = self._last.get(name)
            return last if last and value_of(last, "status") == status else None

        return self._robot.spin_until(told, f"{status} of {name} on /diagnostics", timeout_s=timeout_s)

    def wait_until_told(self, name: str, key: str, condition: Callable[[str], bool]) -> None:
        """Waits until the diagnostics of this name have such a value."""

        def is_told() -> bool:
            value = value_of(self._last[name], key) if name in self._last else None
            return value is not None and condition(value)

        self._robot.spin_until(is_told, f"{key} of {name} on /diagnostics")

    def wait_for_level(self, name: str, level: bytes) -> DiagnosticStatus:
        """The diagnostics of this name, once they have this level."""

        def told() -> DiagnosticStatus | None:
            last = self._last.get(name)
            return last if last and last.level == level else None

        return self._robot.spin_until(told, f"level {level!r} of {name} on /diagnostics")


def value_of(status: DiagnosticStatus, key: str) -> str | None:
    return next((pair.value for pair in status.values if pair.key == key), None)
