//! One try of a pgbench script: its commands, on the same stamps and records as the steps of a workload.
//!
//! The connection belongs to the script from its first command to its last, `\sleep` included, as pgbench's client never
//! gives its own away. What fails ends the try: an SQL command with its SQLSTATE, a meta command with a code of dbdyno's
//! own. A transaction that is open then is rolled back, and the client goes on with its next script; pgbench gives the
//! client up.

use crate::db::{Control, Engine, ExecError, Reply, Session};
use crate::generate::Stream;
use crate::sql::values::Slot;
use crate::time::Now;
use crate::units::{Protocol, SlotId, Stamp, StatementId, TransactionId};
use crate::workload::pgbench::{Fault, Operation, Scope, Script, Variables};

use super::client::Instance;
use super::draws::Position;
use super::takings::Memory;
use super::transaction::{Failure, isolation_level};

/// The code of a meta command that failed: a division by zero, a variable that nothing has set.
const META_COMMAND: &str = "meta_command";
/// The code of a script that ends inside a transaction.
const OPEN_TRANSACTION: &str = "open_transaction";

/// How far a try has come.
struct Progress {
    draws: Stream,
    reply: Reply,
    /// Between a `BEGIN` and a `COMMIT` of the script.
    in_transaction: bool,
    /// The last answer, or the end of the last sleep.
    finished_at: Stamp,
}

impl<E: Engine, N: Now> Instance<E, N> {
    /// One try with a connection in hand. Gives the instant at which it was over.
    pub(super) async fn play(
        &self,
        transaction: TransactionId,
        script: &Script,
        session: &mut E::Session,
        position: Position,
        memory: &mut Memory,
    ) -> Result<Stamp, Failure> {
        // For what is sent, and behind it for what comes.
        memory.frame.reset(2 * self.workload.variables.len());
        let mut progress = Progress {
            draws: position.of_script(),
            reply: Reply::default(),
            in_transaction: false,
            finished_at: self.timer.now(),
        };
        let mut played = self.operations(transaction, script, session, memory, &mut progress).await;
        if played.is_ok() && session.in_transaction() {
            let message = "the script ended inside a transaction: it was rolled back".to_owned();
            played = Err(Failure::before_commit(ExecError::Client { code: OPEN_TRANSACTION, message }));
        }
        if let Err(failure) = played {
            if failure.error.session_survives() && session.in_transaction() {
                // The error that is reported is the first one; a session that cannot roll back is not usable again.
                let _ = session.control(Control::Rollback, &mut progress.reply).await;
            }
            return Err(failure);
        }
        Ok(progress.finished_at)
    }

    async fn operations(
        &self,
        transaction: TransactionId,
        script: &Script,
        session: &mut E::Session,
        memory: &mut Memory,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut at = 0;
        while let Some(operation) = script.operations.get(at) {
            at += 1;
            match operation {
                Operation::Set { variable, expression } => {
                    let mut scope = progress.scope(&memory.variables);
                    let value = expression.evaluate(&mut scope).map_err(meta_command)?;
                    memory.variables.set(*variable, value);
                }
                Operation::JumpUnless { condition, to } => {
                    let mut scope = progress.scope(&memory.variables);
                    if !condition.evaluate(&mut scope).map_err(meta_command)?.truth() {
                        at = *to;
                    }
                }
                Operation::Jump { to } => at = *to,
                Operation::Sleep(sleep) => {
                    let length = sleep.length(&memory.variables).map_err(meta_command)?;
                    self.timer.sleep(length).await;
                    progress.finished_at = self.timer.now();
                }
                Operation::Begin { isolation, .. } => {
                    let begin = Control::Begin(isolation.map(isolation_level));
                    session.control(begin, &mut progress.reply).await.map_err(Failure::before_commit)?;
                    progress.in_transaction = true;
                    self.controlled(transaction, false, progress);
                }
                Operation::Commit { .. } => {
                    let committed = session.control(Control::Commit, &mut progress.reply).await;
                    committed.map_err(Failure::at_commit)?;
                    progress.in_transaction = false;
                    self.controlled(transaction, true, progress);
                }
                Operation::Execute { statement, commits, takes } => {
                    let executed = self.execute(*statement, session, memory, progress).await;
                    executed.map_err(|error| {
                        // Outside a transaction it commits itself: a lost answer leaves open whether it did.
                        if *commits && !progress.in_transaction {
                            Failure::at_commit(error)
                        } else {
                            Failure::before_commit(error)
                        }
                    })?;
                    if *takes {
                        self.take(*statement, memory);
                    }
                }
                Operation::StartPipeline | Operation::SyncPipeline | Operation::EndPipeline => {}
            }
        }
        Ok(())
    }

    async fn execute(
        &self,
        statement: StatementId,
        session: &mut E::Session,
        memory: &mut Memory,
        progress: &mut Progress,
    ) -> Result<(), ExecError> {
        let sent = &self.workload.statements[statement.index()];
        for slot in &sent.inputs {
            let value = memory.variables.sent(*slot, self.protocol(), &mut memory.frame.arena);
            memory.frame.slots[slot.index()] = value;
        }
        // A column that is not there leaves its slot, and so its variable, as it is.
        for output in &sent.outputs {
            memory.frame.slots[output.slot.index()] = Slot::Null;
        }
        let result = session.execute(statement, &mut memory.frame, &mut progress.reply).await;
        let reply = &progress.reply;
        self.recorder.borrow_mut().executed(statement, session.backend(), reply, result.is_ok());
        progress.finished_at = reply.done_at;
        result
    }

    fn protocol(&self) -> Protocol {
        self.workload.protocol.unwrap_or_default()
    }

    /// What the statement returned becomes variables.
    fn take(&self, statement: StatementId, memory: &mut Memory) {
        for output in &self.workload.statements[statement.index()].outputs {
            let value = memory.frame.slots[output.slot.index()];
            let variable = SlotId::from_index(output.slot.index() - self.workload.variables.len());
            memory.variables.take(variable, value, &memory.frame.arena);
        }
    }

    fn controlled(&self, transaction: TransactionId, commit: bool, progress: &mut Progress) {
        progress.finished_at = progress.reply.done_at;
        self.recorder.borrow_mut().controlled(transaction, commit, &progress.reply);
    }
}

impl Progress {
    fn scope<'a>(&'a mut self, variables: &'a Variables) -> Scope<'a> {
        Scope { variables, draws: &mut self.draws }
    }
}

fn meta_command(fault: Fault) -> Failure {
    Failure::before_commit(ExecError::Client { code: META_COMMAND, message: fault.to_string() })
}
