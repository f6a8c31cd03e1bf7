//! After warm-up dbdyno allocates nothing per transaction: counted by the allocator itself, of all threads, on a simulated and
//! on a real session of either engine in every protocol, in closed and in open loop, with the sample log on, and with connections that may end and
//! be closed at once. A program of its own, since the count is of the whole process; one test, since two would count each other.

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use dbdyno::db::sim::SimEngine;
use dbdyno::db::{Engine, Protocol, SessionOptions, Target};
use dbdyno::engine::{self, Plan, Replacement, Sampling, StagePlan, Storm};
use dbdyno::local::{LocalOptions, start_mysql, start_postgres};
use dbdyno::time::{Epoch, Now, RealClock};
use dbdyno::units::{Load, Seed, StageId};
use dbdyno::workload::Workload;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Values of all kinds: drawn, returned and used again, numbers and text; with BEGIN and without.
const WORKLOAD: &str = r#"
name = "counted"
[[transaction]]
name = "read"
statements = ["account"]
[transaction.parameter]
id = { uniform = [1, 100] }
[[transaction]]
name = "write"
statements = ["account", "change"]
set = { work_mem = "1MB" }
retry = { on = ["40001"], max_tries = 3 }
[transaction.parameter]
id = { uniform = [1, 100] }
new_note = { uuid = {} }
"#;
/// Sent at once. The simple protocol has none of it.
const PIPELINE: &str = r#"
[[transaction]]
name = "at_once"
statements = ["account", "change_at_once"]
pipeline = true
[transaction.parameter]
id = { uniform = [1, 100] }
new_note = { uuid = {} }
"#;
const QUERIES: &str = "-- name: account :one\nSELECT n, note FROM account WHERE id = :id;\n\
                       -- name: change :exec\nUPDATE account SET n = :n, note = :new_note WHERE id = :id;\n\
                       -- name: change_at_once :exec\nUPDATE account SET n = n + 1, note = :new_note WHERE id = :id;\n";
const SCHEMA: &str = "CREATE TABLE account (id int PRIMARY KEY, n bigint NOT NULL, note uuid NOT NULL);
                      INSERT INTO account SELECT i, i, gen_random_uuid() FROM generate_series(1, 100) i";
/// The same on MariaDB.
const MARIADB_SCHEMA: [&str; 2] = [
    "CREATE TABLE account (id int PRIMARY KEY, n bigint NOT NULL, note char(36) NOT NULL)",
    "INSERT INTO account SELECT seq, seq, uuid() FROM seq_1_to_100",
];

/// What the end of an interval costs, however many transactions it holds: messages between worker and collector, the next
/// interval, the event loop. Measured: some dozens.
const PER_INTERVAL: usize = 200;
/// Transactions that are enough to tell.
const ENOUGH: u64 = 600;
/// Such a machine is too busy for anything.
const INTERVALS_MAX: usize = 20;
/// Longer than the test takes.
const NOT_NOW: Duration = Duration::from_secs(100_000);
/// Then the memory of the clients is as large as it will be.
const WARM_AFTER: Duration = Duration::from_millis(500);

#[test]
fn a_transaction_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let workload = read(&[WORKLOAD, PIPELINE].concat());
    let clock = Epoch::begin().clock();
    // Twice as many users as connections: half of the acquires wait.
    let loads = [Load::clients(4), Load::rate(2_000.0)];

    let simulated = SimEngine::at_once(clock);
    for load in &loads {
        runtime.block_on(assert_frugal("simulated", &simulated, clock, plan(&workload, load)));
    }
    // A commit that waits for the disk would leave few transactions to count.
    let settings = vec![("synchronous_commit".to_owned(), "off".to_owned())];
    let options = LocalOptions {
        supervisor: Some(env!("CARGO_BIN_EXE_dbdyno").into()),
        settings,
        ..LocalOptions::default()
    };
    let server = runtime.block_on(start_postgres(&options)).unwrap_or_else(|error| panic!("{error}"));
    prepare(&runtime, server.url());
    let target = Target::of_local_server(server.url()).expect("its own URL");
    let without_pipeline = read(WORKLOAD);
    for (protocol, workload, loads) in [
        (Protocol::Prepared, &workload, &loads[..]),
        (Protocol::Extended, &workload, &loads[..1]),
        (Protocol::Simple, &without_pipeline, &loads[..1]),
    ] {
        let options =
            SessionOptions { settings: engine::settings_of_transactions(workload), ..protocol.into() };
        let real = target.engine(clock, options);
        for load in loads {
            runtime.block_on(assert_frugal(protocol.as_str(), &real, clock, plan(workload, load)));
        }
    }
    runtime.block_on(server.stop()).expect("it stops");
    on_mariadb(&runtime, clock, &loads);
}

/// The same statements there, where a transaction sets what that server knows, and nothing is sent at once.
fn on_mariadb(runtime: &Runtime, clock: RealClock, loads: &[Load]) {
    use mysql_async::prelude::Queryable;
    let workload = read(&WORKLOAD.replace("work_mem = \"1MB\"", "sort_buffer_size = \"131072\""));
    let options = LocalOptions {
        supervisor: Some(env!("CARGO_BIN_EXE_dbdyno").into()),
        settings: vec![("innodb-flush-log-at-trx-commit".to_owned(), "0".to_owned())],
        ..LocalOptions::default()
    };
    let server = runtime.block_on(start_mysql(&options)).unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        let mut conn = mysql_async::Conn::from_url(server.url()).await.expect("a connection");
        for sql in MARIADB_SCHEMA {
            conn.query_drop(sql).await.expect("the schema");
        }
        conn.disconnect().await.expect("it ends");
    });
    let target = Target::of_local_server(server.url()).expect("its own URL");
    for (protocol, loads) in
        [(Protocol::Prepared, loads), (Protocol::Extended, &loads[..1]), (Protocol::Simple, &loads[..1])]
    {
        let options =
            SessionOptions { settings: engine::settings_of_transactions(&workload), ..protocol.into() };
        let real = target.engine(clock, options);
        for load in loads {
            let what = format!("MariaDB, {protocol}");
            runtime.block_on(assert_frugal(&what, &real, clock, plan(&workload, load)));
        }
    }
    runtime.block_on(server.stop()).expect("it stops");
}

fn read(document: &str) -> Workload {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("workload.toml"), document).expect("writable");
    std::fs::write(folder.path().join("queries.sql"), QUERIES).expect("writable");
    dbdyno::workload::load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn prepare(runtime: &Runtime, url: &str) {
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client.batch_execute(SCHEMA).await.expect("the schema");
    });
}

fn plan(workload: &Workload, load: &Load) -> Plan {
    let seed = Seed(7);
    Plan {
        dataset: Arc::new(workload.dataset(seed, 1.0)),
        query_values: Arc::new(vec![Vec::new(); workload.transactions.len()]),
        workload: Arc::new(workload.clone()),
        seed,
        stages: vec![StagePlan {
            id: StageId(0),
            duration: Duration::from_secs(60),
            load: load.clone(),
            until_steady: false,
        }],
        pool_size: 2,
        instances: 1,
        workers: 1,
        // So few that each has worked while it warms up: a client that begins makes room for its values once.
        in_flight_max: 4,
        rtt: Duration::ZERO,
        acquire_timeout: Duration::from_secs(30),
        drain: Duration::from_secs(10),
        sampling: Some(Arc::new(Sampling::new(workload, 1.0, &["id".to_owned(), "new_note".to_owned()]))),
        // On and far away, so that every release looks whether it is time.
        replacement: Replacement {
            lifetime: Some(NOT_NOW),
            storm: Some(Storm { after: NOT_NOW, stages: vec![StageId(0)] }),
        },
    }
}

/// Allocations from the second half of the first interval on, against the transactions: one interval, or as many as a busy machine needs
/// for so many that an allocation in each would show.
async fn assert_frugal<E: Engine>(what: &str, engine: &E, clock: RealClock, plan: Plan) {
    let load = plan.stages[0].load.clone();
    let mut run = engine::start(&plan, engine, clock).expect("workers");
    run.warm().await.expect("connections");
    let begins_at = clock.now() + Duration::from_millis(20);
    run.begin(begins_at);
    tokio::time::sleep(Duration::from_millis(20) + WARM_AFTER).await;
    let before = allocations();
    let (mut intervals, mut ended) = (0, 0);
    while ended < ENOUGH && intervals < INTERVALS_MAX {
        let collected = run.next().await.expect("workers live").expect("an interval");
        let books = collected.interval().set.books();
        assert_eq!(books.ok, books.closed(), "{what}, {load:?}: {books:?}");
        intervals += 1;
        ended += books.ok;
        run.recycle(collected);
    }
    let counted = allocations() - before;
    run.stop(Duration::ZERO);
    while let Some(collected) = run.next().await.expect("workers live") {
        run.recycle(collected);
    }
    assert!(ended >= ENOUGH, "{what}, {load:?}: too few to tell: {ended} in {intervals} intervals");
    let allowed = PER_INTERVAL * intervals + usize::try_from(ended / 100).expect("few");
    assert!(
        counted <= allowed,
        "{what}, {load:?}: {counted} allocations while about {ended} transactions ended, {intervals} intervals"
    );
}

/// Allocations and reallocations of the process so far.
fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}
