//! The migration with the safe form of each statement that did harm. Pure.

use std::time::Duration;

use crate::analysis::MigrationSoFar;
use crate::sql::safer::{Known, Safer, Stands, safer_in};
use crate::units::Dialect;
use crate::workload::migrations::{Migration, MigrationStatement, Unit, UnitKind};

use super::MigrationShape;

/// How a migration that queued for its locks is tried again. MariaDB counts whole seconds.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);
const LOCK_TIMEOUT_ON_MARIADB: Duration = Duration::from_secs(1);
const RETRIES: u32 = 30;
const BACKOFF: Duration = Duration::from_secs(1);

/// What is applied instead, and by statement the index of that of the migration that it stands for. Nothing where nothing did harm, or
/// what did has no form that can be written by itself. `known` are the tables as they were before the first statement.
pub(super) fn safe(
    shape: &MigrationShape,
    so_far: &MigrationSoFar,
    known: &Known,
) -> Option<(MigrationShape, Vec<Option<usize>>)> {
    let dialect = shape.migrations.dialect;
    let mut instead_of = Vec::new();
    let mut migrations = Vec::with_capacity(shape.migrations.migrations.len());
    let all: Vec<&str> =
        shape.migrations.migrations.iter().flat_map(|of| &of.statements).map(|of| of.sql.as_str()).collect();
    let mut first = 0;
    for migration in &shape.migrations.migrations {
        let replaced = |index: usize| -> Option<Vec<Safer>> {
            let at = first + index;
            let known = || all[..at].iter().fold(known.clone(), |known, sql| known.without(sql));
            so_far.hazards.contains(&at).then(|| safer_in(dialect, all[at], &known())).flatten()
        };
        let (safe, stands_for) = rewritten(migration, replaced);
        instead_of.extend(stands_for.into_iter().map(|of| of.map(|index| index + first)));
        first += migration.statements.len();
        migrations.push(safe);
    }
    let tries_again = so_far.queued && shape.lock_timeout.is_none();
    if !tries_again && instead_of.iter().all(Option::is_none) {
        return None;
    }
    let mut safe = shape.clone();
    safe.migrations.migrations = migrations;
    if tries_again {
        let timeout = match dialect {
            Dialect::Postgresql => LOCK_TIMEOUT,
            Dialect::Mysql => LOCK_TIMEOUT_ON_MARIADB,
        };
        (safe.lock_timeout, safe.retries, safe.backoff) = (Some(timeout), RETRIES, BACKOFF);
    }
    Some((safe, instead_of))
}

/// One migration, with what each of its statements stands for. What is replaced leaves its transaction; what is not stays together as
/// far as it stands together.
fn rewritten(
    migration: &Migration,
    replaced: impl Fn(usize) -> Option<Vec<Safer>>,
) -> (Migration, Vec<Option<usize>>) {
    let mut statements: Vec<MigrationStatement> = Vec::new();
    let (mut units, mut instead_of) = (Vec::new(), Vec::new());
    for unit in &migration.units {
        let mut begun = statements.len();
        for index in unit.statements.clone() {
            let original = &migration.statements[index];
            let Some(safer) = replaced(index) else {
                statements.push(original.clone());
                instead_of.push(None);
                continue;
            };
            if begun < statements.len() {
                units.push(Unit { kind: unit.kind, statements: begun..statements.len() });
            }
            let mut last = None;
            for Safer { sql, stands } in safer {
                let next = statements.len()..statements.len() + 1;
                let kind = match stands {
                    Stands::Single => UnitKind::Single,
                    Stands::Alone => UnitKind::Alone,
                    Stands::Together => UnitKind::Transaction,
                };
                match units.last_mut() {
                    Some(unit) if stands == Stands::Together && last == Some(stands) => {
                        unit.statements.end = next.end;
                    }
                    _ => units.push(Unit { kind, statements: next }),
                }
                last = Some(stands);
                statements.push(MigrationStatement {
                    sql,
                    alone: stands == Stands::Alone,
                    ..original.clone()
                });
                instead_of.push(Some(index));
            }
            begun = statements.len();
        }
        if begun < statements.len() {
            units.push(Unit { kind: unit.kind, statements: begun..statements.len() });
        }
    }
    let in_transaction = migration.in_transaction && instead_of.iter().all(Option::is_none);
    (Migration { in_transaction, statements, units, ..migration.clone() }, instead_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str) -> MigrationStatement {
        MigrationStatement { sql: sql.to_owned(), span: 0..0, line: 1, alone: false }
    }

    #[test]
    fn what_is_replaced_leaves_its_transaction() {
        let texts = [
            "ALTER TABLE t ADD a int",
            "CREATE INDEX i ON t (a)",
            "ALTER TABLE t ADD b int",
            "ALTER TABLE t ADD c int",
        ];
        let migration = Migration {
            version: "1".to_owned(),
            moment: None,
            name: String::new(),
            path: "1_a.sql".into(),
            in_transaction: true,
            statements: texts.iter().map(|sql| statement(sql)).collect(),
            units: vec![Unit { kind: UnitKind::Transaction, statements: 0..4 }],
        };
        let by = |index: usize| {
            if index == 1 { safer_in(Dialect::Postgresql, texts[1], &Known::default()) } else { None }
        };
        let (safe, instead_of) = rewritten(&migration, by);
        assert_eq!(instead_of, [None, Some(1), None, None]);
        assert!(!safe.in_transaction);
        let units: Vec<(UnitKind, usize)> =
            safe.units.iter().map(|of| (of.kind, of.statements.len())).collect();
        assert_eq!(units, [(UnitKind::Transaction, 1), (UnitKind::Alone, 1), (UnitKind::Transaction, 2)]);
        assert_eq!(safe.statements[1].sql, "CREATE INDEX CONCURRENTLY i ON t (a)");
        let step = |sql: &str, stands| Safer { sql: sql.to_owned(), stands };
        let swap = |index: usize| {
            let steps = [
                step("1", Stands::Together),
                step("2", Stands::Alone),
                step("3", Stands::Together),
                step("4", Stands::Together),
            ];
            (index == 3).then(|| steps.to_vec())
        };
        let (swapped, _) = rewritten(&migration, swap);
        let units: Vec<(UnitKind, usize)> =
            swapped.units.iter().map(|of| (of.kind, of.statements.len())).collect();
        let (transaction, alone) = (UnitKind::Transaction, UnitKind::Alone);
        assert_eq!(units, [(transaction, 3), (transaction, 1), (alone, 1), (transaction, 2)]);
        let (same, instead_of) = rewritten(&migration, |_| None);
        assert_eq!((same, instead_of), (migration, vec![None; 4]));
    }
}
