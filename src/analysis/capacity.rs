//! The highest rate that keeps a goal: what each step says, the answer, and what stops a higher rate.

use std::collections::BTreeMap;

use crate::model::budget::evaluate;
use crate::model::metric::{Goal, Limit, MetricPath, Statistic};
use crate::model::{
    BudgetResult, Capacity, CapacityLimit, CapacityStep, Report, Stage, StepOutcome, Verdict, WaitShare,
};
use crate::record::capacity::{CapacityHeader, StepKind};
use crate::record::entry::{BudgetHeader, WorkloadHeader};

use super::capacity_limit::{Circumstances, limit};
use super::capacity_search::{Bracket, Next, Search, Tried, bracket, rounded};
use super::endurance::{backlog, shed};
use super::samples::IDLE_IN_TRANSACTION;

/// Where the user names no first rate: this share of what a closed loop reached, so that the first doubling comes near the limit.
const FROM_SHARE: f64 = 0.5;
/// Samples that a quantile needs beyond it.
const BEYOND: f64 = 10.0;
/// Share of the response, on average, that a late start may be before a missed goal is the generator's doing.
const LATE_SHARE: f64 = 0.2;

/// One measured stage with what is known of it beside its figures.
pub(super) struct Measured<'a> {
    pub(super) stage: &'a Stage,
    pub(super) kind: StepKind,
    /// Why the generator could not do what was asked of it, if it could not.
    pub(super) generator: Option<String>,
    /// Cores that the generator used, where the kernel tells.
    pub(super) generator_cores: Option<f64>,
}

/// How far a study has come: what decides on its next step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What a closed loop reached, where one was measured.
    pub closed_loop_per_s: Option<f64>,
    /// The rates that were measured.
    pub tried: Vec<Tried>,
}

impl Progress {
    /// The search that this study makes, once it is known where it begins.
    #[must_use]
    pub fn search(&self, header: &CapacityHeader) -> Option<Search> {
        let from = header.from.or(self.closed_loop_per_s.map(|rate| rounded(rate * FROM_SHARE)));
        from.filter(|from| *from > 0.0).map(|from| Search {
            from,
            precision: header.precision,
            at_least: header.at_least,
        })
    }
}

/// How far these steps came.
pub(super) fn progress(header: &CapacityHeader, measured: &[Measured<'_>]) -> Progress {
    let probe = measured.iter().find(|step| step.kind == StepKind::Probe);
    let tried = measured.iter().filter(|step| step.kind != StepKind::Probe).filter_map(|step| {
        let outcome = judge(header, step).0;
        let is_long = step.kind == StepKind::Confirmation;
        Some(Tried { rate: planned_rate(step.stage)?, is_long, outcome })
    });
    Progress { closed_loop_per_s: probe.map(|step| step.stage.achieved_per_s), tried: tried.collect() }
}

/// The study's part of the report.
pub(super) fn analyse(
    header: &CapacityHeader,
    measured: &[Measured<'_>],
    around: &Circumstances<'_>,
) -> Capacity {
    let progress = progress(header, measured);
    let ends = bracket(&progress.tried);
    let search = progress.search(header);
    let is_complete = search.is_some_and(|search| search.next(&progress.tried) == Next::Done);
    let verdict = verdict(header, &ends);
    let steps: Vec<CapacityStep> = measured.iter().map(|step| to_model(header, step)).collect();
    let stopped = at_rate(measured, ends.missed);
    let low = measured
        .iter()
        .filter(|step| step.kind != StepKind::Probe)
        .min_by(|a, b| rate_of(a).total_cmp(&rate_of(b)))
        .map(|step| step.stage);
    let limit = match (&stopped, ends.unproven) {
        (_, Some(rate)) => Some(generator(rate, measured)),
        (Some(step), None) => {
            let goals = judge(header, step).1;
            let low = low.filter(|low| low.name != step.stage.name);
            let around = Circumstances { generator_cores: step.generator_cores, ..*around };
            Some(limit(step.stage, low, &goals, &around))
        }
        (None, None) => None,
    };
    Capacity {
        goals: header.goals.iter().map(|goal| format!("{} {}", goal.metric, goal.limit)).collect(),
        met_per_s: ends.met,
        met_is_confirmed: ends.met_is_long,
        missed_per_s: ends.missed,
        missed_is_confirmed: ends.missed_is_long,
        unproven_per_s: ends.unproven,
        precision: header.precision,
        is_complete,
        at_least_per_s: header.at_least,
        verdict,
        answer: answer(header, &ends, is_complete),
        limit,
        steps,
    }
}

/// The parts of the report that are about the rate that was found: findings of an overload on the way would hide its own. A defect
/// of the measurement itself counts wherever it is.
pub(super) fn about_the_answer(report: &Report) -> Report {
    let Some(capacity) = &report.capacity else { return report.clone() };
    let rate = capacity.met_per_s.or(capacity.missed_per_s);
    let of_rate = |step: &&CapacityStep| {
        let same = |a: f64, b: f64| (a - b).abs() < 1e-9 * b;
        step.rate_per_s.zip(rate).is_some_and(|(a, b)| same(a, b)) && step.outcome != StepOutcome::NoEvidence
    };
    let longest = capacity.steps.iter().filter(of_rate).max_by(|a, b| a.duration_s.total_cmp(&b.duration_s));
    let Some(step) = longest else { return report.clone() };
    let mut about = report.clone();
    about.stages.retain(|stage| stage.name == step.stage || stage.checks.iter().any(|check| !check.holds));
    about
}

/// The rate that was asked for; nothing in a closed loop.
pub(super) fn planned_rate(stage: &Stage) -> Option<f64> {
    // As planned, not as it came: Poisson arrivals differ a little from it.
    stage.clients.is_none().then(|| stage.load.as_ref().map(|load| load.course().max())).flatten()
}

fn rate_of(step: &Measured<'_>) -> f64 {
    planned_rate(step.stage).unwrap_or(f64::INFINITY)
}

/// The longest step at a rate that tells of it.
fn at_rate<'a, 'b>(measured: &'b [Measured<'a>], rate: Option<f64>) -> Option<&'b Measured<'a>> {
    let rate = rate?;
    let steps = measured
        .iter()
        .filter(|step| planned_rate(step.stage).is_some_and(|of| (of - rate).abs() < 1e-9 * rate));
    steps.max_by(|a, b| a.stage.duration_s.total_cmp(&b.stage.duration_s))
}

/// What a step says, each part of the goal, and why beside it.
fn judge(header: &CapacityHeader, step: &Measured<'_>) -> (StepOutcome, Vec<BudgetResult>, Option<String>) {
    let stage = step.stage;
    let results: Vec<BudgetResult> = header.goals.iter().map(|goal| result(goal, stage)).collect();
    let broken = |result: &BudgetResult| {
        // What never ended reaches into the figure: the goal is not kept, however far it is missed.
        result.verdict == Verdict::Fail
            || result.verdict == Verdict::Inconclusive && result.measured.starts_with('>')
    };
    let overload = backlog(stage).or_else(|| shed(stage));
    if results.iter().any(broken) || overload.is_some() {
        let why = step.generator.clone().or_else(|| late(header, stage));
        return match why {
            Some(why) => (StepOutcome::NoEvidence, results, Some(why)),
            None => (StepOutcome::Missed, results, overload),
        };
    }
    let untold = results.iter().find(|result| result.verdict == Verdict::Inconclusive);
    if let Some(untold) = untold {
        let why = untold.reason.clone().unwrap_or_else(|| "it cannot be told".to_owned());
        let why = format!("{}: {why}", untold.metric);
        return (StepOutcome::NoEvidence, results, Some(why));
    }
    (StepOutcome::Met, results, None)
}

fn result(goal: &BudgetHeader, stage: &Stage) -> BudgetResult {
    let parsed = goal
        .metric
        .parse::<MetricPath>()
        .and_then(|metric| Ok((Limit::parse(&goal.limit, &metric)?, metric)));
    match parsed {
        Ok((limit, metric)) => evaluate(&metric, &limit, std::slice::from_ref(stage)),
        // Only a journal that was edited by hand gets here: the plan was checked before.
        Err(error) => BudgetResult {
            metric: goal.metric.clone(),
            limit: goal.limit.clone(),
            stage: stage.name.clone(),
            measured: "–".to_owned(),
            verdict: Verdict::Inconclusive,
            reason: Some(error.to_string()),
        },
    }
}

/// Whether arrivals started late although there was room for them: then it was the generator that was late.
fn late(header: &CapacityHeader, stage: &Stage) -> Option<String> {
    let (lag_us, response_us) = (stage.lag_us.mean?, stage.response_us.mean?);
    let most = stage.intervals.iter().map(|interval| interval.in_flight).max().unwrap_or(0);
    let room = u64::from(header.in_flight_max) * u64::from(stage.pool.instances.max(1));
    (lag_us > LATE_SHARE * response_us && most < room).then(|| {
        format!(
            "transactions started {:.1} ms late on average, with room for {room} and at most {most} under way: the generator was slow",
            lag_us / 1000.0
        )
    })
}

fn verdict(header: &CapacityHeader, ends: &Bracket) -> Verdict {
    let Some(asked) = header.at_least else { return Verdict::None };
    let reached = ends.met_is_long && ends.met.is_some_and(|met| met >= asked * (1.0 - 1e-9));
    let beyond = ends.missed_is_long && ends.missed.is_some_and(|missed| missed <= asked * (1.0 + 1e-9));
    // Where even lower rates than any that were confirmed miss, the rate that was asked for misses too.
    let nothing_met = ends.met.is_none() && ends.missed.is_some_and(|missed| missed <= asked);
    if reached {
        Verdict::Pass
    } else if beyond || nothing_met {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

fn answer(header: &CapacityHeader, ends: &Bracket, is_complete: bool) -> String {
    let goal = if header.goals.len() == 1 { "the goal" } else { "all goals" };
    let short = |is_long: bool| if is_long { "" } else { ", by a short step only" };
    let mut words = match (ends.met, ends.missed, ends.unproven) {
        (None, None, None) => "Nothing was measured that tells of a rate.".to_owned(),
        (Some(met), _, Some(unproven)) => format!(
            "{} transactions/s meet {goal}{}. At {}/s the generator could not do what was asked of it: where the system's limit \
             lies is not known.",
            say(met),
            short(ends.met_is_long),
            say(unproven)
        ),
        (None, _, Some(unproven)) => format!(
            "At {}/s the generator could not do what was asked of it, and no lower rate was found that meets {goal}.",
            say(unproven)
        ),
        (Some(met), Some(missed), None) => format!(
            "The highest rate that meets {goal} lies between {} and {} transactions/s{}.",
            say(met),
            say(missed),
            match (ends.met_is_long, ends.missed_is_long) {
                (true, true) => ", both measured once more for longer",
                (true, false) => "; that the higher one misses it stands on a short step only",
                (false, true) => "; that the lower one meets it stands on a short step only",
                (false, false) => ", both by short steps only",
            }
        ),
        (Some(met), None, None) => {
            format!(
                "{} transactions/s meet {goal}{}, and no rate that was tried misses it.",
                say(met),
                short(ends.met_is_long)
            )
        }
        (None, Some(missed), None) => {
            format!("No rate that was tried meets {goal}; the lowest was {} transactions/s.", say(missed))
        }
    };
    if !is_complete {
        words += " The search was not at its end: give it more time with --at-most.";
    }
    words
}

/// A rate in a sentence.
pub(super) fn say(rate: f64) -> String {
    let rate = rounded(rate);
    if rate >= 100.0 || (rate - rate.round()).abs() < 1e-9 {
        format!("{rate:.0}")
    } else {
        format!("{rate:.2}")
    }
}

fn generator(rate: f64, measured: &[Measured<'_>]) -> CapacityLimit {
    let said = at_rate(measured, Some(rate)).and_then(|step| step.generator.clone());
    CapacityLimit {
        kind: "generator".to_owned(),
        evidence: said.unwrap_or_else(|| {
            format!("at {}/s arrivals started late although there was room for them", say(rate))
        }),
        remedy: "give it more threads (--threads with --instances) or a machine of its own".to_owned(),
    }
}

fn to_model(header: &CapacityHeader, step: &Measured<'_>) -> CapacityStep {
    let stage = step.stage;
    let (outcome, goals, reason) = match step.kind {
        StepKind::Probe => (StepOutcome::NoEvidence, Vec::new(), None),
        StepKind::Step | StepKind::Confirmation => judge(header, step),
    };
    CapacityStep {
        stage: stage.name.clone(),
        kind: match step.kind {
            StepKind::Probe => "probe",
            StepKind::Step => "step",
            StepKind::Confirmation => "confirmation",
        }
        .to_owned(),
        duration_s: stage.duration_s,
        rate_per_s: planned_rate(stage),
        achieved_per_s: stage.achieved_per_s,
        outcome,
        goals,
        reason,
        busy_mean: stage.pool.busy_mean,
        saturated_fraction: stage.pool.saturated_fraction,
        top_wait: top_wait(stage),
        host_cpu_fraction: stage.host.as_ref().map(|host| host.cpu_fraction),
    }
}

/// What executing sessions were seen in most, with its share of them: one that is idle in a transaction waits for the application.
pub(super) fn top_wait(stage: &Stage) -> Option<WaitShare> {
    let executing = || stage.waits.iter().filter(|wait| wait.event != IDLE_IN_TRANSACTION);
    let all: u64 = executing().map(|wait| wait.count).sum();
    let top = executing().max_by_key(|wait| wait.count)?;
    Some(WaitShare { share: top.count as f64 / all.max(1) as f64, ..top.clone() })
}

/// Transactions that a step must see, so that each quantile of the goal is carried by its samples; by the share of the mix that the
/// transaction has, and with a tenth more, since Poisson arrivals may be fewer.
#[must_use]
pub fn transactions_needed(goals: &[Goal], workload: &WorkloadHeader) -> f64 {
    let shares: BTreeMap<&str, f64> =
        workload.transactions.iter().map(|of| (of.name.as_str(), of.share)).collect();
    let needed = |goal: &Goal| match &goal.metric {
        MetricPath::Time { transaction, statistic, .. } => {
            let share =
                transaction.as_ref().map_or(1.0, |name| shares.get(name.as_str()).copied().unwrap_or(1.0));
            1.1 * BEYOND / (1.0 - quantile(*statistic)) / share.max(1e-6)
        }
        _ => 0.0,
    };
    goals.iter().map(needed).fold(0.0, f64::max)
}

/// A mean and a maximum are carried by any sample.
fn quantile(statistic: Statistic) -> f64 {
    match statistic {
        Statistic::Mean | Statistic::Max => 0.0,
        Statistic::P50 => 0.5,
        Statistic::P90 => 0.9,
        Statistic::P95 => 0.95,
        Statistic::P99 => 0.99,
        Statistic::P999 => 0.999,
        Statistic::P9999 => 0.9999,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IntervalInfo, Quantiles};
    use crate::record::entry::TransactionHeader;
    use crate::units::Load;

    fn header(goal: (&str, &str)) -> CapacityHeader {
        let (metric, limit) = (goal.0.to_owned(), goal.1.to_owned());
        CapacityHeader {
            goals: vec![BudgetHeader { metric, limit }],
            from: Some(50.0),
            precision: 0.05,
            step_ns: 1,
            confirm_ns: 3,
            at_most_ns: 100,
            at_least: None,
            in_flight_max: 1000,
        }
    }

    /// Ten seconds at `rate`, all of them answered in `p99_us`.
    fn stage(rate: f64, p99_us: u64) -> Stage {
        let times = Quantiles {
            count: 5000,
            mean: Some(p99_us as f64 / 2.0),
            p99: Some(p99_us),
            ..Quantiles::default()
        };
        let interval = |t: u32| IntervalInfo {
            t_s: f64::from(t),
            length_s: 1.0,
            in_flight: 3,
            ..IntervalInfo::default()
        };
        Stage {
            name: format!("{rate}/s"),
            measured: true,
            duration_s: 10.0,
            load: Some(Load::rate(rate)),
            offered_per_s: Some(rate),
            achieved_per_s: rate,
            response_us: times.clone(),
            service_us: times,
            intervals: (1..=10).map(interval).collect(),
            ..Stage::default()
        }
    }

    fn step(stage: &Stage, kind: StepKind) -> Measured<'_> {
        Measured { stage, kind, generator: None, generator_cores: None }
    }

    #[test]
    fn a_step_is_met_missed_or_no_evidence() {
        let header = header(("response.p99", "< 50ms"));
        let outcome = |step: &Measured<'_>| judge(&header, step).0;
        let (quick, slow) = (stage(100.0, 40_000), stage(200.0, 60_000));
        assert_eq!(outcome(&step(&quick, StepKind::Step)), StepOutcome::Met);
        assert_eq!(outcome(&step(&slow, StepKind::Step)), StepOutcome::Missed);
        let full = Measured { generator: Some("busy".to_owned()), ..step(&slow, StepKind::Step) };
        assert_eq!(outcome(&full), StepOutcome::NoEvidence);
        // What is met with a busy generator is met.
        let full = Measured { generator: Some("busy".to_owned()), ..step(&quick, StepKind::Step) };
        assert_eq!(outcome(&full), StepOutcome::Met);
        let few = Stage { response_us: Quantiles { count: 50, ..Quantiles::default() }, ..quick.clone() };
        assert_eq!(outcome(&step(&few, StepKind::Step)), StepOutcome::NoEvidence);
        let lag_us = Quantiles { count: 5000, mean: Some(20_000.0), ..Quantiles::default() };
        let late = Stage { lag_us, ..slow.clone() };
        assert_eq!(outcome(&step(&late, StepKind::Step)), StepOutcome::NoEvidence);
    }

    #[test]
    fn a_backlog_that_grows_misses_whatever_the_goal_says() {
        let header = header(("response.p99", "< 50ms"));
        let mut grows = stage(200.0, 40_000);
        grows.achieved_per_s = 180.0;
        for (index, interval) in grows.intervals.iter_mut().enumerate() {
            interval.in_flight = 20 * (index as u64 + 1);
        }
        let (outcome, _, why) = judge(&header, &step(&grows, StepKind::Step));
        assert_eq!(outcome, StepOutcome::Missed);
        assert!(why.expect("a reason").contains("backlog"));
    }

    #[test]
    fn the_verdict_needs_longer_runs() {
        let asked = |at_least, met: Option<(f64, bool)>, missed: Option<(f64, bool)>| {
            let header = CapacityHeader { at_least: Some(at_least), ..header(("p99", "< 50ms")) };
            let ends = Bracket {
                met: met.map(|end| end.0),
                met_is_long: met.is_some_and(|end| end.1),
                missed: missed.map(|end| end.0),
                missed_is_long: missed.is_some_and(|end| end.1),
                unproven: None,
            };
            verdict(&header, &ends)
        };
        assert_eq!(asked(100.0, Some((100.0, true)), Some((105.0, true))), Verdict::Pass);
        assert_eq!(asked(100.0, Some((100.0, false)), Some((105.0, true))), Verdict::Inconclusive);
        assert_eq!(asked(106.0, Some((100.0, true)), Some((105.0, true))), Verdict::Fail);
        assert_eq!(asked(103.0, Some((100.0, true)), Some((105.0, true))), Verdict::Inconclusive);
        assert_eq!(asked(103.0, None, Some((0.2, false))), Verdict::Fail);
    }

    #[test]
    fn a_quantile_of_a_rare_transaction_needs_a_longer_step() {
        let transaction = |name: &str, share| TransactionHeader { name: name.to_owned(), share };
        let workload = WorkloadHeader {
            name: "shop".to_owned(),
            scale: None,
            fingerprint: String::new(),
            generator_version: 1,
            transactions: vec![transaction("browse", 0.9), transaction("checkout", 0.1)],
            statements: Vec::new(),
            measures: Vec::new(),
            gauges: Vec::new(),
        };
        let needed = |goal: &str| transactions_needed(&[goal.parse().expect("a goal")], &workload);
        assert!((needed("p99 < 50ms") - 1_100.0).abs() < 1e-6);
        assert!((needed("checkout.response.p99 < 50ms") - 11_000.0).abs() < 1e-6);
        assert!((needed("errors < 0.1%")).abs() < 1e-9);
    }
}
