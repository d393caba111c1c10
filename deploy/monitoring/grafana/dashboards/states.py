"""The states that nodes tell of, with the colours that they have everywhere. Texts are shown with them: colour is not all."""

from collections.abc import Mapping

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

WELL, NEUTRAL, WARNING, FAULT, GRAVE = "green", "blue", "yellow", "orange", "red"

TWIN_STATES: Mapping[str, str] = {
    "SYNCED": WELL,
    "MIRRORING": NEUTRAL,
    "WAITING": NEUTRAL,
    "DEGRADED": WARNING,
    "DIVERGED": FAULT,
    "LOST": GRAVE,
    "STOPPED": GRAVE,
}
TOPIC_STATUSES: Mapping[str, str] = {
    "ok": WELL,
    "graph_only": NEUTRAL,
    "too_slow": WARNING,
    "too_fast": WARNING,
    "late": WARNING,
    "silent": FAULT,
    "stale": FAULT,
    "no_publisher": GRAVE,
    "type_mismatch": GRAVE,
    "qos_incompatible": GRAVE,
}
EXPECTED: Mapping[str, str] = {"no": "text", "yes": "text"}
UP: Mapping[str, str] = {"missing": GRAVE, "up": WELL}
FROZEN: Mapping[str, str] = {"moves or rests": WELL, "frozen": GRAVE}
DIAGNOSTIC_LEVELS: Mapping[str, str] = {"OK": WELL, "WARN": WARNING, "ERROR": GRAVE, "STALE": FAULT}


def by_number(states: Mapping[str, str]) -> ValueMap:
    """What the place of a state stands for."""
    return ValueMap({str(number): ValueMappingResult(text, color) for number, (text, color) in enumerate(states.items())})


def by_name(states: Mapping[str, str]) -> ValueMap:
    return ValueMap({text: ValueMappingResult(text, color) for text, color in states.items()})
