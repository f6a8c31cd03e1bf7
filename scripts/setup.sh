#!/usr/bin/env bash
# Installs what the demo and the tests need and this machine lacks: PostgreSQL's server binaries with the contrib modules and
# pgbench, and a C compiler and linker for cargo. Says and does nothing when all is there. No database cluster and no service
# of the machine is made or touched.
#
#   scripts/setup.sh           for the demo
#   scripts/setup.sh soak      also MariaDB's server
#   scripts/setup.sh bench     also MariaDB's server, sysbench, and Chromium, in which pages are looked at
#   scripts/setup.sh tests     also MariaDB's server, PgBouncer, Chromium, rustfmt and clippy, and what reads exports: HdrHistogram's
#                              reference implementation with a Java runtime, and packages of Python under target/readers
set -euo pipefail

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# A folder with a server and pgbench of version 14 or newer, as dbdyno itself looks for one.
has_postgresql() {
    local bin version
    for bin in "${DBDYNO_PG_BINDIR:-}" "$(pg_config --bindir 2>/dev/null || true)" \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && [ -x "$bin/pgbench" ] || continue
        version=$("$bin/postgres" --version | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p')
        if [ "${version:-0}" -ge 14 ]; then return 0; fi
    done
    # Elsewhere, as on a machine where somebody built it: then all of it must be on the PATH.
    has initdb && has postgres && has pgbench
}

# MariaDB's server, of which the tests start one, and the program that its installer reads option files with: Debian keeps that
# among the clients.
has_mariadb() {
    local bin
    for bin in "${DBDYNO_MARIADB_BINDIR:-}" /usr/sbin /usr/libexec /opt/homebrew/opt/mariadb/bin /usr/local/opt/mariadb/bin; do
        [ -x "$bin/mariadbd" ] || continue
        if has my_print_defaults || [ -x "$bin/my_print_defaults" ]; then return 0; fi
    done
    has mariadbd && has my_print_defaults
}

# The pooler that one of the tests puts before the server.
has_pgbouncer() {
    has pgbouncer || [ -x /usr/sbin/pgbouncer ] || [ -x /opt/homebrew/bin/pgbouncer ]
}

# The browser in which the pages of reports are tested.
has_chromium() {
    local name
    [ -n "${DBDYNO_CHROMIUM:-}" ] && return 0
    for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        # Ubuntu's package of that name is a word of advice until the snap is there.
        if has "$name" && "$name" --version 2>/dev/null | grep -qi 'chrom'; then return 0; fi
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] || [ -x /Applications/Chromium.app/Contents/MacOS/Chromium ]
}

# The reference implementation of HdrHistogram, which reads the logs of intervals. Homebrew has none, and the tests on macOS ask for none.
has_hdrhistogram() {
    [ "$(uname)" = Darwin ] || [ -f "${DBDYNO_HDRHISTOGRAM_JAR:-/usr/share/java/hdrhistogram.jar}" ]
}

has_java() {
    [ "$(uname)" = Darwin ] || has java
}

# Python that can make a folder of packages of its own: Debian keeps that apart.
has_python() {
    has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null
}

missing_packages() {
    has_postgresql || printf 'postgresql '
    has cc || printf 'gcc libc6-dev '
    # The cores are the programs alone: no service, no database, no account.
    case "${1:-}" in tests | bench | soak) has_mariadb || printf 'mariadb-server-core mariadb-client-core ' ;; esac
    case "${1:-}" in tests | bench) has_chromium || printf 'chromium ' ;; esac
    case "${1:-}" in
        tests)
            has_pgbouncer || printf 'pgbouncer '
            has_hdrhistogram || printf 'libhdrhistogram-java '
            has_java || printf 'default-jre-headless '
            has_python || printf 'python3-venv '
            has script || printf 'bsdutils '
            ;;
        bench)
            has sysbench || printf 'sysbench '
            has script || printf 'bsdutils '
            ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "run this as root, or install sudo: $*"
    fi
}

# Debian's package makes a cluster and starts it when it is installed. A drop-in tells it not to, for as long as this takes;
# postgresql-common comes first, since the folder for the drop-in is its own.
install_on_debian() {
    local drop_in=/etc/postgresql-common/createcluster.d/dbdyno.conf policy=/usr/sbin/policy-rc.d
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y --no-install-recommends)
    as_root "${apt[@]}" update
    case " $* " in
        *' postgresql '*)
            as_root "${apt[@]}" install postgresql-common
            as_root mkdir -p "$(dirname "$drop_in")"
            trap 'as_root rm -f '"$drop_in" EXIT
            as_root sh -c "echo 'create_main_cluster = false' > $drop_in"
            ;;
    esac
    # PgBouncer's package begins to run it as a service. Debian's way to say no is a policy, for as long as this takes; and
    # the next start of the machine shall not begin it either.
    case " $* " in
        *' pgbouncer '*)
            if [ ! -e "$policy" ]; then
                trap 'as_root rm -f '"$drop_in $policy" EXIT
                as_root sh -c "printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy"
            fi
            ;;
    esac
    # Ubuntu has Chromium as a snap only, by a package of another name; whatever else is missing is installed all the same.
    if [[ " $* " == *' chromium '* ]] && ! apt-cache show chromium >/dev/null 2>&1; then
        set -- "${@/chromium/chromium-browser}"
    fi
    as_root "${apt[@]}" install "$@"
    case " $* " in
        *' pgbouncer '*) if has systemctl; then as_root systemctl disable pgbouncer >/dev/null 2>&1 || true; fi ;;
    esac
}

install_on_macos() {
    has brew || fail "install Homebrew (https://brew.sh), or PostgreSQL 14 or newer with pgbench on your PATH"
    has_postgresql || brew install postgresql@17
    case "${1:-}" in tests | bench | soak) has_mariadb || brew install mariadb ;; esac
    case "${1:-}" in tests | bench) has_chromium || brew install --cask chromium ;; esac
    case "${1:-}" in
        tests)
            has_pgbouncer || brew install pgbouncer
            has_python || brew install python
            ;;
        bench) has sysbench || brew install sysbench ;;
    esac
    has cc || fail "install the command line tools: xcode-select --install"
}

# Packages of Python that read what dbdyno exports, in a folder of their own: made anew where the list of them has changed.
install_readers() {
    local root list folder
    root=$(cd "$(dirname "$0")/.." && pwd)
    list=$root/tests/readers/requirements.txt folder=$root/target/readers
    if "$folder/bin/python" -c '' 2>/dev/null && cmp -s "$list" "$folder/requirements.txt"; then return; fi
    say "fetching the readers of exports into target/readers"
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$list"
    cp "$list" "$folder/requirements.txt"
}

has cargo || fail "install Rust first: https://rustup.rs"
packages=$(missing_packages "${1:-}")
if [ -n "$packages" ]; then
    say "missing: $packages"
    # shellcheck disable=SC2086 # a list of words
    if [ "$(uname)" = Darwin ]; then
        install_on_macos "${1:-}"
    elif has apt-get; then
        install_on_debian $packages
    else
        fail "install PostgreSQL 14 or newer (server, contrib modules, pgbench), a C compiler, for tests and benchmarks MariaDB and Chromium, for the
former PgBouncer, Java, Python and util-linux' script, and for the latter sysbench, for example
  Fedora:      sudo dnf install postgresql-server postgresql-contrib gcc mariadb-server pgbouncer chromium java-latest-openjdk-headless
  Arch Linux:  sudo pacman -S postgresql gcc mariadb pgbouncer chromium jre-openjdk-headless
  Alpine:      sudo apk add postgresql postgresql-contrib gcc musl-dev mariadb pgbouncer chromium openjdk17-jre-headless python3 util-linux
or name the folders of the binaries in DBDYNO_PG_BINDIR and DBDYNO_MARIADB_BINDIR, and the jar of HdrHistogram (2.1 or newer), which
these do not have, in DBDYNO_HDRHISTOGRAM_JAR"
    fi
    has_postgresql || fail "PostgreSQL is still not found; name the folder of its binaries in DBDYNO_PG_BINDIR"
fi

case "${1:-}" in
    tests | bench | soak)
        has_mariadb || fail "MariaDB is still not found; name the folder of mariadbd in DBDYNO_MARIADB_BINDIR"
        ;;
esac
case "${1:-}" in
    tests | bench)
        has_chromium || fail "Chromium is still not found (looked for chromium, chromium-browser, google-chrome, google-chrome-stable and chrome): \
put one on the PATH, or name it in DBDYNO_CHROMIUM"
        ;;
esac
if [ "${1:-}" = bench ]; then
    has sysbench || fail "sysbench is still not found: put it on the PATH"
fi
if [ "${1:-}" = tests ]; then
    has_pgbouncer || fail "PgBouncer is still not found: put pgbouncer on the PATH"
    has_hdrhistogram || fail "HdrHistogram is still not found: name its jar in DBDYNO_HDRHISTOGRAM_JAR"
    has_java || fail "Java is still not found: put java on the PATH"
    has_python || fail "Python is still not found, or lacks its module venv: put python3 on the PATH"
    has script || fail "script, with which the tests make a terminal, is still not found: it comes with util-linux"
    install_readers
    components=()
    cargo fmt --version >/dev/null 2>&1 || components+=(rustfmt)
    cargo clippy --version >/dev/null 2>&1 || components+=(clippy)
    if [ ${#components[@]} -gt 0 ]; then
        has rustup || fail "install ${components[*]} for your Rust toolchain"
        rustup component add "${components[@]}"
    fi
fi
