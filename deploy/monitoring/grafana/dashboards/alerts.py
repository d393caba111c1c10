"""The alerts that there are, from Prometheus's rules, and the pages that say what to do about them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).resolve().parents[3] / "helm" / "digital-twin" / "files" / "rules"

# Under Grafana's own address, where docker/compose.yaml puts the pages; the chart puts another address in its place.
PAGES = "/public/docs/runbooks"

METRIC = re.compile(r"\b(?:up|(?:ros|gpu|host|unity|digital_twin|robot\w*|process)[_:][\w:]+)\b")
# Of a histogram, which a rule and a panel ask for in different ways.
SUFFIX = re.compile(r"_(?:bucket|count|sum)$")


@cache
def rules() -> Sequence[Mapping[str, Any]]:
    groups = [group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@cache
def alerts() -> Mapping[str, Mapping[str, Any]]:
    """By their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def threshold(name: str) -> float:
    """What alerts compare with, unless it was changed: for colours, which cannot ask Prometheus."""
    (expression,) = (rule["expr"] for rule in rules() if rule.get("record") == f"digital_twin:{name}:threshold")
    return float(expression.removeprefix("vector(").removesuffix(")"))


def firing() -> str:
    """What is firing of these, and not of others that the same Prometheus has."""
    names = "|".join(sorted(alerts()))
    return f'ALERTS{{alertstate="firing", alertname=~"{names}", region=~"$region", robot=~"$robot"}}'


def runbooks(expressions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The alerts that ask for a metric that these ask for too, with the addresses of their pages."""
    asked = {metric for expression in expressions for metric in metrics(expression)}
    for name, alert in alerts().items():
        if asked & set(metrics(alert["expr"])):
            yield name, runbook(name)


def runbook(alert: str) -> str:
    return f"{PAGES}/{alert}.md"


def metrics(expression: str) -> Iterator[str]:
    """What it asks for, with what is behind the rules that it goes by."""
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    for name in METRIC.findall(expression):
        if name in recorded:
            yield from metrics(recorded[name])
        else:
            yield SUFFIX.sub("", name)
