//! The history: the list of runs, and the course of one figure.

use super::grid::{Cell, Column, Grid, bar};
use super::page::{INDENT, Page, Style};
use super::value::plural;
use super::{Options, WIDTH_MAX, WIDTH_MIN};
use crate::model::{RunLine, Trend, TrendChange};
use crate::report::format::{DASH, decimal, duration_us, per_call, percent, rate, whole_us};

/// Runs of a trend that are shown, the last ones.
const POINTS_SHOWN: usize = 40;
/// Columns of the longest bar of a trend.
const BAR: usize = 24;

/// The list of runs, as it was asked for.
#[must_use]
pub fn runs(lines: &[RunLine], options: &Options) -> String {
    let mut page = page(options);
    if lines.is_empty() {
        page.paragraph(0, Style::Plain, "no run meets all that was asked for");
        return page.finish();
    }
    let mut grid = Grid::new(vec![
        Column::fixed("run"),
        Column::fixed("kind"),
        Column::text("workload", 8),
        Column::number("scale").spare(3),
        Column::fixed("server").spare(4),
        Column::number("per s"),
        Column::number("p50").spare(1),
        Column::number("p99"),
        Column::fixed("verdict"),
        Column::text("tags", 6),
        Column::text("note", 4).spare(5),
    ]);
    for line in lines {
        let time = |us: Option<u64>| Cell::new(us.map_or_else(|| DASH.to_owned(), whole_us));
        grid.row(vec![
            Cell::new(&line.id),
            Cell::new(&line.kind),
            Cell::new(&line.workload),
            Cell::new(line.scale.map_or_else(|| DASH.to_owned(), |scale| scale.to_string())),
            Cell::new(&line.server),
            Cell::new(line.per_s.map_or_else(|| DASH.to_owned(), rate)),
            time(line.p50_us),
            time(line.p99_us),
            verdict(line),
            Cell::new(line.tags.join(", ")),
            Cell::new(&line.note),
        ]);
    }
    page.grid(&grid);
    page.finish()
}

fn verdict(line: &RunLine) -> Cell {
    match (line.ended.as_str(), line.verdict.as_str()) {
        ("completed", "pass") => Cell::new("pass").style(Style::Good),
        ("completed", "fail") => Cell::new("FAIL").style(Style::Bad),
        ("completed", "") => Cell::new(DASH),
        ("completed", other) => Cell::new(other).style(Style::Caution),
        (ended, _) => Cell::new(ended.replace('_', " ")).style(Style::Caution),
    }
}

/// The course of one figure, with the runs after which its level changed.
#[must_use]
pub fn trend(trend: &Trend, options: &Options) -> String {
    let mut page = page(options);
    let changes = match trend.changes.len() {
        0 => "no change is seen".to_owned(),
        some => plural(some as u64, "change"),
    };
    page.line(&[
        (Style::Bold, &trend.metric),
        (Style::Plain, &format!(" over {}: {changes}", plural(trend.points.len() as u64, "run"))),
    ]);
    for change in &trend.changes {
        page.blank();
        page.paragraph(INDENT, Style::Caution, &sentence(trend, change));
        for also in &change.also {
            page.paragraph(INDENT + 2, Style::Plain, &format!("· {also}"));
        }
    }
    page.blank();
    let left_out = trend.points.len().saturating_sub(POINTS_SHOWN);
    if left_out > 0 {
        page.paragraph(INDENT, Style::Dim, &format!("the last {POINTS_SHOWN} runs:"));
    }
    page.grid(&course(trend, left_out));
    page.finish()
}

fn sentence(trend: &Trend, change: &TrendChange) -> String {
    let ratio = change.after_median / change.before_median;
    let by = match ratio {
        ratio if ratio.is_finite() && ratio > 0.0 => {
            format!(" ({:+.1} %)", (ratio - 1.0) * 100.0).replace('-', "−")
        }
        _ => String::new(),
    };
    let direction = if change.after_median > change.before_median { "rose" } else { "fell" };
    format!(
        "after run {} it {direction} from {} to {}{by}: medians of {} before and {} after, p = {:.4}",
        change.after,
        show(trend, change.before_median),
        show(trend, change.after_median),
        plural(u64::from(change.before_runs), "run"),
        plural(u64::from(change.after_runs), "run"),
        change.p,
    )
}

fn course(trend: &Trend, left_out: usize) -> Grid {
    let mut grid = Grid::new(vec![
        Column::fixed("run"),
        Column::number("value"),
        Column::fixed(""),
        Column::text("", 10),
    ]);
    let highest = trend.points.iter().map(|point| point.value).fold(0.0, f64::max);
    for point in trend.points.iter().skip(left_out) {
        let share = if highest > 0.0 { point.value / highest } else { 0.0 };
        let is_first = trend.changes.iter().any(|change| change.first == point.run);
        grid.row(vec![
            Cell::new(&point.run),
            Cell::new(show(trend, point.value)),
            Cell::new(bar(share, BAR)),
            Cell::new(if is_first { "◀ changed" } else { "" }).style(Style::Caution),
        ]);
    }
    grid
}

fn show(trend: &Trend, value: f64) -> String {
    match trend.unit.as_str() {
        "us" => duration_us(value),
        "per_s" => format!("{}/s", rate(value)),
        "share" => percent(value),
        _ if value.fract() == 0.0 => decimal(value, 0),
        _ => per_call(value),
    }
}

fn page(options: &Options) -> Page {
    Page::new(options.width.clamp(WIDTH_MIN, WIDTH_MAX), options.colour)
}
