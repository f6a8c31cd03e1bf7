//! Loads a dataset.

use std::sync::{Mutex, PoisonError};

use crate::dataset::{self, Existing, LoadEvent, LoadOptions, LoadSummary};
use crate::engine::EngineError;

use super::interrupt::Interrupts;
use super::{Happening, LoadPlan, LoadShape, Observer, OpenTarget, StudyError};
use crate::workload::Workload;

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
    Ok(summary)
}
