//! The session that applies a migration. Asks within its own transaction what nobody else can see before the commit.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::schema::Schema;
use crate::db::ConnectError;
use crate::db::postgres::{Client, Settings, connect};
use crate::probe::postgres::link::words;
use crate::record::migration::DdlError;
use crate::units::BackendId;

/// `connection_failure`, for what ended without a word of the server.
const LOST: &str = "08006";

/// Locks on relations that this session holds.
const OWN_LOCKS: &str = "
    SELECT relation, mode FROM pg_catalog.pg_locks
    WHERE pid = pg_catalog.pg_backend_pid() AND granted AND locktype = 'relation'
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())";

/// Sequential scans of this transaction, and of those before it that the server has not told of yet, by table.
const OWN_SCANS: &str = "
    SELECT relid, seq_scan, seq_tup_read FROM pg_catalog.pg_stat_xact_user_tables WHERE seq_scan > 0";

/// Relations with their modes.
pub type OwnLocks = Vec<(u32, String)>;
/// By relation: scans and rows.
pub type OwnScans = BTreeMap<u32, (i64, i64)>;

/// A session that changes the schema.
pub struct DdlSession {
    client: Client,
    pid: i32,
}

impl DdlSession {
    /// Connects under the application name `dbdyno ROLE`.
    pub async fn open(settings: &Settings, role: &str) -> Result<Self, ConnectError> {
        let client = connect(settings, role).await?;
        let row = client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await;
        let row = row.map_err(|error| ConnectError::Protocol {
            address: settings.address(),
            message: words(&error),
        })?;
        Ok(Self { client, pid: row.get(0) })
    }

    /// The server's number for it.
    #[must_use]
    pub fn backend(&self) -> BackendId {
        BackendId(self.pid.into())
    }

    /// Process id on the server.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    /// Executes one text as it is.
    pub async fn execute(&self, sql: &str) -> Result<(), DdlError> {
        self.client.batch_execute(sql).await.map_err(|error| told(&error))
    }

    /// The relations, as this session sees them: what its own transaction did included.
    pub async fn schema(&self) -> Result<Schema, DdlError> {
        Schema::read(&self.client).await.map_err(|error| told(&error))
    }

    /// Locks on relations that it holds.
    pub async fn own_locks(&self) -> Result<OwnLocks, DdlError> {
        let rows = self.client.query(OWN_LOCKS, &[]).await.map_err(|error| told(&error))?;
        let read = |row: &Row| Ok((row.try_get("relation")?, row.try_get("mode")?));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| told(&error))
    }

    /// Sequential scans so far: a difference within one transaction is that of what ran in between.
    pub async fn own_scans(&self) -> Result<OwnScans, DdlError> {
        let rows = self.client.query(OWN_SCANS, &[]).await.map_err(|error| told(&error))?;
        let read =
            |row: &Row| Ok((row.try_get("relid")?, (row.try_get("seq_scan")?, row.try_get("seq_tup_read")?)));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| told(&error))
    }
}

/// An error as the journal keeps it.
pub(super) fn told(error: &tokio_postgres::Error) -> DdlError {
    let Some(said) = error.as_db_error() else {
        return DdlError { code: LOST.to_owned(), message: words(error) };
    };
    let mut message = said.message().to_owned();
    for more in [said.detail(), said.hint()].into_iter().flatten() {
        message.push_str("; ");
        message.push_str(more);
    }
    DdlError { code: said.code().code().to_owned(), message }
}
