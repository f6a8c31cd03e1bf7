//! Known queues on the simulated server, in virtual time: the report's answer is the one that theory gives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::db::sim::{SimAnswer, SimRequest};
use crate::engine::{Plan, Replacement, StagePlan, simulate};
use crate::generate::Key;
use crate::model::{PoolStudy, Report, Verdict};
use crate::record::entry::{BudgetHeader, End, EndReason, Entry, Interval};
use crate::units::{Arrivals, Course, Seed, Stamp};
use crate::workload::Workload;

const MS: Duration = Duration::from_millis(1);

fn workload() -> Workload {
    let folder = tempfile::tempdir().expect("a folder");
    let document = "name = \"one\"\n[[transaction]]\nname = \"nap\"\nstatements = [\"nap\"]\n";
    std::fs::write(folder.path().join("workload.toml"), document).expect("writable");
    std::fs::write(folder.path().join("queries.sql"), "-- name: nap :one\nSELECT 1;\n").expect("writable");
    crate::workload::load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn plan(pool_size: u32, load: &Load, length: Duration, seed: Seed) -> Plan {
    let workload = workload();
    Plan {
        dataset: Arc::new(workload.dataset(seed, 1.0)),
        query_values: Arc::new(vec![Vec::new(); workload.transactions.len()]),
        workload: Arc::new(workload),
        seed,
        stages: vec![StagePlan { id: StageId(0), duration: length, load: load.clone(), until_steady: false }],
        pool_size,
        instances: 1,
        workers: 1,
        in_flight_max: 400,
        acquire_timeout: Duration::from_secs(6000),
        drain: Duration::from_secs(6000),
        sampling: None,
        rtt: Duration::ZERO,
        replacement: Replacement::default(),
    }
}

/// What was measured of one size, as a journal has it.
#[derive(Clone)]
struct Measured {
    size: u32,
    load: Load,
    intervals: Vec<Interval>,
}

impl Measured {
    /// One interval for the window and one for the drain: the reports of this file know no course over time, and each costs what its
    /// intervals do.
    fn of(size: u32, load: Load, intervals: &[Interval]) -> Self {
        let mut whole: Vec<Interval> = Vec::new();
        for interval in intervals {
            match whole.last_mut().filter(|last| last.drain == interval.drain) {
                Some(last) => {
                    last.span.to = interval.span.to;
                    last.planned += interval.planned;
                    last.in_flight = interval.in_flight;
                    last.set.merge(&interval.set);
                }
                None => whole.push(interval.clone()),
            }
        }
        Self { size, load, intervals: whole }
    }
}

fn report(measured: &[Measured], pool: &PoolHeader) -> Report {
    let stage = |of: &Measured| {
        serde_json::json!({
            "name": format!("pool {}", of.size), "measured": true, "duration_ns": 1,
            "load": { "rate": of.load.course().max() }, "put_on": of.load, "pool_size": of.size, "instances": 1, "workers": 1,
        })
    };
    let header = serde_json::json!({ "header": {
        "format_version": 1, "dbdyno_version": "0.1.0", "id": "20261123-131203-7f3a", "kind": "pool",
        "epoch_unix_us": 0, "seed": 42, "command": ["dbdyno", "pool"],
        "workload": {
            "name": "one", "scale": null, "fingerprint": "0", "generator_version": 1,
            "transactions": [{ "name": "nap", "share": 1.0 }],
            "statements": [{ "name": "nap", "transaction": 0, "kind": "select", "sql": "SELECT 1" }],
        },
        "target": {
            "engine": "postgresql", "version": "15.18", "address": "", "local": true, "same_host": false, "settings": [],
            "settings_fingerprint": "", "database_bytes": null, "shared_buffers_bytes": null, "blind_spots": [],
        },
        "environment": { "os": "", "kernel": "", "cpu": "", "cores": 2, "memory_bytes": 0 },
        "stages": measured.iter().map(stage).collect::<Vec<_>>(),
        "budgets": [], "probe_interval_ms": 0, "pool": pool,
    }});
    let mut analysis = Analysis::default();
    let mut push = |entry: Entry| analysis.push(&entry).expect("in order");
    push(serde_json::from_value(header).expect("a header"));
    for (index, of) in measured.iter().enumerate() {
        let stage = StageId::from_index(index);
        let begins = of.intervals[0].span.from;
        push(Entry::StageBegun { stage, at: begins, carried_in: 0 });
        let window = of.intervals.iter().filter(|interval| !interval.drain).map(|interval| interval.span.to);
        let at = window.max().expect("a window");
        of.intervals
            .iter()
            .for_each(|interval| push(Entry::Interval(Interval { stage, ..interval.clone() })));
        push(Entry::StageEnded { stage, at, carried_out: 0 });
    }
    push(Entry::End(End { at: Stamp(1), reason: EndReason::Completed }));
    analysis.finish().expect("a report")
}

fn study(measured: &[Measured], pool: &PoolHeader) -> PoolStudy {
    report(measured, pool).study.expect("a pool study")
}

/// Exponentially distributed naps of 20 ms, 150 of them a second: three connections are busy all the time.
fn naps(size: u32, length_s: u64, seed: u64) -> Measured {
    naps_at(150.0, size, length_s, seed)
}

/// The same, so many of them a second.
fn naps_at(per_s: f64, size: u32, length_s: u64, seed: u64) -> Measured {
    let load = Load::Open { rate: Course::Constant(per_s), arrivals: Arrivals::Poisson, max_lag: None };
    let seed = Seed(seed);
    let key = Key::root(seed).number(7);
    let script = move |request, _, number| match request {
        SimRequest::Execute(_) => {
            SimAnswer::ok(MS.mul_f64(-20.0 * key.at(number, 1).unit().ln()) + Duration::from_nanos(1))
        }
        _ => SimAnswer::ok(Duration::ZERO),
    };
    let intervals = simulate(&plan(size, &load, Duration::from_secs(length_s), seed), script);
    Measured::of(size, load, &intervals)
}

/// The mean wait of M/M/c in milliseconds by the sums of the textbooks (Gross and Harris, section 2.3): another way than the
/// recursion of the analysis.
fn textbook_wait_ms(servers: u32, load: f64, service_ms: f64) -> f64 {
    let c = f64::from(servers);
    let term = |n: u32| (1..=n).fold(1.0, |product, k| product * load / f64::from(k));
    let last = term(servers) * c / (c - load);
    let waits = last / ((0..servers).map(term).sum::<f64>() + last);
    waits * service_ms / (c - load)
}

fn goal(metric: &str, limit: &str) -> BudgetHeader {
    BudgetHeader { metric: metric.to_owned(), limit: limit.to_owned() }
}

fn with_goals(goals: Vec<BudgetHeader>) -> PoolHeader {
    PoolHeader { goals, ..PoolHeader::default() }
}

/// Sizes, and seconds for which each is measured. The wait in a queue of c forgets what was in S / (c (1 − √ρ)²), from 280 ms at four
/// connections to 24 ms at seven, and its standard deviation is 1.7 to 7 times its mean: for these lengths that is a standard error
/// of 12 to 18 % of the mean.
const NAPS: [(u32, u64); 7] = [(2, 40), (4, 120), (5, 80), (6, 80), (7, 80), (8, 40), (16, 20)];

#[test]
fn the_recommended_size_is_the_smallest_that_erlang_says_keeps_the_goal() {
    let measured = NAPS.map(|(size, length_s)| naps(size, length_s, 1));
    // Mean waits are 10.2, 2.36, 0.66 and 0.19 ms from four connections on: each goal lies a factor of 1.85 or more, 61 % of the wait
    // and more than three standard errors, from both of its neighbours.
    for goal_ms in [25.0, 5.0, 1.25, 0.35] {
        let keeps =
            |(size, _): &&(u32, u64)| f64::from(*size) > 3.0 && textbook_wait_ms(*size, 3.0, 20.0) < goal_ms;
        let (expected, _) = *NAPS.iter().find(keeps).expect("one of them");
        let limit = format!("< {}us", goal_ms * 1000.0);
        let study = study(&measured, &with_goals(vec![goal("pool_wait.mean", &limit)]));
        let recommended = study.recommended.expect("some size keeps it");
        assert_eq!(recommended.size, expected, "{goal_ms} ms: {}", study.recommendation);
        assert!(
            study.recommendation.starts_with(&format!("Use a pool of {expected}:")),
            "{}",
            study.recommendation
        );
        assert_eq!(study.knee, None, "no closed loop was measured");
        assert!(study.goals.is_empty(), "one goal stands in its own place");
    }
    let study = study(&measured, &PoolHeader::default());
    for point in study.sizes.iter().filter(|point| point.size > 3 && point.size < 8) {
        let queue = point.queue.expect("an open loop");
        let expected = textbook_wait_ms(point.size, 3.0, 20.0) * 1000.0;
        let predicted = queue.wait_us.expect("room");
        // 6,000 naps of the smallest size: their mean is known within 1.3 %, and at four connections the wait changes seven times as
        // fast, with more of them more slowly: 9 %, of which this is three times.
        assert!((predicted / expected - 1.0).abs() < 0.27, "{}: {predicted} {expected}", point.size);
        // Two means of 6,000 and 12,000 naps.
        assert!((queue.service_ratio - 1.0).abs() < 0.05, "{queue:?}");
    }
    assert!(
        study.sizes[0].queue.expect("an open loop").wait_us.is_none(),
        "two connections for a load of three"
    );
}

/// Each of several goals asks for a size of its own: what keeps all of them is the largest of these.
#[test]
fn several_goals_are_kept_together_or_not_at_all() {
    let measured = [(4, 40), (5, 40), (7, 40)].map(|(size, length_s)| naps(size, length_s, 1));
    // 2.36 ms at five and 0.19 ms at seven connections; nobody is ever turned away.
    let both = vec![goal("pool_wait.mean", "< 5ms"), goal("errors.rate", "< 0.1%")];
    let kept = study(&measured, &with_goals(both.clone()));
    assert_eq!(kept.recommended.as_ref().map(|of| of.size), Some(5), "{}", kept.recommendation);
    let said = "keeps pool_wait.mean < 5ms and errors.rate < 0.1% at 150/s (pool_wait.mean ";
    assert!(kept.recommendation.contains(said), "{}", kept.recommendation);
    let verdicts =
        |study: &PoolStudy| -> Vec<Verdict> { study.goals.iter().map(|goal| goal.verdict).collect() };
    assert_eq!(verdicts(&kept), [Verdict::Pass, Verdict::Pass]);
    let of_four = &kept.sizes[0];
    assert_eq!(
        of_four.goals.iter().map(|goal| goal.verdict).collect::<Vec<_>>(),
        [Verdict::Fail, Verdict::Pass]
    );
    assert_eq!(
        of_four.goal.as_ref().map(|goal| goal.verdict),
        Some(Verdict::Fail),
        "one broken goal breaks all"
    );

    // Every nap of 20 ms takes longer than a microsecond: no size keeps that one, and each other one for itself.
    let never = [both, vec![goal("service.mean", "< 1us")]].concat();
    let broken = study(&measured, &with_goals(never));
    assert_eq!(broken.recommended, None);
    assert_eq!(verdicts(&broken), [Verdict::Pass, Verdict::Pass, Verdict::Fail]);
    assert_eq!(broken.goal.as_ref().map(|goal| goal.verdict), Some(Verdict::Fail));
    assert!(
        broken.recommendation.starts_with(
            "No size of those measured keeps pool_wait.mean < 5ms, errors.rate < 0.1% and service.mean"
        ),
        "{}",
        broken.recommendation
    );

    // A journal from before there could be several has its goal in another place.
    let old = PoolHeader { goal: Some(goal("pool_wait.mean", "< 5ms")), ..PoolHeader::default() };
    let old: PoolHeader =
        serde_json::from_value(serde_json::json!({ "goal": old.goal, "current": null, "search_stages": 0, "connections_room": null }))
            .expect("a header of before");
    assert_eq!(study(&measured, &old).recommended.map(|of| of.size), Some(5));
}

/// Fifty naps a second keep one connection busy, a hundred and fifty three: two or three of them have no end of a queue for these.
#[test]
fn where_the_highest_rate_is_kept_by_no_size_the_next_one_is_told() {
    let measured = [naps_at(50.0, 2, 40, 1), naps_at(50.0, 3, 40, 1), naps(2, 20, 1), naps(3, 20, 1)];
    // 6.7 ms with two connections at fifty a second.
    let study = study(&measured, &with_goals(vec![goal("pool_wait.mean", "< 20ms")]));
    let kept: Vec<_> = study.passes.iter().map(|pass| pass.smallest_that_keeps_the_goal).collect();
    assert_eq!((kept.as_slice(), study.recommended), (&[Some(2), None][..], None));
    assert!(study.recommendation.contains(" At 50/s a pool of 2 keeps it."), "{}", study.recommendation);
}

#[test]
fn without_a_goal_a_rate_is_served_best_by_the_smallest_size_that_answers_as_fast_as_any() {
    let of = |sizes: &[u32]| {
        let measured: Vec<Measured> = sizes.iter().map(|size| naps(*size, 40, 1)).collect();
        study(&measured, &PoolHeader::default()).recommendation
    };
    let words = of(&[4, 8, 16]);
    assert!(words.starts_with("Use a pool of 8: at 150/s its p99 response of "), "{words}");
    assert!(words.contains("and a smaller one is slower."), "{words}");
    let words = of(&[8, 16]);
    assert!(
        words.starts_with("Use a pool of 8:") && words.contains("no smaller one was measured"),
        "{words}"
    );
}

/// Of the 20 ms of each transaction 5 must be spent alone: four connections keep that place busy, and a fifth only queues at it.
#[test]
fn the_knee_is_where_the_place_that_is_taken_by_turns_is_always_busy() {
    let wall = |size: u32, seed: u64| {
        let load = Load::clients(32);
        let free = Mutex::new(Stamp::ZERO);
        let script = move |request, now: Stamp, _| match request {
            SimRequest::Execute(_) => {
                let mut free = free.lock().expect("one thread");
                *free = now.max(*free) + MS * 5;
                SimAnswer::ok(*free - now + MS * 15)
            }
            _ => SimAnswer::ok(Duration::ZERO),
        };
        // Nothing is drawn: ten seconds say the same as any longer time.
        let intervals = simulate(&plan(size, &load, Duration::from_secs(10), Seed(seed)), script);
        Measured::of(size, load, &intervals)
    };
    let sizes = [1, 2, 3, 4, 6, 8, 16];
    let all: Vec<Vec<Measured>> =
        (0..3).map(|repeat| sizes.map(|size| wall(size, repeat)).to_vec()).collect();
    let measured = |repeats: usize, sizes: usize| -> Vec<Measured> {
        all[..repeats].iter().flat_map(|of| of[..sizes].to_vec()).collect()
    };
    let full = study(&measured(3, 7), &PoolHeader { current: Some(16), ..PoolHeader::default() });
    assert_eq!(full.knee, Some(4), "{}", full.recommendation);
    let recommended = full.recommended.expect("the knee");
    assert_eq!((recommended.size, recommended.connections), (4, 4));
    assert_eq!(recommended.against.map(|against| (against.size, against.is_current)), Some((16, true)));
    assert!(full.recommendation.contains("12 connections fewer"), "{}", full.recommendation);
    let law = full.law.expect("seven sizes");
    assert!(!law.describes || law.misfit > 0.02, "a wall is no curve of the law: {law:?}");

    let few = study(&measured(2, 5), &PoolHeader::default());
    assert_eq!((few.knee, few.recommended), (None, None), "two repetitions carry no knee");
    assert!(few.recommendation.contains("--repeats 3"), "{}", few.recommendation);
    let growing = study(&measured(3, 3), &PoolHeader::default());
    assert_eq!(growing.knee, None);
    assert!(growing.recommendation.contains("still grows at 3 connections"), "{}", growing.recommendation);
}

/// What only looks for the sizes counts for nothing else.
#[test]
fn a_look_is_no_measurement() {
    let measured = [naps(4, 5, 1), naps(5, 5, 1), naps(4, 5, 2)];
    let whole = study(&measured, &PoolHeader::default());
    assert_eq!(
        whole.sizes.iter().map(|point| (point.size, point.repeats)).collect::<Vec<_>>(),
        [(4, 2), (5, 1)]
    );
    let looked = study(&measured, &PoolHeader { search_stages: 2, ..PoolHeader::default() });
    assert_eq!(looked.sizes.iter().map(|point| (point.size, point.repeats)).collect::<Vec<_>>(), [(4, 1)]);
    assert_eq!(looked.order, [4]);
}
