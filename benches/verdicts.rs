//! Whether verdicts are true, on a real server: comparisons of two arms that are the same must not find a difference, and a
//! statement made slower by a fifth must be found, with its true size inside the interval.
//!
//! `VERDICTS_SAME` (40) is the number of comparisons of equal arms, eight pairs of slices each on `shop`; at most one in twenty may call
//! anything better or worse (the level is one in a hundred). `VERDICTS_SLOWER` (20) is the number of comparisons of the default length
//! with a slower statement; 17 of 20 must find it, and in 17 of 20 its size must lie inside the interval at 95 %. A program of cargo's for
//! the reason that `pgbench.rs` gives.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use dbdyno::model::{ChangeVerdict, MetricDifference, Report};

mod common;

use common::{Result, number, say};

const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/shop");
const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
/// How much slower the statement is made.
const SLOWER: f64 = 1.2;
/// What the statement spins, in microseconds, before it is made slower.
const SPIN_US: f64 = 2_000.0;
/// As `pg_sleep` would, but without rounding up to a millisecond.
const SPIN: &str = "CREATE FUNCTION spin(us float) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE until timestamptz := clock_timestamp() + us * interval '1 microsecond';
    BEGIN WHILE clock_timestamp() < until LOOP END LOOP; END $$";
const WORKLOAD: &str = "name = \"spin\"\n[[transaction]]\nname = \"only\"\nstatements = [\"spin\"]\n";
const QUERIES: &str = "-- name: spin :many\nSELECT spin(current_setting('spin.us')::float);\n";

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
    let (same, slower) = (number("VERDICTS_SAME", 40)?, number("VERDICTS_SLOWER", 20)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = LocalOptions { supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    let folder = tempfile::tempdir()?;
    let equal = equal_arms(same, &server, folder.path())?;
    let found = slower_statement(slower, &server, folder.path())?;
    runtime.block_on(server.stop())?;
    Ok(equal && found)
}

/// How often two equal arms are told apart.
fn equal_arms(comparisons: u32, server: &LocalServer, folder: &Path) -> Result<bool> {
    let mut load = Command::new(PROGRAM);
    load.args(["load", "-w", SHOP, "--scale", "0.2", "--quiet", "-t", server.url()]);
    if !load.status()?.success() {
        return Err("the shop was not loaded".into());
    }
    say(&format!("{comparisons} comparisons of equal arms on shop, 8 pairs of slices of 1 s each"));
    let mut alarms = 0;
    let mut visible = Vec::new();
    for comparison in 1..=comparisons {
        // Other work and another order each time.
        let seed = comparison.to_string();
        let arguments = ["--self", "--pairs", "8", "--slice", "1s", "--warmup", "500ms", "--settle", "200ms"];
        let report = ab(SHOP.as_ref(), server, folder, &[&arguments[..], &["--seed", &seed]].concat())?;
        let metrics = metrics(&report)?;
        let false_ones: Vec<String> = metrics
            .iter()
            .filter(|metric| matches!(metric.verdict, ChangeVerdict::Better | ChangeVerdict::Worse))
            .map(|metric| format!("{} {:?} {:?}", metric.metric, metric.ratio, metric.simultaneous))
            .collect();
        visible.extend(of(metrics, "response.mean").and_then(|metric| metric.visible));
        if !false_ones.is_empty() {
            alarms += 1;
            say(&format!("  comparison {comparison}: {}", false_ones.join("; ")));
        }
    }
    visible.sort_by(f64::total_cmp);
    if let Some(median) = visible.get(visible.len() / 2) {
        say(&format!("  smallest visible change of response.mean, median: {:.1} %", (median - 1.0) * 100.0));
    }
    say(&format!(
        "  {alarms} of {comparisons} called something better or worse; at most {}",
        comparisons / 20
    ));
    Ok(alarms <= comparisons / 20)
}

/// How often a statement that is slower by a fifth is found, and its size is inside the interval.
fn slower_statement(comparisons: u32, server: &LocalServer, folder: &Path) -> Result<bool> {
    let workload = folder.join("spin");
    std::fs::create_dir(&workload)?;
    std::fs::write(workload.join("workload.toml"), WORKLOAD)?;
    std::fs::write(workload.join("queries.sql"), QUERIES)?;
    execute(server, SPIN)?;
    // The statement takes more than it spins: what it takes is made a fifth longer.
    let metric = "only.spin.execute.p50";
    let spin = |us: f64| format!("set spin.us={us:.1}");
    let quick = ["--pairs", "8", "--slice", "1s", "--clients", "1", "--pool-size", "1"];
    let a = spin(SPIN_US);
    let tried =
        ab(&workload, server, folder, &[&quick[..], &["--a", &a, "--b", &spin(2.0 * SPIN_US)]].concat())?;
    let b = spin(SPIN_US + value(metrics(&tried)?, metric)? * (SLOWER - 1.0));
    say(&format!("{comparisons} comparisons of the default length: {a} against {b}"));
    let mut found = 0;
    let mut sizes = Vec::new();
    for comparison in 1..=comparisons {
        let seed = comparison.to_string();
        let shape = ["--clients", "1", "--pool-size", "1", "--a", &a, "--b", &b, "--seed", &seed];
        let report = ab(&workload, server, folder, &shape)?;
        let statement = of(metrics(&report)?, metric).ok_or("no such metric")?;
        let is_found = statement.verdict == ChangeVerdict::Worse;
        found += u32::from(is_found);
        let (ratio, interval) = statement.ratio.zip(statement.interval).ok_or("no interval")?;
        say(&format!(
            "  {comparison:2}: {ratio:.3} ({:.3} to {:.3}) {}",
            interval.0,
            interval.1,
            if is_found { "found" } else { "MISSED" },
        ));
        sizes.push((ratio, interval));
    }
    // How much slower it is in truth is not what it spins longer: a client that sleeps longer wakes up later. It is what all
    // comparisons together say, in the middle.
    sizes.sort_by(|one, other| one.0.total_cmp(&other.0));
    let size = sizes[sizes.len() / 2].0;
    let covered = sizes.iter().filter(|(_, (low, high))| (*low..=*high).contains(&size)).count();
    let least = comparisons * 17 / 20;
    say(&format!(
        "  found in {found} of {comparisons}; its size, {size:.3}, is inside the interval in {covered}; at least {least}"
    ));
    Ok(found >= least && covered >= least as usize)
}

/// What a metric is in arm A.
fn value(metrics: &[MetricDifference], name: &str) -> Result<f64> {
    Ok(of(metrics, name).and_then(|metric| metric.a).ok_or_else(|| format!("no value of {name}"))?)
}

fn ab(workload: &Path, server: &LocalServer, folder: &Path, arguments: &[&str]) -> Result<Report> {
    let output = Command::new(PROGRAM)
        .args(["ab", "--quiet", "--json", "-", "-t", server.url(), "-w"])
        .arg(workload)
        .arg("--runs-dir")
        .arg(folder.join("runs"))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("ab ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn metrics(report: &Report) -> Result<&[MetricDifference]> {
    Ok(&report.comparison.as_ref().ok_or("the report compares nothing")?.metrics)
}

fn of<'a>(metrics: &'a [MetricDifference], name: &str) -> Option<&'a MetricDifference> {
    metrics.iter().find(|metric| metric.metric == name)
}

fn execute(server: &LocalServer, sql: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(server.url(), tokio_postgres::NoTls).await?;
        let talking = tokio::spawn(connection);
        client.batch_execute(sql).await?;
        drop(client);
        talking.await??;
        Ok(())
    })
}
