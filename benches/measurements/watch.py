"""Watching many topics: what it takes the watcher, what is lost, and what it costs the publisher that is watched.

Each run has one publishing process and one of the casts below, so the two costs come from the same runs.
"""

import contextlib
import time
from dataclasses import dataclass

from measurements.settings import progress
from processes import TopicLoad, free_domain_id, processors_used
from report import Section, Table, median, number, percent, ratio
from watchers import MonitoringNode, OrdinarySubscriber, PythonHz, R2rLoop

# Discovery of a hundred topics is over by then.
WARM_UP_SECONDS = 2.0
# The load sends what it says, or the measurement says nothing.
SENT_SHARE_MIN = 0.95
# Without a watcher and with it.
COMPARED = [((), (MonitoringNode,)), ((OrdinarySubscriber,), (OrdinarySubscriber, MonitoringNode))]


@dataclass(frozen=True)
class Stream:
    """What is published: messages of some topics, staggered."""

    name: str
    topic_count: int
    rate: int
    bytes: int
    is_judged: bool

    @property
    def topics(self):
        return [f"/topic_{index}" for index in range(self.topic_count)]

    @property
    def messages_per_second(self):
        return self.topic_count * self.rate


# The second is a camera, which best effort mostly loses: what watching it costs is asked nevertheless.
STREAMS = [
    Stream("100 topics, 100 Hz, 1 KiB", 100, 100, 1024, is_judged=True),
    Stream("1 topic, 30 Hz, 1 MiB", 1, 30, 1024 * 1024, is_judged=False),
]


def measure(settings):
    section = Section("Watching topics: monitoring_node")
    section.notes.append(
        f"Medians of {settings.runs} interleaved runs, {settings.window_seconds:g} s each, CPU time in µs per message: of "
        "a watcher per message that it received, of the publishing process per message that it sent."
    )
    watchers = settings.receivers("monitoring_node", "r2r", "python_hz")
    names = [f"{watcher.name}, lost" for watcher in watchers]
    watching = Table(
        [
            "messages",
            *names,
            "monitoring_node / r2r",
            "Python / monitoring_node",
            "least of the rate sent",
            "most lost in a run",
            "0 lost",
        ]
    )
    publishing = Table(["messages", "publisher has", "CPU", "and monitoring_node", "more", "times"])
    section.tables += [watching, publishing]
    for stream in STREAMS[:1] if settings.quick else STREAMS:
        found = measure_stream(settings, stream, casts(watchers))
        section.raw += found
        watching.rows.append(watching_row(section, stream, watchers, found))
        if MonitoringNode in watchers:
            publishing.rows += [publishing_row(stream, pair, found) for pair in COMPARED]
    return section


def casts(watchers):
    """Who listens, together: each watcher alone, and what else is compared with being watched."""
    alone = [(watcher,) for watcher in watchers]
    pairs = [cast for pair in COMPARED for cast in pair] if MonitoringNode in watchers else []
    return list(dict.fromkeys([*alone, *pairs]))


def measure_stream(settings, stream, all_casts):
    found = []
    for run in range(settings.runs):
        for cast in all_casts:
            result = {"stream": stream.name, "run": run, **measure_once(settings, stream, cast)}
            found.append(result)
            progress(f"watch: {stream.name}, {describe(result)}")
    return found


def measure_once(settings, stream, cast):
    domain_id = free_domain_id()
    options = {"rate": stream.rate, "bytes": stream.bytes, "wait_for_subscribers": len(cast)}
    with contextlib.ExitStack() as stack:
        receivers = [
            stack.enter_context(receiver_type(settings.bench, domain_id, stream.topics)) for receiver_type in cast
        ]
        for receiver in receivers:
            receiver.wait_ready()
        load = stack.enter_context(TopicLoad(settings.bench, domain_id, *stream.topics, **options))
        for receiver in receivers:
            receiver.wait_for_messages()
        time.sleep(WARM_UP_SECONDS)
        load_used, *receivers_used = processors_used([load, *receivers], settings.window_seconds)
        load.end()
        sent = load.sent()
        return {
            "publisher_us": load_used / sent.rate * 1e6,
            "sent": sent.messages,
            "sent_share": sent.rate / stream.messages_per_second,
            "late_seconds_max": sent.late_seconds_max,
            "receivers": [account(receiver, used, sent) for receiver, used in zip(receivers, receivers_used)],
        }


def account(receiver, processors, sent):
    counts = receiver.drained_counts()
    return {
        "name": receiver.name,
        "us": processors / (counts.received / sent.seconds) * 1e6,
        "lost": sent.messages - counts.received,
        "lost_share": 1 - counts.received / sent.messages,
        "lost_by_its_own_count": counts.lost,
    }


def describe(result):
    receivers = ", ".join(
        f"{receiver['name']} {number(receiver['us'])} µs, lost {receiver['lost']}" for receiver in result["receivers"]
    )
    return f"publisher {number(result['publisher_us'])} µs, {receivers or 'nobody'}"


def of_cast(found, cast):
    names = [receiver_type.name for receiver_type in cast]
    return [result for result in found if [receiver["name"] for receiver in result["receivers"]] == names]


def watching_row(section, stream, watchers, found):
    def values(watcher, key):
        return [result["receivers"][0][key] for result in of_cast(found, (watcher,))]

    def cost(watcher):
        return median(values(watcher, "us"))

    most_lost = max(values(MonitoringNode, "lost"), default=None)
    sent_share = min((result["sent_share"] for result in of_cast(found, (MonitoringNode,))), default=None)
    verdict = "-"
    if stream.is_judged:
        verdict = section.at_most("messages lost by monitoring_node", most_lost, 0)
        section.at_least("share of the rate that the load held", sent_share, SENT_SHARE_MIN)
    return [
        stream.name,
        *(f"{number(cost(watcher))}, {percent(median(values(watcher, 'lost_share')))}" for watcher in watchers),
        number(ratio(cost(MonitoringNode), cost(R2rLoop))),
        number(ratio(cost(PythonHz), cost(MonitoringNode)), 1),
        percent(sent_share),
        number(most_lost, 0),
        verdict,
    ]


def publishing_row(stream, pair, found):
    without, watched = (median([result["publisher_us"] for result in of_cast(found, cast)]) for cast in pair)
    return [
        stream.name,
        ", ".join(receiver_type.name for receiver_type in pair[0]) or "nobody",
        number(without),
        number(watched),
        number(watched - without),
        number(ratio(watched, without)),
    ]
