"""CPU time per message, over a steady window, per message that was really received."""

import itertools
import time

from measurements.settings import progress
from processes import BareLoop, Exporter, Load, PythonExporter, WaitSetExporter, WaitSetLoop, free_domain_id
from report import Section, Table, median, number, percent, ratio

JOINTS = (7, 50, 500)
RATES = (1000, 5000)
CELLS_FEW = [(7, 1000), (500, 5000)]
# Ours, and the bare loop that takes in the same way.
CALLBACK = (Exporter, BareLoop)
WAIT_SET = (WaitSetExporter, WaitSetLoop)
MESSAGES = 100_000
WARM_UP_SECONDS = 1.0
DEPTH = 100

TIMES_BARE_LOOP_MAX = 1.15
# Python's cost as a multiple of ours, by joints; at 500 joints it loses nine messages in ten and no bar is set.
TIMES_CHEAPER_THAN_PYTHON_MIN = {7: 16, 50: 20}


def measure(settings):
    section = Section(f"CPU seconds per {MESSAGES:,} messages received")
    section.notes.append(
        f"Medians of {settings.runs} interleaved runs, {settings.window_seconds:g} s each. "
        "Lost: sent and not received, of the whole run."
    )
    cells = CELLS_FEW if settings.quick else list(itertools.product(JOINTS, RATES))
    callback = settings.receivers("exporter", "bare_loop", "python")
    wait_set = settings.receivers("exporter_wait_set", "bare_loop_wait_set")
    section.tables.append(measure_table(settings, section, callback, cells, CALLBACK))
    section.tables.append(measure_table(settings, section, wait_set, CELLS_FEW, WAIT_SET))
    return section


def measure_table(settings, section, receivers, cells, compared):
    header = ["joints", "messages/s", *(f"{receiver.name}, lost" for receiver in receivers)]
    table = Table([*header, "exporter / bare loop", "<= 1.15", "Python / exporter", ">= 16 at 7, 20 at 50"])
    for joints, rate in cells:
        found = measure_cell(settings, receivers, joints, rate)
        section.raw += found
        table.rows.append(row(section, receivers, joints, rate, found, compared))
    return table


def measure_cell(settings, receivers, joints, rate):
    found = []
    for run in range(settings.runs):
        for receiver_type in receivers:
            result = measure_once(settings, receiver_type, joints, rate)
            found.append({"receiver": receiver_type.name, "joints": joints, "rate": rate, "run": run, **result})
            progress(
                f"cpu: {joints} joints, {rate}/s, {receiver_type.name}: "
                f"{result['cpu_seconds']:.3f} s, lost {percent(result['lost_share'])}"
            )
    return found


def measure_once(settings, receiver_type, joints, rate):
    domain_id = free_domain_id()
    load_options = {"rate": rate, "joints": joints, "depth": DEPTH, "wait_for_subscribers": 1}
    with receiver_type(settings.bench, domain_id) as receiver:
        receiver.wait_ready()
        with Load(settings.bench, domain_id, **load_options) as load:
            receiver.wait_for_messages()
            time.sleep(WARM_UP_SECONDS)
            cpu_seconds = cpu_seconds_per_message(receiver, settings.window_seconds) * MESSAGES
            load.end()
            sent = load.sent()
        counts = receiver.drained_counts()
        return {
            "cpu_seconds": cpu_seconds,
            "lost_share": 1 - counts.received / sent.messages,
            "sent": sent.messages,
            "sent_rate": sent.rate,
            "received": counts.received,
            "lost_by_sequence": counts.lost,
            "load_cpu_share": sent.cpu_seconds / sent.seconds,
        }


def cpu_seconds_per_message(receiver, window_seconds):
    """Asking for the counts costs CPU time itself, so it happens outside the window in which that is measured."""
    count_before, counted_before = receiver.counts().received, time.monotonic()
    cpu_before, cpu_read_before = receiver.cpu_seconds(), time.monotonic()
    time.sleep(window_seconds)
    cpu_after, cpu_read_after = receiver.cpu_seconds(), time.monotonic()
    count_after, counted_after = receiver.counts().received, time.monotonic()
    received_per_second = (count_after - count_before) / (counted_after - counted_before)
    return (cpu_after - cpu_before) / (cpu_read_after - cpu_read_before) / received_per_second


def row(section, receivers, joints, rate, found, compared):
    def medians(receiver, key):
        return median([result[key] for result in found if result["receiver"] == receiver.name])

    cells = [
        f"{number(medians(receiver, 'cpu_seconds'))}, {percent(medians(receiver, 'lost_share'))}"
        for receiver in receivers
    ]
    exporter, bare_loop = (medians(receiver, "cpu_seconds") for receiver in compared)
    times_bare_loop = ratio(exporter, bare_loop)
    times_cheaper = ratio(medians(PythonExporter, "cpu_seconds"), exporter)
    where = f"{compared[0].name}, {joints} joints at {rate}/s"
    python_bar = TIMES_CHEAPER_THAN_PYTHON_MIN.get(joints)
    return [
        joints,
        f"{rate:,}",
        *cells,
        number(times_bare_loop),
        section.at_most(f"{where}, times the bare loop", times_bare_loop, TIMES_BARE_LOOP_MAX),
        number(times_cheaper, 1),
        section.at_least(f"{where}, times cheaper than Python", times_cheaper, python_bar) if python_bar else "-",
    ]
