//! One try of a transaction that is sent as a pipeline: BEGIN, all statements and COMMIT at once, one round trip, one sample.

use crate::db::{Answered, Control, Engine, ExecError, Queued, QueuedOutcome, Reply};
use crate::time::Now;
use crate::units::{Stamp, StatementId, TransactionId};
use crate::workload::Transaction;

use super::client::Instance;
use super::draws::{Draws, Position};
use super::line::Line;
use super::takings::Memory;
use super::transaction::{Failure, begin};

impl<E: Engine, N: Now> Instance<E, N> {
    /// Sends it and reads its answers. What is drawn once is drawn already. Gives the instant of the last answer.
    pub(super) async fn pipeline(
        &self,
        transaction: TransactionId,
        kind: &Transaction,
        line: &mut Line<'_, E::Session, N>,
        position: Position,
        memory: &mut Memory,
        reply: &mut Reply,
    ) -> Result<Stamp, Failure> {
        self.queue(transaction, kind, line, position, memory).map_err(Failure::before_commit)?;
        let result = line.sync(&mut memory.frame, reply).await;
        self.record_answers(line, memory, reply);
        match result {
            Ok(()) => {
                self.recorder.borrow_mut().pipelined(transaction, reply);
                Ok(reply.done_at)
            }
            Err(error) => {
                self.note_deadlock(transaction, failed_statement(line.answered()), line.backend(), &error);
                let may_have_committed = self.may_have_committed(kind, line, &error);
                self.roll_back(line, &error).await;
                Err(Failure { error, may_have_committed })
            }
        }
    }

    fn queue(
        &self,
        transaction: TransactionId,
        kind: &Transaction,
        line: &mut Line<'_, E::Session, N>,
        position: Position,
        memory: &mut Memory,
    ) -> Result<(), ExecError> {
        if kind.explicit {
            line.queue_control(Control::Begin(begin(transaction, kind)))?;
        }
        let mut occurrence = 0;
        for (index, step) in kind.steps().iter().enumerate() {
            for _ in 0..Draws::times(step, index, position) {
                self.draws.fill_each(transaction, position, occurrence, &mut memory.frame);
                occurrence += 1;
                line.queue(step.statement, &memory.frame)?;
            }
        }
        if kind.explicit {
            line.queue_control(Control::Commit)?;
        }
        Ok(())
    }

    /// Counts each statement, and holds back what outlives the transaction.
    pub(super) fn record_answers(&self, line: &Line<'_, E::Session, N>, memory: &mut Memory, reply: &Reply) {
        let mut recorder = self.recorder.borrow_mut();
        let mut before = reply.sent_at;
        for answered in line.answered() {
            recorder.answered(line.backend(), before, answered);
            if let Queued::Statement(id) = answered.request
                && answered.outcome == QueuedOutcome::Done
                && answered.rows > 0
            {
                memory.take(&self.workload.statements[id.index()].kept);
            }
            if answered.outcome != QueuedOutcome::Skipped {
                before = answered.done_at;
            }
        }
    }

    /// Whether the server may have committed. All of it was sent, COMMIT included; but a server that says why it ends the
    /// connection has done no more than what it answered before.
    fn may_have_committed(
        &self,
        kind: &Transaction,
        line: &Line<'_, E::Session, N>,
        error: &ExecError,
    ) -> bool {
        if error.session_survives() {
            return false;
        }
        let writes = kind.steps().iter().any(|step| {
            let statement = &self.workload.statements[step.statement.index()];
            statement.kind.writes()
        });
        if !kind.explicit && !writes {
            return false;
        }
        let commits = if kind.explicit { Queued::Control(Control::Commit) } else { Queued::Sync };
        let answered = line.answered();
        let failed = answered.iter().position(|answered| answered.outcome == QueuedOutcome::Failed);
        let commit = answered.iter().rposition(|answered| answered.request == commits);
        // Words that came without an answer to any request leave open how far the server was.
        let before_commit = failed.is_some_and(|failed| Some(failed) < commit);
        !(matches!(error, ExecError::Ended { .. }) && before_commit)
    }
}

/// The first statement of a pipeline that failed.
pub(super) fn failed_statement(answered: &[Answered]) -> Option<StatementId> {
    answered.iter().find(|answered| answered.outcome == QueuedOutcome::Failed).and_then(|answered| {
        match answered.request {
            Queued::Statement(id) => Some(id),
            _ => None,
        }
    })
}
