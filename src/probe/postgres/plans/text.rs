//! A plan for people: one line, and the indented text of the server's own EXPLAIN, made from its JSON so that it costs no second
//! question.

use serde_json::Value;

use super::describe::{BYTES_MAX, CONDITIONS, children, word};

/// Characters of a summary.
const SUMMARY_MAX: usize = 240;
const CUT: &str = "(cut here: the plan is longer than 64 KiB)\n";

/// What a node says beside its conditions, in the server's order.
const DETAILS: [&str; 14] = [
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Cache Key",
    "Cache Mode",
    "Function Call",
    "Table Function Call",
    "Run Condition",
    "Conflict Resolution",
    "Conflict Arbiter Indexes",
    "Workers Planned",
    "Single Copy",
    "Subplans Removed",
    "Disabled",
];

/// One line: each node with those below it in parentheses.
pub(super) fn summary(root: &Value) -> String {
    let mut out = String::new();
    put_summary(root, &mut out);
    match out.char_indices().nth(SUMMARY_MAX) {
        Some((end, _)) => format!("{} …", &out[..end]),
        None => out,
    }
}

fn put_summary(node: &Value, out: &mut String) {
    if out.len() > SUMMARY_MAX * 4 {
        return;
    }
    out.push_str(&title(node));
    for (index, child) in children(node).iter().enumerate() {
        out.push_str(if index == 0 { " (" } else { ", " });
        put_summary(child, out);
    }
    if !children(node).is_empty() {
        out.push(')');
    }
}

/// The whole tree with costs, rows and conditions, a line end behind each line.
pub(super) fn text(root: &Value) -> String {
    let mut out = String::new();
    put_node(root, 0, true, &mut out);
    if out.len() > BYTES_MAX {
        let mut end = BYTES_MAX - CUT.len() - 1;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(CUT);
    }
    out
}

/// `indent` is where the node's title stands, behind its arrow.
fn put_node(node: &Value, indent: usize, is_root: bool, out: &mut String) {
    if out.len() > BYTES_MAX {
        return;
    }
    let mut indent = indent;
    if !is_root && let Some(name) = word(node, "Subplan Name") {
        out.push_str(&format!("{}{name}\n", " ".repeat(indent)));
        indent += 2;
    }
    let arrow = if is_root { "" } else { "->  " };
    out.push_str(&format!("{}{arrow}{}{}\n", " ".repeat(indent), title(node), estimates(node)));
    let below = if is_root { indent + 2 } else { indent + 6 };
    for key in CONDITIONS.into_iter().chain(DETAILS) {
        if let Some(detail) = node.get(key).and_then(shown) {
            out.push_str(&format!("{}{key}: {detail}\n", " ".repeat(below)));
        }
    }
    for child in children(node) {
        put_node(child, below, false, out);
    }
}

/// A detail as the server's text shows it; nothing for what it does not show.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("true".to_owned()),
        Value::Array(values) => Some(values.iter().filter_map(shown).collect::<Vec<_>>().join(", ")),
        Value::Bool(false) | Value::Null | Value::Object(_) => None,
    }
}

fn estimates(node: &Value) -> String {
    let number = |key: &str| node.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    format!(
        "  (cost={:.2}..{:.2} rows={:.0} width={:.0})",
        number("Startup Cost"),
        number("Total Cost"),
        number("Plan Rows"),
        number("Plan Width")
    )
}

/// `Index Scan Backward using orders_customer on orders o`, as the server's text names a node.
fn title(node: &Value) -> String {
    let mut title = String::new();
    if node.get("Parallel Aware").and_then(Value::as_bool) == Some(true) {
        title.push_str("Parallel ");
    }
    title.push_str(&kind(node));
    if word(node, "Scan Direction") == Some("Backward") {
        title.push_str(" Backward");
    }
    let index = word(node, "Index Name");
    if let Some(index) = index {
        let preposition = if word(node, "Relation Name").is_some() { "using" } else { "on" };
        title.push_str(&format!(" {preposition} {index}"));
    }
    if let Some(object) = object(node) {
        title.push_str(&format!(" on {object}"));
    }
    title
}

/// What kind of node it is, with what the JSON says in fields of their own.
fn kind(node: &Value) -> String {
    let kind = word(node, "Node Type").unwrap_or("(node)");
    let strategy = word(node, "Strategy");
    match kind {
        "Aggregate" => {
            let partial = match word(node, "Partial Mode") {
                Some(mode @ ("Partial" | "Finalize")) => format!("{mode} "),
                _ => String::new(),
            };
            let aggregate = match strategy {
                Some("Sorted") => "GroupAggregate",
                Some("Hashed") => "HashAggregate",
                Some("Mixed") => "MixedAggregate",
                _ => "Aggregate",
            };
            format!("{partial}{aggregate}")
        }
        "ModifyTable" => word(node, "Operation").unwrap_or(kind).to_owned(),
        "SetOp" => {
            let hashed = if strategy == Some("Hashed") { "HashSetOp" } else { "SetOp" };
            word(node, "Command").map_or_else(|| hashed.to_owned(), |command| format!("{hashed} {command}"))
        }
        "Nested Loop" | "Hash Join" | "Merge Join" => match word(node, "Join Type") {
            Some(join) if join != "Inner" => {
                let of = kind.trim_end_matches(" Join");
                format!("{of} {join} Join")
            }
            _ => kind.to_owned(),
        },
        _ => kind.to_owned(),
    }
}

/// What it reads or writes, with the alias where that is another name.
fn object(node: &Value) -> Option<String> {
    let alias = word(node, "Alias");
    let name = ["Relation Name", "CTE Name", "Function Name", "Table Function Name", "Tuplestore Name"]
        .into_iter()
        .find_map(|key| word(node, key))
        .or(alias)?;
    let qualified = match word(node, "Schema") {
        Some(schema) if !["public", "pg_catalog"].contains(&schema) => format!("{schema}.{name}"),
        _ => name.to_owned(),
    };
    Some(match alias {
        Some(alias) if alias != name => format!("{qualified} {alias}"),
        _ => qualified,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(json: &str) -> Value {
        let mut json: Value = serde_json::from_str(json).expect("JSON");
        json.pointer_mut("/0/Plan").expect("a plan").take()
    }

    #[test]
    fn a_plan_in_one_line() {
        assert_eq!(
            summary(&root(include_str!("recorded/join.json"))),
            "Limit (Sort (Nested Loop (Index Scan using customers_pkey on customers c, Bitmap Heap Scan on orders o (Bitmap Index \
             Scan on orders_customer))))"
        );
        assert_eq!(
            summary(&root(include_str!("recorded/update_with_subplans.json"))),
            "Update on customers c (HashAggregate (Seq Scan on orders), Hash Join (Seq Scan on customers c (Seq Scan on orders x), \
             Hash (CTE Scan on w)))"
        );
        let mut deep =
            serde_json::json!({ "Node Type": "Seq Scan", "Relation Name": "größe", "Alias": "größe" });
        for _ in 0..500 {
            deep = serde_json::json!({ "Node Type": "Append", "Plans": [deep.take()] });
        }
        let line = summary(&deep);
        assert!(line.ends_with(" …") && line.chars().count() == SUMMARY_MAX + 2, "{line}");
    }

    /// But for what the server puts out of each node and for the schema `public`, this is its own text of the same plan.
    #[test]
    fn a_plan_as_the_server_shows_it() {
        let expected = "\
Update on customers c  (cost=1090.25..9455.25 rows=250 width=66)
  CTE w
    ->  HashAggregate  (cost=1069.00..1074.00 rows=500 width=12)
          Group Key: orders.customer_id
          ->  Seq Scan on orders  (cost=0.00..819.00 rows=50000 width=4)
  ->  Hash Join  (cost=16.25..8381.25 rows=250 width=66)
        Hash Cond: (c.id = w.customer_id)
        ->  Seq Scan on customers c  (cost=0.00..8330.00 rows=500 width=10)
              Filter: ((hashed SubPlan 3) OR ((c.country)::text = ANY ('{a,b}'::text[])))
              SubPlan 3
                ->  Seq Scan on orders x  (cost=0.00..1069.00 rows=250 width=8)
                      Filter: (lower(x.status) = 'a'::text)
        ->  Hash  (cost=10.00..10.00 rows=500 width=32)
              ->  CTE Scan on w  (cost=0.00..10.00 rows=500 width=32)
";
        assert_eq!(text(&root(include_str!("recorded/update_with_subplans.json"))), expected);
    }

    #[test]
    fn nodes_have_the_names_of_the_text() {
        for (json, expected) in [
            (serde_json::json!({ "Node Type": "Hash Join", "Join Type": "Left" }), "Hash Left Join"),
            (serde_json::json!({ "Node Type": "Nested Loop", "Join Type": "Semi" }), "Nested Loop Semi Join"),
            (serde_json::json!({ "Node Type": "Merge Join", "Join Type": "Inner" }), "Merge Join"),
            (
                serde_json::json!({ "Node Type": "Index Only Scan", "Scan Direction": "Backward", "Index Name": "i",
                    "Relation Name": "t", "Schema": "s", "Alias": "a", "Parallel Aware": true }),
                "Parallel Index Only Scan Backward using i on s.t a",
            ),
            (
                serde_json::json!({ "Node Type": "Aggregate", "Strategy": "Sorted", "Partial Mode": "Finalize" }),
                "Finalize GroupAggregate",
            ),
            (
                serde_json::json!({ "Node Type": "SetOp", "Strategy": "Hashed", "Command": "Except" }),
                "HashSetOp Except",
            ),
            (
                serde_json::json!({ "Node Type": "Function Scan", "Function Name": "generate_series",
                    "Schema": "pg_catalog", "Alias": "n" }),
                "Function Scan on generate_series n",
            ),
        ] {
            assert_eq!(title(&json), expected);
        }
    }
}
