//! What a column is and what hangs on it, for whoever is to put another one in its place. PostgreSQL 14 to 18.

use tokio_postgres::{Error, Row};

use crate::db::postgres::Client;
use crate::sql::safer::{Column, ColumnCheck, ColumnForeignKey, ColumnIndex};

/// A column of a table, both as SQL writes their names.
const COLUMN: &str = "
    SELECT c.oid AS relation, a.attnum AS number, pg_catalog.format_type(a.atttypid, a.atttypmod) AS kind, a.attnotnull AS not_null,
           CASE a.attidentity WHEN 'd' THEN 'BY DEFAULT' WHEN 'a' THEN 'ALWAYS' END AS identity,
           pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS value, pg_catalog.col_description(c.oid, a.attnum) AS comment,
           (SELECT format('%I.%I', n.nspname, s.relname)
            FROM pg_catalog.pg_depend p
            JOIN pg_catalog.pg_class s ON s.oid = p.objid AND s.relkind = 'S'
            JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
            WHERE p.classid = 'pg_catalog.pg_class'::regclass AND p.refclassid = 'pg_catalog.pg_class'::regclass
              AND p.refobjid = c.oid AND p.refobjsubid = a.attnum AND p.deptype IN ('a', 'i')
            LIMIT 1) AS sequence
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = (pg_catalog.parse_ident($2))[1]
      AND a.attnum > 0 AND NOT a.attisdropped";

/// Indexes that it is a part of, by itself or within an expression.
const INDEXES: &str = "
    SELECT x.relname::text AS name, pg_catalog.pg_get_indexdef(i.indexrelid) AS definition,
           CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END
           || CASE WHEN k.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END AS key
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    LEFT JOIN pg_catalog.pg_constraint k
        ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
    WHERE i.indrelid = $1 AND i.indisvalid
      AND ($2::int2 = ANY (i.indkey)
           OR EXISTS (SELECT FROM pg_catalog.pg_depend p
                      WHERE p.classid = 'pg_catalog.pg_class'::regclass AND p.objid = i.indexrelid
                        AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = i.indrelid AND p.refobjsubid = $2::int2))
    ORDER BY x.relname";

const CHECKS: &str = "
    SELECT conname::text AS name, pg_catalog.pg_get_constraintdef(oid) AS definition, convalidated AS validated
    FROM pg_catalog.pg_constraint
    WHERE conrelid = $1 AND contype = 'c' AND $2::int2 = ANY (conkey)
    ORDER BY conname";

/// Those of partitions belong to that of their table.
const FOREIGN_KEYS: &str = "
    SELECT conname::text AS name, conrelid::regclass::text AS child, pg_catalog.pg_get_constraintdef(oid) AS definition,
           convalidated AS validated, confrelid = $1 AND $2::int2 = ANY (confkey) AS inbound
    FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND conparentid = 0
      AND (conrelid = $1 AND $2::int2 = ANY (conkey) OR confrelid = $1 AND $2::int2 = ANY (confkey))
    ORDER BY conname";

/// What else hangs on it.
const AGAINST: &str = "
    SELECT 'the foreign key ' || conname || ' to itself' AS what FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND conrelid = $1 AND confrelid = $1 AND $2::int2 = ANY (conkey) AND $2::int2 = ANY (confkey)
    UNION ALL
    SELECT 'the exclusion ' || conname FROM pg_catalog.pg_constraint
    WHERE contype = 'x' AND conrelid = $1 AND $2::int2 = ANY (conkey)
    UNION ALL
    SELECT 'the statistics ' || stxname FROM pg_catalog.pg_statistic_ext WHERE stxrelid = $1 AND $2::int2 = ANY (stxkeys)
    UNION ALL
    SELECT 'the replica identity ' || indexrelid::regclass FROM pg_catalog.pg_index
    WHERE indrelid = $1 AND indisreplident AND $2::int2 = ANY (indkey)
    UNION ALL
    SELECT unnest(array_remove(ARRAY[CASE WHEN attgenerated <> '' THEN 'its expression' END,
                                     CASE WHEN attacl IS NOT NULL THEN 'rights on it' END], NULL))
    FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum = $2
    UNION ALL
    SELECT 'partitions, or tables that inherit'
    WHERE EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1 OR inhparent = $1)
       OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $1 AND relkind = 'p')";

/// One column; nothing where there is none of that name.
pub(super) async fn read(client: &Client, table: &str, column: &str) -> Result<Option<Column>, Error> {
    let Some(row) = client.query_opt(COLUMN, &[&table, &column]).await? else { return Ok(None) };
    let (relation, number): (u32, i16) = (row.try_get("relation")?, row.try_get("number")?);
    let mut read = Column {
        table: table.to_owned(),
        column: column.to_owned(),
        kind: row.try_get("kind")?,
        not_null: row.try_get("not_null")?,
        default: row.try_get("value")?,
        sequence: row.try_get("sequence")?,
        identity: row.try_get("identity")?,
        comment: row.try_get("comment")?,
        ..Column::default()
    };
    for row in client.query(INDEXES, &[&relation, &number]).await? {
        read.indexes.push(index(&row)?);
    }
    for row in client.query(CHECKS, &[&relation, &number]).await? {
        read.checks.push(check(&row)?);
    }
    for row in client.query(FOREIGN_KEYS, &[&relation, &number]).await? {
        read.foreign_keys.push(foreign_key(&row)?);
    }
    for row in client.query(AGAINST, &[&relation, &number]).await? {
        read.against.push(row.try_get("what")?);
    }
    Ok(Some(read))
}

fn index(row: &Row) -> Result<ColumnIndex, Error> {
    Ok(ColumnIndex {
        name: row.try_get("name")?,
        definition: row.try_get("definition")?,
        constraint: row.try_get("key")?,
    })
}

fn check(row: &Row) -> Result<ColumnCheck, Error> {
    Ok(ColumnCheck {
        name: row.try_get("name")?,
        definition: row.try_get("definition")?,
        validated: row.try_get("validated")?,
    })
}

fn foreign_key(row: &Row) -> Result<ColumnForeignKey, Error> {
    Ok(ColumnForeignKey {
        name: row.try_get("name")?,
        table: row.try_get("child")?,
        definition: row.try_get("definition")?,
        validated: row.try_get("validated")?,
        inbound: row.try_get("inbound")?,
    })
}
