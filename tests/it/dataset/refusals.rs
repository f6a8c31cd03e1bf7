//! Mistakes and missing rights: named all at once, with what to do, before anything is left behind.

use std::path::Path;

use dbdyno::dataset::{DatasetError, Existing, Holds, check_statements};
use dbdyno::units::Dialect;

use super::{
    SMALL, SMALL_QUERIES, SMALL_SCHEMA, check, options, remedies, state, target, try_load, workload,
};
use crate::harness::{Database, runtime};
use crate::place::workload_of;

#[test]
fn mistakes_come_all_at_once_at_their_places_and_before_anything_is_left() {
    let toml = r#"
        name = "wrong"
        [table.people]
        rows = 10
        [table.people.column]
        id = { sequence = { start = 32760 } }
        nmae = { first_name = {} }
        born = { words = [1, 1] }
        email = { email = {}, null_fraction = 0.5 }
        twice = { uniform = [1, 2] }
        place = { uniform = [1, 2] }
        [table.animals]
        rows = 10
        column = { id = { sequence = {} } }
        [[transaction]]
        name = "read"
        statements = ["one", "two", "three"]
        parameter = { id = { key = { table = "people" } } }
    "#;
    let schema = "
        CREATE TABLE people (id smallint PRIMARY KEY, name text NOT NULL, born date, email text NOT NULL,
            twice int GENERATED ALWAYS AS (id * 2) STORED, place point);
        CREATE INDEX people_age ON people (age);
    ";
    let queries = "-- name: one :one\nSELECT nam FROM people WHERE id = :id;\n\
                   -- name: two :many\nSELECT * FROM persons WHERE id = :id;\n\
                   -- name: three :many\nSELECT id FROM persons WHERE id = :id;\n";
    let (_folder, workload) = workload(toml, schema, queries);
    let database = Database::empty();
    let error = try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse)).expect_err("wrong");
    let DatasetError::Mistakes(mistakes) = error else { panic!("{error}") };
    let said: Vec<&str> = mistakes.items().iter().map(|mistake| mistake.message.as_str()).collect();
    let expected = [
        "column \"age\" does not exist (SQLSTATE 42703)",
        "column `name` of table `people` has no generator",
        "`people.id` is a smallint, and its generator makes 32760 to 32769",
        "table `people` has no column `nmae`",
        "`people.born` is a date, and its generator makes text",
        "`people.email` is NOT NULL, and its generator makes NULLs",
        "`people.twice` is computed by the server",
        "`people.place` is a point",
        "schema.sql makes no table `animals`",
        "column \"nam\" does not exist (SQLSTATE 42703)",
        "relation \"persons\" does not exist (SQLSTATE 42P01)",
    ];
    assert_eq!(said, expected);
    let text = mistakes.to_string();
    for part in
        ["did you mean `name`?", "schema.sql:4:", "and so three", "workload.toml:8:", "queries.sql:1:"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let left = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                WHERE nspname IN ('public', 'dbdyno') AND relname NOT LIKE 'pg_stat%'";
    assert_eq!(database.value(left), "0");
}

#[test]
fn a_missing_right_is_named_for_all_statements_at_once() {
    let (_folder, workload) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let database = Database::empty();
    let role = format!("{}_reader", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'reader'"));
    let (_, address) = database.url().split_once('@').expect("an address");
    let reader = format!("postgres://{role}:reader@{address}");

    let said = remedies(&check(&reader, &workload).expect_err("no tables"));
    assert_eq!(said.len(), 1);
    assert!(said["relation \"parents\" does not exist (SQLSTATE 42P01)"].contains("dbdyno load -w"));
    let refuse = options(1.0, 1, Existing::Refuse);
    let error = try_load(&reader, &workload, &refuse).expect_err("no right to create").to_string();
    assert!(error.contains("right to CREATE") && error.contains("42501"), "{error}");

    try_load(database.url(), &workload, &refuse).expect("the owner loads");
    let said = remedies(&check(&reader, &workload).expect_err("no right to read"));
    assert_eq!(said.len(), 1);
    assert!(said["permission denied for table parents (SQLSTATE 42501)"].starts_with("grant"));
    // The mark is for everybody to see.
    assert!(matches!(state(&reader, &workload).holds, Holds::This(_)));
    database.execute(&format!("GRANT SELECT ON parents TO {role}"));
    check(&reader, &workload).expect("now it can");
    // A check leaves nothing on its connection, and can be made again.
    runtime().block_on(async {
        let client = target(&reader).connect("test").await.expect("the server runs");
        for _ in 0..2 {
            check_statements(&client, &workload).await.expect("now it can");
        }
        let left = client
            .postgres()
            .expect("it is one")
            .query_one("SELECT count(*) FROM pg_prepared_statements WHERE from_sql", &[])
            .await;
        assert_eq!(left.expect("it answers").get::<_, i64>(0), 0);
    });

    // Who may create but not write a checkpoint loads all the same, and is told.
    database.execute(&format!(
        "GRANT CREATE ON DATABASE {} TO {role};
         CREATE SCHEMA own AUTHORIZATION {role};
         ALTER ROLE {role} SET search_path = own;
         DROP TABLE children, parents;
         DROP SCHEMA dbdyno CASCADE",
        database.name()
    ));
    let loaded = try_load(&reader, &workload, &refuse).expect("it loads");
    assert!(loaded.notes.iter().any(|note| note.contains("CHECKPOINT")), "{:?}", loaded.notes);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_database_that_pgbench_filled_tells_its_scale() {
    let workload =
        dbdyno::workload::load(Path::new("workloads/tpcb")).expect("the workload that ships is right");
    let database = Database::empty();
    let said = remedies(&check(database.url(), &workload).expect_err("no tables"));
    assert_eq!(said.len(), 4);
    assert!(said.values().all(|remedy| remedy.contains("dbdyno load")), "{said:?}");
    // What `pgbench -i` makes, without most of its rows.
    database.execute(
        "CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
         CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
         CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
         CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
         INSERT INTO pgbench_branches SELECT i, 0, '' FROM generate_series(1, 3) i",
    );
    check(database.url(), &workload).expect("all tables are there");
    let state = state(database.url(), &workload);
    assert_eq!((state.holds, state.scale), (Holds::Unmarked, Some(3.0)));
    let error =
        try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse)).expect_err("not ours");
    assert!(matches!(error, DatasetError::Occupied { .. }), "{error}");

    // A workload without a schema runs on what something else makes, and says so.
    let (_folder, bare) = bare();
    let said = remedies(&check(database.url(), &bare).expect_err("no table"));
    assert!(said.values().all(|remedy| remedy.contains("something else makes")), "{said:?}");
    let error = try_load(database.url(), &bare, &options(1.0, 1, Existing::Replace)).expect_err("no schema");
    assert!(matches!(error, DatasetError::NothingToLoad { .. }), "{error}");
}

/// A workload that measures a table which it does not make.
fn bare() -> (tempfile::TempDir, dbdyno::workload::Workload) {
    let document = "name = \"bare\"\n[[transaction]]\nname = \"t\"\nstatements = [\"s\"]\n";
    let queries = "-- name: s :many\nSELECT i FROM nowhere;\n";
    workload_of(&[("workload.toml", document), ("queries.sql", queries)], Dialect::Postgresql)
}
