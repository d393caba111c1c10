"""Backups and restores as their pods run them: the scripts of the chart, a real restic and a real S3 server."""

import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from network import BECOME_ROOT
from object_store import ACCESS_KEY, SECRET_KEY, ObjectStore, line_to
from waiting import TIMEOUT_S, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "deploy" / "helm" / "digital-twin" / "files" / "backup"
HOST = "digital-twin-system"
PASSWORD = "the-password"
HOUR_S = 3600

# Where apt has put it, or scripts/install-test-tools.sh.
BUSYBOX = next(
    (
        path
        for path in (
            shutil.which("busybox"),
            REPOSITORY / ".tools" / "busybox-static" / "bin" / "busybox",
            REPOSITORY / ".tools" / "busybox-static" / "usr" / "bin" / "busybox",
        )
        if path and os.access(path, os.X_OK)
    ),
    None,
)

pytestmark = pytest.mark.skipif(
    not (shutil.which("restic") and shutil.which("rclone") and shutil.which("flock")),
    reason="restic, rclone or flock is missing: scripts/install-test-tools.sh and make setup get them",
)


@dataclass(frozen=True)
class Ended:
    """What a script has told."""

    exit_code: int
    lines: Sequence[Mapping[str, Any]]

    @property
    def summary(self) -> Mapping[str, Any]:
        return self.lines[-1]

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]


@dataclass
class Place:
    """A volume with recordings, a bucket, and what the pod's variables say of them."""

    directory: Path
    store: ObjectStore
    bucket: str
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def repository(self) -> Path:
        """As the server keeps it."""
        return self.store.buckets / self.bucket / HOST

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory / "tmp"),
            "SIMULATION_DATA": str(self.data),
            "S3_ENDPOINT": f"http://127.0.0.1:{self.store.port}",
            "S3_BUCKET": self.bucket,
            "S3_PREFIX": HOST,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "RESTIC_PASSWORD": PASSWORD,
            "BACKUP_HOST": HOST,
            "LOCK_WAIT_SECONDS": "0",
            "OPEN_SECONDS": "3",
            "STOP_SECONDS": "1",
            **self.settings,
            **settings,
        }

    def start(
        self, script: str, settings: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*prefix, "sh", str(SCRIPTS / script)],
            env=self.environment(settings or {}),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script: str, prefix: Sequence[str] = (), **settings: str) -> Ended:
        with self.start(script, settings, prefix) as process:
            try:
                return ended(process)
            finally:
                process.kill()

    def backup(self, **settings: str) -> Ended:
        return self.run("backup.sh", **settings)

    def restore(self, **settings: str) -> Ended:
        return self.run("restore.sh", **settings)

    def restic(self, *arguments: str) -> str:
        command = self.restic_command(*arguments)
        run = subprocess.run(
            command, env=self.environment({}), check=True, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S
        )
        return run.stdout

    def restic_command(self, *arguments: str) -> list[str]:
        repository = f"s3:http://127.0.0.1:{self.store.port}/{self.bucket}/{HOST}"
        return ["restic", "--no-cache", f"--repo={repository}", *arguments]

    def snapshots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.restic("snapshots", "--json"))
        return found

    def locks(self) -> list[Path]:
        return sorted((self.repository / "locks").glob("*"))

    def destroy(self) -> None:
        shutil.rmtree(self.data)
        self.data.mkdir()


def ended(process: "subprocess.Popen[str]") -> Ended:
    output, _ = process.communicate(timeout=TIMEOUT_S * 2)
    return Ended(process.returncode, [json.loads(line) for line in output.splitlines()])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("store"))
    yield store
    store.close()


@pytest.fixture
def place(store: ObjectStore, tmp_path: Path) -> Place:
    place = Place(tmp_path, store, f"bucket-{len(list(store.buckets.iterdir()))}")
    for name in ("data", "tmp"):
        (tmp_path / name).mkdir()
    return place


@pytest.fixture
def only_busybox(place: Place) -> None:
    """The scripts run with restic and busybox alone, as in its image, where this machine has busybox."""
    if not BUSYBOX:
        return
    tools = place.directory / "bin"
    tools.mkdir()
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in applets:
        (tools / applet).symlink_to(BUSYBOX)
    # Debian's busybox has no flock, which Alpine's has.
    for program in {"restic", "flock"} - set(applets):
        (tools / program).symlink_to(shutil.which(program) or program)
    place.settings["PATH"] = str(tools)


def age(path: Path, seconds: float) -> None:
    """Lets the last write to it, and to what is in it, be so long ago."""
    times_ns = (time.time_ns() - int(seconds * 1e9) + 123_456_789,) * 2
    for one in [*path.rglob("*"), path]:
        os.utime(one, ns=times_ns, follow_symlinks=False)


def record(folder: Path, *, whole: bool = True, written_s_ago: float = 2 * HOUR_S, size_bytes: int = 100_000) -> Path:
    """A recording as rosbag2 leaves it."""
    folder.mkdir(parents=True)
    (folder / f"{folder.name.strip()}_0.mcap").write_bytes(os.urandom(size_bytes))
    if whole:
        (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: {}\n")
    age(folder, written_s_ago)
    return folder


Tree = Mapping[str, tuple[str, int, int, bytes]]


def tree(root: Path) -> Tree:
    """Everything below a folder: its kind, its mode, when it was written, and its bytes, or where a link leads."""
    return {str(path.relative_to(root)): description(path) for path in root.rglob("*")}


def description(path: Path) -> tuple[str, int, int, bytes]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "link", 0, status.st_mtime_ns, os.fsencode(os.readlink(path))
    content = b"" if path.is_dir() else path.read_bytes()
    return "folder" if path.is_dir() else "file", stat.S_IMODE(status.st_mode), status.st_mtime_ns, content


def assert_failed(run: Ended, *parts: str) -> None:
    """It has told why, in one line, and said so by its exit code."""
    assert run.exit_code == 1, run
    assert run.summary["result"] == "failed", run
    for part in parts:
        assert part in run.summary["message"], run
    assert [line for line in run.lines if line["level"] == "ERROR"] == [run.summary]


def fill(data: Path) -> None:
    """Recordings and files of all kinds, all of which go into a backup."""
    for name in ("2026-01-01_02-00-00", "with space ", "ümlaut-日本", "new\nline", "quote\"s'", "-dash", "*?[glob]"):
        record(data / "robot1" / name)
    sqlite = record(data / "robot2" / "db")
    (sqlite / "db_0.mcap").rename(sqlite / "db_0.db3")
    (sqlite / "db_0.db3").chmod(0o640)
    record(data / "robot1" / "crashed", whole=False)
    (data / "robot1" / "empty.txt").touch()
    (data / "robot1" / "run.sh").write_text("true\n")
    (data / "robot1" / "run.sh").chmod(0o750)
    (data / ".hidden").write_text("hidden\n")
    (data / "latest").symlink_to("robot1/2026-01-01_02-00-00")
    (data / "dangling").symlink_to("nowhere")
    (data / "robot2").chmod(0o755)
    age(data, 2 * HOUR_S)


def test_all_comes_back_as_it_was(place: Place, only_busybox: None) -> None:
    fill(place.data)
    before = tree(place.data)
    backup = place.backup()
    assert backup.exit_code == 0, backup
    place.destroy()
    restore = place.restore()
    assert restore.exit_code == 0, restore
    assert tree(place.data) == before
    figures = {"recordings": 9, "recordings_crashed": 1, "recordings_left_out": 0, "files": 5, "files_left_out": 0}
    assert figures.items() <= backup.summary.items()
    assert backup.summary["bytes"] == sum(len(content) for kind, *_, content in before.values() if kind == "file")
    assert restore.summary["snapshot"].startswith(backup.summary["snapshot"])


def test_what_is_being_written_is_left_out_and_told(place: Place) -> None:
    record(place.data / "robot1" / "whole")
    record(place.data / "robot1" / "recording", whole=False, written_s_ago=HOUR_S - 60)
    record(place.data / "robot1" / "closing", written_s_ago=10)
    (place.data / "robot1" / "growing.csv").write_text("1,2\n")
    os.mkfifo(place.data / "pipe")
    backup = place.backup()
    assert backup.exit_code == 0, backup
    figures = {"recordings": 1, "recordings_crashed": 0, "recordings_left_out": 2, "files": 0, "files_left_out": 2}
    assert figures.items() <= backup.summary.items()
    for name in ("robot1/recording", "robot1/closing", "robot1/growing.csv", "pipe"):
        assert any(message.startswith(f"left out: ./{name} ") for message in backup.messages), name
    place.destroy()
    assert place.restore().exit_code == 0
    whole = {"robot1/whole", "robot1/whole/whole_0.mcap", "robot1/whole/metadata.yaml"}
    assert tree(place.data).keys() == {"robot1", *whole}


@pytest.fixture
def recorder(place: Place) -> Iterator[Callable[[], None]]:
    """Records all the time, into one folder after the other. What it gives ends it."""
    is_over = threading.Event()

    def write() -> None:
        for number in range(1_000_000):
            folder = place.data / "robot1" / f"{number:06}"
            folder.mkdir()
            with open(folder / "0.mcap", "wb", buffering=0) as file:
                for _ in range(20):
                    file.write(os.urandom(1000))
                    if is_over.wait(0.05):
                        return
            (folder / "metadata.yaml").write_text("{}\n")

    thread = threading.Thread(target=write, name="recorder")

    def end() -> None:
        is_over.set()
        thread.join(TIMEOUT_S)

    record(place.data / "robot1" / "old")
    thread.start()
    wait_until(lambda: (place.data / "robot1" / "000001").exists(), "recordings")
    yield end
    end()


def test_recordings_go_on_during_a_backup_and_come_later(place: Place, recorder: Callable[[], None]) -> None:
    first = place.backup()
    assert first.exit_code == 0, first
    assert first.summary["recordings"] == 1
    assert first.summary["recordings_left_out"] > 0
    recorder()
    # The last one was never ended.
    recordings = len(list((place.data / "robot1").iterdir()))
    age(place.data, 2 * HOUR_S)
    before = tree(place.data)
    second = place.backup()
    assert second.summary["recordings"] == recordings
    assert second.summary["recordings_crashed"] == 1
    place.destroy()
    assert place.restore().exit_code == 0
    assert tree(place.data) == before


def test_wrong_secrets_make_no_repository_and_harm_none(place: Place) -> None:
    record(place.data / "one")
    refused = {"AWS_SECRET_ACCESS_KEY": "wrong", "OPEN_SECONDS": "2"}
    assert_failed(place.backup(**refused), "refuses the access key")
    assert not place.repository.exists()
    assert place.backup().exit_code == 0
    before = tree(place.repository)
    assert_failed(place.backup(**refused), "refuses the access key")
    assert_failed(place.restore(**refused, RESTORE_MODE="beside"), "refuses the access key")
    assert_failed(place.backup(AWS_ACCESS_KEY_ID="wrong", OPEN_SECONDS="2"), "refuses the access key")
    assert_failed(place.backup(RESTIC_PASSWORD="wrong"), "RESTIC_PASSWORD does not open")
    assert_failed(place.restore(RESTIC_PASSWORD="wrong", RESTORE_MODE="beside"), "RESTIC_PASSWORD does not open")
    assert tree(place.repository) == before
    # What lies there tells nothing to who has no password.
    kept = [path.read_bytes() for path in place.repository.rglob("*") if path.is_file()]
    assert not any(b"metadata.yaml" in content for content in kept)


def test_a_restore_replaces_nothing_unless_told(place: Place) -> None:
    one = record(place.data / "robot1" / "one")
    record(place.data / "robot1" / "two")
    snapshot = place.backup().summary["snapshot"]
    backed_up = tree(place.data)
    shutil.rmtree(place.data / "robot1" / "two")
    (one / "one_0.mcap").write_bytes(b"changed")
    record(place.data / "robot1" / "newer")
    place.restic("backup", f"--host={HOST}", "--tag=simulation-data", str(place.data))
    changed = tree(place.data)

    assert_failed(place.restore(), "is not empty")
    assert tree(place.data) == changed

    beside = place.restore(RESTORE_MODE="beside", RESTORE_SNAPSHOT=snapshot)
    assert beside.exit_code == 0, beside
    [folder] = place.data.glob("restored-*")
    assert tree(folder) == backed_up
    assert_failed(place.restore(RESTORE_MODE="beside", RESTORE_SNAPSHOT=snapshot), "is there already")
    shutil.rmtree(folder)

    overwritten = place.restore(RESTORE_MODE="overwrite", RESTORE_SNAPSHOT=snapshot)
    assert overwritten.exit_code == 0, overwritten
    restored = tree(place.data)
    files = {path: found for path, found in restored.items() if found[0] == "file"}
    kept = {path: found for path, found in changed.items() if found[0] == "file" and "newer" in path}
    assert files == {path: found for path, found in backed_up.items() if found[0] == "file"} | kept
    assert_failed(place.restore(RESTORE_MODE="beside", RESTORE_SNAPSHOT="12345678"), "there is no snapshot 12345678")
    assert_failed(place.restore(RESTORE_MODE="all"), "RESTORE_MODE is all")


def test_a_killed_restore_shows_nothing_and_the_next_one_is_whole(place: Place, store: ObjectStore) -> None:
    for number in range(4):
        record(place.data / "robot1" / f"{number}", size_bytes=1_000_000)
    before = tree(place.data)
    assert place.backup().exit_code == 0
    place.destroy()
    with line_to(store, carries_bytes=2_000_000) as line:
        with place.start("restore.sh", {"S3_ENDPOINT": f"http://127.0.0.1:{line.port}"}) as process:
            try:
                assert line.is_cut.wait(TIMEOUT_S)
            finally:
                # With restic, as its container would.
                os.killpg(process.pid, signal.SIGKILL)
    assert list(place.data.glob(".restore-partial/*"))
    assert list(place.data.glob("[!.]*")) == []
    # The orphan may be a zombie for as long as its container lives, and to restic that is a process.
    place.restic("unlock", "--remove-all")

    empty = place.backup()
    assert (empty.exit_code, empty.summary["recordings"], empty.summary["snapshot"]) == (0, 0, ""), empty
    assert any("nothing in" in message for message in empty.messages)
    restore = place.restore()
    assert restore.exit_code == 0, restore
    assert tree(place.data) == before


def on_small_disk(options: str, folder: str) -> list[str]:
    """What runs a script with a small file system at the folder that a variable names, and lists what is left there."""
    script = f"""mount -t tmpfs -o {options} tmpfs "${folder}" || exit
    "$@"; code=$?
    ls -A "${folder}" >"$HOME/left"
    exit $code"""
    return ["unshare", *BECOME_ROOT, "--mount", "sh", "-c", script, "sh"]


@pytest.fixture(scope="module")
def mounts_are_allowed() -> None:
    mount = ["unshare", *BECOME_ROOT, "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    tried = subprocess.run(mount, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"this kernel lets us mount nothing: {tried.stderr.strip()}")


def test_a_full_disk_leaves_no_half_recording(place: Place, mounts_are_allowed: None) -> None:
    for number in range(20):
        record(place.data / "robot1" / f"{number}")
    assert place.backup().exit_code == 0
    place.destroy()
    # The second has room for the bytes and not for the files: that shows only when it is full.
    for options, told in [("size=1m", "no room in"), ("size=64m,nr_inodes=12", "is full")]:
        assert_failed(place.run("restore.sh", prefix=on_small_disk(options, "SIMULATION_DATA")), told)
        assert (place.directory / "left").read_text() == "", options


def test_no_room_for_temporary_files_makes_no_bad_backup(place: Place, mounts_are_allowed: None) -> None:
    record(place.data / "one", size_bytes=2_000_000)
    assert_failed(place.run("backup.sh", prefix=on_small_disk("size=1m", "TMPDIR")), "no space left on device")
    assert place.snapshots() == []
    backup = place.backup()
    assert backup.exit_code == 0, backup
    place.restic("check", "--read-data")


def test_after_a_cut_connection_the_next_backup_is_whole(place: Place, store: ObjectStore) -> None:
    record(place.data / "first")
    assert place.backup().exit_code == 0
    for number in range(4):
        record(place.data / "robot1" / f"{number}", size_bytes=1_000_000)
    before = tree(place.data)
    with line_to(store, carries_bytes=2_000_000) as line:
        with place.start("backup.sh", {"S3_ENDPOINT": f"http://127.0.0.1:{line.port}"}) as process:
            try:
                assert line.is_cut.wait(TIMEOUT_S)
                # As Kubernetes does when the time is over: restic would try for a quarter of an hour.
                process.send_signal(signal.SIGTERM)
                assert_failed(ended(process), "stopped by a signal")
            finally:
                process.kill()
    [first] = place.snapshots()
    again = place.backup()
    assert again.exit_code == 0, again
    # What had not changed was not read again.
    assert place.snapshots()[-1]["parent"] == first["id"]
    place.restic("check", "--read-data")
    assert place.locks() == []
    place.destroy()
    assert place.restore().exit_code == 0
    assert tree(place.data) == before


def test_old_snapshots_go_and_those_of_others_stay(place: Place) -> None:
    record(place.data / "one")
    place.restic("init")
    for host, day in [(HOST, 10), (HOST, 20), ("other", 10), ("other", 20)]:
        of = [f"--host={host}", "--tag=simulation-data", f"--time=2024-01-{day} 02:00:00"]
        place.restic("backup", *of, str(place.data))
    backup = place.backup(KEEP_DAILY="1", KEEP_WEEKLY="0", KEEP_MONTHLY="2")
    assert backup.exit_code == 0, backup
    *old, new = place.snapshots()
    found = sorted((one["hostname"], one["time"][:10]) for one in old)
    assert found == [(HOST, "2024-01-20"), ("other", "2024-01-10"), ("other", "2024-01-20")]
    assert new["id"].startswith(backup.summary["snapshot"])


def leave_a_lock(place: Place, prefix: Sequence[str] = ()) -> None:
    """Kills a backup while it waits for its input."""
    process = subprocess.Popen(
        [*prefix, *place.restic_command("backup", "--stdin")],
        env=place.environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(place.locks, "a lock")
    finally:
        process.kill()
        process.communicate()


def test_the_lock_of_a_killed_run_goes_and_that_of_a_run_elsewhere_stays(place: Place) -> None:
    elsewhere = ["unshare", *BECOME_ROOT, "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    if subprocess.run([*elsewhere, "true"], capture_output=True).returncode != 0:
        pytest.skip("this kernel gives us no other host name")
    record(place.data / "one")
    place.restic("init")
    leave_a_lock(place)
    assert place.backup().exit_code == 0
    assert place.locks() == []
    leave_a_lock(place, elsewhere)
    locks = place.locks()
    assert_failed(place.backup(), "old snapshots could not be removed", "locked")
    assert place.locks() == locks
