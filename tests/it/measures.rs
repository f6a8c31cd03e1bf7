//! Measures, gauges and parameters against truth that is known beforehand.

use dbdyno::model::Verdict;

use crate::harness::{Database, dbdyno};
use crate::place::{Measured, Place, measured, statement};

/// A measure of values that are known: 7 ms, 7 ms, … and a tenth of them 70 ms.
#[test]
fn what_a_statement_returns_is_measured_and_judged() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"known\"\n[[transaction]]\nname = \"t\"\nstatements = [\"s\"]\n\
         [transaction.parameter]\nage_ms = { weighted = { 7 = 9, 70 = 1 } }\n\
         [measure.age]\nstatement = \"s\"\ncolumn = \"age\"\nunit = \"ms\"\n\
         [measure.size]\nstatement = \"s\"\ncolumn = \"size\"\nunit = \"bytes\"\n",
        "-- name: s :one\nSELECT :age_ms::integer AS age, 8192.0 AS size;\n",
    );
    let words = "run --rate 500 --duration 2s --warmup 0s --pool-size 2";
    let mut command = place.on(database.url(), words);
    for budget in [
        "measure.age.p50 < 8ms",
        "measure.age.p99 < 8ms",
        "measure.age.p99 > 69ms",
        "measure.age.throughput > 400",
        "measure.size.max <= 8kB",
    ] {
        command.args(["--budget", budget]);
    }
    let ended = Measured::from(&command.args(["--json", "-"]).output().expect("it runs"));
    assert_eq!(ended.code, Some(3), "{}", ended.errors);
    let report = ended.report();
    let verdicts: Vec<Verdict> = report.budgets.iter().map(|budget| budget.verdict).collect();
    let (pass, fail) = (Verdict::Pass, Verdict::Fail);
    assert_eq!(verdicts, [pass, fail, pass, pass, pass], "{:?}", report.budgets);
    let [age, size] = measured(&report).measures.as_slice() else { panic!("two measures") };
    assert_eq!((age.count, size.count), (1000, 1000));
    let values = age.value_us.as_ref().expect("a time");
    assert!(values.p50.is_some_and(|p50| p50.abs_diff(7_000) <= 7), "{values:?}");
    assert!(values.p99.is_some_and(|p99| p99.abs_diff(70_000) <= 70), "{values:?}");
    // The mean is exact: 7 + 63 × the share of the slow ones, 0.1 ± 5 standard deviations of 1000 draws.
    assert!(values.mean.is_some_and(|mean| (10_300.0..=16_300.0).contains(&mean)), "{values:?}");
    let values = size.value_bytes.as_ref().expect("a size");
    assert_eq!(values.mean, Some(8192.0));
}

/// The sequence is turned round at a known place: each value behind it is out of order, also for each client by itself.
#[test]
fn an_inversion_is_counted_when_one_is_provoked() {
    let database = Database::empty();
    database.execute("CREATE SEQUENCE numbers");
    let measure = |sql: &str, clients: u32| {
        let place = Place::new(
            "name = \"order\"\n[[transaction]]\nname = \"t\"\nstatements = [\"s\"]\n\
             [measure.sequence]\nstatement = \"s\"\ncolumn = \"n\"\norder = \"ascending\"\n",
            &format!("-- name: s :one\n{sql};\n"),
        );
        let words =
            format!("run --clients {clients} --duration 1s --warmup 0s --pool-size {clients} --threads 1");
        let report = place.report(database.url(), &words);
        let mut measures = measured(&report).measures.clone();
        let measure = measures.remove(0);
        let order = measure.order.expect("asked for");
        (measure.count, order.in_client, order.in_worker)
    };
    let (count, in_client, in_worker) = measure("SELECT nextval('numbers') AS n", 1);
    assert!(count > 20, "{count}");
    assert_eq!((in_client, in_worker), (0, 0), "a sequence ascends");
    // Every fifth value stands three places before its own: behind three that should follow it.
    let late = "SELECT CASE WHEN n % 5 = 0 THEN n - 3 ELSE n END AS n FROM nextval('numbers') AS n";
    let (count, in_client, in_worker) = measure(late, 1);
    assert!(count > 20 && in_client.abs_diff(count / 5) <= 1, "{in_client} of {count}");
    assert_eq!(in_client, in_worker);
    let (count, in_client, in_worker) = measure("SELECT -nextval('numbers') AS n", 4);
    // All but the first of each client, and of the worker.
    assert_eq!(in_client, count - 4);
    assert!(in_worker < count && in_worker >= in_client, "{in_worker} of {count}");
}

#[test]
fn a_gauge_reads_a_table_of_a_known_size_beside_the_run_and_tells_its_price() {
    let database = Database::empty();
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 1234) AS i");
    let place = Place::new(
        "name = \"gauges\"\n[[transaction]]\nname = \"t\"\nstatements = [\"s\"]\n\
         [gauge.rows]\nquery = \"SELECT count(*) FROM t\"\nevery = \"100ms\"\n\
         [gauge.connections]\nquery = \"SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbdyno pool%' AND datname = current_database()\"\n\
         [gauge.size]\nquery = \"SELECT pg_relation_size('t')\"\nunit = \"bytes\"\n\
         [budget]\n\"gauge.rows.max\" = \"< 1235\"\n\"gauge.rows.min\" = \"> 1233\"\n\"gauge.size.last\" = \"< 1kB\"\n",
        "-- name: s :exec\nSELECT pg_sleep(0.01);\n",
    );
    let run = |more: &str| {
        let words = format!("run --clients 3 --duration 2s --warmup 0s --pool-size 3{more}");
        place.measure(database.url(), &words)
    };
    let ended = run("");
    assert_eq!(ended.code, Some(3), "the table is larger than a kilobyte: {}", ended.errors);
    let report = ended.report();
    let stage = measured(&report);
    let gauge = |name: &str| stage.gauges.iter().find(|gauge| gauge.name == name).expect("declared");
    let rows = gauge("rows").level_count.as_ref().expect("it was read");
    assert_eq!(
        (rows.first, rows.min, rows.mean, rows.max, rows.last),
        (1234.0, 1234.0, 1234.0, 1234.0, 1234.0)
    );
    assert_eq!(rows.readings.len() as u64, gauge("rows").readings);
    // At most 22 fit into two seconds with the shortest pauses; on a busy machine some are missed, and counted.
    assert!((2..=24).contains(&gauge("rows").readings), "{:?}", gauge("rows").readings);
    assert!(gauge("rows").readings + gauge("rows").gaps >= 12, "{:?}", gauge("rows"));
    // Read beside the measured pool, not out of it: all three of its connections are there and no fourth; the last reading may
    // meet them leaving.
    let connections = gauge("connections").level_count.as_ref().expect("it was read");
    assert_eq!((connections.first, connections.max), (3.0, 3.0));
    let size: f64 = database.value("SELECT pg_relation_size('t')").parse().expect("a number");
    assert_eq!(gauge("size").level_bytes.as_ref().map(|levels| levels.last), Some(size));
    let probe = report.probes.iter().find(|probe| probe.name == "gauge rows").expect("its price is told");
    assert!(probe.queries >= gauge("rows").readings && probe.mean_us > 0.0, "{probe:?}");
    let verdicts: Vec<Verdict> = report.budgets.iter().map(|budget| budget.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, Verdict::Fail], "{:?}", report.budgets);

    let ended = run(" --no-probes");
    assert_eq!(ended.code, Some(4), "{}", ended.errors);
    let report = ended.report();
    assert!(measured(&report).gauges.iter().all(|gauge| gauge.readings == 0), "nobody looked");
}

/// Loads a table of two tenants' rows and asks only for what is there, by every pick.
#[test]
fn drawn_rows_exist_with_all_their_columns_together() {
    let database = Database::empty();
    let place = Place::new(
        r#"
        name = "picks"
        [table.items]
        rows = 2_000
        [table.items.column]
        tenant = { zipf = { n = 40, exponent = 1.0 } }
        id = { sequence = {} }
        code = { template = "{tenant}/{id}" }
        [[transaction]]
        name = "insert"
        weight = 20
        statements = ["insert_item"]
        [transaction.parameter]
        tenant = { uniform = [1000, 2000] }
        [[transaction]]
        name = "new"
        weight = 20
        statements = ["find_new"]
        [transaction.parameter]
        id = { inserted = { by = "insert_item", otherwise = { key = { table = "items", latest = 0.99 } } } }
        new_tenant = { same_row = { as = "id", column = "tenant" } }
        code = { same_row = { as = "id" } }
        [[transaction]]
        name = "hot"
        weight = 30
        statements = ["find"]
        [transaction.parameter]
        id = { key = { table = "items", hot = { share_of_draws = 0.9, share_of_keys = 0.1 } } }
        tenant = { same_row = { as = "id" } }
        code = { same_row = { as = "id" } }
        [[transaction]]
        name = "zipf"
        weight = 30
        [[transaction.step]]
        statement = "find"
        times = { uniform = [1, 3] }
        [transaction.parameter]
        code = { key = { table = "items", column = "code", zipf = 1.0 }, draw = "each" }
        tenant = { same_row = { as = "code" } }
        id = { same_row = { as = "code" } }
        "#,
        "-- name: find :one\nSELECT id FROM items WHERE tenant = :tenant AND id = :id AND code = :code;\n\
         -- name: find_new :one\nSELECT (id > 2000)::integer AS is_new FROM items WHERE tenant = :new_tenant AND id = :id AND code = :code;\n\
         -- name: insert_item :one\nINSERT INTO items (tenant, code) VALUES (:tenant, format('new %s', :tenant::bigint)) RETURNING tenant, id, code;\n",
    )
    .file(
        "schema.sql",
        "CREATE TABLE items (tenant bigint, id bigint GENERATED BY DEFAULT AS IDENTITY, code text, PRIMARY KEY (tenant, id));",
    )
    .file("finish.sql", "SELECT setval(pg_get_serial_sequence('items', 'id'), 2000);");
    place.on(database.url(), "load").assert().success();
    // One row each, or the transaction fails: tenant, id and code are of one row, inserted or loaded.
    let report =
        place.report(database.url(), "run --rate 500 --duration 2s --warmup 0s --pool-size 4 --threads 1");
    let stage = measured(&report);
    assert_eq!(stage.accounting.ok, 1000, "{:?} {:?}", stage.accounting, report.events);
    let inserted = statement(stage, "insert_item").count;
    let all: u64 = database.value("SELECT count(*) FROM items").parse().expect("a number");
    assert_eq!(all, 2000 + inserted);
}

/// What the user is told before anything is measured, and that it is the user's to mend.
#[track_caller]
fn refused(place: &Place, database: &Database, words: &[&str]) {
    let ended = place.measure(database.url(), "run --clients 1 --duration 1s --warmup 0s");
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    for word in words {
        assert!(ended.errors.contains(word), "`{word}` is not in: {}", ended.errors);
    }
    assert!(!place.runs().exists(), "nothing was measured");
}

#[test]
fn what_can_never_fit_is_a_mistake_at_its_place_before_the_run() {
    let database = Database::empty();
    database.execute(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE TABLE t (i integer, s smallint, d date, m mood, u uuid, j jsonb, n numeric, b boolean)",
    );
    let place = Place::new(
        r#"
name = "misfits"
[[transaction]]
name = "t"
statements = ["s"]
[transaction.parameter]
i = { words = [1, 2] }
s = { uniform = [1, 100_000] }
d = { constant = "tomorrow-ish" }
m = { weighted = { happy = 1, angry = 1 } }
u = { uniform = [1, 5] }
j = { words = [2, 3] }
n = { query = "SELECT 'many'" }
b = { uniform = [0, 1] }
[measure.name]
statement = "s"
column = "mood"
unit = "us"
[gauge.depth]
query = "SELECT count(*) FROM nowhere"
"#,
        "-- name: s :optional\nSELECT m::text AS mood FROM t WHERE i = :i AND s = :s AND d = :d AND m = :m AND u = :u \
         AND j = :j AND n = :n AND b = :b;\n",
    );
    refused(
        &place,
        &database,
        &[
            "parameter `i` does not fit `s`, which takes a integer",
            "parameter `s` does not fit `s`, which takes a smallint",
            "makes 1 to 100000",
            "parameter `d`",
            "parameter `m` does not fit `s`, which takes a mood",
            "invalid input value for enum mood",
            "parameter `u`",
            "makes an integer",
            "parameter `j`",
            "parameter `n`",
            "parameter `b`",
            "measure `name` reads a text",
            "gauge `depth` cannot be read: relation \"nowhere\" does not exist",
            "workload.toml:7:5",
            "10 mistakes",
        ],
    );
    // The same types with values that fit: also such that only the server can read.
    let place = Place::new(
        r#"
name = "fits"
[[transaction]]
name = "t"
statements = ["s"]
[transaction.parameter]
i = { weighted = { "12" = 1, "13" = 1 } }
s = { uniform = [1, 100] }
d = { constant = "2026-01-01" }
m = { weighted = { glad = 1, sad = 1 } }
u = { uuid = {} }
j = { json = { a = { words = [2, 3] } } }
n = { query = "SELECT '12.5'" }
b = { boolean = { true_fraction = 0.5 } }
"#,
        "-- name: s :many\nSELECT m::text AS mood FROM t WHERE i = :i AND s = :s AND d = :d AND m = :m AND u = :u \
         AND j = :j AND n = :n AND b = :b;\n",
    );
    let report = place.report(database.url(), "run --clients 1 --duration 1s --warmup 0s --pool-size 1");
    assert_eq!(measured(&report).accounting.failed, 0);
}

#[test]
fn a_name_of_a_table_that_sql_would_not_read_is_told_before_a_server_is_asked() {
    let place = Place::new(
        "name = \"odd\"\n[table.my-table]\nrows = 10\n[[transaction]]\nname = \"t\"\nstatements = [\"s\"]\n",
        "-- name: s :one\nSELECT 1 AS one;\n",
    );
    let mut command = dbdyno();
    command
        .args(["run", "-t", "postgres://localhost:1/none", "--clients", "1", "--duration", "1s", "-w"])
        .arg(place.workload());
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.contains("`my-table` is no name of a table in SQL"), "{}", ended.errors);
    assert!(ended.errors.contains(r#"[table."\"my-table\""]"#), "{}", ended.errors);
}
