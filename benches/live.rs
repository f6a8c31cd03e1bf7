//! What watching costs: the CPU of the live view's thread while a run goes on, on a terminal of 80 × 24 and on one of 200 × 60,
//! from /proc; and what the threads beside the workers use with it and without it. Fails where the view takes more than one part
//! in a hundred of a core.
//!
//! `LIVE_SECONDS` (10) of a run of 500 reads by key a second on 8 connections. `script` of util-linux makes the terminal.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use procfs::process::{Process, all_processes};

mod common;

use common::{Result, number, say};

const TPCB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/tpcb");
const SELECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/select");
const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
/// Most of a core that the view may take.
const VIEW_MAX: f64 = 0.01;
/// What its thread is called.
const VIEW: &str = "screen";
/// How those are called that put on the load.
const WORKERS: &str = "dyno-worker";
/// Between the first picture and the measurement: what is done once is done by then.
const SETTLE: Duration = Duration::from_secs(2);
/// Longest time until there is a first picture.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match live() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the live view could not be measured: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn live() -> Result<bool> {
    let seconds = number("LIVE_SECONDS", 10)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = LocalOptions { supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    let folder = tempfile::tempdir()?;
    let mut load = Command::new(PROGRAM);
    load.args(["load", "-w", TPCB, "--scale", "1", "--quiet", "-t", server.url()]);
    if !load.status()?.success() {
        return Err("the data was not loaded".into());
    }
    say(&format!("the live view over {seconds} s"));
    let mut cheap = true;
    for (columns, rows) in [(80, 24), (200, 60)] {
        let run = |live| Watched::begin(&server, folder.path(), (columns, rows), live, seconds);
        let plain = run("")?.cpu(seconds)?;
        let watched = run("--live")?.cpu(seconds)?;
        let view = watched.view.ok_or("there is no thread of the live view")?;
        say(&format!(
            "  {columns} × {rows}: {:.2} % of a core; all threads but the workers' {:.2} % with it, {:.2} % without",
            view * 100.0,
            watched.beside * 100.0,
            plain.beside * 100.0
        ));
        if view > VIEW_MAX {
            say(&format!("  MISSED: above {:.0} %", VIEW_MAX * 100.0));
            cheap = false;
        }
    }
    runtime.block_on(server.stop())?;
    Ok(cheap)
}

/// A run on a terminal.
struct Watched {
    script: Child,
    program: Process,
}

/// Shares of a core.
struct Shares {
    /// The thread of the view, where there is one.
    view: Option<f64>,
    /// All threads but the workers.
    beside: f64,
}

impl Watched {
    fn begin(
        server: &LocalServer,
        folder: &Path,
        (columns, rows): (u16, u16),
        live: &str,
        seconds: u32,
    ) -> Result<Self> {
        let words = format!(
            "run -w {SELECT} -t {} --runs-dir {} --rate 500 --pool-size 8 --warmup 0s --duration {}s {live}",
            server.url(),
            folder.display(),
            seconds + 30
        );
        let line = format!("stty rows {rows} cols {columns}; exec \"$TESTED\" $WORDS");
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"])
            .env("TESTED", PROGRAM)
            .env("WORDS", words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // A terminal that nobody reads from holds up who writes on it.
        let mut screen = script.stdout.take().ok_or("no screen")?;
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while screen.read(&mut bytes).is_ok_and(|read| read > 0) {}
        });
        let begun = Instant::now();
        let program = loop {
            if let Some(program) = measuring(i32::try_from(script.id())?)? {
                break program;
            }
            if begun.elapsed() > BEGINS_WITHIN || script.try_wait()?.is_some() {
                return Err("the run does not begin".into());
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        std::thread::sleep(SETTLE);
        Ok(Self { script, program })
    }

    /// What the threads use.
    fn cpu(self, seconds: u32) -> Result<Shares> {
        let (before, begun) = (threads(&self.program)?, Instant::now());
        std::thread::sleep(Duration::from_secs(u64::from(seconds)));
        let (after, lasted) = (threads(&self.program)?, begun.elapsed().as_nanos() as f64);
        let mut shares = Shares { view: None, beside: 0.0 };
        for (id, name, ns) in after {
            let earlier = before.iter().find(|(of, ..)| *of == id).map_or(0, |(.., ns)| *ns);
            let share = (ns - earlier) as f64 / lasted;
            if name == VIEW {
                shares.view = Some(share);
            }
            if !name.starts_with(WORKERS) {
                shares.beside += share;
            }
        }
        Ok(shares)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Without its terminal the program ends as well.
        let _ = self.script.kill();
        let _ = self.script.wait();
        let ended = Instant::now();
        while self.program.is_alive() && ended.elapsed() < BEGINS_WITHIN {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The program on the terminal of this `script`, once its workers run.
fn measuring(script: i32) -> Result<Option<Process>> {
    for process in all_processes()? {
        // Processes come and go.
        let Ok(process) = process else { continue };
        let Ok(stat) = process.stat() else { continue };
        if stat.ppid == script && stat.comm == "dbdyno" {
            let works = threads(&process)?.iter().any(|(_, name, _)| name.starts_with(WORKERS));
            return Ok(works.then_some(process));
        }
    }
    Ok(None)
}

/// Number, name and CPU time in nanoseconds of each thread.
fn threads(process: &Process) -> Result<Vec<(i32, String, u64)>> {
    let mut threads = Vec::new();
    for task in process.tasks()? {
        // One that ended meanwhile.
        let Ok(task) = task else { continue };
        let (Ok(stat), Ok(schedule)) = (task.stat(), task.schedstat()) else { continue };
        threads.push((task.tid, stat.comm, schedule.sum_exec_runtime));
    }
    Ok(threads)
}
