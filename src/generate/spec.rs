//! Generators as a user writes them in `workload.toml`: plain serde types, one externally tagged entry a generator, so that
//! an error points at the value. `workload` walks the document, takes off the modifiers that every column knows
//! (`null_fraction`), and hands the rest over here.

use schemars::JsonSchema;
use serde::Deserialize;

/// A generator that needs no row: for columns and for parameters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ValueSpec {
    /// Always the same number. (helper: generate)
    Constant(i64),
}

/// A generator that needs to know its row: for columns only.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RowSpec {
    /// `start`, `start + step`, … (helper: generate)
    Sequence(SequenceSpec),
}

/// `sequence = {}`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SequenceSpec {
    /// Value of the first row.
    pub start: i64,
    /// Difference between neighbours.
    pub step: i64,
}

impl Default for SequenceSpec {
    fn default() -> Self {
        Self { start: 1, step: 1 }
    }
}

impl ValueSpec {
    /// The names of all its generators, for suggestions.
    pub const NAMES: &[&str] = &["constant"];
}

impl RowSpec {
    /// The names of all its generators, for suggestions.
    pub const NAMES: &[&str] = &["sequence"];
}

/// What a column is made of, as written.
#[derive(Clone, Debug)]
pub enum ColumnSpec {
    /// Needs no row.
    Value(ValueSpec),
    /// Needs its row.
    Row(RowSpec),
}

/// The tables of the document, as far as a generator must know them to be checked: names, sizes, columns.
#[derive(Clone, Debug)]
pub struct ScopeTable {
    /// Its name.
    pub name: String,
    /// Rows at scale 1.
    pub rows: u64,
    /// Its columns and what they are made of, in the order of the document; `None` where a column's own mistake was
    /// reported already.
    pub columns: Vec<(String, Option<ColumnSpec>)>,
}

/// Why a description cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong: `` no table `custmers` ``.
    pub message: String,
    /// Said at the place itself.
    pub label: String,
    /// What to do: `` did you mean `customers`? ``
    pub help: Option<String>,
}
