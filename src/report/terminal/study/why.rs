//! Where the sessions were on the server, size by size: what a larger pool adds stands in the column that grows.

use super::super::grid::{Cell, Column, Grid};
use super::super::page::{Page, Style};
use crate::model::{KneeReason, PoolPoint, PoolStudy};
use crate::report::format::{DASH, decimal};

/// Classes with the words above their columns.
const CLASSES: [(&str, &str); 7] = [
    ("cpu", "run or\nwould"),
    ("lock", "lock"),
    ("io", "disk"),
    ("lwlock", "in the\nserver"),
    ("application", "for the\nclient"),
    ("pooler", "in the\npooler"),
    ("other", "other"),
];

pub(super) fn section(page: &mut Page, study: &PoolStudy, points: &[PoolPoint]) {
    if points.iter().all(|point| point.waits.is_empty()) {
        return;
    }
    page.heading("where the sessions were", "mean sessions by what they wait for, sampled");
    let used: Vec<_> = CLASSES
        .iter()
        .filter(|(class, _)| points.iter().any(|point| point.waits.iter().any(|of| of.class == *class)))
        .collect();
    let mut columns = vec![Column::number("size"), Column::number("busy")];
    columns.extend(used.iter().map(|(_, title)| Column::number(title)));
    let mut grid = Grid::new(columns);
    for point in points {
        let mut cells = vec![Cell::new(point.size.to_string()), Cell::new(decimal(point.busy_mean, 1))];
        cells.extend(used.iter().map(|(class, _)| {
            let wait = point.waits.iter().find(|of| of.class == *class);
            let is_reason = study.reason.as_ref().is_some_and(|reason| {
                reason.class == *class && (reason.from_size..=reason.to_size).contains(&point.size)
            });
            let cell = Cell::new(wait.map_or_else(|| DASH.to_owned(), |of| decimal(of.sessions_mean, 1)));
            if is_reason { cell.style(Style::Caution) } else { cell }
        }));
        grid.row(cells);
    }
    page.grid(&grid);
    if let Some(reason) = study.reason.as_ref().filter(|reason| reason.class != "clients") {
        page.fact("what grows", &told(reason));
    }
}

fn told(reason: &KneeReason) -> String {
    let mut words = format!(
        "{}: {} sessions at {} connections, {} at {}, which has {} more busy",
        reason.event,
        decimal(reason.sessions_from, 1),
        reason.from_size,
        decimal(reason.sessions_to, 1),
        reason.to_size,
        decimal(reason.busy_growth, 1)
    );
    if let Some(waiter) = &reason.waiter {
        let relation = reason.relation.as_ref().map_or_else(String::new, |name| format!(" on {name}"));
        words += &format!("; mostly {waiter} waiting{relation}");
    }
    if let Some(blocker) = &reason.blocker {
        let state = reason.blocker_state.as_ref().map_or_else(String::new, |state| format!(" ({state})"));
        words += &format!(" for {blocker}{state}");
    }
    words
}
