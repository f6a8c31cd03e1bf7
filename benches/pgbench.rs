//! dbdyno beside pgbench: the same transactions, prepared, on the same database, in turns, each from the same state.
//!
//! It is a program of cargo's (`cargo bench --bench pgbench`) and not a shell script, because the throwaway server is held by
//! a process that lives as long as the comparison, and the library can be that process.
//!
//! `BENCH_SECONDS` (5) is the length of a run, `BENCH_PAIRS` (21) their number for each case, `BENCH_SCALE` (10) pgbench's
//! scale, `BENCH_CASES` (all) which cases. Fails when the client's CPU per transaction can be more than a twentieth above
//! pgbench's, or throughput is more than a fiftieth below.

use std::path::Path;
use std::process::{Command, ExitCode};

use dbdyno::local::{LocalOptions, LocalServer, start_postgres};
use tokio_postgres::NoTls;
use tokio_postgres::config::Config;

mod beside;
mod common;
mod paired;

use beside::{succeed, tool};
use common::{Result, number, say};
use paired::{conclude, interval_of_median, median};

/// What the upper end of the interval of the CPU ratio may reach.
const CPU_MAX: f64 = 1.05;
/// What the median of the throughput ratio must reach.
const THROUGHPUT_MIN: f64 = 0.98;

/// A transaction and how many do it at once.
struct Case {
    name: &'static str,
    /// pgbench's built-in script.
    script: &'static str,
    /// The same as a workload of dbdyno's.
    workload: &'static str,
    clients: u32,
}

const CASES: [Case; 4] = [
    Case { name: "select-8", script: "select-only", workload: "fixtures/select", clients: 8 },
    Case { name: "select-64", script: "select-only", workload: "fixtures/select", clients: 64 },
    Case { name: "tpcb-8", script: "tpcb-like", workload: "workloads/tpcb", clients: 8 },
    Case { name: "tpcb-64", script: "tpcb-like", workload: "workloads/tpcb", clients: 64 },
];

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

/// Whether dbdyno is no dearer in any case.
fn compare() -> Result<bool> {
    let (seconds, pairs) = (number("BENCH_SECONDS", 5)?, number("BENCH_PAIRS", 21)?);
    let wanted = std::env::var("BENCH_CASES").unwrap_or_default();
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| wanted.is_empty() || wanted.split(',').any(|name| name == case.name))
        .collect();
    if cases.is_empty() {
        return Err(format!(
            "BENCH_CASES: `{wanted}` names no case; known are {}",
            CASES.map(|case| case.name).join(", ")
        )
        .into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options =
        LocalOptions { supervisor: Some(env!("CARGO_BIN_EXE_dbdyno").into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    say(&format!("PostgreSQL {}; {pairs} pairs of {seconds} s a case, the order changing", server.version()));
    let bench = Bench { config: server.url().parse()?, server, seconds };
    let scale = number("BENCH_SCALE", 10)?.to_string();
    succeed("pgbench", &bench.pgbench().args(["-i", "-q", "-s", &scale]).output()?)?;

    let mut passed = true;
    for case in cases {
        let mut measured = Vec::new();
        for pair in 0..pairs {
            // A B, B A, A B, …: whatever drifts hits both alike.
            let order =
                if pair % 2 == 0 { [Tool::Pgbench, Tool::Dbdyno] } else { [Tool::Dbdyno, Tool::Pgbench] };
            let mut both = [None; 2];
            for tool in order {
                runtime.block_on(bench.reset())?;
                both[tool as usize] = Some(bench.run(tool, case)?);
            }
            if let [Some(pgbench), Some(dbdyno)] = both {
                measured.push([pgbench, dbdyno]);
            }
        }
        passed &= judge(case, &measured);
    }
    runtime.block_on(bench.server.stop())?;
    Ok(passed)
}

/// Says what a case gave, and whether it is within its bounds.
fn judge(case: &Case, measured: &[[Figures; 2]]) -> bool {
    say("");
    say(&format!("{:<14}transactions/s   mean latency   client CPU per transaction", case.name));
    for (tool, name) in [(Tool::Pgbench, "pgbench"), (Tool::Dbdyno, "dbdyno")] {
        let of =
            |figure: fn(&Figures) -> f64| median(measured.iter().map(|pair| figure(&pair[tool as usize])));
        let per_s = of(|figures| figures.transactions_per_s);
        let latency = of(|figures| figures.latency_mean_us);
        let cpu = of(|figures| figures.cpu_us_per_transaction);
        say(&format!("  {name:<12}{per_s:>14.0}{latency:>12.0} µs{cpu:>26.1} µs"));
    }
    let ratios = |figure: fn(&Figures) -> f64| measured.iter().map(move |[a, b]| figure(b) / figure(a));
    let throughput = interval_of_median(ratios(|figures| figures.transactions_per_s));
    let latency = interval_of_median(ratios(|figures| figures.latency_mean_us));
    let cpu = interval_of_median(ratios(|figures| figures.cpu_us_per_transaction));
    say(&format!("  dbdyno ÷ pgbench: throughput {throughput}"));
    say(&format!("                    mean latency {latency}"));
    say(&format!("                    client CPU per transaction {cpu}"));
    let dear = cpu.upper > CPU_MAX;
    let slow = throughput.median < THROUGHPUT_MIN;
    if dear {
        say(&format!("  MISSED: the interval of CPU per transaction reaches above {CPU_MAX}"));
    }
    if slow {
        say(&format!("  MISSED: throughput is below {THROUGHPUT_MIN} of pgbench's"));
    }
    !dear && !slow
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

    fn run(&self, tool: Tool, case: &Case) -> Result<Figures> {
        let before = children_cpu_us()?;
        let (transactions_per_s, latency_mean_us, transactions) = match tool {
            Tool::Pgbench => self.run_pgbench(case)?,
            Tool::Dbdyno => self.run_dbdyno(case)?,
        };
        let cpu_us_per_transaction = (children_cpu_us()? - before) / transactions;
        Ok(Figures { transactions_per_s, latency_mean_us, cpu_us_per_transaction })
    }

    /// Throughput, mean latency in µs, and the number of all transactions.
    fn run_pgbench(&self, case: &Case) -> Result<(f64, f64, f64)> {
        let clients = case.clients.to_string();
        let mut command = self.pgbench();
        command
            .args(["-n", "-M", "prepared", "-b", case.script, "-c", &clients, "-j", "1"])
            .args(["-T", &self.seconds.to_string()]);
        let text = succeed("pgbench", &command.output()?)?;
        let after = |label: &str| -> Result<f64> {
            let rest = text.lines().find_map(|line| line.strip_prefix(label));
            let word = rest.and_then(|rest| rest.split([' ', '/']).next());
            Ok(word.ok_or_else(|| format!("pgbench does not say `{label}`: {text}"))?.parse()?)
        };
        let latency_ms = after("latency average = ")?;
        Ok((after("tps = ")?, latency_ms * 1e3, after("number of transactions actually processed: ")?))
    }

    /// The same three; its warm-up counts as pgbench's first seconds do.
    fn run_dbdyno(&self, case: &Case) -> Result<(f64, f64, f64)> {
        let clients = case.clients.to_string();
        let runs = tempfile::tempdir()?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(case.workload);
        let mut command = self.tool(Path::new(env!("CARGO_BIN_EXE_dbdyno")));
        command
            .args(["run", "-t", &self.target(), "--clients", &clients, "--pool-size", &clients, "-w"])
            .arg(folder)
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
