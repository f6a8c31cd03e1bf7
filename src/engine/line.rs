//! The way between a client and its server: a session, and the round-trip delay that is added to each of its requests.
//!
//! Half of the delay passes before the request is sent and half after its answer is there, so that a connection is held, and
//! the locks of its transaction are, as long as they would be over such a network.

use std::time::Duration;

use crate::db::{Answered, Control, ExecError, Reply, Session};
use crate::sql::values::Frame;
use crate::time::{Now, Timer};
use crate::units::{BackendId, Stamp, StatementId};

/// A session at the end of a line. It has the methods of a session.
pub(super) struct Line<'a, S, N> {
    session: &'a mut S,
    timer: &'a Timer<N>,
    /// What is added to each round trip.
    rtt: Duration,
}

impl<'a, S: Session, N: Now> Line<'a, S, N> {
    pub(super) fn new(session: &'a mut S, timer: &'a Timer<N>, rtt: Duration) -> Self {
        Self { session, timer, rtt }
    }

    pub(super) async fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> Result<(), ExecError> {
        if self.rtt.is_zero() {
            return self.session.execute(statement, frame, reply).await;
        }
        let sent_at = self.there().await;
        let result = self.session.execute(statement, frame, reply).await;
        self.back(sent_at, reply).await;
        result
    }

    pub(super) async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        if self.rtt.is_zero() {
            return self.session.control(what, reply).await;
        }
        let sent_at = self.there().await;
        let result = self.session.control(what, reply).await;
        self.back(sent_at, reply).await;
        result
    }

    pub(super) fn queue(&mut self, statement: StatementId, frame: &Frame) -> Result<(), ExecError> {
        self.session.queue(statement, frame)
    }

    pub(super) fn queue_control(&mut self, what: Control) -> Result<(), ExecError> {
        self.session.queue_control(what)
    }

    pub(super) fn queue_sync(&mut self) {
        self.session.queue_sync();
    }

    /// One round trip for all that was queued.
    pub(super) async fn sync(&mut self, frame: &mut Frame, reply: &mut Reply) -> Result<(), ExecError> {
        if self.rtt.is_zero() {
            return self.session.sync(frame, reply).await;
        }
        let sent_at = self.there().await;
        let result = self.session.sync(frame, reply).await;
        self.back(sent_at, reply).await;
        result
    }

    pub(super) fn answered(&self) -> &[Answered] {
        self.session.answered()
    }

    pub(super) fn backend(&self) -> BackendId {
        self.session.backend()
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.session.in_transaction()
    }

    /// On the way there. Gives when it was set out.
    async fn there(&self) -> Stamp {
        let sent_at = self.timer.now();
        self.timer.sleep_until(sent_at + self.rtt / 2).await;
        sent_at
    }

    /// On the way back. What the timer was late on the way there is no part of the delay.
    async fn back(&self, sent_at: Stamp, reply: &mut Reply) {
        let on_server = reply.done_at - reply.sent_at;
        self.timer.sleep_until(sent_at + self.rtt + on_server).await;
        let set_out_at = std::mem::replace(&mut reply.sent_at, sent_at);
        reply.first_row_at = reply.first_row_at.map(|at| sent_at + self.rtt + (at - set_out_at));
        reply.done_at = self.timer.now();
    }
}
