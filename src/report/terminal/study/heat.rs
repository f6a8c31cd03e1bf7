//! Several rates at several sizes: a table in which what is slow stands out, and the frontier of the goal.

use super::super::grid::{Cell, Column, Grid};
use super::super::page::{INDENT, Page, Style};
use super::super::value::{Statistic, time};
use crate::model::{PoolPass, PoolPoint, PoolStudy, Verdict};
use crate::report::format::{DASH, decimal};

/// From fast to slow.
const SHADES: [char; 4] = [' ', '░', '▒', '▓'];

/// Rows are sizes, columns are rates. Nothing for one rate.
pub(super) fn table(page: &mut Page, study: &PoolStudy) {
    let rates: Vec<&PoolPass> = study.passes.iter().filter(|pass| pass.rate_per_s.is_some()).collect();
    let (Some(first), true) = (rates.first(), rates.len() > 1) else { return };
    let title = match &study.goal {
        Some(goal) => format!("{} by size and rate", goal.metric),
        None => "p99 response by size and rate".to_owned(),
    };
    page.heading(&title, "");
    let values = || rates.iter().flat_map(|pass| &pass.points).filter_map(value).filter(|value| *value > 0.0);
    let bounds = (values().reduce(f64::min).unwrap_or(1.0), values().reduce(f64::max).unwrap_or(1.0));
    let mut columns = vec![Column::number("size")];
    for (index, pass) in rates.iter().enumerate() {
        let title = format!("{}/s", decimal(pass.rate_per_s.unwrap_or(0.0), 0));
        let column = Column::number(&title);
        // The highest rate decides: it stays, whatever the room.
        let rank = u8::try_from(rates.len() - index).unwrap_or(u8::MAX);
        columns.push(if index + 1 < rates.len() { column.spare(rank) } else { column });
    }
    let mut grid = Grid::new(columns);
    for point in &first.points {
        let mut cells = vec![Cell::new(point.size.to_string())];
        cells.extend(rates.iter().map(|pass| cell(pass, point.size, bounds)));
        grid.row(cells);
    }
    page.grid(&grid);
    page.paragraph(INDENT, Style::Dim, &legend(study, &rates));
}

/// What the marks mean, those that are there.
fn legend(study: &PoolStudy, rates: &[&PoolPass]) -> String {
    let Some(goal) = &study.goal else { return "darker is slower".to_owned() };
    let (kept, broken) = if study.goals.is_empty() {
        (format!("keeps {}", goal.limit), format!("is not {}", goal.limit))
    } else {
        ("keeps all goals".to_owned(), "breaks one".to_owned())
    };
    let is_unclear = |point: &PoolPoint| {
        point.goal.as_ref().is_some_and(|goal| !matches!(goal.verdict, Verdict::Pass | Verdict::Fail))
    };
    let mut words = format!("▶ the smallest size that {kept} at that rate, ✗ {broken}");
    if rates.iter().flat_map(|pass| &pass.points).any(is_unclear) {
        words += ", ? too few samples to tell, measure longer (--duration)";
    }
    words + "; darker is worse"
}

/// What is shaded: the goal's metric, else the p99 response, in whatever unit it has.
fn value(point: &PoolPoint) -> Option<f64> {
    match &point.goal {
        Some(goal) => goal.value,
        None => point.response_us.p99.map(|us| us as f64),
    }
}

fn cell(pass: &PoolPass, size: u32, bounds: (f64, f64)) -> Cell {
    let Some(point) = pass.points.iter().find(|point| point.size == size) else { return Cell::new(DASH) };
    let heat = heat(value(point), bounds);
    let shade = shade(value(point), bounds);
    let (mark, style) = match point.goal.as_ref().map(|goal| goal.verdict) {
        _ if pass.smallest_that_keeps_the_goal == Some(size) => ("▶ ", Style::Good),
        Some(Verdict::Fail) => ("✗ ", Style::Bad),
        Some(Verdict::Pass) => ("", Style::Good),
        Some(_) => ("? ", Style::Caution),
        None => ("", Style::Plain),
    };
    let measured = point
        .goal
        .as_ref()
        .map_or_else(|| time(&point.response_us, Statistic::P99), |goal| goal.measured.clone());
    Cell::new(format!("{mark}{measured} {shade}{shade}")).style(style).heat(heat)
}

/// From 0 to 1, on a logarithmic scale: waits grow by powers when a queue does.
fn heat(value: Option<f64>, (least, most): (f64, f64)) -> Option<f64> {
    let value = value.filter(|value| *value > 0.0)?;
    let share = if most > least { (value / least).ln() / (most / least).ln() } else { 0.0 };
    Some(share.clamp(0.0, 1.0))
}

fn shade(value: Option<f64>, bounds: (f64, f64)) -> char {
    let share = heat(value, bounds).unwrap_or(0.0);
    // Four shades: the cast cannot lose anything.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (share * (SHADES.len() - 1) as f64).round() as usize;
    SHADES[at.min(SHADES.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::shade;

    #[test]
    fn shades_go_by_powers() {
        let bounds = (1.0, 1000.0);
        assert_eq!([1.0, 10.0, 100.0, 1000.0].map(|value| shade(Some(value), bounds)), [' ', '░', '▒', '▓']);
        assert_eq!(shade(None, bounds), ' ');
        assert_eq!(shade(Some(5.0), (5.0, 5.0)), ' ');
    }
}
