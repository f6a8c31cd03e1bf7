//! The full client, for probes, loading and DDL: tokio-postgres over our own stream.

use crate::db::ConnectError;
use crate::db::postgres::Settings;

/// The full client.
pub type Client = tokio_postgres::Client;

/// Connects, and drives the connection on a task of the current tokio runtime. `application_name` becomes `dbdyno ROLE`.
pub async fn connect(settings: &Settings, role: &str) -> Result<Client, ConnectError> {
    let _ = (settings, role);
    todo!("helper: db")
}
