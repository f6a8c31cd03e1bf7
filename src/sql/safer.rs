//! The safe form of a statement that changes a schema, as the server's documentation knows it: another statement, or several in its
//! place, with the same outcome; in the place of `VACUUM FULL` the nearest that SQL has. Works on the words, and on what the server said of
//! a column before, and gives nothing where it is not sure of them.

mod batches;
mod on_mariadb;
mod retype;
#[cfg(test)]
mod tests;
mod text;

use super::ddl::{Form, form};
use super::lex::significant;
use crate::units::Dialect;
use batches::{batches, in_batches};
use retype::retyped;
use text::{Alter, Text, bare, joined};

pub use on_mariadb::{KeyedTable, tables_to_go_through};
pub use retype::{Column, ColumnCheck, ColumnForeignKey, ColumnIndex, columns_with_another_type};

/// What the server said of the tables of a migration before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Of PostgreSQL: columns that are to have another type.
    pub columns: Vec<Column>,
    /// Of MariaDB: tables whose rows are to be gone through.
    pub tables: Vec<KeyedTable>,
}

impl Known {
    /// Without what a statement has to do with, which is not behind it what it was before.
    #[must_use]
    pub fn without(&self, sql: &str) -> Self {
        Self {
            columns: self.columns.iter().filter(|of| !of.is_named_in(sql)).cloned().collect(),
            tables: self.tables.iter().map(|of| of.without(sql)).collect(),
        }
    }
}

/// The safe form in a dialect.
#[must_use]
pub fn safer_in(dialect: Dialect, sql: &str, known: &Known) -> Option<Vec<Safer>> {
    match dialect {
        Dialect::Postgresql => safer(sql, &known.columns),
        Dialect::Mysql => on_mariadb::safer(sql, &known.tables),
    }
}

/// Functions that give the same for all rows of a statement, so that a default by them is the same for old rows.
const SAME_FOR_ALL: [&str; 3] = ["NOW", "TRANSACTION_TIMESTAMP", "STATEMENT_TIMESTAMP"];

/// One statement of a safe form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safer {
    /// Its text.
    pub sql: String,
    /// Which transaction it stands in.
    pub stands: Stands,
}

/// How a statement of a safe form stands to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// In one of its own.
    Single,
    /// In none.
    Alone,
    /// In one with those beside it that say the same.
    Together,
}

/// What stands in the place of a statement; nothing where there is no other form, or none that can be written without knowing more.
/// `columns` are those whose type it changes, as far as the server said what they are.
#[must_use]
pub fn safer(sql: &str, columns: &[Column]) -> Option<Vec<Safer>> {
    let tokens = significant(sql);
    let of = Text { sql, tokens: &tokens };
    let actions = of.actions();
    if actions.len() > 1 {
        return one_by_one(&actions, columns);
    }
    match form(sql) {
        Form::CreateIndex => concurrently(&of, &["INDEX"]),
        Form::DropIndex if !of.has_top(",") && of.find("CASCADE").is_none() => concurrently(&of, &["INDEX"]),
        Form::Reindex => concurrently(&of, &["INDEX", "TABLE", "SCHEMA", "DATABASE"]),
        // The only one of these that may stand in a transaction.
        Form::RefreshMaterializedView => {
            let at = of.end_of("VIEW")?;
            Some(vec![single(&format!("{} CONCURRENTLY{}", &sql[..at], &sql[at..]))])
        }
        Form::DetachPartition => Some(vec![alone(&format!("{sql} CONCURRENTLY"))]),
        Form::AddForeignKey | Form::AddCheck => validated_later(&of).or_else(|| filled_later(&of)),
        Form::SetNotNull => checked_first(&of),
        Form::AddUnique => index_first(&of).or_else(|| filled_later(&of)),
        Form::AddColumn => filled_later(&of),
        Form::AlterType => retyped(&of, columns),
        Form::VacuumFull => without_full(&of),
        Form::Rows => in_batches(&of),
        Form::CreateIndexConcurrently | Form::DropIndex | Form::Cluster | Form::Other => None,
    }
}

fn single(sql: &str) -> Safer {
    Safer { sql: sql.to_owned(), stands: Stands::Single }
}

fn alone(sql: &str) -> Safer {
    Safer { sql: sql.to_owned(), stands: Stands::Alone }
}

/// Several actions of one ALTER TABLE, each as a statement of its own: those with a safe form in that, the others as they are.
fn one_by_one(actions: &[String], columns: &[Column]) -> Option<Vec<Safer>> {
    let safe = |action: &String| {
        let is_harmless = form(action) == Form::AddColumn && !fills_by_row(action);
        safer(action, columns).filter(|_| !is_harmless)
    };
    let forms: Vec<Option<Vec<Safer>>> = actions.iter().map(safe).collect();
    if forms.iter().all(Option::is_none) {
        return None;
    }
    let each =
        actions.iter().zip(forms).flat_map(|(action, safe)| safe.unwrap_or_else(|| vec![single(action)]));
    Some(each.collect())
}

/// Whether a column is added with a default that may be another for each row.
fn fills_by_row(sql: &str) -> bool {
    let tokens = significant(sql);
    let added = Added::read(&Text { sql, tokens: &tokens });
    added.and_then(|added| added.default).is_some_and(differs_by_row)
}

/// Whether a default is by a function that may give every row another value. Any other is kept in the catalogue (version 11).
fn differs_by_row(value: &str) -> bool {
    let tokens = significant(value);
    let of = Text { sql: value, tokens: &tokens };
    (0..tokens.len()).any(|at| {
        let calls = of.name(at).is_some() && of.mark(at + 1, "(");
        calls && !SAME_FOR_ALL.iter().any(|function| of.word(at, function))
    })
}

/// `CONCURRENTLY` behind the first of these words.
fn concurrently(of: &Text<'_>, words: &[&str]) -> Option<Vec<Safer>> {
    let at = words.iter().filter_map(|word| of.end_of(word)).min()?;
    Some(vec![alone(&format!("{} CONCURRENTLY{}", &of.sql[..at], &of.sql[at..]))])
}

/// `ADD CONSTRAINT … NOT VALID`, then `VALIDATE CONSTRAINT`.
fn validated_later(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Alter { table, action } = of.alter()?;
    if !of.word(action, "ADD") {
        return None;
    }
    let (name, rest) = of.constraint(action + 1, &table)?;
    let tokens = significant(&rest);
    let is_one =
        tokens.first().is_some_and(|first| first.is_word(&rest, "CHECK") || first.is_word(&rest, "FOREIGN"));
    is_one.then(|| validated(&table, &name, &rest).to_vec())
}

fn validated(table: &str, name: &str, rest: &str) -> [Safer; 2] {
    [
        single(&format!("ALTER TABLE {table} ADD CONSTRAINT {name} {rest} NOT VALID")),
        single(&format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")),
    ]
}

/// `ALTER TABLE t ALTER c SET NOT NULL`
fn checked_first(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Alter { table, action } = of.alter()?;
    let mut at = action;
    if !of.word(at, "ALTER") {
        return None;
    }
    at += 1;
    if of.word(at, "COLUMN") {
        at += 1;
    }
    let column = of.name(at)?;
    let is_all = of.words(at + 1, &["SET", "NOT", "NULL"]) && at + 4 == of.tokens.len();
    is_all.then(|| not_null(&table, column))
}

/// A check that is validated beside the traffic tells `SET NOT NULL` what its scan would (version 12).
fn not_null(table: &str, column: &str) -> Vec<Safer> {
    let check = joined(&[bare(column)], "is_there");
    let mut steps = validated(table, &check, &format!("CHECK ({column} IS NOT NULL)")).to_vec();
    steps.push(single(&format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")));
    steps.push(single(&format!("ALTER TABLE {table} DROP CONSTRAINT {check}")));
    steps
}

/// The index beside the traffic, then the constraint that takes it over.
fn index_first(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Alter { table, action } = of.alter()?;
    if !of.word(action, "ADD") {
        return None;
    }
    let (name, rest) = of.constraint(action + 1, &table)?;
    let tokens = significant(&rest);
    let inner = Text { sql: &rest, tokens: &tokens };
    let (kind, open) = match () {
        () if inner.word(0, "UNIQUE") => ("UNIQUE", 1),
        () if inner.words(0, &["PRIMARY", "KEY"]) => ("PRIMARY KEY", 2),
        () => return None,
    };
    let close = inner.closing(open)?;
    let columns = inner.text(open..close + 1);
    let behind = inner.text(close + 1..tokens.len());
    // What says more than when it is checked belongs to the index.
    let says_when = ["", "DEFERRABLE", "NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"];
    if !says_when.iter().any(|known| known.eq_ignore_ascii_case(behind)) {
        return None;
    }
    let behind = if behind.is_empty() { String::new() } else { format!(" {behind}") };
    Some(vec![
        alone(&format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} {columns}")),
        single(&format!("ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}{behind}")),
    ])
}

/// `ALTER TABLE table ADD [COLUMN] [IF NOT EXISTS] name kind …`
struct Added<'a> {
    table: String,
    guard: &'static str,
    name: &'a str,
    kind: &'a str,
    default: Option<&'a str>,
    not_null: bool,
    unique: bool,
    checks: Vec<&'a str>,
}

impl<'a> Added<'a> {
    /// Nothing where the column has more to it.
    fn read(of: &Text<'a>) -> Option<Self> {
        const CLAUSES: [&str; 10] = [
            "DEFAULT",
            "NOT",
            "NULL",
            "UNIQUE",
            "CHECK",
            "REFERENCES",
            "PRIMARY",
            "CONSTRAINT",
            "GENERATED",
            "COLLATE",
        ];
        let Alter { table, action } = of.alter()?;
        if !of.word(action, "ADD") {
            return None;
        }
        let at = if of.word(action + 1, "COLUMN") { action + 2 } else { action + 1 };
        let is_guarded = of.words(at, &["IF", "NOT", "EXISTS"]);
        let from = if is_guarded { at + 3 } else { at };
        let name = of.name(from)?;
        let end = of.tokens.len();
        let next_clause = |from: usize| {
            let begins = |at: &usize| of.depth(*at) == 0 && CLAUSES.iter().any(|word| of.word(*at, word));
            (from..end).find(begins).unwrap_or(end)
        };
        let mut at = next_clause(from + 1);
        let mut added = Self {
            table,
            guard: if is_guarded { "IF NOT EXISTS " } else { "" },
            name,
            kind: of.text(from + 1..at),
            default: None,
            not_null: false,
            unique: false,
            checks: Vec::new(),
        };
        while at < end {
            at = match () {
                () if of.word(at, "DEFAULT") => {
                    // The first word of a value is none of a clause, whatever it is.
                    let behind = next_clause(at + 2);
                    added.default = Some(of.text(at + 1..behind));
                    behind
                }
                () if of.words(at, &["NOT", "NULL"]) => {
                    added.not_null = true;
                    at + 2
                }
                () if of.word(at, "UNIQUE") => {
                    added.unique = true;
                    at + 1
                }
                () if of.word(at, "CHECK") => {
                    let behind = of.closing(at + 1)? + 1;
                    added.checks.push(of.text(at..behind));
                    behind
                }
                () if of.word(at, "NULL") => at + 1,
                () => return None,
            };
        }
        Some(added)
    }
}

/// The column alone, the default for new rows, the old rows in batches, and then what all rows must keep to.
fn filled_later(of: &Text<'_>) -> Option<Vec<Safer>> {
    let Added { table, guard, name: column, kind, default, not_null: has_all, unique, checks } =
        Added::read(of)?;
    let has_more = unique || !checks.is_empty();
    if default.is_none() && !has_more {
        return None;
    }
    let add = format!("ALTER TABLE {table} ADD COLUMN {guard}{column} {kind}");
    let name = |ending: &str| joined(&[bare(&table), bare(column)], ending);
    let mut steps = Vec::new();
    match default {
        Some(value) if !has_more || differs_by_row(value) => {
            let all = format!("UPDATE {table} SET {column} = DEFAULT");
            steps.push(single(&add));
            steps.push(single(&format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value}")));
            steps.push(alone(&batches(&table, &all, Some(&format!("{column} IS NULL")))));
            if has_all {
                steps.extend(not_null(&table, column));
            }
        }
        // What is the same for all rows is written into none of them.
        Some(value) => {
            let has_all = if has_all { " NOT NULL" } else { "" };
            steps.push(single(&format!("{add} DEFAULT {value}{has_all}")));
        }
        None => steps.push(single(&add)),
    }
    for check in checks {
        steps.extend(validated(&table, &name("check"), check));
    }
    if unique {
        let name = name("key");
        steps.push(alone(&format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({column})")));
        steps.push(single(&format!("ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")));
    }
    Some(steps)
}

/// `VACUUM`, whose free room new rows take, and the indexes built anew beside the traffic. The file of the table stays as large as it is,
/// but for what is free at its end.
fn without_full(of: &Text<'_>) -> Option<Vec<Safer>> {
    const OFF: [&str; 3] = ["OFF", "FALSE", "0"];
    const WORDS: [&str; 5] = ["FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE"];
    let mut options = Vec::new();
    let (joint, tables) = if let Some(close) = of.closing(1) {
        for part in of.parts(2..close) {
            let is_full = of.word(part.start, "FULL");
            if is_full && OFF.iter().any(|off| of.text(part.start + 1..part.end).eq_ignore_ascii_case(off)) {
                return None;
            }
            options.extend((!is_full).then(|| of.text(part)));
        }
        (", ", close + 1)
    } else {
        let mut at = 1;
        while WORDS.iter().any(|word| of.word(at, word)) {
            options.extend((!of.word(at, "FULL")).then(|| of.text(at..at + 1)));
            at += 1;
        }
        (" ", at)
    };
    let options = match (options.join(joint), joint) {
        (none, _) if none.is_empty() => none,
        (words, " ") => format!(" {words}"),
        (listed, _) => format!(" ({listed})"),
    };
    let rest = tables..of.tokens.len();
    if rest.is_empty() {
        return Some(vec![alone(&format!("VACUUM{options}"))]);
    }
    let mut steps = vec![alone(&format!("VACUUM{options} {}", of.text(rest.clone())))];
    for part in of.parts(rest) {
        let (table, _) = of.qualified(part.start)?;
        steps.push(alone(&format!("REINDEX TABLE CONCURRENTLY {table}")));
    }
    Some(steps)
}
