//! Looks at the metadata locks of one session from a second connection, many times a second: what it waits for and what it holds. That
//! asks `performance_schema` and nothing of InnoDB, which would stall. Also cancels the session.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mysql_async::{Error, Row};
use tokio::task::JoinHandle;

use crate::db::mysql::{Client, Settings, connect};
use crate::db::{ConnectError, Now};
use crate::probe::ddl::{LockNow, RelationId, SeenLocks};
use crate::probe::mysql::link::{is_true, probe_tag, text, words};
use crate::probe::mysql::session::{METADATA_WAIT, wait_of};
use crate::probe::mysql::status::{STATUS, Status};
use crate::units::{BackendId, Span, Stamp};

/// Time between two looks at the locks.
const EVERY: Duration = Duration::from_millis(20);
/// A look that takes longer is a gap.
const SETUP: &str = "SET max_statement_time = 2, lock_wait_timeout = 2";
const SETUP_OF_MYSQL: &str = "SET max_execution_time = 2000, lock_wait_timeout = 2";
/// What metadata locks are called, as the probe of the sessions does.
const METADATA: &str = "metadata";

/// MariaDB 10.11 and MySQL 8: whether the server notes metadata locks.
const INSTRUMENT: &str = concat!(
    probe_tag!(),
    "SELECT ENABLED = 'YES' AS enabled FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl'"
);

/// A connection, and what the server tells of its neighbour's locks.
struct Eyes {
    client: Client,
    /// The question for the locks; for the state of the session where locks are not noted, which says that it waits and not for what.
    sql: String,
    notes_locks: bool,
}

/// The second connection.
pub struct Watch {
    eyes: Arc<Eyes>,
    session: BackendId,
    seen: Arc<Mutex<SeenLocks>>,
    looking: JoinHandle<()>,
}

impl Watch {
    /// Begins to look at the session of this number.
    pub async fn begin(
        settings: &Settings,
        session: BackendId,
        clock: impl Now,
    ) -> Result<Self, ConnectError> {
        let client = connect(settings, crate::probe::ROLE).await?;
        let refused =
            |error: Error| ConnectError::Protocol { address: settings.address(), message: words(&error) };
        let setup = if client.is_mariadb() { SETUP } else { SETUP_OF_MYSQL };
        client.run(setup).await.map_err(refused)?;
        let notes_locks = notes_locks(&client).await;
        let sql = if notes_locks { locks_of(&session.0.to_string()) } else { state_of(session) };
        let eyes = Arc::new(Eyes { client, sql, notes_locks });
        let seen = Arc::new(Mutex::new(SeenLocks::default()));
        let looking = tokio::spawn(look_on(Arc::clone(&eyes), Arc::clone(&seen), clock));
        Ok(Self { eyes, session, seen, looking })
    }

    /// What was seen since the last call. What is still held is seen again.
    #[must_use]
    pub fn take(&self) -> SeenLocks {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Cancels what the session does.
    pub async fn cancel(&self) {
        // It may have ended by itself in the meantime.
        let _ = self.eyes.client.run(&format!("KILL QUERY {}", self.session.0)).await;
    }

    /// Where the redo log ends, in bytes.
    pub async fn wal_end(&self) -> Option<u64> {
        let rows = self.eyes.client.rows(STATUS).await.ok()?;
        Status::read(&rows).log_position()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Whether the server notes metadata locks and shows them. An account that may not read them is told so by `doctor`.
pub(super) async fn notes_locks(client: &Client) -> bool {
    let instrument = client.rows(INSTRUMENT).await.unwrap_or_default();
    instrument.first().is_some_and(|row| is_true(row, "enabled"))
}

/// Locks on tables of this database, and whatever else the sessions of these numbers wait for. The copy that an ALTER fills has a lock of its
/// own on MySQL, which is in nobody's way.
pub(super) fn locks_of(sessions: &str) -> String {
    format!(
        "{}SELECT t.PROCESSLIST_ID AS id, LOWER(m.OBJECT_TYPE) AS kind, m.OBJECT_NAME AS relation, m.LOCK_TYPE AS mode, m.LOCK_STATUS = 'GRANTED' AS granted \
         FROM performance_schema.metadata_locks AS m \
         JOIN performance_schema.threads AS t ON t.THREAD_ID = m.OWNER_THREAD_ID \
         WHERE t.PROCESSLIST_ID IN ({sessions}) AND (m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA = DATABASE() \
         AND m.OBJECT_NAME NOT LIKE '#sql%' OR m.LOCK_STATUS <> 'GRANTED')",
        probe_tag!()
    )
}

fn state_of(session: BackendId) -> String {
    format!(
        "{}SELECT STATE AS state FROM information_schema.PROCESSLIST WHERE ID = {}",
        probe_tag!(),
        session.0
    )
}

async fn look_on(eyes: Arc<Eyes>, seen: Arc<Mutex<SeenLocks>>, clock: impl Now) {
    let mut due = tokio::time::Instant::now();
    let mut lasting = Lasting::default();
    loop {
        tokio::time::sleep_until(due).await;
        let asked_at = clock.now();
        // A look that fails is missing; the next one sees what is still there.
        if let Ok(rows) = eyes.client.rows(&eyes.sql).await {
            let now = Span { from: asked_at, to: clock.now() };
            let read: fn(&Row) -> Option<LockNow> = if eyes.notes_locks { lock } else { wait };
            let locks = lasting.look(now, rows.iter().filter_map(read).collect());
            seen.lock().unwrap_or_else(PoisonError::into_inner).add(now, locks.into_iter());
        }
        due = (due + EVERY).max(tokio::time::Instant::now());
    }
}

pub(super) fn lock(row: &Row) -> Option<LockNow> {
    let kind = text(row, "kind")?;
    let is_table = kind == "table";
    Some(LockNow {
        lock_type: if is_table { METADATA.to_owned() } else { kind },
        mode: text(row, "mode")?,
        granted: is_true(row, "granted"),
        relation: text(row, "relation").filter(|_| is_table).map(RelationId::Name),
        lasts: None,
    })
}

fn wait(row: &Row) -> Option<LockNow> {
    let waits = wait_of(&text(row, "state")?).as_deref() == Some(METADATA_WAIT);
    waits.then(|| LockNow {
        lock_type: METADATA.to_owned(),
        mode: String::new(),
        granted: false,
        relation: None,
        lasts: None,
    })
}

/// Since when each lock is seen without a break: the server does not tell, and an ALTER in place takes the same one twice.
#[derive(Default)]
pub(super) struct Lasting {
    /// When the look before was answered.
    before: Option<Stamp>,
    since: Vec<(LockKey, Stamp)>,
}

/// What tells a lock from another one.
type LockKey = (String, String, bool, Option<RelationId>);

impl Lasting {
    pub(super) fn look(&mut self, now: Span, locks: Vec<LockNow>) -> Vec<LockNow> {
        // What was not there in the look before came at some moment since.
        let came = self.before.map_or(now.from, |before| Stamp(u64::midpoint(before.0, now.from.0)));
        let mut since: Vec<(LockKey, Stamp)> = Vec::with_capacity(locks.len());
        let locks = locks.into_iter().map(|lock| {
            let key = (lock.lock_type.clone(), lock.mode.clone(), lock.granted, lock.relation.clone());
            let known = self.since.iter().find(|(known, _)| *known == key).map_or(came, |(_, since)| *since);
            since.push((key, known));
            LockNow { lasts: Some(now.to - known), ..lock }
        });
        let locks: Vec<LockNow> = locks.collect();
        (self.before, self.since) = (Some(now.to), since);
        locks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Span {
        Span { from: Stamp(ms * 1_000_000), to: Stamp(ms * 1_000_000) }
    }

    #[test]
    fn a_lock_that_is_taken_twice_is_held_twice() {
        let exclusive = || LockNow {
            lock_type: METADATA.to_owned(),
            mode: "EXCLUSIVE".to_owned(),
            granted: true,
            relation: Some(RelationId::Name("t".to_owned())),
            lasts: None,
        };
        let (mut lasting, mut seen) = (Lasting::default(), SeenLocks::default());
        for (ms, held) in [(100, false), (120, true), (140, true), (160, false), (400, false), (420, true)] {
            let locks = if held { vec![exclusive()] } else { Vec::new() };
            seen.add(at(ms), lasting.look(at(ms), locks).into_iter());
        }
        let spans: Vec<(u64, u64)> =
            seen.held.iter().map(|held| (held.span.from.0 / 1_000_000, held.span.to.0 / 1_000_000)).collect();
        assert_eq!(spans, [(110, 140), (410, 420)]);
    }
}
