"""Who may speak with whom: network policies, judged as Kubernetes does, for every pair of pods and every port."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from chart import NAMESPACE, VALUE_SETS, Object, Pod, matches, objects, of_kind, pods, render, values_of

# DDSI-RTPS 2.5, 9.6.2.
PORT_BASE = 7400
PORTS_PER_DOMAIN = 250

METRICS = {"metrics": 8000, "metrics-sync": 8001, "metrics-monitor": 8002, "metrics-unity": 8003}
UNITY = 10000
DISCOVERY = 11811


@dataclass(frozen=True)
class Peer:
    """Who speaks: a pod by its namespace and labels, or an address outside."""

    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    address: str = ""

    @property
    def is_pod(self) -> bool:
        return not self.address


def as_peer(one: Pod) -> Peer:
    return Peer(one.namespace, tuple(sorted(one.labels.items())))


PROMETHEUS = Peer("monitoring", (("app.kubernetes.io/name", "prometheus"),))
STRANGER = Peer("somewhere", (("digital-twin/robot", "robot1"), ("digital-twin/unity-client", "robot1")))
DNS = Peer("kube-system", (("k8s-app", "kube-dns"),))
UNITY_CLIENT = Peer(NAMESPACE, (("digital-twin/unity-client", "robot1"),))
OWN_DRIVER = Peer(NAMESPACE, (("digital-twin/robot", "robot1"),))
INTERNET = Peer(address="203.0.113.9")


def is_allowed(found: Sequence[Object], source: Peer, target: Peer, protocol: str, port: int) -> bool:
    """Both ends have to agree, where policies choose them; an address outside has none."""
    return agrees(found, "Egress", source, target, protocol, port) and agrees(
        found, "Ingress", target, source, protocol, port
    )


def agrees(found: Sequence[Object], direction: str, here: Peer, there: Peer, protocol: str, port: int) -> bool:
    chosen = list(policies_of(found, direction, here))
    rules = [rule for policy in chosen for rule in policy["spec"].get(direction.lower(), [])]
    return not chosen or any(takes(rule, direction, there, protocol, port) for rule in rules)


def policies_of(found: Sequence[Object], direction: str, one: Peer) -> Iterator[Object]:
    for policy in of_kind("NetworkPolicy", found):
        same_namespace = policy["metadata"]["namespace"] == one.namespace
        if one.is_pod and same_namespace and matches(policy["spec"]["podSelector"], dict(one.labels)):
            if direction in policy["spec"]["policyTypes"]:
                yield policy


def takes(rule: Object, direction: str, there: Peer, protocol: str, port: int) -> bool:
    peers = rule["from" if direction == "Ingress" else "to"]
    assert peers and rule["ports"], f"a rule for everybody, or for every port: {rule}"
    return any(is_meant(peer, there) for peer in peers) and any(
        one["protocol"] == protocol and one["port"] <= port <= one.get("endPort", one["port"]) for one in rule["ports"]
    )


def is_meant(peer: Object, there: Peer) -> bool:
    if block := peer.get("ipBlock"):
        return not there.is_pod and ipaddress.ip_address(there.address) in ipaddress.ip_network(block["cidr"])
    if not there.is_pod:
        return False
    # Of the policy's own namespace unless another is chosen.
    namespaces = peer.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}})
    in_namespace = matches(namespaces, {"kubernetes.io/metadata.name": there.namespace})
    return in_namespace and matches(peer.get("podSelector", {}), dict(there.labels))


def dds_ports(found: Sequence[Object], robot: str) -> Iterable[int]:
    config = next(one for one in of_kind("ConfigMap", found) if one["metadata"]["name"] == f"ros-config-{robot}")
    first = PORT_BASE + PORTS_PER_DOMAIN * int(config["data"]["ROS_DOMAIN_ID"])
    return (first, first + PORTS_PER_DOMAIN - 1)


def robots_of(found: Sequence[Object]) -> dict[str, list[Pod]]:
    robots: dict[str, list[Pod]] = {}
    for one in pods(found):
        if robot := one.labels.get("digital-twin/robot"):
            robots.setdefault(robot, []).append(one)
    return robots


@pytest.mark.parametrize("name", VALUE_SETS)
def test_a_robots_pods_speak_dds_with_each_other_and_with_no_other_robots(name: str) -> None:
    found = objects(name)
    robots = robots_of(found)
    for robot, its in robots.items():
        ports = [*dds_ports(found, robot), DISCOVERY]
        for source in its:
            for port in ports:
                for other, theirs in robots.items():
                    for target in theirs:
                        allowed = is_allowed(found, as_peer(source), as_peer(target), "UDP", port)
                        assert allowed == (robot == other), f"{source.name} to {target.name} {port}"


@pytest.mark.parametrize("name", VALUE_SETS)
def test_metrics_are_for_the_monitoring_namespace(name: str) -> None:
    found = objects(name)
    for one in pods(found):
        for container in one.containers:
            for port in container.get("ports", []):
                number = port["containerPort"]
                is_metrics = METRICS.get(port["name"]) == number
                if one.namespace == NAMESPACE:
                    assert is_allowed(found, PROMETHEUS, as_peer(one), "TCP", number) == is_metrics, one.name
                    assert not is_allowed(found, STRANGER, as_peer(one), "TCP", number), one.name
                    assert not is_allowed(found, INTERNET, as_peer(one), "TCP", number), one.name


@pytest.mark.parametrize("name", VALUE_SETS)
def test_names_are_resolved_and_nobody_goes_out(name: str) -> None:
    found = objects(name)
    for one in pods(found):
        if one.namespace == NAMESPACE:
            assert is_allowed(found, as_peer(one), DNS, "UDP", 53) and is_allowed(found, as_peer(one), DNS, "TCP", 53)
            assert not is_allowed(found, as_peer(one), PROMETHEUS, "UDP", 53), one.name
            if not one.runs_to_an_end:
                assert not any(is_allowed(found, as_peer(one), INTERNET, "TCP", port) for port in (53, 80, 443)), one.name


def test_unity_reaches_the_bridge_of_its_robot() -> None:
    found = objects("kubernetes")
    bridges = {robot: as_peer(one) for robot, its in robots_of(found).items() for one in its if "unity" in one.name}
    assert is_allowed(found, UNITY_CLIENT, bridges["robot1"], "TCP", UNITY)
    assert not is_allowed(found, UNITY_CLIENT, bridges["robot2"], "TCP", UNITY)
    assert not is_allowed(found, STRANGER, bridges["robot1"], "TCP", UNITY)
    assert not is_allowed(found, OWN_DRIVER, bridges["robot1"], "TCP", UNITY)
    assert not is_allowed(found, UNITY_CLIENT, bridges["robot1"], "TCP", METRICS["metrics-unity"])


def test_unity_outside_comes_from_the_networks_that_are_named() -> None:
    found = objects("gke")
    (bridge,) = [as_peer(one) for one in pods(found) if "unity" in one.name]
    assert is_allowed(found, Peer(address="10.0.7.7"), bridge, "TCP", UNITY)
    assert not is_allowed(found, INTERNET, bridge, "TCP", UNITY)


def test_a_program_of_the_users_takes_part_by_the_label() -> None:
    found = objects("kubernetes")
    core = {robot: as_peer(one) for robot, its in robots_of(found).items() for one in its if "core" in one.name}
    (port, _) = dds_ports(found, "robot1")
    assert is_allowed(found, OWN_DRIVER, core["robot1"], "UDP", port)
    assert is_allowed(found, core["robot1"], OWN_DRIVER, "UDP", port)
    assert not is_allowed(found, OWN_DRIVER, core["robot2"], "UDP", port)


def test_a_robot_outside_speaks_dds_and_nothing_else() -> None:
    found = objects("operator")
    (core,) = [as_peer(one) for one in pods(found) if "core" in one.name]
    robot = Peer(address="10.20.3.4")
    for port in dds_ports(found, "arm"):
        assert is_allowed(found, robot, core, "UDP", port) and is_allowed(found, core, robot, "UDP", port)
        assert not is_allowed(found, INTERNET, core, "UDP", port) and not is_allowed(found, core, INTERNET, "UDP", port)
    for port in METRICS.values():
        assert not is_allowed(found, robot, core, "TCP", port)
    assert not is_allowed(found, core, robot, "TCP", 22)


def test_a_log_collector_goes_to_its_stores_and_nobody_comes_to_it() -> None:
    found = objects("operator")
    (collector,) = [as_peer(one) for one in pods(found) if "log-collector" in one.name]
    stores = {9200: Peer("logging", (("app", "elasticsearch"),)), 3100: INTERNET, 53: DNS}
    for port, store in stores.items():
        assert is_allowed(found, collector, store, "TCP", port), port
    assert not is_allowed(found, collector, INTERNET, "TCP", 443)
    assert not is_allowed(found, collector, PROMETHEUS, "TCP", 53)
    assert not is_allowed(found, PROMETHEUS, collector, "TCP", 2020)


def test_without_policies_there_are_none() -> None:
    values: Mapping[str, object] = {**values_of("operator"), "networkPolicy": {"enabled": False}}
    assert of_kind("NetworkPolicy", render(values)) == []
