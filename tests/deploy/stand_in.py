"""Images in the place of those that docker/Dockerfile begins with, where no registry is reached.

The base is this machine's distribution with the ROS of .ros/ in /opt/ros/jazzy, the other the Rust of this machine. Making
the base takes a minute or two; it is kept until what it is made of changes.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from program import REPOSITORY

ROS = REPOSITORY / ".ros"
TOOLS = REPOSITORY / ".tools"
STORAGE = TOOLS / "images"

BASE_IMAGE = "localhost/stand-in/ros:jazzy-ros-base"
RUST_IMAGE = "localhost/stand-in/rust:slim"

# What `docker/Dockerfile` installs is there already, as far as that is not large.
PACKAGES = "ca-certificates,python3-numpy,python3-venv,python3-yaml"
# What .ros/ has for our tests and our physics, a ROS has not, but for what its own CMake files need.
NOT_OF_ROS = ("tests/requirements.txt", "simulation/requirements.txt")
OF_ROS_TOO = ("catkin-pkg", "docutils", "pyparsing")
# A build from source on a busy machine.
LIMIT_S = 3000.0

# So that ROS works by setup.bash alone, as where it was installed from packages.
MORE_SETUP = 'export PYTHONPATH="/opt/ros/jazzy/lib/python3.{minor}/site-packages${{PYTHONPATH:+:$PYTHONPATH}}"\n'


CONTAINERS_CONF = """[containers]
# A shell may be allowed less than what podman would set.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "none"
[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["{conmon}"]
events_logger = "none"
runtime = "runc"
[engine.runtimes]
runc = ["{runc}"]
"""

# Not told in the environment: an option of what takes images in or out.
POLICY_PATH = STORAGE / "policy.json"
POLICY = f"--signature-policy={POLICY_PATH}"

STORAGE_CONF = """[storage]
driver = "{driver}"
graphroot = "{folder}/root"
runroot = "{folder}/run"
"""


def prepare_tools() -> dict[str, str]:
    """The environment in which buildah and podman keep to a folder of ours; skips the test where they cannot work."""
    if os.geteuid() != 0:
        pytest.skip("building images from a base of our own needs root")
    if not (ROS / "setup.bash").is_file():
        pytest.skip("no .ros/ to make a base of: ROS is installed here")
    found = {name: path_of(name) for name in ("buildah", "podman", "conmon", "runc", "debootstrap")}
    if missing := [name for name, path in found.items() if path is None]:
        pytest.skip(f"no {', '.join(missing)} here: scripts/install-test-tools.sh")
    STORAGE.mkdir(exist_ok=True)
    containers_conf, storage_conf = STORAGE / "containers.conf", STORAGE / "storage.conf"
    containers_conf.write_text(CONTAINERS_CONF.format(**found))
    POLICY_PATH.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    storage_conf.write_text(STORAGE_CONF.format(driver=storage_driver(), folder=STORAGE))
    return {
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_CONF": str(containers_conf),
        "CONTAINERS_STORAGE_CONF": str(storage_conf),
    }


def path_of(tool: str) -> Path | None:
    unpacked = (path for folder in ("bin", "sbin") for path in TOOLS.glob(f"*/usr/{folder}/{tool}"))
    installed = shutil.which(tool)
    return Path(installed) if installed else next(unpacked, None)


def storage_driver() -> str:
    """Layers laid over each other where the kernel can do that here, else copied."""
    probe = STORAGE / "probe"
    lower, upper, work, merged = (probe / name for name in ("lower", "upper", "work", "merged"))
    for folder in (lower, upper, work, merged):
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    script = f'mount -t overlay overlay -o "{options}" "{merged}"'
    tried = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True)
    shutil.rmtree(probe)
    return "overlay" if tried.returncode == 0 else "vfs"


def run(command: Sequence[str | Path], **environment: str) -> str:
    """Runs a tool to its end; what it printed is shown where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
    )
    told = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{told}"
    return done.stdout


def make_base() -> None:
    # The stamp is of all requirements.
    inputs = hashlib.sha256((ROS / "stamp").read_bytes() + Path(__file__).read_bytes()).hexdigest()
    make_image(BASE_IMAGE, inputs, base_files)


def make_rust() -> None:
    version = run(["rustc", "--version"])
    make_image(RUST_IMAGE, hashlib.sha256(version.encode()).hexdigest(), rust_files)


def make_image(name: str, inputs: str, make_files: Callable[[Path], None]) -> None:
    """An image of the files that `make_files` puts into a folder, unless there is one of the same inputs."""
    label = '{{index .OCIv1.Config.Labels "inputs"}}'
    ask = ["buildah", "inspect", "--type=image", f"--format={label}", name]
    known = subprocess.run(ask, capture_output=True, text=True)
    if known.stdout.strip() == inputs:
        return
    container = run(["buildah", "from", "scratch"]).strip()
    try:
        make_files(Path(run(["buildah", "mount", container]).strip()))
        # The entry point of ROS's own images, which ours do not keep.
        configuration = ['--entrypoint=["/ros_entrypoint.sh"]', "--env=PATH=/usr/local/bin:/usr/sbin:/usr/bin"]
        run(["buildah", "config", f"--label=inputs={inputs}", *configuration, container])
        run(["buildah", "commit", POLICY, "--quiet", "--format=docker", container, name])
    finally:
        run(["buildah", "rm", container])


def base_files(folder: Path) -> None:
    debootstrap = path_of("debootstrap")
    assert debootstrap
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    archive = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).split()[0]
    made = subprocess.run(
        [debootstrap, "--variant=minbase", f"--include={PACKAGES}", release["VERSION_CODENAME"], folder, archive],
        env={**os.environ, "DEBOOTSTRAP_DIR": str(debootstrap.parents[1] / "share" / "debootstrap")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    if made.returncode != 0:
        pytest.skip(f"debootstrap could make no base here: {made.stdout[-300:]}")
    for part in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc-base"):
        shutil.rmtree(folder / part, ignore_errors=True)
    add_ros(folder)
    # Whom this machine trusts, and how its pip is told of that.
    for file in ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf"):
        if (Path("/") / file).is_file():
            shutil.copyfile(Path("/") / file, folder / file)


def add_ros(folder: Path) -> None:
    prefix = folder / "opt" / "ros" / "jazzy"
    shutil.copytree(ROS, prefix, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "stamp", ".gitignore"))
    for file in files_not_of_ros():
        (prefix / file).unlink(missing_ok=True)
    modules = next((prefix / "lib").glob("python3.*"))
    if not (folder / "usr" / "bin" / modules.name).exists():
        pytest.skip(f"this distribution has no {modules.name}, for which .ros/ was made")
    # The distribution's Python is to find ROS, and no environment of its own there.
    for path in (prefix / "bin").glob("python*"):
        path.unlink()
    with open(prefix / "setup.bash", "a") as setup:
        setup.write(MORE_SETUP.format(minor=modules.name.removeprefix("python3.")))


def files_not_of_ros() -> Iterator[Path]:
    requirements = "\n".join((REPOSITORY / name).read_text() for name in NOT_OF_ROS)
    for name in sorted(set(re.findall(r"^([\w-]+)==", requirements, re.MULTILINE)) - set(OF_ROS_TOO)):
        # Some are for older Pythons.
        with suppress(PackageNotFoundError):
            for file in distribution(name).files or ():
                yield Path(file.locate()).resolve().relative_to(ROS.resolve())


def rust_files(folder: Path) -> None:
    (folder / "usr/local/rustup").mkdir(parents=True)
    ignore = shutil.ignore_patterns("doc", "man", "*.html")
    sysroot = run(["rustc", "--print", "sysroot"]).strip()
    shutil.copytree(sysroot, folder / "usr/local/cargo", symlinks=True, ignore=ignore)
