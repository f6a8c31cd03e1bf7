//! Two arms that differ in one thing, measured in slices by turns: of each pair, a coin decides which arm comes first.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::analysis::Analysis;
use crate::record::entry::{Arm, ArmHeader, ChangeLimitHeader, ComparisonHeader, RunKind, SliceHeader};
use crate::units::{Seed, StageId};
use crate::workload::{StageSpec, Workload};

use super::measure::{Bench, NamedStage, Segment, Slice, Subject};
use super::{AbPlan, ArmPlan, Difference, Observer, Outcome, Pairs, StudyError, header};

/// The error rate of all verdicts of a comparison together.
pub const FAMILYWISE_ALPHA: f64 = 0.01;

/// Measures both arms.
pub async fn ab(plan: &AbPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    let begun = std::time::Instant::now();
    let shape = &plan.shape;
    let segments = segments(plan);
    let subject = Subject {
        variants: variants(plan),
        comparison: Some(comparison(plan)),
        ..Subject::new(RunKind::Ab, &segments)
    };
    let bench = Bench::open(&plan.measure, subject, observer).await?;
    let Pairs::UntilDecided { max, at_most } = shape.pairs else {
        return bench.measure_all(&segments, observer).await;
    };
    let looks = crate::analysis::paired::looks(max as usize, FAMILYWISE_ALPHA);
    let enough = |measured: usize, analysis: &Analysis| {
        let pairs = measured / 2;
        let whole = measured.is_multiple_of(2);
        // A further pair would end after the time that was given.
        let each = begun.elapsed() / u32::try_from(pairs.max(1)).unwrap_or(u32::MAX);
        let is_late = whole && begun.elapsed() + each > at_most;
        let is_look = whole && looks.iter().any(|look| look.pairs == pairs);
        is_late || is_look && analysis.is_decided()
    };
    Box::pin(bench.measure_until(&segments, enough, observer)).await
}

/// Two segments a pair, with the same work.
fn segments(plan: &AbPlan) -> Vec<Segment> {
    let AbPlan { measure, shape } = plan;
    let mut coin = SmallRng::seed_from_u64(measure.seed.0);
    let mut segments = Vec::new();
    let mut stage = 0;
    for pair in 0..shape.pairs.max() {
        let order = if coin.random::<bool>() { [Arm::A, Arm::B] } else { [Arm::B, Arm::A] };
        for arm in order {
            let mut stages = Vec::new();
            let name = format!("{} #{}", letter(arm), pair + 1);
            let warm_up = measure.warm_up.longest().map(|longest| (" warm-up", longest, false));
            for (what, duration, measured) in warm_up.into_iter().chain([("", shape.slice, true)]) {
                let until_steady = !measured && measure.warm_up.is_until_steady();
                let load = if measured { shape.load.clone() } else { shape.load.opening() };
                let spec = StageSpec { name: format!("{name}{what}"), duration, load };
                stages.push(NamedStage { id: StageId::from_index(stage), spec, measured, until_steady });
                stage += 1;
            }
            segments.push(segment(plan, SliceHeader { pair, arm }, stages));
        }
    }
    segments
}

fn segment(plan: &AbPlan, of: SliceHeader, stages: Vec<NamedStage>) -> Segment {
    let shape = &plan.shape;
    let difference = &arm(plan, of.arm).difference;
    let mut slice = Slice { of: Some(of), settle: shape.settle, ..Slice::default() };
    let mut pool_size = shape.pool_size;
    match difference {
        Difference::AsIs => {}
        Difference::Setting { name, value } => slice.settings.push((name.clone(), value.clone())),
        Difference::Script(script) => slice.script = Some(script.clone()),
        Difference::PoolSize(size) => pool_size = *size,
        Difference::Workload(_) => slice.variant = Some(variant_of(plan, of.arm)),
    }
    // Both arms of a pair do the same work, and another pair other work.
    let seed = Seed(plan.measure.seed.0.wrapping_add(u64::from(of.pair)));
    Segment { seed, slice: Some(slice), ..Segment::new(&plan.measure, pool_size, stages) }
}

fn arm(plan: &AbPlan, arm: Arm) -> &ArmPlan {
    match arm {
        Arm::A => &plan.shape.a,
        Arm::B => &plan.shape.b,
    }
}

fn letter(arm: Arm) -> char {
    match arm {
        Arm::A => 'A',
        Arm::B => 'B',
    }
}

/// Workloads of arms that have one of their own, A before B.
fn variants(plan: &AbPlan) -> Vec<Workload> {
    let own = |arm: &ArmPlan| match &arm.difference {
        Difference::Workload(workload) => Some((**workload).clone()),
        _ => None,
    };
    [&plan.shape.a, &plan.shape.b].into_iter().filter_map(own).collect()
}

fn variant_of(plan: &AbPlan, arm: Arm) -> usize {
    let a_has_one = matches!(plan.shape.a.difference, Difference::Workload(_));
    usize::from(arm == Arm::B && a_has_one)
}

fn comparison(plan: &AbPlan) -> ComparisonHeader {
    let shape = &plan.shape;
    let of = |arm: &ArmPlan| ArmHeader {
        what: arm.what.clone(),
        workload: match &arm.difference {
            Difference::Workload(workload) => Some(header::workload(workload, plan.measure.scale)),
            _ => None,
        },
    };
    let limit = |limit: &crate::model::ChangeLimit| ChangeLimitHeader {
        metric: limit.metric.to_string(),
        worse_by: limit.worse_by,
    };
    ComparisonHeader {
        a: of(&shape.a),
        b: of(&shape.b),
        pairs: shape.pairs.max(),
        until_decided: matches!(shape.pairs, Pairs::UntilDecided { .. }),
        alpha: FAMILYWISE_ALPHA,
        limits: shape.limits.iter().map(limit).collect(),
    }
}
