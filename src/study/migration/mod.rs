//! A migration check: the traffic is measured, the migrations are applied while it goes on, and it is measured again. One pool all
//! along, so that what a client meets is what the migration did to it. Behind it, before and behind are compared by turns on two copies
//! of the database, and the same migration is rehearsed in other ways.

mod alongside;
mod apply;
mod command;
mod course;
mod disturb;
mod old;
mod one_by_one;
mod plan;
mod record;
mod safe;
mod safety;
mod scales;
mod unit;

use std::sync::Arc;

use crate::analysis::Analysis;
use crate::record::entry::{Entry, RunKind};
use crate::record::migration::{MigrationEntry, MigrationPlanRecord};
use crate::units::Stamp;

use super::measure::{Bench, Decision, Subject};
use super::{Happening, Observer, Outcome, StudyError};

pub(super) use alongside::{Alongside, Told};
pub use old::{OldStatement, OldStatements};
pub use plan::{Beside, Disturb, MigrationPlan, MigrationShape, Turns};

use alongside::Common;
use course::{Course, Walk};

/// Measures before, during and after, and what is asked for beside that.
pub async fn migration(plan: &MigrationPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    safety::check(plan, observer).await?;
    let scaled = Box::pin(scales::measure(plan, observer)).await?;
    let mut course = Course::of(plan);
    let subject = Subject {
        comparison: course.comparison.take(),
        clones: course.clones,
        ..Subject::new(RunKind::Migration, &course.segments)
    };
    let mut bench = Bench::open(&plan.measure, subject, observer).await?;
    let record = record::record(&plan.shape, course.rehearsed, Vec::new());
    let record = MigrationPlanRecord { try_safe: plan.beside.safe, ..record };
    bench.write(&Entry::Migration(MigrationEntry::Plan(Box::new(record))), Stamp::ZERO)?;
    for run in scaled {
        bench.write(&Entry::Migration(MigrationEntry::Scaled(Box::new(run))), Stamp::ZERO)?;
    }
    for (kind, note) in plan.shape.warnings() {
        observer(Happening::Note(&note));
        bench.event(kind, &note)?;
    }
    if let Some(note) = course.note() {
        observer(Happening::Note(&note));
    }
    let common = Arc::new(Common::default());
    bench.accompany(Alongside::new(std::mem::take(&mut course.rehearsals), Arc::clone(&common)));
    let mut walk = Walk::new(&course, &plan.shape, common);
    let next = |analysis: &Analysis| Decision::from(walk.next(analysis));
    Box::pin(bench.measure_by(next, observer)).await
}
