"""The images of docker/Dockerfile, built on a base of our own, and docker/compose.yaml's services run from them.

Each container is in a network of its own without multicast: all find each other by compose.yaml's discovery servers.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compose import services
from containers import Container, Service, configuration_of, files_of, health_command
from domain import reserved_domain_id
from network import Host, pods, skip_where_not_allowed
from package import INSTALL, NODES
from program import REPOSITORY, end_all
from scrape import Scrape
from stand_in import BASE_IMAGE, POLICY, RUST_IMAGE, make_base, make_rust, prepare_tools, run
from waiting import wait_until

pytestmark = pytest.mark.timeout(3600)

# Images that are built already, on any base, as `docker save` writes them.
ARCHIVE = os.environ.get("IMAGES_ARCHIVE")
# Compiles the nodes in the image, which takes minutes; otherwise they are those that scripts/colcon.sh has installed.
FROM_SOURCE = "IMAGES_FROM_SOURCE" in os.environ

# As images.sh has them.
REGISTRY, TAG = "localhost/digital-twin-simulation", "0.1.0"
IMAGES = {name: f"{REGISTRY}/{name}:{TAG}" for name in ("nodes", "physics")}

ROBOT, TWIN = "/joint_states", "/twin/joint_states"
EXPORTER, SYNCHRONIZER = "ros-metrics-exporter", "synchronization-node"
MONITOR, BRIDGE = "monitoring-node", "unity-bridge-node"
SERVERS = ("discovery-0", "discovery-1")
PHYSICS = ("robot", "twin")
PORTS = {EXPORTER: 8000, SYNCHRONIZER: 8001, MONITOR: 8002, BRIDGE: 8003}
RUNNING = (*SERVERS, *PHYSICS, *PORTS)
CONTENTS = services()

JOINTS = 23
FIRST_JOINT_S_MAX = 60.0
# Messages, beyond those that were on their way.
SOME = 50
# With a busy machine's part in it.
RECOVERS_WITHIN_S = 60.0
USER_ID = 10_001


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Built as `make images` builds them, or out of the archive."""
    with pytest.MonkeyPatch.context() as patch:
        with not_skipped_where_asked_for():
            skip_where_not_allowed()
            for name, value in prepare_tools().items():
                patch.setenv(name, value)
            # What a build has left that did not come to its end.
            run(["buildah", "rm", "--all"])
            if ARCHIVE:
                run(["podman", "load", POLICY, "--quiet", f"--input={ARCHIVE}"])
            else:
                build(tmp_path_factory.mktemp("build"))
        yield
        if not FROM_SOURCE:
            # Layers of other builds; they would be a gigabyte more each time. Those of a compilation are worth it.
            run(["buildah", "rmi", "--prune", "--force"])


@contextmanager
def not_skipped_where_asked_for() -> Iterator[None]:
    try:
        yield
    except pytest.skip.Exception as reason:
        if ARCHIVE or FROM_SOURCE:
            pytest.fail(f"the images were asked for: {reason}")
        raise


def build(folder: Path) -> None:
    make_base()
    bases = {"BASE_IMAGE": BASE_IMAGE, "RUST_IMAGE": RUST_IMAGE}
    options = [POLICY, "--pull-never", *(f"--build-arg={name}={image}" for name, image in bases.items())]
    if FROM_SOURCE:
        make_rust()
    else:
        options += already_built(folder)
    began = time.monotonic()
    run([REPOSITORY / "scripts" / "images.sh", *IMAGES, "--", *options], BUILDER="buildah", REGISTRY=REGISTRY, TAG=TAG)
    print(f"\nbuilt in {time.monotonic() - began:.0f} s")


def already_built(folder: Path) -> list[str]:
    """The options that put the installed package in the place of the stage that builds it."""
    assert INSTALL.is_dir(), f"{INSTALL} is missing: scripts/colcon.sh makes it"
    shutil.copytree(INSTALL, folder / "opt" / "digital_twin_simulation", symlinks=True)
    return [f"--build-context=build={folder}"]


@dataclass(frozen=True)
class System:
    """The services that run, and how long they took to show a joint."""

    containers: Mapping[str, Container]
    first_joint_s: float

    def __getitem__(self, name: str) -> Container:
        return self.containers[name]


@pytest.fixture(scope="module")
def system(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """All services that are ours."""
    with not_skipped_where_asked_for():
        skip_where_podman_cannot_run()
    directory = tmp_path_factory.mktemp("system")
    with reserved_domain_id() as domain_id, pods(len(RUNNING)) as hosts:
        began = time.monotonic()
        with started(dict(zip(RUNNING, hosts)), domain_id, directory) as containers:
            exporter = containers[EXPORTER]
            exporter.wait_until_ready()
            exporter.scrape_until(lambda scrape: scrape.positions(ROBOT), "a joint", timeout_s=2.0 * FIRST_JOINT_S_MAX)
            yield System(containers, time.monotonic() - began)


def skip_where_podman_cannot_run() -> None:
    """The build has run this program already: what fails here is the machine."""
    program = [IMAGES["nodes"], "ros_metrics_exporter", "--version"]
    command = ["podman", "run", "--rm", "--pull=never", "--network=none", *program]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=60.0)
    if tried.returncode != 0:
        pytest.skip(f"podman can run nothing here: {tried.stderr.strip()}")


@contextmanager
def started(hosts: Mapping[str, Host], domain_id: int, directory: Path) -> Iterator[Mapping[str, Container]]:
    """Each service on a host of its own; at the end of the block each has to end well."""
    contents = placed_services(hosts, domain_id)
    containers: dict[str, Container] = {}
    try:
        for name, host in hosts.items():
            log = directory / f"{name}.log"
            service = Service(host, f"digital-twin-test-{domain_id}-{name}", contents[name], log)
            containers[name] = Container(service, domain_id, directory / f"{name}.stderr", PORTS.get(name, 0))
        yield containers
        end_all(list(containers.values()))
    finally:
        for container in containers.values():
            container.remove()


def placed_services(hosts: Mapping[str, Host], domain_id: int) -> dict[str, dict[str, Any]]:
    """The services of compose.yaml, with the addresses of these hosts in the place of those of compose's network."""
    variables = {"REGISTRY": REGISTRY, "TAG": TAG, "ROS_DOMAIN_ID": str(domain_id)}
    addresses = {CONTENTS[name]["networks"]["digital-twin"]["ipv4_address"]: hosts[name].address for name in SERVERS}
    return services(variables, addresses)


# --- What runs --------------------------------------------------------------------------------------------------------


def test_a_fresh_robot_shows_its_first_joint_soon(system: System) -> None:
    print(f"\nfrom images to the first joint in a scrape: {system.first_joint_s:.1f} s")
    assert system.first_joint_s < FIRST_JOINT_S_MAX
    for topic in (ROBOT, TWIN):
        system[EXPORTER].scrape_until(lambda scrape: len(scrape.positions(topic)) == JOINTS, f"every joint of {topic}")


def test_every_node_is_scraped_and_does_its_work(system: System) -> None:
    for name in PORTS:
        system[name].wait_until_ready()
        assert "digital_twin_build_info" in system[name].scrape().families()
    wait_until_all_do_their_work(system)
    pages = ",".join(system[name].url for name in PORTS)
    found = system[EXPORTER].execute("health_check", "--endpoints", pages, "--wait", str(RECOVERS_WITHIN_S))
    assert found.returncode == 0, found.stdout


def wait_until_all_do_their_work(system: System) -> None:
    """With what comes from now on."""
    exporter = system[EXPORTER]
    before = exporter.scrape()
    for topic in (ROBOT, TWIN):
        exporter.scrape_until(
            lambda scrape: scrape.messages(topic) >= before.messages(topic) + SOME and scrape.positions(topic),
            f"{topic} is heard",
            timeout_s=RECOVERS_WITHIN_S,
        )
    for name, does_its_work, what in (
        (SYNCHRONIZER, is_synced, "the twin follows the robot"),
        (MONITOR, lambda scrape: {status_of(scrape, topic) for topic in (ROBOT, TWIN)} == {"ok"}, "both are watched"),
        (BRIDGE, lambda scrape: scrape.get("unity_bridge_clients") == 0.0, "nobody is connected"),
    ):
        system[name].scrape_until(does_its_work, what, timeout_s=RECOVERS_WITHIN_S)


def is_synced(scrape: Scrape) -> bool:
    """By what both have told within the last second."""
    ages = scrape.by("source", "ros_twin_source_age_seconds")
    state = next(state for state, value in scrape.by("state", "ros_twin_state").items() if value)
    return state == "SYNCED" and len(ages) == 2 and max(ages.values()) < 1.0


def status_of(scrape: Scrape, topic: str) -> str | None:
    found = re.findall(r"^ros_topic_status\{(.*)\} 1$", scrape.text, re.MULTILINE)
    labels = (dict(re.findall(r'(\w+)="([^"]*)"', text)) for text in found)
    return next((one["status"] for one in labels if one["topic_name"] == topic), None)


# --- Whether it is well -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", (*SERVERS, *PORTS))
def test_a_health_check_passes_where_its_service_runs_and_nowhere_else(system: System, name: str) -> None:
    wait_until(system[name].is_healthy, f"{name} is healthy")
    command = health_command(CONTENTS[name])
    elsewhere = next(one for one in (*SERVERS, *PORTS) if health_command(CONTENTS[one]) != command)
    assert system[elsewhere].execute(*command).returncode == 1


# Of the servers one alone: both within some seconds is more than is promised (docs/networking.md, "When something dies").
@pytest.mark.parametrize("name", (SERVERS[0], *PHYSICS, *PORTS))
def test_what_is_killed_is_started_again_and_all_do_their_work(system: System, name: str) -> None:
    began = time.monotonic()
    system[name].kill_until_it_runs_again()
    runs_s = time.monotonic() - began
    wait_until(system[name].is_healthy, f"{name} is healthy", timeout_s=RECOVERS_WITHIN_S)
    wait_until_all_do_their_work(system)
    print(f"\n{name}: runs after {runs_s:.1f} s, all do their work after {time.monotonic() - began:.1f} s")


# --- What it may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNNING)
def test_a_process_is_nobody_and_may_nothing(system: System, name: str) -> None:
    process_id = system[name].main_process_id()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process_id}/status").read_text().splitlines())
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(USER_ID)}
    assert status["Groups"].split() in ([], [str(USER_ID)])
    assert {int(status[capabilities], 16) for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("name", RUNNING)
def test_nothing_but_tmp_can_be_written(system: System, name: str) -> None:
    mounts = Path(f"/proc/{system[name].main_process_id()}/mountinfo").read_text().splitlines()
    written = {fields[4]: fields[5].split(",") for fields in map(str.split, mounts)}
    assert "ro" in written["/"]
    kernels = ("/dev", "/proc", "/sys")
    disks = {place for place, options in written.items() if "rw" in options and not place.startswith(kernels)}
    assert disks <= {"/tmp", "/run/.containerenv"}, disks


def test_a_write_elsewhere_fails(system: System) -> None:
    robot = system["robot"]
    assert robot.execute("touch", "/tmp/x").returncode == 0
    for place in ("/x", "/opt/digital_twin_simulation/x", "/var/tmp/x", "/etc/x"):
        refused = robot.execute("touch", place)
        assert refused.returncode != 0 and re.search("Read-only file system|Permission denied", refused.stderr), place


def test_the_robot_shows_that_it_is_alive(system: System) -> None:
    _, program, file = services()["robot"]["healthcheck"]["test"]
    assert system["robot"].execute(program, file).returncode == 0
    # The other's probe is never asked: its file may grow old.
    twin = system["twin"]
    assert twin.execute("touch", "-d", "1 minute ago", "/tmp/old").returncode == 0
    assert twin.execute(program, "/tmp/old").returncode == 1


# --- What is in them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_an_image_needs_no_script_and_is_nobody(images: None, image: str) -> None:
    configuration = configuration_of(image)
    assert configuration["User"] == f"{USER_ID}:{USER_ID}"
    assert not configuration.get("Entrypoint"), "a signal goes to the program itself"
    settings = dict(setting.split("=", 1) for setting in configuration["Env"])
    assert settings["HOME"] == "/tmp" and settings["ROS_LOG_DIR"].startswith("/tmp/")
    assert settings["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"


def test_the_nodes_image_holds_its_programs_and_no_shell(images: None) -> None:
    files = files_of(IMAGES["nodes"])
    folders = ("bin", "sbin", "digital_twin_simulation")
    programs = {path.name for path in files if path.parent.name in folders and not path.suffix}
    assert programs == {*NODES, "discovery_server_probe", "fast-discovery-server", "health_check", "twin_top"}, programs
    assert not {"bash", "sh", "dash", "busybox", "python3", "perl", "apt-get", "dpkg"} & {path.name for path in files}


def test_the_nodes_image_holds_every_type_support_that_nodes_open(images: None) -> None:
    typesupports = "lib*__rosidl_typesupport_{}.so"
    patterns = [typesupports.format(kind) for kind in ("c", "fastrtps_c", "introspection_c")]
    # The base's, which the other image has as they were.
    wanted = {path.name for path in files_of(IMAGES["physics"]) if any(map(path.match, patterns))}
    assert wanted and wanted <= {path.name for path in files_of(IMAGES["nodes"])}


def test_scanners_and_lawyers_find_what_the_nodes_image_is_made_of(images: None) -> None:
    files = {str(path) for path in files_of(IMAGES["nodes"])}
    assert {"/etc/os-release", "/var/lib/dpkg/status.d/libc6", "/usr/share/doc/libc6/copyright"} <= files
    assert "/opt/digital_twin_simulation/share/digital_twin_simulation/licences/LICENSE" in files
    if FROM_SOURCE or ARCHIVE:
        assert any("/licences/tokio-" in path for path in files)
