//! One size at one load: what all of its repetitions say together, and each of them alone. Pure.

use std::collections::BTreeMap;

use crate::analysis::changepoint::median;
use crate::analysis::quantiles::{quantiles, with_censored};
use crate::analysis::samples::IDLE_IN_TRANSACTION;
use crate::analysis::stage::StageAnalysis;
use crate::model::metric::{Goal, MetricPath};
use crate::model::{self, Estimate, GoalAt, PoolEstimates, PoolPoint, Verdict, WaitShare, budget};
use crate::record::entry::Header;
use crate::record::histogram::Distribution;
use crate::record::set::{Set, TransactionSet};

use super::estimate;
use super::goals;
use super::law::Observed;
use super::queue::Service;
use super::why;

/// One repetition: what was recorded, and its part of the report.
pub(super) type Repeat<'a> = (&'a StageAnalysis, &'a model::Stage);

/// One size at one load.
pub(super) struct Size<'a> {
    pub(super) point: PoolPoint,
    pub(super) repeats: Vec<Repeat<'a>>,
    /// The metric of each goal in each repetition, as far as their samples carry it.
    pub(super) goals: Vec<Vec<f64>>,
    /// For how long connections were held; nothing where none was.
    pub(super) hold: Option<Service>,
}

impl<'a> Size<'a> {
    pub(super) fn of(header: &Header, size: u32, repeats: Vec<Repeat<'a>>, goals: &[Goal]) -> Option<Self> {
        let mut sets = repeats.iter().map(|(stage, _)| &stage.set);
        let mut set = sets.next()?.clone();
        sets.for_each(|other| set.merge(other));
        let hold = total(&set, |transaction| &transaction.hold);
        let mut point = point(size, &repeats, &set);
        point.hold_us = quantiles(&hold);
        let at_each: Vec<GoalAt> = goals.iter().map(|goal| at_goal(goal, header, &repeats, &set)).collect();
        point.goal = goals::together(&at_each);
        point.goals = if at_each.len() > 1 { at_each } else { Vec::new() };
        let exact = |goal: &Goal| {
            repeats.iter().filter_map(|(_, stage)| budget::exact(&goal.metric, stage)).collect()
        };
        let goals = goals.iter().map(exact).collect();
        Some(Self { point, goals, hold: service(&hold), repeats })
    }

    pub(super) fn size(&self) -> u32 {
        self.point.size
    }

    /// One value of each repetition.
    pub(super) fn each(&self, of: impl Fn(&model::Stage) -> f64) -> Vec<f64> {
        self.repeats.iter().map(|(_, stage)| of(stage)).collect()
    }

    pub(super) fn per_s(&self) -> Vec<f64> {
        self.each(|stage| stage.achieved_per_s)
    }

    /// Mean responses; empty where one is not known.
    pub(super) fn responses_us(&self) -> Vec<f64> {
        let means = self.repeats.iter().map(|(_, stage)| stage.response_us.mean).collect::<Option<_>>();
        means.unwrap_or_default()
    }

    pub(super) fn observed(&self) -> Vec<Observed> {
        let of =
            |(_, stage): &Repeat<'_>| Observed { busy: stage.pool.busy_mean, per_s: stage.achieved_per_s };
        self.repeats.iter().map(of).collect()
    }
}

/// A time of all transactions together.
fn total(set: &Set, field: fn(&TransactionSet) -> &Distribution) -> Distribution {
    let mut all = Distribution::default();
    set.transactions.iter().for_each(|transaction| all.merge(field(transaction)));
    all
}

/// Mean, exact, and variability, from the buckets.
fn service(hold: &Distribution) -> Option<Service> {
    let mean_us = hold.sum_ns() as f64 / 1e3 / hold.count().max(1) as f64;
    let of_buckets = hold.histogram().mean();
    let scv = (hold.histogram().stdev() / of_buckets.max(f64::MIN_POSITIVE)).powi(2);
    (mean_us > 0.0 && of_buckets > 0.0).then_some(Service { mean_us, scv })
}

fn point(size: u32, repeats: &[Repeat<'_>], set: &Set) -> PoolPoint {
    let models: Vec<&model::Stage> = repeats.iter().map(|(_, stage)| *stage).collect();
    let mean = |value: fn(&model::Stage) -> f64| {
        models.iter().map(|stage| value(stage)).sum::<f64>() / models.len() as f64
    };
    let mut rates: Vec<f64> = models.iter().map(|stage| stage.achieved_per_s).collect();
    let host: Vec<f64> = models.iter().filter_map(|stage| Some(stage.host.as_ref()?.cpu_fraction)).collect();
    PoolPoint {
        size,
        repeats: u32::try_from(repeats.len()).unwrap_or(u32::MAX),
        per_s: median(&mut rates),
        per_s_range: (
            rates.iter().copied().reduce(f64::min).unwrap_or(0.0),
            rates.iter().copied().reduce(f64::max).unwrap_or(0.0),
        ),
        response_us: with_censored(&total(set, |of| &of.response), &total(set, |of| &of.censored)),
        pool_wait_us: quantiles(&total(set, |of| &of.pool_wait)),
        service_us: quantiles(&total(set, |of| &of.service)),
        busy_mean: mean(|stage| stage.pool.busy_mean),
        waiting_mean: mean(|stage| stage.pool.waiting_mean),
        saturated_fraction: mean(|stage| stage.pool.saturated_fraction),
        top_wait: top_wait(&models),
        top_blocker: top_blocker(&models),
        error_fraction: error_fraction(&models),
        host_cpu_fraction: (!host.is_empty()).then(|| host.iter().sum::<f64>() / host.len() as f64),
        estimates: Some(estimates(repeats)),
        hold_us: model::Quantiles::default(),
        creates: set.pool.create.count(),
        create_us: quantiles(&set.pool.create),
        timeouts: set.pool.timeouts,
        waits: why::classes(&models),
        queue: None,
        goal: None,
        goals: Vec::new(),
    }
}

fn error_fraction(models: &[&model::Stage]) -> f64 {
    let (ended, ok) = models.iter().fold((0, 0), |(ended, ok), stage| {
        let books = stage.accounting;
        (ended + books.ok + books.failed + books.unknown + books.skipped + books.abandoned, ok + books.ok)
    });
    if ended > 0 { 1.0 - ok as f64 / ended as f64 } else { 0.0 }
}

fn estimates(repeats: &[Repeat<'_>]) -> PoolEstimates {
    let each = |value: &dyn Fn(&model::Stage) -> f64| -> Estimate {
        let values: Vec<f64> = repeats.iter().map(|(_, stage)| value(stage)).collect();
        estimate::mean(&values).unwrap_or_default()
    };
    let known = |value: &dyn Fn(&Repeat<'_>) -> Option<f64>| -> Option<Estimate> {
        estimate::mean(&repeats.iter().map(value).collect::<Option<Vec<f64>>>()?)
    };
    PoolEstimates {
        per_s: each(&|stage| stage.achieved_per_s),
        response_us: known(&|(_, stage)| stage.response_us.mean),
        pool_wait_us: known(&|(_, stage)| stage.pool.wait_us.mean),
        service_us: known(&|(_, stage)| stage.service_us.mean),
        busy: each(&|stage| stage.pool.busy_mean),
        waiting: each(&|stage| stage.pool.waiting_mean),
        saturated_fraction: each(&|stage| stage.pool.saturated_fraction),
        held_unused_fraction: known(&|(stage, _)| held_unused(&stage.set)),
        create_us: known(&|(_, stage)| stage.pool.create_us.mean.filter(|_| stage.pool.creates > 0)),
    }
}

/// Share of the time with a connection in hand in which nothing was asked of the server. A ROLLBACK has no stamps: it counts as
/// not asked.
fn held_unused(set: &Set) -> Option<f64> {
    let (mut held, mut asked) = (0_u64, 0_u64);
    for transaction in &set.transactions {
        held += transaction.hold.sum_ns();
        asked += transaction.begin.sum_ns() + transaction.commit.sum_ns() + transaction.pipeline.sum_ns();
    }
    asked += set.statements.iter().map(|of| of.execute.sum_ns() + of.errors_ns).sum::<u64>();
    (held > 0).then(|| (1.0 - asked as f64 / held as f64).max(0.0))
}

/// The goal over all repetitions. Times and errors are of all samples together; what is read or measured of values has to hold in
/// each repetition.
fn at_goal(goal: &Goal, header: &Header, repeats: &[Repeat<'_>], set: &Set) -> GoalAt {
    let result = if matches!(
        goal.metric,
        MetricPath::Measure { .. } | MetricPath::Gauge { .. } | MetricPath::Figure(_)
    ) {
        let stages: Vec<model::Stage> = repeats.iter().map(|(_, stage)| (*stage).clone()).collect();
        let exact: Option<Vec<f64>> = stages.iter().map(|stage| budget::exact(&goal.metric, stage)).collect();
        let value = exact.map(|values| values.iter().sum::<f64>() / values.len().max(1) as f64);
        (value, budget::evaluate(&goal.metric, &goal.limit, &stages))
    } else {
        let stage = together(header, repeats, set);
        let value = budget::exact(&goal.metric, &stage);
        (value, budget::evaluate(&goal.metric, &goal.limit, std::slice::from_ref(&stage)))
    };
    let (value, result) = result;
    // What was given up is no served request, whatever those that were served took.
    let is_about_errors = matches!(goal.metric, MetricPath::ErrorRate { .. });
    let models: Vec<&model::Stage> = repeats.iter().map(|(_, stage)| *stage).collect();
    let fails = !is_about_errors && error_fraction(&models) > super::ERRORS_LOW;
    let verdict = if fails { Verdict::Fail } else { result.verdict };
    GoalAt { value, measured: result.measured, verdict }
}

/// All repetitions as one stage, as far as budgets ask for it.
fn together(header: &Header, repeats: &[Repeat<'_>], set: &Set) -> model::Stage {
    let (first, stage) = &repeats[0];
    let workload = header.workload_of(first.id);
    let mean = |value: &dyn Fn(&model::Stage) -> f64| {
        repeats.iter().map(|(_, stage)| value(stage)).sum::<f64>() / repeats.len() as f64
    };
    let mut transactions = stage.transactions.clone();
    for (index, (info, of)) in transactions.iter_mut().zip(&set.transactions).enumerate() {
        info.count = of.books.closed();
        info.ok = of.books.ok;
        info.per_s =
            mean(&|stage| stage.transactions.get(index).map_or(0.0, |transaction| transaction.per_s));
        info.response_us = with_censored(&of.response, &of.censored);
        info.service_us = quantiles(&of.service);
        info.pool_wait_us = quantiles(&of.pool_wait);
        info.lag_us = quantiles(&of.lag);
    }
    let books = set.books();
    model::Stage {
        name: workload.name.clone(),
        measured: true,
        achieved_per_s: mean(&|stage| stage.achieved_per_s),
        accounting: model::Accounting {
            ok: books.ok,
            failed: books.failed,
            unknown: books.unknown,
            skipped: books.skipped,
            abandoned: books.abandoned,
            ..model::Accounting::default()
        },
        response_us: with_censored(&total(set, |of| &of.response), &total(set, |of| &of.censored)),
        service_us: quantiles(&total(set, |of| &of.service)),
        lag_us: quantiles(&total(set, |of| &of.lag)),
        transactions,
        pool: model::PoolInfo {
            wait_us: quantiles(&set.pool.wait),
            saturated_fraction: mean(&|stage| stage.pool.saturated_fraction),
            ..model::PoolInfo::default()
        },
        ..model::Stage::default()
    }
}

fn top_wait(stages: &[&model::Stage]) -> Option<WaitShare> {
    let mut events: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    let mut all = 0;
    // What executing sessions did: one that is idle in a transaction waits for the application, not for the server.
    let executing = |wait: &&WaitShare| wait.event != IDLE_IN_TRANSACTION;
    for wait in stages.iter().flat_map(|stage| &stage.waits).filter(executing) {
        let event = events.entry(&wait.event).or_default();
        event.0 += wait.count;
        event.1 += wait.sessions_mean / stages.len() as f64;
        all += wait.count;
    }
    let (event, (count, sessions_mean)) = events.into_iter().max_by_key(|(_, (count, _))| *count)?;
    let share = count as f64 / all as f64;
    Some(WaitShare { event: event.to_owned(), count, share, sessions_mean })
}

fn top_blocker(stages: &[&model::Stage]) -> Option<(String, f64)> {
    let mut roots: BTreeMap<&str, u64> = BTreeMap::new();
    for episode in stages.iter().flat_map(|stage| &stage.locks.episodes) {
        *roots.entry(&episode.root).or_default() += episode.wait_us_total;
    }
    let all: u64 = roots.values().sum();
    let (root, us) = roots.into_iter().max_by_key(|(_, us)| *us)?;
    (us > 0).then(|| (root.to_owned(), us as f64 / all as f64))
}
