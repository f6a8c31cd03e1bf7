//! Compiles transactions: one id for each statement that a transaction uses, one slot for each of its values.

mod modes;
mod parameters;
mod returned;

use std::ops::Range;

use super::document::{Document, IsolationDoc, Located, SourceNode, StepNode, TimesDoc, TransactionNode};
use super::{
    InsertedRows, Isolation, Measure, Modes, Output, Statement, Step, Table, Times, Transaction, Work, check,
};
use crate::diagnostic::{Mistakes, likely};
use crate::sql::columns::{ResultColumns, result_columns_in};
use crate::sql::named::{NamedMistake, NamedMistakeKind, NamedStatement, Place, Positional, positional_in};
use crate::sql::statement::{Cardinality, StatementKind, kind_in};
use crate::sql::tag::with_tag;
use crate::units::{Dialect, SlotId, StatementId, TransactionId};

/// What is known of the named statements.
#[derive(Default)]
pub(super) struct Queries {
    statements: Vec<Query>,
    /// Names whose mistakes were reported: they are not unknown.
    blamed: Vec<String>,
    dialect: Dialect,
}

/// A named statement, taken apart.
struct Query {
    name: String,
    cardinality: Cardinality,
    positional: Positional,
    columns: ResultColumns,
    kind: StatementKind,
    /// In which it stands.
    file: &'static str,
    span: Range<usize>,
}

impl Query {
    /// Whether its row can fill slots.
    fn gives_values(&self) -> bool {
        matches!(self.cardinality, Cardinality::One | Cardinality::Optional)
    }
}

impl Queries {
    /// Adds those of a file.
    pub(super) fn add(
        &mut self,
        (file, text): (&'static str, &str),
        statements: Vec<NamedStatement>,
        mistakes: &[NamedMistake],
        dialect: Dialect,
    ) {
        self.dialect = dialect;
        self.statements.extend(statements.into_iter().map(|statement| {
            let sql = &text[statement.sql_span];
            Query {
                name: statement.name,
                cardinality: statement.cardinality,
                positional: positional_in(sql, dialect),
                columns: result_columns_in(sql, dialect),
                kind: kind_in(sql, dialect),
                file,
                span: statement.line_span,
            }
        }));
        let blamed = mistakes.iter().filter_map(|mistake| match &mistake.kind {
            NamedMistakeKind::BadName(name)
            | NamedMistakeKind::NoCardinality(name)
            | NamedMistakeKind::NoStatement(name) => Some(name.clone()),
            // The words of the mistake do not say whose it is; the name stands before it in the same line.
            NamedMistakeKind::UnknownCardinality(_) => {
                text[..mistake.span.start].split_whitespace().next_back().map(str::to_owned)
            }
            _ => None,
        });
        self.blamed.extend(blamed);
    }

    fn find(&self, name: &str) -> Option<&Query> {
        self.statements.iter().find(|query| query.name == name)
    }
}

/// What the mix compiles to.
pub(super) struct Mix {
    pub(super) statements: Vec<Statement>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) measures: Vec<Measure>,
    pub(super) inserted: Vec<InsertedRows>,
}

/// All transactions with their statements. What has a mistake is in `mistakes`; the rest is compiled all the same.
pub(super) fn compile(
    document: &Document,
    tables: &[Table],
    queries: &Queries,
    source: usize,
    mistakes: &mut Mistakes,
) -> Mix {
    let names = document.transactions.iter().filter_map(|node| node.name.as_ref());
    check::distinct("transaction", names, source, mistakes);
    let mut compiler = Compiler {
        document,
        tables,
        queries,
        source,
        mistakes,
        inserted: returned::inserted_rows(document),
        measures: Vec::new(),
        statements: Vec::new(),
    };
    compiler.measures = compiler.compile_measures();
    let transactions = document
        .transactions
        .iter()
        .enumerate()
        .map(|(at, node)| compiler.transaction(TransactionId::from_index(at), node))
        .collect();
    let Compiler { statements, measures, inserted, .. } = compiler;
    Mix { statements, transactions, measures, inserted }
}

struct Compiler<'a> {
    document: &'a Document,
    tables: &'a [Table],
    queries: &'a Queries,
    source: usize,
    mistakes: &'a mut Mistakes,
    /// What parameters ask for of the rows that the run inserts.
    inserted: Vec<InsertedRows>,
    measures: Vec<Measure>,
    /// Of all transactions so far.
    statements: Vec<Statement>,
}

impl<'a> Compiler<'a> {
    fn blame(
        &mut self,
        span: &Range<usize>,
        message: String,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.mistakes.at(self.source, span.clone(), message, label, help);
    }

    fn transaction(&mut self, id: TransactionId, node: &TransactionNode) -> Transaction {
        if let Some(name) = &node.name {
            check::transaction_name(name, self.source, self.mistakes);
        }
        let name = node.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
        let weight = self.weight(node.weight.as_ref());
        let retry = check::retry(node.retry.as_ref(), self.source, self.mistakes);
        let mut frame = Frame::new(node);
        let draws = self.draws(node);
        let queries: Vec<Option<&'a Query>> =
            node.steps.iter().map(|step| self.query(&step.statement)).collect();
        let first = self.statements.len();
        let ids = self.add_statements(id, &name, &queries);
        self.keep_returned(first, &mut frame);
        let modes = self.modes(node, &queries);
        self.blame_pipeline(node, &queries, first);
        for at in 0..queries.len() {
            self.resolve_inputs(node, &queries, &ids, at, &mut frame);
        }
        self.blame_shadows(node, &queries);
        self.blame_unused(node, &queries, &frame);
        let steps =
            node.steps.iter().zip(&ids).filter_map(|(step, id)| Some(compile_step(step, (*id)?))).collect();
        let isolation = node.isolation.map(|isolation| match isolation {
            IsolationDoc::ReadCommitted => Isolation::ReadCommitted,
            IsolationDoc::RepeatableRead => Isolation::RepeatableRead,
            IsolationDoc::Serializable => Isolation::Serializable,
        });
        Transaction {
            name,
            weight,
            explicit: is_explicit(&node.steps, isolation) || modes != Modes::default(),
            isolation,
            modes,
            pipeline: node.pipeline.as_ref().is_some_and(|key| key.value),
            retry,
            work: Work::Steps(steps),
            slots: frame.slots,
            draws,
        }
    }

    fn weight(&mut self, weight: Option<&Located<f64>>) -> f64 {
        let Some(weight) = weight else { return 1.0 };
        if !(weight.value.is_finite() && weight.value > 0.0) {
            let help = "to leave a transaction out, take it away or comment it out".to_owned();
            self.blame(
                &weight.span,
                "a weight is above zero".into(),
                "expected a number above 0",
                Some(help),
            );
        }
        weight.value
    }

    fn query(&mut self, name: &Located<String>) -> Option<&'a Query> {
        let queries = self.queries;
        let found = queries.find(&name.value);
        if found.is_none() && !queries.blamed.contains(&name.value) {
            let known = queries.statements.iter().map(|query| &query.name).chain(&queries.blamed);
            let help = likely(&name.value, known.map(String::as_str)).map_or_else(
                || format!("write it in `queries.sql` below a line `-- name: {} :one`", name.value),
                |likely| format!("did you mean `{likely}`?"),
            );
            let message = format!("no statement is called `{}`", name.value);
            self.blame(&name.span, message, "not in `queries.sql`", Some(help));
        }
        found
    }

    /// One statement for each name, however many steps use it. Gives the id of each step's.
    fn add_statements(
        &mut self,
        transaction: TransactionId,
        transaction_name: &str,
        queries: &[Option<&Query>],
    ) -> Vec<Option<StatementId>> {
        let first = self.statements.len();
        let mut ids = Vec::with_capacity(queries.len());
        for query in queries {
            let Some(query) = query else {
                ids.push(None);
                continue;
            };
            let known = self.statements[first..].iter().position(|statement| statement.name == query.name);
            let at = known.map_or(self.statements.len(), |at| first + at);
            if known.is_none() {
                let tag = format!("{transaction_name}.{}", query.name);
                let sql = with_tag(&query.positional.sql, &tag);
                self.statements.push(Statement {
                    name: query.name.clone(),
                    file: query.file,
                    transaction,
                    places: places_behind_tag(&query.positional, &sql),
                    sql,
                    tag,
                    cardinality: query.cardinality,
                    kind: query.kind,
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                    kept: Vec::new(),
                    span: query.span.clone(),
                });
            }
            ids.push(Some(StatementId::from_index(at)));
        }
        ids
    }

    /// Finds what fills each parameter of the step: a draw, or the nearest step before it that returns the name.
    fn resolve_inputs(
        &mut self,
        node: &TransactionNode,
        queries: &[Option<&'a Query>],
        ids: &[Option<StatementId>],
        at: usize,
        frame: &mut Frame,
    ) {
        let (Some(query), Some(id)) = (queries[at], ids[at]) else { return };
        let is_first_use = !ids[..at].contains(&Some(id));
        for parameter in &query.positional.parameters {
            let name = parameter.name.as_str();
            let slot = if let Some(slot) = frame.drawn(name) {
                Some(slot)
            } else if let Some(from) = (0..at).rev().find(|step| gives(queries[*step], name)) {
                let slot = frame.slot(name);
                self.blame_if_skipped(node, from, name);
                self.blame_dependence(node, at, from, name);
                self.add_output(ids[from], name, slot);
                Some(slot)
            } else {
                if is_first_use {
                    self.blame_missing(node, queries, at, name);
                }
                None
            };
            if let Some(slot) = slot
                && is_first_use
            {
                self.statements[id.index()].inputs.push(slot);
            }
        }
    }

    fn add_output(&mut self, statement: Option<StatementId>, column: &str, slot: SlotId) {
        let Some(statement) = statement else { return };
        let outputs = &mut self.statements[statement.index()].outputs;
        if outputs.iter().all(|output| output.slot != slot) {
            outputs.push(Output { column: column.to_owned(), slot });
        }
    }

    fn blame_if_skipped(&mut self, node: &TransactionNode, from: usize, name: &str) {
        let Some(times) = node.steps[from].times.as_ref().filter(|times| times.value.min == 0) else {
            return;
        };
        let message = format!("`:{name}` comes from a step that may not run");
        let help = format!("begin `uniform` at 1, or draw `{name}` in `[transaction.parameter]`");
        self.blame(&times.span, message, "may be 0", Some(help));
    }

    fn blame_missing(&mut self, node: &TransactionNode, queries: &[Option<&Query>], at: usize, name: &str) {
        // A step that is not known may well have given it.
        if node.incomplete || queries[..at].iter().any(Option::is_none) {
            return;
        }
        let step = &node.steps[at].statement;
        let before = || queries[..at].iter().flatten();
        let drawn = node.parameters.iter().map(|parameter| parameter.name.value.as_str());
        let given = before().filter(|query| query.gives_values()).flat_map(|query| &query.columns.names);
        let close = likely(name, drawn.chain(given.map(String::as_str)));
        let many = before().find(|query| !query.gives_values() && query.columns.has(name));
        let star = before().find(|query| query.gives_values() && query.columns.star);
        let help = if let Some(query) = many {
            format!("`{}` returns it, but only `:one` and `:optional` statements give values", query.name)
        } else if let Some(close) = close {
            format!("did you mean `:{close}`?")
        } else if let Some(query) = star {
            format!("if it is in the `*` of `{}`, name it there", query.name)
        } else {
            format!(
                "draw `{name}` in `[transaction.parameter]`, or return it from an earlier `:one` statement"
            )
        };
        let label = format!("`{}` needs `:{name}`", step.value);
        self.blame(&step.span, format!("nothing gives `:{name}`"), label, Some(help));
    }

    /// A name that is both drawn and returned before its use would have two values.
    fn blame_shadows(&mut self, node: &TransactionNode, queries: &[Option<&Query>]) {
        for parameter in &node.parameters {
            let name = parameter.name.value.as_str();
            let giver = (0..queries.len()).find(|at| {
                gives(queries[*at], name) && queries[at + 1..].iter().flatten().any(|later| later.uses(name))
            });
            // What is returned for later transactions was asked for by name; in this one the drawn value stands.
            let is_kept = |query: &Query| {
                self.inserted.iter().any(|rows| {
                    rows.statement == query.name && rows.columns.iter().any(|column| column == name)
                })
            };
            if let Some(query) = giver.and_then(|at| queries[at]).filter(|query| !is_kept(query)) {
                let message = format!("`{name}` is drawn and also returned by `{}`", query.name);
                let label = "a later step could mean either";
                let help =
                    "take this parameter away, or return the column under another name with AS".to_owned();
                self.blame(&parameter.name.span, message, label, Some(help));
            }
        }
    }

    fn blame_unused(&mut self, node: &TransactionNode, queries: &[Option<&Query>], frame: &Frame) {
        if node.incomplete || queries.iter().any(Option::is_none) {
            return;
        }
        for parameter in &node.parameters {
            let name = parameter.name.value.as_str();
            let shares =
                |other: &SourceNode| matches!(other, SourceNode::SameRow(row) if row.of.value == name);
            if queries.iter().flatten().any(|query| query.uses(name))
                || node.parameters.iter().filter_map(|other| other.source.as_ref()).any(shares)
            {
                continue;
            }
            let used = queries.iter().flatten().flat_map(|query| &query.positional.parameters);
            // Only a name that nothing else gives can be the one that was meant.
            let open = used.map(|used| used.name.as_str()).filter(|name| frame.drawn(name).is_none());
            let help = likely(name, open).map_or_else(
                || "take it away, or use it".to_owned(),
                |likely| format!("did you mean `{likely}`?"),
            );
            let message = format!("parameter `{name}` is never used");
            let label = format!("no statement of the transaction has `:{name}`");
            self.blame(&parameter.name.span, message, label, Some(help));
        }
    }
}

impl Query {
    fn uses(&self, name: &str) -> bool {
        self.positional.parameters.iter().any(|parameter| parameter.name == name)
    }
}

fn gives(query: Option<&Query>, name: &str) -> bool {
    query.is_some_and(|query| query.gives_values() && query.columns.has(name))
}

/// The places of the parameters in the text with its tag. All that was changed for it stands before them, so that they keep
/// their distance from the end.
fn places_behind_tag(positional: &Positional, tagged: &str) -> Vec<Place> {
    let moved = |at: usize| tagged.len() - (positional.sql.len() - at);
    let place =
        |place: &Place| Place { range: moved(place.range.start)..moved(place.range.end), input: place.input };
    positional.places.iter().map(place).collect()
}

/// The slots of one transaction: drawn ones first, in the order of the document, then those that statements fill.
struct Frame {
    slots: Vec<String>,
    drawn: usize,
}

impl Frame {
    fn new(node: &TransactionNode) -> Self {
        let slots: Vec<String> =
            node.parameters.iter().map(|parameter| parameter.name.value.clone()).collect();
        Self { drawn: slots.len(), slots }
    }

    fn drawn(&self, name: &str) -> Option<SlotId> {
        self.slots[..self.drawn].iter().position(|slot| slot == name).map(SlotId::from_index)
    }

    /// The slot that statements fill under this name.
    fn slot(&mut self, name: &str) -> SlotId {
        let filled = &self.slots[self.drawn..];
        let at = filled.iter().position(|slot| slot == name).map_or(self.slots.len(), |at| self.drawn + at);
        if at == self.slots.len() {
            self.slots.push(name.to_owned());
        }
        SlotId::from_index(at)
    }
}

fn compile_step(step: &StepNode, statement: StatementId) -> Step {
    let TimesDoc { min, max } = times(step);
    Step { statement, times: Times { min, max }, hold: step.hold }
}

fn times(step: &StepNode) -> TimesDoc {
    step.times.as_ref().map_or(TimesDoc { min: 1, max: 1 }, |times| times.value)
}

/// A single statement that runs once commits itself.
fn is_explicit(steps: &[StepNode], isolation: Option<Isolation>) -> bool {
    let repeats = steps.iter().map(times).any(|times| (times.min, times.max) != (1, 1));
    steps.len() > 1 || repeats || isolation.is_some()
}
