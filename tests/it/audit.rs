//! The generator's audit of itself, from a journal to the page: a run in which it was the limit says so first, and every
//! report says how far the generator was from what it can do on this machine.

use dbdyno::analysis::Analysis;
use dbdyno::model::{Report, Verdict};
use dbdyno::record::accounting::Books;
use dbdyno::record::entry::{
    BudgetHeader, DataHeader, End, EndReason, Entry, Environment, FORMAT_VERSION, FloorHeader, Header,
    Interval, LoadHeader, RunKind, SessionHeader, StageHeader, StatementHeader, TargetHeader,
    TransactionHeader, WorkloadHeader,
};
use dbdyno::record::observation::{GeneratorSample, Observation, ProbeCost, Reading};
use dbdyno::record::set::{Set, Shape};
use dbdyno::report::{Options, terminal};
use dbdyno::units::{RunId, Seed, Span, StageId, Stamp, TransactionId};

const SECOND: u64 = 1_000_000_000;
/// Transactions of the only second.
const OK: u64 = 20_000;

/// A run of one second in which the only worker worked and waited for a core for so many nanoseconds.
fn report(worker_cpu_ns: u64, worker_run_queue_ns: u64, floor: Option<FloorHeader>) -> Report {
    let span = Span { from: Stamp(0), to: Stamp(SECOND) };
    let mut set = Set::new(Shape { transactions: 1, statements: 1, ..Shape::default() });
    set.transactions[0].books = Books { issued: OK, ok: OK, ..Books::default() };
    let stage = StageId(0);
    let interval = Interval { stage, span, drain: false, set: Box::new(set), planned: OK, in_flight: 0 };
    let sample = GeneratorSample {
        worker_cpu_ns,
        worker_run_queue_ns,
        workers: 1,
        busiest_worker_cpu_ns: worker_cpu_ns,
        ..GeneratorSample::default()
    };
    let reading = Reading {
        probe: "generator".to_owned(),
        window: span,
        cost: ProbeCost::default(),
        seen: Ok(Observation::Generator(sample)),
    };
    let mut analysis = Analysis::default();
    for entry in [
        Entry::Header(Box::new(header(floor))),
        Entry::StageBegun { stage, at: span.from, carried_in: 0 },
        Entry::Interval(interval),
        Entry::Reading { stage, edge: None, reading },
        Entry::StageEnded { stage, at: span.to, carried_out: 0 },
        Entry::End(End { at: span.to, reason: EndReason::Completed }),
    ] {
        analysis.push(&entry).expect("entries in order");
    }
    analysis.finish().expect("a report")
}

fn header(floor: Option<FloorHeader>) -> Header {
    Header {
        format_version: FORMAT_VERSION,
        dbdyno_version: "0.1.0".to_owned(),
        id: RunId("r".to_owned()),
        kind: RunKind::Run,
        epoch_unix_us: 0,
        seed: Seed(1),
        command: Vec::new(),
        workload: WorkloadHeader {
            name: "one".to_owned(),
            scale: None,
            fingerprint: String::new(),
            generator_version: 1,
            transactions: vec![TransactionHeader { name: "only".to_owned(), share: 1.0 }],
            statements: vec![StatementHeader {
                name: "statement".to_owned(),
                transaction: TransactionId(0),
                kind: "select".to_owned(),
                sql: String::new(),
            }],
            measures: Vec::new(),
            gauges: Vec::new(),
        },
        target: TargetHeader::default(),
        environment: Environment::default(),
        stages: vec![StageHeader {
            name: "run".to_owned(),
            measured: true,
            duration_ns: SECOND,
            load: LoadHeader::Clients(1),
            put_on: None,
            pool_size: 1,
            instances: 1,
            workers: 1,
            slice: None,
        }],
        budgets: vec![BudgetHeader { metric: "errors.rate".to_owned(), limit: "< 1%".to_owned() }],
        probe_interval_ms: 0,
        data: DataHeader::default(),
        floor,
        sessions: SessionHeader::default(),
        comparison: None,
        pool: None,
        index: None,
        pooler: None,
        capacity: None,
        baselines: Vec::new(),
    }
}

fn page(report: &Report) -> String {
    terminal(report, &Options::default()).replace('\u{a0}', " ")
}

#[test]
fn a_generator_that_was_the_limit_says_so_on_the_first_line_and_gives_no_verdict() {
    // Full of work; or full together with what it was kept from.
    for (works, waits) in [(990_000_000, 0), (600_000_000, 390_000_000)] {
        let report = report(works, waits, None);
        assert!(!report.generator.valid && report.generator.reason.is_some());
        // The budget is kept by the numbers, which are not to be trusted.
        assert_eq!(report.verdict, Verdict::Inconclusive, "{:?}", report.budgets);
        let page = page(&report);
        let first = page.lines().next().expect("a line");
        assert!(first.starts_with("INVALID") && first.contains("generator was the limit"), "{page}");
        assert_eq!(report.findings[0].id, "generator-bound");
    }
    let rested = report(400_000_000, 10_000_000, None);
    assert!(rested.generator.valid && rested.verdict == Verdict::Pass);
    assert!(page(&rested).starts_with("PASS"));
}

#[test]
fn a_report_says_how_far_from_its_floor_the_generator_was() {
    let floor = FloorHeader {
        measured_at: "2026-11-23T20:00:00Z".to_owned(),
        cpu_us_per_transaction: 5.0,
        rate_max_per_s: 180_000.0,
    };
    // 0.4 s of CPU for 20,000 transactions are 20 µs each.
    let with = report(400_000_000, 0, Some(floor));
    let found = with.generator.floor.as_ref().expect("a floor");
    assert_eq!(found.cpu_ratio, Some(4.0));
    let words = page(&with).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("4 × the floor of 5.00 µs"), "{words}");
    let without = report(400_000_000, 0, None);
    assert_eq!(without.generator.floor, None);
    assert!(!page(&without).contains("the floor"));
}
