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
    /// `V1__name.sql`, then `R__name.sql`; a `.sql.conf` beside it
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
  breaks                a statement of --also-prepare cannot be prepared any more
  way-back              what --down rehearses does not come to its end
  slower > N%           a statement of the workload takes longer than before, and a plan, a counter
                        or the other statements say that it is not the machine
  p99 +20%              a metric is worse than before, as with `ab --limit`
Without any: 'blocked > 1s, failures, invalid-index, slower > 20%', 'breaks' with --also-prepare, and 'way-back' with --down.

Exit codes: 0 no condition holds; 3 one does, or the migration failed; 4 the measurement cannot tell.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that the user gives or not")]
pub(in crate::cli) struct MigrationArguments {
    /// Folder of the migrations: plain SQL, sqlx, Flyway, refinery or dbmate
    #[arg(
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        required_unless_present = "migrate_command",
        conflicts_with = "migrate_command"
    )]
    pub(in crate::cli) migrations: Option<PathBuf>,
    /// Run the team's own tool instead: a command of the shell that finds the target in `DATABASE_URL` and `PGHOST`, `PGPORT`, `PGUSER`,
    /// `PGDATABASE` and `PGPASSWORD` (MariaDB: `MYSQL_HOST`, `MYSQL_TCP_PORT` and `MYSQL_PWD`); its sessions are watched from outside
    #[arg(
        long,
        value_name = "CMD",
        conflicts_with_all = ["tool", "from", "lock_timeout", "retries", "sweep_lock_timeout", "try_safe", "down", "scales"]
    )]
    pub(in crate::cli) migrate_command: Option<String>,
    /// Whose habits the files follow [default: as their names and marks say]
    #[arg(long, value_enum, value_name = "TOOL")]
    pub(in crate::cli) tool: Option<MigrationTool>,
    /// The first version to apply; those before it are taken as applied
    #[arg(long, value_name = "VERSION")]
    pub(in crate::cli) from: Option<String>,
    /// The name of the database, as a sign that it may be changed; a throwaway server needs none
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) allow_target: Option<String>,
    /// Change the database itself, not a copy of it [default: a copy on a throwaway server and on a PostgreSQL of this machine, else the database itself]
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
    /// A statement gives up its lock after this, on MariaDB in whole seconds; those with CONCURRENTLY are exempt [default: it waits]
    #[arg(long, value_name = "TIME", value_parser = whole_milliseconds)]
    pub(in crate::cli) lock_timeout: Option<Duration>,
    /// Tries beyond the first, where a lock was not to be had (55P03; MariaDB's 1205) or a deadlock ended it (40P01; 1213)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(in crate::cli) retries: u32,
    /// Pause before another try
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(in crate::cli) backoff: Duration,
    /// Rehearse it again with each of these limits, on fresh copies: which lands it at which cost? `50ms,200ms,1s`; on MariaDB `1s,2s,5s`
    #[arg(long, value_name = "TIME,…", value_delimiter = ',', value_parser = whole_milliseconds, conflicts_with = "in_place")]
    pub(in crate::cli) sweep_lock_timeout: Vec<Duration>,
    /// Rehearse the safe form of each statement that did harm, on a fresh copy
    #[arg(long, conflicts_with = "in_place")]
    pub(in crate::cli) try_safe: bool,
    /// Rehearse the way back as well: `.down.sql`, `U1__….sql`, `-- migrate:down`
    #[arg(long)]
    pub(in crate::cli) down: bool,
    /// Prepare the statements of another version of the application, a workload's folder, against the new schema
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) also_prepare: Option<PathBuf>,
    /// Apply it without traffic at these scales of the data as well, on a throwaway server: `0.1,0.5`
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', value_parser = super::scale)]
    pub(in crate::cli) scales: Vec<f64>,
    /// How many rows a table has in production, separated by commas, may be repeated: what takes how long there
    #[arg(long, value_name = "TABLE=N,…", value_delimiter = ',', value_parser = rows, requires = "scales")]
    pub(in crate::cli) production_rows: Vec<(String, u64)>,
    /// Pairs of slices in which before and behind are measured by turns on two copies; 0: in sequence only
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(0..=64))]
    pub(in crate::cli) pairs: u32,
    /// How long such a slice is measured
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = positive_duration)]
    pub(in crate::cli) slice: Duration,
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

fn rows(text: &str) -> Result<(String, u64), String> {
    let form = || format!("`{text}` is not TABLE=ROWS, such as orders=400000000");
    let (table, count) = text.split_once('=').ok_or_else(form)?;
    let count = count.trim().replace('_', "").parse().ok().filter(|count| *count > 0).ok_or_else(form)?;
    Ok((table.trim().to_owned(), count))
}
