//! A plan as the journal keeps it.

use std::time::Duration;

use crate::record::migration::{DdlStatement, MigrationPlanRecord, MigrationRecord, RehearsalKind};
use crate::units::StageId;
use crate::workload::migrations::{Migration, Unit, UnitKind};

use super::MigrationShape;

/// Characters of a statement that the journal keeps.
pub(super) const SQL_KEPT: usize = 2_000;
/// What stands for the file of a statement that the team's own tool sent.
const OF_COMMAND: &str = "--migrate-command";

/// What is rehearsed, and in which stages.
#[derive(Clone, Copy)]
pub(super) struct Rehearsed {
    pub(super) kind: RehearsalKind,
    pub(super) before: StageId,
    pub(super) during: StageId,
    pub(super) after: StageId,
    pub(super) on_copy: bool,
}

pub(super) fn record(
    shape: &MigrationShape,
    of: Rehearsed,
    instead_of: Vec<Option<usize>>,
) -> MigrationPlanRecord {
    let migrations = &shape.migrations.migrations;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let records = match &shape.command {
        // Its statements show as they come.
        Some(_) => vec![MigrationRecord { file: OF_COMMAND.to_owned(), ..MigrationRecord::default() }],
        None => migrations.iter().map(migration_record).collect(),
    };
    MigrationPlanRecord {
        kind: of.kind,
        before: of.before,
        during: of.during,
        after: of.after,
        tool: shape.migrations.tool.as_str().to_owned(),
        folder: shape.migrations.folder.display().to_string(),
        migrations: records,
        statements: migrations.iter().enumerate().flat_map(|(index, of)| statements(index, of)).collect(),
        lock_timeout_ms: shape.lock_timeout.map(millis),
        retries: shape.retries,
        backoff_ms: millis(shape.backoff),
        conditions: shape.conditions.iter().map(ToString::to_string).collect(),
        on_copy: of.on_copy,
        instead_of,
        try_safe: false,
        command: shape.command.clone(),
        production_rows: shape.production_rows.clone(),
    }
}

fn migration_record(of: &Migration) -> MigrationRecord {
    MigrationRecord {
        version: of.version.clone(),
        name: of.name.clone(),
        file: of.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        in_transaction: of.in_transaction,
    }
}

fn statements(migration: usize, of: &Migration) -> impl Iterator<Item = DdlStatement> {
    of.statements.iter().enumerate().map(move |(index, statement)| {
        let shares = |unit: &Unit| {
            unit.kind == UnitKind::Transaction
                && unit.statements.contains(&index)
                && unit.statements.len() > 1
        };
        DdlStatement {
            migration,
            line: statement.line,
            sql: cut(&statement.sql),
            in_transaction: of.units.iter().any(shares),
        }
    })
}

/// A text that is not longer than the journal keeps.
pub(super) fn cut(sql: &str) -> String {
    let mut kept: String = sql.chars().take(SQL_KEPT).collect();
    if kept.len() < sql.len() {
        kept.push('…');
    }
    kept
}
