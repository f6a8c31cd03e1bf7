//! Which tables and which indexes the statements of a workload touch. Nothing is executed.
//!
//! A plan names a table as the statement does, so that tables are known by the statement's words, views taken apart; a column that is
//! named like a table makes it count. Indexes are known by plans, which the server makes for values only.

use std::collections::BTreeSet;

use mysql_async::Error;
use serde_json::Value;

use crate::dataset::DatasetError;
use crate::dataset::index::Explained;
use crate::dataset::mysql::server::{failed, text};
use crate::db::mysql::Client;
use crate::db::mysql::explain::{accesses, question};
use crate::sql::index::mentions;
use crate::sql::lex::{TokenKind, lex_in};
use crate::sql::values::Frame;
use crate::units::Dialect;
use crate::workload::{Statement, Workload};

const TABLES: &str = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE <> 'VIEW'";
const VIEWS: &str =
    "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()";
const ROUTINES: &str =
    "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()";

/// What each statement touches, by its id; absent where it calls a routine, which may do anything. `values` are such as the workload
/// draws, for each statement.
pub async fn explained(
    client: &Client,
    workload: &Workload,
    values: &[Vec<Frame>],
) -> Result<Vec<Option<Explained>>, DatasetError> {
    let doing = "ask for the plans of the statements";
    let relations = Relations::read(client).await.map_err(failed(doing))?;
    let mut all = Vec::with_capacity(workload.statements.len());
    for (id, statement) in workload.statements.iter().enumerate() {
        let Some(tables) = relations.of(&statement.sql) else {
            all.push(None);
            continue;
        };
        // What reads no table has no plan, and uses no index.
        if tables.is_empty() {
            all.push(Some(Explained { indexes: Some(BTreeSet::new()), ..Explained::default() }));
            continue;
        }
        let frames = values.get(id).map_or(&[][..], Vec::as_slice);
        let plans = plans(client, statement, frames).await.map_err(failed(doing))?;
        let indexes = plans.as_ref().map(|plans| plans.iter().flat_map(indexes).collect());
        let plan = plans.and_then(|plans| plans.into_iter().next()).unwrap_or(Value::Null);
        all.push(Some(Explained { tables, indexes, cost: None, plan }));
    }
    Ok(all)
}

/// A plan for each of the values, or for what stands for them; nothing where the server makes none of one.
async fn plans(
    client: &Client,
    statement: &Statement,
    frames: &[Frame],
) -> Result<Option<Vec<Value>>, Error> {
    let given: Vec<Option<&Frame>> =
        if frames.is_empty() { vec![None] } else { frames.iter().map(Some).collect() };
    let mut plans = Vec::with_capacity(given.len());
    for values in given {
        let Ok(question) = question(&statement.sql, &statement.places, values) else { return Ok(None) };
        let rows = match client.rows(&question).await {
            Ok(rows) => rows,
            Err(Error::Server(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let plan =
            rows.first().and_then(|row| text(row, 0)).and_then(|json| serde_json::from_str(&json).ok());
        // Of rows that cannot be there, and of what the ends of an index answer, the server does not say how it comes by that.
        match plan.filter(|plan| !accesses(plan).is_empty()) {
            Some(plan) => plans.push(plan),
            None => return Ok(None),
        }
    }
    Ok(Some(plans))
}

/// The names of a plan's indexes; several that are read together stand in one text.
fn indexes(plan: &Value) -> Vec<String> {
    let keys = accesses(plan).into_iter().filter_map(|access| access.key);
    let names = |key: String| -> Vec<String> {
        if !key.contains('(') {
            return vec![key];
        }
        let words = lex_in(&key, Dialect::Mysql).filter(|token| token.kind == TokenKind::Word);
        words.map(|token| token.text(&key).to_owned()).collect()
    };
    keys.flat_map(names).collect()
}

/// What a statement can name.
#[derive(Default)]
struct Relations {
    tables: Vec<String>,
    /// Their names and what they select.
    views: Vec<(String, String)>,
    routines: Vec<String>,
}

impl Relations {
    async fn read(client: &Client) -> Result<Self, Error> {
        let names = async |asked: &str| {
            let rows = client.rows(asked).await?;
            Ok::<Vec<String>, Error>(rows.iter().filter_map(|row| text(row, 0)).collect())
        };
        let views = client.rows(VIEWS).await?;
        let view = |row: &mysql_async::Row| Some((text(row, 0)?, text(row, 1).unwrap_or_default()));
        Ok(Self {
            tables: names(TABLES).await?,
            views: views.iter().filter_map(view).collect(),
            routines: names(ROUTINES).await?,
        })
    }

    /// The tables that a statement touches; nothing where it calls a routine.
    fn of(&self, sql: &str) -> Option<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut texts = vec![sql];
        while let Some(text) = texts.pop() {
            let is_in = |name: &str| mentions(text, name, Dialect::Mysql);
            if self.routines.iter().any(|name| is_in(name)) {
                return None;
            }
            found.extend(self.tables.iter().filter(|name| is_in(name)).cloned());
            for (name, definition) in &self.views {
                if is_in(name) && seen.insert(name) {
                    texts.push(definition);
                }
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_known_by_the_words_of_a_statement_and_of_its_views() {
        let relations = Relations {
            tables: ["orders", "lines", "products"].map(str::to_owned).into(),
            views: vec![
                (
                    "sold".to_owned(),
                    "select `l`.`id` from `shop`.`lines` `l` join `shop`.`wanted`".to_owned(),
                ),
                ("wanted".to_owned(), "select 1 from `shop`.`products`".to_owned()),
            ],
            routines: vec!["settle".to_owned()],
        };
        let of = |sql| relations.of(sql).map(|tables| tables.into_iter().collect::<Vec<_>>());
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of("SELECT * FROM Orders o WHERE note = 'lines'"), names(&["orders"]));
        assert_eq!(of("SELECT * FROM sold"), names(&["lines", "products"]));
        assert_eq!(of("SELECT 1"), names(&[]));
        assert_eq!(of("CALL settle(1)"), None);
    }

    #[test]
    fn indexes_that_are_read_together_are_several() {
        let plan = serde_json::json!({ "table": { "table_name": "t", "access_type": "index_merge", "key": "union(a,b)" } });
        assert_eq!(indexes(&plan), ["union", "a", "b"]);
        let one =
            serde_json::json!({ "table": { "table_name": "t", "access_type": "ref", "key": "odd (name)" } });
        assert!(indexes(&one).contains(&"name".to_owned()));
    }
}
