"""Deadlines of the steady clock that do not drift, and an account of those that were missed. Time is an argument."""

# What is further behind is given up, or the simulation would race afterwards to make up for it.
BEHIND_NS_MAX = 100_000_000
TELL_EVERY_NS = 10_000_000_000


class Pace:
    """Ticks at equal distances. One that begins a whole distance late or more is an overrun."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        # When the latest tick should have begun; what is given up counts as if time had stood still.
        self.due_ns = 0
        self._overruns = 0
        self._ticks = 0
        self._given_up_ns = 0
        self._worst_ns = 0
        self._told_overruns = 0
        self._tell_at_ns = 0

    def start(self, now_ns: int) -> None:
        self.due_ns = now_ns
        self._tell_at_ns = now_ns + TELL_EVERY_NS

    def rest_ns(self, now_ns: int) -> int:
        """Until the next tick has to begin."""
        return self.due_ns + self._period_ns - now_ns

    def begin(self, now_ns: int) -> str | None:
        """Accounts for a tick that begins, and returns what has to be told, if anything."""
        self._ticks += 1
        self.due_ns += self._period_ns
        late_ns = now_ns - self.due_ns
        self._worst_ns = max(self._worst_ns, late_ns)
        if late_ns >= self._period_ns:
            self._overruns += 1
        if late_ns > BEHIND_NS_MAX:
            self._given_up_ns += late_ns
            self.due_ns = now_ns
        if self._overruns == self._told_overruns or now_ns < self._tell_at_ns:
            return None
        self._told_overruns, self._tell_at_ns = self._overruns, now_ns + TELL_EVERY_NS
        return f"behind real time: {self.summary()}"

    def summary(self) -> str:
        return (
            f"{self._overruns} overruns in {self._ticks} ticks of {self._period_ns / 1e6:g} ms, "
            f"worst {self._worst_ns / 1e6:.1f} ms, given up {self._given_up_ns / 1e9:.3f} s"
        )
