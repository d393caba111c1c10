"""The live page of monitoring_node in a real browser: it shows what happens, and says so when it cannot."""

import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from browser import PROGRAM, Browser, Page, browser, is_there
from monitor import Monitor, StartMonitor
from ports import free_ports
from robot import Robot, repeatedly
from synchronizer import StartSynchronizer
from web import request

pytestmark = pytest.mark.skipif(not is_there(), reason=f"no {PROGRAM}: scripts/install-test-tools.sh gets it")

JOINTS = ["elbow", "wrist"]
SCAN = """document.querySelector('#topics [data-topic="/scan"]')"""
ELBOW = """document.querySelector('[data-topic="/joint_states"] [data-joint="elbow"]')"""
# Lines, not the ground that they stand on.
IS_DRAWN = """(card, what) => {
  const plot = card.querySelector(`[data-part="${what}-plot"]`);
  // Of a copy, since Chromium complains of a canvas that is drawn and read in turns.
  const copy = Object.assign(document.createElement("canvas"), { width: plot.width / 2, height: plot.height - 3 });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(plot, -plot.width / 2, 0);
  return context.getImageData(0, 0, copy.width, copy.height).data.some((value) => value !== 0);
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


def live_page(chromium: Browser, monitor: Monitor) -> Page:
    page = chromium.open(f"http://{monitor.address}/live")
    page.wait_until("document.body?.dataset.connection === 'live'", "events come")
    return page


def test_a_topic_that_stops_turns_stale_with_the_reason(
    start_monitor: StartMonitor, robot: Robot, chromium: Browser
) -> None:
    monitor = start_monitor(parameters={"topics./scan.stale_after": 0.5, "topics./scan.grace": 0.0})
    page = live_page(chromium, monitor)
    page.wait_until(f"{SCAN}?.dataset.status === 'no_publisher'", "/scan is missed")
    scanner = robot.talker("/scan")
    with repeatedly(lambda: scanner.publish([]), 0.05):
        page.wait_until(
            f"{SCAN}.dataset.status === 'ok' && {SCAN}.innerText.includes('Hz')", "/scan is ok, with its rate"
        )
    page.wait_until(f"{SCAN}.dataset.status === 'stale'", "/scan is stale")
    assert "■ stale" in page.evaluate(f"{SCAN}.innerText").replace("\xa0", " ")
    page.wait_until(f"/no message for [1-9][.\\d]* s, which is more than 0.5 s/.test({SCAN}.innerText)", "the reason")
    told = page.evaluate("document.getElementById('announcements').textContent")
    assert told.startswith("/scan: stale, no message for"), told
    assert page.complaints == []


def test_joints_are_drawn_beside_those_of_their_twin(
    start_monitor: StartMonitor, start_synchronizer: StartSynchronizer, robot: Robot, chromium: Browser
) -> None:
    monitor = start_monitor()
    start_synchronizer()
    reference, twin = robot.talker("/joint_states"), robot.talker("/twin/joint_states")
    count = itertools.count()

    def move() -> None:
        angle = math.sin(next(count) / 20)
        for talker in (reference, twin):
            talker.publish(JOINTS, [angle, angle], [1.0, 1.0])

    page = live_page(chromium, monitor)
    with ExitStack() as moving:
        moving.enter_context(repeatedly(move, 0.02))
        page.wait_until(f"{ELBOW}?.innerText.includes('twin')", "the elbow of both")
        page.evaluate(f"{ELBOW}.scrollIntoView()")
        for what in ("position", "velocity"):
            page.wait_until(f"({IS_DRAWN})({ELBOW}, '{what}')", f"a line of {what}")
        page.wait_until("document.querySelector('.twin-state')?.dataset.state === 'SYNCED'", "the state of the twin")
    page.wait_until(f"{ELBOW}.classList.contains('is-old')", "joints that are told no more")
    page.wait_until("document.querySelector('.twin-state').dataset.state === 'LOST'", "the state of the twin")
    assert "LOST" in page.text()
    assert page.complaints == []


def test_the_page_is_used_by_keyboard(start_monitor: StartMonitor, robot: Robot, chromium: Browser) -> None:
    monitor = start_monitor()
    for topic in ("/scan", "/odom", "/map"):
        robot.talker(topic)
    page = live_page(chromium, monitor)
    shown = (
        "[...document.querySelectorAll('#topics .row')].filter((row) => !row.hidden).map((row) => row.dataset.topic)"
    )
    page.wait_until(f"{shown}.length >= 3", "all topics")
    page.press("/")
    assert page.evaluate("document.activeElement.id") == "filter"
    page.type("scan silent")
    page.wait_until(f"{shown}.join() === '/scan'", "one topic")
    page.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.topic") == "/scan"
    page.press("Enter")
    assert "sensor_msgs/msg/JointState" in page.evaluate("document.querySelector('.details').innerText")
    page.press("Escape")
    page.wait_until(f"{shown}.length >= 3", "all topics again")
    page.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.topic") != "/scan"
    page.press("Enter")
    page.press("Enter")
    assert page.evaluate("document.querySelectorAll('.details').length") == 1
    assert page.complaints == []


def test_a_lost_connection_is_told_and_found_again(
    start_monitor: StartMonitor, robot: Robot, chromium: Browser
) -> None:
    listen = f"--web.listen-address=127.0.0.1:{free_ports(1)[0]}"
    monitor = start_monitor(listen)
    robot.talker("/scan")
    page = live_page(chromium, monitor)
    page.wait_until(f"{SCAN}?.dataset.status === 'silent'", "/scan is known")
    monitor.end()
    page.wait_until("document.body.dataset.connection === 'lost'", "the loss is told")
    header = page.wait_until("/as of (\\d\\.\\d) s ago/.test(document.querySelector('header').innerText)", "its age")
    assert header and "nothing here is live" in page.text()
    start_monitor(listen)
    page.wait_until("document.body.dataset.connection === 'live'", "events come again")


def test_who_is_too_many_is_told_so(start_monitor: StartMonitor, chromium: Browser) -> None:
    monitor = start_monitor("--web.live-clients=1")
    page = live_page(chromium, monitor)
    assert page.evaluate("document.querySelector('h1').textContent") == "monitoring_node live"
    refused = request(monitor.address, "/live/events")
    assert (refused.status, refused.text) == (503, "too many follow the live page already\n")
    second = chromium.open(f"http://{monitor.address}/live")
    second.wait_until("document.body?.innerText.includes('503: too many follow the live page already')", "the reason")
    page.close()
    second.wait_until("document.body.dataset.connection === 'live'", "a place that is free again")
    rejected = monitor.scrape().get("digital_twin_http_requests_rejected_total", reason="max_live_clients")
    assert rejected and rejected >= 2


def test_other_nodes_link_to_it(start_synchronizer: StartSynchronizer, start_monitor: StartMonitor) -> None:
    assert '<a href="/live">Live</a>' in start_monitor().get("/").text
    assert '<a href="http://127.0.0.1:8002/live">Live</a>' in start_synchronizer().get("/").text
    without = start_monitor("--web.live-clients=0", "--web.live-url=")
    assert without.get("/live").status == 404
    assert "Live" not in without.get("/").text
