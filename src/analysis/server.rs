//! Differences between two readings of the server's counters. What went backwards was reset, or came from another server
//! process: it is left out, never shown as zero.

use crate::model;
use crate::record::entry::WorkloadHeader;
use crate::record::observation::{Counters, StatementCounters, TableCounters};
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
        temp_bytes: e.temp_bytes.saturating_sub(b.temp_bytes),
        wal_bytes: end.server.wal_bytes.saturating_sub(begin.server.wal_bytes),
        wal_fpi: end.server.wal_full_page_images.saturating_sub(begin.server.wal_full_page_images),
        checkpoints: checkpoints(end).saturating_sub(checkpoints(begin)),
        rows_changed: changed(end).saturating_sub(changed(begin)),
        size_growth_bytes: e.size_bytes.cast_signed().saturating_sub(b.size_bytes.cast_signed()),
    }
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
    if begin.statement_evictions != end.statement_evictions {
        // A row that was thrown away and came back counts from zero, and nobody can tell which rows those are.
        return None;
    }
    let after = end.statements.iter().find(|row| row.statements.contains(&id))?;
    let zero = StatementCounters::default();
    // A statement that was never called before has no row yet.
    let before = begin.statements.iter().find(|row| row.query_id == after.query_id).unwrap_or(&zero);
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
        .filter(|info| info.seq_scans + info.idx_scans + info.inserted + info.updated + info.deleted > 0)
        .collect();
    tables.sort_by_key(|info| {
        std::cmp::Reverse(info.seq_rows_read + info.idx_scans + info.inserted + info.updated)
    });
    tables
}

fn table(before: &TableCounters, after: &TableCounters) -> Option<model::TableInfo> {
    let updated = after.updated.checked_sub(before.updated)?;
    let hot = after.hot_updated.checked_sub(before.hot_updated)?;
    Some(model::TableInfo {
        table: after.table.clone(),
        seq_scans: after.seq_scans.checked_sub(before.seq_scans)?,
        seq_rows_read: after.seq_rows_read.checked_sub(before.seq_rows_read)?,
        idx_scans: after.idx_scans.checked_sub(before.idx_scans)?,
        inserted: after.inserted.checked_sub(before.inserted)?,
        updated,
        hot_fraction: (updated > 0).then(|| hot as f64 / updated as f64),
        deleted: after.deleted.checked_sub(before.deleted)?,
        dead_rows: after.dead_rows,
        live_rows: after.live_rows,
        cache_hit_fraction: fraction(
            after.heap_blocks_hit.checked_sub(before.heap_blocks_hit)?,
            after.heap_blocks_read.checked_sub(before.heap_blocks_read)?,
        ),
        size_bytes: after.size_bytes,
    })
}

/// The indexes of all tables, the most scanned first.
pub(super) fn indexes(begin: &Counters, end: &Counters) -> Vec<model::IndexInfo> {
    let mut indexes: Vec<_> = end
        .indexes
        .iter()
        .filter_map(|after| {
            let before = begin.indexes.iter().find(|row| row.index == after.index);
            Some(model::IndexInfo {
                index: after.index.clone(),
                table: after.table.clone(),
                scans: after.scans.checked_sub(before.map_or(0, |row| row.scans))?,
                size_bytes: after.size_bytes,
                constraint: after.constraint,
            })
        })
        .collect();
    indexes.sort_by_key(|info| std::cmp::Reverse(info.scans));
    indexes
}

fn fraction(hit: u64, read: u64) -> Option<f64> {
    let all = hit + read;
    (all > 0).then(|| hit as f64 / all as f64)
}
