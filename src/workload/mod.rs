//! A workload: the folder that a user writes, decoded, checked as a whole, and compiled so that the engine sees only
//! indexes. Knows no server; what a server says of a workload is checked in `dataset`.

mod check;
mod compile;
mod decode;
mod document;
mod explain;
mod fingerprint;
mod measurable;
pub mod migrations;
mod mix;
mod node;
pub mod pgbench;
pub mod schema;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
mod transactions;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::Mistakes;
use crate::generate::{ColumnGenerator, Dataset, DatasetTable, RowPick, ValueGenerator};
use crate::sql::named::Place;
use crate::sql::statement::{Cardinality, StatementKind};
use crate::units::{Direction, Protocol, Seed, SlotId, StatementId, TransactionId, ValueUnit};

pub use crate::units::Load;
pub use compile::{load, load_for};
pub use measurable::{Foreign, Measurable};
pub use mix::{Mix, MixError};

/// A workload that can be run: every name resolved, every mistake reported before this exists.
#[derive(Clone, Debug)]
pub struct Workload {
    /// From `workload.toml`.
    pub name: String,
    /// From `workload.toml`; may be empty.
    pub description: String,
    /// The folder it was read from.
    pub folder: PathBuf,
    /// Hexadecimal digest of everything that decides what a run does: the document and the SQL files, byte for byte.
    pub fingerprint: String,
    /// Hexadecimal digest of what decides what a *load* does: `schema.sql` and the tables of the document.
    pub data_fingerprint: String,
    /// How transactions talk to the server, where the document says it.
    pub protocol: Option<Protocol>,
    /// How long a statement may take, where the document says it. At least 1 ms.
    pub statement_timeout: Option<Duration>,
    /// `workload.toml`, for messages that point into it.
    pub document: SqlFile,
    /// `schema.sql`, or that of the engine, when the folder has one. Without it the workload runs only on a database that somebody else made.
    pub schema: Option<SqlFile>,
    /// `finish.sql`, or that of the engine, when the folder has one: run once after the rows and before the vacuum (sums over children, views).
    pub finish: Option<SqlFile>,
    /// The tables that are generated, each after all tables that it refers to.
    pub tables: Vec<Table>,
    /// How to ask a target that dbdyno did not fill for its scale: one row, one number.
    pub scale_query: Option<String>,
    /// One entry for each statement of each transaction, by [`StatementId`].
    pub statements: Vec<Statement>,
    /// By [`TransactionId`].
    pub transactions: Vec<Transaction>,
    /// What is measured beside times, in the order of the document.
    pub measures: Vec<Measure>,
    /// What is read beside the run, in the order of the document.
    pub gauges: Vec<Gauge>,
    /// What parameters ask for of the rows that the run itself inserts.
    pub inserted: Vec<InsertedRows>,
    /// In the order they run; empty when the document has none.
    pub stages: Vec<StageSpec>,
    /// Limits that the document sets.
    pub budgets: Vec<BudgetSpec>,
    /// Limits on changes against other runs that it sets.
    pub changes: Vec<crate::model::RelativeBudget>,
    /// Variables of pgbench's scripts, by their slots; each client has its own. Empty where there are no scripts.
    pub variables: Arc<[pgbench::Variable]>,
}

impl Workload {
    /// The data at `scale`: enough to compute any value of any row of [`Workload::tables`], by the same indexes.
    #[must_use]
    pub fn dataset(&self, seed: Seed, scale: f64) -> Dataset {
        let tables = self.tables.iter().map(|table| DatasetTable {
            name: table.name.clone(),
            rows: table.rows(scale),
            columns: table
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.generator.clone()))
                .collect(),
        });
        Dataset::new(seed, tables.collect())
    }

    /// Whether it runs scripts of pgbench.
    #[must_use]
    pub fn is_script(&self) -> bool {
        self.transactions.iter().any(|transaction| matches!(transaction.work, Work::Script(_)))
    }

    /// The same with the scale of the data as the scripts' variable `scale`, unless `-D` says another.
    #[must_use]
    pub fn at_scale(&self, scale: Option<f64>) -> Self {
        let mut workload = self.clone();
        let Some(scale) = scale else { return workload };
        for variable in Arc::make_mut(&mut workload.variables) {
            if variable.initial == pgbench::Initial::Scale {
                variable.initial = pgbench::Initial::Text(scale.to_string());
            }
        }
        workload
    }

    /// Blames the columns that cannot be made at the size of `dataset`: what is unique at one scale can be too many rows at
    /// another. `source` is the document. To be asked before any row is made.
    pub fn check_size(&self, dataset: &Dataset, source: usize, mistakes: &mut Mistakes) {
        for (index, table) in self.tables.iter().enumerate() {
            for (position, column) in table.columns.iter().enumerate() {
                let Some(refusal) = dataset.refusal(index, position) else { continue };
                let message = format!("`{}.{}`: {}", table.name, column.name, refusal.message);
                let otherwise = || "use a smaller scale, or change the description".to_owned();
                let help = refusal.help.unwrap_or_else(otherwise);
                mistakes.at(source, column.span.clone(), message, refusal.label, Some(help));
            }
        }
    }
}

/// One file of the folder.
#[derive(Clone, Debug)]
pub struct SqlFile {
    /// Where it lies, for messages.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// One generated table.
#[derive(Clone, Debug)]
pub struct Table {
    /// As the schema names it; may be qualified (`sales.orders`).
    pub name: String,
    /// Rows at scale 1.
    pub rows_at_scale_1: u64,
    /// Whether `rows` grows with the scale; a table of countries does not.
    pub scales: bool,
    /// What use shall have left behind in it, if anything.
    pub aged: Option<Aged>,
    /// In the order of the document.
    pub columns: Vec<Column>,
    /// Byte range of the table's header in `workload.toml`, for messages about it.
    pub span: std::ops::Range<usize>,
}

impl Table {
    /// Rows at `scale`, at least one.
    #[must_use]
    pub fn rows(&self, scale: f64) -> u64 {
        if !self.scales {
            return self.rows_at_scale_1;
        }
        // Row counts lie far below 2^53, where a float is exact.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rows = (self.rows_at_scale_1 as f64 * scale).round() as u64;
        rows.max(1)
    }

    /// The position of column `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// What use left behind in a table since its last vacuum; its values are those of the description all the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aged {
    /// Share of the rows that were updated, 0 to 1.
    pub updated: f64,
    /// Share of the rows that were deleted and inserted again, 0 to 1.
    pub deleted: f64,
}

/// One generated column.
#[derive(Clone, Debug)]
pub struct Column {
    /// As the schema names it.
    pub name: String,
    /// What makes its values.
    pub generator: ColumnGenerator,
    /// Byte range of its description in `workload.toml`, for messages about it.
    pub span: std::ops::Range<usize>,
}

/// One statement as one transaction uses it.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The name in `queries.sql`.
    pub name: String,
    /// The file of the folder that it stands in.
    pub file: &'static str,
    /// Who uses it.
    pub transaction: TransactionId,
    /// The text that is sent: tag, then the SQL with `$1`, `$2`, … in place of the named parameters.
    pub sql: String,
    /// What the tag says: `TRANSACTION.STATEMENT`.
    pub tag: String,
    /// How many rows it promises.
    pub cardinality: Cardinality,
    /// Read, write, or neither.
    pub kind: StatementKind,
    /// The slot of `$1`, `$2`, …
    pub inputs: Vec<SlotId>,
    /// Where `$1`, `$2`, … stand in `sql`.
    pub places: Vec<Place>,
    /// Columns of a `:one` or `:optional` result that later steps use, and the slots they fill.
    pub outputs: Vec<Output>,
    /// What of a returned row outlives its transaction, once that has committed. Columns of the same rows follow each other.
    pub kept: Vec<Kept>,
    /// Where it stands in its file (byte range of its name line), for messages.
    pub span: std::ops::Range<usize>,
}

/// A result column that later steps use.
#[derive(Clone, Debug)]
pub struct Output {
    /// The name of the result column.
    pub column: String,
    /// The slot it fills.
    pub slot: SlotId,
}

/// A returned value that outlives its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The slot that it stands in after the statement was executed.
    pub slot: SlotId,
    /// What it is kept for.
    pub reason: KeptFor,
}

/// What a returned value is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptFor {
    /// For a measure: an index into [`Workload::measures`].
    Measure(usize),
    /// For parameters that name what the run inserted.
    Inserted {
        /// Index into [`Workload::inserted`].
        rows: usize,
        /// Index into its columns.
        column: usize,
    },
}

/// What parameters ask for of the rows that one statement inserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertedRows {
    /// Name of the statement in `queries.sql`.
    pub statement: String,
    /// Columns that it returns.
    pub columns: Vec<String>,
}

/// What is measured of the rows that one statement returns.
#[derive(Clone, Debug)]
pub struct Measure {
    /// From the document.
    pub name: String,
    /// Name of the statement in `queries.sql`, whatever transaction executes it.
    pub statement: String,
    /// The column that it returns.
    pub column: String,
    /// What the values are counted in; absent when only their order is of interest.
    pub unit: Option<ValueUnit>,
    /// Which way they should run; absent when their order is of no interest.
    pub order: Option<Direction>,
    /// Byte range of the column's name in `workload.toml`, for messages about it.
    pub span: std::ops::Range<usize>,
}

/// A number that is read of the target beside the run.
#[derive(Clone, Debug)]
pub struct Gauge {
    /// From the document.
    pub name: String,
    /// One row, one number.
    pub query: String,
    /// Time between two readings.
    pub every: Duration,
    /// What the number counts.
    pub unit: ValueUnit,
    /// Byte range of the query in `workload.toml`, for messages about it.
    pub span: std::ops::Range<usize>,
}

/// One weighted unit of work, one or more steps on one connection.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// From the document.
    pub name: String,
    /// Share of the mix, relative to the other weights.
    pub weight: f64,
    /// Whether the steps stand between BEGIN and COMMIT. A single step without isolation or `times` runs as autocommit.
    pub explicit: bool,
    /// The isolation that BEGIN asks for; the server's default when absent.
    pub isolation: Option<Isolation>,
    /// What BEGIN asks for besides.
    pub modes: Modes,
    /// Whether BEGIN, all statements and COMMIT are sent as one pipeline.
    pub pipeline: bool,
    /// When a failed try is begun again.
    pub retry: Retry,
    /// What is done.
    pub work: Work,
    /// Names of the frame's slots, by [`SlotId`].
    pub slots: Vec<String>,
    /// What is drawn and when.
    pub draws: Vec<Draw>,
}

impl Transaction {
    /// Its steps; none where a script says what is done.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match &self.work {
            Work::Steps(steps) => steps,
            Work::Script(_) => &[],
        }
    }
}

/// What a transaction does with its connection.
#[derive(Clone, Debug)]
pub enum Work {
    /// Statements, in order.
    Steps(Vec<Step>),
    /// A script of pgbench. It begins and ends its transactions itself.
    Script(Arc<pgbench::Script>),
}

/// One statement of a transaction, with its repetition and pause.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is executed.
    pub statement: StatementId,
    /// How often, drawn once for each transaction.
    pub times: Times,
    /// How long the application keeps the connection before the step.
    pub hold: Duration,
}

/// A number of repetitions: uniform from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
}

/// One parameter that is drawn.
#[derive(Clone, Debug)]
pub struct Draw {
    /// The slot it fills.
    pub slot: SlotId,
    /// Where the value comes from.
    pub source: ParameterSource,
    /// Whether it is drawn anew for each execution of a step, or once for the transaction.
    pub each: bool,
    /// The draw whose row it shares, by its position among the draws of the transaction; its own where it shares none. Equal
    /// positions draw equal rows.
    pub row_of: usize,
    /// Byte range of its description in `workload.toml`, for messages about it.
    pub span: std::ops::Range<usize>,
}

/// Where a parameter's value comes from.
#[derive(Clone, Debug)]
pub enum ParameterSource {
    /// An existing value of a column that dbdyno generated: the row is drawn, then the column's value for it is computed.
    Existing {
        /// Index into [`Workload::tables`].
        table: usize,
        /// Index into the table's columns.
        column: usize,
        /// How the row is drawn.
        pick: RowPick,
    },
    /// A key of a table that dbdyno did not fill, whose keys are known to be 1 … rows: `pgbench_accounts` for example.
    RowNumber {
        /// Index into [`Workload::tables`].
        table: usize,
        /// How the row is drawn.
        pick: RowPick,
    },
    /// A value of a generator that needs no row.
    Value(ValueGenerator),
    /// A value that a query gave when the run began, uniformly drawn from its rows.
    Query {
        /// Any number of rows, and one column unless other parameters share its rows.
        sql: String,
        /// Which column of such a row; the first where it is not said.
        column: Option<String>,
    },
    /// A value of a row that this run inserted, in the same worker and not too long ago; evenly, or the newest most where
    /// `otherwise` draws so: then the inserted rows are the newest of its table. A declared exception to determinism.
    Inserted {
        /// Index into [`Workload::inserted`].
        rows: usize,
        /// Index into its columns.
        column: usize,
        /// Where the value comes from while there is none.
        otherwise: Box<ParameterSource>,
    },
}

impl ParameterSource {
    /// The query that must be asked before anything is drawn, if there is one, and which of its columns is wanted, if it is said.
    #[must_use]
    pub fn query(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Self::Query { sql, column } => Some((sql, column.as_deref())),
            Self::Inserted { otherwise, .. } => otherwise.query(),
            Self::Existing { .. } | Self::RowNumber { .. } | Self::Value(_) => None,
        }
    }
}

/// The isolation level of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// `READ COMMITTED`.
    ReadCommitted,
    /// `REPEATABLE READ`.
    RepeatableRead,
    /// `SERIALIZABLE`.
    Serializable,
}

/// What BEGIN asks for besides the isolation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// Nothing is changed.
    pub read_only: bool,
    /// BEGIN waits for a safe snapshot; only where the transaction is serializable and read only.
    pub deferrable: bool,
    /// What is set for the transaction, in the order of the document.
    pub set: Vec<Setting>,
}

/// A setting of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As the server knows it: `work_mem`, `app.tenant`.
    pub name: String,
    /// As SQL writes it between quotes.
    pub value: String,
    /// Byte range of the value in `workload.toml`, for messages about it.
    pub span: std::ops::Range<usize>,
}

/// When a failed try is begun again, with the same draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// SQLSTATEs after which to retry, and classes of them: their first two characters.
    pub on: Vec<String>,
    /// Tries in all, the first included; at least 1.
    pub max_tries: u32,
    /// Pause before the second try; doubled with each further one.
    pub backoff: Duration,
    /// Longest pause; at least `backoff`.
    pub backoff_max: Duration,
}

impl Default for Retry {
    /// One try.
    fn default() -> Self {
        Self {
            on: Vec::new(),
            max_tries: 1,
            backoff: Duration::from_millis(1),
            backoff_max: Duration::from_millis(100),
        }
    }
}

impl Retry {
    /// Whether a failure of this code is one after which to retry.
    #[must_use]
    pub fn covers(&self, code: &str) -> bool {
        // A class names SQLSTATEs, which have five characters; dbdyno's own codes are longer.
        let of_class = |on: &str| on.len() == 2 && code.len() == 5 && code.starts_with(on);
        self.on.iter().any(|on| on == code || of_class(on))
    }

    /// The longest pause after `tries` tries; at least half of it is waited.
    #[must_use]
    pub fn pause_max(&self, tries: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        self.backoff.saturating_mul(doubled).min(self.backoff_max)
    }
}

/// A part of a run, as the document describes it.
#[derive(Clone, Debug)]
pub struct StageSpec {
    /// `baseline`, `peak`, …
    pub name: String,
    /// How long it is measured.
    pub duration: Duration,
    /// The load it puts on.
    pub load: Load,
}

/// A limit on a metric, as the document states it.
#[derive(Clone, Debug)]
pub struct BudgetSpec {
    /// The metric's path in the report: `checkout.response.p99`.
    pub metric: crate::model::metric::MetricPath,
    /// What it must keep.
    pub limit: crate::model::metric::Limit,
}
