//! The lean session: one socket, statements by index in any of the three protocols, no allocation per execution.

use std::io;
use std::sync::Arc;

use super::cancel::{Abandoned, CancelKey};
use super::dial::dial;
use super::last_row::LastRow;
use super::settings::Settings;
use super::startup::{self, Started};
use super::statement::{Sink, Statement, learn_all};
use super::wire::{HELD_MAX, Head, ServerError, Wire, put};
use crate::db::error::SqlState;
use crate::db::{
    ConnectError, Control, Engine, ExecError, IsolationLevel, Now, Protocol, Reply, RowsExpected, Session,
    StatementPlan,
};
use crate::sql::values::Frame;
use crate::units::{BackendId, StatementId};

/// Makes measured connections to one PostgreSQL.
#[derive(Clone)]
pub struct PgEngine<N> {
    settings: Arc<Settings>,
    clock: N,
    protocol: Protocol,
    abandoned: Abandoned,
}

impl<N: Now> PgEngine<N> {
    /// Connections by `settings` (application name `dbdyno pool`), stamped by `clock`.
    #[must_use]
    pub fn new(settings: Arc<Settings>, clock: N, protocol: Protocol) -> Self {
        Self { settings, clock, protocol, abandoned: Abandoned::default() }
    }
}

impl<N: Now> Engine for PgEngine<N> {
    type Session = PgSession<N>;

    async fn connect(&self, statements: Arc<[StatementPlan]>) -> Result<PgSession<N>, ConnectError> {
        let settings = &*self.settings;
        let name = settings.application_name("pool");
        let started = dial(settings, |opened| startup::start(opened, settings, &name)).await?;
        let (clock, abandoned) = (self.clock.clone(), self.abandoned.clone());
        PgSession::open(started, clock, &statements, self.protocol, abandoned).await
    }

    async fn cancel_abandoned(&self) {
        self.abandoned.cancel(&self.settings).await;
    }
}

/// One measured connection.
pub struct PgSession<N> {
    wire: Wire,
    clock: N,
    /// By statement id.
    statements: Vec<Statement>,
    /// For statements whose columns are known only with their rows.
    last_row: LastRow,
    key: CancelKey,
    server_version: String,
    status: Status,
    /// A request is under way: set before the first await and cleared behind the last, so that a future that is dropped
    /// between them leaves it set.
    busy: bool,
    /// The connection ended, or the server said what cannot be understood.
    broken: bool,
    /// Told when it is dropped while a request is under way.
    abandoned: Abandoned,
}

/// What the server says of the transaction each time it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Idle,
    InTransaction,
    Failed,
}

impl<N: Now> Session for PgSession<N> {
    async fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> Result<(), ExecError> {
        self.begin(reply)?;
        let statement = &self.statements[statement.index()];
        if let Err(error) = statement.put_execution(frame, &mut self.wire.outbound) {
            // Nothing was sent, so the connection is as it was.
            self.wire.outbound.clear();
            return Err(error);
        }
        let sink = statement.sink(frame, &mut self.last_row);
        let rows = statement.rows;
        let mut exchange =
            Exchange { wire: &mut self.wire, clock: &self.clock, status: &mut self.status, reply };
        self.busy = true;
        let answer = exchange.run(sink).await;
        self.end(answer).and_then(|answer| check_rows(rows, answer.last_rows))
    }

    async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        self.begin(reply)?;
        let Some(text) = self.control_text(what) else {
            reply.done_at = reply.sent_at;
            return Ok(());
        };
        put(&mut self.wire.outbound, b'Q', |out| {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        });
        let mut exchange =
            Exchange { wire: &mut self.wire, clock: &self.clock, status: &mut self.status, reply };
        self.busy = true;
        let answer = exchange.run(Sink::Nothing).await;
        let answer = self.end(answer)?;
        if what == Control::Commit && answer.rolled_back {
            return Err(ExecError::Server {
                code: SqlState::new("25P02"),
                message: "COMMIT was answered by ROLLBACK: the transaction had failed before".to_owned(),
            });
        }
        Ok(())
    }

    fn backend(&self) -> BackendId {
        BackendId(self.key.process.into())
    }

    fn in_transaction(&self) -> bool {
        self.status != Status::Idle
    }

    fn usable(&self) -> bool {
        !self.busy && !self.broken && self.status == Status::Idle && !self.wire.has_unread()
    }
}

impl<N> PgSession<N> {
    async fn open(
        mut started: Started,
        clock: N,
        statements: &[StatementPlan],
        protocol: Protocol,
        abandoned: Abandoned,
    ) -> Result<Self, ConnectError> {
        let statements = learn_all(&mut started.wire, statements, protocol, &started.address).await?;
        Ok(Self {
            wire: started.wire,
            clock,
            statements,
            last_row: LastRow::default(),
            key: started.key,
            server_version: started.server_version,
            status: Status::Idle,
            busy: false,
            broken: false,
            abandoned,
        })
    }

    /// `server_version` as the server writes it: `16.4 (Debian 16.4-1)`.
    #[must_use]
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// The number of the release: 16 of `16.4`. Zero if the server did not say.
    #[must_use]
    pub fn major_version(&self) -> u32 {
        let digits = self.server_version.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// What is asked, in SQL; `None` where this server has no way to do it.
    fn control_text(&self, what: Control) -> Option<&'static str> {
        Some(match what {
            Control::Begin(None) => "BEGIN",
            Control::Begin(Some(IsolationLevel::ReadCommitted)) => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Control::Begin(Some(IsolationLevel::RepeatableRead)) => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Control::Begin(Some(IsolationLevel::Serializable)) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Control::Commit => "COMMIT",
            Control::Rollback => "ROLLBACK",
            // 14 flushes when it sees fit.
            Control::FlushStatistics if self.major_version() < 15 => return None,
            Control::FlushStatistics => "SELECT pg_stat_force_next_flush()",
        })
    }

    fn end(&mut self, answer: Result<Answer, ExecError>) -> Result<Answer, ExecError> {
        self.busy = false;
        self.broken |= answer.as_ref().is_err_and(|error| !error.session_survives());
        answer
    }
}

impl<N: Now> PgSession<N> {
    /// Starts a reply. A session that is no more usable says so instead of sending anything.
    fn begin(&mut self, reply: &mut Reply) -> Result<(), ExecError> {
        let now = self.clock.now();
        *reply = Reply { sent_at: now, done_at: now, ..Reply::default() };
        if self.busy || self.broken {
            let gone = "the session was used after it broke or was left in the middle of a request";
            return Err(ExecError::Lost(io::Error::new(io::ErrorKind::NotConnected, gone)));
        }
        self.wire.settle();
        Ok(())
    }
}

impl<N> Drop for PgSession<N> {
    /// Tells the server, so that it need not find out; whether that succeeds matters to nobody.
    fn drop(&mut self) {
        const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];
        if !self.broken {
            self.wire.stream().try_send(&TERMINATE);
        }
        if self.busy {
            self.abandoned.add(self.key);
        }
    }
}

fn check_rows(expected: RowsExpected, rows: u64) -> Result<(), ExecError> {
    match (expected, rows) {
        (RowsExpected::Any, _) | (_, 1) | (RowsExpected::Optional, 0) => Ok(()),
        (RowsExpected::One, 0) => Err(ExecError::Rows { promised: "exactly one row", got: "no row" }),
        (RowsExpected::One, _) => {
            Err(ExecError::Rows { promised: "exactly one row", got: "more than one row" })
        }
        (RowsExpected::Optional, _) => {
            Err(ExecError::Rows { promised: "at most one row", got: "more than one row" })
        }
    }
}

/// One request and its answer.
struct Exchange<'a, N> {
    wire: &'a mut Wire,
    clock: &'a N,
    status: &'a mut Status,
    reply: &'a mut Reply,
}

/// What an answer said as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    data_rows: u64,
    /// Of them, those of the last result.
    last_rows: u64,
    /// A command ended with the tag `ROLLBACK`.
    rolled_back: bool,
}

impl<N: Now> Exchange<'_, N> {
    /// Sends what is in the buffer and reads until the server is ready again. The row that `sink` wants is decoded, all
    /// others pass by uncopied.
    async fn run(&mut self, sink: Sink<'_>) -> Result<Answer, ExecError> {
        self.reply.sent_at = self.clock.now();
        let answer = match self.wire.send().await {
            Ok(()) => self.read_answer(sink).await,
            Err(error) => Err(self.last_words(error).await),
        };
        self.reply.done_at = self.clock.now();
        answer
    }

    async fn read_answer(&mut self, mut sink: Sink<'_>) -> Result<Answer, ExecError> {
        let mut answer = Answer::default();
        let mut rows_of_result = 0;
        let mut changed_rows = 0;
        let mut failed = None;
        loop {
            let head = self.wire.head().await.map_err(broken)?;
            self.reply.bytes += head.total();
            match head.tag {
                b'D' => {
                    if answer.data_rows == 0 {
                        self.reply.first_row_at = Some(self.clock.now());
                    }
                    answer.data_rows += 1;
                    rows_of_result += 1;
                    self.reply.rows = answer.data_rows;
                    if matches!(sink, Sink::Nothing) {
                        self.wire.skip(head).await.map_err(broken)?;
                    } else if let Some(error) = self.read_row(head, &mut sink).await? {
                        failed = Some(error);
                    }
                }
                // Only where no columns were described before.
                b'T' => {
                    let body = self.wire.body(head).await.map_err(broken)?;
                    if let Sink::Last(last) = &mut sink {
                        last.row.describe(body, last.wanted)?;
                    }
                }
                b'C' => {
                    answer.last_rows = std::mem::take(&mut rows_of_result);
                    if let Sink::Last(last) = &mut sink {
                        if answer.last_rows == 0 {
                            last.row.begin();
                        } else if last.of_each
                            && let Err(error) = last.row.decode(last.frame)
                        {
                            failed.get_or_insert(error);
                        }
                    }
                    let tag = self.wire.body(head).await.map_err(broken)?;
                    changed_rows += rows_of_tag(tag);
                    answer.rolled_back |= tag.starts_with(b"ROLLBACK");
                }
                b'Z' => {
                    *self.status = read_status(self.wire.body(head).await.map_err(broken)?)?;
                    break;
                }
                b'E' => {
                    let ServerError { fatal, code, message } =
                        ServerError::parse(self.wire.body(head).await.map_err(broken)?);
                    if fatal {
                        return Err(ExecError::Ended { code, message });
                    }
                    failed = Some(ExecError::Server { code, message });
                }
                // Parsed, bound, described, empty or suspended; a COPY to us, which is drained; notices, parameters, notifications.
                b'1' | b'2' | b'n' | b'I' | b's' | b'H' | b'd' | b'c' | b'N' | b'S' | b'A' => {
                    self.wire.skip(head).await.map_err(broken)?;
                }
                other => return Err(ExecError::Protocol(format!("message {:?}", char::from(other)))),
            }
        }
        if answer.data_rows == 0 {
            self.reply.rows = changed_rows;
        }
        if let Sink::Last(last) = &mut sink
            && failed.is_none()
        {
            last.row.decode(last.frame)?;
        }
        failed.map_or(Ok(answer), Err)
    }

    /// Takes a row that may be wanted. An error inside is one of the value: the answer is read on to its end.
    async fn read_row(&mut self, head: Head, sink: &mut Sink<'_>) -> Result<Option<ExecError>, ExecError> {
        if head.len > HELD_MAX {
            self.wire.skip(head).await.map_err(broken)?;
            let message = format!("a row of {} MiB is too large to read values from", head.len >> 20);
            return Ok(Some(ExecError::Value(message)));
        }
        let body = self.wire.body(head).await.map_err(broken)?;
        match sink {
            Sink::Nothing => {}
            Sink::First(statement, frame) => {
                let decoded = statement.decode_row(body, frame);
                *sink = Sink::Nothing;
                if let Err(error) = decoded {
                    return if error.session_survives() { Ok(Some(error)) } else { Err(error) };
                }
            }
            Sink::Last(last) => last.row.keep(body),
        }
        Ok(None)
    }

    /// A server that ends a connection says why before it closes it, and that stays readable after a failed write.
    async fn last_words(&mut self, error: io::Error) -> ExecError {
        while let Ok(head) = self.wire.head().await {
            match self.wire.body(head).await.map(ServerError::parse) {
                Ok(ServerError { fatal: true, code, message }) if head.tag == b'E' => {
                    return ExecError::Ended { code, message };
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        ExecError::Lost(error)
    }
}

fn broken(error: io::Error) -> ExecError {
    if error.kind() == io::ErrorKind::InvalidData {
        return ExecError::Protocol(error.to_string());
    }
    ExecError::Lost(error)
}

fn read_status(body: &[u8]) -> Result<Status, ExecError> {
    match body {
        [b'I'] => Ok(Status::Idle),
        [b'T'] => Ok(Status::InTransaction),
        [b'E'] => Ok(Status::Failed),
        _ => Err(ExecError::Protocol("an unknown transaction status".to_owned())),
    }
}

/// The number at the end of a command's tag: `UPDATE 3`, `INSERT 0 1`, none in `BEGIN`.
fn rows_of_tag(tag: &[u8]) -> u64 {
    let tag = tag.strip_suffix(&[0]).unwrap_or(tag);
    let digits = tag.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    parsed.unwrap_or(0)
}

#[cfg(test)]
mod tests;
