//! Progress as lines.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

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
    loading: Option<Loading>,
}

/// The table that is being loaded.
struct Loading {
    table: String,
    of: u64,
    sent: u64,
    begun: Instant,
}

impl Plain {
    /// `quiet` leaves out everything but notes.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, quiet, open_line: false, last_line_at: None, loading: None }
    }

    /// Tells of one happening.
    pub fn tell(&mut self, happening: &Happening<'_>) {
        match happening {
            Happening::Note(words) => self.line(&format!("note: {words}")),
            _ if self.quiet => {}
            Happening::Step(words) => self.line(words),
            Happening::Load(event) => self.load(event),
            Happening::Loaded(summary) => self.line(&loaded_line(summary)),
            Happening::StageBegun { name, number, of, duration, measured } => {
                let what = if *measured { "" } else { ", not measured" };
                let length = crate::units::format_duration(*duration);
                self.line(&format!("[{number}/{of}] {name}: {length}{what}"));
                self.last_line_at = Some(Instant::now());
            }
            Happening::Second(second) => self.second(second),
        }
    }

    /// Ends a line that is still open, before something else is printed.
    pub fn finish(&mut self) {
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
                self.loading =
                    Some(Loading { table: table.clone(), of: *rows, sent: 0, begun: Instant::now() });
                self.redraw_loading();
            }
            LoadEvent::RowsSent { rows, .. } => {
                if let Some(loading) = &mut self.loading {
                    loading.sent += rows;
                }
                self.redraw_loading();
            }
            LoadEvent::TableDone(table) => self.line(&table_line(table)),
            LoadEvent::Note(words) => self.line(&format!("  note: {words}")),
        }
    }

    fn redraw_loading(&mut self) {
        if !self.terminal {
            return;
        }
        if let Some(Loading { table, of, sent, begun }) = &self.loading {
            let rate = *sent as f64 / begun.elapsed().as_secs_f64().max(1e-3);
            let percent = sent * 100 / (*of).max(1);
            let words = format!("    {table:<16} {percent:>3} % of {of:>9} rows {rate:>9.0}/s");
            self.redraw(&words);
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
        "    {:<16} {:>9} rows {:>9.0}/s {:>7.1} MB {seconds:>5.1} s",
        table.table,
        table.rows,
        table.rows as f64 / seconds.max(1e-3),
        table.bytes as f64 / 1e6,
    )
}

fn loaded_line(summary: &LoadSummary) -> String {
    if summary.already_loaded {
        return "  it is there already, nothing was done".to_owned();
    }
    let seconds: f64 = summary.phases.iter().map(|(_, took)| took.as_secs_f64()).sum();
    let phases: Vec<_> =
        summary.phases.iter().map(|(phase, took)| format!("{phase} {:.1} s", took.as_secs_f64())).collect();
    let megabytes = summary.bytes as f64 / 1e6;
    format!("  loaded {} rows, {megabytes:.0} MB in {seconds:.1} s ({})", summary.rows, phases.join(", "))
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
