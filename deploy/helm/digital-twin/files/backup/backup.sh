#!/bin/sh
# backup.sh: backs up the recordings, and the other files beside them, that nobody writes to; removes old snapshots; looks
# whether the repository is sound. Ends with 0 when all of that was done, else with 1; its last line of JSON says what was.
# repository.sh and docs/backup.md tell of the variables.
set -eu
event=backup
# shellcheck source=repository.sh
. "$(dirname "$0")/repository.sh"
keep_daily="${KEEP_DAILY:-7}"
keep_weekly="${KEEP_WEEKLY:-4}"
keep_monthly="${KEEP_MONTHLY:-12}"
check_subset="${CHECK_SUBSET:-5%}"
export SELECTED="$work/selected" DECISIONS="$work/decisions" SETTLED_MINUTES="${SETTLED_MINUTES:-60}"

# A restore that is under way, and what the file system keeps for itself, are nobody's data.
select_data() {
    : >"$SELECTED"
    : >"$DECISIONS"
    find . \( -path './.restore-*' -o -path ./lost+found \) -prune -o -type d -exec sh "$scripts/select.sh" {} \; \
        2>"$work/unread" || true
    [ ! -s "$work/unread" ] || log ERROR "cannot be read: $(cat "$work/unread")"
}

count_of() { # DECISION
    grep -cx "$1" "$DECISIONS" || true
}

initialize() {
    log WARN "there is no repository at $RESTIC_REPOSITORY yet: making it"
    run_restic init >/dev/null || fail "the repository $RESTIC_REPOSITORY could not be made: $(why)"
}

# By its id, because restic would look for one of the same paths, which no night has; without it every byte is read again.
back_up() {
    set -- backup --json --quiet --files-from-raw "$SELECTED" --host "$host" --tag "$tag"
    if [ -n "$newest" ]; then
        set -- "$@" --parent "$newest"
    fi
    when_unlocked "$@" >"$work/summary" || fail "the backup failed: $(why)"
    snapshot="$(grep -o '"snapshot_id":"[0-9a-f]*"' "$work/summary" | cut -d '"' -f 4)"
}

remove_old() {
    when_unlocked forget --host "$host" --tag "$tag" --group-by host,tags --keep-daily "$keep_daily" \
        --keep-weekly "$keep_weekly" --keep-monthly "$keep_monthly" --prune >/dev/null ||
        fail "backed up as ${snapshot:-nothing}, but old snapshots could not be removed: $(why)"
}

check() {
    when_unlocked check --read-data-subset "$check_subset" >/dev/null ||
        fail "backed up as ${snapshot:-nothing}, but the repository is damaged: $(why)"
}

figures() {
    printf '"snapshot":"%s","recordings":%d,"recordings_crashed":%d,"recordings_left_out":%d,"files":%d,"files_left_out":%d' \
        "$snapshot" "$(count_of recording)" "$(count_of recording_crashed)" "$(count_of recording_left_out)" \
        "$(count_of file)" "$(count_of file_left_out)"
    printf ',"bytes":%d,"bytes_added":%d' "$(number_of total_bytes_processed "$work/summary")" \
        "$(number_of data_added "$work/summary")"
}

cd "$data" || fail "there is no folder $data"
name_repository
select_data
find_repository || initialize
snapshot=""
: >"$work/summary"
if [ -s "$SELECTED" ]; then
    back_up
else
    log WARN "nothing in $data is to be backed up"
fi
remove_old
check
if [ -s "$work/unread" ]; then
    summarize ERROR failed "something in $data could not be read" "$(figures)"
    exit 1
fi
summarize INFO ok "backed up" "$(figures)"
