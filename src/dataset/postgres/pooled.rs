//! What a session through a pooler arrives at. Asked in the simple protocol: a pooler may not keep prepared statements apart.

use tokio_postgres::SimpleQueryMessage;

use super::server::failed;
use crate::dataset::DatasetError;
use crate::db::postgres::Client;

/// Which process serves us, where, and as whom. Holds for PostgreSQL 14 to 18.
const WHO_SERVES: &str =
    "SELECT pg_backend_pid() AS pid, current_database() AS database, current_user AS role";
/// Whether the same process is in a transaction of this database: another server has none, or elsewhere.
const IS_THERE: &str = "SELECT current_database()::text = $2 AND EXISTS (
    SELECT FROM pg_stat_activity WHERE pid = $1 AND datname = $2 AND xact_start IS NOT NULL) AS is_there";

/// Where a pooled session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    /// The database.
    pub database: String,
    /// The role as which its statements are executed.
    pub role: String,
    /// Whether that is the server and the database that `direct` is connected to.
    pub is_there: bool,
}

/// Follows one session through the pooler. In a transaction, so that the pooler keeps to one server connection.
pub async fn follow(pooled: &Client, direct: &Client) -> Result<Pooled, DatasetError> {
    let doing = "ask through the pooler";
    pooled.batch_execute("BEGIN").await.map_err(failed(doing))?;
    let answer = pooled.simple_query(WHO_SERVES).await.map_err(failed(doing))?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let text = |column: &str| row.and_then(|row| row.get(column)).unwrap_or_default().to_owned();
    // No process has the number zero: what is no number is found nowhere.
    let pid: i32 = text("pid").parse().unwrap_or(0);
    let (database, role) = (text("database"), text("role"));
    let there = direct.query_one(IS_THERE, &[&pid, &database]).await;
    let is_there = there
        .and_then(|row| row.try_get("is_there"))
        .map_err(failed("look for the session of the pooler on the target"))?;
    pooled.batch_execute("ROLLBACK").await.map_err(failed(doing))?;
    Ok(Pooled { database, role, is_there })
}
