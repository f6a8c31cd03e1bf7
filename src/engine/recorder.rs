//! Where the clients of one worker write down what they measured: one set at a time, swapped at each tick.

use std::time::Duration;

use crate::db::{Answered, Queued, QueuedOutcome, Reply};
use crate::pool::AcquireTimes;
use crate::record::accounting::Outcome;
use crate::record::measure::Extreme;
use crate::record::sample::Sample;
use crate::record::set::{Set, StatementSpan};
use crate::sql::values::{Arena, Slot};
use crate::units::{BackendId, Span, Stamp, StatementId, TransactionId};
use crate::workload::Measure;

use super::plans::Plans;

/// Executions at least this long are kept one by one, so that lock waits can be joined to them: a tenth of the interval
/// between two looks of the probe.
const SPAN_MIN: Duration = Duration::from_millis(10);
/// Distinct first errors that are kept for the reader, over the whole load.
const FIRST_ERRORS_MAX: usize = 32;

/// The first failure of its kind, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstError {
    /// Which transaction.
    pub transaction: TransactionId,
    /// Its code.
    pub code: String,
    /// What was said.
    pub message: String,
}

/// What is known of a transaction when it ends.
pub(super) struct Ended<'a> {
    pub(super) transaction: TransactionId,
    pub(super) outcome: Outcome,
    /// The code of the failure; empty when there was none.
    pub(super) code: &'a str,
    pub(super) lag: Option<Duration>,
    pub(super) pool_wait: Duration,
    /// With a connection in hand, in the last try.
    pub(super) service: Option<Duration>,
    pub(super) response: Duration,
    /// Whether `response` is a lower bound: it was given up, not answered.
    pub(super) censored: bool,
}

/// The current set of one worker.
pub(super) struct Recorder {
    pub(super) set: Box<Set>,
    /// Transactions handed out and not ended.
    pub(super) in_flight: u64,
    seen_errors: Vec<(TransactionId, String)>,
    /// Of each measure, how far its values have come in this worker.
    furthest: Vec<Extreme>,
    pub(super) first_errors: Vec<FirstError>,
    /// While a warm-up waits for it.
    pub(super) plans: Option<Plans>,
}

impl Recorder {
    pub(super) fn new(set: Box<Set>) -> Self {
        let furthest = vec![Extreme::default(); set.measures.len()];
        Self { set, in_flight: 0, seen_errors: Vec::new(), furthest, first_errors: Vec::new(), plans: None }
    }

    pub(super) fn begun(&mut self, transaction: TransactionId) {
        self.in_flight += 1;
        self.set.transactions[transaction.index()].books.issued += 1;
    }

    pub(super) fn acquired(&mut self, times: &AcquireTimes, timed_out: bool) {
        let pool = &mut self.set.pool;
        pool.wait.record(times.wait);
        if let Some(create) = times.create {
            pool.create.record(create);
        }
        pool.timeouts += u64::from(timed_out);
    }

    pub(super) fn held(&mut self, transaction: TransactionId, hold: Duration) {
        self.set.transactions[transaction.index()].hold.record(hold);
    }

    pub(super) fn retried(&mut self, transaction: TransactionId, code: &str) {
        let set = &mut self.set.transactions[transaction.index()];
        set.books.retried += 1;
        set.count_error(code);
    }

    pub(super) fn executed(
        &mut self,
        statement: StatementId,
        backend: BackendId,
        reply: &Reply,
        succeeded: bool,
    ) {
        let took = reply.done_at - reply.sent_at;
        let set = &mut self.set.statements[statement.index()];
        if succeeded {
            set.execute.record(took);
            if let Some(first_row_at) = reply.first_row_at {
                set.first_row.record(first_row_at - reply.sent_at);
            }
            set.rows += reply.rows;
            set.empty += u64::from(reply.rows == 0);
            set.no_index += u64::from(reply.no_index);
            if let Some(plans) = &mut self.plans {
                plans.executed(statement, backend);
            }
        } else {
            set.errors += 1;
            set.errors_ns += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        }
        if took >= SPAN_MIN {
            let span = Span { from: reply.sent_at, to: reply.done_at };
            self.set.keep_span(StatementSpan { backend, statement, span });
        }
    }

    /// Records a whole pipeline that ended well.
    pub(super) fn pipelined(&mut self, transaction: TransactionId, reply: &Reply) {
        self.set.transactions[transaction.index()].pipeline.record(reply.done_at - reply.sent_at);
    }

    /// Counts one statement of a pipeline, whose answer followed that of `before`.
    pub(super) fn answered(&mut self, backend: BackendId, before: Stamp, answered: &Answered) {
        let Queued::Statement(statement) = answered.request else { return };
        let set = &mut self.set.statements[statement.index()];
        match answered.outcome {
            QueuedOutcome::Done => {
                set.pipelined += 1;
                set.rows += answered.rows;
                set.empty += u64::from(answered.rows == 0);
                if let Some(plans) = &mut self.plans {
                    plans.executed(statement, backend);
                }
            }
            QueuedOutcome::Failed => set.errors += 1,
            QueuedOutcome::Skipped => return,
        }
        if answered.done_at - before >= SPAN_MIN {
            let span = Span { from: before, to: answered.done_at };
            self.set.keep_span(StatementSpan { backend, statement, span });
        }
    }

    /// Records one value of a measure; without one, that it is missing.
    pub(super) fn measured(
        &mut self,
        index: usize,
        measure: &Measure,
        value: Option<Slot>,
        in_client: &mut Extreme,
    ) {
        let in_worker = &mut self.furthest[index];
        let value = value.unwrap_or_default();
        self.set.measures[index].record(value, measure.unit, measure.order, in_client, in_worker);
    }

    pub(super) fn controlled(&mut self, transaction: TransactionId, commit: bool, reply: &Reply) {
        let set = &mut self.set.transactions[transaction.index()];
        let distribution = if commit { &mut set.commit } else { &mut set.begin };
        distribution.record(reply.done_at - reply.sent_at);
    }

    pub(super) fn ended(&mut self, ended: &Ended<'_>) {
        self.in_flight -= 1;
        let set = &mut self.set.transactions[ended.transaction.index()];
        set.books.close(ended.outcome);
        if !ended.code.is_empty() {
            set.count_error(ended.code);
        }
        if let Some(lag) = ended.lag {
            set.lag.record(lag);
        }
        if ended.outcome == Outcome::Ok {
            set.pool_wait.record(ended.pool_wait);
            if let Some(service) = ended.service {
                set.service.record(service);
            }
            set.response.record(ended.response);
        } else if ended.censored {
            set.censored.record(ended.response);
        }
    }

    /// Keeps the sample of one transaction for a log.
    pub(super) fn sampled(&mut self, sample: &Sample, values: impl Iterator<Item = Slot>, arena: &Arena) {
        self.set.samples.push(sample, values, arena);
    }

    /// Counts work that was planned and never handed out.
    pub(super) fn skipped(&mut self, transaction: TransactionId, waited: Duration) {
        let set = &mut self.set.transactions[transaction.index()];
        set.books.issued += 1;
        set.books.close(Outcome::Skipped);
        set.censored.record(waited);
    }

    /// Keeps the words of the first failure of each kind.
    pub(super) fn first_error(
        &mut self,
        transaction: TransactionId,
        code: &str,
        message: impl FnOnce() -> String,
    ) {
        let seen = |(t, c): &(TransactionId, String)| *t == transaction && c == code;
        if self.seen_errors.len() >= FIRST_ERRORS_MAX || self.seen_errors.iter().any(seen) {
            return;
        }
        self.seen_errors.push((transaction, code.to_owned()));
        self.first_errors.push(FirstError { transaction, code: code.to_owned(), message: message() });
    }
}
