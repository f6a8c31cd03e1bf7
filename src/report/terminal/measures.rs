//! What the workload measures of its own: returned values, their order, and gauges.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::spark::{spark, values_per_mark};
use super::value::plural;
use crate::model::metric::Unit;
use crate::model::{GaugeInfo, Levels, MeasureInfo, OrderInfo, Stage};
use crate::report::format::{DASH, bytes, count, duration_us, per_call, percent, rate};
use crate::units::Direction;

/// Marks of a gauge's course of time.
const MARKS: usize = 20;

/// Measures of returned values, and whether they came in order.
pub(super) fn measures(page: &mut Page, stage: &Stage) {
    if stage.measures.is_empty() {
        return;
    }
    page.heading("measures", "of rows that statements returned, in transactions that ended ok");
    let mut grid = Grid::new(vec![
        Column::text("name", 12),
        Column::text("of", 14),
        Column::number("count").spare(1),
        Column::number("per s"),
        Column::number("mean").spare(2),
        Column::number("p50"),
        Column::number("p95"),
        Column::number("p99"),
        Column::number("max"),
    ]);
    for measure in &stage.measures {
        let values = measure.values();
        let value = |of: fn(&crate::model::Quantiles) -> Option<f64>| {
            let known = values.and_then(|(unit, values)| Some(amount(unit, of(values)?)));
            Cell::new(known.unwrap_or_else(|| DASH.to_owned()))
        };
        grid.row(vec![
            Cell::new(&measure.name),
            Cell::new(format!("{}.{}", measure.statement, measure.column)),
            Cell::new(count(measure.count)),
            Cell::new(rate(measure.per_s)),
            value(|values| values.mean),
            value(|values| values.p50.map(|us| us as f64)),
            value(|values| values.p95.map(|us| us as f64)),
            value(|values| values.p99.map(|us| us as f64)),
            value(|values| values.max.map(|us| us as f64)),
        ]);
    }
    page.grid(&grid);
    for measure in &stage.measures {
        if let Some(order) = &measure.order {
            page.paragraph(INDENT, Style::Plain, &order_in_words(measure, order));
        }
        if measure.missing > 0 || measure.negative > 0 {
            let text = format!(
                "{}: {} without a number, {} below zero (counted as zero)",
                measure.name,
                plural(measure.missing, "row"),
                count(measure.negative)
            );
            page.paragraph(INDENT, Style::Caution, &text);
        }
    }
}

/// Whether the order was kept, and what that means.
fn order_in_words(measure: &MeasureInfo, order: &OrderInfo) -> String {
    let name = &measure.name;
    let direction = match order.direction {
        Direction::Ascending => "ascending",
        Direction::Descending => "descending",
    };
    let share = |fraction: Option<f64>| fraction.map_or_else(|| DASH.to_owned(), percent);
    if measure.count == 0 {
        return format!("{name}: no value, so nothing is known of their order.");
    }
    if order.in_worker == 0 {
        return format!("{name}: order kept, {direction} in all {} values.", count(measure.count));
    }
    let workers = format!(
        "{} of {} values ({}) came behind one that should follow them, in the order of the commits",
        count(order.in_worker),
        count(measure.count),
        share(order.in_worker_fraction)
    );
    if order.in_client == 0 {
        return format!(
            "{name}: {direction} for each client by itself. Between clients, {workers}: they take in order, and who is done \
             first commits first."
        );
    }
    format!(
        "{name}: order not kept. {workers}; {} ({}) did so for one and the same client: what failed and was taken again, or \
         was not there yet when a later one was.",
        count(order.in_client),
        share(order.in_client_fraction)
    )
}

/// What was read beside the run.
pub(super) fn gauges(page: &mut Page, stage: &Stage) {
    if stage.gauges.is_empty() {
        return;
    }
    page.heading("gauges", "read beside the run, on connections of their own");
    let mut grid = Grid::new(vec![
        Column::text("name", 12),
        Column::number("first"),
        Column::number("mean"),
        Column::number("min").spare(2),
        Column::number("max"),
        Column::number("last"),
        Column::fixed("course of time").spare(1),
        Column::number("readings").spare(3),
        Column::number("missed").spare(4),
    ]);
    for gauge in &stage.gauges {
        grid.row(gauge_row(gauge));
    }
    page.grid(&grid);
}

fn gauge_row(gauge: &GaugeInfo) -> Vec<Cell> {
    let (unit, levels) = gauge.levels();
    let level = |of: fn(&Levels) -> f64| {
        Cell::new(levels.map_or_else(|| DASH.to_owned(), |levels| amount(unit, of(levels))))
    };
    vec![
        Cell::new(&gauge.name),
        level(|levels| levels.first),
        level(|levels| levels.mean),
        level(|levels| levels.min),
        level(|levels| levels.max),
        level(|levels| levels.last),
        Cell::new(levels.map(course).unwrap_or_default()),
        Cell::new(count(gauge.readings)),
        Cell::new(count(gauge.gaps)).style(if gauge.gaps > 0 { Style::Caution } else { Style::Plain }),
    ]
}

/// A few marks, each the largest of the readings behind it.
fn course(levels: &Levels) -> String {
    let chunk = values_per_mark(levels.readings.len(), MARKS);
    let largest =
        |readings: &[crate::model::LevelAt]| readings.iter().map(|reading| reading.level).reduce(f64::max);
    let marks: Vec<Option<f64>> = levels.readings.chunks(chunk).map(largest).collect();
    spark(&marks, levels.max)
}

/// A value in its unit.
fn amount(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Time => duration_us(value),
        Unit::Bytes => {
            // Sizes lie far below 2^53; one below zero is shown as nothing.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let whole = value.round() as u64;
            bytes(whole)
        }
        Unit::Share => percent(value),
        Unit::PerSecond => rate(value),
        Unit::Count => per_call(value),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{GaugeInfo, LevelAt, Levels, MeasureInfo, OrderInfo, Quantiles, Stage};
    use crate::report::fixture;
    use crate::units::{Direction, ValueUnit};

    use super::super::page::Page;

    fn measure(name: &str) -> MeasureInfo {
        MeasureInfo {
            name: name.to_owned(),
            statement: "take_job".to_owned(),
            column: "age_us".to_owned(),
            count: 1_200,
            per_s: 120.0,
            ..MeasureInfo::default()
        }
    }

    fn order(in_client: u64, in_worker: u64) -> OrderInfo {
        OrderInfo {
            direction: Direction::Ascending,
            in_client,
            in_client_fraction: Some(in_client as f64 / 1_200.0),
            in_worker,
            in_worker_fraction: Some(in_worker as f64 / 1_200.0),
        }
    }

    fn stage() -> Stage {
        let mut stage = fixture::healthy().stages.remove(0);
        let times = Quantiles {
            count: 1_200,
            mean: Some(15_250.0),
            p50: Some(12_300),
            p95: Some(48_000),
            p99: Some(1_250_000),
            max: Some(1_500_000),
            ..Quantiles::default()
        };
        stage.measures = vec![
            MeasureInfo { value_us: Some(times), missing: 3, ..measure("event_age") },
            MeasureInfo { order: Some(order(0, 0)), ..measure("kept") },
            MeasureInfo { order: Some(order(0, 24)), ..measure("raced") },
            MeasureInfo { order: Some(order(12, 24)), ..measure("broken") },
        ];
        let readings: Vec<LevelAt> =
            (1..=40_u32).map(|second| LevelAt { t_s: f64::from(second), level: f64::from(second) }).collect();
        let levels = Levels { first: 1.0, min: 1.0, mean: 20.5, max: 40.0, last: 40.0, readings };
        let depth = GaugeInfo {
            name: "depth".to_owned(),
            readings: 40,
            gaps: 2,
            level_count: Some(levels),
            ..GaugeInfo::default()
        };
        let unread = GaugeInfo { name: "size".to_owned(), unit: ValueUnit::Bytes, ..GaugeInfo::default() };
        stage.gauges = vec![depth, unread];
        stage
    }

    #[test]
    fn measures_gauges_and_what_became_of_the_order() {
        let mut page = Page::new(80, false);
        super::measures(&mut page, &stage());
        super::gauges(&mut page, &stage());
        insta::assert_snapshot!(page.finish());
    }
}
