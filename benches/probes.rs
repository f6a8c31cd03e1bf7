//! What looking costs: the CPU of the probes' sessions beside the server's, from /proc, and what all of it costs a run: CPU of
//! the server per transaction and throughput, with probes against without.
//!
//! 64 clients, ten looks a second. Reads by key: `BENCH_PAIRS` (60) pairs of runs of `BENCH_SECONDS` (3), with and without probes by
//! turns. A tpcb, where some fifty of the clients queue for ten rows: `BENCH_QUEUES` (5) runs of 8 s, for the probes' own share only,
//! since its throughput is too unsteady to show a few parts in a hundred. A program of cargo's for the reason that `pgbench.rs` gives.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use dbdyno::model::{Report, Stage};

mod common;
mod paired;

use common::{Result, number, say};
use paired::{conclude, interval_of_median, median};

const TPCB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/tpcb");
const SELECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/select");
const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
const CLIENTS: &str = "64";
/// Most that the sessions of the probes may use of the server's CPU.
const PROBE_SHARE_MAX: f64 = 0.01;
/// Widest interval of a ratio that still says something.
const WIDTH_MAX: f64 = 0.05;
/// Length of a run with a queue.
const QUEUE_SECONDS: u32 = 8;

fn main() -> ExitCode {
    conclude(measure())
}

fn measure() -> Result<bool> {
    let (seconds, pairs) = (number("BENCH_SECONDS", 3)?, number("BENCH_PAIRS", 60)?);
    let queues = number("BENCH_QUEUES", 5)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = LocalOptions { supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    say(&format!("PostgreSQL {}, {CLIENTS} clients", server.version()));
    let folder = tempfile::tempdir()?;
    let mut load = Command::new(PROGRAM);
    load.args(["load", "-w", TPCB, "--scale", "10", "--quiet", "-t", server.url()]);
    if !load.status()?.success() {
        return Err("the data was not loaded".into());
    }
    say(&format!("reads by key, {pairs} pairs of {seconds} s"));
    let mut measured = Vec::new();
    for pair in 0..pairs {
        let mut both = [None, None];
        // A B, B A, A B, …: whatever drifts hits both alike.
        for watched in if pair % 2 == 0 { [false, true] } else { [true, false] } {
            both[usize::from(watched)] = Some(run(&server, folder.path(), SELECT, seconds, watched)?);
        }
        if let [Some(alone), Some(watched)] = both {
            measured.push((alone, watched));
        }
    }
    let cheap = judge(&measured)?;
    say(&format!("a tpcb with a queue, {queues} runs of {QUEUE_SECONDS} s"));
    let mut queued = Vec::new();
    for _ in 0..queues {
        queued.push(run(&server, folder.path(), TPCB, QUEUE_SECONDS, true)?.probe_share.ok_or(NO_CPU)?);
    }
    let cheap_in_a_queue = judge_share(queued.into_iter());
    runtime.block_on(server.stop())?;
    Ok(cheap && cheap_in_a_queue)
}

/// What a run gave.
struct Measured {
    /// Transactions in a second of the measured stage.
    per_s: f64,
    /// CPU of the server per transaction, the run's beginning and end included.
    cpu_us: f64,
    /// Share of the server's CPU that the sessions of the probes used; none without probes.
    probe_share: Option<f64>,
}

const NO_CPU: &str = "the kernel does not tell the CPU of the server";

/// Says what was measured, alone and watched, and whether it is within its bounds.
fn judge(measured: &[(Measured, Measured)]) -> Result<bool> {
    let shares: Option<Vec<f64>> = measured.iter().map(|(_, watched)| watched.probe_share).collect();
    let mut good = judge_share(shares.ok_or(NO_CPU)?.into_iter());
    let ratio = |of: fn(&Measured) -> f64| {
        interval_of_median(measured.iter().map(|(alone, watched)| of(watched) / of(alone)))
    };
    let costs = [
        ("throughput", ratio(|run| run.per_s)),
        ("the server's CPU per transaction", ratio(|run| run.cpu_us)),
    ];
    for (what, ratio) in costs {
        let width = ratio.upper - ratio.lower;
        say(&format!("  {what} with probes ÷ without: {ratio}, {:.1} % wide", width * 100.0));
        if width > WIDTH_MAX {
            say(&format!("  MISSED: wider than {:.0} %; more pairs help", WIDTH_MAX * 100.0));
            good = false;
        }
    }
    Ok(good)
}

fn judge_share(shares: impl Iterator<Item = f64>) -> bool {
    let share = median(shares);
    say(&format!("  the probes' share of the server's CPU: {:.2} %", share * 100.0));
    let dear = share > PROBE_SHARE_MAX;
    if dear {
        say(&format!("  MISSED: above {:.0} %", PROBE_SHARE_MAX * 100.0));
    }
    !dear
}

fn run(server: &LocalServer, folder: &Path, workload: &str, seconds: u32, watched: bool) -> Result<Measured> {
    let mut command = Command::new(PROGRAM);
    command
        .args(["run", "--quiet", "--json", "-", "-t", server.url(), "-w", workload, "--warmup", "1s"])
        .args(["--clients", CLIENTS, "--pool-size", CLIENTS, "--duration", &format!("{seconds}s")])
        .arg("--runs-dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if !watched {
        command.arg("--no-probes");
    }
    let before = cpu(server)?;
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("a run ended with {}", output.status).into());
    }
    // The kernel counts a process among the ended ones a moment after its connection closed.
    std::thread::sleep(Duration::from_millis(300));
    let used = cpu(server)?.saturating_sub(before);
    let report: Report = serde_json::from_slice(&output.stdout)?;
    let all: u64 = report.stages.iter().map(|stage| stage.accounting.ok).sum();
    let stage = stage(&report)?;
    Ok(Measured {
        per_s: stage.achieved_per_s,
        cpu_us: used.as_secs_f64() * 1e6 / all as f64,
        probe_share: stage.processes.as_ref().map(|cpu| cpu.probe_cores / cpu.cores),
    })
}

/// CPU of the server and of all its processes that ended.
fn cpu(server: &LocalServer) -> Result<Duration> {
    let stat = procfs::process::Process::new(server.pid())?.stat()?;
    let ended = u64::try_from(stat.cutime + stat.cstime)?;
    let ticks = stat.utime + stat.stime + ended;
    Ok(Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64))
}

fn stage(report: &Report) -> Result<&Stage> {
    Ok(report.stages.iter().find(|stage| stage.measured).ok_or("the report has no measured stage")?)
}
