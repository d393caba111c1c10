"""ROS kept to this host, and to domain ids that no other test run on this machine uses at the same time."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# 0 is everyone's default, and above 101 the ports run into the range that Linux gives to outgoing connections.
DOMAIN_IDS = range(1, 102)

# DDSI-RTPS 2.5, 9.6.2: the first ports of a domain, multicast and the first participant's unicast.
PORT_BASE = 7400
PORTS_PER_DOMAIN = 250
DISCOVERY_PORT_OFFSETS = (0, 10)

# They would lead the tests out of this machine, or to peers that are not theirs.
FOREIGN_SETTINGS = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "ROS_DISCOVERY_SERVER",
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
    "ROS_SUPER_CLIENT",
)


def keep_to_this_host(log_folder: Path) -> None:
    """For this process and all that it starts: ROS reads it when a context is made."""
    for name in FOREIGN_SETTINGS:
        os.environ.pop(name, None)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if os.environ.get("ROS_DISTRO") == "humble":
        # The older name of the same; later distributions warn of it.
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    os.environ["ROS_LOG_DIR"] = str(log_folder)


def by_udp_alone() -> dict[str, str]:
    """What a program has to have in its environment besides, to be on this host as the others are, without shared memory.

    The range LOCALHOST chooses its own transports.
    """
    profile = str(Path(__file__).with_name("udp_on_the_loopback.xml"))
    settings = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    if "ROS_LOCALHOST_ONLY" in os.environ:
        settings["ROS_LOCALHOST_ONLY"] = "0"
    # The older name is that of Fast DDS 2.
    return settings | {"FASTRTPS_DEFAULT_PROFILES_FILE": profile, "FASTDDS_DEFAULT_PROFILES_FILE": profile}


@contextmanager
def reserved_domain_id() -> Iterator[int]:
    """A domain id that is this process's alone until the end of the block, even if the process is killed in it."""
    directory = Path(tempfile.gettempdir()) / f"ros-domain-ids-{os.getuid()}"
    directory.mkdir(exist_ok=True)
    for domain_id in random.sample(DOMAIN_IDS, len(DOMAIN_IDS)):
        with open(directory / str(domain_id), "w") as file:
            if _lock(file.fileno()) and not _is_in_use(domain_id):
                yield domain_id
                return
    raise RuntimeError("every ROS domain id is in use")


def _lock(file_descriptor: int) -> bool:
    try:
        fcntl.flock(file_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_in_use(domain_id: int) -> bool:
    """Whether someone who takes no locks, a robot for example, has a participant in the domain."""
    first_port = PORT_BASE + PORTS_PER_DOMAIN * domain_id
    return not all(_is_free(first_port + offset) for offset in DISCOVERY_PORT_OFFSETS)


def _is_free(udp_port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", udp_port))
        except OSError:
            return False
    return True
