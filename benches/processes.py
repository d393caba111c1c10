"""The programs of the benchmark as running processes: what receives, and the load.

Each is a context manager that ends its process whatever happens, and only that one.
"""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from scrape_client import ScrapeClient, sample_sum

BENCHES = Path(__file__).resolve().parent
FAST_DDS_DEFAULTS = BENCHES / "fast_dds_defaults.xml"
END_SECONDS = 20
READY_SECONDS = 20
FIRST_MESSAGE_SECONDS = 20
DRAIN_PAUSE_SECONDS = 0.2
POLL_SECONDS = 0.001

# The ports of domain n begin at this one + n * 250, and its first participant listens 10 after that (DDSI-RTPS
# 9.6.1.4); above 100, the ports fall into the range that Linux hands out to anyone.
PORT_BASE = 7400
FIRST_PARTICIPANT_OFFSET = 10
PORTS_PER_DOMAIN = 250
FAST_DDS_PORT = re.compile(r"fastrtps_port(\d+)")
DOMAIN_ID_MAX = 100


class BenchError(Exception):
    """A measurement that could not be made, in words for the user."""


@dataclass(frozen=True)
class Counts:
    """What a receiver says of the messages so far; `lost` is None where it cannot tell."""

    received: int
    lost: int | None


@dataclass(frozen=True)
class Sent:
    """What the load says of its whole run."""

    messages: int
    seconds: float
    late_seconds_max: float
    # Deadlines that were over before it woke for the one before.
    passed: int
    cpu_seconds: float

    @property
    def rate(self):
        return self.messages / self.seconds


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def free_domain_id():
    """A ROS domain that nobody on this host is in, as its first participant's port can be bound; if there is one, one in
    which nobody was killed."""
    shuffled = random.sample(range(1, DOMAIN_ID_MAX + 1), DOMAIN_ID_MAX)
    leftovers = domains_with_leftovers()
    for domain_id in sorted(shuffled, key=leftovers.__contains__):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
            try:
                participant.bind(("", PORT_BASE + domain_id * PORTS_PER_DOMAIN + FIRST_PARTICIPANT_OFFSET))
            except OSError:
                continue
            return domain_id
    raise BenchError("every ROS domain of this host is in use")


def domains_with_leftovers():
    """Where Fast DDS has files of ports, which those that were killed leave for good."""
    ports = (FAST_DDS_PORT.match(path.name) for path in Path("/dev/shm").glob("fastrtps_port*"))
    return {(int(port[1]) - PORT_BASE) // PORTS_PER_DOMAIN for port in ports if port}


@dataclass(frozen=True)
class Bench:
    """Where the programs are and where their messages go."""

    bin_dir: Path
    log_path: Path

    def program(self, name):
        path = self.bin_dir / name
        if not path.exists():
            raise BenchError(f"{path} is missing: run scripts/bench.sh, or name its directory with --bin-dir")
        return str(path)


class Process:
    """A child process in a ROS domain; what it says on stderr goes to the log."""

    name = ""

    def __init__(self, bench, domain_id, command, **environment):
        environment = {
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            **os.environ,
            "ROS_DOMAIN_ID": str(domain_id),
            **environment,
        }
        with open(bench.log_path, "ab") as log:
            log.write(f"--- {' '.join(command)}\n".encode())
            log.flush()
            self.spawned = time.monotonic()
            self.child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        self.command = command
        self.log_path = bench.log_path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self.child.stdout.close()

    def end(self, how=signal.SIGTERM):
        """Ends the process and waits until it is gone; harmless when it is gone already."""
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise BenchError(f"{self.name} did not end within {END_SECONDS} s of {how.name}") from None

    def check_alive(self):
        if self.child.poll() is not None:
            raise BenchError(f"{self.command[0]} ended with {self.child.returncode}: see {self.log_path}")

    def wait_until(self, condition, timeout_seconds, what):
        """Polls until the condition gives something true, and returns that."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            result = condition()
            if result:
                return result
            self.check_alive()
            if time.monotonic() > deadline:
                raise BenchError(f"{self.command[0]}: no {what} within {timeout_seconds} s")
            time.sleep(POLL_SECONDS)

    def cpu_seconds(self):
        """CPU time of all living threads. The scheduler's own count: `stat` has a resolution of 10 ms only."""
        nanoseconds = 0
        for path in Path(f"/proc/{self.child.pid}/task").glob("*/schedstat"):
            # A thread that served a scrape may end while we read.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                nanoseconds += int(path.read_text().split()[0])
        if nanoseconds == 0:
            raise BenchError("this kernel keeps no scheduler statistics (CONFIG_SCHED_INFO)")
        return nanoseconds / 1e9

    def rss_bytes(self):
        return psutil.Process(self.child.pid).memory_info().rss

    def rss_bytes_max(self):
        """The most resident memory that it has had so far."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024


def processors_used(processes, window_seconds):
    """How many processors each of them keeps busy."""
    before, began = [process.cpu_seconds() for process in processes], time.monotonic()
    time.sleep(window_seconds)
    after, ended = [process.cpu_seconds() for process in processes], time.monotonic()
    return [(last - first) / (ended - began) for first, last in zip(before, after)]


class Load(Process):
    """joint_state_load with the given arguments, and options written as keyword arguments."""

    name = "load"
    program = "joint_state_load"

    def __init__(self, bench, domain_id, *arguments, **options):
        command = [bench.program(self.program), *arguments]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            command += [flag] if value is True else [flag, str(value)]
        # Found like any publisher, not like our nodes, which bring a profile of their own.
        super().__init__(bench, domain_id, command, FASTRTPS_DEFAULT_PROFILES_FILE=str(FAST_DDS_DEFAULTS))

    def sent(self):
        """Waits for its end and returns its summary."""
        output, _ = self.child.communicate()
        if self.child.returncode != 0:
            raise BenchError(f"the load ended with {self.child.returncode}: see {self.log_path}")
        summary = json.loads(output)
        return Sent(summary["sent"], summary["seconds"], summary["late_seconds_max"], summary["passed"], summary["cpu_seconds"])


class TopicLoad(Load):
    """topic_load, whose arguments are topics."""

    program = "topic_load"


class Receiver(Process):
    """What all receivers have in common; subclasses say how to ask them for counts."""

    def wait_ready(self):
        raise NotImplementedError

    def counts(self):
        raise NotImplementedError

    def wait_for_messages(self, more_than=0):
        self.wait_until(lambda: self.counts().received > more_than, FIRST_MESSAGE_SECONDS, "message")

    def drained_counts(self):
        """The counts once they have stopped changing."""
        counts = self.counts()
        while True:
            time.sleep(DRAIN_PAUSE_SECONDS)
            previous, counts = counts, self.counts()
            if counts == previous:
                return counts


class Reporting(Process):
    """Reports on its standard output, when it is ready and when it gets SIGUSR1."""

    def wait_ready(self):
        self.read_report()

    def report(self):
        self.child.send_signal(signal.SIGUSR1)
        return self.read_report()

    def read_report(self):
        line = self.child.stdout.readline()
        if not line:
            self.child.wait()
            self.check_alive()
        return json.loads(line)


class ReportingReceiver(Reporting, Receiver):
    """A receiver that reports."""

    def counts(self):
        report = self.report()
        return Counts(report["taken"], report["lost"])


class ServiceLoad(Reporting):
    """service_load; each of its reports is of the requests since the one before."""

    name = "service load"

    def __init__(self, bench, domain_id, service, rate):
        super().__init__(bench, domain_id, [bench.program("service_load"), service, "--rate", str(rate)])


class BareLoop(ReportingReceiver):
    """take_loop."""

    name = "bare loop"
    options = ()

    def __init__(self, bench, domain_id):
        super().__init__(bench, domain_id, [bench.program("take_loop"), *self.options])


class HttpReceiver(Receiver):
    """A receiver that is asked over HTTP."""

    def __init__(self, bench, domain_id, command, port):
        super().__init__(bench, domain_id, command)
        self.client = ScrapeClient(port)

    def __exit__(self, *exception):
        self.client.close()
        super().__exit__(*exception)

    def wait_ready(self):
        self.wait_until(self.client.try_scrape, READY_SECONDS, "scrape")


def message_counts(text):
    """What a node of ours says of the messages of all its topics."""
    received = sample_sum(text, "ros_message_count_total") or 0
    return Counts(int(received), int(sample_sum(text, "ros_messages_lost_total") or 0))


class Node(HttpReceiver):
    """A node of ours, with its default parameters but for the options."""

    program = ""
    options = ()

    def __init__(self, bench, domain_id, *options, port=None):
        port = port or free_port()
        options = [*self.options, *options]
        command = [bench.program(self.program), "--web.listen-address", f"127.0.0.1:{port}", *options]
        super().__init__(bench, domain_id, command, port)

    def counts(self):
        return message_counts(self.client.scrape())


class Exporter(Node):
    """ros_metrics_exporter."""

    name = "exporter"
    program = "ros_metrics_exporter"


class SynchronizationNode(Node):
    """synchronization_node."""

    name = "synchronization_node"
    program = "synchronization_node"


class PythonExporter(HttpReceiver):
    """benches/python_exporter.py."""

    name = "Python"

    def __init__(self, bench, domain_id, port=None):
        port = port or free_port()
        command = [sys.executable, str(BENCHES / "python_exporter.py"), "--port", str(port)]
        super().__init__(bench, domain_id, command, port)

    def counts(self):
        received = sample_sum(self.client.scrape(), "ros_message_count_total") or 0
        return Counts(int(received), None)


class WaitSetExporter(Exporter):
    """As the exporter works with a middleware that it may not take from in the callback."""

    name = "exporter, wait set"
    options = ("--ros-args", "-p", "take_in:=wait_set")


class WaitSetLoop(BareLoop):
    """The bare loop that takes in the same way."""

    name = "bare loop, wait set"
    options = ("--take-in", "wait_set")


RECEIVERS = {
    "exporter": Exporter,
    "bare_loop": BareLoop,
    "python": PythonExporter,
    "exporter_wait_set": WaitSetExporter,
    "bare_loop_wait_set": WaitSetLoop,
}
