//! One measured connection to MariaDB or MySQL.

use std::io;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params};

use super::engine::Abandoned;
use super::failure;
use super::statement::Prepared;
use crate::db::{Begin, Control, ExecError, IsolationLevel, Now, Reply, Session};
use crate::sql::values::Frame;
use crate::units::{BackendId, StatementId};

/// One measured connection.
pub struct MySqlSession<N> {
    conn: Conn,
    clock: N,
    /// By statement id.
    statements: Vec<Prepared>,
    in_transaction: bool,
    /// A request is under way: set before the first await and cleared behind the last, so that a future that is dropped
    /// between them leaves it set.
    busy: bool,
    /// The connection ended, or the server said what cannot be understood.
    broken: bool,
    /// Told when it is dropped while a request is under way.
    abandoned: Abandoned,
}

impl<N: Now> MySqlSession<N> {
    pub(super) fn new(conn: Conn, statements: Vec<Prepared>, clock: N, abandoned: Abandoned) -> Self {
        Self { conn, clock, statements, in_transaction: false, busy: false, broken: false, abandoned }
    }

    fn begin(&mut self, reply: &mut Reply) -> Result<(), ExecError> {
        *reply = Reply { sent_at: self.clock.now(), ..Reply::default() };
        if self.busy || self.broken {
            reply.done_at = reply.sent_at;
            let why = io::Error::new(io::ErrorKind::NotConnected, "the connection ended before");
            return Err(ExecError::Lost(why));
        }
        Ok(())
    }

    /// The answer is there, or there will be none.
    fn end<T>(&mut self, answer: Result<T, ExecError>, reply: &mut Reply) -> Result<T, ExecError> {
        reply.done_at = self.clock.now();
        self.busy = false;
        if let Err(error) = &answer {
            self.broken |= !error.session_survives();
        }
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
        let prepared = &self.statements[statement.index()];
        let values = match prepared.values(frame) {
            Ok(values) => values,
            Err(error) => {
                reply.done_at = reply.sent_at;
                return Err(error);
            }
        };
        prepared.clear_outputs(frame);
        self.busy = true;
        let answer = exchange(&mut self.conn, &self.clock, prepared, values, frame, reply).await;
        let rows = self.end(answer, reply)?;
        self.statements[statement.index()].rows.check(rows)
    }

    async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        self.begin(reply)?;
        let text = match what {
            Control::Begin(begin) => match begin_text(begin) {
                Ok(text) => text,
                Err(error) => {
                    reply.done_at = reply.sent_at;
                    return Err(error);
                }
            },
            Control::Commit => "COMMIT",
            Control::Rollback => "ROLLBACK",
            // The server counts at once.
            Control::FlushStatistics => {
                reply.done_at = reply.sent_at;
                return Ok(());
            }
        };
        self.busy = true;
        let answer = self.conn.query_drop(text).await.map_err(failure::executing);
        self.end(answer, reply)?;
        self.in_transaction = matches!(what, Control::Begin(_));
        Ok(())
    }

    fn backend(&self) -> BackendId {
        BackendId(self.conn.id().into())
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    fn usable(&self) -> bool {
        !self.busy && !self.broken && !self.in_transaction
    }
}

impl<N> Drop for MySqlSession<N> {
    fn drop(&mut self) {
        if self.busy && !self.broken {
            self.abandoned.lock().expect("no holder of the lock panics").push(self.conn.id());
        }
    }
}

/// How a transaction begins, in one round trip: the isolation is that of the next transaction.
fn begin_text(begin: Begin) -> Result<&'static str, ExecError> {
    let Begin { isolation, read_only, deferrable, settings } = begin;
    if deferrable || settings.is_some() {
        let what = if deferrable { "a deferrable transaction" } else { "a setting for one transaction" };
        return Err(ExecError::Value(format!("{what} is not known to this server")));
    }
    Ok(match (isolation, read_only) {
        (None, false) => "START TRANSACTION",
        (None, true) => "START TRANSACTION READ ONLY",
        (Some(IsolationLevel::ReadCommitted), false) => {
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION"
        }
        (Some(IsolationLevel::ReadCommitted), true) => {
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ ONLY"
        }
        (Some(IsolationLevel::RepeatableRead), false) => {
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION"
        }
        (Some(IsolationLevel::RepeatableRead), true) => {
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION READ ONLY"
        }
        (Some(IsolationLevel::Serializable), false) => {
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION"
        }
        (Some(IsolationLevel::Serializable), true) => {
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION READ ONLY"
        }
    })
}

/// Sends one execution and drains its answer. Gives the number of rows that came.
async fn exchange<N: Now>(
    conn: &mut Conn,
    clock: &N,
    prepared: &Prepared,
    values: Vec<mysql_async::Value>,
    frame: &mut Frame,
    reply: &mut Reply,
) -> Result<u64, ExecError> {
    let parameters = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
    let mut result = conn.exec_iter(&prepared.statement, parameters).await.map_err(failure::executing)?;
    let mut rows = 0;
    let mut unread = Ok(());
    while let Some(row) = result.next().await.map_err(failure::executing)? {
        if rows == 0 {
            reply.first_row_at = Some(clock.now());
            unread = prepared.read(&row, frame);
        }
        rows += 1;
        reply.bytes += row_bytes(&row);
    }
    reply.rows = if rows == 0 { result.affected_rows() } else { rows };
    // A procedure may send more than one result.
    result.drop_result().await.map_err(failure::executing)?;
    unread.map(|()| rows)
}

/// Bytes of the values of a row, near enough to what was received.
fn row_bytes(row: &mysql_async::Row) -> u64 {
    let of = |at| row.as_ref(at).map_or(0, |value: &mysql_async::Value| value.bin_len());
    (0..row.len()).map(of).sum()
}
