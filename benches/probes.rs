//! What looking costs: the CPU of the probes' sessions beside the server's, from /proc, and how much faster a run is when
//! nobody looks.
//!
//! 64 clients on a tpcb of their own, ten looks a second. `BENCH_PAIRS` (15) pairs of runs of `BENCH_SECONDS` (8), with and
//! without probes by turns. A program of cargo's for the reason that `pgbench.rs` gives.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use dbdyno::model::{Report, Stage};

mod common;
mod paired;

use common::{Result, number, say};
use paired::{conclude, interval_of_median, median};

const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/tpcb");
const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
const CLIENTS: &str = "64";
/// Most that the sessions of the probes may use of the server's CPU.
const PROBE_SHARE_MAX: f64 = 0.01;
/// Widest interval of the ratio that still says something.
const WIDTH_MAX: f64 = 0.05;

fn main() -> ExitCode {
    conclude(measure())
}

fn measure() -> Result<bool> {
    let (seconds, pairs) = (number("BENCH_SECONDS", 8)?, number("BENCH_PAIRS", 15)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = LocalOptions { supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    say(&format!("PostgreSQL {}; {pairs} pairs of {seconds} s, {CLIENTS} clients", server.version()));
    let folder = tempfile::tempdir()?;
    let mut load = Command::new(PROGRAM);
    load.args(["load", "-w", WORKLOAD, "--scale", "10", "--quiet", "-t", server.url()]);
    if !load.status()?.success() {
        return Err("the data was not loaded".into());
    }
    let mut measured = Vec::new();
    for pair in 0..pairs {
        let mut both = [None, None];
        // A B, B A, A B, …: whatever drifts hits both alike.
        for watched in if pair % 2 == 0 { [false, true] } else { [true, false] } {
            both[usize::from(watched)] = Some(run(&server, folder.path(), seconds, watched)?);
        }
        if let [Some(alone), Some(watched)] = both {
            measured.push((alone, watched));
        }
    }
    runtime.block_on(server.stop())?;
    judge(&measured)
}

/// Says what was measured, alone and watched, and whether it is within its bounds.
fn judge(measured: &[(Report, Report)]) -> Result<bool> {
    let mut shares = Vec::new();
    let mut ratios = Vec::new();
    for (alone, watched) in measured {
        let (alone, watched) = (stage(alone)?, stage(watched)?);
        let cpu = watched.processes.ok_or("the kernel does not tell the CPU of the server")?;
        shares.push(cpu.probe_cores / cpu.cores);
        ratios.push(watched.achieved_per_s / alone.achieved_per_s);
    }
    let share = median(shares.iter().copied());
    let throughput = interval_of_median(ratios.into_iter());
    let width = throughput.upper - throughput.lower;
    say(&format!("  the probes' share of the server's CPU: {:.2} %", share * 100.0));
    say(&format!("  throughput with probes ÷ without: {throughput}, {:.1} % wide", width * 100.0));
    let dear = share > PROBE_SHARE_MAX;
    if dear {
        say(&format!("  MISSED: the share is above {:.0} %", PROBE_SHARE_MAX * 100.0));
    }
    let wide = width > WIDTH_MAX;
    if wide {
        say(&format!("  MISSED: the interval is wider than {:.0} %; more pairs help", WIDTH_MAX * 100.0));
    }
    Ok(!dear && !wide)
}

fn run(server: &LocalServer, folder: &Path, seconds: u32, watched: bool) -> Result<Report> {
    let mut command = Command::new(PROGRAM);
    command
        .args(["run", "--quiet", "--json", "-", "-t", server.url(), "-w", WORKLOAD, "--warmup", "1s"])
        .args(["--clients", CLIENTS, "--pool-size", CLIENTS, "--duration", &format!("{seconds}s")])
        .arg("--runs-dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if !watched {
        command.arg("--no-probes");
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("a run ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn stage(report: &Report) -> Result<&Stage> {
    Ok(report.stages.iter().find(|stage| stage.measured).ok_or("the report has no measured stage")?)
}
