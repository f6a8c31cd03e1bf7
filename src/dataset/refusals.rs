//! What a server refuses of a workload, or does not give, before any of it is measured, as mistakes at their places. Knows no
//! server.

use std::collections::{BTreeMap, BTreeSet};

use super::DatasetError;
use crate::diagnostic::Mistakes;
use crate::workload::{Gauge, Measure, Setting, Statement, Workload};

/// What to do about a right that is missing.
pub(super) const GRANT: &str = "grant the right to the user of the target, or name another user in the URL";

/// What to do about a table that is not there.
pub(super) fn make_tables(workload: &Workload) -> String {
    if workload.schema.is_some() {
        return format!("run `dbdyno load -w {}` on this target first", workload.folder.display());
    }
    "the workload has no schema.sql: it runs on tables that something else makes in this database".to_owned()
}

/// The statements of a workload, with their indexes, each once: in another transaction it has another tag, and the same errors.
pub(super) fn distinct(workload: &Workload) -> impl Iterator<Item = (usize, &Statement)> {
    let mut seen = BTreeSet::new();
    let statements = workload.statements.iter().enumerate();
    statements.filter(move |(_, statement)| seen.insert(statement.name.as_str()))
}

/// Refused statements, by what the server says of them.
#[derive(Debug)]
pub(super) struct Refusals<'w> {
    workload: &'w Workload,
    all: Vec<Refusal>,
}

/// One refusal and whom it concerns.
#[derive(Debug)]
struct Refusal {
    /// The server's words, with their code.
    words: String,
    /// The word that the server points at, in the first statement.
    at: Option<String>,
    help: Option<String>,
    /// Indexes into the workload's statements.
    statements: Vec<usize>,
}

impl<'w> Refusals<'w> {
    pub(super) fn of(workload: &'w Workload) -> Self {
        Self { workload, all: vec![] }
    }

    /// One more statement, by its index, with the server's words, the word in it that they point at, and what to do about it.
    pub(super) fn add(&mut self, statement: usize, words: String, at: Option<&str>, help: Option<String>) {
        if let Some(known) = self.all.iter_mut().find(|refusal| refusal.words == words) {
            return known.statements.push(statement);
        }
        let at = at.map(str::to_owned);
        self.all.push(Refusal { words, at, help, statements: vec![statement] });
    }

    /// Adds them to `mistakes`, each at the name line of the first statement that meets it.
    pub(super) fn report(self, mistakes: &mut Mistakes) -> Result<(), DatasetError> {
        let statements = &self.workload.statements;
        let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
        for Refusal { words, at, help, statements: refused } in self.all {
            let Some((first, others)) = refused.split_first() else { continue };
            let first = &statements[*first];
            let source = match sources.get(first.file) {
                Some(source) => *source,
                None => add_file(self.workload, first.file, mistakes)?,
            };
            sources.insert(first.file, source);
            let others: Vec<&str> = others.iter().map(|&index| statements[index].name.as_str()).collect();
            let at = at.map_or_else(String::new, |at| format!(" (at `{at}`)"));
            let and =
                if others.is_empty() { String::new() } else { format!(", and so {}", others.join(", ")) };
            let label = format!("the server refuses this statement{at}{and}");
            mistakes.at(source, first.span.clone(), words, label, help);
        }
        Ok(())
    }
}

/// A file of the workload as one that mistakes point into.
fn add_file(workload: &Workload, file: &str, mistakes: &mut Mistakes) -> Result<usize, DatasetError> {
    let path = workload.folder.join(file);
    let text =
        std::fs::read_to_string(&path).map_err(|source| DatasetError::File { path: path.clone(), source })?;
    Ok(mistakes.add_source(path, text))
}

/// Blames settings of transactions that the server refuses, each with its words. They are set by `command`.
pub(super) fn report_settings(
    refused: Vec<(&Setting, String)>,
    command: &str,
    workload: &Workload,
    mistakes: &mut Mistakes,
) {
    if refused.is_empty() {
        return;
    }
    let source = mistakes.add_source(&workload.document.path, workload.document.text.as_str());
    for (setting, words) in refused {
        let label = format!("the server refuses this value of `{}`", setting.name);
        let help = format!("`set` takes what `{command}` takes from this user");
        mistakes.at(source, setting.span.clone(), words, label, Some(help));
    }
}

/// Blames a measure whose statement returns other columns than it reads.
pub(super) fn report_column(measure: &Measure, returned: &[&str], source: usize, mistakes: &mut Mistakes) {
    mistakes.at(
        source,
        measure.span.clone(),
        format!("`{}` returns no column `{}`", measure.statement, measure.column),
        "not returned",
        Some(format!("it returns {}", returned.join(", "))),
    );
}

/// Blames a gauge whose query the server refuses with these words.
pub(super) fn report_gauge(gauge: &Gauge, words: &str, source: usize, mistakes: &mut Mistakes) {
    mistakes.at(
        source,
        gauge.span.clone(),
        format!("gauge `{}` cannot be read: {words}", gauge.name),
        "refused by the server",
        Some("its query gives one row with one number".to_owned()),
    );
}

/// An error if there are mistakes.
pub(super) fn unless_mistaken(mistakes: Mistakes) -> Result<(), DatasetError> {
    if mistakes.is_empty() { Ok(()) } else { Err(DatasetError::Mistakes(mistakes)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::fixture::workload;

    const DOCUMENT: &str = "name = \"small\"\n[[transaction]]\nname = \"read\"\nstatements = [\"one\", \"two\"]\n\
                            [[transaction]]\nname = \"again\"\nstatements = [\"one\", \"three\"]\n";
    const QUERIES: &str = "-- name: one :many\nSELECT nam FROM t;\n-- name: two :many\nSELECT nam, id FROM t;\n\
                           -- name: three :many\nSELECT id FROM u;\n";

    #[test]
    fn a_refusal_is_told_once_with_all_whom_it_concerns() {
        let (_folder, workload) = workload(DOCUMENT, "CREATE TABLE t (id int);", QUERIES);
        let once: Vec<(usize, &str)> =
            distinct(&workload).map(|(index, statement)| (index, statement.name.as_str())).collect();
        assert_eq!(once, [(0, "one"), (1, "two"), (3, "three")]);
        let mut refusals = Refusals::of(&workload);
        for index in [0, 1] {
            refusals.add(index, "no column nam (error 1)".to_owned(), Some("nam"), None);
        }
        refusals.add(3, "no table u (error 2)".to_owned(), None, Some(make_tables(&workload)));
        let mut mistakes = Mistakes::default();
        refusals.report(&mut mistakes).expect("the file is there");
        let [column, table] = mistakes.items() else { panic!("{mistakes}") };
        assert_eq!(column.message, "no column nam (error 1)");
        assert_eq!(column.label, "the server refuses this statement (at `nam`), and so two");
        assert_eq!(table.label, "the server refuses this statement");
        assert!(table.help.as_ref().is_some_and(|help| help.contains("dbdyno load -w")), "{table:?}");
        for (mistake, line) in [(column, "-- name: one :many"), (table, "-- name: three :many")] {
            let source = mistake.source.expect("it has a place");
            assert_eq!(&mistakes.text(source)[mistake.span.clone()], line);
        }
        assert!(unless_mistaken(mistakes).is_err() && unless_mistaken(Mistakes::default()).is_ok());
    }
}
