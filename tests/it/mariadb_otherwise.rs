//! A `MariaDB` that is set up otherwise than the throwaway one: in another time zone, with names in small letters only, without a
//! free connection, read only. What is promised of one server is promised of them as well.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use dbdyno::dataset::{Existing, LoadOptions, data_state, load};
use dbdyno::db::mysql::{self, MySqlEngine};
use dbdyno::db::{
    Begin, Control, Engine as _, Now, Reply, RowsExpected, Session as _, SessionOptions, StatementPlan,
    Substitution, Target,
};
use dbdyno::local::{LocalOptions, LocalServer, start_mysql};
use dbdyno::sql::values::{Frame, Slot};
use dbdyno::units::{Dialect, Seed, SlotId, Stamp, StatementId};
use dbdyno::workload::load_for;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use crate::harness::{is_mysql, local_options, runtime};
use crate::place::{Place, as_user, measured};

/// West of Greenwich, with all names in small letters and names between double quotes.
fn elsewhere() -> &'static LocalServer {
    static SERVER: LazyLock<LocalServer> = LazyLock::new(|| {
        start(&[
            ("default_time_zone", "-05:00"),
            ("lower_case_table_names", "1"),
            ("sql_mode", "ANSI_QUOTES"),
        ])
    });
    &SERVER
}

fn start(settings: &[(&str, &str)]) -> LocalServer {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = LocalOptions { dialect: Dialect::Mysql, settings, ..local_options() };
    runtime()
        .block_on(start_mysql(&options))
        .unwrap_or_else(|error| panic!("the tests need a MariaDB: {error}"))
}

/// The URL of a new database, which goes with the server.
fn database(server: &LocalServer, name: &str) -> String {
    execute(server.url(), &[&format!("CREATE DATABASE {name}")]);
    server.url().replace("/dbdyno?", &format!("/{name}?"))
}

fn execute(url: &str, statements: &[&str]) {
    runtime().block_on(async {
        let mut conn = Conn::from_url(url).await.expect("a connection");
        for sql in statements {
            conn.query_drop(*sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        conn.disconnect().await.expect("an orderly end");
    });
}

fn names(url: &str, sql: &str) -> Vec<String> {
    runtime().block_on(async {
        let mut conn = Conn::from_url(url).await.expect("a connection");
        conn.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    })
}

const TABLES: &str = "SELECT table_name FROM information_schema.tables
                      WHERE table_schema = DATABASE() AND table_name NOT LIKE 'dbdyno%' ORDER BY 1";

/// Loads the workload of a place. Gives whether it was there already.
fn try_load(place: &Place, url: &str, existing: Existing) -> Result<bool, String> {
    let workload =
        load_for(&place.workload(), Dialect::Mysql).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let target = Target::of_local_server(url).expect("a URL");
    let options = LoadOptions { scale: 1.0, seed: Seed(42), jobs: 1, existing };
    let loaded = runtime().block_on(load(&target, &workload, &options, &mut |_| ()));
    loaded.map(|summary| summary.already_loaded).map_err(|error| error.to_string())
}

/// How many tables were changed since the load; nothing where that is not known.
fn changed_tables(place: &Place, url: &str) -> Option<usize> {
    let workload =
        load_for(&place.workload(), Dialect::Mysql).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let target = Target::of_local_server(url).expect("a URL");
    let state = runtime().block_on(async {
        let client = target.connect("control").await.expect("the server runs");
        data_state(&client, &workload).await.expect("an answer")
    });
    state.expect("it is loaded").changes.map(|changes| changes.len())
}

#[test]
fn an_instant_is_the_same_wherever_the_server_stands() {
    let toml = r#"
    name = "moments"
    [table.moments]
    rows = 100
    [table.moments.column]
    id = { sequence = {} }
    at = { timestamp = { from = "2001-01-01", to = "2030-01-01" } }
    [[transaction]]
    name = "find"
    statements = ["moment_at"]
    parameter = { at = { query = "SELECT at FROM moments" } }
    "#;
    let place = Place::new(toml, "-- name: moment_at :one\nSELECT id FROM moments WHERE at = :at;\n")
        .file("schema.mysql.sql", "CREATE TABLE moments (id int PRIMARY KEY, at timestamp(6) NOT NULL);");
    let url = database(elsewhere(), "moments");
    assert_eq!(try_load(&place, &url, Existing::Refuse), Ok(false));
    assert_eq!(changed_tables(&place, &url), Some(0), "the tables were made when they were made");
    let report = place.report(&url, "run --clients 1 --warmup 0s --duration 1s");
    let books = &measured(&report).accounting;
    assert!(books.ok > 20 && books.failed == 0, "each instant is found: {books:?}");
}

#[test]
fn a_load_knows_its_tables_whatever_the_server_makes_of_their_names() {
    let toml = r#"
    name = "names"
    [table.Orders]
    rows = 100
    [table.Orders.column]
    id = { sequence = {} }
    note = { words = [2, 4] }
    [[transaction]]
    name = "read"
    statements = ["one"]
    parameter = { id = { key = { table = "Orders" } } }
    "#;
    let schema = "CREATE TABLE Orders (id bigint NOT NULL, note varchar(200) NOT NULL);\n\
                  CREATE TABLE `Größen` (id int);\nCREATE TABLE \"Big Lines\" (id int);\n\
                  CREATE VIEW `a``b` AS SELECT id FROM Orders;\n\
                  CREATE FULLTEXT INDEX orders_note ON Orders (note);\n\
                  ALTER TABLE Orders ADD PRIMARY KEY (id), ADD KEY orders_words (note);\n\
                  ALTER TABLE Orders MODIFY id bigint NOT NULL AUTO_INCREMENT;\n";
    let queries = "-- name: one :one\nSELECT note FROM Orders WHERE id = :id;\n";
    let place = Place::new(toml, queries).file("schema.mysql.sql", schema);
    let url = database(elsewhere(), "names");
    assert_eq!(try_load(&place, &url, Existing::Refuse), Ok(false), "the database is empty");
    assert_eq!(try_load(&place, &url, Existing::Refuse), Ok(true), "and it is there");
    assert_eq!(changed_tables(&place, &url), Some(0));
    execute(&url, &["INSERT INTO orders (note) VALUES ('new')"]);
    assert_eq!(changed_tables(&place, &url), Some(1), "it is counted under its name");
    assert_eq!(names(&url, "SELECT CAST(max(id) AS CHAR) FROM orders"), ["101"], "behind the last key");
    assert_eq!(try_load(&place, &url, Existing::Replace), Ok(false));
    assert_eq!(names(&url, TABLES), ["a`b", "big lines", "größen", "orders"]);

    // What cannot be loaded leaves nothing behind that the next load would take for somebody else's.
    let url = database(elsewhere(), "refused_names");
    let wrong = place.file("queries.sql", "-- name: one :one\nSELECT nothing FROM Orders WHERE id = :id;\n");
    let refused = try_load(&wrong, &url, Existing::Refuse).expect_err("there is no such column");
    assert!(refused.contains("nothing"), "{refused}");
    assert_eq!(names(&url, TABLES), Vec::<String>::new());
    let mended = wrong.file("queries.sql", queries);
    assert_eq!(try_load(&mended, &url, Existing::Refuse), Ok(false));
}

#[derive(Clone)]
struct Clock(Instant);

impl Now for Clock {
    fn now(&self) -> Stamp {
        Stamp(u64::try_from(self.0.elapsed().as_nanos()).expect("a test ends within centuries"))
    }
}

fn engine(url: &str, settings: &[(&str, &str)]) -> MySqlEngine<Clock> {
    let server = mysql::Settings::from_url_in(url, &mysql::Environment::empty()).expect("a URL");
    let list = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = SessionOptions { settings: vec![list].into(), ..SessionOptions::default() };
    MySqlEngine::new(server.into(), Clock(Instant::now()), options)
}

#[test]
fn who_is_not_let_in_is_told_what_helps() {
    let server = start(&[("max_connections", "10")]);
    execute(server.url(), &["CREATE USER app@'%' IDENTIFIED BY 'app'", "GRANT ALL ON dbdyno.* TO app@'%'"]);
    let by_socket: &[&str] = if is_mysql() {
        &[
            "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'",
            "CREATE USER local@'%' IDENTIFIED WITH auth_socket",
        ]
    } else {
        &["CREATE USER local@'%' IDENTIFIED VIA unix_socket"]
    };
    execute(server.url(), by_socket);
    let app = as_user(server.url(), "app:app");
    let full_client =
        |url: &str| mysql::Settings::from_url_in(url, &mysql::Environment::empty()).expect("a URL");
    runtime().block_on(async {
        let mut taken = vec![];
        while let Ok(conn) = Conn::from_url(&app).await {
            taken.push(conn);
        }
        let error = engine(&app, &[]).connect(Arc::from([])).await.err().expect("no connection is free");
        assert_eq!(error.code(), "53300", "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--pool-size")), "{error}");
        let error = mysql::connect(&full_client(&app), "test").await.err().expect("no connection is free");
        assert_eq!(error.code(), "53300", "{error}");
        for conn in taken {
            conn.disconnect().await.expect("an orderly end");
        }
    });
    let local = as_user(server.url(), "local:any");
    let error = runtime().block_on(engine(&local, &[]).connect(Arc::from([]))).err().expect("refused");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("CREATE USER") && !hint.contains("pg_hba.conf"), "{error} ({hint})");
}

#[test]
fn a_session_goes_on_after_a_commit_that_the_server_refused() {
    let server = start(&[]);
    execute(
        server.url(),
        &[
            "CREATE TABLE t (id int PRIMARY KEY)",
            "CREATE USER app@'%' IDENTIFIED BY 'app'",
            "GRANT ALL ON dbdyno.* TO app@'%'",
        ],
    );
    let insert = StatementPlan {
        sql: "/*dbdyno:add.row*/ INSERT INTO t VALUES (1)".to_owned(),
        rows: RowsExpected::Any,
        inputs: vec![],
        outputs: vec![],
        places: vec![],
        substitution: Substitution::default(),
    };
    let engine = engine(&as_user(server.url(), "app:app"), &[("sort_buffer_size", "65536")]);
    runtime().block_on(async {
        let mut session = engine.connect(Arc::from([insert])).await.expect("connected");
        let mut reply = Reply::default();
        let begin = Begin { settings: Some(0), ..Begin::default() };
        session.control(Control::Begin(begin), &mut reply).await.expect("begun");
        session.execute(StatementId(0), &mut Frame::default(), &mut reply).await.expect("inserted");
        let mut admin = Conn::from_url(server.url()).await.expect("a connection");
        admin.query_drop("SET GLOBAL read_only = ON").await.expect("a setting");
        let error = session.control(Control::Commit, &mut reply).await.expect_err("nothing may be changed");
        assert!(error.session_survives() && session.in_transaction() && !session.usable(), "{error}");
        session.control(Control::Rollback, &mut reply).await.expect("rolled back");
        assert!(session.usable(), "with its settings back");
        admin.query_drop("SET GLOBAL read_only = OFF").await.expect("a setting");
        session.execute(StatementId(0), &mut Frame::default(), &mut reply).await.expect("it was not there");
    });
}

/// The query cache keeps answers as they were sent, and one session may get what another was told.
#[test]
fn values_are_right_where_the_query_cache_answers() {
    // MySQL 8 has none.
    if is_mysql() {
        return;
    }
    let server = start(&[("query_cache_type", "ON"), ("query_cache_size", "4194304")]);
    let url = server.url();
    execute(url, &["CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 10)"]);
    runtime().block_on(async {
        let sql = "SELECT n + $1 AS x, $1 AS y FROM t WHERE id = 1";
        let plan = StatementPlan {
            places: crate::session::places(sql),
            sql: sql.to_owned(),
            rows: RowsExpected::One,
            inputs: vec![SlotId(0)],
            outputs: vec![("x".to_owned(), SlotId(1)), ("y".to_owned(), SlotId(2))],
            substitution: Substitution::default(),
        };
        let engine = engine(url, &[]);
        let plans: Arc<[StatementPlan]> = [plan].into();
        let mut first = engine.connect(Arc::clone(&plans)).await.expect("a session");
        let mut second = engine.connect(plans).await.expect("a session");
        // What the second is given first, the first was given without a description of its columns.
        for (session, values) in [(&mut first, [5, 6, 7]), (&mut second, [7, 6, 5])] {
            for value in values {
                let mut frame = Frame::default();
                frame.reset(3);
                frame.slots[0] = Slot::Int(value);
                let mut reply = Reply::default();
                session.execute(StatementId(0), &mut frame, &mut reply).await.expect("a row");
                assert_eq!(frame.slots[1..], [Slot::Int(10 + value), Slot::Int(value)], "{value}");
            }
        }
    });
    let hits = names(
        url,
        "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Qcache_hits'",
    );
    assert_ne!(hits, ["0"], "the cache answered");
}
