//! One session as the process list shows it, and whose it is. Pure but for the questions themselves.
//!
//! The list knows no application names. A session is the measured pool's when it was seen in a statement with one of our tags, or
//! when `performance_schema` says that its program is `dbdyno pool`; what it does between its statements counts as the pool's
//! from then on.
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
//! | `Commit`, `waiting for handler commit` (MySQL), `Writing to binlog`, `Waiting for prior transaction to commit` | `IO:Commit` |
//! | `User sleep` | `Timeout:UserSleep` |
//! | `Waiting …`, of another kind | `Wait:…`, by its words |
//! | any other | none: it runs, or could run, or reads from files, which the list does not tell apart |

use std::collections::{HashMap, HashSet};

use mysql_async::Row;

use super::link::{count, float, is_true, probe_tag, text};
use crate::probe::ProbePlan;
use crate::probe::whose::{POOL, Tags, first_word};
use crate::record::observation::{Session, Who};
use crate::record::pulse::ClientStates;
use crate::sql::tag::tag_of;
use crate::units::{BackendId, StatementId};

/// Connections whose owner is remembered; beyond it all are forgotten and learnt anew.
const KNOWN_MAX: usize = 20_000;
/// What a lock wait is called: every wait for one begins so.
const LOCK: &str = "Lock:";
/// Wait for a row of InnoDB, or for a table of it.
pub const ROW_WAIT: &str = "Lock:row";
/// Wait for a metadata lock.
pub const METADATA_WAIT: &str = "Lock:metadata";
/// The command of who does nothing, and those that execute a text.
const SLEEPS: &str = "Sleep";
const OF_A_TEXT: [&str; 2] = ["Query", "Execute"];
/// What a session of the pool is in when it has its transaction open and no statement.
const BETWEEN: &str = "(between statements)";

macro_rules! sessions {
    ($clock:literal) => {
        concat!(
            probe_tag!(),
            "SELECT p.ID AS id, p.USER AS user, p.HOST AS host, p.DB = DATABASE() AS ours, p.COMMAND AS command, ",
            "p.STATE AS state, LEFT(p.INFO, 300) AS query, ",
            $clock,
            ", t.trx_id IS NOT NULL AS in_transaction, t.trx_query IS NOT NULL AS executes, ",
            "t.trx_state = 'LOCK WAIT' AS waits, ",
            "CRC32(CONCAT(t.trx_wait_started, ' ', t.trx_requested_lock_id)) AS wait_mark, ",
            "TIMESTAMPDIFF(SECOND, t.trx_started, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')) AS age_s ",
            "FROM information_schema.PROCESSLIST AS p ",
            "LEFT JOIN information_schema.INNODB_TRX AS t ON t.trx_mysql_thread_id = p.ID ",
            "WHERE p.COMMAND <> 'Daemon' AND p.ID <> CONNECTION_ID() ",
            "AND COALESCE(p.INFO, '') NOT LIKE '/*dbdyno probe*/%'"
        )
    };
}

/// MariaDB 10.11: all sessions with the transactions that they have open. Since when the statement runs, to the millisecond, and
/// its number.
///
/// The server makes both lists for one answer, one right behind the other; of two questions the second would come a round trip
/// later, and show many sessions in another statement than their transaction. InnoDB makes its list at most ten times a second,
/// and holds all of its transactions up meanwhile. When a transaction began it tells in whole seconds and in the time zone of its
/// process, whichever that of the session is.
pub const SESSIONS_OF_MARIADB: &str = sessions!("p.TIME_MS AS time_ms, p.QUERY_ID AS query_id");
/// MySQL 8 the same, which tells whole seconds that are cut: the statement may run for one more. It has no number: that of its transaction
/// stands for it, whose waits are told apart by what each is for.
pub const SESSIONS_OF_MYSQL: &str = sessions!("(p.TIME + 1) * 1000 AS time_ms, t.trx_id AS query_id");

/// MariaDB and MySQL, where `performance_schema` is on.
pub const PROGRAMS: &str = concat!(
    probe_tag!(),
    "SELECT PROCESSLIST_ID AS id, ATTR_VALUE AS program FROM performance_schema.session_connect_attrs ",
    "WHERE ATTR_NAME = 'program_name'"
);

/// What InnoDB's list says of a session's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionRow {
    /// Whether it waits for a row.
    pub waits: bool,
    /// What tells this wait from its others: the second since which it waits, and the lock that it wants, in one number.
    pub wait: Option<u64>,
    /// For how long it is open, in microseconds, down to the second: 0 is less than one.
    pub age_us: Option<u64>,
}

impl TransactionRow {
    /// Reads the transaction of a row of the process list, if there is one. `is_active` is what that list says of the session.
    fn read(row: &Row, is_active: bool) -> Option<Self> {
        let told = Self {
            waits: is_true(row, "waits"),
            wait: count(row, "wait_mark"),
            // Negative where it began in the second that follows the clock's.
            age_us: text(row, "age_s").and_then(|age| age.parse::<i64>().ok()).map(micros),
        };
        told.of(is_active, is_true(row, "in_transaction"), is_true(row, "executes"))
    }

    /// Itself where it is the session's. Who sleeps in one list and executes in the other has ended a statement between the two, or
    /// begun one: mostly the statement was all of the transaction, so that nothing was kept open.
    fn of(self, is_active: bool, is_open: bool, executes: bool) -> Option<Self> {
        (is_open && (is_active || !executes)).then_some(self)
    }

    /// Both transactions of a session as one.
    fn and(self, other: Self) -> Self {
        Self {
            waits: self.waits || other.waits,
            wait: self.wait.or(other.wait),
            age_us: self.age_us.max(other.age_us),
        }
    }
}

fn micros(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000)
}

/// All sessions of an answer. Who has two transactions, as in an ALTER TABLE, comes twice.
pub fn read_all(rows: &[Row]) -> Vec<SessionRow> {
    let mut places: HashMap<u64, usize> = HashMap::with_capacity(rows.len());
    let mut sessions: Vec<SessionRow> = Vec::with_capacity(rows.len());
    for session in rows.iter().filter_map(SessionRow::read) {
        let place = *places.entry(session.id).or_insert(sessions.len());
        match sessions.get_mut(place) {
            None => sessions.push(session),
            Some(known) => {
                known.transaction = match (known.transaction, session.transaction) {
                    (Some(one), Some(other)) => Some(one.and(other)),
                    (one, other) => one.or(other),
                };
            }
        }
    }
    sessions
}

/// Age of the oldest transaction, in microseconds.
pub fn oldest_transaction_us(sessions: &[SessionRow]) -> Option<u64> {
    sessions.iter().filter_map(|session| session.transaction?.age_us).max()
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
    /// The statement's number, or that of its transaction, where the server tells either.
    pub query_id: Option<u64>,
    /// Its transaction, if one is open.
    pub transaction: Option<TransactionRow>,
}

impl SessionRow {
    /// Reads one row of the process list.
    fn read(row: &Row) -> Option<Self> {
        let id = count(row, "id")?;
        let host = text(row, "host").unwrap_or_default();
        let command = text(row, "command").unwrap_or_default();
        let query = text(row, "query").unwrap_or_default();
        // At the end of a statement MySQL forgets its text, and only then what kind of command it was: in between nothing is executed.
        let command = if query.is_empty() && OF_A_TEXT.contains(&command.as_str()) {
            SLEEPS.to_owned()
        } else {
            command
        };
        let transaction = TransactionRow::read(row, is_active(&command));
        Some(Self {
            id,
            account: format!("{}@{}", text(row, "user").unwrap_or_default(), machine(&host)),
            ours: is_true(row, "ours"),
            command,
            stage: text(row, "state").unwrap_or_default(),
            query,
            time_ms: float(row, "time_ms").unwrap_or(0.0),
            query_id: count(row, "query_id"),
            transaction,
        })
    }

    /// Whether it executes something.
    pub fn is_active(&self) -> bool {
        is_active(&self.command)
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

/// Whether a command of the process list executes something.
fn is_active(command: &str) -> bool {
    ![SLEEPS, "Connect", "Binlog Dump"].contains(&command)
}

/// The machine of `machine:port`: the port tells connections apart, not who they are. Who comes by the socket has none, and an
/// address of IPv6 stands without brackets.
fn machine(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(machine, _)| machine)
}

/// What a state of the process list waits for: see the table above.
pub fn wait_of(stage: &str) -> Option<String> {
    let wait = match stage {
        "User lock" => "Lock:user",
        "User sleep" => "Timeout:UserSleep",
        "Commit"
        | "waiting for handler commit"
        | "Writing to binlog"
        | "Waiting for prior transaction to commit" => "IO:Commit",
        "Waiting for table level lock" => "Lock:table",
        _ if !stage.starts_with("Waiting ") => return None,
        _ if stage.ends_with("metadata lock") => METADATA_WAIT,
        _ if stage.contains("lock") || stage.contains("flush") => "Lock:global",
        _ => return Some(format!("Wait:{}", stage["Waiting ".len()..].trim_start_matches("for "))),
    };
    Some(wait.to_owned())
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
    tags: Tags,
    /// Connections that were seen in a statement of ours.
    pool: HashSet<u64>,
    /// Program names by connection; without one where the server tells none.
    programs: HashMap<u64, Option<String>>,
}

impl Registry {
    /// The statements of a plan.
    pub fn new(plan: &ProbePlan) -> Self {
        Self { tags: Tags::new(plan), pool: HashSet::new(), programs: HashMap::new() }
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
        self.tags.statement(&session.query).filter(|_| session.ours)
    }

    fn program(&self, id: u64) -> Option<&str> {
        self.programs.get(&id).and_then(Option::as_deref)
    }

    /// Whose session a row shows.
    pub fn who(&self, session: &SessionRow) -> Who {
        self.who_executes(session.id, &session.account, session.ours, &session.query)
    }

    /// Whose a connection is: its number, its account, whether it works in the database under test, and what it executes, which is
    /// empty between statements.
    pub fn who_executes(&self, id: u64, account: &str, ours: bool, query: &str) -> Who {
        if let Some(statement) = self.tags.statement(query).filter(|_| ours) {
            return Who::Statement(statement);
        }
        if account.starts_with("system user@") {
            return Who::Server("replica".to_owned());
        }
        let of_pool = self.program(id).is_some_and(|program| program.starts_with(POOL));
        match (of_pool || self.pool.contains(&id), tag_of(query)) {
            (true, None) if ours && query.is_empty() => Who::Control(BETWEEN.to_owned()),
            (true, None) if ours => Who::Control(first_word(query)),
            (true, _) | (false, Some(_)) => Who::Foreign("another dbdyno pool".to_owned()),
            (false, None) => Who::Foreign(self.program(id).unwrap_or(account).to_owned()),
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
    fn who_sleeps_has_a_transaction_open_only_if_innodb_saw_him_sleep_as_well() {
        let told = TransactionRow { waits: false, wait: None, age_us: Some(0) };
        for (is_active, is_open, executes, expected) in [
            (false, true, false, Some(told)),
            // His only statement ended between the two lists.
            (false, true, true, None),
            (true, true, true, Some(told)),
            (true, true, false, Some(told)),
            (true, false, false, None),
        ] {
            assert_eq!(told.of(is_active, is_open, executes), expected);
        }
    }

    #[test]
    fn two_transactions_of_one_session_are_as_old_as_the_older() {
        let one = TransactionRow { waits: false, wait: None, age_us: Some(7) };
        let other = TransactionRow { waits: true, wait: Some(3), age_us: None };
        let both = TransactionRow { waits: true, wait: Some(3), age_us: Some(7) };
        assert_eq!((one.and(other), other.and(one)), (both, both));
        assert_eq!((micros(-1), micros(2)), (0, 2_000_000));
    }

    #[test]
    fn a_machine_is_known_without_the_port_of_its_connection() {
        for (host, expected) in [
            ("10.0.0.7:53422", "10.0.0.7"),
            ("2001:db8::7:53422", "2001:db8::7"),
            ("::1:53422", "::1"),
            ("db.example:53422", "db.example"),
            ("localhost", "localhost"),
            ("", ""),
        ] {
            assert_eq!(machine(host), expected);
        }
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
        assert_eq!(waits("Waiting for work from SQL thread").as_deref(), Some("Wait:work from SQL thread"));
        for commits in ["Commit", "waiting for handler commit"] {
            assert_eq!(waits(commits).as_deref(), Some("IO:Commit"));
        }
        assert_eq!(waits("Updating"), None);
        let transaction = TransactionRow { waits: true, wait: Some(1), age_us: Some(9) };
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
