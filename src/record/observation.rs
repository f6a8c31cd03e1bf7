//! What the probes saw, in terms that hold on every engine. A reading carries the window that it covers; a failed or
//! late one is a counted gap, never a stale zero.

use serde::{Deserialize, Serialize};

use crate::record::chain::ChainLink;
use crate::record::deadlock::WrittenDeadlock;
use crate::record::plan::PlanSurvey;
use crate::record::pooler::PoolerSample;
use crate::record::pulse::Pulse;
use crate::units::{BackendId, Span, Stamp, StatementId};

/// One attempt of one probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// The probe's name: `activity`, `locks`, `deadlocks`, `processes`, `plans`, `counters`, `server`, `host`, `generator`, `pooler`,
    /// `gauge NAME`.
    pub probe: String,
    /// From the request to the answer, on the client's clock. A summary covers from its first sample to its last.
    pub window: Span,
    /// What the reading cost.
    pub cost: ProbeCost,
    /// What was seen, or why nothing was.
    pub seen: Result<Observation, String>,
}

/// The price of looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeCost {
    /// Queries sent.
    pub queries: u64,
    /// Time from sending to the last row, summed, in nanoseconds.
    pub elapsed_ns: u64,
    /// The longest of them, in nanoseconds.
    pub elapsed_max_ns: u64,
    /// Rows read.
    pub rows: u64,
    /// Samples that were due and could not be taken: too late, or failed.
    pub gaps: u64,
}

impl ProbeCost {
    /// Adds another reading's cost.
    pub fn add(&mut self, other: &Self) {
        self.queries += other.queries;
        self.elapsed_ns += other.elapsed_ns;
        self.elapsed_max_ns = self.elapsed_max_ns.max(other.elapsed_max_ns);
        self.rows += other.rows;
        self.gaps += other.gaps;
    }
}

/// What one reading saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// Active sessions, sampled several times and counted.
    Activity(ActivitySummary),
    /// Lock waits that ended since the last reading.
    Locks(Vec<LockEpisode>),
    /// The latest deadlock, by the server's own account.
    Deadlock(Box<WrittenDeadlock>),
    /// CPU of the server's processes over the window.
    Processes(ProcessSample),
    /// Cumulative counters of the server, read at the edge of a stage.
    Counters(Box<Counters>),
    /// The server at one moment.
    Pulse(Box<Pulse>),
    /// CPU of the host over the window.
    Host(HostSample),
    /// The generator's own cost over the window.
    Generator(GeneratorSample),
    /// What a gauge of the workload stood at.
    Gauge(GaugeSample),
    /// Plans of the statements.
    Plans(Box<PlanSurvey>),
    /// The pooler between the sessions and the server.
    Pooler(Box<PoolerSample>),
}

/// One reading of a gauge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaugeSample {
    /// Its name.
    pub name: String,
    /// What it stood at, in its declared unit.
    pub value: f64,
}

/// Sessions that were seen doing something, over `samples` looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivitySummary {
    /// How often the probe looked.
    pub samples: u32,
    /// How many sessions each kind of activity had, summed over the looks.
    pub seen: Vec<ActivityCount>,
    /// The fastest round trip of an empty query when the clocks were last compared, in nanoseconds.
    #[serde(default)]
    pub round_trip_ns: Option<u64>,
    /// In how many of the looks it is known who waited for which lock: nobody did, or it was asked. Absent in journals from
    /// before some looks left it out.
    #[serde(default)]
    pub lock_looks: Option<u32>,
    /// The longest of the lock waits that go on at its end, for whoever looks on meanwhile. Each is told by [`Observation::Locks`] when
    /// it has ended, so that no journal holds them here.
    #[serde(skip)]
    pub going_on: Vec<LockEpisode>,
}

/// One kind of activity and how often it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityCount {
    /// Who.
    pub who: Who,
    /// `active`, `idle in transaction`, …, as the server says it.
    pub state: String,
    /// `Lock:transactionid`, `IO:DataFileRead`, …; absent when the session runs, or could run.
    pub wait: Option<String>,
    /// Sessions seen so, summed over the looks.
    pub count: u64,
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A session of the measured pool, in this statement.
    Statement(StatementId),
    /// A session of the measured pool, in a statement without a tag: BEGIN, COMMIT, ROLLBACK.
    Control(String),
    /// Another client, by application name.
    Foreign(String),
    /// A process of the server: autovacuum worker, checkpointer, WAL writer.
    Server(String),
}

/// One waiter and one lock, from first seen to last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockEpisode {
    /// The session that waits.
    pub waiter: Session,
    /// `transactionid`, `tuple`, `relation`, …
    pub lock_type: String,
    /// `ShareLock`, `AccessExclusiveLock`, …
    pub mode: String,
    /// The relation, qualified, where the lock or the row that is waited for names one.
    pub relation: Option<String>,
    /// When the wait began, by the server where it says so, on the client's clock.
    pub began_at: Stamp,
    /// First look that saw it.
    pub first_seen_at: Stamp,
    /// Last look that saw it.
    pub last_seen_at: Stamp,
    /// First look that no longer saw it; the client's own stamp, joined later, is better.
    pub gone_at: Stamp,
    /// Looks that saw it.
    pub samples: u32,
    /// Sessions that `pg_blocking_pids` named, at the last look; queued ahead counts.
    pub direct_blockers: Vec<Session>,
    /// The end of the chain: the session that waits for nobody (seen in most of the looks).
    pub root: Option<Session>,
    /// The way to the root, the nearest session first and the root last, as the last look saw it that met this root. Empty
    /// in journals from before it was kept.
    #[serde(default)]
    pub chain: Vec<ChainLink>,
}

/// One session in a lock episode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Session {
    /// Its connection; 0 for a prepared transaction.
    pub backend: BackendId,
    /// Who it is.
    pub who: Who,
    /// `active`, `idle in transaction`, …, as the server says it; `in commit`, `prepared transaction` and `autovacuum worker`
    /// where these say more.
    pub state: String,
}

/// Cumulative counters, as they stood at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Of the database.
    pub database: DatabaseCounters,
    /// Of the statements of the workload, where the server counts them.
    pub statements: Vec<StatementCounters>,
    /// Entries that `pg_stat_statements` has thrown away since it was reset; absent where it is not installed.
    pub statement_evictions: Option<u64>,
    /// Of the tables.
    pub tables: Vec<TableCounters>,
    /// Of the indexes.
    pub indexes: Vec<IndexCounters>,
    /// Of the server as a whole.
    pub server: ServerCounters,
    /// What each kind of process reads and writes, where the server counts it (PostgreSQL 16).
    #[serde(default)]
    pub io: Vec<IoCounters>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// `pg_stat_database`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatabaseCounters {
    /// Transactions committed.
    pub commits: u64,
    /// Transactions rolled back.
    pub rollbacks: u64,
    /// Blocks read from outside shared buffers.
    pub blocks_read: u64,
    /// Blocks found in shared buffers.
    pub blocks_hit: u64,
    /// Rows returned by scans.
    pub rows_returned: u64,
    /// Rows fetched through indexes.
    pub rows_fetched: u64,
    /// Rows inserted.
    pub rows_inserted: u64,
    /// Rows updated.
    pub rows_updated: u64,
    /// Rows deleted.
    pub rows_deleted: u64,
    /// Bytes spilled to temporary files.
    pub temp_bytes: u64,
    /// Deadlocks found.
    pub deadlocks: u64,
    /// Time spent reading blocks, in microseconds; zero when `track_io_timing` is off.
    pub block_read_us: u64,
    /// When the statistics were last reset, microseconds since the Unix epoch; a change makes differences unusable.
    pub stats_reset_at: Option<i64>,
    /// Size of the database in bytes.
    pub size_bytes: u64,
}

/// `pg_stat_statements`, one row; a digest of MariaDB and MySQL (`events_statements_summary_by_digest`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatementCounters {
    /// The statements of the workload that share this row, since the server sees the same normalised text.
    pub statements: Vec<StatementId>,
    /// The server's own number for the normalised statement.
    pub query_id: i64,
    /// Executions.
    pub calls: u64,
    /// Execution time, waits included, an autocommit's commit excluded, in microseconds.
    pub exec_us: f64,
    /// Planning time in microseconds, where `track_planning` is on.
    pub plan_us: f64,
    /// Rows.
    pub rows: u64,
    /// Shared blocks found in the buffers.
    pub shared_blocks_hit: u64,
    /// Shared blocks read.
    pub shared_blocks_read: u64,
    /// Shared blocks dirtied.
    pub shared_blocks_dirtied: u64,
    /// Temporary blocks written.
    pub temp_blocks_written: u64,
    /// WAL records.
    pub wal_records: u64,
    /// WAL full-page images.
    pub wal_full_page_images: u64,
    /// WAL bytes.
    pub wal_bytes: u64,
    /// Blocks of temporary tables read.
    #[serde(default)]
    pub local_blocks_read: u64,
    /// Temporary blocks read.
    #[serde(default)]
    pub temp_blocks_read: u64,
    /// Time spent reading blocks of tables and indexes, in microseconds; zero when `track_io_timing` is off.
    #[serde(default)]
    pub block_read_us: f64,
    /// Time spent writing such blocks, in microseconds; zero when `track_io_timing` is off.
    #[serde(default)]
    pub block_write_us: f64,
    /// Time spent compiling expressions, all phases, in microseconds; absent before extension 1.10 (PostgreSQL 15).
    #[serde(default)]
    pub jit_us: Option<f64>,
    /// Since when the row counts, microseconds since the Unix epoch, where the server says so (PostgreSQL 17).
    pub stats_since: Option<i64>,
    /// What a server counts that counts no blocks and no WAL of a statement: zeros stand there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub row_work: Option<RowWork>,
}

/// What MariaDB and MySQL count of the executions of a statement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowWork {
    /// Rows that were read to find those that were wanted.
    pub rows_examined: u64,
    /// Time spent waiting for locks of tables and rows, in microseconds.
    pub lock_us: f64,
    /// Temporary tables that were made.
    pub tmp_tables: u64,
    /// Of them, those on disk.
    pub tmp_disk_tables: u64,
    /// Rows that were sorted.
    pub sort_rows: u64,
    /// Executions that read the first table of a join, or the only one, from its beginning to its end.
    pub full_scans: u64,
    /// Executions that read a table of a join so that is not the first one.
    pub full_joins: u64,
    /// Executions in which no index led to the rows of a table.
    pub no_index_used: u64,
}

/// `pg_stat_user_tables` and `pg_statio_user_tables`, one row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableCounters {
    /// Qualified by its schema unless that is `public`.
    pub table: String,
    /// Sequential scans.
    pub seq_scans: u64,
    /// Rows read by them.
    pub seq_rows_read: u64,
    /// Index scans.
    pub idx_scans: u64,
    /// Rows fetched by them.
    pub idx_rows_fetched: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Of them, heap-only: no index entry was needed.
    pub hot_updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Live rows, estimated. A level, not a count.
    pub live_rows: u64,
    /// Dead rows, estimated. A level, not a count.
    pub dead_rows: u64,
    /// Rows changed since the last ANALYZE, estimated. A level, not a count.
    #[serde(default)]
    pub changed_since_analyze: u64,
    /// Runs of the autovacuum.
    #[serde(default)]
    pub autovacuums: u64,
    /// Runs of the autovacuum's ANALYZE.
    #[serde(default)]
    pub autoanalyzes: u64,
    /// End of the last autovacuum, by the server's clock, microseconds since the Unix epoch.
    #[serde(default)]
    pub last_autovacuum_unix_us: Option<i64>,
    /// End of the last autoanalyze, by the server's clock, microseconds since the Unix epoch.
    #[serde(default)]
    pub last_autoanalyze_unix_us: Option<i64>,
    /// Size of the table alone in bytes, without indexes and TOAST; absent in journals from before it was read. A level.
    #[serde(default)]
    pub heap_bytes: Option<u64>,
    /// Heap blocks read.
    pub heap_blocks_read: u64,
    /// Heap blocks hit.
    pub heap_blocks_hit: u64,
    /// Size with indexes and TOAST in bytes. A level, not a count.
    pub size_bytes: u64,
}

/// `pg_stat_user_indexes`, one row; on MariaDB and MySQL the index of `performance_schema.table_io_waits_summary_by_index_usage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexCounters {
    /// Qualified by its schema unless that is `public`; on MariaDB and MySQL by its table, where alone its name is unique.
    pub index: String,
    /// The table it belongs to.
    pub table: String,
    /// Scans; absent where the server does not count them (MariaDB, MySQL).
    pub scans: Option<u64>,
    /// Entries read; absent where the server does not count them (MariaDB and MySQL without `performance_schema`).
    pub entries_read: Option<u64>,
    /// Size in bytes; 0 where it may not be read. A level, not a count.
    pub size_bytes: u64,
    /// Whether a constraint needs it.
    pub constraint: bool,
    /// What `DROP INDEX` takes: its name, qualified and quoted, and on MariaDB and MySQL its table as well; absent in journals from
    /// before it was read.
    #[serde(default)]
    pub quoted: Option<String>,
    /// Whether it is a part of an index of a partitioned table, without which it cannot be dropped.
    #[serde(default)]
    pub attached: bool,
    /// What it is; absent in journals from before it was read.
    #[serde(default)]
    pub shape: Option<IndexShape>,
}

/// What an index is made of. Two that are alike in it answer the same searches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are what the server says of it, not states of ours")]
pub struct IndexShape {
    /// The command that makes it.
    pub definition: String,
    /// `btree`, `gin`, …
    pub method: String,
    /// Each key: column or expression, with the numbers of operator class, collation and order, and its options.
    pub keys: Vec<String>,
    /// Columns that are carried along.
    pub included: Vec<String>,
    /// Which rows it holds, where not all.
    pub predicate: Option<String>,
    /// Whether it forbids duplicates.
    pub unique: bool,
    /// Whether, to it, two NULLs are duplicates (PostgreSQL 15).
    #[serde(default)]
    pub nulls_alike: bool,
    /// Whether it may forbid them as late as at the end of the transaction.
    #[serde(default)]
    pub deferrable: bool,
    /// Whether it is the primary key's.
    pub primary: bool,
    /// Whether it is an exclusion constraint's.
    pub exclusion: bool,
    /// Whether logical replication tells rows apart by it.
    pub replica_identity: bool,
    /// Whether queries may use it: a failed CREATE INDEX CONCURRENTLY leaves one that they may not.
    pub valid: bool,
    /// Whether somebody took it from the planner: `IGNORED` on MariaDB, `INVISIBLE` on MySQL.
    #[serde(default)]
    pub hidden: bool,
}

/// `pg_stat_wal`, `pg_stat_bgwriter`, `pg_stat_checkpointer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerCounters {
    /// WAL bytes written by the whole server.
    pub wal_bytes: u64,
    /// WAL full-page images.
    pub wal_full_page_images: u64,
    /// Checkpoints by time.
    pub checkpoints_timed: u64,
    /// Checkpoints by request or by WAL volume.
    pub checkpoints_requested: u64,
    /// Buffers written by checkpoints.
    pub checkpoint_buffers: u64,
    /// Buffers written by the background writer.
    #[serde(default)]
    pub cleaner_buffers: Option<u64>,
    /// Buffers written by sessions themselves, those of a table's growth included; absent from PostgreSQL 17 on, where
    /// [`IoCounters`] say it.
    #[serde(default)]
    pub backend_buffers: Option<u64>,
    /// Times that a session had to flush a file itself, since the checkpointer could not be told; absent from PostgreSQL 17 on.
    #[serde(default)]
    pub backend_fsyncs: Option<u64>,
    /// Flushes of the WAL.
    #[serde(default)]
    pub wal_syncs: Option<u64>,
    /// Time spent writing WAL, in microseconds; zero when `track_wal_io_timing` is off.
    #[serde(default)]
    pub wal_write_us: Option<u64>,
    /// Time spent flushing WAL, in microseconds; zero when `track_wal_io_timing` is off.
    #[serde(default)]
    pub wal_sync_us: Option<u64>,
    /// Changes of pages in the buffers that were logged; absent on PostgreSQL, which counts records of WAL.
    #[serde(default)]
    pub page_changes: Option<u64>,
    /// Client connections of the server. A level, not a count.
    pub connections: u64,
}

/// `pg_stat_io`, one row: what one kind of process did to one kind of file for one purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoCounters {
    /// `client backend`, `checkpointer`, `autovacuum worker`, …
    pub backend_type: String,
    /// `relation`, `temp relation`; from PostgreSQL 18 on `wal`.
    pub object: String,
    /// `normal`, `bulkread`, `bulkwrite`, `vacuum`, `init`.
    pub context: String,
    /// Reads asked of the operating system.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Time spent reading, in microseconds; zero when `track_io_timing` is off.
    pub read_us: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Time spent writing, in microseconds; zero when `track_io_timing` is off.
    pub write_us: u64,
    /// Extensions of files.
    pub extends: u64,
    /// Bytes that files were extended by.
    pub extend_bytes: u64,
    /// Blocks found in shared buffers.
    pub hits: u64,
    /// Blocks driven out of them to make room.
    pub evictions: u64,
    /// Blocks of a ring that were used again.
    pub reuses: u64,
    /// Flushes.
    pub fsyncs: u64,
    /// Time spent flushing, in microseconds; zero when `track_io_timing` is off.
    pub fsync_us: u64,
}

/// CPU time of the host over a window, in clock-tick-free units: seconds summed over cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostSample {
    /// Cores.
    pub cores: u32,
    /// Time that the cores worked, user and system, interrupts included.
    pub busy_s: f64,
    /// Time that the cores idled.
    pub idle_s: f64,
    /// Time that the cores idled with a request to a disk open.
    pub iowait_s: f64,
    /// Time that a hypervisor gave to others.
    pub steal_s: f64,
    /// What went to and from disks and networks, where the kernel tells.
    #[serde(default)]
    pub traffic: Option<HostTraffic>,
    /// Memory that programs could still have had at the end of the window, in bytes.
    #[serde(default)]
    pub memory_available_bytes: Option<u64>,
}

/// Bytes that a host moved over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTraffic {
    /// Read from disks.
    pub disk_read_bytes: u64,
    /// Written to disks.
    pub disk_written_bytes: u64,
    /// Received from networks, without the loopback.
    pub received_bytes: u64,
    /// Sent to networks, without the loopback.
    pub sent_bytes: u64,
}

impl HostTraffic {
    /// Adds that of another window.
    pub fn add(&mut self, other: &Self) {
        self.disk_read_bytes += other.disk_read_bytes;
        self.disk_written_bytes += other.disk_written_bytes;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
    }
}

/// CPU time of the server's processes over a window, where they run on the host of the generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSample {
    /// All processes of the server, in nanoseconds.
    pub server_cpu_ns: u64,
    /// Of it, the sessions of the measured pool.
    pub pool_cpu_ns: u64,
    /// Time that sessions of the pool were ready to run and did not get a core, in nanoseconds.
    pub pool_run_queue_ns: u64,
    /// Of the server's CPU time, the sessions of the probes.
    pub probe_cpu_ns: u64,
}

/// The generator's own cost over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorSample {
    /// CPU time of the worker threads, in nanoseconds.
    pub worker_cpu_ns: u64,
    /// Time the worker threads were ready to run and did not get a core, in nanoseconds.
    pub worker_run_queue_ns: u64,
    /// Worker threads.
    pub workers: u32,
    /// Those of them that give way (`SCHED_BATCH`); none in journals from before they could.
    #[serde(default)]
    pub workers_giving_way: u32,
    /// CPU time of the busiest worker, in nanoseconds: one full thread is a limit even when others idle.
    pub busiest_worker_cpu_ns: u64,
    /// CPU time of all other threads of the process, in nanoseconds.
    pub control_cpu_ns: u64,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
}
