//! Sessions of somebody else's tool, looked at from outside: `pg_stat_activity` keeps each session's last statement.

use std::time::Duration;

use tokio_postgres::Statement;

use crate::db::postgres::{Client, Settings, connect};
use crate::db::{ConnectError, Now};
use crate::units::{BackendId, Span, Stamp};

use super::schema::{self, RELATIONS};
use super::session::told;
use crate::probe::ddl::{OutsideLock, OutsideSession, RelationId, Schema};
use crate::record::migration::DdlError;

/// Characters of a statement that are kept.
const QUERY_MAX: i32 = 2_000;

/// Sessions of others in this database: dbdyno's own carry its name. Those that were there before are not the tool's.
const SESSIONS: &str = "
    SELECT pid, left(query, $2) AS query, state,
           (extract(epoch FROM clock_timestamp() - query_start) * 1000000)::bigint AS since_us,
           (extract(epoch FROM clock_timestamp() - state_change) * 1000000)::bigint AS state_us,
           (extract(epoch FROM xact_start) * 1000000)::bigint AS transaction,
           (extract(epoch FROM query_start) * 1000000)::bigint AS started
    FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
      AND pid <> ALL ($1) AND coalesce(application_name, '') NOT LIKE 'dbdyno %'";

/// Locks of these sessions.
const LOCKS: &str = "
    SELECT pid, locktype, mode, granted, relation,
           (extract(epoch FROM clock_timestamp() - waitstart) * 1000000)::bigint AS waited_us
    FROM pg_catalog.pg_locks
    WHERE pid = ANY ($1) AND (NOT granted OR locktype = 'relation')";

/// The connection that looks.
pub struct Outside {
    client: Client,
    sessions: Statement,
    locks: Statement,
    relations: Statement,
    /// Who was there before the tool.
    known: Vec<i32>,
}

impl Outside {
    /// Connects, and takes who is there for somebody else.
    pub async fn begin(settings: &Settings) -> Result<Self, ConnectError> {
        let client = connect(settings, crate::probe::ROLE).await?;
        let ready = async {
            client.batch_execute("SET statement_timeout = '2s'; SET jit = off").await?;
            let sessions = client.prepare(SESSIONS).await?;
            let rows = client.query(&sessions, &[&Vec::<i32>::new(), &QUERY_MAX]).await?;
            let known = rows.iter().map(|row| row.try_get("pid")).collect::<Result<Vec<i32>, _>>()?;
            Ok((sessions, client.prepare(LOCKS).await?, client.prepare(RELATIONS).await?, known))
        };
        let (sessions, locks, relations, known) =
            ready.await.map_err(|error: tokio_postgres::Error| ConnectError::Protocol {
                address: settings.address(),
                message: crate::probe::postgres::link::words(&error),
            })?;
        Ok(Self { client, sessions, locks, relations, known })
    }

    /// The tool's sessions now.
    pub async fn look(&self, clock: &impl Now) -> Result<Vec<OutsideSession>, DdlError> {
        let asked = self.client.query(&self.sessions, &[&self.known, &QUERY_MAX]).await;
        let rows = asked.map_err(|error| told(&error))?;
        let now = clock.now();
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            sessions.extend(session(row, now).map_err(|error| told(&error))?);
        }
        if sessions.is_empty() {
            return Ok(sessions);
        }
        let pids: Vec<i32> = sessions.iter().filter_map(|of| i32::try_from(of.backend.0).ok()).collect();
        let rows = self.client.query(&self.locks, &[&pids]).await.map_err(|error| told(&error))?;
        let now = clock.now();
        for row in &rows {
            let (pid, lock) = lock(row, now).map_err(|error| told(&error))?;
            if let Some(session) = sessions.iter_mut().find(|of| of.backend == pid) {
                session.locks.push(lock);
            }
        }
        Ok(sessions)
    }

    /// The relations now, as everybody sees them.
    pub async fn schema(&self) -> Result<Schema, DdlError> {
        let rows = self.client.query(&self.relations, &[]).await.map_err(|error| told(&error))?;
        schema::read(&rows).map_err(|error| told(&error))
    }

    /// Cancels what the tool's sessions do.
    pub async fn cancel(&self, clock: &impl Now) {
        for session in self.look(clock).await.unwrap_or_default() {
            // It may have ended by itself in the meantime.
            let Ok(pid) = i32::try_from(session.backend.0) else { continue };
            let _ = self.client.execute("SELECT pg_catalog.pg_cancel_backend($1)", &[&pid]).await;
        }
    }
}

/// Nothing for a session that has not sent a statement yet.
fn session(row: &tokio_postgres::Row, now: Stamp) -> Result<Option<OutsideSession>, tokio_postgres::Error> {
    let (since, started): (Option<i64>, Option<i64>) = (row.try_get("since_us")?, row.try_get("started")?);
    let (Some(since), Some(started)) = (since, started) else { return Ok(None) };
    let state: Option<String> = row.try_get("state")?;
    let active = state.as_deref() == Some("active");
    let in_state: Option<i64> = row.try_get("state_us")?;
    let to = if active { now } else { ago(now, in_state.unwrap_or(0)) };
    Ok(Some(OutsideSession {
        backend: BackendId(row.try_get::<_, i32>("pid")?.into()),
        query: row.try_get::<_, Option<String>>("query")?.unwrap_or_default(),
        active,
        number: started,
        span: Span { from: ago(now, since).min(to), to },
        transaction: row.try_get("transaction")?,
        stands: false,
        locks: Vec::new(),
    }))
}

fn lock(row: &tokio_postgres::Row, now: Stamp) -> Result<(BackendId, OutsideLock), tokio_postgres::Error> {
    let waited: Option<i64> = row.try_get("waited_us")?;
    let lock = OutsideLock {
        mode: row.try_get("mode")?,
        lock_type: row.try_get("locktype")?,
        relation: row.try_get::<_, Option<u32>>("relation")?.map(RelationId::Number),
        granted: row.try_get("granted")?,
        since: ago(now, waited.unwrap_or(0)),
    };
    Ok((BackendId(row.try_get::<_, i32>("pid")?.into()), lock))
}

fn ago(now: Stamp, us: i64) -> Stamp {
    let past = Duration::from_micros(u64::try_from(us).unwrap_or(0));
    Stamp(now.0.saturating_sub(u64::try_from(past.as_nanos()).unwrap_or(u64::MAX)))
}
