# shellcheck shell=sh
# The log of the scripts here: a line of JSON for each thing, on standard output, as the nodes have theirs.

# Where standard output is now: a signal may come while that of a command goes elsewhere.
exec 3>&1

# As JSON has it, without characters that end a line or control a terminal.
quoted() { # TEXT
    printf '"%s"' "$(printf '%s' "$1" | tr '\001-\011\013-\037\177' '?' |
        sed -e ':more' -e '$!{' -e N -e 'b more' -e '}' -e 's/[\\"]/\\&/g' -e 's/\n/\\n/g')"
}

log() { # LEVEL MESSAGE [MORE-JSON]
    printf '{"timestamp":"%s","level":"%s","message":%s%s}\n' \
        "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$(quoted "$2")" "${3:+,$3}" >&3
}
