//! The versions of a store's schema: which a store has, which this program knows, and the steps between them.

use sqlx::SqlStr;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType};

use super::HistoryError;

/// How far a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is there yet.
    Fresh,
    /// Migrations are missing, those behind this version.
    Behind(i64),
    /// It has all migrations that this program knows.
    Current,
}

/// Migration files of one engine, the oldest first: their versions, names and texts.
pub(super) type Files = [(i64, &'static str, &'static str)];

/// How far a store is that has these migrations. What this program does not know, or knows otherwise, is refused.
pub(super) fn state(applied: &[AppliedMigration], files: &Files, store: &str) -> Result<State, HistoryError> {
    let known = files.last().map_or(0, |(version, ..)| *version);
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(HistoryError::Newer { store: store.to_owned(), found, known });
    }
    let ours = migrations(files);
    let is_ours = |applied: &AppliedMigration| {
        ours.iter().any(|ours| ours.version == applied.version && ours.checksum == applied.checksum)
    };
    if let Some(other) = applied.iter().find(|applied| !is_ours(applied)) {
        return Err(HistoryError::OtherBuild { store: store.to_owned(), version: other.version });
    }
    Ok(if found == known { State::Current } else { State::Behind(found) })
}

/// Applies what is missing. The caller has a transaction open that nobody else can have at the same time; sqlx's own `Migrator`
/// does not lock a SQLite file.
pub(super) async fn migrate<C: Migrate>(
    connection: &mut C,
    table: &str,
    files: &Files,
    state: State,
) -> Result<(), MigrateError> {
    let done = match state {
        State::Fresh => 0,
        State::Behind(version) => version,
        State::Current => return Ok(()),
    };
    connection.ensure_migrations_table(table).await?;
    for migration in migrations(files).iter().filter(|migration| migration.version > done) {
        connection.apply(table, migration).await?;
    }
    Ok(())
}

fn migrations(files: &Files) -> Vec<Migration> {
    let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    files.iter().map(migration).collect()
}
