//! The server's own counters over a stage: the whole server, its tables, its indexes.

use super::grid::{Cell, Column, Grid};
use super::page::Page;
use super::value::plural;
use crate::model::{HostTrafficInfo, ServerProcessInfo, Stage};
use crate::report::format::{DASH, NBSP, bytes, count, decimal, percent};

/// Counters of the whole server, and the host.
pub(super) fn counters(page: &mut Page, stage: &Stage) {
    if stage.server.is_none() && stage.host.is_none() {
        return;
    }
    page.heading("server", "between the edges of the stage");
    if let Some(server) = &stage.server {
        let hit = server.cache_hit_fraction.map_or_else(|| DASH.to_owned(), percent);
        page.fact("cache", &format!("{hit} of the blocks found in shared buffers"));
        let per_second = if server.window_s > 0.0 {
            format!(" ({})", bytes_per_second(server.wal_bytes as f64 / server.window_s))
        } else {
            String::new()
        };
        let wal = format!(
            "{}{per_second}, {}, {}",
            bytes(server.wal_bytes),
            plural(server.wal_fpi, "full-page image"),
            plural(server.checkpoints, "checkpoint")
        );
        page.fact("WAL", &wal);
        let ended = format!(
            "{}, {} rolled back, {}",
            count(server.commits),
            count(server.rollbacks),
            plural(server.deadlocks, "deadlock")
        );
        page.fact("commits", &ended);
        let sign = if server.size_growth_bytes < 0 { "−" } else { "+" };
        let data = format!(
            "{} changed, size {sign}{}, {} of temporary files",
            plural(server.rows_changed, "row"),
            bytes(server.size_growth_bytes.unsigned_abs()),
            bytes(server.temp_bytes)
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

/// Tables that the stage touched.
pub(super) fn tables(page: &mut Page, stage: &Stage) {
    if stage.tables.is_empty() {
        return;
    }
    page.heading("tables", "HOT: updates that needed no index entry");
    let mut grid = Grid::new(vec![
        Column::text("table", 12),
        Column::number("scans\nseq"),
        Column::number("\nindex"),
        Column::number("rows\ninserted"),
        Column::number("\nupdated"),
        Column::number("\nHOT"),
        Column::number("\ndeleted").spare(3),
        Column::number("\ndead"),
        Column::number("cache\nhit").spare(2),
        Column::number("size").spare(1),
    ]);
    let share = |fraction: Option<f64>| Cell::new(fraction.map_or_else(|| DASH.to_owned(), percent));
    for table in &stage.tables {
        grid.row(vec![
            Cell::new(&table.table),
            Cell::new(count(table.seq_scans)),
            Cell::new(count(table.idx_scans)),
            Cell::new(count(table.inserted)),
            Cell::new(count(table.updated)),
            share(table.hot_fraction),
            Cell::new(count(table.deleted)),
            Cell::new(count(table.dead_rows)),
            share(table.cache_hit_fraction),
            Cell::new(bytes(table.size_bytes)),
        ]);
    }
    page.grid(&grid);
}

/// Indexes of these tables, the unused ones named as such.
pub(super) fn indexes(page: &mut Page, stage: &Stage) {
    if stage.indexes.is_empty() {
        return;
    }
    page.heading("indexes", "");
    let mut grid = Grid::new(vec![
        Column::text("index", 16),
        Column::text("table", 10),
        Column::number("scans"),
        Column::number("size"),
        Column::fixed(""),
    ]);
    for index in &stage.indexes {
        let remark = match (index.scans, index.constraint) {
            (0, false) => "not used",
            (0, true) => "constraint",
            _ => "",
        };
        grid.row(vec![
            Cell::new(&index.index),
            Cell::new(&index.table),
            Cell::new(count(index.scans)),
            Cell::new(bytes(index.size_bytes).replace(' ', &NBSP.to_string())),
            Cell::new(remark),
        ]);
    }
    page.grid(&grid);
}
