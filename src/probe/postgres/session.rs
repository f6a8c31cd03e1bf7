//! One session as `pg_stat_activity` shows it, and whose it is. Columns hold for PostgreSQL 14 to 18.

use tokio_postgres::Row;

use crate::probe::ProbePlan;
use crate::probe::whose::{POOL, Tags, first_word};
use crate::record::observation::{Session, Who};
use crate::sql::tag::tag_of;
use crate::units::BackendId;

/// What the server calls a process that vacuums by itself.
const AUTOVACUUM_WORKER: &str = "autovacuum worker";
/// What the server calls a process that helps a session to execute a statement.
const PARALLEL_WORKER: &str = "parallel worker";
/// What a session waits for while it makes its commit safe, here or on a replica. The letters of the first two are
/// capitals up to PostgreSQL 16.
const COMMIT_WAITS: [&str; 4] = ["IO:WalSync", "IO:WalWrite", "LWLock:WALWrite", "IPC:SyncRep"];
// Of the text only its beginning: enough for a hint and the tag.
macro_rules! columns {
    () => {
        "pid, application_name, backend_type, state, wait_event_type, wait_event, left(query, 200) AS query, \
         coalesce(datname = current_database(), false) AS ours, \
         (extract(epoch FROM clock_timestamp() - xact_start) * 1000000)::bigint AS transaction_age_us"
    };
}

/// Every session that does something. A session that is idle has nothing to wait for, and a background process that waits
/// for work says `Activity`. The probes do not look at themselves.
pub const BUSY_SESSIONS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM pg_stat_activity",
    " WHERE coalesce(application_name, '') NOT LIKE 'dbdyno probe%'",
    " AND (state <> 'idle'",
    "      OR state IS NULL AND backend_type <> 'client backend')",
    " AND (backend_type = 'client backend' OR wait_event_type IS DISTINCT FROM 'Activity')",
);

/// Certain sessions, whatever they do: a blocker may be idle, or not be shown to us.
pub const SESSIONS_BY_PID: &str =
    concat!("SELECT ", columns!(), " FROM pg_stat_activity WHERE pid = ANY($1)");

/// A row of [`BUSY_SESSIONS`] or [`SESSIONS_BY_PID`].
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Process id.
    pub pid: i32,
    /// `application_name`; empty when the client set none.
    pub application: String,
    /// `client backend`, `checkpointer`, …; absent when the role may not see it.
    pub backend_type: Option<String>,
    /// `active`, `idle in transaction`, …; absent for processes of the server, or when the role may not see it.
    pub state: Option<String>,
    /// `Lock:transactionid`; absent when it runs or could run.
    pub wait: Option<String>,
    /// First 200 characters of the running statement, or of the last one.
    pub query: String,
    /// Whether it is connected to the database under test: another may be measured by another dbdyno, with the same tags.
    pub ours: bool,
    /// How long its transaction has lasted, in microseconds; absent without one, or when the role may not see it.
    pub transaction_age_us: Option<u64>,
}

impl SessionRow {
    /// Reads one row.
    pub fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let wait_type: Option<String> = row.try_get("wait_event_type")?;
        let wait_event: Option<String> = row.try_get("wait_event")?;
        Ok(Self {
            pid: row.try_get("pid")?,
            application: row.try_get::<_, Option<String>>("application_name")?.unwrap_or_default(),
            backend_type: row.try_get("backend_type")?,
            state: row.try_get("state")?,
            wait: wait_type.zip(wait_event).map(|(kind, event)| format!("{kind}:{event}")),
            query: row.try_get::<_, Option<String>>("query")?.unwrap_or_default(),
            ours: row.try_get("ours")?,
            transaction_age_us: row
                .try_get::<_, Option<i64>>("transaction_age_us")?
                .map(|us| u64::try_from(us).unwrap_or(0)),
        })
    }

    /// Whether it waits for a heavyweight lock in the database under test.
    pub fn waits_for_a_lock(&self) -> bool {
        self.ours && self.wait.as_deref().is_some_and(|wait| wait.starts_with("Lock:"))
    }

    /// What it is doing while others wait for it: as the server says it, and more exactly where that can be told.
    pub fn blocking_state(&self) -> &str {
        let state = self.state();
        if self.backend_type.as_deref() == Some(AUTOVACUUM_WORKER) {
            AUTOVACUUM_WORKER
        } else if state == "active" && self.is_committing() {
            "in commit"
        } else {
            state
        }
    }

    /// Whether an active session is in its COMMIT: it says so, or it waits for its WAL to be safe.
    fn is_committing(&self) -> bool {
        let commits = || ["COMMIT", "END"].contains(&&*first_word(&self.query));
        let waits = |wait: &String| COMMIT_WAITS.iter().any(|event| wait.eq_ignore_ascii_case(event));
        self.wait.as_ref().is_some_and(waits) || tag_of(&self.query).is_none() && commits()
    }

    /// What it is doing, as the server says it.
    pub fn state(&self) -> &str {
        match (&self.state, &self.backend_type) {
            (Some(state), _) => state,
            (None, Some(_)) => "background",
            (None, None) => "hidden",
        }
    }
}

/// Knows the tags of the workload.
#[derive(Clone, Debug)]
pub struct Registry {
    tags: Tags,
}

impl Registry {
    /// The statements of a plan.
    pub fn new(plan: &ProbePlan) -> Self {
        Self { tags: Tags::new(plan) }
    }

    /// Whose session a row counts for where sessions are counted. A parallel worker is no session: its leader waits for the same
    /// execution, which would count several times.
    pub fn who_counts(&self, row: &SessionRow) -> Who {
        match row.backend_type.as_deref() {
            Some(PARALLEL_WORKER) => Who::Server(PARALLEL_WORKER.to_owned()),
            _ => self.who(row),
        }
    }

    /// Whose session a row shows.
    pub fn who(&self, row: &SessionRow) -> Who {
        if let Some(statement) = self.tags.statement(&row.query).filter(|_| row.ours) {
            return Who::Statement(statement);
        }
        match row.backend_type.as_deref() {
            None | Some("client backend" | PARALLEL_WORKER) => {}
            Some(process) => return Who::Server(process.to_owned()),
        }
        match (row.application.starts_with(POOL), tag_of(&row.query)) {
            (true, None) if row.ours => Who::Control(first_word(&row.query)),
            // Another database, or a tag that this workload does not know: another dbdyno measures at the same time.
            (true, _) => Who::Foreign("another dbdyno pool".to_owned()),
            (false, _) if row.application.is_empty() => Who::Foreign("(unnamed)".to_owned()),
            (false, _) => Who::Foreign(row.application.clone()),
        }
    }

    /// The session of a row, for a lock episode.
    pub fn session(&self, row: &SessionRow) -> Session {
        Session {
            backend: BackendId(row.pid.into()),
            who: self.who(row),
            state: row.blocking_state().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::units::StatementId;

    fn row(application: &str, backend_type: &str, query: &str) -> SessionRow {
        SessionRow {
            pid: 1,
            application: application.into(),
            backend_type: Some(backend_type.into()),
            state: Some("active".into()),
            wait: None,
            query: query.into(),
            ours: true,
            transaction_age_us: None,
        }
    }

    fn registry() -> Registry {
        Registry::new(&ProbePlan {
            values_apart: true,
            statements: vec![(StatementId(3), "a.b".into(), "/*dbdyno:a.b*/ SELECT 1".into())],
            interval: Duration::from_millis(100),
            ..ProbePlan::default()
        })
    }

    #[test]
    fn a_session_is_named_by_its_tag_its_application_or_its_process() {
        let who = |application, kind, query| registry().who(&row(application, kind, query));
        let client = "client backend";
        assert_eq!(who(POOL, client, "/*dbdyno:a.b*/ SELECT 1"), Who::Statement(StatementId(3)));
        assert_eq!(who(POOL, "parallel worker", "/*dbdyno:a.b*/ SEL"), Who::Statement(StatementId(3)));
        let worker = row(POOL, "parallel worker", "/*dbdyno:a.b*/ SEL");
        assert_eq!(registry().who_counts(&worker), Who::Server("parallel worker".into()));
        assert_eq!(who("dbdyno pool: nightly", client, "ROLLBACK"), Who::Control("ROLLBACK".into()));
        assert_eq!(who(POOL, client, "commit"), Who::Control("COMMIT".into()));
        assert_eq!(who(POOL, client, "BEGIN ISOLATION LEVEL SERIALIZABLE"), Who::Control("BEGIN".into()));
        assert_eq!(who(POOL, client, "/*dbdyno:x.y*/ SELECT 1"), Who::Foreign("another dbdyno pool".into()));
        let elsewhere = SessionRow { ours: false, ..row(POOL, client, "/*dbdyno:a.b*/ SELECT 1") };
        assert_eq!(registry().who(&elsewhere), Who::Foreign("another dbdyno pool".into()));
        assert_eq!(who("psql", client, "SELECT 1"), Who::Foreign("psql".into()));
        assert_eq!(who("", client, "SELECT 1"), Who::Foreign("(unnamed)".into()));
        assert_eq!(
            who("", "autovacuum worker", "autovacuum: VACUUM t"),
            Who::Server("autovacuum worker".into())
        );
    }

    #[test]
    fn what_a_blocker_does_is_told_as_exactly_as_can_be() {
        let client = "client backend";
        let state = |row: SessionRow| row.blocking_state().to_owned();
        assert_eq!(state(row(POOL, client, "COMMIT")), "in commit");
        assert_eq!(state(row("psql", client, "end;")), "in commit");
        for wait in ["IO:WALSync", "IO:WalSync", "LWLock:WALWrite", "IPC:SyncRep"] {
            let waits = row(POOL, client, "/*dbdyno:a.b*/ UPDATE t SET a = a");
            assert_eq!(state(SessionRow { wait: Some(wait.into()), ..waits }), "in commit", "{wait}");
        }
        assert_eq!(state(row(POOL, client, "/*dbdyno:a.b*/ UPDATE t SET a = a")), "active");
        // The text of an idle session is that of its last statement.
        let idle = SessionRow {
            state: Some("idle in transaction".into()),
            ..row("psql", client, "COMMIT AND CHAIN")
        };
        assert_eq!(state(idle), "idle in transaction");
        assert_eq!(state(row("", "autovacuum worker", "autovacuum: VACUUM t")), "autovacuum worker");
        let hidden =
            SessionRow { state: None, backend_type: None, ..row("psql", client, "<insufficient privilege>") };
        assert_eq!(state(hidden), "hidden");
    }
}
