//! A migration check: the traffic is measured, the migrations are applied while it goes on, and it is measured again. One pool all
//! along, so that what a client meets is what the migration did to it.

mod alongside;
mod apply;
mod disturb;
mod plan;
mod safety;
mod unit;

use crate::record::entry::{Entry, RunKind};
use crate::record::migration::{DdlStatement, MigrationEntry, MigrationPlanRecord, MigrationRecord};
use crate::units::{StageId, Stamp};
use crate::workload::StageSpec;
use crate::workload::migrations::{Migration, UnitKind};

use super::measure::{Bench, NamedStage, Segment, Subject};
use super::{Observer, Outcome, Reset, StudyError};

pub(super) use alongside::{Alongside, Told};
pub use plan::{Disturb, MigrationPlan, MigrationShape};

/// Names of the measured stages.
const BEFORE: &str = "before";
const DURING: &str = "migration";
const AFTER: &str = "after";
/// Characters of a statement that the journal keeps.
const SQL_KEPT: usize = 2_000;

/// Measures before, during and after.
pub async fn migration(plan: &MigrationPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    safety::check(plan, observer).await?;
    let (segment, stages) = segment(plan);
    let segments = [segment];
    let mut bench = Bench::open(&plan.measure, Subject::new(RunKind::Migration, &segments), observer).await?;
    let record = record(plan, stages);
    bench.write(&Entry::Migration(MigrationEntry::Plan(Box::new(record))), Stamp::ZERO)?;
    for note in plan.shape.warnings() {
        observer(super::Happening::Note(&note));
        bench.event("lock_timeout_exempt", &note)?;
    }
    bench.accompany(Alongside::new(stages.during, plan.shape.clone()));
    bench.measure_all(&segments, observer).await
}

/// Which stage is which.
#[derive(Clone, Copy)]
struct Stages {
    before: StageId,
    during: StageId,
    after: StageId,
}

/// One pool through all stages. The stage of the migration is as long as the migration may be, and ends when it is over.
fn segment(plan: &MigrationPlan) -> (Segment, Stages) {
    let MigrationPlan { measure, shape, .. } = plan;
    let mut stages = Vec::new();
    let mut add = |name: &str, duration, measured: bool| {
        let id = StageId::from_index(stages.len());
        let until_steady = !measured && measure.warm_up.is_until_steady();
        let spec = StageSpec { name: name.to_owned(), duration, load: shape.load.clone() };
        stages.push(NamedStage { id, spec, measured, until_steady });
        id
    };
    if let Some(longest) = measure.warm_up.longest() {
        add("warm-up", longest, false);
    }
    let before = add(BEFORE, shape.before, true);
    let during = add(DURING, shape.longest(), true);
    let after = add(AFTER, shape.after, true);
    (Segment::new(measure, shape.pool_size, stages), Stages { before, during, after })
}

fn record(plan: &MigrationPlan, stages: Stages) -> MigrationPlanRecord {
    let shape = &plan.shape;
    let migrations = &shape.migrations.migrations;
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    MigrationPlanRecord {
        before: stages.before,
        during: stages.during,
        after: stages.after,
        tool: shape.migrations.tool.as_str().to_owned(),
        folder: shape.migrations.folder.display().to_string(),
        migrations: migrations.iter().map(migration_record).collect(),
        statements: migrations.iter().enumerate().flat_map(|(index, of)| statements(index, of)).collect(),
        lock_timeout_ms: shape.lock_timeout.map(millis),
        retries: shape.retries,
        backoff_ms: millis(shape.backoff),
        conditions: shape.conditions.iter().map(ToString::to_string).collect(),
        on_copy: plan.measure.reset == Reset::Template,
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
        let shares = |unit: &crate::workload::migrations::Unit| {
            unit.kind == UnitKind::Transaction
                && unit.statements.contains(&index)
                && unit.statements.len() > 1
        };
        let mut sql: String = statement.sql.chars().take(SQL_KEPT).collect();
        if sql.len() < statement.sql.len() {
            sql.push('…');
        }
        DdlStatement { migration, line: statement.line, sql, in_transaction: of.units.iter().any(shares) }
    })
}
