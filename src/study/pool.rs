//! A pool study: the same work at several pool sizes, in an order that a drifting machine cannot bias.

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use crate::record::entry::RunKind;
use crate::units::StageId;
use crate::workload::StageSpec;

use super::measure::{Bench, NamedStage, Segment, Subject};
use super::{MeasurePlan, Observer, Outcome, PoolPlan, PoolShape, StudyError};

/// Measures every size.
pub async fn pool(plan: &PoolPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    let segments = segments(&plan.measure, &plan.shape)?;
    let bench = Bench::open(&plan.measure, Subject::new(RunKind::Pool, &segments), observer).await?;
    bench.measure_all(&segments, observer).await
}

/// One segment for each size and repetition. Each repetition has an order of its own, drawn from the seed; every second one
/// is its neighbour backwards, so that a machine that grows faster or slower favours no size.
pub(super) fn segments(measure: &MeasurePlan, shape: &PoolShape) -> Result<Vec<Segment>, StudyError> {
    if shape.sizes.is_empty() || shape.sizes.contains(&0) {
        return Err(StudyError::Refused("--sizes takes one or more numbers above zero: 2,4,8".to_owned()));
    }
    let mut order = SmallRng::seed_from_u64(measure.seed.0);
    let mut sizes = shape.sizes.clone();
    let mut segments: Vec<Segment> = Vec::new();
    let mut stage = 0;
    for repeat in 0..shape.repeats.max(1) {
        if repeat % 2 == 0 {
            shuffle(&mut sizes, &mut order);
        } else {
            sizes.reverse();
        }
        for &size in &sizes {
            let mut stages = Vec::new();
            let warm_up = measure.warm_up.longest().map(|longest| (" warm-up", longest, false));
            for (what, duration, measured) in warm_up.into_iter().chain([("", shape.duration, true)]) {
                let until_steady = !measured && measure.warm_up.is_until_steady();
                let name = match shape.repeats {
                    0 | 1 => format!("pool {size}{what}"),
                    _ => format!("pool {size} #{}{what}", repeat + 1),
                };
                let load = if measured { shape.load.clone() } else { shape.load.opening() };
                let spec = StageSpec { name, duration, load };
                stages.push(NamedStage { id: StageId::from_index(stage), spec, measured, until_steady });
                stage += 1;
            }
            segments.push(Segment::new(measure, size, stages));
        }
    }
    Ok(segments)
}

/// A random order that is not ascending: in that one a machine that warms up would look like a pool that scales.
fn shuffle(sizes: &mut [u32], order: &mut SmallRng) {
    sizes.shuffle(order);
    if sizes.len() > 2 && sizes.is_sorted() {
        sizes.reverse();
    }
}
