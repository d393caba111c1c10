"""health_check, run to its end."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from program import RELEASE
from waiting import TIMEOUT_S

PROGRAM = RELEASE / "health_check"

EXIT_HEALTHY = 0
EXIT_UNHEALTHY = 1

# Of one line: check, object, status.
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Health:
    """What it said."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[Row]:
        return [(found["check"], found["object"], found["status"]) for found in json.loads(self.stdout)["findings"]]

    def detail(self, check: str, name: str | None = None) -> str:
        """Of the one finding of the check, or of the one whose object ends so."""
        details = [
            found["detail"]
            for found in json.loads(self.stdout)["findings"]
            if found["check"] == check and found["object"].endswith(name or "")
        ]
        assert len(details) == 1, self.stdout
        return str(details[0])


def check_health(*arguments: object, environment: Mapping[str, str] | None = None, as_json: bool = True) -> Health:
    command = [str(PROGRAM), *map(str, arguments), *(["--json"] if as_json else [])]
    ended = subprocess.run(
        command,
        env={**os.environ, "HOME": "/nonexistent", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return Health(ended.returncode, ended.stdout, ended.stderr)
