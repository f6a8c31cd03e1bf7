//! Chaos: each transaction inserts an id of its own, while connections are terminated at random, transactions deadlock, fail
//! to serialize and run into the statement timeout, and the server restarts. Then what the table holds is compared with what
//! every single transaction was reported as. `make soak` does it for minutes, the tests for seconds; both to either engine.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dbdyno::db::{Client, Target};
use dbdyno::local::{LocalOptions, LocalServer};
use dbdyno::model::Report;
use dbdyno::units::Dialect;
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::SimpleQueryMessage;

const WORKLOAD: &str = r#"
name = "chaos"
engines = ["postgresql", "mysql"]

[[transaction]]                       # commits itself
name = "single"
weight = 3
statements = ["insert"]
[transaction.parameter]
id = { uuid = {} }

[[transaction]]                       # two rows in either order: deadlocks
name = "pair"
weight = 4
retry = { on = ["40P01", "40001"], max_tries = 2 }
[[transaction.step]]
statement = "insert"
[[transaction.step]]
statement = "touch_first"
[[transaction.step]]
statement = "touch_second"
hold = "4ms"
[transaction.parameter]
id = { uuid = {} }
first = { uniform = [1, 3] }
second = { uniform = [1, 3] }

[[transaction]]                       # reads what others write: serialization failures
name = "serial"
weight = 3
isolation = "serializable"
retry = { on = ["40001"], max_tries = 3 }
statements = ["insert", "sum", "touch_own"]
[transaction.parameter]
id = { uuid = {} }
own = { uniform = [4, 5] }

[[transaction]]                       # often longer than a statement may take
name = "slow"
weight = 1
statements = ["insert", "nap"]
[transaction.parameter]
id = { uuid = {} }
nap_s = { uniform = [0, 1] }
"#;

const QUERIES: &str = "\
-- name: insert :exec
INSERT INTO ledger VALUES (:id);
-- name: touch_first :exec
UPDATE counter SET n = n + 1 WHERE id = :first;
-- name: touch_second :exec
UPDATE counter SET n = n + 1 WHERE id = :second;
-- name: sum :many
SELECT sum(n) FROM counter WHERE id >= 4;
-- name: touch_own :exec
UPDATE counter SET n = n + 1 WHERE id = :own;
";

/// What differs between the engines.
struct Differences {
    /// The statement `nap`.
    nap: &'static str,
    /// Whatever inserts into the ledger waits for two milliseconds, so that some connections end just then.
    schema: &'static [&'static str],
    /// The number of a session of the pool, any of them.
    victim: &'static str,
    /// Ends session `{id}`.
    terminate: &'static str,
    /// Kinds of trouble that are to come, and the codes of each.
    trouble: &'static [(&'static str, &'static [&'static str])],
}

/// It waits where the ledger is checked at COMMIT.
const POSTGRESQL: Differences = Differences {
    nap: "SELECT pg_sleep(:nap_s)",
    schema: &[
        "CREATE TABLE ledger (id uuid PRIMARY KEY)",
        "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)",
        "INSERT INTO counter VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)",
        "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON ledger DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION nap()",
        "ALTER ROLE CURRENT_USER SET deadlock_timeout = '20ms'",
    ],
    // Of those that do something.
    victim: "SELECT pid FROM pg_stat_activity WHERE application_name = 'dbdyno pool' AND state <> 'idle'
             ORDER BY random() LIMIT 1",
    terminate: "SELECT pg_terminate_backend({id})",
    trouble: &[
        ("a terminated connection", &["57P01"]),
        ("a deadlock", &["40P01"]),
        ("a serialization failure", &["40001"]),
        ("a statement timeout", &["57014"]),
        ("a restart of the server", &["57P02", "57P03", "08006", "08001"]),
    ],
};

/// Nothing is checked at COMMIT there: it waits in the statement, which for the most part commits itself. What cannot be serialised
/// is a deadlock.
const MARIADB: Differences = Differences {
    // A sleep that is all of a statement is woken by MySQL's limit, and ends well.
    nap: "SELECT n FROM (SELECT 1 AS n UNION SELECT 2) AS two WHERE n = 1 AND SLEEP(:nap_s)",
    schema: &[
        "CREATE TABLE ledger (id char(36) PRIMARY KEY)",
        "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)",
        "INSERT INTO counter VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)",
        "CREATE TRIGGER slow_insert AFTER INSERT ON ledger FOR EACH ROW DO SLEEP(0.002)",
    ],
    // Of all: of those that do something most sleep, and would never get as far as their timeout.
    victim: "SELECT p.ID FROM information_schema.PROCESSLIST AS p
             JOIN performance_schema.session_connect_attrs AS a ON a.PROCESSLIST_ID = p.ID
             WHERE a.ATTR_NAME = 'program_name' AND a.ATTR_VALUE = 'dbdyno pool' ORDER BY RAND() LIMIT 1",
    terminate: "KILL CONNECTION {id}",
    trouble: &[
        // The socket is closed before the server's word for it could be read.
        ("a terminated connection", &["08006"]),
        ("a deadlock", &["40001"]),
        ("a statement timeout", &["57014"]),
        ("a restart of the server", &["08001"]),
    ],
};

impl Differences {
    fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Postgresql => &POSTGRESQL,
            Dialect::Mysql => &MARIADB,
        }
    }
}

/// Transactions per second: each connection has something to do, and most of it succeeds.
const RATE: u32 = 120;

/// Longest time until the first transaction is there.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// What is left when the dust has settled.
pub struct Aftermath {
    /// What dbdyno reports.
    pub report: Report,
    /// Connections that were terminated, the restart apart.
    pub terminated: u32,
    /// Of which engine.
    differences: &'static Differences,
    /// How the transaction of each id ended; transactions without a connection have none.
    outcomes: HashMap<String, String>,
    /// Rows of the sample log.
    samples: u64,
    /// What the table holds.
    table: HashSet<String>,
}

/// Runs it for so many seconds on a server of its own, started by `options`. `own` may change how the program is called.
pub fn run(
    program: &Path,
    options: &LocalOptions,
    seconds: u32,
    own: impl Fn(&mut Command),
) -> Result<Aftermath, Box<dyn Error>> {
    let differences = Differences::of(options.dialect);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut server = runtime.block_on(dbdyno::local::start(options))?;
    let target = Target::of_local_server(server.url())?;
    let place = tempfile::tempdir()?;
    let [workload, samples] = ["workload", "samples.csv"].map(|name| place.path().join(name));
    std::fs::create_dir(&workload)?;
    std::fs::write(workload.join("workload.toml"), WORKLOAD)?;
    let queries = format!("{QUERIES}-- name: nap :many\n{};\n", differences.nap);
    std::fs::write(workload.join("queries.sql"), queries)?;
    runtime.block_on(async {
        let client = target.connect("chaos").await?;
        for sql in differences.schema {
            values(&client, sql).await?;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;

    let mut command = Command::new(program);
    own(&mut command);
    command
        .args([
            "run",
            "-t",
            server.url(),
            "--pool-size",
            "8",
            "--warmup",
            "0s",
            "--drain",
            "60s",
            "--no-probes",
        ])
        .args(["--rate", &RATE.to_string(), "--duration", &format!("{seconds}s"), "--quiet", "--json", "-"])
        .args(["--statement-timeout", "300ms", "--sample-values", "id", "--samples"])
        .arg(&samples)
        .arg("-w")
        .arg(&workload)
        .arg("--runs-dir")
        .arg(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn()?;
    // The program has nothing to say before its end: nobody needs to read meanwhile.
    let terminated = runtime.block_on(torment(&mut server, &target, differences, seconds))?;
    let output = child.wait_with_output()?;
    let report = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("no report ({error}): {}", String::from_utf8_lossy(&output.stderr)))?;

    let log = std::fs::read_to_string(&samples)?;
    let mut lines = log.lines();
    let columns: Vec<&str> = lines.next().ok_or("the sample log is empty")?.split(',').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name).ok_or("no such column");
    let (id, outcome) = (column("id")?, column("outcome")?);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let outcomes = rows
        .iter()
        .filter(|row| !row[id].is_empty())
        .map(|row| (row[id].into(), row[outcome].into()))
        .collect();
    let table = runtime.block_on(async {
        let ids = values(&target.connect("chaos").await?, "SELECT id FROM ledger").await?;
        Ok::<_, Box<dyn Error>>(ids.into_iter().collect())
    })?;
    runtime.block_on(server.stop())?;
    Ok(Aftermath { report, terminated, differences, outcomes, samples: rows.len() as u64, table })
}

/// Terminates connections for a while, and in the middle lets the server crash and start anew. Gives how many connections it
/// terminated.
async fn torment(
    server: &mut LocalServer,
    target: &Target,
    differences: &Differences,
    seconds: u32,
) -> Result<u32, Box<dyn Error>> {
    let begin_limit = Instant::now() + BEGINS_WITHIN;
    while Instant::now() < begin_limit && !has_begun(target).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds.into()));
    let mut terminated = 0;
    let mut has_crashed = false;
    while begun.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(60)).await;
        // It refuses while it starts anew.
        let Ok(client) = target.connect("chaos").await else { continue };
        let Some(victim) = first(&client, differences.victim).await else { continue };
        if !has_crashed && begun.elapsed() > length / 2 {
            has_crashed = crash(server, target.dialect(), &victim).await?;
        } else {
            // Who was gone already was not terminated: PostgreSQL says so, MariaDB fails.
            let ended = values(&client, &differences.terminate.replace("{id}", &victim)).await;
            terminated += u32::from(ended.is_ok_and(|said| said.first().is_none_or(|said| said == "t")));
        }
    }
    Ok(terminated)
}

/// Kills one process of a PostgreSQL, upon which it ends all sessions and starts anew; a MariaDB is one process, and is started
/// again. Gives whether there was something to kill.
async fn crash(server: &mut LocalServer, dialect: Dialect, victim: &str) -> Result<bool, Box<dyn Error>> {
    let kill = |pid| Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
    match dialect {
        Dialect::Postgresql => Ok(kill(victim.parse()?)),
        Dialect::Mysql => {
            let killed = kill(server.pid());
            server.restart().await?;
            Ok(killed)
        }
    }
}

/// Whether the first transactions are there: a pool that cannot be filled ends a run before it begins.
async fn has_begun(target: &Target) -> bool {
    let Ok(client) = target.connect("chaos").await else { return false };
    first(&client, "SELECT count(*) FROM ledger").await.is_some_and(|rows| rows != "0")
}

/// The first column of the first row, if there is one.
async fn first(client: &Client, sql: &str) -> Option<String> {
    values(client, sql).await.ok()?.into_iter().next()
}

/// The first column of all rows, as text.
async fn values(client: &Client, sql: &str) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(match client {
        Client::Postgres(client) => {
            let answer = client.simple_query(sql).await?;
            let value = |message: &SimpleQueryMessage| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            };
            answer.iter().filter_map(value).collect()
        }
        Client::MySql(client) => {
            let rows = client.rows(sql).await?;
            rows.into_iter().filter_map(|mut row| row.take(0)).collect()
        }
    })
}

impl Aftermath {
    /// Everything that contradicts something else; nothing when the books are true.
    pub fn contradictions(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let ended = |outcome: &str| self.outcomes.values().filter(|ended| *ended == outcome).count() as u64;
        for (id, outcome) in &self.outcomes {
            match (outcome.as_str(), self.table.contains(id)) {
                ("ok", false) => wrong.push(format!("{id} was reported ok and is not in the table")),
                ("failed", true) => wrong.push(format!("{id} was reported failed and is in the table")),
                _ => {}
            }
        }
        let foreign = self.table.iter().filter(|id| !self.outcomes.contains_key(*id)).count();
        if foreign > 0 {
            wrong.push(format!("the table has {foreign} ids of which the sample log knows nothing"));
        }
        let Some(stage) = self.report.stages.iter().find(|stage| stage.measured) else {
            wrong.push("no stage was measured".to_owned());
            return wrong;
        };
        let books = stage.accounting;
        if !books.balanced || books.issued != self.samples {
            wrong.push(format!("the books do not balance with {} samples: {books:?}", self.samples));
        }
        if (books.ok, books.unknown) != (ended("ok"), ended("unknown")) {
            wrong.push(format!("the report has {} ok and {} unknown, the log not", books.ok, books.unknown));
        }
        if books.skipped + books.abandoned > 0 {
            wrong.push(format!("the drain was too short to tell: {books:?}"));
        }
        wrong
    }

    /// How often each error was met, retried or not.
    pub fn errors(&self) -> BTreeMap<&str, u64> {
        let mut errors = BTreeMap::new();
        let measured = self.report.stages.iter().filter(|stage| stage.measured);
        for (code, count) in measured.flat_map(|stage| &stage.transactions).flat_map(|of| &of.errors) {
            *errors.entry(code.as_str()).or_default() += count;
        }
        errors
    }

    /// Kinds of trouble that were to come and did not.
    pub fn missing(&self) -> Vec<String> {
        let errors = self.errors();
        let met = |codes: &[&str]| codes.iter().any(|code| errors.contains_key(code));
        let trouble = self.differences.trouble.iter().filter(|(_, codes)| !met(codes));
        trouble.map(|(what, _)| (*what).to_owned()).collect()
    }

    /// What happened, in a line.
    pub fn summary(&self) -> String {
        let books = self.report.stages.iter().find(|stage| stage.measured).map(|stage| stage.accounting);
        let books = books.unwrap_or_default();
        format!(
            "{} connections terminated, one restart; {} ok, {} failed, {} unknown, {} rows; errors {:?}",
            self.terminated,
            books.ok,
            books.failed,
            books.unknown,
            self.table.len(),
            self.errors()
        )
    }
}
