# shellcheck shell=sh
# shellcheck disable=SC2034
# What backup.sh and restore.sh share: how they end, and restic on its repository. For busybox's sh, which restic's image has.
#
# Set by the pod: S3_ENDPOINT, S3_BUCKET, S3_PREFIX, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, RESTIC_PASSWORD, and, where
# they are to be other than here:
data="${SIMULATION_DATA:-/opt/simulation_data}"
# The name that snapshots have instead of the pod's, which is another one every night.
host="${BACKUP_HOST:-digital-twin}"
# Locks that nobody refreshes are stale after 30 minutes.
lock_wait_seconds="${LOCK_WAIT_SECONDS:-2100}"
lock_retry_seconds=15
# restic 0.17 and later would try a wrong key for a quarter of an hour.
open_seconds="${OPEN_SECONDS:-30}"
stop_seconds="${STOP_SECONDS:-20}"

tag=simulation-data
# With its whole path, since who uses it goes elsewhere.
scripts="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=log.sh
. "$scripts/log.sh"

started="$(date +%s)"
child_id=""
work="$(mktemp -d)"

# The line that a run ends with, whatever became of it.
summarize() { # LEVEL ok|failed MESSAGE [MORE-JSON]
    log "$1" "$3" "\"event\":\"${event:?}\",\"result\":\"$2\",\"seconds\":$(($(date +%s) - started))${4:+,$4}"
}

fail() { # MESSAGE
    summarize ERROR failed "$1"
    exit 1
}

clean_up() {
    rm -rf "$work"
}

# restic takes its lock away when it is interrupted (before 0.17 not when it is terminated), but where the server does not
# answer it would try to for longer than the pod has.
stop() {
    trap '' TERM INT HUP
    if [ -n "$child_id" ]; then
        kill -INT "$child_id" 2>/dev/null || true
        (sleep "$stop_seconds" && kill -KILL "$child_id" 2>/dev/null) &
        wait "$child_id" || true
        kill "$!" 2>/dev/null || true
    fi
    fail "stopped by a signal: the pod was deleted, or its time was over"
}

trap clean_up EXIT
trap stop TERM INT HUP

# Without a cache: every pod would have a new one, and one that is full stops restic for a quarter of an hour.
# Not in a $(…): it runs beside the shell, which then can stop it at a signal.
run_restic() { # ARGUMENT…
    run_beside restic --no-cache "$@"
}

# What it says has its room already, for when there is none left. It may have been the reason.
run_beside() { # COMMAND ARGUMENT…
    head -c 16384 /dev/zero | tr '\0' '\n' >"$work/stderr"
    "$@" 2<>"$work/stderr" &
    child_id=$!
    restic_code=0
    wait "$child_id" || restic_code=$?
    child_id=""
    return "$restic_code"
}

restic_said() { # PATTERN
    grep -qiE -- "$1" "$work/stderr"
}

# The last that restic said, in a line; of what it tried again, the reason.
why() {
    sed 's/^.*returned error, retrying after [^:]*: //' "$work/stderr" |
        grep -vE '^(Is there a repository|the .unlock. command|.*signal .* received|s3:|.*context canceled|[[:space:]]*$)' |
        uniq | tail -n 4 | tr '\n' ' ' | sed 's/ *$//'
}

# Locks of killed runs go, once restic calls them stale: the process is gone, or did not refresh them for half an hour.
unlock_stale() {
    run_restic unlock >/dev/null || true
}

is_locked() {
    [ "$restic_code" = 11 ] || restic_said 'already locked'
}

# Runs restic; while another one has the repository locked, later.
when_unlocked() { # ARGUMENT…
    deadline=$(($(date +%s) + lock_wait_seconds))
    waits=""
    until run_restic "$@"; do
        is_locked || return 1
        if [ -n "$waits" ]; then
            [ "$(date +%s)" -lt "$deadline" ] || return 1
            log WARN "the repository is locked, waiting: $(why)"
            sleep "$lock_retry_seconds" &
            child_id=$!
            wait "$child_id"
        fi
        waits=1
        unlock_stale
    done
}

name_repository() {
    : "${S3_ENDPOINT:?}" "${S3_BUCKET:?}" "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}" "${RESTIC_PASSWORD:?}"
    case "$S3_ENDPOINT" in
        http://* | https://*) endpoint="${S3_ENDPOINT%/}" ;;
        *) endpoint="https://${S3_ENDPOINT%/}" ;;
    esac
    RESTIC_REPOSITORY="s3:$endpoint/$S3_BUCKET${S3_PREFIX:+/$S3_PREFIX}"
    export RESTIC_REPOSITORY
}

# Whether it is there, and the newest snapshot of ours, in full, or nothing. Ends everything when that cannot be told, or when
# we may not read it: what cannot be opened is not missing.
find_repository() {
    if run_beside timeout -s INT "$open_seconds" \
        restic --no-cache snapshots --no-lock --json --host "$host" --tag "$tag" >"$work/snapshots"; then
        newest="$(last_snapshot)"
        return 0
    fi
    if [ "$restic_code" = 12 ] || restic_said 'wrong password|no key found'; then
        fail "RESTIC_PASSWORD does not open the repository $RESTIC_REPOSITORY"
    fi
    if restic_said 'access ?denied|access ?key|signature|forbidden'; then
        fail "the S3 server refuses the access key, or does not let it read $RESTIC_REPOSITORY: $(why)"
    fi
    if [ "$restic_code" = 10 ] || restic_said '(key|bucket) does not exist|NoSuch(Key|Bucket)'; then
        newest=""
        return 1
    fi
    fail "the repository $RESTIC_REPOSITORY cannot be opened: $(why)"
}

# The last one is the newest. Of strings of others the quotes would be escaped.
last_snapshot() {
    grep -o '"id":"[0-9a-f]\{64\}"' "$work/snapshots" | tail -n 1 | cut -d '"' -f 4
}

# A number of restic's JSON.
number_of() { # NAME FILE
    grep -o "\"$1\":[0-9]*" "$2" | tail -n 1 | cut -d : -f 2
}
