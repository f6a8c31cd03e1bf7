//! All tables of a dataset, joined: the value of any column in any row.

use super::column::{Base, ColumnGenerator, FanOut, Source};
use super::fan_out::Each;
use super::pick::favourite;
use super::value::{Made, into_slot};
use super::zipf::Zipf;
use super::{Key, ValueKind};
use crate::sql::values::{Arena, Slot};
use crate::units::Seed;

/// What draws of one row are for, so that adding one does not shift the others.
const VALUE: u32 = 0;
const NULLNESS: u32 = 1;

/// All tables with their sizes: enough to compute any value of any row. Shared freely between threads.
#[derive(Clone, Debug)]
pub struct Dataset {
    tables: Vec<TableAtScale>,
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

#[derive(Clone, Debug)]
struct TableAtScale {
    rows: u64,
    columns: Vec<ColumnAtScale>,
}

#[derive(Clone, Debug)]
struct ColumnAtScale {
    key: Key,
    generator: ColumnGenerator,
    link: Link,
}

/// How a row finds the row that it refers to, with all that can be computed beforehand.
#[derive(Clone, Copy, Debug)]
enum Link {
    None,
    Uniform { parents: u64 },
    Zipf { parents: u64, zipf: Zipf },
    Each { each: Each, key: Key },
    Tree { roots: u64, branches: u64 },
}

impl Dataset {
    /// Joins tables to a dataset. References between them are by index into `tables`.
    ///
    /// # Panics
    /// When a generator refers to a table that is not there: all were built against the same document.
    #[must_use]
    pub fn new(seed: Seed, tables: Vec<DatasetTable>) -> Self {
        let rows: Vec<u64> = tables.iter().map(|table| table.rows.max(1)).collect();
        let tables = tables.into_iter().map(|table| {
            let key = Key::root(seed).name(&table.name);
            let own_rows = table.rows.max(1);
            let columns = table.columns.into_iter().map(|(name, generator)| {
                let key = key.name(&name);
                let link = Link::new(&generator.source, own_rows, &rows, key);
                ColumnAtScale { key, generator, link }
            });
            TableAtScale { rows: own_rows, columns: columns.collect() }
        });
        Self { tables: tables.collect() }
    }

    /// Rows of a table.
    #[must_use]
    pub fn rows(&self, table: usize) -> u64 {
        self.tables[table].rows
    }

    /// The value of one column in one row: the same when a row is loaded and when a query names it. Allocates nothing once
    /// `arena` has grown.
    pub fn value(&self, table: usize, column: usize, row: u64, arena: &mut Arena) -> Slot {
        into_slot(arena, |out| self.emit(table, column, row, out))
    }

    /// What kind of values a column holds, besides NULL.
    #[must_use]
    pub fn kind(&self, table: usize, column: usize) -> ValueKind {
        match &self.tables[table].columns[column].generator.source {
            Source::Value(generator) => generator.kind(),
            Source::Correlated { day: true, .. } => ValueKind::Date,
            Source::Correlated { .. } | Source::After { .. } => ValueKind::Timestamp,
            Source::Template(_) => ValueKind::Text,
            Source::Sequence { .. } | Source::Ordinal { .. } => ValueKind::Int,
            Source::Reference { table, column, .. }
            | Source::Tree { table, column, .. }
            | Source::Lookup { table, column, .. } => self.kind(*table, *column),
        }
    }

    /// Smallest and largest whole number of a column, where it holds whole numbers within known bounds.
    #[must_use]
    pub fn int_range(&self, table: usize, column: usize) -> Option<(i64, i64)> {
        match &self.tables[table].columns[column].generator.source {
            Source::Value(generator) => generator.int_range(),
            Source::Sequence { start, step } => {
                let last = sequence(*start, *step, self.tables[table].rows - 1);
                Some((*start.min(&last), *start.max(&last)))
            }
            Source::Reference { table, column, .. }
            | Source::Tree { table, column, .. }
            | Source::Lookup { table, column, .. } => self.int_range(*table, *column),
            _ => None,
        }
    }

    /// Whether some rows of a column are NULL: because it says so, because it is a tree, or because what it is looked up
    /// through is.
    #[must_use]
    pub fn nullable(&self, table: usize, column: usize) -> bool {
        let generator = &self.tables[table].columns[column].generator;
        let elsewhere = match &generator.source {
            Source::Tree { .. } => true,
            Source::Reference { table: other, column: target, .. } => self.nullable(*other, *target),
            Source::Ordinal { through } => self.nullable(table, *through),
            Source::Lookup { through, table: other, column: target }
            | Source::After { base: Base::Through { through, table: other, column: target }, .. } => {
                self.nullable(table, *through) || self.nullable(*other, *target)
            }
            Source::After { base: Base::Own { column }, .. } => self.nullable(table, *column),
            _ => false,
        };
        elsewhere || generator.null_fraction > 0.0
    }

    fn emit(&self, table: usize, column: usize, row: u64, out: &mut Vec<u8>) -> Made {
        let at_scale = &self.tables[table].columns[column];
        if at_scale.is_null(row) {
            return Made::Scalar(Slot::Null);
        }
        let mut stream = at_scale.key.at(row, VALUE);
        match &at_scale.generator.source {
            Source::Value(generator) => generator.emit(&mut stream, out),
            Source::Correlated { range, correlation, day } => {
                // A share of the rows stands where the order puts it, the others anywhere: the rank correlation of such a
                // mixture is that share.
                let strays = stream.unit() >= correlation.abs();
                let unit = stream.unit();
                let rows = self.tables[table].rows as f64;
                let in_order = (row as f64 + unit) / rows;
                let quantile = match (strays, *correlation < 0.0) {
                    (true, _) => unit,
                    (false, true) => 1.0 - in_order,
                    (false, false) => in_order,
                };
                Made::Scalar(if *day {
                    Slot::Date(range.day_at(quantile))
                } else {
                    Slot::Timestamp(range.micros_at(quantile))
                })
            }
            Source::Template(template) => {
                template.emit(&mut stream, out, &mut |column, out| self.emit(table, column, row, out));
                Made::Text
            }
            Source::Sequence { start, step } => Made::Scalar(Slot::Int(sequence(*start, *step, row))),
            Source::Reference { table: other, column: target, .. }
            | Source::Tree { table: other, column: target, .. } => {
                self.emit_at(at_scale.parent(row), *other, *target, out)
            }
            Source::Lookup { through, table: other, column: target } => {
                self.emit_at(self.parent(table, *through, row), *other, *target, out)
            }
            Source::Ordinal { through } => Made::Scalar(self.tables[table].columns[*through].ordinal(row)),
            Source::After { base, lag_s } => {
                let earlier = match base {
                    Base::Own { column } => self.emit(table, *column, row, out),
                    Base::Through { through, table: other, column: target } => {
                        self.emit_at(self.parent(table, *through, row), *other, *target, out)
                    }
                };
                Made::Scalar(later(earlier, lag_s.emit(&mut stream, out)))
            }
        }
    }

    fn emit_at(&self, row: Option<u64>, table: usize, column: usize, out: &mut Vec<u8>) -> Made {
        row.map_or(Made::Scalar(Slot::Null), |row| self.emit(table, column, row, out))
    }

    fn parent(&self, table: usize, through: usize, row: u64) -> Option<u64> {
        let through = &self.tables[table].columns[through];
        if through.is_null(row) { None } else { through.parent(row) }
    }
}

impl ColumnAtScale {
    fn is_null(&self, row: u64) -> bool {
        let fraction = self.generator.null_fraction;
        fraction > 0.0 && self.key.at(row, NULLNESS).unit() < fraction
    }

    /// The row that `row` refers to.
    fn parent(&self, row: u64) -> Option<u64> {
        let mut stream = self.key.at(row, VALUE);
        match &self.link {
            Link::None => None,
            Link::Uniform { parents } => Some(stream.below(*parents)),
            Link::Zipf { parents, zipf } => Some(favourite(zipf, *parents, &mut stream)),
            Link::Each { each, key } => Some(each.place(row, *key).parent),
            Link::Tree { roots, branches } => row.checked_sub(*roots).map(|behind| behind / branches),
        }
    }

    fn ordinal(&self, row: u64) -> Slot {
        match &self.link {
            Link::Each { each, key } if !self.is_null(row) => {
                Slot::Int(each.place(row, *key).ordinal.cast_signed())
            }
            _ => Slot::Null,
        }
    }
}

impl Link {
    fn new(source: &Source, own_rows: u64, rows: &[u64], key: Key) -> Self {
        match source {
            Source::Reference { table, fan_out, .. } => {
                let parents = rows[*table];
                match fan_out {
                    FanOut::Uniform => Self::Uniform { parents },
                    FanOut::Zipf { exponent } => Self::Zipf { parents, zipf: Zipf::new(parents, *exponent) },
                    FanOut::Each { min, max } => Self::Each {
                        each: Each { min: *min, max: *max, parents, children: own_rows },
                        key: key.name("fan_out"),
                    },
                }
            }
            Source::Tree { roots, depth, .. } => {
                Self::Tree { roots: *roots, branches: branches(own_rows, *roots, *depth) }
            }
            _ => Self::None,
        }
    }
}

/// The fewest children of each row with which `rows` fit into `depth` levels below `roots`.
fn branches(rows: u64, roots: u64, depth: u32) -> u64 {
    let room = |branches: u64| {
        let mut level = u128::from(roots);
        let mut all = level;
        for _ in 1..depth {
            level = level.saturating_mul(u128::from(branches));
            all = all.saturating_add(level);
        }
        all
    };
    let (mut low, mut high) = (1, rows.max(1));
    while low < high {
        let middle = low + (high - low) / 2;
        if room(middle) >= u128::from(rows) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

fn sequence(start: i64, step: i64, row: u64) -> i64 {
    // Rows lie far below 2^63; a start near the edge sticks to it, and the loader says that it does not fit.
    start.saturating_add(step.saturating_mul(i64::try_from(row).unwrap_or(i64::MAX)))
}

/// The instant `lag` seconds after `earlier`; NULL where either is.
fn later(earlier: Made, lag: Made) -> Slot {
    let earlier_us = match earlier {
        Made::Scalar(Slot::Timestamp(micros)) => micros,
        Made::Scalar(Slot::Date(days)) => i64::from(days) * 86_400_000_000,
        _ => return Slot::Null,
    };
    let lag_us = match lag {
        Made::Scalar(Slot::Int(seconds)) => seconds.saturating_mul(1_000_000),
        Made::Scalar(Slot::Decimal { unscaled, scale }) => {
            let micros = i128::from(unscaled) * 1_000_000 / 10_i128.pow(u32::from(scale));
            i64::try_from(micros).unwrap_or(i64::MAX)
        }
        _ => return Slot::Null,
    };
    Slot::Timestamp(earlier_us.saturating_add(lag_us))
}

#[cfg(test)]
mod tests;
