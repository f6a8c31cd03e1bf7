//! The history in a database: every measured run in one store, a SQLite file by default, or a PostgreSQL database that a team shares.
//!
//! A store loses no run. Each change is one transaction; writers wait for each other; a store that this program does not
//! understand (damaged, newer, somebody else's) is refused and left as it is. This module knows nothing of what a report says:
//! it keeps texts, figures and histograms under the names that it is given.
//!
//! Both engines read the same SQL, so that a query is written once ([`on_pool`]); what differs stands in `sqlite` and `postgres`.

mod address;
mod error;
mod postgres;
mod record;
mod schema;
mod sqlite;
mod transfer;

use std::time::Duration;

use sqlx::{PgPool, SqlitePool};

pub use address::{AddressError, PostgresAddress, StoreAddress, default_path};
pub use error::HistoryError;
pub use record::{Filter, NAME_BYTES_MAX, RunRecord, RunSummary, StoredDistribution, Unfit};
pub use transfer::{EXPORT_VERSION, TransferError, export, import};

/// How long one waits for others that hold the store, and for a connection.
const PATIENCE: Duration = Duration::from_secs(90);

/// An open store. It may be used by several tasks at once.
pub struct History {
    pool: Pool,
    /// The address as messages show it.
    store: String,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// What a transaction is for.
#[derive(Clone, Copy)]
enum Purpose {
    /// Several queries that see one state.
    Read,
    /// A new run.
    Add,
    /// A change of what is there.
    Change,
}

/// Runs the same code on the pool of either engine. The code is an `async` block whose `?` takes errors of sqlx; what the database
/// says becomes a [`HistoryError`] that tells what was being done.
macro_rules! on_pool {
    ($history:ident, $doing:literal, |$pool:ident| $code:expr) => {
        match &$history.pool {
            Pool::Sqlite($pool) => async move { $code }.await,
            Pool::Postgres($pool) => async move { $code }.await,
        }
        .map_err(|error: sqlx::Error| HistoryError::of($doing, &$history.store, &error))
    };
}

// Behind the macro, which they use.
mod read;
mod write;

#[cfg(test)]
#[macro_use]
mod suite;
#[cfg(test)]
mod tests;

impl History {
    /// Opens a store. Makes it where there is none, folders included, and brings an older one up to date.
    pub async fn open(address: &StoreAddress) -> Result<Self, HistoryError> {
        Self::open_with(address, PATIENCE).await
    }

    async fn open_with(address: &StoreAddress, patience: Duration) -> Result<Self, HistoryError> {
        let store = address.to_string();
        let pool = match address {
            StoreAddress::File(path) => Pool::Sqlite(sqlite::open(path, &store, patience).await?),
            StoreAddress::Postgres(address) => {
                Pool::Postgres(postgres::open(address, &store, patience).await?)
            }
        };
        Ok(Self { pool, store })
    }

    /// Where it is, without a password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.store
    }

    /// Ends all connections. Without it nothing is lost, but a file keeps its write-ahead log (`…-wal`) beside it.
    pub async fn close(self) {
        match self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// The statement that begins a transaction.
    fn begin(&self, purpose: Purpose) -> &'static str {
        match (&self.pool, purpose) {
            (Pool::Sqlite(_), Purpose::Read) => "BEGIN",
            (Pool::Sqlite(_), Purpose::Add | Purpose::Change) => sqlite::BEGIN_WRITE,
            (Pool::Postgres(_), Purpose::Read) => postgres::BEGIN_READ,
            (Pool::Postgres(_), Purpose::Add) => postgres::BEGIN_ADD,
            (Pool::Postgres(_), Purpose::Change) => postgres::BEGIN_ALONE,
        }
    }

    fn no_run(&self, name: &str) -> HistoryError {
        HistoryError::NoRun { name: name.to_owned(), store: self.store.clone() }
    }
}
