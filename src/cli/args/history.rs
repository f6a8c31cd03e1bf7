//! The history: comparing stored runs, listing, labelling and moving them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::Output;

/// Which history.
#[derive(Debug, Args)]
pub(in crate::cli) struct StoreArguments {
    /// The history: a SQLite file, or postgres://… for one that is shared [default: history.sqlite beside the runs]
    #[arg(long, global = true, value_name = "STORE", env = "DBDYNO_STORE", hide_env_values = true)]
    pub(in crate::cli) store: Option<String>,
    /// Where runs are kept [default: dbdyno/runs in the user's data folder]
    #[arg(long, global = true, value_name = "DIR", env = "DBDYNO_RUNS_DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) runs_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CompareArguments {
    /// What is compared with: a run, by the beginning of its name, or all completed runs with a tag (`tag:NAME` where both exist)
    pub(in crate::cli) base: String,
    /// What is compared
    pub(in crate::cli) candidate: String,
    /// How much worse the candidate may be, may be repeated: 'p99 +10%', 'throughput -5%'
    #[arg(long = "limit", value_name = "METRIC CHANGE")]
    pub(in crate::cli) limits: Vec<String>,
    /// Kinds of differences that are what is compared: `settings`, `version`, …
    #[arg(long, value_name = "KIND,KIND,…", value_delimiter = ',')]
    pub(in crate::cli) across: Vec<String>,
    /// Compare whatever the runs differ in, and judge times although the runs took no turns
    #[arg(long)]
    pub(in crate::cli) force: bool,
    #[command(flatten)]
    pub(in crate::cli) store: StoreArguments,
    #[command(flatten)]
    pub(in crate::cli) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RunsFormat {
    /// For reading
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<RunsCommand>,
    #[command(flatten)]
    pub(in crate::cli) filter: FilterArguments,
    /// The last N runs [default: 50 as a table, all as JSON and in a trend]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) last: Option<u32>,
    /// After which run this figure changed: `response.p99`, `checkout.response.mean`, `peak/response.p99` of a stage
    #[arg(long, value_name = "METRIC")]
    pub(in crate::cli) trend: Option<String>,
    /// How to show it
    #[arg(long, value_enum, default_value_t = RunsFormat::Table)]
    pub(in crate::cli) format: RunsFormat,
    #[command(flatten)]
    pub(in crate::cli) store: StoreArguments,
}

/// Which runs.
#[derive(Debug, Args)]
pub(in crate::cli) struct FilterArguments {
    /// Only runs with this label, may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(in crate::cli) tags: Vec<String>,
    /// Only `run`, `pool`, `capacity`, `ab`, `index` or `migration`
    #[arg(long, value_name = "KIND")]
    pub(in crate::cli) kind: Option<String>,
    /// Only runs of this workload
    #[arg(short, long, value_name = "NAME")]
    pub(in crate::cli) workload: Option<String>,
    /// Only runs that ended so: `pass`, `fail`, `inconclusive`
    #[arg(long, value_name = "VERDICT")]
    pub(in crate::cli) verdict: Option<String>,
    /// Only runs since a day, an instant, or a time ago: `2026-11-25`, `7d`
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<String>,
    /// Only runs before then
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<String>,
}

impl FilterArguments {
    /// Whether all runs are meant.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        let Self { tags, kind, workload, verdict, since, until } = self;
        tags.is_empty() && [kind, workload, verdict, since, until].iter().all(|given| given.is_none())
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RunsCommand {
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
pub(in crate::cli) struct RunsTag {
    /// The runs, by the beginnings of their names
    #[arg(required = true, value_name = "RUN")]
    pub(in crate::cli) runs: Vec<String>,
    /// A label to give, may be repeated
    #[arg(long, value_name = "TAG", required_unless_present = "remove")]
    pub(in crate::cli) add: Vec<String>,
    /// A label to take away, may be repeated
    #[arg(long, value_name = "TAG")]
    pub(in crate::cli) remove: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsNote {
    /// The run, by the beginning of its name
    #[arg(value_name = "RUN")]
    pub(in crate::cli) run: String,
    /// What to write; nothing takes the remark away
    #[arg(value_name = "TEXT", default_value = "")]
    pub(in crate::cli) note: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsDelete {
    /// The runs, by the beginnings of their names
    #[arg(required = true, value_name = "RUN")]
    pub(in crate::cli) runs: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsExport {
    /// The runs, by the beginnings of their names [default: all that the filters leave]
    #[arg(value_name = "RUN")]
    pub(in crate::cli) runs: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) filter: FilterArguments,
    /// Where to [default: standard output]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsImport {
    /// Exports, or folders
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(in crate::cli) paths: Vec<PathBuf>,
}
