//! `pg_stat_io`: which kind of process reads and writes what, and for which purpose. PostgreSQL 16 to 18.

use tokio_postgres::{Error, Row};

use super::views::{WAL_IO_SINCE, count};
use crate::record::observation::IoCounters;

/// `server_version_num` of the first version that has the view.
pub const IO_SINCE: i32 = 160_000;

/// PostgreSQL 16 and 17: every read and write is of one block.
const IO_TO_17: &str = "\
SELECT backend_type::text AS backend_type, object::text AS object, context::text AS context,
       reads, (reads * op_bytes)::bigint AS read_bytes, (read_time * 1000)::bigint AS read_us,
       writes, (writes * op_bytes)::bigint AS write_bytes, (write_time * 1000)::bigint AS write_us,
       extends, (extends * op_bytes)::bigint AS extend_bytes, hits, evictions, reuses,
       fsyncs, (fsync_time * 1000)::bigint AS fsync_us
FROM pg_stat_io";

/// PostgreSQL 18: one read may fetch several blocks, so that bytes are counted apart.
const IO_FROM_18: &str = "\
SELECT backend_type::text AS backend_type, object::text AS object, context::text AS context,
       reads, read_bytes::bigint AS read_bytes, (read_time * 1000)::bigint AS read_us,
       writes, write_bytes::bigint AS write_bytes, (write_time * 1000)::bigint AS write_us,
       extends, extend_bytes::bigint AS extend_bytes, hits, evictions, reuses,
       fsyncs, (fsync_time * 1000)::bigint AS fsync_us
FROM pg_stat_io";

/// The view of a `server_version_num`, where it has one.
pub fn query(version_num: i32) -> Option<&'static str> {
    match version_num {
        WAL_IO_SINCE.. => Some(IO_FROM_18),
        IO_SINCE.. => Some(IO_TO_17),
        _ => None,
    }
}

/// Reads a row of [`query`]. What a process cannot do is NULL, and counted as none.
pub fn read(row: &Row) -> Result<IoCounters, Error> {
    Ok(IoCounters {
        backend_type: row.try_get("backend_type")?,
        object: row.try_get("object")?,
        context: row.try_get("context")?,
        reads: count(row, "reads")?,
        read_bytes: count(row, "read_bytes")?,
        read_us: count(row, "read_us")?,
        writes: count(row, "writes")?,
        write_bytes: count(row, "write_bytes")?,
        write_us: count(row, "write_us")?,
        extends: count(row, "extends")?,
        extend_bytes: count(row, "extend_bytes")?,
        hits: count(row, "hits")?,
        evictions: count(row, "evictions")?,
        reuses: count(row, "reuses")?,
        fsyncs: count(row, "fsyncs")?,
        fsync_us: count(row, "fsync_us")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_follows_the_version() {
        assert_eq!(query(150_018), None);
        assert!(query(170_010).expect("it has one").contains("op_bytes"));
        assert!(query(180_004).expect("it has one").contains("write_bytes::bigint"));
    }
}
