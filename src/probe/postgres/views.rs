//! The cumulative views and the rows they fill: one constant for each range of versions, beside the row.

use tokio_postgres::{Error, Row};

use super::query_ids::TEXT_COMPARED;
use crate::record::observation::{
    DatabaseCounters, IndexCounters, ServerCounters, StatementCounters, TableCounters,
};

/// `server_version_num` of the first version that has `pg_stat_checkpointer`.
const CHECKPOINTER_SINCE: i32 = 170_000;

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

/// PostgreSQL 14 to 18. Sizes take a weak lock on each table, so that a waiting DDL can delay this query up to the probe's
/// `lock_timeout`.
pub const TABLES: &str = "\
SELECT CASE WHEN s.schemaname = 'public' THEN s.relname::text ELSE s.schemaname || '.' || s.relname END AS name,
       s.seq_scan, s.seq_tup_read, s.idx_scan, s.idx_tup_fetch, s.n_tup_ins, s.n_tup_upd, s.n_tup_hot_upd,
       s.n_tup_del, s.n_live_tup, s.n_dead_tup, io.heap_blks_read, io.heap_blks_hit,
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
        heap_blocks_read: count(row, "heap_blks_read")?,
        heap_blocks_hit: count(row, "heap_blks_hit")?,
        size_bytes: count(row, "size_bytes")?,
    })
}

/// PostgreSQL 14 to 18.
pub const INDEXES: &str = "\
SELECT CASE WHEN s.schemaname = 'public' THEN s.indexrelname::text
            ELSE s.schemaname || '.' || s.indexrelname END AS name,
       CASE WHEN s.schemaname = 'public' THEN s.relname::text ELSE s.schemaname || '.' || s.relname END AS table_name,
       s.idx_scan, s.idx_tup_read, pg_relation_size(s.indexrelid) AS size_bytes,
       EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = s.indexrelid) AS for_constraint
FROM pg_stat_user_indexes AS s
JOIN pg_class AS class ON class.oid = s.indexrelid
WHERE class.relpersistence <> 't'
ORDER BY class.relpages DESC, s.indexrelid LIMIT 2001";

/// Reads a row of [`INDEXES`].
pub fn index(row: &Row) -> Result<IndexCounters, Error> {
    Ok(IndexCounters {
        index: row.try_get("name")?,
        table: row.try_get("table_name")?,
        scans: count(row, "idx_scan")?,
        entries_read: count(row, "idx_tup_read")?,
        size_bytes: count(row, "size_bytes")?,
        constraint: row.try_get("for_constraint")?,
    })
}

/// PostgreSQL 14 to 16: checkpoints are counted by the background writer's view.
const SERVER_TO_16: &str = "\
SELECT w.wal_bytes::bigint AS wal_bytes, w.wal_fpi, b.checkpoints_timed, b.checkpoints_req,
       b.buffers_checkpoint AS checkpoint_buffers,
       (SELECT sum(numbackends) FROM pg_stat_database) AS connections
FROM pg_stat_wal AS w, pg_stat_bgwriter AS b";

/// PostgreSQL 17 and 18: checkpoints have a view of their own.
const SERVER_FROM_17: &str = "\
SELECT w.wal_bytes::bigint AS wal_bytes, w.wal_fpi, c.num_timed AS checkpoints_timed,
       c.num_requested AS checkpoints_req, c.buffers_written AS checkpoint_buffers,
       (SELECT sum(numbackends) FROM pg_stat_database) AS connections
FROM pg_stat_wal AS w, pg_stat_checkpointer AS c";

/// The server's own counters, by `server_version_num`.
pub fn server_query(version_num: i32) -> &'static str {
    if version_num >= CHECKPOINTER_SINCE { SERVER_FROM_17 } else { SERVER_TO_16 }
}

/// Reads a row of [`server_query`].
pub fn server(row: &Row) -> Result<ServerCounters, Error> {
    Ok(ServerCounters {
        wal_bytes: count(row, "wal_bytes")?,
        wal_full_page_images: count(row, "wal_fpi")?,
        checkpoints_timed: count(row, "checkpoints_timed")?,
        checkpoints_requested: count(row, "checkpoints_req")?,
        checkpoint_buffers: count(row, "checkpoint_buffers")?,
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
    /// Whether rows say since when they count: extension 1.11, PostgreSQL 17.
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
        Ok(Self { schema, stats_since: version_pair >= (1, 11) })
    }

    /// The counters of certain query ids (`$1`); without the texts, which lie in a file.
    pub fn counters_query(&self) -> String {
        let Self { schema, stats_since } = self;
        let stats_since =
            if *stats_since { "(extract(epoch FROM stats_since) * 1000000)::bigint" } else { "NULL::bigint" };
        format!(
            "SELECT queryid, calls, total_exec_time * 1000 AS exec_us, total_plan_time * 1000 AS plan_us, rows, \
             shared_blks_hit, shared_blks_read, shared_blks_dirtied, temp_blks_written, wal_records, wal_fpi, \
             wal_bytes::bigint AS wal_bytes, {stats_since} AS stats_since_us \
             FROM {schema}.pg_stat_statements(false) WHERE {OURS} AND queryid = ANY($1)"
        )
    }

    /// Query ids with the beginning of their texts, of statements that carry a tag or begin with one of the texts `$1`.
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

/// What the workload's connections sent: this database, this user, not from within a function.
const OURS: &str = "toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                    AND userid = (SELECT oid FROM pg_roles WHERE rolname = current_user)";

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
        stats_since: row.try_get("stats_since_us")?,
    })
}

/// A counter. It is absent where there is nothing to count, such as index scans of a table without indexes.
fn count(row: &Row, column: &str) -> Result<u64, Error> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_follow_the_version() {
        assert!(server_query(160_014).contains("pg_stat_bgwriter"));
        assert!(server_query(170_010).contains("pg_stat_checkpointer"));
        let view = |version| StatementsView::new("public".into(), version);
        assert!(view("1.10").expect("PostgreSQL 15").counters_query().contains("NULL::bigint"));
        assert!(view("1.11").expect("PostgreSQL 17").counters_query().contains("stats_since)"));
        assert!(view("1.8").expect_err("PostgreSQL 13").contains("ALTER EXTENSION"));
    }
}
