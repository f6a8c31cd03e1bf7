//! From made journals to reports.

mod locks;

use std::time::Duration;

use super::Analysis;
use crate::model::{BreakReason, Report};
use crate::record::entry::{End, EndReason, Entry, Interval, WarmUpEnded, WarmUpWait};
use crate::record::set::{Set, Shape};
use crate::units::{Span, StageId, Stamp, StatementId};

const SECOND: Duration = Duration::from_secs(1);

/// A warm-up and two stages of a workload with one transaction of one statement.
fn header() -> Entry {
    let stage = |name: &str, measured: bool, rate: f64| {
        serde_json::json!({
            "name": name, "measured": measured, "duration_ns": 10_000_000_000_u64, "load": { "rate": rate },
            "pool_size": 4, "instances": 1, "workers": 1,
        })
    };
    let header = serde_json::json!({ "header": {
        "format_version": 1, "dbdyno_version": "0.1.0", "id": "20261123-131203-7f3a", "kind": "run",
        "epoch_unix_us": 0, "seed": 42, "command": ["dbdyno", "run"],
        "workload": {
            "name": "one", "scale": null, "fingerprint": "0", "generator_version": 1,
            "transactions": [{ "name": "read", "share": 1.0 }],
            "statements": [{ "name": "by_id", "transaction": 0, "kind": "select", "sql": "SELECT 1" }],
        },
        "target": {
            "engine": "postgresql", "version": "15.18", "address": "", "local": true, "same_host": false, "settings": [],
            "settings_fingerprint": "", "database_bytes": null, "shared_buffers_bytes": null, "blind_spots": [],
        },
        "environment": { "os": "", "kernel": "", "cpu": "", "cores": 2, "memory_bytes": 0 },
        "stages": [stage("warm-up", false, 100.0), stage("normal", true, 100.0), stage("peak", true, 300.0)],
        "budgets": [], "probe_interval_ms": 0,
    }});
    serde_json::from_value(header).expect("a header of the first version")
}

/// The journal of a stage in the making.
struct Made {
    entries: Vec<Entry>,
    now: Stamp,
    in_flight: u64,
}

impl Made {
    fn begin(&mut self, stage: u32) {
        self.entries.push(Entry::StageBegun {
            stage: StageId(stage),
            at: self.now,
            carried_in: self.in_flight,
        });
    }

    /// A second in which so many were planned and so many ended ok.
    fn second(&mut self, stage: u32, planned: u64, ok: u64, drain: bool) {
        let mut set = Box::new(Set::new(Shape { transactions: 1, statements: 1, ..Shape::default() }));
        set.transactions[0].books.ok = ok;
        for _ in 0..ok {
            set.transactions[0].response.record(Duration::from_millis(3));
        }
        self.in_flight = self.in_flight + planned - ok;
        let span = Span { from: self.now, to: self.now + SECOND };
        let in_flight = self.in_flight;
        self.entries.push(Entry::Interval(Interval {
            stage: StageId(stage),
            span,
            drain,
            set,
            planned,
            in_flight,
        }));
        self.now = span.to;
    }

    fn end(&mut self, stage: u32, at: Stamp) {
        let carried_out = self.in_flight;
        self.entries.push(Entry::StageEnded { stage: StageId(stage), at, carried_out });
    }

    fn report(self) -> Report {
        let mut analysis = Analysis::default();
        for entry in self.entries {
            // As it lies in a file.
            let line = serde_json::to_string(&entry).expect("an entry is a line");
            analysis.push(&serde_json::from_str(&line).expect("that is read again")).expect("in order");
        }
        analysis.finish().expect("a report")
    }
}

fn made(waits_for: Vec<WarmUpWait>) -> Report {
    let mut made = Made { entries: vec![header()], now: Stamp::ZERO, in_flight: 0 };
    made.begin(0);
    for _ in 0..4 {
        made.second(0, 100, 100, false);
    }
    made.entries.push(Entry::WarmUpEnded(WarmUpEnded {
        stage: StageId(0),
        at: made.now,
        limit_ns: 10_000_000_000,
        steady_since: waits_for.is_empty().then_some(Stamp(2_000_000_000)),
        waits_for,
        unsettled_statements: vec![StatementId(0)],
    }));
    made.end(0, made.now);
    made.begin(1);
    for _ in 0..10 {
        made.second(1, 100, 100, false);
    }
    made.end(1, made.now);
    made.begin(2);
    for _ in 0..10 {
        made.second(2, 300, 200, false);
    }
    let window_end = made.now;
    for _ in 0..5 {
        made.second(2, 0, 200, true);
    }
    made.end(2, window_end);
    made.entries.push(Entry::End(End { at: made.now, reason: EndReason::Completed }));
    made.report()
}

fn has(report: &Report, id: &str) -> bool {
    report.findings.iter().any(|finding| finding.id == id)
}

#[test]
fn the_stage_that_breaks_is_a_finding_and_stands_in_the_report() {
    let report = made(Vec::new());
    assert!(report.stages.iter().all(|stage| stage.accounting.balanced), "{:#?}", report.findings);
    let endurance = report.endurance.as_ref().expect("two stages were measured");
    let breaking = endurance.breaking_point.as_ref().expect("300/s are too much for 200/s");
    assert_eq!((breaking.load.stage.as_str(), breaking.reason), ("peak", BreakReason::BacklogGrows));
    assert_eq!(endurance.held.as_ref().map(|held| held.stage.as_str()), Some("normal"));
    assert!(has(&report, "breaking-point") && !has(&report, "rate-not-reached"), "it is said once");
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["endurance"]["breaking_point"]["stage"], "peak");
    assert_eq!(json["endurance"]["breaking_point"]["reason"], "backlog_grows");
    assert_eq!(json["endurance"]["held"]["offered_per_s"], 100.0);
}

#[test]
fn a_warm_up_that_was_found_and_one_that_was_not() {
    let found = made(Vec::new());
    let warm_up = found.stages[0].warm_up.as_ref().expect("it ended");
    assert!(warm_up.steady && !has(&found, "no-steady-state"));
    assert_eq!((warm_up.steady_since_s, warm_up.limit_s), (Some(2.0), 10.0));
    assert_eq!(warm_up.unsettled_statements, ["read.by_id"]);
    assert!((found.stages[0].duration_s - 4.0).abs() < 1e-9, "its own length, not the planned one");
    assert!(found.stages[1].warm_up.is_none());

    let not_found = made(vec![WarmUpWait::Response, WarmUpWait::Plans]);
    let warm_up = not_found.stages[0].warm_up.as_ref().expect("it ended");
    assert_eq!((warm_up.steady, warm_up.steady_since_s), (false, None));
    assert_eq!(warm_up.waits_for, ["response", "plans"]);
    let finding =
        not_found.findings.iter().find(|finding| finding.id == "no-steady-state").expect("a finding");
    assert_eq!(finding.title, "no steady state within 10 s of warm-up");
    assert!(finding.evidence.contains("response times still changed"), "{}", finding.evidence);
    assert!(finding.evidence.contains("read.by_id"), "{}", finding.evidence);
    assert!(finding.remedy.contains("--warmup-max"), "{}", finding.remedy);
}
