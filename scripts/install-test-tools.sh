#!/usr/bin/env bash
# Gets the distribution's Prometheus and promtool for the tests that use them, where apt can. The package is unpacked into
# .tools/, not installed: no service starts and the system stays as it is. Never fails: the tests that need it skip.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
tools="$root/.tools"
partial=""

skip() {
    echo "skipped: the tests with a real Prometheus ($1; to have them: apt install prometheus)"
    exit 0
}

fetch_package() {
    local apt=(apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20)
    # Only root may refresh the lists; those that are there may do.
    if [ "$(id -u)" = 0 ]; then
        timeout 120 "${apt[@]}" update >/dev/null 2>&1 || true
    fi
    (cd "$partial" && timeout 300 "${apt[@]}" download prometheus >/dev/null 2>&1)
}

unpack() {
    dpkg-deb -x "$partial"/prometheus_*.deb "$partial/files"
    # Renamed into place, so that an interruption leaves no half of a program.
    mv "$partial"/files/usr/bin/{prometheus,promtool} "$tools/bin/"
}

PATH="$PATH:$tools/bin"
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    exit 0
fi
command -v apt-get >/dev/null || skip "no apt here"
mkdir -p "$tools/bin"
echo '*' >"$tools/.gitignore"
partial="$(mktemp -d "$tools/partial.XXXXXX")"
trap 'rm -rf "$partial"' EXIT
fetch_package || skip "apt could not download it"
unpack || skip "the package could not be unpacked"
echo "got $(promtool --version | head -n1) into .tools/"
