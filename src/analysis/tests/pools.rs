//! Findings about pools: each with a report that triggers it, and a study in which nothing is to be said.

use super::made;
use crate::analysis::findings;
use crate::model::{
    Estimate, HostInfo, InstancePoolInfo, PoolEffect, PoolEstimates, PoolPoint, PoolStudy, Quantiles,
    RecommendedPool, Report, Stage, StatementInfo, TransactionInfo,
};

const OF_POOLS: [&str; 7] = [
    "pool-too-small",
    "pool-too-large",
    "held-by-application",
    "slow-creates",
    "leak-suspected",
    "uneven-instances",
    "host-full",
];

fn times(count: u64, mean_us: f64, p99: u64, max: u64) -> Quantiles {
    Quantiles { count, mean: Some(mean_us), p99: Some(p99), max: Some(max), ..Quantiles::default() }
}

fn exact(mean: f64) -> Estimate {
    Estimate { mean, low: Some(mean * 0.98), high: Some(mean * 1.02) }
}

/// One size in a closed loop of sixteen clients; five in a hundred microseconds of a hold pass without a request.
fn point(size: u32, per_s: f64, saturated: f64) -> PoolPoint {
    PoolPoint {
        size,
        repeats: 3,
        per_s,
        per_s_range: (per_s * 0.98, per_s * 1.02),
        pool_wait_us: times(3_000, 8_000.0, 20_000, 40_000),
        service_us: times(3_000, 4_000.0, 9_000, 30_000),
        hold_us: times(3_000, 4_100.0, 9_200, 31_000),
        busy_mean: f64::from(size),
        waiting_mean: 16.0 - f64::from(size),
        saturated_fraction: saturated,
        estimates: Some(PoolEstimates {
            per_s: exact(per_s),
            held_unused_fraction: Some(exact(0.05)),
            ..PoolEstimates::default()
        }),
        ..PoolPoint::default()
    }
}

/// A study whose answer is the size in use, and whose stages are as those of a pool that suits its load.
fn healthy() -> Report {
    let mut report = made(Vec::new());
    report.study = Some(PoolStudy {
        sizes: vec![point(2, 500.0, 1.0), point(4, 960.0, 0.9), point(8, 970.0, 0.2)],
        knee: Some(4),
        instances: 2,
        current: Some(4),
        recommended: Some(RecommendedPool {
            size: 4,
            connections: 8,
            alike_from: 4,
            alike_to: 8,
            told_apart: true,
            against: None,
        }),
        ..PoolStudy::default()
    });
    for stage in report.stages.iter_mut().filter(|stage| stage.measured) {
        stage.service_us = times(1_000, 4_000.0, 9_000, 30_000);
        stage.response_us = times(1_000, 12_000.0, 30_000, 60_000);
        stage.transactions = vec![TransactionInfo {
            name: "read".to_owned(),
            hold_us: times(1_000, 4_100.0, 9_200, 31_000),
            ..transaction()
        }];
        stage.statements = vec![StatementInfo {
            name: "by_id".to_owned(),
            transaction: "read".to_owned(),
            count: 1_000,
            execute_us: times(1_000, 3_800.0, 8_800, 29_000),
            ..StatementInfo::default()
        }];
        // Two of a thousand met a connection that had to be made.
        stage.pool.creates = 2;
        stage.pool.create_us = times(2, 7_000.0, 8_000, 8_000);
        stage.pool.by_instance = shares(0.6, 0.5);
    }
    report
}

fn transaction() -> TransactionInfo {
    serde_json::from_value(serde_json::json!({
        "name": "", "count": 0, "ok": 0, "per_s": 0.0, "response_us": Quantiles::default(), "service_us": Quantiles::default(),
        "pool_wait_us": Quantiles::default(), "lag_us": Quantiles::default(), "hold_us": Quantiles::default(),
        "commit_us": Quantiles::default(), "errors": {},
    }))
    .expect("a transaction without times")
}

fn shares(first: f64, second: f64) -> Vec<InstancePoolInfo> {
    let of = |saturated_fraction| InstancePoolInfo { saturated_fraction, ..InstancePoolInfo::default() };
    vec![of(first), of(second)]
}

fn study(report: &mut Report) -> &mut PoolStudy {
    report.study.as_mut().expect("a study")
}

fn stages(report: &mut Report) -> impl Iterator<Item = &mut Stage> {
    report.stages.iter_mut().filter(|stage| stage.measured)
}

/// What is said of pools, with its evidence.
fn said(report: &Report) -> Vec<(String, String)> {
    let findings = findings::find(report);
    let of_pools = findings.into_iter().filter(|finding| OF_POOLS.contains(&finding.id.as_str()));
    of_pools
        .map(|finding| {
            assert!(!finding.effect.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
            (finding.id, finding.evidence)
        })
        .collect()
}

#[track_caller]
fn assert_said(report: &Report, id: &str, evidence: &str) {
    let said = said(report);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].0, id);
    assert!(said[0].1.contains(evidence), "{evidence} is not in {}", said[0].1);
}

#[track_caller]
fn assert_nothing(report: &Report, why: &str) {
    let said = said(report);
    assert!(said.is_empty(), "{why}: {said:?}");
}

#[test]
fn a_healthy_study_has_nothing_to_be_said_of_its_pools() {
    assert_nothing(&healthy(), "it is healthy");
}

#[test]
fn a_pool_below_the_recommended_ones_is_too_small() {
    let mut report = healthy();
    study(&mut report).current = Some(2);
    assert_said(&report, "pool-too-small", "all connections busy with someone waiting 100 % of the time");
    // Without a recommendation: the largest of those measured still does more than every other one.
    study(&mut report).current = None;
    study(&mut report).recommended = None;
    study(&mut report).sizes[2] = point(8, 1_900.0, 0.9);
    assert_said(&report, "pool-too-small", "90 % of the time");
    study(&mut report).sizes[2] = point(8, 1_900.0, 0.1);
    assert_nothing(&report, "saturated for a tenth of the time it keeps nobody waiting");
}

#[test]
fn a_pool_that_does_less_than_a_smaller_one_is_too_large() {
    let mut report = healthy();
    let against = |low: f64, high: f64| PoolEffect {
        size: 16,
        is_current: true,
        per_s_ratio: Some(Estimate { mean: f64::midpoint(low, high), low: Some(low), high: Some(high) }),
        response_ratio: None,
    };
    study(&mut report).sizes.push(point(16, 800.0, 0.0));
    let set = |report: &mut Report, effect| {
        study(report).recommended.as_mut().expect("one is recommended").against = Some(effect);
    };
    set(&mut report, against(1.1, 1.3));
    assert_said(
        &report,
        "pool-too-large",
        "800/s and 4.0 ms of service on average with 16, 960/s and 4.0 ms with 4",
    );
    set(&mut report, against(0.95, 1.3));
    assert_nothing(&report, "the repetitions do not tell them apart");
}

#[test]
fn connections_that_are_held_for_nothing_are_told_where_they_are_scarce() {
    let mut report = healthy();
    let unused = |report: &mut Report, share: f64, hold_us: f64| {
        let point = &mut study(report).sizes[1];
        point.hold_us = times(3_000, hold_us, 9_200, 31_000);
        point.estimates.as_mut().expect("estimates").held_unused_fraction = Some(exact(share));
    };
    unused(&mut report, 0.4, 20_000.0);
    assert_said(&report, "held-by-application", "with 4 connections 40 % of the time");
    unused(&mut report, 0.4, 100.0);
    assert_nothing(&report, "40 µs of 100 are the generator's own steps");
    unused(&mut report, 0.4, 20_000.0);
    for point in &mut study(&mut report).sizes {
        point.saturated_fraction = 0.1;
    }
    assert_nothing(&report, "nobody waits for them");
}

#[test]
fn creates_are_slow_where_users_wait_for_them() {
    let mut report = healthy();
    for stage in stages(&mut report) {
        stage.pool.creates = 60;
        stage.pool.create_us = times(60, 30_000.0, 60_000, 70_000);
    }
    // 60 × 30 ms of 1,000 × 12 ms.
    assert_said(
        &report,
        "slow-creates",
        "30.0 ms each on average, 70.0 ms at most; a transaction takes 4.0 ms, and 15 %",
    );
    for stage in stages(&mut report) {
        stage.pool.creates = 2;
    }
    assert_nothing(&report, "half a per cent of what users wait for");
}

#[test]
fn a_connection_that_is_kept_without_a_request_is_suspected_to_leak() {
    let mut report = healthy();
    let last = report.stages.len() - 1;
    report.stages[last].transactions[0].hold_us = times(1_000, 6_000.0, 9_200, 2_500_000);
    assert_said(
        &report,
        "leak-suspected",
        "2.5 s in stage peak, where 99 % of all are given back within 9.2 ms",
    );
    report.stages[last].statements[0].execute_us = times(1_000, 6_000.0, 8_800, 2_490_000);
    assert_nothing(&report, "the server was at work for all of it");
}

#[test]
fn instances_are_uneven_where_each_repetition_says_the_same() {
    let mut report = healthy();
    let set = |report: &mut Report, of: &[(f64, f64)]| {
        for (stage, (first, second)) in stages(report).zip(of) {
            stage.pool.by_instance = shares(*first, *second);
        }
    };
    // The two stages have loads of their own: neither repeats the other.
    set(&mut report, &[(0.9, 0.1), (0.5, 0.5)]);
    assert_said(
        &report,
        "uneven-instances",
        "one of 2 instances had all connections busy with someone waiting 90 % of the time, another 10 %",
    );
    set(&mut report, &[(0.8, 0.4), (0.5, 0.5)]);
    assert_nothing(&report, "a burst may fall on one of them");
    let load = report.stages[1].load.clone();
    report.stages[2].load = load;
    set(&mut report, &[(0.8, 0.4), (0.6, 0.4)]);
    assert_said(
        &report,
        "uneven-instances",
        "on average of 2 like it one of 2 instances had all connections busy with someone waiting 70 %",
    );
    set(&mut report, &[(0.9, 0.3), (0.4, 0.5)]);
    assert_nothing(&report, "the other way round the next time");
}

#[test]
fn a_host_that_generator_and_server_fill_together_is_told_unless_they_are_kept_apart() {
    let mut report = healthy();
    report.target.same_host = true;
    for stage in stages(&mut report) {
        stage.host = Some(HostInfo {
            cpu_fraction: 0.98,
            iowait_fraction: 0.0,
            steal_fraction: 0.0,
            cores: 2,
            traffic: None,
            memory_available_bytes_min: None,
        });
    }
    assert_said(&report, "host-full", "98 % of 2 cores busy in stage");
    let apart = |report: &mut Report, client: &str, server: &str| {
        report.environment.client_cpus = Some(client.to_owned());
        report.environment.server_cpus = Some(server.to_owned());
    };
    apart(&mut report, "0", "0-1");
    assert_said(&report, "host-full", "98 %");
    apart(&mut report, "0", "1");
    assert_nothing(&report, "each has its own");
    apart(&mut report, "0", "0-1");
    report.target.same_host = false;
    assert_nothing(&report, "the server's cores are others");
}
