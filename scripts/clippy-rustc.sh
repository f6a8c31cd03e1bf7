#!/bin/sh
# A compiler that takes each warning for an error, and looks for Clippy's lints as well. cargo calls it for this crate in place of rustc,
# and with rustc as the first argument (see test.sh).
case " $* " in
    # The library is compiled twice, with its unit tests and without. With them all of its code is there; without them nothing would be
    # left for Clippy to find.
    *" --crate-type lib "*) exec "$@" -D warnings ;;
    # Unit tests simulate much. Where the smallest functions are put in place of their calls, as an optimising build begins, they take
    # two thirds of the time, and the compiler no longer than else. The option is not stable: it is asked for first.
    *" src/lib.rs "*" --test "*)
        inline="-Z inline-mir=yes"
        if RUSTC_BOOTSTRAP=1 "$1" $inline --print sysroot >/dev/null 2>&1; then
            # shellcheck disable=SC2086 # two words
            RUSTC_BOOTSTRAP=1 exec clippy-driver "$@" $inline -D warnings
        fi
        ;;
esac
exec clippy-driver "$@" -D warnings
