"""A real Prometheus server that scrapes the exporter."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from server import Server
from web import Address, request

needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")

# Of most tests: things should be seen soon.
SCRAPE_INTERVAL = "200ms"


class Prometheus(Server):
    """The server, with one job, or with several by their names."""

    def __init__(
        self,
        directory: Path,
        scrape_config: Mapping[str, Any] | None = None,
        rules: str = "",
        *,
        interval: str = SCRAPE_INTERVAL,
        jobs: Mapping[str, Mapping[str, Any]] | None = None,
        alertmanagers: Sequence[Address] = (),
    ) -> None:
        told = [str(address) for address in alertmanagers]
        config = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": told}]}]},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {"job_name": name, **job} for name, job in (jobs or {"robot": scrape_config or {}}).items()
            ],
        }
        (directory / "rules.yml").write_text(rules)
        # JSON is YAML too.
        (directory / "prometheus.yml").write_text(json.dumps(config))
        command = [
            shutil.which("prometheus") or "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            "--web.listen-address=127.0.0.1:0",
        ]
        super().__init__(directory, command)

    def __enter__(self) -> "Prometheus":
        self.start()
        return self

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
        return "\n".join(target["lastError"] for target in self._active_targets())

    def targets(self) -> set[str]:
        """The URLs that it scrapes."""
        return {target["scrapeUrl"] for target in self._active_targets()}

    def _active_targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("targets")["activeTargets"]
        return found
