//! Sessions of somebody else's tool, looked at from outside. `performance_schema` keeps each session's last statement with its times and
//! its error, and its metadata locks; where it keeps none, the process list tells what is under way, and nothing of what was.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use mysql_async::{Error, Row};

use super::schema::{self, TABLES_OF_MARIADB, TABLES_OF_MYSQL};
use super::watch::{self, Lasting};
use crate::db::mysql::{Client, Settings, code_of, connect};
use crate::db::{ConnectError, Now};
use crate::probe::ddl::{LockNow, OutsideLock, OutsideSession, Schema};
use crate::probe::mysql::link::{count, is_true, probe_tag, text, words};
use crate::probe::mysql::session::PROGRAMS;
use crate::record::migration::DdlError;
use crate::sql::statement::{StatementKind, kind_in};
use crate::units::{BackendId, Dialect, Span, Stamp};

/// A look that takes longer is a gap.
const SETUP: &str = "SET max_statement_time = 2, lock_wait_timeout = 2";
const SETUP_OF_MYSQL: &str = "SET max_execution_time = 2000, lock_wait_timeout = 2";
/// How dbdyno's own programs and statements begin.
const OWN_PROGRAM: &str = "dbdyno ";
const OWN_TAG: &str = "/*dbdyno";
/// For what ended without a word of the server.
const LOST: &str = "08006";

/// MariaDB 10.11 and MySQL 8: the last statement of each session in this database, our own included, which says what time it is by the
/// clock of these times.
const STATEMENTS: &str = concat!(
    probe_tag!(),
    "SELECT t.PROCESSLIST_ID AS id, e.EVENT_ID AS number, LEFT(e.SQL_TEXT, 2000) AS query, e.END_EVENT_ID IS NULL AS active, ",
    "e.MYSQL_ERRNO = 0 AS went_well, CAST(e.TIMER_START / 1000000 AS UNSIGNED) AS began_us, ",
    "CAST((e.TIMER_START + e.TIMER_WAIT) / 1000000 AS UNSIGNED) AS ended_us, t.PROCESSLIST_ID = CONNECTION_ID() AS own ",
    "FROM performance_schema.threads AS t ",
    "JOIN performance_schema.events_statements_current AS e ON e.THREAD_ID = t.THREAD_ID ",
    "WHERE t.PROCESSLIST_DB = DATABASE() AND COALESCE(e.NESTING_EVENT_TYPE, '') <> 'STATEMENT'"
);
/// MariaDB 10.11: what is under way in each session in this database.
const UNDER_WAY: &str = concat!(
    probe_tag!(),
    "SELECT ID AS id, QUERY_ID AS number, LEFT(INFO, 2000) AS query, INFO IS NOT NULL AND COMMAND <> 'Sleep' AS active, ",
    "CAST(TIME_MS AS UNSIGNED) AS lasts_ms FROM information_schema.PROCESSLIST ",
    "WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND COMMAND <> 'Daemon'"
);

/// The connection that looks.
pub struct Outside {
    client: Client,
    /// Whether the server keeps the last statement of each session.
    keeps_statements: bool,
    /// Whether it notes metadata locks.
    notes_locks: bool,
    /// Sessions that are not the tool's: who was there before it, and dbdyno's own.
    others: HashSet<u64>,
    /// Sessions that are the tool's, and since when they have which lock.
    own: HashMap<u64, Lasting>,
    ongoing: HashMap<u64, Ongoing>,
}

/// What a session was at in the look before.
struct Ongoing {
    number: i64,
    transaction: i64,
    is_of_rows: bool,
}

/// One session as the server tells of it.
struct Told {
    id: u64,
    number: i64,
    query: String,
    active: bool,
    went_well: bool,
    span: Span,
}

impl Outside {
    /// Connects, and takes who is there for somebody else.
    pub async fn begin(settings: &Settings) -> Result<Self, ConnectError> {
        let client = connect(settings, crate::probe::ROLE).await?;
        let refused = |message: String| ConnectError::Protocol { address: settings.address(), message };
        let setup = if client.is_mariadb() { SETUP } else { SETUP_OF_MYSQL };
        client.run(setup).await.map_err(|error| refused(words(&error)))?;
        // An account that may not read it is told so by `doctor`.
        let kept = client.rows(STATEMENTS).await.unwrap_or_default();
        let keeps_statements = kept.iter().any(|row| is_true(row, "own"));
        if !keeps_statements && !client.is_mariadb() {
            return Err(refused(
                "performance_schema does not show the statements of sessions: let this account read it, with \
                 events_statements_current in setup_consumers"
                    .to_owned(),
            ));
        }
        let notes_locks = watch::notes_locks(&client).await;
        let mut outside = Self {
            client,
            keeps_statements,
            notes_locks,
            others: HashSet::new(),
            own: HashMap::new(),
            ongoing: HashMap::new(),
        };
        let there = "SELECT ID AS id FROM information_schema.PROCESSLIST";
        let there = outside.client.rows(there).await.map_err(|error| refused(words(&error)))?;
        outside.others.extend(there.iter().filter_map(|row| count(row, "id")));
        Ok(outside)
    }

    /// The tool's sessions now.
    pub async fn look(&mut self, clock: &impl Now) -> Result<Vec<OutsideSession>, DdlError> {
        let asked_at = clock.now();
        let sql = if self.keeps_statements { STATEMENTS } else { UNDER_WAY };
        let rows = self.client.rows(sql).await.map_err(|error| told(&error))?;
        let now = Span { from: asked_at, to: clock.now() };
        let mut sessions = if self.keeps_statements { kept(&rows, now) } else { under_way(&rows, now.to) };
        self.tell_apart(&sessions).await?;
        sessions.retain(|of| self.own.contains_key(&of.id));
        self.own.retain(|id, _| sessions.iter().any(|of| of.id == *id));
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let locks = self.locks(clock).await?;
        Ok(sessions.into_iter().map(|of| self.session(of, &locks)).collect())
    }

    /// Learns of each new session whose it is.
    async fn tell_apart(&mut self, sessions: &[Told]) -> Result<(), DdlError> {
        let is_new = |of: &&Told| !self.others.contains(&of.id) && !self.own.contains_key(&of.id);
        let new: Vec<&Told> = sessions.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        // Where the programs cannot be read, dbdyno's sessions are known by the tags of their statements.
        let programs = self.client.rows(PROGRAMS).await.unwrap_or_default();
        let is_ours =
            |row: &&Row| text(row, "program").is_some_and(|program| program.starts_with(OWN_PROGRAM));
        let ours: HashSet<u64> = programs.iter().filter(is_ours).filter_map(|row| count(row, "id")).collect();
        for of in new {
            if ours.contains(&of.id) || of.query.starts_with(OWN_TAG) {
                self.others.insert(of.id);
            } else {
                self.own.insert(of.id, Lasting::default());
            }
        }
        Ok(())
    }

    /// The metadata locks of the tool's sessions; none where the server does not note them.
    async fn locks(&mut self, clock: &impl Now) -> Result<HashMap<u64, Vec<(LockNow, Stamp)>>, DdlError> {
        let mut locks: HashMap<u64, Vec<(LockNow, Stamp)>> = HashMap::new();
        if !self.notes_locks {
            return Ok(locks);
        }
        let ids: Vec<String> = self.own.keys().map(u64::to_string).collect();
        let asked_at = clock.now();
        let rows = self.client.rows(&watch::locks_of(&ids.join(", "))).await.map_err(|error| told(&error))?;
        let now = Span { from: asked_at, to: clock.now() };
        for (id, lasting) in &mut self.own {
            let own = rows.iter().filter(|row| count(row, "id") == Some(*id)).filter_map(watch::lock);
            let seen = lasting.look(now, own.collect());
            let since = |of: &LockNow| match of.lasts {
                Some(lasts) if !of.granted => ago(now.to, lasts),
                _ => now.to,
            };
            let with_since = |of: LockNow| {
                let since = since(&of);
                (of, since)
            };
            locks.insert(*id, seen.into_iter().map(with_since).collect());
        }
        Ok(locks)
    }

    fn session(&mut self, of: Told, locks: &HashMap<u64, Vec<(LockNow, Stamp)>>) -> OutsideSession {
        let locks = locks.get(&of.id).map(Vec::as_slice).unwrap_or_default();
        let lock = |(lock, since): &(LockNow, Stamp)| OutsideLock {
            mode: lock.mode.clone(),
            lock_type: lock.lock_type.clone(),
            relation: lock.relation.clone(),
            granted: lock.granted,
            since: *since,
        };
        let is_of_rows = kind_in(&of.query, Dialect::Mysql) != StatementKind::Other;
        let holds = locks.iter().any(|(lock, _)| lock.granted);
        OutsideSession {
            backend: BackendId(i64::try_from(of.id).unwrap_or(i64::MAX)),
            transaction: self.transaction(&of, is_of_rows, of.active || holds),
            number: of.number,
            active: of.active,
            span: of.span,
            stands: !of.active && of.went_well && !is_of_rows && !of.query.is_empty(),
            locks: locks.iter().map(lock).collect(),
            query: of.query,
        }
    }

    /// A session is in a transaction while it works or holds locks. DDL ends the one before it and is one by itself; whether changes of
    /// rows that follow each other without a pause are one is not to be seen from outside: they count as one.
    fn transaction(&mut self, of: &Told, is_of_rows: bool, is_in_one: bool) -> Option<i64> {
        if !is_in_one {
            self.ongoing.remove(&of.id);
            return None;
        }
        let known = self.ongoing.get(&of.id);
        let goes_on = known.filter(|known| known.number == of.number || known.is_of_rows && is_of_rows);
        let transaction = goes_on.map_or(of.number, |known| known.transaction);
        self.ongoing.insert(of.id, Ongoing { number: of.number, transaction, is_of_rows });
        Some(transaction)
    }

    /// The tables now, as everybody sees them.
    pub async fn schema(&self) -> Result<Schema, DdlError> {
        let tables = if self.client.is_mariadb() { TABLES_OF_MARIADB } else { TABLES_OF_MYSQL };
        let rows = self.client.rows(tables).await.map_err(|error| told(&error))?;
        Ok(schema::read(&rows))
    }

    /// Cancels what the tool's sessions do.
    pub async fn cancel(&mut self, clock: &impl Now) {
        for session in self.look(clock).await.unwrap_or_default() {
            // It may have ended by itself in the meantime.
            let _ = self.client.run(&format!("KILL QUERY {}", session.backend.0)).await;
        }
    }
}

/// Of the rows of [`STATEMENTS`].
fn kept(rows: &[Row], now: Span) -> Vec<Told> {
    let own = rows.iter().find(|row| is_true(row, "own"));
    let Some(by_server) = own.and_then(|row| count(row, "began_us")) else { return Vec::new() };
    // The server began to answer when it was asked, but for half a round trip.
    let at = |us: u64| ago(now.from, Duration::from_micros(by_server.saturating_sub(us)));
    let read = |row: &Row| {
        let active = is_true(row, "active");
        let from = at(count(row, "began_us")?);
        let to = if active { now.to } else { at(count(row, "ended_us")?) };
        Some(Told {
            id: count(row, "id")?,
            number: i64::try_from(count(row, "number")?).unwrap_or(i64::MAX),
            query: text(row, "query").unwrap_or_default(),
            active,
            went_well: is_true(row, "went_well"),
            span: Span { from, to: to.max(from) },
        })
    };
    rows.iter().filter(|row| !is_true(row, "own")).filter_map(read).collect()
}

/// Of the rows of [`UNDER_WAY`].
fn under_way(rows: &[Row], now: Stamp) -> Vec<Told> {
    let read = |row: &Row| {
        let active = is_true(row, "active");
        let from = ago(now, Duration::from_millis(count(row, "lasts_ms").unwrap_or(0)));
        Some(Told {
            id: count(row, "id")?,
            number: i64::try_from(count(row, "number")?).unwrap_or(i64::MAX),
            query: text(row, "query").unwrap_or_default(),
            active,
            // The list does not tell.
            went_well: false,
            span: Span { from, to: if active { now } else { from } },
        })
    };
    rows.iter().filter_map(read).collect()
}

fn ago(now: Stamp, lasts: Duration) -> Stamp {
    Stamp(now.0.saturating_sub(u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX)))
}

/// An error as the journal keeps it.
fn told(error: &Error) -> DdlError {
    let code = code_of(error).map_or_else(|| LOST.to_owned(), |code| code.as_str().to_owned());
    DdlError { code, message: words(error) }
}
