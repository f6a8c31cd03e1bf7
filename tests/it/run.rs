//! What a run does, and what of it is found in the report: the work, its outcomes, its repetition, its limits.

use std::collections::BTreeMap;
use std::process::Command;

use dbdyno::model::{Report, Verdict};

use crate::engines::{TestedEngine, on_both_engines};
use crate::harness::{Database, own_environment, program, wait_until};
use crate::local::stat;
use crate::place::{Measured, Place, Running, assert_checks, assert_same, measured, statement};
use crate::samples;

/// Three transactions that are told apart by their counts.
fn mix() -> Place {
    let transaction = |name: &str, weight: u32| {
        format!(
            "[[transaction]]\nname = \"{name}\"\nweight = {weight}\nstatements = [\"nap\"]\n\
             [transaction.parameter]\nn = {{ uniform = [1, 1000] }}\n"
        )
    };
    let transactions = [transaction("often", 60), transaction("sometimes", 30), transaction("rarely", 10)];
    Place::new(
        &format!("name = \"mix\"\n{}", transactions.concat()),
        "-- name: nap :one\nSELECT :n + 0 AS result, pg_sleep(0.002);\n",
    )
}

/// How often each transaction was done in the measured stage.
fn counts(report: &Report) -> BTreeMap<String, u64> {
    measured(report).transactions.iter().map(|one| (one.name.clone(), one.count)).collect()
}

#[test]
fn the_same_seed_is_the_same_work_whatever_the_pool() {
    let database = Database::empty();
    let place = mix();
    let run = |pool: u32, seed: u32| {
        let words = format!("run --rate 300 --duration 2s --warmup 0s --pool-size {pool} --seed {seed}");
        let report = place.report(database.url(), &words);
        assert_eq!(report.seed.0, u64::from(seed));
        assert!(report.command.contains(&format!("--seed {seed}")), "{}", report.command);
        assert_eq!(measured(&report).accounting.issued, 600);
        counts(&report)
    };
    let (small, large, other) = (run(2, 7), run(6, 7), run(6, 8));
    assert_eq!(small, large, "the size of the pool must not change the work");
    assert_ne!(large, other, "another seed draws other work");
    // Binomial with n = 600: four standard deviations are 48, 45 and 30.
    for (name, expected, bound) in [("often", 360, 48), ("sometimes", 180, 45), ("rarely", 60, 30)] {
        assert!(small[name].abs_diff(expected) <= bound, "weights are shares: {small:?}");
    }
}

#[test]
fn the_command_in_the_report_repeats_the_run() {
    let database = Database::empty();
    let place = mix();
    let (before_password, after) = database.url().rsplit_once('@').expect("user and address");
    let (_, password) = before_password.rsplit_once(':').expect("a password");
    // Without the password in the URL, nothing has to be taken out of the command.
    let url = format!("postgres://postgres@{after}");
    let mut first = place.on(&url, "run --rate 200 --duration 1s --warmup 0s --seed 42");
    first.args(["--budget", "response.p50 < 10s", "--json", "-"]);
    let first = Measured::from(&first.env("PGPASSWORD", password).output().expect("it runs")).report();

    let folder = program().parent().expect("a folder").to_path_buf();
    let path = std::env::join_paths(
        std::iter::once(folder).chain(std::env::split_paths(&std::env::var_os("PATH").expect("a path"))),
    );
    let mut again = Command::new("sh");
    own_environment(&mut again);
    again.args(["-c", &first.command]).env("PATH", path.expect("a path"));
    again.env("PGPASSWORD", password).env("DBDYNO_RUNS_DIR", place.runs());
    let again = Running::spawn(again).end();
    assert_eq!(again.code, Some(0), "{}: {}", first.command, again.errors);
    let second = again.report();
    assert_ne!(first.id, second.id);
    assert_eq!(counts(&first), counts(&second));
    assert_eq!(first.command, second.command);
    assert_eq!(first.workload, second.workload);
    assert_eq!(first.budgets.len(), 1);
    assert_eq!(second.budgets.len(), 1);
}

/// How the operating system schedules the threads of a process that are called so, as `sched(7)` numbers it.
#[cfg(target_os = "linux")]
fn policies(process: i32, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs").flatten();
    let is_called_so = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.starts_with(name))
    };
    let policy = |task: std::fs::DirEntry| stat(format!("{process}/task/{}", task.file_name().display()), 38);
    tasks.filter(is_called_so).filter_map(policy).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn clients_who_wait_give_way_to_the_server_and_arrivals_are_in_time() {
    const NORMAL: &str = "0";
    const BATCH: &str = "3";
    let database = Database::empty();
    for (load, gives_way) in [("--clients 2", true), ("--rate 20", false)] {
        let place = Place::one_statement("SELECT pg_sleep(0.01)");
        let words = format!("run {load} --instances 2 --threads 2 --pool-size 1 --warmup 0s --duration 30s");
        let running = place.begin(database.url(), &words);
        place.wait_for_seconds(1);
        let (usual, found) = (policies(running.pid(), "dbdyno"), policies(running.pid(), "dyno-worker"));
        running.signal(rustix::process::Signal::INT);
        let ended = running.end();
        // Whoever runs the tests may have asked for another one, which stays.
        let usual = usual.first().expect("it has a first thread");
        let expected = if gives_way && usual == NORMAL { BATCH } else { usual };
        assert_eq!(found, [expected, expected], "{load}");
        assert!(!ended.errors.contains("SCHED_BATCH"), "{}", ended.errors);
        assert_eq!(ended.report().generator.gives_way, expected == BATCH, "{load}");
    }
}

#[test]
fn a_stored_report_is_the_report_that_was_shown() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let file = place.workload().join("out.json");
    let mut command = place.on(database.url(), "run --clients 2 --duration 1s --warmup 0s --pool-size 2");
    let shown = Measured::from(&command.arg("--json").arg(&file).output().expect("it runs"));
    assert_eq!(shown.code, Some(0), "{}", shown.errors);
    assert!(shown.output.starts_with("MEASURED"), "the verdict comes first: {}", shown.output);
    let written: Report =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("it was written")).expect("a report");
    for command in ["report --format json", &format!("report {} --json -", &written.id[..13])] {
        let stored = Measured::from(&place.dbdyno(command).output().expect("it runs"));
        assert_eq!(stored.code, Some(0), "{}", stored.errors);
        assert_same(&stored.report(), &written);
    }
    let again = Measured::from(&place.dbdyno("report").output().expect("it runs"));
    assert_eq!(again.output, shown.output);
}

#[test]
fn stages_follow_each_other_and_hand_on_what_is_under_way() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"staged\"\n[[transaction]]\nname = \"only\"\nstatements = [\"nap\"]\n\
         [[stage]]\nname = \"baseline\"\nduration = \"1s\"\nrate = 50\n\
         [[stage]]\nname = \"peak\"\nduration = \"1s\"\nrate = 100\n\
         [[stage]]\nname = \"few\"\nduration = \"1s\"\nclients = 3\n",
        "-- name: nap :many\nSELECT pg_sleep(0.2);\n",
    );
    let report = place.report(database.url(), "run --pool-size 30 --warmup 0s");
    let [baseline, peak, few] = report.stages.as_slice() else { panic!("three stages") };
    assert_eq!([&baseline.name, &peak.name, &few.name], ["baseline", "peak", "few"]);
    assert_eq!((baseline.accounting.issued, peak.accounting.issued), (50, 100), "rate × duration");
    assert_eq!((few.offered_per_s, few.clients), (None, Some(3)));
    // 200 ms of naps at 50 and at 100 a second are under way at each edge: ten and twenty.
    assert!(baseline.accounting.carried_out >= 8, "{:?}", baseline.accounting);
    assert!(peak.accounting.carried_out >= 16, "{:?}", peak.accounting);
    assert_eq!(baseline.accounting.carried_out, peak.accounting.carried_in);
    assert_eq!(peak.accounting.carried_out, few.accounting.carried_in);
    assert_eq!(few.accounting.carried_out, 0);
    assert!(few.drain_s > 0.0, "the last naps end in the drain");
    for stage in &report.stages {
        assert_checks(stage);
    }
}

/// Flags to load to journal to report: what was asked for is what was put on, and what the report says of it.
#[test]
fn sessions_arrive_think_and_are_reported_as_what_they_are() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.005)");
    let words = "run --sessions 20..60 --transactions 3 --think 50ms --arrivals poisson --max-lag 20s --pool-size 8 \
                 --instances 2 --duration 2s --warmup 0s";
    let report = place.report(database.url(), words);
    let [stage] = report.stages.as_slice() else { panic!("one stage") };
    assert_checks(stage);
    let load = stage.load.as_ref().expect("a new report says all of its load");
    let said = serde_json::to_value(load).expect("JSON");
    assert_eq!(said["kind"], "partly_open");
    assert_eq!(said["sessions"]["ramp"], serde_json::json!([20.0, 60.0]));
    assert_eq!((&said["think"]["constant"]["us"], &said["max_lag_us"]), (&50_000.into(), &20_000_000.into()));
    // 80 sessions in the mean with a standard deviation of 9, of which those of the last 110 ms do not get to their third.
    let issued = stage.accounting.issued;
    assert!((120..=360).contains(&issued), "{issued}");
    assert_eq!(stage.offered_per_s, Some(issued as f64 / stage.duration_s));
    assert_eq!(stage.clients, None);
    assert_eq!(stage.accounting.skipped, 0, "nothing waits for twenty seconds");
    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("partly open loop from 20 to 60 sessions/s, Poisson arrivals"), "{page}");
}

#[test]
fn each_instance_has_a_pool_of_its_own() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let words = "run --clients 12 --instances 3 --threads 2 --pool-size 2 --duration 3s --warmup 0s";
    let running = place.begin(database.url(), words);
    place.wait_for_seconds(1);
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '/*dbdyno:%'
                    AND datname = current_database()";
    wait_until("six connections work", std::time::Duration::from_secs(2), || database.value(sessions) == "6");
    let report = running.end().report();
    let stage = measured(&report);
    assert_eq!((stage.pool.size, stage.pool.instances, report.generator.workers), (2, 3, 2));
    assert_eq!(stage.pool.busy_max, 2, "of one instance");
    assert!(stage.pool.busy_mean > 5.0, "of all instances together: {:?}", stage.pool);
    assert_eq!(stage.pool.creates, 0, "the pools were full before");
    assert_checks(stage);
}

#[test]
fn without_probes_nobody_looks_at_the_server() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let words = "run --clients 2 --pool-size 2 --duration 2s --warmup 0s --no-probes";
    let running = place.begin(database.url(), words);
    place.wait_for_seconds(1);
    // Two measured connections, one for control, and the one that asks.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    assert_eq!(database.value(sessions), "4");
    let report = running.end().report();
    let stage = measured(&report);
    assert!(stage.accounting.ok > 0 && stage.host.is_some());
    assert!(statement(stage, "statement").server.is_none() && stage.server.is_none());
    assert!(stage.waits.is_empty() && stage.locks.episodes.is_empty());
}

#[test]
fn values_of_a_parameter_come_from_the_target() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE wanted (id text); CREATE TABLE seen (id text);
         INSERT INTO wanted VALUES ('it''s'), ('日本'), (''), ('\\ \"q\"')",
    );
    let place = Place::new(
        "name = \"asked\"\n[[transaction]]\nname = \"note\"\nstatements = [\"note\"]\n\
         [transaction.parameter]\nid = { query = \"SELECT id FROM wanted\" }\n",
        "-- name: note :exec\nINSERT INTO seen VALUES (:id);\n",
    );
    let report = place.report(database.url(), "run --rate 100 --duration 1s --warmup 0s");
    assert_eq!(measured(&report).accounting.ok, 100);
    assert_eq!(database.value("SELECT count(*) FROM seen"), "100");
    // A hundred draws of four: that one is missing has a probability of 10⁻¹².
    assert_eq!(
        database.value("SELECT count(*) FROM (TABLE wanted EXCEPT SELECT id FROM seen) AS missing"),
        "0"
    );
    assert_eq!(
        database.value("SELECT count(*) FROM (SELECT id FROM seen EXCEPT TABLE wanted) AS other"),
        "0"
    );
}

#[test]
fn a_parameter_is_drawn_once_or_for_each_step() {
    let database = Database::empty();
    database.execute("CREATE TABLE drawn (one xid8 DEFAULT pg_current_xact_id(), once int, each int)");
    let place = Place::new(
        "name = \"drawn\"\n[[transaction]]\nname = \"note\"\n[[transaction.step]]\nstatement = \"note\"\n\
         times = 5\n[transaction.parameter]\nonce = { uniform = [1, 1000000000] }\n\
         each = { uniform = [1, 1000000000], draw = \"each\" }\n",
        "-- name: note :exec\nINSERT INTO drawn (once, each) VALUES (:once, :each);\n",
    );
    let report = place.report(database.url(), "run --rate 100 --duration 1s --warmup 0s");
    let stage = measured(&report);
    assert_eq!((stage.accounting.ok, statement(stage, "note").count), (100, 500));
    let per_transaction = |column: &str| {
        format!(
            "SELECT string_agg(DISTINCT n::text, ' ') FROM (SELECT count(DISTINCT {column}) AS n FROM drawn GROUP BY one) AS t"
        )
    };
    assert_eq!(database.value("SELECT count(DISTINCT one) FROM drawn"), "100", "one transaction each");
    assert_eq!(database.value(&per_transaction("once")), "1");
    // Of a thousand million values, 500 draws meet the same one with a probability of 10⁻⁴ over all transactions.
    assert_eq!(database.value(&per_transaction("each")), "5");
    assert_eq!(database.value("SELECT count(DISTINCT once) FROM drawn"), "100");
}

#[test]
fn what_a_step_returns_is_a_parameter_of_the_steps_after_it() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE orders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), placed timestamptz DEFAULT now(), no serial);
         CREATE TABLE lines (order_id uuid REFERENCES orders, placed timestamptz, no int, n int)",
    );
    let place = Place::new(
        "name = \"chained\"\n[[transaction]]\nname = \"order\"\n[[transaction.step]]\nstatement = \"place\"\n\
         [[transaction.step]]\nstatement = \"line\"\ntimes = { uniform = [1, 4] }\n\
         [transaction.parameter]\nn = { uniform = [1, 9] }\n",
        "-- name: place :one\nINSERT INTO orders DEFAULT VALUES RETURNING id AS order_id, placed, no;\n\
         -- name: line :exec\nINSERT INTO lines VALUES (:order_id, :placed, :no, :n);\n",
    );
    let report = place.report(database.url(), "run --clients 3 --pool-size 3 --duration 1s --warmup 0s");
    let stage = measured(&report);
    assert_eq!(stage.accounting.failed, 0, "{:?}", stage.transactions[0].errors);
    let orders = stage.accounting.ok;
    assert_eq!(database.value("SELECT count(*) FROM orders"), orders.to_string());
    assert_eq!(database.value("SELECT count(*) FROM lines"), statement(stage, "line").rows.to_string());
    // Every line carries all three values of its own order.
    let joined = "SELECT count(*) FROM lines JOIN orders ON orders.id = order_id
                  AND orders.placed = lines.placed AND orders.no = lines.no";
    assert_eq!(database.value(joined), statement(stage, "line").rows.to_string());
    let times = "SELECT min(n) || ' ' || max(n) || ' ' || count(*) FROM
                 (SELECT count(*) AS n FROM lines GROUP BY order_id) AS t";
    assert_eq!(database.value(times), format!("1 4 {orders}"), "each order has one to four lines");
}

/// Reads a counter, thinks, and writes it back: two at the same time collide.
fn counter(retry: &str) -> Place {
    Place::new(
        &format!(
            "name = \"counter\"\n[[transaction]]\nname = \"count\"\nisolation = \"repeatable read\"\n{retry}\n\
             [[transaction.step]]\nstatement = \"read\"\n\
             [[transaction.step]]\nstatement = \"write\"\nhold = \"2ms\"\n"
        ),
        "-- name: read :one\nSELECT n FROM counter WHERE id = 1;\n\
         -- name: write :exec\nUPDATE counter SET n = :n + 1 WHERE id = 1;\n",
    )
}

const COUNTER: &str =
    "CREATE TABLE counter (id int PRIMARY KEY, n bigint); INSERT INTO counter VALUES (1, 0)";
const COLLIDE: &str = "run --clients 4 --pool-size 4 --duration 2s --warmup 0s";

#[test]
fn a_retry_repeats_a_transaction_until_it_succeeds() {
    let database = Database::empty();
    database.execute(COUNTER);
    let place = counter("retry = { on = [\"40001\"], max_tries = 1000 }");
    let report = place.report(database.url(), COLLIDE);
    let stage = measured(&report);
    assert!(stage.accounting.retried > 0, "four users collided: {:?}", stage.accounting);
    assert_eq!(stage.accounting.failed, 0, "{:?}", stage.transactions[0].errors);
    assert_eq!(database.value("SELECT n FROM counter"), stage.accounting.ok.to_string(), "no count is lost");
    let executions = statement(stage, "read").count;
    assert_eq!(executions, stage.accounting.ok + stage.accounting.retried, "each try reads again");
    assert_checks(stage);
}

#[test]
fn without_a_retry_a_collision_is_a_failure_by_its_sqlstate() {
    let database = Database::empty();
    database.execute(COUNTER);
    let report = counter("").report(database.url(), COLLIDE);
    let stage = measured(&report);
    let errors = &stage.transactions[0].errors;
    assert!(stage.accounting.failed > 0 && stage.accounting.retried == 0, "{:?}", stage.accounting);
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["40001"]);
    assert_eq!(errors["40001"], stage.accounting.failed);
    assert_eq!(statement(stage, "write").errors, stage.accounting.failed);
    assert_eq!(database.value("SELECT n FROM counter"), stage.accounting.ok.to_string());
    let told =
        report.events.iter().find(|event| event.kind == "first_error").expect("the first error is kept");
    assert!(told.message.contains("could not serialize access"), "{told:?}");
    assert_checks(stage);
}

#[test]
fn rows_that_were_promised_and_not_given_are_failures_with_a_name() {
    let database = Database::empty();
    database.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1), (2), (2)");
    let transaction = |name: &str| {
        format!(
            "[[transaction]]\nname = \"{name}\"\nstatements = [\"{name}\"]\n\
             [transaction.parameter]\ni = {{ uniform = [1, 3] }}\n"
        )
    };
    let place = Place::new(
        &format!("name = \"promises\"\n{}{}", transaction("one"), transaction("optional")),
        "-- name: one :one\nSELECT i AS found FROM t WHERE i = :i;\n\
         -- name: optional :optional\nSELECT i AS found FROM t WHERE i = :i;\n",
    );
    let report = place.report(database.url(), "run --rate 300 --duration 1s --warmup 0s");
    let stage = measured(&report);
    let errors = |name: &str| &stage.transactions.iter().find(|one| one.name == name).expect("it ran").errors;
    assert_eq!(errors("one").keys().collect::<Vec<_>>(), ["many_rows", "no_row"]);
    assert_eq!(errors("optional").keys().collect::<Vec<_>>(), ["many_rows"]);
    let counted: u64 = stage.transactions.iter().flat_map(|one| one.errors.values()).sum();
    assert_eq!(counted, stage.accounting.failed);
    assert!(statement(stage, "optional").empty > 0);
    // None of these broke a connection.
    assert_eq!((stage.pool.discarded, stage.pool.creates), (0, 0));
    assert_checks(stage);
}

#[test]
fn a_million_rows_are_drained_and_not_kept() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT i, repeat('x', 100) FROM generate_series(1, 1000000) AS i");
    let report = place.report(database.url(), "run --clients 1 --pool-size 1 --duration 1s --warmup 0s");
    let stage = measured(&report);
    let million = statement(stage, "statement");
    assert!(million.count >= 1);
    assert_eq!(million.rows, million.count * 1_000_000);
    let (first, done) =
        (million.first_row_us.max.expect("a sample"), million.execute_us.max.expect("a sample"));
    assert!(first < done, "the first row came at {first}, the last at {done}");
    let resident = report.generator.resident_bytes_max.expect("Linux says it");
    // One result is 120 MB on the wire; the program without any is a few dozen.
    assert!(resident < 100_000_000, "{resident} bytes resident");
}

#[test]
fn budgets_decide_the_exit_code() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let kept = "only.response.p50 < 30s";
    let broken = "only.service.p50 < 1ms";
    let undecided = "response.p99_99 < 30s";
    for (limits, code, verdict) in [
        (&[kept] as &[&str], 0, Verdict::Pass),
        (&[broken], 3, Verdict::Fail),
        // A hundred samples say nothing of one in ten thousand.
        (&[undecided], 4, Verdict::Inconclusive),
        (&[kept, undecided, broken], 3, Verdict::Fail),
        (&[kept, undecided], 4, Verdict::Inconclusive),
    ] {
        let mut command = place.on(database.url(), "run --clients 2 --pool-size 2 --duration 1s --warmup 0s");
        for limit in limits {
            command.args(["--budget", limit]);
        }
        let ended = Measured::from(&command.args(["--json", "-"]).output().expect("it runs"));
        assert_eq!(ended.code, Some(code), "{limits:?}: {}", ended.errors);
        let report = ended.report();
        assert_eq!(report.verdict, verdict, "{limits:?}: {:?}", report.budgets);
        assert_eq!(report.budgets.len(), limits.len());
        for budget in report.budgets.iter().filter(|budget| budget.verdict == Verdict::Inconclusive) {
            assert!(budget.reason.is_some(), "{budget:?}");
        }
    }
}

#[test]
fn waiting_too_long_for_a_connection_is_a_failure_of_its_own() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.5)");
    let words = "run --clients 4 --pool-size 1 --acquire-timeout 200ms --duration 2s --warmup 0s";
    let report = place.report(database.url(), words);
    let stage = measured(&report);
    let only = &stage.transactions[0];
    assert!(only.errors["pool_timeout"] > 0);
    assert_eq!(stage.pool.timeouts, only.errors["pool_timeout"]);
    assert_eq!(stage.accounting.failed, only.errors["pool_timeout"]);
    // What was given up took at least the time after which it was: the quantiles among it are lower bounds.
    assert!(only.response_us.censored_from.is_some(), "{:?}", only.response_us);
    assert!(only.response_us.p50.is_none_or(|p50| p50 >= 200_000), "{:?}", only.response_us);
    assert_checks(stage);
}

on_both_engines!(work_that_outlasts_the_drain_is_abandoned_and_counted);

fn work_that_outlasts_the_drain_is_abandoned_and_counted(on: &TestedEngine) {
    let database = on.database();
    let place = on.one_statement(&format!("SELECT {}", on.sleep("30")));
    let running = place.begin(
        database.url(),
        "run --rate 10 --pool-size 2 --in-flight-max 5 --duration 1s --warmup 0s --drain 1s",
    );
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    let stage = measured(&report);
    // Two ran, three waited for a connection, five were never begun.
    assert_eq!(stage.accounting.issued, 10);
    assert_eq!((stage.accounting.abandoned, stage.accounting.skipped), (5, 5), "{:?}", stage.accounting);
    assert_eq!(stage.accounting.ok, 0);
    assert!((1.0..3.0).contains(&stage.drain_s), "{}", stage.drain_s);
}

#[test]
fn a_journal_that_cannot_be_written_does_not_cost_the_report() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let words = "run --clients 4 --pool-size 2 --duration 4s --warmup 0s";
    let mut command = Command::new("bash");
    own_environment(&mut command);
    // A file larger than 40 kB is an error, as a full disk is; without the trap it would be a signal that kills. The journal is
    // larger, the report is not.
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\""])
        .arg(program())
        .args(words.split_whitespace())
        .arg("-w")
        .arg(place.workload())
        .args(["-t", database.url(), "--json", "-"])
        .env("DBDYNO_RUNS_DIR", place.runs());
    let ended = Running::spawn(command).end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    let stage = measured(&report);
    assert!(stage.accounting.ok > 0 && stage.intervals.len() >= 4, "{:?}", stage.accounting);
    assert_checks(stage);
    let failed: Vec<_> = report.events.iter().filter(|event| event.kind == "journal_failed").collect();
    assert_eq!(failed.len(), 1, "it is said once: {:?}", report.events);
    assert!(failed[0].message.contains("journal.jsonl"), "{:?}", failed[0]);
    // The report was kept beside the journal, and is shown again.
    let kept = Measured::from(&place.dbdyno("report --json -").output().expect("it runs"));
    assert_eq!(kept.code, Some(0), "{}", kept.errors);
    assert!(kept.report() == report, "the kept report is the one that was shown");
    // What did get into the journal can be read as well.
    let recovered = Measured::from(&place.dbdyno("report --recover --json -").output().expect("it runs"));
    assert_eq!(recovered.code, Some(0), "{}", recovered.errors);
    assert_eq!(recovered.report().ended, "cut_off");
}

#[test]
fn every_transaction_of_every_stage_has_its_line_in_the_sample_log() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"two\"\n[[transaction]]\nname = \"good\"\nstatements = [\"one\"]\n[transaction.parameter]\n\
         word = { weighted = { x = 1, y = 1 } }\n[[transaction]]\nname = \"bad\"\nstatements = [\"bad\"]\n",
        "-- name: one :one\nSELECT :word::text AS said, pg_sleep(0.01);\n-- name: bad :many\nSELECT 1 / (random() * 0)::int;\n",
    );
    let log = place.path("samples.csv");
    std::fs::write(&log, "what was there goes").expect("a file");
    let words =
        "run --clients 3 --pool-size 2 --warmup 1s --duration 1s --no-probes --sample-values word --samples";
    let report = place.report(database.url(), &format!("{words} {}", log.display()));
    let rows = samples::read(&log, &["word"]);
    let issued: u64 = report.stages.iter().map(|stage| stage.accounting.issued).sum();
    assert_eq!(rows.len() as u64, issued);
    let stage = measured(&report);
    let of_run: Vec<_> = rows.iter().filter(|row| row.stage == "run").collect();
    // What each of the three clients issues while its worker has yet to hear of the edge is counted on one side of it, and lies on the other.
    assert!(
        (of_run.len() as u64).abs_diff(stage.accounting.issued) <= 3,
        "{} {:?}",
        of_run.len(),
        stage.accounting
    );
    for row in &rows {
        assert!(row.scheduled_at_ns.is_none(), "a closed loop plans nothing: {row:?}");
        assert!(row.client.is_some_and(|client| client < 3) && row.tries == 1, "{row:?}");
        let (at, hold, service) = row.at_hold_service();
        assert!(service <= hold && row.acquired_at_ns >= Some(at + row.pool_wait_ns), "{row:?}");
        let good = row.transaction == "good";
        assert_eq!(
            (row.outcome.as_str(), row.code.as_str()),
            if good { ("ok", "") } else { ("failed", "22012") }
        );
        assert_eq!(["x", "y"].contains(&row.values[0].as_str()), good, "{row:?}");
    }
    let failed = of_run.iter().filter(|row| row.transaction == "bad").count() as u64;
    assert!(failed > 0 && failed.abs_diff(stage.accounting.failed) <= 3, "{failed}: {:?}", stage.accounting);
}

#[test]
fn a_sample_log_that_cannot_be_is_refused_before_anything_is_measured() {
    let place = Place::one_statement("SELECT 1");
    let refused = |words: &str| {
        let words = format!("run --clients 1 --duration 1s {words}");
        let refused = place.measure("postgres://nobody@127.0.0.1:1/none", &words);
        assert_eq!(refused.output, "");
        (refused.code, refused.errors)
    };
    for (words, reason) in [
        ("--samples -", "takes the path of a file"),
        (
            "--samples s.csv --sample-values id",
            "no transaction has a value `id`: this workload has no parameters",
        ),
        ("--samples s.csv --sample-fraction 1.5", "above 0 and at most at 1"),
        ("--sample-fraction 0.5", "--samples"),
    ] {
        let (code, errors) = refused(words);
        assert!(code == Some(2) && errors.contains(reason), "{words}: {code:?} {errors}");
    }
    let (code, errors) = refused("--samples /nowhere/s.csv");
    assert!(code == Some(1) && errors.contains("/nowhere/s.csv"), "{code:?} {errors}");
}
