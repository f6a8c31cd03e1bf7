//! The relations of a database, by their numbers, with the files behind them.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::probe::ddl::{Relation, RelationId, Schema};

/// Tables, materialised views and indexes of the user. `toast` belongs to its table and is written anew with it.
pub(super) const RELATIONS: &str = "
    SELECT c.oid, CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
           format('%I.%I', n.nspname, c.relname) AS quoted, c.relkind::text AS kind, c.relfilenode AS file, coalesce(i.indisvalid, true) AS valid, i.indrelid AS of
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I', 'S', 'v') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbdyno')
      AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp%'";

/// Of the rows of [`RELATIONS`].
pub(super) fn read(rows: &[Row]) -> Result<Schema, tokio_postgres::Error> {
    let mut relations = BTreeMap::new();
    for row in rows {
        let kind: String = row.try_get("kind")?;
        let relation = Relation {
            name: row.try_get("name")?,
            quoted: row.try_get("quoted")?,
            kind: kind.chars().next().unwrap_or('?'),
            file: row.try_get::<_, u32>("file")?.into(),
            valid: row.try_get("valid")?,
            of: row.try_get::<_, Option<u32>>("of")?.map(RelationId::Number),
        };
        relations.insert(RelationId::Number(row.try_get("oid")?), relation);
    }
    Ok(Schema::of(relations))
}
