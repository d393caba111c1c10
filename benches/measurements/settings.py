"""How thoroughly to measure, and whom."""

import sys
from dataclasses import dataclass

from bridges import BRIDGES
from processes import RECEIVERS, Bench
from watchers import WATCHERS

CONTENDERS = {**RECEIVERS, **WATCHERS, **BRIDGES}


@dataclass(frozen=True)
class Settings:
    """What the command line asked for."""

    bench: Bench
    contenders: tuple
    runs: int
    window_seconds: float
    quick: bool

    def receivers(self, *names):
        """The receivers of these names that take part, in this order."""
        return [CONTENDERS[name] for name in names if name in self.contenders]


def progress(text):
    """A line for whoever waits; apart from the tables on standard output."""
    print(text, file=sys.stderr, flush=True)
