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

mod common;
mod duel;
mod libpq;
mod paired;
mod program;

use common::{Result, number, say};
use duel::{Case, Figures, Said, Side, dbdyno, figures, judge, turns, wanted};
use libpq::tool;
use paired::conclude;
use program::succeed;

/// pgbench's built-in script, and the same as a workload of dbdyno's.
type Work = (&'static str, &'static str);

const SELECT: Work = ("select-only", "fixtures/select");
const TPCB: Work = ("tpcb-like", "workloads/tpcb");
const CASES: [Case<Work>; 4] = [
    Case { name: "select-8", work: SELECT, clients: 8 },
    Case { name: "select-64", work: SELECT, clients: 64 },
    Case { name: "tpcb-8", work: TPCB, clients: 8 },
    Case { name: "tpcb-64", work: TPCB, clients: 64 },
];

fn main() -> ExitCode {
    conclude(compare())
}

/// Whether dbdyno is no dearer in any case.
fn compare() -> Result<bool> {
    let (seconds, pairs) = (number("BENCH_SECONDS", 5)?, number("BENCH_PAIRS", 21)?);
    let wanted = wanted("BENCH_CASES", &CASES.map(|case| case.name))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options =
        LocalOptions { supervisor: Some(env!("CARGO_BIN_EXE_dbdyno").into()), ..LocalOptions::default() };
    let server = runtime.block_on(start_postgres(&options))?;
    say(&format!("PostgreSQL {}; {pairs} pairs of {seconds} s a case, the order changing", server.version()));
    let bench = Bench { config: server.url().parse()?, server, seconds };
    let scale = number("BENCH_SCALE", 10)?.to_string();
    succeed("pgbench", &bench.pgbench().args(["-i", "-q", "-s", &scale]).output()?)?;

    let mut passed = true;
    for case in CASES.iter().filter(|case| wanted.contains(&case.name)) {
        let measured = turns(pairs, |side| {
            runtime.block_on(bench.reset())?;
            bench.run(side, case)
        })?;
        passed &= judge(case, "pgbench", &measured);
    }
    runtime.block_on(bench.server.stop())?;
    Ok(passed)
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

    fn run(&self, side: Side, case: &Case<Work>) -> Result<Figures> {
        figures(|| match side {
            Side::Other => self.run_pgbench(case),
            Side::Dbdyno => self.run_dbdyno(case),
        })
    }

    fn run_pgbench(&self, case: &Case<Work>) -> Result<Said> {
        let clients = case.clients.to_string();
        let mut command = self.pgbench();
        command
            .args(["-n", "-M", "prepared", "-b", case.work.0, "-c", &clients, "-j", "1"])
            .args(["-T", &self.seconds.to_string()]);
        let text = succeed("pgbench", &command.output()?)?;
        let after = |label: &str| -> Result<f64> {
            let rest = text.lines().find_map(|line| line.strip_prefix(label));
            let word = rest.and_then(|rest| rest.split([' ', '/']).next());
            Ok(word.ok_or_else(|| format!("pgbench does not say `{label}`: {text}"))?.parse()?)
        };
        Ok(Said {
            transactions_per_s: after("tps = ")?,
            latency_mean_us: after("latency average = ")? * 1e3,
            transactions: after("number of transactions actually processed: ")?,
        })
    }

    fn run_dbdyno(&self, case: &Case<Work>) -> Result<Said> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(case.work.1);
        let mut command = self.tool(Path::new(env!("CARGO_BIN_EXE_dbdyno")));
        command.args(["run", "-t", &self.target(), "-w"]).arg(folder);
        dbdyno(command, case.clients, self.seconds)
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
