//! Tables whose rows can be gone through by their key, and their columns on which nothing hangs. MariaDB 10.11.

use mysql_async::Error;

use crate::db::mysql::Client;
use crate::probe::mysql::link::{probe_tag, text};
use crate::sql::quoting::without_backquotes;
use crate::sql::safer::KeyedTable;

/// The columns of the primary key that are whole numbers, and how many there are of any kind.
const KEY: &str = concat!(
    probe_tag!(),
    "SELECT MIN(c.COLUMN_NAME) AS name, COUNT(*) AS number, SUM(c.DATA_TYPE IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint')) AS whole ",
    "FROM information_schema.COLUMNS AS c ",
    "WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = ? AND c.COLUMN_KEY = 'PRI'"
);
const FREE: &str = concat!(
    probe_tag!(),
    "SELECT c.COLUMN_NAME AS name FROM information_schema.COLUMNS AS c ",
    "WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = ? AND c.EXTRA = '' AND c.GENERATION_EXPRESSION IS NULL ",
    "AND NOT EXISTS (SELECT 1 FROM information_schema.STATISTICS AS s WHERE s.TABLE_SCHEMA = c.TABLE_SCHEMA ",
    "AND s.TABLE_NAME = c.TABLE_NAME AND s.COLUMN_NAME = c.COLUMN_NAME) ",
    "AND NOT EXISTS (SELECT 1 FROM information_schema.COLUMNS AS g WHERE g.TABLE_SCHEMA = c.TABLE_SCHEMA ",
    "AND g.TABLE_NAME = c.TABLE_NAME AND LOCATE(CONCAT('`', c.COLUMN_NAME, '`'), g.GENERATION_EXPRESSION) > 0) ",
    "AND NOT EXISTS (SELECT 1 FROM information_schema.CHECK_CONSTRAINTS AS k WHERE k.CONSTRAINT_SCHEMA = c.TABLE_SCHEMA ",
    "AND k.TABLE_NAME = c.TABLE_NAME AND LOCATE(CONCAT('`', c.COLUMN_NAME, '`'), k.CHECK_CLAUSE) > 0) ",
    "AND NOT EXISTS (SELECT 1 FROM information_schema.TRIGGERS AS t WHERE t.EVENT_OBJECT_SCHEMA = c.TABLE_SCHEMA ",
    "AND t.EVENT_OBJECT_TABLE = c.TABLE_NAME)"
);

/// One table, named as SQL writes it; nothing where its key is another one, and of a table of another database.
pub(super) async fn read(client: &Client, table: &str) -> Result<Option<KeyedTable>, Error> {
    let name = without_backquotes(table);
    let rows = client.rows_with(KEY, (&name,)).await?;
    let of = |column: &str| rows.first().and_then(|row| text(row, column));
    let is_one_number = of("number").as_deref() == Some("1") && of("whole").as_deref() == Some("1");
    let Some(key) = of("name").filter(|_| is_one_number) else { return Ok(None) };
    let free = client.rows_with(FREE, (&name,)).await?;
    let free = free.iter().filter_map(|row| text(row, "name")).collect();
    Ok(Some(KeyedTable { table: table.to_owned(), key, free }))
}
