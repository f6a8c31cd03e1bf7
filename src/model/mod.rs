//! The report as versioned data. Pure: made by `analysis`, shown by `report`, kept by `store`, judged by budgets.
//!
//! Times are whole microseconds and names end in their unit and then their qualifier (`wait_us_max`). A quantile that the
//! samples do not carry is absent; one that falls among work that never ended is a lower bound.

pub mod budget;
mod calibration;
mod capacity;
pub mod catalogue;
mod change;
mod comparison;
mod condition;
mod contention;
mod endurance;
mod figure;
mod history;
mod host_time;
mod index;
mod ledger;
mod limit;
mod measures;
pub mod metric;
mod migration;
mod plan;
mod pooler;
mod rehearsal;
mod relative;
mod scalability;
mod server_time;
mod storm;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Load, Protocol, Seed};

pub use calibration::{CALIBRATION_VERSION, Calibration, ClosedPoint, FloorInfo, OpenPoint};
pub use capacity::{Capacity, CapacityLimit, CapacityStep, StepOutcome};
pub use change::{ChangeError, ChangeLimit, ComparedMetric};
pub use comparison::{
    ChangeVerdict, CompareReport, Comparison, CounterChange, CounterDifference, MetricDifference, RunGroup,
    SliceInfo, SliceStep, Unlike,
};
pub use condition::{Condition, ConditionError};
pub use contention::{ChainLinkInfo, DeadlockInfo, LockMatrix, LockMatrixRow, WantedLockInfo};
pub use endurance::{BreakReason, BreakingPoint, Endurance, Recovery, StageLoad, WarmUpInfo};
pub use history::{RunLine, Trend, TrendChange, TrendPoint};
pub use host_time::{HostIntervalInfo, ProcessIntervalInfo};
pub use index::{
    BreakEven, IndexEffectInfo, IndexExperiment, IndexForeignKeyInfo, IndexResult, IndexVerdict, NetEffect,
    Ratio, StatementEffect, StatementRole, WholeWrites, WriteCounter, WriteCounters,
};
pub use ledger::{Ledger, LedgerPart, Phase, Sampled, ServerActive, ServerProcessInfo};
pub use measures::{GaugeInfo, LevelAt, Levels, MeasureInfo, OrderInfo};
pub use migration::{
    BlastRadius, ConditionResult, DdlAlgorithm, DdlBlocker, DdlInfo, DdlLock, DdlOutcome, DdlTryInfo,
    DisturbanceInfo, LeftBehind, LockStops, Migration, MigrationInfo, MigrationOutcome, MigrationState,
    TimelinePoint, VictimInfo,
};
pub use plan::{GenericPlanInfo, PlanChangeInfo, PlanDifference, PlanInfo, PlanName};
pub use pooler::{PoolerAccount, PoolerInfo, PoolerStage, PoolerWork};
pub use rehearsal::{
    AlsoPrepared, BrokenStatement, Growth, GrowthInfo, GrowthPoint, Predicted, Rehearsal, RehearsedStatement,
    RelationChange,
};
pub use relative::{RelativeBudget, RelativeError};
pub use scalability::{
    Estimate, GoalAt, KneeReason, PoolEffect, PoolEstimates, PoolGoal, PoolPass, QueuePrediction,
    RecommendedPool, ScalingLaw, WaitClass,
};
pub use server_time::{BufferInfo, IoInfo, ServerEventInfo, ServerIntervalInfo, WaitIntervalInfo, WalIoInfo};
pub use storm::StormInfo;

/// Version of the report's form. Additions keep it; a changed meaning raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// `run`, `pool`, `capacity`, `ab`, `index` or `migration`.
    pub kind: String,
    /// Name of the run in the history.
    pub id: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Version of the program that measured.
    pub dbdyno_version: String,
    /// Where every draw came from.
    #[schemars(with = "u64")]
    pub seed: Seed,
    /// The command that repeats the run, passwords removed.
    pub command: String,
    /// How the run ended: `completed`, `interrupted`, `target_lost`, `failed`, or `cut_off` when its journal has no end.
    pub ended: String,
    /// The workload.
    pub workload: WorkloadInfo,
    /// The database under test.
    pub target: TargetInfo,
    /// The state of the data, where dbdyno loaded it or reset it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<DataInfo>,
    /// How the measured sessions talked to the server.
    #[serde(default)]
    pub sessions: SessionInfo,
    /// The pooler that they went through.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pooler: Option<PoolerInfo>,
    /// The machine of the generator.
    pub environment: EnvironmentInfo,
    /// Against the budgets.
    pub verdict: Verdict,
    /// Each limit with what was measured.
    pub budgets: Vec<BudgetResult>,
    /// What a person should know, the gravest first.
    pub findings: Vec<Finding>,
    /// Whether the generator could do what was asked of it.
    pub generator: GeneratorInfo,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// The load that the system bears, where several stages of a run tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub endurance: Option<Endurance>,
    /// What a pool study adds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub study: Option<PoolStudy>,
    /// What a comparison adds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comparison: Option<Comparison>,
    /// What an index experiment adds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<IndexExperiment>,
    /// What a migration check adds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub migration: Option<Migration>,
    /// What a capacity study adds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub capacity: Option<Capacity>,
    /// Price of the probes.
    pub probes: Vec<ProbeInfo>,
    /// What happened on the way.
    pub events: Vec<EventInfo>,
}

/// The workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadInfo {
    /// Its name.
    pub name: String,
    /// Scale of the dataset, where known.
    pub scale: Option<f64>,
    /// Digest of all that decides what a run does.
    pub fingerprint: String,
    /// Version of the generated values.
    pub generator_version: u32,
}

/// The database under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetInfo {
    /// `postgresql`
    pub engine: String,
    /// `15.18`
    pub version: String,
    /// Host, port, database, user.
    pub address: String,
    /// Whether dbdyno started it.
    pub local: bool,
    /// Whether generator and server share a machine.
    pub same_host: bool,
    /// Settings that decide performance.
    pub settings: BTreeMap<String, String>,
    /// Digest of all settings that differ from the server's defaults.
    pub settings_fingerprint: String,
    /// Size of the database at the beginning, in bytes.
    pub database_bytes: Option<u64>,
    /// Shared buffers in bytes.
    pub shared_buffers_bytes: Option<u64>,
    /// `in shared buffers`, `in memory`, `on disk`: where the data fits, since a verdict in memory does not hold on disk.
    pub cache_regime: Option<String>,
    /// What the probes cannot see here, with what would change it.
    pub blind_spots: Vec<String>,
}

/// The state of the data. Runs change it, and unequal states are not comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataInfo {
    /// `template` when each stage of a run or each size of a study began with a fresh copy of the loaded database, else `none`.
    pub reset: String,
    /// When the load was over: RFC 3339, UTC. Absent where dbdyno did not load it.
    pub loaded_at: Option<String>,
    /// Rows changed between the load and the beginning of the run: tables without changes are left out. Absent where the
    /// server does not tell.
    pub changed_before: Option<Vec<TableChangesInfo>>,
    /// Rows changed between the load and the end of the run. Absent as well where the run worked on copies.
    pub changed_after: Option<Vec<TableChangesInfo>>,
    /// Whether the planner knew the statistics of the database that the workload was captured from, in place of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub source_statistics: bool,
}

/// Rows of one table that were changed since the load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableChangesInfo {
    /// Its name.
    pub table: String,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated, once for each time.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// How the measured sessions talked to the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// In which protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long a statement could take on the server, in milliseconds; absent where dbdyno set no limit.
    #[serde(default)]
    pub statement_timeout_ms: Option<u64>,
    /// What was added to each round trip, in microseconds.
    #[serde(default)]
    pub rtt_us: u64,
    /// Host, port, database and user of the pooler that they went through.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pooler: Option<String>,
    /// How long each connection lived, in seconds; absent where they lived for ever.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lifetime_s: Option<f64>,
    /// When, in each measured stage, all connections were closed at once, in seconds after its beginning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub storm_s: Option<f64>,
}

/// The machine of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentInfo {
    /// Operating system.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Processors that the generator kept to, where it was told to: `0,2-3`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_cpus: Option<String>,
    /// Processors that a throwaway server kept to, where it was told to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server_cpus: Option<String>,
}

/// What a measurement says of a limit, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every limit is kept.
    Pass,
    /// A limit is broken.
    Fail,
    /// The measurement cannot tell.
    Inconclusive,
    /// No limit was set.
    None,
}

/// One limit and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetResult {
    /// `checkout.response.p99`
    pub metric: String,
    /// `< 50ms`
    pub limit: String,
    /// The stage that was worst.
    pub stage: String,
    /// What was measured, in the unit of the metric, as text; a dash where the samples do not carry it.
    pub measured: String,
    /// Kept or not.
    pub verdict: Verdict,
    /// Why it is inconclusive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The numbers of this run do not mean what they seem to mean.
    Invalid,
    /// Users would notice.
    Warning,
    /// Good to know.
    Info,
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable name: `pool-too-small`.
    pub id: String,
    /// How grave.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What was measured, in numbers.
    pub evidence: String,
    /// What it does to users, or to the numbers of this report.
    pub effect: String,
    /// What to do, and what to expect of it.
    pub remedy: String,
}

/// The generator's audit of itself, over all measured stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorInfo {
    /// Whether the generator, not the database, was the limit: then nothing else in the report is to be trusted.
    pub valid: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Worker threads.
    pub workers: u32,
    /// CPU of the workers ÷ (time × workers).
    pub cpu_fraction: Option<f64>,
    /// The busiest worker's CPU ÷ time.
    pub busiest_worker_fraction: Option<f64>,
    /// Time that workers were ready and had no core, per second and worker.
    pub run_queue_fraction: Option<f64>,
    /// Share of the host's time that a hypervisor gave to others.
    pub steal_fraction: Option<f64>,
    /// CPU of the workers per transaction.
    pub cpu_us_per_transaction: Option<f64>,
    /// What it needs on this machine at least, where that was calibrated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floor: Option<FloorInfo>,
    /// How late the timer woke.
    pub wake_lateness_us: Quantiles,
    /// Most memory resident, in bytes.
    pub resident_bytes_max: Option<u64>,
}

/// A distribution in whole microseconds, or in what the name of the field ends in. `None` where fewer than ten samples lie beyond the quantile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Samples.
    pub count: u64,
    /// Mean, exact; absent when there is no sample.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90 %.
    pub p90: Option<u64>,
    /// 95 %.
    pub p95: Option<u64>,
    /// 99 %.
    pub p99: Option<u64>,
    /// 99.9 %.
    pub p99_9: Option<u64>,
    /// 99.99 %.
    pub p99_99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
    /// Work that never ended or failed counts at the slow end: quantiles from this one up are lower bounds ("> X").
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub censored_from: Option<f64>,
}

/// One stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Whether it is measured, or warms up.
    pub measured: bool,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Length of its window in seconds, without the drain.
    pub duration_s: f64,
    /// Length of the drain in seconds.
    pub drain_s: f64,
    /// What was put on, as planned; absent in reports from before it could be more than a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Offered load: transactions per second over the window, absent in a closed loop. The mean of the rate; where arrivals are
    /// drawn or belong to sessions, what was planned in fact.
    pub offered_per_s: Option<f64>,
    /// Closed-loop users, the most at once; absent in an open loop.
    pub clients: Option<u32>,
    /// Transactions that ended ok inside the window, per second.
    pub achieved_per_s: f64,
    /// The books.
    pub accounting: Accounting,
    /// All transactions together: response time.
    pub response_us: Quantiles,
    /// All transactions together: with a connection in hand.
    pub service_us: Quantiles,
    /// All transactions together: late to start.
    pub lag_us: Quantiles,
    /// By transaction.
    pub transactions: Vec<TransactionInfo>,
    /// By statement.
    pub statements: Vec<StatementInfo>,
    /// Plans that became others, in the order of time.
    #[serde(default)]
    pub plan_changes: Vec<PlanChangeInfo>,
    /// What the workload measures of returned values.
    #[serde(default)]
    pub measures: Vec<MeasureInfo>,
    /// What the workload reads beside the run.
    #[serde(default)]
    pub gauges: Vec<GaugeInfo>,
    /// The pool.
    pub pool: PoolInfo,
    /// All connections closed at once, where that was wished.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub storm: Option<StormInfo>,
    /// The pooler that the sessions went through, where its console was looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pooler: Option<PoolerStage>,
    /// Waits for locks.
    pub locks: LockInfo,
    /// Deadlocks of which a transaction of the workload was the victim, alike ones together, the most frequent first.
    #[serde(default)]
    pub deadlocks: Vec<DeadlockInfo>,
    /// Deadlocks beyond the bound of what is kept.
    #[serde(default)]
    pub deadlocks_dropped: u64,
    /// What sessions of the pool waited for, sampled: share of the sampled active sessions, the largest first.
    pub waits: Vec<WaitShare>,
    /// The server's counters over the stage.
    pub server: Option<ServerInfo>,
    /// Tables that the stage touched.
    pub tables: Vec<TableInfo>,
    /// Indexes of these tables.
    pub indexes: Vec<IndexInfo>,
    /// The generator's host.
    pub host: Option<HostInfo>,
    /// Where the clients' time went, all transactions together; absent where nobody looked at the server.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ledger: Option<Ledger>,
    /// CPU of the server, where it runs on the generator's host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub processes: Option<ServerProcessInfo>,
    /// How it ended, where it was to warm up until the system is steady.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub warm_up: Option<WarmUpInfo>,
    /// How the system came back, where a peak went before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery: Option<Recovery>,
    /// By second.
    pub intervals: Vec<IntervalInfo>,
    /// The server by second, where it was looked at.
    #[serde(default)]
    pub server_intervals: Vec<ServerIntervalInfo>,
    /// What the sessions of the pool were in over time.
    #[serde(default)]
    pub wait_intervals: Vec<WaitIntervalInfo>,
    /// The host by second.
    #[serde(default)]
    pub host_intervals: Vec<HostIntervalInfo>,
    /// The server's processes by second, where they run on the host of the generator.
    #[serde(default)]
    pub process_intervals: Vec<ProcessIntervalInfo>,
    /// What went on in the server, the earliest first.
    #[serde(default)]
    pub server_events: Vec<ServerEventInfo>,
    /// Such events beyond the bound of what is kept.
    #[serde(default)]
    pub server_events_dropped: u64,
    /// The self-tests of the measurement.
    pub checks: Vec<Check>,
}

/// `carried_in + issued = ok + failed + unknown + skipped + abandoned + carried_out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounting {
    /// In flight when the stage began.
    pub carried_in: u64,
    /// Begun, or planned to begin, in the stage.
    pub issued: u64,
    /// Confirmed by the server.
    pub ok: u64,
    /// Did not take effect.
    pub failed: u64,
    /// The answer to the commit was lost.
    pub unknown: u64,
    /// Too late to start.
    pub skipped: u64,
    /// Still running when the drain ended.
    pub abandoned: u64,
    /// In flight when the stage ended, counted in the next.
    pub carried_out: u64,
    /// Further tries; not part of the sum.
    pub retried: u64,
    /// Whether the two sides are equal.
    pub balanced: bool,
}

/// One kind of transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionInfo {
    /// Its name.
    pub name: String,
    /// Ended, whatever the outcome.
    pub count: u64,
    /// Ended ok.
    pub ok: u64,
    /// Ended ok inside the window, per second.
    pub per_s: f64,
    /// Planned start to the answer of the commit; unsuccessful ones count at the slow end.
    pub response_us: Quantiles,
    /// The same as a curve of at most 34 points: quantiles from 0 to 0.9999, each with its time in microseconds. It ends where the
    /// samples no longer carry a quantile, and where work that never ended or failed begins.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub response_curve: Vec<(f64, u64)>,
    /// With a connection in hand.
    pub service_us: Quantiles,
    /// Waiting for a connection.
    pub pool_wait_us: Quantiles,
    /// Late to start.
    pub lag_us: Quantiles,
    /// Connection held.
    pub hold_us: Quantiles,
    /// COMMIT sent to its answer.
    pub commit_us: Quantiles,
    /// All statements sent in one pipeline to the last answer, where the transaction is one and ended ok.
    #[serde(default)]
    pub pipeline_us: Quantiles,
    /// Failed tries by SQLSTATE; one that was begun again and ended well stands here as well.
    pub errors: BTreeMap<String, u64>,
    /// Where its time went; absent where nobody looked at the server.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ledger: Option<Ledger>,
}

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

/// The pool over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolInfo {
    /// Connections of each instance.
    pub size: u32,
    /// Instances.
    pub instances: u32,
    /// Mean number of busy connections, over all instances.
    pub busy_mean: f64,
    /// Most busy at once in one instance.
    pub busy_max: u32,
    /// Mean number of requests waiting, over all instances.
    pub waiting_mean: f64,
    /// Most waiting at once in one instance.
    pub waiting_max: u32,
    /// Share of the time with every connection busy and someone waiting.
    pub saturated_fraction: f64,
    /// Every acquire.
    pub wait_us: Quantiles,
    /// Acquires that ran into their timeout.
    pub timeouts: u64,
    /// Connections made during the stage.
    pub creates: u64,
    /// How long that took.
    pub create_us: Quantiles,
    /// Attempts to connect that failed.
    pub create_errors: u64,
    /// Connections found broken.
    pub discarded: u64,
    /// Connections closed at the end of their life.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retired: u64,
    /// Each instance for itself, where there are several and at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub by_instance: Vec<InstancePoolInfo>,
}

/// The pool of one instance over one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstancePoolInfo {
    /// Mean number of busy connections.
    pub busy_mean: f64,
    /// Mean number of requests waiting.
    pub waiting_mean: f64,
    /// Share of the time with every connection busy and someone waiting.
    pub saturated_fraction: f64,
}

/// Waits for locks over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockInfo {
    /// Mean time between two looks at the locks; waits shorter than this are seen by chance. It is longer than that between two
    /// looks at the sessions where many wait, since a look costs the more the more they are.
    pub sample_interval_ms: u32,
    /// Waiting for locks, summed over waiters, of all episodes that were seen.
    pub wait_us_total: u64,
    /// Episodes, alike ones together, the costliest first.
    pub episodes: Vec<LockEpisodeInfo>,
    /// Episodes beyond the bound of what is kept; they are in no sum.
    #[serde(default)]
    pub episodes_dropped: u64,
    /// Response times of all transactions of the stage as their clients saw them, summed; of those that were given up, how
    /// long they were waited for.
    #[serde(default)]
    pub client_us_total: u64,
    /// Waiting of the pool's sessions for locks as the looks at all sessions sampled it: an estimate without bias, in which
    /// waits shorter than the interval count as much as they should. Absent where nobody looked.
    #[serde(default)]
    pub wait_us_sampled: Option<u64>,
    /// Who waited because of whom; absent where no transaction of the workload was seen waiting.
    #[serde(default)]
    pub matrix: Option<LockMatrix>,
}

/// Episodes with the same waiter, blockers and lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockEpisodeInfo {
    /// `checkout.take_stock`, or `application (foreign)`.
    pub waiter: String,
    /// Those ahead of it, queued ones included.
    pub direct_blockers: Vec<String>,
    /// The end of the chain, to whom the wait is charged.
    pub root: String,
    /// What the root was doing.
    pub root_state: String,
    /// `ShareLock`
    pub mode: String,
    /// `transactionid`
    pub lock_type: String,
    /// The relation, where known.
    pub relation: Option<String>,
    /// Waits.
    pub count: u64,
    /// Their sum.
    pub wait_us_total: u64,
    /// The longest.
    pub wait_us_max: u64,
    /// Of the waits, those whose end is the client's own stamp; the others end at a look of the probe.
    pub ended_by_client: u64,
    /// Their sum ÷ the response times of all transactions (`client_us_total`), 0 to 1. Absent for a waiter outside the
    /// workload, whose waiting is no client's time.
    #[serde(default)]
    pub client_share: Option<f64>,
    /// From the waiter's next to the root, of the longest of these waits.
    #[serde(default)]
    pub chain: Vec<ChainLinkInfo>,
}

/// The server over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerInfo {
    /// Between the two readings of the counters.
    pub window_s: f64,
    /// Blocks found in the server's buffers ÷ all blocks asked for; absent when none were.
    pub cache_hit_fraction: Option<f64>,
    /// Transactions committed.
    pub commits: u64,
    /// Transactions rolled back.
    pub rollbacks: u64,
    /// Deadlocks.
    pub deadlocks: u64,
    /// Bytes spilled to temporary files; absent where the server does not count them (MariaDB, MySQL).
    #[serde(default)]
    pub temp_bytes: Option<u64>,
    /// WAL bytes of the whole server; on MariaDB and MySQL those of the redo log.
    pub wal_bytes: u64,
    /// WAL full-page images; absent where there are none (MariaDB, MySQL).
    #[serde(default)]
    pub wal_fpi: Option<u64>,
    /// Checkpoints, by time and by request; absent where they are made all along (MariaDB, MySQL).
    #[serde(default)]
    pub checkpoints: Option<u64>,
    /// Rows inserted, updated and deleted since the stage began.
    pub rows_changed: u64,
    /// Growth of the database in bytes.
    pub size_growth_bytes: i64,
    /// Buffers by who wrote them; absent where it was not read.
    #[serde(default)]
    pub buffers: Option<BufferInfo>,
    /// Flushes of the WAL; absent where it was not read.
    #[serde(default)]
    pub wal_io: Option<WalIoInfo>,
    /// What each kind of process read and wrote (PostgreSQL 16), the busiest first.
    #[serde(default)]
    pub io: Vec<IoInfo>,
}

/// One table over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableInfo {
    /// Its name.
    pub table: String,
    /// Sequential scans.
    pub seq_scans: u64,
    /// Rows that they read.
    pub seq_rows_read: u64,
    /// Index scans.
    pub idx_scans: u64,
    /// Rows that they fetched.
    #[serde(default)]
    pub idx_rows_fetched: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Share of the updates that needed no index entry; absent without updates.
    pub hot_fraction: Option<f64>,
    /// Rows deleted.
    pub deleted: u64,
    /// Dead rows at the end.
    pub dead_rows: u64,
    /// Live rows at the end.
    pub live_rows: u64,
    /// Rows changed since the last ANALYZE, at the end.
    #[serde(default)]
    pub changed_since_analyze: u64,
    /// Autovacuums that ended in the stage.
    #[serde(default)]
    pub autovacuums: u64,
    /// Autoanalyzes that ended in the stage.
    #[serde(default)]
    pub autoanalyzes: u64,
    /// End of the last autovacuum there ever was, RFC 3339, by the server's clock.
    #[serde(default)]
    pub last_autovacuum_at: Option<String>,
    /// Heap blocks found in shared buffers ÷ all.
    pub cache_hit_fraction: Option<f64>,
    /// Size at the end.
    pub size_bytes: u64,
    /// Of it, the table alone, without indexes and TOAST; absent where it was not read.
    #[serde(default)]
    pub heap_bytes: Option<u64>,
    /// Growth in bytes.
    #[serde(default)]
    pub size_growth_bytes: i64,
}

/// One index over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "they are what the server says of it, not states of ours")]
pub struct IndexInfo {
    /// Its name.
    pub index: String,
    /// Its table.
    pub table: String,
    /// Scans; absent where the server does not count them (MariaDB, MySQL).
    #[serde(default)]
    pub scans: Option<u64>,
    /// Entries that were read by it; absent where the server does not count them, and in reports from before they were told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entries_read: Option<u64>,
    /// Size at the end; 0 where it may not be read.
    pub size_bytes: u64,
    /// Whether a constraint needs it.
    pub constraint: bool,
    /// The command that makes it; absent where it was not read.
    #[serde(default)]
    pub definition: Option<String>,
    /// Whether it forbids duplicates.
    #[serde(default)]
    pub unique: bool,
    /// Whether the data model needs it, whatever queries do: a primary key, a unique index or another constraint, the replica
    /// identity.
    #[serde(default)]
    pub needed: bool,
    /// Entries that the stage's inserts and updates wrote into it, at most: an update that is not heap-only writes one into every
    /// index of its table, and a partial index takes only the rows that it is for.
    #[serde(default)]
    pub writes_max: u64,
    /// What `DROP INDEX` takes: its name, qualified and quoted, and on MariaDB and MySQL its table as well; absent where it was not
    /// read.
    #[serde(default)]
    pub quoted: Option<String>,
    /// Whether it is a part of an index of a partitioned table, without which it cannot be dropped.
    #[serde(default)]
    pub attached: bool,
    /// The index with which this one is a duplicate, where this one is the one to spare.
    #[serde(default)]
    pub duplicate_of: Option<String>,
    /// The longer index that answers all searches of this one.
    #[serde(default)]
    pub covered_by: Option<String>,
    /// What is worth saying of it: `not used in this run`, `duplicate of …`, `covered by …`, `constraint`, `invalid`, `hidden`.
    #[serde(default)]
    pub remark: Option<String>,
}

impl IndexInfo {
    /// Its name beside that of its table.
    #[must_use]
    pub fn name_in_table(&self) -> &str {
        let rest = self.index.strip_prefix(&self.table).and_then(|rest| rest.strip_prefix('.'));
        rest.unwrap_or(&self.index)
    }

    /// How often it was used: its scans, or where nobody counts them the entries that were read by it. Nothing where neither is known.
    #[must_use]
    pub fn uses(&self) -> Option<u64> {
        self.scans.or(self.entries_read)
    }
}

/// The generator's host over one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostInfo {
    /// Busy share of all cores.
    pub cpu_fraction: f64,
    /// Share in which cores idled with a disk request open.
    pub iowait_fraction: f64,
    /// Share that a hypervisor gave to others.
    pub steal_fraction: f64,
    /// Cores.
    pub cores: u32,
    /// What went to and from disks and networks, where the kernel tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traffic: Option<HostTrafficInfo>,
    /// Least memory that programs could still have had, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_available_bytes_min: Option<u64>,
}

/// What a host moved, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostTrafficInfo {
    /// Read from disks.
    pub disk_read_bytes_per_s: f64,
    /// Written to disks.
    pub disk_written_bytes_per_s: f64,
    /// Received from networks, without the loopback.
    pub received_bytes_per_s: f64,
    /// Sent to networks, without the loopback.
    pub sent_bytes_per_s: f64,
}

/// One second; in a stage of more than 100,000 of them, two or more together. Of their quantiles the slowest stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalInfo {
    /// Its end, seconds since the stage began.
    pub t_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// Ended ok, per second.
    pub per_s: f64,
    /// Mean response of those that ended ok.
    #[serde(default)]
    pub mean_us: Option<f64>,
    /// Median response of those that ended ok.
    pub p50_us: Option<u64>,
    /// 99 % of the responses of those that ended ok; absent below 1,000 of them.
    pub p99_us: Option<u64>,
    /// The longest response of those that ended ok.
    pub max_us: Option<u64>,
    /// Not ok.
    pub errors: u64,
    /// Mean busy connections.
    pub busy: f64,
    /// Mean waiting requests.
    pub waiting: f64,
    /// Mean wait for a connection of those that got one.
    #[serde(default)]
    pub pool_wait_mean_us: Option<f64>,
    /// The longest of these waits.
    #[serde(default)]
    pub pool_wait_max_us: Option<u64>,
    /// Planned and not ended at its end: under way, waiting, or late to start.
    #[serde(default)]
    pub in_flight: u64,
    /// Whether it lies in the drain.
    pub drain: bool,
}

/// One self-test of the measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// `books`, `little_busy`, `little_waiting`
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// One side.
    pub left: f64,
    /// The other.
    pub right: f64,
    /// What is compared, for a person.
    pub what: String,
}

/// Price of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeInfo {
    /// Its name.
    pub name: String,
    /// Queries it sent.
    pub queries: u64,
    /// Mean time of a query.
    pub mean_us: f64,
    /// Longest.
    pub max_us: u64,
    /// Rows read.
    pub rows: u64,
    /// Looks that were due and failed or came too late.
    pub gaps: u64,
    /// Time in queries ÷ time of the run.
    pub busy_fraction: f64,
    /// Why its last gap was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventInfo {
    /// Seconds since the run began.
    pub t_s: f64,
    /// Stable name.
    pub kind: String,
    /// For a person.
    pub message: String,
    /// How many of its kind.
    pub count: u64,
}

/// What a pool study adds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolStudy {
    /// One point a size, ascending.
    pub sizes: Vec<PoolPoint>,
    /// The order in which they were measured.
    pub order: Vec<u32>,
    /// The smallest size whose interval reaches 95 % of the best throughput, of a closed loop that keeps all connections busy; absent
    /// where there was none, below three repetitions, and where the largest size is still better than all others.
    pub knee: Option<u32>,
    /// The answer, in a few sentences.
    pub recommendation: String,
    /// Instances, each with a pool of its own; 0 in reports from before it was told.
    #[serde(default)]
    pub instances: u32,
    /// Connections that the server had room for beside dbdyno's own: `max_connections` less what is reserved and in use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connections_room: Option<u64>,
    /// Connections of each instance in use today, as the user says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current: Option<u32>,
    /// What the sizes were to keep, and whether some size does. Of several goals this is the first, with the verdict on all together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub goal: Option<PoolGoal>,
    /// Each goal, where there were several, with whether some size keeps it by itself.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub goals: Vec<PoolGoal>,
    /// The recommended size; absent where there is nothing to recommend.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recommended: Option<RecommendedPool>,
    /// For which arrangement the answer holds, where generator and server share a machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validity: Option<String>,
    /// The law that the curve of the closed loop follows; absent below four sizes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub law: Option<ScalingLaw>,
    /// Why more connections than those of the knee do not help.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<KneeReason>,
    /// Every load at every size, where there was more than one: rates ascending, the closed loop last. `sizes` are those of the
    /// highest rate.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub passes: Vec<PoolPass>,
}

/// One size of a pool study, all its repetitions together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolPoint {
    /// Connections of each instance.
    pub size: u32,
    /// Repetitions.
    pub repeats: u32,
    /// Median over the repetitions of the transactions per second.
    pub per_s: f64,
    /// Lowest and highest repetition.
    pub per_s_range: (f64, f64),
    /// Response time, all repetitions together.
    pub response_us: Quantiles,
    /// Waiting for a connection, all repetitions together.
    pub pool_wait_us: Quantiles,
    /// With a connection in hand, all repetitions together.
    pub service_us: Quantiles,
    /// Mean busy connections.
    pub busy_mean: f64,
    /// Mean requests waiting.
    pub waiting_mean: f64,
    /// Share of the time with every connection busy and someone waiting.
    pub saturated_fraction: f64,
    /// What the sessions waited for most on the server, with its share of the sampled sessions: `Lock:tuple 38 %`.
    pub top_wait: Option<WaitShare>,
    /// To whom most lock waiting is charged, with its share of all lock waiting.
    pub top_blocker: Option<(String, f64)>,
    /// Not ok ÷ all.
    pub error_fraction: f64,
    /// Host CPU while it was measured.
    pub host_cpu_fraction: Option<f64>,
    /// Means with the intervals of the repetitions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub estimates: Option<PoolEstimates>,
    /// For how long a connection was held, all repetitions together.
    #[serde(default)]
    pub hold_us: Quantiles,
    /// Connections made while it was measured.
    #[serde(default)]
    pub creates: u64,
    /// How long that took.
    #[serde(default)]
    pub create_us: Quantiles,
    /// Acquires that ran into their timeout.
    #[serde(default)]
    pub timeouts: u64,
    /// What the sessions did on the server, by class; empty where nobody looked.
    #[serde(default)]
    pub waits: Vec<WaitClass>,
    /// What theory expects; absent in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub queue: Option<QueuePrediction>,
    /// The goal at this size; absent without one. Of several goals this is what was measured of the first, with the verdict on all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub goal: Option<GoalAt>,
    /// Each goal at this size, where there were several, in the order of the study's.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub goals: Vec<GoalAt>,
}

/// For figures that only some measurements have.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
