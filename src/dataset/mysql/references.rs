//! Foreign keys behind loaded rows. With their check on, each would copy its table when it is added; so it is off, and one join
//! tells of each whether it holds.

use super::server::{failed, quoted, text, truth};
use crate::dataset::DatasetError;
use crate::db::mysql::Client;

/// Each column of each foreign key of the tables that dbdyno made, keys together.
const KEYS: &str = "
    SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name,
           k.referenced_column_name
    FROM information_schema.key_column_usage k
    WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL
    ORDER BY k.table_name, k.constraint_name, k.ordinal_position";

/// One foreign key.
#[derive(Debug, Default, PartialEq, Eq)]
struct ForeignKey {
    table: String,
    name: String,
    /// Qualified and quoted.
    parent: String,
    /// Names in the table and in its parent.
    columns: Vec<(String, String)>,
}

impl ForeignKey {
    /// Gives a row where one of the table's rows has no parent.
    fn orphans(&self) -> String {
        let equal = |(own, other): &(String, String)| format!("p.{} = c.{}", quoted(other), quoted(own));
        let there = |(own, _): &(String, String)| format!("c.{} IS NOT NULL", quoted(own));
        let joined: Vec<String> = self.columns.iter().map(equal).collect();
        let all: Vec<String> = self.columns.iter().map(there).collect();
        let first = self.columns.first().map_or_else(String::new, |(_, other)| quoted(other));
        format!(
            "SELECT 1 FROM {} c LEFT JOIN {} p ON {} WHERE p.{first} IS NULL AND {} LIMIT 1",
            quoted(&self.table),
            self.parent,
            joined.join(" AND "),
            all.join(" AND ")
        )
    }
}

/// Fails when a row of one of these tables refers to nothing.
pub(super) async fn check(client: &Client, tables: &[String]) -> Result<(), DatasetError> {
    let rows = client.rows(KEYS).await.map_err(failed("look for foreign keys"))?;
    let mut keys: Vec<ForeignKey> = vec![];
    for row in &rows {
        let [table, name, column, schema, parent, other] =
            [0, 1, 2, 3, 4, 5].map(|column| text(row, column).unwrap_or_default());
        if !tables.contains(&table) {
            continue;
        }
        if keys.last().is_none_or(|key| key.table != table || key.name != name) {
            let parent = format!("{}.{}", quoted(&schema), quoted(&parent));
            keys.push(ForeignKey { table, name, parent, columns: vec![] });
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push((column, other));
        }
    }
    for key in keys {
        let doing = || format!("add the foreign key {} to the loaded rows of {}", key.name, key.table);
        if !client.rows(&key.orphans()).await.map_err(failed(doing()))?.is_empty() {
            let message = format!("some of them refer to rows that {} does not have", key.parent);
            return Err(DatasetError::Server { doing: doing(), message });
        }
    }
    Ok(())
}

/// A table beyond these whose foreign key refers to one of them, and the one that it refers to.
pub(super) async fn from_outside(
    client: &Client,
    tables: &[String],
) -> Result<Option<(String, String)>, DatasetError> {
    const REFERENCES: &str = "
        SELECT table_schema = DATABASE(), table_name, referenced_table_name
        FROM information_schema.key_column_usage
        WHERE referenced_table_schema = DATABASE()";
    let rows = client.rows(REFERENCES).await.map_err(failed("look for foreign keys"))?;
    Ok(rows.iter().find_map(|row| {
        let (table, other) = (text(row, 1)?, text(row, 2)?);
        let is_one_of_them = truth(row, 0) && tables.contains(&table);
        (tables.contains(&other) && !is_one_of_them).then_some((table, other))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_several_columns_is_one_join() {
        let key = ForeignKey {
            table: "tasks".to_owned(),
            name: "f".to_owned(),
            parent: "`d`.`projects`".to_owned(),
            columns: vec![
                ("tenant".to_owned(), "tenant".to_owned()),
                ("project".to_owned(), "id".to_owned()),
            ],
        };
        assert_eq!(
            key.orphans(),
            "SELECT 1 FROM `tasks` c LEFT JOIN `d`.`projects` p ON p.`tenant` = c.`tenant` AND p.`id` = c.`project` WHERE \
             p.`tenant` IS NULL AND c.`tenant` IS NOT NULL AND c.`project` IS NOT NULL LIMIT 1"
        );
    }
}
