//! What comparisons of dbdyno with another load generator share: cases, turns, figures, bounds.

use std::process::Command;

use crate::common::{Result, say};
use crate::paired::{interval_of_median, median};
use crate::program::succeed;

/// What the upper end of the interval of the CPU ratio may reach.
const CPU_MAX: f64 = 1.05;
/// What the median of the throughput ratio must reach.
const THROUGHPUT_MIN: f64 = 0.98;

/// A transaction and how many do it at once.
pub struct Case<W> {
    /// By which it is asked for.
    pub name: &'static str,
    /// How the two programs call the transaction.
    pub work: W,
    /// As many connections, too.
    pub clients: u32,
}

/// What one run gave.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Of the measured part.
    pub transactions_per_s: f64,
    /// Of the same.
    pub latency_mean_us: f64,
    /// All CPU of the client process, start and warm-up too, by all its transactions.
    pub cpu_us_per_transaction: f64,
}

/// What a program says of its run.
pub struct Said {
    /// Of the measured part.
    pub transactions_per_s: f64,
    /// Of the same.
    pub latency_mean_us: f64,
    /// Those of the warm-up too.
    pub transactions: f64,
}

/// The two programs.
#[derive(Clone, Copy)]
pub enum Side {
    Other,
    Dbdyno,
}

/// The names that an environment variable asks for, separated by commas; all of them where it asks for none.
pub fn wanted<'n>(variable: &str, known: &[&'n str]) -> Result<Vec<&'n str>> {
    let given = std::env::var(variable).unwrap_or_default();
    let is_wanted = |name: &&&str| given.is_empty() || given.split(',').any(|wanted| wanted == **name);
    let wanted: Vec<&str> = known.iter().filter(is_wanted).copied().collect();
    if wanted.is_empty() {
        return Err(format!("{variable}: `{given}` names no case; known are {}", known.join(", ")).into());
    }
    Ok(wanted)
}

/// What both gave, the other first: A B, B A, A B, …, so that whatever drifts hits both alike.
pub fn turns<T>(pairs: u32, mut run: impl FnMut(Side) -> Result<T>) -> Result<Vec<[T; 2]>> {
    let pair = |number: u32| -> Result<[T; 2]> {
        if number.is_multiple_of(2) {
            let other = run(Side::Other)?;
            return Ok([other, run(Side::Dbdyno)?]);
        }
        let ours = run(Side::Dbdyno)?;
        Ok([run(Side::Other)?, ours])
    };
    (0..pairs).map(pair).collect()
}

/// The figures of a run, by what the program says and by the CPU that it used.
pub fn figures(run: impl FnOnce() -> Result<Said>) -> Result<Figures> {
    let before = children_cpu_us()?;
    let Said { transactions_per_s, latency_mean_us, transactions } = run()?;
    let cpu_us_per_transaction = (children_cpu_us()? - before) / transactions;
    Ok(Figures { transactions_per_s, latency_mean_us, cpu_us_per_transaction })
}

/// A closed loop with as many connections as clients. `command` is `dbdyno run` with a workload and a target. Its warm-up counts as the
/// other program's first seconds do.
pub fn dbdyno(mut command: Command, clients: u32, seconds: u32) -> Result<Said> {
    let clients = clients.to_string();
    let runs = tempfile::tempdir()?;
    command
        .args(["--clients", &clients, "--pool-size", &clients, "--duration", &format!("{seconds}s")])
        .args(["--json", "-", "--quiet", "--runs-dir"])
        .arg(runs.path());
    let report: serde_json::Value = serde_json::from_str(&succeed("dbdyno", &command.output()?)?)?;
    let stages = report["stages"].as_array().ok_or("the report has no stages")?;
    let figure = |value: &serde_json::Value| value.as_f64().ok_or("the report lacks a figure");
    let measured = stages.iter().find(|stage| stage["measured"] == true);
    let measured = measured.ok_or("the report has no measured stage")?;
    let all: u64 = stages.iter().filter_map(|stage| stage["accounting"]["ok"].as_u64()).sum();
    Ok(Said {
        transactions_per_s: figure(&measured["achieved_per_s"])?,
        latency_mean_us: figure(&measured["response_us"]["mean"])?,
        transactions: u32::try_from(all)?.into(),
    })
}

/// Says what a case gave, and whether it is within its bounds.
pub fn judge<W>(case: &Case<W>, other: &str, measured: &[[Figures; 2]]) -> bool {
    say("");
    say(&format!("{:<14}transactions/s   mean latency   client CPU per transaction", case.name));
    for (side, name) in [(Side::Other, other), (Side::Dbdyno, "dbdyno")] {
        let of =
            |figure: fn(&Figures) -> f64| median(measured.iter().map(|pair| figure(&pair[side as usize])));
        let per_s = of(|figures| figures.transactions_per_s);
        let latency = of(|figures| figures.latency_mean_us);
        let cpu = of(|figures| figures.cpu_us_per_transaction);
        say(&format!("  {name:<12}{per_s:>14.0}{latency:>12.0} µs{cpu:>26.1} µs"));
    }
    let ratios = |figure: fn(&Figures) -> f64| measured.iter().map(move |[a, b]| figure(b) / figure(a));
    let throughput = interval_of_median(ratios(|figures| figures.transactions_per_s));
    let latency = interval_of_median(ratios(|figures| figures.latency_mean_us));
    let cpu = interval_of_median(ratios(|figures| figures.cpu_us_per_transaction));
    let begin = format!("  dbdyno ÷ {other}: ");
    let indent = begin.chars().count();
    say(&format!("{begin}throughput {throughput}"));
    say(&format!("{:indent$}mean latency {latency}", ""));
    say(&format!("{:indent$}client CPU per transaction {cpu}", ""));
    let dear = cpu.upper > CPU_MAX;
    let slow = throughput.median < THROUGHPUT_MIN;
    if dear {
        say(&format!("  MISSED: the interval of CPU per transaction reaches above {CPU_MAX}"));
    }
    if slow {
        say(&format!("  MISSED: throughput is below {THROUGHPUT_MIN} of {other}'s"));
    }
    !dear && !slow
}

/// CPU of all children that have ended, in µs; it counts in ticks of 10 ms.
fn children_cpu_us() -> Result<f64> {
    let stat = procfs::process::Process::myself()?.stat()?;
    Ok((stat.cutime + stat.cstime) as f64 * 1e6 / procfs::ticks_per_second() as f64)
}
