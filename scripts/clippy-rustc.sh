#!/bin/sh
# A compiler that looks for Clippy's lints as well, and takes each warning for an error. cargo calls it for this crate in place of
# rustc, and with rustc as the first argument (see test.sh).
exec clippy-driver "$@" -D warnings
