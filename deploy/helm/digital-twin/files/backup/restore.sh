#!/bin/sh
# restore.sh: restores a snapshot of backup.sh, the newest or $RESTORE_SNAPSHOT, into the folder of the data. $RESTORE_MODE:
#   empty      (default) refuses to where anything is
#   beside     into the folder restored-SNAPSHOT in it, which must not be there
#   overwrite  over what has the same name; what else is there stays
# All is restored to a hidden folder of the same volume and verified before anything gets its name, and metadata.yaml, by
# which a recording is whole, gets it last. Ends with 0 when everything was restored, else with 1, and the last line of
# JSON says why. repository.sh and docs/backup.md tell of the other variables.
set -eu
event=restore
# shellcheck source=repository.sh
. "$(dirname "$0")/repository.sh"
mode="${RESTORE_MODE:-empty}"
wanted="${RESTORE_SNAPSHOT:-latest}"
partial="$data/.restore-partial"

# Only one restores at a time, so what lies in the hidden folder is of one that was killed.
be_alone() {
    touch "$data/.restore-lock" 2>/dev/null || fail "nothing can be written to $data"
    exec 9>"$data/.restore-lock"
    flock -n 9 || fail "another restore is under way"
    rm -rf "$partial" && mkdir "$partial"
    trap 'clean_up; rm -rf "$partial" "$data/.restore-lock"' EXIT
}

is_empty() {
    for entry in "$data"/* "$data"/.[!.]* "$data"/..?*; do
        case "$entry" in
            "$data"/.restore-* | "$data"/lost+found) ;;
            *) [ ! -e "$entry" ] && [ ! -L "$entry" ] || return 1 ;;
        esac
    done
}

check_place() {
    case "$mode" in
        empty) is_empty || fail "$data is not empty: RESTORE_MODE beside or overwrite restores there nevertheless" ;;
        beside | overwrite) ;;
        *) fail "RESTORE_MODE is $mode, and not empty, beside or overwrite" ;;
    esac
}

find_snapshot() {
    if [ "$wanted" = latest ]; then
        snapshot="$newest"
        [ -n "$snapshot" ] || fail "there is no snapshot of $host in $RESTIC_REPOSITORY"
    else
        when_unlocked snapshots --json "$wanted" >"$work/snapshots" || fail "there is no snapshot $wanted: $(why)"
        snapshot="$(last_snapshot)"
        [ -n "$snapshot" ] || fail "there is no snapshot $wanted in $RESTIC_REPOSITORY"
    fi
    short="$(printf '%.8s' "$snapshot")"
    beside="$data/restored-$short"
    [ "$mode" != beside ] || [ ! -e "$beside" ] || fail "$beside is there already"
}

# Files take whole blocks.
check_space() {
    when_unlocked stats --json --mode restore-size "$snapshot" >"$work/size" ||
        fail "the size of snapshot $short cannot be read: $(why)"
    bytes="$(number_of total_size "$work/size")"
    files="$(number_of total_file_count "$work/size")"
    needed_kib=$((bytes / 1024 + files * 4 + 1024))
    free_kib="$(df -Pk "$data" | tail -n 1 | awk '{print $4}')"
    [ "$free_kib" -ge "$needed_kib" ] ||
        fail "no room in $data: snapshot $short takes $needed_kib KiB, and $free_kib KiB are free"
}

restore() {
    when_unlocked restore "$snapshot" --target "$partial" --verify >/dev/null && return
    if restic_said 'no space left on device'; then
        fail "the disk of $data is full: nothing of snapshot $short was restored"
    fi
    fail "snapshot $short could not be restored: $(why)"
}

put_in_place() {
    if [ "$mode" = beside ]; then
        mv "$partial" "$beside"
    else
        (cd "$partial" && find . -type d -exec sh "$scripts/place.sh" "$data" {} \; -prune) 2>"$work/unplaced" || true
        [ ! -s "$work/unplaced" ] || fail "not everything of snapshot $short got its place: $(cat "$work/unplaced")"
    fi
}

[ -d "$data" ] || fail "there is no folder $data"
name_repository
check_place
find_repository || fail "there is no repository at $RESTIC_REPOSITORY"
be_alone
find_snapshot
check_space
restore
put_in_place
summarize INFO ok "restored" "\"snapshot\":\"$snapshot\",\"mode\":\"$mode\",\"files\":$files,\"bytes\":$bytes"
