//! Looks at the locks of one session from a second connection, many times a second: what it waits for and since when, and what it
//! holds. Also reads what the session wrote, and cancels it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::db::postgres::{Client, connect};
use crate::db::{ConnectError, Now, Target};
use crate::units::{Span, Stamp};

use super::left::Left;

/// Time between two looks at the locks.
const EVERY: Duration = Duration::from_millis(20);
/// Lock spans of one try that are told apart; a statement that takes more touches thousands of relations.
const SPANS_MAX: usize = 2_000;
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

/// One lock as the looks saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLock {
    /// `AccessExclusiveLock`
    pub mode: String,
    /// `relation`, `virtualxid`, …
    pub lock_type: String,
    /// Number of the relation, where it is one.
    pub relation: Option<u32>,
    /// From when it was waited for, or held, to the look that no longer saw that.
    pub span: Span,
}

/// What the looks saw since the last time somebody asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenLocks {
    /// Waited for.
    pub waits: Vec<SeenLock>,
    /// Held.
    pub held: Vec<SeenLock>,
}

/// A row of [`LOCKS`].
struct LockNow {
    lock_type: String,
    mode: String,
    granted: bool,
    relation: Option<u32>,
    waited_us: Option<i64>,
}

/// The second connection.
pub struct Watch {
    client: Arc<Client>,
    pid: i32,
    seen: Arc<Mutex<SeenLocks>>,
    looking: JoinHandle<()>,
}

impl Watch {
    /// Begins to look at the session of this process id.
    pub async fn begin(target: &Target, pid: i32, clock: impl Now) -> Result<Self, ConnectError> {
        let settings = target.postgres()?;
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
        Left::read(&self.client).await.map_err(|error| crate::probe::postgres::link::words(&error))
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
    Some(LockNow {
        lock_type: row.try_get("locktype").ok()?,
        mode: row.try_get("mode").ok()?,
        granted: row.try_get("granted").ok()?,
        relation: row.try_get("relation").ok()?,
        waited_us: row.try_get("waited_us").ok()?,
    })
}

impl SeenLocks {
    /// Adds one look, asked and answered within `now`.
    fn add(&mut self, now: Span, rows: impl Iterator<Item = LockNow>) {
        for row in rows {
            let known = if row.granted { &mut self.held } else { &mut self.waits };
            let is_it = |seen: &&mut SeenLock| {
                seen.mode == row.mode && seen.lock_type == row.lock_type && seen.relation == row.relation
            };
            let waited =
                Duration::from_micros(row.waited_us.and_then(|us| u64::try_from(us).ok()).unwrap_or(0));
            let from = if row.granted { now.from } else { Stamp(now.to.0.saturating_sub(nanos(waited))) };
            // Another wait for the same lock begins behind the end of the last.
            let again = known.iter_mut().rev().find(is_it).filter(|seen| row.granted || from <= seen.span.to);
            if let Some(seen) = again {
                seen.span.to = now.to;
            } else if known.len() < SPANS_MAX {
                let (mode, lock_type, relation) = (row.mode, row.lock_type, row.relation);
                known.push(SeenLock { mode, lock_type, relation, span: Span { from, to: now.to } });
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_ms: u64, granted: bool, waited_ms: i64) -> (Span, LockNow) {
        let at = Stamp(at_ms * 1_000_000);
        let lock = LockNow {
            lock_type: "relation".to_owned(),
            mode: "AccessExclusiveLock".to_owned(),
            granted,
            relation: Some(7),
            waited_us: (!granted).then_some(waited_ms * 1000),
        };
        (Span { from: at, to: at }, lock)
    }

    #[test]
    fn looks_at_one_wait_are_one_wait_and_a_later_one_is_another() {
        let mut seen = SeenLocks::default();
        for (now, lock) in
            [look(100, false, 30), look(120, false, 50), look(140, true, 0), look(400, false, 10)]
        {
            seen.add(now, std::iter::once(lock));
        }
        let spans = |of: &[SeenLock]| -> Vec<(u64, u64)> {
            of.iter().map(|seen| (seen.span.from.0 / 1_000_000, seen.span.to.0 / 1_000_000)).collect()
        };
        assert_eq!(spans(&seen.waits), [(70, 120), (390, 400)]);
        assert_eq!(spans(&seen.held), [(140, 140)]);
    }
}
