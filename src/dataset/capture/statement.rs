//! A statement of `pg_stat_statements` as a named statement with parameters that can be drawn. Nothing of it that could be a value
//! stays in its text. Knows no server.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{DatabaseFacts, KeyFacts, TypeKind};
use super::predicate::{At, Reading, Use};
use super::source::{Asked, Source, Sources};
use crate::sql::columns::result_columns;
use crate::sql::lex::{Token, TokenKind, lex, says, significant};
use crate::sql::quoting::double_quoted;
use crate::sql::statement::{StatementKind, kind};

/// Of more foreign keys than these a DELETE is not asked whether they lead to what it deletes.
const REFERRING_MAX: usize = 4;
/// Numbers with more digits could be somebody's.
const DIGITS_MAX: usize = 3;

/// A statement with what was counted of it.
#[derive(Clone, Debug, Default)]
pub struct StatementFacts {
    /// With `$n` in place of every value.
    pub text: String,
    /// Executions, in all and in each interval that was looked at.
    pub calls: f64,
    /// In the order of the intervals; empty where there was one.
    pub intervals: Vec<f64>,
    /// Rows given or changed.
    pub rows: f64,
    /// Milliseconds.
    pub exec_ms: f64,
    /// The types of its parameters, name and kind.
    pub parameters: Vec<(String, TypeKind)>,
    /// What the search path must be, where the usual one does not do.
    pub search_path: Option<String>,
}

/// A statement of a workload.
#[derive(Clone, Debug)]
pub struct MadeStatement {
    /// In `queries.sql`.
    pub name: String,
    /// `many` or `exec`.
    pub cardinality: &'static str,
    /// With named parameters.
    pub sql: String,
    /// What it does.
    pub kind: StatementKind,
    /// Its parameters, in their order.
    pub parameters: Vec<MadeParameter>,
    /// What it returns of the one row that it puts into a table, where the key of that row is among it.
    pub returns: Option<ReturnedRow>,
    /// Tables that it names, by their place among the facts.
    pub tables: Vec<usize>,
    /// Its place among the statements that were counted; absent where it is guessed.
    pub of: Option<usize>,
    /// Whether it says something else than what was counted: a constant in place of one that nobody knows, a schema.
    pub is_changed: bool,
    /// Columns that it compares with values that are made up by their type alone, as `table.column`.
    pub misses: Vec<String>,
}

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeParameter {
    /// As it stands in the text.
    pub name: String,
    /// Where its values come from, as the document has it: `key = { table = "orders" }`.
    pub source: String,
    /// What it says to the other statements of its transaction.
    pub means: Means,
}

/// What a parameter means beyond its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// Nothing.
    Value,
    /// A row by its key: all parameters of a transaction that mean the same key speak of one row.
    Key(KeyColumn),
    /// A key that no row has yet: the row is put in by this statement.
    NewKey(KeyColumn),
    /// A row, of which other parameters take other columns.
    Row,
    /// Another column of a row.
    OfRow,
}

/// A column that rows are known by: its table, by its place among the facts, and its name.
pub type KeyColumn = (usize, String);

/// The row that a statement puts in and returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedRow {
    /// The column of its key, which is returned.
    pub key: KeyColumn,
    /// The name under which it is returned: `RETURNING id AS order_id`.
    pub name: String,
    /// The names of all columns that are returned.
    pub columns: Vec<String>,
}

/// Why a statement is not run, where its text shows it.
#[must_use]
pub fn refusal(text: &str) -> Option<&'static str> {
    if text.contains("<insufficient privilege>") {
        return Some("its text may not be read: let the user have pg_read_all_stats");
    }
    let tokens = significant(text);
    if kind(text) == StatementKind::Other {
        return Some("it is a command, not a statement on rows");
    }
    let looks_at_catalogs = tokens.iter().enumerate().any(|(at, token)| {
        let word = token.text(text).trim_matches('"').to_lowercase();
        let begins = |with: &[&str]| with.iter().any(|with| word.starts_with(with));
        let is_call = tokens.get(at + 1).is_some_and(|next| next.is_punctuation(text, "("));
        // Locks and pauses that an application asks for are its own.
        (begins(&["pg_"]) && !begins(&["pg_advisory", "pg_try_advisory", "pg_sleep"]))
            || ["information_schema", "dbdyno"].contains(&word.as_str())
            || (is_call && begins(&["to_reg", "has_", "current_setting", "set_config"]))
    });
    looks_at_catalogs.then_some("it looks at the server itself")
}

/// The text without comments and without anything that could be a value: texts and longer numbers become parameters, and so do
/// constants of a type (`interval '1 day'`).
#[must_use]
pub fn without_values(text: &str) -> String {
    const TYPES: [&str; 5] = ["INTERVAL", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIME"];
    let numbers = lex(text).filter(|token| token.kind == TokenKind::Positional);
    let mut next = numbers.filter_map(|token| token.text(text)[1..].parse::<u32>().ok()).max().unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    let mut of_type: Option<String> = None;
    let tokens: Vec<_> = lex(text).collect();
    for (at, token) in tokens.iter().enumerate() {
        let own = token.text(text);
        let value = match token.kind {
            TokenKind::Positional => Some(own.to_owned()),
            TokenKind::String | TokenKind::DollarString => {
                next += 1;
                Some(format!("${next}"))
            }
            TokenKind::Number if own.len() > DIGITS_MAX => {
                next += 1;
                Some(format!("${next}"))
            }
            _ => None,
        };
        match (value, token.kind) {
            (Some(value), _) => {
                out.push_str(&value);
                if let Some(name) = of_type.take() {
                    out.push_str(&format!("::{name}"));
                }
            }
            // The end of its line follows.
            (None, TokenKind::LineComment) => {}
            (None, TokenKind::BlockComment) if !token.is_hint(text) => {}
            (None, TokenKind::Word) if TYPES.iter().any(|name| own.eq_ignore_ascii_case(name)) => {
                let behind = tokens[at + 1..].iter().find(|token| !token.is_blank(text));
                let is_value = |kind| matches!(kind, TokenKind::Positional | TokenKind::String);
                if behind.is_some_and(|token| is_value(token.kind)) {
                    of_type = Some(own.to_lowercase());
                } else {
                    out.push_str(own);
                }
            }
            // Blanks between a type and its constant go with the type.
            (None, TokenKind::Whitespace) if of_type.is_some() => {}
            (None, _) => out.push_str(own),
        }
    }
    out.trim().trim_end_matches(';').trim_end().to_owned()
}

/// Makes a statement of the workload, or says why that cannot be. `names` are those that are taken.
pub(super) fn make(
    statement: &StatementFacts,
    sources: &Sources<'_>,
    names: &mut BTreeSet<String>,
) -> Result<MadeStatement, String> {
    let facts = sources.facts;
    // What only another search path finds is found by its schema.
    let text = match statement.search_path {
        Some(_) => Reading::new(&statement.text, facts).qualified(),
        None => statement.text.clone(),
    };
    let reading = Reading::new(&text, facts);
    let uses = reading.uses(statement.parameters.len());
    let rows_per_call = statement.rows / statement.calls.max(1.0);
    let same_rows = same_rows(&uses, sources);
    let mut places: Vec<Place> = vec![];
    let mut parameters: Vec<MadeParameter> = vec![];
    let mut misses: Vec<String> = vec![];
    for (number, (of, (type_name, kind))) in uses.iter().zip(&statement.parameters).enumerate() {
        let asked = Asked {
            kind,
            type_name,
            of,
            rows_per_call,
            between: is_between(of, &uses),
            has_limit: uses.contains(&Use::Limit),
        };
        let (source, means) = match same_rows.get(&number) {
            // The parameter with which it shares its row comes before it.
            Some(Shared::With(first, column)) => match places.get(*first) {
                Some(Place::Named(name)) => {
                    let column = super::column::quoted(column);
                    let text = format!("same_row = {{ as = \"{name}\", column = {column} }}");
                    (Source::Drawn(text), Means::OfRow)
                }
                _ => (sources.of(&asked)?, Means::Value),
            },
            Some(Shared::First(text)) => (Source::Drawn(text.clone()), Means::Row),
            None => {
                misses.extend(sources.misses(&asked));
                (sources.of(&asked)?, meaning(of, sources))
            }
        };
        places.push(match source {
            Source::Literal(sql) => Place::Literal(sql),
            Source::Drawn(source) => {
                let is_taken = |name: &str| parameters.iter().any(|known| known.name == name);
                let name = free_name(&parameter_name(of), is_taken);
                parameters.push(MadeParameter { name: name.clone(), source, means });
                Place::Named(name)
            }
        });
    }
    if let Some(why) = lacks_key(&text, &reading, sources) {
        return Err(why);
    }
    let kind = kind(&text);
    let tables = reading.tables();
    let name = free_name(&statement_name(kind, &tables, &uses, facts), |name| names.contains(name));
    names.insert(name.clone());
    let mut sql = named(&text, &places);
    let steps_over = may_collide(&text, &reading, &uses, sources);
    if steps_over {
        sql = stepping_over(&sql);
    }
    let referring = if kind == StatementKind::Delete { referring(&reading, sources) } else { vec![] };
    if referring.len() > REFERRING_MAX {
        return Err(format!("{} foreign keys lead to the rows that it deletes", referring.len()));
    }
    let spared = sparing(&sql, &referring).filter(|_| !referring.is_empty());
    let spares = spared.is_some();
    let gives_rows = !kind.writes() || says(&text, "RETURNING");
    let puts_one = kind == StatementKind::Insert && !steps_over && (rows_per_call - 1.0).abs() < 0.01;
    Ok(MadeStatement {
        returns: reading.target().filter(|_| puts_one).and_then(|(table, _)| returned(&text, table, sources)),
        name,
        cardinality: if gives_rows { "many" } else { "exec" },
        is_changed: steps_over
            || spares
            || statement.search_path.is_some()
            || places.iter().any(|place| matches!(place, Place::Literal(_))),
        sql: spared.unwrap_or(sql),
        kind,
        parameters,
        tables,
        of: None,
        misses,
    })
}

/// What a parameter means that has a row of its own.
fn meaning(of: &Use, sources: &Sources<'_>) -> Means {
    match of {
        Use::Equal(at) => Means::Key(sources.meaning(at)),
        Use::Stored(at) => {
            let key = sources.meaning(at);
            let is_own = key == (at.table, at.column.clone());
            match (is_own, sources.new_value(at)) {
                (true, Some(_)) => Means::NewKey(key),
                (true, None) => Means::Value,
                (false, _) => Means::Key(key),
            }
        }
        _ => Means::Value,
    }
}

/// What `INSERT … VALUES (…) RETURNING …` returns, if the key of the row is among it and the text says all names.
fn returned(text: &str, table: usize, sources: &Sources<'_>) -> Option<ReturnedRow> {
    if !says(text, "RETURNING") || says(text, "CONFLICT") || says(text, "SELECT") {
        return None;
    }
    let columns = result_columns(text);
    let own = &sources.facts.tables[table];
    let is_key = |(column, name): &(String, String)| {
        let at = At { table, column: column.clone(), alias: String::new() };
        // Its name becomes that of a parameter.
        own.is_unique(column) && sources.meaning(&at).0 == table && plain(name) == *name
    };
    let (key, name) = returned_columns(text).into_iter().find(is_key).filter(|_| !columns.star)?;
    Some(ReturnedRow { key: (table, key), name, columns: columns.names })
}

/// The columns that `RETURNING` names by themselves, each with the name under which it is returned.
fn returned_columns(text: &str) -> Vec<(String, String)> {
    let tokens = significant(text);
    let Some(start) = tokens.iter().position(|token| token.is_word(text, "RETURNING")) else { return vec![] };
    let name = |token: &Token| match token.kind {
        TokenKind::Word => Some(token.text(text).to_lowercase()),
        TokenKind::QuotedIdentifier => Some(token.text(text).trim_matches('"').replace("\"\"", "\"")),
        _ => None,
    };
    let named = |item: &[Token]| {
        let mut words: Vec<&Token> = item.iter().collect();
        let mut column = name(words.first()?)?;
        words.remove(0);
        // The table before the column.
        while let [point, of, ..] = words.as_slice()
            && point.is_punctuation(text, ".")
        {
            column = name(of)?;
            words.drain(..2);
        }
        match words.as_slice() {
            [] => Some((column.clone(), column)),
            [alias] => Some((column, name(alias)?)),
            [word, alias] if word.is_word(text, "AS") => Some((column, name(alias)?)),
            _ => None,
        }
    };
    // Commas between the arguments of a function part no columns.
    let mut depth = 0_usize;
    let parts = |token: &Token| {
        match token.text(text) {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (token.is_punctuation(text, ",") || token.is_punctuation(text, ";"))
    };
    tokens[start + 1..].split(parts).filter_map(named).collect()
}

/// Whether rows that are put in may be there already: a key of the table has no column that is new each time.
fn may_collide(text: &str, reading: &Reading<'_>, uses: &[Use], sources: &Sources<'_>) -> bool {
    let Some((table, columns)) = reading.target() else { return false };
    let says_so = significant(text).iter().any(|token| token.is_word(text, "CONFLICT"));
    let own = &sources.facts.tables[table];
    let is_new = |name: &String| {
        let is_numbered =
            own.column(name).is_some_and(|column| column.is_numbered) && !columns.contains(name);
        let is_drawn = uses.iter().any(|of| {
            matches!(of, Use::Stored(at) if at.table == table && at.column == *name && sources.new_value(at).is_some())
        });
        is_numbered || is_drawn
    };
    !says_so && own.keys.iter().any(|key| !key.columns.iter().any(is_new))
}

/// For each foreign key that keeps rows of the table from being deleted: that no row refers to the one that would be. Among generated
/// rows nearly all are referred to, those of a table whose other rows an application deletes first as well; among real rows many are.
fn referring(reading: &Reading<'_>, sources: &Sources<'_>) -> Vec<String> {
    let Some(&table) = reading.tables().first() else { return vec![] };
    let Some(alias) = reading.alias(table) else { return vec![] };
    let mut conditions = vec![];
    for (child, own) in sources.facts.tables.iter().enumerate() {
        let leads_here = own.references.iter().filter(|reference| {
            let is_to_it = reference.table == sources.facts.tables[table].oid;
            is_to_it && reference.restricts && !sources.lacks(&own.name, &reference.name)
        });
        for reference in leads_here.filter(|_| sources.has_rows(child)) {
            let pairs = reference.columns.iter().zip(&reference.to);
            let equal = pairs.map(|(column, to)| {
                format!(
                    "referring.{} = {}.{}",
                    double_quoted(column),
                    double_quoted(alias),
                    double_quoted(to)
                )
            });
            let equal = equal.collect::<Vec<_>>().join(" AND ");
            conditions.push(format!("NOT EXISTS (SELECT FROM {} AS referring WHERE {equal})", own.name));
        }
    }
    conditions
}

/// A DELETE that spares what is referred to; nothing where it is none with a condition of its own.
fn sparing(sql: &str, conditions: &[String]) -> Option<String> {
    let tokens = significant(sql);
    let (mut depth, mut condition, mut end) = (0_usize, None, sql.len());
    for token in &tokens {
        match token.text(sql) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ if token.is_word(sql, "WHERE") => condition = condition.or(Some(token.span.end)),
            _ if token.is_word(sql, "RETURNING") => end = token.span.start,
            _ => {}
        }
    }
    let start = condition.filter(|_| tokens.first().is_some_and(|token| token.is_word(sql, "DELETE")))?;
    let (head, own, tail) = (&sql[..start], sql[start..end].trim(), &sql[end..]);
    let gap = if tail.is_empty() { "" } else { " " };
    Some(format!("{head} ({own}) AND {}{gap}{tail}", conditions.join(" AND ")))
}

/// Why `ON CONFLICT` finds no key: the only one of its columns is left out of the schema.
fn lacks_key(text: &str, reading: &Reading<'_>, sources: &Sources<'_>) -> Option<String> {
    let (table, _) = reading.target()?;
    let own = &sources.facts.tables[table];
    let tokens = significant(text);
    let at = tokens.iter().position(|token| token.is_word(text, "CONFLICT"))? + 1;
    let names = |from: usize| {
        let list = tokens[from..].iter().take_while(|token| !token.is_punctuation(text, ")"));
        list.map(|token| token.text(text).trim_matches('"').to_owned()).collect::<Vec<String>>()
    };
    let is_meant = |key: &&KeyFacts| {
        if tokens.get(at).is_some_and(|token| token.is_punctuation(text, "(")) {
            let names = names(at + 1);
            return key.columns.iter().all(|column| names.contains(column));
        }
        tokens.get(at + 2).is_some_and(|token| token.text(text).trim_matches('"') == key.name)
    };
    let mut meant = own.keys.iter().filter(is_meant).peekable();
    meant.peek()?;
    let is_gone = |key: &KeyFacts| sources.lacks(&key.table, &key.name);
    meant.all(is_gone).then(|| "the key that its ON CONFLICT names is left out of schema.sql".to_owned())
}

/// Steps over rows that are there already.
fn stepping_over(sql: &str) -> String {
    let tokens = significant(sql);
    let returning = tokens.iter().rev().find(|token| token.is_word(sql, "RETURNING"));
    let at = returning.map_or(sql.len(), |token| token.span.start);
    let (head, tail) = sql.split_at(at);
    let gap = if tail.is_empty() { "" } else { " " };
    format!("{} ON CONFLICT DO NOTHING{gap}{tail}", head.trim_end())
}

/// What stands in the place of `$n`.
enum Place {
    Named(String),
    Literal(String),
}

/// How a parameter shares its row.
enum Shared {
    /// It draws the row, by this source.
    First(String),
    /// It is this column of the row that another one draws.
    With(usize, String),
}

/// Parameters that are compared with columns of one row for equality name one row that exists, and so do those that are stored in the
/// columns of one foreign key.
fn same_rows(uses: &[Use], sources: &Sources<'_>) -> BTreeMap<usize, Shared> {
    let mut compared: BTreeMap<(&str, usize), Vec<(usize, At)>> = BTreeMap::new();
    for (number, of) in uses.iter().enumerate() {
        if let Use::Equal(at) = of
            && sources.own_key(at).is_some()
        {
            compared.entry((&at.alias, at.table)).or_default().push((number, at.clone()));
        }
    }
    let mut shared = BTreeMap::new();
    for group in compared.into_values().chain(references(uses, sources)) {
        let columns: Vec<At> = group.iter().map(|(_, at)| at.clone()).collect();
        // Two values of one column are two rows.
        let twice =
            (1..columns.len()).any(|at| columns[..at].iter().any(|of| of.column == columns[at].column));
        let is_taken = group.iter().any(|(number, _)| shared.contains_key(number));
        if group.len() < 2 || twice || is_taken {
            continue;
        }
        let Some(row) = sources.row(&columns) else { continue };
        let first = group[0].0;
        for (number, at) in group {
            let how =
                if number == first { Shared::First(row.clone()) } else { Shared::With(first, at.column) };
            shared.insert(number, how);
        }
    }
    shared
}

/// The parameters that are stored in the columns of one foreign key of several columns, each with the column that it refers to.
fn references(uses: &[Use], sources: &Sources<'_>) -> Vec<Vec<(usize, At)>> {
    let stored: Vec<(usize, &At)> = uses
        .iter()
        .enumerate()
        .filter_map(|(number, of)| if let Use::Stored(at) = of { Some((number, at)) } else { None })
        .collect();
    let Some((_, first)) = stored.first() else { return vec![] };
    let mut groups = vec![];
    for reference in &sources.facts.tables[first.table].references {
        let Some(parent) = sources.facts.of_oid(reference.table) else { continue };
        let part = |(column, to): (&String, &String)| {
            let (number, _) =
                stored.iter().find(|(_, at)| at.table == first.table && at.column == *column)?;
            Some((*number, At { table: parent, column: to.clone(), alias: String::new() }))
        };
        let parts: Option<Vec<(usize, At)>> = reference.columns.iter().zip(&reference.to).map(part).collect();
        if let Some(mut parts) = parts {
            parts.sort_by_key(|(number, _)| *number);
            groups.push(parts);
        }
    }
    // The longest says most.
    groups.sort_by_key(|parts| std::cmp::Reverse(parts.len()));
    groups
}

fn is_between(of: &Use, uses: &[Use]) -> bool {
    match of {
        Use::Low(at) => uses.iter().any(|other| matches!(other, Use::High(of) if of == at)),
        Use::High(at) => uses.iter().any(|other| matches!(other, Use::Low(of) if of == at)),
        _ => false,
    }
}

/// The text with names in place of numbers.
fn named(text: &str, places: &[Place]) -> String {
    let mut out = String::with_capacity(text.len());
    for token in lex(text) {
        let own = token.text(text);
        let number = if token.kind == TokenKind::Positional { own[1..].parse::<usize>().ok() } else { None };
        match number.and_then(|number| places.get(number.checked_sub(1)?)) {
            Some(Place::Named(name)) => out.push_str(&format!(":{name}")),
            Some(Place::Literal(sql)) => out.push_str(sql),
            None => out.push_str(own),
        }
    }
    out
}

fn parameter_name(of: &Use) -> String {
    let name = match of {
        Use::Low(at) => format!("{}_from", at.column),
        Use::High(at) => format!("{}_to", at.column),
        Use::AnyOf(at) => format!("{}_list", at.column),
        Use::Equal(at) | Use::Stored(at) => at.column.clone(),
        Use::Argument(function, ..) => format!("{function}_argument"),
        _ => "value".to_owned(),
    };
    plain(&name)
}

/// Letters, digits and underscores, a letter first.
pub(super) fn plain(name: &str) -> String {
    let letters: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .take(40)
        .collect();
    if letters.starts_with(|c: char| c.is_ascii_lowercase()) { letters } else { format!("p_{letters}") }
}

/// A name that is not taken: the given one, else with the first number behind it that is free.
pub(super) fn free_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// What it does, to what, and by what.
fn statement_name(kind: StatementKind, tables: &[usize], uses: &[Use], facts: &DatabaseFacts) -> String {
    let verb = match kind {
        StatementKind::SelectForUpdate => "lock",
        kind => kind.as_str(),
    };
    let table = tables.first().map_or("nothing".to_owned(), |table| plain(&facts.tables[*table].relation));
    let mut by: Vec<String> = vec![];
    for of in uses {
        if let Use::Equal(at) | Use::AnyOf(at) | Use::Low(at) = of
            && kind != StatementKind::Insert
        {
            let name = plain(&at.column);
            if !by.contains(&name) && by.len() < 2 {
                by.push(name);
            }
        }
    }
    let by = if by.is_empty() { String::new() } else { format!("_by_{}", by.join("_and_")) };
    format!("{verb}_{table}{by}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_be_a_value_stays() {
        let text = "/* trace 'abc' */ SELECT id -- why\nFROM t WHERE a = $2 AND b > now() - interval '1 day' AND c = 'Zoe' AND d < 123456 LIMIT 10;";
        assert_eq!(
            without_values(text),
            "SELECT id \nFROM t WHERE a = $2 AND b > now() - $3::interval AND c = $4 AND d < $5 LIMIT 10"
        );
        assert_eq!(without_values("SELECT date $1, $2::date"), "SELECT $1::date, $2::date");
    }

    #[test]
    fn what_cannot_be_run_says_why() {
        assert!(refusal("BEGIN").is_some());
        assert!(refusal("SELECT * FROM pg_stat_activity").is_some());
        assert!(refusal("SELECT to_regclass($1)").is_some());
        assert_eq!(refusal("SELECT has_stock FROM t WHERE pg_advisory_xact_lock($1) IS NULL"), None);
        assert_eq!(refusal("UPDATE t SET a = $1"), None);
    }

    #[test]
    fn rows_that_are_there_are_stepped_over() {
        assert_eq!(
            stepping_over("INSERT INTO t VALUES (:a)\nRETURNING id"),
            "INSERT INTO t VALUES (:a) ON CONFLICT DO NOTHING RETURNING id"
        );
    }

    #[test]
    fn what_is_returned_has_the_name_that_the_statement_gives_it() {
        let returned =
            |list: &str| returned_columns(&format!("INSERT INTO t (a) VALUES ($1) RETURNING {list}"));
        let pair = |column: &str, name: &str| (column.to_owned(), name.to_owned());
        assert_eq!(
            returned("id, t.\"Id\" AS Other, a b"),
            [pair("id", "id"), pair("Id", "other"), pair("a", "b")]
        );
        assert_eq!(returned("lower(a), id + 1 AS next, b::text"), []);
        assert_eq!(returned("concat(a, id, b), ARRAY[a, id, b], c"), [pair("c", "c")]);
    }

    #[test]
    fn a_delete_spares_what_is_referred_to() {
        let conditions = ["NOT EXISTS (SELECT 1)".to_owned()];
        assert_eq!(
            sparing("DELETE FROM t WHERE a IN (SELECT b FROM c WHERE d) OR e = :e RETURNING a", &conditions)
                .as_deref(),
            Some(
                "DELETE FROM t WHERE (a IN (SELECT b FROM c WHERE d) OR e = :e) AND NOT EXISTS (SELECT 1) RETURNING a"
            )
        );
        assert_eq!(sparing("DELETE FROM t", &conditions), None);
        assert_eq!(sparing("WITH d AS (DELETE FROM t WHERE a = 1) SELECT 1", &conditions), None);
    }

    #[test]
    fn names_are_plain_and_each_is_its_own() {
        assert_eq!(plain("Order Líne"), "order_l_ne");
        assert_eq!(plain("1st"), "p_1st");
        assert_eq!(free_name("id", |name| ["id", "id_2"].contains(&name)), "id_3");
    }
}
