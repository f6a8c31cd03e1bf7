//! Parameters: names of tables, columns and other parameters resolved, picks checked.

use super::super::document::{
    DrawDoc, HotDoc, InsertedDoc, KeyDoc, Located, ParameterNode, SameRowDoc, SourceNode, TableNode,
    TransactionNode,
};
use super::super::{Draw, ParameterSource, check};
use super::Compiler;
use crate::diagnostic::likely;
use crate::generate::spec::{ColumnSpec, RowSpec};
use crate::generate::{RowPick, ValueGenerator};
use crate::units::SlotId;

impl Compiler<'_> {
    pub(super) fn draws(&mut self, node: &TransactionNode) -> Vec<Draw> {
        let mut draws = Vec::with_capacity(node.parameters.len());
        for (position, parameter) in node.parameters.iter().enumerate() {
            let Some(source) = &parameter.source else { continue };
            let (drawn, row_of, draw) = match source {
                SourceNode::SameRow(row) => {
                    let Some((source, of)) = self.same_row(node, parameter, row) else { continue };
                    (Some(source), of, node.parameters[of].draw.as_ref())
                }
                other => (self.drawn(parameter, other), position, parameter.draw.as_ref()),
            };
            let Some(source) = drawn else { continue };
            draws.push(Draw {
                slot: SlotId::from_index(position),
                source,
                each: draw.is_some_and(|draw| draw.value == DrawDoc::Each),
                row_of,
                span: parameter.span.clone(),
            });
        }
        draws
    }

    /// What draws by itself.
    fn drawn(&mut self, parameter: &ParameterNode, source: &SourceNode) -> Option<ParameterSource> {
        match source {
            SourceNode::Key(key) => self.key(key),
            SourceNode::Query(query) => Some(ParameterSource::Query {
                sql: check::query(query, self.queries.dialect, self.source, self.mistakes),
                column: None,
            }),
            SourceNode::Value(spec) => match ValueGenerator::build(spec) {
                Ok(generator) => Some(ParameterSource::Value(generator)),
                Err(refusal) => {
                    self.blame(&parameter.span, refusal.message, refusal.label, refusal.help);
                    None
                }
            },
            SourceNode::Inserted { rows, otherwise } => {
                let column = rows.column.as_ref().unwrap_or(&parameter.name);
                let is_returned = self.returned(&rows.by, column);
                let otherwise = self.drawn(parameter, otherwise.as_deref()?)?;
                if is_returned { self.inserted(rows, column, otherwise) } else { None }
            }
            SourceNode::SameRow(_) => None,
        }
    }

    fn inserted(
        &self,
        rows: &InsertedDoc,
        column: &Located<String>,
        otherwise: ParameterSource,
    ) -> Option<ParameterSource> {
        let at = self.inserted.iter().position(|known| known.statement == rows.by.value)?;
        let column = self.inserted[at].columns.iter().position(|known| *known == column.value)?;
        Some(ParameterSource::Inserted { rows: at, column, otherwise: Box::new(otherwise) })
    }

    /// Another column of the row that another parameter draws, and the position of that parameter.
    fn same_row(
        &mut self,
        node: &TransactionNode,
        parameter: &ParameterNode,
        row: &SameRowDoc,
    ) -> Option<(ParameterSource, usize)> {
        if let Some(draw) = &parameter.draw {
            let message = format!("`{}` is drawn when `{}` is", parameter.name.value, row.of.value);
            let help = format!("say `draw` at `{}`", row.of.value);
            self.blame(&draw.span, message, "not here", Some(help));
        }
        let known = node.parameters.iter().map(|other| other.name.value.as_str());
        let Some(of) = known.clone().position(|name| name == row.of.value) else {
            let message = format!("no parameter of the transaction is called `{}`", row.of.value);
            let help = likely(&row.of.value, known).map(|likely| format!("did you mean `{likely}`?"));
            self.blame(&row.of.span, message, "not drawn here", help);
            return None;
        };
        let column = row.column.as_ref().unwrap_or(&parameter.name);
        // What is wrong with the other parameter is said there.
        let source = match node.parameters[of].source.as_ref()? {
            SourceNode::Key(key) => self.column_of_key(key, column)?,
            SourceNode::Inserted { rows, otherwise } => match otherwise.as_deref()? {
                SourceNode::Key(key) => {
                    let otherwise = self.column_of_key(key, column)?;
                    if !self.returned(&rows.by, column) {
                        return None;
                    }
                    self.inserted(rows, column, otherwise)?
                }
                _ => return self.no_row(&row.of, "its `otherwise` is no `key`"),
            },
            SourceNode::Query(query) => ParameterSource::Query {
                sql: check::first_statement(&query.value, self.queries.dialect),
                column: Some(column.value.clone()),
            },
            SourceNode::SameRow(_) => return self.no_row(&row.of, "it shares a row itself"),
            SourceNode::Value(_) => return self.no_row(&row.of, "it draws no row"),
        };
        Some((source, of))
    }

    fn no_row<T>(&mut self, of: &Located<String>, why: &str) -> Option<T> {
        let message = format!("`{}` has no row to share", of.value);
        let help =
            "name a parameter that is a `key`, a `query`, or `inserted` with a `key` as its `otherwise`"
                .to_owned();
        self.blame(&of.span, message, why, Some(help));
        None
    }

    /// A column of the row that `key` draws.
    fn column_of_key(&mut self, key: &KeyDoc, column: &Located<String>) -> Option<ParameterSource> {
        let document = self.document;
        let node = document.tables.iter().find(|node| node.name == key.table.value)?;
        let table = self.tables.iter().position(|table| table.name == node.name)?;
        if node.columns.is_empty() {
            let message = format!("the columns of `{}` are not described here", node.name);
            let help =
                "describe them below `[table.NAME.column]`, or take the value with a `query`".to_owned();
            self.blame(&column.span, message, "cannot be computed", Some(help));
            return None;
        }
        self.known_column(node, column)?;
        let pick = silent_pick(key)?;
        Some(ParameterSource::Existing { table, column: self.tables[table].column(&column.value)?, pick })
    }

    fn key(&mut self, key: &KeyDoc) -> Option<ParameterSource> {
        let pick = self.pick(key);
        let document = self.document;
        let nodes = &document.tables;
        let Some(node) = nodes.iter().find(|node| node.name == key.table.value) else {
            let known = nodes.iter().map(|node| node.name.as_str());
            let help = likely(&key.table.value, known).map_or_else(
                || format!("describe it: `[table.{}]` with `rows`", key.table.value),
                |likely| format!("did you mean `{likely}`?"),
            );
            let message = format!("no table is called `{}`", key.table.value);
            self.blame(&key.table.span, message, "not in this document", Some(help));
            return None;
        };
        let table = self.tables.iter().position(|table| table.name == node.name)?;
        if node.columns.is_empty() {
            if let Some(column) = &key.column {
                let message = format!("the columns of `{}` are not described here", node.name);
                let help = "without `column`, the keys are 1 to the number of rows".to_owned();
                self.blame(&column.span, message, "cannot be computed", Some(help));
            }
            return Some(ParameterSource::RowNumber { table, pick: pick? });
        }
        let column = match &key.column {
            Some(column) => {
                self.known_column(node, column)?;
                column.value.as_str()
            }
            None => self.key_column(node, &key.table)?,
        };
        Some(ParameterSource::Existing { table, column: self.tables[table].column(column)?, pick: pick? })
    }

    /// Blames a column that the table does not have.
    fn known_column(&mut self, node: &TableNode, wanted: &Located<String>) -> Option<()> {
        let known: Vec<&str> = node.columns.iter().map(|column| column.name.as_str()).collect();
        if known.contains(&wanted.value.as_str()) {
            return Some(());
        }
        let message = format!("`{}` has no column `{}`", node.name, wanted.value);
        let help = likely(&wanted.value, known.iter().copied()).map_or_else(
            || format!("it has {}", known.join(", ")),
            |likely| format!("did you mean `{likely}`?"),
        );
        self.blame(&wanted.span, message, "not described", Some(help));
        None
    }

    /// The column that is meant where none is named: the only sequence, else `id`.
    fn key_column<'n>(&mut self, node: &'n TableNode, table: &Located<String>) -> Option<&'n str> {
        let sequence =
            |spec: &Option<ColumnSpec>| matches!(spec, Some(ColumnSpec::Row(RowSpec::Sequence(_))));
        let mut sequences = node.columns.iter().filter(|column| sequence(&column.spec));
        if let (Some(one), None) = (sequences.next(), sequences.next()) {
            return Some(&one.name);
        }
        if let Some(id) = node.columns.iter().find(|column| column.name == "id") {
            return Some(&id.name);
        }
        let message = format!("`{}` has no single key column", node.name);
        let help = format!("say which: `column = \"{}\"`", node.columns[0].name);
        self.blame(&table.span, message, "neither one `sequence` nor an `id`", Some(help));
        None
    }

    /// How the row is drawn; blames what cannot be.
    fn pick(&mut self, key: &KeyDoc) -> Option<RowPick> {
        let named = [
            ("zipf", key.zipf.as_ref().map(|zipf| &zipf.span)),
            ("hot", key.hot.as_ref().map(|hot| &hot.span)),
            ("latest", key.latest.as_ref().map(|latest| &latest.span)),
        ];
        let mut said = named.iter().filter_map(|(name, span)| Some((*name, (*span)?)));
        if let (Some((first, _)), Some((second, span))) = (said.next(), said.next()) {
            let message = format!("`{first}` and `{second}` exclude each other");
            self.blame(span, message, "the second", Some("keep one of them".to_owned()));
            return None;
        }
        for (name, exponent) in [("zipf", &key.zipf), ("latest", &key.latest)] {
            let Some(exponent) = exponent.as_ref().filter(|exponent| !is_exponent(exponent.value)) else {
                continue;
            };
            let help = format!("leave `{name}` away to draw every row alike");
            let message = "an exponent is above 0 and at most 20".into();
            self.blame(&exponent.span, message, "expected a number above 0", Some(help));
        }
        if let Some(hot) = key.hot.as_ref().filter(|hot| !is_hot(hot.value)) {
            let message = "both shares of a hot set lie between 0 and 1".into();
            let help =
                "nine of ten draws on a tenth of the rows: `{ share_of_draws = 0.9, share_of_keys = 0.1 }`";
            self.blame(&hot.span, message, "above 0 and below 1", Some(help.to_owned()));
        }
        silent_pick(key)
    }
}

/// How the row is drawn, where that can be.
fn silent_pick(key: &KeyDoc) -> Option<RowPick> {
    match (&key.zipf, &key.hot, &key.latest) {
        (None, None, None) => Some(RowPick::Uniform),
        (Some(zipf), None, None) => is_exponent(zipf.value).then_some(RowPick::Zipf { exponent: zipf.value }),
        (None, Some(hot), None) => is_hot(hot.value).then_some(RowPick::Hot {
            share_of_draws: hot.value.share_of_draws,
            share_of_keys: hot.value.share_of_keys,
        }),
        (None, None, Some(latest)) => {
            is_exponent(latest.value).then_some(RowPick::Latest { exponent: latest.value })
        }
        _ => None,
    }
}

/// Beyond 20 every draw is the first row.
fn is_exponent(value: f64) -> bool {
    value > 0.0 && value <= 20.0
}

fn is_hot(hot: HotDoc) -> bool {
    [hot.share_of_draws, hot.share_of_keys].iter().all(|share| *share > 0.0 && *share < 1.0)
}
