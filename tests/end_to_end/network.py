"""Hosts and networks of a test's own, of Linux namespaces: of the machine's network nothing is seen or touched.

No namespace has a name. Each goes with the last process in it, so that nothing is left however the tests end.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path

import pytest

from waiting import wait_until

KEEPER = Path(__file__).with_name("network_keeper.py")
TIMEOUT_S = 10.0
TOOLS = ("ip", "unshare", "nsenter", "setpriv")

# Whoever is not root becomes the root of a user namespace, in which the others are made.
BECOME_ROOT = () if os.geteuid() == 0 else ("--user", "--map-root-user")
ENTER_AS_ROOT = () if os.geteuid() == 0 else ("--user",)

# Containers and pods share no /dev/shm, whatever else they share.
OWN_SHARED_MEMORY = "mount -t tmpfs tmpfs /dev/shm"
PASS_PACKETS_ON = "echo 1 >/proc/sys/net/ipv4/ip_forward"

NOBODY = 65_534


class Host:
    """A /dev/shm of its own, and a network of its own unless told otherwise, kept by a process."""

    def __init__(self, address: str, command: Sequence[str]) -> None:
        """`command` makes the namespaces and runs what follows in them."""
        self.address = address
        self._control, keepers_end = socket.socketpair()
        self._control.settimeout(TIMEOUT_S)
        setup = f'{OWN_SHARED_MEMORY} && ip link set lo up && exec "$0" "$@"'
        with keepers_end:
            self._keeper = subprocess.Popen(
                [*command, "sh", "-c", setup, sys.executable, str(KEEPER)], stdin=keepers_end
            )
        if not self._control.recv(1):
            self.close()
            raise RuntimeError(f"no namespaces: {' '.join(command)} ended with {self._keeper.returncode}")

    @property
    def process_id(self) -> int:
        return self._keeper.pid

    def command(
        self, program: Sequence[str], settings: Mapping[str, str | None] | None = None, user_id: int | None = None
    ) -> list[str]:
        """The command line that runs a program here. A setting of None is taken out of the environment."""
        enter = ["nsenter", f"--target={self.process_id}", *ENTER_AS_ROOT, "--net", "--mount", "--preserve-credentials"]
        unset = [f"--unset={name}" for name, value in (settings or {}).items() if value is None]
        given = [f"{name}={value}" for name, value in (settings or {}).items() if value is not None]
        return [*enter, *become(user_id), "env", *unset, *given, *program]

    def run(self, script: str) -> str:
        """Runs lines of a shell script here, and returns what it prints."""
        command = self.command(["sh", "-e", "-c", script])
        return subprocess.run(command, check=True, timeout=TIMEOUT_S, stdout=subprocess.PIPE, text=True).stdout

    def connect(self, port: int) -> socket.socket:
        """A connection to a program that listens on this host."""
        self._control.send(b"\0")
        _, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(("127.0.0.1", port))
        except OSError:
            connection.close()
            raise
        return connection

    def multicast_sent(self) -> int:
        """How many packets programs here have sent by multicast (netstat(8), `OutMcastPkts`)."""
        lines = Path(f"/proc/{self.process_id}/net/netstat").read_text().splitlines()
        names, values = (line.split() for line in lines if line.startswith("IpExt:"))
        return int(values[names.index("OutMcastPkts")])

    def close(self) -> None:
        self._control.close()
        self._keeper.wait(TIMEOUT_S)


def become(user_id: int | None) -> list[str]:
    """What runs a program as another user. It may read everything, since the program may lie in a closed home."""
    if user_id is None:
        return []
    capability = "+dac_read_search"
    return [
        "setpriv",
        f"--reuid={user_id}",
        f"--regid={user_id}",
        "--clear-groups",
        f"--inh-caps={capability}",
        f"--ambient-caps={capability}",
    ]


class Network:
    """Hosts in networks of their own, joined by a router, as those of pods are.

    It passes on everything but multicast, as routers do that nobody has told of groups.
    """

    def __init__(self, router: Host, stack: ExitStack) -> None:
        self.router = router
        self._stack = stack
        self._numbers = count()

    def pod(self) -> Host:
        """One more, at an address that none had before."""
        return self._stack.enter_context(pod(self.router, next(self._numbers)))

    def container(self, host: Host) -> Host:
        """One more container in the network of a host."""
        return self._stack.enter_context(container(host))


@contextmanager
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        router = stack.enter_context(closing(Host("", ["unshare", *BECOME_ROOT, "--net", "--mount"])))
        router.run(PASS_PACKETS_ON)
        yield Network(router, stack)


@contextmanager
def pods(number_of_pods: int) -> Iterator[list[Host]]:
    with network() as joined:
        yield [joined.pod() for _ in range(number_of_pods)]


@contextmanager
def pod(router: Host, number: int) -> Iterator[Host]:
    network = f"10.77.{number}"
    with closing(Host(f"{network}.2", router.command(["unshare", "--net", "--mount"]))) as host:
        router.run(
            f"""ip link add pod{number} type veth peer name eth0 netns {host.process_id}
            ip address add {network}.1/24 dev pod{number}
            ip link set pod{number} up"""
        )
        host.run(
            f"""ip address add {network}.2/24 dev eth0
            ip link set eth0 up
            ip route add default via {network}.1"""
        )
        # The kernel takes its time, and Fast DDS never uses an interface that was not up when the program started.
        wait_until(lambda: "state UP" in host.run("ip link show dev eth0"), "the link is up")
        yield host


@contextmanager
def container(host: Host) -> Iterator[Host]:
    """One more container in the network of a host: it has a /dev/shm of its own."""
    with closing(Host(host.address, host.command(["unshare", "--mount"]))) as other:
        yield other


def skip_where_not_allowed() -> None:
    """Containers may mostly make no namespaces, and some kernels allow it to root alone."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here: apt install iproute2 util-linux")
    probe = f"{OWN_SHARED_MEMORY} && {PASS_PACKETS_ON} && ip link add type veth"
    command = ["unshare", *BECOME_ROOT, "--net", "--mount", "sh", "-c", probe]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if tried.returncode != 0:
        pytest.skip(f"this kernel lets us make no networks: {tried.stderr.strip()}")
