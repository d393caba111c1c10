"""Prometheus's rules, and what an expression asks for."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from documented import BRIDGE_PAGE, MONITOR_PAGE, README, SYNCHRONIZER_PAGE, Row, metric_rows
from program import REPOSITORY

RULES = REPOSITORY / "deploy" / "helm" / "digital-twin" / "files" / "rules"

Rule = dict[str, Any]

# Of others: Prometheus itself, kube-state-metrics, the kubelet and the node exporter.
FOREIGN = {
    "up",
    "kube_cronjob_created",
    "kube_cronjob_status_last_successful_time",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
}
# What the chart records, by its values.
OF_THE_CHART = {"digital_twin:target:expected"}

OPERATORS = {"and", "or", "unless", "on", "ignoring", "group_left", "group_right", "by", "without", "bool", "offset"}


def groups() -> Iterator[dict[str, Any]]:
    for file in sorted(RULES.glob("*.yml")):
        yield from yaml.safe_load(file.read_text())["groups"]


def rules() -> Iterator[Rule]:
    for group in groups():
        yield from group["rules"]


def alerts() -> dict[str, Rule]:
    """By name: each stands once."""
    found = [rule for rule in rules() if "alert" in rule]
    by_name = {rule["alert"]: rule for rule in found}
    assert len(by_name) == len(found)
    return by_name


def recorded() -> dict[str, Rule]:
    return {rule["record"]: rule for rule in rules() if "record" in rule}


def documented_rows() -> dict[str, Row]:
    """Of every metric of ours, by its name or its pattern."""
    pages = (README, MONITOR_PAGE, SYNCHRONIZER_PAGE, BRIDGE_PAGE)
    return {name: row for page in pages for name, row in metric_rows(page).items()}


def families(names: Iterable[str]) -> set[str]:
    """The families of series: those of a histogram have three names."""
    return {re.sub(r"(_seconds|_magnitude)_(bucket|sum|count)$", r"\1", name) for name in names}


def metrics_of(expression: str) -> set[str]:
    """The names of all series that an expression asks for, also those in matchers of __name__."""
    named_so = [name for names in re.findall(r'__name__=~"([^"]*)"', expression) for name in names.split("|")]
    return {*named_so, *(one.partition("{")[0] for one in selectors_of(expression))} - {""}


def selectors_of(expression: str) -> Iterator[str]:
    """Each vector that an expression asks for: a metric with its matchers, or matchers alone."""
    bare = re.sub(r"\[[^\]]*\]", "", expression)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right) *\([^)]*\)", "", bare)
    for found in re.finditer(r'"[^"]*"|(\b[a-zA-Z_][\w:]+)?(\{[^}]*\})?( *\()?', bare):
        metric, matchers, call = found.groups(default="")
        if (metric or matchers) and not call and metric not in OPERATORS:
            yield metric + matchers


def matchers_of(expression: str) -> Iterator[tuple[str, str, set[str]]]:
    """Metric, label and values of what stands in braces."""
    for metric, matchers in re.findall(r"\b([a-z_][a-z0-9_:]+)\{([^}]*)\}", expression):
        for label, values in re.findall(r'(\w+)[=!]=?~?"([^"]*)"', matchers):
            yield metric, label, set(values.split("|"))
