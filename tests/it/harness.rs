//! What the tests share: the server, a database for each test, the program, and waiting with a limit.
//!
//! The server is started by the first test that needs it and removed when this process ends, however it ends: dbdyno's own
//! supervisor sees to that. Where there is no server the tests fail.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dbdyno::local::{Brand, LocalOptions, LocalServer, start_postgres};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The program under test.
pub fn program() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("dbdyno").to_path_buf()
}

/// The program under test with an environment of its own, and a limit on its time.
pub fn dbdyno() -> assert_cmd::Command {
    let mut command = std::process::Command::new(program());
    own_environment(&mut command);
    let mut command = assert_cmd::Command::from_std(command);
    command.timeout(Duration::from_secs(120));
    command
}

/// Takes from the command what whoever runs the tests has set for a database or for dbdyno, but for where binaries are.
pub fn own_environment(command: &mut std::process::Command) {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let is_set = ["PG", "DBDYNO_", "XDG_"].iter().any(|prefix| name_text.starts_with(prefix));
        if is_set && !name_text.ends_with("_BINDIR") {
            command.env_remove(&name);
        }
    }
    // What a step of a pipeline says is its own.
    command.env_remove("GITHUB_STEP_SUMMARY");
    // No password file, no history of whoever runs the tests.
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    std::fs::create_dir_all(&home).expect("the target folder can be written");
    command.env("HOME", home).env("NO_COLOR", "1");
}

/// What the tests of MariaDB run on: a MySQL where the variable says so, which is found as `-t local:mysql` finds it.
pub fn brand() -> Brand {
    match std::env::var("DBDYNO_TESTS_ON").as_deref() {
        Ok("mysql") => Brand::MySql,
        Ok("mariadb") | Err(_) => Brand::MariaDb,
        Ok(other) => panic!("DBDYNO_TESTS_ON={other}: mariadb or mysql"),
    }
}

/// Whether that is a MySQL.
pub fn is_mysql() -> bool {
    brand() == Brand::MySql
}

/// The statement as that server takes it: MySQL has no tables `seq_1_to_10`, no type `uuid`, and another word for an index that is kept
/// and not used.
pub fn on_this_server(sql: &str) -> String {
    if !is_mysql() {
        return sql.to_owned();
    }
    let sql = sql.replace(" uuid", " char(36)").replace(" IGNORED", " INVISIBLE");
    let Some((before, sequence)) = sql.split_once(" FROM seq_") else { return sql };
    let (from, to) = sequence.split_once("_to_").expect("a sequence");
    let (from, to): (u64, u64) = (from.parse().expect("a number"), to.parse().expect("a number"));
    let document = format!("CONCAT('[1', REPEAT(',1', {}), ']')", to - from);
    let numbers = format!("JSON_TABLE({document}, '$[*]' COLUMNS (place FOR ORDINALITY))");
    format!("{before} FROM (SELECT place + {from} - 1 AS seq FROM {numbers} AS numbers) AS sequence")
}

/// The target by which the program starts one of its own.
pub fn local_mysql() -> &'static str {
    if is_mysql() { "local:mysql" } else { "local:mariadb" }
}

/// Options that name the program under test as the supervisor: the running program is the test itself.
pub fn local_options() -> LocalOptions {
    LocalOptions { brand: brand(), supervisor: Some(program()), ..LocalOptions::default() }
}

/// The server of all tests.
pub fn server() -> &'static LocalServer {
    static SERVER: LazyLock<LocalServer> = LazyLock::new(|| {
        let mut options = local_options();
        // All tests together execute more different statements than it keeps by default; what it evicts has no counters.
        options.settings.push(("pg_stat_statements.max".into(), "20000".into()));
        // None are allowed by default, and they are among those who block.
        options.settings.push(("max_prepared_transactions".into(), "10".into()));
        runtime()
            .block_on(start_postgres(&options))
            .unwrap_or_else(|error| panic!("the tests need a PostgreSQL: {error}"))
    });
    &SERVER
}

/// An event loop for one thread.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}

/// Waits until the condition holds; fails with the words when it takes longer than the limit.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Makes the name of each database its own.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database of one test, dropped with it.
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// An empty one, with the extension `pg_stat_statements`.
    pub fn empty() -> Self {
        Self::from_template("empty", |_| ())
    }

    /// A copy of the template, which `fill` makes from an empty database when the first test asks for it.
    pub fn from_template(template: &str, fill: impl FnOnce(&Self)) -> Self {
        static MADE: LazyLock<Mutex<HashMap<String, Arc<Mutex<bool>>>>> = LazyLock::new(Mutex::default);
        // Another test's panic while it filled leaves `false`: the next one tries again.
        let made =
            MADE.lock().unwrap_or_else(PoisonError::into_inner).entry(template.into()).or_default().clone();
        let source = format!("template_{template}");
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*made {
            let admin = Session::open(server().url(), "harness");
            admin.execute(&format!("DROP DATABASE IF EXISTS {source} WITH (FORCE)"));
            admin.execute(&format!("CREATE DATABASE {source}"));
            // Not dropped by Drop: it lives as long as the server.
            let filled = std::mem::ManuallyDrop::new(Self::named(&source));
            filled.execute("CREATE EXTENSION pg_stat_statements");
            fill(&filled);
            *made = true;
        }
        drop(made);

        let name = format!("test_{}_{template}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Session::open(server().url(), "harness")
            .execute(&format!("CREATE DATABASE {name} TEMPLATE {source}"));
        Self::named(&name)
    }

    fn named(name: &str) -> Self {
        Self { name: name.into(), url: server().url().replace("/postgres?", &format!("/{name}?")) }
    }

    /// A URL of its superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection that stays open, as another application would have one.
    pub fn session(&self, application_name: &str) -> Session {
        Session::open(&self.url, application_name)
    }

    /// Runs statements on a connection of their own.
    pub fn execute(&self, sql: &str) {
        self.session("harness").execute(sql);
    }

    /// The rows of one query, as text; NULL is absent.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.session("harness").rows(sql)
    }

    /// The first column of the only row, as text.
    pub fn value(&self, sql: &str) -> String {
        self.session("harness").value(sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        Session::open(server().url(), "harness")
            .execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// A connection of a test.
pub struct Session {
    // Dropped first: the client's end is seen by the connection's task while it can still run.
    client: Client,
    runtime: Runtime,
}

impl Session {
    /// Connects to the URL.
    pub fn open(url: &str, application_name: &str) -> Self {
        Self::try_open(url, application_name).unwrap_or_else(|error| panic!("cannot connect: {error:?}"))
    }

    /// Connects, or says why not.
    pub fn try_open(url: &str, application_name: &str) -> Result<Self, tokio_postgres::Error> {
        let mut config: tokio_postgres::Config = url.parse()?;
        config.application_name(application_name).connect_timeout(Duration::from_secs(10));
        let runtime = runtime();
        let client = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        })?;
        Ok(Self { client, runtime })
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) {
        self.runtime
            .block_on(self.client.batch_execute(sql))
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The rows of one query, as text; NULL is absent.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self
            .runtime
            .block_on(self.client.simple_query(sql))
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        };
        messages.into_iter().filter_map(row).collect()
    }

    /// The first column of the only row, as text.
    pub fn value(&self, sql: &str) -> String {
        match self.rows(sql).as_mut_slice() {
            [row] if !row.is_empty() => row[0].take().unwrap_or_else(|| panic!("{sql}: NULL")),
            rows => panic!("{sql}: {} rows", rows.len()),
        }
    }
}

mod tests {
    use std::time::Duration;

    use super::{Database, dbdyno, wait_until};

    #[test]
    fn each_test_has_its_own_copy_of_a_template_that_is_filled_once() {
        let fill = |database: &Database| database.execute("CREATE TABLE t AS SELECT 1 AS i");
        let a = Database::from_template("with_table", fill);
        let b = Database::from_template("with_table", |_| panic!("it is filled already"));
        a.execute("INSERT INTO t VALUES (2), (NULL)");
        assert_eq!(a.rows("SELECT i FROM t ORDER BY i"), [[Some("1".into())], [Some("2".into())], [None]]);
        assert_eq!(b.value("SELECT count(*) FROM t"), "1");
        let known = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'";
        assert_eq!(Database::empty().value(known), "1");
    }

    #[test]
    fn a_database_goes_with_its_test_even_while_somebody_is_connected() {
        let database = Database::empty();
        let held = database.session("held");
        let (name, other) = (database.name().to_owned(), Database::empty());
        assert!(database.url().contains(&format!("/{name}?")), "{}", database.url());
        assert_eq!(held.value("SELECT current_setting('application_name')"), "held");
        drop(database);
        let left = other.value(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"));
        assert_eq!(left, "0");
    }

    #[test]
    fn the_hidden_subcommand_refuses_what_dbdyno_would_not_ask() {
        dbdyno().args([dbdyno::local::SUPERVISE, "nonsense"]).assert().failure().stdout("");
    }

    #[test]
    #[should_panic(expected = "not within 20ms: pigs fly")]
    fn waiting_has_a_limit() {
        wait_until("pigs fly", Duration::from_millis(20), || false);
    }
}
