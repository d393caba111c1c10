"""Waiting for something to become true, in place of sleeping for as long as it usually takes."""

import time
from collections.abc import Callable
from typing import TypeVar

# Generous: discovery sometimes takes the middleware's next announcement, after 3 s, and the machine may be busy.
TIMEOUT_S = 30.0
INTERVAL_S = 0.02

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None],
    what: str,
    *,
    timeout_s: float = TIMEOUT_S,
    details: Callable[[], str] = str,
) -> T:
    """Returns the first truthy result of `condition`; `details` is asked for once, when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}\n{details()}")
        time.sleep(INTERVAL_S)
    return result
