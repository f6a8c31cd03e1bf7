//! Two runs, or two groups of runs, compared: pairs are of a run of each, in the order of time.

use crate::model::metric::Phase;
use crate::model::{
    ChangeLimit, ChangeVerdict, CompareReport, ComparedMetric, Comparison, MetricDifference, Quantiles,
    Report, RunGroup, SCHEMA_VERSION, Stage, Unlike,
};
use crate::record::histogram::Distribution;
use crate::record::kept::{Kept, KeptDistribution};

use super::comparison::{self, CounterRule, Course, Sides, counters, differences};
use super::paired::{PAIRS_MAX, Refusal, pairs_needed};
use super::plan_differences;
use super::quantiles::with_censored;

/// A run with its distributions.
#[derive(Clone, Debug)]
pub struct KeptRun {
    /// Its report.
    pub report: Report,
    /// Its distributions, by which those of several runs are put together.
    pub distributions: Vec<KeptDistribution>,
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Group {
    /// As the user named it.
    pub name: String,
    /// Its runs, in any order; at least one where they are compared.
    pub runs: Vec<KeptRun>,
}

/// What is asked of a comparison.
#[derive(Clone, Debug)]
pub struct Question {
    /// How much worse the candidate may be.
    pub limits: Vec<ChangeLimit>,
    /// The error rate of all verdicts together.
    pub alpha: f64,
    /// Differences besides, which the user accepts.
    pub unlike: Vec<Unlike>,
    /// Whether times are judged although the runs took no turns.
    pub forced: bool,
}

/// Compares the runs of both sides, which have the same stages.
pub fn compare(mut base: Group, mut candidate: Group, question: Question) -> Result<CompareReport, Refusal> {
    for group in [&mut base, &mut candidate] {
        group.runs.sort_by(|a, b| a.report.started_at.cmp(&b.report.started_at));
    }
    let pairs = base.runs.len().min(candidate.runs.len());
    if pairs > PAIRS_MAX {
        return Err(Refusal::TooManyPairs { found: pairs });
    }
    let interleaved = are_interleaved(&base, &candidate, pairs);
    let names: Vec<String> = measured(&base.runs[0].report).map(|stage| stage.name.clone()).collect();
    let courses: Vec<Course<'_>> = names
        .iter()
        .map(|name| Course {
            stage: (names.len() > 1).then_some(name.as_str()),
            sides: sides(&base, &candidate, name, pairs),
        })
        .collect();
    let Question { limits, alpha, unlike, forced } = question;
    let mut metrics = differences(&courses, &limits, alpha, 1)?;
    let may_judge = pairs > 1 && (interleaved || forced);
    if !may_judge {
        metrics.iter_mut().for_each(cannot_tell);
    }
    let merged: Vec<(Stage, Stage)> =
        names.iter().map(|name| (merged(&base, name), merged(&candidate, name))).collect();
    for metric in &mut metrics {
        let index = metric.stage.as_ref().and_then(|stage| names.iter().position(|name| name == stage));
        let (a, b) = &merged[index.unwrap_or(0)];
        show_merged(metric, a, b);
    }
    let rule =
        if pairs < pairs_needed(alpha) { CounterRule::FewRuns } else { CounterRule::EveryPair { alpha } };
    let mut comparison = Comparison {
        a: base.name.clone(),
        b: candidate.name.clone(),
        pairs: u32::try_from(pairs).unwrap_or(u32::MAX),
        pairs_planned: u32::try_from(pairs).unwrap_or(u32::MAX),
        until_decided: false,
        confidence: 1.0 - alpha,
        answer: String::new(),
        metrics,
        counters: courses.iter().flat_map(|course| counters(course, rule)).collect(),
        plans: courses.iter().flat_map(plan_differences::differences).collect(),
        slices: Vec::new(),
    };
    comparison.answer = answer(&comparison, interleaved || forced, alpha);
    let is_valid = [&base, &candidate]
        .iter()
        .all(|group| group.runs.iter().all(|run| comparison::is_valid(&run.report)));
    let group = |group: &Group| RunGroup {
        name: group.name.clone(),
        runs: group.runs.iter().map(|run| run.report.id.clone()).collect(),
    };
    Ok(CompareReport {
        schema_version: SCHEMA_VERSION,
        kind: "compare".to_owned(),
        workload: base.runs[0].report.workload.name.clone(),
        base: group(&base),
        candidate: group(&candidate),
        interleaved,
        unlike,
        verdict: comparison::verdict(&comparison, is_valid),
        comparison,
    })
}

fn measured(report: &Report) -> impl Iterator<Item = &Stage> {
    report.stages.iter().filter(|stage| stage.measured)
}

fn stage<'a>(run: &'a KeptRun, name: &str) -> Option<&'a Stage> {
    measured(&run.report).find(|stage| stage.name == name)
}

fn sides<'a>(base: &'a Group, candidate: &'a Group, name: &str, pairs: usize) -> Vec<Sides<'a>> {
    let both = base.runs.iter().zip(&candidate.runs).take(pairs);
    both.filter_map(|(a, b)| {
        Some(Sides {
            a: stage(a, name)?,
            b: stage(b, name)?,
            a_first: a.report.started_at <= b.report.started_at,
        })
    })
    .collect()
}

/// Whether each pair, of all runs in the order of time two by two, is of a run of each side.
fn are_interleaved(base: &Group, candidate: &Group, pairs: usize) -> bool {
    let of = |group: &Group, is_base: bool| -> Vec<(String, bool)> {
        group.runs.iter().take(pairs).map(|run| (run.report.started_at.clone(), is_base)).collect()
    };
    let mut all = of(base, true);
    all.extend(of(candidate, false));
    all.sort();
    base.runs.len() == candidate.runs.len() && all.chunks(2).all(|two| two.len() == 2 && two[0].1 != two[1].1)
}

/// Leaves the values and takes what would be said of them.
fn cannot_tell(metric: &mut MetricDifference) {
    metric.verdict = ChangeVerdict::Inconclusive;
    metric.limit_kept = None;
    (metric.interval, metric.simultaneous, metric.visible, metric.p_adjusted) = (None, None, None, None);
    (metric.second_to_first, metric.second_to_first_p, metric.drift) = (None, None, None);
}

/// The values of all runs of a side together, in place of the means over its runs: their histograms merge exactly. A rate stays a
/// mean. The ratio is that of the pairs.
fn show_merged(metric: &mut MetricDifference, a: &Stage, b: &Stage) {
    let Ok(compared) = metric.metric.parse::<ComparedMetric>() else { return };
    if metric.unit != "us" {
        return;
    }
    metric.a = compared.measure(a).or(metric.a);
    metric.b = compared.measure(b).or(metric.b);
}

/// A stage of all runs together: that of the first run with the times of all.
fn merged(group: &Group, name: &str) -> Stage {
    let mut all = stage(&group.runs[0], name).cloned().expect("the sides have the same stages");
    if group.runs.len() < 2 || group.runs.iter().any(|run| run.distributions.is_empty()) {
        return all;
    }
    let merge = |what: Kept, owner: Option<&str>| {
        let mut sum = Distribution::default();
        for run in &group.runs {
            let of_it = |kept: &&KeptDistribution| {
                kept.stage_name == name && kept.what == what && owner.is_none_or(|owner| kept.owner == owner)
            };
            run.distributions.iter().filter(of_it).for_each(|kept| sum.merge(&kept.distribution));
        }
        sum
    };
    let answered =
        |what: Kept, owner: Option<&str>| with_censored(&merge(what, owner), &Distribution::default());
    let response =
        |owner: Option<&str>| with_censored(&merge(Kept::Response, owner), &merge(Kept::Censored, owner));
    all.response_us = response(None);
    all.service_us = answered(Kept::Service, None);
    all.lag_us = answered(Kept::Lag, None);
    for transaction in &mut all.transactions {
        let owner = Some(transaction.name.as_str());
        let times: [(&mut Quantiles, Phase); 4] = [
            (&mut transaction.response_us, Phase::Response),
            (&mut transaction.service_us, Phase::Service),
            (&mut transaction.pool_wait_us, Phase::PoolWait),
            (&mut transaction.lag_us, Phase::Lag),
        ];
        for (times, phase) in times {
            *times = match phase {
                Phase::Response => response(owner),
                Phase::Service => answered(Kept::Service, owner),
                Phase::PoolWait => answered(Kept::PoolWait, owner),
                Phase::Lag => answered(Kept::Lag, owner),
            };
        }
    }
    for statement in &mut all.statements {
        let owner = format!("{}.{}", statement.transaction, statement.name);
        statement.execute_us = answered(Kept::Execute, Some(&owner));
    }
    all
}

fn answer(comparison: &Comparison, may_judge: bool, alpha: f64) -> String {
    let needed = pairs_needed(alpha);
    let how = format!("measure at least {needed} runs of each by turns and tag them, or let dbdyno ab do it");
    match comparison.pairs {
        1 => format!(
            "Times of one run each cannot be told from the moods of the machine: they are shown and not judged, counters are. To \
             compare times, {how}."
        ),
        pairs if !may_judge => format!(
            "The {pairs} runs of each side took no turns, so that a drift of the machine would look like a difference: their times \
             are shown and not judged, counters are. To compare times, {how}; --force judges them all the same."
        ),
        _ => super::answer::sentence(comparison, false),
    }
}
