"""Who looks at the live page is told when it is not live, and why, and finds the node again."""

from browser import Browser
from live_page import chromium as chromium
from live_page import live_page, needs_browser, topic_row
from monitor import StartMonitor
from ports import free_ports
from proxy import proxy
from robot import Robot
from synchronizer import StartSynchronizer
from waiting import TIMEOUT_S
from web import request

pytestmark = needs_browser

SCAN = topic_row("/scan")


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


def test_a_connection_that_dies_without_a_word_is_made_anew(start_monitor: StartMonitor, chromium: Browser) -> None:
    monitor = start_monitor()
    with proxy(monitor.address) as between:
        page = live_page(chromium, monitor, through=between.address)
        between.fall_silent()
        page.wait_until("document.body.dataset.connection === 'lost'", "the loss is told")
        assert page.evaluate("document.getElementById('data-age').textContent").endswith(" ago; no events come)")
        # Chromium first tries the connections that it has kept of loading the page, up to five, which are dead as well.
        page.wait_until("document.body.dataset.connection === 'live'", "events come again", timeout_s=2 * TIMEOUT_S)
        assert page.complaints == []
        page.close()


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
