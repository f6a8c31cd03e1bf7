//! Migrations under load on a MariaDB: by which algorithm each form of DDL is carried out, whom it blocks, what the server commits by
//! itself, and what is refused there.

use std::time::Duration;

use dbdyno::model::{DdlInfo, DdlOutcome, Migration, MigrationOutcome, MigrationState, Verdict};

use crate::harness::{is_mysql, local_mysql, wait_until};
use crate::mariadb::MyDatabase;
use crate::migration::{SHORT, blocked, check_at, ddl, holds, migration, migrations, reader_and_writer};
use crate::place::{Measured, Place, assert_same};

/// One form of DDL: the algorithm and the lock of the server's documentation, and whether the table is another one afterwards.
struct Form {
    sql: &'static str,
    algorithm: &'static str,
    lock: &'static str,
    rewrites: bool,
}

const fn form(sql: &'static str, algorithm: &'static str, lock: &'static str, rewrites: bool) -> Form {
    Form { sql, algorithm, lock, rewrites }
}

/// MariaDB's documentation, "InnoDB Online DDL Operations with the … Alter Algorithm", as of 10.11.
const FORMS: [Form; 12] = [
    form("ALTER TABLE t ADD COLUMN note text", "INSTANT", "NONE", false),
    form("ALTER TABLE t ADD COLUMN first_of_all int FIRST", "INSTANT", "NONE", false),
    // Within 255 bytes, at four bytes a letter; beyond them the length takes another byte in each row.
    form("ALTER TABLE t MODIFY word varchar(50)", "INSTANT", "NONE", false),
    form("ALTER TABLE t MODIFY word varchar(80)", "COPY", "SHARED", true),
    form("ALTER TABLE t RENAME COLUMN grp TO grps", "INSTANT", "NONE", false),
    form("ALTER TABLE t ALTER grps SET DEFAULT 7", "INSTANT", "NONE", false),
    form("CREATE INDEX by_word ON t (word)", "NOCOPY", "NONE", false),
    form("DROP INDEX by_word ON t", "NOCOPY", "NONE", false),
    form("ALTER TABLE t FORCE", "INPLACE", "NONE", true),
    form("ALTER TABLE t MODIFY n bigint NOT NULL", "COPY", "SHARED", true),
    form("ALTER TABLE t ADD COLUMN copied int, ALGORITHM=COPY", "COPY", "SHARED", true),
    form("ALTER TABLE t DROP COLUMN note", "INSTANT", "NONE", false),
];
const ROWS: u64 = 5_000;

impl Form {
    /// What this server's documentation says. MySQL has no word for what is in place and builds no table ("Online DDL Operations"), and
    /// does not call a longer VARCHAR instant; MariaDB copies beside those who write from 11.2 on.
    fn expected(&self, copies_beside_writers: bool) -> (&'static str, &'static str) {
        let lengthens = self.sql.ends_with("varchar(50)");
        let algorithm = match self.algorithm {
            "NOCOPY" if is_mysql() => "INPLACE",
            "INSTANT" if is_mysql() && lengthens => "INPLACE",
            of_mariadb => of_mariadb,
        };
        (algorithm, if self.lock == "SHARED" && copies_beside_writers { "NONE" } else { self.lock })
    }
}

/// Whether those who write need not wait for a copy.
fn copies_beside_writers(database: &MyDatabase) -> bool {
    let version = database.value("SELECT VERSION()");
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    !is_mysql() && (parts.next(), parts.next()) >= (Some(11), Some(2))
}

fn table(rows: u64, filler: &str) -> MyDatabase {
    let database = MyDatabase::empty();
    database.execute(&[
        "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, grp int, word varchar(40), filler text)",
        &format!(
            "INSERT INTO t SELECT seq, 0, seq % 10, CONCAT('word ', seq), {filler} FROM seq_1_to_{rows}"
        ),
    ]);
    database
}

fn count_of(database: &MyDatabase, column: &str) -> String {
    database.value(&format!(
        "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' \
         AND COLUMN_NAME = '{column}'"
    ))
}

#[test]
fn every_form_is_carried_out_as_the_documentation_says_and_ddl_stands_whatever_fails_behind_it() {
    let database = table(ROWS, "NULL");
    let beside = copies_beside_writers(&database);
    let place = reader_and_writer();
    let forms = FORMS.iter().map(|form| form.sql).collect::<Vec<_>>().join(";\n");
    // What is before the second ALTER stands, although the file says BEGIN.
    let last = "BEGIN;\nUPDATE t SET filler = 'changed' WHERE id <= 7;\nALTER TABLE `t` ADD COLUMN kept int; # once\n\
                ALTER TABLE t ADD COLUMN kept int;\nALTER TABLE t ADD COLUMN never int;\nCOMMIT;\n";
    migrations(&place, &[("1 forms.sql", &forms), ("2 last.sql", last), ("3 never.sql", "SELECT 1;\n")]);
    let words = format!("{SHORT} --rate 40");
    let measured = check_at(&place, database.url(), database.name(), &words, &["--retries", "2"]);
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    for (form, info) in FORMS.iter().zip(&migration.statements) {
        assert_eq!((info.sql.as_str(), info.outcome), (form.sql, DdlOutcome::Committed), "{info:?}");
        let used = info.algorithm.as_ref().unwrap_or_else(|| panic!("{info:?}"));
        let (algorithm, lock) = form.expected(beside);
        assert_eq!(
            (used.algorithm.as_deref(), used.lock.as_deref()),
            (Some(algorithm), Some(lock)),
            "{info:?}"
        );
        let rewrites = if form.rewrites { vec!["t".to_owned()] } else { Vec::new() };
        assert_eq!(info.rewritten, rewrites, "{info:?}");
        let copied = if form.algorithm == "COPY" { ROWS } else { 0 };
        assert_eq!(info.affected_rows, Some(copied), "{info:?}");
        assert!(!info.implicit_commit, "it stands in no transaction: {info:?}");
    }

    let [update, kept, twice, never, _] = &migration.statements[FORMS.len()..] else {
        panic!("{:?}", migration.statements)
    };
    let outcomes = [update, kept, twice, never].map(|of| of.outcome);
    assert_eq!(
        outcomes,
        [DdlOutcome::Committed, DdlOutcome::Committed, DdlOutcome::Failed, DdlOutcome::NotReached]
    );
    assert_eq!((update.affected_rows, update.algorithm.as_ref()), (Some(7), None));
    assert!(update.implicit_commit && kept.implicit_commit && !twice.implicit_commit, "{kept:?}");
    assert!(twice.error.as_ref().is_some_and(|error| error.ends_with("(error 1060)")), "{twice:?}");
    assert_eq!((twice.file.as_str(), twice.line, twice.tries.len()), ("2 last.sql", 4, 1));
    let states: Vec<MigrationState> = migration.migrations.iter().map(|of| of.state).collect();
    assert_eq!(states, [MigrationState::Applied, MigrationState::PartlyApplied, MigrationState::NotReached]);
    let (from, to) = (update.number, kept.number);
    assert!(migration.answer.contains(&format!("Statements {from}, {to} stand")), "{}", migration.answer);
    assert_eq!([count_of(&database, "kept"), count_of(&database, "never")], ["1", "0"]);
    assert_eq!(database.value("SELECT COUNT(*) FROM t WHERE filler = 'changed'"), "7");
    let left = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    assert_eq!(database.value(left), "1", "the empty copies are gone");
    let ids: Vec<&str> = report.findings.iter().map(|of| of.id.as_str()).collect();
    let copied = if beside { "migration-rewrite" } else { "migration-copy" };
    for id in ["migration-failed", "migration-implicit-commit", copied] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
    }
    let page = Measured::from(&place.dbdyno("report --full").output().expect("it runs")).output;
    assert!(page.contains("ALGORITHM=COPY"), "{page}");

    // The report is made from the journal alone.
    let again = Measured::from(&place.dbdyno("report --format json").output().expect("it runs")).report();
    assert_same(&report, &again);
}

#[test]
fn a_column_comes_at_once_and_another_type_copies_the_table_while_writers_wait() {
    // So many and so long that the copy lasts for some looks at the sessions.
    let database = table(400_000, "REPEAT('x', 150)");
    let beside = copies_beside_writers(&database);
    let place = reader_and_writer();
    migrations(
        &place,
        &[
            ("1_note.sql", "ALTER TABLE t ADD COLUMN note int;"),
            ("2_type.sql", "ALTER TABLE t MODIFY n bigint NOT NULL;"),
        ],
    );
    let words = format!("{SHORT} --rate 60");
    let fail_on = ["--fail-on", "blocked > 300ms, rewrite"];
    let measured = check_at(&place, database.url(), database.name(), &words, &fail_on);
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    assert_eq!((migration.outcome, migration.on_copy), (MigrationOutcome::Applied, false));
    let note = ddl(migration, "ALTER TABLE t ADD COLUMN note");
    let of = |info: &DdlInfo| info.algorithm.as_ref().and_then(|used| used.algorithm.clone());
    assert_eq!((of(note).as_deref(), note.rewritten.len()), (Some("INSTANT"), 0), "{note:?}");
    assert_eq!((blocked(migration, "reader", note).0, blocked(migration, "writer", note).0), (0, 0));

    let modify = ddl(migration, "ALTER TABLE t MODIFY n");
    assert_eq!((of(modify).as_deref(), modify.rewritten.as_slice()), (Some("COPY"), &["t".to_owned()][..]));
    assert!(modify.duration_us > 1_000_000, "too quick to be seen: {modify:?}");
    writers_wait(migration, modify, beside);
    assert_eq!(blocked(migration, "reader", modify).0, 0, "{:?}", migration.victims);
    assert_eq!(holds(migration, "rewrite"), Verdict::Fail);
    let id = if beside { "migration-rewrite" } else { "migration-copy" };
    let copy = report.findings.iter().find(|of| of.id == id).expect("a finding");
    assert!(copy.evidence.contains("400000 rows were copied"), "{copy:?}");
}

/// Who writes waits for most of a copy, or not for half of it where it is made beside him. The lock is held for most of it in both cases.
fn writers_wait(migration: &Migration, modify: &DdlInfo, beside: bool) {
    // MariaDB shows it in the mode in which it was taken, MySQL in that to which it is raised.
    let mode = if is_mysql() { "SHARED_NO_WRITE" } else { "SHARED_UPGRADABLE" };
    let held = modify.locks.iter().find(|lock| lock.mode == mode).unwrap_or_else(|| panic!("{modify:?}"));
    assert!(
        held.relation.as_deref() == Some("t") && held.us > modify.duration_us / 2,
        "most of the time: {modify:?}"
    );
    let (writers, longest) = blocked(migration, "writer", modify);
    if beside {
        assert!(longest < modify.duration_us / 2, "{:?}", migration.victims);
    } else {
        assert!(writers >= 1 && longest > modify.duration_us / 2, "{:?}", migration.victims);
        assert_eq!(holds(migration, "blocked > 300ms"), Verdict::Fail);
    }
}

#[test]
fn another_try_goes_on_behind_what_stands() {
    let database = table(10, "NULL");
    database.execute(&["CREATE TABLE u (id int PRIMARY KEY)"]);
    let place = Place::new(
        "name = \"one\"\nengines = [\"mysql\"]\n[[transaction]]\nname = \"only\"\nstatements = [\"one\"]\n",
        "-- name: one :many\nSELECT 1;\n",
    );
    // sqlx puts the file into a transaction.
    let text = "ALTER TABLE u ADD COLUMN a int;\nALTER TABLE t ADD COLUMN b int;\nUPDATE t SET b = 1;";
    migrations(&place, &[("1_two.sql", text)]);
    let folder = place.path("migrations").display().to_string();
    let name = database.name();
    let running = place.begin(
        database.url(),
        &format!(
            "{SHORT} --rate 20 --force --allow-target {name} --migrations {folder} --lock-timeout 1s --retries 20 --backoff 200ms"
        ),
    );
    let holder = database.hold("t");
    let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock' \
                 AND INFO LIKE '%ALTER TABLE t ADD COLUMN b%'";
    wait_until("the second ALTER waits", Duration::from_secs(60), || database.value(waits) == "1");
    std::thread::sleep(Duration::from_millis(1500));
    drop(holder);
    let measured = running.end();
    let report = measured.report();
    let migration = migration(&report);
    assert_eq!(migration.outcome, MigrationOutcome::Applied, "{}", measured.errors);
    let [first, second, update] = migration.statements.as_slice() else { panic!("{migration:?}") };
    assert_eq!((first.tries.len(), update.tries.len()), (1, 1), "{migration:?}");
    assert!((2..=4).contains(&second.tries.len()), "{second:?}");
    assert!(second.tries[0].error.as_ref().is_some_and(|error| error.contains("(error 1205)")), "{second:?}");
    assert!(second.lock_wait_us > 1_000_000, "{second:?}");
    assert!(migration.statements.iter().all(|of| of.implicit_commit && of.in_transaction), "{migration:?}");
    assert_eq!(database.value("SELECT COUNT(*) FROM t WHERE b = 1"), "10");
}

#[test]
fn the_way_back_is_rehearsed_and_statements_of_another_version_are_prepared() {
    let database = table(100, "NULL");
    let place = reader_and_writer();
    let old = Place::new(
        "name = \"old\"\nengines = [\"mysql\"]\n[[transaction]]\nname = \"all\"\nstatements = [\"words\", \"numbers\"]\n\
         [transaction.parameter]\nid = { uniform = [1, 9] }\n",
        "-- name: words :many\nSELECT word FROM t WHERE id = :id;\n-- name: numbers :many\nSELECT n FROM t WHERE id = :id;\n",
    );
    migrations(
        &place,
        &[
            ("1_words.up.sql", "CREATE INDEX by_grp ON t (grp);\nALTER TABLE t RENAME COLUMN word TO words;"),
            ("1_words.down.sql", "ALTER TABLE t RENAME COLUMN words TO word;"),
        ],
    );
    let old_folder = old.workload();
    let more = ["--down", "--also-prepare", old_folder.to_str().expect("UTF-8"), "--fail-on", "breaks"];
    let words = format!("{SHORT} --rate 40");
    let measured = check_at(&place, database.url(), database.name(), &words, &more);
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    let prepared = migration.also_prepared.as_ref().expect("it was asked for");
    let broken: Vec<&str> = prepared.broken.iter().map(|of| of.statement.as_str()).collect();
    assert_eq!((prepared.statements, broken), (2, vec!["words"]), "{prepared:?}");
    let [down] = migration.rehearsals.as_slice() else { panic!("{:?}", migration.rehearsals) };
    assert_eq!((down.kind.as_str(), down.outcome), ("down", MigrationOutcome::Applied), "{down:?}");
    // The way back forgets to drop the index.
    assert_eq!(down.schema_differs.as_deref(), Some(&["+ index t.by_grp BTREE (grp)".to_owned()][..]));
}

#[test]
fn the_teams_own_tool_is_watched_from_outside() {
    let database = table(400_000, "REPEAT('x', 150)");
    let beside = copies_beside_writers(&database);
    let place = reader_and_writer();
    // What stands does not fall with the word that nobody knows.
    let script = place.path("migrate.sh");
    let text = "mariadb --user=\"$(printf %s \"$DATABASE_URL\" | sed 's,^mysql://\\([^:@]*\\).*,\\1,')\" \
                --database=\"$(printf %s \"$DATABASE_URL\" | sed 's,^.*/\\([^/?]*\\).*,\\1,')\" <<'SQL'\n\
                SELECT COUNT(*) FROM information_schema.TABLES;\nALTER TABLE t ADD COLUMN note int;\n\
                ALTER TABLE t MODIFY n bigint NOT NULL;\nSELECT broken;\nSQL\n";
    std::fs::write(&script, text).expect("a script");
    let command = format!("sh {}", script.display());
    let mut measured =
        place.on(database.url(), &format!("{SHORT} --rate 60 --allow-target {} --json -", database.name()));
    measured.args(["--migrate-command", &command, "--fail-on", "blocked > 300ms"]);
    let measured = Measured::from(&measured.output().expect("it runs"));
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    assert_eq!(migration.command.as_deref(), Some(command.as_str()));
    assert_eq!(migration.outcome, MigrationOutcome::Failed);
    assert!(migration.answer.contains("Unknown column 'broken'"), "{}", migration.answer);
    let modify = ddl(migration, "ALTER TABLE t MODIFY n");
    assert_eq!((modify.outcome, modify.rewritten.as_slice()), (DdlOutcome::Committed, &["t".to_owned()][..]));
    assert!(modify.duration_us > 1_000_000, "too quick to be seen: {modify:?}");
    writers_wait(migration, modify, beside);
    // What it asks is no part of the migration, and the tool itself is what failed.
    assert!(
        migration.statements.iter().all(|of| !of.sql.starts_with("SELECT")),
        "{:?}",
        migration.statements
    );
    let failed: Vec<&str> = migration
        .statements
        .iter()
        .filter(|of| of.outcome == DdlOutcome::Failed)
        .map(|of| of.sql.as_str())
        .collect();
    assert_eq!(failed, [command.as_str()]);
    assert_eq!(count_of(&database, "note"), "1");
}

/// Each row takes half a millisecond and more: all in one statement holds the writer's row for the whole time, a batch of a thousand for a
/// third of it.
#[test]
fn the_safe_form_and_another_limit_are_measured_on_fresh_copies() {
    let database = table(3_000, "NULL");
    database.execute(&["CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW BEGIN IF NEW.filler <=> OLD.filler THEN SET @kept = 1; \
                        ELSE DO SLEEP(0.0005); END IF; END"]);
    let place = reader_and_writer();
    migrations(&place, &[("1_fill.sql", "UPDATE t SET filler = 'a';")]);
    let words = format!("{} --rate 60 --reset template --pairs 0", SHORT.replace(" --in-place", ""));
    let more = ["--try-safe", "--sweep-lock-timeout", "5s", "--retries", "1", "--fail-on", "rewrite"];
    let measured = check_at(&place, database.url(), database.name(), &words, &more);
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    assert!(migration.on_copy, "{migration:?}");
    let whole = &migration.statements[0];
    assert!(
        whole.blocked >= 1 && whole.blocked_us_max > whole.duration_us / 2,
        "{whole:?} {:?}",
        migration.victims
    );
    let of_kind =
        |kind: &str| migration.rehearsals.iter().find(|of| of.kind == kind).expect("it was rehearsed");
    if is_mysql() {
        // It has no blocks outside of routines, in which the batches would stand.
        assert!(migration.rehearsals.iter().all(|of| of.kind != "safe"), "{:?}", migration.rehearsals);
    } else {
        let safe = of_kind("safe");
        assert_eq!(safe.outcome, MigrationOutcome::Applied, "{safe:?}");
        assert!(safe.statements[0].info.sql.starts_with("BEGIN NOT ATOMIC"), "{safe:?}");
        assert!(safe.blast.blocked_us_max < whole.blocked_us_max / 2, "{:?} {whole:?}", safe.blast);
    }
    let swept = of_kind("lock_timeout");
    assert_eq!((swept.outcome, swept.lock_timeout_ms), (MigrationOutcome::Applied, Some(5_000)), "{swept:?}");
    assert_eq!(database.value("SELECT COUNT(*) FROM t WHERE filler IS NOT NULL"), "0", "it is as it was");
    let copies = format!(
        "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE '{}\\_dbdyno%'",
        database.name()
    );
    assert_eq!(database.value(&copies), "0");
}

#[test]
fn larger_tables_are_predicted_from_two_scales() {
    let place = Place::new(
        "name = \"rows\"\nengines = [\"mysql\"]\n[table.t]\nrows = 60_000\n[table.t.column]\nid = { sequence = {} }\nn = { constant = 7 }\n\
         [[transaction]]\nname = \"reader\"\nstatements = [\"read\"]\n",
        "-- name: read :many\nSELECT n FROM t WHERE id = 1;\n",
    )
    .file("schema.sql", "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL);\n");
    let text =
        "ALTER TABLE t ADD COLUMN note text;\nALTER TABLE t MODIFY n bigint NOT NULL;\nUPDATE t SET n = 8;";
    migrations(&place, &[("1_more.sql", text)]);
    let words = format!(
        "{SHORT} --rate 60 --scale 0.1 --scales 0.2,1 --production-rows t=240000 -t {}",
        local_mysql()
    );
    let mut command = place.dbdyno(&words);
    command.arg("-w").arg(place.workload()).arg("--migrations").arg(place.path("migrations"));
    let measured = Measured::from(&command.args(["--json", "-"]).output().expect("it runs"));
    let report = measured.report();
    let growth = migration(&report).growth.as_ref().unwrap_or_else(|| panic!("{}", measured.errors));
    let [column, copied, updated] = growth.statements.as_slice() else { panic!("{growth:?}") };
    // What changes at once does not grow with the table.
    assert_eq!(column.table, None, "{column:?}");
    for of in [copied, updated] {
        assert_eq!((of.table.as_deref(), of.rows, of.points.len()), (Some("t"), Some(240_000), 6), "{of:?}");
        assert!(of.points.iter().all(|point| [12_000, 60_000].contains(&point.rows)), "{of:?}");
        let took = of.duration_us.expect("a prediction");
        assert!(took.low <= took.value && took.value <= took.high, "{took:?}");
        // The log is a counter, which does not depend on the mood of the machine: four times the rows of the largest write four times as
        // much. (The time need not grow: what is flushed to a busy disk takes as long for a few pages as for some more.)
        let most = of.points.iter().filter(|point| point.rows == 60_000);
        let mean = most.map(|point| point.wal_bytes.unwrap_or(0) as f64).sum::<f64>() / 3.0;
        let wal = of.wal_bytes.expect("a prediction").value / mean;
        assert!((3.0..5.0).contains(&wal), "{wal}: {of:?}");
    }
    assert!(copied.disk_bytes.is_some_and(|disk| disk.value > 240_000.0 * 20.0), "{copied:?}");
}

#[test]
fn what_cannot_be_rehearsed_on_mariadb_is_refused_before_anything_is_asked() {
    // Nobody listens there, so that whoever asked would say something else.
    const URL: &str = "mysql://nobody@127.0.0.1:1/none";
    let place = reader_and_writer();
    migrations(&place, &[("1_note.sql", "ALTER TABLE t ADD COLUMN note text;")]);
    let folder = place.path("migrations").display().to_string();
    for (words, said) in [
        ("--try-safe", "say --reset template"),
        (
            "--sweep-lock-timeout 1s,1500ms",
            "--sweep-lock-timeout 1s 500ms: MariaDB and MySQL count whole seconds",
        ),
        ("--scales 0.1,0.5", "on a throwaway server"),
        ("--disturb autovacuum", "there is no such thing on MariaDB"),
        ("--lock-timeout 200ms", "say --lock-timeout 1s"),
    ] {
        let measured = Measured::from(
            &place.on(URL, &format!("migration {words} --migrations {folder}")).output().expect("it runs"),
        );
        assert_eq!(measured.code, Some(2), "{words}: {}", measured.errors);
        assert!(measured.errors.contains(said), "{words}: {}", measured.errors);
    }
    migrations(&place, &[("2_body.sql", "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\n")]);
    let measured = Measured::from(
        &place.on(URL, &format!("migration --migrations {folder}")).output().expect("it runs"),
    );
    assert!(
        measured.errors.contains("2_body.sql:1:1") && measured.errors.contains("DELIMITER"),
        "{}",
        measured.errors
    );

    // On a server that is somebody else's as well it says who is there.
    let database = table(10, "NULL");
    std::fs::remove_file(place.path("migrations").join("2_body.sql")).expect("it is there");
    let unnamed =
        place.on(database.url(), &format!("migration --migrations {folder}")).output().expect("it runs");
    let said = Measured::from(&unnamed).errors;
    assert!(said.contains(&format!("--allow-target {}", database.name())), "{said}");
    assert_eq!(count_of(&database, "note"), "0");
}
