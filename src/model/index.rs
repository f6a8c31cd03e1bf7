//! What an index experiment adds to a report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChangeVerdict, MetricDifference, PlanDifference};

/// Indexes that were put to the test. In all of it, A is without the index and B with it, whichever of the two is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexExperiment {
    /// `add`, `drop`, `drop_unused`, `suggest`
    pub question: String,
    /// The answer, in a few sentences.
    pub answer: String,
    /// One less the error rate that all verdicts on one index have together, 0 to 1.
    pub confidence: f64,
    /// Each index.
    pub indexes: Vec<IndexResult>,
    /// All of them together, where there are several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub together: Option<IndexEffectInfo>,
    /// Throughput with clients that never rest, all indexes together, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub capacity: Option<MetricDifference>,
    /// Names of the arms.
    pub arms: Vec<String>,
    /// Transactions of each slice in which counters were read.
    pub operations: u64,
    /// Tables on which autovacuum was held off while counters were read.
    #[serde(default)]
    pub held: Vec<String>,
    /// Why what an index costs was not told apart from what it gives, where it was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_hidden: Option<String>,
    /// What was not counted of the cost of each write, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_counted: Option<String>,
    /// Whether each arm had a database of its own; else all indexes were built anew before each slice, whichever arm it was.
    #[serde(default)]
    pub clones: bool,
    /// The cache regime that was asked for: `cold`, `warm`, or the data ÷ the server's buffers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache: Option<String>,
}

/// What to do about an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexVerdict {
    /// It is worth what it costs.
    Add,
    /// It is not.
    DoNotAdd,
    /// It is there, and worth what it costs, or needed.
    Keep,
    /// It is there, and not worth it.
    Drop,
    /// The measurement cannot tell.
    Inconclusive,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexResult {
    /// What a person calls it: `orders (customer_id)`.
    pub label: String,
    /// Its name on the server during the experiment, by which plans name it.
    pub name: String,
    /// The statement that built it.
    pub definition: String,
    /// Its table.
    pub table: String,
    /// Rows of the table, as the planner takes it.
    pub table_rows: f64,
    /// Size of the table without indexes.
    pub table_bytes: u64,
    /// Share of a page of the table that inserts fill, in per cent: what is left lets updates stay on their page. Absent where tables
    /// have no such setting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fillfactor: Option<u32>,
    /// What to do.
    pub verdict: IndexVerdict,
    /// Why, the most important reason first.
    pub reasons: Vec<String>,
    /// What to run in production; nothing where nothing is to be done.
    pub production: Vec<String>,
    /// What to mind when it is run.
    pub caveats: Vec<String>,
    /// Its size when it was built.
    pub size_bytes: u64,
    /// How that is known, where the server does not simply say it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size_by: Option<String>,
    /// How long that took.
    pub build_us: u64,
    /// What building it, or dropping it, keeps others from.
    pub blocks: String,
    /// Statements whose plans name it.
    pub used_by: Vec<String>,
    /// Scans in the measured slices with it. The planner's own looks at its first and last entry are among them, and so are checks of
    /// foreign keys. Absent where the server does not count them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scans: Option<u64>,
    /// Entries that these read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entries_read: Option<u64>,
    /// Scans that the server had counted before the experiment, where it was there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scans_before: Option<u64>,
    /// An index that is made alike.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duplicate_of: Option<String>,
    /// A longer index that answers all of its searches.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub covered_by: Option<String>,
    /// Indexes that it would make superfluous.
    #[serde(default)]
    pub covers: Vec<String>,
    /// Foreign keys that look rows up by its leading columns.
    #[serde(default)]
    pub foreign_keys: Vec<IndexForeignKeyInfo>,
    /// Why the server does not let it go, where it does not: in the arm without it, it was kept up and hidden from the planner.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub required: Option<String>,
    /// Why it was looked at, where dbdyno suggested it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// What it does; absent where it was measured only together with others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<IndexEffectInfo>,
}

/// A foreign key that an index serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexForeignKeyInfo {
    /// Name of the constraint.
    pub name: String,
    /// The table that it refers to.
    pub parent: String,
    /// `cascade`, `set null`, `set default`, `no action`, `restrict`
    pub on_delete: String,
    /// Another index that serves it as well.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other_index: Option<String>,
}

/// What an index, or several together, do to the mix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexEffectInfo {
    /// Pairs of slices that were measured whole.
    pub pairs: u32,
    /// Time in statements for each transaction of the mix: what is won less what is paid. Absent where nothing was executed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub net: Option<NetEffect>,
    /// Statements, those that changed most first.
    pub statements: Vec<StatementEffect>,
    /// What statements win, in microseconds for each transaction of the mix: interval at 95 %.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gain_us: Option<(f64, f64)>,
    /// What statements that write to its table pay, in microseconds for each transaction of the mix: interval at 95 %.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tax_us: Option<(f64, f64)>,
    /// The share of reads that use it, among these and the writes to its table, at which it pays.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub break_even: Option<BreakEven>,
    /// Rows of its table that were read for each transaction of the mix, without and with it: by scans and by indexes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_read: Option<(f64, f64)>,
    /// What the server counted for each write.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counters: Option<WriteCounters>,
}

/// Time in statements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetEffect {
    /// For each transaction without it, in microseconds.
    pub without_us: f64,
    /// The same with it.
    pub with_us: f64,
    /// With ÷ without.
    pub ratio: f64,
    /// Interval of the ratio at 95 %.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<(f64, f64)>,
    /// The smallest change that would have been seen, as a ratio above 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub visible: Option<f64>,
    /// What is to be said of it.
    pub verdict: ChangeVerdict,
}

/// What an index does to a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatementRole {
    /// It touches the table and is faster with the index.
    Won,
    /// It touches the table and is slower with the index.
    Taxed,
    /// It touches other tables only, and changed all the same: by what is cached, by WAL.
    Bystander,
    /// It was not seen to change.
    Unchanged,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatementEffect {
    /// `login.orders_of_customer`
    pub statement: String,
    /// `select`, `update`, …
    pub kind: String,
    /// What happens to it.
    pub role: StatementRole,
    /// Whether it reads or writes the table.
    pub touches: bool,
    /// Executions for each transaction of the mix.
    pub per_transaction: f64,
    /// Its mean time; its median where that tells and the mean does not.
    pub difference: MetricDifference,
    /// What keeping the index up does to it, by slices in which it was not used: ratio and interval at 95 %.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upkeep: Option<Ratio>,
    /// What using it does, with it kept up in either case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<Ratio>,
    /// Rows of each execution, without and with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows: Option<(f64, f64)>,
    /// Blocks that each execution touched, without and with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blocks: Option<(f64, f64)>,
    /// Rows that each execution examined, without and with, where the server counts those in place of blocks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_examined: Option<(f64, f64)>,
    /// Plans without and with, for each class of values in which they differ.
    #[serde(default)]
    pub plans: Vec<PlanDifference>,
}

/// A ratio with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratio {
    /// The geometric mean over the pairs.
    pub ratio: f64,
    /// At 95 %.
    pub interval: Option<(f64, f64)>,
}

/// When an index pays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakEven {
    /// The share of reads from which on it pays, 0 to 1, by what writes were seen to pay.
    pub read_share: f64,
    /// The same by the most that they may pay (interval at 95 %).
    pub read_share_max: f64,
    /// The share in this mix.
    pub read_share_of_mix: f64,
    /// What a read that uses it wins, in microseconds.
    pub won_us: f64,
    /// What a write pays, in microseconds.
    pub paid_us: f64,
}

/// Counters over the same fixed number of transactions without the index and with it, on one connection; on PostgreSQL behind a vacuum
/// and a checkpoint, with autovacuum held off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WriteCounters {
    /// Times that each was counted.
    pub repeats: u32,
    /// Share of the updates of the table that were heap-only, 0 to 1, without and with; absent without updates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hot_fraction: Option<(f64, f64)>,
    /// Bytes that the index grew by.
    pub growth_bytes: i64,
    /// Each statement that writes to the table; none where the server counts for no statement what it writes.
    pub statements: Vec<WriteCounter>,
    /// What the whole server wrote, where it counts that for no statement (MariaDB, MySQL).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub whole: Option<WholeWrites>,
    /// By how much the counts of WAL records and the heap-only share differ at most between the repetitions, as a fraction; where the
    /// whole server was counted, those of its redo log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spread: Option<f64>,
}

/// What the whole server wrote for each transaction that writes to the table, without and with the index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WholeWrites {
    /// Transactions, of both.
    pub transactions: u64,
    /// Bytes of redo log.
    pub log_bytes: (f64, f64),
    /// Changes of pages in the buffers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_changes: Option<(f64, f64)>,
}

/// What the server counted for each execution of one statement, without and with the index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WriteCounter {
    /// `checkout.insert_order`
    pub statement: String,
    /// Executions, of both.
    pub calls: u64,
    /// WAL records.
    pub wal_records: (f64, f64),
    /// Of them, full-page images.
    pub wal_full_page_images: (f64, f64),
    /// WAL bytes.
    pub wal_bytes: (f64, f64),
    /// Blocks dirtied.
    pub blocks_dirtied: (f64, f64),
}
