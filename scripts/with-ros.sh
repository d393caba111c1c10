#!/usr/bin/env bash
# with-ros.sh COMMAND…: runs the command in the ROS 2 that this checkout uses, with the Python that has the test packages.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/ros.sh"
enter_ros
exec "$@"
