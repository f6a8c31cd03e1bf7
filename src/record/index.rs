//! The plan of an index experiment, as its journal begins with it: which indexes, which arms, and which stage is a slice of what.
//! All that a report says of an index and that is no measurement stands here.

use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexQuestion {
    /// Are these worth it?
    Add,
    /// Can these go?
    Drop,
    /// Can those go that no statement of the workload uses?
    DropUnused,
    /// Which are worth it, of those that the plans suggest?
    Suggest,
}

/// An index experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexHeader {
    /// What is asked.
    pub question: IndexQuestion,
    /// The indexes that are put to the test.
    pub subjects: Vec<IndexSubject>,
    /// The arms, the one that is compared with first.
    pub arms: Vec<IndexArm>,
    /// Which arms tell the effect of which index.
    pub effects: Vec<IndexEffect>,
    /// Which stages are slices of which arm.
    pub slices: Vec<IndexSlice>,
    /// Tables that each statement reads or writes, by its id, as the server plans it; absent where it does not say.
    pub touches: Vec<Option<Vec<String>>>,
    /// Why no index was kept up without being used, where none was.
    #[serde(default)]
    pub not_hidden: Option<String>,
    /// What is not counted of the cost of each write, and why.
    #[serde(default)]
    pub not_counted: Option<String>,
    /// Tables on which autovacuum was held off while counters were read.
    #[serde(default)]
    pub held: Vec<String>,
    /// Transactions in each slice in which counters are read.
    #[serde(default)]
    pub operations: u64,
    /// Whether each arm has a database of its own; else the indexes are built anew before each slice, whichever arm it is.
    #[serde(default)]
    pub clones: bool,
    /// The cache regime, where the user set one: `cold`, `warm`, `4`.
    #[serde(default)]
    pub cache: Option<String>,
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexSubject {
    /// What a person calls it: `orders (customer_id)`, `orders_placed`.
    pub label: String,
    /// Its name in the server's views during the experiment, with its schema or its table before it where the server's views need that.
    pub name: String,
    /// The statement that builds it.
    pub definition: String,
    /// Its table, named as in the server's views.
    pub table: String,
    /// Rows of the table, as the planner takes it.
    pub rows: f64,
    /// Size of the table without indexes, in bytes.
    pub table_bytes: u64,
    /// Share of a page of the table that inserts fill, in per cent; absent where tables have no such setting.
    #[serde(default)]
    pub fillfactor: Option<u32>,
    /// How long building it took, in microseconds.
    pub build_us: u64,
    /// Its size when it was built, in bytes.
    pub size_bytes: u64,
    /// How that is known, where the server does not simply say it.
    #[serde(default)]
    pub size_by: Option<String>,
    /// What building or dropping it keeps others from; empty in journals from before it was written down.
    #[serde(default)]
    pub blocks: String,
    /// What to run in production, with all that goes with it.
    pub production: Vec<String>,
    /// What to mind when that is run.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// Scans that the server had counted of it before the experiment; absent where it was not there, or where they are not counted.
    #[serde(default)]
    pub scans_before: Option<u64>,
    /// Foreign keys of the table whose checks and cascades look rows up by its leading columns.
    #[serde(default)]
    pub foreign_keys: Vec<IndexForeignKey>,
    /// Another index that is made alike, by the catalogue; absent as well in journals from before it was looked up there.
    #[serde(default)]
    pub twin: Option<String>,
    /// A longer index that answers all of its searches, by the catalogue.
    #[serde(default)]
    pub covered_by: Option<String>,
    /// Indexes that it would make superfluous, by the catalogue.
    #[serde(default)]
    pub covers: Vec<String>,
    /// Why the server does not let it go, where it does not: in the arm without it, it was kept up and hidden from the planner.
    #[serde(default)]
    pub required: Option<String>,
    /// Why it is looked at, where dbdyno suggests it.
    #[serde(default)]
    pub why: Option<String>,
}

/// A foreign key of the table of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexForeignKey {
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

/// An arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexArm {
    /// `without`, `with`, `hidden`, `only orders (customer_id)`
    pub name: String,
    /// The indexes that are there, by their places.
    pub present: Vec<usize>,
    /// Of them, those that are kept up and that the planner does not know.
    pub hidden: Vec<usize>,
}

/// Which arms tell the effect of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEffect {
    /// The index; absent for all of them together.
    pub subject: Option<usize>,
    /// The arm without it.
    pub without: usize,
    /// The arm in which it is kept up and not used.
    #[serde(default)]
    pub hidden: Option<usize>,
    /// The arm with it.
    pub with: usize,
}

/// What a slice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexPass {
    /// Times at the load that was asked for.
    Load,
    /// Throughput with clients that never rest.
    Capacity,
    /// Counters over a fixed number of transactions.
    Counters,
}

/// One slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSlice {
    /// The stage, by its id.
    pub stage: u32,
    /// What it is for.
    pub pass: IndexPass,
    /// The round: one slice of each arm, which make a pair with each other.
    pub round: u32,
    /// The arm.
    pub arm: usize,
}
