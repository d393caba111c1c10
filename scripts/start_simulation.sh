#!/usr/bin/env bash
# Starts the whole system with `ros2 launch`, says when it is ready, and ends all of it when it is asked to.
# Arguments go to digital_twin_complete.launch.py: start_simulation.sh simulator:=physics robot:=physics
#
# Ready is when every node says so on its metrics port. Where one does not within START_TIMEOUT_S (120), all of it ends,
# with exit code 1; so does an end that nobody asked for. SIGINT, SIGTERM and SIGHUP end it with 0.
set -euo pipefail

start_timeout_s="${START_TIMEOUT_S:-120}"
# What has not ended then is killed. Launch itself gives its processes 5 s after each of two signals.
end_timeout_s="${END_TIMEOUT_S:-20}"
launch=""
launch_is_asked=""
asked_to_end=""

die() {
    echo "error: $*" >&2
    exit 1
}

# Of the launch arguments, the last one of that name; they begin with NAME:=.
argument() { # NAME DEFAULT ARGUMENT…
    local name="$1" value="$2" given
    for given in "${@:3}"; do
        [[ $given != "$name:="* ]] || value="${given#*:=}"
    done
    echo "$value"
}

# The ports of the nodes that these arguments start, in the order of the launch file.
metrics_ports() { # ARGUMENT…
    local first
    first="$(argument first_port 8000 "$@")"
    [ "$(argument monitoring true "$@")" != true ] || echo "$first"
    [ "$(argument synchronization true "$@")" != true ] || echo "$((first + 1))"
    [ "$(argument monitoring true "$@")" != true ] || echo "$((first + 2))"
    [ "$(argument unity true "$@")" != true ] || echo "$((first + 3))"
}

is_ready() { # PORT
    local status
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
    read -r -t 5 _ status _ <&3 || status=""
    exec 3>&-
    [ "$status" = 200 ]
} 2>/dev/null

not_ready() { # PORT…
    local port
    for port in "$@"; do
        (is_ready "$port") || echo "$port"
    done
}

# Once: a second SIGINT, while launch handles the first, can make it lose both, and it never ends.
ask_launch_to_end() {
    [ -n "$launch" ] && [ -z "$launch_is_asked" ] || return 0
    launch_is_asked=1
    # Where launch itself is gone, what it has left behind.
    kill -INT "$launch" 2>/dev/null || kill -INT -- "-$launch" 2>/dev/null || true
}

# Launch ends what it has started; what outlives it is in its process group.
end_launch() {
    [ -n "$launch" ] || return 0
    # Asked once more, it is on its way already.
    trap '' INT TERM HUP
    ask_launch_to_end
    wait_for_end "$end_timeout_s"
    kill -KILL -- "-$launch" 2>/dev/null || return 0
    # Who starts it again finds the ports free. Not for ever: what has ended stays in the group until somebody takes note.
    wait_for_end 2
}

# Until nothing is left of launch's process group.
wait_for_end() { # SECONDS
    local give_up=$((SECONDS + $1))
    while kill -0 -- "-$launch" 2>/dev/null && [ "$SECONDS" -lt "$give_up" ]; do
        sleep 0.1
    done
}

wait_until_ready() { # PORT…
    local give_up=$((SECONDS + start_timeout_s)) missing
    while missing="$(not_ready "$@")" && [ -n "$missing" ]; do
        [ -z "$asked_to_end" ] || return 0
        # Launch itself ends with 0 where a step of the start has failed.
        kill -0 "$launch" 2>/dev/null || [ -n "$asked_to_end" ] || die "it ended before it was ready: the log above says why"
        if [ "$SECONDS" -ge "$give_up" ]; then
            die "not ready after $start_timeout_s s on port ${missing//$'\n'/, }: the log above says why"
        fi
        sleep 0.2
    done
    echo "ready: metrics on ports $*"
}

main() {
    local command=(ros2 launch digital_twin_simulation digital_twin_complete.launch.py) argument ports port first
    for argument in "$@"; do
        # An option of launch, as --show-args: that is for launch alone.
        [[ $argument != -* ]] || exec "${command[@]}" "$@"
    done
    command -v ros2 >/dev/null || die "ros2 is missing: source the setup.bash of ROS 2, then install/setup.bash"
    first="$(argument first_port 8000 "$@")"
    [[ $first =~ ^[1-9][0-9]{0,4}$ ]] && [ "$first" -le 65532 ] || die "first_port:=$first is no port from 1 to 65532"
    mapfile -t ports < <(metrics_ports "$@")
    for port in "${ports[@]}"; do
        ! (is_ready "$port") || die "a node is there already, on port $port: end it, or choose others with first_port:="
    done
    # In a process group of its own, so that Ctrl-C reaches this script alone and everything can be ended together.
    set -m
    "${command[@]}" "$@" </dev/null &
    launch=$!
    set +m
    wait_until_ready "${ports[@]}"
    # A signal ends the wait, too.
    [ -n "$asked_to_end" ] || wait "$launch" || true
    # Launch itself ends with 0 when the simulator does.
    [ -n "$asked_to_end" ] || die "it ended unasked: the log above says why"
}

trap end_launch EXIT
# Passed on here: it may come just before the wait for launch.
trap 'asked_to_end=1; ask_launch_to_end' INT TERM HUP
main "$@"
