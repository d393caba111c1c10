"""Values that make no sense are refused before anything is sent to a cluster, each with its place."""

import re
from typing import Any

import pytest
import yaml

from chart import VALUE_SETS, helm, loaded, objects, render, values_of
from documented import BRIDGE_PAGE, MONITOR_PAGE, README, SYNCHRONIZER_PAGE, code, table

A = {"name": "a", "domainId": 1}

# What is refused, and what the message names.
BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"robot": []}, "additional properties 'robot'"),
    ({"robots": []}, "/robots"),
    ({"robots": [{"domainId": 1}]}, "/robots/0.*name"),
    ({"robots": [{"name": "Arm"}]}, "/robots/0/name"),
    ({"robots": [{"name": "arm_1"}]}, "/robots/0/name"),
    ({"robots": [{"name": "a" * 33}]}, "/robots/0/name"),
    ({"robots": [{**A, "domain": 3}]}, "/robots/0.*'domain'"),
    ({"robots": [{**A, "domainId": 102}]}, "/robots/0/domainId"),
    ({"robots": [{**A, "domainId": "1"}]}, "/robots/0/domainId"),
    ({"robots": [{**A, "rosNamespace": "/arm"}]}, "/robots/0/rosNamespace"),
    ({"robots": [{**A, "rosNamespace": "1arm"}]}, "/robots/0/rosNamespace"),
    ({"robots": [{**A, "robot": "gazebo"}]}, "/robots/0/robot"),
    ({"robots": [{**A, "externalCidrs": ["10.0.0.1"]}]}, "/robots/0/externalCidrs/0"),
    ({"robots": [{**A, "simulator": {"type": "isaac"}}]}, "/robots/0/simulator/type"),
    ({"robots": [{**A, "simulator": {"gpu": {"count": 0}}}]}, "/robots/0/simulator/gpu/count"),
    ({"robots": [{**A, "simulator": {"physics": {"rate": 300}}}]}, "/robots/0/simulator/physics/rate"),
    ({"robots": [{**A, "simulator": {"physics": {"friction": 2}}}]}, "/robots/0/simulator/physics.*'friction'"),
    ({"robots": [{**A, "synchronization": {"mode": "mirror"}}]}, "/robots/0/synchronization/mode"),
    ({"robots": [{**A, "synchronization": {"parameters": {"update_rte": 9}}}]}, "parameters.*'update_rte'"),
    ({"robots": [{**A, "synchronization": {"parameters": {"update_rate": "fast"}}}]}, "parameters/update_rate"),
    ({"robots": [{**A, "monitoring": {"parameters": {"topics": {"/scan": {"rte": 9}}}}}]}, "topics/~1scan.*'rte'"),
    # ROS reads no empty list.
    ({"robots": [{**A, "monitoring": {"parameters": {"deny": []}}}]}, "parameters/deny"),
    # The chart's own: Services lead there.
    ({"robots": [{**A, "unityBridge": {"parameters": {"tcp_port": 1}}}]}, "parameters.*'tcp_port'"),
    ({"robots": [{**A, "unityBridge": {"replicas": 0}}]}, "/unityBridge/replicas"),
    ({"robots": [{**A, "unityBridge": {"service": {"type": "ExternalName"}}}]}, "/unityBridge/service/type"),
    ({"robots": [{**A, "recording": {"seconds": 1}}]}, "/recording/seconds"),
    ({"robots": [{**A, "core": {"placement": {"nodeName": "n"}}}]}, "/core/placement.*'nodeName'"),
    ({"robotDefaults": {"name": "a"}}, "/robotDefaults.*'name'"),
    ({"robotDefaults": {"exporter": {"resources": {"limits": {"cpus": "1"}}}}}, "/exporter/resources/limits.*'cpus'"),
    ({"images": {"pullPolicy": "Sometimes"}}, "/images/pullPolicy"),
    ({"images": {"pullSecrets": [{"name": "x"}]}}, "/images/pullSecrets/0"),
    ({"log": {"level": "verbose"}}, "/log/level"),
    ({"monitoring": {"operator": "maybe"}}, "/monitoring/operator"),
    ({"monitoring": {"interval": "15"}}, "/monitoring/interval"),
    ({"monitoring": {"interval": "1m", "prometheusConfig": {"enabled": True}}}, "monitoring.interval: 1m .*two scrapes"),
    ({"monitoring": {"interval": "31s", "operator": "true"}}, "monitoring.interval: 31s .*two scrapes"),
    ({"monitoring": {"alerts": {"thresholds": {"twin_lag": 0.1}}}}, "/monitoring/alerts/thresholds.*twin_lag"),
    ({"monitoring": {"alerts": {"thresholds": {"twin_lag_seconds": "0.1"}}}}, "/alerts/thresholds/twin_lag_seconds"),
    ({"monitoring": {"alerts": {"disabled": ["TwinMising"]}, "prometheusConfig": {"enabled": True}}}, "no alert TwinMising"),
    ({"monitoring": {"prometheusConfig": {"alertmanagers": ["http://a:9093"]}}}, "/prometheusConfig/alertmanagers/0"),
    ({"monitoring": {"prometheusConfig": {"remoteWrite": [{"url": "https://a", "basic_auth": {"password": "x"}}]}}},
     "remoteWrite/0/basic_auth"),
    ({"persistence": {"accessModes": ["ReadOnlyMany"]}}, "/persistence/accessModes/0"),
    ({"persistence": {"size": "lots"}}, "/persistence/size"),
    ({"priorityClasses": {"robot": {"value": "high"}}}, "/priorityClasses/robot/value"),
    ({"robots": [A, {"name": "a", "domainId": 2}]}, r"robots\[1\] \(a\) has the name a of robots\[0\] \(a\)"),
    ({"robots": [A, {"name": "b", "domainId": 1}]}, r"robots\[1\] \(b\) has the domainId 1 and ROS namespace / of"),
    ({"robots": [A, {"name": "b", "domainId": 1, "rosNamespace": "twin"}]}, r"domainId 1 and ROS namespace /twin of robots"),
    ({"robots": [{**A, "recording": {"enabled": True}}]}, r"robots\[0\] \(a\).*persistence.enabled"),
    ({"robots": [{**A, "robot": "physics", "externalCidrs": ["10.0.0.0/8"]}]}, r"robots\[0\] \(a\) has externalCidrs"),
    ({"robots": [{**A, "unityBridge": {"service": {"type": "LoadBalancer"}}}]}, r"robots\[0\] \(a\).*sourceRanges"),
    ({"robots": [{**A, "unityBridge": {"autoscaling": {"minReplicas": 9}}}]}, r"robots\[0\] \(a\).*minReplicas"),
    ({"logCollector": {"enabled": True}}, "logCollector.elasticsearch.host or logCollector.loki.host"),
    ({"priorityClasses": {"create": True}}, "priorityClasses.auxiliary.name"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "named"), BAD_VALUES, ids=[named for _, named in BAD_VALUES])
def test_bad_values_are_refused(values: dict[str, Any], named: str) -> None:
    with pytest.raises(helm.HelmError) as refusal:
        render(values)
    assert re.search(named, str(refusal.value)), refusal.value


def test_robots_of_one_domain_have_namespaces_of_their_own() -> None:
    render({"robots": [{**A, "rosNamespace": "one"}, {"name": "b", "domainId": 1, "rosNamespace": "two"}]})


def test_the_schema_has_every_value_and_no_more() -> None:
    """What values.yaml has is known; what is known has a default there, but for what a robot says of itself."""
    schema, values = loaded().schema, loaded().values
    assert set(schema["properties"]) - {"global"} == set(values)
    assert set(schema["definitions"]["robot"]["properties"]) == set(values["robotDefaults"])
    of_a_robot = set(schema["properties"]["robots"]["items"]["properties"])
    assert of_a_robot == {"name", *values["robotDefaults"]}
    assert list(open_objects(schema)) == []


def open_objects(schema: Any, path: str = "") -> Any:
    """Objects with names of ours in which others would pass unseen."""
    if isinstance(schema, dict):
        is_foreign = "/remoteWrite/" in path or "/affinity/" in path
        if "properties" in schema and schema.get("additionalProperties") is not False and not is_foreign:
            yield path
        for key, value in schema.items():
            yield from open_objects(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from open_objects(value, f"{path}/{index}")


# Where the parameters of a node are told, and which of them are the chart's.
OF_ALL = {"use_sim_time"}
OF_THE_BRIDGE = {"tcp_address", "tcp_port", "ROS_IP", "ROS_TCP_PORT", "tls_certificate", "tls_key", "tls_client_ca"}
PARAMETERS = {
    "exporter": (README, OF_ALL),
    "synchronization": (SYNCHRONIZER_PAGE, OF_ALL),
    "monitoring": (MONITOR_PAGE, OF_ALL),
    "unityBridge": (BRIDGE_PAGE, OF_ALL | OF_THE_BRIDGE),
}
TYPES = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "integer": {"type": "integer"},
    "double": {"type": "number"},
    # ROS reads no empty list.
    "string array": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    "integer array": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
}


@pytest.mark.parametrize("value", PARAMETERS)
def test_the_schema_knows_the_parameters_of_the_nodes(value: str) -> None:
    page, of_the_chart = PARAMETERS[value]
    rows = table(page, "parameter", "type, default", "settable", "meaning")
    types = {code(name)[0]: TYPES[type_and_default.partition(",")[0]] for name, type_and_default, *_ in rows}
    robot = loaded().schema["definitions"]["robot"]["properties"]
    known = robot[value]["properties"]["parameters"]["properties"]
    # What is expected of a topic has a table of its own.
    topics = {"topics": known["topics"]} if value == "monitoring" else {}
    assert known == {name: kind for name, kind in types.items() if name not in of_the_chart} | topics


def test_the_files_with_values_are_all_tried() -> None:
    # objects() renders them; that they differ shows that each is really given.
    assert len({yaml.safe_dump(list(objects(name))) for name in VALUE_SETS}) == len(VALUE_SETS)
    assert all(values_of(name) for name in VALUE_SETS if name != "default")
