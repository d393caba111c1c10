""".github/workflows/pipeline.yml, as far as it can be told without GitHub."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from program import REPOSITORY
from waiting import TIMEOUT_S

JOBS: dict[str, dict[str, Any]] = yaml.safe_load((REPOSITORY / ".github/workflows/pipeline.yml").read_text())["jobs"]

REPORT = "github/codeql-action/upload-sarif@"
REPORTING = [name for name, job in JOBS.items() if any(REPORT in step.get("uses", "") for step in job.get("steps", ()))]


@pytest.mark.parametrize("name", REPORTING)
def test_who_hands_in_a_report_may_do_so_in_a_private_repository(name: str) -> None:
    needed = {"actions": "read", "contents": "read", "security-events": "write"}
    assert needed.items() <= JOBS[name]["permissions"].items()


@pytest.mark.parametrize("options", ["", "--no-health-check --timeout 20m"])
def test_options_of_the_environment_reach_the_deployment(options: str, tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "deploy.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    script.chmod(0o755)
    (step,) = [step for step in JOBS["deploy"]["steps"] if step.get("id") == "deploy"]
    assert step["env"]["MORE"] == "${{ vars.DEPLOY_OPTIONS }}"
    told = {"RELEASE": "twin", "NAMESPACE": "there", "VALUES": "a b.yaml", "NODES": "n", "PHYSICS": "p", "SIMULATION": "s"}
    done = subprocess.run(
        # As GitHub runs it.
        ["bash", "--noprofile", "--norc", "-e", "-c", step["run"]],
        env={"PATH": "/usr/bin:/bin", "MORE": options, **told},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    images = ["--set", "images.nodes=n", "--set", "images.physics=p", "--set", "images.simulation=s"]
    expected = ["--release", "twin", "--namespace", "there", "--values", "a b.yaml", *options.split(), *images]
    assert done.stdout.splitlines() == expected


def test_health_is_asked_by_the_deployment_alone() -> None:
    """It knows what the account may look at, and whether it is wanted."""
    runs = [step["run"] for step in JOBS["deploy"]["steps"] if "run" in step]
    assert not any("health_check --" in run for run in runs)
