"""A headless Chromium, told what to do by the Chrome DevTools Protocol over a pair of pipes: no port is opened."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any

from waiting import TIMEOUT_S, wait_until

PROGRAM = "chromium-headless-shell"

FLAGS = [
    "--remote-debugging-pipe",
    # Tests run as root too, and on machines without user namespaces; what is opened is our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "about:blank",
]

KEY_CODES = {
    "ArrowDown": 40,
    "ArrowLeft": 37,
    "ArrowRight": 39,
    "ArrowUp": 38,
    "End": 35,
    "Enter": 13,
    "Escape": 27,
    "Home": 36,
    "Tab": 9,
}


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


class Browser:
    """A running Chromium. Its pages are closed with it."""

    def __init__(self, profile: str) -> None:
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()
        # The protocol's pipes are the descriptors 3 and 4.
        shell = f'exec "$0" "$@" 3<&{command_end} 4>&{answer_end}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, PROGRAM, f"--user-data-dir={profile}", *FLAGS],
            pass_fds=(command_end, answer_end),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_end)
        os.close(answer_end)
        self._next_id = 0
        self._results: dict[int, Queue[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._reader = threading.Thread(target=self._read, name="browser")
        self._reader.start()

    def open(self, url: str, *, width: int = 1280, height: int = 900, features: dict[str, str] | None = None) -> "Page":
        """Opens a page; `features` are what media queries ask for, such as `prefers-color-scheme`."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Audits"):
            page.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", size)
        media = [{"name": name, "value": value} for name, value in (features or {}).items()]
        page.call("Emulation.setEmulatedMedia", {"features": media})
        page.call("Page.navigate", {"url": url})
        return page

    def call(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        self._next_id += 1
        number = self._next_id
        result: Queue[dict[str, Any]] = Queue()
        self._results[number] = result
        command = {"id": number, "method": method, "params": parameters or {}}
        if session:
            command["sessionId"] = session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        try:
            answer = result.get(timeout=TIMEOUT_S)
        except Empty:
            raise AssertionError(f"the browser does not answer {method}") from None
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    def _read(self) -> None:
        rest = b""
        while read := os.read(self._answers, 1 << 16):
            *messages, rest = (rest + read).split(b"\0")
            for message in messages:
                self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._results.pop(message["id"]).put(message)
        elif page := self._pages.get(message.get("sessionId", "")):
            page.take(message["method"], message["params"])

    def close(self) -> None:
        # Without commands it ends by itself.
        os.close(self._commands)
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        os.close(self._answers)


@dataclass
class Page:
    """One page, and what it complained of: scripts that failed, what its security policy kept it from."""

    browser: Browser
    session: str
    target: str
    complaints: list[str] = field(default_factory=list)

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.browser.call(method, parameters, self.session)

    def take(self, method: str, event: dict[str, Any]) -> None:
        is_error = (
            (method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning"))
            or method in ("Runtime.exceptionThrown", "Audits.issueAdded")
            or (method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"))
        )
        if is_error:
            self.complaints.append(json.dumps(event)[:2000])

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_until(self, expression: str, what: str, *, timeout_s: float = TIMEOUT_S) -> Any:
        """Waits until an expression is truthy; returns its value."""
        return wait_until(
            lambda: self.evaluate(expression),
            what,
            timeout_s=timeout_s,
            details=lambda: self.text() + str(self.complaints),
        )

    def text(self) -> str:
        return str(self.evaluate("document.body.innerText"))

    def press(self, key: str) -> None:
        code = KEY_CODES.get(key)
        event: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code or ord(key.upper())}
        event["text"] = "\r" if key == "Enter" else key if len(key) == 1 else ""
        self.call("Input.dispatchKeyEvent", {"type": "keyDown", **event})
        self.call("Input.dispatchKeyEvent", {"type": "keyUp", **event, "text": ""})

    def type(self, text: str) -> None:
        self.call("Input.insertText", {"text": text})

    def close(self) -> None:
        self.browser.call("Target.closeTarget", {"targetId": self.target})


@contextmanager
def browser() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        running = Browser(profile)
        try:
            yield running
        finally:
            running.close()
