//! The files of a captured workload. Knows no server and writes no file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::column::{Leaves, number, quoted};
use super::describe::{Described, DescribedColumn};
use super::facts::Remark;
use super::load::as_comments;
use super::mix::{MadeStep, MadeTransaction, Mix};
use super::source::DrawnFrom;

/// The text of `workload.toml`.
#[must_use]
pub fn document(name: &str, described: &Described, mix: &Mix, remarks: &[Remark], from: DrawnFrom) -> String {
    let mut text = String::from(match from {
        DrawnFrom::Generated => "# Captured by dbdyno from the statistics of a database. No row was read.\n",
        DrawnFrom::Target => {
            "# Captured by dbdyno from the catalogs and the counters of a database, for a copy of it with its real rows. No row was read:\n\
             # when a run begins, the queries below ask the copy for the values that parameters draw. There is nothing to load.\n"
        }
    });
    if !remarks.is_empty() {
        text += "#\n# Not captured, or not as it is there:\n";
        for remark in remarks {
            let line = format!("{}: {} ({})", remark.place, remark.what, remark.remedy);
            put(&mut text, format_args!("# - {}\n", on_one_line(&line)));
        }
    }
    put(&mut text, format_args!("\nname = {}\n", quoted(name)));
    text += match from {
        DrawnFrom::Generated => {
            "description = \"A database as its own statistics describe it, and what was done with it\"\n"
        }
        DrawnFrom::Target => "description = \"What was done with a database, on its own rows\"\n",
    };
    let is_named = |table: usize| mix.statements.iter().any(|statement| statement.tables.contains(&table));
    for table in &described.tables {
        if from == DrawnFrom::Target {
            if is_named(table.facts) {
                put(&mut text, format_args!("\n[table.{}]\nrows = {}\n", key(&table.name), table.rows));
            }
            continue;
        }
        put(&mut text, format_args!("\n[table.{}]\nrows = {}\n", key(&table.name), table.rows));
        if !table.scales {
            text += "scales = false\n";
        }
        put(&mut text, format_args!("[table.{}.column]\n", key(&table.name)));
        for column in &table.columns {
            put(&mut text, format_args!("{} = {}\n", key(&column.name), column.description.inline()));
        }
    }
    if mix.guessed {
        text += "\n# No statement was counted: one row of each table by its key.\n";
    }
    for transaction in &mix.transactions {
        put_transaction(&mut text, transaction, mix);
    }
    stage(&mut text, mix);
    text
}

fn put_transaction(text: &mut String, transaction: &MadeTransaction, mix: &Mix) {
    let weight = number(transaction.weight.max(0.000_001));
    let name = quoted(&transaction.name);
    put(text, format_args!("\n[[transaction]]\nname = {name}\nweight = {weight}\n"));
    let statement = |at: usize| quoted(&mix.statements[at].name);
    let is_plain = transaction.steps.iter().all(MadeStep::is_once);
    if is_plain {
        let names: Vec<String> = transaction.steps.iter().map(|step| statement(step.statement)).collect();
        put(text, format_args!("statements = [{}]\n", names.join(", ")));
    }
    for step in transaction.steps.iter().filter(|_| !is_plain) {
        put(text, format_args!("[[transaction.step]]\nstatement = {}\n", statement(step.statement)));
        match step.times {
            (1, 1) => {}
            (fewest, most) if fewest == most => put(text, format_args!("times = {most}\n")),
            (fewest, most) => put(text, format_args!("times = {{ uniform = [{fewest}, {most}] }}\n")),
        }
    }
    if !transaction.parameters.is_empty() {
        text.push_str("[transaction.parameter]\n");
    }
    for parameter in &transaction.parameters {
        let each = if parameter.each { ", draw = \"each\"" } else { "" };
        put(text, format_args!("{} = {{ {}{each} }}\n", key(&parameter.name), parameter.source));
    }
}

/// The load that was seen.
fn stage(text: &mut String, mix: &Mix) {
    if mix.rate <= 0.0 {
        return;
    }
    text.push_str("\n# What was put on the database while it was looked at.\n");
    for line in mix.load.words() {
        put(text, format_args!("# {line}\n"));
    }
    let rate = (mix.rate * 1000.0).round() / 1000.0;
    put(
        text,
        format_args!(
            "[[stage]]\nname = \"captured\"\nduration = \"1m\"\nrate = {}\n",
            number(rate.max(0.001))
        ),
    );
    text.push_str(&as_comments(&mix.load.parts(&mix.course)));
}

/// The text of `queries.sql`.
#[must_use]
pub fn queries(mix: &Mix) -> String {
    let mut text = String::from(
        "-- Captured by dbdyno from pg_stat_statements. Names of parameters are those of columns.\n",
    );
    for refused in &mix.refused {
        put(
            &mut text,
            format_args!(
                "-- Not here, {:.2} % of calls and {:.2} % of time: {} ({})\n",
                100.0 * refused.calls / mix.totals.0,
                100.0 * refused.exec_ms / mix.totals.1,
                on_one_line(&refused.text),
                on_one_line(&refused.why),
            ),
        );
    }
    for statement in &mix.statements {
        put(
            &mut text,
            format_args!("\n-- name: {} :{}\n{};\n", statement.name, statement.cardinality, statement.sql),
        );
    }
    text
}

/// What leaves the database, line by line, for a person to look at before it is written.
#[must_use]
pub fn leaving(described: &Described, mix: &Mix, from: DrawnFrom) -> Vec<String> {
    let mut lines = match from {
        DrawnFrom::Generated => leaving_of_tables(described),
        DrawnFrom::Target => {
            vec![
                "names of the tables and columns that statements name, and about how many rows they have"
                    .to_owned(),
            ]
        }
    };
    lines.push(format!(
        "{} statements with parameters in place of every text and longer number, and how often they ran",
        mix.statements.len()
    ));
    if !mix.load.looks.is_empty() {
        lines.push("names of applications, and how many sessions each had".to_owned());
    }
    lines
}

fn leaving_of_tables(described: &Described) -> Vec<String> {
    let mut by_kind: BTreeMap<Leaves, Vec<String>> = BTreeMap::new();
    for table in &described.tables {
        for column in &table.columns {
            by_kind.entry(column.leaves).or_default().push(format!("{}.{}", table.name, column.name));
        }
    }
    let mut lines = vec![format!(
        "the schema: names, types, defaults, checks and functions of {} tables as their owner wrote them",
        described.tables.len()
    )];
    lines.push(
        "shares of NULLs and of the common values, and numbers of different values, without the values \
         (statistics.toml)"
            .to_owned(),
    );
    for (leaves, columns) in by_kind.iter().rev() {
        let count = columns.len();
        lines.push(match leaves {
            Leaves::Kept => format!("values as they are, by --no-redact or --keep-values: {}", some(columns)),
            Leaves::InSchema => format!("values as they are, since the schema lists them: {}", some(columns)),
            Leaves::Range => format!(
                "the range of numbers that lie densely, and how often the common ones come: {}",
                some(columns)
            ),
            Leaves::Moved => format!(
                "numbers and times, each moved between its neighbours ({count} columns); shares of the common ones"
            ),
            Leaves::MadeUp => format!(
                "lengths, order and shares of texts, which are made up ({count} columns): {}",
                some(columns)
            ),
            Leaves::Nothing => format!("shares of NULLs and lengths only ({count} columns)"),
        });
    }
    let is_joined = |column: &&DescribedColumn| column.description.generator.starts_with("conditional");
    let joined = described.tables.iter().flat_map(|table| &table.columns).filter(is_joined).count();
    if joined > 0 {
        lines.push(format!("how often the values of {joined} columns come with those of another one"));
    }
    lines
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Some names of a long list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 30;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// A key of a TOML document.
pub(super) fn key(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(what);
    debug_assert!(written.is_ok(), "memory takes every text");
}
