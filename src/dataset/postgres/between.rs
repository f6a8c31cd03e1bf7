//! What is done to a loaded database between two measurements, so that the second begins as the first did.

use super::server::{code, failed, words};
use crate::dataset::DatasetError;
use crate::db::postgres::Client;

/// `insufficient_privilege`
const NO_RIGHT: &str = "42501";

/// Whether sessions of this user can set this, without setting anything. The inner error is what the server has against it.
pub async fn check_session_setting(
    client: &Client,
    name: &str,
    value: &str,
) -> Result<Result<(), String>, DatasetError> {
    // It holds until the end of the transaction, which is this statement.
    let set = client.query("SELECT pg_catalog.set_config($1, $2, true)", &[&name, &value]).await;
    match set {
        Ok(_) => Ok(Ok(())),
        Err(error) if error.as_db_error().is_some() => Ok(Err(words(&error))),
        Err(error) => Err(failed(format!("ask for the setting {name}"))(error)),
    }
}

/// Runs one statement outside of a transaction. The inner error is what the server has against it.
pub async fn run_statement(client: &Client, sql: &str) -> Result<Result<(), String>, DatasetError> {
    match client.batch_execute(sql).await {
        Ok(()) => Ok(Ok(())),
        Err(error) if error.as_db_error().is_some() && !client.is_closed() => Ok(Err(words(&error))),
        Err(error) => Err(failed("run the script of an arm")(error)),
    }
}

/// Makes a checkpoint, and waits for its end. The inner error says why none is made, for a person.
pub async fn checkpoint(client: &Client) -> Result<Result<(), &'static str>, DatasetError> {
    match client.batch_execute("CHECKPOINT").await {
        Ok(()) => Ok(Ok(())),
        Err(error) if code(&error) == Some(NO_RIGHT) => Ok(Err(
            "the user may not CHECKPOINT: one may fall into any slice (GRANT pg_checkpoint TO … from version 15 on)",
        )),
        Err(error) => Err(failed("make a checkpoint")(error)),
    }
}

/// Whether autovacuum is at work in this database.
pub async fn autovacuum_works(client: &Client) -> Result<bool, DatasetError> {
    let asked = client
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
             WHERE backend_type = 'autovacuum worker' AND datname = current_database())",
            &[],
        )
        .await
        .map_err(failed("ask whether autovacuum works"))?;
    Ok(asked.get(0))
}
