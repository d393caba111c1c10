"""How soon metrics are there: after a start with a publisher up, and after a restart of either side or both."""

import contextlib
import signal
import time

from measurements.settings import progress
from processes import FIRST_MESSAGE_SECONDS, READY_SECONDS, Load, free_domain_id, free_port
from report import Section, Table, milliseconds, percentile

STARTS = 20
STARTS_QUICK = 2
RESTARTS = 5
RESTARTS_QUICK = 1
LOAD = {"joints": 50, "rate": 100}
# Between the two sides of a restart.
PAUSE_SECONDS = 0.5
# A publisher that has been up for a while announces itself in this period (the DDS default); starts and restarts are
# spread over it, so that waiting for the next announcement shows as it would in the field.
ANNOUNCEMENT_SECONDS = 3.0
SETTLE_SECONDS = 1.0
JOINT = b"\nros_joint_position{"

FIRST_SCRAPE_SECONDS_MAX = 0.1
FIRST_JOINT_SECONDS_MAX = 0.3
RESTART_SECONDS_MAX = 2.0


def measure(settings):
    section = Section("Start and restart")
    measure_starts(settings, section)
    measure_restarts(settings, section)
    return section


def measure_starts(settings, section):
    table = Table(["from start to", "receiver", "p50 ms", "p99 ms", "max ms", "bar ms", "max reached it", "over it"])
    section.tables.append(table)
    starts = STARTS_QUICK if settings.quick else STARTS
    for receiver_type in settings.receivers("exporter", "python"):
        found = [time_start(settings, receiver_type, up_seconds) for up_seconds in spread(starts)]
        section.raw.append({"receiver": receiver_type.name, "starts": found})
        for key, what, bar_seconds in (
            ("scrape_seconds", "the first good scrape", FIRST_SCRAPE_SECONDS_MAX),
            ("joint_seconds", "the first joint", FIRST_JOINT_SECONDS_MAX),
        ):
            seconds = [start[key] for start in found]
            table.rows.append(start_row(section, receiver_type, what, seconds, bar_seconds))


def spread(count):
    """That many waits, evenly over a period of announcements."""
    return [SETTLE_SECONDS + ANNOUNCEMENT_SECONDS * index / count for index in range(count)]


def time_start(settings, receiver_type, publisher_up_seconds):
    domain_id = free_domain_id()
    with Load(settings.bench, domain_id, **LOAD):
        time.sleep(publisher_up_seconds)
        with receiver_type(settings.bench, domain_id) as receiver:
            receiver.wait_ready()
            scrape_seconds = time.monotonic() - receiver.spawned
            receiver.wait_until(lambda: JOINT in receiver.client.scrape(), FIRST_MESSAGE_SECONDS, "joint")
            joint_seconds = time.monotonic() - receiver.spawned
    progress(
        f"start: {receiver_type.name}: scrape {milliseconds(scrape_seconds, 0)} ms, "
        f"joint {milliseconds(joint_seconds, 0)} ms"
    )
    return {"scrape_seconds": scrape_seconds, "joint_seconds": joint_seconds}


def start_row(section, receiver_type, what, seconds, bar_seconds):
    over = sorted(value for value in seconds if value > bar_seconds)
    is_judged = receiver_type.name == "exporter"
    return [
        what,
        receiver_type.name,
        milliseconds(percentile(seconds, 50), 0),
        milliseconds(percentile(seconds, 99), 0),
        milliseconds(max(seconds), 0),
        milliseconds(bar_seconds, 0),
        section.at_most(f"{what}, seconds", max(seconds), bar_seconds) if is_judged else "-",
        ", ".join(milliseconds(value, 0) for value in over) or "none",
    ]


class Pair:
    """A receiver and a publisher that can be restarted apart from each other."""

    def __init__(self, settings, receiver_type, stack):
        self.bench = settings.bench
        self.receiver_type = receiver_type
        self.stack = stack
        self.domain_id = free_domain_id()
        self.port = free_port()
        self.publisher = None
        self.receiver = None

    def start_publisher(self):
        self.publisher = self.stack.enter_context(Load(self.bench, self.domain_id, **LOAD))

    def start_receiver(self):
        receiver = self.receiver_type(self.bench, self.domain_id, port=self.port)
        self.receiver = self.stack.enter_context(receiver)

    def received(self):
        text = self.receiver.client.try_scrape()
        return 0 if text is None else self.receiver.counts().received

    def wait_for_flow(self, more_than):
        self.receiver.wait_until(lambda: self.received() > more_than, READY_SECONDS, "message after the restart")


def restart_publisher(pair, how):
    pair.publisher.end(how)
    time.sleep(PAUSE_SECONDS)
    received = pair.received()
    pair.start_publisher()
    return pair.publisher.spawned, received


def restart_receiver(pair, how):
    pair.receiver.end(how)
    pair.start_receiver()
    return pair.receiver.spawned, 0


def restart_both_publisher_first(pair, how):
    pair.publisher.end(how)
    pair.receiver.end(how)
    pair.start_publisher()
    time.sleep(PAUSE_SECONDS)
    pair.start_receiver()
    return pair.receiver.spawned, 0


def restart_both_receiver_first(pair, how):
    pair.receiver.end(how)
    pair.publisher.end(how)
    pair.start_receiver()
    time.sleep(PAUSE_SECONDS)
    pair.start_publisher()
    return pair.publisher.spawned, 0


RESTART_KINDS = {
    "publisher": restart_publisher,
    "exporter": restart_receiver,
    "both, publisher first": restart_both_publisher_first,
    "both, exporter first": restart_both_receiver_first,
}


def measure_restarts(settings, section):
    table = Table(["restart of", "ended by", "receiver", "p50 ms", "max ms", "max <= 2 s"])
    section.tables.append(table)
    for receiver_type in settings.receivers("exporter", "python"):
        for how in (signal.SIGTERM, signal.SIGKILL):
            for kind, restart in RESTART_KINDS.items():
                seconds = time_restarts(settings, receiver_type, restart, how)
                progress(f"restart: {receiver_type.name}: {kind}, {how.name}: {milliseconds(max(seconds), 0)} ms")
                section.raw.append(
                    {"receiver": receiver_type.name, "restart": kind, "signal": how.name, "seconds": seconds}
                )
                table.rows.append(restart_row(section, receiver_type, kind, how, seconds))


def time_restarts(settings, receiver_type, restart, how):
    seconds = []
    with contextlib.ExitStack() as stack:
        pair = Pair(settings, receiver_type, stack)
        pair.start_publisher()
        pair.start_receiver()
        pair.wait_for_flow(0)
        for up_seconds in spread(RESTARTS_QUICK if settings.quick else RESTARTS):
            time.sleep(up_seconds)
            restarted, received = restart(pair, how)
            pair.wait_for_flow(received)
            seconds.append(time.monotonic() - restarted)
    return seconds


def restart_row(section, receiver_type, kind, how, seconds):
    is_judged = receiver_type.name == "exporter"
    return [
        kind,
        how.name,
        receiver_type.name,
        milliseconds(percentile(seconds, 50), 0),
        milliseconds(max(seconds), 0),
        section.at_most(f"restart of {kind} by {how.name}, seconds", max(seconds), RESTART_SECONDS_MAX)
        if is_judged
        else "-",
    ]
