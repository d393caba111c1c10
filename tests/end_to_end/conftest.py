"""What the tests run on: a ROS domain of their own, exporters and robots in it, and nothing left behind."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from domain import reserved_domain_id
from exporter import (
    PROGRAM,
    TOPIC,
    Arguments,
    Ended,
    Exporter,
    ParameterValue,
    RunExporter,
    StartExporter,
    run_exporter,
)
from robot import Robot, Talker

# They would lead the tests out of this machine, or to peers that are not theirs.
FOREIGN_SETTINGS = ("ROS_DISCOVERY_SERVER", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "FASTRTPS_DEFAULT_PROFILES_FILE")


def pytest_sessionstart() -> None:
    if not PROGRAM.is_file():
        pytest.exit(f"{PROGRAM} is missing: run 'make build'", returncode=4)


@pytest.fixture(scope="session", autouse=True)
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """For this process and all that it starts: ROS reads it when a context is made."""
    for name in FOREIGN_SETTINGS:
        os.environ.pop(name, None)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if os.environ.get("ROS_DISTRO") == "humble":
        # The older name of the same; later distributions warn of it.
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    os.environ["ROS_LOG_DIR"] = str(tmp_path_factory.mktemp("ros-log"))


@pytest.fixture
def domain_id() -> Iterator[int]:
    with reserved_domain_id() as domain_id:
        yield domain_id


@pytest.fixture
def start_exporter(domain_id: int, tmp_path: Path) -> Iterator[StartExporter]:
    """Starts exporters, and ends those that still run after the test: each has to end well."""
    exporters: list[Exporter] = []

    def start(
        *flags: str,
        parameters: Mapping[str, ParameterValue] | None = None,
        ros: Sequence[str] = (),
        wait: bool = True,
    ) -> Exporter:
        stderr_path = tmp_path / f"exporter-{len(exporters)}.stderr"
        exporter = Exporter(Arguments(flags, parameters or {}, ros), domain_id, stderr_path)
        exporters.append(exporter)
        if wait:
            exporter.wait_until_ready()
        return exporter

    yield start
    end_all(exporters)


def end_all(exporters: Sequence[Exporter]) -> None:
    failures = []
    for exporter in exporters:
        # Shown where a test has failed.
        print(exporter.stderr)
        if exporter.process.poll() is not None:
            if exporter.process.returncode != 0 and not exporter.was_killed:
                failures.append(f"an exporter has ended with {exporter.process.returncode}")
            continue
        try:
            # One that a failed test has stopped would not see the request to end.
            exporter.process.send_signal(signal.SIGCONT)
            exporter.end()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def run_to_the_end(domain_id: int) -> RunExporter:
    """Runs exporters that are expected to end by themselves."""

    def run(*flags: str, parameters: Mapping[str, ParameterValue] | None = None, ros: Sequence[str] = ()) -> Ended:
        return run_exporter(Arguments(flags, parameters or {}, ros), domain_id)

    return run


@pytest.fixture
def start_robot(domain_id: int) -> Iterator[Callable[[], Robot]]:
    robots: list[Robot] = []

    def start() -> Robot:
        robots.append(Robot(domain_id, f"robot{len(robots)}"))
        return robots[-1]

    yield start
    for robot in robots:
        robot.close()


@pytest.fixture
def robot(start_robot: Callable[[], Robot]) -> Robot:
    return start_robot()


@pytest.fixture
def exporter(start_exporter: StartExporter) -> Exporter:
    """An exporter with default parameters."""
    return start_exporter()


@pytest.fixture
def talker(exporter: Exporter, robot: Robot) -> Talker:
    """A publisher on the default topic that the exporter has found."""
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    return talker
