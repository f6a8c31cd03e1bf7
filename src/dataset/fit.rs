//! Descriptions of columns against the columns that are there: every way in which they do not fit is a mistake at its place
//! in `workload.toml`, found before any row. Knows no server: what a type of its own takes is for the type to say.

use crate::diagnostic::{Mistakes, likely};
use crate::generate::{Dataset, ValueKind};
use crate::workload::{SqlFile, Table, Workload};

/// A type of a server's, in the form in which values are sent to it.
pub(super) trait ColumnType: Copy {
    /// Whether values of a kind (lists of `elements`) can be sent as this type.
    fn takes(self, kind: ValueKind, elements: Option<ValueKind>) -> bool;

    /// Smallest and largest whole number that a type of integers holds; nothing where each that is made fits.
    fn int_range(self) -> Option<(i64, i64)>;
}

/// A column as it stands in the catalog.
#[derive(Clone, Debug)]
pub(super) struct TableColumn<T> {
    pub(super) name: String,
    /// As SQL writes it: `character varying(20)`.
    pub(super) type_name: String,
    /// Absent where nothing that is generated has this type.
    pub(super) of_type: Option<T>,
    pub(super) not_null: bool,
    /// It has a value where none is given: a default, or it numbers itself.
    pub(super) has_default: bool,
    /// It is computed from other columns and takes no value.
    pub(super) is_generated: bool,
}

/// A table that can be filled.
#[derive(Clone, Debug)]
pub(super) struct TablePlan<T> {
    /// Index into the workload's tables.
    pub(super) table: usize,
    /// As the document names it.
    pub(super) name: String,
    /// As SQL names it: qualified where it must be, and quoted.
    pub(super) target: String,
    pub(super) rows: u64,
    /// In the order in which they are sent.
    pub(super) columns: Vec<ColumnPlan<T>>,
}

/// A column that can be filled.
#[derive(Clone, Debug)]
pub(super) struct ColumnPlan<T> {
    /// Index into the table's columns.
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) of_type: T,
}

/// The tables that have a description, which are those that are filled, with their indexes.
pub(super) fn described(workload: &Workload) -> impl Iterator<Item = (usize, &Table)> {
    workload.tables.iter().enumerate().filter(|(_, table)| !table.columns.is_empty())
}

/// Descriptions that are held against what a schema made.
pub(super) struct Fitting<'a> {
    workload: &'a Workload,
    dataset: &'a Dataset,
    /// The name of its file.
    schema: String,
    mistakes: &'a mut Mistakes,
    /// The document among the sources of the mistakes.
    source: usize,
}

impl<'a> Fitting<'a> {
    /// Begins with what cannot be made at the size of `dataset`.
    pub(super) fn new(
        workload: &'a Workload,
        dataset: &'a Dataset,
        schema: &SqlFile,
        mistakes: &'a mut Mistakes,
    ) -> Self {
        let SqlFile { path, text } = &workload.document;
        let source = mistakes.add_source(path, text.as_str());
        workload.check_size(dataset, source, mistakes);
        let schema = schema.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { workload, dataset, schema, mistakes, source }
    }

    /// Blames a table as a whole.
    fn blame(&mut self, table: &Table, message: String, label: &str, help: Option<String>) {
        self.mistakes.at(self.source, table.span.clone(), message, label, help);
    }

    /// Blames a table that the schema does not make; those that it makes are `made`.
    pub(super) fn is_not_made(&mut self, table: &Table, made: &[String]) {
        let help = likely(&table.name, made.iter().map(String::as_str));
        let help = help.map(|name| format!("did you mean `{name}`?"));
        self.blame(table, format!("{} makes no table `{}`", self.schema, table.name), "no such table", help);
    }

    /// Fits the description of a table, which has this index, to its columns in the catalog. What does not fit is a mistake and
    /// left out.
    pub(super) fn fit<T: ColumnType>(
        &mut self,
        index: usize,
        target: &str,
        there: &[TableColumn<T>],
    ) -> TablePlan<T> {
        let workload = self.workload;
        let table = &workload.tables[index];
        let mut columns = Vec::with_capacity(table.columns.len());
        for (position, described) in table.columns.iter().enumerate() {
            let span = described.span.clone();
            let Some(column) = there.iter().find(|column| column.name == described.name) else {
                let help = likely(&described.name, there.iter().map(|column| column.name.as_str()));
                self.mistakes.at(
                    self.source,
                    span,
                    format!("table `{}` has no column `{}`", table.name, described.name),
                    format!("not in {}", self.schema),
                    help.map(|name| format!("did you mean `{name}`?")),
                );
                continue;
            };
            match self.fit_column(index, position, column) {
                Ok(of_type) => columns.push(ColumnPlan {
                    column: position,
                    name: column.name.clone(),
                    type_name: column.type_name.clone(),
                    of_type,
                }),
                Err((message, label)) => self.mistakes.at(self.source, span, message, label, None),
            }
        }
        for missing in there {
            let wants_value = missing.not_null && !missing.has_default && !missing.is_generated;
            if wants_value && table.column(&missing.name).is_none() {
                let TableColumn { name, type_name, .. } = missing;
                self.blame(
                    table,
                    format!("column `{name}` of table `{}` has no generator", table.name),
                    "NOT NULL without a default",
                    Some(format!("describe it: `{name} = {{ … }}` (it is a {type_name})")),
                );
            }
        }
        TablePlan {
            table: index,
            name: table.name.clone(),
            target: target.to_owned(),
            rows: self.dataset.rows(index),
            columns,
        }
    }

    /// The type to which a column's values are sent, or message and label of why it cannot have them.
    fn fit_column<T: ColumnType>(
        &self,
        index: usize,
        position: usize,
        there: &TableColumn<T>,
    ) -> Result<T, (String, String)> {
        let (dataset, type_name) = (self.dataset, &there.type_name);
        let name = format!("`{}.{}`", self.workload.tables[index].name, there.name);
        if there.is_generated {
            return Err((
                format!("{name} is computed by the server"),
                "GENERATED ALWAYS: takes no value".to_owned(),
            ));
        }
        let Some(of_type) = there.of_type else {
            return Err((format!("{name} is a {type_name}"), "no generator makes this type".to_owned()));
        };
        let (kind, elements) = (dataset.kind(index, position), dataset.element_kind(index, position));
        if !of_type.takes(kind, elements) {
            let made =
                elements.map_or(kind.in_words().to_owned(), |of| format!("lists of {}", of.in_words()));
            return Err((
                format!("{name} is a {type_name}, and its generator makes {made}"),
                format!("cannot be sent as {type_name}"),
            ));
        }
        if there.not_null && dataset.nullable(index, position) {
            return Err((
                format!("{name} is NOT NULL, and its generator makes NULLs"),
                "some are NULL".to_owned(),
            ));
        }
        if let (Some((least, most)), Some((min, max))) =
            (of_type.int_range(), dataset.int_range(index, position))
            && (min < least || max > most)
        {
            return Err((
                format!("{name} is a {type_name}, and its generator makes {min} to {max}"),
                format!("holds {least} to {most}"),
            ));
        }
        Ok(of_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::fixture::workload;
    use crate::units::Seed;

    /// The types of a server that knows two.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Known {
        Tiny,
        Text,
    }

    impl ColumnType for Known {
        fn takes(self, kind: ValueKind, _elements: Option<ValueKind>) -> bool {
            kind == if self == Self::Tiny { ValueKind::Int } else { ValueKind::Text }
        }

        fn int_range(self) -> Option<(i64, i64)> {
            (self == Self::Tiny).then_some((-128, 127))
        }
    }

    const DOCUMENT: &str = r#"
        name = "wrong"
        [table.things]
        rows = 10
        [table.things.column]
        id = { sequence = {} }
        nam = { words = [1, 2] }
        size = { uniform = [1, 1000] }
        word = { uniform = [1, 2] }
        shape = { words = [1, 2] }
        sum = { uniform = [1, 2] }
        note = { words = [1, 2], null_fraction = 0.5 }
        [[transaction]]
        name = "read"
        statements = ["all"]
    "#;

    #[test]
    fn what_does_not_fit_is_left_out_and_said_all_at_once() {
        let queries = "-- name: all :many\nSELECT id FROM things;\n";
        let (_folder, workload) = workload(DOCUMENT, "CREATE TABLE things (id tiny);", queries);
        let column = |name: &str, of_type: Option<Known>| TableColumn {
            name: name.to_owned(),
            type_name: of_type.map_or("shape".to_owned(), |of| format!("{of:?}").to_lowercase()),
            of_type,
            not_null: ["note", "needed"].contains(&name),
            has_default: false,
            is_generated: name == "sum",
        };
        let (tiny, text) = (Some(Known::Tiny), Some(Known::Text));
        let there = [
            column("id", tiny),
            column("name", text),
            column("size", tiny),
            column("word", text),
            column("shape", None),
            column("sum", tiny),
            column("note", text),
            column("needed", tiny),
        ];
        let dataset = workload.dataset(Seed(1), 1.0);
        let mut mistakes = Mistakes::default();
        let schema = workload.schema.as_ref().expect("it has one");
        let mut fitting = Fitting::new(&workload, &dataset, schema, &mut mistakes);
        let plan = fitting.fit(0, "app.things", &there);
        let columns: Vec<&str> = plan.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(
            (plan.rows, plan.target.as_str(), columns.as_slice()),
            (10, "app.things", ["id"].as_slice())
        );
        fitting.is_not_made(&workload.tables[0], &["thing".to_owned()]);
        let found: Vec<[&str; 3]> = mistakes
            .items()
            .iter()
            .map(|item| [item.message.as_str(), &item.label, item.help.as_deref().unwrap_or_default()])
            .collect();
        assert_eq!(
            found,
            [
                ["table `things` has no column `nam`", "not in schema.sql", "did you mean `name`?"],
                ["`things.size` is a tiny, and its generator makes 1 to 1000", "holds -128 to 127", ""],
                [
                    "`things.word` is a text, and its generator makes whole numbers",
                    "cannot be sent as text",
                    ""
                ],
                ["`things.shape` is a shape", "no generator makes this type", ""],
                ["`things.sum` is computed by the server", "GENERATED ALWAYS: takes no value", ""],
                ["`things.note` is NOT NULL, and its generator makes NULLs", "some are NULL", ""],
                [
                    "column `needed` of table `things` has no generator",
                    "NOT NULL without a default",
                    "describe it: `needed = { … }` (it is a tiny)"
                ],
                ["schema.sql makes no table `things`", "no such table", "did you mean `thing`?"],
            ]
        );
    }
}
