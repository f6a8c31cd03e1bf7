//! The measured session and the full client against a real server: who gets in and how, what values become, what errors
//! leave behind.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dbdyno::db::postgres::{Environment, PgEngine, PgSession, Settings, connect, server_version};
use dbdyno::db::{
    Begin, ConnectError, Control, Engine, ExecError, IsolationLevel, Now, Place, Protocol, QueuedOutcome,
    Reply, RowsExpected, Session as _, SessionOptions, StatementPlan, Substitution,
};
use dbdyno::local::{LocalServer, start_postgres};
use dbdyno::sql::values::{Frame, Slot};
use dbdyno::units::{SlotId, Stamp, StatementId};

use crate::harness::{Database, Session, local_options, runtime, server, wait_until};

#[derive(Clone)]
struct Clock(Instant);

impl Now for Clock {
    fn now(&self) -> Stamp {
        Stamp(u64::try_from(self.0.elapsed().as_nanos()).expect("a test ends within centuries"))
    }
}

type Measured = PgSession<Clock>;

fn settings(url: &str) -> Arc<Settings> {
    Arc::new(Settings::from_url_in(url, &Environment::empty()).unwrap_or_else(|error| panic!("{error}")))
}

const PROTOCOLS: [Protocol; 3] = [Protocol::Simple, Protocol::Extended, Protocol::Prepared];

async fn try_open(url: &str, statements: Vec<StatementPlan>) -> Result<Measured, ConnectError> {
    try_open_in(Protocol::Prepared, url, statements).await
}

async fn try_open_in(
    protocol: Protocol,
    url: &str,
    statements: Vec<StatementPlan>,
) -> Result<Measured, ConnectError> {
    PgEngine::new(settings(url), Clock(Instant::now()), protocol).connect(statements.into()).await
}

async fn open_in(protocol: Protocol, url: &str, statements: Vec<StatementPlan>) -> Measured {
    let session = try_open_in(protocol, url, statements).await;
    session.unwrap_or_else(|error| panic!("cannot connect in the {protocol} protocol: {error}"))
}

async fn open(url: &str, statements: Vec<StatementPlan>) -> Measured {
    try_open(url, statements).await.unwrap_or_else(|error| panic!("cannot connect: {error}"))
}

/// A statement with its parameters in slots 0, 1, … and its outputs in those behind them.
fn plan(sql: &str, rows: RowsExpected, inputs: u32, outputs: &[&str]) -> StatementPlan {
    let slots = inputs..;
    let sql = format!("/*dbdyno:test.statement*/ {sql}");
    StatementPlan {
        rows,
        inputs: (0..inputs).map(SlotId).collect(),
        outputs: outputs.iter().map(|name| (*name).to_owned()).zip(slots.map(SlotId)).collect(),
        places: places(&sql),
        substitution: Substitution::Literal,
        sql,
    }
}

/// Where the parameters stand in a text that has `$1`, `$2`, … nowhere else.
pub fn places(sql: &str) -> Vec<Place> {
    sql.match_indices('$')
        .filter_map(|(at, _)| {
            let digits = sql[at + 1..].chars().take_while(char::is_ascii_digit).count();
            let number: usize = sql[at + 1..=at + digits].parse().ok()?;
            Some(Place { range: at..at + 1 + digits, input: number - 1 })
        })
        .collect()
}

fn any(sql: &str) -> StatementPlan {
    plan(sql, RowsExpected::Any, 0, &[])
}

async fn execute(session: &mut Measured, index: u32, frame: &mut Frame) -> (Result<(), ExecError>, Reply) {
    let mut reply = Reply::default();
    (session.execute(StatementId(index), frame, &mut reply).await, reply)
}

/// Executes a statement without parameters.
async fn run(session: &mut Measured, index: u32) -> Result<Reply, ExecError> {
    let (result, reply) = execute(session, index, &mut Frame::default()).await;
    result.map(|()| reply)
}

async fn control(session: &mut Measured, what: Control) -> Result<(), ExecError> {
    session.control(what, &mut Reply::default()).await
}

/// A value in a form that two frames can be compared by.
fn shown(frame: &Frame, slot: usize) -> String {
    match frame.slots[slot] {
        Slot::Text(range) => format!("Text({})", frame.arena.str(range)),
        Slot::Bytes(range) => format!("Bytes({:?})", frame.arena.get(range)),
        other => format!("{other:?}"),
    }
}

/// A type, what makes the value, and what the server shows of it.
type Case = (&'static str, fn(&mut Frame) -> Slot, &'static str);

const UUID: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;

/// Values that come back as they went.
const ROUND_TRIPS: &[Case] = &[
    ("boolean", |_| Slot::Bool(true), "true"),
    ("boolean", |_| Slot::Bool(false), "false"),
    ("smallint", |_| Slot::Int(-32_768), "-32768"),
    ("integer", |_| Slot::Int(2_147_483_647), "2147483647"),
    ("bigint", |_| Slot::Int(i64::MIN), "-9223372036854775808"),
    ("oid", |_| Slot::Int(4_294_967_295), "4294967295"),
    ("real", |_| Slot::Float(1.5), "1.5"),
    ("double precision", |_| Slot::Float(-0.1), "-0.1"),
    ("double precision", |_| Slot::Float(f64::INFINITY), "Infinity"),
    ("numeric(12,2)", |_| Slot::Decimal { unscaled: -5, scale: 2 }, "-0.05"),
    ("numeric", |_| Slot::Decimal { unscaled: i64::MAX, scale: 18 }, "9.223372036854775807"),
    ("timestamptz", |_| Slot::Timestamp(1_000_001), "1970-01-01 00:00:01.000001+00"),
    ("timestamp", |_| Slot::Timestamp(-1), "1969-12-31 23:59:59.999999"),
    ("date", |_| Slot::Date(20_000), "2024-10-04"),
    ("date", |_| Slot::Date(-1), "1969-12-31"),
    ("uuid", |_| Slot::Uuid(UUID), "00112233-4455-6677-8899-aabbccddeeff"),
    ("text", |frame| frame.arena.text("größer :x 'y'"), "größer :x 'y'"),
    ("varchar(9)", |frame| frame.arena.text(""), ""),
    ("bytea", |frame| frame.arena.bytes(&[0, 255, 7]), "\\x00ff07"),
    ("jsonb", |frame| frame.arena.text("{\"a\": [1, null]}"), "{\"a\": [1, null]}"),
    ("json", |frame| frame.arena.text("[1,2]"), "[1,2]"),
    ("mood", |frame| frame.arena.text("calm"), "calm"),
    ("interval", |frame| frame.arena.text("1 day"), "1 day"),
    ("inet", |frame| frame.arena.text("10.0.0.0/8"), "10.0.0.0/8"),
    ("integer[]", |frame| frame.arena.text("{1,2}"), "{1,2}"),
    ("timestamptz", |frame| frame.arena.text("infinity"), "infinity"),
    ("numeric", |frame| frame.arena.text("NaN"), "NaN"),
];

/// Values that are sent as another type, as an application would.
const CONVERSIONS: &[Case] = &[
    ("integer", |frame| frame.arena.text("42"), "42"),
    ("integer", |_| Slot::Decimal { unscaled: 42, scale: 0 }, "42"),
    ("double precision", |_| Slot::Int(3), "3"),
    ("numeric", |_| Slot::Int(i64::MIN), "-9223372036854775808"),
    ("numeric", |_| Slot::Float(0.25), "0.25"),
    ("text", |_| Slot::Int(7), "7"),
    ("text", |_| Slot::Uuid(UUID), "00112233-4455-6677-8899-aabbccddeeff"),
    ("text", |_| Slot::Date(0), "1970-01-01"),
    ("timestamptz", |_| Slot::Date(1), "1970-01-02 00:00:00+00"),
    ("happening", |_| Slot::Timestamp(1_000_000), "1970-01-01 00:00:01+00"),
    ("jsonb", |_| Slot::Bool(true), "true"),
];

#[test]
fn a_value_of_every_type_arrives_and_comes_back() {
    let database = Database::empty();
    database.execute("CREATE TYPE mood AS ENUM ('calm', 'glad'); CREATE DOMAIN happening AS timestamptz");
    let cases: Vec<&Case> = ROUND_TRIPS.iter().chain(CONVERSIONS).collect();
    let statements: Vec<StatementPlan> = cases
        .iter()
        .map(|(kind, _, _)| {
            let sql = format!("SELECT $1::{kind} AS value, ($1::{kind})::text AS shown");
            plan(&sql, RowsExpected::One, 1, &["value", "shown"])
        })
        .collect();
    runtime().block_on(async {
        for protocol in PROTOCOLS {
            // The text of a timestamp depends on it.
            let url = format!("{}&options=-c%20timezone%3DUTC", database.url());
            let mut session = open_in(protocol, &url, statements.clone()).await;
            for (index, (kind, make, text)) in (0..).zip(&cases) {
                let mut frame = Frame::default();
                frame.reset(3);
                frame.slots[0] = make(&mut frame);
                let sent = shown(&frame, 0);
                let (result, _) = execute(&mut session, index, &mut frame).await;
                result.unwrap_or_else(|error| panic!("{protocol}: {sent} as {kind}: {error}"));
                let seen = format!("Text({text})");
                assert_eq!(shown(&frame, 2), seen, "{protocol}: {sent} as {kind}, as the server sees it");
                if (index as usize) < ROUND_TRIPS.len() {
                    assert_eq!(shown(&frame, 1), sent, "{protocol}: {kind}");
                }

                frame.slots[0] = Slot::Null;
                execute(&mut session, index, &mut frame).await.0.expect("NULL fits every type");
                assert_eq!(frame.slots[1], Slot::Null, "{protocol}: {kind}");
            }
        }
    });
}

/// What could break out of a literal, and what the server could read as something else.
#[test]
fn every_text_is_the_same_text_on_the_server() {
    let nasty = [
        "it's",
        "'",
        "''",
        "\\",
        "\\'",
        "'; DROP TABLE t; --",
        "\\'; DROP TABLE t; --",
        "$1",
        "$$",
        "$a$ x $a$",
        "/* */",
        "--",
        "%s",
        ":name",
        "\n\r\t\u{1}",
        "größer ≠ 𝛀",
        "E'\\x41'",
        "\\x00",
        "\\000",
        " ",
        "",
        "NULL",
        "\u{feff}'\u{2019}",
    ];
    let database = Database::empty();
    database.execute("CREATE TABLE t (id integer)");
    let statements = [
        plan(
            "SELECT $1::text AS same, octet_length($1) AS length",
            RowsExpected::One,
            1,
            &["same", "length"],
        ),
        plan("SELECT ($1::text[])[1]AS same, 1 AS length", RowsExpected::One, 1, &["same", "length"]),
    ];
    runtime().block_on(async {
        for conforming in ["on", "off"] {
            let url = format!("{}&options=-c%20standard_conforming_strings%3D{conforming}", database.url());
            for protocol in PROTOCOLS {
                let mut session = open_in(protocol, &url, statements.to_vec()).await;
                for text in nasty {
                    let mut frame = Frame::default();
                    frame.reset(3);
                    frame.slots[0] = frame.arena.text(text);
                    execute(&mut session, 0, &mut frame)
                        .await
                        .0
                        .unwrap_or_else(|error| panic!("{text}: {error}"));
                    assert_eq!(shown(&frame, 1), format!("Text({text})"), "{protocol}");
                    assert_eq!(
                        frame.slots[2],
                        Slot::Int(text.len().try_into().expect("short")),
                        "{protocol}: {text}"
                    );
                }
                let mut frame = Frame::default();
                frame.reset(3);
                frame.slots[0] = frame.arena.text("{\"it's\",b}");
                execute(&mut session, 1, &mut frame).await.0.expect("an array");
                assert_eq!(shown(&frame, 1), "Text(it's)", "{protocol}");
                // No text of the server can hold it: whoever sees it first refuses it, and the session goes on.
                frame.slots[0] = frame.arena.text("a\0b");
                let error = execute(&mut session, 0, &mut frame).await.0.expect_err("a zero byte");
                let code = if protocol == Protocol::Simple { "bad_value" } else { "22021" };
                assert_eq!(error.code(), code, "{protocol}: {error}");
                assert!(session.usable());
            }
        }
    });
    assert_eq!(database.value("SELECT count(*) FROM t"), "0", "the table is there");
}

#[test]
fn nothing_stays_on_the_server_but_what_was_prepared() {
    const COUNT: &str = "SELECT count(*) AS n FROM pg_prepared_statements";
    let server = server();
    runtime().block_on(async {
        for (protocol, expected) in PROTOCOLS.into_iter().zip([0, 0, 2]) {
            let statements = vec![plan(COUNT, RowsExpected::One, 0, &["n"]), any("SELECT 1")];
            let mut session = open_in(protocol, server.url(), statements).await;
            run(&mut session, 1).await.expect("a row");
            let mut frame = Frame::default();
            frame.reset(1);
            execute(&mut session, 0, &mut frame).await.0.expect("a row");
            assert_eq!(frame.slots[0], Slot::Int(expected), "{protocol}");
        }
    });
}

/// As pgbench does it: several statements in one text, values as they are, outputs of the last row of the last result.
#[test]
fn plain_text_may_hold_what_cannot_be_prepared() {
    let raw = |sql: &str, rows, inputs, outputs: &[&str]| StatementPlan {
        substitution: Substitution::Raw,
        ..plan(sql, rows, inputs, outputs)
    };
    let statements = vec![
        raw("CREATE TEMP TABLE t (i int, s text); INSERT INTO t VALUES ($1, $2)", RowsExpected::Any, 2, &[]),
        raw(
            "SELECT 1 AS a, 2 AS b; SELECT i AS a, s AS c, 0.5 AS n FROM t",
            RowsExpected::One,
            0,
            &["c", "a", "b", "n"],
        ),
        raw(
            "SELECT 7 AS x; SELECT i AS a FROM generate_series(1, $1) AS i",
            RowsExpected::Any,
            1,
            &["x", "a"],
        ),
        raw("SELECT 1/$1", RowsExpected::Any, 1, &[]),
        raw("VACUUM pg_database", RowsExpected::Any, 0, &[]),
    ];
    let server = server();
    runtime().block_on(async {
        let mut session = open_in(Protocol::Simple, server.url(), statements).await;
        let mut frame = Frame::default();
        frame.reset(2);
        (frame.slots[0], frame.slots[1]) = (Slot::Int(-5), frame.arena.text("'x' || 'y'"));
        let (result, reply) = execute(&mut session, 0, &mut frame).await;
        result.expect("created and filled");
        assert_eq!(reply.rows, 1);

        let mut frame = Frame::default();
        frame.reset(4);
        frame.slots[2] = Slot::Int(99);
        let (result, reply) = execute(&mut session, 1, &mut frame).await;
        result.expect("one row in the last result");
        let seen: Vec<_> = (0..4).map(|slot| shown(&frame, slot)).collect();
        assert_eq!(seen, ["Text(xy)", "Int(-5)", "Int(99)", "Text(0.5)"], "what did not come is as it was");
        assert_eq!(reply.rows, 2, "the rows of all results");

        frame.slots[0] = Slot::Int(3);
        let (result, reply) = execute(&mut session, 2, &mut frame).await;
        result.expect("rows");
        assert_eq!((frame.slots[2], reply.rows), (Slot::Int(3), 4));
        assert_eq!(frame.slots[1], Slot::Int(7), "where no row is promised, each result counts");

        frame.slots[0] = Slot::Int(0);
        assert_eq!(execute(&mut session, 3, &mut frame).await.0.expect_err("division").code(), "22012");
        execute(&mut session, 4, &mut frame).await.0.expect("outside of any transaction");
        assert!(session.usable() && !session.in_transaction());
    });
}

#[test]
fn one_row_is_promised_and_none_or_two_come() {
    let sql = "SELECT * FROM generate_series(1, $1) AS n";
    let statements = vec![
        plan(sql, RowsExpected::One, 1, &["n"]),
        plan(sql, RowsExpected::Optional, 1, &["n"]),
        plan(sql, RowsExpected::Any, 1, &[]),
    ];
    let expected = [["no_row", "ok", "many_rows"], ["ok", "ok", "many_rows"], ["ok", "ok", "ok"]];
    let server = server();
    runtime().block_on(async {
        for protocol in PROTOCOLS {
            let mut session = open_in(protocol, server.url(), statements.clone()).await;
            for (index, codes) in (0..).zip(expected) {
                for (rows, code) in (0..).zip(codes) {
                    let mut frame = Frame::default();
                    frame.reset(2);
                    frame.slots[0] = Slot::Int(rows);
                    let (result, reply) = execute(&mut session, index, &mut frame).await;
                    let got = result.as_ref().map_or_else(ExecError::code, |()| "ok");
                    assert_eq!(got, code, "{protocol}: {index} {rows}");
                    assert_eq!(reply.rows, rows.cast_unsigned());
                    assert_eq!(reply.first_row_at.is_some(), rows > 0);
                    assert!(session.usable());
                }
            }
            // What does not fit its type is refused before it is sent.
            let mut frame = Frame::default();
            frame.reset(2);
            frame.slots[0] = Slot::Bool(true);
            let error = execute(&mut session, 0, &mut frame).await.0.expect_err("no number");
            assert_eq!(error.code(), "bad_value", "{protocol}: {error}");
            assert!(session.usable());
        }
    });
}

#[test]
fn a_large_result_drains_in_little_memory() {
    const ROWS: u64 = 1_000_000;
    let sql = format!("SELECT g, repeat('x', 250) FROM generate_series(1, {ROWS}) AS g");
    let server = server();
    runtime().block_on(async {
        let mut session = open(server.url(), vec![any(&sql)]).await;
        let before = resident_kib();
        let mut peak = before;
        let mut frame = Frame::default();
        let mut reply = Reply::default();
        {
            let mut executing = std::pin::pin!(session.execute(StatementId(0), &mut frame, &mut reply));
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            loop {
                tokio::select! {
                    result = &mut executing => break result.expect("rows"),
                    _ = looks.tick() => peak = peak.max(resident_kib()),
                }
            }
        }
        assert_eq!(reply.rows, ROWS);
        assert!(reply.bytes > ROWS * 250);
        // Other tests of this process may take some as well; all of the result would be 260 MiB.
        assert!(peak - before < 128 * 1024, "{} KiB more", peak - before);
    });
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn a_terminated_backend_ends_the_session_and_nothing_else() {
    let server = server();
    runtime().block_on(async {
        let mut asleep = open(server.url(), vec![any("SELECT pg_sleep(30)")]).await;
        let mut idle = open(server.url(), vec![any("SELECT 1")]).await;
        let admin = connect(&settings(server.url()), "test").await.expect("a client");
        let terminate = |pid: i64| {
            let sql = format!("SELECT pg_terminate_backend({pid}, 5000)");
            let admin = &admin;
            async move { admin.batch_execute(&sql).await.expect("a superuser may") }
        };

        let (result, ()) = tokio::join!(run(&mut asleep, 0), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            terminate(asleep_pid(&admin).await).await;
        });
        assert!(
            matches!(&result, Err(ExecError::Ended { code, .. }) if code.as_str() == "57P01"),
            "{result:?}"
        );
        assert!(!asleep.usable());

        terminate(idle.backend().0).await;
        let result = run(&mut idle, 0).await;
        assert!(
            matches!(&result, Err(ExecError::Ended { code, .. }) if code.as_str() == "57P01"),
            "{result:?}"
        );
        assert!(matches!(run(&mut idle, 0).await, Err(ExecError::Lost(_))), "it stays ended");
    });
}

async fn asleep_pid(admin: &dbdyno::db::postgres::Client) -> i64 {
    const ASLEEP: &str = "SELECT pid::bigint FROM pg_stat_activity
        WHERE query LIKE '%test.statement%pg_sleep(30)%' AND pid <> pg_backend_pid()";
    admin.query_one(ASLEEP, &[]).await.expect("one session sleeps").get(0)
}

#[test]
fn a_transaction_that_failed_is_not_committed() {
    let database = Database::empty();
    let statements =
        vec![any("INSERT INTO t VALUES (1)"), any("SELECT 1 / 0"), any("SHOW transaction_isolation")];
    let serializable = Begin { isolation: Some(IsolationLevel::Serializable), ..Begin::default() };
    for protocol in PROTOCOLS {
        database.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (id integer PRIMARY KEY)");
        runtime().block_on(async {
            let mut session = open_in(protocol, database.url(), statements.clone()).await;
            control(&mut session, Control::Begin(serializable)).await.expect("begun");
            assert!(session.in_transaction() && !session.usable(), "a transaction is open");
            assert_eq!(run(&mut session, 0).await.expect("inserted").rows, 1);
            assert_eq!(run(&mut session, 1).await.expect_err("division by zero").code(), "22012");
            assert_eq!(run(&mut session, 0).await.expect_err("it has failed").code(), "25P02");
            let error = control(&mut session, Control::Commit).await.expect_err("rolled back");
            assert_eq!(error.code(), "25P02", "{protocol}");
            assert!(session.usable());

            control(&mut session, Control::Begin(Begin::default())).await.expect("begun");
            run(&mut session, 0).await.expect("inserted");
            control(&mut session, Control::Commit).await.expect("committed");
            assert_eq!(run(&mut session, 0).await.expect_err("a duplicate").code(), "23505");
        });
        assert_eq!(database.value("SELECT count(*) FROM t"), "1", "{protocol}");
    }
}

#[test]
fn a_transaction_begins_with_its_modes_and_settings() {
    let database = Database::empty();
    database.execute("CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS i");
    let shown = "SELECT concat_ws('|', current_setting('work_mem'), current_setting('app.tenant', true), \
                 current_setting('transaction_read_only'), current_setting('transaction_deferrable'), \
                 current_setting('search_path')) AS shown";
    let statements =
        vec![plan(shown, RowsExpected::One, 0, &["shown"]), any("SELECT i FROM t"), any("DELETE FROM app.t")];
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = vec![
        setting("work_mem", "7MB"),
        setting("app.tenant", "it's \\"),
        setting("search_path", "app, \"$user\""),
    ];
    let begin = Begin {
        isolation: Some(IsolationLevel::Serializable),
        read_only: true,
        deferrable: true,
        settings: Some(0),
    };
    runtime().block_on(async {
        for protocol in PROTOCOLS {
            // Prepared before the path leads to the table, which then must be named in full.
            let mut statements = statements.clone();
            if protocol == Protocol::Prepared {
                statements[1] = any("SELECT i FROM app.t");
            }
            let url = format!("{}&options=-c%20search_path%3Dapp", database.url());
            let options = SessionOptions { settings: vec![settings.clone()].into(), ..protocol.into() };
            let engine = PgEngine::new(self::settings(&url), Clock(Instant::now()), options);
            let mut session = engine.connect(statements.into()).await.expect("a session");
            let mut frame = Frame::default();
            frame.reset(1);
            control(&mut session, Control::Begin(begin)).await.expect("begun");
            execute(&mut session, 0, &mut frame).await.0.expect("a row");
            assert_eq!(self::shown(&frame, 0), "Text(7MB|it's \\|on|on|app, \"$user\")", "{protocol}");
            run(&mut session, 1).await.expect("the table is found");
            assert_eq!(run(&mut session, 2).await.expect_err("read only").code(), "25006", "{protocol}");
            control(&mut session, Control::Rollback).await.expect("rolled back");
            execute(&mut session, 0, &mut frame).await.0.expect("a row");
            let after = self::shown(&frame, 0);
            assert!(!after.contains("7MB") && !after.contains("it's"), "it held until the end: {after}");
        }
    });
}

#[test]
fn a_statement_that_takes_too_long_is_ended_and_the_session_goes_on() {
    let server = server();
    runtime().block_on(async {
        for protocol in PROTOCOLS {
            let limit = Some(Duration::from_micros(49_001));
            let options = SessionOptions { statement_timeout: limit, ..protocol.into() };
            let engine = PgEngine::new(settings(server.url()), Clock(Instant::now()), options);
            let statements = vec![
                any("SELECT pg_sleep(10)"),
                plan("SELECT current_setting('statement_timeout') AS t", RowsExpected::One, 0, &["t"]),
            ];
            let mut session = engine.connect(statements.into()).await.expect("a session");
            assert_eq!(run(&mut session, 0).await.expect_err("a timeout").code(), "57014", "{protocol}");
            assert!(session.usable());
            let mut frame = Frame::default();
            frame.reset(1);
            execute(&mut session, 1, &mut frame).await.0.expect("a row");
            assert_eq!(shown(&frame, 0), "Text(50ms)", "whole milliseconds, never less than asked for");
        }
    });
}

/// The outcome of each request of the last pipeline, as one letter.
fn outcomes(session: &Measured) -> String {
    let letter = |outcome| match outcome {
        QueuedOutcome::Done => 'd',
        QueuedOutcome::Failed => 'F',
        QueuedOutcome::Skipped => '-',
    };
    session.answered().iter().map(|answered| letter(answered.outcome)).collect()
}

#[test]
fn a_pipeline_is_one_round_trip_and_tells_who_failed() {
    let database = Database::empty();
    let statements = vec![
        plan("INSERT INTO t VALUES ($1) RETURNING id, id * 2 AS double", RowsExpected::One, 1, &["double"]),
        any("SELECT 1 / 0"),
        plan("SELECT id FROM t ORDER BY id", RowsExpected::Optional, 0, &[]),
        any("SELECT FROM generate_series(1, 3)"),
    ];
    for protocol in [Protocol::Extended, Protocol::Prepared] {
        database.execute(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)",
        );
        runtime().block_on(async {
            let mut session = open_in(protocol, database.url(), statements.clone()).await;
            let mut frame = Frame::default();
            frame.reset(2);
            let mut reply = Reply::default();
            let begin = Control::Begin(Begin::default());

            frame.slots[0] = Slot::Int(7);
            session.queue_control(begin).expect("queued");
            session.queue(StatementId(0), &frame).expect("queued");
            session.queue(StatementId(3), &frame).expect("queued");
            session.queue_control(Control::Commit).expect("queued");
            assert!(!session.usable(), "what is queued is to be sent");
            session.sync(&mut frame, &mut reply).await.expect("all is well");
            assert_eq!((outcomes(&session).as_str(), reply.rows), ("ddddd", 4), "{protocol}");
            assert_eq!(frame.slots[1], Slot::Int(14));
            let rows: Vec<_> = session.answered().iter().map(|answered| answered.rows).collect();
            assert_eq!(rows, [0, 1, 3, 0, 0]);
            let stamps: Vec<_> = session.answered().iter().map(|answered| answered.done_at).collect();
            assert!(reply.sent_at < stamps[0] && stamps.is_sorted() && stamps[4] <= reply.done_at);
            assert!(session.usable());

            // In the middle: nothing behind it is done, and COMMIT is not either.
            frame.slots[0] = Slot::Int(8);
            session.queue_control(begin).expect("queued");
            session.queue(StatementId(0), &frame).expect("queued");
            session.queue(StatementId(1), &frame).expect("queued");
            session.queue(StatementId(3), &frame).expect("queued");
            session.queue_control(Control::Commit).expect("queued");
            let error = session.sync(&mut frame, &mut reply).await.expect_err("division by zero");
            assert_eq!((error.code(), outcomes(&session).as_str()), ("22012", "ddF--d"), "{protocol}");
            assert!(session.in_transaction() && !session.usable());
            control(&mut session, Control::Rollback).await.expect("rolled back");
            assert!(session.usable());

            // At COMMIT, and without BEGIN at the Sync that commits.
            frame.slots[0] = Slot::Int(7);
            session.queue_control(begin).expect("queued");
            session.queue(StatementId(0), &frame).expect("queued");
            session.queue_control(Control::Commit).expect("queued");
            let error = session.sync(&mut frame, &mut reply).await.expect_err("a duplicate");
            assert_eq!((error.code(), outcomes(&session).as_str()), ("23505", "ddFd"), "{protocol}");
            session.queue(StatementId(0), &frame).expect("queued");
            let error = session.sync(&mut frame, &mut reply).await.expect_err("a duplicate");
            assert_eq!(error.code(), "23505", "{protocol}");
            assert!(session.usable(), "{}", outcomes(&session));

            // Parts of their own: what fails in one is nothing to the next.
            frame.slots[0] = Slot::Int(9);
            session.queue(StatementId(1), &frame).expect("queued");
            session.queue_sync();
            session.queue(StatementId(0), &frame).expect("queued");
            session.queue(StatementId(2), &frame).expect("queued");
            let error = session.sync(&mut frame, &mut reply).await.expect_err("division by zero");
            assert_eq!(
                (error.code(), outcomes(&session).as_str()),
                ("22012", "FddFd"),
                "two rows are too many"
            );
            assert!(session.usable());

            // What cannot be sent is the end of the pipeline before anything of it was sent.
            session.queue(StatementId(3), &frame).expect("queued");
            frame.slots[0] = Slot::Bool(true);
            assert_eq!(session.queue(StatementId(0), &frame).expect_err("no number").code(), "bad_value");
            assert!(session.usable());
            assert_eq!(run(&mut session, 3).await.expect("rows").rows, 3);
        });
        assert_eq!(
            database.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"),
            "7 9",
            "{protocol}"
        );
    }
}

/// More than the buffers of both sides hold, both ways: who only writes would wait for the other for ever.
#[test]
fn a_pipeline_that_is_larger_than_every_buffer_goes_through() {
    const REQUESTS: usize = 120;
    let long = format!("SELECT repeat('y', 100000), '{}'", "x".repeat(100_000));
    let server = server();
    runtime().block_on(async {
        let mut session = open_in(Protocol::Extended, server.url(), vec![any(&long)]).await;
        let mut frame = Frame::default();
        let mut reply = Reply::default();
        for _ in 0..REQUESTS {
            session.queue(StatementId(0), &frame).expect("queued");
        }
        let synced = tokio::time::timeout(Duration::from_secs(60), session.sync(&mut frame, &mut reply));
        synced.await.expect("nobody waits for ever").expect("all rows");
        assert_eq!(reply.rows, REQUESTS as u64);
        assert!(session.usable());
    });
}

#[test]
fn statistics_are_published_when_they_are_asked_for() {
    let database = Database::empty();
    database.execute("CREATE TABLE t (id integer)");
    runtime().block_on(async {
        let mut session = open(database.url(), vec![any("INSERT INTO t SELECT generate_series(1, 7)")]).await;
        run(&mut session, 0).await.expect("inserted");
        // The server publishes on its own at most once a second, so the second insertion would be late without this.
        run(&mut session, 0).await.expect("inserted");
        control(&mut session, Control::FlushStatistics).await.expect("flushed, or nothing to do on 14");
        if session.major_version() >= 15 {
            const INSERTED: &str = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 't'";
            let observer = connect(&settings(database.url()), "test").await.expect("a client");
            let row = observer.query_one(INSERTED, &[]).await.expect("a row");
            assert_eq!(row.get::<_, i64>(0), 14);
        }
    });
}

#[test]
fn statements_that_cannot_be_prepared_are_named_with_what_helps() {
    let server = server();
    runtime().block_on(async {
        let statements = vec![any("SELECT 1"), plan("SELECT 1 FROM orders", RowsExpected::Any, 0, &[])];
        let error = try_open(server.url(), statements).await.err().expect("there is no such table");
        assert_eq!(error.code(), "42P01");
        assert!(error.to_string().contains("`test.statement`"), "{error}");
        assert!(error.hint().expect("a hint").contains("dbdyno load"));

        let statements = vec![plan("SELECT 1 AS total", RowsExpected::One, 0, &["sum"])];
        let error = try_open(server.url(), statements).await.err().expect("there is no such column");
        assert!(error.to_string().contains("no column `sum`"), "{error}");
    });
}

#[test]
fn many_and_long_statements_are_prepared_without_waiting_for_each_other() {
    let long = "x".repeat(20_000);
    let statements: Vec<_> =
        (0..400).map(|number| any(&format!("SELECT {number}, '{}'", &long[..number * 50]))).collect();
    let server = server();
    runtime().block_on(async {
        let mut session = open(server.url(), statements).await;
        for index in [0, 1, 399] {
            assert_eq!(run(&mut session, index).await.expect("a row").rows, 1);
        }
    });
}

#[test]
fn a_session_that_is_dropped_leaves_the_server_at_once() {
    let session = runtime().block_on(open(server().url(), vec![]));
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {}", session.backend().0);
    let observer = Session::open(server().url(), "test");
    assert_eq!(observer.value(&gone), "1");
    drop(session);
    wait_until("the backend ends", Duration::from_secs(5), || observer.value(&gone) == "0");
}

#[test]
fn options_of_the_url_reach_the_server() {
    let server = server();
    runtime().block_on(async {
        let url = format!("{}&options=-c%20statement_timeout%3D50&application_name=nightly", server.url());
        let statements = vec![
            any("SELECT pg_sleep(10)"),
            plan("SELECT current_setting('application_name') AS name", RowsExpected::One, 0, &["name"]),
        ];
        let mut session = open(&url, statements).await;
        assert_eq!(run(&mut session, 0).await.expect_err("a timeout").code(), "57014");
        let mut frame = Frame::default();
        frame.reset(1);
        execute(&mut session, 1, &mut frame).await.0.expect("a row");
        assert_eq!(shown(&frame, 0), "Text(dbdyno pool: nightly)");

        let client = connect(&settings(server.url()), "probe").await.expect("a client");
        let row = client.query_one("SHOW application_name", &[]).await.expect("a row");
        assert_eq!(row.get::<_, &str>(0), "dbdyno probe");
        let (number, text) = server_version(&client).await.expect("a version");
        assert_eq!(number / 10_000, session.major_version());
        assert_eq!(text, server.version());
    });
}

/// A server that asks for every way of authentication, each of its own user, and offers TLS. It lives as long as the tests.
struct Gate {
    server: LocalServer,
    port: u16,
    sockets: String,
    /// The certificate's own file: it signed itself.
    certificate: String,
}

fn gate() -> &'static Gate {
    static GATE: LazyLock<Gate> = LazyLock::new(Gate::open);
    &GATE
}

impl Gate {
    const RULES: &'static str = "\
        local   all postgres                   peer\n\
        local   all by_scram                   scram-sha-256\n\
        local   all all                        trust\n\
        host    all by_password 127.0.0.1/32   password\n\
        host    all by_md5      127.0.0.1/32   md5\n\
        host    all by_scram    127.0.0.1/32   scram-sha-256\n\
        hostssl all by_tls      127.0.0.1/32   scram-sha-256\n\
        host    all postgres    127.0.0.1/32   scram-sha-256\n";

    fn open() -> Self {
        let server = runtime()
            .block_on(start_postgres(&local_options()))
            .unwrap_or_else(|error| panic!("the tests need a PostgreSQL: {error}"));
        let admin = Session::open(server.url(), "test");
        admin.execute("SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD 'md5'");
        admin.execute("SET password_encryption = 'scram-sha-256'");
        for user in ["scram", "tls", "password"] {
            admin.execute(&format!("CREATE ROLE by_{user} LOGIN PASSWORD '{user}'"));
        }
        admin.execute("CREATE ROLE by_trust LOGIN");

        let data = admin.value("SHOW data_directory");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let certificate = write(&data, "server.crt", &made.cert.pem());
        write(&data, "server.key", &made.signing_key.serialize_pem());
        let rules = admin.value("SHOW hba_file");
        std::fs::write(rules, Self::RULES).expect("its rules can be written");
        admin.execute("ALTER SYSTEM SET ssl = on");
        admin.execute("SELECT pg_reload_conf()");
        wait_until("TLS is on", Duration::from_secs(5), || admin.value("SHOW ssl") == "on");
        let port = admin.value("SHOW port").parse().expect("a port");
        let sockets = admin.value("SHOW unix_socket_directories");
        Self { server, port, sockets, certificate }
    }

    fn tcp(&self, credentials: &str, options: &str) -> String {
        format!("postgres://{credentials}@localhost:{}/postgres?hostaddr=127.0.0.1&{options}", self.port)
    }

    fn socket(&self, credentials: &str) -> String {
        format!("postgres://{credentials}@/postgres?host={}&port={}", self.sockets, self.port)
    }
}

/// Writes a file that belongs to the server's user.
fn write(folder: &str, name: &str, text: &str) -> String {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let owner = std::fs::metadata(folder).expect("the server's folder");
    let path = Path::new(folder).join(name);
    std::fs::write(&path, text).expect("a file in it");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    chown(&path, Some(owner.uid()), Some(owner.gid())).expect("its owner");
    path.to_string_lossy().into_owned()
}

/// Whether the server sees TLS, by the session and by the full client; or why one of them is not let in, which must be the
/// same for both.
fn enter(url: &str) -> Result<bool, ConnectError> {
    const TLS: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    runtime().block_on(async {
        let session = try_open(url, vec![plan(TLS, RowsExpected::One, 0, &["ssl"])]).await;
        let client = connect(&settings(url), "test").await;
        match (session, client) {
            (Ok(mut session), Ok(client)) => {
                let mut frame = Frame::default();
                frame.reset(1);
                execute(&mut session, 0, &mut frame).await.0.expect("a row");
                let of_client: bool = client.query_one(TLS, &[]).await.expect("a row").get(0);
                assert_eq!(frame.slots[0], Slot::Bool(of_client), "{url}");
                Ok(of_client)
            }
            (Err(session), Err(client)) => {
                assert_eq!(session.to_string(), client.to_string(), "{url}");
                Err(session)
            }
            (session, client) => panic!("{url}: session {:?}, client {:?}", session.err(), client.err()),
        }
    })
}

#[test]
fn every_way_of_authentication_lets_the_right_password_in() {
    let gate = gate();
    for url in [
        gate.tcp("by_password:password", "sslmode=disable"),
        gate.tcp("by_md5:md5", "sslmode=disable"),
        gate.tcp("by_scram:scram", "sslmode=disable"),
        gate.socket("by_scram:scram"),
        gate.socket("by_trust"),
        // Never TLS over a socket, whatever is asked for.
        format!("{}&sslmode=require", gate.socket("by_trust")),
    ] {
        assert!(!enter(&url).unwrap_or_else(|error| panic!("{url}: {error}")), "{url}");
    }
}

#[test]
fn a_wrong_password_and_none_are_told_apart() {
    let gate = gate();
    for user in ["by_password", "by_md5", "by_scram"] {
        let wrong = enter(&gate.tcp(&format!("{user}:hunter2"), "")).expect_err("a wrong password");
        assert!(matches!(&wrong, ConnectError::Refused { code, .. } if code.as_str() == "28P01"), "{wrong}");
        assert!(wrong.hint().expect("a hint").contains("PGPASSWORD"));
        assert!(!wrong.to_string().contains("hunter2"));
        let none = enter(&gate.tcp(user, "")).expect_err("no password");
        assert!(matches!(none, ConnectError::NoPassword { .. }), "{none}");
    }
}

#[test]
fn refusals_say_what_helps() {
    let gate = gate();
    let url = gate.tcp("by_scram:scram", "dbname=missing");
    let missing = enter(&url).expect_err("no such database");
    assert!(missing.hint().expect("a hint").contains("createdb missing"), "{missing}");
    let outside = enter(&gate.tcp("by_nobody:x", "sslmode=disable")).expect_err("no rule lets it in");
    assert_eq!(outside.code(), "28000");
    let closed = enter("postgres://u@127.0.0.1:1/d").expect_err("nothing listens there");
    assert!(matches!(closed, ConnectError::Unreachable { .. }));
    assert!(closed.hint().expect("a hint").contains("is the server running"));
    assert!(gate.server.log_tail().contains("no pg_hba.conf entry"));
}

#[test]
fn tls_is_used_as_the_mode_says() {
    let gate = gate();
    let root = format!("sslrootcert={}", gate.certificate);
    for (credentials, options, encrypted) in [
        ("by_scram:scram", String::new(), true),
        ("by_scram:scram", "sslmode=allow".to_owned(), false),
        ("by_tls:tls", "sslmode=allow".to_owned(), true),
        ("by_tls:tls", String::new(), true),
        ("by_md5:md5", "sslmode=require".to_owned(), true),
        ("by_scram:scram", "sslmode=require&channel_binding=require".to_owned(), true),
        ("by_scram:scram", format!("sslmode=verify-ca&{root}"), true),
        ("by_scram:scram", format!("sslmode=verify-full&{root}"), true),
    ] {
        let url = gate.tcp(credentials, &options);
        assert_eq!(enter(&url).unwrap_or_else(|error| panic!("{url}: {error}")), encrypted, "{url}");
    }
    let elsewhere =
        format!("postgres://by_scram:scram@127.0.0.1:{}/postgres?sslmode=verify-full&{root}", gate.port);
    assert!(matches!(enter(&elsewhere), Err(ConnectError::Tls { .. })), "the certificate is localhost's");
    let unbound = gate.tcp("by_md5:md5", "channel_binding=require");
    assert!(matches!(enter(&unbound), Err(ConnectError::Authentication { .. })));
    assert_eq!(enter(&gate.tcp("by_tls:tls", "sslmode=disable")).expect_err("TLS only").code(), "28000");
}
