//! The probes against a real MariaDB: what the server counts, what a poor account is told, and what is refused there.

use std::time::{Duration, Instant};

use dbdyno::db::{Client, Target};
use dbdyno::local::LocalOptions;
use dbdyno::probe::capabilities::{self, Presence};
use dbdyno::probe::{GaugePlan, ProbePlan, Probed, Probes};
use dbdyno::record::entry::Edge;
use dbdyno::record::observation::{Counters, Observation, Who};
use dbdyno::time::Epoch;
use dbdyno::units::{Dialect, StatementId};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::contract::mariadb;
use crate::harness::{dbdyno, is_mysql, local_mysql, local_options, on_this_server, runtime};
use crate::place::{Measured, Place, measured, statement};

const TAKE: &str = "/*dbdyno:pay.take*/ UPDATE stock SET amount = amount - 1 WHERE id = 1";
const LOOK: &str = "/*dbdyno:browse.look*/ SELECT amount FROM stock WHERE id = 2";

/// The URL of a new database, which goes with the server.
async fn database(name: &str) -> String {
    let mut admin = connect(mariadb().url()).await;
    admin.query_drop(format!("CREATE DATABASE {name}")).await.expect("a database");
    let url = mariadb().url();
    let (address, query) = url.split_once('?').expect("what it asks of the client");
    let (address, _) = address.rsplit_once('/').expect("a database");
    format!("{address}/{name}?{query}")
}

async fn connect(url: &str) -> Conn {
    Conn::from_url(url).await.expect("a connection")
}

/// With `stock` in it.
async fn stock(name: &str) -> String {
    let url = database(name).await;
    let mut admin = connect(&url).await;
    for sql in [
        "CREATE TABLE stock (id int PRIMARY KEY, amount int NOT NULL)",
        "INSERT INTO stock SELECT seq, 100 FROM seq_1_to_10",
    ] {
        admin.query_drop(on_this_server(sql)).await.expect("the table");
    }
    url
}

fn plan() -> ProbePlan {
    ProbePlan {
        values_apart: true,
        statements: vec![
            (StatementId(0), "pay.take".to_owned(), TAKE.to_owned()),
            (StatementId(1), "browse.look".to_owned(), LOOK.to_owned()),
        ],
        interval: Duration::from_millis(50),
        gauges: vec![GaugePlan {
            name: "left".to_owned(),
            query: "SELECT SUM(amount) FROM stock".to_owned(),
            every: Duration::from_millis(300),
        }],
        ..ProbePlan::default()
    }
}

/// What the probes saw while `scene` was played.
async fn observe(url: &str, plan: ProbePlan, scene: impl Future<Output = ()>) -> Vec<Probed> {
    let target = Target::parse(url).expect("a URL");
    let epoch = Epoch::begin();
    let (out, mut readings) = tokio::sync::mpsc::channel(1000);
    let probes = Probes::start(&target, plan, epoch.clock(), epoch.unix_us(), out).await;
    let probes = probes.unwrap_or_else(|error| panic!("the probes connect: {error}"));
    let mut seen = vec![probes.read_edge(Edge::Begin).await.expect("the server is looked at")];
    scene.await;
    seen.push(probes.read_edge(Edge::End).await.expect("the server is looked at"));
    probes.stop().await;
    while let Ok(probed) = readings.try_recv() {
        seen.push(probed);
    }
    for probed in &seen {
        if let Err(why) = &probed.reading.seen {
            panic!("{} saw nothing: {why}", probed.reading.probe);
        }
    }
    seen
}

fn observations(seen: &[Probed]) -> impl Iterator<Item = &Observation> {
    seen.iter().filter_map(|probed| probed.reading.seen.as_ref().ok())
}

fn counters(seen: &[Probed]) -> Vec<&Counters> {
    let read = observations(seen).filter_map(|observation| match observation {
        Observation::Counters(counters) => Some(&**counters),
        _ => None,
    });
    read.collect()
}

/// Runs one statement on a connection of its own.
async fn run(url: &str, sql: &str) {
    connect(url).await.query_drop(sql).await.expect("it is let go in the end");
}

/// A workload of one statement that both engines know.
fn on_both_engines(sql: &str) -> Place {
    let workload = "name = \"one\"\nengines = [\"postgresql\", \"mysql\"]\n[[transaction]]\nname = \"only\"\n\
                    statements = [\"statement\"]\n";
    Place::new(workload, &format!("-- name: statement :many\n{sql};\n"))
}

#[test]
fn whoever_commits_each_statement_is_never_idle_in_a_transaction() {
    runtime().block_on(async {
        let url = stock("probe_autocommit").await;
        let seen = observe(&url, plan(), async {
            let mut clients = tokio::task::JoinSet::new();
            for id in 1..=8 {
                let url = url.clone();
                clients.spawn(async move {
                    let mut client = connect(&url).await;
                    let sql =
                        format!("/*dbdyno:pay.take*/ UPDATE stock SET amount = amount - 1 WHERE id = {id}");
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_secs(5) {
                        client.query_drop(sql.as_str()).await.expect("updated");
                    }
                });
            }
            clients.join_all().await;
        })
        .await;
        let mut counted = (0, 0);
        for activity in observations(&seen) {
            let Observation::Activity(summary) = activity else { continue };
            for of in &summary.seen {
                match &of.who {
                    Who::Statement(StatementId(0)) => counted.0 += of.count,
                    Who::Control(between) if between == "(between statements)" => counted.1 += of.count,
                    _ => {}
                }
            }
        }
        assert!(counted.0 > 10, "eight clients, looked at ten times: {counted:?}");
        // The list of sessions and that of transactions are read one after the other: where a machine is so busy that a statement ends
        // and the next one begins in between, the two belong together by chance. What leaves transactions open does so every time.
        assert!(counted.1 * 20 <= counted.0, "no statement leaves a transaction open: {counted:?}");
    });
}

#[test]
fn what_the_server_counted_is_the_difference_between_two_edges() {
    runtime().block_on(async {
        let url = stock("probe_counters").await;
        let seen = observe(&url, plan(), async {
            let mut client = connect(&url).await;
            for _ in 0..50 {
                client.query_drop(TAKE).await.expect("updated");
            }
            client.exec_drop("SELECT ?", (1,)).await.expect("prepared and executed");
            tokio::time::sleep(Duration::from_millis(2500)).await;
        })
        .await;
        let counters = counters(&seen);
        let [begin, end] = counters.as_slice() else { panic!("two edges") };
        let of = |counters: &Counters| {
            let table = counters.tables.iter().find(|table| table.table == "stock").expect("it is there");
            (table.updated, table.idx_rows_fetched)
        };
        // Only this test works in this database.
        assert_eq!(of(end).0 - of(begin).0, 50, "updates, counted by the table");
        assert!(of(end).1 - of(begin).1 >= 50, "each found by its key");
        assert!(end.database.rows_updated >= begin.database.rows_updated + 50);
        assert!(end.server.wal_bytes > begin.server.wal_bytes);
        // Values travel apart from the texts, by this plan, and these did not. To who asks that looks as on a MySQL that has no digests of
        // what is prepared; before anything was executed he cannot tell.
        assert!(end.statements.is_empty(), "{:?}", end.statements);
        let tells = |of: &Counters| of.missing.iter().any(|missing| missing.contains("--protocol simple"));
        assert_eq!((tells(begin), tells(end)), (!is_mysql(), true), "{:?}", end.missing);
        let pulses = observations(&seen).filter(|seen| matches!(seen, Observation::Pulse(_))).count();
        assert!((2..=5).contains(&pulses), "once a second: {pulses}");
        let levels: Vec<f64> = observations(&seen)
            .filter_map(|seen| match seen {
                Observation::Gauge(gauge) => Some(gauge.value),
                _ => None,
            })
            .collect();
        assert!(levels.len() >= 3 && levels.last() == Some(&950.0), "{levels:?}");
    });
}

#[test]
fn each_statement_has_the_account_of_the_server_where_values_stand_in_its_text() {
    runtime().block_on(async {
        let url = stock("probe_accounts").await;
        let mut client = connect(&url).await;
        let statements = vec![
            (StatementId(0), "pay.take".to_owned(), TAKE.replace("= 1", "= :id")),
            (
                StatementId(1),
                "browse.all".to_owned(),
                "SELECT amount FROM stock WHERE amount >= :least".to_owned(),
            ),
            (
                StatementId(2),
                "browse.some".to_owned(),
                "SELECT amount FROM stock WHERE id IN (:a, :b)".to_owned(),
            ),
        ];
        let plan = ProbePlan { statements, values_apart: false, ..plan() };
        let mut work = async || {
            for id in 1..=5 {
                for _ in 0..10 {
                    client.query_drop(TAKE.replace("= 1", &format!("= {id}"))).await.expect("updated");
                }
                client
                    .query_drop(format!("SELECT amount FROM stock WHERE amount >= -{id}"))
                    .await
                    .expect("read");
                client.query_drop("SELECT amount FROM stock WHERE id IN (1, 2)").await.expect("read");
            }
            // Alike, in another database.
            client.query_drop("USE mysql").await.expect("a database");
            let _ = client.query_drop("SELECT amount FROM stock WHERE id IN (1, 2)").await;
            client.query_drop("USE probe_accounts").await.expect("a database");
        };
        work().await;
        let seen = observe(&url, plan, work()).await;
        let counters = counters(&seen);
        let [begin, end] = counters.as_slice() else { panic!("two edges") };
        let of = |counters: &Counters, id| {
            let row = counters.statements.iter().find(|row| row.statements == [StatementId(id)]);
            let row = row.unwrap_or_else(|| panic!("{:?}", counters.statements));
            (row.calls, row.exec_us, row.rows, row.row_work.clone().expect("rows are counted"))
        };
        // Of a table of ten rows it is the server's choice whether two are found by their keys.
        for (id, calls, rows, examined, without_index) in
            [(0, 50, 50, 50, Some(0)), (1, 5, 50, 50, Some(5)), (2, 5, 10, 10, None)]
        {
            let (before, after) = (of(begin, id), of(end, id));
            assert_eq!((after.0 - before.0, after.2 - before.2), (calls, rows), "{id}: {after:?}");
            let unled = after.3.no_index_used - before.3.no_index_used;
            assert!(without_index.is_none_or(|expected| unled == expected), "{id}: {after:?}");
            assert!(after.3.rows_examined - before.3.rows_examined >= examined, "{id}: {after:?}");
            let exec_us = after.1 - before.1;
            assert!(exec_us > calls as f64 && exec_us < 10e6, "microseconds, not picoseconds: {exec_us}");
        }
    });
}

#[test]
fn indexes_are_told_by_what_was_read_by_them() {
    runtime().block_on(async {
        let url = stock("probe_indexes").await;
        let mut client = connect(&url).await;
        for sql in [
            "ALTER TABLE stock ADD place int NOT NULL DEFAULT 1, ADD note varchar(40), ADD KEY by_amount (amount), \
             ADD KEY by_both (amount, place), ADD KEY by_place (place), ADD KEY by_note (note(8)), ADD KEY by_part (place), \
             ADD KEY resting (note, amount) IGNORED",
            "CREATE TABLE taken (id int PRIMARY KEY, stock_id int NOT NULL, \
             CONSTRAINT taken_stock FOREIGN KEY (stock_id) REFERENCES stock (id))",
            "ANALYZE TABLE stock, taken",
        ] {
            client.query_drop(on_this_server(sql)).await.expect("the indexes");
        }
        let seen = observe(&url, plan(), async {
            for _ in 0..10 {
                client
                    .query_drop("SELECT id FROM stock FORCE INDEX (by_both) WHERE amount = 100 AND place = 1")
                    .await
                    .expect("read");
            }
        })
        .await;
        let counters = counters(&seen);
        let [begin, end] = counters.as_slice() else { panic!("two edges") };
        let of = |counters: &Counters, name: &str| {
            let found = counters.indexes.iter().find(|index| index.index == name);
            found.unwrap_or_else(|| panic!("{name}: {:?}", counters.indexes)).clone()
        };
        let read = |name| of(end, name).entries_read.zip(of(begin, name).entries_read).map(|(a, b)| a - b);
        assert!(read("stock.by_both") >= Some(100), "ten rows ten times: {:?}", read("stock.by_both"));
        assert_eq!(read("stock.by_note"), Some(0));
        let both = of(end, "stock.by_both");
        assert_eq!((both.scans, both.quoted.as_deref()), (None, Some("`by_both` ON `stock`")));
        assert!(both.size_bytes >= 16 * 1024 && !both.constraint, "a page at least: {both:?}");
        let shape = of(end, "stock.by_note").shape.expect("it is known");
        assert_eq!(shape.definition, "ALTER TABLE `stock` ADD INDEX `by_note` (`note`(8))");
        assert!(of(end, "stock.resting").shape.is_some_and(|shape| shape.hidden && shape.valid));
        let primary = of(end, "stock.PRIMARY");
        assert!(primary.constraint && primary.shape.is_some_and(|shape| shape.primary && shape.unique));
        assert!(of(end, "taken.taken_stock").constraint, "the foreign key has no other");
        client.query_drop(format!("DROP INDEX {}", both.quoted.expect("it is known"))).await.expect("a command");
    });
}

/// Two transactions that change the same two rows in opposite order, with time between the two.
fn crossing() -> Place {
    let transaction = |name: &str, first: &str, second: &str| {
        format!(
            "[[transaction]]\nname = \"{name}\"\nretry = {{ on = [\"40001\"], max_tries = 5 }}\n\
             [[transaction.step]]\nstatement = \"{first}\"\n\
             [[transaction.step]]\nstatement = \"{second}\"\nhold = \"30ms\"\n"
        )
    };
    let update = |name: &str, id: u32| {
        format!("-- name: {name} :exec\nUPDATE stock SET amount = amount + 1 WHERE id = {id};\n")
    };
    Place::new(
        &format!(
            "name = \"crossing\"\nengines = [\"mysql\"]\n{}{}",
            transaction("forward", "one", "two"),
            transaction("backward", "two", "one")
        ),
        &[update("one", 1), update("two", 2)].concat(),
    )
}

#[test]
fn the_latest_deadlock_is_told_with_both_sides() {
    let url = runtime().block_on(stock("probe_deadlocks"));
    let report = crossing().report(&url, "run --clients 2 --pool-size 2 --warmup 0s --duration 6s");
    let stage = measured(&report);
    let known: Vec<_> = stage.deadlocks.iter().filter(|kind| !kind.locks.is_empty()).collect();
    assert!(!known.is_empty(), "one a second is read: {:?}", stage.deadlocks);
    for kind in known {
        let mut both = vec![kind.victim.as_str()];
        both.extend(kind.others.iter().map(String::as_str));
        both.sort_unstable();
        assert_eq!(both, ["backward.one", "forward.two"], "{kind:?}");
        let (row, by) = (" waited for an X lock on a row of stock (PRIMARY), held up by ", &kind.others[0]);
        assert_eq!(kind.locks[0], format!("{}{row}{by}", kind.victim));
        assert_eq!(kind.locks[1], format!("{by}{row}{}", kind.victim));
    }
    let told: u64 = stage.deadlocks.iter().map(|kind| kind.count).sum();
    let counted: u64 = stage.transactions.iter().filter_map(|one| one.errors.get("40001")).sum();
    assert_eq!(told, counted, "each error is one deadlock, tried again or not");
    let found = report.findings.iter().find(|finding| finding.id == "deadlocks").expect("it is a finding");
    assert!(found.title.contains("forward") && found.title.contains("backward"), "{}", found.title);
}

#[test]
fn a_report_holds_what_the_server_counted_of_statements_and_indexes() {
    let url = runtime().block_on(stock("probe_report"));
    runtime()
        .block_on(run(&url, "ALTER TABLE stock ADD place int, ADD KEY unused (place), ADD KEY twin (place)"));
    let place = on_both_engines("SELECT amount FROM stock WHERE amount > 0");
    let words = "run --clients 2 --pool-size 2 --warmup 0s --duration 2s --protocol simple";
    let report = place.report(&url, words);
    let found = statement(measured(&report), "statement");
    let server = found.server.as_ref().expect("the server's account");
    // The server is asked a moment beside the edges of the stage, and counts on while it answers: a hundredth of two seconds.
    let is_near = |counted: u64, wanted: u64| counted.abs_diff(wanted) * 100 <= wanted;
    assert!(is_near(server.calls, found.count), "{} by the server, {found:?}", server.calls);
    assert!(is_near(server.rows, 10 * server.calls), "{server:?}");
    let work = server.row_work.as_ref().expect("rows are counted");
    assert!(
        is_near(work.rows_examined, 10 * server.calls) && is_near(work.no_index_used, server.calls),
        "{work:?}"
    );
    assert_eq!(found.no_index, Some(found.count), "each answer says so");
    let execute = found.execute_us.mean.expect("it was executed");
    assert!(server.exec_us_mean < execute, "the server's part of {execute}: {}", server.exec_us_mean);
    let remark = |name: &str| {
        let index = measured(&report).indexes.iter().find(|index| index.index == name);
        index.and_then(|index| index.remark.as_deref())
    };
    assert_eq!(remark("stock.unused"), Some("duplicate of stock.twin"));
    assert_eq!(remark("stock.twin"), Some("not used in this run"));
    let remedy = |id: &str| {
        let finding = report.findings.iter().find(|finding| finding.id == id);
        finding.unwrap_or_else(|| panic!("{id}: {:?}", report.findings)).remedy.clone()
    };
    assert!(remedy("duplicate-indexes").contains("DROP INDEX `unused` ON `stock`"));
    assert!(remedy("unused-indexes").contains(if is_mysql() { "INVISIBLE" } else { "IGNORED" }));
    let page = Measured::from(&place.dbdyno("report --full").output().expect("it runs")).output;
    for words in ["rows ex-", "by performance_schema", "in the buffer pool", "redo log"] {
        assert!(page.contains(words), "`{words}` is missing: {page}");
    }
    for words in ["full-page image", "checkpoint", "pg_stat", "HOT"] {
        assert!(!page.contains(words), "`{words}` is PostgreSQL's: {page}");
    }
}

#[test]
fn what_is_prepared_has_an_account_on_mysql_and_none_on_mariadb() {
    let url = runtime().block_on(stock("probe_prepared"));
    let place = on_both_engines("SELECT amount FROM stock WHERE amount > 0");
    for protocol in ["prepared", "extended"] {
        let words = format!("run --clients 2 --pool-size 2 --warmup 0s --duration 2s --protocol {protocol}");
        let report = place.report(&url, &words);
        let found = statement(measured(&report), "statement");
        let said = report.findings.iter().find(|of| of.id == "blind-spots").expect("there is always one");
        assert_eq!(said.evidence.contains("--protocol simple"), !is_mysql(), "{said:?}");
        if !is_mysql() {
            assert!(found.server.is_none(), "{found:?}");
            continue;
        }
        let server = found.server.as_ref().expect("the server's account");
        // As beside: the server is asked a moment beside the edges, and what is under way there counts for one of the two.
        assert!(
            server.calls.abs_diff(found.count) * 100 <= found.count,
            "{} by the server, {found:?}",
            server.calls
        );
        let work = server.row_work.as_ref().expect("rows are counted");
        assert!(work.rows_examined.abs_diff(10 * server.calls) * 100 <= 10 * server.calls, "{work:?}");
        let execute = found.execute_us.mean.expect("it was executed");
        assert!(
            server.exec_us_mean > 0.0 && server.exec_us_mean < execute,
            "{} of {execute}",
            server.exec_us_mean
        );
    }
}

#[test]
fn a_poor_account_is_told_what_it_lacks_and_how_to_get_it() {
    runtime().block_on(async {
        let url = stock("probe_poor").await;
        let mut admin = connect(&url).await;
        for sql in [
            "CREATE USER poor@'%' IDENTIFIED BY 'poor'",
            "GRANT ALL ON probe_poor.* TO poor@'%'",
            "FLUSH PRIVILEGES",
        ] {
            admin.query_drop(sql).await.expect("an account");
        }
        let (_, address) = url.split_once('@').expect("user and address");
        let target = Target::parse(&format!("mysql://poor:poor@{address}")).expect("a URL");
        let client = target.connect("control").await.unwrap_or_else(|error| panic!("{error}"));
        let found = capabilities::examine(&client, &target).await.expect("it answers");
        let of = |id: &str| found.iter().find(|of| of.id == id).unwrap_or_else(|| panic!("{id}: {found:?}"));
        assert_eq!(of("rights").ok, Presence::Absent);
        assert_eq!(of("rights").remedy.as_deref(), Some("GRANT PROCESS ON *.* TO 'poor'@'%'"));
        assert_eq!(of("performance_schema").ok, Presence::Absent);
        assert_eq!(of("writable").ok, Presence::Present);
        let name = if is_mysql() { "MySQL 9" } else { "MariaDB 1" };
        assert!(of("version").found.starts_with(name), "{:?}", of("version"));

        let all = Target::parse(&url).expect("a URL");
        let client = all.connect("control").await.unwrap_or_else(|error| panic!("{error}"));
        let found = capabilities::examine(&client, &all).await.expect("it answers");
        for id in ["rights", "performance_schema", "metadata_locks", "statement_digests"] {
            let of = found.iter().find(|of| of.id == id).expect("it is examined");
            assert_eq!((of.ok, of.remedy.as_deref()), (Presence::Present, None), "{of:?}");
        }
        assert!(capabilities::connections_free(&client).await.expect("a number") > 100);
        let header = capabilities::target_header(&client).await.expect("a header");
        assert_eq!(header.engine, if is_mysql() { "mysql" } else { "mariadb" });
        assert!(
            header.database_bytes > Some(0) && header.shared_buffers_bytes == Some(256 << 20),
            "{header:?}"
        );
        assert!(
            header
                .settings
                .iter()
                .any(|(name, value)| name == "innodb_flush_log_at_trx_commit" && value == "1")
        );
        assert!(
            header.blind_spots.iter().any(|spot| spot.starts_with("look_rate: ")),
            "{:?}",
            header.blind_spots
        );
    });
}

#[test]
fn doctor_says_what_mariadb_hides() {
    let ended =
        Measured::from(&dbdyno().args(["doctor", "-t", mariadb().url()]).output().expect("it starts"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let name = if is_mysql() { "MySQL 9" } else { "MariaDB 1" };
    for words in [name, "performance_schema", "metadata_locks", "look_rate", "\n  costs:  "] {
        assert!(ended.output.contains(words), "`{words}` is missing: {}", ended.output);
    }
    assert!(!ended.output.contains("pg_stat"), "{}", ended.output);
}

#[test]
fn what_needs_postgresql_is_refused_before_anything_is_asked() {
    // Nobody listens there, so that whoever asked would say something else.
    const URL: &str = "mysql://nobody@127.0.0.1:1/none";
    let place = on_both_engines("SELECT 1");
    let workload = place.workload().display().to_string();
    let out = place.path("captured").display().to_string();
    for words in [
        format!("index -w {workload} -t {URL} --drop-unused --clone"),
        format!("index -w {workload} -t {} --suggest", local_mysql()),
        format!("capture -t {URL} --out {out}"),
        format!("fidelity -w {workload} -t {URL} --against postgres://nobody@127.0.0.1:1/none"),
        format!("fidelity -w {workload} --against {URL}"),
        format!("run -w {workload} -t {} --clients 1 --duration 1s --pooler pgbouncer", local_mysql()),
        format!("run -b tpcb-like -t {URL} --clients 1 --duration 1s"),
    ] {
        let ended = Measured::from(&place.dbdyno(&words).output().expect("it starts"));
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{words}: {}", ended.errors);
        assert!(ended.errors.contains("needs PostgreSQL so far"), "{words}: {}", ended.errors);
    }
    let ended = Measured::from(&place.dbdyno(&format!("demo -t {URL}")).output().expect("it starts"));
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.contains("local:mariadb"), "{}", ended.errors);
}

#[test]
fn a_mysql_that_is_not_there_is_told_with_what_helps() {
    for (script, why) in [
        // Packages of MariaDB give theirs this name as well.
        ("echo 'mysqld  Ver 10.11.6-MariaDB for debian-linux-gnu on x86_64'", "its mysqld is a MariaDB"),
        (
            "echo 'mysqld: error while loading shared libraries: libaio.so.1t64' >&2; exit 127",
            "its mysqld does not run: mysqld: error while loading shared libraries: libaio.so.1t64",
        ),
        ("exit 3", "its mysqld does not run: exit status: 3"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("mysqld");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("ours");
        let ended = doctor_of_local("mysql", folder.path());
        let place = format!("  {}: {why}\n", folder.path().display());
        for words in [
            place.as_str(),
            "MariaDB's is not taken for one",
            "DBDYNO_MYSQL_BINDIR",
            "scripts/mysql.sh mysql",
        ] {
            assert!(ended.errors.contains(words), "`{words}` is missing: {}", ended.errors);
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (brand, remedy) in [("mysql", "scripts/mysql.sh mysql"), ("mariadb", "scripts/mysql.sh mariadb")] {
        let ended = doctor_of_local(brand, folder.path());
        let program = if brand == "mysql" { "mysqld" } else { "mariadbd" };
        let place = format!("  {}: no {program}\n", folder.path().display());
        for words in [place.as_str(), remedy, "--local-bindir"] {
            assert!(ended.errors.contains(words), "`{words}` is missing: {}", ended.errors);
        }
    }
}

/// What is said where there is no server in the folder.
fn doctor_of_local(brand: &str, folder: &std::path::Path) -> Measured {
    let mut command = dbdyno();
    command.args(["doctor", "-t", &format!("local:{brand}"), "--local-bindir"]).arg(folder);
    let ended = Measured::from(&command.output().expect("it starts"));
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    ended
}

#[test]
fn a_local_mariadb_takes_settings_and_keeps_its_data_over_a_restart() {
    let wrong = "run -t local:mysql --local-setting port=1 --clients 1 --duration 1s";
    let place = on_both_engines("SELECT 1");
    let mut command = place.dbdyno(wrong);
    command.arg("-w").arg(place.workload());
    let ended = Measured::from(&command.output().expect("it starts"));
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.contains("--local-setting port: dbdyno sets it itself"), "{}", ended.errors);

    let settings = vec![("innodb_lock_wait_timeout".to_owned(), "7".to_owned())];
    let options = LocalOptions { dialect: Dialect::Mysql, settings, ..local_options() };
    runtime().block_on(async {
        let mut server = dbdyno::local::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
        let before = server.pid();
        run(server.url(), "CREATE TABLE kept AS SELECT 5 AS n").await;
        server.restart().await.unwrap_or_else(|error| panic!("{error}"));
        assert_ne!(server.pid(), before);
        let target = Target::of_local_server(server.url()).expect("its URL");
        let client = target.connect("control").await.unwrap_or_else(|error| panic!("{error}"));
        let Client::MySql(client) = &client else { panic!("another engine") };
        let rows = client
            .rows("SELECT n, @@innodb_lock_wait_timeout AS patience FROM kept")
            .await
            .expect("it is there");
        let values: Vec<(String, String)> = rows.into_iter().map(mysql_async::from_row).collect();
        assert_eq!(values, [("5".to_owned(), "7".to_owned())]);
        server.stop().await.unwrap_or_else(|error| panic!("{error}"));
    });
}
