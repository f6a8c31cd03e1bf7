//! Statements of a migration: which of them the server executes only outside of a transaction, and which are done or undone
//! together. Pure.

use std::ops::Range;

use crate::sql::lex::{Token, significant};

use super::MigrationStatement;

/// Statements that are done or undone together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// How they are executed.
    pub kind: UnitKind,
    /// Indexes into the statements of the migration.
    pub statements: Range<usize>,
}

/// How the statements of a unit are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// All in one transaction.
    Transaction,
    /// One that is a transaction by itself.
    Single,
    /// One that must not stand in a transaction.
    Alone,
}

/// What a statement does to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Begin,
    End,
}

/// Whether a statement begins or ends a transaction. Savepoints do neither.
pub(super) fn control(sql: &str) -> Option<Control> {
    let tokens = significant(sql);
    let word = |at: usize, keyword: &str| tokens.get(at).is_some_and(|token| token.is_word(sql, keyword));
    let any = |at: usize, keywords: &[&str]| keywords.iter().any(|keyword| word(at, keyword));
    if word(0, "BEGIN") || word(0, "START") && word(1, "TRANSACTION") {
        return Some(Control::Begin);
    }
    let to_savepoint = (1..tokens.len()).any(|at| word(at, "TO"));
    let prepared = (1..tokens.len()).any(|at| word(at, "PREPARED"));
    let ends = any(0, &["COMMIT", "END", "ROLLBACK", "ABORT"]) && !to_savepoint && !prepared;
    ends.then_some(Control::End)
}

/// Whether the server executes a statement only outside of a transaction (`PreventInTransactionBlock` in its sources).
pub(super) fn is_alone(sql: &str) -> bool {
    let tokens = significant(sql);
    let word = |at: usize, keyword: &str| tokens.get(at).is_some_and(|token| token.is_word(sql, keyword));
    let verb = |keyword: &str| word(0, keyword);
    let second = |keywords: &[&str]| keywords.iter().any(|keyword| word(1, keyword));
    if verb("VACUUM") || verb("ALTER") && second(&["SYSTEM"]) {
        return true;
    }
    if (verb("CREATE") || verb("DROP")) && second(&["DATABASE", "TABLESPACE", "SUBSCRIPTION"]) {
        return true;
    }
    // CLUSTER of all tables, each in a transaction of its own.
    if verb("CLUSTER") && (tokens.len() == 1 || tokens.len() == 2 && word(1, "VERBOSE")) {
        return true;
    }
    if verb("REINDEX") {
        return (1..tokens.len())
            .any(|at| ["CONCURRENTLY", "DATABASE", "SYSTEM", "SCHEMA"].iter().any(|what| word(at, what)));
    }
    // REFRESH MATERIALIZED VIEW CONCURRENTLY may stand in one.
    is_concurrent(sql) && !verb("REFRESH")
}

/// Whether a statement builds or drops beside the traffic: `CONCURRENTLY` as a word of the command, not as a name.
#[must_use]
pub fn is_concurrent(sql: &str) -> bool {
    let tokens = significant(sql);
    let word = |at: usize, keyword: &str| tokens.get(at).is_some_and(|token| token.is_word(sql, keyword));
    let commands = ["CREATE", "DROP", "REINDEX", "REFRESH", "ALTER"];
    if !commands.iter().any(|keyword| word(0, keyword)) {
        return false;
    }
    let alters = word(0, "ALTER");
    let is_it = |at: usize, token: &Token| {
        token.is_word(sql, "CONCURRENTLY")
            && (!alters || (0..at).any(|before| word(before, "DETACH")))
            && !tokens.get(at.wrapping_sub(1)).is_some_and(|before| before.is_punctuation(sql, "."))
            && !tokens.get(at + 1).is_some_and(|behind| behind.is_punctuation(sql, "."))
    };
    // Nothing but the opening of the command can hold it; bodies of functions and defaults come later.
    tokens.iter().enumerate().take(if alters { 16 } else { 6 }).any(|(at, token)| is_it(at, token))
}

/// Groups statements that no tool puts into one transaction: `BEGIN … COMMIT` of the file itself holds together, all else stands
/// for itself. The words of control are left out of the statements; `Err` is the index of one without its other half.
pub(super) fn units(
    statements: Vec<MigrationStatement>,
) -> Result<(Vec<MigrationStatement>, Vec<Unit>), Range<usize>> {
    let mut kept: Vec<MigrationStatement> = Vec::with_capacity(statements.len());
    let mut units = Vec::new();
    let mut open: Option<(usize, Range<usize>)> = None;
    for statement in statements {
        match (control(&statement.sql), &open) {
            (Some(Control::Begin), None) => open = Some((kept.len(), statement.span)),
            (Some(Control::End), Some((from, _))) => {
                if *from < kept.len() {
                    units.push(Unit { kind: UnitKind::Transaction, statements: *from..kept.len() });
                }
                open = None;
            }
            (Some(_), _) => return Err(statement.span),
            (None, _) => {
                if open.is_none() {
                    let kind = if statement.alone { UnitKind::Alone } else { UnitKind::Single };
                    units.push(Unit { kind, statements: kept.len()..kept.len() + 1 });
                }
                kept.push(statement);
            }
        }
    }
    match open {
        Some((_, span)) => Err(span),
        None => Ok((kept, units)),
    }
}
