//! Connections. The engine is matched here once: everything above speaks [`Session`] and [`Engine`].
//!
//! Two kinds of connection lead to one server. The *measured* one is a lean [`Session`] that executes statements by their
//! index, takes the stamps and allocates nothing. The *other* one (probes, loading, DDL) is a full client.

mod abandoned;
mod any;
mod buffer;
pub mod error;
pub mod mysql;
mod percent;
pub mod postgres;
pub mod redact;
mod returned;
pub mod secret;
pub mod sim;
mod stream;
mod target;
mod template;
mod tls;

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::sql::values::Frame;
use crate::units::{BackendId, SlotId, Stamp, StatementId};

pub use crate::sql::named::Place;
pub use crate::time::Now;
pub use crate::units::Protocol;
pub use any::{AnyEngine, AnySession};
pub use error::{ConnectError, ExecError};
pub use target::{Client, PostgresOnly, Target, TargetError};

/// A statement as a session must know it, whatever workload it comes from.
#[derive(Clone, Debug)]
pub struct StatementPlan {
    /// The text, with `$1`, `$2`, … for the parameters.
    pub sql: String,
    /// How many rows it must give.
    pub rows: RowsExpected,
    /// The slot of `$1`, `$2`, …
    pub inputs: Vec<SlotId>,
    /// Result columns to decode into slots, by name.
    pub outputs: Vec<(String, SlotId)>,
    /// Where `$1`, `$2`, … stand in `sql`, in the order of the text.
    pub places: Vec<Place>,
    /// How values get into the text where it is sent as a whole.
    pub substitution: Substitution,
}

/// What stands in the place of a parameter in [`Protocol::Simple`]; in the others values travel apart from the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Substitution {
    /// A literal of the parameter's type, quoted so that no value can be anything else.
    #[default]
    Literal,
    /// The value's text as it is, NULL as `NULL`. Nothing is asked of the server before the first execution, so that the text
    /// may hold several statements, and such as cannot be prepared. Promised rows are those of the last statement.
    ///
    /// In every protocol outputs come as integers or texts, NULL as an empty one, as far as there are columns of their names;
    /// others keep their values. They are of the last row: that of the last statement where rows are promised, else those of
    /// each.
    Raw,
}

/// How many rows a statement must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsExpected {
    /// Exactly one: another number is the outcome `no_row` or `many_rows`.
    One,
    /// None or one.
    Optional,
    /// Any number.
    Any,
}

impl RowsExpected {
    /// Whether `rows` rows keep the promise.
    pub fn check(self, rows: u64) -> Result<(), ExecError> {
        let (promised, got) = match (self, rows) {
            (Self::Any, _) | (_, 1) | (Self::Optional, 0) => return Ok(()),
            (Self::One, 0) => ("exactly one row", "no row"),
            (Self::One, _) => ("exactly one row", "more than one row"),
            (Self::Optional, _) => ("at most one row", "more than one row"),
        };
        Err(ExecError::Rows { promised, got })
    }
}

/// What a session is asked for besides statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Begin a transaction.
    Begin(Begin),
    /// Commit.
    Commit,
    /// Roll back.
    Rollback,
    /// Publish the statistics that this connection holds back, where the server can be asked to.
    FlushStatistics,
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// The server's default when absent.
    pub isolation: Option<IsolationLevel>,
    /// Changes nothing.
    pub read_only: bool,
    /// Waits at its begin until it can neither fail nor make others fail. For serializable, read-only transactions.
    pub deferrable: bool,
    /// What is set for it: an index into [`SessionOptions::settings`].
    pub settings: Option<usize>,
}

/// How the sessions of an engine talk to the server.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// How statements and their values travel.
    pub protocol: Protocol,
    /// The server ends a statement that takes longer, with SQLSTATE 57014. Whole milliseconds.
    pub statement_timeout: Option<Duration>,
    /// Lists of settings, name and value, that a transaction can have.
    pub settings: Arc<[Vec<(String, String)>]>,
}

impl From<Protocol> for SessionOptions {
    fn from(protocol: Protocol) -> Self {
        Self { protocol, ..Self::default() }
    }
}

/// A request of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// A statement.
    Statement(StatementId),
    /// BEGIN, COMMIT, ROLLBACK, with what is set.
    Control(Control),
    /// What the session itself has put in front.
    Setting,
    /// The end of a part: an error skips what stands before it, and without BEGIN the part commits here.
    Sync,
}

/// What became of a request of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The request.
    pub request: Queued,
    /// How it went.
    pub outcome: QueuedOutcome,
    /// Rows of a statement, returned or changed.
    pub rows: u64,
    /// When its answer was complete.
    pub done_at: Stamp,
}

/// How a request of a pipeline went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuedOutcome {
    /// As it should.
    Done,
    /// By an error, or it gave another number of rows than promised.
    Failed,
    /// Not at all: an earlier one failed, or the connection ended before.
    Skipped,
}

/// SQL's isolation levels, as far as servers tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// `READ COMMITTED`
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SERIALIZABLE`
    Serializable,
}

/// What an execution gave, on the session's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The request was handed to the operating system, or began to be.
    pub sent_at: Stamp,
    /// The first row arrived; absent when there was none.
    pub first_row_at: Option<Stamp>,
    /// The server was ready for the next request.
    pub done_at: Stamp,
    /// Rows returned, or changed where none are returned.
    pub rows: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Whether no index led to the rows of a table; false where the server does not say so with its answer (PostgreSQL).
    pub no_index: bool,
}

/// One measured connection that knows all statements of the workload.
///
/// A future that is dropped midway leaves the session poisoned: [`Session::usable`] is then false, and the pool throws it
/// away.
pub trait Session: Send + 'static {
    /// Executes the statement with the frame's values, decodes its outputs into the frame, drains every row.
    ///
    /// `reply` is filled as far as things went, also on an error.
    fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> impl Future<Output = Result<(), ExecError>> + Send;

    /// Begins, commits, rolls back, flushes. On PostgreSQL a COMMIT of a failed transaction answers ROLLBACK: that is an
    /// error here.
    fn control(
        &mut self,
        what: Control,
        reply: &mut Reply,
    ) -> impl Future<Output = Result<(), ExecError>> + Send;

    /// Puts a statement with the frame's values to the requests of a pipeline. Nothing is sent. On an error the pipeline is
    /// forgotten.
    fn queue(&mut self, _statement: StatementId, _frame: &Frame) -> Result<(), ExecError> {
        Err(no_pipelines())
    }

    /// Puts BEGIN, COMMIT or ROLLBACK to the requests of a pipeline. Nothing is sent.
    fn queue_control(&mut self, _what: Control) -> Result<(), ExecError> {
        Err(no_pipelines())
    }

    /// Puts the end of a part to the requests of a pipeline. Nothing is sent.
    fn queue_sync(&mut self) {}

    /// Sends what was queued and the end behind it, reads all answers, decodes outputs into the frame. The reply is that of
    /// the whole. Gives the first error; [`Session::answered`] says whose it was.
    fn sync(
        &mut self,
        _frame: &mut Frame,
        _reply: &mut Reply,
    ) -> impl Future<Output = Result<(), ExecError>> + Send {
        std::future::ready(Err(no_pipelines()))
    }

    /// The requests of the last pipeline in their order, and what became of each.
    fn answered(&self) -> &[Answered] {
        &[]
    }

    /// The server's number for this connection.
    fn backend(&self) -> BackendId;

    /// Whether a transaction is open, be it good or failed.
    fn in_transaction(&self) -> bool;

    /// Whether the next user can have it: connected, nothing half sent or half read, no transaction open.
    fn usable(&self) -> bool;

    /// A second handle of its socket, by which the connection can be ended while the session is in use; nothing where there is no
    /// socket.
    fn socket(&self) -> Option<OwnedFd> {
        None
    }
}

fn no_pipelines() -> ExecError {
    ExecError::Value("pipelines are not supported with this server".to_owned())
}

/// Makes measured connections to one target.
pub trait Engine: Clone + Send + Sync + 'static {
    /// What it makes.
    type Session: Session;

    /// Connects, authenticates, and learns what every statement takes and gives.
    fn connect(
        &self,
        statements: Arc<[StatementPlan]>,
    ) -> impl Future<Output = Result<Self::Session, ConnectError>> + Send;

    /// Executions of a statement after which a connection keeps to one kind of plan for it, because the server tries several at
    /// first; zero where it does not.
    fn plan_settles_after(&self) -> u8 {
        0
    }

    /// Asks the server to end the requests that dropped sessions left unanswered. That it does is not waited for.
    fn cancel_abandoned(&self) -> impl Future<Output = ()> + Send;
}
