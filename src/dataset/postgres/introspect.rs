//! What stands in the catalog about the tables that are to be filled. PostgreSQL 14 to 18.

use super::server::failed;
use super::wire::Wire;
use crate::dataset::DatasetError;
use crate::dataset::fit::TableColumn;
use crate::db::postgres::Client;

/// A table as the server knows it.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) oid: u32,
    /// Qualified where it must be, and quoted.
    pub(super) target: String,
    pub(super) columns: Vec<TableColumn<Wire>>,
}

const RELATION: &str = "
    SELECT c.oid, c.oid::regclass::text
    FROM pg_class c
    WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p')";

const COLUMNS: &str = "
    WITH RECURSIVE base AS (
        SELECT a.attnum, t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typelem
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT b.attnum, t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typelem
        FROM base b JOIN pg_type t ON t.oid = b.typbasetype
        WHERE b.typtype = 'd'
    )
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), b.oid, b.typtype = 'e', b.typcategory = 'S',
           a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '',
           e.oid, e.typtype = 'e', e.typcategory = 'S', b.typname = 'hstore'
    FROM pg_attribute a JOIN base b ON b.attnum = a.attnum AND b.typtype <> 'd'
         LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
    WHERE a.attrelid = $1
    ORDER BY a.attnum";

/// The table of that name (qualified or found by the search path, quoted where it must be), if there is one.
pub(super) async fn relation(client: &Client, name: &str) -> Result<Option<Relation>, DatasetError> {
    let doing = || format!("look up table {name}");
    let Some(row) = client.query_opt(RELATION, &[&name]).await.map_err(failed(doing()))? else {
        return Ok(None);
    };
    let oid: u32 = row.get(0);
    let columns = client.query(COLUMNS, &[&oid]).await.map_err(failed(doing()))?;
    let column = |row: &tokio_postgres::Row| TableColumn {
        name: row.get(0),
        type_name: row.get(1),
        // Of the type, or of a domain's base type; of an array's elements where it is one.
        of_type: match row.get::<_, Option<u32>>(8) {
            Some(element) => Wire::array(element, row.get(9), row.get(10)),
            // A type of an extension, which has another number in each database.
            None if row.get(11) => Some(Wire::Hstore),
            None => Wire::of_type(row.get(2), row.get(3), row.get(4)),
        },
        not_null: row.get(5),
        has_default: row.get(6),
        is_generated: row.get(7),
    };
    Ok(Some(Relation { oid, target: row.get(1), columns: columns.iter().map(column).collect() }))
}
