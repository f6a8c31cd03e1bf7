//! The schema as lines, one for each thing that a migration can make.

use crate::db::postgres::Client;
use crate::probe::ddl::Digest;

/// Columns, indexes, constraints, views, sequences, values of enums, functions and triggers of the user. Versions 14 to 18; a constraint
/// that says NOT NULL is told of by its column (18 keeps it as a constraint as well).
const LINES: &str = "
    WITH own AS (
        SELECT oid, nspname FROM pg_catalog.pg_namespace
        WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'dbdyno') AND nspname NOT LIKE 'pg\\_%')
    SELECT 'column ' || c.oid::regclass || '.' || quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
           || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS line
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
    JOIN own ON own.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT CASE WHEN i.indisvalid THEN 'index ' ELSE 'INVALID index ' END || pg_get_indexdef(i.indexrelid)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN own ON own.oid = c.relnamespace
    UNION ALL
    SELECT 'constraint ' || coalesce(nullif(k.conrelid, 0)::regclass::text, k.contypid::regtype::text) || '.'
           || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
    FROM pg_catalog.pg_constraint k JOIN own ON own.oid = k.connamespace WHERE k.contype <> 'n'
    UNION ALL
    SELECT 'view ' || c.oid::regclass || ' ' || pg_get_viewdef(c.oid)
    FROM pg_catalog.pg_class c JOIN own ON own.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')
    UNION ALL
    SELECT 'sequence ' || c.oid::regclass
    FROM pg_catalog.pg_class c JOIN own ON own.oid = c.relnamespace WHERE c.relkind = 'S'
    UNION ALL
    SELECT 'value ' || quote_literal(e.enumlabel) || ' of ' || e.enumtypid::regtype
    FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid JOIN own ON own.oid = t.typnamespace
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure || ' ' || md5(p.prosrc)
    FROM pg_catalog.pg_proc p JOIN own ON own.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.objid = p.oid AND x.deptype = 'e')
    UNION ALL
    SELECT pg_get_triggerdef(t.oid)
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN own ON own.oid = c.relnamespace
    WHERE NOT t.tgisinternal";

/// The schema at this moment.
pub(super) async fn read(client: &Client) -> Result<Digest, tokio_postgres::Error> {
    let rows = client.query(LINES, &[]).await?;
    let lines: Vec<Option<String>> = rows.iter().map(|row| row.try_get("line")).collect::<Result<_, _>>()?;
    Ok(Digest::of(lines.into_iter().flatten()))
}
