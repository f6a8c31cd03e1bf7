//! One try of what is done or undone together: each statement is timed, its locks and files are looked at before the transaction
//! ends, and all is told when the locks are given back.

use crate::probe::ddl::{Changes, Looked, OwnLocks, OwnScans, RelationId, Schema, SeenLock, SeenLocks};
use crate::record::migration::{DdlError, DdlTry, LockSpan, MigrationEntry, ScannedRelation};
use crate::time::Now as _;
use crate::units::{Span, Stamp};
use crate::workload::migrations::{Migration, Unit, UnitKind};

use super::apply::Applying;
use super::one_by_one;

/// Which unit is tried, and how often it was.
pub(super) struct Reach<'a> {
    pub(super) migration: &'a Migration,
    pub(super) unit: &'a Unit,
    /// Number of the migration's first statement among all.
    pub(super) first: usize,
    /// From 1.
    pub(super) number: u32,
    /// Statements of the unit that stand already, by a try before.
    pub(super) stand: usize,
}

/// Why a unit did not come to its end.
pub(super) struct Failed {
    /// The statement, by its number among all.
    pub(super) statement: usize,
    pub(super) error: DdlError,
    /// Statements of the unit that stand all the same, from its first.
    pub(super) stand: usize,
}

/// Tries a unit once. On an error nothing of it stands, but for what the server itself keeps of a statement outside of
/// transactions, and for what it commits by itself.
pub(super) async fn attempt(applying: &mut Applying, reach: &Reach<'_>) -> Result<(), Failed> {
    if applying.session.commits_ddl_itself() {
        return one_by_one::attempt(applying, reach).await;
    }
    let done = together(applying, reach).await;
    done.map_err(|(statement, error)| Failed { statement, error, stand: 0 })
}

/// The same where the server takes DDL back with its transaction.
async fn together(applying: &mut Applying, reach: &Reach<'_>) -> Result<(), (usize, DdlError)> {
    let begun_with = applying.schema.clone();
    let mut tries = Vec::new();
    let mut done = match reach.unit.kind {
        UnitKind::Alone => alone(applying, reach, &begun_with, &mut tries).await,
        UnitKind::Single | UnitKind::Transaction => {
            transaction(applying, reach, &begun_with, &mut tries).await
        }
    };
    let released_at = applying.clock.now();
    let committed = done.is_ok();
    // Where each began; the last one ends here, and each other where the next began.
    let mut wal_end = applying.watch.wal_end().await;
    for one in tries.iter_mut().rev() {
        let begun = one.server_wal_bytes;
        one.server_wal_bytes = begun.zip(wal_end).map(|(begun, end)| end.saturating_sub(begun));
        wal_end = begun;
    }
    let tag = applying.tag.clone();
    for (index, one) in tries.iter_mut().enumerate() {
        one.committed = committed;
        one.released_at = released_at;
        for lock in one.held.iter_mut().filter(|lock| lock.span.to == Stamp::NEVER) {
            lock.span.to = released_at;
        }
        // Asked from another session when no lock is held for it any more.
        if let Some((wal, temp)) =
            applying.watch.written(&of_statement(&tag, reach, reach.unit.statements.start + index)).await
        {
            (one.wal_bytes, one.temp_bytes) = (Some(wal), Some(temp));
        }
    }
    // What a failed statement left is seen only now, when its transaction is gone.
    let after = applying.session.schema().await;
    if let (Ok(after), Some(last)) = (&after, tries.last_mut()) {
        let now = begun_with.changes(after);
        if reach.unit.kind == UnitKind::Alone {
            take_changes(last, now);
        } else if committed {
            for name in now.invalid {
                if !last.invalid_indexes.contains(&name) {
                    last.invalid_indexes.push(name);
                }
            }
        }
    }
    if let Ok(after) = after {
        applying.schema = after;
    }
    if let (Err((statement, error)), Some(last)) = (&mut done, tries.last_mut())
        && last.error.is_none()
        && last.statement == *statement
    {
        // The commit itself was refused: a deferred constraint.
        last.error = Some(error.clone());
    }
    for one in tries {
        applying.tell(released_at, MigrationEntry::Tried(Box::new(one))).await;
    }
    done
}

/// The tag of a statement's text, by which the server's counters know it again.
fn of_statement(tag: &str, reach: &Reach<'_>, index: usize) -> String {
    format!("{tag}{}.{}*/", reach.first + index, reach.number)
}

pub(super) fn take_changes(one: &mut DdlTry, changes: Changes) {
    one.rewritten = changes.rewritten;
    one.rebuilt = changes.rebuilt;
    one.invalid_indexes = changes.invalid;
}

/// A statement that must not stand in a transaction: what it did is seen from outside only.
async fn alone(
    applying: &mut Applying,
    reach: &Reach<'_>,
    begun_with: &Schema,
    tries: &mut Vec<DdlTry>,
) -> Result<(), (usize, DdlError)> {
    let index = reach.unit.statements.start;
    let (mut one, seen, executed) = execute(applying, reach, index).await;
    one.waits = spans(&seen.waits, begun_with, one.span);
    one.held = relations(&seen.held, begun_with, one.span);
    let statement = one.statement;
    tries.push(one);
    executed.map_err(|error| (statement, error))
}

async fn transaction(
    applying: &mut Applying,
    reach: &Reach<'_>,
    begun_with: &Schema,
    tries: &mut Vec<DdlTry>,
) -> Result<(), (usize, DdlError)> {
    let first = reach.first + reach.unit.statements.start;
    applying.execute("BEGIN").await.map_err(|error| (first, error))?;
    // The server may not have told of the transaction before yet, and counts on.
    let mut known = Known {
        begun_with,
        schema: begun_with.clone(),
        locks: Vec::new(),
        scans: applying.session.look().await.unwrap_or_default().scans,
    };
    for index in reach.unit.statements.clone() {
        let (mut one, seen, executed) = execute(applying, reach, index).await;
        let statement = one.statement;
        one.waits = spans(&seen.waits, begun_with, one.span);
        if let Err(error) = executed {
            // The server gave up the transaction already; this lets go of its locks.
            let _ = applying.session.execute("ROLLBACK").await;
            one.held = held_so_far(&seen, begun_with, one.span, &known.locks);
            tries.push(one);
            return Err((statement, error));
        }
        // Nobody else can see this before the commit, and behind it there is nothing left to see.
        let is_last = index + 1 == reach.unit.statements.end;
        let (looked, committed) = if is_last {
            applying.session.look_and_commit().await
        } else {
            (applying.session.look().await, Ok(()))
        };
        if let Ok(looked) = looked {
            known.learn(&mut one, &seen, looked);
        }
        tries.push(one);
        if committed.is_err() {
            let _ = applying.session.execute("ROLLBACK").await;
        }
        committed.map_err(|error| (statement, error))?;
    }
    Ok(())
}

/// What is known of a transaction so far.
struct Known<'a> {
    /// The relations before it.
    begun_with: &'a Schema,
    schema: Schema,
    locks: OwnLocks,
    scans: OwnScans,
}

impl Known<'_> {
    /// Takes what the session sees behind a statement: what is new in it is the statement's.
    fn learn(&mut self, one: &mut DdlTry, seen: &SeenLocks, looked: Looked) {
        for (relation, mode) in looked.locks {
            let Some(known) = self.begun_with.get(relation.clone()) else { continue };
            if self.locks.contains(&(relation.clone(), mode.clone())) {
                continue;
            }
            let from = begin_of(seen, &relation, &mode, one.span);
            one.held.push(LockSpan {
                mode: mode.clone(),
                relation: Some(known.name.clone()),
                lock_type: "relation".to_owned(),
                span: Span { from, to: Stamp::NEVER },
            });
            self.locks.push((relation, mode));
        }
        let scanned = looked.scans.iter().filter_map(|(relation, (count, rows))| {
            let (count_before, rows_before) = self.scans.get(relation).copied().unwrap_or((0, 0));
            let known = self.begun_with.get(*relation)?;
            (*count > count_before).then(|| ScannedRelation {
                relation: known.name.clone(),
                rows: u64::try_from(rows - rows_before).unwrap_or(0),
            })
        });
        one.scanned = Some(scanned.collect());
        take_changes(one, self.schema.changes(&looked.schema));
        (self.scans, self.schema) = (looked.scans, looked.schema);
    }
}

/// Executes one statement, and gives what was seen of its locks meanwhile.
pub(super) async fn execute(
    applying: &mut Applying,
    reach: &Reach<'_>,
    index: usize,
) -> (DdlTry, SeenLocks, Result<(), DdlError>) {
    let wal_before = applying.watch.wal_end().await;
    let sql =
        format!("{} {}", of_statement(&applying.tag, reach, index), reach.migration.statements[index].sql);
    // What was seen up to here belongs to the statement before.
    let _ = applying.watch.take();
    let from = applying.clock.now();
    let executed = applying.execute(&sql).await;
    let span = Span { from, to: applying.clock.now() };
    let seen = applying.watch.take();
    let one = DdlTry {
        statement: reach.first + index,
        number: reach.number,
        backend: applying.session.backend(),
        span,
        released_at: span.to,
        committed: false,
        error: executed.as_ref().err().cloned(),
        waits: Vec::new(),
        held: Vec::new(),
        rewritten: Vec::new(),
        rebuilt: Vec::new(),
        scanned: None,
        invalid_indexes: Vec::new(),
        wal_bytes: None,
        temp_bytes: None,
        server_wal_bytes: None,
        affected_rows: executed.as_ref().ok().copied().flatten(),
        foreseen: None,
        implicit_commit: false,
    };
    // Until its transaction ends: where the WAL stood when it began. Asking now would only lengthen its locks.
    (DdlTry { server_wal_bytes: wal_before, ..one }, seen, executed.map(drop))
}

/// Seen locks by the names of their relations, within the statement. A relation that was not there before has no name here, and
/// nobody else waits for it.
pub(super) fn spans(seen: &[SeenLock], begun_with: &Schema, within: Span) -> Vec<LockSpan> {
    seen.iter()
        .filter_map(|lock| {
            let relation = match &lock.relation {
                Some(relation) => Some(begun_with.get(relation.clone())?.name.clone()),
                None => None,
            };
            // A look goes on for a moment behind the end of the statement.
            let span = lock.span.clip(within);
            let (mode, lock_type) = (lock.mode.clone(), lock.lock_type.clone());
            Some(LockSpan { mode, relation, lock_type, span })
        })
        .collect()
}

/// Those of them that are on relations.
pub(super) fn relations(seen: &[SeenLock], begun_with: &Schema, within: Span) -> Vec<LockSpan> {
    spans(seen, begun_with, within).into_iter().filter(|lock| lock.relation.is_some()).collect()
}

/// What a statement that failed held, as far as it was seen from outside.
fn held_so_far(
    seen: &SeenLocks,
    begun_with: &Schema,
    within: Span,
    before: &[(RelationId, String)],
) -> Vec<LockSpan> {
    let is_new = |lock: &&SeenLock| {
        lock.relation.as_ref().is_some_and(|of| !before.contains(&(of.clone(), lock.mode.clone())))
    };
    let new: Vec<_> = seen.held.iter().filter(is_new).cloned().collect();
    let mut held = spans(&new, begun_with, within);
    for lock in &mut held {
        lock.span.to = Stamp::NEVER;
    }
    held
}

/// From when a lock was held: the end of the wait for it, the first look that saw it, or, where it was quicker than a look, the
/// beginning of the statement.
fn begin_of(seen: &SeenLocks, relation: &RelationId, mode: &str, within: Span) -> Stamp {
    let is_it = |lock: &&SeenLock| lock.relation.as_ref() == Some(relation) && lock.mode == mode;
    let waited = seen.waits.iter().filter(is_it).map(|lock| lock.span.to).max();
    // A lock that was not waited for was taken some time before the look that saw it first, at most one look before.
    waited.map_or(within.from, |to| to.max(within.from).min(within.to))
}
