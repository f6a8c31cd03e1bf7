//! One engine or the other behind one type, so that whoever drives the load is compiled once. A match per request is all it costs.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::mysql::{MySqlEngine, MySqlSession};
use super::postgres::{PgEngine, PgSession};
use super::{Answered, ConnectError, Control, Engine, ExecError, Now, Reply, Session, StatementPlan};
use crate::sql::values::Frame;
use crate::units::{BackendId, StatementId};

/// Makes measured connections to whichever server the target is.
#[derive(Clone)]
pub enum AnyEngine<N> {
    /// PostgreSQL.
    Postgres(PgEngine<N>),
    /// MariaDB or MySQL.
    MySql(MySqlEngine<N>),
}

/// One measured connection to whichever server the target is.
pub enum AnySession<N> {
    /// PostgreSQL.
    Postgres(Box<PgSession<N>>),
    /// MariaDB or MySQL.
    MySql(Box<MySqlSession<N>>),
}

impl<N: Now> Engine for AnyEngine<N> {
    type Session = AnySession<N>;

    async fn connect(&self, statements: Arc<[StatementPlan]>) -> Result<AnySession<N>, ConnectError> {
        Ok(match self {
            Self::Postgres(engine) => AnySession::Postgres(Box::new(engine.connect(statements).await?)),
            Self::MySql(engine) => AnySession::MySql(Box::new(engine.connect(statements).await?)),
        })
    }

    fn plan_settles_after(&self) -> u8 {
        match self {
            Self::Postgres(engine) => engine.plan_settles_after(),
            Self::MySql(engine) => engine.plan_settles_after(),
        }
    }

    async fn cancel_abandoned(&self) {
        match self {
            Self::Postgres(engine) => engine.cancel_abandoned().await,
            Self::MySql(engine) => engine.cancel_abandoned().await,
        }
    }
}

impl<N: Now> Session for AnySession<N> {
    async fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> Result<(), ExecError> {
        match self {
            Self::Postgres(session) => session.execute(statement, frame, reply).await,
            Self::MySql(session) => session.execute(statement, frame, reply).await,
        }
    }

    async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        match self {
            Self::Postgres(session) => session.control(what, reply).await,
            Self::MySql(session) => session.control(what, reply).await,
        }
    }

    fn queue(&mut self, statement: StatementId, frame: &Frame) -> Result<(), ExecError> {
        match self {
            Self::Postgres(session) => session.queue(statement, frame),
            Self::MySql(session) => session.queue(statement, frame),
        }
    }

    fn queue_control(&mut self, what: Control) -> Result<(), ExecError> {
        match self {
            Self::Postgres(session) => session.queue_control(what),
            Self::MySql(session) => session.queue_control(what),
        }
    }

    fn queue_sync(&mut self) {
        match self {
            Self::Postgres(session) => session.queue_sync(),
            Self::MySql(session) => session.queue_sync(),
        }
    }

    async fn sync(&mut self, frame: &mut Frame, reply: &mut Reply) -> Result<(), ExecError> {
        match self {
            Self::Postgres(session) => session.sync(frame, reply).await,
            Self::MySql(session) => session.sync(frame, reply).await,
        }
    }

    fn answered(&self) -> &[Answered] {
        match self {
            Self::Postgres(session) => session.answered(),
            Self::MySql(session) => session.answered(),
        }
    }

    fn backend(&self) -> BackendId {
        match self {
            Self::Postgres(session) => session.backend(),
            Self::MySql(session) => session.backend(),
        }
    }

    fn in_transaction(&self) -> bool {
        match self {
            Self::Postgres(session) => session.in_transaction(),
            Self::MySql(session) => session.in_transaction(),
        }
    }

    fn usable(&self) -> bool {
        match self {
            Self::Postgres(session) => session.usable(),
            Self::MySql(session) => session.usable(),
        }
    }

    fn socket(&self) -> Option<OwnedFd> {
        match self {
            Self::Postgres(session) => session.socket(),
            Self::MySql(session) => session.socket(),
        }
    }
}
