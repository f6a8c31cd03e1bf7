//! One transaction from acquire to release, with its retries.

use std::time::Duration;

use crate::db::{Begin, Control, Engine, ExecError, IsolationLevel, Reply};
use crate::pool::AcquireError;
use crate::record::accounting::Outcome;
use crate::sql::values::Frame;
use crate::time::Now;
use crate::units::{Stamp, TransactionId};
use crate::workload::{Isolation, KeptFor, Retry, Step, Transaction, Work};

use super::client::Instance;
use super::draws::{Draws, Position};
use super::line::Line;
use super::recorder::Ended;
use super::source;
use super::takings::Memory;

/// SQLSTATEs of work that was given up for taking too long: a statement's or a lock's limit.
const TIMED_OUT: [&str; 2] = ["57014", "55P03"];
/// The purpose of the draws of retry pauses, beside those of `draws`.
const PURPOSE_RETRY: u32 = 0xFFFE_0000;

/// Why a try did not end well.
pub(super) struct Failure {
    pub(super) error: ExecError,
    /// The server may have committed although no answer came.
    pub(super) may_have_committed: bool,
}

/// What all tries of one transaction add up to.
pub(super) struct Tries {
    pub(super) begun_at: Stamp,
    pub(super) count: u32,
    pub(super) pool_wait: Duration,
    /// Of the last one that got a connection.
    pub(super) acquired_at: Option<Stamp>,
    pub(super) released_at: Option<Stamp>,
}

impl<E: Engine, N: Now> Instance<E, N> {
    /// Performs one transaction that was taken just now, and records how it went.
    pub(super) async fn perform(&self, transaction: TransactionId, work: &source::Work, memory: &mut Memory) {
        let kind = &self.workload.transactions[transaction.index()];
        let mut tries = Tries::begin(work.taken_at);
        let mut asked_at = work.taken_at;
        loop {
            tries.count += 1;
            let (lease, times) = self.pool.acquire(asked_at).await;
            tries.pool_wait += times.wait;
            let timed_out = matches!(lease, Err(AcquireError::TimedOut { .. }));
            self.recorder.borrow_mut().acquired(&times, timed_out);
            let mut lease = match lease {
                Ok(lease) => lease,
                Err(error) => return self.not_acquired(transaction, work, &tries, &error, &memory.frame),
            };
            let acquired_at = lease.acquired_at();
            let mut line = Line::new(lease.session(), &self.timer, self.rtt);
            let result = self.attempt(transaction, kind, &mut line, work.position, memory).await;
            let finished_at = match &result {
                Ok(finished_at) => *finished_at,
                Err(_) => self.timer.now(),
            };
            let released_at = lease.release();
            (tries.acquired_at, tries.released_at) = (Some(acquired_at), Some(released_at));
            self.recorder.borrow_mut().held(transaction, released_at - acquired_at);
            match result {
                Err(failure) if self.retries(kind, &failure, tries.count) => {
                    self.recorder.borrow_mut().retried(transaction, failure.error.code());
                    self.timer.sleep(retry_pause(&kind.retry, work.position, tries.count)).await;
                    asked_at = self.timer.now();
                }
                Err(failure) => {
                    return self.failed(transaction, work, &tries, finished_at, &failure, &memory.frame);
                }
                Ok(_) => {
                    self.settle(memory);
                    self.record_end(
                        work,
                        &tries,
                        finished_at,
                        &Ended {
                            service: Some(finished_at - acquired_at),
                            ..ended(transaction, Outcome::Ok, "")
                        },
                        &memory.frame,
                    );
                    return;
                }
            }
        }
    }

    /// One try with a connection in hand. Gives the instant of the last answer, which is COMMIT's where there is one.
    async fn attempt(
        &self,
        transaction: TransactionId,
        kind: &Transaction,
        line: &mut Line<'_, E::Session, N>,
        position: Position,
        memory: &mut Memory,
    ) -> Result<Stamp, Failure> {
        memory.forget();
        let steps = match &kind.work {
            Work::Script(script) => return self.play(transaction, script, line, position, memory).await,
            Work::Steps(steps) => steps,
        };
        self.draws.fill_once(transaction, position, &mut memory.frame);
        let mut reply = Reply::default();
        if kind.pipeline {
            return self.pipeline(transaction, kind, line, position, memory, &mut reply).await;
        }
        if kind.explicit {
            if let Err(error) = line.control(Control::Begin(begin(transaction, kind)), &mut reply).await {
                self.roll_back(line, &error).await;
                return Err(Failure::before_commit(error));
            }
            self.recorder.borrow_mut().controlled(transaction, false, &reply);
        }
        if let Err(failure) = self.steps(transaction, (kind, steps), line, position, memory, &mut reply).await
        {
            self.roll_back(line, &failure.error).await;
            return Err(failure);
        }
        if kind.explicit {
            if let Err(error) = line.control(Control::Commit, &mut reply).await {
                self.note_deadlock(transaction, None, line.backend(), &error);
                // PostgreSQL has rolled back; MariaDB and MySQL do not say whether they have, nor set the transaction's settings
                // back.
                self.roll_back(line, &error).await;
                return Err(Failure::at_commit(error));
            }
            self.recorder.borrow_mut().controlled(transaction, true, &reply);
        }
        Ok(reply.done_at)
    }

    /// Ends a transaction that has failed.
    pub(super) async fn roll_back(&self, line: &mut Line<'_, E::Session, N>, error: &ExecError) {
        if error.session_survives() && line.in_transaction() {
            // The error that is reported is the first one; a session that cannot roll back is not usable again.
            let _ = line.control(Control::Rollback, &mut Reply::default()).await;
        }
    }

    async fn steps(
        &self,
        transaction: TransactionId,
        (kind, steps): (&Transaction, &[Step]),
        line: &mut Line<'_, E::Session, N>,
        position: Position,
        memory: &mut Memory,
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        let mut occurrence = 0;
        for (index, step) in steps.iter().enumerate() {
            for _ in 0..Draws::times(step, index, position) {
                if !step.hold.is_zero() {
                    self.timer.sleep(step.hold).await;
                }
                self.draws.fill_each(transaction, position, occurrence, &mut memory.frame);
                occurrence += 1;
                let result = line.execute(step.statement, &mut memory.frame, reply).await;
                self.recorder.borrow_mut().executed(step.statement, line.backend(), reply, result.is_ok());
                let statement = &self.workload.statements[step.statement.index()];
                if let Err(error) = result {
                    self.note_deadlock(transaction, Some(step.statement), line.backend(), &error);
                    let writes = statement.kind.writes();
                    // Without BEGIN the statement commits itself: a lost answer leaves open whether it did.
                    return Err(if kind.explicit || !writes {
                        Failure::before_commit(error)
                    } else {
                        Failure::at_commit(error)
                    });
                }
                if reply.rows > 0 {
                    memory.take(&statement.kept);
                }
            }
        }
        Ok(())
    }

    /// The transaction is committed: what it held back counts.
    fn settle(&self, memory: &mut Memory) {
        let (takings, arena, furthest) = memory.settle();
        for taking in takings {
            match taking.reason {
                KeptFor::Measure(index) => self.recorder.borrow_mut().measured(
                    index,
                    &self.workload.measures[index],
                    taking.value,
                    &mut furthest[index],
                ),
                KeptFor::Inserted { rows, column } => {
                    self.draws.inserted(rows, column, taking.value, arena);
                }
            }
        }
    }

    fn retries(&self, kind: &Transaction, failure: &Failure, tries: u32) -> bool {
        !failure.may_have_committed
            && tries < kind.retry.max_tries
            && !self.stopping.get()
            && kind.retry.covers(failure.error.code())
    }

    fn not_acquired(
        &self,
        transaction: TransactionId,
        work: &source::Work,
        tries: &Tries,
        error: &AcquireError,
        frame: &Frame,
    ) {
        self.recorder.borrow_mut().first_error(transaction, error.code(), || error.to_string());
        let end = Ended {
            censored: matches!(error, AcquireError::TimedOut { .. }),
            ..ended(transaction, Outcome::Failed, error.code())
        };
        self.record_end(work, tries, self.timer.now(), &end, frame);
    }

    fn failed(
        &self,
        transaction: TransactionId,
        work: &source::Work,
        tries: &Tries,
        finished_at: Stamp,
        failure: &Failure,
        frame: &Frame,
    ) {
        let code = failure.error.code();
        self.recorder.borrow_mut().first_error(transaction, code, || failure.error.to_string());
        let outcome = if failure.may_have_committed { Outcome::Unknown } else { Outcome::Failed };
        // What ran into a limit, or whose end nobody saw, would have taken at least so long.
        let censored = failure.may_have_committed || TIMED_OUT.contains(&code);
        let end = Ended { censored, ..ended(transaction, outcome, code) };
        self.record_end(work, tries, finished_at, &end, frame);
    }

    fn record_end(
        &self,
        work: &source::Work,
        tries: &Tries,
        finished_at: Stamp,
        end: &Ended<'_>,
        frame: &Frame,
    ) {
        let scheduled_at = work.scheduled_at.unwrap_or(tries.begun_at);
        self.recorder.borrow_mut().ended(&Ended {
            lag: work.scheduled_at.map(|at| tries.begun_at - at),
            pool_wait: tries.pool_wait,
            response: finished_at - scheduled_at,
            ..*end
        });
        self.sample(end.transaction, work, tries, (finished_at, end.outcome, end.code), frame);
    }
}

impl Tries {
    fn begin(begun_at: Stamp) -> Self {
        Self { begun_at, count: 0, pool_wait: Duration::ZERO, acquired_at: None, released_at: None }
    }
}

impl Failure {
    pub(super) fn before_commit(error: ExecError) -> Self {
        Self { error, may_have_committed: false }
    }

    pub(super) fn at_commit(error: ExecError) -> Self {
        let may_have_committed = !error.session_survives();
        Self { error, may_have_committed }
    }
}

fn ended(transaction: TransactionId, outcome: Outcome, code: &str) -> Ended<'_> {
    Ended {
        transaction,
        outcome,
        code,
        lag: None,
        pool_wait: Duration::ZERO,
        service: None,
        response: Duration::ZERO,
        censored: false,
    }
}

/// Half of the longest pause, and a share of the other half: who failed together does not come back together. Drawn by what
/// it is for, so that it is the same each time the run is repeated.
fn retry_pause(retry: &Retry, position: Position, tries: u32) -> Duration {
    let drawn = position.key.at(position.number, PURPOSE_RETRY | (tries & 0xFFFF)).unit();
    retry.pause_max(tries).mul_f64(0.5 + drawn / 2.0)
}

/// How the transaction begins. Its settings are those of its own number.
pub(super) fn begin(transaction: TransactionId, kind: &Transaction) -> Begin {
    Begin {
        isolation: kind.isolation.map(isolation_level),
        read_only: kind.modes.read_only,
        deferrable: kind.modes.deferrable,
        settings: (!kind.modes.set.is_empty()).then_some(transaction.index()),
    }
}

pub(super) fn isolation_level(isolation: Isolation) -> IsolationLevel {
    match isolation {
        Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
        Isolation::RepeatableRead => IsolationLevel::RepeatableRead,
        Isolation::Serializable => IsolationLevel::Serializable,
    }
}
