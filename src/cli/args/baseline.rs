//! What a run is held against, where a budget is a change.

use clap::Args;

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct BaselineArguments {
    /// What budgets such as 'p99 < +10%' are held against: a run, or a tag of at least three
    #[arg(long, value_name = "RUN|TAG")]
    pub(in crate::cli) baseline: Option<String>,
    /// With a baseline: kinds of differences from it that are what is compared: `workload`, `version`, …
    #[arg(long, value_name = "KIND,KIND,…", value_delimiter = ',')]
    pub(in crate::cli) across: Vec<String>,
}
