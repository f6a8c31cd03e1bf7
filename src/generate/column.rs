//! Generators of values, and the dataset that they make together.

use crate::generate::spec::{ColumnSpec, Refusal, ScopeTable, ValueSpec};
use crate::generate::{RowPick, Stream};
use crate::sql::values::{Arena, Slot};
use crate::units::Seed;

/// A generator that needs no row: what a transaction's parameter can be.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueGenerator {
    /// helper: generate
    Constant(i64),
}

impl ValueGenerator {
    /// Checks a description and makes the generator.
    pub fn build(spec: &ValueSpec) -> Result<Self, Refusal> {
        let _ = spec;
        todo!("helper: generate")
    }

    /// One value. Allocates nothing once `arena` has grown.
    pub fn value(&self, stream: &mut Stream, arena: &mut Arena) -> Slot {
        let _ = (stream, arena);
        todo!("helper: generate")
    }
}

/// A generator of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnGenerator {
    // helper: generate
}

impl ColumnGenerator {
    /// Checks the description of column `column` of `tables[table]` and makes the generator. References become indexes into
    /// `tables`.
    pub fn build(
        spec: &ColumnSpec,
        null_fraction: f64,
        tables: &[ScopeTable],
        table: usize,
        column: usize,
    ) -> Result<Self, Refusal> {
        let _ = (spec, null_fraction, tables, table, column);
        todo!("helper: generate")
    }

    /// The tables (indexes) that must hold their rows before this column can.
    #[must_use]
    pub fn refers_to(&self) -> Vec<usize> {
        todo!("helper: generate")
    }
}

/// All tables with their sizes: enough to compute any value of any row.
#[derive(Clone, Debug)]
pub struct Dataset {
    // helper: generate
}

/// One table of a dataset.
#[derive(Clone, Debug)]
pub struct DatasetTable {
    /// Its name; part of the key of its draws.
    pub name: String,
    /// Its rows at the scale at hand.
    pub rows: u64,
    /// Names and generators, in the order of the document.
    pub columns: Vec<(String, ColumnGenerator)>,
}

impl Dataset {
    /// Joins tables to a dataset. References between them are by index into `tables`.
    #[must_use]
    pub fn new(seed: Seed, tables: Vec<DatasetTable>) -> Self {
        let _ = (seed, tables);
        todo!("helper: generate")
    }

    /// Rows of a table.
    #[must_use]
    pub fn rows(&self, table: usize) -> u64 {
        let _ = table;
        todo!("helper: generate")
    }

    /// The value of one column in one row: the same when a row is loaded and when a query names it.
    pub fn value(&self, table: usize, column: usize, row: u64, arena: &mut Arena) -> Slot {
        let _ = (table, column, row, arena);
        let _ = RowPick::Uniform;
        todo!("helper: generate")
    }
}
