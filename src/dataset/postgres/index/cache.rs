//! What a throwaway server holds in its buffers. PostgreSQL 14 to 18.

use crate::dataset::DatasetError;
use crate::dataset::index::BufferSetting;
use crate::dataset::postgres::server::failed;
use crate::db::postgres::Client;

/// Reads all tables and indexes of this database into `shared_buffers`, whatever their sizes: a scan of a large table goes through a
/// few pages of them and leaves nothing behind.
pub(super) const WARM: &str = "
    SELECT coalesce(sum(pg_prewarm(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 't', 'i') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relpersistence <> 't'";

/// Size of this database, in bytes.
pub async fn database_bytes(client: &Client) -> Result<u64, DatasetError> {
    let row = client.query_one("SELECT pg_database_size(current_database())", &[]).await;
    let bytes: i64 = row.map_err(failed("ask for the size of the database"))?.get(0);
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The setting by which it gets its buffers, and the least that it takes.
pub const BUFFERS: BufferSetting = BufferSetting { name: "shared_buffers", kilobytes: "kB", least_kb: 128 };

/// Whether the server can be told to read tables into its buffers; the extension for it belongs to PostgreSQL's contrib modules.
pub async fn may_warm(client: &Client) -> Result<Result<(), &'static str>, DatasetError> {
    match client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm").await {
        Ok(()) => Ok(Ok(())),
        Err(error) if error.as_db_error().is_some() => Ok(Err("the extension pg_prewarm is not installed")),
        Err(error) => Err(failed("make the extension pg_prewarm")(error)),
    }
}
