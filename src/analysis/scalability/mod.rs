//! A pool study: the curve over the sizes, its knee and its law, what queueing theory expects, why the knee is where it is, and
//! the answer in words. Pure.

mod answer;
mod estimate;
pub(super) mod findings;
mod goals;
mod law;
mod point;
mod queue;
mod search;
mod why;

use std::collections::BTreeMap;

use crate::model::metric::Goal;
use crate::model::{self, PoolPass, PoolStudy, QueuePrediction, Verdict};
use crate::record::entry::{Header, StageHeader};
use crate::units::{Arrivals, Course, Load};

use super::stage::StageAnalysis;
use estimate::Pooled;
use point::{Repeat, Size};

pub use search::{Candidates, Looked, next_size, sizes_to_measure};

/// A size is at the knee when its interval reaches this share of the best throughput.
pub(super) const KNEE_SHARE: f64 = 0.95;
/// Fewest repetitions of each size that carry a knee.
pub(super) const REPEATS_MIN: usize = 3;
/// Share of the offered rate that a size must reach to keep up.
const KEPT_UP: f64 = 0.98;
/// Unsuccessful share of the transactions above which a size does not keep up.
const ERRORS_LOW: f64 = 0.01;

/// One load at all sizes.
struct Pass<'a> {
    load: Load,
    /// Ascending; never empty.
    sizes: Vec<Size<'a>>,
    /// The scatter of the throughput; nothing where a size had none.
    pooled: Option<Pooled>,
}

impl Pass<'_> {
    fn is_closed(&self) -> bool {
        matches!(self.load, Load::Closed { .. })
    }

    fn repeats_min(&self) -> usize {
        self.sizes.iter().map(|size| size.repeats.len()).min().unwrap_or(0)
    }

    fn index_of(&self, size: u32) -> Option<usize> {
        self.sizes.iter().position(|of| of.size() == size)
    }

    /// Transactions per second that were asked for; nothing in a closed loop.
    fn asked_per_s(&self) -> Option<f64> {
        match &self.load {
            Load::Closed { .. } => None,
            Load::Open { rate: Course::Constant(rate), .. } => Some(*rate),
            Load::Open { .. } | Load::PartlyOpen { .. } => self.offered_per_s(),
        }
    }

    /// Transactions per second that arrived, as they were drawn; nothing in a closed loop.
    fn offered_per_s(&self) -> Option<f64> {
        let offered: Vec<f64> = self
            .sizes
            .iter()
            .flat_map(|size| &size.repeats)
            .filter_map(|(_, stage)| stage.offered_per_s)
            .collect();
        (!offered.is_empty()).then(|| offered.iter().sum::<f64>() / offered.len() as f64)
    }
}

/// Where throughput stops to grow with the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knee {
    /// At this size.
    At(u32),
    /// Not yet at this one, the largest.
    Beyond(u32),
    /// The repetitions are too few to say.
    TooFewRepeats,
    /// Nobody kept all connections busy, there is one size, or nothing ended well.
    Unknown,
}

impl Knee {
    fn size(self) -> Option<u32> {
        match self {
            Self::At(size) => Some(size),
            _ => None,
        }
    }
}

/// The study's part of the report; absent when no size was measured.
pub(super) fn analyse(
    header: &Header,
    stages: &[StageAnalysis],
    models: &[model::Stage],
) -> Option<PoolStudy> {
    let asked = header.pool.clone().unwrap_or_default();
    let goals: Vec<Goal> = asked.all_goals().filter_map(goals::parsed).collect();
    let measured: Vec<Repeat<'_>> = stages
        .iter()
        .zip(models)
        .filter(|(stage, _)| stage.measured && stage.window_s() > 0.0)
        .filter(|(stage, _)| stage.id.index() >= asked.search_stages as usize)
        .collect();
    let instances = measured.first()?.1.pool.instances.max(1);
    let mut passes = passes(header, &measured, &goals);
    let has_rate = passes.iter().any(|pass| !pass.is_closed());
    for pass in &mut passes {
        predict_waits(pass, instances);
        if has_rate && pass.is_closed() {
            // The goal is of the rate; who keeps all connections busy is there for the knee alone.
            for size in &mut pass.sizes {
                size.point.goal = None;
                size.point.goals.clear();
            }
        }
    }
    let saturated = passes.iter().find(|pass| pass.is_closed());
    let main = passes.iter().rfind(|pass| !pass.is_closed()).or(saturated)?;
    let knee = saturated.map_or(Knee::Unknown, knee);
    let law = saturated
        .map(|pass| pass.sizes.iter().map(Size::observed).collect::<Vec<_>>())
        .and_then(|observed| law::fit(&observed));
    let question = answer::Question {
        header,
        goals: &goals,
        current: asked.current,
        instances,
        room: asked.connections_room,
        kept_at: kept_below(&passes, main),
    };
    let answer = answer::find(&question, main, saturated, knee);
    let told = |pass: &Pass<'_>| pass.sizes.iter().map(|size| size.point.clone()).collect::<Vec<_>>();
    let all_passes = if passes.len() > 1 {
        passes.iter().map(|pass| pass_info(pass, told(pass))).collect()
    } else {
        vec![]
    };
    Some(PoolStudy {
        sizes: told(main),
        order: measured.iter().map(|(stage, _)| stage.pool_size).collect(),
        knee: knee.size(),
        recommendation: answer.words,
        instances,
        connections_room: asked.connections_room,
        current: asked.current,
        goal: goals.first().map(|goal| goals::told(goal, answer.verdict)),
        goals: if goals.len() > 1 { goals::by_themselves(&goals, main) } else { Vec::new() },
        recommended: answer.recommended,
        validity: answer.validity,
        law,
        reason: answer.reason,
        passes: all_passes,
    })
}

/// The verdict of the budgets and of the goal together. A measurement that is not valid decides nothing.
pub(super) fn verdict(report: &model::Report) -> Verdict {
    let Some(goal) = report.study.as_ref().and_then(|study| study.goal.as_ref()) else {
        return report.verdict;
    };
    let is_invalid = report.findings.iter().any(|finding| finding.severity == model::Severity::Invalid);
    let goal = if is_invalid { Verdict::Inconclusive } else { goal.verdict };
    goals::worst([goal, report.verdict])
}

/// By load, rates ascending and the closed loop last, and by size.
fn passes<'a>(header: &Header, measured: &[Repeat<'a>], goals: &[Goal]) -> Vec<Pass<'a>> {
    let mut loads: Vec<(Load, BTreeMap<u32, Vec<Repeat<'a>>>)> = Vec::new();
    for &(stage, told) in measured {
        let Some(load) = header.stages.get(stage.id.index()).map(StageHeader::whole_load) else { continue };
        let at = loads.iter().position(|(known, _)| *known == load).unwrap_or_else(|| {
            loads.push((load, BTreeMap::new()));
            loads.len() - 1
        });
        loads[at].1.entry(stage.pool_size).or_default().push((stage, told));
    }
    loads.sort_by(|(a, _), (b, _)| {
        let rank = |load: &Load| (matches!(load, Load::Closed { .. }), load.course().max());
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let pass = |(load, by_size): (Load, BTreeMap<u32, Vec<Repeat<'a>>>)| {
        let of = |(size, repeats)| Size::of(header, size, repeats, goals);
        let mut sizes: Vec<Size<'a>> = by_size.into_iter().filter_map(of).collect();
        let pooled = Pooled::of(&sizes.iter().map(Size::per_s).collect::<Vec<_>>());
        for (index, size) in sizes.iter_mut().enumerate() {
            if let (Some(estimates), Some(pooled)) = (&mut size.point.estimates, &pooled) {
                estimates.per_s = pooled.mean(index);
            }
        }
        Pass { load, sizes, pooled }
    };
    loads.into_iter().map(pass).collect()
}

/// Of the rates below the one that decides, the highest at which some size keeps the goal, and the smallest such size.
fn kept_below(passes: &[Pass<'_>], main: &Pass<'_>) -> Option<(f64, u32)> {
    let mut lower = passes.iter().rev().filter(|pass| !pass.is_closed() && !std::ptr::eq(*pass, main));
    lower.find_map(|pass| pass.asked_per_s().zip(answer::smallest_that_keeps(pass)))
}

/// What theory expects of each size of an open loop, with the holds of the smallest size: what the larger sizes take longer for
/// is what they make each other wait on the server.
fn predict_waits(pass: &mut Pass<'_>, instances: u32) {
    let arrivals_scv = match &pass.load {
        // Each instance takes every so many-th of the arrivals: the gaps are sums of as many exponential ones.
        Load::Open { arrivals: Arrivals::Poisson, .. } => 1.0 / f64::from(instances),
        Load::Open { arrivals: Arrivals::Constant, .. } => 0.0,
        Load::Closed { .. } | Load::PartlyOpen { .. } => return,
    };
    let Some(reference) = pass.sizes.iter().find_map(|size| size.hold) else { return };
    let Some(offered) = pass.offered_per_s() else { return };
    let each_per_s = offered / f64::from(instances);
    for size in &mut pass.sizes {
        let Some(own) = size.hold else { continue };
        let wait = |service| queue::wait_us(size.point.size, each_per_s, arrivals_scv, service);
        let load = each_per_s * reference.mean_us / 1e6;
        size.point.queue = Some(QueuePrediction {
            utilisation: load / f64::from(size.point.size),
            wait_us: wait(reference),
            wait_us_of_own_service: wait(own),
            service_ratio: own.mean_us / reference.mean_us,
        });
    }
}

/// The smallest size whose interval reaches 95 % of the best throughput.
fn knee(pass: &Pass<'_>) -> Knee {
    let Some(pooled) = &pass.pooled else { return Knee::Unknown };
    if pass.sizes.len() < 2 {
        return Knee::Unknown;
    }
    if pass.repeats_min() < REPEATS_MIN {
        return Knee::TooFewRepeats;
    }
    let best = (0..pass.sizes.len()).map(|index| pooled.mean(index).mean).fold(0.0, f64::max);
    let reaches = |index: &usize| pooled.mean(*index).high.is_some_and(|high| high >= KNEE_SHARE * best);
    let last = pass.sizes.len() - 1;
    match (0..pass.sizes.len()).find(reaches) {
        Some(index) if index < last => Knee::At(pass.sizes[index].size()),
        // Better than every smaller one by more than the repetitions differ: the knee lies beyond.
        _ => Knee::Beyond(pass.sizes[last].size()),
    }
}

fn pass_info(pass: &Pass<'_>, points: Vec<model::PoolPoint>) -> PoolPass {
    let is_closed = pass.is_closed();
    let level = pass.load.course().max();
    // Clients are whole, not negative, and at most ten million.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let clients = level.round() as u32;
    PoolPass {
        rate_per_s: (!is_closed).then_some(level),
        clients: is_closed.then_some(clients),
        smallest_that_keeps_the_goal: answer::smallest_that_keeps(pass),
        points,
    }
}
