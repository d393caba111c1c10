"""From publish to visible in a scrape: the load sends its clock as a joint's position, and we scrape without a pause.

What is measured includes the scrape that shows the value, as it does for a Prometheus. One host, so one clock.
"""

import time

from measurements.settings import progress
from processes import Load, free_domain_id
from report import Section, Table, milliseconds, percentile

JOINTS = 50
# Not a divisor of any period in here, and slow enough for the slowest receiver to show every message.
RATE = 23
SECONDS = 20.0
SECONDS_QUICK = 3.0

P99_SECONDS_MAX = 0.001

POSITION = b"\nros_joint_position{"
FIRST_JOINT = b'joint_name="joint_0"'


def measure(settings):
    section = Section(f"From publish to visible in a scrape, {JOINTS} joints")
    samples = {receiver_type: [] for receiver_type in settings.receivers("exporter", "python")}
    for run in range(settings.runs):
        for receiver_type, latencies_seconds in samples.items():
            found = measure_once(settings, receiver_type)
            latencies_seconds += found
            section.raw.append({"receiver": receiver_type.name, "run": run, "latencies_seconds": found})
            progress(f"latency: {receiver_type.name}: p50 {milliseconds(percentile(found, 50))} ms")
    table = Table(["receiver", "messages", "p50 ms", "p99 ms", "max ms", "p99 <= 1 ms"])
    section.tables.append(table)
    for receiver_type, latencies_seconds in samples.items():
        table.rows.append(row(section, receiver_type, latencies_seconds))
    return section


def measure_once(settings, receiver_type):
    domain_id = free_domain_id()
    options = {"joints": JOINTS, "rate": RATE, "wait_for_subscribers": 1, "time_as_first_position": True}
    with receiver_type(settings.bench, domain_id) as receiver:
        receiver.wait_ready()
        with Load(settings.bench, domain_id, **options):
            receiver.wait_for_messages()
            return watch(receiver, SECONDS_QUICK if settings.quick else SECONDS)


def watch(receiver, seconds):
    latencies_seconds = []
    shown = first_position(receiver.client.scrape())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = receiver.client.scrape()
        arrived = time.time()
        published = first_position(text)
        if published != shown:
            latencies_seconds.append(arrived - published)
            shown = published
    return latencies_seconds


def first_position(text):
    """The value of the position whose labels name the first joint, without reading the rest."""
    start = 0
    while (start := text.find(POSITION, start)) >= 0:
        end = text.index(b"\n", start + 1)
        if text.find(FIRST_JOINT, start, end) >= 0:
            return float(text[text.rindex(b" ", start, end) : end])
        start = end
    return None


def row(section, receiver_type, latencies_seconds):
    p99_seconds = percentile(latencies_seconds, 99)
    return [
        receiver_type.name,
        len(latencies_seconds),
        milliseconds(percentile(latencies_seconds, 50)),
        milliseconds(p99_seconds),
        milliseconds(max(latencies_seconds)),
        section.at_most("p99, seconds", p99_seconds, P99_SECONDS_MAX) if receiver_type.name == "exporter" else "-",
    ]
