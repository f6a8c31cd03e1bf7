//! Servers, connections and dbdyno itself are killed in mid-run: what was measured is reported, the books balance, and
//! nothing is left behind. Each test that kills a server has one of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dbdyno::model::Report;
use rustix::process::Signal;

use crate::engines::{OwnServer, POSTGRESQL, TestedEngine, on_both_engines};
use crate::harness::{Database, own_environment, program, wait_until};
use crate::local::{REMOVED_WITHIN, left_in, living_in, temporary};
use crate::place::{Measured, Place, Running, assert_checks, assert_same, measured};

/// Statements so long that a kill finds some under way, and of a length that no whole second is made of: a kill follows the
/// journal's seconds, and would meet naps of a fifth of a second just when they end.
const NAP: &str = "SELECT pg_sleep(0.37)";

/// How often a transaction ended with this code.
fn errors(report: &Report, code: &str) -> u64 {
    let stage = measured(report);
    stage.transactions.iter().filter_map(|transaction| transaction.errors.get(code)).sum()
}

#[test]
fn a_server_that_dies_ends_the_run_with_a_report() {
    let server = OwnServer::start(&POSTGRESQL);
    let place = Place::one_statement(NAP);
    let running = place.begin(server.url(), "run --clients 8 --pool-size 4 --duration 60s --warmup 0s");
    place.wait_for_seconds(2);
    server.kill();
    let killed = Instant::now();

    let ended = running.end();
    // Ten seconds without a connection are the sign; the run itself would go on for a minute.
    assert!(killed.elapsed() < Duration::from_secs(40), "{:?}", killed.elapsed());
    assert_eq!(ended.code, Some(1), "the target failed: {}", ended.errors);
    let report = ended.report();
    assert_eq!(report.ended, "target_lost");
    let stage = measured(&report);
    assert!(stage.accounting.ok >= 16, "two seconds of four connections: {:?}", stage.accounting);
    // Of the four connections each was cut off in a statement, save those that the pool found dead between two: those cost no
    // transaction. Everything after them found no server.
    let cut_off = errors(&report, "08006") + errors(&report, "57P01");
    assert!((1..=4).contains(&cut_off), "{:?}", stage.transactions[0].errors);
    assert_eq!(stage.pool.discarded, 4, "{:?}", stage.pool);
    assert!(errors(&report, "08001") > 0, "{:?}", stage.transactions[0].errors);
    let counted: u64 = stage.transactions[0].errors.values().sum();
    assert_eq!(counted, stage.accounting.failed + stage.accounting.unknown, "{:?}", stage.transactions[0]);
    assert_eq!(stage.accounting.unknown, 0, "a SELECT that was cut off has no effect that could be unknown");
    // Back-off: eight clients that knock without a pause would fail thousands of times a second.
    assert!(stage.pool.create_errors < 2_000, "{:?}", stage.pool);
    assert!(report.findings.iter().any(|finding| finding.id == "target-lost"), "{:?}", report.findings);
    assert!(report.events.iter().any(|event| event.kind == "target_lost"), "{:?}", report.events);
}

fn a_server_that_restarts_costs_what_was_under_way_and_no_more(on: &TestedEngine) {
    let mut server = OwnServer::start(on);
    server.session().execute("CREATE TABLE t (nap char(9))");
    let place = on.one_statement(&format!("INSERT INTO t VALUES (CAST({} AS char(9)))", on.sleep("0.37")));
    let running = place.begin(server.url(), "run --clients 2 --pool-size 2 --duration 8s --warmup 0s");
    place.wait_for_seconds(2);
    server.crash();
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    assert_eq!(report.ended, "completed");
    let stage = measured(&report);
    // An INSERT that commits itself and whose answer is lost may have taken effect. One was the victim's, one the other's unless
    // its connection was between two; and a new connection that was let in before the server knew is lost once more.
    let unknown = stage.accounting.unknown;
    assert!((1..=4).contains(&unknown), "{:?}", stage.transactions[0].errors);
    assert_eq!(errors(&report, "08006"), unknown, "{:?}", stage.transactions[0].errors);
    // Each connection that was lost was replaced; who asked in vain meanwhile failed.
    assert!(stage.pool.discarded >= 2.max(unknown), "{:?}", stage.pool);
    assert_eq!(stage.pool.creates, stage.pool.discarded, "{:?}", stage.pool);
    assert_eq!(stage.accounting.failed, stage.pool.create_errors, "{:?}", stage.pool);
    let rows: u64 = server.session().value("SELECT count(*) FROM t").parse().expect("a count");
    let ok = stage.accounting.ok;
    assert!((ok..=ok + unknown).contains(&rows), "{rows} rows are there, {ok} were confirmed");
    let last = stage.intervals.iter().rfind(|interval| !interval.drain).expect("intervals");
    assert!(last.per_s > 2.0 && last.errors == 0, "throughput is back: {last:?}");
}

fn sessions_that_are_ended_are_made_anew_and_the_run_goes_on(on: &TestedEngine) {
    let database = on.database();
    let place = on.one_statement(&format!("SELECT {}", on.sleep("0.37")));
    let running = place.begin(database.url(), "run --clients 4 --pool-size 4 --duration 5s --warmup 0s");
    place.wait_for_seconds(1);
    assert_eq!(database.end_pool_sessions(on), 4);
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    assert_eq!(report.target.engine, on.name);
    let stage = measured(&report);
    // Each of the four had a statement under way, save those that were between two.
    let cut_off = errors(&report, on.session_ended);
    assert!((1..=4).contains(&cut_off), "{:?}", stage.transactions[0].errors);
    let met = &stage.transactions[0].errors;
    assert!(met.keys().all(|code| [on.session_ended, "08006"].contains(&code.as_str())), "{met:?}");
    assert_eq!(stage.accounting.failed, met.values().sum::<u64>());
    assert!(stage.accounting.failed <= 4);
    assert_eq!(stage.accounting.unknown, 0);
    assert_eq!((stage.pool.discarded, stage.pool.creates, stage.pool.create_errors), (4, 4, 0));
    let last = stage.intervals.iter().rfind(|interval| !interval.drain).expect("intervals");
    // Eleven a second are what four naps at a time give.
    assert!(last.per_s >= 6.0 && last.errors == 0, "{last:?}");
    assert_checks(stage);
}

on_both_engines!(
    a_server_that_restarts_costs_what_was_under_way_and_no_more,
    sessions_that_are_ended_are_made_anew_and_the_run_goes_on,
);

#[test]
fn a_lost_answer_to_a_commit_is_unknown() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE t (i int);
         CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION nap()",
    );
    let place = Place::new(
        "name = \"commits\"\n[[transaction]]\nname = \"both\"\nstatements = [\"insert\", \"insert\"]\n",
        "-- name: insert :exec\nINSERT INTO t VALUES (1);\n",
    );
    // One statement of each transaction is deferred to COMMIT, which takes three seconds.
    let running = place.begin(database.url(), "run --clients 1 --pool-size 1 --duration 4s --warmup 0s");
    place.wait_for_seconds(1);
    let terminated = database.value(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE application_name LIKE 'dbdyno%' AND datname = current_database() AND query LIKE '%COMMIT%'",
    );
    assert_eq!(terminated, "1");
    let report = running.end().report();
    let stage = measured(&report);
    assert_eq!(
        (stage.accounting.unknown, stage.accounting.failed),
        (1, 0),
        "{:?}",
        stage.transactions[0].errors
    );
    assert_eq!(errors(&report, "57P01"), 1);
}

#[test]
fn an_interrupt_ends_a_run_with_a_report() {
    let database = Database::empty();
    let place = Place::one_statement(NAP);
    let running = place.begin(database.url(), "run --clients 4 --pool-size 2 --duration 60s --warmup 0s");
    place.wait_for_seconds(2);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let report = ended.report();
    assert_eq!(report.ended, "interrupted");
    let stage = measured(&report);
    assert!(stage.duration_s >= 2.0 && stage.duration_s < 50.0, "{}", stage.duration_s);
    // What was under way had the time to end.
    assert_eq!((stage.accounting.abandoned, stage.accounting.failed), (0, 0), "{:?}", stage.accounting);
    assert!(report.events.iter().any(|event| event.kind == "interrupted"), "{:?}", report.events);
    assert_checks(stage);
    let stored = Measured::from(&place.dbdyno("report --format json").output().expect("it runs"));
    assert_same(&stored.report(), &report);
    nobody_is_connected(&database);
}

#[test]
fn a_termination_is_an_interrupt() {
    let database = Database::empty();
    let place = Place::one_statement(NAP);
    let running = place.begin(database.url(), "run --clients 2 --pool-size 2 --duration 60s");
    // In the warm-up of two seconds: the measured stage never begins.
    place.wait_for_seconds(1);
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let report = ended.report();
    assert_eq!(report.ended, "interrupted");
    let begun: Vec<_> = report.stages.iter().map(|stage| (stage.name.as_str(), stage.measured)).collect();
    assert_eq!(begun, [("warm-up", false)]);
    assert!(report.stages[0].accounting.ok > 0);
    nobody_is_connected(&database);
}

#[test]
fn an_interrupt_of_an_open_loop_leaves_the_rest_unplanned() {
    let database = Database::empty();
    let place = Place::one_statement(NAP);
    // Twice what two connections can do: there is a backlog when the interrupt comes.
    let running = place.begin(database.url(), "run --rate 10 --pool-size 2 --duration 60s --warmup 0s");
    place.wait_for_seconds(2);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let report = ended.report();
    let stage = measured(&report);
    let planned = (stage.duration_s * 10.0).ceil();
    assert!(
        (stage.accounting.issued as f64 - planned).abs() <= 1.0,
        "{} of {planned}",
        stage.accounting.issued
    );
    assert_eq!(stage.accounting.failed, 0);
}

#[test]
fn a_second_interrupt_abandons_what_is_under_way() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(60)");
    let running = place.begin(database.url(), "run --clients 3 --pool-size 2 --duration 60s --warmup 0s");
    place.wait_for_seconds(1);
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let report = ended.report();
    let stage = measured(&report);
    // The first interrupt alone waits for three seconds, the statement for sixty.
    assert!(stage.drain_s < 2.4, "{}", stage.drain_s);
    // Two had a connection, one waited for one.
    assert_eq!((stage.accounting.issued, stage.accounting.abandoned), (3, 3), "{:?}", stage.accounting);
    // The server would have slept on for a minute.
    nobody_is_connected(&database);
}

#[test]
fn an_interrupt_in_the_middle_of_a_pool_study_reports_the_sizes_so_far() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.02)");
    let running =
        place.begin(database.url(), "pool --sizes 1,2,3 --repeats 1 --duration 2s --warmup 0s --clients 4");
    place.wait_for_seconds(3);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let report = ended.report();
    assert_eq!(report.ended, "interrupted");
    let study = report.study.as_ref().expect("a study");
    assert!((1..=2).contains(&study.sizes.len()), "{:?}", study.sizes);
    assert!(report.stages.iter().any(|stage| stage.accounting.ok > 0));
    nobody_is_connected(&database);
}

#[test]
fn dbdyno_killed_leaves_no_server_and_a_journal_that_can_be_read() {
    let temporary = temporary();
    let place = Place::one_statement(NAP);
    let running = local(&place, temporary.path(), "run --clients 4 --pool-size 2 --duration 60s --warmup 0s");
    place.wait_for_seconds(2);
    let [folder] = &left_in(temporary.path())[..] else { panic!("one server runs") };
    let folder = folder.clone();
    assert!(!living_in(&folder).is_empty(), "its processes are found by their folder");
    running.signal(Signal::KILL);
    let ended = running.end();
    assert_eq!((ended.code, ended.output.as_str()), (None, ""));
    wait_until("the server and its folder are gone", REMOVED_WITHIN, || {
        living_in(&folder).is_empty() && left_in(temporary.path()).is_empty()
    });

    let refused = Measured::from(&place.dbdyno("report").output().expect("it runs"));
    assert_eq!((refused.code, refused.output.as_str()), (Some(1), ""));
    let id = place.run_dir().file_name().expect("a name").to_string_lossy().into_owned();
    assert!(refused.errors.contains(&format!("dbdyno report --recover {id}")), "{}", refused.errors);

    let recovered = Measured::from(&place.dbdyno("report --recover --json -").output().expect("it runs"));
    assert_eq!(recovered.code, Some(0), "{}", recovered.errors);
    let report = recovered.report();
    assert_eq!((report.ended.as_str(), report.id.as_str()), ("cut_off", id.as_str()));
    let stage = measured(&report);
    // Four users without a pause: each had something open when the last second was written down.
    assert_eq!(stage.accounting.carried_out, 4, "{:?}", stage.accounting);
    assert!(stage.accounting.ok >= 8, "two seconds of two connections: {:?}", stage.accounting);
    assert_eq!(stage.intervals.iter().filter(|interval| !interval.drain).count(), stage.intervals.len());
    assert!(report.findings.iter().any(|finding| finding.id == "cut-off"), "{:?}", report.findings);
    let shown = Measured::from(&place.dbdyno("report --recover").output().expect("it runs"));
    assert!(shown.output.starts_with("INCOMPLETE"), "{}", shown.output);
}

#[test]
fn an_interrupt_removes_the_throwaway_server() {
    let temporary = temporary();
    let place = Place::one_statement(NAP);
    let running = local(&place, temporary.path(), "run --clients 2 --pool-size 2 --duration 60s --warmup 0s");
    place.wait_for_seconds(1);
    let folder = left_in(temporary.path()).pop().expect("one server runs");
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    assert_eq!(ended.report().ended, "interrupted");
    // Not in a while, but when the program ends.
    assert_eq!(left_in(temporary.path()), [] as [PathBuf; 0]);
    assert_eq!(living_in(&folder), [] as [i32; 0]);
}

#[test]
fn an_interrupt_of_a_start_or_a_load_leaves_nothing() {
    for (what, reached) in [("starting", "data"), ("loading", "postmaster.pid")] {
        let temporary = temporary();
        let place = Place::new(
            "name = \"large\"\n[table.t]\nrows = 50_000_000\n[table.t.column]\ni = { sequence = {} }\n\
             [[transaction]]\nname = \"only\"\nstatements = [\"one\"]\n",
            "-- name: one :many\nSELECT i FROM t LIMIT 1;\n",
        )
        .file("schema.sql", "CREATE TABLE t (i bigint);\n");
        let running =
            local(&place, temporary.path(), "run --clients 1 --pool-size 1 --duration 60s --warmup 0s");
        wait_until(what, Duration::from_secs(30), || {
            left_in(temporary.path())
                .iter()
                .any(|folder| folder.join(reached).exists() || folder.join("data").join(reached).exists())
        });
        let folder = left_in(temporary.path()).pop().expect("one server");
        if what == "loading" {
            // Fifty million rows take minutes.
            std::thread::sleep(Duration::from_secs(2));
        }
        running.signal(Signal::INT);
        let ended = running.end();
        assert!(matches!(ended.code, None | Some(130)), "{what}: {:?} {}", ended.code, ended.errors);
        assert_eq!(ended.output, "", "{what}: nothing was measured");
        wait_until("the server and its folder are gone", REMOVED_WITHIN, || {
            living_in(&folder).is_empty() && left_in(temporary.path()).is_empty()
        });
    }
}

/// `dbdyno WORDS -w … -t local` with its throwaway server under `temporary`.
fn local(place: &Place, temporary: &Path, words: &str) -> Running {
    let mut command = Command::new(program());
    own_environment(&mut command);
    command.env("DBDYNO_RUNS_DIR", place.runs()).env("TMPDIR", temporary);
    command
        .args(words.split_whitespace())
        .arg("-w")
        .arg(place.workload())
        .args(["-t", "local", "--json", "-"]);
    Running::spawn(command)
}

/// The server notices at its next look at the socket that a client is gone.
fn nobody_is_connected(database: &Database) {
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let asks = database.session("test");
    wait_until("all sessions end", Duration::from_secs(10), || asks.value(others) == "0");
}
