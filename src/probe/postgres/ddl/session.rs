//! The session that applies a migration. Asks within its own transaction what nobody else can see before the commit.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::{Row, Statement};

use super::schema::{self, RELATIONS};
use super::sizes::{self, SIZES};
use super::{columns, digest};
use crate::db::ConnectError;
use crate::db::postgres::{Client, Settings, connect};
use crate::probe::ddl::{Digest, Looked, OwnLocks, RelationId, Schema, Sizes};
use crate::probe::postgres::link::words;
use crate::record::migration::DdlError;
use crate::sql::safer::{Known, columns_with_another_type};
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

/// By relation: scans and rows.
pub type OwnScans = BTreeMap<u32, (i64, i64)>;

/// A session that changes the schema.
pub struct Session {
    client: Client,
    pid: i32,
    // Prepared, so that each is one message, and all of them with the COMMIT behind them one round trip: what is asked while locks
    // are held makes others wait.
    own_locks: Statement,
    own_scans: Statement,
    relations: Statement,
}

impl Session {
    /// Connects under the application name `dbdyno ROLE`.
    pub async fn open(settings: &Settings, role: &str) -> Result<Self, ConnectError> {
        let client = connect(settings, role).await?;
        let ready = async {
            let row = client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await?;
            let own_locks = client.prepare(OWN_LOCKS).await?;
            let own_scans = client.prepare(OWN_SCANS).await?;
            Ok((row.try_get(0)?, own_locks, own_scans, client.prepare(RELATIONS).await?))
        };
        let (pid, own_locks, own_scans, relations) =
            ready.await.map_err(|error: tokio_postgres::Error| ConnectError::Protocol {
                address: settings.address(),
                message: words(&error),
            })?;
        Ok(Self { client, pid, own_locks, own_scans, relations })
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

    /// Ends a wait for a lock with an error after `limit`; never without one.
    pub async fn limit_lock_waits(&self, limit: Option<Duration>) -> Result<(), DdlError> {
        let millis = limit.map_or(0, |limit| limit.as_millis());
        self.execute(&format!("SET lock_timeout = '{millis}ms'")).await
    }

    /// Begins a transaction that reads all of these, and keeps its snapshot and its locks.
    pub async fn read_all(&self, tables: &[String]) -> Result<(), DdlError> {
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        for table in tables {
            self.execute(&format!("SELECT FROM {table} LIMIT 1")).await?;
        }
        Ok(())
    }

    /// Works at one statement for so long.
    pub async fn sleep(&self, lasts: Duration) -> Result<(), DdlError> {
        self.execute(&format!("SELECT pg_catalog.pg_sleep({})", lasts.as_secs_f64())).await
    }

    /// Vacuums these again and again, as slowly as autovacuum does by default, until it is cancelled.
    pub async fn vacuum(&self, tables: &[String]) {
        const PAUSE: Duration = Duration::from_millis(50);
        const CANCELLED: &str = "57014";
        let _ = self.execute("SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 200").await;
        loop {
            for table in tables {
                let vacuum = format!("VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) {table}");
                match self.execute(&vacuum).await {
                    Err(error) if error.code == CANCELLED || self.is_lost() => return,
                    _ => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The relations, as this session sees them.
    pub async fn schema(&self) -> Result<Schema, DdlError> {
        let rows = self.client.query(&self.relations, &[]).await.map_err(|error| told(&error))?;
        schema::read(&rows).map_err(|error| told(&error))
    }

    /// The schema, line by line.
    pub async fn digest(&self) -> Result<Digest, DdlError> {
        digest::read(&self.client).await.map_err(|error| told(&error))
    }

    /// What the safe forms of these statements need to know: the columns that are to have another type, those that there are.
    pub async fn known(&self, statements: &[&str]) -> Result<Known, DdlError> {
        let mut known = Known::default();
        for (table, column) in statements.iter().flat_map(|sql| columns_with_another_type(sql)) {
            let read = columns::read(&self.client, &table, &column).await;
            known.columns.extend(read.map_err(|error| told(&error))?);
        }
        Ok(known)
    }

    /// The relations with their sizes, what its own transaction did included.
    pub async fn sizes(&self) -> Result<Sizes, DdlError> {
        let rows = self.client.query(SIZES, &[]).await.map_err(|error| told(&error))?;
        sizes::read(&rows).map_err(|error| told(&error))
    }

    /// Tables that this transaction read from end to end so far, with how often; those of transactions before it count as well.
    pub async fn scans(&self) -> Result<OwnScans, DdlError> {
        self.own_scans().await
    }

    /// Whether the server takes a statement, which is not executed.
    pub async fn prepare(&self, sql: &str) -> Result<(), DdlError> {
        self.client.prepare(sql).await.map(|_| ()).map_err(|error| told(&error))
    }

    /// What it sees of itself.
    pub async fn look(&self) -> Result<Looked, DdlError> {
        let (locks, scans, schema) = tokio::join!(biased; self.own_locks(), self.own_scans(), self.schema());
        Ok(Looked { locks: locks?, scans: scans?, schema: schema? })
    }

    /// The same, and then the commit, without a pause between the two.
    pub async fn look_and_commit(&self) -> (Result<Looked, DdlError>, Result<(), DdlError>) {
        // They are sent in this order, and the server answers in it.
        tokio::join!(biased; self.look(), self.execute("COMMIT"))
    }

    async fn own_locks(&self) -> Result<OwnLocks, DdlError> {
        let rows = self.client.query(&self.own_locks, &[]).await.map_err(|error| told(&error))?;
        let read = |row: &Row| Ok((RelationId::Number(row.try_get("relation")?), row.try_get("mode")?));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| told(&error))
    }

    async fn own_scans(&self) -> Result<OwnScans, DdlError> {
        let rows = self.client.query(&self.own_scans, &[]).await.map_err(|error| told(&error))?;
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
