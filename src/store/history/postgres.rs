//! Opens a store in a PostgreSQL database, in a schema of its own. A schema of that name that is anything else is left as it is.

use std::time::Duration;

use sqlx::migrate::Migrate;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool};

use super::HistoryError;
use super::address::PostgresAddress;
use super::schema::{self, Files, State};

const FILES: &Files = &[(1, "history", include_str!("../../../migrations/postgres/0001_history.sql"))];

/// Table of the applied migrations.
const MIGRATIONS: &str = "dbdyno._sqlx_migrations";

const CONNECTIONS_MAX: u32 = 4;

/// For a server that does not answer at all; one that refuses is not waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Begins a transaction that changes what is there, alone: two of them could wait for each other otherwise.
pub(super) const BEGIN_ALONE: &str = "BEGIN; SELECT pg_advisory_xact_lock(hashtext('dbdyno'))";

/// Begins a transaction that adds a run. It meets others only where their runs have the same id.
pub(super) const BEGIN_ADD: &str = "BEGIN";

/// Begins a transaction whose queries see one state of the store.
pub(super) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Opens the store, makes it where there is none, and brings it up to date. Others that hold it are waited for as long as `patience`.
pub(super) async fn open(
    address: &PostgresAddress,
    store: &str,
    patience: Duration,
) -> Result<PgPool, HistoryError> {
    let options = address.options().clone().disable_statement_logging();
    // Not by the pool, which would try again until its time is over, and then not say why.
    let mut connection = connect(&options, store).await?;
    let prepared = prepare(&mut connection, store, patience).await;
    // It has done its work; how the farewell goes changes nothing.
    let _ = connection.close().await;
    prepared?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(patience)
        .after_connect(move |connection, _| Box::pin(async move { settle(connection, patience).await }));
    Ok(pool.connect_lazy_with(options))
}

async fn connect(options: &PgConnectOptions, store: &str) -> Result<PgConnection, HistoryError> {
    let Ok(connected) = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await else {
        let said = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
        return Err(HistoryError::Unreachable { store: store.to_owned(), said });
    };
    connected.map_err(|error| HistoryError::of("open the history", store, &error))
}

/// Settings of a session: names mean our tables, short queries are not compiled, and nobody waits without an end, neither for others
/// nor others for a client that is gone.
async fn settle(connection: &mut PgConnection, patience: Duration) -> Result<(), sqlx::Error> {
    let wait_ms = patience.as_millis();
    let settings = format!(
        "SET search_path = dbdyno; SET jit = off; SET lock_timeout = {wait_ms}; SET idle_in_transaction_session_timeout = {wait_ms}"
    );
    connection.execute(AssertSqlSafe(settings)).await.map(drop)
}

async fn prepare(connection: &mut PgConnection, store: &str, patience: Duration) -> Result<(), HistoryError> {
    let failed = |error: sqlx::Error| HistoryError::of("open the history", store, &error);
    settle(connection, patience).await.map_err(failed)?;
    if state(connection, store).await? == State::Current {
        return Ok(());
    }
    migrate(connection, store).await
}

async fn state(connection: &mut PgConnection, store: &str) -> Result<State, HistoryError> {
    let failed = |error: sqlx::Error| HistoryError::of("look at the history", store, &error);
    let (has_migrations, has_anything): (bool, bool) = sqlx::query_as(
        "SELECT to_regclass('dbdyno._sqlx_migrations') IS NOT NULL,
                EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('dbdyno'))",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    match (has_migrations, has_anything) {
        (true, _) => {}
        (false, false) => return Ok(State::Fresh),
        (false, true) => {
            let found = "a database with a schema `dbdyno` of something else";
            return Err(HistoryError::NotAStore { store: store.to_owned(), found });
        }
    }
    let applied = connection.list_applied_migrations(MIGRATIONS).await;
    let applied = applied.map_err(|error| failed(error.into()))?;
    schema::state(&applied, FILES, store)
}

/// Does all that is missing in one transaction. Since it waits for its lock first, of two processes that open the same new store
/// one does the work and the other finds it done.
async fn migrate(connection: &mut PgConnection, store: &str) -> Result<(), HistoryError> {
    let failed = |error: sqlx::Error| HistoryError::of("migrate the history", store, &error);
    let mut transaction = connection.begin_with(BEGIN_ALONE).await.map_err(failed)?;
    let state = state(&mut transaction, store).await?;
    if state == State::Fresh && !has_schema(&mut transaction).await.map_err(failed)? {
        transaction.execute("CREATE SCHEMA dbdyno").await.map_err(failed)?;
    }
    let migrated = schema::migrate(&mut *transaction, MIGRATIONS, FILES, state).await;
    migrated.map_err(|error| failed(error.into()))?;
    transaction.commit().await.map_err(failed)
}

/// Somebody with more rights may have made the schema. `CREATE SCHEMA IF NOT EXISTS` asks for those rights all the same.
async fn has_schema(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regnamespace('dbdyno') IS NOT NULL").fetch_one(connection).await
}
