//! Descriptions of columns against the columns that are there: every way in which they do not fit is a mistake at its place
//! in `workload.toml`, found before any row.

use super::introspect::{Relation, RelationColumn};
use super::server::quoted;
use super::wire::Wire;
use crate::diagnostic::{Mistakes, likely};
use crate::generate::Dataset;
use crate::workload::Table;

/// A table that can be filled.
#[derive(Clone, Debug)]
pub(super) struct TablePlan {
    /// Index into the workload's tables.
    pub(super) table: usize,
    /// As the document names it.
    pub(super) name: String,
    /// As SQL names it.
    pub(super) target: String,
    pub(super) rows: u64,
    /// In the order in which they are sent.
    pub(super) columns: Vec<ColumnPlan>,
}

/// A column that can be filled.
#[derive(Clone, Debug)]
pub(super) struct ColumnPlan {
    /// Index into the table's columns.
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) wire: Wire,
}

impl TablePlan {
    /// The statement that takes the rows; `options` stand behind the format: `, FREEZE`.
    pub(super) fn copy(&self, options: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        format!("COPY {} ({}) FROM STDIN WITH (FORMAT binary{options})", self.target, columns.join(", "))
    }
}

/// Fits the description of `tables[index]` to what stands in the catalog. What does not fit is in `mistakes` and left out.
pub(super) fn fit(
    table: &Table,
    index: usize,
    dataset: &Dataset,
    relation: &Relation,
    source: usize,
    mistakes: &mut Mistakes,
) -> TablePlan {
    let names = || relation.columns.iter().map(|column| column.name.as_str());
    let mut columns = Vec::with_capacity(table.columns.len());
    for (position, described) in table.columns.iter().enumerate() {
        let Some(there) = relation.columns.iter().find(|column| column.name == described.name) else {
            mistakes.at(
                source,
                described.span.clone(),
                format!("table `{}` has no column `{}`", table.name, described.name),
                "not in schema.sql",
                likely(&described.name, names()).map(|name| format!("did you mean `{name}`?")),
            );
            continue;
        };
        match fit_column(table, there, index, position, dataset) {
            Ok(wire) => columns.push(ColumnPlan {
                column: position,
                name: there.name.clone(),
                type_name: there.type_name.clone(),
                wire,
            }),
            Err((message, label)) => mistakes.at(source, described.span.clone(), message, label, None),
        }
    }
    for missing in &relation.columns {
        if table.column(&missing.name).is_none() && missing.not_null && !missing.has_default {
            mistakes.at(
                source,
                table.span.clone(),
                format!("column `{}` of table `{}` has no generator", missing.name, table.name),
                "NOT NULL without a default",
                Some(format!("describe it: `{} = {{ … }}` (it is a {})", missing.name, missing.type_name)),
            );
        }
    }
    TablePlan {
        table: index,
        name: table.name.clone(),
        target: relation.target.clone(),
        rows: dataset.rows(index),
        columns,
    }
}

fn wire(there: &RelationColumn) -> Option<Wire> {
    match &there.element {
        Some(element) => Wire::array(element.oid, element.is_enum, element.is_string),
        None => Wire::of_type(there.type_oid, there.is_enum, there.is_string),
    }
}

/// The binary form of a column's values, or message and label of why it cannot have them.
fn fit_column(
    table: &Table,
    there: &RelationColumn,
    index: usize,
    position: usize,
    dataset: &Dataset,
) -> Result<Wire, (String, String)> {
    let name = format!("`{}.{}`", table.name, there.name);
    if there.is_generated {
        return Err((
            format!("{name} is computed by the server"),
            "GENERATED ALWAYS: takes no value".to_owned(),
        ));
    }
    let kind = dataset.kind(index, position);
    let wire = wire(there).ok_or_else(|| {
        (format!("{name} is a {}", there.type_name), "no generator makes this type".to_owned())
    })?;
    let elements = dataset.element_kind(index, position);
    if !wire.takes(kind, elements) {
        let made = elements.map_or(kind.in_words().to_owned(), |of| format!("lists of {}", of.in_words()));
        return Err((
            format!("{name} is a {}, and its generator makes {made}", there.type_name),
            format!("cannot be sent as {}", there.type_name),
        ));
    }
    if there.not_null && dataset.nullable(index, position) {
        return Err((
            format!("{name} is NOT NULL, and its generator makes NULLs"),
            "some are NULL".to_owned(),
        ));
    }
    if let (Some((least, most)), Some((min, max))) = (wire.int_range(), dataset.int_range(index, position))
        && (min < least || max > most)
    {
        return Err((
            format!("{name} is a {}, and its generator makes {min} to {max}", there.type_name),
            format!("holds {least} to {most}"),
        ));
    }
    Ok(wire)
}
