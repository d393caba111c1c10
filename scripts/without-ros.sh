#!/usr/bin/env bash
# without-ros.sh COMMAND…: runs the command as on a machine that has no ROS 2, also in a shell that sourced one.
set -euo pipefail
exec env -u AMENT_PREFIX_PATH -u CMAKE_PREFIX_PATH -u ROS_DISTRO -u ROS_VERSION -u LD_LIBRARY_PATH "$@"
