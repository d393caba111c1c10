#!/usr/bin/env bash
# Drives the release binaries from outside with tests/. Arguments go to pytest: scripts/with-ros.sh scripts/end-to-end.sh -k tls
#
# Without any, what mostly waits for tools of others and for networks runs beside the rest, and gives way to the nodes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The plugins that an ordinary ROS 2 installs for pytest (launch_testing and others) do not load in this pytest.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
# With -n 2, two at a time, in little more than half the time: most tests wait. On two busy cores nodes that live for a moment
# then stay in the middleware's graph now and then, so CI runs one at a time, and beside it, after it, what `waiting` names.
pytest=(python3 -m pytest -p pytest_timeout -p xdist)
waiting=(tests/deploy)
for subject in alerts cluster_networks launch live_page live_page_connection live_page_contents networks prometheus; do
    waiting+=("tests/end_to_end/test_$subject.py")
done
beside=""
log=""

# Its tests end what they have started when they are interrupted.
clean_up() {
    [ -z "$beside" ] || kill -INT "$beside" 2>/dev/null || true
    wait
    rm -f "$log"
}

# In a process group of its own, since the shell has what it starts in the background ignore SIGINT otherwise.
start_beside() { # PYTEST-ARGUMENT…
    log="$(mktemp)"
    set -m
    nice "${pytest[@]}" -p no:cacheprovider "$@" >"$log" 2>&1 </dev/null &
    beside=$!
    set +m
}

main() {
    local result=0
    if [ $# -gt 0 ]; then
        exec "${pytest[@]}" tests "$@"
    fi
    start_beside "${waiting[@]}"
    "${pytest[@]}" tests "${waiting[@]/#/--ignore=}" || result=$?
    wait "$beside" || result=$?
    beside=""
    cat "$log"
    return "$result"
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
main "$@"
