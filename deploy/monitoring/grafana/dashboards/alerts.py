"""The alerts that there are, from Prometheus's rules, and the pages that say what to do about them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILES = Path(__file__).resolve().parents[3] / "helm" / "digital-twin" / "files"

METRIC = re.compile(r"\b(?:ros|gpu|host|unity|digital_twin|robot\w*|process)[_:]\w[\w:]*")
# Of a histogram, which a rule and a panel ask for in different ways.
SUFFIX = re.compile(r"_(?:bucket|count|sum)$")


@cache
def rules() -> Sequence[Mapping[str, Any]]:
    files = [*FILES.glob("*_rules.yml"), *FILES.glob("rules/*.yml")]
    groups = [group for file in sorted(files) for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@cache
def alerts() -> Mapping[str, Mapping[str, Any]]:
    """By their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def firing() -> str:
    """What is firing of these, and not of others that the same Prometheus has."""
    names = "|".join(sorted(alerts()))
    return f'ALERTS{{alertstate="firing", alertname=~"{names}", region=~"$region", robot=~"$robot"}}'


def runbooks(expressions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The alerts that ask for a metric that these ask for too, with the addresses of their pages."""
    asked = {metric for expression in expressions for metric in metrics(expression)}
    for name, alert in alerts().items():
        address = alert["annotations"].get("runbook_url")
        if address and asked & set(metrics(alert["expr"])):
            yield name, address


def metrics(expression: str) -> Iterator[str]:
    """What it asks for, with what is behind the rules that it goes by."""
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    for name in METRIC.findall(expression):
        if name in recorded:
            yield from metrics(recorded[name])
        else:
            yield SUFFIX.sub("", name)


def runbook_of(alert: str) -> str | None:
    """The address of any alert's page, with `alert` in the place of its name; none where they have nothing in common."""
    addresses = {rule["annotations"].get("runbook_url", "").replace(name, alert) for name, rule in alerts().items()}
    return addresses.pop() or None if len(addresses) == 1 else None
