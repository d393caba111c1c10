#!/usr/bin/env bash
# bench.sh [OPTION…] [MEASUREMENT…]: builds release and compares the nodes with Python and with bare loops.
# The options are those of benches/bench.py; --quick shows in a few minutes that all of it works.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)"

cd "$root"
scripts/with-ros.sh cargo build --release \
    --package load --package ros-metrics-exporter --package monitoring-node --package synchronization-node \
    --package unity-bridge-node
exec scripts/with-ros.sh python3 benches/bench.py --bin-dir "${CARGO_TARGET_DIR:-target}/release" "$@"
