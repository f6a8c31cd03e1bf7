//! Differences between two readings of the server's counters. What went backwards was reset, or came from another server
//! process: it is left out, never shown as zero.

use jiff::Timestamp;

use crate::model;
use crate::record::entry::WorkloadHeader;
use crate::record::observation::{
    Counters, IoCounters, RowWork, ServerCounters, StatementCounters, TableCounters,
};
use crate::units::StatementId;

/// The server as a whole.
pub(super) fn server(begin: &Counters, end: &Counters, window_s: f64) -> model::ServerInfo {
    let (b, e) = (&begin.database, &end.database);
    let blocks_hit = e.blocks_hit.saturating_sub(b.blocks_hit);
    let blocks_read = e.blocks_read.saturating_sub(b.blocks_read);
    let checkpoints = |c: &Counters| c.server.checkpoints_timed + c.server.checkpoints_requested;
    let changed = |c: &Counters| c.database.rows_inserted + c.database.rows_updated + c.database.rows_deleted;
    model::ServerInfo {
        window_s,
        cache_hit_fraction: fraction(blocks_hit, blocks_read),
        commits: e.commits.saturating_sub(b.commits),
        rollbacks: e.rollbacks.saturating_sub(b.rollbacks),
        deadlocks: e.deadlocks.saturating_sub(b.deadlocks),
        temp_bytes: Some(e.temp_bytes.saturating_sub(b.temp_bytes)),
        wal_bytes: end.server.wal_bytes.saturating_sub(begin.server.wal_bytes),
        wal_fpi: Some(end.server.wal_full_page_images.saturating_sub(begin.server.wal_full_page_images)),
        checkpoints: Some(checkpoints(end).saturating_sub(checkpoints(begin))),
        rows_changed: changed(end).saturating_sub(changed(begin)),
        size_growth_bytes: growth(b.size_bytes, e.size_bytes),
        buffers: buffers(begin, end),
        wal_io: wal_io(&begin.server, &end.server),
        io: io(begin, end),
    }
}

fn growth(before: u64, after: u64) -> i64 {
    after.cast_signed().saturating_sub(before.cast_signed())
}

/// Who wrote buffers. From PostgreSQL 17 on only `pg_stat_io` counts what sessions wrote.
fn buffers(begin: &Counters, end: &Counters) -> Option<model::BufferInfo> {
    let (b, e) = (&begin.server, &end.server);
    let difference = |of: fn(&ServerCounters) -> Option<u64>| {
        of(e).zip(of(b)).and_then(|(after, before)| after.checked_sub(before))
    };
    let cleaner = difference(|server| server.cleaner_buffers)?;
    let checkpoint = e.checkpoint_buffers.checked_sub(b.checkpoint_buffers)?;
    let counted = difference(|server| server.backend_buffers).zip(difference(|server| server.backend_fsyncs));
    let (backend, backend_fsyncs) = counted.or_else(|| written_by_others(begin, end))?;
    Some(model::BufferInfo { checkpoint, cleaner, backend, backend_fsyncs })
}

/// Bytes of a block, as servers are built unless somebody asks for another.
const BLOCK_BYTES: u64 = 8192;

/// Blocks that neither the checkpointer nor the background writer wrote, and files that neither of them flushed.
fn written_by_others(begin: &Counters, end: &Counters) -> Option<(u64, u64)> {
    let sum = |counters: &Counters| {
        let others = counters.io.iter().filter(|row| {
            row.object != "wal" && !["checkpointer", "background writer"].contains(&&*row.backend_type)
        });
        others.fold((0, 0), |(bytes, fsyncs), row| (bytes + row.write_bytes, fsyncs + row.fsyncs))
    };
    if begin.io.is_empty() || end.io.is_empty() {
        return None;
    }
    let (before, after) = (sum(begin), sum(end));
    Some((after.0.checked_sub(before.0)? / BLOCK_BYTES, after.1.checked_sub(before.1)?))
}

fn wal_io(begin: &ServerCounters, end: &ServerCounters) -> Option<model::WalIoInfo> {
    Some(model::WalIoInfo {
        syncs: end.wal_syncs?.checked_sub(begin.wal_syncs?)?,
        write_us: end.wal_write_us?.checked_sub(begin.wal_write_us?)?,
        sync_us: end.wal_sync_us?.checked_sub(begin.wal_sync_us?)?,
    })
}

/// What each kind of process did, the one that moved most first.
fn io(begin: &Counters, end: &Counters) -> Vec<model::IoInfo> {
    let key = |row: &IoCounters| (row.backend_type.clone(), row.object.clone(), row.context.clone());
    let zero = IoCounters::default();
    let mut rows: Vec<model::IoInfo> = end
        .io
        .iter()
        .filter_map(|after| {
            let before = begin.io.iter().find(|row| key(row) == key(after)).unwrap_or(&zero);
            io_row(before, after)
        })
        .filter(|row| row.reads + row.writes + row.extends + row.hits + row.fsyncs > 0)
        .collect();
    rows.sort_by_key(|row| {
        std::cmp::Reverse((row.read_bytes + row.write_bytes + row.extend_bytes, row.hits))
    });
    rows
}

fn io_row(before: &IoCounters, after: &IoCounters) -> Option<model::IoInfo> {
    let difference = |of: fn(&IoCounters) -> u64| of(after).checked_sub(of(before));
    Some(model::IoInfo {
        backend_type: after.backend_type.clone(),
        object: after.object.clone(),
        context: after.context.clone(),
        reads: difference(|row| row.reads)?,
        read_bytes: difference(|row| row.read_bytes)?,
        read_us: difference(|row| row.read_us)?,
        writes: difference(|row| row.writes)?,
        write_bytes: difference(|row| row.write_bytes)?,
        write_us: difference(|row| row.write_us)?,
        extends: difference(|row| row.extends)?,
        extend_bytes: difference(|row| row.extend_bytes)?,
        hits: difference(|row| row.hits)?,
        evictions: difference(|row| row.evictions)?,
        reuses: difference(|row| row.reuses)?,
        fsyncs: difference(|row| row.fsyncs)?,
        fsync_us: difference(|row| row.fsync_us)?,
    })
}

/// Statements without the server's account, since their rows may have been thrown away in the stage.
pub(super) fn evicted(begin: &Counters, end: &Counters, workload: &WorkloadHeader) -> Option<String> {
    let evicted =
        end.statement_evictions?.checked_sub(begin.statement_evictions?).filter(|count| *count > 0)?;
    let without: Vec<String> = (0..workload.statements.len())
        .map(StatementId::from_index)
        .filter(|id| statement(*id, begin, end, workload).is_none())
        .filter_map(|id| workload.statement_name(id))
        .collect();
    (!without.is_empty()).then(|| {
        format!(
            "pg_stat_statements threw away its least used entries {evicted} times during a stage; no account of the server \
             there for {} (ALTER SYSTEM SET pg_stat_statements.max = 20000, then restart the server)",
            without.join(", ")
        )
    })
}

/// Whether the counters of the two readings belong to one history.
pub(super) fn comparable(begin: &Counters, end: &Counters) -> bool {
    begin.database.stats_reset_at == end.database.stats_reset_at
        && end.database.commits >= begin.database.commits
}

/// One statement of the workload.
pub(super) fn statement(
    id: StatementId,
    begin: &Counters,
    end: &Counters,
    workload: &WorkloadHeader,
) -> Option<model::StatementServerInfo> {
    let after = end.statements.iter().find(|row| row.statements.contains(&id))?;
    let zero = StatementCounters::default();
    // A statement that was never called before has no row yet.
    let before = begin.statements.iter().find(|row| row.query_id == after.query_id).unwrap_or(&zero);
    if begin.statement_evictions != end.statement_evictions && !is_one_row(before, after) {
        return None;
    }
    if before.calls > 0 && before.stats_since != after.stats_since {
        return None;
    }
    let calls = after.calls.checked_sub(before.calls)?;
    let mean = |after: f64, before: f64| if calls > 0 { (after - before) / calls as f64 } else { 0.0 };
    Some(model::StatementServerInfo {
        calls,
        exec_us_mean: mean(after.exec_us, before.exec_us),
        plan_us_mean: mean(after.plan_us, before.plan_us),
        rows: after.rows.checked_sub(before.rows)?,
        shared_blks_hit: after.shared_blocks_hit.checked_sub(before.shared_blocks_hit)?,
        shared_blks_read: after.shared_blocks_read.checked_sub(before.shared_blocks_read)?,
        shared_blks_dirtied: after.shared_blocks_dirtied.checked_sub(before.shared_blocks_dirtied)?,
        temp_blks_written: after.temp_blocks_written.checked_sub(before.temp_blocks_written)?,
        wal_records: after.wal_records.checked_sub(before.wal_records)?,
        wal_fpi: after.wal_full_page_images.checked_sub(before.wal_full_page_images)?,
        wal_bytes: after.wal_bytes.checked_sub(before.wal_bytes)?,
        // Absent in the counters of a journal from before they were read: both sides are zero then.
        local_blks_read: after.local_blocks_read.checked_sub(before.local_blocks_read)?,
        temp_blks_read: after.temp_blocks_read.checked_sub(before.temp_blocks_read)?,
        block_read_us_mean: mean(after.block_read_us, before.block_read_us),
        block_write_us_mean: mean(after.block_write_us, before.block_write_us),
        jit_us_mean: after.jit_us.map(|jit_us| mean(jit_us, before.jit_us.unwrap_or(0.0))),
        row_work: after.row_work.as_ref().and_then(|after| row_work(before.row_work.as_ref(), after, calls)),
        shared_by: after
            .statements
            .iter()
            .filter(|other| **other != id)
            .filter_map(|other| workload.statements.get(other.index()))
            .map(|other| {
                let transaction = &workload.transactions[other.transaction.index()].name;
                format!("{transaction}.{}", other.name)
            })
            .collect(),
    })
}

fn row_work(before: Option<&RowWork>, after: &RowWork, calls: u64) -> Option<model::RowWorkInfo> {
    let zero = RowWork::default();
    let before = before.unwrap_or(&zero);
    let difference = |of: fn(&RowWork) -> u64| of(after).checked_sub(of(before));
    Some(model::RowWorkInfo {
        rows_examined: difference(|work| work.rows_examined)?,
        lock_us_mean: if calls > 0 { (after.lock_us - before.lock_us) / calls as f64 } else { 0.0 },
        tmp_tables: difference(|work| work.tmp_tables)?,
        tmp_disk_tables: difference(|work| work.tmp_disk_tables)?,
        sort_rows: difference(|work| work.sort_rows)?,
        full_scans: difference(|work| work.full_scans)?,
        full_joins: difference(|work| work.full_joins)?,
        no_index_used: difference(|work| work.no_index_used)?,
    })
}

/// Whether a row stood at both edges. One that was thrown away and came back counts from zero; without the row's own word on
/// since when it counts, nobody can tell.
fn is_one_row(before: &StatementCounters, after: &StatementCounters) -> bool {
    before.calls > 0 && before.stats_since.is_some() && before.stats_since == after.stats_since
}

/// The tables that were touched, the busiest first.
pub(super) fn tables(begin: &Counters, end: &Counters) -> Vec<model::TableInfo> {
    let zero = TableCounters::default();
    let mut tables: Vec<_> = end
        .tables
        .iter()
        .filter_map(|after| {
            let before = begin.tables.iter().find(|row| row.table == after.table).unwrap_or(&zero);
            table(before, after)
        })
        .filter(is_used)
        .collect();
    tables.sort_by_key(|info| {
        std::cmp::Reverse(info.seq_rows_read + info.idx_scans + info.inserted + info.updated)
    });
    tables
}

/// Whether anything was done with it. Not every server counts scans; rows that they read, all do.
fn is_used(info: &model::TableInfo) -> bool {
    let read = info.seq_scans + info.idx_scans + info.seq_rows_read + info.idx_rows_fetched;
    read + info.inserted + info.updated + info.deleted > 0
}

fn table(before: &TableCounters, after: &TableCounters) -> Option<model::TableInfo> {
    let updated = after.updated.checked_sub(before.updated)?;
    let hot = after.hot_updated.checked_sub(before.hot_updated)?;
    Some(model::TableInfo {
        table: after.table.clone(),
        seq_scans: after.seq_scans.checked_sub(before.seq_scans)?,
        seq_rows_read: after.seq_rows_read.checked_sub(before.seq_rows_read)?,
        idx_scans: after.idx_scans.checked_sub(before.idx_scans)?,
        idx_rows_fetched: after.idx_rows_fetched.checked_sub(before.idx_rows_fetched)?,
        inserted: after.inserted.checked_sub(before.inserted)?,
        updated,
        hot_fraction: (updated > 0).then(|| hot as f64 / updated as f64),
        deleted: after.deleted.checked_sub(before.deleted)?,
        dead_rows: after.dead_rows,
        live_rows: after.live_rows,
        changed_since_analyze: after.changed_since_analyze,
        autovacuums: after.autovacuums.checked_sub(before.autovacuums)?,
        autoanalyzes: after.autoanalyzes.checked_sub(before.autoanalyzes)?,
        last_autovacuum_at: after
            .last_autovacuum_unix_us
            .and_then(|us| Timestamp::from_microsecond(us).ok())
            .map(|at| format!("{at:.0}")),
        cache_hit_fraction: fraction(
            after.heap_blocks_hit.checked_sub(before.heap_blocks_hit)?,
            after.heap_blocks_read.checked_sub(before.heap_blocks_read)?,
        ),
        size_bytes: after.size_bytes,
        heap_bytes: after.heap_bytes,
        size_growth_bytes: growth(before.size_bytes, after.size_bytes),
    })
}

fn fraction(hit: u64, read: u64) -> Option<f64> {
    let all = hit + read;
    (all > 0).then(|| hit as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> WorkloadHeader {
        let statement = |name: &str| serde_json::json!({ "name": name, "transaction": 0, "kind": "select", "sql": "SELECT 1" });
        serde_json::from_value(serde_json::json!({
            "name": "one", "scale": null, "fingerprint": "0", "generator_version": 1,
            "transactions": [{ "name": "read", "share": 1.0 }],
            "statements": [statement("by_id"), statement("by_name")],
        }))
        .expect("a workload of the first version")
    }

    /// Both statements with so many calls and so much time, after so many evictions.
    fn counters(evictions: u64, calls: u64, stats_since: [Option<i64>; 2]) -> Counters {
        let rows = (0..2).zip(stats_since).map(|(id, stats_since)| StatementCounters {
            statements: vec![StatementId(id)],
            query_id: i64::from(id),
            calls,
            jit_us: Some(calls as f64 * 300.0),
            block_read_us: calls as f64 * 20.0,
            stats_since,
            ..StatementCounters::default()
        });
        Counters { statements: rows.collect(), statement_evictions: Some(evictions), ..Counters::default() }
    }

    #[test]
    fn after_an_eviction_only_a_row_that_says_since_when_it_counts_is_believed() {
        let (begin, end) = (counters(3, 10, [Some(1), None]), counters(4, 30, [Some(1), None]));
        let of = |id| statement(StatementId(id), &begin, &end, &workload());
        assert_eq!(of(0).map(|row| row.calls), Some(20), "it stood at both edges");
        assert_eq!(of(1), None, "nobody can tell");
        let told = evicted(&begin, &end, &workload()).expect("one statement is without its account");
        assert!(told.contains("read.by_name") && !told.contains("read.by_id"), "{told}");
        assert!(told.contains("pg_stat_statements.max"), "{told}");
        let again = counters(4, 30, [Some(2), None]);
        assert_eq!(statement(StatementId(0), &begin, &again, &workload()), None, "it came back");
        assert_eq!(evicted(&end, &end, &workload()), None, "nothing was thrown away");
    }

    #[test]
    fn compiling_and_reading_are_told_for_each_call() {
        let (begin, end) = (counters(0, 10, [None, None]), counters(0, 30, [None, None]));
        let row = statement(StatementId(0), &begin, &end, &workload()).expect("its account");
        assert_eq!((row.jit_us_mean, row.calls), (Some(300.0), 20));
        assert!((row.block_read_us_mean - 20.0).abs() < 1e-9, "{row:?}");
    }

    #[test]
    fn what_sessions_wrote_is_counted_by_one_view_or_the_other() {
        let server = |checkpoint_buffers, backend: Option<u64>| ServerCounters {
            checkpoint_buffers,
            cleaner_buffers: Some(checkpoint_buffers / 2),
            backend_buffers: backend,
            backend_fsyncs: backend.map(|_| 0),
            ..ServerCounters::default()
        };
        let write = |backend_type: &str, object: &str, blocks: u64| IoCounters {
            backend_type: backend_type.to_owned(),
            object: object.to_owned(),
            context: "normal".to_owned(),
            writes: blocks,
            write_bytes: blocks * BLOCK_BYTES,
            ..IoCounters::default()
        };
        let old = |n: u64| Counters { server: server(n * 10, Some(n)), ..Counters::default() };
        let told = buffers(&old(2), &old(5)).expect("PostgreSQL 15 counts it");
        assert_eq!((told.checkpoint, told.cleaner, told.backend), (30, 15, 3));

        let new = |n: u64| Counters {
            server: server(n * 10, None),
            io: vec![
                write("client backend", "relation", n * 4),
                write("checkpointer", "relation", n * 100),
                write("client backend", "wal", n * 1000),
            ],
            ..Counters::default()
        };
        let told = buffers(&new(2), &new(5)).expect("PostgreSQL 18 counts it");
        assert_eq!((told.checkpoint, told.backend), (30, 12), "neither the checkpointer's nor the WAL");
        assert_eq!(buffers(&Counters::default(), &new(5)), None, "an older journal");
        let rows = io(&new(2), &new(5));
        assert_eq!(rows.iter().map(|row| row.writes).collect::<Vec<_>>(), [3_000, 300, 12]);
    }

    #[test]
    fn work_on_rows_is_the_difference_between_the_edges() {
        let counters = |calls: u64| {
            let work = RowWork {
                rows_examined: calls * 40,
                lock_us: calls as f64 * 5.0,
                no_index_used: calls,
                ..RowWork::default()
            };
            let row = StatementCounters {
                statements: vec![StatementId(0)],
                calls,
                row_work: Some(work),
                ..StatementCounters::default()
            };
            Counters { statements: vec![row], ..Counters::default() }
        };
        let of = |begin: &Counters| statement(StatementId(0), begin, &counters(30), &workload());
        let row = of(&counters(10)).expect("its account");
        let work = row.row_work.expect("it is counted");
        assert_eq!((row.calls, work.rows_examined, work.no_index_used), (20, 800, 20));
        assert!((work.lock_us_mean - 5.0).abs() < 1e-9, "{work:?}");
        let whole =
            of(&Counters::default()).and_then(|row| row.row_work).expect("it was never called before");
        assert_eq!(whole.rows_examined, 1200);
    }
}
