//! Descriptions of columns against the columns that are there: every way in which they do not fit is a mistake at its place
//! in `workload.toml`, found before any row.

use super::form::{Form, Way};
use super::introspect::{Relation, RelationColumn};
use super::server::quoted;
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
    /// The column that numbers itself, if it is among them.
    pub(super) auto_increment: Option<String>,
}

/// A column that can be filled.
#[derive(Clone, Debug)]
pub(super) struct ColumnPlan {
    /// Index into the table's columns.
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) form: Form,
}

impl TablePlan {
    /// The statement that takes the rows; behind an INSERT stand the rows themselves.
    pub(super) fn statement(&self, way: Way) -> String {
        let names = self.columns.iter().map(|column| quoted(&column.name));
        if way == Way::Literals {
            return format!("INSERT INTO {} ({}) VALUES ", self.target, names.collect::<Vec<_>>().join(", "));
        }
        let mut fields = vec![];
        let mut made = vec![];
        for (index, (column, name)) in self.columns.iter().zip(names).enumerate() {
            let field = format!("@dbdyno_{index}");
            match column.form.expression_of(&field) {
                Some(expression) => {
                    made.push(format!("{name} = {expression}"));
                    fields.push(field);
                }
                None => fields.push(name),
            }
        }
        let set = if made.is_empty() { String::new() } else { format!(" SET {}", made.join(", ")) };
        format!(
            "LOAD DATA LOCAL INFILE 'dbdyno' INTO TABLE {} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' \
             ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({}){set}",
            self.target,
            fields.join(", ")
        )
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
                "not in the schema",
                likely(&described.name, names()).map(|name| format!("did you mean `{name}`?")),
            );
            continue;
        };
        match fit_column(table, there, index, position, dataset) {
            Ok(form) => columns.push(ColumnPlan {
                column: position,
                name: there.name.clone(),
                type_name: there.type_name.clone(),
                form,
            }),
            Err((message, label)) => mistakes.at(source, described.span.clone(), message, label, None),
        }
    }
    for missing in &relation.columns {
        if table.column(&missing.name).is_none()
            && missing.not_null
            && !missing.has_default
            && !missing.is_generated
        {
            mistakes.at(
                source,
                table.span.clone(),
                format!("column `{}` of table `{}` has no generator", missing.name, table.name),
                "NOT NULL without a default",
                Some(format!("describe it: `{} = {{ … }}` (it is a {})", missing.name, missing.type_name)),
            );
        }
    }
    let numbers_itself = relation.columns.iter().find(|column| column.is_auto_increment);
    TablePlan {
        table: index,
        name: table.name.clone(),
        target: relation.target.clone(),
        rows: dataset.rows(index),
        auto_increment: numbers_itself
            .filter(|column| table.column(&column.name).is_some())
            .map(|column| column.name.clone()),
        columns,
    }
}

/// The form of a column's values, or message and label of why it cannot have them.
fn fit_column(
    table: &Table,
    there: &RelationColumn,
    index: usize,
    position: usize,
    dataset: &Dataset,
) -> Result<Form, (String, String)> {
    let name = format!("`{}.{}`", table.name, there.name);
    if there.is_generated {
        return Err((
            format!("{name} is computed by the server"),
            "GENERATED ALWAYS: takes no value".to_owned(),
        ));
    }
    let kind = dataset.kind(index, position);
    let form = Form::of(there).ok_or_else(|| {
        (format!("{name} is a {}", there.type_name), "no generator makes this type".to_owned())
    })?;
    if !form.takes(kind) {
        let elements = dataset.element_kind(index, position);
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
    if let (Some((least, most)), Some((min, max))) = (form.int_range(), dataset.int_range(index, position))
        && (min < least || max > most)
    {
        return Err((
            format!("{name} is a {}, and its generator makes {min} to {max}", there.type_name),
            format!("holds {least} to {most}"),
        ));
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_travel_as_digits_and_everything_else_as_it_is() {
        let column = |name: &str, form| ColumnPlan {
            column: 0,
            name: name.to_owned(),
            type_name: String::new(),
            form,
        };
        let plan = TablePlan {
            table: 0,
            name: "t".to_owned(),
            target: "`t`".to_owned(),
            rows: 1,
            columns: vec![column("id", Form::Float), column("by`te", Form::Bytes { longest: 9 })],
            auto_increment: None,
        };
        assert_eq!(plan.statement(Way::Literals), "INSERT INTO `t` (`id`, `by``te`) VALUES ");
        assert_eq!(
            plan.statement(Way::Stream),
            "LOAD DATA LOCAL INFILE 'dbdyno' INTO TABLE `t` CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY \
             '\\\\' LINES TERMINATED BY '\\n' (`id`, @dbdyno_1) SET `by``te` = UNHEX(@dbdyno_1)"
        );
    }
}
