//! Where the server is, and how its connections are made and taken back.

use std::sync::{Arc, Mutex};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::failure;
use super::session::MySqlSession;
use super::settings::Settings;
use super::statement::Prepared;
use crate::db::{ConnectError, Engine, Now, SessionOptions, StatementPlan};

/// Numbers of connections whose last request nobody waits for any more.
pub(super) type Abandoned = Arc<Mutex<Vec<u32>>>;

/// Makes measured connections to one MariaDB or MySQL.
#[derive(Clone)]
pub struct MySqlEngine<N> {
    settings: Arc<Settings>,
    opts: Opts,
    clock: N,
    abandoned: Abandoned,
}

impl<N: Now> MySqlEngine<N> {
    /// Connections to the server of these settings, stamped by `clock`.
    #[must_use]
    pub fn new(settings: Arc<Settings>, clock: N, _options: SessionOptions) -> Self {
        let setup = [
            // Every instant travels in UTC.
            "SET time_zone = '+00:00'",
            // As in PostgreSQL, a value that does not fit is an error and not another value.
            "SET sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        ];
        let of_user = settings.session().iter().map(|(name, value)| format!("SET {name} = {value}"));
        let opts = OptsBuilder::from_opts(settings.opts().clone())
            // A socket beside a TCP address would be another path than the one that was asked for.
            .prefer_socket(false)
            .tcp_nodelay(true)
            // The session keeps its statements itself; a cache would close those that were used last long ago.
            .stmt_cache_size(0)
            .setup(setup.map(str::to_owned).into_iter().chain(of_user).collect::<Vec<_>>())
            .into();
        Self { settings, opts, clock, abandoned: Abandoned::default() }
    }

    /// Host and port, without a password.
    fn address(&self) -> String {
        self.settings.address()
    }

    async fn open(&self) -> Result<Conn, ConnectError> {
        Conn::new(self.opts.clone()).await.map_err(|error| failure::connecting(error, self.address()))
    }
}

impl<N: Now> Engine for MySqlEngine<N> {
    type Session = MySqlSession<N>;

    async fn connect(&self, statements: Arc<[StatementPlan]>) -> Result<MySqlSession<N>, ConnectError> {
        let mut conn = self.open().await?;
        let mut prepared = Vec::with_capacity(statements.len());
        for plan in &*statements {
            prepared.push(Prepared::make(plan, &mut conn, || self.address()).await?);
        }
        Ok(MySqlSession::new(conn, prepared, self.clock.clone(), Arc::clone(&self.abandoned)))
    }

    async fn cancel_abandoned(&self) {
        let abandoned = std::mem::take(&mut *self.abandoned.lock().expect("no holder of the lock panics"));
        if abandoned.is_empty() {
            return;
        }
        // A server that is gone has nothing to end.
        let Ok(mut conn) = self.open().await else { return };
        for id in abandoned {
            // It may have ended by itself.
            let _ = conn.query_drop(format!("KILL {id}")).await;
        }
        let _ = conn.disconnect().await;
    }
}
