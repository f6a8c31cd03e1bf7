//! That the numbers are true: each is held against arithmetic that shares no code with the engine. A stall is charged to
//! every arrival that it delayed, waiting is what queueing theory says, and every transaction has its sample.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::db::sim::{SimAnswer, SimRequest};
use crate::db::{Control, ExecError, error::SqlState};
use crate::engine::{Plan, Sampling, simulate};
use crate::generate::{Key, Stream};
use crate::record::accounting::Outcome;
use crate::record::entry::Interval;
use crate::record::histogram::Distribution;
use crate::record::sample::Sample;
use crate::sql::values::Slot;
use crate::units::{Arrivals, Course, Seed, Stamp};
use crate::workload::Load;

use super::{MS, all, assert_balanced, one_statement, plan, workload};

const SECOND: u64 = 1_000_000_000;

/// A queue with `servers` servers, first come, first served: each arrival begins when it is there and the first server is free
/// (Kiefer and Wolfowitz, "On the theory of queues with many servers", 1955).
struct Queue {
    /// When each server is free, in nanoseconds, ascending.
    free: Vec<u64>,
}

impl Queue {
    fn new(servers: usize) -> Self {
        Self { free: vec![0; servers] }
    }

    /// When an arrival of `at` begins; `done` says when one that begins then is done.
    fn begin(&mut self, at: u64, done: impl FnOnce(u64) -> u64) -> u64 {
        // As a slice: without optimisation, each index of a vector is some calls.
        let free = self.free.as_mut_slice();
        let begins = if at < free[0] { free[0] } else { at };
        let end = done(begins);
        // The first server is put back where it belongs among those that are free later.
        let mut place = 0;
        while place + 1 < free.len() && free[place + 1] < end {
            free[place] = free[place + 1];
            place += 1;
        }
        free[place] = end;
        begins
    }
}

/// The q-quantile of sorted values: the smallest that is not exceeded by a share q.
fn quantile(sorted: &[u64], q: f64) -> u64 {
    // Some ten thousand samples: the rank is a small whole number.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn us_at(distribution: &Distribution, q: f64) -> u64 {
    distribution.histogram().value_at_quantile(q)
}

fn samples(intervals: &[Interval]) -> Vec<Sample> {
    let mut samples: Vec<Sample> = intervals
        .iter()
        .flat_map(|interval| interval.set.samples.rows().map(|(sample, _)| *sample))
        .collect();
    samples.sort_by_key(|sample| (sample.stage, sample.client, sample.number));
    samples
}

fn sampled(plan: Plan, fraction: f64) -> Plan {
    let sampling = Sampling::new(&plan.workload, fraction, &[]);
    Plan { sampling: Some(sampling.into()), ..plan }
}

/// What is sent while everything is locked is served after it.
fn served_at(sent: u64, stall: std::ops::Range<u64>, service_ns: u64) -> u64 {
    let begins = if stall.contains(&sent) { stall.end } else { sent };
    begins + service_ns
}

/// Twenty seconds on eight connections, each statement 2 ms, with a lock on everything from `stall.start` to `stall.end`.
fn with_stall(load: Load, stall: std::ops::Range<u64>) -> Vec<Interval> {
    let plan = plan(one_statement(), 8, &[(load, Duration::from_secs(20))]);
    simulate(&plan, move |request, now, _| match request {
        SimRequest::Execute(_) => {
            let done = served_at(now.0, stall.clone(), 2_000_000);
            SimAnswer::ok(Duration::from_nanos(done - now.0))
        }
        _ => SimAnswer::ok(Duration::ZERO),
    })
}

#[test]
fn a_stall_of_a_second_is_told_in_full() {
    const NO_STALL: std::ops::Range<u64> = 0..0;
    let stall = 10 * SECOND..11 * SECOND;
    let open = Load::rate(1000.0);
    let (stalled, smooth) = (with_stall(open.clone(), stall.clone()), with_stall(open, NO_STALL));
    assert_eq!(assert_balanced(&stalled).ok, 20_000);
    let (stalled, smooth) = (all(&stalled), all(&smooth));
    let (response, without) = (&stalled.transactions[0].response, &smooth.transactions[0].response);

    let mut queue = Queue::new(8);
    let mut truth: Vec<u64> = (0..20_000)
        .map(|n| {
            let at = n * 1_000_000;
            let mut done = 0;
            queue.begin(at, |begins| {
                done = served_at(begins, stall.clone(), 2_000_000);
                done
            });
            done - at
        })
        .collect();
    truth.sort_unstable();
    for q in [0.96, 0.98, 0.99, 0.999, 1.0] {
        let (expected, got) = (quantile(&truth, q) / 1000, us_at(response, q));
        let off = expected.abs_diff(got) as f64 / expected as f64;
        // Nothing is random here, so that only the three digits of the histogram remain of the 5 % that are asked for.
        assert!(off < 0.002, "p{}: {got} µs, the recursion says {expected} µs", q * 100.0);
        assert!(got > 100_000, "p{} lies among the delayed: {got} µs", q * 100.0);
    }
    // 1,000 arrivals are held up, and 333 more while 4,000 a second work that off: fewer than a tenth of all.
    for q in [0.5, 0.9] {
        assert_eq!(us_at(response, q), us_at(without, q), "p{} knows nothing of the stall", q * 100.0);
    }
    let longest = us_at(response, 1.0);
    assert!((1_002_000..1_003_000).contains(&longest), "the first of all waits it out: {longest}");

    // Service time knows of the eight that had a connection, and a closed loop of nothing but its eight users.
    let service = &stalled.transactions[0].service;
    assert_eq!(us_at(service, 0.999), 2_000, "8 of 20,000 are fewer than one in a thousand");
    let closed = all(&with_stall(Load::clients(8), stall));
    let closed = &closed.transactions[0].response;
    assert_eq!((us_at(closed, 0.999), closed.count()), (2_000, 8 * 500 * 19));
    assert!(us_at(closed, 1.0) >= 1_000_000 && us_at(response, 0.999) > 400 * us_at(closed, 0.999));
}

/// P(wait) and mean wait of an M/M/c queue in units of the mean service time (Erlang, 1917; Gross and Harris, "Fundamentals of
/// Queueing Theory", section 2.3).
fn erlang_c(servers: usize, utilisation: f64) -> (f64, f64) {
    let load = servers as f64 * utilisation;
    // Erlang B by its recursion, from which C follows; no factorial grows beyond bounds.
    let blocked = (1..=servers).fold(1.0, |blocked, n| load * blocked / (n as f64 + load * blocked));
    let waits = blocked / (1.0 - utilisation * (1.0 - blocked));
    (waits, waits / (servers as f64 * (1.0 - utilisation)))
}

fn exponential(stream: &mut Stream) -> f64 {
    -stream.unit().ln()
}

/// One case of queueing truth.
#[derive(Clone, Copy, Debug)]
struct Case {
    servers: usize,
    utilisation: f64,
    /// Arrivals of the recursion alone.
    arrivals: u64,
    /// How many standard errors 2 % must be.
    errors: f64,
    /// By how much the share of arrivals that wait may be off in the engine alone: three standard errors or more.
    engine_off: f64,
}

/// Arrivals of each case that go through the engine: twenty thousand. The recursion says of each how long it waits, to the
/// nanosecond, so that more of them would say the same again.
const ENGINE_SECONDS: f64 = 0.4;
const ENGINE_RATE: f64 = 50_000.0;

impl Case {
    /// Service times by the order in which service begins, in nanoseconds.
    fn service_ns(self, number: u64) -> u64 {
        let mean_ns = self.servers as f64 * self.utilisation * 1e9 / ENGINE_RATE;
        let mut stream = Key::root(Seed(1909)).number(self.servers as u64).at(number, 1);
        // Microseconds to milliseconds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let drawn = (exponential(&mut stream) * mean_ns) as u64;
        drawn.max(1)
    }

    /// The engine's pool makes every one of its Poisson arrivals wait exactly as long as the recursion says.
    fn engine_is_the_recursion(self, load: Load) {
        let pool_size = u32::try_from(self.servers).expect("a few connections");
        let stages = [(load, Duration::from_secs_f64(ENGINE_SECONDS))];
        let mut plan = sampled(plan(one_statement(), pool_size, &stages), 1.0);
        // More than ever wait at once: a late start would be lag and no wait.
        plan.in_flight_max = 1000;
        // The first requests of all are the connections of the pool.
        let connects = u64::from(pool_size);
        let intervals = simulate(&plan, move |request, _, n| match request {
            SimRequest::Execute(_) => SimAnswer::ok(Duration::from_nanos(self.service_ns(n - connects))),
            _ => SimAnswer::ok(Duration::ZERO),
        });
        let books = assert_balanced(&intervals);
        // Poisson arrivals: the root of 20,000 is 141, of which this is seven.
        assert!(books.ok.abs_diff(20_000) < 1_000, "{self:?}: {books:?}");
        let samples = samples(&intervals);
        let mut queue = Queue::new(self.servers);
        let (mut waiting, mut wait_ns) = (0_u64, 0_u64);
        let begin = samples[0].scheduled_at.expect("an open loop plans").0;
        for (number, sample) in (0..).zip(&samples) {
            let at = sample.scheduled_at.expect("an open loop plans").0 - begin;
            let wait = queue.begin(at, |begins| begins + self.service_ns(number)) - at;
            let got = u64::try_from(sample.pool_wait.as_nanos()).expect("short");
            assert_eq!(got, wait, "{self:?}, arrival {number}: {sample:?}");
            waiting += u64::from(wait > 0);
            wait_ns += wait;
        }
        // The report's own figures are of the same samples.
        let set = all(&intervals);
        assert_eq!(set.pool.wait.sum_ns(), wait_ns, "{self:?}");
        assert_eq!(set.pool.levels.waiting_ns, wait_ns, "{self:?}");
        let (waits, expected) =
            (waiting as f64 / samples.len() as f64, erlang_c(self.servers, self.utilisation).0);
        assert!(
            (waits / expected - 1.0).abs() < self.engine_off,
            "{self:?}: {waits} wait, Erlang C says {expected}"
        );
    }

    /// The recursion's P(wait) and mean wait lie within 2 % of theory. How much of a deviation goes back to the load that was
    /// drawn, which is known exactly, is taken off (a control variate; Lavenberg and Welch, "A perspective on the use of
    /// control variables", 1981): that halves the arrivals that are needed.
    fn recursion_is_theory(self) {
        const BATCHES: u64 = 64;
        // A picosecond of a mean service time of a second.
        const MEAN: f64 = 1e12;
        let mut random = SplitMix(1909);
        let mut queue = Queue::new(self.servers);
        let gap = MEAN / (self.servers as f64 * self.utilisation);
        let of_batch = self.arrivals / BATCHES;
        let (mut at, mut batches) = (0, Vec::new());
        for _ in 0..BATCHES {
            let (mut waiting, mut wait_sum, mut gaps, mut services) = (0_u64, 0.0, 0_u64, 0_u64);
            for _ in 0..of_batch {
                let (gap, service) = (random.exponential(gap), random.exponential(MEAN));
                at += gap;
                let wait = queue.begin(at, |begins| begins + service) - at;
                waiting += u64::from(wait > 0);
                wait_sum += wait as f64;
                gaps += gap;
                services += service;
            }
            let drawn = services as f64 / gaps as f64 / self.servers as f64 - self.utilisation;
            batches.push([drawn, waiting as f64 / of_batch as f64, wait_sum / MEAN / of_batch as f64]);
        }
        let (waits, mean_wait) = erlang_c(self.servers, self.utilisation);
        for (what, expected, column) in [("P(wait)", waits, 1), ("mean wait", mean_wait, 2)] {
            let (mean, error) = controlled(&batches, column);
            let (off, error) = ((mean / expected - 1.0).abs(), error / expected);
            assert!(off < 0.02, "{self:?}: {what} is {mean}, Erlang C says {expected}");
            assert!(error * self.errors < 0.02, "{self:?}: {what} has a standard error of {error}");
        }
    }
}

/// Mean of a column with its standard error, once its regression on the first column is taken off; that one's mean is zero.
fn controlled(batches: &[[f64; 3]], column: usize) -> (f64, f64) {
    let n = batches.len() as f64;
    let mean = |column: usize| batches.iter().map(|batch| batch[column]).sum::<f64>() / n;
    let (control, raw) = (mean(0), mean(column));
    let variance = batches.iter().map(|batch| (batch[0] - control).powi(2)).sum::<f64>();
    let covariance = batches.iter().map(|batch| (batch[0] - control) * (batch[column] - raw)).sum::<f64>();
    let slope = covariance / variance;
    let rest = |batch: &[f64; 3]| batch[column] - raw - slope * (batch[0] - control);
    let rests = batches.iter().map(|batch| rest(batch).powi(2)).sum::<f64>();
    let error = (rests / (n - 2.0) * (1.0 / n + control.powi(2) / variance)).sqrt();
    (raw - slope * control, error)
}

/// Random numbers that cost next to nothing (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix(u64);

impl SplitMix {
    fn exponential(&mut self, mean: f64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        let unit = ((word >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
        // Far below 2^63 whatever is drawn.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let drawn = (-unit.ln() * mean) as u64;
        drawn
    }
}

/// So many arrivals that 2 % are several standard errors: the variance grows with the fourth power of 1 ÷ (1 − utilisation)
/// (Whitt, "Planning queueing simulations", 1989). Of sixteen servers at a half, where one arrival in a hundred waits at all,
/// it would take sixty million for as many.
fn cases() -> [Case; 9] {
    let case = |servers, utilisation, arrivals, errors, engine_off| Case {
        servers,
        utilisation,
        arrivals,
        errors,
        engine_off,
    };
    [
        case(1, 0.5, 1_000_000, 4.0, 0.05),
        case(1, 0.7, 1_500_000, 3.0, 0.05),
        case(1, 0.9, 5_000_000, 2.5, 0.05),
        case(4, 0.5, 3_000_000, 3.0, 0.15),
        case(4, 0.7, 2_000_000, 2.5, 0.13),
        case(4, 0.9, 5_000_000, 2.5, 0.1),
        case(16, 0.5, 30_000_000, 1.7, 1.0),
        case(16, 0.7, 8_000_000, 2.5, 0.3),
        case(16, 0.9, 8_000_000, 2.5, 0.2),
    ]
}

/// The waits of 180,000 arrivals in the engine are those of the recursion, to the nanosecond. With
/// [`waiting_is_what_erlang_says`] they are those of theory: a queue at nine tenths needs ten million arrivals to show its mean
/// within 2 %, which the recursion alone does in a second.
#[test]
fn every_arrival_waits_as_long_as_the_recursion_says() {
    for case in cases() {
        case.engine_is_the_recursion(Load::Open {
            rate: Course::Constant(ENGINE_RATE),
            arrivals: Arrivals::Poisson,
            max_lag: None,
        });
    }
}

#[test]
fn waiting_is_what_erlang_says() {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let take = || cases.get(next.fetch_add(1, Ordering::Relaxed));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| std::iter::from_fn(take).for_each(|case| case.recursion_is_theory()));
        }
    });
    // Known values, so that the formula is not held against itself alone: one server waits with its utilisation.
    let (waits, mean_wait) = erlang_c(1, 0.9);
    assert!((waits - 0.9).abs() < 1e-12 && (mean_wait - 9.0).abs() < 1e-9, "{waits} {mean_wait}");
    let (waits, _) = erlang_c(2, 0.75);
    // M/M/2: 2ρ² ÷ (1 + ρ).
    assert!((waits - 2.0 * 0.75 * 0.75 / 1.75).abs() < 1e-12, "{waits}");
}

#[test]
fn every_transaction_has_a_sample_and_the_samples_are_the_report() {
    let document = "name = \"r\"\n[[transaction]]\nname = \"t\"\nweight = 1\nisolation = \"serializable\"\n\
                    statements = [\"s\"]\nretry = { on = [\"40001\"], max_tries = 2 }\n";
    let workload = workload(document, "-- name: s :exec\nUPDATE a SET b = 1;\n");
    let mut plan = sampled(plan(workload, 2, &[(Load::rate(100.0), Duration::from_secs(6))]), 1.0);
    plan.acquire_timeout = 400 * MS;
    plan.drain = Duration::from_secs(1);
    let executions = Mutex::new(0_u64);
    let intervals = simulate(&plan, move |request, now, _| {
        let refused = |code: &str| {
            let error = ExecError::Server { code: SqlState::new(code), message: "no".to_owned() };
            SimAnswer { with: Err(error), ..SimAnswer::ok(MS) }
        };
        let number = {
            let mut executions = executions.lock().expect("no holder panics");
            *executions += u64::from(matches!(request, SimRequest::Execute(_)));
            *executions
        };
        match request {
            // From the fifth second on everything takes long: acquires time out, and some never end.
            SimRequest::Execute(_) if now.0 > 5 * SECOND => SimAnswer::ok(Duration::from_secs(3600)),
            SimRequest::Execute(_) if number.is_multiple_of(5) => refused("40001"),
            SimRequest::Execute(_) if number.is_multiple_of(7) => refused("23505"),
            SimRequest::Control(Control::Commit) if now.0 % 11 == 3 => refused("40001"),
            _ => SimAnswer::ok(5 * MS),
        }
    });
    let set = all(&intervals);
    let books = assert_balanced(&intervals);
    let samples = samples(&intervals);
    assert_eq!(samples.len() as u64, books.closed());
    let count = |outcome: Outcome| samples.iter().filter(|sample| sample.outcome == outcome).count() as u64;
    assert_eq!(count(Outcome::Ok), books.ok);
    assert_eq!(count(Outcome::Failed), books.failed);
    assert_eq!((count(Outcome::Abandoned), books.abandoned), (2, 2));
    assert!(books.failed > 0 && books.retried > 0, "{books:?}");
    for (code, errors) in &set.transactions[0].errors {
        let ended = samples.iter().filter(|sample| sample.code.as_str() == code).count() as u64;
        // A failure that was tried again is no end.
        let tried_again = if code == "40001" { books.retried } else { 0 };
        assert_eq!(ended + tried_again, *errors, "{code}");
    }
    let tries: u64 = samples.iter().map(|sample| u64::from(sample.tries.saturating_sub(1))).sum();
    // Each is tried again once at most, and what was given up in the middle does not tell whether it was.
    assert!((tries..=tries + books.abandoned).contains(&books.retried), "{tries}, {books:?}");
    let numbers: Vec<u64> = samples.iter().map(|sample| sample.number).collect();
    assert_eq!(numbers, (0..600).collect::<Vec<_>>());
    let mut response_ns = 0;
    for sample in &samples {
        let scheduled_at = sample.scheduled_at.expect("an open loop plans");
        let stamps = [
            Some(scheduled_at),
            sample.acquire_begun_at,
            sample.acquired_at,
            Some(sample.finished_at),
            sample.released_at,
        ];
        let known: Vec<Stamp> = stamps.into_iter().flatten().collect();
        assert!(known.is_sorted(), "{sample:?}");
        if sample.outcome == Outcome::Ok {
            assert_eq!(known.len(), 5, "{sample:?}");
            response_ns += sample.finished_at.0 - scheduled_at.0;
        }
        assert_eq!(
            sample.code.as_str() == "pool_timeout",
            sample.outcome == Outcome::Failed && sample.acquired_at.is_none()
        );
    }
    assert_eq!(response_ns, set.transactions[0].response.sum_ns());
}

#[test]
fn a_share_of_the_samples_is_the_same_whatever_the_pool() {
    let kept = |pool_size: u32, load: Load, fraction: f64| {
        let plan = sampled(plan(one_statement(), pool_size, &[(load, Duration::from_secs(4))]), fraction);
        let intervals = simulate(&plan, |_, _, _| SimAnswer::ok(3 * MS));
        samples(&intervals).iter().map(|sample| sample.number).collect::<Vec<_>>()
    };
    let open = Load::rate(500.0);
    let tenth = kept(2, open.clone(), 0.1);
    assert_eq!(tenth, kept(16, open.clone(), 0.1));
    // 2,000 × 0.1 within five standard deviations of a binomial.
    assert!(tenth.len().abs_diff(200) < 68, "{}", tenth.len());
    // A larger share holds the smaller one.
    let half = kept(2, open, 0.5);
    assert!(tenth.iter().all(|number| half.contains(number)));
    let closed = kept(2, Load::clients(3), 0.1);
    assert!(!closed.is_empty() && closed.len() < 600, "{}", closed.len());
}

#[test]
fn values_of_a_sample_are_those_that_were_sent_and_returned() {
    let document = "name = \"v\"\n[[transaction]]\nname = \"t\"\nstatements = [\"insert\", \"look\"]\n\
                    [transaction.parameter]\nkind = { uniform = [1, 9] }\n";
    let queries = "-- name: insert :one\nINSERT INTO a (kind) VALUES (:kind) RETURNING id;\n\
                   -- name: look :many\nSELECT FROM a WHERE id = :id;\n";
    let mut plan = plan(workload(document, queries), 1, &[(Load::clients(1), Duration::from_secs(2))]);
    plan.sampling = Some(Sampling::new(&plan.workload, 1.0, &["id".to_owned(), "kind".to_owned()]).into());
    let intervals = simulate(&plan, |_, _, n| SimAnswer {
        value: Slot::Int(i64::try_from(n).expect("few")),
        ..SimAnswer::ok(MS)
    });
    let values: Vec<&[Slot]> =
        intervals.iter().flat_map(|interval| interval.set.samples.rows().map(|(_, values)| values)).collect();
    assert!(values.len() > 400, "{}", values.len());
    // Connect is request 0, and each transaction is four: BEGIN, insert, look, COMMIT.
    for (transaction, values) in (0..).zip(&values) {
        let [Slot::Int(id), Slot::Int(kind)] = **values else { panic!("{values:?}") };
        assert_eq!(id, 4 * transaction + 2);
        assert!((1..=9).contains(&kind));
    }
}
