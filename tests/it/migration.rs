//! Migrations under load: what each form of DDL locks and rewrites, whom it blocks, what a failed one leaves, and how the verdict
//! comes about.

use dbdyno::model::{
    DdlInfo, DdlOutcome, LockStops, Migration, MigrationOutcome, MigrationState, Report, Verdict,
};

use crate::harness::Database;
use crate::place::{Measured, Place, assert_same};

/// As short as a check can be.
pub const SHORT: &str =
    "migration --in-place --before 4s --after 4s --settle 500ms --warmup 0s --pool-size 2";

/// Writes a folder of migrations beside the workload.
pub fn migrations(place: &Place, files: &[(&str, &str)]) {
    let folder = place.path("migrations");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
}

/// Measures with the migrations of the place; `more` are arguments that hold blanks.
fn check(place: &Place, database: &Database, words: &str, more: &[&str]) -> Measured {
    check_at(place, database.url(), database.name(), words, more)
}

/// The same of the database with this URL and name, whatever its engine.
pub fn check_at(place: &Place, url: &str, name: &str, words: &str, more: &[&str]) -> Measured {
    let mut command = place.on(url, words);
    command.arg("--migrations").arg(place.path("migrations")).args(["--allow-target", name]);
    Measured::from(&command.args(more).args(["--json", "-"]).output().expect("it runs"))
}

/// Its part of the report.
pub fn migration(report: &Report) -> &Migration {
    report.migration.as_ref().expect("a migration check")
}

/// What became of a condition.
pub fn holds(migration: &Migration, condition: &str) -> Verdict {
    let found = migration.conditions.iter().find(|of| of.condition == condition);
    found.unwrap_or_else(|| panic!("{condition} in {:?}", migration.conditions)).verdict
}

/// One reader and one writer of `t`, on either engine.
pub fn reader_and_writer() -> Place {
    Place::new(
        "name = \"two\"\nengines = [\"postgresql\", \"mysql\"]\n[[transaction]]\nname = \"reader\"\nstatements = [\"read\"]\n\
         [[transaction]]\nname = \"writer\"\nstatements = [\"write\"]\n",
        "-- name: read :many\nSELECT n FROM t WHERE id = 1;\n-- name: write :exec\nUPDATE t SET n = n + 1 WHERE id = 2;\n",
    )
}

/// One form of DDL: the strongest lock on its table, whether it writes the table anew, and whether it reads all of it.
struct Form {
    sql: &'static str,
    table: &'static str,
    mode: &'static str,
    rewrites: bool,
    /// Absent where the statement runs outside of a transaction, and nobody can ask.
    scans: Option<bool>,
}

const fn form(
    sql: &'static str,
    table: &'static str,
    mode: &'static str,
    rewrites: bool,
    scans: Option<bool>,
) -> Form {
    Form { sql, table, mode, rewrites, scans }
}

const EXCLUSIVE: &str = "AccessExclusiveLock";
const UPDATE_EXCLUSIVE: &str = "ShareUpdateExclusiveLock";

/// PostgreSQL's documentation: ALTER TABLE ("Description" and "Notes"), CREATE INDEX, REINDEX, CLUSTER, VACUUM, REFRESH MATERIALIZED
/// VIEW, and table 13.2 for what each mode conflicts with.
const FORMS: [Form; 27] = [
    form("ALTER TABLE t ADD COLUMN made timestamptz DEFAULT now()", "t", EXCLUSIVE, false, Some(false)),
    form("ALTER TABLE t ADD COLUMN lot float DEFAULT random()", "t", EXCLUSIVE, true, Some(true)),
    form("ALTER TABLE t ADD COLUMN note text", "t", EXCLUSIVE, false, Some(false)),
    form("ALTER TABLE t ALTER n TYPE bigint", "t", EXCLUSIVE, true, Some(true)),
    form("ALTER TABLE t ALTER word TYPE varchar(80)", "t", EXCLUSIVE, false, Some(false)),
    form("ALTER TABLE t ALTER word SET NOT NULL", "t", EXCLUSIVE, false, Some(true)),
    form(
        "ALTER TABLE t ADD CONSTRAINT has_grp CHECK (grp IS NOT NULL) NOT VALID",
        "t",
        EXCLUSIVE,
        false,
        Some(false),
    ),
    form("ALTER TABLE t VALIDATE CONSTRAINT has_grp", "t", UPDATE_EXCLUSIVE, false, Some(true)),
    // A valid check says what the scan would.
    form("ALTER TABLE t ALTER grp SET NOT NULL", "t", EXCLUSIVE, false, Some(false)),
    form("ALTER TABLE t ADD CHECK (n >= 0)", "t", EXCLUSIVE, false, Some(true)),
    form(
        "ALTER TABLE t ADD CONSTRAINT u FOREIGN KEY (grp) REFERENCES groups (id) NOT VALID",
        "t",
        "ShareRowExclusiveLock",
        false,
        Some(false),
    ),
    form("ALTER TABLE t VALIDATE CONSTRAINT u", "t", UPDATE_EXCLUSIVE, false, Some(true)),
    form("ALTER TABLE t DROP CONSTRAINT u", "t", EXCLUSIVE, false, Some(false)),
    form(
        "ALTER TABLE t ADD FOREIGN KEY (grp) REFERENCES groups (id)",
        "t",
        "ShareRowExclusiveLock",
        false,
        Some(true),
    ),
    form("ALTER TABLE t ADD UNIQUE (id, word)", "t", EXCLUSIVE, false, Some(true)),
    form("CREATE UNIQUE INDEX CONCURRENTLY one ON t (id, grp)", "t", UPDATE_EXCLUSIVE, false, None),
    form("ALTER TABLE t ADD CONSTRAINT one UNIQUE USING INDEX one", "t", EXCLUSIVE, false, Some(false)),
    form("CREATE INDEX two ON t (word)", "t", "ShareLock", false, Some(true)),
    form("ALTER TABLE t RENAME COLUMN word TO words", "t", EXCLUSIVE, false, Some(false)),
    form("ALTER TABLE t DROP COLUMN note", "t", EXCLUSIVE, false, Some(false)),
    form("UPDATE t SET words = words || '!'", "t", "RowExclusiveLock", false, Some(true)),
    form("ALTER TYPE mood ADD VALUE 'calm'", "", "", false, Some(false)),
    form("ALTER TABLE parts DETACH PARTITION part_1", "parts", EXCLUSIVE, false, Some(false)),
    form("ALTER TABLE parts DETACH PARTITION part_2 CONCURRENTLY", "parts", UPDATE_EXCLUSIVE, false, None),
    form("VACUUM FULL t", "t", EXCLUSIVE, true, None),
    // By an index scan or a sort, as the planner likes.
    form("CLUSTER t USING t_pkey", "t", EXCLUSIVE, true, None),
    form("REFRESH MATERIALIZED VIEW v", "v", EXCLUSIVE, true, Some(true)),
];

/// Table 13.2 of the documentation: what conflicts with the lock of a read (`ACCESS SHARE`), and with that of a write (`ROW EXCLUSIVE`).
fn stops(mode: &str) -> LockStops {
    match mode {
        "AccessExclusiveLock" => LockStops::ReadsAndWrites,
        "ShareLock" | "ShareRowExclusiveLock" | "ExclusiveLock" => LockStops::Writes,
        _ => LockStops::Nothing,
    }
}

/// Nobody but the migration gathers statistics.
const SCHEMA: &str = "
    CREATE TABLE groups (id int PRIMARY KEY); INSERT INTO groups SELECT generate_series(0, 9);
    CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, grp int, word varchar(40)) WITH (autovacuum_enabled = off);
    INSERT INTO t SELECT i, 0, i % 10, 'word ' || i FROM generate_series(1, 20000) i;
    CREATE TABLE parts (id int) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE part_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
    CREATE TYPE mood AS ENUM ('glad');
    CREATE MATERIALIZED VIEW v AS SELECT id, grp FROM t; CREATE UNIQUE INDEX ON v (id);
    ANALYZE";

#[test]
fn every_form_takes_the_lock_that_the_documentation_names() {
    let database = Database::empty();
    database.execute(SCHEMA);
    let place = reader_and_writer();
    // The last file fails in its transaction: what is before it stands, what is in it does not.
    let forms = FORMS.iter().map(|form| form.sql).collect::<Vec<_>>().join(";\n");
    let last = "BEGIN;\nREFRESH MATERIALIZED VIEW CONCURRENTLY v;\nALTER TABLE t ADD COLUMN lost int;\n\
                SELECT 1 / (id - id) FROM t;\nALTER TABLE t ADD COLUMN never int;\nCOMMIT;\n";
    migrations(&place, &[("1 forms.sql", &forms), ("2 last.sql", last), ("3 never.sql", "SELECT 1;\n")]);
    let measured = check(&place, &database, &format!("{SHORT} --rate 40"), &[]);
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);

    for (form, info) in FORMS.iter().zip(&migration.statements) {
        assert_eq!(info.sql, form.sql);
        assert_eq!(info.outcome, DdlOutcome::Committed, "{info:?}");
        if !form.table.is_empty() {
            let on_table = |of: &&dbdyno::model::DdlLock| of.relation.as_deref() == Some(form.table);
            // The strongest stands first. Outside of transactions it is only seen while it lasts, which may be too short.
            match info.locks.iter().find(on_table) {
                Some(lock) => {
                    assert_eq!((lock.mode.as_str(), lock.stops), (form.mode, stops(form.mode)), "{info:?}");
                }
                None => assert!(form.scans.is_none(), "{info:?}"),
            }
        }
        let rewrites = if form.rewrites { vec![form.table.to_owned()] } else { Vec::new() };
        assert_eq!(info.rewritten, rewrites, "{info:?}");
        if let Some(scans) = form.scans {
            let scanned = info.scanned.as_ref().expect("it was asked");
            let reads_it = scanned.iter().any(|of| form.table == "v" || of == form.table);
            assert_eq!(reads_it, scans, "{info:?}");
        }
    }
    let concurrently = &migration.statements[FORMS.len()];
    assert!(
        concurrently.locks.iter().any(|of| of.mode == "ExclusiveLock" && of.relation.as_deref() == Some("v")),
        "{concurrently:?}"
    );

    assert_eq!((migration.tool.as_str(), migration.outcome), ("plain", MigrationOutcome::Failed));
    let outcomes: Vec<DdlOutcome> = migration.statements[FORMS.len()..].iter().map(|of| of.outcome).collect();
    let (rolled_back, failed, not_reached) =
        (DdlOutcome::RolledBack, DdlOutcome::Failed, DdlOutcome::NotReached);
    assert_eq!(outcomes, [rolled_back, rolled_back, failed, not_reached, not_reached]);
    let states: Vec<MigrationState> = migration.migrations.iter().map(|of| of.state).collect();
    assert_eq!(states, [MigrationState::Applied, MigrationState::RolledBack, MigrationState::NotReached]);
    let culprit = &migration.statements[FORMS.len() + 2];
    assert!(culprit.error.as_ref().is_some_and(|error| error.contains("22012")), "{culprit:?}");
    assert_eq!((culprit.file.as_str(), culprit.line), ("2 last.sql", 4));
    assert_eq!(database.value("SELECT count(*) FROM pg_attribute WHERE attname = 'lost'"), "0");
    // The new columns have no statistics until the next ANALYZE.
    let without = &migration.left.without_statistics;
    assert!(without.contains(&"t.lot".to_owned()) && without.contains(&"t.made".to_owned()), "{without:?}");
    let rewrite = report.findings.iter().find(|of| of.id == "migration-rewrite").expect("a finding");
    // The one that clients waited for longest, whichever that was.
    let rewriting = FORMS.iter().filter(|form| form.rewrites).any(|form| rewrite.title.contains(form.sql));
    assert!(rewriting, "{rewrite:?}");
    assert!(report.findings.iter().any(|of| of.id == "migration-failed"), "{:?}", report.findings);

    // Sessions that had prepared `SELECT n` meet another type of n.
    let cached =
        migration.victims.iter().any(|of| of.transaction == "reader" && of.failures.contains_key("0A000"));
    assert!(cached, "{:?}", migration.victims);
    assert!(report.findings.iter().any(|of| of.id == "migration-cached-plan"), "{:?}", report.findings);

    // The report is made from the journal alone.
    let again = Measured::from(&place.dbdyno("report --format json").output().expect("it runs")).report();
    assert_same(&report, &again);
}

/// A statement of the migration by how it begins.
pub fn ddl<'a>(migration: &'a Migration, opening: &str) -> &'a DdlInfo {
    migration.statements.iter().find(|of| of.sql.starts_with(opening)).unwrap_or_else(|| panic!("{opening}"))
}

/// Executions of one transaction that a statement kept waiting, and the longest of them.
pub fn blocked(migration: &Migration, transaction: &str, statement: &DdlInfo) -> (u64, u64) {
    let found =
        migration.victims.iter().find(|of| of.transaction == transaction && of.statement == statement.number);
    found.map_or((0, 0), |of| (of.blocked, of.blocked_us_max))
}

#[test]
fn an_index_blocks_writers_unless_it_is_built_concurrently_and_a_failed_one_is_left() {
    let database = Database::empty();
    // Each entry takes half a millisecond and more, so that a build lasts about two seconds.
    database.execute(
        "CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
             BEGIN PERFORM pg_sleep(0.0005); RETURN i; END $$;
         CREATE TABLE t (id int PRIMARY KEY, n int, grp int);
         INSERT INTO t SELECT i, 0, i % 10 FROM generate_series(1, 1500) i; ANALYZE t",
    );
    let place = reader_and_writer();
    migrations(
        &place,
        &[
            ("1_index.sql", "CREATE INDEX plain ON t (slow(id));"),
            ("2_beside.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY beside ON t (slow(grp));"),
            ("3_unique.sql", "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY sole ON t (grp);"),
        ],
    );
    let measured = check(
        &place,
        &database,
        &format!("{SHORT} --rate 60 --lock-timeout 2s"),
        &["--fail-on", "invalid-index, rewrite, blocked > 300ms"],
    );
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    assert!(
        measured.errors.contains("2 statements with CONCURRENTLY run without the lock_timeout"),
        "{}",
        measured.errors
    );
    let report = measured.report();
    let migration = migration(&report);
    let plain = ddl(migration, "CREATE INDEX plain");
    assert!(plain.duration_us > 750_000, "{plain:?}");
    let (writers, longest) = blocked(migration, "writer", plain);
    // Writers wait from their arrival to the end of the build, the first nearly all of it. Two connections are there to wait.
    assert!(writers >= 1 && longest > plain.duration_us / 2, "{:?}", migration.victims);
    assert_eq!(blocked(migration, "reader", plain).0, 0, "{:?}", migration.victims);
    let beside = ddl(migration, "CREATE INDEX CONCURRENTLY beside");
    assert!(beside.duration_us > 750_000, "{beside:?}");
    assert_eq!(blocked(migration, "reader", beside).0, 0, "{:?}", migration.victims);
    assert_eq!(blocked(migration, "writer", beside).0, 0, "{:?}", migration.victims);
    let modes: Vec<&str> = beside.locks.iter().map(|of| of.mode.as_str()).collect();
    assert!(modes.contains(&UPDATE_EXCLUSIVE) && !modes.contains(&"ShareLock"), "{beside:?}");

    let sole = ddl(migration, "CREATE UNIQUE INDEX CONCURRENTLY sole");
    assert_eq!((sole.outcome, sole.tries.len()), (DdlOutcome::Failed, 1));
    assert!(sole.error.as_ref().is_some_and(|error| error.contains("23505")), "{sole:?}");
    assert_eq!(sole.invalid_indexes, ["sole"]);
    assert_eq!(migration.left.invalid_indexes, ["sole"]);
    assert_eq!(migration.migrations[2].state, MigrationState::PartlyApplied);
    assert_eq!(holds(migration, "invalid-index"), Verdict::Fail);
    assert_eq!(holds(migration, "blocked > 300ms"), Verdict::Fail);
    assert_eq!(holds(migration, "rewrite"), Verdict::Pass);
    let ids: Vec<&str> = report.findings.iter().map(|of| of.id.as_str()).collect();
    assert!(
        ids.contains(&"migration-invalid-index") && ids.contains(&"migration-index-blocks-writes"),
        "{ids:?}"
    );
}

#[test]
fn a_dropped_index_fails_with_the_statement_named_and_its_plan() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, key int, filler text);
         INSERT INTO t SELECT i, i, repeat('x', 100) FROM generate_series(1, 60000) i;
         CREATE INDEX by_key ON t (key)",
    );
    database.execute("VACUUM ANALYZE t");
    let place = Place::new(
        "name = \"keys\"\n[[transaction]]\nname = \"by_key\"\nstatements = [\"find\"]\n\
         [[transaction]]\nname = \"by_id\"\nstatements = [\"get\"]\n",
        "-- name: find :many\nSELECT id FROM t WHERE key = 777;\n-- name: get :many\nSELECT key FROM t WHERE id = 5;\n",
    );
    migrations(&place, &[("V1__drop.sql", "DROP INDEX by_key;")]);
    let (markdown, junit) = (place.path("report.md"), place.path("report.xml"));
    let files = ["--markdown", markdown.to_str().expect("UTF-8"), "--junit", junit.to_str().expect("UTF-8")];
    // On a copy: the database itself keeps its index.
    let words =
        "migration --before 5s --after 5s --settle 500ms --pool-size 2 --warmup 1s --rate 60 --pairs 0";
    let measured = check(&place, &database, words, &files);
    assert_eq!(measured.code, Some(3), "{}", measured.errors);
    let report = measured.report();
    let migration = migration(&report);
    assert_eq!((migration.outcome, migration.on_copy), (MigrationOutcome::Applied, true));
    assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname = 'by_key'"), "1");
    let slower = migration.conditions.iter().find(|of| of.condition == "slower > 20%").expect("it is usual");
    assert_eq!(slower.verdict, Verdict::Fail, "{slower:?}");
    assert!(slower.measured.contains("by_key.find"), "{slower:?}");
    let compared = migration.before_after.as_ref().expect("both stages");
    let plan = compared.plans.iter().find(|of| of.statement == "by_key.find").expect("its plan changed");
    assert!(plan.a[0].summary.contains("by_key") && plan.b[0].summary.contains("Seq Scan"), "{plan:?}");
    let text = std::fs::read_to_string(markdown).expect("it was written");
    assert!(
        text.starts_with("## Migration under load: ❌ fail") && text.contains("`DROP INDEX by_key`"),
        "{text}"
    );
    let xml = std::fs::read_to_string(junit).expect("it was written");
    assert!(
        xml.contains("tests=\"7\"")
            && xml.contains("name=\"V1__drop.sql line 1: DROP INDEX by_key\"")
            && xml.matches("<failure ").count() == 1
            && xml.contains("name=\"slower &gt; 20%\""),
        "{xml}"
    );
    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.starts_with("FAIL  keys: one of 4 conditions holds"), "{page}");
}

#[test]
fn a_harmless_migration_passes() {
    let database = Database::empty();
    database.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)");
    let place = reader_and_writer();
    let text = "-- migrate:up\nALTER TABLE t ADD COLUMN note text;\n-- migrate:down\nALTER TABLE t DROP COLUMN note;\n";
    migrations(&place, &[("20260101000000_note.sql", text)]);
    // What does not depend on the mood of the machine; `make soak` repeats it with times.
    let fail_on = ["--fail-on", "blocked > 2s, failures, invalid-index, rewrite"];
    let measured = check(&place, &database, &format!("{SHORT} --rate 40"), &fail_on);
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let report = measured.report();
    assert_eq!((report.kind.as_str(), report.verdict), ("migration", Verdict::Pass));
    let names: Vec<&str> = report.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["before", "migration", "after"]);
    let migration = migration(&report);
    assert_eq!((migration.tool.as_str(), migration.outcome), ("dbmate", MigrationOutcome::Applied));
    assert_eq!(database.value("SELECT count(*) FROM pg_attribute WHERE attname = 'note'"), "1");
    // The stage of the migration ends with it, long before the ten minutes that it was given.
    assert!(report.stages[1].duration_s < 60.0, "{}", report.stages[1].duration_s);
    assert!(migration.timeline.iter().any(|point| point.statements == [1]), "{:?}", migration.timeline);
}

/// Each script leaves a line, so that the database itself tells who was run when.
#[test]
fn what_flyway_runs_around_migrations_is_run_and_what_is_left_out_is_told() {
    let database = Database::empty();
    database.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)");
    let place = reader_and_writer();
    let line = |what: &str| format!("INSERT INTO log (what) VALUES ('{what}');");
    let note = format!("ALTER TABLE t ADD COLUMN note text;\n{}", line("note"));
    let (view, before, after) = (line("view"), line("before each"), line("after each"));
    migrations(
        &place,
        &[
            ("beforeMigrate.sql", "CREATE TABLE log (at serial, what text);"),
            ("V1__note.sql", &note),
            ("R__view.sql", &view),
            ("beforeEachMigrate.sql", &before),
            ("afterEachMigrate__log.sql", &after),
            ("afterMigrate.sql", &line("after")),
            ("afterMigrateError.sql", &line("error")),
        ],
    );
    let measured = check(&place, &database, &format!("{SHORT} --rate 40"), &["--fail-on", "failures"]);
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let log = database.value("SELECT string_agg(what, ', ' ORDER BY at) FROM log");
    assert_eq!(log, "before each, note, after each, before each, view, after each, after");
    let report = measured.report();
    let statements = &migration(&report).statements;
    let files: Vec<(&str, usize)> = statements.iter().map(|of| (of.file.as_str(), of.line)).collect();
    assert_eq!(files[..3], [("beforeMigrate.sql", 1), ("beforeEachMigrate.sql", 1), ("V1__note.sql", 1)]);
    assert_eq!((files.len(), files[8]), (9, ("afterMigrate.sql", 1)));
    let told: Vec<&str> = report
        .events
        .iter()
        .filter(|of| of.kind == "migration_files")
        .map(|of| of.message.as_str())
        .collect();
    let terminal = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    for words in ["afterMigrateError.sql is left out", "transactions of their own"] {
        assert!(told.iter().any(|note| note.contains(words)), "{told:?}");
        assert!(measured.errors.contains(words), "{}", measured.errors);
        assert!(terminal.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{terminal}");
    }
}

#[test]
fn what_is_not_the_users_to_change_is_refused_before_anything_happens() {
    let database = Database::empty();
    database.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)");
    let place = reader_and_writer();
    migrations(&place, &[("1_note.sql", "ALTER TABLE t ADD COLUMN note text;")]);
    let refused = |words: &str| {
        let mut command = place.on(database.url(), words);
        let measured = Measured::from(
            &command.arg("--migrations").arg(place.path("migrations")).output().expect("it runs"),
        );
        assert_eq!(measured.code, Some(2), "{}", measured.errors);
        measured.errors
    };
    let said = refused("migration");
    assert!(said.contains(&format!("--allow-target {}", database.name())), "{said}");
    assert!(refused("migration --allow-target other").contains("and not `other`"));
    let somebody = database.session("payroll");
    let said = refused(&format!("migration --allow-target {}", database.name()));
    assert!(said.contains("payroll (user ") && said.contains("--force"), "{said}");
    drop(somebody);
    assert!(refused("migration --from 7").contains("no such version, but 1"));
    assert!(refused("migration --no-probes").contains("leave it out"));
    assert!(refused("migration --rate 10..20").contains("stays the same all along"));
    assert!(
        refused("migration --fail-on nonsense").contains("--fail-on 'nonsense': there are 'blocked > TIME'")
    );
    assert!(refused("migration --fail-on rewrite,rewrite").contains("has a condition already"));
    assert!(refused("migration --in-place --reset template").contains("say one of them"));
    assert!(refused("migration --disturb earthquake").contains("long-reader=30s"));
    assert!(refused("migration --down").contains("`1_note.sql` has no way back"));
    assert!(refused("migration --scales 0.5,0.5").contains("--scales takes at least two"));
    assert!(refused("migration --scales 0.1,0.5").contains("on a throwaway server"));
    assert!(refused("migration --in-place --try-safe").contains("cannot be used with"));
    assert!(refused("migration --fail-on breaks").contains("--also-prepare names the statements"));
    assert!(refused("migration --fail-on way-back").contains("--down rehearses the way back"));
    migrations(&place, &[("2_broken.sql", "SELECT 'open")]);
    assert!(refused("migration").contains("2_broken.sql:1:8"));
    assert_eq!(database.value("SELECT count(*) FROM pg_attribute WHERE attname = 'note'"), "0");
}
