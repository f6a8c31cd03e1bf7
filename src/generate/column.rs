//! Generators of columns: what a row's number, its other columns and the rows it refers to make of it. Checked here against
//! the whole document; evaluated by [`super::Dataset`], which alone knows all tables.

use super::ValueKind;
use super::resolve::{Scope, acyclic};
use super::spec::{
    AfterSpec, ColumnSpec, FanOutSpec, ReferenceSpec, Refusal, RowSpec, ScopeTable, TreeSpec, ValueSpec,
};
use super::template::Template;
use super::time::TimeRange;
use super::value::{ValueGenerator, exponent, fraction, upwards};

/// A generator of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnGenerator {
    pub(super) null_fraction: f64,
    pub(super) source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Value(ValueGenerator),
    /// A time that follows the order of the rows.
    Correlated {
        range: TimeRange,
        correlation: f64,
        day: bool,
    },
    Template(Template),
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
        base: Base,
        lag_s: ValueGenerator,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FanOut {
    Uniform,
    Zipf { exponent: f64 },
    Each { min: u64, max: u64 },
}

/// Where an earlier time stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Base {
    Own { column: usize },
    Through { through: usize, table: usize, column: usize },
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
        fraction("null_fraction", null_fraction)?;
        let scope = Scope { tables, table };
        let source = match spec {
            ColumnSpec::Value(spec) => build_value(spec, &scope)?,
            ColumnSpec::Row(spec) => build_row(spec, &scope)?,
        };
        acyclic(tables, table, column)?;
        Ok(Self { null_fraction, source })
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

fn build_value(spec: &ValueSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    Ok(match spec {
        ValueSpec::Template(text) => {
            Source::Template(Template::parse(text, &scope.column_names(scope.table))?)
        }
        ValueSpec::Timestamp(time) | ValueSpec::Date(time) if time.correlation != 0.0 => Source::Correlated {
            range: TimeRange::new(time)?,
            correlation: time.correlation,
            day: matches!(spec, ValueSpec::Date(_)),
        },
        _ => Source::Value(ValueGenerator::build(spec)?),
    })
}

fn build_row(spec: &RowSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    Ok(match spec {
        RowSpec::Sequence(spec) => {
            if spec.step == 0 {
                return Err(Refusal::new("`step` is 0", "a sequence counts up or down")
                    .help("for one value write `constant`"));
            }
            Source::Sequence { start: spec.start, step: spec.step }
        }
        RowSpec::Reference(spec) => build_reference(spec, scope)?,
        RowSpec::Tree(spec) => build_tree(spec, scope)?,
        RowSpec::Lookup(spec) => {
            let (through, table) = scope.parent(&spec.through)?;
            Source::Lookup { through, table, column: scope.column(table, &spec.column)? }
        }
        RowSpec::Ordinal(spec) => {
            let (through, _) = scope.parent(&spec.through)?;
            let each = matches!(
                scope.spec(scope.table, through),
                Some(ColumnSpec::Row(RowSpec::Reference(ReferenceSpec { fan_out: FanOutSpec::Each(_), .. })))
            );
            if !each {
                return Err(Refusal::new(
                    format!("the children that `{}` refers with are not numbered", spec.through),
                    "only a reference with `fan_out = { each = … }` counts them",
                ));
            }
            Source::Ordinal { through }
        }
        RowSpec::After(spec) => build_after(spec, scope)?,
    })
}

fn build_reference(spec: &ReferenceSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    let table = scope.table_named(&spec.table)?;
    if table == scope.table {
        return Err(Refusal::new(format!("`{}` refers to itself", spec.table), "the own table")
            .help("write `tree = { depth = 3, roots = 8 }`"));
    }
    let column = scope.key_column(table, spec.column.as_deref())?;
    let fan_out = match spec.fan_out {
        FanOutSpec::Uniform => FanOut::Uniform,
        FanOutSpec::Zipf(s) => {
            exponent(s)?;
            FanOut::Zipf { exponent: s }
        }
        FanOutSpec::Each([min, max]) => {
            upwards(&min, &max)?;
            let (min, max) = (u64::from(min), u64::from(max));
            let (parents, children) = (scope.tables[table].rows, scope.tables[scope.table].rows);
            if children < parents.saturating_mul(min) || children > parents.saturating_mul(max) {
                return Err(Refusal::new(
                    format!(
                        "{children} rows cannot be {min} to {max} for each of the {parents} rows of `{}`",
                        spec.table
                    ),
                    "does not match the `rows` of the two tables",
                )
                .help(format!(
                    "set `rows` between {} and {}",
                    parents.saturating_mul(min),
                    parents.saturating_mul(max)
                )));
            }
            FanOut::Each { min, max }
        }
    };
    Ok(Source::Reference { table, column, fan_out })
}

fn build_tree(spec: &TreeSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    if spec.depth < 2 || spec.depth > 64 {
        return Err(Refusal::new(format!("a tree of depth {}", spec.depth), "from 2 to 64 levels"));
    }
    if spec.roots == 0 {
        return Err(Refusal::new("a tree without roots", "at least 1"));
    }
    let column = scope.key_column(scope.table, spec.column.as_deref())?;
    Ok(Source::Tree { table: scope.table, column, roots: spec.roots, depth: spec.depth })
}

fn build_after(spec: &AfterSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    let base = match &spec.through {
        None => Base::Own { column: scope.column(scope.table, &spec.column)? },
        Some(through) => {
            let (through, table) = scope.parent(through)?;
            Base::Through { through, table, column: scope.column(table, &spec.column)? }
        }
    };
    let (table, column) = match base {
        Base::Own { column } => (scope.table, column),
        Base::Through { table, column, .. } => (table, column),
    };
    if let Some(ColumnSpec::Value(other)) = scope.spec(table, column)
        && !matches!(other, ValueSpec::Timestamp(_) | ValueSpec::Date(_))
    {
        return Err(Refusal::new(
            format!("`{}` is not a time", spec.column),
            "a `timestamp` or `date` is wanted",
        ));
    }
    let lag_s = ValueGenerator::build(&spec.lag_s)?;
    if !matches!(lag_s.kind(), ValueKind::Int | ValueKind::Decimal) {
        return Err(Refusal::new("`lag_s` is not a number of seconds", "a generator of numbers is wanted"));
    }
    Ok(Source::After { base, lag_s })
}
