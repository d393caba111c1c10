"""make screenshots: pictures of the live page for docs/, light and dark, of the demo's robot and twin.

Takes a minute, which is what the page looks back on. One topic is expected that nobody publishes, so that the pictures
show how a fault looks.
"""

import base64
import sys
from pathlib import Path

from demo import ROBOT, SYNCHRONIZER, SYNCHRONIZER_PARAMETERS, TWIN
from processes import RELEASE, ROOT, DemoError, Processes, asked_to_end, block_end_signals, environment

sys.path.append(str(ROOT / "tests" / "end_to_end"))
from browser import PROGRAM, Browser, Page, browser, is_there
from ports import free_ports

MONITOR = [str(RELEASE / "monitoring_node")]
MONITOR_PARAMETERS = ["--ros-args", "-p", "topics./scan.rate:=10.0"]
WINDOW_S = 60.0
WIDTH, HEIGHT = 1200, 1000
SCHEMES = ("light", "dark")


def start_all(processes: Processes, monitor_port: int, synchronizer_port: int) -> None:
    for name, program, port, parameters in (
        ("monitoring node", MONITOR, monitor_port, MONITOR_PARAMETERS),
        ("synchronization node", SYNCHRONIZER, synchronizer_port, SYNCHRONIZER_PARAMETERS),
    ):
        processes.start(name, [*program, "--web.listen-address", f"127.0.0.1:{port}", *parameters])
    processes.start("twin", TWIN)
    processes.start("robot", ROBOT)


def open_page(chromium: Browser, port: int, scheme: str) -> Page:
    page = chromium.open(
        f"http://127.0.0.1:{port}/live", width=WIDTH, height=HEIGHT, features={"prefers-color-scheme": scheme}
    )
    page.wait_until(
        "document.querySelector('.joint') !== null && document.querySelector('.twin-state') !== null",
        "a robot and its twin",
    )
    return page


def take(page: Page, path: Path) -> None:
    path.write_bytes(base64.b64decode(page.call("Page.captureScreenshot", {"format": "png"})["data"]))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def run() -> None:
    if not is_there():
        raise DemoError(f"there is no {PROGRAM}: scripts/install-test-tools.sh gets it where apt has it")
    monitor_port, synchronizer_port = free_ports(2)
    with Processes(environment()) as processes, browser() as chromium:
        start_all(processes, monitor_port, synchronizer_port)
        pages = {scheme: open_page(chromium, monitor_port, scheme) for scheme in SCHEMES}
        if asked_to_end(WINDOW_S):
            return
        processes.check_alive()
        for scheme, page in pages.items():
            take(page, ROOT / "docs" / f"live_{scheme}.png")


def main() -> int:
    block_end_signals()
    try:
        run()
    except (DemoError, AssertionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
