//! Generators that need their row, the rows it refers to, or its other columns.

use super::super::ValueKind;
use super::super::column::{Cell, Source};
use super::super::expression::{ExpressionError, Name, parse};
use super::super::resolve::Scope;
use super::super::spec::{
    AfterSpec, ColumnSpec, ConditionalSpec, FanOutSpec, Modifiers, ReferenceSpec, Refusal, RowSpec, TreeSpec,
};
use super::super::value::ValueGenerator;
use super::{no_correlation, reference};

pub(super) fn source(spec: &RowSpec, modifiers: &Modifiers, scope: &Scope<'_>) -> Result<Source, Refusal> {
    if !matches!(spec, RowSpec::Reference(_)) {
        no_correlation(modifiers, "these values follow from the row")?;
        if modifiers.unique && !matches!(spec, RowSpec::Sequence(_)) {
            return Err(Refusal::new("nothing keeps these values apart", "`unique` cannot be held"));
        }
    }
    Ok(match spec {
        RowSpec::Sequence(spec) => {
            if spec.step == 0 {
                return Err(Refusal::new("`step` is 0", "a sequence counts up or down")
                    .help("for one value write `constant`"));
            }
            Source::Sequence { start: spec.start, step: spec.step }
        }
        RowSpec::Reference(spec) => reference::source(spec, modifiers, scope)?,
        RowSpec::Tree(spec) => tree(spec, scope)?,
        RowSpec::Lookup(spec) => {
            let (through, table) = scope.parent(&spec.through)?;
            Source::Lookup { through, table, column: scope.column(table, &spec.column)? }
        }
        RowSpec::Ordinal(spec) => {
            let (through, _) = scope.parent(&spec.through)?;
            let counts = matches!(
                scope.spec(scope.table, through),
                Some(ColumnSpec::Row(RowSpec::Reference(ReferenceSpec {
                    fan_out: FanOutSpec::Each(_) | FanOutSpec::Normal(_) | FanOutSpec::Histogram(_),
                    ..
                })))
            );
            if !counts {
                return Err(Refusal::new(
                    format!("the children that `{}` refers with are not numbered", spec.through),
                    "only a reference with `fan_out = { each = … }` counts them",
                )
                .help("`normal` and `histogram` count them as well"));
            }
            Source::Ordinal { through }
        }
        RowSpec::After(spec) => after(spec, scope)?,
        RowSpec::Expression(text) => expression(text, scope)?,
        RowSpec::Conditional(spec) => conditional(spec, scope)?,
    })
}

fn tree(spec: &TreeSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    if spec.depth < 2 || spec.depth > 64 {
        return Err(Refusal::new(format!("a tree of depth {}", spec.depth), "from 2 to 64 levels"));
    }
    if spec.roots == 0 {
        return Err(Refusal::new("a tree without roots", "at least 1"));
    }
    let column = scope.key_column(scope.table, spec.column.as_deref())?;
    Ok(Source::Tree { table: scope.table, column, roots: spec.roots, depth: spec.depth })
}

fn after(spec: &AfterSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    let base = cell(scope, spec.through.as_deref(), &spec.column)?;
    let (table, column) = base.place(scope.table);
    if !matches!(scope.kind(table, column), None | Some(ValueKind::Timestamp | ValueKind::Date)) {
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

fn cell(scope: &Scope<'_>, through: Option<&str>, column: &str) -> Result<Cell, Refusal> {
    Ok(match through {
        None => Cell::Own { column: scope.column(scope.table, column)? },
        Some(through) => {
            let (through, table) = scope.parent(through)?;
            Cell::Through { through, table, column: scope.column(table, column)? }
        }
    })
}

impl Cell {
    /// Table and column, for a row of `own`.
    pub(in crate::generate) fn place(self, own: usize) -> (usize, usize) {
        match self {
            Self::Own { column } => (own, column),
            Self::Through { table, column, .. } => (table, column),
        }
    }
}

fn expression(text: &str, scope: &Scope<'_>) -> Result<Source, Refusal> {
    let refused = |error: ExpressionError| Refusal {
        help: error.help,
        ..Refusal::new(error.message, error.label).within(text, error.at)
    };
    let parsed = parse(text).map_err(refused)?;
    let resolved = parsed.resolve(&mut |name: &Name, at| {
        cell(scope, name.through.as_deref(), &name.column).map_err(|refusal| refusal.within(text, at.clone()))
    })?;
    // A column whose own mistake was reported has no kind: whatever is said about it would be wrong.
    let mut cells = vec![];
    resolved.names(&mut cells);
    let kinds: Option<Vec<(Cell, ValueKind)>> = cells
        .into_iter()
        .map(|cell| {
            let (table, column) = cell.place(scope.table);
            Some((*cell, scope.kind(table, column)?))
        })
        .collect();
    let Some(kinds) = kinds else {
        return Ok(Source::Expression { expression: resolved, kind: ValueKind::Int });
    };
    let kind_of =
        |cell: &Cell| kinds.iter().find(|(known, _)| known == cell).map_or(ValueKind::Int, |(_, kind)| *kind);
    let kind = resolved.kind(&kind_of).map_err(refused)?;
    Ok(Source::Expression { expression: resolved, kind })
}

fn conditional(spec: &ConditionalSpec, scope: &Scope<'_>) -> Result<Source, Refusal> {
    let on = scope.column(scope.table, &spec.on)?;
    if spec.when.0.is_empty() && spec.otherwise.is_none() {
        return Err(Refusal::new("`when` is empty", "at least one value is wanted, or an `else`"));
    }
    let possible = scope.possible(scope.table, on);
    let mut branches = Vec::with_capacity(spec.when.0.len());
    for (value, generator) in &spec.when.0 {
        if let Some(possible) = &possible
            && !possible.contains(value)
        {
            let what = format!("value of `{}`", spec.on);
            let refusal = Refusal::unknown(&what, value, "never comes", possible.iter().map(String::as_str));
            return Err(refusal.within(&format!("{value} ="), 0..value.len()));
        }
        let generator = ValueGenerator::build(generator).map_err(|refusal| Refusal {
            message: format!("for `{value}`: {}", refusal.message),
            ..refusal
        })?;
        branches.push((value.clone(), generator));
    }
    let otherwise = spec.otherwise.as_deref().map(ValueGenerator::build).transpose()?;
    let kind = common_kind(branches.iter().map(|(_, generator)| generator).chain(&otherwise))?;
    branches.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Source::Conditional { on, branches, otherwise, kind, draw: spec.draw })
}

/// The kind of values of a conditional column.
pub(in crate::generate) fn kind_of_branches(spec: &ConditionalSpec) -> Result<ValueKind, Refusal> {
    let all = spec.when.0.iter().map(|(_, generator)| generator).chain(spec.otherwise.as_deref());
    let all: Vec<ValueGenerator> = all.map(ValueGenerator::build).collect::<Result<_, _>>()?;
    common_kind(all.iter())
}

/// The kind of values that all branches make.
fn common_kind<'a>(all: impl Iterator<Item = &'a ValueGenerator>) -> Result<ValueKind, Refusal> {
    let mut found: Option<ValueKind> = None;
    for generator in all {
        let kind = generator.kind();
        found = Some(match found {
            None => kind,
            Some(other) if other == kind => kind,
            Some(other) if other.is_number() && kind.is_number() => {
                if other == ValueKind::Float || kind == ValueKind::Float {
                    ValueKind::Float
                } else {
                    ValueKind::Decimal
                }
            }
            Some(other)
                if [other, kind].iter().any(|kind| matches!(kind, ValueKind::Bytes | ValueKind::List)) =>
            {
                return Err(Refusal::new(
                    format!("one branch makes {}, another {}", other.in_words(), kind.in_words()),
                    "a column holds one kind of values",
                ));
            }
            // Postcodes are numbers in one country and texts in another: in the column they are texts.
            Some(_) => ValueKind::Text,
        });
    }
    found.ok_or_else(|| Refusal::new("`when` is empty", "at least one value is wanted"))
}
