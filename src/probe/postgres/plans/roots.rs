//! Partitions stand for the table whose parts they are: where plans are compared it does not matter to which of them the values
//! led. A root is asked for when a table is first met.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio_postgres::{Error, Row};

use super::describe::{CONDITIONS, Table, children, shape, walk, word};
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::quoting::double_quoted;

/// PostgreSQL 14 to 18. `$1` are schemas, `$2` are tables in them; what is no partition gives no row. An index that belongs to none
/// of the root's stands for itself.
pub(super) const ROOTS: &str = "\
SELECT wanted.schema_name, wanted.table_name, root_space.nspname::text AS root_schema, root.relname::text AS root_name,
       indexes.names, indexes.roots
FROM unnest($1::text[], $2::text[]) AS wanted(schema_name, table_name)
JOIN pg_namespace AS namespace ON namespace.nspname = wanted.schema_name
JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = wanted.table_name AND class.relispartition
JOIN pg_class AS root ON root.oid = pg_partition_root(class.oid)
JOIN pg_namespace AS root_space ON root_space.oid = root.relnamespace
LEFT JOIN LATERAL (
    SELECT array_agg(named.relname::text) AS names,
           array_agg(coalesce(of_root.relname, named.relname)::text) AS roots
    FROM pg_index AS i JOIN pg_class AS named ON named.oid = i.indexrelid
    LEFT JOIN pg_class AS of_root ON of_root.oid = pg_partition_root(i.indexrelid)
    WHERE i.indrelid = class.oid
) AS indexes ON true";

/// A partition, as far as it stands for another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    root: Table,
    /// Those of the root, by the partition's own.
    indexes: BTreeMap<String, String>,
}

impl Partition {
    /// Reads a row of [`ROOTS`].
    pub(super) fn read(row: &Row) -> Result<(Table, Self), Error> {
        let table = Table { schema: row.try_get("schema_name")?, name: row.try_get("table_name")? };
        let root = Table { schema: row.try_get("root_schema")?, name: row.try_get("root_name")? };
        let names: Vec<String> = row.try_get::<_, Option<_>>("names")?.unwrap_or_default();
        let roots: Vec<String> = row.try_get::<_, Option<_>>("roots")?.unwrap_or_default();
        Ok((table, Self { root, indexes: names.into_iter().zip(roots).collect() }))
    }
}

/// What is known of the tables that plans read: nothing of a table for which nobody asked yet.
#[derive(Debug, Default)]
pub(super) struct Roots(BTreeMap<Table, Option<Partition>>);

impl Roots {
    /// Tables of a plan that are to be asked for: new ones, and partitions with a new index.
    pub(super) fn unknown(&self, root: &Value) -> BTreeSet<Table> {
        let mut unknown = BTreeSet::new();
        self.put_unknown(root, None, &mut unknown);
        unknown
    }

    fn put_unknown(&self, node: &Value, above: Option<&Table>, unknown: &mut BTreeSet<Table>) {
        let own = Table::of(node);
        let table = own.as_ref().or(above);
        if let Some(table) = table {
            let is_known = match (self.0.get(table), word(node, "Index Name")) {
                (None, _) => false,
                (Some(Some(partition)), Some(index)) => partition.indexes.contains_key(index),
                (Some(_), _) => true,
            };
            if !is_known {
                unknown.insert(table.clone());
            }
        }
        for child in children(node) {
            self.put_unknown(child, table, unknown);
        }
    }

    /// Takes what was answered when `asked` were asked for.
    pub(super) fn take(
        &mut self,
        asked: BTreeSet<Table>,
        answered: impl IntoIterator<Item = (Table, Partition)>,
    ) {
        self.0.extend(asked.into_iter().map(|table| (table, None)));
        self.0.extend(answered.into_iter().map(|(table, partition)| (table, Some(partition))));
    }

    /// Something of the table has changed: it is asked for again.
    pub(super) fn forget(&mut self, table: &Table) {
        self.0.remove(table);
    }

    fn partition(&self, table: &Table) -> Option<&Partition> {
        self.0.get(table)?.as_ref()
    }

    /// The plan with every partition and its indexes under the names of its root, and with equal parts of an Append once; nothing
    /// where it reads no partition.
    pub(super) fn rooted(&self, root: &Value) -> Option<Value> {
        let mut aliases = BTreeMap::new();
        let mut has_any = false;
        walk(root, &mut |node| {
            let Some(table) = Table::of(node) else { return };
            let Some(partition) = self.partition(&table) else { return };
            has_any = true;
            if let Some(alias) = word(node, "Alias") {
                aliases.insert(alias.to_owned(), alias_of_root(alias, &table, &partition.root));
            }
        });
        has_any.then(|| {
            let mut rooted = root.clone();
            self.put_roots(&mut rooted, None, &aliases);
            rooted
        })
    }

    fn put_roots(&self, node: &mut Value, above: Option<&Table>, aliases: &BTreeMap<String, String>) {
        let own = Table::of(node);
        let table = own.as_ref().or(above);
        let partition = table.and_then(|table| self.partition(table));
        let Some(fields) = node.as_object_mut() else { return };
        if let Some(partition) = partition {
            if own.is_some() {
                fields.insert("Schema".to_owned(), partition.root.schema.as_str().into());
                fields.insert("Relation Name".to_owned(), partition.root.name.as_str().into());
            }
            if let Some(Value::String(index)) = fields.get_mut("Index Name")
                && let Some(of_root) = partition.indexes.get(index.as_str())
            {
                index.clone_from(of_root);
            }
        }
        if let Some(Value::String(alias)) = fields.get_mut("Alias")
            && let Some(of_root) = aliases.get(alias.as_str())
        {
            alias.clone_from(of_root);
        }
        for key in CONDITIONS {
            if let Some(Value::String(condition)) = fields.get_mut(key) {
                *condition = with_aliases(condition, aliases);
            }
        }
        if let Some(Value::Array(plans)) = fields.get_mut("Plans") {
            for child in plans {
                self.put_roots(child, table, aliases);
            }
        }
        merge_parts(node);
    }
}

/// What the server numbers from the second on: `orders_1`, `orders_2`. Alone, a partition goes by the name of its root.
fn alias_of_root(alias: &str, table: &Table, root: &Table) -> String {
    if alias == table.name {
        return root.name.clone();
    }
    match alias.rsplit_once('_') {
        Some((name, number)) if !name.is_empty() && is_number(number) => name.to_owned(),
        _ => alias.to_owned(),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The condition with other aliases before its columns.
fn with_aliases(condition: &str, aliases: &BTreeMap<String, String>) -> String {
    let tokens: Vec<Token> = lex(condition).collect();
    let mut out = String::with_capacity(condition.len());
    for (at, token) in tokens.iter().enumerate() {
        let text = token.text(condition);
        let is_qualifier = tokens.get(at + 1).is_some_and(|next| next.is_punctuation(condition, "."));
        let name = match token.kind {
            TokenKind::Word => Some(text.to_owned()),
            TokenKind::QuotedIdentifier if token.closed => {
                Some(text[1..text.len() - 1].replace("\"\"", "\""))
            }
            _ => None,
        };
        match name.filter(|_| is_qualifier).and_then(|name| aliases.get(&name)) {
            // Quoted or not: it is for comparing only.
            Some(of_root) => out.push_str(&quoted_as(text, of_root)),
            None => out.push_str(text),
        }
    }
    out
}

fn quoted_as(text: &str, name: &str) -> String {
    if text.starts_with('"') { double_quoted(name) } else { name.to_owned() }
}

/// How many partitions of a kind are read is a matter of values. An Append of which all but one were ruled out when it was executed
/// is what a plan for these values would be: that one.
fn merge_parts(node: &mut Value) {
    if !matches!(word(node, "Node Type"), Some("Append" | "Merge Append")) {
        return;
    }
    let has_ruled_out = node.get("Subplans Removed").and_then(Value::as_u64).is_some_and(|count| count > 0);
    let relationship = node.get("Parent Relationship").cloned();
    let Some(Value::Array(plans)) = node.get_mut("Plans") else { return };
    let is_alone = plans.len() == 1;
    let mut known = BTreeSet::new();
    plans.retain(|child| known.insert(shape(child)));
    if has_ruled_out
        && is_alone
        && let Some(mut only) = plans.pop()
    {
        if let Some(fields) = only.as_object_mut() {
            fields.remove("Parent Relationship");
            fields.extend(relationship.map(|value| ("Parent Relationship".to_owned(), value)));
        }
        *node = only;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::probe::postgres::plans::describe::{Described, Plan, describe};

    fn table(name: &str) -> Table {
        Table { schema: "public".to_owned(), name: name.to_owned() }
    }

    fn roots() -> Roots {
        let mut roots = Roots::default();
        let partition = |name: &str| {
            let index = (format!("{name}_customer_id_idx"), "orders_customer".to_owned());
            (table(name), Partition { root: table("orders"), indexes: BTreeMap::from([index]) })
        };
        let asked = ["customers", "orders_2024", "orders_2025"].map(table);
        roots.take(asked.into(), ["orders_2024", "orders_2025"].map(partition));
        roots
    }

    /// As PostgreSQL 15 puts out a look-up in one partition.
    fn look_up(partition: &str, alias: &str, relationship: &str) -> Value {
        let condition = format!("({alias}.customer_id = 5)");
        json!({
            "Node Type": "Bitmap Heap Scan", "Parent Relationship": relationship, "Parallel Aware": false,
            "Async Capable": false, "Relation Name": partition, "Schema": "public", "Alias": alias,
            "Startup Cost": 4.68, "Total Cost": 139.31, "Plan Rows": 50, "Plan Width": 12, "Recheck Cond": condition,
            "Plans": [{
                "Node Type": "Bitmap Index Scan", "Parent Relationship": "Outer", "Parallel Aware": false,
                "Async Capable": false, "Index Name": format!("{partition}_customer_id_idx"), "Startup Cost": 0.0,
                "Total Cost": 4.67, "Plan Rows": 50, "Plan Width": 0, "Index Cond": condition,
            }],
        })
    }

    fn sum(child: &Value) -> Value {
        json!({ "Node Type": "Aggregate", "Strategy": "Plain", "Partial Mode": "Simple", "Plans": [child] })
    }

    fn append(removed: u64, parts: &[Value]) -> Value {
        json!({ "Node Type": "Append", "Parent Relationship": "Outer", "Subplans Removed": removed, "Plans": parts })
    }

    fn of(root: &Value) -> Described {
        let answer = json!([{ "Plan": root }]).to_string();
        describe(Plan::read(&answer).expect("a plan"), &roots())
    }

    #[test]
    fn plans_that_differ_in_the_partition_only_are_of_one_kind() {
        let old = of(&sum(&look_up("orders_2024", "orders", "Outer")));
        let new = of(&sum(&look_up("orders_2025", "orders", "Outer")));
        assert_ne!(old.shape, new.shape, "each is told as it is");
        assert!(old.kind.is_some() && old.kind == new.kind, "{old:?} {new:?}");
        assert!(new.text.contains("orders_2025"), "{}", new.text);
        let names: Vec<String> = new.tables.iter().map(Table::label).collect();
        assert_eq!(names, ["orders_2025"], "the partition is watched");

        let mut scan = look_up("orders_2025", "orders", "Outer");
        scan["Node Type"] = "Seq Scan".into();
        assert_ne!(of(&sum(&scan)).kind, new.kind, "another way to read it is another kind");
        let customers = json!({ "Node Type": "Seq Scan", "Relation Name": "customers", "Schema": "public" });
        assert_eq!(of(&sum(&customers)).kind, None);
    }

    #[test]
    fn parts_of_an_append_count_once() {
        let part = |partition, alias| look_up(partition, alias, "Member");
        let (first, second) = (part("orders_2024", "o_1"), part("orders_2025", "o_2"));
        let two = of(&sum(&append(0, &[first.clone(), second.clone()])));
        let third = part("orders_2024", "o_3");
        let three = of(&sum(&append(0, &[first, second.clone(), third])));
        assert_ne!(two.shape, three.shape);
        assert_eq!(two.kind, three.kind);
        let alone = of(&sum(&look_up("orders_2024", "o", "Outer")));
        assert_ne!(two.kind, alone.kind, "some are read, not one");
        // A generic plan, after the value has ruled out the others.
        assert_eq!(of(&sum(&append(7, &[second]))).kind, alone.kind);
    }

    #[test]
    fn aliases_are_those_of_the_root_wherever_they_stand() {
        let aliases =
            BTreeMap::from([("o_1".to_owned(), "o".to_owned()), ("O_2".to_owned(), "O".to_owned())]);
        assert_eq!(
            with_aliases("((o_1.id = \"O_2\".id) AND (o_1 IS NULL) AND (c.o_1 = 'o_1.x'::text))", &aliases),
            "((o.id = \"O\".id) AND (o_1 IS NULL) AND (c.o_1 = 'o_1.x'::text))"
        );
        let of = |alias| alias_of_root(alias, &table("orders_2024"), &table("orders"));
        assert_eq!(
            ["orders_2024", "orders_1", "o", "o_x", "_1"].map(of),
            ["orders", "orders", "o", "o_x", "_1"]
        );
    }

    #[test]
    fn tables_are_asked_for_once_and_again_when_an_index_is_new() {
        let mut roots = roots();
        let mut plan = sum(&look_up("orders_2024", "orders", "Outer"));
        assert_eq!(roots.unknown(&plan), BTreeSet::new());
        plan["Plans"][0]["Plans"][0]["Index Name"] = "new".into();
        assert_eq!(roots.unknown(&plan), BTreeSet::from([table("orders_2024")]));
        assert_eq!(roots.unknown(&look_up("lines", "l", "Outer")), BTreeSet::from([table("lines")]));
        roots.forget(&table("customers"));
        let customers = json!({ "Node Type": "Seq Scan", "Relation Name": "customers", "Schema": "public" });
        assert_eq!(roots.unknown(&customers), BTreeSet::from([table("customers")]));
    }
}
