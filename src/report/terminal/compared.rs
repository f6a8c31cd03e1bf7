//! Two runs or two groups of runs: what they are, in what they differ besides, and the differences.

use super::comparison;
use super::page::{Page, Style};
use super::value::plural;
use super::{Detail, Options, WIDTH_MAX, WIDTH_MIN};
use crate::model::{ChangeVerdict, CompareReport, CounterChange, RunGroup, Unlike, Verdict};

/// Runs of a side that are named; the rest is counted.
const RUNS_NAMED: usize = 4;

/// The page of a comparison of stored runs.
#[must_use]
pub fn render(report: &CompareReport, options: &Options) -> String {
    let mut page = Page::new(options.width.clamp(WIDTH_MIN, WIDTH_MAX), options.colour);
    let (style, badge, sentence) = verdict(report);
    page.line(&[
        (style, badge),
        (Style::Plain, "  "),
        (Style::Bold, &report.workload),
        (Style::Plain, &format!(": {sentence}")),
    ]);
    page.blank();
    sides(&mut page, report);
    comparison::section(&mut page, &report.comparison, options.detail == Detail::Full);
    page.finish()
}

/// What is compared, and in what the two differ besides.
pub(super) fn sides(page: &mut Page, report: &CompareReport) {
    page.labelled(0, "A, base", Style::Plain, &group(&report.base));
    page.labelled(0, "B", Style::Plain, &group(&report.candidate));
    for unlike in &report.unlike {
        page.labelled(0, "differ in", Style::Caution, &difference(unlike));
    }
}

/// `the setting shared_buffers (settings): 128MB, and 1GB in the candidate`.
#[must_use]
pub fn difference(unlike: &Unlike) -> String {
    format!("{} ({}): {}, and {} in the candidate", unlike.what, unlike.id, unlike.base, unlike.candidate)
}

fn group(group: &RunGroup) -> String {
    let named: Vec<&str> = group.runs.iter().take(RUNS_NAMED).map(String::as_str).collect();
    let rest = group.runs.len().saturating_sub(RUNS_NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    match group.runs.as_slice() {
        [run] if *run == group.name => run.clone(),
        runs => {
            format!("{}: {}, {}{more}", group.name, plural(runs.len() as u64, "run"), named.join(", "))
        }
    }
}

pub(super) fn verdict(report: &CompareReport) -> (Style, &'static str, String) {
    let comparison = &report.comparison;
    let limited: Vec<_> = comparison.metrics.iter().filter(|metric| metric.limit.is_some()).collect();
    let kept = |kept| limited.iter().filter(|metric| metric.limit_kept == kept).count();
    let of =
        |number: usize, what: &str| format!("{number} of {} {what}", plural(limited.len() as u64, "limit"));
    match report.verdict {
        Verdict::Pass => (Style::Good, "PASS", of(kept(Some(true)), "kept")),
        Verdict::Fail => (Style::Bad, "FAIL", of(kept(Some(false)), "broken")),
        Verdict::Inconclusive => (Style::Caution, "INCONCLUSIVE", of(kept(None), "unclear")),
        Verdict::None => (Style::Bold, "COMPARED", found(report)),
    }
}

/// Without limits: what differs.
fn found(report: &CompareReport) -> String {
    let comparison = &report.comparison;
    let times = |verdict| comparison.metrics.iter().filter(|metric| metric.verdict == verdict).count();
    let counters = |change| comparison.counters.iter().filter(|counter| counter.change == change).count();
    let differing = counters(CounterChange::More) + counters(CounterChange::Fewer);
    let counted = match differing {
        0 => "all counters are alike".to_owned(),
        some => format!("{} differ", plural(some as u64, "counter")),
    };
    if report.comparison.pairs < 2 || times(ChangeVerdict::Inconclusive) == comparison.metrics.len() {
        return format!("times cannot be told apart, {counted}");
    }
    format!(
        "B is worse in {} and better in {} of {}, {counted}",
        times(ChangeVerdict::Worse),
        times(ChangeVerdict::Better),
        plural(comparison.metrics.len() as u64, "metric")
    )
}
