//! Cumulative counters, read at the edges of a stage and never reset. What the server does not count, or not in a way that fits, is
//! named, and the rest is read nevertheless.

use std::collections::HashMap;
use std::time::Duration;

use mysql_async::Row;

use super::digests::{DIGESTS, Digests};
use super::indexes::{self, Catalogue, FOREIGN_KEYS, KEYS_OF_MARIADB, KEYS_OF_MYSQL, SIZES, USE, Use};
use super::link::{count, open, probe_tag, rows, text};
use super::status::{STATUS, Status, ask_status};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::link::{Line, OnRequest, Unanswered};
use crate::probe::{ProbeError, ProbePlan};
use crate::record::observation::{
    Counters, DatabaseCounters, IndexCounters, ProbeCost, ServerCounters, StatementCounters, TableCounters,
};

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

/// What this server does not count in a way that fits.
const NOT_COUNTED: [&str; 2] = [
    "commits, rows and blocks are those of the whole server, which does not count them by database; a statement that commits by itself \
     is not among the commits",
    "scans of tables and indexes, dead rows and bytes of temporary files: the server counts rows that were read, by which index led to \
     them",
];

/// The probe.
pub struct CounterProbe {
    settings: Settings,
    digests: Digests,
    line: Line<Client>,
    /// How many prepared statements the server had executed when it was read last.
    executed_before: Option<u64>,
}

impl CounterProbe {
    /// Connects.
    pub async fn open(settings: &Settings, plan: &ProbePlan) -> Result<Self, ProbeError> {
        let client = open(settings, LIMIT).await?;
        let line = Line::new(Some(client), CONNECT_LIMIT);
        Ok(Self { settings: settings.clone(), digests: Digests::new(plan), line, executed_before: None })
    }
}

impl OnRequest for CounterProbe {
    async fn read(&mut self, clock: &impl Now, cost: &mut ProbeCost) -> Result<Counters, String> {
        let client = self.line.get(open(&self.settings, LIMIT)).await?;
        let executed_before = &mut self.executed_before;
        let desk = Desk { client, clock, cost, executed_before, missing: Vec::new() };
        desk.counters(&self.digests).await.map_err(|unanswered| self.line.heed(unanswered))
    }
}

/// How words of the server end that a right is missing for a table.
const NO_RIGHT: &str = "(error 1142)";

const NO_USE: &str = "rows of each table and index that were read, inserted, updated and deleted: performance_schema is off or has \
                      counted nothing (start the server with performance_schema=ON)";
const PREPARED: &str = "the server's own account of each statement: it counts statements by their digests, and prepared ones all together; \
                        with --protocol simple each has an account";
const NONE_OF_PREPARED: &str = "the server's own account of each statement: it has executed prepared statements, and none of this workload is \
                                among its digests (MySQL 9.7 keeps them there, 8.0 is said not to); with --protocol simple each has an account";
const NO_DIGESTS: &str = "the server's own account of each statement: performance_schema is off or has no digests of this database (start the \
                          server with performance_schema=ON)";
const LOST_DIGESTS: &str = "the server's own account of some statements: performance_schema had no room for all digests (start the server with \
                            performance_schema_digests_size=20000)";

fn table(row: &Row) -> Option<TableCounters> {
    Some(TableCounters {
        table: text(row, "name")?,
        live_rows: count(row, "live_rows").unwrap_or(0),
        heap_bytes: count(row, "heap_bytes"),
        size_bytes: count(row, "size_bytes").unwrap_or(0),
        ..TableCounters::default()
    })
}

/// Adds what was done to tables. Of those that were dropped meanwhile, or not read, there is nothing to add to.
fn add_use(tables: &mut [TableCounters], used: &[Use]) {
    let places: HashMap<String, usize> =
        tables.iter().enumerate().map(|(place, table)| (table.table.clone(), place)).collect();
    for one in used {
        let Some(table) = places.get(&one.table).and_then(|place| tables.get_mut(*place)) else { continue };
        match one.index {
            None => table.seq_rows_read += one.fetched,
            Some(_) => table.idx_rows_fetched += one.fetched,
        }
        table.inserted += one.inserted;
        table.updated += one.updated;
        table.deleted += one.deleted;
    }
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
        page_changes: status.get("innodb_buffer_pool_write_requests"),
        connections: status.count("threads_connected"),
        ..ServerCounters::default()
    }
}

/// Asks one question after the other; a refused one is noted and gives no rows, a lost connection ends the reading.
struct Desk<'a, N> {
    client: &'a Client,
    clock: &'a N,
    cost: &'a mut ProbeCost,
    executed_before: &'a mut Option<u64>,
    missing: Vec<String>,
}

impl<N: Now> Desk<'_, N> {
    async fn counters(mut self, digests: &Digests) -> Result<Counters, Unanswered> {
        let status = ask_status(self.client, STATUS, self.clock, LIMIT, self.cost).await?.value;
        // Those that grow fastest come first: what follows takes longer the more tables there are.
        let statements = self.statements(digests, &status).await?;
        let tables = self.rows("information_schema.tables", TABLES).await?;
        let mut tables: Vec<TableCounters> = tables.iter().filter_map(table).collect();
        let used = self.rows("performance_schema.table_io_waits_summary_by_index_usage", USE).await?;
        let used: Vec<Use> = used.iter().filter_map(Use::read).collect();
        add_use(&mut tables, &used);
        if used.is_empty() {
            self.missing.push(NO_USE.to_owned());
        }
        self.bound(&mut tables);
        let indexes = self.indexes(&used).await?;
        let database = database(&status, &tables);
        let mut missing = self.missing;
        missing.extend(NOT_COUNTED.map(str::to_owned));
        let server = server(&status);
        Ok(Counters { database, statements, tables, indexes, server, missing, ..Counters::default() })
    }

    /// Nothing is known of their use where none is counted.
    async fn indexes(&mut self, used: &[Use]) -> Result<Vec<IndexCounters>, Unanswered> {
        let keys = if self.client.is_mariadb() { KEYS_OF_MARIADB } else { KEYS_OF_MYSQL };
        let keys = self.rows("information_schema.statistics", keys).await?;
        let foreign_keys = self.rows("information_schema.key_column_usage", FOREIGN_KEYS).await?;
        let sizes = self.rows("sizes of indexes, mysql.innodb_index_stats", SIZES).await?;
        if [keys.len(), foreign_keys.len(), used.len()].contains(&indexes::ROWS_MAX) {
            self.missing.push(format!(
                "indexes: more than {} rows of the catalogue; not all are read",
                indexes::ROWS_MAX
            ));
        }
        let used = (!used.is_empty()).then_some(used);
        Ok(Catalogue { keys: &keys, foreign_keys: &foreign_keys, sizes: &sizes, used }.indexes())
    }

    async fn statements(
        &mut self,
        digests: &Digests,
        status: &Status,
    ) -> Result<Vec<StatementCounters>, Unanswered> {
        if !digests.are_kept(self.client.is_mariadb()) {
            self.missing.push(PREPARED.to_owned());
            return Ok(Vec::new());
        }
        let missing_before = self.missing.len();
        let rows = self.rows("performance_schema.events_statements_summary_by_digest", DIGESTS).await?;
        if rows.is_empty() && self.missing.len() == missing_before {
            self.missing.push(NO_DIGESTS.to_owned());
        }
        let has_lost_some = status.count("performance_schema_digest_lost") > 0;
        if has_lost_some {
            self.missing.push(LOST_DIGESTS.to_owned());
        }
        let counted = digests.read(&rows);
        // Before the workload begins there need not be any.
        let executed = status.count("com_stmt_execute");
        let has_executed = self.executed_before.replace(executed).is_some_and(|before| before < executed);
        if digests.are_of_prepared()
            && has_executed
            && counted.is_empty()
            && !rows.is_empty()
            && !has_lost_some
        {
            self.missing.push(NONE_OF_PREPARED.to_owned());
        }
        Ok(counted)
    }

    async fn rows(&mut self, view: &str, sql: &str) -> Result<Vec<Row>, Unanswered> {
        match rows(self.client, self.clock, LIMIT, self.cost, sql).await {
            Ok(answer) => Ok(answer.value),
            Err(unanswered) if unanswered.lost => Err(unanswered),
            Err(Unanswered { message, .. }) => {
                let remedy =
                    if message.ends_with(NO_RIGHT) { " (GRANT SELECT ON it to the account)" } else { "" };
                self.missing.push(format!("{view}: {message}{remedy}"));
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
