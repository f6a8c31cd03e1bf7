//! What the server's errors mean for whoever executes, by their numbers: many of them share one SQLSTATE that says nothing.

use std::io;

use mysql_async::{DriverError, Error, IoError};
use rustls::CertificateError;

use super::packet::ServerError;
use super::settings::Settings;
use super::tls::SslMode;
use crate::db::error::SqlState;
use crate::db::{ConnectError, ExecError};

/// Errors with which the server ends a connection: a shutdown, a connection that was killed, one that was idle too long. The class of
/// all others that do is `08S01`.
const ENDS_THE_CONNECTION: [u16; 4] = [1053, 1927, 3169, 4031];
/// The transaction was rolled back to break a deadlock.
const DEADLOCK: u16 = 1213;

/// The code under which an error travels: the server's SQLSTATE, and PostgreSQL's where the server's says less than what happened,
/// so that it counts alike on every engine and a `retry` can name it.
fn code(error: &ServerError) -> SqlState {
    match error.number {
        // A time limit (MariaDB's, MySQL's), or somebody's KILL QUERY.
        1969 | 3024 | 1317 => SqlState::QUERY_CANCELED,
        // A lock was waited for too long, or not at all (NOWAIT); else HY000.
        1205 | 3572 => SqlState::new("55P03"),
        // All connections are taken, or all that the user may have. The former comes before the server tells any state.
        1040 | 1203 => SqlState::new("53300"),
        // A right is missing: on a database, a table, a column, a routine, or of the whole server; else 42000, as a mistake in the
        // syntax.
        1044 | 1142 | 1143 | 1227 | 1370 => SqlState::new("42501"),
        // A row has changed since the transaction's snapshot (MariaDB with innodb_snapshot_isolation); else HY000.
        1020 => SqlState::SERIALIZATION_FAILURE,
        // No server tells it as another; a deadlock is 40001 here.
        _ => error.state,
    }
}

/// The same of an error that the full client met; nothing where the connection itself broke.
#[must_use]
pub fn code_of(error: &Error) -> Option<SqlState> {
    let Error::Server(said) = error else { return None };
    let state = SqlState::new(&said.state);
    Some(code(&ServerError { number: said.code, state, message: String::new() }))
}

/// Whether a connection that met this error is of no use any more.
#[must_use]
pub fn ends_the_connection(error: &Error) -> bool {
    match error {
        Error::Server(said) => ENDS_THE_CONNECTION.contains(&said.code) || said.state == "08S01",
        _ => true,
    }
}

fn words(error: &ServerError) -> String {
    format!("{} (error {})", error.message, error.number)
}

/// Why an execution, or a BEGIN or COMMIT, did not succeed.
pub(super) fn executing(error: &ServerError) -> ExecError {
    let (code, message) = (code(error), words(error));
    if ENDS_THE_CONNECTION.contains(&error.number) || error.state.as_str() == "08S01" {
        ExecError::Ended { code, message }
    } else if error.number == DEADLOCK {
        // Whom it met with, the server writes down elsewhere.
        ExecError::Deadlock { code, message, waits: Vec::new() }
    } else {
        ExecError::Server { code, message }
    }
}

/// The stream broke in the middle of a request.
pub(super) fn broken(error: io::Error) -> ExecError {
    if error.kind() == io::ErrorKind::InvalidData {
        return ExecError::Protocol(error.to_string());
    }
    ExecError::Lost(error)
}

/// The server does not let us in.
pub(super) fn refused(error: &ServerError, address: &str) -> ConnectError {
    ConnectError::Refused { address: address.to_owned(), code: code(error), message: words(error) }
}

/// The stream broke before anything was asked for: to the user, the server cannot be reached.
pub(super) fn lost(address: &str, error: io::Error) -> ConnectError {
    if error.kind() == io::ErrorKind::InvalidData {
        return ConnectError::Protocol { address: address.to_owned(), message: error.to_string() };
    }
    ConnectError::Unreachable { address: address.to_owned(), source: error }
}

/// Why a statement cannot be prepared.
pub(super) fn preparing(error: &ServerError, statement: &str) -> ConnectError {
    ConnectError::Prepare { statement: statement.to_owned(), code: code(error), message: words(error) }
}

/// Why the full client has no connection.
pub(super) fn connecting(error: Error, settings: &Settings) -> ConnectError {
    let address = settings.label();
    match error {
        Error::Server(mysql_async::ServerError { code, message, state }) => {
            refused(&ServerError { number: code, state: SqlState::new(&state), message }, &address)
        }
        Error::Io(IoError::Io(source)) => match of_tls(&source) {
            Some(error) => tls(address, &certificate_refused(error, settings.tls.mode)),
            None => ConnectError::Unreachable { address, source },
        },
        Error::Io(IoError::Tls(error)) => tls(address, &error.to_string()),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => no_tls(address),
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            ConnectError::Authentication { address, method: format!("`{name}`") }
        }
        error => ConnectError::Protocol { address, message: error.to_string() },
    }
}

/// A certificate that is not accepted comes as an error of the stream.
fn of_tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What is wrong with a certificate. That the full client wants it to name the host is news to who asked for `verify-ca`.
fn certificate_refused(error: &rustls::Error, mode: SslMode) -> String {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    match error {
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })
            if mode == SslMode::VerifyCa =>
        {
            format!(
                "{error}; with verify-ca the pool does not ask for the name, and dbdyno's other connections do: they need a \
                 certificate that names the host as a subjectAltName"
            )
        }
        error => error.to_string(),
    }
}

pub(super) fn tls(address: String, why: &str) -> ConnectError {
    ConnectError::Tls { address, message: format!("{why} (ssl-mode and ssl-ca decide what is accepted)") }
}

pub(super) fn no_tls(address: String) -> ConnectError {
    let message = "the server does not offer it (ssl-mode=disabled connects without)".to_owned();
    ConnectError::Tls { address, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::mysql::Environment;

    fn told(number: u16, state: &str) -> ExecError {
        executing(&ServerError { number, state: SqlState::new(state), message: "words".to_owned() })
    }

    #[test]
    fn errors_count_by_what_happened() {
        for (number, state, code) in [
            (1062, "23000", "23000"),
            (1213, "40001", "40001"),
            (1020, "HY000", "40001"),
            (1205, "HY000", "55P03"),
            (1969, "70100", "57014"),
            (3024, "HY000", "57014"),
            (1317, "70100", "57014"),
            (1142, "42000", "42501"),
            (1064, "42000", "42000"),
            (1364, "HY000", "HY000"),
        ] {
            let error = told(number, state);
            assert_eq!((error.code(), error.session_survives()), (code, true), "{number}");
            assert!(error.to_string().contains(&format!("words (error {number})")), "{error}");
        }
        for (number, state) in [(1053, "08S01"), (1927, "70100"), (4031, "HY000"), (1153, "08S01")] {
            assert!(matches!(told(number, state), ExecError::Ended { .. }), "{number}");
        }
    }

    #[test]
    fn a_refusal_at_connect_says_what_helps() {
        // Before the handshake the server tells no state.
        let full = refused(&ServerError::parse(b"\xff\x10\x04Too many connections"), "h:3306");
        assert_eq!(full.code(), "53300", "as on every engine");
        assert!(full.hint().is_some_and(|hint| hint.contains("--pool-size")), "{full}");
        let no_right = b"\xff\x76\x04#42000SELECT command denied to user 'app'@'h' for table `shop`.`orders`";
        let no_right = preparing(&ServerError::parse(no_right), "browse.look");
        assert!(no_right.hint().is_some_and(|hint| hint.contains("GRANT")), "{no_right}");
    }

    #[test]
    fn verify_ca_is_told_where_a_name_is_wanted_nevertheless() {
        let of = |error: CertificateError, mode: &str| {
            let url = format!("mysql://me@h?ssl-ca=/ca.pem&ssl-mode={mode}");
            let settings = Settings::from_url_in(&url, &Environment::empty()).expect("settings");
            let error = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error));
            let told = connecting(Error::Io(IoError::Io(error)), &settings);
            assert!(matches!(told, ConnectError::Tls { .. }), "{told}");
            told.to_string().contains("subjectAltName")
        };
        assert!(of(CertificateError::NotValidForName, "verify-ca"));
        assert!(!of(CertificateError::NotValidForName, "verify-identity"), "it was asked for");
        assert!(!of(CertificateError::UnknownIssuer, "verify-ca"), "that is another matter");
    }
}
