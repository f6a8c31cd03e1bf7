//! The lean session: the extended protocol over one socket, prepared statements by index, no allocation per execution.

use std::sync::Arc;

use crate::db::postgres::Settings;
use crate::db::{ConnectError, Control, Engine, ExecError, Now, Reply, Session, StatementPlan};
use crate::sql::values::Frame;
use crate::units::{BackendId, StatementId};

/// Makes measured connections to one PostgreSQL.
#[derive(Clone)]
pub struct PgEngine<N> {
    settings: Arc<Settings>,
    clock: N,
}

impl<N: Now> PgEngine<N> {
    /// Connections by `settings` (application name `dbdyno pool`), stamped by `clock`.
    #[must_use]
    pub fn new(settings: Arc<Settings>, clock: N) -> Self {
        Self { settings, clock }
    }
}

/// One measured connection.
pub struct PgSession<N> {
    clock: N,
}

impl<N: Now> Engine for PgEngine<N> {
    type Session = PgSession<N>;

    async fn connect(&self, statements: Arc<[StatementPlan]>) -> Result<PgSession<N>, ConnectError> {
        let _ = (statements, &self.settings);
        Ok(PgSession { clock: self.clock.clone() })
    }
}

impl<N: Now> Session for PgSession<N> {
    async fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> Result<(), ExecError> {
        let _ = (statement, frame);
        reply.sent_at = self.clock.now();
        todo!("helper: db")
    }

    async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        let _ = (what, reply);
        todo!("helper: db")
    }

    fn backend(&self) -> BackendId {
        todo!("helper: db")
    }

    fn usable(&self) -> bool {
        todo!("helper: db")
    }
}
