//! What a throwaway server holds in its buffer pool. MariaDB 10.11.

use super::quoted;
use crate::dataset::DatasetError;
use crate::dataset::index::BufferSetting;
use crate::dataset::mysql::server::{failed, number, text};
use crate::db::mysql::Client;

/// The setting by which it gets its buffer pool; with less InnoDB has no room for what it keeps beside the data.
pub const BUFFERS: BufferSetting =
    BufferSetting { name: "innodb_buffer_pool_size", kilobytes: "K", least_kb: 8 * 1024 };

/// Size of this database, in bytes, as InnoDB estimates it.
pub async fn database_bytes(client: &Client) -> Result<u64, DatasetError> {
    let asked = "SELECT CAST(COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) AS UNSIGNED) FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA = DATABASE()";
    let rows = client.rows(asked).await.map_err(failed("ask for the size of the database"))?;
    Ok(rows.first().and_then(|row| number(row, 0)).unwrap_or(0))
}

/// The statements that read every index of every table from end to end, rows included: those lie in the primary one.
pub(super) async fn warming(client: &Client) -> Result<Vec<String>, mysql_async::Error> {
    let ignored = if client.is_mariadb() { "IGNORED = 'YES'" } else { "IS_VISIBLE = 'NO'" };
    let asked = format!(
        "SELECT DISTINCT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = DATABASE() AND INDEX_TYPE = 'BTREE' AND NOT {ignored}"
    );
    let rows = client.rows(&asked).await?;
    let read = |row: &mysql_async::Row| {
        let (table, index) = (text(row, 0)?, text(row, 1)?);
        Some(format!("SELECT COUNT(*) FROM {} FORCE INDEX ({})", quoted(&table), quoted(&index)))
    };
    Ok(rows.iter().filter_map(read).collect())
}
