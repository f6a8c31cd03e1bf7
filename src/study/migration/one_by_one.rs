//! One try of a unit where the server commits each statement of DDL by itself, and what was open before it as well: a transaction holds
//! nothing together but the rows that were changed since the last of them. What became of it is asked behind each statement, so that
//! what stands is known when one fails, and another try goes on where the last one ended.

use crate::probe::ddl::TransactionState;
use crate::record::migration::{DdlError, DdlTry, MigrationEntry};
use crate::time::Now as _;
use crate::units::Stamp;
use crate::workload::migrations::UnitKind;

use super::apply::Applying;
use super::unit::{Failed, Reach, execute, relations, spans, take_changes};

/// Tries what of a unit does not stand yet.
pub(super) async fn attempt(applying: &mut Applying, reach: &Reach<'_>) -> Result<(), Failed> {
    let in_transaction = reach.unit.kind == UnitKind::Transaction;
    let begin = reach.unit.statements.start;
    let mut going_on = GoingOn { begin, stand: reach.stand, open: Vec::new(), in_transaction };
    let fail = |index: usize, error, stand| Failed { statement: reach.first + index, error, stand };
    // Where a statement of it stands already, the transaction that the file opens is over.
    if in_transaction
        && reach.stand == 0
        && let Err(error) = applying.execute("BEGIN").await
    {
        return Err(fail(begin, error, 0));
    }
    for index in begin + reach.stand..reach.unit.statements.end {
        let (one, error) = statement(applying, reach, index).await;
        let sql = &reach.migration.statements[index].sql;
        let state = applying.session.transaction_after(sql, error.is_some()).await;
        let Some(error) = error else {
            // Where the server does not answer any more, it takes back what is open, and keeps what was none.
            let is_open = state.map_or(in_transaction, |state| state == TransactionState::Open);
            let at = one.span.to;
            going_on.open.push(one);
            if !is_open {
                going_on.release(applying, true, at, index + 1).await;
            }
            continue;
        };
        match state {
            // What was open before it stands, and it does not.
            Ok(TransactionState::Committed) => going_on.release(applying, true, one.span.to, index).await,
            Ok(TransactionState::RolledBack) | Err(_) => {
                going_on.release(applying, false, one.span.to, index).await;
            }
            Ok(TransactionState::Open) => {
                let _ = applying.session.execute("ROLLBACK").await;
                going_on.release(applying, false, applying.clock.now(), index).await;
            }
        }
        applying.tell(one.released_at, MigrationEntry::Tried(Box::new(one))).await;
        return Err(fail(index, error, going_on.stand));
    }
    if going_on.open.is_empty() {
        return Ok(());
    }
    let last = reach.unit.statements.end - 1;
    if let Err(error) = applying.execute("COMMIT").await {
        if let Some(one) = going_on.open.last_mut() {
            one.error = Some(error.clone());
        }
        going_on.release(applying, false, applying.clock.now(), last).await;
        return Err(fail(last, error, going_on.stand));
    }
    going_on.in_transaction = false;
    going_on.release(applying, true, applying.clock.now(), last + 1).await;
    Ok(())
}

/// A unit under way.
struct GoingOn {
    /// Its first statement.
    begin: usize,
    /// Statements from there on that stand.
    stand: usize,
    /// Tries whose transaction goes on.
    open: Vec<DdlTry>,
    /// Whether a COMMIT of the file is still to come.
    in_transaction: bool,
}

impl GoingOn {
    /// Tells what became of all that was open: at `at` it was committed, or taken back. `until` is the statement behind it.
    async fn release(&mut self, applying: &Applying, committed: bool, at: Stamp, until: usize) {
        for mut one in std::mem::take(&mut self.open) {
            one.committed = committed;
            one.released_at = at;
            one.implicit_commit = committed && self.in_transaction;
            applying.tell(at, MigrationEntry::Tried(Box::new(one))).await;
        }
        if committed {
            self.stand = self.stand.max(until - self.begin);
        }
    }
}

/// Executes one statement, and looks at what it did to the tables.
async fn statement(applying: &mut Applying, reach: &Reach<'_>, index: usize) -> (DdlTry, Option<DdlError>) {
    let (mut one, seen, executed) = execute(applying, reach, index).await;
    one.waits = spans(&seen.waits, &applying.schema, one.span);
    one.held = relations(&seen.held, &applying.schema, one.span);
    one.foreseen = applying.foreseen.get(one.statement).cloned().flatten();
    let log_end = applying.watch.wal_end().await;
    one.server_wal_bytes = one.server_wal_bytes.zip(log_end).map(|(begun, end)| end.saturating_sub(begun));
    if let Ok(after) = applying.session.schema().await {
        take_changes(&mut one, applying.schema.changes(&after));
        applying.schema = after;
    }
    (one, executed.err())
}
