//! A pool study: the same work at several pool sizes, in an order that a drifting machine cannot bias.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use crate::analysis::Analysis;
use crate::analysis::scalability::{Candidates, next_size, sizes_to_measure};
use crate::record::entry::{PoolHeader, RunKind};
use crate::units::{Load, StageId, format_duration};
use crate::workload::StageSpec;

use super::measure::{Bench, Decision, NamedStage, Segment, Subject};
use super::{Happening, MeasurePlan, Observer, Outcome, PoolPlan, PoolShape, Sizes, StudyError, header};

/// A look at a size takes no longer than this: it only says where to measure.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Measures every size.
pub async fn pool(plan: &PoolPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    if plan.shape.loads.is_empty() {
        return Err(StudyError::Refused(
            "a pool study needs a load: --rate, --clients or --sessions".to_owned(),
        ));
    }
    match &plan.shape.sizes {
        Sizes::Listed(sizes) => listed(plan, sizes, observer).await,
        Sizes::Auto { largest } => Box::pin(auto(plan, *largest, observer)).await,
    }
}

async fn listed(plan: &PoolPlan, sizes: &[u32], observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    if sizes.is_empty() || sizes.contains(&0) {
        return Err(StudyError::Refused("--sizes takes one or more numbers above zero: 2,4,8".to_owned()));
    }
    let PoolPlan { measure, shape } = plan;
    let mut segments = Segments::new(measure, shape);
    for (repeat, order) in (0..).zip(orders(measure, shape, sizes)) {
        for (size, load) in order {
            segments.measure(size, load, repeat);
        }
    }
    let segments = segments.made;
    announce(measure, shape, segments.len(), observer);
    let subject = Subject { pool: Some(asked(shape, 0)), ..Subject::new(RunKind::Pool, &segments) };
    let bench = Bench::open(measure, subject, observer).await?;
    bench.measure_all(&segments, observer).await
}

/// Looks for the knee among the candidates, then measures those around it. All that might be measured is written down before; the
/// stages say which were.
async fn auto(plan: &PoolPlan, largest: u32, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    let PoolPlan { measure, shape } = plan;
    let mut candidates = Candidates::up_to(largest);
    candidates.sizes.extend(shape.current.filter(|current| !candidates.sizes.contains(current)));
    candidates.sizes.sort_unstable();
    let closed = shape.loads.iter().find(|load| matches!(load, Load::Closed { .. }));
    let Some(closed) = closed else {
        return Err(StudyError::Refused("--sizes auto looks for the knee with --clients".to_owned()));
    };
    let mut segments = Segments::new(measure, shape);
    candidates.sizes.iter().for_each(|size| segments.look(*size, closed));
    let search_stages = segments.stages;
    for repeat in 0..shape.repeats.max(1) {
        for &size in &candidates.sizes {
            shape.loads.iter().for_each(|load| segments.measure(size, load, repeat));
        }
    }
    let segments = segments.made;
    let subject = Subject {
        pool: Some(asked(shape, u32::try_from(search_stages).unwrap_or(u32::MAX))),
        chooses: true,
        ..Subject::new(RunKind::Pool, &segments)
    };
    let bench = Bench::open(measure, subject, observer).await?;
    let room = bench.room().map_or(u64::MAX, |room| room / u64::from(measure.instances.max(1)));
    let every = candidates.sizes.clone();
    candidates.sizes.retain(|size| u64::from(*size) <= room);
    let mut walk: Option<std::vec::IntoIter<usize>> = None;
    let mut next = |analysis: &Analysis| {
        if walk.is_none() {
            let looked = analysis.looked();
            if let Some(size) = next_size(&candidates, &looked) {
                return segments.get(every.iter().position(|of| *of == size)?);
            }
            let mut sizes = sizes_to_measure(&looked);
            sizes.extend(
                shape.current.filter(|current| u64::from(*current) <= room && !sizes.contains(current)),
            );
            sizes.sort_unstable();
            walk = Some(chosen(measure, shape, &sizes, &every).into_iter());
        }
        segments.get(walk.as_mut()?.next()?)
    };
    let decide = |analysis: &Analysis| Decision::from(next(analysis));
    bench.measure_by(decide, observer).await
}

/// The segments of the sizes that were chosen, in the order of their measurement.
fn chosen(measure: &MeasurePlan, shape: &PoolShape, sizes: &[u32], every: &[u32]) -> Vec<usize> {
    let (of_size, of_repeat) = (shape.loads.len(), shape.loads.len() * every.len());
    let mut places = Vec::new();
    for (repeat, order) in orders(measure, shape, sizes).into_iter().enumerate() {
        for (size, load) in order {
            let at_size = every.iter().position(|of| *of == size);
            let at_load = shape.loads.iter().position(|of| of == load);
            if let (Some(at_size), Some(at_load)) = (at_size, at_load) {
                places.push(every.len() + repeat * of_repeat + at_size * of_size + at_load);
            }
        }
    }
    places
}

fn asked(shape: &PoolShape, search_stages: u32) -> PoolHeader {
    PoolHeader {
        goal: None,
        goals: header::budgets(&shape.goals),
        current: shape.current,
        search_stages,
        // Known when the target was asked.
        connections_room: None,
    }
}

/// Says how long it will take, so that nobody waits without knowing.
fn announce(measure: &MeasurePlan, shape: &PoolShape, segments: usize, observer: &mut Observer<'_>) {
    let each = shape.duration + measure.warm_up.longest().unwrap_or_default();
    let whole = each * u32::try_from(segments).unwrap_or(u32::MAX);
    let up_to = if measure.warm_up.is_until_steady() { "up to " } else { "" };
    let whole = format_duration(Duration::from_secs(whole.as_secs()));
    observer(Happening::Step(&format!("{segments} measurements, {up_to}{whole} and what connecting takes")));
}

/// The cells of each repetition. Each has an order of its own, drawn from the seed; every second one is its neighbour backwards,
/// so that a machine that grows faster or slower favours no size.
fn orders<'a>(measure: &MeasurePlan, shape: &'a PoolShape, sizes: &[u32]) -> Vec<Vec<(u32, &'a Load)>> {
    let mut random = SmallRng::seed_from_u64(measure.seed.0);
    let mut cells: Vec<(u32, &Load)> =
        sizes.iter().flat_map(|size| shape.loads.iter().map(move |load| (*size, load))).collect();
    let mut orders = Vec::new();
    for repeat in 0..shape.repeats.max(1) {
        if repeat % 2 == 0 {
            shuffle(&mut cells, &mut random);
        } else {
            cells.reverse();
        }
        orders.push(cells.clone());
    }
    orders
}

/// A random order that is not ascending: in that one a machine that warms up would look like a pool that scales.
fn shuffle(cells: &mut [(u32, &Load)], order: &mut SmallRng) {
    cells.shuffle(order);
    if cells.len() > 2 && cells.is_sorted_by_key(|(size, _)| *size) {
        cells.reverse();
    }
}

/// Segments in the making: a pool of its own and a warm-up for each measurement, so that no backlog goes over into the next.
struct Segments<'a> {
    plan: &'a MeasurePlan,
    shape: &'a PoolShape,
    stages: usize,
    made: Vec<Segment>,
}

impl<'a> Segments<'a> {
    fn new(plan: &'a MeasurePlan, shape: &'a PoolShape) -> Self {
        Self { plan, shape, stages: 0, made: Vec::new() }
    }

    /// A look at one size.
    fn look(&mut self, size: u32, load: &Load) {
        self.add(size, load, &format!("look at {size}"), self.shape.duration.min(LOOK_MAX));
    }

    /// A measurement of one size at one load.
    fn measure(&mut self, size: u32, load: &Load, repeat: u32) {
        let at = match load {
            _ if self.shape.loads.len() < 2 => String::new(),
            Load::Closed { .. } => " busy".to_owned(),
            Load::Open { .. } | Load::PartlyOpen { .. } => format!(" at {}/s", load.course()),
        };
        let number = if self.shape.repeats > 1 { format!(" #{}", repeat + 1) } else { String::new() };
        self.add(size, load, &format!("pool {size}{at}{number}"), self.shape.duration);
    }

    fn add(&mut self, size: u32, load: &Load, name: &str, duration: Duration) {
        let mut stages = Vec::new();
        let warm_up = self.plan.warm_up.longest().map(|longest| (" warm-up", longest, false));
        for (what, duration, measured) in warm_up.into_iter().chain([("", duration, true)]) {
            let until_steady = !measured && self.plan.warm_up.is_until_steady();
            let load = if measured { load.clone() } else { load.opening() };
            let spec = StageSpec { name: format!("{name}{what}"), duration, load };
            stages.push(NamedStage { id: StageId::from_index(self.stages), spec, measured, until_steady });
            self.stages += 1;
        }
        self.made.push(Segment::new(self.plan, size, stages));
    }
}

#[cfg(test)]
mod tests;
