//! What a session is asked for besides statements, in SQL: how it begins, START TRANSACTION with its modes and settings, COMMIT,
//! ROLLBACK. Each is one text, and so one round trip.

use std::time::Duration;

use super::literal::put_quoted;
use crate::db::{Begin, Control, ExecError, IsolationLevel, SessionOptions};
use crate::sql::quoting::backquoted;

/// What every session begins with.
const ALWAYS: [&str; 4] = [
    "SET NAMES utf8mb4",
    "SET SESSION autocommit = 1",
    // Every instant travels in UTC.
    "SET SESSION time_zone = '+00:00'",
    // As in PostgreSQL, a value that does not fit is an error and not another value.
    "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES')",
];
/// What is asked behind it.
const PACKET_MAX: &str = "SELECT @@SESSION.max_allowed_packet";
/// And behind that on MariaDB, which may be built without one.
const QUERY_CACHE: &str = "SHOW SESSION VARIABLES LIKE 'query_cache_type'";

/// What a session begins with; it answers with the longest packet that the server takes and, on MariaDB, with a row that tells whether the
/// query cache answers. `begin_with` is what the user sets.
pub(super) fn beginning(
    begin_with: &[(String, String)],
    statement_timeout: Option<Duration>,
    is_mariadb: bool,
) -> String {
    let mut parts: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    parts.extend(statement_timeout.map(|limit| limit_statements(limit, is_mariadb)));
    parts.extend(begin_with.iter().map(|(name, value)| format!("SET {}", assignment(name, value))));
    parts.push(PACKET_MAX.to_owned());
    parts.extend(is_mariadb.then(|| QUERY_CACHE.to_owned()));
    parts.join("; ")
}

/// MariaDB ends every statement that takes longer, MySQL only a SELECT.
fn limit_statements(limit: Duration, is_mariadb: bool) -> String {
    // Zero would be no limit.
    let limit_ms = limit.as_micros().div_ceil(1000).max(1);
    if is_mariadb {
        format!("SET SESSION max_statement_time = {}.{:03}", limit_ms / 1000, limit_ms % 1000)
    } else {
        format!("SET SESSION max_execution_time = {limit_ms}")
    }
}

/// ``SESSION `name` = value``. Neither can be anything else, whatever they are; a number is not quoted, since the server takes none
/// that is.
fn assignment(name: &str, value: &str) -> String {
    format!("SESSION {} = {}", quoted_name(name), quoted_value(value))
}

/// A setting's name as SQL reads it whatever is in it; a point parts it.
#[must_use]
pub fn quoted_name(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(backquoted).collect();
    parts.join(".")
}

fn quoted_value(value: &str) -> String {
    let is_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && value.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number || value.eq_ignore_ascii_case("default") {
        return value.to_owned();
    }
    let mut quoted = Vec::new();
    put_quoted(value.as_bytes(), true, &mut quoted);
    String::from_utf8_lossy(&quoted).into_owned()
}

/// ``SET SESSION `name` = value``: a setting that holds until the end of the session, or until it is set again.
#[must_use]
pub fn set_session(name: &str, value: &str) -> String {
    format!("SET {}", assignment(name, value))
}

/// The settings of transactions. The server has none that end with a transaction: they are set before it begins and set back behind
/// its end, each in the same round trip.
pub(super) struct Controls {
    lists: Vec<Borrowed>,
}

/// A list of settings.
pub(super) struct Borrowed {
    /// Remembers what is set and sets another value: all of them, or none.
    pub(super) set: String,
    /// Sets what was remembered.
    pub(super) restore: String,
}

impl Controls {
    pub(super) fn new(options: &SessionOptions) -> Self {
        Self { lists: options.settings.iter().map(|list| Borrowed::new(list)).collect() }
    }

    /// All lists of settings, to be tried.
    pub(super) fn lists(&self) -> &[Borrowed] {
        &self.lists
    }

    /// Appends its text; `borrowed` is the list that the open transaction has set. False where there is nothing to do.
    pub(super) fn put(
        &self,
        what: Control,
        borrowed: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ExecError> {
        match what {
            Control::Begin(begin) => self.put_begin(begin, out)?,
            Control::Commit => out.extend_from_slice(b"COMMIT"),
            Control::Rollback => out.extend_from_slice(b"ROLLBACK"),
            // The server counts at once.
            Control::FlushStatistics => return Ok(false),
        }
        if let Some(list) = borrowed
            && !matches!(what, Control::Begin(_))
        {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(self.lists[list].restore.as_bytes());
        }
        Ok(true)
    }

    /// The isolation is that of the next transaction.
    fn put_begin(&self, begin: Begin, out: &mut Vec<u8>) -> Result<(), ExecError> {
        if begin.deferrable {
            let message = "`deferrable` is PostgreSQL's: this server has no such transactions";
            return Err(ExecError::Value(message.to_owned()));
        }
        if let Some(list) = begin.settings {
            out.extend_from_slice(self.lists[list].set.as_bytes());
            out.extend_from_slice(b"; ");
        }
        let isolation: &[u8] = match begin.isolation {
            None => b"",
            Some(IsolationLevel::ReadCommitted) => b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ",
            Some(IsolationLevel::RepeatableRead) => b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ",
            Some(IsolationLevel::Serializable) => b"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; ",
        };
        out.extend_from_slice(isolation);
        out.extend_from_slice(b"START TRANSACTION");
        if begin.read_only {
            out.extend_from_slice(b" READ ONLY");
        }
        Ok(())
    }
}

impl Borrowed {
    fn new(list: &[(String, String)]) -> Self {
        let mut set = Vec::new();
        let mut restore = Vec::new();
        for (at, (name, value)) in list.iter().enumerate() {
            let name_in_sql = quoted_name(name);
            set.push(format!("@dbdyno_{at} = @@SESSION.{name_in_sql}, {}", assignment(name, value)));
            restore.push(format!("SESSION {name_in_sql} = @dbdyno_{at}"));
        }
        if list.is_empty() {
            // Nothing to set is a statement as well.
            return Self { set: "DO 0".to_owned(), restore: "DO 0".to_owned() };
        }
        Self { set: format!("SET {}", set.join(", ")), restore: format!("SET {}", restore.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn settings_are_quoted() {
        for (name, value, expected) in [
            ("sort_buffer_size", "262144", "SET SESSION `sort_buffer_size` = 262144"),
            ("long_query_time", "0.5", "SET SESSION `long_query_time` = 0.5"),
            ("optimizer_switch", "mrr=on", "SET SESSION `optimizer_switch` = 'mrr=on'"),
            ("a`; DROP", "it's \\", "SET SESSION `a``; DROP` = 'it''s \\\\'"),
            ("hot.key_buffer_size", "DEFAULT", "SET SESSION `hot`.`key_buffer_size` = DEFAULT"),
            ("x", "nan", "SET SESSION `x` = 'nan'"),
        ] {
            assert_eq!(set_session(name, value), expected);
        }
    }

    #[test]
    fn a_session_begins_with_its_limits() {
        let limit = Some(Duration::from_micros(1_500_100));
        let mariadb = beginning(&[setting("sort_buffer_size", "65536")], limit, true);
        assert!(mariadb.contains("max_statement_time = 1.501"), "{mariadb}");
        assert!(
            mariadb.contains(
                "SET SESSION `sort_buffer_size` = 65536; SELECT @@SESSION.max_allowed_packet; SHOW"
            )
        );
        assert!(beginning(&[], limit, false).contains("max_execution_time = 1501"));
        assert!(!beginning(&[], None, true).contains("max_statement_time"));
        assert!(beginning(&[], None, false).ends_with(PACKET_MAX), "MySQL has no query cache");
    }

    #[test]
    fn a_transaction_begins_and_ends_with_its_modes_and_settings() {
        let options = SessionOptions {
            settings: vec![vec![setting("sort_buffer_size", "65536"), setting("sql_mode", "")]].into(),
            ..SessionOptions::default()
        };
        let controls = Controls::new(&options);
        let text = |what: Control, borrowed: Option<usize>| {
            let mut out = Vec::new();
            assert!(controls.put(what, borrowed, &mut out).expect("it is known"));
            String::from_utf8(out).expect("text")
        };
        let begin = Begin {
            isolation: Some(IsolationLevel::Serializable),
            read_only: true,
            deferrable: false,
            settings: Some(0),
        };
        assert_eq!(
            text(Control::Begin(begin), Some(0)),
            "SET @dbdyno_0 = @@SESSION.`sort_buffer_size`, SESSION `sort_buffer_size` = 65536, \
             @dbdyno_1 = @@SESSION.`sql_mode`, SESSION `sql_mode` = ''; \
             SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION READ ONLY"
        );
        assert_eq!(
            text(Control::Rollback, Some(0)),
            "ROLLBACK; SET SESSION `sort_buffer_size` = @dbdyno_0, SESSION `sql_mode` = @dbdyno_1"
        );
        assert_eq!(text(Control::Begin(Begin::default()), None), "START TRANSACTION");
        assert_eq!(text(Control::Commit, None), "COMMIT");
        assert!(!controls.put(Control::FlushStatistics, None, &mut Vec::new()).expect("nothing to do"));
        let deferrable = Control::Begin(Begin { deferrable: true, ..Begin::default() });
        controls.put(deferrable, None, &mut Vec::new()).expect_err("it is PostgreSQL's");
    }
}
