"""Histograms of an exposition: what fell into their buckets between two scrapes, and quantiles of it."""

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantile:
    """A quantile, interpolated between the limits of its bucket; that it is between these is all that is certain."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Histogram:
    """How many observations fell into each bucket, by its upper limit."""

    counts: dict

    @classmethod
    def read(cls, text, name):
        """The one of this name that has no labels of its own."""
        pattern = re.compile(rb'^%s_bucket\{le="([^"]+)"\} (\S+)$' % name.encode(), re.MULTILINE)
        below, counts = 0.0, {}
        for limit, cumulative in pattern.findall(text):
            counts[float(limit)] = float(cumulative) - below
            below = float(cumulative)
        return cls(counts)

    def since(self, earlier):
        """What was observed after an earlier scrape."""
        return Histogram({limit: count - earlier.counts[limit] for limit, count in self.counts.items()})

    def quantile(self, share):
        """None where nothing was observed."""
        rank = share * sum(self.counts.values())
        low, below = 0.0, 0.0
        for limit, count in self.counts.items():
            if count > 0 and below + count >= rank:
                within = (rank - below) / count
                # Nothing is known above the last limit.
                value = math.inf if math.isinf(limit) else low + (limit - low) * within
                return Quantile(value, low, limit)
            low, below = limit, below + count
        return None
