"""The live page of monitoring_node in a browser: whether it stutters, and what it costs the node that somebody looks."""

import contextlib
import http.client
import sys
import time
from pathlib import Path

from measurements.settings import progress
from processes import BenchError, Load, SynchronizationNode, TopicLoad, free_domain_id, processors_used
from report import Section, Table, median, milliseconds, number, percentile
from scrape_client import TIMEOUT_SECONDS
from watchers import MonitoringNode

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "end_to_end"))
from browser import PROGRAM, browser, is_there

TOPICS = [f"/topic_{index}" for index in range(98)]
TOPIC_RATE = 20
TOPIC_BYTES = 256
# The robot's and the twin's, as synchronization_node has them by default; with them there are a hundred topics.
JOINT_TOPICS = ("/joint_states", "/twin/joint_states")
JOINTS = 100
JOINT_RATE = 100
# The page looks back on a minute: until then it has less to draw.
FILL_SECONDS = 60
FILL_SECONDS_QUICK = 5
RECORD_SECONDS = 20
RECORD_SECONDS_QUICK = 5
EVENTS = 10
# What people see as a stutter; a frame of a screen of 60 Hz takes 16.7 ms.
FRAME_GAP_P99_SECONDS_MAX = 0.1
# Where the page is scrolled to: its head with the topics, and its joints with the plots.
VIEWS = {"topics": "scrollTo(0, 0)", "joints": "document.getElementById('joints').scrollIntoView()"}
IS_FULL = (
    f"document.querySelectorAll('#topics .row').length >= {len(TOPICS) + len(JOINT_TOPICS)} && "
    f"document.querySelectorAll('.joint').length >= {JOINTS}"
)
RECORD = """seconds => new Promise((resolve) => {
  const [gaps, tasks] = [[], []];
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)));
  observer.observe({ entryTypes: ["longtask"] });
  let before = performance.now();
  const until = before + 1000 * seconds;
  requestAnimationFrame(function look(now) {
    if (now > before) gaps.push(now - before);
    before = now;
    if (now < until) return requestAnimationFrame(look);
    observer.disconnect();
    resolve({ gaps, tasks });
  });
})"""


def measure(settings):
    section = Section("The live page")
    if not is_there():
        section.notes.append(f"Not measured: there is no {PROGRAM}, which scripts/install-test-tools.sh gets.")
        return section
    fill, record = (FILL_SECONDS, RECORD_SECONDS) if not settings.quick else (FILL_SECONDS_QUICK, RECORD_SECONDS_QUICK)
    section.notes.append(
        f"{len(TOPICS)} topics at {TOPIC_RATE} Hz and {len(JOINT_TOPICS)} of {JOINTS} joints at {JOINT_RATE} Hz, which a "
        f"synchronization_node follows; {settings.runs} runs of {record} s for each part of the page, open for {fill} s before, in a "
        "headless Chromium without a GPU: the time from one frame to the next, and tasks of more than 50 ms."
    )
    for run in range(settings.runs):
        found = measure_once(settings, fill, record)
        section.raw.append({"run": run, **found})
        progress(f"live: {describe(found)}")
    section.tables += [frame_table(section), cost_table(section)]
    return section


def measure_once(settings, fill_seconds, record_seconds):
    bench, domain_id = settings.bench, free_domain_id()
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(MonitoringNode(bench, domain_id, TOPICS))
        followers = [node, stack.enter_context(SynchronizationNode(bench, domain_id))]
        for follower in followers:
            follower.wait_ready()
        stack.enter_context(
            TopicLoad(bench, domain_id, *TOPICS, rate=TOPIC_RATE, bytes=TOPIC_BYTES, wait_for_subscribers=1)
        )
        for topic in JOINT_TOPICS:
            options = {"joints": JOINTS, "rate": JOINT_RATE, "wait_for_subscribers": len(followers)}
            stack.enter_context(Load(bench, domain_id, topic=topic, **options))
        for follower in followers:
            follower.wait_for_messages()
        chromium = stack.enter_context(browser())
        page = chromium.open(f"http://{address_of(node)}/live")
        page.wait_until(IS_FULL, "all topics and joints")
        time.sleep(fill_seconds)
        views = {name: record(page, node, view, record_seconds) for name, view in VIEWS.items()}
        if page.complaints:
            raise BenchError(f"the live page complains: {page.complaints[0]}")
        size = event_bytes(node)
        page.close()
        time.sleep(settings.window_seconds)
        (unseen,) = processors_used([node], record_seconds)
        return {"unseen_processors": unseen, "event_bytes": size, "views": views}


def record(page, node, view, seconds):
    """What happens while this part of the page is looked at."""
    page.evaluate(view)
    cpu_seconds = node.cpu_seconds()
    recorded = page.evaluate(f"({RECORD})({seconds})")
    gaps = [gap / 1e3 for gap in recorded["gaps"]]
    return {
        "frames": len(gaps),
        "gap_p50_seconds": percentile(gaps, 50),
        "gap_p99_seconds": percentile(gaps, 99),
        "gap_max_seconds": max(gaps),
        "long_tasks_seconds": [task / 1e3 for task in recorded["tasks"]],
        "processors": (node.cpu_seconds() - cpu_seconds) / sum(gaps),
    }


def address_of(node):
    host, port = node.client.address
    return f"{host}:{port}"


def event_bytes(node):
    """The mean length of an event as it is sent."""
    connection = http.client.HTTPConnection(address_of(node), timeout=TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/live/events")
        answer = connection.getresponse()
        # An event is a line, and an empty one after it.
        return sum(len(answer.readline()) for _ in range(2 * EVENTS)) / EVENTS


def describe(found):
    views = (
        f"{name}: frames p99 {milliseconds(view['gap_p99_seconds'])} ms, {len(view['long_tasks_seconds'])} long tasks"
        for name, view in found["views"].items()
    )
    return "; ".join(views)


def frame_table(section):
    table = Table(["in view", "frames/run", "p50 ms", "p99 ms", "max ms", "p99 <= 100 ms", "long tasks", "longest ms"])
    for name in VIEWS:
        views = [found["views"][name] for found in section.raw]
        p50, p99 = (median(view[f"gap_{share}_seconds"] for view in views) for share in ("p50", "p99"))
        tasks = [task for view in views for task in view["long_tasks_seconds"]]
        table.rows.append(
            [
                name,
                number(median(view["frames"] for view in views), 0),
                milliseconds(p50),
                milliseconds(p99),
                milliseconds(max(view["gap_max_seconds"] for view in views)),
                section.at_most(f"p99 of the time between frames, {name} in view, seconds", p99, FRAME_GAP_P99_SECONDS_MAX),
                len(tasks),
                milliseconds(max(tasks, default=None)),
            ]
        )
    return table


def cost_table(section):
    table = Table(["processors of monitoring_node", "with the page open", "kB of an event"])
    seen = [view["processors"] for found in section.raw for view in found["views"].values()]
    unseen, size = (median(found[key] for found in section.raw) for key in ("unseen_processors", "event_bytes"))
    table.rows.append([number(unseen, 3), number(median(seen), 3), number(size / 1e3, 1)])
    return table
