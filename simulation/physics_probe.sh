#!/usr/bin/env bash
# physics_probe.sh FILE: whether physics goes on in physics_twin.py, which touches its --alive-file once a second; for the
# probes of containers. Exit codes: 0 it does, 1 it does not or has not begun, 64 bad usage.
set -euo pipefail

age_seconds_max=10

if [ $# -ne 1 ]; then
    echo "usage: physics_probe.sh FILE" >&2
    exit 64
fi
touched_at="$(stat --format=%Y -- "$1")"
age_seconds=$((EPOCHSECONDS - touched_at))
if [ "$age_seconds" -gt "$age_seconds_max" ]; then
    echo "physics_probe.sh: $1 was touched $age_seconds s ago: physics stands still" >&2
    exit 1
fi
