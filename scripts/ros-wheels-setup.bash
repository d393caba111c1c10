# shellcheck shell=bash
# Becomes .ros/setup.bash: `source` it as you would /opt/ros/jazzy/setup.bash. Finds its own place, so that the prefix
# may be moved; sourcing it again changes nothing; what the user has set stays.

_ros_prefix="$(cd "$(dirname "${BASH_SOURCE[0]}")" >/dev/null && pwd -P)"

_ros_prepend() { # VARIABLE PATH
    case ":${!1-}:" in
    *":$2:"*) ;;
    *) export "$1=$2${!1:+:${!1}}" ;;
    esac
}

if [ "${ROS_DISTRO:-jazzy}" != jazzy ]; then
    echo "ROS_DISTRO was '$ROS_DISTRO' before: do not mix paths of two distributions in one shell." >&2
fi
export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
# The wheels hold this one middleware only.
export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"
_ros_prepend AMENT_PREFIX_PATH "$_ros_prefix"
_ros_prepend LD_LIBRARY_PATH "$_ros_prefix/lib"
# Its python3 is the one that has rclpy, so PYTHONPATH is not needed and stays as it is.
_ros_prepend PATH "$_ros_prefix/bin"

# bindgen reads the C headers of rcl through libclang. The wheel brings no compiler headers (stdbool.h): take the C
# compiler's. Whoever has set LIBCLANG_PATH has a libclang that finds its own.
if [ -z "${LIBCLANG_PATH-}" ]; then
    LIBCLANG_PATH="$(echo "$_ros_prefix"/lib/python3.*/site-packages/clang/native)"
    export LIBCLANG_PATH
    _ros_headers="$(cc -print-file-name=include 2>/dev/null || true)"
    if [ -d "$_ros_headers" ]; then
        export BINDGEN_EXTRA_CLANG_ARGS="${BINDGEN_EXTRA_CLANG_ARGS:+$BINDGEN_EXTRA_CLANG_ARGS }-I$_ros_headers"
    fi
fi

unset -f _ros_prepend
unset _ros_prefix _ros_headers
