"""draw_experiment.py CSV SVG: draws a run that `make experiment` kept, from nothing but its file, and prints its numbers.

The same file makes the same drawing, byte by byte.
"""

import csv
import statistics
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.hashsalt": "synchronization_experiment",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    # A card of its own, which is as easy to read on a dark page as on a light one.
    "savefig.facecolor": "white",
})

from matplotlib import pyplot  # noqa: E402  it reads the choice above
from matplotlib.axes import Axes  # noqa: E402

# What the test asks for: see tests/end_to_end/test_synchronized_physics.py.
DELAY_MS, LAG_WITHIN_MS, THRESHOLD_MRAD = 80.0, 5.0, 10.0
RAW, COMPENSATED, LAG = "#c2570c", "#1d63c4", "#5b3fa8"
STATES = {"SYNCED": "#cfead2", "DEGRADED": "#fbe7b2", "DIVERGED": "#f6c9c3", "MIRRORING": "#e3e3e3", "WAITING": "#e3e3e3"}
# Of a phase, what was so at its end: the statistics' window is over by then.
END_S = 2.0

Row = dict[str, str]


class Span(NamedTuple):
    """Rows in which a column has one value, from the first to the one after the last."""

    value: str
    begin_s: float
    end_s: float


def seconds(row: Row) -> float:
    return float(row["time_s"])


def column(rows: Sequence[Row], name: str) -> list[float]:
    """In thousandths; what was not known is a gap."""
    return [1000.0 * float(row[name]) if row[name] else float("nan") for row in rows]


def spans(rows: Sequence[Row], name: str) -> Iterator[Span]:
    groups = [(value, seconds(next(group))) for value, group in groupby(rows, key=lambda row: row[name])]
    ends = [begin_s for _, begin_s in groups[1:]] + [seconds(rows[-1])]
    return (Span(value, begin_s, end_s) for (value, begin_s), end_s in zip(groups, ends))


def draw_errors(axes: Axes, rows: Sequence[Row], times: Sequence[float]) -> None:
    axes.plot(times, column(rows, "raw_rms_mean"), color=RAW, label="raw")
    axes.plot(times, column(rows, "compensated_rms_mean"), color=COMPENSATED, label="with the lag taken out")
    axes.set_ylabel("error, mean of all\njoints' rms in mrad")
    axes.set_ylim(bottom=0.0)
    axes.legend(loc="upper left", ncols=2, frameon=False)


def draw_worst(axes: Axes, rows: Sequence[Row], times: Sequence[float]) -> None:
    axes.plot(times, column(rows, "judged_worst"), color=COMPENSATED, linewidth=1.0)
    axes.axhline(THRESHOLD_MRAD, color="#333333", linestyle="--", linewidth=1.0, label="divergence_threshold")
    axes.legend(loc="upper left", frameon=False)
    axes.set_ylabel("worst joint,\nthis moment, in mrad")
    axes.set_ylim(0.0, 5.0 * THRESHOLD_MRAD)


def draw_lag(axes: Axes, rows: Sequence[Row], times: Sequence[float]) -> None:
    axes.axhspan(DELAY_MS - LAG_WITHIN_MS, DELAY_MS + LAG_WITHIN_MS, color="#ece8f7")
    axes.plot(times, column(rows, "lag_s"), color=LAG)
    axes.set_ylabel("measured lag\nin ms")
    axes.set_ylim(0.0, 3.0 * DELAY_MS)
    axes.annotate("80 ± 5 ms", (0.995, DELAY_MS - LAG_WITHIN_MS), xycoords=("axes fraction", "data"), ha="right", va="top")
    axes.set_xlabel("time in s")


def draw_states(axes: Axes, rows: Sequence[Row]) -> None:
    """As a strip; the short ones have a colour alone."""
    for state, begin_s, end_s in spans(rows, "state"):
        axes.axvspan(begin_s, end_s, color=STATES[state], linewidth=0.0)
        if end_s - begin_s > 0.1 * seconds(rows[-1]):
            axes.annotate(state, ((begin_s + end_s) / 2.0, 0.5), ha="center", va="center")
    axes.set_yticks([])
    axes.grid(False)
    axes.set_ylabel("state", rotation="horizontal", ha="right", va="center")


def mark_phases(every_axes: Sequence[Axes], rows: Sequence[Row]) -> None:
    for phase, begin_s, _ in spans(rows, "phase"):
        for axes in every_axes:
            axes.axvline(begin_s, color="#555555", linewidth=0.8)
        every_axes[0].annotate(
            phase, (begin_s, 1.0), xycoords=("data", "axes fraction"), xytext=(2, 3), textcoords="offset points", weight="bold"
        )


def draw(rows: Sequence[Row], path: Path) -> None:
    figure, every_axes = pyplot.subplots(4, figsize=(8.0, 6.4), sharex=True, height_ratios=(1, 6, 6, 6))
    # Fixed: a layout that is solved for differs in the last bits from one drawing to the next.
    figure.subplots_adjust(left=0.12, right=0.985, top=0.95, bottom=0.08, hspace=0.15)
    times = [seconds(row) for row in rows]
    draw_states(every_axes[0], rows)
    draw_errors(every_axes[1], rows, times)
    draw_worst(every_axes[2], rows, times)
    draw_lag(every_axes[3], rows, times)
    mark_phases(every_axes, rows)
    every_axes[0].set_xlim(times[0], times[-1])
    figure.align_ylabels(every_axes[1:])
    figure.savefig(path, metadata={"Date": None})


def print_numbers(rows: Sequence[Row]) -> None:
    for phase, _, end_s in spans(rows, "phase"):
        end = [row for row in rows if row["phase"] == phase and seconds(row) > end_s - END_S]
        names = ("lag_s", "raw_rms_mean", "compensated_rms_mean", "judged_worst")
        lag, raw, compensated, worst = (statistics.median(column(end, name)) for name in names)
        print(
            f"{phase}: {end[-1]['state']}, lag {lag:.1f} ms, raw error {raw:.1f} mrad, "
            f"without the lag {compensated:.1f} mrad, worst joint {worst:.1f} mrad"
        )


def main() -> None:
    source, drawing = map(Path, sys.argv[1:])
    with open(source, newline="") as file:
        rows = list(csv.DictReader(file))
    print_numbers(rows)
    draw(rows, drawing)


if __name__ == "__main__":
    main()
