//! Progress as lines.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

use super::bar::{TableBar, count, count_per_s, megabytes, megabytes_per_s};
use crate::study::{Happening, LoadEvent, LoadSummary, Second, TableSummary};

/// Without a terminal, one line of a stage is enough in this time.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Tells what happens on standard error.
pub struct Plain {
    terminal: bool,
    quiet: bool,
    /// Whether the last line is one that may be drawn over.
    open_line: bool,
    last_line_at: Option<Instant>,
    /// The bar of the table that is being loaded.
    bar: Option<TableBar>,
}

impl Plain {
    /// `quiet` leaves out everything but notes.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, quiet, open_line: false, last_line_at: None, bar: None }
    }

    /// Tells of one happening.
    pub fn tell(&mut self, happening: &Happening<'_>) {
        match happening {
            Happening::Note(words) => self.line(&format!("note: {words}")),
            _ if self.quiet => {}
            Happening::Step(words) => self.line(words),
            Happening::Load(event) => self.load(event),
            Happening::Loaded(summary) => self.line(&loaded_line(summary)),
            Happening::StageBegun { name, number, of, duration, measured, until_steady } => {
                let what = if *measured { "" } else { ", not measured" };
                let most = if *until_steady { "until steady, at most " } else { "" };
                let length = crate::units::format_duration(*duration);
                let place = if *of < *number { format!("{number}") } else { format!("{number}/{of}") };
                self.line(&format!("[{place}] {name}: {most}{length}{what}"));
                self.last_line_at = Some(Instant::now());
            }
            Happening::Second(second) => self.second(second),
            // What a line has no room for.
            Happening::Begun(_) | Happening::Interval(_) | Happening::Seen(_) => {}
        }
    }

    /// Ends a line that is still open, before something else is printed.
    pub fn finish(&mut self) {
        self.bar = None;
        if std::mem::take(&mut self.open_line) {
            self.write("\n");
        }
    }

    fn second(&mut self, second: &Second<'_>) {
        let due = self.last_line_at.is_none_or(|at| at.elapsed() >= LINE_EVERY);
        let last = !second.drain && second.elapsed_s >= second.duration_s - 1e-6;
        if self.terminal {
            self.redraw(&second_line(second));
            if last {
                self.finish();
            }
        } else if due || last {
            self.line(&second_line(second));
            self.last_line_at = Some(Instant::now());
        }
    }

    fn load(&mut self, event: &LoadEvent) {
        match event {
            LoadEvent::PhaseBegun(phase) => self.line(&format!("  {phase}")),
            LoadEvent::Step { number, of, what } if self.terminal => {
                self.redraw(&format!("    [{number}/{of}] {what}"));
            }
            LoadEvent::Step { .. } => {}
            LoadEvent::TableBegun { table, rows } => {
                self.bar = self.terminal.then(|| TableBar::new(table, *rows));
            }
            LoadEvent::RowsSent { rows, bytes } => {
                if let Some(bar) = &mut self.bar {
                    bar.sent(*rows, *bytes);
                }
            }
            LoadEvent::TableDone(table) => {
                self.bar = None;
                self.line(&table_line(table));
            }
            LoadEvent::Note(words) => self.line(&format!("  note: {words}")),
        }
    }

    fn line(&mut self, words: &str) {
        if std::mem::take(&mut self.open_line) {
            self.write("\r\x1b[K");
        }
        self.write(words);
        self.write("\n");
    }

    fn redraw(&mut self, words: &str) {
        self.write("\r\x1b[K");
        self.write(words);
        self.open_line = true;
    }

    /// A closed standard error must not end a measurement.
    #[expect(clippy::unused_self, reason = "whoever writes must be the one who knows what line is open")]
    fn write(&mut self, words: &str) {
        let _ = std::io::stderr().lock().write_all(words.as_bytes());
    }
}

fn table_line(table: &TableSummary) -> String {
    let seconds = table.duration.as_secs_f64();
    format!(
        "    {:<16} {:>13} rows  {:>11} rows/s  {:>9}  {:>11}/s  {seconds:>6.1} s",
        table.table,
        count(table.rows),
        count_per_s(table.rows, seconds),
        megabytes(table.bytes),
        megabytes_per_s(table.bytes, seconds),
    )
}

fn loaded_line(summary: &LoadSummary) -> String {
    if summary.already_loaded {
        return "  it is there already, nothing was done".to_owned();
    }
    let seconds: f64 = summary.phases.iter().map(|(_, took)| took.as_secs_f64()).sum();
    let phases: Vec<_> =
        summary.phases.iter().map(|(phase, took)| format!("{phase} {:.1} s", took.as_secs_f64())).collect();
    format!(
        "  loaded {} rows, {} in {seconds:.1} s\n    {}",
        count(summary.rows),
        megabytes(summary.bytes),
        phases.join(" · ")
    )
}

fn second_line(second: &Second<'_>) -> String {
    let clock = if second.drain {
        format!("  drain {:.0}s", second.elapsed_s - second.duration_s)
    } else {
        format!("  {:>3.0}/{:.0}s", second.elapsed_s, second.duration_s)
    };
    let errors = if second.errors > 0 { format!("  errors {}", second.errors) } else { String::new() };
    format!(
        "{clock} {:>8.0}/s  p50 {:>9}  {:>13}  busy {:>4.1}  waiting {:>4.1}{errors}",
        second.per_s,
        time(second.p50_us),
        // Below 1,000 a second there is no 99th percentile of a second to speak of.
        second
            .p99_us
            .map_or_else(|| format!("max {}", time(second.max_us)), |us| format!("p99 {}", time(Some(us)))),
        second.busy,
        second.waiting
    )
}

fn time(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), |us| crate::model::metric::Unit::Time.show(us as f64))
}
