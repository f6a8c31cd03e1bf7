//! What a schema change leaves unfinished, as the catalogue tells it.

use std::collections::BTreeSet;

use crate::db::postgres::Client;
use crate::probe::ddl::{Left, Unfinished};

/// Invalid indexes and constraints that were not validated. An index of a partitioned table is invalid until all parts are there.
const UNFINISHED: &str = "
    SELECT 'index' AS what, i.indexrelid::regclass::text AS name
    FROM pg_catalog.pg_index i WHERE NOT i.indisvalid
    UNION ALL
    SELECT 'constraint', c.conrelid::regclass::text || '.' || c.conname
    FROM pg_catalog.pg_constraint c WHERE NOT c.convalidated AND c.conrelid <> 0 AND c.contype IN ('c', 'f', 'n')";

/// Columns of tables with rows, and expressions of indexes, of which the planner knows nothing. A role may see statistics of what
/// it may read only in the view, so this asks for the columns' own numbers where it may.
const WITHOUT_STATISTICS: &str = "
    SELECT c.oid::regclass::text || '.' || a.attname AS name
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbdyno')
      AND (c.relkind IN ('r', 'm') AND c.reltuples > 0
           OR c.relkind = 'i' AND i.indexprs IS NOT NULL AND i.indkey[a.attnum - 1] = 0)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stats s
                      WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname)";

/// All that is unfinished now.
pub(super) async fn read(client: &Client) -> Result<Left, tokio_postgres::Error> {
    let mut unfinished = BTreeSet::new();
    for row in client.query(UNFINISHED, &[]).await? {
        let (what, name): (String, String) = (row.try_get("what")?, row.try_get("name")?);
        unfinished.insert(match what.as_str() {
            "index" => Unfinished::InvalidIndex(name),
            _ => Unfinished::NotValidated(name),
        });
    }
    for row in client.query(WITHOUT_STATISTICS, &[]).await? {
        unfinished.insert(Unfinished::WithoutStatistics(row.try_get("name")?));
    }
    Ok(Left::of(unfinished))
}
