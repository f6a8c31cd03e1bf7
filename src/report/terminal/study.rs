//! A pool study: the answer, the sizes side by side, why the knee is where it is, and what theory says of it.

mod details;
mod goals;
mod heat;
mod why;

use super::grid::{Cell, Column, Grid, bar};
use super::page::{INDENT, Page, Style};
use super::value::{Statistic, plural, shared, time, top_wait};
use crate::model::{PoolPass, PoolPoint, PoolStudy, Verdict};
use crate::report::format::{DASH, decimal, percent, rate};

/// Width from which the bar and the blocker have columns of their own.
const WIDE: usize = 105;
/// Columns of a bar under its number, and of one in a column of its own.
const BAR_NARROW: usize = 7;
const BAR_WIDE: usize = 14;

/// The recommendation, and what it rests on.
pub(super) fn section(page: &mut Page, study: &PoolStudy, full: bool) {
    if !study.recommendation.is_empty() {
        page.heading("recommendation", "");
        page.paragraph(INDENT, Style::Bold, &study.recommendation);
        if let Some(validity) = &study.validity {
            page.paragraph(INDENT, Style::Plain, validity);
        }
    }
    heat::table(page, study);
    let closed = study.passes.iter().find(|pass| pass.clients.is_some());
    if study.passes.is_empty() {
        sizes(page, study, "pool sizes", &study.sizes);
    } else {
        for pass in shown(study, full) {
            let title = match pass.rate_per_s {
                Some(per_s) => format!("pool sizes at {}/s", decimal(per_s, 0)),
                None => "pool sizes, all connections busy".to_owned(),
            };
            sizes(page, study, &title, &pass.points);
        }
    }
    why::section(page, study, closed.map_or(&study.sizes, |pass| &pass.points));
    details::theory(page, study);
    if full {
        details::intervals(page, &study.sizes);
        details::levels(page, &study.sizes);
    }
}

/// All loads, or the one that decides and the one of the knee.
fn shown(study: &PoolStudy, full: bool) -> Vec<&PoolPass> {
    let rates = study.passes.iter().filter(|pass| pass.rate_per_s.is_some()).count();
    let decides = |index: usize, pass: &PoolPass| full || pass.clients.is_some() || index + 1 == rates;
    study
        .passes
        .iter()
        .enumerate()
        .filter(|(index, pass)| decides(*index, pass))
        .map(|(_, pass)| pass)
        .collect()
}

fn sizes(page: &mut Page, study: &PoolStudy, title: &str, points: &[PoolPoint]) {
    let knee = study.knee.filter(|_| study.passes.is_empty() || title.ends_with("busy"));
    let note = knee.map_or("", |_| "▶ the knee: 95 % of the best throughput");
    page.heading(title, note);
    let wide = page.inner_width() >= WIDE;
    let with_goal = points.iter().any(|point| point.goal.is_some());
    let best = points.iter().map(|point| point.per_s).fold(0.0, f64::max);
    let mut grid = Grid::new(columns(study, wide, with_goal));
    for point in points {
        let share = if best > 0.0 { point.per_s / best } else { 0.0 };
        grid.row(row(point, knee == Some(point.size), share, wide, with_goal));
    }
    page.grid(&grid);
    if study.instances > 1 {
        let words = format!(
            "sizes are connections of each of {} instances; rates and busy connections are of all together",
            study.instances
        );
        page.paragraph(INDENT, Style::Dim, &words);
    }
    goals::table(page, study, points);
}

fn columns(study: &PoolStudy, wide: bool, with_goal: bool) -> Vec<Column> {
    let mut columns = vec![Column::number("size")];
    if wide {
        columns.extend([Column::number("per s"), Column::fixed("")]);
    } else {
        columns.push(Column::fixed("per s"));
    }
    columns.extend([
        Column::number("response\np50"),
        Column::number("\np99"),
        Column::number("pool wait\np99"),
        Column::number("busy"),
        Column::number(if wide { "saturated" } else { "satu-\nrated" }),
    ]);
    if with_goal {
        let limit = study.goal.as_ref().map_or_else(String::new, |goal| format!("goal\n{}", goal.limit));
        columns.push(Column::number(if study.goals.is_empty() { limit.as_str() } else { "all\ngoals" }));
    }
    if wide {
        columns.extend([Column::text("top wait", 14), Column::text("top blocker", 14)]);
    } else {
        columns.push(Column::text("top wait\ntop blocker", 12));
    }
    columns
}

fn row(point: &PoolPoint, is_knee: bool, share: f64, wide: bool, with_goal: bool) -> Vec<Cell> {
    let mut cells = vec![if is_knee {
        Cell::new(format!("▶ {}", point.size)).style(Style::Good)
    } else {
        Cell::new(point.size.to_string())
    }];
    if wide {
        cells.push(Cell::new(rate(point.per_s)));
        cells.push(Cell::new(format!("{:<BAR_WIDE$}", bar(share, BAR_WIDE))));
    } else {
        cells.push(Cell::new(rate(point.per_s)).and(format!("{:<BAR_NARROW$}", bar(share, BAR_NARROW))));
    }
    cells.extend([
        Cell::new(time(&point.response_us, Statistic::P50)),
        Cell::new(time(&point.response_us, Statistic::P99)),
        Cell::new(time(&point.pool_wait_us, Statistic::P99)),
        Cell::new(decimal(point.busy_mean, 1)),
        Cell::new(percent(point.saturated_fraction)),
    ]);
    if with_goal {
        cells.push(goals::of_all(point));
    }
    let wait = top_wait(point.top_wait.as_ref());
    match (&point.top_blocker, wide) {
        (Some((name, share)), true) => cells.extend([wait, shared(name, *share)]),
        (None, true) => cells.extend([wait, Cell::new(DASH)]),
        (Some((name, share)), false) => cells.push(wait.and_between("← ", name, &percent(*share))),
        (None, false) => cells.push(wait),
    }
    cells
}

/// `5 pool sizes, the knee is at 8 connections`, for the first line.
pub(super) fn sentence(study: &PoolStudy, at_rate: bool) -> String {
    let sizes = plural(study.sizes.len() as u64, "pool size");
    if let Some(goal) = &study.goal {
        let (of, are) = match study.goals.len() {
            0 => (format!("{} {}", goal.metric, goal.limit), "is"),
            2 => ("both goals".to_owned(), "are"),
            goals => (format!("all {goals} goals"), "are"),
        };
        return match (&study.recommended, goal.verdict) {
            (Some(recommended), _) => {
                format!("{of} {are} kept by a pool of {}", plural(u64::from(recommended.size), "connection"))
            }
            (None, Verdict::Fail) => format!("none of {sizes} keeps {of}"),
            (None, _) => format!("{sizes}, and it is unclear which keeps {of}"),
        };
    }
    match (study.knee, &study.recommended) {
        (Some(knee), _) => format!("{sizes}, the knee is at {}", plural(u64::from(knee), "connection")),
        (None, Some(recommended)) if at_rate => {
            format!("{sizes}, {} are enough", plural(u64::from(recommended.size), "connection"))
        }
        (None, _) if at_rate => format!("{sizes}, at a fixed rate, which has no knee"),
        (None, _) => format!("{sizes}, no knee was found"),
    }
}
