//! What went on in the server, on the time axis of the load: a row of letters below the marks of the responses, so that one can be
//! read off by the other.

use super::load::{TIMELINE_LABEL, row};
use super::page::{INDENT, Page, Style};
use crate::model::{
    HostIntervalInfo, IntervalInfo, ProcessIntervalInfo, ServerEventInfo, ServerIntervalInfo, Stage,
};
use crate::report::format::{NBSP, bytes, count, decimal, percent, rate};
use crate::report::text::width;

/// Events that a summary tells of one by one.
const SHOWN: usize = 4;
/// Events that a full report tells of one by one.
const SHOWN_FULL: usize = 40;
/// Stands where more than one kind of event meets.
const SEVERAL: char = '+';

/// Seconds of the stage that stand behind one mark.
pub(super) type Group<'a> = &'a [&'a IntervalInfo];

/// The events below the other rows, and what their letters mean; in a full report the server's own course as well.
pub(super) fn rows(page: &mut Page, stage: &Stage, groups: &[Group<'_>], full: bool) {
    if full {
        courses(page, stage, groups);
    }
    if stage.server_events.is_empty() {
        return;
    }
    let marks: String = groups.iter().map(|group| mark(&stage.server_events, span(group))).collect();
    let label = "server";
    let label = format!("{}{label}{}", " ".repeat(INDENT), " ".repeat(TIMELINE_LABEL - width(label)));
    page.line(&[(Style::Dim, &label), (Style::Caution, &marks)]);
    let shown = if full { SHOWN_FULL } else { SHOWN };
    let mut told: Vec<String> = stage.server_events.iter().take(shown).map(told).collect();
    let untold = stage.server_events.len().saturating_sub(shown) as u64 + stage.server_events_dropped;
    if untold > 0 {
        told.push(format!("{} more", count(untold)));
    }
    page.paragraph(INDENT + TIMELINE_LABEL, Style::Plain, &told.join(" · "));
}

/// First and last second of a group.
fn span(group: Group<'_>) -> (f64, f64) {
    let begin = group.first().map_or(0.0, |second| second.t_s - second.length_s);
    (begin, group.last().map_or(begin, |second| second.t_s))
}

/// The letter of the kind of event that meets a stretch of time.
fn mark(events: &[ServerEventInfo], (begin, end): (f64, f64)) -> char {
    let meets = |event: &&ServerEventInfo| {
        // An event without a length stands in one stretch only.
        event.t_s < end && event.ended_s.is_none_or(|ended| ended > begin || event.t_s >= begin)
    };
    let mut letters = events.iter().filter(meets).map(letter);
    let Some(first) = letters.next() else { return ' ' };
    if letters.all(|letter| letter == first) { first } else { SEVERAL }
}

fn letter(event: &ServerEventInfo) -> char {
    match event.kind.as_str() {
        "checkpoint" => 'C',
        "autovacuum" | "vacuum" => 'V',
        "autoanalyze" | "analyze" => 'A',
        "temporary_files" => 'T',
        "replica_lag" => 'R',
        // Of a newer dbdyno: its words tell what it is.
        _ => '?',
    }
}

/// `C 30.2–33.1 s checkpoint by time, 812 buffers written`
fn told(event: &ServerEventInfo) -> String {
    let from = decimal(event.t_s, 1);
    let time = match event.ended_s {
        Some(ended) if ended > event.t_s => format!("{from}–{}{NBSP}s", decimal(ended, 1)),
        Some(_) => format!("{from}{NBSP}s"),
        None => format!("{from}{NBSP}s to the end"),
    };
    format!("{}{NBSP}{time} {}", letter(event), event.words)
}

/// WAL, reads from outside the buffers, and clients that executed something; the host and the server's processes on it.
fn courses(page: &mut Page, stage: &Stage, groups: &[Group<'_>]) {
    let mut show = |label: &str, values: Vec<Option<f64>>, text: fn(f64) -> String| {
        if values.iter().flatten().any(|value| *value > 0.0) {
            row(page, label, &values, text);
        }
    };
    let is_redo = stage.server.as_ref().is_some_and(|server| server.wal_fpi.is_none());
    show(
        if is_redo { "redo/s" } else { "WAL/s" },
        course(groups, &stage.server_intervals, |one| one.wal_bytes_per_s),
        whole_bytes,
    );
    show("read/s", course(groups, &stage.server_intervals, |one| one.blocks_read_per_s), rate);
    show("active", course(groups, &stage.server_intervals, |one| Some(one.active + one.lock_waiting)), rate);
    show("cores", course(groups, &stage.process_intervals, |one| Some(one.cores)), |cores| decimal(cores, 2));
    show("host", course(groups, &stage.host_intervals, |one| one.cpu_fraction), percent);
    let host = [
        ("disk r", (|one| one.disk_read_bytes_per_s) as fn(&HostIntervalInfo) -> Option<f64>),
        ("disk w", |one| one.disk_written_bytes_per_s),
        ("net in", |one| one.received_bytes_per_s),
        ("net out", |one| one.sent_bytes_per_s),
    ];
    for (label, of) in host {
        show(label, course(groups, &stage.host_intervals, of), |value| format!("{}/s", whole_bytes(value)));
    }
}

/// A rate of bytes: what lies behind the point is of no interest.
fn whole_bytes(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = value as u64;
    bytes(whole)
}

/// What was read in a stretch of time.
trait Interval {
    /// Its end and its length, in seconds.
    fn place(&self) -> (f64, f64);
}

impl Interval for ServerIntervalInfo {
    fn place(&self) -> (f64, f64) {
        (self.t_s, self.length_s)
    }
}

impl Interval for HostIntervalInfo {
    fn place(&self) -> (f64, f64) {
        (self.t_s, self.length_s)
    }
}

impl Interval for ProcessIntervalInfo {
    fn place(&self) -> (f64, f64) {
        (self.t_s, self.length_s)
    }
}

/// A figure in each group of seconds.
fn course<I: Interval>(
    groups: &[Group<'_>],
    intervals: &[I],
    of: impl Fn(&I) -> Option<f64> + Copy,
) -> Vec<Option<f64>> {
    groups.iter().map(|group| mean(intervals, span(group), of)).collect()
}

/// Mean by length of what was read in a stretch of time; absent where nobody looked.
fn mean<I: Interval>(
    intervals: &[I],
    (begin, end): (f64, f64),
    of: impl Fn(&I) -> Option<f64>,
) -> Option<f64> {
    let (mut sum, mut length) = (0.0, 0.0);
    for one in intervals {
        let (t_s, length_s) = one.place();
        let shared = (t_s.min(end) - (t_s - length_s).max(begin)).max(0.0);
        if let Some(value) = of(one) {
            sum += value * shared;
            length += shared;
        }
    }
    (length > 0.0).then(|| sum / length)
}

#[cfg(test)]
mod tests {
    use super::super::{Detail, Options, render};
    use super::*;
    use crate::report::fixture;

    fn event(kind: &str, t_s: f64, ended_s: Option<f64>, words: &str) -> ServerEventInfo {
        ServerEventInfo {
            t_s,
            ended_s,
            kind: kind.to_owned(),
            words: words.to_owned(),
            ..ServerEventInfo::default()
        }
    }

    #[test]
    fn a_letter_stands_below_the_seconds_of_its_event() {
        let events = [
            event("checkpoint", 1.5, Some(3.5), ""),
            event("autovacuum", 3.2, Some(4.0), ""),
            event("autoanalyze", 6.0, Some(6.0), ""),
            event("replica_lag", 8.5, None, ""),
        ];
        let marks: String =
            (0..10).map(|second| mark(&events, (f64::from(second), f64::from(second + 1)))).collect();
        assert_eq!(marks, " CC+  A RR");
    }

    #[test]
    fn a_stretch_has_the_mean_of_what_was_read_in_it() {
        let interval =
            |t_s, active| ServerIntervalInfo { t_s, length_s: 1.0, active, ..ServerIntervalInfo::default() };
        let intervals = [interval(1.5, 4.0), interval(2.5, 8.0)];
        let of = |one: &ServerIntervalInfo| Some(one.active);
        assert_eq!(mean(&intervals, (1.0, 2.0), of), Some(6.0));
        assert_eq!(mean(&intervals, (3.0, 4.0), of), None);
    }

    /// The stall at the thirtieth second stands above the checkpoint that came with it.
    #[test]
    fn a_slow_second_can_be_read_off_against_a_checkpoint() {
        let mut report = fixture::healthy();
        report.stages.remove(0);
        let stage = &mut report.stages[0];
        stage.server_events = vec![
            event("autovacuum", 11.4, Some(15.6), "autovacuum of orders: scanning heap, vacuuming indexes"),
            event("checkpoint", 29.2, Some(31.4), "checkpoint by request or WAL volume, 812 buffers written"),
            event("temporary_files", 44.0, Some(46.0), "12 temporary files, 34.1 MB"),
        ];
        stage.server_intervals = (1..60)
            .map(|second| ServerIntervalInfo {
                t_s: f64::from(second) + 0.5,
                length_s: 1.0,
                wal_bytes_per_s: Some(if second == 30 { 9_400_000.0 } else { 680_000.0 }),
                blocks_read_per_s: Some(f64::from(second % 5) * 11.0),
                active: 6.0,
                lock_waiting: f64::from(second % 2),
                ..ServerIntervalInfo::default()
            })
            .collect();
        stage.host_intervals = (1..60)
            .map(|second| HostIntervalInfo {
                t_s: f64::from(second),
                length_s: 1.0,
                cpu_fraction: Some(0.4),
                disk_written_bytes_per_s: Some(if second == 30 { 3e7 } else { 2e6 }),
                received_bytes_per_s: Some(0.0),
                ..HostIntervalInfo::default()
            })
            .collect();
        let section = |detail| -> Vec<String> {
            render(&report, &Options { detail, ..Options::default() })
                .lines()
                .skip_while(|line| !line.starts_with("COURSE OF TIME"))
                .take_while(|line| !line.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let summary = section(Detail::Summary);
        let line = |lines: &[String], label: &str| {
            let start = format!("  {label:<7}");
            lines.iter().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
        };
        // Sixty seconds are sixty marks.
        let gap = |marks: usize| " ".repeat(marks);
        let expected = format!("{}VVVVV{}CCC{}TT", gap(11), gap(13), gap(12));
        assert_eq!(line(&summary, "server"), Some(expected), "{summary:#?}");
        let p99: Vec<char> = line(&summary, "p99").expect("its row").chars().collect();
        assert_eq!((p99[28], p99[29], p99[30], p99[31]), ('▁', '█', '█', '▁'), "{summary:#?}");
        let words = summary.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        let told = "C 29.2–31.4 s checkpoint by request or WAL volume, 812 buffers written";
        assert!(words.contains(told), "{words}");
        assert_eq!(line(&summary, "WAL/s"), None, "a summary is short");
        let full = section(Detail::Full);
        assert_eq!(line(&full, "net in"), None, "nothing came");
        for label in ["WAL/s", "read/s", "active", "host", "disk w"] {
            assert!(line(&full, label).is_some_and(|marks| marks.contains('↑')), "{label}: {full:#?}");
        }
    }
}
