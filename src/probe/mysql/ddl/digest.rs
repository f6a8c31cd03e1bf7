//! The schema as lines, one for each thing that a migration can make.

use mysql_async::Error;

use crate::db::mysql::Client;
use crate::probe::ddl::Digest;
use crate::probe::mysql::link::{probe_tag, text};

/// MariaDB 10.11 and MySQL 8: tables, columns, indexes, foreign keys, views, triggers and routines.
const LINES: [&str; 7] = [
    concat!(
        probe_tag!(),
        "SELECT CONCAT('table ', TABLE_NAME, ' ENGINE=', ENGINE, ' ROW_FORMAT=', COALESCE(ROW_FORMAT, ''), ' COLLATE ', ",
        "COALESCE(TABLE_COLLATION, '')) AS line FROM information_schema.TABLES ",
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME NOT LIKE 'dbdyno\\_%'"
    ),
    concat!(
        probe_tag!(),
        "SELECT CONCAT('column ', TABLE_NAME, '.', COLUMN_NAME, ' ', COLUMN_TYPE, COALESCE(CONCAT(' COLLATE ', COLLATION_NAME), ''), ",
        "IF(IS_NULLABLE = 'NO', ' NOT NULL', ''), COALESCE(CONCAT(' DEFAULT ', COLUMN_DEFAULT), ''), ' ', EXTRA, ' ', ",
        "COALESCE(GENERATION_EXPRESSION, '')) AS line FROM information_schema.COLUMNS ",
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME NOT LIKE 'dbdyno\\_%'"
    ),
    concat!(
        probe_tag!(),
        "SELECT CONCAT('index ', TABLE_NAME, '.', INDEX_NAME, ' ', INDEX_TYPE, IF(NON_UNIQUE = 0, ' UNIQUE', ''), ' (', ",
        "GROUP_CONCAT(COALESCE(COLUMN_NAME, ''), COALESCE(CONCAT('(', SUB_PART, ')'), '') ORDER BY SEQ_IN_INDEX), ')') AS line ",
        "FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME NOT LIKE 'dbdyno\\_%' ",
        "GROUP BY TABLE_NAME, INDEX_NAME, INDEX_TYPE, NON_UNIQUE"
    ),
    concat!(
        probe_tag!(),
        "SELECT CONCAT('constraint ', k.TABLE_NAME, '.', k.CONSTRAINT_NAME, ' FOREIGN KEY (', ",
        "GROUP_CONCAT(k.COLUMN_NAME ORDER BY k.ORDINAL_POSITION), ') REFERENCES ', k.REFERENCED_TABLE_NAME, ' (', ",
        "GROUP_CONCAT(k.REFERENCED_COLUMN_NAME ORDER BY k.ORDINAL_POSITION), ') ON UPDATE ', r.UPDATE_RULE, ' ON DELETE ', ",
        "r.DELETE_RULE) AS line FROM information_schema.KEY_COLUMN_USAGE AS k ",
        "JOIN information_schema.REFERENTIAL_CONSTRAINTS AS r ",
        "ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME ",
        "WHERE k.CONSTRAINT_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL ",
        "GROUP BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.REFERENCED_TABLE_NAME, r.UPDATE_RULE, r.DELETE_RULE"
    ),
    concat!(
        probe_tag!(),
        "SELECT CONCAT('view ', TABLE_NAME, ' ', REPLACE(VIEW_DEFINITION, CONCAT('`', DATABASE(), '`.'), '')) AS line ",
        "FROM information_schema.VIEWS ",
        "WHERE TABLE_SCHEMA = DATABASE()"
    ),
    concat!(
        probe_tag!(),
        "SELECT CONCAT('trigger ', TRIGGER_NAME, ' ', ACTION_TIMING, ' ', EVENT_MANIPULATION, ' ON ', EVENT_OBJECT_TABLE, ' ', ",
        "SHA2(ACTION_STATEMENT, 256)) AS line FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()"
    ),
    concat!(
        probe_tag!(),
        "SELECT CONCAT('routine ', ROUTINE_TYPE, ' ', ROUTINE_NAME, ' ', COALESCE(SHA2(ROUTINE_DEFINITION, 256), '')) AS line ",
        "FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()"
    ),
];
/// MariaDB 10.11. What MySQL 8 has under this name does not tell the table.
const CHECKS_OF_MARIADB: &str = concat!(
    probe_tag!(),
    "SELECT CONCAT('constraint ', TABLE_NAME, '.', CONSTRAINT_NAME, ' CHECK ', CHECK_CLAUSE) AS line ",
    "FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() AND TABLE_NAME NOT LIKE 'dbdyno\\_%'"
);

/// The schema at this moment.
pub(super) async fn read(client: &Client) -> Result<Digest, Error> {
    let mut lines = Vec::new();
    let checks = client.is_mariadb().then_some(CHECKS_OF_MARIADB);
    for sql in LINES.into_iter().chain(checks) {
        lines.extend(client.rows(sql).await?.iter().filter_map(|row| text(row, "line")));
    }
    Ok(Digest::of(lines.into_iter()))
}
