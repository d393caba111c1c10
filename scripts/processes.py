"""Programs that a script starts side by side: on this host only, and none outlives the script."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
STOP_S_MAX = 5.0
END_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PR_SET_PDEATHSIG = 1
# They would lead to peers on other hosts.
FOREIGN_SETTINGS = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "ROS_DISCOVERY_SERVER",
    "ROS_STATIC_PEERS",
    "ROS_SUPER_CLIENT",
)


class DemoError(Exception):
    """Something that whoever runs the demo can read and act upon."""


def environment() -> dict[str, str]:
    """Keeps the programs to this host, and away from other robots on it."""
    env = dict(os.environ)
    # Above the domains that people pick by hand, within those that never meet the ephemeral ports. Whatever is set: a
    # robot that is not real must not be heard where a real one is.
    env["ROS_DOMAIN_ID"] = str(50 + os.getpid() % 50)
    env["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    for name in FOREIGN_SETTINGS:
        env.pop(name, None)
    if env.get("ROS_DISTRO") == "humble":
        env["ROS_LOCALHOST_ONLY"] = "1"  # what Humble has instead
    return env


def check_port(port: int, what_to_do: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            raise DemoError(f"port {port}: {error.strerror}; {what_to_do}") from None


def block_end_signals() -> None:
    """From now on they are seen by `asked_to_end` alone, so that none comes between starting a process and noting it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)


def asked_to_end(wait_s: float) -> bool:
    """Waits that long at most."""
    return signal.sigtimedwait(END_SIGNALS, wait_s) is not None


class Processes:
    """What was started, in order; at the end of the block all of it ends, each by its id."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for _, process in self._started:
            process.terminate()
        for name, process in self._started:
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                print(f"the {name} did not end in {STOP_S_MAX:.0f} s and was killed", file=sys.stderr)
                process.kill()
                process.wait()

    def start(self, name: str, command: Sequence[str]) -> None:
        try:
            # The terminal's Ctrl-C is to reach the script alone, which then ends all in order.
            process = subprocess.Popen(
                command, env=self._env, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=prepare_child
            )
        except OSError as error:
            raise DemoError(f"the {name} does not start: {command[0]}: {error.strerror}") from None
        self._started.append((name, process))

    def check_alive(self) -> None:
        for name, process in self._started:
            if process.poll() is not None:
                raise DemoError(f"the {name} ended by itself with status {process.returncode}")


def prepare_child() -> None:
    """Ends the child with the script even when that is killed outright, and undoes the blocking that it inherits."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)
