//! The server's numbers for the statements of the workload. They are learnt before the run by asking for a plan without
//! executing anything, and where that is refused, from the server's own texts: by the tag, or by the text behind it, since
//! PostgreSQL 18 cuts leading comments off.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::probe::ProbePlan;
use crate::sql::tag::tag_of;
use crate::units::StatementId;

/// Neither the values nor the statistics behind them matter here.
const SETUP: &str = "SET plan_cache_mode = force_generic_plan";
const TEARDOWN: &str = "RESET plan_cache_mode";
/// Number of parameters of a prepared statement. Holds for PostgreSQL 14 to 18.
const PARAMETERS: &str =
    "SELECT cardinality(parameter_types) AS parameters FROM pg_prepared_statements WHERE name = $1";

/// Characters of a text that are compared; [`super::views::StatementsView::texts_query`] reads as many.
pub const TEXT_COMPARED: usize = 300;

/// Query ids and the statements that have them: several where the server sees the same normalised text.
#[derive(Clone, Debug, Default)]
pub struct QueryIds {
    by_query: BTreeMap<i64, Vec<StatementId>>,
    unknown: Vec<Unknown>,
}

/// A statement without a query id.
#[derive(Clone, Debug)]
struct Unknown {
    statement: StatementId,
    tag: String,
    /// The beginning of the text behind the tag.
    body: String,
}

impl QueryIds {
    /// Asks for each statement of the plan. A statement that cannot be explained stays unknown: a `CALL`, a table that a
    /// later statement makes, a missing right.
    pub async fn learn(client: &Client, plan: &ProbePlan) -> Result<Self, tokio_postgres::Error> {
        let mut ids = Self::default();
        client.batch_execute(SETUP).await?;
        for (index, (statement, tag, text)) in plan.statements.iter().enumerate() {
            let asked = if plan.values_apart { query_id(client, index, text).await } else { Ok(None) };
            match asked {
                Ok(Some(query_id)) => ids.add(query_id, *statement),
                Err(error) if client.is_closed() => return Err(error),
                Ok(None) | Err(_) => ids.unknown.push(Unknown {
                    statement: *statement,
                    tag: tag.clone(),
                    body: body(text).to_owned(),
                }),
            }
        }
        client.batch_execute(TEARDOWN).await?;
        Ok(ids)
    }

    /// The server shows `text` under a query id: statements that had none may be known by it.
    pub fn recognise(&mut self, query_id: i64, text: &str) {
        let tag = tag_of(text);
        let (found, unknown) = std::mem::take(&mut self.unknown)
            .into_iter()
            .partition(|unknown| tag == Some(&unknown.tag) || body(text) == unknown.body);
        self.unknown = unknown;
        for Unknown { statement, .. } in found {
            self.add(query_id, statement);
        }
    }

    /// The beginnings of the texts, without their tags, of the statements that have no query id yet.
    pub fn unknown_bodies(&self) -> Vec<&str> {
        self.unknown.iter().map(|unknown| unknown.body.as_str()).collect()
    }

    fn add(&mut self, query_id: i64, statement: StatementId) {
        let statements = self.by_query.entry(query_id).or_default();
        if !statements.contains(&statement) {
            statements.push(statement);
        }
    }

    /// All query ids that are known.
    pub fn known(&self) -> Vec<i64> {
        self.by_query.keys().copied().collect()
    }

    /// Whether a statement has no query id yet.
    pub fn any_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// The statements that share a query id.
    pub fn statements(&self, query_id: i64) -> &[StatementId] {
        self.by_query.get(&query_id).map_or(&[], Vec::as_slice)
    }
}

/// What the server keeps of a text: no leading comments (PostgreSQL 18), no blanks or semicolons behind it.
fn body(text: &str) -> &str {
    let behind =
        tag_of(text).and_then(|tag| text.split_once(&format!("{tag}*/"))).map_or(text, |(_, rest)| rest);
    let trimmed = behind.trim_start().trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let end = trimmed.char_indices().nth(TEXT_COMPARED).map_or(trimmed.len(), |(end, _)| end);
    &trimmed[..end]
}

/// The query id of one statement; `None` where the server computes none.
async fn query_id(client: &Client, index: usize, text: &str) -> Result<Option<i64>, tokio_postgres::Error> {
    let name = format!("dbdyno_{index}");
    client.batch_execute(&format!("PREPARE {name} AS {text}")).await?;
    let explained = explain(client, &name).await;
    client.batch_execute(&format!("DEALLOCATE {name}")).await?;
    explained
}

async fn explain(client: &Client, name: &str) -> Result<Option<i64>, tokio_postgres::Error> {
    let parameters: Option<i32> = client.query_one(PARAMETERS, &[&name]).await?.try_get("parameters")?;
    let nulls = vec!["NULL"; usize::try_from(parameters.unwrap_or(0)).unwrap_or(0)].join(", ");
    let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let rows = client
        .simple_query(&format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) EXECUTE {name}{arguments}"))
        .await?;
    Ok(rows
        .iter()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .and_then(query_identifier))
}

/// Finds the number in a plan.
fn query_identifier(plan: &str) -> Option<i64> {
    let plan: serde_json::Value = serde_json::from_str(plan).ok()?;
    plan.get(0)?.get("Query Identifier")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_read_from_the_plan() {
        assert_eq!(query_identifier(r#"[{"Plan": {}, "Query Identifier": -42}]"#), Some(-42));
        assert_eq!(query_identifier(r#"[{"Plan": {}}]"#), None, "the server computes none");
    }

    #[test]
    fn statements_of_one_text_share_the_number() {
        let mut ids = QueryIds::default();
        ids.add(9, StatementId(1));
        ids.add(9, StatementId(2));
        ids.add(9, StatementId(2));
        assert_eq!(ids.statements(9), [StatementId(1), StatementId(2)]);
    }

    #[test]
    fn a_text_is_recognised_by_its_tag_or_by_what_stands_behind_it() {
        let unknown = |id, tag: &str, text: &str| Unknown {
            statement: StatementId(id),
            tag: tag.into(),
            body: body(text).into(),
        };
        let mut ids = QueryIds {
            unknown: vec![
                unknown(1, "a.lock", "/*dbdyno:a.lock*/ LOCK TABLE t;"),
                unknown(2, "a.call", "/*+ Hint */ /*dbdyno:a.call*/ CALL p($1)"),
                unknown(3, "b.lock", "/*dbdyno:b.lock*/ LOCK TABLE t"),
            ],
            ..QueryIds::default()
        };
        ids.recognise(7, "SELECT 1");
        assert_eq!(ids.unknown_bodies(), ["LOCK TABLE t", "CALL p($1)", "LOCK TABLE t"]);
        // PostgreSQL 18 keeps no comment; both statements are this row.
        ids.recognise(8, "LOCK TABLE t");
        assert_eq!(ids.statements(8), [StatementId(1), StatementId(3)]);
        ids.recognise(9, "/*+ Hint */ /*dbdyno:a.call*/ CALL p($1)");
        assert_eq!(ids.statements(9), [StatementId(2)]);
        assert!(!ids.any_unknown());
    }
}
