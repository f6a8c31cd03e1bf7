//! What a migration check says beyond the migration itself: other ways to apply it, the way back, the relations before and behind,
//! statements of another version of the application, and what it takes on larger tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BlastRadius, DdlInfo, LeftBehind, MigrationOutcome};

/// The migration applied in another way under the same traffic, or taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsal {
    /// `safe`: the safe form of each statement that did harm; `lock_timeout`: another limit on the waiting for locks; `down`: the way
    /// back.
    pub kind: String,
    /// How it ended.
    pub outcome: MigrationOutcome,
    /// What became of it, in a few sentences.
    pub answer: String,
    /// From its first statement to its end, in seconds.
    pub took_s: Option<f64>,
    /// How long a statement waited for a lock before it gave up, in milliseconds; absent without a limit.
    pub lock_timeout_ms: Option<u64>,
    /// Tries that were allowed beyond the first.
    pub retries: u32,
    /// Pause before another try, in milliseconds.
    pub backoff_ms: u64,
    /// Tries of all statements together.
    pub tries: u64,
    /// Its statements, in order.
    pub statements: Vec<RehearsedStatement>,
    /// What it cost the traffic, all together.
    pub blast: BlastRadius,
    /// What it left behind.
    pub left: LeftBehind,
    /// Of the way back: what of the schema is not as it was before, `+ …` and `- …`; absent where that was not asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema_differs: Option<Vec<String>>,
}

/// A statement of a rehearsal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RehearsedStatement {
    /// Number of the statement of the migration that it stands for, from 1; absent where it is that one, or of the way back.
    pub instead_of: Option<usize>,
    /// What it did.
    #[serde(flatten)]
    pub info: DdlInfo,
}

/// A table or an index, before and behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RelationChange {
    /// Its name.
    pub relation: String,
    /// Of an index its table.
    pub table: Option<String>,
    /// Size at the end of the stage before; absent where it was not there. Of a table with its indexes.
    pub before_bytes: Option<u64>,
    /// Size at the end of the stage behind; absent where it is not there any more.
    pub after_bytes: Option<u64>,
    /// Index scans of the traffic before, per second.
    pub before_scans_per_s: Option<f64>,
    /// Index scans of the traffic behind, per second.
    pub after_scans_per_s: Option<f64>,
}

/// Statements of another version of the application, prepared against the new schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlsoPrepared {
    /// The folder of its workload, as the user named it.
    pub folder: String,
    /// How many could be prepared before the migration.
    pub statements: u64,
    /// Those of them that cannot be prepared any more.
    pub broken: Vec<BrokenStatement>,
    /// Those that could not be prepared before either.
    pub broken_before: Vec<String>,
}

/// A statement that the new schema breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokenStatement {
    /// Its name.
    pub statement: String,
    /// What the server has against it.
    pub error: String,
}

/// What a migration takes on larger tables, from copies of several scales without traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Growth {
    /// Scales that were measured, ascending.
    pub scales: Vec<f64>,
    /// Repetitions at each.
    pub repetitions: u32,
    /// By statement.
    pub statements: Vec<GrowthInfo>,
    /// Of all statements together, where each of them is known.
    pub total_us: Option<Predicted>,
}

/// What one statement takes on larger tables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GrowthInfo {
    /// Number of the statement, from 1.
    pub statement: usize,
    /// The table that it works through; absent where it works through none.
    pub table: Option<String>,
    /// Rows of it in production, as the user says.
    pub rows: Option<u64>,
    /// Times by which that is more than the most that was measured.
    pub beyond: Option<f64>,
    /// Sent to answered, in microseconds.
    pub duration_us: Option<Predicted>,
    /// WAL, in bytes.
    pub wal_bytes: Option<Predicted>,
    /// Disk that it needs at once beyond what is there, in bytes.
    pub disk_bytes: Option<Predicted>,
    /// Why there is no prediction.
    pub why_not: Option<String>,
    /// What was measured.
    pub points: Vec<GrowthPoint>,
}

/// A figure for the size of production.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Predicted {
    /// The most likely.
    pub value: f64,
    /// Lower end of the interval, 95 % for one execution.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// For each further row.
    pub per_row: f64,
}

/// One execution at one scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GrowthPoint {
    /// Scale of the data.
    pub scale: f64,
    /// Rows of the table.
    pub rows: u64,
    /// Sent to answered.
    pub duration_us: u64,
    /// WAL; absent where it could not be asked.
    pub wal_bytes: Option<u64>,
    /// Disk that it needed at once beyond what was there.
    pub disk_bytes: u64,
}
