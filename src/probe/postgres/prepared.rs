//! Which prepared transaction a lock waiter waits for. `pg_blocking_pids` says 0 for one, since no process holds its locks.

/// The global identifiers of prepared transactions that hold what the sessions `$1` wait for. A prepared transaction has the
/// lock on its own transaction id under the same virtual transaction as its other locks. Holds for PostgreSQL 14 to 18.
///
/// This joins granted locks to waiting ones, and does not ask whether their modes conflict. It is not asked who blocks,
/// which the server has said already, but only what the blocker is called, and only where there is one candidate.
pub const PREPARED_BLOCKERS: &str = "\
WITH locks AS MATERIALIZED (SELECT * FROM pg_locks WHERE pid IS NULL OR pid = ANY($1))
SELECT DISTINCT waiting.pid, prepared.gid
FROM locks AS waiting
JOIN locks AS held
  ON held.pid IS NULL AND held.granted AND held.locktype = waiting.locktype
 AND (held.database, held.relation, held.page, held.tuple, held.virtualxid, held.transactionid, held.classid,
      held.objid, held.objsubid)
     IS NOT DISTINCT FROM
     (waiting.database, waiting.relation, waiting.page, waiting.tuple, waiting.virtualxid, waiting.transactionid,
      waiting.classid, waiting.objid, waiting.objsubid)
JOIN locks AS own
  ON own.pid IS NULL AND own.granted AND own.locktype = 'transactionid'
 AND own.virtualtransaction = held.virtualtransaction
JOIN pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
WHERE NOT waiting.granted";

/// A row of [`PREPARED_BLOCKERS`].
pub struct PreparedRow {
    /// Process id of the waiter.
    pub pid: i32,
    /// What `COMMIT PREPARED` and `ROLLBACK PREPARED` call it.
    pub gid: String,
}

impl PreparedRow {
    /// Reads one row.
    pub fn read(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { pid: row.try_get("pid")?, gid: row.try_get("gid")? })
    }
}
