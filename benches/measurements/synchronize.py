"""synchronization_node at its highest rate: nothing is lost, and neither ticks nor services keep anybody waiting.

The messages and the ticks are paced by the same clock, so in each run they meet at one phase: what a message waits for
the next tick is anything from nothing to a whole tick, and much the same throughout the run.
"""

import contextlib
import time
from dataclasses import dataclass

from histogram import Histogram
from interference import Interference
from measurements.settings import progress
from processes import BenchError, Load, ServiceLoad, SynchronizationNode, free_domain_id, processors_used
from report import Section, Table, median, milliseconds, number, percent
from scrape_client import sample_sum

JOINTS = 32
RATE = 1000
DEPTH = 100
TOPICS = ("/joint_states", "/twin/joint_states")
SECONDS = 60
SECONDS_QUICK = 5
# By then the windows of the longest statistics, 10 s, are full.
SETTLE_SECONDS = 12.0
# Answered by the ticking thread as all services are, and changes nothing: statistics that were reset all the time would
# never have enough samples to be taken.
SERVICE = "/synchronization_node/clear_fault"
# Not a divisor of any period in here, so that requests meet the ticks at any point.
SERVICE_RATE = 97

# Beside one tick, which a message waits for at most.
ADDED_LATENCY_P99_SECONDS_MAX = 0.002
OVERRUN_SHARE_MAX = 0.001
SERVICE_P99_SECONDS_MAX = 0.002
# About 1 % of what it has. A leak of the least that malloc gives, 32 bytes, at each tick or message of 60 s is four times
# that and more; below it are the error with which the kernel may count the pages of a process, 128 KiB for each processor
# (percpu_counter), and what the middleware takes for the longest queue that it has had so far.
RSS_GROWTH_BYTES_MAX = 512 * 1024
# The load sends what it says, or the measurement says nothing.
SENT_SHARE_MIN = 0.99


@dataclass(frozen=True)
class Pace:
    """How often the node ticks."""

    update_rate: float
    is_judged: bool

    @property
    def added_latency_max(self):
        return ADDED_LATENCY_P99_SECONDS_MAX + 1 / self.update_rate


# The highest that the node takes, and its default.
PACES = (Pace(1000.0, is_judged=True), Pace(100.0, is_judged=False))


@dataclass(frozen=True)
class Reading:
    """What the node says of itself at one moment."""

    ticks: float
    overruns: float
    durations: Histogram
    added_latencies: Histogram

    @classmethod
    def of(cls, node):
        text = node.client.scrape()
        return cls(
            ticks=sample_sum(text, "ros_twin_ticks_total"),
            overruns=sample_sum(text, "ros_twin_tick_overruns_total"),
            durations=Histogram.read(text, "ros_twin_tick_duration_seconds"),
            added_latencies=Histogram.read(text, "ros_twin_added_latency_seconds"),
        )


def measure(settings):
    seconds = SECONDS_QUICK if settings.quick else SECONDS
    section = Section(f"synchronization_node: {RATE:,} messages/s of {JOINTS} joints, and as many of a twin, for {seconds} s")
    section.notes.append(
        f"Medians of {settings.runs} interleaved runs, and the worst of them. Added latency is interpolated between the "
        "limits of the histogram's bucket that it is in. "
        f"Meanwhile a native client asks {SERVICE} {SERVICE_RATE} times a second."
    )
    found = {pace: [] for pace in PACES}
    for run in range(settings.runs):
        for pace, results in found.items():
            progress(f"synchronize: update_rate {pace.update_rate:g}, {seconds} s")
            results.append(measure_once(settings, pace, seconds))
            section.raw.append({"update_rate": pace.update_rate, "run": run, **results[-1]})
    section.tables += [table(section, found) for table in (tick_table, account_table, service_table)]
    return section


def measure_once(settings, pace, seconds):
    interference = Interference()
    bench, domain_id = settings.bench, free_domain_id()
    with contextlib.ExitStack() as stack:
        update_rate = ["--ros-args", "-p", f"update_rate:={pace.update_rate}"]
        node = stack.enter_context(SynchronizationNode(bench, domain_id, *update_rate))
        node.wait_ready()
        options = {"joints": JOINTS, "rate": RATE, "depth": DEPTH, "wait_for_subscribers": 1}
        loads = [stack.enter_context(Load(bench, domain_id, topic=topic, **options)) for topic in TOPICS]
        services = stack.enter_context(ServiceLoad(bench, domain_id, SERVICE, SERVICE_RATE))
        services.wait_ready()
        node.wait_for_messages()
        time.sleep(SETTLE_SECONDS)
        result = watch(node, services, seconds)
        for load in loads:
            load.end()
        result |= account(node, [load.sent() for load in loads])
    return {**result, "stolen": interference.processors()["stolen"]}


def watch(node, services, seconds):
    """What happens within the window; what is asked of the node for that is asked outside it."""
    # What was asked so far is not of the window.
    services.report()
    before, rss_bytes = Reading.of(node), node.rss_bytes()
    (processors,) = processors_used([node], seconds)
    rss_growth_bytes = node.rss_bytes() - rss_bytes
    after, services = Reading.of(node), services.report()
    ticks, overruns = after.ticks - before.ticks, after.overruns - before.overruns
    return {
        "processors": processors,
        "rss_bytes": rss_bytes,
        "rss_growth_bytes": rss_growth_bytes,
        "overrun_share": overruns / (ticks + overruns),
        **quantiles("duration", after.durations.since(before.durations)),
        **quantiles("added_latency", after.added_latencies.since(before.added_latencies)),
        **{f"service_{name}": value for name, value in services.items()},
    }


def quantiles(name, histogram):
    p50, p99 = (histogram.quantile(share) for share in (0.5, 0.99))
    if p99 is None:
        raise BenchError(f"no {name} was observed within the window")
    return {
        f"{name}_p50_seconds": p50.value,
        f"{name}_p99_seconds": p99.value,
        f"{name}_p99_bucket_seconds": (p99.low, p99.high),
    }


def account(node, sent):
    """What was lost in the whole run: of what was sent, and by the node's own count."""
    counts = node.drained_counts()
    rejected = sample_sum(node.client.scrape(), "ros_messages_rejected_total") or 0
    return {
        "sent_share": min(one.rate for one in sent) / RATE,
        "late_seconds_max": max(one.late_seconds_max for one in sent),
        # What this machine has any loop at that rate leave out: the load's own, in the same time, which only publishes.
        "load_overrun_share": sum(one.passed for one in sent) / sum(one.messages for one in sent),
        "lost": sum(one.messages for one in sent) - counts.received,
        # A message that was received and found no room to wait for a tick is rejected.
        "lost_by_its_own_count": counts.lost + int(rejected),
    }


def median_of(results, key):
    return median([result[key] for result in results])


def worst_of(results, key):
    return max((result[key] for result in results if result[key] is not None), default=None)


def both(results, key, show):
    return f"{show(median_of(results, key))}, {show(worst_of(results, key))}"


def microseconds(seconds):
    return number(seconds * 1e6, 0)


def kibibytes(size):
    return number(size / 1024, 0)


def at_most(section, pace, what, value, bar):
    return section.at_most(f"{what} at update_rate {pace.update_rate:g}", value, bar) if pace.is_judged else "-"


def tick_table(section, found):
    table = Table(
        [
            "ticks/s",
            "added latency p50 ms",
            "p99 ms",
            "its buckets, ms",
            "<= 1 tick + 2 ms",
            "overruns",
            "<= 0.1 %",
            "tick p50 µs",
            "p99 µs",
            "processors",
        ]
    )
    table.rows += [tick_row(section, pace, results) for pace, results in found.items()]
    return table


def tick_row(section, pace, results):
    p99_seconds = median_of(results, "added_latency_p99_seconds")
    overrun_share = median_of(results, "overrun_share")
    return [
        number(pace.update_rate, 0),
        both(results, "added_latency_p50_seconds", milliseconds),
        both(results, "added_latency_p99_seconds", milliseconds),
        buckets(results, "added_latency_p99_bucket_seconds"),
        at_most(section, pace, "p99 of the added latency, seconds", p99_seconds, pace.added_latency_max),
        both(results, "overrun_share", percent),
        at_most(section, pace, "share of ticks left out", overrun_share, OVERRUN_SHARE_MAX),
        both(results, "duration_p50_seconds", microseconds),
        both(results, "duration_p99_seconds", microseconds),
        number(median_of(results, "processors")),
    ]


def buckets(results, key):
    """The buckets that a quantile is in, each once."""
    limits = sorted({result[key] for result in results})
    return ", ".join(f"{low * 1e3:g} to {high * 1e3:g}" for low, high in limits)


def account_table(section, found):
    table = Table(
        [
            "ticks/s",
            "load held at least",
            "most lost",
            "by its own count",
            "0 lost",
            "load late by up to ms",
            "the load's own overruns",
            "RSS MB",
            "most growth KiB",
            f"<= {kibibytes(RSS_GROWTH_BYTES_MAX)}",
            "processors stolen",
        ]
    )
    table.rows += [account_row(section, pace, results) for pace, results in found.items()]
    return table


def account_row(section, pace, results):
    sent_share = min(result["sent_share"] for result in results)
    lost, lost_by_its_own_count = (worst_of(results, key) for key in ("lost", "lost_by_its_own_count"))
    growth_bytes = worst_of(results, "rss_growth_bytes")
    if pace.is_judged:
        section.at_least("share of the rate that the load held", sent_share, SENT_SHARE_MIN)
    return [
        number(pace.update_rate, 0),
        percent(sent_share),
        number(lost, 0),
        number(lost_by_its_own_count, 0),
        at_most(section, pace, "messages lost", max(lost, lost_by_its_own_count), 0),
        milliseconds(worst_of(results, "late_seconds_max"), 1),
        both(results, "load_overrun_share", percent),
        number(median_of(results, "rss_bytes") / 1e6, 1),
        kibibytes(growth_bytes),
        at_most(section, pace, "growth of resident memory, bytes", growth_bytes, RSS_GROWTH_BYTES_MAX),
        both(results, "stolen", number),
    ]


def service_table(section, found):
    table = Table(["ticks/s", "requests", "most unanswered", "0", "p50 ms", "p99 ms", "<= 2 ms", "max ms"])
    table.rows += [service_row(section, pace, results) for pace, results in found.items()]
    return table


def service_row(section, pace, results):
    unanswered = max(result["service_asked"] - result["service_answered"] for result in results)
    p99_seconds = median_of(results, "service_p99_seconds")
    return [
        number(pace.update_rate, 0),
        number(median_of(results, "service_asked"), 0),
        number(unanswered, 0),
        at_most(section, pace, "requests unanswered", unanswered, 0),
        both(results, "service_p50_seconds", milliseconds),
        both(results, "service_p99_seconds", milliseconds),
        at_most(section, pace, "p99 of a service, seconds", p99_seconds, SERVICE_P99_SECONDS_MAX),
        milliseconds(worst_of(results, "service_max_seconds")),
    ]
