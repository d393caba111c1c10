# shellcheck shell=bash
# Sourced by the other scripts: which ROS 2 this checkout uses, and how to step into it.
# The order: one that is sourced already, one in /opt/ros, and last .ros/ (made by setup.sh from PyPI wheels).

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)"
wheels_setup="$root/.ros/setup.bash"

die() {
    echo "error: $*" >&2
    exit 1
}

# Prints the file to source, or nothing where a ROS 2 is sourced already.
# Our own .ros counts as not sourced: sourcing it again is harmless, and setup.sh must be able to replace it.
find_ros() {
    case ":${AMENT_PREFIX_PATH-}:" in
    *":$root/.ros:"*) echo "$wheels_setup" && return ;;
    esac
    if [ -n "${AMENT_PREFIX_PATH-}" ] && [ -n "${ROS_DISTRO-}" ]; then
        return
    fi
    local distro
    for distro in jazzy humble lyrical; do
        if [ -f "/opt/ros/$distro/setup.bash" ]; then
            echo "/opt/ros/$distro/setup.bash" && return
        fi
    done
    echo "$wheels_setup"
}

# Its own function, because a sourced file sees the caller's arguments, and ROS's own setup files use unset variables.
source_ros() {
    local setup
    setup="$(find_ros)"
    [ -n "$setup" ] || return 0
    [ -f "$setup" ] || die "$setup is missing: run 'make setup'"
    set +u
    # shellcheck disable=SC1090
    source "$setup"
    set -u
}

# As bindgen looks for it: libclang-cpp is another library.
system_has_libclang() {
    local directory
    for directory in /usr/lib/llvm-*/lib /usr/lib /usr/lib64 /usr/lib/*-linux-gnu; do
        if compgen -G "$directory/libclang.so*" >/dev/null || compgen -G "$directory/libclang-[0-9]*.so*" >/dev/null; then
            return 0
        fi
    done
    return 1
}

# An ordinary ROS brings neither the test packages nor libclang: .venv has them.
use_venv() {
    export PATH="$root/.venv/bin:$PATH"
    if [ -z "${LIBCLANG_PATH-}" ] && ! system_has_libclang; then
        LIBCLANG_PATH="$(echo "$root"/.venv/lib/python3.*/site-packages/clang/native)"
        BINDGEN_EXTRA_CLANG_ARGS="-I$(cc -print-file-name=include) ${BINDGEN_EXTRA_CLANG_ARGS-}"
        export LIBCLANG_PATH BINDGEN_EXTRA_CLANG_ARGS
    fi
}

enter_ros() {
    local setup
    setup="$(find_ros)"
    source_ros
    if [ "$setup" != "$wheels_setup" ]; then
        use_venv
    fi
    # Last: the machine's own Prometheus goes first.
    export PATH="$PATH:$root/.tools/bin"
}
