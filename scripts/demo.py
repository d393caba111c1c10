"""make demo: the exporter and a simulated arm side by side, and a line a second of what a scrape shows.

DEMO_PORT chooses the exporter's port (8000), DEMO_SECONDS ends the demo by itself.
Whatever ends it, both processes that it started end with it.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent
EXPORTER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "ros_metrics_exporter"
ROBOT = ROOT / "simulation" / "demo_robot.py"
START_S_MAX = 15.0
STOP_S_MAX = 5.0
END_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PR_SET_PDEATHSIG = 1


class DemoError(Exception):
    """Something that whoever runs the demo can read and act upon."""


def environment() -> dict[str, str]:
    """Keeps the demo to this host, and away from other robots on it."""
    env = dict(os.environ)
    # Above the domains that people pick by hand, within those that never meet the ephemeral ports.
    env.setdefault("ROS_DOMAIN_ID", str(50 + os.getpid() % 50))
    env.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if env.get("ROS_DISTRO") == "humble":
        env.setdefault("ROS_LOCALHOST_ONLY", "1")  # what Humble has instead
    return env


def number(name: str, default: float | None) -> float | None:
    """A number from the environment."""
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise DemoError(f"{name} is not a number: {text}") from None


def check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            raise DemoError(f"port {port}: {error.strerror}; choose another: DEMO_PORT=8010 make demo") from None


def asked_to_end(wait_s: float) -> bool:
    """Waits that long at most. The signals are blocked, so that none can come between starting a process and noting it."""
    return signal.sigtimedwait(END_SIGNALS, wait_s) is not None


def prepare_child() -> None:
    """Ends the child with the demo even when that is killed outright, and undoes the blocking that it inherits."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)


def start(name: str, command: list[str], env: dict[str, str]) -> tuple[str, subprocess.Popen]:
    try:
        # The terminal's Ctrl-C is to reach the demo alone, which then ends both in order.
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=prepare_child
        )
        return name, process
    except OSError as error:
        raise DemoError(f"the {name} does not start: {command[0]}: {error.strerror}") from None


def stop(processes: list[tuple[str, subprocess.Popen]]) -> None:
    for _, process in processes:
        process.terminate()
    for name, process in processes:
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            print(f"the {name} did not end in {STOP_S_MAX:.0f} s and was killed", file=sys.stderr)
            process.kill()
            process.wait()


def check_alive(processes: list[tuple[str, subprocess.Popen]]) -> None:
    for name, process in processes:
        if process.poll() is not None:
            raise DemoError(f"the {name} ended by itself with status {process.returncode}")


def scrape(url: str) -> tuple[float, list[float]]:
    """Messages counted so far, and the age of each joint in seconds."""
    with urllib.request.urlopen(url, timeout=2.0) as answer:
        text = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    messages = sum(sample.value for sample in samples if sample.name == "ros_message_count_total")
    return messages, [sample.value for sample in samples if sample.name == "ros_joint_age_seconds"]


def wait_until_up(url: str, processes: list[tuple[str, subprocess.Popen]]) -> bool:
    """False when asked to end before it answers."""
    give_up = time.monotonic() + START_S_MAX
    while not asked_to_end(0.05):
        check_alive(processes)
        try:
            scrape(url)
            return True
        except OSError as error:
            if time.monotonic() > give_up:
                raise DemoError(f"{url} does not answer after {START_S_MAX:.0f} s: {error}") from None
    return False


def print_where_to_look(port: int, env: dict[str, str]) -> None:
    print(
        f"""
  open              http://localhost:{port}/
  metrics           http://localhost:{port}/metrics
  ROS domain        {env["ROS_DOMAIN_ID"]}
  in Prometheus     scrape_configs: [{{job_name: robot, scrape_interval: 1s, static_configs: [{{targets: ["localhost:{port}"]}}]}}]
  to end            Ctrl-C
""",
        flush=True,
    )


def watch(url: str, processes: list[tuple[str, subprocess.Popen]], seconds_max: float | None) -> None:
    started = last_time = time.monotonic()
    last_messages, ages = scrape(url)
    while seconds_max is None or last_time - started < seconds_max:
        if asked_to_end(1.0):
            return
        check_alive(processes)
        messages, ages = scrape(url)
        now = time.monotonic()
        rate = (messages - last_messages) / (now - last_time)
        age = f"{max(ages) * 1000:7.1f} ms" if ages else "   none yet"
        print(f"{rate:8.1f} messages/s  {len(ages):3d} joints  oldest joint {age}", flush=True)
        last_messages, last_time = messages, now
    if not last_messages:
        raise DemoError("the exporter saw no joint state")


def run() -> None:
    env = environment()
    port, seconds_max = int(number("DEMO_PORT", 8000)), number("DEMO_SECONDS", None)
    url = f"http://127.0.0.1:{port}/metrics"
    check_port(port)
    processes = []
    try:
        processes.append(start("exporter", [str(EXPORTER), "--web.listen-address", f"0.0.0.0:{port}"], env))
        processes.append(start("robot", [sys.executable, str(ROBOT)], env))
        if wait_until_up(url, processes):
            print_where_to_look(port, env)
            watch(url, processes, seconds_max)
    except OSError:
        time.sleep(0.5)
        check_alive(processes)  # says it better than a scrape that broke off
        raise
    finally:
        stop(processes)


def main() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
    try:
        run()
    except (DemoError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
