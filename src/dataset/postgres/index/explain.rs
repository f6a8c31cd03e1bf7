//! What the server's plans say of the statements of a workload: which tables and which indexes they touch. Nothing is executed.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;

use crate::dataset::DatasetError;
use crate::dataset::index::Explained;
use crate::dataset::postgres::server::failed;
use crate::db::postgres::Client;
use crate::workload::Workload;

/// The plan of each statement that looks at no value, by its id; absent where the server makes none: of a script's text with
/// variables in it, for example. Inside a transaction it sees what that one did.
pub async fn explained(client: &Client, workload: &Workload) -> Result<Vec<Option<Explained>>, DatasetError> {
    let doing = || failed("ask for the plans of the statements");
    let alone = client.batch_execute("SAVEPOINT dbdyno_index").await.is_err();
    if alone {
        client.batch_execute("BEGIN; SAVEPOINT dbdyno_index").await.map_err(doing())?;
    }
    let mut all = Vec::with_capacity(workload.statements.len());
    for statement in &workload.statements {
        let nulls = vec!["NULL"; statement.inputs.len()].join(", ");
        let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
        let sql = statement.sql.trim_end().trim_end_matches(';');
        let asked = async {
            client.batch_execute("SET LOCAL plan_cache_mode = force_generic_plan").await?;
            client.batch_execute(&format!("PREPARE dbdyno_index AS {sql}")).await?;
            client.simple_query(&format!("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE dbdyno_index{call}")).await
        };
        let answer = asked.await;
        if client.is_closed() {
            return Err(DatasetError::Server {
                doing: "ask for the plans of the statements".to_owned(),
                message: "the connection was closed".to_owned(),
            });
        }
        client.batch_execute("ROLLBACK TO SAVEPOINT dbdyno_index").await.map_err(doing())?;
        // What was prepared outlives the transaction; what could not be is not there.
        if client.batch_execute("DEALLOCATE dbdyno_index").await.is_err() {
            client.batch_execute("ROLLBACK TO SAVEPOINT dbdyno_index").await.map_err(doing())?;
        }
        all.push(answer.ok().and_then(|messages| read(&messages)));
    }
    let end = if alone { "ROLLBACK" } else { "RELEASE SAVEPOINT dbdyno_index" };
    client.batch_execute(end).await.map_err(doing())?;
    Ok(all)
}

fn read(messages: &[SimpleQueryMessage]) -> Option<Explained> {
    let text: String = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    let plan: Value = serde_json::from_str(&text).ok()?;
    let root = plan.get(0)?.get("Plan")?.clone();
    let mut read = Read::default();
    walk(&root, &mut read);
    let cost = root.get("Total Cost")?.as_f64();
    Some(Explained { tables: read.tables, indexes: Some(read.indexes), cost, plan: root })
}

/// What a plan names.
#[derive(Default)]
struct Read {
    tables: BTreeSet<String>,
    indexes: BTreeSet<String>,
}

fn walk(node: &Value, into: &mut Read) {
    let text = |key: &str| node.get(key).and_then(Value::as_str);
    if let Some(table) = text("Relation Name") {
        let name = match text("Schema") {
            None | Some("public") => table.to_owned(),
            Some(schema) => format!("{schema}.{table}"),
        };
        into.tables.insert(name);
    }
    if let Some(index) = text("Index Name") {
        into.indexes.insert(index.to_owned());
    }
    // The indexes by which INSERT … ON CONFLICT finds its conflicts.
    for arbiter in node.get("Conflict Arbiter Indexes").and_then(Value::as_array).into_iter().flatten() {
        into.indexes.extend(arbiter.as_str().map(str::to_owned));
    }
    for child in node.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        walk(child, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_its_tables_and_indexes() {
        let plan = serde_json::json!({
            "Node Type": "ModifyTable", "Relation Name": "t", "Schema": "shop", "Total Cost": 8.5,
            "Conflict Arbiter Indexes": ["t_pkey"],
            "Plans": [{ "Node Type": "Index Scan", "Relation Name": "u", "Schema": "public", "Index Name": "u_a" }],
        });
        let mut read = Read::default();
        walk(&plan, &mut read);
        assert_eq!(read.tables, BTreeSet::from(["shop.t".to_owned(), "u".to_owned()]));
        assert_eq!(read.indexes, BTreeSet::from(["t_pkey".to_owned(), "u_a".to_owned()]));
    }
}
