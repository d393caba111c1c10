#!/usr/bin/env bash
# register_ros.sh: makes this system find the libraries and Python modules of the ROS that is sourced by themselves.
# For the environment of an image these are too many folders, and their names change with versions.
set -euo pipefail

tr : '\n' <<<"$LD_LIBRARY_PATH" >/etc/ld.so.conf.d/ros.conf
ldconfig
modules="$(python3 -c 'import site; print(site.getsitepackages()[0])')"
mkdir -p "$modules"
tr : '\n' <<<"$PYTHONPATH" >"$modules/ros.pth"
