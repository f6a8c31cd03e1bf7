//! dbdyno beside sysbench on MariaDB: the same table, which sysbench prepared, and the same transactions, in turns.
//!
//! `oltp_point_select` and `oltp_read_write` with prepared statements, by 8 and by 64 clients with as many connections. Then the load of
//! that table by both. `BENCH_SECONDS` (5) is the length of a run, `BENCH_PAIRS` (9) their number for each case, `BENCH_ROWS` (1 million)
//! the size of the table, `BENCH_LOADS` (5) the number of pairs of loads, `BENCH_CASES` (all) which cases; `load` is one as well. Fails
//! when the client's CPU per transaction can be more than a twentieth above sysbench's, throughput is more than a fiftieth below, or
//! loading takes more than four fifths of the time of `sysbench prepare`. A program of cargo's for the reason that `pgbench.rs` gives.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use dbdyno::local::{LocalOptions, LocalServer, start};
use dbdyno::units::Dialect;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use tokio::runtime::Runtime;

mod common;
mod duel;
mod paired;
mod program;

use common::{Result, number, say};
use duel::{Case, Figures, Said, Side, dbdyno, figures, judge, turns, wanted};
use paired::{conclude, interval_of_median};
use program::succeed;

/// dbdyno's time of a load ÷ that of `sysbench prepare`.
const LOAD_MAX: f64 = 0.8;
const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/sysbench");
const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
/// Of the databases: the one that sysbench fills for both, and those of the loads.
const SHARED: &str = "sbtest";
const LOAD: &str = "load";
const OF_SYSBENCH: &str = "theirs";
const OF_DBDYNO: &str = "ours";
const CASES: [Case<&str>; 4] = [
    Case { name: "point-8", work: "oltp_point_select", clients: 8 },
    Case { name: "point-64", work: "oltp_point_select", clients: 64 },
    Case { name: "write-8", work: "oltp_read_write", clients: 8 },
    Case { name: "write-64", work: "oltp_read_write", clients: 64 },
];

fn main() -> ExitCode {
    conclude(compare())
}

/// Whether dbdyno is no dearer in any case.
fn compare() -> Result<bool> {
    let (seconds, pairs) = (number("BENCH_SECONDS", 5)?, number("BENCH_PAIRS", 9)?);
    let names: Vec<&str> = CASES.iter().map(|case| case.name).chain([LOAD]).collect();
    let wanted = wanted("BENCH_CASES", &names)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options =
        LocalOptions { dialect: Dialect::Mysql, supervisor: Some(PROGRAM.into()), ..LocalOptions::default() };
    let server = runtime.block_on(start(&options))?;
    let rows = number("BENCH_ROWS", 1_000_000)?;
    say(&format!("MariaDB {}; {rows} rows, {pairs} pairs of {seconds} s a case", server.version()));
    let bench = Bench { opts: Opts::from_url(server.url())?, runtime, server, rows, seconds };
    let mut passed = true;
    if CASES.iter().any(|case| wanted.contains(&case.name)) {
        bench.create(SHARED)?;
        bench.sysbench(SHARED, "oltp_read_write", &[], "prepare")?;
        for case in CASES.iter().filter(|case| wanted.contains(&case.name)) {
            let measured = turns(pairs, |side| bench.run(side, case))?;
            passed &= judge(case, "sysbench", &measured);
        }
    }
    if wanted.contains(&LOAD) {
        passed &= bench.loads(number("BENCH_LOADS", 5)?)?;
    }
    bench.runtime.block_on(bench.server.stop())?;
    Ok(passed)
}

struct Bench {
    runtime: Runtime,
    server: LocalServer,
    /// Of its superuser, in a database of no account.
    opts: Opts,
    rows: u32,
    seconds: u32,
}

impl Bench {
    fn run(&self, side: Side, case: &Case<&str>) -> Result<Figures> {
        figures(|| match side {
            Side::Other => self.run_sysbench(case),
            Side::Dbdyno => self.run_dbdyno(case),
        })
    }

    fn run_sysbench(&self, case: &Case<&str>) -> Result<Said> {
        let (clients, time) = (format!("--threads={}", case.clients), format!("--time={}", self.seconds));
        let text = self.sysbench(SHARED, case.work, &[&clients, &time], "run")?;
        // `    transactions:                        12345  (2468.10 per sec.)`, and `         avg:      3.24` in ms.
        let numbers = |label: &str| -> Result<Vec<f64>> {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
            let line = line.ok_or_else(|| format!("sysbench does not say `{label}`: {text}"))?;
            Ok(line.split([' ', '(']).filter_map(|word| word.parse().ok()).collect())
        };
        let (transactions, latency) = (numbers("transactions:")?, numbers("avg:")?);
        let ([transactions, transactions_per_s], [latency_ms]) = (&transactions[..], &latency[..]) else {
            return Err(format!("sysbench says something else: {text}").into());
        };
        let latency_mean_us = latency_ms * 1e3;
        Ok(Said { transactions_per_s: *transactions_per_s, latency_mean_us, transactions: *transactions })
    }

    fn run_dbdyno(&self, case: &Case<&str>) -> Result<Said> {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "-w", WORKLOAD, "--mix", case.work, "-t", &self.target(SHARED)?]);
        dbdyno(command, case.clients, self.seconds)
    }

    /// Both fill an empty database, from the connection to the last index.
    fn loads(&self, pairs: u32) -> Result<bool> {
        say("");
        say(&format!("{:<8}{:>12}{:>14}{:>9}", "pair", "dbdyno", "sysbench", "ratio"));
        let measured = turns(pairs, |side| self.load(side))?;
        let ratios: Vec<f64> =
            measured.iter().map(|[theirs, ours]| ours.as_secs_f64() / theirs.as_secs_f64()).collect();
        for (pair, ([theirs, ours], ratio)) in measured.iter().zip(&ratios).enumerate() {
            let (ours, theirs) = (ours.as_secs_f64(), theirs.as_secs_f64());
            say(&format!("{:<8}{ours:>10.3} s{theirs:>12.3} s{ratio:>9.3}", pair + 1));
        }
        let ratio = interval_of_median(ratios.into_iter());
        let is_met = ratio.median <= LOAD_MAX;
        let verdict = if is_met { "met" } else { "MISSED" };
        say(&format!(
            "dbdyno ÷ sysbench prepare: {ratio}, a median of at most {LOAD_MAX:.1} wanted: {verdict}"
        ));
        Ok(is_met)
    }

    fn load(&self, side: Side) -> Result<Duration> {
        let database = match side {
            Side::Other => OF_SYSBENCH,
            Side::Dbdyno => OF_DBDYNO,
        };
        self.create(database)?;
        let began = Instant::now();
        match side {
            Side::Other => drop(self.sysbench(database, "oltp_read_write", &[], "prepare")?),
            Side::Dbdyno => {
                let scale = (f64::from(self.rows) / 1e6).to_string();
                let mut command = Command::new(PROGRAM);
                command.args(["load", "-w", WORKLOAD, "--quiet", "--scale", &scale]);
                succeed("dbdyno", &command.args(["-t", &self.target(database)?]).output()?)?;
            }
        }
        let took = began.elapsed();
        self.execute(&format!("DROP DATABASE {database}"))?;
        Ok(took)
    }

    /// One of sysbench's tests as it is by default, but that keys are drawn evenly, as the workload draws them.
    fn sysbench(&self, database: &str, test: &str, arguments: &[&str], command: &str) -> Result<String> {
        let mut sysbench = Command::new("sysbench");
        sysbench
            .args([test, "--db-driver=mysql", "--tables=1", "--rand-type=uniform"])
            .arg(format!("--mysql-host={}", self.opts.ip_or_hostname()))
            .arg(format!("--mysql-port={}", self.opts.tcp_port()))
            .arg(format!("--mysql-user={}", self.opts.user().unwrap_or_default()))
            .arg(format!("--mysql-password={}", self.opts.pass().unwrap_or_default()))
            .arg(format!("--mysql-db={database}"))
            .arg(format!("--table-size={}", self.rows))
            .args(arguments)
            .arg(command);
        succeed("sysbench", &sysbench.output()?)
    }

    fn create(&self, database: &str) -> Result<()> {
        self.execute(&format!("CREATE DATABASE IF NOT EXISTS {database}"))
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.runtime.block_on(async {
            let mut conn = Conn::new(self.opts.clone()).await?;
            conn.query_drop(sql).await?;
            Ok(conn.disconnect().await?)
        })
    }

    fn target(&self, database: &str) -> Result<String> {
        let mine = self.opts.db_name().ok_or("the server's URL names no database")?;
        Ok(self.server.url().replace(&format!("/{mine}?"), &format!("/{database}?")))
    }
}
