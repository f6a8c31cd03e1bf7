//! What a migration did, statement by statement and try by try: the journal's entries of a migration check. Knows no server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::{BackendId, Span, StageId, Stamp};

/// One entry of a migration check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationEntry {
    /// What is to be applied, and how; before anything is measured.
    Plan(Box<MigrationPlanRecord>),
    /// The migration begins.
    Begun {
        /// When.
        at: Stamp,
        /// The session that applies it.
        backend: BackendId,
    },
    /// An accident that was set up on purpose.
    Disturbed {
        /// `long-reader`, `idle-in-transaction`, `autovacuum`
        what: String,
        /// Its session.
        backend: BackendId,
        /// From when to when.
        span: Span,
    },
    /// A statement of the team's own tool, which nobody knew before: the next of the plan.
    Found(DdlStatement),
    /// One try of one statement is over, and its transaction with it.
    Tried(Box<DdlTry>),
    /// All statements once without traffic, on data of one scale.
    Scaled(Box<ScaledRun>),
    /// The migration is over.
    Ended(Box<MigrationEnded>),
}

/// What the statements that follow are applied for. A check is the migration itself, and rehearsals beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalKind {
    /// The migration itself.
    #[default]
    Migration,
    /// The same with the safe form of each statement that did harm.
    Safe,
    /// The same with another limit on the waiting for locks.
    LockTimeout,
    /// The way back.
    Down,
}

impl RehearsalKind {
    /// As reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Migration => "migration",
            Self::Safe => "safe",
            Self::LockTimeout => "lock_timeout",
            Self::Down => "down",
        }
    }
}

/// What is to be applied, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MigrationPlanRecord {
    /// What it is for.
    #[serde(default)]
    pub kind: RehearsalKind,
    /// The stage before it.
    pub before: StageId,
    /// The stage during which it is applied.
    pub during: StageId,
    /// The stage behind it.
    pub after: StageId,
    /// Whose habits the files follow: `sqlx`, `plain`, …
    pub tool: String,
    /// The folder, as the user named it.
    pub folder: String,
    /// In the order in which they are applied.
    pub migrations: Vec<MigrationRecord>,
    /// Their statements, in order.
    pub statements: Vec<DdlStatement>,
    /// How long a statement waits for a lock before it gives up, in milliseconds; absent without a limit.
    pub lock_timeout_ms: Option<u64>,
    /// Tries beyond the first.
    pub retries: u32,
    /// Pause before another try, in milliseconds.
    pub backoff_ms: u64,
    /// What makes the verdict, as the user wrote it.
    pub conditions: Vec<String>,
    /// Whether it was applied to a copy, so that the database stayed as it was.
    pub on_copy: bool,
    /// By statement: the index of the statement of the migration itself that it stands for; absent where it is that one.
    #[serde(default)]
    pub instead_of: Vec<Option<usize>>,
    /// Whether its safe form is to be rehearsed.
    #[serde(default)]
    pub try_safe: bool,
    /// The team's own tool, where that applies the migrations.
    #[serde(default)]
    pub command: Option<String>,
    /// Rows of tables in production, for which times and sizes are to be predicted.
    #[serde(default)]
    pub production_rows: BTreeMap<String, u64>,
}

/// One migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// Its version.
    pub version: String,
    /// What it is called besides.
    pub name: String,
    /// Name of its file.
    pub file: String,
    /// Whether its tool puts all of it into one transaction.
    pub in_transaction: bool,
}

/// One statement of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlStatement {
    /// Index of its migration.
    pub migration: usize,
    /// Line in its file, from 1.
    pub line: usize,
    /// Its text; a long one is cut.
    pub sql: String,
    /// Whether it shares its transaction with others.
    pub in_transaction: bool,
}

/// A lock, from when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSpan {
    /// `AccessExclusiveLock`
    pub mode: String,
    /// The relation; absent for what is none (a transaction, another session's snapshot).
    pub relation: Option<String>,
    /// `relation`, `transactionid`, `virtualxid`, …
    pub lock_type: String,
    /// From when to when.
    pub span: Span,
}

/// A relation that was read from end to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedRelation {
    /// Which.
    pub relation: String,
    /// Rows that were read.
    pub rows: u64,
}

/// One try of one statement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DdlTry {
    /// Index into [`MigrationPlanRecord::statements`].
    pub statement: usize,
    /// From 1.
    pub number: u32,
    /// The session.
    pub backend: BackendId,
    /// Sent to answered.
    pub span: Span,
    /// When its transaction ended, and its locks with it.
    pub released_at: Stamp,
    /// Whether its transaction was committed.
    pub committed: bool,
    /// What the server had against it.
    pub error: Option<DdlError>,
    /// Locks that it waited for.
    pub waits: Vec<LockSpan>,
    /// Locks on relations that were there before which it took, until its transaction ended.
    pub held: Vec<LockSpan>,
    /// Tables that were written anew.
    pub rewritten: Vec<String>,
    /// Indexes of tables that were there before which were written anew.
    pub rebuilt: Vec<String>,
    /// Tables that it read from end to end; absent where that could not be asked.
    pub scanned: Option<Vec<ScannedRelation>>,
    /// Indexes that it left invalid.
    pub invalid_indexes: Vec<String>,
    /// WAL that it wrote itself, in bytes; absent where the server does not count that.
    pub wal_bytes: Option<u64>,
    /// Temporary files that it wrote, in bytes; absent where the server does not count that.
    pub temp_bytes: Option<u64>,
    /// WAL, or redo log, that the whole server wrote from its beginning to that of the next statement, or to the end of the transaction, the
    /// traffic's included, in bytes.
    pub server_wal_bytes: Option<u64>,
    /// Rows that the server says it affected: of an ALTER those that it copied; absent where it does not say that.
    #[serde(default)]
    pub affected_rows: Option<u64>,
    /// How the server carries it out; absent where it has no choice.
    #[serde(default)]
    pub foreseen: Option<ForeseenAlgorithm>,
    /// Whether the server committed it before the COMMIT of the transaction in which it stands.
    #[serde(default)]
    pub implicit_commit: bool,
}

/// How the server will carry out a change of a table, as it told before the change was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeseenAlgorithm {
    /// The lightest way in which an empty copy of the table took it.
    Accepted {
        /// `INSTANT`, `NOCOPY`, `INPLACE`, `COPY`
        algorithm: String,
        /// What others may do meanwhile: `NONE` of it is barred, writes (`SHARED`), or all (`EXCLUSIVE`).
        lock: String,
    },
    /// It did not tell, and why.
    Unknown(String),
}

/// What the server had against a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlError {
    /// `55P03`; `dbdyno` where it is none of the server's.
    pub code: String,
    /// In words.
    pub message: String,
}

/// How a migration ended, and what it left behind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MigrationEnded {
    /// When.
    pub at: Stamp,
    /// The statement that failed for good, with what the server had against it.
    pub failed: Option<(usize, DdlError)>,
    /// Whether the user, or the limit on its time, ended it before its end.
    pub stopped: Option<String>,
    /// Migrations that are whole.
    pub applied: usize,
    /// Invalid indexes that were not there before.
    pub invalid_indexes: Vec<String>,
    /// Constraints that hold for new rows only and were not there before.
    pub not_validated: Vec<String>,
    /// Columns, and expressions of indexes, without statistics that were not so before: `orders.note`.
    pub without_statistics: Vec<String>,
    /// Why what was left behind could not be asked for.
    pub unknown: Option<String>,
    /// What became of the statements of another version of the application; absent where none was named.
    #[serde(default)]
    pub also_prepared: Option<AlsoPreparedRecord>,
    /// Of the way back: what of the schema is not as it was before, `+ …` and `- …`; absent where that was not asked.
    #[serde(default)]
    pub schema_differs: Option<Vec<String>>,
}

/// Statements of another version of the application, prepared against the new schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoPreparedRecord {
    /// The folder of its workload, as the user named it.
    pub folder: String,
    /// How many could be prepared before the migration.
    pub statements: u64,
    /// Those of them that cannot be prepared any more: name, and what the server has against it.
    pub broken: Vec<(String, DdlError)>,
    /// Those that could not be prepared before either.
    pub broken_before: Vec<String>,
}

/// All statements of a migration once, without traffic, on data of one scale.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScaledRun {
    /// Scale of the data.
    pub scale: f64,
    /// Which repetition, from 1. Each has a fresh copy of the data.
    pub repetition: u32,
    /// Rows of each table before, as the server estimates them behind ANALYZE.
    pub rows: BTreeMap<String, u64>,
    /// What the statements took, in their order; those behind one that failed are missing.
    pub statements: Vec<ScaledStatement>,
    /// The statement that failed, with what the server had against it.
    pub failed: Option<(usize, DdlError)>,
}

/// What one statement took on data of one scale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaledStatement {
    /// Index into the statements of the plan.
    pub statement: usize,
    /// Sent to answered, in microseconds.
    pub duration_us: u64,
    /// WAL of the server meanwhile, which nobody else used, in bytes; absent where it could not be asked.
    pub wal_bytes: Option<u64>,
    /// Disk that it needed at once beyond what was there: new files, growth of old ones, temporary files; in bytes.
    pub disk_bytes: u64,
    /// Tables that it wrote anew, read from end to end, or built indexes of.
    pub worked_on: Vec<String>,
}
