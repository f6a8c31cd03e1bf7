//! Folders of each tool: which files, in which order, cut and grouped how, and what is refused with its place.

use std::path::Path;

use tempfile::TempDir;

use super::steps::{control, is_alone};
use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn read(files: &[(&str, &str)]) -> Migrations {
    let folder = folder(files);
    load(folder.path(), None).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn refused(files: &[(&str, &str)], tool: Option<Tool>) -> String {
    let folder = folder(files);
    let said = load(folder.path(), tool).expect_err("it has a mistake").to_string();
    said.replace(&format!("{}/", folder.path().display()), "")
}

fn versions(read: &Migrations) -> Vec<&str> {
    read.migrations.iter().map(|migration| migration.version.as_str()).collect()
}

fn statements(migration: &Migration) -> Vec<&str> {
    migration.statements.iter().map(|statement| statement.sql.as_str()).collect()
}

#[test]
fn sqlx_numbers_order_files_and_its_way_back_is_left_out() {
    let read = read(&[
        ("10_b.up.sql", "ALTER TABLE t ADD b int;"),
        ("10_b.down.sql", "ALTER TABLE t DROP b;"),
        ("9_a.sql", "ALTER TABLE t ADD a int; UPDATE t SET a = 1;"),
        ("11_c.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);"),
    ]);
    assert_eq!((read.tool, versions(&read)), (Tool::Sqlx, vec!["9", "10", "11"]));
    let grouped: Vec<(bool, UnitKind, usize)> = read
        .migrations
        .iter()
        .map(|of| (of.in_transaction, of.units[0].kind, of.units[0].statements.len()))
        .collect();
    let transaction = UnitKind::Transaction;
    assert_eq!(grouped, [(true, transaction, 2), (true, transaction, 1), (false, UnitKind::Alone, 1)]);
}

#[test]
fn flyway_versions_have_parts() {
    let read = read(&[
        ("V1_10__c.sql", "SELECT 1"),
        ("V1.9__b.sql", "SELECT 1"),
        ("V1__a.sql", "SELECT 1"),
        ("R__view.sql", "SELECT 1"),
        ("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON t (a);"),
    ]);
    assert_eq!((read.tool, versions(&read)), (Tool::Flyway, vec!["1", "1.9", "1.10", "2", "R__view"]));
    // Flyway finds by itself that nothing of this file can stand in a transaction.
    assert!(!read.migrations[3].in_transaction && read.migrations[0].in_transaction);
}

#[test]
fn dbmate_files_have_two_parts() {
    let text = "-- migrate:up\nALTER TABLE t ADD a int;\n\n-- migrate:down\nALTER TABLE t DROP a;\n";
    let alone = "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON t (a);\n";
    let read = read(&[("20260101000000_a.sql", text), ("20260102000000_i.sql", alone)]);
    assert_eq!(read.tool, Tool::Dbmate);
    assert_eq!(statements(&read.migrations[0]), ["ALTER TABLE t ADD a int"]);
    assert_eq!(read.migrations[0].statements[0].line, 2);
    assert_eq!(read.migrations.iter().map(|of| of.in_transaction).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn plain_files_run_in_the_order_of_their_names_and_hold_their_own_transactions() {
    let body = "BEGIN;\nALTER TABLE t ADD a int;\nALTER TABLE t ADD b int;\nCOMMIT;\nVACUUM t;\nANALYZE t;\n\
                CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;\n\
                CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\n";
    let read = read(&[("second.sql", "SELECT 2"), ("first.sql", body)]);
    assert_eq!((read.tool, versions(&read)), (Tool::Plain, vec!["first", "second"]));
    let first = &read.migrations[0];
    let kinds: Vec<(UnitKind, usize)> =
        first.units.iter().map(|unit| (unit.kind, unit.statements.len())).collect();
    assert_eq!(
        kinds,
        [
            (UnitKind::Transaction, 2),
            (UnitKind::Alone, 1),
            (UnitKind::Single, 1),
            (UnitKind::Single, 1),
            (UnitKind::Single, 1)
        ]
    );
    assert_eq!(first.statements.iter().map(|of| of.line).collect::<Vec<_>>(), [2, 3, 5, 6, 7, 8]);
}

/// As `flyway migrate` finds it: versions with parts, then the repeatable ones by their names, undo scripts beside them, a `.sql.conf`.
#[test]
fn a_flyway_folder_is_read_as_flyway_reads_it() {
    let read = read(&[
        ("V1__init.sql", "CREATE TABLE t (id int);"),
        ("V2.1__note.sql", "ALTER TABLE t ADD note text;\nALTER TABLE t ADD made timestamptz;"),
        ("V2__key.sql", "ALTER TABLE t ADD PRIMARY KEY (id);"),
        ("V10__index.sql", "CREATE INDEX CONCURRENTLY i ON t (note);\nANALYZE t;"),
        ("V10__index.sql.conf", "executeInTransaction = false\n"),
        ("U2.1__note.sql", "ALTER TABLE t DROP note;"),
        ("R__views.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;"),
        ("R__Zone_of_t.sql", "CREATE OR REPLACE VIEW z AS SELECT 2;"),
        ("R__refresh.sql", "REFRESH MATERIALIZED VIEW m;\nVACUUM t;"),
        ("R__refresh.sql.conf", "executeInTransaction=false"),
        ("B5__base.sql", "CREATE TABLE t (id int);"),
    ]);
    // Names as Java compares them: capitals first.
    let expected = vec!["1", "2", "2.1", "10", "R__Zone_of_t", "R__refresh", "R__views"];
    assert_eq!((read.tool, versions(&read)), (Tool::Flyway, expected));
    assert_eq!(read.migrations[4].name, "Zone of t");
    let in_transaction: Vec<bool> = read.migrations.iter().map(|of| of.in_transaction).collect();
    assert_eq!(in_transaction, [true, true, true, false, true, false, true]);
    let kinds: Vec<UnitKind> = read.migrations[3].units.iter().map(|unit| unit.kind).collect();
    assert_eq!(kinds, [UnitKind::Alone, UnitKind::Single]);
}

/// As `flyway migrate` runs them (its documentation, "Callback events").
#[test]
fn what_flyway_runs_around_migrations_is_run_there() {
    let files = [
        ("V1__init.sql", "CREATE TABLE t (id int);"),
        ("V2__note.sql", "ALTER TABLE t ADD note text;"),
        ("R__views.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;"),
        ("beforeMigrate.sql", "SET lock_timeout = '2s';"),
        ("beforeEachMigrate.sql", "SELECT 1;"),
        ("afterEachMigrate__who_did_it.sql", "SELECT 2;"),
        ("afterVersioned.sql", "ANALYZE;"),
        ("beforeRepeatables.sql", "SELECT 3;"),
        ("afterMigrateApplied.sql", "SELECT 4;"),
        ("afterMigrate__grants.sql", "GRANT SELECT ON v TO PUBLIC;"),
        ("afterMigrate__audit.sql", "SELECT 5;"),
        ("afterMigrateError.sql", "SELECT 6;"),
        ("beforeClean.sql", "SELECT 7;"),
    ];
    let all = read(&files);
    let each = |version: &'static str| ["beforeEachMigrate", version, "afterEachMigrate__who_did_it"];
    let around = |middle: &[&'static str], begin: &[&'static str]| {
        let end = ["afterMigrateApplied", "afterMigrate__audit", "afterMigrate__grants"];
        [begin, middle, end.as_slice()].concat()
    };
    let repeatable =
        [["afterVersioned", "beforeRepeatables"].as_slice(), each("R__views").as_slice()].concat();
    let two_on = [each("2").as_slice(), repeatable.as_slice()].concat();
    let expected = around(&[each("1").as_slice(), two_on.as_slice()].concat(), &["beforeMigrate"]);
    assert_eq!((all.tool, versions(&all)), (Tool::Flyway, expected));
    let of_two = all.migrations.iter().filter(|of| of.moment.is_some() && of.name.ends_with('2'));
    assert_eq!(of_two.map(|of| of.name.as_str()).collect::<Vec<_>>(), ["2", "who did it 2"]);
    let [each_note, left_out] = all.notes.as_slice() else { panic!("{:?}", all.notes) };
    assert!(each_note.contains("transactions of their own"), "{each_note}");
    assert!(left_out.starts_with("afterMigrateError.sql, beforeClean.sql are left out"), "{left_out}");

    // Begun later, what is run around those before is not.
    let later = all.clone().from_version("2").expect("it is there");
    assert_eq!(versions(&later), around(&two_on, &["beforeMigrate"]));
    assert_eq!(all.clone().from_version("afterMigrate").expect_err("no version"), ["1", "2", "R__views"]);
    // They are not what a way back is wanted of, and alone they are no migrations.
    let down =
        back(&[files[1], ("U2__note.sql", "ALTER TABLE t DROP note;"), files[4], files[10]], None, None);
    assert_eq!(versions(&down.expect("it has one")), ["2"]);
    let alone = folder(&[("afterMigrate.sql", "SELECT 1;")]);
    let said = load(alone.path(), Some(Tool::Flyway)).expect_err("nothing to apply").to_string();
    assert!(said.contains("holds no migration"), "{said}");
}

#[test]
fn flyway_looks_into_the_folders_of_a_folder() {
    let folder = folder(&[("V1__a.sql", "SELECT 1")]);
    let nested = folder.path().join("2026/april");
    std::fs::create_dir_all(&nested).expect("folders");
    std::fs::write(nested.join("V2__b.sql"), "SELECT 2").expect("a file");
    std::fs::write(folder.path().join("2026/R__v.sql"), "SELECT 3").expect("a file");
    let of = |folder: &Path, tool| load(folder, tool).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let all = of(folder.path(), None);
    assert_eq!((all.tool, versions(&all)), (Tool::Flyway, vec!["1", "2", "R__v"]));
    assert_eq!(versions(&of(folder.path(), Some(Tool::Refinery))), ["1"]);
    // Where nothing else lies, the names in the folders tell whose they are.
    std::fs::remove_file(folder.path().join("V1__a.sql")).expect("it is there");
    assert_eq!(versions(&of(folder.path(), None)), ["2", "R__v"]);
}

fn back(files: &[(&str, &str)], tool: Option<Tool>, from: Option<&str>) -> Result<Migrations, String> {
    let folder = folder(files);
    let up = load(folder.path(), tool).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let up = match from {
        Some(version) => up.from_version(version).expect("it is there"),
        None => up,
    };
    load_down(&up).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn the_way_back_begins_with_the_last() {
    let sqlx = [
        ("1_a.up.sql", "SELECT 1"),
        ("1_a.down.sql", "SELECT 10"),
        ("2_b.up.sql", "SELECT 2"),
        ("2_b.down.sql", "SELECT 20; SELECT 21"),
    ];
    let down = back(&sqlx, None, None).expect("both have one");
    assert_eq!(versions(&down), ["2", "1"]);
    assert_eq!(statements(&down.migrations[0]), ["SELECT 20", "SELECT 21"]);
    let dbmate = [
        ("1_a.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n"),
        ("2_b.sql", "-- migrate:up\nSELECT 2;\n-- migrate:down transaction:false\nSELECT 20;\n"),
    ];
    let down = back(&dbmate, None, Some("2")).expect("that one has one");
    assert_eq!(
        (statements(&down.migrations[0]), down.migrations[0].in_transaction),
        (vec!["SELECT 20"], false)
    );
    assert_eq!(down.migrations[0].statements[0].line, 4);
    // Flyway takes versions back, and leaves what is repeatable as it is.
    let flyway = [("V1__a.sql", "SELECT 1"), ("U1__a.sql", "SELECT 10"), ("R__v.sql", "SELECT 2")];
    let down = back(&flyway, None, None).expect("it has one");
    assert_eq!((versions(&down), statements(&down.migrations[0])), (vec!["1"], vec!["SELECT 10"]));
    let plain = [("add.sql", "SELECT 1"), ("add.down.sql", "SELECT 10")];
    let down = back(&plain, None, None).expect("it has one");
    assert_eq!((versions(&down), statements(&down.migrations[0])), (vec!["add"], vec!["SELECT 10"]));
}

#[test]
fn a_migration_without_a_way_back_is_named() {
    let said = |files: &[(&str, &str)], tool| back(files, tool, None).expect_err("it has none");
    assert!(said(&[("1_a.sql", "SELECT 1")], None).contains("`1_a.down.sql`"));
    assert!(said(&[("V1_2__a.sql", "SELECT 1")], None).contains("`U1_2__a.sql`"));
    assert!(said(&[("1_a.sql", "-- migrate:up\nSELECT 1")], None).contains("-- migrate:down"));
    assert!(said(&[("V1__a.sql", "SELECT 1")], Some(Tool::Refinery)).contains("knows no way back"));
    assert!(said(&[("R__a.sql", "SELECT 1")], None).contains("none of these migrations is ever taken back"));
}

#[test]
fn a_version_to_begin_with_is_found_however_it_is_written() {
    let files = [("V1__a.sql", "SELECT 1"), ("V1_2__b.sql", "SELECT 1"), ("V3__c.sql", "SELECT 1")];
    assert_eq!(versions(&read(&files).from_version("1.2").expect("it is there")), ["1.2", "3"]);
    assert_eq!(versions(&read(&files).from_version("3.0").expect("it is there")), ["3"]);
    assert_eq!(read(&files).from_version("4").expect_err("it is not"), ["1", "1.2", "3"]);
}

#[test]
fn what_a_tool_cannot_run_is_refused_at_its_place() {
    let concurrently = "ALTER TABLE t ADD a int;\n  CREATE INDEX CONCURRENTLY i ON t (a);\n";
    let said = refused(&[("1_a.sql", concurrently)], None);
    assert!(said.contains("--> 1_a.sql:2:3") && said.contains("sqlx opens one for the file"), "{said}");
    assert!(said.contains("-- no-transaction"), "{said}");
    // sqlx sends both in one message, which is one transaction to the server.
    let said = refused(&[("1_a.sql", &format!("-- no-transaction\n{concurrently}"))], None);
    assert!(said.contains("1_a.sql:3:3") && said.contains("in one message are one"), "{said}");
    let said = refused(&[("V1__a.sql", concurrently)], Some(Tool::Flyway));
    assert!(said.contains("executeInTransaction=false"), "{said}");
    let said = refused(&[("V1__a.sql", "SELECT 1; COMMIT;")], Some(Tool::Refinery));
    assert!(said.contains("V1__a.sql:1:11") && said.contains("ends it in the middle"), "{said}");
    let said = refused(&[("a.sql", "BEGIN;\nSELECT 1;\n")], None);
    assert!(said.contains("a.sql:1:1") && said.contains("other half"), "{said}");
    let said = refused(&[("1_a.sql", "SELECT 1"), ("01_b.sql", "SELECT 2")], None);
    assert!(
        said.contains("version 1 is there twice") || said.contains("version 01 is there twice"),
        "{said}"
    );
    let said = refused(&[("1_a.sql", "-- migrate:up\nSELECT 1"), ("b.sql", "SELECT 2")], None);
    assert!(said.contains("`b.sql` is no name of a migration for dbmate"), "{said}");
}

#[test]
fn what_nobody_can_read_is_refused_at_its_place() {
    let said = refused(&[("a.sql", "SELECT 1;\nSELECT 'open;\n"), ("b.sql", "SELECT 1;\n\\i c.sql\n")], None);
    assert!(said.contains("a.sql:2:8") && said.contains("a string that begins here has no end"), "{said}");
    assert!(said.contains("b.sql:2:1") && said.contains("a command of psql"), "{said}");
    assert!(said.ends_with("2 mistakes"), "{said}");
    let said = refused(&[("a.sql", "COPY t FROM STDIN;")], None);
    assert!(said.contains("fed by psql"), "{said}");
    let said = refused(&[("a.sql", "-- nothing\n")], None);
    assert!(said.contains("holds no statement"), "{said}");
    let said = refused(&[("readme.txt", "")], None);
    assert!(said.contains("holds no migration"), "{said}");
    let said = load(Path::new("/nowhere/at/all"), None).expect_err("no folder").to_string();
    assert!(said.contains("--migrations names a folder"), "{said}");
}

/// By `PreventInTransactionBlock` in PostgreSQL's sources (versions 14 to 18).
#[test]
fn statements_that_stand_alone() {
    for sql in [
        "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
        "drop index concurrently if exists i",
        "REINDEX INDEX CONCURRENTLY i",
        "REINDEX (VERBOSE) TABLE CONCURRENTLY t",
        "REINDEX DATABASE d",
        "VACUUM FULL t",
        "CLUSTER",
        "ALTER SYSTEM SET work_mem = '4MB'",
        "CREATE DATABASE d",
        "ALTER TABLE m DETACH PARTITION p CONCURRENTLY",
    ] {
        assert!(is_alone(sql), "{sql}");
    }
    for sql in [
        "CREATE INDEX i ON t (a)",
        "CREATE INDEX i ON concurrently.concurrently (a)",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        "ALTER TABLE m DETACH PARTITION p",
        "CLUSTER t USING i",
        "REINDEX TABLE t",
        "ALTER TYPE e ADD VALUE 'x'",
        "UPDATE t SET note = 'CONCURRENTLY'",
        "CREATE TABLE t (concurrently_made bool)",
    ] {
        assert!(!is_alone(sql), "{sql}");
    }
    assert!(control("ROLLBACK TO SAVEPOINT s").is_none() && control("SAVEPOINT s").is_none());
    assert!(control("COMMIT PREPARED 'x'").is_none() && control("end").is_some());
}

#[test]
fn statements_of_mariadb_are_read_by_its_own_rules() {
    let text = "# one; two\nCREATE TABLE `a;b` (x int);\nDROP DATABASE old;\n\
                CREATE TRIGGER t BEFORE INSERT ON `a;b` FOR EACH ROW BEGIN SET NEW.x = 1; SET NEW.x = 2; END;\n";
    let files = folder(&[("1_a.sql", text)]);
    let read = load_for(files.path(), None, Dialect::Mysql).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!((read.tool, read.dialect), (Tool::Sqlx, Dialect::Mysql));
    let migration = &read.migrations[0];
    let lines: Vec<usize> = migration.statements.iter().map(|of| of.line).collect();
    assert_eq!(lines, [2, 3, 4], "{:?}", statements(migration));
    // PostgreSQL would not let the second stand in a transaction.
    assert_eq!(migration.units, [Unit { kind: UnitKind::Transaction, statements: 0..3 }]);

    let files = folder(&[("1_a.sql", "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\n")]);
    let said = load_for(files.path(), None, Dialect::Mysql).expect_err("the server knows no such word");
    assert!(said.to_string().contains("DELIMITER is a command of the client"), "{said}");
}
