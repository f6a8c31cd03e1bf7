//! What is put on, and when: think time, Poisson arrivals, courses of a rate, sessions, and arrivals that come too late.

use std::time::Duration;

use super::{MS, all, assert_balanced, median_us, one_statement, plan, workload};
use crate::db::sim::{SimAnswer, SimRequest};
use crate::engine::simulate;
use crate::record::entry::Interval;
use crate::units::{Amount, Arrivals, Course, Load, Pause, StageId};

const SECOND: Duration = Duration::from_secs(1);

fn open(rate: Course, arrivals: Arrivals) -> Load {
    Load::Open { rate, arrivals, max_lag: None }
}

fn thinking(clients: u32, think: Pause) -> Load {
    Load::Closed { clients: Course::Constant(f64::from(clients)), think: Some(think) }
}

fn sessions(per_s: f64, transactions: u32, think: Duration) -> Load {
    Load::PartlyOpen {
        sessions: Course::Constant(per_s),
        arrivals: Arrivals::Constant,
        transactions: Amount::Constant { number: transactions },
        think: Some(Pause::Constant { time: think }),
        max_lag: None,
    }
}

fn window(intervals: &[Interval]) -> impl Iterator<Item = &Interval> {
    intervals.iter().filter(|interval| !interval.drain)
}

#[test]
fn who_thinks_holds_no_connection_and_does_not_march_in_step() {
    let load = thinking(10, Pause::Constant { time: 90 * MS });
    let plan = plan(one_statement(), 10, &[(load, 20 * SECOND)]);
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(10 * MS));
    let books = assert_balanced(&intervals);
    // A round takes 100 ms. The first one is a part of it, on average half: each client does 200 or 201.
    assert!((1_995..=2_010).contains(&books.ok), "{books:?}");
    let set = all(&intervals);
    assert_eq!(set.pool.levels.busy_ns, books.ok * 10_000_000);
    assert!((10_000..=10_010).contains(&median_us(&set.transactions[0].response)));
    // Ten that began together would go on together. Ten beginnings spread over 90 ms put more than five into 10 ms with a
    // probability below one in a thousand.
    assert!(set.pool.levels.busy_max <= 5, "{}", set.pool.levels.busy_max);
    assert!(set.transactions[0].lag.is_empty(), "a closed loop plans nothing");
}

/// The interactive response time law: clients = throughput × (response + think time).
#[test]
fn throughput_response_and_think_time_keep_the_law() {
    let mean = 200 * MS;
    let load = thinking(20, Pause::Exponential { mean });
    let plan = plan(one_statement(), 1, &[(load, 120 * SECOND)]);
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(8 * MS));
    assert_balanced(&intervals);
    let set = all(&intervals);
    let response = &set.transactions[0].response;
    let response_s = response.sum_ns() as f64 / 1e9 / response.count() as f64;
    let per_s = response.count() as f64 / 120.0;
    assert!(response_s > 0.010, "one connection, so that some queue: {response_s}");
    // Some 11,000 think times: their mean is off by less than 4 %.
    let clients = per_s * (response_s + mean.as_secs_f64());
    assert!((clients / 20.0 - 1.0).abs() < 0.04, "{clients}");
}

#[test]
fn a_rate_runs_its_course() {
    let (at, lasts) = (4 * SECOND, 2 * SECOND);
    let spike = Course::Spike { base: 100.0, spike: 800.0, at, lasts };
    let ramp = Course::Ramp { ramp: [0.0, 200.0] };
    let steps = Course::Steps { steps: vec![10.0, 0.0, 30.0] };
    let even = |course: &Course| open(course.clone(), Arrivals::Constant);
    let stages = [(even(&spike), 10 * SECOND), (even(&ramp), 4 * SECOND), (even(&steps), 3 * SECOND)];
    let intervals = simulate(&plan(one_statement(), 20, &stages), |_, _, _| SimAnswer::ok(2 * MS));
    assert_balanced(&intervals);
    let planned: Vec<u64> = window(&intervals).map(|interval| interval.planned).collect();
    let expected =
        [[100, 100, 100, 100, 800, 800, 100, 100, 100, 100].as_slice(), &[25, 75, 125, 175], &[10, 0, 30]];
    assert_eq!(planned.iter().sum::<u64>(), 2_400 + 400 + 40);
    for (second, (planned, expected)) in planned.iter().zip(expected.concat()).enumerate() {
        // What is planned at the very end of a second may be told of in it.
        assert!(planned.abs_diff(expected) <= 1, "{second}: {planned}");
    }
    assert!(all(&intervals).transactions[0].lag.histogram().max() == 0, "nobody was late");
}

#[test]
fn clients_come_and_go_with_their_course() {
    let closed = |course| Load::Closed { clients: course, think: None };
    let ramp = closed(Course::Ramp { ramp: [0.0, 10.0] });
    let steps = closed(Course::Steps { steps: vec![6.0, 2.0] });
    let stages = [(ramp, 10 * SECOND), (steps, 10 * SECOND)];
    let mut plan = plan(one_statement(), 20, &stages);
    plan.instances = 3;
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(20 * MS));
    assert_balanced(&intervals);
    let busy: Vec<f64> =
        window(&intervals).map(|interval| interval.set.pool.levels.busy_ns as f64 / 1e9).collect();
    for (second, busy) in busy[..10].iter().enumerate() {
        // Whoever is there is served all the time; the last transaction may outlive its client's time by 20 ms.
        assert!((busy - (second as f64 + 0.5)).abs() < 0.05, "{second}: {busy}");
    }
    for (second, busy) in busy[10..].iter().enumerate() {
        let clients = if second < 5 { 6.0 } else { 2.0 };
        assert!((busy - clients).abs() < 0.15, "{second}: {busy}");
    }
}

#[test]
fn poisson_arrivals_and_their_work_are_the_same_whatever_carries_them() {
    let document = "name = \"mix\"\n[[transaction]]\nname = \"a\"\nweight = 3\nstatements = [\"s\"]\n\
                    [[transaction]]\nname = \"b\"\nweight = 1\nstatements = [\"s\"]\n";
    let issued = |pool_size: u32, instances: u32| {
        let load = open(Course::Ramp { ramp: [900.0, 100.0] }, Arrivals::Poisson);
        let workload = workload(document, "-- name: s :one\nSELECT 1;\n");
        let mut plan = plan(workload, pool_size, &[(load, 8 * SECOND)]);
        plan.instances = instances;
        let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(MS));
        assert_balanced(&intervals);
        let planned: Vec<u64> = window(&intervals).map(|interval| interval.planned).collect();
        let of_each = all(&intervals).transactions.iter().map(|set| set.books.issued).collect::<Vec<_>>();
        (planned, of_each)
    };
    let one = issued(16, 1);
    // 4,000 in the mean, with a standard deviation of 63.
    assert!(one.0.iter().sum::<u64>().abs_diff(4_000) < 260, "{one:?}");
    assert!(one.0[0] > 4 * one.0[7], "the rate falls: {one:?}");
    assert_eq!(one, issued(1, 1));
    assert_eq!(one, issued(4, 3));
}

#[test]
fn a_session_makes_its_transactions_one_after_the_other() {
    let stages = [(sessions(5.0, 4, SECOND), 100 * SECOND)];
    let intervals = simulate(&plan(one_statement(), 50, &stages), |_, _, _| SimAnswer::ok(10 * MS));
    let books = assert_balanced(&intervals);
    // Session k arrives at k ÷ 5 s; its transactions begin every 1.01 s, as far as the stage reaches.
    let starts = |k: u64| (0..4).map(move |n| k * 200 + n * 1_010).filter(|ms| *ms < 100_000).count() as u64;
    assert_eq!(books.ok, (0..500).map(starts).sum::<u64>());
    let set = all(&intervals);
    assert_eq!(set.transactions[0].lag.histogram().max(), 0);
    assert!((10_000..=10_010).contains(&median_us(&set.transactions[0].response)));
    // In the third second two sessions of five are at their first, their second and their third transaction.
    let planned: Vec<u64> = window(&intervals).map(|interval| interval.planned).collect();
    assert_eq!((planned[0], planned[50]), (5, 20));
}

/// The time that a transaction of a session waits for a client to carry it is charged to it, also behind the first.
#[test]
fn sessions_beyond_the_limit_start_late_and_say_so() {
    let stages = [(sessions(2.0, 2, 100 * MS), 10 * SECOND)];
    let mut plan = plan(one_statement(), 1, &stages);
    plan.in_flight_max = 1;
    // Each session takes 600 of the 500 ms that it has.
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(300 * MS));
    let books = assert_balanced(&intervals);
    assert!((30..=40).contains(&books.ok), "{books:?}");
    let lag = all(&intervals).transactions[0].lag.histogram().max();
    // 17 sessions are served in 10 s, so that the last of twenty starts some 2 s late.
    assert!((1_200_000..=2_600_000).contains(&lag), "{lag}");
}

#[test]
fn sessions_go_on_into_a_stage_of_sessions_and_end_before_clients() {
    let ends = |second: Load| {
        let stages = [(sessions(10.0, 3, 2 * SECOND), 5 * SECOND), (second, 5 * SECOND)];
        let intervals = simulate(&plan(one_statement(), 50, &stages), |_, _, _| SimAnswer::ok(MS));
        assert_balanced(&intervals);
        let of_second = intervals.iter().filter(|interval| interval.stage == StageId(1));
        of_second.map(|interval| interval.planned).sum::<u64>()
    };
    // One session a second arrives in the second stage; of the first, 30 begin their second or third transaction in it. The
    // 50 sessions of the first stage begin at 0.1 s steps: second transactions of the last 20, third ones of the last 40 but
    // for the first ten of them.
    let alone = 5 + 3 + 1;
    let carried = ends(sessions(1.0, 3, 2 * SECOND)) - alone;
    assert!((58..=62).contains(&carried), "{carried}");
    let no_more = Load::Closed {
        clients: Course::Constant(1.0),
        think: Some(Pause::Constant { time: Duration::from_secs(60) }),
    };
    assert!(ends(no_more) <= 1, "a client thinks, nobody else is there");
}

#[test]
fn what_is_later_than_the_limit_is_skipped_and_the_rest_is_on_time() {
    let load = Load::rate(100.0).with_max_lag(200 * MS);
    let mut plan = plan(one_statement(), 4, &[(load, 10 * SECOND)]);
    plan.in_flight_max = 4;
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(50 * MS));
    let books = assert_balanced(&intervals);
    // Four clients serve 80 a second of the 100 that arrive, from when a lag of 200 ms is reached, at 1 s, to the end.
    assert!((170..=200).contains(&books.skipped), "{books:?}");
    assert_eq!(books.ok + books.skipped, 1_000);
    let set = &all(&intervals).transactions[0];
    assert!(set.lag.histogram().max() <= 200_200, "{}", set.lag.histogram().max());
    assert_eq!(set.censored.count(), books.skipped);
    assert!(set.censored.histogram().min() >= 199_000, "{}", set.censored.histogram().min());
    // Nothing is left over at the end: 80 a second were done to the last.
    let planned_late: u64 = intervals.iter().filter(|interval| interval.drain).map(|i| i.planned).sum();
    assert_eq!(planned_late, 0);
}

/// A stall of the server does not stop the run: what could not start in time is counted, and then all is as before.
#[test]
fn after_a_stall_the_backlog_is_skipped_and_not_worked_off() {
    let load = Load::rate(1_000.0).with_max_lag(100 * MS);
    let mut plan = plan(one_statement(), 8, &[(load, 10 * SECOND)]);
    plan.in_flight_max = 8;
    let stall = |request: SimRequest, now: crate::units::Stamp| match request {
        SimRequest::Execute(_) if (3.0..5.0).contains(&now.as_secs_f64()) => {
            let over = crate::units::Stamp(5_000_000_000) - now;
            SimAnswer::ok(over + MS)
        }
        _ => SimAnswer::ok(MS),
    };
    let intervals = simulate(&plan, move |request, now, _| stall(request, now));
    let books = assert_balanced(&intervals);
    // Eight were under way; of two seconds those of the last 100 ms are started.
    assert!((1_890..=1_900).contains(&books.skipped), "{books:?}");
    let after: Vec<&Interval> = window(&intervals).skip(6).take(4).collect();
    assert!(after.iter().all(|interval| interval.set.books().ok.abs_diff(1_000) <= 2));
}
