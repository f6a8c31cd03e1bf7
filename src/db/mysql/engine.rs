//! Where the server is, and how its measured connections are made and taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ask::ask;
use super::control::{Controls, beginning};
use super::dial::dial;
use super::failure::lost;
use super::handshake::{Columns, Started};
use super::session::{MySqlSession, QUIT};
use super::settings::Settings;
use super::statement::learn_all;
use crate::db::abandoned::Abandoned;
use crate::db::{ConnectError, Engine, Now, SessionOptions, StatementPlan};

/// Makes measured connections to one MariaDB or MySQL.
#[derive(Clone)]
pub struct MySqlEngine<N> {
    settings: Arc<Settings>,
    clock: N,
    options: SessionOptions,
    /// By the server's numbers for them.
    abandoned: Abandoned<u32>,
    /// Whether the server has a query cache that answers. It keeps answers as they were sent, with a description of their columns or
    /// without, and gives them to sessions that know other columns of the statement (MariaDB 10.11.19).
    has_query_cache: Arc<AtomicBool>,
}

/// What a server says to the beginning of a session.
struct Begun {
    /// The longest packet that it takes.
    packet_max: usize,
    has_query_cache: bool,
}

impl<N: Now> MySqlEngine<N> {
    /// Connections by `settings` (`program_name` is `dbdyno pool`), stamped by `clock`.
    ///
    /// In [`Protocol::Extended`](crate::db::Protocol::Extended) a statement is prepared, executed and closed each time, which is one
    /// round trip more: the protocol has no other way to keep values apart from a text of which nothing stays on the server.
    ///
    /// A statement timeout holds for every statement on MariaDB, and for SELECT only on MySQL, which has no other.
    #[must_use]
    pub fn new(settings: Arc<Settings>, clock: N, options: impl Into<SessionOptions>) -> Self {
        Self {
            settings,
            clock,
            options: options.into(),
            abandoned: Abandoned::default(),
            has_query_cache: Arc::default(),
        }
    }

    /// Sets what every session begins with, and tries what a transaction can have.
    async fn begin(&self, started: &mut Started, controls: &Controls) -> Result<Begun, ConnectError> {
        let Started { wire, address, results, .. } = started;
        let (begin_with, limit) = (&self.settings.begin_with, self.options.statement_timeout);
        let text = beginning(begin_with, limit, started.is_mariadb);
        let asked = ask(wire, *results, &text).await;
        let (rows, status) = asked.map_err(|error| error.at_connect(address))?;
        started.status = status;
        for list in controls.lists() {
            let text = format!("{}; {}", list.set, list.restore);
            ask(wire, *results, &text).await.map_err(|error| error.at_statement(&list.set, address))?;
        }
        let packet_max = rows.first().and_then(|row| row.first()?.parse().ok());
        let packet_max = packet_max.ok_or_else(|| ConnectError::Protocol {
            address: address.clone(),
            message: "its max_allowed_packet cannot be read".to_owned(),
        })?;
        let cache = rows.get(1).and_then(|row| row.get(1));
        Ok(Begun { packet_max, has_query_cache: cache.is_some_and(|cache| cache != "OFF") })
    }

    /// A session that was begun.
    async fn dial(&self, controls: &Controls) -> Result<(Started, Begun), ConnectError> {
        loop {
            let has_query_cache = self.has_query_cache.load(Ordering::Relaxed);
            let columns = if has_query_cache { Columns::Always } else { Columns::WhereChanged };
            let mut started = dial(&self.settings, "pool", columns).await?;
            let begun = self.begin(&mut started, controls).await?;
            if !begun.has_query_cache || columns == Columns::Always {
                return Ok((started, begun));
            }
            self.has_query_cache.store(true, Ordering::Relaxed);
            started.wire.stream().try_send(&QUIT);
        }
    }
}

impl<N: Now> Engine for MySqlEngine<N> {
    type Session = MySqlSession<N>;

    async fn connect(&self, statements: Arc<[StatementPlan]>) -> Result<MySqlSession<N>, ConnectError> {
        let controls = Controls::new(&self.options);
        let (mut started, begun) = self.dial(&controls).await?;
        let Started { wire, address, results, .. } = &mut started;
        let statements = learn_all(wire, *results, &statements, self.options.protocol, address).await?;
        wire.send().await.map_err(|error| lost(address, error))?;
        let (clock, abandoned) = (self.clock.clone(), self.abandoned.clone());
        Ok(MySqlSession::new(started, statements, controls, begun.packet_max, clock, abandoned))
    }

    async fn cancel_abandoned(&self) {
        let abandoned = self.abandoned.take();
        if abandoned.is_empty() {
            return;
        }
        // A server that is gone has nothing to end.
        let Ok(mut started) = dial(&self.settings, "cancel", Columns::Always).await else { return };
        for id in abandoned {
            // It may have ended by itself.
            let _ = ask(&mut started.wire, started.results, &format!("KILL CONNECTION {id}")).await;
        }
        started.wire.stream().try_send(&QUIT);
    }
}
