//! The server's own counters over a stage: the whole server, its tables, its indexes.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{HostTrafficInfo, IndexInfo, ServerInfo, ServerProcessInfo, Stage, TableInfo};
use crate::report::format::{DASH, NBSP, bytes, count, decimal, duration_us, per_call, percent};

/// Counters of the whole server, and the host.
pub(super) fn counters(page: &mut Page, stage: &Stage) {
    if stage.server.is_none() && stage.host.is_none() {
        return;
    }
    page.heading("server", "between the edges of the stage");
    if let Some(server) = &stage.server {
        let hit = server.cache_hit_fraction.map_or_else(|| DASH.to_owned(), percent);
        let is_postgres = server.wal_fpi.is_some();
        let buffers = if is_postgres { "shared buffers" } else { "the buffer pool" };
        page.fact("cache", &format!("{hit} of the blocks found in {buffers}"));
        let per_second = if server.window_s > 0.0 {
            format!(" ({})", bytes_per_second(server.wal_bytes as f64 / server.window_s))
        } else {
            String::new()
        };
        let mut wal = format!("{}{per_second}", bytes(server.wal_bytes));
        for (number, one) in [(server.wal_fpi, "full-page image"), (server.checkpoints, "checkpoint")] {
            if let Some(number) = number {
                wal.push_str(&format!(", {}", plural(number, one)));
            }
        }
        page.fact(if is_postgres { "WAL" } else { "redo log" }, &wal);
        writers(page, server);
        let ended = format!(
            "{}, {} rolled back, {}",
            count(server.commits),
            count(server.rollbacks),
            plural(server.deadlocks, "deadlock")
        );
        page.fact("commits", &ended);
        let sign = if server.size_growth_bytes < 0 { "−" } else { "+" };
        let temporary = server
            .temp_bytes
            .map_or_else(String::new, |temp| format!(", {} of temporary files", bytes(temp)));
        let data = format!(
            "{} changed, size {sign}{}{temporary}",
            plural(server.rows_changed, "row"),
            bytes(server.size_growth_bytes.unsigned_abs()),
        );
        page.fact("data", &data);
    }
    if let Some(processes) = &stage.processes {
        page.fact("server CPU", &server_cpu(processes));
    }
    if let Some(host) = &stage.host {
        let text = format!(
            "CPU {} of {}, I/O wait {}, stolen {}",
            percent(host.cpu_fraction),
            plural(u64::from(host.cores), "core"),
            percent(host.iowait_fraction),
            percent(host.steal_fraction)
        );
        page.fact("host", &text);
        if let Some(traffic) = &host.traffic {
            page.fact("", &host_traffic(traffic, host.memory_available_bytes_min));
        }
    }
}

fn host_traffic(traffic: &HostTrafficInfo, memory_available_bytes_min: Option<u64>) -> String {
    let memory = memory_available_bytes_min
        .map_or_else(String::new, |least| format!("; at least {} of memory available", bytes(least)));
    format!(
        "disks {} read, {} written; networks {} in, {} out{memory}",
        bytes_per_second(traffic.disk_read_bytes_per_s),
        bytes_per_second(traffic.disk_written_bytes_per_s),
        bytes_per_second(traffic.received_bytes_per_s),
        bytes_per_second(traffic.sent_bytes_per_s),
    )
}

/// A rate of bytes: what lies behind the point is of no interest.
fn bytes_per_second(rate: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = rate as u64;
    format!("{}/s", bytes(whole))
}

fn server_cpu(processes: &ServerProcessInfo) -> String {
    let cores = |cores: f64| decimal(cores, 2);
    // The share says whether looking disturbs; of nothing there is none.
    let probes = if processes.cores > 0.0 {
        format!(", of them the probes {}", percent(processes.probe_cores / processes.cores))
    } else {
        String::new()
    };
    format!(
        "{} cores{probes}; the pool's sessions ran on {} and {} of them waited for one",
        cores(processes.cores),
        cores(processes.pool_cores),
        cores(processes.pool_runnable)
    )
}

/// Who wrote buffers, and how long the WAL took to be safe.
fn writers(page: &mut Page, server: &ServerInfo) {
    if let Some(flushes) = server.wal_io.as_ref().filter(|flushes| flushes.syncs > 0) {
        // Without `track_wal_io_timing` there is a count and no time.
        let time = if flushes.sync_us + flushes.write_us == 0 {
            String::new()
        } else {
            let each = |us: u64| duration_us(us as f64 / flushes.syncs as f64);
            format!(", {} each, and {} to write", each(flushes.sync_us), each(flushes.write_us))
        };
        let many = if flushes.syncs == 1 { "" } else { "es" };
        page.fact("WAL flush", &format!("{}{NBSP}flush{many}{time}", count(flushes.syncs)));
    }
    if let Some(buffers) = &server.buffers {
        let text = format!(
            "written: {} by checkpoints, {} by the background writer, {} by sessions and others, which flushed {} files themselves",
            count(buffers.checkpoint),
            count(buffers.cleaner),
            count(buffers.backend),
            count(buffers.backend_fsyncs),
        );
        page.fact("buffers", &text);
    }
}

/// Reads and writes by who did them and for what.
pub(super) fn io(page: &mut Page, stage: &Stage) {
    let Some(server) = stage.server.as_ref().filter(|server| !server.io.is_empty()) else { return };
    page.heading("reads and writes", "of the whole server, by pg_stat_io");
    let mut grid = Grid::new(vec![
        Column::text("process", 12),
        Column::text("of", 8),
        Column::text("for", 8),
        Column::number("read"),
        Column::number("written"),
        Column::number("added").spare(3),
        Column::number("blocks\nhit").spare(1),
        Column::number("\nevicted"),
        Column::number("flushes").spare(2),
    ]);
    for row in &server.io {
        grid.row(vec![
            Cell::new(&row.backend_type),
            Cell::new(&row.object),
            Cell::new(&row.context),
            Cell::new(bytes(row.read_bytes)),
            Cell::new(bytes(row.write_bytes)),
            Cell::new(bytes(row.extend_bytes)),
            Cell::new(count(row.hits)),
            Cell::new(count(row.evictions)),
            Cell::new(count(row.fsyncs)),
        ]);
    }
    page.grid(&grid);
}

/// Tables that the stage touched.
pub(super) fn tables(page: &mut Page, stage: &Stage) {
    if stage.tables.is_empty() {
        return;
    }
    let is_read_without_scans = |table: &TableInfo| {
        table.seq_scans + table.idx_scans == 0 && table.seq_rows_read + table.idx_rows_fetched > 0
    };
    if stage.tables.iter().any(is_read_without_scans) {
        return row_tables(page, stage);
    }
    page.heading("tables", "HOT: updates that needed no index entry");
    let mut grid = Grid::new(vec![
        Column::text("table", 12),
        Column::number("scans\nseq"),
        Column::number("\nindex"),
        Column::number("rows\nread"),
        Column::number("\ninserted"),
        Column::number("\nupdated"),
        Column::number("\nHOT"),
        Column::number("\ndeleted").spare(3),
        Column::number("\ndead"),
        Column::number("\nunanalysed").spare(6),
        Column::number("cache\nhit").spare(2),
        Column::number("size").spare(1),
        Column::number("growth").spare(4),
        Column::number("auto-\nvacuums").spare(5),
    ]);
    let share = |fraction: Option<f64>| Cell::new(fraction.map_or_else(|| DASH.to_owned(), percent));
    for table in &stage.tables {
        grid.row(vec![
            Cell::new(&table.table),
            Cell::new(count(table.seq_scans)),
            Cell::new(count(table.idx_scans)),
            Cell::new(count(table.seq_rows_read + table.idx_rows_fetched)),
            Cell::new(count(table.inserted)),
            Cell::new(count(table.updated)),
            share(table.hot_fraction),
            Cell::new(count(table.deleted)),
            Cell::new(count(table.dead_rows)),
            Cell::new(count(table.changed_since_analyze)),
            share(table.cache_hit_fraction),
            Cell::new(bytes(table.size_bytes)),
            Cell::new(growth(table.size_growth_bytes)),
            Cell::new(count(table.autovacuums)),
        ]);
    }
    page.grid(&grid);
    read_and_returned(page, stage);
    let vacuumed: Vec<String> = stage
        .tables
        .iter()
        .filter_map(|table| Some(format!("{} {}", table.table, table.last_autovacuum_at.as_ref()?)))
        .collect();
    if !vacuumed.is_empty() {
        page.fact("autovacuum", &format!("last ended: {}", vacuumed.join(" · ")));
    }
}

/// The same where the server counts rows, and no scans: neither are there heap-only updates, nor an autovacuum.
fn row_tables(page: &mut Page, stage: &Stage) {
    page.heading("tables", "rows read: by whether an index led to them");
    let mut grid = Grid::new(vec![
        Column::text("table", 12),
        Column::number("rows read\nby index"),
        Column::number("\nwithout"),
        Column::number("rows\ninserted"),
        Column::number("\nupdated"),
        Column::number("\ndeleted").spare(3),
        Column::number("size").spare(1),
        Column::number("growth").spare(4),
    ]);
    for table in &stage.tables {
        grid.row(vec![
            Cell::new(&table.table),
            Cell::new(count(table.idx_rows_fetched)),
            Cell::new(count(table.seq_rows_read)),
            Cell::new(count(table.inserted)),
            Cell::new(count(table.updated)),
            Cell::new(count(table.deleted)),
            Cell::new(bytes(table.size_bytes)),
            Cell::new(growth(table.size_growth_bytes)),
        ]);
    }
    page.grid(&grid);
    read_and_returned(page, stage);
}

fn growth(bytes_more: i64) -> String {
    let sign = if bytes_more < 0 { "−" } else { "+" };
    format!("{sign}{}", bytes(bytes_more.unsigned_abs()))
}

/// What all scans read against what the statements gave or changed.
fn read_and_returned(page: &mut Page, stage: &Stage) {
    let read: u64 = stage.tables.iter().map(|table| table.seq_rows_read + table.idx_rows_fetched).sum();
    let returned: u64 = stage.statements.iter().map(|statement| statement.rows).sum();
    if returned > 0 {
        let text = format!(
            "{} read by scans for {} that the statements returned or changed, {} for each",
            count(read),
            count(returned),
            per_call(read as f64 / returned as f64)
        );
        page.fact("rows", &text);
    }
}

/// Indexes of these tables, the unused ones named as such.
pub(super) fn indexes(page: &mut Page, stage: &Stage) {
    if stage.indexes.is_empty() {
        return;
    }
    page.heading("indexes", "");
    let are_scans_counted = stage.indexes.iter().any(|index| index.scans.is_some());
    let mut grid = Grid::new(vec![
        Column::text("index", 16),
        Column::text("table", 10),
        Column::number(if are_scans_counted { "scans" } else { "entries\nread" }),
        Column::number("entries\nwritten ≤").spare(1),
        Column::number("size"),
        Column::text("", 12),
    ]);
    for index in &stage.indexes {
        grid.row(vec![
            Cell::new(index.name_in_table()),
            Cell::new(&index.table),
            Cell::new(index.uses().map_or_else(|| DASH.to_owned(), count)),
            Cell::new(count(index.writes_max)),
            Cell::new(size(index.size_bytes)),
            Cell::new(remark(index)),
        ]);
    }
    page.grid(&grid);
    for index in stage.indexes.iter().filter(|index| index.remark.is_some()) {
        if let Some(definition) = &index.definition {
            page.paragraph(INDENT, Style::Dim, definition);
        }
    }
}

/// No index takes nothing: its size could not be read.
fn size(size_bytes: u64) -> String {
    if size_bytes == 0 { DASH.to_owned() } else { bytes(size_bytes).replace(' ', &NBSP.to_string()) }
}

/// A report from before remarks were made holds what the simplest of them need.
fn remark(index: &IndexInfo) -> &str {
    match (&index.remark, index.uses(), index.constraint) {
        (Some(remark), _, _) => remark,
        (None, Some(0), false) => "not used",
        (None, Some(0), true) => "constraint",
        (None, _, _) => "",
    }
}
