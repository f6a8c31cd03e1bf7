//! Two arms: their slices put into pairs, each metric judged by [`paired`](super::paired), counters side by side, and the
//! answer in words. Reads the model of the slices only, so that stored reports can be compared in the same way.

use std::collections::BTreeSet;

use crate::model::metric::Unit;
use crate::model::{
    ChangeLimit, ChangeVerdict, ComparedMetric, Comparison, CounterChange, CounterDifference,
    MetricDifference, Report, RowWorkInfo, SliceInfo, SliceStep, Stage, StatementServerInfo, Verdict,
};
use crate::record::entry::{Arm, ComparisonHeader, Header, Prepared, PreparedBy};
use crate::units::{StageId, Stamp};

use super::paired::{self, Judged, Levels, Metric, Pair, Wanted};
use super::plan_differences;

/// Share of its planned length that a slice must have lasted to count.
const WHOLE: f64 = 0.95;
/// Counters of one execution that differ by less are alike.
const COUNTERS_ALIKE: f64 = 0.02;
/// And so are those that differ by less than this, whatever their share: one row in twenty executions.
const COUNTS_ALIKE: f64 = 0.05;
/// Standard errors by which the sums of few runs must lie apart. Chance does that once in 16,000 times.
const SUMS_APART: f64 = 4.0;

/// Both sides of one pair.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// The slice of A.
    pub a: &'a Stage,
    /// The slice of B.
    pub b: &'a Stage,
    /// Whether A came first.
    pub a_first: bool,
}

/// The pairs of one stage. A comparison of runs has one for each of their stages, one of slices has one.
pub struct Course<'a> {
    /// Name of the stage, where there are several.
    pub stage: Option<&'a str>,
    /// Its pairs, in the order of time; as many in every course of a comparison.
    pub sides: Vec<Sides<'a>>,
}

/// A stage with its place in the journal.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) id: StageId,
    pub(super) began_at: Stamp,
    pub(super) stage: &'a Stage,
}

/// The comparison's part of the report; nothing where the header plans none.
pub(super) fn analyse(header: &Header, stages: &[Placed<'_>], prepared: &[Prepared]) -> Option<Comparison> {
    let plan = header.comparison.as_ref()?;
    let pairs = whole_pairs(header, plan, stages);
    let course = Course { stage: None, sides: pairs.iter().map(|(_, sides)| *sides).collect() };
    let limits: Vec<ChangeLimit> = plan.limits.iter().filter_map(limit).collect();
    let alpha = alpha_at(plan, pairs.len());
    let (metrics, refusal) = match differences(std::slice::from_ref(&course), &limits, alpha, header.seed.0) {
        Ok(metrics) => (metrics, None),
        // Only a journal that was edited by hand gets here: the plan was checked before the run.
        Err(refusal) => (Vec::new(), Some(refusal.to_string())),
    };
    let mut comparison = Comparison {
        a: plan.a.what.clone(),
        b: plan.b.what.clone(),
        pairs: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
        pairs_planned: plan.pairs,
        until_decided: plan.until_decided,
        confidence: 1.0 - alpha,
        answer: String::new(),
        metrics,
        counters: counters(&course, CounterRule::EveryPair { alpha }),
        plans: plan_differences::differences(&course),
        slices: slices(header, stages, prepared, &pairs),
    };
    let is_self = plan.a.what == plan.b.what;
    comparison.answer = refusal.unwrap_or_else(|| super::answer::sentence(&comparison, is_self));
    Some(comparison)
}

/// What the limits of a comparison say together. A measurement that is not valid decides nothing.
pub(super) fn verdict(comparison: &Comparison, is_valid: bool) -> Verdict {
    let mut limited = comparison.metrics.iter().filter(|metric| metric.limit.is_some()).peekable();
    if limited.peek().is_none() {
        return Verdict::None;
    }
    let kept: Vec<Option<bool>> = limited.map(|metric| metric.limit_kept).collect();
    match () {
        () if !is_valid => Verdict::Inconclusive,
        () if kept.contains(&Some(false)) => Verdict::Fail,
        () if kept.contains(&None) => Verdict::Inconclusive,
        () => Verdict::Pass,
    }
}

/// Whether more pairs would tell nothing that was asked: every limit is kept or broken; without limits, something differs.
pub(super) fn is_decided(comparison: &Comparison) -> bool {
    let mut limited = comparison.metrics.iter().filter(|metric| metric.limit.is_some()).peekable();
    if limited.peek().is_some() {
        return limited.all(|metric| metric.limit_kept.is_some());
    }
    let differs =
        |metric: &MetricDifference| matches!(metric.verdict, ChangeVerdict::Better | ChangeVerdict::Worse);
    comparison.metrics.iter().any(differs)
}

fn limit(given: &crate::record::entry::ChangeLimitHeader) -> Option<ChangeLimit> {
    // Only a journal that was edited by hand names no metric: the plan was checked before the run.
    Some(ChangeLimit { metric: given.metric.parse().ok()?, worse_by: given.worse_by })
}

/// The error rate that may be spent on so many pairs: that of the look that is due with them.
fn alpha_at(plan: &ComparisonHeader, pairs: usize) -> f64 {
    if !plan.until_decided {
        return plan.alpha;
    }
    let looks = paired::looks(plan.pairs as usize, plan.alpha);
    looks.iter().find(|look| look.pairs >= pairs).or(looks.last()).map_or(plan.alpha, |look| look.alpha)
}

/// Pairs of which both slices were measured from their beginning to their end, in the order of time.
fn whole_pairs<'a>(header: &Header, plan: &ComparisonHeader, stages: &[Placed<'a>]) -> Vec<(u32, Sides<'a>)> {
    let find = |pair: u32, arm: Arm| {
        stages.iter().find(|placed| {
            let Some(planned) = header.stages.get(placed.id.index()) else { return false };
            let is_it = planned.slice.is_some_and(|slice| slice.pair == pair && slice.arm == arm);
            let length_s = std::time::Duration::from_nanos(planned.duration_ns).as_secs_f64();
            is_it && planned.measured && placed.stage.duration_s >= WHOLE * length_s
        })
    };
    let both = |pair: u32| {
        let (a, b) = (find(pair, Arm::A)?, find(pair, Arm::B)?);
        Some((pair, Sides { a: a.stage, b: b.stage, a_first: a.id < b.id }))
    };
    (0..plan.pairs).filter_map(both).collect()
}

/// One metric of one stage, and its pairs.
struct Compared<'a> {
    stage: Option<&'a str>,
    metric: ComparedMetric,
    pairs: Vec<Option<Pair>>,
    limit: Option<&'a ChangeLimit>,
}

/// Every metric that both sides have, judged together, at the familywise error rate `alpha`. A limit holds in every stage. `seed` is
/// for the flips that are drawn where there are many pairs.
pub fn differences(
    courses: &[Course<'_>],
    limits: &[ChangeLimit],
    alpha: f64,
    seed: u64,
) -> Result<Vec<MetricDifference>, paired::Refusal> {
    let mut compared = Vec::new();
    for course in courses {
        for metric in metrics(&course.sides, limits) {
            let pairs: Vec<Option<Pair>> = course.sides.iter().map(|sides| pair(&metric, sides)).collect();
            let limit = limits.iter().find(|limit| limit.metric == metric);
            // What nobody asked for and almost never has a value says nothing.
            let has_values = pairs.iter().flatten().count() >= course.sides.len().min(2);
            if has_values || limit.is_some() {
                compared.push(Compared { stage: course.stage, metric, pairs, limit });
            }
        }
    }
    let family: Vec<Metric<'_>> = compared
        .iter()
        .map(|compared| Metric {
            pairs: &compared.pairs,
            wanted: if compared.metric.is_wanted_high() { Wanted::High } else { Wanted::Low },
            limit: compared.limit.map(|limit| limit.worse_by),
        })
        .collect();
    let levels = Levels { familywise_alpha: alpha, seed, ..Levels::default() };
    let judged = paired::compare(&family, &levels)?;
    Ok(compared.iter().zip(judged).map(|(compared, judged)| difference(compared, &judged)).collect())
}

/// What is looked at: all transactions together, then each, then each statement; and what limits name.
pub(super) fn metrics(sides: &[Sides<'_>], limits: &[ChangeLimit]) -> Vec<ComparedMetric> {
    let Some(first) = sides.first() else { return Vec::new() };
    let mut paths = Vec::new();
    // In an open loop the throughput is the rate, as long as it is kept up.
    if first.a.clients.is_some() {
        paths.push("throughput".to_owned());
    }
    paths.extend(["response.mean", "response.p50", "response.p99"].map(str::to_owned));
    let of_b: BTreeSet<&str> = first.b.transactions.iter().map(|of| of.name.as_str()).collect();
    let shared = first.a.transactions.iter().filter(|of| of_b.contains(of.name.as_str()));
    let shared: Vec<&str> = shared.map(|of| of.name.as_str()).collect();
    if first.a.transactions.len() > 1 {
        for name in &shared {
            paths.extend(["mean", "p50", "p99"].map(|statistic| format!("{name}.response.{statistic}")));
        }
    }
    let of_b: BTreeSet<(&str, &str)> =
        first.b.statements.iter().map(|of| (of.transaction.as_str(), of.name.as_str())).collect();
    for of in &first.a.statements {
        if of_b.contains(&(of.transaction.as_str(), of.name.as_str())) {
            // What a statement costs, and what it takes when the machine takes nothing away: where moments without a processor blur
            // the one, the other still shows a change.
            paths.extend(
                ["mean", "p50"].map(|of_it| format!("{}.{}.execute.{of_it}", of.transaction, of.name)),
            );
        }
    }
    let mut metrics: Vec<ComparedMetric> = paths.iter().filter_map(|path| path.parse().ok()).collect();
    for limit in limits {
        if !metrics.contains(&limit.metric) {
            metrics.push(limit.metric.clone());
        }
    }
    metrics
}

fn pair(metric: &ComparedMetric, sides: &Sides<'_>) -> Option<Pair> {
    let (a, b) = (metric.measure(sides.a)?, metric.measure(sides.b)?);
    Some(Pair { a, b, a_first: sides.a_first })
}

fn difference(compared: &Compared<'_>, judged: &Judged) -> MetricDifference {
    let Compared { stage, metric, pairs, limit } = compared;
    let is_usable = |index: &usize| !judged.unusable.iter().any(|(unusable, _)| unusable == index);
    let used: Vec<&Pair> = pairs
        .iter()
        .enumerate()
        .filter(|(index, _)| is_usable(index))
        .filter_map(|(_, pair)| pair.as_ref())
        .collect();
    let mean = |value: fn(&Pair) -> f64| {
        let sum: f64 = used.iter().map(|pair| value(pair).ln()).sum();
        (!used.is_empty()).then(|| (sum / used.len() as f64).exp())
    };
    let estimate = judged.estimate.as_ref();
    let ends = |interval: paired::Interval| (interval.low, interval.high);
    let (a, b) = (mean(|pair| pair.a), mean(|pair| pair.b));
    MetricDifference {
        stage: stage.map(str::to_owned),
        metric: metric.to_string(),
        unit: unit(metric).to_owned(),
        a,
        b,
        // One pair has a ratio as well, if nothing else.
        ratio: estimate.map(|estimate| estimate.ratio).or_else(|| Some(b? / a?)),
        interval: estimate.and_then(|estimate| estimate.interval).map(ends),
        simultaneous: estimate.and_then(|estimate| estimate.simultaneous).map(ends),
        p_adjusted: estimate.map(|estimate| estimate.p_adjusted),
        visible: estimate.and_then(|estimate| estimate.visible),
        verdict: match judged.verdict {
            paired::Verdict::Better => ChangeVerdict::Better,
            paired::Verdict::Worse => ChangeVerdict::Worse,
            paired::Verdict::Same => ChangeVerdict::Same,
            paired::Verdict::Inconclusive => ChangeVerdict::Inconclusive,
        },
        limit: limit.map(ChangeLimit::change),
        limit_kept: judged.limit_kept,
        pairs: u32::try_from(judged.pairs).unwrap_or(u32::MAX),
        pairs_needed: judged.pairs_needed.map(|pairs| u32::try_from(pairs).unwrap_or(u32::MAX)),
        second_to_first: estimate.and_then(|estimate| estimate.order).map(|order| order.second_to_first),
        second_to_first_p: estimate.and_then(|estimate| estimate.order).map(|order| order.p),
        drift: estimate.map(|estimate| estimate.drift),
    }
}

fn unit(metric: &ComparedMetric) -> &'static str {
    match metric {
        ComparedMetric::Statement { .. } => "us",
        ComparedMetric::Path(path) if path.unit() == Some(Unit::Time) => "us",
        _ if metric.is_wanted_high() => "per_s",
        ComparedMetric::Path(_) => "count",
    }
}

/// A counter of the server by its name, and whether it is judged.
type Counter = (&'static str, fn(&StatementServerInfo) -> u64, bool);

const COUNTERS: [Counter; 12] = [
    ("rows", |server| server.rows, true),
    ("rows_examined", |server| work(server, |work| work.rows_examined), true),
    ("rows_sorted", |server| work(server, |work| work.sort_rows), true),
    ("tmp_tables", |server| work(server, |work| work.tmp_tables), true),
    ("tmp_disk_tables", |server| work(server, |work| work.tmp_disk_tables), true),
    ("blocks", |server| server.shared_blks_hit + server.shared_blks_read, true),
    ("blocks_read", |server| server.shared_blks_read, true),
    ("blocks_dirtied", |server| server.shared_blks_dirtied, true),
    ("temp_blocks_written", |server| server.temp_blks_written, true),
    ("wal_records", |server| server.wal_records, true),
    ("wal_full_page_images", |server| server.wal_fpi, false),
    ("wal_bytes", |server| server.wal_bytes, false),
];

/// One of the counters of rows, where the server has them.
fn work(server: &StatementServerInfo, of: fn(&RowWorkInfo) -> u64) -> u64 {
    server.row_work.as_ref().map_or(0, of)
}

/// When a counter is said to differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CounterRule {
    /// Where every pair agrees, of so many that chance would do that as rarely as `alpha`.
    EveryPair {
        /// 0 to 1.
        alpha: f64,
    },
    /// Where every pair agrees, however few they are, and the sums lie apart by more than the draws of other keys explain. Counters do
    /// not depend on the mood of the machine, but on the keys.
    FewRuns,
}

/// What the server counted for each execution of every statement that both sides have; what it never counted is left out.
#[must_use]
pub fn counters(course: &Course<'_>, rule: CounterRule) -> Vec<CounterDifference> {
    let Course { stage, sides } = course;
    let Some(first) = sides.first() else { return Vec::new() };
    let mut differences = Vec::new();
    for of in &first.a.statements {
        let server = |stage: &Stage| {
            let same = |other: &&crate::model::StatementInfo| {
                other.name == of.name && other.transaction == of.transaction
            };
            stage.statements.iter().find(same)?.server.clone().filter(|server| server.calls > 0)
        };
        let both: Vec<(StatementServerInfo, StatementServerInfo)> =
            sides.iter().filter_map(|sides| Some((server(sides.a)?, server(sides.b)?))).collect();
        if both.is_empty() {
            continue;
        }
        for (counter, value, is_judged) in COUNTERS {
            let statement = format!("{}.{}", of.transaction, of.name);
            let difference = counter_difference(&both, value);
            if difference.a_per_call == 0.0 && difference.b_per_call == 0.0 {
                continue;
            }
            let change = if is_judged { difference.change(rule) } else { CounterChange::NotJudged };
            differences.push(CounterDifference {
                stage: stage.map(str::to_owned),
                statement,
                counter: counter.to_owned(),
                a_per_call: difference.a_per_call,
                b_per_call: difference.b_per_call,
                change,
            });
        }
    }
    differences
}

/// One counter over all pairs.
struct Counted {
    a_per_call: f64,
    b_per_call: f64,
    a_calls: f64,
    b_calls: f64,
    pairs: usize,
    /// Pairs in which B counts more, and in which it counts fewer.
    more: usize,
    fewer: usize,
}

fn counter_difference(
    both: &[(StatementServerInfo, StatementServerInfo)],
    value: fn(&StatementServerInfo) -> u64,
) -> Counted {
    let each = |server: &StatementServerInfo| value(server) as f64 / server.calls as f64;
    let all = |side: fn(&(StatementServerInfo, StatementServerInfo)) -> &StatementServerInfo| {
        let (sum, calls) = both
            .iter()
            .map(side)
            .fold((0, 0), |(sum, calls), server| (sum + value(server), calls + server.calls));
        (sum as f64 / calls as f64, calls as f64)
    };
    let ((a_per_call, a_calls), (b_per_call, b_calls)) = (all(|both| &both.0), all(|both| &both.1));
    Counted {
        a_per_call,
        b_per_call,
        a_calls,
        b_calls,
        pairs: both.len(),
        more: both.iter().filter(|(a, b)| each(b) > each(a)).count(),
        fewer: both.iter().filter(|(a, b)| each(b) < each(a)).count(),
    }
}

impl Counted {
    /// By a sign test of which every pair must agree: with n pairs, 2 in 2ⁿ by chance.
    fn change(&self, rule: CounterRule) -> CounterChange {
        let (a, b) = (self.a_per_call, self.b_per_call);
        let gap = (b - a).abs();
        if gap <= COUNTS_ALIKE || gap <= COUNTERS_ALIKE * a.max(b) {
            return CounterChange::Alike;
        }
        let direction = if b > a { CounterChange::More } else { CounterChange::Fewer };
        let agreeing = if b > a { self.more } else { self.fewer };
        let enough = match rule {
            CounterRule::EveryPair { alpha } => self.pairs >= paired::pairs_needed(alpha),
            CounterRule::FewRuns => gap > SUMS_APART * self.standard_error(),
        };
        if enough && agreeing == self.pairs { direction } else { CounterChange::Unclear }
    }
}

impl Counted {
    /// Of the difference, as if the count of an execution were drawn with a standard deviation of its mean (some keys have many
    /// rows, some few) and a Poisson part besides (a block is read now and then).
    fn standard_error(&self) -> f64 {
        let variance = |mean: f64| mean * mean + mean;
        (variance(self.a_per_call) / self.a_calls + variance(self.b_per_call) / self.b_calls).sqrt()
    }
}

/// The course of the measurement.
fn slices(
    header: &Header,
    stages: &[Placed<'_>],
    prepared: &[Prepared],
    compared: &[(u32, Sides<'_>)],
) -> Vec<SliceInfo> {
    let mut slices: Vec<SliceInfo> = Vec::new();
    for (index, placed) in stages.iter().enumerate() {
        let Some(plan) = header.stages.get(placed.id.index()) else { continue };
        let Some(slice) = plan.slice.filter(|_| plan.measured) else { continue };
        let warm_up = index.checked_sub(1).map(|before| stages[before]).filter(|before| {
            let plan = header.stages.get(before.id.index());
            plan.is_some_and(|plan| !plan.measured && plan.slice == Some(slice))
        });
        let first = warm_up.unwrap_or(*placed);
        let before = prepared.iter().find(|prepared| prepared.stage == first.id);
        let mut steps: Vec<SliceStep> = before
            .iter()
            .flat_map(|prepared| &prepared.steps)
            .map(|step| SliceStep {
                what: step_name(step.what).to_owned(),
                s: step.span.duration().as_secs_f64(),
            })
            .collect();
        let named = |what: &str, stage: &Stage| SliceStep { what: what.to_owned(), s: stage.duration_s };
        steps.extend(warm_up.map(|warm_up| named("warm_up", warm_up.stage)));
        steps.push(named("measure", placed.stage));
        let from = before.and_then(|prepared| prepared.steps.first()).map(|step| step.span.from);
        slices.push(SliceInfo {
            stage: placed.stage.name.clone(),
            pair: slice.pair + 1,
            arm: match slice.arm {
                Arm::A => "a".to_owned(),
                Arm::B => "b".to_owned(),
            },
            t_s: from.unwrap_or(first.began_at).as_secs_f64(),
            steps,
            compared: compared.iter().any(|(pair, _)| *pair == slice.pair),
        });
    }
    slices
}

fn step_name(step: PreparedBy) -> &'static str {
    match step {
        PreparedBy::Script => "script",
        PreparedBy::Indexes => "indexes",
        PreparedBy::Settle => "settle",
        PreparedBy::Checkpoint => "checkpoint",
        PreparedBy::Restart => "restart",
        PreparedBy::Connect => "connect",
    }
}

/// Whether the report's own tests of the measurement let anything be decided.
pub(super) fn is_valid(report: &Report) -> bool {
    report.generator.valid
        && !report.findings.iter().any(|finding| finding.severity == crate::model::Severity::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(a: (u64, u64), b: (u64, u64), more: usize, pairs: usize) -> Counted {
        let (a_calls, b_calls) = (a.1 as f64, b.1 as f64);
        Counted {
            a_per_call: a.0 as f64 / a_calls,
            b_per_call: b.0 as f64 / b_calls,
            a_calls,
            b_calls,
            pairs,
            more,
            fewer: pairs - more,
        }
    }

    #[test]
    fn counters_of_pairs_must_all_agree_and_be_enough() {
        let rule = CounterRule::EveryPair { alpha: 0.01 };
        let change = |more, pairs| counted((4_000, 1_000), (5_000, 1_000), more, pairs).change(rule);
        assert_eq!(change(8, 8), CounterChange::More);
        assert_eq!(change(7, 8), CounterChange::Unclear);
        assert_eq!(change(7, 7), CounterChange::Unclear, "two in 128 are not one in a hundred");
        let alike = counted((40_000, 10_000), (40_700, 10_000), 8, 8);
        assert_eq!(alike.change(rule), CounterChange::Alike, "less than 2 %");
        let fewer = counted((9_000, 1_000), (100, 1_000), 0, 9);
        assert_eq!(fewer.change(rule), CounterChange::Fewer);
    }

    #[test]
    fn counters_of_one_run_each_must_differ_by_more_than_other_keys_explain() {
        let change = |a, b| {
            let b: (u64, u64) = b;
            let a: (u64, u64) = a;
            let more = usize::from(b.0 * a.1 > a.0 * b.1);
            counted(a, b, more, 1).change(CounterRule::FewRuns)
        };
        // As two runs of a second of one workload gave them.
        assert_eq!(change((26_450, 500), (25_250, 500)), CounterChange::Unclear);
        assert_eq!(change((1, 4), (2, 4)), CounterChange::Unclear);
        // Another plan.
        assert_eq!(change((2_000, 500), (45_000, 500)), CounterChange::More);
        assert_eq!(change((400_000, 100_000), (360_000, 100_000)), CounterChange::Fewer);
        assert_eq!(change((0, 1_000), (500, 1_000)), CounterChange::More);
        assert_eq!(change((500, 500), (500, 500)), CounterChange::Alike);
    }
}
