//! The lean session: one socket, statements by index in any of the protocols, no allocation per execution.

use std::os::fd::OwnedFd;

use super::ask::COM_QUERY;
use super::control::Controls;
use super::exchange::{Answer, Exchange};
use super::failure::{broken, executing};
use super::handshake::Started;
use super::packet::{Results, status};
use super::rows::Rows;
use super::statement::{Statement, Unprepared};
use super::wire::{Wire, put};
use crate::db::abandoned::Abandoned;
use crate::db::{Control, ExecError, Now, Reply, Session};
use crate::sql::values::Frame;
use crate::units::{BackendId, StatementId};

/// Tells the server that the connection ends, which it answers by closing it.
pub(super) const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

/// One measured connection to MariaDB or MySQL.
pub struct MySqlSession<N> {
    wire: Wire,
    results: Results,
    clock: N,
    /// By statement id.
    statements: Vec<Statement>,
    controls: Controls,
    /// The list of settings that the open transaction has set, and its end must set back.
    borrowed: Option<usize>,
    id: u32,
    /// The longest packet that the server takes, in bytes.
    packet_max: usize,
    /// What the server said of the session last.
    status: u16,
    /// A request is under way: set before the first await and cleared behind the last, so that a future that is dropped
    /// between them leaves it set.
    busy: bool,
    /// The connection ended, or the server said what cannot be understood.
    broken: bool,
    /// Told when it is dropped while a request is under way.
    abandoned: Abandoned<u32>,
}

impl<N> MySqlSession<N> {
    pub(super) fn new(
        started: Started,
        statements: Vec<Statement>,
        controls: Controls,
        packet_max: usize,
        clock: N,
        abandoned: Abandoned<u32>,
    ) -> Self {
        Self {
            wire: started.wire,
            results: started.results,
            clock,
            statements,
            controls,
            borrowed: None,
            id: started.id,
            packet_max,
            status: started.status,
            busy: false,
            broken: false,
            abandoned,
        }
    }
}

impl<N: Now> MySqlSession<N> {
    /// Starts a reply. A session that is no more usable says so instead of sending anything.
    fn begin(&mut self, reply: &mut Reply) -> Result<(), ExecError> {
        *reply = Reply::default();
        if self.busy || self.broken {
            self.not_sent(reply);
            return Err(ExecError::unusable());
        }
        self.wire.settle();
        Ok(())
    }

    /// Stamps the reply to a request that was never sent; what is sent is stamped when it is.
    fn not_sent(&self, reply: &mut Reply) {
        reply.sent_at = self.clock.now();
        reply.done_at = reply.sent_at;
    }

    /// The answer is there, or there will be none.
    fn end(&mut self, answer: Result<Answer, ExecError>, reply: &mut Reply) -> Result<Answer, ExecError> {
        reply.done_at = self.clock.now();
        self.busy = false;
        self.broken |= answer.as_ref().is_err_and(|error| !error.session_survives());
        answer
    }
}

impl<N: Now> Session for MySqlSession<N> {
    async fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> Result<(), ExecError> {
        self.begin(reply)?;
        let escapes = self.status & status::NO_BACKSLASH_ESCAPES == 0;
        let statement = &mut self.statements[statement.index()];
        let written = statement
            .put_execution(frame, None, escapes, &mut self.wire.outbound)
            .and_then(|()| check_length(self.wire.outbound.len(), self.packet_max, statement.label()));
        if let Err(error) = written {
            // Nothing was sent, so the connection is as it was.
            statement.forget_types();
            self.wire.outbound.clear();
            self.not_sent(reply);
            return Err(error);
        }
        self.busy = true;
        reply.sent_at = self.clock.now();
        let answer = async {
            let prepared = statement.prepare_anew(&mut self.wire, self.results).await.map_err(unprepared)?;
            if prepared.is_some() {
                statement.put_execution(frame, prepared, escapes, &mut self.wire.outbound)?;
            }
            let mut exchange = Exchange {
                wire: &mut self.wire,
                clock: &self.clock,
                status: &mut self.status,
                reply,
                results: self.results,
            };
            exchange.send().await?;
            let (rows, sink) = statement.sink(frame);
            exchange.read(rows, sink).await
        }
        .await;
        if answer.is_err() {
            statement.forget_types();
        }
        let (rows, is_script) = (statement.rows, statement.is_script());
        let answer = self.end(answer, reply)?;
        rows.check(if is_script { answer.last_rows } else { answer.rows })
    }

    async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        self.begin(reply)?;
        let (controls, borrowed) = (&self.controls, self.borrowed);
        let written = put(&mut self.wire.outbound, 0, |out| {
            out.push(COM_QUERY);
            controls.put(what, borrowed, out)
        });
        if !matches!(written, Ok(true)) {
            self.wire.outbound.clear();
            self.not_sent(reply);
            return written.map(|_| ());
        }
        if let Control::Begin(begin) = what {
            self.borrowed = begin.settings;
        }
        self.busy = true;
        reply.sent_at = self.clock.now();
        let mut exchange = Exchange {
            wire: &mut self.wire,
            clock: &self.clock,
            status: &mut self.status,
            reply,
            results: self.results,
        };
        let answer = match exchange.send().await {
            Ok(()) => exchange.read(&mut Rows::default(), None).await,
            Err(error) => Err(error),
        };
        self.end(answer, reply)?;
        if !matches!(what, Control::Begin(_)) {
            self.borrowed = None;
        }
        Ok(())
    }

    fn backend(&self) -> BackendId {
        BackendId(self.id.into())
    }

    fn in_transaction(&self) -> bool {
        self.status & status::IN_TRANSACTION != 0
    }

    fn socket(&self) -> Option<OwnedFd> {
        self.wire.socket()
    }

    fn usable(&self) -> bool {
        !self.busy
            && !self.broken
            && !self.in_transaction()
            && self.borrowed.is_none()
            && !self.wire.has_unread()
    }
}

impl<N> Drop for MySqlSession<N> {
    /// Tells the server, so that it need not find out; whether that succeeds matters to nobody.
    fn drop(&mut self) {
        if self.busy {
            self.abandoned.add(self.id);
        } else if !self.broken {
            self.wire.stream().try_send(&QUIT);
        }
    }
}

/// What is longer makes the server close the connection.
fn check_length(len: usize, packet_max: usize, label: &str) -> Result<(), ExecError> {
    if len < packet_max {
        return Ok(());
    }
    Err(ExecError::Value(format!(
        "the values of `{label}` take {len} bytes, and the server takes less than {packet_max} (max_allowed_packet)"
    )))
}

fn unprepared(error: Unprepared) -> ExecError {
    match error {
        Unprepared::Refused(error) => executing(&error),
        Unprepared::Lost(error) => broken(error),
    }
}
