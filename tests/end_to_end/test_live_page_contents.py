"""Whatever the robots' names, however many there are: the live page shows them, to everybody."""

import json

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import String

from browser import Browser, Page
from live_page import chromium as chromium
from live_page import joint_card, live_page, needs_browser
from monitor import StartMonitor
from robot import Robot, repeatedly
from synchronizer import StartSynchronizer

pytestmark = needs_browser

MARKUP = "<img src=x onerror=\"document.title='taken'\">\"'"
TOPICS = [f"/topic_{number}" for number in range(98)]
JOINTS = [f"joint_{number:03}" for number in range(100)]
# WCAG 2.2, 1.4.3: relative luminances of the text and of what is behind it.
CONTRAST = """(element) => {
  const luminance = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = getComputedStyle(element.closest(".row")).backgroundColor;
  const [dark, light] = [luminance(getComputedStyle(element).color), luminance(ground)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}"""


def test_names_and_texts_of_others_are_shown_as_they_are(
    start_monitor: StartMonitor, robot: Robot, chromium: Browser
) -> None:
    monitor = start_monitor()
    joints = robot.talker("/joint_states")
    diagnostics = robot.talker("/diagnostics", message_type=DiagnosticArray)
    told_of_twin = {"state": MARKUP, "reference_topic": joints.topic, "twin_topic": MARKUP}
    values = [KeyValue(key=key, value=value) for key, value in told_of_twin.items()]
    status = DiagnosticStatus(name="x: synchronization", message=MARKUP, hardware_id=MARKUP, values=values)

    def tell() -> None:
        joints.publish([MARKUP], [1.0])
        diagnostics.publisher.publish(DiagnosticArray(status=[status]))

    with repeatedly(tell, 0.05):
        page = live_page(chromium, monitor)
        page.wait_until("document.querySelectorAll('.joint, .twin-state').length === 2", "joint and twin")
        page.wait_until("document.querySelector('.joint button').innerText !== ''", "the joint's name")
        assert page.evaluate("document.querySelector('.joint button').innerText") == MARKUP
        told = page.evaluate("document.querySelector('.twin-state').innerText")
        assert told.count(MARKUP) == 4, told
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.title") == "Live: monitoring_node"
    assert page.complaints == []


def test_a_hundred_topics_and_two_hundred_joints_are_all_there(
    start_monitor: StartMonitor, start_synchronizer: StartSynchronizer, robot: Robot, chromium: Browser
) -> None:
    monitor = start_monitor()
    start_synchronizer()
    talkers = [robot.talker(topic, message_type=String) for topic in TOPICS]
    reference, twin = robot.talker("/joint_states"), robot.talker("/twin/joint_states")

    def publish() -> None:
        for talker in talkers:
            talker.publisher.publish(String())
        for talker in (reference, twin):
            talker.publish(JOINTS, [0.5] * len(JOINTS))

    page = live_page(chromium, monitor)
    of_both = "[...document.querySelectorAll('.joint')].filter((card) => card.textContent.includes('twin')).length"
    with repeatedly(publish, 0.1):
        page.wait_until(f"{of_both} === {len(JOINTS)}", "the joints of both")
        shown = "[...document.querySelectorAll('#topics .row')].map((row) => row.dataset.topic)"
        wanted = json.dumps([*TOPICS, "/joint_states", "/twin/joint_states"])
        page.wait_until(f"((shown) => {wanted}.every((topic) => shown.includes(topic)))({shown})", "the topics")
    assert "too many to show" not in page.text()
    assert page.complaints == []


def test_joints_are_reached_by_keyboard_and_can_be_read_in_the_dark(
    start_monitor: StartMonitor, robot: Robot, chromium: Browser
) -> None:
    monitor = start_monitor()
    talker = robot.talker("/joint_states")
    page = live_page(chromium, monitor, features={"prefers-color-scheme": "dark"})
    with repeatedly(lambda: talker.publish(JOINTS[:3], [1.0] * 3), 0.05):
        page.wait_until("document.querySelectorAll('.joint').length === 3", "three joints")
        page.evaluate("document.querySelector('summary').focus()")
        for key, joint in (("Tab", 0), ("End", 2), ("ArrowLeft", 1), ("Home", 0)):
            page.press(key)
            assert focused_joint(page) == JOINTS[joint], key
        page.press("Enter")
        assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
        ground, text = (page.evaluate(f"getComputedStyle(document.body).{what}") for what in ("backgroundColor", "color"))
        assert (ground, text) == ("rgb(13, 17, 23)", "rgb(230, 237, 243)")
    card = joint_card("/joint_states", JOINTS[0])
    page.wait_until(f"{card}.classList.contains('is-old')", "joints that are told no more")
    for text in ("button", ".values", "figcaption"):
        assert page.evaluate(f"({CONTRAST})({card}.querySelector('{text}'))") >= 4.5, text
    assert page.evaluate(f"getComputedStyle({card}).opacity") == "1"
    assert page.complaints == []


def focused_joint(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('.joint')?.dataset.joint"))
