#!/usr/bin/env bash
# Drives the release binaries from outside with tests/. Arguments go to pytest: scripts/with-ros.sh scripts/end-to-end.sh -k tls
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The plugins that an ordinary ROS 2 installs for pytest (launch_testing and others) do not load in this pytest.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
# Most tests wait most of the time: two at a time take little more than half as long. -n 0 for one at a time.
exec python3 -m pytest -p pytest_timeout -p xdist -n 2 --dist worksteal tests "$@"
