//! One run: the stages of the workload, or one stage that the user names.

use crate::record::entry::RunKind;
use crate::units::StageId;
use crate::workload::StageSpec;

use super::measure::{Bench, NamedStage, Segment};
use super::{Observer, Outcome, RunPlan, StageChoice, StudyError};

/// Measures one run.
pub async fn run(plan: &RunPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    let segment = Segment { pool_size: plan.pool_size, stages: stages(plan)? };
    let segments = [segment];
    let bench = Bench::open(&plan.measure, RunKind::Run, &segments, observer).await?;
    bench.measure_all(&segments, observer).await
}

fn stages(plan: &RunPlan) -> Result<Vec<NamedStage>, StudyError> {
    let measured: Vec<StageSpec> = match &plan.stages {
        StageChoice::One { load, duration } => {
            vec![StageSpec { name: "run".to_owned(), duration: *duration, load: *load }]
        }
        StageChoice::Workload => plan.measure.workload.stages.clone(),
    };
    let Some(first) = measured.first() else {
        return Err(StudyError::Refused(
            "the workload has no [[stage]]: say --clients N or --rate R, and --duration D".to_owned(),
        ));
    };
    let warm_up = (!plan.measure.warm_up.is_zero()).then(|| StageSpec {
        name: "warm-up".to_owned(),
        duration: plan.measure.warm_up,
        load: first.load,
    });
    let stages =
        warm_up.into_iter().map(|spec| (spec, false)).chain(measured.into_iter().map(|spec| (spec, true)));
    Ok(stages
        .enumerate()
        .map(|(index, (spec, measured))| NamedStage { id: StageId::from_index(index), spec, measured })
        .collect())
}
