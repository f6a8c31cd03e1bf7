//! dbdyno beside pgbench: the same transaction, prepared, on the same database, in turns, each from the same state.
//!
//! It is a program of cargo's (`cargo bench --bench pgbench`) and not a shell script, because the throwaway server is held by
//! a process that lives as long as the comparison, and the library can be that process.
//!
//! `BENCH_SECONDS` (10) is the length of a run, `BENCH_PAIRS` (5) their number, `BENCH_SCALE` (10) pgbench's scale. Fails when
//! throughput or mean latency differ by more than a tenth at the median of the pairs.

use std::path::Path;
use std::process::{Command, ExitCode};

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use tokio_postgres::NoTls;
use tokio_postgres::config::Config;

mod beside;
mod common;

use beside::{conclude, median, succeed, tool};
use common::{Result, number, say};

const CLIENTS: u32 = 8;
/// What throughput and mean latency may differ by.
const TOLERANCE: f64 = 0.1;

/// What one run gave.
#[derive(Clone, Copy)]
struct Figures {
    transactions_per_s: f64,
    latency_mean_us: f64,
    /// All CPU of the client process, start and warm-up too, by all its transactions.
    cpu_us_per_transaction: f64,
}

/// The two programs.
#[derive(Clone, Copy)]
enum Tool {
    Pgbench,
    Dbdyno,
}

fn main() -> ExitCode {
    conclude(compare())
}

/// Whether the two agree.
fn compare() -> Result<bool> {
    let (seconds, pairs) = (number("BENCH_SECONDS", 10)?, number("BENCH_PAIRS", 5)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options =
        LocalOptions { supervisor: Some(env!("CARGO_BIN_EXE_dbdyno").into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    say(&format!(
        "PostgreSQL {}; {CLIENTS} clients, {pairs} pairs of {seconds} s, the order changing",
        server.version()
    ));
    let bench = Bench { config: server.url().parse()?, server, seconds };
    let scale = number("BENCH_SCALE", 10)?.to_string();
    succeed("pgbench", &bench.pgbench().args(["-i", "-q", "-s", &scale]).output()?)?;

    say("pair    tool     transactions/s   mean latency   client CPU per transaction");
    let mut measured: Vec<[Figures; 2]> = Vec::new();
    for pair in 1..=pairs {
        // A B, B A, A B, …: whatever drifts hits both alike.
        let order = if pair % 2 == 1 { [Tool::Pgbench, Tool::Dbdyno] } else { [Tool::Dbdyno, Tool::Pgbench] };
        let mut both = [None; 2];
        for tool in order {
            runtime.block_on(bench.reset())?;
            let figures = bench.run(tool)?;
            say(&row(&pair.to_string(), tool, &figures));
            both[tool as usize] = Some(figures);
        }
        if let [Some(pgbench), Some(dbdyno)] = both {
            measured.push([pgbench, dbdyno]);
        }
    }
    for tool in [Tool::Pgbench, Tool::Dbdyno] {
        let of =
            |figure: fn(&Figures) -> f64| median(measured.iter().map(|pair| figure(&pair[tool as usize])));
        let figures = Figures {
            transactions_per_s: of(|figures| figures.transactions_per_s),
            latency_mean_us: of(|figures| figures.latency_mean_us),
            cpu_us_per_transaction: of(|figures| figures.cpu_us_per_transaction),
        };
        say(&row("median", tool, &figures));
    }
    let ratio = |figure: fn(&Figures) -> f64| median(measured.iter().map(|[a, b]| figure(b) / figure(a)));
    let throughput = ratio(|figures| figures.transactions_per_s);
    let latency = ratio(|figures| figures.latency_mean_us);
    let cpu = ratio(|figures| figures.cpu_us_per_transaction);
    say(&format!(
        "dbdyno / pgbench, median of the pairs: throughput {throughput:.3}, latency {latency:.3}, CPU {cpu:.3}"
    ));
    let agree = [throughput, latency].iter().all(|ratio| (ratio - 1.0).abs() <= TOLERANCE);
    say(if agree { "they agree within 10 %" } else { "they do NOT agree within 10 %" });
    runtime.block_on(bench.server.stop())?;
    Ok(agree)
}

/// The server, and how long a run takes.
struct Bench {
    server: LocalServer,
    config: Config,
    seconds: u32,
}

impl Bench {
    /// The state that each run begins with.
    async fn reset(&self) -> Result<()> {
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(connection);
        let statements = [
            "TRUNCATE pgbench_history",
            "VACUUM ANALYZE pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history",
            "CHECKPOINT",
        ];
        for statement in statements {
            client.batch_execute(statement).await?;
        }
        Ok(())
    }

    fn run(&self, tool: Tool) -> Result<Figures> {
        let before = children_cpu_us()?;
        let (transactions_per_s, latency_mean_us, transactions) = match tool {
            Tool::Pgbench => self.run_pgbench()?,
            Tool::Dbdyno => self.run_dbdyno()?,
        };
        let cpu_us_per_transaction = (children_cpu_us()? - before) / transactions;
        Ok(Figures { transactions_per_s, latency_mean_us, cpu_us_per_transaction })
    }

    /// Throughput, mean latency in µs, and the number of all transactions.
    fn run_pgbench(&self) -> Result<(f64, f64, f64)> {
        let clients = CLIENTS.to_string();
        let mut command = self.pgbench();
        command.args(["-n", "-M", "prepared", "-c", &clients, "-j", "1", "-T", &self.seconds.to_string()]);
        let text = succeed("pgbench", &command.output()?)?;
        let after = |label: &str| -> Result<f64> {
            let rest = text.lines().find_map(|line| line.strip_prefix(label));
            let word = rest.and_then(|rest| rest.split([' ', '/']).next());
            Ok(word.ok_or_else(|| format!("pgbench does not say `{label}`: {text}"))?.parse()?)
        };
        let latency_ms = after("latency average = ")?;
        Ok((after("tps = ")?, latency_ms * 1e3, after("number of transactions actually processed: ")?))
    }

    fn run_dbdyno(&self) -> Result<(f64, f64, f64)> {
        let clients = CLIENTS.to_string();
        let runs = tempfile::tempdir()?;
        let mut command = self.tool(Path::new(env!("CARGO_BIN_EXE_dbdyno")));
        command
            .args(["run", "-w", concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/tpcb"), "-t", &self.target()])
            .args(["--clients", &clients, "--pool-size", &clients])
            .args(["--duration", &format!("{}s", self.seconds), "--json", "-", "--quiet", "--runs-dir"])
            .arg(runs.path());
        let report: serde_json::Value = serde_json::from_str(&succeed("dbdyno", &command.output()?)?)?;
        let stages = report["stages"].as_array().ok_or("the report has no stages")?;
        let figure = |value: &serde_json::Value| value.as_f64().ok_or("the report lacks a figure");
        let measured = stages
            .iter()
            .find(|stage| stage["measured"] == true)
            .ok_or("the report has no measured stage")?;
        let all: u64 = stages.iter().filter_map(|stage| stage["accounting"]["ok"].as_u64()).sum();
        let all = u32::try_from(all)?;
        Ok((figure(&measured["achieved_per_s"])?, figure(&measured["response_us"]["mean"])?, all.into()))
    }

    fn pgbench(&self) -> Command {
        self.tool(&self.server.bindir().join("pgbench"))
    }

    /// Without the password, which travels in the environment: arguments are for all to see.
    fn target(&self) -> String {
        let [.., port] = self.config.get_ports() else { return String::new() };
        format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    fn tool(&self, program: &Path) -> Command {
        tool(program, &self.config, self.config.get_dbname().unwrap_or_default())
    }
}

/// CPU of all children that have ended, in µs; it counts in ticks of 10 ms.
fn children_cpu_us() -> Result<f64> {
    let stat = procfs::process::Process::myself()?.stat()?;
    Ok((stat.cutime + stat.cstime) as f64 * 1e6 / procfs::ticks_per_second() as f64)
}

fn row(pair: &str, tool: Tool, figures: &Figures) -> String {
    let name = match tool {
        Tool::Pgbench => "pgbench",
        Tool::Dbdyno => "dbdyno",
    };
    let Figures { transactions_per_s, latency_mean_us, cpu_us_per_transaction } = figures;
    format!(
        "{pair:<8}{name:<9}{transactions_per_s:>15.0}{latency_mean_us:>12.0} µs{cpu_us_per_transaction:>26.1} µs"
    )
}
