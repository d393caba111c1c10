#!/usr/bin/env bash
# make check: formatting, lints, documentation, the project's own rules, scripts, and the dependencies.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd "$root"
tools="$root/.tools"
# In a workspace of its own.
fuzz="crates/unity-protocol/fuzz/Cargo.toml"
cargo_deny_version="0.20.2"

step() {
    echo "check: $1"
    "${@:2}"
}

# Everything that is or could be committed; what git ignores is not ours. In CI the checkout may belong to another user.
files() { # PATHSPEC…
    git -c safe.directory="$root" ls-files --cached --others --exclude-standard -- "$@"
}

# Fails, and shows where, when the pattern occurs in one of the files.
refuse() { # WHY PATTERN PATHSPEC…
    local paths found
    paths="$(files "${@:3}")"
    found="$(xargs -d '\n' grep -nIE -s -- "$2" <<<"$paths" || true)"
    if [ -n "$found" ]; then
        printf '%s\n' "$found" "error: $1" >&2
        return 1
    fi
}

check_formatting() {
    cargo fmt --all --check
    cargo fmt --manifest-path "$fuzz" --check
}

check_documentation() {
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet
}

check_rules() {
    # The brackets keep these lines from finding themselves.
    refuse "unfinished work is an issue, not a comment" '\b(TO[D]O|FIX[M]E)\b' .
    refuse "only ros-observer may be unsafe" '\bunsafe\b *(\{|fn|impl|extern|trait|\()' '*.rs' ':!crates/ros-observer'
}

check_scripts() {
    files '*.sh' '*.bash' .ci/run | xargs -d '\n' shellcheck --external-sources --source-path=SCRIPTDIR
}

check_images() {
    hadolint --config .hadolint.yaml docker/Dockerfile
}

# From source, because no current build of it is on PyPI; unoptimized, because it runs for two seconds and builds for two
# minutes. Kept by its version.
get_cargo_deny() {
    local home="$tools/cargo-deny-$cargo_deny_version"
    PATH="$home/bin:$PATH"
    if [ ! -x "$home/bin/cargo-deny" ]; then
        mkdir -p "$tools"
        echo '*' >"$tools/.gitignore"
        echo "building cargo-deny $cargo_deny_version (once)"
        CARGO_TARGET_DIR="$tools/build" CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
            CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
            cargo install --quiet --locked --no-default-features --version "$cargo_deny_version" --root "$home" cargo-deny
        rm -rf "$tools/build"
    fi
}

check_dependencies() {
    get_cargo_deny
    cargo deny --locked check --hide-inclusion-graph bans licenses sources
    # What the fuzzer is built from is not handed on: libFuzzer has a licence that is not on our list.
    cargo deny --locked --manifest-path "$fuzz" check --hide-inclusion-graph bans sources
    if cargo deny fetch db >/dev/null 2>&1; then
        cargo deny --locked check --hide-inclusion-graph --disable-fetch advisories
    else
        echo "skipped: advisories (their database could not be fetched)"
    fi
}

# What GitHub would take and others could abuse, and what it would not take.
check_workflows() {
    if command -v zizmor >/dev/null; then
        zizmor --offline --no-progress --quiet .github
    else
        echo "skipped: zizmor (there is none for this processor on PyPI)"
    fi
    if command -v actionlint >/dev/null; then
        actionlint
    else
        echo "skipped: actionlint (not installed: https://github.com/rhysd/actionlint)"
    fi
}

step "rustfmt" check_formatting
step "clippy" cargo clippy --workspace --all-targets --quiet -- --deny warnings
step "rustdoc" check_documentation
step "rules" check_rules
step "shellcheck" check_scripts
step "workflows" check_workflows
step "hadolint" check_images
step "cargo-deny" check_dependencies
echo "check: all good"
