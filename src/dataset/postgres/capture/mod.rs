//! Reading a database that somebody else made: its catalogs, its statistics, its traffic. Everything is asked in transactions that
//! can only read, and the time that the server spent on it is counted. PostgreSQL 14 to 18.

mod checks;
mod joint;
mod order;
mod schema;
mod sizes;
mod statistics;
mod tables;
mod traffic;

use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::server::failed;
use crate::dataset::DatasetError;
use crate::db::postgres::Client;

pub use schema::CapturedSchema;
pub use sizes::TableSize;
pub use traffic::{CheckedStatement, Counted, Snapshot, StatementNumber};

/// Nothing that is asked here may hold anybody up, and every text of a value is written in one form.
const SESSION: &str = "
    SET LOCAL search_path = public;
    SET LOCAL statement_timeout = '60s';
    SET LOCAL lock_timeout = '2s';
    SET LOCAL datestyle = 'ISO, YMD';
    SET LOCAL intervalstyle = 'postgres';
    SET LOCAL lc_monetary = 'C';
    SET LOCAL timezone = 'UTC';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL quote_all_identifiers = off";

/// Stands in every query, so that no capture takes another one for an application: behind its first word, since PostgreSQL 18 cuts
/// leading comments off before it keeps a text.
const OWN: &str = "/*dbdyno:capture*/";

/// Schemas that are nobody's data: the server's own, and where a load of dbdyno keeps its mark.
const SCHEMAS: &str = "
    SELECT nspname::text FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'dbdyno')
    ORDER BY nspname <> 'public', nspname";

/// A database that is being read.
pub struct Reader<'a> {
    client: &'a Client,
    /// Which schemas.
    schemas: Vec<String>,
    /// The search path that was set last for statements.
    path: String,
    /// What was asked so far, and how long the answers took.
    queries: u64,
    spent: Duration,
}

impl<'a> Reader<'a> {
    /// Reads the named schemas, or all of them. A name that is not there is refused.
    pub async fn new(client: &'a crate::db::Client, wanted: &[String]) -> Result<Self, DatasetError> {
        let client = client.postgres()?;
        let mut reader =
            Self { client, schemas: vec![], path: String::new(), queries: 0, spent: Duration::ZERO };
        let rows = reader.ask("list the schemas", SCHEMAS, &[]).await?;
        let known: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if let Some(missing) = wanted.iter().find(|name| !known.contains(name)) {
            return Err(DatasetError::Server {
                doing: format!("capture schema `{missing}`"),
                message: format!("there is none of that name (there are {})", known.join(", ")),
            });
        }
        reader.schemas = if wanted.is_empty() { known } else { wanted.to_vec() };
        Ok(reader)
    }

    /// Begins to read one state of the database.
    pub async fn begin(&self) -> Result<(), DatasetError> {
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{SESSION}");
        self.client.batch_execute(&begin).await.map_err(failed("begin to read"))
    }

    /// Lets go of that state.
    pub async fn end(&self) -> Result<(), DatasetError> {
        self.client.batch_execute("ROLLBACK").await.map_err(failed("end to read"))
    }

    /// How many queries were asked, and how long all of them took, seen from here.
    #[must_use]
    pub fn cost(&self) -> (u64, Duration) {
        (self.queries, self.spent)
    }

    async fn ask(
        &mut self,
        doing: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, DatasetError> {
        let begun = Instant::now();
        let rows = self.client.query(&marked(sql), parameters).await.map_err(failed(doing));
        self.queries += 1;
        self.spent += begun.elapsed();
        rows
    }
}

/// A query that says whose it is.
fn marked(sql: &str) -> String {
    let sql = sql.trim_start();
    let (first, rest) = sql.split_at(sql.find(char::is_whitespace).unwrap_or(sql.len()));
    format!("{first} {OWN}{rest}")
}

/// Whether a text that the server kept is that of a capture.
fn is_marked(text: &str) -> bool {
    text.contains(OWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_behind_the_first_word() {
        let query = marked("\n    SELECT 1");
        assert_eq!(query, "SELECT /*dbdyno:capture*/ 1");
        assert!(is_marked(&query) && !is_marked("SELECT 1"));
    }
}
