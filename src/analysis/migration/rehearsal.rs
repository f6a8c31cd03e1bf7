//! The same migration in other ways, and the way back: what is kept of each for the report.

use crate::model::{
    AlsoPrepared, BrokenStatement, DdlOutcome, Migration, MigrationOutcome, Rehearsal, RehearsedStatement,
};
use crate::record::migration::{AlsoPreparedRecord, RehearsalKind};

use super::outcome::{executions, said, seconds};
use super::{Book, named};

/// Of a rehearsal that was analysed like a migration.
pub(super) fn rehearsal(book: &Book, migration: Migration) -> Rehearsal {
    let answer = answer(book.plan.kind, &migration);
    let instead_of = |index: usize| book.plan.instead_of.get(index).copied().flatten().map(|of| of + 1);
    Rehearsal {
        kind: book.plan.kind.as_str().to_owned(),
        outcome: migration.outcome,
        answer,
        took_s: migration.took_s,
        lock_timeout_ms: migration.lock_timeout_ms,
        retries: migration.retries,
        backoff_ms: migration.backoff_ms,
        tries: migration.statements.iter().map(|of| of.tries.len() as u64).sum(),
        statements: migration
            .statements
            .into_iter()
            .enumerate()
            .map(|(index, info)| RehearsedStatement { instead_of: instead_of(index), info })
            .collect(),
        blast: migration.blast,
        left: migration.left,
        schema_differs: book.ended.as_ref().and_then(|ended| ended.schema_differs.clone()),
    }
}

fn answer(kind: RehearsalKind, migration: &Migration) -> String {
    let what = match kind {
        RehearsalKind::Migration => "The migration",
        RehearsalKind::Safe => "The safe form",
        RehearsalKind::LockTimeout => "With this limit the migration",
        RehearsalKind::Down => "The way back",
    };
    let took = migration.took_s.map_or_else(String::new, |took| format!(" in {took:.1} s"));
    let failed = migration.statements.iter().find(|of| of.outcome == DdlOutcome::Failed);
    let ended = match migration.outcome {
        MigrationOutcome::Applied => format!("{what} came to its end{took}."),
        MigrationOutcome::Unknown => format!("{what} was cut off before its end."),
        MigrationOutcome::Failed | MigrationOutcome::Stopped => {
            let at = failed.map_or_else(String::new, |of| {
                format!(" at statement {}: {}", named(of), of.error.clone().unwrap_or_default())
            });
            format!("{what} did not come to its end{took}{at}.")
        }
    };
    let blast = &migration.blast;
    match blast.blocked {
        0 => format!("{ended} Nobody was seen waiting for its locks."),
        blocked => format!(
            "{ended} {} waited {} for its locks, {} the longest.",
            executions(blocked),
            seconds(blast.blocked_us_total),
            seconds(blast.blocked_us_max)
        ),
    }
}

/// What became of the statements of another version of the application.
pub(super) fn also_prepared(record: &AlsoPreparedRecord) -> AlsoPrepared {
    let broken = record
        .broken
        .iter()
        .map(|(statement, error)| BrokenStatement { statement: statement.clone(), error: said(error) });
    AlsoPrepared {
        folder: record.folder.clone(),
        statements: record.statements,
        broken: broken.collect(),
        broken_before: record.broken_before.clone(),
    }
}
