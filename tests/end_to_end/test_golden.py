"""One scrape as a whole, compared with the one that was agreed on.

`pytest --update-golden` writes it anew; the difference then goes through review like any other.
"""

import difflib
import re
from pathlib import Path

import pytest

from exporter import TOPIC, StartExporter
from robot import Robot, time_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "scrape.txt"

ROBOT_TOPIC = "/robot1/joint_states"

# Numbers that depend on the machine or the moment. What is left of a histogram of times is its count.
VOLATILE = re.compile(r"(process_|digital_twin_|\w+_seconds(_sum|_bucket)?[ {])")
VALUE = re.compile(r" \S+$")
VOLATILE_LABEL = re.compile(r'\b(version|middleware|ros_distro|take_in)="[^"]*"')


def masked(text: str) -> str:
    return "".join(f"{masked_line(line)}\n" for line in text.splitlines())


def masked_line(line: str) -> str:
    if line.startswith("#") or not VOLATILE.match(line):
        return line
    return VALUE.sub(" <volatile>", VOLATILE_LABEL.sub(r'\1="<volatile>"', line))


def agreed_scrape(start_exporter: StartExporter, robot: Robot) -> str:
    """A scrape after a few messages that show most of what an exporter can say."""
    exporter = start_exporter(parameters={"topics": [TOPIC, ROBOT_TOPIC]})
    talker, other = robot.talker(TOPIC), robot.talker(ROBOT_TOPIC)
    exporter.wait_until_matched(talker, other)

    talker.publish(["shoulder", "elbow"], [0.5, -1.25], [2.0, 3.0], [10.0, 1e-9], stamp=time_of(10**18))
    other.publish(["elbow", 'a "quoted"\nname \\'], [float("inf"), float("nan")], [1e21], stamp=time_of(0))
    exporter.wait_for_messages(1, TOPIC)
    exporter.wait_for_messages(1, ROBOT_TOPIC)
    other.publish(["twin", "twin", "", "elbow"], [1.0, 2.0, 3.0, 4.0], stamp=time_of(0))
    exporter.wait_for_messages(2, ROBOT_TOPIC)
    other.publish_bytes(b"\0\1\0\0")
    exporter.scrape_until(lambda scrape: scrape.rejected(ROBOT_TOPIC).get("truncated"), "the truncated message")
    return exporter.scrape().text


def test_the_scrape_is_the_agreed_one(
    start_exporter: StartExporter, robot: Robot, request: pytest.FixtureRequest
) -> None:
    seen = masked(agreed_scrape(start_exporter, robot))

    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(seen)
    agreed = GOLDEN.read_text() if GOLDEN.is_file() else ""
    difference = difflib.unified_diff(agreed.splitlines(), seen.splitlines(), "agreed", "seen", lineterm="")
    assert seen == agreed, "pytest --update-golden accepts this:\n" + "\n".join(difference)
