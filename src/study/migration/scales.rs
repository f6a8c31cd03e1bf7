//! The migration without traffic on data of several scales, each on fresh copies of a database of a throwaway server: what it takes,
//! writes and needs on disk by the rows of the tables.

use std::future::pending;
use std::time::Instant;

use crate::dataset;
use crate::engine::EngineError;
use crate::probe::ddl::{DdlSession, OwnScans, Watch};
use crate::record::migration::{DdlError, ScaledRun, ScaledStatement};
use crate::sql::safer::tables_to_go_through;
use crate::study::fresh::Fresh;
use crate::study::interrupt::Interrupts;
use crate::study::load::fill;
use crate::study::{Happening, LoadShape, Observer, OpenTarget, StudyError, TargetChoice, default_jobs};
use crate::time::{Epoch, RealClock};
use crate::units::Dialect;
use crate::workload::migrations::{Migration, Unit, UnitKind};

use super::MigrationPlan;

/// At each scale: what is left of the scatter among them says how sure a prediction is.
const REPETITIONS: u32 = 3;

/// `shared_buffers` of a PostgreSQL, unless the user says another. A table that is larger than a quarter of the buffers is read past
/// them (`initscan` in PostgreSQL's `heapam.c`), a smaller one is found in them: production's tables are of the former kind, and so
/// are these, or a prediction would cross from the one to the other.
const BUFFERS: (&str, &str) = ("shared_buffers", "16MB");

/// One run for each scale and repetition; none where no scales are asked for.
pub(super) async fn measure(
    plan: &MigrationPlan,
    observer: &mut Observer<'_>,
) -> Result<Vec<ScaledRun>, StudyError> {
    if plan.beside.scales.is_empty() {
        return Ok(Vec::new());
    }
    let mut interrupts = Interrupts::catch().map_err(EngineError::Thread)?;
    let mut target = OpenTarget::open(&with_few_buffers(&plan.measure.target), observer).await?;
    let measured = tokio::select! {
        measured = all(plan, &mut target, observer) => measured,
        () = interrupts.next() => Err(StudyError::Interrupted),
    };
    let closed = target.close().await;
    let runs = measured?;
    closed?;
    Ok(runs)
}

fn with_few_buffers(target: &TargetChoice) -> TargetChoice {
    let mut target = target.clone();
    let (name, value) = BUFFERS;
    if target.dialect() == Dialect::Postgresql
        && let TargetChoice::Local(options) = &mut target
        && !options.settings.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    {
        options.settings.push((name.to_owned(), value.to_owned()));
    }
    target
}

async fn all(
    plan: &MigrationPlan,
    target: &mut OpenTarget,
    observer: &mut Observer<'_>,
) -> Result<Vec<ScaledRun>, StudyError> {
    let home = target.target.clone();
    let clock = Epoch::begin().clock();
    let mut runs = Vec::new();
    for (number, scale) in plan.beside.scales.iter().enumerate() {
        let name = format!("dbdyno_scale_{number}");
        execute(target, &format!("CREATE DATABASE {name}")).await?;
        target.move_to(home.with_database(&name)).await?;
        let shape = LoadShape {
            scale: *scale,
            seed: plan.measure.seed,
            jobs: default_jobs(),
            replace: false,
            statistics: plan.measure.statistics,
        };
        fill(target, &plan.measure.workload, shape, observer).await?;
        let mut fresh = Fresh::of(target, observer).await?;
        fresh.leave(target).await?;
        for repetition in 1..=REPETITIONS {
            fresh.enter(target, pending(), observer).await?;
            observer(Happening::Step(&format!(
                "applying the migration without traffic at scale {scale}, {repetition} of {REPETITIONS}"
            )));
            let run = once(plan, target, clock).await;
            fresh.discard(target).await?;
            runs.push(ScaledRun { scale: *scale, repetition, ..run? });
        }
        execute(target, &format!("DROP DATABASE {name}")).await?;
    }
    Ok(runs)
}

async fn execute(target: &OpenTarget, sql: &str) -> Result<(), StudyError> {
    dataset::run_statement(&target.control, sql).await?.map_err(StudyError::Examine)
}

/// All statements once, as far as they go.
async fn once(plan: &MigrationPlan, target: &OpenTarget, clock: RealClock) -> Result<ScaledRun, StudyError> {
    let session = DdlSession::open(&target.target, "migration").await?;
    let watch = Watch::begin(&target.target, session.backend(), clock).await?;
    let rows = session.rows().await.map_err(|error| StudyError::Examine(error.message))?;
    let mut quiet = Quiet { session, watch, run: ScaledRun { rows, ..ScaledRun::default() }, first: 0 };
    for migration in &plan.shape.migrations.migrations {
        for unit in &migration.units {
            if let Err(failed) = quiet.unit(migration, unit).await {
                quiet.run.failed = Some(failed);
                return Ok(quiet.run);
            }
        }
        quiet.first += migration.statements.len();
    }
    Ok(quiet.run)
}

/// A migration without traffic.
struct Quiet {
    session: DdlSession,
    watch: Watch,
    run: ScaledRun,
    /// Number of the migration's first statement among all.
    first: usize,
}

impl Quiet {
    async fn unit(&mut self, migration: &Migration, unit: &Unit) -> Result<(), (usize, DdlError)> {
        let first = self.first + unit.statements.start;
        let alone = unit.kind == UnitKind::Alone;
        let edge = |error| (first, error);
        if !alone {
            self.session.execute("BEGIN").await.map_err(edge)?;
        }
        for index in unit.statements.clone() {
            let number = self.first + index;
            let done = self.statement(number, &migration.statements[index].sql).await;
            done.map_err(|error| (number, error))?;
        }
        if !alone {
            self.session.execute("COMMIT").await.map_err(edge)?;
        }
        Ok(())
    }

    async fn statement(&mut self, number: usize, sql: &str) -> Result<(), DdlError> {
        // A tag of its own, by which the server's counters know it again.
        let tag = format!("/*dbdyno scale {:016x}*/", rand::random::<u64>());
        let (sizes, scans) = (self.session.sizes().await?, self.session.scans().await?);
        let wal_begun = self.watch.wal_end().await;
        let begun = Instant::now();
        let affected = self.session.execute(&format!("{tag} {sql}")).await?;
        let took = begun.elapsed();
        let wal_ended = self.watch.wal_end().await;
        let grown = sizes.grown(&self.session.sizes().await?);
        let mut worked_on = grown.tables;
        for oid in scanned(&scans, &self.session.scans().await?) {
            if let Some(name) = sizes.name(oid).filter(|name| !worked_on.iter().any(|known| known == name)) {
                worked_on.push(name.to_owned());
            }
        }
        // Rows that changed where they are leave the files as they were.
        if worked_on.is_empty() && affected.is_some_and(|rows| rows > 0) {
            worked_on.extend(tables_to_go_through(sql).filter(|table| self.run.rows.contains_key(table)));
        }
        let temp_bytes = self.watch.written(&tag).await.map_or(0, |(_, temp)| temp);
        self.run.statements.push(ScaledStatement {
            statement: number,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            wal_bytes: wal_begun.zip(wal_ended).map(|(begun, ended)| ended.saturating_sub(begun)),
            disk_bytes: grown.bytes + temp_bytes,
            worked_on,
        });
        Ok(())
    }
}

/// Relations that were read from end to end in between. What the server has told of already begins anew.
fn scanned(before: &OwnScans, after: &OwnScans) -> Vec<u32> {
    let count = |of: &OwnScans, oid: &u32| of.get(oid).map_or(0, |(scans, _)| *scans);
    after.keys().filter(|oid| count(after, oid) > count(before, oid)).copied().collect()
}
