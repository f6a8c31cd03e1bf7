//! Puts what the planner of a source knows into the place of what `ANALYZE` found in its copy: PostgreSQL 18 lets the owner of a table
//! say it. The values of the lists stay those of the copy, which its queries ask for; shares, counts and widths become those of the
//! source, rank by rank.
//!
//! The planner takes the pages of a table from its file, and the rows from the rows a page that it knows of: so a small copy is as rich
//! in rows as the source, on as few pages as it has.

use std::collections::BTreeMap;

use super::server::failed;
use crate::dataset::DatasetError;
use crate::dataset::capture::{ColumnNumbers, SourceStatistics};
use crate::db::postgres::{Client, server_version};

/// First version with `pg_restore_relation_stats`.
const SINCE: u32 = 180_000;
const DOING: &str = "attach the planner statistics of the source";

/// That it was done, for runs to say so. A new load of the workload takes it away with its mark.
const PREPARE: &str = "
    CREATE TABLE IF NOT EXISTS dbdyno.source_statistics (
        workload text PRIMARY KEY REFERENCES dbdyno.load_mark ON DELETE CASCADE,
        attached_at timestamptz NOT NULL DEFAULT now()
    );
    GRANT SELECT ON dbdyno.source_statistics TO PUBLIC";

const REMEMBER: &str = "
    INSERT INTO dbdyno.source_statistics (workload) VALUES ($1) ON CONFLICT (workload) DO UPDATE SET attached_at = now()";

/// They are no longer there once a table was analyzed again.
const IS_ATTACHED: &str = "
    SELECT EXISTS (
        SELECT FROM dbdyno.source_statistics s
        WHERE s.workload = $1 AND NOT EXISTS (
            SELECT FROM dbdyno.load_object o
            WHERE o.workload = s.workload AND o.class_id = 'pg_class'::regclass
              AND greatest(pg_stat_get_last_analyze_time(o.object_id), pg_stat_get_last_autoanalyze_time(o.object_id)) > s.attached_at))";

/// A table with all of its partitions and their indexes: what has pages, with the rows that it has by its own statistics. Indexes of
/// part of a table are reckoned with by their own numbers. Those that are not partitions themselves are no files.
const RELATIONS: &str = "
    WITH part AS (
        SELECT to_regclass($1)::oid AS id UNION SELECT relid::oid FROM pg_partition_tree(to_regclass($1)))
    SELECT n.nspname::text, c.relname::text, c.oid::regclass::text, c.reltuples::float8, c.relkind = 'i'
    FROM part JOIN pg_class c ON c.oid = part.id OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = part.id)
         JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'i')
    ORDER BY c.oid";

const ROWS: &str = "SELECT pg_restore_relation_stats('schemaname', $1::text, 'relname', $2::text, 'reltuples', $3::float8::real)";

/// All columns of a table at once; a partitioned one has statistics of its own over all partitions. Nothing is said of what was never
/// analyzed here, nor of common values that the copy does not have. Lists as values cannot be told from lists of values.
const COLUMNS: &str = "
    SELECT s.attname::text, pg_restore_attribute_stats(
        'schemaname', s.schemaname::text, 'relname', s.tablename::text, 'attname', s.attname::text, 'inherited', s.inherited,
        'null_frac', w.nulls::real, 'avg_width', w.width::integer, 'n_distinct', w.distinct_values::real,
        'most_common_vals', CASE WHEN l.length > 0 THEN (s.most_common_vals::text::text[])[1:l.length]::text END,
        'most_common_freqs', CASE WHEN l.length > 0 THEN w.common[1:l.length] END,
        'correlation', w.correlation::real)
    FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname JOIN pg_type t ON t.oid = a.atttypid
         JOIN jsonb_to_recordset($2::text::jsonb)
              AS w(name text, nulls float8, width float8, distinct_values float8, common real[], correlation float8) ON w.name = s.attname
         CROSS JOIN LATERAL (
             SELECT CASE WHEN t.typcategory = 'A' THEN 0
                    ELSE least(coalesce(cardinality(s.most_common_freqs), 0), coalesce(cardinality(w.common), 0)) END AS length) l
    WHERE c.oid = to_regclass($1) AND s.inherited = (c.relkind = 'p')";

/// Whether this server lets statistics be said; the inner error says what would.
pub async fn may_attach(client: &Client) -> Result<Result<(), String>, DatasetError> {
    let (version, name) = server_version(client).await.map_err(failed(DOING))?;
    Ok(if version >= SINCE {
        Ok(())
    } else {
        Err(format!(
            "--statistics source: PostgreSQL 18 is the first that can be told statistics, and this is {name} (for a throwaway server, \
             name the folder of such binaries with --local-bindir)"
        ))
    })
}

/// Puts the statistics in, and keeps autovacuum from finding others. Gives what the user should know. Tables that are not there are
/// stepped over.
pub async fn attach(
    client: &Client,
    workload: &str,
    source: &SourceStatistics,
) -> Result<Vec<String>, DatasetError> {
    client.batch_execute("BEGIN").await.map_err(failed(DOING))?;
    let (mut tables, mut columns, mut refused) = (0, 0, vec![]);
    for (name, numbers) in &source.tables {
        let relations = client.query(RELATIONS, &[name]).await.map_err(failed(DOING))?;
        let has_rows = |row: &&tokio_postgres::Row| !row.get::<_, bool>(4);
        let rows: f64 = relations.iter().filter(has_rows).map(|row| row.get::<_, f64>(3).max(0.0)).sum();
        if rows < 1.0 {
            continue;
        }
        tables += 1;
        for relation in &relations {
            let (schema, own, target, reckoned, is_index): (&str, &str, &str, f64, bool) =
                (relation.get(0), relation.get(1), relation.get(2), relation.get(3), relation.get(4));
            let wanted = numbers.rows * reckoned.max(0.0) / rows;
            client.query_one(ROWS, &[&schema, &own, &wanted]).await.map_err(failed(DOING))?;
            if !is_index {
                let stop = format!("ALTER TABLE {target} SET (autovacuum_enabled = false)");
                client.batch_execute(&stop).await.map_err(failed(DOING))?;
            }
        }
        let wanted = json(&numbers.columns);
        for row in client.query(COLUMNS, &[name, &wanted]).await.map_err(failed(DOING))? {
            let (column, is_taken): (String, bool) = (row.get(0), row.get(1));
            if is_taken {
                columns += 1;
            } else {
                refused.push(format!("{name}.{column}"));
            }
        }
    }
    client.batch_execute(PREPARE).await.map_err(failed(DOING))?;
    client.execute(REMEMBER, &[&workload]).await.map_err(failed(DOING))?;
    client.batch_execute("COMMIT").await.map_err(failed(DOING))?;
    let mut notes = vec![format!(
        "the planner counts the rows of {tables} tables as the source does, by its statistics of {columns} columns, on as many pages as \
         they have here; autovacuum is off for them, so that it finds no others (ANALYZE takes them back, and ALTER TABLE … RESET \
         (autovacuum_enabled) switches it on)"
    )];
    if !refused.is_empty() {
        notes.push(format!("the server did not take the statistics of {}", refused.join(", ")));
    }
    Ok(notes)
}

/// Whether the statistics of the source stand in the place of its own. A mark of an older dbdyno does not know of them.
pub(super) async fn is_attached(client: &Client, workload: &str) -> bool {
    client.query_one(IS_ATTACHED, &[&workload]).await.is_ok_and(|row| row.get(0))
}

fn json(columns: &BTreeMap<String, ColumnNumbers>) -> String {
    let one = |(name, of): (&String, &ColumnNumbers)| {
        serde_json::json!({
            "name": name, "nulls": of.nulls, "width": of.width, "distinct_values": of.distinct,
            "common": of.common, "correlation": of.correlation,
        })
    };
    columns.iter().map(one).collect::<serde_json::Value>().to_string()
}
