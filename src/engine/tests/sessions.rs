//! How a transaction talks to the server, on the simulated one: the delay of a network, pipelines, retries.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{MS, all, assert_balanced, median_us, plan, workload};
use crate::db::sim::{SimAnswer, SimRequest};
use crate::db::{Control, ExecError, error::SqlState};
use crate::engine::simulate;
use crate::sql::values::Slot;
use crate::units::{Stamp, StatementId};
use crate::workload::{Load, Workload};

/// What was asked of the server, and when.
type Log = Arc<Mutex<Vec<(SimRequest, Stamp)>>>;

fn fails(after: Duration, error: ExecError) -> SimAnswer {
    SimAnswer { after, with: Err(error), value: Slot::Null }
}

fn refused(code: SqlState) -> ExecError {
    ExecError::Server { code, message: "refused".to_owned() }
}

/// Two statements, the first of them up to four times.
fn two(more: &str) -> Workload {
    workload(
        &format!(
            "name = \"two\"\n[[transaction]]\nname = \"t\"\n{more}\n\
             [[transaction.step]]\nstatement = \"a\"\ntimes = {{ uniform = [1, 4] }}\n\
             [[transaction.step]]\nstatement = \"b\"\n"
        ),
        "-- name: a :exec\nUPDATE t SET a = 1;\n-- name: b :exec\nUPDATE t SET a = 2;\n",
    )
}

#[test]
fn a_round_trip_delay_is_added_to_every_request_and_the_connection_is_held_as_long() {
    let one = workload(
        "name = \"one\"\n[[transaction]]\nname = \"t\"\nisolation = \"repeatable read\"\nstatements = [\"s\"]\n",
        "-- name: s :one\nSELECT 1;\n",
    );
    let mut plan = plan(one, 1, &[(Load::clients(1), Duration::from_secs(4))]);
    plan.rtt = 8 * MS;
    let log = Log::default();
    let seen = Arc::clone(&log);
    let intervals = simulate(&plan, move |request, now, _| {
        seen.lock().expect("one thread").push((request, now));
        SimAnswer::ok(2 * MS)
    });
    let set = all(&intervals);
    assert_balanced(&intervals);
    // BEGIN, the statement and COMMIT: three times 2 ms on the server and 8 ms on the way. Three digits round within 0.1 %.
    let transaction = &set.transactions[0];
    for (what, distribution) in
        [("service", &transaction.service), ("hold", &transaction.hold), ("response", &transaction.response)]
    {
        assert!((30_000..=30_030).contains(&median_us(distribution)), "{what}: {}", median_us(distribution));
    }
    for distribution in [&transaction.begin, &transaction.commit, &set.statements[0].execute] {
        assert!((10_000..=10_010).contains(&median_us(distribution)), "{}", median_us(distribution));
    }
    // The first row is there after the way there, the server, and the way back.
    assert!((10_000..=10_010).contains(&median_us(&set.statements[0].first_row)));
    // The server sees each request half of the delay after it was sent: it has the locks from then on.
    let log = log.lock().expect("one thread");
    let arrivals: Vec<_> = log.iter().filter(|(request, _)| *request != SimRequest::Connect).collect();
    let (first, third) = (arrivals[0].1, arrivals[2].1);
    assert_eq!(third - first, 20 * MS);
    assert_eq!(first - intervals[0].span.from, 4 * MS);
}

/// Whatever the server refuses first, a retry asks for the same, after a pause between its bounds.
#[test]
fn a_retry_repeats_its_draws_after_a_pause_between_its_bounds() {
    const TRIES: u32 = 6;
    let run = || {
        let retry = format!(
            "retry = {{ on = [\"40\"], max_tries = {TRIES}, backoff = \"8ms\", backoff_max = \"50ms\" }}"
        );
        let plan = plan(two(&retry), 1, &[(Load::clients(1), Duration::from_secs(60))]);
        let log = Log::default();
        let seen = Arc::clone(&log);
        let intervals = simulate(&plan, move |request, now, _| {
            seen.lock().expect("one thread").push((request, now));
            match request {
                SimRequest::Execute(StatementId(1)) => fails(MS, refused(SqlState::DEADLOCK)),
                _ => SimAnswer::ok(MS),
            }
        });
        let books = assert_balanced(&intervals);
        let set = all(&intervals);
        assert_eq!((books.ok, books.retried), (0, books.failed * u64::from(TRIES - 1)), "{books:?}");
        assert_eq!(
            set.transactions[0].errors["40P01"],
            books.failed * u64::from(TRIES),
            "each try is counted"
        );
        let log = std::mem::take(&mut *log.lock().expect("one thread"));
        (books.failed, log)
    };
    let (transactions, log) = run();
    // Each try: BEGIN, one to four times `a`, `b`, ROLLBACK.
    let is_own =
        |request| !matches!(request, SimRequest::Connect | SimRequest::Control(Control::FlushStatistics));
    let requests: Vec<_> = log.iter().filter(|(request, _)| is_own(*request)).collect();
    let tries: Vec<_> = requests
        .chunk_by(|_, next| !matches!(next.0, SimRequest::Control(Control::Begin(_))))
        .map(|requests| (requests.len(), requests[0].1, requests[requests.len() - 1].1 + MS))
        .collect();
    let mut lengths = Vec::new();
    for of_one in tries.chunks_exact(TRIES as usize).take(usize::try_from(transactions).expect("few")) {
        let (length, ..) = of_one[0];
        lengths.push(length);
        assert!(of_one.iter().all(|(other, ..)| *other == length), "the same draws: {of_one:?}");
        for (pair, longest) in of_one.windows(2).zip([8, 16, 32, 50, 50]) {
            let pause = pair[1].1 - pair[0].2;
            assert!((MS * longest / 2..=MS * longest).contains(&pause), "{pause:?} of {longest} ms");
        }
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [4, 5, 6, 7], "different transactions draw differently");
    assert_eq!(run().1, log, "the same run again is the same, its pauses included");
}

#[test]
fn a_pipeline_is_one_sample_and_its_statements_are_counted() {
    let one_round = two("pipeline = true");
    let mut plan = plan(one_round, 1, &[(Load::clients(1), Duration::from_secs(20))]);
    plan.rtt = 10 * MS;
    let failing = std::sync::atomic::AtomicU64::new(0);
    let intervals = simulate(&plan, move |request, _, _| match request {
        // Every fifth `b` is refused.
        SimRequest::Execute(StatementId(1))
            if failing.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 5 == 4 =>
        {
            fails(MS, refused(SqlState::new("22012")))
        }
        _ => SimAnswer::ok(MS),
    });
    let books = assert_balanced(&intervals);
    let set = all(&intervals);
    let transaction = &set.transactions[0];
    assert!(books.ok > 100 && books.failed > 20, "{books:?}");
    assert_eq!(transaction.pipeline.count(), books.ok, "one sample for each that ended well");
    assert!(transaction.begin.is_empty() && transaction.commit.is_empty());
    // One delay for all: BEGIN, one to four times `a`, `b` and COMMIT take 4 to 7 ms.
    let times = transaction.pipeline.histogram();
    assert!((14_000..=14_014).contains(&times.min()) && (17_000..=17_017).contains(&times.max()));
    let [a, b] = set.statements.as_slice() else { panic!("two statements") };
    assert!(a.execute.is_empty() && b.execute.is_empty(), "their times are a part of the whole");
    assert_eq!((b.pipelined, b.errors), (books.ok, books.failed));
    let share = a.pipelined as f64 / (books.ok + books.failed) as f64;
    // Evenly one to four: 2.5, within five standard deviations of the mean of a thousand draws.
    assert!((2.32..2.68).contains(&share), "{share}");
}

#[test]
fn a_pipeline_whose_connection_is_lost_may_have_committed_unless_the_server_says_why_before() {
    let plan = plan(two("pipeline = true"), 1, &[(Load::clients(1), Duration::from_secs(5))]);
    let count = std::sync::atomic::AtomicU64::new(0);
    let intervals = simulate(&plan, move |request, _, _| match request {
        SimRequest::Execute(StatementId(1)) => {
            match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                3 => fails(MS, ExecError::Lost(std::io::Error::other("cut"))),
                5 => fails(
                    MS,
                    ExecError::Ended { code: SqlState::new("57P01"), message: "terminated".to_owned() },
                ),
                _ => SimAnswer::ok(MS),
            }
        }
        _ => SimAnswer::ok(MS),
    });
    let books = assert_balanced(&intervals);
    assert_eq!((books.unknown, books.failed), (1, 1), "{books:?}");
    assert_eq!(all(&intervals).pool.discarded, 2);
}
