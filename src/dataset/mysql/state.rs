//! What a target holds, seen by a run before it starts.

use super::introspect::relation;
use super::server::{failed, number};
use crate::dataset::DatasetError;
use crate::db::mysql::Client;

/// Whether there is a table of this name.
pub async fn has_table(client: &Client, name: &str) -> Result<bool, DatasetError> {
    Ok(relation(client, name).await?.is_some())
}

/// The number that a query gives, if it gives one.
pub async fn scale_by(client: &Client, query: &str, doing: &str) -> Result<Option<f64>, DatasetError> {
    let rows = client.rows(query).await.map_err(failed(doing))?;
    Ok(rows.first().and_then(|row| number(row, 0)))
}
