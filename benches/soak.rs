//! A long run at a constant rate: memory must not grow, the books must balance, nothing may be left behind. Before it two
//! minutes of chaos on each engine: what was reported of every transaction must agree with what the table holds.
//!
//! `SOAK_MINUTES` (30) is its length, `SOAK_RATE` (200) its transactions per second, `CHAOS_SECONDS` (120) the length of the
//! chaos. A program of cargo's for the reason that
//! `pgbench.rs` gives.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use dbdyno::local::{LocalOptions, start_postgres};
use dbdyno::units::Dialect;

mod chaos;
mod common;

use common::{Result, number, say};

const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/shop");
const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
/// Memory at the end may exceed that of the first quarter by this factor and this much.
const GROWTH_MAX: f64 = 1.2;
const GROWTH_MAX_BYTES: u64 = 8 << 20;

fn main() -> ExitCode {
    match chaos().and_then(|()| soak()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("the soak failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn chaos() -> Result<()> {
    let seconds = number("CHAOS_SECONDS", 120)?;
    for dialect in [Dialect::Postgresql, Dialect::Mysql] {
        let options = LocalOptions { dialect, supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
        say(&format!("{seconds} seconds of chaos on {}", dialect.as_str()));
        let aftermath = chaos::run(Path::new(PROGRAM), &options, seconds, |_| ())?;
        say(&aftermath.summary());
        let wrong = aftermath.contradictions();
        if !wrong.is_empty() {
            return Err(format!("the books are wrong:\n{}", wrong.join("\n")).into());
        }
        let missing = aftermath.missing();
        if !missing.is_empty() {
            return Err(format!("there was no {}", missing.join(", no ")).into());
        }
        say("every transaction is where the report says it is");
    }
    Ok(())
}

fn soak() -> Result<()> {
    let (minutes, rate) = (number("SOAK_MINUTES", 30)?, number("SOAK_RATE", 200)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = LocalOptions { supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    let runs = tempfile::tempdir()?;
    let report = runs.path().join("report.json");

    let status =
        Command::new(PROGRAM).args(["load", "-w", SHOP, "--scale", "0.2", "-t", server.url()]).status()?;
    if !status.success() {
        return Err(format!("load ended with {status}").into());
    }
    say(&format!("{rate} transactions per second for {minutes} minutes"));
    let mut child = Command::new(PROGRAM)
        .args(["run", "-w", SHOP, "-t", server.url(), "--rate", &rate.to_string(), "--quiet"])
        .args(["--warmup", "auto", "--duration", &format!("{minutes}m"), "--json"])
        .arg(&report)
        .arg("--runs-dir")
        .arg(runs.path())
        .stdin(Stdio::null())
        .spawn()?;
    let resident = watch(&mut child)?;
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("run ended with {status}").into());
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    check_books(&report)?;
    check_warm_up(&report["stages"][0], &report["stages"][1])?;
    check_memory(&resident)?;

    let folder = server.folder().to_path_buf();
    runtime.block_on(server.stop())?;
    if folder.exists() {
        return Err(format!("{} is left", folder.display()).into());
    }
    say("memory stood still, the books balance, nothing is left");
    Ok(())
}

/// Resident bytes of the process, once a second until it ends.
fn watch(child: &mut std::process::Child) -> Result<Vec<u64>> {
    let process = procfs::process::Process::new(i32::try_from(child.id())?)?;
    let mut resident = Vec::new();
    let mut told = Instant::now();
    while child.try_wait()?.is_none() {
        // Absent once it is a zombie.
        if let Some(kilobytes) = process.status().ok().and_then(|status| status.vmrss) {
            resident.push(kilobytes * 1024);
        }
        if told.elapsed() >= Duration::from_secs(60) {
            told = Instant::now();
            say(&format!("{} MiB resident", resident.last().unwrap_or(&0) >> 20));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(resident)
}

fn check_books(report: &serde_json::Value) -> Result<()> {
    let stages = report["stages"].as_array().filter(|stages| !stages.is_empty()).ok_or("no stages")?;
    for stage in stages {
        let books = &stage["accounting"];
        if books["balanced"] != true || books["ok"].as_u64().unwrap_or(0) == 0 {
            return Err(format!("the books of {} are wrong: {books}", stage["name"]).into());
        }
    }
    Ok(())
}

/// It ended by itself, with a whole interval, and the measurement began then.
fn check_warm_up(warm_up: &serde_json::Value, measured: &serde_json::Value) -> Result<()> {
    let length_s = warm_up["duration_s"].as_f64().ok_or("the warm-up has no length")?;
    if warm_up["warm_up"]["steady"] != true {
        return Err(format!("no steady state: {}", warm_up["warm_up"]).into());
    }
    if (length_s - length_s.round()).abs() > 1e-6 || measured["measured"] != true {
        return Err(format!("the warm-up of {length_s} s was not cut with an interval").into());
    }
    say(&format!("steady after {length_s} s"));
    Ok(())
}

fn check_memory(resident: &[u64]) -> Result<()> {
    let quarter = resident.len() / 4;
    let most = |of: &[u64]| of.iter().copied().max().ok_or("too short to judge its memory");
    let (first, last) = (most(&resident[..quarter])?, most(&resident[resident.len() - quarter..])?);
    say(&format!("most memory: {} KiB in the first quarter, {} KiB in the last", first >> 10, last >> 10));
    if last as f64 > first as f64 * GROWTH_MAX && last > first + GROWTH_MAX_BYTES {
        return Err("memory grew".into());
    }
    Ok(())
}
