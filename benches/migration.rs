//! Whether what a migration check says is true, on a real server. Verdicts: a dropped index must fail each time with the statement named,
//! a harmless column must pass each time. Predictions: what a rewrite, an index build and a validation take at scale 2, from scales 0.1
//! and 0.5, must lie within a quarter of what is measured there.
//!
//! `MIGRATIONS` (10) is the number of repetitions of each verdict; before and behind are measured by turns as they are by default, in
//! slices of 2 s, a minute and a half each. A program of cargo's for the reason that `pgbench.rs` gives.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use dbdyno::model::{GrowthInfo, Report, Verdict};

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

/// Half a million rows at scale 1, none of which says anything but its number.
const ROWS_AT_SCALE_1: u64 = 500_000;
const SIZED_SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, key int NOT NULL, filler text NOT NULL);\n";
const SIZED_QUERIES: &str = "-- name: get :many\nSELECT key FROM t WHERE id = 5;\n";
const SIZED_MIGRATION: &str = "ALTER TABLE t ADD COLUMN lot float DEFAULT random();
    CREATE INDEX by_key ON t (key);
    ALTER TABLE t ADD CONSTRAINT filled CHECK (filler <> '' AND key >= 0) NOT VALID;
    ALTER TABLE t VALIDATE CONSTRAINT filled;";
/// Numbers of the statements that work through the table, and what they are.
const SIZED: [(usize, &str); 3] = [(1, "a rewrite"), (2, "an index build"), (4, "a validation")];
/// How far a prediction may be off.
const OFF_MAX: f64 = 0.25;

fn main() -> ExitCode {
    match verdicts().and_then(|verdicts| predictions().map(|predictions| verdicts && predictions)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("it could not be checked: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Predicts scale 2 from scales 0.1 and 0.5, and measures it.
fn predictions() -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let workload = format!(
        "name = \"sized\"\n[table.t]\nrows = {ROWS_AT_SCALE_1}\n[table.t.column]\nid = {{ sequence = {{}} }}\n\
         key = {{ uniform = [0, 1_000_000_000] }}\nfiller = {{ constant = \"{}\" }}\n\
         [[transaction]]\nname = \"by_id\"\nstatements = [\"get\"]\n",
        "x".repeat(60)
    );
    std::fs::write(folder.path().join("workload.toml"), workload)?;
    std::fs::write(folder.path().join("schema.sql"), SIZED_SCHEMA)?;
    std::fs::write(folder.path().join("queries.sql"), SIZED_QUERIES)?;
    let predicted = growth(folder.path(), "0.1,0.5")?;
    let truth = growth(folder.path(), "1,2")?;
    let mut all = true;
    for (number, what) in SIZED {
        let find = |growth: &[GrowthInfo]| growth.iter().find(|of| of.statement == number).cloned();
        let (predicted, truth) =
            (find(&predicted).ok_or("no statement")?, find(&truth).ok_or("no statement")?);
        let at_2: Vec<f64> =
            truth.points.iter().filter(|of| of.scale > 1.5).map(|of| of.duration_us as f64).collect();
        let measured = at_2.iter().sum::<f64>() / at_2.len() as f64;
        let took = predicted.duration_us.ok_or("no prediction")?;
        let off = took.value / measured - 1.0;
        say(&format!(
            "{what} of {} rows: predicted {:.0} ms ({:.0} to {:.0}), measured {:.0} ms, {:+.1} %",
            2 * ROWS_AT_SCALE_1,
            took.value / 1e3,
            took.low / 1e3,
            took.high / 1e3,
            measured / 1e3,
            off * 100.0
        ));
        all &= off.abs() <= OFF_MAX;
    }
    Ok(all)
}

/// What the migration takes at these scales, and at scale 2 by them.
fn growth(workload: &Path, scales: &str) -> Result<Vec<GrowthInfo>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("1_sized.sql"), SIZED_MIGRATION)?;
    let mut command = Command::new(PROGRAM);
    command.args([
        "migration",
        "-t",
        "local",
        "--in-place",
        "--scale",
        "0.1",
        "--scales",
        scales,
        "--tool",
        "plain",
    ]);
    command.args(["--rate", "20", "--pool-size", "2", "--warmup", "0s", "--before", "4s", "--after", "4s"]);
    command.args(["--production-rows", &format!("t={}", 2 * ROWS_AT_SCALE_1), "--quiet", "--json", "-"]);
    command.arg("-w").arg(workload).arg("--migrations").arg(folder.path());
    command.arg("--runs-dir").arg(folder.path().join("runs")).stderr(Stdio::inherit());
    let report: Report = serde_json::from_slice(&command.output()?.stdout)?;
    let growth = report.migration.and_then(|of| of.growth).ok_or("nothing was measured at several scales")?;
    Ok(growth.statements)
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
        "6s",
        "--after",
        "6s",
        "--slice",
        "2s",
    ]);
    command.args(["--allow-target", "postgres", "--quiet", "--json", "-", "--seed", &seed.to_string()]);
    command.arg("-w").arg(workload).arg("--migrations").arg(folder.path()).args(["-t", server.url()]);
    command.arg("--runs-dir").arg(folder.path().join("runs")).stderr(Stdio::inherit());
    Ok(serde_json::from_slice(&command.output()?.stdout)?)
}
