//! Figures that depend on time, of transactions that mostly sleep: three of these run at a time. Bounds are ratios, orders and counts,
//! since the machine may be slow.

mod capacity;
mod migration;
mod naps;
mod pool;
mod pooler;

use std::time::{Duration, Instant};

use dbdyno::model::{LockEpisodeInfo, Report};

use crate::engines::{TestedEngine, on_both_engines};
use crate::harness::Database;
use crate::place::{Place, Running, assert_checks, measured, statement};

/// Asserts that `value` lies within `fraction` of `expected`.
#[track_caller]
pub fn assert_near(what: &str, value: f64, expected: f64, fraction: f64) {
    let off = (value - expected).abs() / expected;
    assert!(off <= fraction, "{what}: {value} is not within {fraction} of {expected} (off by {off:.4})");
}

on_both_engines!(
    waiting_for_a_pool_that_is_too_small_is_what_arithmetic_says,
    a_foreign_lock_is_charged_to_its_holder_for_as_long_as_it_was_held,
);

fn waiting_for_a_pool_that_is_too_small_is_what_arithmetic_says(on: &TestedEngine) {
    let database = on.database();
    let place = on.one_statement(&format!("SELECT {}", on.sleep("0.05")));
    let report = place.report(database.url(), "run --clients 8 --pool-size 2 --warmup 1s --duration 4s");
    assert_eq!(report.target.engine, on.name);
    let stage = measured(&report);
    let sleep = statement(stage, "statement");

    let execute_p50 = sleep.execute_us.p50.expect("160 samples") as f64;
    assert!(execute_p50 >= 50_000.0, "the server slept for less than it was told: {execute_p50}");
    let execute = sleep.execute_us.mean.expect("160 samples");
    if on.counts_statements {
        let server = sleep.server.as_ref().expect("the server's account is there");
        assert_near("the client's mean against the server's own", execute, server.exec_us_mean, 0.10);
        // Flushed at both edges, the server's count and ours differ at most by what was under way at the two edges.
        assert!(
            server.calls.abs_diff(sleep.count) <= 4,
            "{} calls, {} executions",
            server.calls,
            sleep.count
        );
    }

    // Eight users share two connections: each waits while three others before it have their turn. That holds of the means,
    // whatever a busy machine does to single naps; a median of waits, each a sum of three naps, is above three medians of naps
    // as soon as a sixth of the naps is late.
    let hold = stage.transactions[0].hold_us.mean.expect("160 samples");
    let wait = stage.pool.wait_us.mean.expect("160 samples");
    assert_near("pool wait ÷ hold", wait / hold, 3.0, 0.03);
    assert_near("hold, which is nothing but the nap", hold, execute, 0.03);
    assert_near("busy", stage.pool.busy_mean, 2.0, 0.03);
    assert_near("waiting", stage.pool.waiting_mean, 6.0, 0.03);
    assert_eq!(stage.pool.busy_max, 2);
    // For a moment a connection that was given back is nobody's, while its user asks again and the next in line wakes up.
    assert!((6..=8).contains(&stage.pool.waiting_max), "{:?}", stage.pool);
    assert_near("saturated", stage.pool.saturated_fraction, 1.0, 0.03);
    // Two connections that are never idle.
    assert_near("throughput", stage.achieved_per_s, 2.0 / (hold / 1e6), 0.05);
    assert_near("response", stage.response_us.mean.expect("samples"), wait + hold, 0.03);

    assert_checks(stage);
    assert!(report.generator.valid, "{:?}", report.generator.reason);
    let most = stage.waits.first().expect("two sessions were seen asleep");
    assert_eq!(most.event, on.sleeping, "{:?}", stage.waits);
    // On a machine that has no core free, more connections may not help; then that is said instead.
    let advice = ["pool-too-small", "host-full"];
    assert!(
        report.findings.iter().any(|finding| advice.contains(&finding.id.as_str())),
        "{:?}",
        report.findings
    );
}

/// A workload that updates one row, and a session of somebody else that locks it for `hold` in mid-run.
struct ForeignLock {
    report: Report,
    /// From before the lock was taken until after it was given back: a waiter cannot have waited longer.
    longest: Duration,
    /// From after the lock was taken until before it was given back: who came in between waited at least the rest.
    shortest: Duration,
}

impl ForeignLock {
    fn during(on: &TestedEngine, words: &str, hold: Duration) -> Self {
        let database = on.stock();
        let place = on.one_statement("UPDATE stock SET n = n + 1 WHERE id = 1");
        let foreign = database.session("payroll 'batch'");
        let running: Running = place.begin(database.url(), words);
        place.wait_for_seconds(1);

        foreign.execute("BEGIN");
        let before = Instant::now();
        foreign.execute("SELECT n FROM stock WHERE id = 1 FOR UPDATE");
        let taken = Instant::now();
        std::thread::sleep(hold);
        let shortest = taken.elapsed();
        foreign.execute("COMMIT");
        let longest = before.elapsed();

        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        Self { report: ended.report(), longest, shortest }
    }

    /// Episodes whose root is the foreign session.
    fn episodes(&self) -> Vec<&LockEpisodeInfo> {
        let named = |episode: &&LockEpisodeInfo| episode.root.contains("payroll 'batch'");
        measured(&self.report).locks.episodes.iter().filter(named).collect()
    }
}

fn a_foreign_lock_is_charged_to_its_holder_for_as_long_as_it_was_held(on: &TestedEngine) {
    // Each of four users asks for the row as soon as it has its answer, so that all four wait from the beginning.
    let lock = ForeignLock::during(
        on,
        "run --clients 4 --pool-size 4 --warmup 0s --duration 5s",
        Duration::from_secs(2),
    );
    let stage = measured(&lock.report);
    let episodes = lock.episodes();
    let waits: u64 = episodes.iter().map(|episode| episode.count).sum();
    // One waits for the holder's transaction, the others for their turn on the row behind it.
    assert_eq!(waits, 4, "{:#?}", stage.locks);
    for episode in &episodes {
        assert_eq!(episode.root_state, "idle in transaction", "{episode:?}");
        assert_eq!(episode.waiter, "only.statement");
    }
    // A wait ends at the client's stamp, unless a look falls between the end of the wait and that of the statement: whoever
    // gets the row third or fourth waits again for the commits of those before it. Then the look is what is known.
    assert!(episodes.iter().any(|episode| episode.ended_by_client > 0), "{episodes:#?}");
    let is_of_the_row = |episode: &&LockEpisodeInfo| (&*episode.lock_type, &*episode.mode) == on.row_lock;
    assert!(episodes.iter().any(is_of_the_row), "{episodes:?}");
    assert!(episodes.iter().any(|episode| episode.relation.as_deref() == Some("stock")), "{episodes:?}");
    let event = format!("Lock:{}", on.row_lock.0);
    assert!(stage.waits.iter().any(|wait| wait.event == event), "{:?}", stage.waits);

    let longest = episodes.iter().map(|episode| episode.wait_us_max).max().expect("an episode");
    let held = (lock.longest + lock.shortest).as_secs_f64() / 2.0 * 1e6;
    assert_near("the longest wait", longest as f64, held, 0.10);
    let total: u64 = episodes.iter().map(|episode| episode.wait_us_total).sum();
    assert_near("the mean wait", total as f64 / waits as f64, held, 0.10);
    // Each user was stopped once for as long, and a stopped user is what the response says.
    let response = stage.response_us.max.expect("samples");
    assert_near("the longest response", response as f64, held, 0.10);
    assert!(stage.locks.wait_us_total >= total);
    assert_checks(stage);
    assert_eq!(stage.accounting.failed, 0);
}

#[test]
fn an_offered_rate_is_achieved_and_lag_is_told_apart() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT 1");
    let report = place.report(database.url(), "run --rate 200 --pool-size 4 --warmup 0s --duration 5s");
    let stage = measured(&report);
    assert_eq!(stage.accounting.issued, 1_000, "rate × duration, by arithmetic");
    assert_eq!(stage.accounting.ok, 1_000);
    assert_eq!(stage.offered_per_s, Some(200.0));
    // What the last moments planned may end in the drain: a machine that stands still for a tenth of a second delays twenty.
    assert_near("achieved", stage.achieved_per_s, 200.0, 0.03);
    let only = &stage.transactions[0];
    assert_eq!(only.lag_us.count, 1_000);
    assert!(only.lag_us.max.expect("samples") > 0, "a start is never exactly on time");
    for (response, service) in [
        (only.response_us.p50, only.service_us.p50),
        (only.response_us.p90, only.service_us.p90),
        (only.response_us.max, only.service_us.max),
    ] {
        assert!(response >= service, "a response holds its service: {response:?} {service:?}");
    }
    let parts = [&only.lag_us, &only.pool_wait_us, &only.service_us];
    let sum: f64 = parts.iter().map(|part| part.mean.expect("samples")).sum();
    // Between the three lies only our own code; fewer microseconds than a clock's tick on a busy machine.
    let response = only.response_us.mean.expect("samples");
    assert!(response >= sum * 0.98 && response <= sum * 1.05 + 200.0, "{response} is not {sum}");
    assert_checks(stage);
}

#[test]
fn what_is_late_beyond_the_limit_in_flight_counts_as_lag() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.05)");
    // One connection does 20 a second, 40 are offered for two seconds: the backlog grows to 40. Eight of it may wait for a
    // connection, the rest has not even begun.
    let report = place.report(
        database.url(),
        "run --rate 40 --pool-size 1 --in-flight-max 8 --warmup 0s --duration 2s --drain 20s",
    );
    let stage = measured(&report);
    assert_eq!((stage.accounting.issued, stage.accounting.ok), (80, 80));
    // One of eight has the connection, save for the moment in which it changes hands.
    assert!((7..=8).contains(&stage.pool.waiting_max), "{:?}", stage.pool);
    let only = &stage.transactions[0];
    let (lag, wait) = (only.lag_us.max.expect("samples"), only.pool_wait_us.max.expect("samples"));
    assert!(lag > wait * 3, "lag {lag}, pool wait {wait}: of a backlog of 40, 32 is lag");
    assert_checks(stage);
}

#[test]
fn doubling_a_pool_of_sleepers_doubles_the_throughput() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.05)");
    let words = "pool --sizes 1,2,4 --repeats 3 --duration 1500ms --warmup 0s";
    let report = place.report(database.url(), words);
    assert_eq!(report.kind, "pool");
    let study = report.study.as_ref().expect("a pool study");
    assert_eq!(study.sizes.iter().map(|point| point.size).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(study.order.len(), 9);
    assert!(!study.order[..3].is_sorted(), "ascending order hides a drift: {:?}", study.order);
    let mut backwards = study.order[3..6].to_vec();
    backwards.reverse();
    assert_eq!(study.order[..3], backwards, "the second repetition is the first one backwards");
    for (smaller, larger) in study.sizes.iter().zip(&study.sizes[1..]) {
        // Each was measured for four seconds and a half in all; half a second in which the machine stood still is a ninth of them.
        assert_near("throughput of the double size", larger.per_s / smaller.per_s, 2.0, 0.20);
        assert_eq!(larger.repeats, 3);
    }
    for point in &study.sizes {
        assert_near("busy", point.busy_mean, f64::from(point.size), 0.05);
        assert_near("waiting", point.waiting_mean, f64::from(8 - point.size), 0.05);
    }
    // Four connections are twice as good as two: nothing says that eight would not be better still.
    assert_eq!(study.knee, None, "{:?}", study.recommendation);
    assert!(study.recommendation.contains("still grows at 4 connections"), "{}", study.recommendation);
    for stage in &report.stages {
        assert_checks(stage);
    }
}

#[test]
fn the_knee_is_the_smallest_pool_that_does_as_well_as_the_best() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.05)");
    // Two users have no work for a third connection.
    let words = "pool --sizes 1,2,4 --repeats 3 --duration 1500ms --warmup 0s --clients 2";
    let report = place.report(database.url(), words);
    let study = report.study.as_ref().expect("a pool study");
    let [one, two, four] = study.sizes.as_slice() else { panic!("{:?}", study.sizes) };
    assert_near("two against one", two.per_s / one.per_s, 2.0, 0.20);
    assert_near("four against two", four.per_s / two.per_s, 1.0, 0.20);
    // As well is 95 % within the interval of three repetitions: with half the clients of four, two do all that there is to do.
    assert_eq!(study.knee, Some(2), "{}", study.recommendation);
    assert!(study.recommendation.contains("Use a pool of 2"), "{}", study.recommendation);
    assert_eq!(study.reason.as_ref().map(|reason| reason.class.as_str()), Some("clients"));
    assert_near("one is saturated", one.saturated_fraction, 1.0, 0.03);
    assert!(four.saturated_fraction < 0.01, "{}", four.saturated_fraction);
}

#[test]
fn a_connection_is_kept_for_as_long_as_the_application_holds_it() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"held\"\n[[transaction]]\nname = \"slow\"\n[[transaction.step]]\nstatement = \"one\"\n\
         [[transaction.step]]\nstatement = \"one\"\nhold = \"40ms\"\n",
        "-- name: one :many\nSELECT 1;\n",
    );
    let report = place.report(database.url(), "run --clients 2 --pool-size 1 --warmup 0s --duration 3s");
    let stage = measured(&report);
    let slow = &stage.transactions[0];
    let (hold, wait) = (slow.hold_us.p50.expect("samples"), slow.pool_wait_us.p50.expect("samples"));
    assert!(hold >= 40_000, "{hold}");
    assert_near("the other user waits for one hold", wait as f64, hold as f64, 0.05);
    // The server was idle all the while: neither statement is charged with the application's time.
    let execute = statement(stage, "one").execute_us.p50.expect("samples");
    assert!(execute * 4 < hold, "execute {execute}, hold {hold}");
    assert_checks(stage);
}
