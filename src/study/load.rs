//! Loads a dataset.

use std::sync::{Mutex, PoisonError};

use crate::dataset::capture::SourceStatistics;
use crate::dataset::{self, Existing, LoadEvent, LoadOptions, LoadSummary};
use crate::engine::EngineError;

use super::interrupt::Interrupts;
use super::{Happening, LoadPlan, LoadShape, Observer, OpenTarget, PlannerStatistics, StudyError};
use crate::workload::Workload;

/// The file of a captured workload with what the planner of its source knew.
pub(super) const SOURCE_STATISTICS: &str = "statistics.toml";

/// Creates the schema and the rows of a workload.
pub async fn load(plan: &LoadPlan, observer: &mut Observer<'_>) -> Result<LoadSummary, StudyError> {
    let target = OpenTarget::open(&plan.target, observer).await?;
    let mut interrupts = Interrupts::catch().map_err(EngineError::Thread)?;
    let phase = Mutex::new(None);
    let mut noting = |what: Happening<'_>| {
        if let Happening::Load(LoadEvent::PhaseBegun(begun)) = &what {
            *phase.lock().unwrap_or_else(PoisonError::into_inner) = Some(*begun);
        }
        observer(what);
    };
    let filled = tokio::select! {
        filled = fill(&target, &plan.workload, plan.shape, &mut noting) => Some(filled),
        () = interrupts.next() => None,
    };
    // Ending the connections ends what the server was doing for them.
    let closed = target.close().await;
    let reached = phase.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = filled.unwrap_or(Err(StudyError::LoadInterrupted { phase: reached }))?;
    closed?;
    Ok(summary)
}

/// Loads into a target that is open.
pub(super) async fn fill(
    target: &OpenTarget,
    workload: &Workload,
    shape: LoadShape,
    observer: &mut Observer<'_>,
) -> Result<LoadSummary, StudyError> {
    let statistics = match shape.statistics {
        PlannerStatistics::Own => None,
        PlannerStatistics::Source => Some(source_statistics(target, workload).await?),
    };
    let options = LoadOptions {
        scale: shape.scale,
        seed: shape.seed,
        jobs: shape.jobs as usize,
        existing: if shape.replace { Existing::Replace } else { Existing::Refuse },
    };
    observer(Happening::Step(&format!("loading {} at scale {}", workload.name, shape.scale)));
    let summary = dataset::load(&target.target, workload, &options, &mut |event| {
        observer(Happening::Load(&event));
    })
    .await?;
    observer(Happening::Loaded(&summary));
    if let Some(statistics) = statistics {
        attach(target, workload, &statistics, observer).await?;
    }
    Ok(summary)
}

/// Lets the planner know the statistics of the source in place of its own.
pub(super) async fn attach(
    target: &OpenTarget,
    workload: &Workload,
    statistics: &SourceStatistics,
    observer: &mut Observer<'_>,
) -> Result<(), StudyError> {
    observer(Happening::Step("attaching the planner statistics of the source"));
    for note in dataset::attach_statistics(&target.control, workload, statistics).await? {
        observer(Happening::Note(&note));
    }
    Ok(())
}

/// The statistics that were captured with a workload. What is against them is said before anything is loaded.
pub(super) async fn source_statistics(
    target: &OpenTarget,
    workload: &Workload,
) -> Result<SourceStatistics, StudyError> {
    dataset::may_attach_statistics(&target.control).await?.map_err(StudyError::Refused)?;
    let path = workload.folder.join(SOURCE_STATISTICS);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        StudyError::Refused(format!(
            "--statistics source: cannot read {}: {error} (`dbdyno capture` writes it)",
            path.display()
        ))
    })?;
    SourceStatistics::read(&text).map_err(|error| StudyError::Refused(format!("{}: {error}", path.display())))
}
