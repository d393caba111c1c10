#!/usr/bin/env bash
# Drives the release binaries from outside with tests/. Arguments go to pytest: scripts/with-ros.sh scripts/end-to-end.sh -k tls
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The plugins that an ordinary ROS 2 installs for pytest (launch_testing and others) do not load in this pytest.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
# With -n 2, two at a time, in little more than half the time: most tests wait. On two busy cores nodes that live for a moment
# then stay in the middleware's graph now and then, so CI runs one at a time.
exec python3 -m pytest -p pytest_timeout -p xdist tests "$@"
