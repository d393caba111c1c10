"""One scrape of an exporter: what a Prometheus server would have seen at that moment."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set

from prometheus_client.parser import text_string_to_metric_families

TOPIC_STATUSES = frozenset({"no_publisher", "type_mismatch", "qos_incompatible", "silent", "stale", "ok"})

Labels = frozenset[tuple[str, str]]


class Scrape:
    """The samples of one exposition in the text format 0.0.4, read by the reference parser.

    Remembers which metrics were asked for: their lines are what one wants to see when an expectation is not met.
    """

    def __init__(
        self, text: str, *, scope: Mapping[str, str] | None = None, statuses: Set[str] = TOPIC_STATUSES
    ) -> None:
        """`scope` are the labels that the program puts on everything about a topic, `statuses` the states it knows."""
        self.text = text
        self._scope = dict(scope or {})
        self._statuses = statuses
        self._asked: set[str] = set()
        self._samples: dict[str, dict[Labels, float]] = {}
        for name, labels, value in _samples(text):
            series = self._samples.setdefault(name, {})
            assert labels not in series, f"twice in one scrape: {name} {dict(labels)}"
            series[labels] = value

    def get(self, metric: str, **labels: str) -> float | None:
        """The sample with exactly these labels, or None where there is none."""
        self._asked.add(metric)
        return self._samples.get(metric, {}).get(frozenset(labels.items()))

    def value(self, metric: str, **labels: str) -> float:
        """The sample with exactly these labels, which must be there."""
        value = self.get(metric, **labels)
        assert value is not None, f"no sample {metric} {labels} in:\n{self.asked_lines()}"
        return value

    def by(self, label: str, metric: str, **labels: str) -> dict[str, float]:
        """The samples that have `labels`, by the value of one more label, the only other that they may have."""
        self._asked.add(metric)
        wanted = frozenset(labels.items())
        found: dict[str, float] = {}
        for series, value in self._samples.get(metric, {}).items():
            if wanted <= series:
                rest = dict(series - wanted)
                found[rest.pop(label)] = value
                assert not rest, f"unexpected labels {rest} on {metric}"
        return found

    def positions(self, topic: str) -> dict[str, float]:
        return self.by("joint_name", "ros_joint_position", topic_name=topic)

    def velocities(self, topic: str) -> dict[str, float]:
        return self.by("joint_name", "ros_joint_velocity", topic_name=topic)

    def efforts(self, topic: str) -> dict[str, float]:
        return self.by("joint_name", "ros_joint_effort", topic_name=topic)

    def ages(self, topic: str) -> dict[str, float]:
        return self.by("joint_name", "ros_joint_age_seconds", topic_name=topic)

    def of_topic(self, metric: str, topic: str, **labels: str) -> float | None:
        """The sample about a topic, or None where there is none."""
        return self.get(metric, topic_name=topic, **self._scope, **labels)

    def messages(self, topic: str) -> float:
        return self.of_topic("ros_message_count_total", topic) or 0.0

    def lost(self, topic: str) -> float:
        return self.of_topic("ros_messages_lost_total", topic) or 0.0

    def rejected(self, topic: str) -> dict[str, float]:
        """Rejections by reason, without those that never happened."""
        reasons = self.by("reason", "ros_messages_rejected_total", topic_name=topic, **self._scope)
        return {reason: count for reason, count in reasons.items() if count}

    def publishers(self, topic: str) -> float:
        return self.of_topic("ros_topic_publishers", topic) or 0.0

    def status(self, topic: str) -> str:
        """The one status of the topic, after a check that the state set is whole."""
        states = self.by("status", "ros_topic_status", topic_name=topic, **self._scope)
        assert states.keys() == self._statuses, f"the states of {topic} are {sorted(states)}"
        assert Counter(states.values()) == Counter({0.0: len(self._statuses) - 1, 1.0: 1}), f"not one state: {states}"
        return next(status for status, value in states.items() if value)

    def families(self) -> dict[str, str]:
        """The type of each family that is announced, by name."""
        return dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.MULTILINE))

    def label_names(self, family: str) -> set[str]:
        """The names of all labels on samples of the family, but for a histogram's `le`."""
        suffixes = ("", "_bucket", "_sum", "_count") if self.families()[family] == "histogram" else ("",)
        series = [labels for suffix in suffixes for labels in self._samples.get(family + suffix, {})]
        return {name for labels in series for name, _ in labels} - {"le"}

    def asked_lines(self) -> str:
        """The lines of the metrics that were asked for so far."""
        lines = [line for line in self.text.splitlines() if re.split(r"[{ ]", line, maxsplit=1)[0] in self._asked]
        return "\n".join(lines[:60]) or f"(nothing of {sorted(self._asked)} in {len(self.text)} bytes)"


def _samples(text: str) -> Iterator[tuple[str, Labels, float]]:
    for family in text_string_to_metric_families(text):
        assert family.type != "unknown", f"{family.name} has no # TYPE"
        assert family.documentation, f"{family.name} has no # HELP"
        for sample in family.samples:
            assert sample.timestamp is None, f"{sample.name} has a timestamp"
            yield sample.name, frozenset(sample.labels.items()), sample.value
