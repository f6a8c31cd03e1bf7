//! How long the capture of a large database takes, and whether databases that nobody here designed come back from theirs.
//!
//! - `CAPTURE_TABLES` (1000) tables with keys, references, indexes and rows, and `CAPTURE_STATEMENTS` (5000) different statements that
//!   were counted: captured in less than a minute. How much of it the server worked is printed beside it.
//! - `CAPTURE_SCHEMAS`, a folder with a folder for each application: `schema.sql` as it ships it, and if need be `rows.sql` that fills
//!   it and `statements.sql`, which is run a few times to be counted; without them, those beside this file serve for any schema. Each is
//!   captured, loaded from its capture into an empty database, and run there: every constraint of the source is valid there or named
//!   among what is not captured, and less than one per cent of the transactions fail. Nothing is fetched: who wants to try a schema
//!   puts it there.
//!
//! A program of cargo's for the reason that `pgbench.rs` gives.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use dbdyno::model::Report;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

mod common;
mod libpq;
mod program;

use common::{Result, number, say};
use libpq::tool;
use program::succeed;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
/// Where the scripts for any schema are.
const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/capture");
/// Longest capture of the large database.
const LARGE_S_MAX: f64 = 60.0;
/// Failed transactions of a captured application, as a share of all.
const FAILED_MAX: f64 = 0.01;
/// How often the statements of an application are run to be counted.
const ROUNDS: u32 = 20;

fn main() -> ExitCode {
    match captures() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the captures could not be made: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn captures() -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = [("pg_stat_statements.max", "20000"), ("max_locks_per_transaction", "1000")];
    let options = LocalOptions {
        supervisor: Some(PROGRAM.into()),
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..LocalOptions::default()
    };
    let server = runtime.block_on(start_postgres(&options))?;
    let bench = Bench { runtime, server, files: tempfile::tempdir()? };
    let mut met = bench.large(number("CAPTURE_TABLES", 1000)?, number("CAPTURE_STATEMENTS", 5000)?)?;
    if let Some(folder) = std::env::var_os("CAPTURE_SCHEMAS") {
        let mut applications: Vec<PathBuf> = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()?;
        applications.sort();
        for application in applications.iter().filter(|path| path.join("schema.sql").exists()) {
            met &= bench.application(application)?;
        }
    }
    bench.runtime.block_on(bench.server.stop())?;
    Ok(met)
}

struct Bench {
    runtime: Runtime,
    server: LocalServer,
    files: tempfile::TempDir,
}

impl Bench {
    /// Whether a large database is captured in time.
    fn large(&self, tables: u32, statements: u32) -> Result<bool> {
        let source = self.database("large")?;
        self.runtime.block_on(async {
            for table in 0..tables {
                source.batch_execute(&table_of(table)).await?;
            }
            source.batch_execute("ANALYZE").await?;
            for number in 0..statements {
                source.batch_execute(&statement_of(number, tables)).await?;
            }
            Ok::<(), tokio_postgres::Error>(())
        })?;
        let begun = Instant::now();
        let said = self.capture("large")?;
        let took_s = begun.elapsed().as_secs_f64();
        let cost = said.lines().find(|line| line.starts_with("the server answered")).unwrap_or_default();
        let is_met = took_s < LARGE_S_MAX;
        say(&format!(
            "{tables} tables and {statements} statements: captured in {took_s:.1} s, less than {LARGE_S_MAX:.0} s wanted: {}; {cost}",
            verdict(is_met)
        ));
        Ok(is_met)
    }

    /// Whether an application comes back from its capture.
    fn application(&self, folder: &Path) -> Result<bool> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().replace(['-', '.'], "_");
        let source = self.database(&name)?;
        let file = |name: &str| {
            let own = folder.join(name);
            if own.exists() { own } else { Path::new(BESIDE).join(name) }
        };
        for script in ["schema.sql", "rows.sql"] {
            self.psql(&name, &file(script), 1)?;
        }
        self.runtime.block_on(source.batch_execute("ANALYZE; SELECT pg_stat_statements_reset()"))?;
        self.psql(&name, &file("statements.sql"), ROUNDS)?;
        let said = self.capture(&name)?;
        let workload = self.files.path().join(&name);
        let copy_name = format!("{name}_copy");
        let copy = self.database(&copy_name)?;
        let url = self.url(&copy_name);
        let url = url.as_str();
        self.dbdyno(&["load", "-q", "-t", url, "-w"], &workload)?;
        let missing = self.missing(&source, &copy, &fs::read_to_string(workload.join("workload.toml"))?)?;
        let run = [
            "run",
            "--clients",
            "4",
            "--duration",
            "10s",
            "--warmup",
            "0s",
            "-q",
            "--json",
            "-",
            "-t",
            url,
            "-w",
        ];
        let report: Report = serde_json::from_str(&self.dbdyno(&run, &workload)?)?;
        let books = &report.stages[0].accounting;
        let failed = books.failed as f64 / (books.ok + books.failed).max(1) as f64;
        let is_met = missing.is_empty() && failed < FAILED_MAX;
        say(&format!(
            "{name}: {}; {} constraints missing without a word; {} transactions, {:.2} % failed, less than {:.0} % wanted: {}",
            said.lines().next().unwrap_or_default(),
            missing.len(),
            books.ok + books.failed,
            100.0 * failed,
            100.0 * FAILED_MAX,
            verdict(is_met)
        ));
        for constraint in &missing {
            say(&format!("  missing: {constraint}"));
        }
        for transaction in report.stages[0].transactions.iter().filter(|of| !of.errors.is_empty()) {
            say(&format!("  {}: {:?}", transaction.name, transaction.errors));
        }
        Ok(is_met)
    }

    /// Constraints that are valid at the source, and neither valid in the copy nor named among what is not captured.
    fn missing(&self, source: &Client, copy: &Client, document: &str) -> Result<Vec<String>> {
        const CONSTRAINTS: &str = "
            SELECT c.conname::text, c.conrelid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid)
            FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
            WHERE c.convalidated AND c.conrelid <> 0 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbdyno')
              AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.conrelid AND e.deptype = 'e')";
        let read = |client: &Client| -> Result<Vec<(String, String)>> {
            let rows = self.runtime.block_on(client.query(CONSTRAINTS, &[]))?;
            Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
        };
        let here = read(copy)?;
        let missing = read(source)?.into_iter().filter(|constraint| !here.contains(constraint));
        Ok(missing.filter(|(name, _)| !document.contains(name.as_str())).map(|(_, text)| text).collect())
    }

    fn capture(&self, name: &str) -> Result<String> {
        self.dbdyno(&["capture", "-q", "-t", self.url(name).as_str(), "--out"], &self.files.path().join(name))
    }

    fn dbdyno(&self, arguments: &[&str], folder: &Path) -> Result<String> {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg(folder).env("DBDYNO_RUNS_DIR", self.files.path().join("runs"));
        succeed(&format!("dbdyno {}", arguments[0]), &command.output()?)
    }

    fn psql(&self, database: &str, file: &Path, rounds: u32) -> Result<()> {
        let program = self.server.bindir().join("psql");
        let mut command = tool(&program, &self.server.url().parse()?, database);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]);
        for _ in 0..rounds {
            command.arg("-f").arg(file);
        }
        succeed(&format!("psql -f {}", file.display()), &command.output()?).map(drop)
    }

    fn url(&self, database: &str) -> String {
        self.server.url().replace("/postgres?", &format!("/{database}?"))
    }

    /// A new database, and a connection to it.
    fn database(&self, name: &str) -> Result<Client> {
        self.runtime.block_on(async {
            let (admin, connection) = tokio_postgres::connect(self.server.url(), NoTls).await?;
            tokio::spawn(connection);
            admin.batch_execute(&format!("CREATE DATABASE {name}")).await?;
            let (client, connection) = tokio_postgres::connect(&self.url(name), NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
            Ok(client)
        })
    }
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// A table that refers to the one before it, with what real ones have: texts, times, numbers, a check, indexes.
fn table_of(number: u32) -> String {
    const ROWS: u32 = 200;
    let mut sql = format!(
        "CREATE TABLE t{number} (id bigserial PRIMARY KEY, name varchar(60) NOT NULL, email text UNIQUE, state text NOT NULL \
         CHECK (state IN ('new', 'open', 'closed')), amount numeric(12,2) NOT NULL CHECK (amount >= 0), score double precision, \
         is_active boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL, updated_at timestamptz, data jsonb, note text"
    );
    let parent = number.checked_sub(1);
    if let Some(parent) = parent {
        write!(sql, ", parent_id bigint REFERENCES t{parent}").expect("memory takes every text");
    }
    sql += ");\n";
    let (column, value) = parent.map_or((String::new(), String::new()), |_| {
        (", parent_id".to_owned(), format!(", 1 + (n * 7) % {ROWS}"))
    });
    write!(
        sql,
        "CREATE INDEX ON t{number} (created_at); CREATE INDEX ON t{number} (state, amount);
         INSERT INTO t{number} (name, email, state, amount, score, is_active, created_at, updated_at, data, note{column})
         SELECT 'name ' || md5(n::text), 'mail' || n || '@example.com', (ARRAY['new', 'open', 'closed'])[1 + n % 3], n * 1.25, n / 7.0,
                n % 5 > 0, '2024-01-01'::timestamptz + n * interval '1 hour', NULL, '{{\"k\": 1}}', repeat('x', n % 40){value}
         FROM generate_series(1, {ROWS}) n"
    )
    .expect("memory takes every text");
    sql
}

/// One of many different statements: another table, or another shape on the same one.
fn statement_of(number: u32, tables: u32) -> String {
    let (table, shape) = (number % tables, number / tables);
    match shape % 5 {
        0 => format!("SELECT * FROM t{table} WHERE id = 7"),
        1 => format!(
            "SELECT id, name FROM t{table} WHERE state = 'open' AND amount >= 50 ORDER BY created_at DESC LIMIT 20"
        ),
        2 => format!("UPDATE t{table} SET amount = 5, updated_at = now() WHERE id = 3"),
        3 => format!("INSERT INTO t{table} (name, state, amount, created_at) VALUES ('a', 'new', 1, now())"),
        _ => format!(
            "SELECT state, count(*), {shape} FROM t{table} WHERE created_at BETWEEN '2024-01-02' AND '2024-01-03' GROUP BY 1"
        ),
    }
}
