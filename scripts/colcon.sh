#!/usr/bin/env bash
# Builds, tests and installs the package as its users do, with colcon, in a fresh workspace: target/colcon.
# What cargo has built before is not built again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/ros.sh"
enter_ros

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
workspace="$CARGO_TARGET_DIR/colcon"

rm -rf "$workspace"
mkdir -p "$workspace/src"
ln -s "$root" "$workspace/src/digital_twin_simulation"
cd "$workspace"
# The output as it comes: a build takes minutes.
colcon build --cmake-args -DCMAKE_BUILD_TYPE=Release --event-handlers console_direct+
colcon test --event-handlers console_direct+ --return-code-on-test-failure
colcon test-result
