//! What was asked of the database and what came of it: stages side by side, throughput, transactions, the course of time.

use super::grid::{Cell, Column, Grid};
use super::head::stage_load;
use super::page::{INDENT, Page, Style};
use super::put_on;
use super::server_time;
use super::spark::{spark, values_per_mark};
use super::value::{Statistic, plural, time, times};
use crate::model::{IntervalInfo, Report, Stage, TransactionInfo};
use crate::report::format::{NBSP, count, length_s, per_call, percent, rate, whole_us};
use crate::report::text::width;

/// Kinds of errors that are named.
const ERRORS_SHOWN: usize = 6;
/// Columns of the labels of the timeline.
pub(super) const TIMELINE_LABEL: usize = 7;
/// Columns of the highest value behind a row of marks: ` ↑ 61.4 ms`.
const TIMELINE_TOP: usize = 11;

/// The stages side by side, where more than one was measured.
pub(super) fn comparison(page: &mut Page, stages: &[Stage], full: bool) {
    let shown: Vec<&Stage> = stages.iter().filter(|stage| stage.measured || full).collect();
    if shown.len() < 2 {
        return;
    }
    page.heading("stages", "response from the planned start to the answer of the commit");
    let mut grid = Grid::new(vec![
        Column::text("stage", 12),
        Column::fixed("load"),
        Column::number("per s"),
        Column::number("response\np50"),
        Column::number("\np99"),
        Column::number("pool wait\np99"),
        Column::number("satu-\nrated").spare(1),
        Column::number("not ok"),
    ]);
    for stage in shown {
        let name = if stage.measured { stage.name.clone() } else { format!("{} (not measured)", stage.name) };
        grid.row(vec![
            Cell::new(name),
            Cell::new(put_on::short(stage)),
            Cell::new(rate(stage.achieved_per_s)),
            Cell::new(time(&stage.response_us, Statistic::P50)),
            Cell::new(time(&stage.response_us, Statistic::P99)),
            Cell::new(time(&stage.pool.wait_us, Statistic::P99)),
            Cell::new(percent(stage.pool.saturated_fraction)),
            not_ok(not_ok_fraction(stage)),
        ]);
    }
    page.grid(&grid);
}

fn not_ok_fraction(stage: &Stage) -> f64 {
    let books = &stage.accounting;
    let bad = books.failed + books.unknown + books.skipped + books.abandoned;
    let ended = bad + books.ok;
    if ended == 0 { 0.0 } else { bad as f64 / ended as f64 }
}

fn not_ok(fraction: f64) -> Cell {
    let cell = Cell::new(percent(fraction));
    if fraction > 0.0 { cell.style(Style::Bad) } else { cell }
}

/// Offered against achieved, and the response time of all transactions together.
pub(super) fn throughput(page: &mut Page, stage: &Stage) {
    page.heading("throughput", &stage_load(stage));
    let achieved = format!("{}{NBSP}transactions/s ended ok", rate(stage.achieved_per_s));
    let share = stage.offered_per_s.filter(|offered| *offered > 0.0).map_or_else(String::new, |offered| {
        format!(", {} of the {} offered", percent(stage.achieved_per_s / offered), per_call(offered))
    });
    page.fact("achieved", &format!("{achieved}{share}"));
    page.fact("response", &times(&stage.response_us));
    let books = &stage.accounting;
    let not_ok: Vec<String> = [
        (books.failed, "failed"),
        (books.unknown, "with an unknown outcome"),
        (books.skipped, "skipped, too late to start"),
        (books.abandoned, "abandoned, still running when the drain ended"),
    ]
    .iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{} {what}", count(*number)))
    .collect();
    if !not_ok.is_empty() {
        page.labelled(INDENT, "not ok", Style::Bad, &not_ok.join(" · "));
    }
}

/// `stage baseline`, with what must be known of it.
pub(super) fn stage_title(report: &Report, stage: &Stage) -> String {
    let knee = report.study.as_ref().and_then(|study| study.knee);
    let remark = match (stage.measured, knee) {
        (false, _) => ", not measured",
        (true, Some(knee)) if knee == stage.pool.size => ", at the knee",
        (true, _) => "",
    };
    format!("stage {}{remark}", stage.name)
}

/// Each kind of transaction.
pub(super) fn transactions(page: &mut Page, stage: &Stage) {
    if stage.transactions.is_empty() {
        return;
    }
    page.heading("transactions", "response from the planned start to the answer of the commit");
    let any_error = stage.transactions.iter().any(|transaction| !transaction.errors.is_empty());
    let errors = Column::number("errors");
    let mut grid = Grid::new(vec![
        Column::text("name", 11),
        Column::number("count").spare(2),
        Column::number("per s"),
        Column::number("response\np50"),
        Column::number("\np95").spare(3),
        Column::number("\np99"),
        Column::number("\nmax"),
        Column::number("pool wait\np99"),
        if any_error { errors } else { errors.spare(4) },
    ]);
    for transaction in &stage.transactions {
        let errors: u64 = transaction.errors.values().sum();
        let response = |statistic| Cell::new(time(&transaction.response_us, statistic));
        grid.row(vec![
            Cell::new(&transaction.name),
            Cell::new(count(transaction.count)),
            Cell::new(rate(transaction.per_s)),
            response(Statistic::P50),
            response(Statistic::P95),
            response(Statistic::P99),
            response(Statistic::Max),
            Cell::new(time(&transaction.pool_wait_us, Statistic::P99)),
            Cell::new(count(errors)).style(if errors > 0 { Style::Bad } else { Style::Plain }),
        ]);
    }
    page.grid(&grid);
    for transaction in stage.transactions.iter().filter(|transaction| transaction.pipeline_us.count > 0) {
        let text =
            format!("{}, all statements at once: {}", transaction.name, times(&transaction.pipeline_us));
        page.fact("pipeline", &text);
    }
    if let Some(text) = errors_by_code(&stage.transactions) {
        page.fact("errors", &text);
    }
}

/// `40P01 deadlock × 12, pool_timeout × 3`, the most frequent first.
fn errors_by_code(transactions: &[TransactionInfo]) -> Option<String> {
    let mut codes: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for (code, number) in transactions.iter().flat_map(|transaction| &transaction.errors) {
        *codes.entry(code).or_default() += number;
    }
    let mut codes: Vec<(&str, u64)> = codes.into_iter().collect();
    codes.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    if codes.is_empty() {
        return None;
    }
    let named = codes
        .iter()
        .take(ERRORS_SHOWN)
        .map(|(code, number)| format!("{} × {}", count(*number), describe(code)));
    let mut parts: Vec<String> = named.collect();
    if codes.len() > ERRORS_SHOWN {
        parts.push(format!("{} more", plural((codes.len() - ERRORS_SHOWN) as u64, "kind")));
    }
    Some(parts.join(" · "))
}

/// What a SQLSTATE means, where a run is likely to meet it.
fn describe(code: &str) -> String {
    let meaning = match code {
        "40001" => "serialisation failure",
        "40P01" => "deadlock",
        "23505" => "duplicate key",
        "23503" => "foreign key violated",
        "57014" => "statement cancelled or timed out",
        "57P01" => "ended by an administrator",
        "57P02" | "57P03" => "server stopped or not ready",
        "55P03" => "lock not available",
        "53300" => "too many connections",
        "08006" => "connection lost",
        "08001" => "no connection",
        "42P01" => "no such table",
        "42501" => "no right",
        _ => return code.to_owned(),
    };
    format!("{code} ({meaning})")
}

/// The course of the stage, second by second, without its drain.
pub(super) fn timeline(page: &mut Page, stage: &Stage, full: bool) {
    let intervals: Vec<&IntervalInfo> = stage.intervals.iter().filter(|interval| !interval.drain).collect();
    if intervals.len() < 3 || page.has_charts() {
        return;
    }
    let columns = page.inner_width().saturating_sub(TIMELINE_LABEL + TIMELINE_TOP);
    let chunk = values_per_mark(intervals.len(), columns);
    let groups: Vec<&[&IntervalInfo]> = intervals.chunks(chunk).collect();
    let length: f64 = groups[0].iter().map(|interval| interval.length_s).sum();
    page.heading("course of time", &format!("one mark is {}, ↑ the highest", length_s(length)));
    let per_s: Vec<Option<f64>> = groups.iter().map(|group| mean_rate(group)).collect();
    row(page, "per s", &per_s, rate);
    let p99: Vec<Option<f64>> = groups.iter().map(|group| worst(group, |second| second.p99_us)).collect();
    // A second of fewer than 1,000 transactions carries no p99; its longest response it always has.
    if p99.iter().flatten().count() * 2 >= p99.len() {
        row(page, "p99", &p99, |us| whole_us(to_whole(us)));
    } else {
        let max: Vec<Option<f64>> = groups.iter().map(|group| worst(group, |second| second.max_us)).collect();
        row(page, "max", &max, |us| whole_us(to_whole(us)));
    }
    let errors: Vec<Option<f64>> = groups
        .iter()
        .map(|group| Some(group.iter().map(|interval| interval.errors).sum::<u64>() as f64))
        .collect();
    if errors.iter().flatten().any(|number| *number > 0.0) {
        row(page, "errors", &errors, |number| count(to_whole(number)));
    }
    server_time::rows(page, stage, &groups, full);
}

/// A row of marks from nothing to the highest value, which stands behind it in words.
pub(super) fn row(page: &mut Page, label: &str, values: &[Option<f64>], text: impl Fn(f64) -> String) {
    let top = values.iter().flatten().copied().fold(0.0, f64::max);
    let marks = spark(values, top);
    let space = " ".repeat(TIMELINE_LABEL - width(label));
    let label = format!("{}{label}{space}", " ".repeat(INDENT));
    page.line(&[
        (Style::Dim, &label),
        (Style::Plain, &marks),
        (Style::Dim, &format!(" ↑{NBSP}{}", text(top))),
    ]);
}

fn mean_rate(group: &[&IntervalInfo]) -> Option<f64> {
    let seconds: f64 = group.iter().map(|interval| interval.length_s).sum();
    let ended: f64 = group.iter().map(|interval| interval.per_s * interval.length_s).sum();
    (seconds > 0.0).then(|| ended / seconds)
}

fn worst(group: &[&IntervalInfo], time: impl Fn(&IntervalInfo) -> Option<u64>) -> Option<f64> {
    group.iter().filter_map(|interval| time(interval)).max().map(|us| us as f64)
}

/// Back from a float that was made of a whole number far below 2^53.
fn to_whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = value.round() as u64;
    whole
}
