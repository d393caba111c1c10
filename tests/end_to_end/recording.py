"""What the synchronization node says of a robot and its twin, kept several times a second while a test goes on."""

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from robot import repeatedly
from scrape import Scrape
from synchronizer import Synchronizer
from waiting import wait_until

# Between two scrapes; with what one takes it makes about ten a second.
INTERVAL_S = 0.05


@dataclass(frozen=True)
class Reading:
    """One scrape; what is not known is None. Errors are in rad; rms is over the node's `metrics_window`."""

    time_s: float
    phase: str
    state: str
    quality: float | None
    lag_s: float | None
    raw_rms_mean: float | None
    compensated_rms_mean: float | None
    raw_worst: float | None
    # By which the state is told: compensated as soon as the lag is known.
    judged_worst: float | None


def rms_mean(scrape: Scrape, compensation: str) -> float | None:
    """The mean over all joints."""
    return mean(scrape.by("joint_name", "ros_twin_joint_error_rms", compensation=compensation).values())


def mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


class Recording:
    """Readings, by the time since the first."""

    def __init__(self, synchronizer: Synchronizer) -> None:
        self._synchronizer = synchronizer
        self._begun_s = 0.0
        self._phase = ""
        self.readings: list[Reading] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        self._begun_s = time.monotonic()
        with repeatedly(self._take, INTERVAL_S):
            yield

    def enter(self, phase: str) -> None:
        """What is read from now on belongs to this phase."""
        self._phase = phase

    def wait_until(self, condition: Callable[[Reading], object], what: str, *, lasting_s: float, timeout_s: float) -> Reading:
        """The first reading of which the condition is true, when the phase has lasted for so long."""
        phase, begun_s = self._phase, time.monotonic() - self._begun_s

        def matching() -> Reading | None:
            newest = self.readings[-1] if self.readings else None
            is_late_enough = newest and newest.phase == phase and newest.time_s >= begun_s + lasting_s
            return newest if is_late_enough and condition(newest) else None

        return wait_until(matching, f"{phase}: {what}", timeout_s=timeout_s, details=lambda: str(self.readings[-1:]))

    def write(self, path: Path) -> None:
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Reading)], lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: text(value) for name, value in asdict(reading).items()} for reading in self.readings)

    def _take(self) -> None:
        scrape = self._synchronizer.scrape()
        raw_errors = scrape.by("joint_name", "ros_twin_joint_error", compensation="none").values()
        self.readings.append(
            Reading(
                time_s=time.monotonic() - self._begun_s,
                phase=self._phase,
                state=self._synchronizer.state(scrape),
                quality=scrape.get("ros_twin_quality_ratio"),
                lag_s=scrape.get("ros_twin_lag_seconds"),
                raw_rms_mean=rms_mean(scrape, "none"),
                compensated_rms_mean=rms_mean(scrape, "lag"),
                raw_worst=max(map(abs, raw_errors), default=None),
                judged_worst=scrape.get("ros_twin_worst_error"),
            )
        )


def text(value: float | str | None) -> str:
    """As it stands in the file: a hundredth of a milliradian is more than is known."""
    if value is None:
        return ""
    return f"{value:.5f}" if isinstance(value, float) else value
