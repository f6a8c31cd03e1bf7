//! What `mysql_async` calls an error, by what one can do about it.

use std::io;

use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::db::error::SqlState;
use crate::db::{ConnectError, ExecError};

/// Errors with which the server ends a connection: shutdown, a connection that was killed, one that was idle too long.
const ENDS_THE_CONNECTION: [u16; 4] = [1053, 1927, 3169, 4031];

/// Why an execution, or a BEGIN or COMMIT, did not succeed.
pub(super) fn executing(error: Error) -> ExecError {
    match error {
        Error::Server(ServerError { code, message, state }) => {
            let message = format!("{message} (error {code})");
            let state = SqlState::new(&state);
            if ENDS_THE_CONNECTION.contains(&code) {
                ExecError::Ended { code: state, message }
            } else {
                ExecError::Server { code: state, message }
            }
        }
        Error::Io(IoError::Io(error)) => ExecError::Lost(error),
        Error::Driver(DriverError::ConnectionClosed) => {
            ExecError::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"))
        }
        error => ExecError::Protocol(error.to_string()),
    }
}

/// Why there is no connection.
pub(super) fn connecting(error: Error, address: String) -> ConnectError {
    match error {
        Error::Server(ServerError { code, message, state }) => {
            let message = format!("{message} (error {code})");
            ConnectError::Refused { address, code: SqlState::new(&state), message }
        }
        Error::Io(IoError::Io(source)) => ConnectError::Unreachable { address, source },
        error => ConnectError::Protocol { address, message: error.to_string() },
    }
}

/// Why a statement cannot be prepared.
pub(super) fn preparing(error: Error, statement: String, address: impl FnOnce() -> String) -> ConnectError {
    match error {
        Error::Server(ServerError { code, message, state }) => {
            let message = format!("{message} (error {code})");
            ConnectError::Prepare { statement, code: SqlState::new(&state), message }
        }
        error => connecting(error, address()),
    }
}
