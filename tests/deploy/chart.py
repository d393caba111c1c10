"""The Helm chart as `helm template` renders it, and its objects as Kubernetes reads them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

helm = pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this machine")

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "deploy" / "helm" / "digital-twin"
NAMESPACE = "digital-twin-system"
RELEASE = "digital-twin"

# Each set of values that the tests look at: the files that the chart comes with, and two that are given together.
VALUE_SETS: Mapping[str, Sequence[str]] = {
    "default": [],
    **{path.stem: [path.name] for path in sorted((CHART / "values").glob("*.yaml"))},
    "eks-in-a-region": ["eks.yaml", "region-eu-central-1.yaml"],
}

Object = dict[str, Any]
Values = Mapping[str, Any]


@cache
def loaded() -> Any:
    return helm.Chart.load(CHART)


@cache
def values_of(name: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for file in VALUE_SETS[name]:
        merged = merge(merged, yaml.safe_load((CHART / "values" / file).read_text()))
    return merged


def merge(under: Any, over: Any) -> Any:
    """As Helm does with several files: maps grow together, all else is replaced."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {**under, **{key: merge(under.get(key), value) for key, value in over.items()}}


def render(values: Values, apis: Sequence[str] = (), kubernetes: str = "") -> list[Object]:
    """`apis` are those that the cluster has beside Kubernetes's own; `kubernetes` is its version, Helm's newest by default."""
    texts = rendered(values, apis, kubernetes).values()
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def rendered(
    values: Values, apis: Sequence[str] = (), kubernetes: str = "", release: str = RELEASE, namespace: str = NAMESPACE
) -> dict[str, str]:
    """The text of each template."""
    options = {"name": release, "namespace": namespace, "api_versions": list(apis), "kube_version": kubernetes}
    # Chart.render does the same, and knows of neither APIs nor version, which the library under it does.
    arguments = (loaded()._raw(), json.dumps(dict(values)), json.dumps(options))
    texts: dict[str, str] = json.loads(helm._native.call_string("helm_render", *arguments))
    return {template: text for template, text in sorted(texts.items()) if template.endswith(".yaml")}


@cache
def objects(name: str, kubernetes: str = "") -> tuple[Object, ...]:
    """Of one of VALUE_SETS."""
    return tuple(render(values_of(name), kubernetes=kubernetes))


def of_kind(kind: str, found: Sequence[Object]) -> list[Object]:
    return [one for one in found if one["kind"] == kind]


def named(kind: str, name: str, found: Sequence[Object]) -> Object:
    return next(one for one in of_kind(kind, found) if one["metadata"]["name"] == name)


@dataclass(frozen=True)
class Pod:
    """What a controller makes pods of."""

    owner: Object
    template: Object

    @property
    def name(self) -> str:
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"

    @property
    def namespace(self) -> str:
        return self.owner["metadata"]["namespace"]

    @property
    def labels(self) -> dict[str, str]:
        return self.template["metadata"]["labels"]

    @property
    def spec(self) -> Object:
        return self.template["spec"]

    @property
    def containers(self) -> list[Object]:
        return [*self.spec["containers"], *self.spec.get("initContainers", [])]

    @property
    def runs_to_an_end(self) -> bool:
        return self.owner["kind"] in ("Job", "CronJob")

    def container(self, name: str) -> Object:
        return next(one for one in self.containers if one["name"] == name)

    def port(self, name_or_number: str | int) -> int:
        """The number of a port of any of its containers, by its name."""
        ports = [port for one in self.containers for port in one.get("ports", [])]
        keys = ("name", "containerPort")
        return next(port["containerPort"] for port in ports if name_or_number in [port[key] for key in keys])


def pods(found: Sequence[Object]) -> Iterator[Pod]:
    for one in found:
        if one["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
            yield Pod(one, one["spec"]["template"])
        elif one["kind"] == "CronJob":
            yield Pod(one, one["spec"]["jobTemplate"]["spec"]["template"])


def pod(name: str, found: Sequence[Object]) -> Pod:
    """Of the controller of this name."""
    return next(one for one in pods(found) if one.owner["metadata"]["name"] == name)


def sleep_before_the_end_s(container: Object) -> int:
    """Of its preStop hook; the chart has none of another kind."""
    seconds: int = container["lifecycle"]["preStop"]["sleep"]["seconds"] if "lifecycle" in container else 0
    return seconds


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """A label selector of Kubernetes; an empty one takes everything."""
    wanted = selector.get("matchLabels", {})
    within = {one["key"]: one["values"] for one in selector.get("matchExpressions", []) if one["operator"] == "In"}
    assert len(within) == len(selector.get("matchExpressions", [])), f"an operator that is not known here: {selector}"
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        labels.get(key) in values for key, values in within.items()
    )
