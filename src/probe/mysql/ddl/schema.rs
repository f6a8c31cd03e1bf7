//! The tables of a database with the numbers under which InnoDB keeps them. A table that is copied, or built anew in place, has
//! another number; one that is changed at once keeps its own (MariaDB, "InnoDB Online DDL Operations").

use std::collections::BTreeMap;

use mysql_async::Row;

use crate::probe::ddl::{Relation, RelationId, Schema};
use crate::probe::mysql::link::{count, probe_tag, text};
use crate::sql::quoting::backquoted;

macro_rules! tables {
    ($innodb:literal) => {
        concat!(
            probe_tag!(),
            "SELECT t.TABLE_NAME AS name, t.TABLE_TYPE AS kind, i.TABLE_ID AS file FROM information_schema.TABLES AS t ",
            "LEFT JOIN information_schema.",
            $innodb,
            " AS i ON i.NAME = CONCAT(t.TABLE_SCHEMA, '/', t.TABLE_NAME) ",
            "WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME NOT LIKE 'dbdyno\\_%'"
        )
    };
}

/// MariaDB 10.11. Of a partitioned table, of one with an unusual name and of other engines there is no number: nothing is said of
/// their being written anew.
pub(super) const TABLES_OF_MARIADB: &str = tables!("INNODB_SYS_TABLES");
/// MySQL 8.
pub(super) const TABLES_OF_MYSQL: &str = tables!("INNODB_TABLES");

/// Of the rows of [`TABLES_OF_MARIADB`] or [`TABLES_OF_MYSQL`].
pub(super) fn read(rows: &[Row]) -> Schema {
    let relation = |row: &Row| {
        let name = text(row, "name")?;
        let is_table = text(row, "kind").as_deref() == Some("BASE TABLE");
        let relation = Relation {
            quoted: backquoted(&name),
            kind: if is_table { 'r' } else { 'v' },
            file: count(row, "file").unwrap_or(0),
            valid: true,
            of: None,
            name: name.clone(),
        };
        Some((RelationId::Name(name), relation))
    };
    Schema::of(rows.iter().filter_map(relation).collect::<BTreeMap<_, _>>())
}
