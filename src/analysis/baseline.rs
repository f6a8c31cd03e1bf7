//! Budgets against other runs. One run says nothing of how far runs of the same thing lie apart: it takes at least three, and the
//! interval of the difference comes from how far they do. Times are compared as ratios, so their logarithms are.

use crate::model::metric::Unit;
use crate::model::{BudgetResult, ChangeLimit, ComparedMetric, RelativeBudget, Report, Stage, Verdict};
use crate::record::baseline::BaselineBudget;

use super::comparable::unlike;
use super::student;

/// Runs of a baseline from which how far runs lie apart is known at all.
const RUNS_MIN: usize = 3;
/// One less the error rate of an interval, both of its ends together.
const CONFIDENCE: f64 = 0.95;

/// Each budget with what was measured, by the stage that is worst.
pub(super) fn judge(budgets: &[BaselineBudget], report: &Report) -> Vec<BudgetResult> {
    budgets.iter().map(|budget| judge_one(budget, report)).collect()
}

/// What one stage says.
struct Judgement {
    stage: String,
    verdict: Verdict,
    measured: String,
    reason: Option<String>,
    /// How many times worse than the baseline: greater is worse.
    worse: f64,
}

impl Judgement {
    fn unknown(stage: &str, reason: String) -> Self {
        Self {
            stage: stage.to_owned(),
            verdict: Verdict::Inconclusive,
            measured: "–".to_owned(),
            reason: Some(reason),
            worse: f64::NEG_INFINITY,
        }
    }

    fn rank(&self) -> u8 {
        match self.verdict {
            Verdict::Fail => 2,
            Verdict::Inconclusive => 1,
            Verdict::Pass | Verdict::None => 0,
        }
    }
}

fn judge_one(budget: &BaselineBudget, report: &Report) -> BudgetResult {
    let limit = budget.metric.parse().map(|metric| ChangeLimit { metric, worse_by: budget.worse_by });
    let (worst, shown) = match &limit {
        Ok(limit) => {
            (worst(budget, limit, report), format!("{} of {}", RelativeBudget::change(limit), budget.of))
        }
        // Only a journal that was edited by hand gets here: the plan was checked before the run.
        Err(error) => {
            (Judgement::unknown("", error.to_string()), format!("{} of {}", budget.worse_by, budget.of))
        }
    };
    BudgetResult {
        metric: limit.map_or_else(|_| budget.metric.clone(), |limit| limit.metric.to_string()),
        limit: shown,
        stage: worst.stage,
        measured: worst.measured,
        verdict: worst.verdict,
        reason: worst.reason.filter(|_| worst.verdict == Verdict::Inconclusive),
    }
}

fn worst(budget: &BaselineBudget, limit: &ChangeLimit, report: &Report) -> Judgement {
    if let Some(reason) = not_comparable(budget, report) {
        return Judgement::unknown("", reason);
    }
    let measured = report.stages.iter().filter(|stage| stage.measured);
    let judged = measured.map(|stage| stage_of(budget, limit, stage));
    judged
        .max_by(|a, b| a.rank().cmp(&b.rank()).then(a.worse.total_cmp(&b.worse)))
        .unwrap_or_else(|| Judgement::unknown("", "no stage was measured".to_owned()))
}

/// In what the run differs from the baseline and should not, beside what the user accepts.
fn not_comparable(budget: &BaselineBudget, report: &Report) -> Option<String> {
    if budget.runs.is_empty() {
        return Some(format!(
            "no run is called {0} yet, and none has the tag: `dbdyno run --tag {0}` measures one",
            budget.of
        ));
    }
    let Ok(base) = serde_json::from_value::<Report>(budget.like.clone()) else {
        return Some(format!("what {} was measured on is not known", budget.of));
    };
    let refused: Vec<_> =
        unlike(&base, report).into_iter().filter(|one| !budget.across.contains(&one.id)).collect();
    let first = refused.first()?;
    let mut kinds: Vec<&str> = refused.iter().map(|one| one.id.as_str()).collect();
    kinds.dedup();
    Some(format!(
        "not comparable with {}: {} is {}, and was {} (--across {} accepts it)",
        budget.of,
        first.what,
        first.candidate,
        first.base,
        kinds.join(",")
    ))
}

fn stage_of(budget: &BaselineBudget, limit: &ChangeLimit, stage: &Stage) -> Judgement {
    let unknown = |reason: String| Judgement::unknown(&stage.name, reason);
    let Some(value) = limit.metric.measure(stage).filter(|value| *value > 0.0) else {
        return unknown("the samples of this run do not carry it".to_owned());
    };
    let values = budget.stages.iter().find(|of| of.name == stage.name).map_or(&[][..], |of| &of.values);
    let logs: Vec<f64> = values.iter().filter(|value| **value > 0.0).map(|value| value.ln()).collect();
    let Some(mean) = mean(&logs) else {
        return unknown(format!("{} has no such value in a stage of that name", budget.of));
    };
    let change = value.ln() - mean;
    let against = format!("{} against {}", shown(&limit.metric, value), shown(&limit.metric, mean.exp()));
    let worse = if limit.metric.is_wanted_high() { -change } else { change };
    let Some(half) = half_width(&logs, mean) else {
        let measured = format!("{} ({against})", percent(change.exp()));
        let runs =
            if logs.len() == 1 { "one run says".to_owned() } else { format!("{} runs say", logs.len()) };
        let reason = format!(
            "{runs} too little of how far runs of the same lie apart: give --baseline a tag of at least {RUNS_MIN} runs"
        );
        return Judgement { measured, worse, ..unknown(reason) };
    };
    let (low, high) = ((change - half).exp(), (change + half).exp());
    let verdict = verdict(limit, low, high);
    Judgement {
        stage: stage.name.clone(),
        verdict,
        measured: format!("{} ({} to {}; {against})", percent(change.exp()), percent(low), percent(high)),
        reason: Some(format!("the interval reaches across the limit; {} runs of {}", logs.len(), budget.of)),
        worse,
    }
}

/// By where the interval lies against the limit.
fn verdict(limit: &ChangeLimit, low: f64, high: f64) -> Verdict {
    let (keeps, breaks) = if limit.metric.is_wanted_high() {
        let bound = 1.0 - limit.worse_by;
        (low >= bound, high < bound)
    } else {
        let bound = 1.0 + limit.worse_by;
        (high <= bound, low > bound)
    };
    match (keeps, breaks) {
        (true, _) => Verdict::Pass,
        (_, true) => Verdict::Fail,
        _ => Verdict::Inconclusive,
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Half the width of the interval of one further run's difference from the mean of these: t × s × √(1 + 1/n), Student's t with
/// n − 1 degrees of freedom (the prediction interval of a normal sample). Nothing below [`RUNS_MIN`].
fn half_width(logs: &[f64], mean: f64) -> Option<f64> {
    let n = logs.len() as f64;
    (logs.len() >= RUNS_MIN).then(|| {
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1.0);
        student::quantile(f64::midpoint(1.0, CONFIDENCE), n - 1.0) * (variance * (1.0 + 1.0 / n)).sqrt()
    })
}

fn percent(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// A value in its unit; of a measure or a gauge, whose unit the workload knows, the number.
fn shown(metric: &ComparedMetric, value: f64) -> String {
    let unit = match metric {
        ComparedMetric::Statement { .. } => Some(Unit::Time),
        ComparedMetric::Path(path) => path.unit(),
    };
    unit.unwrap_or(Unit::Count).show(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::baseline::BaselineStage;

    fn limit(text: &str) -> ChangeLimit {
        text.parse().expect("a limit on a change")
    }

    fn budget(values: &[f64]) -> BaselineBudget {
        BaselineBudget {
            metric: "throughput".to_owned(),
            worse_by: 0.1,
            of: "main".to_owned(),
            runs: Vec::new(),
            stages: vec![BaselineStage { name: "run".to_owned(), values: values.to_vec() }],
            like: serde_json::Value::Null,
            across: Vec::new(),
        }
    }

    fn judged(values: &[f64], achieved_per_s: f64) -> Judgement {
        let stage = Stage { name: "run".to_owned(), measured: true, achieved_per_s, ..Stage::default() };
        stage_of(&budget(values), &limit("throughput -10%"), &stage)
    }

    #[test]
    fn the_interval_against_the_limit_decides() {
        // Runs with a standard deviation of 0.5 %: × 4.30 (Student's t with two degrees of freedom) × √(4/3) is 2.5 %.
        let close = [995.0, 1_000.0, 1_005.0];
        assert_eq!(judged(&close, 990.0).verdict, Verdict::Pass);
        assert_eq!(judged(&close, 700.0).verdict, Verdict::Fail);
        let near = judged(&close, 905.0);
        assert_eq!(near.verdict, Verdict::Inconclusive, "the interval reaches from 7 to 12 % less");
        assert!(
            near.measured.starts_with("-9.5 % (-11.7 % to -7.2 %; 905/s against 1000/s)"),
            "{}",
            near.measured
        );
        // Runs of which one is twice another say little of any change.
        assert_eq!(judged(&[600.0, 900.0, 1_200.0], 700.0).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn one_run_decides_nothing() {
        let one = judged(&[1_000.0], 500.0);
        assert_eq!(one.verdict, Verdict::Inconclusive);
        assert!(one.measured.starts_with("-50.0 %"), "it is shown all the same: {}", one.measured);
        assert!(one.reason.as_deref().is_some_and(|reason| reason.contains("at least 3 runs")));
        assert!(judged(&[], 500.0).reason.is_some_and(|reason| reason.contains("no such value")));
    }

    #[test]
    fn the_interval_is_that_of_a_further_run() {
        // Of 1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.302653 (tables of Student's distribution), × √(4/3).
        let half = half_width(&[1.0, 2.0, 3.0], 2.0).expect("three values");
        assert!((half - 4.302_653 * (4.0_f64 / 3.0).sqrt()).abs() < 1e-4, "{half}");
        assert_eq!(half_width(&[1.0, 2.0], 1.5), None);
    }
}
