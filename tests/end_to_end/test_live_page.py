"""The live page of monitoring_node in a real browser shows what happens."""

import itertools
import math
from contextlib import ExitStack

from sensor_msgs.msg import JointState

from browser import Browser
from live_page import chromium as chromium
from live_page import joint_card, live_page, needs_browser, topic_row
from monitor import StartMonitor
from robot import Robot, repeatedly
from synchronizer import StartSynchronizer

pytestmark = needs_browser

JOINTS = ["elbow", "wrist"]
SCAN, GOAL = topic_row("/scan"), topic_row("/goal")
ELBOW = joint_card("/joint_states", "elbow")
# Lines, not the ground that they stand on.
IS_DRAWN = """(card, what) => {
  const plot = card.querySelector(`[data-part="${what}-plot"]`);
  // Of a copy, since Chromium complains of a canvas that is drawn and read in turns.
  const copy = Object.assign(document.createElement("canvas"), { width: plot.width / 2, height: plot.height - 3 });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(plot, -plot.width / 2, 0);
  return context.getImageData(0, 0, copy.width, copy.height).data.some((value) => value !== 0);
}"""


def test_a_topic_that_stops_turns_stale_with_the_reason(
    start_monitor: StartMonitor, robot: Robot, chromium: Browser
) -> None:
    monitor = start_monitor(parameters={"topics./scan.stale_after": 0.5, "grace": 0.0})
    robot.listen(JointState, "/goal", lambda _: None)
    page = live_page(chromium, monitor)
    page.wait_until(f"{SCAN}?.dataset.status === 'no_publisher'", "/scan is missed")
    page.wait_until(f"{GOAL}?.dataset.status === 'no_publisher'", "/goal has a subscription alone")
    levels = page.evaluate(f"[{SCAN}.dataset.level, {GOAL}.dataset.level]")
    assert levels == ["bad", "gone"], "nobody expects /goal"
    assert page.evaluate("document.getElementById('topics-count').innerText").endswith(", 1 not as they should be")
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
    assert page.evaluate("document.activeElement.closest('.row').dataset.topic") == "/scan"
    page.press("Enter")
    assert "sensor_msgs/msg/JointState" in page.evaluate("document.querySelector('.details').innerText")
    page.press("Escape")
    page.wait_until(f"{shown}.length >= 3", "all topics again")
    page.press("ArrowUp")
    assert page.evaluate("document.activeElement.closest('.row').dataset.topic") != "/scan"
    page.press("Enter")
    page.press("Enter")
    assert page.evaluate("document.querySelectorAll('.details').length") == 1
    assert page.complaints == []
