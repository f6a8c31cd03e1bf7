//! How an answer of PostgreSQL is awaited, and what its errors say. What all probes share stands beside the engines.

use std::future::Future;
use std::time::Duration;

use crate::db::Now;
use crate::probe::link::await_answer;
use crate::record::observation::ProbeCost;

pub use crate::probe::link::{
    Answer, BackOff, Command, Gathered, OnSchedule, Request, Unanswered, next_look,
};

/// Awaits one answer, at most `limit` and a grace for the server's own timeout; adds what it took to `cost`.
pub async fn ask<T>(
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
    question: impl Future<Output = Result<T, tokio_postgres::Error>>,
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

/// The server's words for an error, or the chain of causes where it is none of the server's.
pub fn words(error: &tokio_postgres::Error) -> String {
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
