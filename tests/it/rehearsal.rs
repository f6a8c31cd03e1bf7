//! What a migration check measures beside the migration itself: before and behind by turns, the safe form, other limits on the waiting
//! for locks, the way back, another version of the application, larger tables, the team's own tool; and on which server it refuses to.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use dbdyno::local::start_postgres;
use dbdyno::model::{
    ChangeVerdict, DdlOutcome, Migration, MigrationOutcome, Rehearsal, Report, Verdict, VictimInfo,
};

use crate::harness::{Database, Session, local_options, runtime, server, wait_until};
use crate::place::{Measured, Place};

/// As short as a check can be.
const SHORT: &str = "migration --before 4s --after 4s --settle 300ms --warmup 0s --pool-size 2 --rate 60";

/// Writes a folder of migrations beside the workload.
fn migrations(place: &Place, files: &[(&str, &str)]) {
    let folder = place.path("migrations");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
}

/// Measures with these arguments, some of which hold blanks.
fn check(place: &Place, database: &Database, words: &str, more: &[&str]) -> Measured {
    let mut command = place.on(database.url(), words);
    command.args(["--allow-target", database.name(), "--probe-interval", "20ms"]).args(more);
    Measured::from(&command.args(["--json", "-"]).output().expect("it runs"))
}

/// The same with the migrations of the place.
fn check_files(place: &Place, database: &Database, words: &str, more: &[&str]) -> Measured {
    let folder = place.path("migrations");
    let folder = folder.to_str().expect("UTF-8");
    check(place, database, words, &[&["--migrations", folder][..], more].concat())
}

fn migration(report: &Report) -> &Migration {
    report.migration.as_ref().expect("a migration check")
}

fn rehearsals<'a>(migration: &'a Migration, kind: &str) -> Vec<&'a Rehearsal> {
    migration.rehearsals.iter().filter(|of| of.kind == kind).collect()
}

/// One reader and one writer of `t`.
fn reader_and_writer() -> Place {
    Place::new(
        "name = \"two\"\n[[transaction]]\nname = \"reader\"\nstatements = [\"read\"]\n\
         [[transaction]]\nname = \"writer\"\nstatements = [\"write\"]\n",
        "-- name: read :many\nSELECT n FROM t WHERE id = 1;\n-- name: write :exec\nUPDATE t SET n = n + 1 WHERE id = 2;\n",
    )
}

/// A folder as Flyway has it: a repeatable script and an undo beside the versions.
#[test]
fn before_and_behind_are_measured_by_turns_and_the_way_back_is_rehearsed() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, key int, state text, filler text);
         INSERT INTO t SELECT i, i, 'new', repeat('x', 100) FROM generate_series(1, 60000) i;
         CREATE INDEX by_key ON t (key)",
    );
    database.execute("VACUUM ANALYZE t");
    let queries = "-- name: find :many\nSELECT id FROM t WHERE key = 777;\n-- name: get :many\nSELECT key FROM t WHERE id = 5;\n";
    let toml = "name = \"keys\"\n[[transaction]]\nname = \"by_key\"\nstatements = [\"find\"]\n\
                [[transaction]]\nname = \"by_id\"\nstatements = [\"get\"]\n";
    let place = Place::new(toml, queries);
    let old = Place::new(
        "name = \"old\"\n[[transaction]]\nname = \"all\"\nstatements = [\"states\", \"keys\", \"gone\"]\n",
        "-- name: states :many\nSELECT state FROM t;\n-- name: keys :many\nSELECT key FROM t;\n\
         -- name: gone :many\nSELECT 1 FROM nowhere;\n",
    );
    migrations(
        &place,
        &[
            ("V2__drop.sql", "DROP INDEX by_key;\nALTER TABLE t RENAME state TO status;"),
            ("U2__drop.sql", "ALTER TABLE t RENAME status TO state;"),
            ("R__views.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;"),
        ],
    );
    let old_folder = old.workload();
    let more = ["--down", "--also-prepare", old_folder.to_str().expect("UTF-8")];
    let measured = check_files(&place, &database, &format!("{SHORT} --pairs 2 --slice 1s"), &more);
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    assert!(measured.errors.contains("4 slices by turns on two copies"), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    assert_eq!((migration.tool.as_str(), migration.outcome), ("flyway", MigrationOutcome::Applied));

    // Two pairs are too few for a verdict, and show what became of the statement: 60,000 rows are read for one.
    let compared = migration.before_after.as_ref().expect("slices");
    assert_eq!((compared.a.as_str(), compared.b.as_str(), compared.pairs), ("before", "behind", 2));
    assert!(compared.answer.contains("Measured by turns on a copy that was migrated"), "{}", compared.answer);
    let find =
        compared.metrics.iter().find(|of| of.metric == "by_key.find.execute.mean").expect("it ran in both");
    assert!(find.ratio.is_some_and(|ratio| ratio > 2.0), "{find:?}");
    assert_eq!(find.verdict, ChangeVerdict::Inconclusive);
    let plan = compared.plans.iter().find(|of| of.statement == "by_key.find").expect("its plan changed");
    assert!(plan.a[0].summary.contains("by_key") && plan.b[0].summary.contains("Seq Scan"), "{plan:?}");
    assert!(report.comparison.is_none(), "it is a part of the migration");
    let gone = migration.relations.iter().find(|of| of.relation == "by_key").expect("the index went");
    assert!(gone.before_bytes.is_some() && gone.after_bytes.is_none(), "{gone:?}");
    assert!(gone.before_scans_per_s.is_some_and(|scans| scans > 0.0), "{gone:?}");

    let prepared = migration.also_prepared.as_ref().expect("it was asked for");
    assert_eq!((prepared.statements, prepared.broken_before.as_slice()), (2, ["gone".to_owned()].as_slice()));
    let broken: Vec<&str> = prepared.broken.iter().map(|of| of.statement.as_str()).collect();
    assert_eq!(broken, ["states"]);
    assert!(prepared.broken[0].error.contains("42703"), "{prepared:?}");
    let breaks = migration.conditions.iter().find(|of| of.condition == "breaks").expect("it is judged");
    assert_eq!(breaks.verdict, Verdict::Fail);

    let [down] = rehearsals(migration, "down")[..] else { panic!("{:?}", migration.rehearsals) };
    assert_eq!(down.outcome, MigrationOutcome::Applied, "{down:?}");
    assert_eq!(down.statements[0].info.sql, "ALTER TABLE t RENAME status TO state");
    // The undo gives the name back and forgets the index; what is repeatable has no way back.
    let last = migration.statements.last().expect("three statements");
    assert_eq!((last.version.as_str(), last.outcome), ("R__views", DdlOutcome::Committed), "{last:?}");
    let differs = down.schema_differs.as_ref().expect("it was looked at");
    assert!(differs[0].starts_with("- index CREATE INDEX by_key"), "{differs:?}");
    assert!(differs[1..].iter().all(|line| line.starts_with("+ ")), "{differs:?}");
    assert!(differs[1..].iter().any(|line| line.starts_with("+ view v ")), "{differs:?}");
    let ids: Vec<&str> = report.findings.iter().map(|of| of.id.as_str()).collect();
    assert!(
        ids.contains(&"migration-breaks-statements") && ids.contains(&"migration-way-back-differs"),
        "{ids:?}"
    );
    // The database itself is as it was, and no copy of it is left.
    assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname = 'by_key'"), "1");
    let copies =
        format!("SELECT count(*) FROM pg_database WHERE starts_with(datname, '{}_dbdyno')", database.name());
    assert_eq!(database.value(&copies), "0");
}

#[test]
fn the_safe_form_and_other_limits_are_measured_in_the_same_way() {
    let database = Database::empty();
    // Each entry takes half a millisecond and more, so that a build lasts about a second.
    database.execute(
        "CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
             BEGIN PERFORM pg_sleep(0.0005); RETURN i; END $$;
         CREATE TABLE t (id int PRIMARY KEY, n int);
         INSERT INTO t SELECT i, 0 FROM generate_series(1, 800) i; ANALYZE t",
    );
    let place = reader_and_writer();
    migrations(&place, &[("1_index.sql", "CREATE INDEX plain ON t (slow(id));")]);
    let words = format!(
        "{SHORT} --pairs 0 --disturb long-reader=2s --try-safe --sweep-lock-timeout 50ms,10s --retries 1 --backoff 100ms"
    );
    let measured = check_files(&place, &database, &words, &["--fail-on", "invalid-index"]);
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    let blocked = |victims: &[VictimInfo]| victims.iter().map(|of| of.blocked).sum::<u64>();
    assert!(blocked(&migration.victims) >= 1, "{:?}", migration.victims);

    let [safe] = rehearsals(migration, "safe")[..] else { panic!("{:?}", migration.rehearsals) };
    assert_eq!(safe.outcome, MigrationOutcome::Applied, "{safe:?}");
    let [concurrently] = safe.statements.as_slice() else { panic!("{safe:?}") };
    assert_eq!(concurrently.instead_of, Some(1));
    assert_eq!(concurrently.info.sql, "CREATE INDEX CONCURRENTLY plain ON t (slow(id))");
    assert_eq!(safe.blast.blocked, 0, "{safe:?}");
    // It waits for the old snapshot of the reader, whom the plain form does not mind.
    assert!(concurrently.info.lock_wait_us > migration.statements[0].lock_wait_us, "{safe:?}");
    let longest = migration.blast.blocked_us_max;
    assert!(
        longest > migration.statements[0].duration_us / 2,
        "{:?} {:?}",
        migration.blast,
        migration.statements
    );

    // A ShareLock passes a reader: the limit that is too short for nothing lands as well as the long one.
    let swept = rehearsals(migration, "lock_timeout");
    let limits: Vec<Option<u64>> = swept.iter().map(|of| of.lock_timeout_ms).collect();
    assert_eq!(limits, [Some(50), Some(10_000)]);
    assert_eq!(swept[1].outcome, MigrationOutcome::Applied, "{:?}", swept[1]);
    // The copies went with their rehearsals.
    assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname = 'plain'"), "0");
    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.contains("SAFE FORM") && page.contains("LOCK TIMEOUTS"), "{page}");
}

/// The reader holds the table for 1.5 s: two tries of 50 ms, a tenth of a second apart, cannot land; one of 10 s does, and its queue is
/// what it costs.
#[test]
fn a_sweep_says_which_limit_lands_at_which_cost() {
    let database = Database::empty();
    database.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)");
    let place = reader_and_writer();
    migrations(&place, &[("1_note.sql", "ALTER TABLE t ADD COLUMN note text;")]);
    let words = format!(
        "{SHORT} --pairs 0 --disturb long-reader=1500ms --sweep-lock-timeout 50ms,10s --retries 1 --backoff 100ms --lock-timeout 20ms"
    );
    let measured = check_files(&place, &database, &words, &[]);
    assert_eq!(measured.code, Some(3), "the migration itself does not land: {}", measured.errors);
    let report = measured.report();
    let [short, long] = rehearsals(migration(&report), "lock_timeout")[..] else {
        panic!("{:?}", migration(&report).rehearsals)
    };
    assert_eq!((short.outcome, short.tries), (MigrationOutcome::Failed, 2), "{short:?}");
    assert_eq!((long.outcome, long.tries), (MigrationOutcome::Applied, 1), "{long:?}");
    assert!(short.blast.blocked_us_max < long.blast.blocked_us_max / 2, "{:?} {:?}", short.blast, long.blast);
    assert!(
        long.blast.blocked_us_total > long.blast.blocked_us_max,
        "two connections queued: {:?}",
        long.blast
    );
}

/// Who forgot a transaction stands at the root, and a vacuum against wraparound does not step aside.
#[test]
fn accidents_are_found_at_the_root() {
    for (accident, root) in
        [("idle-in-transaction=1s", "dbdyno idle-in-transaction"), ("autovacuum", "dbdyno autovacuum")]
    {
        let database = Database::empty();
        // No page of it is frozen yet: with its pauses, the vacuum is at work for half a second and more.
        database.execute(
            "CREATE TABLE t (id int PRIMARY KEY, n int, filler text);
             INSERT INTO t SELECT i, 0, repeat('x', 800) FROM generate_series(1, 30000) i",
        );
        let place = reader_and_writer();
        migrations(&place, &[("1_note.sql", "ALTER TABLE t ADD COLUMN note text;")]);
        let words = format!("{SHORT} --in-place --disturb {accident}");
        let measured = check_files(&place, &database, &words, &["--fail-on", "rewrite"]);
        assert_eq!(measured.code, Some(0), "{}", measured.errors);
        let report = measured.report();
        let migration = migration(&report);
        assert!(accident.starts_with(&migration.disturbances[0].what), "{:?}", migration.disturbances);
        let alter = &migration.statements[0];
        let found = alter.root.as_ref().unwrap_or_else(|| panic!("{accident}: {alter:?}"));
        assert!(found.who.starts_with(root), "{accident}: {alter:?}");
        assert!(alter.lock_wait_us > 0, "{alter:?}");
    }
}

/// Each row takes a millisecond and more: all in one statement holds a row for the whole time, a batch for a tenth of it.
#[test]
fn a_backfill_in_batches_keeps_nobody_for_long() {
    let database = Database::empty();
    // With room on its page, the writer's row stays where the statement meets it first.
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n int, note text) WITH (fillfactor = 50);
         INSERT INTO t SELECT i, 0 FROM generate_series(1, 1000) i;
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF new.note IS DISTINCT FROM old.note THEN PERFORM pg_sleep(0.001); END IF; RETURN new; END $$;
         CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let place = reader_and_writer();
    let batches: Vec<String> = (0..10)
        .map(|batch| {
            format!("UPDATE t SET note = 'b' WHERE id > {} AND id <= {};", batch * 100, (batch + 1) * 100)
        })
        .collect();
    migrations(
        &place,
        &[("1 whole.sql", "UPDATE t SET note = 'a';"), ("2 batches.sql", &batches.join("\n"))],
    );
    let measured = check_files(&place, &database, &format!("{SHORT} --in-place"), &["--fail-on", "rewrite"]);
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    let (whole, batches) = migration.statements.split_first().expect("eleven statements");
    assert_eq!(batches.len(), 10);
    let longest = batches.iter().map(|of| of.blocked_us_max).max().unwrap_or(0);
    assert!(whole.blocked >= 1 && whole.blocked_us_max > whole.duration_us / 2, "{whole:?}");
    assert!(longest < whole.blocked_us_max / 2, "{longest} {whole:?}");
    assert!(report.findings.iter().any(|of| of.id == "migration-backfill-blocks"), "{:?}", report.findings);
}

#[test]
fn larger_tables_are_predicted_from_two_scales() {
    let place = Place::new(
        "name = \"rows\"\n[table.t]\nrows = 60_000\n[table.t.column]\nid = { sequence = {} }\nkey = { constant = 7 }\n\
         [[transaction]]\nname = \"reader\"\nstatements = [\"read\"]\n",
        "-- name: read :many\nSELECT key FROM t WHERE id = 1;\n",
    )
    .file("schema.sql", "CREATE TABLE t (id int PRIMARY KEY, key int NOT NULL);\n");
    migrations(
        &place,
        &[(
            "1_lot.sql",
            "ALTER TABLE t ADD COLUMN note text;\nALTER TABLE t ADD COLUMN lot float DEFAULT random();",
        )],
    );
    let words = format!("{SHORT} --in-place --scale 0.1 --scales 0.2,1 --production-rows t=240000 -t local");
    let mut command = place.dbdyno(&words);
    command.arg("-w").arg(place.workload()).arg("--migrations").arg(place.path("migrations"));
    let measured = Measured::from(&command.args(["--json", "-"]).output().expect("it runs"));
    let report = measured.report();
    let growth = migration(&report).growth.as_ref().unwrap_or_else(|| panic!("{}", measured.errors));
    assert_eq!((growth.scales.as_slice(), growth.repetitions), ([0.2, 1.0].as_slice(), 3));
    let [column, rewrite] = growth.statements.as_slice() else { panic!("{growth:?}") };
    // The catalogue does not grow with the table.
    assert_eq!(column.table, None, "{column:?}");
    assert_eq!((rewrite.table.as_deref(), rewrite.rows, rewrite.points.len()), (Some("t"), Some(240_000), 6));
    assert!(rewrite.points.iter().any(|point| point.rows == 60_000), "{rewrite:?}");
    // Four times the rows of the largest write four times the WAL and need four times the disk: counters, which do not depend on the
    // mood of the machine. A page here and there is not full, and a checkpoint may add full pages.
    let most: Vec<_> = rewrite.points.iter().filter(|point| point.rows == 60_000).collect();
    let mean = |of: &dyn Fn(&dbdyno::model::GrowthPoint) -> u64| {
        most.iter().map(|point| of(point) as f64).sum::<f64>() / most.len() as f64
    };
    let disk = rewrite.disk_bytes.expect("a prediction").value / mean(&|point| point.disk_bytes);
    assert!((3.5..4.5).contains(&disk), "{disk}: {rewrite:?}");
    let wal = rewrite.wal_bytes.expect("a prediction").value / mean(&|point| point.wal_bytes.unwrap_or(0));
    assert!((3.0..5.0).contains(&wal), "{wal}: {rewrite:?}");
    let took = rewrite.duration_us.expect("a prediction");
    assert!(took.low <= took.value && took.value <= took.high, "{took:?}");
}

/// `psql` of the server under test, or of the machine: not every package of a server has one.
fn psql() -> String {
    let own = server().bindir().join("psql");
    if own.exists() { own.display().to_string() } else { "psql".to_owned() }
}

#[test]
fn the_teams_own_tool_is_watched_from_outside() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 60000) i; ANALYZE t",
    );
    let place = reader_and_writer();
    // It takes the table for a second, and writes it anew in the same transaction.
    let script = place.path("migrate.sh");
    let text = format!(
        "set -e\n{} -X -q -v ON_ERROR_STOP=1 <<'SQL'\nBEGIN;\nALTER TABLE t ADD COLUMN lot float DEFAULT random();\nSELECT pg_sleep(1);\n\
         COMMIT;\nSQL\n{} -X -q -v ON_ERROR_STOP=1 \"$DATABASE_URL\" -c 'CREATE INDEX by_lot ON t (lot)' -c 'SELECT $broken'\n",
        psql(),
        psql()
    );
    std::fs::write(&script, text).expect("a script");
    let command = format!("sh {}", script.display());
    let words = format!("{SHORT} --in-place");
    let more = ["--migrate-command", command.as_str(), "--fail-on", "blocked > 300ms"];
    let measured = check(&place, &database, &words, &more);
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    assert_eq!(migration.command.as_deref(), Some(command.as_str()));
    // Its last statement is wrong, and psql says so.
    assert_eq!(migration.outcome, MigrationOutcome::Failed);
    assert!(
        migration.answer.contains("failed") && migration.answer.contains("broken"),
        "{}",
        migration.answer
    );
    let alter =
        migration.statements.iter().find(|of| of.sql.starts_with("ALTER TABLE t ADD")).expect("it was seen");
    assert_eq!(alter.outcome, DdlOutcome::Committed, "{alter:?}");
    assert_eq!(alter.rewritten, ["t"]);
    assert!(
        alter.locks.iter().any(|of| of.mode == "AccessExclusiveLock" && of.relation.as_deref() == Some("t")),
        "{alter:?}"
    );
    assert!(alter.carried_us > 500_000, "held while it slept: {alter:?}");
    assert!(alter.blocked >= 1 && alter.blocked_us_max > 500_000, "{alter:?} {:?}", migration.victims);
    assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname = 'by_lot'"), "1");
    assert_eq!(report.verdict, Verdict::Fail);
}

/// On a server of its own: what follows this one follows it for all tests.
#[test]
fn a_server_that_others_follow_is_refused() {
    let runtime = runtime();
    let server = runtime.block_on(start_postgres(&local_options())).expect("a server");
    let place = reader_and_writer();
    migrations(&place, &[("1_note.sql", "ALTER TABLE t ADD COLUMN note text;")]);
    let url = format!("{}&replication=database", server.url());
    // A session of the replication protocol is what a replica has.
    let mut replica = Command::new(psql())
        .args(["-X", "-q", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("psql");
    let mut input = replica.stdin.take().expect("a pipe");
    input.write_all(b"IDENTIFY_SYSTEM;\n").expect("it listens");
    wait_until("it is known to the server", Duration::from_secs(20), || {
        Session::open(server.url(), "test").value("SELECT count(*) FROM pg_stat_replication") == "1"
    });
    let refuse = |words: &str| {
        let mut command = place.on(server.url(), words);
        command.arg("--migrations").arg(place.path("migrations")).args(["--allow-target", "postgres"]);
        Measured::from(&command.output().expect("it runs"))
    };
    let refused = refuse("migration");
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    assert!(
        refused.errors.contains("1 replica follows this server") && refused.errors.contains("--force"),
        "{}",
        refused.errors
    );
    // Forced, it goes on to the next thing that is wrong: there is no table.
    let forced = refuse("migration --force");
    assert!(forced.errors.contains("--force: 1 replica follows"), "{}", forced.errors);
    drop(input);
    replica.wait().expect("it ends with its input");
    runtime.block_on(server.stop()).expect("it stops");
}
