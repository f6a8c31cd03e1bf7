//! What a person should know of a migration of a MariaDB, where another form of a statement does less harm. Each fact by the server's
//! documentation:
//!
//! - `COPY` copies row by row while the table cannot be written (from 11.2 on it can, with `LOCK=NONE`); `INPLACE` may build the table
//!   anew; `NOCOPY` builds indexes but not the table; `INSTANT` changes what is said of the table. A statement with `ALGORITHM=` or
//!   `LOCK=` fails where it would do more ("InnoDB Online DDL Overview", "ALTER TABLE").
//! - Whoever wants to change a table waits for all transactions that used it, and whoever comes later waits behind; the wait is limited by
//!   `lock_wait_timeout`, in seconds ("Metadata Locking"), or by `WAIT n` in the statement ("WAIT and NOWAIT").
//! - DDL commits what is open, even where it fails then ("SQL statements Causing an Implicit Commit").
//! - gh-ost and pt-online-schema-change copy a table beside the traffic and then swap the names (their own documentation).

use crate::analysis::findings::finding;
use crate::model::{DdlInfo, DdlOutcome, Finding, Migration, MigrationOutcome, Severity};
use crate::sql::ddl::{Form, form};

use super::advice::{NOBODY_WAITED, NOTICEABLE_US, who_waited};
use super::named;
use super::outcome::seconds;

/// How a queue behind a statement that waits for its metadata lock is kept short.
pub(super) fn of_queue(migration: &Migration) -> String {
    match migration.lock_timeout_ms {
        None => "SET lock_wait_timeout = 1, or WAIT 1 in the statement, and try again: rehearse it with --lock-timeout 1s --retries 20 \
                 --backoff 1s"
            .to_owned(),
        Some(ms) => format!(
            "lock_wait_timeout was {} s with {} tries beyond the first: more tries reach a moment without the blocker; what must not stall \
             for a second takes NOWAIT in the statement",
            ms / 1000,
            migration.retries
        ),
    }
}

/// What a statement did that another form of it may not do.
pub(super) fn hazard(statement: &DdlInfo) -> Option<Finding> {
    let blocks = statement.blocked_us_total >= NOTICEABLE_US;
    let used = statement.algorithm.as_ref();
    let algorithm = used.and_then(|used| used.algorithm.as_deref());
    let lock = used.and_then(|used| used.lock.as_deref());
    let bars_writes = matches!(lock, Some("SHARED" | "EXCLUSIVE"));
    let (id, title, effect, remedy) = match algorithm {
        Some("COPY") if lock != Some("NONE") => (
            "migration-copy",
            "copies the whole table while its writes wait",
            "the lock lasts as long as the copy, which grows with the table",
            "look for a form that is INSTANT or INPLACE (a longer VARCHAR that stays within 255 bytes, a new column of the new type that is filled in \
             batches) and say ALGORITHM=INPLACE, LOCK=NONE, which fails rather than blocks; else gh-ost or pt-online-schema-change, which copy \
             beside the traffic",
        ),
        Some("COPY" | "INPLACE") if !bars_writes && !statement.rewritten.is_empty() => (
            "migration-rewrite",
            "builds the whole table anew beside the traffic",
            "it takes as much disk again and as long as the table is large, and a replica applies it only then, for as long again",
            "look for a form that is INSTANT, or let gh-ost or pt-online-schema-change do it at a pace that replicas follow",
        ),
        Some("NOCOPY" | "INPLACE") if bars_writes => (
            "migration-index-blocks-writes",
            "builds an index, or the table anew, while all writes of it wait",
            "the lock lasts as long as the work, which grows with the table",
            "say LOCK=NONE, which fails where the server cannot do it beside the traffic; then gh-ost or pt-online-schema-change",
        ),
        None if form(&statement.sql) == Form::Rows && blocks => (
            "migration-backfill-blocks",
            "changes many rows in one transaction, each locked until its end",
            "the lock lasts as long as the work, which grows with the table",
            "change them in batches of a few thousand by key, each in a transaction of its own",
        ),
        _ => return None,
    };
    let mut evidence: Vec<String> = used.map(|used| used.evidence.clone()).into_iter().collect();
    if !statement.rewritten.is_empty() {
        evidence.push(format!("{} is another table of InnoDB's now", statement.rewritten.join(", ")));
    }
    evidence.push(
        who_waited(statement)
            .unwrap_or_else(|| format!("it took {}; {NOBODY_WAITED}", seconds(statement.duration_us))),
    );
    Some(finding(
        id,
        if blocks { Severity::Warning } else { Severity::Info },
        format!("statement {} {title}", named(statement)),
        evidence.join("; "),
        effect,
        remedy,
    ))
}

/// A transaction around DDL that holds nothing together.
pub(super) fn implicit_commits(migration: &Migration) -> Option<Finding> {
    let of: Vec<&DdlInfo> = migration.statements.iter().filter(|of| of.implicit_commit).collect();
    let first = of.first()?;
    let failed = matches!(migration.outcome, MigrationOutcome::Failed | MigrationOutcome::Stopped);
    let not_there = migration.statements.iter().filter(|of| of.outcome != DdlOutcome::Committed).count();
    let numbers: Vec<String> = of.iter().map(|of| of.number.to_string()).collect();
    Some(finding(
        "migration-implicit-commit",
        if failed { Severity::Warning } else { Severity::Info },
        format!("the transaction around statement {} held nothing together", named(first)),
        format!(
            "the server had committed statements {} of {} before the COMMIT; {not_there} do not stand",
            numbers.join(", "),
            migration.statements.len()
        ),
        "a migration that fails half way stays half applied, and is not applied again from its beginning without an error",
        "one statement of DDL to a migration, or each so that it can be run again (IF NOT EXISTS, IF EXISTS); changes of rows in a migration \
         of their own",
    ))
}
