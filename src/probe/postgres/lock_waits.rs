//! What lock waiters wait for and who blocks them, from `pg_locks` and `pg_blocking_pids`; never from a self-join of granted
//! locks, which names the wrong culprit when a waiter queues behind a waiting DDL.

/// What lock waiters wait for. The first who waits for a row's holder holds the lock of the tuple, which names the relation.
/// Holds for PostgreSQL 14 to 18.
pub const LOCK_WAITS: &str = "\
WITH locks AS MATERIALIZED (
    SELECT pid, locktype, mode, granted, database, relation, waitstart FROM pg_locks WHERE pid = ANY($1)
)
SELECT waiting.pid, waiting.locktype, waiting.mode,
       CASE WHEN space.nspname = 'public' THEN class.relname::text
            ELSE space.nspname || '.' || class.relname END AS relation,
       (extract(epoch FROM waiting.waitstart) * 1000000)::bigint AS waitstart_us,
       pg_blocking_pids(waiting.pid) AS blockers
FROM locks AS waiting
LEFT JOIN LATERAL (
    SELECT held.database, held.relation FROM locks AS held
    WHERE held.pid = waiting.pid AND held.granted AND held.locktype = 'tuple' LIMIT 1
) AS tuple ON waiting.relation IS NULL
LEFT JOIN pg_class AS class
       ON class.oid = coalesce(waiting.relation, tuple.relation)
      AND coalesce(waiting.database, tuple.database) IN
          (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
LEFT JOIN pg_namespace AS space ON space.oid = class.relnamespace
WHERE NOT waiting.granted";

/// A row of [`LOCK_WAITS`].
pub struct LockRow {
    /// Process id of the waiter.
    pub pid: i32,
    /// `transactionid`, `tuple`, …
    pub lock_type: String,
    /// `ShareLock`, …
    pub mode: String,
    /// Qualified unless in `public`.
    pub relation: Option<String>,
    /// Since when, microseconds since the Unix epoch by the server.
    pub waitstart_us: Option<i64>,
    /// Those it waits for; 0 stands for a prepared transaction.
    pub blockers: Vec<i32>,
}

impl LockRow {
    /// Reads one row.
    pub fn read(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            pid: row.try_get("pid")?,
            lock_type: row.try_get("locktype")?,
            mode: row.try_get("mode")?,
            relation: row.try_get("relation")?,
            waitstart_us: row.try_get("waitstart_us")?,
            blockers: row.try_get("blockers")?,
        })
    }
}
