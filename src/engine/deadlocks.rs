//! Writes down what a client is told when a deadlock is broken at its cost. Off the path of what goes well.

use crate::db::error::DeadlockWait;
use crate::db::{Engine, ExecError};
use crate::record::deadlock::{CircularWait, Deadlock};
use crate::time::Now;
use crate::units::{BackendId, StatementId, TransactionId};

use super::client::Instance;

impl<E: Engine, N: Now> Instance<E, N> {
    /// Keeps `error` when it is a deadlock. `statement` is absent where another request failed.
    pub(super) fn note_deadlock(
        &self,
        transaction: TransactionId,
        statement: Option<StatementId>,
        backend: BackendId,
        error: &ExecError,
    ) {
        let ExecError::Deadlock { waits, .. } = error else { return };
        let waits = waits.iter().map(circular_wait).collect();
        let deadlock = Deadlock { at: self.timer.now(), backend, transaction, statement, waits };
        self.recorder.borrow_mut().set.keep_deadlock(deadlock);
    }
}

fn circular_wait(wait: &DeadlockWait) -> CircularWait {
    CircularWait {
        waiter: wait.waiter,
        mode: wait.mode.clone(),
        object: wait.object.clone(),
        blocker: wait.blocker,
    }
}
