//! The arguments of `dbdyno migration`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use crate::study::Disturb;
use crate::units::parse_duration;

use super::{LoadOfRun, MeasureArguments, positive_duration, whole_milliseconds};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum MigrationTool {
    /// Files in the order of their names, each statement by itself unless the file says BEGIN
    Plain,
    /// `N_name.sql`, `N_name.up.sql`; `-- no-transaction`
    Sqlx,
    /// `V1__name.sql`; a `.sql.conf` beside it
    Flyway,
    /// `V1__name.sql`
    Refinery,
    /// `N_name.sql` with `-- migrate:up`
    Dbmate,
}

#[derive(Debug, Args)]
#[command(after_help = "Conditions of --fail-on
  blocked > TIME        an execution of the workload waited for longer because of the migration
  blocked-total > TIME  all of them together did
  failures [> N]        transactions failed, or arrivals were skipped, while it was applied
  rewrite               a table was written anew
  invalid-index         an index was left that queries may not use
  slower > N%           a statement of the workload takes longer than before, and a plan, a counter
                        or the other statements say that it is not the machine
  p99 +20%              a metric is worse than before, as with `ab --limit`
Without any: 'blocked > 1s, failures, invalid-index, slower > 20%'.

Exit codes: 0 no condition holds; 3 one does, or the migration failed; 4 the measurement cannot tell.")]
pub(in crate::cli) struct MigrationArguments {
    /// Folder of the migrations: plain SQL, sqlx, Flyway, refinery or dbmate
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) migrations: PathBuf,
    /// Whose habits the files follow [default: as their names and marks say]
    #[arg(long, value_enum, value_name = "TOOL")]
    pub(in crate::cli) tool: Option<MigrationTool>,
    /// The first version to apply; those before it are taken as applied
    #[arg(long, value_name = "VERSION")]
    pub(in crate::cli) from: Option<String>,
    /// The name of the database, as a sign that it may be changed; a throwaway server needs none
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) allow_target: Option<String>,
    /// Change the database itself, not a copy of it [default: a copy on a server of this machine, else the database itself]
    #[arg(long)]
    pub(in crate::cli) in_place: bool,
    /// Go on although the server has replicas or others are connected to the database
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// What makes it fail, separated by commas, may be repeated: 'blocked > 200ms, p99 +20%, rewrite'
    #[arg(long, value_name = "CONDITION,…", value_delimiter = ',')]
    pub(in crate::cli) fail_on: Vec<String>,
    /// How much worse a metric may be behind the migration, may be repeated: 'p99 +10%'
    #[arg(long = "limit", value_name = "METRIC CHANGE")]
    pub(in crate::cli) limits: Vec<String>,
    /// A statement gives up its lock after this; those with CONCURRENTLY are exempt [default: it waits]
    #[arg(long, value_name = "TIME", value_parser = whole_milliseconds)]
    pub(in crate::cli) lock_timeout: Option<Duration>,
    /// Tries beyond the first, where a lock was not to be had (55P03) or a deadlock ended it (40P01)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(in crate::cli) retries: u32,
    /// Pause before another try
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(in crate::cli) backoff: Duration,
    /// An accident to set up, may be repeated: `long-reader=30s`, `idle-in-transaction=10s`, `autovacuum`
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = disturb)]
    pub(in crate::cli) disturb: Vec<Disturb>,
    #[command(flatten)]
    pub(in crate::cli) load: LoadOfRun,
    /// Connections of each instance
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) pool_size: u32,
    /// How long it is measured before
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = positive_duration)]
    pub(in crate::cli) before: Duration,
    /// How long it is measured behind
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = positive_duration)]
    pub(in crate::cli) after: Duration,
    /// Time between the end of the migration and the measurement behind it
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    pub(in crate::cli) settle: Duration,
    /// End the migration after this
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = positive_duration)]
    pub(in crate::cli) at_most: Duration,
    #[command(flatten)]
    pub(in crate::cli) measure: MeasureArguments,
}

fn disturb(text: &str) -> Result<Disturb, String> {
    let known = || "there are `long-reader=30s`, `idle-in-transaction=10s` and `autovacuum`".to_owned();
    let (what, time) = text.split_once('=').map_or((text, None), |(what, time)| (what, Some(time)));
    let lasts = |make: fn(Duration) -> Disturb| {
        let time = time.ok_or_else(|| format!("say for how long: `{what}=10s`"))?;
        positive_duration(time).map(make)
    };
    match what.trim() {
        "long-reader" => lasts(Disturb::LongReader),
        "idle-in-transaction" => lasts(Disturb::IdleInTransaction),
        "autovacuum" if time.is_none() => Ok(Disturb::Autovacuum),
        _ => Err(known()),
    }
}
