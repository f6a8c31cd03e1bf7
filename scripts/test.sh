#!/usr/bin/env bash
# Builds all tests and looks for lints while it compiles; then runs them: what depends on no time in parallel, what depends on time
# three at a time, since it mostly sleeps, and what needs the processors as well alone. Prints the ten slowest. Arguments are handed to
# the test binaries (`scripts/test.sh local::` runs what is called so).
#
# From an empty target folder all of it is to take less than twelve minutes on two cores. The processors are what building and unit tests
# take, sleeping is what the others take: so the former are kept cheap (nothing of this crate is optimised, see Cargo.toml; Clippy looks
# at the library once, see clippy-rustc.sh), and of the latter as many wait side by side as their figures bear.
set -euo pipefail
cd "$(dirname "$0")/.."

output=$(mktemp "${TMPDIR:-/tmp}/dbdyno-tests-XXXXXX")
beside=$(mktemp "${TMPDIR:-/tmp}/dbdyno-tests-XXXXXX")
trap 'rm -f "$output" "$beside"' EXIT

# Clippy is a compiler with more lints: where it compiles the tests, nothing needs to be compiled once more for the lints alone.
export RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/clippy-rustc.sh"

# From nothing to the end once: what a later build would begin with need not be written down, nor a crate be cut into many parts, which
# is an eighth of the work. (`cargo test` by itself builds step by step.)
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}" CARGO_PROFILE_DEV_CODEGEN_UNITS="${CARGO_PROFILE_DEV_CODEGEN_UNITS:-4}"

# cargo starts each test binary through this: on a stable toolchain the test harness reports durations only when it is asked
# in this way. It is asked when the binary runs, not when it is built, so nothing is built differently.
timed="$PWD/scripts/timed.sh"
gently=()
cargo_test() {
    ${gently[@]+"${gently[@]}"} cargo --config "target.'cfg(unix)'.runner='$timed'" test "$@" 2>&1 | tee -a "$output"
}

# All at once, so that the library with and without its unit tests is compiled side by side. Benchmarks are not run here, but have
# lints as well.
cargo test --no-run --lib --test '*' --bench '*'

cores=$(getconf _NPROCESSORS_ONLN)
# One server serves all of them, with a limit on its connections.
waiting=$((cores < 5 ? cores * 3 : 15))
status=0
# Most of the integration tests wait for seconds to pass, not for a processor: six of them at a time leave more than a third of two. The
# unit tests want nothing else, so they have it, at the lowest priority. The count of allocations is a program of its own.
(
    status=0
    cargo_test --test allocations -- "$@" || status=$?
    gently=(nice -n 19)
    RUST_MIN_STACK=$((8 << 20)) cargo_test --lib -- "$@" || status=$?
    exit "$status"
) >"$beside" &
cargo_test --test it -- --skip timing:: --skip alone:: --test-threads="$waiting" "$@" || status=$?
wait $! || status=$?
cat "$beside"
# A busy machine bends times: no timing test runs beside a failed or an unfinished one.
if [ "$status" = 0 ]; then
    cargo_test --test it -- timing:: --test-threads=3 "$@" || status=$?
fi
if [ "$status" = 0 ]; then
    cargo_test --test it -- alone:: --test-threads=1 "$@" || status=$?
fi

echo
echo "the ten slowest tests:"
# Read to its end: a pipe that is closed early would fail the whole.
sed -n 's/^test \([^ ]*\) .*\.\.\. .*<\([0-9.]*\)s>$/\2 s  \1/p' "$output" | sort -rn | sed -n 1,10p
exit "$status"
