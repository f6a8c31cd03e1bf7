//! The verdict: each condition against what was measured. A difference of times alone, in stages that followed each other, is no
//! proof; it counts where a plan or a counter changed as well, or where the other statements did not change alike.

use crate::model::{
    ChangeLimit, ChangeVerdict, Comparison, Condition, ConditionResult, CounterChange, Migration,
    MigrationOutcome, Report, Verdict,
};

use super::outcome::seconds;

/// Statements beside the slower one whose times tell whether the machine as a whole grew slower.
const OTHERS_MIN: usize = 2;

/// The conditions that limit a metric.
pub(super) fn limits(conditions: &[String]) -> Vec<ChangeLimit> {
    let limit = |text: &String| match text.parse() {
        Ok(Condition::Change(limit)) => Some(limit),
        // Only a journal that was edited by hand holds another: the plan was checked before the run.
        _ => None,
    };
    conditions.iter().filter_map(limit).collect()
}

/// Each condition with what was measured.
pub(super) fn judge(conditions: &[String], migration: &Migration) -> Vec<ConditionResult> {
    let result = |text: &String| {
        let (measured, verdict) = match text.parse() {
            Ok(condition) => one(&condition, migration),
            Err(error) => (format!("no condition: {error}"), Verdict::Inconclusive),
        };
        ConditionResult { condition: text.clone(), measured, verdict }
    };
    conditions.iter().map(result).collect()
}

fn one(condition: &Condition, migration: &Migration) -> (String, Verdict) {
    let blast = &migration.blast;
    let decided = |holds: bool| if holds { Verdict::Fail } else { Verdict::Pass };
    let us = |limit: &std::time::Duration| u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    match condition {
        Condition::Blocked(limit) => {
            let words = match blast.blocked {
                0 => "nothing seen".to_owned(),
                _ => format!("{} the longest", seconds(blast.blocked_us_max)),
            };
            (words, decided(blast.blocked_us_max > us(limit)))
        }
        Condition::BlockedTotal(limit) => (
            format!("{} together", seconds(blast.blocked_us_total)),
            decided(blast.blocked_us_total > us(limit)),
        ),
        Condition::Failures(limit) => {
            let failed = blast.failed + blast.skipped;
            (format!("{} failed, {} skipped", blast.failed, blast.skipped), decided(failed > *limit))
        }
        Condition::Rewrite => {
            let mut tables: Vec<&str> =
                migration.statements.iter().flat_map(|of| &of.rewritten).map(String::as_str).collect();
            tables.dedup();
            let words = if tables.is_empty() { "none".to_owned() } else { tables.join(", ") };
            (words, decided(!tables.is_empty()))
        }
        Condition::InvalidIndex => {
            let left = &migration.left.invalid_indexes;
            let words = if left.is_empty() { "none".to_owned() } else { left.join(", ") };
            (words, decided(!left.is_empty()))
        }
        Condition::Slower(by) => slower(*by, migration.before_after.as_ref()),
        Condition::Change(limit) => changed(limit, migration.before_after.as_ref()),
    }
}

fn percent(ratio: f64) -> String {
    format!("{:+.0} %", (ratio - 1.0) * 100.0)
}

fn changed(limit: &ChangeLimit, comparison: Option<&Comparison>) -> (String, Verdict) {
    let name = limit.metric.to_string();
    let found = comparison.and_then(|of| of.metrics.iter().find(|metric| metric.metric == name));
    let Some(metric) = found else { return ("not measured".to_owned(), Verdict::Inconclusive) };
    let words = match (metric.ratio, metric.simultaneous) {
        (Some(ratio), Some((low, high))) => {
            format!("{}, surely {} to {}", percent(ratio), percent(low), percent(high))
        }
        (Some(ratio), None) => format!("{}, too few samples to be sure", percent(ratio)),
        _ => "too few samples".to_owned(),
    };
    let verdict = match metric.limit_kept {
        Some(true) => Verdict::Pass,
        Some(false) => Verdict::Fail,
        None => Verdict::Inconclusive,
    };
    (words, verdict)
}

/// Statements whose mean is surely longer than accepted, and something besides the clock says so.
fn slower(by: f64, comparison: Option<&Comparison>) -> (String, Verdict) {
    let Some(comparison) = comparison else { return ("not measured".to_owned(), Verdict::Inconclusive) };
    let means: Vec<_> = comparison
        .metrics
        .iter()
        .filter_map(|metric| Some((metric.metric.strip_suffix(".execute.mean")?, metric)))
        .collect();
    if means.iter().all(|(_, metric)| metric.simultaneous.is_none()) {
        return ("too few samples to be sure".to_owned(), Verdict::Inconclusive);
    }
    let mut sure: Vec<String> = Vec::new();
    let mut doubtful: Vec<String> = Vec::new();
    for (name, metric) in &means {
        let (Some(ratio), Some((low, _))) = (metric.ratio, metric.simultaneous) else { continue };
        if low <= 1.0 + by || metric.verdict == ChangeVerdict::Better {
            continue;
        }
        let others: Vec<f64> =
            means.iter().filter(|(other, _)| other != name).filter_map(|(_, metric)| metric.ratio).collect();
        let by_all = typical(others);
        let is_its_own = by_all.is_some_and(|all| low / all.max(1.0) > 1.0 + by);
        let words = format!("{name} {}", percent(ratio));
        if is_its_own || has_other_plan(comparison, name) || counts_more(comparison, name) {
            sure.push(words);
        } else {
            doubtful.push(words);
        }
    }
    match (sure.is_empty(), doubtful.is_empty()) {
        (false, _) => (sure.join(", "), Verdict::Fail),
        (true, false) => {
            let words = format!("{}; no plan or counter changed: perhaps the machine", doubtful.join(", "));
            (words, Verdict::Inconclusive)
        }
        (true, true) => ("no statement".to_owned(), Verdict::Pass),
    }
}

/// The median change of the other statements, where there are enough of them.
fn typical(mut others: Vec<f64>) -> Option<f64> {
    if others.len() < OTHERS_MIN {
        return None;
    }
    others.sort_by(f64::total_cmp);
    Some(others[others.len() / 2])
}

fn has_other_plan(comparison: &Comparison, statement: &str) -> bool {
    comparison.plans.iter().any(|plan| plan.statement == statement)
}

fn counts_more(comparison: &Comparison, statement: &str) -> bool {
    comparison.counters.iter().any(|of| {
        of.statement == statement && of.change == CounterChange::More && of.counter != "wal_full_page_images"
    })
}

/// The verdict of a migration check: that of its conditions and of the budgets.
pub(in crate::analysis) fn verdict(report: &Report, migration: &Migration) -> Verdict {
    let is_valid = crate::analysis::comparison::is_valid(report);
    let conditions = migration.conditions.iter().map(|of| of.verdict);
    let all: Vec<Verdict> = conditions.chain([report.verdict]).collect();
    match () {
        () if matches!(migration.outcome, MigrationOutcome::Failed | MigrationOutcome::Stopped) => {
            Verdict::Fail
        }
        () if !is_valid => Verdict::Inconclusive,
        () if all.contains(&Verdict::Fail) => Verdict::Fail,
        () if all.contains(&Verdict::Inconclusive) || migration.outcome == MigrationOutcome::Unknown => {
            Verdict::Inconclusive
        }
        () => Verdict::Pass,
    }
}
