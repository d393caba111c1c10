#!/usr/bin/env bash
# A mock of kubectl, helm or health_check, by the name that it is started by. In the folder MOCK_TOOL it logs what it was asked
# and given, each ended by a NUL, and finds what it answers: lines of `answers` with a regular expression that the command line
# begins with, an exit code, and the name of a file with the output, of which the first one holds. What has no answer is well and
# says nothing. In Bash, since a test starts dozens of them.
set -euo pipefail

command="${0##*/} $*"
{
    printf '%s\0' "$command"
    [[ $* != *--filename=-* ]] || cat
    printf '\0'
} >>"$MOCK_TOOL/log"

while IFS=$'\t' read -r pattern exit_code output; do
    [[ $command =~ ^$pattern ]] || continue
    text="$(<"$MOCK_TOOL/$output")"
    [ -z "$text" ] || [ "$exit_code" != 0 ] || printf '%s\n' "$text"
    [ -z "$text" ] || [ "$exit_code" = 0 ] || printf '%s\n' "$text" >&2
    exit "$exit_code"
done <"$MOCK_TOOL/answers"
