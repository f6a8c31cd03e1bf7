//! Applies migrations as their tool would, try by try, and tells what each did. Reads from top to bottom as the migration goes. What
//! the team's own tool applies is looked at from outside instead (`command`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::db::Target;
use crate::probe::ddl::{DdlSession, Left, Schema, Unfinished, Watch};
use crate::record::migration::{DdlError, ForeseenAlgorithm, MigrationEnded, MigrationEntry, RehearsalKind};
use crate::time::{Now as _, RealClock};
use crate::units::{Stamp, format_duration};
use crate::workload::migrations::{Migration, Unit, UnitKind, is_concurrent};

use super::MigrationShape;
use super::alongside::{Common, Told};
use super::command;
use super::disturb::Disturbers;
use super::unit::{self, Failed, Reach};

/// Between the beginning of the stage and the first statement: time for the plans to be asked for as they were before.
pub(super) const LEAD: Duration = Duration::from_millis(1500);
/// Codes after which another try may go well: a lock that was not to be had in time, and a deadlock (40001 of MariaDB).
const WORTH_ANOTHER_TRY: [&str; 3] = ["55P03", "40P01", "40001"];
/// What stands for the server's code where the server had nothing against it.
pub(super) const STOPPED: &str = "stopped";

/// What a migration needs.
pub(super) struct Apply {
    pub(super) kind: RehearsalKind,
    pub(super) common: Arc<Common>,
    pub(super) shape: MigrationShape,
    pub(super) target: Target,
    pub(super) clock: RealClock,
    pub(super) out: mpsc::Sender<Told>,
    pub(super) stop: watch::Receiver<bool>,
}

/// What is known of a database before a migration.
pub(super) struct Before {
    left: Result<Left, String>,
    /// By statement: how the server will carry it out.
    pub(super) foreseen: Vec<Option<ForeseenAlgorithm>>,
    /// Statements of another version of the application that the server refuses.
    refused: BTreeMap<String, DdlError>,
}

/// The migration under way.
pub(super) struct Applying {
    pub(super) shape: MigrationShape,
    pub(super) session: DdlSession,
    pub(super) watch: Watch,
    pub(super) clock: RealClock,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) deadline: tokio::time::Instant,
    /// What the tags of its statements begin with.
    pub(super) tag: String,
    /// By statement: how the server will carry it out.
    pub(super) foreseen: Vec<Option<ForeseenAlgorithm>>,
    /// The relations as they were when the last transaction had ended.
    pub(super) schema: Schema,
    pub(super) out: mpsc::Sender<Told>,
}

/// Carries a migration out, to its end or to the first statement that fails for good.
pub(super) async fn run(apply: Apply) {
    let (out, clock) = (apply.out.clone(), apply.clock);
    let done = if apply.shape.command.is_some() { command::whole(apply).await } else { whole(apply).await };
    let ended = done.unwrap_or_else(|error| MigrationEnded {
        at: clock.now(),
        failed: Some((0, error)),
        ..MigrationEnded::default()
    });
    let at = ended.at;
    // Nobody listens any more when the run was given up.
    let _ = out.send(Told::Entry(at, MigrationEntry::Ended(Box::new(ended)))).await;
    let _ = out.send(Told::Done(at)).await;
}

async fn whole(apply: Apply) -> Result<MigrationEnded, DdlError> {
    let Apply { kind, common, shape, target, clock, out, mut stop } = apply;
    let begun = tokio::time::Instant::now();
    let session = DdlSession::open(&target, "migration").await.map_err(|error| no_connection(&error))?;
    let watch =
        Watch::begin(&target, session.backend(), clock).await.map_err(|error| no_connection(&error))?;
    let schema = session.schema().await?;
    let mut before = Before::look(kind, &shape, &session, &watch, &common).await?;
    let foreseen = std::mem::take(&mut before.foreseen);
    if shape.lock_timeout.is_some() {
        session.limit_lock_waits(shape.lock_timeout).await?;
    }
    tokio::select! {
        () = tokio::time::sleep_until(begun + LEAD) => {}
        () = stopped(&mut stop) => {}
    }
    let disturbers = Disturbers::set_up(&shape.disturb, &target, &schema, clock, out.clone()).await?;
    let at = clock.now();
    let _ = out.send(Told::Entry(at, MigrationEntry::Begun { at, backend: session.backend() })).await;
    let deadline = tokio::time::Instant::now() + shape.at_most;
    let tag = format!("/*dbdyno migration {:016x}.", rand::random::<u64>());
    let mut applying = Applying { shape, session, watch, clock, stop, deadline, tag, foreseen, schema, out };
    let mut ended = applying.all().await;
    disturbers.end().await;
    let Applying { shape, session, watch, .. } = applying;
    before.look_back(kind, &shape, &session, &watch, &common, &mut ended).await;
    Ok(ended)
}

pub(super) fn no_connection(error: &crate::db::ConnectError) -> DdlError {
    DdlError { code: "08001".to_owned(), message: error.to_string() }
}

impl Applying {
    /// All migrations in order.
    async fn all(&mut self) -> MigrationEnded {
        let mut ended = MigrationEnded::default();
        let migrations = self.shape.migrations.migrations.clone();
        let mut first = 0;
        'all: for migration in &migrations {
            for unit in &migration.units {
                if let Err(Failed { statement, error, .. }) = self.until_done(migration, unit, first).await {
                    if error.code == STOPPED {
                        ended.stopped = Some(error.message.clone());
                    }
                    ended.failed = Some((statement, error));
                    break 'all;
                }
            }
            first += migration.statements.len();
            ended.applied += 1;
        }
        ended.at = self.clock.now();
        ended
    }

    /// One unit, try by try. `first` is the number of the migration's first statement.
    async fn until_done(&mut self, migration: &Migration, unit: &Unit, first: usize) -> Result<(), Failed> {
        let concurrent =
            unit.kind == UnitKind::Alone && is_concurrent(&migration.statements[unit.statements.start].sql);
        // A second try of CREATE INDEX CONCURRENTLY would stumble over what the first one left.
        let retries = if concurrent { 0 } else { self.shape.retries };
        let (mut number, mut left, mut stand) = (1, retries, 0);
        loop {
            let next = (unit.statements.start + stand).min(unit.statements.end - 1);
            let opening = migration.statements[next].sql.lines().next().unwrap_or_default();
            let again = if number > 1 { format!(" (try {number})") } else { String::new() };
            self.say(format!("migration {}: {opening}{again}", migration.version)).await;
            let exempt = concurrent.then_some(self.shape.lock_timeout).flatten();
            if exempt.is_some() {
                let _ = self.session.limit_lock_waits(None).await;
            }
            let reach = Reach { migration, unit, first, number, stand };
            let done = unit::attempt(self, &reach).await;
            if exempt.is_some() {
                let _ = self.session.limit_lock_waits(exempt).await;
            }
            let Err(failed) = done else { return Ok(()) };
            if failed.stand > stand {
                // Another statement than before: it has its own tries.
                left = retries;
            }
            let is_worth_it = WORTH_ANOTHER_TRY.contains(&failed.error.code.as_str());
            if left == 0 || !is_worth_it || self.session.is_lost() {
                return Err(failed);
            }
            tokio::select! {
                () = tokio::time::sleep(self.shape.backoff) => {}
                error = halted(&mut self.stop, self.deadline, self.shape.at_most) => {
                    return Err(Failed { error, ..failed });
                }
            }
            (number, left, stand) = (number + 1, left - 1, failed.stand);
        }
    }

    /// Executes a text, unless the user or the clock ends it. Gives the rows that it affected, where the server says that.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<Option<u64>, DdlError> {
        const CANCEL_PATIENCE: Duration = Duration::from_secs(5);
        let mut executing = std::pin::pin!(self.session.execute(sql));
        let stopped = tokio::select! {
            executed = &mut executing => return executed,
            stopped = halted(&mut self.stop, self.deadline, self.shape.at_most) => stopped,
        };
        self.watch.cancel().await;
        match tokio::time::timeout(CANCEL_PATIENCE, executing).await {
            // It was faster than the cancel.
            Ok(Ok(affected)) => Ok(affected),
            _ => Err(stopped),
        }
    }

    pub(super) async fn tell(&self, at: Stamp, entry: MigrationEntry) {
        // Nobody listens any more when the run was given up.
        let _ = self.out.send(Told::Entry(at, entry)).await;
    }

    async fn say(&self, words: String) {
        let _ = self.out.send(Told::Step(words)).await;
    }
}

impl Before {
    /// Looks, before anything is applied. What is tried on empty copies is tried of the migration itself and of its way back alike.
    pub(super) async fn look(
        kind: RehearsalKind,
        shape: &MigrationShape,
        session: &DdlSession,
        watch: &Watch,
        common: &Common,
    ) -> Result<Self, DdlError> {
        let refused = match (kind, &shape.old) {
            (RehearsalKind::Migration, Some(old)) => old.refused(session).await,
            _ => BTreeMap::new(),
        };
        let statements = shape.migrations.migrations.iter().flat_map(|of| &of.statements);
        let statements: Vec<&str> = statements.map(|of| of.sql.as_str()).collect();
        if kind == RehearsalKind::Migration {
            common.keep_digest(session.digest().await?);
            common.keep_known(session.known(&statements).await?);
        }
        let foreseen = session.foresee(&statements).await?;
        Ok(Self { left: watch.left().await, foreseen, refused })
    }

    /// What stands unfinished now and did not before, what the new schema breaks, and whether the way back led back.
    pub(super) async fn look_back(
        self,
        kind: RehearsalKind,
        shape: &MigrationShape,
        session: &DdlSession,
        watch: &Watch,
        common: &Common,
        ended: &mut MigrationEnded,
    ) {
        match (self.left, watch.left().await) {
            (Ok(before), Ok(after)) => {
                for unfinished in after.since(&before) {
                    match unfinished {
                        Unfinished::InvalidIndex(name) => ended.invalid_indexes.push(name),
                        Unfinished::NotValidated(name) => ended.not_validated.push(name),
                        Unfinished::WithoutStatistics(name) => ended.without_statistics.push(name),
                    }
                }
            }
            (Err(why), _) | (_, Err(why)) => ended.unknown = Some(why),
        }
        // Half of a migration breaks what it was on the way to mend.
        if ended.failed.is_some() || session.is_lost() {
            return;
        }
        if let (RehearsalKind::Migration, Some(old)) = (kind, &shape.old) {
            ended.also_prepared = Some(old.broken(&self.refused, old.refused(session).await));
        }
        if let (RehearsalKind::Down, Some(before), Ok(now)) = (kind, common.digest(), session.digest().await)
        {
            ended.schema_differs = Some(before.difference(&now));
        }
    }
}

/// Comes when the user, or the limit on the time, ends the migration.
pub(super) async fn halted(
    stop: &mut watch::Receiver<bool>,
    deadline: tokio::time::Instant,
    at_most: Duration,
) -> DdlError {
    let halt = |message: String| DdlError { code: STOPPED.to_owned(), message };
    tokio::select! {
        () = stopped(stop) => halt("the run was ended before it".to_owned()),
        () = tokio::time::sleep_until(deadline) => {
            halt(format!("not done within --at-most {}", format_duration(at_most)))
        }
    }
}

/// Comes when somebody says so. Holds on to nothing that another task waits for.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
