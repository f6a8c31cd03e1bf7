//! What can go wrong between us and a server, by what one can do about it.

use std::fmt;

use crate::units::BackendId;

/// Five characters that say what kind of error it was, from the SQL standard or the server's own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// Duplicate key.
    pub const UNIQUE_VIOLATION: Self = Self(*b"23505");
    /// Serialization failure: retry.
    pub const SERIALIZATION_FAILURE: Self = Self(*b"40001");
    /// Deadlock: retry.
    pub const DEADLOCK: Self = Self(*b"40P01");
    /// The connection broke.
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    /// No connection could be made.
    pub const CANNOT_CONNECT: Self = Self(*b"08001");
    /// The server said something that the protocol does not allow.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// A statement ran into its time limit, or was cancelled.
    pub const QUERY_CANCELED: Self = Self(*b"57014");

    /// Reads the five characters; anything else becomes `XX000`, the server's word for "internal error".
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.as_bytes().try_into().unwrap_or(*b"XX000"))
    }

    /// The five characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a statement, or a BEGIN or COMMIT, did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The server refused it, and the connection goes on.
    #[error("{message} (SQLSTATE {code})")]
    Server {
        /// Its code.
        code: SqlState,
        /// Its words.
        message: String,
    },
    /// The server broke a deadlock by refusing it, and the connection goes on.
    #[error("{message} (SQLSTATE {code})")]
    Deadlock {
        /// Its code: that of PostgreSQL, or the one that MariaDB and MySQL share with serialization failures.
        code: SqlState,
        /// Its words.
        message: String,
        /// Who waited for whom, this connection first; empty where the server did not tell.
        waits: Vec<DeadlockWait>,
    },
    /// The server refused it and ended the connection (`FATAL`, `PANIC`): an administrator's command, a shutdown.
    #[error("the server ended the connection: {message} (SQLSTATE {code})")]
    Ended {
        /// Its code.
        code: SqlState,
        /// Its words.
        message: String,
    },
    /// The connection broke before the answer was complete: what was sent may have taken effect.
    #[error("the connection was lost: {0}")]
    Lost(#[source] std::io::Error),
    /// The server answered what the protocol does not allow here; the connection is of no more use.
    #[error("unexpected answer from the server: {0}")]
    Protocol(String),
    /// The statement promised another number of rows.
    #[error("the statement gave {got} where it promises {promised}")]
    Rows {
        /// `exactly one row`, `at most one row`
        promised: &'static str,
        /// `no row`, `more than one row`
        got: &'static str,
    },
    /// What the client itself had to do between two statements failed, or was left undone; the connection goes on.
    #[error("{message}")]
    Client {
        /// The name under which the report counts it.
        code: &'static str,
        /// What failed.
        message: String,
    },
    /// A value cannot be sent as the type of its parameter, or an output cannot be read.
    #[error("{0}")]
    Value(String),
}

impl ExecError {
    /// Nothing can be sent any more on this session.
    pub(super) fn unusable() -> Self {
        let gone = "the session was used after it broke or was left in the middle of a request";
        Self::Lost(std::io::Error::new(std::io::ErrorKind::NotConnected, gone))
    }

    /// The name under which the report counts it: a SQLSTATE, or `no_row`, `many_rows`, `bad_value`, or a client's own.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Server { code, .. } | Self::Ended { code, .. } | Self::Deadlock { code, .. } => {
                code.as_str()
            }
            Self::Lost(_) => "08006",
            Self::Protocol(_) => "08P01",
            Self::Rows { got: "no row", .. } => "no_row",
            Self::Rows { .. } => "many_rows",
            Self::Value(_) => "bad_value",
            Self::Client { code, .. } => code,
        }
    }

    /// Whether the connection can go on after it.
    #[must_use]
    pub fn session_survives(&self) -> bool {
        matches!(
            self,
            Self::Server { .. }
                | Self::Deadlock { .. }
                | Self::Rows { .. }
                | Self::Value(_)
                | Self::Client { .. }
        )
    }
}

/// One side of a deadlock, as the server tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlockWait {
    /// Who waited.
    pub waiter: BackendId,
    /// The lock that it waited for: `ShareLock`. Empty where the words do not tell.
    pub mode: String,
    /// What it is a lock on: `transaction`, `tuple`, `relation`, …. Empty where the words do not tell.
    pub object: String,
    /// For whom.
    pub blocker: BackendId,
}

/// Why no connection could be made. Every message names the remedy; none holds a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens there, or the way is barred.
    #[error("cannot reach {address}: {source}")]
    Unreachable {
        /// Host and port, or socket.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No answer in time.
    #[error("no answer from {address} within {seconds} s (set `connect_timeout` in the URL to wait longer)")]
    TimedOut {
        /// Host and port, or socket.
        address: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// TLS failed: no certificate, a wrong one, or none offered.
    #[error("TLS with {address} failed: {message}")]
    Tls {
        /// Host and port.
        address: String,
        /// What went wrong, and which setting decides it.
        message: String,
    },
    /// The server refused: wrong password, no such database, too many connections.
    #[error("{address} refused the connection: {message} (SQLSTATE {code})")]
    Refused {
        /// Host and port, or socket.
        address: String,
        /// Its code.
        code: SqlState,
        /// Its words.
        message: String,
    },
    /// A password is asked for and none was given.
    #[error(
        "{address} asks for a password and none was given (set PGPASSWORD, ~/.pgpass, or the URL's password)"
    )]
    NoPassword {
        /// Host and port, or socket.
        address: String,
    },
    /// The way of authentication is not supported.
    #[error("{address} asks for authentication by {method}, which dbdyno does not support")]
    Authentication {
        /// Host and port, or socket.
        address: String,
        /// Which way.
        method: String,
    },
    /// A statement of the workload cannot be prepared.
    #[error("cannot prepare `{statement}`: {message} (SQLSTATE {code})")]
    Prepare {
        /// The statement's text as far as the tag names it.
        statement: String,
        /// Its code.
        code: SqlState,
        /// The server's words.
        message: String,
    },
    /// What is asked for is known of another server only.
    #[error(transparent)]
    OtherServer(#[from] super::PostgresOnly),
    /// The server is not what it seems to be.
    #[error("unexpected answer from {address}: {message}")]
    Protocol {
        /// Host and port, or socket.
        address: String,
        /// What came.
        message: String,
    },
}

impl ConnectError {
    /// The name under which the report counts it.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } | Self::Prepare { code, .. } => code.as_str(),
            Self::Protocol { .. } => "08P01",
            _ => "08001",
        }
    }

    /// What to do about it, where the message itself does not say so.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { source, .. } => Some(unreachable_hint(source)),
            Self::Refused { code, message, .. } => refused_hint(code.as_str(), message),
            Self::Prepare { code, .. } => match code.as_str() {
                "42P01" | "42703" | "42883" | "3F000" | "42S02" | "42S22" => Some(
                    "is this the workload's database, and is it loaded? `dbdyno load` creates the schema and the rows"
                        .to_owned(),
                ),
                "42P05" => Some(
                    "a pooler between gives one of the server's sessions to several clients: choose `--protocol extended`, \
                     or let it know of prepared statements (PgBouncer 1.21 or newer: max_prepared_statements)"
                        .to_owned(),
                ),
                "42501" => Some("GRANT the right to the user, or connect as the owner of the tables".to_owned()),
                _ => None,
            },
            Self::TimedOut { .. } | Self::Tls { .. } | Self::NoPassword { .. } | Self::OtherServer(_) => None,
            Self::Authentication { .. } => {
                Some(
                    "of PostgreSQL dbdyno knows trust, password, md5 and scram-sha-256 (pg_hba.conf decides), of MariaDB and MySQL \
                     mysql_native_password, caching_sha2_password and client_ed25519 (CREATE USER … IDENTIFIED decides)"
                        .to_owned(),
                )
            }
            Self::Protocol { .. } => Some("is that the port of such a server?".to_owned()),
        }
    }
}

fn unreachable_hint(source: &std::io::Error) -> String {
    let out_of_files =
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
    if source.raw_os_error().is_some_and(|code| out_of_files.contains(&code)) {
        return "each connection is an open file: raise the limit (`ulimit -n`), or lower --pool-size or --instances"
            .to_owned();
    }
    match source.kind() {
        std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => {
            "is the server running, and does it listen on that host and port? (`-t local` starts a throwaway one)"
        }
        std::io::ErrorKind::PermissionDenied => "may this user open the server's socket?",
        _ => "is the host name right, and does the network reach it?",
    }
    .to_owned()
}

/// What helps where the server's connections are all taken.
const TOO_MANY: &str =
    "lower --pool-size or --instances, or raise the server's max_connections; probes need connections too";

fn refused_hint(code: &str, message: &str) -> Option<String> {
    // MariaDB and MySQL tell their errors apart by number, and share a few codes among all of them.
    let number = message.rsplit_once("(error ").and_then(|(_, rest)| rest.strip_suffix(')')?.parse().ok());
    match number {
        Some(number) => refused_hint_by_number(number, message),
        None => refused_hint_by_code(code, message),
    }
}

/// MariaDB's and MySQL's.
fn refused_hint_by_number(number: u16, message: &str) -> Option<String> {
    Some(match number {
        1040 => TOO_MANY.to_owned(),
        1203 => {
            "lower --pool-size or --instances, or raise the server's max_user_connections; probes need connections too".to_owned()
        }
        1044 => "GRANT the user rights on the database, or name another one in the URL".to_owned(),
        1045 => {
            "check the user and the password (MYSQL_PWD, ~/.my.cnf, or the URL's password), and that the account may come from \
             this host"
                .to_owned()
        }
        1049 => {
            // Unknown database 'shop'
            let name = message.split('\'').nth(1).unwrap_or("NAME");
            format!("create it with `CREATE DATABASE {name}`, or name another database in the URL")
        }
        1698 => "this account logs in by the server's socket only, and dbdyno connects by TCP: make one with a password \
                 (`CREATE USER … IDENTIFIED BY …`) and name it in the URL"
            .to_owned(),
        _ => return None,
    })
}

/// PostgreSQL's.
fn refused_hint_by_code(code: &str, message: &str) -> Option<String> {
    Some(match code {
        "28P01" => {
            "check the user and the password (PGPASSWORD, ~/.pgpass, or the URL's password)".to_owned()
        }
        // role "root" does not exist
        "28000" if message.starts_with("role ") => {
            "name a user that the server has: postgres://USER@HOST/DATABASE, or PGUSER".to_owned()
        }
        "28000" => {
            "pg_hba.conf must allow this user, database and address; `sslmode` decides about TLS".to_owned()
        }
        "3D000" => {
            // The server's words are the only place that names it: database "shop" does not exist.
            let name = message.split('"').nth(1).unwrap_or("NAME");
            format!("create it with `createdb {name}`, or name another database in the URL")
        }
        "53300" => TOO_MANY.to_owned(),
        "57P03" => "the server is starting up or shutting down: try again in a moment".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, message: &str) -> ConnectError {
        ConnectError::Refused {
            address: "h:5432".to_owned(),
            code: SqlState::new(code),
            message: message.to_owned(),
        }
    }

    #[test]
    fn hints_name_what_helps() {
        let missing = refused("3D000", "database \"shop\" does not exist").hint().expect("a hint");
        assert!(missing.contains("createdb shop"), "{missing}");
        let full = refused("53300", "sorry, too many clients already").hint().expect("a hint");
        assert!(full.contains("--pool-size"), "{full}");
        assert!(refused("28P01", "").hint().expect("a hint").contains("PGPASSWORD"));
        let denied = refused("28000", "Access denied for user 'u'@'h' (using password: YES) (error 1045)");
        assert!(denied.hint().expect("a hint").contains("MYSQL_PWD"));
        let missing = refused("42000", "Unknown database 'shop' (error 1049)").hint().expect("a hint");
        assert!(missing.contains("CREATE DATABASE shop"), "{missing}");
        let full = refused("53300", "Too many connections (error 1040)").hint().expect("a hint");
        assert!(full.contains("--pool-size") && full.contains("max_connections"), "{full}");
        let of_user = "User app already has more than 'max_user_connections' active connections (error 1203)";
        assert!(refused("53300", of_user).hint().expect("a hint").contains("max_user_connections"));
        let by_socket = refused("28000", "Access denied for user 'root'@'localhost' (error 1698)").hint();
        let by_socket = by_socket.expect("a hint");
        assert!(by_socket.contains("CREATE USER") && !by_socket.contains("pg_hba.conf"), "{by_socket}");
        let unknown = refused("28000", "Access denied because of something new (error 9999)");
        assert_eq!(unknown.hint(), None, "what helps a PostgreSQL does not help here");
        let no_role = refused("28000", "role \"root\" does not exist").hint().expect("a hint");
        assert!(no_role.contains("PGUSER"), "{no_role}");
        assert!(refused("28000", "no pg_hba.conf entry").hint().expect("a hint").contains("pg_hba.conf"));
        assert_eq!(refused("XX000", "").hint(), None);
        let prepare = ConnectError::Prepare {
            statement: "checkout.insert_order".to_owned(),
            code: SqlState::new("42P01"),
            message: "relation \"orders\" does not exist".to_owned(),
        };
        assert!(prepare.hint().expect("a hint").contains("dbdyno load"));
        let pooled = ConnectError::Prepare {
            statement: "checkout.insert_order".to_owned(),
            code: SqlState::new("42P05"),
            message: "prepared statement \"d0\" already exists".to_owned(),
        };
        assert!(pooled.hint().expect("a hint").contains("--protocol extended"));
        let closed = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let unreachable = ConnectError::Unreachable { address: "h:1".to_owned(), source: closed };
        assert!(unreachable.hint().expect("a hint").contains("is the server running"));
        let files = std::io::Error::from(rustix::io::Errno::MFILE);
        let unreachable = ConnectError::Unreachable { address: "h:1".to_owned(), source: files };
        assert!(unreachable.hint().expect("a hint").contains("ulimit -n"));
    }
}
