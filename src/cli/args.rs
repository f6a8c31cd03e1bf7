//! The arguments, as clap sees them. What they mean together is decided in `plan`.

mod baseline;
mod capacity;
mod capture;
mod index;
mod live;
mod migration;
pub(super) mod pool;
mod pooler;
mod renewal;
mod reports;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(super) use index::IndexArguments;
pub(super) use live::LiveArguments;
pub(super) use migration::{MigrationArguments, MigrationTool};

use crate::local::Brand;
use crate::units::{Amount, Course, CourseError, CpuList, Dialect, DrawnError, Pause, Seed, parse_duration};
use crate::workload::Mix;

pub(super) use baseline::BaselineArguments;
pub(super) use capacity::CapacityArguments;
pub(super) use capture::{CaptureArguments, FidelityArguments};
pub(super) use pooler::PoolerArguments;
pub(super) use renewal::RenewalArguments;
pub(super) use reports::{CsvTable, ExplainArguments, ExportArguments, SchemaArguments, SchemaOf};

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
pub(super) struct TargetArguments {
    /// The database: a postgres:// or mysql:// URL, `local` for a throwaway PostgreSQL, `local:mariadb` or `local:mysql` for a throwaway
    /// MariaDB or MySQL
    #[arg(
        short,
        long,
        value_name = "TARGET",
        default_value = "local",
        env = "DBDYNO_TARGET",
        hide_env_values = true
    )]
    pub(super) target: String,
    #[command(flatten)]
    pub(super) local: LocalArguments,
}

impl TargetArguments {
    /// Which server dbdyno starts; nothing where it is to find one.
    pub(super) fn local(&self) -> Option<LocalKind> {
        local_of(&self.target)
    }
}

/// Which server dbdyno starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalKind {
    pub(super) dialect: Dialect,
    /// Of the family of MariaDB and MySQL.
    pub(super) brand: Brand,
}

/// Which server a word asks dbdyno to start.
fn local_of(word: &str) -> Option<LocalKind> {
    match word {
        "local" | "local:postgres" | "local:postgresql" => {
            Some(LocalKind { dialect: Dialect::Postgresql, brand: Brand::default() })
        }
        _ => {
            let brand = Brand::named(word.strip_prefix("local:")?)?;
            Some(LocalKind { dialect: Dialect::Mysql, brand })
        }
    }
}

/// The same where nothing else will do.
fn local_kind(given: &str) -> Result<LocalKind, String> {
    local_of(given).ok_or_else(|| {
        "the demonstration starts a server of its own: `local`, `local:postgres`, `local:mariadb` or `local:mysql`"
            .to_owned()
    })
}

#[derive(Debug, Args)]
pub(super) struct LocalArguments {
    /// A setting of the throwaway server, may be repeated: `shared_buffers=1GB`
    #[arg(long = "local-setting", value_name = "NAME=VALUE")]
    pub(super) settings: Vec<String>,
    /// Folder with the binaries of the throwaway server (initdb and postgres, mariadbd, or mysqld)
    #[arg(long = "local-bindir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) bindir: Option<PathBuf>,
    /// Processors that the throwaway server keeps to: `0,2-3`
    #[arg(long, value_name = "CPUS")]
    pub(super) server_cpus: Option<CpuList>,
}

#[derive(Debug, Args)]
pub(super) struct Output {
    /// Also write the report as JSON; `-` writes it, alone, to standard output
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) json: Option<PathBuf>,
    /// Also write the report as a page for a browser, one file that loads nothing; `-` writes it, alone, to standard output
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) html: Option<PathBuf>,
    /// Show every table, not only what matters most
    #[arg(long)]
    pub(super) full: bool,
    /// No progress on standard error
    #[arg(short, long)]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ResetTo {
    /// What the measurement before left
    None,
    /// What was loaded: a fresh copy of the loaded database each time, dropped afterwards
    Template,
}

/// What the planner knows of loaded tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StatisticsOf {
    /// What ANALYZE finds in them
    Own,
    /// What it found at the source of a captured workload, so that plans at a small scale resemble those there (PostgreSQL 18)
    Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SpokenProtocol {
    /// One text a statement, with the values written into it
    Simple,
    /// Parsed each time; safe behind a pooler that changes servers between transactions
    Extended,
    /// Parsed once for a connection
    Prepared,
}

#[derive(Debug, Args)]
pub(super) struct MeasureArguments {
    /// Folder of the workload
    #[arg(
        short,
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        required_unless_present_any = ["scripts", "builtins"],
        conflicts_with_all = ["scripts", "builtins"]
    )]
    pub(super) workload: Option<PathBuf>,
    /// Only these transactions of the workload, with these weights in place of its own: `search`, or `search=3,checkout`
    #[arg(long, value_name = "NAME[=WEIGHT],…", conflicts_with_all = ["scripts", "builtins"])]
    pub(super) mix: Option<Mix>,
    #[command(flatten)]
    pub(super) pgbench: PgbenchArguments,
    #[command(flatten)]
    pub(super) target: TargetArguments,
    /// How transactions talk to the server [default: as the workload says, else prepared; scripts of pgbench: simple]
    #[arg(short = 'M', long, value_enum, value_name = "HOW")]
    pub(super) protocol: Option<SpokenProtocol>,
    /// The server ends a statement that takes longer, which fails with 57014 [default: as the workload says, else no limit]
    #[arg(long, value_name = "TIME", value_parser = whole_milliseconds)]
    pub(super) statement_timeout: Option<Duration>,
    /// Add this delay to each round trip, as a network between application and server would: `0.5ms`
    #[arg(long, value_name = "TIME", value_parser = round_trip)]
    pub(super) rtt: Option<Duration>,
    /// Processors that dbdyno keeps to: `0,2-3`
    #[arg(long, value_name = "CPUS")]
    pub(super) client_cpus: Option<CpuList>,
    /// Application processes to simulate, each with a pool of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) instances: u32,
    /// Threads of the generator [default: the smaller of instances and cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) threads: Option<u32>,
    /// Time before each measurement that does not count; `auto`: until the system is steady [default: 2s; before each slice of ab: 1s]
    #[arg(long, value_name = "TIME|auto", value_parser = warm_up)]
    pub(super) warmup: Option<GivenWarmUp>,
    /// With --warmup auto: begin to measure after this, steady or not [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = warm_up_max)]
    pub(super) warmup_max: Option<Duration>,
    /// Longest time that unfinished transactions are waited for at the end
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(super) drain: Duration,
    /// Give up waiting for a connection after this
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    pub(super) acquire_timeout: Duration,
    /// Open loop: transactions of one instance under way at once; beyond it a late start counts as lag
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) in_flight_max: u32,
    /// The number from which every draw follows; the same seed repeats the same work
    #[arg(long, value_name = "N", default_value_t = Seed::default())]
    pub(super) seed: Seed,
    /// Scale of the dataset [default: as loaded; 1 on a throwaway server]
    #[arg(long, value_name = "N", value_parser = scale, allow_negative_numbers = true)]
    pub(super) scale: Option<f64>,
    /// What the planner of a throwaway server knows of the tables
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = StatisticsOf::Own)]
    pub(super) statistics: StatisticsOf,
    /// What the data are before each stage of a run or each size of a pool study
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = ResetTo::None)]
    pub(super) reset: ResetTo,
    /// Do not look at the server while it is measured
    #[arg(long, conflicts_with = "probe_interval")]
    pub(super) no_probes: bool,
    /// Time between two looks at the server's sessions, 10 ms to 1 s
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = cadence)]
    pub(super) probe_interval: Duration,
    #[command(flatten)]
    pub(super) pooler: PoolerArguments,
    #[command(flatten)]
    pub(super) renewal: RenewalArguments,
    /// Write a line for every transaction into this CSV file: its outcome and its stamps
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) samples: Option<PathBuf>,
    /// Share of the transactions in the sample log, above 0 up to 1; the same ones in every run of a seed
    #[arg(long, value_name = "F", default_value = "1", value_parser = fraction, requires = "samples")]
    pub(super) sample_fraction: f64,
    /// Parameters and returned values that stand in the sample log beside the stamps
    #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',', requires = "samples")]
    pub(super) sample_values: Vec<String>,
    /// A limit, beside those of the workload, may be repeated: 'checkout.response.p99 < 50ms'; of `run` also a change, 'p99 < +10% of
    /// main', where `main` is a tag of runs
    #[arg(long = "budget", value_name = "METRIC LIMIT")]
    pub(super) budgets: Vec<String>,
    #[command(flatten)]
    pub(super) baseline: BaselineArguments,
    /// Where runs are kept [default: dbdyno/runs in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(super) runs_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) keep: KeepArguments,
    #[command(flatten)]
    pub(super) export: ExportArguments,
    #[command(flatten)]
    pub(super) live: LiveArguments,
    #[command(flatten)]
    pub(super) output: Output,
}

/// How a measurement is kept in the history.
#[derive(Debug, Default, Args)]
pub(super) struct KeepArguments {
    /// The history: a SQLite file, or postgres://… for one that is shared [default: history.sqlite beside the runs]
    #[arg(long, value_name = "STORE", env = "DBDYNO_STORE", hide_env_values = true)]
    pub(super) store: Option<String>,
    /// A label of the run in the history, may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// A remark that is kept with the run
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
}

/// Which history.
#[derive(Debug, Args)]
pub(super) struct StoreArguments {
    /// The history: a SQLite file, or postgres://… for one that is shared [default: history.sqlite beside the runs]
    #[arg(long, global = true, value_name = "STORE", env = "DBDYNO_STORE", hide_env_values = true)]
    pub(super) store: Option<String>,
    /// Where runs are kept [default: dbdyno/runs in the user's data folder]
    #[arg(long, global = true, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(super) runs_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// What is compared with: a run, by the beginning of its name, or all completed runs with a tag (`tag:NAME` where both exist)
    pub(super) base: String,
    /// What is compared
    pub(super) candidate: String,
    /// How much worse the candidate may be, may be repeated: 'p99 +10%', 'throughput -5%'
    #[arg(long = "limit", value_name = "METRIC CHANGE")]
    pub(super) limits: Vec<String>,
    /// Kinds of differences that are what is compared: `settings`, `version`, …
    #[arg(long, value_name = "KIND,KIND,…", value_delimiter = ',')]
    pub(super) across: Vec<String>,
    /// Compare whatever the runs differ in, and judge times although the runs took no turns
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) store: StoreArguments,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RunsFormat {
    /// For reading
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(super) struct RunsArguments {
    #[command(subcommand)]
    pub(super) command: Option<RunsCommand>,
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    /// The last N runs [default: 50 as a table, all as JSON and in a trend]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) last: Option<u32>,
    /// After which run this figure changed: `response.p99`, `checkout.response.mean`, `peak/response.p99` of a stage
    #[arg(long, value_name = "METRIC")]
    pub(super) trend: Option<String>,
    /// How to show it
    #[arg(long, value_enum, default_value_t = RunsFormat::Table)]
    pub(super) format: RunsFormat,
    #[command(flatten)]
    pub(super) store: StoreArguments,
}

/// Which runs.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// Only runs with this label, may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// Only `run`, `pool`, `capacity`, `ab`, `index` or `migration`
    #[arg(long, value_name = "KIND")]
    pub(super) kind: Option<String>,
    /// Only runs of this workload
    #[arg(short, long, value_name = "NAME")]
    pub(super) workload: Option<String>,
    /// Only runs that ended so: `pass`, `fail`, `inconclusive`
    #[arg(long, value_name = "VERDICT")]
    pub(super) verdict: Option<String>,
    /// Only runs since a day, an instant, or a time ago: `2026-11-25`, `7d`
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Only runs before then
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
}

impl FilterArguments {
    /// Whether all runs are meant.
    pub(super) fn is_empty(&self) -> bool {
        let Self { tags, kind, workload, verdict, since, until } = self;
        tags.is_empty() && [kind, workload, verdict, since, until].iter().all(|given| given.is_none())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    /// Give labels to runs, or take them away
    Tag(RunsTag),
    /// Write a remark to a run, in place of the one that it has
    Note(RunsNote),
    /// Delete runs, and their journals in the folder of runs
    Delete(RunsDelete),
    /// Write runs down, a line each, for another history
    Export(RunsExport),
    /// Put runs into the history: from an export, the folder of a run, or a folder of runs
    Import(RunsImport),
}

#[derive(Debug, Args)]
pub(super) struct RunsTag {
    /// The runs, by the beginnings of their names
    #[arg(required = true, value_name = "RUN")]
    pub(super) runs: Vec<String>,
    /// A label to give, may be repeated
    #[arg(long, value_name = "TAG", required_unless_present = "remove")]
    pub(super) add: Vec<String>,
    /// A label to take away, may be repeated
    #[arg(long, value_name = "TAG")]
    pub(super) remove: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunsNote {
    /// The run, by the beginning of its name
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// What to write; nothing takes the remark away
    #[arg(value_name = "TEXT", default_value = "")]
    pub(super) note: String,
}

#[derive(Debug, Args)]
pub(super) struct RunsDelete {
    /// The runs, by the beginnings of their names
    #[arg(required = true, value_name = "RUN")]
    pub(super) runs: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunsExport {
    /// The runs, by the beginnings of their names [default: all that the filters leave]
    #[arg(value_name = "RUN")]
    pub(super) runs: Vec<String>,
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    /// Where to [default: standard output]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunsImport {
    /// Exports, or folders
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(super) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PgbenchArguments {
    /// A script of pgbench to run, instead of a workload; may be repeated
    #[arg(long = "pgbench", value_name = "FILE[@WEIGHT]", value_hint = ValueHint::FilePath)]
    pub(super) scripts: Vec<String>,
    /// A script that pgbench has built in, to run in the same manner: tpcb-like, simple-update, select-only
    #[arg(short = 'b', long = "builtin", value_name = "NAME[@WEIGHT]")]
    pub(super) builtins: Vec<String>,
    /// A variable of the scripts, may be repeated
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE")]
    pub(super) defines: Vec<String>,
    /// Tries of a script that meets a serialization failure or a deadlock [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) max_tries: Option<u32>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Level {
    /// Open loop: transactions per second, whatever the target answers. `200`, or over the time of the stage `100..800`,
    /// `100,200,400`, `'100 spike 800 at 10s for 5s'`
    #[arg(long, value_name = "PER_SECOND", value_parser = course, allow_negative_numbers = true)]
    pub(super) rate: Option<Course>,
    /// Closed loop: users who wait for each answer; a number, or a course as of --rate
    #[arg(long, value_name = "N", value_parser = clients, allow_negative_numbers = true)]
    pub(super) clients: Option<Course>,
    /// Partly open loop: sessions per second that make several --transactions each; a number, or a course as of --rate
    #[arg(long, value_name = "PER_SECOND", value_parser = course, allow_negative_numbers = true)]
    pub(super) sessions: Option<Course>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ArrivalsArgument {
    /// In equal gaps
    Constant,
    /// As independent users come: gaps are exponentially distributed
    Poisson,
}

#[derive(Debug, Args)]
pub(super) struct LoadOfRun {
    #[command(flatten)]
    pub(super) level: Level,
    /// How the transactions of --rate or the --sessions arrive [default: constant]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(super) arrivals: Option<ArrivalsArgument>,
    /// How many each of the --sessions makes: `8`, `1..10`, `'geometric 5'`
    #[arg(long, value_name = "N", value_parser = drawn::<Amount>)]
    pub(super) transactions: Option<Amount>,
    /// Time between a transaction and the next one of the same client or session: `200ms`, `'uniform 100ms..300ms'`,
    /// `'exponential 200ms'`, `'lognormal 200ms 0.8'`
    #[arg(long, value_name = "TIME", value_parser = drawn::<Pause>)]
    pub(super) think: Option<Pause>,
    /// Skip and count what arrives and cannot be started for longer [default: start it, however late]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) max_lag: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProfileName {
    /// baseline (half), normal, peak (twice), stress (a ramp from twice to four times), spike (five times, for a while), soak
    Progressive,
    /// Ten stages from half to five times, to find where it breaks
    Stress,
    /// normal, a spike of five times, and the time after it
    Spike,
    /// normal, all the time
    Soak,
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
    /// Where runs are kept [default: dbdyno/runs in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(super) runs_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) keep: KeepArguments,
    #[command(flatten)]
    pub(super) export: ExportArguments,
    #[command(flatten)]
    pub(super) live: LiveArguments,
    #[command(flatten)]
    pub(super) output: Output,
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

/// In which form a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For reading
    Terminal,
    /// For programs; `dbdyno schema report` describes it
    Json,
    /// For a browser: one file that loads nothing
    Html,
    /// For a pull request
    Markdown,
    /// For spreadsheets: one table on standard output, or all of them with --out
    Csv,
    /// For test runners: each budget, goal and verdict is a test case
    Junit,
    /// For viewers of `HdrHistogram` interval logs: the response times of each transaction, second by second
    Hlog,
}

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The run: its name, the beginning of it, or its folder [default: the last one]
    pub(super) run: Option<String>,
    /// The history, for runs that were measured elsewhere [default: history.sqlite beside the runs]
    #[arg(long, value_name = "STORE", env = "DBDYNO_STORE", hide_env_values = true)]
    pub(super) store: Option<String>,
    /// Make the report of a run that was cut off from what was written until then
    #[arg(long)]
    pub(super) recover: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub(super) format: Format,
    /// With --format csv: only this table
    #[arg(long, value_enum, value_name = "TABLE")]
    pub(super) table: Option<CsvTable>,
    /// With --format csv: write one file a table into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "table")]
    pub(super) out: Option<PathBuf>,
    /// Where runs are kept [default: dbdyno/runs in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(super) runs_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) output: Output,
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

/// A warm-up as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenWarmUp {
    Fixed(Duration),
    Auto,
}

fn warm_up(text: &str) -> Result<GivenWarmUp, String> {
    if text == "auto" {
        return Ok(GivenWarmUp::Auto);
    }
    parse_duration(text)
        .map(GivenWarmUp::Fixed)
        .map_err(|error| format!("{error}, or `auto` to warm up until the system is steady"))
}

fn warm_up_max(text: &str) -> Result<Duration, String> {
    // Rest shows after ten seconds at the earliest, and an interval more is needed to end a stage everywhere at once.
    const MIN: Duration = Duration::from_secs(15);
    // What is looked at is kept, second by second.
    const MAX: Duration = Duration::from_secs(4 * 3600);
    let limit = parse_duration(text).map_err(|error| error.to_string())?;
    if (MIN..=MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err("it must be at least 15s, since less does not show that a system is steady, and at most 4h"
            .to_owned())
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(duration) }
}

fn cadence(text: &str) -> Result<Duration, String> {
    let interval = positive_duration(text)?;
    if (Duration::from_millis(10)..=Duration::from_secs(1)).contains(&interval) {
        Ok(interval)
    } else {
        Err("it lies between 10ms (100 looks a second) and 1s".to_owned())
    }
}

fn whole_milliseconds(text: &str) -> Result<Duration, String> {
    let duration = positive_duration(text)?;
    if duration < Duration::from_millis(1) {
        Err("it counts whole milliseconds, at least one".to_owned())
    } else {
        Ok(duration)
    }
}

fn round_trip(text: &str) -> Result<Duration, String> {
    const MAX: Duration = Duration::from_secs(10);
    let duration = positive_duration(text)?;
    if duration > MAX { Err("no network is that far: at most 10s".to_owned()) } else { Ok(duration) }
}

fn positive(text: &str, max: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number <= max {
        Ok(number)
    } else {
        Err(format!("it must lie above 0 and at most at {max}"))
    }
}

fn course(text: &str) -> Result<Course, String> {
    text.parse().map_err(|error: CourseError| error.to_string())
}

fn clients(text: &str) -> Result<Course, String> {
    let course = course(text)?;
    if course.is_whole() { Ok(course) } else { Err("part of a client cannot be".to_owned()) }
}

fn drawn<T: FromStr<Err = DrawnError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: DrawnError| error.to_string())
}

fn fraction(text: &str) -> Result<f64, String> {
    positive(text, 1.0)
}

fn scale(text: &str) -> Result<f64, String> {
    // Below it every table has its one row.
    const MIN: f64 = 1e-9;
    let scale = positive(text, 1_000_000.0)?;
    if scale < MIN { Err(format!("it must be at least {MIN}")) } else { Ok(scale) }
}
