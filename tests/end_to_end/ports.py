"""Ports that nobody has."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """So many in a row."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        first = probe.getsockname()[1]
    ports = list(range(first, first + count))
    with ExitStack() as probes:
        for port in ports:
            try:
                probes.enter_context(socket.socket()).bind(("", port))
            except OSError:
                return free_ports(count)
    return ports
