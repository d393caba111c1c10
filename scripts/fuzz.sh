#!/usr/bin/env bash
# fuzz.sh [SECONDS]: fuzzes the ROS-TCP protocol, 60 s unless told otherwise, from the corpus in git.
#
# With the stable compiler: these are cargo-fuzz's flags without its sanitizer, which needs a nightly one and would look for
# faults of unsafe code, which that crate has not. Inputs that were found go to target/fuzz/, where the next run goes on; an
# input that breaks a property is reported, kept in target/fuzz/artifacts/, and fails the run.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
seconds="${1:-60}"
fuzz="$root/crates/unity-protocol/fuzz"
target="${CARGO_TARGET_DIR:-$root/target}/fuzz"

# Coverage of edges, counted inline and shown to libFuzzer, and of comparisons, which solve lengths and words.
flags=(
    --cfg fuzzing
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cdebug-assertions
    -Ccodegen-units=1
)

if ! command -v "${CXX:-c++}" >/dev/null; then
    echo "skipped: fuzzing (no C++ compiler to build libFuzzer with; to have it: apt install g++)"
    exit 0
fi
host="$(rustc -vV | sed -n 's/^host: //p')"
# Not the flags of whoever calls; and for the target alone, so that build scripts go without.
env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR="$target" \
    cargo build --quiet --release --locked --manifest-path "$fuzz/Cargo.toml" --target "$host"
mkdir -p "$target/corpus/session" "$target/artifacts"
echo "fuzzing the ROS-TCP protocol for $seconds s"
# The words that the fuzzer would recommend to itself are left out.
"$target/$host/release/session" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=4096 \
    -artifact_prefix="$target/artifacts/" -print_final_stats=1 -verbosity=0 -print_funcs=0 \
    "$target/corpus/session" "$fuzz/corpus/session" 2>&1 | sed '/^###### Recommended/,/^###### End/d'
