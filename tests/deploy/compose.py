"""What docker/compose.yaml says, with its variables put in."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from program import REPOSITORY

DIRECTORY = REPOSITORY / "docker"
COMPOSE = DIRECTORY / "compose.yaml"
MONITORING = REPOSITORY / "deploy" / "monitoring"

VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}")


def services(
    variables: Mapping[str, str] | None = None, addresses: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """By name; variables that are not given have their defaults. `addresses` are others in the place of some."""

    def value(match: re.Match[str]) -> str:
        return (variables or {}).get(match[1], match[2] or match[0])

    text = VARIABLE.sub(value, COMPOSE.read_text())
    for address, other in (addresses or {}).items():
        text = text.replace(address, other)
    content: dict[str, Any] = yaml.safe_load(text)
    found: dict[str, dict[str, Any]] = content["services"]
    return found
