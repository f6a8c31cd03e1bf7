//! What a migration check adds to a report: what each statement did, whom it kept waiting, and what is different afterwards.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlsoPrepared, Comparison, Growth, Rehearsal, RelationChange, Verdict};

/// A migration under load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Migration {
    /// Whose habits the files follow: `sqlx`, `plain`, …
    pub tool: String,
    /// The folder, as the user named it.
    pub folder: String,
    /// Whether it was applied to a copy, so that the database stayed as it was.
    pub on_copy: bool,
    /// How it ended.
    pub outcome: MigrationOutcome,
    /// What became of it, in a few sentences.
    pub answer: String,
    /// What makes the verdict, with what was measured.
    pub conditions: Vec<ConditionResult>,
    /// When its first statement was sent, in seconds since the run began.
    pub began_s: Option<f64>,
    /// From there to its end, in seconds.
    pub took_s: Option<f64>,
    /// From its end until the traffic was as before, in seconds; absent where it was not within the measurement.
    pub recovered_s: Option<f64>,
    /// How long a statement waits for a lock before it gives up, in milliseconds; absent without a limit.
    pub lock_timeout_ms: Option<u64>,
    /// Tries beyond the first.
    pub retries: u32,
    /// Pause before another try, in milliseconds.
    pub backoff_ms: u64,
    /// In the order in which they are applied.
    pub migrations: Vec<MigrationInfo>,
    /// All statements, in order.
    pub statements: Vec<DdlInfo>,
    /// What it cost the traffic, all together.
    pub blast: BlastRadius,
    /// Whom each statement kept waiting, the costliest first.
    pub victims: Vec<VictimInfo>,
    /// Accidents that were set up on purpose.
    pub disturbances: Vec<DisturbanceInfo>,
    /// Second by second, from the beginning of the stage before to the end of the stage behind.
    pub timeline: Vec<TimelinePoint>,
    /// What it left behind.
    pub left: LeftBehind,
    /// Behind against before: A is before, B is behind. By turns on two copies of the database, where it has pairs; else the stage
    /// behind against the stage before.
    pub before_after: Option<Comparison>,
    /// The team's own tool, where that applied it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
    /// The same in other ways, each on a fresh copy, and the way back.
    #[serde(default)]
    pub rehearsals: Vec<Rehearsal>,
    /// Statements that did harm and have no safe form that could be rehearsed, by their numbers; absent where none was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_safe_form: Option<Vec<usize>>,
    /// Tables and indexes that came, went, changed their size, or are used otherwise behind the migration.
    #[serde(default)]
    pub relations: Vec<RelationChange>,
    /// What became of the statements of another version of the application; absent where none was named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub also_prepared: Option<AlsoPrepared>,
    /// What it takes on larger tables; absent where it was not measured at several scales.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub growth: Option<Growth>,
}

/// How a migration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MigrationOutcome {
    /// All of it is applied.
    Applied,
    /// A statement failed for good.
    Failed,
    /// The user, or the limit on its time, ended it.
    Stopped,
    /// The journal ends before it.
    Unknown,
}

/// One condition of the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConditionResult {
    /// As the user wrote it: `blocked > 200ms`. It must not hold.
    pub condition: String,
    /// What was measured.
    pub measured: String,
    /// `pass` where it does not hold.
    pub verdict: Verdict,
}

/// What is left of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MigrationState {
    /// All of it.
    Applied,
    /// Some of its statements stand, others do not.
    PartlyApplied,
    /// Nothing: its transaction was rolled back.
    RolledBack,
    /// It was not begun.
    NotReached,
}

/// One migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MigrationInfo {
    /// Its version.
    pub version: String,
    /// What it is called besides.
    pub name: String,
    /// Name of its file.
    pub file: String,
    /// Whether its tool puts all of it into one transaction.
    pub in_transaction: bool,
    /// What is left of it.
    pub state: MigrationState,
}

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DdlOutcome {
    /// It stands.
    Committed,
    /// It went well, and its transaction was rolled back for another's sake.
    RolledBack,
    /// It failed for good.
    Failed,
    /// It was never sent.
    NotReached,
}

/// One statement of a migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DdlInfo {
    /// Its place among all, from 1.
    pub number: usize,
    /// Version of its migration.
    pub version: String,
    /// Name of its file.
    pub file: String,
    /// Line in it.
    pub line: usize,
    /// Its text.
    pub sql: String,
    /// Whether it shares its transaction with others.
    pub in_transaction: bool,
    /// How it ended.
    pub outcome: DdlOutcome,
    /// What the server had against its last try.
    pub error: Option<String>,
    /// Each try.
    pub tries: Vec<DdlTryInfo>,
    /// Sent to answered, of the last try.
    pub duration_us: u64,
    /// Waiting for locks, over all tries.
    pub lock_wait_us: u64,
    /// What it waited for, the longest first.
    pub lock_waits: Vec<DdlLock>,
    /// Locks that it took, and how long they were held; of the try that held them longest. The strongest first.
    pub locks: Vec<DdlLock>,
    /// From its answer to the end of its transaction: its locks were held on, while other statements ran.
    pub carried_us: u64,
    /// Who stood at the end of the chain while it waited longest.
    pub root: Option<DdlBlocker>,
    /// Tables that were written anew.
    pub rewritten: Vec<String>,
    /// Indexes that were written anew, of tables that were not.
    pub rebuilt: Vec<String>,
    /// Tables that it read from end to end; absent where that could not be asked.
    pub scanned: Option<Vec<String>>,
    /// Rows that it read so.
    pub rows_scanned: u64,
    /// Indexes that it left invalid.
    pub invalid_indexes: Vec<String>,
    /// WAL that it wrote itself; absent where the server does not count that.
    pub wal_bytes: Option<u64>,
    /// Temporary files that it wrote; absent where the server does not count that.
    pub temp_bytes: Option<u64>,
    /// WAL, or redo log, that the whole server wrote meanwhile, the traffic's included.
    pub server_wal_bytes: Option<u64>,
    /// Rows that the server says it affected: of an ALTER those that it copied; absent where it does not say that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub affected_rows: Option<u64>,
    /// How the server carried it out; absent where it has no choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub algorithm: Option<DdlAlgorithm>,
    /// Whether the server committed it by itself, although it stands in a transaction: no ROLLBACK takes it back.
    #[serde(default)]
    pub implicit_commit: bool,
    /// Executions of the workload that waited because of it.
    pub blocked: u64,
    /// How long, together.
    pub blocked_us_total: u64,
    /// The longest.
    pub blocked_us_max: u64,
}

/// How a change of a table was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DdlAlgorithm {
    /// `INSTANT`, `NOCOPY`, `INPLACE`, `COPY`, in the server's words; absent where that is not known.
    pub algorithm: Option<String>,
    /// What others were kept from meanwhile, in the server's words: `NONE`, `SHARED` (writes), `EXCLUSIVE`; absent where that is not
    /// known.
    pub lock: Option<String>,
    /// What says so, or why it is not known.
    pub evidence: String,
}

/// One try of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DdlTryInfo {
    /// When it was sent, in seconds since the run began, as thousandths.
    pub t_ms: u64,
    /// Sent to answered.
    pub duration_us: u64,
    /// Of it, waiting for locks.
    pub lock_wait_us: u64,
    /// What the server had against it.
    pub error: Option<String>,
}

/// One lock of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DdlLock {
    /// `AccessExclusiveLock`
    pub mode: String,
    /// The relation; absent for what is none.
    pub relation: Option<String>,
    /// `relation`, `virtualxid`, …
    pub lock_type: String,
    /// How long it was waited for, or held.
    pub us: u64,
    /// What it stops while it is held: by the server's documentation of its mode.
    #[serde(default)]
    pub stops: LockStops,
}

/// What others cannot do with a table while a lock of some mode is held on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockStops {
    /// They read and write it; other changes of the schema may wait.
    #[default]
    Nothing,
    /// They read it only.
    Writes,
    /// They wait, whatever they want of it.
    ReadsAndWrites,
}

/// Who kept a statement waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DdlBlocker {
    /// `checkout.take_stock`, or `application (foreign)`.
    pub who: String,
    /// What it was doing.
    pub state: String,
}

/// What a migration cost the traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlastRadius {
    /// Executions that waited for a lock behind the migration.
    pub blocked: u64,
    /// How long, together: blocked user-seconds, in microseconds.
    pub blocked_us_total: u64,
    /// The longest.
    pub blocked_us_max: u64,
    /// Response time of all transactions from the first statement on, beyond what as many took before: what clients lost, whether
    /// they waited for a lock, for a connection behind those who did, or for a busy disk.
    pub lost_us: i64,
    /// How far that may be off by chance: twice its standard error, from the seconds before.
    pub lost_noise_us: u64,
    /// Transactions that failed from the first statement on.
    pub failed: u64,
    /// Arrivals that were too late to start.
    pub skipped: u64,
}

/// One transaction of the workload and one statement of the migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VictimInfo {
    /// The transaction.
    pub transaction: String,
    /// Number of the statement, from 1.
    pub statement: usize,
    /// Executions that waited.
    pub blocked: u64,
    /// How long, together.
    pub blocked_us_total: u64,
    /// The longest.
    pub blocked_us_max: u64,
    /// Failures by SQLSTATE in the seconds in which the statement held or waited for its locks.
    pub failures: BTreeMap<String, u64>,
    /// Arrivals that were too late to start in these seconds.
    pub skipped: u64,
}

/// An accident on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DisturbanceInfo {
    /// `long-reader`, `idle-in-transaction`, `autovacuum`
    pub what: String,
    /// Seconds since the run began.
    pub t_s: f64,
    /// How long it lasted.
    pub lasted_s: f64,
}

/// One second of the traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelinePoint {
    /// Its end, in seconds since the stage before began.
    pub t_s: f64,
    /// Its length.
    pub length_s: f64,
    /// Its stage.
    pub stage: String,
    /// Ended ok, per second.
    pub per_s: f64,
    /// Median response of those that ended ok.
    pub p50_us: Option<u64>,
    /// 99 % of them; absent below 1,000.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
    /// Not ended ok.
    pub errors: u64,
    /// Statements of the migration that ran, waited or held locks in it, by their numbers.
    pub statements: Vec<usize>,
}

/// What a migration left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftBehind {
    /// Invalid indexes that were not there before.
    pub invalid_indexes: Vec<String>,
    /// Constraints that hold for new rows only and were not there before.
    pub not_validated: Vec<String>,
    /// Columns, and expressions of indexes, of which the planner knows nothing until the next ANALYZE.
    pub without_statistics: Vec<String>,
    /// Why it is not known.
    pub unknown: Option<String>,
}
