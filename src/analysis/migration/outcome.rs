//! What became of each statement and each migration, what was left behind, and all of it in a few sentences.

use std::collections::BTreeMap;

use crate::analysis::locks::name_of;
use crate::analysis::stage::{StageAnalysis, names};
use crate::model::{
    DdlBlocker, DdlInfo, DdlLock, DdlOutcome, DdlTryInfo, LeftBehind, LockStops, Migration, MigrationInfo,
    MigrationOutcome, MigrationState,
};
use crate::record::entry::Header;
use crate::record::migration::{DdlError, DdlTry, LockSpan, MigrationEnded, MigrationPlanRecord};
use crate::units::Span;

use super::charges::Charge;
use super::{Book, algorithm, named};

/// What clients must have lost beside locks before a sentence is spent on it.
const LOST_US: u64 = 1_000_000;
/// Lock modes of PostgreSQL, the weakest first (documentation, chapter 13.3.1).
pub(super) const MODES: [&str; 8] = [
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

/// Modes of MariaDB's metadata locks, the weakest first (`sql/mdl.h`).
const METADATA_MODES: [&str; 10] = [
    "SHARED",
    "SHARED_HIGH_PRIO",
    "SHARED_READ",
    "SHARED_WRITE",
    "SHARED_WRITE_LOW_PRIO",
    "SHARED_UPGRADABLE",
    "SHARED_READ_ONLY",
    "SHARED_NO_WRITE",
    "SHARED_NO_READ_WRITE",
    "EXCLUSIVE",
];

/// How strong a mode is among those of its server, from 0.
pub(super) fn strength(mode: &str) -> usize {
    let place = |modes: &[&str]| modes.iter().position(|known| *known == mode);
    place(&MODES).or_else(|| place(&METADATA_MODES)).unwrap_or(0)
}

/// Whether writes of a table, or reads as well, wait for a lock of this mode on it.
pub(super) fn blocks_writes(mode: &str) -> bool {
    stops(mode) != LockStops::Nothing
}

/// What waits for a lock of this mode: a read takes `AccessShareLock`, a write `RowExclusiveLock` (PostgreSQL's documentation, table 13.2);
/// `SHARED_READ` and `SHARED_WRITE` of MariaDB (`sql/mdl.h`).
pub(super) fn stops(mode: &str) -> LockStops {
    match mode {
        "AccessExclusiveLock" | "EXCLUSIVE" | "SHARED_NO_READ_WRITE" => LockStops::ReadsAndWrites,
        "ShareLock" | "ShareRowExclusiveLock" | "ExclusiveLock" | "SHARED_READ_ONLY" | "SHARED_NO_WRITE" => {
            LockStops::Writes
        }
        _ => LockStops::Nothing,
    }
}

/// Each statement of the plan.
pub(super) fn statements(
    book: &Book,
    stage: Option<&StageAnalysis>,
    header: &Header,
    charges: &[Charge],
) -> Vec<DdlInfo> {
    let failed = book.ended.as_ref().and_then(|ended| ended.failed.as_ref());
    let of = |(index, statement): (usize, &crate::record::migration::DdlStatement)| {
        let tries: Vec<&DdlTry> = book.tries.iter().filter(|one| one.statement == index).collect();
        let migration = book.plan.migrations.get(statement.migration);
        let last = tries.last();
        let error = failed
            .filter(|(failed, _)| *failed == index)
            .map(|(_, error)| error)
            .or_else(|| last.and_then(|last| last.error.as_ref()));
        let outcome = match () {
            () if tries.iter().any(|one| one.committed) => DdlOutcome::Committed,
            () if failed.is_some_and(|(failed, _)| *failed == index) => DdlOutcome::Failed,
            () if last.is_some_and(|last| last.error.is_none()) => DdlOutcome::RolledBack,
            () if last.is_some() => DdlOutcome::Failed,
            () => DdlOutcome::NotReached,
        };
        let blocked: Vec<u64> = charges.iter().filter(|of| of.statement == index).map(|of| of.us).collect();
        let waits: Vec<Vec<LockSpan>> = tries.iter().map(|one| waits(one, stage)).collect();
        let scanned = last.and_then(|last| last.scanned.as_ref());
        DdlInfo {
            number: index + 1,
            version: migration.map_or_else(String::new, |of| of.version.clone()),
            file: migration.map_or_else(String::new, |of| of.file.clone()),
            line: statement.line,
            sql: statement.sql.clone(),
            in_transaction: statement.in_transaction,
            outcome,
            error: error.filter(|_| outcome != DdlOutcome::Committed).map(said),
            tries: tries.iter().zip(&waits).map(|(one, waits)| try_info(one, waits)).collect(),
            duration_us: last.map_or(0, |last| micros(last.span)),
            lock_wait_us: waits.iter().map(|waits| waited(waits)).sum(),
            lock_waits: locks(waits.iter().flatten(), |a, b| a + b),
            locks: strongest_first(locks(tries.iter().flat_map(|one| &one.held), u64::max)),
            carried_us: last.map_or(0, |last| micros(Span { from: last.span.to, to: last.released_at })),
            root: stage.and_then(|stage| root(stage, &names(header.workload_of(stage.id)), &tries)),
            rewritten: last.map_or_else(Vec::new, |last| last.rewritten.clone()),
            rebuilt: last.map_or_else(Vec::new, |last| last.rebuilt.clone()),
            scanned: scanned.map(|scanned| scanned.iter().map(|of| of.relation.clone()).collect()),
            rows_scanned: scanned.map_or(0, |scanned| scanned.iter().map(|of| of.rows).sum()),
            invalid_indexes: tries.iter().flat_map(|one| one.invalid_indexes.clone()).collect(),
            wal_bytes: last.and_then(|last| last.wal_bytes),
            temp_bytes: last.and_then(|last| last.temp_bytes),
            server_wal_bytes: last.and_then(|last| last.server_wal_bytes),
            affected_rows: last.and_then(|last| last.affected_rows),
            algorithm: last.and_then(|last| algorithm::used(last)),
            implicit_commit: tries.iter().any(|one| one.implicit_commit),
            blocked: blocked.len() as u64,
            blocked_us_total: blocked.iter().sum(),
            blocked_us_max: blocked.iter().copied().max().unwrap_or(0),
        }
    };
    book.plan.statements.iter().enumerate().map(of).collect()
}

/// In words; what ended a statement from our side has no code of the server's.
pub(super) fn said(error: &DdlError) -> String {
    const SQLSTATE_BYTES: usize = 5;
    let is_servers =
        error.code.len() == SQLSTATE_BYTES && error.code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // MariaDB tells its errors by numbers, which the message ends with: many of them share one SQLSTATE.
    let is_numbered = error.message.rsplit_once(" (error ").is_some_and(|(_, rest)| rest.ends_with(')'));
    if is_servers && !is_numbered {
        format!("{} (SQLSTATE {})", error.message, error.code)
    } else {
        error.message.clone()
    }
}

fn micros(span: Span) -> u64 {
    u64::try_from(span.duration().as_micros()).unwrap_or(u64::MAX)
}

fn waited(waits: &[LockSpan]) -> u64 {
    waits.iter().map(|wait| micros(wait.span)).sum()
}

/// Waits that were looked at beside the try, and those for rows of InnoDB, which only the probe of the sessions sees.
fn waits(one: &DdlTry, stage: Option<&StageAnalysis>) -> Vec<LockSpan> {
    const ROW: &str = "row";
    let episodes = stage.map_or(&[][..], |stage| stage.lock_evidence().0);
    let own = episodes.iter().filter(|of| of.waiter.backend == one.backend && of.lock_type == ROW);
    let for_rows = own.map(|of| LockSpan {
        mode: of.mode.clone(),
        relation: of.relation.clone(),
        lock_type: of.lock_type.clone(),
        span: Span { from: of.began_at, to: of.gone_at }.clip(one.span),
    });
    one.waits.iter().cloned().chain(for_rows.filter(|wait| !wait.span.duration().is_zero())).collect()
}

fn try_info(one: &DdlTry, waits: &[LockSpan]) -> DdlTryInfo {
    DdlTryInfo {
        t_ms: one.span.from.0 / 1_000_000,
        duration_us: micros(one.span),
        lock_wait_us: waited(waits),
        error: one.error.as_ref().map(said),
    }
}

/// Alike locks together, the longest first.
fn locks<'a>(spans: impl Iterator<Item = &'a LockSpan>, join: fn(u64, u64) -> u64) -> Vec<DdlLock> {
    let mut locks: Vec<DdlLock> = Vec::new();
    for span in spans {
        let us = micros(span.span);
        let alike = |lock: &&mut DdlLock| {
            lock.mode == span.mode && lock.relation == span.relation && lock.lock_type == span.lock_type
        };
        match locks.iter_mut().find(alike) {
            Some(lock) => lock.us = join(lock.us, us),
            None => locks.push(DdlLock {
                mode: span.mode.clone(),
                relation: span.relation.clone(),
                lock_type: span.lock_type.clone(),
                us,
                stops: stops(&span.mode),
            }),
        }
    }
    locks.sort_by_key(|lock| std::cmp::Reverse(lock.us));
    locks
}

fn strongest_first(mut locks: Vec<DdlLock>) -> Vec<DdlLock> {
    locks.sort_by_key(|lock| std::cmp::Reverse((strength(&lock.mode), lock.us)));
    locks
}

/// The root of the longest wait of the session that ran one of these tries.
fn root(stage: &StageAnalysis, names: &[(String, String)], tries: &[&DdlTry]) -> Option<DdlBlocker> {
    let (episodes, _) = stage.lock_evidence();
    let of_tries = episodes.iter().filter_map(|episode| {
        let wait = Span { from: episode.began_at, to: episode.last_seen_at };
        let own = tries.iter().filter(|one| one.backend == episode.waiter.backend);
        let met = own.map(|one| one.span.clip(wait).duration()).max()?;
        (!met.is_zero()).then_some((met, episode))
    });
    let (_, longest) = of_tries.max_by_key(|(met, _)| *met)?;
    let root = longest.root.as_ref()?;
    Some(DdlBlocker { who: name_of(root, names), state: root.state.clone() })
}

/// What is left of each migration, by its statements.
pub(super) fn migrations(plan: &MigrationPlanRecord, statements: &[DdlInfo]) -> Vec<MigrationInfo> {
    let of = |(index, migration): (usize, &crate::record::migration::MigrationRecord)| {
        let own: Vec<&DdlInfo> = plan
            .statements
            .iter()
            .zip(statements)
            .filter(|(record, _)| record.migration == index)
            .map(|(_, info)| info)
            .collect();
        let all = |outcome| own.iter().all(|info| info.outcome == outcome);
        let stands =
            |info: &&DdlInfo| info.outcome == DdlOutcome::Committed || !info.invalid_indexes.is_empty();
        let state = match () {
            () if all(DdlOutcome::NotReached) => MigrationState::NotReached,
            () if all(DdlOutcome::Committed) => MigrationState::Applied,
            () if own.iter().any(stands) => MigrationState::PartlyApplied,
            () => MigrationState::RolledBack,
        };
        MigrationInfo {
            version: migration.version.clone(),
            name: migration.name.clone(),
            file: migration.file.clone(),
            in_transaction: migration.in_transaction,
            state,
        }
    };
    plan.migrations.iter().enumerate().map(of).collect()
}

pub(super) fn left(ended: Option<&MigrationEnded>) -> LeftBehind {
    let Some(ended) = ended else {
        let unknown = Some("the journal ends before the migration".to_owned());
        return LeftBehind { unknown, ..LeftBehind::default() };
    };
    LeftBehind {
        invalid_indexes: ended.invalid_indexes.clone(),
        not_validated: ended.not_validated.clone(),
        without_statistics: ended.without_statistics.clone(),
        unknown: ended.unknown.clone(),
    }
}

/// What became of it, whom it cost most, and what stands now.
pub(super) fn answer(migration: &Migration) -> String {
    let mut sentences = vec![how_it_ended(migration)];
    let blast = &migration.blast;
    let worst = migration.statements.iter().max_by_key(|statement| statement.blocked_us_total);
    match worst.filter(|worst| worst.blocked > 0) {
        Some(worst) => {
            let root = worst.root.as_ref().map_or_else(String::new, |root| {
                format!(", which waited itself for {}, {}", root.who, root.state)
            });
            sentences.push(format!(
                "It kept {} of the workload waiting for its locks, {} together and {} the longest, most of them by statement {}{root}.",
                executions(blast.blocked),
                seconds(blast.blocked_us_total),
                seconds(blast.blocked_us_max),
                named(worst),
            ));
        }
        None => sentences.push("No execution of the workload was seen waiting for its locks.".to_owned()),
    }
    sentences.extend(failures(migration));
    sentences.extend(stands_all_the_same(migration));
    // Who waits for a connection behind those who wait for a lock has lost as much.
    let lost = u64::try_from(blast.lost_us).unwrap_or(0);
    if lost > 2 * blast.blocked_us_total && lost > LOST_US && lost > 2 * blast.lost_noise_us {
        let why = if blast.blocked > 0 {
            "others queued for a connection behind those, or were slowed down"
        } else {
            "none of it was seen to be for a lock"
        };
        sentences.push(format!("Clients lost {} in all: {why}.", seconds(lost)));
    }
    sentences.join(" ")
}

/// What failed of the workload meanwhile, and why.
fn failures(migration: &Migration) -> Option<String> {
    let mut by_code: BTreeMap<&str, u64> = BTreeMap::new();
    for (code, count) in migration.victims.iter().flat_map(|victim| &victim.failures) {
        *by_code.entry(code).or_default() += count;
    }
    let codes: Vec<String> = by_code.iter().map(|(code, count)| format!("{count} × {code}")).collect();
    (!codes.is_empty()).then(|| format!("Of the workload failed meanwhile {}.", codes.join(", ")))
}

/// What no ROLLBACK takes back, where a migration failed in a transaction on a server that commits DDL by itself.
fn stands_all_the_same(migration: &Migration) -> Option<String> {
    if !matches!(migration.outcome, MigrationOutcome::Failed | MigrationOutcome::Stopped) {
        return None;
    }
    let is_partly_applied = |version: &str| {
        let mut partly = migration.migrations.iter().filter(|of| of.state == MigrationState::PartlyApplied);
        partly.any(|of| of.version == version)
    };
    let stand = migration.statements.iter().filter(|of| of.implicit_commit && is_partly_applied(&of.version));
    let stand: Vec<String> = stand.map(|of| of.number.to_string()).collect();
    let which = match stand.as_slice() {
        [] => return None,
        [only] => format!("Statement {only} stands"),
        many => format!("Statements {} stand", many.join(", ")),
    };
    Some(format!("{which}, whatever its transaction says: this server commits DDL by itself."))
}

/// `2_orders.sql line 4`; what a tool sent stands in no file.
pub(super) fn place(statement: &DdlInfo) -> String {
    match statement.line {
        0 => statement.file.clone(),
        line => format!("{} line {line}", statement.file),
    }
}

/// The same of the team's own tool.
fn how_it_ended_by(command: &str, migration: &Migration) -> String {
    let took = migration.took_s.map_or_else(String::new, |took| format!(" in {took:.1} s"));
    let seen = migration.statements.len();
    let plural = if seen == 1 { "" } else { "s" };
    let failed = migration.statements.iter().find(|of| of.outcome == DdlOutcome::Failed);
    let why = failed.and_then(|of| of.error.as_ref()).map_or_else(String::new, |error| format!(": {error}"));
    match migration.outcome {
        MigrationOutcome::Applied => {
            format!(
                "`{command}` came to its end{took}; {seen} statement{plural} of it were seen to change something."
            )
        }
        MigrationOutcome::Unknown => "The run ended before the migration did.".to_owned(),
        MigrationOutcome::Failed => format!("`{command}` failed{took}{why}."),
        MigrationOutcome::Stopped => format!("`{command}` was ended{took}{why}."),
    }
}

fn how_it_ended(migration: &Migration) -> String {
    if let Some(command) = &migration.command {
        return how_it_ended_by(command, migration);
    }
    let count = migration.migrations.len();
    let all = match count {
        1 => "The migration".to_owned(),
        2 => "Both migrations".to_owned(),
        _ => format!("All {count} migrations"),
    };
    let took = migration.took_s.map_or_else(String::new, |took| format!(" in {took:.1} s"));
    match migration.outcome {
        MigrationOutcome::Applied => {
            format!("{all} {} applied{took}.", if count == 1 { "is" } else { "are" })
        }
        MigrationOutcome::Unknown => "The run ended before the migration did.".to_owned(),
        MigrationOutcome::Failed | MigrationOutcome::Stopped => {
            let failed = migration.statements.iter().find(|of| of.outcome == DdlOutcome::Failed);
            let at = failed.map_or_else(String::new, |failed| {
                let why = failed.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
                format!(" at statement {}, {}{why}", named(failed), place(failed))
            });
            let states: Vec<String> = migration
                .migrations
                .iter()
                .filter(|of| of.state != MigrationState::NotReached)
                .map(|of| format!("{} is {}", of.version, state(of.state)))
                .collect();
            let not_reached = count - states.len();
            let rest = if not_reached > 0 { format!(", {not_reached} not reached") } else { String::new() };
            let verb = if migration.outcome == MigrationOutcome::Failed { "failed" } else { "was ended" };
            format!("The migration {verb}{at}. Version {}{rest}.", states.join(", "))
        }
    }
}

pub(super) fn state(state: MigrationState) -> &'static str {
    match state {
        MigrationState::Applied => "applied",
        MigrationState::PartlyApplied => "partly applied",
        MigrationState::RolledBack => "rolled back",
        MigrationState::NotReached => "not reached",
    }
}

pub(super) fn executions(count: u64) -> String {
    if count == 1 { "1 execution".to_owned() } else { format!("{count} executions") }
}

/// `1.24 s`, `80 ms`
pub(super) fn seconds(us: u64) -> String {
    if us >= 1_000_000 { format!("{:.2} s", us as f64 / 1e6) } else { format!("{} ms", us.div_ceil(1000)) }
}
