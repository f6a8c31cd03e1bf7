//! One session as the process list shows it, and whose it is. Pure but for the questions themselves.
//!
//! The list knows no application names. A session is the measured pool's when it was seen in a statement with one of our tags, or when
//! `performance_schema` says that its program is `dbdyno pool`; what it does between its statements counts as the pool's from then on.
//!
//! What a session waits for follows from its state, and from InnoDB's list of transactions:
//!
//! | state | wait |
//! |---|---|
//! | any, its transaction in `LOCK WAIT` | `Lock:row` |
//! | `Waiting for … metadata lock` | `Lock:metadata` |
//! | `Waiting for table level lock` | `Lock:table` |
//! | `User lock` | `Lock:user` |
//! | `Waiting for …` with `lock` or `flush` in it | `Lock:global` |
//! | `Commit`, `Writing to binlog`, `Waiting for prior transaction to commit` | `IO:Commit` |
//! | `User sleep` | `Timeout:UserSleep` |
//! | `Waiting …`, of another kind | `Wait:…`, by its words |
//! | any other | none: it runs, or could run, or reads from files, which the list does not tell apart |

use std::collections::{HashMap, HashSet};

use mysql_async::Row;

use super::link::{count, float, is_true, probe_tag, text};
use crate::probe::ProbePlan;
use crate::record::observation::{Session, Who};
use crate::record::pulse::ClientStates;
use crate::sql::tag::tag_of;
use crate::units::{BackendId, StatementId};

/// What the names of the measured pool's programs begin with.
const POOL: &str = "dbdyno pool";
/// Connections whose owner is remembered; beyond it all are forgotten and learnt anew.
const KNOWN_MAX: usize = 20_000;
/// What a lock wait is called: every wait for one begins so.
const LOCK: &str = "Lock:";
/// Wait for a row of InnoDB, or for a table of it.
pub const ROW_WAIT: &str = "Lock:row";
/// Wait for a metadata lock.
pub const METADATA_WAIT: &str = "Lock:metadata";
/// What a session of the pool is in when it has its transaction open and no statement.
const BETWEEN: &str = "(between statements)";

macro_rules! sessions {
    ($clock:literal) => {
        concat!(
            probe_tag!(),
            "SELECT ID AS id, USER AS user, HOST AS host, DB = DATABASE() AS ours, COMMAND AS command, STATE AS state, ",
            "LEFT(INFO, 300) AS query, ",
            $clock,
            " FROM information_schema.PROCESSLIST ",
            "WHERE COMMAND <> 'Daemon' AND ID <> CONNECTION_ID() AND COALESCE(INFO, '') NOT LIKE '/*dbdyno probe*/%'"
        )
    };
}

/// MariaDB 10.11: since when the statement runs, to the millisecond, and its number.
pub const SESSIONS_OF_MARIADB: &str = sessions!("TIME_MS AS time_ms, QUERY_ID AS query_id");
/// MySQL 8 tells whole seconds, and no number.
pub const SESSIONS_OF_MYSQL: &str = sessions!("TIME * 1000 AS time_ms, NULL AS query_id");

/// MariaDB 10.11 and MySQL 8. InnoDB makes this list at most ten times a second, and holds all of its transactions up meanwhile.
pub const TRANSACTIONS: &str = concat!(
    probe_tag!(),
    "SELECT trx_mysql_thread_id AS id, trx_state = 'LOCK WAIT' AS waits, ",
    "CAST(UNIX_TIMESTAMP(trx_wait_started) AS UNSIGNED) AS wait_started, ",
    "TIMESTAMPDIFF(MICROSECOND, trx_started, SYSDATE(6)) AS age_us FROM information_schema.INNODB_TRX"
);

/// MariaDB and MySQL, where `performance_schema` is on.
pub const PROGRAMS: &str = concat!(
    probe_tag!(),
    "SELECT PROCESSLIST_ID AS id, ATTR_VALUE AS program FROM performance_schema.session_connect_attrs ",
    "WHERE ATTR_NAME = 'program_name'"
);

/// A row of [`TRANSACTIONS`].
#[derive(Clone, Copy, Debug)]
pub struct TransactionRow {
    /// Number of its connection.
    pub id: u64,
    /// Whether it waits for a row.
    pub waits: bool,
    /// Since which second; only told apart, never compared with a clock.
    pub wait_started: Option<u64>,
    /// For how long it is open, in microseconds.
    pub age_us: Option<u64>,
}

impl TransactionRow {
    /// Reads one row. A transaction that InnoDB takes back after a crash has no connection.
    pub fn read(row: &Row) -> Option<Self> {
        Some(Self {
            id: count(row, "id").filter(|id| *id != 0)?,
            waits: is_true(row, "waits"),
            wait_started: count(row, "wait_started"),
            age_us: count(row, "age_us"),
        })
    }
}

/// A session of the process list, and its transaction.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Number of the connection.
    pub id: u64,
    /// `user@host`.
    pub account: String,
    /// Whether its default database is the one under test.
    pub ours: bool,
    /// `Query`, `Execute`, `Sleep`, …
    pub command: String,
    /// What it does, in the server's words.
    pub stage: String,
    /// The running statement's beginning; empty between statements.
    pub query: String,
    /// For how long it runs, in milliseconds.
    pub time_ms: f64,
    /// The statement's number, where the server tells it.
    pub query_id: Option<u64>,
    /// Its transaction, if one is open.
    pub transaction: Option<TransactionRow>,
}

impl SessionRow {
    /// Reads one row of the process list.
    pub fn read(row: &Row, transactions: &HashMap<u64, TransactionRow>) -> Option<Self> {
        let id = count(row, "id")?;
        let host = text(row, "host").unwrap_or_default();
        // The port tells connections apart, not who they are.
        let host = host.split(':').next().unwrap_or_default().to_owned();
        Some(Self {
            id,
            account: format!("{}@{host}", text(row, "user").unwrap_or_default()),
            ours: is_true(row, "ours"),
            command: text(row, "command").unwrap_or_default(),
            stage: text(row, "state").unwrap_or_default(),
            query: text(row, "query").unwrap_or_default(),
            time_ms: float(row, "time_ms").unwrap_or(0.0),
            query_id: count(row, "query_id"),
            transaction: transactions.get(&id).copied(),
        })
    }

    /// Whether it executes something.
    pub fn is_active(&self) -> bool {
        !["Sleep", "Connect", "Binlog Dump"].contains(&self.command.as_str())
    }

    /// Whether it does anything, or keeps a transaction open.
    pub fn is_busy(&self) -> bool {
        self.is_active() || self.transaction.is_some()
    }

    /// `active`, `idle`, `idle in transaction`.
    pub fn state(&self) -> &'static str {
        match (self.is_active(), self.transaction) {
            (true, _) => "active",
            (false, Some(_)) => "idle in transaction",
            (false, None) => "idle",
        }
    }

    /// What it does while others wait for it.
    pub fn blocking_state(&self) -> &'static str {
        let commits = self.is_active()
            && (self.wait().as_deref() == Some("IO:Commit")
                || tag_of(&self.query).is_none() && first_word(&self.query) == "COMMIT");
        if commits { "in commit" } else { self.state() }
    }

    /// What it waits for; absent when it runs or could run.
    pub fn wait(&self) -> Option<String> {
        if !self.is_active() {
            return None;
        }
        if self.transaction.is_some_and(|transaction| transaction.waits) {
            return Some(ROW_WAIT.to_owned());
        }
        wait_of(&self.stage)
    }

    /// Whether it waits for a lock.
    pub fn waits_for_a_lock(&self) -> bool {
        self.ours && self.wait().is_some_and(|wait| wait.starts_with(LOCK))
    }
}

/// What a state of the process list waits for: see the table above.
pub fn wait_of(stage: &str) -> Option<String> {
    let wait = match stage {
        "User lock" => "Lock:user",
        "User sleep" => "Timeout:UserSleep",
        "Commit" | "Writing to binlog" | "Waiting for prior transaction to commit" => "IO:Commit",
        "Waiting for table level lock" => "Lock:table",
        _ if !stage.starts_with("Waiting ") => return None,
        _ if stage.ends_with("metadata lock") => METADATA_WAIT,
        _ if stage.contains("lock") || stage.contains("flush") => "Lock:global",
        _ => return Some(format!("Wait:{}", stage["Waiting ".len()..].trim_start_matches("for "))),
    };
    Some(wait.to_owned())
}

/// The first word of a statement, in capitals.
fn first_word(query: &str) -> String {
    let word: String = query.trim_start().chars().take_while(|c| c.is_alphanumeric()).take(20).collect();
    if word.is_empty() { "CONNECT".to_owned() } else { word.to_uppercase() }
}

/// Client connections by what they do.
pub fn states(sessions: &[SessionRow]) -> ClientStates {
    let mut states = ClientStates::default();
    for session in sessions {
        match session.state() {
            "active" if session.wait().is_some_and(|wait| wait.starts_with(LOCK)) => states.lock_waiting += 1,
            "active" => states.active += 1,
            "idle in transaction" => states.idle_in_transaction += 1,
            _ => states.idle += 1,
        }
    }
    states
}

/// Knows the tags of the workload, and whose the connections are that were met.
#[derive(Debug)]
pub struct Registry {
    tags: HashMap<String, StatementId>,
    /// Connections that were seen in a statement of ours.
    pool: HashSet<u64>,
    /// Program names by connection; without one where the server tells none.
    programs: HashMap<u64, Option<String>>,
}

impl Registry {
    /// The statements of a plan.
    pub fn new(plan: &ProbePlan) -> Self {
        let tags = plan.statements.iter().map(|(id, tag, _)| (tag.clone(), *id)).collect();
        Self { tags, pool: HashSet::new(), programs: HashMap::new() }
    }

    /// Forgets who was met.
    pub fn forget(&mut self) {
        self.pool.clear();
        self.programs.clear();
    }

    /// Remembers who is met in a statement of ours.
    pub fn meet(&mut self, sessions: &[SessionRow]) {
        if self.pool.len() > KNOWN_MAX {
            self.pool.clear();
        }
        let ours = sessions.iter().filter(|session| self.statement(session).is_some());
        let ours: Vec<u64> = ours.map(|session| session.id).collect();
        self.pool.extend(ours);
    }

    /// Whether somebody is busy whose program is not known yet.
    pub fn meets_strangers(&self, sessions: &[SessionRow]) -> bool {
        sessions.iter().any(|session| session.is_busy() && !self.programs.contains_key(&session.id))
    }

    /// Learns the programs of all sessions, from the rows of [`PROGRAMS`].
    pub fn learn(&mut self, sessions: &[SessionRow], rows: &[Row]) {
        if self.programs.len() > KNOWN_MAX {
            self.programs.clear();
        }
        // Who is not among the rows told none.
        self.programs.extend(sessions.iter().map(|session| (session.id, None)));
        let told = rows.iter().filter_map(|row| Some((count(row, "id")?, text(row, "program"))));
        self.programs.extend(told);
    }

    fn statement(&self, session: &SessionRow) -> Option<StatementId> {
        let tag = tag_of(&session.query).filter(|_| session.ours)?;
        self.tags.get(tag).copied()
    }

    fn program(&self, id: u64) -> Option<&str> {
        self.programs.get(&id).and_then(Option::as_deref)
    }

    /// Whose session a row shows.
    pub fn who(&self, session: &SessionRow) -> Who {
        if let Some(statement) = self.statement(session) {
            return Who::Statement(statement);
        }
        if session.account.starts_with("system user@") {
            return Who::Server("replica".to_owned());
        }
        let of_pool = self.program(session.id).is_some_and(|program| program.starts_with(POOL));
        match (of_pool || self.pool.contains(&session.id), tag_of(&session.query)) {
            (true, None) if session.ours && session.query.is_empty() => Who::Control(BETWEEN.to_owned()),
            (true, None) if session.ours => Who::Control(first_word(&session.query)),
            (true, _) | (false, Some(_)) => Who::Foreign("another dbdyno pool".to_owned()),
            (false, None) => Who::Foreign(self.program(session.id).unwrap_or(&session.account).to_owned()),
        }
    }

    /// The session of a row, for a lock episode.
    pub fn session(&self, session: &SessionRow) -> Session {
        Session {
            backend: BackendId(i64::try_from(session.id).unwrap_or(i64::MAX)),
            who: self.who(session),
            state: session.blocking_state().to_owned(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn session(id: u64, query: &str) -> SessionRow {
        SessionRow {
            id,
            account: "app@10.0.0.7".into(),
            ours: true,
            command: if query.is_empty() { "Sleep" } else { "Query" }.into(),
            stage: String::new(),
            query: query.into(),
            time_ms: 5.0,
            query_id: Some(id),
            transaction: None,
        }
    }

    pub fn registry() -> Registry {
        Registry::new(&ProbePlan {
            statements: vec![(StatementId(3), "a.b".into(), "/*dbdyno:a.b*/ SELECT 1".into())],
            ..ProbePlan::default()
        })
    }

    #[test]
    fn a_connection_that_was_met_in_our_statement_is_the_pools_from_then_on() {
        let mut registry = registry();
        let tagged = session(7, "/*dbdyno:a.b*/ SELECT 1");
        assert_eq!(registry.who(&session(7, "COMMIT")), Who::Foreign("app@10.0.0.7".into()));
        assert_eq!(registry.who(&tagged), Who::Statement(StatementId(3)));
        registry.meet(&[tagged]);
        assert_eq!(registry.who(&session(7, "commit")), Who::Control("COMMIT".into()));
        assert_eq!(registry.who(&session(7, "")), Who::Control(BETWEEN.into()));
        assert_eq!(registry.who(&session(8, "COMMIT")), Who::Foreign("app@10.0.0.7".into()));
        let unknown = session(8, "/*dbdyno:x.y*/ SELECT 1");
        assert_eq!(registry.who(&unknown), Who::Foreign("another dbdyno pool".into()));
        let elsewhere = SessionRow { ours: false, ..session(9, "/*dbdyno:a.b*/ SELECT 1") };
        assert_eq!(registry.who(&elsewhere), Who::Foreign("another dbdyno pool".into()));
    }

    #[test]
    fn a_program_is_asked_for_once() {
        let mut registry = registry();
        let sessions = [session(7, "SELECT 1"), session(8, "")];
        assert!(registry.meets_strangers(&sessions));
        registry.learn(&sessions, &[]);
        assert!(!registry.meets_strangers(&sessions));
        registry.programs.insert(7, Some("dbdyno pool".into()));
        assert_eq!(registry.who(&session(7, "START TRANSACTION")), Who::Control("START".into()));
        registry.programs.insert(7, Some("nightly".into()));
        assert_eq!(registry.who(&session(7, "SELECT 1")), Who::Foreign("nightly".into()));
    }

    #[test]
    fn the_state_tells_what_is_waited_for() {
        let waits = |stage: &str| wait_of(stage);
        assert_eq!(waits("Waiting for table metadata lock").as_deref(), Some("Lock:metadata"));
        assert_eq!(waits("Waiting for schema metadata lock").as_deref(), Some("Lock:metadata"));
        assert_eq!(waits("Waiting for table level lock").as_deref(), Some("Lock:table"));
        assert_eq!(waits("Waiting for backup lock").as_deref(), Some("Lock:global"));
        assert_eq!(waits("Waiting for table flush").as_deref(), Some("Lock:global"));
        assert_eq!(waits("Waiting for handler commit").as_deref(), Some("Wait:handler commit"));
        assert_eq!(waits("Commit").as_deref(), Some("IO:Commit"));
        assert_eq!(waits("Updating"), None);
        let transaction = TransactionRow { id: 7, waits: true, wait_started: Some(1), age_us: Some(9) };
        let row = SessionRow {
            transaction: Some(transaction),
            stage: "Updating".into(),
            ..session(7, "UPDATE t SET a = 1")
        };
        assert_eq!(row.wait().as_deref(), Some("Lock:row"));
        assert_eq!((row.state(), row.blocking_state()), ("active", "active"));
        let idle = SessionRow { transaction: Some(transaction), ..session(7, "") };
        assert_eq!((idle.state(), idle.wait()), ("idle in transaction", None));
        assert_eq!(session(7, "COMMIT").blocking_state(), "in commit");
        let seen = states(&[row, idle, session(8, ""), session(9, "SELECT 1")]);
        let expected =
            ClientStates { active: 1, lock_waiting: 1, idle: 1, idle_in_transaction: 1, hidden: 0 };
        assert_eq!(seen, expected);
    }
}
