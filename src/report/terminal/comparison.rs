//! Two arms or two groups of runs side by side: each metric with its difference, counters, the course of the slices.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::plans;
use super::value::plural;
use crate::model::{ChangeVerdict, Comparison, CounterChange, CounterDifference, MetricDifference};
use crate::report::format::{DASH, NBSP, bytes, decimal, duration_us, length_s, per_call, rate};

/// Metrics that a summary shows, limits and differences first.
const METRICS_SHOWN: usize = 12;
/// A factor from which a change is written as one.
const FACTOR: f64 = 2.0;
/// An effect of the order, or a drift, is told of from this ratio on.
const NOTABLE: f64 = 1.05;
/// And with an effect of the order that chance makes as rarely as this.
const NOTABLE_P: f64 = 0.01;

/// The differences, the answer, the counters.
pub(super) fn section(page: &mut Page, comparison: &Comparison, full: bool) {
    let shown = shown(&comparison.metrics, full);
    let all = comparison.metrics.len();
    let note = match shown.len() {
        0 => String::new(),
        few if few < all => format!("B against A; {few} of {all}, --full shows all"),
        _ => "B against A".to_owned(),
    };
    page.heading("differences", &note);
    let mut grid = Grid::new(vec![
        Column::text("of", 12),
        Column::fixed(""),
        Column::number("A"),
        Column::number("B").spare(2),
        Column::number("change"),
        Column::fixed("95 % interval"),
        Column::number("sees").spare(1),
        Column::fixed("verdict"),
    ]);
    for metric in &shown {
        grid.row(row(metric));
    }
    if !grid.is_empty() {
        page.grid(&grid);
        let key = format!(
            "verdicts hold for all {all} together at {}; sees: the smallest change that would have been found with a \
             probability of 80{NBSP}%",
            confidence(comparison.confidence)
        );
        page.paragraph(INDENT, Style::Dim, &key);
        page.blank();
    }
    page.paragraph(INDENT, Style::Bold, &comparison.answer);
    remarks(page, comparison);
    counters(page, &comparison.counters, full);
    plans::differences(page, &comparison.plans, full);
    if full {
        slices(page, comparison);
    }
}

/// `99 %`, `99.87 %`.
fn confidence(share: f64) -> String {
    let percent = share * 100.0;
    let digits = usize::from((percent - percent.round()).abs() > 1e-6) * 2;
    format!("{}{NBSP}%", decimal(percent, digits))
}

/// All, or limits, then what differs, then the main figures, in the order of the model.
fn shown(metrics: &[MetricDifference], full: bool) -> Vec<&MetricDifference> {
    if full || metrics.len() <= METRICS_SHOWN {
        return metrics.iter().collect();
    }
    let rank = |metric: &MetricDifference| match metric.verdict {
        _ if metric.limit.is_some() => 0,
        ChangeVerdict::Worse | ChangeVerdict::Better => 1,
        _ if metric.metric.matches('.').count() < 2 => 2,
        _ if metric.metric.ends_with("response.mean") => 3,
        _ => 4,
    };
    let mut order: Vec<usize> = (0..metrics.len()).collect();
    order.sort_by_key(|index| rank(&metrics[*index]));
    order.truncate(METRICS_SHOWN);
    order.sort_unstable();
    order.into_iter().map(|index| &metrics[index]).collect()
}

fn row(metric: &MetricDifference) -> Vec<Cell> {
    let value =
        |value: Option<f64>| Cell::new(value.map_or_else(|| DASH.to_owned(), |value| show(metric, value)));
    let interval = metric
        .interval
        .map_or_else(|| DASH.to_owned(), |(low, high)| format!("{} to {}", change(low), change(high)));
    let (of, figure) = parts(&metric.metric);
    let of = metric.stage.as_ref().map_or_else(|| of.clone(), |stage| format!("{stage}: {of}"));
    vec![
        Cell::new(of),
        Cell::new(figure),
        value(metric.a),
        value(metric.b),
        Cell::new(metric.ratio.map_or_else(|| DASH.to_owned(), change)),
        Cell::new(interval),
        Cell::new(metric.visible.map_or_else(|| DASH.to_owned(), size)),
        verdict(metric),
    ]
}

/// Whose figure it is, and which: `checkout` and `p99`. Response and execution times are not named, as every table has them.
fn parts(metric: &str) -> (String, String) {
    let (path, figure) = metric.rsplit_once('.').unwrap_or(("", metric));
    let whole = |of: &str| if of.is_empty() { "all".to_owned() } else { of.to_owned() };
    let named = path.rsplit_once('.').unwrap_or(("", path));
    match named {
        (of, "response" | "execute") => (whole(of), figure.to_owned()),
        (of, phase @ ("service" | "pool_wait" | "lag")) => {
            (whole(of), format!("{} {figure}", phase.replace('_', " ")))
        }
        _ => (whole(path), figure.to_owned()),
    }
}

/// Where there is a limit, what becomes of it; else the direction.
fn verdict(metric: &MetricDifference) -> Cell {
    let (style, word) = match (&metric.limit, metric.limit_kept, metric.verdict) {
        (Some(_), Some(true), _) => (Style::Good, "kept"),
        (Some(_), Some(false), _) => (Style::Bad, "BROKEN"),
        (Some(_), None, _) => (Style::Caution, "unclear"),
        (None, _, ChangeVerdict::Better) => (Style::Good, "better"),
        (None, _, ChangeVerdict::Worse) => (Style::Bad, "WORSE"),
        (None, _, ChangeVerdict::Same) => (Style::Good, "same"),
        (None, _, ChangeVerdict::Inconclusive) if metric.pairs_needed.is_some() => (Style::Dim, "too few"),
        (None, _, ChangeVerdict::Inconclusive) => (Style::Plain, "none seen"),
    };
    let limit = metric.limit.as_ref().map_or_else(String::new, |limit| format!("{limit}{NBSP}"));
    Cell::new(format!("{limit}{word}")).style(style)
}

fn show(metric: &MetricDifference, value: f64) -> String {
    match metric.unit.as_str() {
        "us" => duration_us(value),
        "per_s" => format!("{}/s", rate(value)),
        // A value of the workload's own is not larger than 2^40.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        "bytes" => bytes(value.round() as u64),
        _ => per_call(value),
    }
}

/// A ratio as a change: `+12 %`, `−3.4 %`, `×2.50`.
fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    if ratio >= FACTOR {
        return format!("×{}", decimal(ratio, 2));
    }
    let digits = usize::from(percent.abs() < 9.95);
    let sign = if percent > 0.0 { "+" } else { "" };
    format!("{sign}{}{NBSP}%", decimal(percent, digits))
}

/// The size of a change in either direction.
fn size(ratio: f64) -> String {
    change(ratio).trim_start_matches('+').to_owned()
}

/// What else the pairs say: the order within a pair, a drift, pairs that are not compared.
fn remarks(page: &mut Page, comparison: &Comparison) {
    let main = comparison.metrics.iter().find(|metric| metric.metric == "response.mean");
    let mut remarks = Vec::new();
    let lost = comparison.slices.iter().filter(|slice| !slice.compared).count();
    if lost > 0 {
        remarks.push(format!("{} without a whole twin, left out", plural(lost as u64, "slice")));
    }
    if let Some(main) = main {
        let is_notable = |ratio: f64| ratio.max(1.0 / ratio) >= NOTABLE;
        if let (Some(ratio), Some(p)) = (main.second_to_first, main.second_to_first_p)
            && is_notable(ratio)
            && p <= NOTABLE_P
        {
            remarks.push(format!(
                "the second slice of a pair differs from the first by {} in response.mean, whichever arm it is",
                change(ratio)
            ));
        }
        if let Some(drift) = main.drift.filter(|drift| is_notable(*drift)) {
            remarks.push(format!(
                "response.mean of both arms drifted by {} from the first third of the slices to the last",
                change(drift)
            ));
        }
    }
    for remark in remarks {
        page.paragraph(INDENT, Style::Plain, &format!("· {remark}"));
    }
}

/// What the server counted for each execution, where that differs; all of it in a full report.
fn counters(page: &mut Page, counters: &[CounterDifference], full: bool) {
    if counters.is_empty() {
        return;
    }
    let count = |change| counters.iter().filter(|counter| counter.change == change).count();
    let mut others = Vec::new();
    for (change, word) in [(CounterChange::Alike, "alike"), (CounterChange::Unclear, "unclear")] {
        if count(change) > 0 {
            others.push(format!("{} {word}", count(change)));
        }
    }
    let note = if full || others.is_empty() {
        "for each execution, by the server".to_owned()
    } else {
        format!("for each execution, by the server; {}", others.join(", "))
    };
    page.heading("counters", &note);
    let differs = |counter: &&CounterDifference| {
        full || matches!(counter.change, CounterChange::More | CounterChange::Fewer)
    };
    let mut grid = Grid::new(vec![
        Column::text("statement", 18),
        Column::text("counter", 12),
        Column::number("A"),
        Column::number("B"),
        Column::number("change"),
        Column::fixed("B counts"),
    ]);
    for counter in counters.iter().filter(differs) {
        let ratio = counter.b_per_call / counter.a_per_call;
        let (style, word) = match counter.change {
            CounterChange::More => (Style::Caution, "more"),
            CounterChange::Fewer => (Style::Good, "fewer"),
            CounterChange::Alike => (Style::Plain, "alike"),
            CounterChange::Unclear => (Style::Plain, "unclear"),
            CounterChange::NotJudged => (Style::Dim, "not judged"),
        };
        grid.row(vec![
            Cell::new(match &counter.stage {
                Some(stage) => format!("{stage}: {}", counter.statement),
                None => counter.statement.clone(),
            }),
            Cell::new(counter.counter.replace('_', " ")),
            Cell::new(per_call(counter.a_per_call)),
            Cell::new(per_call(counter.b_per_call)),
            Cell::new(if ratio.is_finite() { change(ratio) } else { DASH.to_owned() }),
            Cell::new(word).style(style),
        ]);
    }
    if grid.is_empty() {
        page.paragraph(
            INDENT,
            Style::Plain,
            "No statement counts more or fewer rows, blocks or WAL records in B.",
        );
    } else {
        page.grid(&grid);
    }
}

/// The course: what went before each slice, and how long it took.
fn slices(page: &mut Page, comparison: &Comparison) {
    if comparison.slices.is_empty() {
        return;
    }
    page.heading("slices", "in the order of time");
    let names = ["script", "indexes", "settle", "checkpoint", "restart", "connect", "warm_up", "measure"];
    let used: Vec<&str> = names
        .into_iter()
        .filter(|name| {
            comparison.slices.iter().any(|slice| slice.steps.iter().any(|step| step.what == *name))
        })
        .collect();
    let mut columns = vec![Column::fixed("slice"), Column::number("at")];
    columns.extend(used.iter().map(|name| Column::number(&name.replace('_', "-"))));
    columns.push(Column::fixed("").spare(1));
    let mut grid = Grid::new(columns);
    for slice in &comparison.slices {
        let mut row = vec![Cell::new(&slice.stage), Cell::new(length_s(slice.t_s))];
        for name in &used {
            let step = slice.steps.iter().find(|step| step.what == *name);
            row.push(Cell::new(step.map_or_else(|| DASH.to_owned(), |step| length_s(step.s))));
        }
        row.push(Cell::new(if slice.compared { "" } else { "not compared" }));
        grid.row(row);
    }
    page.grid(&grid);
}

#[cfg(test)]
mod tests {
    use super::{change, parts, size};

    #[test]
    fn a_metric_is_told_as_whose_and_which() {
        for (metric, of, figure) in [
            ("throughput", "all", "throughput"),
            ("response.p99", "all", "p99"),
            ("checkout.response.mean", "checkout", "mean"),
            ("checkout.take_stock.execute.mean", "checkout.take_stock", "mean"),
            ("checkout.pool_wait.p99", "checkout", "pool wait p99"),
            ("checkout.throughput", "checkout", "throughput"),
            ("measure.age.p99", "measure.age", "p99"),
        ] {
            assert_eq!(parts(metric), (of.to_owned(), figure.to_owned()));
        }
    }

    #[test]
    fn ratios_are_shown_as_changes() {
        for (ratio, shown) in [
            (1.0, "0.0 %"),
            (1.123, "+12 %"),
            (0.966, "−3.4 %"),
            (1.034, "+3.4 %"),
            (2.5, "×2.50"),
            (0.2, "−80 %"),
        ] {
            assert_eq!(change(ratio).replace('\u{a0}', " "), shown);
        }
        assert_eq!(size(1.034).replace('\u{a0}', " "), "3.4 %");
    }
}
