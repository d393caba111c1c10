"""A program under test, as a process with a web address."""

import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

from scrape import Scrape
from waiting import TIMEOUT_S, wait_until
from web import Address, Response, request

REPOSITORY = Path(__file__).resolve().parents[2]
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release"

# A line of the log that no test expects unless it says so: a thread that died, for example.
ERROR_LINE = re.compile(r"^.*panicked.*$|^\S+ +ERROR .*$", re.MULTILINE)

LISTEN_FLAG = "--web.listen-address"

EXIT_USAGE = 64

# Not a measurement: it is a hundred times what ending takes.
END_WITHIN_S = 1.0

ParameterValue = bool | int | float | str | Sequence[str] | Sequence[int]


class CommandLine(Protocol):
    """What starts a program."""

    def command(self) -> list[str]: ...


@dataclass(frozen=True)
class Arguments:
    """A command line, ROS's part apart."""

    program: Path
    flags: Sequence[str] = ()
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    ros: Sequence[str] = ()

    def command(self) -> list[str]:
        listens = any(flag.startswith(LISTEN_FLAG) for flag in self.flags)
        listen = [] if listens else [f"{LISTEN_FLAG}=127.0.0.1:0"]
        return [str(self.program), *listen, *self.flags, *self.ros_arguments()]

    def ros_arguments(self) -> list[str]:
        ros = [*parameter_arguments(self.parameters), *self.ros]
        return ["--ros-args", *ros] if ros else []


def parameter_arguments(parameters: Mapping[str, ParameterValue]) -> list[str]:
    """The parameters as ROS arguments."""
    return [part for name, value in parameters.items() for part in ("-p", f"{name}:={yaml_text(value)}")]


def yaml_text(value: ParameterValue) -> str:
    """The value as `-p name:=` wants it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    return "[" + ", ".join(f"'{item}'" if isinstance(item, str) else str(item) for item in value) + "]"


def build_library(source: Path, library: Path) -> None:
    """For a program to load in place of another."""
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True)


# What programs under test have in their environment, and this process, in which robots are, has not.
THEIR_ENVIRONMENT: dict[str, str] = {}


def environment_of(domain_id: int) -> dict[str, str]:
    return {**os.environ, **THEIR_ENVIRONMENT, "ROS_DOMAIN_ID": str(domain_id)}


@dataclass(frozen=True)
class Ended:
    """A program that came to its end by itself."""

    exit_code: int
    stdout: str
    stderr: str


def run_program(arguments: CommandLine, domain_id: int) -> Ended:
    """Runs a program that is expected to end by itself."""
    try:
        run = subprocess.run(
            arguments.command(), env=environment_of(domain_id), capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it still runs: {' '.join(arguments.command())}") from None
    return Ended(run.returncode, run.stdout, run.stderr)


def assert_every_fault_is_told(
    program: Path,
    parameters: Mapping[str, ParameterValue],
    in_file: str,
    faults_in_file: Sequence[str],
    domain_id: int,
    directory: Path,
) -> str:
    """Starts a program with bad parameters, a file of bad ones and a bad address; each is told in a line of its own.

    Returns what the program told.
    """
    file = directory / "bad.yaml"
    file.write_text(f"/**: {{ros__parameters: {in_file}}}")
    arguments = Arguments(program, [f"{LISTEN_FLAG}=nowhere"], parameters, ["--params-file", str(file)])
    ended = run_program(arguments, domain_id)
    assert ended.exit_code == EXIT_USAGE, ended
    told = [line for line in ended.stderr.splitlines() if line]
    faults = [*parameters, *faults_in_file, LISTEN_FLAG]
    assert len(told) == len(faults), ended.stderr
    for name in faults:
        assert any(name in line for line in told), f"{name} is not named in:\n{ended.stderr}"
    return ended.stderr


class Program:
    """A running program."""

    def __init__(self, arguments: CommandLine, domain_id: int, stderr_path: Path) -> None:
        self._stderr_path = stderr_path
        # A file and no pipe: a pipe that nobody reads stops its writer.
        with open(stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                arguments.command(), env=environment_of(domain_id), stdout=stderr, stderr=stderr
            )
        self._addresses: list[Address] = []
        self.was_killed = False
        # Parts of the errors that the test provokes.
        self.expected_errors: list[str] = []

    @property
    def stderr(self) -> str:
        return self._stderr_path.read_text(errors="backslashreplace")

    @property
    def address(self) -> Address:
        return self.addresses(1)[0]

    def addresses(self, count: int) -> list[Address]:
        """Where the process listens. Asked of the kernel, so that the tests depend on no line of its log."""
        if len(self._addresses) < count:
            wait_until(lambda: self._find_addresses(count), f"{count} listening addresses", details=lambda: self.stderr)
        return self._addresses

    def wait_until_ready(self, tls: ssl.SSLContext | None = None, headers: Mapping[str, str] | None = None) -> None:
        wait_until(
            lambda: self.get("/readyz", tls=tls, headers=headers).status == 200,
            "the program is ready",
            details=lambda: self.stderr,
        )

    def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> Response:
        return request(self.address, path, headers=headers, tls=tls)

    def scrape(self) -> Scrape:
        response = self.get("/metrics")
        assert response.status == 200, response
        return self.read(response.text)

    def read(self, text: str) -> Scrape:
        return Scrape(text)

    def scrape_until(self, condition: Callable[[Scrape], object], what: str, *, timeout_s: float = TIMEOUT_S) -> Scrape:
        """The first scrape of which `condition` is true."""
        last: list[Scrape] = []

        def matching_scrape() -> Scrape | None:
            last[:] = [self.scrape()]
            return last[0] if condition(last[0]) else None

        def details() -> str:
            return f"the last scrape has:\n{last[0].asked_lines()}\nstderr ends with:\n{self.stderr[-2000:]}"

        return wait_until(matching_scrape, what, timeout_s=timeout_s, details=details)

    def end(self, signal_number: signal.Signals = signal.SIGTERM) -> float:
        """Asks the process to end and returns the seconds that it took; fails unless it ends well."""
        asked_at = time.monotonic()
        self.ask_to_end(signal_number)
        try:
            exit_code = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{signal_number.name} did not end the program:\n{self.stderr}") from None
        seconds = time.monotonic() - asked_at
        assert exit_code == 0, f"exit code {exit_code} after {signal_number.name}:\n{self.stderr}"
        errors = [line for line in ERROR_LINE.findall(self.stderr) if not self._is_expected(line)]
        assert not errors, "\n".join(errors)
        return seconds

    def ask_to_end(self, signal_number: signal.Signals) -> None:
        self.process.send_signal(signal_number)

    def kill(self) -> None:
        """Ends the process without its help."""
        self.was_killed = True
        self.process.kill()
        self.process.wait()

    def _is_expected(self, error_line: str) -> bool:
        return any(part in error_line for part in self.expected_errors)

    def assert_runs(self) -> None:
        assert self.process.poll() is None, f"the program ended with {self.process.returncode}:\n{self.stderr}"

    def _find_addresses(self, count: int) -> bool:
        self.assert_runs()
        connections = psutil.Process(self.process.pid).net_connections("tcp")
        listening = [connection.laddr for connection in connections if connection.status == psutil.CONN_LISTEN]
        self._addresses = [Address(address.ip, address.port) for address in listening]
        return len(self._addresses) >= count


P = TypeVar("P", bound=Program)


def end_all(programs: Sequence[Program]) -> None:
    """Ends those that still run; each has to end well, or to have done so."""
    failures = []
    for program in programs:
        # Shown where a test has failed.
        print(program.stderr)
        if program.process.poll() is not None:
            if program.process.returncode != 0 and not program.was_killed:
                failures.append(f"a program has ended with {program.process.returncode}")
            continue
        try:
            # One that a failed test has stopped would not see the request to end.
            program.process.send_signal(signal.SIGCONT)
            program.end()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@contextmanager
def starter(
    kind: type[P], program: Path, domain_id: int, tmp_path: Path, arguments: type[Arguments] = Arguments
) -> Iterator[Callable[..., P]]:
    """Starts programs of one kind, and ends those that still run at the end of the block."""
    started: list[P] = []

    def start(
        *flags: str,
        parameters: Mapping[str, ParameterValue] | None = None,
        ros: Sequence[str] = (),
        wait: bool = True,
    ) -> P:
        stderr_path = tmp_path / f"{program.name}-{len(started)}.stderr"
        one = kind(arguments(program, flags, parameters or {}, ros), domain_id, stderr_path)
        started.append(one)
        if wait:
            one.wait_until_ready()
        return one

    try:
        yield start
    finally:
        end_all(started)
