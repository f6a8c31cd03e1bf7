#!/bin/sh
# Runs one test binary with the durations of its tests in the output. Called by cargo (see test.sh).
# A toolchain whose harness no longer takes the option runs the tests all the same, without durations.
if RUSTC_BOOTSTRAP=1 "$1" -Z unstable-options --report-time --list >/dev/null 2>&1; then
    RUSTC_BOOTSTRAP=1 exec "$@" -Z unstable-options --report-time
fi
exec "$@"
