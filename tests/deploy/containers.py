"""Containers of the images, each in a host of network.py, restricted as docker/compose.yaml restricts them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosted import OnHost
from network import Host
from stand_in import POLICY, run

@dataclass(frozen=True)
class Service:
    """A service of compose.yaml that is to run on a host."""

    host: Host
    name: str
    content: Mapping[str, Any]

    def command(self) -> list[str]:
        return [
            "podman",
            "run",
            "--rm",
            f"--name={self.name}",
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
    """A service that runs. Signals to the program that is its process here go to the one in the container."""

    def __init__(self, service: Service, domain_id: int, stderr_path: Path, port: int) -> None:
        super().__init__(service, domain_id, stderr_path, port)
        self._service = service

    @property
    def name(self) -> str:
        return self._service.name

    def main_process_id(self) -> int:
        return int(self._podman("inspect", "--format={{.State.Pid}}", self.name))

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs one more program in the container."""
        podman = ["podman", "exec", self.name, *command]
        return subprocess.run(podman, capture_output=True, text=True, timeout=30.0)

    def remove(self) -> None:
        """Whatever it does."""
        self._podman("rm", "--force", "--ignore", "--time=0", self.name)
        self.process.wait(30.0)

    def _podman(self, *arguments: str) -> str:
        return run(["podman", *arguments])


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
