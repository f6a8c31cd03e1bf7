//! What is done to a loaded database between two measurements, so that the second begins as the first did.

use mysql_async::Error;

use super::server::{failed, spoken};
use crate::dataset::DatasetError;
use crate::db::mysql::{Client, quoted_name, set_session};

/// Why no checkpoint is made between two measurements.
pub const NO_CHECKPOINT: &str = "this server writes its pages back bit by bit, and has no statement for a checkpoint: that work may fall \
                                 into any slice";

/// Whether sessions of this user can set this, by the words with which a measured session does it. What is set is set back at once.
/// The inner error is what the server has against it.
pub async fn check_session_setting(
    client: &Client,
    name: &str,
    value: &str,
) -> Result<Result<(), String>, DatasetError> {
    let name_in_sql = quoted_name(name);
    let statements = [
        format!("SET @dbdyno_before = @@SESSION.{name_in_sql}"),
        set_session(name, value),
        format!("SET SESSION {name_in_sql} = @dbdyno_before"),
    ];
    for sql in statements {
        match client.run(&sql).await {
            Ok(_) => {}
            Err(Error::Server(said)) => return Ok(Err(spoken(&said))),
            Err(error) => return Err(failed(format!("ask for the setting {name}"))(error)),
        }
    }
    Ok(Ok(()))
}

/// Runs one statement outside of a transaction. The inner error is what the server has against it.
pub async fn run_statement(client: &Client, sql: &str) -> Result<Result<(), String>, DatasetError> {
    match client.run(sql).await {
        Ok(_) => Ok(Ok(())),
        Err(Error::Server(said)) => Ok(Err(spoken(&said))),
        Err(error) => Err(failed("run the script of an arm")(error)),
    }
}
