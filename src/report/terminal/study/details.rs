//! What theory says of the curve, and every figure with the interval of its repetitions.

use super::super::grid::{Cell, Column, Grid};
use super::super::page::{INDENT, Page, Style};
use crate::model::{Estimate, PoolPoint, PoolStudy, ScalingLaw};
use crate::report::format::{DASH, count, decimal, duration_us, percent, rate};

/// Gap between two waits, as a factor, from which they part.
const PARTS: f64 = 1.5;
/// And in microseconds: below it no pool is sized.
const PARTS_MIN_US: f64 = 1_000.0;

pub(super) fn theory(page: &mut Page, study: &PoolStudy) {
    let has_queue = study.sizes.iter().any(|point| point.queue.is_some());
    if study.law.is_none() && !has_queue {
        return;
    }
    page.heading("beside theory", "");
    if let Some(law) = &study.law {
        page.fact("law", &law_words(law));
    }
    if has_queue {
        queue(page, study);
    }
}

fn law_words(law: &ScalingLaw) -> String {
    let share = |estimate: &Estimate, digits: usize| {
        let percent = |value: f64| decimal(value * 100.0, digits);
        let interval = match (estimate.low, estimate.high) {
            (Some(low), Some(high)) => format!(" ({} to {})", percent(low), percent(high)),
            (None, Some(high)) => format!(" (up to {})", percent(high)),
            _ => String::new(),
        };
        format!("{} %{interval}", percent(estimate.mean))
    };
    let mut words = format!(
        "Universal Scalability Law: one connection does {}/s; {} of the work is done one after the other, and each pair of \
         connections costs {}",
        rate(law.per_s_of_one.mean),
        share(&law.contention, 1),
        share(&law.coherence, 3)
    );
    words += &match (law.peak_busy, law.peak_per_s) {
        (Some(busy), Some(per_s)) => {
            format!("; most is done with {} busy connections ({}/s)", decimal(busy, 0), rate(per_s))
        }
        _ => ", which cannot be told from nothing, so that no peak is named".to_owned(),
    };
    if !law.describes {
        words += &format!(
            ". The curve is not of this shape: it misses by {}, more than the repetitions scatter",
            percent(law.misfit)
        );
    }
    words
}

/// The waits that Erlang C expects beside those that were measured.
fn queue(page: &mut Page, study: &PoolStudy) {
    let mut grid = Grid::new(vec![
        Column::number("size"),
        Column::number("load ÷\nsize"),
        Column::number("mean wait\nexpected"),
        Column::number("\nmeasured"),
        Column::number("connection held\nmean"),
        Column::number("÷ smallest\nsize"),
    ]);
    for point in &study.sizes {
        let Some(queue) = &point.queue else { continue };
        let endless = if queue.utilisation >= 1.0 { "no end" } else { DASH };
        grid.row(vec![
            Cell::new(point.size.to_string()),
            Cell::new(percent(queue.utilisation)),
            Cell::new(queue.wait_us.map_or_else(|| endless.to_owned(), duration_us)),
            Cell::new(mean(point.pool_wait_us.mean)),
            Cell::new(mean(point.hold_us.mean)),
            Cell::new(format!("× {}", decimal(queue.service_ratio, 2))),
        ]);
    }
    page.grid(&grid);
    let words = "expected: Erlang C and Allen–Cunneen, with the time for which connections are held at the smallest size";
    page.paragraph(INDENT, Style::Dim, words);
    if let Some(words) = parting(study) {
        page.paragraph(INDENT, Style::Plain, &words);
    }
}

/// Where measured and expected waits part, and through which waits of the server.
fn parting(study: &PoolStudy) -> Option<String> {
    let parts = |point: &&PoolPoint| {
        let (Some(queue), Some(measured)) = (&point.queue, point.pool_wait_us.mean) else { return false };
        let Some(expected) = queue.wait_us else { return false };
        (measured - expected).abs() > PARTS_MIN_US
            && (measured > expected * PARTS || measured < expected / PARTS)
    };
    let point = study.sizes.iter().find(parts)?;
    let queue = point.queue.as_ref()?;
    let own = queue.wait_us_of_own_service;
    let because = if (queue.service_ratio - 1.0).abs() > 0.1 {
        let through = point.top_wait.as_ref().map_or_else(String::new, |wait| {
            format!(": its sessions were mostly in {} ({})", wait.event, percent(wait.share))
        });
        format!(
            "connections are held × {} as long as at the smallest size{through}",
            decimal(queue.service_ratio, 2)
        )
    } else if own.is_none() {
        "with the time that was measured there the queue has no end".to_owned()
    } else {
        "the service is as long as at the smallest size, so that it is the arrivals or the length of the measurement that differ"
            .to_owned()
    };
    Some(format!(
        "From {} connections on the measured wait parts from the expected one: {because}.",
        point.size
    ))
}

fn mean(us: Option<f64>) -> String {
    us.map_or_else(|| DASH.to_owned(), duration_us)
}

/// Times and throughput with their intervals.
pub(super) fn intervals(page: &mut Page, points: &[PoolPoint]) {
    page.heading("sizes with intervals", "means, and below them their intervals at 95 %");
    let mut grid = Grid::new(vec![
        Column::number("size"),
        Column::number("repeats"),
        Column::number("per s"),
        Column::number("response"),
        Column::number("pool wait"),
        Column::number("service"),
    ]);
    for point in points {
        let Some(of) = &point.estimates else { continue };
        grid.row(vec![
            Cell::new(point.size.to_string()),
            Cell::new(point.repeats.to_string()),
            estimated(Some(of.per_s), rate),
            estimated(of.response_us, duration_us),
            estimated(of.pool_wait_us, duration_us),
            estimated(of.service_us, duration_us),
        ]);
    }
    page.grid(&grid);
}

/// How the pool was used, what failed, the host.
pub(super) fn levels(page: &mut Page, points: &[PoolPoint]) {
    page.blank();
    let mut grid = Grid::new(vec![
        Column::number("size"),
        Column::number("busy"),
        Column::number("waiting"),
        Column::number("saturated"),
        Column::number("held\nunused"),
        Column::number("not ok"),
        Column::number("host\nCPU"),
    ]);
    for point in points {
        let Some(of) = &point.estimates else { continue };
        grid.row(vec![
            Cell::new(point.size.to_string()),
            estimated(Some(of.busy), |value| decimal(value, 1)),
            estimated(Some(of.waiting), |value| decimal(value, 1)),
            estimated(Some(of.saturated_fraction), percent),
            estimated(of.held_unused_fraction, percent),
            Cell::new(percent(point.error_fraction)),
            Cell::new(point.host_cpu_fraction.map_or_else(|| DASH.to_owned(), percent)),
        ]);
    }
    page.grid(&grid);
    connections(page, points);
}

/// What connections cost: how many were made while a size was measured, how long one takes, and how many were not to be had.
fn connections(page: &mut Page, points: &[PoolPoint]) {
    page.blank();
    let words = if points.iter().all(|point| point.creates == 0 && point.timeouts == 0) {
        "No connection had to be made while sizes were measured, and no acquire ran into its timeout."
    } else {
        let mut grid = Grid::new(vec![
            Column::number("size"),
            Column::number("connections\nmade"),
            Column::number("one takes\nmean"),
            Column::number("\n95 % interval"),
            Column::number("acquires that\ntimed out"),
        ]);
        for point in points {
            let took = point.create_us.mean.filter(|_| point.creates > 0);
            let estimate = point.estimates.as_ref().and_then(|of| of.create_us);
            let interval = estimate.and_then(|of| Some((of.low?, of.high?)));
            grid.row(vec![
                Cell::new(point.size.to_string()),
                Cell::new(count(point.creates)),
                Cell::new(took.map_or_else(|| DASH.to_owned(), duration_us)),
                Cell::new(interval.map_or_else(
                    || DASH.to_owned(),
                    |(low, high)| format!("{}–{}", duration_us(low), duration_us(high)),
                )),
                Cell::new(count(point.timeouts)),
            ]);
        }
        page.grid(&grid);
        "An interval takes connections made in each repetition."
    };
    page.paragraph(INDENT, Style::Dim, words);
    page.paragraph(
        INDENT,
        Style::Dim,
        "To give one out again takes no time worth a column: whether it is usable is known without a round trip to the server.",
    );
}

fn estimated(estimate: Option<Estimate>, show: impl Fn(f64) -> String) -> Cell {
    let Some(estimate) = estimate else { return Cell::new(DASH) };
    let cell = Cell::new(show(estimate.mean));
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => cell.and(format!("{}–{}", show(low), show(high))),
        _ => cell,
    }
}
