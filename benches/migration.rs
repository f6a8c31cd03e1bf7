//! Whether the verdicts of a migration check are true, on a real server: a dropped index must fail each time with the statement named,
//! a harmless column must pass each time.
//!
//! `MIGRATIONS` (10) is the number of repetitions of each. A program of cargo's for the reason that `pgbench.rs` gives.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use dbdyno::model::{Report, Verdict};

mod common;

use common::{Result, number, say};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, key int, filler text);
    INSERT INTO t SELECT i, i, repeat('x', 100) FROM generate_series(1, 60000) i;
    CREATE INDEX by_key ON t (key)";
const WORKLOAD: &str = "name = \"keys\"\n[[transaction]]\nname = \"by_key\"\nstatements = [\"find\"]\n\
                        [[transaction]]\nname = \"by_id\"\nstatements = [\"get\"]\n\
                        [[transaction]]\nname = \"change\"\nstatements = [\"put\"]\n";
const QUERIES: &str = "-- name: find :many\nSELECT id FROM t WHERE key = 777;\n-- name: get :many\nSELECT key FROM t WHERE id = 5;\n\
                       -- name: put :exec\nUPDATE t SET filler = 'y' WHERE id = 6;\n";
/// Each with what it does and the verdict that it must have.
const CASES: [(&str, &str, Verdict); 2] = [
    ("a dropped index", "DROP INDEX by_key;", Verdict::Fail),
    ("a harmless column", "ALTER TABLE t ADD COLUMN note text;", Verdict::Pass),
];

fn main() -> ExitCode {
    match verdicts() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the verdicts could not be checked: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn verdicts() -> Result<bool> {
    let times = number("MIGRATIONS", 10)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = LocalOptions { supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("workload.toml"), WORKLOAD)?;
    std::fs::write(folder.path().join("queries.sql"), QUERIES)?;
    execute(&runtime, &server)?;
    let mut all = true;
    for (what, sql, expected) in CASES {
        let mut right = 0;
        for seed in 1..=times {
            let report = check(folder.path(), sql, &server, seed)?;
            let migration = report.migration.as_ref().ok_or("no migration check")?;
            let slower = migration.conditions.iter().find(|of| of.condition.starts_with("slower"));
            let measured = slower.map_or("", |of| of.measured.as_str());
            let is_named = expected != Verdict::Fail || measured.contains("by_key.find");
            right += u32::from(report.verdict == expected && is_named);
            say(&format!("  {what} {seed:2}: {:?}, {measured}", report.verdict));
        }
        say(&format!("{what}: {right} of {times} {expected:?}"));
        all &= right == times;
    }
    runtime.block_on(server.stop())?;
    Ok(all)
}

fn execute(runtime: &tokio::runtime::Runtime, server: &LocalServer) -> Result<()> {
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(server.url(), tokio_postgres::NoTls).await?;
        let talking = tokio::spawn(connection);
        client.batch_execute(SCHEMA).await?;
        client.batch_execute("VACUUM ANALYZE t").await?;
        // Nobody may be connected to a database that is copied.
        drop(client);
        talking.await??;
        Ok(())
    })
}

/// On a copy, so that each repetition begins with the same state.
fn check(workload: &Path, sql: &str, server: &LocalServer, seed: u32) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("1_change.sql"), sql)?;
    let mut command = Command::new(PROGRAM);
    command.args([
        "migration",
        "--rate",
        "100",
        "--pool-size",
        "2",
        "--warmup",
        "1s",
        "--before",
        "10s",
        "--after",
        "10s",
    ]);
    command.args(["--allow-target", "postgres", "--quiet", "--json", "-", "--seed", &seed.to_string()]);
    command.arg("-w").arg(workload).arg("--migrations").arg(folder.path()).args(["-t", server.url()]);
    command.arg("--runs-dir").arg(folder.path().join("runs")).stderr(Stdio::inherit());
    Ok(serde_json::from_slice(&command.output()?.stdout)?)
}
