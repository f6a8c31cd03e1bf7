//! All tables of a dataset, joined: the value of any column in any row.

use super::children::Children;
use super::column::{Cell, ColumnGenerator, FanOut, Placed, Source};
use super::distinct::stretch;
use super::fan_out::{Each, Place};
use super::histogram::Dealt;
use super::json::plain;
use super::pairs::Pairs;
use super::pick::favourite;
use super::placement::{Order, Quota};
use super::spec::{DrawSpec, Refusal};
use super::stream::fold;
use super::value::{Made, ValueGenerator, into_slot, uuid7};
use super::zipf::Zipf;
use super::{Key, Stream, ValueKind};
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
    placement: Option<Placement>,
    /// The rows in which it may have a value, where others have theirs in the rest.
    turn: Option<Quota>,
}

/// Which place a row has among the values that are dealt out.
#[derive(Clone, Debug)]
struct Placement {
    quota: Quota,
    order: Order,
    /// From 0 to 1, where the values of evenly spread places begin.
    phase: f64,
    dealt: Option<Box<Dealt>>,
}

/// How a row finds the row that it refers to, with all that can be computed beforehand.
#[derive(Clone, Debug)]
enum Link {
    None,
    Uniform { parents: u64 },
    Ordered { parents: u64, share: f64, rows: u64 },
    Once { parents: u64 },
    Zipf { parents: u64, zipf: Zipf },
    Each { each: Each, key: Key },
    Counted(Children),
    Pairs { through: usize, pairs: Box<Pairs> },
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
                let turn = generator.turn.as_ref().map(|turn| {
                    Quota::of_turn(own_rows, turn.from, turn.to, key.name("exclusive").name(&turn.name))
                });
                let key = key.name(&name);
                let link = Link::new(&generator.source, own_rows, &rows, key);
                let placement = Placement::new(&generator, own_rows, turn, key);
                ColumnAtScale { key, generator, link, placement, turn }
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

    /// Why a column cannot be made at the size at hand, if it cannot: what is unique at one scale can be too many rows at
    /// another. To be asked before any row is made; a column that is refused repeats values.
    #[must_use]
    pub fn refusal(&self, table: usize, column: usize) -> Option<Refusal> {
        let rows: Vec<u64> = self.tables.iter().map(|table| table.rows).collect();
        self.tables[table].columns[column].generator.refusal(&rows, table)
    }

    /// What kind of values the lists of a column hold, where it holds lists.
    #[must_use]
    pub fn element_kind(&self, table: usize, column: usize) -> Option<ValueKind> {
        match &self.tables[table].columns[column].generator.source {
            Source::Value(generator) => generator.element_kind(),
            Source::Conditional { branches, .. } => branches.first().and_then(|(_, of)| of.element_kind()),
            Source::Reference { table, column, .. }
            | Source::Tree { table, column, .. }
            | Source::Lookup { table, column, .. } => self.element_kind(*table, *column),
            _ => None,
        }
    }

    /// What kind of values a column holds, besides NULL.
    #[must_use]
    pub fn kind(&self, table: usize, column: usize) -> ValueKind {
        match &self.tables[table].columns[column].generator.source {
            Source::Value(generator) => generator.kind(),
            Source::Ordered { quantile, .. } => quantile.kind(),
            Source::Placed { values: Placed::Histogram { histogram, .. }, .. } => histogram.kind(),
            Source::Placed { values: Placed::Distinct(distinct), .. } => distinct.kind(),
            Source::Expression { kind, .. } | Source::Conditional { kind, .. } => *kind,
            Source::Uuid7 { .. } => ValueKind::Uuid,
            Source::After { .. } => ValueKind::Timestamp,
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
            Source::Ordered { quantile, .. } => quantile.int_range(),
            Source::Placed { values: Placed::Histogram { histogram, .. }, .. } => histogram.int_range(),
            Source::Placed { values: Placed::Distinct(distinct), .. } => distinct.int_range(),
            Source::Conditional { branches, otherwise, .. } => {
                let all = branches.iter().map(|(_, generator)| generator).chain(otherwise);
                let ranges: Vec<_> = all.map(ValueGenerator::int_range).collect::<Option<_>>()?;
                let least = ranges.iter().map(|(least, _)| *least).min()?;
                Some((least, ranges.iter().map(|(_, most)| *most).max()?))
            }
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
            Source::Lookup { through, table: other, column: target } => {
                self.nullable(table, *through) || self.nullable(*other, *target)
            }
            Source::After { base, .. } => self.cell_nullable(table, base),
            Source::Uuid7 { at } => self.nullable(table, *at),
            Source::Expression { expression, .. } => {
                expression.nullable(&|cell| self.cell_nullable(table, cell))
            }
            Source::Conditional { otherwise, .. } => otherwise.is_none(),
            _ => false,
        };
        elsewhere || generator.null_fraction > 0.0
    }

    fn cell_nullable(&self, table: usize, cell: &Cell) -> bool {
        match cell {
            Cell::Own { column } => self.nullable(table, *column),
            Cell::Through { through, table: other, column } => {
                self.nullable(table, *through) || self.nullable(*other, *column)
            }
        }
    }

    fn emit(&self, table: usize, column: usize, row: u64, out: &mut Vec<u8>) -> Made {
        let at_scale = &self.tables[table].columns[column];
        // What another column determines is drawn at the place of its value, which is that of no row.
        let place = match &at_scale.generator.source {
            Source::Conditional { on, draw: DrawSpec::Once, .. } => self.folded(table, *on, row, out),
            _ => row,
        };
        if at_scale.is_null(place) {
            return Made::Scalar(Slot::Null);
        }
        let mut stream = at_scale.key.at(place, VALUE);
        match &at_scale.generator.source {
            Source::Value(generator) => generator.emit(&mut stream, out),
            Source::Ordered { quantile, share } => {
                let rows = self.tables[table].rows;
                quantile.emit(in_order(row, rows, *share, &mut stream), &mut stream, out)
            }
            Source::Placed { values, .. } => at_scale.emit_placed(values, row, &mut stream, out),
            Source::Template(template) => {
                template.emit(&mut stream, out, &mut |column, out| self.emit(table, column, row, out));
                Made::Text
            }
            Source::Sequence { start, step } => Made::Scalar(Slot::Int(sequence(*start, *step, row))),
            Source::Reference { table: other, column: target, .. }
            | Source::Tree { table: other, column: target, .. } => {
                self.emit_at(self.linked(table, column, row), *other, *target, out)
            }
            Source::Lookup { through, table: other, column: target } => {
                self.emit_at(self.parent(table, *through, row), *other, *target, out)
            }
            Source::Ordinal { through } => Made::Scalar(self.tables[table].columns[*through].ordinal(row)),
            Source::After { base, lag_s } => {
                let earlier = self.emit_cell(table, base, row, out);
                Made::Scalar(later(earlier, lag_s.emit(&mut stream, out)))
            }
            Source::Uuid7 { at } => match micros(self.emit(table, *at, row, out)) {
                Some(micros) => uuid7(micros, &mut stream),
                None => Made::Scalar(Slot::Null),
            },
            Source::Expression { expression, .. } => {
                expression.eval(&mut |cell, out| self.emit_cell(table, cell, row, out), out)
            }
            Source::Conditional { on, branches, otherwise, kind, .. } => {
                let start = out.len();
                let decides = self.emit(table, *on, row, out);
                if let Made::Scalar(slot) = decides {
                    plain(out, slot);
                }
                let value = &out[start..];
                let found = branches.binary_search_by(|(of, _)| of.as_bytes().cmp(value));
                let is_null = decides == Made::Scalar(Slot::Null);
                out.truncate(start);
                let branch = found.ok().filter(|_| !is_null).map(|index| &branches[index].1);
                match branch.or(otherwise.as_ref()).map(|generator| generator.emit(&mut stream, out)) {
                    Some(Made::Scalar(slot)) if *kind == ValueKind::Text => {
                        plain(out, slot);
                        Made::Text
                    }
                    Some(made) => made,
                    None => Made::Scalar(Slot::Null),
                }
            }
        }
    }

    /// A value as a number: the same for equal values.
    fn folded(&self, table: usize, column: usize, row: u64, out: &mut Vec<u8>) -> u64 {
        let start = out.len();
        if let Made::Scalar(slot) = self.emit(table, column, row, out) {
            plain(out, slot);
        }
        let folded = fold(&out[start..]);
        out.truncate(start);
        folded
    }

    fn emit_cell(&self, table: usize, cell: &Cell, row: u64, out: &mut Vec<u8>) -> Made {
        match cell {
            Cell::Own { column } => self.emit(table, *column, row, out),
            Cell::Through { through, table: other, column } => {
                self.emit_at(self.parent(table, *through, row), *other, *column, out)
            }
        }
    }

    fn emit_at(&self, row: Option<u64>, table: usize, column: usize, out: &mut Vec<u8>) -> Made {
        row.map_or(Made::Scalar(Slot::Null), |row| self.emit(table, column, row, out))
    }

    fn parent(&self, table: usize, through: usize, row: u64) -> Option<u64> {
        if self.tables[table].columns[through].is_null(row) { None } else { self.linked(table, through, row) }
    }

    /// The row that `row` refers to, whether or not that column is NULL there.
    fn linked(&self, table: usize, column: usize, row: u64) -> Option<u64> {
        let columns = &self.tables[table].columns;
        match &columns[column].link {
            Link::Pairs { through, pairs } => columns[*through].place(row).map(|place| pairs.other(place)),
            _ => columns[column].parent(row),
        }
    }
}

impl ColumnAtScale {
    fn is_null(&self, row: u64) -> bool {
        let fraction = self.generator.null_fraction;
        match (&self.placement, &self.turn) {
            _ if fraction <= 0.0 => false,
            (Some(Placement { quota, .. }), _) | (None, Some(quota)) => quota.rank(row).is_none(),
            (None, None) => self.key.at(row, NULLNESS).unit() < fraction,
        }
    }

    fn emit_placed(&self, values: &Placed, row: u64, stream: &mut Stream, out: &mut Vec<u8>) -> Made {
        let Some((placement, place)) = self.placement.as_ref().and_then(|of| Some((of, of.place(row)?)))
        else {
            return Made::Scalar(Slot::Null);
        };
        match (values, &placement.dealt) {
            (Placed::Distinct(distinct), _) => {
                distinct.emit(place, placement.quota.len(), placement.phase, stream, out)
            }
            (Placed::Histogram { .. }, Some(dealt)) => dealt.emit(place, out),
            (Placed::Histogram { .. }, None) => unreachable!("a histogram is dealt out with its placement"),
        }
    }

    /// The row that `row` refers to, unless it follows another column.
    fn parent(&self, row: u64) -> Option<u64> {
        let mut stream = self.key.at(row, VALUE);
        match &self.link {
            Link::None | Link::Pairs { .. } => None,
            Link::Uniform { parents } => Some(stream.below(*parents)),
            Link::Ordered { parents, share, rows } => {
                // `as` saturates, and what rounding puts beyond the last row is the last.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let parent = (in_order(row, *rows, *share, &mut stream) * *parents as f64) as u64;
                Some(parent.min(parents - 1))
            }
            Link::Once { parents } => {
                let placement = self.placement.as_ref()?;
                let number = stretch(placement.place(row)?, placement.quota.len(), *parents, &mut stream);
                Some(number.min(parents - 1))
            }
            Link::Zipf { parents, zipf } => Some(favourite(zipf, *parents, &mut stream)),
            Link::Each { .. } | Link::Counted(_) => self.place(row).map(|place| place.parent),
            Link::Tree { roots, branches } => row.checked_sub(*roots).map(|behind| behind / branches),
        }
    }

    /// Where `row` belongs among the children of the row that it refers to, where those are counted.
    fn place(&self, row: u64) -> Option<Place> {
        match &self.link {
            Link::Each { each, key } => Some(each.place(row, *key)),
            Link::Counted(children) => Some(children.place(row)),
            _ => None,
        }
    }

    fn ordinal(&self, row: u64) -> Slot {
        let place = if self.is_null(row) { None } else { self.place(row) };
        place.map_or(Slot::Null, |place| Slot::Int(place.ordinal.cast_signed()))
    }
}

impl Placement {
    fn new(generator: &ColumnGenerator, rows: u64, turn: Option<Quota>, key: Key) -> Option<Self> {
        let share = match &generator.source {
            Source::Placed { share, .. } | Source::Reference { fan_out: FanOut::Once { share }, .. } => {
                *share
            }
            _ => return None,
        };
        let key = key.name("placement");
        let quota = turn.unwrap_or_else(|| Quota::new(rows, generator.null_fraction, key));
        let dealt = match &generator.source {
            Source::Placed { values: Placed::Histogram { histogram, .. }, .. } => {
                Some(Box::new(histogram.deal(rows, quota.len().max(1))))
            }
            _ => None,
        };
        let order = Order::new(quota.len(), share, key.name("order"));
        Some(Self { order, phase: key.at(0, VALUE).unit(), quota, dealt })
    }

    /// The place of `row`; none where it is NULL.
    fn place(&self, row: u64) -> Option<u64> {
        self.quota.rank(row).map(|rank| self.order.place(rank))
    }
}

impl Link {
    fn new(source: &Source, own_rows: u64, rows: &[u64], key: Key) -> Self {
        match source {
            Source::Reference { table, fan_out, .. } => {
                let parents = rows[*table];
                match fan_out {
                    FanOut::Uniform => Self::Uniform { parents },
                    FanOut::Ordered { share } => Self::Ordered { parents, share: *share, rows: own_rows },
                    FanOut::Once { .. } => Self::Once { parents },
                    FanOut::Zipf { exponent } => Self::Zipf { parents, zipf: Zipf::new(parents, *exponent) },
                    FanOut::Each { min, max } => Self::Each {
                        each: Each { min: *min, max: *max, parents, children: own_rows },
                        key: key.name("fan_out"),
                    },
                    FanOut::Spread(spread) => {
                        Self::Counted(Children::new(spread, parents, own_rows, key.name("fan_out")))
                    }
                    FanOut::Pairs { through, exponent, .. } => {
                        let pairs = Pairs::new(parents, *exponent, key.name("pairs"));
                        Self::Pairs { through: *through, pairs: Box::new(pairs) }
                    }
                }
            }
            Source::Tree { roots, depth, .. } => {
                Self::Tree { roots: *roots, branches: branches(own_rows, *roots, *depth) }
            }
            _ => Self::None,
        }
    }
}

/// Where a row stands among values in their order, from 0 to 1: a share of the rows where the order puts it, the others
/// anywhere. The rank correlation of such a mixture is that share.
fn in_order(row: u64, rows: u64, share: f64, stream: &mut Stream) -> f64 {
    let strays = stream.unit() >= share.abs();
    let unit = stream.unit();
    let in_order = (row as f64 + unit) / rows as f64;
    match (strays, share < 0.0) {
        (true, _) => unit,
        (false, true) => 1.0 - in_order,
        (false, false) => in_order,
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
    // One that would leave 64 bits is refused before any row.
    start.saturating_add(step.saturating_mul(i64::try_from(row).unwrap_or(i64::MAX)))
}

/// The instant of a time or of the beginning of a day.
fn micros(time: Made) -> Option<i64> {
    match time {
        Made::Scalar(Slot::Timestamp(micros)) => Some(micros),
        Made::Scalar(Slot::Date(days)) => Some(i64::from(days) * 86_400_000_000),
        _ => None,
    }
}

/// The instant `lag` seconds after `earlier`; NULL where either is.
fn later(earlier: Made, lag: Made) -> Slot {
    let Some(earlier_us) = micros(earlier) else { return Slot::Null };
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
