"""Whom Alertmanager notifies: a web hook in the place of every receiver."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import yaml

from waiting import wait_until

Alert = dict[str, Any]


class Receivers:
    """Keeps what each receiver was told, for the time of a `with` block."""

    def __init__(self) -> None:
        self._told: list[tuple[str, Alert]] = []
        told = self._told

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.extend((self.path[1:], alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receivers")

    def __enter__(self) -> "Receivers":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def configured(self, configuration: str) -> str:
        """The configuration with these receivers, and soon: routes, grouping and inhibition are as they were."""
        config = yaml.safe_load(configuration)
        url = f"http://127.0.0.1:{self._server.server_port}"
        for receiver in config["receivers"]:
            receiver["webhook_configs"] = [{"url": f"{url}/{receiver['name']}"}]
        for route in (config["route"], *config["route"]["routes"]):
            route.update({"group_wait": "0s", "group_interval": "200ms"})
        return yaml.safe_dump(config)

    def names(self) -> set[str]:
        """Of all alerts that somebody was told of."""
        return {alert["labels"]["alertname"] for _, alert in self._told}

    def wait_for(self, receiver: str, status: str, labels: Mapping[str, str]) -> Alert:
        """The last that this receiver was told of an alert with these labels, once it is of this status."""

        def last() -> Alert | None:
            alerts = [alert for to, alert in self._told if to == receiver and labels.items() <= alert["labels"].items()]
            return alerts[-1] if alerts and alerts[-1]["status"] == status else None

        return wait_until(last, f"{receiver} is told that {labels} is {status}", details=lambda: f"{self._told}")
