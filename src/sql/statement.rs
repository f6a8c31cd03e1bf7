//! What a statement promises and what it does, read from its text.

/// How many rows a statement promises, from the `:one`, `:optional`, `:many`, `:exec` of its name line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cardinality {
    /// Exactly one row.
    One,
    /// None or one.
    Optional,
    /// Any number, all of them read.
    Many,
    /// No rows are asked for.
    Exec,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    /// Reads.
    Select,
    /// Reads and locks the rows: `SELECT … FOR UPDATE`.
    SelectForUpdate,
    /// Adds rows.
    Insert,
    /// Changes rows.
    Update,
    /// Removes rows.
    Delete,
    /// Does some of these.
    Merge,
    /// Anything else: `CALL`, `SET`, DDL.
    Other,
}

impl StatementKind {
    /// As the report names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::SelectForUpdate => "select for update",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Merge => "merge",
            Self::Other => "other",
        }
    }

    /// Whether it changes rows.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Insert | Self::Update | Self::Delete | Self::Merge)
    }
}

/// What the statement does, by its first keyword; behind `WITH`, by the outermost one that changes rows, else `Select`.
#[must_use]
pub fn kind(sql: &str) -> StatementKind {
    let _ = sql;
    todo!("helper: sql")
}
