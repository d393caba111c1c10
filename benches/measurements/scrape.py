"""How long a large scrape takes while messages arrive, and how much memory joints take."""

import contextlib
import time
from dataclasses import dataclass

from measurements.settings import progress
from processes import Load, free_domain_id
from report import Section, Table, milliseconds, number, percentile

JOINTS = 10_000
ARRIVING_RATE = 1000
SCRAPES = 500
SCRAPES_QUICK = 50
# Whoever is slower than that is measured by fewer scrapes.
SECONDS_MAX = 30.0
# Between two scrapes, so that they meet the stream at any point of it.
PAUSE_SECONDS = 0.02
SETTLE_SECONDS = 2.0
DEPTH = 100

P99_SECONDS_MAX = 0.005
RSS_BYTES_MAX = {50: 40e6, 10_000: 60e6}
# The load sends what it says, or the measurement says nothing.
SENT_SHARE_MIN = 0.99


@dataclass(frozen=True)
class Variant:
    """What arrives while the scrapes go on."""

    name: str
    loads: tuple
    receivers: tuple
    is_judged: bool
    gzip: bool = False


ONE_LARGE = {"joints": JOINTS, "rate": 1}
MANY_SMALL = {"joints": 7, "rate": ARRIVING_RATE}
MANY_LARGE = {"joints": JOINTS, "rate": ARRIVING_RATE}
POSITIONS = ({**ONE_LARGE, "positions_only": True}, {**MANY_SMALL, "positions_only": True})
VARIANTS = (
    Variant(
        "20,000 series; 10,000 joints once a second and 7 of them 1,000 times",
        POSITIONS,
        ("exporter", "python"),
        is_judged=True,
    ),
    # As a Prometheus asks for it; what is waited for then is the compression of 2 MB.
    Variant(
        "20,000 series; the same, compressed",
        POSITIONS,
        ("exporter",),
        is_judged=False,
        gzip=True,
    ),
    Variant(
        "40,000 series; the same with velocity and effort",
        (ONE_LARGE, MANY_SMALL),
        ("exporter", "python"),
        is_judged=False,
    ),
    # Hundreds of megabytes per second: not every machine can do that, and no Python.
    Variant(
        "20,000 series; all 10,000 joints 1,000 times a second",
        ({**MANY_LARGE, "positions_only": True},),
        ("exporter",),
        is_judged=False,
    ),
)


def measure(settings):
    section = Section(f"A scrape of {JOINTS:,} joints while {ARRIVING_RATE:,} messages/s arrive")
    measure_latency(settings, section)
    measure_memory(settings, section)
    return section


def measure_latency(settings, section):
    section.notes.append(f"All scrapes of {settings.runs} interleaved runs together; lost: in the worst of them.")
    table = Table(
        ["what arrives", "receiver", "series", "MB", "p50 ms", "p99 ms", "max ms", "<= 5 ms", "lost", "0 lost", "load"]
    )
    section.tables.append(table)
    for variant in VARIANTS[:1] if settings.quick else VARIANTS:
        results = {receiver_type: [] for receiver_type in settings.receivers(*variant.receivers)}
        for run in range(settings.runs):
            for receiver_type, runs in results.items():
                progress(f"scrape: {variant.name}, {receiver_type.name}")
                runs.append(scrape_under_load(settings, receiver_type, variant))
                section.raw.append({"variant": variant.name, "receiver": receiver_type.name, "run": run, **runs[-1]})
        table.rows += [latency_row(section, *result, variant) for result in results.items()]


def scrape_under_load(settings, receiver_type, variant):
    domain_id = free_domain_id()
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(receiver_type(settings.bench, domain_id))
        receiver.wait_ready()
        loads = [
            stack.enter_context(Load(settings.bench, domain_id, depth=DEPTH, wait_for_subscribers=1, **options))
            for options in variant.loads
        ]
        wait_for_joint(receiver, JOINTS - 1)
        time.sleep(SETTLE_SECONDS)
        client = receiver.client.compressed() if variant.gzip else receiver.client
        stack.callback(client.close)
        latencies_seconds = scrape_repeatedly(client, SCRAPES_QUICK if settings.quick else SCRAPES)
        text = receiver.client.scrape()
        for load in loads:
            load.end()
        sent = [load.sent() for load in loads]
        received = receiver.drained_counts().received
    return {
        "latencies_seconds": latencies_seconds,
        "series": sum(line.startswith(b"ros_joint_") for line in text.split(b"\n")),
        "bytes": len(text),
        "lost": sum(one.messages for one in sent) - received,
        "sent_share": min(one.rate / load["rate"] for one, load in zip(sent, variant.loads)),
    }


def wait_for_joint(receiver, joint):
    label = f'joint_name="joint_{joint}"'.encode()
    receiver.wait_until(lambda: label in receiver.client.scrape(), 30, f"joint {joint}")


def scrape_repeatedly(client, scrapes):
    latencies_seconds = []
    end = time.monotonic() + SECONDS_MAX
    while len(latencies_seconds) < scrapes and time.monotonic() < end:
        time.sleep(PAUSE_SECONDS)
        began = time.perf_counter()
        client.fetch()
        latencies_seconds.append(time.perf_counter() - began)
    return latencies_seconds


def latency_row(section, receiver_type, runs, variant):
    latencies_seconds = [latency for run in runs for latency in run["latencies_seconds"]]
    p99_seconds = percentile(latencies_seconds, 99)
    lost = max(run["lost"] for run in runs)
    sent_share = min(run["sent_share"] for run in runs)
    is_judged = variant.is_judged and receiver_type.name == "exporter"
    if is_judged:
        section.at_least("share of the rate that the load held", sent_share, SENT_SHARE_MIN)
    return [
        variant.name,
        receiver_type.name,
        number(runs[0]["series"], 0),
        number(runs[0]["bytes"] / 1e6),
        milliseconds(percentile(latencies_seconds, 50)),
        milliseconds(p99_seconds),
        milliseconds(max(latencies_seconds)),
        section.at_most("p99 of a scrape, seconds", p99_seconds, P99_SECONDS_MAX) if is_judged else "-",
        number(lost, 0),
        section.at_most("messages lost", lost, 0) if is_judged else "-",
        "held the rate" if sent_share >= SENT_SHARE_MIN else f"sent {sent_share * 100:.0f} % of the rate",
    ]


def measure_memory(settings, section):
    table = Table(["joints", "receiver", "resident MB", "bar MB", "reached"])
    section.tables.append(table)
    for joints, bar_bytes in RSS_BYTES_MAX.items():
        for receiver_type in settings.receivers("exporter", "python"):
            progress(f"memory: {joints} joints, {receiver_type.name}")
            rss_bytes = resident_bytes(settings, receiver_type, joints)
            section.raw.append({"receiver": receiver_type.name, "joints": joints, "rss_bytes": rss_bytes})
            verdict = "-"
            if receiver_type.name == "exporter":
                verdict = section.at_most(f"resident bytes with {joints} joints", rss_bytes, bar_bytes)
            table.rows.append([joints, receiver_type.name, number(rss_bytes / 1e6, 1), bar_bytes / 1e6, verdict])


def resident_bytes(settings, receiver_type, joints):
    domain_id = free_domain_id()
    with receiver_type(settings.bench, domain_id) as receiver:
        receiver.wait_ready()
        with Load(settings.bench, domain_id, joints=joints, rate=10, wait_for_subscribers=1):
            wait_for_joint(receiver, joints - 1)
            for _ in range(20):
                time.sleep(SETTLE_SECONDS / 20)
                receiver.client.scrape()
            return receiver.rss_bytes()
