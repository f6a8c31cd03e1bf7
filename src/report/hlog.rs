//! The response times of a run as an `HdrHistogram` interval log, version 1.3 with V2 histograms, as the usual viewers open it: an
//! interval for each second and transaction, tagged by it. Made from the entries of a journal, whose distributions a report does
//! not hold.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::text::sanitise;
use crate::record::entry::{Entry, Header, Interval, RunKind};
use crate::record::set::TransactionSet;
use crate::units::StageId;

/// What a value is divided by in the column of the longest: that column is in milliseconds, as viewers show it, while the
/// histograms are in microseconds.
const MAX_DIVISOR: f64 = 1000.0;
/// Names of the columns, which stand without a comment's mark.
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";

/// Why there is no log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HlogError {
    /// The journal does not begin with a header.
    #[error("the journal has no header, so that its transactions have no names")]
    NoHeader,
    /// The library refuses a histogram.
    #[error("an interval cannot be written: {0}")]
    Write(String),
}

/// A log in the making, entry by entry: nothing but the names is kept.
#[derive(Default)]
pub struct Hlog {
    header: Option<Box<Header>>,
}

impl Hlog {
    /// Takes the next entry of a journal and gives what it adds to the log: nothing, or whole lines. Stages that warm up are left
    /// out, and so is what did not end ok.
    pub fn push(&mut self, entry: &Entry) -> Result<String, HlogError> {
        if let Entry::Header(header) = entry {
            self.header = Some(header.clone());
            return Ok(head(header));
        }
        match (entry, &mut self.header) {
            (Entry::Planned(planned), Some(header)) if header.stages.len() == planned.stage.index() => {
                header.stages.push(planned.header.clone());
                Ok(String::new())
            }
            (Entry::Interval(interval), Some(header)) => lines(header, interval),
            (Entry::Interval(_), None) => Err(HlogError::NoHeader),
            _ => Ok(String::new()),
        }
    }
}

fn head(header: &Header) -> String {
    let begins_s = header.epoch_unix_us as f64 / 1e6;
    format!(
        "#[Histogram log format version 1.3]\n\
         #[dbdyno {}, run {}: response times in microseconds, a tag for each transaction]\n\
         #[StartTime: {begins_s:.3} (seconds since epoch)]\n\
         #[BaseTime: {begins_s:.3} (seconds since epoch)]\n\
         #[MaxValueDivisor: {MAX_DIVISOR:.3}]\n{LEGEND}\n",
        sanitise(&header.dbdyno_version),
        sanitise(&header.id.0)
    )
}

fn lines(header: &Header, interval: &Interval) -> Result<String, HlogError> {
    let mut text = String::new();
    if header.stages.get(interval.stage.index()).is_none_or(|stage| !stage.measured) {
        return Ok(text);
    }
    for (transaction, set) in interval.set.transactions.iter().enumerate() {
        // A second without an answer has no histogram, as in the logs of others.
        if set.response.is_empty() {
            continue;
        }
        let histogram = encoded(set)?;
        let max = set.response.histogram().max() as f64 / MAX_DIVISOR;
        let _ = writeln!(
            text,
            "Tag={},{:.3},{:.3},{max:.3},{histogram}",
            tag(header, interval.stage, transaction),
            interval.span.from.as_secs_f64(),
            interval.span.duration().as_secs_f64(),
        );
    }
    Ok(text)
}

fn encoded(set: &TransactionSet) -> Result<String, HlogError> {
    set.response.to_bytes().map(|bytes| STANDARD.encode(bytes)).map_err(HlogError::Write)
}

/// The name of a transaction, with the stage before it where there are several; without what separates the fields of a line.
fn tag(header: &Header, stage: StageId, transaction: usize) -> String {
    let name =
        header.workload_of(stage).transactions.get(transaction).map_or("unknown", |of| of.name.as_str());
    let is_only = header.stages.iter().filter(|stage| stage.measured).count() < 2;
    let name = match header.stages.get(stage.index()) {
        // The stages of a search are decided on as it goes: the first is not known to be the only one.
        Some(stage) if !is_only || header.kind == RunKind::Capacity => format!("{}/{name}", stage.name),
        _ => name.to_owned(),
    };
    sanitise(&name).chars().map(|c| if c == ',' || c.is_whitespace() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::record::set::{Set, Shape};
    use crate::units::{Span, Stamp};

    fn header() -> Entry {
        let stage = |name: &str, measured: bool| {
            serde_json::json!({
                "name": name, "measured": measured, "duration_ns": 3_000_000_000_u64, "load": { "rate": 10.0 },
                "pool_size": 4, "instances": 1, "workers": 1,
            })
        };
        let header = serde_json::json!({ "header": {
            "format_version": 1, "dbdyno_version": "0.1.0", "id": "20261123-131203-7f3a", "kind": "run",
            "epoch_unix_us": 1_763_900_000_250_000_i64, "seed": 42, "command": ["dbdyno", "run"],
            "workload": {
                "name": "two", "scale": null, "fingerprint": "0", "generator_version": 1,
                "transactions": [{ "name": "read, all", "share": 0.5 }, { "name": "write", "share": 0.5 }],
                "statements": [{ "name": "by_id", "transaction": 0, "kind": "select", "sql": "SELECT 1" }],
            },
            "target": {
                "engine": "postgresql", "version": "15.18", "address": "", "local": true, "same_host": false,
                "settings": [], "settings_fingerprint": "", "database_bytes": null, "shared_buffers_bytes": null,
                "blind_spots": [],
            },
            "environment": { "os": "", "kernel": "", "cpu": "", "cores": 2, "memory_bytes": 0 },
            "stages": [stage("warm-up", false), stage("run", true)],
            "budgets": [], "probe_interval_ms": 0,
        }});
        serde_json::from_value(header).expect("a header of the first version")
    }

    /// A second in which both answered, the first transaction so many times in so many milliseconds.
    fn second(stage: u32, at_s: u64, times: u64, ms: u64) -> Entry {
        let mut set = Box::new(Set::new(Shape { transactions: 2, statements: 1, ..Shape::default() }));
        for _ in 0..times {
            set.transactions[0].response.record(Duration::from_millis(ms));
        }
        if at_s != 4 {
            set.transactions[1].response.record(Duration::from_millis(200));
        }
        let at = |s: u64| Stamp(s * 1_000_000_000);
        Entry::Interval(Interval {
            stage: StageId(stage),
            span: Span { from: at(at_s), to: at(at_s + 1) },
            drain: false,
            set,
            planned: times,
            in_flight: 0,
        })
    }

    fn log() -> String {
        let (mut log, mut text) = (Hlog::default(), String::new());
        for entry in
            [header(), second(0, 0, 900, 1), second(1, 3, 40, 7), second(1, 4, 60, 9), second(1, 5, 25, 8)]
        {
            // As it lies in a file.
            let line = serde_json::to_string(&entry).expect("an entry is a line");
            text +=
                &log.push(&serde_json::from_str(&line).expect("that is read again")).expect("lines of a log");
        }
        text
    }

    #[test]
    fn the_reader_of_the_format_finds_every_sample_under_its_tag() {
        let text = log();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut seen = 0;
        for entry in IntervalLogIterator::new(text.as_bytes()) {
            match entry.expect("the reader knows every line") {
                LogEntry::StartTime(at) | LogEntry::BaseTime(at) => {
                    assert_eq!(at.as_millis(), 1_763_900_000_250);
                }
                LogEntry::Interval(interval) => {
                    seen += 1;
                    let tag = interval.tag().expect("a tag").as_str().to_owned();
                    let bytes = STANDARD.decode(interval.encoded_histogram()).expect("base64");
                    let histogram: Histogram<u64> =
                        Deserializer::new().deserialize(&mut bytes.as_slice()).expect("a histogram");
                    assert_eq!(interval.duration(), Duration::from_secs(1));
                    assert!((3..6).contains(&interval.start_timestamp().as_secs()), "since the run began");
                    let milliseconds = histogram.max() as f64 / MAX_DIVISOR;
                    assert!(
                        (interval.max() - milliseconds).abs() < 1e-2,
                        "{} of {milliseconds}",
                        interval.max()
                    );
                    *counts.entry(tag).or_default() += histogram.len();
                }
            }
        }
        assert_eq!(
            seen, 5,
            "three seconds of one and two of the other: none where nobody answered, none of the warm-up"
        );
        assert_eq!(counts, BTreeMap::from([("read__all".to_owned(), 125), ("write".to_owned(), 2)]));
    }

    #[test]
    fn a_log_begins_as_viewers_expect() {
        let text = log();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "#[Histogram log format version 1.3]");
        assert!(lines.contains(&"#[StartTime: 1763900000.250 (seconds since epoch)]"), "{text}");
        assert!(lines.contains(&LEGEND), "{text}");
        assert!(lines.last().is_some_and(|line| line.starts_with("Tag=")), "{text}");
    }

    #[test]
    fn without_a_header_nothing_has_a_name() {
        assert_eq!(Hlog::default().push(&second(1, 3, 1, 1)), Err(HlogError::NoHeader));
    }
}
