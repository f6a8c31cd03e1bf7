//! Executes the mix of a workload on a throwaway server for a while, so that the server counts what each statement gives and reads.

use std::sync::Arc;
use std::time::Duration;

use crate::dataset;
use crate::db::{Protocol, SessionOptions};
use crate::engine::{self, Plan, Replacement, StagePlan};
use crate::record::accounting::Books;
use crate::time::{Epoch, Now};
use crate::units::{Load, StageId};
use crate::workload::Workload;

use crate::study::{Happening, LoadShape, Observer, OpenTarget, StudyError};

/// So many at a time: it is counted, not measured.
const CLIENTS: u32 = 4;
/// Between the order to begin and the beginning.
const BEGIN_AFTER: Duration = Duration::from_millis(20);
/// A larger share of failures is said.
const FAILED_MAX: f64 = 0.01;

/// Executes the mix for so long.
pub(super) async fn exercise(
    target: &OpenTarget,
    workload: &Workload,
    shape: LoadShape,
    duration: Duration,
    observer: &mut Observer<'_>,
) -> Result<(), StudyError> {
    observer(Happening::Step(&format!("executing the mix for {:.0} s", duration.as_secs_f64())));
    let clock = Epoch::begin().clock();
    let plan = Plan {
        workload: Arc::new(workload.at_scale(Some(shape.scale))),
        dataset: Arc::new(workload.dataset(shape.seed, shape.scale)),
        query_values: Arc::new(dataset::query_values(&target.control, workload).await?),
        seed: shape.seed,
        stages: vec![StagePlan {
            id: StageId::from_index(0),
            duration,
            load: Load::clients(CLIENTS),
            until_steady: false,
        }],
        pool_size: CLIENTS,
        instances: 1,
        workers: 1,
        in_flight_max: 1000,
        rtt: Duration::ZERO,
        acquire_timeout: Duration::from_secs(30),
        drain: Duration::from_secs(10),
        sampling: None,
        replacement: Replacement::default(),
    };
    let options = SessionOptions {
        protocol: workload.protocol.unwrap_or(Protocol::Prepared),
        statement_timeout: workload.statement_timeout,
        settings: engine::settings_of_transactions(workload),
    };
    let mut run = engine::start(&plan, &target.target.engine(clock, options), clock)?;
    run.warm().await?;
    run.begin(clock.now() + BEGIN_AFTER);
    let (mut books, mut first) = (Books::default(), None);
    while let Some(collected) = run.next().await? {
        books.add(&collected.interval().set.books());
        let error = collected.first_errors.first();
        first = first.or_else(|| {
            error.map(|of| format!("{}: {}", workload.transactions[of.transaction.index()].name, of.message))
        });
        run.recycle(collected);
    }
    let ended = books.ok + books.failed;
    if books.failed as f64 > FAILED_MAX * ended as f64 {
        observer(Happening::Note(&format!(
            "{} of {ended} transactions failed: {}",
            books.failed,
            first.unwrap_or_default()
        )));
    }
    Ok(())
}
