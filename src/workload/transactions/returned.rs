//! What of a returned row outlives its transaction: values that are measured, and keys of rows that the run inserted.

use super::super::document::{Document, Located, SourceNode, TransactionNode};
use super::super::{InsertedRows, Kept, KeptFor, Measure, check};
use super::{Compiler, Frame};
use crate::diagnostic::likely;
use crate::units::StatementId;

/// What parameters ask for of the rows that the run inserts, by the statement that inserts them.
pub(super) fn inserted_rows(document: &Document) -> Vec<InsertedRows> {
    let mut all: Vec<InsertedRows> = Vec::new();
    for node in &document.transactions {
        for parameter in &node.parameters {
            let own = &parameter.name;
            let (by, column) = match &parameter.source {
                Some(SourceNode::Inserted { rows, .. }) => (&rows.by, rows.column.as_ref().unwrap_or(own)),
                Some(SourceNode::SameRow(row)) => match inserted_by(node, &row.of.value) {
                    Some(by) => (by, row.column.as_ref().unwrap_or(own)),
                    None => continue,
                },
                _ => continue,
            };
            let at = all.iter().position(|rows| rows.statement == by.value).unwrap_or_else(|| {
                all.push(InsertedRows { statement: by.value.clone(), columns: Vec::new() });
                all.len() - 1
            });
            if !all[at].columns.contains(&column.value) {
                all[at].columns.push(column.value.clone());
            }
        }
    }
    all
}

/// The statement that inserts what parameter `name` draws.
fn inserted_by<'n>(node: &'n TransactionNode, name: &str) -> Option<&'n Located<String>> {
    let parameter = node.parameters.iter().find(|parameter| parameter.name.value == name)?;
    match parameter.source.as_ref()? {
        SourceNode::Inserted { rows, .. } => Some(&rows.by),
        _ => None,
    }
}

impl Compiler<'_> {
    pub(super) fn compile_measures(&mut self) -> Vec<Measure> {
        let document = self.document;
        let measures = document.measures.iter().map(|node| {
            check::name("measure", &node.name, self.source, self.mistakes);
            self.returned(&node.statement, &node.column);
            Measure {
                name: node.name.value.clone(),
                statement: node.statement.value.clone(),
                column: node.column.value.clone(),
                unit: node.unit,
                order: node.order,
                span: node.column.span.clone(),
            }
        });
        measures.collect()
    }

    /// Blames what keeps `statement` from giving `column`. Whether it does.
    pub(super) fn returned(&mut self, statement: &Located<String>, column: &Located<String>) -> bool {
        let Some(query) = self.query(statement) else { return false };
        if !query.gives_values() {
            let message = format!("`{}` gives no values", query.name);
            let help = format!("name it `:one` or `:optional`, and let it return `{}`", column.value);
            self.blame(&statement.span, message, "only `:one` and `:optional` statements do", Some(help));
            return false;
        }
        // What stands behind a star is found out when the statement is prepared.
        if !query.columns.has(&column.value) && !query.columns.star {
            let names = || query.columns.names.iter().map(String::as_str);
            let help = likely(&column.value, names()).map_or_else(
                || format!("it returns {}", names().collect::<Vec<_>>().join(", ")),
                |likely| format!("did you mean `{likely}`?"),
            );
            let message = format!("`{}` returns no column `{}`", query.name, column.value);
            self.blame(&column.span, message, "not returned", Some(help));
            return false;
        }
        let mut nodes = self.document.transactions.iter();
        let is_used = nodes.any(|node| {
            node.incomplete || node.steps.iter().any(|step| step.statement.value == statement.value)
        });
        if !is_used {
            let message = format!("no transaction executes `{}`", statement.value);
            let help = "name it in the `statements` of a transaction".to_owned();
            self.blame(&statement.span, message, "never executed", Some(help));
        }
        is_used
    }

    /// Lets the statements from `first` on keep what is wanted of them.
    pub(super) fn keep_returned(&mut self, first: usize, frame: &mut Frame) {
        for at in first..self.statements.len() {
            let name = self.statements[at].name.as_str();
            let mut wanted: Vec<(String, KeptFor)> = Vec::new();
            for (rows, inserted) in
                self.inserted.iter().enumerate().filter(|(_, rows)| rows.statement == name)
            {
                let columns = inserted.columns.iter().enumerate();
                wanted.extend(
                    columns.map(|(at, column)| (column.clone(), KeptFor::Inserted { rows, column: at })),
                );
            }
            for (index, measure) in
                self.measures.iter().enumerate().filter(|(_, measure)| measure.statement == name)
            {
                wanted.push((measure.column.clone(), KeptFor::Measure(index)));
            }
            for (column, reason) in wanted {
                let slot = frame.slot(&column);
                self.add_output(Some(StatementId::from_index(at)), &column, slot);
                self.statements[at].kept.push(Kept { slot, reason });
            }
        }
    }
}
