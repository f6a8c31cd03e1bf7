//! dbdyno's loader beside the fastest that PostgreSQL's own tools can do: the table of `pgbench_accounts`, two million rows, into
//! a fresh table in one transaction.
//!
//! Against psql: `COPY … FROM STDIN` of a ready binary file of the same rows. dbdyno generates its rows meanwhile and may take
//! 1.1 times as long. Against `pgbench -i`: its client-side generate, which sends an empty filler, so dbdyno does the same
//! there; it may take 1.0 times as long. Both write frozen rows, as dbdyno does. Then `shop` at scale 1: rows and bytes per
//! second, and how much of the CPU time was the server's.
//!
//! `BENCH_ROWS` (2000000) and `BENCH_PAIRS` (5) are for a quick look; the targets are for these defaults. Fails when a target
//! is missed.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use dbdyno::dataset::{Existing, LoadOptions, LoadSummary, Phase, load};
use dbdyno::db::Target;
use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use dbdyno::units::Seed;
use dbdyno::workload::Workload;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

mod common;
mod libpq;
mod paired;
mod program;

use common::{Result, number, say};
use libpq::tool;
use paired::{Interval, conclude, interval_of_median};
use program::succeed;

/// dbdyno's time ÷ that of psql with a ready file.
const PSQL_RATIO_MAX: f64 = 1.1;
/// dbdyno's time ÷ that of pgbench's client-side generate.
const PGBENCH_RATIO_MAX: f64 = 1.0;
/// Rows of `pgbench_accounts` at pgbench's scale 1.
const ROWS_PER_SCALE: u64 = 100_000;

fn main() -> ExitCode {
    conclude(compare())
}

/// Whether every target is met.
fn compare() -> Result<bool> {
    let (rows, pairs) = (u64::from(number("BENCH_ROWS", 2_000_000)?), number("BENCH_PAIRS", 5)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options =
        LocalOptions { supervisor: Some(env!("CARGO_BIN_EXE_dbdyno").into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    say(&format!("PostgreSQL {}; {rows} rows, {pairs} pairs, the order changing", server.version()));
    let bench = Bench { files: tempfile::tempdir()?, runtime, server, rows };
    for database in ["ours", "psql", "pgbench"] {
        bench.execute("postgres", &[&format!("CREATE DATABASE {database}")])?;
    }
    let full = bench.accounts("full", "{ text = { length = [84, 84] } }")?;
    let empty = bench.accounts("empty", "{ constant = \"\" }")?;
    bench.make_file(&full)?;

    let against_psql = bench.pairs("psql", pairs, || bench.ours(&full), || bench.psql())?;
    let against_pgbench = bench.pairs("pgbench -i", pairs, || bench.ours(&empty), || bench.pgbench())?;
    bench.shop()?;
    let met = [
        judge("COPY of a ready binary file by psql", &against_psql, PSQL_RATIO_MAX),
        judge("client-side generate of pgbench -i", &against_pgbench, PGBENCH_RATIO_MAX),
    ];
    bench.runtime.block_on(bench.server.stop())?;
    Ok(met.into_iter().all(|met| met))
}

fn judge(what: &str, ratio: &Interval, max: f64) -> bool {
    let is_met = ratio.median <= max;
    let verdict = if is_met { "met" } else { "MISSED" };
    say(&format!("dbdyno ÷ {what}: {ratio}, a median of at most {max:.1} wanted: {verdict}"));
    is_met
}

struct Bench {
    runtime: Runtime,
    server: LocalServer,
    files: tempfile::TempDir,
    rows: u64,
}

impl Bench {
    /// The ratios of pairs.
    fn pairs(
        &self,
        other: &str,
        pairs: u32,
        ours: impl Fn() -> Result<Duration>,
        theirs: impl Fn() -> Result<Duration>,
    ) -> Result<Interval> {
        say(&format!("{:<8}{:>12}{:>14}{:>9}", "pair", "dbdyno", other, "ratio"));
        let mut ratios = Vec::new();
        for pair in 1..=pairs {
            // A B, B A, A B, …: whatever drifts hits both alike.
            let (us, them) = if pair % 2 == 1 {
                let us = self.timed(&ours)?;
                (us, self.timed(&theirs)?)
            } else {
                let them = self.timed(&theirs)?;
                (self.timed(&ours)?, them)
            };
            let ratio = us / them;
            say(&format!("{pair:<8}{us:>10.3} s{them:>12.3} s{ratio:>9.3}"));
            ratios.push(ratio);
        }
        Ok(interval_of_median(ratios.into_iter()))
    }

    /// One run, from the same state of the disk.
    fn timed(&self, run: impl Fn() -> Result<Duration>) -> Result<f64> {
        self.execute("postgres", &["CHECKPOINT"])?;
        Ok(run()?.as_secs_f64())
    }

    /// A workload of `pgbench_accounts` with a filler.
    fn accounts(&self, name: &str, filler: &str) -> Result<Workload> {
        let folder = self.files.path().join(name);
        fs::create_dir(&folder)?;
        let scale = self.rows.div_ceil(ROWS_PER_SCALE);
        let toml = format!(
            "name = \"accounts\"\n[table.pgbench_accounts]\nrows = {}\n[table.pgbench_accounts.column]\n\
             aid = {{ sequence = {{}} }}\nbid = {{ uniform = [1, {scale}] }}\nabalance = {{ constant = 0 }}\n\
             filler = {filler}\n[[transaction]]\nname = \"look\"\nstatements = [\"look\"]\n",
            self.rows
        );
        fs::write(folder.join("workload.toml"), toml)?;
        fs::write(folder.join("queries.sql"), "-- name: look :many\nSELECT 1;\n")?;
        fs::write(folder.join("schema.sql"), SCHEMA)?;
        dbdyno::workload::load(&folder).map_err(|mistakes| mistakes.to_string().into())
    }

    /// Loads with one job, and gives the time of the rows: from the connection to the commit.
    fn ours(&self, workload: &Workload) -> Result<Duration> {
        let summary = self.load("ours", workload, 1)?;
        phase(&summary, Phase::Rows)
    }

    fn load(&self, database: &str, workload: &Workload, jobs: usize) -> Result<LoadSummary> {
        let target = Target::of_local_server(self.server.url())?.with_database(database);
        let options = LoadOptions { scale: 1.0, seed: Seed(42), jobs, existing: Existing::Replace };
        Ok(self.runtime.block_on(load(&target, workload, &options, &mut |_| ()))?)
    }

    /// The rows of a load as a binary file, and the table for psql to fill.
    fn make_file(&self, workload: &Workload) -> Result<()> {
        self.load("ours", workload, 1)?;
        self.execute("psql", &[SCHEMA])?;
        let copy = format!("\\copy pgbench_accounts TO '{}' WITH (FORMAT binary)", self.file());
        succeed("psql", &self.tool("psql", "ours")?.args(["-X", "-q", "-c", &copy]).output()?).map(drop)
    }

    fn file(&self) -> String {
        self.files.path().join("accounts.bin").display().to_string()
    }

    /// The statements that dbdyno sends as well, timed by psql itself.
    fn psql(&self) -> Result<Duration> {
        let copy = format!("\\copy pgbench_accounts FROM '{}' WITH (FORMAT binary, FREEZE)", self.file());
        let mut command = self.tool("psql", "psql")?;
        command.args(["-X", "-v", "ON_ERROR_STOP=1", "-c", "\\timing on"]);
        for statement in ["BEGIN", "TRUNCATE pgbench_accounts", &copy, "COMMIT"] {
            command.args(["-c", statement]);
        }
        let said = succeed("psql", &command.output()?)?;
        let times = said.lines().filter_map(|line| line.strip_prefix("Time: ")?.split(' ').next());
        let ms: Vec<f64> = times.map(str::parse).collect::<std::result::Result<_, _>>()?;
        if ms.len() != 4 {
            return Err(format!("psql gave no time for each statement: {said}").into());
        }
        Ok(Duration::from_secs_f64(ms.iter().sum::<f64>() / 1e3))
    }

    /// What pgbench says of its own generating.
    fn pgbench(&self) -> Result<Duration> {
        let scale = self.rows.div_ceil(ROWS_PER_SCALE).to_string();
        let output =
            self.tool("pgbench", "pgbench")?.args(["-i", "-q", "-I", "dtg", "-s", &scale]).output()?;
        succeed("pgbench", &output)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let rest = said.split("client-side generate ").nth(1).and_then(|rest| rest.split(' ').next());
        let seconds: f64 = rest.ok_or_else(|| format!("pgbench tells no time: {said}"))?.parse()?;
        Ok(Duration::from_secs_f64(seconds))
    }

    /// The shop as it ships, with the jobs that `dbdyno load` takes by itself.
    fn shop(&self) -> Result<()> {
        self.execute("postgres", &["CREATE DATABASE shop"])?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/shop");
        let workload = dbdyno::workload::load(&folder).map_err(|mistakes| mistakes.to_string())?;
        let jobs = usize::try_from(dbdyno::study::default_jobs())?;
        let before = Cpu::now(self.server.pid())?;
        let summary = self.load("shop", &workload, jobs)?;
        let cpu = Cpu::now(self.server.pid())?;
        let (ours, servers) = (cpu.own_s - before.own_s, cpu.server_s - before.server_s);
        let rows_s = phase(&summary, Phase::Rows)?.as_secs_f64();
        let all_s: f64 = summary.phases.iter().map(|(_, took)| took.as_secs_f64()).sum();
        say(&format!(
            "shop at scale 1, {jobs} job(s): {} rows, {:.0} MB; rows in {rows_s:.2} s ({:.0} rows/s, {:.0} MB/s), all phases in \
             {all_s:.2} s; CPU: dbdyno {ours:.2} s, server {servers:.2} s ({:.0} % the server's)",
            summary.rows,
            summary.bytes as f64 / 1e6,
            summary.rows as f64 / rows_s,
            summary.bytes as f64 / 1e6 / rows_s,
            100.0 * servers / (ours + servers).max(1e-9),
        ));
        Ok(())
    }

    fn execute(&self, database: &str, statements: &[&str]) -> Result<()> {
        self.runtime.block_on(async {
            let url = self.server.url().replace("/postgres?", &format!("/{database}?"));
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            for statement in statements {
                client.batch_execute(statement).await?;
            }
            Ok(())
        })
    }

    /// A program of PostgreSQL's.
    fn tool(&self, name: &str, database: &str) -> Result<Command> {
        Ok(tool(&self.server.bindir().join(name), &self.server.url().parse()?, database))
    }
}

/// As pgbench makes it, without what comes behind the rows.
const SCHEMA: &str = "CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);\n";

/// CPU time in seconds; it counts in ticks of 10 ms.
struct Cpu {
    own_s: f64,
    server_s: f64,
}

impl Cpu {
    /// Of this process, and of the server with all processes that it has or had.
    fn now(server: i32) -> Result<Self> {
        let ticks = procfs::ticks_per_second() as f64;
        let own = procfs::process::Process::myself()?.stat()?;
        let postmaster = procfs::process::Process::new(server)?.stat()?;
        let mut of_server =
            (postmaster.utime + postmaster.stime) as f64 + (postmaster.cutime + postmaster.cstime) as f64;
        for process in procfs::process::all_processes()? {
            // One that ends meanwhile is the postmaster's by then.
            if let Ok(stat) = process.and_then(|process| process.stat())
                && stat.ppid == server
            {
                of_server += (stat.utime + stat.stime) as f64;
            }
        }
        Ok(Self { own_s: (own.utime + own.stime) as f64 / ticks, server_s: of_server / ticks })
    }
}

fn phase(summary: &LoadSummary, phase: Phase) -> Result<Duration> {
    let found = summary.phases.iter().find(|(of, _)| *of == phase);
    Ok(found.ok_or("the load has no such phase")?.1)
}
