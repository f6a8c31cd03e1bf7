//! One run: the stages of the workload, or one stage that the user names.

use crate::record::entry::RunKind;
use crate::units::StageId;
use crate::workload::StageSpec;

use super::measure::{Bench, NamedStage, Segment, Subject};
use super::{Observer, Outcome, Reset, RunPlan, StageChoice, StudyError};

/// Measures one run.
pub async fn run(plan: &RunPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    let segments = segments(plan)?;
    let bench = Bench::open(&plan.measure, Subject::new(RunKind::Run, &segments), observer).await?;
    bench.measure_all(&segments, observer).await
}

/// All stages behind one warm-up and with one pool, so that one goes over into the next. Where each stage begins with the data
/// as loaded, it stands alone, and warms up alone.
fn segments(plan: &RunPlan) -> Result<Vec<Segment>, StudyError> {
    let measured: Vec<StageSpec> = match &plan.stages {
        StageChoice::One { load, duration } => {
            vec![StageSpec { name: "run".to_owned(), duration: *duration, load: load.clone() }]
        }
        StageChoice::Profile { profile, normal, whole } => profile.stages(normal, *whole),
        StageChoice::Workload => plan.measure.workload.stages.clone(),
    };
    if measured.is_empty() {
        return Err(StudyError::Refused(
            "the workload has no [[stage]]: say --clients N, --rate R or --sessions S, and --duration D"
                .to_owned(),
        ));
    }
    let size = if plan.measure.reset == Reset::Template { 1 } else { measured.len() };
    let mut number = 0;
    let mut named = |spec: StageSpec, measured: bool| {
        number += 1;
        let until_steady = !measured && plan.measure.warm_up.is_until_steady();
        NamedStage { id: StageId::from_index(number - 1), spec, measured, until_steady }
    };
    let alone = measured.len() == 1 || size > 1;
    let segment = |specs: &[StageSpec]| {
        let first = &specs[0];
        let mut stages = Vec::with_capacity(specs.len() + 1);
        if let Some(duration) = plan.measure.warm_up.longest() {
            let name = if alone { "warm-up".to_owned() } else { format!("{} warm-up", first.name) };
            let warm_up = StageSpec { name, duration, load: first.load.opening() };
            stages.push(named(warm_up, false));
        }
        stages.extend(specs.iter().map(|spec| named(spec.clone(), true)));
        Segment::new(&plan.measure, plan.pool_size, stages)
    };
    Ok(measured.chunks(size).map(segment).collect())
}
