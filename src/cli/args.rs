//! The arguments, as clap sees them. What they mean together is decided in `plan`.

mod baseline;
mod capacity;
mod capture;
mod history;
mod index;
mod live;
mod load;
mod measure;
mod migration;
pub(super) mod pool;
mod pooler;
mod renewal;
mod reports;
mod target;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::units::{Seed, parse_duration};

pub(super) use baseline::BaselineArguments;
pub(super) use capacity::CapacityArguments;
pub(super) use capture::{CaptureArguments, FidelityArguments};
pub(super) use history::{
    CompareArguments, FilterArguments, RunsArguments, RunsCommand, RunsExport, RunsFormat, RunsImport,
    StoreArguments,
};
pub(super) use index::IndexArguments;
pub(super) use live::LiveArguments;
pub(super) use load::{ArrivalsArgument, Level, LoadOfRun, ProfileName};
pub(super) use measure::{
    KeepArguments, MeasureArguments, PgbenchArguments, ResetTo, ResultArguments, SpokenProtocol, StatisticsOf,
};
pub(super) use migration::{MigrationArguments, MigrationTool};
pub(super) use pooler::PoolerArguments;
pub(super) use renewal::RenewalArguments;
pub(super) use reports::{
    CsvTable, ExplainArguments, ExportArguments, Format, Output, ReportArguments, SchemaArguments, SchemaOf,
};
pub(super) use target::{LocalArguments, LocalKind, TargetArguments};
pub(super) use values::GivenWarmUp;

use target::local_kind;
use values::{
    cadence, clients, course, drawn, fraction, positive, positive_duration, round_trip, scale, warm_up,
    warm_up_max, whole_milliseconds,
};

/// A database load & query profiler: open-loop load, a measured pool, and the server's own evidence.
///
/// TARGET is a postgres:// URL (libpq's PG* variables, ~/.pgpass and service files hold), a mysql:// URL, or `local` for a
/// throwaway PostgreSQL that is started for the command and removed afterwards (`local:mariadb`, `local:mysql`: a
/// throwaway MariaDB or MySQL).
#[derive(Debug, Parser)]
#[command(name = "dbdyno", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok or pass; 1 dbdyno or the target failed; 2 wrong arguments or workload; 3 a budget \
failed; 4 the measurement cannot tell; 130 interrupted."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what dbdyno does: a throwaway server, the shop workload, a short pool study, a report
    Demo(DemoArguments),
    /// Create the schema and the dataset of a workload
    Load(LoadArguments),
    /// Show rows of a workload's dataset, without a database
    Preview(PreviewArguments),
    /// Measure one run of a workload
    Run(RunArguments),
    /// Measure several pool sizes and find the knee
    Pool(PoolArguments),
    /// Find the highest rate that keeps a goal, and what stops a higher one
    Capacity(CapacityArguments),
    /// Make a workload from the statistics of a database that is there, without a row of it
    Capture(CaptureArguments),
    /// Say how near a captured workload comes to the database that it was captured from
    Fidelity(FidelityArguments),
    /// Compare two arms that differ in one thing, in slices by turns
    Ab(AbArguments),
    /// Put an index to the test: reads won, writes taxed, and what to do
    Index(Box<IndexArguments>),
    /// Apply migrations while the traffic runs: who was blocked, for how long, and what is slower afterwards
    Migration(Box<MigrationArguments>),
    /// Compare two stored runs, or two groups of runs
    Compare(CompareArguments),
    /// The history: list, filter, label, delete, export and import runs; find when a figure changed
    Runs(RunsArguments),
    /// Show the report of a run again
    Report(ReportArguments),
    /// Measure what this machine's generator can do by itself; later reports say how far from that they were
    Calibrate(CalibrateArguments),
    /// Say what a target lets dbdyno see and do, and what is missing
    Doctor(DoctorArguments),
    /// Say what a finding means: when it is made, what proves it, what to do; without a name, list all
    Explain(ExplainArguments),
    /// Print the JSON schema of workload.toml, for editors, or of reports
    Schema(SchemaArguments),
    /// Print a completion script for a shell
    Completions(CompletionsArguments),
    /// Print the manual page
    Man(ManArguments),
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) load: LoadOfRun,
    /// Stages made of the load of --rate, --clients or --sessions, which is the normal one [default --duration: 5m]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) profile: Option<ProfileName>,
    /// Connections of each instance
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) pool_size: u32,
    /// How long it is measured; the workload's stages say so themselves
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub(super) duration: Option<Duration>,
    #[command(flatten)]
    pub(super) measure: MeasureArguments,
}

#[derive(Debug, Args)]
pub(super) struct PoolArguments {
    #[command(flatten)]
    pub(super) study: pool::StudyArguments,
    #[command(flatten)]
    pub(super) load: LoadOfRun,
    /// How long each size is measured each time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub(super) duration: Duration,
    #[command(flatten)]
    pub(super) measure: MeasureArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "An arm is one of
  'as is'            nothing is different
  'set NAME=VALUE'   a setting of its sessions: 'set work_mem=64MB'
  'sql FILE'         a SQL script that is run before each of its slices, statement by statement
  'pool N'           connections of each instance
  'workload DIR'     another workload on the same data")]
pub(super) struct AbArguments {
    /// The arm that is compared with
    #[arg(long, value_name = "ARM", default_value = "as is")]
    pub(super) a: String,
    /// The arm that is compared
    #[arg(long, value_name = "ARM", required_unless_present = "is_self")]
    pub(super) b: Option<String>,
    /// Both arms as they are: says how small a change can be seen here
    #[arg(long = "self", conflicts_with_all = ["a", "b", "limits"])]
    pub(super) is_self: bool,
    /// Pairs of slices; below 8 there can be no verdict at 1 %
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(8..=64))]
    pub(super) pairs: u32,
    /// As many pairs as it takes: until every limit is kept or broken; without limits, until something differs
    #[arg(long, conflicts_with = "pairs")]
    pub(super) until_decided: bool,
    /// With --until-decided: end after this, decided or not [default: 20m]
    #[arg(long, value_name = "TIME", requires = "until_decided", value_parser = positive_duration)]
    pub(super) at_most: Option<Duration>,
    /// How much worse B may be, may be repeated: 'p99 +10%', 'throughput -5%', `checkout.take_stock.execute.mean +20%`
    #[arg(long = "limit", value_name = "METRIC CHANGE")]
    pub(super) limits: Vec<String>,
    #[command(flatten)]
    pub(super) load: LoadOfRun,
    /// Connections of each instance
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) pool_size: u32,
    /// How long a slice is measured
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = positive_duration)]
    pub(super) slice: Duration,
    /// Pause before each slice, in which the server gets over the one before
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_duration)]
    pub(super) settle: Duration,
    #[command(flatten)]
    pub(super) measure: MeasureArguments,
}

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Which throwaway server: `local` or `local:postgres`, `local:mariadb` or `local:mysql`
    #[arg(short, long, value_name = "TARGET", default_value = "local", value_parser = local_kind)]
    pub(super) target: LocalKind,
    #[command(flatten)]
    pub(super) local: LocalArguments,
    /// Folder of the shop workload [default: workloads/shop here or beside the program's sources]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) workload: Option<PathBuf>,
    /// Scale of the dataset
    #[arg(long, value_name = "N", default_value = "0.5", value_parser = scale, allow_negative_numbers = true)]
    pub(super) scale: f64,
    #[command(flatten)]
    pub(super) result: ResultArguments,
}

#[derive(Debug, Args)]
pub(super) struct LoadArguments {
    /// Folder of the workload
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) workload: PathBuf,
    #[command(flatten)]
    pub(super) target: TargetArguments,
    /// Rows relative to scale 1
    #[arg(long, value_name = "N", default_value = "1", value_parser = scale, allow_negative_numbers = true)]
    pub(super) scale: f64,
    /// The number from which every value follows
    #[arg(long, value_name = "N", default_value_t = Seed::default())]
    pub(super) seed: Seed,
    /// Connections that load [default: half of the cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) jobs: Option<u32>,
    /// Drop and make anew tables that are there already, whoever made them. On MariaDB and MySQL they are dropped before the
    /// new schema is tried
    #[arg(long)]
    pub(super) replace: bool,
    /// What the planner knows of the tables afterwards
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = StatisticsOf::Own)]
    pub(super) statistics: StatisticsOf,
    /// No progress on standard error
    #[arg(short, long)]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PreviewFormat {
    /// A table for reading, values shortened to the terminal's width
    Table,
    /// RFC 4180, with a header line; `COPY … (FORMAT csv, HEADER)` reads it
    Csv,
}

#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    /// Folder of the workload
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) workload: PathBuf,
    /// Only this table, as workload.toml names it
    #[arg(long, value_name = "TABLE")]
    pub(super) table: Option<String>,
    /// The first N rows of each table [default: 10 as a table, all as CSV]
    #[arg(long, value_name = "N")]
    pub(super) rows: Option<u64>,
    /// Rows relative to scale 1; as with load, other scales have other rows
    #[arg(long, value_name = "N", default_value = "1", value_parser = scale)]
    pub(super) scale: f64,
    /// The number from which every value follows
    #[arg(long, value_name = "N", default_value_t = Seed::default())]
    pub(super) seed: Seed,
    /// How to show them
    #[arg(long, value_enum, default_value_t = PreviewFormat::Table)]
    pub(super) format: PreviewFormat,
    /// With --format csv: write one file a table into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CalibrateArguments {
    /// Also write the figures as JSON; `-` writes them, alone, to standard output
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) json: Option<PathBuf>,
    /// How long each of its loads is measured
    #[arg(long, value_name = "TIME", default_value = "1250ms", value_parser = positive_duration)]
    pub(super) duration: Duration,
    /// Where runs are kept, and the calibration with them [default: dbdyno/runs in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(super) runs_dir: Option<PathBuf>,
    /// No progress on standard error
    #[arg(short, long)]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    pub(super) target: TargetArguments,
    /// Print the findings as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {}

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}
