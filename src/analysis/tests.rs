//! From made journals to reports.

mod catalogue;
mod locks;
mod pools;

use std::time::Duration;

use super::Analysis;
use crate::model::{BreakReason, Report};
use crate::record::entry::{Edge, End, EndReason, Entry, Interval, WarmUpEnded, WarmUpWait};
use crate::record::observation::{Observation, ProbeCost, Reading};
use crate::record::plan::{PlanCacheMode, PlanClass, PlanEdge, PlanSurvey, SeenPlan, ToldPlan, Unexplained};
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

const LOOK_UP: &str = "Index Scan using orders_customer on orders";
const SCAN: &str = "Seq Scan on orders";

/// A reading of plans, `at` so many milliseconds: class, one line that stands for the shape as well, cost.
fn plans(at_ms: u64, edges: &[(u32, Edge)], seen: &[(PlanClass, &str, f64)], cause: Option<&str>) -> Entry {
    let statement = StatementId(0);
    let told = |&(_, summary, _): &(PlanClass, &str, f64)| ToldPlan {
        statement,
        shape: summary.to_owned(),
        summary: summary.to_owned(),
        text: format!("{summary}\n"),
        json: Some(serde_json::json!([{ "Plan": {} }])),
        scans: 1,
    };
    let plan = |&(class, shape, cost): &(PlanClass, &str, f64)| SeenPlan {
        statement,
        class,
        shape: shape.to_owned(),
        kind: None,
        cost: Some(cost),
        cause: cause.map(str::to_owned),
        plan_cache_mode: None,
    };
    let edge = |&(stage, edge): &(u32, Edge)| PlanEdge { stage: StageId(stage), edge };
    let survey = PlanSurvey {
        edges: edges.iter().map(edge).collect(),
        seen: seen.iter().map(plan).collect(),
        told: seen.iter().map(told).collect(),
        unexplained: Vec::new(),
        cpu_operator_cost: Some(0.0025),
    };
    let at = Stamp(at_ms * 1_000_000);
    let seen = Ok(Observation::Plans(Box::new(survey)));
    let window = Span { from: at, to: at };
    let reading = Reading { probe: "plans".to_owned(), window, cost: ProbeCost::default(), seen };
    // Late readings come with the stage that is going on by then.
    Entry::Reading { stage: StageId(2), edge: None, reading }
}

/// Two stages of ten seconds behind a warm-up of two, with these readings of plans among them.
fn with_plans(readings: Vec<Entry>) -> Report {
    let mut made = Made { entries: vec![header()], now: Stamp::ZERO, in_flight: 0 };
    for (stage, seconds) in [(0, 2), (1, 10), (2, 10)] {
        made.begin(stage);
        for _ in 0..seconds {
            made.second(stage, 100, 100, false);
        }
        made.end(stage, made.now);
    }
    made.entries.extend(readings);
    made.entries.push(Entry::End(End { at: made.now, reason: EndReason::Completed }));
    made.report()
}

#[test]
fn a_plan_that_changes_is_told_with_its_second_its_cause_and_both_plans() {
    use PlanClass::{Common, Rare};
    let dropped = "index orders_customer was dropped";
    let looked_up = [(Common, LOOK_UP, 8.3), (Rare, LOOK_UP, 8.3)];
    let scanned = [(Common, SCAN, 359.0), (Rare, SCAN, 359.0)];
    let report = with_plans(vec![
        plans(5, &[(0, Edge::Begin)], &looked_up, None),
        plans(2_010, &[(0, Edge::End), (1, Edge::Begin)], &looked_up, None),
        plans(7_250, &[], &scanned, Some(dropped)),
        plans(12_000, &[(1, Edge::End), (2, Edge::Begin)], &scanned, None),
        plans(22_100, &[(2, Edge::End)], &scanned, None),
    ]);
    let [warm_up, normal, peak] = report.stages.as_slice() else { panic!("three stages") };
    let [change] = normal.plan_changes.as_slice() else { panic!("one change: {:?}", normal.plan_changes) };
    assert_eq!((change.statement.as_str(), change.cause.as_deref()), ("read.by_id", Some(dropped)));
    assert_eq!((change.from.as_str(), change.to.as_str()), (LOOK_UP, SCAN));
    assert_eq!(change.classes, ["common", "rare"]);
    assert!((change.t_s - 5.25).abs() < 1e-9, "{change:?}");
    assert!(warm_up.plan_changes.is_empty() && peak.plan_changes.is_empty());

    let [first, second] = normal.statements[0].plans.as_slice() else { panic!("two plans") };
    assert_eq!((first.summary.as_str(), second.summary.as_str()), (LOOK_UP, SCAN));
    assert!((second.first_seen_s - 5.25).abs() < 1e-9 && (second.last_seen_s - 10.0).abs() < 1e-9);
    // The text stands where the shape is met first.
    let texts = |stage: &crate::model::Stage| -> Vec<bool> {
        stage.statements[0].plans.iter().map(|plan| plan.text.is_some() && plan.json.is_some()).collect()
    };
    assert!(warm_up.statements.is_empty(), "of a warm-up only the books are told");
    assert_eq!((texts(normal), texts(peak)), (vec![true, true], vec![false]));

    let finding = report.findings.iter().find(|finding| finding.id == "plan-changed").expect("a finding");
    assert_eq!(finding.title, "the plan of read.by_id changed at 5.2 s of stage normal");
    assert_eq!(finding.evidence, format!("{dropped}: {LOOK_UP} → {SCAN} (common, rare)"));
    assert!(finding.remedy.contains("CREATE INDEX"), "{}", finding.remedy);
    assert!(!has(&report, "plan-depends-on-values") && !has(&report, "generic-plan-differs"));
}

#[test]
fn plans_that_stay_are_no_finding_and_a_difference_between_stages_is_no_change() {
    let report = with_plans(vec![
        plans(2_010, &[(1, Edge::Begin)], &[(PlanClass::Typical, LOOK_UP, 8.3)], None),
        plans(11_990, &[(1, Edge::End)], &[(PlanClass::Typical, LOOK_UP, 9.3)], None),
        // New sessions with other settings.
        plans(12_010, &[(2, Edge::Begin)], &[(PlanClass::Typical, SCAN, 359.0)], None),
    ]);
    assert!(report.stages.iter().all(|stage| stage.plan_changes.is_empty()), "{report:#?}");
    assert!(!has(&report, "plan-changed"));
}

#[test]
fn values_that_decide_the_plan_are_a_finding_and_so_is_a_generic_plan_that_sessions_keep_to() {
    use PlanClass::{Common, Generic, Rare};
    let report = |generic: f64| {
        let seen =
            [(Common, SCAN, 359.0), (Rare, LOOK_UP, 8.3), (Generic, "Bitmap Heap Scan on orders", generic)];
        with_plans(vec![plans(2_010, &[(1, Edge::Begin)], &seen, None)])
    };
    // Of common values alone, and for the making of each plan 1000 × 0.0025 × (1 + 1).
    let mean = 359.0 + 5.0;
    for (cost, is_chosen) in [(mean - 0.1, true), (mean + 0.1, false)] {
        let report = report(cost);
        let generic = report.stages[1].statements[0].generic_plan.as_ref().expect("both kinds were seen");
        assert!((generic.custom_cost_mean - mean).abs() < 1e-9, "{generic:?}");
        assert_eq!((generic.differs, generic.is_chosen), (true, is_chosen));
        assert_eq!(has(&report, "generic-plan-differs"), is_chosen);
        let values = report.findings.iter().find(|finding| finding.id == "plan-depends-on-values");
        let evidence = &values.expect("common and rare differ").evidence;
        assert_eq!(*evidence, format!("read.by_id: {SCAN} for common values, {LOOK_UP} for rare ones"));
    }
}

#[test]
fn how_a_statement_is_executed_that_takes_hardly_any_of_the_time_is_no_finding() {
    use PlanClass::{Common, Generic, Rare};
    let seen = [(Common, SCAN, 359.0), (Rare, LOOK_UP, 8.3), (Generic, "Bitmap Heap Scan on orders", 8.0)];
    let mut report = with_plans(vec![plans(2_010, &[(1, Edge::Begin)], &seen, None)]);
    let takes = |us| crate::model::Quantiles { count: 100, mean: Some(us), ..Default::default() };
    let stage = &mut report.stages[1];
    let mut other = stage.statements[0].clone();
    (other.name, other.plans, other.generic_plan) = ("other".to_owned(), Vec::new(), None);
    other.execute_us = takes(990.0);
    stage.statements.push(other);
    report.stages.truncate(2);
    // A hundredth of the time, and just below it.
    for (us, findings) in [(10.0, 2), (9.9, 0)] {
        report.stages[1].statements[0].execute_us = takes(us);
        assert_eq!(super::plans::findings(&report).len(), findings, "{us} us");
    }
}

/// Changes the plans that a reading saw.
fn adapted(mut reading: Entry, adapt: impl Fn(&mut SeenPlan)) -> Entry {
    if let Entry::Reading { reading: Reading { seen: Ok(Observation::Plans(survey)), .. }, .. } = &mut reading
    {
        survey.seen.iter_mut().for_each(adapt);
    }
    reading
}

#[test]
fn what_sessions_set_decides_before_costs_whether_they_keep_to_the_generic_plan() {
    use PlanClass::{Generic, Typical};
    let report = |generic: f64, mode: PlanCacheMode| {
        let seen = [(Typical, LOOK_UP, 8.3), (Generic, SCAN, generic)];
        let reading = plans(2_010, &[(1, Edge::Begin)], &seen, None);
        with_plans(vec![adapted(reading, |seen| {
            seen.plan_cache_mode = Some(mode).filter(|_| seen.class == Generic);
        })])
    };
    for (cost, mode, is_chosen) in [
        (8.0, PlanCacheMode::Auto, true),
        (359.0, PlanCacheMode::Auto, false),
        (8.0, PlanCacheMode::ForceCustom, false),
        (359.0, PlanCacheMode::ForceGeneric, true),
    ] {
        let report = report(cost, mode);
        let generic = report.stages[1].statements[0].generic_plan.as_ref().expect("both kinds were seen");
        assert_eq!((generic.differs, generic.is_chosen), (true, is_chosen), "{mode:?}");
        assert_eq!(generic.plan_cache_mode.as_deref(), Some(mode.as_str()));
        let finding = report.findings.iter().find(|finding| finding.id == "generic-plan-differs");
        assert_eq!(finding.is_some(), is_chosen, "{mode:?}");
        let is_forced = finding.is_some_and(|finding| finding.effect.contains("force_generic_plan"));
        assert_eq!(is_forced, mode == PlanCacheMode::ForceGeneric);
    }
}

#[test]
fn which_partition_is_read_neither_depends_on_values_nor_is_a_change() {
    use PlanClass::{Common, Generic, Rare};
    let (old, new) = ("Seq Scan on orders_2024 orders", "Seq Scan on orders_2025 orders");
    let reading = |at_ms, edges: &[(u32, Edge)], common: &str| {
        let seen =
            [(Common, common, 359.0), (Rare, new, 359.0), (Generic, "Seq Scan on orders_2026 orders", 8.0)];
        adapted(plans(at_ms, edges, &seen, None), |seen| seen.kind = Some("Seq Scan on orders".to_owned()))
    };
    let report =
        with_plans(vec![reading(2_010, &[(1, Edge::Begin)], old), reading(11_990, &[(1, Edge::End)], new)]);
    let statement = &report.stages[1].statements[0];
    assert_eq!(statement.plans.len(), 3, "each is told");
    assert!(statement.generic_plan.as_ref().is_some_and(|generic| !generic.differs && generic.is_chosen));
    assert!(report.stages.iter().all(|stage| stage.plan_changes.is_empty()), "{report:#?}");
    for id in ["plan-changed", "plan-depends-on-values", "generic-plan-differs"] {
        assert!(!has(&report, id), "{id}");
    }
}

#[test]
fn a_statement_without_a_plan_says_why_in_every_stage_from_then_on() {
    let mut first = plans(2_010, &[(1, Edge::Begin)], &[], None);
    if let Entry::Reading { reading: Reading { seen: Ok(Observation::Plans(survey)), .. }, .. } = &mut first {
        let reason = "syntax error at or near \"CALL\" (SQLSTATE 42601)".to_owned();
        survey.unexplained.push(Unexplained { statement: StatementId(0), reason });
    }
    let report = with_plans(vec![first, plans(12_000, &[(1, Edge::End), (2, Edge::Begin)], &[], None)]);
    let [warm_up, measured @ ..] = report.stages.as_slice() else { panic!("three stages") };
    assert!(warm_up.statements.is_empty(), "of a warm-up only the books are told");
    let reasons: Vec<Option<&str>> =
        measured.iter().map(|stage| stage.statements[0].no_plan.as_deref()).collect();
    assert!(
        reasons.len() == 2
            && reasons.iter().all(|reason| reason.is_some_and(|reason| reason.contains("CALL")))
    );
}
