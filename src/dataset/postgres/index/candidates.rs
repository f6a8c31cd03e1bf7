//! Indexes that plans suggest: for a table that is read from end to end, the columns by which its rows are picked and put in order.
//! Pure. Whether one is worth anything is measured.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::dataset::index::Explained;
use crate::sql::lex::{Token, TokenKind, significant};
use crate::sql::quoting::{double_quoted, folded};

/// A table with fewer rows is read from end to end in no time.
pub(super) const ROWS_MIN: f64 = 1_000.0;
/// A column picks rows well enough to lead an index where a value has at most this share of them.
const SHARE_MAX: f64 = 0.05;
/// Keys of a candidate.
const KEYS_MAX: usize = 3;
/// Columns that a covering candidate carries along.
const CARRIED_MAX: usize = 2;

/// A table as the planner knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TableFacts {
    /// As commands take its name.
    pub(super) quoted: String,
    pub(super) rows: f64,
    /// Values of each column.
    pub(super) distinct: BTreeMap<String, f64>,
}

/// An index that may be of use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// As commands take its name.
    pub(super) table: String,
    /// Column, and whether it runs backwards.
    pub(super) keys: Vec<(String, bool)>,
    pub(super) carried: Vec<String>,
    /// What in the plan suggests it.
    pub(super) why: String,
}

impl Candidate {
    /// The statement that makes it.
    pub(super) fn statement(&self) -> String {
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|(column, backwards)| format!("{}{}", quoted(column), if *backwards { " DESC" } else { "" }))
            .collect();
        let carried: Vec<String> = self.carried.iter().map(|column| quoted(column)).collect();
        let include =
            if carried.is_empty() { String::new() } else { format!(" INCLUDE ({})", carried.join(", ")) };
        format!("CREATE INDEX ON {} ({}){include}", self.table, keys.join(", "))
    }

    /// Whether another one begins with all of its keys and carries no less.
    pub(super) fn is_in(&self, other: &Self) -> bool {
        self != other
            && self.table == other.table
            && self.keys.len() <= other.keys.len()
            && self.keys.iter().zip(&other.keys).all(|((one, _), (two, _))| one == two)
            && (self.keys.len() < other.keys.len() || self.carried.len() < other.carried.len())
    }
}

fn quoted(column: &str) -> String {
    let is_plain =
        column.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain && !column.starts_with(|first: char| first.is_ascii_digit()) {
        return column.to_owned();
    }
    double_quoted(column)
}

/// What the plan of one statement suggests.
pub(super) fn of_plan(explained: &Explained, tables: &BTreeMap<String, TableFacts>) -> Vec<Candidate> {
    let mut found = Vec::new();
    walk(&explained.plan, &mut Vec::new(), tables, &mut found);
    found
}

fn walk<'a>(
    node: &'a Value,
    above: &mut Vec<&'a Value>,
    tables: &BTreeMap<String, TableFacts>,
    found: &mut Vec<Candidate>,
) {
    if text(node, "Node Type") == "Seq Scan" {
        found.extend(of_scan(node, above, tables));
    }
    above.push(node);
    for child in node.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        walk(child, above, tables, found);
    }
    above.pop();
}

fn text<'a>(node: &'a Value, key: &str) -> &'a str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'a>(node: &'a Value, key: &str) -> Vec<&'a str> {
    node.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What a scan of a whole table suggests: columns that are compared for equality, then one that is compared for its range or those
/// that its rows are sorted by.
fn of_scan(node: &Value, above: &[&Value], tables: &BTreeMap<String, TableFacts>) -> Vec<Candidate> {
    let (schema, relation, alias) = (text(node, "Schema"), text(node, "Relation Name"), text(node, "Alias"));
    let name =
        if ["", "public"].contains(&schema) { relation.to_owned() } else { format!("{schema}.{relation}") };
    let Some(table) = tables.get(&name).filter(|table| table.rows >= ROWS_MIN) else { return Vec::new() };
    let mut compared = compared(text(node, "Filter"), alias);
    for join in above {
        for condition in ["Hash Cond", "Merge Cond", "Join Filter"] {
            // What a join compares for its range has no value to look up.
            compared
                .extend(self::compared(text(join, condition), alias).into_iter().filter(|of| of.is_equal));
        }
    }
    let mut equal: Vec<&str> =
        compared.iter().filter(|of| of.is_equal).map(|of| of.column.as_str()).collect();
    let distinct = |column: &str| table.distinct.get(column).copied().unwrap_or(1.0);
    equal.sort_by(|one, other| distinct(other).total_cmp(&distinct(one)));
    equal.dedup();
    // A column of few values picks nothing out; behind a better one it may still sort.
    equal.retain(|column| 1.0 / distinct(column) <= SHARE_MAX);
    let range = compared.iter().find(|of| !of.is_equal).map(|of| of.column.as_str());
    let sorted = above.iter().rev().find(|node| text(node, "Node Type").ends_with("Sort"));
    let sorted = sorted.map(|node| sort_keys(&texts(node, "Sort Key"), alias)).unwrap_or_default();
    let mut keys: Vec<(String, bool)> = equal.iter().map(|column| ((*column).to_owned(), false)).collect();
    match (range, sorted.as_slice()) {
        (Some(range), _) if equal.is_empty() => keys.push((range.to_owned(), false)),
        (Some(range), [(first, backwards), ..]) if first == range => keys.push((first.clone(), *backwards)),
        (Some(range), _) => keys.push((range.to_owned(), false)),
        (None, sorted) => {
            keys.extend(sorted.iter().filter(|(column, _)| !equal.contains(&column.as_str())).cloned());
        }
    }
    keys.truncate(KEYS_MAX);
    if keys.is_empty() {
        return Vec::new();
    }
    let columns: Vec<&str> = keys.iter().map(|(column, _)| column.as_str()).collect();
    let why = format!("{name} is read from end to end for {}", columns.join(", "));
    let plain = Candidate { table: table.quoted.clone(), keys, carried: Vec::new(), why };
    let mut found = vec![plain.clone()];
    // Where few more columns are asked for, the index can answer by itself.
    let mut carried: Vec<String> =
        texts(node, "Output").iter().flat_map(|output| columns_of(output, alias)).collect();
    carried.extend(compared.iter().map(|of| of.column.clone()));
    carried.sort_unstable();
    carried.dedup();
    carried.retain(|column| !plain.keys.iter().any(|(key, _)| key == column));
    let is_worth_it = node.get("Plan Rows").and_then(Value::as_f64).is_some_and(|rows| rows >= 5.0);
    if is_worth_it && (1..=CARRIED_MAX).contains(&carried.len()) {
        let why = format!("{} and nothing else than {}", plain.why, carried.join(", "));
        found.push(Candidate { carried, why, ..plain });
    }
    found
}

/// A column that a condition compares.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Compared {
    column: String,
    is_equal: bool,
}

/// Columns of a table in a condition as EXPLAIN writes it, `((o.customer_id = $1) AND (o.placed_at >= $2))`. Alternatives and
/// expressions are left out: no index on the column serves them.
fn compared(condition: &str, alias: &str) -> Vec<Compared> {
    let tokens = significant(condition);
    if tokens.iter().any(|token| token.is_word(condition, "OR") || token.is_word(condition, "NOT")) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, column) in columns_at(condition, &tokens, alias) {
        let mut behind = at + 3;
        // A cast of the column: `(o.status)::text`.
        let mark =
            |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_punctuation(condition, mark));
        if mark(behind, ")") && mark(behind + 1, "::") {
            behind += 3;
        }
        let is_call = at >= 2
            && mark(at - 1, "(")
            && tokens[at - 2].kind == TokenKind::Word
            && !is_conjunction(condition, &tokens[at - 2]);
        if is_call {
            continue;
        }
        // Joins may have it on their right side.
        let is_right = at >= 1 && mark(at - 1, "=");
        let equal = mark(behind, "=") || is_right;
        let range = (mark(behind, "<") && !mark(behind + 1, ">")) || mark(behind, ">");
        if equal || range {
            found.push(Compared { column, is_equal: equal });
        }
    }
    found
}

fn is_conjunction(text: &str, token: &Token) -> bool {
    token.is_word(text, "AND")
}

/// Where `alias.column` stands, and the column.
fn columns_at(text: &str, tokens: &[Token], alias: &str) -> Vec<(usize, String)> {
    let name = |token: &Token| match token.kind {
        TokenKind::Word => Some(token.text(text).to_owned()),
        TokenKind::QuotedIdentifier => Some(folded(token.text(text))),
        _ => None,
    };
    let at = |(at, three): (usize, &[Token])| {
        let [of, dot, column] = three else { return None };
        let is_it = dot.is_punctuation(text, ".") && name(of).as_deref() == Some(alias);
        is_it.then(|| Some((at, name(column)?))).flatten()
    };
    tokens.windows(3).enumerate().filter_map(at).collect()
}

fn columns_of(text: &str, alias: &str) -> Vec<String> {
    columns_at(text, &significant(text), alias).into_iter().map(|(_, column)| column).collect()
}

/// The columns of a sort, if all of it are plain ones of this table.
fn sort_keys(keys: &[&str], alias: &str) -> Vec<(String, bool)> {
    let mut sorted = Vec::new();
    for key in keys {
        let tokens = significant(key);
        let Some((0, column)) = columns_at(key, &tokens, alias).into_iter().next() else { return Vec::new() };
        let rest: Vec<&str> = tokens[3..].iter().map(|token| token.text(key)).collect();
        match rest.as_slice() {
            [] => sorted.push((column, false)),
            [word] if word.eq_ignore_ascii_case("DESC") => sorted.push((column, true)),
            _ => return Vec::new(),
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> BTreeMap<String, TableFacts> {
        let distinct = [("customer_id", 2_000.0), ("status", 5.0), ("placed_at", 9_000.0), ("total", 500.0)];
        let distinct = distinct.map(|(column, values)| (column.to_owned(), values)).into();
        let orders = TableFacts { quoted: "public.orders".to_owned(), rows: 20_000.0, distinct };
        let small = TableFacts { rows: 10.0, ..orders.clone() };
        BTreeMap::from([("orders".to_owned(), orders), ("small".to_owned(), small)])
    }

    fn suggested(plan: Value) -> Vec<String> {
        let explained = Explained { plan, ..Explained::default() };
        of_plan(&explained, &tables()).iter().map(Candidate::statement).collect()
    }

    fn scan(filter: &str, output: &[&str]) -> Value {
        serde_json::json!({ "Node Type": "Seq Scan", "Relation Name": "orders", "Schema": "public", "Alias": "o",
                            "Filter": filter, "Output": output, "Plan Rows": 20 })
    }

    #[test]
    fn what_picks_rows_leads_and_what_sorts_them_follows() {
        let sorted = serde_json::json!({ "Node Type": "Sort", "Sort Key": ["o.placed_at DESC"],
            "Plans": [scan("(o.customer_id = $1)", &["o.id", "o.status", "o.placed_at", "o.note", "o.customer_id"])] });
        assert_eq!(suggested(sorted), ["CREATE INDEX ON public.orders (customer_id, placed_at DESC)"]);
        let range = scan(
            "((o.placed_at >= $1) AND (o.placed_at < $2) AND (o.status <> 'x'::text))",
            &["o.a", "o.b", "o.c"],
        );
        assert_eq!(suggested(range), ["CREATE INDEX ON public.orders (placed_at)"]);
    }

    #[test]
    fn few_further_columns_are_carried_along() {
        let plan = scan("(o.customer_id = $1)", &["o.total"]);
        assert_eq!(
            suggested(plan),
            [
                "CREATE INDEX ON public.orders (customer_id)",
                "CREATE INDEX ON public.orders (customer_id) INCLUDE (total)"
            ]
        );
    }

    #[test]
    fn what_picks_nothing_out_suggests_nothing() {
        for filter in [
            "((o.status)::text = 'new'::text)",
            "((o.customer_id = $1) OR (o.total = $2))",
            "(lower(o.note) = $1)",
            "o.paid",
        ] {
            assert_eq!(suggested(scan(filter, &["o.a", "o.b", "o.c"])), Vec::<String>::new(), "{filter}");
        }
        let mut small = scan("(o.customer_id = $1)", &[]);
        small["Relation Name"] = "small".into();
        assert!(suggested(small).is_empty());
    }

    #[test]
    fn a_join_looks_its_rows_up() {
        let plan = serde_json::json!({ "Node Type": "Hash Join", "Hash Cond": "(c.id = o.customer_id)",
            "Plans": [scan("", &["o.a", "o.b", "o.c"])] });
        assert_eq!(suggested(plan), ["CREATE INDEX ON public.orders (customer_id)"]);
    }

    #[test]
    fn the_shorter_of_two_that_begin_alike_is_in_the_longer() {
        let of = |keys: &[&str], carried: &[&str]| Candidate {
            table: "t".to_owned(),
            keys: keys.iter().map(|key| ((*key).to_owned(), false)).collect(),
            carried: carried.iter().map(|column| (*column).to_owned()).collect(),
            why: String::new(),
        };
        assert!(of(&["a"], &[]).is_in(&of(&["a", "b"], &[])));
        assert!(of(&["a"], &[]).is_in(&of(&["a"], &["b"])));
        assert!(!of(&["a", "b"], &[]).is_in(&of(&["a"], &[])));
        assert!(!of(&["b"], &[]).is_in(&of(&["a", "b"], &[])));
    }
}
