//! The ledger against truths that are known beforehand: a row that sixteen clients want and one holds, and four statements
//! whose shares of the server's time the server itself counts.

use dbdyno::model::{Ledger, LockEpisodeInfo, Phase, Report, Stage};

use crate::engines::{TestedEngine, on_both_engines};
use crate::harness::Database;
use crate::place::{Place, measured, statement};
use crate::pooler::PgBouncer;

/// Time of each kind of transaction that the server is busy for, in microseconds; each is as frequent as the others.
const SPINS_US: [u64; 4] = [200, 1_000, 5_000, 20_000];

fn ledger(stage: &Stage) -> &Ledger {
    stage.ledger.as_ref().expect("somebody looked at the server")
}

/// Four kinds of statements that keep the server busy for known times.
fn spins() -> (Database, Place) {
    let database = Database::from_template("ledger_spins", |database| {
        for us in SPINS_US {
            // A function of its own for each: the server counts what differs in constants as one.
            database.execute(&format!(
                "CREATE FUNCTION spin_{us}() RETURNS bigint LANGUAGE plpgsql AS $$
                 DECLARE
                     ends_at timestamptz := clock_timestamp() + {us} * interval '1 microsecond';
                     turns bigint := 0;
                 BEGIN
                     WHILE clock_timestamp() < ends_at LOOP turns := turns + 1; END LOOP;
                     RETURN turns;
                 END $$"
            ));
        }
    });
    let mut workload = "name = \"spins\"\n".to_owned();
    let mut queries = String::new();
    for us in SPINS_US {
        workload.push_str(&format!("[[transaction]]\nname = \"for_{us}\"\nstatements = [\"spin_{us}\"]\n"));
        queries.push_str(&format!("-- name: spin_{us} :one\nSELECT spin_{us}() AS turns;\n\n"));
    }
    (database, Place::new(&workload, &queries))
}

/// On this host the kernel tells what the server's processes used, and what looking at it cost.
#[test]
#[cfg(target_os = "linux")]
fn the_cpu_of_the_server_is_told_by_whose_it_is() {
    let (database, place) = spins();
    let report = place.report(database.url(), "run --clients 4 --pool-size 4 --warmup 1s --duration 4s");
    let stage = measured(&report);
    let cpu = stage.processes.expect("the server runs on this host");
    // Four sessions spin, and do nothing but run or wait for a core; between two spins their client needs a core as well, which
    // on a crowded machine takes up to about as long.
    assert!(cpu.pool_cores > 0.2, "{cpu:?}");
    assert!((1.5..4.2).contains(&(cpu.pool_cores + cpu.pool_runnable)), "{cpu:?}");
    assert!(cpu.pool_cores + cpu.probe_cores <= cpu.cores + 1e-9, "{cpu:?}");
    assert!(cpu.probe_cores > 0.0, "somebody looked: {cpu:?}");
    let ledger = ledger(stage);
    let runs = ledger.parts.iter().any(|part| part.what == Phase::Running);
    assert!(runs && ledger.parts.iter().all(|part| part.what != Phase::Cpu), "{ledger:#?}");
}

/// Where others use the machine, sessions wait for cores as well as for locks.
mod alone {
    use super::*;

    /// What is known of all spins of one length.
    #[derive(Debug)]
    struct Spins {
        calls: f64,
        /// Time in which the server was seen active with them.
        sampled_us: f64,
        /// Sessions that were seen so, summed over the looks.
        seen: u64,
        /// Time of their executions, by the server.
        counted_us: f64,
    }

    /// The sampled shares of the server's time are those that the server counts, in whatever way the statements come.
    fn shares_agree(words: &str) {
        let (database, place) = spins();
        shares_agree_on(&database, &place, words);
    }

    fn shares_agree_on(database: &Database, place: &Place, words: &str) -> Report {
        // One session for each of two cores: where more want to run, how long a spin takes is a matter of luck.
        let words = format!(
            "run --clients 2 --pool-size 2 --warmup 500ms --duration 5s --probe-interval 10ms {words}"
        );
        let report = place.report(database.url(), &words);
        let stage = measured(&report);
        let times: Vec<Spins> = SPINS_US
            .iter()
            .map(|us| {
                let statement = statement(stage, &format!("spin_{us}"));
                let ledger = statement.ledger.as_ref().expect("it was executed");
                let server = ledger.server.expect("it was looked at");
                let counted = statement.server.as_ref().expect("pg_stat_statements counts it");
                // A spin ends when its time has passed, whatever the machine does meanwhile.
                assert!(counted.exec_us_mean >= *us as f64, "{counted:?}");
                let calls = ledger.calls as f64;
                Spins {
                    calls,
                    sampled_us: server.sampled_us * calls,
                    seen: ledger.parts.iter().filter_map(|part| Some(part.sampled?.count)).max().unwrap_or(0),
                    counted_us: counted.exec_us_mean * counted.calls as f64,
                }
            })
            .collect();
        let sum = |of: fn(&Spins) -> f64| times.iter().map(of).sum::<f64>();
        let (sampled, counted) = (sum(|of| of.sampled_us), sum(|of| of.counted_us));
        // A session is active before it executes, and after: on a quiet machine for no time, on another for as long as it waits for a
        // core, whichever statement it has.
        let beside_us = ((sampled - counted) / sum(|of| of.calls)).max(0.0);
        let expected_us = |of: &Spins| of.counted_us + of.calls * beside_us;
        let expected: f64 = times.iter().map(expected_us).sum();
        // Three points where two sessions are looked at five hundred times. Fewer looks tell of a busy machine, which bends them as well.
        let seen: u64 = times.iter().map(|of| of.seen).sum();
        assert!(seen > 300, "too few looks: {times:?}");
        let off_max = 0.03 * (1000.0 / seen as f64).max(1.0);
        for (us, of) in SPINS_US.iter().zip(&times) {
            let off = of.sampled_us / sampled - expected_us(of) / expected;
            assert!(off.abs() < off_max, "{us} us: {off} off, of {off_max}: {times:?}");
        }
        // And the whole: active sessions ÷ throughput is the time that the server is active.
        assert!((sampled / counted - 1.0).abs() < 0.15, "{times:?}");
        report
    }

    #[test]
    fn sampled_shares_are_those_that_the_server_counts_prepared() {
        shares_agree("--protocol prepared");
    }

    #[test]
    fn sampled_shares_are_those_that_the_server_counts_unnamed() {
        shares_agree("--protocol extended");
    }

    #[test]
    fn sampled_shares_are_those_that_the_server_counts_simple() {
        shares_agree("--protocol simple");
    }

    /// Behind a pooler a session changes its server connection with each transaction, and still each sample finds its statement.
    #[test]
    fn sampled_shares_are_those_that_the_server_counts_through_a_pooler() {
        let (database, place) = spins();
        let pooler = PgBouncer::before(&database, 2);
        let words = format!("--protocol extended --pooler {}", pooler.url());
        let report = shares_agree_on(&database, &place, &words);
        let through = report.sessions.pooler.expect("it went through the pooler");
        assert!(!through.contains("password") && through.contains("127.0.0.1"), "{through}");
    }
}

/// All but one wait for a lock, and that one sleeps: hardly anybody wants a core.
mod timing {
    use super::*;

    on_both_engines!(a_hot_row_is_fifteen_sixteenths_waiting_for_a_lock);

    /// A transaction that takes a row and holds it for 20 ms, by sixteen clients: one works, fifteen wait for it. So fifteen
    /// sixteenths of all time are waiting for a lock.
    fn a_hot_row_is_fifteen_sixteenths_waiting_for_a_lock(on: &TestedEngine) {
        let database = on.stock();
        let place = on.place(
            "name = \"hot\"\n[[transaction]]\nname = \"take\"\n\
             [[transaction.step]]\nstatement = \"take\"\n\
             [[transaction.step]]\nstatement = \"look\"\nhold = \"20ms\"\n",
            "-- name: take :exec\nUPDATE stock SET n = n + 1 WHERE id = 1;\n\n\
             -- name: look :one\nSELECT n FROM stock WHERE id = 1;\n",
        );
        let report = place.report(
            database.url(),
            // Looking at locks takes the lock manager's own locks: five times as often would be seen among the waits.
            "run --clients 16 --pool-size 16 --warmup 1s --duration 6s --probe-interval 100ms",
        );
        let stage = measured(&report);
        let ledger = ledger(stage);
        // A session that loses its core while it holds a lock of the lock manager's own keeps others from waiting properly.
        let is_lock = |phase: &Phase| {
            let Phase::Wait(event) = phase else { return false };
            event.starts_with("Lock:") || event == "LWLock:LockManager"
        };
        let lock = ledger.share(is_lock);
        // Three points, or what a single look counts for where there are few: one may fall between two transactions.
        let off_max = (on.looks_every.as_secs_f64() / 6.0).max(0.03);
        assert!((lock - 15.0 / 16.0).abs() < off_max, "{lock}: {ledger:#?}");
        let remainder = ledger.remainder_share().expect("time was spent");
        assert!(remainder.abs() < 0.10, "{ledger:#?}");
        // What is not waiting is holding: 20 ms in each transaction, and at most as much again on a busy machine.
        let held = ledger.parts.iter().find(|part| part.what == Phase::Application).expect("it was held");
        assert!((20_000.0..40_000.0).contains(&held.us), "{held:?}");
        // The waiting is that of the statement that takes the row.
        let taking = statement(stage, "take").ledger.as_ref().expect("it was executed");
        assert!(taking.share(is_lock) > 0.93 - off_max, "{taking:#?}");
        let sum: f64 = ledger.parts.iter().map(|part| part.us).sum();
        assert!((sum + ledger.remainder_us - ledger.client_us).abs() < 1.0);
        // Whoever waits waits for one of its kind, which holds the row for the most part without executing anything.
        let by_root = |of: &dyn Fn(&LockEpisodeInfo) -> bool| -> u64 {
            stage.locks.episodes.iter().filter(|episode| of(episode)).map(|episode| episode.count).sum()
        };
        let all = by_root(&|_| true);
        // MariaDB does not tell what an idle session did last.
        let own = ["take.", "COMMIT", "(between statements)"];
        let right = by_root(&|episode| own.iter().any(|own| episode.root.starts_with(own)));
        assert!(right * 100 >= all * 95, "{right} of {all}: {:#?}", stage.locks.episodes);
        let idle = by_root(&|episode| episode.root_state == "idle in transaction");
        assert!(idle * 2 > all, "{idle} of {all}: {:#?}", stage.locks.episodes);
    }
}
