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
