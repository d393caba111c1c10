#!/usr/bin/env bash
# record.sh FOLDER SECONDS: records all topics, one recording after the other, each in a folder named by its time.
# A recording is whole when its metadata.yaml is there, which is when it has ended: hence no endless one.
# record.sh --alive: whether one is under way. Ends with 0 on SIGTERM, after the recording has been ended in order.
set -euo pipefail

state="${TMPDIR:-/tmp}/recorder.pid"

alive() {
    local recorder
    recorder="$(cat "$state" 2>/dev/null)" && kill -0 "$recorder" 2>/dev/null
}

[ "${1-}" != --alive ] || { alive; exit; }

folder="$1"
seconds="$2"
recorder=""
stopping=""

stop() {
    stopping=1
    [ -z "$recorder" ] || kill -INT "$recorder" 2>/dev/null || true
}
trap stop TERM INT

# The recorder ends in order at an interrupt; what does not end then is killed, and has no metadata.yaml.
record() {
    # Else the shell would have it ignore interrupts until it takes them itself.
    set -m
    timeout --signal=INT --kill-after=30 "$seconds" \
        ros2 bag record -s mcap -a -o "$folder/$(date -u +%Y-%m-%d_%H-%M-%S)" &
    recorder=$!
    set +m
    echo "$recorder" >"$state"
    # Asked to end while this one began.
    [ -z "$stopping" ] || kill -INT "$recorder" 2>/dev/null || true
    local code=0
    wait "$recorder" || code=$?
    # The signal ended the wait, not yet the recorder.
    while [ -n "$stopping" ] && kill -0 "$recorder" 2>/dev/null; do
        wait "$recorder" || true
    done
    # 124: its time was over.
    [ -n "$stopping" ] || [ "$code" = 0 ] || [ "$code" = 124 ] || exit "$code"
}

mkdir -p "$folder"
while [ -z "$stopping" ]; do
    record
done
