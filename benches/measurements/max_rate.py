"""The highest rate that a receiver holds with under 1 % lost: doubling until it does not, then bisection."""

import math

from measurements.settings import progress
from processes import BareLoop, Exporter, Load, PythonExporter, free_domain_id
from report import Section, Table, median, number, percent, ratio

JOINTS = (7, 50, 500)
LOST_SHARE_MAX = 0.01
WINDOW_SECONDS = 2.0
# A rate is held if it is held once: what else runs on the machine makes any receiver lose messages now and then.
TRIES = 2
# Bisection ends when the rate held and the rate not held are this close.
PRECISION = 1.06
# Below this share of the rate that was asked, the load (or a receiver that slows it down) is what limits.
SENT_SHARE_MIN = 0.95
RATE_MIN = 10
RATE_START = {"exporter": 8000, "bare loop": 8000, "Python": 500}
DEPTH = 100

TIMES_PYTHON_MIN = {7: 12, 50: 25, 500: 80}
TIMES_BARE_LOOP_MIN = 0.9


def measure(settings):
    section = Section("Highest rate held with under 1 % lost, messages/s")
    section.notes.append(
        f"Medians of {settings.runs} interleaved searches; `+`: the load could not send faster in most of them."
    )
    receivers = settings.receivers("exporter", "bare_loop", "python")
    names = [receiver.name for receiver in receivers]
    table = Table(
        ["joints", *names, "exporter / Python", ">= 12, 25, 80", "exporter / bare loop", ">= 0.9"]
    )
    section.tables.append(table)
    for joints in JOINTS[:1] if settings.quick else JOINTS:
        found = measure_cell(settings, receivers, joints)
        section.raw += found
        table.rows.append(row(section, receivers, joints, found))
    return section


def measure_cell(settings, receivers, joints):
    found = []
    for run in range(settings.runs):
        for receiver_type in receivers:
            search = search_highest_rate(settings, receiver_type, joints)
            found.append({"receiver": receiver_type.name, "joints": joints, "run": run, **search})
    return found


def search_highest_rate(settings, receiver_type, joints):
    steps = []

    def held(rate):
        for _ in range(TRIES):
            step = try_rate(settings, receiver_type, joints, rate)
            steps.append(step)
            progress(
                f"max rate: {joints} joints, {receiver_type.name}: {rate:,.0f}/s asked, "
                f"{step['sent_rate']:,.0f}/s sent, lost {percent(step['lost_share'])}"
            )
            if step["held"]:
                return True
        return False

    low, high = bracket(held, RATE_START[receiver_type.name], steps)
    while high / low > PRECISION:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if held(middle) else (low, middle)
    rates_held = [step["sent_rate"] for step in steps if step["held"]]
    highest = max(rates_held, default=None)
    limited = any(step["limited_by_load"] and step["sent_rate"] == highest for step in steps)
    return {"highest_rate": highest, "limited_by_load": limited, "steps": steps}


def bracket(held, start, steps):
    """A rate that is held and one that is not, a factor of two apart; equal where there is nothing left to find."""
    rate = start
    if held(rate):
        while not steps[-1]["limited_by_load"]:
            rate *= 2
            if not held(rate):
                return rate / 2, rate
        return rate, rate
    while rate > RATE_MIN:
        rate /= 2
        if held(rate):
            return rate, rate * 2
    return rate, rate


def try_rate(settings, receiver_type, joints, rate):
    """A receiver of its own for each step: one that was overrun may need long to recover."""
    domain_id = free_domain_id()
    options = {"rate": rate, "joints": joints, "depth": DEPTH, "duration": WINDOW_SECONDS, "wait_for_subscribers": 1}
    with receiver_type(settings.bench, domain_id) as receiver:
        receiver.wait_ready()
        with Load(settings.bench, domain_id, **options) as load:
            sent = load.sent()
        received = receiver.drained_counts().received
    lost_share = 1 - received / sent.messages
    return {
        "asked_rate": rate,
        "sent_rate": sent.rate,
        "lost_share": lost_share,
        "held": lost_share < LOST_SHARE_MAX,
        "limited_by_load": sent.rate < SENT_SHARE_MIN * rate,
    }


def row(section, receivers, joints, found):
    def of(receiver, key):
        return median([result[key] for result in found if result["receiver"] == receiver.name])

    def cell(receiver):
        return number(of(receiver, "highest_rate"), 0) + ("+" if of(receiver, "limited_by_load") else "")

    exporter = of(Exporter, "highest_rate")
    times_python = ratio(exporter, of(PythonExporter, "highest_rate"))
    times_bare_loop = ratio(exporter, of(BareLoop, "highest_rate"))
    return [
        joints,
        *map(cell, receivers),
        number(times_python, 1),
        section.at_least(f"{joints} joints, times Python's", times_python, TIMES_PYTHON_MIN[joints]),
        number(times_bare_loop),
        section.at_least(f"{joints} joints, of the bare loop's", times_bare_loop, TIMES_BARE_LOOP_MIN),
    ]
