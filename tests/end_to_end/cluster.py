"""What a cluster of Kubernetes does with packets between pods, made with nft on the hosts of network.py."""

import re
import shutil

import pytest

from domain import PORT_BASE, PORTS_PER_DOMAIN
from hosted import DISCOVERY_PORT
from network import Host, Network

# Where Fast DDS listens for the names of nodes, a port for each program, whatever the domain: `ros_discovery_info`.
NODE_NAMES_PORTS = "7000-7399"


def domain_ports(domain_id: int) -> str:
    """Where programs of a domain listen for discovery and messages."""
    first = PORT_BASE + PORTS_PER_DOMAIN * domain_id
    return f"{first}-{first + PORTS_PER_DOMAIN - 1}"


class Services:
    """Addresses that no pod has, and that stay when pods are replaced (`ClusterIP`)."""

    def __init__(self, network: Network) -> None:
        self._router = network.router
        self._pods: dict[str, Host] = {}
        self._router.run(
            "nft add table ip services; nft 'add chain ip services to { type filter hook prerouting priority raw; }'"
        )

    def lead(self, address: str, pod: Host | None) -> None:
        """Sends what is for the address to this pod from now on, or nowhere.

        No connection is remembered: kube-proxy, which remembers them, makes the kernel forget those to a former pod.
        """
        self._pods.pop(address, None)
        if pod is not None:
            self._pods[address] = pod
        self._router.run("nft flush chain ip services to")
        for service, its_pod in self._pods.items():
            self._router.run(f"nft add rule ip services to ip daddr {service} ip daddr set {its_pod.address}")


class Policy:
    """A host takes UDP at these ports alone, from whomever, and answers to what it has sent (`NetworkPolicy`)."""

    def __init__(self, host: Host, *udp_ports: str) -> None:
        self._host = host
        host.run(
            f"""nft add table ip policies
            nft 'add chain ip policies ingress {{ type filter hook input priority filter; policy drop; }}'
            nft add rule ip policies ingress iif lo accept
            nft add rule ip policies ingress ct state established,related accept
            nft 'add rule ip policies ingress udp dport {{ {", ".join(udp_ports)} }} accept'
            nft add rule ip policies ingress counter"""
        )

    def dropped_packets(self) -> int:
        listed = self._host.run("nft list chain ip policies ingress")
        return int(re.findall(r"counter packets (\d+)", listed)[-1])


def server_policy(host: Host) -> Policy:
    """That of a discovery server."""
    return Policy(host, str(DISCOVERY_PORT))


def skip_without_packet_filter(network: Network) -> None:
    """nft may be missing, and some kernels let it make nothing."""
    if shutil.which("nft") is None:
        pytest.skip("no nft here: apt install nftables")
    tried = network.router.run("nft add table ip probe 2>&1 && nft delete table ip probe || true")
    if tried:
        pytest.skip(f"this kernel filters no packets for us: {tried.strip()}")
