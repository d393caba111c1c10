"""Names that YAML would take for a number, a truth value, a date or nothing stay names wherever the chart writes them."""

from collections.abc import Iterator

import pytest
import yaml

from chart import Values, merge, named, pods, render, rendered, values_of

# YAML 1.1 and 1.2, and their readers in Go and Python, differ in some of these: so none may stand without quotes.
# The chart itself says none of them.
NAMES = ("007", "no", "null", "1e5", "0x1f", "2024-01-01")


def values_with(name: str) -> Values:
    """Everything that is on, with the name wherever the schema takes it."""
    everything = merge(merge(values_of("kubernetes"), values_of("operator")), values_of("backup"))
    robot = {
        "name": name,
        "rosNamespace": "" if name[0].isdigit() else name,
        "recording": {"enabled": True},
        "unityBridge": {"tlsSecretName": name},
        "core": {"placement": {"runtimeClassName": name, "nodeSelector": {"pool": name}}},
        "simulator": {"image": name},
    }
    given = {
        "robots": [robot, {**robot, "name": f"other-{name}", "domainId": 1, "robot": "physics", "simulator": {"type": "physics"}}],
        "region": name,
        "images": {"nodes": name, "physics": name, "simulation": name, "pullSecrets": [name]},
        "podAnnotations": {"of/all": name},
        "serviceAccount": {"annotations": {"of/it": name}},
        "priorityClasses": {"robot": {"name": name}, "auxiliary": {"name": f"other-{name}"}},
        "networkPolicy": {"monitoringNamespace": name, "dns": {"namespace": name, "podLabels": {"app": name}}},
        "monitoring": {
            "labels": {"release": name},
            "dashboards": {"enabled": True, "namespace": name, "labels": {"of": name}, "annotations": {"folder": name}},
            "prometheusConfig": {"namespace": name, "externalLabels": {"cluster": name}, "kubeStateMetrics": "metrics:8080"},
        },
        "logCollector": {
            "namespace": name,
            "image": name,
            "elasticsearch": {"host": name, "secretName": name, "indexPrefix": name if name.isalpha() else "robots"},
            "loki": {"host": name, "secretName": name, "tenant": name},
        },
        "persistence": {"claimName": name, "storageClassName": name},
        "backup": {
            "image": name,
            "timeZone": name,
            "s3": {"secretName": name, "bucket": "20240101" if len(name) < 3 else name, "prefix": name, "region": name},
        },
    }
    return merge(everything, given)


def texts(name: str) -> Iterator[tuple[str, str]]:
    """Of each template, and of each file of YAML that it puts into a ConfigMap, with where it is from."""
    for template, text in rendered(values_with(name), release=name, namespace=name).items():
        yield template, text
        for document in yaml.safe_load_all(text):
            if document and document["kind"] == "ConfigMap":
                files = {file: inner for file, inner in document["data"].items() if file.endswith((".yaml", ".yml"))}
                yield from ((f"{template}: {file}", inner) for file, inner in files.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_always_in_quotes(name: str) -> None:
    """What is in quotes is a text to every reader."""
    without = [
        f"{where}, line {token.start_mark.line + 1}"
        for where, text in texts(name)
        for token in yaml.scan(text, Loader=yaml.CSafeLoader)
        if isinstance(token, yaml.ScalarToken) and token.plain and token.value == name
    ]
    assert without == []


def test_robots_whose_names_are_one_number_are_two() -> None:
    robots = [{"name": "100000", "domainId": 1}, {"name": "1e5", "domainId": 2}]
    found = render({"robots": robots, "monitoring": {"prometheusConfig": {"enabled": True}}})
    rules = yaml.safe_load(named("ConfigMap", "prometheus-rules", found)["data"]["digital_twin_rules.yml"])
    (targets,) = [group["rules"] for group in rules["groups"] if group["name"] == "digital_twin_targets"]
    assert {rule["labels"]["robot"] for rule in targets} == {"100000", "1e5"}
    assert {one.labels["digital-twin/robot"] for one in pods(found)} == {"100000", "1e5"}
