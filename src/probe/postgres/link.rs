//! How a probe connects to PostgreSQL, how an answer of it is awaited, and what its errors say. What all probes share stands beside
//! the engines.

use std::future::Future;
use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, ToStatement};

use crate::db::Now;
use crate::db::postgres::{Client, Settings, connect};
use crate::probe::link::{Answer, Connection, Unanswered, await_answer};
use crate::probe::{ProbeError, ROLE};
use crate::record::observation::ProbeCost;

/// Holds for PostgreSQL 14 to 18.
const VERSION: &str = "SELECT current_setting('server_version_num')::int AS version_num";

impl Connection for Client {
    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }
}

/// Connects a probe, whose session begins with `setup`.
pub async fn open(settings: &Settings, setup: &str) -> Result<Client, ProbeError> {
    let client = connect(settings, ROLE).await?;
    client.batch_execute(setup).await.map_err(|error| refused(&error))?;
    Ok(client)
}

/// The server refused what a probe begins with.
pub fn refused(error: &Error) -> ProbeError {
    ProbeError::Setup { message: words(error) }
}

/// The server's version: 150018 is 15.18.
pub async fn version_num(client: &Client) -> Result<i32, Error> {
    client.query_one(VERSION, &[]).await?.try_get("version_num")
}

/// Awaits one answer, at most `limit` and a grace for the server's own timeout; adds what it took to `cost`.
pub async fn ask<T>(
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
    question: impl Future<Output = Result<T, Error>>,
) -> Result<Answer<T>, Unanswered> {
    await_answer(clock, limit, cost, question, |error| {
        // A server's error below FATAL leaves the connection as it was; every other one ends it.
        let lost = error
            .as_db_error()
            .is_none_or(|db| !matches!(db.parsed_severity(), Some(tokio_postgres::error::Severity::Error)));
        Unanswered { message: words(error), lost }
    })
    .await
}

/// The rows of one question, as `read` reads each.
pub async fn rows<T>(
    client: &Client,
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
    query: &(impl ToStatement + ?Sized),
    parameters: &[&(dyn ToSql + Sync)],
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Answer<Vec<T>>, Unanswered> {
    let question =
        async { client.query(query, parameters).await?.iter().map(read).collect::<Result<Vec<T>, Error>>() };
    let answer = ask(clock, limit, cost, question).await?;
    cost.rows += answer.value.len() as u64;
    Ok(answer)
}

/// The server's words for an error, or the chain of causes where it is none of the server's.
pub fn words(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
