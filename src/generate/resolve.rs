//! Names in the descriptions of columns, looked up among the tables of the document, and the order in which columns need
//! one another. Knows descriptions only, no values.

use super::ValueKind;
use super::expression::{Name, parse};
use super::spec::{ColumnSpec, HistogramSpec, Refusal, RowSpec, ScopeTable, ValueSpec};
use super::template::Template;
use super::value::ValueGenerator;

/// Columns that are followed from one to the next before it is taken for a circle, which is refused elsewhere.
const STEPS_MAX: u32 = 64;

/// Values of other columns that one value may be made of, those that they are made of included.
const VALUES_MAX: u64 = 10_000;

/// Columns and their kinds.
type Kinds = Vec<((usize, usize), Option<ValueKind>)>;

/// The document as one table sees it.
pub(super) struct Scope<'a> {
    pub(super) tables: &'a [ScopeTable],
    pub(super) table: usize,
}

impl<'a> Scope<'a> {
    pub(super) fn table_named(&self, name: &str) -> Result<usize, Refusal> {
        let names = || self.tables.iter().map(|table| table.name.as_str());
        names()
            .position(|table| table == name)
            .ok_or_else(|| Refusal::unknown("table", name, "not described here", names()))
    }

    pub(super) fn column_names(&self, table: usize) -> Vec<&'a str> {
        self.tables[table].columns.iter().map(|column| column.name.as_str()).collect()
    }

    pub(super) fn column(&self, table: usize, name: &str) -> Result<usize, Refusal> {
        let names = self.column_names(table);
        names.iter().position(|column| *column == name).ok_or_else(|| {
            let what = format!("column of `{}`", self.tables[table].name);
            Refusal::unknown(&what, name, "not described there", names.iter().copied())
        })
    }

    pub(super) fn spec(&self, table: usize, column: usize) -> Option<&'a ColumnSpec> {
        self.tables[table].columns[column].spec.as_ref()
    }

    /// The column that a reference means: the one it names, else the only sequence.
    pub(super) fn key_column(&self, table: usize, named: Option<&str>) -> Result<usize, Refusal> {
        if let Some(name) = named {
            return self.column(table, name);
        }
        let columns = &self.tables[table].columns;
        let mut sequences = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| matches!(column.spec, Some(ColumnSpec::Row(RowSpec::Sequence(_)))));
        match (sequences.next(), sequences.next()) {
            (Some((column, _)), None) => Ok(column),
            _ => Err(Refusal::new(
                format!("which column of `{}` is meant is not clear", self.tables[table].name),
                "it has no single `sequence`",
            )
            .help("name it: `column = \"…\"`")),
        }
    }

    /// A column of the own table that refers to another, and the table it refers to.
    pub(super) fn parent(&self, through: &str) -> Result<(usize, usize), Refusal> {
        let column = self.column(self.table, through)?;
        let table = match self.spec(self.table, column) {
            Some(ColumnSpec::Row(RowSpec::Reference(reference))) => self.table_named(&reference.table)?,
            Some(ColumnSpec::Row(RowSpec::Tree(_))) => self.table,
            _ => {
                return Err(Refusal::new(
                    format!("`{through}` refers to no table"),
                    "`through` wants a column that is a `reference`",
                ));
            }
        };
        Ok((column, table))
    }

    /// What kind of values a column holds, where its description says so without a mistake.
    pub(super) fn kind(&self, table: usize, column: usize) -> Option<ValueKind> {
        self.kind_within((table, column), STEPS_MAX, &mut Vec::new())
    }

    /// `known` are the columns that were looked at already: many may need the same one.
    fn kind_within(&self, at: (usize, usize), steps: u32, known: &mut Kinds) -> Option<ValueKind> {
        if let Some((_, kind)) = known.iter().find(|(known, _)| *known == at) {
            return *kind;
        }
        let kind = self.kind_of(at, steps.checked_sub(1)?, known);
        known.push((at, kind));
        kind
    }

    fn kind_of(&self, (table, column): (usize, usize), steps: u32, known: &mut Kinds) -> Option<ValueKind> {
        let scope = Scope { tables: self.tables, table };
        match self.spec(table, column)? {
            ColumnSpec::Value(spec) => Some(match spec {
                ValueSpec::Timestamp(_) => ValueKind::Timestamp,
                ValueSpec::Date(_) => ValueKind::Date,
                ValueSpec::Uuid(_) => ValueKind::Uuid,
                ValueSpec::Template(_) => ValueKind::Text,
                // Its own rows may say how many distinct values it has; what they are does not depend on that.
                ValueSpec::Histogram(spec) => {
                    let spec = HistogramSpec { distinct: None, ..spec.clone() };
                    ValueGenerator::build(&ValueSpec::Histogram(spec)).ok()?.kind()
                }
                spec => ValueGenerator::build(spec).ok()?.kind(),
            }),
            ColumnSpec::Row(RowSpec::Sequence(_) | RowSpec::Ordinal(_)) => Some(ValueKind::Int),
            ColumnSpec::Row(RowSpec::After(_)) => Some(ValueKind::Timestamp),
            ColumnSpec::Row(RowSpec::Conditional(spec)) => super::build::kind_of_branches(spec).ok(),
            ColumnSpec::Row(RowSpec::Expression(text)) => {
                let expression = parse(text).ok()?;
                let mut names = vec![];
                expression.names(&mut names);
                let mut kinds = vec![];
                for name in names {
                    kinds.push((name, self.kind_within(scope.named(name)?, steps, known)?));
                }
                let kind_of =
                    |name: &Name| kinds.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
                expression.kind(&|name| kind_of(name).unwrap_or(ValueKind::Int)).ok()
            }
            ColumnSpec::Row(_) => self.kind_within(*scope.needs(column).first()?, steps, known),
        }
    }

    /// All values that a column can have, as text, where its description lists them.
    pub(super) fn possible(&self, table: usize, column: usize) -> Option<Vec<String>> {
        let (mut table, mut column) = (table, column);
        for _ in 0..STEPS_MAX {
            match self.spec(table, column)? {
                ColumnSpec::Value(ValueSpec::Weighted(weights)) => {
                    return Some(weights.0.iter().map(|(name, _)| name.clone()).collect());
                }
                ColumnSpec::Value(ValueSpec::Boolean(_)) => return Some(vec!["true".into(), "false".into()]),
                ColumnSpec::Row(RowSpec::Lookup(_)) => {
                    (table, column) = Scope { tables: self.tables, table }.needs(column).first().copied()?;
                }
                _ => return None,
            }
        }
        None
    }

    /// Where a name of an expression stands.
    fn named(&self, name: &Name) -> Option<(usize, usize)> {
        let table = match &name.through {
            Some(through) => self.parent(through).ok()?.1,
            None => self.table,
        };
        Some((table, self.column(table, &name.column).ok()?))
    }

    /// The columns whose values the value of `column` of the own table needs. Names that mean nothing are passed over: they
    /// are refused where they stand.
    fn needs(&self, column: usize) -> Vec<(usize, usize)> {
        let key = |table: usize, named: Option<&str>| {
            self.key_column(table, named).ok().map(|column| (table, column))
        };
        let own = |name: &str| self.column(self.table, name).ok().map(|column| (self.table, column));
        let beyond = |through: &str, name: &str| {
            let (_, table) = self.parent(through).ok()?;
            Some((table, self.column(table, name).ok()?))
        };
        match self.spec(self.table, column) {
            Some(ColumnSpec::Value(ValueSpec::Template(text))) => {
                Template::parse(text, &self.column_names(self.table))
                    .map(|template| template.columns().map(|column| (self.table, column)).collect())
                    .unwrap_or_default()
            }
            Some(ColumnSpec::Row(spec)) => match spec {
                RowSpec::Sequence(_) | RowSpec::Ordinal(_) => None,
                RowSpec::Reference(spec) => {
                    self.table_named(&spec.table).ok().and_then(|table| key(table, spec.column.as_deref()))
                }
                RowSpec::Tree(spec) => key(self.table, spec.column.as_deref()),
                RowSpec::Lookup(spec) => beyond(&spec.through, &spec.column),
                RowSpec::After(spec) => match &spec.through {
                    Some(through) => beyond(through, &spec.column),
                    None => own(&spec.column),
                },
                RowSpec::Conditional(spec) => own(&spec.on),
                RowSpec::Expression(text) => {
                    let Ok(expression) = parse(text) else { return vec![] };
                    let mut names = vec![];
                    expression.names(&mut names);
                    return names.into_iter().filter_map(|name| self.named(name)).collect();
                }
            }
            .into_iter()
            .collect(),
            Some(ColumnSpec::Value(ValueSpec::Uuid(spec))) => {
                spec.at.as_deref().and_then(own).into_iter().collect()
            }
            Some(ColumnSpec::Value(_)) | None => vec![],
        }
    }
}

/// Refuses a column whose value would need itself: also the one that looks itself up in the parent row of a tree, since how
/// far that would climb is not known beforehand.
pub(super) fn acyclic(tables: &[ScopeTable], table: usize, column: usize) -> Result<(), Refusal> {
    let mut seen = vec![];
    let mut open = Scope { tables, table }.needs(column);
    while let Some((at_table, at_column)) = open.pop() {
        if (at_table, at_column) == (table, column) {
            let name = format!("{}.{}", tables[table].name, tables[table].columns[column].name);
            return Err(Refusal::new(format!("the value of `{name}` would need itself"), "part of a circle"));
        }
        if !seen.contains(&(at_table, at_column)) {
            seen.push((at_table, at_column));
            open.extend(Scope { tables, table: at_table }.needs(at_column));
        }
    }
    Ok(())
}

/// Refuses a column whose value is made of so many others, which are made of others again, that a row would take time without
/// end.
pub(super) fn affordable(tables: &[ScopeTable], table: usize, column: usize) -> Result<(), Refusal> {
    let values = values_needed(tables, (table, column), &mut Vec::new());
    if values <= VALUES_MAX {
        return Ok(());
    }
    let name = format!("{}.{}", tables[table].name, tables[table].columns[column].name);
    let message = format!("each value of `{name}` is made of too many others");
    Err(Refusal::new(message, format!("at most {VALUES_MAX}, counting those that they are made of"))
        .help("name a column that is made of others less often"))
}

fn values_needed(
    tables: &[ScopeTable],
    (table, column): (usize, usize),
    known: &mut Vec<((usize, usize), u64)>,
) -> u64 {
    if let Some((_, values)) = known.iter().find(|(at, _)| *at == (table, column)) {
        return *values;
    }
    // A circle that it leads into is refused elsewhere.
    let index = known.len();
    known.push(((table, column), 0));
    let needs = Scope { tables, table }.needs(column);
    let values = needs
        .into_iter()
        .fold(0_u64, |sum, at| sum.saturating_add(1).saturating_add(values_needed(tables, at, known)));
    known[index].1 = values;
    values
}
