//! How an answer of MariaDB or MySQL is awaited, what its errors say, and how the columns of its views are read.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::{Error, Row, Value};

use crate::db::Now;
use crate::db::mysql::{Client, Settings, connect};
use crate::probe::link::{Answer, Connection, Unanswered, await_answer};
use crate::probe::{ProbeError, ROLE};
use crate::record::observation::ProbeCost;
use crate::record::pulse::ClientStates;

/// What every question of a probe begins with, so that the probes know themselves among the sessions.
macro_rules! probe_tag {
    () => {
        "/*dbdyno probe*/ "
    };
}
pub(super) use probe_tag;

/// The same as a text.
pub(super) const PROBE_TAG: &str = probe_tag!();
/// Errors with which the server ends a connection: shutdown, a connection that was killed, one that was idle too long.
const ENDS_THE_CONNECTION: [u16; 4] = [1053, 1927, 3169, 4031];

/// Connects a probe. Its statements end after `limit` where the server can do that by itself: MariaDB counts seconds, MySQL
/// milliseconds.
pub(super) async fn open(settings: &Settings, limit: Duration) -> Result<Client, ProbeError> {
    let client = connect(settings, ROLE).await?;
    let setup = if client.is_mariadb() {
        format!("SET max_statement_time = {}, lock_wait_timeout = 2", limit.as_secs())
    } else {
        format!("SET max_execution_time = {}, lock_wait_timeout = 2", limit.as_millis())
    };
    client.run(&setup).await.map_err(|error| ProbeError::Setup { message: words(&error) })?;
    Ok(client)
}

impl Connection for Client {
    /// The library tells only with the next question.
    fn is_closed(&self) -> bool {
        false
    }
}

/// Awaits one answer, at most `limit` and a grace for the server's own limit; adds what it took to `cost`.
pub(super) async fn ask<T>(
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
    question: impl Future<Output = Result<T, Error>>,
) -> Result<Answer<T>, Unanswered> {
    await_answer(clock, limit, cost, question, |error| {
        let lost = match error {
            Error::Server(error) => ENDS_THE_CONNECTION.contains(&error.code),
            _ => true,
        };
        Unanswered { message: words(error), lost }
    })
    .await
}

/// The rows of one question.
pub(super) async fn rows(
    client: &Client,
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
    sql: &str,
) -> Result<Answer<Vec<Row>>, Unanswered> {
    let answer = ask(clock, limit, cost, client.rows(sql)).await?;
    cost.rows += answer.value.len() as u64;
    Ok(answer)
}

/// The server's words for an error.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("{} (error {})", error.message, error.code),
        error => error.to_string(),
    }
}

/// A column as a text; absent where it is NULL, or where the server has no such column.
pub(super) fn text(row: &Row, column: &str) -> Option<String> {
    let columns = row.columns_ref();
    let index = columns.iter().position(|of| of.name_str().eq_ignore_ascii_case(column))?;
    match row.as_ref(index)? {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        Value::NULL | Value::Date(..) | Value::Time(..) => None,
    }
}

/// A column as a number.
pub(super) fn float(row: &Row, column: &str) -> Option<f64> {
    text(row, column)?.parse().ok()
}

/// A column as a whole number; what is negative is none.
pub(super) fn count(row: &Row, column: &str) -> Option<u64> {
    text(row, column)?.parse().ok()
}

/// A column as a truth.
pub(super) fn is_true(row: &Row, column: &str) -> bool {
    text(row, column).is_some_and(|value| value == "1")
}

/// What the last look at the sessions counted, for the probe of the pulse: two that both asked would stall InnoDB more often.
#[derive(Clone, Default)]
pub struct LastLook(Arc<Mutex<Option<Seen>>>);

/// Deadlocks that the probe of the pulse has counted, for that of the sessions: where there are more, it asks for the latest one.
#[derive(Clone, Default)]
pub struct DeadlockCount(Arc<Mutex<Option<u64>>>);

impl DeadlockCount {
    /// Keeps what was counted.
    pub(super) fn set(&self, count: u64) {
        *self.0.lock().expect("no holder of the lock panics") = Some(count);
    }

    /// What was counted last, if anything was.
    pub(super) fn get(&self) -> Option<u64> {
        *self.0.lock().expect("no holder of the lock panics")
    }
}

/// What one look at the sessions counted.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// When, on the clock of the run.
    pub at: crate::units::Stamp,
    /// Sessions by what they did.
    pub clients: ClientStates,
    /// Age of the oldest transaction, in microseconds.
    pub oldest_transaction_us: Option<u64>,
}

impl LastLook {
    /// Keeps what was counted.
    pub(super) fn set(&self, seen: Seen) {
        *self.0.lock().expect("no holder of the lock panics") = Some(seen);
    }

    /// What was counted last, if anything was.
    pub(super) fn get(&self) -> Option<Seen> {
        *self.0.lock().expect("no holder of the lock panics")
    }
}
