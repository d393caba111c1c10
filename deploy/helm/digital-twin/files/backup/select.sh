#!/bin/sh
# select.sh FOLDER: decides what of one folder, but not of the folders in it, goes into the backup. backup.sh runs it for
# each, in the folder of the data. It adds the chosen paths to $SELECTED, a zero byte after each, and to $DECISIONS a line
# for each recording and each other file.
#
# A recording of rosbag2 is a folder with *.mcap or *.db3, and goes in as a whole or not at all. rosbag2 writes its
# metadata.yaml at the end and closes its last file only then: hence a minute more. One without metadata.yaml is being
# written, or its recorder was killed.
set -eu
# shellcheck source=log.sh
. "$(dirname "$0")/log.sh"
folder="$1"
closing_minutes=1

# By a clock that is ahead of ours the last write may be in the future: that was within the time, too.
written_within() { # MINUTES PATH
    [ -n "$(find "$2" -prune -mmin "-$1")" ]
}

choose() { # PATH
    printf '%s\0' "$1" >>"$SELECTED"
}

decide() { # DECISION
    echo "$1" >>"$DECISIONS"
}

leave_out() { # DECISION PATH WHY
    decide "$1"
    log WARN "left out: $2 $3"
}

# Runs the command with every entry of the folder that is no folder, whatever its name is.
each_entry() { # COMMAND ARGUMENT…
    for entry in "$folder"/* "$folder"/.[!.]* "$folder"/..?*; do
        if [ -L "$entry" ] || { [ -e "$entry" ] && [ ! -d "$entry" ]; }; then
            "$@" "$entry"
        fi
    done
}

is_recording() {
    [ "$folder" != . ] || return 1
    for entry in "$folder"/*.mcap "$folder"/*.db3 "$folder"/*.mcap.zstd "$folder"/*.db3.zstd; do
        [ ! -f "$entry" ] || return 0
    done
    return 1
}

note_writing() { # MINUTES PATH
    if written_within "$1" "$2"; then
        writing="$2"
    fi
}

# Whether something in the recording was written to in so many minutes.
recording_written_within() { # MINUTES
    writing=""
    each_entry note_writing "$1"
    [ -n "$writing" ]
}

decide_recording() {
    if [ -e "$folder/metadata.yaml" ]; then
        if recording_written_within "$closing_minutes"; then
            leave_out recording_left_out "$folder" "is being closed: it was written to in the last minute"
            return
        fi
    elif recording_written_within "$SETTLED_MINUTES"; then
        leave_out recording_left_out "$folder" "is being recorded: it has no metadata.yaml yet"
        return
    else
        decide recording_crashed
        log WARN "goes in without metadata.yaml, since nothing was written for $SETTLED_MINUTES minutes: $folder"
    fi
    decide recording
    each_entry choose
}

decide_file() { # PATH
    if [ ! -L "$1" ] && [ ! -f "$1" ]; then
        leave_out file_left_out "$1" "is neither file nor link"
    elif written_within "$SETTLED_MINUTES" "$1"; then
        leave_out file_left_out "$1" "was written to in the last $SETTLED_MINUTES minutes"
    else
        decide file
        choose "$1"
    fi
}

if is_recording; then
    decide_recording
else
    each_entry decide_file
fi
