//! What a plan is, read from the server's JSON: its shape, the relations that it reads, one line and a text for people. Pure: asks
//! nobody.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::mask::mask;
use super::roots::Roots;
use super::text;
use crate::sql::lex::{Token, TokenKind, lex};

/// A text or a JSON form that is longer is cut, or left out.
pub(super) const BYTES_MAX: usize = 64 * 1024;
/// Bytes of the digest that tell shapes apart: 64 bits, for a few hundred plans.
const SHAPE_BYTES: usize = 8;

/// What decides the shape of a node beside the columns of its conditions. No cost, no estimate, no width, no literal.
const SHAPE: [&str; 16] = [
    "Node Type",
    "Operation",
    "Strategy",
    "Partial Mode",
    "Command",
    "Parent Relationship",
    "Subplan Name",
    "Parallel Aware",
    "Join Type",
    "Scan Direction",
    "Index Name",
    "Schema",
    "Relation Name",
    "Alias",
    "CTE Name",
    "Function Name",
];
/// Conditions: which columns stand in them is a part of the shape.
pub(super) const CONDITIONS: [&str; 9] = [
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Order By",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
];

/// A table, by its schema and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
}

impl Table {
    /// The one that a node reads or writes.
    pub(super) fn of(node: &Value) -> Option<Self> {
        let schema = word(node, "Schema").unwrap_or("public").to_owned();
        word(node, "Relation Name").map(|name| Self { schema, name: name.to_owned() })
    }

    /// As people name it: qualified unless its schema is `public`.
    pub(super) fn label(&self) -> String {
        if self.schema == "public" { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }
}

/// A plan, described.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Described {
    /// Sixteen hexadecimal digits.
    pub(super) shape: String,
    /// The same with every partition under the name of its root; absent where the plan reads none.
    pub(super) kind: Option<String>,
    pub(super) summary: String,
    pub(super) text: String,
    pub(super) json: Option<Value>,
    pub(super) cost: f64,
    pub(super) tables: BTreeSet<Table>,
    /// Nodes that read a relation.
    pub(super) scans: u32,
}

/// What `EXPLAIN (VERBOSE, FORMAT JSON)` answered, without what each node puts out and without values.
#[derive(Debug)]
pub(super) struct Plan(Value);

impl Plan {
    /// Reads an answer.
    pub(super) fn read(answer: &str) -> Result<Self, String> {
        let mut json: Value =
            serde_json::from_str(answer).map_err(|error| format!("its plan cannot be read: {error}"))?;
        let root = json.pointer_mut("/0/Plan").ok_or("the server gave no plan for it")?;
        without_output(root);
        mask(root);
        Ok(Self(json))
    }

    /// Its uppermost node.
    pub(super) fn root(&self) -> &Value {
        self.0.pointer("/0/Plan").unwrap_or(&Value::Null)
    }
}

/// Describes a plan. `roots` say which of its tables are partitions.
pub(super) fn describe(plan: Plan, roots: &Roots) -> Described {
    let mut tables = BTreeSet::new();
    let mut scans = 0;
    let root = plan.root();
    walk(root, &mut |node| {
        if let Some(table) = Table::of(node) {
            tables.insert(table);
            scans += u32::from(word(node, "Node Type") != Some("ModifyTable"));
        }
    });
    let described = Described {
        shape: hash(&shape(root)),
        kind: roots.rooted(root).map(|rooted| hash(&shape(&rooted))),
        summary: text::summary(root),
        text: text::text(root),
        cost: root.get("Total Cost").and_then(Value::as_f64).unwrap_or(0.0),
        json: None,
        tables,
        scans,
    };
    let is_short = plan.0.to_string().len() <= BYTES_MAX;
    Described { json: is_short.then_some(plan.0), ..described }
}

/// The word that stands under a key of a node.
pub(super) fn word<'a>(node: &'a Value, key: &str) -> Option<&'a str> {
    node.get(key)?.as_str()
}

/// The nodes below a node, in the server's order.
pub(super) fn children(node: &Value) -> &[Value] {
    node.get("Plans").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn walk<'a>(node: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(node);
    for child in children(node) {
        walk(child, visit);
    }
}

/// What each node puts out follows from the statement, and is most of the bytes.
fn without_output(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else { return };
    fields.remove("Output");
    if let Some(Value::Array(plans)) = fields.get_mut("Plans") {
        plans.iter_mut().for_each(without_output);
    }
}

/// The tree as a text that is equal for equal shapes.
pub(super) fn shape(root: &Value) -> String {
    let mut out = String::new();
    put_shape(root, &mut out);
    out
}

/// Lengths keep the parts from running into each other.
fn put_shape(node: &Value, out: &mut String) {
    let mut part = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{key}={}:{value};", value.len());
    };
    for key in SHAPE {
        match node.get(key) {
            Some(Value::String(value)) => part(key, value),
            Some(Value::Bool(true)) => part(key, "yes"),
            _ => {}
        }
    }
    for key in CONDITIONS {
        if let Some(condition) = word(node, key) {
            let columns: Vec<String> = columns(condition).into_iter().collect();
            part(key, &columns.join(","));
        }
    }
    out.push('(');
    for child in children(node) {
        put_shape(child, out);
    }
    out.push(')');
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    digest.iter().take(SHAPE_BYTES).flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect()
}

/// The columns that a condition names, each as `alias.column`. With VERBOSE the server qualifies every column; what is qualified
/// and is none is a type behind `::`, a collation, a function or an operator.
fn columns(condition: &str) -> BTreeSet<String> {
    let tokens: Vec<Token> = lex(condition).filter(|token| !token.is_blank(condition)).collect();
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text(condition));
    let is_name = |at: usize| {
        let kind = tokens.get(at).map(|token| token.kind);
        matches!(kind, Some(TokenKind::Word | TokenKind::QuotedIdentifier))
    };
    let mut columns = BTreeSet::new();
    for at in 1..tokens.len() {
        let is_pair = text(at) == "." && is_name(at - 1) && is_name(at + 1);
        let before = if at >= 2 { text(at - 2) } else { "" };
        let is_other = [".", "::", "COLLATE"].contains(&before) || ["(", "."].contains(&text(at + 2));
        if is_pair && !is_other {
            columns.insert(format!("{}.{}", text(at - 1), text(at + 1)));
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOIN: &str = include_str!("recorded/join.json");
    const JOIN_OF_ANOTHER: &str = include_str!("recorded/join_of_another.json");
    const JOIN_GENERIC: &str = include_str!("recorded/join_generic.json");
    const JOIN_WITH_ANOTHER_INDEX: &str = include_str!("recorded/join_with_another_index.json");
    const JOIN_WITHOUT_INDEX: &str = include_str!("recorded/join_without_index.json");
    const UPDATE: &str = include_str!("recorded/update_with_subplans.json");

    fn of(json: &str) -> Described {
        describe(Plan::read(json).expect("a recorded plan"), &Roots::default())
    }

    #[test]
    fn other_literals_and_estimates_are_the_same_shape() {
        let (one, other) = (of(JOIN), of(JOIN_OF_ANOTHER));
        assert_ne!(one.json, other.json);
        assert_ne!(one.cost.to_bits(), other.cost.to_bits());
        assert_eq!(one.shape, other.shape);
        assert_eq!(one.shape.len(), 16);
        assert_eq!(one.summary, other.summary);
    }

    #[test]
    fn another_index_another_order_another_condition_is_another_shape() {
        let shapes: BTreeSet<String> = [JOIN, JOIN_WITH_ANOTHER_INDEX, JOIN_GENERIC, UPDATE]
            .into_iter()
            .chain([JOIN.replace("o.status = ", "o.state = ").as_str()])
            .chain([JOIN.replace("\"Inner\", \"Startup", "\"Left\", \"Startup").as_str()])
            .map(|json| of(json).shape)
            .collect();
        assert_eq!(shapes.len(), 6);
        // With the literals in the text, or the parameters.
        assert_eq!(of(JOIN_GENERIC).shape, of(JOIN_WITHOUT_INDEX).shape);
    }

    #[test]
    fn tables_and_scans_are_found_at_every_depth() {
        let found = of(UPDATE);
        let names: Vec<String> = found.tables.iter().map(Table::label).collect();
        assert_eq!(names, ["customers", "orders"]);
        assert_eq!(found.scans, 3, "what is written is not read for that");
        let elsewhere = of(&JOIN.replace("\"public\"", "\"sales\""));
        assert!(elsewhere.tables.iter().any(|table| table.label() == "sales.orders"), "{elsewhere:?}");
    }

    #[test]
    fn columns_are_what_is_qualified_and_nothing_else() {
        for (condition, expected) in [
            ("(o.customer_id = 5)", vec!["o.customer_id"]),
            ("((o.id > $1) AND (o.status = 'a.b'::text))", vec!["o.id", "o.status"]),
            ("(lower(x.\"Name\") = pg_catalog.upper('x'::public.kind))", vec!["x.\"Name\""]),
            ("((c.country COLLATE pg_catalog.\"C\") < (InitPlan 1).col1)", vec!["c.country"]),
            ("(a.x OPERATOR(public.=) b.y)", vec!["a.x", "b.y"]),
            ("(1.5 < 2.5)", vec![]),
        ] {
            let found: Vec<String> = columns(condition).into_iter().collect();
            assert_eq!(found, expected, "{condition}");
        }
    }

    #[test]
    fn what_each_node_puts_out_is_left_out_and_a_long_plan_has_no_json() {
        let json = of(JOIN).json.expect("it is short").to_string();
        assert!(!json.contains("Output") && json.contains("orders_customer"), "{json}");
        let long = format!("(o.status = {}())", "x".repeat(BYTES_MAX));
        let described = of(&JOIN.replace("(o.status = 'new'::text)", &long));
        assert_eq!(described.json, None);
        assert_eq!(described.shape, of(JOIN).shape);
        assert!(described.text.len() <= BYTES_MAX, "{}", described.text.len());
        assert!(described.text.ends_with("(cut here: the plan is longer than 64 KiB)\n"));
    }

    #[test]
    fn no_plan_is_an_error_and_no_panic() {
        for answer in ["", "[]", "[{}]", "{\"Plan\": 1}", "[1]"] {
            assert!(Plan::read(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn neither_the_text_nor_the_json_holds_a_value() {
        let described = of(JOIN);
        assert!(described.text.contains("Filter: (o.status = ?::text)\n"), "{}", described.text);
        assert!(described.text.contains("Index Cond: (c.id = ?)\n"), "{}", described.text);
        let json = described.json.expect("it is short").to_string();
        assert!(json.contains("(o.status = ?::text)") && !json.contains("'new'"), "{json}");
        assert!(of(UPDATE).text.contains("Filter: ((hashed SubPlan 3) OR"), "{}", of(UPDATE).text);
    }
}
