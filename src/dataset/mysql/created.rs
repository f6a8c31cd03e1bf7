//! The objects that a load made, so that a later one can tell its own from the user's, and removes nothing else. These servers
//! have no lasting ids of objects that everybody may see: a table of dbdyno's says so in its comment, so that one that somebody
//! made under the same name later is not taken for it; what has no comment is known by its name.

use super::server::{failed, literal, quoted, text};
use crate::dataset::DatasetError;
use crate::db::mysql::Client;

/// One object of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// As DROP names it: `TABLE`, `VIEW`, `SEQUENCE`, `PROCEDURE`, `FUNCTION`.
    pub(super) kind: String,
    /// Within the database.
    pub(super) name: String,
    /// Of a table; empty for what has none.
    pub(super) comment: String,
}

const OBJECTS: &str = "
    SELECT CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, table_name,
           CASE table_type WHEN 'VIEW' THEN '' ELSE table_comment END
    FROM information_schema.tables WHERE table_schema = DATABASE()
    UNION ALL
    SELECT routine_type, routine_name, '' FROM information_schema.routines WHERE routine_schema = DATABASE()";

/// What is there now, dbdyno's own tables apart.
pub(super) async fn objects(client: &Client) -> Result<Vec<Object>, DatasetError> {
    let rows = client.rows(OBJECTS).await.map_err(failed("read the catalog"))?;
    let object = |row: &mysql_async::Row| Object {
        kind: text(row, 0).unwrap_or_default(),
        name: text(row, 1).unwrap_or_default(),
        comment: text(row, 2).unwrap_or_default(),
    };
    let is_ours = |object: &Object| super::mark::TABLES.contains(&object.name.as_str());
    Ok(rows.iter().map(object).filter(|object| !is_ours(object)).collect())
}

impl Object {
    /// Whether both are the same object of the database.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.kind == other.kind && self.name == other.name
    }

    /// Whether it says that dbdyno made it. What can say nothing is believed.
    pub(super) fn says_so(&self) -> bool {
        self.kind != "TABLE" || self.comment.contains(OPENING)
    }

    /// Has a table say that dbdyno made it for a workload.
    pub(super) async fn sign(&self, client: &Client, workload: &str) -> Result<(), DatasetError> {
        if self.kind != "TABLE" {
            return Ok(());
        }
        let signed = format!("{} {OPENING}{workload})", self.comment);
        let sql = format!("ALTER TABLE {} COMMENT = {}", quoted(&self.name), literal(signed.trim_start()));
        client.run(&sql).await.map(drop).map_err(failed(format!("sign the table {}", self.name)))
    }
}

/// How the part of a table's comment begins that dbdyno wrote.
const OPENING: &str = "(loaded by dbdyno for ";

/// The statements that remove objects, dependents first. Foreign keys that go both ways are dropped with their tables while
/// `foreign_key_checks` is off.
pub(super) fn drops(objects: &[Object]) -> Vec<String> {
    const ORDER: [&str; 5] = ["VIEW", "TABLE", "SEQUENCE", "PROCEDURE", "FUNCTION"];
    let of_kind = |kind: &'static str| {
        objects
            .iter()
            .rev()
            .filter(move |object| object.kind == kind)
            .map(|object| format!("DROP {} IF EXISTS {}", object.kind, quoted(&object.name)))
    };
    ORDER.into_iter().flat_map(of_kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str) -> Object {
        Object { kind: kind.to_owned(), name: name.to_owned(), comment: String::new() }
    }

    #[test]
    fn dependents_go_first() {
        let objects =
            [object("TABLE", "a"), object("FUNCTION", "f"), object("VIEW", "v"), object("TABLE", "b")];
        assert_eq!(
            drops(&objects),
            [
                "DROP VIEW IF EXISTS `v`",
                "DROP TABLE IF EXISTS `b`",
                "DROP TABLE IF EXISTS `a`",
                "DROP FUNCTION IF EXISTS `f`"
            ]
        );
    }

    #[test]
    fn a_table_of_the_same_name_is_not_ours_unless_it_says_so() {
        let mut table = object("TABLE", "a");
        assert!(!table.says_so());
        for comment in ["things (loaded by dbdyno for shop)", "(loaded by dbdyno for shop)"] {
            table.comment = comment.to_owned();
            assert!(table.says_so(), "{comment}");
        }
        assert!(object("VIEW", "v").says_so());
    }
}
