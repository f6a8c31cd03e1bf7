//! Findings on locks: who made whom wait, and in what state it was.

use super::{Family, FindingEntry};

const fn of(id: &'static str, title: &'static str, said: [&'static str; 5]) -> FindingEntry {
    let [condition, meaning, evidence, causes, remedy] = said;
    FindingEntry { id, family: Family::Locks, title, condition, meaning, evidence, causes, remedy }
}

/// In the order in which a person would look.
pub(super) const ENTRIES: &[FindingEntry] = &[
    of(
        "deadlocks",
        "transactions deadlock each other",
        [
            "a transaction of the workload was the victim of a deadlock in a measured stage",
            "the victim has waited for deadlock_timeout, is rolled back, and must be tried again; the others waited as long",
            "stages[].deadlocks: victim, others, and who waited for which lock",
            "the same rows locked in another order by two transactions, or by two of one kind",
            "touch rows in one order (SELECT … FOR UPDATE ORDER BY key, or sorted input), and keep a retry on 40P01: then there are none",
        ],
    ),
    of(
        "queue-behind-ddl",
        "the workload queued behind a schema change",
        [
            "a session that waited for a strong lock on a table stood between waiters of the workload and the root",
            "who waits for such a lock bars all who come later, readers too, although it does not have it",
            "stages[].locks.episodes[].chain with the lock that it waits for",
            "ALTER TABLE, CREATE INDEX or LOCK TABLE behind one long transaction",
            "let the DDL give up soon and try again (SET lock_timeout), and end long transactions first; a stall is then as long \
             as the timeout at most. dbdyno migration rehearses it",
        ],
    ),
    of(
        "prepared-transaction-blocker",
        "a prepared transaction blocks others",
        [
            "the root of waits that cost 1 % of the clients' time or 100 ms once is a prepared transaction",
            "it keeps its locks without a session, also across a restart",
            "stages[].locks.episodes[] with root_state `prepared transaction`, the gid in the chain",
            "a two-phase commit whose coordinator went away",
            "COMMIT PREPARED or ROLLBACK PREPARED with its name (pg_prepared_xacts); the waits end at once",
        ],
    ),
    of(
        "idle-in-transaction-blocker",
        "a session that does nothing holds locks that others wait for",
        [
            "the root of waits that cost 1 % of the clients' time, or 100 ms once for a foreign session, idled in its transaction",
            "a lock is kept until its transaction ends, whether it works or not",
            "stages[].locks.episodes[] with root_state `idle in transaction`, its age and last statement in the chain",
            "a person with an open psql, application work between statements, a client that crashed",
            "end that session and set idle_in_transaction_session_timeout; in the workload, do the application's work before the first \
             lock. What is won at most stands in the effect",
        ],
    ),
    of(
        "lock-hot-spot",
        "many transactions want the same rows",
        [
            "more than 20 % of the sampled sessions of a measured stage waited for locks of the workload's own transactions",
            "these transactions run one after the other: more connections make the queue longer, not faster",
            "stages[].waits (Lock:…), stages[].locks.episodes[]",
            "a counter, a stock, a balance or a status row that everybody updates; locks taken early and held long",
            "take the lock later in the transaction, hold it shorter (no application time before COMMIT), or spread the row; the share \
             of lock waits is what can be won",
        ],
    ),
    of(
        "foreign-blocker",
        "a session outside the workload blocks it",
        [
            "the root of a wait of at least 100 ms is a session that is not dbdyno's, in a state that no finding above tells of",
            "part of the measured latency is not the workload's own",
            "stages[].locks.episodes[] with a root that ends in (foreign)",
            "a report, a batch, a backup or a person on the same database",
            "end that session, or give it idle_in_transaction_session_timeout and lock_timeout: such a wait then ends with the \
             timeout at the latest",
        ],
    ),
    of(
        "fast-path-locks-exhausted",
        "sessions wait for the lock manager, not for a lock",
        [
            "at least 5 % of the sampled sessions, and half a session on average, waited in LWLock:LockManager",
            "a statement that locks more relations than the fast path has room for (16 for a session before PostgreSQL 18) takes the \
             rest in a shared table, whose partitions become a bottleneck",
            "stages[].waits (LWLock:LockManager), the statements whose sessions were in it",
            "tables with many partitions or indexes that the planner cannot prune, joins of many tables, thousands of statements a second",
            "prune partitions by the key (with prepared statements: plan_cache_mode=force_custom_plan), drop indexes that are not used, \
             fewer connections at once; from PostgreSQL 18 raise max_locks_per_transaction, which sizes the fast path. The share of \
             these waits is what can be won",
        ],
    ),
];
