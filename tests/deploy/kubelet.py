"""Containers of the chart as processes of this machine, each pod on a host of its own: a kubelet in small.

Where the package lies, what is mounted and /tmp are elsewhere here; all else is as rendered: programs, flags, variables,
ports, probes. Hosts are Linux namespaces (network.py).
"""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chart import REPOSITORY, Object, Pod, named
from hosted import SETTINGS
from network import Host
from program import RELEASE, Program
from scrape import Scrape
from waiting import wait_until
from web import Address, request

SIMULATION = REPOSITORY / "simulation"
SHARE = "/opt/digital_twin_simulation/share/digital_twin_simulation"
VARIABLE = re.compile(r"\$\((\w+)\)")


def service_variable(service: str) -> str:
    """Where pods find the address of a Service."""
    return f"{service.upper().replace('-', '_')}_SERVICE_HOST"


@dataclass(frozen=True)
class Container:
    """One container of a pod, on its host; `variables` are those of the Services."""

    pod: Pod
    name: str
    host: Host
    folder: Path
    variables: Mapping[str, str]

    @property
    def spec(self) -> Object:
        return self.pod.container(self.name)

    @property
    def environment(self) -> dict[str, str]:
        return {one["name"]: self._expanded(one["value"]) for one in self.spec.get("env", [])}

    def command(self) -> list[str]:
        program, *arguments = [*self.spec["command"], *self.spec.get("args", [])]
        return self.inside([*executable(program), *map(self._here, arguments)])

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs something in the container."""
        return self.host.command(command, {**dict.fromkeys(SETTINGS), **self.environment})

    def mount(self, found: Sequence[Object]) -> None:
        """Makes the places that it has, with what their ConfigMaps hold."""
        volumes = {volume["name"]: volume for volume in self.pod.spec["volumes"]}
        for mount in self.spec["volumeMounts"]:
            place = self._place(mount["mountPath"])
            place.mkdir(parents=True)
            if source := volumes[mount["name"]].get("configMap"):
                for file, text in named("ConfigMap", source["name"], found)["data"].items():
                    (place / file).write_text(text)

    def passes(self, probe: Object) -> bool:
        """Whether the probe succeeds, as a kubelet asks it."""
        if "exec" in probe:
            program, *arguments = [self._here(word) for word in probe["exec"]["command"]]
            command = self.inside([*executable(program), *arguments])
            return subprocess.run(command, timeout=probe.get("timeoutSeconds", 1)).returncode == 0
        how = "httpGet" if "httpGet" in probe else "tcpSocket"
        port = self.pod.port(probe[how]["port"])
        try:
            connection = self.host.connect(port)
        except OSError:
            return False
        with connection:
            return how == "tcpSocket" or self._get(probe["httpGet"]["path"], port) == 200

    def _get(self, path: str, port: int) -> int:
        return request(Address("127.0.0.1", port), path, via=self.host.connect(port)).status

    def _expanded(self, text: str) -> str:
        return VARIABLE.sub(lambda match: self.variables[match.group(1)], text)

    def _here(self, argument: str) -> str:
        places = {SHARE: str(REPOSITORY)}
        places |= {mount["mountPath"]: str(self._place(mount["mountPath"])) for mount in self.spec["volumeMounts"]}
        paths = "|".join(map(re.escape, places))
        return re.sub(rf"(?<![\w.])({paths})(?=/)", lambda match: places[match.group(1)], self._expanded(argument))

    def _place(self, mount_path: str) -> Path:
        return self.folder / mount_path.strip("/")


def executable(program: str) -> list[str]:
    """The programs of the images that are built here or that ROS brings."""
    if program.endswith(".py"):
        return [sys.executable, str(SIMULATION / program)]
    built = [folder / program for folder in (RELEASE, SIMULATION) if (folder / program).is_file()]
    return [str(built[0])] if built else [program]


class Running(Program):
    """A container that runs."""

    def __init__(self, container: Container, domain_id: int) -> None:
        self.container = container
        super().__init__(container, domain_id, container.folder / "log")

    def passes(self, probe_name: str) -> bool:
        self.assert_runs()
        return self.container.passes(self.container.spec[probe_name])

    def wait_until_told(self, series: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Waits until these series of a node are 1."""
        for name, labels in series:
            wait_until(lambda: self.scrape().get(name, **labels) == 1.0, f"{name} {labels}", details=lambda: self.stderr)

    def scrape(self) -> Scrape:
        """Of the first port, which is that of the metrics."""
        port = self.container.spec["ports"][0]["containerPort"]
        return Scrape(request(Address("127.0.0.1", port), "/metrics", via=self.container.host.connect(port)).text)
