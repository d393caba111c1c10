#!/usr/bin/env bash
# images.sh [TARGET…] [-- OPTION…]: builds the images of docker/Dockerfile, nodes, physics and simulation unless some are
# named, with docker's buildx or with buildah, whichever is here. The options are the builder's.
#
# They are called REGISTRY/TARGET:TAG, by default localhost/digital-twin-simulation/nodes:VERSION. BUILDER chooses docker
# or buildah.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)"
version="$(sed -n 's/.*<version>\(.*\)<\/version>.*/\1/p' "$root/package.xml")"
registry="${REGISTRY:-localhost/digital-twin-simulation}"
tag="${TAG:-$version}"

die() {
    echo "error: $*" >&2
    exit 1
}

find_builder() {
    if docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
        echo docker
    elif command -v buildah >/dev/null; then
        echo buildah
    else
        die "neither docker with buildx that runs, nor buildah: https://docs.docker.com/engine/install"
    fi
}

# Where images go: into docker's own, unless something else is asked for.
output() { # OPTION…
    [[ " $* " =~ \ --(push|output|load) ]] || echo --load
}

# Not OCI's format: that has no SHELL.
build() { # BUILDER OPTION…
    local output
    case "$1" in
    docker)
        mapfile -t output < <(output "${@:2}")
        docker buildx build "${output[@]}" "${@:2}"
        ;;
    buildah) buildah build --layers --format docker "${@:2}" ;;
    *) die "BUILDER=$1 is neither docker nor buildah" ;;
    esac
}

main() {
    local targets=() target builder
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        targets+=("$1")
        shift
    done
    [ $# = 0 ] || shift
    [ ${#targets[@]} -gt 0 ] || targets=(nodes physics simulation)
    builder="${BUILDER:-$(find_builder)}"
    for target in "${targets[@]}"; do
        echo "== $registry/$target:$tag"
        build "$builder" --file "$root/docker/Dockerfile" --target "$target" --tag "$registry/$target:$tag" \
            --label "org.opencontainers.image.title=digital-twin-simulation $target" \
            --label "org.opencontainers.image.version=$version" \
            --label org.opencontainers.image.licenses=Apache-2.0 "$@" "$root"
    done
}

main "$@"
