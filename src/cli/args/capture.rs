//! The arguments of `dbdyno capture` and `dbdyno fidelity`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::{StatisticsOf, TargetArguments, positive, scale};
use crate::units::{Seed, parse_duration};

#[derive(Debug, Args)]
#[command(
    after_help = "Reads catalogs, statistics and counters, and no row; nothing is written to the database. The user needs pg_monitor \
and, for the statistics of all columns, SELECT on pg_statistic and pg_statistic_ext_data. Texts become made-up texts of the same \
lengths, order and frequencies; numbers and times are moved between their neighbours. What leaves is listed before it is written."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that the user gives or not")]
pub(in crate::cli) struct CaptureArguments {
    /// The database: a postgres:// URL
    #[arg(short, long, value_name = "URL", env = "DBDYNO_TARGET", hide_env_values = true)]
    pub(in crate::cli) target: String,
    /// Folder of the workload to make; it must be empty or not there yet
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) out: PathBuf,
    /// A schema to capture, may be repeated [default: all but the server's own]
    #[arg(long = "schema", value_name = "NAME")]
    pub(in crate::cli) schemas: Vec<String>,
    /// Look at what is done for so long, and find what makes one transaction [default: what was counted since the last reset]
    #[arg(long, value_name = "N", value_parser = minutes)]
    pub(in crate::cli) minutes: Option<Duration>,
    /// Have texts made up, and numbers and times moved between their neighbours, so that no value of a row leaves: the default
    #[arg(long, overrides_with = "no_redact")]
    pub(in crate::cli) redact: bool,
    /// Let the common values and the bounds of all columns leave as they are: for a database without secrets
    #[arg(long, overrides_with = "redact", conflicts_with = "use_existing_data")]
    pub(in crate::cli) no_redact: bool,
    /// A column whose values may leave as they are, may be repeated: `orders.status`
    #[arg(long = "keep-values", value_name = "TABLE.COLUMN", conflicts_with = "use_existing_data")]
    pub(in crate::cli) keep_values: Vec<String>,
    /// For a copy with the real rows, such as a restored backup: parameters draw from what is there, and nothing is loaded
    #[arg(long)]
    pub(in crate::cli) use_existing_data: bool,
    /// List what would leave, and write nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// No progress on standard error
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The score is the mean of these parts, as far as they are known, each from 0 to 100 %:
  columns  the mean over all columns of 100 % less the mean distance of their statistics
  plans    the share of the statements whose generic plan has the same shape
  mix      100 % less half of the sum of all differences of the statements' shares of the calls
  rows     the smaller of the rows per call by the larger, the mean over the statements by their calls
  cache    100 % less the difference of the shares of the blocks found in memory, by their calls
What pg_stat_statements counted since its last reset is compared; on a database that is there already, run the workload before."
)]
pub(in crate::cli) struct FidelityArguments {
    /// Folder of the captured workload
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) workload: PathBuf,
    /// The database that it was captured from: a postgres:// URL
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) against: String,
    #[command(flatten)]
    pub(in crate::cli) target: TargetArguments,
    /// Rows relative to scale 1, on a throwaway server
    #[arg(long, value_name = "N", default_value = "1", value_parser = scale, allow_negative_numbers = true)]
    pub(in crate::cli) scale: f64,
    /// The number from which every value follows
    #[arg(long, value_name = "N", default_value_t = Seed::default())]
    pub(in crate::cli) seed: Seed,
    /// What the planner of a throwaway server knows of the tables
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = StatisticsOf::Own)]
    pub(in crate::cli) statistics: StatisticsOf,
    /// On a throwaway server, execute the mix for so long, so that rows per call and cache hits are counted; `0s` for not at all
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(in crate::cli) duration: Duration,
    /// Also write the figures as JSON; `-` writes them, alone, to standard output
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) json: Option<PathBuf>,
    /// Show every column and every statement
    #[arg(long)]
    pub(in crate::cli) full: bool,
    /// No progress on standard error
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,
}

fn minutes(text: &str) -> Result<Duration, String> {
    // A day: what is counted for longer was reset meanwhile as likely as not.
    const MAX: f64 = 1440.0;
    positive(text, MAX).map(|minutes| Duration::from_secs_f64(minutes * 60.0))
}
