//! The history in a PostgreSQL database: what holds for a store of either engine, and what only a server can do.

use std::time::Duration;

use dbdyno::store::history::{
    EXPORT_VERSION, Filter, History, HistoryError, RunRecord, RunSummary, StoreAddress, StoredDistribution,
    export, import,
};

use crate::harness::Database;

#[macro_use]
#[path = "../../src/store/history/suite.rs"]
mod suite;

tests_of_a_store!(fresh);

/// A database that nobody has stored anything in.
fn fresh() -> (StoreAddress, Database) {
    let database = Database::empty();
    (database.url().parse().expect("an address"), database)
}

/// The error of an opening.
fn refused(address: &StoreAddress) -> HistoryError {
    let runtime = crate::harness::runtime();
    runtime.block_on(History::open(address)).map(drop).expect_err("it is no store of ours")
}

#[test]
fn a_schema_of_something_else_stays_as_it_is() {
    let (address, database) = fresh();
    database.execute("CREATE TABLE runs (mine text); INSERT INTO runs VALUES ('precious')");
    suite::on_an_event_loop(suite::a_run_comes_back_as_it_was_put(&address));
    assert_eq!(database.value("SELECT string_agg(mine, ',') FROM public.runs"), "precious");

    database
        .execute("DROP SCHEMA dbdyno CASCADE; CREATE SCHEMA dbdyno; CREATE TABLE dbdyno.runs (mine text)");
    let error = refused(&address);
    assert!(matches!(error, HistoryError::NotAStore { .. }), "{error}");
    let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'dbdyno'";
    assert_eq!(database.value(tables), "runs");

    // An empty one is an invitation: who made it may have had more rights.
    database.execute("DROP TABLE dbdyno.runs");
    suite::on_an_event_loop(suite::a_note_is_replaced(&address));
}

#[test]
fn a_store_of_another_program_version_stays_as_it_is() {
    let (address, database) = fresh();
    suite::on_an_event_loop(suite::a_note_is_replaced(&address));
    database.execute(
        "INSERT INTO dbdyno._sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'of the future', TRUE, '', 0)",
    );
    let newer = refused(&address);
    assert!(matches!(newer, HistoryError::Newer { found: 99, .. }), "{newer}");
    database.execute("DELETE FROM dbdyno._sqlx_migrations WHERE version = 99");
    database.execute("UPDATE dbdyno._sqlx_migrations SET checksum = ''");
    let other = refused(&address);
    assert!(matches!(other, HistoryError::OtherBuild { version: 1, .. }), "{other}");
    assert_eq!(database.value("SELECT count(*) FROM dbdyno.runs"), "2");
}

#[test]
fn who_has_no_rights_is_told_so_and_who_may_read_reads() {
    let (address, database) = fresh();
    suite::on_an_event_loop(suite::a_note_is_replaced(&address));
    // Roles belong to the server, not to the database.
    let role = format!("reader_of_{}", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'"));
    let url = database.url().split_once("://").map(|(_, rest)| rest.split_once('@').expect("a user").1);
    let url = format!("postgres://{role}:hunter2@{}", url.expect("a URL"));
    let reader: StoreAddress = url.parse().expect("an address");

    let denied = refused(&reader);
    assert!(matches!(denied, HistoryError::Denied { .. }), "{denied}");
    assert!(denied.to_string().contains(&role) && !denied.to_string().contains("hunter2"), "{denied}");

    database.execute(&format!("GRANT USAGE ON SCHEMA dbdyno TO {role}"));
    database.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA dbdyno TO {role}"));
    suite::on_an_event_loop(async {
        let history = suite::open(&reader).await;
        assert_eq!(history.list(&Filter::default()).await.expect("it may").len(), 2);
        let denied = history.put(&suite::run(9)).await;
        assert!(matches!(denied, Err(HistoryError::Denied { .. })), "{denied:?}");
        history.close().await;
    });
    database.execute(&format!("DROP OWNED BY {role}"));
    database.execute(&format!("DROP ROLE {role}"));
}

#[test]
fn a_connection_that_is_lost_costs_one_call() {
    let (address, database) = fresh();
    suite::on_an_event_loop(async {
        let history = suite::open(&address).await;
        history.put(&suite::run(1)).await.expect("stored");
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        std::thread::scope(|scope| scope.spawn(|| database.execute(kill)).join().expect("done"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        history.put(&suite::run(2)).await.expect("on a new connection");
        assert_eq!(history.list(&Filter::default()).await.expect("readable").len(), 2);
    });
}
