#!/usr/bin/env bash
# make experiment: runs robot, twin and synchronization node as the end-to-end test does, which has to pass, keeps what the
# node says as CSV, and draws that.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/ros.sh"
requirements="$root/scripts/plot-requirements.txt"
tools="$root/.tools"
plotting="$tools/plotting"
csv="$root/docs/synchronization_experiment.csv"

is_current() {
    [ -f "$plotting/stamp" ] && cmp --silent "$requirements" "$plotting/stamp"
}

# Beside ROS and not in it: a ROS has a numpy of its own.
get_matplotlib() {
    local new="$plotting.new"
    echo "getting matplotlib into .tools/ (once)"
    mkdir -p "$tools"
    echo '*' >"$tools/.gitignore"
    rm -rf "$new" "$plotting"
    python3 -m venv "$new"
    env -u PYTHONPATH PIP_USER=0 "$new/bin/python3" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary=:all: -r "$requirements"
    # Last, as it says that all of it is there.
    cp "$requirements" "$new/stamp"
    mv "$new" "$plotting"
}

enter_ros
is_current || get_matplotlib
"$root/scripts/end-to-end.sh" -k test_a_delay_is_no_divergence --record-experiment "$csv"
env -u PYTHONPATH "$plotting/bin/python3" "$root/scripts/draw_experiment.py" "$csv" "${csv%.csv}.svg"
