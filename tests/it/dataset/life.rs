//! What becomes of tables that are there already: others', one's own, and those of a load that was interrupted.

use std::fs;

use dbdyno::dataset::{DatasetError, Existing, Holds, LoadEvent, LoadOptions, Phase, load};

use super::{SMALL, SMALL_QUERIES, SMALL_SCHEMA, options, state, try_load, workload};
use crate::harness::{Database, runtime};

#[test]
fn tables_of_others_are_refused_by_name_and_left_alone() {
    let (_folder, workload) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let database = Database::empty();
    database.execute("CREATE TABLE children (mine text); INSERT INTO children VALUES ('precious')");
    let refuse = options(1.0, 1, Existing::Refuse);
    let error = try_load(database.url(), &workload, &refuse).expect_err("refused");
    let DatasetError::Occupied { tables, .. } = &error else { panic!("{error}") };
    assert_eq!(tables, &["children"]);
    assert!(error.to_string().contains("--replace"), "{error}");
    assert_eq!(database.value("SELECT mine FROM children"), "precious");
    assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'dbdyno'"), "0");

    // What hangs onto a table is not taken along, and a refusal changes nothing.
    database.execute("CREATE VIEW mine AS SELECT * FROM children");
    let error =
        try_load(database.url(), &workload, &options(1.0, 1, Existing::Replace)).expect_err("refused");
    assert!(error.to_string().contains("view mine depends on table children"), "{error}");
    assert_eq!(database.value("SELECT mine FROM mine"), "precious");
    database.execute("DROP VIEW mine");

    try_load(database.url(), &workload, &options(1.0, 1, Existing::Replace)).expect("given up");
    assert_eq!(database.value("SELECT count(*) FROM children"), "20000");

    // A table that somebody made under a name that dbdyno once used is not dbdyno's.
    database.execute("DROP TABLE children; CREATE TABLE children (mine text)");
    let error = try_load(database.url(), &workload, &refuse).expect_err("refused");
    assert!(matches!(error, DatasetError::Occupied { .. }), "{error}");
    // Nor is one that CREATE TABLE IF NOT EXISTS steps over.
    let other = Database::empty();
    other.execute("CREATE SCHEMA hidden; CREATE TABLE hidden.children (mine text)");
    other.execute(&format!("ALTER DATABASE {} SET search_path = hidden, public", other.name()));
    let error = try_load(other.url(), &workload, &refuse).expect_err("refused");
    assert!(matches!(error, DatasetError::Occupied { .. }), "{error}");
}

#[test]
fn a_load_is_done_once_and_another_one_only_when_asked_for() {
    let (folder, first) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let database = Database::empty();
    let refuse = options(1.0, 1, Existing::Refuse);
    let loaded = try_load(database.url(), &first, &refuse).expect("it loads");
    assert!(!loaded.already_loaded && loaded.rows == 21_000 && loaded.tables.len() == 2);
    let phases: Vec<Phase> = loaded.phases.iter().map(|(phase, _)| *phase).collect();
    assert_eq!(phases, [Phase::Schema, Phase::Rows, Phase::Indexes, Phase::Vacuum, Phase::Checkpoint]);
    assert!(try_load(database.url(), &first, &refuse).expect("nothing to do").already_loaded);

    let smaller = options(0.5, 1, Existing::Refuse);
    let error = try_load(database.url(), &first, &smaller).expect_err("refused").to_string();
    assert!(error.contains("at scale 1 with seed 42 (asked for is scale 0.5)"), "{error}");
    assert_eq!(database.value("SELECT count(*) FROM children"), "20000");
    let replaced = LoadOptions { existing: Existing::Replace, ..smaller };
    try_load(database.url(), &first, &replaced).expect("it replaces");
    assert_eq!(database.value("SELECT count(*) FROM children"), "10000");
    assert_eq!(database.value("SELECT count(*) FROM dbdyno.load_mark"), "1");

    // Another schema is other data; another query is not.
    fs::write(folder.path().join("queries.sql"), format!("{SMALL_QUERIES}\n-- read\n")).expect("written");
    let second = dbdyno::workload::load(folder.path()).expect("right");
    assert!(matches!(state(database.url(), &second).holds, Holds::This(_)));
    let changed = SMALL_SCHEMA.replace("name text", "name varchar(100)");
    fs::write(folder.path().join("schema.sql"), changed).expect("written");
    let third = dbdyno::workload::load(folder.path()).expect("right");
    assert!(matches!(state(database.url(), &third).holds, Holds::Other { .. }));

    database.execute("DROP TABLE children");
    let error = try_load(database.url(), &first, &smaller).expect_err("damaged").to_string();
    assert!(error.contains("table children is gone"), "{error}");
    assert_eq!(state(database.url(), &first).missing_tables, ["children"]);
}

/// The load is dropped in the middle of the rows, as by Ctrl-C or by the end of its process.
#[test]
fn an_interrupted_load_is_recognised_and_redone_without_replace() {
    let (_folder, workload) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let database = Database::empty();
    let target = super::target(database.url());
    let large = options(50.0, 1, Existing::Refuse);
    let (begun, begins) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let mut progress = |event: LoadEvent| {
        if matches!(event, LoadEvent::RowsSent { .. })
            && let Some(begun) = begun.take()
        {
            begun.send(()).expect("the test waits");
        }
    };
    runtime().block_on(async {
        tokio::select! {
            done = load(&target, &workload, &large, &mut progress) => panic!("it ended before it was interrupted: {done:?}"),
            _ = begins => {}
        }
    });
    assert!(matches!(state(database.url(), &workload).holds, Holds::Interrupted(_)));
    let small = options(1.0, 1, Existing::Refuse);
    try_load(database.url(), &workload, &small).expect("it is redone");
    assert_eq!(database.value("SELECT count(*) FROM children"), "20000");
    assert!(matches!(state(database.url(), &workload).holds, Holds::This(_)));
}

#[test]
fn two_loads_do_not_mix() {
    let (_folder, workload) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let database = Database::empty();
    let url = database.url().to_owned();
    let mut second = None;
    let mut progress = |event: LoadEvent| {
        if event == LoadEvent::PhaseBegun(Phase::Indexes) {
            let (url, workload) = (url.clone(), workload.clone());
            let load = move || try_load(&url, &workload, &options(1.0, 1, Existing::Replace));
            second = Some(std::thread::spawn(load).join().expect("no panic"));
        }
    };
    let (target, refuse) = (super::target(database.url()), options(1.0, 1, Existing::Refuse));
    let first = load(&target, &workload, &refuse, &mut progress);
    runtime().block_on(first).expect("the first is not disturbed");
    let error = second.expect("it ran").expect_err("the second is refused");
    assert!(matches!(error, DatasetError::Busy { .. }), "{error}");
    assert_eq!(database.value("SELECT count(*) FROM children"), "20000");
}
