#!/usr/bin/env bash
# Fetches a server of MySQL's family that this machine's release of Debian does not have, and prints the folder of its binaries:
#
#   scripts/mysql.sh mysql       the MySQL of Debian's sid, which moves on: 9.7 when this was written
#   scripts/mysql.sh mariadb     MariaDB 11.8, of Debian 13
#
#   dbdyno doctor -t local:mysql --local-bindir "$(scripts/mysql.sh mysql)"
#
# The packages come with all libraries that they need, the C library among them, from the same release, whose signature apt checks. All
# of it lies under target/; nothing is installed, and what was fetched once stays until its folder is removed. Where apt is not to be had,
# name a folder of your own: DBDYNO_MYSQL_BINDIR, DBDYNO_MARIADB_BINDIR.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'mysql: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# What is looked for, where it comes from, and how one names one's own.
case ${1:-} in
mysql) suite=sid packages=(mysql-server-core) program=mysqld variable=DBDYNO_MYSQL_BINDIR ;;
# Its mariadb-install-db wants a tool that lies among the clients.
mariadb) suite=trixie packages=(mariadb-server-core mariadb-client-core) program=mariadbd variable=DBDYNO_MARIADB_BINDIR ;;
*) fail "there is no ${1:-server without a name}: mysql or mariadb" ;;
esac
own="name the folder of a $program of your own in $variable"

if [ -n "${!variable:-}" ]; then
    [ -x "${!variable}/$program" ] || fail "$variable: ${!variable} holds no $program"
    echo "${!variable}"
    exit
fi
kept=$PWD/target/mysql/$1
binaries=$kept/usr/sbin
# The folder is put in its place when it is whole. A program that does not run any more is fetched anew.
if [ -x "$binaries/$program" ] && "$binaries/$program" --no-defaults --version >/dev/null 2>&1; then
    echo "$binaries"
    exit
fi

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "apt is needed to fetch it, which this system does not have: $own"
[ -r "$keyring" ] || fail "$keyring is needed to check what is fetched: install debian-archive-keyring, or $own"
# Of a source whose lists were never fetched, as in images of containers, it does not know that it is Debian's.
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian //p' | sed -n 1p) || true
[ -n "$mirror" ] || fail "apt names no mirror of Debian: run apt-get update where its lists are empty, else $own"

# Of two that fetch it at a time each has its own, and the one that is ready first stays.
mkdir -p "$PWD/target/mysql"
work=$(mktemp -d "$kept.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"

# An apt of our own: its sources, lists and cache are not the machine's, and to it nothing is installed, so that it wants each library.
own_apt() {
    (cd "$work/apt" && apt-get -q \
        -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::PreferencesParts=- \
        -o Dir::State::Lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" \
        -o Dir::State::extended_states="$work/apt/extended_states" -o Dir::Cache="$work/apt/cache" \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o Debug::NoLocking=true "$@") >"$work/apt/log" 2>&1 ||
        { tail -n 20 "$work/apt/log" >&2; fail "Debian's $suite did not give ${packages[*]}: $own"; }
}
say "fetching ${packages[*]} of Debian's $suite"
printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$work/apt/sources.list"
: >"$work/apt/status"
own_apt update
own_apt install --yes --download-only "${packages[@]}"
for archive in "$work"/apt/cache/archives/*.deb; do
    case ${archive##*/} in
    # Some tools beside the server are written in it; the server is not.
    perl* | libperl*) ;;
    *) dpkg-deb --extract "$archive" "$work" ;;
    esac
done
rm -rf "$work/apt"

# Each program stands behind a launcher, which gives it the libraries and the files that came with it in the place of the machine's.
mkdir "$work/programs"
launcher() { # PATH COMMAND
    local name=${1##*/}
    mv "$1" "$work/programs/$name"
    cat >"$1" <<END
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../.." && pwd -P)
# That one stands in front of all others, where it stands.
case \${1-} in --no-defaults | --defaults-*=*) first=\$1; shift ;; *) first= ;; esac
exec $2 \${first:+"\$first"} $3 "\$@"
END
    chmod 755 "$1"
}
loader=$(cd "$work" && find usr/lib* -name 'ld-linux*.so.*' -type f | sed -n 1p)
libraries=$(cd "$work" && find usr/lib* -name libc.so.6 -printf '%h\n' | sed -n 1p)
[ -n "$loader" ] && [ -n "$libraries" ] || fail "there is no C library among the packages of $suite"
run="\"\$root/$loader\" --library-path \"\$root/$libraries\" \"\$root/programs/\${0##*/}\""
for path in "$work"/usr/bin/* "$work"/usr/sbin/*; do
    [ -f "$path" ] && [ ! -L "$path" ] || continue
    case ${path##*/} in
    "$program") launcher "$path" "$run" "--basedir=\"\$root/usr\"" ;;
    mariadb-install-db) launcher "$path" "/bin/sh \"\$root/programs/\${0##*/}\"" "--basedir=\"\$root/usr\"" ;;
    *) [ "$(head -c 4 "$path" | tail -c 3)" != ELF ] || launcher "$path" "$run" "" ;;
    esac
done
# The server runs as another account where root starts it.
chmod -R a+rX "$work"
"$work/usr/sbin/$program" --no-defaults --version >&2 || fail "the $program that was fetched does not run on this machine: $own"
if ! "$binaries/$program" --no-defaults --version >/dev/null 2>&1; then
    rm -rf "$kept"
    mv -T "$work" "$kept"
fi
echo "$binaries"
