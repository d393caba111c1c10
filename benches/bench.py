#!/usr/bin/env python3
"""Compares the nodes with Python ones and with loops that only take. Run it by `make bench`.

Prints markdown tables with a verdict on each bar, keeps the raw numbers as JSON, and ends with 1 if a bar is missed.
"""

import argparse
import json
import os
import platform
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path

from interference import Interference
from measurements import bridge, cpu, latency, live, max_rate, scrape, soak, start, synchronize, watch
from measurements.settings import CONTENDERS, Settings
from processes import Bench, BenchError

ROOT = Path(__file__).resolve().parent.parent
MEASUREMENTS = {
    "cpu": cpu,
    "max-rate": max_rate,
    "soak": soak,
    "scrape": scrape,
    "latency": latency,
    "start": start,
    "watch": watch,
    "synchronize": synchronize,
    "bridge": bridge,
    "live": live,
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "measurements", nargs="*", metavar="MEASUREMENT", help=f"of {', '.join(MEASUREMENTS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="one short run of a few cells, to see that it works")
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs that a median is taken of (3)")
    parser.add_argument("--window", type=float, default=6.0, metavar="SECONDS", help="of a CPU measurement (6)")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help=f"of {', '.join(CONTENDERS)}; default: all")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target/release", help="release binaries")
    parser.add_argument("--out-dir", type=Path, default=ROOT / "target/bench", help="for raw results and the log")
    arguments = parser.parse_args()
    arguments.measurements = arguments.measurements or list(MEASUREMENTS)
    arguments.contenders = arguments.contenders.split(",")
    check_names(parser, arguments.measurements, MEASUREMENTS)
    check_names(parser, arguments.contenders, CONTENDERS)
    return arguments


def check_names(parser, given, known):
    for name in given:
        if name not in known:
            parser.error(f"{name!r} is none of: {', '.join(known)}")


def describe_machine():
    return {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "cpu_model": cpu_model(),
        "kernel": platform.release(),
        "ros_distro": os.environ.get("ROS_DISTRO"),
        "rmw": os.environ.get("RMW_IMPLEMENTATION", "default"),
        "discovery_range": os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
    }


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def describe_use(processors):
    return f"{processors['others']:.2f} kept busy by other programs, {processors['stolen']:.2f} taken by the hypervisor"


def run(arguments, results_path):
    settings = Settings(
        bench=Bench(bin_dir=arguments.bin_dir, log_path=results_path.with_suffix(".log")),
        contenders=tuple(arguments.contenders),
        runs=1 if arguments.quick else arguments.runs,
        window_seconds=2.0 if arguments.quick else arguments.window,
        quick=arguments.quick,
    )
    machine = describe_machine()
    print("# Benchmark\n")
    print(", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in machine.items()))
    missed = []
    results = {"machine": machine, "quick": arguments.quick}
    for name in arguments.measurements:
        interference = Interference()
        section = MEASUREMENTS[name].measure(settings)
        processors = interference.processors()
        print(f"\n{section}\n\nMeanwhile, of {machine['cpus']} processors: {describe_use(processors)}.", flush=True)
        missed += section.missed
        results[name] = {"processors_used_otherwise": processors, "raw": section.raw}
        results_path.write_text(json.dumps(results, indent=1))
    return missed


def main():
    arguments = parse_arguments()
    # As an exception, so that every process is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    results_path = arguments.out_dir / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.json"
    try:
        missed = run(arguments, results_path)
    except BenchError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"\nRaw results: {results_path}")
    if missed:
        print("\nMissed:\n" + "\n".join(f"- {bar}" for bar in missed))
        sys.exit(1)


if __name__ == "__main__":
    main()
