//! Checks of single entries against the rest of the folder: names, SQLSTATEs, queries, budgets. Knows no server.

use std::ops::Range;

use super::document::{BudgetNode, Located, RetryDoc, TableNode, TextDuration};
use super::explain::apart;
use super::measurable::Measurable;
use super::{BudgetSpec, Retry};
use crate::diagnostic::{Mistakes, likely};
use crate::model::metric::{Limit, MetricPath};
use crate::model::{ChangeError, RelativeBudget, RelativeError};
use crate::sql::lex::TokenKind;
use crate::sql::named::{self, CARDINALITIES, NamedMistake, NamedMistakeKind};
use crate::sql::quoting::double_quoted;
use crate::sql::split::split_in;
use crate::units::Dialect;

/// Says what is wrong with `queries.sql`.
pub(super) fn blame_queries(found: Vec<NamedMistake>, source: usize, mistakes: &mut Mistakes) {
    for NamedMistake { span, kind } in found {
        let (message, label, help) = describe(kind);
        mistakes.at(source, span, message, label, help);
    }
}

fn describe(kind: NamedMistakeKind) -> (String, &'static str, Option<String>) {
    let choices = "the choices are `:one`, `:optional`, `:many` and `:exec`";
    match kind {
        NamedMistakeKind::NoName => (
            "the name line has no name".into(),
            "a name is missing",
            Some("write `-- name: product_by_id :one`".into()),
        ),
        NamedMistakeKind::BadName(name) => (
            format!("`{name}` cannot be a statement's name"),
            "not a name",
            Some("letters, digits, `_` and `-` can stand in one".into()),
        ),
        NamedMistakeKind::DuplicateName(name) => {
            (format!("two statements are called `{name}`"), "the second", Some("rename one of them".into()))
        }
        NamedMistakeKind::NoCardinality(name) => {
            (format!("`{name}` does not say how many rows it gives"), "not said here", Some(choices.into()))
        }
        NamedMistakeKind::UnknownCardinality(found) => {
            let known = CARDINALITIES.iter().map(|(word, _)| *word);
            let help =
                likely(&found, known).map_or(choices.to_owned(), |word| format!("did you mean `{word}`?"));
            (format!("`{found}` is no number of rows"), "not known", Some(help))
        }
        NamedMistakeKind::NoStatement(name) => (
            format!("`{name}` has no SQL"),
            "nothing follows",
            Some("write its statement below this line".into()),
        ),
        NamedMistakeKind::TwoStatements(name) => (
            format!("`{name}` has more than one statement"),
            "the second",
            Some("give it a name line of its own".into()),
        ),
        NamedMistakeKind::NoNameBefore => (
            "this statement has no name".into(),
            "no name line before it",
            Some("write `-- name: product_by_id :one` above it".into()),
        ),
        NamedMistakeKind::NotClosed(kind) => {
            let what = match kind {
                TokenKind::BlockComment => "comment",
                TokenKind::DollarString => "dollar quote",
                TokenKind::QuotedIdentifier => "quoted name",
                _ => "text",
            };
            (format!("this {what} has no end"), "opened here", None)
        }
        NamedMistakeKind::Positional(found) => (
            format!("`{found}` is a parameter without a name"),
            "expected a name",
            Some("write `:product_id`; the numbers are given by dbdyno".into()),
        ),
    }
}

/// Blames a name that cannot stand in a statement's tag and in a metric's path.
pub(super) fn name(what: &str, name: &Located<String>, source: usize, mistakes: &mut Mistakes) {
    if !named::is_name(&name.value) {
        mistakes.at(
            source,
            name.span.clone(),
            format!("`{}` cannot be the name of a {what}", name.value),
            "not a name",
            Some("letters, digits, `_` and `-` can stand in one".to_owned()),
        );
    }
}

/// Blames the name of a transaction that cannot stand in a tag, or that a metric's path could not name.
pub(super) fn transaction_name(found: &Located<String>, source: usize, mistakes: &mut Mistakes) {
    name("transaction", found, source, mistakes);
    if MetricPath::is_reserved(&found.value) {
        let message = format!("a transaction cannot be called `{}`", found.value);
        let help = format!("`{}` is a part of the paths of metrics; choose another name", found.value);
        mistakes.at(source, found.span.clone(), message, "already means something", Some(help));
    }
}

/// Blames the name of a table that SQL would not read: the server is asked for it by that very name.
pub(super) fn table_name(node: &TableNode, source: usize, mistakes: &mut Mistakes) {
    if is_sql_name(&node.name) {
        return;
    }
    let quoted = double_quoted(&node.name);
    let message = format!("`{}` is no name of a table in SQL", node.name);
    let help = format!("quote it as SQL does: `[table.{quoted:?}]`; a schema stands before a point");
    mistakes.at(source, node.span.clone(), message, "SQL would not read it", Some(help));
}

/// One name, or two with a point between them, each plain or in double quotes.
fn is_sql_name(text: &str) -> bool {
    let mut rest = text;
    for parts in 1.. {
        let after = match rest.strip_prefix('"') {
            Some(inside) => after_quoted(inside),
            None => after_plain(rest),
        };
        match after {
            Some("") => return true,
            Some(after) if parts < 2 && after.starts_with('.') => rest = &after[1..],
            _ => return false,
        }
    }
    false
}

/// What follows a quoted name whose first quote was taken; two quotes are one inside of it.
fn after_quoted(inside: &str) -> Option<&str> {
    let mut rest = inside;
    loop {
        let (before, after) = rest.split_once('"')?;
        match after.strip_prefix('"') {
            Some(more) => rest = more,
            None if before.is_empty() && rest.len() == inside.len() => return None,
            None => return Some(after),
        }
    }
}

/// What follows a plain name: letters, digits, `_` and `$`, a letter or `_` first.
fn after_plain(text: &str) -> Option<&str> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let end = text.find(|c: char| !(is_letter(c) || c.is_ascii_digit() || c == '$')).unwrap_or(text.len());
    (end > 0 && text.starts_with(is_letter)).then(|| &text[end..])
}

/// Blames every name but the first of those that are alike.
pub(super) fn distinct<'a>(
    what: &str,
    names: impl IntoIterator<Item = &'a Located<String>>,
    source: usize,
    mistakes: &mut Mistakes,
) {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name.value.as_str()) {
            let message = format!("two {what}s are called `{}`", name.value);
            let help = Some("rename one of them".to_owned());
            mistakes.at(source, name.span.clone(), message, "the second", help);
        } else {
            seen.push(&name.value);
        }
    }
}

/// A query of the document: one statement without parameters.
pub(super) fn query(
    query: &Located<String>,
    dialect: Dialect,
    source: usize,
    mistakes: &mut Mistakes,
) -> String {
    let pieces = split_in(&query.value, dialect);
    let has_parameter = || !named::positional_in(&query.value, dialect).parameters.is_empty();
    let wrong = match pieces.len() {
        0 => Some(("the query is empty", "expected a SELECT")),
        1 if has_parameter() => Some(("the query has a parameter", "it is asked before any value is drawn")),
        1 => None,
        _ => Some(("the query is more than one statement", "expected one")),
    };
    if let Some((message, label)) = wrong {
        mistakes.at(source, query.span.clone(), message, label, None);
    }
    first_statement(&query.value, dialect)
}

/// The first statement of a text; nothing of none.
pub(super) fn first_statement(text: &str, dialect: Dialect) -> String {
    split_in(text, dialect).first().map(|piece| piece.text(text).to_owned()).unwrap_or_default()
}

/// Reads `retry`.
pub(super) fn retry(doc: Option<&RetryDoc>, source: usize, mistakes: &mut Mistakes) -> Retry {
    let Some(doc) = doc else { return Retry::default() };
    for code in &doc.on {
        let is_sqlstate = matches!(code.value.len(), 2 | 5)
            && code.value.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        if !is_sqlstate {
            let help = "five digits or capitals: `40001` is a serialization failure, `40P01` a deadlock; two name a \
                        class: `40` is both";
            let message = format!("`{}` is no SQLSTATE", code.value);
            mistakes.at(
                source,
                code.span.clone(),
                message,
                "expected five characters, or two",
                Some(help.to_owned()),
            );
        }
    }
    if doc.max_tries.value == 0 {
        let label = "expected at least 1, the first try";
        mistakes.at(source, doc.max_tries.span.clone(), "the transaction is never tried", label, None);
    }
    let on = doc.on.iter().map(|code| code.value.clone()).collect();
    let unless_said = Retry::default();
    let given = |doc: &Option<TextDuration>| doc.as_ref().map(|pause| pause.value);
    let (backoff, backoff_max) = (given(&doc.backoff), given(&doc.backoff_max));
    // A first pause that is longer than the usual limit needs no limit of its own.
    let backoff = backoff.unwrap_or(unless_said.backoff.min(backoff_max.unwrap_or(unless_said.backoff)));
    let longest = backoff_max.unwrap_or(unless_said.backoff_max.max(backoff));
    if let Some(max) = doc.backoff_max.as_ref().filter(|max| max.value < backoff) {
        let label = "shorter than `backoff`";
        mistakes.at(source, max.span.clone(), "the longest pause is shorter than the first", label, None);
    }
    Retry { on, max_tries: doc.max_tries.value.max(1), backoff, backoff_max: longest.max(backoff) }
}

/// Reads a line of `[budget]`.
pub(super) fn budget(
    node: &BudgetNode,
    known: &Measurable<'_>,
    source: usize,
    mistakes: &mut Mistakes,
) -> Option<BudgetSpec> {
    let mut blame = |span: &Range<usize>, message: String, label: &str, help| {
        mistakes.at(source, span.clone(), message, label, help);
    };
    let metric: MetricPath = match node.metric.value.parse() {
        Ok(metric) => metric,
        Err(error) => {
            let (message, help) = apart(&error.to_string());
            blame(&node.metric.span, message, "not a metric", help);
            return None;
        }
    };
    if let Err(unknown) = known.has(&metric) {
        blame(&node.metric.span, unknown.message, "not in this workload", unknown.help);
        return None;
    }
    match Limit::parse(&node.limit.value, &metric) {
        Ok(limit) => match known.fits(&metric, &limit) {
            Ok(()) => Some(BudgetSpec { metric, limit }),
            Err(misfit) => {
                blame(&node.limit.span, misfit.message, "not a limit of this metric", misfit.help);
                None
            }
        },
        Err(error) => {
            let (message, help) = apart(&error.to_string());
            blame(&node.limit.span, message, "not a limit of this metric", help);
            None
        }
    }
}

/// Whether the limit of a line of `[budget]` is a change: `< +10% of main`.
pub(super) fn is_change(node: &BudgetNode) -> bool {
    RelativeBudget::is_meant(&node.limit.value)
}

/// Reads such a line.
pub(super) fn change(
    node: &BudgetNode,
    known: &Measurable<'_>,
    source: usize,
    mistakes: &mut Mistakes,
) -> Option<RelativeBudget> {
    let text = format!("{} {}", node.metric.value, node.limit.value);
    let (span, message, label, help) = match text.parse::<RelativeBudget>() {
        Ok(budget) => match known.has_compared(&budget.limit.metric) {
            Ok(()) => return Some(budget),
            Err(unknown) => (&node.metric.span, unknown.message, "not in this workload", unknown.help),
        },
        Err(error @ RelativeError::Change(ChangeError::Metric(_))) => {
            let (message, help) = apart(&error.to_string());
            (&node.metric.span, message, "not a metric", help)
        }
        Err(error) => {
            let (message, help) = apart(&error.to_string());
            (&node.limit.span, message, "not a limit on a change of this metric", help)
        }
    };
    mistakes.at(source, span.clone(), message, label, help);
    None
}

#[cfg(test)]
mod tests {
    use super::is_sql_name;

    #[test]
    fn names_of_tables_are_read_as_sql_reads_them() {
        for name in ["orders", "sales.orders", "\"Order\"", "s.\"a.b\"\"c\"", "_x$1", "größe", "\"my-table\""]
        {
            assert!(is_sql_name(name), "{name}");
        }
        for name in
            ["my-table", "order lines", "1st", "", "\"\"", "\"open", "a.b.c", "a.", ".a", "a\"b\"", "x;y"]
        {
            assert!(!is_sql_name(name), "{name}");
        }
    }
}
