//! What every command that measures takes, and what is wanted of its result.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::{
    BaselineArguments, ExportArguments, GivenWarmUp, LiveArguments, Output, PoolerArguments,
    RenewalArguments, TargetArguments, cadence, fraction, positive_duration, round_trip, scale, warm_up,
    warm_up_max, whole_milliseconds,
};
use crate::units::{CpuList, Seed, parse_duration};
use crate::workload::Mix;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ResetTo {
    /// What the measurement before left
    None,
    /// What was loaded: a fresh copy of the loaded database each time, dropped afterwards
    Template,
}

/// What the planner knows of loaded tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum StatisticsOf {
    /// What ANALYZE finds in them
    Own,
    /// What it found at the source of a captured workload, so that plans at a small scale resemble those there (PostgreSQL 18)
    Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SpokenProtocol {
    /// One text a statement, with the values written into it
    Simple,
    /// Parsed each time; safe behind a pooler that changes servers between transactions
    Extended,
    /// Parsed once for a connection
    Prepared,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MeasureArguments {
    /// Folder of the workload
    #[arg(
        short,
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        required_unless_present_any = ["scripts", "builtins"],
        conflicts_with_all = ["scripts", "builtins"]
    )]
    pub(in crate::cli) workload: Option<PathBuf>,
    /// Only these transactions of the workload, with these weights in place of its own: `search`, or `search=3,checkout`
    #[arg(long, value_name = "NAME[=WEIGHT],…", conflicts_with_all = ["scripts", "builtins"])]
    pub(in crate::cli) mix: Option<Mix>,
    #[command(flatten)]
    pub(in crate::cli) pgbench: PgbenchArguments,
    #[command(flatten)]
    pub(in crate::cli) target: TargetArguments,
    /// How transactions talk to the server [default: as the workload says, else prepared; scripts of pgbench: simple]
    #[arg(short = 'M', long, value_enum, value_name = "HOW")]
    pub(in crate::cli) protocol: Option<SpokenProtocol>,
    /// The server ends a statement that takes longer, which fails with 57014 [default: as the workload says, else no limit]
    #[arg(long, value_name = "TIME", value_parser = whole_milliseconds)]
    pub(in crate::cli) statement_timeout: Option<Duration>,
    /// Add this delay to each round trip, as a network between application and server would: `0.5ms`
    #[arg(long, value_name = "TIME", value_parser = round_trip)]
    pub(in crate::cli) rtt: Option<Duration>,
    /// Processors that dbdyno keeps to: `0,2-3`
    #[arg(long, value_name = "CPUS")]
    pub(in crate::cli) client_cpus: Option<CpuList>,
    /// Application processes to simulate, each with a pool of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) instances: u32,
    /// Threads of the generator [default: the smaller of instances and cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(in crate::cli) threads: Option<u32>,
    /// Time before each measurement that does not count; `auto`: until the system is steady [default: 2s; before each slice of ab: 1s]
    #[arg(long, value_name = "TIME|auto", value_parser = warm_up)]
    pub(in crate::cli) warmup: Option<GivenWarmUp>,
    /// With --warmup auto: begin to measure after this, steady or not [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = warm_up_max)]
    pub(in crate::cli) warmup_max: Option<Duration>,
    /// Longest time that unfinished transactions are waited for at the end
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(in crate::cli) drain: Duration,
    /// Give up waiting for a connection after this
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    pub(in crate::cli) acquire_timeout: Duration,
    /// Open loop: transactions of one instance under way at once; beyond it a late start counts as lag
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::cli) in_flight_max: u32,
    /// The number from which every draw follows; the same seed repeats the same work
    #[arg(long, value_name = "N", default_value_t = Seed::default())]
    pub(in crate::cli) seed: Seed,
    /// Scale of the dataset [default: as loaded; 1 on a throwaway server]
    #[arg(long, value_name = "N", value_parser = scale, allow_negative_numbers = true)]
    pub(in crate::cli) scale: Option<f64>,
    /// What the planner of a throwaway server knows of the tables
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = StatisticsOf::Own)]
    pub(in crate::cli) statistics: StatisticsOf,
    /// What the data are before each stage of a run or each size of a pool study
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = ResetTo::None)]
    pub(in crate::cli) reset: ResetTo,
    /// Do not look at the server while it is measured
    #[arg(long, conflicts_with = "probe_interval")]
    pub(in crate::cli) no_probes: bool,
    /// Time between two looks at the server's sessions, 10 ms to 1 s
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = cadence)]
    pub(in crate::cli) probe_interval: Duration,
    #[command(flatten)]
    pub(in crate::cli) pooler: PoolerArguments,
    #[command(flatten)]
    pub(in crate::cli) renewal: RenewalArguments,
    /// Write a line for every transaction into this CSV file: its outcome and its stamps
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) samples: Option<PathBuf>,
    /// Share of the transactions in the sample log, above 0 up to 1; the same ones in every run of a seed
    #[arg(long, value_name = "F", default_value = "1", value_parser = fraction, requires = "samples")]
    pub(in crate::cli) sample_fraction: f64,
    /// Parameters and returned values that stand in the sample log beside the stamps
    #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',', requires = "samples")]
    pub(in crate::cli) sample_values: Vec<String>,
    /// A limit, beside those of the workload, may be repeated: 'checkout.response.p99 < 50ms'; of `run` also a change, 'p99 < +10% of
    /// main', where `main` is a tag of runs
    #[arg(long = "budget", value_name = "METRIC LIMIT")]
    pub(in crate::cli) budgets: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) baseline: BaselineArguments,
    #[command(flatten)]
    pub(in crate::cli) result: ResultArguments,
}

/// What is wanted of a measurement, while it goes on and afterwards.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResultArguments {
    /// Where runs are kept [default: dbdyno/runs in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) runs_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) keep: KeepArguments,
    #[command(flatten)]
    pub(in crate::cli) export: ExportArguments,
    #[command(flatten)]
    pub(in crate::cli) live: LiveArguments,
    #[command(flatten)]
    pub(in crate::cli) output: Output,
}

/// How a measurement is kept in the history.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct KeepArguments {
    /// The history: a SQLite file, or postgres://… for one that is shared [default: history.sqlite beside the runs]
    #[arg(long, value_name = "STORE", env = "DBDYNO_STORE", hide_env_values = true)]
    pub(in crate::cli) store: Option<String>,
    /// A label of the run in the history, may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(in crate::cli) tags: Vec<String>,
    /// A remark that is kept with the run
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) note: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PgbenchArguments {
    /// A script of pgbench to run, instead of a workload; may be repeated
    #[arg(long = "pgbench", value_name = "FILE[@WEIGHT]", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) scripts: Vec<String>,
    /// A script that pgbench has built in, to run in the same manner: tpcb-like, simple-update, select-only
    #[arg(short = 'b', long = "builtin", value_name = "NAME[@WEIGHT]")]
    pub(in crate::cli) builtins: Vec<String>,
    /// A variable of the scripts, may be repeated
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE")]
    pub(in crate::cli) defines: Vec<String>,
    /// Tries of a script that meets a serialization failure or a deadlock [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in crate::cli) max_tries: Option<u32>,
}
