#!/usr/bin/env bash
# Makes a PgBouncer that keeps prepared statements (1.21 or newer), which Debian 12 does not have, and prints the folder that it lies
# in. Where the installed one is new enough, it is that. Else it is built from Debian's source package, whose origin apt checks, and
# whose release this script knows by its checksum. All of it lies under target/; nothing is installed.
#
#   DBDYNO_PGBOUNCER_BINDIR=$(scripts/pgbouncer.sh) scripts/test.sh pooler
#
# Where apt is not to be had, name a folder of your own in DBDYNO_PGBOUNCER_BINDIR.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.24.1
checksum=da72a3aba13072876d055a3e58dd4aba4a5de4ed6148e73033185245598fd3e0
# The release of Debian that has it.
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
kept=$PWD/target/pgbouncer

say() { printf 'pgbouncer: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

keeps_prepared() { # PROGRAM
    local major minor
    IFS=. read -r major minor _ < <("$1" --version 2>/dev/null | sed -n 's/^PgBouncer \([0-9.]*\).*/\1/p')
    [ "${major:-0}" -gt 1 ] || { [ "${major:-0}" = 1 ] && [ "${minor:-0}" -ge 21 ]; }
}

if [ -n "${DBDYNO_PGBOUNCER_BINDIR:-}" ]; then
    keeps_prepared "$DBDYNO_PGBOUNCER_BINDIR/pgbouncer" || fail "$DBDYNO_PGBOUNCER_BINDIR holds no PgBouncer of version 1.21 or newer"
    echo "$DBDYNO_PGBOUNCER_BINDIR"
    exit
fi
for folder in "$kept/$version" /usr/sbin /usr/bin /usr/local/bin /opt/homebrew/bin; do
    if [ -x "$folder/pgbouncer" ] && keeps_prepared "$folder/pgbouncer"; then
        echo "$folder"
        exit
    fi
done

command -v apt-get >/dev/null || fail "the installed PgBouncer is older than 1.21: name the folder of a newer one in DBDYNO_PGBOUNCER_BINDIR"
command -v make >/dev/null && command -v cc >/dev/null || fail "a C compiler and make are needed to build PgBouncer $version"
[ -r "$keyring" ] || fail "$keyring is needed to check what is fetched: install debian-archive-keyring, or name the folder of a PgBouncer of version 1.21 or newer in DBDYNO_PGBOUNCER_BINDIR"
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian //p' | sed -n 1p)
[ -n "$mirror" ] || fail "apt knows no mirror of Debian: name the folder of a PgBouncer of version 1.21 or newer in DBDYNO_PGBOUNCER_BINDIR"

work=$kept/work
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/fetched" "$work/libevent"

# An apt of our own: its sources, lists and cache are not the machine's.
own_apt() {
    (cd "$work/fetched" && apt-get -q \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@") >&2
}
say "fetching the source of PgBouncer $version"
printf 'deb-src [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$work/sources.list"
own_apt update
own_apt source --download-only pgbouncer
release=$work/fetched/pgbouncer_$version.orig.tar.gz
[ -f "$release" ] || fail "Debian's $suite has another version than $version: $(ls "$work/fetched")"
echo "$checksum  $release" | sha256sum --check --status || fail "$release is not the release of PgBouncer $version"
tar xzf "$release" -C "$work" --strip-components=1 --one-top-level=source

# Its headers and a library to be linked into the program, of this machine's release.
say "fetching libevent"
(cd "$work/fetched" && apt-get -q -o APT::Sandbox::User=root download libevent-dev) >&2
dpkg-deb --extract "$work"/fetched/libevent-dev_*.deb "$work/libevent"
library=$(find "$work/libevent" -name libevent.a)

say "building PgBouncer $version"
(
    cd "$work/source"
    triplet=$(basename "$(dirname "$library")")
    export LIBEVENT_CFLAGS="-I$work/libevent/usr/include -I$work/libevent/usr/include/$triplet" LIBEVENT_LIBS="$library"
    ./configure --without-openssl --without-cares --disable-debug
    make pgbouncer
) >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; fail "PgBouncer $version could not be built"; }
mkdir -p "$kept/$version"
cp "$work/source/pgbouncer" "$kept/$version/pgbouncer"
rm -rf "$work"
echo "$kept/$version"
