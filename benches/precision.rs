//! How precisely arrivals start, beside a bare loop on a timerfd: 20,000 a second on a session that answers at once, in turns
//! with a loop that does nothing but wait for the same instants. And what 10,000 clients cost in memory.
//!
//! `PRECISION_SECONDS` (5) is the length of a turn, `PRECISION_PAIRS` (5) their number. Fails when the 99 % quantile of the
//! lag is more than 1.5 times the loop's at the median of the pairs, when the achieved rate is off by more than 0.1 %, or when
//! 10,000 clients need 200 MB.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dbdyno::db::sim::SimEngine;
use dbdyno::engine::{self, Plan, Replacement, StagePlan};
use dbdyno::record::histogram::Distribution;
use dbdyno::time::{Epoch, Now, RealClock};
use dbdyno::units::{Seed, StageId};
use dbdyno::workload::{Load, Workload};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

mod common;

use common::{Result, number, say};

const RATE: f64 = 20_000.0;
/// Lag of dbdyno ÷ lag of the loop, at p99.
const LAG_MAX: f64 = 1.5;
/// Share by which the achieved rate may be off.
const RATE_OFF_MAX: f64 = 0.001;
const CLIENTS: u32 = 10_000;
const MEMORY_MAX_BYTES: u64 = 200_000_000;
/// Before the first arrival: time for every thread to be there. And time that does not count.
const BEGIN_AFTER: Duration = Duration::from_millis(50);
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match compare() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the comparison failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What one turn gave.
struct Turn {
    lag: Distribution,
    per_s: f64,
}

impl Turn {
    fn us_at(&self, quantile: f64) -> u64 {
        self.lag.histogram().value_at_quantile(quantile)
    }
}

fn compare() -> Result<bool> {
    let length = Duration::from_secs(number("PRECISION_SECONDS", 5)?.into());
    let pairs = number("PRECISION_PAIRS", 5)?;
    let workload = workload()?;
    let clock = Epoch::begin().clock();
    let memory = memory_of_clients(&workload, clock)?;
    say(&format!("{CLIENTS} clients that wait: {} kB of memory", memory / 1000));

    say(&format!("{RATE} arrivals a second, {pairs} pairs of {} s, the order changing", length.as_secs()));
    say("pair    who         per s     lag p50       p99       max");
    let mut ratios = Vec::new();
    let mut rate_off = 0.0_f64;
    for pair in 1..=pairs {
        let bare = || bare_loop(clock, length);
        let dbdyno = || open_loop(&workload, clock, length);
        let (bare, dbdyno) = if pair % 2 == 1 {
            let bare = bare()?;
            (bare, dbdyno()?)
        } else {
            let dbdyno = dbdyno()?;
            (bare()?, dbdyno)
        };
        for (who, turn) in [("timerfd", &bare), ("dbdyno", &dbdyno)] {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| turn.us_at(quantile));
            say(&format!("{pair:<8}{who:<9}{:>8.1}{p50:>9} µs{p99:>7} µs{max:>7} µs", turn.per_s));
        }
        ratios.push(dbdyno.us_at(0.99) as f64 / bare.us_at(0.99).max(1) as f64);
        rate_off = rate_off.max((dbdyno.per_s / RATE - 1.0).abs());
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    say(&format!(
        "lag p99, dbdyno / timerfd, median of the pairs: {ratio:.2} (at most {LAG_MAX}); rate off by at most {:.3} % \
         (at most {} %); memory {} MB (below {} MB)",
        rate_off * 100.0,
        RATE_OFF_MAX * 100.0,
        memory / 1_000_000,
        MEMORY_MAX_BYTES / 1_000_000
    ));
    let precise = ratio <= LAG_MAX && rate_off <= RATE_OFF_MAX && memory < MEMORY_MAX_BYTES;
    say(if precise {
        "arrivals are as precise as they should be"
    } else {
        "arrivals are NOT as precise as they should be"
    });
    Ok(precise)
}

/// One statement on one table, as a user would write it.
fn workload() -> Result<Workload> {
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("workload.toml"),
        "name = \"precision\"\n[[transaction]]\nname = \"read\"\nstatements = [\"row\"]\n\
         [transaction.parameter]\nid = { uniform = [1, 1_000_000] }\n",
    )?;
    std::fs::write(
        folder.path().join("queries.sql"),
        "-- name: row :one\nSELECT v FROM t WHERE id = :id;\n",
    )?;
    Ok(dbdyno::workload::load(folder.path()).map_err(|mistakes| mistakes.to_string())?)
}

fn plan(workload: &Workload, stages: &[(Load, Duration)]) -> Plan {
    let seed = Seed::default();
    let stage = |(index, (load, duration)): (usize, &(Load, Duration))| StagePlan {
        id: StageId::from_index(index),
        duration: *duration,
        load: load.clone(),
        until_steady: false,
    };
    Plan {
        dataset: Arc::new(workload.dataset(seed, 1.0)),
        query_values: Arc::new(vec![vec![Arc::from([])]]),
        workload: Arc::new(workload.clone()),
        seed,
        stages: stages.iter().enumerate().map(stage).collect(),
        pool_size: 16,
        rtt: Duration::ZERO,
        instances: 1,
        workers: 1,
        in_flight_max: 1000,
        acquire_timeout: Duration::from_secs(30),
        drain: Duration::from_secs(1),
        sampling: None,
        replacement: Replacement::default(),
    }
}

/// Arrivals of the engine on a session that answers at once.
fn open_loop(workload: &Workload, clock: RealClock, length: Duration) -> Result<Turn> {
    let load = Load::rate(RATE);
    let plan = plan(workload, &[(load.clone(), WARM_UP), (load, length)]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut run = engine::start(&plan, &SimEngine::at_once(clock), clock)?;
        run.warm().await?;
        run.begin(clock.now() + BEGIN_AFTER);
        let (mut lag, mut ok) = (Distribution::default(), 0);
        while let Some(collected) = run.next().await? {
            let interval = collected.interval();
            if interval.stage == StageId(1) {
                lag.merge(&interval.set.transactions[0].lag);
                // What ended in the drain was not done in time.
                ok += if interval.drain { 0 } else { interval.set.books().ok };
            }
            run.recycle(collected);
        }
        Ok(Turn { lag, per_s: ok as f64 / length.as_secs_f64() })
    })
}

/// The least that can be done: wait for the next instant with a blocking read of a timerfd, and look at the clock. On a thread
/// of its own, as the engine's worker.
fn bare_loop(clock: RealClock, length: Duration) -> Result<Turn> {
    let looped = std::thread::spawn(move || {
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let from = clock.now() + BEGIN_AFTER;
        let (counted_from, until) = (from + WARM_UP, from + WARM_UP + length);
        let mut lag = Distribution::default();
        for number in 0_u32.. {
            let at = from + Duration::from_secs_f64(f64::from(number) / RATE);
            if at >= until {
                break;
            }
            wait_until(&timer, at - clock.now())?;
            if at >= counted_from {
                lag.record(clock.now() - at);
            }
        }
        let took = clock.now() - counted_from;
        Ok::<_, std::io::Error>(Turn { per_s: lag.count() as f64 / took.as_secs_f64(), lag })
    });
    Ok(looped.join().map_err(|_| "the bare loop panicked")??)
}

/// Returns at once, and without a system call, when nothing is left to wait for.
fn wait_until(timer: &rustix::fd::OwnedFd, left: Duration) -> std::io::Result<()> {
    if left.is_zero() {
        return Ok(());
    }
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let value = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    let once = Itimerspec { it_interval: zero, it_value: value };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    let mut expirations = [0; 8];
    rustix::io::read(timer, &mut expirations)?;
    Ok(())
}

/// What 10,000 users cost who have all done something: resident memory above that of the process before.
fn memory_of_clients(workload: &Workload, clock: RealClock) -> Result<u64> {
    let resident = || -> Result<u64> {
        let process = procfs::process::Process::myself()?;
        Ok(process.status()?.vmrss.ok_or("no VmRSS")? * 1024)
    };
    let before = resident()?;
    let mut plan = plan(workload, &[(Load::clients(CLIENTS), WARM_UP * 3)]);
    plan.pool_size = 100;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut run = engine::start(&plan, &SimEngine::at_once(clock), clock)?;
        run.warm().await?;
        run.begin(clock.now() + BEGIN_AFTER);
        let mut most = 0;
        let mut ended = 0;
        while let Some(collected) = run.next().await? {
            most = most.max(resident()?);
            ended += collected.interval().set.books().ok;
            run.recycle(collected);
        }
        if ended < u64::from(CLIENTS) {
            return Err("not every client had its turn".into());
        }
        Ok(most.saturating_sub(before))
    })
}
