//! The verdict: each condition against what was measured. A difference of times alone, in stages that followed each other, is no
//! proof; it counts where a plan or a counter changed as well, or where the other statements did not change alike.

use crate::model::{
    ChangeLimit, Comparison, Condition, ConditionResult, CounterChange, MetricDifference, Migration,
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
        Condition::Breaks => match &migration.also_prepared {
            None => ("not asked: --also-prepare names the statements".to_owned(), Verdict::Inconclusive),
            Some(prepared) => {
                let names: Vec<&str> = prepared.broken.iter().map(|of| of.statement.as_str()).collect();
                let words = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                (words, decided(!names.is_empty()))
            }
        },
        Condition::WayBack => match migration.rehearsals.iter().find(|of| of.kind == "down") {
            None => ("not rehearsed".to_owned(), Verdict::Inconclusive),
            Some(down) => match down.outcome {
                MigrationOutcome::Applied => ("it came to its end".to_owned(), Verdict::Pass),
                MigrationOutcome::Failed | MigrationOutcome::Stopped => (down.answer.clone(), Verdict::Fail),
                MigrationOutcome::Unknown => (down.answer.clone(), Verdict::Inconclusive),
            },
        },
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

/// Statements that surely take longer than accepted, by their mean or by their median, and something besides the clock says so.
///
/// Where a plan or a counter of the statement changed, it was singled out by that and not by its time: then its own interval at 95 %
/// decides. Else that of all metrics together does, and the other statements must not have changed alike, unless before and behind
/// were measured by turns: then the machine was the same for both.
fn slower(by: f64, comparison: Option<&Comparison>) -> (String, Verdict) {
    let Some(comparison) = comparison else { return ("not measured".to_owned(), Verdict::Inconclusive) };
    let of_statements = |statistic: &str| -> Vec<(String, &MetricDifference)> {
        let ending = format!(".execute.{statistic}");
        let named = |metric: &'_ MetricDifference| metric.metric.strip_suffix(&ending).map(str::to_owned);
        comparison.metrics.iter().filter_map(|metric| Some((named(metric)?, metric))).collect()
    };
    let mut judged = false;
    let mut sure: Vec<String> = Vec::new();
    let mut doubtful: Vec<String> = Vec::new();
    for statistic in ["mean", "p50"] {
        let metrics = of_statements(statistic);
        for (name, metric) in &metrics {
            let (Some(ratio), Some((low_alone, _)), Some((low, _))) =
                (metric.ratio, metric.interval, metric.simultaneous)
            else {
                continue;
            };
            judged = true;
            let words = format!("{name} {}", percent(ratio));
            let is_known = |list: &[String]| list.iter().any(|of| of.starts_with(&format!("{name} ")));
            let singled_out = has_other_plan(comparison, name) || counts_more(comparison, name);
            let others = metrics.iter().filter(|(other, _)| other != name);
            let by_all = typical(others.filter_map(|(_, metric)| metric.ratio).collect());
            let is_its_own = if comparison.pairs > 0 {
                low > 1.0 + by
            } else {
                by_all.is_some_and(|all| low / all.max(1.0) > 1.0 + by)
            };
            if (singled_out && low_alone > 1.0 + by || is_its_own) && !is_known(&sure) {
                sure.push(words);
            } else if low > 1.0 + by && !is_known(&doubtful) {
                doubtful.push(words);
            }
        }
    }
    match (sure.is_empty(), doubtful.is_empty()) {
        _ if !judged => ("too few samples to be sure".to_owned(), Verdict::Inconclusive),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChangeVerdict, PlanDifference};

    /// A statement whose mean changed by `ratio`, alone and with all others sure to a tenth and a half of it.
    fn mean(statement: &str, ratio: f64) -> MetricDifference {
        MetricDifference {
            stage: None,
            metric: format!("{statement}.execute.mean"),
            unit: "us".to_owned(),
            a: Some(100.0),
            b: Some(100.0 * ratio),
            ratio: Some(ratio),
            interval: Some((ratio * 0.9, ratio * 1.1)),
            simultaneous: Some((ratio * 0.5, ratio * 2.0)),
            p_adjusted: Some(0.5),
            visible: Some(2.0),
            verdict: ChangeVerdict::Inconclusive,
            limit: None,
            limit_kept: None,
            pairs: 0,
            pairs_needed: None,
            second_to_first: None,
            second_to_first_p: None,
            drift: None,
        }
    }

    fn comparison(metrics: Vec<MetricDifference>, with_other_plan: &[&str]) -> Comparison {
        let plan = |statement: &&str| PlanDifference {
            statement: (*statement).to_owned(),
            ..PlanDifference::default()
        };
        Comparison {
            a: "before".to_owned(),
            b: "behind".to_owned(),
            pairs: 0,
            pairs_planned: 0,
            until_decided: false,
            confidence: 0.99,
            answer: String::new(),
            metrics,
            counters: Vec::new(),
            plans: with_other_plan.iter().map(plan).collect(),
            slices: Vec::new(),
        }
    }

    #[test]
    fn a_changed_plan_singles_a_statement_out() {
        let one = vec![mean("a.find", 1.5), mean("a.get", 1.5)];
        let (words, verdict) = slower(0.2, Some(&comparison(one.clone(), &["a.find"])));
        assert_eq!((words.as_str(), verdict), ("a.find +50 %", Verdict::Fail));
        // Among all, a half and the double of it say nothing.
        assert_eq!(slower(0.2, Some(&comparison(one, &[]))).1, Verdict::Pass);
        // A plan that changed and costs nothing is none to fail for.
        let free = vec![mean("a.find", 1.05), mean("a.get", 1.0)];
        assert_eq!(slower(0.2, Some(&comparison(free, &["a.find"]))).1, Verdict::Pass);
    }

    #[test]
    fn what_all_statements_do_may_be_the_machine() {
        let all = ["a.one", "a.two", "a.three"].map(|of| mean(of, 3.0)).to_vec();
        let (words, verdict) = slower(0.2, Some(&comparison(all, &[])));
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(words.contains("a.one +200 %") && words.ends_with("perhaps the machine"), "{words}");
        let one = vec![mean("a.one", 3.0), mean("a.two", 1.0), mean("a.three", 1.1)];
        let (words, verdict) = slower(0.2, Some(&comparison(one, &[])));
        assert_eq!((words.as_str(), verdict), ("a.one +200 %", Verdict::Fail));
    }

    #[test]
    fn by_turns_the_machine_is_no_excuse() {
        let all = ["a.one", "a.two", "a.three"].map(|of| mean(of, 3.0)).to_vec();
        let by_turns = Comparison { pairs: 8, ..comparison(all, &[]) };
        assert_eq!(slower(0.2, Some(&by_turns)).1, Verdict::Fail);
        let unsure = Comparison { pairs: 8, ..comparison(vec![mean("a.one", 1.5)], &[]) };
        assert_eq!(slower(0.2, Some(&unsure)).1, Verdict::Pass);
    }

    #[test]
    fn without_intervals_nothing_is_sure() {
        let mut few = mean("a.find", 9.0);
        (few.interval, few.simultaneous) = (None, None);
        assert_eq!(slower(0.2, Some(&comparison(vec![few], &["a.find"]))).1, Verdict::Inconclusive);
        assert_eq!(slower(0.2, None).1, Verdict::Inconclusive);
    }
}
