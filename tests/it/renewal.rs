//! Connections that are replaced while a load goes on: each at the end of its life, or all at once.

use crate::harness::Database;
use crate::place::{Measured, Place, assert_same, measured};

#[test]
fn in_a_storm_whoever_uses_a_connection_loses_it_and_the_pool_comes_back() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.05)");
    let words = "run --clients 4 --pool-size 4 --warmup 300ms --duration 4s --storm 1500ms";
    let report = place.report(database.url(), words);
    let stage = measured(&report);
    let storm = stage.storm.as_ref().expect("there was a storm");
    // Four users hold four connections almost all the time; one may be between two transactions just then.
    assert_eq!(storm.connections, 4, "{storm:?}");
    assert!((3..=4).contains(&storm.in_use), "{storm:?}");
    assert_eq!((storm.returned, storm.create_errors), (4, 0), "{storm:?}");
    assert!((1.5..2.5).contains(&storm.t_s) && storm.returned_after_s.is_some(), "{storm:?}");
    // Those that were in use lost their transactions, but for answers that had arrived by then. They wrote nothing, so that none is
    // unknown.
    let lost: u64 = stage.transactions[0].errors.get("08006").copied().unwrap_or(0);
    assert!((1..=storm.in_use).contains(&lost), "{lost} of {storm:?}");
    assert_eq!((stage.accounting.failed, stage.accounting.unknown, storm.not_ok), (lost, 0, lost));
    assert_eq!(stage.pool.creates, 4);
    // It goes on behind it: 4 users and 50 ms make 80 a second, and the storm took one second at most.
    assert!(stage.accounting.ok > 100, "{:?}", stage.accounting);
    assert!(report.events.iter().any(|event| event.kind == "storm"), "{:?}", report.events);
    assert_eq!(report.sessions.storm_s, Some(1.5));

    let again = place.dbdyno("report --format json").output().expect("the program can be started");
    assert_same(&report, &Measured::from(&again).report());
    let text = place.dbdyno("report").output().expect("the program can be started");
    let text = String::from_utf8(text.stdout).expect("a report is UTF-8");
    assert!(text.contains("all 4 connections were closed at once"), "{text}");
}

#[test]
fn connections_that_live_for_a_second_are_made_anew_without_a_failure() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let words = "run --clients 2 --pool-size 2 --warmup 0s --duration 4s --churn 1s";
    let report = place.report(database.url(), words);
    let stage = measured(&report);
    // Two connections of any age at first and of a second later end eight times in four seconds, give or take one each, and less
    // where a busy machine takes its time to make them.
    assert!((5..=10).contains(&stage.pool.retired), "{:?}", stage.pool);
    assert!(stage.pool.creates + 2 >= stage.pool.retired && stage.pool.creates <= stage.pool.retired);
    assert!(stage.pool.create_us.max.is_some_and(|us| us > 0), "{:?}", stage.pool);
    assert_eq!((stage.accounting.failed, stage.pool.discarded, stage.pool.create_errors), (0, 0, 0));
    assert_eq!(report.sessions.lifetime_s, Some(1.0));
}
