"""Tables, medians and verdicts."""

import math
import statistics
from dataclasses import dataclass, field


@dataclass
class Section:
    """What one measurement found: tables to read, raw numbers to keep, bars that were not reached."""

    title: str
    notes: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    raw: list = field(default_factory=list)
    missed: list = field(default_factory=list)

    def judge(self, what, value, reached):
        """A cell that says whether a bar was reached; None for the value: not measured."""
        if value is None:
            return "-"
        if not reached:
            self.missed.append(f"{self.title}: {what}")
        return "PASS" if reached else "FAIL"

    def at_most(self, what, value, bar):
        return self.judge(f"{what}, at most {bar}", value, value is not None and value <= bar)

    def at_least(self, what, value, bar):
        return self.judge(f"{what}, at least {bar}", value, value is not None and value >= bar)

    def __str__(self):
        return "\n\n".join([f"## {self.title}", *self.notes, *map(str, self.tables)])


@dataclass
class Table:
    """A markdown table whose columns line up."""

    header: list
    rows: list = field(default_factory=list)

    def __str__(self):
        cells = [list(map(str, row)) for row in [self.header, *self.rows]]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines)


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def percentile(values, percent):
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(numerator, denominator):
    return numerator / denominator if numerator is not None and denominator else None


def number(value, digits=2):
    return "-" if value is None else f"{value:,.{digits}f}"


def milliseconds(seconds, digits=2):
    return number(None if seconds is None else seconds * 1e3, digits)


def percent(share):
    return "-" if share is None else f"{share * 100:.2f} %"
