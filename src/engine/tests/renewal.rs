//! Connections that are replaced on the way: each at the end of its life, or all at once.

use std::time::Duration;

use super::{MS, all, assert_balanced, one_statement, plan};
use crate::db::sim::{SimAnswer, SimRequest};
use crate::engine::{Replacement, Storm, simulate};
use crate::units::{Load, StageId};

/// A connection takes 50 ms, a statement 10 ms.
fn answer(request: SimRequest) -> SimAnswer {
    SimAnswer::ok(if request == SimRequest::Connect { 50 * MS } else { 10 * MS })
}

#[test]
fn connections_end_one_by_one_from_the_beginning_and_are_made_anew() {
    let mut plan = plan(one_statement(), 4, &[(Load::clients(4), Duration::from_secs(60))]);
    plan.replacement = Replacement { lifetime: Some(Duration::from_secs(10)), storm: None };
    let intervals = simulate(&plan, |request, _, _| answer(request));
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    assert_eq!(books.ok, books.closed());
    // Four connections of any age at first, and then a life of 9 to 11 s each: in 60 s each ends five to seven times.
    assert!((20..=28).contains(&set.pool.retired), "{}", set.pool.retired);
    // All of them are asked for again at once; at most those that ended last are not made any more.
    let made = set.pool.create.count();
    assert!((set.pool.retired - 4..=set.pool.retired).contains(&made), "{made} of {}", set.pool.retired);
    let slowest = set.pool.create.histogram().max();
    assert!((50_000..=50_050).contains(&slowest), "{slowest}");
    // Not all together: no second of a pool that lives for ten has all four.
    assert!(intervals.iter().all(|interval| interval.set.pool.retired < 4));
    assert_eq!(set.pool.discarded, 0);
}

#[test]
fn in_a_storm_all_connections_go_and_come_back() {
    let second = Duration::from_secs(1);
    let mut plan =
        plan(one_statement(), 4, &[(Load::clients(4), 2 * second), (Load::clients(4), 5 * second)]);
    let storm = Storm { after: 2500 * MS, stages: vec![StageId(1)] };
    plan.replacement = Replacement { lifetime: None, storm: Some(storm) };
    let intervals = simulate(&plan, |request, _, _| answer(request));
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    assert_eq!(books.ok, books.closed(), "a simulated connection is not broken in the middle");
    let part = set.pool.storm.expect("there was a storm");
    assert_eq!((part.connections, part.returned, part.create_errors), (4, 4, 0));
    // Prewarmed by one after the other, the pool took 200 ms before the first stage began.
    let stage: Vec<_> = intervals.iter().filter(|interval| interval.stage == StageId(1)).collect();
    assert_eq!(part.at, stage[0].span.from + 2500 * MS);
    // Four clients use all four; each ends within 10 ms, and makes its own anew in 50 ms.
    assert_eq!(part.in_use, 4);
    let back = part.last_returned_at.expect("they are back") - part.at;
    assert!((50 * MS..=60 * MS).contains(&back), "{back:?}");
    assert!((50_000_000..=60_000_000).contains(&part.acquire_ns_max), "{}", part.acquire_ns_max);
    assert_eq!(set.pool.discarded, 4);
    // Told once, in the interval that it was in.
    assert_eq!(intervals.iter().filter(|interval| interval.set.pool.storm.is_some()).count(), 1);
}

#[test]
fn a_load_that_needs_few_connections_brings_few_back() {
    let mut plan = plan(one_statement(), 8, &[(Load::clients(2), Duration::from_secs(5))]);
    let storm = Storm { after: Duration::from_secs(2), stages: vec![StageId(0)] };
    plan.replacement = Replacement { lifetime: None, storm: Some(storm) };
    let intervals = simulate(&plan, |request, _, _| answer(request));
    let set = all(&intervals);
    let part = set.pool.storm.expect("there was a storm");
    assert_eq!((part.connections, part.in_use), (8, 2));
    assert!((1..=3).contains(&part.returned), "{part:?}");
}
