"""A real Alertmanager, alone, and what it knows."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from program import REPOSITORY
from server import Server
from web import request

CONFIGURATION = REPOSITORY / "deploy" / "monitoring" / "alertmanager" / "alertmanager.yml"

needs_alertmanager = pytest.mark.skipif(not shutil.which("alertmanager"), reason="alertmanager is not installed")


class Alertmanager(Server):
    """The server with this configuration."""

    def __init__(self, directory: Path, configuration: str) -> None:
        (directory / "alertmanager.yml").write_text(configuration)
        command = [
            shutil.which("alertmanager") or "alertmanager",
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'alertmanager'}",
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
        ]
        super().__init__(directory, command)

    def __enter__(self) -> "Alertmanager":
        self.start()
        return self

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        headers = {"Content-Type": "application/json"}
        body = json.dumps(alerts).encode()
        response = request(self.address, "/api/v2/alerts", method="POST", headers=headers, body=body)
        assert response.status == 200, response

    def alerts(self) -> list[dict[str, Any]]:
        """Those that fire, also the silent ones."""
        response = request(self.address, "/api/v2/alerts")
        assert response.status == 200, response
        found: list[dict[str, Any]] = json.loads(response.body)
        return found
