//! One statement, as the clients and the server account for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GenericPlanInfo, Ledger, PlanInfo, Quantiles};

/// One statement of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatementInfo {
    /// Its name.
    pub name: String,
    /// Who executes it.
    pub transaction: String,
    /// `select`, `update`, …
    pub kind: String,
    /// The text that was sent.
    pub sql: String,
    /// Successful executions.
    pub count: u64,
    /// Of them, those in a pipeline: their time is a part of the transaction's `pipeline_us`.
    #[serde(default)]
    pub pipelined: u64,
    /// Failed executions.
    pub errors: u64,
    /// Rows returned or changed.
    pub rows: u64,
    /// Executions that gave or changed no row.
    pub empty: u64,
    /// Executions in which no index led to the rows of a table, by what the server says with each answer; absent where it says nothing of
    /// that (PostgreSQL).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub no_index: Option<u64>,
    /// Sent to done.
    pub execute_us: Quantiles,
    /// Sent to the first row.
    pub first_row_us: Quantiles,
    /// The server's own account.
    pub server: Option<StatementServerInfo>,
    /// What its sessions waited for, sampled.
    pub waits: Vec<WaitShare>,
    /// Where the time of an execution went; absent where nobody looked at the server, and in pipelines.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ledger: Option<Ledger>,
    /// How the server executes it, by its own word, the plan that was seen first first.
    #[serde(default)]
    pub plans: Vec<PlanInfo>,
    /// Whether sessions come to execute it without looking at its values, where both kinds of plan were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generic_plan: Option<GenericPlanInfo>,
    /// Why it has no plan, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_plan: Option<String>,
}

/// The server's own account of one statement, over the stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatementServerInfo {
    /// Executions.
    pub calls: u64,
    /// Mean execution time: waits included, an autocommit's commit excluded.
    pub exec_us_mean: f64,
    /// Mean planning time, where tracked.
    pub plan_us_mean: f64,
    /// Rows.
    pub rows: u64,
    /// Blocks found in shared buffers.
    pub shared_blks_hit: u64,
    /// Blocks read from outside.
    pub shared_blks_read: u64,
    /// Blocks dirtied.
    pub shared_blks_dirtied: u64,
    /// Temporary blocks written.
    pub temp_blks_written: u64,
    /// WAL records.
    pub wal_records: u64,
    /// WAL full-page images.
    pub wal_fpi: u64,
    /// WAL bytes.
    pub wal_bytes: u64,
    /// Blocks of temporary tables read.
    #[serde(default)]
    pub local_blks_read: u64,
    /// Temporary blocks read.
    #[serde(default)]
    pub temp_blks_read: u64,
    /// Mean time spent reading blocks of tables and indexes; zero when `track_io_timing` is off.
    #[serde(default)]
    pub block_read_us_mean: f64,
    /// Mean time spent writing such blocks; zero when `track_io_timing` is off.
    #[serde(default)]
    pub block_write_us_mean: f64,
    /// Mean time spent compiling expressions; absent where the server does not count it (before PostgreSQL 15).
    #[serde(default)]
    pub jit_us_mean: Option<f64>,
    /// What a server counts that counts no blocks and no WAL of a statement (MariaDB, MySQL): zeros stand there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub row_work: Option<RowWorkInfo>,
    /// Other statements of the workload that share the server's row.
    pub shared_by: Vec<String>,
}

/// What MariaDB and MySQL count of the executions of a statement, over the stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowWorkInfo {
    /// Rows that were read to find those that were wanted.
    pub rows_examined: u64,
    /// Mean time spent waiting for locks of tables and rows.
    pub lock_us_mean: f64,
    /// Temporary tables that were made.
    pub tmp_tables: u64,
    /// Of them, those on disk.
    pub tmp_disk_tables: u64,
    /// Rows that were sorted.
    pub sort_rows: u64,
    /// Executions that read the first table of a join, or the only one, from its beginning to its end.
    pub full_scans: u64,
    /// Executions that read a table of a join so that is not the first one.
    pub full_joins: u64,
    /// Executions in which no index led to the rows of a table.
    pub no_index_used: u64,
}

/// One thing that was waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitShare {
    /// `Lock:transactionid`, `IO:DataFileRead`, `Client:ClientRead`, or `CPU` for running or ready to run.
    pub event: String,
    /// Times it was seen.
    pub count: u64,
    /// Share of the sampled sessions, 0 to 1.
    pub share: f64,
    /// Mean number of sessions in it at a time.
    pub sessions_mean: f64,
}
