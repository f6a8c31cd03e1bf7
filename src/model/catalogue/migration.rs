//! Findings on what a migration did while the traffic ran.

use super::{Family, FindingEntry};

const fn of(id: &'static str, title: &'static str, said: [&'static str; 5]) -> FindingEntry {
    let [condition, meaning, evidence, causes, remedy] = said;
    FindingEntry { id, family: Family::Migration, title, condition, meaning, evidence, causes, remedy }
}

/// In the order in which a person would look.
pub(super) const ENTRIES: &[FindingEntry] = &[
    of(
        "migration-failed",
        "the migration did not come to its end",
        [
            "a statement failed in its last try, or the migration was ended after --at-most",
            "the schema is between two versions of the application",
            "migration.statements[].error, migration.migrations[].state",
            "data that break a new constraint, a lock that was not to be had, a name that exists",
            "mend the statement; the states say which versions are in the database",
        ],
    ),
    of(
        "migration-lock-queue",
        "a statement waited for its lock, and the traffic queued behind it",
        [
            "it waited at least 100 ms for its lock, and executions of the workload waited at least 10 ms behind it",
            "a waiting ALTER blocks like a granted one: whoever comes later queues behind it, readers too",
            "migration.statements[].lock_wait_us, root, blocked_us_total",
            "a long transaction on the table: a report, a person, a vacuum",
            "SET lock_timeout = '200ms' and try again; --lock-timeout, --retries and --backoff rehearse it. A stall is then as long as \
             the timeout",
        ],
    ),
    of(
        "migration-lock-carried",
        "a lock was held on until the commit",
        [
            "in a transaction a lock that writes wait for was kept for at least 100 ms behind its statement, and the workload waited",
            "the traffic waits for the slowest statement of the transaction, not for this one",
            "migration.statements[].carried_us, locks",
            "a short ALTER and a long UPDATE in one transaction",
            "give the statement a migration of its own, or move it to the end of the transaction",
        ],
    ),
    of(
        "migration-rewrite",
        "a table was written anew",
        [
            "a relation has a new file behind the statement",
            "nobody can use the table meanwhile, and that lasts the longer the larger it is",
            "migration.statements[].rewritten, locks, wal_bytes",
            "another type of a column, a volatile default, VACUUM FULL, CLUSTER, SET LOGGED",
            "a new column that a trigger and batches fill, then swap the names; VACUUM and REINDEX CONCURRENTLY, or pg_repack and \
             pg_squeeze, in place of VACUUM FULL; --try-safe measures the former. The lock is then short",
        ],
    ),
    of(
        "migration-copy",
        "a table was copied while its writes waited",
        [
            "on MariaDB: ALGORITHM=COPY without LOCK=NONE, by what an empty copy of the table accepts and by the rows that were copied",
            "writes wait for as long as the copy lasts, which grows with the table; reads wait for its end only",
            "migration.statements[].algorithm, affected_rows, locks",
            "another type of a column, another character set, a primary key that is dropped, a foreign key with foreign_key_checks on",
            "a form that is INSTANT or INPLACE, with LOCK=NONE in the statement so that it fails rather than blocks; else gh-ost or \
             pt-online-schema-change. Writes then wait for a moment only",
        ],
    ),
    of(
        "migration-implicit-commit",
        "a transaction around DDL held nothing together",
        [
            "on MariaDB: a statement that stands in a transaction of its migration was committed before the COMMIT",
            "a migration that fails half way stays half applied, whatever its tool says",
            "migration.statements[].implicit_commit, outcome",
            "tools that put each file into a transaction, as they do on PostgreSQL, where DDL is taken back",
            "one statement of DDL to a migration, or each so that it can be run again (IF NOT EXISTS, IF EXISTS)",
        ],
    ),
    of(
        "migration-index-blocks-writes",
        "an index was built while writes waited",
        [
            "CREATE INDEX, a new key or REINDEX without CONCURRENTLY held a lock that writes wait for",
            "all writes of the table wait until the index is built",
            "migration.statements[].locks, blocked_us_total",
            "the plain form, which is what most tools write",
            "CREATE INDEX CONCURRENTLY outside of a transaction; a key by ADD CONSTRAINT … USING INDEX. Nobody waits for its work then",
        ],
    ),
    of(
        "migration-validation-blocks",
        "rows were checked while the table was locked",
        [
            "a constraint or SET NOT NULL scanned a table under a lock that writes wait for",
            "writes wait for as long as it takes to read the table",
            "migration.statements[].scanned, rows_scanned, locks",
            "ADD FOREIGN KEY, ADD CHECK or SET NOT NULL in one step",
            "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own, which blocks neither reads nor writes",
        ],
    ),
    of(
        "migration-drop-blocks",
        "an index was dropped under a lock that nobody passes",
        [
            "DROP INDEX without CONCURRENTLY, and executions of the workload waited for it",
            "it waits for all who use the table, and all who come later wait for it",
            "migration.statements[].blocked_us_total, lock_wait_us",
            "the plain form on a busy table",
            "DROP INDEX CONCURRENTLY, outside of a transaction",
        ],
    ),
    of(
        "migration-refresh-blocks",
        "a materialised view was filled while its readers waited",
        [
            "REFRESH MATERIALIZED VIEW without CONCURRENTLY, and executions of the workload waited for it",
            "readers of the view wait until it is filled",
            "migration.statements[].blocked_us_total",
            "the plain form, or a view without a unique index",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY, with a unique index on the view",
        ],
    ),
    of(
        "migration-detach-blocks",
        "a partition was taken away while its table waited",
        [
            "DETACH PARTITION without CONCURRENTLY, and executions of the workload waited for it",
            "all of the partitioned table waits for it",
            "migration.statements[].blocked_us_total",
            "the plain form on a busy table",
            "DETACH PARTITION … CONCURRENTLY, outside of a transaction",
        ],
    ),
    of(
        "migration-backfill-blocks",
        "many rows were changed in one transaction",
        [
            "an UPDATE or DELETE of the migration made executions of the workload wait",
            "each row is locked until the end of the transaction, and leaves a dead one behind",
            "migration.statements[].blocked_us_total, wal_bytes",
            "a backfill in one statement",
            "batches of a few thousand rows by key, each in a transaction of its own: a wait is then as long as a batch",
        ],
    ),
    of(
        "migration-invalid-index",
        "an index was left that no query may use",
        [
            "pg_index.indisvalid is false behind the migration, and was not so before",
            "no query uses it, and every write pays for it",
            "migration.left.invalid_indexes",
            "CREATE INDEX CONCURRENTLY that failed: a duplicate, a deadlock, a timeout",
            "DROP INDEX CONCURRENTLY, remove the cause, build it again",
        ],
    ),
    of(
        "migration-cached-plan",
        "prepared statements broke",
        [
            "transactions failed with 0A000, cached plan must not change result type",
            "each connection fails once for each such statement, and in a transaction every time until it connects anew",
            "migration.victims[].failures",
            "SELECT * through a prepared statement, and a column that came, went or changed its type",
            "name the columns instead of SELECT *, or have the application prepare anew",
        ],
    ),
    of(
        "migration-not-validated",
        "a constraint holds for new rows only",
        [
            "pg_constraint.convalidated is false behind the migration",
            "old rows may break it, and the planner does not rely on it",
            "migration.left.not_validated",
            "NOT VALID without its second step",
            "VALIDATE CONSTRAINT in a later migration: it blocks neither reads nor writes",
        ],
    ),
    of(
        "migration-breaks-statements",
        "statements of another version of the application break",
        [
            "a statement of the folder that --also-prepare names cannot be prepared against the new schema",
            "a rolling deployment has both versions at once: the old one fails from the migration on",
            "migration.also_prepared.broken[]",
            "a column that was renamed or dropped, or that changed its type, in the same migration that adds what replaces it",
            "expand first and contract later: add what is new, move the application, take the old away in another migration",
        ],
    ),
    of(
        "migration-no-way-back",
        "the way back does not come to its end",
        [
            "with --down: a statement of the way back failed, or it was stopped",
            "a deployment that goes wrong cannot be taken back by it",
            "migration.rehearsals[] of the kind down: outcome, answer",
            "a step back that nobody ever ran, or that the new data do not allow",
            "mend the files of the way back and rehearse them again, or decide that the only way is forward",
        ],
    ),
    of(
        "migration-way-back-differs",
        "the way back leads to another schema",
        [
            "with --down: the schema behind the way back is not the one before the migration",
            "the next migration begins from a schema that nobody knows",
            "migration.rehearsals[] of the kind down: schema_differs",
            "a step back that forgets an index, a default or a constraint",
            "take back all that the migration did, or say in the file why not",
        ],
    ),
    of(
        "migration-no-statistics",
        "the planner knows nothing of a column or an index",
        [
            "a column or an expression of an index has no row in pg_stats behind the migration",
            "estimates on it are guesses until the next ANALYZE, and plans may be poor",
            "migration.left.without_statistics",
            "a new column, another type, an index on an expression",
            "end the migration with ANALYZE of the table",
        ],
    ),
];
