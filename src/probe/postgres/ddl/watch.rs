//! Looks at the locks of one session from a second connection, many times a second: what it waits for and since when, and what it
//! holds. Also reads what the session wrote, and cancels it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::left;
use crate::db::postgres::{Client, Settings, connect};
use crate::db::{ConnectError, Now};
use crate::probe::ddl::{Left, LockNow, RelationId, SeenLocks};
use crate::units::Span;

/// Time between two looks at the locks.
const EVERY: Duration = Duration::from_millis(20);
/// A look that takes longer is a gap.
const SETUP: &str = "SET statement_timeout = '2s'; SET jit = off";

/// What one session waits for and holds. Fast-path locks are in it.
const LOCKS: &str = "
    SELECT locktype, mode, granted, relation,
           (extract(epoch FROM clock_timestamp() - waitstart) * 1000000)::bigint AS waited_us
    FROM pg_catalog.pg_locks
    WHERE pid = $1 AND (NOT granted OR locktype = 'relation')";

/// WAL and temporary files of all statements that begin with this tag.
const WRITTEN: &str = "
    SELECT sum(wal_bytes)::bigint AS wal, (sum(temp_blks_written) * current_setting('block_size')::bigint)::bigint AS temp
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND left(query, length($1)) = $1";

/// The second connection.
pub struct Watch {
    client: Arc<Client>,
    pid: i32,
    seen: Arc<Mutex<SeenLocks>>,
    looking: JoinHandle<()>,
}

impl Watch {
    /// Begins to look at the session of this process id.
    pub async fn begin(settings: &Settings, pid: i32, clock: impl Now) -> Result<Self, ConnectError> {
        let client = Arc::new(connect(settings, crate::probe::ROLE).await?);
        let seen = Arc::new(Mutex::new(SeenLocks::default()));
        let looking = tokio::spawn(look_on(Arc::clone(&client), pid, Arc::clone(&seen), clock));
        Ok(Self { client, pid, seen, looking })
    }

    /// What was seen since the last call. What is still held is seen again.
    #[must_use]
    pub fn take(&self) -> SeenLocks {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Cancels what the session does.
    pub async fn cancel(&self) {
        // It may have ended by itself in the meantime.
        let _ = self.client.execute("SELECT pg_catalog.pg_cancel_backend($1)", &[&self.pid]).await;
    }

    /// WAL and temporary bytes of the statements with this tag; nothing where the server does not count them.
    pub async fn written(&self, tag: &str) -> Option<(u64, u64)> {
        let row = self.client.query_one(WRITTEN, &[&tag]).await.ok()?;
        let (wal, temp): (Option<i64>, Option<i64>) = (row.try_get("wal").ok()?, row.try_get("temp").ok()?);
        Some((u64::try_from(wal?).ok()?, u64::try_from(temp?).ok()?))
    }

    /// Where the server's WAL ends, in bytes.
    pub async fn wal_end(&self) -> Option<u64> {
        let end = "SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0')::bigint";
        let row = self.client.query_one(end, &[]).await.ok()?;
        u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()
    }

    /// What stands unfinished in the database.
    pub async fn left(&self) -> Result<Left, String> {
        left::read(&self.client).await.map_err(|error| crate::probe::postgres::link::words(&error))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look_on(client: Arc<Client>, pid: i32, seen: Arc<Mutex<SeenLocks>>, clock: impl Now) {
    if client.batch_execute(SETUP).await.is_err() {
        return;
    }
    let Ok(statement) = client.prepare(LOCKS).await else { return };
    let mut due = tokio::time::Instant::now();
    while !client.is_closed() {
        tokio::time::sleep_until(due).await;
        let asked_at = clock.now();
        if let Ok(rows) = client.query(&statement, &[&pid]).await {
            let now = Span { from: asked_at, to: clock.now() };
            let rows = rows.iter().filter_map(read);
            seen.lock().unwrap_or_else(PoisonError::into_inner).add(now, rows);
        }
        due = (due + EVERY).max(tokio::time::Instant::now());
    }
}

fn read(row: &tokio_postgres::Row) -> Option<LockNow> {
    let granted = row.try_get("granted").ok()?;
    let waited = waited(row.try_get("waited_us").ok()?);
    Some(LockNow {
        lock_type: row.try_get("locktype").ok()?,
        mode: row.try_get("mode").ok()?,
        granted,
        relation: row.try_get::<_, Option<u32>>("relation").ok()?.map(RelationId::Number),
        lasts: (!granted).then_some(waited),
    })
}

/// What the server counts to the microsecond; nothing where the wait has only just begun.
fn waited(us: Option<i64>) -> Duration {
    Duration::from_micros(us.and_then(|us| u64::try_from(us).ok()).unwrap_or(0))
}
