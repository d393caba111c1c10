"""The rules that Prometheus is given, and what their expressions ask for."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from program import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "helm" / "digital-twin" / "files" / "rules"

Rule = dict[str, Any]

# What stands in an expression beside metrics: ranges, the labels of sums and of matches, operators.
RANGES = re.compile(r"\[[^\]]*\]")
LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "group_left", "group_right"}
SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?P<matchers>\{[^}]*\})?(?P<call>\s*\()?|(?P<nameless>\{[^}]*\})|\"[^\"]*\"")


@cache
def groups() -> list[dict[str, Any]]:
    return [group for file in sorted(FOLDER.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]


def rules() -> Iterator[Rule]:
    for group in groups():
        yield from group["rules"]


def alerts() -> dict[str, Rule]:
    """By their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def records() -> dict[str, Rule]:
    """What is recorded, by its name."""
    return {rule["record"]: rule for rule in rules() if "record" in rule}


def selectors_of(expression: str) -> Iterator[str]:
    """Each vector that it asks for: a metric with its matchers, or matchers alone."""
    for found in SELECTOR.finditer(LABELS.sub(" ", RANGES.sub(" ", expression))):
        if found["nameless"]:
            yield found["nameless"]
        elif found["name"] and not found["call"] and found["name"] not in WORDS:
            yield found["name"] + (found["matchers"] or "")


def metrics_of(expression: str) -> set[str]:
    """The names of what it asks for; those of matchers without a metric are in __name__."""
    named = [re.match(r"[\w:]*", one) for one in selectors_of(expression)]
    return {name[0] for name in named if name and name[0]}
