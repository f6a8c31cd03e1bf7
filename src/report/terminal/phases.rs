//! Every phase of every transaction and statement with its whole distribution, for who wants all of it.

use super::grid::{Cell, Column, Grid};
use super::page::Page;
use super::statements::{key, names};
use super::value::{Statistic, time};
use crate::model::{Quantiles, Stage};

/// What the columns show, in their order.
const SHOWN: [(Statistic, &str); 7] = [
    (Statistic::P50, "p50"),
    (Statistic::P90, "p90"),
    (Statistic::P95, "p95"),
    (Statistic::P99, "p99"),
    (Statistic::P999, "p99.9"),
    (Statistic::P9999, "p99.99"),
    (Statistic::Max, "max"),
];

/// One row for each phase that has samples.
pub(super) fn section(page: &mut Page, stage: &Stage) {
    let mut rows: Vec<(&str, &str, &Quantiles)> = Vec::new();
    for transaction in &stage.transactions {
        let phases = [
            ("response", &transaction.response_us),
            ("lag", &transaction.lag_us),
            ("pool wait", &transaction.pool_wait_us),
            ("service", &transaction.service_us),
            ("hold", &transaction.hold_us),
            ("commit", &transaction.commit_us),
        ];
        rows.extend(phases.map(|(phase, times)| (transaction.name.as_str(), phase, times)));
    }
    let names = names(&stage.statements);
    for statement in &stage.statements {
        let phases = [("first row", &statement.first_row_us), ("execute", &statement.execute_us)];
        rows.extend(phases.map(|(phase, times)| (names[&key(statement)].as_str(), phase, times)));
    }
    rows.retain(|(_, _, times)| times.count > 0);
    if rows.is_empty() {
        return;
    }
    page.heading("phases", "of each transaction and statement");
    let mut columns = vec![Column::text("name", 12), Column::fixed("phase")];
    // Where the page is narrow, those go first that others stand for.
    columns.extend(SHOWN.map(|(statistic, title)| match statistic {
        Statistic::P90 => Column::number(title).spare(2),
        Statistic::P95 => Column::number(title).spare(1),
        _ => Column::number(title),
    }));
    let mut grid = Grid::new(columns);
    let mut last = None;
    for (name, phase, times) in rows {
        let name_shown = if last == Some(name) { "" } else { name };
        last = Some(name);
        let mut cells = vec![Cell::new(name_shown), Cell::new(phase)];
        cells.extend(SHOWN.map(|(statistic, _)| Cell::new(time(times, statistic))));
        grid.row(cells);
    }
    page.grid(&grid);
}
