//! What the generator of this machine can do: its highest rate, what a transaction costs it, and how late it starts them.

use super::Options;
use super::grid::{Cell, Column, Grid};
use super::page::{Page, Style};
use super::value::{Statistic, plural, time};
use super::{WIDTH_MAX, WIDTH_MIN};
use crate::model::{Calibration, EnvironmentInfo};
use crate::report::format::{DASH, NBSP, bytes, duration_us, percent, rate};

/// The calibration as text for a terminal.
#[must_use]
pub fn render(calibration: &Calibration, options: &Options) -> String {
    let mut page = Page::new(options.width.clamp(WIDTH_MIN, WIDTH_MAX), options.colour);
    let most = calibration.rate_max_per_s();
    let cost =
        calibration.cpu_us_min().map_or_else(String::new, |us| format!(", {} of CPU each", cpu(Some(us))));
    let sentence = format!("{}{NBSP}transactions/s on one thread{cost}", rate(most));
    page.line(&[(Style::Bold, "CALIBRATED"), (Style::Plain, "  "), (Style::Plain, &sentence)]);
    page.blank();
    page.labelled(0, "session", Style::Plain, "answers at once, one statement a transaction; no database");
    page.labelled(0, "machine", Style::Plain, &machine(&calibration.environment));
    let version = format!("{} · {}", calibration.dbdyno_version, calibration.measured_at);
    page.labelled(0, "dbdyno", Style::Plain, &version);

    page.heading("closed loop", "users who never wait: the highest rate");
    page.grid(&closed(calibration));
    page.heading("open loop", "arrivals on one thread: how late they start");
    page.grid(&open(calibration, most));
    page.finish()
}

fn machine(of: &EnvironmentInfo) -> String {
    format!(
        "{} of {}, {} of memory, {}, kernel {}",
        plural(u64::from(of.cores), "core"),
        of.cpu,
        bytes(of.memory_bytes),
        of.os,
        of.kernel
    )
}

fn closed(calibration: &Calibration) -> Grid {
    let mut grid = Grid::new(vec![
        Column::number("clients"),
        Column::number("threads"),
        Column::number("per s"),
        Column::number("CPU a\ntransaction"),
    ]);
    for point in &calibration.closed {
        grid.row(vec![
            Cell::new(point.clients.to_string()),
            Cell::new(point.threads.to_string()),
            Cell::new(rate(point.per_s)),
            Cell::new(cpu(point.cpu_us_per_transaction)),
        ]);
    }
    grid
}

fn open(calibration: &Calibration, most: f64) -> Grid {
    let mut grid = Grid::new(vec![
        Column::number("planned\nper s"),
        Column::number("of the\nhighest"),
        Column::number("achieved\nper s"),
        Column::number("CPU a\ntransaction"),
        Column::number("late by\np50"),
        Column::number("\np99"),
        Column::number("\nmax"),
    ]);
    for point in &calibration.open {
        let share = if most > 0.0 { percent(point.offered_per_s / most) } else { DASH.to_owned() };
        grid.row(vec![
            Cell::new(rate(point.offered_per_s)),
            Cell::new(share),
            Cell::new(rate(point.achieved_per_s)),
            Cell::new(cpu(point.cpu_us_per_transaction)),
            Cell::new(time(&point.lag_us, Statistic::P50)),
            Cell::new(time(&point.lag_us, Statistic::P99)),
            Cell::new(time(&point.lag_us, Statistic::Max)),
        ]);
    }
    grid
}

fn cpu(us: Option<f64>) -> String {
    us.map_or_else(|| DASH.to_owned(), duration_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CALIBRATION_VERSION, ClosedPoint, OpenPoint, Quantiles};

    fn calibration() -> Calibration {
        let closed = |clients, threads, per_s, cpu| ClosedPoint {
            clients,
            threads,
            per_s,
            cpu_us_per_transaction: Some(cpu),
        };
        let open = |offered_per_s: f64, p50, p99, max| OpenPoint {
            offered_per_s,
            achieved_per_s: offered_per_s - 0.4,
            cpu_us_per_transaction: None,
            lag_us: Quantiles {
                count: 30_000,
                p50: Some(p50),
                p99: Some(p99),
                max: Some(max),
                ..Quantiles::default()
            },
        };
        Calibration {
            schema_version: CALIBRATION_VERSION,
            dbdyno_version: "0.1.0".to_owned(),
            measured_at: "2026-11-23T20:00:00Z".to_owned(),
            environment: EnvironmentInfo {
                os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
                kernel: "6.1.0".to_owned(),
                cpu: "An Example Processor".to_owned(),
                cores: 2,
                memory_bytes: 8 << 30,
                client_cpus: None,
                server_cpus: None,
            },
            closed: vec![
                closed(1, 1, 780_000.0, 1.28),
                closed(64, 1, 812_000.0, 1.23),
                closed(16, 2, 1_500_000.0, 1.3),
            ],
            open: vec![open(81_200.0, 61, 142, 2_090), open(650_000.0, 84, 1_204, 9_900)],
        }
    }

    #[test]
    fn the_page_of_a_calibration() {
        let page = render(&calibration(), &Options::default());
        insta::assert_snapshot!("calibration", page);
        let first = page.lines().next().expect("a line").replace('\u{a0}', " ");
        // Two threads together do more; what one can do is the floor.
        assert!(first.contains("812 000 transactions/s on one thread, 1.23 µs of CPU each"), "{first}");
    }
}
