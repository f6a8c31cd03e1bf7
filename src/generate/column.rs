//! Generators of columns: what a row's number, its other columns and the rows it refers to make of it. Built by
//! [`super::build`]; evaluated by [`super::Dataset`], which alone knows all tables.

use super::build;
use super::children::Spread;
use super::distinct::Distinct;
use super::expression::Expression;
use super::histogram::Histogram;
use super::placement::share_of;
use super::quantile::Quantile;
use super::spec::{ColumnSpec, DrawSpec, Modifiers, Refusal, ScopeColumn, ScopeTable};
use super::template::Template;
use super::value::ValueGenerator;
use super::{ValueKind, fan_out};

/// A generator of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnGenerator {
    pub(super) null_fraction: f64,
    /// The rows in which it alone of several columns may have a value.
    pub(super) turn: Option<Turn>,
    pub(super) source: Source,
}

/// Which rows are those of one of several columns that exclude each other: all rows are dealt out to them in an order of their own, of
/// which each column has a stretch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    /// What these columns have in common.
    pub(super) name: String,
    /// Shares of the rows between which it has values.
    pub(super) from: f64,
    pub(super) to: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Value(ValueGenerator),
    /// Values that follow the order of the rows, in a share of the rows.
    Ordered {
        quantile: Quantile,
        share: f64,
    },
    /// Values that are dealt out: every row has a place of its own among them.
    Placed {
        values: Placed,
        share: f64,
    },
    Template(Template),
    /// A UUID of the time of another column.
    Uuid7 {
        at: usize,
    },
    Sequence {
        start: i64,
        step: i64,
    },
    Reference {
        table: usize,
        column: usize,
        fan_out: FanOut,
    },
    Tree {
        table: usize,
        column: usize,
        roots: u64,
        depth: u32,
    },
    /// `through` is a column of the own table.
    Lookup {
        through: usize,
        table: usize,
        column: usize,
    },
    Ordinal {
        through: usize,
    },
    After {
        base: Cell,
        lag_s: ValueGenerator,
    },
    Expression {
        expression: Expression<Cell>,
        kind: ValueKind,
    },
    Conditional {
        on: usize,
        /// In the order of the values as text.
        branches: Vec<(String, ValueGenerator)>,
        otherwise: Option<ValueGenerator>,
        kind: ValueKind,
        draw: DrawSpec,
    },
}

/// What is dealt out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Placed {
    Histogram { histogram: Box<Histogram>, is_unique: bool },
    Distinct(Distinct),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum FanOut {
    Uniform,
    /// Every parent alike, in their order as far as a share of the rows is concerned.
    Ordered {
        share: f64,
    },
    /// No parent twice.
    Once {
        share: f64,
    },
    Zipf {
        exponent: f64,
    },
    Each {
        min: u64,
        max: u64,
    },
    Spread(Spread),
    /// Other parents for each child of the row that column `through` refers to.
    Pairs {
        through: usize,
        /// How that column refers, and to which table.
        first: Box<FanOut>,
        first_table: usize,
        exponent: Option<f64>,
    },
}

/// Where another value stands: in the own row, or in the one that a column refers to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    Own { column: usize },
    Through { through: usize, table: usize, column: usize },
}

impl ColumnGenerator {
    /// Checks the description of column `column` of `tables[table]` and makes the generator. References become indexes into
    /// `tables`.
    pub fn build(
        spec: &ColumnSpec,
        modifiers: &Modifiers,
        tables: &[ScopeTable],
        table: usize,
        column: usize,
    ) -> Result<Self, Refusal> {
        let source = build::source(spec, modifiers, tables, table, column)?;
        let turn = modifiers.exclusive.as_ref().map(|name| Turn::of(name, &tables[table].columns, column));
        let generator = Self { null_fraction: modifiers.null_fraction, turn: turn.transpose()?, source };
        let rows: Vec<u64> = tables.iter().map(|table| table.rows).collect();
        generator.refusal(&rows, table).map_or(Ok(generator), Err)
    }

    /// Why the column cannot be made for tables with so many `rows`, if it cannot: at one scale a column can be unique, and
    /// at a larger one no longer.
    pub(super) fn refusal(&self, rows: &[u64], table: usize) -> Option<Refusal> {
        let values = self.values(rows[table]);
        let too_few = |room: u64| {
            (room < values).then(|| {
                Refusal::new(
                    format!("{values} rows cannot have different values, there are {room}"),
                    "`unique` asks for more values than there are",
                )
            })
        };
        match &self.source {
            Source::Placed { values: Placed::Distinct(distinct), .. } => too_few(distinct.room()),
            Source::Placed { values: Placed::Histogram { histogram, is_unique: true }, .. } => {
                histogram.lacking(rows[table], values, 1.0).and_then(|(room, _)| too_few(room))
            }
            Source::Reference { table: other, fan_out: FanOut::Once { .. }, .. } => too_few(rows[*other]),
            Source::Reference { table: other, fan_out: FanOut::Pairs { first, first_table, .. }, .. } => {
                let most = first.most(rows[*first_table], rows[table]);
                (most > rows[*other]).then(|| {
                    Refusal::new(
                        format!("{most} different rows for one parent, where there are {}", rows[*other]),
                        "more pairs than there can be",
                    )
                })
            }
            Source::Sequence { start, step } => {
                let last = i64::try_from(rows[table].saturating_sub(1)).ok();
                let last = last.and_then(|row| start.checked_add(step.checked_mul(row)?));
                last.is_none().then(|| {
                    let message = format!("the sequence leaves 64 bits before its {} rows end", rows[table]);
                    Refusal::new(message, "a smaller `step` is wanted")
                })
            }
            _ => None,
        }
    }

    /// How many of so many rows have a value.
    pub(super) fn values(&self, rows: u64) -> u64 {
        match &self.turn {
            Some(turn) => share_of(rows, turn.to) - share_of(rows, turn.from),
            None => rows - share_of(rows, self.null_fraction),
        }
    }

    /// The tables (indexes) that must hold their rows before this column can.
    #[must_use]
    pub fn refers_to(&self) -> Vec<usize> {
        match &self.source {
            Source::Reference { table, .. } => vec![*table],
            _ => vec![],
        }
    }

    /// Share of its values that are NULL because the description says so, from 0 to 1.
    #[must_use]
    pub fn null_fraction(&self) -> f64 {
        self.null_fraction
    }
}

impl Turn {
    /// The stretch of one of the columns of a table, which lie beside one another in the order of the document.
    fn of(name: &str, columns: &[ScopeColumn], column: usize) -> Result<Self, Refusal> {
        // Shares are written with a few digits.
        const WHOLE: f64 = 1e-4;
        let is_one = |of: &&ScopeColumn| of.modifiers.exclusive.as_deref() == Some(name);
        if columns.iter().filter(is_one).count() < 2 {
            let names =
                columns.iter().filter(|of| !is_one(of)).filter_map(|of| of.modifiers.exclusive.as_deref());
            let likely = crate::diagnostic::likely(name, names);
            let refusal = Refusal::new(
                format!("no other column of the table says `exclusive = \"{name}\"`"),
                "it excludes nothing by itself",
            );
            return Err(match likely {
                Some(likely) => refusal.help(format!("did you mean `{likely}`?")),
                None => refusal.help("give the columns that exclude each other the same name"),
            });
        }
        let sum = |columns: &[ScopeColumn]| -> f64 {
            columns.iter().filter(is_one).map(|of| 1.0 - of.modifiers.null_fraction).sum()
        };
        let all = sum(columns);
        if all > 1.0 + WHOLE {
            return Err(Refusal::new(
                format!("the columns that share `exclusive = \"{name}\"` have values in {:.1} % of the rows together", 100.0 * all),
                "each row has a value in one of them at most",
            )
            .help("give each a `null_fraction`: their shares of values add up to at most 1"));
        }
        // What rounding leaves open belongs to one of them.
        let whole = if all > 1.0 - WHOLE { all } else { 1.0 };
        let (from, to) = (sum(&columns[..column]) / whole, sum(&columns[..=column]) / whole);
        Ok(Self { name: name.to_owned(), from: from.min(1.0), to: to.min(1.0) })
    }
}

impl FanOut {
    /// The most children that one of `parents` has, where they are counted; else none.
    fn most(&self, parents: u64, children: u64) -> u64 {
        match self {
            Self::Each { min, max } => fan_out::Each { min: *min, max: *max, parents, children }.most(),
            Self::Spread(spread) => spread.most(parents, children),
            _ => 0,
        }
    }

    /// Whether the children of each parent are counted.
    pub(super) fn counts(&self) -> bool {
        matches!(self, Self::Each { .. } | Self::Spread(_))
    }
}
