//! The bar of a table that is being loaded, on a terminal: how far it is, how fast, and how long it will take.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Columns of the bar itself; the line is cut off at the terminal's width.
const TEMPLATE: &str = "    {prefix:<16} {bar:20} {percent:>3} %  {msg}";
/// Before that the speed is that of a cold start.
const SPEED_KNOWN_AFTER: Duration = Duration::from_millis(300);

/// One table. Dropping it takes its line off the terminal.
pub(super) struct TableBar {
    bar: ProgressBar,
    of: u64,
    rows: u64,
    bytes: u64,
    begun: Instant,
}

impl TableBar {
    /// Draws it. It has no colours, so that there is nothing to switch off.
    pub(super) fn new(table: &str, rows: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        bar.set_prefix(table.to_owned());
        bar.tick();
        Self { bar, of: rows, rows: 0, bytes: 0, begun: Instant::now() }
    }

    /// So many more were sent.
    pub(super) fn sent(&mut self, rows: u64, bytes: u64) {
        self.rows += rows;
        self.bytes += bytes;
        self.bar.set_message(self.message(self.begun.elapsed()));
        self.bar.set_position(self.rows);
    }

    fn message(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        let speed = format!(
            "{} rows  {} rows/s  {}/s",
            count(self.rows),
            count_per_s(self.rows, seconds),
            megabytes_per_s(self.bytes, seconds)
        );
        if elapsed < SPEED_KNOWN_AFTER || self.rows == 0 {
            return speed;
        }
        let left_s = seconds * self.of.saturating_sub(self.rows) as f64 / self.rows as f64;
        format!("{speed}  {} left", clock(left_s))
    }
}

impl Drop for TableBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `8 s`, `2 min 05 s`, `3 h 12 min`.
fn clock(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative and saturates"
    )]
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A number in groups of three.
pub(super) fn count(number: u64) -> String {
    crate::report::count(number)
}

pub(super) fn count_per_s(number: u64, seconds: f64) -> String {
    crate::report::decimal(number as f64 / seconds.max(1e-3), 0)
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

pub(super) fn megabytes_per_s(bytes: u64, seconds: f64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6 / seconds.max(1e-3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_how_fast_and_how_long() {
        let mut bar = TableBar::new("orders", 100_000);
        bar.sent(25_000, 2_500_000);
        let message = bar.message(Duration::from_secs(2)).replace('\u{a0}', " ");
        assert_eq!(message, "25 000 rows  12 500 rows/s  1.2 MB/s  6 s left");
        assert!(!bar.message(Duration::from_millis(1)).contains("left"), "nobody knows yet");
        assert_eq!((clock(125.0), clock(11_520.0)), ("2 min 05 s".to_owned(), "3 h 12 min".to_owned()));
    }
}
