//! The relations with their sizes, as the catalogue and the files tell them.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::probe::ddl::{RelationId, Sized, Sizes};

/// Tables with their TOAST and maps, and indexes, of the user. Versions 14 to 18.
pub(super) const SIZES: &str = "
    SELECT c.oid, CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
           c.relkind::text AS kind, c.relfilenode AS file, i.indrelid AS of, greatest(c.reltuples, 0)::bigint AS rows,
           (CASE WHEN c.relkind = 'i' THEN pg_catalog.pg_relation_size(c.oid) ELSE pg_catalog.pg_table_size(c.oid) END)::bigint AS bytes
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'm', 'i') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbdyno')
      AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp%'";

/// Of the rows of [`SIZES`].
pub(super) fn read(rows: &[Row]) -> Result<Sizes, tokio_postgres::Error> {
    let mut relations = BTreeMap::new();
    for row in rows {
        let count = |column: &str| -> Result<u64, tokio_postgres::Error> {
            Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
        };
        let sized = Sized {
            name: row.try_get("name")?,
            is_index: row.try_get::<_, String>("kind")? == "i",
            file: row.try_get::<_, u32>("file")?.into(),
            of: row.try_get::<_, Option<u32>>("of")?.map(RelationId::Number),
            rows: count("rows")?,
            bytes: count("bytes")?,
        };
        relations.insert(RelationId::Number(row.try_get("oid")?), sized);
    }
    Ok(Sizes::of(relations))
}
