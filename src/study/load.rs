//! Loads a dataset.

use crate::dataset::{self, Existing, LoadOptions, LoadSummary};

use super::{Happening, LoadPlan, LoadShape, Observer, OpenTarget, StudyError};
use crate::workload::Workload;

/// Creates the schema and the rows of a workload.
pub async fn load(plan: &LoadPlan, observer: &mut Observer<'_>) -> Result<LoadSummary, StudyError> {
    let target = OpenTarget::open(&plan.target, observer).await?;
    let summary = fill(&target, &plan.workload, plan.shape, observer).await?;
    target.close().await?;
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
    let summary = dataset::load(target.target.settings(), workload, &options, &mut |event| {
        observer(Happening::Load(&event));
    })
    .await?;
    observer(Happening::Loaded(&summary));
    Ok(summary)
}
