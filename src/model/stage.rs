//! One stage: its books, its transactions, and its seconds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Load;

use super::{
    Check, DeadlockInfo, GaugeInfo, HostInfo, HostIntervalInfo, IndexInfo, Ledger, LockInfo, MeasureInfo,
    PlanChangeInfo, PoolInfo, PoolerStage, ProcessIntervalInfo, Quantiles, Recovery, ServerEventInfo,
    ServerInfo, ServerIntervalInfo, ServerProcessInfo, StatementInfo, StormInfo, TableInfo, WaitIntervalInfo,
    WaitShare, WarmUpInfo,
};

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
