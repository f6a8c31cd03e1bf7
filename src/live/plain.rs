//! Progress as lines.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

use crate::dataset::LoadEvent;
use crate::study::{Happening, Second};

/// Without a terminal, one line of a stage is enough in this time.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Tells what happens on standard error.
pub struct Plain {
    terminal: bool,
    quiet: bool,
    /// Whether the last line is one that may be drawn over.
    open_line: bool,
    last_line_at: Option<Instant>,
    loading: Option<(String, Instant)>,
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
            Happening::Loaded(summary) => self.line(&format!("  {summary}")),
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
            LoadEvent::Phase(words) => self.line(&format!("  {words}")),
            LoadEvent::TableBegun { table, rows } => {
                self.loading = Some((table.clone(), Instant::now()));
                if self.terminal {
                    self.redraw(&format!("  {table}: 0 of {rows} rows"));
                }
            }
            LoadEvent::Rows { table, done, of, .. } => {
                let Some((_, begun)) = &self.loading else { return };
                let rate = *done as f64 / begun.elapsed().as_secs_f64().max(1e-3);
                if self.terminal {
                    let percent = done * 100 / (*of).max(1);
                    self.redraw(&format!("  {table}: {percent:>3} % of {of} rows, {rate:.0} rows/s"));
                }
            }
            LoadEvent::TableDone { table, rows, bytes, seconds } => {
                let megabytes = *bytes as f64 / 1e6;
                let rate = *rows as f64 / seconds.max(1e-3);
                self.line(&format!("  {table}: {rows} rows, {megabytes:.1} MB, {seconds:.1} s, {rate:.0} rows/s"));
            }
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
    fn write(&mut self, words: &str) {
        let _ = std::io::stderr().lock().write_all(words.as_bytes());
    }
}

fn second_line(second: &Second<'_>) -> String {
    let clock = if second.drain {
        format!("  drain {:.0}s", second.elapsed_s - second.duration_s)
    } else {
        format!("  {:>3.0}/{:.0}s", second.elapsed_s, second.duration_s)
    };
    let errors = if second.errors > 0 { format!("  errors {}", second.errors) } else { String::new() };
    format!(
        "{clock} {:>8.0}/s  p50 {:>9}  p99 {:>9}  busy {:>4.1}  waiting {:>4.1}{errors}",
        second.per_s,
        time(second.p50_us),
        time(second.p99_us),
        second.busy,
        second.waiting
    )
}

fn time(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), |us| crate::model::metric::Unit::Time.show(us as f64))
}
