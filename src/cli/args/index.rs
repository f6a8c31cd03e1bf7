//! The arguments of `dbdyno index`.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::{LoadOfRun, MeasureArguments, positive, positive_duration};
use crate::study::CacheRegime;
use crate::units::parse_duration;

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags as the user gives them, not states of ours"
)]
#[command(group = ArgGroup::new("question").required(true).args(["add", "drop", "drop_unused", "suggest"]))]
#[command(
    after_help = "Exit codes: as everywhere; 4 also where the verdict on an index is inconclusive and no limit was set."
)]
pub(in crate::cli) struct IndexArguments {
    /// An index to put to the test, may be repeated: `CREATE INDEX ON orders (customer_id)`; on MariaDB `ALTER TABLE … ADD INDEX` as well
    #[arg(long, value_name = "CREATE INDEX …")]
    pub(in crate::cli) add: Vec<String>,
    /// An index that is there, and may go, may be repeated; it is put back afterwards. On MariaDB `TABLE.NAME`, or the name alone where one table has it
    #[arg(long, value_name = "NAME", conflicts_with = "add")]
    pub(in crate::cli) drop: Vec<String>,
    /// All indexes of the workload's tables that no plan of its statements uses and no constraint needs
    #[arg(long, conflicts_with_all = ["add", "drop"])]
    pub(in crate::cli) drop_unused: bool,
    /// On a throwaway PostgreSQL: indexes that the planner would use, by predicates, sort orders and foreign keys; each is measured
    #[arg(long, conflicts_with_all = ["add", "drop", "drop_unused"])]
    pub(in crate::cli) suggest: bool,
    /// Rounds of slices, one of each arm; below 8 there can be no verdict at 1 %
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(8..=64))]
    pub(in crate::cli) pairs: u32,
    /// How much worse the mix may become, may be repeated: `p99 +10%`, `checkout.insert_order.execute.mean +20%`
    #[arg(long = "limit", value_name = "METRIC CHANGE")]
    pub(in crate::cli) limits: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) load: LoadOfRun,
    /// With --rate: a further pass with clients that never rest, for the throughput
    #[arg(long)]
    pub(in crate::cli) capacity: bool,
    /// Connections of each instance
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) pool_size: u32,
    /// How long a slice is measured
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = positive_duration)]
    pub(in crate::cli) slice: Duration,
    /// Pause before each slice, in which the server gets over the one before
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_duration)]
    pub(in crate::cli) settle: Duration,
    /// Transactions that write to the table in each slice in which counters are read; 0 leaves these slices out
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(in crate::cli) operations: u32,
    /// PostgreSQL: each arm in a database of its own, copied from the loaded one, so that what one leaves behind does not reach the other
    #[arg(long)]
    pub(in crate::cli) clone: bool,
    /// On a throwaway server, how much of the data is in its buffers: `warm` for all, `cold` for a restart before each slice, or data ÷ buffers, such as 4
    #[arg(long, value_name = "cold|warm|RATIO", value_parser = cache)]
    pub(in crate::cli) cache: Option<CacheRegime>,
    /// On a PostgreSQL that dbdyno did not start: hide the index from the planner for some slices, by `pg_index`, as a superuser may
    #[arg(long)]
    pub(in crate::cli) allow_catalog_change: bool,
    #[command(flatten)]
    pub(in crate::cli) measure: MeasureArguments,
}

fn cache(text: &str) -> Result<CacheRegime, String> {
    match text {
        "warm" => return Ok(CacheRegime::Warm),
        "cold" => return Ok(CacheRegime::Cold),
        _ => {}
    }
    positive(text, 1_000.0).map(CacheRegime::Ratio).map_err(|error| format!("{error}, or `warm`, or `cold`"))
}
