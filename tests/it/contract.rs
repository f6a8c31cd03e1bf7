//! What every measured session promises, held against each engine on a real server: connect, prepare, execute, transactions,
//! classes of errors, what a dropped request leaves behind.

use std::future::Future as _;
use std::sync::LazyLock;
use std::task::Poll;
use std::time::{Duration, Instant};

use dbdyno::db::mysql::MySqlEngine;
use dbdyno::db::postgres::{Environment, PgEngine, Settings};
use dbdyno::db::{
    Begin, ConnectError, Control, Engine, ExecError, IsolationLevel, Now, Reply, RowsExpected, Session,
    SessionOptions, StatementPlan,
};
use dbdyno::local::{LocalServer, start_mariadb};
use dbdyno::sql::values::{Frame, Slot};
use dbdyno::units::{SlotId, Stamp, StatementId};

use crate::harness::{Database, local_options, runtime};
use crate::session::places;

fn mysql(url: &str) -> dbdyno::db::mysql::Settings {
    dbdyno::db::mysql::Settings::from_url(url).expect("its URL")
}

#[derive(Clone)]
struct Clock(Instant);

impl Now for Clock {
    fn now(&self) -> Stamp {
        Stamp(u64::try_from(self.0.elapsed().as_nanos()).expect("a test ends within centuries"))
    }
}

/// What differs between servers.
struct Dialect {
    insert: &'static str,
    increase: &'static str,
    sleep: &'static str,
    unique_violation: &'static str,
    deadlock: &'static str,
    no_such_table: &'static str,
}

const POSTGRES: Dialect = Dialect {
    insert: "INSERT INTO t (id, name, amount) VALUES ($1, $2, $1::bigint * 2)",
    increase: "UPDATE t SET amount = amount + 1 WHERE id = $1",
    sleep: "SELECT pg_sleep(30)",
    unique_violation: "23505",
    deadlock: "40P01",
    no_such_table: "42P01",
};

const MARIADB: Dialect = Dialect {
    insert: "INSERT INTO t (id, name, amount) VALUES ($1, $2, $1 * 2)",
    sleep: "SELECT sleep(30)",
    unique_violation: "23000",
    deadlock: "40001",
    no_such_table: "42S02",
    ..POSTGRES
};

const INSERT: u32 = 0;
const LOOK: u32 = 1;
const ALL: u32 = 2;
const INCREASE: u32 = 3;
const SLEEP: u32 = 4;
const ONE: u32 = 5;

fn plan(sql: &str, rows: RowsExpected, inputs: u32, outputs: &[(&str, u32)]) -> StatementPlan {
    let sql = format!("/*dbdyno:contract.statement*/ {sql}");
    StatementPlan {
        places: places(&sql),
        sql,
        rows,
        inputs: (0..inputs).map(SlotId).collect(),
        outputs: outputs.iter().map(|(name, slot)| ((*name).to_owned(), SlotId(*slot))).collect(),
        substitution: dbdyno::db::Substitution::default(),
    }
}

fn statements(dialect: &Dialect) -> Vec<StatementPlan> {
    const LOOK_UP: &str = "SELECT amount, name FROM t WHERE id = $1";
    vec![
        plan(dialect.insert, RowsExpected::Any, 2, &[]),
        plan(LOOK_UP, RowsExpected::Optional, 1, &[("name", 2), ("amount", 3)]),
        plan("SELECT id FROM t ORDER BY id", RowsExpected::Any, 0, &[]),
        plan(dialect.increase, RowsExpected::Any, 1, &[]),
        plan(dialect.sleep, RowsExpected::Any, 0, &[]),
        plan("SELECT id FROM t WHERE id >= $1", RowsExpected::One, 1, &[]),
    ]
}

/// Executes with `$1` and, where it is wanted, `$2`; gives the frame back for its outputs.
async fn execute<S: Session>(session: &mut S, statement: u32, id: i64) -> (Result<Reply, ExecError>, Frame) {
    let mut frame = Frame::default();
    frame.reset(4);
    frame.slots[0] = Slot::Int(id);
    frame.slots[1] = frame.arena.text(&format!("größer 'n' \\ {id}"));
    let mut reply = Reply::default();
    let result = session.execute(StatementId(statement), &mut frame, &mut reply).await;
    (result.map(|()| reply), frame)
}

async fn control<S: Session>(session: &mut S, what: Control) -> Result<(), ExecError> {
    session.control(what, &mut Reply::default()).await
}

/// Holds all promises against one engine, on an empty table `t (id primary key, name, amount)`.
async fn keeps_its_promises<E: Engine>(engine: &E, dialect: &Dialect) {
    let mut session = connect(engine, dialect).await;
    assert!(session.usable());

    // Values arrive, come back, and are those of this execution.
    assert_eq!(execute(&mut session, INSERT, 1).await.0.expect("inserted").rows, 1);
    let (reply, frame) = execute(&mut session, LOOK, 1).await;
    let reply = reply.expect("found");
    assert_eq!((reply.rows, frame.slots[3]), (1, Slot::Int(2)));
    let Slot::Text(name) = frame.slots[2] else { panic!("a text, not {:?}", frame.slots[2]) };
    assert_eq!(frame.arena.str(name), "größer 'n' \\ 1");
    let first_row_at = reply.first_row_at.expect("there is a row");
    assert!(reply.sent_at <= first_row_at && first_row_at <= reply.done_at && reply.bytes > 0);
    let (reply, frame) = execute(&mut session, LOOK, 7).await;
    assert_eq!((reply.expect("nothing is found").rows, frame.slots[3]), (0, Slot::Null));

    // The promised number of rows is held.
    assert_eq!(execute(&mut session, ONE, 9).await.0.expect_err("none").code(), "no_row");
    assert_eq!(execute(&mut session, INSERT, 2).await.0.expect("inserted").rows, 1);
    assert_eq!(execute(&mut session, ONE, 0).await.0.expect_err("two").code(), "many_rows");
    assert_eq!(execute(&mut session, ALL, 0).await.0.expect("all").rows, 2);

    // The server's refusal leaves the session as it was.
    let error = execute(&mut session, INSERT, 1).await.0.expect_err("a duplicate");
    assert_eq!(error.code(), dialect.unique_violation);
    assert!(error.session_survives() && session.usable());

    // A transaction is open until it ends, and what is rolled back never was.
    for isolation in [
        None,
        Some(IsolationLevel::ReadCommitted),
        Some(IsolationLevel::RepeatableRead),
        Some(IsolationLevel::Serializable),
    ] {
        control(&mut session, Control::Begin(Begin { isolation, ..Begin::default() })).await.expect("begun");
        assert!(session.in_transaction() && !session.usable(), "{isolation:?}");
        execute(&mut session, INSERT, 3).await.0.expect("inserted");
        control(&mut session, Control::Rollback).await.expect("rolled back");
        assert!(!session.in_transaction() && session.usable(), "{isolation:?}");
    }
    control(&mut session, Control::Begin(Begin::default())).await.expect("begun");
    execute(&mut session, INSERT, 3).await.0.expect("inserted");
    control(&mut session, Control::Commit).await.expect("committed");
    assert_eq!(execute(&mut session, ALL, 0).await.0.expect("all").rows, 3);
    let read_only = Begin { read_only: true, ..Begin::default() };
    control(&mut session, Control::Begin(read_only)).await.expect("begun");
    execute(&mut session, INSERT, 4).await.0.expect_err("it only reads");
    control(&mut session, Control::Rollback).await.expect("rolled back");
    control(&mut session, Control::FlushStatistics).await.expect("published, or nothing to do");
    assert!(session.usable());
}

/// Two sessions that wait for each other: one of them is told so, and can go on.
async fn tells_of_a_deadlock<E: Engine>(engine: &E, dialect: &Dialect) {
    let mut sessions = [connect(engine, dialect).await, connect(engine, dialect).await];
    let mine = [1, 2];
    for (session, id) in sessions.iter_mut().zip(mine) {
        control(session, Control::Begin(Begin::default())).await.expect("begun");
        execute(session, INCREASE, id).await.0.expect("the row is free");
    }
    let [left, right] = &mut sessions;
    let (left_result, right_result) = tokio::join!(cross(left, mine[1]), cross(right, mine[0]));
    let codes: Vec<_> = [&left_result, &right_result]
        .into_iter()
        .filter_map(|result| result.as_ref().err().map(|error| error.code().to_owned()))
        .collect();
    assert_eq!(codes, [dialect.deadlock], "one of them gives way");
    assert!(sessions.iter().all(Session::usable));
}

/// Wants the other's row, and ends its transaction whichever way.
async fn cross<S: Session>(session: &mut S, id: i64) -> Result<(), ExecError> {
    let (result, _) = execute(session, INCREASE, id).await;
    let end = if result.is_ok() { Control::Commit } else { Control::Rollback };
    control(session, end).await.expect("it ends");
    result.map(|_| ())
}

/// A request that is dropped midway leaves its session poisoned and, once asked for, nothing on the server.
async fn takes_back_what_was_dropped<E: Engine>(engine: &E, dialect: &Dialect) {
    let mut session = connect(engine, dialect).await;
    {
        let mut sleeping = std::pin::pin!(execute(&mut session, SLEEP, 0));
        let first = std::future::poll_fn(|context| Poll::Ready(sleeping.as_mut().poll(context)));
        assert!(first.await.is_pending());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = std::future::poll_fn(|context| Poll::Ready(sleeping.as_mut().poll(context)));
        assert!(second.await.is_pending());
    }
    assert!(!session.usable());
    let lost = execute(&mut session, ALL, 0).await.0.expect_err("it is poisoned");
    assert!(!lost.session_survives());
    drop(session);
    engine.cancel_abandoned().await;
}

/// What cannot be prepared is named.
async fn names_what_cannot_be_prepared<E: Engine>(engine: &E, dialect: &Dialect) {
    let absent = plan("SELECT 1 FROM absent", RowsExpected::Any, 0, &[]);
    let error = engine.connect(vec![absent].into()).await.err().expect("there is no such table");
    assert!(matches!(&error, ConnectError::Prepare { .. }), "{error}");
    assert_eq!(error.code(), dialect.no_such_table);
    assert!(error.to_string().contains("`contract.statement`"), "{error}");
    let absent = plan("SELECT id FROM t", RowsExpected::Any, 0, &[("sum", 0)]);
    let error = engine.connect(vec![absent].into()).await.err().expect("there is no such column");
    assert!(error.to_string().contains("no column `sum`"), "{error}");
}

async fn connect<E: Engine>(engine: &E, dialect: &Dialect) -> E::Session {
    let session = engine.connect(statements(dialect).into()).await;
    session.unwrap_or_else(|error| panic!("cannot connect: {error}"))
}

async fn all<E: Engine>(engine: &E, dialect: &Dialect) {
    keeps_its_promises(engine, dialect).await;
    tells_of_a_deadlock(engine, dialect).await;
    takes_back_what_was_dropped(engine, dialect).await;
    names_what_cannot_be_prepared(engine, dialect).await;
}

#[test]
fn postgresql_keeps_what_a_session_promises() {
    let database = Database::empty();
    database.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text, amount bigint)");
    let settings = Settings::from_url_in(database.url(), &Environment::empty()).expect("its URL");
    runtime().block_on(all(
        &PgEngine::new(settings.into(), Clock(Instant::now()), SessionOptions::default()),
        &POSTGRES,
    ));
}

pub fn mariadb() -> &'static LocalServer {
    static SERVER: LazyLock<LocalServer> = LazyLock::new(|| {
        let started = runtime().block_on(start_mariadb(&local_options()));
        started.unwrap_or_else(|error| panic!("the tests need a MariaDB: {error}"))
    });
    &SERVER
}

#[test]
fn mariadb_keeps_what_a_session_promises() {
    use mysql_async::prelude::Queryable;
    let url = mariadb().url();
    runtime().block_on(async {
        let mut admin = mysql_async::Conn::from_url(url).await.expect("a connection");
        let sql = "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(100), amount bigint)";
        admin.query_drop(sql).await.expect("a table");
        let engine = MySqlEngine::new(mysql(url).into(), Clock(Instant::now()), SessionOptions::default());
        all(&engine, &MARIADB).await;
        let sleeping = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%sleep(30)%' \
                        AND id <> connection_id()";
        // The server looks for the order to end now and then.
        for _ in 0..500 {
            let left: Option<i64> = admin.query_first(sleeping).await.expect("an answer");
            if left == Some(0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("what was dropped still runs after ten seconds");
    });
}

#[test]
fn mariadb_refuses_a_wrong_password_and_a_closed_port() {
    let url = mariadb().url();
    let secret = url.split([':', '@']).nth(2).expect("a password");
    runtime().block_on(async {
        let wrong =
            MySqlEngine::from_url(&url.replace(secret, "wrong"), Clock(Instant::now())).expect("a URL");
        let error = wrong.connect(Vec::new().into()).await.err().expect("refused");
        assert_eq!(error.code(), "28000", "{error}");
        let closed =
            MySqlEngine::from_url("mysql://u@127.0.0.1:1/d?prefer_socket=false", Clock(Instant::now()));
        let error = closed.expect("a URL").connect(Vec::new().into()).await.err().expect("nobody listens");
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    });
}
