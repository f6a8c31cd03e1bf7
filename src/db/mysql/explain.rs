//! EXPLAIN of a statement of the workload: its text with values in it, and what the answer names. MariaDB 10.11 and MySQL 8, whose
//! documents differ in their outline and agree in what they say of a table. Nothing is executed.

use serde_json::Value;

use super::literal::put_literal;
use crate::db::template::Template;
use crate::sql::named::Place;
use crate::sql::values::{Frame, Slot};

/// What stands for a value that is known only while the statement's transaction is executed. As a text it fits a column of whichever
/// type, so that an index on that can be used.
const STAND_IN: &[u8] = b"'1'";

/// The question for the plan of a statement. `places` are those of its parameters, and `values` has one for each of these; without
/// values others stand for them. The error says what cannot be written.
pub fn question(sql: &str, places: &[Place], values: Option<&Frame>) -> Result<String, String> {
    let mut out = b"EXPLAIN FORMAT=JSON ".to_vec();
    let put = |input: usize, out: &mut Vec<u8>| {
        let Some(values) = values else {
            out.extend_from_slice(STAND_IN);
            return Ok(());
        };
        let slot = values.slots.get(input).copied().unwrap_or(Slot::Null);
        // A backslash that is doubled where it need not be is another value, and breaks out of nothing.
        put_literal(slot, &values.arena, true, out)
    };
    Template::new(sql.trim_end().trim_end_matches(';'), places)
        .put(&mut out, put)
        .map_err(|(input, unfit)| format!("value {} {}", input + 1, unfit.0))?;
    String::from_utf8(out).map_err(|_| "its text is no UTF-8".to_owned())
}

/// How a statement gets at the rows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The table, under the name that it has in the statement.
    pub table: String,
    /// `ALL`, `index`, `range`, `ref`, `eq_ref`, `const`, …; absent for a table that rows are only put into.
    pub kind: Option<String>,
    /// The index that is used, or several.
    pub key: Option<String>,
    /// Whether the index answers by itself.
    pub is_covered: bool,
}

/// The tables of a plan, in the order in which they are read.
#[must_use]
pub fn accesses(plan: &Value) -> Vec<Access> {
    let mut found = Vec::new();
    walk(plan, &mut found);
    found
}

fn walk(value: &Value, found: &mut Vec<Access>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
            if let Some(table) = text("table_name") {
                let key = text("key").or_else(|| merged(value));
                let is_covered = fields.get("using_index").and_then(Value::as_bool).unwrap_or(false);
                found.push(Access { table, kind: text("access_type"), key, is_covered });
            }
            fields.values().for_each(|value| walk(value, found));
        }
        _ => {}
    }
}

/// The indexes that MariaDB reads together for one table: each stands in an object of its own.
fn merged(table: &Value) -> Option<String> {
    fn keys(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| keys(value, into)),
            Value::Object(fields) => {
                into.extend(fields.get("key").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| keys(value, into));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    keys(table.get("index_merge")?, &mut found);
    (!found.is_empty()).then(|| format!("index_merge({})", found.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::named::positional_in;
    use crate::units::Dialect;

    #[test]
    fn values_stand_in_the_question_and_others_where_none_are_known() {
        let text = positional_in("SELECT id FROM t WHERE a = :a AND b = :b;", Dialect::Mysql);
        let mut values = Frame::default();
        let name = values.arena.text("it's");
        values.slots = vec![Slot::Int(-5), name];
        assert_eq!(
            question(&text.sql, &text.places, Some(&values)),
            Ok("EXPLAIN FORMAT=JSON SELECT id FROM t WHERE a = (-5) AND b = 'it''s'".to_owned())
        );
        assert_eq!(
            question(&text.sql, &text.places, None),
            Ok("EXPLAIN FORMAT=JSON SELECT id FROM t WHERE a = '1' AND b = '1'".to_owned())
        );
    }

    #[test]
    fn a_plan_names_its_tables_and_how_it_gets_at_them() {
        let mariadb = serde_json::json!({ "query_block": { "select_id": 1, "nested_loop": [
            { "table": { "table_name": "o", "access_type": "ref", "possible_keys": ["x", "y"], "key": "x", "using_index": true } },
            { "block-nl-join": { "table": { "table_name": "p", "access_type": "ALL" } } },
            { "table": { "table_name": "m", "access_type": "index_merge",
                "index_merge": { "union": [{ "range": { "key": "a" } }, { "range": { "key": "b" } }] } } },
        ] } });
        let of = |table: &str, kind: &str, key: Option<&str>| Access {
            table: table.to_owned(),
            kind: Some(kind.to_owned()),
            key: key.map(str::to_owned),
            is_covered: key == Some("x"),
        };
        assert_eq!(
            accesses(&mariadb),
            [
                of("o", "ref", Some("x")),
                of("p", "ALL", None),
                of("m", "index_merge", Some("index_merge(a,b)"))
            ]
        );
        let mysql = serde_json::json!({ "query_block": { "ordering_operation": { "table": {
            "table_name": "o", "access_type": "ref", "key": "x", "using_index": true, "cost_info": { "read_cost": "0.25" } } } } });
        assert_eq!(accesses(&mysql), [of("o", "ref", Some("x"))]);
        let insert = serde_json::json!({ "query_block": { "select_id": 1, "table": { "table_name": "o" } } });
        assert_eq!(accesses(&insert), [Access { table: "o".to_owned(), ..Access::default() }]);
    }
}
