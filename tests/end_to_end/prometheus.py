"""A real Prometheus server that scrapes the exporter."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest

from waiting import wait_until
from web import Address, request

needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")

# Of most tests: things should be seen soon.
SCRAPE_INTERVAL = "200ms"


class Prometheus:
    """The server as a process, with its data in a directory of the test."""

    def __init__(
        self, directory: Path, scrape_config: dict[str, Any], rules: str = "", interval: str = SCRAPE_INTERVAL
    ) -> None:
        self._directory = directory
        self._log_path = directory / "prometheus.log"
        config = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "robot", **scrape_config}],
        }
        (directory / "rules.yml").write_text(rules)
        # JSON is YAML too.
        (directory / "prometheus.yml").write_text(json.dumps(config))

    def __enter__(self) -> "Prometheus":
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                [
                    shutil.which("prometheus") or "prometheus",
                    f"--config.file={self._directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._directory / 'tsdb'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stdout=log,
                stderr=log,
            )
        self.address = wait_until(self._find_address, "Prometheus listens", details=self.log)
        wait_until(lambda: request(self.address, "/-/ready").status == 200, "Prometheus is ready", details=self.log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        return self._log_path.read_text(errors="backslashreplace")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query: a list of {metric, value}."""
        result: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return result

    def query_range(self, expression: str, seconds: float, step: str) -> list[dict[str, Any]]:
        """The result of a query over the seconds before now: a list of {metric, values}."""
        now = time.time()
        asked = {"query": expression, "start": str(now - seconds), "end": str(now), "step": step}
        result: list[dict[str, Any]] = self.ask("query_range", **asked)["result"]
        return result

    def label_values(self, label: str, series: str) -> list[str]:
        """The values that the label has in these series."""
        values: list[str] = self.ask(f"label/{label}/values", **{"match[]": series})
        return values

    def ask(self, endpoint: str, **parameters: str) -> Any:
        """The data that the API answers with."""
        response = request(self.address, f"/api/v1/{endpoint}?" + urlencode(parameters))
        assert response.status == 200, (parameters, response)
        return json.loads(response.body)["data"]

    def values(self, expression: str, label: str) -> dict[str, float]:
        """The values of an instant query by one of its labels."""
        return {sample["metric"][label]: float(sample["value"][1]) for sample in self.query(expression)}

    def last_error(self) -> str:
        """Why Prometheus did not like the last scrape."""
        response = request(self.address, "/api/v1/targets")
        return "\n".join(target["lastError"] for target in json.loads(response.body)["data"]["activeTargets"])

    def _find_address(self) -> Address | None:
        assert self._process.poll() is None, f"Prometheus ended:\n{self.log()}"
        for connection in psutil.Process(self._process.pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return Address(connection.laddr.ip, connection.laddr.port)
        return None
