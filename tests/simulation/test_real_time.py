"""The account of deadlines, with a clock that the test turns."""

from real_time import BEHIND_NS_MAX, TELL_EVERY_NS, Pace

PERIOD_NS = 5_000_000


def run(pace: Pace, *late_ns: int) -> list[str]:
    """Begins one tick after the other, each so late, and returns what was told."""
    told = []
    for late in late_ns:
        now_ns = pace.due_ns + PERIOD_NS + late
        assert pace.rest_ns(now_ns) == -late
        told += filter(None, [pace.begin(now_ns)])
    return told


def test_a_tick_that_is_late_does_not_delay_the_next() -> None:
    pace = Pace(PERIOD_NS)
    pace.start(1_000)
    run(pace, 0, 4_000_000, 0)
    assert pace.due_ns == 1_000 + 3 * PERIOD_NS
    assert pace.summary() == "0 overruns in 3 ticks of 5 ms, worst 4.0 ms, given up 0.000 s"


def test_a_tick_that_is_late_by_a_whole_one_is_an_overrun_and_made_up_for() -> None:
    pace = Pace(PERIOD_NS)
    pace.start(0)
    run(pace, 0, PERIOD_NS, 0)
    assert pace.due_ns == 3 * PERIOD_NS
    assert pace.summary().startswith("1 overruns in 3 ticks")


def test_what_is_far_behind_is_given_up() -> None:
    pace = Pace(PERIOD_NS)
    pace.start(0)
    late_ns = BEHIND_NS_MAX + 50_000_000
    run(pace, late_ns, 0)
    assert pace.due_ns == 2 * PERIOD_NS + late_ns
    assert pace.summary() == "1 overruns in 2 ticks of 5 ms, worst 150.0 ms, given up 0.150 s"


def test_overruns_are_told_from_time_to_time_and_only_when_there_are_new_ones() -> None:
    pace = Pace(PERIOD_NS)
    pace.start(0)
    assert run(pace, PERIOD_NS) == [], "a start may be slow"
    ticks = TELL_EVERY_NS // PERIOD_NS
    assert len(run(pace, *[PERIOD_NS] * 3 * ticks)) == 3
    run(pace, *[0] * ticks)
    assert run(pace, *[0] * 2 * ticks) == []
    assert len(run(pace, PERIOD_NS)) == 1
