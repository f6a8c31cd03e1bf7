//! Whether sizes keep what is asked of them: in words, since colour alone says nothing on paper.

use super::super::grid::{Cell, Column, Grid};
use super::super::page::{Page, Style};
use crate::model::{GoalAt, PoolPoint, PoolStudy, Verdict};
use crate::report::format::DASH;

/// What was measured of the goal, and whether that keeps it; of several, whether all are kept.
pub(super) fn of_all(point: &PoolPoint) -> Cell {
    match &point.goal {
        None => Cell::new(DASH),
        Some(goal) if point.goals.is_empty() => cell(goal),
        Some(goal) => {
            let (style, word) = words(goal.verdict);
            Cell::new(word).style(style)
        }
    }
}

/// Each of several goals by itself; nothing for one, which has a column in the table of the sizes.
pub(super) fn table(page: &mut Page, study: &PoolStudy, points: &[PoolPoint]) {
    if points.iter().all(|point| point.goals.is_empty()) {
        return;
    }
    page.blank();
    let mut columns = vec![Column::number("size")];
    let title = |metric: &str, limit: &str| format!("{metric}\n{limit}");
    for (place, goal) in study.goals.iter().enumerate() {
        // Where there is no room for all, the last ones go first: whether all are kept stands above.
        let rank = u8::try_from(place).unwrap_or(u8::MAX);
        columns.push(Column::number(&title(&goal.metric, &goal.limit)).spare(rank));
    }
    let mut grid = Grid::new(columns);
    for point in points {
        let mut cells = vec![Cell::new(point.size.to_string())];
        cells.extend(
            (0..study.goals.len()).map(|place| point.goals.get(place).map_or_else(|| Cell::new(DASH), cell)),
        );
        grid.row(cells);
    }
    page.grid(&grid);
}

fn cell(goal: &GoalAt) -> Cell {
    let (style, word) = words(goal.verdict);
    Cell::new(&goal.measured).and(word).style(style)
}

fn words(verdict: Verdict) -> (Style, &'static str) {
    match verdict {
        Verdict::Pass => (Style::Good, "kept"),
        Verdict::Fail => (Style::Bad, "broken"),
        Verdict::Inconclusive | Verdict::None => (Style::Caution, "unclear"),
    }
}
