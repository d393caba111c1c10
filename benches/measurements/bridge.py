"""What comes to a client of unity_bridge_node, how late, and that one that stalls harms nobody."""

import contextlib
from dataclasses import dataclass, field

from bridges import UnityBridge, UnityClient
from interference import Interference
from measurements.settings import progress
from processes import Load, TopicLoad, free_domain_id, processors_used
from report import Section, Table, median, milliseconds, number, percent, ratio

RATES = (100, 500, 1000)
SECONDS = 20
SECONDS_QUICK = 3

# Of the publisher's history of joint states: it does not end while a receiver is held up for some milliseconds.
DEPTH = 100

# At the highest rate.
LATENCY_P99_SECONDS_MAX = 0.001
PROCESSORS_MAX = 0.1
STALLED_RATIO_MAX = 1.25
# The parameter max_queued_bytes, by default.
RSS_GROWTH_BYTES_MAX = 64 * 1024 * 1024
# The load sends what it says, or the measurement says nothing.
SENT_SHARE_MIN = 0.99


@dataclass(frozen=True)
class Stream:
    """Messages of one topic, at a steady rate."""

    name: str
    topic: str
    type_name: str
    load: type
    rate: int
    options: dict = field(hash=False)

    def start(self, bench, domain_id, subscribers):
        arguments = [self.topic] if self.load is TopicLoad else []
        options = {"rate": self.rate, "wait_for_subscribers": subscribers, **self.options}
        return self.load(bench, domain_id, *arguments, **options)


def joint_states(rate):
    options = {"topic": "/joint_states", "joints": 32, "depth": DEPTH}
    return Stream(f"32 joints, {rate:,} Hz", "/joint_states", "sensor_msgs/JointState", Load, rate, options)


IMAGES = Stream(
    "1280x720 rgb8, 30 Hz", "/camera/image_raw", "sensor_msgs/Image", TopicLoad, 30, {"raw_image": "1280x720"}
)


@dataclass(frozen=True)
class Neighbour:
    """Who is there beside the client whose latencies are measured."""

    name: str
    options: tuple = ()
    # What it follows; nothing: nobody is there.
    topics: tuple = ()
    # Beside whom the client fares as well, if the neighbour's stalling harms nobody; None: not judged.
    compared: str | None = None


STATES = joint_states(max(RATES))
NOBODY = "nobody"
READER = "one that reads, images too"
# Who follows images has the bridge receive them, in the middleware's thread that receives joint states too: the one that reads
# shows what that costs, and the one that stalls is not to cost more. So many images as the last one asks for would be 2.8 GB:
# there it is the limit on bytes that holds, of what waits in the bridge; the middleware's own copies come on top.
NEIGHBOURS = (
    Neighbour(NOBODY),
    Neighbour("one that stalls", ("--stall",), (STATES,), compared=NOBODY),
    Neighbour(READER, (), (STATES, IMAGES)),
    Neighbour("one that stalls, images too", ("--stall",), (STATES, IMAGES), compared=READER),
    Neighbour("one that stalls, queues of 1,000", ("--stall", "--queue-size", "1000"), (STATES, IMAGES)),
)


def measure(settings):
    seconds = SECONDS_QUICK if settings.quick else SECONDS
    section = Section(f"unity_bridge_node: from a publisher to a client, {seconds} s")
    section.notes.append(
        f"Medians of {settings.runs} interleaved runs, of losses, longest times and memory the worst. Latency is from the stamp, "
        "which is set just before publishing, to when the client has the whole frame. Python's own ROS-TCP-Endpoint is not "
        "measured here; of it p50 68 ms, p99 5,000 ms and 103 % CPU are reported, at 1,000 Hz."
    )
    section.notes.append(
        f"Below, a client of joint states at {max(RATES):,} Hz, and beside it nobody or one that has these, or the images too. "
        "Images are published in all cases."
    )
    section.tables.append(stream_table(section, settings, seconds))
    if settings.receivers("unity_bridge_node"):
        section.tables.append(neighbour_table(section, settings, seconds))
    return section


def stream_table(section, settings, seconds):
    bridges = settings.receivers("unity_bridge_node", "python_bridge")
    pairs = [(joint_states(rate), bridge) for rate in RATES for bridge in bridges]
    pairs += [(IMAGES, bridge) for bridge in bridges if bridge is UnityBridge]
    found = {pair: [] for pair in pairs}
    for run in range(settings.runs):
        for (stream, bridge), results in found.items():
            progress(f"bridge: {bridge.name}, {stream.name}, {seconds} s")
            results.append(pass_on(settings.bench, bridge, stream, seconds))
            section.raw.append({"stream": stream.name, "bridge": bridge.name, "run": run, **results[-1]})
    table = Table(
        [
            "messages",
            "bridge",
            "load held at least",
            "most lost",
            "before the bridge",
            "by its queues",
            "0 lost",
            "p50 ms",
            "p99 ms",
            "<= 1 ms",
            "max ms",
            "processors",
            "<= 0.1",
            "load late by up to ms",
            "processors stolen",
        ]
    )
    table.rows += [stream_row(section, *pair, results) for pair, results in found.items()]
    return table


def pass_on(bench, bridge_type, stream, seconds):
    interference = Interference()
    domain_id = free_domain_id()
    with contextlib.ExitStack() as stack:
        bridge = stack.enter_context(bridge_type(bench, domain_id))
        bridge.wait_ready()
        load = stack.enter_context(stream.start(bench, domain_id, subscribers=1))
        client = stack.enter_context(UnityClient(bench, domain_id, bridge, {stream.topic: stream.type_name}))
        client.wait_ready()
        result = watch(bridge, client, seconds)
        load.end()
        result |= account(load.sent(), stream, client)
        result["lost_before"], result["dropped"] = bridge.missing_counts()
    return {**result, "stolen": interference.processors()["stolen"]}


def watch(bridge, client, seconds):
    """What happens within the window, which begins when messages come."""
    client.wait_for_messages()
    # Latencies so far are not of the window.
    client.report()
    (processors,) = processors_used([bridge], seconds)
    report = client.report()
    return {"processors": processors, **{name: report[f"{name}_seconds"] for name in ("p50", "p99", "max")}}


def account(sent, stream, client):
    """What was lost in the whole run."""
    return {
        "sent_share": sent.rate / stream.rate,
        "late_seconds_max": sent.late_seconds_max,
        "lost": sent.messages - client.drained_counts().received,
    }


def values(results, key):
    return [result[key] for result in results]


def stream_row(section, stream, bridge, results):
    is_judged = bridge is UnityBridge
    is_fast = is_judged and stream.rate == max(RATES)
    lost, sent_share = max(values(results, "lost")), min(values(results, "sent_share"))
    p50, p99, processors = (median(values(results, key)) for key in ("p50", "p99", "processors"))
    if is_judged:
        section.at_least(f"share of the rate that the load held, {stream.name}", sent_share, SENT_SHARE_MIN)
    return [
        stream.name,
        bridge.name,
        percent(sent_share),
        number(lost, 0),
        *(worst(results, key) for key in ("lost_before", "dropped")),
        section.at_most(f"messages lost, {stream.name}", lost, 0) if is_judged else "-",
        milliseconds(p50),
        milliseconds(p99),
        section.at_most(f"p99 of the latency, {stream.name}", p99, LATENCY_P99_SECONDS_MAX) if is_fast else "-",
        milliseconds(max(values(results, "max"))),
        number(processors),
        section.at_most(f"processors, {stream.name}", processors, PROCESSORS_MAX) if is_fast else "-",
        milliseconds(max(values(results, "late_seconds_max")), 1),
        number(median(values(results, "stolen"))),
    ]


def worst(results, key):
    counts = values(results, key)
    return number(None if None in counts else max(counts), 0)


def neighbour_table(section, settings, seconds):
    found = {neighbour: [] for neighbour in NEIGHBOURS}
    for run in range(settings.runs):
        for neighbour, results in found.items():
            progress(f"bridge: beside {neighbour.name}, {seconds} s")
            results.append(have_neighbour(settings.bench, neighbour, seconds))
            section.raw.append({"neighbour": neighbour.name, "run": run, **results[-1]})
    table = Table(
        [
            "beside it",
            "most lost",
            "p50 ms",
            "p99 ms",
            "of each run",
            "/ beside nobody",
            "/ beside one that reads images",
            f"<= {STALLED_RATIO_MAX:g}",
            "max ms",
            "RSS of the bridge MB",
            "most growth MiB",
            f"<= {RSS_GROWTH_BYTES_MAX // 2**20}",
            "least held by a load",
            "processors",
            "processors stolen",
        ]
    )
    compared = {n.name: median(values(results, "p99")) for n, results in found.items() if n.name in (NOBODY, READER)}
    table.rows += [neighbour_row(section, neighbour, results, compared) for neighbour, results in found.items()]
    return table


def have_neighbour(bench, neighbour, seconds):
    """Joint states at the highest rate for one client, and for another what it follows."""
    interference = Interference()
    domain_id = free_domain_id()
    with contextlib.ExitStack() as stack:
        bridge = stack.enter_context(UnityBridge(bench, domain_id))
        bridge.wait_ready()
        subscribers = 1 + (STATES in neighbour.topics)
        load = stack.enter_context(STATES.start(bench, domain_id, subscribers))
        stack.enter_context(IMAGES.start(bench, domain_id, subscribers=int(IMAGES in neighbour.topics)))
        client = stack.enter_context(UnityClient(bench, domain_id, bridge, {STATES.topic: STATES.type_name}))
        client.wait_ready()
        rss_bytes = bridge.rss_bytes()
        if neighbour.topics:
            topics = {stream.topic: stream.type_name for stream in neighbour.topics}
            other = stack.enter_context(UnityClient(bench, domain_id, bridge, topics, *neighbour.options))
            other.wait_ready()
        result = watch(bridge, client, seconds)
        result |= {"rss_bytes": rss_bytes, "rss_growth_bytes": bridge.rss_bytes_max() - rss_bytes}
        load.end()
        result |= account(load.sent(), STATES, client)
        result["lost_before"], result["dropped"] = bridge.missing_counts()
    return {**result, "stolen": interference.processors()["stolen"]}


def neighbour_row(section, neighbour, results, compared):
    p99, growth_bytes = median(values(results, "p99")), max(values(results, "rss_growth_bytes"))
    verdicts = ["-", "-"]
    if neighbour.compared:
        times = ratio(p99, compared[neighbour.compared])
        verdicts = [
            section.at_most(f"p99 beside {neighbour.name} / beside {neighbour.compared}", times, STALLED_RATIO_MAX),
            section.at_most(f"growth of resident memory, {neighbour.name}", growth_bytes, RSS_GROWTH_BYTES_MAX),
        ]
    return [
        neighbour.name,
        number(max(values(results, "lost")), 0),
        milliseconds(median(values(results, "p50"))),
        milliseconds(p99),
        ", ".join(milliseconds(each) for each in values(results, "p99")),
        *(number(ratio(p99, compared[name])) for name in (NOBODY, READER)),
        verdicts[0],
        milliseconds(max(values(results, "max"))),
        number(median(values(results, "rss_bytes")) / 1e6, 1),
        number(growth_bytes / 2**20, 1),
        verdicts[1],
        percent(min(values(results, "sent_share"))),
        number(median(values(results, "processors"))),
        number(median(values(results, "stolen"))),
    ]
