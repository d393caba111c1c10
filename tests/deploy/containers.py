"""Containers of the images, each in a host of network.py, restricted as docker/compose.yaml restricts them and started
again as it says."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosted import OnHost
from network import Host
from stand_in import POLICY, run
from waiting import wait_until

# Before each line of a log of podman's.
LOG_PREFIX = re.compile(r"^\S+ std(?:out|err) [FP] ", re.MULTILINE)


@dataclass(frozen=True)
class Service:
    """A service of compose.yaml that is to run on a host."""

    host: Host
    name: str
    content: Mapping[str, Any]
    # Of all its lives.
    log: Path

    def command(self) -> list[str]:
        return [
            "podman",
            "run",
            f"--name={self.name}",
            f"--restart={self.content['restart']}",
            "--attach=stdin",
            "--log-driver=k8s-file",
            f"--log-opt=path={self.log}",
            "--pull=never",
            f"--network=ns:/proc/{self.host.process_id}/ns/net",
            "--no-hosts",
            *self.restrictions(),
            *(f"--env={name}={value}" for name, value in self.content["environment"].items()),
            self.content["image"],
            *self.content["command"],
        ]

    def restrictions(self) -> list[str]:
        content = self.content
        return [
            f"--user={content['user']}",
            f"--read-only={str(content['read_only']).lower()}",
            "--read-only-tmpfs=false",
            *(f"--cap-drop={capability}" for capability in content["cap_drop"]),
            *(f"--security-opt={option.partition(':')[0]}" for option in content["security_opt"]),
            *(f"--tmpfs={mount}" for mount in content["tmpfs"]),
            f"--memory={content['mem_limit']}",
            f"--cpus={content['cpus']}",
            f"--pids-limit={content['pids_limit']}",
        ]


class Container(OnHost):
    """A service that runs. The program that is its process here is podman, which waits for its end."""

    def __init__(self, service: Service, domain_id: int, stderr_path: Path, port: int) -> None:
        super().__init__(service, domain_id, stderr_path, port)
        self._service = service
        self._kills = 0

    @property
    def name(self) -> str:
        return self._service.name

    @property
    def stderr(self) -> str:
        log = self._service.log
        lives = log.read_text(errors="backslashreplace") if log.exists() else ""
        return super().stderr + LOG_PREFIX.sub("", lives)

    @property
    def url(self) -> str:
        """For the others."""
        return f"http://{self._host.address}:{self._port}"

    def main_process_id(self) -> int:
        """0 while there is none."""
        return int(self._inspect("State.Pid"))

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs one more program in the container."""
        podman = ["podman", "exec", self.name, *command]
        return subprocess.run(podman, capture_output=True, text=True, timeout=30.0)

    def is_healthy(self) -> bool:
        """Whether the health check that compose.yaml has passes."""
        return self.execute(*health_command(self._service.content)).returncode == 0

    def kill_until_it_runs_again(self) -> None:
        """Kills the main process, as the kernel does where memory is short."""
        killed = self.main_process_id()
        self._kills += 1
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: self.main_process_id() not in (0, killed), f"{self.name} runs again")
        self._attach_anew()

    def _attach_anew(self) -> None:
        """Now and then podman takes the end of one life for the end of all."""
        self.process.kill()
        self.process.wait()
        attach = ["podman", "attach", "--no-stdin", "--sig-proxy=false", self.name]
        self.process = subprocess.Popen(attach, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask_to_end(self, signal_number: signal.Signals) -> None:
        """By podman, which sends what the image asks for: a process that ends otherwise is started again."""
        assert int(self._inspect("RestartCount")) == self._kills, f"{self.name} has ended by itself:\n{self.stderr}"
        self._podman("stop", self.name)

    def remove(self) -> None:
        """Whatever it does."""
        self._podman("rm", "--force", "--ignore", "--time=0", self.name)
        self.process.wait(30.0)

    def _inspect(self, field: str) -> str:
        return self._podman("inspect", f"--format={{{{.{field}}}}}", self.name)

    def _podman(self, *arguments: str) -> str:
        return run(["podman", *arguments])


def health_command(content: Mapping[str, Any]) -> Sequence[str]:
    """Of a service of compose.yaml."""
    kind, *command = content["healthcheck"]["test"]
    return command if kind == "CMD" else ["sh", "-c", *command]


def configuration_of(image: str) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(run(["buildah", "inspect", "--type=image", image]))["OCIv1"]["config"]
    return configuration


def files_of(image: str) -> Sequence[Path]:
    """Every file of an image, by its path in it."""
    container = run(["buildah", "from", POLICY, "--pull-never", image]).strip()
    try:
        root = Path(run(["buildah", "mount", container]).strip())
        files = (path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
        return [Path("/") / path.relative_to(root) for path in files]
    finally:
        run(["buildah", "rm", container])
