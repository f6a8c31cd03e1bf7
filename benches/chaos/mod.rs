//! Chaos: each transaction inserts an id of its own, while connections are terminated at random, transactions deadlock, fail
//! to serialize and run into the statement timeout, and the server restarts. Then what the table holds is compared with what
//! every single transaction was reported as. `make soak` does it for minutes, the tests for seconds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dbdyno::model::Report;
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::config::Config;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const WORKLOAD: &str = r#"
name = "chaos"

[[transaction]]                       # commits itself
name = "single"
weight = 3
statements = ["insert"]
[transaction.parameter]
id = { uuid = {} }

[[transaction]]                       # two rows in either order: deadlocks
name = "pair"
weight = 4
retry = { on = ["40P01"], max_tries = 2 }
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
-- name: nap :many
SELECT pg_sleep(:nap_s);
";

/// The ledger is checked at COMMIT for two milliseconds, so that some connections end just then.
const SCHEMA: &str = "
    CREATE TABLE ledger (id uuid PRIMARY KEY);
    CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO counter SELECT i, 0 FROM generate_series(1, 5) i;
    CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON ledger DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION nap();
    ALTER ROLE CURRENT_USER SET statement_timeout = '300ms';
    ALTER ROLE CURRENT_USER SET deadlock_timeout = '20ms'";

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
    /// How the transaction of each id ended; transactions without a connection have none.
    outcomes: HashMap<String, String>,
    /// Rows of the sample log.
    samples: u64,
    /// What the table holds.
    table: HashSet<String>,
}

/// Runs it for so many seconds on a server of its own. `own` may change how the program is called.
pub fn run(
    program: &Path,
    url: &str,
    seconds: u32,
    own: impl Fn(&mut Command),
) -> Result<Aftermath, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config: Config = url.parse()?;
    let place = tempfile::tempdir()?;
    let [workload, samples] = ["workload", "samples.csv"].map(|name| place.path().join(name));
    std::fs::create_dir(&workload)?;
    std::fs::write(workload.join("workload.toml"), WORKLOAD)?;
    std::fs::write(workload.join("queries.sql"), QUERIES)?;
    runtime.block_on(async { connect(&config).await?.batch_execute(SCHEMA).await })?;

    let mut command = Command::new(program);
    own(&mut command);
    command
        .args(["run", "-t", url, "--pool-size", "8", "--warmup", "0s", "--drain", "60s", "--no-probes"])
        .args(["--rate", &RATE.to_string(), "--duration", &format!("{seconds}s"), "--quiet", "--json", "-"])
        .args(["--sample-values", "id", "--samples"])
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
    let terminated = runtime.block_on(torment(&config, seconds));
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
        let answer = connect(&config).await?.simple_query("SELECT id FROM ledger").await?;
        let id = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok::<_, tokio_postgres::Error>(answer.iter().filter_map(id).collect())
    })?;
    Ok(Aftermath { report, terminated, outcomes, samples: rows.len() as u64, table })
}

/// Terminates connections for a while, and in the middle kills one process of the server, upon which it ends all sessions and
/// starts anew. Gives how many connections it terminated.
async fn torment(config: &Config, seconds: u32) -> u32 {
    const VICTIM: &str = "FROM pg_stat_activity WHERE application_name = 'dbdyno pool' AND state <> 'idle'
                          ORDER BY random() LIMIT 1";
    let begin_limit = Instant::now() + BEGINS_WITHIN;
    while Instant::now() < begin_limit && !has_begun(config).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds.into()));
    let mut terminated = 0;
    let mut restarts = 0;
    while begun.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(60)).await;
        // It refuses while it starts anew.
        let Ok(client) = connect(config).await else { continue };
        if restarts == 0 && begun.elapsed() > length / 2 {
            let pid = value(&client, &format!("SELECT pid {VICTIM}")).await;
            let pid = pid.and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
            restarts += u32::from(pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()));
        } else if value(&client, &format!("SELECT pg_terminate_backend(pid) {VICTIM}")).await.as_deref()
            == Some("t")
        {
            terminated += 1;
        }
    }
    terminated
}

/// Whether the first transactions are there: a pool that cannot be filled ends a run before it begins.
async fn has_begun(config: &Config) -> bool {
    let Ok(client) = connect(config).await else { return false };
    value(&client, "SELECT count(*) > 0 FROM ledger").await.as_deref() == Some("t")
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The first column of the first row, if there is one.
async fn value(client: &Client, sql: &str) -> Option<String> {
    client.simple_query(sql).await.ok()?.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
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
        let trouble: [(&str, &[&str]); 5] = [
            ("a terminated connection", &["57P01"]),
            ("a deadlock", &["40P01"]),
            ("a serialization failure", &["40001"]),
            ("a statement timeout", &["57014"]),
            ("a restart of the server", &["57P02", "57P03", "08006", "08001"]),
        ];
        trouble.into_iter().filter(|(_, codes)| !met(codes)).map(|(what, _)| what.to_owned()).collect()
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
