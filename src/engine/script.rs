//! One try of a pgbench script: its commands, on the same stamps and records as the steps of a workload.
//!
//! The connection belongs to the script from its first command to its last, `\sleep` included, as pgbench's client never
//! gives its own away. What fails ends the try: an SQL command with its SQLSTATE, a meta command with a code of dbdyno's
//! own. A transaction that is open then is rolled back, and the client goes on with its next script; pgbench gives the
//! client up.

use crate::db::{Begin, Control, Engine, ExecError, Reply};
use crate::generate::Stream;
use crate::sql::values::Slot;
use crate::time::Now;
use crate::units::{Protocol, SlotId, Stamp, StatementId, TransactionId};
use crate::workload::pgbench::{Effect, Fault, Operation, Scope, Script, Variables};

use super::client::Instance;
use super::draws::Position;
use super::line::Line;
use super::pipeline::failed_statement;
use super::takings::Memory;
use super::transaction::{Failure, isolation_level};

/// The code of a meta command that failed: a division by zero, a variable that nothing has set.
const META_COMMAND: &str = "meta_command";
/// The code of a script that ends inside a transaction.
const OPEN_TRANSACTION: &str = "open_transaction";
/// The code of a command that cannot stand inside a pipeline, or only there, and of a script that ends inside one.
const PIPELINE: &str = "pipeline";

/// How far a try has come.
struct Progress {
    draws: Stream,
    reply: Reply,
    pipeline: Option<OpenPipeline>,
    /// The last answer, or the end of the last sleep.
    finished_at: Stamp,
}

/// A pipeline whose requests wait to be sent.
#[derive(Clone, Copy)]
struct OpenPipeline {
    /// Whether a transaction is open behind what was queued, as far as is known for certain.
    in_transaction: bool,
    /// Whether any of them may commit something.
    commits: bool,
}

impl<E: Engine, N: Now> Instance<E, N> {
    /// One try with a connection in hand. Gives the instant at which it was over.
    pub(super) async fn play(
        &self,
        transaction: TransactionId,
        script: &Script,
        line: &mut Line<'_, E::Session, N>,
        position: Position,
        memory: &mut Memory,
    ) -> Result<Stamp, Failure> {
        // For what is sent, and behind it for what comes.
        memory.frame.reset(2 * self.workload.variables.len());
        let mut progress = Progress {
            draws: position.of_script(),
            reply: Reply::default(),
            pipeline: None,
            finished_at: self.timer.now(),
        };
        let mut played = self.operations(transaction, script, line, memory, &mut progress).await;
        if played.is_ok() {
            played = ended(&progress, line.in_transaction());
        }
        self.show_variables(transaction, position, memory);
        if let Err(failure) = played {
            let is_open = line.in_transaction() || progress.pipeline.is_some();
            if failure.error.session_survives() && is_open {
                // It also makes the session forget what was not sent. The error that is reported is the first one; a session
                // that cannot roll back is not usable again.
                let _ = line.control(Control::Rollback, &mut progress.reply).await;
            }
            return Err(failure);
        }
        Ok(progress.finished_at)
    }

    async fn operations(
        &self,
        transaction: TransactionId,
        script: &Script,
        line: &mut Line<'_, E::Session, N>,
        memory: &mut Memory,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut at = 0;
        while let Some(operation) = script.operations.get(at) {
            at += 1;
            match operation {
                Operation::Set { variable, expression } => {
                    let mut scope = progress.scope(&memory.variables);
                    let value = expression.evaluate(&mut scope).map_err(|fault| meta_command(&fault))?;
                    memory.variables.set(*variable, value);
                }
                Operation::JumpUnless { condition, to } => {
                    let mut scope = progress.scope(&memory.variables);
                    if !condition.evaluate(&mut scope).map_err(|fault| meta_command(&fault))?.truth() {
                        at = *to;
                    }
                }
                Operation::Jump { to } => at = *to,
                Operation::Sleep(sleep) => {
                    let length = sleep.length(&memory.variables).map_err(|fault| meta_command(&fault))?;
                    self.timer.sleep(length).await;
                    progress.finished_at = self.timer.now();
                }
                Operation::Begin { isolation } => {
                    let isolation = isolation.map(isolation_level);
                    let begin = Control::Begin(Begin { isolation, ..Begin::default() });
                    self.control(transaction, begin, line, progress).await?;
                }
                Operation::Commit => self.control(transaction, Control::Commit, line, progress).await?,
                Operation::Execute { statement, effect, takes } => {
                    let kind = (*effect, *takes);
                    self.execute(transaction, *statement, kind, line, memory, progress).await?;
                }
                Operation::StartPipeline if progress.pipeline.is_some() => {
                    return Err(in_pipeline("a pipeline is open already"));
                }
                Operation::StartPipeline => {
                    let in_transaction = line.in_transaction();
                    progress.pipeline = Some(OpenPipeline { in_transaction, commits: false });
                }
                Operation::SyncPipeline | Operation::EndPipeline if progress.pipeline.is_none() => {
                    return Err(in_pipeline("no pipeline is open"));
                }
                Operation::SyncPipeline => line.queue_sync(),
                Operation::EndPipeline => self.end_pipeline(transaction, line, memory, progress).await?,
            }
        }
        Ok(())
    }

    /// BEGIN and COMMIT: at once, or with the pipeline.
    async fn control(
        &self,
        transaction: TransactionId,
        what: Control,
        line: &mut Line<'_, E::Session, N>,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let commits = what == Control::Commit;
        if let Some(pipeline) = &mut progress.pipeline {
            pipeline.commits |= commits;
            pipeline.in_transaction = !commits;
            line.queue_control(what).map_err(Failure::before_commit)?;
        } else {
            let done = line.control(what, &mut progress.reply).await;
            if let Err(error) = &done {
                self.note_deadlock(transaction, None, line.backend(), error);
            }
            done.map_err(if commits { Failure::at_commit } else { Failure::before_commit })?;
            progress.finished_at = progress.reply.done_at;
            self.recorder.borrow_mut().controlled(transaction, commits, &progress.reply);
        }
        Ok(())
    }

    async fn execute(
        &self,
        transaction: TransactionId,
        statement: StatementId,
        (effect, takes): (Effect, bool),
        line: &mut Line<'_, E::Session, N>,
        memory: &mut Memory,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let sent = &self.workload.statements[statement.index()];
        let protocol = self.workload.protocol.unwrap_or(Protocol::Simple);
        for slot in &sent.inputs {
            let value = memory.variables.sent(*slot, protocol, &mut memory.frame.arena);
            memory.frame.slots[slot.index()] = value;
        }
        if let Some(pipeline) = &mut progress.pipeline {
            if takes {
                return Err(in_pipeline("\\gset and \\aset cannot keep what a pipeline brings"));
            }
            pipeline.commits |= effect.may_commit(pipeline.in_transaction);
            pipeline.in_transaction &= !matches!(effect, Effect::Commits | Effect::RollsBack);
            return line.queue(statement, &memory.frame).map_err(Failure::before_commit);
        }
        let commits = effect.may_commit(line.in_transaction());
        // A column that is not there leaves its slot, and so its variable, as it is.
        for output in &sent.outputs {
            memory.frame.slots[output.slot.index()] = Slot::Null;
        }
        let result = line.execute(statement, &mut memory.frame, &mut progress.reply).await;
        let reply = &progress.reply;
        self.recorder.borrow_mut().executed(statement, line.backend(), reply, result.is_ok());
        progress.finished_at = reply.done_at;
        if let Err(error) = &result {
            self.note_deadlock(transaction, Some(statement), line.backend(), error);
        }
        result.map_err(if commits { Failure::at_commit } else { Failure::before_commit })?;
        if takes {
            self.take(statement, memory);
        }
        Ok(())
    }

    /// Sends what was queued, and waits for all of its answers.
    async fn end_pipeline(
        &self,
        transaction: TransactionId,
        line: &mut Line<'_, E::Session, N>,
        memory: &mut Memory,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let commits = progress.pipeline.take().is_some_and(|pipeline| pipeline.commits);
        let result = line.sync(&mut memory.frame, &mut progress.reply).await;
        self.record_answers(line, memory, &progress.reply);
        progress.finished_at = progress.reply.done_at;
        if let Err(error) = &result {
            self.note_deadlock(transaction, failed_statement(line.answered()), line.backend(), error);
        }
        result.map_err(if commits { Failure::at_commit } else { Failure::before_commit })?;
        self.recorder.borrow_mut().pipelined(transaction, &progress.reply);
        Ok(())
    }

    /// Puts what the script's variables hold in the end where a sample of it looks for them, sent or not.
    fn show_variables(&self, transaction: TransactionId, position: Position, memory: &mut Memory) {
        let sampling = self.sampling.iter().filter(|sampling| sampling.takes(position));
        for slot in sampling.flat_map(|sampling| sampling.slots(transaction)) {
            // Not in the simple protocol: what nothing has set is nothing.
            let value = memory.variables.sent(slot, Protocol::Prepared, &mut memory.frame.arena);
            memory.frame.slots[slot.index()] = value;
        }
    }

    /// What the statement returned becomes variables.
    fn take(&self, statement: StatementId, memory: &mut Memory) {
        for output in &self.workload.statements[statement.index()].outputs {
            let value = memory.frame.slots[output.slot.index()];
            let variable = SlotId::from_index(output.slot.index() - self.workload.variables.len());
            memory.variables.take(variable, value, &memory.frame.arena);
        }
    }
}

impl Progress {
    fn scope<'a>(&'a mut self, variables: &'a Variables) -> Scope<'a> {
        Scope { variables, draws: &mut self.draws }
    }
}

/// Whether a script may end here.
fn ended(progress: &Progress, in_transaction: bool) -> Result<(), Failure> {
    if progress.pipeline.is_some() {
        return Err(in_pipeline("the script ended inside a pipeline: it was not sent"));
    }
    if in_transaction {
        let message = "the script ended inside a transaction: it was rolled back".to_owned();
        return Err(Failure::before_commit(ExecError::Client { code: OPEN_TRANSACTION, message }));
    }
    Ok(())
}

fn in_pipeline(message: &str) -> Failure {
    Failure::before_commit(ExecError::Client { code: PIPELINE, message: message.to_owned() })
}

fn meta_command(fault: &Fault) -> Failure {
    Failure::before_commit(ExecError::Client { code: META_COMMAND, message: fault.to_string() })
}
