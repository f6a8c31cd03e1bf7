//! The tables with their sizes, indexes included, which lie in one file. What a sort of an index puts into files of its own is not seen.

use std::collections::BTreeMap;

use mysql_async::{Error, Row};

use crate::db::mysql::Client;
use crate::probe::ddl::{RelationId, Sized, Sizes};
use crate::probe::mysql::link::{count, probe_tag, text};
use crate::sql::quoting::backquoted;

macro_rules! sizes {
    ($tables:literal, $spaces:literal) => {
        concat!(
            probe_tag!(),
            "SELECT t.TABLE_NAME AS name, i.TABLE_ID AS file, COALESCE(s.FILE_SIZE, t.DATA_LENGTH + t.INDEX_LENGTH, 0) AS bytes ",
            "FROM information_schema.TABLES AS t LEFT JOIN information_schema.",
            $tables,
            " AS i ON i.NAME = CONCAT(t.TABLE_SCHEMA, '/', t.TABLE_NAME) LEFT JOIN information_schema.",
            $spaces,
            " AS s ON s.SPACE = i.SPACE WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' ",
            "AND t.TABLE_NAME NOT LIKE 'dbdyno\\_%'"
        )
    };
}

/// MariaDB 10.11.
const SIZES_OF_MARIADB: &str = sizes!("INNODB_SYS_TABLES", "INNODB_SYS_TABLESPACES");
/// MySQL 8.
const SIZES_OF_MYSQL: &str = sizes!("INNODB_TABLES", "INNODB_TABLESPACES");

/// All tables of the database, without their rows.
pub(super) async fn read(client: &Client) -> Result<Sizes, Error> {
    let sql = if client.is_mariadb() { SIZES_OF_MARIADB } else { SIZES_OF_MYSQL };
    let sized = |row: &Row| {
        let name = text(row, "name")?;
        let (file, bytes) = (count(row, "file").unwrap_or(0), count(row, "bytes").unwrap_or(0));
        let sized = Sized { name: name.clone(), is_index: false, file, of: None, rows: 0, bytes };
        Some((RelationId::Name(name), sized))
    };
    Ok(Sizes::of(client.rows(sql).await?.iter().filter_map(sized).collect()))
}

/// The rows of each table, counted one by one: what InnoDB estimates is off by tens of percents.
pub(super) async fn rows(client: &Client) -> Result<BTreeMap<String, u64>, Error> {
    let mut rows = BTreeMap::new();
    for table in read(client).await?.rows().into_keys() {
        let sql = format!("{}SELECT COUNT(*) AS number FROM {}", probe_tag!(), backquoted(&table));
        let counted = client.rows(&sql).await?;
        rows.insert(table, counted.first().and_then(|row| count(row, "number")).unwrap_or(0));
    }
    Ok(rows)
}
