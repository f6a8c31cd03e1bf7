//! What all probe connections share: how a lost one is made again, and how an answer is awaited, timed and counted.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::db::Now;
use crate::record::observation::ProbeCost;
use crate::units::Stamp;

const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// The server ends a statement by its own timeout; when its word does not come either, the connection is dead.
const GRACE: Duration = Duration::from_secs(1);

/// Why a question got no answer.
#[derive(Debug)]
pub struct Unanswered {
    /// For a person.
    pub message: String,
    /// Whether the connection is of no more use.
    pub lost: bool,
}

/// When to try to connect again.
#[derive(Debug)]
pub struct BackOff {
    next_delay: Duration,
    not_before: Option<Instant>,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { next_delay: BACK_OFF_FIRST, not_before: None }
    }
}

impl BackOff {
    /// Whether an attempt is due.
    pub fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// An attempt failed: the next one comes later than the last.
    pub fn failed(&mut self, now: Instant) {
        self.not_before = Some(now + self.next_delay);
        self.next_delay = (self.next_delay * 2).min(BACK_OFF_MAX);
    }

    /// An attempt succeeded.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

/// An answer with the stamps around it.
pub struct Answer<T> {
    /// What came.
    pub value: T,
    /// The question was sent.
    pub asked_at: Stamp,
    /// The answer was complete.
    pub answered_at: Stamp,
}

/// Awaits one answer, at most `limit` and a grace for the server's own timeout; adds what it took to `cost`.
pub async fn ask<T>(
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
    question: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<Answer<T>, Unanswered> {
    let asked_at = clock.now();
    let outcome = tokio::time::timeout(limit + GRACE, question).await;
    let answered_at = clock.now();
    let elapsed_ns = answered_at.0.saturating_sub(asked_at.0);
    cost.add(&ProbeCost { queries: 1, elapsed_ns, elapsed_max_ns: elapsed_ns, ..ProbeCost::default() });
    match outcome {
        Ok(Ok(value)) => Ok(Answer { value, asked_at, answered_at }),
        Ok(Err(error)) => {
            // A server's error below FATAL leaves the connection as it was; every other one ends it.
            let lost = error.as_db_error().is_none_or(|db| {
                !matches!(db.parsed_severity(), Some(tokio_postgres::error::Severity::Error))
            });
            Err(Unanswered { message: words(&error), lost })
        }
        Err(_) => Err(Unanswered {
            message: format!("no answer within {} s", (limit + GRACE).as_secs()),
            lost: true,
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_up_to_a_bound() {
        let mut back_off = BackOff::default();
        let mut now = Instant::now();
        assert!(back_off.allows(now));
        for pause_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            back_off.failed(now);
            now += Duration::from_millis(pause_ms - 1);
            assert!(!back_off.allows(now), "too early before {pause_ms} ms");
            now += Duration::from_millis(1);
            assert!(back_off.allows(now), "due after {pause_ms} ms");
        }
        back_off.succeeded();
        assert!(back_off.allows(now));
    }
}
