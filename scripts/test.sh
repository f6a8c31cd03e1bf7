#!/usr/bin/env bash
# Runs all tests: first everything but the timing tests, in parallel; then those alone, one after another. Prints the ten
# slowest of both. Arguments are handed to the test binaries (`scripts/test.sh local::` runs what is called so).
set -euo pipefail
cd "$(dirname "$0")/.."

output=$(mktemp "${TMPDIR:-/tmp}/dbdyno-tests-XXXXXX")
trap 'rm -f "$output"' EXIT

# cargo starts each test binary through this: on a stable toolchain the test harness reports durations only when it is asked
# in this way. It is asked when the binary runs, not when it is built, so nothing is built differently.
timed="$PWD/scripts/timed.sh"
cargo_test() {
    cargo --config "target.'cfg(unix)'.runner='$timed'" test --lib --test '*' "$@" 2>&1 | tee -a "$output"
}

# Most of these wait for seconds to pass, not for a processor.
cores=$(getconf _NPROCESSORS_ONLN)
status=0
cargo_test -- --skip timing:: --test-threads=$((cores * 2)) "$@" || status=$?
# A busy machine bends times: no timing test runs beside a failed or an unfinished one.
if [ "$status" = 0 ]; then
    cargo_test -- timing:: --test-threads=1 "$@" || status=$?
fi

echo
echo "the ten slowest tests:"
# Read to its end: a pipe that is closed early would fail the whole.
sed -n 's/^test \([^ ]*\) .*\.\.\. .*<\([0-9.]*\)s>$/\2 s  \1/p' "$output" | sort -rn | sed -n 1,10p
exit "$status"
