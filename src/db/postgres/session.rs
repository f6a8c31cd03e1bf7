//! The lean session: one socket, statements by index in any of the three protocols, no allocation per execution.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::bind::{SYNC, put_unnamed};
use super::cancel::{CancelKey, cancel};
use super::control::Controls;
use super::dial::dial;
use super::exchange::{Exchange, Status};
use super::last_row::LastRow;
use super::pipeline::{Pipeline, Run, commit_rolled_back};
use super::settings::Settings;
use super::startup::{self, Started};
use super::statement::{Sink, Statement, learn_all};
use super::types::ask;
use super::wire::Wire;
use crate::db::abandoned::Abandoned;
use crate::db::{
    Answered, ConnectError, Control, Engine, ExecError, Now, Protocol, Queued, Reply, Session,
    SessionOptions, StatementPlan,
};
use crate::sql::values::Frame;
use crate::units::{BackendId, StatementId};

/// Makes measured connections to one PostgreSQL.
#[derive(Clone)]
pub struct PgEngine<N> {
    settings: Arc<Settings>,
    clock: N,
    options: SessionOptions,
    abandoned: Abandoned<CancelKey>,
}

impl<N: Now> PgEngine<N> {
    /// Connections by `settings` (application name `dbdyno pool`), stamped by `clock`.
    #[must_use]
    pub fn new(settings: Arc<Settings>, clock: N, options: impl Into<SessionOptions>) -> Self {
        Self { settings, clock, options: options.into(), abandoned: Abandoned::default() }
    }
}

impl<N: Now> Engine for PgEngine<N> {
    type Session = PgSession<N>;

    async fn connect(&self, statements: Arc<[StatementPlan]>) -> Result<PgSession<N>, ConnectError> {
        let settings = &*self.settings;
        let name = settings.application_name("pool");
        let started = dial(settings, |opened| startup::start(opened, settings, &name)).await?;
        let (clock, abandoned) = (self.clock.clone(), self.abandoned.clone());
        PgSession::open(started, clock, &statements, &self.options, abandoned).await
    }

    /// The first five executions are planned with their values; then the server compares what that cost with a plan for all values
    /// (`choose_custom_plan` in `plancache.c`). What is not prepared is planned with its values each time.
    fn plan_settles_after(&self) -> u8 {
        if self.options.protocol == Protocol::Prepared { 6 } else { 0 }
    }

    async fn cancel_abandoned(&self) {
        cancel(self.abandoned.take(), &self.settings).await;
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
    controls: Controls,
    /// What stands in front of a statement that is a transaction of its own, where the server forgets what is set once.
    before: Box<[u8]>,
    pipeline: Pipeline,
    key: CancelKey,
    server_version: String,
    status: Status,
    /// A request is under way: set before the first await and cleared behind the last, so that a future that is dropped
    /// between them leaves it set.
    busy: bool,
    /// The connection ended, or the server said what cannot be understood.
    broken: bool,
    /// Told when it is dropped while a request is under way.
    abandoned: Abandoned<CancelKey>,
}

impl<N: Now> Session for PgSession<N> {
    async fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> Result<(), ExecError> {
        self.begin(reply)?;
        let in_transaction = self.in_transaction();
        let results_before = if in_transaction { 0 } else { self.put_before() };
        let statement = &self.statements[statement.index()];
        if let Err(error) = statement.put_execution(frame, in_transaction, &mut self.wire.outbound) {
            // Nothing was sent, so the connection is as it was.
            self.wire.outbound.clear();
            self.not_sent(reply);
            return Err(error);
        }
        let sink = statement.sink(frame, &mut self.last_row);
        let rows = statement.rows;
        let mut exchange = Exchange {
            wire: &mut self.wire,
            clock: &self.clock,
            status: &mut self.status,
            reply,
            results_before,
        };
        self.busy = true;
        let answer = exchange.run(sink).await;
        self.end(answer).and_then(|answer| rows.check(answer.last_rows))
    }

    async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        self.begin(reply)?;
        if !self.controls.put_query(what, &mut self.wire.outbound) {
            self.not_sent(reply);
            return Ok(());
        }
        let mut exchange = Exchange {
            wire: &mut self.wire,
            clock: &self.clock,
            status: &mut self.status,
            reply,
            results_before: 0,
        };
        self.busy = true;
        let answer = exchange.run(Sink::Nothing).await;
        let answer = self.end(answer)?;
        if what == Control::Commit && answer.rolled_back {
            return Err(commit_rolled_back());
        }
        Ok(())
    }

    fn queue(&mut self, statement: StatementId, frame: &Frame) -> Result<(), ExecError> {
        self.pipeline.make_room();
        if self.pipeline.begins_part(self.in_transaction()) && self.put_before() > 0 {
            self.pipeline.push(Queued::Setting, 1);
        }
        let queued = self.statements[statement.index()].put_queued(frame, &mut self.wire.outbound);
        match queued {
            Ok(()) => self.pipeline.push(Queued::Statement(statement), 1),
            Err(_) => self.forget_queued(),
        }
        queued
    }

    fn queue_control(&mut self, what: Control) -> Result<(), ExecError> {
        self.pipeline.make_room();
        let results = self.controls.put_queued(what, &mut self.wire.outbound);
        if results > 0 {
            self.pipeline.push(Queued::Control(what), results);
        }
        Ok(())
    }

    fn queue_sync(&mut self) {
        self.pipeline.make_room();
        self.wire.outbound.extend_from_slice(&SYNC);
        self.pipeline.push(Queued::Sync, 1);
    }

    async fn sync(&mut self, frame: &mut Frame, reply: &mut Reply) -> Result<(), ExecError> {
        self.queue_sync();
        for answered in self.pipeline.answered() {
            if let Queued::Statement(id) = answered.request {
                self.statements[id.index()].clear_outputs(frame);
            }
        }
        if let Err(error) = self.begin_request(reply) {
            self.forget_queued();
            return Err(error);
        }
        let mut run = Run {
            wire: &mut self.wire,
            clock: &self.clock,
            status: &mut self.status,
            statements: &self.statements,
            pipeline: &mut self.pipeline,
        };
        self.busy = true;
        let answer = run.run(frame, reply).await;
        self.pipeline.end();
        self.end(answer)
    }

    fn answered(&self) -> &[Answered] {
        self.pipeline.answered()
    }

    fn backend(&self) -> BackendId {
        BackendId(self.key.process.into())
    }

    fn in_transaction(&self) -> bool {
        self.status != Status::Idle
    }

    fn socket(&self) -> Option<OwnedFd> {
        self.wire.socket()
    }

    fn usable(&self) -> bool {
        !self.busy
            && !self.broken
            && self.status == Status::Idle
            && !self.wire.has_unread()
            && !self.pipeline.is_waiting()
    }
}

impl<N> PgSession<N> {
    async fn open(
        mut started: Started,
        clock: N,
        statements: &[StatementPlan],
        options: &SessionOptions,
        abandoned: Abandoned<CancelKey>,
    ) -> Result<Self, ConnectError> {
        let (wire, address) = (&mut started.wire, &*started.address);
        let each = limit_statements(wire, started.key, options, address).await?;
        let protocol = options.protocol;
        // As a part of the text it is a statement more, which needs no result of its own to be skipped.
        let in_text = each.as_ref().map_or_else(String::new, |limit| format!("{}; ", limit.set_local()));
        let statements = learn_all(wire, statements, protocol, &in_text, address).await?;
        let mut before = Vec::new();
        if let Some(limit) = each.as_ref().filter(|_| protocol != Protocol::Simple) {
            put_unnamed(&[&limit.set_config()], &mut before);
        }
        let set_local = each.map(|limit| limit.set_local());
        let major_version = major_version(&started.server_version);
        Ok(Self {
            controls: Controls::new(options, set_local.as_deref(), major_version),
            before: before.into(),
            pipeline: Pipeline::default(),
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
        major_version(&self.server_version)
    }

    /// Puts what must stand in front of a transaction of one statement; gives the results that it has.
    fn put_before(&mut self) -> u32 {
        if self.before.is_empty() {
            return 0;
        }
        self.wire.outbound.extend_from_slice(&self.before);
        1
    }

    /// Nothing of it was sent, so that the connection is as it was.
    fn forget_queued(&mut self) {
        self.wire.outbound.clear();
        self.pipeline.clear();
    }

    fn end<T>(&mut self, answer: Result<T, ExecError>) -> Result<T, ExecError> {
        self.busy = false;
        self.broken |= answer.as_ref().is_err_and(|error| !error.session_survives());
        answer
    }
}

impl<N: Now> PgSession<N> {
    /// Starts a request of its own: what was queued and never synced is not sent with it.
    fn begin(&mut self, reply: &mut Reply) -> Result<(), ExecError> {
        if self.pipeline.is_waiting() {
            self.forget_queued();
        }
        self.begin_request(reply)
    }

    /// Starts a reply. A session that is no more usable says so instead of sending anything.
    fn begin_request(&mut self, reply: &mut Reply) -> Result<(), ExecError> {
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

/// The number of the release; zero if the server did not say.
fn major_version(version: &str) -> u32 {
    let digits = version.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A limit on the time of each statement that must be set in each transaction.
struct EachTime {
    limit_ms: u128,
}

impl EachTime {
    fn set_local(&self) -> String {
        format!("SET LOCAL statement_timeout = {}", self.limit_ms)
    }

    /// Outside of a transaction block the server would warn of `SET LOCAL`, once for every statement.
    fn set_config(&self) -> String {
        format!("SELECT pg_catalog.set_config('statement_timeout', '{}', true)", self.limit_ms)
    }
}

/// Sets the limit on the time of each statement, if there is one. Any user may. Behind a pooler the next transaction can run on
/// another of the server's sessions: there the limit must be a part of each transaction. A pooler gives itself away by the
/// number of the connection, which is not that of the session behind it.
async fn limit_statements(
    wire: &mut Wire,
    key: CancelKey,
    options: &SessionOptions,
    address: &str,
) -> Result<Option<EachTime>, ConnectError> {
    let Some(limit) = options.statement_timeout else { return Ok(None) };
    // Zero would be no limit.
    let limit_ms = limit.as_micros().div_ceil(1000).max(1);
    let rows = ask(wire, "SELECT pg_catalog.pg_backend_pid()", address).await?;
    let session = rows.first().and_then(|row| row.first()?.parse::<i32>().ok());
    if session != Some(key.process) {
        return Ok(Some(EachTime { limit_ms }));
    }
    ask(wire, &format!("SET statement_timeout = {limit_ms}"), address).await?;
    Ok(None)
}

#[cfg(test)]
mod tests;
