//! The engine's arithmetic on a simulated server in virtual time: what the queueing laws say is what must come out, to the
//! nanosecond where nothing is random.

mod loads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::db::error::{DeadlockWait, SqlState};
use crate::db::sim::{SimAnswer, SimRequest};
use crate::db::{Control, ExecError};
use crate::record::accounting::Books;
use crate::record::entry::Interval;
use crate::record::set::{Set, Shape};
use crate::sql::values::Slot;
use crate::units::{
    Amount, Arrivals, BackendId, ClientId, Course, InstanceId, Load, Pause, Seed, StageId, Stamp, StatementId,
};
use crate::workload::Workload;

use super::arrivals::{self, Share, Window};
use super::source::{Progress, Source};
use super::worker::simulate_with_cut;
use super::{Plan, Replacement, StagePlan, scheduling, simulate};

mod renewal;
mod sessions;
mod truth;

const MS: Duration = Duration::from_millis(1);

/// A workload of one transaction with one statement, `extra` added to the document.
fn workload(document: &str, queries: &str) -> Workload {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("workload.toml"), document).expect("writable");
    std::fs::write(folder.path().join("queries.sql"), queries).expect("writable");
    crate::workload::load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn one_statement() -> Workload {
    workload(
        "name = \"one\"\n[[transaction]]\nname = \"read\"\nweight = 1\nstatements = [\"s\"]\n",
        "-- name: s :one\nSELECT 1;\n",
    )
}

fn plan(workload: Workload, pool_size: u32, stages: &[(Load, Duration)]) -> Plan {
    let seed = Seed(7);
    Plan {
        dataset: Arc::new(workload.dataset(seed, 1.0)),
        query_values: Arc::new(vec![Vec::new(); workload.transactions.len()]),
        workload: Arc::new(workload),
        seed,
        stages: stages
            .iter()
            .enumerate()
            .map(|(index, (load, duration))| StagePlan {
                id: StageId::from_index(index),
                duration: *duration,
                load: load.clone(),
                until_steady: false,
            })
            .collect(),
        pool_size,
        instances: 1,
        workers: 1,
        in_flight_max: 10_000,
        acquire_timeout: Duration::from_secs(600),
        drain: Duration::from_secs(600),
        sampling: None,
        rtt: Duration::ZERO,
        replacement: Replacement::default(),
    }
}

fn all(intervals: &[Interval]) -> Set {
    let mut set = Set::new(Shape {
        transactions: intervals[0].set.transactions.len(),
        statements: intervals[0].set.statements.len(),
        measures: intervals[0].set.measures.len(),
        samples: None,
    });
    for interval in intervals {
        set.merge(&interval.set);
    }
    set
}

/// Both sides of the books, counted apart: what the arrivals planned, and how it ended.
fn assert_balanced(intervals: &[Interval]) -> Books {
    let books = all(intervals).books();
    let planned: u64 = intervals.iter().map(|interval| interval.planned).sum();
    assert_eq!(planned, books.closed(), "{books:?}");
    assert_eq!(books.issued, books.closed(), "{books:?}");
    assert_eq!(intervals.last().map(|interval| interval.in_flight), Some(0));
    books
}

fn median_us(distribution: &crate::record::histogram::Distribution) -> u64 {
    distribution.histogram().value_at_quantile(0.5)
}

#[test]
fn who_must_be_in_time_gives_no_way() {
    let second = Duration::from_secs(1);
    let closed = (Load::clients(4), second);
    let of = |stages: &[(Load, Duration)]| plan(one_statement(), 2, stages);
    assert!(scheduling::may_give_way(&of(&[closed.clone(), closed.clone()])));
    assert!(!scheduling::may_give_way(&of(&[closed.clone(), (Load::rate(10.0), second)])), "arrivals");
    let Load::Closed { clients, .. } = Load::clients(4) else { panic!("it is closed") };
    let thinking = Load::Closed { clients, think: Some(Pause::Constant { time: MS }) };
    assert!(!scheduling::may_give_way(&of(&[(thinking, second)])), "think times");
    assert!(
        !scheduling::may_give_way(&Plan { rtt: MS, ..of(std::slice::from_ref(&closed)) }),
        "a distance that is simulated"
    );
    let holding = "name = \"one\"\n[[transaction]]\nname = \"read\"\n[[transaction.step]]\nstatement = \"s\"\nhold = \"2ms\"\n";
    let holding = workload(holding, "-- name: s :one\nSELECT 1;\n");
    assert!(!scheduling::may_give_way(&plan(holding, 2, &[closed])), "a pause in the transaction");
}

#[test]
fn eight_clients_on_two_connections_wait_three_times_as_long_as_they_are_served() {
    let plan = plan(one_statement(), 2, &[(Load::clients(8), Duration::from_secs(20))]);
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(50 * MS));
    let set = all(&intervals);
    assert_balanced(&intervals);
    let read = &set.transactions[0];
    // Six of the eight queue before two servers: three rounds of 50 ms. A histogram of three digits rounds within 0.1 %.
    assert!((50_000..=50_050).contains(&median_us(&read.service)), "{}", median_us(&read.service));
    assert!((150_000..=150_150).contains(&median_us(&read.pool_wait)), "{}", median_us(&read.pool_wait));
    assert!(read.lag.is_empty(), "a closed loop plans nothing");
    let window: Vec<_> = intervals.iter().filter(|interval| !interval.drain).collect();
    assert_eq!(window.len(), 20);
    for interval in &window {
        let levels = interval.set.pool.levels;
        assert_eq!((levels.busy_ns, levels.waiting_ns), (2_000_000_000, 6_000_000_000));
        assert_eq!(levels.saturated_ns, 1_000_000_000);
    }
    let ok: u64 = window.iter().map(|interval| interval.set.books().ok).sum();
    // 2 connections ÷ 50 ms for 20 s; the two that end with the window belong to it or to the drain.
    assert!((798..=800).contains(&ok), "{ok}");
}

#[test]
fn littles_law_holds_exactly() {
    let plan = plan(one_statement(), 3, &[(Load::rate(170.0), Duration::from_secs(30))]);
    // Unequal service times, so that the queue breathes.
    let intervals = simulate(&plan, |_, _, n| SimAnswer::ok(MS * u32::try_from(5 + n * 7 % 23).unwrap_or(5)));
    let set = all(&intervals);
    assert_balanced(&intervals);
    assert_eq!(set.pool.levels.busy_ns, set.transactions[0].hold.sum_ns());
    assert_eq!(set.pool.levels.waiting_ns, set.pool.wait.sum_ns());
}

#[test]
fn beyond_the_limit_of_transactions_under_way_a_late_start_is_lag() {
    let mut plan = plan(one_statement(), 4, &[(Load::rate(100.0), Duration::from_secs(10))]);
    plan.in_flight_max = 4;
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(50 * MS));
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    assert_eq!(books.ok, 1000);
    // Four clients serve 80 a second of the 100 that arrive: the last of the thousand is planned at 10 s and starts at 12.5 s.
    // With as many connections as clients nobody waits for the pool.
    let lag_max = set.transactions[0].lag.histogram().max();
    assert!((2_440_000..=2_500_000).contains(&lag_max), "{lag_max}");
    assert_eq!(set.transactions[0].pool_wait.histogram().max(), 0);
    assert_eq!(set.transactions[0].response.count(), 1000);
}

#[test]
fn what_never_ends_is_abandoned_and_what_never_began_is_skipped() {
    let mut plan = plan(one_statement(), 2, &[(Load::rate(10.0), Duration::from_secs(5))]);
    plan.in_flight_max = 4;
    plan.drain = Duration::from_secs(3);
    let intervals = simulate(&plan, |request, _, _| match request {
        SimRequest::Execute(_) => SimAnswer::ok(Duration::from_secs(3600)),
        _ => SimAnswer::ok(Duration::ZERO),
    });
    let books = assert_balanced(&intervals);
    assert_eq!((books.ok, books.abandoned, books.skipped), (0, 4, 46));
    // The first was planned at 0 s and given up at 8 s: at least so long would it have taken.
    let censored = all(&intervals).transactions[0].censored.clone();
    assert_eq!(censored.count(), 50);
    assert!(censored.histogram().max() >= 7_990_000, "{}", censored.histogram().max());
}

#[test]
fn an_acquire_that_times_out_fails_by_that_name_and_counts_among_the_slow() {
    let mut plan = plan(one_statement(), 1, &[(Load::clients(2), Duration::from_secs(4))]);
    plan.acquire_timeout = 100 * MS;
    let intervals = simulate(&plan, |request, _, _| match request {
        SimRequest::Execute(_) => SimAnswer::ok(Duration::from_secs(1)),
        _ => SimAnswer::ok(Duration::ZERO),
    });
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    assert_eq!(books.failed, set.transactions[0].errors["pool_timeout"]);
    assert_eq!(set.pool.timeouts, books.failed);
    // The client that waits gives up ten times while the other is served once.
    assert!((36..=40).contains(&books.failed), "{books:?}");
    assert_eq!(set.transactions[0].censored.count(), books.failed);
}

#[test]
fn a_retry_repeats_the_transaction_and_the_response_covers_all_tries() {
    let workload = workload(
        "name = \"r\"\n[[transaction]]\nname = \"t\"\nweight = 1\nisolation = \"serializable\"\nstatements = [\"s\"]\n\
         retry = { on = [\"40001\"], max_tries = 3 }\n",
        "-- name: s :exec\nUPDATE a SET b = 1;\n",
    );
    let plan = plan(workload, 1, &[(Load::clients(1), Duration::from_secs(5))]);
    let executions = std::sync::atomic::AtomicU64::new(0);
    let intervals = simulate(&plan, move |request, _, _| match request {
        // Every second execution of the statement is refused.
        SimRequest::Execute(_)
            if executions.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2) =>
        {
            SimAnswer {
                after: 10 * MS,
                with: Err(ExecError::Server {
                    code: SqlState::SERIALIZATION_FAILURE,
                    message: "could not serialize access".to_owned(),
                }),
                value: Slot::Null,
            }
        }
        _ => SimAnswer::ok(10 * MS),
    });
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    assert_eq!(books.failed, 0);
    assert_eq!(books.retried, books.ok);
    assert_eq!(set.transactions[0].errors["40001"], books.retried);
    // First try: BEGIN, statement, ROLLBACK; a pause of at most 1 ms; second try: BEGIN, statement, COMMIT; 10 ms each.
    let response = median_us(&set.transactions[0].response);
    assert!((60_400..=61_100).contains(&response), "{response}");
    assert!((29_900..=30_050).contains(&median_us(&set.transactions[0].service)));
}

#[test]
fn a_deadlock_is_written_down_with_both_sides_whether_it_is_tried_again_or_not() {
    let workload = workload(
        "name = \"d\"\n[[transaction]]\nname = \"t\"\nweight = 1\nstatements = [\"a\", \"b\"]\n\
         retry = { on = [\"40P01\"], max_tries = 2 }\n",
        "-- name: a :exec\nUPDATE a SET b = 1;\n-- name: b :exec\nUPDATE a SET b = 2;\n",
    );
    let plan = plan(workload, 1, &[(Load::clients(1), Duration::from_secs(5))]);
    let side = |waiter, blocker| DeadlockWait {
        waiter: BackendId(waiter),
        mode: "ShareLock".to_owned(),
        object: "transaction".to_owned(),
        blocker: BackendId(blocker),
    };
    let intervals = simulate(&plan, move |request, _, _| match request {
        // Always, so that the second try fails as well.
        SimRequest::Execute(StatementId(1)) => SimAnswer {
            after: 100 * MS,
            with: Err(ExecError::Deadlock {
                code: SqlState::DEADLOCK,
                message: "deadlock detected".to_owned(),
                waits: vec![side(7, 8), side(8, 7)],
            }),
            value: Slot::Null,
        },
        _ => SimAnswer::ok(MS),
    });
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    assert_eq!((books.ok, books.retried), (0, books.failed));
    assert!(books.failed > 10, "{books:?}");
    assert_eq!(set.deadlocks.len() as u64, books.failed + books.retried);
    assert_eq!(set.transactions[0].errors["40P01"], books.failed + books.retried);
    let told = &set.deadlocks[0];
    assert_eq!((told.transaction.0, told.statement, told.waits.len()), (0, Some(StatementId(1)), 2));
    // BEGIN and the first statement, then the wait.
    assert_eq!(told.at, intervals[0].span.from + 102 * MS);
}

#[test]
fn a_connection_lost_at_commit_is_unknown_and_before_it_failed() {
    let workload = workload(
        "name = \"u\"\n[[transaction]]\nname = \"t\"\nweight = 1\nstatements = [\"a\", \"b\"]\n",
        "-- name: a :exec\nUPDATE a SET b = 1;\n-- name: b :exec\nUPDATE a SET b = 2;\n",
    );
    let plan = plan(workload, 1, &[(Load::clients(1), Duration::from_secs(10))]);
    let commits = std::sync::atomic::AtomicU64::new(0);
    let begins = std::sync::atomic::AtomicU64::new(0);
    let count = |counter: &std::sync::atomic::AtomicU64| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
    };
    let lost = || SimAnswer {
        after: MS,
        with: Err(ExecError::Lost(std::io::Error::other("cut"))),
        value: Slot::Null,
    };
    let intervals = simulate(&plan, move |request, _, _| match request {
        SimRequest::Control(Control::Commit) if count(&commits) == 3 => lost(),
        SimRequest::Execute(StatementId(1)) if count(&begins) == 10 => lost(),
        _ => SimAnswer::ok(MS),
    });
    let books = assert_balanced(&intervals);
    assert_eq!((books.unknown, books.failed), (1, 1), "{books:?}");
    assert_eq!(all(&intervals).pool.discarded, 2, "a lost connection is not used again");
}

#[test]
fn a_connection_goes_on_after_a_commit_that_the_server_refused() {
    let workload = workload(
        "name = \"c\"\n[[transaction]]\nname = \"t\"\nweight = 1\nstatements = [\"a\", \"b\"]\n",
        "-- name: a :exec\nUPDATE a SET b = 1;\n-- name: b :exec\nUPDATE a SET b = 2;\n",
    );
    let plan = plan(workload, 1, &[(Load::clients(1), Duration::from_secs(10))]);
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed) + 1;
    let commits = AtomicU64::new(0);
    let rollbacks = Arc::new(AtomicU64::new(0));
    let rolled_back = Arc::clone(&rollbacks);
    let refused = || SimAnswer {
        after: MS,
        with: Err(ExecError::Server {
            code: SqlState::SERIALIZATION_FAILURE,
            message: "a conflict".to_owned(),
        }),
        value: Slot::Null,
    };
    let intervals = simulate(&plan, move |request, _, _| match request {
        SimRequest::Control(Control::Commit) if count(&commits).is_multiple_of(3) => refused(),
        SimRequest::Control(Control::Rollback) => {
            count(&rolled_back);
            SimAnswer::ok(MS)
        }
        _ => SimAnswer::ok(MS),
    });
    let books = assert_balanced(&intervals);
    assert!(books.failed > 100 && books.failed.abs_diff(books.ok / 2) <= 1, "{books:?}");
    assert_eq!(rollbacks.load(Ordering::Relaxed), books.failed, "each is rolled back");
    assert_eq!(all(&intervals).pool.discarded, 0, "and none costs a connection");
}

#[test]
fn two_pool_sizes_and_two_thread_counts_see_the_same_work() {
    let document = "name = \"mix\"\n[[transaction]]\nname = \"a\"\nweight = 3\nstatements = [\"s\"]\n\
                    [[transaction]]\nname = \"b\"\nweight = 1\nstatements = [\"s\"]\n";
    let queries = "-- name: s :one\nSELECT 1;\n";
    let issued = |pool_size: u32, instances: u32| {
        let mut plan =
            plan(workload(document, queries), pool_size, &[(Load::rate(500.0), Duration::from_secs(8))]);
        plan.instances = instances;
        let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(3 * MS));
        assert_balanced(&intervals);
        all(&intervals).transactions.iter().map(|set| set.books.issued).collect::<Vec<_>>()
    };
    let one = issued(1, 1);
    assert_eq!(one.iter().sum::<u64>(), 4000);
    assert_eq!(one, issued(16, 1));
    assert_eq!(one, issued(4, 3));
    // Three in four are `a`: within four standard deviations of a binomial with n = 4000.
    assert!(one[0].abs_diff(3000) < 110, "{one:?}");
}

#[test]
fn stages_follow_each_other_without_a_gap_and_carry_what_is_under_way() {
    let stages = [
        (Load::rate(100.0), Duration::from_secs(3)),
        (Load::clients(5), Duration::from_millis(2500)),
        (Load::rate(10.0), Duration::from_secs(2)),
    ];
    let plan = plan(one_statement(), 3, &stages);
    let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(70 * MS));
    assert_balanced(&intervals);
    let ends: Vec<Stamp> = (0..3)
        .map(|stage| {
            let of_stage = intervals.iter().filter(|i| i.stage == StageId(stage) && !i.drain);
            of_stage.map(|interval| interval.span.to).max().expect("every stage has intervals")
        })
        .collect();
    let begin = intervals[0].span.from;
    let lengths: Vec<_> = ends.iter().map(|end| (*end - begin).as_millis()).collect();
    assert_eq!(lengths, [3000, 5500, 7500]);
    // Each stage's own books: what came in, what was planned, what ended, what went out.
    let mut carried = 0;
    for stage in 0..3 {
        let of_stage: Vec<_> = intervals.iter().filter(|interval| interval.stage == StageId(stage)).collect();
        let planned: u64 = of_stage.iter().map(|interval| interval.planned).sum();
        let closed: u64 = of_stage.iter().map(|interval| interval.set.books().closed()).sum();
        let open = of_stage.last().map_or(0, |interval| interval.in_flight);
        assert_eq!(carried + planned, closed + open, "stage {stage}");
        carried = open;
    }
    assert!(
        intervals.windows(2).all(|pair| pair[0].span.to == pair[1].span.from),
        "no gap between intervals"
    );
}

const JOBS: &str = r#"
name = "jobs"
[[transaction]]
name = "work"
statements = ["take", "finish"]
[measure.age]
statement = "take"
column = "age_ms"
unit = "ms"
[measure.sequence]
statement = "take"
column = "age_ms"
order = "ascending"
"#;
const JOBS_QUERIES: &str =
    "-- name: take :optional\nSELECT age_ms FROM jobs;\n-- name: finish :exec\nUPDATE jobs SET x = 1;\n";

/// What was taken counts when its transaction has committed, and not before.
#[test]
fn measured_values_are_those_of_transactions_that_ended_ok() {
    let plan = plan(workload(JOBS, JOBS_QUERIES), 1, &[(Load::clients(1), Duration::from_secs(10))]);
    let taken = std::sync::atomic::AtomicI64::new(0);
    let finished = std::sync::atomic::AtomicI64::new(0);
    let next = |counter: &std::sync::atomic::AtomicI64| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
    };
    let intervals = simulate(&plan, move |request, _, _| match request {
        SimRequest::Execute(StatementId(0)) => match next(&taken) {
            // Every tenth time there is nothing to take, and every tenth value comes 5 late.
            number if number % 10 == 0 => SimAnswer { with: Ok(0), ..SimAnswer::ok(MS) },
            number if number % 10 == 5 => SimAnswer { value: Slot::Int(number - 5), ..SimAnswer::ok(MS) },
            number => SimAnswer { value: Slot::Int(number), ..SimAnswer::ok(MS) },
        },
        // Every tenth time, and never when nothing was taken, the transaction fails behind it.
        SimRequest::Execute(_) if next(&finished) % 10 == 3 => SimAnswer {
            with: Err(ExecError::Server { code: SqlState::new("22012"), message: "division".to_owned() }),
            ..SimAnswer::ok(MS)
        },
        _ => SimAnswer::ok(MS),
    });
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    // Of ten transactions one fails and one takes nothing.
    let (ok, failed) = (books.ok, books.failed);
    assert!(ok > 2_000 && ok.abs_diff(failed * 9) <= 9, "{books:?}");
    let [age, sequence] = set.measures.as_slice() else { panic!("two measures") };
    assert!(age.count.abs_diff(failed * 8) <= 9 && age.missing == 0, "{} {books:?}", age.count);
    assert_eq!(age.count, sequence.count);
    assert_eq!(sequence.out_of_order_in_client, sequence.out_of_order_in_worker, "there is one client");
    // The fifth of each ten came behind the fourth.
    assert!(sequence.out_of_order_in_client.abs_diff(failed) <= 1, "{sequence:?}");
    assert!(sequence.values.histogram().is_empty(), "nobody asked for their distribution");
    // Milliseconds are kept as microseconds: half of what was taken lies below half of the numbers.
    let (median, numbers) = (age.values.histogram().value_at_quantile(0.5), (ok + failed) * 1_000);
    assert!((0.48..0.52).contains(&(median as f64 / numbers as f64)), "{median} of {numbers}");
}

/// Before there is any, the alternative is drawn; then a row that was inserted, with its columns together.
#[test]
fn what_the_run_inserted_is_drawn_by_later_transactions() {
    let document = r#"
        name = "inserted"
        [table.orders]
        rows = 1000
        [table.orders.column]
        order_id = { sequence = {} }
        tenant_id = { sequence = { start = 100_001 } }
        [[transaction]]
        name = "insert"
        statements = ["insert_order"]
        [[transaction]]
        name = "look"
        statements = ["look"]
        [transaction.parameter]
        order_id = { inserted = { by = "insert_order", otherwise = { key = { table = "orders", column = "order_id" } } } }
        tenant_id = { same_row = { as = "order_id" } }
        [[transaction]]
        name = "latest"
        statements = ["look"]
        [transaction.parameter]
        order_id = { inserted = { by = "insert_order", otherwise = { key = { table = "orders", column = "order_id", latest = 0.99 } } } }
        tenant_id = { same_row = { as = "order_id" } }
    "#;
    let queries = "-- name: insert_order :one\nINSERT INTO orders DEFAULT VALUES RETURNING order_id, tenant_id;\n\
                   -- name: look :many\nSELECT FROM orders WHERE order_id = :order_id AND tenant_id = :tenant_id;\n";
    let workload = Arc::new(workload(document, queries));
    let dataset = Arc::new(workload.dataset(Seed(7), 1.0));
    let draws = super::draws::Draws::new(Arc::clone(&workload), dataset, Arc::default());
    let mut frame = crate::sql::values::Frame::default();
    let mut draw = |draws: &super::draws::Draws, transaction: u32, number: u64| {
        let position = super::draws::Position { key: super::draws::Draws::stage_key(Seed(1), 0), number };
        draws.fill_once(crate::units::TransactionId(transaction), position, &mut frame);
        match frame.slots[..2] {
            [Slot::Int(order), Slot::Int(tenant)] => (order, tenant),
            _ => panic!("{:?}", frame.slots),
        }
    };
    for number in 0..100 {
        for transaction in [1, 2] {
            let (order, tenant) = draw(&draws, transaction, number);
            assert!((1..=1000).contains(&order) && tenant == order + 100_000, "{order} {tenant}");
        }
    }
    let arena = crate::sql::values::Arena::default();
    for order in [5001, 5002, 5003] {
        draws.inserted(0, 0, Some(Slot::Int(order)), &arena);
        draws.inserted(0, 1, Some(Slot::Int(order + 100_000)), &arena);
    }
    let mut newest = 0;
    let mut loaded = 0;
    for number in 0..1000 {
        let (order, tenant) = draw(&draws, 1, number);
        assert!((5001..=5003).contains(&order) && tenant == order + 100_000, "{order} {tenant}");
        let (order, tenant) = draw(&draws, 2, number);
        assert_eq!(tenant, order + 100_000);
        newest += u32::from(order == 5003);
        loaded += u32::from(order <= 1000);
    }
    // Of 1003 rows by age the first has a share of 0.13, and the first three have 0.24: ± 5 standard deviations of 1000 draws.
    assert!((77..=183).contains(&newest), "{newest}");
    assert!((690..=830).contains(&loaded), "{loaded}");
}

/// The control thread ends the first stage; the others begin then and last as long as planned, and nothing is lost or counted
/// twice.
#[test]
fn a_first_stage_that_ends_early_moves_the_others_forward() {
    let seconds = Duration::from_secs;
    for loads in [
        [Load::rate(50.0), Load::rate(400.0)],
        [Load::clients(3), Load::rate(1.0)],
        [Load::rate(0.2), Load::clients(3)],
        [poisson(300.0), poisson(90.0)],
        [sessions(20.0), sessions(30.0)],
    ] {
        let [warm_up, measured] = loads;
        let mut plan = plan(
            one_statement(),
            2,
            &[
                (warm_up.clone(), seconds(60)),
                (measured.clone(), seconds(5)),
                (Load::clients(2), Duration::from_millis(2500)),
            ],
        );
        plan.instances = 2;
        let cut_at = seconds(4);
        let mut begun_at = None;
        // The interval that ends after three seconds decides; there is time until the fourth is over.
        let intervals = simulate_with_cut(
            &plan,
            |_, _, _| SimAnswer::ok(7 * MS),
            |collected| {
                let begun_at = *begun_at.get_or_insert(collected.interval().span.from);
                (collected.interval().span.to == begun_at + seconds(3)).then_some(begun_at + cut_at)
            },
        );
        assert_balanced(&intervals);
        let begin = intervals[0].span.from;
        let ends: Vec<Duration> = (0..3).map(|stage| end_of(&intervals, stage) - begin).collect();
        assert_eq!(ends, [cut_at, seconds(9), Duration::from_millis(11_500)]);
        assert!(intervals.windows(2).all(|pair| pair[0].span.to == pair[1].span.from), "no gap");
        let planned = |stage: u32| -> u64 {
            intervals.iter().filter(|i| i.stage == StageId(stage)).map(|interval| interval.planned).sum()
        };
        // What is handed out at the very instant of an end, by three clients at most, may be counted on either side of it.
        let is_about = |count: u64, expected: f64| (count as f64 - expected).abs() < 3.5;
        if let Some(rate) = rate_of(&measured) {
            assert!(is_about(planned(1), rate * 5.0), "the whole stage: {}", planned(1));
        }
        if let Some(rate) = rate_of(&warm_up) {
            assert!(is_about(planned(0), rate * 4.0), "what fits into four seconds: {}", planned(0));
            // Arrivals of the next stage were on time, from its first on. A client of a closed loop first ends what it does.
            assert!(all(&intervals).transactions[0].lag.histogram().max() < 10, "nobody was late");
        }
    }
}

/// A worker that hears too late ends the stage with its next interval, and its books balance all the same.
#[test]
fn an_end_that_is_told_too_late_comes_with_the_next_interval() {
    for load in [Load::rate(100.0), poisson(100.0), sessions(30.0), Load::clients(3)] {
        told_too_late(load);
    }
}

fn told_too_late(warm_up: Load) {
    let seconds = Duration::from_secs;
    let plan = plan(one_statement(), 2, &[(warm_up, seconds(60)), (Load::rate(30.0), seconds(3))]);
    let mut begun_at = None;
    let intervals = simulate_with_cut(
        &plan,
        |_, _, _| SimAnswer::ok(7 * MS),
        |collected| {
            let begun_at = *begun_at.get_or_insert(collected.interval().span.from);
            (collected.interval().span.to == begun_at + seconds(3)).then_some(begun_at + seconds(2))
        },
    );
    assert_balanced(&intervals);
    let begin = intervals[0].span.from;
    assert_eq!((end_of(&intervals, 0) - begin, end_of(&intervals, 1) - begin), (seconds(4), seconds(7)));
    // An end behind the planned one changes nothing.
    let intervals = simulate_with_cut(&plan, |_, _, _| SimAnswer::ok(7 * MS), |_| Some(Stamp::NEVER));
    assert_balanced(&intervals);
    assert_eq!(end_of(&intervals, 1) - intervals[0].span.from, seconds(63));
}

/// Of one instance, whose worker hears of the end a second and a half after it.
#[test]
fn what_was_handed_out_behind_an_end_that_nobody_knew_counts_as_planned() {
    for load in [Load::rate(10.0), poisson(10.0)] {
        let (planned, handed_out) = crate::time::block_on_virtual(|timer| async move {
            let at = |ms: u32| Stamp::ZERO + MS * ms;
            let next = Load::rate(1.0);
            let stages = [(StageId(0), MS * 60_000, &load), (StageId(1), MS * 5_000, &next)];
            let windows: std::rc::Rc<[Window]> = arrivals::windows(Stamp::ZERO, stages).into();
            let share = Share { instance: InstanceId(0), of: 1 };
            let source = Source::new(timer.clone(), share, std::rc::Rc::clone(&windows), Seed(7));
            let mut progress = Progress::default();
            while timer.now() < at(3_500) {
                source.next(ClientId(0), &mut progress).await;
            }
            assert!(
                arrivals::end_early(&windows, 0, at(2_000)) && !arrivals::end_early(&windows, 0, at(2_500))
            );
            source.look_up(0);
            while source.next(ClientId(0), &mut progress).await.is_some() {}
            assert_eq!(timer.now(), at(7_000));
            (source.planned(timer.now()), source.handed_out())
        });
        assert_eq!(planned, handed_out);
        assert!(handed_out > 20 + 5, "some were handed out behind the end: {handed_out}");
    }
}

fn poisson(rate: f64) -> Load {
    Load::Open { rate: Course::Constant(rate), arrivals: Arrivals::Poisson, max_lag: None }
}

fn sessions(per_s: f64) -> Load {
    Load::PartlyOpen {
        sessions: Course::Constant(per_s),
        arrivals: Arrivals::Poisson,
        transactions: Amount::Constant { number: 4 },
        think: Some(Pause::Constant { time: 300 * MS }),
        max_lag: None,
    }
}

/// The rate of arrivals that come evenly, so that their number is known.
fn rate_of(load: &Load) -> Option<f64> {
    matches!(load, Load::Open { arrivals: Arrivals::Constant, .. }).then(|| load.course().max())
}

fn end_of(intervals: &[Interval], stage: u32) -> Stamp {
    let of_stage = intervals.iter().filter(|interval| interval.stage == StageId(stage) && !interval.drain);
    of_stage.map(|interval| interval.span.to).max().expect("every stage has intervals")
}

/// Connections take turns, so that each of four has executed the statement six times after twenty-four transactions; a
/// connection that is lost makes the three that are left begin anew.
#[test]
fn a_first_stage_counts_until_every_connection_has_settled_its_plans() {
    let mut plan = plan(
        one_statement(),
        4,
        &[(Load::rate(10.0), Duration::from_secs(9)), (Load::rate(10.0), Duration::from_secs(2))],
    );
    let unsettled = |plan: &Plan, lost_at: Option<u64>| {
        let mut unsettled = Vec::new();
        let executions = std::sync::atomic::AtomicU64::new(0);
        let script = move |request: SimRequest, _: Stamp, _: u64| match request {
            SimRequest::Execute(_)
                if Some(executions.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) == lost_at =>
            {
                SimAnswer {
                    after: MS,
                    with: Err(ExecError::Lost(std::io::Error::other("cut"))),
                    value: Slot::Null,
                }
            }
            _ => SimAnswer::ok(MS),
        };
        simulate_with_cut(plan, script, |collected| {
            unsettled.push(collected.unsettled.clone());
            None
        });
        unsettled
    };
    assert!(unsettled(&plan, None).iter().all(Vec::is_empty), "nobody asked");
    plan.stages[0].until_steady = true;
    let counted = unsettled(&plan, None);
    assert_eq!(counted[..4], [[4], [4], [0], [0]].map(Vec::from), "{counted:?}");
    assert!(counted[9..].iter().all(Vec::is_empty), "not in the second stage: {counted:?}");
    let lost = unsettled(&plan, Some(45));
    assert_eq!((&lost[3], &lost[4]), (&vec![0], &vec![3]), "{lost:?}");
    assert_eq!(lost[8], vec![0], "{lost:?}");
}
