//! A pool study: one table, its knee, and what follows from it.

use super::grid::{Cell, Column, Grid, bar};
use super::page::{INDENT, Page, Style};
use super::value::{Statistic, shared, time, top_wait};
use crate::model::{PoolPoint, PoolStudy};
use crate::report::format::{DASH, decimal, percent, rate};

/// Width from which the bar and the blocker have columns of their own.
const WIDE: usize = 105;
/// Columns of a bar under its number, and of one in a column of its own.
const BAR_NARROW: usize = 7;
const BAR_WIDE: usize = 14;

/// The sizes side by side, and the recommendation.
pub(super) fn section(page: &mut Page, study: &PoolStudy, full: bool) {
    let note = study.knee.map_or_else(String::new, |_| {
        "▶ the knee: the smallest size with 95 % of the best throughput".to_owned()
    });
    page.heading("pool sizes", &note);
    let wide = page.inner_width() >= WIDE;
    let best = study.sizes.iter().map(|point| point.per_s).fold(0.0, f64::max);
    let mut grid = Grid::new(if wide { columns_wide() } else { columns_narrow() });
    for point in &study.sizes {
        let share = if best > 0.0 { point.per_s / best } else { 0.0 };
        grid.row(if wide { row_wide(study, point, share) } else { row_narrow(study, point, share) });
    }
    page.grid(&grid);
    if full {
        ranges(page, study);
    }
    if !study.recommendation.is_empty() {
        page.blank();
        page.paragraph(INDENT, Style::Bold, &study.recommendation);
    }
}

fn columns_narrow() -> Vec<Column> {
    vec![
        Column::number("size"),
        Column::fixed("per s"),
        Column::number("response\np50"),
        Column::number("\np99"),
        Column::number("pool wait\np99"),
        Column::number("busy"),
        Column::number("satu-\nrated"),
        Column::text("top wait\ntop blocker", 16),
    ]
}

fn columns_wide() -> Vec<Column> {
    vec![
        Column::number("size"),
        Column::number("per s"),
        Column::fixed(""),
        Column::number("response\np50"),
        Column::number("\np99"),
        Column::number("pool wait\np99"),
        Column::number("busy"),
        Column::number("saturated"),
        Column::text("top wait", 14),
        Column::text("top blocker", 14),
    ]
}

fn row_narrow(study: &PoolStudy, point: &PoolPoint, share: f64) -> Vec<Cell> {
    let mut cells = vec![size(study, point)];
    cells.push(Cell::new(rate(point.per_s)).and(format!("{:<BAR_NARROW$}", bar(share, BAR_NARROW))));
    cells.extend(numbers(point));
    let wait = top_wait(point.top_wait.as_ref());
    cells.push(match &point.top_blocker {
        Some((name, share)) => wait.and_between("← ", name, &percent(*share)),
        None => wait,
    });
    cells
}

fn row_wide(study: &PoolStudy, point: &PoolPoint, share: f64) -> Vec<Cell> {
    let mut cells = vec![size(study, point), Cell::new(rate(point.per_s))];
    cells.push(Cell::new(format!("{:<BAR_WIDE$}", bar(share, BAR_WIDE))));
    cells.extend(numbers(point));
    cells.push(top_wait(point.top_wait.as_ref()));
    cells.push(match &point.top_blocker {
        Some((name, share)) => shared(name, *share),
        None => Cell::new(DASH),
    });
    cells
}

fn size(study: &PoolStudy, point: &PoolPoint) -> Cell {
    if study.knee == Some(point.size) {
        Cell::new(format!("▶ {}", point.size)).style(Style::Good)
    } else {
        Cell::new(point.size.to_string())
    }
}

fn numbers(point: &PoolPoint) -> Vec<Cell> {
    vec![
        Cell::new(time(&point.response_us, Statistic::P50)),
        Cell::new(time(&point.response_us, Statistic::P99)),
        Cell::new(time(&point.pool_wait_us, Statistic::P99)),
        Cell::new(decimal(point.busy_mean, 1)),
        Cell::new(percent(point.saturated_fraction)),
    ]
}

/// What the medians hide: how far the repetitions lie apart, failures, the host.
fn ranges(page: &mut Page, study: &PoolStudy) {
    page.blank();
    let mut grid = Grid::new(vec![
        Column::number("size"),
        Column::number("repeats"),
        Column::number("per s\nlowest"),
        Column::number("\nhighest"),
        Column::number("service\np50"),
        Column::number("\np99"),
        Column::number("waiting"),
        Column::number("not ok"),
        Column::number("host\nCPU"),
    ]);
    for point in &study.sizes {
        grid.row(vec![
            Cell::new(point.size.to_string()),
            Cell::new(point.repeats.to_string()),
            Cell::new(rate(point.per_s_range.0)),
            Cell::new(rate(point.per_s_range.1)),
            Cell::new(time(&point.service_us, Statistic::P50)),
            Cell::new(time(&point.service_us, Statistic::P99)),
            Cell::new(decimal(point.waiting_mean, 1)),
            Cell::new(percent(point.error_fraction)),
            Cell::new(point.host_cpu_fraction.map_or_else(|| DASH.to_owned(), percent)),
        ]);
    }
    page.grid(&grid);
}
