//! Arguments of what reads reports: which table, where to, and what findings mean.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// One table of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CsvTable {
    /// Second by second: throughput, response times, errors, the pool
    Intervals,
    /// Transactions by stage
    Transactions,
    /// Statements by stage
    Statements,
    /// Waits for locks: who, for what, behind whom, for how long
    Locks,
    /// What sessions waited for
    Waits,
}

/// Where else a report is written.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct ExportArguments {
    /// Also write the report as Markdown, for a pull request; it is appended to `GITHUB_STEP_SUMMARY` in any
    /// case, where that is set
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) markdown: Option<PathBuf>,
    /// Also write budgets, goals and verdicts as JUnit XML
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArguments {
    /// The finding, as a report names it: `pool-too-small` [default: list all]
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// What a schema is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SchemaOf {
    /// workload.toml, for editors
    #[default]
    Workload,
    /// The report, as --json and `report --format json` write it
    Report,
    /// The result of compare, as its --json writes it
    Compare,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SchemaArguments {
    /// Of what
    #[arg(value_enum, value_name = "WHAT", default_value_t = SchemaOf::Workload)]
    pub(in crate::cli) of: SchemaOf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Output {
    /// Also write the report as JSON; `-` writes it, alone, to standard output
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) json: Option<PathBuf>,
    /// Also write the report as a page for a browser, one file that loads nothing; `-` writes it, alone, to standard output
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) html: Option<PathBuf>,
    /// Show every table, not only what matters most
    #[arg(long)]
    pub(in crate::cli) full: bool,
    /// No progress on standard error
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,
}

/// In which form a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
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
pub(in crate::cli) struct ReportArguments {
    /// The run: its name, the beginning of it, or its folder [default: the last one]
    pub(in crate::cli) run: Option<String>,
    /// The history, for runs that were measured elsewhere [default: history.sqlite beside the runs]
    #[arg(long, value_name = "STORE", env = "DBDYNO_STORE", hide_env_values = true)]
    pub(in crate::cli) store: Option<String>,
    /// Make the report of a run that was cut off from what was written until then
    #[arg(long)]
    pub(in crate::cli) recover: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub(in crate::cli) format: Format,
    /// With --format csv: only this table
    #[arg(long, value_enum, value_name = "TABLE")]
    pub(in crate::cli) table: Option<CsvTable>,
    /// With --format csv: write one file a table into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "table")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Where runs are kept [default: dbdyno/runs in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) runs_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) output: Output,
}
