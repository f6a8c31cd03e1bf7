//! From the commands of one script to operations and statements.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::conditions::Conditions;
use super::expression::Expression;
use super::parse::{self, Wrong};
use super::scan::{Command, Meta, Sql, Word};
use super::sql::{self, Boundary, Stands};
use super::variables::{Initial, Variable};
use super::{Operation, Script, Sleep};
use crate::diagnostic::likely;
use crate::sql::named::Place;
use crate::sql::statement::{Cardinality, kind};
use crate::sql::tag::with_tag;
use crate::units::{Protocol, SlotId, StatementId, TransactionId};
use crate::workload::{Output, Statement};

/// The variables of all scripts of a workload, which its clients carry from one to the other.
#[derive(Default)]
pub(super) struct Names {
    declared: Vec<Variable>,
    slots: BTreeMap<String, SlotId>,
    /// What `\gset` and `\aset` put before the names of columns: each may set any name that begins so.
    prefixes: Vec<String>,
}

impl Names {
    /// Says that something sets the variable; what is said first about its beginning counts.
    pub(super) fn declare(&mut self, name: &str, initial: Initial) -> SlotId {
        let slot = self.slot(name);
        let variable = &mut self.declared[slot.index()];
        if variable.initial == Initial::Unset {
            variable.initial = initial;
        }
        slot
    }

    /// Says what the commands of a script set.
    pub(super) fn declare_all(&mut self, commands: &[Command]) {
        for command in commands {
            let Command::Meta(meta) = command else { continue };
            let first = meta.words.first().map(|word| word.text.as_str());
            match (meta.name.text.to_ascii_lowercase().as_str(), first) {
                ("set", Some(name)) if sql::is_variable_name(name) => {
                    self.slot(name);
                }
                ("gset" | "aset", prefix) => self.prefixes.push(prefix.unwrap_or_default().to_owned()),
                _ => {}
            }
        }
    }

    pub(super) fn into_variables(self) -> Vec<Variable> {
        self.declared
    }

    fn slot(&mut self, name: &str) -> SlotId {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let slot = SlotId::from_index(self.declared.len());
        self.declared.push(Variable { name: name.to_owned(), initial: Initial::Unset });
        self.slots.insert(name.to_owned(), slot);
        slot
    }

    /// Whether anything sets the variable by its name.
    fn is_declared(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    /// Whether anything may set it.
    fn can_be_set(&self, name: &str) -> bool {
        self.is_declared(name) || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    fn unknown(&self, name: &str, at: Range<usize>) -> Wrong {
        let known = self.declared.iter().map(|variable| variable.name.as_str());
        let help = likely(name, known).map_or_else(
            || format!("set it with `\\set {name} …` or with `-D {name}=…`"),
            |likely| format!("did you mean `:{likely}`?"),
        );
        Wrong::new(at, format!("nothing sets the variable `{name}`"), "not known").help(help)
    }
}

/// Everything that a script becomes.
pub(super) struct Compiled {
    pub(super) script: Script,
    pub(super) statements: Vec<Statement>,
    pub(super) wrongs: Vec<Wrong>,
}

/// What all scripts of a workload share.
pub(super) struct Context<'a> {
    pub(super) names: &'a mut Names,
    pub(super) protocol: Protocol,
    /// The transaction that the script becomes.
    pub(super) transaction: TransactionId,
    pub(super) transaction_name: &'a str,
    /// Statements of the scripts before it.
    pub(super) statements_before: usize,
}

/// Compiles the commands of `text`.
pub(super) fn compile(text: &str, commands: &[Command], context: Context<'_>) -> Compiled {
    let mut compiler = Compiler {
        text,
        context,
        operations: Vec::new(),
        statements: Vec::new(),
        conditions: Conditions::default(),
        pipeline: Pipeline::Closed,
        position: 0,
        wrongs: Vec::new(),
    };
    let mut rest = commands;
    while let [first, others @ ..] = rest {
        rest = others;
        match first {
            Command::Meta(meta) => compiler.meta(meta),
            Command::Sql(sql) => {
                let taking = match others {
                    [Command::Meta(meta), others @ ..] if meta.is("gset") || meta.is("aset") => {
                        rest = others;
                        Some(meta)
                    }
                    _ => None,
                };
                compiler.sql(sql, taking);
            }
        }
    }
    compiler.end();
    Compiled {
        script: Script { operations: compiler.operations },
        statements: compiler.statements,
        wrongs: compiler.wrongs,
    }
}

impl Meta {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.text.eq_ignore_ascii_case(name)
    }
}

/// What can be told of the pipeline without running the script.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pipeline {
    Closed,
    /// By the command at these bytes.
    Open(Range<usize>),
    /// Conditions decide.
    Depends,
}

struct Compiler<'a> {
    text: &'a str,
    context: Context<'a>,
    operations: Vec<Operation>,
    statements: Vec<Statement>,
    conditions: Conditions,
    pipeline: Pipeline,
    /// SQL commands so far.
    position: usize,
    wrongs: Vec<Wrong>,
}

const COMMANDS: [&str; 11] = [
    "set",
    "sleep",
    "if",
    "elif",
    "else",
    "endif",
    "gset",
    "aset",
    "startpipeline",
    "syncpipeline",
    "endpipeline",
];

impl Compiler<'_> {
    fn meta(&mut self, meta: &Meta) {
        match meta.name.text.to_ascii_lowercase().as_str() {
            "set" => self.set(meta),
            "sleep" => self.sleep(meta),
            "if" => {
                let condition = self.condition(meta);
                self.conditions.open(meta.span.clone(), condition, &mut self.operations);
            }
            "elif" => {
                let condition = self.condition(meta);
                let wrong = self.conditions.otherwise(&meta.span, Some(condition), &mut self.operations);
                self.wrongs.extend(wrong);
            }
            "else" => {
                self.no_words(meta);
                let wrong = self.conditions.otherwise(&meta.span, None, &mut self.operations);
                self.wrongs.extend(wrong);
            }
            "endif" => {
                self.no_words(meta);
                let wrong = self.conditions.close(&meta.span, &mut self.operations);
                self.wrongs.extend(wrong);
            }
            "startpipeline" | "syncpipeline" | "endpipeline" => self.pipeline(meta),
            "gset" | "aset" => {
                let message = format!("`\\{}` has no SQL command before it", meta.name.text);
                let help = "write it behind the command whose result it keeps";
                self.wrongs.push(Wrong::new(meta.span.clone(), message, "nothing to keep").help(help));
            }
            "shell" | "setshell" => {
                let message = format!("`\\{}` is not supported", meta.name.text);
                let help = "dbdyno starts no programs: what is measured would be theirs; set a variable with -D instead";
                self.wrongs.push(Wrong::new(meta.name.span.clone(), message, "starts a program").help(help));
            }
            name => {
                let help = likely(name, COMMANDS).map_or_else(
                    || "pgbench has \\set, \\sleep, \\if, \\gset, \\aset and \\startpipeline".to_owned(),
                    |likely| format!("did you mean `\\{likely}`?"),
                );
                let message = format!("pgbench has no command `\\{name}`");
                self.wrongs.push(Wrong::new(meta.name.span.clone(), message, "not known").help(help));
            }
        }
    }

    fn set(&mut self, meta: &Meta) {
        let Some(name) = meta.words.first() else {
            return self.missing(meta, "a variable and its value are missing", "\\set aid random(1, 100)");
        };
        if !sql::is_variable_name(&name.text) {
            let message = format!("`{}` cannot be a variable's name", name.text);
            let wrong = Wrong::new(name.span.clone(), message, "not a name");
            self.wrongs.push(wrong.help("letters, digits and `_` can stand in one; it begins with no digit"));
            return;
        }
        if meta.words.len() == 1 {
            return self.missing(meta, "a value is missing", "\\set aid random(1, 100)");
        }
        let Some(expression) = self.expression(name.span.end..meta.span.end) else { return };
        let variable = self.context.names.slot(&name.text);
        self.operations.push(Operation::Set { variable, expression });
    }

    /// The condition of `\if` and `\elif`; NULL, which holds never, where it cannot be read.
    fn condition(&mut self, meta: &Meta) -> Expression {
        let never = Expression::Constant(super::Value::Null);
        if meta.words.is_empty() {
            self.missing(meta, "a condition is missing", "\\if :aid > 100");
            return never;
        }
        self.expression(meta.name.span.end..meta.span.end).unwrap_or(never)
    }

    fn expression(&mut self, within: Range<usize>) -> Option<Expression> {
        let names = &mut *self.context.names;
        let mut unknown = Vec::new();
        let mut resolve = |name: &str, at: Range<usize>| {
            if !names.can_be_set(name) {
                unknown.push((name.to_owned(), at));
                // The script will not run.
                return SlotId::from_index(0);
            }
            names.slot(name)
        };
        let parsed = parse::parse(self.text, within, &mut resolve);
        self.wrongs.extend(unknown.into_iter().map(|(name, at)| names.unknown(&name, at)));
        match parsed {
            Ok(expression) => Some(expression),
            Err(wrong) => {
                self.wrongs.push(wrong);
                None
            }
        }
    }

    fn sleep(&mut self, meta: &Meta) {
        let (length, unit) = match meta.words.as_slice() {
            [] => return self.missing(meta, "how long is missing", "\\sleep 10 ms"),
            [length] => match length.text.find(|c: char| !c.is_ascii_digit() && c != '-' && c != '+') {
                // `10ms`, in one word.
                Some(at) if at > 0 => (part(length, 0..at), Some(part(length, at..length.text.len()))),
                _ => (length.clone(), None),
            },
            [length, unit] => (length.clone(), Some(unit.clone())),
            [_, _, more, ..] => return self.too_many(more),
        };
        let unit = match unit.as_ref().map(|unit| unit.text.to_ascii_lowercase()).as_deref() {
            None | Some("s") => Duration::from_secs(1),
            Some("ms") => Duration::from_millis(1),
            Some("us") => Duration::from_micros(1),
            Some(_) => {
                let at = unit.map_or(meta.span.clone(), |unit| unit.span);
                let wrong = Wrong::new(at, "this is no unit of time", "expected us, ms or s");
                return self.wrongs.push(wrong);
            }
        };
        let sleep = if let Some(name) = length.text.strip_prefix(':') {
            if !self.context.names.can_be_set(name) {
                let wrong = self.context.names.unknown(name, length.span);
                return self.wrongs.push(wrong);
            }
            Sleep::Variable { variable: self.context.names.slot(name), unit }
        } else if let Ok(units) = length.text.parse::<i32>() {
            Sleep::For(unit.saturating_mul(u32::try_from(units).unwrap_or(0)))
        } else {
            let message = format!("`{}` is no time to sleep", length.text);
            let wrong = Wrong::new(length.span, message, "expected a whole number or a variable");
            return self.wrongs.push(wrong);
        };
        self.operations.push(Operation::Sleep(sleep));
    }

    fn pipeline(&mut self, meta: &Meta) {
        self.no_words(meta);
        let opens = meta.is("startpipeline");
        if self.context.protocol == Protocol::Simple {
            if opens {
                let message = "the simple protocol has no pipelines";
                let wrong = Wrong::new(meta.span.clone(), message, "sends several requests at once");
                self.wrongs
                    .push(wrong.help("add --protocol extended or --protocol prepared, as for pgbench"));
            }
            return;
        }
        match (&self.pipeline, opens) {
            (Pipeline::Open(_), true) => {
                self.wrongs.push(Wrong::new(meta.span.clone(), "a pipeline is open already", "the second"));
            }
            (Pipeline::Closed, false) => {
                self.wrongs.push(Wrong::new(meta.span.clone(), "no pipeline is open", "nothing to end"));
            }
            _ => {}
        }
        let closes = meta.is("endpipeline");
        if !self.conditions.is_empty() {
            self.pipeline = Pipeline::Depends;
        } else if opens {
            self.pipeline = Pipeline::Open(meta.span.clone());
        } else if closes {
            self.pipeline = Pipeline::Closed;
        }
        self.operations.push(match (opens, closes) {
            (true, _) => Operation::StartPipeline,
            (_, true) => Operation::EndPipeline,
            _ => Operation::SyncPipeline,
        });
    }

    /// A SQL command, and the `\gset` or `\aset` behind it.
    fn sql(&mut self, sql: &Sql, taking: Option<&Meta>) {
        self.position += 1;
        if sql.commands > 1 && self.context.protocol != Protocol::Simple {
            let message = "several statements in one request need the simple protocol";
            let wrong = Wrong::new(sql.span.clone(), message, "joined by `\\;`");
            self.wrongs.push(wrong.help("leave --protocol out, or end each with `;`"));
        }
        let boundary = if taking.is_none() { sql::boundary(&sql.text) } else { None };
        let operation = match boundary {
            None => {
                let (outputs, cardinality) =
                    taking.map_or_else(|| (Vec::new(), Cardinality::Exec), |meta| self.outputs(meta));
                let takes = taking.is_some();
                let effect = sql::effect(&sql.text, sql.commands);
                let statement = self.statement(sql, cardinality);
                self.statements[statement.index() - self.context.statements_before].outputs = outputs;
                Operation::Execute { statement, effect, takes }
            }
            Some(Boundary::Begin(isolation)) => Operation::Begin { isolation },
            Some(Boundary::Commit) => Operation::Commit,
        };
        self.operations.push(operation);
    }

    fn statement(&mut self, sql: &Sql, cardinality: Cardinality) -> StatementId {
        let name = sql::name(self.position, &sql.text);
        let tag = format!("{}.{name}", self.context.transaction_name);
        let tagged = with_tag(&sql.text, &tag);
        let (text, inputs, places) = self.numbered(&tagged, sql);
        self.statements.push(Statement {
            name,
            file: "queries.sql",
            transaction: self.context.transaction,
            sql: text,
            tag,
            cardinality,
            kind: kind(&sql.text),
            inputs,
            places,
            outputs: Vec::new(),
            kept: Vec::new(),
            span: sql.span.clone(),
        });
        StatementId::from_index(self.context.statements_before + self.statements.len() - 1)
    }

    /// The text with a number of its own for each `:name` that is a variable, as pgbench counts them: the server may give
    /// each another type.
    fn numbered(&mut self, text: &str, command: &Sql) -> (String, Vec<SlotId>, Vec<Place>) {
        let simple = self.context.protocol == Protocol::Simple;
        let (mut numbered, mut inputs, mut places) = (String::with_capacity(text.len()), vec![], vec![]);
        let mut from = 0;
        for reference in sql::references(text) {
            let name = reference.name;
            let is_value =
                self.context.names.can_be_set(name) && (simple || reference.stands != Stands::Quoted);
            if !is_value {
                let at = command.span.clone();
                if reference.stands == Stands::Free {
                    let wrong = self.context.names.unknown(name, self.place(&at, name));
                    self.wrongs.push(wrong);
                } else if reference.stands == Stands::Quoted && self.context.names.is_declared(name) {
                    let message = format!("`:{name}` stands inside quotes");
                    let label = "only the simple protocol puts a value there";
                    let help = "leave --protocol out, or take it out of the quotes";
                    self.wrongs.push(Wrong::new(self.place(&at, name), message, label).help(help));
                }
                continue;
            }
            numbered.push_str(&text[from..reference.span.start]);
            let start = numbered.len();
            numbered.push_str(&format!("${}", inputs.len() + 1));
            places.push(Place { range: start..numbered.len(), input: inputs.len() });
            inputs.push(self.context.names.slot(name));
            from = reference.span.end;
        }
        numbered.push_str(&text[from..]);
        (numbered, inputs, places)
    }

    /// Where `:name` stands in the command at `within`; all of it where that cannot be told.
    fn place(&self, within: &Range<usize>, name: &str) -> Range<usize> {
        let command = &self.text[within.clone()];
        let found = sql::references(command).into_iter().find(|reference| reference.name == name);
        found.map_or(within.clone(), |found| within.start + found.span.start..within.start + found.span.end)
    }

    /// The columns that `\gset` or `\aset` keep: every variable that could be one of them, since only the server knows the
    /// names of all columns.
    fn outputs(&mut self, meta: &Meta) -> (Vec<Output>, Cardinality) {
        if let [_, more, ..] = meta.words.as_slice() {
            self.too_many(more);
        }
        if matches!(self.pipeline, Pipeline::Open(_)) {
            let message = format!("`\\{}` cannot keep what a pipeline brings", meta.name.text);
            let wrong = Wrong::new(meta.span.clone(), message, "a pipeline is open");
            self.wrongs.push(wrong.help("end the pipeline before it"));
        }
        let prefix = meta.words.first().map_or("", |word| word.text.as_str());
        let cardinality = if meta.is("gset") { Cardinality::One } else { Cardinality::Many };
        // Filled in when all scripts are read: which variables there are is known then.
        (vec![Output { column: prefix.to_owned(), slot: SlotId::from_index(0) }], cardinality)
    }

    fn end(&mut self) {
        self.wrongs.extend(self.conditions.unclosed());
        if let Pipeline::Open(at) = &self.pipeline {
            let wrong = Wrong::new(at.clone(), "this pipeline is never ended", "opened here");
            self.wrongs.push(wrong.help("write `\\endpipeline` behind its last command"));
        }
    }

    fn no_words(&mut self, meta: &Meta) {
        if let [more, ..] = meta.words.as_slice() {
            self.too_many(more);
        }
    }

    fn too_many(&mut self, word: &Word) {
        let message = format!("`{}` is not expected", word.text);
        self.wrongs.push(Wrong::new(word.span.clone(), message, "one word too many"));
    }

    fn missing(&mut self, meta: &Meta, what: &str, example: &str) {
        let message = format!("`\\{}` is not complete", meta.name.text);
        let wrong = Wrong::new(meta.span.clone(), message, what);
        self.wrongs.push(wrong.help(format!("write for example `{example}`")));
    }
}

fn part(word: &Word, of: Range<usize>) -> Word {
    let start = word.span.start;
    Word { text: word.text[of.clone()].to_owned(), span: start + of.start..start + of.end }
}

/// Fills in the columns that each statement keeps, now that all variables are known. Results have slots of their own, in the
/// order of the variables and behind them.
pub(super) fn complete_outputs(statements: &mut [Statement], names: &Names) {
    for statement in statements {
        let Some(Output { column: prefix, .. }) = statement.outputs.pop() else { continue };
        let named = names.slots.iter().filter_map(|(name, slot)| {
            let column = name.strip_prefix(prefix.as_str()).filter(|column| !column.is_empty())?;
            // A column that is not there must leave alone what the statement is sent with.
            let slot = SlotId::from_index(names.declared.len() + slot.index());
            Some(Output { column: column.to_owned(), slot })
        });
        statement.outputs = named.collect();
    }
}
