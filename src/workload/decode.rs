//! Walks the parsed document and deserialises each node alone, so that one mistake hides no other. Knows no other file.

mod measures;
mod parameters;
mod stages;

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::Aged;
use super::document::{
    AgedDoc, BudgetNode, ColumnNode, Document, HeadDoc, Located, StepDoc, StepNode, TableDoc, TableNode,
    TransactionDoc, TransactionNode,
};
use super::explain::{Explained, explain, list, suggest};
use super::node::{Name, Node, canonical, kind_of, take_off};
use crate::diagnostic::{Mistakes, likely};
use crate::generate::spec::{ColumnSpec, Modifiers, RowSpec, ValueSpec};

/// Reads the document. What is wrong with it is in `mistakes`; what can be used is returned all the same, so that the
/// checks that follow find the rest.
pub(super) fn decode(text: &str, source: usize, mistakes: &mut Mistakes) -> Document {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            mistakes.at(source, span, "this is not TOML", error.message(), None);
        }
        // What a half-read document lacks would be blamed on its author.
        return Document::default();
    }
    Walk { mistakes, source }.document(root.into_inner(), text.trim_end().len())
}

/// What a column may say besides its generator.
const MODIFIERS: [&str; 4] = ["null_fraction", "unique", "correlation", "exclusive"];

/// A node as far as it could be read.
struct Decoded<T> {
    value: T,
    /// Keys whose mistakes were reported: they are not missing.
    dropped: Vec<String>,
}

struct Walk<'m> {
    mistakes: &'m mut Mistakes,
    source: usize,
}

impl Walk<'_> {
    fn blame(&mut self, span: Range<usize>, message: impl Into<String>, label: &str, help: Option<String>) {
        self.mistakes.at(self.source, span, message, label, help);
    }

    fn document(&mut self, mut root: DeTable<'_>, end: usize) -> Document {
        const CHILDREN: [&str; 6] = ["table", "transaction", "measure", "gauge", "stage", "budget"];
        let tables_canonical = root.get("table").map(|node| canonical(node.get_ref())).unwrap_or_default();
        let [tables, transactions, measures, gauges, stages, budget] = CHILDREN.map(|name| root.remove(name));
        let mut document = Document { tables_canonical, ..Document::default() };
        if let Some(head) =
            self.node::<HeadDoc>(Spanned::new(0..0, DeValue::Table(root)), &CHILDREN, "a workload")
        {
            self.require(&head.dropped, "name", head.value.name.is_some(), 0..0, "the workload");
            if let Some(name) = head.value.name.as_ref().filter(|name| name.value.trim().is_empty()) {
                self.blame(name.span.clone(), "the workload's name is empty", "expected a name", None);
            }
            document.name = head.value.name.map(|name| name.value).unwrap_or_default();
            document.description = head.value.description;
            document.protocol = head.value.protocol;
            if let Some(limit) = head.value.statement_timeout {
                if limit.value < std::time::Duration::from_millis(1) {
                    let message = "`statement_timeout` counts whole milliseconds";
                    self.blame(limit.span, message, "expected at least 1 ms", None);
                }
                document.statement_timeout = Some(limit.value);
            }
            document.scale_query = head.value.scale.map(|scale| scale.query);
            document.engines = head.value.engines;
        }
        for (name, node) in self.entries(tables, "table", "[table.NAME]") {
            document.tables.extend(self.table(&name, node));
        }
        let found = self.mistakes.items().len();
        for node in self.items(transactions, "transaction") {
            document.transactions.extend(self.transaction(node));
        }
        if document.transactions.is_empty() && self.mistakes.items().len() == found {
            let help = "write at least one `[[transaction]]` with `statements = [\"…\"]`".to_owned();
            self.blame(end..end, "the workload has no transaction", "nothing to run", Some(help));
        }
        for (name, node) in self.entries(measures, "measure", "[measure.NAME]") {
            document.measures.extend(self.measure(&name, node));
        }
        for (name, node) in self.entries(gauges, "gauge", "[gauge.NAME]") {
            document.gauges.extend(self.gauge(&name, node));
        }
        for node in self.items(stages, "stage") {
            document.stages.extend(self.stage(node));
        }
        for (name, node) in self.entries(budget, "budget", "[budget]") {
            self.budget(name.get_ref(), name.span(), node, &mut document.budgets);
        }
        document
    }

    fn table(&mut self, name: &Name<'_>, node: Node<'_>) -> Option<TableNode> {
        let mut fields = self.fields(node, name)?;
        let columns = fields.remove("column");
        let place = format!("table `{}`", name.get_ref());
        let read =
            self.node::<TableDoc>(Spanned::new(name.span(), DeValue::Table(fields)), &["column"], &place)?;
        self.require(&read.dropped, "rows", read.value.rows.is_some(), name.span(), &place);
        if let Some(rows) = read.value.rows.as_ref().filter(|rows| rows.value == 0) {
            self.blame(rows.span.clone(), format!("{place} has no rows"), "expected at least 1", None);
        }
        let columns = self
            .entries(columns, "column", "[table.NAME.column]")
            .into_iter()
            .map(|(column, node)| self.column(&column, node))
            .collect::<Vec<_>>();
        let aged = read.value.aged.as_ref().and_then(|aged| self.aged(aged, name, columns.is_empty()));
        Some(TableNode {
            name: name.get_ref().clone().into_owned(),
            span: name.span(),
            rows: read.value.rows.map_or(1, |rows| rows.value),
            scales: read.value.scales,
            aged,
            columns,
        })
    }

    /// How a table is aged, if at all.
    fn aged(&mut self, doc: &AgedDoc, name: &Name<'_>, is_foreign: bool) -> Option<Aged> {
        let mut share = |what: &str, given: &Option<Located<f64>>| {
            let Some(given) = given else { return 0.0 };
            if is_foreign {
                let message =
                    format!("table `{}` is filled by somebody else and cannot be aged", name.get_ref());
                let help = "describe its columns under `[table.NAME.column]`, or leave `aged` out".to_owned();
                self.blame(given.span.clone(), message, "has no columns here", Some(help));
            } else if !(0.0..=1.0).contains(&given.value) {
                let message = format!("`{what}` is a share of the table's rows");
                self.blame(given.span.clone(), message, "expected a number from 0 to 1", None);
            }
            given.value
        };
        let aged = Aged { updated: share("updated", &doc.updated), deleted: share("deleted", &doc.deleted) };
        (aged.updated > 0.0 || aged.deleted > 0.0).then_some(aged)
    }

    fn column(&mut self, name: &Name<'_>, node: Node<'_>) -> ColumnNode {
        let span = node.span();
        let mut modifiers = Modifiers::default();
        let spec = self.fields(node, name).and_then(|mut fields| {
            modifiers = self.modifiers(&mut fields);
            self.column_spec(name, &span, fields)
        });
        ColumnNode { name: name.get_ref().clone().into_owned(), span, spec, modifiers }
    }

    fn modifiers(&mut self, fields: &mut DeTable<'_>) -> Modifiers {
        let mut read = Modifiers::default();
        if let Some(node) = fields.remove("null_fraction") {
            read.null_fraction = self.number_within(node, "`null_fraction` is a share", 0.0).unwrap_or(0.0);
        }
        if let Some(node) = fields.remove("unique") {
            read.unique = self.node::<bool>(node, &[], "").is_some_and(|read| read.value);
        }
        if let Some(node) = fields.remove("correlation") {
            read.correlation = self.number_within(node, "`correlation` is a correlation", -1.0);
        }
        if let Some(node) = fields.remove("exclusive") {
            read.exclusive = self.node::<String>(node, &[], "").map(|read| read.value);
        }
        read
    }

    /// A number from `least` to 1.
    fn number_within(&mut self, node: Node<'_>, message: &str, least: f64) -> Option<f64> {
        let span = node.span();
        let number = self.node::<f64>(node, &[], "")?.value;
        if (least..=1.0).contains(&number) {
            return Some(number);
        }
        self.blame(span, message, &format!("expected a number from {least} to 1"), None);
        None
    }

    fn column_spec(
        &mut self,
        name: &Name<'_>,
        span: &Range<usize>,
        fields: DeTable<'_>,
    ) -> Option<ColumnSpec> {
        let place = format!("column `{}`", name.get_ref());
        let names = [RowSpec::NAMES, ValueSpec::NAMES].concat();
        // The modifiers were taken off, but for a misspelt one.
        let misspelt = fields.iter().find_map(|(key, _)| {
            let name = key.get_ref().as_ref();
            let meant = likely(name, MODIFIERS).filter(|_| !names.contains(&name))?;
            Some((key.span(), format!("unknown key `{name}`"), format!("did you mean `{meant}`?")))
        });
        if let Some((span, message, help)) = misspelt {
            self.blame(span, message, "not known here", Some(help));
            return None;
        }
        let kind = self.only_key(&fields, span, &place, &names)?;
        let node = Spanned::new(span.clone(), DeValue::Table(fields));
        if RowSpec::NAMES.contains(&kind.as_str()) {
            Some(ColumnSpec::Row(self.node::<RowSpec>(node, &[], &place)?.sound()?))
        } else {
            Some(ColumnSpec::Value(self.node::<ValueSpec>(node, &[], &place)?.sound()?))
        }
    }

    /// The one key that says what makes the values.
    fn only_key(
        &mut self,
        fields: &DeTable<'_>,
        span: &Range<usize>,
        place: &str,
        known: &[&str],
    ) -> Option<String> {
        let mut found = None;
        let mut is_sound = true;
        for (key, _) in fields {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let help = suggest(name, known);
                self.blame(key.span(), format!("no generator is called `{name}`"), "not known", Some(help));
                is_sound = false;
            } else if let Some(first) = found.replace(name.to_owned()) {
                let message = format!("{place} has two generators, `{first}` and `{name}`");
                self.blame(key.span(), message, "the second", Some("keep one of them".to_owned()));
                is_sound = false;
            }
        }
        if found.is_none() && is_sound {
            let message = format!("{place} has no generator");
            self.blame(span.clone(), message, "expected one", Some(format!("known are {}", list(known))));
        }
        found.filter(|_| is_sound)
    }

    fn transaction(&mut self, node: Node<'_>) -> Option<TransactionNode> {
        const CHILDREN: [&str; 2] = ["step", "parameter"];
        let span = node.span();
        let mut fields = self.fields(node, &Spanned::new(span.clone(), "transaction".into()))?;
        let [steps, parameters] = CHILDREN.map(|name| fields.remove(name));
        let node = Spanned::new(span.clone(), DeValue::Table(fields));
        let Decoded { value: doc, dropped } =
            self.node::<TransactionDoc>(node, &CHILDREN, "a transaction")?;
        self.require(&dropped, "name", doc.name.is_some(), span.clone(), "the transaction");
        let has_steps = steps.is_some();
        let mut incomplete = dropped.iter().any(|key| key == "statements");
        let mut nodes = Vec::new();
        for step in self.items(steps, "step") {
            let step = self.step(step);
            incomplete |= step.is_none();
            nodes.extend(step);
        }
        match doc.statements {
            Some(statements) if has_steps => {
                let message = "`statements` and `[[transaction.step]]` exclude each other";
                let help = "keep the steps when one repeats or pauses, else the list".to_owned();
                self.blame(statements.span, message, "this transaction has steps as well", Some(help));
            }
            Some(statements) => nodes.extend(statements.value.into_iter().map(|statement| StepNode {
                statement,
                times: None,
                hold: std::time::Duration::ZERO,
            })),
            None => {}
        }
        if nodes.is_empty() && !incomplete {
            let help = "write `statements = [\"…\"]` with names of `queries.sql`".to_owned();
            self.blame(span.clone(), "the transaction does nothing", "no statement", Some(help));
        }
        let parameters = self
            .entries(parameters, "parameter", "[transaction.parameter]")
            .into_iter()
            .map(|(name, node)| self.parameter(&name, node))
            .collect();
        Some(TransactionNode {
            name: doc.name,
            weight: doc.weight,
            steps: nodes,
            incomplete,
            isolation: doc.isolation,
            read_only: doc.read_only,
            deferrable: doc.deferrable,
            set: doc.set,
            pipeline: doc.pipeline,
            retry: doc.retry,
            parameters,
        })
    }

    fn step(&mut self, node: Node<'_>) -> Option<StepNode> {
        let span = node.span();
        let read = self.node::<StepDoc>(node, &[], "a step")?;
        self.require(&read.dropped, "statement", read.value.statement.is_some(), span, "the step");
        let StepDoc { statement, times, hold } = read.value;
        if let Some(times) = &times
            && (times.value.min > times.value.max || times.value.max == 0)
        {
            let help =
                "the fewest stand first, and the most are at least 1: `{ uniform = [1, 4] }`".to_owned();
            self.blame(times.span.clone(), "this is no number of repetitions", "runs never", Some(help));
        }
        let hold = match hold {
            Some(hold) if hold.value.is_zero() => {
                self.blame(hold.span, "the pause is empty", "expected more than zero", None);
                std::time::Duration::ZERO
            }
            Some(hold) => hold.value,
            None => std::time::Duration::ZERO,
        };
        Some(StepNode { statement: statement?, times, hold })
    }

    /// Both `"a.b" = "…"` and `a.b = "…"`: the quotes are easily forgotten, and what is meant is plain.
    fn budget(&mut self, path: &str, span: Range<usize>, node: Node<'_>, budgets: &mut Vec<BudgetNode>) {
        let place = node.span();
        match node.into_inner() {
            DeValue::String(limit) => budgets.push(BudgetNode {
                metric: Located { value: path.to_owned(), span },
                limit: Located { value: limit.into_owned(), span: place },
            }),
            DeValue::Table(fields) => {
                for (key, node) in fields {
                    let inner = span.start..key.span().end.max(span.end);
                    self.budget(&format!("{path}.{}", key.get_ref()), inner, node, budgets);
                }
            }
            _ => self.blame(
                place,
                format!("the limit of `{path}` is no text"),
                "expected a text",
                Some("write for example `\"< 50ms\"`".to_owned()),
            ),
        }
    }

    /// Blames a required key that is missing and was not dropped for another mistake.
    fn require(&mut self, dropped: &[String], key: &str, is_there: bool, span: Range<usize>, place: &str) {
        // A misspelt key is one mistake, not two.
        if !is_there && !dropped.iter().any(|name| likely(name, [key]).is_some()) {
            self.blame(span, format!("{place} has no `{key}`"), &format!("`{key}` is missing"), None);
        }
    }

    /// The entries of a table of tables, `[table.NAME]`.
    fn entries<'i>(&mut self, node: Option<Node<'i>>, key: &str, form: &str) -> Vec<(Name<'i>, Node<'i>)> {
        let Some(node) = node else { return Vec::new() };
        let span = node.span();
        if let DeValue::Table(fields) = node.into_inner() {
            return fields.into_iter().collect();
        }
        self.blame(span, format!("`{key}` is a table"), "expected a table", Some(format!("write `{form}`")));
        Vec::new()
    }

    /// The items of a list of tables, `[[transaction]]`.
    fn items<'i>(&mut self, node: Option<Node<'i>>, key: &str) -> Vec<Node<'i>> {
        let Some(node) = node else { return Vec::new() };
        let span = node.span();
        if let DeValue::Array(items) = node.into_inner() {
            return items.into_iter().collect();
        }
        let form = if key == "step" { "[[transaction.step]]".to_owned() } else { format!("[[{key}]]") };
        let help = format!("write `{form}`, with two brackets");
        self.blame(span, format!("`{key}` is a list of tables"), "expected a list", Some(help));
        Vec::new()
    }

    fn fields<'i>(&mut self, node: Node<'i>, name: &Name<'_>) -> Option<DeTable<'i>> {
        let span = node.span();
        let found = kind_of(node.get_ref());
        if let DeValue::Table(fields) = node.into_inner() {
            return Some(fields);
        }
        let message = format!("`{}` is a table", name.get_ref());
        self.blame(span, message, &format!("expected a table, found {found}"), None);
        None
    }

    /// Deserialises a node. serde stops at its first error: the entry to blame is taken off and the rest is tried again,
    /// until all of it is read or nothing more can be taken off. `also` are keys that were taken off before.
    fn node<T: DeserializeOwned>(
        &mut self,
        node: Node<'_>,
        also: &[&str],
        place: &str,
    ) -> Option<Decoded<T>> {
        let mut node = node;
        let mut dropped = Vec::new();
        loop {
            let error = match T::deserialize(ValueDeserializer::from(node.clone())) {
                Ok(value) => return Some(Decoded { value, dropped }),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| node.span());
            let Explained { message, label, help, missing } = explain(error.message(), also, place);
            if missing.is_some_and(|key| dropped.iter().any(|name| likely(name, [key.as_str()]).is_some())) {
                return None;
            }
            self.blame(span.clone(), message, &label, help);
            dropped.push(take_off(node.get_mut(), &span)?);
        }
    }
}

impl<T> Decoded<T> {
    /// The value, if nothing was taken off.
    fn sound(self) -> Option<T> {
        self.dropped.is_empty().then_some(self.value)
    }
}
