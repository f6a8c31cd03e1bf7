//! What is known of an index before anything is measured, whichever server it lies on.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::sql::index::CreateIndex;

/// What is known of an index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreseen {
    /// What a person calls it.
    pub label: String,
    /// Its name in the server's views during the experiment: on PostgreSQL qualified unless its schema is `public`, on MariaDB and
    /// MySQL with its table before it.
    pub name: String,
    /// The same as commands take it.
    pub quoted: String,
    /// The statement that builds it.
    pub definition: String,
    /// Its table as the server's views name it.
    pub table: String,
    /// The same as commands take it.
    pub table_quoted: String,
    /// Rows of the table, as the planner takes it.
    pub rows: f64,
    /// Size of the table without indexes, in bytes.
    pub table_bytes: u64,
    /// Share of a page of the table that inserts fill, in per cent; absent where tables have no such setting.
    pub fillfactor: Option<u32>,
    /// How long building it took, in microseconds.
    pub build_us: u64,
    /// Its size when it was built, in bytes.
    pub size_bytes: u64,
    /// How that is known, where the server does not simply say it.
    pub size_by: Option<String>,
    /// Whether it holds expressions, which have statistics of their own that only ANALYZE makes.
    pub has_expressions: bool,
    /// What building or dropping it keeps others from.
    pub blocks: String,
    /// What to run in production.
    pub production: Vec<String>,
    /// What to mind when that is run.
    pub caveats: Vec<String>,
    /// Scans that the server counted of it until now; absent where it was not there, or where they are not counted.
    pub scans_before: Option<u64>,
    /// Foreign keys that look rows up by its leading columns.
    pub foreign_keys: Vec<ForeignKeyUse>,
    /// Another index that is made alike, named as in the server's views.
    pub twin: Option<String>,
    /// A longer index that answers all of its searches, as far as it is known beforehand.
    pub covered_by: Option<String>,
    /// Indexes that it would make superfluous, as far as they are known beforehand.
    pub covers: Vec<String>,
    /// Why the server does not let it go, where it does not: then it can only be hidden from the planner.
    pub required: Option<String>,
    /// The statements that make it for the experiment, in order; none where it is required and stays as it is.
    pub build: Vec<String>,
    /// Whether it was there before, and must be there again.
    pub is_there: bool,
    /// The statements that put the target back as it was, for somebody who runs them by hand.
    pub put_back: Vec<String>,
    /// What else the user should know before anything is measured.
    pub notes: Vec<String>,
}

/// A foreign key of the table of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyUse {
    /// Name of the constraint.
    pub name: String,
    /// The table that it refers to.
    pub parent: String,
    /// What a delete of a row there does here: `cascade`, `set null`, `set default`, `no action`, `restrict`.
    pub on_delete: String,
    /// Whether an update of a key there changes rows here.
    pub changes_on_update: bool,
    /// Another index that serves it as well.
    pub other_index: Option<String>,
}

/// What one statement touches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    /// Its tables, named as in the server's views.
    pub tables: BTreeSet<String>,
    /// Names of the indexes that it uses, without a schema; absent where the server makes no plan of it.
    pub indexes: Option<BTreeSet<String>>,
    /// What the planner thinks that it costs, where it says so.
    pub cost: Option<f64>,
    /// The plan itself; null where there is none.
    pub plan: Value,
}

/// An index that the planner would use, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The index.
    pub index: CreateIndex,
    /// Why it may be of use.
    pub why: String,
}
