"""The live page of monitoring_node in a browser: what its tests share."""

from collections.abc import Iterator

import pytest

from browser import PROGRAM, Browser, Page, browser, is_there
from monitor import Monitor
from web import Address

needs_browser = pytest.mark.skipif(not is_there(), reason=f"no {PROGRAM}: scripts/install-test-tools.sh gets it")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


def live_page(
    chromium: Browser, monitor: Monitor, *, through: Address | None = None, features: dict[str, str] | None = None
) -> Page:
    """The page once events come, perhaps through something between it and the node."""
    page = chromium.open(f"http://{through or monitor.address}/live", features=features)
    page.wait_until("document.body?.dataset.connection === 'live'", "events come")
    return page


def topic_row(topic: str) -> str:
    return f"""document.querySelector('#topics [data-topic="{topic}"]')"""


def joint_card(topic: str, joint: str) -> str:
    return f"""document.querySelector('[data-topic="{topic}"] [data-joint="{joint}"]')"""
