//! Two arms in slices by turns: a known difference is found with its size, the arms do the same work, what is asked is
//! checked before anything is measured, and nothing is left behind.

use dbdyno::model::{ChangeVerdict, Comparison, CounterChange, MetricDifference, Report, Stage, Verdict};

use crate::engines::{TestedEngine, on_both_engines};
use crate::harness::Database;
use crate::place::{Measured, Place};

on_both_engines!(equal_arms_are_not_told_apart);

/// Eight pairs, the fewest with which there can be a verdict, of slices as short as they can be.
const SHORT: &str = "--slice 400ms --warmup 100ms --settle 0s --pool-size 2";

/// A statement that keeps the server busy for as long as its session's setting `spin.us` says. A sleep would round up to a
/// millisecond.
const SPIN: &str = "CREATE FUNCTION spin(us int) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE until timestamptz := clock_timestamp() + us * interval '1 microsecond';
    BEGIN WHILE clock_timestamp() < until LOOP END LOOP; END $$";

fn spinning() -> (Database, Place) {
    let database = Database::empty();
    database.execute(SPIN);
    (database, Place::one_statement("SELECT spin(current_setting('spin.us')::int)"))
}

fn compared(report: &Report) -> &Comparison {
    report.comparison.as_ref().expect("a comparison")
}

fn metric<'a>(report: &'a Report, name: &str) -> &'a MetricDifference {
    let metrics = &compared(report).metrics;
    metrics.iter().find(|metric| metric.metric == name).unwrap_or_else(|| panic!("{name} in {metrics:?}"))
}

fn measured(report: &Report) -> Vec<&Stage> {
    report.stages.iter().filter(|stage| stage.measured).collect()
}

#[test]
fn a_slower_statement_is_found_and_breaks_its_limit() {
    let (database, place) = spinning();
    // Two more than the fewest, so that one bad slice of a busy machine hides nothing.
    let words = "ab --pairs 10 --slice 400ms --warmup 100ms --settle 0s --pool-size 2 --rate 100";
    let mut command = place.on(database.url(), words);
    command.args(["--a", "set spin.us=500", "--b", "set spin.us=6000"]);
    command.args(["--limit", "only.statement.execute.mean +20%", "--limit", "p50 +9000%", "--json", "-"]);
    let measured_by = Measured::from(&command.output().expect("it runs"));
    assert_eq!(measured_by.code, Some(3), "{}", measured_by.errors);
    let report = measured_by.report();
    assert_eq!((report.kind.as_str(), report.verdict), ("ab", Verdict::Fail));
    let comparison = compared(&report);
    assert_eq!((comparison.pairs, comparison.pairs_planned), (10, 10));
    let slower = metric(&report, "only.statement.execute.mean");
    assert_eq!((slower.verdict, slower.limit_kept), (ChangeVerdict::Worse, Some(false)));
    assert_eq!(slower.limit.as_deref(), Some("+20%"));
    // Twelve times the work, and what the statement takes by itself, which on a busy machine is a millisecond or two.
    let ratio = slower.ratio.expect("ten pairs");
    assert!((2.5..13.0).contains(&ratio), "{ratio}");
    let kept = metric(&report, "response.p50");
    assert_eq!((kept.limit_kept, kept.limit.as_deref()), (Some(true), Some("+9000%")));
    // At a fixed rate the throughput is that rate.
    assert!(!comparison.metrics.iter().any(|metric| metric.metric == "throughput"));

    let slices = measured(&report);
    assert_eq!(slices.len(), 20);
    // Constant gaps at 100 a second: every slice puts on the same, but for what a busy machine begins beyond an edge.
    assert!(slices.iter().all(|stage| (36..=44).contains(&stage.accounting.issued)), "{slices:?}");
    let a_first = |pair: &[&Stage]| pair[0].name.starts_with('A');
    let firsts = slices.chunks(2).filter(|pair| a_first(pair)).count();
    assert!((1..10).contains(&firsts), "a coin decides: {firsts} of 10");
    for (slice, stage) in comparison.slices.iter().zip(&slices) {
        assert_eq!(slice.stage, stage.name);
        assert_eq!(slice.stage, format!("{} #{}", slice.arm.to_uppercase(), slice.pair));
        let steps: Vec<&str> = slice.steps.iter().map(|step| step.what.as_str()).collect();
        assert_eq!(steps, ["settle", "checkpoint", "connect", "warm_up", "measure"]);
        assert!(slice.compared);
    }
    assert!(comparison.slices.windows(2).all(|two| two[0].t_s < two[1].t_s));

    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.starts_with("FAIL  one: 1 of 2 limits broken"), "{page}");
    assert!(page.contains("DIFFERENCES") && page.contains("BROKEN"), "{page}");
}

/// Of a hundred comparisons of equal arms one may tell them apart, by its level: two in a row are one in ten thousand.
fn equal_arms_are_not_told_apart(on: &TestedEngine) {
    let database = on.database();
    let place = on.one_statement(&format!("SELECT {}", on.sleep("0.008")));
    let tells_apart = |seed: u32| {
        let words = format!(
            "ab --self --pairs 8 --slice 300ms --warmup 0s --settle 0s --pool-size 2 --rate 100 --no-probes --seed {seed}"
        );
        let report = place.report(database.url(), &words);
        assert_eq!((report.target.engine.as_str(), report.verdict), (on.name, Verdict::None));
        let comparison = compared(&report);
        assert_eq!((comparison.a.as_str(), comparison.b.as_str(), comparison.pairs), ("as is", "as is", 8));
        // Every slice puts on the same, but for what a busy machine begins beyond an edge.
        let issued = measured(&report).into_iter().map(|stage| stage.accounting.issued);
        assert!(issued.clone().all(|issued| (26..=34).contains(&issued)), "{:?}", issued.collect::<Vec<_>>());
        let response = metric(&report, "response.mean");
        let (low, high) = response.interval.expect("eight pairs");
        assert!(low <= high && response.visible.is_some_and(|visible| visible > 1.0), "{response:?}");
        comparison
            .metrics
            .iter()
            .any(|metric| matches!(metric.verdict, ChangeVerdict::Better | ChangeVerdict::Worse))
    };
    assert!(!(tells_apart(1) && tells_apart(2)), "equal arms were told apart twice");
}

#[test]
fn a_clear_difference_ends_it_early() {
    let (database, place) = spinning();
    let words =
        "ab --until-decided --at-most 60s --slice 300ms --warmup 100ms --settle 0s --pool-size 1 --clients 1";
    let mut command = place.on(database.url(), words);
    command.args(["--a", "set spin.us=4000", "--b", "set spin.us=500", "--json", "-"]);
    let report = Measured::from(&command.output().expect("it runs"));
    assert_eq!(report.code, Some(0), "{}", report.errors);
    let report = report.report();
    let comparison = compared(&report);
    assert!(comparison.until_decided);
    assert!(comparison.pairs < comparison.pairs_planned, "{comparison:?}");
    assert!(comparison.confidence > 0.99, "a look spends a part of the error rate only");
    assert_eq!(metric(&report, "throughput").verdict, ChangeVerdict::Better);
    assert_eq!(metric(&report, "throughput").unit, "per_s");
    assert_eq!(metric(&report, "response.mean").verdict, ChangeVerdict::Better);
    assert_eq!(report.verdict, Verdict::None);
    assert!(comparison.answer.starts_with("B is better in "), "{}", comparison.answer);
}

#[test]
fn scripts_are_run_before_their_slices_and_counters_tell_the_plans_apart() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE things (id int, kind int); INSERT INTO things SELECT n, n % 1000 FROM generate_series(1, 20000) n;
         ANALYZE things",
    );
    let place = Place::one_statement("SELECT id FROM things WHERE kind = 7");
    std::fs::write(place.path("drop.sql"), "DROP INDEX IF EXISTS of_kind;\n").expect("a file");
    // Cannot run in a transaction, as several statements sent at once would.
    let create = "-- a comment; with a semicolon\nCREATE INDEX CONCURRENTLY IF NOT EXISTS of_kind ON things (kind);\nVACUUM things;\n";
    std::fs::write(place.path("create.sql"), create).expect("a file");
    // A pair more than a verdict takes: on a busy machine a slice may end before the server has told what it counted.
    let mut command = place.on(database.url(), &format!("ab {SHORT} --clients 1 --pairs 9"));
    command.args(["--a", &format!("sql {}", place.path("drop.sql").display())]);
    command.args(["--b", &format!("sql {}", place.path("create.sql").display()), "--json", "-"]);
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    let counters = &compared(&report).counters;
    let of = |name: &str| counters.iter().find(|counter| counter.counter == name).expect("a counter");
    let blocks = of("blocks");
    assert_eq!(blocks.statement, "only.statement");
    assert_eq!(blocks.change, CounterChange::Fewer, "{blocks:?}");
    // All pages of the table, 20,000 rows of some 32 bytes; and by the index one a row at most, and its own three.
    assert!(blocks.a_per_call > 70.0 && blocks.b_per_call < 25.0, "{blocks:?}");
    assert_eq!(of("rows").change, CounterChange::Alike);
    assert!((of("rows").b_per_call - 20.0).abs() < 1e-9);
    assert!(metric(&report, "only.statement.execute.p50").ratio.is_some_and(|ratio| ratio < 1.0));
    let [plans] = compared(&report).plans.as_slice() else { panic!("{:?}", compared(&report).plans) };
    assert_eq!((plans.statement.as_str(), plans.class.as_str()), ("only.statement", "typical"));
    let summaries = |side: &[dbdyno::model::PlanName]| -> Vec<String> {
        side.iter().map(|plan| plan.summary.clone()).collect()
    };
    assert_eq!(summaries(&plans.a), ["Seq Scan on things"], "before each slice of A the index is dropped");
    assert!(summaries(&plans.b).iter().all(|summary| summary.contains("of_kind")), "{plans:?}");
    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.contains("PLANS  where A and B differ") && page.contains("Seq Scan on things"), "{page}");
    assert_eq!(compared(&report).slices[0].steps[0].what, "script");
}

#[test]
fn another_workload_is_measured_with_its_own_statements() {
    let database = Database::empty();
    database.execute(SPIN);
    let transaction = |statements: &str| {
        format!("name = \"two\"\n[[transaction]]\nname = \"only\"\nstatements = [{statements}]\n")
    };
    let a = Place::new(
        &transaction("\"first\", \"second\""),
        "-- name: first :many\nSELECT spin(1500);\n-- name: second :many\nSELECT spin(1500);\n",
    );
    let b = Place::new(&transaction("\"first\""), "-- name: first :many\nSELECT spin(1500), 1;\n");
    let mut command = a.on(database.url(), &format!("ab {SHORT} --clients 1 --pairs 8"));
    command.args(["--b", &format!("workload {}", b.workload().display()), "--json", "-"]);
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    let names: Vec<&str> = compared(&report).metrics.iter().map(|metric| metric.metric.as_str()).collect();
    assert!(names.contains(&"only.first.execute.mean"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("second")), "only what both have: {names:?}");
    let ratio = metric(&report, "response.mean").ratio.expect("eight pairs");
    // Half the work, and what a transaction takes besides, as a busy machine lets it.
    assert!((0.1..0.9).contains(&ratio), "{ratio}");
    // The probes know the texts of both. On a busy machine a slice may end before the server has told what it counted.
    let mut counted = [0, 0];
    for stage in measured(&report) {
        let is_a = stage.name.starts_with('A');
        let names: Vec<&str> = stage.statements.iter().map(|statement| statement.name.as_str()).collect();
        assert_eq!(names, if is_a { vec!["first", "second"] } else { vec!["first"] });
        let calls = stage.statements[0].server.as_ref().map_or(0, |server| server.calls);
        counted[usize::from(is_a)] += u32::from(calls > 0);
    }
    assert!(counted.iter().all(|slices| *slices >= 6), "{counted:?} of eight slices each");
}

#[test]
fn an_interrupted_comparison_tells_of_the_pairs_until_then() {
    let (database, place) = spinning();
    let mut command = std::process::Command::new(crate::harness::program());
    crate::harness::own_environment(&mut command);
    command.env("DBDYNO_RUNS_DIR", place.runs());
    command.args("ab --slice 1s --warmup 100ms --settle 0s --pool-size 1 --clients 1 --json -".split(' '));
    command.args(["-t", database.url(), "-w"]).arg(place.workload());
    command.args(["--a", "set spin.us=1000", "--b", "set spin.us=1001"]);
    let running = crate::place::Running::spawn(command);
    place.wait_for_seconds(5);
    running.signal(rustix::process::Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let report = ended.report();
    let comparison = compared(&report);
    assert!(comparison.pairs < 8, "{comparison:?}");
    assert!(comparison.metrics.iter().all(|metric| metric.verdict == ChangeVerdict::Inconclusive));
    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.starts_with("INCOMPLETE"), "{page}");
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_measured() {
    let (database, place) = spinning();
    let script = place.path("script.sql");
    std::fs::write(&script, "SELECT 1;\nSELECT no_such_column;\n").expect("a file");
    let script = format!("sql {}", script.display());
    let other = Place::new(
        "name = \"other\"\n[table.t]\nrows = 10\n[table.t.column]\nid = { sequence = {} }\n[[transaction]]\nname = \"only\"\nstatements = [\"s\"]\n",
        "-- name: s :many\nSELECT id FROM t;\n",
    )
    .file("schema.sql", "CREATE TABLE t (id bigint);\n");
    let other = format!("workload {}", other.workload().display());
    let refused: [(&[&str], &str); 14] = [
        (&["--b", "as is"], "both arms are `as is`"),
        (&["--a", "pool 2", "--b", "set work_mem=1MB"], "differ in two things"),
        (&["--a", "set work_mem=1MB", "--b", "set jit=off"], "differ in two things"),
        (&["--b", &script], "give the other arm a script that undoes it"),
        (&["--a", &script, "--b", &format!("{script}x")], "cannot read"),
        (&["--b", "stet work_mem=1MB"], "did you mean `set …`?"),
        (&["--b", "set work_mem"], "write 'set NAME=VALUE'"),
        (&["--b", "pool 0"], "write 'pool N'"),
        (&["--b", "set shared_buffers=1GB"], "cannot be changed without restarting the server"),
        (&["--b", "set work_mem=much"], "invalid value for parameter"),
        (&["--b", &other], "describe other data"),
        (&["--b", "pool 2", "--limit", "onyl.p99 +10%"], "did you mean `only`?"),
        (&["--b", "pool 2", "--limit", "only.statment.execute.mean +10%"], "did you mean `only.statement`?"),
        (&["--b", "pool 2", "--budget", "p99 < 1s"], "--limit 'p99 +10%'"),
    ];
    for (arguments, words) in refused {
        let mut command = place.on(database.url(), "ab --slice 300ms --warmup 0s --clients 1");
        let ended = Measured::from(&command.args(arguments).output().expect("it runs"));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.errors);
        assert!(ended.errors.contains(words), "{arguments:?}: {}", ended.errors);
    }
    let mut command = place.on(database.url(), "ab --until-decided --at-most 5s --clients 1");
    let ended = Measured::from(&command.args(["--b", "pool 2"]).output().expect("it runs"));
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.contains("a verdict takes at least 8: give it "), "{}", ended.errors);

    // What a script does wrong shows when it is run, with its place.
    let mut command = place.on(database.url(), "ab --slice 300ms --warmup 0s --settle 0s --clients 1");
    std::fs::write(place.path("fine.sql"), "SELECT 1").expect("a file");
    let fine = format!("sql {}", place.path("fine.sql").display());
    let ended = Measured::from(&command.args(["--a", &script, "--b", &fine]).output().expect("it runs"));
    assert!(
        ended.errors.contains("script.sql, line 2: column \"no_such_column\" does not exist"),
        "{}",
        ended.errors
    );
}
