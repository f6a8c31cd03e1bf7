//! The two engines as the tests of what is promised of both see them: a server, a database of a test's own, another application's
//! connection, and the SQL that differs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use dbdyno::local::{LocalOptions, LocalServer};
use dbdyno::units::Dialect;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

use crate::harness::{self, Database, is_mysql, local_options, runtime, wait_until};
use crate::mariadb::MyDatabase;
use crate::place::Place;

/// Time within which something must be seen on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

/// For each promise, a function over a [`TestedEngine`], a module of its name with a test for each engine.
macro_rules! on_both_engines {
    ($($promise:ident),+ $(,)?) => {
        $(mod $promise {
            #[test]
            fn on_postgresql() {
                super::$promise(&crate::engines::POSTGRESQL);
            }

            #[test]
            fn on_mariadb() {
                super::$promise(crate::engines::mariadb_or_mysql());
            }
        })+
    };
}
pub(crate) use on_both_engines;

/// What differs between the engines where the same is promised of both.
#[derive(Debug)]
pub struct TestedEngine {
    /// Its family.
    pub dialect: Dialect,
    /// As a report calls it.
    pub name: &'static str,
    /// The function that sleeps for so many seconds.
    sleep: &'static str,
    /// Whether the server counts its statements without being told to.
    pub counts_statements: bool,
    /// What a session that sleeps waits for.
    pub sleeping: &'static str,
    /// Takes the table `stock`, so that nobody reads it.
    pub lock_stock: &'static str,
    /// Gives it back.
    pub unlock_stock: &'static str,
    /// What is waited for where another transaction has a row: the kind of lock, and its mode.
    pub row_lock: (&'static str, &'static str),
    /// What an ALTER that waits for readers wants: the kind of lock, and its mode.
    pub ddl_lock: (&'static str, &'static str),
    /// The setting that lets it give up.
    pub ddl_limit: &'static str,
    /// The code of a statement whose session was ended by another one.
    pub session_ended: &'static str,
    /// Sessions of the measured pool in this database, by their numbers.
    pool_sessions: &'static str,
    /// Ends session `{id}`.
    end_session: &'static str,
    /// How many sessions in this database wait for a lock whose program's name begins with `{program}`.
    waiting: &'static str,
    /// Who waits is seen this often.
    pub looks_every: Duration,
}

/// A server of version 14 or newer.
pub const POSTGRESQL: TestedEngine = TestedEngine {
    dialect: Dialect::Postgresql,
    name: "postgresql",
    sleep: "pg_sleep",
    counts_statements: true,
    sleeping: "Timeout:PgSleep",
    lock_stock: "BEGIN; LOCK TABLE stock IN ACCESS EXCLUSIVE MODE",
    unlock_stock: "COMMIT",
    row_lock: ("transactionid", "ShareLock"),
    ddl_lock: ("relation", "AccessExclusiveLock"),
    ddl_limit: "lock_timeout",
    session_ended: "57P01",
    pool_sessions: "SELECT pid FROM pg_stat_activity \
                    WHERE application_name = 'dbdyno pool' AND datname = current_database()",
    end_session: "SELECT pg_terminate_backend({id})",
    waiting: "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
              AND application_name LIKE '{program}%' AND wait_event_type = 'Lock'",
    looks_every: Duration::from_millis(100),
};

/// A server of version 10.11 or newer.
const MARIADB: TestedEngine = TestedEngine {
    dialect: Dialect::Mysql,
    name: "mariadb",
    sleep: "SLEEP",
    counts_statements: false,
    sleeping: "Timeout:UserSleep",
    lock_stock: "LOCK TABLES stock WRITE",
    unlock_stock: "UNLOCK TABLES",
    row_lock: ("row", "X"),
    ddl_lock: ("metadata", "EXCLUSIVE"),
    ddl_limit: "lock_wait_timeout",
    // The socket is closed before the server's word for it could be read.
    session_ended: "08006",
    pool_sessions: "SELECT p.ID FROM information_schema.PROCESSLIST AS p \
                    JOIN performance_schema.session_connect_attrs AS a ON a.PROCESSLIST_ID = p.ID \
                    WHERE a.ATTR_NAME = 'program_name' AND a.ATTR_VALUE = 'dbdyno pool' AND p.DB = DATABASE()",
    end_session: "KILL CONNECTION {id}",
    waiting: "SELECT count(*) FROM information_schema.PROCESSLIST AS p \
              JOIN performance_schema.session_connect_attrs AS a ON a.PROCESSLIST_ID = p.ID \
              WHERE a.ATTR_NAME = 'program_name' AND a.ATTR_VALUE LIKE '{program}%' AND p.DB = DATABASE() \
              AND p.STATE LIKE 'Waiting for%lock'",
    looks_every: Duration::from_millis(500),
};

/// A MySQL of version 8 or newer.
const MYSQL: TestedEngine = TestedEngine { name: "mysql", row_lock: ("row", "X,REC_NOT_GAP"), ..MARIADB };

/// What the tests of MariaDB run on.
pub fn mariadb_or_mysql() -> &'static TestedEngine {
    if is_mysql() { &MYSQL } else { &MARIADB }
}

impl TestedEngine {
    /// A call that sleeps for so many seconds: a number or a parameter.
    pub fn sleep(&self, seconds: &str) -> String {
        format!("{}({seconds})", self.sleep)
    }

    /// An empty database.
    pub fn database(&self) -> OwnDatabase {
        match self.dialect {
            Dialect::Postgresql => OwnDatabase::Postgres(Database::empty()),
            Dialect::Mysql => OwnDatabase::MariaDb(MyDatabase::empty()),
        }
    }

    /// A database with the table `stock (id, n)`, in which `n` of 1 to 10 is 100.
    pub fn stock(&self) -> OwnDatabase {
        let database = self.database();
        database.execute("CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL)");
        let rows: Vec<String> = (1..=10).map(|id| format!("({id}, 100)")).collect();
        database.execute(&format!("INSERT INTO stock VALUES {}", rows.join(", ")));
        database
    }

    /// A workload that is for this engine.
    pub fn place(&self, workload: &str, queries: &str) -> Place {
        Place::new(&format!("engines = [\"{}\"]\n{workload}", self.dialect.as_str()), queries)
    }

    /// One statement in a transaction named `only`.
    pub fn one_statement(&self, sql: &str) -> Place {
        let workload = "name = \"one\"\n[[transaction]]\nname = \"only\"\nstatements = [\"statement\"]\n";
        self.place(workload, &format!("-- name: statement :many\n{sql};\n"))
    }
}

/// A database of one test on either engine, dropped with it.
pub enum OwnDatabase {
    Postgres(Database),
    MariaDb(MyDatabase),
}

impl OwnDatabase {
    /// A URL of a user who may do everything.
    pub fn url(&self) -> &str {
        match self {
            Self::Postgres(database) => database.url(),
            Self::MariaDb(database) => database.url(),
        }
    }

    /// A connection that stays open, as another application would have one.
    pub fn session(&self, program: &str) -> Session {
        Session::open(self.url(), program)
    }

    /// Runs one statement on a connection of its own.
    pub fn execute(&self, sql: &str) {
        self.session("harness").execute(sql);
    }

    /// Ends all sessions of the measured pool, and says how many there were.
    pub fn end_pool_sessions(&self, on: &TestedEngine) -> usize {
        let session = self.session("harness");
        let ids = session.column(on.pool_sessions);
        for id in &ids {
            session.execute(&on.end_session.replace("{id}", id));
        }
        ids.len()
    }

    /// Waits until a session of the program waits for a lock; of a MariaDB, for one on a table.
    pub fn wait_for_waiter(&self, on: &TestedEngine, program: &str) {
        let session = self.session("watcher");
        let waiting = on.waiting.replace("{program}", program);
        wait_until(&format!("{program} waits"), SEEN_WITHIN, || session.value(&waiting) != "0");
    }
}

/// A connection of another application to either engine.
pub enum Session {
    Postgres(harness::Session),
    MariaDb(MySession),
}

impl Session {
    /// Connects to the URL under a program's name.
    pub fn open(url: &str, program: &str) -> Self {
        if url.starts_with("mysql:") {
            Self::MariaDb(MySession::open(url, program))
        } else {
            Self::Postgres(harness::Session::open(url, program))
        }
    }

    /// Runs one statement.
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Postgres(session) => session.execute(sql),
            Self::MariaDb(session) => drop(session.rows(sql)),
        }
    }

    /// The first column of all rows, as text.
    pub fn column(&self, sql: &str) -> Vec<String> {
        let rows = match self {
            Self::Postgres(session) => session.rows(sql),
            Self::MariaDb(session) => session.rows(sql),
        };
        rows.into_iter().map(|mut row| row.remove(0).unwrap_or_else(|| panic!("{sql}: NULL"))).collect()
    }

    /// The first column of the only row, as text.
    pub fn value(&self, sql: &str) -> String {
        let mut column = self.column(sql);
        assert_eq!(column.len(), 1, "{sql}");
        column.remove(0)
    }
}

/// A connection to a MariaDB.
pub struct MySession {
    // Absent only while it is dropped.
    conn: RefCell<Option<Conn>>,
    runtime: Runtime,
}

impl MySession {
    fn open(url: &str, program: &str) -> Self {
        let opts = Opts::from_url(url).expect("its URL");
        let attributes = HashMap::from([("program_name".to_owned(), program.to_owned())]);
        let opts = OptsBuilder::from_opts(opts).connect_attributes(attributes);
        let runtime = runtime();
        let conn =
            runtime.block_on(Conn::new(opts)).unwrap_or_else(|error| panic!("cannot connect: {error}"));
        Self { conn: RefCell::new(Some(conn)), runtime }
    }

    /// The rows of one statement, as text; NULL is absent.
    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut conn = self.conn.borrow_mut();
        let conn = conn.as_mut().expect("it is open");
        self.runtime.block_on(rows(conn, sql))
    }
}

impl Drop for MySession {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.get_mut().take() {
            // The server may be gone.
            let _ = self.runtime.block_on(conn.disconnect());
        }
    }
}

/// The rows of one statement, as text; NULL is absent.
async fn rows(conn: &mut Conn, sql: &str) -> Vec<Vec<Option<String>>> {
    let rows: Vec<Row> = conn.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let cell = |value: Value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8(bytes).expect("text")),
        other => panic!("{other:?} in an answer of text"),
    };
    rows.into_iter().map(|row| row.unwrap().into_iter().map(cell).collect()).collect()
}

/// A server of one test, which may kill it.
pub struct OwnServer {
    server: LocalServer,
    dialect: Dialect,
    /// On which it was started.
    runtime: Runtime,
}

impl OwnServer {
    /// Starts one.
    pub fn start(on: &TestedEngine) -> Self {
        let options = LocalOptions { dialect: on.dialect, ..local_options() };
        let runtime = runtime();
        let server =
            runtime.block_on(dbdyno::local::start(&options)).unwrap_or_else(|error| panic!("{error}"));
        Self { server, dialect: on.dialect, runtime }
    }

    /// A URL of its superuser.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// A connection to it.
    pub fn session(&self) -> Session {
        Session::open(self.url(), "test")
    }

    /// Kills it. It does not come back.
    pub fn kill(&self) {
        kill(self.server.pid());
    }

    /// Lets it crash and come back: all sessions end without a word, and nobody is let in for a while. Of PostgreSQL one process
    /// is killed: the server ends all others and recovers by itself. A MariaDB is one process, and is started anew.
    pub fn crash(&mut self) {
        match self.dialect {
            Dialect::Postgresql => {
                let victim = "SELECT min(pid) FROM pg_stat_activity \
                              WHERE query LIKE '/*dbdyno:%' AND state = 'active'";
                kill(self.session().value(victim).parse().expect("a process"));
            }
            Dialect::Mysql => {
                kill(self.server.pid());
                self.runtime.block_on(self.server.restart()).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("it lives");
}
