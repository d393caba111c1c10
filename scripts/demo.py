"""make demo: a robot and its twin in physics, the exporter and the synchronization node, and a line a second of what two
scrapes show.

DEMO_PORT chooses the exporter's port (8000), the next one is the synchronization node's (8001). DEMO_SECONDS ends the demo
by itself. Whatever ends it, all processes that it started end with it.
"""

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from processes import RELEASE, ROOT, DemoError, Processes, asked_to_end, block_end_signals, check_port, environment

ROBOT_TOPIC, TWIN_TOPIC = "/joint_states", "/twin/joint_states"
PHYSICS = [sys.executable, str(ROOT / "simulation" / "physics_twin.py")]
ROBOT = [*PHYSICS, "--motion", "wave", "--publish-description"]
TWIN = [*PHYSICS, "--namespace", "twin", "--follow", ROBOT_TOPIC, "--command-delay", "0.08"]
EXPORTER = [str(RELEASE / "ros_metrics_exporter")]
EXPORTER_PARAMETERS = ["--ros-args", "-p", f"topics:=['{ROBOT_TOPIC}', '{TWIN_TOPIC}']"]
SYNCHRONIZER = [str(RELEASE / "synchronization_node")]
# Above the delay that the twin is given: a lag that is expected is no fault.
SYNCHRONIZER_PARAMETERS = ["--ros-args", "-p", "max_latency:=0.2"]
START_S_MAX = 15.0


@dataclass(frozen=True)
class Ports:
    exporter: int
    synchronizer: int


def number(name: str, default: float | None) -> float | None:
    """A number from the environment."""
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise DemoError(f"{name} is not a number: {text}") from None


def choose_ports() -> Ports:
    port = number("DEMO_PORT", 8000)
    if not 1 <= port <= 65534 or port != int(port):
        raise DemoError(f"DEMO_PORT is not a port from 1 to 65534: {port:g}")
    ports = Ports(int(port), int(port) + 1)
    for one in (ports.exporter, ports.synchronizer):
        check_port(one, "choose another and the one after it: DEMO_PORT=8010 make demo")
    return ports


class Page:
    """The samples of one scrape."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2.0) as answer:
            text = answer.read().decode()
        self._samples: dict[str, list[Sample]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append(sample)

    def values(self, name: str, **labels: str) -> list[float]:
        return [sample.value for sample in self._with(name, labels)]

    def label_of_one(self, name: str, label: str) -> str:
        """Of a family of which one series is 1, the label of that."""
        return next(sample.labels[label] for sample in self._with(name, {}) if sample.value == 1.0)

    def _with(self, name: str, labels: dict[str, str]) -> Iterator[Sample]:
        return (sample for sample in self._samples.get(name, []) if labels.items() <= sample.labels.items())


def milli(values: list[float], unit: str) -> str:
    """Their mean in thousandths of the unit."""
    return f"{1000.0 * sum(values) / len(values):6.1f} m{unit}" if values else f"     - m{unit}"


def exporter_line(page: Page, rate: float) -> str:
    ages = page.values("ros_joint_age_seconds")
    oldest = milli([max(ages)] if ages else [], "s")
    return f"{rate:6.1f} messages/s  {len(ages):3d} joints, oldest {oldest}"


def synchronizer_line(page: Page) -> str:
    state = page.label_of_one("ros_twin_state", "state")
    lag = milli(page.values("ros_twin_lag_seconds"), "s")
    raw, compensated = (
        milli(page.values("ros_twin_joint_error_rms", compensation=compensation), "rad") for compensation in ("none", "lag")
    )
    return f"{state:9}  lag {lag}  error {raw}, without the lag {compensated}"


def wait_until_up(ports: Ports, processes: Processes) -> bool:
    """False when asked to end before both answer."""
    give_up = time.monotonic() + START_S_MAX
    while not asked_to_end(0.05):
        processes.check_alive()
        try:
            Page(ports.exporter), Page(ports.synchronizer)
            return True
        except OSError as error:
            if time.monotonic() > give_up:
                raise DemoError(f"no answer after {START_S_MAX:.0f} s: {error}") from None
    return False


def print_where_to_look(ports: Ports, domain_id: str) -> None:
    exporter, synchronizer = f"localhost:{ports.exporter}", f"localhost:{ports.synchronizer}"
    print(
        f"""
  the exporter      http://{exporter}/        what both say: http://{exporter}/metrics
  synchronization   http://{synchronizer}/        how they differ: http://{synchronizer}/metrics
  ROS domain        {domain_id}
  in Prometheus     scrape_configs: [{{job_name: demo, scrape_interval: 1s, static_configs: [{{targets: ["{exporter}", "{synchronizer}"]}}]}}]
  to end            Ctrl-C
""",
        flush=True,
    )


def watch(ports: Ports, processes: Processes, seconds_max: float | None) -> None:
    started = last_time = time.monotonic()
    last_messages = sum(Page(ports.exporter).values("ros_message_count_total"))
    while seconds_max is None or last_time - started < seconds_max:
        if asked_to_end(1.0):
            return
        processes.check_alive()
        page, now = Page(ports.exporter), time.monotonic()
        messages = sum(page.values("ros_message_count_total"))
        rate = (messages - last_messages) / (now - last_time)
        print(f"{exporter_line(page, rate)}   {synchronizer_line(Page(ports.synchronizer))}", flush=True)
        last_messages, last_time = messages, now
    if not last_messages:
        raise DemoError("the exporter saw no joint state")


def start_all(ports: Ports, processes: Processes) -> None:
    for name, program, port, parameters in (
        ("exporter", EXPORTER, ports.exporter, EXPORTER_PARAMETERS),
        ("synchronization node", SYNCHRONIZER, ports.synchronizer, SYNCHRONIZER_PARAMETERS),
    ):
        processes.start(name, [*program, "--web.listen-address", f"0.0.0.0:{port}", *parameters])
    processes.start("twin", TWIN)
    processes.start("robot", ROBOT)


def choose_seconds() -> float | None:
    seconds = number("DEMO_SECONDS", None)
    # Not "<= 0", which lets through what is no number at all.
    if seconds is not None and not seconds > 0.0:
        raise DemoError(f"DEMO_SECONDS is not above 0: {seconds:g}")
    return seconds


def run() -> None:
    # What needs no port first: that one is taken is no fault of a setting.
    seconds_max, ports = choose_seconds(), choose_ports()
    env = environment()
    with Processes(env) as processes:
        try:
            start_all(ports, processes)
            if wait_until_up(ports, processes):
                print_where_to_look(ports, env["ROS_DOMAIN_ID"])
                watch(ports, processes, seconds_max)
        except OSError:
            time.sleep(0.5)
            processes.check_alive()  # says it better than a scrape that broke off
            raise


def main() -> int:
    block_end_signals()
    try:
        run()
    except (DemoError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
