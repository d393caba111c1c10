"""Grafana's dashboards as Grafana reads them, and what it asks of Prometheus when somebody looks at one."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from program import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "helm" / "digital-twin" / "files" / "dashboards"

LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
VARIABLE = re.compile(r"\$\{?(\w+)")


@dataclass(frozen=True)
class Expression:
    """What a panel asks, or the marks that are on all of them."""

    panel: str
    text: str
    is_instant: bool


@dataclass(frozen=True)
class Dashboard:
    path: Path

    @property
    def content(self) -> Any:
        return read(self.path)

    @property
    def variables(self) -> list[Any]:
        """Those that are asked of Prometheus, each after those that it goes by."""
        return [one for one in self.content["templating"]["list"] if one["type"] == "query"]

    @property
    def panels(self) -> list[Any]:
        """All but the titles between them."""
        return [panel for panel in self.content["panels"] if panel["type"] != "row"]

    def expressions(self) -> Iterator[Expression]:
        for panel in self.panels:
            for target in panel["targets"]:
                yield Expression(panel["title"], target["expr"], target.get("instant", False))
        for marks in self.content["annotations"]["list"]:
            yield Expression(marks["name"], marks["expr"], False)


@cache
def read(path: Path) -> Any:
    return json.loads(path.read_text())


def dashboards() -> list[Dashboard]:
    return [Dashboard(path) for path in sorted(FOLDER.glob("*.json"))]


def substituted(text: str, values: Mapping[str, str]) -> str:
    """With the values of variables in their places; a variable that has none is a fault."""
    return VARIABLE.sub(lambda match: values[match[1]], text)
