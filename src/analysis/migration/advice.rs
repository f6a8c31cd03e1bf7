//! What a person should know of a migration, with the safe form of each statement that did harm.

use crate::analysis::findings::finding;
use crate::analysis::lock_findings::is_postgres;
use crate::model::{DdlInfo, DdlOutcome, Finding, Migration, MigrationOutcome, Report, Severity};
use crate::sql::ddl::{Form, form};

use super::named;
use super::on_mariadb;
use super::outcome::{blocks_writes, executions, seconds};

/// Waiting of the workload below this is what every statement causes.
pub(super) const NOTICEABLE_US: u64 = 10_000;
/// A wait of the migration itself that is worth a limit.
const WAIT_US: u64 = 100_000;
/// A lock held on for this long behind its statement.
const CARRIED_US: u64 = 100_000;
/// Names that a sentence lists.
const NAMES_SHOWN: usize = 6;

/// All findings of a migration.
pub(in crate::analysis) fn find(report: &Report) -> Vec<Finding> {
    let Some(migration) = &report.migration else { return Vec::new() };
    let mut findings = Vec::new();
    findings.extend(failed(migration));
    let is_postgres = is_postgres(report);
    for statement in &migration.statements {
        findings.extend(waited(migration, statement, is_postgres));
        findings.extend(if is_postgres { hazard(statement) } else { on_mariadb::hazard(statement) });
        findings.extend(carried(migration, statement));
    }
    findings.extend(on_mariadb::implicit_commits(migration));
    findings.extend(invalid(migration));
    findings.extend(cached_plans(migration));
    findings.extend(not_validated(migration));
    findings.extend(statistics(migration));
    findings.extend(broken(migration));
    findings.extend(way_back(migration));
    findings
}

/// Whether a statement did what another form of it does not.
pub(super) fn is_hazard(statement: &DdlInfo, is_postgres: bool) -> bool {
    if is_postgres {
        safe_form(statement, &Harm::of(statement)).is_some()
    } else {
        on_mariadb::hazard(statement).is_some()
    }
}

/// Whether the traffic queued behind a statement that waited for its own lock.
pub(super) fn is_queue(statement: &DdlInfo) -> bool {
    statement.lock_wait_us >= WAIT_US && statement.blocked_us_total >= NOTICEABLE_US
}

fn list(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMES_SHOWN);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn failed(migration: &Migration) -> Option<Finding> {
    if !matches!(migration.outcome, MigrationOutcome::Failed | MigrationOutcome::Stopped) {
        return None;
    }
    let at = migration.statements.iter().find(|of| of.outcome == DdlOutcome::Failed)?;
    let states: Vec<String> = migration
        .migrations
        .iter()
        .map(|of| format!("{} {}", of.version, super::outcome::state(of.state)))
        .collect();
    Some(finding(
        "migration-failed",
        Severity::Warning,
        format!("the migration did not come to its end: statement {}", named(at)),
        format!("{}: {}", super::outcome::place(at), at.error.clone().unwrap_or_default()),
        "the schema is between two versions of the application",
        format!("mend the statement; versions: {}", states.join(", ")),
    ))
}

/// A statement that waits for its lock keeps all behind it waiting as well.
fn waited(migration: &Migration, statement: &DdlInfo, is_postgres: bool) -> Option<Finding> {
    if !is_queue(statement) {
        return None;
    }
    let root = statement.root.as_ref();
    let root = root.map_or_else(|| "a lock".to_owned(), |root| format!("{}, {}", root.who, root.state));
    let remedy = match migration.lock_timeout_ms {
        _ if !is_postgres => on_mariadb::of_queue(migration),
        None => "SET lock_timeout = '200ms' and try again: rehearse it with --lock-timeout 200ms --retries 20 --backoff 1s".to_owned(),
        Some(ms) => format!(
            "lock_timeout was {ms} ms with {} tries beyond the first: a shorter one stalls less each time, more tries reach a moment \
             without the blocker",
            migration.retries
        ),
    };
    let tries = if statement.tries.len() > 1 {
        format!(" in {} tries", statement.tries.len())
    } else {
        String::new()
    };
    Some(finding(
        "migration-lock-queue",
        Severity::Warning,
        format!("statement {} waited for its lock, and the traffic queued behind it", named(statement)),
        format!(
            "it waited {}{tries} for {root}; {} waited {} behind it, {} the longest",
            seconds(statement.lock_wait_us),
            executions(statement.blocked),
            seconds(statement.blocked_us_total),
            seconds(statement.blocked_us_max)
        ),
        "a waiting ALTER blocks like a granted one: whoever comes later queues behind it, readers too",
        remedy,
    ))
}

/// What a statement did that another form of it may not do.
#[expect(clippy::struct_excessive_bools, reason = "each was seen or not, whatever the others say")]
struct Harm {
    /// Took a lock that writes wait for.
    holds: bool,
    rewrites: bool,
    scans: bool,
    /// Kept the workload waiting.
    blocks: bool,
}

impl Harm {
    fn of(statement: &DdlInfo) -> Self {
        Self {
            holds: statement.locks.iter().any(|lock| blocks_writes(&lock.mode)),
            rewrites: !statement.rewritten.is_empty(),
            scans: statement.scanned.as_ref().is_some_and(|scanned| !scanned.is_empty()),
            blocks: statement.blocked_us_total >= NOTICEABLE_US,
        }
    }
}

/// Name of the hazard, what the statement does, and the safe form of it.
fn safe_form(statement: &DdlInfo, harm: &Harm) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match form(&statement.sql) {
        Form::AlterType if harm.rewrites => (
            "migration-rewrite",
            "writes the whole table anew to change a type",
            "ADD COLUMN of the new type, which a trigger fills for new rows and batches for old ones, its indexes CONCURRENTLY, and then \
             swap both in one short transaction. Nothing is written for a longer varchar or text, a wider numeric of the same scale, and \
             a timestamp that gets its zone while the session's TimeZone is UTC",
        ),
        Form::AddColumn if harm.rewrites => (
            "migration-rewrite",
            "writes the whole table anew for a default that differs by row",
            "ADD COLUMN without the default, ALTER COLUMN SET DEFAULT for new rows, then fill old rows in batches, and SET NOT NULL last; \
             a constant or now() needs no rewrite",
        ),
        Form::VacuumFull if harm.rewrites => (
            "migration-rewrite",
            "writes the whole table anew under a lock that nobody passes",
            "VACUUM and REINDEX TABLE CONCURRENTLY free the same room for new rows beside the traffic, while the file stays as large; \
             pg_repack and pg_squeeze make it smaller beside the traffic",
        ),
        Form::Cluster if harm.rewrites => (
            "migration-rewrite",
            "writes the whole table anew, in the order of an index, under a lock that nobody passes",
            "pg_repack --order-by and pg_squeeze do it beside the traffic; SQL alone has no other way to order the rows that are there. \
             What is looked for by a range may need no order with an index that holds all its columns (INCLUDE)",
        ),
        Form::CreateIndex if harm.holds => (
            "migration-index-blocks-writes",
            "builds an index while all writes of its table wait",
            "CREATE INDEX CONCURRENTLY, outside of a transaction; drop what a failed one leaves invalid",
        ),
        Form::AddUnique if harm.holds => (
            "migration-index-blocks-writes",
            "builds the index of a key while its table is locked",
            "CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT … USING INDEX",
        ),
        Form::AddForeignKey if harm.scans => (
            "migration-validation-blocks",
            "checks all rows for a foreign key while writes of both tables wait",
            "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
        ),
        Form::AddCheck if harm.scans => (
            "migration-validation-blocks",
            "checks all rows for a constraint while its table is locked",
            "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
        ),
        Form::SetNotNull if harm.scans => (
            "migration-validation-blocks",
            "looks for nulls in all rows while its table is locked",
            "ADD CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL, which needs no scan any more (version 12)",
        ),
        Form::DropIndex if harm.blocks => (
            "migration-drop-blocks",
            "drops an index under a lock that nobody passes",
            "DROP INDEX CONCURRENTLY, outside of a transaction",
        ),
        Form::Reindex if harm.blocks => (
            "migration-index-blocks-writes",
            "builds an index anew while writes of its table wait",
            "REINDEX CONCURRENTLY, outside of a transaction",
        ),
        Form::RefreshMaterializedView if harm.blocks => (
            "migration-refresh-blocks",
            "fills a materialised view while its readers wait",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY, with a unique index on the view",
        ),
        Form::DetachPartition if harm.blocks => (
            "migration-detach-blocks",
            "takes a partition away while all of its table waits",
            "DETACH PARTITION … CONCURRENTLY, outside of a transaction",
        ),
        Form::Rows if harm.blocks => (
            "migration-backfill-blocks",
            "changes many rows in one transaction, each locked until its end",
            "change them in batches of a few thousand by key, each in a transaction of its own, with a pause for vacuum",
        ),
        _ if harm.rewrites => (
            "migration-rewrite",
            "writes a whole table anew",
            "look for a form that changes the catalogue only, or copy beside the traffic",
        ),
        _ => return None,
    })
}

/// What is said where [`who_waited`] has nothing to tell.
pub(super) const NOBODY_WAITED: &str = "nobody of the workload was seen waiting";

/// How many of the workload waited for its locks, and for how long; nothing where nobody was seen.
pub(super) fn who_waited(statement: &DdlInfo) -> Option<String> {
    (statement.blocked > 0).then(|| {
        format!(
            "{} waited {}, {} the longest",
            executions(statement.blocked),
            seconds(statement.blocked_us_total),
            seconds(statement.blocked_us_max)
        )
    })
}

/// What a statement did that another form of it does not do.
fn hazard(statement: &DdlInfo) -> Option<Finding> {
    let strong = || statement.locks.iter().filter(|lock| blocks_writes(&lock.mode));
    let held = strong().max_by_key(|lock| lock.us);
    let harm = Harm::of(statement);
    let Harm { rewrites: rewritten, scans: scanned, blocks: is_noticeable, .. } = harm;
    let (id, title, remedy) = safe_form(statement, &harm)?;
    let severity = if is_noticeable { Severity::Warning } else { Severity::Info };
    let mut evidence = Vec::new();
    // Of its locks that on the table that it works on; what an earlier statement took is told of there.
    let worked_on = |relation: &String| {
        statement.rewritten.contains(relation)
            || statement.scanned.as_ref().is_some_and(|scanned| scanned.contains(relation))
    };
    let on_table = strong().find(|lock| lock.relation.as_ref().is_some_and(worked_on));
    if let Some(lock) = on_table.or(held.filter(|_| !rewritten && !scanned)) {
        let on = lock.relation.as_ref().map_or_else(String::new, |relation| format!(" on {relation}"));
        evidence.push(format!("{}{on} held for {}", lock.mode, seconds(lock.us)));
    }
    if rewritten {
        evidence.push(format!("{} has a new file", list(&statement.rewritten)));
    }
    if scanned && statement.rows_scanned > 0 {
        evidence.push(format!("{} rows read", statement.rows_scanned));
    }
    evidence.push(who_waited(statement).unwrap_or_else(|| NOBODY_WAITED.to_owned()));
    Some(finding(
        id,
        severity,
        format!("statement {} {title}", named(statement)),
        evidence.join("; "),
        "the lock lasts as long as the work, which grows with the table",
        remedy,
    ))
}

/// A lock that other statements held on to.
fn carried(migration: &Migration, statement: &DdlInfo) -> Option<Finding> {
    let lock = statement.locks.iter().find(|lock| blocks_writes(&lock.mode))?;
    if !statement.in_transaction
        || statement.carried_us < CARRIED_US
        || statement.blocked_us_total < NOTICEABLE_US
    {
        return None;
    }
    let is_last = migration.statements.iter().rfind(|of| of.version == statement.version).map(|of| of.number);
    if is_last == Some(statement.number) {
        return None;
    }
    Some(finding(
        "migration-lock-carried",
        Severity::Warning,
        format!("the lock of statement {} was held on until the commit", named(statement)),
        format!(
            "{}{} for {} behind its end, while other statements of its transaction ran",
            lock.mode,
            lock.relation.as_ref().map_or_else(String::new, |relation| format!(" on {relation}")),
            seconds(statement.carried_us)
        ),
        "the traffic waits for the slowest statement of the transaction, not for this one",
        "give this statement a migration of its own, or move it to the end of the transaction",
    ))
}

fn invalid(migration: &Migration) -> Option<Finding> {
    let left = &migration.left.invalid_indexes;
    (!left.is_empty()).then(|| {
        finding(
            "migration-invalid-index",
            Severity::Warning,
            format!("an invalid index was left: {}", list(left)),
            "pg_index.indisvalid is false, and was not so before".to_owned(),
            "no query uses it, and every write pays for it",
            format!(
                "DROP INDEX CONCURRENTLY {}, then build it again",
                left.first().cloned().unwrap_or_default()
            ),
        )
    })
}

/// Prepared statements whose result changed its columns.
fn cached_plans(migration: &Migration) -> Option<Finding> {
    let failed: u64 = migration.victims.iter().filter_map(|victim| victim.failures.get("0A000")).sum();
    (failed > 0).then(|| {
        finding(
            "migration-cached-plan",
            Severity::Warning,
            "prepared statements broke: cached plan must not change result type",
            format!("{failed} transactions failed with 0A000"),
            "each connection fails once for each such statement, and in a transaction every time until it connects anew",
            "name the columns instead of SELECT *, or have the application prepare anew",
        )
    })
}

fn not_validated(migration: &Migration) -> Option<Finding> {
    let left = &migration.left.not_validated;
    (!left.is_empty()).then(|| {
        finding(
            "migration-not-validated",
            Severity::Info,
            format!("constraints hold for new rows only: {}", list(left)),
            "pg_constraint.convalidated is false".to_owned(),
            "old rows may break them, and the planner does not rely on them",
            "VALIDATE CONSTRAINT in a later migration: it blocks neither reads nor writes",
        )
    })
}

fn statistics(migration: &Migration) -> Option<Finding> {
    let left = &migration.left.without_statistics;
    (!left.is_empty()).then(|| {
        finding(
            "migration-no-statistics",
            Severity::Info,
            format!("the planner knows nothing of {}", list(left)),
            format!("{} without a row in pg_stats, until the next ANALYZE", left.len()),
            "estimates on them are guesses, and plans may be poor",
            "end the migration with ANALYZE of their tables",
        )
    })
}

/// Statements of another version of the application that the new schema does not know.
fn broken(migration: &Migration) -> Option<Finding> {
    let prepared = migration.also_prepared.as_ref().filter(|prepared| !prepared.broken.is_empty())?;
    let each = prepared.broken.iter().take(NAMES_SHOWN).map(|of| format!("{}: {}", of.statement, of.error));
    let names: Vec<String> = prepared.broken.iter().map(|of| of.statement.clone()).collect();
    Some(finding(
        "migration-breaks-statements",
        Severity::Warning,
        format!("the new schema breaks {} of {} statements: {}", names.len(), prepared.folder, list(&names)),
        each.collect::<Vec<_>>().join("; "),
        "a rolling deployment has both versions of the application at once: the old one fails from here on",
        "expand first and contract later: add what is new, move the application, then take the old away in another migration",
    ))
}

/// A way back that does not lead back.
fn way_back(migration: &Migration) -> Option<Finding> {
    let down = migration.rehearsals.iter().find(|of| of.kind == "down")?;
    if matches!(down.outcome, MigrationOutcome::Failed | MigrationOutcome::Stopped) {
        return Some(finding(
            "migration-no-way-back",
            Severity::Warning,
            "the way back did not come to its end",
            down.answer.clone(),
            "a deployment that goes wrong cannot be taken back by it",
            "mend the files of the way back, and rehearse them with --down",
        ));
    }
    let differs = down.schema_differs.as_ref().filter(|differs| !differs.is_empty())?;
    Some(finding(
        "migration-way-back-differs",
        Severity::Info,
        "the way back leads to another schema than there was before",
        list(differs),
        "the next rehearsal, and the next migration, begin from a schema that nobody knows",
        "take back all that the migration did, or say in the file why not",
    ))
}
