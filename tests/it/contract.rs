//! What every measured session promises, held against each engine on a real server: connect, prepare, execute, transactions,
//! classes of errors, what a dropped request leaves behind.

use std::future::Future as _;
use std::sync::LazyLock;
use std::task::Poll;
use std::time::{Duration, Instant};

use dbdyno::db::mysql::{self, MySqlEngine, MySqlSession};
use dbdyno::db::postgres::{Environment, PgEngine, Settings};
use dbdyno::db::{
    Begin, ConnectError, Control, Engine, ExecError, IsolationLevel, Now, Protocol, Reply, RowsExpected,
    Session, SessionOptions, StatementPlan, Substitution,
};
use dbdyno::local::{LocalOptions, LocalServer, start_mysql};
use dbdyno::sql::values::{Frame, Slot};
use dbdyno::units::{SlotId, Stamp, StatementId};

use crate::harness::{Database, is_mysql, local_options, on_this_server, runtime};
use crate::session::places;

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
        // On a thread of its own: whoever asks first may be inside of an event loop.
        let starting = std::thread::spawn(|| runtime().block_on(start_mysql(&local_options())));
        let started = starting.join().expect("it does not panic");
        started.unwrap_or_else(|error| panic!("the tests need a MariaDB: {error}"))
    });
    &SERVER
}

fn settings(url: &str) -> mysql::Settings {
    mysql::Settings::from_url_in(url, &mysql::Environment::empty()).expect("its URL")
}

fn engine(options: impl Into<SessionOptions>) -> MySqlEngine<Clock> {
    MySqlEngine::new(settings(mariadb().url()).into(), Clock(Instant::now()), options)
}

async fn open(engine: &MySqlEngine<Clock>, statements: Vec<StatementPlan>) -> MySqlSession<Clock> {
    engine.connect(statements.into()).await.unwrap_or_else(|error| panic!("cannot connect: {error}"))
}

/// Another application's connection.
async fn admin() -> mysql_async::Conn {
    mysql_async::Conn::from_url(mariadb().url()).await.expect("a connection")
}

/// Executes with these values in the first slots of so many.
async fn execute_with<S: Session>(
    session: &mut S,
    statement: u32,
    frame: &mut Frame,
) -> Result<Reply, ExecError> {
    let mut reply = Reply::default();
    session.execute(StatementId(statement), frame, &mut reply).await.map(|()| reply)
}

fn text_of(frame: &Frame, slot: usize) -> &str {
    let Slot::Text(range) = frame.slots[slot] else { panic!("a text, not {:?}", frame.slots[slot]) };
    frame.arena.str(range)
}

#[test]
fn mariadb_keeps_what_a_session_promises() {
    use mysql_async::prelude::Queryable;
    runtime().block_on(async {
        let mut admin = admin().await;
        let sql = "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(100), amount bigint)";
        admin.query_drop(sql).await.expect("a table");
        for protocol in [Protocol::Prepared, Protocol::Extended, Protocol::Simple] {
            admin.query_drop("TRUNCATE t").await.expect("it is empty");
            all(&engine(protocol), &MARIADB).await;
            nothing_sleeps(&mut admin).await;
        }
    });
}

/// The server looks for the order to end now and then.
async fn nothing_sleeps(admin: &mut mysql_async::Conn) {
    use mysql_async::prelude::Queryable;
    let sleeping = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%sleep(30)%' \
                    AND id <> connection_id()";
    for _ in 0..500 {
        let left: Option<i64> = admin.query_first(sleeping).await.expect("an answer");
        if left == Some(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("what was dropped still runs after ten seconds");
}

#[test]
fn mariadb_refuses_a_wrong_password_a_missing_database_and_a_closed_port() {
    let url = mariadb().url();
    let secret = url.split([':', '@']).nth(2).expect("a password");
    let refused = |url: &str| {
        let engine = MySqlEngine::new(settings(url).into(), Clock(Instant::now()), Protocol::Prepared);
        runtime().block_on(engine.connect(Vec::new().into())).err().expect("refused")
    };
    let error = refused(&url.replace(secret, "wrong"));
    assert_eq!(error.code(), "28000", "{error}");
    assert!(error.hint().expect("a hint").contains("MYSQL_PWD"), "{error}");
    let error = refused(&url.replace("/dbdyno?", "/absent?"));
    assert!(error.hint().expect("a hint").contains("CREATE DATABASE absent"), "{error}");
    let error = refused("mysql://u@127.0.0.1:1/d");
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    let error = runtime().block_on(mysql::connect(&settings(&url.replace(secret, "wrong")), "test"));
    assert_eq!(error.err().expect("refused").code(), "28000");
}

/// One column of each kind.
const KINDS: [(&str, &str); 11] = [
    ("b", "boolean"),
    ("i", "bigint"),
    ("u", "bigint unsigned"),
    ("d", "double"),
    ("n", "decimal(18, 4)"),
    ("ts", "datetime(6)"),
    ("day", "date"),
    ("tm", "time(6)"),
    ("txt", "longtext"),
    ("blb", "longblob"),
    ("uid", "uuid"),
];

/// A statement that inserts a value of each kind from slots 1 to 11 under the number in slot 0, and one that reads them into the slots
/// behind.
fn there_and_back(table: &str) -> Vec<StatementPlan> {
    let columns: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    let columns = columns.join(", ");
    let places: Vec<String> = (1..=KINDS.len() + 1).map(|n| format!("${n}")).collect();
    let insert = format!("INSERT INTO {table} (id, {columns}) VALUES ({})", places.join(", "));
    let select = format!("SELECT id, {columns} FROM {table} WHERE id = $1");
    let outputs: Vec<(&str, u32)> = KINDS.iter().map(|(name, _)| *name).zip(12..).collect();
    vec![plan(&insert, RowsExpected::Any, 12, &[]), plan(&select, RowsExpected::One, 1, &outputs)]
}

/// The values of `frame`, with what they point to.
fn shown(frame: &Frame, slots: std::ops::Range<usize>) -> Vec<String> {
    let show = |slot: &Slot| match slot {
        Slot::Text(range) => format!("{:?}", frame.arena.str(*range)),
        Slot::Bytes(range) => format!("{:?}", frame.arena.get(*range)),
        slot => format!("{slot:?}"),
    };
    frame.slots[slots].iter().map(show).collect()
}

/// What was sent comes back as `expected`, or as it was sent where that is absent.
async fn comes_back(
    session: &mut MySqlSession<Clock>,
    id: i64,
    values: &dyn Fn(&mut Frame) -> [Slot; 11],
    expected: &dyn Fn(&mut Frame, [Slot; 11]) -> [Slot; 11],
) {
    let mut frame = Frame::default();
    frame.reset(12 + KINDS.len());
    frame.slots[0] = Slot::Int(id);
    let sent = values(&mut frame);
    frame.slots[1..12].copy_from_slice(&sent);
    execute_with(session, 0, &mut frame).await.unwrap_or_else(|error| panic!("row {id}: {error}"));
    execute_with(session, 1, &mut frame).await.unwrap_or_else(|error| panic!("row {id}: {error}"));
    let expected = expected(&mut frame, sent);
    frame.slots[1..12].copy_from_slice(&expected);
    assert_eq!(shown(&frame, 12..23), shown(&frame, 1..12), "row {id}");
}

#[test]
fn mariadb_gives_back_every_value_as_it_went() {
    use mysql_async::prelude::Queryable;
    let as_text = |frame: &mut Frame, mut slots: [Slot; 11]| {
        // A boolean is a small integer, and a UUID comes as its text.
        if let Slot::Bool(value) = slots[0] {
            slots[0] = Slot::Int(value.into());
        }
        if let Slot::Uuid(_) = slots[10] {
            slots[10] = frame.arena.text("00112233-4455-6677-8899-aabbccddeeff");
        }
        slots
    };
    runtime().block_on(async {
        let mut admin = admin().await;
        for protocol in [Protocol::Prepared, Protocol::Extended, Protocol::Simple] {
            let table = format!("kinds_{protocol}");
            let columns: Vec<String> =
                KINDS.iter().map(|(name, of_type)| format!("{name} {of_type}")).collect();
            let sql = format!("CREATE TABLE {table} (id int PRIMARY KEY, {})", columns.join(", "));
            admin.query_drop(on_this_server(&sql)).await.expect("a table");
            let mut session = open(&engine(protocol), there_and_back(&table)).await;
            comes_back(&mut session, 0, &|_| [Slot::Null; 11], &as_text).await;
            let usual = |frame: &mut Frame| {
                let (time, text) =
                    (frame.arena.text("-26:03:04"), frame.arena.text("it's a \\ \"größer\" 🐬"));
                [
                    Slot::Bool(true),
                    Slot::Int(-5),
                    Slot::Int(7),
                    Slot::Float(-1.25e-7),
                    Slot::Decimal { unscaled: -12_345_678, scale: 4 },
                    Slot::Timestamp(1_700_000_000_123_456),
                    Slot::Date(20_000),
                    time,
                    text,
                    frame.arena.bytes(&[0, 39, 92, 255]),
                    Slot::Uuid(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
                ]
            };
            let fractions = |frame: &mut Frame, slots: [Slot; 11]| {
                let mut slots = as_text(frame, slots);
                // The text form shows all digits that the column has.
                if protocol == Protocol::Simple {
                    slots[7] = frame.arena.text("-26:03:04.000000");
                }
                slots
            };
            comes_back(&mut session, 1, &usual, &fractions).await;
            let extreme = |frame: &mut Frame| {
                let (largest, empty) = (frame.arena.text("18446744073709551615"), frame.arena.text(""));
                [
                    Slot::Bool(false),
                    Slot::Int(i64::MIN),
                    largest,
                    Slot::Float(f64::MAX),
                    Slot::Decimal { unscaled: 999_999_999_999_999_999, scale: 4 },
                    Slot::Timestamp(-1),
                    Slot::Date(-1),
                    Slot::Null,
                    empty,
                    frame.arena.bytes(&[]),
                    Slot::Null,
                ]
            };
            comes_back(&mut session, 2, &extreme, &as_text).await;
            for (id, len) in (3..).zip([250, 251, 252, 65_535, 65_536, 1_100_000]) {
                let long = |frame: &mut Frame| {
                    let mut slots = [Slot::Null; 11];
                    slots[8] = frame.arena.text(&"ü".repeat(len / 2));
                    slots[9] = frame.arena.bytes(&vec![b'\''; len]);
                    slots
                };
                comes_back(&mut session, id, &long, &as_text).await;
            }
        }
    });
}

/// MariaDB describes the columns of what is prepared only when they are others than before.
#[test]
fn mariadb_tells_of_columns_that_have_become_others() {
    use mysql_async::prelude::Queryable;
    runtime().block_on(async {
        let mut admin = admin().await;
        for protocol in [Protocol::Prepared, Protocol::Extended, Protocol::Simple] {
            let table = format!("others_{protocol}");
            let sql =
                format!("CREATE TABLE {table} (id int PRIMARY KEY, one int NOT NULL, two int NOT NULL)");
            admin.query_drop(sql).await.expect("a table");
            admin.query_drop(format!("INSERT INTO {table} VALUES (1, 11, 12)")).await.expect("a row");
            let find = format!("SELECT one, two FROM {table} WHERE id = $1");
            // The type of what it gives is that of what it is given.
            let repeat = "SELECT $1 AS one, 2 AS two FROM (SELECT 1 AS n) AS nothing";
            let plans = [&find, repeat].map(|sql| plan(sql, RowsExpected::One, 1, &[("two", 2), ("one", 1)]));
            let mut session = open(&engine(protocol), plans.to_vec()).await;
            let mut frame = Frame::default();
            let mut look = async |statement: u32, given: &dyn Fn(&mut Frame) -> Slot| {
                frame.reset(3);
                frame.slots[0] = given(&mut frame);
                let reply = execute_with(&mut session, statement, &mut frame).await.expect("a row");
                (shown(&frame, 1..3), reply.bytes)
            };
            let one = |_: &mut Frame| Slot::Int(1);
            let (first, usual) = look(0, &one).await;
            assert_eq!(first, ["Int(11)", "Int(12)"], "{protocol}");
            assert_eq!(look(0, &one).await, (first, usual), "{protocol}");
            let sql =
                format!("ALTER TABLE {table} MODIFY one varchar(20) NOT NULL, MODIFY two double NOT NULL");
            admin.query_drop(sql).await.expect("other types");
            let (altered, described) = look(0, &one).await;
            assert_eq!(altered, ["\"11\"", "Float(12.0)"], "{protocol}");
            let (again, undescribed) = look(0, &one).await;
            assert_eq!(again, altered, "{protocol}");
            if protocol == Protocol::Prepared && !is_mysql() {
                assert!(
                    undescribed * 2 < described,
                    "{undescribed} bytes, and {described} with descriptions"
                );
            }
            // To MySQL a parameter stays what its first value made of it.
            if is_mysql() {
                continue;
            }
            for _ in 0..2 {
                assert_eq!(look(1, &one).await.0, ["Int(1)", "Int(2)"], "{protocol}");
                let text = |frame: &mut Frame| frame.arena.text("a text");
                assert_eq!(look(1, &text).await.0, ["\"a text\"", "Int(2)"], "{protocol}");
                assert_eq!(look(1, &|_| Slot::Null).await.0, ["Null", "Int(2)"], "{protocol}");
                assert_eq!(look(1, &text).await.0, ["\"a text\"", "Int(2)"], "{protocol}");
            }
        }
    });
}

/// What PREPARE tells nothing of, and what a procedure gives, has its columns described when it is executed.
#[test]
fn mariadb_tells_of_columns_that_prepare_does_not_know() {
    use mysql_async::prelude::Queryable;
    runtime().block_on(async {
        let mut admin = admin().await;
        admin
            .query_drop(
                "CREATE PROCEDURE two_results () BEGIN SELECT 1 AS one, 'a' AS two; SELECT 2.5 AS two; END",
            )
            .await
            .expect("a procedure");
        for protocol in [Protocol::Prepared, Protocol::Extended, Protocol::Simple] {
            let table = format!("later_{protocol}");
            let sql =
                format!("CREATE TABLE {table} (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20) UNIQUE)");
            admin.query_drop(sql).await.expect("a table");
            let mut plans = vec![plan("CALL two_results()", RowsExpected::Any, 0, &[("two", 1)])];
            if !is_mysql() {
                let sql = format!("INSERT INTO {table} (name) VALUES ($1) RETURNING id AS one, name AS two");
                plans.push(plan(&sql, RowsExpected::One, 1, &[("one", 1), ("two", 2)]));
            }
            let mut session = open(&engine(protocol), plans).await;
            let mut frame = Frame::default();
            for _ in 0..3 {
                frame.reset(3);
                execute_with(&mut session, 0, &mut frame).await.expect("two results");
                assert_eq!(shown(&frame, 1..2), ["\"a\""], "the first row of all: {protocol}");
            }
            if is_mysql() {
                continue;
            }
            for (name, taken) in [("x", false), ("y", false), ("y", true), ("z", false)] {
                frame.reset(3);
                frame.slots[0] = frame.arena.text(name);
                let inserted = execute_with(&mut session, 1, &mut frame).await;
                assert_eq!(inserted.is_err(), taken, "{protocol}: {inserted:?}");
                if !taken {
                    assert_eq!(shown(&frame, 2..3), [format!("{name:?}")], "{protocol}");
                    assert!(matches!(frame.slots[1], Slot::Int(_)), "{protocol}: {frame:?}");
                }
            }
        }
    });
}

#[test]
fn mariadb_carries_what_is_longer_than_a_packet() {
    use mysql_async::prelude::Queryable;
    const LEN: usize = 17 * 1024 * 1024;
    let statements = || {
        vec![
            plan("SELECT length($1) AS n", RowsExpected::One, 1, &[("n", 1)]),
            plan("SELECT repeat('x', $1) AS big, 7 AS n", RowsExpected::One, 1, &[("big", 1), ("n", 2)]),
        ]
    };
    runtime().block_on(async {
        let mut admin = admin().await;
        let mut frame = Frame::default();
        frame.reset(3);
        let long = frame.arena.text(&"y".repeat(LEN));
        frame.slots[0] = long;
        let mut narrow = open(&engine(Protocol::Prepared), statements()).await;
        let error = execute_with(&mut narrow, 0, &mut frame).await.expect_err("it is too long");
        assert!(error.to_string().contains("max_allowed_packet"), "{error}");
        assert!(narrow.usable(), "nothing was sent");
        admin.query_drop("SET GLOBAL max_allowed_packet = 134217728").await.expect("it is set");
        let mut wide = open(&engine(Protocol::Prepared), statements()).await;
        let mut simple = open(&engine(Protocol::Simple), statements()).await;
        admin.query_drop("SET GLOBAL max_allowed_packet = 16777216").await.expect("it is set");
        for session in [&mut wide, &mut simple] {
            frame.slots[0] = long;
            execute_with(session, 0, &mut frame).await.expect("it is taken");
            assert_eq!(frame.slots[1], Slot::Int(i64::try_from(LEN).expect("small")));
            frame.slots[0] = Slot::Int(i64::try_from(LEN).expect("small"));
            let reply = execute_with(session, 1, &mut frame).await.expect("it comes");
            assert_eq!((text_of(&frame, 1).len(), frame.slots[2]), (LEN, Slot::Int(7)));
            assert!(reply.bytes > LEN as u64);
            // What is too large to be held passes by, and the session goes on.
            frame.slots[0] = Slot::Int(70 * 1024 * 1024);
            let error = execute_with(session, 1, &mut frame).await.expect_err("it is not held");
            assert!(error.to_string().contains("up to 64 MiB"), "{error}");
            assert!(session.usable());
        }
    });
}

#[test]
fn mariadb_ends_a_statement_that_takes_too_long() {
    let options =
        SessionOptions { statement_timeout: Some(Duration::from_millis(150)), ..SessionOptions::default() };
    runtime().block_on(async {
        // MySQL limits what reads only, in milliseconds, and lets a sleep that is all of a statement end by itself.
        let (takes_long, limit, code) = if is_mysql() {
            let sql = "SELECT 1 FROM (SELECT 1 AS n UNION SELECT 2) AS two WHERE sleep(30)";
            (sql, "SELECT @@max_execution_time AS n", "(error 3024)")
        } else {
            ("SELECT sleep(30)", "SELECT @@max_statement_time AS n", "(error 1969)")
        };
        let statements =
            vec![plan(takes_long, RowsExpected::Any, 0, &[]), plan(limit, RowsExpected::One, 0, &[("n", 0)])];
        let mut session = open(&engine(options), statements).await;
        let error = execute(&mut session, 0, 0).await.0.expect_err("it takes too long");
        assert_eq!(error.code(), "57014", "{error}");
        assert!(error.to_string().contains(code) && session.usable(), "{error}");
        let mut frame = Frame::default();
        frame.reset(1);
        execute_with(&mut session, 1, &mut frame).await.expect("it goes on");
        if is_mysql() {
            assert_eq!(frame.slots[0], Slot::Int(150));
        } else {
            assert!(matches!(frame.slots[0], Slot::Float(limit) if (limit - 0.15).abs() < 1e-9), "{frame:?}");
        }
    });
}

#[test]
fn mariadb_isolates_as_it_is_asked() {
    use mysql_async::prelude::Queryable;
    runtime().block_on(async {
        let mut admin = admin().await;
        admin.query_drop("CREATE TABLE isolated (id int PRIMARY KEY)").await.expect("a table");
        let statements = vec![plan("SELECT count(*) AS n FROM isolated", RowsExpected::One, 0, &[("n", 0)])];
        let mut session = open(&engine(Protocol::Prepared), statements).await;
        let mut frame = Frame::default();
        frame.reset(1);
        for (id, isolation, sees) in
            [(1, IsolationLevel::ReadCommitted, true), (2, IsolationLevel::RepeatableRead, false)]
        {
            let begin = Begin { isolation: Some(isolation), read_only: true, ..Begin::default() };
            control(&mut session, Control::Begin(begin)).await.expect("begun");
            execute_with(&mut session, 0, &mut frame).await.expect("a number");
            let before = frame.slots[0];
            admin.query_drop(format!("INSERT INTO isolated VALUES ({id})")).await.expect("inserted");
            execute_with(&mut session, 0, &mut frame).await.expect("a number");
            assert_eq!(frame.slots[0] != before, sees, "{isolation:?}");
            control(&mut session, Control::Commit).await.expect("committed");
        }
    });
}

#[test]
fn mariadb_sets_for_one_transaction_and_sets_back() {
    let setting = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let options = |list| SessionOptions { settings: vec![list].into(), ..SessionOptions::default() };
    runtime().block_on(async {
        let asked = plan("SELECT @@sort_buffer_size AS n", RowsExpected::One, 0, &[("n", 0)]);
        let mut session =
            open(&engine(options(setting("sort_buffer_size", "131072"))), vec![asked.clone()]).await;
        let mut frame = Frame::default();
        frame.reset(1);
        execute_with(&mut session, 0, &mut frame).await.expect("a number");
        let usual = frame.slots[0];
        let begin = Control::Begin(Begin { settings: Some(0), ..Begin::default() });
        for end in [Control::Commit, Control::Rollback] {
            control(&mut session, begin).await.expect("begun");
            execute_with(&mut session, 0, &mut frame).await.expect("a number");
            assert_eq!(frame.slots[0], Slot::Int(131_072));
            control(&mut session, end).await.expect("ended");
            assert!(session.usable());
            execute_with(&mut session, 0, &mut frame).await.expect("a number");
            assert_eq!(frame.slots[0], usual, "{end:?}");
        }
        let unknown = engine(options(setting("no_such_setting", "1")));
        let error = unknown.connect(Vec::new().into()).await.err().expect("there is none");
        assert!(error.to_string().contains("no_such_setting"), "{error}");
        // What every session begins with, and what the user sets above it.
        let own = settings(mariadb().url()).with_session_settings(&setting("sort_buffer_size", "65536"));
        let engine = MySqlEngine::new(own.into(), Clock(Instant::now()), Protocol::Prepared);
        let mut session = open(&engine, vec![asked]).await;
        execute_with(&mut session, 0, &mut frame).await.expect("a number");
        assert_eq!(frame.slots[0], Slot::Int(65_536));
    });
}

#[test]
fn mariadb_reads_literals_as_they_were_meant_whatever_its_mode() {
    let echo = plan("SELECT $1 AS said", RowsExpected::One, 1, &[("said", 1)]);
    let mode = ("sql_mode".to_owned(), "NO_BACKSLASH_ESCAPES,ANSI_QUOTES".to_owned());
    runtime().block_on(async {
        for modes in [vec![], vec![mode]] {
            let own = settings(mariadb().url()).with_session_settings(&modes);
            let engine = MySqlEngine::new(own.into(), Clock(Instant::now()), Protocol::Simple);
            let mut session = open(&engine, vec![echo.clone()]).await;
            for said in ["plain", "it's", "\\", "\\'", "'; DROP TABLE t; -- ", "a\0b", "\"q\" %_"] {
                let mut frame = Frame::default();
                frame.reset(2);
                frame.slots[0] = frame.arena.text(said);
                execute_with(&mut session, 0, &mut frame).await.expect("an answer");
                assert_eq!(text_of(&frame, 1), said, "{modes:?}");
            }
        }
    });
}

#[test]
fn mariadb_runs_a_script_and_takes_its_last_row() {
    let mut script = plan(
        "SELECT $1 AS a, 'x' AS b; SELECT 0.5e0 AS a, NULL AS b UNION ALL SELECT 2.5e0, NULL",
        RowsExpected::Any,
        1,
        &[("a", 1), ("b", 2), ("absent", 3)],
    );
    script.substitution = Substitution::Raw;
    let called = plan("CALL twice()", RowsExpected::Any, 0, &[]);
    runtime().block_on(async {
        use mysql_async::prelude::Queryable;
        let mut admin = admin().await;
        admin
            .query_drop("CREATE PROCEDURE twice() BEGIN SELECT 1; SELECT 2; END")
            .await
            .expect("a procedure");
        let mut session = open(&engine(Protocol::Simple), vec![script]).await;
        let mut frame = Frame::default();
        frame.reset(4);
        frame.slots[0] = frame.arena.text("1 + 1");
        frame.slots[3] = Slot::Int(9);
        let reply = execute_with(&mut session, 0, &mut frame).await.expect("an answer");
        assert_eq!((reply.rows, text_of(&frame, 1), text_of(&frame, 2)), (3, "2.5e0", ""));
        assert_eq!(frame.slots[3], Slot::Int(9), "it keeps its value");
        // A procedure's results are drained.
        let mut session = open(&engine(Protocol::Prepared), vec![called]).await;
        for _ in 0..2 {
            assert_eq!(execute_with(&mut session, 0, &mut frame).await.expect("called").rows, 2);
            assert!(session.usable());
        }
    });
}

#[test]
fn mariadb_tells_when_a_lock_is_waited_for_too_long() {
    use mysql_async::prelude::Queryable;
    runtime().block_on(async {
        let mut admin = admin().await;
        for sql in [
            "CREATE TABLE held (id int PRIMARY KEY, n int)",
            "INSERT INTO held VALUES (1, 0)",
            "BEGIN",
            "UPDATE held SET n = 1",
        ] {
            admin.query_drop(sql).await.expect("it is held");
        }
        let wait = vec![("innodb_lock_wait_timeout".to_owned(), "1".to_owned())];
        let own = settings(mariadb().url()).with_session_settings(&wait);
        let engine = MySqlEngine::new(own.into(), Clock(Instant::now()), Protocol::Prepared);
        let change = plan("UPDATE held SET n = n WHERE id = $1", RowsExpected::Any, 1, &[]);
        let mut session = open(&engine, vec![change]).await;
        let error = execute(&mut session, 0, 1).await.0.expect_err("it is held");
        assert_eq!(error.code(), "55P03", "{error}");
        assert!(error.to_string().contains("(error 1205)") && session.usable(), "{error}");
        admin.query_drop("ROLLBACK").await.expect("it is free");
        // A row that is found and stays as it is counts as one that was changed.
        assert_eq!(execute(&mut session, 0, 1).await.0.expect("it is free").rows, 1);
    });
}

#[test]
fn mariadb_says_that_a_connection_was_killed() {
    use mysql_async::prelude::Queryable;
    let statements = || vec![plan("SELECT sleep(20)", RowsExpected::Any, 0, &[])];
    runtime().block_on(async {
        let mut admin = admin().await;
        let engine = engine(Protocol::Prepared);
        let mut session = open(&engine, statements()).await;
        assert!(session.socket().is_some());
        let id = session.backend().0;
        admin.query_drop(format!("KILL CONNECTION {id}")).await.expect("killed");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let error = execute(&mut session, 0, 0).await.0.expect_err("it is gone");
        assert!(!error.session_survives() && !session.usable(), "{error}");

        let mut session = open(&engine, statements()).await;
        let id = session.backend().0;
        let (answer, ()) = tokio::join!(execute(&mut session, 0, 0), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            admin.query_drop(format!("KILL CONNECTION {id}")).await.expect("killed");
        });
        let error = answer.0.expect_err("it is gone");
        assert!(!error.session_survives() && !session.usable(), "{error}");
    });
}

#[test]
fn mariadb_lets_in_without_a_password_and_without_a_database() {
    use mysql_async::prelude::Queryable;
    runtime().block_on(async {
        let mut admin = admin().await;
        admin.query_drop("CREATE USER nobody@'%' IDENTIFIED BY ''").await.expect("a user");
        let place = mariadb().url().split(['@', '/']).nth(3).expect("a host and a port");
        let own = settings(&format!("mysql://nobody@{place}"));
        let asked =
            plan("SELECT current_user() AS a, database() AS b", RowsExpected::One, 0, &[("a", 0), ("b", 1)]);
        let engine = MySqlEngine::new(own.clone().into(), Clock(Instant::now()), Protocol::Prepared);
        let mut session = open(&engine, vec![asked]).await;
        let mut frame = Frame::default();
        frame.reset(2);
        execute_with(&mut session, 0, &mut frame).await.expect("an answer");
        assert_eq!((text_of(&frame, 0), frame.slots[1]), ("nobody@%", Slot::Null));
        let client = mysql::connect(&own, "test").await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(client.is_mariadb(), !is_mysql());
        assert!(client.version() >= if is_mysql() { (8, 4, 0) } else { (10, 0, 0) });
    });
}

/// Certificates in a folder that the server's user may read: of an authority, of a server `localhost` signed by it, of a stranger.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("it is ours");
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).expect("it can be written");
        };
        let authority = || {
            let key = rcgen::KeyPair::generate().expect("a key");
            let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).expect("a certificate");
            (certificate.pem(), rcgen::Issuer::new(params, key))
        };
        let (trusted, issuer) = authority();
        write("authority.pem", trusted);
        write("stranger.pem", authority().0);
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        write("server.pem", params.signed_by(&key, &issuer).expect("a certificate").pem());
        write("key.pem", key.serialize_pem());
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// Whether the measured session and the full client speak TLS under this URL.
async fn speak_tls(url: &str) -> Result<[bool; 2], ConnectError> {
    let sql = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
    let asked = plan(sql, RowsExpected::One, 0, &[("Value", 0)]);
    let engine = MySqlEngine::new(settings(url).into(), Clock(Instant::now()), Protocol::Prepared);
    let mut session = engine.connect(vec![asked].into()).await?;
    let mut frame = Frame::default();
    frame.reset(1);
    execute_with(&mut session, 0, &mut frame).await.expect("an answer");
    let client = mysql::connect(&settings(url), "test").await?;
    let rows = client.rows(sql).await.expect("an answer");
    let cipher: String = rows[0].get(1).expect("two columns");
    Ok([!text_of(&frame, 0).is_empty(), !cipher.is_empty()])
}

#[test]
fn mariadb_is_reached_over_tls_as_it_is_asked() {
    let certificates = Certificates::make();
    let file = |setting: &str, name: &str| (setting.to_owned(), certificates.path(name));
    let files = vec![file("ssl-cert", "server.pem"), file("ssl-key", "key.pem")];
    let options = LocalOptions { settings: files, ..local_options() };
    let authority = format!("ssl-ca={}", certificates.path("authority.pem"));
    let stranger = format!("ssl-ca={}", certificates.path("stranger.pem"));
    runtime().block_on(async {
        let server = start_mysql(&options).await.unwrap_or_else(|error| panic!("{error}"));
        let by_address = |parameters: &str| format!("{}&{parameters}", server.url());
        let by_name = |parameters: &str| by_address(parameters).replace("@127.0.0.1:", "@localhost:");
        for (url, expected) in [
            (by_address("ssl-mode=disabled"), false),
            (by_address("connect_timeout=5"), true),
            (by_address("ssl-mode=required"), true),
            (by_name(&format!("ssl-mode=verify-ca&{authority}")), true),
            (by_name(&format!("ssl-mode=verify-identity&{authority}")), true),
        ] {
            if is_mysql() {
                // It forgets what it knows of passwords: the whole exchange is gone through, over TLS, and by its key without.
                use mysql_async::prelude::Queryable;
                let mut conn = mysql_async::Conn::from_url(server.url()).await.expect("a connection");
                conn.query_drop("FLUSH PRIVILEGES").await.expect("forgotten");
                conn.disconnect().await.expect("an orderly end");
            }
            let spoken = speak_tls(&url).await.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(spoken, [expected; 2], "{url}");
        }
        // The measured session asks for no name where none is to be verified; the full client does.
        let unnamed = by_address(&format!("ssl-mode=verify-ca&{authority}"));
        let engine = MySqlEngine::new(settings(&unnamed).into(), Clock(Instant::now()), Protocol::Prepared);
        open(&engine, Vec::new()).await;
        let refused = mysql::connect(&settings(&unnamed), "test").await.err().expect("it has another name");
        assert!(refused.to_string().contains("not valid for name"), "{refused}");
        for url in [
            by_address(&format!("ssl-mode=verify-identity&{authority}")),
            by_address(&format!("ssl-mode=verify-ca&{stranger}")),
            by_address("ssl-mode=verify-ca"),
            by_address("ssl-ca=/does/not/exist.pem"),
            format!("{}&ssl-mode=required", mariadb().url()),
        ] {
            let refused = speak_tls(&url).await.expect_err("it is not what was asked for");
            assert!(matches!(refused, ConnectError::Tls { .. }), "{url}: {refused}");
            let refused = mysql::connect(&settings(&url), "test").await.err().expect("the same");
            assert!(matches!(refused, ConnectError::Tls { .. }), "{url}: {refused}");
        }
        server.stop().await.expect("it stops");
    });
}
