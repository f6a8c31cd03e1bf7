//! The cumulative views and the rows they fill: one constant for each range of versions, beside the row.

use tokio_postgres::{Error, Row};

use super::query_ids::TEXT_COMPARED;
use crate::record::observation::{
    DatabaseCounters, IndexCounters, IndexShape, ServerCounters, StatementCounters, TableCounters,
};

/// `server_version_num` of the first version that has `pg_stat_checkpointer`.
pub const CHECKPOINTER_SINCE: i32 = 170_000;
/// `server_version_num` of the first version that counts the writing of WAL in `pg_stat_io` instead of `pg_stat_wal`.
pub const WAL_IO_SINCE: i32 = 180_000;

/// Rows of tables and of indexes that are read, the largest first.
pub const ROWS_MAX: usize = 2000;

/// PostgreSQL 14 to 18.
pub const DATABASE: &str = "\
SELECT xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated,
       tup_deleted, temp_bytes, deadlocks, (blk_read_time * 1000)::bigint AS blk_read_us,
       (extract(epoch FROM stats_reset) * 1000000)::bigint AS stats_reset_us,
       pg_database_size(datid) AS size_bytes
FROM pg_stat_database WHERE datname = current_database()";

/// Reads a row of [`DATABASE`].
pub fn database(row: &Row) -> Result<DatabaseCounters, Error> {
    Ok(DatabaseCounters {
        commits: count(row, "xact_commit")?,
        rollbacks: count(row, "xact_rollback")?,
        blocks_read: count(row, "blks_read")?,
        blocks_hit: count(row, "blks_hit")?,
        rows_returned: count(row, "tup_returned")?,
        rows_fetched: count(row, "tup_fetched")?,
        rows_inserted: count(row, "tup_inserted")?,
        rows_updated: count(row, "tup_updated")?,
        rows_deleted: count(row, "tup_deleted")?,
        temp_bytes: count(row, "temp_bytes")?,
        deadlocks: count(row, "deadlocks")?,
        block_read_us: count(row, "blk_read_us")?,
        stats_reset_at: row.try_get("stats_reset_us")?,
        size_bytes: count(row, "size_bytes")?,
    })
}

/// PostgreSQL 14 to 18. Until a table is vacuumed or analysed, its statistics know only the rows that came and went since they
/// began: in a copied database, or after a crash, what the catalogue kept from before is nearer. Sizes take a weak lock on each
/// table, so that a waiting DDL can delay this query up to the probe's `lock_timeout`.
pub const TABLES: &str = "\
SELECT CASE WHEN s.schemaname = 'public' THEN s.relname::text ELSE s.schemaname || '.' || s.relname END AS name,
       s.seq_scan, s.seq_tup_read, s.idx_scan, s.idx_tup_fetch, s.n_tup_ins, s.n_tup_upd, s.n_tup_hot_upd,
       s.n_tup_del,
       CASE WHEN coalesce(s.last_vacuum, s.last_autovacuum, s.last_analyze, s.last_autoanalyze) IS NULL
            THEN greatest(s.n_live_tup, class.reltuples::bigint) ELSE s.n_live_tup END AS n_live_tup,
       s.n_dead_tup, s.n_mod_since_analyze, s.autovacuum_count, s.autoanalyze_count,
       (extract(epoch FROM s.last_autovacuum) * 1000000)::bigint AS last_autovacuum_us,
       (extract(epoch FROM s.last_autoanalyze) * 1000000)::bigint AS last_autoanalyze_us,
       io.heap_blks_read, io.heap_blks_hit, pg_relation_size(s.relid) AS heap_bytes,
       pg_total_relation_size(s.relid) AS size_bytes
FROM pg_stat_user_tables AS s
JOIN pg_statio_user_tables AS io ON io.relid = s.relid
JOIN pg_class AS class ON class.oid = s.relid
WHERE class.relpersistence <> 't'
ORDER BY class.relpages DESC, s.relid LIMIT 2001";

/// Reads a row of [`TABLES`].
pub fn table(row: &Row) -> Result<TableCounters, Error> {
    Ok(TableCounters {
        table: row.try_get("name")?,
        seq_scans: count(row, "seq_scan")?,
        seq_rows_read: count(row, "seq_tup_read")?,
        idx_scans: count(row, "idx_scan")?,
        idx_rows_fetched: count(row, "idx_tup_fetch")?,
        inserted: count(row, "n_tup_ins")?,
        updated: count(row, "n_tup_upd")?,
        hot_updated: count(row, "n_tup_hot_upd")?,
        deleted: count(row, "n_tup_del")?,
        live_rows: count(row, "n_live_tup")?,
        dead_rows: count(row, "n_dead_tup")?,
        changed_since_analyze: count(row, "n_mod_since_analyze")?,
        autovacuums: count(row, "autovacuum_count")?,
        autoanalyzes: count(row, "autoanalyze_count")?,
        last_autovacuum_unix_us: row.try_get("last_autovacuum_us")?,
        last_autoanalyze_unix_us: row.try_get("last_autoanalyze_us")?,
        heap_blocks_read: count(row, "heap_blks_read")?,
        heap_blocks_hit: count(row, "heap_blks_hit")?,
        heap_bytes: level(row, "heap_bytes")?,
        size_bytes: count(row, "size_bytes")?,
    })
}

/// PostgreSQL 14 to 18. A key is its column or expression with what else decides which searches it answers; the numbers of an
/// operator class and of a collation are those of this database, and only compared with each other. Whether NULLs are alike is
/// read by way of JSON, because PostgreSQL 14 has no such column.
pub const INDEXES: &str = "\
SELECT CASE WHEN s.schemaname = 'public' THEN s.indexrelname::text
            ELSE s.schemaname || '.' || s.indexrelname END AS name,
       CASE WHEN s.schemaname = 'public' THEN s.relname::text ELSE s.schemaname || '.' || s.relname END AS table_name,
       s.idx_scan, s.idx_tup_read, pg_relation_size(s.indexrelid) AS size_bytes,
       EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = s.indexrelid) AS for_constraint,
       quote_ident(s.schemaname) || '.' || quote_ident(s.indexrelname) AS quoted, class.relispartition AS attached,
       pg_get_indexdef(s.indexrelid) AS definition, am.amname::text AS method,
       i.indisunique, coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_alike,
       NOT i.indimmediate AS deferrable, i.indisprimary, i.indisexclusion, i.indisreplident, i.indisvalid,
       pg_get_expr(i.indpred, i.indrelid) AS predicate,
       ARRAY(SELECT concat_ws(' ', pg_get_indexdef(s.indexrelid, k, true), i.indclass[k - 1], i.indcollation[k - 1],
                              i.indoption[k - 1], (SELECT array_to_string(a.attoptions, ',') FROM pg_attribute AS a
                                                   WHERE a.attrelid = s.indexrelid AND a.attnum = k))
             FROM generate_series(1, i.indnkeyatts) AS k ORDER BY k) AS keys,
       ARRAY(SELECT pg_get_indexdef(s.indexrelid, k, true)
             FROM generate_series(i.indnkeyatts + 1, i.indnatts) AS k ORDER BY k) AS included
FROM pg_stat_user_indexes AS s
JOIN pg_class AS class ON class.oid = s.indexrelid
JOIN pg_am AS am ON am.oid = class.relam
JOIN pg_index AS i ON i.indexrelid = s.indexrelid
WHERE class.relpersistence <> 't'
ORDER BY class.relpages DESC, s.indexrelid LIMIT 2001";

/// Reads a row of [`INDEXES`].
pub fn index(row: &Row) -> Result<IndexCounters, Error> {
    Ok(IndexCounters {
        index: row.try_get("name")?,
        table: row.try_get("table_name")?,
        scans: Some(count(row, "idx_scan")?),
        entries_read: Some(count(row, "idx_tup_read")?),
        size_bytes: count(row, "size_bytes")?,
        constraint: row.try_get("for_constraint")?,
        quoted: row.try_get("quoted")?,
        attached: row.try_get("attached")?,
        shape: index_shape(row)?,
    })
}

/// Absent where the index was dropped while it was read.
fn index_shape(row: &Row) -> Result<Option<IndexShape>, Error> {
    let Some(definition) = row.try_get("definition")? else { return Ok(None) };
    Ok(Some(IndexShape {
        definition,
        method: row.try_get("method")?,
        keys: row.try_get("keys")?,
        included: row.try_get("included")?,
        predicate: row.try_get("predicate")?,
        unique: row.try_get("indisunique")?,
        nulls_alike: row.try_get("nulls_alike")?,
        deferrable: row.try_get("deferrable")?,
        primary: row.try_get("indisprimary")?,
        exclusion: row.try_get("indisexclusion")?,
        replica_identity: row.try_get("indisreplident")?,
        valid: row.try_get("indisvalid")?,
        hidden: false,
    }))
}

/// PostgreSQL 14 to 16: checkpoints are counted by the background writer's view.
const SERVER_TO_16: &str = "\
SELECT w.wal_bytes::bigint AS wal_bytes, w.wal_fpi, b.checkpoints_timed, b.checkpoints_req,
       b.buffers_checkpoint AS checkpoint_buffers, b.buffers_clean AS cleaner_buffers,
       b.buffers_backend AS backend_buffers, b.buffers_backend_fsync AS backend_fsyncs,
       w.wal_sync AS wal_syncs, (w.wal_write_time * 1000)::bigint AS wal_write_us,
       (w.wal_sync_time * 1000)::bigint AS wal_sync_us,
       (SELECT sum(numbackends) FROM pg_stat_database) AS connections
FROM pg_stat_wal AS w, pg_stat_bgwriter AS b";

/// PostgreSQL 17: checkpoints have a view of their own, and what sessions write stands in `pg_stat_io` alone.
const SERVER_17: &str = "\
SELECT w.wal_bytes::bigint AS wal_bytes, w.wal_fpi, c.num_timed AS checkpoints_timed,
       c.num_requested AS checkpoints_req, c.buffers_written AS checkpoint_buffers, b.buffers_clean AS cleaner_buffers,
       NULL::bigint AS backend_buffers, NULL::bigint AS backend_fsyncs,
       w.wal_sync AS wal_syncs, (w.wal_write_time * 1000)::bigint AS wal_write_us,
       (w.wal_sync_time * 1000)::bigint AS wal_sync_us,
       (SELECT sum(numbackends) FROM pg_stat_database) AS connections
FROM pg_stat_wal AS w, pg_stat_checkpointer AS c, pg_stat_bgwriter AS b";

/// PostgreSQL 18: the writing of WAL has moved to `pg_stat_io` as well.
const SERVER_FROM_18: &str = "\
SELECT w.wal_bytes::bigint AS wal_bytes, w.wal_fpi, c.num_timed AS checkpoints_timed,
       c.num_requested AS checkpoints_req, c.buffers_written AS checkpoint_buffers, b.buffers_clean AS cleaner_buffers,
       NULL::bigint AS backend_buffers, NULL::bigint AS backend_fsyncs,
       io.fsyncs AS wal_syncs, io.write_us AS wal_write_us, io.fsync_us AS wal_sync_us,
       (SELECT sum(numbackends) FROM pg_stat_database) AS connections
FROM pg_stat_wal AS w, pg_stat_checkpointer AS c, pg_stat_bgwriter AS b,
     (SELECT sum(fsyncs)::bigint AS fsyncs, (sum(write_time) * 1000)::bigint AS write_us,
             (sum(fsync_time) * 1000)::bigint AS fsync_us
      FROM pg_stat_io WHERE object = 'wal') AS io";

/// The server's own counters, by `server_version_num`.
pub fn server_query(version_num: i32) -> &'static str {
    match version_num {
        WAL_IO_SINCE.. => SERVER_FROM_18,
        CHECKPOINTER_SINCE.. => SERVER_17,
        _ => SERVER_TO_16,
    }
}

/// Reads a row of [`server_query`].
pub fn server(row: &Row) -> Result<ServerCounters, Error> {
    Ok(ServerCounters {
        wal_bytes: count(row, "wal_bytes")?,
        wal_full_page_images: count(row, "wal_fpi")?,
        checkpoints_timed: count(row, "checkpoints_timed")?,
        checkpoints_requested: count(row, "checkpoints_req")?,
        checkpoint_buffers: count(row, "checkpoint_buffers")?,
        cleaner_buffers: level(row, "cleaner_buffers")?,
        backend_buffers: level(row, "backend_buffers")?,
        backend_fsyncs: level(row, "backend_fsyncs")?,
        wal_syncs: level(row, "wal_syncs")?,
        wal_write_us: level(row, "wal_write_us")?,
        wal_sync_us: level(row, "wal_sync_us")?,
        page_changes: None,
        connections: count(row, "connections")?,
    })
}

/// The extension, where it is installed in this database. Its columns follow its own version, not the server's: an upgrade
/// of the server leaves it behind until `ALTER EXTENSION`.
pub const STATEMENTS_EXTENSION: &str = "\
SELECT quote_ident(n.nspname) AS schema, e.extversion
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";

/// `pg_stat_statements` of this database.
#[derive(Clone, Debug)]
pub struct StatementsView {
    /// Its schema, quoted.
    schema: String,
    /// Whether the time of compiling is counted: extension 1.10, PostgreSQL 15.
    jit: bool,
    /// Whether rows say since when they count, and name the blocks whose time they give: extension 1.11, PostgreSQL 17.
    stats_since: bool,
}

impl StatementsView {
    /// By what [`STATEMENTS_EXTENSION`] says; an error names the remedy.
    pub fn new(schema: String, version: &str) -> Result<Self, String> {
        let number = |text: Option<&str>| text.and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
        let mut parts = version.split('.');
        let version_pair = (number(parts.next()), number(parts.next()));
        if version_pair < (1, 9) {
            return Err(format!(
                "pg_stat_statements {version} does not tell nested statements apart: \
                 run `ALTER EXTENSION pg_stat_statements UPDATE`"
            ));
        }
        Ok(Self { schema, jit: version_pair >= (1, 10), stats_since: version_pair >= (1, 11) })
    }

    /// The counters of certain query ids (`$1`) of a user (`$2`, null for that of the probes); without the texts, which lie in a file.
    pub fn counters_query(&self) -> String {
        let Self { schema, jit, stats_since } = self;
        let (stats_since, time_of) = if *stats_since {
            ("(extract(epoch FROM stats_since) * 1000000)::bigint", "shared_blk")
        } else {
            ("NULL::bigint", "blk")
        };
        // The deforming of rows is a part of the generation.
        let jit = if *jit {
            "(jit_generation_time + jit_inlining_time + jit_optimization_time + jit_emission_time) * 1000"
        } else {
            "NULL::double precision"
        };
        format!(
            "SELECT queryid, calls, total_exec_time * 1000 AS exec_us, total_plan_time * 1000 AS plan_us, rows, \
             shared_blks_hit, shared_blks_read, shared_blks_dirtied, temp_blks_written, wal_records, wal_fpi, \
             wal_bytes::bigint AS wal_bytes, local_blks_read, temp_blks_read, \
             {time_of}_read_time * 1000 AS block_read_us, {time_of}_write_time * 1000 AS block_write_us, \
             {jit} AS jit_us, {stats_since} AS stats_since_us \
             FROM {schema}.pg_stat_statements(false) WHERE {OURS} AND queryid = ANY($1)"
        )
    }

    /// Query ids with the beginning of their texts, of statements that carry a tag or begin with one of the texts `$1`;
    /// `$2` as in [`Self::counters_query`].
    pub fn texts_query(&self) -> String {
        format!(
            "SELECT queryid, left(query, {TEXT_COMPARED}) AS query FROM {}.pg_stat_statements(true) \
             WHERE {OURS} AND queryid IS NOT NULL \
             AND (left(query, {TEXT_COMPARED}) LIKE '%/*dbdyno:%' OR left(query, {TEXT_COMPARED}) = ANY($1))",
            self.schema
        )
    }

    /// How many entries were thrown away for want of room.
    pub fn evictions_query(&self) -> String {
        format!("SELECT dealloc FROM {}.pg_stat_statements_info", self.schema)
    }
}

/// What the workload's connections sent: this database, their user (`$2`; null for that of the probes), not from within a function.
const OURS: &str = "toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                    AND userid = (SELECT oid FROM pg_roles WHERE rolname = coalesce($2::text, current_user))";

/// Reads a row of [`StatementsView::counters_query`]; whose it is, the caller knows.
pub fn statement(row: &Row) -> Result<StatementCounters, Error> {
    Ok(StatementCounters {
        statements: Vec::new(),
        query_id: row.try_get("queryid")?,
        calls: count(row, "calls")?,
        exec_us: row.try_get("exec_us")?,
        plan_us: row.try_get("plan_us")?,
        rows: count(row, "rows")?,
        shared_blocks_hit: count(row, "shared_blks_hit")?,
        shared_blocks_read: count(row, "shared_blks_read")?,
        shared_blocks_dirtied: count(row, "shared_blks_dirtied")?,
        temp_blocks_written: count(row, "temp_blks_written")?,
        wal_records: count(row, "wal_records")?,
        wal_full_page_images: count(row, "wal_fpi")?,
        wal_bytes: count(row, "wal_bytes")?,
        local_blocks_read: count(row, "local_blks_read")?,
        temp_blocks_read: count(row, "temp_blks_read")?,
        block_read_us: row.try_get("block_read_us")?,
        block_write_us: row.try_get("block_write_us")?,
        jit_us: row.try_get("jit_us")?,
        stats_since: row.try_get("stats_since_us")?,
        row_work: None,
    })
}

/// A counter. It is absent where there is nothing to count, such as index scans of a table without indexes.
pub fn count(row: &Row, column: &str) -> Result<u64, Error> {
    level(row, column).map(|value| value.unwrap_or(0))
}

/// A number that some servers do not tell.
pub fn level(row: &Row, column: &str) -> Result<Option<u64>, Error> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.and_then(|value| u64::try_from(value).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_follow_the_version() {
        assert!(server_query(160_014).contains("pg_stat_bgwriter"));
        assert!(server_query(170_010).contains("pg_stat_checkpointer"));
        let view = |version| StatementsView::new("public".into(), version);
        assert!(server_query(180_004).contains("pg_stat_io"));
        let query = |version| view(version).expect("it is supported").counters_query();
        assert!(query("1.9").contains("NULL::double precision AS jit_us"), "PostgreSQL 14");
        assert!(query("1.10").contains("NULL::bigint") && query("1.10").contains(" blk_read_time"));
        assert!(query("1.10").contains("jit_emission_time"), "PostgreSQL 15");
        assert!(query("1.11").contains("stats_since)") && query("1.11").contains("shared_blk_read_time"));
        assert!(view("1.8").expect_err("PostgreSQL 13").contains("ALTER EXTENSION"));
    }
}
