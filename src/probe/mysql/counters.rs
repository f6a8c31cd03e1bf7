//! Cumulative counters, read at the edges of a stage and never reset. What the server does not count by database, by statement or by
//! index is named, and the rest is read nevertheless.

use std::time::Duration;

use mysql_async::Row;

use super::link::{count, open, probe_tag, rows, text};
use super::status::{Status, ask_status};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::ProbeError;
use crate::probe::link::{Line, OnRequest, Unanswered};
use crate::record::observation::{Counters, DatabaseCounters, ProbeCost, ServerCounters, TableCounters};

const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Tables that are read; those beyond are named as missing.
const ROWS_MAX: usize = 2000;

/// MariaDB 10.11 and MySQL 8: sizes and estimates of InnoDB's statistics.
const TABLES: &str = concat!(
    probe_tag!(),
    "SELECT TABLE_NAME AS name, TABLE_ROWS AS live_rows, DATA_LENGTH AS heap_bytes, ",
    "DATA_LENGTH + INDEX_LENGTH AS size_bytes FROM information_schema.TABLES ",
    "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY DATA_LENGTH DESC LIMIT 2001"
);
/// MariaDB 10.11 and MySQL 8: rows, by whether an index led to them.
const USE: &str = concat!(
    probe_tag!(),
    "SELECT OBJECT_NAME AS name, ",
    "CAST(SUM(IF(INDEX_NAME IS NULL, COUNT_FETCH, 0)) AS UNSIGNED) AS scanned, ",
    "CAST(SUM(IF(INDEX_NAME IS NULL, 0, COUNT_FETCH)) AS UNSIGNED) AS fetched, ",
    "CAST(SUM(COUNT_INSERT) AS UNSIGNED) AS inserted, CAST(SUM(COUNT_UPDATE) AS UNSIGNED) AS updated, ",
    "CAST(SUM(COUNT_DELETE) AS UNSIGNED) AS deleted ",
    "FROM performance_schema.table_io_waits_summary_by_index_usage ",
    "WHERE OBJECT_SCHEMA = DATABASE() GROUP BY OBJECT_NAME LIMIT 2001"
);

/// What this server does not count in a way that fits.
const NOT_COUNTED: [&str; 3] = [
    "commits, rows and blocks are those of the whole server, which does not count them by database; a statement that commits by itself \
     is not among the commits",
    "the server's own time of each statement: its digests drop the tags and leave out what is executed as a prepared statement",
    "scans of tables and indexes, dead rows and bytes of temporary files, where zeros stand: the server counts rows that were read, by \
     whether an index led to them",
];

/// The probe.
pub struct CounterProbe {
    settings: Settings,
    line: Line<Client>,
}

impl CounterProbe {
    /// Connects.
    pub async fn open(settings: &Settings) -> Result<Self, ProbeError> {
        let client = open(settings, LIMIT).await?;
        Ok(Self { settings: settings.clone(), line: Line::new(Some(client), CONNECT_LIMIT) })
    }
}

impl OnRequest for CounterProbe {
    async fn read(&mut self, clock: &impl Now, cost: &mut ProbeCost) -> Result<Counters, String> {
        let client = self.line.get(open(&self.settings, LIMIT)).await?;
        let desk = Desk { client, clock, cost, missing: Vec::new() };
        desk.counters().await.map_err(|unanswered| self.line.heed(unanswered))
    }
}

const NO_USE: &str = "rows of each table that were read, inserted, updated and deleted: performance_schema is off or has counted \
                      nothing (start the server with performance_schema=ON)";

fn table(row: &Row) -> Option<TableCounters> {
    Some(TableCounters {
        table: text(row, "name")?,
        live_rows: count(row, "live_rows").unwrap_or(0),
        heap_bytes: count(row, "heap_bytes"),
        size_bytes: count(row, "size_bytes").unwrap_or(0),
        ..TableCounters::default()
    })
}

/// Adds what was done to a table. One that was dropped meanwhile is left out.
fn add_use(tables: &mut [TableCounters], row: &Row) {
    let name = text(row, "name");
    let Some(table) = tables.iter_mut().find(|table| Some(&table.table) == name.as_ref()) else { return };
    let number = |column| count(row, column).unwrap_or(0);
    table.seq_rows_read = number("scanned");
    table.idx_rows_fetched = number("fetched");
    table.inserted = number("inserted");
    table.updated = number("updated");
    table.deleted = number("deleted");
}

fn database(status: &Status, tables: &[TableCounters]) -> DatabaseCounters {
    DatabaseCounters {
        commits: status.count("com_commit"),
        rollbacks: status.count("com_rollback"),
        blocks_read: status.count("innodb_buffer_pool_reads"),
        blocks_hit: status.blocks_hit(),
        rows_returned: status.get("innodb_rows_read").unwrap_or_else(|| status.rows_read()),
        rows_inserted: status.rows("innodb_rows_inserted", "handler_write"),
        rows_updated: status.rows("innodb_rows_updated", "handler_update"),
        rows_deleted: status.rows("innodb_rows_deleted", "handler_delete"),
        deadlocks: status.count("innodb_deadlocks"),
        size_bytes: tables.iter().map(|table| table.size_bytes).sum(),
        ..DatabaseCounters::default()
    }
}

fn server(status: &Status) -> ServerCounters {
    ServerCounters {
        wal_bytes: status.log_position().unwrap_or(0),
        cleaner_buffers: status.get("innodb_buffer_pool_pages_flushed"),
        wal_syncs: status.get("innodb_os_log_fsyncs"),
        connections: status.count("threads_connected"),
        ..ServerCounters::default()
    }
}

/// Asks one question after the other; a refused one is noted and gives no rows, a lost connection ends the reading.
struct Desk<'a, N> {
    client: &'a Client,
    clock: &'a N,
    cost: &'a mut ProbeCost,
    missing: Vec<String>,
}

impl<N: Now> Desk<'_, N> {
    async fn counters(mut self) -> Result<Counters, Unanswered> {
        let status = ask_status(self.client, self.clock, LIMIT, self.cost).await?.value;
        let tables = self.rows("information_schema.tables", TABLES).await?;
        let mut tables: Vec<TableCounters> = tables.iter().filter_map(table).collect();
        let of_use = self.rows("performance_schema.table_io_waits_summary_by_index_usage", USE).await?;
        for row in &of_use {
            add_use(&mut tables, row);
        }
        if of_use.is_empty() {
            self.missing.push(NO_USE.to_owned());
        }
        self.bound(&mut tables);
        let database = database(&status, &tables);
        let mut missing = self.missing;
        missing.extend(NOT_COUNTED.map(str::to_owned));
        Ok(Counters { database, tables, server: server(&status), missing, ..Counters::default() })
    }

    async fn rows(&mut self, view: &str, sql: &str) -> Result<Vec<Row>, Unanswered> {
        match rows(self.client, self.clock, LIMIT, self.cost, sql).await {
            Ok(answer) => Ok(answer.value),
            Err(unanswered) if unanswered.lost => Err(unanswered),
            Err(Unanswered { message, .. }) => {
                self.missing.push(format!("{view}: {message}"));
                Ok(Vec::new())
            }
        }
    }

    fn bound(&mut self, tables: &mut Vec<TableCounters>) {
        if tables.len() > ROWS_MAX {
            tables.truncate(ROWS_MAX);
            self.missing.push(format!("tables: more than {ROWS_MAX}; only the largest are read"));
        }
    }
}
