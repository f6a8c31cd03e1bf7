//! What a load is asked for, what it says while it goes on, and how it ends. Knows no engine.

use std::fmt;
use std::time::Duration;

use crate::db::ConnectError;
use crate::diagnostic::Mistakes;
use crate::units::Seed;

/// What the user decides about a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadOptions {
    /// Factor of all row counts; above zero.
    pub scale: f64,
    /// From which all values follow.
    pub seed: Seed,
    /// Connections that send rows at the same time; at least one is used.
    pub jobs: usize,
    /// What happens to tables that are there already.
    pub existing: Existing,
}

/// What happens to tables that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They are left alone and the load is refused. (The remains of an interrupted load are dbdyno's own and are redone.)
    Refuse,
    /// They are dropped, and what is in them is lost.
    Replace,
}

/// A part of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Tables are made, and columns and statements are checked.
    Schema,
    /// Rows are generated and sent.
    Rows,
    /// Indexes, constraints and triggers are made.
    Indexes,
    /// `finish.sql` runs.
    Finish,
    /// `VACUUM (FREEZE, ANALYZE)`.
    Vacuum,
    /// `ANALYZE TABLE`, on MariaDB and MySQL.
    Analyze,
    /// Tables are made as old as they are described.
    Ageing,
    /// `CHECKPOINT`.
    Checkpoint,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema => "schema",
            Self::Rows => "rows",
            Self::Indexes => "indexes and constraints",
            Self::Finish => "finish.sql",
            Self::Vacuum => "vacuum and analyze",
            Self::Analyze => "analyze",
            Self::Ageing => "ageing",
            Self::Checkpoint => "checkpoint",
        })
    }
}

/// What a load says while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadEvent {
    /// A phase begins.
    PhaseBegun(Phase),
    /// One of several steps of the phase begins: an index, a statement, a table to vacuum.
    Step {
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What it does: the opening of a statement, the name of a table.
        what: String,
    },
    /// The rows of a table come next.
    TableBegun {
        /// Its name.
        table: String,
        /// How many rows it will have.
        rows: u64,
    },
    /// So many rows and bytes more of that table were sent.
    RowsSent {
        /// Rows since the last such event.
        rows: u64,
        /// Bytes since the last such event.
        bytes: u64,
    },
    /// The table has its rows.
    TableDone(TableSummary),
    /// Something that the user should know and that is no failure.
    Note(String),
}

/// One table that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSummary {
    /// Its name.
    pub table: String,
    /// Rows it was given.
    pub rows: u64,
    /// Bytes that were sent for them.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// How a load ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSummary {
    /// Whether the target held all of it already, and nothing was done.
    pub already_loaded: bool,
    /// In the order they were loaded.
    pub tables: Vec<TableSummary>,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of all tables, as sent.
    pub bytes: u64,
    /// In order, with how long each took.
    pub phases: Vec<(Phase, Duration)>,
    /// What the user should know and is no failure.
    pub notes: Vec<String>,
}

/// Why nothing was loaded, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// What is asked for is known of another server only.
    #[error(transparent)]
    OtherServer(#[from] crate::db::PostgresOnly),
    /// The schema, the description of a column, or a statement cannot be. Found before any row unless it lies in
    /// `finish.sql` or depends on the rows.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// The workload runs on tables that somebody else fills.
    #[error(
        "workload `{workload}` has no schema.sql, so there is nothing to load (it runs on tables that something else fills)"
    )]
    NothingToLoad {
        /// Its name.
        workload: String,
    },
    /// A factor that no number of rows can have.
    #[error("`--scale {0}` is not a number above zero")]
    Scale(f64),
    /// Tables stand in the way that dbdyno did not create.
    #[error(
        "{} in `{database}` and {} not created by dbdyno (load into another database, or drop {} with --replace)",
        exist(.tables), if .tables.len() == 1 { "was" } else { "were" }, if .tables.len() == 1 { "it" } else { "them" }
    )]
    Occupied {
        /// Their names.
        tables: Vec<String>,
        /// The target's database.
        database: String,
    },
    /// Another load of dbdyno's stands in the way.
    #[error(
        "`{database}` holds {held} ({differences}); to load it anew give --replace, which drops what it holds"
    )]
    Loaded {
        /// What it holds: `workload shop at scale 1 with seed 42`.
        held: String,
        /// In what it differs from what was asked for.
        differences: String,
        /// The target's database.
        database: String,
    },
    /// Another dbdyno is loading into the same database.
    #[error("another load is under way in `{database}` (wait for it, or end that dbdyno)")]
    Busy {
        /// The target's database.
        database: String,
    },
    /// A value does not fit its column.
    #[error(
        "row {row} of `{table}`: {value} does not fit column `{column}` of type {type_name} (narrow its generator, or widen the column)"
    )]
    Value {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The column's type.
        type_name: String,
        /// Number of the row, from 0.
        row: u64,
        /// The value.
        value: String,
    },
    /// The server refused something, or went away.
    #[error("cannot {doing}: {message}")]
    Server {
        /// What was being done: `copy rows into orders`.
        doing: String,
        /// The server's words.
        message: String,
    },
    /// A loaded database cannot be copied for `--reset template`.
    #[error("`--reset template` cannot copy the database `{database}`: {reason} ({remedy})")]
    Reset {
        /// The loaded database.
        database: String,
        /// Why not.
        reason: String,
        /// What would make it possible.
        remedy: String,
    },
    /// A query of a parameter gives nothing to draw from.
    #[error("the query of {what} cannot be used: {reason}")]
    QueryValues {
        /// Whose query: ``parameter `id` of transaction `read` ``.
        what: String,
        /// What is wrong with it, or the server's words.
        reason: String,
    },
    /// A file of the workload cannot be read again.
    #[error("cannot read `{path}`: {source}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A thread that encodes rows ended before its time.
    #[error("encoding rows of `{table}` failed: {message}")]
    Encoder {
        /// The table.
        table: String,
        /// What it said last.
        message: String,
    },
}

fn exist(tables: &[String]) -> String {
    let quoted: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
    match quoted.as_slice() {
        [one] => format!("table {one} exists"),
        _ => format!("tables {} exist", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_tables_and_the_way_out() {
        let error = DatasetError::Occupied {
            tables: vec!["orders".into(), "customers".into()],
            database: "app".into(),
        };
        assert_eq!(
            error.to_string(),
            "tables `orders`, `customers` exist in `app` and were not created by dbdyno (load into another database, or \
             drop them with --replace)"
        );
    }
}
