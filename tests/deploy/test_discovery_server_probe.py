"""discovery_server_probe, asked about a real discovery server."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosted import DISCOVERY_SERVER_PROGRAM
from program import EXIT_USAGE, RELEASE
from waiting import wait_until

PROBE = RELEASE / "discovery_server_probe"
Server = tuple["subprocess.Popen[bytes]", int]


@pytest.fixture
def server() -> Iterator[Server]:
    """One on this host, and its port."""
    if not shutil.which(DISCOVERY_SERVER_PROGRAM):
        pytest.skip(f"no {DISCOVERY_SERVER_PROGRAM} here")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([DISCOVERY_SERVER_PROGRAM, "-i", "0", "-l", "127.0.0.1", "-p", str(port)])
    try:
        wait_until(lambda: probe(str(port)).returncode == 0, "the server takes what is sent to it")
        yield process, port
    finally:
        process.kill()
        process.wait()


def probe(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([PROBE, *arguments], capture_output=True, text=True, timeout=10)


def test_a_server_that_stands_still_is_told_from_one_that_goes_on(server: Server) -> None:
    process, port = server
    process.send_signal(signal.SIGSTOP)
    # Its threads stop one after the other.
    wait_until(lambda: all(thread_state(process.pid, one) == "T" for one in threads(process.pid)), "it stands still")
    stopped = probe(str(port))
    assert stopped.returncode == 1 and "nobody takes them" in stopped.stderr
    process.send_signal(signal.SIGCONT)
    assert probe(str(port)).returncode == 0
    process.terminate()
    assert process.wait(10) == 0
    gone = probe(str(port))
    assert gone.returncode == 1 and "nobody listens" in gone.stderr


def threads(process_id: int) -> list[str]:
    return os.listdir(f"/proc/{process_id}/task")


def thread_state(process_id: int, thread_id: str) -> str:
    """As proc(5) has it: T is stopped."""
    stat = Path(f"/proc/{process_id}/task/{thread_id}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]


@pytest.mark.parametrize("arguments", [["0"], ["port"], ["11811", "11811"]])
def test_bad_usage_is_told(arguments: list[str]) -> None:
    refused = probe(*arguments)
    assert refused.returncode == EXIT_USAGE and refused.stderr.startswith("usage: discovery_server_probe")
