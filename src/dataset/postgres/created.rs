//! The objects that one transaction made, so that a later load can tell its own from the user's, and removes nothing else.
//! They are known by object id: a table that somebody made under the same name later is not dbdyno's.

use super::server::failed;
use crate::dataset::DatasetError;
use crate::db::postgres::Client;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Created {
    pub(super) class_oid: u32,
    pub(super) oid: u32,
    /// As DROP names it: `table`, `view`, `function`, `type`.
    pub(super) kind: String,
    /// With its schema, quoted; a function with its arguments.
    pub(super) identity: String,
}

/// What a load may make and must be able to remove: relations, types, functions and schemas, but not what belongs to
/// another object and goes with it. The key of a partitioned table is a column that belongs to it: only the object as a whole
/// counts.
const OBJECTS: &str = "
    WITH object AS (
        SELECT 'pg_class'::regclass::oid AS classid, oid FROM pg_class
        WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relpersistence <> 't'
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c'
        UNION ALL
        SELECT 'pg_proc'::regclass, oid FROM pg_proc
        UNION ALL
        SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'
    )
    SELECT o.classid, o.oid, i.type, i.identity
    FROM object o, pg_identify_object(o.classid, o.oid, 0) i
    WHERE o.oid <> ALL ($1) AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = o.classid AND d.objid = o.oid AND d.objsubid = 0 AND d.deptype IN ('i', 'a', 'e', 'P', 'S')
          -- A partition goes with its parent, and is a table of its own all the same.
          AND NOT EXISTS (
              SELECT FROM pg_inherits h
              WHERE o.classid = 'pg_class'::regclass AND h.inhrelid = o.oid AND h.inhparent = d.refobjid))
    ORDER BY o.oid";

const ALL: &str = "SELECT oid FROM pg_class UNION SELECT oid FROM pg_type UNION SELECT oid FROM pg_proc UNION SELECT oid FROM pg_namespace";

/// Object ids in a catalog at one moment.
pub(super) struct Before(Vec<u32>);

/// The objects that are there now. The transaction must be `REPEATABLE READ`: then what it sees later beyond these can only
/// be its own, whatever other sessions make meanwhile.
pub(super) async fn before(client: &Client) -> Result<Before, DatasetError> {
    let rows = client.query(ALL, &[]).await.map_err(failed("read the catalog"))?;
    Ok(Before(rows.iter().map(|row| row.get(0)).collect()))
}

/// What the transaction at hand made since `before`.
pub(super) async fn made_since(client: &Client, before: &Before) -> Result<Vec<Created>, DatasetError> {
    let rows = client.query(OBJECTS, &[&before.0]).await.map_err(failed("read the catalog"))?;
    let created = rows.iter().map(|row| Created {
        class_oid: row.get(0),
        oid: row.get(1),
        kind: row.get(2),
        identity: row.get(3),
    });
    Ok(created.collect())
}

/// The statements that remove objects, dependents first. Without CASCADE: what somebody else hung onto them makes the
/// server refuse, and nothing is lost.
pub(super) fn drops(objects: &[Created]) -> Vec<String> {
    let of_kind = |kinds: &[&str]| -> Vec<&Created> {
        objects.iter().rev().filter(|object| kinds.contains(&object.kind.as_str())).collect()
    };
    let mut statements = vec![];
    let each = |kinds: &[&str]| -> Vec<String> {
        of_kind(kinds).iter().map(|object| format!("DROP {} {}", object.kind, object.identity)).collect()
    };
    statements.extend(each(&["materialized view", "view"]));
    // All at once, since foreign keys may go both ways.
    let tables: Vec<&str> = of_kind(&["table"]).iter().map(|object| object.identity.as_str()).collect();
    if !tables.is_empty() {
        statements.push(format!("DROP TABLE {}", tables.join(", ")));
    }
    statements.extend(each(&["foreign table", "sequence", "function", "procedure", "aggregate"]));
    statements.extend(each(&["type", "domain"]));
    statements.extend(each(&["schema"]));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependents_go_first_and_tables_together() {
        let object = |kind: &str, identity: &str| Created {
            class_oid: 0,
            oid: 0,
            kind: kind.into(),
            identity: identity.into(),
        };
        let objects = [
            object("schema", "shop"),
            object("type", "shop.colour"),
            object("table", "shop.a"),
            object("table", "shop.b"),
            object("view", "shop.v"),
            object("view", "shop.v2"),
        ];
        assert_eq!(
            drops(&objects),
            [
                "DROP view shop.v2",
                "DROP view shop.v",
                "DROP TABLE shop.b, shop.a",
                "DROP type shop.colour",
                "DROP schema shop"
            ]
        );
    }
}
