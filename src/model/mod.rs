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
mod locks;
mod machine;
mod measures;
pub mod metric;
mod migration;
mod plan;
mod pool;
mod pooler;
mod rehearsal;
mod relative;
mod scalability;
mod server;
mod server_time;
mod setting;
mod stage;
mod statement;
mod storm;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Seed;

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
pub use locks::{LockEpisodeInfo, LockInfo};
pub use machine::{EnvironmentInfo, GeneratorInfo, HostInfo, HostTrafficInfo, ProbeInfo};
pub use measures::{GaugeInfo, LevelAt, Levels, MeasureInfo, OrderInfo};
pub use migration::{
    BlastRadius, ConditionResult, DdlAlgorithm, DdlBlocker, DdlInfo, DdlLock, DdlOutcome, DdlTryInfo,
    DisturbanceInfo, LeftBehind, LockStops, Migration, MigrationInfo, MigrationOutcome, MigrationState,
    TimelinePoint, VictimInfo,
};
pub use plan::{GenericPlanInfo, PlanChangeInfo, PlanDifference, PlanInfo, PlanName};
pub use pool::{InstancePoolInfo, PoolInfo, PoolPoint, PoolStudy};
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
pub use server::{IndexInfo, ServerInfo, TableInfo};
pub use server_time::{BufferInfo, IoInfo, ServerEventInfo, ServerIntervalInfo, WaitIntervalInfo, WalIoInfo};
pub use setting::{DataInfo, SessionInfo, TableChangesInfo, TargetInfo, WorkloadInfo};
pub use stage::{Accounting, IntervalInfo, Stage, TransactionInfo};
pub use statement::{RowWorkInfo, StatementInfo, StatementServerInfo, WaitShare};
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

/// For figures that only some measurements have.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
