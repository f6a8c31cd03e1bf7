//! The search on a queue whose answer is known: Poisson arrivals, exponential services, four connections, on the simulated server
//! in virtual time, so that nothing of a machine is in it.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::analysis::capacity_search::{Next, Search, Tried, bracket};
use crate::db::sim::SimAnswer;
use crate::engine::{Plan, Replacement, StagePlan, simulate};
use crate::model::StepOutcome;
use crate::units::{Arrivals, Course, Load, Seed, StageId};

const SERVERS: u32 = 4;
const SERVICE_S: f64 = 0.02;

/// Probability of waiting with `servers` servers and `offered` Erlangs (A. K. Erlang, 1917), by the recursion of Erlang B.
fn erlang_c(servers: u32, offered: f64) -> f64 {
    let blocked = (1..=servers).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    let utilisation = offered / f64::from(servers);
    blocked / (1.0 - utilisation * (1.0 - blocked))
}

/// Mean wait in seconds at `rate` arrivals a second.
fn mean_wait_s(rate: f64) -> f64 {
    let offered = rate * SERVICE_S;
    erlang_c(SERVERS, offered) * SERVICE_S / (f64::from(SERVERS) - offered)
}

/// The rate at which the mean wait is `wait_s`: it grows with the rate, from nothing to no bound.
fn rate_of(wait_s: f64) -> f64 {
    let (mut low, mut high) = (0.0, f64::from(SERVERS) / SERVICE_S);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if mean_wait_s(middle) < wait_s { low = middle } else { high = middle }
    }
    low
}

/// Mean wait of the simulated queue.
fn simulated_wait_s(rate: f64, length: Duration, seed: u64) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let document = "name = \"one\"\n[[transaction]]\nname = \"read\"\nstatements = [\"s\"]\n";
    std::fs::write(folder.path().join("workload.toml"), document).expect("writable");
    std::fs::write(folder.path().join("queries.sql"), "-- name: s :one\nSELECT 1;\n").expect("writable");
    let workload = crate::workload::load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let plan = Plan {
        dataset: Arc::new(workload.dataset(Seed(seed), 1.0)),
        query_values: Arc::new(vec![Vec::new(); workload.transactions.len()]),
        workload: Arc::new(workload),
        seed: Seed(seed),
        stages: vec![StagePlan {
            id: StageId(0),
            duration: length,
            load: Load::Open { rate: Course::Constant(rate), arrivals: Arrivals::Poisson, max_lag: None },
            until_steady: false,
        }],
        pool_size: SERVERS,
        instances: 1,
        workers: 1,
        // More than ever wait at once, so that nothing is late.
        in_flight_max: 2_000,
        acquire_timeout: Duration::from_secs(6_000),
        drain: Duration::from_secs(6_000),
        sampling: None,
        rtt: Duration::ZERO,
        replacement: Replacement::default(),
    };
    let intervals = simulate(&plan, move |_, _, number| {
        let drawn: f64 = SmallRng::seed_from_u64(number ^ seed.rotate_left(40)).random();
        SimAnswer::ok(Duration::from_secs_f64(-SERVICE_S * (1.0 - drawn).ln()))
    });
    let waits = intervals.iter().map(|interval| &interval.set.pool.wait);
    let (ns, count) = waits.fold((0, 0), |(ns, count), wait| (ns + wait.sum_ns(), count + wait.count()));
    ns as f64 / 1e9 / count as f64
}

#[test]
fn erlang_c_is_that_of_the_tables() {
    // One server waits with the probability of its utilisation; two with 2ρ²/(1+ρ); 4 servers and 3 Erlangs: 0.5094.
    assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
    assert!((erlang_c(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
    assert!((erlang_c(4, 3.0) - 0.5094).abs() < 5e-5);
    assert!((mean_wait_s(rate_of(0.04)) - 0.04).abs() < 1e-9);
}

#[test]
fn the_interval_holds_what_erlang_c_gives_for_the_goal() {
    let goal_s = 0.02;
    let truth = rate_of(goal_s);
    let search = Search { from: 50.0, precision: 0.05, at_least: None };
    let mut tried: Vec<Tried> = Vec::new();
    let mut seed = 1;
    loop {
        let (rate, is_long) = match search.next(&tried) {
            Next::Step(rate) => (rate, false),
            Next::Confirm(rate) => (rate, true),
            Next::Done => break,
        };
        let length = Duration::from_secs(if is_long { 150 } else { 60 });
        seed += 1;
        let kept = simulated_wait_s(rate, length, seed) < goal_s;
        let outcome = if kept { StepOutcome::Met } else { StepOutcome::Missed };
        tried.push(Tried { rate, is_long, outcome });
        assert!(tried.len() < 40, "it does not end: {tried:?}");
    }
    let ends = bracket(&tried);
    let (met, missed) = (ends.met.expect("met"), ends.missed.expect("missed"));
    // At 0.83 of the capacity the queue forgets in S / (c (1 − √ρ)²) = 0.6 s, so that 150 s hold some 125 samples of a wait whose
    // standard deviation is 1.5 times its mean: 13 % of it, and a wait changes seven times as fast as the rate there: 1.9 %. Three
    // times that on either side.
    assert!(
        met <= truth * 1.06 && missed >= truth * 0.94,
        "{met} to {missed}, and {truth} by Erlang C: {tried:?}"
    );
    assert!(missed / met <= 1.05 + 1e-6, "{met} {missed}");
}
